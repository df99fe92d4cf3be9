// SPDX-License-Identifier: GPL-2.0

//! The `struct module` of this module, and its reference count.
//!
//! `module!` declares it as a constant: in Linux 7.2 in the root of the crate, in 7.3 as a part of
//! `ModuleMetadata`. The declaration here works with both.

use kernel::bindings;
#[cfg(all(MODULE, CONFIG_MODULE_UNLOAD))]
use kernel::time::{
    delay::fsleep,
    Delta, //
};
#[cfg(MODULE)]
use kernel::types::Opaque;

/// The version that `modinfo -F version` and `/sys/module/umsg/version` show. `module!` has no
/// field for it. C counterpart: `MODULE_VERSION`.
#[cfg(MODULE)]
#[link_section = ".modinfo"]
#[used(compiler)]
static VERSION: [u8; 14] = *b"version=1.0.0\0";

/// The `struct module` of this module, or null if it is built in. C counterpart: `THIS_MODULE`
/// (`include/linux/init.h`).
pub(crate) const THIS_MODULE: *mut bindings::module = this_module();

#[cfg(MODULE)]
const fn this_module() -> *mut bindings::module {
    extern "C" {
        static __this_module: Opaque<u8>;
    }
    // SAFETY: The module loader initialises `__this_module`, which stays valid until this code is
    // unloaded. Only its address is used.
    unsafe { __this_module.get() }.cast()
}

#[cfg(not(MODULE))]
const fn this_module() -> *mut bindings::module {
    core::ptr::null_mut()
}

/// Waits until the loading task holds the only module reference. Called by a failing `init` after
/// it unregisters a device, because `do_init_module()` in `kernel/module/main.c` frees the module
/// without waiting for tasks whose `open()` was rejected.
#[cfg(all(MODULE, CONFIG_MODULE_UNLOAD))]
pub(crate) fn wait_for_last_reference() {
    // SAFETY: `THIS_MODULE` is valid: this module is not freed before `init` returns.
    while unsafe { bindings::module_refcount(THIS_MODULE) } > 1 {
        fsleep(Delta::from_millis(1));
    }
}

/// Nothing to wait for: built-in code is never freed, and without `CONFIG_MODULE_UNLOAD` there are
/// no reference counts, so that `module_put()` does not access the module.
#[cfg(not(all(MODULE, CONFIG_MODULE_UNLOAD)))]
pub(crate) fn wait_for_last_reference() {}
