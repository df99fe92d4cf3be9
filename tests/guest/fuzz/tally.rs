// SPDX-License-Identifier: GPL-2.0

//! The effect of writes on a log's counters, for the accounts at the end of a round.

use crate::abi::{Frame, LINES};
use crate::audit::expected;
use crate::entries::Walk;
use crate::model;
use crate::module::Parameters;
use crate::outcome::Found;
use crate::seal::{is_priority, AT_ONCE};
use crate::shared::Writes;
use crate::stream::bounds;
use std::sync::atomic::Ordering::Relaxed;

/// The write format and the style of a file, which determine how a write is stored; `None`: not
/// known.
#[derive(Clone, Copy, Debug)]
pub struct WriteFormat {
    pub binary: Option<bool>,
    /// `UMSG_STYLE_*`
    pub style: Option<u32>,
}

impl WriteFormat {
    pub const UNKNOWN: Self = Self { binary: None, style: None };

    pub fn may_be_entries(self) -> bool {
        self.binary != Some(false)
    }

    pub fn may_be_lines(self) -> bool {
        self.binary != Some(true) && self.style.is_none_or(|style| style == LINES)
    }

    pub fn may_be_record(self) -> bool {
        self.binary != Some(true) && self.style != Some(LINES)
    }
}

/// The effect of a write on the log's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub stored: u64,
    /// The number of further records that may have been stored.
    pub unsure: u64,
    pub refused: u64,
    /// The number of further records that may have been rejected.
    pub unsure_refused: u64,
}

/// The arguments and the result of a write.
pub struct Written<'a> {
    /// The return value, or the error number below zero.
    pub done: i64,
    /// The bytes of the write, at least those that were consumed; `None` if they are not known.
    pub data: Option<&'a [u8]>,
    /// `data` contains all readable bytes of the write, also those that were not consumed.
    pub all: bool,
    /// The length of the write in bytes.
    pub total: usize,
}

impl Tally {
    /// Returns the tally of a write that stored `stored` records and returned `done`.
    pub fn exact(stored: u64, done: i64) -> Self {
        let refused = u64::from(done == -i64::from(libc::ENOSPC));
        Self { stored, refused, ..Self::default() }
    }

    /// Returns the tally of a partial line. Its records are stored when its file is released at the
    /// latest.
    pub fn pending(records: u64, parameters: &Parameters) -> Self {
        if parameters.policy == 1 {
            // A full log may reject these records.
            Self { unsure: records, unsure_refused: records.min(1), ..Self::default() }
        } else {
            Self { stored: records, ..Self::default() }
        }
    }

    /// Returns the sum of two tallies.
    pub fn and(self, other: Self) -> Self {
        Self {
            stored: self.stored + other.stored,
            unsure: self.unsure + other.unsure,
            refused: self.refused + other.refused,
            unsure_refused: self.unsure_refused + other.unsure_refused,
        }
    }

