// SPDX-License-Identifier: GPL-2.0

//! What a writer gives, split into priority and text, against the same written a second time.

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
use pure::record::Priority;

fuzz_target!(|data: &[u8]| {
    let (number, text) = model::parsed(data);
    assert_eq!(pure::record::parse_text(data), (Priority::new(number).unwrap(), text));
});
