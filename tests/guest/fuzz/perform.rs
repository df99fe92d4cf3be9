// SPDX-License-Identifier: GPL-2.0

//! Performs calls other than reads, writes and ioctls.

use crate::abi::Info;
use crate::arena::Area;
use crate::audit::FdInfo;
use crate::calls::*;
use crate::files::{Known, AUDITED, NAMED};
use crate::logs::change::Writing;
use crate::module;
use crate::seal::NOBODY;
use crate::worker::{Children, Thread};
use libc::*;
use nix::errno::Errno;
use std::ffi::CString;
use std::sync::atomic::Ordering;

/// Returns the return value of a system call, or its error number below zero.
pub fn result(returned: i64) -> i64 {
    if returned == -1 {
        -i64::from(Errno::last_raw())
    } else {
        returned
    }
}

fn outcome(done: Result<(), Errno>) -> i64 {
    done.map_or_else(|error| -(error as i64), |()| 0)
}

impl Thread {
    /// Performs one call, and checks everything except its error.
    pub fn perform(&mut self, call: &Call) -> i64 {
        let fd = |slot| self.files.fd(slot);
        // SAFETY: Every address is that of a place of the arena or of a local variable. The kernel
        // checks bad addresses. No call changes memory that other code uses.
        unsafe {
            match *call {
                Call::Open { slot, path, flags } => self.open(slot, path, flags),
                Call::Close { slot } if slot >= NAMED => self.close_log(slot),
                Call::Close { slot } => {
                    let closed = result(close(fd(slot)).into());
                    self.files.set(slot, Known::Closed);
                    closed
                }
                Call::Dup { from, to, how } => self.dup(from, to, how),
                Call::Read { slot, how, memory, position, flags } => {
                    self.read(slot, how, &memory, position, flags)
                }
                Call::Write { slot, how, memory, content, position, flags } => {
                    self.write(slot, how, &memory, content, position, flags)
                }
                Call::Seek { slot, offset, whence } => self.seek(slot, offset, whence),
                Call::Ioctl { slot, command, argument, value } => {
                    self.ioctl(slot, command, argument, value)
                }
                Call::Wait { slots, events, how, timeout_ms } => {
                    self.wait(slots, events, how, timeout_ms)
                }
                Call::EpollChange { slot, operation, events, argument } => {
                    let mut event = epoll_event { events, u64: slot.into() };
                    let event = match argument {
                        Place::Good => &raw mut event,
                        place => self.arena.address(place, Area::Read, 0) as *mut epoll_event,
                    };
                    result(syscall(SYS_epoll_ctl, self.epoll, operation, fd(slot), event))
                }
                Call::EpollWait { most, timeout_ms } => {
                    let mut events = [epoll_event { events: 0, u64: 0 }; 8];
                    let count = result(
                        epoll_wait(self.epoll, events.as_mut_ptr(), most, timeout_ms).into(),
                    );
                    for event in events.iter().take(count.max(0) as usize) {
                        let bits = event.events;
                        assert!(bits != 0 && bits & !0x14f == 0, "epoll reports {bits:#x}");
                    }
                    count
                }
                Call::Map { slot, len, protection, flags, offset } => {
                    let at = mmap(std::ptr::null_mut(), len, protection, flags, fd(slot), offset);
                    assert_eq!(at, MAP_FAILED, "the device was mapped");
                    result(-1)
                }
                Call::Transfer { slot, how, len, flags } => {
                    self.transfer(fd(slot), how, len, flags)
                }
                Call::Control { slot, command, argument } => self.control(slot, command, argument),
                Call::Lock { slot, command, kind, start, len } => {
                    let mut lock: flock = std::mem::zeroed();
                    (lock.l_type, lock.l_whence) = (kind, SEEK_SET as i16);
                    (lock.l_start, lock.l_len) = (start, len);
                    result(fcntl(fd(slot), command, &mut lock).into())
                }
                Call::Attribute { slot, what, first, second, flags } => {
                    self.attribute(slot, what, first, second, flags)
                }
                Call::Send { slot, across } => self.send(fd(slot), across),
                Call::Receive { slot, across } => self.receive(slot, across),
                Call::Uring { slot, ref operations } => self.uring(slot, operations),
                Call::User { real, effective } => {
                    // A system call changes the ids of this thread only; the function of the C
                    // library changes all threads. The saved user id remains 0.
                    let user = |nobody| if nobody { i64::from(NOBODY) } else { 0 };
                    let (now, then) = (user(real), user(effective));
                    let changed = result(syscall(SYS_setresuid, now, then, -1i64));
                    (self.real_nobody, self.nobody) = (real, effective);
                    changed
                }
                Call::Protect { protection } => {
                    self.arena.shift(protection);
                    0
                }
                Call::Signal { restart } => {
                    let signal = if restart { SIGUSR1 } else { SIGALRM };
                    for peer in self.peers {
                        let tid = peer.load(Ordering::SeqCst);
                        // In a child, `peers` contains threads of the parent.
                        if tid != 0 && tid != gettid() && !self.child {
                            syscall(SYS_tgkill, getpid(), tid, signal);
                        }
                    }
                    0
                }
                Call::Fork { seed, calls, kill_after_us } => {
                    self.fork(seed, calls, kill_after_us);
                    0
                }
                Call::OpenLog { slot, name, opening, flags } => {
                    self.open_log(slot, name, opening, flags)
                }
                Call::Change { change, around, address, fail, as_root } => {
                    let bad_address = match address {
                        Place::Good => None,
                        place => Some(self.arena.address(place, Area::Read, 0)),
                    };
                    let writing = Writing { around, bad_address, fail, nobody: false, last: false };
                    self.change_logs(change, writing, as_root)
                }
                Call::Load { unload: true } => outcome(module::unload()),
                Call::Load { unload: false } => outcome(module::load_again()),
            }
        }
    }

