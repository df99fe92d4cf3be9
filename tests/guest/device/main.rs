// SPDX-License-Identifier: GPL-2.0

//! The tests of the device, as user programs see it. Run as root in a booted kernel with `umsg`
//! installed for modprobe and `umsg.ko` in the folder; prints KTAP.
//!
//! Each test runs in a process of its own, on a module freshly loaded with the parameters it asks
//! for, so that a failure, a hang or a forgotten descriptor of one does not reach the next. After
//! each test the module must unload, and the kernel must have said nothing at warning level or
//! above beyond what the test declares.
//!
//! First come the tests in which nothing happens at the same time as something else. A kernel
//! booted with `maxcpus=1` gets its other CPUs after them: under emulation, on a machine with other
//! work, CPUs that wait for each other to run take a third of the time.

mod binary;
mod client;
mod errors;
mod faults;
mod identity;
mod kmod;
mod leaks;
mod lifecycle;
mod lines;
mod logs;
mod loss;
mod options;
mod parameters;
mod poll;
mod seek;
mod sharing;
mod signals;
mod stalls;
mod stress;
mod text;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One test.
pub struct Test {
    name: &'static str,
    /// Parameters that the module is loaded with; `None`: the test loads it itself.
    load: Option<&'static str>,
    complaints: AllowedWarnings,
    /// Things happen at the same time in it.
    all_cpus: bool,
    run: fn(),
}

/// Which kernel messages at warning level or above a test may cause. A report of a detector ends
/// the whole run in any case.
#[derive(Clone, Copy, PartialEq)]
enum AllowedWarnings {
    Nobodys,
    /// The module's are what the test is about.
    OfUmsg,
    /// Those of the kernel's own code, which the test makes fail, too.
    OfAll,
}

impl Test {
    const fn new(name: &'static str, run: fn()) -> Self {
        Self { name, load: Some(""), complaints: AllowedWarnings::Nobodys, all_cpus: false, run }
    }

    const fn with(mut self, parameters: &'static str) -> Self {
        self.load = Some(parameters);
        self
    }

    const fn unloaded(mut self) -> Self {
        self.load = None;
        self
    }

    const fn complains(mut self) -> Self {
        self.complaints = AllowedWarnings::OfUmsg;
        self
    }

    const fn on_all_cpus(mut self) -> Self {
        self.all_cpus = true;
        self
    }

    const fn all_complain(mut self) -> Self {
        self.complaints = AllowedWarnings::OfAll;
        self
    }
}

/// How a test that cannot run here says so: it prints why and exits with this status.
const SKIP: i32 = 4;

/// Ends the test that runs as skipped.
pub fn skip(why: &str) -> ! {
    println!("{why}");
    std::process::exit(SKIP)
}

/// How long one test may take before it counts as hung: far more than any takes on a busy machine.
fn hung() -> Duration {
    Duration::from_secs(300) + rounds() * Duration::from_secs(2)
}

/// How often a test loads the module where that is all it does, over and over. `UMSG_ROUNDS` says
/// otherwise: a load can take a second on a kernel with detectors, under emulation.
pub fn rounds() -> u32 {
    std::env::var("UMSG_ROUNDS").map_or(200, |rounds| rounds.parse().expect("UMSG_ROUNDS"))
}

enum Outcome {
    /// With what the test had to say about how much it did.
    Passed(String),
    Failed(String),
    Skipped(String),
}

