// SPDX-License-Identifier: GPL-2.0

//! Random numbers.

use core::ptr::from_mut;

use kernel::bindings;

/// Returns a random number. C counterpart: `get_random_u64()`.
pub(crate) fn random_u64() -> u64 {
    let mut number = 0u64;
    // SAFETY: `number` is valid for writes of its size.
    unsafe { bindings::get_random_bytes(from_mut(&mut number).cast(), size_of::<u64>()) };
    number
}
