// SPDX-License-Identifier: GPL-2.0

//! Parameters, by every way they are given: what they set, and what a bad one is told.

use crate::abi::{Umsg, NODE};
use crate::kernel::{command, delete_module, finit_module, is_loaded, modprobe, rmmod, Messages};
use crate::sharing::child;
use crate::{rounds, Test};
use nix::errno::Errno;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub const TESTS: &[Test] = &[
    Test::new("parameters.modinfo", modinfo).unloaded(),
    Test::new("parameters.sizes", sizes).unloaded().complains(),
    Test::new("parameters.modes", modes).unloaded().complains(),
    Test::new("parameters.booleans", booleans).unloaded().complains(),
    Test::new("parameters.policies", policies).unloaded().complains(),
    Test::new("parameters.styles", styles).unloaded().complains(),
    Test::new("parameters.together", together).unloaded().complains(),
    Test::new("parameters.refused_leaves_no_memory", refused_leaves_no_memory)
        .unloaded()
        .complains(),
    Test::new("parameters.last_wins", last_wins).unloaded(),
    Test::new("parameters.random", random).unloaded().complains(),
    Test::new("parameters.unknown", unknown).unloaded().complains(),
    Test::new("parameters.quiet", quiet).unloaded(),
    Test::new("parameters.modprobe_d", modprobe_d).unloaded(),
    Test::new("parameters.command_line", command_line).unloaded(),
    Test::new("parameters.sysfs", sysfs),
    Test::new("parameters.sysfs_write", sysfs_write),
    Test::new("parameters.sysfs_against_unload", sysfs_against_unload)
        .unloaded()
        .complains()
        .on_all_cpus(),
    Test::new("parameters.minors", minors).unloaded().complains(),
    Test::new("parameters.too_much_memory", too_much_memory).unloaded().complains(),
];

const NAMES: [&str; 8] =
    ["capacity", "logs", "minor", "mode", "policy", "quiet", "record_max", "style"];

/// What a parameter's file in sysfs shows, without its newline.
fn shown(name: &str) -> String {
    let path = format!("/sys/module/umsg/parameters/{name}");
    let text = std::fs::read_to_string(&path).expect(&path);
    text.strip_suffix('\n').expect("a newline").to_string()
}

/// Loads with `parameters`, which must be taken, and returns what sysfs shows for `name`.
fn taken(parameters: &str, name: &str) -> String {
    crate::kernel::command("insmod", &["umsg.ko", parameters]).expect(parameters);
    let text = shown(name);
    rmmod().expect("rmmod");
    text
}

/// What a load that was refused leaves behind: nothing but one line that says why.
pub fn assert_refused(parameters: &[&str], error: &str, line: &str) {
    let mut log = Messages::from_now();
    let mut arguments = vec!["umsg.ko"];
    arguments.extend(parameters);
    let said = command("insmod", &arguments).expect_err(parameters.first().unwrap_or(&""));
    assert!(said.contains(error), "{parameters:?}: {said}");
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
    assert!(!areas.contains("[umsg]"), "memory of the module is left");
}

/// kmod's words for EINVAL.
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

fn sizes() {
    for (given, want) in [
        ("4K", "4K"),
        ("4k", "4K"),
        ("4096", "4K"),
        ("0x1000", "4K"),
        ("4097", "4097"),
        ("64K", "64K"),
        ("1M", "1M"),
        ("1024K", "1M"),
        ("1025K", "1025K"),
        ("0x10K", "16K"),
        ("0128K", "128K"),
    ] {
        assert_eq!(taken(&format!("capacity={given}"), "capacity"), want, "{given}");
    }
    for bad in [
        "",
        "4095",
        "3K",
        "0",
        "1025G",
        "2T",
        "-1",
        "+4096",
        "4 K",
        "K",
        "KK",
        "4KB",
        "4KiB",
        "1.5M",
        "0x",
        "0xK",
        "four",
        "18446744073709551616",
        "18014398509481984K",
        "16777216T",
        "99999999999999999999T",
    ] {
        assert_refused(
            &[&format!("capacity={bad}")],
            INVALID,
            &format!("capacity={bad}: must be from 4K to 1T"),
        );
    }
    // White space around is not part of a value; the loader's own quoting keeps it.
    assert_eq!(taken("capacity=\" 8K \"", "capacity"), "8K");
    for (given, want) in [("1", "1"), ("64K", "64K"), ("65536", "64K"), ("1000", "1000")] {
        assert_eq!(taken(&format!("record_max={given}"), "record_max"), want, "{given}");
    }
    for bad in ["0", "65537", "65K", ""] {
        assert_refused(&[&format!("record_max={bad}")], INVALID, "must be from 1 to 64K");
    }
    // Without a value.
    assert_refused(&["capacity"], INVALID, "capacity=: must be from 4K to 1T");
}

