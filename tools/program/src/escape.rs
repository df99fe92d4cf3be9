// SPDX-License-Identifier: GPL-2.0

//! Text that is safe to print on a terminal.

/// Appends `text` to `out`. Control characters, and bytes that are not UTF-8, become `\xNN`; each
/// newline is followed by `indent` spaces.
pub fn push(out: &mut Vec<u8>, text: &[u8], indent: usize) {
    // Most texts are printable ASCII.
    if text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\n' => {
                    out.push(b'\n');
                    out.resize(out.len() + indent, b' ');
                }
                '\t' => out.push(b'\t'),
                _ if letter.is_control() => {
                    push_bytes(out, letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        push_bytes(out, chunk.invalid());
    }
}

/// Appends a name in one line: `text` with all control characters as `\xNN`.
pub fn push_word(out: &mut Vec<u8>, text: &[u8]) {
    for part in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\t')) {
        match part {
            [part @ .., byte @ (b'\n' | b'\t')] => {
                push(out, part, 0);
                push_bytes(out, &[*byte]);
            }
            part => push(out, part, 0),
        }
    }
}

/// Appends each byte as `\xNN`.
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        out.extend_from_slice(b"\\x");
        out.extend_from_slice(&digits);
    }
}

/// Appends `text` as the text format of the device has it: all but printable ASCII and `\` as
/// `\xNN`.
pub fn push_kmsg(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\\' => push_bytes(out, b"\\"),
            b' '..=b'~' => out.push(*byte),
            byte => push_bytes(out, &[*byte]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            (&b"plain\ttext"[..], "plain\ttext"),
            (b"\x1b[31mred", "\\x1b[31mred"),
            ("gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{9b}1m".as_bytes(), "\\xc2\\x9b1m"),
            (b"one\ntwo\r\n", "one\n  two\\x0d\n  "),
            (b"\0", "\\x00"),
        ] {
            let mut out = Vec::new();
            push(&mut out, text, 2);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(shown));
        }
        let mut out = Vec::new();
        push_word(&mut out, b"a\n\tb\x1b\n");
        assert_eq!(out, b"a\\x0a\\x09b\\x1b\\x0a");
        out.clear();
        push_kmsg(&mut out, b"a\\b\n\xff");
        assert_eq!(out, b"a\\x5cb\\x0a\\xff");
    }
}
