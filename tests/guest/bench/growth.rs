// SPDX-License-Identifier: GPL-2.0

//! The growth of costs with the number of records in a log, of waiting readers and of logs. Runs as
//! root in a guest with `umsg.ko` in the working directory, not loaded.

use crate::calls::{entry, read, to_the_end, umsg_at, write};
use crate::measure::Unit;
use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;
use umsg::abi::{self, BINARY_READ, BINARY_WRITE};

/// The text of a record.
const TEXT: [u8; 64] = [b'x'; 64];
/// The size of a record with this text in the ring.
const STORED: usize = 56 + TEXT.len();
/// The size of a binary record with this text.
const FRAME: usize = abi::RECORD_SIZE + TEXT.len();

/// Passes each result to `report`: table, row, column, cost.
pub fn run(unit: Unit, mut report: impl FnMut(&str, &str, usize, f64)) {
    let files = libc::rlimit { rlim_cur: 200_000, rlim_max: 200_000 };
    // SAFETY: The structure is valid.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &files) }, 0);
    records(unit, &mut |row, column, cost| report("records in the log", row, column, cost));
    waiting(unit, &mut |row, column, cost| report("append, by waiters", row, column, cost));
    epoll_sets(unit, &mut |row, column, cost| report("append, by epoll sets", row, column, cost));
    logs(unit, &mut |row, column, cost| report("logs", row, column, cost));
}

fn load(parameters: &str) {
    let file = File::open("umsg.ko").expect("umsg.ko");
    let parameters = CString::new(format!("quiet {parameters}")).expect("no zero byte");
    finit_module(&file, &parameters, ModuleInitFlags::empty()).expect("finit_module");
}

fn unload() {
    delete_module(c"umsg", DeleteModuleFlags::O_NONBLOCK).expect("delete_module");
}

/// Opens /dev/umsg-NAME.
fn named(name: &str, flags: i32, options: u32) -> File {
    umsg_at(&format!("/dev/umsg-{name}"), flags, options)
}

/// Measures the costs in full logs of different sizes.
fn records(unit: Unit, report: &mut impl FnMut(&str, usize, f64)) {
    const COUNTS: [usize; 3] = [100, 10_000, 1_000_000];
    let capacity = |count: usize| (count * STORED).next_multiple_of(4096);
    let logs = COUNTS.map(|count| format!("n{count}:{}", capacity(count)));
    load(&format!("logs={}", logs.join(",")));
    for count in COUNTS {
        let name = &format!("n{count}");
        let full = (capacity(count) / STORED) as u64;
        let binary = named(name, libc::O_WRONLY, BINARY_WRITE);
        let many = entry(&TEXT).repeat(100);
        (0..2 * full.div_ceil(100)).for_each(|_| write(binary.as_raw_fd(), &many));

        let writer = named(name, libc::O_WRONLY, 0);
        let append = || write(writer.as_raw_fd(), &TEXT);
        report("append", count, unit.one(|| (), append));

        let mut buffer = vec![0; 65536];
        let reader = named(name, libc::O_RDONLY | libc::O_NONBLOCK, 0);
        let fd = reader.as_raw_fd();
        // The smallest log has more than 50 records.
        let rewind = || {
            // SAFETY: The call has no pointer arguments.
            assert_eq!(unsafe { libc::lseek(fd, 0, libc::SEEK_SET) }, 0);
        };
        let fifty = || (0..50).for_each(|_| read(fd, &mut buffer));
        report("text read", count, unit.each(50, rewind, fifty));
        let all = named(name, libc::O_RDONLY | libc::O_NONBLOCK, BINARY_READ);
        let to_oldest = || {
            // SAFETY: The call has no pointer arguments.
            assert_eq!(unsafe { libc::lseek(all.as_raw_fd(), 0, libc::SEEK_SET) }, 0);
        };
        let cost = unit.each(50, to_oldest, || read(all.as_raw_fd(), &mut buffer[..50 * FRAME]));
        report("binary read, 50 at once", count, cost);

        // Get the range of sequence numbers and of times.
        let oldest = read_frame(&all, to_oldest);
        let newest = read_frame(&all, || {
            to_the_end(all.as_raw_fd());
            append();
        });
        for (what, seek) in
            [("seek by number", abi::seek_seq as Seek<'_>), ("seek by time", abi::seek_time)]
        {
            let (from, to) = match what {
                "seek by number" => (oldest.seq, newest.seq),
                _ => (oldest.time_ns, newest.time_ns),
            };
            // The positions are spread over the whole log and are equal in each run.
            let mut at = 0;
            let mut next = || {
                at = (at + 617) % 1000;
                from + (to - from) * at / 1000
            };
            let seek = || seek(&reader, next()).expect(what);
            report(what, count, unit.one(|| (), seek));
        }
    }
    unload();
}

type Seek<'a> = fn(&'a File, u64) -> nix::Result<()>;

struct Frame {
    seq: u64,
    time_ns: u64,
}

/// Calls `prepare` and returns the next record of a binary reader.
fn read_frame(file: &File, prepare: impl FnOnce()) -> Frame {
    let mut frame = [0; FRAME];
    prepare();
    read(file.as_raw_fd(), &mut frame);
    let long = |at: usize| u64::from_ne_bytes(frame[at..at + 8].try_into().expect("eight bytes"));
    Frame { seq: long(8), time_ns: long(16) }
}

/// Measures an append while threads wait for records of this log or of another one.
fn waiting(unit: Unit, report: &mut impl FnMut(&str, usize, f64)) {
    for count in [0, 1, 10, 100, 1000] {
        for (log, of) in [("a", ""), ("b", ", of another log")] {
            for (how, wait) in [
                ("in read", in_read as fn(File)),
                ("in poll", in_poll),
                ("in epoll_wait", in_epoll),
            ] {
                load("logs=a:4M,b:4M");
                let cost = with_threads(unit, count, log, wait);
                report(&format!("asleep {how}{of}"), count, cost);
                unload();
            }
            let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
            for (what, flags) in [
                ("files in one epoll set", libc::O_RDONLY),
                ("files open for writing, in one set", libc::O_WRONLY),
            ] {
                load("logs=a:4M,b:4M");
                let files: Vec<_> = (0..count).map(|_| at_the_end(log, flags)).collect();
                let set = Epoll::new(EpollCreateFlags::empty()).expect("epoll_create");
                for (file, number) in files.iter().zip(0..) {
                    set.add(file, EpollEvent::new(events, number)).expect("epoll_ctl");
                }
                let mut got = vec![EpollEvent::empty(); count.max(1)];
                let settle = || {
                    set.wait(&mut got, EpollTimeout::ZERO).expect("epoll_wait");
                };
                report(&format!("{what}{of}"), count, append_after(unit, settle));
                drop((set, files));
                unload();
            }
        }
    }
}

/// Measures an append while one open file is in many epoll sets, which an unprivileged program can
/// create. From the second append on, all sets are ready.
fn epoll_sets(unit: Unit, report: &mut impl FnMut(&str, usize, f64)) {
    for count in [1000, 10_000, 100_000] {
        load("logs=a:4M,b:4M");
        let file = at_the_end("a", libc::O_RDONLY);
        let sets: Vec<_> = (0..count)
            .map(|_| {
                let set = Epoll::new(EpollCreateFlags::empty()).expect("epoll_create");
                set.add(&file, EpollEvent::new(EpollFlags::EPOLLIN, 0)).expect("epoll_ctl");
                set
            })
            .collect();
        report("one file in several sets", count, append_after(unit, || ()));
        drop((sets, file));
        unload();
    }
}

fn at_the_end(log: &str, flags: i32) -> File {
    let file = named(log, flags, BINARY_READ);
    if flags == libc::O_RDONLY {
        to_the_end(file.as_raw_fd());
    }
    file
}

/// Measures an append to the log a, with `count` threads that `wait` for records of `log`.
fn with_threads(unit: Unit, count: usize, log: &str, wait: fn(File)) -> f64 {
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let file = at_the_end(log, libc::O_RDONLY);
            std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || wait(file))
                .expect("a thread")
        })
        .collect();
    let cost = append_after(unit, || {
        // Give all threads time to sleep again.
        std::thread::sleep(Duration::from_millis(5 + count as u64));
    });
    // The last record ends the threads.
    write(named(log, libc::O_WRONLY, 0).as_raw_fd(), b"end");
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
    cost
}

