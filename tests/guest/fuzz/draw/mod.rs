// SPDX-License-Identifier: GPL-2.0

//! Draws calls from the seed. The results of the kernel have no influence.

mod data;
mod files;
mod logs;

use crate::calls::*;
use crate::files::{AUDITED, LAST, NAMED, NAMED_SLOTS, NONE, OWN, SWAPPED};
use crate::module::Parameters;
use fastrand::Rng;

/// A generator of the calls of one thread, or of one child of a thread.
pub struct Draw {
    rng: Rng,
    parameters: Parameters,
    /// The calls are made by a child of a thread. A child does not use the thread's audited file,
    /// and has no children.
    child: bool,
    /// The number of slots that were opened at the beginning.
    opened: Slot,
    /// The number of named logs that were opened at the beginning.
    opened_logs: usize,
}

/// Returns a seed that depends on all of `parts`.
pub fn seed(parts: &[u64]) -> u64 {
    // These are the steps of SplitMix64.
    parts.iter().fold(0, |sum, part| {
        let mut z = (sum ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

impl Draw {
    pub fn new(seed: u64, parameters: Parameters, child: bool) -> Self {
        // A child inherits the files of its parent.
        let opened = if child { SWAPPED + 1 } else { 0 };
        Self { rng: Rng::with_seed(seed), parameters, child, opened, opened_logs: 0 }
    }

    /// Returns a number that differs between different sequences of calls.
    pub fn fingerprint(&mut self) -> u64 {
        self.rng.u64(..)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(..choices.len())]
    }

    /// Returns true once in `n` calls on average.
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    /// Draws a slot of the default log, except the audited one.
    fn other(&mut self) -> Slot {
        if self.one_in(100) {
            NONE
        } else {
            self.rng.u8(OWN..=LAST)
        }
    }

    /// Draws a slot of the default log.
    fn slot(&mut self) -> Slot {
        if !self.child && self.one_in(3) {
            AUDITED
        } else {
            self.other()
        }
    }

    /// Draws a slot.
    fn any(&mut self) -> Slot {
        if !self.child && self.one_in(5) {
            self.named()
        } else {
            self.slot()
        }
    }

    /// Draws a slot of a named log.
    fn named(&mut self) -> Slot {
        NAMED + self.rng.u8(..NAMED_SLOTS as u8)
    }

    /// Draws a slot whose file may be opened, closed and replaced.
    fn own(&mut self) -> Slot {
        self.rng.u8(OWN..=SWAPPED)
    }

    /// Draws the next call.
    pub fn call(&mut self) -> Call {
        if self.opened <= SWAPPED {
            self.opened += 1;
            let flags = libc::O_RDWR | libc::O_NONBLOCK;
            return Call::Open { slot: self.opened - 1, path: Path::Node, flags };
        }
        if !self.child && self.opened_logs < NAMED_SLOTS {
            self.opened_logs += 1;
            return self.open_log(NAMED + self.opened_logs as Slot - 1, Opening::Still);
        }
        match self.rng.u32(..1000) {
            0..=256 => {
                let (slot, room) = (self.any(), self.room());
                let (how, memory) = (self.how(), self.memory(room));
                Call::Read { slot, how, memory, position: self.position(), flags: self.rw_flags() }
            }
            257..=513 => {
                let slot = self.any();
                let (content, len) = self.content_and_size();
                let (how, memory) = (self.how(), self.memory(len));
                let (position, flags) = (self.position(), self.rw_flags());
                Call::Write { slot, how, memory, content, position, flags }
            }
            514..=541 if !self.child => self.logs(),
            514..=575 => {
                let offset = if self.one_in(4) { self.position() } else { 0 };
                let whence = if self.one_in(6) { self.rng.i32(..) } else { self.rng.i32(-1..7) };
                Call::Seek { slot: self.any(), offset, whence }
            }
            576..=689 => self.ioctl(),
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
