// SPDX-License-Identifier: GPL-2.0

//! Where a seek by time must end, by the times of all records that the log has.
//!
//! The module searches for the first record of a time or later among the records that it still
//! has. The result may be up to [`STEP`] records before that one if an overwritten record is as
//! late (`Ring::position_at`), which takes a record that was stored later than it was written.
//! Otherwise the result is exact, whatever other threads write meanwhile.

use crate::abi::{ioctl_seek_seq, Frame, Info};
use crate::files::AUDITED;
use crate::seal::{self, Form};
use crate::worker::Thread;

/// Distance of two records in the ring's index.
const STEP: u64 = 64;

/// The records that the log has, one after another.
struct Times {
    /// The sequence number of the first one.
    first: u64,
    /// The times in nanoseconds.
    ns: Vec<u64>,
    /// No record before the first one is later than this, if that is known.
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
    /// Reads the records from `from` to before `to` by the checker, as far as they have not been
    /// overwritten.
    pub fn look_through(&self, from: u64, to: u64, mut take: impl FnMut(Frame)) {
        // SAFETY: `from` is what the command reads.
        unsafe { ioctl_seek_seq(self.target.checker, &from) }.expect("UMSG_IOC_SEEK_SEQ");
        let mut buffer = vec![0; 64 + self.target.parameters.record_max + 8 + 4096];
        let mut next = from;
        while next < to {
            let (at, size) = (buffer.as_mut_ptr().cast(), buffer.len());
            // SAFETY: Into a buffer of this size.
            let len = unsafe { libc::read(self.target.checker, at, size) };
            assert!(len > 0, "record {next} of {from}..{to} cannot be read");
            for frame in Frame::parse_all(&buffer[..len as usize]) {
                assert_eq!(frame.seq, next + frame.lost, "records in their order");
                next = frame.seq + 1;
                take(frame);
            }
        }
    }

    /// Returns the time of the record `seq`, or of the oldest one if that is overwritten; 0 if
    /// there is none.
    pub fn time_of(&self, seq: u64, info: &Info) -> u64 {
        let mut time_ns = None;
        let to = info.next_seq.min(seq + 1);
        self.look_through(seq.min(to), to, |frame| time_ns = time_ns.or(Some(frame.time_ns)));
        time_ns.unwrap_or(0)
    }

    /// Returns the times of the records that the log has of those up to `to`, of which `from` is
    /// the oldest or already overwritten.
    fn times(&self, from: u64, to: u64) -> Times {
        let record_max = self.target.parameters.record_max;
        // Before record 0 there is none.
        let overwritten_ns = if from == 0 { Some(0) } else { None };
        let mut times = Times { first: from, ns: Vec::new(), overwritten_ns };
        self.look_through(from, to, |frame| {
            if frame.lost > 0 {
                times = Times { first: frame.seq, ns: Vec::new(), overwritten_ns: None };
            }
            let time_ns = frame.time_ns;
            times.ns.push(time_ns);
            // All records before one that was stored at its time were written no later.
            let known = times.overwritten_ns.is_some();
            if !known && seal::check(&seal::of_frame(frame), Form::Keys, record_max) {
                times.overwritten_ns = Some(time_ns);
            }
        });
        times
    }

    /// The audited file has sought to `time_ns` between these two states of the log; its records
    /// from there on that were stored when they were written are not older than `usec`. Finds out
    /// where it is, and checks that.
    pub fn sought_time(&mut self, time_ns: u64, before: &Info, after: &Info, usec: u64) {
        self.target.audit.moved(before.oldest_seq, after.next_seq, usec);
        assert_eq!(self.fdinfo(AUDITED), 0, "fdinfo of the audited file");
        let at = self.target.audit.position().expect("the position by fdinfo");
        let times = self.times(after.oldest_seq, after.next_seq);
        let first = times.find(time_ns);
        // Nothing but the first record can have been overwritten since the search.
        let is_same = times.first == before.oldest_seq;
        let exact = times.overwritten_ns.is_some_and(|ns| ns < time_ns)
            || is_same && first == Some(times.first);
        // Records that were stored since `before` may have been there or not.
        let high = first.unwrap_or(after.next_seq);
        let low = high.min(before.next_seq);
        let low = match (exact, is_same) {
            (true, _) => low,
            (false, true) => low.saturating_sub(STEP),
            (false, false) => 0,
        };
        assert!(
            (low..=high).contains(&at),
            "a seek to {time_ns} went to record {at}, not to {low}..={high}: {before:?}, {after:?}, \
             exact: {exact}, times from {}: {:?}",
            times.first,
            times.around(at)
        );
    }
}
