// SPDX-License-Identifier: GPL-2.0

//! Tests of the buffer in `src/sys` that the pure code uses.

/// Checks copies of many lengths and every alignment. They include the lengths at which `copy()`
/// changes its method.
#[test]
fn copies() {
    let from: Vec<u8> = (0..600).map(|i| (i * 7 % 251) as u8).collect();
    for len in 0..300 {
        for shift in 0..9 {
            let mut to = vec![0xee; 620];
            crate::sys::buffer::copy(
                &mut to[shift..shift + len],
                &from[8 - shift..8 - shift + len],
            );
            assert_eq!(to[shift..shift + len], from[8 - shift..8 - shift + len]);
            assert!(to[..shift].iter().chain(&to[shift + len..]).all(|&byte| byte == 0xee));
        }
    }
}

#[test]
fn buffers() {
    let mut memory = crate::sys::buffer::uninit::<20>();
    let mut buffer = crate::sys::buffer::Buffer::new(&mut memory);
    assert!(buffer.push(b"0123456789"));
    assert!(!buffer.push(b"0123456789x"));
    assert_eq!((buffer.as_slice(), buffer.remaining()), (&b"0123456789"[..], 10));
    buffer.spare()[..2].copy_from_slice(&[b'a', b'b'].map(std::mem::MaybeUninit::new));
    // SAFETY: These two bytes were just initialised.
    unsafe { buffer.assume_added(2) };
    assert!(buffer.push_first(*b"cdefghij", 3) && !buffer.push_first(*b"cdefghij", 1));
    buffer.remove_front(11);
    assert_eq!(buffer.as_slice(), b"bcde");
    buffer.remove_front(99);
    assert_eq!((buffer.len(), buffer.remaining()), (0, 20));
    assert!(buffer.push(&[1; 20]) && buffer.push(b"") && !buffer.push(b"x"));
    buffer.clear();
    assert_eq!(buffer.as_slice(), b"");
}
