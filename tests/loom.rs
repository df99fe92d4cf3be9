// SPDX-License-Identifier: GPL-2.0

//! A model of the lock-and-wake protocol of `src/log.rs` and `src/reader.rs`, under loom: every
//! order in which its threads can run is tried, and a reader that is never woken is a deadlock,
//! which loom reports.
//!
//! What is here has the name of what it stands for there:
//!
//! - `Log::state`, a spinlock, is a mutex; of the ring only the next sequence number counts.
//! - `Log::readers`, a `CondVar`, and `Log::pollers`, a `PollQueue`, are each a [`Queue`]: a waiter
//!   is on it from when it joins until it leaves, and a wake-up sets the flag of all its waiters.
//!   Whether it has any can be read without its lock, as `PollQueue::is_active` does.
//! - `Reader::cursor` is a mutex. Copies to the user are left out: no lock is held there.
//!
//! The wait queue is modelled by what the kernel promises of it: `prepare_to_wait()` is ordered
//! before the waiter's next look, and a wake-up after that ends its sleep. Spurious wake-ups and
//! signals only make a waiter look again, and are left out. Records are never overwritten here:
//! `tests/host.rs` holds the ring's own counts.
//!
//! A model that cannot fail shows nothing. So each step of the order that matters can be left out
//! ([`Bug`]), and loom must then find the run that goes wrong.

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::process::Command;

/// What is left out, or done in another order than in the module.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    /// Nothing: as the module does it.
    None,
    /// `wait` joins the queue after it has released the lock.
    SleepsUnqueued,
    /// `wait` does not set the flag.
    SetsNoFlag,
    /// `wait` sets the flag once, not again after each wake-up.
    SetsFlagOnce,
    /// `wait` does not ask whether the cursor still is where it was.
    IgnoresSeek,
    /// `poll` looks before it joins the queue.
    PollLooksFirst,
    /// `poll` takes the cursor's position before it joins the queue.
    PollTakesPositionFirst,
    /// `append` takes the flag before it stores the record, under the lock of its own.
    TakesFlagFirst,
    /// `append` looks for callers of `poll` before it stores the record.
    AsksPollersFirst,
    /// `wake` does not go through the lock.
    WakesUnlocked,
    /// `seek` wakes before it moves the cursor.
    WakesBeforeMove,
}

/// One who waits.
struct Waiter {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Waiter {
    fn new() -> Arc<Self> {
        Arc::new(Self { woken: Mutex::new(false), changed: Condvar::new() })
    }

    /// Sleeps until woken since it joined.
    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
    }

    /// Forgets that it was woken.
    fn forget(&self) {
        *self.woken.lock().unwrap() = false;
    }
}

/// A wait queue.
struct Queue {
    waiters: Mutex<Vec<Arc<Waiter>>>,
    /// How many there are, for [`Queue::is_active`].
    count: AtomicUsize,
}

impl Queue {
    fn new() -> Self {
        Self { waiters: Mutex::new(Vec::new()), count: AtomicUsize::new(0) }
    }

    /// `prepare_to_wait()`, or the first `poll_wait()`.
    fn join(&self, waiter: &Arc<Waiter>) {
        let mut queue = self.waiters.lock().unwrap();
        *waiter.woken.lock().unwrap() = false;
        if !queue.iter().any(|other| Arc::ptr_eq(other, waiter)) {
            queue.push(waiter.clone());
        }
        self.count.store(queue.len(), Relaxed);
    }

    /// `waitqueue_active()`
    fn is_active(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// `finish_wait()`
    fn leave(&self, waiter: &Arc<Waiter>) {
        let mut queue = self.waiters.lock().unwrap();
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        self.count.store(queue.len(), Relaxed);
    }

    /// `wake_up_all()`
    fn notify_all(&self) {
        for waiter in self.waiters.lock().unwrap().iter() {
            *waiter.woken.lock().unwrap() = true;
            waiter.changed.notify_all();
        }
    }
}

struct State {
    /// The sequence number that the next record will get.
    next: u64,
    waiting: bool,
}

struct Log {
    state: Mutex<State>,
    readers: Queue,
    pollers: Queue,
    bug: Bug,
}

impl Log {
    /// A log with `next` records in it.
    fn new(next: u64, bug: Bug) -> Self {
        Self {
            state: Mutex::new(State { next, waiting: false }),
            readers: Queue::new(),
            pollers: Queue::new(),
            bug,
        }
    }

