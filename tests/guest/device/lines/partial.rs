// SPDX-License-Identifier: GPL-2.0

//! Partial lines: text without a newline. It stays with the open file until the rest of the line is
//! written, another writer writes to the file or the file is released.

use super::whole_texts;
use crate::client::*;
use crate::sharing::child;
use crate::Test;
use nix::errno::Errno;
use nix::sys::socket;
use std::io::IoSlice;
use std::os::fd::AsRawFd;

pub const TESTS: &[Test] = &[
    Test::new("lines.other_process", other_process),
    Test::new("lines.same_number", same_number),
    Test::new("lines.same_process", same_process),
    Test::new("lines.other_user", other_user),
    Test::new("lines.released", released),
    Test::new("lines.time", time).with("capacity=256K"),
    Test::new("lines.full_at_release", full_at_release).with("capacity=4K policy=stop"),
    Test::new("lines.record_max_changes", record_max_changes),
    Test::new("lines.released_by_io_uring", released_by_io_uring).on_all_cpus(),
];

/// Checks that a partial line is stored first if another process writes to the same file.
fn other_process() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    writer.log("<9>mine, ");
    let other = child(|| writer.log("the child's\nand its half"));
    let pid = other.pid().as_raw();
    other.join();
    writer.log("and mine\n");
    drop(writer);
    let records = reader.rest();
    let mine = std::process::id() as i32;
    let got: Vec<_> = records.iter().map(|it| (it.str(), it.pid, it.priority)).collect();
    assert_eq!(
        got,
        [
            ("mine, ", mine, 9),
            ("the child's", pid, 14),
            ("and its half", pid, 14),
            ("and mine", mine, 14)
        ]
    );
}

/// Checks that a partial line is stored first if a later process with the same pid writes.
fn same_number() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    let first = child(|| writer.log("the first one's, "));
    let pid = first.pid();
    first.join();
    // clone3() is called like fork(), but the new child gets the pid of the first one.
    let ids = [pid.as_raw()];
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.set_tid = ids.as_ptr() as u64;
    arguments.set_tid_size = 1;
    // SAFETY: The child makes one system call and exits.
    let second =
        unsafe { libc::syscall(libc::SYS_clone3, &arguments, std::mem::size_of_val(&arguments)) };
    if second == 0 {
        let wrote = writer.write(b"the second one's\n") == Ok(17);
        // SAFETY: The call ends the process.
        unsafe { libc::_exit(i32::from(!wrote)) }
    }
    assert_eq!(second, i64::from(pid.as_raw()), "{}", Errno::last());
    let status = nix::sys::wait::waitpid(pid, None).expect("waitpid");
    assert_eq!(status, nix::sys::wait::WaitStatus::Exited(pid, 0));
    let got: Vec<_> = reader.rest().iter().map(|it| (it.str().to_string(), it.pid)).collect();
    let want = ["the first one's, ", "the second one's"];
    assert_eq!(got, want.map(|text| (text.to_string(), pid.as_raw())));
}

/// Checks that a process can complete its partial line after it executes another program.
fn same_process() {
    let run = "exec >/dev/umsg; printf 'the shell and '; exec sh -c 'echo what it became'";
    crate::kmod::command("sh", &["-c", run]).expect(run);
    assert_eq!(whole_texts(), ["the shell and what it became"]);
}

/// Checks that a partial line is stored first if the same process writes as another user.
fn other_user() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    child(|| {
        // SAFETY: The call has no pointer arguments.
        let become_user = |real, effective| unsafe {
            assert_eq!(libc::setresuid(real, effective, 0), 0);
        };
        become_user(1000, 0);
        writer.log("a user's half");
        become_user(1001, 0);
        writer.log("another's line\nanother's half, ");
        // Only the real user id matters.
        become_user(1001, 1001);
        writer.log("the same one's\nthe last half");
        become_user(0, 0);
    })
    .join();
    drop(writer);
    let got: Vec<_> = reader.rest().iter().map(|it| (it.str().to_string(), it.uid)).collect();
    let want = [
        ("a user's half", 1000),
        ("another's line", 1001),
        ("another's half, the same one's", 1001),
        ("the last half", 1001),
    ];
    assert_eq!(got, want.map(|(text, uid)| (text.to_string(), uid)));
}

