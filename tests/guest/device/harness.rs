// SPDX-License-Identifier: GPL-2.0

//! Runs tests in a guest, each with the module loaded for it.
//!
//! Each test runs in its own process, on a freshly loaded module, so that a failure, a hang or an
//! open descriptor does not affect the next test. After each test the module must unload, and the
//! kernel log must have no new message at warning level or above that the test does not allow.
//!
//! Tests without concurrency run first, on one CPU if the kernel is booted with `maxcpus=1`. The
//! other CPUs are brought online after these tests, because emulated CPUs that wait for each other
//! are slow on a busy host.

#![allow(dead_code, reason = "each program of tests uses only a part of it")]

use crate::kmod;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One test.
#[derive(Clone)]
pub struct Test {
    name: &'static str,
    /// The module's parameters; `None` if the test loads the module itself.
    load: Option<&'static str>,
    /// The test needs a module that is not built in.
    loadable_only: bool,
    allowed_warnings: AllowedWarnings,
    /// The test has concurrent tasks and needs more than one CPU.
    all_cpus: bool,
    run: fn(),
}

/// The kernel messages at warning level or above that a test may cause. A report of one of the
/// kernel's debug checks ends the run in any case.
#[derive(Clone, Copy, PartialEq)]
enum AllowedWarnings {
    None,
    /// Messages of the module.
    FromModule,
    /// Messages of the module, and of other kernel code that the test makes fail.
    FromKernel,
}

impl Test {
    pub const fn new(name: &'static str, run: fn()) -> Self {
        Self {
            name,
            load: Some(""),
            loadable_only: false,
            allowed_warnings: AllowedWarnings::None,
            all_cpus: false,
            run,
        }
    }

    /// Loads the module with `parameters`.
    pub const fn with(mut self, parameters: &'static str) -> Self {
        self.load = Some(parameters);
        self
    }

    /// Runs the test without loading the module before it.
    pub const fn unloaded(mut self) -> Self {
        self.load = None;
        self.loadable_only()
    }

    /// Does not run if the module is built in, because the test unloads it or is about loading.
    pub const fn loadable_only(mut self) -> Self {
        self.loadable_only = true;
        self
    }

    /// Allows warnings of the module.
    pub const fn module_may_warn(mut self) -> Self {
        self.allowed_warnings = AllowedWarnings::FromModule;
        self
    }

    /// Runs the test with all CPUs online.
    pub const fn on_all_cpus(mut self) -> Self {
        self.all_cpus = true;
        self
    }

    /// Allows warnings of all kernel code.
    pub const fn kernel_may_warn(mut self) -> Self {
        self.allowed_warnings = AllowedWarnings::FromKernel;
        self
    }
}

/// The exit status of a test that is skipped. The test prints the reason.
const SKIP: i32 = 4;

/// Ends the current test as skipped.
pub fn skip(why: &str) -> ! {
    println!("{why}");
    std::process::exit(SKIP)
}

/// The time limit of a test. Much longer than any test takes on a busy host.
fn time_limit() -> Duration {
    Duration::from_secs(300) + rounds() * Duration::from_secs(2)
}

/// The number of rounds of a test that loads the module repeatedly. The environment variable
/// `UMSG_ROUNDS` changes it, because a load can take a second in the emulated debug kernel.
pub fn rounds() -> u32 {
    std::env::var("UMSG_ROUNDS").map_or(200, |rounds| rounds.parse().expect("UMSG_ROUNDS"))
}

enum Outcome {
    /// The test's output.
    Passed(String),
    Failed(String),
    Skipped(String),
}

/// Runs the tests that the command line names, or all of them.
pub fn main(tests: Vec<Test>) -> ExitCode {
    let named = |name: &str| {
        tests.iter().find(|test| test.name == name).unwrap_or_else(|| panic!("no test {name}"))
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // `in_a_process` runs this program with `--one` for each test.
        ["--one", name] => {
            (named(name).run)();
            ExitCode::SUCCESS
        }
        // For tests/guest/built-in/run.
        ["--list-built-in"] => {
            for test in tests.iter().filter(|test| !test.loadable_only) {
                println!("{} {}", test.name, test.load.unwrap_or_default());
            }
            ExitCode::SUCCESS
        }
        ["--built-in", name] => run_built_in(named(name)),
        [flag, ..] if flag.starts_with('-') => {
            eprintln!("the arguments are parts of names of tests");
            ExitCode::from(2)
        }
        _ => run_all(tests, &arguments),
    }
}

