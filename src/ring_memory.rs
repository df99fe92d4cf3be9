// SPDX-License-Identifier: GPL-2.0

//! The memory of a ring.

#![deny(unsafe_code)]

use core::ops::{
    Deref,
    DerefMut, //
};

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        AllocError, //
    },
    prelude::*, //
};

/// Size of the elements of [`RingMemory`] in bytes.
const ELEMENT: usize = 64;

/// The memory of a ring. The kernel allocates whole pages for it.
///
/// The elements are larger than a byte, because the kernel crate initialises a vector element by
/// element. They are much smaller than a page, because it copies the element on the stack.
pub(crate) struct RingMemory(VVec<[u8; ELEMENT]>);

impl RingMemory {
    /// Allocates `capacity` bytes, a multiple of [`ELEMENT`], and fills them with zeros.
    pub(crate) fn new(capacity: usize) -> Result<Self, AllocError> {
        let flags = GFP_KERNEL | __GFP_NOWARN;
        VVec::from_elem([0; ELEMENT], capacity / ELEMENT, flags).map(Self)
    }
}

impl Deref for RingMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

impl DerefMut for RingMemory {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_flattened_mut()
    }
}
