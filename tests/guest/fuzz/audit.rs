// SPDX-License-Identifier: GPL-2.0

//! Invariants of a file that no other thread shares, and of the counters of the log.

use crate::abi::{frame_size, Info, Record, BINARY_READ, BINARY_WRITE, LINES};
use crate::model::escaped;
use crate::module::Parameters;
use crate::seal::{text_len, Form, DEFAULTS};
use crate::transfer::Seen;

/// The known state of the audited file of a thread.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// The read position is between `low` and `high`, both included.
    low: u64,
    high: u64,
    /// The number of losses that were reported since the file was opened is between `told_low` and
    /// `told_high`, both included.
    told_low: u64,
    told_high: u64,
    /// No record from the read position on is older, except records that were stored later than
    /// they were written.
    usec: u64,
    pub nonblocking: bool,
    /// `UMSG_OPTION_*`
    pub options: u32,
    /// `UMSG_STYLE_*`
    pub style: u32,
    /// The priority of texts without a prefix.
    pub priority: u32,
    /// A call reported that there is a record at the read position.
    ready: bool,
    /// `poll` reported that records were lost.
    lost: bool,
    /// The largest buffer size that was too small for the next record.
    too_small: Option<usize>,
    /// The sequence number of a record, and the number of bytes that a binary read left unused
    /// although this was the next record.
    unfit: Option<(u64, usize)>,
    /// The sequence number of a record, and its size that `UMSG_IOC_NEXT_SIZE` returned.
    next_size: Option<(u64, usize)>,
}

/// The lines of the device in `/proc/PID/fdinfo/FD`.
#[derive(Debug, PartialEq, Eq)]
pub struct FdInfo {
    pub seq: u64,
    pub lag: u64,
    pub lost: u64,
    /// `UMSG_OPTION_BINARY_*`
    pub options: u32,
    /// `UMSG_STYLE_*`
    pub style: u32,
    /// The priority of texts without a prefix.
    pub priority: u32,
}

impl FdInfo {
    /// Parses the lines; `None` if the file is not one of the device.
    pub fn parse(text: &str) -> Option<Self> {
        let at = text.find("next-seq:\t")?;
        let mut lines = text[at..].lines();
        let mut word = |key: &str| {
            let line = lines.next().expect(key);
            line.strip_prefix(key).unwrap_or_else(|| panic!("{key} {line:?}"))
        };
        let mut number = |key: &str| -> u64 { word(key).parse().expect("a number") };
        let (seq, lag, lost) = (number("next-seq:\t"), number("lag:\t"), number("lost:\t"));
        let style = ["lines", "kmsg", "plain"].into_iter().position({
            let name = word("style:\t");
            move |style| style == name
        });
        let style = style.expect("a style") as u32;
        let priority = word("priority:\t").parse().expect("a priority");
        let mut form = |key: &str, option: u32| match word(key) {
            "binary" => option,
            "text" => 0,
            other => panic!("{key} {other:?}"),
        };
        let options = form("read-format:\t", BINARY_READ) | form("write-format:\t", BINARY_WRITE);
        assert_eq!(lines.next(), None, "{text:?}");
        Some(Self { seq, lag, lost, options, style, priority })
    }
}

impl Audit {
    /// Returns the state of a file that was opened between these two states of the log.
    pub fn opened(before: &Info, after: &Info, nonblocking: bool, style: u32) -> Self {
        Self {
            low: before.oldest_seq,
            high: after.oldest_seq,
            told_low: 0,
            told_high: 0,
            usec: 0,
            nonblocking,
            options: 0,
            style,
            priority: DEFAULTS[0].into(),
            ready: false,
            lost: false,
            too_small: None,
            unfit: None,
            next_size: None,
        }
    }

    /// Sets the bounds of the read position. No record from there on is older than `usec`, except
    /// records that were stored later than they were written.
    pub fn moved(&mut self, low: u64, high: u64, usec: u64) {
        assert!(low <= high, "moved to {low}..={high}: {self:?}");
        (self.low, self.high, self.usec) = (low, high, usec);
        self.forget();
    }

    /// Returns the sequence number of the next record, if that is known.
    pub fn position(&self) -> Option<u64> {
        (self.low == self.high).then_some(self.low)
    }

    /// Removes all facts about the next record.
    fn forget(&mut self) {
        (self.ready, self.lost) = (false, false);
        (self.too_small, self.unfit, self.next_size) = (None, None, None);
    }

