// SPDX-License-Identifier: GPL-2.0

//! Plain models of the module's pure code: what the tests and the fuzz targets hold it against.

use crate::pure::entry::{EntryError, EntryParser};
use crate::pure::line::LineParser;
use crate::pure::record::{stored_size, Header, Ids, Priority, Writer, HEADER_SIZE};
use crate::pure::ring::{index_len, AppendError, IndexEntry, Policy, Position, Ring};

/// A simple model of [`crate::pure::record::parse_text`]; the priority is a number.
pub fn parsed(data: &[u8]) -> (u16, &[u8]) {
    let close = data.iter().take(6).position(|&byte| byte == b'>').unwrap_or(0);
    let digits = data.get(1..close).unwrap_or_default();
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|_| data.starts_with(b"<") && digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| digits.parse().ok())
        .filter(|&number| number < 2048);
    let (priority, text) = match number {
        Some(number @ 0..=7) => (number + 8, &data[close + 1..]),
        Some(number) => (number, &data[close + 1..]),
        None => (14, data),
    };
    (priority, if text.ends_with(b"\n") { &text[..text.len() - 1] } else { text })
}

/// What [`crate::pure::entry::Entry::first`] gives, by a simple model: priority, text, size; or
/// `None` when the data ends too soon, and a reason when it is wrong.
#[allow(clippy::type_complexity, reason = "it is read once")]
pub fn entry(data: &[u8], record_max: usize) -> Result<Option<(u16, &[u8], usize)>, &'static str> {
    let number = |at: usize, len: usize| {
        data[at..at + len].iter().rev().fold(0, |sum, byte| sum * 256 + usize::from(*byte))
    };
    if data.len() < 8 {
        return Ok(None);
    }
    let (header, reserved, priority, len) =
        (number(0, 1), number(1, 1), number(2, 2), number(4, 4));
    if reserved != 0 || ![8, 16, 24, 32, 40, 48, 56, 64].contains(&header) || priority > 2047 {
        return Err("a field");
    }
    if len > record_max {
        return Err("the length");
    }
    let size = header + len.div_ceil(8) * 8;
    if data.len() < size {
        return Ok(None);
    }
    if data[8..header].iter().any(|&byte| byte != 0) {
        return Err("what is not known");
    }
    let priority = if priority < 8 { priority + 8 } else { priority };
    Ok(Some((priority as u16, &data[header..header + len], size)))
}

/// Holds [`crate::pure::entry::Entry::first`] against [`entry`].
pub fn check_entry(data: &[u8], record_max: usize) {
    use crate::pure::entry::{BinaryParser, Entry, EntryError};
    let got = BinaryParser { record_max }.parse(data);
    match entry(data, record_max) {
        Ok(Some((priority, text, size))) => {
            let priority = Priority::new(priority).unwrap();
            let want = Entry { priority, continues: false, is_continued: false, text, size };
            assert_eq!(got, Ok(want));
        }
        Ok(None) => assert_eq!(got, Err(EntryError::Incomplete)),
        Err("the length") => assert_eq!(got, Err(EntryError::TooLong)),
        Err(_) => assert_eq!(got, Err(EntryError::Invalid)),
    }
}

/// A record that the lines of a stream are to become, written a second time: priority, whether it
/// continues a line, text.
pub type Line = (u16, bool, Vec<u8>);

/// What a stream of bytes is to become, all of it at once, written a second time.
pub fn lines(stream: &[u8], record_max: usize) -> Vec<Line> {
    let mut records = Vec::new();
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        let (priority, text) = parsed(line);
        let pieces: Vec<&[u8]> = text.chunks(record_max).collect();
        if pieces.is_empty() {
            records.push((priority, false, Vec::new()));
        }
        for (index, piece) in pieces.into_iter().enumerate() {
            records.push((priority, index > 0, piece.to_vec()));
        }
    }
    records
}

