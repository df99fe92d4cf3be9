// SPDX-License-Identifier: GPL-2.0

//! The text form of a record, which a reader gets: numbers, escapes and names.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

#![forbid(unsafe_code)]

use crate::{
    buffer::{
        uninit,
        Buffer, //
    },
    record::{
        Header,
        COMM_LEN, //
    },
    word::{
        each,
        first_zero,
        word_at,
        HIGHEST, //
    },
};

/// The text form of one record, the format of `/dev/kmsg`
/// (`Documentation/ABI/testing/dev-kmsg`; `info_print_ext_header()` and `msg_print_ext_body()` in
/// `kernel/printk/printk.c`):
///
/// ```text
/// prio,seq,usec,-[,lost=N];text\n
///  PID=..\n TID=..\n UID=..\n COMM=..\n
/// ```
///
/// Bytes outside printable ASCII and `\` are written as `\xNN`.
pub(crate) struct TextForm<'a> {
    header: &'a Header,
    text: &'a [u8],
    uid: u32,
    lost: u64,
}

/// `2047,` and two numbers of 20 digits with their commas, `-`, `,lost=` with a number, `;`.
const HEAD_MAX: usize = 5 + 21 + 21 + 1 + 26 + 1;

/// The newline of the text, three keys with numbers of 10 digits, and an all-escaped command name.
const TAIL_MAX: usize = 1 + 3 * (5 + 10 + 1) + 6 + 4 * COMM_LEN + 1;

/// Size of what [`TextForm::write`] collects before it hands that on: a usual record is one piece.
/// Each is a copy to user memory.
const PIECE_SIZE: usize = 512;

// A word may be put where only a part of it counts: in the tail, the room of a long name has it.
const _: () = assert!(HEAD_MAX + 8 + TAIL_MAX <= PIECE_SIZE);

impl<'a> TextForm<'a> {
    /// The text form of the record `header` with its `text`.
    ///
    /// `uid` is the writer's user id as the reader is to see it, `lost` the number of records that
    /// the reader missed just before this one.
    pub(crate) fn new(header: &'a Header, text: &'a [u8], uid: u32, lost: u64) -> Self {
        Self {
            header,
            text,
            uid,
            lost,
        }
    }

    /// Length of the whole text form in bytes.
    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        self.write(|piece| {
            len += piece.len();
            true
        });
        len
    }

    /// Whether it has at most `room` bytes. Nearly always cheaper than its length.
    pub(crate) fn fits(&self, room: usize) -> bool {
        HEAD_MAX + 4 * self.text.len() + TAIL_MAX <= room || self.len() <= room
    }

    /// Hands the text form to `sink` in pieces; ends and returns false when `sink` does.
    pub(crate) fn write(&self, mut sink: impl FnMut(&[u8]) -> bool) -> bool {
        let mut memory = uninit::<PIECE_SIZE>();
        let mut piece = Buffer::new(&mut memory);
        self.write_head(&mut piece);
        let short = self.text.len() <= PIECE_SIZE - HEAD_MAX - TAIL_MAX;
        if short && plain_len(self.text) == self.text.len() {
            piece.push(self.text);
        } else if !self.write_text(&mut piece, &mut sink) {
            return false;
        }
        self.write_tail(&mut piece);
        sink(piece.as_slice())
    }

    /// What stands before the text. There must be room for it.
    fn write_head(&self, out: &mut Buffer<'_>) {
        decimal(out, self.header.priority.value().into(), b',');
        decimal(out, self.header.seq, b',');
        decimal(out, self.header.time_ns / 1000, b',');
        if self.lost == 0 {
            out.push_first(*b"-;", 2);
        } else {
            out.push(b"-,lost=");
            decimal(out, self.lost, b';');
        }
    }

    /// The text, escaped: what `piece` has no room for goes to `sink`, with all that is before it.
    /// Leaves room for the tail.
    #[inline(never)]
    fn write_text(&self, piece: &mut Buffer<'_>, sink: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let mut flush = |piece: &mut Buffer<'_>, plain: &[u8]| {
            let good = sink(piece.as_slice()) && (plain.is_empty() || sink(plain));
            piece.clear();
            good
        };
        let good = escape_into(self.text, |plain| {
            if plain.len() > PIECE_SIZE {
                return flush(piece, plain);
            }
            (plain.len() <= piece.room() || flush(piece, b"")) && piece.push(plain)
        });
        good && (piece.room() >= TAIL_MAX || flush(piece, b""))
    }

    /// What stands after the text. There must be room for it.
    fn write_tail(&self, out: &mut Buffer<'_>) {
        let writer = &self.header.writer;
        out.push_first(*b"\n PID=", 6);
        decimal(out, writer.pid.into(), b'\n');
        out.push_first(*b" TID=", 5);
        decimal(out, writer.tid.into(), b'\n');
        out.push_first(*b" UID=", 5);
        decimal(out, self.uid.into(), b'\n');
        out.push_first(*b" COMM=", 6);
        if let Some((line, len)) = name_line(&writer.comm) {
            out.push_first(line, len);
        } else {
            escape_into(&writer.comm[..name_len(&writer.comm)], |plain| {
                out.push(plain)
            });
            out.push(b"\n");
        }
    }
}

