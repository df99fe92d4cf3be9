// SPDX-License-Identifier: GPL-2.0

//! Memory leaks: the report of kmemleak after all other tests, if the kernel has it.

use crate::{kmod, Test};

/// The test, which must be the last one; none on a kernel without kmemleak.
pub fn tests() -> &'static [Test] {
    if kmod::finds_leaks() {
        const { &[Test::new("leaks.none", none).unloaded()] }
    } else {
        &[]
    }
}

/// Checks that no memory is unreferenced.
fn none() {
    let report = kmod::leaks();
    assert!(report.is_empty(), "{report}");
}
