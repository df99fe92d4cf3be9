// SPDX-License-Identifier: GPL-2.0

//! The option --state, with a program and a consumer that are killed again and again.

use crate::command::{run, shown, umsg};
use crate::harness::Test;
use crate::kmod;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;
use umsg::{Log, Priority};

pub const TESTS: &[Test] = &[
    Test::new("program.state", state),
    Test::new("program.state_killed", state_killed).with("capacity=256K"),
    Test::new("program.state_reloaded", state_reloaded),
    Test::new("program.state_socket", state_socket),
    Test::new("program.state_window", state_window),
];

const FILE: &str = "/tmp/state";

fn numbers(from: u32, to: u32) {
    let mut writer = Log::default().writer().expect("a writer");
    for number in from..to {
        writer.write(Priority::default(), number.to_string().as_bytes()).expect("written");
    }
}

fn state() {
    let _ = std::fs::remove_file(FILE);
    let next = || shown(&["--state", FILE, "-o", "cat"]);
    assert_eq!(next(), "");
    numbers(0, 3);
    assert_eq!(next(), "0\n1\n2\n");
    assert_eq!(next(), "");
    // Records that do not match are passed, too, and those that were cleared are not lost.
    numbers(3, 6);
    assert_eq!(shown(&["--state", FILE, "-o", "cat", "-g", "5"]), "5\n");
    numbers(6, 8);
    assert_eq!(run(&["clear"]).0, 0);
    assert_eq!(next(), "6\n7\n");
    std::fs::write(FILE, "something else").expect("written");
    let (status, _, err) = run(&["--state", FILE]);
    assert!(status == 2 && err.contains("is not a state file of umsg"), "{err}");
}

/// Kills the program, and closes its output, at any moment. Each record must arrive, be counted as
/// lost, or be announced as a possible repetition.
fn state_killed() {
    let _ = std::fs::remove_file(FILE);
    let writer = std::thread::spawn(|| {
        for part in 0..200 {
            numbers(part * 250, (part + 1) * 250);
            sleep(Duration::from_millis(10));
        }
    });
    let (mut next, mut lost, mut repeated, mut runs) = (0_u64, 0_u64, 0_u64, 0_u64);
    while next < 50_000 {
        runs += 1;
        let mut child = umsg(&["-f", "-o", "json", "--state", FILE])
            .stdout(Stdio::piped())
            .spawn()
            .expect("./umsg");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut announced = 0;
        let wanted = 1 + runs * 977 % 5000;
        for count in 0.. {
            let mut line = String::new();
            // The rest of a run is read to its end or not at all.
            if count == wanted || next == 50_000 {
                child.kill().expect("kill");
                if runs % 2 == 0 {
                    break;
                }
            }
            if output.read_line(&mut line).expect("a line") == 0 {
                break;
            }
            let Ok(object) = serde_json::from_str::<Value>(&line) else {
                // The program was killed in a write.
                assert!(!line.ends_with('\n'), "{line}");
                break;
            };
            if let Some(count) = object["repeated"].as_u64() {
                announced = count;
            } else if let Some(count) = object["lost"].as_u64() {
                // Some of them may have arrived in an earlier run.
                let seq = object["seq"].as_u64().expect("a number");
                assert!(
                    seq - count <= next,
                    "{count} lost before {seq}, and {next} was the next one"
                );
                lost += seq.saturating_sub(next);
                next = next.max(seq);
            } else {
                let seq = object["seq"].as_u64().expect("a number");
                if seq < next {
                    assert!(announced > 0, "record {seq} is repeated, and {next} was the next one");
                    repeated += 1;
                } else {
                    assert_eq!(seq, next, "records were skipped");
                    next += 1;
                }
                announced = announced.saturating_sub(1);
            }
        }
        drop(output);
        let _ = child.kill();
        child.wait().expect("./umsg");
    }
    writer.join().expect("the writer");
    println!("{runs} runs: {next} records, {lost} lost, {repeated} repeated");
    assert!(runs > 3);
}

/// Checks that a new log with old sequence numbers is recognised.
fn state_reloaded() {
    let _ = std::fs::remove_file(FILE);
    numbers(0, 3);
    assert_eq!(shown(&["--state", FILE, "-o", "cat"]), "0\n1\n2\n");
    kmod::delete_module().expect("unloaded");
    kmod::finit_module("").expect("loaded");
    numbers(0, 5);
    let json = shown(&["--state", FILE, "-o", "json"]);
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(lines.len(), 6, "{json}");
    assert!(lines[0].contains("created_anew"), "{json}");
    // The records of the new log that were overwritten before the call are lost.
    kmod::delete_module().expect("unloaded");
    kmod::finit_module("capacity=4K").expect("loaded");
    numbers(0, 1000);
    let lost = Log::default().info().expect("info").oldest_seq;
    let json = shown(&["--state", FILE, "-o", "json"]);
    let lines: Vec<&str> = json.lines().take(2).collect();
    let want = format!("{{\"log\":\"umsg\",\"lost\":{lost},\"seq\":{lost}}}");
    assert!(lost > 900 && lines[0].contains("created_anew") && lines[1] == want, "{json}");
}

/// Checks that records count as taken when the other end of a Unix socket has read them.
fn state_socket() {
    let _ = std::fs::remove_file(FILE);
    let follow = || {
        let (ours, theirs) = UnixStream::pair().expect("two sockets");
        let mut umsg = umsg(&["-f", "-o", "cat", "--state", FILE]);
        (ours, umsg.stdout(OwnedFd::from(theirs)).spawn().expect("./umsg"))
    };
    let wait_for_state = |part: &str| {
        while !std::fs::read_to_string(FILE).is_ok_and(|text| text.contains(part)) {
            sleep(Duration::from_millis(10));
        }
    };
    let repeated = |count: u64| {
        let (status, out, err) = run(&["--state", FILE, "-o", "cat"]);
        assert_eq!(status, 0, "{err}");
        let announced = format!("umsg: umsg: the next {count} records may be repeated\n");
        assert_eq!(err, if count > 0 { announced } else { String::new() });
        assert_eq!(out.lines().count() as u64, count, "{out}");
    };
    // Killed before and after they were read.
    for read in [false, true] {
        numbers(0, 3);
        let (mut ours, mut child) = follow();
        wait_for_state(if read { "\"given\":6" } else { "\"given\":3" });
        if read {
            ours.read_exact(&mut [0; 6]).expect("three records");
            wait_for_state("\"taken\":6");
        }
        child.kill().expect("kill");
        child.wait().expect("./umsg");
        repeated(if read { 0 } else { 3 });
    }
    // The other end is closed before they were read.
    numbers(0, 3);
    let (ours, mut child) = follow();
    wait_for_state("\"given\":9");
    drop(ours);
    child.wait().expect("./umsg");
    repeated(3);
}

/// Checks that a call begins with the last records that the call before has shown.
fn state_window() {
    let _ = std::fs::remove_file(FILE);
    let next = |window: &str, grep: &str| {
        let (status, out, err) =
            run(&["--state", FILE, "--window", window, "-o", "cat", "-g", grep]);
        assert_eq!(status, i32::from(out.is_empty()), "{err}");
        (out, err)
    };
    numbers(0, 30);
    assert_eq!(next("2", "0").0, "0\n10\n20\n");
    let (out, err) = next("1", "[05]");
    assert_eq!(out, "10\n15\n20\n25\n");
    assert_eq!(err, "umsg: umsg: the next 20 records may be repeated\n");
    assert_eq!(next("0", "").0, "25\n26\n27\n28\n29\n");
    assert_eq!(next("0", "").0, "");
}