fn tests() -> Vec<Test> {
    let on_one_cpu = [
        errors::TESTS,
        errors::read_write::TESTS,
        text::TESTS,
        lines::TESTS,
        lines::partial::TESTS,
        loss::TESTS,
        parameters::TESTS,
        parameters::values::TESTS,
        parameters::sysfs::TESTS,
        logs::TESTS,
        lifecycle::TESTS,
        faults::TESTS,
    ];
    let on_all_cpus = [
        identity::TESTS,
        poll::TESTS,
        poll::epoll::TESTS,
        poll::io_uring::TESTS,
        signals::TESTS,
        sharing::TESTS,
        binary::TESTS,
        binary::write::TESTS,
        seek::TESTS,
        options::TESTS,
        stalls::TESTS,
        stress::TESTS,
        leaks::tests(),
    ];
    // A test of those says by itself if it wants all.
    let one = on_one_cpu.iter().copied().flatten().map(|test| Test { ..*test });
    let all = on_all_cpus.iter().copied().flatten().map(|test| Test { ..*test }.on_all_cpus());
    one.chain(all).collect()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        // How a test has another user, or a set-uid program, write to its standard error.
        (Some(flag), Some(text)) if flag == "--write" => {
            eprint!("{text}");
            ExitCode::SUCCESS
        }
        // How this program calls itself for one test.
        (Some(flag), Some(name)) if flag == "--one" => {
            let test = tests().into_iter().find(|test| test.name == name).expect("a test's name");
            (test.run)();
            ExitCode::SUCCESS
        }
        (Some(flag), _) if flag.starts_with('-') => {
            eprintln!("usage: device [PART OF A TEST'S NAME]...");
            ExitCode::from(2)
        }
        _ => run_all(&std::env::args().skip(1).collect::<Vec<_>>()),
    }
}

/// Runs the tests whose names have one of `parts` in them, or all.
fn run_all(parts: &[String]) -> ExitCode {
    let wanted = |test: &Test| {
        parts.is_empty() || parts.iter().any(|part| test.name.contains(part.as_str()))
    };
    let mut tests: Vec<Test> = tests().into_iter().filter(wanted).collect();
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
        let start = Instant::now();
        let outcome = run(test);
        let seconds = start.elapsed().as_secs_f32();
        let (word, note) = match outcome {
            Outcome::Passed(said) => {
                for line in said.lines() {
                    println!("# {line}");
                }
                ("ok", String::new())
            }
            Outcome::Skipped(why) => ("ok", format!(" # SKIP {}", why.trim())),
            Outcome::Failed(why) => {
                failed = true;
                for line in why.lines() {
                    println!("# {line}");
                }
                ("not ok", String::new())
            }
        };
        println!("{word} {} {}{note}", index + 1, test.name);
        eprintln!("{seconds:6.1} s  {}", test.name);
    }
    std::io::stdout().flush().expect("standard output");
    if tests.is_empty() {
        eprintln!("device: no test's name contains '{}'", parts.join("' or '"));
    }
    ExitCode::from(u8::from(failed || tests.is_empty()))
}

/// Takes the CPUs into use that the kernel has left alone so far.
fn use_all_cpus() {
    for entry in std::fs::read_dir("/sys/devices/system/cpu").expect("CPUs").flatten() {
        // The first CPU may have no such file, and other things none at all.
        let online = entry.path().join("online");
        if std::fs::read(&online).is_ok_and(|state| state == b"0\n") {
            std::fs::write(&online, "1").unwrap_or_else(|error| panic!("{online:?}: {error}"));
        }
    }
    let cpus = std::thread::available_parallelism().expect("the number of CPUs");
    println!("# from here on with all CPUs, {cpus}");
}

/// Runs one test and looks at what it left behind.
fn run(test: &Test) -> Outcome {
    let mut log = kmod::Messages::from_now();
    if let Some(parameters) = test.load {
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
    if std::path::Path::new("/dev/umsg").exists() {
        problems += "/dev/umsg is still there\n";
    }
    for message in log.all() {
        let expected = kmod::is_taint_notice(&message.text)
            || match test.complaints {
                AllowedWarnings::Nobodys => false,
                AllowedWarnings::OfUmsg => message.text.starts_with("umsg: "),
                AllowedWarnings::OfAll => true,
            };
        if message.level <= kmod::WARNING && !expected {
            problems += &format!("the kernel said: {}\n", message.text);
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
    let hung = hung();
    let status = loop {
        match child.try_wait().expect("our child") {
            Some(status) => break Some(status),
            None if start.elapsed() > hung => {
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // With all that it started: children left behind would keep the module in use and the pipes
    // open.
    let group = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    let _ = child.wait();
    let Some(status) = status else {
        return Outcome::Failed(format!("it hung for {hung:?}\n"));
    };
    let said = stdout.join().unwrap_or_default() + &stderr.join().unwrap_or_default();
    match status.code() {
        Some(0) => Outcome::Passed(said),
        Some(SKIP) => Outcome::Skipped(said),
        _ => Outcome::Failed(format!("{}\n{status}\n", said.trim())),
    }
}
