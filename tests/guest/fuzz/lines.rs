// SPDX-License-Identifier: GPL-2.0

//! The content of writes in text format: single records, and lines of a stream.

use crate::calls::Content;
use crate::seal::{seal_line, Author, Taken, AT_ONCE};
use fastrand::Rng;

/// Fills `out`, all bytes of one write in text format, with `content`. No part of it is a valid
/// entry of the binary format. `sealed`: the module gets `out` unchanged, so that texts can be
/// sealed.
pub fn fill(out: &mut [u8], content: Content, author: Author, taken: Taken, sealed: bool) {
    let total = out.len();
    match content {
        // Text that the module may not get unchanged must not look sealed.
        Content::Sealed { .. } if !sealed => raw(out, 7),
        Content::Sealed { priority, newline } => {
            if !seal_line(out, (0, total), priority, newline, author, taken) {
                raw(out, 7);
            }
        }
        Content::Raw { prefix } => raw(out, prefix),
        Content::Lines { seed } => lines(out, seed, author, taken, sealed && total <= AT_ONCE),
        // `entries.rs` fills these.
        Content::Entries { .. } => unreachable!("not one text"),
    }
}

fn raw(out: &mut [u8], prefix: u8) {
    let head: &[u8] = match prefix % 10 {
        0 => b"<",
        1 => b"<14>",
        2 => b"\n",
        3 => b"<2048>",
        4 => b"<0007>",
        5 => b"<00007>",
        6 => b"<7",
        7 => b"r",
        8 => b"\0\xff\\",
        _ => b"<>",
    };
    // Limit the number of lines, which would overwrite all other records in the log.
    let step = if out.len() <= 40 { 1 } else { 61 };
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = match head.get(i) {
            Some(byte) => *byte,
            None if prefix & 0x80 != 0 && i % step == 0 => b'\n',
            None => b'r'.wrapping_add((i as u8).wrapping_mul(prefix)),
        };
    }
}

/// Fills `out` with lines of all kinds. The last line ends where `out` ends, with or without a
/// newline.
fn lines(out: &mut [u8], seed: u32, author: Author, taken: Taken, sealed: bool) {
    let mut rng = Rng::with_seed(seed.into());
    let total = out.len();
    let mut at = 0;
    while at < total {
        let rest = &mut out[at..];
        // If `out` may become one record, that record must not begin with a sealed line.
        let may_seal = sealed && (at > 0 || taken == Taken::Lines);
        let len = match rng.u8(..16) {
            0..=1 => 1,
            2..=3 => rng.usize(1..8),
            4 => rng.usize(1..3000),
            _ => rng.usize(1..200),
        };
        let len = len.min(rest.len());
        // Most writes end with a newline.
        let newline = at + len < total || rng.u8(..4) > 0;
        let line = &mut rest[..len];
        let priority = if rng.bool() { Some(rng.u16(..2048)) } else { None };
        if !may_seal || !seal_line(line, (at, total), priority, newline, author, taken) {
            let prefix = if at == 0 { 7 } else { [0, 1, 3, 4, 5, 6, 7, 7, 8, 9][rng.usize(..10)] };
            raw(line, prefix);
            if newline {
                line[len - 1] = b'\n';
            }
        }
        at += len;
    }
}
