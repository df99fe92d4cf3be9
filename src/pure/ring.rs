// SPDX-License-Identifier: GPL-2.0

//! The bounded ring of whole records.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host, where
//! property tests hold it against a plain queue. It knows nothing of locks; whoever owns it sees to
//! that (`log.rs`).
//!
//! # Layout
//!
//! One block of memory holds the records one after another, oldest to newest, each a header of
//! [`HEADER_SIZE`] bytes and its text, padded to 8 bytes. A record is never split: one that does
//! not fit between the newest record and the end of the block is placed at its start. So the bytes
//! of any record are one slice, which a reader copies at once and a read-only mapping could show as
//! they are. The records are in one of two states:
//!
//! ```text
//! one run:    [      oldest ... newest |            ]
//!                    ^oldest           ^next
//!
//! two runs:   [ ... newest |      oldest ...  |pad  ]
//!                          ^next  ^oldest     ^end
//! ```
//!
//! A record that may be split would need two copies for an append, and a reader would have to look
//! for escapes across the gap. A whole record costs up to one record of unused memory at the end of
//! the block.
//!
//! # Positions
//!
//! A record never moves while it is in the ring, so whoever has read record `n` knows where `n + 1`
//! begins: at the end of `n`, or at the start of the block if the first run ends there. A
//! [`Position`] is that pair of sequence number and offset. It stays usable for as long as the ring
//! likes to overwrite: what it points to is found again by comparing sequence numbers, never by
//! trusting the offset.
//!
//! # Searching
//!
//! An index holds the offset of every [`INDEX_STEP`]th record, and the latest time of all records
//! up to it, because some records are stored later than they were written. A search by sequence
//! number or by time looks at an entry or at a few of them by bisection, then at no more than
//! [`INDEX_STEP`] records. An append writes one entry for [`INDEX_STEP`] records.

use core::{
    fmt,
    ops::DerefMut, //
};

use crate::{
    pure::{
        record::{
            stored_size,
            Header,
            ALIGN,
            HEADER_SIZE, //
        },
        value::ParamValue, //
    },
    sys::buffer::copy, //
};

/// What a full log does with a new record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Policy {
    /// Drop the oldest records to make room.
    Overwrite,
    /// Refuse the new record, except where room can be made from records that were cleared.
    Stop,
}

impl ParamValue for Policy {
    const TYPE: &'static str = "policy";
    const INIT: Self = Self::Overwrite;

    fn parse_from(&mut self, text: &[u8]) -> bool {
        *self = match text {
            b"overwrite" => Self::Overwrite,
            b"stop" => Self::Stop,
            _ => return false,
        };
        true
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(match self {
            Self::Overwrite => "overwrite",
            Self::Stop => "stop",
        })
    }
}

/// A place between two records: the sequence number of the one that follows, and its offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    seq: u64,
    offset: usize,
}

impl Position {
    /// Sequence number of the record that follows this position.
    pub(crate) fn seq(self) -> u64 {
        self.seq
    }

    /// The position before the record `seq`, which must be the oldest record or gone.
    pub(crate) fn overwritten(seq: u64) -> Self {
        // Where it was does not matter any more.
        Self { seq, offset: 0 }
    }
}

/// One record as it lies in the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'a> {
    /// Header, text and padding, which is zero; see [`Header::split`].
    pub(crate) bytes: &'a [u8],
    /// The position before this record.
    pub(crate) start: Position,
    /// How many records between the requested position and this one were overwritten.
    pub(crate) lost: u64,
    /// The position after this record.
    pub(crate) end: Position,
}

impl RecordRef<'_> {
    /// Returns the same without its bytes, to be kept when the ring may change.
    pub(crate) fn detached(&self) -> RecordRef<'static> {
        RecordRef {
            bytes: &[],
            ..*self
        }
    }
}

/// What [`Ring::append`] says when it does not take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// The log is full of records that its policy keeps.
    Full,
    /// The record is larger than the whole ring.
    TooLarge,
}