/// Hands `text` to `sink` in runs, escaped. Ends and returns false when `sink` does.
fn escape_into(text: &[u8], mut sink: impl FnMut(&[u8]) -> bool) -> bool {
    let mut later = text;
    loop {
        let now;
        (now, later) = later.split_at(plain_len(later));
        if !sink(now) {
            return false;
        }
        let Some((&special, rest)) = later.split_first() else {
            return true;
        };
        if !sink(&escape(special)) {
            return false;
        }
        later = rest;
    }
}

/// Whether `byte` is outside printable ASCII, or the escape character itself.
fn needs_escape(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || byte == b'\\'
}

/// Length of the beginning of `text` in which no byte needs an escape.
#[inline(never)]
fn plain_len(text: &[u8]) -> usize {
    let mut plain = 0;
    for pair in text.chunks_exact(16) {
        if (specials(word_at(pair, 0)) | specials(word_at(pair, 8))) & HIGHEST != 0 {
            break;
        }
        plain += 16;
    }
    while let Some(next) = text.get(plain..plain + 8) {
        match first_special(word_at(next, 0)) {
            0 => plain += 8,
            bit => return plain + (bit.trailing_zeros() / 8) as usize,
        }
    }
    let rest = &text[plain..];
    plain + rest.iter().take_while(|byte| !needs_escape(**byte)).count()
}

/// A word whose bits of [`HIGHEST`] tell: the lowest one of them that is set, if any, is in the
/// lowest byte of `word` that needs an escape.
#[inline(always)]
fn specials(word: u64) -> u64 {
    // Up to the lowest such byte none borrows from the next one or carries into it; what is above
    // does not matter. A byte that is not ASCII is found by the first or the second.
    let control = word.wrapping_sub(each(b' '));
    let delete = word.wrapping_add(each(1));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    control | delete | backslash
}

/// The lowest bit of [`specials`] that tells; 0 when no byte of `word` needs an escape.
#[inline(always)]
fn first_special(word: u64) -> u64 {
    let bits = specials(word) & HIGHEST;
    bits & bits.wrapping_neg()
}

/// A command name with a newline, and the length of both; `None` when a byte needs an escape, or
/// there is no place for the newline.
fn name_line(comm: &[u8; COMM_LEN]) -> Option<([u8; COMM_LEN], usize)> {
    let [low, high] = halves(comm);
    // The zero after the name is not plain.
    let len = match first_special(low) {
        0 => 8 + first_special(high).trailing_zeros() / 8,
        bit => bit.trailing_zeros() / 8,
    } as usize;
    let mut line = *comm;
    let end = line.get_mut(len).filter(|end| **end == 0)?;
    *end = b'\n';
    Some((line, len + 1))
}

/// Length of a command name, which ends before its first zero.
fn name_len(comm: &[u8; COMM_LEN]) -> usize {
    let [low, high] = halves(comm);
    match first_zero(low) {
        0 => match first_zero(high) {
            0 => COMM_LEN,
            bit => 8 + (bit.trailing_zeros() / 8) as usize,
        },
        bit => (bit.trailing_zeros() / 8) as usize,
    }
}

/// The first and the second word of a command name, the first byte lowest.
fn halves(comm: &[u8; COMM_LEN]) -> [u64; 2] {
    [word_at(comm, 0), word_at(comm, 8)]
}

/// `\xNN`
fn escape(byte: u8) -> [u8; 4] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    [
        b'\\',
        b'x',
        HEX[usize::from(byte >> 4)],
        HEX[usize::from(byte & 15)],
    ]
}

/// Writes `value` in decimal, and `after` it. There must be room for both.
#[inline]
fn decimal(out: &mut Buffer<'_>, value: u64, after: u8) {
    if value < 10_000 {
        // Most ids: two look-ups are faster than what is below.
        let (high, low) = (PAIRS[(value / 100) as usize], PAIRS[(value % 100) as usize]);
        let digits = u32::from(high) | (u32::from(low) << 16);
        // Bits of the zeros before the first other digit, or before the last one.
        let zeros = (digits ^ 0x3030_3030 | 0x0100_0000).trailing_zeros() & !7;
        let all = u64::from(digits) | (u64::from(after) << 32);
        out.push_first((all >> zeros).to_le_bytes(), 5 - zeros as usize / 8);
    } else {
        long_decimal(out, value);
        out.push(&[after]);
    }
}

