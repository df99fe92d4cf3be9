// SPDX-License-Identifier: GPL-2.0

//! Invalid addresses, and vectors of segments with any address.

use super::Umsg;
use nix::errno::Errno;

/// An address in a program's range where nothing is ever mapped: below `mmap_min_addr`.
pub const BAD: *mut libc::c_void = 0x1000 as *mut libc::c_void;

/// An address that is not in a program's range at all.
pub const WILD: *mut libc::c_void = 0xdead_0000_0000_0000_u64 as *mut libc::c_void;

/// `writev` of pieces given by address and length.
pub fn writev(file: &Umsg, pieces: &[(*const u8, usize)]) -> Result<usize, Errno> {
    let iov: Vec<libc::iovec> = pieces
        .iter()
        .map(|&(base, len)| libc::iovec { iov_base: base as *mut libc::c_void, iov_len: len })
        .collect();
    // SAFETY: The kernel checks the addresses; that is what is tested.
    Errno::result(unsafe { libc::writev(file.raw(), iov.as_ptr(), iov.len() as i32) })
        .map(|len| len as usize)
}

/// `readv` into pieces given by address and length.
pub fn readv(file: &Umsg, pieces: &[(*mut u8, usize)]) -> Result<usize, Errno> {
    let iov: Vec<libc::iovec> = pieces
        .iter()
        .map(|&(base, len)| libc::iovec { iov_base: base.cast(), iov_len: len })
        .collect();
    // SAFETY: The valid ones are exclusively ours, the kernel checks the others.
    Errno::result(unsafe { libc::readv(file.raw(), iov.as_ptr(), iov.len() as i32) })
        .map(|len| len as usize)
}
