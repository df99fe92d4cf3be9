// SPDX-License-Identifier: GPL-2.0

//! The model of the log, its readers and their wait queues.

use crate::Bug;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Condvar, Mutex};

/// A task on a wait queue.
pub struct Waiter {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Waiter {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { woken: Mutex::new(false), changed: Condvar::new() })
    }

    /// Sleeps until a wake-up after [`Waiter::prepare`], like `schedule()`.
    pub fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
    }

    /// Resets the flag of the waiter, like `set_current_state()`.
    pub fn prepare(&self) {
        *self.woken.lock().unwrap() = false;
    }

    pub fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// A wait queue. The number of its entries can be read without the lock.
pub struct Queue<T> {
    entries: Mutex<Vec<Arc<T>>>,
    count: AtomicUsize,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self { entries: Mutex::new(Vec::new()), count: AtomicUsize::new(0) }
    }

    /// Returns whether the queue has entries, like `waitqueue_active()`.
    pub fn is_active(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// Adds `entry` unless it is queued, then calls `also` with the lock held.
    pub fn add(&self, entry: &Arc<T>, also: impl FnOnce()) {
        let mut entries = self.entries.lock().unwrap();
        if !entries.iter().any(|other| Arc::ptr_eq(other, entry)) {
            entries.push(entry.clone());
        }
        self.count.store(entries.len(), Relaxed);
        also();
    }

    /// Removes the entries for which `stays` returns false.
    pub fn retain(&self, mut stays: impl FnMut(&Arc<T>) -> bool) {
        let mut entries = self.entries.lock().unwrap();
        entries.retain(|entry| stays(entry));
        self.count.store(entries.len(), Relaxed);
    }
}

pub struct Log {
    /// The sequence number of the next record.
    state: Mutex<u64>,
    queue: Queue<Relay>,
    bug: Bug,
}

impl Log {
    /// Creates a log with `next` records.
    pub fn new(next: u64, bug: Bug) -> Self {
        Self { state: Mutex::new(next), queue: Queue::new(), bug }
    }

    pub fn has(&self, from: u64) -> bool {
        from < *self.state.lock().unwrap()
    }

    pub fn append(&self) {
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

pub struct Relay {
    waiters: Queue<Waiter>,
    /// Whether the relay was added to the log's queue before. Only for [`Bug::JoinsOnce`].
    has_joined: AtomicBool,
}

impl Relay {
    /// Wakes the waiters.
    pub fn wake(&self, bug: Bug) {
        self.waiters.retain(|waiter| {
            waiter.wake();
            bug != Bug::LeavesWhenWoken
        });
    }

    /// Forwards a wake-up. Returns whether there are waiters.
    pub fn pass(&self, bug: Bug) -> bool {
        let active = self.waiters.is_active();
        if active {
            self.wake(bug);
        }
        active
    }
}

pub struct Reader {
    log: Arc<Log>,
    relay: Arc<Relay>,
    cursor: Mutex<u64>,
}

impl Reader {
    pub fn new(log: &Arc<Log>, cursor: u64) -> Arc<Self> {
        let relay = Relay { waiters: Queue::new(), has_joined: AtomicBool::new(false) };
        Arc::new(Self { log: log.clone(), relay: Arc::new(relay), cursor: Mutex::new(cursor) })
    }

    /// Adds the relay to the log's queue, then calls `also` with the queue's lock held.
    pub fn join(&self, also: impl FnOnce()) {
        if self.log.bug == Bug::JoinsOnce && self.relay.has_joined.swap(true, Relaxed) {
            return also();
        }
        self.log.queue.add(&self.relay, also);
    }

    /// Sleeps until there is a record at `start` or the cursor has moved.
    pub fn wait(&self, start: u64) {
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
    pub fn read(&self) -> u64 {
        loop {
            let start = *self.cursor.lock().unwrap();
            if !self.log.has(start) {
                self.wait(start);
                continue;
            }
            // The module copies the record to user memory here.
            let mut cursor = self.cursor.lock().unwrap();
            if *cursor == start {
                *cursor = start + 1;
                return start;
            }
        }
    }

    pub fn seek(&self, to: u64) {
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
    pub fn poll(&self, waiter: &Arc<Waiter>) -> bool {
        let bug = self.log.bug;
        let position = || *self.cursor.lock().unwrap();
        let early = (bug == Bug::PollTakesPositionFirst).then(position);
        let early_result = bug == Bug::PollLooksFirst && self.log.has(position());
        self.relay.waiters.add(waiter, || waiter.prepare());
        if self.relay.waiters.is_active() {
            self.join(|| ());
        }
        if bug == Bug::PollLooksFirst {
            return early_result;
        }
        self.log.has(early.unwrap_or_else(position))
    }

    /// Polls until there is a record, and sleeps in between, like `epoll_wait()` with this file
    /// only. The waiter stays on the queue all the time.
    pub fn poll_until_readable(&self) {
        let waiter = Waiter::new();
        while !self.poll(&waiter) {
            waiter.sleep();
        }
        self.relay.waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
    }
}
