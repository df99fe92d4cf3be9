// SPDX-License-Identifier: GPL-2.0

//! The effect of a write to the audited file: the outcomes that the model of the file's stream
//! allows, and the one of them that the records in the log show.

use crate::abi::{Frame, Info};
use crate::model;
use crate::seal::{AT_ONCE, NOBODY};
use crate::stream::{Expected, Stream, WrittenBy};
use crate::tally::{Tally, WriteFormat, Written};
use crate::worker::Thread;
use libc::*;

/// A possible outcome of a write.
#[derive(Debug)]
struct Outcome {
    records: Vec<Expected>,
    /// The stream after the write, if that is known.
    after: Option<Stream>,
    refused: u64,
    /// The number of further records that may have been rejected.
    unsure_refused: u64,
}

/// The records of a thread that were found in the log.
#[derive(Debug)]
pub struct Found {
    pub frames: Vec<Frame>,
    /// None of the records was overwritten. Otherwise earlier records may be missing.
    pub all: bool,
}

impl Found {
    /// Returns the result for a log that was not searched.
    pub fn nothing() -> Self {
        Self { frames: Vec::new(), all: false }
    }
}

impl Outcome {
    fn new(records: Vec<Expected>, after: Stream) -> Self {
        Self { records, after: Some(after), refused: 0, unsure_refused: 0 }
    }

    fn refused(self, refused: u64) -> Self {
        Self { refused, ..self }
    }
}

/// Describes a record: priority, flag, length, end of the text, user and time.
fn brief(frame: &Frame) -> String {
    let Frame { priority, continues, ref text, uid, time_ns, .. } = *frame;
    short(priority, continues, text, uid == NOBODY) + &format!(" at {time_ns}")
}

fn brief_expected(record: &Expected) -> String {
    let ((priority, continues, text), by) = (&record.line, &record.by);
    short(*priority, *continues, text, by.nobody) + &format!(" at {}..{}", by.from_ns, by.to_ns)
}

fn short(priority: u16, continues: bool, text: &[u8], nobody: bool) -> String {
    let flag = if continues { 'c' } else { '-' };
    let end = text[text.len().saturating_sub(16)..].escape_ascii();
    format!("{priority},{flag}; {} bytes, ..{end}, nobody: {nobody}", text.len())
}

/// Returns the possible outcomes of a write in the style `lines`; `None` if they are not known.
/// `settle()` uses the first outcome that matches the log.
fn lines(
    stream: &Stream,
    written: &Written<'_>,
    by: WrittenBy,
    record_max: usize,
    stop: bool,
) -> Option<Vec<Outcome>> {
    let mut before = stream.clone();
    let mut first = Vec::new();
    if before.last_write.is_some_and(|last_write| last_write.nobody != by.nobody) {
        first = before.finish(record_max);
    }
    if written.done <= 0 {
        // The partial line of another user may have been stored before the log was full.
        let full = written.done == -i64::from(ENOSPC);
        if full && first.is_empty() {
            // The partial line is ended even if all of its bytes were stored already.
            return Some(vec![Outcome::new(first, before).refused(1)]);
        }
        let mut list = vec![Outcome::new(Vec::new(), stream.clone()).refused(full.into())];
        if full {
            list.push(Outcome::new(first, before).refused(1));
        }
        return Some(list);
    }
    let taken = written.done as usize;
    let data = &written.data?[..taken];
    let short = taken < written.total;
    let mut list = Vec::new();
    let mut after = before.clone();
    let records = after.take(data, by, record_max);
    let all: Vec<_> = first.iter().cloned().chain(records).collect();
    let was_begun = !before.is_empty() || taken > AT_ONCE;
    if let (true, [but_one @ .., _]) = (stop && was_begun, &all[..]) {
        // The end of a line was consumed, but only the records before the last one were stored.
        let records = but_one.to_vec();
        list.push(Outcome { records, after: None, refused: 1, unsure_refused: 0 });
    }
    if !short {
        list.push(Outcome::new(all, after));
    } else if taken % AT_ONCE == 0 {
        // A signal or a bad address ended the write, or the log was full.
        let unsure_refused = stop.into();
        list.push(Outcome { unsure_refused, ..Outcome::new(all, after) });
    } else if stop && was_begun {
        list.push(Outcome::new(all, after).refused(1));
    }
    if stop && short {
        let mut after = before;
        if let Some(part) = after.take_part(data, by, record_max) {
            list.push(Outcome::new(first.into_iter().chain(part).collect(), after).refused(1));
        }
    }
    Some(list)
}