fn modes() {
    for (given, want) in
        [("0600", 0o600), ("640", 0o640), ("1", 0o001), ("0777", 0o777), ("000644", 0o644)]
    {
        modprobe(&format!("mode={given}")).expect(given);
        assert_eq!(shown("mode"), format!("{want:04o}"));
        let mode = std::fs::metadata(NODE).expect(NODE).permissions().mode() & 0o7777;
        assert_eq!(mode, want, "{given}");
        rmmod().expect("rmmod");
    }
    for bad in ["0", "01000", "0800", "0x1ff", "-1", "rw", "177777777777777", "", "0o644"] {
        assert_refused(
            &[&format!("mode={bad}")],
            INVALID,
            &format!("mode={bad}: must be from 0001 to 0777"),
        );
    }
}

fn booleans() {
    for (given, want) in [
        ("quiet", "Y"),
        ("quiet=1", "Y"),
        ("quiet=y", "Y"),
        ("quiet=YES", "Y"),
        ("quiet=on", "Y"),
        ("quiet=True", "Y"),
        ("quiet=0", "N"),
        ("quiet=n", "N"),
        ("quiet=No", "N"),
        ("quiet=off", "N"),
        ("quiet=FALSE", "N"),
    ] {
        assert_eq!(taken(given, "quiet"), want, "{given}");
    }
    for bad in ["", "2", "yess", "oui", "yn", "-1", "o"] {
        assert_refused(
            &[&format!("quiet={bad}")],
            INVALID,
            &format!("quiet={bad}: must be y or n"),
        );
    }
}

fn policies() {
    for good in ["overwrite", "stop"] {
        assert_eq!(taken(&format!("policy={good}"), "policy"), good);
    }
    for bad in ["", "0", "Stop", "sto", "stopp", "overwrite,stop", "drop"] {
        assert_refused(
            &[&format!("policy={bad}")],
            INVALID,
            &format!("policy={bad}: must be overwrite or stop"),
        );
    }
    assert_refused(&["policy"], INVALID, "policy=: must be overwrite or stop");
}

fn styles() {
    for (number, good) in ["lines", "kmsg", "plain"].into_iter().enumerate() {
        modprobe(&format!("style={good}")).expect(good);
        assert_eq!(shown("style"), good);
        let file = Umsg::reader();
        assert_eq!((file.info().style, file.get_style()), (number as u32, number as u32));
        drop(file);
        rmmod().expect("rmmod");
    }
    for bad in ["", "0", "Lines", "line", "kmsgs", "lines,kmsg"] {
        assert_refused(
            &[&format!("style={bad}")],
            INVALID,
            &format!("style={bad}: must be lines, kmsg or plain"),
        );
    }
}

/// Fixed numbers, so that nodes that were made before find the logs.
fn minors() {
    use std::os::unix::fs::MetadataExt;
    let minor = |path: &str| {
        let device = std::fs::metadata(path).expect(path).rdev();
        assert_eq!(nix::sys::stat::major(device), 10, "{path}");
        nix::sys::stat::minor(device)
    };
    modprobe("minor=250 logs=a,b").expect("modprobe");
    assert_eq!(shown("minor"), "250");
    assert_eq!([NODE, "/dev/umsg-a", "/dev/umsg-b"].map(minor), [250, 251, 252]);
    // Logs that come later have what is free.
    let change = |what: &str| std::fs::write("/sys/module/umsg/parameters/logs", what);
    change("-a").expect("-a");
    for (name, number) in [("c", 251), ("d", 253), ("e", 254)] {
        change(&format!("+{name}")).expect(name);
        assert_eq!(minor(&format!("/dev/umsg-{name}")), number, "{name}");
    }
    let mut log = Messages::from_now();
    assert!(change("+f").is_err());
    assert_eq!(log.of_umsg(), ["logs=+f: no free minor number up to 254"]);
    // A node of one's own reaches the log that has its number.
    let device = nix::sys::stat::makedev(10, 252);
    let (kind, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRUSR);
    nix::sys::stat::mknod("/tmp/node", kind, mode, device).expect("mknod");
    let log_id = |path: &str| Umsg::open_at(path, libc::O_RDONLY).expect(path).info().log_id;
    assert_eq!(log_id("/tmp/node"), log_id("/dev/umsg-b"));
    rmmod().expect("rmmod");
    for bad in ["", "0", "242", "255", "250x", "-1", "any", "Dynamic"] {
        assert_refused(
            &[&format!("minor={bad}")],
            INVALID,
            &format!("minor={bad}: must be dynamic or from 243 to 254"),
        );
    }
    assert_refused(
        &["minor=254", "logs=a"],
        INVALID,
        "logs=a: no free minor number up to 254 in 'a'",
    );
}

