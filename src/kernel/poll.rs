// SPDX-License-Identifier: GPL-2.0

//! A wait queue for `poll`, `select`, epoll, aio and io_uring, and the events that it reports.
//!
//! C headers: `include/linux/wait.h`, `include/linux/poll.h`. The kernel crate's `PollCondVar`
//! cannot pass the events to a wake-up, so that each waiter is woken for all of them, and waits for
//! an RCU grace period when it is dropped. When it offers both, this file goes.

use core::ptr::{
    self,
    addr_of, //
};

use kernel::{
    bindings,
    prelude::*,
    sync::LockClassKey,
    task::TASK_NORMAL,
    types::Opaque, //
};

/// A set of `EPOLL*` bits (`include/uapi/linux/eventpoll.h`), which `kernel/constants.c` checks.
#[derive(Clone, Copy)]
pub(crate) struct Events(u32);

impl Events {
    /// No event.
    pub(crate) const NONE: Self = Self(0);
    /// `EPOLLIN | EPOLLRDNORM`
    pub(crate) const READABLE: Self = Self(0x001 | 0x040);
    /// `EPOLLPRI`
    pub(crate) const PRIORITY: Self = Self(0x002);
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

impl core::ops::BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A wait queue that `poll` callers are added to (`chardev.rs`).
///
/// # Invariants
///
/// `head` is an initialised wait queue.
#[pin_data]
pub(crate) struct PollQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue is not bound to a thread.
unsafe impl Send for PollQueue {}
// SAFETY: All accesses to the queue take its own lock, apart from the volatile read in `is_active`.
unsafe impl Sync for PollQueue {}

impl PollQueue {
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
    pub(crate) fn wake(&self, events: Events) {
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
