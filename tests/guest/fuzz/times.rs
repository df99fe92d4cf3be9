// SPDX-License-Identifier: GPL-2.0

//! The exact rule for seeks by time, which uses the times of all records in the log.
//!
//! The module searches for the first record with a given time or a later one. The result may be up
//! to [`STEP`] records too early if an overwritten record has such a time
//! (`Ring::position_of_time`). This can happen because records can be stored later than they were
//! written. In all other cases the result is exact, even if other threads write at the same time.

use crate::abi::{ioctl_seek_seq, Frame, Info};
use crate::files::AUDITED;
use crate::seal::{self, Form};
use crate::worker::Thread;

/// The distance between two records of the ring's index.
const STEP: u64 = 64;

/// The times of consecutive records of the log.
struct Times {
    /// The sequence number of the first one.
    first: u64,
    /// The times, in nanoseconds.
    ns: Vec<u64>,
    /// An upper bound of the times of all records before the first one, if one is known.
    overwritten_ns: Option<u64>,
}

impl Times {
    /// Returns the sequence number of the first record at `time_ns` or later.
    fn find(&self, time_ns: u64) -> Option<u64> {
        let index = self.ns.iter().position(|ns| *ns >= time_ns)?;
        Some(self.first + index as u64)
    }

    /// Returns the times of some records before and after `seq`.
    fn around(&self, seq: u64) -> &[u64] {
        let index = (seq.saturating_sub(self.first) as usize).min(self.ns.len());
        &self.ns[index.saturating_sub(3)..self.ns.len().min(index + 3)]
    }
}

impl Thread {
    /// Reads the records from `from` up to but not including `to` with the checker. Overwritten
    /// records are skipped.
    pub fn look_through(&self, from: u64, to: u64, mut take: impl FnMut(Frame)) {
        // SAFETY: The command reads `from`.
        unsafe { ioctl_seek_seq(self.target.checker, &from) }.expect("UMSG_IOC_SEEK_SEQ");
        let mut buffer = vec![0; 64 + self.target.parameters.record_max + 8 + 4096];
        let mut next = from;
        while next < to {
            let (at, size) = (buffer.as_mut_ptr().cast(), buffer.len());
            // SAFETY: The call writes at most `size` bytes to `buffer`, which has this size.
            let len = unsafe { libc::read(self.target.checker, at, size) };
            assert!(len > 0, "record {next} of {from}..{to} cannot be read");
            for frame in Frame::parse_all(&buffer[..len as usize]) {
                assert_eq!(frame.seq, next + frame.lost, "records in their order");
                next = frame.seq + 1;
                take(frame);
            }
        }
    }

    /// Returns the time of the record `seq`, or of the oldest record if `seq` is overwritten; 0 if
    /// the log is empty.
    pub fn time_of(&self, seq: u64, info: &Info) -> u64 {
        let mut time_ns = None;
        let to = info.next_seq.min(seq + 1);
        self.look_through(seq.min(to), to, |frame| time_ns = time_ns.or(Some(frame.time_ns)));
        time_ns.unwrap_or(0)
    }

    /// Returns the times of the records from `from`, which is the oldest record or already
    /// overwritten, up to but not including `to`.
    fn times(&self, from: u64, to: u64) -> Times {
        let (record_max, log) = (self.target.parameters.record_max, self.target.tag);
        // No record comes before record 0.
        let overwritten_ns = if from == 0 { Some(0) } else { None };
        let mut times = Times { first: from, ns: Vec::new(), overwritten_ns };
        self.look_through(from, to, |frame| {
            if frame.lost > 0 {
                times = Times { first: frame.seq, ns: Vec::new(), overwritten_ns: None };
            }
            let time_ns = frame.time_ns;
            times.ns.push(time_ns);
            // If a record was stored at its own time, all records before it have no later time.
            let known = times.overwritten_ns.is_some();
            if !known && seal::check(&seal::of_frame(frame), Form::Keys, record_max, log) {
                times.overwritten_ns = Some(time_ns);
            }
        });
        times
    }

    /// Checks the position of the audited file after a seek to `time_ns` between these two states
    /// of the log. `usec`: a lower bound of the times of the records after the position, except
    /// those that were stored later than they were written.
    pub fn sought_time(&mut self, time_ns: u64, before: &Info, after: &Info, usec: u64) {
        self.target.audit.moved(before.oldest_seq, after.next_seq, usec);
        assert_eq!(self.fdinfo(AUDITED), 0, "fdinfo of the audited file");
        let at = self.target.audit.position().expect("the position by fdinfo");
        let times = self.times(after.oldest_seq, after.next_seq);
        let first = times.find(time_ns);
        // No record was overwritten between the two states.
        let is_same = times.first == before.oldest_seq;
        let exact = times.overwritten_ns.is_some_and(|ns| ns < time_ns)
            || is_same && first == Some(times.first);
        // The search may or may not have seen records that were stored after `before`.
        let high = first.unwrap_or(after.next_seq);
        let low = high.min(before.next_seq);
        let low = match (exact, is_same) {
            (true, _) => low,
            (false, true) => low.saturating_sub(STEP),
            (false, false) => 0,
        };
        assert!(
            (low..=high).contains(&at),
            "a seek to {time_ns} went to record {at}, not to {low}..={high}: {before:?}, \
             {after:?}, exact: {exact}, times from {}: {:?}",
            times.first,
            times.around(at)
        );
    }
}
