// SPDX-License-Identifier: GPL-2.0

//! How much memory the machine has to spare. The kernel crate has no such thing yet.

use kernel::{
    bindings,
    page::PAGE_SIZE, //
};

/// An estimate of the memory in bytes that can be allocated without swapping or killing: the
/// `MemAvailable` of `/proc/meminfo`. C counterpart: `si_mem_available()` in `mm/show_mem.c`.
pub(crate) fn available() -> usize {
    // SAFETY: The function takes nothing, only reads counters, and may be called anywhere.
    let pages = unsafe { bindings::si_mem_available() };
    usize::try_from(pages)
        .unwrap_or(0)
        .saturating_mul(PAGE_SIZE)
}
