// SPDX-License-Identifier: GPL-2.0

//! Performs writes, and checks their results.

use crate::abi::{BINARY_WRITE, LINES};
use crate::arena::Area;
use crate::audit::expected;
use crate::calls::*;
use crate::entries::{self, Walk};
use crate::files::AUDITED;
use crate::ioctl::now_ns;
use crate::lines;
use crate::seal::{line_max, Author, Taken, AT_ONCE};
use crate::stream::WrittenBy;
use crate::tally::{self, Tally, WriteFormat, Written};
use crate::transfer::{Request, WRITE_MOST};
use crate::worker::Thread;
use libc::*;
use std::sync::atomic::Ordering::Relaxed;

impl Thread {
    /// Returns how a write to the file of `slot` is stored. This is only known for the audited
    /// file, because no other thread shares it.
    pub fn write_format(&self, slot: Slot) -> WriteFormat {
        if slot == AUDITED {
            WriteFormat {
                binary: Some(self.target.audit.has(BINARY_WRITE)),
                style: Some(self.target.audit.style),
            }
        } else {
            WriteFormat::UNKNOWN
        }
    }

    /// Returns this thread as the author of writes to the file of `slot`.
    pub fn author(&self, slot: Slot) -> Author {
        let opener = match slot {
            AUDITED => Some(self.target.opener_nobody),
            _ => self.files.is_common(slot).then_some(false),
        };
        // SAFETY: The calls take no arguments.
        let (pid, tid) = unsafe { (getpid() as u32, gettid() as u32) };
        Author { tid, pid, nobody: self.real_nobody, opener, log: self.target.tag }
    }

