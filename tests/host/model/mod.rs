// SPDX-License-Identifier: GPL-2.0

//! Reference models of the module's pure code: simple implementations. The tests and the fuzz
//! targets compare the module's code with them.

#![allow(unused_imports, reason = "no user needs all of it")]

mod format;
mod ring;
mod write;

pub use format::*;
pub use ring::*;
pub use write::*;
