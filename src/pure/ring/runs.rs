// SPDX-License-Identifier: GPL-2.0

//! The runs of records in the memory of a ring.

use super::Position;

/// Where the records lie. Small and `Copy`: room is made in a copy, which is stored when there is
/// enough of it, so a refused record leaves no trace.
///
/// # Invariants
///
/// - The records `oldest.seq..next.seq` lie one after another from `oldest.offset`.
/// - `end` is `None`: they end at `next.offset`.
/// - `end` is `Some(end)`: they go on to `end`, then from 0 to `next.offset`, which is at most
///   `oldest.offset`; both runs hold at least one record.
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

    /// Where a record of `size` bytes can be placed without dropping one.
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

    /// Adds a record of `size` bytes at `offset`, which is what [`Runs::room`] returned.
    pub(super) fn push(&mut self, offset: usize, size: usize) {
        if self.is_empty() {
            self.oldest.offset = offset;
        } else if offset != self.next.offset {
            // It is at the start of the block: the first run ends where the newest record did.
            self.end = Some(self.next.offset);
        }
        self.next.seq += 1;
        self.next.offset = offset + size;
    }
}
