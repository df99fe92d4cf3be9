// SPDX-License-Identifier: GPL-2.0

//! Opens named logs, also while they are added and removed.

use super::{node_name, Logs, Table};
use crate::abi::Info;
use crate::calls::{Call, Name, Opening, Slot};
use crate::files::{Known, AUDITED, NAMED};
use crate::perform::result;
use crate::target::{checker, info_of, Target};
use crate::worker::{Children, Thread};
use libc::*;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;

/// Opens a path. Returns the descriptor, or the error number below zero.
fn open_path(path: &str, flags: i32) -> i64 {
    let path = CString::new(path).expect("no zero byte");
    // SAFETY: The path is a NUL-terminated string.
    result(unsafe { libc::open(path.as_ptr(), flags | O_CLOEXEC) }.into())
}

/// Returns the minor number of the node that the file `fd` was opened by.
fn minor_of(fd: i32) -> u32 {
    // SAFETY: A `stat` may be all zeros, and the call writes to `stat`.
    unsafe {
        let mut stat: stat = std::mem::zeroed();
        assert_eq!(fstat(fd, &mut stat), 0, "fstat");
        minor(stat.st_rdev)
    }
}

impl Table {
    /// Returns the tag of the log with this id.
    fn find(&self, id: u64) -> u16 {
        let tag = self.all[..self.count].iter().position(|log| log.id == id);
        tag.expect("a log that was added") as u16
    }
}

impl Logs {
    /// Returns the tag of the log of the file `fd`, which was opened by the node of `name` without
    /// the table's lock.
    fn identify_raced(&self, fd: i32, name: u8) -> u16 {
        let table = self.lock();
        let minor = minor_of(fd);
        let tag = table.find(info_of(fd).log_id);
        let log = *table.log(tag);
        assert_eq!(log.minor, Some(minor), "the number of the node that {log:?} was opened by");
        if log.name != name {
            // The node belonged to a removed log, whose minor number this log has now.
            let all = &table.all[..table.count];
            let had = all.iter().any(|other| other.name == name && other.minor == Some(minor));
            assert!(had, "{} opened {log:?}", node_name(name));
        }
        tag
    }
}

impl Thread {
    /// Returns the index of the named log that a call uses, if that log is open.
    pub fn named_of(&self, call: &Call) -> Option<usize> {
        match *call {
            Call::OpenLog { .. } | Call::Close { .. } => None,
            _ => call.slot().and_then(|slot| slot.checked_sub(NAMED)).map(usize::from),
        }
        .filter(|index| self.named[*index].is_some())
    }

    /// Runs `part` with the named log `index` as the target. [`AUDITED`] then refers to the file of
    /// that log.
    pub fn with_named<T>(&mut self, index: usize, part: impl FnOnce(&mut Self) -> T) -> T {
        let named = self.named[index].take().expect("an open log");
        let default = std::mem::replace(&mut self.target, named);
        self.files.set_audited(NAMED + index as Slot);
        let done = part(self);
        self.files.set_audited(AUDITED);
        self.named[index] = Some(std::mem::replace(&mut self.target, default));
        done
    }

    /// Closes a named log.
    pub fn close_log(&mut self, slot: Slot) -> i64 {
        let index = usize::from(slot - NAMED);
        if self.named[index].is_none() {
            return -i64::from(EBADF);
        }
        self.with_named(index, |thread| {
            let before = thread.info();
            let children = Children::now();
            // SAFETY: The descriptor belongs to this thread.
            assert_eq!(unsafe { close(thread.files.fd(AUDITED)) }, 0);
            thread.files.set(AUDITED, Known::Closed);
            thread.released(&before, children.were_none());
            // SAFETY: The descriptor belongs to this thread.
            unsafe { close(thread.target.checker) };
        });
        self.named[index] = None;
        0
    }

    /// Opens a named log as the file of `slot`.
    pub fn open_log(&mut self, slot: Slot, name: Name, opening: Opening, flags: i32) -> i64 {
        self.close_log(slot);
        let name = self.round.shared.logs.lock().name(name, true);
        match opening {
            Opening::Racing => self.open_racing(slot, name, flags),
            Opening::Still => self.open_still(slot, name, flags),
            Opening::Number(which) => self.open_number(slot, which, flags),
        }
    }

