// SPDX-License-Identifier: GPL-2.0

//! The records in the data of a write: entries in binary format (`struct umsg_entry` of
//! `uapi/umsg.h`), or lines (`line.rs`).

use crate::pure::record::{
    array,
    padded,
    Priority,
    ALIGN, //
};

/// Size in bytes of `struct umsg_entry` of `uapi/umsg.h`.
pub(crate) const ENTRY_HEADER_SIZE: usize = 8;

/// Maximum size in bytes of the header of an entry. The bytes after the known fields must be zero.
pub(crate) const ENTRY_HEADER_MAX: usize = 64;

/// One record in the data of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Facility and level.
    pub(crate) priority: Priority,
    /// Whether the record continues a line whose beginning was stored as an earlier record.
    pub(crate) continues: bool,
    /// Whether the next record continues the line of this one.
    pub(crate) is_continued: bool,
    /// The text to store.
    pub(crate) text: &'a [u8],
    /// Size in bytes of the record in the data of the write, including the bytes around its text.
    pub(crate) size: usize,
}

/// A parser for the records in the data of a write.
pub(crate) trait EntryParser {
    /// Parses the first record in `data`.
    fn parse<'a>(&self, data: &'a [u8]) -> Result<Entry<'a>, EntryError>;

    /// Called after `entry` was stored.
    fn entry_stored(&mut self, _entry: &Entry<'_>) {}
}

/// The parser for writes in binary format.
#[derive(Clone, Copy)]
pub(crate) struct BinaryParser {
    /// Maximum length of the text of one record in bytes.
    pub(crate) record_max: usize,
}

impl EntryParser for BinaryParser {
    #[inline]
    fn parse<'a>(&self, data: &'a [u8]) -> Result<Entry<'a>, EntryError> {
        Entry::parse(data, self.record_max)
    }
}

/// The reason why no [`Entry`] was parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryError {
    /// The entry is incomplete.
    Incomplete,
    /// A field has an invalid value.
    Invalid,
    /// The text is longer than `record_max`.
    TooLong,
}

impl<'a> Entry<'a> {
    /// Parses the first entry in `data`, with a text of at most `record_max` bytes.
    #[inline]
    pub(crate) fn parse(data: &'a [u8], record_max: usize) -> Result<Self, EntryError> {
        let header = data
            .first_chunk::<ENTRY_HEADER_SIZE>()
            .ok_or(EntryError::Incomplete)?;
        let header_size = usize::from(header[0]);
        let priority = u16::from_ne_bytes([header[2], header[3]]);
        let text_len = u32::from_ne_bytes(array(&header[4..8])) as usize;
        if !(ENTRY_HEADER_SIZE..=ENTRY_HEADER_MAX).contains(&header_size)
            || header_size % ALIGN != 0
            || header[1] != 0
        {
            return Err(EntryError::Invalid);
        }
        let priority = Priority::new(priority).ok_or(EntryError::Invalid)?;
        if text_len > record_max {
            return Err(EntryError::TooLong);
        }
        let size = padded(header_size + text_len);
        let entry = data.get(..size).ok_or(EntryError::Incomplete)?;
        let (header, text) = entry.split_at(header_size);
        if header[ENTRY_HEADER_SIZE..].iter().any(|byte| *byte != 0) {
            return Err(EntryError::Invalid);
        }
        Ok(Self {
            priority,
            continues: false,
            is_continued: false,
            text: &text[..text_len],
            size,
        })
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_entry)]
mod tests {
    use super::*;

    /// Checks entries whose fields are at their limits, and that incomplete or invalid ones are
    /// rejected.
    #[test]
    fn entry_bounds() {
        let entry = |header_size: u8, priority: u16, text_len: u8| {
            let [low, high] = priority.to_ne_bytes();
            let mut data = [0; 80];
            data[..5].copy_from_slice(&[header_size, 0, low, high, text_len]);
            data
        };
        for (data, len, outcome) in [
            (entry(8, 2047, 0), 8, Ok(8)),
            (entry(8, 14, 8), 16, Ok(16)),
            (entry(8, 14, 9), 24, Ok(24)),
            (entry(64, 14, 10), 80, Ok(80)),
            (entry(8, 14, 0), 7, Err(EntryError::Incomplete)),
            (entry(8, 14, 9), 23, Err(EntryError::Incomplete)),
            (entry(8, 14, 11), 80, Err(EntryError::TooLong)),
            (entry(8, 2048, 0), 80, Err(EntryError::Invalid)),
            (entry(0, 14, 0), 80, Err(EntryError::Invalid)),
            (entry(12, 14, 0), 80, Err(EntryError::Invalid)),
            (entry(72, 14, 0), 80, Err(EntryError::Invalid)),
        ] {
            let size = Entry::parse(&data[..len], 10).map(|entry| entry.size);
            assert_eq!(size, outcome);
        }
    }
}
