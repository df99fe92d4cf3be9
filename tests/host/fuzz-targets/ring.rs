// SPDX-License-Identifier: GPL-2.0

//! The ring: compares it with its reference model. The input is the policy and the size of the
//! ring, then two bytes for each operation: its kind and its argument.

#![no_main]

include!("modules.rs");

use libfuzzer_sys::fuzz_target;
use model::{Model, Op, READERS};
use pure::ring::Policy;

fuzz_target!(|data: &[u8]| {
    let Some((&[policy, words], ops)) = data.split_first_chunk::<2>() else {
        return;
    };
    let policy = if policy & 1 == 0 { Policy::Overwrite } else { Policy::Stop };
    let mut model = Model::new((usize::from(words) + 1) * 8, policy);
    for op in ops.chunks_exact(2) {
        let argument = usize::from(op[1]);
        let reader = argument % READERS;
        model.step(match op[0] % 8 {
            0..=2 => Op::Append(argument),
            3 => Op::Clear,
            4 => Op::Read(reader),
            5 => Op::SeekOldest(reader),
            6 => Op::SeekCleared(reader),
            _ => Op::SeekNext(reader),
        });
    }
    for reader in 0..READERS {
        model.read(reader);
    }
});
