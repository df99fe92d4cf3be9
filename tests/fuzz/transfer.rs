// SPDX-License-Identifier: GPL-2.0

//! Performs reads and writes, and checks what came of them.

use crate::arena::{Area, Pieces};
use crate::audit::expected;
use crate::calls::*;
use crate::files::AUDITED;
use crate::perform::result;
use crate::seal::{self, Author};
use crate::worker::Thread;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

/// The longest text of a record that the module can be loaded with, and what a write may add to it.
const WRITE_MOST: usize = 65536 + 7;

/// Flags of a read or write that change nothing but whether it waits.
const HARMLESS: i32 = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;

/// Positions from here on, and a length, may be more than the kernel takes together.
const FAR: i64 = 1 << 62;

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
        let before = (audited && memory.offset % 4 == 0).then(|| self.info());
        let len = self.submit(self.files.fd(slot), false, how, &request.pieces.list, at, flags);
        if len > 0 {
            assert_ne!(self.files.known(slot).may_read(), Some(false), "a read of a closed file");
            self.check_read(slot, how, memory, &request, len as usize);
        } else if len == 0 {
            let vector = how.is_vector();
            assert!(vector, "a read returned nothing, which would be the end of the file");
            assert!(!request.plain || memory.len == 0, "a read into {} bytes: 0", memory.len);
        } else if request.plain {
            self.check_refused(slot, -len as i32, request.pieces.total.unwrap_or(0), before);
        }
        if audited && (request.pieces.bad.is_some() || matches!(how, How::VectorFrom(_))) {
            self.arena.poison();
        }
        len
    }

    /// A read has returned `len` bytes.
    fn check_read(&mut self, slot: Slot, how: How, memory: &Memory, request: &Request, len: usize) {
        let bytes = match how {
            How::VectorFrom(_) => None,
            _ => self.arena.gather(&request.pieces, len),
        };
        let record = bytes.map(|bytes| self.seen(&bytes));
        if slot != AUDITED {
            return;
        }
        match record {
            Some(record) => self.audit.received(&record, len),
            None => {
                let after = self.info();
                self.audit.received_unseen(&after);
            }
        }
        if request.pieces.bad.is_none() {
            self.arena.check_poison(memory.offset.into(), len);
        }
    }

    /// A read with good arguments has failed.
    fn check_refused(
        &mut self,
        slot: Slot,
        error: i32,
        room: usize,
        before: Option<crate::abi::Info>,
    ) {
        let known = self.files.known(slot).may_read();
        assert!(
            known != Some(false) || error == EBADF || room > WRITE_MOST,
            "of no reader: {error}"
        );
        match error {
            EINVAL => {
                // No text form is longer: a header, all bytes escaped, the writer.
                let enough = 4 * self.parameters.record_max + 256;
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
        let mangled = memory.bad.is_some() || how.is_vector() && matches!(how, How::Count(_));
        // What is not stored as it is filled in must not look sealed.
        let content = if mangled { Content::Raw { prefix: 7 } } else { content };
        let author = Author { tid: nix::unistd::gettid().as_raw() as u32, nobody: self.nobody };
        let offset = usize::from(memory.offset);
        seal::fill(&mut self.arena.area(Area::Write)[offset..][..filled], content, author);
        let request = self.request(how, memory, Area::Write, at, flags);
        self.round.shared.writes.open.fetch_add(1, Relaxed);
        let done = self.submit(self.files.fd(slot), true, how, &request.pieces.list, at, flags);
        self.wrote(done);
        let total = request.pieces.total;
        if done > 0 {
            assert_ne!(self.files.known(slot).may_write(), Some(false), "a write to no writer");
            let short = matches!(how, How::VectorFrom(_) | How::Count(_));
            assert!(short || Some(done as usize) == total, "{done} of {total:?} bytes were taken");
            assert!(
                done as usize <= self.parameters.record_max + 7,
                "a record of {done} bytes was taken"
            );
            let bad = request.pieces.bad.filter(|_| !short);
            let unreadable = [Place::Null, Place::Low, Place::NonCanonical, Place::Kernel];
            assert!(!bad.is_some_and(|place| unreadable.contains(&place)), "stored from {bad:?}");
        }
        if !request.plain {
            return done;
        }
        let error = if done < 0 { -done as i32 } else { 0 };
        match self.files.known(slot).may_write() {
            // The kernel looks at some arguments first.
            Some(false) => {
                assert!([EBADF, EFAULT, EINVAL].contains(&error), "no writer: {done}");
                return done;
            }
            None if error == EBADF => return done,
            _ => {}
        }
        let full = error == ENOSPC && self.parameters.policy == 1;
        if memory.len > filled {
            assert!([EMSGSIZE, EINVAL, EFAULT].contains(&error), "{} bytes: {done}", memory.len);
            return done;
        }
        let data = &self.arena.area(Area::Write)[offset..][..filled];
        match expected(data, &self.parameters) {
            Ok(len) => assert!(done == len || full && len > 0, "{len} bytes: {done}"),
            Err(expected) => assert_eq!(error, expected, "a write of {filled} bytes: {done}"),
        }
        done
    }
}
