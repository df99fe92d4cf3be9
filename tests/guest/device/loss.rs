// SPDX-License-Identifier: GPL-2.0

//! Overwritten records: every lost record is counted.

use crate::client::{Frame, Record, Umsg, BINARY_READ, KMSG};
use crate::options::shown;
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] = &[
    Test::new("loss.slow_reader", slow_reader).with("capacity=4096"),
    Test::new("loss.new_reader", new_reader).with("capacity=4096"),
    Test::new("loss.every_size", every_size).with("capacity=4096 record_max=2000"),
    Test::new("loss.one_record_ring", one_record_ring).with("capacity=4096 record_max=4040"),
    Test::new("loss.seek", seek).with("capacity=4096"),
    Test::new("loss.epipe", epipe).with("capacity=4K"),
    Test::new("loss.clear", clear).with("capacity=4096"),
];

/// The number of records of 10 bytes of text that fit 4096 bytes: 56 bytes of header and 16 of
/// text.
const FIT: u64 = 4096 / 72;

fn slow_reader() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let mut written = 0;
    let mut write = |count: u64| {
        for _ in 0..count {
            writer.log(format!("{written:010}"));
            written += 1;
        }
        written
    };
    let mut next = 0;
    for round in [1, FIT - 1, FIT, FIT + 1, 3 * FIT, 1000, 5] {
        let written = write(round);
        let records = reader.rest();
        let lost = round.saturating_sub(FIT);
        assert_eq!(records[0].lost, lost, "after {round}");
        assert_eq!(records[0].seq, next + lost);
        assert!(records[1..].iter().all(|record| record.lost == 0));
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record.seq, next + lost + index as u64);
            assert_eq!(record.str(), format!("{:010}", record.seq));
        }
        assert_eq!(records.len() as u64, round.min(FIT));
        next = written;
    }
}

/// Checks that records do not count as lost if they were overwritten before the file was opened.
fn new_reader() {
    let writer = Umsg::writer();
    for _ in 0..FIT + 10 {
        writer.log("0123456789");
    }
    let first = Umsg::reader().next().expect("a record");
    assert_eq!((first.seq, first.lost), (10, 0));
    // Records that are overwritten between open and the first read are lost.
    let reader = Umsg::reader();
    for _ in 0..7 {
        writer.log("0123456789");
    }
    let first = reader.next().expect("a record");
    assert_eq!((first.seq, first.lost), (17, 7));
}

/// Checks that received + lost + remaining = written for readers of different speed. The records
/// have every size, so that they end at every position near the end of the ring.
fn every_size() {
    let writer = Umsg::writer();
    let readers = [Umsg::reader(), Umsg::reader(), Umsg::reader()];
    let mut received = [0u64; 3];
    let mut lost = [0u64; 3];
    let mut written = 0u64;
    for step in 0..6000usize {
        let len = (step * 37) % 2001;
        let text: Vec<u8> = (0..len.max(1)).map(|i| b'a' + ((step + i) % 26) as u8).collect();
        writer.log(&text);
        written += 1;
        for (index, every) in [1usize, 7, 101].into_iter().enumerate() {
            if step % every != 0 {
                continue;
            }
            for _ in 0..=index {
                let Ok(record) = readers[index].next() else { break };
                received[index] += 1;
                lost[index] += record.lost;
                assert_eq!(record.seq + 1, received[index] + lost[index]);
                let (step, len) = (record.seq as usize, record.text.len());
                assert_eq!(len, ((step * 37) % 2001).max(1));
                assert!(record
                    .text
                    .iter()
                    .enumerate()
                    .all(|(i, byte)| *byte == b'a' + ((step + i) % 26) as u8));
            }
        }
    }
    for index in 0..3 {
        for record in readers[index].rest() {
            received[index] += 1;
            lost[index] += record.lost;
        }
        assert_eq!(received[index] + lost[index], written, "reader {index}");
    }
    assert_eq!(lost[0], 0);
    assert!(lost[2] > 0);
    let info = writer.info();
    assert_eq!((info.next_seq, info.records_written), (written, written));
    assert_eq!(info.records_dropped, info.oldest_seq);
}

