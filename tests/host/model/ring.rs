// SPDX-License-Identifier: GPL-2.0

//! A reference model of the ring, which keeps the text of every record.

use crate::pure::record::{stored_size, Header, Ids, Priority, Writer, HEADER_SIZE};
use crate::pure::ring::{index_len, AppendError, IndexEntry, Policy, Position, Ring};

/// The number of readers of a [`Model`].
pub const READERS: usize = 3;

/// An operation on a [`Model`].
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Appends a text of this length.
    Append(usize),
    /// Clears the ring.
    Clear,
    /// Reads a record with this reader.
    Read(usize),
    /// Moves this reader to the oldest record.
    SeekOldest(usize),
    /// Moves this reader to the first record after the last clear.
    SeekCleared(usize),
    /// Moves this reader after the newest record.
    SeekNext(usize),
}

/// The read position of a reader and the numbers of records it received and lost since `start`.
#[derive(Clone, Copy, Default)]
struct LogFile {
    position: Position,
    start: u64,
    received: u64,
    lost: u64,
}

/// A ring, and the text of every record that was appended to it.
pub struct Model {
    ring: Ring<Vec<u8>, Vec<IndexEntry>>,
    policy: Policy,
    taken: Vec<Vec<u8>>,
    rejected: u64,
    cleared: u64,
    readers: [LogFile; READERS],
}

impl Model {
    /// Creates an empty ring of `capacity` bytes.
    pub fn new(capacity: usize, policy: Policy) -> Self {
        Self {
            ring: Ring::new(
                vec![0xee; capacity],
                vec![IndexEntry::default(); index_len(capacity)],
                policy,
            ),
            policy,
            taken: Vec::new(),
            rejected: 0,
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

    /// Returns the time of a record. Some records are stored later than their time.
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
                    // Only cleared records may be dropped.
                    assert!(self.oldest() <= self.cleared.max(oldest));
                }
                if self.oldest() > oldest {
                    // No more records than necessary may be dropped: with the last dropped record,
                    // the records do not fit. The padding is at most as large as the largest one.
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
                assert_eq!(self.oldest(), oldest, "a rejected record changed the ring");
                // The record does not fit beside the padding and the records that are not cleared.
                let kept = self.cleared.max(oldest);
                let largest = self.taken[kept as usize..]
                    .iter()
                    .map(|text| stored_size(text.len()))
                    .max()
                    .unwrap_or(0)
                    .max(size);
                assert!(self.stored(kept) + size + largest > capacity);
                self.rejected += 1;
            }
        }
    }

    /// Reads a record with `reader` if there is one, and checks it.
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

    /// Applies `op` to the ring and to the model, and compares them.
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

    /// Appends records of these lengths, and then checks a search for every record.
    pub fn search(&mut self, lengths: impl IntoIterator<Item = usize>) {
        lengths.into_iter().for_each(|len| self.append(len));
        let ring = &self.ring;
        for seq in 0..self.oldest() {
            assert_eq!(ring.position_of_seq(seq).map(Position::seq), Some(seq));
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

    /// Checks the position that a search for a time returns.
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
        // The position is valid: a read there returns that record.
        let there = self.ring.read(found).map(|stored| stored.start);
        assert_eq!(there, (found.seq() < written).then_some(found));
    }

    /// Checks the invariants.
    pub fn check(&self) {
        for reader in &self.readers {
            let at = reader.position.seq();
            // received + lost + overwritten + remaining = written since `start`
            let overwritten = self.oldest().saturating_sub(at);
            let remaining = self.written() - at.max(self.oldest());
            assert_eq!(
                reader.received + reader.lost + overwritten + remaining,
                self.written() - reader.start,
            );
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
        assert_eq!(totals.records_refused, self.rejected);
    }
}
