// SPDX-License-Identifier: GPL-2.0

//! Who the current task is, what it may see and what it may do. The kernel crate shows no command
//! name, no real user id of the current credentials, no capability and no munged user id yet.

use core::ptr::{
    addr_of,
    eq, //
};

use kernel::{
    bindings,
    current,
    prelude::*,
    task::Kuid, //
};

use crate::pure::record::{
    Ids,
    Writer,
    COMM_LEN, //
};

/// Returns the current task, as it is recorded with what it writes to a file that `opener` opened.
pub(crate) fn current_writer(opener: u32) -> Writer {
    let task = current!();
    Writer {
        ids: Ids {
            pid: task.group_leader().pid() as u32,
            tid: task.pid() as u32,
            uid: current_uid(),
            opener,
        },
        comm: comm(),
    }
}

/// Returns the real user id of the current task, as the kernel holds it. C counterpart:
/// `current_uid()`, which is what `SO_PASSCRED` gives.
///
/// These are the credentials that the task acts with: a thread of io_uring acts with those of the
/// process it works for.
fn current_uid() -> u32 {
    let task = current!().as_ptr();
    // SAFETY: `task` is the current task, and nobody else changes its `cred`.
    let cred = unsafe { (*task).cred };
    // SAFETY: The task holds a reference to its credentials, and they do not change.
    unsafe { (*cred).uid.val }
}

/// A process, told from all others: also from a later one with the same id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    start_ns: u64,
}

/// Returns the process that the current task is a thread of.
pub(crate) fn current_process() -> Process {
    let task = current!();
    let leader = task.group_leader();
    Process {
        pid: leader.pid() as u32,
        // SAFETY: The leader's structure lives for as long as its threads. Its time changes only
        // when another thread becomes the leader, which has the same time then; a torn value would
        // be taken for another process, and is not to be had on a 64-bit machine.
        start_ns: unsafe { addr_of!((*leader.as_ptr()).start_boottime).read_volatile() },
    }
}

/// Returns the command name of the current task, padded with zeros.
fn comm() -> [u8; COMM_LEN] {
    const _: () = assert!(COMM_LEN == bindings::TASK_COMM_LEN as usize);
    let task = current!().as_ptr();
    let mut comm = [0; COMM_LEN];
    // SAFETY:
    // - `task` is the current task, which lives for as long as it runs this code.
    // - The function writes at most `COMM_LEN` bytes, and reads as many or up to a zero. Another
    //   thread may be changing the name (`prctl()`, `/proc/PID/comm`). The function is made for
    //   that, as `get_task_comm()` in `include/linux/sched.h`, which calls it without a lock.
    unsafe {
        bindings::sized_strscpy(
            comm.as_mut_ptr(),
            addr_of!((*task).comm).cast(),
            COMM_LEN, //
        )
    };
    comm
}

/// What a task sees of the ids of writers.
#[derive(Clone, Copy)]
pub(crate) struct ReaderNamespaces {
    /// It is in the initial pid namespace.
    initial_pid_ns: bool,
    /// It is in the initial user namespace, where every user id is itself.
    initial_user_ns: bool,
}

impl ReaderNamespaces {
    /// Returns the view of the current task.
    pub(crate) fn current() -> Self {
        // SAFETY: Returns a pointer, which is only compared.
        let user_ns = unsafe { bindings::current_user_ns() };
        // SAFETY: As above; the current task is valid.
        let pid_ns = unsafe { bindings::task_active_pid_ns(current!().as_ptr()) };
        Self {
            initial_pid_ns: eq(pid_ns, addr_of!(bindings::init_pid_ns)),
            initial_user_ns: eq(user_ns, addr_of!(bindings::init_user_ns)),
        }
    }

    /// Returns recorded ids as the task sees them: user ids in its user namespace, the ids of
    /// process and thread as 0 outside of the initial pid namespace.
    #[inline]
    pub(crate) fn map_ids(self, mut ids: Ids) -> Ids {
        if !self.initial_pid_ns {
            (ids.pid, ids.tid) = (0, 0);
        }
        if !self.initial_user_ns {
            (ids.uid, ids.opener) = (uid_in_current_ns(ids.uid), uid_in_current_ns(ids.opener));
        }
        ids
    }
}

/// Returns the user id `uid` in the user namespace of the current task, or the overflow user id
/// when it is not mapped there. C counterpart: `from_kuid_munged()`, which is not there without
/// `CONFIG_USER_NS`.
fn uid_in_current_ns(uid: u32) -> u32 {
    match Kuid::from_raw(bindings::kuid_t { val: uid }).into_uid_in_current_ns() {
        u32::MAX => {
            // SAFETY: The variable lives for ever; a sysctl may write it at any time, hence
            // volatile.
            let overflow = unsafe { addr_of!(bindings::overflowuid).read_volatile() };
            overflow as u32
        }
        uid => uid,
    }
}

/// Whether the current task may change what others see: `CAP_SYSLOG`, as for `/dev/kmsg`. Without
/// `CONFIG_MULTIUSER` there are no capabilities, and every task may do everything.
pub(crate) fn has_cap_syslog() -> bool {
    #[cfg(CONFIG_MULTIUSER)]
    // SAFETY: `CAP_SYSLOG` is a valid capability, and this is process context.
    return unsafe { bindings::capable(bindings::CAP_SYSLOG as c_int) };
    #[cfg(not(CONFIG_MULTIUSER))]
    true
}
