// SPDX-License-Identifier: GPL-2.0

//! Output in chunks: bytes, escaped bytes and decimal numbers.

use crate::{
    pure::record::{
        array,
        COMM_LEN, //
    },
    sys::buffer::Buffer, //
};

/// Size of a chunk in bytes. Each chunk is one copy to user memory; a usual record fits one chunk.
pub(super) const CHUNK_SIZE: usize = 512;

/// Collects bytes and passes them to `sink` in chunks.
pub(super) struct Chunks<'m, S> {
    pub(super) chunk: Buffer<'m>,
    pub(super) sink: S,
    /// Whether `sink` returned true for all chunks so far.
    pub(super) is_ok: bool,
}

impl<S: FnMut(&[u8]) -> bool> Chunks<'_, S> {
    /// Passes the collected bytes to `sink`.
    pub(super) fn flush(&mut self) {
        self.is_ok = self.is_ok && (self.sink)(self.chunk.as_slice());
        self.chunk.clear();
    }

    /// Adds `bytes`.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.chunk.push(bytes) {
            self.flush_and_push(bytes);
        }
    }

    /// Adds `bytes` that do not fit the current chunk.
    #[inline(never)]
    fn flush_and_push(&mut self, bytes: &[u8]) {
        self.flush();
        if !self.chunk.push(bytes) {
            self.is_ok = self.is_ok && (self.sink)(bytes);
        }
    }

    /// Adds the first `len` of `bytes`. Begins a new chunk if all of `bytes` do not fit the current
    /// one.
    #[inline]
    fn push_first<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        if !self.chunk.push_first(bytes, len) {
            self.flush_and_push(&bytes[..len]);
        }
    }

    /// Adds `value` in decimal.
    #[inline]
    pub(super) fn push_decimal(&mut self, value: u64) {
        if value >= 10_000 {
            self.push_long_decimal(value);
        } else {
            // Remove leading zeros, but keep at least one digit.
            let digits = u32::from_le_bytes(four_digits(value));
            let zeros = ((digits ^ 0x3030_3030) | (1 << 24)).trailing_zeros() / 8;
            self.push_first((digits >> (8 * zeros)).to_le_bytes(), 4 - zeros as usize);
        }
    }

    /// Adds `value`, which has more than four digits, in decimal.
    #[inline(never)]
    fn push_long_decimal(&mut self, value: u64) {
        self.push_decimal(value / 10_000);
        self.push(&four_digits(value % 10_000));
    }

    /// Adds the command name `comm`, which is padded with zeros, escaped.
    pub(super) fn push_comm(&mut self, comm: &[u8; COMM_LEN]) {
        let is_plain = |byte: &&u8| !needs_escape(**byte);
        let len = comm.iter().take_while(is_plain).count();
        if comm.get(len).is_none_or(|byte| *byte == 0) {
            self.push_first(*comm, len);
        } else {
            let name = comm.split(|byte| *byte == 0).next();
            self.push_escaped_bytes(name.unwrap_or(comm));
        }
    }

    /// Adds `text`, escaped.
    pub(super) fn push_escaped(&mut self, text: &[u8]) {
        let mut rest = text;
        loop {
            let (unescaped, other) = rest.split_at(unescaped_prefix_len(rest));
            if !unescaped.is_empty() {
                self.push(unescaped);
            }
            let Some((word, later)) = other.split_first_chunk::<8>() else {
                return self.push_escaped_bytes(other);
            };
            if u64::from_ne_bytes(*word) & HIGH_BITS == HIGH_BITS {
                // All 8 bytes are outside ASCII, as in most of a text in another script. Their
                // escapes have the same length.
                self.push(word.map(|byte| ESCAPES[usize::from(byte)]).as_flattened());
            } else {
                self.push_escaped_bytes(word);
            }
            rest = later;
        }
    }

    /// Adds `text`, escaped, one byte at a time.
    fn push_escaped_bytes(&mut self, text: &[u8]) {
        for byte in text {
            let escape = ESCAPES[usize::from(*byte)];
            self.push_first(escape, escape_len(*byte));
        }
    }
}

/// Returns the four digits of `value`, which must be less than 10,000.
fn four_digits(value: u64) -> [u8; 4] {
    let ([a, b], [c, d]) = (
        DIGIT_PAIRS[(value / 100) as usize],
        DIGIT_PAIRS[(value % 100) as usize],
    );
    [a, b, c, d]
}

