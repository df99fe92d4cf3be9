// SPDX-License-Identifier: GPL-2.0

//! What is written in binary form: entries, most of them good, and what must become of them.

use crate::abi::raw_entry;
use crate::audit::expected;
use crate::module::Parameters;
use crate::seal::{self, Author};
use fastrand::Rng;
use libc::{EINVAL, EMSGSIZE};

/// The module takes a write of no more bytes at once: no signal ends it early.
const AT_ONCE: usize = 8192;
/// Size of the header of an entry that has no more than it must.
const HEADER: usize = 8;

/// Fills `out` with entries drawn from `seed`, and returns how many. Their texts are sealed if they
/// are going to be written as they are.
pub fn fill(out: &mut [u8], seed: u32, author: Author, record_max: usize, sealed: bool) -> u64 {
    let mut rng = Rng::with_seed(seed.into());
    // Half of the writes have no entry that is wrong.
    let wrong_one_in = [0, 0, 30, 5][rng.usize(..4)];
    let mut at = 0;
    let mut count = 0;
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
            // Up to the end, where it is not better cut short.
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
            seal::seal(&mut text, Some(priority), author);
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
        count += 1;
    }
    out[at..].fill(HEADER as u8);
    count
}

/// Makes something about an entry wrong.
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
        // Those behind it become a part of its text, or it is cut short.
        3 => entry[4..8].copy_from_slice(&rng.u32(..=record_max).to_ne_bytes()),
        _ if header_size > HEADER => entry[rng.usize(HEADER..header_size)] = 1,
        _ => entry[3] = 0xff,
    }
}

/// Why a write of entries goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There are no more.
    End,
    /// The next one is not all there.
    Cut,
    Invalid,
    TooLong,
}

/// The entries at the beginning of what is written: the words of `umsg.h`.
#[derive(Debug)]
pub struct Walk {
    /// Where each of them ends.
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

    /// Whether a write of `total` bytes, all of them in good memory, may return `done` in binary
    /// form.
    pub fn allows(&self, done: i64, total: usize, parameters: &Parameters) -> bool {
        let best = match (self.ends.last(), self.why) {
            (Some(end), _) => *end as i64,
            (None, Why::End) => 0,
            (None, Why::Cut | Why::Invalid) => -i64::from(EINVAL),
            (None, Why::TooLong) => -i64::from(EMSGSIZE),
        };
        let full = parameters.policy == 1;
        // Which of them it was that did not go in any more, only the log knows.
        let part = (full || total > AT_ONCE) && self.ends.iter().any(|end| *end as i64 == done);
        let none = full && !self.ends.is_empty() && done == -i64::from(libc::ENOSPC);
        done == best || part || none
    }
}

/// Makes sure that what a write of `data` returns tells whether it was taken in text form, as one
/// record, or in binary form, as several: the last entry of several good ones becomes a wrong one.
pub fn tell_apart(data: &mut [u8], parameters: &Parameters) {
    let walk = Walk::new(data, parameters.record_max);
    if let (Why::End, [.., last, _]) = (walk.why, &walk.ends[..]) {
        if expected(data, parameters).is_ok() {
            data[*last..*last + 2].fill(0);
        }
    }
}

/// What a write has done to the log's counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub stored: u64,
    pub refused: u64,
    /// Perhaps so many more were stored.
    pub unsure: u64,
    /// Perhaps one more was refused.
    pub perhaps_refused: bool,
}

impl Tally {
    /// Of a write of one record.
    pub fn one(result: i64) -> Self {
        Self {
            stored: u64::from(result > 0),
            refused: u64::from(result == -i64::from(libc::ENOSPC)),
            unsure: 0,
            perhaps_refused: false,
        }
    }

    /// Of a write from nobody knows where, which took `done` bytes.
    pub fn unknown(done: i64) -> Self {
        Self { unsure: done as u64 / 8, perhaps_refused: true, ..Self::one(done) }
    }

    /// Of a write of entries that returned `result`, of `total` bytes. `data`: at least as many of
    /// them as were taken; `all`: all of them. `binary`: its form, if that is known.
    pub fn entries(
        result: i64,
        data: &[u8],
        all: bool,
        total: usize,
        binary: Option<bool>,
        parameters: &Parameters,
    ) -> Self {
        let mut tally = Self::one(result);
        if result <= 0 {
            return tally;
        }
        let done = result as usize;
        let Walk { ends, .. } = Walk::new(data, parameters.record_max);
        let count = ends.iter().position(|end| *end == done).map(|index| index as u64 + 1);
        if done < total {
            assert_ne!(binary, Some(false), "one record, but {done} of {total} bytes were taken");
            tally.stored = count.expect("a part of an entry was taken");
            if parameters.policy == 1 {
                // A good one is next: the log was full, or else a signal came.
                let next = ends.len() as u64 > tally.stored;
                if all && total <= AT_ONCE {
                    tally.refused = u64::from(next);
                } else {
                    tally.perhaps_refused = next || !all;
                }
            }
            return tally;
        }
        match (count, binary) {
            (Some(count), Some(true)) => tally.stored = count,
            (None, Some(true)) => panic!("{total} bytes were taken, which are no entries"),
            (Some(count), None) if expected(data, parameters).is_err() => tally.stored = count,
            (Some(count), None) => tally.unsure = count - 1,
            // It was one in text form.
            _ => {}
        }
        tally
    }
}
