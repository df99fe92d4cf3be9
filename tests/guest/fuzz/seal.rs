// SPDX-License-Identifier: GPL-2.0

//! Sealed texts: record texts that contain their writer's identity and a checksum, so that a reader
//! can verify both.
//!
//! A sealed text is `SEAL`, a head of hexadecimal numbers, any bytes, and a checksum of all of
//! these. The head determines all other bytes, so that a part of the text can be checked, too. No
//! other text begins with `SEAL`.

use crate::abi::{Frame, Record};

const MARK: &[u8] = b"SEAL";
/// The length of `MARK` and the head.
const HEAD: usize = 4 + 3 + 6 + 6 + 1 + 1 + 1 + 1 + 5 + 5 + 3;
/// The length of the shortest sealed text.
pub const LEAST: usize = HEAD + 16;

/// A write in the style `lines` of up to this many bytes is atomic (`LOCKED_MAX` in `src/log.rs`).
pub const AT_ONCE: usize = 8192;

/// The length of the longest prefix of a line.
const PREFIX_MAX: usize = 6;

/// The priorities of texts without a prefix: `user.info`, until the priority of the open file is
/// set to another one of these (UMSG_IOC_SET_PRIORITY). Any thread can set it.
pub const DEFAULTS: [u16; 2] = [14, 22];

/// Returns whether a record has the priority `wanted`, which is the first of [`DEFAULTS`] for a
/// text without a prefix.
pub fn is_priority(priority: u16, wanted: u16) -> bool {
    priority == wanted || wanted == DEFAULTS[0] && DEFAULTS.contains(&priority)
}

/// The user id without rights (overflowuid).
pub const NOBODY: u32 = 65534;

/// The writer of a sealed text.
#[derive(Clone, Copy, Debug)]
pub struct Author {
    /// The thread id; 0 if an io_uring worker of the kernel may write for the thread.
    pub tid: u32,
    pub pid: u32,
    /// Whether the real user id is [`NOBODY`].
    pub nobody: bool,
    /// Whether the effective user id was [`NOBODY`] when the file was opened, if that is known.
    pub opener: Option<bool>,
    /// The tag of the log.
    pub log: u16,
}

/// How the module stores the text of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// As one record.
    Record,
    /// As lines. No other thread writes to the same stream.
    Lines,
    /// As one record or as lines. Other threads may write to the same stream.
    Unknown,
}

/// How the module may store a sealed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As one record.
    Whole,
    /// With its newline, so that no other text follows in its record.
    Closed,
    /// Without a newline. The same thread may add to it.
    Mine,
    /// Without a newline. Any thread of the process may add to it.
    Open,
    /// As one record if the write is in binary format, otherwise in the middle of a line.
    Entry,
}

const KINDS: [Kind; 5] = [Kind::Whole, Kind::Closed, Kind::Mine, Kind::Open, Kind::Entry];

/// The head of a sealed text.
#[derive(Clone, Copy, Debug)]
struct Head {
    priority: u16,
    author: Author,
    kind: Kind,
    /// The text has a priority prefix.
    prefixed: bool,
    /// The length of the whole text.
    len: usize,
    /// The number of bytes at the beginning that other text cannot interrupt.
    sure: usize,
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns the priority of a record whose prefix is `given`. Facility 0 is replaced by 1 (user).
pub fn effective(given: Option<u16>) -> u16 {
    match given {
        None => DEFAULTS[0],
        Some(level @ 0..8) => 8 + level,
        Some(priority) => priority,
    }
}

/// The error for a text that begins with `MARK` but has no valid head.
struct Damaged;

impl Head {
    /// Fills `out`, whose length is that of the text.
    fn fill(&self, out: &mut [u8]) {
        let Self { priority, author, kind, prefixed, len, sure } = *self;
        let head = format!(
            "SEAL{priority:03x}{:06x}{:06x}{}{}{}{}{len:05x}{sure:05x}{:03x}",
            author.tid,
            author.pid,
            u8::from(author.nobody),
            author.opener.map_or(2, u8::from),
            kind as u8,
            u8::from(prefixed),
            author.log,
        );
        out[..HEAD].copy_from_slice(head.as_bytes());
        let (body, sum) = out.split_at_mut(len - 16);
        for (i, byte) in body[HEAD..].iter_mut().enumerate() {
            // All byte values occur, but most bytes are letters.
            let any = (i * 31 + len) as u8;
            let good = any != b'\n' || matches!(kind, Kind::Whole | Kind::Entry);
            *byte = if i % 8 == 0 && good { any } else { b'a' + (i % 26) as u8 };
        }
        sum.copy_from_slice(format!("{:016x}", checksum(body)).as_bytes());
    }

