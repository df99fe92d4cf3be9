// SPDX-License-Identifier: GPL-2.0

//! The supervisor: loads the module, starts and watches the processes, and checks the logs after
//! the processes have ended.

use crate::abi::NODE;
use crate::account::account;
use crate::coverage::Trace;
use crate::draw::{seed, Draw};
use crate::files::{COMMON_FD, COMMON_FLAGS};
use crate::kernel::{is_taint_notice, Message, Messages, WARNING};
use crate::logs::change::prepare_failures;
use crate::logs::finish::{Observers, Racer};
use crate::logs::Logs;
use crate::module::{self, Parameters};
use crate::shared::{Shared, LANES};
use crate::worker::{self, socket_pair, Round, THREADS};
use crate::Options;
use fastrand::Rng;
use nix::errno::Errno;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The number of calls in a round, if the module is reloaded after each round.
const ROUND: u64 = 6_000;

/// A process of the fuzzer.
struct Process {
    pid: i32,
    /// When the process is killed; `None` for a process that ends by itself.
    doomed: Option<Doom>,
}

/// When a process is killed. The number of calls makes its life independent of the machine's speed.
struct Doom {
    /// The total number of calls, of all processes.
    calls: u64,
    /// The latest time, because all threads may be waiting.
    time: Instant,
}

