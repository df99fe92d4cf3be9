// SPDX-License-Identifier: GPL-2.0

//! Error messages of the program.

use crate::command::{finished, run, umsg};
use crate::harness::Test;
use crate::kmod;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

pub const TESTS: &[Test] = &[
    Test::new("program.no_module", no_module).unloaded(),
    Test::new("program.no_log", no_log).with("logs=app"),
    Test::new("program.full", full).with("logs=app:4K:stop"),
    Test::new("program.no_rights", no_rights).with("mode=0600 logs=app:0640"),
    Test::new("program.arguments", arguments),
];

/// Checks the errors without the module, and with a plain file in place of the node.
fn no_module() {
    let none = "umsg: the module umsg is not loaded: modprobe umsg\n";
    for arguments in [&[][..], &["write", "-m", "x"], &["info"], &["add", "x"], &["clear"]] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str(), err.as_str()), (2, "", none), "{arguments:?}");
    }
    std::fs::write("/dev/umsg", "text").expect("a plain file");
    for arguments in [&[][..], &["write", "-m", "x"], &["clear"], &["wait"]] {
        let (status, _, err) = run(arguments);
        assert_eq!(status, 2);
        assert!(
            err.starts_with("umsg: /dev/umsg is a regular file, not a log: remove it"),
            "{err}"
        );
    }
    assert_eq!(std::fs::read("/dev/umsg").expect("the file"), b"text");
    std::fs::remove_file("/dev/umsg").expect("removed");
    assert!(!kmod::is_loaded());
}

fn no_log() {
    let want = "umsg: there is no log none; the logs are: umsg, app\n";
    for arguments in [&["clear", "app", "none"][..], &["wait", "none"], &["run", "none", "--", "x"]]
    {
        let (status, _, err) = run(arguments);
        let failed = if arguments[0] == "run" { 125 } else { 2 };
        assert_eq!((status, err.as_str()), (failed, want), "{arguments:?}");
    }
    // The name of a command or a text in the place of a log.
    let (_, _, err) = run(&["-o", "json", "info"]);
    let want = "there is no log info; the logs are: umsg, app (for commands, see umsg --help)";
    assert_eq!(err, format!("umsg: {want}\n"));
    let (_, _, err) = run(&["write", "hello"]);
    assert_eq!(err, "umsg: there is no log hello; the logs are: umsg, app (a text follows -m)\n");
    // The advice to remove a file is for the place of a node only.
    let (status, _, err) = run(&["/dev/null"]);
    assert_eq!((status, err.as_str()), (2, "umsg: /dev/null is another device, not a log\n"));
    let (status, _, err) = run(&["info", "none", "app"]);
    assert!(status == 2 && err.contains("there is no log none"), "{err}");
    for name in ["umsg", "/dev/umsg"] {
        let (status, _, err) = run(&["remove", name]);
        assert!(status == 2 && err.contains("the default log cannot be removed"), "{err}");
    }
    assert_eq!(run(&["remove", "/dev/umsg-app"]).0, 0);
    assert!(!std::path::Path::new("/dev/umsg-app").exists());
    // A container can lack nodes.
    assert_eq!(run(&["add", "box"]).0, 0);
    let number = std::fs::read_to_string("/sys/class/misc/umsg-box/dev").expect("the number");
    std::fs::remove_file("/dev/umsg-box").expect("removed");
    let why =
        "/dev/umsg-box is not the node of the log box here: bind that into the container, or \
        make it as root";
    let command =
        format!("rm -f /dev/umsg-box && mknod /dev/umsg-box c {}", number.trim().replace(':', " "));
    let (status, _, err) = run(&["box"]);
    assert_eq!((status, err), (2, format!("umsg: {why} ({command})\n")));
    crate::command::put("/dev/umsg", "text\n");
    let (status, out, err) = run(&["-m", "-o", "cat"]);
    assert!((status, out.as_str()) == (2, "text\n") && err.contains(why), "{status} {out}{err}");
    assert_eq!(kmod::command("sh", &["-c", &command]).expect("mknod"), "");
    assert_eq!(run(&["box"]), (0, String::new(), String::new()));
    std::fs::remove_file("/dev/umsg-box").expect("the node of mknod");
}

/// Checks the advice for a log that is full: it names the log.
fn full() {
    let (mut status, mut err) = (0, String::new());
    for _ in 0..100 {
        (status, _, err) = run(&["write", "-m", "a text", "app"]);
        if status != 0 {
            break;
        }
    }
    assert!(status == 2 && err.ends_with("clear it (umsg clear app)\n"), "{err}");
    let (_, table, _) = run(&["info", "app"]);
    let used = table.split_whitespace().find_map(|word| word.strip_suffix('%')).expect("USED");
    assert!((95..=100).contains(&used.parse().expect("a number")), "{table}");
    assert_eq!(run(&["clear", "app"]).0, 0);
    assert_eq!(run(&["write", "-m", "a text", "app"]).0, 0);
}

