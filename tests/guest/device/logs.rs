// SPDX-License-Identifier: GPL-2.0

//! Named logs: their parameters, permissions and namespaces, and logs that are added and removed.

use crate::client::{Umsg, KMSG, LINES, NODE};
use crate::kmod::{command, modprobe, rmmod, Messages};
use crate::parameters::assert_refused;
use crate::sharing::child;
use crate::Test;
use nix::errno::Errno;
use nix::sched::{unshare, CloneFlags};
use std::os::unix::fs::PermissionsExt;

pub const TESTS: &[Test] = &[
    Test::new("logs.list", list).with("logs=app,boot:64K:stop,audit:128K:overwrite:0640"),
    Test::new("logs.defaults", defaults)
        .with("capacity=32K policy=stop mode=0604 logs=a,b:8K,c::overwrite,d:::0700,e:"),
    Test::new("logs.apart", apart).with("capacity=4K logs=other").on_all_cpus(),
    Test::new("logs.refused", refused).unloaded().module_may_warn(),
    Test::new("logs.many", many).unloaded(),
    Test::new("logs.rights", rights).with("mode=0644 logs=open:64K:overwrite:0666,shut:::0600"),
    Test::new("logs.user_namespace", user_namespace).with("mode=0666"),
    Test::new("logs.pid_namespace", pid_namespace),
    Test::new("logs.container", container).with("logs=box"),
    Test::new("logs.come_and_go", come_and_go).with("logs=old:64K").module_may_warn(),
    Test::new("logs.removed", removed).with("logs=box:16K").loadable_only(),
    Test::new("logs.against_users", against_users).on_all_cpus(),
];

fn node(name: &str) -> String {
    format!("{NODE}-{name}")
}

fn open(name: &str) -> Umsg {
    let file = Umsg::open_at(&node(name), libc::O_RDWR | libc::O_NONBLOCK).expect(name);
    file.style(KMSG)
}

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).expect(path).permissions().mode() & 0o7777
}

fn list() {
    let default = Umsg::both();
    for (file, capacity, policy, path, bits) in [
        (&default, 1 << 20, 0, NODE.to_string(), 0o600),
        (&open("app"), 1 << 20, 0, node("app"), 0o600),
        (&open("boot"), 64 << 10, 1, node("boot"), 0o600),
        (&open("audit"), 128 << 10, 0, node("audit"), 0o640),
    ] {
        let info = file.info();
        assert_eq!((info.capacity, info.policy), (capacity, policy), "{path}");
        assert_eq!(mode(&path), bits, "{path}");
        file.log(format!("to {path}"));
    }
    assert_eq!(open("boot").next().expect("a record").str(), "to /dev/umsg-boot");
}

/// Checks that a log has the default log's values unless its item sets them.
fn defaults() {
    for (name, capacity, policy, bits) in [
        ("a", 32, 1, 0o604),
        ("b", 8, 1, 0o604),
        ("c", 32, 0, 0o604),
        ("d", 32, 1, 0o700),
        ("e", 32, 1, 0o604),
    ] {
        let info = open(name).info();
        assert_eq!(
            (info.capacity, info.policy, mode(&node(name))),
            (capacity << 10, policy, bits),
            "{name}"
        );
    }
}

/// Checks that logs are independent of each other.
fn apart() {
    let default = Umsg::both();
    let other = open("other");
    other.log("mine");
    let before = other.info();
    for _ in 0..1000 {
        default.log("x");
    }
    default.clear().expect("clear");
    assert_eq!(other.info(), before);
    let record = other.next().expect("a record");
    assert_eq!((record.seq, record.lost, record.str()), (0, 0, "mine"));
    assert_eq!(other.next(), Err(Errno::EAGAIN));
    // A record of one log wakes no reader of another log.
    let sleeper = child(|| {
        let file = Umsg::open_at(&node("other"), libc::O_RDONLY).expect("open");
        assert_eq!(file.next().expect("a record").str(), "mine");
        assert_eq!(file.next().expect("a record").str(), "again");
    });
    sleeper.wait_until_asleep();
    default.log("x");
    sleeper.wait_until_asleep();
    other.log("again");
    sleeper.join();
}

