// SPDX-License-Identifier: GPL-2.0

//! What one operation costs, beside its peers on the same kernel.
//!
//! Counts ticks of the time stamp counter around a loop. In a kernel booted by
//! `scripts/vm --icount` one tick is one guest instruction, exact and repeatable; elsewhere it is
//! time. Run as root with umsg loaded; prints a line for each operation.

use std::hint::black_box;
use std::os::fd::AsRawFd;

/// How often an operation runs between two readings of the counter.
const LOOP: usize = 500;
/// How many such loops there are, of which the median counts.
const LOOPS: usize = 9;

fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: Every x86_64 has this counter, and Linux lets programs read it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    compile_error!("no counter is known for this architecture");
}

/// The median number of ticks that `operation` takes; `prepare` runs before each loop, uncounted.
fn measure(mut prepare: impl FnMut(), mut operation: impl FnMut()) -> f64 {
    let mut results: Vec<f64> = (0..LOOPS)
        .map(|_| {
            prepare();
            let start = ticks();
            for _ in 0..LOOP {
                operation();
            }
            (ticks() - start) as f64 / LOOP as f64
        })
        .collect();
    results.sort_by(f64::total_cmp);
    results[LOOPS / 2]
}

fn open(path: &str, flags: i32) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(flags & libc::O_ACCMODE != libc::O_WRONLY)
        .write(flags & libc::O_ACCMODE != libc::O_RDONLY)
        .custom_flags(flags)
        .open(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn write(file: &std::fs::File, data: &[u8]) {
    // SAFETY: `data` is valid for its length.
    let written = unsafe { libc::write(file.as_raw_fd(), data.as_ptr().cast(), data.len()) };
    assert_eq!(written, data.len() as isize);
}

fn read(file: &std::fs::File, buffer: &mut [u8]) {
    // SAFETY: `buffer` is valid for its length.
    let got = unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    assert!(black_box(got) > 0, "{}", std::io::Error::last_os_error());
}

fn run(report: bool) {
    let data = [b'x'; 64];
    let mut buffer = [0; 8192];
    let line = |name: &str, ticks: f64| {
        if report {
            println!("{name:<24} {ticks:8.1}");
        }
    };
    let null = open("/dev/null", libc::O_WRONLY);
    line("/dev/null write", measure(|| (), || write(&null, &data)));
    let umsg = open("/dev/umsg", libc::O_WRONLY);
    line("umsg write", measure(|| (), || write(&umsg, &data)));
    let reader = open("/dev/umsg", libc::O_RDONLY | libc::O_NONBLOCK);
    let fill = || {
        // SAFETY: Nothing but numbers.
        assert_eq!(unsafe { libc::lseek(reader.as_raw_fd(), 0, libc::SEEK_END) }, 0);
        (0..LOOP).for_each(|_| write(&umsg, &data));
    };
    line("umsg read, text", measure(fill, || read(&reader, &mut buffer)));
    let kmsg = open("/dev/kmsg", libc::O_RDWR | libc::O_NONBLOCK);
    line("kmsg write", measure(|| (), || write(&kmsg, &data)));
    let fill = || {
        // SAFETY: Nothing but numbers.
        assert_eq!(unsafe { libc::lseek(kmsg.as_raw_fd(), 0, libc::SEEK_END) }, 0);
        (0..LOOP).for_each(|_| write(&kmsg, &data));
    };
    line("kmsg read", measure(fill, || read(&kmsg, &mut buffer)));
}

fn main() {
    // Once for nothing, then let the machine settle: figures right after boot are far too high.
    run(false);
    std::thread::sleep(std::time::Duration::from_secs(5));
    println!("ticks of the time stamp counter for one operation on 64 bytes, medians");
    run(true);
}
