// SPDX-License-Identifier: GPL-2.0

//! Plain models of the module's pure code: what the tests and the fuzz targets hold it against.

use crate::record::{stored_size, Header, Priority, Writer, HEADER_SIZE};
use crate::ring::{index_len, Policy, Position, Refused, Ring};

/// What [`crate::record::parse`] is to give, written a second time: the priority as a number.
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

/// What [`crate::record::Entry::first`] is to give, written a second time: priority, text, size; or
/// `None` when the data ends too soon, and a reason when it is wrong.
#[allow(clippy::type_complexity, reason = "it is read once")]
pub fn entry(data: &[u8], record_max: usize) -> Result<Option<(u16, &[u8], usize)>, &'static str> {
    let number = |at: usize, len: usize| {
        data[at..at + len].iter().rev().fold(0, |sum, byte| sum * 256 + usize::from(*byte))
    };
    if data.len() < 8 {
        return Ok(None);
    }
    let (header, priority, len) = (number(0, 2), number(2, 2), number(4, 4));
    if ![8, 16, 24, 32, 40, 48, 56, 64].contains(&header) || priority > 2047 {
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

/// Holds [`crate::record::Entry::first`] against [`entry`].
pub fn check_entry(data: &[u8], record_max: usize) {
    use crate::record::{Entry, NoEntry};
    let got = Entry::first(data, record_max);
    match entry(data, record_max) {
        Ok(Some((priority, text, size))) => {
            let priority = Priority::new(priority).unwrap();
            assert_eq!(got, Ok(Entry { priority, text, size }));
        }
        Ok(None) => assert_eq!(got, Err(NoEntry::Cut)),
        Err("the length") => assert_eq!(got, Err(NoEntry::TooLong)),
        Err(_) => assert_eq!(got, Err(NoEntry::Invalid)),
    }
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

/// The text form of a record, `number` its priority, written a second time.
pub fn text_form(number: u16, header: &Header, text: &[u8], lost: u64) -> String {
    let Writer { pid, tid, uid, comm } = header.writer;
    let name = comm.split(|&byte| byte == 0).next().unwrap();
    format!(
        "{number},{},{},-{};{}\n PID={pid}\n TID={tid}\n UID={uid}\n COMM={}\n",
        header.seq,
        header.time_ns / 1000,
        if lost > 0 { format!(",lost={lost}") } else { String::new() },
        escaped(text),
        escaped(name),
    )
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
struct Reader {
    position: Position,
    start: u64,
    received: u64,
    lost: u64,
}

/// The ring, and beside it every text it ever took.
pub struct Model {
    ring: Ring<Vec<u8>, Vec<usize>>,
    policy: Policy,
    taken: Vec<Vec<u8>>,
    refused: u64,
    cleared: u64,
    readers: [Reader; READERS],
}

impl Model {
    /// An empty ring of `capacity` bytes.
    pub fn new(capacity: usize, policy: Policy) -> Self {
        Self {
            ring: Ring::new(vec![0xee; capacity], vec![0; index_len(capacity)], policy),
            policy,
            taken: Vec::new(),
            refused: 0,
            cleared: 0,
            readers: [Reader::default(); READERS],
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

    fn append(&mut self, text_len: usize) {
        let seq = self.written();
        let text: Vec<u8> = (0..text_len).map(|i| (seq as usize * 31 + i) as u8).collect();
        let header = Header {
            seq: 0,
            time_ns: seq * 10,
            text_len: 0,
            priority: Priority::DEFAULT,
            writer: Writer {
                pid: seq as u32,
                tid: 2,
                uid: 3,
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
            Err(Refused::TooLarge) => assert!(size > capacity),
            Err(Refused::Full) => {
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
        assert_eq!(header.time_ns, header.seq * 10);
        assert_eq!(u64::from(header.writer.pid), header.seq);
        assert_eq!(stored.after.seq(), header.seq + 1);
        me.received += 1;
        me.lost += stored.lost;
        me.position = stored.after;
    }

    fn seek(&mut self, reader: usize, position: Position) {
        let start = position.seq();
        self.readers[reader] = Reader { position, start, ..Reader::default() };
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
            assert_eq!(ring.position_of(gone).map(Position::seq), Some(gone));
        }
        let mut at = ring.oldest();
        while let Some(stored) = ring.read(at) {
            let seq = stored.at.seq();
            assert_eq!(ring.position_of(seq), Some(stored.at));
            // Its time is ten times its number.
            assert_eq!(ring.position_at(seq * 10), stored.at);
            assert_eq!(ring.position_at((seq * 10).saturating_sub(9)), stored.at);
            at = stored.after;
        }
        assert_eq!(ring.position_at(0), ring.oldest());
        assert_eq!(ring.position_at(self.written() * 10), ring.next());
        assert_eq!(ring.position_of(self.written()), Some(ring.next()));
        assert_eq!(ring.position_of(self.written() + 1), None);
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