    /// Returns the tally of a write to a file that other threads may share, or whose stream is not
    /// known. The records of a partial line are counted although they are stored later. `look`:
    /// returns the records of the write that are in the log.
    pub fn of(
        written: &Written<'_>,
        write_format: WriteFormat,
        parameters: &Parameters,
        look: impl FnOnce() -> Found,
    ) -> Self {
        let &Written { done, data, all, total } = written;
        let stop = parameters.policy == 1;
        if done <= 0 {
            return Self::exact(0, done);
        }
        let taken = done as usize;
        let Some(data) = data else {
            let most = if write_format.may_be_lines() { taken } else { taken / 8 };
            let unsure_refused = if stop { 2 } else { 0 };
            return Self { unsure: most as u64 + 1, unsure_refused, ..Self::default() };
        };
        let mut interpretations: Vec<Interpretation> = Vec::new();
        let short = taken < total;
        // A signal may have ended a longer write between two parts.
        let certain = all && total <= AT_ONCE;
        if write_format.may_be_record() && !short && expected(data, parameters).is_ok() {
            interpretations.push(Interpretation {
                form: Form::Record,
                records: (1, 1),
                refused: (0, 0),
            });
        }
        let walk = Walk::new(data, parameters.record_max);
        if let Some(count) = walk.count(taken).filter(|_| write_format.may_be_entries()) {
            let next = u64::from(short && (walk.ends.len() as u64 > count || !all));
            let refused = (if certain { next } else { 0 }, next);
            interpretations.push(Interpretation {
                form: Form::Entries,
                records: (count, count),
                refused,
            });
        }
        if write_format.may_be_lines() && (!short || stop || total > AT_ONCE) {
            let (least, most) = bounds(&data[..taken], parameters.record_max);
            // If the log is full, the last record of a line whose beginning was kept may not have
            // been stored.
            let least = if stop { least.saturating_sub(1) } else { least };
            let refused = (u64::from(short && certain), 2);
            interpretations.push(Interpretation {
                form: Form::Lines,
                records: (least, most),
                refused,
            });
        }
        let first = interpretations.first().map(|way| way.records);
        if interpretations.iter().any(|way| Some(way.records) != first) {
            let found = look();
            interpretations.retain_mut(|way| way.is(&data[..taken], &found, parameters));
            assert!(
                !interpretations.is_empty(),
                "{done} of {total} bytes became {found:?}: {write_format:?}"
            );
        }
        assert!(
            !interpretations.is_empty(),
            "{done} of {total} bytes were taken: {write_format:?}"
        );
        let least = |of: fn(&Interpretation) -> (u64, u64)| {
            interpretations.iter().map(|way| of(way).0).min().unwrap_or(0)
        };
        let most = |of: fn(&Interpretation) -> (u64, u64)| {
            interpretations.iter().map(|way| of(way).1).max().unwrap_or(0)
        };
        let stored = least(|way| way.records);
        let refused = if stop { least(|way| way.refused) } else { 0 };
        let most_refused = if stop { most(|way| way.refused) } else { 0 };
        Self {
            stored,
            unsure: most(|way| way.records) - stored,
            refused,
            unsure_refused: most_refused - refused,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Record,
    Entries,
    Lines,
}

/// A way in which a write may have been stored.
#[derive(Debug)]
struct Interpretation {
    form: Form,
    /// The minimum and maximum number of records that the write adds.
    records: (u64, u64),
    /// The minimum and maximum number of records that are rejected.
    refused: (u64, u64),
}

impl Interpretation {
    /// Returns whether `data`, stored in this way, became the records in `found`, and perhaps a
    /// partial line. For lines, also raises the minimum to the number of records found.
    fn is(&mut self, data: &[u8], found: &Found, parameters: &Parameters) -> bool {
        let count = found.frames.len() as u64;
        let (least, most) = self.records;
        match self.form {
            Form::Record => {
                let (priority, text) = model::parsed(data);
                let is = |it: &Frame| {
                    is_priority(it.priority, priority) && it.text == text && !it.continues
                };
                match &found.frames[..] {
                    [] => !found.all,
                    [frame] => is(frame),
                    _ => false,
                }
            }
            Form::Entries => {
                let mut rest = data;
                let mut next = || {
                    let entry = model::entry(rest, parameters.record_max).ok().flatten()?;
                    rest = &rest[entry.2..];
                    Some((entry.0, entry.1))
                };
                let entries: Vec<_> = std::iter::from_fn(&mut next).collect();
                // The first records may have been overwritten.
                let gone = entries.len().saturating_sub(found.frames.len());
                let all = entries.len() == found.frames.len() || !found.all && count < most;
                all && entries[gone..].iter().zip(&found.frames).all(|((priority, text), frame)| {
                    frame.priority == *priority && frame.text == *text && !frame.continues
                })
            }
            Form::Lines => {
                let ends = data.iter().filter(|byte| **byte == b'\n').count() as u64;
                let kept = u64::from(parameters.policy == 1);
                let least_found = if found.all { ends.saturating_sub(kept) } else { 0 };
                self.records.0 = least.max(count).min(most);
                // Each part of the write may complete a record that another thread of the process
                // began.
                let begun = data.len().div_ceil(AT_ONCE) as u64;
                (least_found..=most + begun).contains(&count)
            }
        }
    }
}

/// Returns the maximum number of records that a write of `data` may store. `mangled`: the write may
/// contain a page of zeros in addition, or only a part of `data`.
pub fn most(data: &[u8], mangled: bool, write_format: WriteFormat, parameters: &Parameters) -> u64 {
    let record_max = parameters.record_max;
    let lines = bounds(data, record_max).1 + if mangled { 4096 / record_max as u64 + 1 } else { 0 };
    let entries = match mangled {
        true => data.len() / 8,
        false => Walk::new(data, record_max).ends.len(),
    };
    let lines = if write_format.may_be_lines() { lines } else { 1 };
    let entries = if write_format.may_be_entries() { entries as u64 } else { 1 };
    lines.max(entries).max(1)
}

/// The account of a write that has begun and not ended.
#[must_use]
pub struct Open {
    stored: u64,
    refused: u64,
}

impl Writes {
    /// Resets the account.
    pub fn reset(&self) {
        let Self { open, stored, open_refused, refused } = self;
        [open, stored, open_refused, refused].map(|count| count.store(0, Relaxed));
    }

    /// Opens the account of a write that may store `most` records, and the records that were
    /// `pending`.
    pub fn begin(&self, most: u64, pending: Tally) -> Open {
        let open = Open {
            stored: most + pending.stored + pending.unsure,
            refused: 1 + pending.unsure_refused,
        };
        self.open.fetch_add(most + pending.stored, Relaxed);
        self.open_refused.fetch_add(1, Relaxed);
        self.stored.fetch_sub(pending.stored, Relaxed);
        open
    }

    /// Closes the account of a write with the effect `tally`.
    pub fn end(&self, open: Open, tally: Tally) {
        self.stored.fetch_add(tally.stored, Relaxed);
        self.refused.fetch_add(tally.refused, Relaxed);
        self.open.fetch_add(tally.unsure, Relaxed);
        self.open_refused.fetch_add(tally.unsure_refused, Relaxed);
        self.open.fetch_sub(open.stored, Relaxed);
        self.open_refused.fetch_sub(open.refused, Relaxed);
    }
}
