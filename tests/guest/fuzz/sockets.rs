// SPDX-License-Identifier: GPL-2.0

//! Sends files through sockets, and receives them.

use crate::calls::Slot;
use crate::files::Known;
use crate::perform::result;
use crate::worker::Thread;
use libc::*;

/// Memory for a control message with one descriptor.
type Control = [u64; 4];

/// Sends `number` with the file `fd` through `socket`. Returns the result of `sendmsg`, or the
/// error number below zero.
pub fn send_file(socket: i32, fd: i32, number: u16) -> i64 {
    let mut bytes = number.to_ne_bytes();
    let mut piece = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control: Control = Default::default();
    // SAFETY: The message refers to local memory that outlives the call, and the control message of
    // one descriptor fits into `control`. A `msghdr` may be all zeros.
    unsafe {
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

/// Receives a number and a file from `socket`. Fails with the error number below zero.
pub fn receive_file(socket: i32) -> Result<(u16, i32), i64> {
    let mut bytes = [0; 2];
    let mut piece = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control: Control = Default::default();
    // SAFETY: The message refers to local memory that outlives the call. `CMSG_FIRSTHDR` returns
    // the control message that the kernel has written, which holds one descriptor. A `msghdr` may
    // be all zeros.
    unsafe {
        let mut message: msghdr = std::mem::zeroed();
        (message.msg_iov, message.msg_iovlen) = (&mut piece, 1);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<Control>();
        let done = result(recvmsg(socket, &mut message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) as i64);
        if done <= 0 {
            return Err(done);
        }
        let head = CMSG_FIRSTHDR(&message);
        assert!(!head.is_null(), "a message without a file");
        let fd = CMSG_DATA(head).cast::<i32>().read_unaligned();
        Ok((u16::from_ne_bytes(bytes), fd))
    }
}

impl Thread {
    pub fn send(&self, fd: i32, across: bool) -> i64 {
        let socket = if across { self.round.across[0] } else { self.sockets[0] };
        send_file(socket, fd, 0)
    }

    pub fn receive(&mut self, slot: Slot, across: bool) -> i64 {
        let socket = if across { self.round.across[1] } else { self.sockets[1] };
        match receive_file(socket) {
            Ok((_, fd)) => {
                self.files.put(slot, fd, Known::Unknown);
                0
            }
            Err(error) => error,
        }
    }
}
