// SPDX-License-Identifier: GPL-2.0

//! The text format: as documented, and as util-linux `dmesg` reads it.

use crate::client::{Record, Umsg, KMSG, LINES, PLAIN, RECORD_MAX};
use crate::kmod::command;
use crate::Test;

pub const TESTS: &[Test] = &[
    Test::new("text.priorities", priorities),
    Test::new("text.escapes", escapes),
    Test::new("text.time", time),
    Test::new("text.shell", shell),
    Test::new("text.dmesg", dmesg),
    Test::new("text.dmesg_follow", dmesg_follow).on_all_cpus(),
    Test::new("text.dmesg_largest", dmesg_largest),
    Test::new("text.dmesg_escapes", dmesg_escapes),
    Test::new("text.every_buffer", every_buffer),
];

fn priorities() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for (data, priority, text) in [
        ("plain", 14, "plain"),
        ("<0>x", 8, "x"),
        ("<7>x", 15, "x"),
        ("<8>x", 8, "x"),
        ("<30>x", 30, "x"),
        ("<191>x", 191, "x"),
        ("<2047>x", 2047, "x"),
        ("<2048>x", 14, "<2048>x"),
        ("<99999>x", 14, "<99999>x"),
        ("<>x", 14, "<>x"),
        ("<-1>x", 14, "<-1>x"),
        (" <3>x", 14, " <3>x"),
        ("<3>\n", 11, ""),
        ("a\nb\n\n", 14, "a\nb\n"),
    ] {
        writer.log(data);
        let record = reader.next().expect("a record");
        assert_eq!((record.priority, record.str()), (priority, text), "{data:?}");
    }
}

fn escapes() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    // Write every byte at the start, in the middle and repeated.
    for byte in 0..=255u8 {
        for data in [vec![byte, b'.'], vec![b'a', byte, b'b'], vec![byte; 3]] {
            writer.log(&data);
            let mut shown = [0; 8192];
            let len = reader.read(&mut shown).expect("a record");
            let want = if data.ends_with(b"\n") { &data[..2] } else { &data[..] };
            assert_eq!(Record::parse(&shown[..len]).text, want);
            let plain = matches!(byte, b' '..=b'~') && byte != b'\\';
            let escape = format!("\\x{byte:02x}");
            let has = shown[..len].windows(4).any(|window| window == escape.as_bytes());
            assert_eq!(has, !plain, "{byte:#x}");
        }
    }
    // A text that looks like keys is escaped.
    writer.log("x\n PID=1\n UID=0");
    let record = reader.next().expect("a record");
    assert_eq!(record.text, b"x\n PID=1\n UID=0");
    assert_eq!(record.pid, std::process::id() as i32);
}

/// Checks that the time of a record is that of `CLOCK_MONOTONIC`.
fn time() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let now = || -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: The call writes `time`, which is valid.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) }, 0);
        time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
    };
    for _ in 0..100 {
        let before = now();
        writer.log("x");
        let after = now();
        let record = reader.next().expect("a record");
        assert!((before..=after).contains(&record.usec), "{before} {} {after}", record.usec);
    }
}

/// Checks the records of shell commands, and that `cat` shows them.
fn shell() {
    let run = |script: &str| command("sh", &["-c", script]).expect(script);
    run("echo hello > /dev/umsg");
    run("printf '<3>%s' 'no newline' > /dev/umsg");
    run("printf 'two\\nlines\\n' > /dev/umsg");
    let reader = Umsg::reader();
    let texts: Vec<_> = reader.rest().iter().map(|record| record.str().to_string()).collect();
    assert_eq!(texts, ["hello", "no newline", "two", "lines"]);
    // cat waits for more records until timeout ends it.
    let seen = run("timeout 2 cat /dev/umsg || [ $? -ge 124 ]");
    assert_eq!(seen.matches(';').count(), 4, "{seen}");
    assert!(seen.contains(",-;hello\n PID="), "{seen}");
}

/// Runs a shell command with /dev/umsg bound over /dev/kmsg.
fn dmesg_here(arguments: &str) -> String {
    let script = format!("mount --bind /dev/umsg /dev/kmsg && {arguments}");
    command("unshare", &["--mount", "sh", "-c", &script]).expect("dmesg")
}

