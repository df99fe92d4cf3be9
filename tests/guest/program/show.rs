// SPDX-License-Identifier: GPL-2.0

//! Listing records: formats, filters and order.

use crate::command::{
    comm, finished, in_a_flood, put, run, run_with, shown, umsg, wait_for_call, Running,
};
use crate::harness::Test;
use nix::sched::{unshare, CloneFlags};
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;

pub const TESTS: &[Test] = &[
    Test::new("program.formats", formats),
    Test::new("program.kmsg_format", kmsg_format),
    Test::new("program.filters", filters),
    Test::new("program.times", times),
    Test::new("program.time_namespace", time_namespace),
    Test::new("program.order", order).with("logs=app,boot"),
    Test::new("program.cleared", cleared),
    Test::new("program.losses", losses).with("capacity=4K"),
    Test::new("program.overwritten_meanwhile", overwritten_meanwhile).with("capacity=1M"),
    Test::new("program.losses_in_a_flood", losses_in_a_flood).with("capacity=64K"),
    Test::new("program.control_characters", control_characters),
    Test::new("program.round_trip", round_trip).with("capacity=16M"),
];

fn formats() {
    put("/dev/umsg", "<11>disk full\n<30>\x1b[31mred\n");
    put("/dev/umsg", b"<30>bad \xff\n");
    let pid = std::process::id();
    let short = shown(&[]);
    let lines: Vec<&str> = short.lines().collect();
    assert_eq!(lines.len(), 3, "{short}");
    assert!(lines[0].ends_with(&format!(" {}[{pid}]: disk full", comm())), "{short}");
    assert!(lines[1].contains("\\x1b[31mred"), "{short}");
    let iso = shown(&["-o", "iso", "-n", "1"]);
    assert!(iso.starts_with("20") && iso[19..].contains(&format!("+00:00 {}[", comm())), "{iso}");
    let monotonic = shown(&["--time", "monotonic", "-n", "1"]);
    assert!(monotonic.starts_with("[ "), "{monotonic}");
    assert_eq!(shown(&["-o", "cat", "-n", "3"]).lines().next(), Some("disk full"));
    assert_eq!(shown(&["-o", "raw"]).lines().next(), Some("<11>disk full"));
    let json = shown(&["-o", "json"]);
    let objects: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!((&objects[0]["text"], &objects[0]["level"]), (&"disk full".into(), &"err".into()));
    assert_eq!((&objects[0]["facility"], &objects[0]["pid"]), (&"user".into(), &pid.into()));
    assert_eq!(objects[2]["text"][4], 255);
    // A parser of JSON may take numbers above 2^53 for inexact ones; none occurs here.
    assert_eq!(objects[2]["seq"], 2);
}

/// Checks that the format `kmsg` is that of the device.
fn kmsg_format() {
    put("/dev/umsg", b"<2047>any \\ bytes: \x01\xff\n<0>two\n".repeat(5));
    put("/dev/umsg", vec![b'x'; 3000]);
    let mut device = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open("/dev/umsg")
        .expect("/dev/umsg");
    let mut want = Vec::new();
    let mut buffer = [0; 65536];
    // The read fails with EAGAIN after the last record.
    while let Ok(len) = device.read(&mut buffer) {
        want.extend_from_slice(&buffer[..len]);
    }
    assert_eq!(shown(&["-o", "kmsg"]).into_bytes(), want);
}

fn filters() {
    put("/dev/umsg", "<8>emerg\n<11>err\n<14>info\n<15>debug\n<27>daemon err\n<131>local\n");
    let (status, _, _) = run(&["run", "umsg", "--", "sh", "-c", "echo from the shell"]);
    assert_eq!(status, 0);
    let texts = |filter: &[&str]| -> Vec<String> {
        let arguments = [filter, &["-o", "cat"]].concat();
        shown(&arguments).lines().map(str::to_owned).collect()
    };
    assert_eq!(texts(&["-p", "err"]), ["emerg", "err", "daemon err", "local"]);
    assert_eq!(texts(&["-p", "info..debug"]), ["info", "debug", "from the shell"]);
    assert_eq!(texts(&["-p", "7..6", "-n", "1"]), ["from the shell"]);
    assert_eq!(texts(&["--facility", "daemon,local0"]), ["daemon err", "local"]);
    assert_eq!(texts(&["--facility", "3"]), ["daemon err"]);
    assert_eq!(texts(&["--comm", "sh"]), ["from the shell"]);
    assert_eq!(texts(&["-g", "^daemon E?"]), ["daemon err"]);
    assert_eq!(texts(&["-g", "ERR|shell"]), ["from the shell"], "capitals");
    assert_eq!(texts(&["-g", "err|shell"]), ["err", "daemon err", "from the shell"]);
}

