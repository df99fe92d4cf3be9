// SPDX-License-Identifier: GPL-2.0

//! The style `lines`: a program writes a stream, and each line of it is a record.

pub mod partial;

use crate::client::*;
use crate::sharing::child;
use crate::Test;
use nix::errno::Errno;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

pub const TESTS: &[Test] = &[
    Test::new("lines.shell", shell),
    Test::new("lines.prefixes", prefixes),
    Test::new("lines.across_calls", across_calls).with("record_max=10"),
    Test::new("lines.across_segments", across_segments),
    Test::new("lines.long", long),
    Test::new("lines.block_buffered", block_buffered).with("capacity=4M"),
    Test::new("lines.bad_address", bad_address).with("capacity=4M"),
    Test::new("lines.full", full).with("capacity=4K policy=stop"),
    Test::new("lines.full_in_a_line", full_in_a_line).with("capacity=4K policy=stop record_max=1K"),
    Test::new("lines.other_kinds_of_write", other_kinds_of_write),
    Test::new("lines.ioctl", ioctl).with("style=plain logs=a:lines,b:kmsg"),
    Test::new("lines.end_of_buffer", end_of_buffer).with("capacity=4M record_max=16K"),
    Test::new("lines.not_mixed", not_mixed).with("capacity=16M").on_all_cpus(),
    Test::new("lines.threads", threads).with("capacity=4M").on_all_cpus(),
    Test::new("lines.writers", writers).with("capacity=8M").on_all_cpus(),
];

/// Returns the texts of all records, and whether each continues the previous line.
fn texts() -> Vec<(String, bool)> {
    Umsg::reader().rest().iter().map(|it| (it.str().to_string(), it.continues)).collect()
}

/// Returns the texts of all records. Panics if a record continues another one.
fn whole_texts() -> Vec<String> {
    texts()
        .into_iter()
        .map(|(text, continues)| {
            assert!(!continues, "{text}");
            text
        })
        .collect()
}

