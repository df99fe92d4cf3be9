// SPDX-License-Identifier: GPL-2.0

//! The file operations of a character device, as a safe trait.

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

/// What an open file of a character device does. Every method may be called by many threads at
/// once.
pub(crate) trait FileOperations: Send + Sync + Sized + 'static {
    /// What the device node holds for those who open it.
    type Node: Send + Sync;

    /// Opens the node, for a task with the effective user id `opener`, as the kernel holds it.
    fn open(node: &Self::Node, opener: u32) -> Result<Pin<KBox<Self>>>;

    /// Called when the last user of the file is gone, before it is dropped.
    fn release(&self);

    /// Reads into `dest` and returns how many bytes.
    fn read(&self, call: CallFlags, dest: &mut Dest<'_, '_>) -> Result<usize>;

    /// Writes from `source` and returns how many bytes.
    fn write(&self, call: CallFlags, source: &mut IovIterSource<'_>) -> Result<usize>;

    /// Returns the queue for callers of `poll`. `poll` is called after the caller was added.
    fn poll_queue(&self) -> &WaitQueue;

    /// Returns what is possible now. A caller that waits has been added to the queue.
    fn poll(&self, call: CallFlags) -> PollEvents;

    /// Moves the file's position; `whence` is [`SEEK_SET`] or another number.
    fn seek(&self, offset: i64, whence: u32) -> Result;

    /// Handles the ioctl `command`; its third argument is a pointer to user memory.
    fn ioctl(&self, call: CallFlags, command: u32, argument: UserPtr) -> Result;

    /// Adds lines to `/proc/PID/fdinfo/FD`.
    fn show_fdinfo(&self, out: &SeqFile);
}

/// How a file operation was called.
#[derive(Clone, Copy)]
pub(crate) struct CallFlags {
    /// The call must fail with `EAGAIN` where it would wait for a record: the file has
    /// `O_NONBLOCK`, or this one operation was asked not to wait (`RWF_NOWAIT`, io_uring).
    pub(crate) nonblocking: bool,
    /// The file was opened for reading.
    pub(crate) may_read: bool,
    /// The file was opened for writing.
    pub(crate) may_write: bool,
}

impl CallFlags {
    /// # Safety
    ///
    /// `file` must be an open file.
    #[inline]
    pub(super) unsafe fn of_file(file: *mut bindings::file) -> Self {
        // SAFETY: `file` is valid. `fcntl()` may change the flags at any time, hence the volatile
        // read, as `READ_ONCE()`.
        let flags = unsafe { addr_of!((*file).f_flags).read_volatile() };
        // SAFETY: `file` is valid. `posix_fadvise()` may change other bits of the mode at any time,
        // hence the volatile read; those for reading and writing stay as `open()` set them.
        let mode = unsafe { addr_of!((*file).f_mode).read_volatile() };
        Self {
            nonblocking: flags & bindings::O_NONBLOCK != 0,
            may_read: mode & FMODE_READ != 0,
            may_write: mode & FMODE_WRITE != 0,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid and of an open file.
    #[inline]
    pub(super) unsafe fn of_kiocb(kiocb: *mut bindings::kiocb) -> Self {
        // SAFETY: `kiocb` is valid.
        let (file, flags) = unsafe { ((*kiocb).ki_filp, (*kiocb).ki_flags) };
        // SAFETY: `file` is the open file of `kiocb`.
        let mut call = unsafe { Self::of_file(file) };
        call.nonblocking |= flags & IOCB_NOWAIT != 0;
        call
    }
}
