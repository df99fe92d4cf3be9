// SPDX-License-Identifier: GPL-2.0

//! The identity, the namespaces and the capabilities of the current task. The kernel crate offers
//! no command name, no real user id of the current credentials, no capability check and no
//! `from_kuid_munged()` yet.

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

/// Returns the identity of the current task, as the writer of a record. `opener` is the effective
/// user id of the task that opened the file.
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

/// Returns the real user id of the current task in the initial user namespace. C counterpart:
/// `current_uid()`; `SO_PASSCRED` gives the same id.
///
/// The id is that of the task's effective credentials (`task->cred`). A worker thread of io_uring
/// has the credentials of the process that submitted the operation.
fn current_uid() -> u32 {
    let task = current!().as_ptr();
    // SAFETY: `task` is the current task, which is valid. Only the task itself changes its `cred`.
    let cred = unsafe { (*task).cred };
    // SAFETY: The task holds a reference to its credentials, which are immutable.
    unsafe { (*cred).uid.val }
}

/// Identifies a process, also if a later process gets the same id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    start_ns: u64,
}

/// Returns the process of the current task.
pub(crate) fn current_process() -> Process {
    let task = current!();
    let leader = task.group_leader();
    Process {
        pid: leader.pid() as u32,
        // SAFETY: The `task_struct` of the group leader is valid while the current task, one of its
        // threads, exists. Its `start_boottime` changes only when `exec` makes another thread the
        // leader, which inherits the value. A torn read would only look like another process, and
        // does not happen on a 64-bit kernel.
        start_ns: unsafe { addr_of!((*leader.as_ptr()).start_boottime).read_volatile() },
    }
}

/// Returns the command name of the current task, padded with zeros.
fn comm() -> [u8; COMM_LEN] {
    const _: () = assert!(COMM_LEN == bindings::TASK_COMM_LEN as usize);
    let task = current!().as_ptr();
    let mut comm = [0; COMM_LEN];
    // SAFETY:
    // - `task` is the current task, which is valid during this call.
    // - `comm` is valid for writes of `COMM_LEN` bytes, and `task->comm` for reads of as many.
    // - Another thread can change the name during the call (`prctl()`, `/proc/PID/comm`).
    //   `get_task_comm()` in `include/linux/sched.h` calls the function without a lock, too.
    unsafe {
        bindings::sized_strscpy(
            comm.as_mut_ptr(),
            addr_of!((*task).comm).cast(),
            COMM_LEN, //
        )
    };
    comm
}

/// The namespaces of a reader, as far as they change the ids of writers.
#[derive(Clone, Copy)]
pub(crate) struct ReaderNamespaces {
    /// Whether the reader is in the initial pid namespace.
    initial_pid_ns: bool,
    /// Whether the reader is in the initial user namespace, which maps each user id to itself.
    initial_user_ns: bool,
}

impl ReaderNamespaces {
    /// Returns the namespaces of the current task.
    pub(crate) fn current() -> Self {
        // SAFETY: The function has no preconditions. The pointer is only compared.
        let user_ns = unsafe { bindings::current_user_ns() };
        // SAFETY: The current task is valid. The pointer is only compared.
        let pid_ns = unsafe { bindings::task_active_pid_ns(current!().as_ptr()) };
        Self {
            initial_pid_ns: eq(pid_ns, addr_of!(bindings::init_pid_ns)),
            initial_user_ns: eq(user_ns, addr_of!(bindings::init_user_ns)),
        }
    }

    /// Converts stored ids for the reader: user ids to its user namespace. Outside the initial pid
    /// namespace, the process id and the thread id become 0.
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

/// Maps the stored `uid` into the user namespace of the current task, or to the overflow user id if
/// it has no mapping. C counterpart: `from_kuid_munged()`, which bindgen does not offer without
/// `CONFIG_USER_NS`.
fn uid_in_current_ns(uid: u32) -> u32 {
    match Kuid::from_raw(bindings::kuid_t { val: uid }).into_uid_in_current_ns() {
        u32::MAX => {
            // SAFETY: The variable is a static of the kernel. A sysctl can change it at any time,
            // hence the volatile read.
            let overflow = unsafe { addr_of!(bindings::overflowuid).read_volatile() };
            overflow as u32
        }
        uid => uid,
    }
}

/// Returns whether the current task has `CAP_SYSLOG`. Without `CONFIG_MULTIUSER` there are no
/// capabilities, and each task may do everything.
pub(crate) fn has_cap_syslog() -> bool {
    #[cfg(CONFIG_MULTIUSER)]
    // SAFETY: `CAP_SYSLOG` is a valid capability, and file operations run in process context.
    return unsafe { bindings::capable(bindings::CAP_SYSLOG as c_int) };
    #[cfg(not(CONFIG_MULTIUSER))]
    true
}
