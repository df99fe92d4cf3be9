// SPDX-License-Identifier: GPL-2.0

//! The text form of a record, which a reader gets: numbers, escapes and names.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

use crate::{
    pure::record::{
        array,
        Header,
        COMM_LEN, //
    },
    sys::buffer::{
        uninit,
        Buffer, //
    }, //
};

/// The text form of one record, the format of `/dev/kmsg`
/// (`Documentation/ABI/testing/dev-kmsg`; `info_print_ext_header()` and `msg_print_ext_body()` in
/// `kernel/printk/printk.c`):
///
/// ```text
/// prio,seq,usec,flag;text\n
///  PID=..\n TID=..\n UID=..\n COMM=..\n[ OPENER=..\n][ LOST=..\n][ CUT=..\n]
/// ```
///
/// The flag is `c` where the record continues the line of the one before, otherwise `-`. Bytes
/// outside printable ASCII and `\` are written as `\xNN`.
pub(crate) struct KmsgFormat<'a> {
    header: &'a Header,
    text: &'a [u8],
    keys: Keys,
    /// How many bytes at the end of the text were left out.
    cut: usize,
}

/// Which lines of keys follow the text.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// None.
    None,
    /// Those of the writer, and LOST with this number of records that the reader missed just before
    /// this one, if it is not 0.
    All(u64),
}

/// `2047,` and two numbers of 20 digits with their commas, the flag, `;`.
const HEAD_MAX: usize = 5 + 21 + 21 + 1 + 1;

/// The newline of the text; PID, TID and UID, OPENER and LOST with numbers of 10 and 20 digits; and
/// COMM with a name of which each byte is escaped.
const TAIL_MAX: usize = 1 + 3 * (5 + 10 + 1) + 8 + 10 + 1 + 6 + 20 + 1 + 6 + 4 * COMM_LEN + 1;

/// Size of the chunks that [`KmsgFormat::write`] passes on, each a copy to user memory. A usual
/// record is one chunk.
const CHUNK_SIZE: usize = 512;

impl<'a> KmsgFormat<'a> {
    /// Returns the text form of the record `header`, whose ids are as the reader is to see them,
    /// with its `text`.
    pub(crate) fn new(header: &'a Header, text: &'a [u8], keys: Keys) -> Self {
        Self {
            header,
            text,
            keys,
            cut: 0,
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

    /// Leaves out the end of the text so that the whole has at most `room` bytes. Returns false if
    /// `room` is too small for what is around the text.
    pub(crate) fn fit(&mut self, room: usize) -> bool {
        // Nearly always true, and cheaper than the length.
        if HEAD_MAX + 4 * self.text.len() + TAIL_MAX <= room {
            return true;
        }
        let len = self.len();
        if len <= room {
            return true;
        }
        let escaped_len = |text: &[u8]| text.iter().map(|byte| escape_len(*byte)).sum::<usize>();
        let cut_key = match self.keys {
            Keys::None => 0,
            // The number has at most as many digits as that of all bytes.
            Keys::All(_) => b" CUT=\n".len() + self.text.len().max(1).ilog10() as usize + 1,
        };
        let around = len - escaped_len(self.text) + cut_key;
        let Some(mut left) = room.checked_sub(around) else {
            return false;
        };
        let fits = |byte: &&u8| match left.checked_sub(escape_len(**byte)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let kept = self.text.iter().take_while(fits).count();
        self.cut += self.text.len() - kept;
        self.text = &self.text[..kept];
        true
    }

    /// Hands the text form to `sink` in chunks. Stops and returns false when `sink` returns false.
    pub(crate) fn write(&self, sink: impl FnMut(&[u8]) -> bool) -> bool {
        let mut memory = uninit::<CHUNK_SIZE>();
        let mut out = Chunks {
            chunk: Buffer::new(&mut memory),
            sink,
            good: true,
        };
        let header = self.header;
        out.decimal(header.priority.value().into());
        out.push(b",");
        out.decimal(header.seq);
        out.push(b",");
        out.decimal(header.time_ns / 1000);
        out.push(if header.continues { b",c;" } else { b",-;" });
        out.escaped(self.text);
        if let Keys::All(lost) = self.keys {
            let ids = header.writer.ids;
            out.push(b"\n PID=");
            out.decimal(ids.pid.into());
            out.push(b"\n TID=");
            out.decimal(ids.tid.into());
            out.push(b"\n UID=");
            out.decimal(ids.uid.into());
            out.push(b"\n COMM=");
            out.name(&header.writer.comm);
            if ids.opener != ids.uid {
                out.push(b"\n OPENER=");
                out.decimal(ids.opener.into());
            }
            if lost > 0 {
                out.push(b"\n LOST=");
                out.decimal(lost);
            }
            if self.cut > 0 {
                out.push(b"\n CUT=");
                out.decimal(self.cut as u64);
            }
        }
        out.push(b"\n");
        out.flush();
        out.good
    }
}

/// Collects bytes and hands them to `sink` in chunks.
struct Chunks<'m, S> {
    chunk: Buffer<'m>,
    sink: S,
    /// `sink` has not returned false yet.
    good: bool,
}

impl<S: FnMut(&[u8]) -> bool> Chunks<'_, S> {
    /// Hands on the bytes that were collected.
    fn flush(&mut self) {
        self.good = self.good && (self.sink)(self.chunk.as_slice());
        self.chunk.clear();
    }

    /// Adds `bytes`.
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if !self.chunk.push(bytes) {
            self.push_to_next(bytes);
        }
    }

