// SPDX-License-Identifier: GPL-2.0

//! Writing, running commands, and managing logs.

use crate::command::{comm, finished, put, run, run_with, shown, umsg, wait_for_call, Running};
use crate::harness::Test;
use serde_json::Value;
use std::process::Stdio;

pub const TESTS: &[Test] = &[
    Test::new("program.write", write).with("logs=app"),
    Test::new("program.write_full", write_full).with("capacity=4K policy=stop"),
    Test::new("program.run", run_command).with("logs=app"),
    Test::new("program.run_failed", run_failed).with("logs=app"),
    Test::new("program.wait", wait).with("logs=app"),
    Test::new("program.info", info).with("logs=app:64K:stop:0640:kmsg"),
    Test::new("program.info_removed", info_removed).with("logs=app"),
    Test::new("program.add_and_remove", add_and_remove).module_may_warn(),
    Test::new("program.completions", completions),
];

fn write() {
    let input = b"one\n<3>two\n<x>three\nno newline";
    assert_eq!(run_with(&["write", "-p", "daemon.notice", "app"], input).0, 0);
    assert_eq!(shown(&["-o", "raw", "app"]), "<29>one\n<11>two\n<29><x>three\n<29>no newline\n");
    assert_eq!(run_with(&["write", "-t", "backup"], b"a\n<3>b\n\n").0, 0);
    assert_eq!(shown(&["write", "-m", "a text", "-p", "err"]), "");
    assert_eq!(shown(&["-o", "raw"]), "<14>backup: a\n<11>backup: b\n<14>backup: \n<11>a text\n");
    let folder = std::fs::File::open("/etc").expect("/etc");
    let (status, _, err) = finished(umsg(&["write"]).stdin(folder).output().expect("./umsg"));
    assert_eq!(status, 2);
    assert!(err.starts_with("umsg: cannot read standard input: Is a directory"), "{err}");
    for bad in ["user", "user.", "2048", "user.loud"] {
        let (status, _, err) = run(&["write", "-p", bad, "-m", "x"]);
        assert!(status == 2 && err.contains(bad), "{err}");
    }
}

fn write_full() {
    let (status, _, err) = run_with(&["write"], "x\n".repeat(1000).as_bytes());
    assert_eq!(status, 2);
    assert!(err.contains("the log umsg is full, and its policy is to stop"), "{err}");
    let (status, _, err) = run_with(&["write"], b"without a newline");
    assert!(status == 2 && err.contains("is full"), "{err}");
}

