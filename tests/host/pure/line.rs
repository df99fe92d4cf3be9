// SPDX-License-Identifier: GPL-2.0

//! Tests of how a stream is divided into lines.

use crate::model::{lines, split_lines};
use crate::pure::line::{find_newline, is_single_line};
use proptest::prelude::*;

/// A stream with many newlines and priority prefixes.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => Just(b'\n'), 3 => Just(b'<'), 3 => Just(b'>'), 4 => b'0'..=b'9',
        8 => Just(b'x'), 1 => any::<u8>(),
    ];
    proptest::collection::vec(byte, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 5000 }))]

    /// Checks that the records of a stream do not depend on how it is divided into writes.
    #[test]
    fn lines_do_not_depend_on_the_writes(
        stream in stream(), record_max in 1..40usize,
        cuts in proptest::collection::vec(0..200usize, 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < stream.len()).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort();
        let writes: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        let want = lines(&stream, record_max);
        prop_assert_eq!(split_lines(&writes, record_max), want.clone());
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(split_lines(&bytes, record_max), want);
    }

    #[test]
    fn first_newline(bytes in proptest::collection::vec(prop_oneof![
        20 => any::<u8>(), 1 => Just(b'\n'),
    ], 0..60)) {
        let first = bytes.iter().position(|&byte| byte == b'\n');
        prop_assert_eq!(find_newline(&bytes), first);
        prop_assert_eq!(is_single_line(&bytes), first.is_some_and(|at| at + 1 == bytes.len()));
    }
}