/// Runs the tests whose names contain one of `parts`, or all tests.
fn run_all(tests: Vec<Test>, parts: &[String]) -> ExitCode {
    let wanted = |test: &Test| {
        parts.is_empty() || parts.iter().any(|part| test.name.contains(part.as_str()))
    };
    let mut tests: Vec<Test> = tests.into_iter().filter(wanted).collect();
    tests.sort_by_key(|test| test.all_cpus);
    println!("KTAP version 1");
    println!("1..{}", tests.len());
    let mut failed = false;
    let mut more_cpus = false;
    for (index, test) in tests.iter().enumerate() {
        if test.all_cpus && !more_cpus {
            more_cpus = true;
            use_all_cpus();
        }
        failed |= !run_and_report(test, Module::Loadable, index + 1);
    }
    std::io::stdout().flush().expect("standard output");
    if tests.is_empty() {
        eprintln!("no test's name contains '{}'", parts.join("' or '"));
    }
    ExitCode::from(u8::from(failed || tests.is_empty()))
}

/// Runs a test on the module that is built into the kernel. The kernel's command line has
/// the test's parameters.
fn run_built_in(test: &Test) -> ExitCode {
    if test.all_cpus {
        use_all_cpus();
    }
    ExitCode::from(u8::from(!run_and_report(test, Module::BuiltIn, 1)))
}

/// Runs one test and prints its result. Returns whether it passed or was skipped.
fn run_and_report(test: &Test, module: Module, number: usize) -> bool {
    let start = Instant::now();
    let outcome = run(test, module);
    let seconds = start.elapsed().as_secs_f32();
    let (word, note, output) = match outcome {
        Outcome::Passed(output) => ("ok", String::new(), output),
        Outcome::Skipped(why) => ("ok", format!(" # SKIP {}", why.trim()), String::new()),
        Outcome::Failed(why) => ("not ok", String::new(), why),
    };
    for line in output.lines() {
        println!("# {line}");
    }
    println!("{word} {number} {}{note}", test.name);
    eprintln!("{seconds:6.1} s  {}", test.name);
    word == "ok"
}

/// Brings all CPUs online.
fn use_all_cpus() {
    for entry in std::fs::read_dir("/sys/devices/system/cpu").expect("CPUs").flatten() {
        // The first CPU can lack this file, and the folder has other entries.
        let online = entry.path().join("online");
        if std::fs::read(&online).is_ok_and(|state| state == b"0\n") {
            std::fs::write(&online, "1").unwrap_or_else(|error| panic!("{online:?}: {error}"));
        }
    }
    let cpus = std::thread::available_parallelism().expect("the number of CPUs");
    println!("# the following tests run on {cpus} CPUs");
    assert!(cpus.get() > 1, "the tests of concurrent users need two CPUs (scripts/vm --smp 2)");
}

/// Where the module is.
#[derive(Clone, Copy, PartialEq)]
enum Module {
    Loadable,
    BuiltIn,
}

/// Runs one test, and checks the module and the kernel log after it.
fn run(test: &Test, module: Module) -> Outcome {
    let mut log = kmod::Messages::from_now();
    if let (Some(parameters), Module::Loadable) = (test.load, module) {
        if let Err(error) = kmod::finit_module(parameters) {
            return Outcome::Failed(format!("the module does not load: {error}"));
        }
    }
    let mut outcome = in_a_process(test.name);
    let mut problems = String::new();
    if kmod::is_loaded() {
        if let Err(error) = kmod::delete_module() {
            problems += &format!("the module does not unload: {error}\n");
        }
    }
    if module == Module::Loadable && std::path::Path::new("/dev/umsg").exists() {
        problems += "/dev/umsg still exists\n";
    }
    for message in log.all() {
        let expected = kmod::is_taint_notice(&message.text)
            || match test.allowed_warnings {
                AllowedWarnings::None => false,
                AllowedWarnings::FromModule => message.text.starts_with("umsg: "),
                AllowedWarnings::FromKernel => true,
            };
        if message.level <= kmod::WARNING && !expected {
            problems += &format!("kernel message: {}\n", message.text);
        }
    }
    if !problems.is_empty() {
        let before = match outcome {
            Outcome::Failed(why) => why,
            _ => String::new(),
        };
        outcome = Outcome::Failed(before + &problems);
    }
    outcome
}

fn in_a_process(name: &str) -> Outcome {
    let mut child = Command::new("/proc/self/exe")
        .args(["--one", name])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process for the test");
    let drain = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        })
    };
    let stdout = drain(Box::new(child.stdout.take().expect("piped")));
    let stderr = drain(Box::new(child.stderr.take().expect("piped")));
    let start = Instant::now();
    let time_limit = time_limit();
    let status = loop {
        match child.try_wait().expect("the child") {
            Some(status) => break Some(status),
            None if start.elapsed() > time_limit => {
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // Kill the whole process group, because remaining children keep the module in use and the pipes
    // open.
    let group = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    let _ = child.wait();
    let Some(status) = status else {
        return Outcome::Failed(format!("timed out after {time_limit:?}\n"));
    };
    let output = stdout.join().unwrap_or_default() + &stderr.join().unwrap_or_default();
    match status.code() {
        Some(0) => Outcome::Passed(output),
        Some(SKIP) => Outcome::Skipped(output),
        _ => Outcome::Failed(format!("{}\n{status}\n", output.trim())),
    }
}