fn times() {
    put("/dev/umsg", "one\ntwo\n");
    let first: Value =
        serde_json::from_str(shown(&["-o", "json", "-n", "1"]).trim()).expect("an object");
    let seconds = first["usec"].as_f64().expect("a number") / 1e6;
    assert_eq!(shown(&["--since", "today", "-o", "cat"]), "one\ntwo\n");
    assert_eq!(
        shown(&["--since", &format!("{:.6}", (seconds - 100.0).max(0.0)), "-o", "cat"]),
        "one\ntwo\n"
    );
    for (option, time) in [
        ("--since", format!("{:.6}", seconds + 1.0)),
        ("--since", "+1h".to_owned()),
        ("--until", "yesterday".to_owned()),
        ("--until", "-1h".to_owned()),
    ] {
        assert_eq!(run(&[option, &time]), (1, String::new(), String::new()), "{option} {time}");
    }
    // The time in the output selects the records, too.
    let time = first["time"].as_str().expect("a time");
    let (hour, rest) = time.split_at(19);
    let before = format!("{hour}Z");
    assert!(rest.starts_with('.'));
    assert_eq!(shown(&["--since", &before, "-o", "cat"]), "one\ntwo\n");
    let shown_time = format!("{:.6}", seconds);
    assert_eq!(shown(&["--until", &shown_time, "-o", "cat"]), "one\ntwo\n");
    assert_eq!(shown(&["--until", time, "-o", "cat"]), "one\ntwo\n");
}

/// Checks that times are right in a time namespace whose clocks differ by some days.
fn time_namespace() {
    put("/dev/umsg", "one\n");
    let inside = |arguments: &[&str]| {
        let mut command = umsg(arguments);
        // SAFETY: The function calls only the kernel, and allocates nothing.
        unsafe {
            command.pre_exec(|| {
                // exec(2) enters the new namespace.
                unshare(CloneFlags::from_bits_retain(libc::CLONE_NEWTIME))?;
                std::fs::write(
                    "/proc/self/timens_offsets",
                    "monotonic 300000 0\nboottime 500000 0\n",
                )
            });
        }
        let (status, out, err) = finished(command.output().expect("./umsg"));
        assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    };
    // The relation of the clocks is measured by each call.
    let second = |json: String| -> jiff::Timestamp {
        let object: Value = serde_json::from_str(json.trim()).expect("an object");
        object["time"].as_str().expect("a time").parse().expect("a time")
    };
    let difference = second(inside(&["-o", "json"])) - second(shown(&["-o", "json"]));
    assert!(difference.get_seconds().abs() < 2, "{difference}");
    let exact = ["--time", "monotonic"];
    assert_eq!(inside(&exact), shown(&exact));
    assert_eq!(inside(&["--since", "-1h", "-o", "cat"]), "one\n");
}

/// Checks -n and -r, and that several logs are merged by time.
fn order() {
    for number in 0..50 {
        let node = ["/dev/umsg", "/dev/umsg-app", "/dev/umsg-boot"][number * 7 % 3];
        put(node, format!("{number}\n"));
    }
    let all: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let texts = |arguments: &[&str]| -> Vec<String> {
        shown(arguments).lines().map(str::to_owned).collect()
    };
    assert_eq!(texts(&["-m", "-o", "cat"]), all);
    assert_eq!(texts(&["-o", "cat", "boot", "umsg", "app", "boot"]), all);
    assert_eq!(texts(&["-m", "-o", "cat", "-n", "7"]), all[43..]);
    assert_eq!(texts(&["-m", "-o", "cat", "-n", "0"]), all[50..]);
    assert_eq!(texts(&["-m", "-o", "cat", "-n", "all"]), all);
    let reversed: Vec<String> = all.iter().rev().cloned().collect();
    assert_eq!(texts(&["-m", "-o", "cat", "-r"]), reversed);
    assert_eq!(texts(&["-m", "-o", "cat", "-r", "-n", "3", "-p", "info"]), reversed[..3]);
    let app = shown(&["-m", "-n", "1", "--time", "monotonic"]);
    let log = ["umsg", "app", "boot"].into_iter();
    assert!(log.map(|log| format!("] {log} {}[", comm())).any(|part| app.contains(&part)), "{app}");
}