    /// Returns the head at the beginning of `text`, if there is one. Fails if the head is damaged.
    fn parse(text: &[u8]) -> Result<Option<Self>, Damaged> {
        if !text.starts_with(MARK) || text.len() < HEAD {
            return Ok(None);
        }
        let mut at = MARK.len();
        let mut number = |digits: usize| {
            at += digits;
            let word = std::str::from_utf8(&text[at - digits..at]).map_err(|_| Damaged)?;
            u32::from_str_radix(word, 16).map_err(|_| Damaged)
        };
        let priority = number(3)? as u16;
        let (tid, pid) = (number(6)?, number(6)?);
        let nobody = number(1)? == 1;
        let openers = [Some(false), Some(true), None];
        let opener = *openers.get(number(1)? as usize).ok_or(Damaged)?;
        let kind = *KINDS.get(number(1)? as usize).ok_or(Damaged)?;
        let prefixed = number(1)? == 1;
        let (len, sure) = (number(5)? as usize, number(5)? as usize);
        let author = Author { tid, pid, nobody, opener, log: number(3)? as u16 };
        Ok(Some(Self { priority, author, kind, prefixed, len, sure }))
    }

    /// Returns whether the record was stored by the write that completed it, with the time of that
    /// write.
    fn is_live(&self) -> bool {
        match self.kind {
            Kind::Whole | Kind::Entry => true,
            Kind::Closed => self.sure == self.len,
            Kind::Mine | Kind::Open => false,
        }
    }
}

/// Fills `text`, which has at least [`LEAST`] bytes, with a sealed text for an entry. `certain`:
/// the file is certainly in binary format.
pub fn seal_entry(text: &mut [u8], priority: u16, author: Author, certain: bool) {
    let (priority, len) = (effective(Some(priority)), text.len());
    let kind = if certain { Kind::Whole } else { Kind::Entry };
    Head { priority, author, kind, prefixed: false, len, sure: len }.fill(text);
}

/// Fills `out`, which is at the offset `at` of a write of `total` bytes, with a sealed text between
/// an optional prefix and an optional newline. Returns false if `out` is too short.
pub fn seal_line(
    out: &mut [u8],
    (at, total): (usize, usize),
    priority: Option<u16>,
    newline: bool,
    author: Author,
    taken: Taken,
) -> bool {
    let prefix = priority.map_or(String::new(), |priority| format!("<{priority}>"));
    let around = prefix.len() + usize::from(newline);
    let Some(len) = out.len().checked_sub(around).filter(|len| *len >= LEAST) else {
        return false;
    };
    let kind = match taken {
        Taken::Record => Kind::Whole,
        _ if newline => Kind::Closed,
        Taken::Lines => Kind::Mine,
        Taken::Unknown => Kind::Open,
    };
    let sure = match kind {
        _ if total <= AT_ONCE => len,
        Kind::Whole => len,
        _ => AT_ONCE.saturating_sub(at + prefix.len()).min(len),
    };
    let text = &mut out[prefix.len()..][..len];
    let (priority, prefixed) = (effective(priority), priority.is_some());
    Head { priority, author, kind, prefixed, len, sure }.fill(text);
    out[..prefix.len()].copy_from_slice(prefix.as_bytes());
    if newline {
        *out.last_mut().expect("a newline") = b'\n';
    }
    true
}

/// Returns the length of the text that a write of `data` in the style `kmsg` stores: see
/// "Writing" in umsg(4).
pub fn text_len(data: &[u8]) -> usize {
    crate::model::parsed(data).1.len()
}

/// Converts a binary record.
pub fn of_frame(frame: Frame) -> Record {
    Record {
        priority: frame.priority,
        seq: frame.seq,
        usec: frame.time_ns / 1000,
        continues: frame.continues,
        text: frame.text,
        pid: frame.pid as i32,
        tid: frame.tid as i32,
        uid: frame.uid,
        comm: frame.comm,
        opener: frame.opener,
        lost: frame.lost,
        cut: 0,
    }
}

/// The format that a record was read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the identity of its writer.
    Keys,
    /// Without the identity of its writer.
    Plain,
    /// Without the identity of its writer, and perhaps without the end of the text.
    PlainCut,
}