/// Checks that the error names the group that has the rights.
fn no_rights() {
    std::fs::write("/etc/group", "root:x:0:\nadm:x:4:\n").expect("/etc/group");
    std::fs::write("/etc/passwd", "root:x:0:0::/:/bin/sh\nwalter:x:1000:1000::/:/bin/sh\n")
        .expect("/etc/passwd");
    std::os::unix::fs::chown("/dev/umsg-app", None, Some(4)).expect("chown");
    std::fs::set_permissions("umsg", PermissionsExt::from_mode(0o755)).expect("chmod");
    let as_user = |arguments: &[&str]| {
        finished(umsg(arguments).uid(1000).gid(1000).output().expect("./umsg"))
    };
    let (status, _, err) = as_user(&[]);
    assert_eq!(status, 2);
    assert_eq!(err, "umsg: no permission for /dev/umsg, which root may read and write\n");
    let (_, _, err) = as_user(&["app"]);
    let want = "umsg: no permission for /dev/umsg-app, which root may read and write, and which \
        the group adm may read\n";
    assert_eq!(err, want);
    let (status, _, err) = as_user(&["add", "x"]);
    assert!(
        status == 2
            && err.contains("no permission for /sys/module/umsg/parameters/logs, which root may"),
        "{err}"
    );
    std::fs::set_permissions("/dev/umsg", PermissionsExt::from_mode(0o666)).expect("chmod");
    let (status, _, err) = as_user(&["clear"]);
    assert!(
        status == 2 && err.contains("only root can clear /dev/umsg (capability CAP_SYSLOG)"),
        "{err}"
    );
    let (status, _, err) = as_user(&["write", "-m", "mine"]);
    assert_eq!((status, err.as_str()), (0, ""));
    let (status, out, _) = run(&["--uid", "walter", "-o", "cat"]);
    assert_eq!((status, out.as_str()), (0, "mine\n"));
    // Of all logs, the readable ones are shown.
    let (status, out, err) = as_user(&["-m", "-o", "cat"]);
    assert_eq!((status, out.as_str()), (2, "mine\n"));
    assert!(err.starts_with("umsg: no permission for /dev/umsg-app, which root"), "{err}");
    std::fs::set_permissions("/dev/umsg", PermissionsExt::from_mode(0o600)).expect("chmod");
    let (status, out, err) = as_user(&["-m", "-o", "cat"]);
    assert_eq!((status, out.as_str(), err.lines().count()), (2, "", 1));
    let (status, _, err) = run(&["--uid", "nobody"]);
    assert!(status == 2 && err.contains("/etc/passwd has no user"), "{err}");
}

fn arguments() {
    for (arguments, why) in [
        (&["-n", "x"][..], "must be a number of records"),
        (&["-p", "loud"], "is not a level"),
        (&["--facility", "kernel"], "is not a facility"),
        (&["--since", "then"], "is not a time"),
        (&["-g", "("], "regex parse error"),
        (&["-f", "-r"], "cannot be used with"),
        (&["--state", "x", "--until", "now"], "cannot be used with"),
        (&["-o", "xml"], "[possible values: short, iso, json, cat, raw, kmsg]"),
        (&["wait", "-t", "long"], "is not a duration"),
        (&["wait", "-t", "-5"], "is not a duration"),
        (&["write", "-p", "999999"], "is not a priority: 0 to 2047"),
        (&["run", "app"], "COMMAND"),
        (&["run", "app", "--all"], "Usage: umsg run <LOG> -- <COMMAND>"),
        (&["info", "-o", "json"], "unexpected argument '-o'"),
        (&["add"], "<LOG>"),
        (&["--none"], "unexpected argument"),
    ] {
        let (status, out, err) = run(arguments);
        let failed = if arguments[0] == "run" { 125 } else { 2 };
        assert_eq!((status, out.as_str()), (failed, ""), "{arguments:?}");
        assert!(err.contains(why) && !err.contains("use '-- "), "{arguments:?}: {err}");
    }
    let (status, help, _) = run(&["--help"]);
    assert!(status == 0 && help.lines().count() <= 45, "{help}");
    assert_eq!(run(&["-h"]).1, help);
    let version = kmod::command("modinfo", &["-F", "version", "./umsg.ko"]).expect("modinfo");
    assert_eq!(run(&["--version"]).1, format!("umsg {version}"));
}
