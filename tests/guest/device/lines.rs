// SPDX-License-Identifier: GPL-2.0

//! The style `lines`: what programs write is a stream, and each line of it a record.

use crate::abi::*;
use crate::sharing::child;
use crate::Test;
use nix::errno::Errno;
use nix::sys::socket;
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd};

pub const TESTS: &[Test] = &[
    Test::new("lines.shell", shell),
    Test::new("lines.prefixes", prefixes),
    Test::new("lines.across_calls", across_calls).with("record_max=10"),
    Test::new("lines.across_pieces", across_pieces),
    Test::new("lines.long", long),
    Test::new("lines.block_buffered", block_buffered).with("capacity=4M"),
    Test::new("lines.other_process", other_process),
    Test::new("lines.same_number", same_number),
    Test::new("lines.same_process", same_process),
    Test::new("lines.other_user", other_user),
    Test::new("lines.released", released),
    Test::new("lines.time", time).with("capacity=256K"),
    Test::new("lines.bad_address", bad_address).with("capacity=4M"),
    Test::new("lines.full", full).with("capacity=4K policy=stop"),
    Test::new("lines.full_in_a_line", full_in_a_line).with("capacity=4K policy=stop record_max=1K"),
    Test::new("lines.full_at_release", full_at_release).with("capacity=4K policy=stop"),
    Test::new("lines.record_max_changes", record_max_changes),
    Test::new("lines.other_kinds_of_write", other_kinds_of_write),
    Test::new("lines.ioctl", ioctl).with("style=plain logs=a:lines,b:kmsg"),
    Test::new("lines.threads", threads).with("capacity=4M").on_all_cpus(),
    Test::new("lines.writers", writers).with("capacity=8M").on_all_cpus(),
    Test::new("lines.released_by_io_uring", released_by_io_uring).on_all_cpus(),
];

/// The texts of all records, and whether each continues the line before.
fn texts() -> Vec<(String, bool)> {
    Umsg::reader().rest().iter().map(|it| (it.str().to_string(), it.continues)).collect()
}

/// The texts of all records, none of which continues another.
fn whole_texts() -> Vec<String> {
    texts()
        .into_iter()
        .map(|(text, continues)| {
            assert!(!continues, "{text}");
            text
        })
        .collect()
}

/// What people type.
fn shell() {
    let run = |script: &str| crate::kernel::command("sh", &["-c", script]).expect(script);
    run("seq 1 1000 >/dev/umsg");
    run("printf 'a\\n\\nb' >/dev/umsg");
    run("seq 5 | tee /dev/umsg");
    run("seq 3 >/tmp/three && cat /tmp/three >/dev/umsg");
    let numbers = |count: usize| (1..=count).map(|i| i.to_string());
    let want: Vec<String> = numbers(1000)
        .chain(["a", "", "b"].map(String::from))
        .chain(numbers(5))
        .chain(numbers(3))
        .collect();
    assert_eq!(whole_texts(), want);
}

fn prefixes() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    writer.log("<3>error\nplain\n<30>daemon\n<0>\n<2048>text\n<9");
    drop(writer);
    let got: Vec<_> = reader.rest().into_iter().map(|it| (it.priority, it.text)).collect();
    let want: [(u16, &[u8]); 6] = [
        (11, b"error"),
        (14, b"plain"),
        (30, b"daemon"),
        (8, b""),
        (14, b"<2048>text"),
        (14, b"<9"),
    ];
    assert_eq!(got, want.map(|(priority, text)| (priority, text.to_vec())));
}

/// A stream, cut into two writes at each byte, and into writes of one byte.
fn across_calls() {
    let stream = b"<11>one\n<12>exactly 10\ntwo\n\n<13>longer than ten bytes\nend\n";
    let reader = Umsg::reader();
    let seen = || -> Vec<_> {
        reader.rest().into_iter().map(|it| (it.priority, it.text, it.continues)).collect()
    };
    Umsg::lines().log(stream);
    let want = seen();
    let texts: Vec<_> = want.iter().map(|(_, text, _)| text.escape_ascii().to_string()).collect();
    assert_eq!(texts, ["one", "exactly 10", "two", "", "longer tha", "n ten byte", "s", "end"]);
    let continues: Vec<_> = want.iter().map(|(_, _, continues)| *continues).collect();
    assert_eq!(continues, [false, false, false, false, false, true, true, false]);
    assert!(want[4..7].iter().all(|(priority, ..)| *priority == 13), "{want:?}");
    for cut in 1..stream.len() {
        let writer = Umsg::lines();
        writer.log(&stream[..cut]);
        writer.log(&stream[cut..]);
        assert_eq!(seen(), want, "cut at {cut}");
    }
    let writer = Umsg::lines();
    for byte in stream {
        writer.log([*byte]);
    }
    assert_eq!(seen(), want);
}

