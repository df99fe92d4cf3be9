// SPDX-License-Identifier: GPL-2.0

// The modules that each fuzz target compiles, by `include!`: `src/pure` refers to `crate::sys`, and
// the instrumentation of scripts/fuzz-host covers only the target's own crate.

#[path = "../model/mod.rs"]
#[allow(dead_code, reason = "no target uses all of it")]
mod model;
#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "no target uses all of it")]
mod pure;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "no target uses all of it")]
mod sys;
