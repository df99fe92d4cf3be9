// SPDX-License-Identifier: GPL-2.0

//! Runs the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use umsg::{Batch, Log, Priority};

/// Returns the program with arguments, in a known environment.
pub fn umsg(arguments: &[&str]) -> Command {
    let mut command = Command::new("./umsg");
    command.args(arguments).env("TZ", "UTC").env_remove("PAGER").stdin(Stdio::null());
    command
}

/// Runs the program and returns its exit status, standard output and standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    finished(umsg(arguments).output().expect("./umsg"))
}

/// Runs the program with a standard input.
pub fn run_with(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = umsg(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("./umsg");
    child.stdin.take().expect("a pipe").write_all(input).expect("standard input");
    finished(child.wait_with_output().expect("./umsg"))
}

pub fn finished(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Runs the program, which must succeed without a message, and returns its standard output.
pub fn shown(arguments: &[&str]) -> String {
    let (status, out, err) = run(arguments);
    assert_eq!((status, err.as_str()), (0, ""), "umsg {arguments:?} printed {out}");
    out
}

/// A running program whose output is read line by line.
pub struct Running {
    pub child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub fn new(arguments: &[&str]) -> Self {
        let mut child = umsg(arguments).stdout(Stdio::piped()).spawn().expect("./umsg");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    /// Returns the next line, without its newline.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        assert!(line.ends_with('\n'), "{line:?}");
        line.pop();
        line
    }

    /// Returns the rest of the output after the program has ended, and its exit status.
    pub fn rest(&mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("the output");
        (rest, self.child.wait().expect("./umsg").code())
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("kill");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the program is in a system call that waits. The number is that of x86-64.
pub fn wait_for_call(child: &Child, number: u32) {
    let path = format!("/proc/{}/syscall", child.id());
    let start = format!("{number} ");
    while !std::fs::read_to_string(&path).is_ok_and(|call| call.starts_with(&start)) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Calls `body` while a thread writes records with the text "hay" to the default log, `count` with
/// each call.
pub fn in_a_flood<T>(count: usize, body: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Log::default().writer().expect("a writer");
            let mut batch = Batch::new();
            while !stop.load(Relaxed) {
                (0..count).for_each(|_| batch.push(Priority::default(), b"hay"));
                writer.write_batch(&mut batch).expect("written");
            }
        });
        // A panic would otherwise wait for the thread.
        let result = catch_unwind(AssertUnwindSafe(body));
        stop.store(true, Relaxed);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Returns the command name of this process, which is in its records.
pub fn comm() -> String {
    let comm = std::fs::read_to_string("/proc/self/comm").expect("the command name");
    comm.trim_end().to_owned()
}

/// Writes bytes to a node in one call.
pub fn put(node: &str, text: impl AsRef<[u8]>) {
    let mut file = std::fs::OpenOptions::new().write(true).open(node).expect(node);
    file.write_all(text.as_ref()).expect(node);
}
