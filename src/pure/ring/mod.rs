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

mod runs;
mod search;
#[cfg(CONFIG_KUNIT = "y")]
mod tests;

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

use self::runs::Runs;
pub(crate) use self::search::{
    index_len,
    IndexEntry,
    INDEX_STEP, //
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
            let entry = self.index_slot(seq);
            self.index[entry] = IndexEntry { offset, latest_ns };
        }
        self.runs.push(offset, size);
        self.bytes_written += text.len() as u64;
        Ok(seq)
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
}