fn cleared() {
    put("/dev/umsg", "before\n");
    assert_eq!(shown(&["clear"]), "");
    assert_eq!(shown(&["-o", "cat"]), "");
    put("/dev/umsg", "after\n");
    assert_eq!(shown(&["-o", "cat"]), "after\n");
    assert_eq!(shown(&["-o", "cat", "-n", "5"]), "after\n");
    assert_eq!(shown(&["-o", "cat", "-a"]), "before\nafter\n");
}

/// Checks that losses are shown in every format, also those before records that do not match. A
/// reader that is opened later than the loss has lost nothing.
fn losses() {
    const FILE: &str = "/tmp/losses";
    put("/dev/umsg", "first\n");
    let _ = std::fs::remove_file(FILE);
    assert_eq!(shown(&["--state", FILE, "-o", "cat"]), "first\n");
    let state = std::fs::read(FILE).expect("the state");
    put("/dev/umsg", "x\n".repeat(1000) + "last\n");
    let lost = umsg::Log::default().info().expect("info").oldest_seq - 1;
    assert!(lost > 900);
    for (format, place) in [
        ("short", format!("-- {lost} records lost --\n")),
        ("iso", format!("-- {lost} records lost --\n")),
        ("json", format!("{{\"log\":\"umsg\",\"lost\":{lost},\"seq\":{}}}\n", lost + 1)),
        ("kmsg", format!(" LOST={lost}\n")),
        ("cat", format!("umsg: {lost} records of umsg lost\n")),
        ("raw", format!("umsg: {lost} records of umsg lost\n")),
    ] {
        for filter in [&[][..], &["-g", "last"]] {
            std::fs::write(FILE, &state).expect("the state");
            let (status, out, err) = run(&[&["--state", FILE, "-o", format], filter].concat());
            let (with, without) = if err.is_empty() { (out, err) } else { (err, out) };
            assert_eq!(status, 0);
            assert_eq!(with.matches(&place).count(), 1, "{format} {filter:?}: {with}");
            assert!(!without.contains("lost"));
        }
    }
    assert!(!shown(&[]).contains("lost"));
    assert!(!shown(&["-o", "kmsg"]).contains("LOST"));
}

/// Checks that records that the log had at the call are counted if they are overwritten while the
/// output waits for its reader.
fn overwritten_meanwhile() {
    let put_numbers = |count: u32| {
        let mut writer = umsg::Log::default().writer().expect("a writer");
        let mut batch = umsg::Batch::new();
        for number in 0..count {
            batch.push(umsg::Priority::default(), &number.to_ne_bytes());
        }
        writer.write_batch(&mut batch).expect("written");
    };
    let written = 10_000;
    put_numbers(written);
    let mut running = Running::new(&["-o", "json"]);
    // 1 is the number of write(2).
    wait_for_call(&running.child, 1);
    put_numbers(30_000);
    let (output, status) = running.rest();
    assert_eq!(status, Some(0));
    let mut next = 0;
    for line in output.lines() {
        let object: Value = serde_json::from_str(line).expect(line);
        match object["lost"].as_u64() {
            Some(lost) => next += lost,
            None => {
                assert_eq!(object["seq"], next);
                next += 1;
            }
        }
    }
    assert!(next >= written.into(), "{next} records of {written} were shown or counted");
}

/// Checks that losses are counted if no record matches, and that they are at their place among
/// reversed records.
fn losses_in_a_flood() {
    // Each loss depends on the time between two calls of the program.
    let until_lost = |arguments: &[&str]| {
        let found = (0..200).map(|_| run(arguments)).find(|(_, out, err)| {
            assert!(!err.contains("panicked"), "{err}");
            out.contains("lost") || err.contains("lost")
        });
        found.unwrap_or_else(|| panic!("{arguments:?} lost no records in 200 calls"))
    };
    in_a_flood(100, || {
        for format in ["short", "json", "cat", "kmsg"] {
            until_lost(&["-n", "10", "-g", "needle", "-o", format]);
            until_lost(&["-g", "needle", "-o", format]);
        }
        let (_, out, _) = until_lost(&["-r", "-o", "json"]);
        let mut first = None;
        for line in out.lines() {
            let object: Value = serde_json::from_str(line).expect(line);
            let seq = object["seq"].as_u64().expect("a number");
            let end = first.unwrap_or(seq);
            first = Some(match object["lost"].as_u64() {
                Some(lost) => {
                    assert_eq!(seq, end, "{line}");
                    seq - lost
                }
                None => {
                    assert!(first.is_none() || seq + 1 == end, "{line} before {end}");
                    seq
                }
            });
        }
    });
}

