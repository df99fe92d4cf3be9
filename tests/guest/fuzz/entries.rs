// SPDX-License-Identifier: GPL-2.0

//! The content of writes in binary format: entries, most of them valid, and the results that such
//! writes may have.

use crate::abi::raw_entry;
use crate::module::Parameters;
use crate::seal::{self, Author, AT_ONCE};
use fastrand::Rng;
use libc::{EINVAL, EMSGSIZE};

/// The size of the smallest header of an entry.
const HEADER: usize = 8;

/// Fills `out` with entries drawn from `seed`. `sealed`: the module gets `out` unchanged, so that
/// texts can be sealed. `certain`: the file is certainly in binary format.
pub fn fill(
    out: &mut [u8],
    seed: u32,
    author: Author,
    record_max: usize,
    (sealed, certain): (bool, bool),
) {
    let mut rng = Rng::with_seed(seed.into());
    // Half of the writes have no invalid entry.
    let wrong_one_in = [0, 0, 30, 5][rng.usize(..4)];
    let mut at = 0;
    while out.len() - at >= HEADER {
        let room = out.len() - at;
        let mut header_size = if rng.u8(..8) == 0 { 8 * rng.usize(2..=8) } else { HEADER };
        let mut text_len = match rng.u8(..16) {
            0 => 0,
            1 => rng.usize(..=record_max),
            2 => record_max - rng.usize(..3).min(record_max),
            3..=5 => rng.usize(..64).min(record_max),
            _ => rng.usize(seal::LEAST..160).min(record_max),
        };
        let fits = |header_size: usize, text_len: usize| {
            header_size + text_len.next_multiple_of(8) <= room
        };
        if !fits(header_size, text_len) && room % 8 == 0 && room - HEADER <= record_max {
            // Mostly, let the entry end where `out` ends. Otherwise the entry is incomplete.
            if rng.u8(..4) > 0 {
                header_size = HEADER;
                text_len = (room - HEADER).saturating_sub(rng.usize(..8));
            }
        }
        let wrong = wrong_one_in > 0 && rng.u32(..wrong_one_in) == 0;
        let whole = fits(header_size, text_len) && !wrong;
        let priority = rng.u16(..2048);
        let mut text = vec![b'e'; text_len];
        if whole && sealed && text_len >= seal::LEAST && rng.u8(..8) > 0 {
            seal::seal_entry(&mut text, priority, author, certain);
        } else if sealed {
            text.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 37) as u8);
        }
        let mut behind = vec![0; header_size - HEADER];
        behind.extend(&text);
        let mut entry = raw_entry(header_size as u16, priority, text_len as u32, &behind);
        if wrong {
            spoil(&mut entry, &mut rng, header_size, record_max);
        }
        let part = entry.len().min(room);
        out[at..at + part].copy_from_slice(&entry[..part]);
        at += part;
    }
    out[at..].fill(HEADER as u8);
}

/// Makes an entry invalid.
fn spoil(entry: &mut [u8], rng: &mut Rng, header_size: usize, record_max: usize) {
    let record_max = record_max as u32;
    match rng.u8(..5) {
        0 => {
            let sizes = [0u16, 1, 7, 9, 12, 72, 128, 0xfff8];
            entry[..2].copy_from_slice(&sizes[rng.usize(..8)].to_ne_bytes());
        }
        1 => entry[2..4].copy_from_slice(&rng.u16(2048..).to_ne_bytes()),
        2 => {
            let sizes = [record_max + 1, record_max + 8, 65537, 1 << 20, 1 << 31, u32::MAX];
            entry[4..8].copy_from_slice(&sizes[rng.usize(..6)].to_ne_bytes());
        }
        // An arbitrary text size: the next entry is then expected at a wrong offset, or this entry
        // is incomplete.
        3 => entry[4..8].copy_from_slice(&rng.u32(..=record_max).to_ne_bytes()),
        _ if header_size > HEADER => entry[rng.usize(HEADER..header_size)] = 1,
        _ => entry[3] = 0xff,
    }
}

/// The reason why a write of entries ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No bytes follow the last entry.
    End,
    /// The next entry is incomplete.
    Cut,
    Invalid,
    TooLong,
}

/// The valid entries at the beginning of a write, as defined in `umsg.h`.
#[derive(Debug)]
pub struct Walk {
    /// The offset of the end of each entry.
    pub ends: Vec<usize>,
    pub why: Why,
}

impl Walk {
    pub fn new(data: &[u8], record_max: usize) -> Self {
        let mut ends = Vec::new();
        let mut at = 0;
        let why = loop {
            let rest = &data[at..];
            if rest.is_empty() {
                break Why::End;
            }
            if rest.len() < HEADER {
                break Why::Cut;
            }
            let header_size = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
            let priority = u16::from_ne_bytes([rest[2], rest[3]]);
            let text_size = u32::from_ne_bytes(rest[4..8].try_into().expect("4")) as usize;
            if header_size % 8 != 0 || !(8..=64).contains(&header_size) || priority > 2047 {
                break Why::Invalid;
            }
            if text_size > record_max {
                break Why::TooLong;
            }
            let size = header_size + text_size.next_multiple_of(8);
            if size > rest.len() {
                break Why::Cut;
            }
            if rest[HEADER..header_size].iter().any(|byte| *byte != 0) {
                break Why::Invalid;
            }
            at += size;
            ends.push(at);
        };
        Self { ends, why }
    }

    /// Returns the number of entries in the first `done` bytes; `None` if no entry ends there.
    pub fn count(&self, done: usize) -> Option<u64> {
        self.ends.iter().position(|end| *end == done).map(|index| index as u64 + 1)
    }

    /// Returns whether a write of `total` bytes, all of them in good memory, may return `done` in
    /// binary format.
    pub fn allows(&self, done: i64, total: usize, parameters: &Parameters) -> bool {
        let best = match (self.ends.last(), self.why) {
            (Some(end), _) => *end as i64,
            (None, Why::End) => 0,
            (None, Why::Cut | Why::Invalid) => -i64::from(EINVAL),
            (None, Why::TooLong) => -i64::from(EMSGSIZE),
        };
        let full = parameters.policy == 1;
        // A full log, or a signal in a long write, can end the write after any entry.
        let part = (full || total > AT_ONCE) && self.ends.iter().any(|end| *end as i64 == done);
        let none = full && !self.ends.is_empty() && done == -i64::from(libc::ENOSPC);
        done == best || part || none
    }
}

/// Makes the last of several valid entries invalid. Then the result of a write of `data` shows its
/// format: a write of text consumes all bytes, and a binary write only the entries before the last
/// one.
pub fn tell_apart(data: &mut [u8], record_max: usize) {
    let walk = Walk::new(data, record_max);
    if let (Why::End, [.., last, _]) = (walk.why, &walk.ends[..]) {
        data[*last..*last + 2].fill(0);
    }
}
