// SPDX-License-Identifier: GPL-2.0

//! Performs reads and writes, and checks what came of them.

use crate::abi::{frame_size, Frame, Info, Record, BINARY_READ, BINARY_WRITE};
use crate::arena::{Area, Pieces};
use crate::audit::expected;
use crate::calls::*;
use crate::entries::{self, Tally, Walk};
use crate::files::AUDITED;
use crate::perform::result;
use crate::seal::{self, Author};
use crate::worker::{Sample, Thread};
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// The longest text of a record that the module can be loaded with, and what a write may add to it.
const WRITE_MOST: usize = 65536 + 7;

/// Flags of a read or write that change nothing but whether it waits.
const HARMLESS: i32 = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;

/// Positions from here on, and a length, may be more than the kernel takes together.
const FAR: i64 = 1 << 62;

/// The module copies a binary read of no more room at once: no signal ends it early.
const CHUNK: usize = 8192;

/// A number of pieces that is no longer than this is good.
const IOV_MAX: i32 = 1024;

impl How {
    fn is_vector(self) -> bool {
        !matches!(self, Self::Plain | Self::At)
    }

    fn takes_position(self) -> bool {
        matches!(self, Self::At | Self::VectorAt | Self::VectorAtFlags)
    }
}

/// One read or write, as the kernel gets it.
struct Request {
    pieces: Pieces,
    /// The pieces are in good memory, and the call's other arguments are such that the device is
    /// asked.
    plain: bool,
}

impl Thread {
    fn request(&self, how: How, memory: &Memory, area: Area, position: i64, flags: i32) -> Request {
        let mut pieces = self.arena.pieces(memory, area, how.is_vector());
        let mut plain = memory.bad.is_none() && pieces.total.is_some();
        match how {
            How::Count(count) => {
                // All behind the given ones are empty.
                let none = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
                pieces.list.resize(IOV_MAX as usize + 1, none);
                plain &= (4..=IOV_MAX).contains(&count);
            }
            How::VectorFrom(_) => plain = false,
            How::VectorAtFlags => plain &= flags & !HARMLESS == 0 && (-1..FAR).contains(&position),
            _ if how.takes_position() => plain &= (0..FAR).contains(&position),
            _ => {}
        }
        Request { pieces, plain }
    }

