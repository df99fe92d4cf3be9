// SPDX-License-Identifier: GPL-2.0

//! Bytes in memory that is not filled with zeros first, which neither `core` nor the kernel crate
//! has for the stack. It needs no kernel type: the same file compiles on the host, for tests and
//! Miri.

use core::{
    mem::MaybeUninit,
    ptr,
    slice, //
};

/// Returns uninitialised memory, for the stack.
#[inline(always)]
pub(crate) const fn uninit<const N: usize>() -> [MaybeUninit<u8>; N] {
    [MaybeUninit::uninit(); N]
}

/// Memory of which the first bytes are in use.
///
/// # Invariants
///
/// The first `len` bytes of `memory` are initialised; `len` is at most its length.
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

    /// Returns how many more bytes can be added.
    pub(crate) fn remaining(&self) -> usize {
        self.memory.len() - self.len
    }

    /// Removes all bytes.
    pub(crate) fn clear(&mut self) {
        // INVARIANT: No byte has to be initialised.
        self.len = 0;
    }

    /// Adds all of `more`, or returns false if there is no room for it.
    #[inline]
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        let end = self.len + more.len();
        if end > self.memory.len() {
            return false;
        }
        // SAFETY:
        // - `more.len()` bytes from `len` on are in `memory`, because `end` is.
        // - They do not overlap with `more`, because `memory` is borrowed mutably.
        unsafe {
            let spare = self.memory.as_mut_ptr().add(self.len);
            copy_short(more.as_ptr(), spare.cast(), more.len());
        }
        // INVARIANT: The bytes before `end` are initialised now.
        self.len = end;
        true
    }

    /// Adds the first `len` of `bytes`, or returns false if there is no room for all of them. Much
    /// cheaper than [`Buffer::push`] for a few bytes whose number is not a constant.
    #[inline]
    pub(crate) fn push_first<const N: usize>(&mut self, bytes: [u8; N], len: usize) -> bool {
        let fits = self.push(&bytes);
        if fits {
            // INVARIANT: `push` added `N` bytes, of which these are taken away again.
            self.len -= N - len.min(N);
        }
        fits
    }

    /// Removes the first `count` bytes, or all if there are fewer; the others move to the front.
    pub(crate) fn remove_front(&mut self, count: usize) {
        let rest = self.len.saturating_sub(count);
        self.memory.copy_within(self.len - rest..self.len, 0);
        // INVARIANT: The bytes that were moved are initialised.
        self.len = rest;
    }

    /// Returns the memory after the bytes in use.
    pub(crate) fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.memory[self.len..]
    }

    /// Adds the first `count` bytes of [`Buffer::spare`].
    ///
    /// # Safety
    ///
    /// These bytes must be initialised.
    pub(crate) unsafe fn assume_added(&mut self, count: usize) {
        // INVARIANT: The caller guarantees that they are initialised. `min` keeps `len` in bounds.
        self.len += count.min(self.remaining());
    }

    /// Returns the bytes in use.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: By the invariants the first `len` bytes are initialised and in `memory`.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }
}

/// Copies `from` to `to`, which must be as long.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    assert!(to.len() == from.len());
    // SAFETY: Both are valid for that length. `to` is borrowed mutably, so they do not overlap.
    unsafe { copy_short(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}

/// Copies `len` bytes, as `copy_nonoverlapping()`. A usual text is copied in steps of 32 bytes,
/// because the call of the kernel's `memcpy()` takes a tenth of an append in a batch.
///
/// # Safety
///
/// `from` must be valid for reads of `len` bytes, `to` for writes, and they must not overlap.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    type Step = [u64; 4];
    const STEP: usize = size_of::<Step>();
    if !(STEP..=256).contains(&len) {
        // SAFETY: The caller guarantees the same.
        return unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
    let last = len - STEP;
    let mut at = 0;
    loop {
        // SAFETY: `at` is at most `last`, so that these bytes are among the `len`.
        unsafe {
            let step = from.add(at).cast::<Step>().read_unaligned();
            to.add(at).cast::<Step>().write_unaligned(step);
        }
        if at == last {
            return;
        }
        // The last step may have some bytes of the one before in it.
        at = (at + STEP).min(last);
    }
}
