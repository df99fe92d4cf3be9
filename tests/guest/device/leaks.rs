// SPDX-License-Identifier: GPL-2.0

//! Memory leaks: the report of kmemleak after all other tests, if the kernel has kmemleak.

use crate::{kmod, Test};

/// Returns the test, which must run last, or none if the kernel has no kmemleak.
pub fn tests() -> &'static [Test] {
    if kmod::finds_leaks() {
        const { &[Test::new("leaks.none", none).unloaded()] }
    } else {
        &[]
    }
}

/// Checks that kmemleak reports no memory.
fn none() {
    let report = kmod::leaks();
    assert!(report.is_empty(), "{report}");
}
