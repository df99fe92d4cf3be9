// SPDX-License-Identifier: GPL-2.0

//! A program of tokio's that writes and reads the log through epoll, as any asynchronous program
//! does: tasks of one thread that wait for their files by [`AsyncFd`]. Run by tests/guest/system with the
//! log empty; prints what it did.

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
    // SAFETY: The file keeps its descriptor for as long as it is registered.
    Ok(unsafe { AsyncFd::register(file) }?)
}

/// Writes lines, half of each in a call of its own.
async fn write(number: usize) -> io::Result<()> {
    let file = open(false)?;
    for line in 0..LINES {
        for part in [format!("writer {number} "), format!("line {line}\n")] {
            let mut guard = file.writable().await?;
            match guard.try_io(|file| file.get_ref().write_all(part.as_bytes())) {
                Ok(written) => written?,
                Err(_) => panic!("a log that does not stop is always writable"),
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads the records of all writers, and returns how often it waited.
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
