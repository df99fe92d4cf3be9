// SPDX-License-Identifier: GPL-2.0

//! One log: a ring behind a lock, and the readers that wait for it.
//!
//! # Locking
//!
//! `Log::state` is a spinlock, held for the copy of one record into or out of the ring, or of some
//! KiB of small ones, for a search (some dozens of records, by the ring's index), and in an append
//! for dropping the records that make room for it (at most about twice `record_max / 56` of them,
//! where all those are empty). It is never held over a copy
//! to or from user memory, so a writer or reader whose page fault stalls keeps nobody waiting.
//! [`Log::wait`] gives it back while it sleeps.
//!
//! A spinlock, because that is short: of the 1010 instructions that a write of 64 bytes to a full
//! log takes, about 210 run under it, 42 of them to ask for the time, and of a read about 100.
//! Taking and releasing it takes 20.
//!
//! Lock order: `Log::state`, then a reader's cursor (`reader.rs`).
//!
//! # Waking
//!
//! Whoever is going to need a wake-up is on the wait queue first, then looks under the lock, where
//! it stands and whether there is a record, and leaves the mark `State::waited_for` there: a reader
//! that goes to sleep in [`Log::wait`] (which joins the queue before it releases the lock), and
//! [`Handle::poll`]. [`Log::append`] stores its record and takes the mark under the same lock. So
//! either the append comes first and the record is seen, or the mark comes first and the append
//! wakes. A mark that was taken is set again by each reader that goes on waiting: it looks again
//! after every wake-up. Nobody waiting costs an append nothing but a test of the mark; to ask the
//! wait queue each time would cost it 86 instructions.
//!
//! Whoever polls need not look again: an epoll set that is in another one passes wake-ups on and
//! asks its files only when somebody wants to know which they are. So the mark stays for as long as
//! a file is open that was ever asked by `poll` (`State::polled`).
//!
//! A seek moves the cursor first, then goes through the lock and wakes ([`Log::wake`]): who looked
//! before it is on the queue by then, who looks after it sees the new position.

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
    fs::File,
    new_poll_condvar,
    new_spinlock,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        poll::{
            PollCondVar,
            PollTable, //
        },
        Arc,
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
    record::{
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
        Stored,
        Totals, //
    },
};

/// A bounded log of records. See the module for its lock and its wake-ups.
#[pin_data]
pub(crate) struct Log {
    #[pin]
    state: SpinLock<State>,
    /// Notified when a record was appended that somebody waits for.
    #[pin]
    readable: PollCondVar,
}