/// Measures an append to the log a. `settle` runs before each append. SCHED_FIFO prevents that a
/// thread that the append wakes runs before the append returns.
fn append_after(unit: Unit, settle: impl FnMut()) -> f64 {
    let policy = |policy, priority| {
        let parameter = libc::sched_param { sched_priority: priority };
        // SAFETY: The parameter is valid.
        assert_eq!(unsafe { libc::sched_setscheduler(0, policy, &parameter) }, 0);
    };
    let writer = named("a", libc::O_WRONLY, 0);
    policy(libc::SCHED_FIFO, 1);
    let cost = unit.each(1, settle, || write(writer.as_raw_fd(), &TEXT));
    policy(libc::SCHED_OTHER, 0);
    cost
}

/// Reads the next records. Returns whether one of them is the record that ends the threads.
fn saw_the_end(fd: RawFd) -> bool {
    let mut buffer = [0; 16 * FRAME];
    read(fd, &mut buffer);
    buffer.windows(4).any(|bytes| bytes == b"end\0")
}

fn in_read(file: File) {
    while !saw_the_end(file.as_raw_fd()) {}
}

fn in_poll(file: File) {
    let wait = |fd: BorrowedFd<'_>| {
        let mut set = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut set, nix::poll::PollTimeout::NONE).expect("poll");
    };
    wait(file.as_fd());
    while !saw_the_end(file.as_raw_fd()) {
        wait(file.as_fd());
    }
}

fn in_epoll(file: File) {
    let set = Epoll::new(EpollCreateFlags::empty()).expect("epoll_create");
    set.add(&file, EpollEvent::new(EpollFlags::EPOLLIN, 0)).expect("epoll_ctl");
    let wait = || {
        let mut got = [EpollEvent::empty()];
        set.wait(&mut got, EpollTimeout::NONE).expect("epoll_wait");
    };
    wait();
    while !saw_the_end(file.as_raw_fd()) {
        wait();
    }
}

/// Measures loading, appending and unloading by the number of logs.
fn logs(unit: Unit, report: &mut impl FnMut(&str, usize, f64)) {
    for count in [1, 16, 128] {
        let names: Vec<_> = (0..count).map(|number| format!("l{number}:4K")).collect();
        let parameters = format!("capacity=4K logs={}", names.join(","));
        let make_way = || {
            if loaded() {
                unload();
            }
        };
        report("load", count, unit.each(1, make_way, || load(&parameters)));
        let writer = named("l0", libc::O_WRONLY, 0);
        report("append", count, unit.one(|| (), || write(writer.as_raw_fd(), &TEXT)));
        drop(writer);
        unload();
        report("unload", count, unit.each(1, || load(&parameters), unload));
    }
}

fn loaded() -> bool {
    std::path::Path::new("/sys/module/umsg").exists()
}
