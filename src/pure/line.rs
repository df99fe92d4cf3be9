// SPDX-License-Identifier: GPL-2.0

//! Divides a stream of bytes into records, for the style `lines`. Each line becomes a record; a
//! line longer than `record_max` becomes several.

use crate::pure::{
    entry::{
        Entry,
        EntryError,
        EntryParser, //
    },
    record::{
        array,
        parse_prefix,
        Prefix,
        Priority,
        PREFIX_MAX, //
    }, //
};

/// A parser for a stream of lines, with its state between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineParser {
    /// Maximum length of the text of one record in bytes, at least 1.
    pub(crate) record_max: usize,
    /// The priority of a line without a prefix.
    pub(crate) default: Priority,
    /// The priority of the current line, if its beginning was stored as a record before.
    pub(crate) continued: Option<Priority>,
}

/// Returns the maximum number of bytes that the parser needs to find the end of a record.
pub(crate) const fn partial_max(record_max: usize) -> usize {
    PREFIX_MAX + record_max + 1
}

impl LineParser {
    /// Parses the first record in `data`. `at_end` says that no data follows: then the rest of
    /// `data` is a record even without a newline.
    ///
    /// # Errors
    ///
    /// `EntryError::Incomplete`: `data` is empty, or the end of the record depends on the bytes
    /// after `data`.
    #[inline]
    pub(crate) fn parse_line<'a>(
        &self,
        data: &'a [u8],
        at_end: bool,
    ) -> Result<Entry<'a>, EntryError> {
        let (priority, text) = match self.continued {
            Some(priority) => (priority, data),
            None => match parse_prefix(data) {
                Prefix::Priority(priority, text) => (priority, text),
                Prefix::Incomplete if !at_end => return Err(EntryError::Incomplete),
                Prefix::None | Prefix::Incomplete => (self.default, data),
            },
        };
        let before = data.len() - text.len();
        let longest = &text[..text.len().min(self.record_max + 1)];
        let (len, after, is_continued) = match find_newline(longest) {
            Some(len) => (len, 1, false),
            None if longest.len() > self.record_max => (self.record_max, 0, true),
            None if at_end && !data.is_empty() => (text.len(), 0, false),
            None => return Err(EntryError::Incomplete),
        };
        Ok(Entry {
            priority,
            continues: self.continued.is_some(),
            is_continued,
            text: &text[..len],
            size: before + len + after,
        })
    }
}

impl EntryParser for LineParser {
    #[inline]
    fn parse<'a>(&self, data: &'a [u8]) -> Result<Entry<'a>, EntryError> {
        self.parse_line(data, false)
    }

    fn entry_stored(&mut self, entry: &Entry<'_>) {
        self.continued = entry.is_continued.then_some(entry.priority);
    }
}

/// Returns the offset of the first newline in `text`. Searches 8 bytes at a time, because this is a
/// noticeable part of the cost of a write.
#[inline]
pub(crate) fn find_newline(text: &[u8]) -> Option<usize> {
    const LOWEST: u64 = u64::from_le_bytes([0x01; 8]);
    const NEWLINES: u64 = u64::from_le_bytes([b'\n'; 8]);
    let mut before = 0;
    for word in text.chunks_exact(8) {
        let zero_if_newline = u64::from_le_bytes(array(word)) ^ NEWLINES;
        // The highest bit of the first zero byte is set, and no bit before it. After it there can
        // be false positives.
        let zeros = zero_if_newline.wrapping_sub(LOWEST) & !zero_if_newline & (LOWEST << 7);
        if zeros != 0 {
            return Some(before + zeros.trailing_zeros() as usize / 8);
        }
        before += 8;
    }
    let offset = text[before..].iter().position(|byte| *byte == b'\n')?;
    Some(before + offset)
}

/// Returns whether `text` is exactly one line: its first newline is its last byte.
#[inline]
pub(crate) fn is_single_line(text: &[u8]) -> bool {
    text.last() == Some(&b'\n') && find_newline(text) == Some(text.len() - 1)
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_line)]
mod tests {
    use super::*;

    /// Returns the priority, the text and the size of the first record in `data`, and whether the
    /// next record continues its line.
    fn first(lines: LineParser, data: &[u8]) -> Option<(u16, &[u8], usize, bool)> {
        let entry = lines.parse(data).ok()?;
        assert_eq!(entry.continues, lines.continued.is_some());
        Some((
            entry.priority.value(),
            entry.text,
            entry.size,
            entry.is_continued,
        ))
    }

    /// Checks lines whose length is `record_max` minus one, exactly and plus one, and incomplete
    /// prefixes.
    #[test]
    fn line_bounds() {
        let lines = LineParser {
            record_max: 4,
            default: Priority::DEFAULT,
            continued: None,
        };
        for (data, expected) in [
            (&b""[..], None),
            (b"\n", Some((14, &b""[..], 1, false))),
            (b"abcd", None),
            (b"abcd\n", Some((14, b"abcd", 5, false))),
            (b"abcde", Some((14, b"abcd", 4, true))),
            (b"<1", None),
            (b"<1234", None),
            (b"<12345", Some((14, b"<123", 4, true))),
            (b"<9>", None),
            (b"<9>abcd", None),
            (b"<9>abcd\n", Some((9, b"abcd", 8, false))),
            (b"<9>abcde", Some((9, b"abcd", 7, true))),
            (b"<9\n", Some((14, b"<9", 3, false))),
        ] {
            assert_eq!(first(lines, data), expected);
        }
        if let Some(default) = Priority::new(9) {
            let lines = LineParser { default, ..lines };
            assert_eq!(first(lines, b"a\n"), Some((9, &b"a"[..], 2, false)));
            assert_eq!(first(lines, b"<11>a\n"), Some((11, &b"a"[..], 6, false)));
        }
    }

    /// Checks that a continuation has the priority of its line, and that a prefix in it is text.
    #[test]
    fn continuation_has_no_prefix() {
        let lines = LineParser {
            record_max: 4,
            default: Priority::DEFAULT,
            continued: Priority::new(9),
        };
        assert_eq!(first(lines, b"<1>\n"), Some((9, &b"<1>"[..], 4, false)));
        let last = lines.parse_line(b"<1>", true);
        assert_eq!(
            last.map(|entry| (entry.text, entry.size)),
            Ok((&b"<1>"[..], 3))
        );
    }

    /// Checks that the rest of the data at its end is a record of at most `record_max` bytes of
    /// text.
    #[test]
    fn end_without_newline() {
        let lines = LineParser {
            record_max: 4,
            default: Priority::DEFAULT,
            continued: None,
        };
        for (data, text, size) in [
            (&b"<9>"[..], &b""[..], 3),
            (b"<1", b"<1", 2),
            (b"<1234", b"<123", 4),
            (b"abcd", b"abcd", 4),
            (b"abcde", b"abcd", 4),
        ] {
            let entry = lines.parse_line(data, true);
            assert_eq!(
                entry.map(|entry| (entry.text, entry.size)),
                Ok((text, size))
            );
        }
        assert_eq!(lines.parse_line(b"", true), Err(EntryError::Incomplete));
    }

    /// Checks that a newline is found at each offset, alone and before another one.
    #[test]
    fn newline_at_each_offset() {
        for at in 0..20 {
            let mut text = [b'\n' + 0x80; 20];
            assert_eq!(find_newline(&text), None);
            text[at] = b'\n';
            assert_eq!(find_newline(&text), Some(at));
            text[19] = b'\n';
            assert_eq!(find_newline(&text), Some(at));
        }
    }
}