    /// Opens a log while other threads may add and remove logs.
    fn open_racing(&mut self, slot: Slot, name: u8, flags: i32) -> i64 {
        let path = format!("/dev/{}", node_name(name));
        let fd = open_path(&path, flags);
        if fd < 0 {
            return fd;
        }
        let logs = &self.round.shared.logs;
        let tag = logs.identify_raced(fd as i32, name);
        let table = logs.lock();
        if table.tag(name) == Some(tag) {
            // The oldest record at the time of the open is not known.
            let before = Info::default();
            self.use_log(slot, fd as i32, tag, &table, before, flags);
        } else {
            // The log was removed. The file must still refer to this log.
            assert_eq!(info_of(fd as i32).log_id, table.log(tag).id, "another log by an old file");
            // SAFETY: The descriptor belongs to this thread.
            unsafe { close(fd as i32) };
        }
        0
    }

    /// Returns whether this thread has the permission to open a node of this mode. Its group is 0.
    fn may_open(&self, mode: u32, flags: i32) -> bool {
        let needed = if flags & O_ACCMODE == O_RDWR { 0o60 } else { 0o40 };
        !self.nobody || mode & needed == needed
    }

    /// Opens a log while no log is added or removed.
    fn open_still(&mut self, slot: Slot, name: u8, flags: i32) -> i64 {
        let mut table = self.round.shared.logs.lock();
        let path = format!("/dev/{}", node_name(name));
        let Some(tag) = table.tag(name) else {
            let fd = open_path(&path, flags);
            assert_eq!(fd, -i64::from(ENOENT), "open {path}, which was removed");
            return fd;
        };
        let may = self.may_open(table.log(tag).mode, flags);
        let before =
            if may { table.identify(tag).map(|file| info_of(file.as_raw_fd())) } else { None };
        let fd = open_path(&path, flags);
        if !may {
            assert_eq!(fd, -i64::from(EACCES), "open {path} as nobody, of {:?}", table.log(tag));
            return fd;
        }
        assert!(fd >= 0, "open {path}: {fd}, of {:?}", table.log(tag));
        let before = before.expect("a reader");
        self.use_log(slot, fd as i32, tag, &table, before, flags);
        0
    }

    /// Makes a node for the minor number of a log of this round, which may have been removed, and
    /// opens it while no log is added or removed.
    fn open_number(&mut self, slot: Slot, which: u16, flags: i32) -> i64 {
        if self.nobody {
            return 0;
        }
        let mut table = self.round.shared.logs.lock();
        let minor = table.all[usize::from(which) % table.count].minor.expect("a number");
        let tag = table.tags().find(|tag| table.log(*tag).minor == Some(minor));
        let mode = tag.map_or(0o600, |tag| table.log(tag).mode);
        let path = format!("/dev/fuzz-{}", self.lane);
        let node = CString::new(path.as_str()).expect("no zero byte");
        // SAFETY: The path is a NUL-terminated string.
        unsafe {
            unlink(node.as_ptr());
            assert_eq!(mknod(node.as_ptr(), S_IFCHR, makedev(10, minor)), 0, "mknod");
            assert_eq!(chmod(node.as_ptr(), mode), 0, "chmod");
        }
        let before = tag.and_then(|tag| table.identify(tag)).map(|file| info_of(file.as_raw_fd()));
        let fd = open_path(&path, flags);
        // SAFETY: The path is a NUL-terminated string.
        unsafe { unlink(node.as_ptr()) };
        let Some(tag) = tag else {
            assert_eq!(fd, -i64::from(ENODEV), "the number {minor}, which no log has");
            return fd;
        };
        assert!(fd >= 0, "the number {minor}: {fd}, of {:?}", table.log(tag));
        if tag == 0 {
            assert_eq!(info_of(fd as i32).log_id, table.log(0).id, "the number of the default log");
            // SAFETY: The descriptor belongs to this thread.
            unsafe { close(fd as i32) };
            return 0;
        }
        self.use_log(slot, fd as i32, tag, &table, before.expect("a reader"), flags);
        0
    }

    /// Makes `fd` the file of `slot`. It is a file of the log `tag`, which exists because `table`
    /// is locked. `before`: the state of the log before the file was opened.
    fn use_log(&mut self, slot: Slot, fd: i32, tag: u16, table: &Table, before: Info, flags: i32) {
        let log = table.log(tag);
        let parameters = log.parameters(&self.round.parameters);
        let checker = checker(&format!("/dev/{}", node_name(log.name)));
        let opened = info_of(fd);
        assert_eq!(opened.log_id, log.id, "{opened:?} of {log:?}");
        let logs = &self.round.shared.logs;
        logs.opened.fetch_add(1, Relaxed);
        let writes = &logs.writes[usize::from(tag)];
        let mut target = Target::new(tag, parameters, writes, checker);
        target.opened(&before, &opened, flags, self.nobody);
        self.named[usize::from(slot - NAMED)] = Some(target);
        self.files.put(slot, fd, Known::Open(flags));
    }
}
