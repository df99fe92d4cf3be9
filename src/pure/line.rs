// SPDX-License-Identifier: GPL-2.0

//! Lines of a stream of bytes, as a write in the style `lines` takes them: each becomes a record, a
//! long one several.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

use crate::pure::{
    entry::{
        Entry,
        EntryError, //
        EntryParser,
    },
    record::{
        array,
        parse_prefix,
        Prefix,
        Priority,
        PREFIX_MAX, //
    }, //
};

/// Where a stream of lines is, between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineParser {
    /// Longest text of one record in bytes, at least 1.
    pub(crate) record_max: usize,
    /// The priority of the line whose beginning is stored already, if there is one.
    pub(crate) continued: Option<Priority>,
}

/// Returns the number of bytes after which it is certain how the first record of a line ends.
pub(crate) const fn partial_max(record_max: usize) -> usize {
    PREFIX_MAX + record_max + 1
}

impl LineParser {
    /// Returns the first record in `data`. If nothing follows, as `at_end` says, that may be a line
    /// without its newline.
    ///
    /// # Errors
    ///
    /// `EntryError::Incomplete`: the end of the record depends on what follows `data`, or `data` is
    /// empty.
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
                Prefix::None | Prefix::Incomplete => (Priority::DEFAULT, data),
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

/// Returns the offset of the first newline in `text`. Looks at 8 bytes at once: a byte at a time
/// takes a tenth of a write.
#[inline]
pub(crate) fn find_newline(text: &[u8]) -> Option<usize> {
    const LOWEST: u64 = u64::from_le_bytes([0x01; 8]);
    const NEWLINES: u64 = u64::from_le_bytes([b'\n'; 8]);
    let mut before = 0;
    for word in text.chunks_exact(8) {
        let zero_if_newline = u64::from_le_bytes(array(word)) ^ NEWLINES;
        // The highest bit of the first byte that is zero is set, and none before it.
        let zeros = zero_if_newline.wrapping_sub(LOWEST) & !zero_if_newline & (LOWEST << 7);
        if zeros != 0 {
            return Some(before + zeros.trailing_zeros() as usize / 8);
        }
        before += 8;
    }
    let found = text[before..].iter().position(|byte| *byte == b'\n')?;
    Some(before + found)
}

/// Returns whether `text` is one line: its first newline is its last byte.
#[inline]
pub(crate) fn is_single_line(text: &[u8]) -> bool {
    text.last() == Some(&b'\n') && find_newline(text) == Some(text.len() - 1)
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_line)]
mod tests {
    use super::*;

    /// Returns what the first record in `data` is: its priority, its text, its size in `data`, and
    /// whether its line goes on.
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

    #[test]
    fn lines_at_their_bounds() {
        let lines = LineParser {
            record_max: 4,
            continued: None,
        };
        for (data, found) in [
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
            assert_eq!(first(lines, data), found);
        }
    }

    /// What continues a line has its priority, and a prefix there is text.
    #[test]
    fn continuations_have_no_prefix() {
        let lines = LineParser {
            record_max: 4,
            continued: Priority::new(9),
        };
        assert_eq!(first(lines, b"<1>\n"), Some((9, &b"<1>"[..], 4, false)));
        let last = lines.parse_line(b"<1>", true);
        assert_eq!(
            last.map(|entry| (entry.text, entry.size)),
            Ok((&b"<1>"[..], 3))
        );
    }

    /// What is left at the end is a record, too, and has no more text than others.
    #[test]
    fn ends_without_newline() {
        let lines = LineParser {
            record_max: 4,
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

    #[test]
    fn newlines_at_each_place() {
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
