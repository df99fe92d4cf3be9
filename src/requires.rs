// SPDX-License-Identifier: GPL-2.0

//! The newer parts of the kernel crate that umsg needs. This is not a part of the module:
//! scripts/lib/host/check-crate compiles it before a build, so that a kernel that umsg does not
//! support is refused with one line. The line below is a part of the message.
//!
//! Tested with: Linux 7.2 and 7.3

#![allow(unused_imports)]

use kernel::{
    alloc::flags::__GFP_NOWARN,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    module_param::KernelParam,
    page::PAGE_SIZE,
    seq_file::SeqFile,
    sync::{
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
    },
    task::{
        Kuid,
        TASK_INTERRUPTIBLE,
        TASK_NORMAL, //
    },
    time::{
        delay::fsleep,
        ClockSource,
        Monotonic, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