fn across_pieces() {
    let writer = Umsg::lines();
    let pieces: [&[u8]; 7] = [b"on", b"e\ntw", b"", b"o", b"\n", b"thr", b"ee\nfo"];
    let pieces = pieces.map(|piece| (piece.as_ptr(), piece.len()));
    assert_eq!(crate::abi::writev(&writer, &pieces), Ok(16));
    assert_eq!(whole_texts(), ["one", "two", "three"]);
    writer.log("ur\n");
    assert_eq!(whole_texts(), ["one", "two", "three", "four"]);
}

/// A line longer than a record, at and around the multiples of its length.
fn long() {
    for len in [1023usize, 1024, 1025, 2047, 2048, 2049, 10_000, 100_000] {
        let line: String = (0..len).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
        let reader = Umsg::reader();
        reader.seek(0, libc::SEEK_END).expect("seek");
        for writes in [1, 2, 7] {
            let writer = Umsg::lines();
            let data = format!("<4>{line}\n");
            for piece in data.as_bytes().chunks(data.len().div_ceil(writes)) {
                writer.log(piece);
            }
            let records = reader.rest();
            assert_eq!(records.len(), len.div_ceil(1024), "{len} in {writes}");
            for (index, record) in records.iter().enumerate() {
                assert_eq!((record.continues, record.priority), (index > 0, 12), "{len}");
            }
            let whole: Vec<u8> = records.into_iter().flat_map(|record| record.text).collect();
            assert!(whole == line.as_bytes(), "{len} in {writes}");
        }
    }
}

/// As programs write that buffer their output: in blocks that end within lines.
fn block_buffered() {
    for block in [1, 100, 1279, 1280, 1281, 4096, 8191, 8192, 8193, 100_000] {
        let reader = Umsg::reader();
        reader.seek(0, libc::SEEK_END).expect("seek");
        let count = if block == 1 { 100 } else { 3000 };
        let mut out = std::io::BufWriter::with_capacity(
            block,
            std::fs::File::options().write(true).open(NODE).expect(NODE),
        );
        for i in 0..count {
            writeln!(out, "line {i} of a program").expect("write");
        }
        out.flush().expect("flush");
        let records = reader.rest();
        assert_eq!(records.len(), count, "in blocks of {block}");
        for (i, record) in records.iter().enumerate() {
            assert_eq!(record.str(), format!("line {i} of a program"));
        }
    }
}

/// Another process that writes to the same open file does not end the line of the first.
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

/// Nor does a later process with the same number.
fn same_number() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    let first = child(|| writer.log("the first one's, "));
    let pid = first.pid();
    first.join();
    // As fork(), but with that process id.
    let ids = [pid.as_raw()];
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.set_tid = ids.as_ptr() as u64;
    arguments.set_tid_size = 1;
    // SAFETY: The child does nothing but a system call, and ends.
    let second =
        unsafe { libc::syscall(libc::SYS_clone3, &arguments, std::mem::size_of_val(&arguments)) };
    if second == 0 {
        let wrote = writer.write(b"the second one's\n") == Ok(17);
        // SAFETY: Ends this process at once.
        unsafe { libc::_exit(i32::from(!wrote)) }
    }
    assert_eq!(second, i64::from(pid.as_raw()), "{}", Errno::last());
    let status = nix::sys::wait::waitpid(pid, None).expect("waitpid");
    assert_eq!(status, nix::sys::wait::WaitStatus::Exited(pid, 0));
    let got: Vec<_> = reader.rest().iter().map(|it| (it.str().to_string(), it.pid)).collect();
    let want = ["the first one's, ", "the second one's"];
    assert_eq!(got, want.map(|text| (text.to_string(), pid.as_raw())));
}

/// A process stays the same when it executes another program.
fn same_process() {
    let run = "exec >/dev/umsg; printf 'the shell and '; exec sh -c 'echo what it became'";
    crate::kernel::command("sh", &["-c", run]).expect(run);
    assert_eq!(whole_texts(), ["the shell and what it became"]);
}

