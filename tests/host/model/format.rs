// SPDX-License-Identifier: GPL-2.0

//! A reference model of the text format.

use crate::pure::record::{Header, Ids, Writer};

/// Escapes `text` as the text format does.
pub fn escaped(text: &[u8]) -> String {
    text.iter()
        .map(|&byte| match byte {
            b'\\' => "\\x5c".to_string(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}

/// Returns the text format of a record with the priority `number`. The record has no keys if `lost`
/// is `None`.
pub fn text_format(number: u16, header: &Header, text: &[u8], lost: Option<u64>) -> String {
    truncated_text_format(number, header, text, lost, 0)
}

/// Implements `text_format()`. Leaves out the last `cut` bytes of `text`.
fn truncated_text_format(
    number: u16,
    header: &Header,
    text: &[u8],
    lost: Option<u64>,
    cut: usize,
) -> String {
    let Writer { ids: Ids { pid, tid, uid, opener }, comm } = header.writer;
    let name = escaped(comm.split(|&byte| byte == 0).next().unwrap());
    let flag = if header.continues { 'c' } else { '-' };
    let text = escaped(&text[..text.len() - cut]);
    let mut record = format!("{number},{},{},{flag};{text}\n", header.seq, header.time_ns / 1000);
    let Some(lost) = lost else {
        return record;
    };
    record += &format!(" PID={pid}\n TID={tid}\n UID={uid}\n COMM={name}\n");
    if opener != uid {
        record += &format!(" OPENER={opener}\n");
    }
    if lost > 0 {
        record += &format!(" LOST={lost}\n");
    }
    if cut > 0 {
        record += &format!(" CUT={cut}\n");
    }
    record
}

/// Returns a record as a read with a buffer of `room` bytes does, with as much of the text as fits.
/// Returns `None` if the head and the keys alone do not fit.
pub fn fitted(
    number: u16,
    header: &Header,
    text: &[u8],
    lost: Option<u64>,
    room: usize,
) -> Option<String> {
    let whole = text_format(number, header, text, lost);
    if whole.len() <= room {
        return Some(whole);
    }
    // A truncated record must leave space for a CUT number with as many digits as the text length.
    let spare = |cut: usize| match lost {
        Some(_) => text.len().to_string().len() - cut.to_string().len(),
        None => 0,
    };
    (1..=text.len())
        .map(|cut| (cut, truncated_text_format(number, header, text, lost, cut)))
        .find(|(cut, record)| record.len() + spare(*cut) <= room)
        .map(|(_, record)| record)
}
