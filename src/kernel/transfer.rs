// SPDX-License-Identifier: GPL-2.0

//! The user's memory in a read or write of a file: one buffer, or a list of them. The kernel crate
//! has both, as different types, and lets only unsafe code go back to the beginning.
//!
//! One buffer by its address takes some hundred instructions less than the same as an `iov_iter`,
//! which is why `read` and `write` are there beside `read_iter` and `write_iter`, as in `null_fops`
//! (`drivers/char/mem.c`).
//!
//! All copies are bounded by the length of a Rust slice, so the checks of `copy_from_user()` that
//! the size fits the object (`CONFIG_HARDENED_USERCOPY`) would find nothing: this uses the
//! functions below them, as the kernel crate does for an `iov_iter`.

use core::{
    mem::MaybeUninit,
    slice, //
};

use kernel::{
    bindings,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    uaccess::UserPtr, //
};

use crate::buffer::Buffer;

enum Place<'a, I> {
    /// A buffer of the user. It need not be a valid one: copying tells.
    User(UserPtr),
    /// What the kernel has made of the user's list.
    Iov(&'a mut I),
}

/// Where a read puts its data.
pub(crate) struct Dest<'iov, 'data> {
    place: Place<'iov, IovIterDest<'data>>,
    /// Length of the whole in bytes.
    len: usize,
    /// Bytes written since the beginning.
    ///
    /// # Invariants
    ///
    /// At most `len`; an `iov_iter` stands this many bytes after where it stood when this was made.
    written: usize,
}

impl<'iov, 'data> Dest<'iov, 'data> {
    /// The user's buffer of `len` bytes at `address`.
    pub(crate) fn user(address: UserPtr, len: usize) -> Self {
        // INVARIANT: Nothing was written yet.
        Self {
            place: Place::User(address),
            len,
            written: 0,
        }
    }

    /// What `iov` stands for.
    pub(crate) fn iov(iov: &'iov mut IovIterDest<'data>) -> Self {
        // INVARIANT: Nothing was written yet.
        Self {
            len: iov.len(),
            place: Place::Iov(iov),
            written: 0,
        }
    }

    /// Bytes that can still be written.
    pub(crate) fn room(&self) -> usize {
        self.len - self.written
    }

    /// Bytes that were written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Writes all of `bytes`; returns false when the user's memory cannot be written.
    #[inline(always)]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        let written = match &mut self.place {
            Place::User(address) => {
                let to = address.wrapping_byte_add(self.written);
                // SAFETY: `bytes` is readable. Where they go is looked at by the function.
                let left = unsafe {
                    bindings::_copy_to_user(to.as_mut_ptr(), bytes.as_ptr().cast(), bytes.len())
                };
                bytes.len() - left
            }
            Place::Iov(iov) => iov.copy_to_iter(bytes),
        };
        // INVARIANT: That is how far `copy_to_iter()` advances, and there was room.
        self.written += written;
        written == bytes.len()
    }

    /// Goes back to where `written` bytes were written.
    pub(crate) fn rewind(&mut self, written: usize) {
        let back = self.written.saturating_sub(written);
        if let Place::Iov(iov) = &mut self.place {
            // SAFETY: `back` is at most `self.written`: by the invariant, this does not go before
            // where `iov` stood when `self` was made.
            unsafe { iov.revert(back) };
        }
        // INVARIANT: It stands there now.
        self.written -= back;
    }
}

/// Where a write finds its data.
pub(crate) struct Source<'iov, 'data> {
    place: Place<'iov, IovIterSource<'data>>,
    /// Bytes that were not copied yet.
    len: usize,
}

impl<'iov, 'data> Source<'iov, 'data> {
    /// The user's buffer of `len` bytes at `address`.
    pub(crate) fn user(address: UserPtr, len: usize) -> Self {
        Self {
            place: Place::User(address),
            len,
        }
    }

    /// What `iov` stands for.
    pub(crate) fn iov(iov: &'iov mut IovIterSource<'data>) -> Self {
        Self {
            len: iov.len(),
            place: Place::Iov(iov),
        }
    }

    /// Bytes that were not copied yet.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies the next bytes into `buffer`, as many as there is room for; returns false when the
    /// user's memory cannot be read. What could be read before that is in the buffer.
    pub(crate) fn fill(&mut self, buffer: &mut Buffer<'_>) -> bool {
        let wanted = buffer.room().min(self.len);
        let copied = self.copy(&mut buffer.spare()[..wanted]).len();
        // SAFETY: So many were copied there.
        unsafe { buffer.assume_added(copied) };
        copied == wanted
    }

    /// Copies the next bytes to `into`, which must not be longer than what there is, and returns
    /// those that could be copied: fewer when the user's memory cannot be read.
    pub(crate) fn copy<'b>(&mut self, into: &'b mut [MaybeUninit<u8>]) -> &'b mut [u8] {
        let wanted = into.len().min(self.len);
        let copied = match &mut self.place {
            Place::User(address) => {
                // SAFETY: `into` is writable. Where the bytes come from is looked at by the
                // function.
                let left = unsafe {
                    bindings::_copy_from_user(
                        into.as_mut_ptr().cast(),
                        address.as_const_ptr(),
                        wanted,
                    )
                };
                let copied = wanted - left;
                *address = address.wrapping_byte_add(copied);
                copied
            }
            Place::Iov(iov) => iov.copy_from_iter_raw(&mut into[..wanted]).len(),
        };
        self.len -= copied;
        // SAFETY: So many bytes of it were written.
        unsafe { slice::from_raw_parts_mut(into.as_mut_ptr().cast(), copied) }
    }
}
