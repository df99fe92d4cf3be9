// SPDX-License-Identifier: GPL-2.0

//! Numbers, times and strings as bytes. Faster than the formatting of the standard library, for
//! logs with many records.

use itoa::Buffer;
use std::time::Duration;

/// Appends `before` and a decimal number.
pub fn push_number(out: &mut Vec<u8>, before: &str, number: u64) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(Buffer::new().format(number).as_bytes());
}

/// Appends a point and the microseconds of `nanoseconds`.
pub fn push_micros(out: &mut Vec<u8>, nanoseconds: u32) {
    let mut digits = *b".000000";
    let mut rest = nanoseconds / 1000;
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Appends a number of seconds whose whole part has at least `width` characters.
pub fn push_seconds(out: &mut Vec<u8>, before: &str, time: Duration, width: usize, after: &str) {
    out.extend_from_slice(before.as_bytes());
    let mut buffer = Buffer::new();
    let seconds = buffer.format(time.as_secs());
    out.resize(out.len() + width.saturating_sub(seconds.len()), b' ');
    out.extend_from_slice(seconds.as_bytes());
    push_micros(out, time.subsec_nanos());
    out.extend_from_slice(after.as_bytes());
}

/// Appends a JSON string, or an array of the bytes if they are not UTF-8, as journalctl(1). All
/// control characters are escaped: JSON requires it below U+0020 only, but a terminal also obeys
/// those from U+007F to U+009F.
pub fn push_json(out: &mut Vec<u8>, text: &[u8]) {
    // Writing to a vector does not fail.
    let _ = match std::str::from_utf8(text) {
        Ok(text) => {
            let start = out.len();
            let written = serde_json::to_writer(&mut *out, text);
            // The bytes of the control characters also occur in others.
            if out[start..].iter().any(|byte| (0x7f..0xa0).contains(byte)) {
                escape_controls(out, start);
            }
            written
        }
        Err(_) => serde_json::to_writer(out, text),
    };
}

/// Escapes the control characters from `start` on, which is a JSON string.
fn escape_controls(out: &mut Vec<u8>, start: usize) {
    let string = String::from_utf8_lossy(&out[start..]).into_owned();
    out.truncate(start);
    for letter in string.chars() {
        match letter {
            '\u{7f}'..='\u{9f}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(letter)).as_bytes());
            }
            _ => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_control_characters() {
        let text = "\u{1b}[1m\u{7f} gr\u{fc}n \u{9b}1m\u{a0}\u{2019}";
        let mut out = b"before ".to_vec();
        push_json(&mut out, text.as_bytes());
        let shown = "before \"\\u001b[1m\\u007f gr\u{fc}n \\u009b1m\u{a0}\u{2019}\"";
        assert_eq!(String::from_utf8(out.clone()).as_deref(), Ok(shown));
        let parsed: String = serde_json::from_slice(&out[b"before ".len()..]).expect("JSON");
        assert_eq!(parsed, text);
    }
}
