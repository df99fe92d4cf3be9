// SPDX-License-Identifier: GPL-2.0

//! The clock, and the loops that measure an operation.

use std::time::Instant;

/// The number of operations between two readings of the clock.
pub const LOOP: usize = 500;
/// The number of loops. The result is their median.
const LOOPS: usize = 9;

/// The unit of a cost.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    /// Ticks of the time stamp counter (TSC), or of the virtual counter of arm64.
    Ticks,
    Nanoseconds,
}

fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Every x86_64 processor has a TSC, and Linux lets programs read it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let count: u64;
        // SAFETY: Every arm64 processor has this counter, and Linux lets programs read it. The
        // barrier keeps the processor from reading it early.
        unsafe {
            core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack));
        }
        count
    }
}

impl Unit {
    /// Returns the cost of `body`.
    fn of(self, body: impl FnOnce()) -> f64 {
        match self {
            Self::Ticks => {
                let start = ticks();
                body();
                (ticks() - start) as f64
            }
            Self::Nanoseconds => {
                let start = Instant::now();
                body();
                start.elapsed().as_nanos() as f64
            }
        }
    }

    /// Returns the median cost of one of the `count` operations in `body`. `prepare` runs before
    /// each `body` and is not counted.
    pub fn each(self, count: usize, mut prepare: impl FnMut(), mut body: impl FnMut()) -> f64 {
        let mut results: Vec<f64> = (0..LOOPS)
            .map(|_| {
                prepare();
                self.of(&mut body) / count as f64
            })
            .collect();
        results.sort_by(f64::total_cmp);
        results[LOOPS / 2]
    }

    /// Returns the median cost of `operation`, which runs [`LOOP`] times after each `prepare`.
    pub fn one(self, prepare: impl FnMut(), mut operation: impl FnMut()) -> f64 {
        self.each(LOOP, prepare, || (0..LOOP).for_each(|_| operation()))
    }
}
