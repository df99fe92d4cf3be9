// SPDX-License-Identifier: GPL-2.0

//! What a writer gives in binary form, against the same written a second time.

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
    // As a write goes through them, one after the other.
    let mut left = data;
    loop {
        model::check_entry(left, 100);
        match pure::entry::Entry::parse(left, 100) {
            Ok(entry) => left = &left[entry.size..],
            Err(_) => break,
        }
    }
});
