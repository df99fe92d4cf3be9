// SPDX-License-Identifier: GPL-2.0

//! Tests of the device as user programs see it. Runs as root in a guest with `umsg` installed for
//! modprobe and `umsg.ko` in the working directory; prints KTAP.
//!
//! On the host, `scripts/test device` runs all tests. To run the tests whose names contain a text:
//!
//! ```text
//! tests/guest/device/run loss.clear
//! tests/guest/device/run --kernel debug poll. seek.
//! ```
//!
//! To add a test, write a function without arguments that panics on failure, and add a
//! [`Test::new`] with its name to the list `TESTS` of the same file. The part of the name before
//! the dot is the name of the file or folder. Methods of [`Test`] set the module's parameters and
//! the kernel warnings that the test causes. Text that a test prints to standard output is shown as
//! TAP diagnostics. Add the list of a new file to [`tests`].
//!
//! On a kernel with the module built in (`tests/guest/built-in/run`), the tests that need no
//! loadable module run, each in a boot of its own.

mod binary;
mod client;
mod errors;
mod faults;
mod harness;
mod identity;
mod kmod;
mod leaks;
mod lifecycle;
mod lines;
mod logs;
mod loss;
mod options;
mod parameters;
mod poll;
mod random;
mod seek;
mod sharing;
mod signals;
mod stalls;
mod stress;
mod text;

use harness::{rounds, skip, Test};
use std::process::ExitCode;

fn tests() -> Vec<Test> {
    let on_one_cpu = [
        errors::TESTS,
        errors::read_write::TESTS,
        text::TESTS,
        lines::TESTS,
        lines::partial::TESTS,
        loss::TESTS,
        parameters::TESTS,
        parameters::values::TESTS,
        parameters::sysfs::TESTS,
        logs::TESTS,
        lifecycle::TESTS,
        faults::TESTS,
    ];
    let on_all_cpus = [
        identity::TESTS,
        poll::TESTS,
        poll::epoll::TESTS,
        poll::io_uring::TESTS,
        signals::TESTS,
        sharing::TESTS,
        binary::TESTS,
        binary::write::TESTS,
        seek::TESTS,
        options::TESTS,
        stalls::TESTS,
        stress::TESTS,
        leaks::tests(),
    ];
    // Single tests in the first list can select all CPUs.
    let one = on_one_cpu.into_iter().flatten().cloned();
    let all = on_all_cpus.into_iter().flatten().map(|test| test.clone().on_all_cpus());
    one.chain(all).collect()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        // Tests run this program with `--write` as another user or as a set-uid program.
        (Some(flag), Some(text)) if flag == "--write" => {
            eprint!("{text}");
            ExitCode::SUCCESS
        }
        _ => harness::main(tests()),
    }
}
