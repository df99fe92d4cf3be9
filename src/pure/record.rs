// SPDX-License-Identifier: GPL-2.0

//! One record: what a writer gives, what the ring stores, and the binary form a reader gets.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

/// Longest prefix of a write that is not part of the record's text, in bytes: `<2047>`.
pub(crate) const PREFIX_MAX: usize = 6;

/// The same, and a newline.
pub(crate) const DECORATION_MAX: usize = PREFIX_MAX + 1;

/// Size of a stored header in bytes. A multiple of [`ALIGN`].
pub(crate) const HEADER_SIZE: usize = 56;

/// Alignment of a stored record, in bytes.
pub(crate) const ALIGN: usize = 8;

/// Length of a command name in bytes, as the kernel's `TASK_COMM_LEN`; padded with zeros.
pub(crate) const COMM_LEN: usize = 16;

/// Bytes that a record with `text_len` bytes of text takes in the ring, header and padding
/// included.
pub(crate) const fn stored_size(text_len: usize) -> usize {
    padded(HEADER_SIZE + text_len)
}

/// `len` rounded up to [`ALIGN`]: every path asks, and `next_multiple_of()` takes twice as long.
#[inline(always)]
pub(super) const fn padded(len: usize) -> usize {
    (len + (ALIGN - 1)) & !(ALIGN - 1)
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

    /// The priority as a number.
    pub(crate) fn value(self) -> u16 {
        self.0
    }
}

/// Splits what a writer gave into the priority and the text of a record.
///
/// A leading `<N>` with `N` from 0 to 2047 (at most four digits) sets the priority; anything else
/// that begins with `<` is text. One trailing newline is dropped.
#[inline(always)]
pub(crate) fn parse_text(data: &[u8]) -> (Priority, &[u8]) {
    let (priority, text) = match parse_prefix(data) {
        Prefix::Priority(priority, text) => (priority, text),
        Prefix::None | Prefix::Incomplete => (Priority::DEFAULT, data),
    };
    (priority, text.strip_suffix(b"\n").unwrap_or(text))
}

/// What a text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix<'a> {
    /// A priority; the text follows it.
    Priority(Priority, &'a [u8]),
    /// No priority.
    None,
    /// The beginning of one, perhaps: that depends on what follows.
    Incomplete,
}

/// Looks for a priority, `<N>`, at the beginning of `data`.
#[inline(always)]
pub(crate) fn parse_prefix(data: &[u8]) -> Prefix<'_> {
    match data {
        [b'<', rest @ ..] => parse_priority(rest),
        _ => Prefix::None,
    }
}

/// The same, from behind the `<`.
fn parse_priority(mut rest: &[u8]) -> Prefix<'_> {
    let mut value = 0;
    for digits in 0..=4 {
        match rest {
            [] => return Prefix::Incomplete,
            [digit @ b'0'..=b'9', tail @ ..] if digits < 4 => {
                value = value * 10 + u16::from(*digit - b'0');
                rest = tail;
            }
            [b'>', text @ ..] if digits > 0 => {
                return Priority::new(value)
                    .map_or(Prefix::None, |priority| Prefix::Priority(priority, text));
            }
            _ => break,
        }
    }
    Prefix::None
}

/// The ids of who wrote a record. In a stored record they are those of the initial pid and user
/// namespaces, in what a reader gets those of the reader's namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Process id (thread group).
    pub(crate) pid: u32,
    /// Thread id.
    pub(crate) tid: u32,
    /// Real user id of the writer.
    pub(crate) uid: u32,
    /// Effective user id of the task that opened the file.
    pub(crate) opener: u32,
}

impl Ids {
    /// Size in bytes where they are stored.
    const SIZE: usize = 16;

    /// Returns the ids as they are stored.
    fn encode(self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[0..4].copy_from_slice(&self.pid.to_ne_bytes());
        out[4..8].copy_from_slice(&self.tid.to_ne_bytes());
        out[8..12].copy_from_slice(&self.uid.to_ne_bytes());
        out[12..16].copy_from_slice(&self.opener.to_ne_bytes());
        out
    }

    /// Reads back what [`Ids::encode`] wrote.
    fn decode(stored: &[u8]) -> Self {
        let word = |at: usize| u32::from_ne_bytes(array(&stored[at..at + 4]));
        Self {
            pid: word(0),
            tid: word(4),
            uid: word(8),
            opener: word(12),
        }
    }
}

