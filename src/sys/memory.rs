// SPDX-License-Identifier: GPL-2.0

//! The amount of available memory.

use kernel::{
    bindings,
    page::PAGE_SIZE, //
};

/// Returns an estimate of the memory in bytes that can be allocated without swapping:
/// `MemAvailable` of `/proc/meminfo`. C counterpart: `si_mem_available()` in `mm/show_mem.c`.
pub(crate) fn available() -> usize {
    // SAFETY: The function has no arguments, only reads counters and can be called in any context.
    let pages = unsafe { bindings::si_mem_available() };
    usize::try_from(pages)
        .unwrap_or(0)
        .saturating_mul(PAGE_SIZE)
}
