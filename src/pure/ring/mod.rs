// SPDX-License-Identifier: GPL-2.0

//! The bounded ring of whole records.
//!
//! The ring has no lock; its owner (`log.rs`) locks it. On the host, property tests compare it with
//! a simple queue.
//!
//! # Layout
//!
//! The records lie one after another in one block of memory, from the oldest to the newest. Each
//! has a header of [`HEADER_SIZE`] bytes and a text, padded to 8 bytes. A record is never split: if
//! it does not fit between the newest record and the end of the block, it is placed at the start of
//! the block. So the bytes of each record are one slice, which a reader copies at once, and which a
//! read-only mapping could show unchanged. The records form one or two runs:
//!
//! ```text
//! one run:    [      oldest ... newest |            ]
//!                    ^oldest           ^next
//!
//! two runs:   [ ... newest |      oldest ...  |pad  ]
//!                          ^next  ^oldest     ^end
//! ```
//!
//! If records were split, an append would need two copies, and a reader would search for escapes
//! across the end of the block. The cost of whole records is up to one record of unused memory at
//! the end of the block.
//!
//! # Positions
//!
//! A record does not move while it is in the ring. A reader of record `n` therefore knows the
//! offset of record `n + 1`: the end of record `n`, or 0 if the first run ends there. A
//! [`Position`] is this offset with the sequence number of the record. It stays valid while the
//! ring overwrites records: if the sequence number is that of an overwritten record, the offset is
//! ignored.
//!
//! # Searching
//!
//! An index has one entry for [`INDEX_STEP`] records: the offset of a record, and the latest
//! timestamp of this and all earlier records. (Timestamps are not monotonic, because some records
//! are stored later than they are written.) A search by sequence number starts at one entry; a
//! search by time finds its entry by bisection. Both then read at most [`INDEX_STEP`] records.

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

/// A bounded ring of whole records in the memory `B`, with an index in the memory `I`.
pub(crate) struct Ring<B, I> {
    memory: B,
    /// The entry of record `n * INDEX_STEP` is at `n` modulo the length.
    index: I,
    /// The latest timestamp of all records in nanoseconds.
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
    /// Creates an empty ring in `memory`, with an `index` of [`index_len`] entries.
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

    /// Appends a record and returns its sequence number.
    ///
    /// Sets `header.seq` and `header.text_len`. Drops the oldest records until there is space, if
    /// the policy allows it.
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
        // Clear the last bytes, which contain the padding, before the text is copied.
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

    /// Returns the first record at or after `from`, or `None` if there is none yet.
    #[inline(always)]
    pub(crate) fn read(&self, from: Position) -> Option<RecordRef<'_>> {
        let Runs { oldest, next, end } = self.runs;
        if from.seq >= next.seq {
            return None;
        }
        let at = if from.seq <= oldest.seq {
            oldest
        } else if end == Some(from.offset) {
            // The position was returned when the record before it was the newest. The next record
            // did not fit after that one and is at the start of the block.
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

    /// Drops the oldest records until there is space for `size` bytes, and returns the offset of
    /// the space. Drops none if it fails.
    #[inline]
    fn make_space(&mut self, size: usize) -> Result<usize, AppendError> {
        if size > self.capacity() {
            return Err(AppendError::TooLarge);
        }
        let mut runs = self.runs;
        let mut bytes_dropped = 0;
        // The loop ends, because an empty ring has space for every record that is not larger than
        // the ring.
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

    /// Returns the position before the oldest record.
    pub(crate) fn oldest(&self) -> Position {
        self.runs.oldest
    }

    /// Returns the position after the newest record.
    pub(crate) fn next(&self) -> Position {
        self.runs.next
    }

    /// Returns the position after the last cleared record, or the oldest position if that is later.
    pub(crate) fn cleared(&self) -> Position {
        if self.cleared.seq > self.runs.oldest.seq {
            self.cleared
        } else {
            self.runs.oldest
        }
    }

    /// Marks all records as cleared, like `SYSLOG_ACTION_CLEAR`. They stay readable, but a full
    /// ring can overwrite them even with the policy [`Policy::Stop`].
    pub(crate) fn clear(&mut self) {
        self.cleared = self.runs.next;
    }

    /// Returns the counters of the ring.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            records_written: self.runs.next.seq,
            bytes_written: self.bytes_written,
            records_dropped: self.runs.oldest.seq,
            bytes_dropped: self.bytes_dropped,
            records_refused: self.refused,
        }
    }

    /// Returns the size of the memory in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Returns the action of a full ring on a new record.
    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }
}

/// The index has an entry for each record whose sequence number is a multiple of this.
const INDEX_STEP: u64 = 64;

/// An entry of the index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexEntry {
    /// Offset of the record in bytes.
    offset: usize,
    /// The latest timestamp of this record and all earlier ones, in nanoseconds.
    latest_ns: u64,
}

/// Returns the number of index entries for a ring of `capacity` bytes. The index has an entry for
/// each record in the ring whose sequence number is a multiple of [`INDEX_STEP`], even if all texts
/// are empty.
pub(crate) const fn index_len(capacity: usize) -> usize {
    capacity / HEADER_SIZE / INDEX_STEP as usize + 1
}

/// A position between two records: the sequence number of the following record, and its offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    seq: u64,
    offset: usize,
}

impl Position {
    /// Returns the sequence number of the record after this position.
    pub(crate) fn seq(self) -> u64 {
        self.seq
    }

    /// Returns the position before the record `seq`, which must be the oldest record or
    /// overwritten.
    pub(crate) fn overwritten(seq: u64) -> Self {
        // The offset is ignored for these records.
        Self { seq, offset: 0 }
    }
}

/// A record in the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'a> {
    /// Header, text and padding with zeros; see [`Header::split`].
    pub(crate) bytes: &'a [u8],
    /// The position before this record.
    pub(crate) start: Position,
    /// The number of overwritten records between the requested position and this record.
    pub(crate) lost: u64,
    /// The position after this record.
    pub(crate) end: Position,
}

impl RecordRef<'_> {
    /// Returns a copy without the bytes, which does not borrow the ring.
    pub(crate) fn detached(&self) -> RecordRef<'static> {
        RecordRef {
            bytes: &[],
            ..*self
        }
    }
}

/// The reason why [`Ring::append`] rejects a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// The ring is full of records that its policy keeps.
    Full,
    /// The record is larger than the ring.
    TooLarge,
}

/// Counters since the ring was created. Bytes are bytes of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Records that were stored.
    pub(crate) records_written: u64,
    /// Bytes of the stored records.
    pub(crate) bytes_written: u64,
    /// Records that were overwritten by newer ones.
    pub(crate) records_dropped: u64,
    /// Bytes of the overwritten records.
    pub(crate) bytes_dropped: u64,
    /// Records that were rejected because the ring was full.
    pub(crate) records_refused: u64,
}

/// The action of a full log on a new record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Policy {
    /// Overwrite the oldest records.
    Overwrite,
    /// Reject the new record, unless overwriting cleared records frees enough space.
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
