// SPDX-License-Identifier: GPL-2.0

//! A mutex in a static, for data of callbacks that get no pointer to it.
//!
//! C counterpart: `DEFINE_MUTEX()` in `include/linux/mutex.h`. The kernel crate's `global_lock!`
//! requires unsafe code to initialise the lock exactly once and before its first use.
//! [`GlobalMutex`] checks both at run time, so that its interface is safe.

use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    lock::{
        GlobalGuard,
        GlobalLock,
        GlobalLockBackend, //
    }, //
};

/// Declares a private static [`GlobalMutex`] and the type of its backend, which has the same name.
macro_rules! global_mutex {
    ($(#[$meta:meta])* static $name:ident: $item:ty = $value:expr;) => {
        #[allow(
            clippy::upper_case_acronyms,
            non_camel_case_types,
            reason = "the type has the name of the static"
        )]
        enum $name {}

        impl ::kernel::sync::lock::GlobalLockBackend for $name {
            const NAME: &'static ::kernel::str::CStr = ::kernel::c_str!(stringify!($name));
            type Item = $item;
            type Backend = ::kernel::sync::lock::mutex::MutexBackend;

            fn get_lock_class() -> ::core::pin::Pin<&'static ::kernel::sync::LockClassKey> {
                ::kernel::static_lock_class!()
            }
        }

        $(#[$meta])*
        #[allow(unsafe_code, reason = "the macro declares a backend for this static alone")]
        static $name: $crate::sys::global_mutex::GlobalMutex<$name> = {
            let value: $item = $value;
            // SAFETY: The macro declares the backend for this static, and no other lock uses it.
            unsafe { $crate::sys::global_mutex::GlobalMutex::new(value) }
        };
    };
}
pub(crate) use global_mutex;

/// A mutex in a static that is initialised at run time. Declared by [`global_mutex!`] alone.
///
/// The value is not dropped when the module is unloaded, like the value of any static.
///
/// # Invariants
///
/// - `lock` is initialised at most once, by the call of [`GlobalMutex::init`] that changes `state`
///   from `UNINIT`, and is not locked before `state` is `READY`.
/// - If `state` is `READY`, `lock` is initialised.
pub(crate) struct GlobalMutex<B: GlobalLockBackend> {
    lock: GlobalLock<B>,
    state: Atomic<u32>,
}

/// The state before the first call of [`GlobalMutex::init`].
const UNINIT: u32 = 0;
/// The state while that call initialises the lock.
const BUSY: u32 = 1;
/// The state afterwards.
const READY: u32 = 2;

impl<B: GlobalLockBackend> GlobalMutex<B> {
    /// Creates a mutex that is not initialised. For [`global_mutex!`].
    ///
    /// # Safety
    ///
    /// No other lock may use the type `B`.
    pub(crate) const unsafe fn new(value: B::Item) -> Self {
        // INVARIANT: The lock is neither initialised nor locked, and `state` is `UNINIT`.
        Self {
            // SAFETY:
            // - `lock` is not locked before `init` initialises it (the invariant).
            // - The caller guarantees that no other lock uses `B`.
            lock: unsafe { GlobalLock::new(value) },
            state: Atomic::new(UNINIT),
        }
    }

    /// Initialises the mutex. A second call has no effect.
    pub(crate) fn init(&'static self) {
        if self.state.cmpxchg(UNINIT, BUSY, Relaxed).is_err() {
            return;
        }
        // SAFETY: This is the only call for this lock, because `state` leaves `UNINIT` only once.
        unsafe { self.lock.init() };
        // INVARIANT: The lock is initialised. A load of `READY` with acquire ordering sees that.
        self.state.store(READY, Release);
    }

    /// Locks the mutex, or returns `None` if it is not initialised.
    pub(crate) fn lock(&'static self) -> Option<GlobalGuard<B>> {
        (self.state.load(Acquire) == READY).then(|| self.lock.lock())
    }
}
