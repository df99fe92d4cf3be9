// SPDX-License-Identifier: GPL-2.0

//! Lines: compares the records of a stream with the reference model. The input is `record_max`, the
//! sizes of the first writes, and the stream.

#![no_main]

include!("modules.rs");

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[record_max, sizes @ ..], stream)) = data.split_first_chunk::<9>() else {
        return;
    };
    let record_max = usize::from(record_max) + 1;
    let mut writes = Vec::new();
    let mut rest = stream;
    for size in sizes {
        let (write, more) = rest.split_at(usize::from(size).min(rest.len()));
        writes.push(write);
        rest = more;
    }
    writes.push(rest);
    assert_eq!(model::split_lines(&writes, record_max), model::lines(stream, record_max));
});
