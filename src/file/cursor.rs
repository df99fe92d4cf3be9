// SPDX-License-Identifier: GPL-2.0

//! The read position of an open file.

use crate::pure::ring::Position;

/// The read position of an open file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The position before the record that is read next.
    pub(super) position: Position,
    /// The number of lost records that reads of this file have reported.
    pub(super) lost: u64,
}

impl Cursor {
    /// Returns a cursor at `position` that has reported `lost` more lost records.
    pub(super) fn advanced_to(self, position: Position, lost: u64) -> Self {
        Self {
            position,
            // Saturate: a reader that repeatedly seeks back to overwritten records counts the same
            // loss each time.
            lost: self.lost.saturating_add(lost),
        }
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_cursor)]
mod tests {
    use super::*;

    /// Checks that the number of lost records saturates if it would overflow.
    #[test]
    fn lost_saturates() {
        let mut cursor = Cursor {
            position: Position::default(),
            lost: 0,
        };
        for (more, lost) in [
            (3, 3),
            (u64::MAX - 5, u64::MAX - 2),
            (2, u64::MAX),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            cursor = cursor.advanced_to(Position::default(), more);
            assert_eq!(cursor.lost, lost);
        }
    }
}
