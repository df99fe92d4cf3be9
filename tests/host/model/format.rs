// SPDX-License-Identifier: GPL-2.0

//! A reference model of the text format.

use crate::pure::record::{Header, Ids, Writer};

/// The escaping of the text form, written a second time in the plainest way.
pub fn escaped(text: &[u8]) -> String {
    text.iter()
        .map(|&byte| match byte {
            b'\\' => "\\x5c".to_string(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}

/// The text form of a record, `number` its priority, written a second time; without keys if `lost`
/// is `None`.
pub fn text_form(number: u16, header: &Header, text: &[u8], lost: Option<u64>) -> String {
    text_form_cut(number, header, text, lost, 0)
}

/// The same, without so many bytes at the end of `text`.
fn text_form_cut(
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
    let mut form = format!("{number},{},{},{flag};{text}\n", header.seq, header.time_ns / 1000);
    let Some(lost) = lost else {
        return form;
    };
    form += &format!(" PID={pid}\n TID={tid}\n UID={uid}\n COMM={name}\n");
    if opener != uid {
        form += &format!(" OPENER={opener}\n");
    }
    if lost > 0 {
        form += &format!(" LOST={lost}\n");
    }
    if cut > 0 {
        form += &format!(" CUT={cut}\n");
    }
    form
}

/// What a reader with `room` bytes is to get of a record, written a second time; `None` if there is
/// not even room for what is around the text.
pub fn fitted(
    number: u16,
    header: &Header,
    text: &[u8],
    lost: Option<u64>,
    room: usize,
) -> Option<String> {
    let whole = text_form(number, header, text, lost);
    if whole.len() <= room {
        return Some(whole);
    }
    // Where it is cut, there must be room for a number as long as that of all bytes.
    let spare = |cut: usize| match lost {
        Some(_) => text.len().to_string().len() - cut.to_string().len(),
        None => 0,
    };
    (1..=text.len())
        .map(|cut| (cut, text_form_cut(number, header, text, lost, cut)))
        .find(|(cut, form)| form.len() + spare(*cut) <= room)
        .map(|(_, form)| form)
}
