// SPDX-License-Identifier: GPL-2.0

//! What the kernel's leak detector (kmemleak) finds after all other tests, where the kernel has it.

use crate::{kmod, Test};

/// The detector's verdict, to be asked for last; nothing on a kernel that has none.
pub fn tests() -> &'static [Test] {
    if kmod::finds_leaks() {
        const { &[Test::new("leaks.none", none).unloaded()] }
    } else {
        &[]
    }
}

fn none() {
    let report = kmod::leaks();
    assert!(report.is_empty(), "{report}");
}
