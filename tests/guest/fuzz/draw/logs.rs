// SPDX-License-Identifier: GPL-2.0

//! Draws calls on named logs: changes of the logs, and opening and closing of files.

use super::Draw;
use crate::calls::*;
use crate::logs::change::Writing;
use crate::logs::NAMES;

impl Draw {
    fn name(&mut self) -> Name {
        let name = self.rng.u8(..NAMES.len() as u8);
        if self.one_in(4) {
            Name::Exact(name)
        } else {
            Name::From(name)
        }
    }

    pub(super) fn logs(&mut self) -> Call {
        match self.rng.u32(..28) {
            0..=11 => {
                let bad = [Place::Null, Place::Low, Place::NonCanonical, Place::Kernel, Place::Max];
                let address = if self.one_in(16) { self.of(&bad) } else { Place::Good };
                let fail = if self.one_in(4) { self.rng.u8(1..60) } else { 0 };
                let (change, around) = (self.change(), self.rng.u8(..));
                Call::Change { change, around, address, fail, as_root: !self.one_in(8) }
            }
            12 => Call::Close { slot: self.named() },
            _ => {
                let opening = match self.rng.u32(..8) {
                    0..=3 => Opening::Racing,
                    4..=6 => Opening::Still,
                    _ => Opening::Number(self.rng.u16(..)),
                };
                let slot = self.named();
                self.open_log(slot, opening)
            }
        }
    }

    /// Draws the opening of a named log as the file of `slot`.
    pub(super) fn open_log(&mut self, slot: Slot, opening: Opening) -> Call {
        let access = self.of(&[libc::O_RDONLY, libc::O_RDWR, libc::O_RDWR]);
        let flags = if self.one_in(8) { access } else { access | libc::O_NONBLOCK };
        Call::OpenLog { slot, name: self.name(), opening, flags }
    }

    fn change(&mut self) -> Change {
        let name = self.name();
        match self.rng.u32(..32) {
            0..=11 => Change::Add(name, self.rng.u32(..)),
            12 | 13 => Change::AddSmall(name, self.rng.bool()),
            14 => Change::AddLong(name, self.of(&[-1, 0, 1, 1, 2, 2])),
            15..=24 => Change::Remove(name),
            25..=28 => Change::Refused(self.rng.u8(..), name),
            29 => Change::Endless(self.of(&[0, 1, 2, 33, 4095, 4096, 4097, 9000])),
            _ => Change::RecordMax(self.rng.u8(..)),
        }
    }

    /// Draws a change that is made while no other thread is running.
    pub fn last_change(&mut self) -> (Change, Writing) {
        let name = self.name();
        let change = match self.rng.u8(..8) {
            // The longest `record_max` that all logs can hold, or one byte more.
            0..=3 => Change::RecordMax(self.of(&[1, 1, 2])),
            4 => Change::AddSmall(name, self.rng.bool()),
            5 | 6 => Change::Remove(name),
            _ => self.change(),
        };
        let around = self.rng.u8(..);
        (change, Writing { around, bad_address: None, fail: 0, nobody: false, last: true })
    }
}