    /// The system call itself.
    fn submit(&self, fd: i32, write: bool, how: How, list: &[iovec], at: i64, flags: i32) -> i64 {
        let (first, count) = (list[0], list.len() as i32);
        let (base, len) = (first.iov_base, first.iov_len);
        let vector = list.as_ptr();
        let from = |place| self.arena.address(place, Area::Read, 0) as *const iovec;
        // SAFETY: The kernel checks all addresses. Those of the arena that can be written are not
        // used for anything else during the call.
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
        let look = audited && (memory.offset % 4 == 0 || self.audit.has(BINARY_READ));
        let before = look.then(|| self.info());
        let len = self.submit(self.files.fd(slot), false, how, &request.pieces.list, at, flags);
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
                if audited && len == -i64::from(EPIPE) {
                    let after = self.info();
                    self.audit.told_of_loss(before.as_ref(), &after);
                }
                if request.plain {
                    let room = request.pieces.total.unwrap_or(0);
                    self.check_refused(slot, -len as i32, room, before);
                }
            }
        }
        if audited && (request.pieces.bad.is_some() || matches!(how, How::VectorFrom(_))) {
            self.arena.poison();
        }
        len
    }

    /// A read has returned `len` bytes.
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
            _ => self.arena.gather(&request.pieces, len),
        };
        let binary = bytes.as_ref().map(|bytes| is_binary(bytes));
        let records = bytes.map(|bytes| self.seen(&bytes));
        if slot != AUDITED {
            return;
        }
        match records {
            Some(records) => {
                assert_eq!(binary, Some(self.audit.has(BINARY_READ)), "the form of what was read");
                for (record, size) in &records {
                    self.audit.received(record, *size);
                }
            }
            None => {
                let after = self.info();
                self.audit.received_unseen(&after);
            }
        }
        let room = request.pieces.total.unwrap_or(usize::MAX);
        if let (true, Some(true), Some(before)) = (request.plain && room <= CHUNK, binary, before) {
            self.audit.left_room(&before, room - len);
        }
        if usize::from(memory.offset).saturating_add(room) > self.arena.area(Area::Audited).len() {
            // Beyond the area it may have failed, and left there what it does not return.
            self.arena.poison();
        } else if request.pieces.bad.is_none() {
            self.arena.check_poison(memory.offset.into(), len);
        }
    }

    /// Checks what was read, by whatever file, and returns the records with their sizes.
    pub fn seen(&mut self, bytes: &[u8]) -> Vec<(Record, usize)> {
        let shared = self.round.shared;
        let mut records = Vec::new();
        let mut times = Vec::new();
        if is_binary(bytes) {
            for frame in Frame::parse_all(bytes) {
                times.push((frame.time_ns, frame.time_ns));
                let size = frame_size(frame.text.len());
                records.push((seal::of_frame(frame), size));
            }
            shared.frames_read.fetch_add(records.len() as u64, Relaxed);
        } else {
            let record = Record::parse(bytes);
            times.push((1000 * record.usec, 1000 * record.usec + 999));
            records.push((record, bytes.len()));
        }
        shared.records_read.fetch_add(records.len() as u64, Relaxed);
        for ((record, _), (from_ns, to_ns)) in records.iter().zip(times) {
            seal::check(record, self.parameters.record_max);
            let which = record.seq as usize % self.samples.len();
            self.samples[which] = Sample { seq: record.seq, from_ns, to_ns };
        }
        records
    }

    /// A read with good arguments has failed.
    fn check_refused(&mut self, slot: Slot, error: i32, room: usize, before: Option<Info>) {
        let known = self.files.known(slot).may_read();
        assert!(
            known != Some(false) || error == EBADF || room > WRITE_MOST,
            "of no reader: {error}"
        );
        match error {
            EINVAL => {
                let record_max = self.parameters.record_max;
                let enough = if slot == AUDITED && self.audit.has(BINARY_READ) {
                    frame_size(record_max)
                } else {
                    // No text form is longer: a header, all bytes escaped, the writer.
                    4 * record_max + 256
                };
                assert!(room < enough, "EINVAL, with {room} bytes of room");
                if slot == AUDITED && room > 0 {
                    self.audit.too_small(room);
                }
            }
            EAGAIN if slot == AUDITED => self.audit.nothing(before.as_ref()),
            // Beyond the range of a program.
            EFAULT => assert!(room > 1 << 40, "EFAULT for good memory"),
            _ => {}
        }
    }

    /// Whether what is written to the file of `slot` is in binary form, if nobody else can change
    /// that.
    pub fn writes_binary(&self, slot: Slot) -> Option<bool> {
        (slot == AUDITED).then(|| self.audit.has(BINARY_WRITE))
    }

    /// Fills `data`, all of one write, with `content`, and returns how many records it may be at
    /// most. `sealed`: it will be stored as it is, or not at all.
    pub fn fill(
        &self,
        data: &mut [u8],
        slot: Slot,
        content: Content,
        author: Author,
        sealed: bool,
    ) -> u64 {
        match content {
            Content::Entries { seed } => {
                let count =
                    entries::fill(data, seed, author, self.parameters.record_max, sealed).max(1);
                if self.writes_binary(slot).is_none() {
                    entries::tell_apart(data, &self.parameters);
                }
                count
            }
            // What is not stored as it is filled in must not look sealed.
            Content::Sealed { .. } if !sealed => {
                seal::fill(data, Content::Raw { prefix: 7 }, author);
                1
            }
            content => {
                seal::fill(data, content, author);
                1
            }
        }
    }

    /// Opens the account of a write that may store `most` records.
    pub fn begin_write(&self, most: u64) {
        self.round.shared.writes.open.fetch_add(most, Relaxed);
        self.round.shared.writes.open_calls.fetch_add(1, Relaxed);
    }

    /// Closes the account of a write that was counted as `most` open ones.
    pub fn wrote(&self, most: u64, tally: Tally, entries: bool) {
        let shared = self.round.shared;
        shared.writes.stored.fetch_add(tally.stored, Relaxed);
        shared.writes.refused.fetch_add(tally.refused, Relaxed);
        shared.writes.open.fetch_add(tally.unsure, Relaxed);
        shared.writes.open.fetch_sub(most, Relaxed);
        if !tally.perhaps_refused {
            shared.writes.open_calls.fetch_sub(1, Relaxed);
        }
        if entries {
            shared.entries_stored.fetch_add(tally.stored, Relaxed);
        }
    }

    pub fn write(
        &mut self,
        slot: Slot,
        how: How,
        memory: &Memory,
        content: Content,
        at: i64,
        flags: i32,
    ) -> i64 {
        let filled = memory.len.min(WRITE_MOST + 1);
        let mangled = memory.bad.is_some() || matches!(how, How::Count(_));
        let entries = matches!(content, Content::Entries { .. });
        let author = Author { tid: nix::unistd::gettid().as_raw() as u32, nobody: self.nobody };
        // Up to the end of the area, or of the write.
        let (known, behind) =
            self.arena.area(Area::Write)[memory.offset.into()..].split_at_mut(filled);
        let most = self.fill(known, slot, content, author, !mangled);
        if memory.len > filled {
            // What was written before must not become a part of it.
            behind.fill(0);
        }
        let request = self.request(how, memory, Area::Write, at, flags);
        self.begin_write(most);
        let done = self.submit(self.files.fd(slot), true, how, &request.pieces.list, at, flags);
        let data = &self.arena.area(Area::Write)[memory.offset.into()..];
        let data = &data[..memory.len.min(data.len())];
        let tally = if entries && done > 0 {
            self.tally(slot, how, mangled.then_some(&request), data, memory.len, done)
        } else {
            Tally::one(done)
        };
        self.wrote(most, tally, entries);
        let total = request.pieces.total;
        if done > 0 {
            assert_ne!(self.files.known(slot).may_write(), Some(false), "a write to no writer");
            let short = matches!(how, How::VectorFrom(_) | How::Count(_));
            let bad = request.pieces.bad.filter(|_| !short);
            let unreadable = [Place::Null, Place::Low, Place::NonCanonical, Place::Kernel];
            let reached = !entries || done as usize > request.pieces.before_bad;
            let stored = reached && bad.is_some_and(|place| unreadable.contains(&place));
            assert!(!stored, "stored from {bad:?}");
            if !entries {
                assert!(short || Some(done as usize) == total, "{done} of {total:?} were taken");
                assert!(
                    done as usize <= self.parameters.record_max + 7,
                    "a record of {done} bytes was taken"
                );
            }
        }
        if request.plain {
            self.check_write(slot, done, data, memory.len);
        }
        done
    }

    /// What a write of entries has stored that returned `done`; `data` is what it was given, as far
    /// as it is known, `mangled` where other memory may stand among it.
    fn tally(
        &self,
        slot: Slot,
        how: How,
        mangled: Option<&Request>,
        data: &[u8],
        total: usize,
        done: i64,
    ) -> Tally {
        let binary = self.writes_binary(slot);
        let Some(request) = mangled else {
            if matches!(how, How::VectorFrom(_)) {
                return Tally::unknown(done);
            }
            return Tally::entries(done, data, true, total, binary, &self.parameters);
        };
        let list = &request.pieces.list;
        let count = match how {
            How::Count(count) => (count as usize).min(list.len()),
            _ => list.len(),
        };
        let total = list[..count].iter().map(|piece| piece.iov_len).sum();
        match self.arena.gather(&request.pieces, done as usize) {
            Some(taken) => Tally::entries(done, &taken, false, total, binary, &self.parameters),
            None => Tally::unknown(done),
        }
    }

    /// A write of `total` bytes with good arguments has returned `done`; `data`: its bytes, as far
    /// as there is memory.
    fn check_write(&self, slot: Slot, done: i64, data: &[u8], total: usize) {
        let error = if done < 0 { -done as i32 } else { 0 };
        match self.files.known(slot).may_write() {
            // The kernel looks at some arguments first.
            Some(false) => {
                assert!([EBADF, EFAULT, EINVAL].contains(&error), "no writer: {done}");
                return;
            }
            None if error == EBADF => return,
            _ => {}
        }
        let parameters = &self.parameters;
        let full = error == ENOSPC && parameters.policy == 1;
        let huge = total > WRITE_MOST + 1;
        let endless = huge && [EMSGSIZE, EINVAL, EFAULT].contains(&error);
        let as_text = match expected(data, parameters) {
            _ if huge => endless,
            Ok(len) => done == len || full && len > 0,
            Err(expected) => error == expected,
        };
        let walk = Walk::new(data, parameters.record_max);
        let as_entries = endless || walk.allows(done, total, parameters);
        let good = match self.writes_binary(slot) {
            Some(true) => as_entries,
            Some(false) => as_text,
            None => as_text || as_entries,
        };
        assert!(good, "a write of {total} bytes: {done}, {walk:?}");
    }
}

/// Whether what was read is in binary form: a frame begins with the size of its header, the text
/// form with a digit.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(&64u16.to_ne_bytes())
}
