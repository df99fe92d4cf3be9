// SPDX-License-Identifier: GPL-2.0

//! One log: a ring behind a lock, and the readers that wait for it.
//!
//! # Locking
//!
//! `Log::state` is a spinlock, held for one copy into or out of the ring, and in an append for
//! dropping the records that make room for it (at most about twice `record_max / 56` of them, where
//! all those are empty). It is never held over a copy to or from user memory, so a writer or reader
//! whose page fault stalls keeps nobody waiting. [`Log::wait`] gives it back while it sleeps.
//!
//! Lock order: `Log::state`, then a reader's cursor (`reader.rs`).
//!
//! # Waking
//!
//! Whoever is going to need a wake-up is on the wait queue first, then looks under the lock, where
//! it stands and whether there is a record, and leaves the mark `State::waited_for` there: a reader
//! that goes to sleep in [`Log::wait`] (which joins the queue before it releases the lock), and
//! [`Log::poll`]. [`Log::append`] stores its record and takes the mark under the same lock. So
//! either the append comes first and the record is seen, or the mark comes first and the append
//! wakes. A mark that was taken is set again by each waiter that goes on waiting: it looks again
//! after every wake-up. Nobody waiting costs an append nothing but a test of the mark.
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
        poll::{
            PollCondVar,
            PollTable, //
        },
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
        Header,
        Priority,
        Writer, //
    },
    ring::{
        Policy,
        Position,
        Refused,
        Ring,
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
    ring: Ring<Memory>,
    /// Somebody relies on being woken by the next append.
    waited_for: bool,
}

/// A record copied out of the log.
pub(crate) struct Found {
    /// How many records the reader missed just before this one.
    pub(crate) lost: u64,
    /// The position after this record.
    pub(crate) after: Position,
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
        let memory = Memory::new(capacity).inspect_err(|_| {
            pr_err!("capacity={capacity}: the machine cannot allocate that much memory\n")
        })?;
        let ring = Ring::new(memory, config.policy);
        Ok(try_pin_init!(Self {
            state <- new_spinlock!(State { ring, waited_for: false }, "umsg::log"),
            readable <- new_poll_condvar!("umsg::readable"),
        }))
    }

    /// Appends a record with the time of now, and wakes who waits for one.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when the log is full and its policy is to stop; `EMSGSIZE` when `text` is too long.
    pub(crate) fn append(&self, priority: Priority, writer: Writer, text: &[u8]) -> Result {
        if text.len() > config::record_max() {
            return Err(EMSGSIZE);
        }
        let mut header = Header {
            seq: 0,
            time_ns: 0,
            text_len: 0,
            priority,
            writer,
        };
        let waited_for = {
            let mut state = self.state.lock();
            // Under the lock, so that time never falls from one record to the next.
            header.time_ns = Monotonic::ktime_get() as u64;
            state
                .ring
                .append(header, text)
                .map_err(|refused| match refused {
                    Refused::Full => ENOSPC,
                    Refused::TooLarge => EMSGSIZE,
                })?;
            core::mem::take(&mut state.waited_for)
        };
        if waited_for {
            self.readable.notify_all();
        }
        Ok(())
    }

    /// Copies the first record at or after `from` into `scratch`; `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when there is no memory for a copy of a large record.
    pub(crate) fn fetch(&self, from: Position, scratch: &mut Scratch) -> Result<Option<Found>> {
        loop {
            let missing = {
                let state = self.state.lock();
                let Some(stored) = state.ring.read(from) else {
                    return Ok(None);
                };
                if scratch.store(stored.bytes) {
                    return Ok(Some(Found {
                        lost: stored.lost,
                        after: stored.after,
                    }));
                }
                stored.bytes.len()
            };
            // No allocation under a spinlock. The record may be another, longer one when the lock
            // is taken again; then it goes round once more.
            scratch.grow(missing)?;
        }
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
        state.waited_for = true;
        let from = position();
        let ring = &state.ring;
        (
            from.seq() < ring.next().seq(),
            from.seq() < ring.oldest().seq(),
        )
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

/// Room for the copy of one record between the ring and the user.
///
/// A record of usual size lies on the stack; a larger one has memory allocated for it, charged to
/// the reader's memory cgroup and freed when the call returns.
pub(crate) struct Scratch {
    stack: [u8; SCRATCH_STACK],
    /// The record, if it is too large for the stack.
    heap: KVVec<u8>,
    /// Length of the record on the stack.
    len: usize,
}

const SCRATCH_STACK: usize = 320;

impl Scratch {
    /// Room with no record in it.
    pub(crate) fn new() -> Self {
        Self {
            stack: [0; SCRATCH_STACK],
            heap: KVVec::new(),
            len: 0,
        }
    }

    /// The record that was copied last.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.heap.is_empty() {
            &self.stack[..self.len]
        } else {
            &self.heap
        }
    }

    /// Copies `bytes`, or returns false when there is no room for them.
    fn store(&mut self, bytes: &[u8]) -> bool {
        self.heap.clear();
        if let Some(room) = self.stack.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.len = bytes.len();
            return true;
        }
        // Within its capacity the vector allocates nothing, whatever the flags are.
        bytes.len() <= self.heap.capacity()
            && self.heap.extend_from_slice(bytes, GFP_NOWAIT).is_ok()
    }

    /// Makes room for a record of `size` bytes.
    fn grow(&mut self, size: usize) -> Result {
        self.heap.clear();
        self.heap.reserve(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?;
        Ok(())
    }
}