/// Passes the stream to [`LineParser`] in these pieces, as writes do, and returns the records. What
/// is left over of one piece is passed again with the next one.
pub fn split_lines(pieces: &[&[u8]], record_max: usize) -> Vec<Line> {
    let mut lines = LineParser { record_max, continued: None };
    let mut records = Vec::new();
    let mut left = Vec::new();
    let mut take = |left: &mut Vec<u8>, is_all: bool| {
        while let Ok(entry) = if is_all { lines.parse_line(left, true) } else { lines.parse(left) }
        {
            assert!(entry.text.len() <= record_max && entry.size > 0);
            records.push((entry.priority.value(), entry.continues, entry.text.to_vec()));
            lines.entry_stored(&entry);
            let size = entry.size;
            left.drain(..size);
        }
        assert_eq!(lines.parse_line(left, is_all), Err(EntryError::Incomplete));
    };
    for piece in pieces {
        left.extend_from_slice(piece);
        take(&mut left, false);
        assert!(left.len() < crate::pure::line::partial_max(record_max), "{left:?} is undecided");
    }
    take(&mut left, true);
    assert!(left.is_empty());
    records
}

/// The escaping of the text form, written a second time in the plainest way.
pub fn escaped(text: &[u8]) -> String {
    text.iter()
        .map(|&byte| match byte {
            b'\\' => "\\x5c".to_string(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}

/// The text form of a record, `number` its priority, written a second time; without keys if `lost`
/// is `None`.
pub fn text_form(number: u16, header: &Header, text: &[u8], lost: Option<u64>) -> String {
    text_form_cut(number, header, text, lost, 0)
}

/// The same, without so many bytes at the end of `text`.
fn text_form_cut(
    number: u16,
    header: &Header,
    text: &[u8],
    lost: Option<u64>,
    cut: usize,
) -> String {
    let Writer { ids: Ids { pid, tid, uid, opener }, comm } = header.writer;
    let name = escaped(comm.split(|&byte| byte == 0).next().unwrap());
    let flag = if header.continues { 'c' } else { '-' };
    let text = escaped(&text[..text.len() - cut]);
    let mut form = format!("{number},{},{},{flag};{text}\n", header.seq, header.time_ns / 1000);
    let Some(lost) = lost else {
        return form;
    };
    form += &format!(" PID={pid}\n TID={tid}\n UID={uid}\n COMM={name}\n");
    if opener != uid {
        form += &format!(" OPENER={opener}\n");
    }
    if lost > 0 {
        form += &format!(" LOST={lost}\n");
    }
    if cut > 0 {
        form += &format!(" CUT={cut}\n");
    }
    form
}

/// What a reader with `room` bytes is to get of a record, written a second time; `None` if there is
/// not even room for what is around the text.
pub fn fitted(
    number: u16,
    header: &Header,
    text: &[u8],
    lost: Option<u64>,
    room: usize,
) -> Option<String> {
    let whole = text_form(number, header, text, lost);
    if whole.len() <= room {
        return Some(whole);
    }
    // Where it is cut, there must be room for a number as long as that of all bytes.
    let spare = |cut: usize| match lost {
        Some(_) => text.len().to_string().len() - cut.to_string().len(),
        None => 0,
    };
    (1..=text.len())
        .map(|cut| (cut, text_form_cut(number, header, text, lost, cut)))
        .find(|(cut, form)| form.len() + spare(*cut) <= room)
        .map(|(_, form)| form)
}

/// Readers of a [`Model`].
pub const READERS: usize = 3;

/// An operation on a [`Model`].
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Appends a text of this length.
    Append(usize),
    /// Clears.
    Clear,
    /// This reader reads.
    Read(usize),
    /// This reader goes to the oldest record.
    SeekOldest(usize),
    /// This reader goes behind the last clear.
    SeekCleared(usize),
    /// This reader goes behind the newest record.
    SeekNext(usize),
}

/// What a reader has seen: `received + lost + skipped` is the sequence number it stands at.
#[derive(Clone, Copy, Default)]
struct LogFile {
    position: Position,
    start: u64,
    received: u64,
    lost: u64,
}

/// The ring, and beside it every text it ever took.
pub struct Model {
    ring: Ring<Vec<u8>, Vec<IndexEntry>>,
    policy: Policy,
    taken: Vec<Vec<u8>>,
    refused: u64,
    cleared: u64,
    readers: [LogFile; READERS],
}

impl Model {
    /// An empty ring of `capacity` bytes.
    pub fn new(capacity: usize, policy: Policy) -> Self {
        Self {
            ring: Ring::new(
                vec![0xee; capacity],
                vec![IndexEntry::default(); index_len(capacity)],
                policy,
            ),
            policy,
            taken: Vec::new(),
            refused: 0,
            cleared: 0,
            readers: [LogFile::default(); READERS],
        }
    }

    fn oldest(&self) -> u64 {
        self.ring.oldest().seq()
    }

    fn written(&self) -> u64 {
        self.taken.len() as u64
    }

    fn stored(&self, from: u64) -> usize {
        self.taken[from as usize..].iter().map(|text| stored_size(text.len())).sum()
    }

    /// The time of a record: some are stored later than they were written.
    fn time(seq: u64) -> u64 {
        if seq % 7 == 3 {
            (seq * 10).saturating_sub(395)
        } else {
            seq * 10
        }
    }

    fn append(&mut self, text_len: usize) {
        let seq = self.written();
        let text: Vec<u8> = (0..text_len).map(|i| (seq as usize * 31 + i) as u8).collect();
        let header = Header {
            seq: 0,
            time_ns: Self::time(seq),
            text_len: 0,
            priority: Priority::DEFAULT,
            continues: seq % 5 == 2,
            writer: Writer {
                ids: Ids { pid: seq as u32, tid: 2, uid: 3, opener: 4 },
                comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
            },
        };
        let oldest = self.oldest();
        let capacity = self.ring.capacity();
        let size = stored_size(text_len);
        match self.ring.append(header, &text) {
            Ok(got) => {
                assert_eq!(got, seq);
                assert!(size <= capacity);
                self.taken.push(text);
                if self.policy == Policy::Stop {
                    // Nothing that was not cleared was dropped.
                    assert!(self.oldest() <= self.cleared.max(oldest));
                }
                if self.oldest() > oldest {
                    // Not one record too many was dropped: with the last one that was, the
                    // records would not fit, at most one record's worth of padding aside.
                    let largest = self.taken[(self.oldest() - 1) as usize..]
                        .iter()
                        .map(|text| stored_size(text.len()))
                        .max()
                        .unwrap();
                    assert!(self.stored(self.oldest() - 1) + 2 * largest > capacity);
                }
                assert!(self.stored(self.oldest()) <= capacity);
            }
            Err(AppendError::TooLarge) => assert!(size > capacity),
            Err(AppendError::Full) => {
                assert_eq!(self.policy, Policy::Stop);
                assert_eq!(self.oldest(), oldest, "a refused record left a trace");
                // It would not fit beside what was not cleared, padding aside.
                let kept = self.cleared.max(oldest);
                let largest = self.taken[kept as usize..]
                    .iter()
                    .map(|text| stored_size(text.len()))
                    .max()
                    .unwrap_or(0)
                    .max(size);
                assert!(self.stored(kept) + size + largest > capacity);
                self.refused += 1;
            }
        }
    }

    /// `reader` reads a record, if there is one.
    pub fn read(&mut self, reader: usize) {
        let (oldest, written) = (self.oldest(), self.written());
        let me = &mut self.readers[reader];
        let at = me.position.seq();
        let Some(stored) = self.ring.read(me.position) else {
            assert_eq!(at, written);
            return;
        };
        let (header, text) = Header::split(stored.bytes).unwrap();
        assert_eq!(stored.bytes.len(), stored_size(text.len()));
        assert!(stored.bytes[HEADER_SIZE + text.len()..].iter().all(|&padding| padding == 0));
        assert_eq!(header.seq, at.max(oldest));
        assert_eq!(stored.lost, header.seq - at);
        assert_eq!(text, self.taken[header.seq as usize]);
        assert_eq!(header.text_len as usize, text.len());
        assert_eq!(header.time_ns, Self::time(header.seq));
        assert_eq!(header.continues, header.seq % 5 == 2);
        assert_eq!(u64::from(header.writer.ids.pid), header.seq);
        assert_eq!(stored.end.seq(), header.seq + 1);
        me.received += 1;
        me.lost += stored.lost;
        me.position = stored.end;
    }

    fn seek(&mut self, reader: usize, position: Position) {
        let start = position.seq();
        self.readers[reader] = LogFile { position, start, ..LogFile::default() };
    }

    /// Does `op` to both, and compares them.
    pub fn step(&mut self, op: Op) {
        match op {
            Op::Append(len) => self.append(len),
            Op::Clear => {
                self.ring.clear();
                self.cleared = self.written();
            }
            Op::Read(reader) => self.read(reader),
            Op::SeekOldest(reader) => self.seek(reader, self.ring.oldest()),
            Op::SeekCleared(reader) => {
                let position = self.ring.cleared();
                assert_eq!(position.seq(), self.cleared.max(self.oldest()));
                self.seek(reader, position);
            }
            Op::SeekNext(reader) => {
                assert_eq!(self.ring.next().seq(), self.written());
                self.seek(reader, self.ring.next());
            }
        }
        self.check();
    }

    /// Appends records of these lengths, and checks what is found after that, for every record.
    pub fn search(&mut self, lengths: impl IntoIterator<Item = usize>) {
        lengths.into_iter().for_each(|len| self.append(len));
        let ring = &self.ring;
        for gone in 0..self.oldest() {
            assert_eq!(ring.position_of_seq(gone).map(Position::seq), Some(gone));
        }
        let mut at = ring.oldest();
        while let Some(stored) = ring.read(at) {
            let seq = stored.start.seq();
            assert_eq!(ring.position_of_seq(seq), Some(stored.start));
            self.search_time(seq * 10);
            self.search_time((seq * 10).saturating_sub(9));
            at = stored.end;
        }
        self.search_time(0);
        assert_eq!(ring.position_of_time(self.written() * 10), ring.next());
        assert_eq!(ring.position_of_seq(self.written()), Some(ring.next()));
        assert_eq!(ring.position_of_seq(self.written() + 1), None);
    }

    /// Checks where a search for a time ends.
    fn search_time(&self, time_ns: u64) {
        let (oldest, written) = (self.oldest(), self.written());
        let is_later = |seq: &u64| Self::time(*seq) >= time_ns;
        let first = (oldest..written).find(is_later).unwrap_or(written);
        let found = self.ring.position_of_time(time_ns);
        if (0..oldest).any(|seq| is_later(&seq)) {
            assert!(found.seq() <= first && first - found.seq() <= 64, "{time_ns}: {found:?}");
        } else {
            assert_eq!(found.seq(), first, "{time_ns}");
        }
        // It is a position that the ring has: what is read there is that record.
        let there = self.ring.read(found).map(|stored| stored.start);
        assert_eq!(there, (found.seq() < written).then_some(found));
    }

    /// What must hold at any moment.
    pub fn check(&self) {
        for reader in &self.readers {
            let at = reader.position.seq();
            // received + lost + still to come = written since it started
            let gone = self.oldest().saturating_sub(at);
            let left = self.written() - at.max(self.oldest());
            assert_eq!(reader.received + reader.lost + gone + left, self.written() - reader.start,);
        }
        let totals = self.ring.totals();
        let bytes = |range: std::ops::Range<u64>| -> u64 {
            self.taken[range.start as usize..range.end as usize]
                .iter()
                .map(|text| text.len() as u64)
                .sum()
        };
        assert_eq!(totals.records_written, self.written());
        assert_eq!(totals.bytes_written, bytes(0..self.written()));
        assert_eq!(totals.records_dropped, self.oldest());
        assert_eq!(totals.bytes_dropped, bytes(0..self.oldest()));
        assert_eq!(totals.records_refused, self.refused);
    }
}
