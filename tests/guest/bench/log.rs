// SPDX-License-Identifier: GPL-2.0

//! The measurements of umsg.

use crate::calls::{entry, read, to_the_end, umsg, umsg_binary_reader, umsg_lines, write, BATCH};
use crate::cases::utf8;
use crate::measure::{Unit, LOOP};
use ::umsg::abi::{BINARY_WRITE, RECORD_SIZE};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The capacity with which scripts/bench loads umsg.
const CAPACITY: usize = 16 << 20;

/// Fills the log with records of `data`, so that each further record overwrites one record of equal
/// size, and not several shorter records of an earlier case.
fn fill_log(data: &[u8]) {
    let file = umsg(libc::O_WRONLY, BINARY_WRITE);
    let batch = entry(data).repeat(BATCH);
    // This is more than fits, because the ring stores a header with each record.
    for _ in 0..=CAPACITY / (data.len() * BATCH) {
        write(file.as_raw_fd(), &batch);
    }
}

pub fn run(unit: Unit, data: &[u8], line: &mut impl FnMut(&str, f64)) {
    let mut buffer = vec![0; 65536];
    fill_log(data);
    let text = umsg(libc::O_WRONLY, 0);
    let fd = text.as_raw_fd();
    line("umsg write", unit.one(|| (), || write(fd, data)));
    let lines = umsg_lines();
    let mut a_line = data.to_vec();
    a_line[data.len() - 1] = b'\n';
    line("umsg write, a line", unit.one(|| (), || write(lines.as_raw_fd(), &a_line)));
    let many = a_line.repeat(BATCH);
    let cost = unit.one(|| (), || write(lines.as_raw_fd(), &many));
    line("umsg write, 16 lines at once", cost / BATCH as f64);
    let binary = umsg(libc::O_WRONLY, BINARY_WRITE);
    let one = entry(data);
    line("umsg write, binary", unit.one(|| (), || write(binary.as_raw_fd(), &one)));
    let batch = one.repeat(BATCH);
    let cost = unit.one(|| (), || write(binary.as_raw_fd(), &batch));
    line("umsg write, binary, 16 at once", cost / BATCH as f64);

    let fill = |reader: RawFd, data: &[u8]| {
        to_the_end(reader);
        (0..LOOP).for_each(|_| write(fd, data));
    };
    let reader = umsg(libc::O_RDONLY | libc::O_NONBLOCK, 0);
    let out = reader.as_raw_fd();
    let mut one_escape = data.to_vec();
    one_escape[data.len() / 2] = b'\t';
    for (what, data) in [
        ("umsg read, text", data),
        ("umsg read, text, one escape", &one_escape),
        ("umsg read, text, two-byte UTF-8", utf8(data.len()).as_bytes()),
    ] {
        line(what, unit.one(|| fill(out, data), || read(out, &mut buffer)));
    }
    let reader = umsg_binary_reader(libc::O_NONBLOCK);
    let out = reader.as_raw_fd();
    let room = RECORD_SIZE + data.len().next_multiple_of(8);
    line("umsg read, binary", unit.one(|| fill(out, data), || read(out, &mut buffer[..room])));
    let per_read = buffer.len() / room;
    let all = || {
        let mut left = LOOP;
        while left > 0 {
            read(out, &mut buffer);
            left = left.saturating_sub(per_read);
        }
    };
    line("umsg read, binary, 64 KiB at once", unit.each(LOOP, || fill(out, data), all));

    for readers in [1, 8] {
        line(&format!("umsg write to {readers} waiting"), waiting(unit, data, readers));
    }
}

/// Measures a record for which `readers` wait, from its write until all of them have read it.
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
                let mut buffer = vec![0; RECORD_SIZE + data.len().next_multiple_of(8)];
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
