// SPDX-License-Identifier: GPL-2.0

//! Draws calls other than reads and writes.

use super::Draw;
use crate::calls::*;
use crate::files::AUDITED;
use crate::seal;

impl Draw {
    pub(super) fn open_flags(&mut self) -> i32 {
        let access =
            self.of(&[libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR, libc::O_RDWR, 3]);
        // Few files are blocking, because a call that blocks lasts until the next signal.
        let nonblocking = if self.one_in(6) { 0 } else { libc::O_NONBLOCK };
        let wild = match self.rng.u32(..12) {
            0 => self.of(&[
                libc::O_PATH,
                libc::O_DIRECT,
                libc::O_DIRECTORY,
                libc::O_TMPFILE,
                libc::O_NOFOLLOW,
                libc::O_NOATIME,
                libc::O_TRUNC,
                libc::O_APPEND,
                libc::O_SYNC,
                libc::O_CREAT,
                libc::O_CREAT | libc::O_EXCL,
                libc::O_ASYNC,
            ]),
            // All flags except some whose combinations can open something other than a file of the
            // device. For example, O_PATH with O_NOFOLLOW opens a symbolic link itself.
            1 => {
                let not = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CREAT | 3;
                self.rng.i32(..) & !not
            }
            _ => 0,
        };
        access | nonblocking | wild
    }

    pub(super) fn open(&mut self) -> Call {
        if !self.child && self.one_in(8) {
            let flags = if self.one_in(8) { 0 } else { libc::O_NONBLOCK };
            let access = self.of(&[libc::O_RDONLY, libc::O_RDWR]);
            return Call::Open { slot: AUDITED, path: Path::Node, flags: access | flags };
        }
        let path = if self.one_in(4) { Path::Link(self.slot()) } else { Path::Node };
        Call::Open { slot: self.own(), path, flags: self.open_flags() }
    }

    pub(super) fn ioctl(&mut self) -> Call {
        let slot = self.any();
        let command = match self.rng.u32(..32) {
            0..=2 => INFO,
            3..=4 => CLEAR,
            5 => GET_STYLE,
            6..=8 => SET_STYLE,
            9 => GET_OPTIONS,
            10..=13 => SET_OPTIONS,
            14 => GET_PRIORITY,
            15..=16 => SET_PRIORITY,
            17..=19 => SEEK_SEQ,
            20..=21 => SEEK_TIME,
            22..=25 => NEXT_SIZE,
            // Commands of the device with another size, direction, number or type.
            26 => self.of(&COMMANDS) ^ (1 << self.rng.u32(16..30)),
            27 => self.of(&COMMANDS) ^ (1 << self.rng.u32(30..32)),
            28 => (INFO & !0xff) | self.rng.u32(..256),
            29 => self.of(&COMMANDS) ^ (1 << self.rng.u32(8..16)),
            // FIONREAD, FIOASYNC, FIOQSIZE, which the kernel handles for every file.
            30 => self.of(&[0x541b, 0x5452, 0x5460]),
            _ => self.rng.u32(..),
        };
        // Replace the types of commands that the kernel handles for every file system.
        let command = match (command >> 8) & 0xff {
            0x12 | 0x15 | 0x58 | 0x66 | 0x94 => command ^ 0xff00,
            _ => command,
        };
        let argument = match self.one_in(8) {
            // Other places can hold any priority, and records with it would look wrong.
            true if command == SET_PRIORITY => Place::Null,
            true => self.bad_place(),
            false => Place::Good,
        };
        let value = match command {
            SET_PRIORITY => self.priority(),
            SET_OPTIONS => self.options(),
            SET_STYLE => self.style(),
            _ => self.value(),
        };
        Call::Ioctl { slot, command, argument, value }
    }

    /// Draws options to set. They are often 0, so that many files use the text format.
    pub(super) fn options(&mut self) -> Value {
        Value::Exact(match self.rng.u32(..16) {
            0..=4 => 0,
            5..=13 => self.rng.u64(..5),
            14 => 1 << self.rng.u32(..32),
            _ => self.rng.u64(..),
        })
    }

    /// Draws a style to set.
    pub(super) fn style(&mut self) -> Value {
        Value::Exact(match self.rng.u32(..16) {
            0..=6 => 0,
            7..=9 => 1,
            10..=12 => 2,
            13 => self.of(&[3, 4, 0x100, u64::MAX]),
            14 => 1 << self.rng.u32(..32),
            _ => self.rng.u64(..),
        })
    }

    /// Draws a priority to set. The valid ones are in [`seal::DEFAULTS`].
    fn priority(&mut self) -> Value {
        let [info, other] = seal::DEFAULTS;
        Value::Exact(match self.rng.u32(..8) {
            0..=2 => info.into(),
            // Facility 0 becomes 1.
            3 => u64::from(info) - 8,
            4..=5 => other.into(),
            6 => self.of(&[2048, 0x1_0000 | u64::from(other), u64::MAX]),
            _ => 1 << self.rng.u32(11..32),
        })
    }

    /// Draws a sequence number or a time to seek to.
    pub(super) fn value(&mut self) -> Value {
        let near = if self.rng.bool() { self.rng.i32(-3..4) } else { self.rng.i32(-3000..300) };
        match self.rng.u32(..16) {
            0 => Value::Exact(0),
            1 => Value::Exact(self.of(&[1, u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32])),
            2 => Value::Exact(self.rng.u64(..)),
            3..=6 => Value::Oldest(near),
            7..=10 => Value::Next(near),
            11 | 12 => Value::Seen(self.rng.u8(..), near),
            _ => Value::Stored(self.rng.u16(..), self.of(&[-1, 0, 0, 1])),
        }
    }

