// SPDX-License-Identifier: GPL-2.0

//! epoll: level and edge triggered, nested, and with a mask of events.

use super::now;
use crate::client::{Umsg, KMSG};
use crate::sharing::child;
use crate::Test;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;

pub const TESTS: &[Test] = &[
    Test::new("poll.wakes_by_event", wakes_by_event).with("capacity=4096"),
    Test::new("poll.epoll_level", epoll_level),
    Test::new("poll.epoll_edge", epoll_edge),
    Test::new("poll.epoll_nested", epoll_nested).with("logs=second"),
    Test::new("poll.seek_against_registration", seek_against_registration),
];

pub fn epoll(file: &Umsg, flags: EpollFlags) -> Epoll {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
    epoll.add(file, EpollEvent::new(flags, 0)).expect("add");
    epoll
}

/// How many events there are now.
fn ready(epoll: &Epoll) -> usize {
    epoll.wait(&mut [EpollEvent::empty(); 4], EpollTimeout::ZERO).expect("epoll_wait")
}

fn epoll_level() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let epoll = epoll(&reader, EpollFlags::EPOLLIN);
    assert_eq!(ready(&epoll), 0);
    writer.log("x");
    assert_eq!(ready(&epoll), 1);
    assert_eq!(ready(&epoll), 1);
    reader.next().expect("a record");
    assert_eq!(ready(&epoll), 0);
}

fn epoll_edge() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let epoll = epoll(&reader, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
    assert_eq!(ready(&epoll), 0);
    for _ in 0..10 {
        // Every append is an edge, read or not.
        writer.log("x");
        assert_eq!(ready(&epoll), 1);
        assert_eq!(ready(&epoll), 0);
    }
    assert_eq!(reader.rest().len(), 10);
    writer.log("x");
    assert_eq!(ready(&epoll), 1);
    // A file that is ready when it is added is reported once.
    let second = self::epoll(&reader, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
    assert_eq!((ready(&second), ready(&second)), (1, 0));
}

/// An epoll set in another one: of two files that are ready the outer one asks the first alone, and
/// still every append to the second is an edge.
fn epoll_nested() {
    let second = |flags| Umsg::open_at("/dev/umsg-second", flags).expect("open").style(KMSG);
    let writers = [Umsg::writer(), second(libc::O_WRONLY)];
    let readers = [Umsg::reader(), second(libc::O_RDONLY | libc::O_NONBLOCK)];
    let inner = epoll(&readers[0], EpollFlags::EPOLLIN);
    inner.add(&readers[1], EpollEvent::new(EpollFlags::EPOLLIN, 1)).expect("add");
    let outer = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
    let edge = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
    outer.add(&inner.0, edge).expect("add");
    assert_eq!(ready(&outer), 0);
    for round in 0..10 {
        writers.iter().for_each(|writer| writer.log("for both"));
        assert_eq!(ready(&outer), 1, "round {round}");
        // Read without asking the inner set, as whoever knows its files may do.
        assert!(readers.iter().all(|reader| reader.rest().len() == 1));
        writers[1].log("again");
        assert_eq!(ready(&outer), 1, "round {round}");
        assert_eq!(readers[1].rest().len(), 1);
    }
}

/// A wake-up says what happened: a record is no edge for a file that waits until it can write, nor
/// for one that cannot read, and a loss wakes a caller that waits for nothing else.
fn wakes_by_event() {
    let writer = Umsg::writer();
    let both = Umsg::open(libc::O_RDWR).expect("open");
    let any = EpollFlags::EPOLLIN | EpollFlags::EPOLLPRI | EpollFlags::EPOLLOUT;
    let sets = [
        epoll(&both, EpollFlags::EPOLLOUT | EpollFlags::EPOLLET),
        epoll(&writer, any | EpollFlags::EPOLLET),
    ];
    assert_eq!(sets.each_ref().map(ready), [1, 1]);
    let sleeper = child(|| {
        let file = Umsg::reader();
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
        assert_eq!(nix::poll::poll(&mut fds, PollTimeout::NONE), Ok(1));
        assert!(file.next().expect("a record").lost > 0);
    });
    sleeper.wait_until_asleep();
    for round in 0..100 {
        writer.log("x");
        assert_eq!(sets.each_ref().map(ready), [0, 0], "round {round}");
    }
    sleeper.join();
    // In the style kmsg, a loss is an error, which no mask leaves out.
    both.set_style(KMSG).expect("style");
    writer.log("x");
    assert_eq!(sets.each_ref().map(ready), [1, 0]);
    assert!(now(&both).contains(PollFlags::POLLERR | PollFlags::POLLPRI));
}

/// A seek that meets a poller on its way to the wait queue is seen or wakes it, never neither.
fn seek_against_registration() {
    const ROUNDS: usize = 3000;
    let file = Umsg::both();
    file.log("x");
    let (start, done) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                start.wait();
                // At any moment of what the other thread does meanwhile.
                (0..round * 7919 % 4000).for_each(|step| {
                    std::hint::black_box(step);
                });
                file.seek(0, libc::SEEK_SET).expect("seek");
                done.wait();
            }
        });
        let mut missed = 0;
        for _ in 0..ROUNDS {
            file.seek(0, libc::SEEK_END).expect("seek");
            start.wait();
            let epoll = epoll(&file, EpollFlags::EPOLLIN);
            // With the wake-up lost, this sleeps although there is a record: not for ever, so that
            // all rounds run.
            let events = epoll.wait(&mut [EpollEvent::empty()], 1000u16).expect("epoll_wait");
            missed += usize::from(events == 0);
            done.wait();
        }
        assert_eq!(missed, 0);
    });
}
