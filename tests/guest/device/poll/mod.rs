// SPDX-License-Identifier: GPL-2.0

//! Waiting readers and poll callers, and the events that wake them.

pub mod epoll;
pub mod io_uring;

use crate::client::{Umsg, KMSG, LINES};
use crate::sharing::{child, wait_until_asleep, Child};
use crate::Test;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;

pub const TESTS: &[Test] = &[
    Test::new("poll.events", events).with("capacity=4096"),
    Test::new("poll.select", select),
    Test::new("poll.blocking_read", blocking_read),
    Test::new("poll.many_sleepers", many_sleepers),
    Test::new("poll.wakes_poller", wakes_poller),
    Test::new("poll.no_lost_wakeup", no_lost_wakeup),
    Test::new("poll.seek_wakes", seek_wakes),
    Test::new("poll.seek_wakes_no_other_file", seek_wakes_no_other_file),
];

const OUT: PollFlags = PollFlags::POLLOUT.union(PollFlags::POLLWRNORM);
const IN: PollFlags = PollFlags::POLLIN.union(PollFlags::POLLRDNORM);

/// Returns the current events of a file.
fn now(file: &Umsg) -> PollFlags {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::all())];
    nix::poll::poll(&mut fds, PollTimeout::ZERO).expect("poll");
    fds[0].revents().expect("known events")
}

/// Checks the events of files that are open for reading, for writing and for both.
fn events() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let both = Umsg::both();
    let none = PollFlags::empty();
    both.set_style(LINES).expect("style");
    let check = |readable: PollFlags| {
        assert_eq!(now(&reader), readable);
        assert_eq!(now(&both), readable | OUT);
        assert_eq!(now(&writer), OUT);
    };
    check(none);
    writer.log("x");
    check(IN);
    for file in [&reader, &both] {
        file.next().expect("a record");
    }
    check(none);
    // A loss is a priority event until the reader has read the next record.
    for _ in 0..1000 {
        writer.log("x");
    }
    check(IN | PollFlags::POLLPRI);
    for file in [&reader, &both] {
        assert!(file.next().expect("a record").lost > 0);
    }
    check(IN);
    for file in [&reader, &both] {
        file.seek(0, libc::SEEK_END).expect("seek");
    }
    check(none);
}

fn select() {
    use nix::sys::select::{select, FdSet};
    use nix::sys::time::{TimeVal, TimeValLike};
    let writer = Umsg::writer();
    let (reader, both) = (Umsg::reader(), Umsg::open(libc::O_RDWR).expect("open").style(KMSG));
    let ask = |file: &Umsg| {
        let mut read = FdSet::new();
        read.insert(file.as_fd());
        let mut write = FdSet::new();
        write.insert(file.as_fd());
        select(None, &mut read, &mut write, None, &mut TimeVal::zero()).expect("select");
        (read.contains(file.as_fd()), write.contains(file.as_fd()))
    };
    assert_eq!([&writer, &reader, &both].map(ask), [(false, true), (false, false), (false, true)]);
    writer.log("x");
    assert_eq!([&writer, &reader, &both].map(ask), [(false, true), (true, false), (true, true)]);
}

fn blocking_read() {
    let writer = Umsg::writer();
    let sleeper = child(|| {
        let file = Umsg::open(libc::O_RDONLY).expect("open");
        for seq in 0..3 {
            assert_eq!(file.next().expect("a record").seq, seq);
        }
    });
    for _ in 0..3 {
        sleeper.wait_until_asleep();
        writer.log("x");
    }
    sleeper.join();
}

/// Checks that one record wakes all readers and poll callers.
fn many_sleepers() {
    let writer = Umsg::writer();
    let sleepers: Vec<_> = (0..16)
        .map(|index| {
            child(move || {
                let file = Umsg::open(libc::O_RDONLY).expect("open");
                if index % 2 == 0 {
                    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
                    assert_eq!(nix::poll::poll(&mut fds, PollTimeout::NONE), Ok(1));
                }
                assert_eq!(file.next().expect("a record").text, b"for all");
            })
        })
        .collect();
    sleepers.iter().for_each(crate::sharing::Child::wait_until_asleep);
    writer.log("for all");
    sleepers.into_iter().for_each(crate::sharing::Child::join);
}