/// What went through the ring since it was made. Bytes are bytes of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Records taken.
    pub(crate) records_written: u64,
    /// Bytes of the records taken.
    pub(crate) bytes_written: u64,
    /// Records overwritten by newer ones.
    pub(crate) records_dropped: u64,
    /// Bytes of the records overwritten.
    pub(crate) bytes_dropped: u64,
    /// Records refused because the log was full.
    pub(crate) records_refused: u64,
}

/// The index has an entry for every record whose sequence number is a multiple of this.
const INDEX_STEP: u64 = 64;

/// An entry of the index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexEntry {
    /// The offset of the record.
    offset: usize,
    /// The latest time of this record and all before it, in nanoseconds.
    latest_ns: u64,
}

/// How many entries the index of a ring of `capacity` bytes has: one for each record that can be
/// in the ring and has an entry.
pub(crate) const fn index_len(capacity: usize) -> usize {
    capacity / HEADER_SIZE / INDEX_STEP as usize + 1
}

/// The bounded ring of whole records in the memory `B`, with an index in the memory `I`.
pub(crate) struct Ring<B, I> {
    memory: B,
    /// The entry of the record `n * INDEX_STEP`, at `n` modulo the length.
    index: I,
    /// The latest time of all records, in nanoseconds.
    latest_ns: u64,
    policy: Policy,
    runs: Runs,
    /// The position after the newest record at the time of the last clear.
    cleared: Position,
    refused: u64,
    bytes_written: u64,
    bytes_dropped: u64,
}

/// Where the records lie. Small and `Copy`: room is made in a copy, which is stored when there is
/// enough of it, so a refused record leaves no trace.
///
/// # Invariants
///
/// - The records `oldest.seq..next.seq` lie one after another from `oldest.offset`.
/// - `end` is `None`: they end at `next.offset`.
/// - `end` is `Some(end)`: they go on to `end`, then from 0 to `next.offset`, which is at most
///   `oldest.offset`; both runs hold at least one record.
#[derive(Clone, Copy)]
struct Runs {
    oldest: Position,
    next: Position,
    end: Option<usize>,
}

