// SPDX-License-Identifier: GPL-2.0

//! Module parameters: the ways to set them, and invalid combinations of values.

pub mod sysfs;
pub mod values;

use crate::client::NODE;
use crate::kmod::{command, finit_module, is_loaded, modprobe, rmmod, Messages};
use crate::sharing::child;
use crate::{rounds, Test};
use nix::errno::Errno;
use std::path::Path;

pub const TESTS: &[Test] = &[
    Test::new("parameters.modinfo", modinfo).unloaded(),
    Test::new("parameters.together", together).unloaded().module_may_warn(),
    Test::new("parameters.failed_load_leaves_no_memory", failed_load_leaves_no_memory)
        .unloaded()
        .module_may_warn(),
    Test::new("parameters.last_wins", last_wins).unloaded(),
    Test::new("parameters.unknown", unknown).unloaded().module_may_warn(),
    Test::new("parameters.quiet", quiet).unloaded(),
    Test::new("parameters.modprobe_d", modprobe_d).unloaded(),
    Test::new("parameters.command_line", command_line).unloaded(),
    Test::new("parameters.too_much_memory", too_much_memory).unloaded().module_may_warn(),
];

const NAMES: [&str; 8] =
    ["capacity", "logs", "minor", "mode", "policy", "quiet", "record_max", "style"];

/// Returns the value of a parameter in sysfs, without the newline.
fn shown(name: &str) -> String {
    let path = format!("/sys/module/umsg/parameters/{name}");
    let text = std::fs::read_to_string(&path).expect(&path);
    text.strip_suffix('\n').expect("a newline").to_string()
}

/// Loads the module with `parameters`, which must be valid, and returns the value of `name` in
/// sysfs.
fn load_and_show(parameters: &str, name: &str) -> String {
    crate::kmod::command("insmod", &["umsg.ko", parameters]).expect(parameters);
    let text = shown(name);
    rmmod().expect("rmmod");
    text
}

/// Checks that a load with `parameters` fails with `error`, logs one line that contains `line`, and
/// leaves nothing behind.
pub fn assert_refused(parameters: &[&str], error: &str, line: &str) {
    let mut log = Messages::from_now();
    let mut arguments = vec!["umsg.ko"];
    arguments.extend(parameters);
    let output = command("insmod", &arguments).expect_err(parameters.first().unwrap_or(&""));
    assert!(output.contains(error), "{parameters:?}: {output}");
    let lines = log.of_umsg();
    assert_eq!(lines.len(), 1, "{parameters:?}: {lines:?}");
    assert!(lines[0].contains(line), "{parameters:?}: {lines:?}");
    assert_nothing_left();
}

fn assert_nothing_left() {
    assert!(!is_loaded());
    for path in [NODE, "/sys/module/umsg", "/sys/class/misc/umsg"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    let areas = std::fs::read_to_string("/proc/vmallocinfo").expect("vmallocinfo");
    assert!(!areas.contains("[umsg]"), "the module's memory is not freed");
}

/// The message of kmod for EINVAL.
const INVALID: &str = "Invalid parameters";

fn modinfo() {
    assert_eq!(command("modinfo", &["-F", "version", "umsg"]), Ok("1.0.0\n".into()));
    let said = command("modinfo", &["-p", "umsg"]).expect("modinfo");
    let mut names: Vec<&str> = said.lines().filter_map(|line| line.split(':').next()).collect();
    names.sort_unstable();
    assert_eq!(names, NAMES);
    for (name, kind) in [
        ("capacity", "size"),
        ("mode", "mode"),
        ("policy", "policy"),
        ("quiet", "bool"),
        ("style", "style"),
        ("logs", "text"),
    ] {
        let line = said.lines().find(|line| line.starts_with(&format!("{name}:"))).expect(name);
        assert!(line.ends_with(&format!("({kind})")) && line.contains("(default: "), "{line}");
    }
}

/// Checks that the load fails for an invalid combination of valid values.
fn together() {
    assert_refused(
        &["capacity=64K", "record_max=64K"],
        INVALID,
        "record_max=65536: a record of this size needs 65592 bytes, /dev/umsg has 65536",
    );
    assert_refused(
        &["record_max=8K", "logs=small:4K"],
        INVALID,
        "record_max=8192: a record of this size needs 8248 bytes, /dev/umsg-small has 4096",
    );
    // Several invalid values cause one line.
    assert_refused(&["capacity=1", "mode=9", "policy=none"], INVALID, ": must be ");
}

/// Checks that no slab memory is leaked if a load fails after it allocated memory.
fn failed_load_leaves_no_memory() {
    let slab = || -> i64 {
        let memory = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
        let line = memory.lines().find(|line| line.starts_with("SUnreclaim:")).expect("SUnreclaim");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    };
    // The valid names before the invalid one take about 16 KiB.
    let names: Vec<String> = (0..150).map(|i| format!("a_long_enough_name_{i}")).collect();
    let parameter = format!("logs={},a/b", names.join(","));
    let refuse = |times| {
        (0..times).for_each(|_| assert_eq!(finit_module(&parameter), Err(Errno::EINVAL)));
    };
    // Each failure logs one complete line although the value is longer than printk() allows.
    let mut log = Messages::from_now();
    refuse(20);
    let lines = log.of_umsg();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line.ends_with("or '.' in 'a/b'")), "{}", lines[0]);
    let before = slab();
    let rounds = i64::from(rounds());
    refuse(rounds);
    let grown = slab() - before;
    println!("{rounds} failed loads: the slab grew by {grown} KiB");
    // With KASAN the slab grows, because freed memory stays in quarantine. `leaks.none` finds leaks
    // there.
    let watched = crate::kmod::finds_leaks();
    assert!(
        watched || grown < 8 * rounds,
        "the slab grew by {grown} KiB, of some {} allocated",
        16 * rounds
    );
    assert_nothing_left();
}

