// SPDX-License-Identifier: GPL-2.0

//! What must hold for a reader that nobody shares, and for the counters of the log.

use crate::abi::{Info, Record};
use crate::module::Parameters;
use crate::seal::text_len;

/// What is known of the audited file of a thread.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// The cursor's sequence number lies between these, both included.
    low: u64,
    high: u64,
    /// Time of the last record, as long as the cursor only moved on.
    usec: u64,
    pub nonblocking: bool,
    /// `poll` said that there is a record.
    ready: bool,
    /// `poll` said that records were lost.
    lost: bool,
    /// The last read found its room of so many bytes too small.
    too_small: Option<usize>,
}

impl Audit {
    /// Of a file that was opened, or moved, between these two states of the log to what `place`
    /// picks.
    pub fn moved(before: &Info, after: &Info, nonblocking: bool, place: fn(&Info) -> u64) -> Self {
        let (low, high) = (place(before), place(after));
        Self { low, high, usec: 0, nonblocking, ready: false, lost: false, too_small: None }
    }

    /// A read has returned this record, in `len` bytes.
    pub fn received(&mut self, record: &Record, len: usize) {
        let at = record.seq.checked_sub(record.lost).expect("more lost than there were");
        assert!(
            (self.low..=self.high).contains(&at),
            "record {} with lost={} at a cursor of {}..={}",
            record.seq,
            record.lost,
            self.low,
            self.high
        );
        assert!(record.usec >= self.usec, "time fell from {} to {}", self.usec, record.usec);
        assert!(!self.lost || record.lost > 0, "EPOLLPRI, but nothing was lost");
        if record.lost == 0 {
            // It is the record that did not fit.
            if let Some(room) = self.too_small {
                assert!(len > room, "EINVAL for {room} bytes of room, but the record is {len}");
            }
        }
        let nonblocking = self.nonblocking;
        let next = record.seq + 1;
        *self = Self { low: next, high: next, usec: record.usec, nonblocking, ..*self };
        (self.ready, self.lost, self.too_small) = (false, false, None);
    }

    /// A read has returned a record into memory that nobody can look at; `after`: the log since.
    pub fn received_unseen(&mut self, after: &Info) {
        self.low += 1;
        self.high = after.next_seq;
        (self.ready, self.lost, self.too_small) = (false, false, None);
    }

    /// A read of `room` bytes in good memory was refused.
    pub fn too_small(&mut self, room: usize) {
        self.too_small = Some(self.too_small.map_or(room, |before| before.max(room)));
    }

    /// A read said that there is nothing; `before`: the log before it.
    pub fn nothing(&self, before: Option<&Info>) {
        assert!(!self.ready, "EPOLLIN, but nothing to read");
        if let Some(info) = before {
            assert!(info.next_seq <= self.high, "nothing to read, but {info:?} and {self:?}");
        }
    }

    /// `poll` asked for everything and got this; `before` and `after`: the log around it.
    pub fn polled(&mut self, readable: bool, lost: bool, before: &Info, after: &Info) {
        assert!(readable || before.next_seq <= self.high, "no EPOLLIN: {before:?}, {self:?}");
        assert!(lost || before.oldest_seq <= self.high, "no EPOLLPRI: {before:?}, {self:?}");
        assert!(!readable || after.next_seq > self.low, "EPOLLIN: {after:?}, {self:?}");
        assert!(!lost || after.oldest_seq > self.low, "EPOLLPRI: {after:?}, {self:?}");
        self.ready |= readable;
        self.lost |= lost;
    }
}

/// Checks one state of the log by itself, and against one that the same thread has seen before.
pub fn check_info(info: &Info, before: &Info, parameters: &Parameters) {
    let records = info.next_seq - info.oldest_seq;
    let bytes = info.bytes_written - info.bytes_dropped;
    let good = info.capacity == parameters.capacity as u64
        && info.record_max == parameters.record_max as u32
        && info.policy == parameters.policy
        && info.reserved == [0; 6]
        && info.oldest_seq <= info.cleared_seq
        && info.cleared_seq <= info.next_seq
        && info.records_written == info.next_seq
        && info.records_dropped == info.oldest_seq
        && info.bytes_written <= info.records_written * parameters.record_max as u64
        && 56 * records + bytes <= info.capacity
        && (info.policy == 1 || info.records_refused == 0);
    assert!(good, "with {parameters:?}: {info:?}");
    let grew = info.oldest_seq >= before.oldest_seq
        && info.next_seq >= before.next_seq
        && info.cleared_seq >= before.cleared_seq
        && info.bytes_written >= before.bytes_written
        && info.bytes_dropped >= before.bytes_dropped
        && info.records_refused >= before.records_refused;
    assert!(grew, "a counter fell: {before:?}, then {info:?}");
}

/// What a write of `data`, all of it in good memory, must return when nothing else is in its way.
pub fn expected(data: &[u8], parameters: &Parameters) -> Result<i64, i32> {
    if !data.is_empty() && text_len(data) > parameters.record_max {
        Err(libc::EMSGSIZE)
    } else {
        Ok(data.len() as i64)
    }
}