    fn append(&self) {
        let taken_first = self.bug == Bug::TakesFlagFirst
            && std::mem::take(&mut self.state.lock().unwrap().waiting);
        let active_first = self.bug == Bug::AsksPollersFirst && self.pollers.is_active();
        let waiting = {
            let mut state = self.state.lock().unwrap();
            state.next += 1;
            if self.bug == Bug::TakesFlagFirst {
                taken_first
            } else {
                std::mem::take(&mut state.waiting)
            }
        };
        if waiting {
            self.readers.notify_all();
        }
        if active_first || self.bug != Bug::AsksPollersFirst && self.pollers.is_active() {
            self.pollers.notify_all();
        }
    }

    fn wait(&self, from: u64, still: impl Fn() -> bool) {
        let waiter = Waiter::new();
        let mut state = self.state.lock().unwrap();
        let mut first = true;
        while from >= state.next && (self.bug == Bug::IgnoresSeek || still()) {
            if self.bug != Bug::SetsNoFlag && (first || self.bug != Bug::SetsFlagOnce) {
                state.waiting = true;
            }
            first = false;
            // `wait_interruptible()`: on the queue, then the lock is released, then sleep.
            if self.bug == Bug::SleepsUnqueued {
                drop(state);
                self.readers.join(&waiter);
            } else {
                self.readers.join(&waiter);
                drop(state);
            }
            waiter.sleep();
            self.readers.leave(&waiter);
            state = self.state.lock().unwrap();
        }
    }

    fn wake(&self) {
        if self.bug != Bug::WakesUnlocked {
            drop(self.state.lock().unwrap());
        }
        self.readers.notify_all();
        self.pollers.notify_all();
    }

    /// Returns whether there is a record.
    fn poll(&self, waiter: &Arc<Waiter>, position: impl Fn() -> u64) -> bool {
        let early = (self.bug == Bug::PollTakesPositionFirst).then(&position);
        if self.bug != Bug::PollLooksFirst {
            self.pollers.join(waiter);
        }
        let next = self.state.lock().unwrap().next;
        let readable = early.unwrap_or_else(position) < next;
        if self.bug == Bug::PollLooksFirst {
            self.pollers.join(waiter);
        }
        readable
    }
}

struct Reader {
    log: Arc<Log>,
    cursor: Mutex<u64>,
}

impl Reader {
    fn new(log: &Arc<Log>, cursor: u64) -> Arc<Self> {
        Arc::new(Self { log: log.clone(), cursor: Mutex::new(cursor) })
    }

    /// Reads the next record and returns its sequence number.
    fn read(&self) -> u64 {
        loop {
            let start = *self.cursor.lock().unwrap();
            let there = start < self.log.state.lock().unwrap().next;
            if !there {
                self.log.wait(start, || *self.cursor.lock().unwrap() == start);
                continue;
            }
            // Here the record is copied to the user.
            let mut cursor = self.cursor.lock().unwrap();
            if *cursor == start {
                *cursor = start + 1;
                return start;
            }
        }
    }

    fn seek(&self, to: u64) {
        if self.log.bug == Bug::WakesBeforeMove {
            self.log.wake();
            *self.cursor.lock().unwrap() = to;
        } else {
            *self.cursor.lock().unwrap() = to;
            self.log.wake();
        }
    }

    /// `epoll_wait()` with this file alone: polls, and while there is nothing sleeps and polls
    /// again. It stays on the queue for as long as it waits.
    fn poll_until_readable(&self) {
        let waiter = Waiter::new();
        while !self.log.poll(&waiter, || *self.cursor.lock().unwrap()) {
            waiter.sleep();
        }
        self.log.pollers.leave(&waiter);
    }
}

/// A reader sleeps, a writer appends.
fn read_and_append(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let thread = thread::spawn(move || assert_eq!(reader.read(), 0));
    log.append();
    thread.join().unwrap();
}

/// A reader wants two records, and there is a writer for each.
fn read_two(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let writer = {
        let log = log.clone();
        thread::spawn(move || log.append())
    };
    let thread = thread::spawn(move || assert_eq!((reader.read(), reader.read()), (0, 1)));
    log.append();
    writer.join().unwrap();
    thread.join().unwrap();
}

/// A reader that waits for the second record is woken by the first.
fn read_the_second(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 1);
    let thread = thread::spawn(move || assert_eq!(reader.read(), 1));
    log.append();
    log.append();
    thread.join().unwrap();
}

