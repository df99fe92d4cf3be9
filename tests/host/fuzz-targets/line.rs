// SPDX-License-Identifier: GPL-2.0

//! A stream of bytes as the records of its lines, against the same written a second time. The input
//! is the longest text of a record, then the sizes of the first writes, then the stream.

#![no_main]

#[path = "../model/mod.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod model;
#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod sys;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[record_max, sizes @ ..], stream)) = data.split_first_chunk::<9>() else {
        return;
    };
    let record_max = usize::from(record_max) + 1;
    let mut pieces = Vec::new();
    let mut rest = stream;
    for size in sizes {
        let (piece, more) = rest.split_at(usize::from(size).min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    assert_eq!(model::split_lines(&pieces, record_max), model::lines(stream, record_max));
});
