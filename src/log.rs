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
//! Lock order: `Log::state`, then the cursor of an open file (`file/cursor.rs`).
//!
//! # Waking
//!
//! A waiter, a reader that sleeps or a caller of `poll`, is on the queue of its open file, whose
//! relay (`sys/wait.rs`) is on `Log::queue`, before it takes the lock to check its condition. An
//! append looks at `Log::queue` after it stored its record under the lock. So either the check sees
//! the record, or the append sees the waiter.
//!
//! A seek moves the cursor under its lock, then wakes the waiters of its open file alone. Those
//! check the cursor under the same lock.

#![deny(unsafe_code)]

use core::ops::{
    Deref,
    DerefMut, //
};

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        AllocError, //
    },
    new_spinlock,
    prelude::*,
    static_lock_class,
    sync::{
        lock::spinlock::SpinLockGuard,
        SpinLock, //
    },
    time::{
        ClockSource,
        Monotonic, //
    }, //
};

use crate::{
    config,
    log_config::LogConfig,
    pure::{
        entry::{
            EntryError, //
            EntryParser,
        },
        record::{
            stored_size,
            Header,
            Priority,
            Writer,
            HEADER_SIZE, //
        },
        ring::{
            index_len,
            AppendError,
            IndexEntry,
            Policy,
            Position,
            RecordRef, //
            Ring,
        },
        style::Style, //
    },
    sys::{
        random,
        wait::{
            HasQueue,
            PollEvents,
            WaitQueue, //
        }, //
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
    /// What its node does for files that do not say otherwise.
    style: Style,
    /// Bytes of the text_max text that the ring holds.
    text_max: usize,
    /// A number that no other log has, now or after another load of the module.
    id: u64,
    #[pin]
    state: SpinLock<State>,
    /// The open files that have waiters for a record.
    #[pin]
    queue: WaitQueue,
}

struct State {
    ring: Ring<Memory, KVVec<IndexEntry>>,
}

/// How [`Log::append_entries`] ended.
pub(crate) enum BatchEnd {
    /// What is left is no whole entry, or nothing.
    Incomplete,
    /// The next entry was not taken.
    Rejected(Error),
    /// Enough for the time that the lock may be held.
    LimitReached,
}

impl State {
    #[inline(always)]
    fn append(&mut self, header: Header, text: &[u8]) -> Result {
        match self.ring.append(header, text) {
            Ok(_) => Ok(()),
            Err(AppendError::Full) => Err(ENOSPC),
            Err(AppendError::TooLarge) => Err(EMSGSIZE),
        }
    }
}

/// The target of a seek.
pub(crate) enum SeekTarget {
    /// Before the oldest record.
    Oldest,
    /// After the last record that was cleared.
    Cleared,
    /// After the newest record.
    Next,
    /// Before the record with this sequence number, as [`Ring::position_of_seq`].
    Seq(u64),
    /// Before the first record of this time or later, as [`Ring::position_of_time`].
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
        let flags = GFP_KERNEL | __GFP_NOWARN;
        let index = KVVec::from_elem(IndexEntry::default(), index_len(capacity), flags)
            .inspect_err(refused)?;
        let ring = Ring::new(memory, index, config.policy);
        let (style, id) = (config.style, random::random_u64());
        let text_max = capacity - HEADER_SIZE;
        Ok(try_pin_init!(Self {
            style,
            text_max,
            id,
            state <- new_spinlock!(State { ring }, "umsg::log"),
            queue <- WaitQueue::new(c"umsg::queue", static_lock_class!()),
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
        let header = Header {
            seq: 0,
            // Under the lock, so that records are in the order of their times.
            time_ns: now(),
            text_len: 0,
            priority,
            continues: false,
            writer,
        };
        state.append(header, text)?;
        self.wake_after_append(state, oldest);
        Ok(())
    }

    /// Appends a record that was written at the time in `header`, and wakes waiters. Errors as
    /// [`Log::append`].
    pub(crate) fn append_with_time(&self, header: Header, text: &[u8]) -> Result {
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        state.append(header, text)?;
        self.wake_after_append(state, oldest);
        Ok(())
    }

    /// Appends the records of `entries` in `data`, and wakes waiters. Returns how many bytes of
    /// `data` were stored, and what ended it: also that [`LOCKED_MAX`] bytes of the ring were
    /// filled under the lock.
    pub(crate) fn append_entries(
        &self,
        writer: Writer,
        data: &[u8],
        entries: &mut impl EntryParser,
    ) -> (usize, BatchEnd) {
        let mut taken = 0;
        let mut stored = 0;
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        let time_ns = now();
        let ended = loop {
            if stored >= LOCKED_MAX {
                break BatchEnd::LimitReached;
            }
            match entries.parse(&data[taken..]) {
                Ok(entry) => {
                    let header = Header {
                        seq: 0,
                        time_ns,
                        text_len: 0,
                        priority: entry.priority,
                        continues: entry.continues,
                        writer,
                    };
                    if let Err(error) = state.append(header, entry.text) {
                        break BatchEnd::Rejected(error);
                    }
                    entries.entry_stored(&entry);
                    taken += entry.size;
                    stored += stored_size(entry.text.len());
                }
                Err(EntryError::Incomplete) => break BatchEnd::Incomplete,
                Err(EntryError::Invalid) => break BatchEnd::Rejected(EINVAL),
                Err(EntryError::TooLong) => break BatchEnd::Rejected(EMSGSIZE),
            }
        };
        if taken > 0 {
            self.wake_after_append(state, oldest);
        }
        (taken, ended)
    }

    /// Releases the lock after records were appended, and wakes waiters. `oldest` is the position
    /// before the oldest record at the time before that.
    fn wake_after_append(&self, state: SpinLockGuard<'_, State>, oldest: Position) {
        let dropped = state.ring.oldest() != oldest;
        drop(state);
        if self.queue.is_active() {
            self.queue.wake(
                PollEvents::READABLE | (PollEvents::PRIORITY | PollEvents::ERROR).when(dropped),
            );
        }
    }

    /// Shows `each` the records from `from` on, in order, until it returns false or there are no
    /// more.
    ///
    /// The lock is held all the time: `each` must not sleep, and has to end soon.
    #[inline(always)]
    pub(crate) fn for_each_from(
        &self,
        from: Position,
        mut each: impl FnMut(&RecordRef<'_>) -> bool,
    ) {
        let state = self.state.lock();
        let mut at = from;
        while let Some(stored) = state.ring.read(at) {
            if !each(&stored) {
                break;
            }
            at = stored.end;
        }
    }

    /// Returns whether there is a record at or after `from`.
    pub(crate) fn has_record(&self, from: Position) -> bool {
        from.seq() < self.state.lock().ring.next().seq()
    }

    /// Returns the position at `target`.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the sequence number is greater than that of the next record.
    pub(crate) fn position(&self, target: SeekTarget) -> Result<Position> {
        let ring = &self.state.lock().ring;
        match target {
            SeekTarget::Oldest => Ok(ring.oldest()),
            SeekTarget::Cleared => Ok(ring.cleared()),
            SeekTarget::Next => Ok(ring.next()),
            SeekTarget::Seq(seq) => ring.position_of_seq(seq).ok_or(EINVAL),
            SeekTarget::Time(time_ns) => Ok(ring.position_of_time(time_ns)),
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
            log_id: self.id,
            record_max: self.record_max() as u32,
            policy: match ring.policy() {
                Policy::Overwrite => uapi::UMSG_POLICY_OVERWRITE,
                Policy::Stop => uapi::UMSG_POLICY_STOP,
            },
            style: self.style.number(),
            reserved_word: 0,
            reserved: [0; 4],
        }
    }

    /// Returns the text_max text of one record in bytes. It may change at any time.
    pub(crate) fn record_max(&self) -> usize {
        // A log that was removed may be smaller than `record_max` allows for the others.
        config::record_max().min(self.text_max)
    }

    /// Returns what its node does for files that do not say otherwise.
    pub(crate) fn style(&self) -> Style {
        self.style
    }
}

impl HasQueue for Log {
    fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

/// Returns the time for a record that is written now, in nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now() -> u64 {
    Monotonic::ktime_get() as u64
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
