// SPDX-License-Identifier: GPL-2.0

//! What an operation costs, beside its peers on the same kernel. Run as root with umsg loaded, with
//! room for 4096 bytes in a record and 4 MiB of them; scripts/bench does that and makes tables of
//! what this prints: lines of `what`, `bytes`, `cost of one record`, with tabs between.
//!
//! The cost is counted in ticks of the time stamp counter: in a kernel booted by
//! `scripts/vm --icount` one tick is one guest instruction, exact and repeatable. With `--time` it
//! is nanoseconds, and `/dev/kmsg` is left alone. The median of several loops counts.

mod bpf;
mod calls;
mod cases;
mod growth;
mod log;
mod measure;
mod peers;
mod scale;

use measure::Unit;
use std::process::ExitCode;

const USAGE: &str = "usage: bench [--time | --growth | --scale]

    --time      nanoseconds, not instructions; without the kernel's own logs, which it would fill
    --growth    how costs grow with records, readers and logs, instead
    --scale     how throughput goes with writers and readers on several CPUs, instead";

/// How long the machine takes to settle after it was booted: figures before that are far too high.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(5);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let unit = match (arguments.next().as_deref(), arguments.next()) {
        (None, None) => Unit::Ticks,
        (Some("--time"), None) => Unit::Nanoseconds,
        (Some("--growth"), None) => {
            std::thread::sleep(SETTLE);
            growth::run(Unit::Ticks, |table, row, column, cost| {
                println!("{table}\t{row}\t{column}\t{cost:.1}");
            });
            return ExitCode::SUCCESS;
        }
        (Some("--scale"), None) => {
            scale::run();
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Once for nothing, then let the machine settle.
    cases::run(unit, |_, _, _| ());
    std::thread::sleep(SETTLE);
    cases::run(unit, |what, bytes, cost| println!("{what}\t{bytes}\t{cost:.1}"));
    ExitCode::SUCCESS
}
