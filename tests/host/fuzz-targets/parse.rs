// SPDX-License-Identifier: GPL-2.0

//! Priority prefixes: compares the parser with its reference model.

#![no_main]

include!("modules.rs");

use libfuzzer_sys::fuzz_target;
use pure::record::Priority;

fuzz_target!(|data: &[u8]| {
    let (number, text) = model::parsed(data);
    let parsed = pure::record::parse_text(data, Priority::DEFAULT);
    assert_eq!(parsed, (Priority::new(number).unwrap(), text));
});
