// SPDX-License-Identifier: GPL-2.0

//! The part of `src/sys` that `src/pure` uses, for programs that cargo builds with `src/pure`.

#[path = "../../src/sys/buffer.rs"]
pub(crate) mod buffer;
