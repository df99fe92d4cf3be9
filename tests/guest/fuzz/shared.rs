// SPDX-License-Identifier: GPL-2.0

//! Memory that all processes of the fuzzer share: counters, and the last calls of each thread.

use crate::calls::{Call, OPERATIONS};
use crate::coverage::Covered;
use crate::logs::Logs;
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

/// The number of last calls of each thread that are remembered.
const REMEMBERED: usize = 24;
/// The maximum number of threads, including their children.
pub const LANES: usize = 96;
/// The largest error number plus 1.
const ERRORS: usize = 134;

struct Entry {
    call: UnsafeCell<MaybeUninit<Call>>,
    result: AtomicU64,
}

/// The state of a thread of the fuzzer, or of the child of a thread.
pub struct Lane {
    pub tid: AtomicI32,
    started: AtomicU64,
    finished: AtomicU64,
    entries: [Entry; REMEMBERED],
}

/// The account of all writes to a log.
pub struct Writes {
    /// Records that may have been stored or not: those of writes that have not ended, also because
    /// a thread was killed, and those of writes with an uncertain result.
    pub open: AtomicU64,
    pub stored: AtomicU64,
    /// Records that may have been rejected or not.
    pub open_refused: AtomicU64,
    pub refused: AtomicU64,
}

pub struct Shared {
    calls: [AtomicU64; OPERATIONS.len()],
    errors: [AtomicU64; ERRORS],
    pub writes: Writes,
    pub records_read: AtomicU64,
    /// Records that were read in binary format.
    pub frames_read: AtomicU64,
    /// Records that were stored by writes in binary format.
    pub entries_stored: AtomicU64,
    /// Records of which the accounts do not show whether they were stored.
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

// SAFETY: Each cell is written by one thread, before a store with release ordering: the entries of
// a lane by its thread, the failure by the thread that set `failing`.
unsafe impl Sync for Shared {}

thread_local! {
    /// The lane of this thread; `LANES` for the supervisor.
    pub static LANE: Cell<usize> = const { Cell::new(LANES) };
}

impl Shared {
    /// Creates the memory. All child processes share it.
    pub fn new() -> &'static Self {
        // SAFETY: The mapping is new and never unmapped, and all fields may be zeros.
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
        // SAFETY: Only this thread writes to the entries of the lane.
        unsafe { (*entry.call.get()).write(*call) };
        lane.started.store(number + 1, Release);
    }

    /// Records the result of `call`: the return value of the system call, or the error number below
    /// zero.
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
        // A killed thread may have left an unfinished call.
        this.finished.store(this.started.load(Relaxed), Relaxed);
        this.tid.store(nix::unistd::gettid().as_raw(), Relaxed);
    }

    /// Marks `lane` as unused.
    pub fn leave(&self, lane: usize) {
        self.lanes[lane].tid.store(0, Relaxed);
    }

    /// Returns the number of calls that `lane` has begun; `None` if it is not in a call.
    pub fn in_call(&self, lane: usize) -> Option<u64> {
        let lane = &self.lanes[lane];
        let started = lane.started.load(Acquire);
        (lane.tid.load(Relaxed) != 0 && started != lane.finished.load(Acquire)).then_some(started)
    }

    /// Returns whether the thread that uses `lane` exists.
    pub fn is_alive(&self, lane: usize) -> bool {
        let tid = self.lanes[lane].tid.load(Relaxed);
        std::path::Path::new(&format!("/proc/{tid}")).exists()
    }

    /// Records the first failure.
    pub fn fail(&self, why: &str) {
        if self.failing.swap(true, AcqRel) {
            // The caller ends its process next, which may also end the thread that failed first. So
            // wait until that thread has recorded its failure.
            for _ in 0..200 {
                if self.failed.load(Acquire) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            return;
        }
        let len = why.len().min(4096);
        // SAFETY: Only the thread that failed first gets here.
        unsafe { (&mut *self.failure.get())[..len].copy_from_slice(&why.as_bytes()[..len]) };
        self.failure_len.store(len as u32, Relaxed);
        self.failed_lane.store(LANE.get() as u32, Relaxed);
        self.failed.store(true, Release);
    }

    /// Returns the first failure, if there was one.
    pub fn failure(&self) -> Option<String> {
        if !self.failed.load(Acquire) {
            let why = "a thread failed, and was killed before it could say why";
            return self.failing.load(Acquire).then(|| why.into());
        }
        let len = self.failure_len.load(Relaxed) as usize;
        // SAFETY: The bytes were written before `failed` was set, and are not written again.
        let why = unsafe { &(&*self.failure.get())[..len] };
        let lane = self.failed_lane.load(Relaxed) as usize;
        let whose = if lane == LANES { "supervisor".into() } else { format!("thread {lane}") };
        Some(format!("{whose}: {}", String::from_utf8_lossy(why)))
    }

    /// Returns the last calls of `lane`, the oldest first. No thread may use the lane any more.
    pub fn last_calls(&self, lane: usize) -> Vec<String> {
        let this = &self.lanes[lane];
        let (started, finished) = (this.started.load(Acquire), this.finished.load(Acquire));
        (started.saturating_sub(REMEMBERED as u64)..started)
            .map(|number| {
                let entry = &this.entries[number as usize % REMEMBERED];
                // SAFETY: The entry was written before `started` became larger than its number.
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

    /// Returns one line: the number of all calls, of calls by operation, and of errors by number.
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