struct State {
    ring: Ring<Memory, KVVec<usize>>,
    /// Somebody relies on being woken by the next append.
    waited_for: bool,
    /// How many open files were asked by `poll`. While there are any, `waited_for` is true.
    polled: usize,
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

/// The state of a log at one moment.
pub(crate) struct Info {
    /// Bytes of memory for records.
    pub(crate) capacity: usize,
    /// Longest text of one record in bytes.
    pub(crate) record_max: usize,
    /// What a full log does with a new record.
    pub(crate) policy: Policy,
    /// Sequence number of the oldest record, or of the next one when there is none.
    pub(crate) oldest: u64,
    /// Sequence number that the next record will get.
    pub(crate) next: u64,
    /// Sequence number of the first record that was not cleared.
    pub(crate) cleared: u64,
    /// What went through the log.
    pub(crate) totals: Totals,
}

impl State {
    /// Takes the mark that somebody waits, after a record was stored, and returns what it was.
    #[inline(always)]
    fn take_waited_for(&mut self) -> bool {
        let waited_for = self.waited_for;
        if waited_for {
            self.waited_for = self.polled > 0;
        }
        waited_for
    }

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

/// A fixed place to seek to.
pub(crate) enum Place {
    /// Before the oldest record.
    Oldest,
    /// After the last record that was cleared.
    Cleared,
    /// After the newest record.
    Next,
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
            state <- new_spinlock!(State { ring, waited_for: false, polled: 0 }, "umsg::log"),
            readable <- new_poll_condvar!("umsg::readable"),
        }))
    }

    /// Appends a record with the time of now, and wakes who waits for one.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when the log is full and its policy is to stop; `EMSGSIZE` when `text` is too long.
    #[inline(always)]
    pub(crate) fn append(&self, priority: Priority, writer: Writer, text: &[u8]) -> Result {
        if text.len() > config::record_max() {
            return Err(EMSGSIZE);
        }
        let mut state = self.state.lock();
        // Under the lock, so that time never falls from one record to the next.
        let time_ns = Monotonic::ktime_get() as u64;
        state.append(time_ns, priority, writer, text)?;
        let waited_for = state.take_waited_for();
        drop(state);
        if waited_for {
            self.readable.notify_all();
        }
        Ok(())
    }

    /// Appends the records of the entries in `data`, each with at most `record_max` bytes of text,
    /// as far as they go, with the time of now, and wakes who waits for one. Returns how many bytes
    /// of `data` were taken, and what ended it.
    ///
    /// The lock is held all the time, so it also ends behind `most` bytes, or the entry that has
    /// them in it.
    pub(crate) fn append_all(
        &self,
        writer: Writer,
        data: &[u8],
        record_max: usize,
        most: usize,
    ) -> (usize, Ended) {
        let mut taken = 0;
        let mut state = self.state.lock();
        let time_ns = Monotonic::ktime_get() as u64;
        let ended = loop {
            if taken >= most {
                break Ended::Paused;
            }
            match Entry::first(&data[taken..], record_max) {
                Ok(Entry {
                    priority,
                    text,
                    size,
                }) => match state.append(time_ns, priority, writer, text) {
                    Ok(()) => taken += size,
                    Err(error) => break Ended::Refused(error),
                },
                Err(NoEntry::Cut) => break Ended::Cut,
                Err(NoEntry::Invalid) => break Ended::Refused(EINVAL),
                Err(NoEntry::TooLong) => break Ended::Refused(EMSGSIZE),
            }
        };
        let waited_for = taken > 0 && state.take_waited_for();
        drop(state);
        if waited_for {
            self.readable.notify_all();
        }
        (taken, ended)
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

    /// The position before the record `seq`, as [`Ring::position_of`].
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is later than the next record.
    pub(crate) fn position_of(&self, seq: u64) -> Result<Position> {
        self.state.lock().ring.position_of(seq).ok_or(EINVAL)
    }

    /// The position before the first record that was written at `time_ns` or later, or after the
    /// newest one.
    pub(crate) fn position_at(&self, time_ns: u64) -> Position {
        self.state.lock().ring.position_at(time_ns)
    }

    /// Sleeps until there may be a record at or after `from`, for as long as `still` says, with the
    /// log locked, that the caller wants one from there. Who changes that calls [`Log::wake`] next.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` when a signal came, and no record.
    pub(crate) fn wait(&self, from: Position, still: impl Fn() -> bool) -> Result {
        let mut state = self.state.lock();
        while from.seq() >= state.ring.next().seq() && still() {
            state.waited_for = true;
            if self.readable.wait_interruptible(&mut state) && from.seq() >= state.ring.next().seq()
            {
                return Err(ERESTARTSYS);
            }
        }
        Ok(())
    }

    /// Wakes all who wait, so that they look again.
    pub(crate) fn wake(&self) {
        // Whoever holds the lock may have looked already and be about to sleep.
        drop(self.state.lock());
        self.readable.notify_all();
    }

    /// The position at `place`.
    pub(crate) fn position(&self, place: Place) -> Position {
        let state = self.state.lock();
        match place {
            Place::Oldest => state.ring.oldest(),
            Place::Cleared => state.ring.cleared(),
            Place::Next => state.ring.next(),
        }
    }

    /// Marks all records as cleared, as [`Ring::clear`].
    pub(crate) fn clear(&self) {
        self.state.lock().ring.clear();
    }

    /// The state of the log now.
    pub(crate) fn info(&self) -> Info {
        let state = self.state.lock();
        let ring = &state.ring;
        Info {
            capacity: ring.capacity(),
            record_max: config::record_max(),
            policy: ring.policy(),
            oldest: ring.oldest().seq(),
            next: ring.next().seq(),
            cleared: ring.cleared().seq(),
            totals: ring.totals(),
        }
    }
}

/// A log as an open file has it.
pub(crate) struct Handle {
    log: Arc<Log>,
    /// The file was asked by `poll`, and is counted in `State::polled`. Looked at and changed with
    /// the log's lock held, but for the end, when nobody else has the file.
    polled: Atomic<bool>,
}

impl Handle {
    /// For a file that was not asked yet.
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self {
            log,
            polled: Atomic::new(false),
        }
    }

    /// Puts the caller of `poll` on the wait queue, then looks where it stands, and from there:
    /// whether there is a record, and whether records before it are gone.
    pub(crate) fn poll(
        &self,
        file: &File,
        table: &PollTable<'_>,
        position: impl FnOnce() -> Position,
    ) -> (bool, bool) {
        table.register_wait(file, &self.readable);
        let mut state = self.state.lock();
        if !self.polled.load(Relaxed) {
            self.polled.store(true, Relaxed);
            state.polled += 1;
        }
        state.waited_for = true;
        let from = position();
        let ring = &state.ring;
        (
            from.seq() < ring.next().seq(),
            from.seq() < ring.oldest().seq(),
        )
    }
}

impl Deref for Handle {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The mark may stay: the next append finds that nobody is there.
        if self.polled.load(Relaxed) {
            self.log.state.lock().polled -= 1;
        }
    }
}

/// The memory of a ring: whole pages, because the kernel crate fills a vector element by element,
/// and pages are filled much faster than bytes.
struct Memory(VVec<[u8; PAGE_SIZE]>);

impl Memory {
    /// `capacity` bytes, which must be whole pages, filled with zeros.
    fn new(capacity: usize) -> Result<Self, AllocError> {
        let pages = capacity / PAGE_SIZE;
        VVec::from_elem([0; PAGE_SIZE], pages, GFP_KERNEL | __GFP_NOWARN).map(Self)
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
