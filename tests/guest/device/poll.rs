// SPDX-License-Identifier: GPL-2.0

//! Waiting: blocking reads, poll, select, epoll (level and edge), and who is woken when.

use crate::abi::{Umsg, KMSG, LINES};
use crate::sharing::{child, wait_until_asleep, Child};
use crate::Test;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;

pub const TESTS: &[Test] = &[
    Test::new("poll.events", events).with("capacity=4096"),
    Test::new("poll.select", select),
    Test::new("poll.wakes_by_event", wakes_by_event).with("capacity=4096"),
    Test::new("poll.blocking_read", blocking_read),
    Test::new("poll.many_sleepers", many_sleepers),
    Test::new("poll.wakes_poller", wakes_poller),
    Test::new("poll.epoll_level", epoll_level),
    Test::new("poll.epoll_edge", epoll_edge),
    Test::new("poll.epoll_nested", epoll_nested).with("logs=second"),
    Test::new("poll.no_lost_wakeup", no_lost_wakeup),
    Test::new("poll.seek_wakes", seek_wakes),
    Test::new("poll.seek_disturbs_nobody", seek_disturbs_nobody),
    Test::new("poll.seek_against_registration", seek_against_registration),
    Test::new("poll.rwf_nowait", rwf_nowait),
    Test::new("poll.io_uring", io_uring),
];

const OUT: PollFlags = PollFlags::POLLOUT.union(PollFlags::POLLWRNORM);
const IN: PollFlags = PollFlags::POLLIN.union(PollFlags::POLLRDNORM);

/// What poll says now.
fn now(file: &Umsg) -> PollFlags {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::all())];
    nix::poll::poll(&mut fds, PollTimeout::ZERO).expect("poll");
    fds[0].revents().expect("known events")
}

/// A file reports what it was opened for: records and losses to read, and that it can be written.
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
    // Loss is a priority event, until the reader was told.
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

/// One record wakes all who wait for it.
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

fn epoll(file: &Umsg, flags: EpollFlags) -> Epoll {
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

/// Writers that write one record and wait until every kind of waiter has seen it, so that a single
/// lost wake-up stops everything.
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
                let epoll = epoll(&file, EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
                let mut seq = 0;
                while seq < ROUNDS {
                    epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE).expect("epoll_wait");
                    // Until EAGAIN, as the edge demands.
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

/// A seek moves a reader that sleeps in the same file.
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

/// One operation that is asked not to wait does not, on a file that does.
fn rwf_nowait() {
    let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
    let mut buffer = [0u8; 512];
    let mut read = || {
        let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: `part` is ours.
        Errno::result(unsafe { libc::preadv2(file.raw(), &part, 1, -1, libc::RWF_NOWAIT) })
    };
    assert_eq!(read(), Err(Errno::EAGAIN));
    file.log("x");
    assert!(read().is_ok());
    assert_eq!(read(), Err(Errno::EAGAIN));
}

/// Reads and polls through io_uring wait until a write through the same ring; one that must not
/// wait does not; one that waits can be cancelled.
fn io_uring() {
    use io_uring::{opcode, squeue, types, IoUring};
    use std::collections::BTreeMap;
    const READ: u64 = 1;
    const POLL: u64 = 2;
    const WRITE: u64 = 3;
    const CANCEL: u64 = 4;

    fn push(ring: &mut IoUring, entry: squeue::Entry, name: u64) {
        // SAFETY: All that the test gives to the ring lives longer than it.
        unsafe { ring.submission().push(&entry.user_data(name)) }.expect("room in the queue");
    }
    /// Submits what was pushed, and returns the results of the next `count` that end.
    fn results(ring: &mut IoUring, count: usize) -> BTreeMap<u64, i32> {
        ring.submit_and_wait(count).expect("io_uring_enter");
        ring.completion().map(|entry| (entry.user_data(), entry.result())).collect()
    }

    let (file, poller) = (Umsg::open(libc::O_RDWR).expect("open").style(KMSG), Umsg::reader());
    let (fd, poll_fd) = (types::Fd(file.raw()), types::Fd(poller.raw()));
    let mut buffer = [0u8; 512];
    let mut ring = match IoUring::new(8) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            crate::skip("the kernel has no io_uring")
        }
        ring => ring.expect("io_uring_setup"),
    };
    let (into, room) = (buffer.as_mut_ptr(), buffer.len() as u32);
    let read = || opcode::Read::new(fd, into, room).offset(u64::MAX);
    for round in 0..50 {
        let text = format!("round {round}");
        poller.seek(0, libc::SEEK_END).expect("seek");
        push(&mut ring, read().build(), READ);
        push(&mut ring, opcode::PollAdd::new(poll_fd, libc::POLLIN as u32).build(), POLL);
        ring.submit().expect("io_uring_enter");
        assert_eq!(ring.completion().len(), 0, "there is nothing to read yet");

        let write = opcode::Write::new(fd, text.as_ptr(), text.len() as u32).offset(u64::MAX);
        push(&mut ring, write.build(), WRITE);
        let ended = results(&mut ring, 3);
        assert_eq!(ended[&WRITE], text.len() as i32);
        assert_eq!(ended[&POLL], libc::POLLIN.into());
        // SAFETY: The read that writes there has ended, with so many bytes of it.
        let got = unsafe { std::slice::from_raw_parts(into, ended[&READ] as usize) };
        let got = String::from_utf8_lossy(got);
        assert!(got.contains(&format!(",{round},")) && got.contains(&text), "{got}");
    }

    // A file that can only be written is ready for that, and waits for all else.
    let writer = Umsg::writer();
    let poll = |events| opcode::PollAdd::new(types::Fd(writer.raw()), events as u32).build();
    push(&mut ring, poll(libc::POLLIN | libc::POLLOUT), POLL);
    assert_eq!(results(&mut ring, 1), BTreeMap::from([(POLL, libc::POLLOUT.into())]));
    push(&mut ring, poll(libc::POLLIN), POLL);
    push(&mut ring, opcode::AsyncCancel::new(POLL).build(), CANCEL);
    assert_eq!(results(&mut ring, 2), BTreeMap::from([(POLL, -libc::ECANCELED), (CANCEL, 0)]));

    push(&mut ring, read().rw_flags(libc::RWF_NOWAIT).build(), READ);
    assert_eq!(results(&mut ring, 1), BTreeMap::from([(READ, -libc::EAGAIN)]));

    push(&mut ring, read().build(), READ);
    push(&mut ring, opcode::AsyncCancel::new(READ).build(), CANCEL);
    assert_eq!(results(&mut ring, 2), BTreeMap::from([(READ, -libc::ECANCELED), (CANCEL, 0)]));
    file.log("for the next one");
    push(&mut ring, read().build(), READ);
    assert!(results(&mut ring, 1)[&READ] > 0, "what was cancelled has taken a record");
}

/// Seeks wake no reader and no caller of poll with an open file of its own, not even if the file
/// that is sought has waiters.
fn seek_disturbs_nobody() {
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