    /// Sets the options of the file.
    pub fn set_options(&mut self, options: u32) {
        self.options = options;
        (self.too_small, self.unfit, self.next_size) = (None, None, None);
    }

    /// Sets the style of the file.
    pub fn set_style(&mut self, style: u32) {
        self.style = style;
        (self.too_small, self.unfit, self.next_size) = (None, None, None);
    }

    pub fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    /// Checks a record that a read into `room` bytes returned.
    pub fn received(&mut self, seen: &Seen, room: usize) {
        let &Seen { ref record, size: len, form, live } = seen;
        let at = record.seq.checked_sub(record.lost).expect("more lost than there were");
        assert!(
            (self.low..=self.high).contains(&at),
            "record {} with lost={} at a cursor of {}..={}",
            record.seq,
            record.lost,
            self.low,
            self.high
        );
        let in_order = !live || record.usec >= self.usec;
        assert!(in_order, "time fell from {} to {}: {record:?}", self.usec, record.usec);
        let by_error = self.style != LINES;
        assert!(!self.lost || record.lost > 0, "EPOLLPRI, but nothing was lost");
        assert!(record.lost == 0 || !by_error, "a loss that was not reported by EPIPE");
        if record.lost == 0 {
            // This is the record that did not fit.
            if let Some(room) = self.too_small {
                let cut = !self.has(BINARY_READ) && least_room(record, len) <= room;
                assert!(len > room && !cut, "EINVAL for {room} bytes of room, but {record:?}");
            }
            if let Some((seq, room)) = self.unfit {
                let fits = seq == record.seq && len <= room;
                assert!(!fits, "a read left {room} bytes, but the next record is {len}");
            }
        }
        if let Some((seq, size)) = self.next_size.filter(|(seq, _)| *seq == record.seq) {
            let cut = record.cut > 0 || form == Form::PlainCut && len != size;
            let good = if cut { size > room } else { len == size };
            assert!(good, "record {seq} needs {size} bytes, but a read of {room} bytes got {len}");
        }
        self.usec = self.usec.max(record.usec);
        (self.low, self.high) = (record.seq + 1, record.seq + 1);
        self.told_low += record.lost;
        self.told_high += record.lost;
        self.forget();
    }

    /// Accounts for a read that returned records into memory that cannot be checked. `after`: the
    /// state of the log after the read.
    pub fn received_unseen(&mut self, after: &Info) {
        self.told_high += after.next_seq - self.low;
        self.low += 1;
        self.high = after.next_seq;
        self.forget();
    }

    /// Accounts for a binary read that left `room` bytes unused. If there was another record, it
    /// did not fit.
    pub fn left_room(&mut self, before: &Info, room: usize) {
        if before.next_seq > self.high {
            self.unfit = Some((self.high, room));
        }
    }

    /// Checks a read that failed with `EPIPE`. `before` and `after`: the states of the log before
    /// and after the read.
    pub fn told_of_loss(&mut self, before: Option<&Info>, after: &Info) {
        assert!(after.oldest_seq > self.low, "EPIPE, but nothing was lost: {after:?}, {self:?}");
        let low = before.map_or(0, |info| info.oldest_seq).max(self.low + 1);
        let high = after.oldest_seq;
        self.told_low += low.saturating_sub(self.high).max(1);
        self.told_high += high - self.low;
        self.moved(low, high, self.usec);
        // Either the oldest record still exists, or newer records have overwritten it.
        self.ready = true;
    }

    /// Checks a read into `room` bytes that failed with `EINVAL` in a style that consumes the
    /// record then. `certain`: the device returned the error, not another part of the kernel.
    pub fn skipped(&mut self, certain: bool, room: usize, after: &Info) {
        let by = u64::from(certain);
        if certain {
            assert!(after.next_seq > self.low, "EINVAL without a record: {after:?}, {self:?}");
            assert!(!self.lost, "EPOLLPRI, but a record was skipped before EPIPE");
            if let Some((seq, size)) = self.next_size.filter(|_| self.low == self.high) {
                let fits = seq == self.low && size <= room;
                assert!(!fits, "record {seq} needs {size} bytes, but EINVAL for {room} bytes");
            }
        }
        let (low, high) = (self.low + by, self.high + 1);
        self.told_low += by;
        self.told_high += 1;
        self.moved(low, high.min(after.next_seq), self.usec);
    }

