// SPDX-License-Identifier: GPL-2.0

//! The types of values of parameters: how each is parsed and shown. A shown value parses to the
//! same value.

use core::fmt::{
    self,
    Write, //
};

/// A type of value.
pub(crate) trait ParamValue: PartialOrd + Sized + 'static {
    /// The name of the type in `modinfo`.
    const TYPE: &'static str;

    /// The initial value of a parameter, before it is set.
    const INIT: Self;

    /// How a value is written. Ends the message about an invalid one.
    const FORM: &'static str = "";

    /// The value of a parameter that is given without `=`; `None` if that is invalid.
    const NO_ARG_VALUE: Option<&'static str> = None;

    /// The first bytes of texts that are not values but changes, such as `+NAME`. Only a write
    /// through sysfs can contain a change.
    const CHANGE_PREFIXES: &'static [u8] = b"";

    /// Parses `text`, which has no white space around it, into `self`. Returns whether it is valid;
    /// if not, `self` is unspecified.
    fn parse_from(&mut self, text: &[u8]) -> bool;

    /// Returns whether the value is at least `min` and at most `max`, which are texts for
    /// `parse_from`.
    fn is_within(&self, min: &str, max: &str) -> bool {
        let (mut least, mut most) = (Self::INIT, Self::INIT);
        least.parse_from(min.as_bytes())
            && most.parse_from(max.as_bytes())
            && (least..=most).contains(self)
    }

    /// Writes the value as a text that parses to the same value.
    fn show(&self, out: &mut dyn Write) -> fmt::Result;
}

/// Assigns `value` to `slot` unless it is `None`. Returns whether it did.
fn assign<T>(slot: &mut T, value: Option<T>) -> bool {
    value.map(|value| *slot = value).is_some()
}

/// Parses a number of at most 64 bits: decimal digits, or `0x` and hexadecimal digits.
fn parse_number(text: &[u8]) -> Option<u64> {
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        _ => (10, text),
    };
    // `from_str_radix` accepts a sign.
    if !digits.first()?.is_ascii_hexdigit() {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, radix).ok()
}

/// A number of bytes. The suffixes K, M, G and T multiply by powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Size(pub(crate) usize);

const UNITS: [(u8, u32); 4] = [(b'T', 40), (b'G', 30), (b'M', 20), (b'K', 10)];

impl Size {
    fn parse(text: &[u8]) -> Option<Self> {
        let (&last, front) = text.split_last()?;
        let unit = UNITS
            .iter()
            .find(|(letter, _)| *letter == last.to_ascii_uppercase());
        let bytes = match unit {
            Some((_, shift)) => parse_number(front)?.checked_mul(1 << shift)?,
            None => parse_number(text)?,
        };
        usize::try_from(bytes).ok().map(Self)
    }
}

impl ParamValue for Size {
    const TYPE: &'static str = "size";
    const INIT: Self = Self(0);
    const FORM: &'static str = ", in bytes or with K, M, G or T";

    fn parse_from(&mut self, text: &[u8]) -> bool {
        assign(self, Self::parse(text))
    }

    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        let bytes = self.0 as u64;
        let unit = UNITS
            .iter()
            .find(|(_, shift)| bytes != 0 && bytes % (1 << shift) == 0);
        match unit {
            Some((letter, shift)) => write!(out, "{}{}", bytes >> shift, char::from(*letter)),
            None => write!(out, "{bytes}"),
        }
    }
}

/// Permission bits, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Mode(pub(crate) u16);

impl ParamValue for Mode {
    const TYPE: &'static str = "mode";
    const INIT: Self = Self(0);

    fn parse_from(&mut self, text: &[u8]) -> bool {
        let octal = |value: u16, digit: &u8| match digit {
            b'0'..=b'7' => value.checked_mul(8)?.checked_add(u16::from(digit - b'0')),
            _ => None,
        };
        !text.is_empty() && assign(self, text.iter().try_fold(0, octal).map(Self))
    }

    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{:04o}", self.0)
    }
}

/// A minor number of a device node, or `None` for a dynamic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Minor(pub(crate) Option<u8>);

impl Minor {
    /// The lowest minor number that is reserved for local use
    /// (`Documentation/admin-guide/devices.txt`).
    const MIN: u8 = 243;

    /// The highest one.
    pub(crate) const MAX: u8 = 254;
}

impl ParamValue for Minor {
    const TYPE: &'static str = "minor";
    const INIT: Self = Self(None);

    fn parse_from(&mut self, text: &[u8]) -> bool {
        *self = Self(match text {
            b"dynamic" => None,
            _ => parse_number(text).and_then(|number| u8::try_from(number).ok()),
        });
        self.0
            .is_none_or(|number| (Self::MIN..=Self::MAX).contains(&number))
            && (self.0.is_some() || text == b"dynamic")
    }

    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        match self.0 {
            Some(number) => write!(out, "{number}"),
            None => out.write_str("dynamic"),
        }
    }
}

/// A boolean. Accepts whole words of the kernel's own boolean parameters (`kstrtobool()`), which
/// itself looks only at the first characters.
impl ParamValue for bool {
    const TYPE: &'static str = "bool";
    const INIT: Self = false;
    const NO_ARG_VALUE: Option<&'static str> = Some("y");

    fn parse_from(&mut self, text: &[u8]) -> bool {
        const YES: [&[u8]; 6] = [b"y", b"yes", b"1", b"on", b"t", b"true"];
        const NO: [&[u8]; 6] = [b"n", b"no", b"0", b"off", b"f", b"false"];
        let among = |words: &[&[u8]]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        *self = among(&YES);
        *self || among(&NO)
    }

    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_char(if *self { 'Y' } else { 'N' })
    }
}

