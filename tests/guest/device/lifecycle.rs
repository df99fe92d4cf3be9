// SPDX-License-Identifier: GPL-2.0

//! Loading and unloading, also while the device is in use.

use crate::client::{Umsg, NODE};
use crate::kmod::{delete_module, finit_module, is_loaded, modprobe, rmmod, Messages};
use crate::random::random;
use crate::sharing::{child, Child};
use crate::{rounds, Test};
use nix::errno::Errno;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    Test::new("lifecycle.insmod", insmod).unloaded(),
    Test::new("lifecycle.messages", messages).unloaded(),
    Test::new("lifecycle.taint", taint).loadable_only(),
    Test::new("lifecycle.reload", reload).unloaded(),
    Test::new("lifecycle.memory_is_freed", memory_is_freed).unloaded(),
    Test::new("lifecycle.unload_under_file", unload_under_file).on_all_cpus().loadable_only(),
    Test::new("lifecycle.unload_under_sleepers", unload_under_sleepers)
        .on_all_cpus()
        .loadable_only(),
    Test::new("lifecycle.unload_against_users", unload_against_users).unloaded().on_all_cpus(),
];

fn insmod() {
    crate::kmod::command("insmod", &["umsg.ko", "capacity=8192"]).expect("insmod");
    assert_eq!(Umsg::reader().info().capacity, 8192);
    let twice = crate::kmod::command("insmod", &["umsg.ko"]).expect_err("a second insmod");
    assert!(twice.contains("File exists"), "{twice}");
    rmmod().expect("rmmod");
    let twice = rmmod().expect_err("a second rmmod");
    assert!(twice.contains("not currently loaded"), "{twice}");
}

/// Checks that the module logs one line at load and one at unload, and none in between.
fn messages() {
    let mut log = Messages::from_now();
    modprobe("capacity=4096").expect("modprobe");
    let lines = log.of_umsg();
    let ready = "capacity=4K record_max=1K mode=0600 policy=overwrite style=lines";
    assert_eq!(lines, [format!("/dev/umsg is ready: {ready}")]);
    let file = Umsg::both();
    for _ in 0..100 {
        file.log("x");
    }
    assert!(file.write(&[0; 5000]).is_err());
    assert!(file.read(&mut [0]).is_err());
    assert!(file.seek(1, 77).is_err());
    drop(file);
    assert_eq!(log.of_umsg(), [""; 0]);
    rmmod().expect("rmmod");
    assert_eq!(log.of_umsg(), ["unloading /dev/umsg: 100 records written, 36 of them overwritten"]);
    for (logs, end) in [("a", ", and 1 named log"), ("a,b", ", and 2 named logs")] {
        modprobe(&format!("logs={logs}")).expect("modprobe");
        let lines = log.of_umsg();
        assert!(lines.len() == 1 && lines[0].ends_with(end), "{lines:?}");
        rmmod().expect("rmmod");
        log.of_umsg();
    }
}

/// Checks that the kernel is tainted only by an out-of-tree module (bit 12) and, if it checks
/// signatures, an unsigned module (bit 13).
fn taint() {
    let taint = std::fs::read_to_string("/proc/sys/kernel/tainted").expect("tainted");
    let taint: u32 = taint.trim().parse().expect("a number");
    let checks_signatures =
        std::path::Path::new("/sys/module/module/parameters/sig_enforce").exists();
    assert_eq!(taint, (1 << 12) | (u32::from(checks_signatures) << 13));
}

fn reload() {
    for round in 0..rounds() / 2 {
        finit_module(if round % 2 == 0 { "" } else { "capacity=8K policy=stop" }).expect("load");
        // A reloaded module starts with an empty log.
        let file = Umsg::both();
        assert_eq!(file.next(), Err(Errno::EAGAIN));
        file.log("x");
        assert_eq!(file.next().expect("a record").seq, 0);
        drop(file);
        delete_module().expect("unload");
        assert!(!std::path::Path::new(NODE).exists());
    }
}

/// Checks that all memory is freed if a module with large logs is unloaded.
fn memory_is_freed() {
    // KASAN writes its shadow of the whole memory, slowly under emulation.
    let capacity = if crate::kmod::finds_leaks() { 16 << 20 } else { 128 << 20 };
    for _ in 0..10 {
        finit_module(&format!("capacity={capacity}")).expect("load");
        Umsg::writer().log("x");
        delete_module().expect("unload");
    }
    let areas = std::fs::read_to_string("/proc/vmallocinfo").expect("vmallocinfo");
    assert!(!areas.contains("[umsg]"), "the module's memory is not freed");
}

