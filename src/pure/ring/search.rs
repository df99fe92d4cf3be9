// SPDX-License-Identifier: GPL-2.0

//! Searches by sequence number and by time, which use the index of the ring.

use core::ops::DerefMut;

use crate::pure::record::Header;

use super::{
    runs::Runs,
    IndexEntry,
    Position,
    RecordRef,
    Ring,
    INDEX_STEP, //
};

impl<B, I> Ring<B, I>
where
    B: DerefMut<Target = [u8]>,
    I: DerefMut<Target = [IndexEntry]>,
{
    /// Returns the position before the record `seq`. The record can be overwritten (readers at this
    /// position then report the loss) or the next one that will be written. Returns `None` for a
    /// greater sequence number.
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

    /// Returns the position before the first record with the timestamp `time_ns` or a later one, or
    /// after the newest record if there is none.
    ///
    /// The position can be up to [`INDEX_STEP`] records too early if a record with a late timestamp
    /// was overwritten and records with earlier timestamps followed it.
    pub(crate) fn position_of_time(&self, time_ns: u64) -> Position {
        let Runs { oldest, next, .. } = self.runs;
        // For each index entry before `low`, this and all earlier records have earlier timestamps.
        // For each entry from `high` on, this or an earlier record does not.
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

    /// Returns the position in the index of the entry for the record `seq`, a multiple of
    /// [`INDEX_STEP`].
    pub(super) fn index_slot(&self, seq: u64) -> usize {
        // The index is never empty. `%` would contain a call of a panic function, which objtool
        // does not know as one that never returns.
        let entry = (seq / INDEX_STEP) as usize;
        entry.checked_rem(self.index.len()).unwrap_or(0)
    }

    /// Returns the position before the record `n * INDEX_STEP`, or before the oldest record if that
    /// is later.
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

    /// Returns the position before the first record at or after `at` for which `is_wanted` returns
    /// true, or after the newest record if there is none.
    fn find_from(&self, mut at: Position, is_wanted: impl Fn(&RecordRef<'_>) -> bool) -> Position {
        while let Some(stored) = self.read(at) {
            if is_wanted(&stored) {
                return stored.start;
            }
            at = stored.end;
        }
        at
    }
}
