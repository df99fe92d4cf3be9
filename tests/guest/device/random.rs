// SPDX-License-Identifier: GPL-2.0

//! Pseudo-random numbers with a fixed seed, so that a failure can be repeated.

/// Returns a generator of numbers below its argument.
pub fn random() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    }
}