/// Who wrote a record, as the kernel saw it at the time of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// The ids of the writer.
    pub(crate) ids: Ids,
    /// Command name of the thread, padded with zeros.
    pub(crate) comm: [u8; COMM_LEN],
}

/// What is stored beside the text of a record.
///
/// In the ring it is before the text, as `struct umsg_record` of `uapi/umsg.h` without `lost`, so
/// that [`Header::binary`] has little to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Sequence number: the first record of a log is 0, each further one is one more.
    pub(crate) seq: u64,
    /// Time of the write in nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) time_ns: u64,
    /// Length of the text in bytes.
    pub(crate) text_len: u32,
    /// Facility and level.
    pub(crate) priority: Priority,
    /// It continues the line of the record that its writer stored before.
    pub(crate) continues: bool,
    /// Who wrote it.
    pub(crate) writer: Writer,
}

impl Header {
    /// The header as it is stored.
    pub(crate) fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut out = [0; HEADER_SIZE];
        out[0] = BINARY_HEADER_SIZE as u8;
        out[1] = if self.continues { FLAG_CONTINUES } else { 0 };
        out[2..4].copy_from_slice(&self.priority.0.to_ne_bytes());
        out[4..8].copy_from_slice(&self.text_len.to_ne_bytes());
        out[8..16].copy_from_slice(&self.seq.to_ne_bytes());
        out[16..24].copy_from_slice(&self.time_ns.to_ne_bytes());
        out[24..40].copy_from_slice(&self.writer.ids.encode());
        out[40..56].copy_from_slice(&self.writer.comm);
        out
    }

    /// Length of the text in bytes, from a stored header.
    pub(crate) fn text_len_of(stored: &[u8]) -> usize {
        u32::from_ne_bytes(array(&stored[4..8])) as usize
    }

    /// Time of the write in nanoseconds, from a stored header.
    pub(crate) fn time_of(stored: &[u8]) -> u64 {
        u64::from_ne_bytes(array(&stored[16..24]))
    }

    /// Splits a stored record into its header and its text; `None` if the record is incomplete.
    pub(crate) fn split(stored: &[u8]) -> Option<(Self, &[u8])> {
        let (header, body) = stored.split_first_chunk()?;
        let header = Self::decode(header);
        Some((header, body.get(..header.text_len as usize)?))
    }

    /// Reads back what [`Header::encode`] wrote.
    pub(crate) fn decode(stored: &[u8; HEADER_SIZE]) -> Self {
        let long = |at: usize| u64::from_ne_bytes(array(&stored[at..at + 8]));
        Self {
            seq: long(8),
            time_ns: long(16),
            text_len: Self::text_len_of(stored) as u32,
            continues: stored[1] == FLAG_CONTINUES,
            // INVARIANT: `encode` stored a priority that held it.
            priority: Priority(u16::from_ne_bytes(array(&stored[2..4]))),
            writer: Writer {
                ids: Ids::decode(&stored[24..40]),
                comm: array(&stored[40..56]),
            },
        }
    }
}

/// Size of the header of a frame in bytes: `struct umsg_record` of `uapi/umsg.h`.
pub(crate) const BINARY_HEADER_SIZE: usize = 64;

/// `UMSG_RECORD_CONTINUES` of `uapi/umsg.h`, the only flag of a record.
pub(crate) const FLAG_CONTINUES: u8 = 1 << 0;

/// Bytes of the frame of a record with `text_len` bytes of text, padding included.
pub(crate) const fn binary_size(text_len: usize) -> usize {
    padded(BINARY_HEADER_SIZE + text_len)
}

impl Header {
    /// Returns the header of the record's frame, which a reader gets in binary format: `struct
    /// umsg_record`; from a stored header.
    ///
    /// `seen` returns the ids as the reader is to see them. `lost` is the number of records that
    /// the reader missed just before this one.
    #[inline]
    pub(crate) fn binary(
        stored: &[u8],
        seen: impl FnOnce(Ids) -> Ids,
        lost: u64,
    ) -> [u8; BINARY_HEADER_SIZE] {
        let mut out = [0; BINARY_HEADER_SIZE];
        out[0..24].copy_from_slice(&stored[0..24]);
        out[24..32].copy_from_slice(&lost.to_ne_bytes());
        out[32..48].copy_from_slice(&seen(Ids::decode(&stored[24..40])).encode());
        out[48..64].copy_from_slice(&stored[40..56]);
        out
    }
}

/// A slice of known length as an array.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
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
            assert_eq!(parse_text(data), (Priority(value), text));
        }
    }
}