/// Checks that the records of a command have its identity, the priority of its two outputs, and
/// that its exit status is kept.
fn run_command() {
    let script = "echo out; echo err >&2; echo '<10>own'; printf half; echo \"$$\"; exit 7";
    let (status, out, err) =
        run(&["run", "-p", "notice,daemon.warning", "app", "--", "sh", "-c", script]);
    assert_eq!((status, out.as_str(), err.as_str()), (7, "", ""));
    let json = shown(&["-o", "json", "app"]);
    let objects: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let pid = objects[0]["pid"].to_string();
    let got: Vec<(&str, &str, &str)> = objects
        .iter()
        .map(|it| {
            assert_eq!((&it["comm"], it["pid"].to_string()), (&"sh".into(), pid.clone()));
            (
                it["text"].as_str().expect("a text"),
                it["facility"].as_str().expect("a facility"),
                it["level"].as_str().expect("a level"),
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            ("out", "user", "notice"),
            ("err", "daemon", "warning"),
            ("own", "user", "crit"),
            (format!("half{pid}").as_str(), "user", "notice"),
        ]
    );
    // A signal ends the command, which is this process.
    let mut child = umsg(&["run", "app", "--", "sleep", "1000"]).spawn().expect("./umsg");
    loop {
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).expect("comm");
        if comm == "sleep\n" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("kill");
    let status = child.wait().expect("./umsg");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    // The command sees the files of a log, blocking.
    let script = "grep -h flags /proc/self/fdinfo/1 /proc/self/fdinfo/2 >/tmp/flags";
    assert_eq!(run(&["run", "app", "--", "sh", "-c", script]).0, 0);
    let flags = std::fs::read_to_string("/tmp/flags").expect("/tmp/flags");
    let flags: Vec<i32> = flags
        .lines()
        .map(|line| i32::from_str_radix(line.trim_start_matches("flags:").trim(), 8).expect(line))
        .collect();
    assert_eq!(flags.len(), 2);
    assert!(flags.iter().all(|flags| flags & nix::libc::O_NONBLOCK == 0), "{flags:?}");
}

fn run_failed() {
    for (command, status, why) in
        [("/none", 127, "No such file"), ("/etc/passwd", 126, "Permission denied")]
    {
        let (got, _, err) = run(&["run", "app", "--", command]);
        assert!(got == status && err.contains(why) && err.contains(command), "{got}: {err}");
    }
    let (status, _, err) = run(&["run", "none", "--", "true"]);
    assert_eq!(status, 125);
    assert_eq!(err, "umsg: there is no log none; the logs are: umsg, app\n");
    assert_eq!(shown(&["app"]), "");
}

fn wait() {
    put("/dev/umsg", "<11>ready\n");
    assert!(shown(&["wait", "-g", "ready"]).contains("ready"));
    let nothing = (1, String::new(), String::new());
    assert_eq!(run(&["wait", "-t", "0.1", "-g", "done"]), nothing);
    assert_eq!(run(&["wait", "-t", "100ms", "--new", "-g", "ready"]), nothing);
    let mut waiting = Running::new(&["wait", "-t", "60", "-g", "done", "-o", "cat"]);
    put("/dev/umsg", "not yet\n");
    put("/dev/umsg", "all done\nall done again\n");
    assert_eq!(waiting.line(), "all done");
    assert_eq!(waiting.rest(), (String::new(), Some(0)));
    // A limit beyond the end of time is none.
    assert!(shown(&["wait", "-t", "9999999999999999999", "-g", "ready"]).contains("ready"));
    // No later record can match.
    assert_eq!(run(&["wait", "--until", "-1h", "-g", "ready"]), nothing);
    assert_eq!(run(&["wait", "--until", "+1s", "-g", "never"]), nothing);
    let waiting = umsg(&["wait", "-g", "done", "app"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("./umsg");
    wait_for_call(&waiting, 7);
    umsg::Log::remove("app").expect("removed");
    let (status, out, err) = finished(waiting.wait_with_output().expect("./umsg"));
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.starts_with("umsg: the log app was removed\numsg: no log is left"), "{err}");
}

/// Checks that a process that has a removed log open is not shown as a user of the log that gets
/// its number, and that the output can be closed or full.
fn info_removed() {
    let users = |log: &str| -> Value {
        let object: Value = serde_json::from_str(&shown(&["info", "-j", log])).expect("JSON");
        object["users"].clone()
    };
    let app = std::fs::File::open("/dev/umsg-app").expect("app");
    assert_eq!(users("app").as_array().expect("an array").len(), 1);
    umsg::Log::remove("app").expect("removed");
    umsg::Log::add("new").expect("added");
    let number = |file: &std::fs::Metadata| std::os::unix::fs::MetadataExt::rdev(file);
    assert_eq!(
        number(&app.metadata().expect("app")),
        number(&std::fs::metadata("/dev/umsg-new").expect("new"))
    );
    assert_eq!(users("new"), Value::Array(Vec::new()));
    for arguments in [&["info"][..], &["completions", "bash"]] {
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        drop(reader);
        let (status, _, err) = finished(umsg(arguments).stdout(writer).output().expect("./umsg"));
        assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let (status, _, err) = finished(umsg(arguments).stdout(full).output().expect("./umsg"));
        assert!(status == 2 && err.contains("No space left"), "{arguments:?}: {err}");
    }
}

fn info() {
    put("/dev/umsg", "x\n".repeat(10));
    let (keep_reading, keep_writing) = (
        std::fs::File::open("/dev/umsg"),
        std::fs::OpenOptions::new().write(true).open("/dev/umsg-app"),
    );
    let table = shown(&["info"]);
    let lines: Vec<&str> = table.lines().collect();
    let pid = std::process::id();
    assert_eq!(lines.len(), 5, "{table}");
    assert!(lines[0].starts_with("LOG") && lines[1].starts_with("umsg"), "{table}");
    assert_eq!(lines[2], format!("  {}[{pid}] reads, 10 to read, 0 lost", comm()));
    assert!(lines[3].contains("64K") && lines[3].ends_with("stop       kmsg   0640"), "{table}");
    assert_eq!(lines[4], format!("  {}[{pid}] writes", comm()));
    let json = shown(&["info", "--json", "umsg"]);
    let object: Value = serde_json::from_str(&json).expect("an object");
    assert_eq!((&object["records"], &object["users"][0]["lag"]), (&10.into(), &10.into()));
    drop((keep_reading, keep_writing));
}

fn add_and_remove() {
    assert_eq!(shown(&["add", "box:64K:kmsg", "other"]), "");
    assert!(shown(&["info"]).contains("box"));
    let (status, _, err) = run(&["add", "box"]);
    assert_eq!((status, err.as_str()), (2, "umsg: +box: duplicate log name\n"));
    let (status, _, err) = run(&["add", "new:17"]);
    assert!(status == 2 && err.contains("the capacity must be"), "{err}");
    assert_eq!(shown(&["remove", "box", "other"]), "");
    let (status, _, err) = run(&["remove", "box"]);
    assert_eq!((status, err.as_str()), (2, "umsg: -box: no such log\n"));
}

fn completions() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(shown(&["completions", shell]).contains("follow"));
    }
}
