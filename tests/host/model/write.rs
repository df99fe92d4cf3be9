// SPDX-License-Identifier: GPL-2.0

//! Reference models of written data: priorities, lines and binary entries.

use crate::pure::entry::{EntryError, EntryParser};
use crate::pure::line::LineParser;
use crate::pure::record::Priority;

/// A simple model of [`crate::pure::record::parse_text`]; the priority is a number.
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

/// What [`crate::pure::entry::Entry::first`] gives, by a simple model: priority, text, size; or
/// `None` when the data ends too soon, and a reason when it is wrong.
#[allow(clippy::type_complexity, reason = "it is read once")]
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
        return Err("what is not known");
    }
    let priority = if priority < 8 { priority + 8 } else { priority };
    Ok(Some((priority as u16, &data[header..header + len], size)))
}

/// Holds [`crate::pure::entry::Entry::first`] against [`entry`].
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

/// A record that the lines of a stream are to become, written a second time: priority, whether it
/// continues a line, text.
pub type Line = (u16, bool, Vec<u8>);

/// What a stream of bytes is to become, all of it at once, written a second time.
pub fn lines(stream: &[u8], record_max: usize) -> Vec<Line> {
    let mut records = Vec::new();
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        let (priority, text) = parsed(line);
        let pieces: Vec<&[u8]> = text.chunks(record_max).collect();
        if pieces.is_empty() {
            records.push((priority, false, Vec::new()));
        }
        for (index, piece) in pieces.into_iter().enumerate() {
            records.push((priority, index > 0, piece.to_vec()));
        }
    }
    records
}

/// Passes the stream to [`LineParser`] in these pieces, as writes do, and returns the records. What
/// is left over of one piece is passed again with the next one.
pub fn split_lines(pieces: &[&[u8]], record_max: usize) -> Vec<Line> {
    let mut lines = LineParser { record_max, continued: None };
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
    for piece in pieces {
        left.extend_from_slice(piece);
        take(&mut left, false);
        assert!(left.len() < crate::pure::line::partial_max(record_max), "{left:?} is undecided");
    }
    take(&mut left, true);
    assert!(left.is_empty());
    records
}
