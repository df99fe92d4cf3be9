// SPDX-License-Identifier: GPL-2.0

//! Tests of the module's pure code, which compare it with reference models.

mod buffer;
mod entry;
mod line;
#[path = "../model/mod.rs"]
mod model;
#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
mod record;
mod ring;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod sys;
mod value;
