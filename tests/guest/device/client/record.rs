// SPDX-License-Identifier: GPL-2.0

//! Records as the device returns them, in the text format and in the binary format, and entries as
//! a binary write takes them.

/// A record in the text format, parsed and unescaped. Parsing panics unless the format is exactly
/// the documented one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub priority: u16,
    pub seq: u64,
    pub usec: u64,
    /// The record continues the line of an earlier record.
    pub continues: bool,
    pub text: Vec<u8>,
    pub pid: i32,
    pub tid: i32,
    pub uid: u32,
    pub comm: Vec<u8>,
    /// Equal to `uid` if the record has no key OPENER.
    pub opener: u32,
    /// 0 if the record has no key LOST.
    pub lost: u64,
    /// 0 if the record has no key CUT.
    pub cut: usize,
}

impl Record {
    pub fn parse(bytes: &[u8]) -> Self {
        let shown = std::str::from_utf8(bytes).expect("ASCII");
        assert!(shown.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')), "{shown:?}");
        let (head, rest) = shown.split_once(';').expect("a ';' after the header");
        let mut fields = head.split(',');
        let mut number =
            || -> u64 { fields.next().and_then(|field| field.parse().ok()).expect(head) };
        let (priority, seq, usec) = (number() as u16, number(), number());
        let continues = match fields.next() {
            Some("-") => false,
            Some("c") => true,
            _ => panic!("{head}"),
        };
        assert_eq!(fields.next(), None, "{head}");
        assert!(rest.ends_with('\n'), "{shown:?}");
        let mut lines = rest[..rest.len() - 1].split('\n').peekable();
        let text = unescape(lines.next().expect("a text"));
        let mut optional = |key: &str| {
            let value = lines.peek()?.strip_prefix(key)?;
            lines.next();
            Some(value)
        };
        let mut value = |key: &str| optional(key).unwrap_or_else(|| panic!("{key} in {shown:?}"));
        let pid = value(" PID=").parse().expect("a pid");
        let tid = value(" TID=").parse().expect("a tid");
        let uid = value(" UID=").parse().expect("a uid");
        let comm = unescape(value(" COMM="));
        let opener = optional(" OPENER=").map_or(uid, |opener| {
            let opener = opener.parse().expect("a uid");
            assert_ne!(opener, uid, "{shown:?}");
            opener
        });
        let mut count = |key: &str| -> u64 {
            optional(key).map_or(0, |count| {
                assert_ne!(count, "0", "{shown:?}");
                count.parse().expect("a number")
            })
        };
        let (lost, cut) = (count(" LOST="), count(" CUT=") as usize);
        assert_eq!(lines.next(), None, "{shown:?}");
        Self { priority, seq, usec, continues, text, pid, tid, uid, comm, opener, lost, cut }
    }

    /// Parses a record as the style `plain` shows it, without keys.
    pub fn parse_plain(bytes: &[u8]) -> Self {
        let mut bytes = bytes.to_vec();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1, "lines of keys");
        bytes.extend(b" PID=0\n TID=0\n UID=0\n COMM=\n");
        Self::parse(&bytes)
    }

    /// Returns the text, which must be UTF-8.
    pub fn str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("UTF-8")
    }
}

/// Undoes the escapes of the text format.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'\\' {
            let hex = std::str::from_utf8(&tail[1..3]).expect("two digits");
            assert_eq!(tail[0], b'x', "{text}");
            out.push(u8::from_str_radix(hex, 16).expect("hexadecimal digits"));
            rest = &tail[3..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

/// A binary record (`struct umsg_record` and the text). Parsing panics unless the format is exactly
/// the documented one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub priority: u16,
    pub seq: u64,
    pub time_ns: u64,
    pub lost: u64,
    pub pid: u32,
    pub tid: u32,
    pub uid: u32,
    pub opener: u32,
    pub comm: Vec<u8>,
    pub text: Vec<u8>,
    /// The record continues the line of an earlier record.
    pub continues: bool,
}

/// Returns the size of a binary record with `text_len` bytes of text.
pub fn frame_size(text_len: usize) -> usize {
    64 + text_len.next_multiple_of(8)
}

impl Frame {
    pub fn parse_all(mut data: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while !data.is_empty() {
            let word = |at: usize| u32::from_ne_bytes(data[at..at + 4].try_into().expect("4"));
            let long = |at: usize| u64::from_ne_bytes(data[at..at + 8].try_into().expect("8"));
            let half = |at: usize| u16::from_ne_bytes(data[at..at + 2].try_into().expect("2"));
            assert_eq!(data[0], 64, "header_size");
            assert!(data[1] <= 1, "flags");
            let end = 64 + word(4) as usize;
            let size = end.next_multiple_of(8);
            assert!(data[end..size].iter().all(|byte| *byte == 0), "padding");
            let name = &data[48..64];
            let len = name.iter().position(|byte| *byte == 0).unwrap_or(16);
            assert!(name[len..].iter().all(|byte| *byte == 0), "bytes after the name: {name:?}");
            frames.push(Self {
                priority: half(2),
                seq: long(8),
                time_ns: long(16),
                lost: long(24),
                pid: word(32),
                tid: word(36),
                uid: word(40),
                opener: word(44),
                comm: name[..len].to_vec(),
                text: data[64..end].to_vec(),
                continues: data[1] == 1,
            });
            data = &data[size..];
        }
        frames
    }
}

/// Returns a `struct umsg_entry` with its text.
pub fn entry(priority: u16, text: &[u8]) -> Vec<u8> {
    raw_entry(8, priority, text.len() as u32, text)
}

/// Returns an entry with any values in its header, and `text` after the header.
pub fn raw_entry(header_size: u16, priority: u16, text_size: u32, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(header_size.to_ne_bytes());
    out.extend(priority.to_ne_bytes());
    out.extend(text_size.to_ne_bytes());
    out.extend(text);
    out.resize(out.len().next_multiple_of(8), 0xee);
    out
}
