// SPDX-License-Identifier: GPL-2.0

//! Tests of the ring.

use crate::model::{Model, Op, READERS};
use crate::pure::ring::{index_len, IndexEntry, Policy, Ring};
use crate::pure::value::ParamValue;
use proptest::prelude::*;

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Overwrite), Just(Policy::Stop)]
}

fn op(longest: usize) -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..=longest).prop_map(Op::Append),
        1 => Just(Op::Clear),
        6 => (0..READERS).prop_map(Op::Read),
        1 => (0..READERS).prop_map(Op::SeekOldest),
        1 => (0..READERS).prop_map(Op::SeekCleared),
        1 => (0..READERS).prop_map(Op::SeekNext),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 2000 }))]

    #[test]
    fn random_operations(
        capacity in (1..200usize).prop_map(|words| words * 8),
        policy in policy(),
        ops in proptest::collection::vec(op(300), 1..200),
    ) {
        let mut model = Model::new(capacity, policy);
        for op in ops {
            model.step(op);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 300 }))]

    /// Checks searches in rings that hold between zero and some hundred records and were
    /// overwritten several times.
    #[test]
    fn searches(
        capacity in (1..3000usize).prop_map(|words| words * 8),
        lengths in proptest::collection::vec(0..100usize, 1..20),
        count in 0..1500usize,
    ) {
        let mut model = Model::new(capacity, Policy::Overwrite);
        model.search(lengths.into_iter().cycle().take(count));
    }
}

#[test]
fn policies_have_their_names() {
    for (policy, name) in [(Policy::Overwrite, "overwrite"), (Policy::Stop, "stop")] {
        let mut shown = String::new();
        policy.show(&mut shown).unwrap();
        assert_eq!(shown, name);
        let index = vec![IndexEntry::default(); index_len(64)];
        assert_eq!(Ring::new(vec![0; 64], index, policy).policy(), policy);
    }
}

/// Checks every sequence of seven operations on rings of a few records. The sizes are chosen so
/// that records end exactly at the end of the memory, one word before it and one word after it.
#[test]
#[cfg_attr(miri, ignore = "hours in Miri")]
fn all_short_sequences() {
    const OPS: [Op; 6] =
        [Op::Append(0), Op::Append(8), Op::Append(72), Op::Clear, Op::Read(0), Op::SeekNext(1)];
    let mut sequences = 0u32;
    for policy in [Policy::Overwrite, Policy::Stop] {
        for capacity in [56, 112, 120, 128, 136, 176, 184, 192, 248] {
            for mut code in 0..OPS.len().pow(7) {
                let mut model = Model::new(capacity, policy);
                for _ in 0..7 {
                    model.step(OPS[code % OPS.len()]);
                    code /= OPS.len();
                }
                model.read(0);
                model.read(1);
                model.check();
                sequences += 1;
            }
        }
    }
    assert_eq!(sequences, 2 * 9 * 6u32.pow(7));
}