/// Checks a record of the log `log` that a thread of the fuzzer wrote. Returns whether the time of
/// the record is certainly the time at which it was stored.
pub fn check(record: &Record, form: Form, record_max: usize, log: u16) -> bool {
    let total = record.text.len() + record.cut;
    assert!(total <= record_max, "{total} bytes of text");
    assert!((8..2048).contains(&record.priority), "priority {}", record.priority);
    if form == Form::Keys {
        assert!(record.pid > 0 && record.tid > 0, "written by {}/{}", record.pid, record.tid);
        for user in [record.uid, record.opener] {
            assert!([0, NOBODY].contains(&user), "written by user {user}");
        }
    }
    let head = match Head::parse(&record.text) {
        Ok(Some(head)) => head,
        Ok(None) => return false,
        Err(Damaged) => {
            // The previous record was full just before a sealed text, and another thread wrote
            // after the first bytes of that text. This happens only in the middle of a line.
            let text = record.text.escape_ascii();
            assert!(record.continues, "the head in record {} is damaged: {text}", record.seq);
            return false;
        }
    };
    assert_eq!(head.author.log, log, "record {} was written to another log: {head:?}", record.seq);
    if head.kind == Kind::Entry && record.continues {
        return false;
    }
    let mut whole = vec![0; head.len];
    head.fill(&mut whole);
    let sure = head.sure.min(record_max);
    let there = sure.min(record.text.len());
    assert!(record.text[..there] == whole[..there], "record {} is torn: {head:?}", record.seq);
    if form != Form::PlainCut {
        let good = match head.kind {
            Kind::Whole | Kind::Entry => total == head.len,
            Kind::Closed if head.sure == head.len => total == sure,
            _ => total >= sure,
        };
        assert!(good, "record {} has {total} bytes of text: {head:?}", record.seq);
    }
    check_priority(record, &head);
    if form == Form::Keys {
        check_author(record, &head);
    }
    head.is_live()
}

fn check_priority(record: &Record, head: &Head) {
    let good = match head.kind {
        Kind::Whole if !head.prefixed => {
            is_priority(record.priority, head.priority) && !record.continues
        }
        Kind::Whole | Kind::Entry => record.priority == head.priority && !record.continues,
        // The previous record was full just before this text.
        _ if record.continues => true,
        _ if head.prefixed => record.priority == head.priority,
        // The text may follow one of the two valid prefixes that `raw()` in `lines.rs` writes.
        _ => record.priority == 15 || DEFAULTS.contains(&record.priority),
    };
    assert!(good, "priority {} of record {}: {head:?}", record.priority, record.seq);
}

fn check_author(record: &Record, head: &Head) {
    let Author { tid, pid, nobody, opener, .. } = head.author;
    assert_eq!(record.pid as u32, pid, "the process of record {}", record.seq);
    // Another thread may write the end of a line whose beginning is kept as a partial line.
    let is_alone = match head.kind {
        Kind::Open => false,
        Kind::Closed => head.sure == head.len,
        Kind::Whole | Kind::Mine | Kind::Entry => true,
    };
    if tid != 0 && is_alone {
        assert_eq!(record.tid as u32, tid, "the thread of record {}", record.seq);
    }
    assert_eq!(record.uid == NOBODY, nobody, "the user of record {}", record.seq);
    if let Some(opener) = opener {
        assert_eq!(record.opener == NOBODY, opener, "the opener of record {}", record.seq);
    }
}

/// Returns the length of the longest line with `record_max` bytes of text, including its prefix and
/// newline.
pub const fn line_max(record_max: usize) -> usize {
    record_max + PREFIX_MAX + 1
}