/// A text of at most `N` bytes of printable ASCII, stored inline.
#[derive(Debug, PartialEq, PartialOrd)]
pub(crate) struct AsciiStr<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> AsciiStr<N> {
    /// Copies as much of `text` as fits. Bytes outside printable ASCII become `?`.
    pub(crate) const fn truncate_from(text: &[u8]) -> Self {
        let mut bytes = [0; N];
        let mut len = 0;
        while len < N && len < text.len() {
            bytes[len] = match text[len] {
                byte @ b' '..=b'~' => byte,
                _ => b'?',
            };
            len += 1;
        }
        Self { bytes, len }
    }

    /// Returns the text as bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Returns the text as a string.
    pub(crate) fn as_str(&self) -> &str {
        // The text is ASCII, which is valid UTF-8.
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }
}

impl<const N: usize> ParamValue for AsciiStr<N> {
    const TYPE: &'static str = "text";
    const CHANGE_PREFIXES: &'static [u8] = b"+-";

    const INIT: Self = Self {
        bytes: [0; N],
        len: 0,
    };

    fn parse_from(&mut self, text: &[u8]) -> bool {
        let Some(dest) = self.bytes.get_mut(..text.len()) else {
            return false;
        };
        dest.copy_from_slice(text);
        self.len = text.len();
        text.iter().all(|byte| matches!(byte, b' '..=b'~'))
    }

    fn is_within(&self, _min: &str, _max: &str) -> bool {
        true
    }

    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Concatenates strings at compile time, for `.modinfo`. `N` must be their total length.
pub(crate) const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut out = [0; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            out[at] = bytes[i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == N);
    out
}

/// Returns the total length of strings, for [`join`].
pub(crate) const fn joined_len(parts: &[&str]) -> usize {
    let (mut len, mut part) = (0, 0);
    while part < parts.len() {
        len += parts[part].len();
        part += 1;
    }
    len
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_value)]
mod tests {
    use super::*;

    /// Parses `text`.
    fn read<V: ParamValue>(text: &[u8]) -> Option<V> {
        let mut value = V::INIT;
        value.parse_from(text).then_some(value)
    }

    /// Returns whether `value` is shown as `text`.
    fn is_shown<V: ParamValue>(value: V, text: &str) -> bool {
        let mut shown = AsciiStr::<32>::INIT;
        value.show(&mut shown).is_ok() && shown.as_str() == text
    }

    impl<const N: usize> Write for AsciiStr<N> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = self.len + text.len();
            let dest = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
            dest.copy_from_slice(text.as_bytes());
            self.len = end;
            Ok(())
        }
    }

    /// Checks the largest sizes, and that other texts are rejected.
    #[test]
    fn size_bounds() {
        assert_eq!(read(b"0"), Some(Size(0)));
        assert_eq!(read(b"18446744073709551615"), Some(Size(usize::MAX)));
        assert_eq!(read::<Size>(b"18446744073709551616"), None);
        assert_eq!(read(b"16777215T"), Some(Size(16777215 << 40)));
        assert_eq!(read::<Size>(b"16777216T"), None);
        assert_eq!(read(b"0x10k"), Some(Size(16384)));
        for text in [
            &b""[..],
            b"K",
            b"-1",
            b"+1",
            b"1KK",
            b"1 K",
            b"0x",
            b"1.5M",
            b"1B",
        ] {
            assert_eq!(read::<Size>(text), None);
        }
    }

    /// Checks that a size is shown with the largest suffix that divides it.
    #[test]
    fn size_is_shown_with_suffix() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1K"),
            (1025, "1025"),
            (1 << 20, "1M"),
            (3 << 29, "1536M"),
            (1 << 50, "1024T"),
        ] {
            assert!(is_shown(Size(bytes), text));
            assert_eq!(read(text.as_bytes()), Some(Size(bytes)));
        }
    }

    /// Checks the range of a mode, and that other texts are rejected.
    #[test]
    fn mode_bounds() {
        assert_eq!(read(b"0777"), Some(Mode(0o777)));
        assert_eq!(read(b"177777"), Some(Mode(0o177777)));
        for text in [&b""[..], b"200000", b"0o777", b"8", b"rw", b"-7"] {
            assert_eq!(read::<Mode>(text), None);
        }
        assert!(is_shown(Mode(0o40), "0040"));
        assert!(Mode(1).is_within("0001", "0777"));
        assert!(Mode(0o777).is_within("0001", "0777"));
        assert!(!Mode(0).is_within("0001", "0777"));
        assert!(!Mode(0o1000).is_within("0001", "0777"));
    }

    /// Checks that a boolean is a whole word in upper or lower case.
    #[test]
    fn bool_words() {
        for (text, value) in [
            (&b"Y"[..], true),
            (b"on", true),
            (b"0", false),
            (b"oFF", false),
        ] {
            assert_eq!(read(text), Some(value));
        }
        for text in [&b""[..], b"yep", b"2", b"o"] {
            assert_eq!(read::<bool>(text), None);
        }
    }

    /// Checks the maximum length of a text, and that bytes outside printable ASCII are rejected.
    #[test]
    fn text_bounds() {
        assert!(read::<AsciiStr<3>>(b"abc").is_some());
        assert!(read::<AsciiStr<3>>(b"abcd").is_none());
        assert!(read::<AsciiStr<3>>(b"a\x7f").is_none());
        assert_eq!(AsciiStr::<3>::truncate_from(b"a\nbc").as_str(), "a?b");
    }
}
