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

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
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

/// One who waits.
struct Waiter {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Waiter {
    fn new() -> Arc<Self> {
        Arc::new(Self { woken: Mutex::new(false), changed: Condvar::new() })
    }

    /// `schedule()`: sleeps until woken since [`Waiter::prepare`].
    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
    }

    /// `set_current_state()`
    fn prepare(&self) {
        *self.woken.lock().unwrap() = false;
    }

    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// What can be on a queue, with the number of entries, which can be read without the lock.
struct Queue<T> {
    entries: Mutex<Vec<Arc<T>>>,
    count: AtomicUsize,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { entries: Mutex::new(Vec::new()), count: AtomicUsize::new(0) }
    }

    /// `waitqueue_active()`
    fn is_active(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// Adds `entry` if it is not there, then does `also`.
    fn add(&self, entry: &Arc<T>, also: impl FnOnce()) {
        let mut entries = self.entries.lock().unwrap();
        if !entries.iter().any(|other| Arc::ptr_eq(other, entry)) {
            entries.push(entry.clone());
        }
        self.count.store(entries.len(), Relaxed);
        also();
    }

    /// Calls `stays` for each entry, and removes those for which it returns false.
    fn retain(&self, mut stays: impl FnMut(&Arc<T>) -> bool) {
        let mut entries = self.entries.lock().unwrap();
        entries.retain(|entry| stays(entry));
        self.count.store(entries.len(), Relaxed);
    }
}

struct Log {
    /// The sequence number that the next record will get.
    state: Mutex<u64>,
    queue: Queue<Relay>,
    bug: Bug,
}

impl Log {
    /// A log with `next` records in it.
    fn new(next: u64, bug: Bug) -> Self {
        Self { state: Mutex::new(next), queue: Queue::new(), bug }
    }

    fn has(&self, from: u64) -> bool {
        from < *self.state.lock().unwrap()
    }

    fn append(&self) {
        let active_first = self.queue.is_active();
        *self.state.lock().unwrap() += 1;
        let active =
            if self.bug == Bug::AsksQueueFirst { active_first } else { self.queue.is_active() };
        if !active {
            return;
        }
        if self.bug == Bug::TakesOutLater {
            let mut idle = Vec::new();
            self.queue.retain(|relay| {
                if !relay.pass(self.bug) {
                    idle.push(relay.clone());
                }
                true
            });
            self.queue.retain(|relay| !idle.iter().any(|other| Arc::ptr_eq(other, relay)));
        } else {
            self.queue.retain(|relay| relay.pass(self.bug));
        }
    }
}

struct Relay {
    waiters: Queue<Waiter>,
    /// It has joined the log's queue once; for [`Bug::JoinsOnce`].
    has_joined: AtomicBool,
}

impl Relay {
    /// Wakes the waiters, if there are any.
    fn wake(&self, bug: Bug) {
        self.waiters.retain(|waiter| {
            waiter.wake();
            bug != Bug::LeavesWhenWoken
        });
    }

    /// Passes a wake-up on. Returns whether there are waiters.
    fn pass(&self, bug: Bug) -> bool {
        let active = self.waiters.is_active();
        if active {
            self.wake(bug);
        }
        active
    }
}

struct Reader {
    log: Arc<Log>,
    relay: Arc<Relay>,
    cursor: Mutex<u64>,
}

impl Reader {
    fn new(log: &Arc<Log>, cursor: u64) -> Arc<Self> {
        let relay = Relay { waiters: Queue::new(), has_joined: AtomicBool::new(false) };
        Arc::new(Self { log: log.clone(), relay: Arc::new(relay), cursor: Mutex::new(cursor) })
    }

    /// Adds the relay to the log's queue, then does `also`.
    fn join(&self, also: impl FnOnce()) {
        if self.log.bug == Bug::JoinsOnce && self.relay.has_joined.swap(true, Relaxed) {
            return also();
        }
        self.log.queue.add(&self.relay, also);
    }

    /// Sleeps until there is a record at `start`, or the cursor has moved.
    fn wait(&self, start: u64) {
        let bug = self.log.bug;
        let is_ready = || {
            let moved = || *self.cursor.lock().unwrap() != start;
            self.log.has(start) || bug != Bug::IgnoresSeek && moved()
        };
        let waiter = Waiter::new();
        loop {
            let early = bug == Bug::ChecksFirst && is_ready();
            if bug == Bug::JoinsFirst {
                self.join(|| waiter.prepare());
                self.relay.waiters.add(&waiter, || waiter.prepare());
            } else {
                self.relay.waiters.add(&waiter, || waiter.prepare());
                self.join(|| waiter.prepare());
            }
            if early || bug != Bug::ChecksFirst && is_ready() {
                break;
            }
            waiter.sleep();
        }
        self.relay.waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
    }

    /// Reads the next record and returns its sequence number.
    fn read(&self) -> u64 {
        loop {
            let start = *self.cursor.lock().unwrap();
            if !self.log.has(start) {
                self.wait(start);
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
        let wake = || {
            if self.relay.waiters.is_active() {
                self.relay.wake(self.log.bug);
            }
        };
        if self.log.bug == Bug::WakesBeforeMove {
            wake();
        }
        *self.cursor.lock().unwrap() = to;
        if self.log.bug != Bug::WakesBeforeMove {
            wake();
        }
    }

    /// Returns whether there is a record.
    fn poll(&self, waiter: &Arc<Waiter>) -> bool {
        let bug = self.log.bug;
        let position = || *self.cursor.lock().unwrap();
        let early = (bug == Bug::PollTakesPositionFirst).then(position);
        let looked = bug == Bug::PollLooksFirst && self.log.has(position());
        self.relay.waiters.add(waiter, || waiter.prepare());
        if self.relay.waiters.is_active() {
            self.join(|| ());
        }
        if bug == Bug::PollLooksFirst {
            return looked;
        }
        self.log.has(early.unwrap_or_else(position))
    }

    /// `epoll_wait()` with this file alone: polls, and while there is nothing sleeps and polls
    /// again. It stays on the queue for as long as it waits.
    fn poll_until_readable(&self) {
        let waiter = Waiter::new();
        while !self.poll(&waiter) {
            waiter.sleep();
        }
        self.relay.waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
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

/// The same, when the relay of the reader is still on the log's queue from before.
fn read_the_second_again(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 1);
    reader.join(|| ());
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
    let reader = Reader::new(&log, 0);
    let waiter = Waiter::new();
    let thread = {
        let (reader, waiter) = (reader.clone(), waiter.clone());
        thread::spawn(move || {
            if !reader.poll(&waiter) {
                waiter.sleep();
            }
            waiter.prepare();
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
