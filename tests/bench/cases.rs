// SPDX-License-Identifier: GPL-2.0

//! What is measured: umsg and its peers. A pair is one message written and read again.

use crate::measure::{Unit, LOOP};
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of a message.
const SIZES: [usize; 4] = [16, 64, 256, 4096];
/// Messages in a batch.
const BATCH: usize = 16;
/// The longest record that `/dev/kmsg` takes.
const KMSG_MAX: usize = 1024 - 48;

nix::ioctl_write_ptr!(set_options, 0xe6, 4, u32);
const BINARY_READ: u32 = 1;
const BINARY_WRITE: u32 = 2;

pub fn open(path: &str, flags: i32) -> File {
    OpenOptions::new()
        .read(flags & libc::O_ACCMODE != libc::O_WRONLY)
        .write(flags & libc::O_ACCMODE != libc::O_RDONLY)
        .custom_flags(flags)
        .open(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn umsg(flags: i32, options: u32) -> File {
    let file = open("/dev/umsg", flags);
    // SAFETY: `options` is what the command reads.
    unsafe { set_options(file.as_raw_fd(), &options) }.expect("UMSG_IOC_SET_OPTIONS");
    file
}

pub fn umsg_binary_reader(flags: i32) -> File {
    umsg(libc::O_RDONLY | flags, BINARY_READ)
}

/// Panics unless a system call did what it should.
fn good(result: isize, wanted: impl FnOnce(isize) -> bool) {
    if result < 0 || !wanted(result) {
        panic!("{result}: {}", std::io::Error::last_os_error());
    }
}

// By their numbers: around the C library's own functions it does something for the sake of
// cancelling a thread, in a process that has had more than one.

pub fn write(fd: RawFd, data: &[u8]) {
    // SAFETY: `data` is valid for its length.
    let written = unsafe { libc::syscall(libc::SYS_write, fd, data.as_ptr(), data.len()) };
    good(written as isize, |written| written as usize == data.len());
}

pub fn read(fd: RawFd, buffer: &mut [u8]) {
    // SAFETY: `buffer` is valid for its length.
    let got = unsafe { libc::syscall(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) };
    good(got as isize, |len| len > 0);
}

fn writev(fd: RawFd, pieces: &[libc::iovec]) {
    // SAFETY: All of them are valid.
    let got = unsafe { libc::syscall(libc::SYS_writev, fd, pieces.as_ptr(), pieces.len()) };
    good(got as isize, |len| len > 0);
}

fn to_the_end(fd: RawFd) {
    // SAFETY: Nothing but numbers.
    assert_eq!(unsafe { libc::lseek(fd, 0, libc::SEEK_END) }, 0);
}

fn pieces(data: &[u8]) -> Vec<libc::iovec> {
    vec![libc::iovec { iov_base: data.as_ptr() as *mut _, iov_len: data.len() }; BATCH]
}

fn pair(kind: i32) -> [OwnedFd; 2] {
    let mut fds = [0; 2];
    // SAFETY: `fds` is what it writes; the descriptors are ours alone.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()), 0);
        fds.map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// `struct umsg_entry` with `data` as its text.
fn entry(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(8u16.to_ne_bytes());
    out.extend(14u16.to_ne_bytes());
    out.extend((data.len() as u32).to_ne_bytes());
    out.extend(data);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// Measures all, and hands each result to `report`: what, bytes, cost.
pub fn run(unit: Unit, mut report: impl FnMut(&str, usize, f64)) {
    for size in SIZES {
        let data = vec![b'x'; size];
        let mut line = |what: &str, cost| report(what, size, cost);
        peers(unit, &data, &mut line);
        log(unit, &data, &mut line);
    }
}

fn peers(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let mut buffer = vec![0; 8192];
    let null = open("/dev/null", libc::O_WRONLY);
    let fd = null.as_raw_fd();
    line("/dev/null write", unit.one(|| (), || write(fd, data)));
    let batch = pieces(data);
    let cost = unit.one(|| (), || writev(fd, &batch));
    line("/dev/null writev of 16", cost / BATCH as f64);

    let (out, into) = nix::unistd::pipe().expect("a pipe");
    let mut both = || {
        write(into.as_raw_fd(), data);
        read(out.as_raw_fd(), &mut buffer);
    };
    line("pipe pair", unit.one(|| (), &mut both));
    for (what, kind) in
        [("unix datagram pair", libc::SOCK_DGRAM), ("unix seqpacket pair", libc::SOCK_SEQPACKET)]
    {
        let [one, other] = pair(kind);
        let mut both = || {
            write(one.as_raw_fd(), data);
            read(other.as_raw_fd(), &mut buffer);
        };
        line(what, unit.one(|| (), &mut both));
    }
    line("mq pair", mq(unit, data));

    let file =
        nix::sys::memfd::memfd_create(c"bench", nix::sys::memfd::MFdFlags::empty()).expect("memfd");
    let empty = || nix::unistd::ftruncate(&file, 0).expect("ftruncate");
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_APPEND))
        .expect("O_APPEND");
    line("tmpfs append", unit.one(empty, || write(file.as_raw_fd(), data)));

    // Nobody would want so many lines in the log of a machine in use.
    if data.len() <= KMSG_MAX && unit == Unit::Ticks {
        let kmsg = open("/dev/kmsg", libc::O_RDWR | libc::O_NONBLOCK);
        let fd = kmsg.as_raw_fd();
        line("kmsg write", unit.one(|| (), || write(fd, data)));
        let fill = || {
            to_the_end(fd);
            (0..LOOP).for_each(|_| write(fd, data));
        };
        line("kmsg read", unit.one(fill, || read(fd, &mut buffer)));
    }
}

fn mq(unit: Unit, data: &[u8]) -> f64 {
    const NAME: &CStr = c"/umsg-bench";
    let mut buffer = vec![0; 8192];
    // SAFETY: A structure that may be zeros; a name; data and a buffer valid for their lengths.
    unsafe {
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        attributes.mq_maxmsg = 8;
        attributes.mq_msgsize = 4096;
        let flags = libc::O_RDWR | libc::O_CREAT;
        let queue = libc::mq_open(NAME.as_ptr(), flags, 0o600 as libc::mode_t, &attributes);
        good(queue as isize, |_| true);
        libc::mq_unlink(NAME.as_ptr());
        let mut both = || {
            good(libc::mq_send(queue, data.as_ptr().cast(), data.len(), 0) as isize, |_| true);
            let into = buffer.as_mut_ptr().cast();
            good(libc::mq_receive(queue, into, buffer.len(), std::ptr::null_mut()), |len| len > 0);
        };
        let cost = unit.one(|| (), &mut both);
        libc::mq_close(queue);
        cost
    }
}

fn log(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let mut buffer = vec![0; 65536];
    let text = umsg(libc::O_WRONLY, 0);
    let fd = text.as_raw_fd();
    line("umsg write", unit.one(|| (), || write(fd, data)));
    let binary = umsg(libc::O_WRONLY, BINARY_WRITE);
    let one = entry(data);
    line("umsg write, binary", unit.one(|| (), || write(binary.as_raw_fd(), &one)));
    let batch = one.repeat(BATCH);
    let cost = unit.one(|| (), || write(binary.as_raw_fd(), &batch));
    line("umsg write, binary, 16 at once", cost / BATCH as f64);

    let fill = |reader: RawFd| {
        to_the_end(reader);
        (0..LOOP).for_each(|_| write(fd, data));
    };
    let reader = umsg(libc::O_RDONLY | libc::O_NONBLOCK, 0);
    let out = reader.as_raw_fd();
    line("umsg read, text", unit.one(|| fill(out), || read(out, &mut buffer)));
    let reader = umsg_binary_reader(libc::O_NONBLOCK);
    let out = reader.as_raw_fd();
    let room = 64 + data.len().next_multiple_of(8);
    line("umsg read, binary", unit.one(|| fill(out), || read(out, &mut buffer[..room])));
    let per_read = buffer.len() / room;
    let all = || {
        let mut left = LOOP;
        while left > 0 {
            read(out, &mut buffer);
            left = left.saturating_sub(per_read);
        }
    };
    line("umsg read, binary, 64 KiB at once", unit.each(LOOP, || fill(out), all));

    for readers in [1, 8] {
        line(&format!("umsg write to {readers} waiting"), waiting(unit, data, readers));
    }
}

/// A record for readers that all wait for it, until all have it.
fn waiting(unit: Unit, data: &[u8], readers: usize) -> f64 {
    const ROUNDS: usize = 50;
    let writer = umsg(libc::O_WRONLY, 0);
    let got = &AtomicUsize::new(0);
    let stop = &AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..readers {
            let file = umsg_binary_reader(0);
            to_the_end(file.as_raw_fd());
            scope.spawn(move || {
                let mut buffer = vec![0; 64 + data.len().next_multiple_of(8)];
                while stop.load(Relaxed) == 0 {
                    read(file.as_raw_fd(), &mut buffer);
                    got.fetch_add(1, Relaxed);
                }
            });
        }
        let settle = || std::thread::sleep(std::time::Duration::from_millis(20));
        let mut sent = 0;
        let mut send = || {
            write(writer.as_raw_fd(), data);
            sent += readers;
            while got.load(Relaxed) < sent {
                std::thread::yield_now();
            }
        };
        let cost = unit.each(ROUNDS, settle, || (0..ROUNDS).for_each(|_| send()));
        stop.store(1, Relaxed);
        settle();
        write(writer.as_raw_fd(), data);
        cost
    })
}
