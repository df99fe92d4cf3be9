// SPDX-License-Identifier: GPL-2.0

//! One record: the parts that a write gives, the header in the ring, and the header in the binary
//! format of a read.

/// Maximum length in bytes of the prefix `<N>` of a text, `<2047>`.
pub(crate) const PREFIX_MAX: usize = 6;

/// Maximum number of bytes that a write in text format has besides the text: the prefix and a
/// newline.
pub(crate) const DECORATION_MAX: usize = PREFIX_MAX + 1;

/// Size in bytes of the header of a record in the ring, a multiple of [`ALIGN`].
pub(crate) const HEADER_SIZE: usize = 56;

/// Alignment of records in the ring in bytes.
pub(crate) const ALIGN: usize = 8;

/// Length of a command name in bytes, zero padding included (`TASK_COMM_LEN`).
pub(crate) const COMM_LEN: usize = 16;

/// Returns the size in bytes of a record in the ring, with its header and padding.
pub(crate) const fn stored_size(text_len: usize) -> usize {
    padded(HEADER_SIZE + text_len)
}

/// Returns the size in bytes of a record in binary format, with its header and padding.
pub(crate) const fn binary_size(text_len: usize) -> usize {
    padded(BINARY_HEADER_SIZE + text_len)
}

/// Rounds `len` up to a multiple of [`ALIGN`]. All paths call this, and it is cheaper than
/// `next_multiple_of()`.
#[inline]
pub(super) const fn padded(len: usize) -> usize {
    (len + (ALIGN - 1)) & !(ALIGN - 1)
}

/// Size in bytes of `struct umsg_record` of `uapi/umsg.h`.
pub(crate) const BINARY_HEADER_SIZE: usize = 64;

/// `UMSG_RECORD_CONTINUES` of `uapi/umsg.h`, the only flag of a record.
pub(crate) const FLAG_CONTINUES: u8 = 1 << 0;

/// The header of a record.
///
/// In the ring it is stored before the text in native byte order. The layout matches `struct
/// umsg_record` of `uapi/umsg.h` except for `lost`, so that [`Header::binary`] is a few copies of
/// fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Sequence number. The first record of a log has 0, each further record one more.
    pub(crate) seq: u64,
    /// Time of the write in nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) time_ns: u64,
    /// Length of the text in bytes.
    pub(crate) text_len: u32,
    /// Facility and level.
    pub(crate) priority: Priority,
    /// Whether the record continues the line of the record that its writer stored before.
    pub(crate) continues: bool,
    /// The identity of the writer.
    pub(crate) writer: Writer,
}

impl Header {
    /// Encodes the header for the ring.
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

    /// Splits a stored record into its header and its text. Returns `None` if it is incomplete.
    pub(crate) fn split(stored: &[u8]) -> Option<(Self, &[u8])> {
        let (header, body) = stored.split_first_chunk()?;
        let header = Self::decode(header);
        Some((header, body.get(..header.text_len as usize)?))
    }

    /// Decodes the bytes from [`Header::encode`].
    pub(crate) fn decode(stored: &[u8; HEADER_SIZE]) -> Self {
        let long = |at: usize| u64::from_ne_bytes(array(&stored[at..at + 8]));
        Self {
            seq: long(8),
            time_ns: long(16),
            text_len: Self::text_len_of(stored) as u32,
            continues: stored[1] == FLAG_CONTINUES,
            // INVARIANT: `encode` stored the value of a `Priority`.
            priority: Priority(u16::from_ne_bytes(array(&stored[2..4]))),
            writer: Writer {
                ids: Ids::decode(&stored[24..40]),
                comm: array(&stored[40..56]),
            },
        }
    }

    /// Returns the header of a record in binary format (`struct umsg_record`), made from a stored
    /// header.
    ///
    /// `map_ids` converts the ids for the reader's namespaces. `lost` is the number of records that
    /// the reader lost immediately before this one.
    #[inline]
    pub(crate) fn binary(
        stored: &[u8],
        map_ids: impl FnOnce(Ids) -> Ids,
        lost: u64,
    ) -> [u8; BINARY_HEADER_SIZE] {
        let mut out = [0; BINARY_HEADER_SIZE];
        out[0..24].copy_from_slice(&stored[0..24]);
        out[24..32].copy_from_slice(&lost.to_ne_bytes());
        out[32..48].copy_from_slice(&map_ids(Ids::decode(&stored[24..40])).encode());
        out[48..64].copy_from_slice(&stored[40..56]);
        out
    }

