// SPDX-License-Identifier: GPL-2.0

//! The structure that the kernel has of this module, and who holds the module by it.
//!
//! `module!` makes a constant of it: in Linux 7.2 at the root of the crate, in 7.3 as a part of
//! `ModuleMetadata`. Here it is found as both do it, so that one source is for both.

use kernel::bindings;
#[cfg(all(MODULE, CONFIG_MODULE_UNLOAD))]
use kernel::time::{
    delay::fsleep,
    Delta, //
};
#[cfg(MODULE)]
use kernel::types::Opaque;

/// What `modinfo -F version` shows, and `/sys/module/umsg/version`: `module!` has no field for it.
/// C counterpart: `MODULE_VERSION`.
#[cfg(MODULE)]
#[link_section = ".modinfo"]
#[used(compiler)]
static VERSION: [u8; 14] = *b"version=1.0.0\0";

/// This module, null where it is built in: what C calls `THIS_MODULE` (`include/linux/init.h`).
pub(crate) const THIS_MODULE: *mut bindings::module = this_module();

#[cfg(MODULE)]
const fn this_module() -> *mut bindings::module {
    extern "C" {
        static __this_module: Opaque<u8>;
    }
    // SAFETY: The kernel makes it when it loads this code, and it stays for as long.
    unsafe { __this_module.get() }.cast()
}

#[cfg(not(MODULE))]
const fn this_module() -> *mut bindings::module {
    core::ptr::null_mut()
}

/// Waits until nobody holds this module but who is loading it. For an `init` that fails: nobody can
/// come any more, but the kernel does not wait for who is there (`do_init_module()` in
/// `kernel/module/main.c`).
#[cfg(all(MODULE, CONFIG_MODULE_UNLOAD))]
pub(crate) fn wait_for_last_reference() {
    // SAFETY: It is this module, which is not freed before `init` returns.
    while unsafe { bindings::module_refcount(THIS_MODULE) } > 1 {
        fsleep(Delta::from_millis(1));
    }
}

/// What is built in is not freed; where modules are never unloaded nobody counts who holds one, and
/// nothing of it is looked at when it is given back.
#[cfg(not(all(MODULE, CONFIG_MODULE_UNLOAD)))]
pub(crate) fn wait_for_last_reference() {}
