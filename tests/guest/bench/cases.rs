// SPDX-License-Identifier: GPL-2.0

//! What is measured: umsg and its peers, with messages of several sizes.

use crate::measure::Unit;
use crate::{log, peers};

/// Bytes of a message.
const SIZES: [usize; 4] = [16, 64, 256, 4096];

/// Measures all, and hands each result to `report`: what, bytes, cost.
pub fn run(unit: Unit, mut report: impl FnMut(&str, usize, f64)) {
    for size in SIZES {
        let data = vec![b'x'; size];
        let mut line = |what: &str, cost| report(what, size, cost);
        peers::run(unit, &data, &mut line);
        log::run(unit, &data, &mut line);
    }
}

/// A text of `size` bytes that all belong to characters of two bytes.
pub fn utf8(size: usize) -> String {
    "é".repeat(size / 2)
}
