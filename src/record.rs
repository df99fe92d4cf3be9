// SPDX-License-Identifier: GPL-2.0

//! One record: what a writer gives, what the ring stores, and the text form a reader gets.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

#![forbid(unsafe_code)]

use crate::buffer::{
    uninit,
    Buffer, //
};

/// Longest prefix and suffix of a write that are not part of the record's text, in bytes:
/// `<2047>` and a newline.
pub(crate) const DECORATION_MAX: usize = 7;

/// Size of a stored header in bytes. A multiple of [`ALIGN`].
pub(crate) const HEADER_SIZE: usize = 56;

/// Alignment of a stored record, in bytes.
const ALIGN: usize = 8;

/// Length of a command name in bytes, as the kernel's `TASK_COMM_LEN`; padded with zeros.
pub(crate) const COMM_LEN: usize = 16;

/// Bytes that a record with `text_len` bytes of text takes in the ring, header and padding
/// included.
pub(crate) const fn stored_size(text_len: usize) -> usize {
    HEADER_SIZE + text_len.next_multiple_of(ALIGN)
}

/// A syslog priority: the facility times 8 plus the level (RFC 5424, 6.2.1).
///
/// # Invariants
///
/// At most [`Priority::MAX`], and the facility is not 0: that one is the kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Priority(u16);

impl Priority {
    /// The largest priority: 8 bits of facility, 3 bits of level, as `/dev/kmsg` has it.
    pub(crate) const MAX: u16 = (0xff << 3) | 7;

    /// Facility user, level info: what a record without a prefix gets.
    pub(crate) const DEFAULT: Self = Self((1 << 3) | 6);

    /// Takes a priority as a writer gave it; `None` when it is out of range.
    ///
    /// A facility of 0 becomes user, as `/dev/kmsg` does it: nobody but the kernel is the kernel.
    pub(crate) fn new(value: u16) -> Option<Self> {
        match value {
            0..=7 => Some(Self((1 << 3) | value)),
            8..=Self::MAX => Some(Self(value)),
            _ => None,
        }
    }
}

/// Splits what a writer gave into the priority and the text of a record.
///
/// A leading `<N>` with `N` from 0 to 2047 (at most four digits) sets the priority; anything else
/// that begins with `<` is text. One trailing newline is dropped.
pub(crate) fn parse(data: &[u8]) -> (Priority, &[u8]) {
    let (priority, text) = split_prefix(data).unwrap_or((Priority::DEFAULT, data));
    (priority, text.strip_suffix(b"\n").unwrap_or(text))
}

fn split_prefix(data: &[u8]) -> Option<(Priority, &[u8])> {
    let mut rest = data.strip_prefix(b"<")?;
    let mut value = 0;
    let mut digits = 0;
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        if digits == 4 {
            return None;
        }
        value = value * 10 + u16::from(*digit - b'0');
        digits += 1;
        rest = tail;
    }
    if digits == 0 {
        return None;
    }
    Some((Priority::new(value)?, rest.strip_prefix(b">")?))
}

/// Who wrote a record, as the kernel saw it at the time of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// Process id (thread group) in the initial pid namespace.
    pub(crate) pid: u32,
    /// Thread id in the initial pid namespace.
    pub(crate) tid: u32,
    /// Effective user id, as the kernel holds it (`kuid_t`), not seen from any user namespace.
    pub(crate) uid: u32,
    /// Command name of the thread, padded with zeros.
    pub(crate) comm: [u8; COMM_LEN],
}

/// What is stored beside the text of a record.
///
/// In the ring it stands before the text, in the machine's byte order:
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | sequence number |
/// | 8 | 8 | time of the write, nanoseconds of `CLOCK_MONOTONIC` |
/// | 16 | 4 | length of the text in bytes |
/// | 20 | 4 | priority |
/// | 24 | 4 | pid |
/// | 28 | 4 | tid |
/// | 32 | 4 | uid |
/// | 36 | 4 | zero |
/// | 40 | 16 | command name |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Sequence number: the first record of a log is 0, each further one is one more.
    pub(crate) seq: u64,
    /// Time of the write in nanoseconds of `CLOCK_MONOTONIC`; never falls from one record to the
    /// next.
    pub(crate) time_ns: u64,
    /// Length of the text in bytes.
    pub(crate) text_len: u32,
    /// Facility and level.
    pub(crate) priority: Priority,
    /// Who wrote it.
    pub(crate) writer: Writer,
}

