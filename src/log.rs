// SPDX-License-Identifier: GPL-2.0

//! One log: a ring protected by a spinlock, and a wait queue.
//!
//! # Locking
//!
//! `Log::state` is a spinlock, because every critical section is short and none of them sleeps. It
//! is held:
//!
//! - to copy one record into or out of the ring, or up to [`LOCKED_MAX`] bytes of small records
//!   ([`LINE_LOCKED_MAX`] within a line);
//! - to drop the oldest records before a new record is stored;
//! - to search the ring by its index.
//!
//! The lock is never held during a copy to or from user memory, so a page fault of one writer or
//! reader does not delay the others. It is released before waiters are woken, and is never held
//! together with the cursor's lock of an open file (`file/cursor.rs`).
//!
//! # Waking
//!
//! A waiter is a task that sleeps in `read` or that called `poll`. It adds itself to the queue of
//! its open file, and that file's relay (`sys/wait.rs`) to `Log::queue`. Then it acquires the lock
//! and checks its condition. An append stores its record with the lock held, and checks
//! `Log::queue` after it released the lock. So either the waiter sees the record, or the append
//! sees the waiter.
//!
//! A seek updates the cursor with the cursor's lock held, then wakes the waiters of its open file.
//! These waiters check the cursor with the same lock held.

#![deny(unsafe_code)]

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
            EntryError,
            EntryParser, //
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
            RecordRef,
            Ring, //
        },
        style::Style, //
    },
    ring_memory::RingMemory,
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

/// Maximum number of bytes of small records that are copied while the lock is held.
pub(crate) const LOCKED_MAX: usize = 8192;

/// The same within a line that became several records. A line of `LOCKED_MAX` bytes fits together
/// with the lines before it, if its records have at least 64 bytes of text.
pub(crate) const LINE_LOCKED_MAX: usize = 3 * LOCKED_MAX;

/// A bounded log of records. The module documentation describes its locking and its wake-ups.
#[pin_data]
pub(crate) struct Log {
    /// The initial style of files that are opened through its device node.
    style: Style,
    /// Length in bytes of the longest text that fits the ring.
    text_max: usize,
    /// A random number that identifies the log, also across module loads.
    id: u64,
    #[pin]
    state: SpinLock<State>,
    /// The relays of open files that have waiters.
    #[pin]
    queue: WaitQueue,
}

struct State {
    ring: Ring<RingMemory, VVec<IndexEntry>>,
}

/// The reason why [`Log::append_entries`] stopped.
pub(crate) enum BatchEnd {
    /// The rest of the data is empty or an incomplete entry.
    Incomplete,
    /// The next entry was rejected with this error.
    Rejected(Error),
    /// `LOCKED_MAX` bytes were stored while the lock was held, or `LINE_LOCKED_MAX` within a line.
    LimitReached,
}

/// The target of a seek.
pub(crate) enum SeekTarget {
    /// The position before the oldest record.
    Oldest,
    /// The position after the last cleared record.
    Cleared,
    /// The position after the newest record.
    Next,
    /// The position before the record with this sequence number; see [`Ring::position_of_seq`].
    Seq(u64),
    /// The position before the first record with this timestamp or a later one; see
    /// [`Ring::position_of_time`].
    Time(u64),
}