    fn open(&mut self, slot: Slot, path: Path, flags: i32) -> i64 {
        let path = match path {
            Path::Node => CString::from(c"/dev/umsg"),
            Path::Link(slot) => {
                CString::new(format!("/proc/self/fd/{}", self.files.fd(slot))).expect("no zero")
            }
        };
        let before = self.info();
        // SAFETY: The path is a NUL-terminated string.
        let fd = result(unsafe { libc::open(path.as_ptr(), flags | O_CLOEXEC, 0o600) }.into());
        if fd >= 0 {
            let opened = self.info();
            let children = Children::now();
            self.files.put(slot, fd as i32, Known::Open(flags));
            if slot == AUDITED {
                self.released(&opened, children.were_none());
                self.target.opened(&before, &opened, flags, self.nobody);
            }
            return 0;
        }
        fd
    }

    fn dup(&mut self, from: Slot, to: Slot, how: u8) -> i64 {
        let fd = self.files.fd(from);
        let known = self.files.known(from);
        // SAFETY: The calls take only numbers.
        let new = result(
            unsafe {
                match how {
                    0 => libc::dup(fd),
                    1 => fcntl(fd, F_DUPFD_CLOEXEC, 20),
                    2 => fcntl(fd, F_DUPFD, 0),
                    // Duplicate to the number of the slot, which may be `fd` itself.
                    _ => {
                        let new = dup2(fd, self.files.fd(to));
                        if new >= 0 {
                            self.files.set(to, known);
                            return 0;
                        }
                        new
                    }
                }
            }
            .into(),
        );
        if new >= 0 {
            self.files.put(to, new as i32, known);
            return 0;
        }
        new
    }

    fn seek(&mut self, slot: Slot, offset: i64, whence: i32) -> i64 {
        let before = (slot == AUDITED).then(|| self.info());
        // SAFETY: The call takes only numbers.
        let at = result(unsafe { lseek(self.files.fd(slot), offset, whence) });
        let place: fn(&Info) -> u64 = match (offset, whence) {
            (0, SEEK_SET) => |info| info.oldest_seq,
            (0, SEEK_DATA) => |info| info.cleared_seq,
            (0, SEEK_END) => |info| info.next_seq,
            _ => {
                assert!(at < 0, "an invalid seek returned {at}");
                return at;
            }
        };
        assert!(at <= 0, "a seek returned {at}");
        assert!(at == 0 || self.files.known(slot).is_file() != Some(true), "a good seek: {at}");
        if let (Some(before), 0) = (before, at) {
            let after = self.info();
            self.target.audit.moved(place(&before), place(&after), 0);
        }
        at
    }