/// Returns the possible outcomes of a write in another style, or in binary format; `None` if they
/// are not known.
fn others(
    stream: &Stream,
    written: &Written<'_>,
    by: WrittenBy,
    write_format: WriteFormat,
    record_max: usize,
    stop: bool,
) -> Option<Vec<Outcome>> {
    let mut after = stream.clone();
    let mut records = after.finish(record_max);
    if written.done <= 0 {
        let full = written.done == -i64::from(ENOSPC);
        let unchanged = Outcome::new(Vec::new(), stream.clone()).refused(full.into());
        let ended = Outcome::new(records, after).refused(full.into());
        // A write stores the partial line before it only if it has a record to store.
        return match full {
            false => Some(vec![unchanged]),
            true if stream.is_empty() => Some(vec![unchanged]),
            true if ended.records.is_empty() => Some(vec![ended]),
            // The log may have had space for some of the records.
            true if ended.records.len() > 1 => None,
            true => Some(vec![unchanged, ended]),
        };
    }
    let taken = written.done as usize;
    let data = written.data?;
    let mut next_is_good = false;
    if write_format.binary == Some(true) {
        let mut at = 0;
        while at < taken {
            let (priority, text, size) = model::entry(&data[at..], record_max)
                .expect("a good entry")
                .expect("a whole entry");
            records.push(Expected { line: (priority, false, text.to_vec()), by });
            at += size;
        }
        assert_eq!(at, taken, "a part of an entry was taken");
        let next = model::entry(&data[at..], record_max);
        next_is_good = taken < written.total && (!written.all || next.is_ok_and(|it| it.is_some()));
    } else {
        let (priority, text) = model::parsed(&data[..taken]);
        records.push(Expected { line: (priority, false, text.to_vec()), by });
    }
    let mut outcome = Outcome::new(records, after);
    if stop && next_is_good {
        // Either the log was full or a signal was pending.
        let certain = written.all && written.total <= AT_ONCE;
        (outcome.refused, outcome.unsure_refused) = (certain.into(), (!certain).into());
    }
    Some(vec![outcome])
}

impl Thread {
    /// Returns the records of this thread that were stored since `before`: those of the write `by`,
    /// and those of a partial line that the write `last_write` added to.
    pub fn stored_since(
        &mut self,
        before: &Info,
        by: WrittenBy,
        last_write: Option<WrittenBy>,
    ) -> Found {
        let after = self.info();
        let mut found = Found { frames: Vec::new(), all: true };
        // SAFETY: The calls take no arguments.
        let ids = unsafe { (getpid() as u32, gettid() as u32) };
        self.look_through(before.next_seq, after.next_seq, |frame| {
            if frame.lost > 0 {
                found = Found { frames: Vec::new(), all: false };
            }
            let mine =
                by.is_of(&frame) || last_write.is_some_and(|last_write| last_write.is_of(&frame));
            if mine && (frame.pid, frame.tid) == ids {
                found.frames.push(frame);
            }
        });
        found
    }

