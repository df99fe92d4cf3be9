// SPDX-License-Identifier: GPL-2.0

//! The allocation of space in the memory of a ring.

use super::Position;

/// The one or two runs of records in the memory.
///
/// Small and `Copy`: `make_space()` drops records in a copy, which it stores only on success, so
/// that a rejected record has no effect.
///
/// # Invariants
///
/// - The records `oldest.seq..next.seq` lie one after another from `oldest.offset`.
/// - If `end` is `None`, they end at `next.offset`.
/// - If `end` is `Some(end)`, the first run ends at `end`, and the second one is from 0 to
///   `next.offset`, which is at most `oldest.offset`. Both runs have at least one record.
#[derive(Clone, Copy)]
pub(super) struct Runs {
    pub(super) oldest: Position,
    pub(super) next: Position,
    pub(super) end: Option<usize>,
}

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.oldest.seq == self.next.seq
    }

    /// Returns the offset of free space for a record of `size` bytes, or `None` if there is not
    /// enough.
    pub(super) fn find_space(&self, size: usize, capacity: usize) -> Option<usize> {
        if self.is_empty() {
            return (size <= capacity).then_some(0);
        }
        let at_next = self.next.offset;
        match self.end {
            None if size <= capacity - at_next => Some(at_next),
            None => (size <= self.oldest.offset).then_some(0),
            Some(_) => (size <= self.oldest.offset - at_next).then_some(at_next),
        }
    }

    /// Drops the oldest record, which takes `size` bytes. The ring must not be empty.
    pub(super) fn drop_oldest(&mut self, size: usize) {
        self.oldest.seq += 1;
        self.oldest.offset += size;
        if self.end == Some(self.oldest.offset) {
            self.oldest.offset = 0;
            self.end = None;
        }
    }

    /// Adds a record of `size` bytes at `offset`, which [`Runs::find_space`] returned.
    pub(super) fn push(&mut self, offset: usize, size: usize) {
        if self.is_empty() {
            self.oldest.offset = offset;
        } else if offset != self.next.offset {
            // The record is at the start of the block: the first run ends at the end of the newest
            // record.
            self.end = Some(self.next.offset);
        }
        self.next.seq += 1;
        self.next.offset = offset + size;
    }
}
