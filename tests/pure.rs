// SPDX-License-Identifier: GPL-2.0

//! The module's pure code, for programs of the host that check or measure it. Its files look for
//! each other at the root of the crate, so that is where `use pure::*` belongs, beside `mod pure`.

#![allow(dead_code, reason = "no program uses all of it")]

#[path = "../src/kernel/buffer.rs"]
pub(crate) mod buffer;
#[path = "../src/line.rs"]
pub(crate) mod line;
#[path = "../src/record.rs"]
pub(crate) mod record;
#[path = "../src/ring.rs"]
pub(crate) mod ring;
#[path = "../src/style.rs"]
pub(crate) mod style;
#[path = "../src/text.rs"]
pub(crate) mod text;
#[path = "../src/value.rs"]
pub(crate) mod value;
