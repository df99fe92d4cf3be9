// SPDX-License-Identifier: GPL-2.0

//! Prints the records of a log and waits for others, as dist/examples/follow.c does in C.
//!
//! usage: follow [LOG]

use std::process::ExitCode;
use umsg::Log;

fn follow(name: &str) -> umsg::Result<()> {
    let mut reader = Log::named(name).reader()?;
    for record in reader.follow() {
        let record = record?;
        if record.lost > 0 {
            println!("-- {} records lost --", record.lost);
        }
        let text = String::from_utf8_lossy(&record.text);
        println!("[{:.6}] {}: {text}", record.time.as_secs_f64(), record.comm());
    }
    Ok(())
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match follow(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("follow: {error}");
            ExitCode::FAILURE
        }
    }
}
