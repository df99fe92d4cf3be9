// SPDX-License-Identifier: GPL-2.0

//! The threads of each run.

use crate::model::{Log, Reader, Waiter};
use crate::Bug;
use loom::sync::Arc;
use loom::thread;

/// A reader waits for the record of one writer.
pub fn read_and_append(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let thread = thread::spawn(move || assert_eq!(reader.read(), 0));
    log.append();
    thread.join().unwrap();
}

/// A reader waits for two records from two writers.
pub fn read_two(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let writer = {
        let log = log.clone();
        thread::spawn(move || log.append())
    };
    let thread = thread::spawn(move || assert_eq!((reader.read(), reader.read()), (0, 1)));
    log.append();
    writer.join().unwrap();
    thread.join().unwrap();
}

/// A reader waits for the second record, and the first one wakes it early.
pub fn read_the_second(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 1);
    let thread = thread::spawn(move || assert_eq!(reader.read(), 1));
    log.append();
    log.append();
    thread.join().unwrap();
}

/// Like `read_the_second`, but the relay of the reader is already on the log's queue.
pub fn read_the_second_again(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 1);
    reader.join(|| ());
    let thread = thread::spawn(move || assert_eq!(reader.read(), 1));
    log.append();
    log.append();
    thread.join().unwrap();
}

/// One append must wake two readers that have a cursor each.
pub fn two_readers(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let threads = [0, 1].map(|_| {
        let reader = Reader::new(&log, 0);
        thread::spawn(move || assert_eq!(reader.read(), 0))
    });
    log.append();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Two threads with one cursor: each must get one of the two records.
pub fn shared_cursor(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let other = {
        let reader = reader.clone();
        thread::spawn(move || reader.read())
    };
    let writer = thread::spawn(move || {
        log.append();
        log.append();
    });
    let mine = reader.read();
    let mut got = [mine, other.join().unwrap()];
    got.sort_unstable();
    assert_eq!(got, [0, 1]);
    writer.join().unwrap();
}

/// A reader waits after the newest record, and another thread seeks to the oldest.
pub fn read_and_seek(bug: Bug) {
    let log = Arc::new(Log::new(1, bug));
    let reader = Reader::new(&log, 1);
    let thread = {
        let reader = reader.clone();
        thread::spawn(move || assert_eq!(reader.read(), 0))
    };
    reader.seek(0);
    thread.join().unwrap();
}

/// A reader polls until it is readable, and then must get the record.
pub fn poll_and_append(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let thread = thread::spawn(move || {
        reader.poll_until_readable();
        assert_eq!(reader.read(), 0);
    });
    log.append();
    thread.join().unwrap();
}

/// A reader polls once and stays on the queue, like a file in a nested epoll instance. The first
/// append must wake it unless poll has seen the record, and so must the second append.
pub fn poll_once(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let waiter = Waiter::new();
    let thread = {
        let (reader, waiter) = (reader.clone(), waiter.clone());
        thread::spawn(move || {
            if !reader.poll(&waiter) {
                waiter.sleep();
            }
            waiter.prepare();
        })
    };
    log.append();
    thread.join().unwrap();
    log.append();
    waiter.sleep();
}

/// A reader polls after the newest record, and another thread seeks to the oldest.
pub fn poll_and_seek(bug: Bug) {
    let log = Arc::new(Log::new(1, bug));
    let reader = Reader::new(&log, 1);
    let thread = {
        let reader = reader.clone();
        thread::spawn(move || reader.poll_until_readable())
    };
    reader.seek(0);
    thread.join().unwrap();
}

/// One append must wake a reader that sleeps in a read and a reader that polls.
pub fn read_and_poll(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let sleeper = Reader::new(&log, 0);
    let poller = Reader::new(&log, 0);
    let threads = [
        thread::spawn(move || assert_eq!(sleeper.read(), 0)),
        thread::spawn(move || poller.poll_until_readable()),
    ];
    log.append();
    for thread in threads {
        thread.join().unwrap();
    }
}