fn wakes_poller() {
    let writer = Umsg::writer();
    let poller = child(|| {
        let file = Umsg::reader();
        for _ in 0..5 {
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
            assert_eq!(nix::poll::poll(&mut fds, PollTimeout::NONE), Ok(1));
            file.next().expect("a record");
        }
    });
    for _ in 0..5 {
        poller.wait_until_asleep();
        writer.log("x");
    }
    poller.join();
}

/// Checks that no wake-up is lost: the writer waits for every kind of waiter after each record, so
/// that a lost wake-up blocks the test.
fn no_lost_wakeup() {
    const ROUNDS: u64 = 3000;
    let (writer, acknowledged) = (Umsg::writer(), std::sync::atomic::AtomicU64::new(0));
    let order = std::sync::atomic::Ordering::SeqCst;
    let (acknowledged, writer) = (&acknowledged, &writer);
    std::thread::scope(|scope| {
        let follow = |wait: fn(&Umsg)| {
            let file = Umsg::open(libc::O_RDONLY).expect("open");
            move || {
                for seq in 0..ROUNDS {
                    wait(&file);
                    assert_eq!(file.next().expect("a record").seq, seq);
                    acknowledged.fetch_add(1, order);
                }
            }
        };
        let read = follow(|_| ());
        let polled = follow(|file| {
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
            assert_eq!(nix::poll::poll(&mut fds, PollTimeout::NONE), Ok(1));
        });
        let edge = {
            let file = Umsg::reader();
            move || {
                let epoll = epoll::epoll(&file, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
                let mut seq = 0;
                while seq < ROUNDS {
                    epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE).expect("epoll_wait");
                    // Read until EAGAIN, as an edge-triggered caller must.
                    while let Ok(record) = file.next() {
                        assert_eq!(record.seq, seq);
                        seq += 1;
                        acknowledged.fetch_add(1, order);
                    }
                }
            }
        };
        scope.spawn(read);
        scope.spawn(polled);
        scope.spawn(edge);
        for round in 1..=ROUNDS {
            writer.log("x");
            while acknowledged.load(order) < 3 * round {
                std::thread::yield_now();
            }
        }
    });
}

/// Checks that a seek wakes a reader that sleeps in a read of the same file.
fn seek_wakes() {
    let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
    file.log("first");
    file.seek(0, libc::SEEK_END).expect("seek");
    let tid = std::sync::atomic::AtomicI32::new(0);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            tid.store(nix::unistd::gettid().as_raw(), std::sync::atomic::Ordering::SeqCst);
            file.next().expect("a record").text
        });
        let tid = loop {
            match tid.load(std::sync::atomic::Ordering::SeqCst) {
                0 => std::thread::yield_now(),
                tid => break tid,
            }
        };
        wait_until_asleep(tid);
        file.seek(0, libc::SEEK_SET).expect("seek");
        assert_eq!(sleeper.join().expect("the sleeper"), b"first");
    });
}

/// Checks that a seek wakes no reader or poll caller of another open file, even if the seeking file
/// has waiters.
fn seek_wakes_no_other_file() {
    let switches = |child: &Child| -> u64 {
        let path = format!("/proc/{}/status", child.pid());
        let status = std::fs::read_to_string(&path).expect(&path);
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).expect("a number")
    };
    let reads = child(|| {
        let file = Umsg::open(libc::O_RDONLY).expect("open");
        assert_eq!(file.next().expect("a record").str(), "the end");
    });
    let polls = child(|| {
        let file = Umsg::reader();
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, PollTimeout::NONE), Ok(1));
    });
    let file = Umsg::open(libc::O_RDONLY).expect("open");
    let shares = child(|| assert_eq!(file.next().expect("a record").str(), "the end"));
    for child in [&reads, &polls, &shares] {
        child.wait_until_asleep();
    }
    let before = [switches(&reads), switches(&polls)];
    for _ in 0..10_000 {
        file.seek(0, libc::SEEK_END).expect("seek");
    }
    assert_eq!([switches(&reads), switches(&polls)], before);
    Umsg::writer().log("the end");
    for child in [reads, polls, shares] {
        child.join();
    }
}
