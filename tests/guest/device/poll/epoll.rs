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

/// Returns the number of current events.
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
        // Every append is an edge, although no record is read.
        writer.log("x");
        assert_eq!(ready(&epoll), 1);
        assert_eq!(ready(&epoll), 0);
    }
    assert_eq!(reader.rest().len(), 10);
    writer.log("x");
    assert_eq!(ready(&epoll), 1);
    // A file that is ready when it is added causes one event.
    let second = self::epoll(&reader, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
    assert_eq!((ready(&second), ready(&second)), (1, 0));
}

/// Checks that every append is an edge for an outer epoll instance. A poll of the inner instance
/// polls only the first of its two ready files.
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
        // Read without epoll_wait() on the inner instance.
        assert!(readers.iter().all(|reader| reader.rest().len() == 1));
        writers[1].log("again");
        assert_eq!(ready(&outer), 1, "round {round}");
        assert_eq!(readers[1].rest().len(), 1);
    }
}

/// Checks that wake-ups carry their events: a record is no edge for a caller that waits for
/// EPOLLOUT or for a file that is not open for reading, and a loss wakes a caller that waits for
/// POLLPRI only.
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
    // In the style kmsg, a loss is reported as EPOLLERR, which is part of every mask.
    both.set_style(KMSG).expect("style");
    writer.log("x");
    assert_eq!(sets.each_ref().map(ready), [1, 0]);
    assert!(now(&both).contains(PollFlags::POLLERR | PollFlags::POLLPRI));
}

/// Checks that epoll notices a seek that runs while epoll is added to the file's wait queue.
fn seek_against_registration() {
    const ROUNDS: usize = 3000;
    let file = Umsg::both();
    file.log("x");
    let (start, done) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                start.wait();
                // Vary the time of the seek relative to the other thread.
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
            // If the wake-up is lost, epoll_wait() sleeps although there is a record. The timeout
            // lets all rounds run.
            let events = epoll.wait(&mut [EpollEvent::empty()], 1000u16).expect("epoll_wait");
            missed += usize::from(events == 0);
            done.wait();
        }
        assert_eq!(missed, 0);
    });
}