/// Two readers with a cursor each: one append is to wake both.
fn two_readers(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let threads = [0, 1].map(|_| {
        let reader = Reader::new(&log, 0);
        thread::spawn(move || assert_eq!(reader.read(), 0))
    });
    log.append();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Two threads share one cursor: each gets one of the two records.
fn shared_cursor(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let other = {
        let reader = reader.clone();
        thread::spawn(move || reader.read())
    };
    let writer = thread::spawn(move || {
        log.append();
        log.append();
    });
    let mine = reader.read();
    let mut got = [mine, other.join().unwrap()];
    got.sort_unstable();
    assert_eq!(got, [0, 1]);
    writer.join().unwrap();
}

/// A reader waits behind the newest record; another thread seeks to the oldest.
fn read_and_seek(bug: Bug) {
    let log = Arc::new(Log::new(1, bug));
    let reader = Reader::new(&log, 1);
    let thread = {
        let reader = reader.clone();
        thread::spawn(move || assert_eq!(reader.read(), 0))
    };
    reader.seek(0);
    thread.join().unwrap();
}

/// One polls, a writer appends; what poll says is there can be read.
fn poll_and_append(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let thread = thread::spawn(move || {
        reader.poll_until_readable();
        assert_eq!(reader.read(), 0);
    });
    log.append();
    thread.join().unwrap();
}

/// One polls once and stays on the queue, as a file in an epoll set that is in another one: it is
/// woken by the first append, if it came too early to see it, and by the second one.
fn poll_once(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let waiter = Waiter::new();
    let thread = {
        let (log, waiter) = (log.clone(), waiter.clone());
        thread::spawn(move || {
            if !log.poll(&waiter, || 0) {
                waiter.sleep();
            }
            waiter.forget();
        })
    };
    log.append();
    thread.join().unwrap();
    log.append();
    waiter.sleep();
}

/// One polls behind the newest record; another thread seeks to the oldest.
fn poll_and_seek(bug: Bug) {
    let log = Arc::new(Log::new(1, bug));
    let reader = Reader::new(&log, 1);
    let thread = {
        let reader = reader.clone();
        thread::spawn(move || reader.poll_until_readable())
    };
    reader.seek(0);
    thread.join().unwrap();
}

/// One sleeps in a read while another polls: an append must wake both.
fn read_and_poll(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let sleeper = Reader::new(&log, 0);
    let poller = Reader::new(&log, 0);
    let threads = [
        thread::spawn(move || assert_eq!(sleeper.read(), 0)),
        thread::spawn(move || poller.poll_until_readable()),
    ];
    log.append();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Tries every order of `scene`'s threads, up to `preemptions` of them where that is given.
fn explore(preemptions: Option<usize>, scene: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(scene);
}

#[test]
fn two_threads() {
    for scene in
        [read_and_append, read_the_second, read_and_seek, poll_and_append, poll_and_seek, poll_once]
    {
        explore(None, move || scene(Bug::None));
    }
}

/// Three threads have too many orders to try all: those with at most three preemptions.
#[test]
fn three_threads() {
    for scene in [read_two, two_readers, shared_cursor, read_and_poll] {
        explore(Some(3), move || scene(Bug::None));
    }
}

/// What is left out, and the scene that must then go wrong: a thread that nobody wakes.
const BUGS: [(Bug, fn(Bug)); 10] = [
    (Bug::SleepsUnqueued, read_and_append),
    (Bug::SetsNoFlag, read_and_append),
    (Bug::SetsFlagOnce, read_the_second),
    (Bug::IgnoresSeek, read_and_seek),
    (Bug::PollLooksFirst, poll_and_append),
    (Bug::PollTakesPositionFirst, poll_and_seek),
    (Bug::TakesFlagFirst, read_and_append),
    (Bug::AsksPollersFirst, poll_and_append),
    (Bug::WakesUnlocked, read_and_seek),
    (Bug::WakesBeforeMove, read_and_seek),
];

/// Each bug by itself is found: by a process of its own, because loom aborts where it finds one.
#[test]
fn every_bug_is_found() {
    const WHICH: &str = "UMSG_LOOM_BUG";
    if let Ok(number) = std::env::var(WHICH) {
        let (bug, scene) = BUGS[number.parse::<usize>().unwrap()];
        explore(None, move || scene(bug));
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
