// SPDX-License-Identifier: GPL-2.0

//! A model of writes in the style `lines`: the exact records of a file that only one thread writes
//! to, and bounds for any other file.

use crate::abi::Frame;
use crate::model::{self, Line};
use crate::seal::{is_priority, AT_ONCE, NOBODY};

/// Splits `data` after each newline, and at each multiple of `AT_ONCE`, where another process may
/// write in between. Also returns whether a piece is at such a multiple or at the beginning.
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

/// Returns the minimum and maximum number of records that `data` adds to a stream, whichever other
/// bytes are written to the stream. A partial line is included, because it is stored when the file
/// is released.
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
            // The end of a line that may have begun in an earlier piece. Up to 6 of these bytes are
            // its prefix.
            (true, true) => {
                ((len.saturating_sub(6) / record_max).max(1), len.div_ceil(record_max).max(1))
            }
            // The beginning of a line. The bytes after the last full record belong to a record with
            // later bytes.
            (false, _) => (len.saturating_sub(7) / record_max, len.div_ceil(record_max)),
        };
        least += fewest as u64;
        most += highest as u64;
    }
    (least, most)
}

/// A write: its user, and times before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenBy {
    /// Whether the real user id is [`NOBODY`].
    pub nobody: bool,
    pub from_ns: u64,
    pub to_ns: u64,
}

impl WrittenBy {
    /// Returns whether a record of this thread comes from this write.
    pub fn is_of(&self, frame: &Frame) -> bool {
        (self.from_ns..=self.to_ns).contains(&frame.time_ns)
    }
}

/// A record that must have been stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub line: Line,
    pub by: WrittenBy,
}

impl Expected {
    /// Returns whether `frame` is this record.
    pub fn is(&self, frame: &Frame) -> bool {
        let (priority, continues, text) = &self.line;
        is_priority(frame.priority, *priority)
            && frame.continues == *continues
            && frame.text == *text
            && (frame.uid == NOBODY) == self.by.nobody
            && self.by.is_of(frame)
    }
}

/// The stream of a file that only one thread writes to: the partial line after the last newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The bytes that are not stored yet.
    tail: Vec<u8>,
    /// The priority of the line, if its beginning is stored.
    continued: Option<u16>,
    /// The last write that added to the partial line; `None` if there is no partial line.
    pub last_write: Option<WrittenBy>,
}

/// Returns whether `line` may become a priority prefix with more bytes.
fn is_undecided(line: &[u8]) -> bool {
    line.len() <= 5 && line.starts_with(b"<") && line[1..].iter().all(u8::is_ascii_digit)
}

impl Stream {
    /// Adds `data`, and returns the records that are stored.
    pub fn take(&mut self, data: &[u8], by: WrittenBy, record_max: usize) -> Vec<Expected> {
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
        // Full records at the beginning of a partial line are stored without waiting for the
        // newline.
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
        self.last_write = (!self.is_empty()).then_some(by);
        lines.into_iter().map(|line| Expected { line, by }).collect()
    }

    /// Adds `data` as [`Stream::take`] does, if the log was full for the record after `data`.
    /// Returns `None` if this is impossible because `data` ends within a record.
    pub fn take_part(
        &mut self,
        data: &[u8],
        by: WrittenBy,
        record_max: usize,
    ) -> Option<Vec<Expected>> {
        let mut records = self.take(data, by, record_max);
        if !self.tail.is_empty() {
            // The bytes after the last newline must be exactly one more record, or several ones if
            // they looked like the beginning of a priority prefix and `record_max` is smaller.
            let (priority, text) = match self.continued {
                Some(priority) => (priority, &self.tail[..]),
                None => model::parsed(&self.tail),
            };
            if text.len() % record_max != 0 {
                return None;
            }
            for (index, piece) in text.chunks(record_max).enumerate() {
                let continues = self.continued.is_some() || index > 0;
                records.push(Expected { line: (priority, continues, piece.to_vec()), by });
            }
            (self.tail, self.continued) = (Vec::new(), Some(priority));
        }
        Some(records)
    }

    /// Ends the partial line, and returns the records that are stored.
    pub fn finish(&mut self, record_max: usize) -> Vec<Expected> {
        let Self { tail, continued, last_write } = std::mem::take(self);
        let Some(by) = last_write else {
            return Vec::new();
        };
        let lines = match continued {
            Some(_) if tail.is_empty() => Vec::new(),
            Some(priority) => continuation(&tail, priority, record_max),
            None => model::lines(&tail, record_max),
        };
        lines.into_iter().map(|line| Expected { line, by }).collect()
    }

    /// Returns whether there is no partial line.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.continued.is_none()
    }

    /// Returns the number of records that [`Stream::finish`] returns.
    pub fn pending(&self, record_max: usize) -> u64 {
        self.clone().finish(record_max).len() as u64
    }
}

/// Returns the records of the rest of a line whose beginning is stored.
fn continuation(text: &[u8], priority: u16, record_max: usize) -> Vec<Line> {
    if text.is_empty() {
        return vec![(priority, true, Vec::new())];
    }
    text.chunks(record_max).map(|piece| (priority, true, piece.to_vec())).collect()
}
