// SPDX-License-Identifier: GPL-2.0

//! Bytes in memory that is not filled with zeros first, and the copy of short ones. Neither `core`
//! nor the kernel crate has such a thing yet. It needs no kernel type: the same file compiles on
//! the host, for tests and Miri.
//!
//! Why: a read of one record goes through about 1 KiB of such memory. To fill it, and to call
//! `memcpy()` for each dozen of bytes, took two thirds of all its instructions.

use core::{
    mem::MaybeUninit,
    ptr,
    slice, //
};

/// Memory that holds nothing yet, for the stack.
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
    /// A buffer in `memory` with nothing in it.
    #[inline(always)]
    pub(crate) fn new(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        // INVARIANT: None has to be initialised.
        Self { memory, len: 0 }
    }

    /// How many bytes are there.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many more bytes there is room for.
    #[inline(always)]
    pub(crate) fn room(&self) -> usize {
        // It cannot wrap, by the invariant; the compiler does not know that, and would look.
        self.memory.len().wrapping_sub(self.len)
    }

    /// Forgets the bytes that are there.
    pub(crate) fn clear(&mut self) {
        // INVARIANT: None has to be initialised.
        self.len = 0;
    }

    /// Adds all of `more`, or returns false when there is no room for it.
    #[inline(always)]
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        if more.len() > self.room() {
            return false;
        }
        // SAFETY:
        // - `more` is readable; so many bytes from `len` on are in `memory`, as was just looked.
        // - They do not overlap: `memory` is borrowed mutably, and `more` is not a part of it.
        unsafe { copy_raw(more.as_ptr(), self.end(), more.len()) };
        // INVARIANT: They are initialised now, and there was room for them.
        self.len = self.len.wrapping_add(more.len());
        true
    }

    /// Adds the first `len` of `bytes`, or returns false when there is no room for all of them.
    #[inline(always)]
    pub(crate) fn push_first<const N: usize>(&mut self, bytes: [u8; N], len: usize) -> bool {
        if self.room() < N || len > N {
            return false;
        }
        // SAFETY: `N` bytes from `len` on are in `memory`, as was just looked.
        unsafe { self.end().cast::<[u8; N]>().write(bytes) };
        // INVARIANT: At least `len` of them are initialised now.
        self.len = self.len.wrapping_add(len);
        true
    }

    /// Adds `head`, then `body`, then zeros until all of it is a multiple of 8 bytes; or returns
    /// false when there is no room for that.
    #[inline(always)]
    pub(crate) fn push_padded<const N: usize>(&mut self, head: [u8; N], body: &[u8]) -> bool {
        const { assert!(N >= 8) };
        let size = (N + body.len() + 7) & !7;
        if size > self.room() {
            return false;
        }
        let end = self.end();
        // SAFETY:
        // - `size` bytes from `end` on are in `memory`, as was just looked. They are enough for
        //   `head` and `body`, and at least 8.
        // - They do not overlap with `body`: `memory` is borrowed mutably.
        unsafe {
            // The last 8 bytes first, whatever of them is not padding: there is no branch then.
            end.wrapping_add(size - 8).cast::<[u8; 8]>().write([0; 8]);
            end.cast::<[u8; N]>().write(head);
            copy_raw(body.as_ptr(), end.wrapping_add(N), body.len());
        }
        // INVARIANT: They are initialised now: at most 7 of them are behind `body`.
        self.len = self.len.wrapping_add(size);
        true
    }

    /// A buffer of its own in the first `size` bytes of the memory, or in all if there are fewer.
    /// What was in this one is forgotten.
    pub(crate) fn limited(&mut self, size: usize) -> Buffer<'_> {
        // INVARIANT: None has to be initialised.
        self.len = 0;
        let size = size.min(self.memory.len());
        Buffer::new(&mut self.memory[..size])
    }

    /// Forgets the first `count` bytes of those that are there; the others move to the front.
    pub(crate) fn remove_front(&mut self, count: usize) {
        let rest = self.len.saturating_sub(count);
        self.memory.copy_within(self.len - rest..self.len, 0);
        // INVARIANT: What was moved is as initialised as it was.
        self.len = rest;
    }

    /// The memory after the bytes that are there.
    pub(crate) fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.memory[self.len..]
    }

    /// Adds the first `count` bytes of [`Buffer::spare`].
    ///
    /// # Safety
    ///
    /// They must be initialised.
    pub(crate) unsafe fn assume_added(&mut self, count: usize) {
        // INVARIANT: By the contract; they are bytes of `memory`.
        self.len += count.min(self.room());
    }

    /// The place after the bytes that are there.
    #[inline(always)]
    fn end(&mut self) -> *mut u8 {
        // The invariant bounds it; a slice from there on would check once more.
        self.memory.as_mut_ptr().wrapping_add(self.len).cast()
    }

    /// The bytes that are there.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: By the invariants these are initialised and in `memory`.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }
}