/// Each is good by itself, but not with the other.
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
    // Several bad ones: one line, and nothing is half done.
    assert_refused(&["capacity=1", "mode=9", "policy=none"], INVALID, ": must be ");
}

/// A load that is refused late, over and over: the slab does not grow by what it had allocated.
fn refused_leaves_no_memory() {
    let slab = || -> i64 {
        let memory = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
        let line = memory.lines().find(|line| line.starts_with("SUnreclaim:")).expect("SUnreclaim");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    };
    // A hundred and fifty names and their list, some 16 KiB, before the one that is refused.
    let names: Vec<String> = (0..150).map(|i| format!("a_long_enough_name_{i}")).collect();
    let parameter = format!("logs={},a/b", names.join(","));
    let refuse = |times| {
        (0..times).for_each(|_| assert_eq!(finit_module(&parameter), Err(Errno::EINVAL)));
    };
    // The line about it is one, however long the value is: what printk() cuts has no end, and shows
    // only when something else is printed.
    let mut log = Messages::from_now();
    refuse(20);
    let lines = log.of_umsg();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line.ends_with("or '.' in 'a/b'")), "{}", lines[0]);
    let before = slab();
    let rounds = i64::from(rounds());
    refuse(rounds);
    let grown = slab() - before;
    println!("{rounds} refused loads: the slab grew by {grown} KiB");
    // Where kmemleak watches, freed memory stays in quarantine for a while, and `leaks.none` looks.
    let watched = crate::kernel::finds_leaks();
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
        // A good one after a bad one, as when a modprobe.d option is overridden.
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

/// Random strings, one for each parameter in every load: taken, and shown in a form that is taken
/// again, or refused with one line about one of them.
fn random() {
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    const PIECES: [&str; 26] = [
        "0",
        "1",
        "7",
        "9",
        "64",
        "4096",
        "K",
        "M",
        "G",
        "T",
        "k",
        "x",
        "0x",
        "-",
        "+",
        ":",
        ",",
        "stop",
        "overwrite",
        "lines",
        "kmsg",
        "app",
        "/",
        ".",
        "y",
        "\u{e4}",
    ];
    const GOOD: [&str; 8] = ["64K", "app,box:64K", "dynamic", "0640", "stop", "y", "100", "plain"];
    let (mut good, mut bad) = (0, 0);
    let rounds = rounds();
    for _ in 0..rounds {
        // A good value beside each random one now and then, or next to none would be taken.
        let all_good = next(4) == 0;
        let mut given: Vec<String> = NAMES
            .iter()
            .zip(GOOD)
            .map(|(name, good)| match next(3) {
                0 => format!("{name}={good}"),
                _ => format!(
                    "{name}={}",
                    (0..next(4)).map(|_| PIECES[next(PIECES.len())]).collect::<String>()
                ),
            })
            .collect();
        if all_good {
            // The last one wins, whatever the first was.
            given.extend(NAMES.iter().zip(GOOD).map(|(name, good)| format!("{name}={good}")));
        }
        let mut log = Messages::from_now();
        match finit_module(&given.join(" ")) {
            Ok(()) => {
                good += 1;
                let shown: Vec<String> =
                    NAMES.iter().map(|name| format!("{name}={}", shown(name))).collect();
                delete_module().expect("unload");
                finit_module(&shown.join(" ")).expect("what was shown");
                for (name, before) in NAMES.iter().zip(&shown) {
                    assert_eq!(&format!("{name}={}", self::shown(name)), before, "{given:?}");
                }
                delete_module().expect("unload");
            }
            Err(error) => {
                bad += 1;
                assert!(matches!(error, Errno::EINVAL | Errno::ENOMEM), "{given:?}: {error}");
                assert_eq!(log.of_umsg().len(), 1, "{given:?}");
                assert!(!is_loaded());
            }
        }
    }
    let strings = rounds as usize * NAMES.len();
    println!("{strings} strings in {rounds} loads: {good} taken, {bad} refused");
    assert!(good > rounds / 10 && bad > rounds / 2);
    assert_nothing_left();
}

