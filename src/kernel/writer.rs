// SPDX-License-Identifier: GPL-2.0

//! Who the current task is, and what it may do. The kernel crate shows no command name, no
//! capability and no munged user id yet.

use core::ptr::addr_of;

use kernel::{
    bindings,
    current,
    prelude::*,
    task::Kuid, //
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

/// The recorded user id `uid`, as the current task is to see it: in its user namespace, and as the
/// overflow user id when it is not mapped there. C counterpart: `from_kuid_munged()`, which is not
/// there without `CONFIG_USER_NS`.
pub(crate) fn uid_for_reader(uid: u32) -> u32 {
    // SAFETY: Returns a pointer, which is only compared.
    let namespace = unsafe { bindings::current_user_ns() };
    if core::ptr::eq(namespace, addr_of!(bindings::init_user_ns)) {
        // There every one is itself: most readers are spared a search.
        return uid;
    }
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
pub(crate) fn may_administer() -> bool {
    #[cfg(CONFIG_MULTIUSER)]
    // SAFETY: `CAP_SYSLOG` is a valid capability, and this is process context.
    return unsafe { bindings::capable(bindings::CAP_SYSLOG as c_int) };
    #[cfg(not(CONFIG_MULTIUSER))]
    true
}