/// Checks that the name of a command, which it chooses itself, is shown in one line and cannot
/// change the terminal.
fn control_characters() {
    let name = r"a\n\tb\033[m";
    let script =
        "exec 4</dev/umsg; printf \"$0\" >/proc/$$/comm; echo text >/dev/umsg; ./umsg info";
    let (status, out, err) =
        finished(std::process::Command::new("sh").args(["-c", script, name]).output().expect("sh"));
    assert_eq!((status, err.as_str()), (0, ""));
    let escaped = r"a\x0a\x09b\x1b[m[";
    assert!(out.contains(escaped), "{out}");
    assert!(shown(&[]).contains(&format!(" {escaped}")));
    assert_eq!(shown(&["-o", "iso"]).lines().count(), 1);
    put("/dev/umsg", "\u{7f}\u{9b}1m\n");
    assert!(shown(&["-o", "json", "-n", "1"]).contains(r#""\u007f\u009b1m""#));
}

/// Checks that random lines are the same after `umsg write` and each format.
fn round_trip() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for _ in 0..10_000 {
        let len = match rng.u32(..100) {
            0 => rng.usize(..4000),
            1..=9 => rng.usize(..300),
            _ => rng.usize(..60),
        };
        let ascii = rng.bool();
        let mut line: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
        if ascii {
            line.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
        }
        // A prefix would become the priority.
        line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'<')).for_each(|byte| *byte = b'.');
        lines.push(line);
    }
    let all: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
    assert_eq!(run_with(&["write"], &all).0, 0);
    let output = |arguments: &[&str]| {
        let output = crate::command::umsg(arguments).output().expect("./umsg");
        assert!(output.status.success() && output.stderr.is_empty());
        output.stdout
    };
    assert!(output(&["-o", "cat"]) == all, "cat");
    let raw: Vec<u8> = lines.iter().flat_map(|line| [b"<14>", &line[..], b"\n"].concat()).collect();
    assert!(output(&["-o", "raw"]) == raw, "raw");
    assert_eq!(run(&["clear"]).0, 0);
    assert_eq!(run_with(&["write"], &raw).0, 0);
    assert!(output(&["-o", "cat"]) == all, "written from raw");
    let mut texts = Vec::new();
    for line in output(&["-o", "json"]).split(|byte| *byte == b'\n').filter(|it| !it.is_empty()) {
        let object: Value = serde_json::from_slice(line).expect("JSON");
        if object["continues"] != true && !texts.is_empty() {
            texts.push(b'\n');
        }
        match &object["text"] {
            Value::String(text) => texts.extend_from_slice(text.as_bytes()),
            Value::Array(bytes) => {
                texts.extend(bytes.iter().map(|byte| byte.as_u64().expect("a byte") as u8));
            }
            other => panic!("{other}"),
        }
    }
    texts.push(b'\n');
    assert!(texts == all, "json");
    let kmsg = output(&["-o", "kmsg"]);
    let kmsg = String::from_utf8(kmsg).expect("ASCII");
    let mut texts = String::new();
    for line in kmsg.lines().filter(|line| !line.starts_with(' ')) {
        let (head, text) = line.split_once(';').expect("a head");
        texts += if head.ends_with('-') && !texts.is_empty() { "\n" } else { "" };
        texts += text;
    }
    let escaped: Vec<u8> = all
        .iter()
        .flat_map(|byte| match byte {
            b'\\' => b"\\x5c".to_vec(),
            b' '..=b'~' | b'\n' => vec![*byte],
            byte => format!("\\x{byte:02x}").into_bytes(),
        })
        .collect();
    assert!(texts.into_bytes() == escaped[..escaped.len() - 1], "kmsg");
    // One line of the format short for each record.
    let info = umsg::Log::default().info().expect("info");
    let records = info.next_seq - info.cleared_seq;
    assert_eq!(output(&[]).iter().filter(|byte| **byte == b'\n').count() as u64, records);
    println!("{} lines, {} bytes, {records} records", lines.len(), all.len());
}
