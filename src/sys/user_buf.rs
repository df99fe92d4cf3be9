// SPDX-License-Identifier: GPL-2.0

//! The user buffers of a read or write, as an `iov_iter`. In the kernel crate, rewinding an
//! `iov_iter` is unsafe.
//!
//! C header: `include/linux/uio.h`.

use kernel::iov::{
    IovIterDest,
    IovIterSource, //
};

use crate::sys::buffer::Buffer;

/// The user buffers that a read fills.
pub(crate) struct Dest<'iov, 'data> {
    iov: &'iov mut IovIterDest<'data>,
    /// The number of bytes that were written.
    ///
    /// # Invariants
    ///
    /// `iov` was advanced by this number of bytes since `self` was created.
    written: usize,
}

impl<'iov, 'data> Dest<'iov, 'data> {
    /// Creates a destination to which nothing was written.
    pub(crate) fn new(iov: &'iov mut IovIterDest<'data>) -> Self {
        // INVARIANT: `iov` was not advanced since.
        Self { iov, written: 0 }
    }

    /// Returns the number of bytes that can still be written.
    pub(crate) fn remaining(&self) -> usize {
        self.iov.len()
    }

    /// Returns the number of bytes that were written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Writes all of `bytes`. Returns false if the user buffers are full or cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let written = self.iov.copy_to_iter(bytes);
        // INVARIANT: `copy_to_iter()` advances `iov` by the number that it returns.
        self.written += written;
        written == bytes.len()
    }

    /// Rewinds to the state after the first `written` bytes.
    pub(crate) fn rewind(&mut self, written: usize) {
        let back = self.written.saturating_sub(written);
        // SAFETY: By the invariant, `iov` was advanced by `self.written` bytes, and `back` is at
        // most that.
        unsafe { self.iov.revert(back) };
        // INVARIANT: `revert()` rewound `iov` by `back` bytes.
        self.written -= back;
    }
}

/// Appends bytes of `source` to `buffer` until the buffer is full or the source is empty. Returns
/// false if user memory cannot be read; the bytes before that are in the buffer.
pub(crate) fn fill(buffer: &mut Buffer<'_>, source: &mut IovIterSource<'_>) -> bool {
    let len = buffer.remaining().min(source.len());
    let copied = source.copy_from_iter_raw(buffer.spare()).len();
    // SAFETY: `copy_from_iter_raw()` initialised the first `copied` bytes of the spare memory.
    unsafe { buffer.assume_added(copied) };
    copied == len
}
