// SPDX-License-Identifier: GPL-2.0

//! Named logs, and who may do what with them.

use crate::abi::{Umsg, NODE};
use crate::kernel::{command, modprobe, rmmod};
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
    Test::new("logs.refused", refused).unloaded().complains(),
    Test::new("logs.many", many).unloaded(),
    Test::new("logs.rights", rights).with("mode=0644 logs=open:64K:overwrite:0666,shut:::0600"),
    Test::new("logs.user_namespace", user_namespace).with("mode=0666"),
    Test::new("logs.pid_namespace", pid_namespace),
    Test::new("logs.container", container).with("logs=box"),
];

fn node(name: &str) -> String {
    format!("{NODE}-{name}")
}

fn open(name: &str) -> Umsg {
    Umsg::open_at(&node(name), libc::O_RDWR | libc::O_NONBLOCK).expect(name)
}

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).expect(path).permissions().mode() & 0o7777
}

fn list() {
    let default = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
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

/// What a list leaves out is as for the default log.
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

/// Readers and writers of one log do not disturb another.
fn apart() {
    let default = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
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
    // Who waits for one is not woken by the other.
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
        ("a,b,a", "the name is there twice in 'a'"),
        ("a:1K", "the capacity must be from 4K to 1T in 'a:1K'"),
        ("a:lots", "the capacity must be from 4K to 1T"),
        ("a:64K:keep", "the policy must be overwrite or stop"),
        ("a:64K:stop:0", "the mode must be from 0001 to 0777"),
        ("a:64K:stop:1000", "the mode must be"),
        ("a:64K:stop:0600:more", "there is more than NAME:CAPACITY:POLICY:MODE"),
    ] {
        assert_refused(&[&format!("logs=\"{item}\"")], "Invalid parameters", why);
        assert!(!std::path::Path::new("/dev/umsg-a").exists());
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

/// Runs `part` as the user and group 1000, without any capability.
fn as_user(part: impl FnOnce()) {
    child(|| {
        nix::unistd::setgroups(&[]).expect("setgroups");
        // SAFETY: Nothing but numbers.
        assert_eq!(unsafe { libc::setresgid(1000, 1000, 1000) }, 0);
        // SAFETY: As above.
        assert_eq!(unsafe { libc::setresuid(1000, 1000, 1000) }, 0);
        // A change of user takes a process's own files in /proc from it.
        // SAFETY: As above.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }, 0);
        part();
    })
    .join();
}

/// Reading and writing are the node's mode; what changes others' view takes CAP_SYSLOG.
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

/// Root of a user namespace has no power over a log of the whole machine.
fn user_namespace() {
    as_user(|| {
        unshare(CloneFlags::CLONE_NEWUSER).expect("unshare");
        std::fs::write("/proc/self/setgroups", "deny").expect("setgroups");
        std::fs::write("/proc/self/uid_map", "0 1000 1").expect("uid_map");
        std::fs::write("/proc/self/gid_map", "0 1000 1").expect("gid_map");
        assert_eq!(nix::unistd::geteuid().as_raw(), 0);
        let file = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
        file.log("from inside");
        assert_eq!(file.clear(), Err(Errno::EPERM));
        // It sees itself as root; outside it is user 1000.
        assert_eq!(file.next().expect("a record").uid, 0);
    });
    assert_eq!(Umsg::reader().next().expect("a record").uid, 1000);
}

/// Process ids are those of the initial namespace, for readers and writers in any.
fn pid_namespace() {
    let reader = Umsg::reader();
    child(|| {
        unshare(CloneFlags::CLONE_NEWPID).expect("unshare");
        let inside = child(|| {
            assert_eq!(std::process::id(), 1);
            let file = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
            file.log("from inside");
            assert_ne!(file.next().expect("a record").pid, 1);
        });
        let pid = inside.pid().as_raw();
        inside.join();
        assert_eq!(reader.next().expect("a record").pid, pid);
    })
    .join();
}

/// Bound over /dev/kmsg, a named log is a kernel log of the container's own.
fn container() {
    let script =
        "mount --bind /dev/umsg-box /dev/kmsg && echo '<4>inside' >/dev/kmsg && dmesg --notime";
    let said =
        command("unshare", &["--mount", "--pid", "--fork", "sh", "-c", script]).expect("unshare");
    assert_eq!(said, "inside\n");
    assert_eq!(Umsg::reader().next(), Err(Errno::EAGAIN));
}
