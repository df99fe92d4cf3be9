// SPDX-License-Identifier: GPL-2.0

//! The writer's identity in records.

use crate::client::{Umsg, BINARY_READ};
use crate::sharing::child;
use crate::Test;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub const TESTS: &[Test] = &[
    Test::new("identity.process", process),
    Test::new("identity.thread", thread),
    Test::new("identity.passed_file", passed_file),
    Test::new("identity.set_uid", set_uid).with("mode=0666"),
    Test::new("identity.as_sudo", as_sudo),
    Test::new("identity.socket", through_a_socket).with("mode=0666"),
    Test::new("identity.pid_namespace", pid_namespace),
    Test::new("identity.user_namespace", user_namespace),
    Test::new("identity.names", names),
    Test::new("identity.killed", killed),
];

fn set_name(name: &[u8]) {
    let mut buffer = [0u8; 17];
    buffer[..name.len()].copy_from_slice(name);
    // SAFETY: `buffer` ends in a zero byte.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, buffer.as_ptr()) }, 0);
}

fn process() {
    let reader = Umsg::reader();
    for uid in [0, 1, 1000, 65534, 4_000_000_000] {
        let writer = Umsg::writer();
        let child = child(|| {
            set_name(b"a writer");
            // SAFETY: The call has no pointer arguments.
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

/// Checks that a record has the identity of the writer and not of the opener.
fn passed_file() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let child = child(|| {
        set_name(b"heir");
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(1234, 1234, 1234) }, 0);
        writer.log("<14> PID=1\n UID=0\n COMM=init");
    });
    let pid = child.pid().as_raw();
    child.join();
    let record = reader.next().expect("a record");
    assert_eq!((record.pid, record.uid, record.opener), (pid, 1234, 0));
    assert_eq!(record.comm, b"heir");
}

/// Returns the text, user id and opener of each record. Checks that both formats show equal values.
fn identities() -> Vec<(String, u32, u32)> {
    let records = Umsg::reader().rest();
    let frames = Umsg::reader().with(BINARY_READ).frames(1 << 16).expect("frames");
    let text = records.iter().map(|it| (it.str().to_string(), it.uid, it.opener));
    let text: Vec<_> = text.collect();
    let binary = frames
        .iter()
        .map(|it| (String::from_utf8(it.text.clone()).expect("UTF-8"), it.uid, it.opener));
    assert_eq!(binary.collect::<Vec<_>>(), text);
    text
}

/// Runs a copy of this program that writes `text` to its standard error, which is `file`.
fn run_writer(program: &str, text: &str, file: &Umsg) {
    let status = std::process::Command::new(program)
        .args(["--write", text])
        .stderr(nix::unistd::dup(file).expect("dup"))
        .status()
        .expect(program);
    assert!(status.success(), "{status}");
}

/// Checks that a record of a set-uid program shows the user id of its caller.
fn set_uid() {
    use std::os::unix::fs::PermissionsExt;
    const PROGRAM: &str = "/tmp/set-uid";
    std::fs::copy("/proc/self/exe", PROGRAM).expect(PROGRAM);
    std::fs::set_permissions(PROGRAM, std::fs::Permissions::from_mode(0o4755)).expect(PROGRAM);
    child(|| {
        let roots = Umsg::lines();
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(1000, 1000, 1000) }, 0);
        run_writer(PROGRAM, "opened by root\n", &roots);
        let file = Umsg::lines();
        run_writer(PROGRAM, "<38>sshd: Accepted publickey\n", &file);
        file.log("half of the caller's, ");
        run_writer(PROGRAM, "the program's\n", &file);
    })
    .join();
    let got = identities();
    let want = [
        ("opened by root", 1000, 0),
        ("sshd: Accepted publickey", 1000, 1000),
        ("half of the caller's, ", 1000, 1000),
        ("the program's", 1000, 1000),
    ];
    assert_eq!(got, want.map(|(text, uid, opener)| (text.to_string(), uid, opener)));
}

/// Checks that a record shows root if root opened the file and a program that runs as root writes,
/// as with sudo.
fn as_sudo() {
    let file = Umsg::lines();
    run_writer("/proc/self/exe", "by root\n", &file);
    assert_eq!(identities(), [("by root".to_string(), 0, 0)]);
}

