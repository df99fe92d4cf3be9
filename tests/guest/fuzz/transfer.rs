// SPDX-License-Identifier: GPL-2.0

//! Performs reads, and checks their results.

use crate::abi::{frame_size, Frame, Info, Record, BINARY_READ, LINES, PLAIN};
use crate::arena::{Area, Segments};
use crate::calls::*;
use crate::files::AUDITED;
use crate::perform::result;
use crate::seal::{self, Form};
use crate::target::Sample;
use crate::worker::Thread;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// The largest `record_max` that the module accepts, plus the longest prefix and a newline.
pub const WRITE_MOST: usize = 65536 + 7;

/// Flags of a read or write that have no effect, except on whether it waits.
const HARMLESS: i32 = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;

/// From this position on, the sum of position and length may exceed the limit of the kernel.
const FAR: i64 = 1 << 62;

/// Signals do not shorten a binary read into a buffer of at most this size (`LOCKED_MAX` in
/// `src/log.rs`).
const CHUNK: usize = 8192;

/// The maximum number of segments.
const IOV_MAX: i32 = 1024;

impl How {
    fn is_vector(self) -> bool {
        !matches!(self, Self::Plain | Self::At)
    }

    fn takes_position(self) -> bool {
        matches!(self, Self::At | Self::VectorAt | Self::VectorAtFlags)
    }
}

/// A record that was read.
#[derive(Debug)]
pub struct Seen {
    pub record: Record,
    /// The number of bytes that the read returned for the record.
    pub size: usize,
    pub form: Form,
    /// The time of the record is certainly the time at which it was stored.
    pub live: bool,
}

/// The arguments of a read or write.
pub struct Request {
    pub segments: Segments,
    /// The segments are in good memory, and the kernel passes a call with these arguments to the
    /// device.
    pub plain: bool,
}

impl Request {
    /// Returns the total length of the segments that the call gets.
    pub fn given(&self, how: How) -> usize {
        let list = &self.segments.list;
        let count = match how {
            How::Count(count) => (count.max(0) as usize).min(list.len()),
            _ => list.len(),
        };
        list[..count].iter().fold(0, |sum, piece| sum.saturating_add(piece.iov_len))
    }
}

impl Thread {
    pub fn request(
        &self,
        how: How,
        memory: &Memory,
        area: Area,
        position: i64,
        flags: i32,
    ) -> Request {
        let mut segments = self.arena.segments(memory, area, how.is_vector());
        let mut plain = memory.bad.is_none() && segments.total.is_some();
        match how {
            How::Count(count) => {
                // The additional segments are empty.
                let none = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
                segments.list.resize(IOV_MAX as usize + 1, none);
                plain &= (4..=IOV_MAX).contains(&count);
            }
            How::VectorFrom(_) => plain = false,
            How::VectorAtFlags => plain &= flags & !HARMLESS == 0 && (-1..FAR).contains(&position),
            _ if how.takes_position() => plain &= (0..FAR).contains(&position),
            _ => {}
        }
        Request { segments, plain }
    }

    /// Makes the system call.
    pub fn submit(
        &self,
        fd: i32,
        write: bool,
        how: How,
        list: &[iovec],
        at: i64,
        flags: i32,
    ) -> i64 {
        let (first, count) = (list[0], list.len() as i32);
        let (base, len) = (first.iov_base, first.iov_len);
        let vector = list.as_ptr();
        let from = |place| self.arena.address(place, Area::Read, 0) as *const iovec;
        // SAFETY: The kernel checks all addresses. Nothing else uses the arena's writable memory
        // during the call.
        result(unsafe {
            match (how, write) {
                (How::Plain, false) => libc::read(fd, base, len) as i64,
                (How::Plain, true) => libc::write(fd, base, len) as i64,
                (How::At, false) => pread(fd, base, len, at) as i64,
                (How::At, true) => pwrite(fd, base, len, at) as i64,
                (How::Vector, false) => readv(fd, vector, count) as i64,
                (How::Vector, true) => writev(fd, vector, count) as i64,
                (How::VectorAt, false) => preadv(fd, vector, count, at) as i64,
                (How::VectorAt, true) => pwritev(fd, vector, count, at) as i64,
                (How::VectorAtFlags, false) => preadv2(fd, vector, count, at, flags) as i64,
                (How::VectorAtFlags, true) => pwritev2(fd, vector, count, at, flags) as i64,
                (How::VectorFrom(place), false) => readv(fd, from(place), 3) as i64,
                (How::VectorFrom(place), true) => writev(fd, from(place), 3) as i64,
                (How::Count(count), false) => readv(fd, vector, count) as i64,
                (How::Count(count), true) => writev(fd, vector, count) as i64,
            }
        })
    }

    pub fn read(&mut self, slot: Slot, how: How, memory: &Memory, at: i64, flags: i32) -> i64 {
        let audited = slot == AUDITED;
        let area = if audited { Area::Audited } else { Area::Read };
        let request = self.request(how, memory, area, at, flags);
        let look = audited && (memory.offset % 4 == 0 || self.target.audit.has(BINARY_READ));
        let before = look.then(|| self.info());
        let len = self.submit(self.files.fd(slot), false, how, &request.segments.list, at, flags);
        match len {
            1.. => {
                let known = self.files.known(slot);
                assert_ne!(known.may_read(), Some(false), "a read of a closed file");
                self.check_read(slot, how, memory, &request, len as usize, before);
            }
            0 => {
                let vector = how.is_vector();
                assert!(vector, "a read returned nothing, which would be the end of the file");
                assert!(!request.plain || memory.len == 0, "a read into {} bytes: 0", memory.len);
            }
            _ => {
                let error = -len as i32;
                let room = request.given(how);
                if request.plain {
                    self.check_refused(slot, error, room, before);
                }
                if audited && error == EPIPE {
                    let after = self.info();
                    self.target.audit.told_of_loss(before.as_ref(), &after);
                }
                if audited && error == EINVAL && room > 0 && self.target.audit.style != LINES {
                    let after = self.info();
                    self.target.audit.skipped(request.plain, room, &after);
                }
            }
        }
        if audited && (request.segments.bad.is_some() || matches!(how, How::VectorFrom(_))) {
            self.arena.poison();
        }
        len
    }

