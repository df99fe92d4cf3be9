// SPDX-License-Identifier: GPL-2.0

//! What the threads do in each run.

use crate::model::{Log, Reader, Waiter};
use crate::Bug;
use loom::sync::Arc;
use loom::thread;

/// A reader sleeps, a writer appends.
pub fn read_and_append(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 0);
    let thread = thread::spawn(move || assert_eq!(reader.read(), 0));
    log.append();
    thread.join().unwrap();
}

/// A reader wants two records, and there is a writer for each.
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

/// A reader that waits for the second record is woken by the first.
pub fn read_the_second(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 1);
    let thread = thread::spawn(move || assert_eq!(reader.read(), 1));
    log.append();
    log.append();
    thread.join().unwrap();
}

/// The same, when the relay of the reader is still on the log's queue from before.
pub fn read_the_second_again(bug: Bug) {
    let log = Arc::new(Log::new(0, bug));
    let reader = Reader::new(&log, 1);
    reader.join(|| ());
    let thread = thread::spawn(move || assert_eq!(reader.read(), 1));
    log.append();
    log.append();
    thread.join().unwrap();
}

/// Two readers with a cursor each: one append is to wake both.
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

/// Two threads share one cursor: each gets one of the two records.
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

/// A reader waits behind the newest record; another thread seeks to the oldest.
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

/// One polls, a writer appends; what poll says is there can be read.
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

/// One polls once and stays on the queue, as a file in an epoll set that is in another one: it is
/// woken by the first append, if it came too early to see it, and by the second one.
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

/// One polls behind the newest record; another thread seeks to the oldest.
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

/// One sleeps in a read while another polls: an append must wake both.
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
