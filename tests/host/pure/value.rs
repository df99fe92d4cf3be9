// SPDX-License-Identifier: GPL-2.0

//! Tests of the values of parameters.

use crate::pure::ring::Policy;
use crate::pure::style::Style;
use crate::pure::value::{join, joined_len, AsciiStr, Minor, Mode, ParamValue, Size};
use proptest::prelude::*;

fn parse<T: ParamValue>(text: &[u8]) -> Option<T> {
    let mut value = T::INIT;
    value.parse_from(text).then_some(value)
}

fn show<T: ParamValue>(value: &T) -> String {
    let mut out = String::new();
    value.show(&mut out).unwrap();
    out
}

/// Parses a size. A reference model of [`Size`].
fn size_model(text: &str) -> Option<usize> {
    let (number, factor) = match text.chars().last()? {
        'k' | 'K' => (&text[..text.len() - 1], 1u128 << 10),
        'm' | 'M' => (&text[..text.len() - 1], 1 << 20),
        'g' | 'G' => (&text[..text.len() - 1], 1 << 30),
        't' | 'T' => (&text[..text.len() - 1], 1 << 40),
        _ => (text, 1),
    };
    let (radix, digits) = match number.strip_prefix("0x").or(number.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None => (10, number),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let value = u128::from_str_radix(digits, radix).ok()?.checked_mul(factor)?;
    usize::try_from(value).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn sizes_survive_show_and_parse(bytes: usize, shift in 0..64u32) {
        let size = Size(bytes >> shift);
        prop_assert_eq!(parse::<Size>(show(&size).as_bytes()), Some(size));
    }

    #[test]
    fn sizes_match_the_model(text in "(0x|0X)?[0-9a-fA-F]{0,18}[kKmMgGtTxb ]{0,2}") {
        prop_assert_eq!(parse::<Size>(text.as_bytes()).map(|size| size.0), size_model(&text));
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        if let Some(value) = parse::<Size>(&bytes) {
            prop_assert_eq!(parse::<Size>(show(&value).as_bytes()), Some(value));
        }
        if let Some(value) = parse::<Mode>(&bytes) {
            prop_assert_eq!(parse::<Mode>(show(&value).as_bytes()), Some(value));
        }
        if let Some(value) = parse::<bool>(&bytes) {
            prop_assert_eq!(parse::<bool>(show(&value).as_bytes()), Some(value));
        }
        if let Some(value) = parse::<Policy>(&bytes) {
            prop_assert_eq!(show(&value).into_bytes(), bytes.clone());
        }
        if let Some(value) = parse::<Style>(&bytes) {
            prop_assert_eq!(show(&value).into_bytes(), bytes.clone());
        }
        let text = parse::<AsciiStr<16>>(&bytes);
        let fits = bytes.len() <= 16 && bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
        prop_assert_eq!(text.is_some(), fits);
        if let Some(text) = text {
            prop_assert!(text.is_within("", ""));
            prop_assert_eq!(show(&text).into_bytes(), bytes.clone());
        }
        let truncated = AsciiStr::<16>::truncate_from(&bytes);
        prop_assert_eq!(truncated.as_str().len(), bytes.len().min(16));
    }
}

#[test]
fn styles_have_their_names_and_numbers() {
    for (name, number) in [("lines", 0), ("kmsg", 1), ("plain", 2)] {
        let style: Style = parse(name.as_bytes()).unwrap();
        assert_eq!((style.number(), Style::new(number)), (number, Some(style)));
        assert_eq!(show(&style), name);
    }
    assert_eq!(Style::new(3), None);
    assert_eq!(parse::<Style>(b"Lines"), None);
}

#[test]
fn strings_are_joined() {
    const PARTS: &[&str] = &["parm=", "", "name:", "\0"];
    assert_eq!(joined_len(PARTS), 11);
    assert_eq!(&join::<11>(PARTS), b"parm=name:\0");
}

#[test]
fn every_minor() {
    for number in 0..1000u32 {
        let minor = parse::<Minor>(number.to_string().as_bytes());
        let want = u8::try_from(number).ok().filter(|number| (243..=254).contains(number));
        assert_eq!(minor, want.map(|number| Minor(Some(number))));
        assert!(minor.is_none_or(|minor| show(&minor) == number.to_string()));
    }
    assert_eq!(parse(b"dynamic"), Some(Minor(None)));
    assert_eq!(show(&Minor(None)), "dynamic");
    for bad in ["", "dynami", "Dynamic", "0xf", "-243", "250 "] {
        assert_eq!(parse::<Minor>(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn every_mode() {
    for bits in 0..=u16::MAX {
        let mode = Mode(bits);
        assert_eq!(parse::<Mode>(show(&mode).as_bytes()), Some(mode));
        assert_eq!(mode.is_within("0001", "0777"), (1..=0o777).contains(&bits));
    }
    for bad in ["", "8", "200000", "0x1", "-1", " 1", "1 "] {
        assert_eq!(parse::<Mode>(bad.as_bytes()), None, "{bad}");
    }
}
