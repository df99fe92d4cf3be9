// SPDX-License-Identifier: GPL-2.0

//! Invalid addresses, and system calls with segments at any addresses.

use super::Umsg;
use nix::errno::Errno;

/// An address in the user range that is never mapped, because it is below `mmap_min_addr`.
pub const BAD: *mut libc::c_void = 0x1000 as *mut libc::c_void;

/// An address outside the user range.
pub const WILD: *mut libc::c_void = 0xdead_0000_0000_0000_u64 as *mut libc::c_void;

/// Returns the page size of the kernel in bytes.
pub fn page_size() -> usize {
    // SAFETY: The call has no pointer arguments.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Calls `writev` with segments of any address and length.
pub fn writev(file: &Umsg, segments: &[(*const u8, usize)]) -> Result<usize, Errno> {
    let iov: Vec<libc::iovec> = segments
        .iter()
        .map(|&(base, len)| libc::iovec { iov_base: base as *mut libc::c_void, iov_len: len })
        .collect();
    // SAFETY: `iov` is valid for its length, and the kernel checks the addresses of the segments.
    Errno::result(unsafe { libc::writev(file.raw(), iov.as_ptr(), iov.len() as i32) })
        .map(|len| len as usize)
}

/// Calls `readv` with segments of any address and length.
pub fn readv(file: &Umsg, segments: &[(*mut u8, usize)]) -> Result<usize, Errno> {
    let iov: Vec<libc::iovec> = segments
        .iter()
        .map(|&(base, len)| libc::iovec { iov_base: base.cast(), iov_len: len })
        .collect();
    // SAFETY: `iov` is valid for its length. The caller has exclusive access to the valid segments,
    // and the kernel checks the addresses.
    Errno::result(unsafe { libc::readv(file.raw(), iov.as_ptr(), iov.len() as i32) })
        .map(|len| len as usize)
}
