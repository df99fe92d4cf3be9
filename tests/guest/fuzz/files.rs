// SPDX-License-Identifier: GPL-2.0

//! The files of a thread: slots, each with a descriptor of a fixed number.
//!
//! A new file is moved to the descriptor number of its slot. Therefore this number always belongs
//! to a file of the device or is unused, even if another thread closes or replaces the file during
//! a call.

use crate::calls::Slot;

/// The slot of the thread's audited file. No other thread shares this file, so that each record
/// from it is checked.
pub const AUDITED: Slot = 0;
/// The first slot of the thread's other files, which may be duplicated, received or sent.
pub const OWN: Slot = 1;
/// The first slot of the files that all threads of the process use, replace and close.
const PROCESS: Slot = 5;
/// The last slot that is ever closed.
pub const SWAPPED: Slot = 6;
/// The first slot of the files that all processes inherit. These files stay open.
const COMMON: Slot = 7;
/// The last slot with a file.
pub const LAST: Slot = 10;
/// A slot that never has a file.
pub const NONE: Slot = 11;
/// The first slot of the thread's files of named logs. No other thread shares them.
pub const NAMED: Slot = 12;
/// The number of slots for files of named logs.
pub const NAMED_SLOTS: usize = 2;
/// The number of slots.
const SLOTS: usize = NAMED as usize + NAMED_SLOTS;

/// The flags that the common files are opened with, in the order of their slots.
pub const COMMON_FLAGS: [i32; 4] = [
    libc::O_RDWR | libc::O_NONBLOCK,
    libc::O_RDWR | libc::O_NONBLOCK,
    libc::O_RDONLY | libc::O_NONBLOCK,
    libc::O_WRONLY,
];

/// The descriptor of the first common file. The descriptors that the kernel chooses are far below
/// it.
pub const COMMON_FD: i32 = 180;

/// The known state of the file of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Closed,
    /// Open with these flags, except for flags that `F_SETFL` changes.
    Open(i32),
    /// Any file or none: another thread or process may have replaced, closed or sent it.
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

    /// Returns whether the file is open for reading, if that is known.
    pub fn may_read(self) -> Option<bool> {
        self.may([libc::O_RDONLY, libc::O_RDWR])
    }

    /// Returns whether the file is open for writing, if that is known.
    pub fn may_write(self) -> Option<bool> {
        self.may([libc::O_WRONLY, libc::O_RDWR])
    }

    /// Returns whether the file is open, and not with `O_PATH`, if that is known.
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
    /// The slot that [`AUDITED`] refers to.
    audited: Slot,
}

impl Files {
    /// Creates the files of the thread `index` of its process.
    pub fn new(index: usize) -> Self {
        let mut known = [Known::Closed; SLOTS];
        known[PROCESS as usize..=SWAPPED as usize].fill(Known::Unknown);
        for (slot, flags) in (COMMON..=LAST).zip(COMMON_FLAGS) {
            known[slot as usize] = Known::Open(flags);
        }
        Self { first: 200 + 16 * index as i32, known, audited: AUDITED }
    }

    /// Makes [`AUDITED`] refer to this slot.
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

    /// Returns the descriptor number of `slot`.
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

    /// Returns whether all processes inherit the file of `slot`.
    pub fn is_common(&self, slot: Slot) -> bool {
        (COMMON..=LAST).contains(&slot)
    }

    /// Records the state of the file of `slot`.
    pub fn set(&mut self, slot: Slot, known: Known) {
        if !(PROCESS..COMMON).contains(&slot) {
            self.known[self.meant(slot) as usize] = known;
        }
    }

    /// Moves the new descriptor `fd` to the number of `slot`.
    pub fn put(&mut self, slot: Slot, fd: i32, known: Known) {
        // SAFETY: The calls take only numbers, and `fd` belongs to the caller.
        unsafe {
            assert!(fd < COMMON_FD, "a descriptor leaks: {fd}");
            assert_eq!(libc::dup3(fd, self.fd(slot), libc::O_CLOEXEC), self.fd(slot));
            libc::close(fd);
        }
        self.set(slot, known);
    }
}
