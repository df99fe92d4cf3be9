// SPDX-License-Identifier: GPL-2.0

//! What an operation costs, beside its peers on the same kernel. Run as root with umsg loaded, with
//! room for 4096 bytes in a record and 4 MiB of them; scripts/bench does that and makes tables of
//! what this prints: lines of `what`, `bytes`, `cost of one record`, with tabs between.
//!
//! The cost is counted in ticks of the time stamp counter: in a kernel booted by
//! `scripts/vm --icount` one tick is one guest instruction, exact and repeatable. With `--time` it
//! is nanoseconds, and `/dev/kmsg` is left alone. The median of several loops counts.

mod cases;
mod measure;
mod scale;

use measure::Unit;
use std::process::ExitCode;

const USAGE: &str = "usage: bench [--time | --scale]

    --time      nanoseconds, not instructions; without /dev/kmsg, which it would fill
    --scale     how throughput goes with writers and readers on several CPUs, instead";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let unit = match (arguments.next().as_deref(), arguments.next()) {
        (None, None) => Unit::Ticks,
        (Some("--time"), None) => Unit::Nanoseconds,
        (Some("--scale"), None) => {
            scale::run();
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Once for nothing, then let the machine settle: figures right after boot are far too high.
    cases::run(unit, |_, _, _| ());
    std::thread::sleep(std::time::Duration::from_secs(5));
    cases::run(unit, |what, bytes, cost| println!("{what}\t{bytes}\t{cost:.1}"));
    ExitCode::SUCCESS
}