/// Checks user id and opener if root writes to a file that a user opened and sent over a socket,
/// and if a user writes to a file that root opened.
fn through_a_socket() {
    use nix::sys::socket::*;
    let none = SockFlag::empty();
    let (one, other) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, none).expect("sockets");
    child(|| {
        let roots = Umsg::lines();
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(1000, 1000, 1000) }, 0);
        roots.log("opened by root\n");
        let file = Umsg::lines();
        file.log("by the user\n");
        let fds = [file.raw()];
        let rights = [ControlMessage::ScmRights(&fds)];
        let data = [std::io::IoSlice::new(b"x")];
        sendmsg::<()>(one.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).expect("sendmsg");
    })
    .join();
    let mut data = [0];
    let mut into = [std::io::IoSliceMut::new(&mut data)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let message = recvmsg::<()>(other.as_raw_fd(), &mut into, Some(&mut space), MsgFlags::empty())
        .expect("recvmsg");
    for rights in message.cmsgs().expect("control messages") {
        if let ControlMessageOwned::ScmRights(fds) = rights {
            // SAFETY: The descriptor is new, and this is its only owner.
            let file = unsafe { OwnedFd::from_raw_fd(fds[0]) };
            nix::unistd::write(&file, b"by root\n").expect("write");
        }
    }
    let got = identities();
    let want = [("opened by root", 1000, 0), ("by the user", 1000, 1000), ("by root", 0, 1000)];
    assert_eq!(got, want.map(|(text, uid, opener)| (text.to_string(), uid, opener)));
}

/// Checks that a reader in another pid namespace sees no process ids.
fn pid_namespace() {
    let writer = Umsg::writer();
    writer.log("x");
    child(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID).expect("unshare");
        child(|| {
            let record = Umsg::reader().next().expect("a record");
            assert_eq!((record.pid, record.tid, record.uid), (0, 0, 0));
            let frames = Umsg::reader().with(BINARY_READ).frames(1000).expect("frames");
            assert_eq!((frames[0].pid, frames[0].tid), (0, 0));
            writer.log("from inside");
        })
        .join();
    })
    .join();
    // A writer in another pid namespace is recorded with its pid in the initial namespace.
    let records = Umsg::reader().rest();
    assert!(records[1].pid > 1, "{:?}", records[1]);
}

/// Checks that user ids are mapped into the reader's user namespace.
fn user_namespace() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let binary = Umsg::reader().with(BINARY_READ);
    for uid in [0, 1000, 2000] {
        child(|| {
            // SAFETY: The call has no pointer arguments.
            assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
            writer.log("x");
        })
        .join();
    }
    child(|| {
        // Create a user namespace that maps only user id 1000, to 0.
        let (ready, go) = nix::unistd::pipe().expect("a pipe");
        let (done, mapped) = nix::unistd::pipe().expect("a pipe");
        let inside = child(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).expect("unshare");
            nix::unistd::write(&go, b"x").expect("write");
            nix::unistd::read(&done, &mut [0]).expect("read");
            let seen: Vec<_> = reader.rest().iter().map(|it| (it.uid, it.opener)).collect();
            assert_eq!(seen, [(65534, 65534), (0, 65534), (65534, 65534)]);
            let frames = binary.frames(1 << 16).expect("frames");
            let frames: Vec<_> = frames.iter().map(|it| (it.uid, it.opener)).collect();
            assert_eq!(frames, seen);
        });
        nix::unistd::read(&ready, &mut [0]).expect("read");
        std::fs::write(format!("/proc/{}/uid_map", inside.pid()), "0 1000 1\n").expect("uid_map");
        nix::unistd::write(&mapped, b"x").expect("write");
        assert!(mapped.as_raw_fd() > 0);
        inside.join();
    })
    .join();
}

/// Checks command names that are empty, of maximal length, with escaped bytes, and after a longer
/// name.
fn names() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for name in [&b"fifteen letters"[..], b"", b"x", b"new\nline \\ \xff", b"; PID=1,-"] {
        set_name(b"@@@@@@@@@@@@@@@");
        set_name(name);
        writer.log("x");
        assert_eq!(reader.next().expect("a record").comm, name);
    }
}

/// Checks that a record is kept with its writer's identity if the writer is killed.
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
        // The record is stored, so the writer can be killed.
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
