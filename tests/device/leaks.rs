// SPDX-License-Identifier: GPL-2.0

//! What the kernel's leak detector (kmemleak) finds after all other tests, where the kernel has it.

use crate::Test;
use std::fs::{read_to_string, write};
use std::path::Path;
use std::time::Duration;

pub const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// The detector's verdict, to be asked for last; nothing on a kernel that has none.
pub fn tests() -> &'static [Test] {
    if Path::new(KMEMLEAK).exists() {
        const { &[Test::new("leaks.none", none).unloaded()] }
    } else {
        &[]
    }
}

/// Memory that nothing points to is reported when it is 5 seconds old and a second scan finds it
/// unchanged.
fn none() {
    std::thread::sleep(Duration::from_secs(6));
    for _ in 0..2 {
        write(KMEMLEAK, "scan").expect("a scan");
    }
    let report = read_to_string(KMEMLEAK).expect(KMEMLEAK);
    assert!(report.is_empty(), "{report}");
}
