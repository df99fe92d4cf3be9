// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the ring.

#[kernel::macros::kunit_tests(umsg_ring)]
mod cases {
    use super::super::*;
    use crate::pure::record::{
        Ids,
        Priority,
        Writer, //
    };
    use kernel::prelude::*;

    /// Returns a ring of `capacity` bytes.
    fn ring(capacity: usize, policy: Policy) -> Result<Ring<KVec<u8>, KVec<IndexEntry>>> {
        Ok(Ring::new(
            KVec::from_elem(0xee, capacity, GFP_KERNEL)?,
            KVec::from_elem(IndexEntry::default(), index_len(capacity), GFP_KERNEL)?,
            policy,
        ))
    }

    fn append(
        ring: &mut Ring<KVec<u8>, KVec<IndexEntry>>,
        text: &[u8],
    ) -> core::result::Result<u64, AppendError> {
        let header = Header {
            seq: 0,
            time_ns: 0,
            text_len: 0,
            priority: Priority::DEFAULT,
            continues: false,
            writer: Writer {
                ids: Ids {
                    pid: 1,
                    tid: 1,
                    uid: 0,
                    opener: 0,
                },
                comm: [0; 16],
            },
        };
        ring.append(header, text)
    }

    /// Returns the text of the first record at or after `at`, and the number of lost records before
    /// it.
    fn text(ring: &Ring<KVec<u8>, KVec<IndexEntry>>, at: Position) -> Option<(&[u8], u64)> {
        ring.read(at)
            .map(|stored| (&stored.bytes[HEADER_SIZE..], stored.lost))
    }

    /// Checks records that are one byte smaller than the ring, exactly as large, and one byte
    /// larger.
    #[test]
    fn largest_record() -> Result {
        for (len, fits) in [(63, true), (64, true), (65, false)] {
            let mut ring = ring(HEADER_SIZE + 64, Policy::Overwrite)?;
            let got = append(&mut ring, &[b'x'; 65][..len]);
            assert_eq!(
                got,
                if fits {
                    Ok(0)
                } else {
                    Err(AppendError::TooLarge)
                }
            );
            assert_eq!(text(&ring, Position::default()).is_some(), fits);
        }
        Ok(())
    }

    /// Checks three records of which the last ends 8 bytes before the end of the memory, exactly
    /// there, or does not fit.
    #[test]
    fn end_of_memory() -> Result {
        for (spare, dropped) in [(8, 0), (0, 0), (-8isize, 1)] {
            let capacity = (3 * stored_size(8))
                .checked_add_signed(spare)
                .ok_or(EINVAL)?;
            let mut ring = ring(capacity, Policy::Overwrite)?;
            for text in [b"0.......", b"1.......", b"2......."] {
                assert!(append(&mut ring, text).is_ok());
            }
            assert_eq!(ring.totals().records_dropped, dropped);
            let mut at = Position::default();
            for seq in dropped..3 {
                let lost = if seq == dropped { dropped } else { 0 };
                assert_eq!(
                    text(&ring, at).map(|(text, lost)| (text[0], lost)),
                    Some((b'0' + seq as u8, lost))
                );
                at = ring.read(at).ok_or(EINVAL)?.end;
            }
            assert!(ring.read(at).is_none());
        }
        Ok(())
    }

    /// Checks that the ring holds the newest records, each complete, after records of different
    /// sizes wrapped around the memory many times.
    #[test]
    fn wrap_around() -> Result {
        let mut ring = ring(4 * stored_size(16), Policy::Overwrite)?;
        for seq in 0..200u64 {
            let text = [seq as u8; 32];
            let len = (seq % 5 * 8) as usize;
            assert_eq!(append(&mut ring, &text[..len]), Ok(seq));
            let mut at = ring.oldest();
            let mut next = at.seq();
            while let Some(stored) = ring.read(at) {
                let text = &stored.bytes[HEADER_SIZE..];
                assert_eq!(text.len() as u64, next % 5 * 8);
                assert!(text.iter().all(|byte| *byte == next as u8));
                at = stored.end;
                next += 1;
            }
            assert_eq!(next, seq + 1);
        }
        Ok(())
    }

    /// Checks that a full ring with the policy `stop` rejects records until it is cleared, and then
    /// overwrites only cleared records.
    #[test]
    fn stop_keeps_uncleared_records() -> Result {
        let mut ring = ring(2 * stored_size(8), Policy::Stop)?;
        assert_eq!(append(&mut ring, b"0......."), Ok(0));
        assert_eq!(append(&mut ring, b"1......."), Ok(1));
        assert_eq!(append(&mut ring, b"2......."), Err(AppendError::Full));
        assert_eq!(ring.totals().records_refused, 1);
        ring.clear();
        assert_eq!(append(&mut ring, b"2......."), Ok(2));
        assert_eq!(text(&ring, ring.cleared()), Some((&b"2......."[..], 0)));
        assert_eq!(append(&mut ring, b"3......."), Ok(3));
        assert_eq!(append(&mut ring, b"4......."), Err(AppendError::Full));
        Ok(())
    }
}