    /// Fills `data`, all bytes of one write, with `content`. `sealed`: the module gets `data`
    /// unchanged, so that texts can be sealed.
    pub fn fill(
        &self,
        data: &mut [u8],
        slot: Slot,
        content: Content,
        author: Author,
        sealed: bool,
    ) {
        let write_format = self.write_format(slot);
        if let Content::Entries { seed } = content {
            let (record_max, certain) =
                (self.target.parameters.record_max, write_format.binary == Some(true));
            entries::fill(data, seed, author, record_max, (sealed, certain));
            if write_format.binary.is_none() {
                entries::tell_apart(data, record_max);
            }
        } else {
            let taken = match (write_format.may_be_record(), write_format.may_be_lines()) {
                (true, false) => Taken::Record,
                (false, true) => Taken::Lines,
                _ => Taken::Unknown,
            };
            lines::fill(data, content, author, taken, sealed);
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
        let author = self.author(slot);
        // `known`: the bytes to fill. `behind`: the rest of the area.
        let (known, behind) =
            self.arena.area(Area::Write)[memory.offset.into()..].split_at_mut(filled);
        self.fill(known, slot, content, author, !mangled);
        if memory.len > filled {
            // Clear the bytes of earlier writes, which would become a part of this one.
            behind.fill(0);
        }
        let request = self.request(how, memory, Area::Write, at, flags);
        let before = self.info();
        let data = &self.arena.area(Area::Write)[memory.offset.into()..];
        let data = data[..memory.len.min(data.len())].to_vec();
        let mixed = mangled || matches!(how, How::VectorFrom(_));
        let most = tally::most(&data, mixed, self.write_format(slot), &self.target.parameters);
        let pending = if slot == AUDITED { self.target.pending } else { Tally::default() };
        let open = self.target.writes.begin(most, pending);
        let from_ns = now_ns();
        let done = self.submit(self.files.fd(slot), true, how, &request.segments.list, at, flags);
        let by = WrittenBy { nobody: self.real_nobody, from_ns, to_ns: now_ns() };

        if done > 0 {
            self.check_taken(slot, how, content, &request, done as usize);
        }
        let gathered = mangled.then(|| self.taken(how, &request, done)).flatten();
        let (given, all, total) = match (how, mangled) {
            (How::VectorFrom(_), _) => (None, false, usize::MAX),
            (_, true) => (gathered.as_deref(), false, request.given(how)),
            _ => (Some(&data[..]), true, memory.len),
        };
        let written = Written { done, data: given, all, total };
        let tally = if slot == AUDITED {
            self.tally_audited(&written, by, &before)
        } else {
            let (write_format, parameters) = (self.write_format(slot), self.target.parameters);
            Tally::of(&written, write_format, &parameters, || self.stored_since(&before, by, None))
        };
        self.target.writes.end(open, tally);
        self.count_entries(content, &tally);
        if request.plain {
            self.check_write(slot, done, &data, memory.len);
        }
        done
    }

    /// Returns the bytes that a write with a bad segment consumed; `None` if they are not known.
    fn taken(&self, how: How, request: &Request, done: i64) -> Option<Vec<u8>> {
        let known = done > 0 && !matches!(how, How::VectorFrom(_));
        known.then(|| self.arena.gather(&request.segments, done as usize)).flatten()
    }

    /// Checks a write that consumed `done` bytes.
    fn check_taken(&self, slot: Slot, how: How, content: Content, request: &Request, done: usize) {
        assert_ne!(self.files.known(slot).may_write(), Some(false), "not open for writing");
        let segments = &request.segments;
        let unclear = matches!(how, How::VectorFrom(_) | How::Count(_));
        let bad = segments.bad.filter(|_| !unclear);
        let unreadable = [Place::Null, Place::Low, Place::NonCanonical, Place::Kernel];
        let reached = done > segments.before_bad;
        let stored = reached && bad.is_some_and(|place| unreadable.contains(&place));
        assert!(!stored, "stored from {bad:?}");
        if matches!(content, Content::Entries { .. }) {
            return;
        }
        let (parameters, write_format) = (&self.target.parameters, self.write_format(slot));
        let all = segments.total == Some(done);
        let one = done <= line_max(parameters.record_max) && all;
        // A write of lines ends early if the log is full, or between two parts because of a signal
        // or a bad address.
        let lines = all || parameters.policy == 1 || done % AT_ONCE == 0;
        let good = write_format.may_be_record() && one || write_format.may_be_lines() && lines;
        assert!(
            unclear || good,
            "{done} of {:?} bytes were taken: {write_format:?}",
            segments.total
        );
    }

    /// Checks the result `done` of a write of `total` bytes with good arguments. `data`: its bytes,
    /// up to the end of the arena's area.
    fn check_write(&self, slot: Slot, done: i64, data: &[u8], total: usize) {
        let error = if done < 0 { -done as i32 } else { 0 };
        match self.files.known(slot).may_write() {
            // The kernel checks some arguments before the access mode.
            Some(false) => {
                assert!([EBADF, EFAULT, EINVAL].contains(&error), "not open for writing: {done}");
                return;
            }
            None if error == EBADF => return,
            _ => {}
        }
        let (parameters, write_format) = (&self.target.parameters, self.write_format(slot));
        // The log may have no space for this write, or for the partial line before it.
        let full = error == ENOSPC && parameters.policy == 1 && total > 0;
        let huge = total > WRITE_MOST + 1;
        let endless = huge && [EMSGSIZE, EINVAL, EFAULT].contains(&error);
        let as_record = match expected(data, parameters) {
            _ if huge => endless,
            Ok(len) => done == len,
            Err(expected) => error == expected,
        };
        let taken = done.max(0) as usize;
        let parts = total > AT_ONCE && taken > 0 && taken % AT_ONCE == 0;
        let as_lines = match parameters.policy {
            _ if error == EFAULT => huge,
            1 => done == total as i64 || taken > 0 && taken < total,
            _ => done == total as i64 || parts,
        };
        let walk = Walk::new(data, parameters.record_max);
        let as_entries = endless || walk.allows(done, total, parameters);
        let good = full
            || write_format.may_be_record() && as_record
            || write_format.may_be_lines() && as_lines
            || write_format.may_be_entries() && as_entries;
        assert!(good, "a write of {total} bytes: {done}, {write_format:?}, {walk:?}");
        if full && slot == AUDITED && write_format.style != Some(LINES) {
            // The log rejected either a record of this write or the partial line that must be
            // stored before it.
            let nothing = self.target.stream.as_ref().is_some_and(|stream| stream.is_empty());
            let first = expected(data, parameters).is_ok() || !write_format.may_be_record();
            assert!(first || !nothing, "ENOSPC for {total} bytes that are no record");
        }
    }

    /// Counts the records that a write of entries stored, for the summary.
    pub fn count_entries(&self, content: Content, tally: &Tally) {
        if matches!(content, Content::Entries { .. }) {
            self.round.shared.entries_stored.fetch_add(tally.stored, Relaxed);
        }
    }
}
