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
    for arguments in [&["none"][..], &["clear", "app", "none"], &["wait", "none"]] {
        let (status, _, err) = run(arguments);
        assert_eq!((status, err.as_str()), (2, want), "{arguments:?}");
    }
    let (status, _, err) = run(&["/dev/null"]);
    assert!(status == 2 && err.contains("/dev/null is another device, not a log"), "{err}");
    let (status, _, err) = run(&["info", "none", "app"]);
    assert!(status == 2 && err.contains("there is no log none"), "{err}");
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
        status == 2 && err.contains("/sys/module/umsg/parameters/logs: Permission denied"),
        "{err}"
    );
    std::fs::set_permissions("/dev/umsg", PermissionsExt::from_mode(0o666)).expect("chmod");
    let (status, _, err) = as_user(&["clear"]);
    assert!(
        status == 2 && err.contains("cannot clear /dev/umsg: Operation not permitted"),
        "{err}"
    );
    let (status, _, err) = as_user(&["write", "-m", "mine"]);
    assert_eq!((status, err.as_str()), (0, ""));
    let (status, out, _) = run(&["--uid", "walter", "-o", "cat"]);
    assert_eq!((status, out.as_str()), (0, "mine\n"));
    let (status, _, err) = run(&["--uid", "nobody"]);
    assert!(status == 2 && err.contains("/etc/passwd has no user"), "{err}");
}

fn arguments() {
    for (arguments, why) in [
        (&["-n", "x"][..], "a number of records"),
        (&["-p", "loud"], "is not a level"),
        (&["--facility", "kernel"], "is not a facility"),
        (&["--since", "then"], "is not a time"),
        (&["-g", "("], "regex parse error"),
        (&["-f", "-r"], "cannot be used with"),
        (&["-o", "xml"], "[possible values: short, iso, json, cat, raw, kmsg]"),
        (&["wait", "-t", "long"], "is not a duration"),
        (&["run", "app"], "COMMAND"),
        (&["add"], "<LOG>"),
        (&["--none"], "unexpected argument"),
    ] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }
    let (status, help, _) = run(&["--help"]);
    assert!(status == 0 && help.lines().count() <= 45, "{help}");
    assert_eq!(run(&["-h"]).1, help);
    let version = kmod::command("modinfo", &["-F", "version", "./umsg.ko"]).expect("modinfo");
    assert_eq!(run(&["--version"]).1, format!("umsg {version}"));
}
