// SPDX-License-Identifier: GPL-2.0

//! A fuzzer of system calls on `/dev/umsg`. Run as root in a booted kernel, with `umsg.ko` in the
//! working folder and the module not loaded; prints TAP.
//!
//! Several processes of two threads each make calls that are drawn from a seed (`draw`): all
//! operations of the device, in text and in binary format, with valid and invalid arguments, on
//! files of one thread and on shared files. Some calls add and remove named logs while other
//! threads have files of these logs open (`logs`). One more process is killed and restarted all the
//! time. Every result is checked: errors against the errors that the call may return (`rules.rs`),
//! records against their seals (`seal.rs`), results of binary writes against their entries
//! (`entries.rs`), read positions, losses and counters against their invariants (`audit.rs`), seeks
//! by time against the times of all records (`times.rs`), and after each round the counters of the
//! logs against the accounts of all calls (`account.rs`). At the end, kmemleak must not report a
//! leak, if the kernel has it.
//!
//! The same seed makes every thread make the same calls in the same order. Only the interleaving of
//! the threads differs. A failure prints the seed and the last calls of each thread.

#[path = "../device/client/mod.rs"]
#[expect(dead_code, reason = "the tests of the device use all of it")]
mod abi;
mod account;
mod arena;
mod audit;
mod calls;
mod coverage;
mod draw;
mod entries;
mod files;
mod ioctl;
#[path = "../device/kmod.rs"]
#[expect(dead_code, reason = "the tests of the device use all of it")]
mod kernel;
mod lines;
mod logs;
#[path = "../../host/model/mod.rs"]
#[expect(dead_code, reason = "the tests of the host use all of it")]
mod model;
mod module;
mod outcome;
mod perform;
mod poll;
#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
mod round;
mod rules;
mod seal;
mod shared;
mod sockets;
mod stream;
#[path = "../../host/sys.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod sys;
mod tally;
mod target;
mod times;
mod transfer;
mod uring;
mod worker;
mod write;

use shared::{Shared, LANE, LANES};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: fuzz [--seed N] [--calls N] [--threads N] [--reload] [--hang SECONDS]

    --seed N        seed of the random calls (default: the time)
    --calls N       number of calls (default: 100000), without the calls of the process that is
                    killed and of child processes
    --threads N     number of threads, two in each process (default: 6)
    --reload        reload the module now and then, with other valid and invalid parameters
    --hang SECONDS  fail if a call takes this long (default: 30)";

/// The command line options.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    pub calls: u64,
    pub threads: usize,
    pub reload: bool,
    pub hang: u64,
}

fn options() -> Result<Options, String> {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = time.map_or(0, |time| time.as_secs());
    let mut options = Options { seed, calls: 100_000, threads: 6, reload: false, hang: 30 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number = |least: u64, most: u64| {
            let word = arguments.next().unwrap_or_default();
            let number: Option<u64> = word.parse().ok();
            number
                .filter(|number| (least..=most).contains(number))
                .ok_or(format!("{name} needs a number from {least} to {most}, not \"{word}\""))
        };
        match name.as_str() {
            "--seed" => options.seed = number(0, u64::MAX)?,
            "--calls" => options.calls = number(1, 1 << 40)?,
            "--threads" => options.threads = number(2, 32)? as usize & !1,
            "--reload" => options.reload = true,
            "--hang" => options.hang = number(1, 3600)?,
            _ => return Err(format!("unknown argument \"{name}\"")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("fuzz: {why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let shared = Shared::new();
    // A failed check ends the process of its thread. The supervisor notices that.
    std::panic::set_hook(Box::new(move |info| {
        shared.fail(&info.to_string());
        if LANE.get() != LANES {
            // SAFETY: The call only ends the process.
            unsafe { libc::_exit(101) }
        }
    }));
    println!("TAP version 13\n1..1");
    let start = Instant::now();
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| round::all(&options, shared)));
    let seconds = start.elapsed().as_secs_f64();
    let rounds = *done.as_ref().unwrap_or(&0);
    let mut failure = shared.failure();
    if done.is_err() || shared.total() < options.calls {
        failure = failure.or(Some("ended before all calls were made".into()));
    }
    if failure.is_none() && kernel::finds_leaks() {
        failure = Some(kernel::leaks()).filter(|report| !report.is_empty());
    }
    if let Some(why) = &failure {
        for line in why.lines() {
            println!("# {line}");
        }
    }
    let cpus = std::thread::available_parallelism().expect("the number of CPUs");
    let word = if failure.is_some() { "not ok" } else { "ok" };
    println!("{word} 1 fuzz.calls");
    println!(
        "# seed {}, {cpus} CPUs, {rounds} rounds, {seconds:.0} s, {:.0} calls/s, fingerprint {:016x}",
        options.seed,
        shared.total() as f64 / seconds,
        shared.fingerprint.load(std::sync::atomic::Ordering::Relaxed)
    );
    println!("# {}", shared.summary());
    shared.covered.print();
    ExitCode::from(u8::from(failure.is_some()))
}
