// SPDX-License-Identifier: GPL-2.0

//! The file operations of a character device, as a safe trait, and the flags of a call.
//!
//! C header: `include/linux/fs.h`.

use core::ptr::addr_of;

use kernel::{
    bindings,
    iov::IovIterSource,
    prelude::*,
    seq_file::SeqFile,
    uaccess::UserPtr, //
};

use crate::sys::{
    user_buf::Dest,
    wait::{
        PollEvents,
        WaitQueue, //
    }, //
};

pub(crate) use kernel::bindings::{
    SEEK_DATA,
    SEEK_END,
    SEEK_SET, //
};

// Constants of `include/linux/fs.h` that bindgen cannot show; `sys/check_constants.c` checks them.
const IOCB_NOWAIT: c_int = 0x8;
const FMODE_READ: bindings::fmode_t = 1 << 0;
const FMODE_WRITE: bindings::fmode_t = 1 << 1;
pub(super) const FMODE_NOWAIT: bindings::fmode_t = 1 << 27;

/// An open file of a character device. C counterpart: `struct file_operations`.
///
/// Several threads can call every method at the same time.
pub(crate) trait FileOperations: Send + Sync + Sized + 'static {
    /// The data of the device node, which `open` gets.
    type Node: Send + Sync;

    /// Opens the node. `opener` is the effective user id of the opening task in the initial user
    /// namespace.
    fn open(node: &Self::Node, opener: u32) -> Result<Pin<KBox<Self>>>;

    /// Called when the last reference to the file is dropped, before `self` is dropped.
    fn release(&self);

    /// Reads into `dest` and returns the number of bytes.
    fn read(&self, call: CallFlags, dest: &mut Dest<'_, '_>) -> Result<usize>;

    /// Writes the data of `source` and returns the number of bytes.
    fn write(&self, call: CallFlags, source: &mut IovIterSource<'_>) -> Result<usize>;

    /// Returns the wait queue for poll callers. The caller is on the queue before `poll` is called.
    fn poll_queue(&self) -> &WaitQueue;

    /// Returns the events that are true now.
    fn poll(&self, call: CallFlags) -> PollEvents;

    /// Moves the read position. `whence` is [`SEEK_SET`] or another `SEEK_*` constant or an unknown
    /// number.
    fn seek(&self, offset: i64, whence: u32) -> Result;

    /// Handles the ioctl `command`. `argument` is its third argument, a pointer to user memory.
    fn ioctl(&self, call: CallFlags, command: u32, argument: UserPtr) -> Result;

    /// Adds lines to `/proc/PID/fdinfo/FD`.
    fn show_fdinfo(&self, out: &SeqFile);
}

/// The flags of a call of a file operation.
#[derive(Clone, Copy)]
pub(crate) struct CallFlags {
    /// The call must fail with `EAGAIN` instead of sleeping until there is a record: the file has
    /// `O_NONBLOCK`, or the operation has `RWF_NOWAIT` or is a non-blocking attempt of io_uring.
    pub(crate) nonblocking: bool,
    /// The file was opened for reading.
    pub(crate) may_read: bool,
    /// The file was opened for writing.
    pub(crate) may_write: bool,
}

impl CallFlags {
    /// Returns the flags of an operation on `file`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file.
    #[inline]
    pub(super) unsafe fn of_file(file: *mut bindings::file) -> Self {
        // SAFETY: The caller guarantees that `file` is valid. `fcntl()` can change the flags at any
        // time, hence the volatile read, like `READ_ONCE()`.
        let flags = unsafe { addr_of!((*file).f_flags).read_volatile() };
        // SAFETY: The caller guarantees that `file` is valid. `posix_fadvise()` can change other
        // bits of the mode at any time, hence the volatile read. The bits for reading and writing
        // do not change after `open()`.
        let mode = unsafe { addr_of!((*file).f_mode).read_volatile() };
        Self {
            nonblocking: flags & bindings::O_NONBLOCK != 0,
            may_read: mode & FMODE_READ != 0,
            may_write: mode & FMODE_WRITE != 0,
        }
    }

    /// Returns the flags of a read or write.
    ///
    /// # Safety
    ///
    /// `kiocb` must be valid, and its file open.
    #[inline]
    pub(super) unsafe fn of_kiocb(kiocb: *mut bindings::kiocb) -> Self {
        // SAFETY: The caller guarantees that `kiocb` is valid.
        let (file, flags) = unsafe { ((*kiocb).ki_filp, (*kiocb).ki_flags) };
        // SAFETY: The caller guarantees that the file of `kiocb` is open.
        let mut call = unsafe { Self::of_file(file) };
        call.nonblocking |= flags & IOCB_NOWAIT != 0;
        call
    }
}