/// Checks that a partial line is stored with its writer's identity if the file is released: by
/// exit, by SIGKILL, by the last of several descriptors, and in a socket.
fn released() {
    let reader = Umsg::open(libc::O_RDONLY).expect("open");
    let check = |text: &str, pid: i32, uid: u32| {
        let record = reader.next().expect("a record");
        assert_eq!((record.str(), record.pid, record.uid), (text, pid, uid));
    };
    let as_user = |uid: u32, text: &str| {
        let writer = Umsg::lines();
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
        writer.log(text);
        writer
    };
    // The writer exits.
    let ended = child(|| drop(as_user(1000, "at exit")));
    let pid = ended.pid().as_raw();
    ended.join();
    check("at exit", pid, 1000);
    // The writer is killed.
    let (wrote, write) = nix::unistd::pipe().expect("a pipe");
    let killed = child(|| {
        let _file = as_user(1001, "killed");
        nix::unistd::write(&write, b"x").expect("write");
        loop {
            nix::unistd::pause();
        }
    });
    nix::unistd::read(&wrote, &mut [0]).expect("read");
    let pid = killed.pid().as_raw();
    killed.kill();
    check("killed", pid, 1001);
    // Another user closes the last descriptor.
    let file = Umsg::lines();
    let first = child(|| {
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(1002, 1002, 1002) }, 0);
        file.log("of the first owner");
    });
    let pid = first.pid().as_raw();
    first.join();
    let copy = nix::unistd::dup(&file).expect("dup");
    drop(file);
    assert_eq!(Umsg::reader().rest().len(), 2, "released although a descriptor is open");
    drop(copy);
    check("of the first owner", pid, 1002);
    // The file is in a socket that is closed without being read.
    let (one, other) = socket::socketpair(
        socket::AddressFamily::Unix,
        socket::SockType::Stream,
        None,
        socket::SockFlag::empty(),
    )
    .expect("sockets");
    let file = Umsg::lines();
    file.log("in a socket");
    let fds = [file.raw()];
    let rights = [socket::ControlMessage::ScmRights(&fds)];
    socket::sendmsg::<()>(
        one.as_raw_fd(),
        &[IoSlice::new(b"x")],
        &rights,
        socket::MsgFlags::empty(),
        None,
    )
    .expect("sendmsg");
    drop(file);
    assert_eq!(Umsg::reader().rest().len(), 3, "released although it is in a socket");
    drop((one, other));
    check("in a socket", std::process::id() as i32, 0);
}

/// Checks that a partial line is stored with its writer's identity if io_uring releases the file,
/// in this thread or in a kernel thread.
fn released_by_io_uring() {
    use io_uring::{opcode, types, IoUring};
    let mut ring = match IoUring::new(8) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            crate::skip("the kernel has no io_uring")
        }
        ring => ring.expect("io_uring_setup"),
    };
    let reader = Umsg::open(libc::O_RDONLY).expect("open");
    for round in 0..20 {
        let file = Umsg::lines();
        let text = format!("half {round}");
        let fd = types::Fd(file.raw());
        let write = opcode::Write::new(fd, text.as_ptr(), text.len() as u32).offset(u64::MAX);
        // Run the requests alternately in this thread and in a kernel thread.
        let flags = match round % 2 {
            0 => io_uring::squeue::Flags::empty(),
            _ => io_uring::squeue::Flags::ASYNC,
        };
        let close = opcode::Close::new(fd).build().flags(flags);
        // SAFETY: `text` outlives the request.
        unsafe { ring.submission().push(&write.build().flags(flags)) }.expect("room");
        ring.submit_and_wait(1).expect("io_uring_enter");
        assert_eq!(ring.completion().next().expect("a result").result(), text.len() as i32);
        // SAFETY: The request refers to no memory.
        unsafe { ring.submission().push(&close) }.expect("room");
        ring.submit_and_wait(1).expect("io_uring_enter");
        assert_eq!(ring.completion().next().expect("a result").result(), 0);
        std::mem::forget(file);
        let record = reader.next().expect("a record");
        assert_eq!((record.str(), record.pid), (text.as_str(), std::process::id() as i32));
    }
}

/// Checks that a partial line has the time of its write, and that seeks by time find all other
/// records.
fn time() {
    let (late, writer, reader) = (Umsg::lines(), Umsg::lines(), Umsg::reader());
    writer.log("first\n");
    late.log("late");
    for i in 0..1000 {
        writer.log(format!("{i}\n"));
    }
    drop(late);
    writer.log("last\n");
    let records = reader.rest();
    assert_eq!(records.len(), 1003);
    let record = &records[1001];
    assert_eq!(record.str(), "late");
    assert!(records[0].usec <= record.usec && record.usec <= records[1].usec, "{record:?}");
    let binary = Umsg::reader().with(BINARY_READ);
    let frames = binary.frames(1 << 20).expect("frames");
    let mut latest = 0;
    for (index, frame) in frames.iter().enumerate() {
        if frame.time_ns > latest {
            binary.seek_time(frame.time_ns).expect("seek");
            let found = binary.frames(1000).expect("frames")[0].seq;
            assert_eq!(found, index as u64);
            latest = frame.time_ns;
        }
    }
}

/// Checks that a partial line counts as refused if the log is full when the file is released.
fn full_at_release() {
    let writer = Umsg::writer();
    while writer.write(b"0123456789abcdef") != Err(Errno::ENOSPC) {}
    let before = writer.info();
    let lines = Umsg::lines();
    lines.log("never stored");
    assert_eq!(writer.info(), before);
    drop(lines);
    let after = writer.info();
    assert_eq!(after.records_refused, before.records_refused + 1);
    assert_eq!(after.next_seq, before.next_seq);
}

/// Checks the records of a partial line if `record_max` changes before it is stored.
fn record_max_changes() {
    let set = |value: &str| {
        std::fs::write("/sys/module/umsg/parameters/record_max", value).expect(value);
    };
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    writer.log([b'x'; 1000]);
    set("300");
    writer.log(b"end\n");
    let lengths = |records: Vec<Record>| -> Vec<(usize, bool)> {
        records.iter().map(|record| (record.text.len(), record.continues)).collect()
    };
    assert_eq!(lengths(reader.rest()), [(300, false), (300, true), (300, true), (103, true)]);
    writer.log([b'x'; 299]);
    set("2K");
    writer.log([b'x'; 1500]);
    writer.log(b"\n");
    assert_eq!(lengths(reader.rest()), [(1799, false)]);
    writer.log([b'x'; 2000]);
    set("1000");
    drop(writer);
    assert_eq!(lengths(reader.rest()), [(1000, false), (1000, true)]);
}
