// SPDX-License-Identifier: GPL-2.0

//! What a writer gives, split into priority and text, against the same written a second time.

#![no_main]

#[path = "../../../src/kernel/buffer.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod buffer;
#[path = "../../model.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod model;
#[path = "../../../src/record.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod record;
#[path = "../../../src/ring.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod ring;
#[path = "../../../src/value.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod value;

use libfuzzer_sys::fuzz_target;
use record::Priority;

fuzz_target!(|data: &[u8]| {
    let (number, text) = model::parsed(data);
    assert_eq!(record::parse(data), (Priority::new(number).unwrap(), text));
});