    /// Adds `bytes`, for which the chunk has no room.
    #[inline(never)]
    fn push_to_next(&mut self, bytes: &[u8]) {
        self.flush();
        if !self.chunk.push(bytes) {
            self.good = self.good && (self.sink)(bytes);
        }
    }

    /// Adds `bytes` of which only the first `len` count.
    #[inline]
    fn push_first<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        if !self.chunk.push_first(bytes, len) {
            self.push_to_next(&bytes[..len]);
        }
    }

    /// Adds `value` in decimal.
    #[inline]
    fn decimal(&mut self, value: u64) {
        if value >= 10_000 {
            self.long_decimal(value);
        } else {
            // Without the zeros at the front, but with one digit.
            let digits = u32::from_le_bytes(four_digits(value));
            let zeros = ((digits ^ 0x3030_3030) | (1 << 24)).trailing_zeros() / 8;
            self.push_first((digits >> (8 * zeros)).to_le_bytes(), 4 - zeros as usize);
        }
    }

    /// Adds `value`, which has more than four digits, in decimal.
    #[inline(never)]
    fn long_decimal(&mut self, value: u64) {
        self.decimal(value / 10_000);
        self.push(&four_digits(value % 10_000));
    }

    /// Adds a command name, which ends before its first zero, escaped.
    fn name(&mut self, comm: &[u8; COMM_LEN]) {
        let is_plain = |byte: &&u8| !needs_escape(**byte);
        let plain = comm.iter().take_while(is_plain).count();
        if comm.get(plain).is_none_or(|byte| *byte == 0) {
            self.push_first(*comm, plain);
        } else {
            let name = comm.split(|byte| *byte == 0).next();
            self.escape_each(name.unwrap_or(comm));
        }
    }

    /// Adds `text`, escaped.
    fn escaped(&mut self, text: &[u8]) {
        let mut rest = text;
        loop {
            let (plain, other) = rest.split_at(plain_len(rest));
            if !plain.is_empty() {
                self.push(plain);
            }
            let Some((word, later)) = other.split_first_chunk::<8>() else {
                return self.escape_each(other);
            };
            if u64::from_ne_bytes(*word) & HIGHEST == HIGHEST {
                // As most of a text that is not ASCII: all escapes have the same length.
                self.push(word.map(|byte| ESCAPES[usize::from(byte)]).as_flattened());
            } else {
                self.escape_each(word);
            }
            rest = later;
        }
    }

    /// Adds `text`, escaped, byte by byte.
    fn escape_each(&mut self, text: &[u8]) {
        for byte in text {
            let escape = ESCAPES[usize::from(*byte)];
            self.push_first(escape, escape_len(*byte));
        }
    }
}

/// Returns the four digits of `value`, which must be less than 10,000.
fn four_digits(value: u64) -> [u8; 4] {
    let ([a, b], [c, d]) = (PAIRS[(value / 100) as usize], PAIRS[(value % 100) as usize]);
    [a, b, c, d]
}