    fn transfer(&self, fd: i32, how: Transfer, len: usize, flags: u32) -> i64 {
        let null = std::ptr::null_mut();
        let ([from, to], plain) = (self.pipe, self.plain);
        // SAFETY: The calls take only numbers and null pointers.
        let moved = result(unsafe {
            match how {
                Transfer::SpliceIn => splice(from, null, fd, null, len, flags) as i64,
                Transfer::SpliceOut => splice(fd, null, to, null, len, flags) as i64,
                Transfer::Tee => tee(fd, to, len, flags) as i64,
                Transfer::SendfileIn => sendfile(fd, plain, null.cast(), len) as i64,
                Transfer::SendfileOut => sendfile(to, fd, null.cast(), len) as i64,
                Transfer::CopyIn => copy_file_range(plain, null, fd, null, len, flags) as i64,
                Transfer::CopyOut => copy_file_range(fd, null, plain, null, len, flags) as i64,
            }
        });
        assert!(moved <= 0, "{how:?} moved {moved} bytes");
        moved
    }

    fn control(&mut self, slot: Slot, command: i32, argument: i64) -> i64 {
        // SAFETY: None of these commands takes an address.
        let done = result(unsafe { fcntl(self.files.fd(slot), command, argument) }.into());
        match command {
            F_DUPFD | F_DUPFD_CLOEXEC if done >= 0 => {
                // SAFETY: The descriptor is new and belongs to this thread.
                unsafe { close(done as i32) };
                return 0;
            }
            F_SETFL if slot == AUDITED && done == 0 => {
                self.target.audit.nonblocking = argument as i32 & O_NONBLOCK != 0;
            }
            _ => {}
        }
        done
    }

    fn attribute(
        &mut self,
        slot: Slot,
        what: Attribute,
        first: i64,
        second: i64,
        flags: i32,
    ) -> i64 {
        let fd = self.files.fd(slot);
        // SAFETY: The calls take numbers and the address of a local variable.
        result(unsafe {
            match what {
                Attribute::Stat => {
                    let mut stat: stat = std::mem::zeroed();
                    let done = fstat(fd, &mut stat);
                    // devtmpfs clears the permissions of the node of a removed log.
                    let removed = self.target.tag != 0 && stat.st_mode == S_IFCHR;
                    if done == 0 && !removed {
                        assert_eq!(stat.st_mode, S_IFCHR | self.target.parameters.mode, "the mode");
                    }
                    done.into()
                }
                Attribute::Sync => fsync(fd).into(),
                Attribute::DataSync => fdatasync(fd).into(),
                Attribute::Truncate => ftruncate(fd, first).into(),
                Attribute::Allocate => fallocate(fd, flags, first, second).into(),
                Attribute::ReadAhead => readahead(fd, first, second as usize) as i64,
                // `posix_fadvise` returns the error number.
                Attribute::Advise => return -i64::from(posix_fadvise(fd, first, second, flags)),
                Attribute::SyncRange => sync_file_range(fd, first, second, flags as u32).into(),
                Attribute::Flock => libc::flock(fd, flags & 15).into(),
                Attribute::FdInfo => return self.fdinfo(slot),
            }
        })
    }

    /// Reads the fdinfo of the file of `slot`, and checks it.
    pub fn fdinfo(&mut self, slot: Slot) -> i64 {
        let before = self.info();
        let path = format!("/proc/self/fdinfo/{}", self.files.fd(slot));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return -i64::from(error.raw_os_error().unwrap_or(ENOTRECOVERABLE)),
        };
        let after = self.info();
        assert!(text.starts_with("pos:\t0\n"), "{text:?}");
        let fdinfo = FdInfo::parse(&text);
        if let Some(known) = self.files.known(slot).is_file() {
            assert_eq!(fdinfo.is_some(), known, "{text:?}");
        }
        if let Some(fdinfo) = fdinfo {
            assert!(fdinfo.seq <= after.next_seq, "{fdinfo:?}, but {after:?}");
            assert!(fdinfo.lag <= after.next_seq - before.oldest_seq, "{fdinfo:?}, {after:?}");
            if slot == AUDITED {
                self.target.audit.check_fdinfo(&fdinfo, &before, &after);
            }
        }
        0
    }
}
