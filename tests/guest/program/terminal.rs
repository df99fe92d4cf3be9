// SPDX-License-Identifier: GPL-2.0

//! The program on a terminal.

use crate::command::{put, umsg};
use crate::follow::wait_for_poll;
use crate::harness::Test;
use nix::pty::{openpty, Winsize};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command};

pub const TESTS: &[Test] = &[
    Test::new("program.colors", colors),
    Test::new("program.pager", pager),
    Test::new("program.terminal_signals", terminal_signals),
];

/// Starts a program on a new terminal. Returns the other end of the terminal.
fn on_terminal(command: &mut Command) -> (Child, File) {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).expect("a terminal");
    let slave = File::from(terminal.slave);
    let copy = || slave.try_clone().expect("dup");
    let child = command.stdin(copy()).stdout(copy()).stderr(copy()).env("TERM", "linux").spawn();
    (child.expect("./umsg"), File::from(terminal.master))
}

/// Returns everything that the program prints until it ends.
fn printed(command: &mut Command) -> String {
    let (mut child, mut master) = on_terminal(command);
    let reader = std::thread::spawn(move || {
        let mut out = Vec::new();
        // The read fails with EIO once no process has the terminal open.
        let _ = master.read_to_end(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    });
    child.wait().expect("./umsg");
    // The command holds copies of the terminal.
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    reader.join().expect("the output")
}

fn colors() {
    put("/dev/umsg", "<11>wrong\n<14>fine \x1b[2J\n");
    let red = "\x1b[1;31mwrong\x1b[0m";
    let out = printed(&mut umsg(&["--no-pager"]));
    assert!(out.contains(red) && out.contains("fine \\x1b[2J"), "{out:?}");
    // On a terminal, no format prints control characters of a text.
    let out = printed(&mut umsg(&["--no-pager", "-o", "cat"]));
    assert!(out.contains("fine \\x1b[2J"), "{out:?}");
    assert!(!printed(umsg(&["--no-pager"]).env("NO_COLOR", "1")).contains(red));
    assert!(!printed(&mut umsg(&["--no-pager", "--color", "never"])).contains(red));
    let out = umsg(&["--color", "always"]).output().expect("./umsg").stdout;
    assert!(String::from_utf8_lossy(&out).contains(red));
}

fn pager() {
    put("/dev/umsg", "one\ntwo\n");
    let out = printed(umsg(&["-o", "cat"]).env("PAGER", "sed s/^/paged:/"));
    assert!(out.contains("paged:one") && out.contains("paged:two"), "{out:?}");
    // Without the pager, and with a pager that ends early, nothing is wrong.
    let out = printed(umsg(&["-o", "cat"]).env("PAGER", "no-such-pager"));
    assert!(out.contains("one") && !out.contains("not found"), "{out:?}");
    put("/dev/umsg", "many\n".repeat(50_000));
    let out = printed(umsg(&["-o", "cat"]).env("PAGER", "head -n 1"));
    assert!(!out.contains("umsg:"), "{out:?}");
    let out = printed(umsg(&["-o", "cat", "-n", "1"]).env("PAGER", ""));
    assert!(out.contains("many"), "{out:?}");
}

/// Checks that a change of the window's size, and stop and continue, do not end a program that
/// follows.
fn terminal_signals() {
    let mut command = umsg(&["-f", "-n", "0", "-o", "cat"]);
    let (mut child, mut master) = on_terminal(&mut command);
    let pid = Pid::from_raw(child.id() as i32);
    let mut text = String::new();
    wait_for_poll(&child);
    for round in 0..20 {
        put("/dev/umsg", format!("round {round}\n"));
        for signal in [Signal::SIGWINCH, Signal::SIGSTOP, Signal::SIGCONT] {
            kill(pid, signal).expect("kill");
        }
    }
    put("/dev/umsg", "the end\n");
    let mut bytes = [0; 1024];
    while !text.contains("the end") {
        let len = master.read(&mut bytes).expect("the terminal");
        text += &String::from_utf8_lossy(&bytes[..len]);
    }
    kill(pid, Signal::SIGINT).expect("kill");
    let status = child.wait().expect("./umsg");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
}
