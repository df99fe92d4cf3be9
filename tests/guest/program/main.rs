// SPDX-License-Identifier: GPL-2.0

//! Tests of the program `umsg` and of its library. Runs as root in a guest with the program and
//! `umsg.ko` in the working directory; prints KTAP. `tests/guest/program/run` boots the guest. The
//! tests are added as those of the device: see `tests/guest/device/main.rs`.

#[path = "../device/harness.rs"]
mod harness;
#[path = "../device/kmod.rs"]
#[allow(dead_code, reason = "the tests need a part of it")]
mod kmod;

mod command;
mod errors;
mod follow;
mod library;
mod show;
mod state;
mod terminal;
mod write;

use nix::sys::signal::{SigHandler, Signal};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A shell starts programs in the background with SIGINT ignored, and the tests send it.
    // SAFETY: The default action is no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGINT, SigHandler::SigDfl) }.expect("signal");
    let lists = [
        library::TESTS,
        show::TESTS,
        write::TESTS,
        errors::TESTS,
        follow::TESTS,
        state::TESTS,
        terminal::TESTS,
    ];
    harness::main(lists.into_iter().flatten().map(|test| test.clone().on_all_cpus()).collect())
}
