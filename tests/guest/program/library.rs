// SPDX-License-Identifier: GPL-2.0

//! The library, without the program.

use crate::command::{comm, in_a_flood};
use crate::harness::Test;
use std::time::{Duration, Instant};
use umsg::{AsyncReader, Batch, Error, Facility, Level, Log, Position, Priority};

pub const TESTS: &[Test] = &[
    Test::new("library.records", records).with("record_max=64K capacity=4M"),
    Test::new("library.positions", positions).with("capacity=4K"),
    Test::new("library.deadline", deadline),
    Test::new("library.follow", follow),
    Test::new("library.full_log", full_log).with("capacity=4K policy=stop"),
    Test::new("library.logs", logs).with("logs=app,boot:64K:stop").module_may_warn(),
    Test::new("library.tokio", tokio).with("capacity=16K"),
    Test::new("library.flood", flood).with("capacity=16M"),
];

fn user(level: Level) -> Priority {
    Priority::new(Facility::USER, level)
}

/// Checks that texts with any bytes and of any length arrive unchanged, also those that are larger
/// than the buffer of a reader.
fn records() {
    let log = Log::default();
    let mut writer = log.writer().expect("a writer");
    let mut reader = log.reader().expect("a reader");
    let texts: Vec<Vec<u8>> = [0, 1, 7, 8, 9, 1000, 65535, 65536]
        .iter()
        .map(|len| (0..*len).map(|index| (index * 7) as u8).collect())
        .collect();
    for text in &texts {
        writer.write(Priority::new(Facility::new(255), Level::Debug), text).expect("written");
    }
    let error = writer.write(Priority::default(), &[0; 65537]).expect_err("too long");
    assert!(matches!(error, Error::TooLong { len: 65537, max: 65536 }), "{error}");
    let mut batch = Batch::new();
    for number in 0..1000 {
        batch.push(user(Level::Err), format!("number {number}").as_bytes());
    }
    writer.write_batch(&mut batch).expect("written");
    assert!(batch.is_empty());
    let got: Vec<_> =
        reader.stored().expect("records").collect::<umsg::Result<_>>().expect("records");
    assert_eq!(got.len(), texts.len() + 1000);
    for (record, text) in got.iter().zip(&texts) {
        assert!(record.text == *text, "the text of {} bytes", text.len());
        assert_eq!(record.priority.number(), 2047);
    }
    let pid = std::process::id();
    for (number, record) in got[texts.len()..].iter().enumerate() {
        assert_eq!(record.text, format!("number {number}").as_bytes());
        assert_eq!((record.pid, record.uid, record.opener), (Some(pid), 0, 0));
        assert_eq!((record.comm().as_ref(), record.lost), (comm().as_str(), 0));
    }
    assert_eq!(reader.try_next().expect("a read"), None);
}

/// Checks each position, losses as values, and that a seek drops the records in the buffer.
fn positions() {
    let log = Log::default();
    let mut writer = log.writer().expect("a writer");
    let mut reader = log.reader().expect("a reader");
    for number in 0..100 {
        writer.write(Priority::default(), format!("{number:03}").as_bytes()).expect("written");
    }
    let info = log.info().expect("info");
    assert_eq!((info.next_seq, info.records_written), (100, 100));
    let first = reader.try_next().expect("a read").expect("a record");
    assert_eq!((first.seq, first.lost), (info.oldest_seq, info.oldest_seq));
    reader.seek(Position::Seq(90)).expect("a seek");
    let record = reader.try_next().expect("a read").expect("a record");
    assert_eq!((record.seq, record.lost, record.text.as_slice()), (90, 0, &b"090"[..]));
    reader.seek(Position::Time(record.time)).expect("a seek");
    let same = reader.peek().expect("a read").expect("a record");
    assert_eq!(same.time, record.time);
    log.clear().expect("clear");
    writer.write(Priority::default(), b"after the clear").expect("written");
    reader.seek(Position::Cleared).expect("a seek");
    assert_eq!(reader.try_next().expect("a read").expect("a record").text, b"after the clear");
    reader.seek(Position::Next).expect("a seek");
    assert_eq!(reader.peek().expect("a read"), None);
    reader.seek(Position::Oldest).expect("a seek");
    assert_eq!(reader.peek().expect("a read").expect("a record").lost, 0);
    let error = reader.seek(Position::Seq(102)).expect_err("a later record");
    assert_eq!(error.raw_os_error(), Some(nix::libc::EINVAL));
}

fn deadline() {
    let log = Log::default();
    let mut writer = log.writer().expect("a writer");
    writer.write(Priority::default(), b"one").expect("written");
    let mut reader = log.reader().expect("a reader");
    let start = Instant::now();
    let limit = start + Duration::from_millis(200);
    let texts: Vec<_> = reader.until(limit).map(|record| record.expect("a record").text).collect();
    assert_eq!(texts, [b"one"]);
    assert!(Instant::now() >= limit);
    assert!(!reader.wait(Some(start)).expect("a time that is over"));
}

