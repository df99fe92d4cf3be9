// SPDX-License-Identifier: GPL-2.0

//! What writes in the style `lines` become: exactly, of a file that one thread alone writes to, and
//! within bounds, of any other.

use crate::abi::Frame;
use crate::model::{self, Line};
use crate::seal::{AT_ONCE, NOBODY};

/// Splits `data` behind each newline, and at each place where another process may write in between.
fn pieces(data: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let lines = |chunk: &'_ [u8]| -> Vec<(usize, usize)> {
        let mut at = 0;
        let line = |line: &[u8]| {
            at += line.len();
            (at - line.len(), at)
        };
        chunk.split_inclusive(|byte| *byte == b'\n').map(line).collect()
    };
    data.chunks(AT_ONCE).flat_map(move |chunk| {
        let lines = lines(chunk);
        lines.into_iter().map(move |(from, to)| (from == 0, &chunk[from..to]))
    })
}

/// How many records `data` adds to a stream, at least and at most, whatever else is written to it,
/// with what is stored of it at last when the file is released.
pub fn bounds(data: &[u8], record_max: usize) -> (u64, u64) {
    let (mut least, mut most) = (0, 0);
    for (is_first, piece) in pieces(data) {
        let ended = piece.ends_with(b"\n");
        let len = piece.len() - usize::from(ended);
        let (fewest, highest) = match (ended, is_first) {
            (true, false) => {
                let count = model::lines(piece, record_max).len();
                (count, count)
            }
            // The end of a line that perhaps began before: up to 6 bytes of it are its prefix.
            (true, true) => {
                ((len.saturating_sub(6) / record_max).max(1), len.div_ceil(record_max).max(1))
            }
            // Its beginning: what is left of it belongs to a record with what follows.
            (false, _) => (len.saturating_sub(7) / record_max, len.div_ceil(record_max)),
        };
        least += fewest as u64;
        most += highest as u64;
    }
    (least, most)
}

/// The writer of a record, and between which nanoseconds it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its real user id is that of nobody.
    pub nobody: bool,
    pub from_ns: u64,
    pub to_ns: u64,
}

impl Left {
    /// Whether a record of this thread is one of that write.
    pub fn is_of(&self, frame: &Frame) -> bool {
        (self.from_ns..=self.to_ns).contains(&frame.time_ns)
    }
}

/// A record that must have been stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub line: Line,
    pub by: Left,
}

impl Expected {
    /// Whether `frame` is this record.
    pub fn is(&self, frame: &Frame) -> bool {
        let (priority, continues, text) = &self.line;
        frame.priority == *priority
            && frame.continues == *continues
            && frame.text == *text
            && (frame.uid == NOBODY) == self.by.nobody
            && self.by.is_of(frame)
    }
}

/// The stream of a file that one thread alone writes to: what follows its last newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The bytes that are not stored yet.
    tail: Vec<u8>,
    /// The priority of the line whose beginning is stored.
    continued: Option<u16>,
    /// The last write that added to it.
    pub left: Option<Left>,
}

/// The bytes that may yet become a priority prefix.
fn is_undecided(line: &[u8]) -> bool {
    line.len() <= 5 && line.starts_with(b"<") && line[1..].iter().all(u8::is_ascii_digit)
}

impl Stream {
    /// Takes `data`, and returns the records that are stored.
    pub fn take(&mut self, data: &[u8], by: Left, record_max: usize) -> Vec<Expected> {
        let mut lines = Vec::new();
        let mut rest = std::mem::take(&mut self.tail);
        rest.extend(data);
        let mut at = 0;
        while let Some(end) = rest[at..].iter().position(|byte| *byte == b'\n') {
            let line = &rest[at..=at + end];
            match self.continued.take() {
                None => lines.extend(model::lines(line, record_max)),
                Some(priority) => lines.extend(continuation(&line[..end], priority, record_max)),
            }
            at += end + 1;
        }
        let mut rest = rest.split_off(at);
        // What is longer than a record is stored without waiting for the newline.
        if self.continued.is_some() || !is_undecided(&rest) {
            let (priority, text) = match self.continued {
                Some(priority) => (priority, &rest[..]),
                None => model::parsed(&rest),
            };
            let full = text.len().saturating_sub(1) / record_max;
            for piece in text.chunks(record_max).take(full) {
                lines.push((priority, self.continued.is_some(), piece.to_vec()));
                self.continued = Some(priority);
            }
            if full > 0 {
                rest = text[full * record_max..].to_vec();
            }
        }
        self.tail = rest;
        self.left = (!self.is_empty()).then_some(by);
        lines.into_iter().map(|line| Expected { line, by }).collect()
    }

    /// As [`Stream::take`], where the log was full before the next record: `None` if that one could
    /// have been stored.
    pub fn take_part(&mut self, data: &[u8], by: Left, record_max: usize) -> Option<Vec<Expected>> {
        let mut records = self.take(data, by, record_max);
        if !self.tail.is_empty() {
            // The beginning of a line of which no more than a whole record was taken.
            let is_first = self.continued.is_none();
            let (priority, text) = match self.continued {
                Some(priority) => (priority, &self.tail[..]),
                None => model::parsed(&self.tail),
            };
            if text.len() != record_max {
                return None;
            }
            let line = (priority, !is_first, text.to_vec());
            records.push(Expected { line, by });
            (self.tail, self.continued) = (Vec::new(), Some(priority));
        }
        Some(records)
    }

    /// Ends the line, and returns the records that are stored by that.
    pub fn finish(&mut self, record_max: usize) -> Vec<Expected> {
        let Self { tail, continued, left } = std::mem::take(self);
        let Some(by) = left else {
            return Vec::new();
        };
        let lines = match continued {
            Some(_) if tail.is_empty() => Vec::new(),
            Some(priority) => continuation(&tail, priority, record_max),
            None => model::lines(&tail, record_max),
        };
        lines.into_iter().map(|line| Expected { line, by }).collect()
    }

    /// Whether the next write as another user, or of another kind, stores something.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.continued.is_none()
    }

    /// How many records [`Stream::finish`] returns.
    pub fn pending(&self, record_max: usize) -> u64 {
        self.clone().finish(record_max).len() as u64
    }
}

/// The records of the rest of a line.
fn continuation(text: &[u8], priority: u16, record_max: usize) -> Vec<Line> {
    if text.is_empty() {
        return vec![(priority, true, Vec::new())];
    }
    text.chunks(record_max).map(|piece| (priority, true, piece.to_vec())).collect()
}
