// SPDX-License-Identifier: GPL-2.0

//! Values of parameters: checks that a valid value is shown in a form that parses to the same
//! value.

#![no_main]

include!("modules.rs");

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
