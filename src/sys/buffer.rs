// SPDX-License-Identifier: GPL-2.0

//! A byte buffer in uninitialised memory. Neither `core` nor the kernel crate has one for memory on
//! the stack. This file needs no kernel type and also compiles on the host, for tests and Miri.

use core::{
    mem::MaybeUninit,
    ptr,
    slice, //
};

/// Returns an array of uninitialised memory.
#[inline]
pub(crate) const fn uninit<const N: usize>() -> [MaybeUninit<u8>; N] {
    [MaybeUninit::uninit(); N]
}

/// A buffer whose first bytes are in use.
///
/// # Invariants
///
/// The first `len` bytes of `memory` are initialised. `len` is at most the length of `memory`.
pub(crate) struct Buffer<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    len: usize,
}

impl<'a> Buffer<'a> {
    /// Creates an empty buffer in `memory`.
    pub(crate) fn new(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        // INVARIANT: No byte has to be initialised.
        Self { memory, len: 0 }
    }

    /// Returns the number of bytes in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of bytes that can still be added.
    pub(crate) fn remaining(&self) -> usize {
        self.memory.len() - self.len
    }

    /// Removes all bytes.
    pub(crate) fn clear(&mut self) {
        // INVARIANT: No byte has to be initialised.
        self.len = 0;
    }

    /// Adds all of `more`. Returns false and adds nothing if the spare memory is too small.
    #[inline]
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        let end = self.len + more.len();
        if end > self.memory.len() {
            return false;
        }
        // SAFETY:
        // - `more` is valid for reads of its length.
        // - `spare` is valid for writes of this length, because `end` is at most the length of
        //   `memory`.
        // - They do not overlap, because `memory` is borrowed mutably.
        unsafe {
            let spare = self.memory.as_mut_ptr().add(self.len);
            copy_short(more.as_ptr(), spare.cast(), more.len());
        }
        // INVARIANT: The bytes up to `end` are initialised now.
        self.len = end;
        true
    }

    /// Adds the first `len` of `bytes`. Returns false and adds nothing if the spare memory is too
    /// small for all of `bytes`. Cheaper than [`Buffer::push`] for a few bytes whose number is not
    /// a constant.
    #[inline]
    pub(crate) fn push_first<const N: usize>(&mut self, bytes: [u8; N], len: usize) -> bool {
        let fits = self.push(&bytes);
        if fits {
            // INVARIANT: `push` added `N` bytes. `len` decreases by at most `N`.
            self.len -= N - len.min(N);
        }
        fits
    }

    /// Removes the first `count` bytes, or all if there are fewer. Moves the other bytes to the
    /// front.
    pub(crate) fn remove_front(&mut self, count: usize) {
        let rest = self.len.saturating_sub(count);
        self.memory.copy_within(self.len - rest..self.len, 0);
        // INVARIANT: The `rest` bytes that were moved to the front are initialised.
        self.len = rest;
    }

    /// Returns the spare memory after the bytes in use.
    pub(crate) fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.memory[self.len..]
    }

    /// Adds the first `count` bytes of [`Buffer::spare`].
    ///
    /// # Safety
    ///
    /// These bytes must be initialised.
    pub(crate) unsafe fn assume_added(&mut self, count: usize) {
        // INVARIANT: The caller guarantees that the bytes are initialised. `min` limits `len` to
        // the length of `memory`.
        self.len += count.min(self.remaining());
    }

    /// Returns the bytes in use.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: By the invariants, the first `len` bytes of `memory` are valid and initialised.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }
}

/// Copies `from` to `to`, which must have the same length.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    assert!(to.len() == from.len());
    // SAFETY:
    // - `from` is valid for reads and `to` for writes of their length, which is the same.
    // - They do not overlap, because `to` is borrowed mutably.
    unsafe { copy_short(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}

/// Copies `len` bytes, like `copy_nonoverlapping()`. Texts of usual length are copied in steps of
/// 32 bytes, because the call of the kernel's `memcpy()` is a large part of the cost of an append
/// in a batch.
///
/// # Safety
///
/// `from` must be valid for reads of `len` bytes and `to` for writes. They must not overlap.
#[inline]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    type Step = [u64; 4];
    const STEP: usize = size_of::<Step>();
    if !(STEP..=256).contains(&len) {
        // SAFETY: The caller guarantees that `from` is valid for reads and `to` for writes of `len`
        // bytes, and that they do not overlap.
        return unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
    let last = len - STEP;
    let mut at = 0;
    loop {
        // SAFETY:
        // - The caller guarantees that `from` is valid for reads and `to` for writes of `len`
        //   bytes.
        // - `at` is at most `last`, so that the bytes from `at` to `at + STEP` are among these.
        unsafe {
            let step = from.add(at).cast::<Step>().read_unaligned();
            to.add(at).cast::<Step>().write_unaligned(step);
        }
        if at == last {
            return;
        }
        // The last step can overlap the previous one.
        at = (at + STEP).min(last);
    }
}