/// Checks that a reader that waits gets each record of another thread, and that the snapshot of the
/// stored records ends although records are written all the time.
fn follow() {
    let log = Log::default();
    let mut reader = log.reader().expect("a reader");
    let writer = std::thread::spawn(|| {
        let mut writer = Log::default().writer().expect("a writer");
        for number in 0..2000 {
            writer.write(Priority::default(), format!("{number}").as_bytes()).expect("written");
        }
    });
    for (number, record) in reader.follow().take(2000).enumerate() {
        assert_eq!(record.expect("a record").text, number.to_string().as_bytes());
    }
    writer.join().expect("the writer");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Log::default().writer().expect("a writer");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                writer.write(Priority::default(), b"more").expect("written");
            }
        });
        for _ in 0..20 {
            assert!(reader.stored().expect("records").all(|record| record.is_ok()));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Checks that a batch keeps the records that a full log does not take.
fn full_log() {
    let log = Log::default();
    let mut writer = log.writer().expect("a writer");
    let mut batch = Batch::new();
    for number in 0..100 {
        batch.push(Priority::default(), format!("{number:03}").as_bytes());
    }
    let error = writer.write_batch(&mut batch).expect_err("a full log");
    assert!(matches!(error, Error::Full { .. }), "{error}");
    let stored = log.info().expect("info").records_written as usize;
    assert!((1..100).contains(&stored), "{stored} records were stored");
    assert_eq!(batch.len(), 100 - stored);
    log.clear().expect("clear");
    let mut reader = log.reader().expect("a reader");
    reader.seek(Position::Next).expect("a seek");
    // The rest can need several clears.
    let mut seen = stored;
    while !batch.is_empty() {
        let full = writer.write_batch(&mut batch).is_err();
        for record in reader.stored().expect("records") {
            assert_eq!(record.expect("a record").text, format!("{seen:03}").as_bytes());
            seen += 1;
        }
        if full {
            log.clear().expect("clear");
        }
    }
    assert_eq!(seen, 100);
}

fn logs() {
    let names = || -> Vec<String> {
        Log::list().expect("logs").iter().map(|log| log.name().into_owned()).collect()
    };
    assert_eq!(names(), ["umsg", "app", "boot"]);
    Log::add("box:64K:kmsg").expect("added");
    Log::add("other").expect("added");
    assert_eq!(names(), ["umsg", "app", "boot", "box", "other"]);
    assert_eq!(Log::named("box").info().expect("info").capacity, 65536);
    assert!(matches!(Log::add("box"), Err(Error::Rejected { .. })));
    assert!(matches!(Log::remove("none"), Err(Error::Rejected { .. })));
    Log::remove("box").expect("removed");
    Log::remove("other").expect("removed");
    assert_eq!(names(), ["umsg", "app", "boot"]);
    let error = Log::named("box").reader().expect_err("a removed log");
    assert_eq!(error.to_string(), "there is no log box; the logs are: umsg, app, boot");
    let error = Log::named("/dev/null").reader().expect_err("another device");
    assert!(matches!(error, Error::NotALog { .. }), "{error}");
}

/// Two tasks of one thread: one follows, the other one writes, faster than the ring holds.
fn tokio() {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let reader = Log::default().reader().expect("a reader");
        let mut reader = AsyncReader::new(reader).expect("an asynchronous reader");
        let writer = ::tokio::spawn(async {
            let mut writer = Log::default().writer().expect("a writer");
            for number in 0..5000_u32 {
                writer.write(Priority::default(), &number.to_ne_bytes()).expect("written");
                if number % 100 == 0 {
                    ::tokio::task::yield_now().await;
                }
            }
            writer.write(Priority::default(), b"the end").expect("written");
        });
        let mut seen = 0;
        loop {
            let record = reader.next().await.expect("a record");
            seen += record.lost;
            assert_eq!(record.seq, seen);
            seen += 1;
            if record.text == b"the end" {
                break;
            }
        }
        assert_eq!(seen, 5001);
        writer.await.expect("the writer");
        let waited = ::tokio::time::timeout(Duration::from_millis(50), reader.next()).await;
        assert!(waited.is_err(), "a record after the end");
    });
}

/// Checks that a deadline ends the reading of a flood, and that a task that reads it lets others
/// run, such as the timer of a time limit.
fn flood() {
    in_a_flood(500, || {
        let mut reader = Log::default().reader().expect("a reader");
        let deadline = Instant::now() + Duration::from_millis(200);
        assert!(reader.until(deadline).all(|record| record.is_ok()));
        let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut reader = AsyncReader::new(reader).expect("an asynchronous reader");
            let read_all = async {
                loop {
                    reader.next().await.expect("a record");
                }
            };
            let result: Result<(), _> =
                ::tokio::time::timeout(Duration::from_millis(200), read_all).await;
            assert!(result.is_err());
        });
    });
}
