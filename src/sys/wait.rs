// SPDX-License-Identifier: GPL-2.0

//! Wait queues for `poll`, `select`, epoll, aio and io_uring and for sleeping reads, and the events
//! that they report.
//!
//! C headers: `include/linux/wait.h`, `include/linux/poll.h`. The kernel crate's `PollCondVar` has
//! three limits: a wake-up has no event mask, so that it wakes all waiters; dropping it waits for
//! an RCU grace period; and it is one queue, so that a wake-up for one open file also wakes the
//! waiters of the others.
//!
//! # Two levels
//!
//! An append to a log concerns the waiters of all its open files; a seek concerns the waiters of
//! one. So each open file has a wait queue of its own, in a [`Relay`]. The relay is itself an entry
//! on the log's [`WaitQueue`] while it has waiters. A wake-up of the log's queue is forwarded to
//! each relay that has waiters, and removes the relays that have none.
//!
//! Lock order: the lock of a log's queue, then the lock of a relay's queue.

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

/// A set of `EPOLL*` bits (`include/uapi/linux/eventpoll.h`). `sys/check_constants.c` checks the
/// values.
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

    /// Returns the events if `condition` is true, otherwise none.
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

/// A wait queue. C counterpart: `wait_queue_head_t`.
///
/// # Invariants
///
/// `head` is an initialised wait queue.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue can be used by any thread.
unsafe impl Send for WaitQueue {}
// SAFETY: All accesses to the queue take its lock, except for the volatile read in `is_active`.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Creates an empty queue. `name` and `key` identify its lock for lockdep.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        // INVARIANT: `__init_waitqueue_head()` initialises the queue.
        pin_init!(Self {
            // SAFETY: `ffi_init()` guarantees that `head` is valid for writes, and it is pinned.
            // `name` and `key` are `'static`.
            head <- Opaque::ffi_init(|head| unsafe {
                bindings::__init_waitqueue_head(head, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    /// Returns whether the queue has waiters. C counterpart: `waitqueue_active()`.
    ///
    /// A waiter is not missed if it adds itself to the queue before it checks its condition with a
    /// lock held, and the caller changes the condition with the same lock held before it calls
    /// this.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        let head = self.head.get();
        // SAFETY: By the invariant, `head` is valid. Other CPUs can change the list at the same
        // time, hence the volatile read, like in `list_empty()`.
        let first = unsafe { addr_of!((*head).head.next).read_volatile() };
        // SAFETY: By the invariant, `head` is valid. No reference is created.
        let list = unsafe { addr_of!((*head).head) };
        !ptr::eq(first, list)
    }

    /// Wakes the waiters for any of `events`. C counterpart: `wake_up_poll()`.
    pub(crate) fn wake(&self, events: PollEvents) {
        let key = ptr::without_provenance_mut(events.0 as usize);
        // SAFETY: By the invariant, `head` is an initialised wait queue. The key of a poll wake-up
        // is the event mask itself (`poll_to_key()`), which is not dereferenced.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 1, key) };
    }

    /// Returns the wait queue, for `poll_wait()`.
    pub(crate) fn as_ptr(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }
}

/// An object with a [`WaitQueue`] to which relays are added.
pub(crate) trait HasQueue: Send + Sync {
    /// Returns the queue. All calls return the same one.
    fn queue(&self) -> &WaitQueue;
}

/// The waiters of one open file of `source`. They are woken by a wake-up of the queue of `source`,
/// or by [`Relay::wake`].
///
/// # Invariants
///
/// - `entry` is an initialised wait queue entry with the function [`Relay::forward`].
/// - `entry` is on no queue or on the queue of `source`, and its list is accessed only with the
///   lock of that queue held.
#[pin_data(PinnedDrop)]
pub(crate) struct Relay<T: HasQueue> {
    source: Arc<T>,
    #[pin]
    waiters: WaitQueue,
    /// The events that are forwarded.
    mask: Atomic<u32>,
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
}

// SAFETY: A wait queue and an entry with `forward` can be used by any thread.
unsafe impl<T: HasQueue> Send for Relay<T> {}
// SAFETY: By the invariants, the list of `entry` is accessed with a lock held. Its other fields do
// not change: `prepare_to_wait()` clears a flag in it without the lock, but that flag is never set.
// The other fields of the relay are `Sync`.
unsafe impl<T: HasQueue> Sync for Relay<T> {}

impl<T: HasQueue> Relay<T> {
    /// Creates a relay for the waiters of one open file of `source`, which forwards the events in
    /// `mask`.
    pub(crate) fn new(source: Arc<T>, mask: PollEvents) -> impl PinInit<Self> {
        // INVARIANT: `init_wait_entry()` initialises the entry, which is on no queue yet. The
        // function is set to `forward` afterwards.
        pin_init!(Self {
            source,
            waiters <- WaitQueue::new(c"umsg::waiters", static_lock_class!()),
            mask: Atomic::new(mask.0),
            entry <- Opaque::ffi_init(|entry: *mut bindings::wait_queue_entry| {
                // SAFETY: `ffi_init()` guarantees that `entry` is valid for writes.
                unsafe { bindings::init_wait_entry(entry, 0) };
                // SAFETY: `entry` is valid for writes, and no other code has a pointer to it yet.
                unsafe { addr_of_mut!((*entry).func).write(Some(Self::forward)) };
            }),
        })
    }

    /// Returns the source.
    pub(crate) fn source(&self) -> &Arc<T> {
        &self.source
    }

    /// Sets the events that are forwarded by later wake-ups.
    pub(crate) fn set_mask(&self, mask: PollEvents) {
        self.mask.store(mask.0, Relaxed);
    }

    /// Returns the wait queue of the file, for poll callers.
    pub(crate) fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }

    /// Adds the relay to the queue of the source, if the relay has waiters. Called after a waiter
    /// was added and before its condition is checked.
    pub(crate) fn join(&self) {
        if self.waiters.is_active() {
            self.join_in_state(bindings::TASK_RUNNING as c_int);
        }
    }

    /// Adds the relay to the queue of the source, and sets the state of the current task.
    fn join_in_state(&self, state: c_int) {
        let queue = self.source.queue().as_ptr();
        // INVARIANT: The queue is that of `source`, and `prepare_to_wait()` takes its lock.
        //
        // SAFETY:
        // - The queue is valid, because `source` is alive.
        // - `entry` is initialised and on no other queue (the invariants).
        // - `entry` is pinned, and `drop` removes it from the queue before it frees it and drops
        //   `source`.
        unsafe { bindings::prepare_to_wait(queue, self.entry.get(), state) };
    }

    /// Wakes only the waiters of this open file.
    pub(crate) fn wake(&self, events: PollEvents) {
        if self.waiters.is_active() {
            self.waiters.wake(events);
        }
    }

    /// Sleeps until `is_ready` returns true. It is called before the first sleep and after each
    /// wake-up, and must not sleep. C counterpart: `wait_event_interruptible()`.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS`: a signal is pending, and `is_ready` returned false.
    pub(crate) fn wait_interruptible(&self, is_ready: impl Fn() -> bool) -> Result {
        let waiter = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `waiter` is valid for writes.
        unsafe { bindings::init_wait_entry(waiter.get(), 0) };
        // The function that `init_wait_entry()` sets removes the waiter from the queue when it
        // wakes it. Here the waiter must stay: if a wake-up removed it before the relay is added to
        // the queue of the source, the next wake-up there would find no waiter and not wake this
        // task.
        //
        // SAFETY: `waiter` is initialised, and no other code has a pointer to it yet.
        unsafe { (*waiter.get()).func = Some(bindings::default_wake_function) };
        let queue = self.waiters.as_ptr();
        let result = loop {
            // SAFETY: The queue is valid, and `waiter` is initialised. `waiter` is not moved, and
            // `finish_wait()` below removes it before it is dropped.
            unsafe { bindings::prepare_to_wait(queue, waiter.get(), TASK_INTERRUPTIBLE) };
            self.join_in_state(TASK_INTERRUPTIBLE);
            if is_ready() {
                break Ok(());
            }
            if current!().signal_pending() {
                break Err(ERESTARTSYS);
            }
            // SAFETY: A read runs in process context and holds no spinlock here.
            unsafe { bindings::schedule() };
        };
        // SAFETY: The queue is valid, and `prepare_to_wait()` added `waiter` to it.
        unsafe { bindings::finish_wait(queue, waiter.get()) };
        result
    }

    /// Forwards a wake-up of the queue of the source to the waiters. Removes `entry` from the queue
    /// if there are none.
    ///
    /// If a waiter is added at the same time, it calls [`Relay::join`] afterwards, which waits for
    /// the lock that is held during this call.
    ///
    /// # Safety
    ///
    /// - `entry` must be that of a relay and on the queue of its source.
    /// - The lock of that queue must be held, as `__wake_up()` does.
    unsafe extern "C" fn forward(
        entry: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        let entry = entry.cast::<Opaque<bindings::wait_queue_entry>>();
        // SAFETY: The caller guarantees that `entry` is that field of a relay.
        let relay = unsafe { kernel::container_of!(entry, Self, entry) };
        // SAFETY: The relay is valid: before it is freed, `drop` removes its entry from the queue,
        // for which it needs the lock that is held during this call.
        let relay = unsafe { &*relay };
        if relay.waiters.is_active() {
            let events = key.addr() as u32 & relay.mask.load(Relaxed);
            relay.waiters.wake(PollEvents(events));
        } else {
            // SAFETY: The caller guarantees that the entry is on the queue and that the lock of the
            // queue is held.
            unsafe { list_del_init(addr_of_mut!((*relay.entry.get()).entry)) };
        }
        0
    }
}

/// Removes `entry` from its list and makes it an empty list. C counterpart: `list_del_init()` in
/// `include/linux/list.h`.
///
/// # Safety
///
/// `entry` must be on a valid list that no other code changes during this call.
unsafe fn list_del_init(entry: *mut bindings::list_head) {
    // SAFETY: The caller guarantees that `entry` is valid.
    let (next, prev) = unsafe { ((*entry).next, (*entry).prev) };
    // SAFETY: The caller guarantees that the neighbours of `entry` are valid.
    unsafe { (*next).prev = prev };
    // SAFETY: The caller guarantees that the neighbours of `entry` are valid. `is_active()` reads
    // the `next` of a list head without the lock, hence the volatile write, like `WRITE_ONCE()`.
    unsafe { addr_of_mut!((*prev).next).write_volatile(next) };
    // SAFETY: The caller guarantees that `entry` is valid.
    unsafe { (*entry).next = entry };
    // SAFETY: The caller guarantees that `entry` is valid.
    unsafe { (*entry).prev = entry };
}

#[pinned_drop]
impl<T: HasQueue> PinnedDrop for Relay<T> {
    fn drop(self: Pin<&mut Self>) {
        let queue = self.source.queue().as_ptr();
        // INVARIANT: `entry` is on no queue afterwards.
        //
        // SAFETY:
        // - `entry` is initialised and on this queue or on no queue (the invariants). If it is on
        //   no queue, it is an empty list, from which it can be removed, too.
        // - The queue is valid, because `source` is dropped later.
        // - The function takes the lock of the queue, so that no wake-up uses the relay afterwards.
        unsafe { bindings::remove_wait_queue(queue, self.entry.get()) };
    }
}
