// SPDX-License-Identifier: GPL-2.0

//! Throughput by the number of writers and of readers, on several CPUs.

use crate::calls::{umsg, umsg_binary_reader, write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SECONDS: u64 = 2;

/// Prints lines of writers, readers, records written per second, and records read per second by
/// each reader, separated by tabs.
pub fn run() {
    for writers in [1, 2, 4] {
        for readers in [0, 1, 8, 64] {
            let (written, received) = one(writers, readers);
            println!("{writers}\t{readers}\t{written:.0}\t{received:.0}");
        }
    }
}

fn one(writers: usize, readers: usize) -> (f64, f64) {
    let done = &AtomicBool::new(false);
    let (written, received) = (&AtomicU64::new(0), &AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..readers {
            let file = umsg_binary_reader(0);
            scope.spawn(move || {
                let mut buffer = vec![0; 65536];
                while !done.load(Relaxed) {
                    // SAFETY: `buffer` is valid for its length.
                    let len = unsafe {
                        libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
                    };
                    received.fetch_add(len as u64 / 128, Relaxed);
                }
            });
        }
        for _ in 0..writers {
            let file = umsg(libc::O_WRONLY, 0);
            scope.spawn(move || {
                let mut count = 0;
                while !done.load(Relaxed) {
                    write(file.as_raw_fd(), &[b'x'; 64]);
                    count += 1;
                }
                written.fetch_add(count, Relaxed);
            });
        }
        std::thread::sleep(Duration::from_secs(SECONDS));
        done.store(true, Relaxed);
        // Wake waiting readers.
        std::thread::sleep(Duration::from_millis(20));
        write(umsg(libc::O_WRONLY, 0).as_raw_fd(), &[b'x'; 64]);
    });
    let seconds = start.elapsed().as_secs_f64();
    let each = received.load(Relaxed) as f64 / (readers.max(1)) as f64;
    (written.load(Relaxed) as f64 / seconds, each / seconds)
}