/// The kernel warns of a parameter that no module has, and loads it all the same.
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
    // The command line overrides what the file says.
    modprobe("capacity=128K").expect("modprobe");
    assert_eq!((shown("capacity"), shown("mode")), ("128K".into(), "0640".into()));
    rmmod().expect("rmmod");
    std::fs::remove_file("/etc/modprobe.d/umsg.conf").expect("umsg.conf");
}

/// modprobe takes `umsg.NAME=` from the kernel's command line.
fn command_line() {
    // Another /proc/cmdline, for this process and its children.
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

fn sysfs() {
    let mut names: Vec<String> = std::fs::read_dir("/sys/module/umsg/parameters")
        .expect("parameters")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, NAMES);
    for (name, default) in [
        ("capacity", "1M"),
        ("logs", ""),
        ("minor", "dynamic"),
        ("mode", "0600"),
        ("policy", "overwrite"),
        ("quiet", "N"),
        ("record_max", "1K"),
        ("style", "lines"),
    ] {
        assert_eq!(shown(name), default);
        let path = format!("/sys/module/umsg/parameters/{name}");
        let mode = std::fs::metadata(&path).expect(&path).permissions().mode() & 0o777;
        let can_change = ["logs", "record_max"].contains(&name);
        assert_eq!(mode, if can_change { 0o644 } else { 0o444 }, "{name}");
    }
}

fn sysfs_write() {
    const PATH: &str = "/sys/module/umsg/parameters/record_max";
    let (file, reader) = (Umsg::writer(), Umsg::reader());
    let mut log = Messages::from_now();
    for (given, want) in [("2K", "2K"), ("2K\n", "2K"), ("10\n", "10"), ("64K", "64K"), ("1", "1")]
    {
        std::fs::write(PATH, given).expect(given);
        assert_eq!(shown("record_max"), want);
        let limit = reader.info().record_max as usize;
        file.log(vec![b'x'; limit]);
        assert_eq!(file.write(&vec![b'x'; limit + 1]), Err(Errno::EMSGSIZE));
        assert_eq!(reader.next().expect("a record").text.len(), limit);
    }
    for bad in ["0", "65K", "x", "", "\n", "1 2", "-1"] {
        let error = std::fs::write(PATH, bad);
        // A write of no bytes does not reach the module.
        if !bad.is_empty() {
            assert_eq!(error.expect_err(bad).raw_os_error(), Some(libc::EINVAL), "{bad}");
        }
        assert_eq!(shown("record_max"), "1");
    }
    // Users' mistakes do not fill the kernel log.
    assert_eq!(log.of_umsg(), [""; 0]);
    rmmod().expect_err("files are open");
}

/// The module comes and goes while others read and write its files in sysfs.
fn sysfs_against_unload() {
    let users: Vec<_> = (0..3)
        .map(|index| {
            child(move || loop {
                for name in NAMES {
                    let path = format!("/sys/module/umsg/parameters/{name}");
                    if let Ok(text) = std::fs::read_to_string(&path) {
                        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
                    }
                }
                let size = format!("{}K", 1 + index);
                let _ = std::fs::write("/sys/module/umsg/parameters/record_max", size);
                for change in ["+", "-"] {
                    let change = format!("{change}user{index}");
                    let _ = std::fs::write("/sys/module/umsg/parameters/logs", change);
                }
                // Never all of the machine: the module would hardly come and go.
                std::thread::sleep(std::time::Duration::from_millis(1 + index));
            })
        })
        .collect();
    for _ in 0..rounds() / 4 {
        finit_module("logs=a,b,c").expect("load");
        delete_module().expect("unload");
    }
    for user in users {
        let path = format!("/proc/{}/stat", user.pid());
        let stat = std::fs::read_to_string(&path).expect(&path);
        assert!(!stat.contains(") Z "), "a user failed");
        user.kill();
    }
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
    // The machine is none the worse for it.
    modprobe("").expect("modprobe");
    rmmod().expect("rmmod");
}
