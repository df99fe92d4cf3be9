// SPDX-License-Identifier: GPL-2.0

//! The boundary to the kernel: interfaces that the kernel crate does not offer yet. All `unsafe`
//! code of the module is here, and no other folder uses `kernel::bindings`.
//!
//! Each file offers a safe interface, names its C counterpart, and is removed when the kernel crate
//! offers the same. Of the rest of the crate, these files use only [`crate::pure`]. [`buffer`]
//! needs no kernel type: [`crate::pure`] uses it, and it also compiles on the host.

pub(crate) mod buffer;
pub(crate) mod file_operations;
pub(crate) mod global_mutex;
pub(crate) mod memory;
pub(crate) mod miscdevice;
pub(crate) mod module_param;
pub(crate) mod random;
pub(crate) mod task;
pub(crate) mod this_module;
pub(crate) mod user_buf;
pub(crate) mod wait;
