// SPDX-License-Identifier: GPL-2.0

//! One log: a ring behind a lock, and the readers that wait for it.
//!
//! # Locking
//!
//! `Log::state` is a spinlock, because every critical section is short and none of them sleeps. It
//! is held while one record is copied into or out of the ring, or up to [`LOCKED_MAX`] bytes of
//! small ones, while the oldest records are dropped for a new one, and for a search by the ring's
//! index. It is never held over a copy to or from user memory, so that the page fault of one writer
//! or reader does not delay the others.
//!
//! Lock order: `Log::state`, then a reader's cursor (`reader.rs`).
//!
//! # Waking
//!
//! Readers sleep on `Log::readers`. A reader checks its condition and sets `State::waiting` under
//! the lock, and is on the queue before the lock is released. [`Log::append`] stores its record and
//! takes that flag under the lock. So either the reader sees the record, or the append sees the
//! flag. A reader that goes on waiting after a wake-up sets the flag again.
//!
//! Callers of `poll` that may read are on `Log::pollers` for as long as they wait, an epoll set
//! until the file is removed from it. `chardev.rs` adds them to the queue before [`Log::info`]
//! takes the lock for the check, and an append looks at the queue after it stored its record under
//! the lock. So either the check sees the record, or the append sees the caller.
//!
//! A seek moves the cursor, then acquires and releases the lock, then wakes ([`Log::wake`]): a
//! reader that checked the old cursor is on its queue by then.

#![deny(unsafe_code)]

use core::{
    mem,
    ops::{
        Deref,
        DerefMut, //
    }, //
};

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        AllocError, //
    },
    new_condvar,
    new_spinlock,
    prelude::*,
    static_lock_class,
    sync::{
        lock::spinlock::SpinLockGuard,
        CondVar,
        SpinLock, //
    },
    time::{
        ClockSource,
        Monotonic, //
    }, //
};

use crate::{
    config::{
        self,
        LogConfig, //
    },
    poll::{
        Events,
        PollQueue, //
    },
    record::{
        stored_size,
        Entry,
        Header,
        NoEntry,
        Priority,
        Writer, //
    },
    ring::{
        index_len,
        Policy,
        Position,
        Refused,
        Ring,
        Stored, //
    },
    uapi::{
        self,
        umsg_info, //
    }, //
};

/// How many bytes of small records may be stored or copied while the lock is held.
pub(crate) const LOCKED_MAX: usize = 8192;

/// A bounded log of records. See the module for its lock and its wake-ups.
#[pin_data]
pub(crate) struct Log {
    #[pin]
    state: SpinLock<State>,
    /// Readers that sleep until a record is appended.
    #[pin]
    readers: CondVar,
    /// Callers of `poll` that wait for one.
    #[pin]
    pollers: PollQueue,
    /// Callers of `poll` on files that cannot be read. Nothing wakes them, but io_uring rejects a
    /// file that is on no queue.
    #[pin]
    write_only: PollQueue,
}

struct State {
    ring: Ring<Memory, KVVec<usize>>,
    /// There are readers on `Log::readers`.
    waiting: bool,
}

/// How [`Log::append_all`] ended.
pub(crate) enum Ended {
    /// What is left is no whole entry, or nothing.
    Cut,
    /// The next entry was not taken.
    Refused(Error),
    /// Enough for the time that the lock may be held.
    Paused,
}

impl State {
    #[inline(always)]
    fn append(&mut self, time_ns: u64, priority: Priority, writer: Writer, text: &[u8]) -> Result {
        let header = Header {
            seq: 0,
            time_ns,
            text_len: 0,
            priority,
            writer,
        };
        match self.ring.append(header, text) {
            Ok(_) => Ok(()),
            Err(Refused::Full) => Err(ENOSPC),
            Err(Refused::TooLarge) => Err(EMSGSIZE),
        }
    }
}

/// A place to seek to.
pub(crate) enum Place {
    /// Before the oldest record.
    Oldest,
    /// After the last record that was cleared.
    Cleared,
    /// After the newest record.
    Next,
    /// Before the record with this sequence number, as [`Ring::position_of`].
    Seq(u64),
    /// Before the first record of this time or later, as [`Ring::position_at`].
    Time(u64),
}

impl Log {
    /// Makes an empty log, with all the memory it will ever use.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the machine does not have that memory to spare.
    pub(crate) fn new(config: &LogConfig) -> Result<impl PinInit<Self, Error>> {
        let capacity = config.capacity;
        let refused = |_: &AllocError| {
            pr_err!("capacity={capacity}: the machine cannot allocate that much memory\n")
        };
        let memory = Memory::new(capacity).inspect_err(refused)?;
        let index = KVVec::from_elem(0, index_len(capacity), GFP_KERNEL | __GFP_NOWARN)
            .inspect_err(refused)?;
        let ring = Ring::new(memory, index, config.policy);
        Ok(try_pin_init!(Self {
            state <- new_spinlock!(State { ring, waiting: false }, "umsg::log"),
            readers <- new_condvar!("umsg::readers"),
            pollers <- PollQueue::new(c"umsg::pollers", static_lock_class!()),
            write_only <- PollQueue::new(c"umsg::write_only", static_lock_class!()),
        }))
    }

    /// Appends a record with the current time, and wakes waiters.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: the log is full and its policy is to stop. `EMSGSIZE`: the record is larger than
    /// the ring.
    #[inline(always)]
    pub(crate) fn append(&self, priority: Priority, writer: Writer, text: &[u8]) -> Result {
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        // Under the lock, so that time never falls from one record to the next.
        let time_ns = Monotonic::ktime_get() as u64;
        state.append(time_ns, priority, writer, text)?;
        self.wake_after_append(state, oldest);
        Ok(())
    }

