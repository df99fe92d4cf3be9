// SPDX-License-Identifier: GPL-2.0

//! The mistakes of `faults.c` that are made in Rust: the detectors must see Rust code too.

/// Reads `bytes[index]`, wherever that is.
///
/// # Safety
///
/// None: a read that is not allowed is what this is for.
#[no_mangle]
pub unsafe extern "C" fn provoke_rust_read(bytes: *const u8, index: usize) -> u8 {
    // SAFETY: None; KASAN has to say so.
    unsafe { bytes.add(index).read_volatile() }
}

/// 1 + `summand`, which must not be more than a byte holds.
#[no_mangle]
pub extern "C" fn provoke_rust_overflow(summand: u8) {
    let sum = core::hint::black_box(1u8) + core::hint::black_box(summand);
    core::hint::black_box(sum);
}

/// Fails a debug assertion when `value` is not 0.
#[no_mangle]
pub extern "C" fn provoke_rust_assertion(value: u8) {
    debug_assert!(core::hint::black_box(value) == 0, "as asked for");
}
