// SPDX-License-Identifier: GPL-2.0

//! Wait queues for `poll`, `select`, epoll, aio and io_uring and for reads that sleep, and the
//! events that they report.
//!
//! C headers: `include/linux/wait.h`, `include/linux/poll.h`. The kernel crate's `PollCondVar`
//! cannot pass the events to a wake-up, so that each waiter is woken for all of them, waits for an
//! RCU grace period when it is dropped, and is one queue for all: a wake-up for one open file wakes
//! the waiters of all others. When it offers the same, this file goes.
//!
//! # Two levels
//!
//! What happens to a log concerns all its open files, a seek concerns one. So a waiter is on the
//! queue of its open file, a [`Relay`]. The relay is itself an entry of the log's [`WaitQueue`] for
//! as long as it has waiters: a wake-up there takes out the relays that have none any more, and
//! passes on to the others.
//!
//! Lock order: the lock of a log's queue, then the lock of a relay's.

use core::{
    ffi::c_void,
    ptr::{
        self,
        addr_of,
        addr_of_mut, //
    }, //
};

use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        LockClassKey, //
    },
    task::{
        TASK_INTERRUPTIBLE,
        TASK_NORMAL, //
    },
    types::Opaque, //
};

/// A set of `EPOLL*` bits (`include/uapi/linux/eventpoll.h`), which `sys/check_constants.c` checks.
#[derive(Clone, Copy)]
pub(crate) struct PollEvents(u32);

impl PollEvents {
    /// No event.
    pub(crate) const NONE: Self = Self(0);
    /// `EPOLLIN | EPOLLRDNORM`
    pub(crate) const READABLE: Self = Self(0x001 | 0x040);
    /// `EPOLLPRI`
    pub(crate) const PRIORITY: Self = Self(0x002);
    /// `EPOLLERR`
    pub(crate) const ERROR: Self = Self(0x008);
    /// `EPOLLOUT | EPOLLWRNORM`
    pub(crate) const WRITABLE: Self = Self(0x004 | 0x100);

    /// Returns the bits.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Returns these events if `condition` holds, otherwise none.
    pub(crate) fn when(self, condition: bool) -> Self {
        if condition {
            self
        } else {
            Self::NONE
        }
    }
}

