// SPDX-License-Identifier: GPL-2.0

//! Who the current task is, and what it may do. The kernel crate shows no command name, no
//! capability and no munged user id yet.

use core::ptr::addr_of;

use kernel::{
    bindings,
    current,
    prelude::*,
    task::{
        Kuid,
        Task, //
    }, //
};

use crate::record::{
    Writer,
    COMM_LEN, //
};

/// The current task, as it is recorded with what it writes.
pub(crate) fn current() -> Writer {
    let task = current!();
    Writer {
        pid: task.group_leader().pid() as u32,
        tid: task.pid() as u32,
        uid: Kuid::current_euid().into_raw().val,
        comm: comm(),
    }
}

/// The command name of the current task, zeros after its end.
fn comm() -> [u8; COMM_LEN] {
    const _: () = assert!(COMM_LEN == bindings::TASK_COMM_LEN as usize);
    let task = Task::current_raw();
    // SAFETY:
    // - `task` is the current task, which lives for as long as it runs this code.
    // - Another thread may be changing the name (`prctl`, `/proc/PID/comm`). The read is volatile
    //   for that reason, and any mixture of two names is a valid value of bytes; the kernel's own
    //   readers (`get_task_comm()` in `include/linux/sched.h`) take no lock either.
    let raw = unsafe {
        addr_of!((*task).comm)
            .cast::<[u8; COMM_LEN]>()
            .read_volatile()
    };
    // What follows the terminator may be left from a longer name.
    let len = raw.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
    let mut comm = [0; COMM_LEN];
    comm[..len].copy_from_slice(&raw[..len]);
    comm
}

/// The recorded user id `uid`, as the current task is to see it: in its user namespace, and as the
/// overflow user id (65534) when it is not mapped there.
pub(crate) fn uid_for_reader(uid: u32) -> u32 {
    // SAFETY: The current task's user namespace lives for as long as its credentials, which nobody
    // but itself changes; `from_kuid_munged()` takes any `kuid_t`.
    unsafe {
        bindings::from_kuid_munged(bindings::current_user_ns(), bindings::kuid_t { val: uid })
    }
}

/// Whether the current task may change what others see: `CAP_SYSLOG`, as for `/dev/kmsg`.
pub(crate) fn may_administer() -> bool {
    // SAFETY: `CAP_SYSLOG` is a valid capability, and this is process context.
    unsafe { bindings::capable(bindings::CAP_SYSLOG as c_int) }
}