/// Returns whether `byte` is outside printable ASCII, or the escape character itself.
const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte > b'~' || byte == b'\\'
}

/// Returns the length of `byte` in the text form.
fn escape_len(byte: u8) -> usize {
    if ESCAPES[usize::from(byte)][0] == b'\\' {
        4
    } else {
        1
    }
}

/// For each byte `\xNN` if it needs an escape, otherwise the byte itself and zeros.
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

/// The numbers from 0 to 99 in two digits each.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Returns the length of the beginning of `text`, in whole words of 8 bytes, in which no byte needs
/// an escape.
fn plain_len(text: &[u8]) -> usize {
    let words = text.chunks_exact(8);
    8 * words
        .take_while(|word| is_plain(u64::from_ne_bytes(array(word))))
        .count()
}

/// Returns a word with `byte` in each of its 8 bytes.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte of a word.
const HIGHEST: u64 = each(0x80);

/// Returns whether none of the 8 bytes of `word` needs an escape.
fn is_plain(word: u64) -> bool {
    // The highest bit of a byte is set in one of these if the byte is below a space, if it is 0x7f
    // or not ASCII, and if it is a backslash. A borrow or carry into the next byte can only come
    // from a byte that needs an escape.
    let control = word.wrapping_sub(each(b' '));
    let delete = word.wrapping_add(each(1));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    (control | delete | backslash | word) & HIGHEST == 0
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_text)]
mod tests {
    use super::*;
    use crate::pure::record::{
        Ids,
        Priority,
        Writer, //
    };
    use kernel::prelude::*;

    /// Returns what `write` adds.
    fn collect(write: impl FnOnce(&mut Chunks<'_, &mut dyn FnMut(&[u8]) -> bool>)) -> KVec<u8> {
        let mut all = KVec::new();
        let mut sink = |chunk: &[u8]| all.extend_from_slice(chunk, GFP_KERNEL).is_ok();
        let mut memory = uninit::<CHUNK_SIZE>();
        let mut out = Chunks {
            chunk: Buffer::new(&mut memory),
            sink: &mut sink as _,
            good: true,
        };
        write(&mut out);
        out.flush();
        assert!(out.good);
        all
    }

    #[test]
    fn escapes_at_their_bounds() {
        for (byte, escaped) in [
            (0x1f, &b"\\x1f"[..]),
            (b' ', b" "),
            (b'~', b"~"),
            (0x7f, b"\\x7f"),
            (b'\\', b"\\x5c"),
            (0xa5, b"\\xa5"),
            (0xff, b"\\xff"),
        ] {
            assert_eq!(&collect(|out| out.escaped(&[byte]))[..], escaped);
        }
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
            (u64::MAX, b"18446744073709551615"),
        ] {
            assert_eq!(&collect(|out| out.decimal(value))[..], digits);
        }
    }

    /// Each byte that needs an escape is found at each place of a word, alone and before another.
    #[test]
    fn plain_up_to_the_first_special() {
        for special in [0, 31, b'\\', 127, 128, 255] {
            for at in 0..40 {
                let mut text = [b'~'; 40];
                assert_eq!(plain_len(&text), 40);
                text[at] = special;
                assert_eq!(plain_len(&text), at / 8 * 8);
                text[39] = 0;
                assert_eq!(plain_len(&text), at / 8 * 8);
            }
        }
    }

    /// The chunks of a text form are all of it, wherever the text ends in the last one.
    #[test]
    fn chunks_are_the_whole() {
        let writer = Writer {
            ids: Ids {
                pid: 1,
                tid: 2,
                uid: 3,
                opener: 3,
            },
            comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let header = Header {
            seq: 4,
            time_ns: 5000,
            text_len: 0,
            priority: Priority::DEFAULT,
            continues: false,
            writer,
        };
        let text = [b'x'; CHUNK_SIZE + 1];
        let around = KmsgFormat::new(&header, b"", Keys::All(0)).len();
        for len in CHUNK_SIZE - 250..=text.len() {
            let form = KmsgFormat::new(&header, &text[..len], Keys::All(0));
            let mut written = 0;
            let complete = form.write(|chunk| {
                written += chunk.len();
                true
            });
            assert!(complete);
            assert_eq!(written, around + len);
        }
    }
}