impl core::ops::BitOr for PollEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A wait queue.
///
/// # Invariants
///
/// `head` is an initialised wait queue.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue is not bound to a thread.
unsafe impl Send for WaitQueue {}
// SAFETY: All accesses to the queue take its own lock, apart from the volatile read in `is_active`.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Creates an empty queue; lockdep knows its lock by `name` and `key`.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        // INVARIANT: `__init_waitqueue_head()` initialises the queue.
        pin_init!(Self {
            // SAFETY: `head` is valid for writes and stays pinned. `name` and `key` are `'static`.
            head <- Opaque::ffi_init(|head| unsafe {
                bindings::__init_waitqueue_head(head, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    /// Returns whether the queue has waiters. C counterpart: `waitqueue_active()`.
    ///
    /// A caller that changes the condition under a lock and calls this afterwards does not miss a
    /// waiter that was added to the queue before it checked the condition under the same lock.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        let head = self.head.get();
        // SAFETY: By the invariant `head` is valid. Other CPUs may change the list at the same
        // time, hence the volatile read, as in `list_empty()`.
        let first = unsafe { addr_of!((*head).head.next).read_volatile() };
        // SAFETY: By the invariant `head` is valid. No reference is made.
        let list = unsafe { addr_of!((*head).head) };
        !ptr::eq(first, list)
    }

    /// Wakes the waiters that wait for one of `events`. C counterpart: `wake_up_poll()`.
    pub(crate) fn wake(&self, events: PollEvents) {
        let key = ptr::without_provenance_mut(events.0 as usize);
        // SAFETY: By the invariant `head` is an initialised wait queue. The key of a poll queue is
        // the set of events itself (`poll_to_key()`), not a pointer that is followed.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 1, key) };
    }

    /// Returns the wait queue, for `poll_wait()`.
    pub(crate) fn as_ptr(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }
}

/// What has a [`WaitQueue`] that relays join.
pub(crate) trait HasQueue: Send + Sync {
    /// Returns the queue, always the same.
    fn queue(&self) -> &WaitQueue;
}

/// The waiters of one open file. A wake-up of the `source` wakes them with those of its other
/// files; they can also be woken alone.
///
/// # Invariants
///
/// `entry` is an initialised entry with the function [`Relay::forward`], on no queue or on the
/// queue of `source`. Its list is only touched with the lock of that queue held.
#[pin_data(PinnedDrop)]
pub(crate) struct Relay<T: HasQueue> {
    source: Arc<T>,
    #[pin]
    waiters: WaitQueue,
    /// Events that are passed on.
    mask: Atomic<u32>,
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
}

// SAFETY: Neither the queue nor the entry is bound to a thread.
unsafe impl<T: HasQueue> Send for Relay<T> {}
// SAFETY: By the invariant, accesses to `entry` take a lock; the other fields are `Sync`.
unsafe impl<T: HasQueue> Sync for Relay<T> {}

impl<T: HasQueue> Relay<T> {
    /// Creates a relay for the waiters of one open file of `source`, which passes on `mask`.
    pub(crate) fn new(source: Arc<T>, mask: PollEvents) -> impl PinInit<Self> {
        // INVARIANT: `init_wait_entry()` initialises the entry, which is on no queue yet.
        pin_init!(Self {
            source,
            waiters <- WaitQueue::new(c"umsg::waiters", static_lock_class!()),
            mask: Atomic::new(mask.0),
            entry <- Opaque::ffi_init(|entry: *mut bindings::wait_queue_entry| {
                // SAFETY: `entry` is valid for writes.
                unsafe { bindings::init_wait_entry(entry, 0) };
                // SAFETY: `entry` is valid for writes, and no other code has a pointer to it.
                unsafe { addr_of_mut!((*entry).func).write(Some(Self::forward)) };
            }),
        })
    }

    /// Returns what the relay was made for.
    pub(crate) fn source(&self) -> &Arc<T> {
        &self.source
    }

    /// Sets the events that are passed on from now on.
    pub(crate) fn set_mask(&self, mask: PollEvents) {
        self.mask.store(mask.0, Relaxed);
    }

    /// Returns the queue for callers of `poll`.
    pub(crate) fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }

    /// Joins the queue of the source, if the relay has waiters. To be called after a waiter was
    /// added and before its condition is checked.
    pub(crate) fn join(&self) {
        if self.waiters.is_active() {
            self.join_in_state(bindings::TASK_RUNNING as c_int);
        }
    }

    /// Joins the queue of the source, and sets the state of the current task.
    fn join_in_state(&self, state: c_int) {
        let queue = self.source.queue().as_ptr();
        // INVARIANT: The queue is that of `source`, and the function takes its lock.
        //
        // SAFETY: The queue is valid, and `entry` is initialised and on no other queue. It is
        // pinned and removed from the queue before it is freed, which `source` keeps alive.
        unsafe { bindings::prepare_to_wait(queue, self.entry.get(), state) };
    }

    /// Wakes the waiters of this open file alone.
    pub(crate) fn wake(&self, events: PollEvents) {
        if self.waiters.is_active() {
            self.waiters.wake(events);
        }
    }

    /// Sleeps until `is_ready`, which is called after each wake-up and must not sleep. C
    /// counterpart: `wait_event_interruptible()`.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS`: a signal is pending, and `is_ready` is false.
    pub(crate) fn wait_interruptible(&self, is_ready: impl Fn() -> bool) -> Result {
        let waiter = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `waiter` is valid for writes.
        unsafe { bindings::init_wait_entry(waiter.get(), 0) };
        // A wake-up must not take it out of the queue: it may come between the next two steps, and
        // the next one would find nobody.
        //
        // SAFETY: `waiter` is initialised, and nobody else has it.
        unsafe { (*waiter.get()).func = Some(bindings::default_wake_function) };
        let queue = self.waiters.as_ptr();
        let result = loop {
            // SAFETY: The queue is valid, and `waiter` is initialised. It stays where it is until
            // `finish_wait()` has removed it.
            unsafe { bindings::prepare_to_wait(queue, waiter.get(), TASK_INTERRUPTIBLE) };
            self.join_in_state(TASK_INTERRUPTIBLE);
            if is_ready() {
                break Ok(());
            }
            if current!().signal_pending() {
                break Err(ERESTARTSYS);
            }
            // SAFETY: This is process context, and the caller holds no spinlock.
            unsafe { bindings::schedule() };
        };
        // SAFETY: As above.
        unsafe { bindings::finish_wait(queue, waiter.get()) };
        result
    }

    /// Passes a wake-up of the source's queue on to the waiters, or takes `entry` out of the queue
    /// if there are none.
    ///
    /// A waiter that is added at this moment calls [`Relay::join`] later, which needs the lock that
    /// the caller holds.
    ///
    /// # Safety
    ///
    /// Called by `__wake_up()` with the lock of the source's queue held: `entry` must be that of a
    /// relay, on that queue.
    unsafe extern "C" fn forward(
        entry: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        let entry = entry.cast::<Opaque<bindings::wait_queue_entry>>();
        // SAFETY: `entry` is the field of a relay.
        let relay = unsafe { kernel::container_of!(entry, Self, entry) };
        // SAFETY: The relay removes its entry before it is dropped, which takes the lock that is
        // held here.
        let relay = unsafe { &*relay };
        if relay.waiters.is_active() {
            let events = key.addr() as u32 & relay.mask.load(Relaxed);
            relay.waiters.wake(PollEvents(events));
        } else {
            // SAFETY: The entry is on the queue whose lock is held.
            unsafe { list_del_init(addr_of_mut!((*relay.entry.get()).entry)) };
        }
        0
    }
}

/// Takes `entry` out of its list. C counterpart: `list_del_init()` in `include/linux/list.h`.
///
/// # Safety
///
/// `entry` must be on a list that nobody else changes.
unsafe fn list_del_init(entry: *mut bindings::list_head) {
    // SAFETY: By the contract, `entry` and its neighbours are valid.
    let (next, prev) = unsafe { ((*entry).next, (*entry).prev) };
    // SAFETY: As above.
    unsafe { (*next).prev = prev };
    // SAFETY: As above. `is_active()` reads `next` of a head without the lock, hence the volatile
    // write, as `WRITE_ONCE()`.
    unsafe { addr_of_mut!((*prev).next).write_volatile(next) };
    // SAFETY: As above.
    unsafe { (*entry).next = entry };
    // SAFETY: As above.
    unsafe { (*entry).prev = entry };
}

#[pinned_drop]
impl<T: HasQueue> PinnedDrop for Relay<T> {
    fn drop(self: Pin<&mut Self>) {
        let queue = self.source.queue().as_ptr();
        // INVARIANT: The entry is on no queue then.
        //
        // SAFETY: `entry` is on this queue or on none. The function takes its lock, so that no
        // wake-up looks at the relay any more. An initialised entry that is on no queue is a list
        // of its own, from which it can be removed as well.
        unsafe { bindings::remove_wait_queue(queue, self.entry.get()) };
    }
}