fn unload_under_file() {
    let file = Umsg::both();
    assert_eq!(delete_module(), Err(Errno::EWOULDBLOCK));
    let said = rmmod().expect_err("rmmod");
    assert!(said.contains("in use"), "{said}");
    file.log("still there");
    assert_eq!(file.next().expect("a record").text, b"still there");
    // A duplicated descriptor keeps the module in use, and so does a descriptor of a child.
    let copy = nix::unistd::dup(&file).expect("dup");
    drop(file);
    assert_eq!(delete_module(), Err(Errno::EWOULDBLOCK));
    let holder = child(|| {
        nix::unistd::pause();
    });
    drop(copy);
    assert_eq!(delete_module(), Err(Errno::EWOULDBLOCK));
    holder.kill();
    assert_eq!(delete_module(), Ok(()));
    assert!(!is_loaded());
}

fn unload_under_sleepers() {
    let reader = child(|| {
        let _ = Umsg::open(libc::O_RDONLY).expect("open").next();
    });
    let poller = child(|| {
        let file = Umsg::reader();
        let mut fds = [nix::poll::PollFd::new(file.as_fd(), nix::poll::PollFlags::POLLIN)];
        let _ = nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE);
    });
    let epoller = child(|| {
        use nix::sys::epoll::*;
        let file = Umsg::reader();
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
        epoll.add(&file, EpollEvent::new(EpollFlags::EPOLLIN, 0)).expect("add");
        let _ = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE);
    });
    let sleepers = [reader, poller, epoller];
    sleepers.iter().for_each(Child::wait_until_asleep);
    for sleeper in sleepers {
        for _ in 0..10 {
            assert_eq!(delete_module(), Err(Errno::EWOULDBLOCK));
        }
        sleeper.kill();
    }
    assert_eq!(delete_module(), Ok(()));
}

/// Checks that nothing breaks if the module is loaded and unloaded while processes open, write,
/// read, wait, poll, read its files in /sys, and are killed at random times.
fn unload_against_users() {
    let rounds = rounds();
    let users: [fn(); 6] = [
        || {
            use_file(libc::O_RDWR | libc::O_NONBLOCK, |file| {
                file.log("x");
                let _ = file.next();
            })
        },
        || use_file(libc::O_WRONLY, |file| (0..20).for_each(|_| file.log("some more text"))),
        || use_file(libc::O_RDONLY | libc::O_NONBLOCK, |file| drop(file.rest())),
        // Sleeps until a record is written or the process is killed.
        || use_file(libc::O_RDONLY, |file| drop(file.next())),
        || {
            use_file(libc::O_RDONLY | libc::O_NONBLOCK, |file| {
                let mut fds = [nix::poll::PollFd::new(file.as_fd(), nix::poll::PollFlags::POLLIN)];
                let _ = nix::poll::poll(&mut fds, 1u16);
            })
        },
        || {
            for path in
                ["/sys/module/umsg/refcnt", "/sys/module/umsg/taint", "/sys/class/misc/umsg/dev"]
            {
                let _ = std::fs::read(path);
            }
            if let Ok(parameters) = std::fs::read_dir("/sys/module/umsg/parameters") {
                parameters.flatten().for_each(|entry| drop(std::fs::read(entry.path())));
            }
        },
    ];
    let start = |index: usize| {
        child(move || loop {
            let begin = Instant::now();
            users[index]();
            // Without a pause much longer than the use, the device is always in use.
            let pause =
                (begin.elapsed() * 20).clamp(Duration::from_millis(20), Duration::from_secs(2));
            std::thread::sleep(pause);
        })
    };
    let mut running: Vec<_> = (0..users.len()).map(start).collect();
    let (mut refused, mut random) = (0u32, random());
    for round in 0..rounds {
        finit_module("capacity=8192").expect("load");
        std::thread::sleep(Duration::from_micros(random(4000) as u64));
        // Kill one of the processes at a random time, and replace it.
        let victim = random(users.len());
        std::mem::replace(&mut running[victim], start(victim)).kill();
        // A reader that waits for a record keeps the module in use until a record is written.
        loop {
            match delete_module() {
                Ok(()) => break,
                Err(Errno::EWOULDBLOCK) => refused += 1,
                Err(error) => panic!("delete_module: {error}"),
            }
            if let Ok(file) = Umsg::open(libc::O_WRONLY) {
                file.log("for waiting readers");
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        assert!(!std::path::Path::new(NODE).exists(), "round {round}");
    }
    assert!(refused > 0, "the device was never in use");
    println!("{rounds} rounds of loading; unloading was refused {refused} times");
    for user in running {
        user.kill_running();
    }
}

/// Opens the device if it exists, and calls `operation`.
fn use_file(flags: i32, operation: impl FnOnce(&Umsg)) {
    match Umsg::open(flags) {
        Ok(file) => operation(&file),
        Err(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {}
        Err(error) => panic!("open: {error}"),
    }
}
