// SPDX-License-Identifier: GPL-2.0

//! Records, as a reader gets them.

use crate::abi::{CONTINUES, RECORD_SIZE};
use crate::Priority;
use std::borrow::Cow;
use std::time::Duration;

/// A record of a log. `T` is the type of its text: bytes of its own, or a slice of the reader's
/// buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<T = Vec<u8>> {
    /// Sequence number.
    pub seq: u64,
    /// Time of the write, by `CLOCK_MONOTONIC` of the initial time namespace.
    pub time: Duration,
    /// Number of records that the reader lost immediately before this one.
    pub lost: u64,
    /// Facility and level.
    pub priority: Priority,
    /// The record continues the line of an earlier record.
    pub continues: bool,
    /// Process id of the writer; `None` for a reader outside the initial pid namespace.
    pub pid: Option<u32>,
    /// Thread id of the writer; `None` for a reader outside the initial pid namespace.
    pub tid: Option<u32>,
    /// Real user id of the writer, in the user namespace of the reader.
    pub uid: u32,
    /// Effective user id of the task that opened the writer's file, in the user namespace of the
    /// reader.
    pub opener: u32,
    /// Command name of the writer, padded with zeros. See [`Record::comm`].
    pub comm: [u8; 16],
    /// The text, any bytes.
    pub text: T,
}

impl<T> Record<T> {
    /// Returns the command name of the writer. The writer chooses it.
    pub fn comm(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.comm_bytes())
    }

    /// Returns the bytes of the command name of the writer.
    pub fn comm_bytes(&self) -> &[u8] {
        let len = self.comm.iter().position(|byte| *byte == 0).unwrap_or(self.comm.len());
        &self.comm[..len]
    }

    /// Returns the sequence number of the first record that was lost immediately before this one,
    /// or that of this one if none was lost.
    pub fn first_missing(&self) -> u64 {
        self.seq.saturating_sub(self.lost)
    }
}

impl<T: AsRef<[u8]>> Record<T> {
    /// Returns a record with its own copy of the text.
    pub fn to_owned(&self) -> Record {
        self.with_text(self.text.as_ref().to_vec())
    }

    /// Returns the record with a borrowed text.
    pub fn as_ref(&self) -> Record<&[u8]> {
        self.with_text(self.text.as_ref())
    }

    fn with_text<U>(&self, text: U) -> Record<U> {
        let &Self { seq, time, lost, priority, continues, pid, tid, uid, opener, comm, .. } = self;
        Record { seq, time, lost, priority, continues, pid, tid, uid, opener, comm, text }
    }
}

/// Parses the first record of `data`, which must be in the binary format of a read. Returns the
/// record and its size in bytes with padding, or `None` if the record is not complete.
pub(crate) fn parse(data: &[u8]) -> Option<(Record<&[u8]>, usize)> {
    let header: &[u8; RECORD_SIZE] = data.first_chunk()?;
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    let long = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().expect("8 bytes"));
    let [header_size, flags, priority @ .., _, _, _, _] = *header.first_chunk::<8>()?;
    let text_len = usize::try_from(word(4)).ok()?;
    let start = usize::from(header_size);
    let end = start.checked_add(text_len)?;
    let text = data.get(start..end)?;
    let record = Record {
        seq: long(8),
        time: Duration::from_nanos(long(16)),
        lost: long(24),
        priority: Priority::from_number(u16::from_ne_bytes(priority)).unwrap_or_default(),
        continues: flags & CONTINUES != 0,
        pid: Some(word(32)).filter(|pid| *pid != 0),
        tid: Some(word(36)).filter(|tid| *tid != 0),
        uid: word(40),
        opener: word(44),
        comm: header[48..].try_into().expect("16 bytes"),
        text,
    };
    Some((record, start + text_len.next_multiple_of(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_records_are_rejected() {
        let mut data = vec![0; 96];
        // A header of 72 bytes, as a later version may have it.
        data[..2].copy_from_slice(&[72, CONTINUES]);
        data[2..4].copy_from_slice(&9_u16.to_ne_bytes());
        data[4..8].copy_from_slice(&17_u32.to_ne_bytes());
        data[8..16].copy_from_slice(&7_u64.to_ne_bytes());
        data[48..53].copy_from_slice(b"a-cmd");
        data[72..89].copy_from_slice(b"seventeen letters");
        let (record, size) = parse(&data).expect("a record");
        assert_eq!((record.seq, record.text, size), (7, &b"seventeen letters"[..], 96));
        assert_eq!((record.priority.number(), record.continues, record.pid), (9, true, None));
        assert_eq!(record.comm(), "a-cmd");
        assert_eq!(record.to_owned().as_ref(), record);
        for len in 0..89 {
            assert_eq!(parse(&data[..len]), None, "{len} bytes");
        }
        data[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(parse(&data), None);
    }
}