/// Checks the losses in a ring that one record fills.
fn one_record_ring() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for i in 0..10u8 {
        writer.log(vec![b'a' + i; 4040]);
        if i % 3 == 2 {
            let record = reader.next().expect("a record");
            assert_eq!((record.seq, record.lost), (i.into(), 2));
            assert_eq!(record.text, vec![b'a' + i; 4040]);
            assert_eq!(reader.next(), Err(Errno::EAGAIN));
        }
    }
}

/// Checks that records that a seek skips do not count as lost.
fn seek() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for _ in 0..1000 {
        writer.log("0123456789");
    }
    reader.seek(0, libc::SEEK_END).expect("seek");
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
    writer.log("0123456789");
    let record = reader.next().expect("a record");
    assert_eq!((record.seq, record.lost), (1000, 0));
    reader.seek(0, libc::SEEK_SET).expect("seek");
    let records = reader.rest();
    assert_eq!((records.len() as u64, records[0].lost, records[0].seq), (FIT, 0, 1001 - FIT));
    // Overwrite the record at the read position.
    for _ in 0..2 * FIT {
        writer.log("0123456789");
    }
    let record = reader.next().expect("a record");
    assert_eq!((record.seq, record.lost), (1001 + FIT, FIT));
}

/// Checks that the style `kmsg` reports each loss once by EPIPE, as `/dev/kmsg` does, and not in
/// the next record.
fn epipe() {
    for binary in [0, BINARY_READ] {
        let (writer, reader) = (Umsg::writer(), Umsg::reader().with(binary).style(KMSG));
        reader.seek(0, libc::SEEK_END).expect("seek");
        let read = || {
            let mut buffer = vec![0; 100];
            let len = reader.read(&mut buffer)?;
            Ok(match binary {
                0 => {
                    let record = Record::parse(&buffer[..len]);
                    (record.seq, record.lost)
                }
                _ => {
                    let frame = &Frame::parse_all(&buffer[..len])[0];
                    (frame.seq, frame.lost)
                }
            })
        };
        let mut lost = 0;
        for _ in 0..3 {
            writer.log("not lost");
            let first = writer.info().next_seq - 1;
            assert_eq!(read(), Ok((first, 0)));
            for _ in 0..200 {
                writer.log("0123456789");
            }
            let oldest = writer.info().oldest_seq;
            lost += oldest - first - 1;
            assert_eq!(read(), Err(Errno::EPIPE));
            assert!(shown(&reader).contains(&format!("lost:\t{lost}\n")), "{}", shown(&reader));
            assert_eq!(read(), Ok((oldest, 0)));
            assert_eq!(read(), Ok((oldest + 1, 0)));
            while read() != Err(Errno::EAGAIN) {}
        }
    }
}

fn clear() {
    let file = Umsg::both();
    let other = Umsg::reader();
    for _ in 0..10 {
        file.log("0123456789");
    }
    file.clear().expect("clear");
    assert_eq!(file.info().cleared_seq, 10);
    // A reader at the oldest record still reads cleared records.
    assert_eq!(other.rest().len(), 10);
    // SEEK_DATA skips cleared records.
    file.seek(0, libc::SEEK_DATA).expect("seek");
    assert_eq!(file.next(), Err(Errno::EAGAIN));
    file.log("after");
    assert_eq!(file.next().expect("a record").text, b"after");
    // If the position of the clear is overwritten, SEEK_DATA goes to the oldest record and causes
    // no loss.
    for _ in 0..3 * FIT {
        file.log("0123456789");
    }
    file.seek(0, libc::SEEK_DATA).expect("seek");
    let record = file.next().expect("a record");
    assert_eq!((record.seq, record.lost), (file.info().oldest_seq, 0));
    // A clear needs CAP_SYSLOG.
    let child = crate::sharing::child(|| {
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(1000, 1000, 1000) }, 0);
        assert_eq!(file.clear(), Err(Errno::EPERM));
    });
    child.join();
}
