// SPDX-License-Identifier: GPL-2.0

//! The index of a ring, and searches by sequence number and by time.

use core::ops::DerefMut;

use crate::pure::record::{
    Header,
    HEADER_SIZE, //
};

use super::{
    runs::Runs,
    Position,
    RecordRef,
    Ring, //
};

/// The index has an entry for every record whose sequence number is a multiple of this.
pub(crate) const INDEX_STEP: u64 = 64;

/// An entry of the index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexEntry {
    /// The offset of the record.
    pub(super) offset: usize,
    /// The latest time of this record and all before it, in nanoseconds.
    pub(super) latest_ns: u64,
}

/// How many entries the index of a ring of `capacity` bytes has: one for each record that can be
/// in the ring and has an entry.
pub(crate) const fn index_len(capacity: usize) -> usize {
    capacity / HEADER_SIZE / INDEX_STEP as usize + 1
}

impl<B, I> Ring<B, I>
where
    B: DerefMut<Target = [u8]>,
    I: DerefMut<Target = [IndexEntry]>,
{
    /// The position before the record `seq`: also one that is gone, whose readers learn how many
    /// they missed, and the next one that will be written; `None` for a later one.
    pub(crate) fn position_of_seq(&self, seq: u64) -> Option<Position> {
        let Runs { oldest, next, .. } = self.runs;
        if seq > next.seq {
            return None;
        }
        if seq < oldest.seq {
            return Some(Position::overwritten(seq));
        }
        if seq == next.seq {
            return Some(next);
        }
        Some(
            self.find_from(self.indexed_position(seq / INDEX_STEP), |stored| {
                stored.start.seq >= seq
            }),
        )
    }

    /// The position before the first record of the time `time_ns` or later, or after the newest
    /// one. It may be up to [`INDEX_STEP`] records before the first one if a record as late is gone
    /// that was followed by earlier ones.
    pub(crate) fn position_of_time(&self, time_ns: u64) -> Position {
        let Runs { oldest, next, .. } = self.runs;
        // All records up to the indexed ones before `low` are earlier. Up to each one from `high`
        // on there is one that is not.
        let mut low = oldest.seq.div_ceil(INDEX_STEP);
        let mut high = next.seq.div_ceil(INDEX_STEP);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.index[self.index_slot(middle * INDEX_STEP)].latest_ns >= time_ns {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.find_from(self.indexed_position(low.saturating_sub(1)), |stored| {
            Header::time_of(stored.bytes) >= time_ns || stored.start.seq >= low * INDEX_STEP
        })
    }

    /// The entry of the index for the record `seq`, a multiple of [`INDEX_STEP`].
    pub(super) fn index_slot(&self, seq: u64) -> usize {
        // The index is never empty. A plain `%` would panic by a function that objtool does not
        // know to return never.
        let entry = (seq / INDEX_STEP) as usize;
        entry.checked_rem(self.index.len()).unwrap_or(0)
    }

    /// The position before the record `n * INDEX_STEP`, or before the oldest one if that is later.
    fn indexed_position(&self, n: u64) -> Position {
        let seq = n * INDEX_STEP;
        if seq <= self.runs.oldest.seq {
            return self.runs.oldest;
        }
        Position {
            seq,
            offset: self.index[self.index_slot(seq)].offset,
        }
    }

    /// The position before the first record from `at` on that is `wanted`, or after the newest one.
    fn find_from(&self, mut at: Position, wanted: impl Fn(&RecordRef<'_>) -> bool) -> Position {
        while let Some(stored) = self.read(at) {
            if wanted(&stored) {
                return stored.start;
            }
            at = stored.end;
        }
        at
    }
}