fn refused() {
    let long = "x".repeat(33);
    for (item, why) in [
        ("a/b", "a name must be"),
        ("../x", "a name must be"),
        (":64K", "a name must be"),
        ("a b", "a name must be"),
        (long.as_str(), "a name must be"),
        ("b,-a", "a name must not begin with '-' in '-a'"),
        ("a,b,a", "duplicate log name in 'a'"),
        ("a:1K", "the capacity must be from 4K to 1T (a mode begins with 0) in 'a:1K'"),
        ("a:640", "the capacity must be from 4K to 1T (a mode begins with 0) in 'a:640'"),
        ("a:lots", "expected a capacity, a policy, a mode or a style in 'a:lots'"),
        ("a:64K:keep", "expected a capacity"),
        ("a:64K:stop:0", "the mode must be from 0001 to 0777"),
        ("a:64K:stop:01000", "the mode must be"),
        ("a:64K:stop:0600:more", "expected a capacity"),
        (
            "a:64K:stop:overwrite",
            "duplicate capacity, policy, mode or style in 'a:64K:stop:overwrite'",
        ),
        ("a:kmsg:kmsg", "duplicate capacity, policy, mode or style"),
    ] {
        assert_refused(&[&format!("logs=\"{item}\"")], "Invalid parameters", why);
        assert!(!std::path::Path::new("/dev/umsg-a").exists());
    }
    for change in ["+a", "-a"] {
        let why = format!("`{change}' invalid for parameter `logs'");
        assert_refused(&[&format!("logs={change}")], "Invalid parameters", &why);
    }
    let endless = "x,".repeat(2001);
    assert_refused(&[&format!("logs={endless}")], "Invalid parameters", "must be a list of NAME");
}

fn many() {
    let names: Vec<String> = (0..128).map(|i| format!("log{i}:4K")).collect();
    modprobe(&format!("logs={}", names.join(","))).expect("modprobe");
    let files: Vec<Umsg> = (0..128).map(|i| open(&format!("log{i}"))).collect();
    for (i, file) in files.iter().enumerate() {
        file.log(format!("{i}"));
    }
    for (i, file) in files.iter().enumerate() {
        assert_eq!(file.next().expect("a record").str(), format!("{i}"));
        assert_eq!(file.info().next_seq, 1);
    }
    drop(files);
    rmmod().expect("rmmod");
    let left = std::fs::read_dir("/dev").expect("/dev").flatten();
    assert_eq!(
        left.filter(|entry| entry.file_name().to_string_lossy().starts_with("umsg")).count(),
        0
    );
}

/// Runs `part` as user and group 1000, without capabilities.
fn as_user(part: impl FnOnce()) {
    child(|| {
        nix::unistd::setgroups(&[]).expect("setgroups");
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresgid(1000, 1000, 1000) }, 0);
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::setresuid(1000, 1000, 1000) }, 0);
        // After a change of user id, root owns the files of a process in /proc unless the process
        // is dumpable.
        // SAFETY: The call has no pointer arguments.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }, 0);
        part();
    })
    .join();
}

/// Checks that the mode of the node restricts open, and that a clear needs CAP_SYSLOG.
fn rights() {
    as_user(|| {
        for (path, read, write) in [
            (NODE.to_string(), true, false),
            (node("open"), true, true),
            (node("shut"), false, false),
        ] {
            let result = |flags| Umsg::open_at(&path, flags).map(drop);
            let want = |may: bool| if may { Ok(()) } else { Err(Errno::EACCES) };
            assert_eq!(result(libc::O_RDONLY), want(read), "{path}");
            assert_eq!(result(libc::O_WRONLY), want(write), "{path}");
            assert_eq!(result(libc::O_RDWR), want(read && write), "{path}");
        }
        let file = open("open");
        file.log("from a user");
        assert_eq!(file.next().expect("a record").uid, 1000);
        assert_eq!(file.clear(), Err(Errno::EPERM));
        assert!(std::fs::write("/sys/module/umsg/parameters/record_max", "1").is_err());
    });
}