    pub(super) fn wait(&mut self) -> Call {
        let slots = [self.any(), self.any(), self.other()];
        let events = if self.one_in(4) { self.rng.i16(..) } else { 0x3ff };
        let how = self.of(&[Waiting::Poll, Waiting::Poll, Waiting::Ppoll, Waiting::Select]);
        Call::Wait { slots, events, how, timeout_ms: self.of(&[0, 0, 0, 0, 0, 0, 1, 5]) }
    }

    pub(super) fn epoll_change(&mut self) -> Call {
        let flags = match self.rng.u32(..4) {
            0 => self.of(&[
                libc::EPOLLET,
                libc::EPOLLONESHOT,
                libc::EPOLLEXCLUSIVE,
                libc::EPOLLWAKEUP,
            ]) as u32,
            1 => self.rng.u32(..),
            _ => 0,
        };
        let events = flags | self.of(&[1, 2, 4, 3, 7, 0x3ff, 0]);
        let operation = self.of(&[1, 1, 1, 2, 2, 3, 3, 0, 4, -1]);
        let argument = if self.one_in(12) { self.bad_place() } else { Place::Good };
        Call::EpollChange { slot: self.any(), operation, events, argument }
    }

    pub(super) fn map(&mut self) -> Call {
        let flags = self.of(&[
            libc::MAP_SHARED,
            libc::MAP_PRIVATE,
            libc::MAP_SHARED_VALIDATE,
            libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC,
            libc::MAP_SHARED | libc::MAP_POPULATE,
            libc::MAP_PRIVATE | libc::MAP_LOCKED,
            libc::MAP_SHARED | libc::MAP_HUGETLB,
            0,
        ]);
        let len = self.of(&[0, 1, 4096, 65536, 1 << 30, usize::MAX, 1 << 46]);
        let offset = self.of(&[0, 0, 4096, 1, -4096, i64::MAX & !4095]);
        Call::Map { slot: self.any(), len, protection: self.rng.i32(0..16), flags, offset }
    }

    pub(super) fn transfer(&mut self) -> Call {
        use Transfer::*;
        let how = self.of(&[SpliceIn, SpliceOut, Tee, SendfileIn, SendfileOut, CopyIn, CopyOut]);
        let flags = if self.one_in(3) { self.rng.u32(..) } else { self.rng.u32(..16) };
        Call::Transfer { slot: self.any(), how, len: self.size(), flags }
    }

    pub(super) fn control(&mut self) -> Call {
        let command = self.of(&[
            libc::F_DUPFD,
            libc::F_DUPFD_CLOEXEC,
            libc::F_GETFD,
            libc::F_SETFD,
            libc::F_GETFL,
            libc::F_SETFL,
            libc::F_SETFL,
            libc::F_SETFL,
            F_GETSIG,
            F_SETSIG,
            libc::F_GETOWN,
            libc::F_SETOWN,
            libc::F_SETLEASE,
            libc::F_GETLEASE,
            libc::F_NOTIFY,
            libc::F_SETPIPE_SZ,
            libc::F_GETPIPE_SZ,
            libc::F_ADD_SEALS,
            libc::F_GET_SEALS,
            -1,
            0x4444,
        ]);
        let argument = match command {
            // Few files are blocking.
            libc::F_SETFL => {
                let wild = if self.one_in(3) { self.rng.i64(0..0x10_0000) } else { 0 };
                let block = self.one_in(6);
                (wild & !i64::from(libc::O_NONBLOCK))
                    | if block { 0 } else { i64::from(libc::O_NONBLOCK) }
            }
            libc::F_SETOWN => 0,
            _ => self.of(&[0, 1, 2, 3, 10, 31, 64, 65, 1 << 20, -1, i64::MAX]),
        };
        Call::Control { slot: self.any(), command, argument }
    }

    pub(super) fn lock(&mut self) -> Call {
        let command = self.of(&[
            libc::F_GETLK,
            libc::F_SETLK,
            libc::F_SETLKW,
            libc::F_OFD_GETLK,
            libc::F_OFD_SETLK,
            libc::F_OFD_SETLKW,
        ]);
        let kind = self.of(&[libc::F_RDLCK, libc::F_WRLCK, libc::F_UNLCK, libc::F_UNLCK, 3]) as i16;
        let start = self.of(&[0, 1, 100, -1, i64::MAX]);
        Call::Lock { slot: self.other(), command, kind, start, len: self.of(&[0, 1, -1, i64::MAX]) }
    }

    pub(super) fn attribute(&mut self) -> Call {
        use Attribute::*;
        let what = self.of(&[
            Stat, Sync, DataSync, Truncate, Allocate, ReadAhead, Advise, SyncRange, Flock, FdInfo,
            FdInfo, FdInfo, FdInfo, FdInfo, FdInfo,
        ]);
        let first = self.of(&[0, 0, 1, 4096, -1, i64::MAX]);
        let second = self.of(&[0, 1, 4096, -1, i64::MAX]);
        let flags = if self.one_in(3) { self.rng.i32(..) } else { self.rng.i32(0..16) };
        Call::Attribute { slot: self.any(), what, first, second, flags }
    }

    pub(super) fn uring(&mut self) -> Call {
        let mut operation = || match self.rng.u32(..6) {
            0 | 1 => Ring::Read { room: self.room().min(1 << 20) as u32 },
            2 | 3 => {
                let (content, len) = self.content_and_size();
                Ring::Write { len: len.min(9000) as u16, content }
            }
            4 => Ring::Poll { events: self.of(&[1, 2, 4, 7]), multi: self.rng.bool() },
            _ => Ring::ReadMulti,
        };
        let operations = [operation(), operation()];
        Call::Uring { slot: self.other(), operations }
    }
}

// Constants of `fcntl.h` that the crate `libc` does not have for every target.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