    /// Checks a read that returned `len` bytes.
    fn check_read(
        &mut self,
        slot: Slot,
        how: How,
        memory: &Memory,
        request: &Request,
        len: usize,
        before: Option<Info>,
    ) {
        let bytes = match how {
            How::VectorFrom(_) => None,
            _ => self.arena.gather(&request.segments, len),
        };
        let room = request.given(how);
        let binary = bytes.as_ref().map(|bytes| is_binary(bytes));
        let plain = bytes.as_ref().map(|bytes| is_plain(bytes));
        let records = bytes.map(|bytes| self.seen(&bytes, room));
        if slot != AUDITED {
            return;
        }
        match records {
            Some(records) => {
                assert_eq!(
                    binary,
                    Some(self.target.audit.has(BINARY_READ)),
                    "the format of a read"
                );
                let keyless = binary == Some(false) && self.target.audit.style == PLAIN;
                assert_eq!(plain, Some(keyless), "the keys of a record");
                for seen in &records {
                    self.target.audit.received(seen, room);
                }
            }
            None => {
                let after = self.info();
                self.target.audit.received_unseen(&after);
            }
        }
        if let (true, Some(true), Some(before)) = (request.plain && room <= CHUNK, binary, before) {
            self.target.audit.left_room(&before, room - len);
        }
        if usize::from(memory.offset).saturating_add(room) > self.arena.area(Area::Audited).len() {
            // A read beyond the end of the area may have left bytes before the end that it did not
            // return.
            self.arena.poison();
        } else if request.segments.bad.is_none() {
            self.arena.check_poison(memory.offset.into(), len);
        }
    }

    /// Checks the bytes that a read of any file returned into `room` bytes, and returns the
    /// records.
    pub fn seen(&mut self, bytes: &[u8], room: usize) -> Vec<Seen> {
        let shared = self.round.shared;
        assert!(bytes.len() <= room, "{} bytes, where there is room for {room}", bytes.len());
        let mut records = Vec::new();
        let mut times = Vec::new();
        if is_binary(bytes) {
            for frame in Frame::parse_all(bytes) {
                times.push(frame.time_ns);
                let size = frame_size(frame.text.len());
                records.push((seal::of_frame(frame), size, Form::Keys));
            }
            shared.frames_read.fetch_add(records.len() as u64, Relaxed);
        } else {
            let is_plain = is_plain(bytes);
            let record = if is_plain { Record::parse_plain(bytes) } else { Record::parse(bytes) };
            // If the text is cut, less than an escape (4 bytes) is left, in addition to the space
            // for a longer number after CUT.
            let digits = |number: usize| number.to_string().len();
            let total = record.text.len() + record.cut;
            let left =
                room - bytes.len() - (digits(total) - digits(record.cut)).min(room - bytes.len());
            let may_be_cut = left < 4;
            assert!(record.cut == 0 || may_be_cut, "cut without need: {record:?} in {room} bytes");
            let form = match is_plain {
                false => Form::Keys,
                true if room - bytes.len() < 4 => Form::PlainCut,
                true => Form::Plain,
            };
            times.push(1000 * record.usec);
            records.push((record, bytes.len(), form));
        }
        shared.records_read.fetch_add(records.len() as u64, Relaxed);
        let mut seen = Vec::new();
        for ((record, size, form), time_ns) in records.into_iter().zip(times) {
            let live =
                seal::check(&record, form, self.target.parameters.record_max, self.target.tag);
            let which = record.seq as usize % self.target.samples.len();
            self.target.samples[which] = Sample { seq: record.seq, time_ns };
            seen.push(Seen { record, size, form, live });
        }
        seen
    }

    /// Checks a read with good arguments that failed with `error`.
    fn check_refused(&mut self, slot: Slot, error: i32, room: usize, before: Option<Info>) {
        let known = self.files.known(slot).may_read();
        assert!(
            known != Some(false) || error == EBADF || room > WRITE_MOST,
            "not open for reading: {error}"
        );
        match error {
            EINVAL => {
                let largest = frame_size(self.target.parameters.record_max);
                // No record has a longer head, alone or with keys.
                let enough =
                    match (slot, self.target.audit.has(BINARY_READ), self.target.audit.style) {
                        (AUDITED, true, _) => largest,
                        (AUDITED, false, PLAIN) => 64,
                        (AUDITED, false, _) => 256,
                        _ => largest.max(256),
                    };
                assert!(room < enough, "EINVAL, with {room} bytes of room");
                if slot == AUDITED && room > 0 && self.target.audit.style == LINES {
                    self.target.audit.too_small(room);
                }
            }
            EAGAIN if slot == AUDITED => self.target.audit.nothing(before.as_ref()),
            // The buffer ends beyond the user address range.
            EFAULT => assert!(room > 1 << 40, "EFAULT for good memory"),
            _ => {}
        }
    }
}

/// Returns whether a read was in binary format: a binary record begins with the size of its header,
/// the text format with a digit.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(&[64])
}

/// Returns whether a read was in text format and has no key lines.
fn is_plain(bytes: &[u8]) -> bool {
    !is_binary(bytes) && bytes.iter().filter(|byte| **byte == b'\n').count() == 1
}
