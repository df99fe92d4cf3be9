// SPDX-License-Identifier: GPL-2.0

//! Who wrote a record, as the kernel saw it.

use crate::abi::Umsg;
use crate::sharing::child;
use crate::Test;
use std::os::fd::AsRawFd;

pub const TESTS: &[Test] = &[
    Test::new("identity.process", process),
    Test::new("identity.thread", thread),
    Test::new("identity.passed_file", passed_file),
    Test::new("identity.user_namespace", user_namespace),
    Test::new("identity.names", names),
    Test::new("identity.killed", killed),
];

fn set_name(name: &[u8]) {
    let mut buffer = [0u8; 17];
    buffer[..name.len()].copy_from_slice(name);
    // SAFETY: `buffer` ends in a zero.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, buffer.as_ptr()) }, 0);
}

fn process() {
    let reader = Umsg::reader();
    for uid in [0, 1, 1000, 65534, 4_000_000_000] {
        let writer = Umsg::writer();
        let child = child(|| {
            set_name(b"a writer");
            // SAFETY: Nothing but numbers.
            assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
            writer.log("x");
        });
        let pid = child.pid().as_raw();
        child.join();
        let record = reader.next().expect("a record");
        assert_eq!((record.pid, record.tid, record.uid), (pid, pid, uid));
        assert_eq!(record.comm, b"a writer");
    }
}

fn thread() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let tid = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            set_name(b"another");
            writer.log("x");
            nix::unistd::gettid().as_raw()
        });
        thread.join().expect("the thread")
    });
    let record = reader.next().expect("a record");
    assert_eq!((record.pid, record.tid), (std::process::id() as i32, tid));
    assert_ne!(record.pid, record.tid);
    assert_eq!(record.comm, b"another");
}

/// Not who opened the file counts, but who writes.
fn passed_file() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let child = child(|| {
        set_name(b"heir");
        // SAFETY: Nothing but numbers.
        assert_eq!(unsafe { libc::setresuid(1234, 1234, 1234) }, 0);
        writer.log("<14> PID=1\n UID=0\n COMM=init");
    });
    let pid = child.pid().as_raw();
    child.join();
    let record = reader.next().expect("a record");
    assert_eq!((record.pid, record.uid), (pid, 1234));
    assert_eq!(record.comm, b"heir");
}

/// A reader sees user ids as its own user namespace has them.
fn user_namespace() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for uid in [0, 1000, 2000] {
        child(|| {
            // SAFETY: Nothing but numbers.
            assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
            writer.log("x");
        })
        .join();
    }
    child(|| {
        // A namespace in which 1000 is root, and nobody else is anybody.
        let (ready, go) = nix::unistd::pipe().expect("a pipe");
        let (done, mapped) = nix::unistd::pipe().expect("a pipe");
        let inside = child(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).expect("unshare");
            nix::unistd::write(&go, b"x").expect("write");
            nix::unistd::read(&done, &mut [0]).expect("read");
            let uids: Vec<u32> = reader.rest().iter().map(|record| record.uid).collect();
            assert_eq!(uids, [65534, 0, 65534]);
        });
        nix::unistd::read(&ready, &mut [0]).expect("read");
        std::fs::write(format!("/proc/{}/uid_map", inside.pid()), "0 1000 1\n").expect("uid_map");
        nix::unistd::write(&mapped, b"x").expect("write");
        assert!(mapped.as_raw_fd() > 0);
        inside.join();
    })
    .join();
}

/// Names are what they are: empty, full, with odd bytes, and shortened from a longer one.
fn names() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for name in [&b"fifteen letters"[..], b"", b"x", b"new\nline \\ \xff", b"; PID=1,-"] {
        set_name(b"@@@@@@@@@@@@@@@");
        set_name(name);
        writer.log("x");
        assert_eq!(reader.next().expect("a record").comm, name);
    }
}

/// The last words of a process that was killed are there, with its identity.
fn killed() {
    let reader = Umsg::open(libc::O_RDONLY).expect("open");
    for round in 0..10 {
        let child = child(|| {
            set_name(b"doomed");
            Umsg::writer().log(format!("last words {round}"));
            loop {
                nix::unistd::pause();
            }
        });
        // Its record is there before its end, so it can be killed now.
        let record = reader.next().expect("a record");
        let pid = child.pid().as_raw();
        child.kill();
        assert_eq!((record.pid, record.uid), (pid, 0));
        assert_eq!(record.comm, b"doomed");
        assert_eq!(record.str(), format!("last words {round}"));
    }
    let all = Umsg::reader();
    assert_eq!(all.rest().len(), 10);
}
