// SPDX-License-Identifier: GPL-2.0

//! The measured system calls and their arguments.

use std::fs::{File, OpenOptions};
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt;
use umsg::abi;

/// The number of messages in a batch.
pub const BATCH: usize = 16;

pub fn open(path: &str, flags: i32) -> File {
    OpenOptions::new()
        .read(flags & libc::O_ACCMODE != libc::O_WRONLY)
        .write(flags & libc::O_ACCMODE != libc::O_RDONLY)
        .custom_flags(flags)
        .open(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn umsg(flags: i32, options: u32) -> File {
    umsg_at("/dev/umsg", flags, options)
}

/// Opens the log `path`. Each write is a record.
pub fn umsg_at(path: &str, flags: i32, options: u32) -> File {
    let file = open(path, flags);
    abi::set_options(&file, options).expect("UMSG_IOC_SET_OPTIONS");
    if flags & libc::O_ACCMODE == libc::O_WRONLY {
        abi::set_style(&file, abi::KMSG).expect("UMSG_IOC_SET_STYLE");
    }
    file
}

/// Opens the default log as most programs do, in the style `lines`.
pub fn umsg_lines() -> File {
    open("/dev/umsg", libc::O_WRONLY)
}

pub fn umsg_binary_reader(flags: i32) -> File {
    umsg(libc::O_RDONLY | flags, abi::BINARY_READ)
}

/// Panics unless `result` is the expected result of a system call.
pub fn good(result: isize, wanted: impl FnOnce(isize) -> bool) {
    if result < 0 || !wanted(result) {
        panic!("{result}: {}", std::io::Error::last_os_error());
    }
}

// The functions below make system calls by number, because the functions of the C library contain
// code for the cancellation of threads.

pub fn write(fd: RawFd, data: &[u8]) {
    // SAFETY: `data` is valid for its length.
    let written = unsafe { libc::syscall(libc::SYS_write, fd, data.as_ptr(), data.len()) };
    good(written as isize, |written| written as usize == data.len());
}

pub fn read(fd: RawFd, buffer: &mut [u8]) {
    // SAFETY: `buffer` is valid for its length.
    let got = unsafe { libc::syscall(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) };
    good(got as isize, |len| len > 0);
}

pub fn writev(fd: RawFd, segments: &[libc::iovec]) {
    // SAFETY: All segments are valid.
    let got = unsafe { libc::syscall(libc::SYS_writev, fd, segments.as_ptr(), segments.len()) };
    good(got as isize, |len| len > 0);
}

pub fn to_the_end(fd: RawFd) {
    // SAFETY: The call has no pointer arguments.
    assert_eq!(unsafe { libc::lseek(fd, 0, libc::SEEK_END) }, 0);
}

pub fn segments(data: &[u8]) -> Vec<libc::iovec> {
    vec![libc::iovec { iov_base: data.as_ptr() as *mut _, iov_len: data.len() }; BATCH]
}

/// Returns a `struct umsg_entry` with `data` as its text.
pub fn entry(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((abi::ENTRY_SIZE as u16).to_ne_bytes());
    out.extend(14u16.to_ne_bytes());
    out.extend((data.len() as u32).to_ne_bytes());
    out.extend(data);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}
