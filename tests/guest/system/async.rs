// SPDX-License-Identifier: GPL-2.0

//! An asynchronous program that writes and reads the log through epoll: tasks of one thread that
//! wait for their files by tokio's [`AsyncFd`]. Run by tests/guest/system with an empty log. Prints
//! the number of records and waits of each reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use tokio::io::unix::AsyncFd;

const WRITERS: usize = 3;
const LINES: usize = 1000;

fn open(read: bool) -> io::Result<AsyncFd<File>> {
    let file = OpenOptions::new()
        .read(read)
        .write(!read)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/umsg")?;
    // SAFETY: The file keeps its descriptor while it is registered.
    Ok(unsafe { AsyncFd::register(file) }?)
}

/// Writes lines, each in two calls.
async fn write(number: usize) -> io::Result<()> {
    let file = open(false)?;
    for line in 0..LINES {
        for part in [format!("writer {number} "), format!("line {line}\n")] {
            let mut guard = file.writable().await?;
            match guard.try_io(|file| file.get_ref().write_all(part.as_bytes())) {
                Ok(written) => written?,
                Err(_) => panic!("a log with the policy overwrite is always writable"),
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads the records of all writers, and returns the number of waits.
async fn read() -> io::Result<usize> {
    let file = open(true)?;
    let mut next = [0; WRITERS];
    let mut waits = 0;
    let mut buffer = [0; 2048];
    while next.iter().sum::<usize>() < WRITERS * LINES {
        let mut guard = file.readable().await?;
        waits += 1;
        while let Ok(len) = guard.try_io(|file| file.get_ref().read(&mut buffer)) {
            let record = String::from_utf8_lossy(&buffer[..len?]).into_owned();
            let text = record.split([';', '\n']).nth(1).expect("a text");
            let words: Vec<&str> = text.split(' ').collect();
            let writer: usize = words[1].parse().expect("a writer");
            assert_eq!(text, format!("writer {writer} line {}", next[writer]), "{record}");
            next[writer] += 1;
        }
    }
    Ok(waits)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let readers = [tokio::spawn(read()), tokio::spawn(read())];
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(write(number))).collect();
    for writer in writers {
        writer.await??;
    }
    for reader in readers {
        println!("{} records in {} waits", WRITERS * LINES, reader.await??);
    }
    Ok(())
}
