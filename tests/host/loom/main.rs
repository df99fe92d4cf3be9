// SPDX-License-Identifier: GPL-2.0

//! A model of the wake-up protocol of `src/log.rs`, `src/file` and `src/sys/wait.rs`, under
//! loom: every order in which its threads can run is tried, up to a number of preemptions, and a
//! reader that is never woken is a deadlock, which loom reports.
//!
//! What is here has the name of what it stands for there:
//!
//! - `Log::state`, a spinlock, is a mutex; of the ring only the next sequence number counts.
//! - `Log::queue` is a list of the relays that have joined it, behind a lock. Whether it is empty
//!   can be read without the lock, as `WaitQueue::is_active` does.
//! - `Relay::waiters` is a list of waiters. A waiter is on it from when it was added until it is
//!   removed, and a wake-up sets the flag of each, as it sets the state of a task.
//! - `Reader::cursor` is a mutex. Copies to the user are left out: no lock is held there.
//!
//! The wait queues are modelled by what the kernel promises of them: `prepare_to_wait()` adds the
//! waiter if it is not there, and sets its state, which a wake-up after that resets. Spurious
//! wake-ups and signals only make a waiter look again, and are left out. Records are never
//! overwritten here: `tests/host/pure` holds the ring's own counts.
//!
//! A model that cannot fail shows nothing. So each step of the order that matters can be left out
//! ([`Bug`]), and loom must then find the run that goes wrong.

mod model;
mod scenes;

use scenes::*;
use std::process::Command;

/// What is left out, or done in another order than in the module.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    /// Nothing: as the module does it.
    None,
    /// A reader checks its condition before it is on the queues.
    ChecksFirst,
    /// The relay joins the log's queue before it has the waiter.
    JoinsFirst,
    /// The relay joins the log's queue for its first waiter alone.
    JoinsOnce,
    /// A wake-up takes the waiter out of the relay's queue.
    LeavesWhenWoken,
    /// A reader does not ask whether the cursor still is where it was.
    IgnoresSeek,
    /// `poll` looks before it is on the queues.
    PollLooksFirst,
    /// `poll` takes the cursor's position before it is on the queues.
    PollTakesPositionFirst,
    /// `append` looks at the log's queue before it stores the record.
    AsksQueueFirst,
    /// A wake-up takes out relays without waiters when it has released the lock.
    TakesOutLater,
    /// `seek` wakes before it moves the cursor.
    WakesBeforeMove,
}

/// Tries every order of `scene`'s threads in which at most so many times a thread is preempted.
fn explore(preemptions: usize, scene: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(scene);
}

#[test]
fn two_threads() {
    for scene in [
        read_and_append,
        read_the_second,
        read_the_second_again,
        read_and_seek,
        poll_and_append,
        poll_and_seek,
        poll_once,
    ] {
        explore(4, move || scene(Bug::None));
    }
}

/// The same for three threads, which have more orders.
#[test]
fn three_threads() {
    for scene in [read_two, two_readers, shared_cursor, read_and_poll] {
        explore(2, move || scene(Bug::None));
    }
}

/// What is left out, and the scene that must then go wrong: a thread that nobody wakes.
const BUGS: [(Bug, fn(Bug)); 10] = [
    (Bug::ChecksFirst, read_and_append),
    (Bug::JoinsFirst, read_the_second),
    (Bug::JoinsOnce, read_the_second_again),
    (Bug::LeavesWhenWoken, read_the_second_again),
    (Bug::IgnoresSeek, read_and_seek),
    (Bug::PollLooksFirst, poll_and_append),
    (Bug::PollTakesPositionFirst, poll_and_seek),
    (Bug::AsksQueueFirst, read_and_append),
    (Bug::TakesOutLater, read_the_second_again),
    (Bug::WakesBeforeMove, read_and_seek),
];

/// Each bug by itself is found: by a process of its own, because loom aborts where it finds one.
#[test]
fn every_bug_is_found() {
    const WHICH: &str = "UMSG_LOOM_BUG";
    if let Ok(number) = std::env::var(WHICH) {
        let (bug, scene) = BUGS[number.parse::<usize>().unwrap()];
        explore(4, move || scene(bug));
        return;
    }
    for (number, (bug, _)) in BUGS.iter().enumerate() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "every_bug_is_found", "--nocapture"])
            .env(WHICH, number.to_string())
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{bug:?} was not found");
        assert!(words.contains("deadlock"), "{bug:?} ended otherwise: {words}");
    }
}
