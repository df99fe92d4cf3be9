// SPDX-License-Identifier: GPL-2.0

//! Calls that must not wait although the file is blocking: `RWF_NOWAIT` and io_uring.

use crate::client::{Umsg, KMSG};
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] =
    &[Test::new("poll.rwf_nowait", rwf_nowait), Test::new("poll.io_uring", io_uring)];

/// Checks that a read with `RWF_NOWAIT` fails with EAGAIN on a blocking file.
fn rwf_nowait() {
    let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
    let mut buffer = [0u8; 512];
    let mut read = || {
        let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: `part` and its buffer are valid.
        Errno::result(unsafe { libc::preadv2(file.raw(), &part, 1, -1, libc::RWF_NOWAIT) })
    };
    assert_eq!(read(), Err(Errno::EAGAIN));
    file.log("x");
    assert!(read().is_ok());
    assert_eq!(read(), Err(Errno::EAGAIN));
}

/// Checks that reads and polls by io_uring wait for a write by the same ring and can be cancelled,
/// and that a read with `RWF_NOWAIT` fails with EAGAIN.
fn io_uring() {
    use io_uring::{opcode, squeue, types, IoUring};
    use std::collections::BTreeMap;
    const READ: u64 = 1;
    const POLL: u64 = 2;
    const WRITE: u64 = 3;
    const CANCEL: u64 = 4;

    fn push(ring: &mut IoUring, entry: squeue::Entry, name: u64) {
        // SAFETY: The memory of a request is valid until the request has completed.
        unsafe { ring.submission().push(&entry.user_data(name)) }.expect("space in the queue");
    }
    /// Submits the queue, and returns the results of the next `count` completions.
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
    let (into, size) = (buffer.as_mut_ptr(), buffer.len() as u32);
    let read = || opcode::Read::new(fd, into, size).offset(u64::MAX);
    for round in 0..50 {
        let text = format!("round {round}");
        poller.seek(0, libc::SEEK_END).expect("seek");
        push(&mut ring, read().build(), READ);
        push(&mut ring, opcode::PollAdd::new(poll_fd, libc::POLLIN as u32).build(), POLL);
        ring.submit().expect("io_uring_enter");
        assert_eq!(ring.completion().len(), 0, "completed without a record");

        let write = opcode::Write::new(fd, text.as_ptr(), text.len() as u32).offset(u64::MAX);
        push(&mut ring, write.build(), WRITE);
        let completed = results(&mut ring, 3);
        assert_eq!(completed[&WRITE], text.len() as i32);
        assert_eq!(completed[&POLL], libc::POLLIN.into());
        // SAFETY: The read has completed and has initialised these bytes.
        let got = unsafe { std::slice::from_raw_parts(into, completed[&READ] as usize) };
        let got = String::from_utf8_lossy(got);
        assert!(got.contains(&format!(",{round},")) && got.contains(&text), "{got}");
    }

    // A file that is open only for writing is writable, and a poll for POLLIN waits.
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
    assert!(results(&mut ring, 1)[&READ] > 0, "the cancelled read has consumed a record");
}
