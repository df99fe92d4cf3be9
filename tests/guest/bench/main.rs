// SPDX-License-Identifier: GPL-2.0

//! Measures the cost of umsg and of its peers on the same kernel. Runs as root with umsg loaded
//! with `capacity=16M record_max=4K`. Prints lines of name, size and cost of one record, separated
//! by tabs, from which scripts/bench makes tables.
//!
//! The unit is a tick of the time stamp counter. In a kernel booted by `scripts/vm --icount`, one
//! tick is one guest instruction, which is exact and repeatable. With `--time` the unit is a
//! nanosecond, and `/dev/kmsg`, the tracer and BPF are not measured. Each cost is the median of
//! several loops.

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

    --time      measure nanoseconds, and leave out the kernel's own logs, which it would fill
    --growth    measure how costs grow with records, readers and logs
    --scale     measure throughput by writers and readers on several CPUs";

/// The time to wait after boot, because the first costs are too high.
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
    // Warm up, and let the system settle.
    cases::run(unit, |_, _, _| ());
    std::thread::sleep(SETTLE);
    cases::run(unit, |what, bytes, cost| println!("{what}\t{bytes}\t{cost:.1}"));
    ExitCode::SUCCESS
}
