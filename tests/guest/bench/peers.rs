// SPDX-License-Identifier: GPL-2.0

//! The measurements of the kernel's other ways to pass messages. In the name of a case, "pair"
//! means that a message is written and read.

use crate::bpf::RingBuffer;
use crate::calls::{good, open, read, segments, to_the_end, write, writev, BATCH};
use crate::cases::utf8;
use crate::measure::{Unit, LOOP};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The longest record that `/dev/kmsg` and `trace_marker` accept.
const LINE_MAX: usize = 1024 - 48;
/// The mount point of tracefs.
const TRACING: &str = "/sys/kernel/tracing";

fn pair(kind: i32) -> [OwnedFd; 2] {
    let mut fds = [0; 2];
    // SAFETY: The call writes `fds`, and this is the only owner of the descriptors.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()), 0);
        fds.map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

pub fn run(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let mut buffer = vec![0; 8192];
    let null = open("/dev/null", libc::O_WRONLY);
    let fd = null.as_raw_fd();
    line("/dev/null write", unit.one(|| (), || write(fd, data)));
    let batch = segments(data);
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

    // Not with --time, because these cases fill the kernel's logs, and the machine can be in use.
    if unit == Unit::Ticks {
        if data.len() <= LINE_MAX {
            kmsg(unit, data, line);
            trace(unit, data, line);
        }
        bpf(unit, data, line);
    }
}

fn kmsg(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let mut buffer = vec![0; 8192];
    let kmsg = open("/dev/kmsg", libc::O_RDWR | libc::O_NONBLOCK);
    let fd = kmsg.as_raw_fd();
    line("kmsg write", unit.one(|| (), || write(fd, data)));
    let mut cost = |data: &[u8]| {
        let fill = || {
            to_the_end(fd);
            (0..LOOP).for_each(|_| write(fd, data));
        };
        unit.one(fill, || read(fd, &mut buffer))
    };
    line("kmsg read", cost(data));
    line("kmsg read, two-byte UTF-8", cost(utf8(data.len()).as_bytes()));
}

/// Measures the ring buffer of the tracer, to which programs can write lines.
fn trace(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let Ok(marker) = File::options().write(true).open(format!("{TRACING}/trace_marker")) else {
        return;
    };
    let pipe = open(&format!("{TRACING}/trace_pipe"), libc::O_RDONLY | libc::O_NONBLOCK);
    let mut buffer = vec![0; 65536];
    // Reads until the pipe is empty, and returns the number of lines.
    let drain = |buffer: &mut [u8]| {
        let mut lines = 0;
        while let Ok(len) = nix::unistd::read(&pipe, buffer) {
            lines += buffer[..len].iter().filter(|byte| **byte == b'\n').count();
        }
        lines
    };
    let fd = marker.as_raw_fd();
    line("trace_marker write", unit.one(|| (), || write(fd, data)));
    let fill = || {
        drain(&mut vec![0; 65536]);
        (0..LOOP).for_each(|_| write(fd, data));
    };
    let read_all = || assert_eq!(drain(&mut buffer), LOOP, "lines of {TRACING}/trace_pipe");
    line("trace_pipe read, 4 KiB at once", unit.each(LOOP, fill, read_all));
}

fn bpf(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let Some(ring) = RingBuffer::new(data.len()) else {
        return;
    };
    let mut buffer = vec![0; data.len()];
    let mut both = || {
        ring.write(data);
        ring.read(&mut buffer);
    };
    line("BPF ringbuf pair", unit.one(|| (), &mut both));
    let fill = || (0..LOOP).for_each(|_| ring.write(data));
    line("BPF ringbuf read, mapped", unit.one(fill, || ring.read(&mut buffer)));
}

fn mq(unit: Unit, data: &[u8]) -> f64 {
    const NAME: &CStr = c"/umsg-bench";
    let mut buffer = vec![0; 8192];
    // SAFETY: `mq_attr` may be zero, the name is a C string, and `data` and `buffer` are valid for
    // their lengths.
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
