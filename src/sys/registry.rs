// SPDX-License-Identifier: GPL-2.0

//! What the whole module shares: the logs that there are.
//!
//! Unlike the module's own structure, a static can be found by a write to a parameter. The kernel
//! crate's `global_lock!` leaves it to the user to initialise the lock once, which needs `unsafe`.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::logs::Logs;

kernel::sync::global_lock! {
    // SAFETY: `init` is called at the beginning of the module's `init`, before anything else that
    // uses the lock: a parameter is changed only when `init` has read it.
    pub(crate) unsafe(uninit) static LOGS: Mutex<Option<Logs>> = None;
}

/// Whether the lock is initialised.
static IS_READY: Atomic<bool> = Atomic::new(false);

/// Initialises [`LOGS`]. To be called first of all by the module's `init`.
pub(crate) fn init() {
    if IS_READY.load(Relaxed) {
        return;
    }
    // SAFETY: Once, because only the thread that loads the module comes here.
    unsafe { LOGS.init() };
    IS_READY.store(true, Relaxed);
}
