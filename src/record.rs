// SPDX-License-Identifier: GPL-2.0

//! One record: what a writer gives, what the ring stores, and the text form a reader gets.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

#![forbid(unsafe_code)]

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
    head: Line<HEAD_MAX>,
    text: &'a [u8],
    tail: Line<TAIL_MAX>,
    len: usize,
}

/// `2047,` and two numbers of 20 digits with their commas, `-`, `,lost=` with a number, `;`.
const HEAD_MAX: usize = 5 + 21 + 21 + 1 + 26 + 1;

/// The newline of the text, three keys with numbers of 10 digits, and an all-escaped command name.
const TAIL_MAX: usize = 1 + 3 * (5 + 10 + 1) + 6 + 4 * COMM_LEN + 1;

impl<'a> TextForm<'a> {
    /// Lays out the record `header` with its `text`.
    ///
    /// `uid` is the writer's user id as the reader is to see it, `lost` the number of records that
    /// the reader missed just before this one.
    pub(crate) fn new(header: &Header, text: &'a [u8], uid: u32, lost: u64) -> Self {
        let mut head = Line::new();
        head.decimal(header.priority.0.into());
        head.push(b",");
        head.decimal(header.seq);
        head.push(b",");
        head.decimal(header.time_ns / 1000);
        head.push(b",-");
        if lost > 0 {
            head.push(b",lost=");
            head.decimal(lost);
        }
        head.push(b";");

        let mut tail = Line::new();
        tail.push(b"\n PID=");
        tail.decimal(header.writer.pid.into());
        tail.push(b"\n TID=");
        tail.decimal(header.writer.tid.into());
        tail.push(b"\n UID=");
        tail.decimal(uid.into());
        tail.push(b"\n COMM=");
        for &byte in header.writer.comm.iter().take_while(|byte| **byte != 0) {
            if needs_escape(byte) {
                tail.push(&escape(byte));
            } else {
                tail.push(&[byte]);
            }
        }
        tail.push(b"\n");

        let escapes = text.iter().filter(|byte| needs_escape(**byte)).count();
        let len = head.len + text.len() + 3 * escapes + tail.len;
        Self {
            head,
            text,
            tail,
            len,
        }
    }

    /// Length of the whole text form in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Hands the text form to `sink` in pieces; ends and returns false when `sink` does.
    pub(crate) fn write(&self, mut sink: impl FnMut(&[u8]) -> bool) -> bool {
        let mut piece = Piece {
            bytes: [0; PIECE_SIZE],
            len: 0,
            sink: &mut sink,
        };
        piece.add(self.head.as_slice())
            && self
                .text
                .split_inclusive(|byte| needs_escape(*byte))
                .all(|run| match run {
                    [plain @ .., last] if needs_escape(*last) => {
                        piece.add(plain) && piece.add(&escape(*last))
                    }
                    _ => piece.add(run),
                })
            && piece.add(self.tail.as_slice())
            && piece.flush()
    }
}

/// Whether `byte` is outside printable ASCII, or the escape character itself.
fn needs_escape(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || byte == b'\\'
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

/// A short piece of text built in place. What does not fit is dropped: the sizes are chosen so that
/// all does, and a test holds them.
struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    fn push(&mut self, more: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let n = more.len().min(room.len());
        room[..n].copy_from_slice(&more[..n]);
        self.len += n;
    }

    fn decimal(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Size of the pieces that [`TextForm::write`] hands on: a usual record is one.
const PIECE_SIZE: usize = 512;

/// Gathers small pieces, because each one handed on is a copy to user memory.
struct Piece<'a, F> {
    bytes: [u8; PIECE_SIZE],
    len: usize,
    sink: &'a mut F,
}

impl<F: FnMut(&[u8]) -> bool> Piece<'_, F> {
    fn add(&mut self, mut more: &[u8]) -> bool {
        while more.len() > PIECE_SIZE - self.len {
            let (now, later) = more.split_at(PIECE_SIZE - self.len);
            self.bytes[self.len..].copy_from_slice(now);
            self.len = PIECE_SIZE;
            more = later;
            if !self.flush() {
                return false;
            }
        }
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
        true
    }

    fn flush(&mut self) -> bool {
        let full = core::mem::take(&mut self.len);
        (self.sink)(&self.bytes[..full])
    }
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
        for len in PIECE_SIZE - 80..=text.len() {
            let form = TextForm::new(&header, &text[..len], 3, 0);
            let mut written = 0;
            let mut largest = 0;
            let complete = form.write(|piece| {
                written += piece.len();
                largest = largest.max(piece.len());
                true
            });
            assert!(complete);
            assert_eq!(written, form.len());
            assert!(largest <= PIECE_SIZE);
        }
    }
}
