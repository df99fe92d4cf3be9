// SPDX-License-Identifier: GPL-2.0

//! The part of `src/sys` that `src/pure` uses, for programs that compile `src/pure` on the host.

#[path = "../../src/sys/buffer.rs"]
pub(crate) mod buffer;
