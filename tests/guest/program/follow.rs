// SPDX-License-Identifier: GPL-2.0

//! Following logs.

use crate::command::{put, umsg, wait_for_call, Running};
use crate::harness::Test;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use umsg::{Batch, Log, Priority};

pub const TESTS: &[Test] = &[
    Test::new("program.follow", follow).with("logs=app"),
    Test::new("program.follow_removed", follow_removed).with("logs=app"),
    Test::new("program.follow_closed", follow_closed),
    Test::new("program.follow_flood", follow_flood).with("capacity=64K"),
    // The program reads more slowly than the flood is written, and the log holds the difference.
    Test::new("program.follow_in_a_flood", follow_in_a_flood).with("capacity=64M"),
];

fn follow() {
    put("/dev/umsg", (0..20).map(|number| number.to_string()).collect::<Vec<_>>().join("\n"));
    let mut running = Running::new(&["-f", "-o", "cat", "umsg", "app"]);
    for number in 10..20 {
        assert_eq!(running.line(), number.to_string());
    }
    for (node, text) in [("/dev/umsg-app", "a"), ("/dev/umsg", "b"), ("/dev/umsg-app", "c")] {
        put(node, format!("{text}\n"));
        assert_eq!(running.line(), text);
    }
    // The unload is refused as long as the program has the log open.
    assert!(crate::kmod::delete_module().is_err());
    running.signal(Signal::SIGINT);
    assert_eq!(running.rest(), (String::new(), None));
    let mut running = Running::new(&["-f", "-n", "0", "-o", "cat", "-g", "^x"]);
    wait_for_poll(&running.child);
    put("/dev/umsg", "y\nx\n");
    assert_eq!(running.line(), "x");
}

/// Waits until the program waits for records.
pub fn wait_for_poll(child: &Child) {
    // 7 is the number of poll(2).
    wait_for_call(child, 7);
}

/// Checks that the program ends if its logs are removed, after all of their records.
fn follow_removed() {
    Log::add("other").expect("added");
    let texts = |texts: std::ops::Range<u32>| -> String {
        texts.map(|number| format!("{number:063}\n")).collect::<Vec<_>>().concat()
    };
    let mut running = Running::new(&["-f", "-n", "0", "-o", "cat", "other"]);
    wait_for_poll(&running.child);
    put("/dev/umsg-other", texts(0..3000));
    // 1 is the number of write(2): the pipe is full.
    wait_for_call(&running.child, 1);
    put("/dev/umsg-other", texts(3000..4000));
    Log::remove("other").expect("removed");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(running.rest(), (texts(0..4000), Some(0)));
    let mut running = Running::new(&["-f", "-o", "cat", "app"]);
    put("/dev/umsg-app", "here\n");
    assert_eq!(running.line(), "here");
    Log::remove("app").expect("removed");
    assert_eq!(running.rest(), (String::new(), Some(0)));
}

/// Checks that the program ends if the reader of its output ends, without another record.
fn follow_closed() {
    let mut child = umsg(&["-f", "-o", "cat"]).stdout(Stdio::piped()).spawn().expect("./umsg");
    put("/dev/umsg", "here\n");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("a line");
    assert_eq!(line, "here\n");
    drop(output);
    assert!(child.wait().expect("./umsg").success());
}

/// Checks that a record that matches is shown while a flood of others goes on. The flood contains
/// many of them, because it can overwrite some before they are read.
fn follow_in_a_flood() {
    let mut running = Running::new(&["-f", "-n", "0", "-o", "cat", "-g", "needle"]);
    wait_for_poll(&running.child);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Log::default().writer().expect("a writer");
            let mut batch = Batch::new();
            for number in 0.. {
                (0..100).for_each(|_| batch.push(Priority::default(), b"hay"));
                if number % 100 == 0 {
                    batch.push(Priority::default(), format!("needle {number}").as_bytes());
                }
                writer.write_batch(&mut batch).expect("written");
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let mut last = -1;
        for _ in 0..3 {
            let line = running.line();
            let number = line.strip_prefix("needle ").and_then(|number| number.parse().ok());
            assert!(number.is_some_and(|number| number > last), "{line} after {last}");
            last = number.unwrap_or(last);
        }
        stop.store(true, Relaxed);
    });
}

/// Checks that each record of a flood is shown or counted as lost.
fn follow_flood() {
    let mut running = Running::new(&["-f", "-n", "0", "-o", "json"]);
    wait_for_poll(&running.child);
    let written = 100_000;
    let writer = std::thread::spawn(move || {
        let mut writer = Log::default().writer().expect("a writer");
        for number in 0..written {
            let text = format!("number {number}");
            writer.write(Priority::default(), text.as_bytes()).expect("written");
        }
    });
    let (mut shown, mut lost) = (0, 0);
    while shown + lost < written {
        let object: Value = serde_json::from_str(&running.line()).expect("an object");
        match object["lost"].as_u64() {
            Some(count) => lost += count,
            None => {
                assert_eq!(object["text"], format!("number {}", shown + lost));
                shown += 1;
            }
        }
    }
    writer.join().expect("the writer");
    println!("{written} records written, {shown} shown, {lost} lost");
}
