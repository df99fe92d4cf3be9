// SPDX-License-Identifier: GPL-2.0

//! Many writers and readers at once.
//!
//! Every record contains its writer's pid, a number, and a checksum over a text of varying length.
//! Every reader checks that sequence numbers strictly increase, that no record is torn or mixed,
//! that each record has its writer's identity, that the records of one writer are in order, and in
//! the end that received + lost = written.

use crate::client::{Record, Umsg};
use crate::sharing::{child, Child};
use crate::Test;
use nix::errno::Errno;
use std::collections::HashMap;
use std::time::Duration;

pub const TESTS: &[Test] = &[
    Test::new("stress.no_loss", no_loss).with("capacity=33554432"),
    Test::new("stress.loss", loss).with("capacity=65536"),
    Test::new("stress.tiny", tiny).with("capacity=4096 record_max=2048"),
    Test::new("stress.killed_writers", killed_writers).with("capacity=65536"),
];

const WRITERS: usize = 4;
const READERS: usize = 4;

/// Returns the FNV-1a hash of `bytes`, which has 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns the text of record `number` of process `pid`.
fn text(pid: i32, number: u64) -> Vec<u8> {
    let mut text = format!("{pid} {number} ").into_bytes();
    let len = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % 700;
    text.extend((0..len).map(|i| (i as u64 * 7 + number) as u8));
    let sum = checksum(&text);
    // The text has no newline at its end, because the module removes one.
    text.extend(format!(" {sum:016x}").into_bytes());
    text
}

/// Checks the text and the identity of a record, and returns its number.
fn check(record: &Record) -> u64 {
    let text = &record.text;
    let (body, sum) = text.split_at(text.len() - 17);
    assert_eq!(format!(" {:016x}", checksum(body)).as_bytes(), sum, "seq {}", record.seq);
    let words = String::from_utf8_lossy(body);
    let mut words = words.splitn(3, ' ');
    let mut number =
        || -> u64 { words.next().and_then(|word| word.parse().ok()).expect("a number") };
    assert_eq!(number(), record.pid as u64, "seq {}", record.seq);
    assert_eq!((record.tid, record.uid), (record.pid, 0));
    number()
}

fn start_writers(count: usize, records: u64) -> Vec<Child> {
    (0..count)
        .map(|_| {
            child(move || {
                let file = Umsg::writer();
                let pid = std::process::id() as i32;
                (0..records).for_each(|number| file.log(text(pid, number)));
            })
        })
        .collect()
}

/// Reads until `written` records are received or lost, and returns the number of lost records.
fn read_all(file: &Umsg, written: u64, pause_every: u64) -> u64 {
    let (mut received, mut lost) = (0, 0);
    let mut numbers: HashMap<i32, u64> = HashMap::new();
    let mut last_usec = 0;
    while received + lost < written {
        match file.next() {
            Ok(record) => {
                lost += record.lost;
                assert_eq!(record.seq, received + lost);
                received += 1;
                assert!(record.usec >= last_usec);
                last_usec = record.usec;
                let number = check(&record);
                if let Some(before) = numbers.insert(record.pid, number) {
                    assert!(number > before, "writer {} out of order", record.pid);
                }
                if pause_every > 0 && received % pause_every == 0 {
                    std::thread::sleep(Duration::from_millis(3));
                }
            }
            Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_micros(200)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(received + lost, written);
    lost
}

/// Runs writers and readers, and returns the number of records that the readers lost.
fn run(records: u64) -> u64 {
    let written = WRITERS as u64 * records;
    let (from, to) = nix::unistd::pipe().expect("a pipe");
    let readers: Vec<_> = (0..READERS)
        .map(|index| {
            // Open the file before the first write, so that the reader counts every record.
            let file = Umsg::reader();
            child(|| {
                // Two of the readers are slow.
                let lost = read_all(&file, written, [0, 0, 50, 5][index % 4]);
                nix::unistd::write(&to, &lost.to_ne_bytes()).expect("write");
            })
        })
        .collect();
    let writers = start_writers(WRITERS, records);
    writers.into_iter().for_each(Child::join);
    readers.into_iter().for_each(Child::join);
    let info = Umsg::reader().info();
    assert_eq!((info.next_seq, info.records_written, info.records_refused), (written, written, 0));
    let mut lost = [0; 8];
    (0..READERS)
        .map(|_| {
            nix::unistd::read(&from, &mut lost).expect("read");
            u64::from_ne_bytes(lost)
        })
        .sum()
}

fn no_loss() {
    assert_eq!(run(1500), 0);
}

fn loss() {
    assert!(run(2500) > 0, "no reader lost a record");
}

fn tiny() {
    assert!(run(2500) > 0, "no reader lost a record");
}

/// Checks that all records are whole if writers are killed at any time.
fn killed_writers() {
    let reader = Umsg::reader();
    for round in 0..40u64 {
        let doomed = start_writers(2, u64::MAX);
        std::thread::sleep(Duration::from_millis(round % 7));
        doomed.into_iter().for_each(Child::kill);
        reader.rest().iter().for_each(|record| {
            check(record);
        });
    }
    assert!(reader.info().records_written > 40);
    start_writers(1, 10).into_iter().for_each(Child::join);
    assert_eq!(reader.rest().len(), 10);
}
