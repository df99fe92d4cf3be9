// SPDX-License-Identifier: GPL-2.0

//! Draws calls from the seed. Nothing here looks at what the kernel returned.

use crate::calls::*;
use crate::files::{AUDITED, LAST, NONE, OWN, SWAPPED};
use crate::module::Parameters;
use fastrand::Rng;

/// The calls of one thread, or of one child of it.
pub struct Draw {
    rng: Rng,
    parameters: Parameters,
    /// A child of a thread: it keeps off the thread's audited file, and has no children.
    child: bool,
    /// Slots that were opened at the beginning.
    opened: Slot,
}

/// The seed of one thread: another for each part of `parts`.
pub fn seed(parts: &[u64]) -> u64 {
    // The steps of SplitMix64.
    parts.iter().fold(0, |sum, part| {
        let mut z = (sum ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

impl Draw {
    pub fn new(seed: u64, parameters: Parameters, child: bool) -> Self {
        // A child has the files of its parent.
        let opened = if child { SWAPPED + 1 } else { 0 };
        Self { rng: Rng::with_seed(seed), parameters, child, opened }
    }

    /// A number that tells two sequences of calls apart.
    pub fn fingerprint(&mut self) -> u64 {
        self.rng.u64(..)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(..choices.len())]
    }

    /// True once in `n`.
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    /// Any slot but the audited one.
    fn other(&mut self) -> Slot {
        if self.one_in(100) {
            NONE
        } else {
            self.rng.u8(OWN..=LAST)
        }
    }

    fn slot(&mut self) -> Slot {
        if !self.child && self.one_in(3) {
            AUDITED
        } else {
            self.other()
        }
    }

    /// A slot that may be opened, closed and replaced.
    fn own(&mut self) -> Slot {
        self.rng.u8(OWN..=SWAPPED)
    }

    /// A count of bytes: mostly about where something changes.
    fn size(&mut self) -> usize {
        let max = self.parameters.record_max;
        let capacity = self.parameters.capacity;
        match self.rng.u32(..20) {
            0..=8 => self.rng.usize(..200),
            9..=13 => self.rng.usize(max.saturating_sub(9)..max + 10),
            14 => self.rng.usize(..max + 8),
            15 => capacity.saturating_sub(56).wrapping_add(self.rng.usize(..16)).wrapping_sub(8),
            16 => capacity.wrapping_add(self.rng.usize(..9)).wrapping_sub(4),
            17 => self.of(&[0, 1, 511, 512, 513, 4095, 4096, 4097]),
            18 => self.rng.usize(..max + 300) + 60,
            _ => self.of(&[
                65536,
                65543,
                65544,
                0x7fff_f000,
                0x7fff_f001,
                0x8000_0000,
                usize::MAX >> 1,
                (usize::MAX >> 1) + 1,
                usize::MAX,
            ]),
        }
    }

    /// A count of bytes for entries: mostly whole ones can have as many.
    fn entries_size(&mut self) -> usize {
        match self.rng.u32(..10) {
            0..=4 => 8 * self.rng.usize(..80),
            5..=6 => 8 * self.rng.usize(..1100),
            7 => 8 * self.rng.usize(..4000),
            8 => self.rng.usize(..20_000),
            _ => self.size(),
        }
    }

    /// What is written, and how many bytes.
    fn content_and_size(&mut self) -> (Content, usize) {
        if self.one_in(3) {
            (Content::Entries { seed: self.rng.u32(..) }, self.entries_size())
        } else {
            (self.content(), self.size())
        }
    }

    /// Room for a read: mostly enough.
    fn room(&mut self) -> usize {
        match self.rng.u32(..10) {
            0 => self.size(),
            // Where what is around the text just fits, or some of the text.
            1 | 4 => self.rng.usize(..250),
            // Where a few frames just fit.
            2 => 8 * self.rng.usize(..40),
            3 => 8 * self.rng.usize(..1000),
            _ => 4 * self.parameters.record_max + 300,
        }
    }

    fn bad_place(&mut self) -> Place {
        match self.rng.u32(..11) {
            0 => Place::End(self.rng.u16(..64)),
            1 => Place::ReadOnly,
            2 | 3 => Place::Shifty,
            4 => Place::Stall,
            5 => Place::Null,
            6 => Place::Low,
            7 => Place::NonCanonical,
            8 => Place::Kernel,
            9 => Place::TaskEnd(self.rng.u8(..16)),
            _ => Place::Max,
        }
    }

    fn memory(&mut self, len: usize) -> Memory {
        let cuts = [self.rng.u16(..300), self.rng.u16(..300), self.rng.u16(..300)];
        let bad = if self.one_in(8) {
            let len = if self.one_in(2) { self.size() } else { self.rng.usize(..100) };
            Some(Bad { place: self.bad_place(), len, at: self.rng.u8(..5) })
        } else {
            None
        };
        Memory { len, offset: self.rng.u16(..4096), cuts, bad }
    }

    fn how(&mut self) -> How {
        match self.rng.u32(..24) {
            0..=9 => How::Plain,
            10..=14 => How::Vector,
            15 | 16 => How::At,
            17 | 18 => How::VectorAt,
            19..=21 => How::VectorAtFlags,
            22 => How::VectorFrom(self.bad_place()),
            _ => How::Count(self.of(&[-1, 0, 1, 1023, 1024, 1025, i32::MAX, i32::MIN])),
        }
    }

    /// Flags of `preadv2` and `pwritev2`.
    fn rw_flags(&mut self) -> i32 {
        match self.rng.u32(..8) {
            0..=3 => libc::RWF_NOWAIT,
            4 => 0,
            5 => 1 << self.rng.u32(..10),
            6 => self.rng.i32(0..0x200),
            _ => self.rng.i32(..),
        }
    }

    fn position(&mut self) -> i64 {
        self.of(&[0, 1, 4096, i64::MAX, i64::MAX - 1, -1, -2, i64::MIN])
    }

    fn content(&mut self) -> Content {
        let kind = self.rng.u32(..8);
        if kind < 2 {
            Content::Raw { prefix: self.rng.u8(..) }
        } else if kind < 4 {
            Content::Lines { seed: self.rng.u32(..) }
        } else {
            let priority = if self.one_in(2) { Some(self.rng.u16(..2048)) } else { None };
            Content::Sealed { priority, newline: self.rng.bool() }
        }
    }

    fn open_flags(&mut self) -> i32 {
        let access =
            self.of(&[libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR, libc::O_RDWR, 3]);
        // A file that blocks costs time: every such call waits for a signal.
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
            // All but O_DIRECTORY: a link to a file that was opened so would not be one of ours.
            // With O_PATH and O_NOFOLLOW it would be the link itself.
            1 => {
                let not = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CREAT | 3;
                self.rng.i32(..) & !not
            }
            _ => 0,
        };
        access | nonblocking | wild
    }

    fn open(&mut self) -> Call {
        if !self.child && self.one_in(8) {
            let flags = if self.one_in(8) { 0 } else { libc::O_NONBLOCK };
            let access = self.of(&[libc::O_RDONLY, libc::O_RDWR]);
            return Call::Open { slot: AUDITED, path: Path::Node, flags: access | flags };
        }
        let path = if self.one_in(4) { Path::Link(self.slot()) } else { Path::Node };
        Call::Open { slot: self.own(), path, flags: self.open_flags() }
    }

    fn ioctl(&mut self) -> Call {
        let slot = self.slot();
        let command = match self.rng.u32(..32) {
            0..=2 => INFO,
            3..=4 => CLEAR,
            5 => GET_STYLE,
            6..=8 => SET_STYLE,
            9 => GET_OPTIONS,
            10..=13 => SET_OPTIONS,
            14..=17 => SEEK_SEQ,
            18..=21 => SEEK_TIME,
            22..=25 => NEXT_SIZE,
            // Near misses: another size, direction, number or type.
            26 => self.of(&COMMANDS) ^ (1 << self.rng.u32(16..30)),
            27 => self.of(&COMMANDS) ^ (1 << self.rng.u32(30..32)),
            28 => (INFO & !0xff) | self.rng.u32(..256),
            29 => self.of(&COMMANDS) ^ (1 << self.rng.u32(8..16)),
            // FIONREAD, FIOASYNC, FIOQSIZE: what every file is asked.
            30 => self.of(&[0x541b, 0x5452, 0x5460]),
            _ => self.rng.u32(..),
        };
        // The types of commands that the kernel answers for every file system.
        let command = match (command >> 8) & 0xff {
            0x12 | 0x15 | 0x58 | 0x66 | 0x94 => command ^ 0xff00,
            _ => command,
        };
        let argument = if self.one_in(8) { self.bad_place() } else { Place::Good };
        let value = match command {
            SET_OPTIONS => self.options(),
            SET_STYLE => self.style(),
            _ => self.value(),
        };
        Call::Ioctl { slot, command, argument, value }
    }

    /// Options to set: files in text form stay many.
    fn options(&mut self) -> Value {
        Value::Exact(match self.rng.u32(..16) {
            0..=4 => 0,
            5..=13 => self.rng.u64(..5),
            14 => 1 << self.rng.u32(..32),
            _ => self.rng.u64(..),
        })
    }

    /// A style to set.
    fn style(&mut self) -> Value {
        Value::Exact(match self.rng.u32(..16) {
            0..=6 => 0,
            7..=9 => 1,
            10..=12 => 2,
            13 => self.of(&[3, 4, 0x100, u64::MAX]),
            14 => 1 << self.rng.u32(..32),
            _ => self.rng.u64(..),
        })
    }

    /// A sequence number or a time to seek to.
    fn value(&mut self) -> Value {
        let near = if self.rng.bool() { self.rng.i32(-3..4) } else { self.rng.i32(-3000..300) };
        match self.rng.u32(..16) {
            0 => Value::Exact(0),
            1 => Value::Exact(self.of(&[1, u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32])),
            2 => Value::Exact(self.rng.u64(..)),
            3..=6 => Value::Oldest(near),
            7..=10 => Value::Next(near),
            _ => Value::Seen(self.rng.u8(..), near),
        }
    }

    fn wait(&mut self) -> Call {
        let slots = [self.slot(), self.slot(), self.other()];
        let events = if self.one_in(4) { self.rng.i16(..) } else { 0x3ff };
        let how = self.of(&[Waiting::Poll, Waiting::Poll, Waiting::Ppoll, Waiting::Select]);
        Call::Wait { slots, events, how, timeout_ms: self.of(&[0, 0, 0, 0, 0, 0, 1, 5]) }
    }

    fn epoll_change(&mut self) -> Call {
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
        Call::EpollChange { slot: self.slot(), operation, events, argument }
    }

    fn map(&mut self) -> Call {
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
        Call::Map { slot: self.slot(), len, protection: self.rng.i32(0..16), flags, offset }
    }

    fn transfer(&mut self) -> Call {
        use Transfer::*;
        let how = self.of(&[SpliceIn, SpliceOut, Tee, SendfileIn, SendfileOut, CopyIn, CopyOut]);
        let flags = if self.one_in(3) { self.rng.u32(..) } else { self.rng.u32(..16) };
        Call::Transfer { slot: self.slot(), how, len: self.size(), flags }
    }

    fn control(&mut self) -> Call {
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
            // Files that block stay few.
            libc::F_SETFL => {
                let wild = if self.one_in(3) { self.rng.i64(0..0x10_0000) } else { 0 };
                let block = self.one_in(6);
                (wild & !i64::from(libc::O_NONBLOCK))
                    | if block { 0 } else { i64::from(libc::O_NONBLOCK) }
            }
            libc::F_SETOWN => 0,
            _ => self.of(&[0, 1, 2, 3, 10, 31, 64, 65, 1 << 20, -1, i64::MAX]),
        };
        Call::Control { slot: self.slot(), command, argument }
    }

    fn lock(&mut self) -> Call {
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

    fn attribute(&mut self) -> Call {
        use Attribute::*;
        let what = self.of(&[
            Stat, Sync, DataSync, Truncate, Allocate, ReadAhead, Advise, SyncRange, Flock, FdInfo,
            FdInfo, FdInfo, FdInfo, FdInfo, FdInfo,
        ]);
        let first = self.of(&[0, 0, 1, 4096, -1, i64::MAX]);
        let second = self.of(&[0, 1, 4096, -1, i64::MAX]);
        let flags = if self.one_in(3) { self.rng.i32(..) } else { self.rng.i32(0..16) };
        Call::Attribute { slot: self.slot(), what, first, second, flags }
    }

    fn uring(&mut self) -> Call {
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

    /// The next call.
    pub fn call(&mut self) -> Call {
        if self.opened <= SWAPPED {
            self.opened += 1;
            let flags = libc::O_RDWR | libc::O_NONBLOCK;
            return Call::Open { slot: self.opened - 1, path: Path::Node, flags };
        }
        match self.rng.u32(..1000) {
            0..=264 => {
                let (slot, room) = (self.slot(), self.room());
                let (how, memory) = (self.how(), self.memory(room));
                Call::Read { slot, how, memory, position: self.position(), flags: self.rw_flags() }
            }
            265..=529 => {
                let slot = self.slot();
                let (content, len) = self.content_and_size();
                let (how, memory) = (self.how(), self.memory(len));
                let (position, flags) = (self.position(), self.rw_flags());
                Call::Write { slot, how, memory, content, position, flags }
            }
            530..=569 => {
                let offset = if self.one_in(4) { self.position() } else { 0 };
                let whence = if self.one_in(6) { self.rng.i32(..) } else { self.rng.i32(-1..7) };
                Call::Seek { slot: self.slot(), offset, whence }
            }
            570..=689 => self.ioctl(),
            690..=749 => self.wait(),
            750..=789 => self.epoll_change(),
            790..=814 => {
                let most = self.of(&[1, 2, 8, 0, -1]);
                Call::EpollWait { most, timeout_ms: self.of(&[0, 0, 0, 0, 0, 1, 3]) }
            }
            815..=864 => self.open(),
            865..=879 => Call::Close { slot: self.own() },
            880..=894 => Call::Dup { from: self.other(), to: self.own(), how: self.rng.u8(..4) },
            895..=904 => self.map(),
            905..=919 => self.transfer(),
            920..=939 => self.control(),
            940..=944 => self.lock(),
            945..=959 => self.attribute(),
            960..=966 => Call::Send { slot: self.other(), across: self.rng.bool() },
            967..=973 => Call::Receive { slot: self.own(), across: self.rng.bool() },
            974..=981 => self.uring(),
            982..=985 => Call::User { real: self.rng.bool(), effective: self.rng.bool() },
            986..=991 => Call::Protect { protection: self.of(&[0, 1, 3, 3]) },
            992..=995 => Call::Signal { restart: self.rng.bool() },
            996..=997 if !self.child => {
                let kill_after_us = if self.rng.bool() { self.rng.u16(1..5000) } else { 0 };
                Call::Fork { seed: self.rng.u64(..), calls: self.rng.u8(..64), kill_after_us }
            }
            _ => Call::Load { unload: !self.one_in(8) },
        }
    }
}

// Of `fcntl.h`, not in the C library's bindings for every target.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
