// SPDX-License-Identifier: GPL-2.0

//! The user's memory in a read or write of a file, as an `iov_iter`. In the kernel crate, only
//! unsafe code can go back in one.
//!
//! C header: `include/linux/uio.h`.

use kernel::iov::{
    IovIterDest,
    IovIterSource, //
};

use crate::sys::buffer::Buffer;

/// The user's memory that a read fills.
pub(crate) struct Dest<'iov, 'data> {
    iov: &'iov mut IovIterDest<'data>,
    /// Bytes written.
    ///
    /// # Invariants
    ///
    /// `iov` was advanced by this many bytes since `self` was made.
    written: usize,
}

impl<'iov, 'data> Dest<'iov, 'data> {
    /// Creates a destination with nothing written to it.
    pub(crate) fn new(iov: &'iov mut IovIterDest<'data>) -> Self {
        // INVARIANT: It was not advanced yet.
        Self { iov, written: 0 }
    }

    /// Returns how many more bytes can be written.
    pub(crate) fn remaining(&self) -> usize {
        self.iov.len()
    }

    /// Returns how many bytes were written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Writes all of `bytes`; returns false if the user's memory has no room or cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let written = self.iov.copy_to_iter(bytes);
        // INVARIANT: `copy_to_iter()` advances by what it returns.
        self.written += written;
        written == bytes.len()
    }

    /// Goes back to where `written` bytes had been written.
    pub(crate) fn rewind(&mut self, written: usize) {
        let back = self.written.saturating_sub(written);
        // SAFETY: `back` is at most `self.written`, by which `iov` was advanced (the invariant).
        unsafe { self.iov.revert(back) };
        // INVARIANT: So `iov` is advanced by `back` bytes less.
        self.written -= back;
    }
}

/// Copies from `source` to the end of `buffer`, until it is full or the source is empty. Returns
/// false if the user's memory cannot be read; the bytes before that are in the buffer.
pub(crate) fn fill(buffer: &mut Buffer<'_>, source: &mut IovIterSource<'_>) -> bool {
    let wanted = buffer.remaining().min(source.len());
    let copied = source.copy_from_iter_raw(buffer.spare()).len();
    // SAFETY: `copy_from_iter_raw()` initialised that many bytes from the beginning.
    unsafe { buffer.assume_added(copied) };
    copied == wanted
}
