// SPDX-License-Identifier: GPL-2.0

//! The structure that the kernel has of this module.
//!
//! `module!` makes a constant of it: in Linux 7.2 at the root of the crate, in 7.3 as a part of
//! `ModuleMetadata`. Here it is found as both do it, so that one source is for both.

use kernel::bindings;
#[cfg(MODULE)]
use kernel::types::Opaque;

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
