// SPDX-License-Identifier: GPL-2.0

//! Records, the ring that stores them, the formats in which they are written and read, and the
//! values of parameters: safe Rust without a kernel type. It also compiles on the host, where
//! tests, fuzzing, Miri and benchmarks run it.
//!
//! Of the rest of the crate it uses only [`crate::sys::buffer`].

#![forbid(unsafe_code)]

mod chunks;
pub(crate) mod entry;
pub(crate) mod kmsg_format;
pub(crate) mod line;
pub(crate) mod record;
pub(crate) mod ring;
pub(crate) mod style;
pub(crate) mod value;