/// Runs all rounds, and returns their number. Panics if a check fails.
pub fn all(options: &Options, shared: &'static Shared) -> u64 {
    let mut messages = Messages::from_now();
    prepare_failures();
    // Disable modprobe, which `misc_open()` starts for the node of a removed log.
    std::fs::write("/proc/sys/kernel/modprobe", "\n").expect("no program for module requests");
    // Trace the load and the unload, which this thread does.
    let trace = Trace::start();
    let round_calls = if options.reload { ROUND } else { options.calls };
    let rounds = options.calls.div_ceil(round_calls);
    for number in 0..rounds {
        let seed = seed(&[options.seed, number]);
        let mut rng = Rng::with_seed(seed);
        let mut parameters = Parameters::USUAL;
        if options.reload {
            refuse_loads(&mut rng, &mut messages);
            // The address of the module in a rejected load is not known.
            if let Some(trace) = &trace {
                trace.forget();
            }
            parameters = Parameters::draw(&mut rng);
        }
        let calls = round_calls.min(options.calls - number * round_calls);
        one(options, shared, parameters, seed, calls, &mut rng);
        if let Some(trace) = &trace {
            trace.add_to(&shared.covered);
        }
        let (complaints, others): (Vec<_>, Vec<_>) =
            messages.all().into_iter().partition(is_complaint);
        let (failures, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(is_failed_allocation);
        quiet(&others);
        shared.logs.check_complaints(complaints.len() as u64);
        shared.logs.check_failures(failures.len() as u64);
        if let Some(why) = shared.failure() {
            panic!("{why}");
        }
    }
    rounds
}

/// Tries to load the module with invalid parameters. Each load must fail, and the module must log
/// exactly one line at warning level or above.
fn refuse_loads(rng: &mut Rng, messages: &mut Messages) {
    for _ in 0..rng.usize(..3) {
        quiet(&messages.all());
        let words = module::load_refused(rng);
        let said = messages.all();
        let complaints = said.iter().filter(|message| message.level <= WARNING);
        let (ours, others): (Vec<_>, Vec<_>) = complaints
            .filter(|message| !is_taint_notice(&message.text))
            .partition(|message| message.text.starts_with("umsg: "));
        assert!(
            ours.len() == 1 && others.is_empty(),
            "load with {words}: the kernel said {said:?}"
        );
        assert!(!std::path::Path::new(NODE).exists(), "load with {words} left {NODE} behind");
    }
}

/// Returns whether a message is from the module, about a change of the logs that was rejected or
/// for which there was no memory.
fn is_complaint(message: &Message) -> bool {
    ["umsg: logs=", "umsg: capacity="].iter().any(|start| message.text.starts_with(start))
}

/// Returns whether a message is from another part of the kernel, about an allocation that failed
/// because of fault injection while a log was added: the device node was not created, or kmemleak
/// scans a whole object.
fn is_failed_allocation(message: &Message) -> bool {
    let text = &message.text;
    text.starts_with("kobject: kobject_add_internal failed for umsg")
        && text.contains("(error: -12 ")
        || text.starts_with("kmemleak: Cannot allocate a scan area, scanning the full object")
}

/// Checks that no message has warning level or above.
fn quiet(said: &[Message]) {
    for message in said {
        let good = message.level > WARNING || is_taint_notice(&message.text);
        assert!(good, "the kernel said: {}", message.text);
    }
}

/// Runs one round, from the load of the module to its unload.
fn one(
    options: &Options,
    shared: &'static Shared,
    parameters: Parameters,
    seed: u64,
    calls: u64,
    rng: &mut Rng,
) {
    module::load(&parameters);
    shared.covered.loaded();
    let observer = open_files();
    shared.logs.reset(&parameters);
    let across = socket_pair();
    let mut observers = Observers::new();
    // The process that is killed uses the lanes after the lanes of the other threads.
    let children = options.threads + THREADS;
    let sockets = observers.sockets;
    let round = Round { shared, parameters, seed, children, across, observers: sockets };
    let before = (shared.writes.stored.load(Relaxed), shared.writes.refused.load(Relaxed));
    shared.writes.open.store(0, Relaxed);
    shared.writes.open_refused.store(0, Relaxed);
    let each = calls.div_ceil(options.threads as u64);
    let mut processes: Vec<Process> = (0..options.threads / THREADS)
        .map(|index| Process { pid: start(round, index * THREADS, each), doomed: None })
        .collect();
    let mut lives = 0;
    let mut watch = Watch::new(options.hang);
    while processes.iter().any(|process| process.doomed.is_none()) {
        if !processes.iter().any(|process| process.doomed.is_some()) {
            lives += 1;
            let seed = crate::draw::seed(&[seed, lives]);
            let pid = start(Round { seed, ..round }, options.threads, u64::MAX);
            let calls = shared.total() + rng.u64(5..400);
            let time = Instant::now() + Duration::from_secs(10);
            processes.push(Process { pid, doomed: Some(Doom { calls, time }) });
        }
        processes.retain(|process| !ended(process, shared));
        observers.receive();
        std::thread::sleep(Duration::from_millis(5));
        if let Some(lane) = watch.hung(shared) {
            shared.fail(&format!("the call of thread {lane} does not return"));
            print_states(shared);
        }
        if shared.failure().is_some() {
            processes.iter().for_each(kill);
            print_last_calls(shared);
            panic!("a thread failed");
        }
    }
    processes.iter().for_each(kill);
    (0..LANES).for_each(|lane| shared.leave(lane));
    let close = |fd| {
        // SAFETY: The descriptor belongs to this process.
        unsafe { libc::close(fd) };
    };
    // Closing the files stores their partial lines.
    across.into_iter().chain(COMMON_FD..COMMON_FD + 4).for_each(close);
    observers.close();
    module::wait_for_users(1 + observers.count());
    account(0, &parameters, shared, (&shared.writes, before), observer, seed);
    observers.account(&parameters, shared, seed);
    let mut draw = Draw::new(seed, parameters, false);
    observers.change(shared, &mut draw, observer);
    drop(observers);
    close(observer);
    let racers =
        [0, 1].map(|index| Racer::start(shared, options.threads + index, seed ^ index as u64));
    unload();
    racers.into_iter().for_each(Racer::join);
    Logs::leave_nothing();
}

/// Opens the common files at their descriptor numbers. Returns a reader that is not used before the
/// end of the round.
fn open_files() -> i32 {
    // SAFETY: The path is a NUL-terminated string.
    let open = |flags| unsafe { libc::open(c"/dev/umsg".as_ptr(), flags | libc::O_CLOEXEC) };
    for (number, flags) in (COMMON_FD..).zip(COMMON_FLAGS) {
        let fd = open(flags);
        assert!(fd >= 0, "open {NODE}: {}", Errno::last());
        // SAFETY: The descriptors belong to this process.
        unsafe {
            assert_eq!(libc::dup3(fd, number, libc::O_CLOEXEC), number);
            libc::close(fd);
        }
    }
    open(libc::O_RDONLY | libc::O_NONBLOCK)
}

fn start(round: Round, lane: usize, calls: u64) -> i32 {
    // SAFETY: This process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", Errno::last());
    if pid == 0 {
        // SAFETY: The calls take only numbers. The process is killed when its parent ends, and has
        // a process group of its own, to which its children belong.
        unsafe {
            libc::setpgid(0, 0);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
        // A failure before the threads have their own lanes is attributed to the first lane.
        crate::LANE.set(lane);
        worker::process(round, lane, calls);
    }
    pid
}

/// Returns whether a process has ended. Kills it if it is time to.
fn ended(process: &Process, shared: &Shared) -> bool {
    let mut status = 0;
    // SAFETY: The call writes to `status`.
    if unsafe { libc::waitpid(process.pid, &mut status, libc::WNOHANG) } == process.pid {
        if status != 0 {
            shared.fail(&format!("a process ended by itself, with {status:#x}"));
            // Kill the children that it left.
            kill(process);
        }
        return true;
    }
    let over = process
        .doomed
        .as_ref()
        .is_some_and(|doom| shared.total() >= doom.calls || Instant::now() >= doom.time);
    if over {
        kill(process);
    }
    over
}

/// Kills a process and its children, and waits for its end.
fn kill(process: &Process) {
    // SAFETY: The calls take only numbers and a null pointer. The process group contains only the
    // process and its children.
    unsafe {
        libc::kill(-process.pid, libc::SIGKILL);
        libc::kill(process.pid, libc::SIGKILL);
        // Limit the wait, because a process that hangs in the kernel does not end.
        for _ in 0..1000 {
            if libc::waitpid(process.pid, std::ptr::null_mut(), libc::WNOHANG) != 0 {
                break;
            }
            libc::usleep(5000);
        }
    }
}

/// A detector of calls that do not return.
struct Watch {
    hang: Duration,
    seen: [(u64, Instant); LANES],
}

impl Watch {
    fn new(seconds: u64) -> Self {
        Self { hang: Duration::from_secs(seconds), seen: [(0, Instant::now()); LANES] }
    }

    /// Returns a lane whose call takes too long.
    fn hung(&mut self, shared: &Shared) -> Option<usize> {
        let now = Instant::now();
        (0..LANES).find(|lane| {
            let seen = &mut self.seen[*lane];
            match shared.in_call(*lane) {
                Some(number) if number == seen.0 => {
                    // The child of a killed process is killed in a call, and no other process marks
                    // the end of that call before the lane is used again.
                    now - seen.1 > self.hang && shared.is_alive(*lane)
                }
                number => {
                    *seen = (number.unwrap_or(0), now);
                    false
                }
            }
        })
    }
}

/// Prints the state and the kernel stack of each thread.
fn print_states(shared: &Shared) {
    for (lane, tid) in shared.lanes.iter().map(|lane| lane.tid.load(Relaxed)).enumerate() {
        if tid != 0 {
            let read = |name: &str| {
                let file = std::fs::read_to_string(format!("/proc/{tid}/{name}"));
                file.unwrap_or_else(|error| format!("{error}\n"))
            };
            let status = read("status");
            let state = status.lines().find(|line| line.starts_with("State")).unwrap_or("gone");
            println!("# thread {lane} (tid {tid}): {state}, {}", read("syscall").trim());
            read("stack").lines().for_each(|line| println!("#     {line}"));
        }
    }
}

fn print_last_calls(shared: &Shared) {
    for lane in 0..LANES {
        let calls = shared.last_calls(lane);
        if !calls.is_empty() {
            println!("# the last calls of thread {lane}:");
            calls.iter().for_each(|call| println!("#     {call}"));
        }
    }
}

/// Unloads the module. Retries while a kernel worker still has to release files that io_uring used.
fn unload() {
    let start = Instant::now();
    while let Err(error) = module::unload() {
        assert_eq!(error, Errno::EAGAIN, "unload");
        assert!(start.elapsed() < Duration::from_secs(20), "the module is still in use");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!std::path::Path::new(NODE).exists(), "{NODE} is still there");
}
