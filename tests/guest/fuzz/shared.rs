// SPDX-License-Identifier: GPL-2.0

//! Memory that all processes of the fuzzer share: counts, and what each thread did last.

use crate::calls::{Call, OPERATIONS};
use crate::coverage::Covered;
use crate::logs::Logs;
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

/// How many calls of each thread are remembered.
const REMEMBERED: usize = 24;
/// Room for threads, their children included.
pub const LANES: usize = 96;
/// Largest error number there is, and one more.
const ERRORS: usize = 134;

struct Entry {
    call: UnsafeCell<MaybeUninit<Call>>,
    result: AtomicU64,
}

/// One thread of the fuzzer, or the child that it has.
pub struct Lane {
    pub tid: AtomicI32,
    started: AtomicU64,
    finished: AtomicU64,
    entries: [Entry; REMEMBERED],
}

/// What became of the writes, for the accounts at the end.
pub struct Writes {
    /// Records of writes that have begun and not ended, and others that are not sure. What a killed
    /// thread has left here may have been stored or not.
    pub open: AtomicU64,
    pub stored: AtomicU64,
    /// Writes that may yet be refused, or may have been: one record of each at most.
    pub open_refused: AtomicU64,
    pub refused: AtomicU64,
}

pub struct Shared {
    calls: [AtomicU64; OPERATIONS.len()],
    errors: [AtomicU64; ERRORS],
    pub writes: Writes,
    pub records_read: AtomicU64,
    /// How many of those in binary form.
    pub frames_read: AtomicU64,
    /// Records that were stored by writes in binary form.
    pub entries_stored: AtomicU64,
    /// Records of which nobody knows by what was written whether they were stored.
    pub unsure: AtomicU64,
    pub fingerprint: AtomicU64,
    pub covered: Covered,
    pub logs: Logs,
    pub lanes: [Lane; LANES],
    failing: AtomicBool,
    failed: AtomicBool,
    failed_lane: AtomicU32,
    failure_len: AtomicU32,
    failure: UnsafeCell<[u8; 4096]>,
}

// SAFETY: The cells are written by one thread each, before a store that releases them: a lane's
// entries by its thread, the failure by whoever set `failing`.
unsafe impl Sync for Shared {}

thread_local! {
    /// The lane of this thread; `LANES` for the one that supervises.
    pub static LANE: Cell<usize> = const { Cell::new(LANES) };
}

impl Shared {
    /// Maps it: all children share it.
    pub fn new() -> &'static Self {
        // SAFETY: A new mapping, never unmapped. All of its fields may be zeros.
        unsafe {
            let at = libc::mmap(
                std::ptr::null_mut(),
                size_of::<Self>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(at, libc::MAP_FAILED);
            let shared = &*at.cast::<Self>();
            shared.logs.init();
            shared
        }
    }

    /// Notes that `lane` begins `call`.
    pub fn start(&self, lane: usize, call: &Call) {
        let lane = &self.lanes[lane];
        let number = lane.started.load(Relaxed);
        let entry = &lane.entries[number as usize % REMEMBERED];
        // SAFETY: This thread alone writes here.
        unsafe { (*entry.call.get()).write(*call) };
        lane.started.store(number + 1, Release);
    }

    /// Notes its result: what the system call returned, or the error number below zero.
    pub fn finish(&self, lane: usize, call: &Call, result: i64) {
        let lane = &self.lanes[lane];
        let number = lane.finished.load(Relaxed);
        lane.entries[number as usize % REMEMBERED].result.store(result as u64, Relaxed);
        lane.finished.store(number + 1, Release);
        self.calls[call.operation()].fetch_add(1, Relaxed);
        if result < 0 {
            self.errors[(-result as usize).min(ERRORS - 1)].fetch_add(1, Relaxed);
        }
    }

    /// Makes `lane` the lane of the process or thread that calls it.
    pub fn enter(&self, lane: usize) {
        LANE.set(lane);
        let this = &self.lanes[lane];
        // What a killed one left behind.
        this.finished.store(this.started.load(Relaxed), Relaxed);
        this.tid.store(nix::unistd::gettid().as_raw(), Relaxed);
    }

