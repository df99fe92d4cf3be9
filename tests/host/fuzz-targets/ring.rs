// SPDX-License-Identifier: GPL-2.0

//! Operations on a ring, against the model. The input is the ring's policy and size, then the
//! operations: a byte for which, a byte for how much.

#![no_main]

#[path = "../model/mod.rs"]
#[allow(dead_code, reason = "a target need not use all of it")]
mod model;
#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod sys;

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
        let how_much = usize::from(op[1]);
        let reader = how_much % READERS;
        model.step(match op[0] % 8 {
            0..=2 => Op::Append(how_much),
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