/// Checks that root in a user namespace cannot clear a log.
fn user_namespace() {
    as_user(|| {
        unshare(CloneFlags::CLONE_NEWUSER).expect("unshare");
        std::fs::write("/proc/self/setgroups", "deny").expect("setgroups");
        std::fs::write("/proc/self/uid_map", "0 1000 1").expect("uid_map");
        std::fs::write("/proc/self/gid_map", "0 1000 1").expect("gid_map");
        assert_eq!(nix::unistd::geteuid().as_raw(), 0);
        let file = Umsg::both();
        file.log("from inside");
        assert_eq!(file.clear(), Err(Errno::EPERM));
        // The reader in the namespace sees user id 0.
        assert_eq!(file.next().expect("a record").uid, 0);
    });
    assert_eq!(Umsg::reader().next().expect("a record").uid, 1000);
}

/// Checks that a writer in another pid namespace is recorded with its pid in the initial namespace.
fn pid_namespace() {
    let reader = Umsg::reader();
    child(|| {
        unshare(CloneFlags::CLONE_NEWPID).expect("unshare");
        let inside = child(|| {
            assert_eq!(std::process::id(), 1);
            let file = Umsg::both();
            file.log("from inside");
            assert_ne!(file.next().expect("a record").pid, 1);
        });
        let pid = inside.pid().as_raw();
        inside.join();
        assert_eq!(reader.next().expect("a record").pid, pid);
    })
    .join();
}

/// Checks that a container uses a named log as its kernel log if the node is bound over /dev/kmsg.
fn container() {
    let script =
        "mount --bind /dev/umsg-box /dev/kmsg && echo '<4>inside' >/dev/kmsg && dmesg --notime";
    let said =
        command("unshare", &["--mount", "--pid", "--fork", "sh", "-c", script]).expect("unshare");
    assert_eq!(said, "inside\n");
    assert_eq!(Umsg::reader().next(), Err(Errno::EAGAIN));
}

const PARAMETER: &str = "/sys/module/umsg/parameters/logs";

/// Adds or removes a log while the module is loaded.
fn change(what: &str) -> Result<(), Errno> {
    std::fs::write(PARAMETER, what).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))
}

fn come_and_go() {
    let shown = || std::fs::read_to_string(PARAMETER).expect(PARAMETER);
    assert_eq!(shown(), "old:64K\n");
    change("+box:stop:0640:128K:kmsg\n").expect("+box");
    assert_eq!(shown(), "old:64K,box:stop:0640:128K:kmsg\n");
    let info = open("box").info();
    assert_eq!((info.capacity, info.policy, info.style), (128 << 10, 1, KMSG));
    assert_eq!(mode(&node("box")), 0o640);
    change("+plain").expect("+plain");
    change("-old").expect("-old");
    assert_eq!(shown(), "box:stop:0640:128K:kmsg,plain\n");
    assert!(!std::path::Path::new(&node("old")).exists());
    // An invalid change fails, logs one line, and changes nothing.
    let mut log = Messages::from_now();
    for (what, why) in [
        ("old", "must be +NAME[:...] or -NAME"),
        ("box:64K", "must be +NAME"),
        ("+", "a name must be"),
        ("-", "no such log"),
        ("-old", "no such log"),
        ("-umsg", "no such log"),
        ("+box", "duplicate log name"),
        ("+a,b", "a name must be"),
        ("+a/b", "a name must be"),
        ("+-a", "a name must not begin with '-'"),
        ("+a:3K", "the capacity must be"),
        ("+a:\u{e4}", "expected a capacity"),
        ("\u{e4}", "must be +NAME"),
    ] {
        assert_eq!(change(what), Err(Errno::EINVAL), "{what}");
        let lines = log.of_umsg();
        assert_eq!(lines.len(), 1, "{what}: {lines:?}");
        assert!(lines[0].starts_with("logs=") && lines[0].contains(why), "{what}: {lines:?}");
        assert_eq!(shown(), "box:stop:0640:128K:kmsg,plain\n", "{what}");
    }
    assert_eq!(change("+a:1T"), Err(Errno::ENOMEM));
    assert_eq!(log.of_umsg(), ["logs=+a:1T: not enough memory for this capacity"]);
    assert_eq!(shown(), "box:stop:0640:128K:kmsg,plain\n");
    // A record must fit each log, also a log that is added later.
    let record_max = |size: &str| std::fs::write("/sys/module/umsg/parameters/record_max", size);
    record_max("8K").expect("8K");
    assert_eq!(change("+small:4K"), Err(Errno::EINVAL));
    record_max("1K").expect("1K");
    change("+small:4K").expect("+small");
    record_max("8K").expect_err("a log is too small for that");
    change("-small").expect("-small");
    record_max("8K").expect("8K");
    record_max("1K").expect("1K");
    change("+small:4K").expect("+small");
    // The length of the list is limited.
    let mut names = 0;
    while change(&format!("+a_long_name_for_a_log_{names:09}:4K")).is_ok() {
        names += 1;
    }
    assert!(names > 100 && shown().len() <= 4001, "{names}");
    for name in 0..names {
        change(&format!("-a_long_name_for_a_log_{name:09}")).expect("removed");
    }
    assert_eq!(shown(), "box:stop:0640:128K:kmsg,plain,small:4K\n");
}

