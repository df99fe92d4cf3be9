// SPDX-License-Identifier: GPL-2.0

//! Sends files through sockets, and receives them.

use crate::calls::Slot;
use crate::files::Known;
use crate::perform::result;
use crate::worker::Thread;
use libc::*;

impl Thread {
    pub fn send(&self, fd: i32, across: bool) -> i64 {
        let socket = if across { self.round.across[0] } else { self.sockets[0] };
        // SAFETY: Structures that may be zeros, and what is local.
        unsafe {
            let mut byte = 0u8;
            let mut piece = iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
            let mut control = [0u64; 4];
            let mut message: msghdr = std::mem::zeroed();
            (message.msg_iov, message.msg_iovlen) = (&mut piece, 1);
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = CMSG_SPACE(4) as usize;
            let head = CMSG_FIRSTHDR(&message);
            (*head).cmsg_level = SOL_SOCKET;
            (*head).cmsg_type = SCM_RIGHTS;
            (*head).cmsg_len = CMSG_LEN(4) as usize;
            CMSG_DATA(head).cast::<i32>().write_unaligned(fd);
            result(sendmsg(socket, &message, MSG_DONTWAIT) as i64)
        }
    }

    pub fn receive(&mut self, slot: Slot, across: bool) -> i64 {
        let socket = if across { self.round.across[1] } else { self.sockets[1] };
        // SAFETY: As above.
        unsafe {
            let mut byte = 0u8;
            let mut piece = iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
            let mut control = [0u64; 4];
            let mut message: msghdr = std::mem::zeroed();
            (message.msg_iov, message.msg_iovlen) = (&mut piece, 1);
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control);
            let done =
                result(recvmsg(socket, &mut message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) as i64);
            if done > 0 {
                let head = CMSG_FIRSTHDR(&message);
                assert!(!head.is_null(), "a message without a file");
                let fd = CMSG_DATA(head).cast::<i32>().read_unaligned();
                self.files.put(slot, fd, Known::Unknown);
            }
            done
        }
    }
}
