// SPDX-License-Identifier: GPL-2.0

//! A model of the wake-up protocol of `src/log.rs`, `src/file` and `src/sys/wait.rs`. loom runs it
//! in every order of its threads up to a number of preemptions. A reader that is never woken is a
//! deadlock, which loom reports.
//!
//! The model uses the module's names:
//!
//! - `Log::state`, a spinlock, is a mutex. The ring is reduced to the next sequence number.
//! - `Log::queue` is a list of relays, protected by a lock. A check whether the list is empty needs
//!   no lock, like `WaitQueue::is_active`.
//! - `Relay::waiters` is a list of waiters. A waiter is on the list from `add` to `retain`. A
//!   wake-up sets the flag of each waiter, as the kernel sets the state of a task.
//! - `Reader::cursor` is a mutex. Copies to user memory are left out, because no lock is held
//!   there.
//!
//! The wait queues have the kernel's guarantees: `prepare_to_wait()` adds the waiter unless it is
//! queued, and sets its state; a later wake-up resets the state. Spurious wake-ups and signals are
//! left out, because they only make a waiter check its condition again. Records are never
//! overwritten; `tests/host/pure` tests the ring.
//!
//! Each step whose order matters can be left out ([`Bug`]), and loom must find the resulting
//! deadlock. This shows that the model can fail.

mod model;
mod scenes;

use scenes::*;
use std::process::Command;

/// A step that is left out, or done in another order than in the module.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    /// None: the order of the module.
    None,
    /// A reader checks its condition before it is added to the queues.
    ChecksFirst,
    /// The relay is added to the log's queue before the waiter is added to the relay.
    JoinsFirst,
    /// The relay is added to the log's queue for its first waiter only.
    JoinsOnce,
    /// A wake-up removes the waiter from the relay's queue.
    LeavesWhenWoken,
    /// A reader does not check whether the cursor has moved.
    IgnoresSeek,
    /// `poll` checks for a record before it is added to the queues.
    PollLooksFirst,
    /// `poll` reads the cursor before it is added to the queues.
    PollTakesPositionFirst,
    /// `append` checks the log's queue before it stores the record.
    AsksQueueFirst,
    /// A wake-up removes relays without waiters after it has released the lock.
    TakesOutLater,
    /// `seek` wakes waiters before it moves the cursor.
    WakesBeforeMove,
}

/// Runs `scene` in every order of its threads with at most `preemptions` preemptions.
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

/// Uses fewer preemptions, because three threads have more orders.
#[test]
fn three_threads() {
    for scene in [read_two, two_readers, shared_cursor, read_and_poll] {
        explore(2, move || scene(Bug::None));
    }
}

/// Each bug, and the scene in which it leaves a thread asleep.
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

/// Checks that loom finds each bug. Each bug runs in its own process, because loom aborts the
/// process that finds it.
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
        let output_text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{bug:?} was not found");
        assert!(output_text.contains("deadlock"), "{bug:?} did not deadlock: {output_text}");
    }
}
