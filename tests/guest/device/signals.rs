// SPDX-License-Identifier: GPL-2.0

//! Waiting reads that signals interrupt.

use crate::client::{Umsg, KMSG};
use crate::sharing::child;
use crate::{skip, Test};
use nix::errno::Errno;
use nix::mount::{mount, umount, MsFlags};
use nix::sys::signal::{kill, sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};

pub const TESTS: &[Test] = &[
    Test::new("signals.interrupt", interrupt),
    Test::new("signals.restart", restart),
    Test::new("signals.kill", kill_sleeper),
    Test::new("signals.stop", stop_and_continue),
    Test::new("signals.freeze", freeze),
];

extern "C" fn nothing(_: libc::c_int) {}

fn handle(flags: SaFlags) {
    let action = SigAction::new(SigHandler::Handler(nothing), flags, SigSet::empty());
    // SAFETY: The handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("sigaction");
}

fn interrupt() {
    let sleeper = child(|| {
        handle(SaFlags::empty());
        let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
        assert_eq!(file.next(), Err(Errno::EINTR));
        // The interrupted read consumed nothing.
        file.log("x");
        assert_eq!(file.next().expect("a record").seq, 0);
    });
    sleeper.wait_until_asleep();
    kill(sleeper.pid(), Signal::SIGUSR1).expect("kill");
    sleeper.join();
}

fn restart() {
    let sleeper = child(|| {
        handle(SaFlags::SA_RESTART);
        let file = Umsg::open(libc::O_RDONLY).expect("open");
        assert_eq!(file.next().expect("a record").text, b"after the signals");
    });
    for _ in 0..5 {
        sleeper.wait_until_asleep();
        kill(sleeper.pid(), Signal::SIGUSR1).expect("kill");
    }
    sleeper.wait_until_asleep();
    Umsg::writer().log("after the signals");
    sleeper.join();
}

fn kill_sleeper() {
    for _ in 0..20 {
        let sleeper = child(|| {
            let _ = Umsg::open(libc::O_RDONLY).expect("open").next();
        });
        sleeper.wait_until_asleep();
        sleeper.kill();
    }
    Umsg::writer().log("x");
    assert_eq!(Umsg::reader().rest().len(), 1);
}

fn stop_and_continue() {
    let sleeper = child(|| {
        let file = Umsg::open(libc::O_RDONLY).expect("open");
        assert_eq!(file.next().expect("a record").seq, 0);
    });
    sleeper.wait_until_asleep();
    kill(sleeper.pid(), Signal::SIGSTOP).expect("kill");
    kill(sleeper.pid(), Signal::SIGCONT).expect("kill");
    sleeper.wait_until_asleep();
    Umsg::writer().log("x");
    sleeper.join();
}

/// Checks that a read keeps waiting after the control group freezer interrupts it. Programs must
/// not notice this interruption.
fn freeze() {
    let root = "/tmp/cgroup";
    std::fs::create_dir_all(root).expect(root);
    if mount(None::<&str>, root, Some("cgroup2"), MsFlags::empty(), None::<&str>).is_err() {
        skip("this kernel has no control groups")
    }
    let group = format!("{root}/umsg");
    std::fs::create_dir(&group).expect(&group);
    let set = |file: &str, value: &str| {
        std::fs::write(format!("{group}/{file}"), value).expect(file);
    };
    let is_frozen = || {
        let events = std::fs::read_to_string(format!("{group}/cgroup.events")).expect("events");
        events.contains("frozen 1")
    };
    let sleeper = child(|| {
        let file = Umsg::open(libc::O_RDONLY).expect("open");
        assert_eq!(file.next().expect("a record").text, b"after the thaw");
    });
    sleeper.wait_until_asleep();
    set("cgroup.procs", &sleeper.pid().to_string());
    for _ in 0..5 {
        set("cgroup.freeze", "1");
        while !is_frozen() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        set("cgroup.freeze", "0");
        while is_frozen() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        sleeper.wait_until_asleep();
    }
    Umsg::writer().log("after the thaw");
    sleeper.join();
    std::fs::remove_dir(&group).expect(&group);
    umount(root).expect("umount");
}