impl Header {
    /// The header as it is stored.
    pub(crate) fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut out = [0; HEADER_SIZE];
        out[0..8].copy_from_slice(&self.seq.to_ne_bytes());
        out[8..16].copy_from_slice(&self.time_ns.to_ne_bytes());
        out[16..20].copy_from_slice(&self.text_len.to_ne_bytes());
        out[20..24].copy_from_slice(&u32::from(self.priority.0).to_ne_bytes());
        out[24..28].copy_from_slice(&self.writer.pid.to_ne_bytes());
        out[28..32].copy_from_slice(&self.writer.tid.to_ne_bytes());
        out[32..36].copy_from_slice(&self.writer.uid.to_ne_bytes());
        out[40..56].copy_from_slice(&self.writer.comm);
        out
    }

    /// Length of the text in bytes, from a stored header.
    pub(crate) fn text_len_of(stored: &[u8]) -> usize {
        u32::from_ne_bytes(array(&stored[16..20])) as usize
    }

    /// Time of the write in nanoseconds, from a stored header.
    pub(crate) fn time_of(stored: &[u8]) -> u64 {
        u64::from_ne_bytes(array(&stored[8..16]))
    }

    /// Reads back what [`Header::encode`] wrote.
    pub(crate) fn decode(stored: &[u8; HEADER_SIZE]) -> Self {
        let word = |at: usize| u32::from_ne_bytes(array(&stored[at..at + 4]));
        let long = |at: usize| u64::from_ne_bytes(array(&stored[at..at + 8]));
        Self {
            seq: long(0),
            time_ns: long(8),
            text_len: word(16),
            // INVARIANT: `encode` stored a priority that held it.
            priority: Priority(word(20) as u16),
            writer: Writer {
                pid: word(24),
                tid: word(28),
                uid: word(32),
                comm: array(&stored[40..56]),
            },
        }
    }
}

/// Size of the header of a frame in bytes: `struct umsg_record` of `uapi/umsg.h`.
pub(crate) const FRAME_HEADER_SIZE: usize = 64;

/// Bytes of the frame of a record with `text_len` bytes of text, padding included.
pub(crate) const fn frame_size(text_len: usize) -> usize {
    FRAME_HEADER_SIZE + text_len.next_multiple_of(ALIGN)
}

impl Header {
    /// The header of the record's frame, the binary form that a reader gets: `struct umsg_record`.
    ///
    /// `uid` and `lost` are as in [`TextForm::new`].
    pub(crate) fn frame(&self, uid: u32, lost: u64) -> [u8; FRAME_HEADER_SIZE] {
        let mut out = [0; FRAME_HEADER_SIZE];
        out[0..2].copy_from_slice(&(FRAME_HEADER_SIZE as u16).to_ne_bytes());
        out[2..4].copy_from_slice(&self.priority.0.to_ne_bytes());
        out[4..8].copy_from_slice(&self.text_len.to_ne_bytes());
        out[8..16].copy_from_slice(&self.seq.to_ne_bytes());
        out[16..24].copy_from_slice(&self.time_ns.to_ne_bytes());
        out[24..32].copy_from_slice(&lost.to_ne_bytes());
        out[32..36].copy_from_slice(&self.writer.pid.to_ne_bytes());
        out[36..40].copy_from_slice(&self.writer.tid.to_ne_bytes());
        out[40..44].copy_from_slice(&uid.to_ne_bytes());
        out[48..64].copy_from_slice(&self.writer.comm);
        out
    }
}

/// Size of the header of a record that a writer gives in binary form: `struct umsg_entry` of
/// `uapi/umsg.h`.
pub(crate) const ENTRY_HEADER_SIZE: usize = 8;

/// The largest header that is taken there: what is behind the known fields must be zero.
pub(crate) const ENTRY_HEADER_MAX: usize = 64;

/// One record that a writer gives in binary form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Facility and level.
    pub(crate) priority: Priority,
    /// The text, as it is to be stored.
    pub(crate) text: &'a [u8],
    /// Bytes that it takes among others, header and padding included.
    pub(crate) size: usize,
}

/// Why there is no [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoEntry {
    /// The data ends before it does.
    Cut,
    /// A field has a value that it cannot have.
    Invalid,
    /// The text is longer than is allowed.
    TooLong,
}