/// Checks that a removed log can still be used through open files, and that a new log of the same
/// name is another log.
fn removed() {
    let (file, reader) = (open("box"), open("box"));
    file.log("before");
    let id = file.info().log_id;
    change("-box").expect("-box");
    assert_eq!(Umsg::open_at(&node("box"), libc::O_RDONLY).err(), Some(Errno::ENOENT));
    file.log("after");
    assert_eq!(reader.next().expect("a record").str(), "before");
    assert_eq!(reader.next().expect("a record").str(), "after");
    rmmod().expect_err("the files are open");
    change("+box").expect("+box");
    let again = open("box");
    assert_ne!(again.info().log_id, id);
    assert_eq!(again.next(), Err(Errno::EAGAIN));
    again.log("new");
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
    assert_eq!(again.next().expect("a record").str(), "new");
    // The ring of a removed log limits a larger record_max, so that no long partial line is lost.
    std::fs::write("/sys/module/umsg/parameters/record_max", "32K").expect("32K");
    assert_eq!(file.info().record_max, 16384 - 56);
    for file in [&file, &reader] {
        file.set_style(LINES).expect("style");
    }
    reader.seek(0, libc::SEEK_END).expect("seek");
    file.log([b'x'; 20_000]);
    drop(file);
    let lengths: Vec<_> = reader.rest().iter().map(|record| record.text.len()).collect();
    assert_eq!(lengths, [20_000 - (16384 - 56)]);
    drop(reader);
    change("-box").expect("-box");
    drop(again);
    rmmod().expect("nothing is open");
}

/// Checks that nothing breaks if a log is added and removed while processes use it.
fn against_users() {
    let users: Vec<_> = (0..3)
        .map(|user| {
            child(move || loop {
                let flags = libc::O_RDWR | libc::O_NONBLOCK;
                match Umsg::open_at(&node("box"), flags).map(|file| file.style(KMSG)) {
                    Ok(file) => {
                        let first = file.info();
                        assert!(first.next_seq < 1_000_000);
                        for i in 0..20 {
                            file.log(format!("user {user} line {i}"));
                        }
                        loop {
                            match file.next() {
                                Ok(record) => assert!(record.str().starts_with("user ")),
                                Err(Errno::EPIPE) => {}
                                Err(error) => {
                                    assert_eq!(error, Errno::EAGAIN);
                                    break;
                                }
                            }
                        }
                        assert_eq!(file.info().log_id, first.log_id);
                    }
                    // ENXIO and ENODEV: the node existed, but the device did not.
                    Err(Errno::ENOENT | Errno::ENXIO | Errno::ENODEV) => {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    Err(error) => panic!("{error}"),
                }
            })
        })
        .collect();
    let rounds = crate::rounds();
    for _ in 0..rounds {
        change("+box:64K").expect("+box");
        std::thread::sleep(std::time::Duration::from_millis(2));
        change("-box").expect("-box");
    }
    for user in users {
        user.kill_running();
    }
    println!("{rounds} additions and removals");
}