/// Nor does the same process, as another user.
fn other_user() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    child(|| {
        // SAFETY: Nothing but numbers.
        let become_user = |real, effective| unsafe {
            assert_eq!(libc::setresuid(real, effective, 0), 0);
        };
        become_user(1000, 0);
        writer.log("a user's half");
        become_user(1001, 0);
        writer.log("another's line\nanother's half, ");
        // The real user id alone is what counts.
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

/// What has no newline is stored when the last owner of the open file is gone, however that
/// happens, with the identity of who wrote it.
fn released() {
    let reader = Umsg::open(libc::O_RDONLY).expect("open");
    let check = |text: &str, pid: i32, uid: u32| {
        let record = reader.next().expect("a record");
        assert_eq!((record.str(), record.pid, record.uid), (text, pid, uid));
    };
    let as_user = |uid: u32, text: &str| {
        let writer = Umsg::lines();
        // SAFETY: Nothing but numbers.
        assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
        writer.log(text);
        writer
    };
    // An exit.
    let ended = child(|| drop(as_user(1000, "at exit")));
    let pid = ended.pid().as_raw();
    ended.join();
    check("at exit", pid, 1000);
    // SIGKILL.
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
    // The last of several owners, another user.
    let file = Umsg::lines();
    let first = child(|| {
        // SAFETY: Nothing but numbers.
        assert_eq!(unsafe { libc::setresuid(1002, 1002, 1002) }, 0);
        file.log("of the first owner");
    });
    let pid = first.pid().as_raw();
    first.join();
    let copy = nix::unistd::dup(&file).expect("dup");
    drop(file);
    assert_eq!(Umsg::reader().rest().len(), 2, "the second owner is still there");
    drop(copy);
    check("of the first owner", pid, 1002);
    // In a socket that nobody reads any more.
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
    assert_eq!(Umsg::reader().rest().len(), 3, "it is on its way");
    drop((one, other));
    check("in a socket", std::process::id() as i32, 0);
}

/// A half line has the time at which it was written, not the one at which it was stored; whoever
/// seeks by time finds the others all the same.
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

/// Nothing of a block of which a part cannot be read is stored.
fn bad_address() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    let good = b"0123456789abcde\n".repeat(4096);
    for first in [0, 1, 16, 17, 1280, 8191, 8192, 8193, 16384, 60_000] {
        let bad = (BAD.cast::<u8>().cast_const(), 64);
        match writev(&writer, &[(good.as_ptr(), first), bad]) {
            Ok(len) => {
                assert!(len <= first && len % 8192 == 0, "{len} of {first}");
                assert_eq!(reader.rest().len(), len / 16);
            }
            Err(error) => {
                assert_eq!((error, reader.next()), (Errno::EFAULT, Err(Errno::EAGAIN)), "{first}");
            }
        }
    }
    // Nor is a half line of before lost, or another added to it.
    writer.log("half");
    let pieces = [(b" and bad".as_ptr(), 8), (BAD.cast::<u8>().cast_const(), 1)];
    assert_eq!(writev(&writer, &pieces), Err(Errno::EFAULT));
    writer.log(" and half\n");
    assert_eq!(reader.next().expect("a record").text, b"half and half");
}

/// A log that stops takes the lines that fit, and says how many bytes that was.
fn full() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    let line = b"0123456789abcdef\n";
    let fit = 4096 / 72;
    writer.log(b"half");
    assert_eq!(writer.write(&line.repeat(100)), Ok(fit * line.len()));
    let other = Umsg::lines();
    assert_eq!(other.write(&line[..]), Err(Errno::ENOSPC));
    // A half line is kept, because there may be room for it by then.
    other.log("a half");
    assert_eq!(other.write(b" line\n"), Err(Errno::ENOSPC));
    let records = reader.rest();
    assert_eq!((records.len(), &records[0].text[..]), (fit, &b"half0123456789abcdef"[..]));
    Umsg::both().clear().expect("clear");
    other.log(" line\n");
    assert_eq!(reader.next().expect("a record").text, b"a half line");
}

/// A line of several records of which only some fit.
fn full_in_a_line() {
    let writer = Umsg::lines();
    let line = [b'x'; 10_000];
    let records = 4096 / (56 + 1024);
    assert_eq!(writer.write(&line), Ok(records * 1024));
    assert_eq!(writer.write(&line[records * 1024..]), Err(Errno::ENOSPC));
    Umsg::both().clear().expect("clear");
    let reader = Umsg::reader();
    reader.seek(0, libc::SEEK_END).expect("seek");
    writer.log(b"<1>the rest\n");
    let rest = reader.next().expect("a record");
    assert_eq!((rest.str(), rest.continues, rest.priority), ("<1>the rest", true, 14));
}

/// What a full log refuses when a file is released counts as refused.
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

/// The limit may change while a half line is kept.
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

/// What follows a half line in binary format, or in another style, comes after it.
fn other_kinds_of_write() {
    let writer = Umsg::lines();
    writer.log("half");
    writer.set_options(BINARY_WRITE).expect("options");
    writer.log(entry(14, b"binary"));
    writer.set_options(0).expect("options");
    writer.log("again half");
    // A write that stores nothing does not store that either.
    let bad = [(BAD.cast::<u8>().cast_const(), 64)];
    for (options, style) in [(BINARY_WRITE, LINES), (0, KMSG), (0, PLAIN)] {
        writer.set_options(options).expect("options");
        writer.set_style(style).expect("style");
        assert_eq!(writev(&writer, &bad), Err(Errno::EFAULT));
        let long = if options == 0 { vec![b'x'; 1025] } else { entry(14, &[b'x'; 1025]) };
        assert_eq!(writer.write(&long), Err(Errno::EMSGSIZE));
        assert_eq!(writer.info().next_seq, 2);
    }
    writer.set_style(KMSG).expect("style");
    writer.log("a\nb");
    writer.set_style(LINES).expect("style");
    writer.log("end\n");
    assert_eq!(whole_texts(), ["half", "binary", "again half", "a\nb", "end"]);
}