/// The numbers from 0 to 99 in two digits each, the first one in the lower byte.
const PAIRS: [u16; 100] = {
    let mut pairs = [0; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = u16::from_le_bytes([b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
        value += 1;
    }
    pairs
};

/// Writes `value` in decimal. There must be room for it, and to a multiple of 8 digits.
fn long_decimal(out: &mut Buffer<'_>, value: u64) {
    const STEP: u64 = 100_000_000;
    if value < STEP {
        let digits = eight_digits(value);
        // At least one digit, of the 8 that are there.
        let zeros = (digits.trailing_zeros() / 8).min(7);
        let word = (ascii(digits) >> (8 * zeros)).to_le_bytes();
        out.push_first(word, 8 - zeros as usize);
    } else {
        long_decimal(out, value / STEP);
        out.push_first(ascii(eight_digits(value % STEP)).to_le_bytes(), 8);
    }
}

/// The 8 decimal digits of `value`, which must have no more, in a byte each, the first one lowest.
#[inline(always)]
fn eight_digits(value: u64) -> u64 {
    // All lanes of a word at once: two of four digits, four of two, eight of one. The factors
    // divide by multiplying with a rounded-up reciprocal, exact for what a lane can hold.
    let lanes = |lanes: u64, by: u64, shift: u32| lanes.wrapping_mul(by) >> shift;
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let high = lanes(fours, 10_486, 20) & 0x0000_007f_0000_007f;
    let twos = (fours.wrapping_sub(high.wrapping_mul(100)) << 16) | high;
    let high = lanes(twos, 103, 10) & 0x000f_000f_000f_000f;
    (twos.wrapping_sub(high.wrapping_mul(10)) << 8) | high
}

/// Digits in a byte each, as characters.
fn ascii(digits: u64) -> u64 {
    digits | each(b'0')
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_text)]
mod tests {
    use super::*;
    use crate::record::{
        Priority,
        Writer, //
    };

    #[test]
    fn escapes_at_their_bounds() {
        for (byte, escaped) in [
            (0x1f, true),
            (b' ', false),
            (b'~', false),
            (0x7f, true),
            (b'\\', true),
            (0xff, true),
        ] {
            assert_eq!(needs_escape(byte), escaped);
        }
        assert_eq!(&escape(0xa5), b"\\xa5");
    }

    #[test]
    fn numbers_at_their_bounds() {
        for (value, digits) in [
            (0, &b"0"[..]),
            (9, b"9"),
            (10, b"10"),
            (99, b"99"),
            (100, b"100"),
            (9_999, b"9999"),
            (10_000, b"10000"),
            (99_999_999, b"99999999"),
            (100_000_000, b"100000000"),
            (u64::MAX, b"18446744073709551615"),
        ] {
            let mut memory = uninit::<32>();
            let mut out = Buffer::new(&mut memory);
            decimal(&mut out, value, b';');
            assert_eq!(out.as_slice().split_last(), Some((&b';', digits)));
        }
    }

    /// Each byte that needs an escape is found at each place, alone and before another one.
    #[test]
    fn plain_up_to_the_first_special() {
        for special in [0, 31, b'\\', 127, 128, 255] {
            for at in 0..100 {
                let mut text = [b'~'; 100];
                assert_eq!(plain_len(&text), 100);
                text[at] = special;
                assert_eq!(plain_len(&text), at);
                text[99] = 0;
                assert_eq!(plain_len(&text), at);
            }
        }
    }

    #[test]
    fn names() {
        for (comm, line) in [
            (*b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Some(&b"\n"[..])),
            (*b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Some(b"sh\n")),
            (*b"eight_by\0\0\0\0\0\0\0\0", Some(b"eight_by\n")),
            (*b"fifteen_bytes_x\0", Some(b"fifteen_bytes_x\n")),
            (*b"sixteen_bytes_xx", None),
            (*b"a\\b\0\0\0\0\0\0\0\0\0\0\0\0\0", None),
            (*b"eight_by\x01\0\0\0\0\0\0\0", None),
        ] {
            let got = name_line(&comm);
            assert_eq!(got.as_ref().map(|(bytes, len)| &bytes[..*len]), line);
        }
    }

    /// The pieces of a text form are all of it, wherever the text ends in the last one.
    #[test]
    fn pieces_are_the_whole() {
        let writer = Writer {
            pid: 1,
            tid: 2,
            uid: 3,
            comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let header = Header {
            seq: 4,
            time_ns: 5000,
            text_len: 0,
            priority: Priority::DEFAULT,
            writer,
        };
        let text = [b'x'; PIECE_SIZE + 1];
        let around = TextForm::new(&header, b"", 3, 0).len();
        for len in PIECE_SIZE - 250..=text.len() {
            let form = TextForm::new(&header, &text[..len], 3, 0);
            let mut written = 0;
            let complete = form.write(|piece| {
                written += piece.len();
                // Only what needs no escape is handed on as it is.
                piece.len() <= PIECE_SIZE || piece == &text[..len]
            });
            assert!(complete);
            assert_eq!(written, around + len);
        }
    }
}