impl<B, I> Ring<B, I>
where
    B: DerefMut<Target = [u8]>,
    I: DerefMut<Target = [IndexEntry]>,
{
    /// An empty ring in `memory`, with an `index` of [`index_len`] entries.
    pub(crate) fn new(memory: B, index: I, policy: Policy) -> Self {
        Self {
            memory,
            index,
            latest_ns: 0,
            policy,
            runs: Runs {
                oldest: Position::default(),
                next: Position::default(),
                end: None,
            },
            cleared: Position::default(),
            refused: 0,
            bytes_written: 0,
            bytes_dropped: 0,
        }
    }

    /// Size of the memory in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// What a full ring does with a new record.
    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    /// The position before the oldest record.
    pub(crate) fn oldest(&self) -> Position {
        self.runs.oldest
    }

    /// The position after the newest record.
    pub(crate) fn next(&self) -> Position {
        self.runs.next
    }

    /// The position after the last record that was cleared, or the oldest one if that is later.
    pub(crate) fn cleared(&self) -> Position {
        if self.cleared.seq > self.runs.oldest.seq {
            self.cleared
        } else {
            self.runs.oldest
        }
    }

    /// Marks all records as cleared, like `SYSLOG_ACTION_CLEAR`: they stay readable, but a full log
    /// may overwrite them whatever its policy is.
    pub(crate) fn clear(&mut self) {
        self.cleared = self.runs.next;
    }

    /// What went through the ring since it was made.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            records_written: self.runs.next.seq,
            bytes_written: self.bytes_written,
            records_dropped: self.runs.oldest.seq,
            bytes_dropped: self.bytes_dropped,
            records_refused: self.refused,
        }
    }

    /// Appends a record and returns its sequence number.
    ///
    /// `header.seq` and `header.text_len` are set here. The oldest records are dropped as far as
    /// room is needed and the policy allows.
    #[inline(always)]
    pub(crate) fn append(&mut self, mut header: Header, text: &[u8]) -> Result<u64, AppendError> {
        let size = stored_size(text.len());
        let offset = match self.runs.find_space(size, self.capacity()) {
            Some(offset) => offset,
            None => self.make_space(size)?,
        };

        let seq = self.runs.next.seq;
        header.seq = seq;
        header.text_len = text.len() as u32;
        let record = &mut self.memory[offset..][..size];
        // First what may be padding.
        if let Some(last) = record.last_chunk_mut::<ALIGN>() {
            *last = [0; ALIGN];
        }
        let (head, body) = record.split_at_mut(HEADER_SIZE);
        head.copy_from_slice(&header.encode());
        copy(&mut body[..text.len()], text);

        let latest_ns = header.time_ns.max(self.latest_ns);
        self.latest_ns = latest_ns;
        if seq % INDEX_STEP == 0 {
            let entry = self.entry(seq);
            self.index[entry] = IndexEntry { offset, latest_ns };
        }
        self.runs.push(offset, size);
        self.bytes_written += text.len() as u64;
        Ok(seq)
    }

    /// The entry of the index for the record `seq`, a multiple of [`INDEX_STEP`].
    fn entry(&self, seq: u64) -> usize {
        // The index is never empty. A plain `%` would panic by a function that objtool does not
        // know to return never.
        let entry = (seq / INDEX_STEP) as usize;
        entry.checked_rem(self.index.len()).unwrap_or(0)
    }

    /// Drops the oldest records, as far as the policy allows, until one of `size` bytes can be
    /// placed, and returns where. Where it cannot be, all are kept.
    #[inline(always)]
    fn make_space(&mut self, size: usize) -> Result<usize, AppendError> {
        if size > self.capacity() {
            return Err(AppendError::TooLarge);
        }
        let mut runs = self.runs;
        let mut bytes_dropped = 0;
        // This ends: an empty ring has room for every record that is not larger than the ring.
        let offset = loop {
            let keep = self.policy == Policy::Stop && runs.oldest.seq >= self.cleared.seq;
            if keep {
                self.refused += 1;
                return Err(AppendError::Full);
            }
            let text_len = Header::text_len_of(&self.memory[runs.oldest.offset..]);
            bytes_dropped += text_len as u64;
            runs.drop_oldest(stored_size(text_len));
            if let Some(offset) = runs.find_space(size, self.capacity()) {
                break offset;
            }
        };
        self.runs = runs;
        self.bytes_dropped += bytes_dropped;
        Ok(offset)
    }

    /// The first record at or after `from`; `None` when there is none yet.
    #[inline(always)]
    pub(crate) fn read(&self, from: Position) -> Option<RecordRef<'_>> {
        let Runs { oldest, next, end } = self.runs;
        if from.seq >= next.seq {
            return None;
        }
        let at = if from.seq <= oldest.seq {
            oldest
        } else if end == Some(from.offset) {
            // The record before it was the newest when it was read, and the next one did not fit
            // behind it.
            Position { offset: 0, ..from }
        } else {
            from
        };
        let rest = &self.memory[at.offset..];
        let bytes = &rest[..stored_size(Header::text_len_of(rest))];
        Some(RecordRef {
            start: at,
            bytes,
            lost: at.seq - from.seq,
            end: Position {
                seq: at.seq + 1,
                offset: at.offset + bytes.len(),
            },
        })
    }

    /// The position before the record `seq`: also one that is gone, whose readers learn how many
    /// they missed, and the next one that will be written; `None` for a later one.
    pub(crate) fn position_of_seq(&self, seq: u64) -> Option<Position> {
        let Runs { oldest, next, .. } = self.runs;
        if seq > next.seq {
            return None;
        }
        if seq < oldest.seq {
            return Some(Position::overwritten(seq));
        }
        if seq == next.seq {
            return Some(next);
        }
        Some(self.walk(self.indexed(seq / INDEX_STEP), |stored| {
            stored.start.seq >= seq
        }))
    }

    /// The position before the first record of the time `time_ns` or later, or after the newest
    /// one. It may be up to [`INDEX_STEP`] records before the first one if a record as late is gone
    /// that was followed by earlier ones.
    pub(crate) fn position_of_time(&self, time_ns: u64) -> Position {
        let Runs { oldest, next, .. } = self.runs;
        // All records up to the indexed ones before `low` are earlier. Up to each one from `high`
        // on there is one that is not.
        let mut low = oldest.seq.div_ceil(INDEX_STEP);
        let mut high = next.seq.div_ceil(INDEX_STEP);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.index[self.entry(middle * INDEX_STEP)].latest_ns >= time_ns {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.walk(self.indexed(low.saturating_sub(1)), |stored| {
            Header::time_of(stored.bytes) >= time_ns || stored.start.seq >= low * INDEX_STEP
        })
    }

    /// The position before the record `n * INDEX_STEP`, or before the oldest one if that is later.
    fn indexed(&self, n: u64) -> Position {
        let seq = n * INDEX_STEP;
        if seq <= self.runs.oldest.seq {
            return self.runs.oldest;
        }
        Position {
            seq,
            offset: self.index[self.entry(seq)].offset,
        }
    }

    /// The position before the first record from `at` on that is `wanted`, or after the newest one.
    fn walk(&self, mut at: Position, wanted: impl Fn(&RecordRef<'_>) -> bool) -> Position {
        while let Some(stored) = self.read(at) {
            if wanted(&stored) {
                return stored.start;
            }
            at = stored.end;
        }
        at
    }
}

impl Runs {
    fn is_empty(&self) -> bool {
        self.oldest.seq == self.next.seq
    }

    /// Where a record of `size` bytes can be placed without dropping one.
    fn find_space(&self, size: usize, capacity: usize) -> Option<usize> {
        if self.is_empty() {
            return (size <= capacity).then_some(0);
        }
        let at_next = self.next.offset;
        match self.end {
            None if size <= capacity - at_next => Some(at_next),
            None => (size <= self.oldest.offset).then_some(0),
            Some(_) => (size <= self.oldest.offset - at_next).then_some(at_next),
        }
    }

    /// Drops the oldest record, which takes `size` bytes. The ring must not be empty.
    fn drop_oldest(&mut self, size: usize) {
        self.oldest.seq += 1;
        self.oldest.offset += size;
        if self.end == Some(self.oldest.offset) {
            self.oldest.offset = 0;
            self.end = None;
        }
    }

    /// Adds a record of `size` bytes at `offset`, which is what [`Runs::room`] returned.
    fn push(&mut self, offset: usize, size: usize) {
        if self.is_empty() {
            self.oldest.offset = offset;
        } else if offset != self.next.offset {
            // It is at the start of the block: the first run ends where the newest record did.
            self.end = Some(self.next.offset);
        }
        self.next.seq += 1;
        self.next.offset = offset + size;
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_ring)]
mod tests {
    use super::*;
    use crate::pure::record::{
        Ids,
        Priority,
        Writer, //
    };
    use kernel::prelude::*;

    /// A ring of `capacity` bytes.
    fn ring(capacity: usize, policy: Policy) -> Result<Ring<KVec<u8>, KVec<IndexEntry>>> {
        Ok(Ring::new(
            KVec::from_elem(0xee, capacity, GFP_KERNEL)?,
            KVec::from_elem(IndexEntry::default(), index_len(capacity), GFP_KERNEL)?,
            policy,
        ))
    }

    fn append(
        ring: &mut Ring<KVec<u8>, KVec<IndexEntry>>,
        text: &[u8],
    ) -> core::result::Result<u64, AppendError> {
        let header = Header {
            seq: 0,
            time_ns: 0,
            text_len: 0,
            priority: Priority::DEFAULT,
            continues: false,
            writer: Writer {
                ids: Ids {
                    pid: 1,
                    tid: 1,
                    uid: 0,
                    opener: 0,
                },
                comm: [0; 16],
            },
        };
        ring.append(header, text)
    }

    /// The text of the first record from `at` on, and how many were lost before it.
    fn text(ring: &Ring<KVec<u8>, KVec<IndexEntry>>, at: Position) -> Option<(&[u8], u64)> {
        ring.read(at)
            .map(|stored| (&stored.bytes[HEADER_SIZE..], stored.lost))
    }

    /// A record of one byte less than the ring holds, exactly that, and one more.
    #[test]
    fn one_record_fills_it() -> Result {
        for (len, fits) in [(63, true), (64, true), (65, false)] {
            let mut ring = ring(HEADER_SIZE + 64, Policy::Overwrite)?;
            let got = append(&mut ring, &[b'x'; 65][..len]);
            assert_eq!(
                got,
                if fits {
                    Ok(0)
                } else {
                    Err(AppendError::TooLarge)
                }
            );
            assert_eq!(text(&ring, Position::default()).is_some(), fits);
        }
        Ok(())
    }

    /// The third record ends one word before the end of the memory, at it, or does not fit there.
    #[test]
    fn end_of_the_memory() -> Result {
        for (spare, dropped) in [(8, 0), (0, 0), (-8isize, 1)] {
            let capacity = (3 * stored_size(8))
                .checked_add_signed(spare)
                .ok_or(EINVAL)?;
            let mut ring = ring(capacity, Policy::Overwrite)?;
            for text in [b"0.......", b"1.......", b"2......."] {
                assert!(append(&mut ring, text).is_ok());
            }
            assert_eq!(ring.totals().records_dropped, dropped);
            let mut at = Position::default();
            for seq in dropped..3 {
                let lost = if seq == dropped { dropped } else { 0 };
                assert_eq!(
                    text(&ring, at).map(|(text, lost)| (text[0], lost)),
                    Some((b'0' + seq as u8, lost))
                );
                at = ring.read(at).ok_or(EINVAL)?.end;
            }
            assert!(ring.read(at).is_none());
        }
        Ok(())
    }

    /// Around the memory many times, with records of changing size: those that are there are the
    /// newest ones, whole.
    #[test]
    fn around_the_memory() -> Result {
        let mut ring = ring(4 * stored_size(16), Policy::Overwrite)?;
        for seq in 0..200u64 {
            let text = [seq as u8; 32];
            let len = (seq % 5 * 8) as usize;
            assert_eq!(append(&mut ring, &text[..len]), Ok(seq));
            let mut at = ring.oldest();
            let mut next = at.seq();
            while let Some(stored) = ring.read(at) {
                let text = &stored.bytes[HEADER_SIZE..];
                assert_eq!(text.len() as u64, next % 5 * 8);
                assert!(text.iter().all(|byte| *byte == next as u8));
                at = stored.end;
                next += 1;
            }
            assert_eq!(next, seq + 1);
        }
        Ok(())
    }

    #[test]
    fn stop_keeps_what_was_not_cleared() -> Result {
        let mut ring = ring(2 * stored_size(8), Policy::Stop)?;
        assert_eq!(append(&mut ring, b"0......."), Ok(0));
        assert_eq!(append(&mut ring, b"1......."), Ok(1));
        assert_eq!(append(&mut ring, b"2......."), Err(AppendError::Full));
        assert_eq!(ring.totals().records_refused, 1);
        ring.clear();
        assert_eq!(append(&mut ring, b"2......."), Ok(2));
        assert_eq!(text(&ring, ring.cleared()), Some((&b"2......."[..], 0)));
        assert_eq!(append(&mut ring, b"3......."), Ok(3));
        assert_eq!(append(&mut ring, b"4......."), Err(AppendError::Full));
        Ok(())
    }
}
