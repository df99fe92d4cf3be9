// SPDX-License-Identifier: GPL-2.0

//! Binary entries: compares the parser with its reference model.

#![no_main]

include!("modules.rs");

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Parse one entry after the other, as a write does.
    let mut left = data;
    loop {
        model::check_entry(left, 100);
        match pure::entry::Entry::parse(left, 100) {
            Ok(entry) => left = &left[entry.size..],
            Err(_) => break,
        }
    }
});
