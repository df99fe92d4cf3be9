// SPDX-License-Identifier: GPL-2.0

//! What the kernel's leak detector (kmemleak) finds after all other tests, where the kernel has it.

use crate::{kernel, Test};

/// The detector's verdict, to be asked for last; nothing on a kernel that has none.
pub fn tests() -> &'static [Test] {
    if kernel::finds_leaks() {
        const { &[Test::new("leaks.none", none).unloaded()] }
    } else {
        &[]
    }
}

fn none() {
    let report = kernel::leaks();
    assert!(report.is_empty(), "{report}");
}