/// Checks that each line is a record if shell commands write to the device.
fn shell() {
    let run = |script: &str| crate::kmod::command("sh", &["-c", script]).expect(script);
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

/// Checks that the records of a stream do not depend on the writes: one write, two writes that are
/// divided at any byte, or writes of one byte.
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

fn across_segments() {
    let writer = Umsg::lines();
    let segments: [&[u8]; 7] = [b"on", b"e\ntw", b"", b"o", b"\n", b"thr", b"ee\nfo"];
    let segments = segments.map(|segment| (segment.as_ptr(), segment.len()));
    assert_eq!(crate::client::writev(&writer, &segments), Ok(16));
    assert_eq!(whole_texts(), ["one", "two", "three"]);
    writer.log("ur\n");
    assert_eq!(whole_texts(), ["one", "two", "three", "four"]);
}

/// Checks that a line becomes several records if it is longer than `record_max`.
fn long() {
    for len in [1023usize, 1024, 1025, 2047, 2048, 2049, 10_000, 100_000] {
        let line: String = (0..len).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
        let reader = Umsg::reader();
        reader.seek(0, libc::SEEK_END).expect("seek");
        for writes in [1, 2, 7] {
            let writer = Umsg::lines();
            let data = format!("<4>{line}\n");
            for segment in data.as_bytes().chunks(data.len().div_ceil(writes)) {
                writer.log(segment);
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

/// Checks that each line is a record if a program writes blocks that end within lines.
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

/// Checks that no part of a chunk is stored if the chunk contains an invalid address.
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
    // A failed write adds nothing to the partial line before it.
    writer.log("half");
    let segments = [(b" and bad".as_ptr(), 8), (BAD.cast::<u8>().cast_const(), 1)];
    assert_eq!(writev(&writer, &segments), Err(Errno::EFAULT));
    writer.log(" and half\n");
    assert_eq!(reader.next().expect("a record").text, b"half and half");
}

/// Checks that a write is short if only some of its lines fit a log with the policy `stop`.
fn full() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    let line = b"0123456789abcdef\n";
    let fit = 4096 / 72;
    writer.log(b"half");
    assert_eq!(writer.write(&line.repeat(100)), Ok(fit * line.len()));
    let other = Umsg::lines();
    assert_eq!(other.write(&line[..]), Err(Errno::ENOSPC));
    // A partial line is kept, because it may fit when it is complete.
    other.log("a half");
    assert_eq!(other.write(b" line\n"), Err(Errno::ENOSPC));
    let records = reader.rest();
    assert_eq!((records.len(), &records[0].text[..]), (fit, &b"half0123456789abcdef"[..]));
    Umsg::both().clear().expect("clear");
    other.log(" line\n");
    assert_eq!(reader.next().expect("a record").text, b"a half line");
}

/// Checks that a write is short if only some records of a line fit.
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

/// Checks that a partial line is stored first if a write in another format or style follows.
fn other_kinds_of_write() {
    let writer = Umsg::lines();
    writer.log("half");
    writer.set_options(BINARY_WRITE).expect("options");
    writer.log(entry(14, b"binary"));
    writer.set_options(0).expect("options");
    writer.log("again half");
    // A failed write does not store the partial line.
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
        file.set_style(style).expect("a valid style");
        assert_eq!(file.get_style(), style);
    }
    for style in [3, 4, 0x100, u32::MAX] {
        assert_eq!(file.set_style(style), Err(Errno::EINVAL));
        assert_eq!(file.get_style(), PLAIN);
    }
    // The style belongs to the open file description.
    let copy = nix::unistd::dup(&file).expect("dup");
    let mut seen = !0;
    file.set_style(KMSG).expect("style");
    // SAFETY: The command writes `seen`, which is valid.
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
    // The style plain shows no keys.
    Umsg::writer().log("of few words");
    let mut form = [0; 200];
    let len = Umsg::reader().read(&mut form).expect("a record");
    assert_eq!(Record::parse_plain(&form[..len]).str(), "of few words");
}

/// Checks that nothing is lost if the first line ends where the module divides the data of a write,
/// at 8192 bytes.
fn end_of_buffer() {
    for len in 8180..8200 {
        let reader = Umsg::reader();
        reader.seek(0, libc::SEEK_END).expect("seek");
        let lines = ["a".repeat(len), "second".to_owned(), "b".repeat(8191), "last".to_owned()];
        Umsg::lines().log(lines.join("\n") + "\n");
        let texts: Vec<_> = reader.rest().iter().map(|it| it.str().to_owned()).collect();
        assert!(texts == lines, "{len}: {} lines", texts.len());
    }
}

/// Checks that no record of another thread comes between the records of a line. The lines before it
/// fill the bytes that the module stores at once.
fn not_mixed() {
    let file = Umsg::lines();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.log("other\n");
            }
        });
        let data = "\n".repeat(146) + &"x".repeat(3000) + "\n";
        // The ring holds them with the records of the other thread.
        for _ in 0..200 {
            file.log(&data);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        200
    });
    let records = Umsg::reader().rest();
    let mut lines = 0;
    for (index, record) in records.iter().enumerate() {
        if record.str().starts_with('x') && !record.continues {
            let rest = &records[index..index + 3];
            let lens: Vec<_> = rest.iter().map(|it| it.text.len()).collect();
            assert_eq!(lens, [1024, 1024, 952], "line {lines}");
            assert!(rest[1..].iter().all(|it| it.continues));
            lines += 1;
        }
    }
    assert!(lines > 0 && lines <= written, "{lines} lines");
}

/// Checks that no line is torn or lost if threads of one process write to one file.
fn threads() {
    let file = Umsg::lines();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for i in 0..500 {
                    // One call writes two lines.
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

/// Checks that no line is torn or lost if processes write blocks to their own files.
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
