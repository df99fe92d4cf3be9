// SPDX-License-Identifier: GPL-2.0

//! What a parameter is given: every kind of value shows itself in a form that parses to the same.

#![no_main]

#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod sys;

use libfuzzer_sys::fuzz_target;
use pure::value::{AsciiStr, Mode, ParamValue, Size};

fn round_trip<T: ParamValue + std::fmt::Debug>(text: &[u8]) {
    let (mut given, mut again) = (T::INIT, T::INIT);
    if given.parse_from(text) {
        let mut shown = String::new();
        given.show(&mut shown).unwrap();
        assert!(again.parse_from(shown.as_bytes()), "{shown}");
        assert!(given == again, "{given:?} {again:?}");
    }
}

fuzz_target!(|text: &[u8]| {
    round_trip::<Size>(text);
    round_trip::<Mode>(text);
    round_trip::<bool>(text);
    round_trip::<AsciiStr<32>>(text);
});
