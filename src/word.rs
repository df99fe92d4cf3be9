// SPDX-License-Identifier: GPL-2.0

//! Eight bytes at once, as a word: text and names are looked at this way.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

#![forbid(unsafe_code)]

/// The 8 bytes of `bytes` from `at` on, the first one lowest.
#[inline(always)]
pub(crate) fn word_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// `byte` in every byte of a word.
pub(crate) const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of every byte of a word.
pub(crate) const HIGHEST: u64 = each(0x80);

/// The highest bit of the lowest byte of `word` that is zero; 0 when none is.
pub(crate) fn first_zero(word: u64) -> u64 {
    // Up to the first zero, none carries.
    let zeros = word.wrapping_sub(each(1)) & !word & HIGHEST;
    zeros & zeros.wrapping_neg()
}
