// SPDX-License-Identifier: GPL-2.0

//! Draws the data of reads and writes: sizes, memory and content.

use super::Draw;
use crate::calls::*;

impl Draw {
    /// Draws a number of bytes, often near a limit.
    pub(super) fn size(&mut self) -> usize {
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

    /// Draws the size of a write of entries, mostly a multiple of 8, as the size of each entry is.
    pub(super) fn entries_size(&mut self) -> usize {
        match self.rng.u32(..10) {
            0..=4 => 8 * self.rng.usize(..80),
            5..=6 => 8 * self.rng.usize(..1100),
            7 => 8 * self.rng.usize(..4000),
            8 => self.rng.usize(..20_000),
            _ => self.size(),
        }
    }

    /// Draws the content and the size of a write.
    pub(super) fn content_and_size(&mut self) -> (Content, usize) {
        if self.one_in(3) {
            (Content::Entries { seed: self.rng.u32(..) }, self.entries_size())
        } else {
            (self.content(), self.size())
        }
    }

    /// Draws the buffer size of a read. It is mostly large enough.
    pub(super) fn room(&mut self) -> usize {
        match self.rng.u32(..10) {
            0 => self.size(),
            // Near the size of a head and keys, with or without a part of the text.
            1 | 4 => self.rng.usize(..250),
            // Near the size of a few binary records.
            2 => 8 * self.rng.usize(..40),
            3 => 8 * self.rng.usize(..1000),
            _ => 4 * self.parameters.record_max + 300,
        }
    }

    pub(super) fn bad_place(&mut self) -> Place {
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

    pub(super) fn memory(&mut self, len: usize) -> Memory {
        let cuts = [self.rng.u16(..300), self.rng.u16(..300), self.rng.u16(..300)];
        let bad = if self.one_in(8) {
            let len = if self.one_in(2) { self.size() } else { self.rng.usize(..100) };
            Some(Bad { place: self.bad_place(), len, at: self.rng.u8(..5) })
        } else {
            None
        };
        Memory { len, offset: self.rng.u16(..4096), cuts, bad }
    }

    pub(super) fn how(&mut self) -> How {
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

    /// Draws flags for `preadv2` and `pwritev2`.
    pub(super) fn rw_flags(&mut self) -> i32 {
        match self.rng.u32(..8) {
            0..=3 => libc::RWF_NOWAIT,
            4 => 0,
            5 => 1 << self.rng.u32(..10),
            6 => self.rng.i32(0..0x200),
            _ => self.rng.i32(..),
        }
    }

    pub(super) fn position(&mut self) -> i64 {
        self.of(&[0, 1, 4096, i64::MAX, i64::MAX - 1, -1, -2, i64::MIN])
    }

    pub(super) fn content(&mut self) -> Content {
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
}