/// Returns whether `byte` is outside printable ASCII or is a backslash.
const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte > b'~' || byte == b'\\'
}

/// Returns the length of `byte` in the text format.
pub(super) fn escape_len(byte: u8) -> usize {
    if ESCAPES[usize::from(byte)][0] == b'\\' {
        4
    } else {
        1
    }
}

/// The output for each byte: `\xNN` if it needs an escape, otherwise the byte and zeros.
static ESCAPES: [[u8; 4]; 256] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut escapes = [[0; 4]; 256];
    let mut byte = 0;
    while byte < 256 {
        escapes[byte] = if needs_escape(byte as u8) {
            [b'\\', b'x', HEX[byte >> 4], HEX[byte & 15]]
        } else {
            [byte as u8, 0, 0, 0]
        };
        byte += 1;
    }
    escapes
};

/// The two digits of each number from 0 to 99.
static DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Returns the number of bytes at the beginning of `text`, in whole words of 8 bytes, that need no
/// escape.
fn unescaped_prefix_len(text: &[u8]) -> usize {
    let words = text.chunks_exact(8);
    8 * words
        .take_while(|word| needs_no_escape(u64::from_ne_bytes(array(word))))
        .count()
}

/// Returns a word with `byte` in each of its 8 bytes.
const fn repeat_byte(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte of a word.
const HIGH_BITS: u64 = repeat_byte(0x80);

/// Returns whether none of the 8 bytes in `word` needs an escape.
fn needs_no_escape(word: u64) -> bool {
    // The highest bit of a byte is set in `control` if the byte is less than a space, in `delete`
    // if it is 0x7f, in `backslash` if it is a backslash, and in `word` if it is outside ASCII. A
    // byte carries or borrows into the next one only if it needs an escape itself, so that the
    // result for the whole word is exact.
    let control = word.wrapping_sub(repeat_byte(b' '));
    let delete = word.wrapping_add(repeat_byte(1));
    let backslash = (word ^ repeat_byte(b'\\')).wrapping_sub(repeat_byte(1));
    (control | delete | backslash | word) & HIGH_BITS == 0
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_chunks)]
mod tests {
    use super::*;
    use crate::sys::buffer::uninit;
    use kernel::prelude::*;

    /// Returns the bytes that `write` adds.
    fn collect(write: impl FnOnce(&mut Chunks<'_, &mut dyn FnMut(&[u8]) -> bool>)) -> KVec<u8> {
        let mut all = KVec::new();
        let mut sink = |chunk: &[u8]| all.extend_from_slice(chunk, GFP_KERNEL).is_ok();
        let mut memory = uninit::<CHUNK_SIZE>();
        let mut out = Chunks {
            chunk: Buffer::new(&mut memory),
            sink: &mut sink as _,
            is_ok: true,
        };
        write(&mut out);
        out.flush();
        assert!(out.is_ok);
        all
    }

    /// Checks the first and last bytes that are escaped.
    #[test]
    fn escape_bounds() {
        for (byte, escaped) in [
            (0x1f, &b"\\x1f"[..]),
            (b' ', b" "),
            (b'~', b"~"),
            (0x7f, b"\\x7f"),
            (b'\\', b"\\x5c"),
            (0xa5, b"\\xa5"),
            (0xff, b"\\xff"),
        ] {
            assert_eq!(&collect(|out| out.push_escaped(&[byte]))[..], escaped);
        }
    }

    /// Checks numbers at each boundary of the number of digits.
    #[test]
    fn decimal_bounds() {
        for (value, digits) in [
            (0, &b"0"[..]),
            (9, b"9"),
            (10, b"10"),
            (99, b"99"),
            (100, b"100"),
            (9_999, b"9999"),
            (10_000, b"10000"),
            (u64::MAX, b"18446744073709551615"),
        ] {
            assert_eq!(&collect(|out| out.push_decimal(value))[..], digits);
        }
    }

    /// Checks that a byte that needs an escape is found at each offset of a word, alone and before
    /// another one.
    #[test]
    fn unescaped_prefix() {
        for special in [0, 31, b'\\', 127, 128, 255] {
            for at in 0..40 {
                let mut text = [b'~'; 40];
                assert_eq!(unescaped_prefix_len(&text), 40);
                text[at] = special;
                assert_eq!(unescaped_prefix_len(&text), at / 8 * 8);
                text[39] = 0;
                assert_eq!(unescaped_prefix_len(&text), at / 8 * 8);
            }
        }
    }
}