fn last_wins() {
    for (parameters, name, want) in [
        (&["capacity=64K", "capacity=128K"][..], "capacity", "128K"),
        // A later value overrides an invalid one, which can come from modprobe.d.
        (&["capacity=nonsense", "capacity=128K"], "capacity", "128K"),
        (&["quiet", "quiet=n"], "quiet", "N"),
        (&["logs=a,b", "logs=c"], "logs", "c"),
    ] {
        let mut arguments = vec!["umsg.ko"];
        arguments.extend(parameters);
        command("insmod", &arguments).expect(parameters[0]);
        assert_eq!(shown(name), want);
        rmmod().expect("rmmod");
    }
    assert!(!Path::new("/dev/umsg-a").exists());
}

/// Checks that an unknown parameter causes a warning of the kernel and does not prevent the load.
fn unknown() {
    let mut log = Messages::from_now();
    modprobe("nonesuch=1").expect("modprobe");
    assert!(log.of_umsg().iter().any(|line| line == "unknown parameter 'nonesuch' ignored"));
}

fn quiet() {
    let mut log = Messages::from_now();
    modprobe("quiet").expect("modprobe");
    rmmod().expect("rmmod");
    assert_eq!(log.of_umsg(), [""; 0]);
}

fn modprobe_d() {
    std::fs::create_dir_all("/etc/modprobe.d").expect("modprobe.d");
    std::fs::write("/etc/modprobe.d/umsg.conf", "options umsg capacity=64K mode=0640 logs=one\n")
        .expect("umsg.conf");
    modprobe("").expect("modprobe");
    assert_eq!(
        (shown("capacity"), shown("mode"), shown("logs")),
        ("64K".into(), "0640".into(), "one".into())
    );
    rmmod().expect("rmmod");
    // The command line overrides the file.
    modprobe("capacity=128K").expect("modprobe");
    assert_eq!((shown("capacity"), shown("mode")), ("128K".into(), "0640".into()));
    rmmod().expect("rmmod");
    std::fs::remove_file("/etc/modprobe.d/umsg.conf").expect("umsg.conf");
}

/// Checks that modprobe passes `umsg.NAME=` from the kernel's command line.
fn command_line() {
    // Replace /proc/cmdline for this process and its children.
    child(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("unshare");
        std::fs::write("/tmp/cmdline", "quiet umsg.capacity=256K umsg.policy=stop\n")
            .expect("cmdline");
        let none = None::<&str>;
        let bind = nix::mount::MsFlags::MS_BIND;
        nix::mount::mount(Some("/tmp/cmdline"), "/proc/cmdline", none, bind, none).expect("mount");
        modprobe("").expect("modprobe");
        assert_eq!((shown("capacity"), shown("policy")), ("256K".into(), "stop".into()));
        rmmod().expect("rmmod");
    })
    .join();
}

fn too_much_memory() {
    for parameters in
        ["capacity=1T", "capacity=4G", "logs=a:1T,b:1T", "capacity=4K logs=a:400M,b:400M,c:400M"]
    {
        let parameters: Vec<&str> = parameters.split(' ').collect();
        assert_refused(
            &parameters,
            "Cannot allocate memory",
            "capacity: not enough memory: the logs need ",
        );
    }
    // A load without parameters still works.
    modprobe("").expect("modprobe");
    rmmod().expect("rmmod");
}