    /// Checks the result of `UMSG_IOC_NEXT_SIZE`, which was called between these two states of the
    /// log.
    pub fn said_size(&mut self, size: usize, before: &Info, after: &Info, record_max: usize) {
        assert!(after.next_seq > self.low, "a size without a record: {after:?}, {self:?}");
        if self.has(BINARY_READ) {
            let good = size % 8 == 0 && (64..=frame_size(record_max)).contains(&size);
            assert!(good, "a frame of {size} bytes");
        }
        let (first, last) = (self.low.max(before.oldest_seq), self.high.max(after.oldest_seq));
        if first == last {
            let all = self.next_size.is_none_or(|(seq, known)| seq != first || known == size);
            assert!(all, "{size} bytes, and before {:?}", self.next_size);
            self.next_size = Some((first, size));
        }
    }

    /// Checks the fdinfo of the file, which was read between these two states of the log.
    pub fn check_fdinfo(&mut self, fdinfo: &FdInfo, before: &Info, after: &Info) {
        let &FdInfo { seq, lag, lost, options, style, priority } = fdinfo;
        let both = BINARY_READ | BINARY_WRITE;
        let gone = |info: &Info| info.oldest_seq.saturating_sub(seq);
        let behind =
            |next: &Info, oldest: &Info| next.next_seq.saturating_sub(seq.max(oldest.oldest_seq));
        let lags = behind(before, after)..=behind(after, before);
        let losses = self.told_low + gone(before)..=self.told_high + gone(after);
        let good = (self.low..=self.high).contains(&seq)
            && lags.contains(&lag)
            && losses.contains(&lost)
            && options == self.options & both
            && style == self.style
            && priority == self.priority;
        assert!(good, "{fdinfo:?} of {self:?}: lag {lags:?}, lost {losses:?}");
        (self.low, self.high) = (seq, seq);
        self.told_low = self.told_low.max(lost.saturating_sub(gone(after)));
        self.told_high = self.told_high.min(lost - gone(before));
    }

    /// Accounts for a read of `room` bytes into good memory that failed with `EINVAL` in the style
    /// `lines`.
    pub fn too_small(&mut self, room: usize) {
        self.too_small = Some(self.too_small.map_or(room, |before| before.max(room)));
    }

    /// Checks a call that found no record. `before`: the state of the log before the call.
    pub fn nothing(&self, before: Option<&Info>) {
        assert!(!self.ready, "EPOLLIN, but nothing to read");
        if let Some(info) = before {
            assert!(info.next_seq <= self.high, "nothing to read, but {info:?} and {self:?}");
        }
    }

    /// Checks the result of `poll` for all events. `before` and `after`: the states of the log
    /// before and after the call.
    pub fn polled(&mut self, readable: bool, lost: bool, before: &Info, after: &Info) {
        assert!(readable || before.next_seq <= self.high, "no EPOLLIN: {before:?}, {self:?}");
        assert!(lost || before.oldest_seq <= self.high, "no EPOLLPRI: {before:?}, {self:?}");
        assert!(!readable || after.next_seq > self.low, "EPOLLIN: {after:?}, {self:?}");
        assert!(!lost || after.oldest_seq > self.low, "EPOLLPRI: {after:?}, {self:?}");
        self.ready |= readable;
        self.lost |= lost;
    }
}

/// Checks one state of the log, and compares it with an earlier state that the same thread has
/// read.
pub fn check_info(info: &Info, before: &Info, parameters: &Parameters) {
    let records = info.next_seq - info.oldest_seq;
    let bytes = info.bytes_written - info.bytes_dropped;
    let good = info.capacity == parameters.capacity as u64
        && info.record_max == parameters.record_max as u32
        && info.policy == parameters.policy
        && info.style == parameters.style
        && info.log_id != 0
        && (before.log_id == 0 || info.log_id == before.log_id)
        && (info.reserved_word, info.reserved) == (0, [0; 4])
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

/// Returns the smallest buffer size that a read needs for a record that it returned in `len` bytes
/// of text format: the size of the head and the keys, including a key CUT with as many digits as
/// the length of the text.
fn least_room(record: &Record, len: usize) -> usize {
    let key = |number: usize| " CUT=\n".len() + number.to_string().len();
    let cut_key = if record.cut > 0 { key(record.cut) } else { 0 };
    let around = len - escaped(&record.text).len() - cut_key;
    around + key(record.text.len() + record.cut)
}

/// Returns the result of a write of `data` in the style `kmsg` from good memory, if nothing else
/// makes the write fail.
pub fn expected(data: &[u8], parameters: &Parameters) -> Result<i64, i32> {
    if !data.is_empty() && text_len(data) > parameters.record_max {
        Err(libc::EMSGSIZE)
    } else {
        Ok(data.len() as i64)
    }
}