    /// Appends the records of the entries in `data`, each with at most `record_max` bytes of text,
    /// and wakes waiters. Returns how many bytes of `data` were stored, and what ended it: also
    /// that [`LOCKED_MAX`] bytes of the ring were filled under the lock.
    pub(crate) fn append_all(
        &self,
        writer: Writer,
        data: &[u8],
        record_max: usize,
    ) -> (usize, Ended) {
        let mut taken = 0;
        let mut stored = 0;
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        let time_ns = Monotonic::ktime_get() as u64;
        let ended = loop {
            if stored >= LOCKED_MAX {
                break Ended::Paused;
            }
            match Entry::first(&data[taken..], record_max) {
                Ok(Entry {
                    priority,
                    text,
                    size,
                }) => match state.append(time_ns, priority, writer, text) {
                    Ok(()) => {
                        taken += size;
                        stored += stored_size(text.len());
                    }
                    Err(error) => break Ended::Refused(error),
                },
                Err(NoEntry::Cut) => break Ended::Cut,
                Err(NoEntry::Invalid) => break Ended::Refused(EINVAL),
                Err(NoEntry::TooLong) => break Ended::Refused(EMSGSIZE),
            }
        };
        if taken > 0 {
            self.wake_after_append(state, oldest);
        }
        (taken, ended)
    }

    /// Releases the lock after records were appended, and wakes waiters. `oldest` is the position
    /// before the oldest record at the time before that.
    fn wake_after_append(&self, mut state: SpinLockGuard<'_, State>, oldest: Position) {
        let waiting = mem::take(&mut state.waiting);
        let dropped = state.ring.oldest() != oldest;
        drop(state);
        if waiting {
            self.readers.notify_all();
        }
        if self.pollers.is_active() {
            self.pollers
                .wake(Events::READABLE | Events::PRIORITY.when(dropped));
        }
    }

    /// Shows `each` the records from `from` on, in order, until it returns false or there are no
    /// more.
    ///
    /// The lock is held all the time: `each` must not sleep, and has to end soon.
    #[inline(always)]
    pub(crate) fn look(&self, from: Position, mut each: impl FnMut(&Stored<'_>) -> bool) {
        let state = self.state.lock();
        let mut at = from;
        while let Some(stored) = state.ring.read(at) {
            if !each(&stored) {
                break;
            }
            at = stored.after;
        }
    }

    /// Sleeps while there is no record at or after `from`, and `unmoved` says, with the log locked,
    /// that the caller wants one from there. Code that changes its answer must call [`Log::wake`].
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS`: a signal is pending, and there is no record.
    pub(crate) fn wait(&self, from: Position, unmoved: impl Fn() -> bool) -> Result {
        let mut state = self.state.lock();
        while from.seq() >= state.ring.next().seq() && unmoved() {
            state.waiting = true;
            if self.readers.wait_interruptible(&mut state) && from.seq() >= state.ring.next().seq()
            {
                return Err(ERESTARTSYS);
            }
        }
        Ok(())
    }

    /// Wakes all sleeping readers and `poll` callers; each of them checks its condition again.
    pub(crate) fn wake(&self) {
        // A reader that holds the lock may have checked its condition, and is not asleep yet.
        drop(self.state.lock());
        self.readers.notify_all();
        self.pollers.wake(Events::READABLE | Events::PRIORITY);
    }

    /// Returns the queue for callers of `poll`, on a file that can be read or not.
    pub(crate) fn pollers(&self, may_read: bool) -> &PollQueue {
        if may_read {
            &self.pollers
        } else {
            &self.write_only
        }
    }

    /// Returns the position at `place`.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the sequence number is greater than that of the next record.
    pub(crate) fn position(&self, place: Place) -> Result<Position> {
        let ring = &self.state.lock().ring;
        match place {
            Place::Oldest => Ok(ring.oldest()),
            Place::Cleared => Ok(ring.cleared()),
            Place::Next => Ok(ring.next()),
            Place::Seq(seq) => ring.position_of(seq).ok_or(EINVAL),
            Place::Time(time_ns) => Ok(ring.position_at(time_ns)),
        }
    }

    /// Marks all records as cleared, as [`Ring::clear`].
    pub(crate) fn clear(&self) {
        self.state.lock().ring.clear();
    }

    /// Returns the state of the log now.
    pub(crate) fn info(&self) -> umsg_info {
        let ring = &self.state.lock().ring;
        let totals = ring.totals();
        umsg_info {
            capacity: ring.capacity() as u64,
            oldest_seq: ring.oldest().seq(),
            next_seq: ring.next().seq(),
            cleared_seq: ring.cleared().seq(),
            records_written: totals.records_written,
            bytes_written: totals.bytes_written,
            records_dropped: totals.records_dropped,
            bytes_dropped: totals.bytes_dropped,
            records_refused: totals.records_refused,
            record_max: config::record_max() as u32,
            policy: match ring.policy() {
                Policy::Overwrite => uapi::UMSG_POLICY_OVERWRITE,
                Policy::Stop => uapi::UMSG_POLICY_STOP,
            },
            reserved: [0; 6],
        }
    }
}

/// Size of the elements of [`Memory`] in bytes.
const ELEMENT: usize = 64;

/// The memory of a ring. Its elements are larger than a byte because the kernel crate fills a
/// vector element by element, and much smaller than a page because the element is on the stack.
struct Memory(VVec<[u8; ELEMENT]>);

impl Memory {
    /// Allocates `capacity` bytes, which must be whole pages, filled with zeros.
    fn new(capacity: usize) -> Result<Self, AllocError> {
        let flags = GFP_KERNEL | __GFP_NOWARN;
        VVec::from_elem([0; ELEMENT], capacity / ELEMENT, flags).map(Self)
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_flattened_mut()
    }
}