    /// Returns the length of the text in bytes from a stored header.
    pub(crate) fn text_len_of(stored: &[u8]) -> usize {
        u32::from_ne_bytes(array(&stored[4..8])) as usize
    }

    /// Returns the time of the write in nanoseconds from a stored header.
    pub(crate) fn time_of(stored: &[u8]) -> u64 {
        u64::from_ne_bytes(array(&stored[16..24]))
    }
}

/// The identity of the writer of a record at the time of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// The ids of the writer.
    pub(crate) ids: Ids,
    /// Command name of the thread, padded with zeros.
    pub(crate) comm: [u8; COMM_LEN],
}

/// The ids of the writer of a record. In the ring they are those of the initial pid and user
/// namespaces, in the output of a read those of the reader's namespaces.
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
    /// Size in bytes of the encoded ids.
    const SIZE: usize = 16;

    /// Encodes the ids in native byte order.
    fn encode(self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[0..4].copy_from_slice(&self.pid.to_ne_bytes());
        out[4..8].copy_from_slice(&self.tid.to_ne_bytes());
        out[8..12].copy_from_slice(&self.uid.to_ne_bytes());
        out[12..16].copy_from_slice(&self.opener.to_ne_bytes());
        out
    }

    /// Decodes the bytes from [`Ids::encode`].
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

/// A syslog priority: the facility times 8 plus the level (RFC 5424, section 6.2.1).
///
/// # Invariants
///
/// At most [`Priority::MAX`]. The facility is not 0 (kern), which is reserved for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Priority(u16);

impl Priority {
    /// The maximum: 8 bits of facility and 3 bits of level, as in `/dev/kmsg`.
    pub(crate) const MAX: u16 = (0xff << 3) | 7;

    /// Facility user, level info: the priority of a text without a prefix, unless the open file has
    /// another one. `UMSG_PRIORITY_DEFAULT` of `uapi/umsg.h`.
    pub(crate) const DEFAULT: Self = Self((1 << 3) | 6);

    /// Checks the priority that a write gives. Returns `None` if it is out of range.
    ///
    /// Facility 0 (kern) is reserved for the kernel. As in `/dev/kmsg`, it is replaced by 1 (user).
    pub(crate) fn new(value: u16) -> Option<Self> {
        match value {
            0..=7 => Some(Self((1 << 3) | value)),
            8..=Self::MAX => Some(Self(value)),
            _ => None,
        }
    }

    /// Implements [`Priority::new`] for a number of an ioctl.
    pub(crate) fn from_u32(value: u32) -> Option<Self> {
        Self::new(u16::try_from(value).ok()?)
    }

    /// Returns the priority as a number.
    pub(crate) fn value(self) -> u16 {
        self.0
    }
}

/// Splits the data of a write into the priority and the text of a record.
///
/// A prefix `<N>` with `N` from 0 to 2047 (at most four digits) sets the priority, which is
/// `default` without one. Any other data that begins with `<` is text. One trailing newline is
/// removed.
#[inline]
pub(crate) fn parse_text(data: &[u8], default: Priority) -> (Priority, &[u8]) {
    let (priority, text) = match parse_prefix(data) {
        Prefix::Priority(priority, text) => (priority, text),
        Prefix::None | Prefix::Incomplete => (default, data),
    };
    (priority, text.strip_suffix(b"\n").unwrap_or(text))
}

/// The result of [`parse_prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix<'a> {
    /// A priority, and the text after the prefix.
    Priority(Priority, &'a [u8]),
    /// No prefix.
    None,
    /// The data ends before it is clear whether this is a prefix.
    Incomplete,
}

/// Parses a prefix `<N>` at the beginning of `data`.
#[inline]
pub(crate) fn parse_prefix(data: &[u8]) -> Prefix<'_> {
    match data {
        [b'<', rest @ ..] => parse_priority(rest),
        _ => Prefix::None,
    }
}

/// Parses the prefix after its `<`.
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

/// Converts a slice of length `N` to an array.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_record)]
mod tests {
    use super::*;

    /// Checks the size in the ring if the length of the text is around a multiple of 8.
    #[test]
    fn stored_sizes() {
        for (text_len, size) in [(0, 56), (1, 64), (7, 64), (8, 64), (9, 72), (65536, 65592)] {
            assert_eq!(stored_size(text_len), size);
        }
    }

    /// Checks the smallest and largest prefixes, and that other texts with `<` have no prefix.
    #[test]
    fn prefix_bounds() {
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
            let parsed = parse_text(data, Priority::DEFAULT);
            assert_eq!(parsed, (Priority(value), text));
        }
    }
}