fn dmesg() {
    let writer = Umsg::writer();
    writer.log("<3>an error");
    writer.log("<30>from a daemon");
    writer.log("tab\tand \\ backslash and \u{e4}");
    writer.log("first line\nsecond line\n");
    writer.log("<0>emergency");
    let raw = dmesg_here("dmesg --raw");
    let bodies: Vec<_> =
        raw.lines().map(|line| line.split_once("] ").map_or(line, |(_, body)| body)).collect();
    assert!(bodies.contains(&"an error"), "{raw}");
    assert!(raw.contains("<11>[") && raw.contains("<30>[") && raw.contains("<8>["), "{raw}");
    assert!(bodies.iter().any(|line| line.starts_with("tab\tand \\ backslash and ")), "{raw}");
    assert!(raw.contains("first line\n") && raw.contains("second line"), "{raw}");
    let errors = dmesg_here("dmesg --level=err");
    assert!(errors.contains("an error") && errors.lines().count() == 1, "{errors}");
    let daemon = dmesg_here("dmesg --facility=daemon --notime");
    assert_eq!(daemon, "from a daemon\n");
    let json = dmesg_here("dmesg --json");
    assert_eq!(json.matches("\"msg\"").count(), 5, "{json}");
    // After a clear, dmesg shows only later records.
    Umsg::open(libc::O_RDWR).expect("open").style(KMSG).clear().expect("clear");
    writer.log("after the clear");
    assert_eq!(dmesg_here("dmesg --notime"), "after the clear\n");
}

fn dmesg_follow() {
    let writer = Umsg::writer();
    writer.log("before");
    let follower = std::thread::spawn(|| {
        dmesg_here("{ timeout 3 dmesg --follow --notime || [ $? -ge 124 ]; }")
    });
    for i in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        writer.log(format!("line {i}"));
    }
    let seen = follower.join().expect("dmesg");
    let want: Vec<_> =
        ["before".to_string()].into_iter().chain((0..20).map(|i| format!("line {i}"))).collect();
    assert_eq!(seen.lines().collect::<Vec<_>>(), want);
}

/// Checks that dmesg, whose buffer has 2 KiB, reads on after a record of the default `record_max`.
fn dmesg_largest() {
    largest(b'x');
}

/// Checks that dmesg reads on after a record that is truncated, because every byte is escaped.
fn dmesg_escapes() {
    largest(0xff);
}

fn largest(byte: u8) {
    let writer = Umsg::writer();
    writer.log(vec![byte; RECORD_MAX]);
    writer.log("the one after it");
    let seen = dmesg_here("dmesg --notime | tail -n 1");
    assert_eq!(seen, "the one after it\n");
}

/// Checks that no record blocks a reader, for each style and each buffer size: a read returns as
/// much of the text as fits and the number of missing bytes, or it fails.
fn every_buffer() {
    let texts = [
        vec![],
        vec![b'x'; RECORD_MAX],
        vec![0xff; RECORD_MAX],
        "\u{e9}".repeat(100).into_bytes(),
        (0..RECORD_MAX).map(|i| if i % 5 == 0 { b'\\' } else { b'y' }).collect(),
    ];
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let mut tried = 0;
    for text in &texts {
        writer.log([&text[..], b"\n"].concat());
        let seq = writer.info().next_seq - 1;
        for style in [LINES, KMSG, PLAIN] {
            reader.set_style(style).expect("style");
            reader.seek_seq(seq).expect("seek");
            let whole = reader.next_size().expect("a size");
            let mut buffer = vec![0u8; 9000];
            // Try every size up to 50 bytes more than the record needs, and then every 97th. In the
            // debug kernel, which is slow, try every fifth of the smaller sizes.
            let step = if crate::kmod::finds_leaks() { 5 } else { 1 };
            for size in (1..whole + 50).step_by(step).chain((whole + 50..9000).step_by(97)) {
                reader.seek_seq(seq).expect("seek");
                buffer[..size].fill(0xee);
                tried += 1;
                let len = match reader.read(&mut buffer[..size]) {
                    Ok(len) => len,
                    Err(error) => {
                        assert_eq!(error, nix::errno::Errno::EINVAL);
                        assert!(size < 150 && size < whole, "{size} of {whole}");
                        assert!(buffer[..size].iter().all(|byte| *byte == 0xee));
                        // The styles kmsg and plain consume the record, as /dev/kmsg does.
                        let next = reader.next_size();
                        assert_eq!(next.is_ok(), style == LINES, "{size} of {whole}");
                        continue;
                    }
                };
                let (record, cut) = match style {
                    PLAIN => {
                        let record = Record::parse_plain(&buffer[..len]);
                        let cut = text.len() - record.text.len();
                        (record, cut)
                    }
                    _ => {
                        let record = Record::parse(&buffer[..len]);
                        let cut = record.cut;
                        (record, cut)
                    }
                };
                assert_eq!(record.text, text[..text.len() - cut], "{size} of {whole}");
                assert_eq!(cut == 0, size >= whole, "{size} of {whole}");
                // Less space is left than an escaped byte (4) and spare digits of CUT (4) need.
                assert!(cut == 0 || size - len < 4 + 4, "{len} of {size}");
            }
        }
    }
    println!("{tried} buffers");
}
