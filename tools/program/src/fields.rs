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

/// Appends a JSON string, or an array of the bytes if they are not UTF-8, as journalctl(1).
pub fn push_json(out: &mut Vec<u8>, text: &[u8]) {
    // Writing to a vector does not fail.
    let _ = match std::str::from_utf8(text) {
        Ok(text) => serde_json::to_writer(out, text),
        Err(_) => serde_json::to_writer(out, text),
    };
}
