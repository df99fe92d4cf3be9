// SPDX-License-Identifier: GPL-2.0

//! Reference models of written data: priorities, lines and binary entries.

use crate::pure::entry::{EntryError, EntryParser};
use crate::pure::line::LineParser;
use crate::pure::record::Priority;

/// Models [`crate::pure::record::parse_text`]. Returns the priority as a number.
pub fn parsed(data: &[u8]) -> (u16, &[u8]) {
    let close = data.iter().take(6).position(|&byte| byte == b'>').unwrap_or(0);
    let digits = data.get(1..close).unwrap_or_default();
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|_| data.starts_with(b"<") && digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| digits.parse().ok())
        .filter(|&number| number < 2048);
    let (priority, text) = match number {
        Some(number @ 0..=7) => (number + 8, &data[close + 1..]),
        Some(number) => (number, &data[close + 1..]),
        None => (14, data),
    };
    (priority, if text.ends_with(b"\n") { &text[..text.len() - 1] } else { text })
}

/// Models [`crate::pure::entry::Entry::parse`]. Returns priority, text and size, `None` for an
/// incomplete entry, or the reason why the entry is invalid.
#[allow(clippy::type_complexity, reason = "it is used once")]
pub fn entry(data: &[u8], record_max: usize) -> Result<Option<(u16, &[u8], usize)>, &'static str> {
    let number = |at: usize, len: usize| {
        data[at..at + len].iter().rev().fold(0, |sum, byte| sum * 256 + usize::from(*byte))
    };
    if data.len() < 8 {
        return Ok(None);
    }
    let (header, reserved, priority, len) =
        (number(0, 1), number(1, 1), number(2, 2), number(4, 4));
    if reserved != 0 || ![8, 16, 24, 32, 40, 48, 56, 64].contains(&header) || priority > 2047 {
        return Err("a field");
    }
    if len > record_max {
        return Err("the length");
    }
    let size = header + len.div_ceil(8) * 8;
    if data.len() < size {
        return Ok(None);
    }
    if data[8..header].iter().any(|&byte| byte != 0) {
        return Err("unknown fields");
    }
    let priority = if priority < 8 { priority + 8 } else { priority };
    Ok(Some((priority as u16, &data[header..header + len], size)))
}

/// Checks that [`crate::pure::entry::Entry::parse`] agrees with [`entry`].
pub fn check_entry(data: &[u8], record_max: usize) {
    use crate::pure::entry::{BinaryParser, Entry, EntryError};
    let got = BinaryParser { record_max }.parse(data);
    match entry(data, record_max) {
        Ok(Some((priority, text, size))) => {
            let priority = Priority::new(priority).unwrap();
            let want = Entry { priority, continues: false, is_continued: false, text, size };
            assert_eq!(got, Ok(want));
        }
        Ok(None) => assert_eq!(got, Err(EntryError::Incomplete)),
        Err("the length") => assert_eq!(got, Err(EntryError::TooLong)),
        Err(_) => assert_eq!(got, Err(EntryError::Invalid)),
    }
}

/// A record of a stream: priority, whether it continues a line, text.
pub type Line = (u16, bool, Vec<u8>);

/// Returns the records of a stream that is written at once.
pub fn lines(stream: &[u8], record_max: usize) -> Vec<Line> {
    let mut records = Vec::new();
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        let (priority, text) = parsed(line);
        let chunks: Vec<&[u8]> = text.chunks(record_max).collect();
        if chunks.is_empty() {
            records.push((priority, false, Vec::new()));
        }
        for (index, chunk) in chunks.into_iter().enumerate() {
            records.push((priority, index > 0, chunk.to_vec()));
        }
    }
    records
}

/// Returns the records that [`LineParser`] makes of a stream in these writes. Bytes that a write
/// leaves are passed again together with the next write.
pub fn split_lines(writes: &[&[u8]], record_max: usize) -> Vec<Line> {
    let mut lines = LineParser { record_max, default: Priority::DEFAULT, continued: None };
    let mut records = Vec::new();
    let mut left = Vec::new();
    let mut take = |left: &mut Vec<u8>, is_all: bool| {
        while let Ok(entry) = if is_all { lines.parse_line(left, true) } else { lines.parse(left) }
        {
            assert!(entry.text.len() <= record_max && entry.size > 0);
            records.push((entry.priority.value(), entry.continues, entry.text.to_vec()));
            lines.entry_stored(&entry);
            let size = entry.size;
            left.drain(..size);
        }
        assert_eq!(lines.parse_line(left, is_all), Err(EntryError::Incomplete));
    };
    for write in writes {
        left.extend_from_slice(write);
        take(&mut left, false);
        assert!(
            left.len() < crate::pure::line::partial_max(record_max),
            "{left:?} is too long to be kept"
        );
    }
    take(&mut left, true);
    assert!(left.is_empty());
    records
}
