// SPDX-License-Identifier: GPL-2.0

//! The clock, and the loops around an operation.

use std::time::Instant;

/// How often an operation runs between two looks at the clock.
pub const LOOP: usize = 500;
/// How many such loops there are, of which the median counts.
const LOOPS: usize = 9;

/// What is counted.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    /// Ticks of the time stamp counter.
    Ticks,
    Nanoseconds,
}

fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Every x86_64 has this counter, and Linux lets programs read it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    panic!("no counter is known for this architecture: use --time");
}

impl Unit {
    /// What `body` costs.
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

    /// The median cost of one of `count` things that `body` does; `prepare` runs before, uncounted.
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

    /// The median cost of `operation`, which runs [`LOOP`] times after each `prepare`.
    pub fn one(self, prepare: impl FnMut(), mut operation: impl FnMut()) -> f64 {
        self.each(LOOP, prepare, || (0..LOOP).for_each(|_| operation()))
    }
}