impl<'a> Entry<'a> {
    /// Reads the first of the entries in `data`, with at most `record_max` bytes of text.
    pub(crate) fn first(data: &'a [u8], record_max: usize) -> Result<Self, NoEntry> {
        let header = data
            .first_chunk::<ENTRY_HEADER_SIZE>()
            .ok_or(NoEntry::Cut)?;
        let header_size = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let priority = u16::from_ne_bytes([header[2], header[3]]);
        let text_len = u32::from_ne_bytes(array(&header[4..8])) as usize;
        if !(ENTRY_HEADER_SIZE..=ENTRY_HEADER_MAX).contains(&header_size)
            || header_size % ALIGN != 0
        {
            return Err(NoEntry::Invalid);
        }
        let priority = Priority::new(priority).ok_or(NoEntry::Invalid)?;
        if text_len > record_max {
            return Err(NoEntry::TooLong);
        }
        let size = header_size + text_len.next_multiple_of(ALIGN);
        let entry = data.get(..size).ok_or(NoEntry::Cut)?;
        let (header, text) = entry.split_at(header_size);
        if header[ENTRY_HEADER_SIZE..].iter().any(|byte| *byte != 0) {
            return Err(NoEntry::Invalid);
        }
        Ok(Self {
            priority,
            text: &text[..text_len],
            size,
        })
    }
}

/// A slice of known length as an array.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

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
        decimal(out, self.header.priority.0.into(), b',');
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

/// The 8 bytes of `bytes` from `at` on, the first one lowest.
#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(&bytes[at..at + 8]))
}

/// `byte` in every byte of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of every byte of a word.
const HIGHEST: u64 = each(0x80);

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

/// The command name whose bytes are in the words `low` and `high`, the first one lowest, with zeros
/// from the first zero on.
pub(crate) fn padded_name([low, high]: [u64; 2]) -> [u8; COMM_LEN] {
    // All bytes below the one with this bit; all there are, when there is no zero.
    let below = |bit: u64| (bit >> 7).wrapping_sub(1);
    let kept = match first_zero(low) {
        0 => u128::from(low) | (u128::from(high & below(first_zero(high))) << 64),
        bit => u128::from(low & below(bit)),
    };
    kept.to_le_bytes()
}

/// The first and the second word of a command name, the first byte lowest.
fn halves(comm: &[u8; COMM_LEN]) -> [u64; 2] {
    [word_at(comm, 0), word_at(comm, 8)]
}

/// The highest bit of the lowest byte of `word` that is zero; 0 when none is.
fn first_zero(word: u64) -> u64 {
    // Up to the first zero, none carries.
    let zeros = word.wrapping_sub(each(1)) & !word & HIGHEST;
    zeros & zeros.wrapping_neg()
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
#[kernel::macros::kunit_tests(umsg_record)]
mod tests {
    use super::*;

    #[test]
    fn stored_sizes() {
        for (text_len, size) in [(0, 56), (1, 64), (7, 64), (8, 64), (9, 72), (65536, 65592)] {
            assert_eq!(stored_size(text_len), size);
        }
    }

    #[test]
    fn prefixes_at_their_bounds() {
        let cases: [(&[u8], u16, &[u8]); 8] = [
            (b"<7>x", 15, b"x"),
            (b"<8>x", 8, b"x"),
            (b"<2047>x", 2047, b"x"),
            (b"<2048>x", 14, b"<2048>x"),
            (b"<0014>x", 14, b"x"),
            (b"<00014>x", 14, b"<00014>x"),
            (b"<>x", 14, b"<>x"),
            (b"x\n\n", 14, b"x\n"),
        ];
        for (data, value, text) in cases {
            assert_eq!(parse(data), (Priority(value), text));
        }
    }

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

    #[test]
    fn entries_at_their_bounds() {
        let entry = |header_size: u8, priority: u16, text_len: u8| {
            let [low, high] = priority.to_ne_bytes();
            let mut data = [0; 80];
            data[..5].copy_from_slice(&[header_size, 0, low, high, text_len]);
            data
        };
        for (data, len, outcome) in [
            (entry(8, 2047, 0), 8, Ok(8)),
            (entry(8, 14, 8), 16, Ok(16)),
            (entry(8, 14, 9), 24, Ok(24)),
            (entry(64, 14, 10), 80, Ok(80)),
            (entry(8, 14, 0), 7, Err(NoEntry::Cut)),
            (entry(8, 14, 9), 23, Err(NoEntry::Cut)),
            (entry(8, 14, 11), 80, Err(NoEntry::TooLong)),
            (entry(8, 2048, 0), 80, Err(NoEntry::Invalid)),
            (entry(0, 14, 0), 80, Err(NoEntry::Invalid)),
            (entry(12, 14, 0), 80, Err(NoEntry::Invalid)),
            (entry(72, 14, 0), 80, Err(NoEntry::Invalid)),
        ] {
            let got = Entry::first(&data[..len], 10).map(|entry| entry.size);
            assert_eq!(got, outcome);
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
            priority: Priority(14),
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