/// Copies `from` to `to`, which must be as long: `copy_from_slice()` for what is mostly short.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    assert!(to.len() == from.len());
    // SAFETY: Both have that length, and what is borrowed mutably overlaps with nothing.
    unsafe { copy_raw(from.as_ptr(), to.as_mut_ptr(), from.len()) };
}

/// Above this many bytes the processor's own string operation is the faster one.
const SHORT: usize = 256;

/// Copies `len` bytes from `from` to `to`, in words where they are few.
///
/// # Safety
///
/// `from` must be valid for reads of `len` bytes, `to` for writes, and they must not overlap.
#[inline(always)]
unsafe fn copy_raw(from: *const u8, to: *mut u8, len: usize) {
    if len > SHORT {
        // SAFETY: The contract is the same.
        return unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
    if (32..=64).contains(&len) {
        // The usual text, without the loop: the first and the last 32 bytes, which may overlap.
        //
        // SAFETY: There are 32 bytes from 0 on, and from `len - 32` on.
        return unsafe {
            step_32(from, to, 0);
            step_32(from, to, len - 32);
        };
    }
    if len >= 32 {
        // All but the last up to 32 bytes, then these, which may have some of the others in them.
        let last = len - 32;
        let mut at = 0;
        while at < last {
            // SAFETY: There are at least 32 bytes from `at` on.
            unsafe { step_32(from, to, at) };
            at = at.wrapping_add(32);
        }
        // SAFETY: There are 32 bytes from `last` on.
        return unsafe { step_32(from, to, last) };
    }
    // In two words that may overlap with each other.
    //
    // SAFETY: All begin at or after 0 and end at or before `len`.
    unsafe {
        if len >= 16 {
            step::<[u64; 2]>(from, to, 0);
            step::<[u64; 2]>(from, to, len - 16);
        } else if len >= 8 {
            step::<u64>(from, to, 0);
            step::<u64>(from, to, len - 8);
        } else if len >= 4 {
            step::<u32>(from, to, 0);
            step::<u32>(from, to, len - 4);
        } else if len >= 2 {
            step::<u16>(from, to, 0);
            step::<u16>(from, to, len - 2);
        } else if len == 1 {
            step::<u8>(from, to, 0);
        }
    }
}

/// Copies 32 bytes from `at` bytes after `from` to as many after `to`.
///
/// # Safety
///
/// As of [`copy_raw`], for these bytes.
#[inline(always)]
unsafe fn step_32(from: *const u8, to: *mut u8, at: usize) {
    // Several words at a time: of one, the compiler would make a call of memcpy() again.
    //
    // SAFETY: The contract is the same.
    unsafe {
        step::<[u64; 2]>(from, to, at);
        step::<[u64; 2]>(from, to, at.wrapping_add(16));
    }
}

/// Copies a `T` from `at` bytes after `from` to as many after `to`.
///
/// # Safety
///
/// As of [`copy_raw`], for these bytes. Neither side needs to be aligned.
#[inline(always)]
unsafe fn step<T>(from: *const u8, to: *mut u8, at: usize) {
    // SAFETY: By the contract.
    unsafe {
        let word = from.add(at).cast::<T>().read_unaligned();
        to.add(at).cast::<T>().write_unaligned(word);
    }
}
