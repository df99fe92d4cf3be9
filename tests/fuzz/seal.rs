// SPDX-License-Identifier: GPL-2.0

//! What is written, so that whoever reads it can tell that it is whole and whose it is.
//!
//! A sealed text is `SEAL`, the priority that the record has to have, the thread that wrote it, its
//! user, any bytes, and a checksum over all of that. No other text begins with `SEAL`.

use crate::abi::{Frame, Record};
use crate::calls::Content;

const MARK: &[u8] = b"SEAL";
/// Length of all but the bytes in the middle.
pub const LEAST: usize = 4 + 4 + 8 + 1 + 16;

/// Who writes a sealed text.
#[derive(Clone, Copy)]
pub struct Author {
    /// 0: somebody in the kernel, on behalf of the program.
    pub tid: u32,
    pub nobody: bool,
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The priority that a record gets when `given` stands before its text: the kernel's facility is
/// nobody's to give.
fn effective(given: Option<u16>) -> u16 {
    match given {
        None => 14,
        Some(level @ 0..8) => 8 + level,
        Some(priority) => priority,
    }
}

/// Makes `text`, which has at least [`LEAST`] bytes, a sealed one.
pub fn seal(text: &mut [u8], priority: Option<u16>, author: Author) {
    let len = text.len();
    let head =
        format!("SEAL{:04x}{:08x}{}", effective(priority), author.tid, u8::from(author.nobody));
    text[..head.len()].copy_from_slice(head.as_bytes());
    let (body, sum) = text.split_at_mut(len - 16);
    for (i, byte) in body[head.len()..].iter_mut().enumerate() {
        // Every value, the most of them plain.
        *byte = if i % 8 == 0 { (i * 31 + len) as u8 } else { b'a' + (i % 26) as u8 };
    }
    sum.copy_from_slice(format!("{:016x}", checksum(body)).as_bytes());
}

/// Fills `out`, all of one write in text form, with `content`. In binary form none of it is a good
/// entry.
pub fn fill(out: &mut [u8], content: Content, author: Author) {
    let len = out.len();
    match content {
        Content::Sealed { priority, newline } => {
            let prefix = priority.map_or(String::new(), |priority| format!("<{priority}>"));
            let Some(text_len) = len
                .checked_sub(prefix.len() + usize::from(newline))
                .filter(|text_len| *text_len >= LEAST)
            else {
                return fill(out, Content::Raw { prefix: 7 }, author);
            };
            out[..prefix.len()].copy_from_slice(prefix.as_bytes());
            if newline {
                out[len - 1] = b'\n';
            }
            seal(&mut out[prefix.len()..][..text_len], priority, author);
        }
        // `entries.rs` writes these.
        Content::Entries { .. } => unreachable!("not one text"),
        Content::Raw { prefix } => {
            let head: &[u8] = match prefix % 10 {
                0 => b"<",
                1 => b"<14>",
                2 => b"\n",
                3 => b"<2048>",
                4 => b"<0007>",
                5 => b"<00007>",
                6 => b"<7",
                7 => b"r",
                8 => b"\0\xff\\",
                _ => b"<>",
            };
            for (i, byte) in out.iter_mut().enumerate() {
                *byte = match head.get(i) {
                    Some(byte) => *byte,
                    None if prefix & 0x80 != 0 => b'\n',
                    None => b'r'.wrapping_add((i as u8).wrapping_mul(prefix)),
                };
            }
        }
    }
}

/// The length of the text that a write of `data` is to store: the README's words on `write`.
pub fn text_len(data: &[u8]) -> usize {
    let mut text = data;
    if let [b'<', rest @ ..] = data {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&rest[..digits]).expect("digits").parse::<u16>();
        if (1..=4).contains(&digits)
            && rest.get(digits) == Some(&b'>')
            && number.is_ok_and(|n| n <= 2047)
        {
            text = &rest[digits + 1..];
        }
    }
    text.len() - usize::from(text.last() == Some(&b'\n'))
}

/// The record of a frame.
pub fn of_frame(frame: Frame) -> Record {
    Record {
        priority: frame.priority,
        seq: frame.seq,
        usec: frame.time_ns / 1000,
        lost: frame.lost,
        text: frame.text,
        pid: frame.pid as i32,
        tid: frame.tid as i32,
        uid: frame.uid,
        comm: frame.comm,
    }
}

/// Checks what can be checked of a record that some thread of ours wrote.
pub fn check(record: &Record, record_max: usize) {
    assert!(record.text.len() <= record_max, "{} bytes of text", record.text.len());
    assert!((8..2048).contains(&record.priority), "priority {}", record.priority);
    assert!(record.pid > 0 && record.tid > 0, "written by {}/{}", record.pid, record.tid);
    assert!([0, NOBODY].contains(&record.uid), "written by user {}", record.uid);
    if !record.text.starts_with(MARK) {
        return;
    }
    let (body, sum) = record.text.split_at(record.text.len() - 16);
    assert_eq!(format!("{:016x}", checksum(body)).as_bytes(), sum, "record {} is torn", record.seq);
    let head = std::str::from_utf8(&body[4..17]).expect("a head");
    let number = |word| u32::from_str_radix(word, 16).expect("a number");
    assert_eq!(u32::from(record.priority), number(&head[..4]), "priority");
    let tid = number(&head[4..12]);
    if tid != 0 {
        assert_eq!(record.tid as u32, tid, "the thread of record {}", record.seq);
    }
    assert_eq!(record.uid == NOBODY, &head[12..] == "1", "the user of record {}", record.seq);
}

/// The user id of nobody.
pub const NOBODY: u32 = 65534;
