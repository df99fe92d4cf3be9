// SPDX-License-Identifier: GPL-2.0

//! The measured cases: umsg and its peers, with messages of several sizes.

use crate::measure::Unit;
use crate::{log, peers};

/// The sizes of a message in bytes.
const SIZES: [usize; 4] = [16, 64, 256, 4096];

/// Measures all cases, and passes the results to `report`: name, size, cost.
pub fn run(unit: Unit, mut report: impl FnMut(&str, usize, f64)) {
    for size in SIZES {
        let data = vec![b'x'; size];
        let mut line = |what: &str, cost| report(what, size, cost);
        peers::run(unit, &data, &mut line);
        log::run(unit, &data, &mut line);
    }
}

/// Returns a text of `size` bytes that consists of two-byte characters.
pub fn utf8(size: usize) -> String {
    "é".repeat(size / 2)
}
