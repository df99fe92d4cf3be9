// SPDX-License-Identifier: GPL-2.0

//! The files a thread works on: slots, each with a descriptor of a fixed number.
//!
//! A file that is opened is moved to the number of its slot. So the number of a slot never stands
//! for anything but a file of the device or for nothing, also while another thread closes or
//! replaces it in the middle of a call.

use crate::calls::Slot;

/// The thread's own reader. No other thread shares it, so that each record from it is checked.
pub const AUDITED: Slot = 0;
/// The first of the thread's other files, which may be duplicates, received or sent.
pub const OWN: Slot = 1;
/// The first of those that all threads of the process use, replace and close.
const PROCESS: Slot = 5;
/// The last slot that is ever closed.
pub const SWAPPED: Slot = 6;
/// The first of those that all processes inherit; they stay open.
const COMMON: Slot = 7;
/// The last slot with a file.
pub const LAST: Slot = 10;
/// A slot that never has one.
pub const NONE: Slot = 11;
/// The first slot of the thread's files of named logs. No other thread shares them.
pub const NAMED: Slot = 12;
/// How many of these there are.
pub const NAMED_SLOTS: usize = 2;
/// How many slots there are.
const SLOTS: usize = NAMED as usize + NAMED_SLOTS;

/// How the common files are opened, in the order of their slots.
pub const COMMON_FLAGS: [i32; 4] = [
    libc::O_RDWR | libc::O_NONBLOCK,
    libc::O_RDWR | libc::O_NONBLOCK,
    libc::O_RDONLY | libc::O_NONBLOCK,
    libc::O_WRONLY,
];

/// The descriptor of the first common file; a program's other descriptors are far below it.
pub const COMMON_FD: i32 = 180;

/// What is known of a slot's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Closed,
    /// Open with these flags, but for those that `F_SETFL` changes.
    Open(i32),
    /// Whatever another thread or process has put there.
    Unknown,
}

impl Known {
    fn may(self, accesses: [i32; 2]) -> Option<bool> {
        match self {
            Self::Closed => Some(false),
            Self::Open(flags) if flags & libc::O_PATH != 0 => Some(false),
            Self::Open(flags) => Some(accesses.contains(&(flags & libc::O_ACCMODE))),
            Self::Unknown => None,
        }
    }

    /// Whether it is open for reading, if that is known.
    pub fn may_read(self) -> Option<bool> {
        self.may([libc::O_RDONLY, libc::O_RDWR])
    }

    /// Whether it is open for writing, if that is known.
    pub fn may_write(self) -> Option<bool> {
        self.may([libc::O_WRONLY, libc::O_RDWR])
    }

    /// Whether it is open, and not by `O_PATH`, if that is known.
    pub fn is_file(self) -> Option<bool> {
        match self {
            Self::Closed => Some(false),
            Self::Open(flags) => Some(flags & libc::O_PATH == 0),
            Self::Unknown => None,
        }
    }
}

/// The files of one thread.
pub struct Files {
    first: i32,
    known: [Known; SLOTS],
    /// The slot that is meant by the audited one.
    audited: Slot,
}

impl Files {
    /// Of the thread `index` of its process.
    pub fn new(index: usize) -> Self {
        let mut known = [Known::Closed; SLOTS];
        known[PROCESS as usize..=SWAPPED as usize].fill(Known::Unknown);
        for (slot, flags) in (COMMON..=LAST).zip(COMMON_FLAGS) {
            known[slot as usize] = Known::Open(flags);
        }
        Self { first: 200 + 16 * index as i32, known, audited: AUDITED }
    }

    /// From now on the audited file is the one of this slot.
    pub fn set_audited(&mut self, slot: Slot) {
        self.audited = slot;
    }

    fn meant(&self, slot: Slot) -> Slot {
        if slot == AUDITED {
            self.audited
        } else {
            slot
        }
    }

    /// The number of the descriptor that the file of `slot` has.
    pub fn fd(&self, slot: Slot) -> i32 {
        match self.meant(slot) {
            slot @ AUDITED..PROCESS => self.first + i32::from(slot),
            slot @ PROCESS..COMMON => 190 + i32::from(slot - PROCESS),
            slot @ COMMON..=LAST => COMMON_FD + i32::from(slot - COMMON),
            NONE => 199,
            slot => self.first + i32::from(slot - NAMED) + 8,
        }
    }

    pub fn known(&self, slot: Slot) -> Known {
        self.known[self.meant(slot) as usize]
    }

    /// Whether the file of `slot` is one that all processes inherit.
    pub fn is_common(&self, slot: Slot) -> bool {
        (COMMON..=LAST).contains(&slot)
    }

    /// Notes what was put into `slot`.
    pub fn set(&mut self, slot: Slot, known: Known) {
        if !(PROCESS..COMMON).contains(&slot) {
            self.known[self.meant(slot) as usize] = known;
        }
    }

    /// Moves the new descriptor `fd` to the number of `slot`.
    pub fn put(&mut self, slot: Slot, fd: i32, known: Known) {
        // SAFETY: Nothing but numbers; `fd` is ours.
        unsafe {
            assert!(fd < COMMON_FD, "a descriptor leaks: {fd}");
            assert_eq!(libc::dup3(fd, self.fd(slot), libc::O_CLOEXEC), self.fd(slot));
            libc::close(fd);
        }
        self.set(slot, known);
    }
}