impl Log {
    /// Creates an empty log and allocates all its memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: the memory cannot be allocated.
    pub(crate) fn new(config: &LogConfig) -> Result<impl PinInit<Self, Error>> {
        let capacity = config.capacity;
        let log_error =
            |_: &AllocError| pr_err!("capacity={capacity}: cannot allocate this much memory\n");
        let memory = RingMemory::new(capacity).inspect_err(log_error)?;
        let flags = GFP_KERNEL | __GFP_NOWARN;
        // Not KVVec, whose size is limited to `INT_MAX` bytes.
        let index = VVec::from_elem(IndexEntry::default(), index_len(capacity), flags)
            .inspect_err(log_error)?;
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

    /// Appends a record with the current time and wakes waiters.
    ///
    /// # Errors
    ///
    /// - `ENOSPC`: the log is full and its policy is to stop.
    /// - `EMSGSIZE`: the record is larger than the ring.
    #[inline]
    pub(crate) fn append(&self, priority: Priority, writer: Writer, text: &[u8]) -> Result {
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        let header = Header {
            seq: 0,
            // Read with the lock held, so that sequence numbers and timestamps have the same order.
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

    /// Appends a record with the timestamp in `header` and wakes waiters. Fails like
    /// [`Log::append`].
    pub(crate) fn append_with_time(&self, header: Header, text: &[u8]) -> Result {
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        state.append(header, text)?;
        self.wake_after_append(state, oldest);
        Ok(())
    }

    /// Appends the entries that `entries` parses from `data`, all with one timestamp, and wakes
    /// waiters.
    ///
    /// Returns the number of bytes of `data` that were stored, and the reason why it stopped. It
    /// stops after the entry that fills the [`LOCKED_MAX`]th byte of the ring, or the
    /// [`LINE_LOCKED_MAX`]th within a line, because the lock is held throughout.
    pub(crate) fn append_entries(
        &self,
        writer: Writer,
        data: &[u8],
        entries: &mut impl EntryParser,
    ) -> (usize, BatchEnd) {
        let mut consumed = 0;
        let mut stored = 0;
        let mut limit = LOCKED_MAX;
        let mut state = self.state.lock();
        let oldest = state.ring.oldest();
        let time_ns = now();
        let end = loop {
            if stored >= limit {
                break BatchEnd::LimitReached;
            }
            match entries.parse(&data[consumed..]) {
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
                    consumed += entry.size;
                    stored += stored_size(entry.text.len());
                    limit = match entry.is_continued {
                        true => LINE_LOCKED_MAX,
                        false => LOCKED_MAX,
                    };
                }
                Err(EntryError::Incomplete) => break BatchEnd::Incomplete,
                Err(EntryError::Invalid) => break BatchEnd::Rejected(EINVAL),
                Err(EntryError::TooLong) => break BatchEnd::Rejected(EMSGSIZE),
            }
        };
        if consumed > 0 {
            self.wake_after_append(state, oldest);
        }
        (consumed, end)
    }

    /// Releases the lock after an append, and wakes waiters. `oldest` is the position before the
    /// oldest record at the time before the append.
    fn wake_after_append(&self, state: SpinLockGuard<'_, State>, oldest: Position) {
        let dropped = state.ring.oldest() != oldest;
        drop(state);
        if self.queue.is_active() {
            self.queue.wake(
                PollEvents::READABLE | (PollEvents::PRIORITY | PollEvents::ERROR).when(dropped),
            );
        }
    }

    /// Calls `f` with the first record at or after `from` and returns its result, or `None` if
    /// there is no such record. The lock is held during the call: `f` must not sleep and must be
    /// short.
    ///
    /// Always inlined, because the result of a text read is large: without it a text read takes 3 %
    /// more instructions.
    #[inline(always)]
    pub(crate) fn with_record<R>(
        &self,
        from: Position,
        f: impl FnOnce(&RecordRef<'_>) -> R,
    ) -> Option<R> {
        let state = self.state.lock();
        state.ring.read(from).as_ref().map(f)
    }

    /// Calls `each` for the records at and after `from`, in order, until it returns false or there
    /// are no more records.
    ///
    /// The lock is held during all calls: `each` must not sleep and must be short.
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

    /// Returns whether a record at or after `from` exists.
    pub(crate) fn has_record(&self, from: Position) -> bool {
        from.seq() < self.state.lock().ring.next().seq()
    }

    /// Returns the position for `target`.
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

    /// Marks all records as cleared; see [`Ring::clear`].
    pub(crate) fn clear(&self) {
        self.state.lock().ring.clear();
    }

    /// Returns the current state and counters of the log.
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

    /// Returns the maximum length of the text of one record in bytes. It can change at any time.
    pub(crate) fn record_max(&self) -> usize {
        // A removed log no longer limits `record_max`, which can therefore be larger than its ring.
        config::record_max().min(self.text_max)
    }

    /// Returns the initial style of files that are opened through its device node.
    pub(crate) fn style(&self) -> Style {
        self.style
    }
}

impl State {
    #[inline]
    fn append(&mut self, header: Header, text: &[u8]) -> Result {
        match self.ring.append(header, text) {
            Ok(_) => Ok(()),
            Err(AppendError::Full) => Err(ENOSPC),
            Err(AppendError::TooLarge) => Err(EMSGSIZE),
        }
    }
}

impl HasQueue for Log {
    fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

/// Returns the timestamp of a record that is written now, in nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now() -> u64 {
    Monotonic::ktime_get() as u64
}
