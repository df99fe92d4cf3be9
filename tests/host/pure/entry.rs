// SPDX-License-Identifier: GPL-2.0

//! Tests of entries in binary format.

use crate::model;

/// Checks that an entry is rejected if a byte after the known fields of its header is not zero.
#[test]
fn unknown_fields_must_be_zero() {
    for header_size in [16u8, 24, 64] {
        let [low, high] = 14u16.to_ne_bytes();
        let mut data = vec![header_size, 0, low, high];
        data.extend(1u32.to_ne_bytes());
        data.resize(80, 0);
        for offset in 8..usize::from(header_size) {
            model::check_entry(&data, 100);
            data[offset] = 1;
            model::check_entry(&data, 100);
            data[offset] = 0;
        }
    }
}
