// SPDX-License-Identifier: GPL-2.0

//! The text format: compares it with its reference model. The input is the stored header, the
//! number of lost records, the chunk at which the sink fails, and the text.

#![no_main]

include!("modules.rs");

use libfuzzer_sys::fuzz_target;
use pure::kmsg_format::{Keys, KmsgFormat};
use pure::record::{Header, Ids, Priority, Writer, HEADER_SIZE};

fuzz_target!(|data: &[u8]| {
    let Some((stored, rest)) = data.split_first_chunk::<HEADER_SIZE>() else {
        return;
    };
    let Some((&[lost, fail_at], text)) = rest.split_first_chunk::<2>() else {
        return;
    };
    let word = |at: usize| u32::from_ne_bytes(stored[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_ne_bytes(stored[at..at + 8].try_into().unwrap());
    let Some(priority) = Priority::new(word(20) as u16) else {
        return;
    };
    let header = Header {
        seq: long(0),
        time_ns: long(8),
        text_len: text.len() as u32,
        priority,
        continues: stored[16] & 1 != 0,
        writer: Writer {
            ids: Ids { pid: word(24), tid: word(28), uid: word(32), opener: word(36) },
            comm: stored[40..56].try_into().unwrap(),
        },
    };
    let number = word(20) as u16;
    let number = if number < 8 { number + 8 } else { number };
    assert_eq!(Header::decode(&header.encode()), header);

    // An odd number selects the format without keys.
    let lost = (lost % 2 == 0).then_some(u64::from(lost));
    let format = KmsgFormat::new(&header, text, lost.map_or(Keys::None, Keys::All));
    let mut out = Vec::new();
    let mut chunks = 0;
    assert!(format.write(|chunk| {
        chunks += 1;
        out.extend_from_slice(chunk);
        true
    }));
    assert_eq!(out.len(), format.len());
    assert_eq!(String::from_utf8(out).unwrap(), model::text_format(number, &header, text, lost));

    // Truncate the text, because the model tries every length.
    let text = &text[..text.len().min(200)];
    let room = usize::from(stored[17]) * 4;
    let mut fitted = KmsgFormat::new(&header, text, lost.map_or(Keys::None, Keys::All));
    let mut out = Vec::new();
    let fits = fitted.fit(room);
    assert!(
        !fits
            || fitted.write(|chunk| {
                out.extend_from_slice(chunk);
                true
            })
    );
    let got = fits.then(|| String::from_utf8(out).unwrap());
    assert_eq!(got, model::fitted(number, &header, text, lost, room));

    let fail_at = usize::from(fail_at);
    let mut calls = 0;
    let complete = format.write(|_| {
        calls += 1;
        calls <= fail_at
    });
    assert_eq!(complete, chunks <= fail_at);
    assert_eq!(calls, chunks.min(fail_at + 1));
});