    /// Notes that nobody uses `lane` any more.
    pub fn leave(&self, lane: usize) {
        self.lanes[lane].tid.store(0, Relaxed);
    }

    /// How many calls `lane` has begun; `None` when it is not in one.
    pub fn in_call(&self, lane: usize) -> Option<u64> {
        let lane = &self.lanes[lane];
        let started = lane.started.load(Acquire);
        (lane.tid.load(Relaxed) != 0 && started != lane.finished.load(Acquire)).then_some(started)
    }

    /// Notes the first failure.
    pub fn fail(&self, why: &str) {
        if self.failing.swap(true, AcqRel) {
            // The caller ends its process next, perhaps with the thread that came first.
            for _ in 0..200 {
                if self.failed.load(Acquire) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            return;
        }
        let len = why.len().min(4096);
        // SAFETY: Only the first one comes here.
        unsafe { (&mut *self.failure.get())[..len].copy_from_slice(&why.as_bytes()[..len]) };
        self.failure_len.store(len as u32, Relaxed);
        self.failed_lane.store(LANE.get() as u32, Relaxed);
        self.failed.store(true, Release);
    }

    /// The first failure, if there was one.
    pub fn failure(&self) -> Option<String> {
        if !self.failed.load(Acquire) {
            let why = "a thread failed, and was killed before it could say why";
            return self.failing.load(Acquire).then(|| why.into());
        }
        let len = self.failure_len.load(Relaxed) as usize;
        // SAFETY: It was written before `failed` was set, and never again.
        let why = unsafe { &(&*self.failure.get())[..len] };
        let lane = self.failed_lane.load(Relaxed) as usize;
        let whose = if lane == LANES { "supervisor".into() } else { format!("thread {lane}") };
        Some(format!("{whose}: {}", String::from_utf8_lossy(why)))
    }

    /// The last calls of `lane`, the oldest first. Nobody may run in it any more.
    pub fn last_calls(&self, lane: usize) -> Vec<String> {
        let this = &self.lanes[lane];
        let (started, finished) = (this.started.load(Acquire), this.finished.load(Acquire));
        (started.saturating_sub(REMEMBERED as u64)..started)
            .map(|number| {
                let entry = &this.entries[number as usize % REMEMBERED];
                // SAFETY: It was written before `started` passed it.
                let call = unsafe { (*entry.call.get()).assume_init_ref() };
                let result = entry.result.load(Relaxed) as i64;
                if number >= finished {
                    format!("{number}: {call:?} did not return")
                } else if result < 0 {
                    let errno = nix::errno::Errno::from_raw(-result as i32);
                    format!("{number}: {call:?} = {errno:?}")
                } else {
                    format!("{number}: {call:?} = {result}")
                }
            })
            .collect()
    }

    pub fn total(&self) -> u64 {
        self.calls.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// One line: calls by operation and in all, errors by number.
    pub fn summary(&self) -> String {
        let mut line = format!("{} calls:", self.total());
        for (name, count) in OPERATIONS.iter().zip(&self.calls) {
            line += &format!(" {name} {}", count.load(Relaxed));
        }
        line += "; errors:";
        for (number, count) in self.errors.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                line += &format!(" {:?} {count}", nix::errno::Errno::from_raw(number as i32));
            }
        }
        line + &format!(
            "; {} records checked, {} of them frames; {} stored, {} of them as entries; {} unsure; \
             {} logs added, {} opened, {} removed, {} threads killed in a change",
            self.records_read.load(Relaxed),
            self.frames_read.load(Relaxed),
            self.writes.stored.load(Relaxed),
            self.entries_stored.load(Relaxed),
            self.unsure.load(Relaxed),
            self.logs.added.load(Relaxed),
            self.logs.opened.load(Relaxed),
            self.logs.removed.load(Relaxed),
            self.logs.recovered.load(Relaxed)
        )
    }
}
