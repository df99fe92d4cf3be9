// SPDX-License-Identifier: GPL-2.0

//! Records, the ring that holds them, the formats in which they are written and read, and the
//! values of parameters: safe Rust without a kernel type. It also compiles on the host, for tests
//! that compare it with simple models, for fuzzing, Miri and benchmarks.
//!
//! Of the other rooms it uses only [`crate::sys::buffer`].

#![forbid(unsafe_code)]

mod chunks;
pub(crate) mod entry;
pub(crate) mod kmsg_format;
pub(crate) mod line;
pub(crate) mod record;
pub(crate) mod ring;
pub(crate) mod style;
pub(crate) mod value;
