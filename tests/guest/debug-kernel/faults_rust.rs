// SPDX-License-Identifier: GPL-2.0

//! The errors of `faults.c` that are made in Rust, because the debug checks must cover Rust code.

/// Reads `bytes[index]`, which may be out of bounds.
///
/// # Safety
///
/// None. The purpose is an invalid read.
#[no_mangle]
pub unsafe extern "C" fn provoke_rust_read(bytes: *const u8, index: usize) -> u8 {
    // SAFETY: None. KASAN must report this read.
    unsafe { bytes.add(index).read_volatile() }
}

/// Adds 1 to `summand`, which overflows if `summand` is 255.
#[no_mangle]
pub extern "C" fn provoke_rust_overflow(summand: u8) {
    let sum = core::hint::black_box(1u8) + core::hint::black_box(summand);
    core::hint::black_box(sum);
}

/// Fails a debug assertion if `value` is not 0.
#[no_mangle]
pub extern "C" fn provoke_rust_assertion(value: u8) {
    debug_assert!(core::hint::black_box(value) == 0, "as asked for");
}
