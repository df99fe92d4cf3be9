// SPDX-License-Identifier: GPL-2.0

//! Calls that must not wait although the file is blocking: `RWF_NOWAIT` and io_uring.

use crate::client::{Umsg, KMSG};
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] =
    &[Test::new("poll.rwf_nowait", rwf_nowait), Test::new("poll.io_uring", io_uring)];

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