    /// Returns the one of `outcomes` that the log shows; `None` if that is not known.
    fn settle(
        &mut self,
        mut outcomes: Vec<Outcome>,
        before: &Info,
        by: WrittenBy,
    ) -> Option<Outcome> {
        let last_write = self.target.stream.as_ref().and_then(|stream| stream.last_write);
        let Found { frames: found, all } = self.stored_since(before, by, last_write);
        if all {
            for frame in &found {
                let opener = frame.opener == NOBODY;
                assert_eq!(opener, self.target.opener_nobody, "the opener in {frame:?}");
            }
            let is = |outcome: &Outcome| {
                outcome.records.len() == found.len()
                    && outcome.records.iter().zip(&found).all(|(want, frame)| want.is(frame))
            };
            let which = outcomes.iter().position(is);
            let which = which.unwrap_or_else(|| {
                let mut why = format!("stored {} records", found.len());
                for outcome in &outcomes {
                    let records = &outcome.records;
                    let same = records.iter().zip(&found).take_while(|(want, it)| want.is(it));
                    let same = same.count();
                    let stored = found.get(same).map(brief);
                    let wanted = records.get(same).map(brief_expected);
                    let (count, after) = (records.len(), &outcome.after);
                    why += &format!("; of {count}, {after:?}: {stored:?}, not {wanted:?}");
                }
                panic!("{why}; before: {:?}", self.target.stream)
            });
            return Some(outcomes.swap_remove(which));
        }
        (outcomes.len() == 1).then(|| outcomes.swap_remove(0))
    }

    /// Returns the effect of the write `by` to the audited file on the log's counters.
    pub fn tally_audited(&mut self, written: &Written<'_>, by: WrittenBy, before: &Info) -> Tally {
        let write_format = self.write_format(crate::files::AUDITED);
        let parameters = self.target.parameters;
        let (record_max, stop) = (parameters.record_max, parameters.policy == 1);
        let Some(stream) = &self.target.stream else {
            if written.done > 0 && !write_format.may_be_lines() {
                self.target.stream = Some(Stream::default());
            }
            return Tally::of(written, write_format, &parameters, Found::nothing);
        };
        let outcomes = if write_format.may_be_lines() {
            lines(stream, written, by, record_max, stop)
        } else {
            others(stream, written, by, write_format, record_max, stop)
        };
        assert!(
            outcomes.as_ref().is_none_or(|outcomes| !outcomes.is_empty()),
            "{} of {} bytes were taken, record_max {record_max}, stop {stop}, after {stream:?}: {:?}",
            written.done,
            written.total,
            written.data.map(<[u8]>::escape_ascii).map(|text| text.to_string())
        );
        let pending = std::mem::take(&mut self.target.pending);
        let settled = outcomes.and_then(|outcomes| self.settle(outcomes, before, by));
        let Some(outcome) = settled else {
            self.target.stream = None;
            let before = pending.stored + pending.unsure;
            let unsure_refused = u64::from(stop && before > 0);
            let unsure = Tally { unsure: before, unsure_refused, ..Tally::default() };
            return Tally::of(written, write_format, &parameters, Found::nothing).and(unsure);
        };
        // The unknown partial line has a few bytes at most.
        let unknown = Tally { unsure: 8, unsure_refused: 1, ..Tally::default() };
        self.target.pending = match &outcome.after {
            Some(stream) => Tally::pending(stream.pending(record_max), &parameters),
            None => Tally::default(),
        };
        let kept = if outcome.after.is_some() { self.target.pending } else { unknown };
        self.target.stream = outcome.after;
        Tally {
            stored: outcome.records.len() as u64,
            refused: outcome.refused,
            unsure_refused: outcome.unsure_refused,
            unsure: 0,
        }
        .and(kept)
    }

    /// Checks the records that are stored because the audited file was closed or replaced since
    /// `before`. `last`: no other process had the file open, so that it is released.
    pub fn released(&mut self, before: &Info, last: bool) {
        if let Some(stream) = &self.target.stream {
            let mut after = stream.clone();
            let records = after.finish(self.target.parameters.record_max);
            let stop = self.target.parameters.policy == 1;
            // A full log may store only some of several records.
            let count = records.len();
            if count == 1 || count > 1 && !stop {
                let mut outcomes = vec![Outcome::new(records, after)];
                if stop || !last {
                    outcomes.push(Outcome::new(Vec::new(), Stream::default()));
                }
                // All of these records come from the last write to the partial line.
                let by = stream.last_write.expect("the writer of the line");
                self.settle(outcomes, before, by);
            }
        }
        self.target.stream = Some(Stream::default());
        self.target.pending = Tally::default();
    }
}
