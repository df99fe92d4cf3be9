// SPDX-License-Identifier: GPL-2.0

//! Descriptors that share an open file description: they share its read position, so each record is
//! read once.

use crate::client::{Record, Umsg};
use crate::Test;
use nix::errno::Errno;
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::{fork, ForkResult, Pid};
use std::collections::BTreeSet;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub const TESTS: &[Test] = &[
    Test::new("sharing.dup", dup),
    Test::new("sharing.fork", fork_shares),
    Test::new("sharing.socket", socket),
    Test::new("sharing.threads", threads).with("capacity=4194304"),
    Test::new("sharing.independent", independent),
];

/// A child process that runs part of a test.
pub struct Child(Pid);

/// Runs `part` in a child process, which fails if `part` panics.
pub fn child(part: impl FnOnce()) -> Child {
    // SAFETY: The caller has one thread, or the child makes only system calls and panics.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => Child(child),
        ForkResult::Child => {
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(part)).is_err();
            // SAFETY: The call ends the process.
            unsafe { libc::_exit(i32::from(failed)) }
        }
    }
}

impl Child {
    pub fn pid(&self) -> Pid {
        self.0
    }

    /// Waits for the child, which must have succeeded.
    pub fn join(self) {
        let status = waitpid(self.0, None).expect("waitpid");
        assert_eq!(status, WaitStatus::Exited(self.0, 0), "a part of the test failed");
    }

    /// Kills the child by SIGKILL and waits for its end.
    pub fn kill(self) {
        nix::sys::signal::kill(self.0, nix::sys::signal::SIGKILL).expect("kill");
        waitpid(self.0, None).expect("waitpid");
    }

    /// Kills the child, which must still run. A child that ended has failed.
    pub fn kill_running(self) {
        let path = format!("/proc/{}/stat", self.0);
        let stat = std::fs::read_to_string(&path).expect(&path);
        assert!(!stat.contains(") Z "), "a child of the test has failed");
        self.kill();
    }

    /// Waits until the child sleeps in a system call.
    pub fn wait_until_asleep(&self) {
        wait_until_asleep(self.0.as_raw());
    }
}

/// Waits until the thread `tid` sleeps.
pub fn wait_until_asleep(tid: i32) {
    let path = format!("/proc/{tid}/stat");
    let mut asleep = 0;
    // Require it twice in a row, because a page fault can be a short sleep.
    while asleep < 2 {
        let stat = std::fs::read_to_string(&path).expect(&path);
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        asleep = if state == Some('S') { asleep + 1 } else { 0 };
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn log_numbers(count: usize) {
    let writer = Umsg::writer();
    for i in 0..count {
        writer.log(format!("{i}"));
    }
}

fn dup() {
    log_numbers(4);
    let one = Umsg::reader();
    let other = nix::unistd::dup(&one).expect("dup");
    let mut buffer = [0; 512];
    for i in 0..4 {
        let len =
            if i % 2 == 0 { one.read(&mut buffer) } else { nix::unistd::read(&other, &mut buffer) };
        assert_eq!(Record::parse(&buffer[..len.expect("a record")]).seq, i);
    }
    one.seek(0, libc::SEEK_SET).expect("seek");
    let len = nix::unistd::read(&other, &mut buffer).expect("a record");
    assert_eq!(Record::parse(&buffer[..len]).seq, 0);
    // The second descriptor still works if the first one is closed.
    drop(one);
    let len = nix::unistd::read(&other, &mut buffer).expect("a record");
    assert_eq!(Record::parse(&buffer[..len]).seq, 1);
}

fn fork_shares() {
    log_numbers(4);
    let file = Umsg::reader();
    assert_eq!(file.next().expect("a record").seq, 0);
    child(|| assert_eq!(file.next().expect("a record").seq, 1)).join();
    assert_eq!(file.next().expect("a record").seq, 2);
}

fn socket() {
    use nix::sys::socket::*;
    log_numbers(3);
    let (near, far) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).expect("a pair");
    let file = Umsg::reader();
    assert_eq!(file.next().expect("a record").seq, 0);
    let receiver = child(|| {
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        let mut space = nix::cmsg_space!([i32; 1]);
        let message =
            recvmsg::<()>(far.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())
                .expect("recvmsg");
        let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().expect("whole").next()
        else {
            panic!("no descriptor received");
        };
        // SAFETY: recvmsg() has created the descriptor, and this is its only owner.
        let passed = unsafe { OwnedFd::from_raw_fd(fds[0]) };
        let mut buffer = [0; 512];
        let len = nix::unistd::read(&passed, &mut buffer).expect("a record");
        assert_eq!(Record::parse(&buffer[..len]).seq, 1);
    });
    let fds = [file.raw()];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(near.as_raw_fd(), &[IoSlice::new(b"x")], &rights, MsgFlags::empty(), None)
        .expect("sendmsg");
    receiver.join();
    assert_eq!(file.next().expect("a record").seq, 2);
}

/// Checks that threads read each record exactly once if they share a file.
fn threads() {
    const RECORDS: usize = 4000;
    let file = Umsg::reader();
    let done = std::sync::atomic::AtomicBool::new(false);
    let seqs: Vec<u64> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut seqs = Vec::new();
                    let mut buffer = [0; 1024];
                    loop {
                        let finished = done.load(std::sync::atomic::Ordering::SeqCst);
                        match file.read(&mut buffer) {
                            Ok(len) => seqs.push(Record::parse(&buffer[..len]).seq),
                            Err(Errno::EAGAIN) if finished => return seqs,
                            Err(Errno::EAGAIN) => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        log_numbers(RECORDS);
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        readers
            .into_iter()
            .flat_map(|reader| {
                let seqs = reader.join().expect("a reader");
                assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
                seqs
            })
            .collect()
    });
    assert_eq!(seqs.len(), RECORDS);
    assert_eq!(seqs.into_iter().collect::<BTreeSet<_>>().len(), RECORDS);
}

/// Checks that open files have independent positions.
fn independent() {
    log_numbers(10);
    let files: Vec<_> = (0..10).map(|_| Umsg::reader()).collect();
    for (index, file) in files.iter().enumerate() {
        for seq in 0..index {
            assert_eq!(file.next().expect("a record").seq, seq as u64);
        }
    }
    for (index, file) in files.iter().enumerate() {
        assert_eq!(file.next().expect("a record").seq, index as u64);
    }
}