fn ioctl() {
    let file = Umsg::reader();
    assert_eq!((file.get_style(), file.info().style), (PLAIN, PLAIN));
    for style in [LINES, KMSG, PLAIN] {
        file.set_style(style).expect("a style that there is");
        assert_eq!(file.get_style(), style);
    }
    for style in [3, 4, 0x100, u32::MAX] {
        assert_eq!(file.set_style(style), Err(Errno::EINVAL));
        assert_eq!(file.get_style(), PLAIN);
    }
    // Of the open file, shared by those who share that.
    let copy = nix::unistd::dup(&file).expect("dup");
    let mut seen = !0;
    file.set_style(KMSG).expect("style");
    // SAFETY: `seen` is what the command writes.
    unsafe { ioctl_get_style(copy.as_fd().as_raw_fd(), &mut seen) }.expect("UMSG_IOC_GET_STYLE");
    assert_eq!((seen, Umsg::reader().get_style()), (KMSG, PLAIN));
    for (name, style) in [("a", LINES), ("b", KMSG)] {
        let node = format!("{NODE}-{name}");
        let file = Umsg::open_at(&node, libc::O_RDWR | libc::O_NONBLOCK).expect(&node);
        assert_eq!((file.get_style(), file.info().style), (style, style));
        file.log("one\ntwo\n");
        let text = file.next().expect("a record").text;
        assert_eq!(text, if style == LINES { &b"one"[..] } else { b"one\ntwo" });
    }
    // A text without lines of keys.
    Umsg::writer().log("of few words");
    let mut form = [0; 200];
    let len = Umsg::reader().read(&mut form).expect("a record");
    assert_eq!(Record::parse_plain(&form[..len]).str(), "of few words");
}

/// Threads that flush one buffer: lines are whole, and none is lost.
fn threads() {
    let file = Umsg::lines();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for i in 0..500 {
                    // One call, of which each line is a record.
                    file.log(format!("thread {thread} begins {i}\nthread {thread} ends {i}\n"));
                }
            });
        }
    });
    let mut next = [0; 4];
    for text in whole_texts() {
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!((words.len(), words[0]), (4, "thread"), "{text}");
        let thread: usize = words[1].parse().expect("a thread");
        let want = format!("{} {}", ["begins", "ends"][next[thread] % 2], next[thread] / 2);
        assert_eq!(format!("{} {}", words[2], words[3]), want, "thread {thread}");
        next[thread] += 1;
    }
    assert_eq!(next, [1000; 4]);
}

/// Processes with files of their own, in blocks that end within lines.
fn writers() {
    let children: Vec<_> = (0..4)
        .map(|process| {
            child(move || {
                let file = std::fs::File::options().write(true).open(NODE).expect(NODE);
                let mut out = std::io::BufWriter::with_capacity(1000, file);
                for i in 0..2000 {
                    writeln!(out, "process {process} line {i}").expect("write");
                }
                out.flush().expect("flush");
            })
        })
        .collect();
    children.into_iter().for_each(|child| child.join());
    let mut next = [0; 4];
    for text in whole_texts() {
        let words: Vec<&str> = text.split(' ').collect();
        let process: usize = words[1].parse().expect("a process");
        assert_eq!(text, format!("process {process} line {}", next[process]));
        next[process] += 1;
    }
    assert_eq!(next, [2000; 4]);
}

/// A file that io_uring closes, or of which it has the last reference, from a thread of its own.
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
        // By turns in this thread, and in one of the kernel's.
        let flags = match round % 2 {
            0 => io_uring::squeue::Flags::empty(),
            _ => io_uring::squeue::Flags::ASYNC,
        };
        let close = opcode::Close::new(fd).build().flags(flags);
        // SAFETY: The text lives until both have ended.
        unsafe { ring.submission().push(&write.build().flags(flags)) }.expect("room");
        ring.submit_and_wait(1).expect("io_uring_enter");
        assert_eq!(ring.completion().next().expect("a result").result(), text.len() as i32);
        // SAFETY: It has no memory.
        unsafe { ring.submission().push(&close) }.expect("room");
        ring.submit_and_wait(1).expect("io_uring_enter");
        assert_eq!(ring.completion().next().expect("a result").result(), 0);
        std::mem::forget(file);
        let record = reader.next().expect("a record");
        assert_eq!((record.str(), record.pid), (text.as_str(), std::process::id() as i32));
    }
}
