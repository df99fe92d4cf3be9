// SPDX-License-Identifier: GPL-2.0

//! Load, unload, and unloading against who uses the device.

use crate::client::{Umsg, NODE};
use crate::kmod::{delete_module, finit_module, is_loaded, modprobe, rmmod, Messages};
use crate::sharing::{child, Child};
use crate::{rounds, Test};
use nix::errno::Errno;
use std::os::fd::AsFd;

pub const TESTS: &[Test] = &[
    Test::new("lifecycle.insmod", insmod).unloaded(),
    Test::new("lifecycle.messages", messages).unloaded(),
    Test::new("lifecycle.taint", taint),
    Test::new("lifecycle.reload", reload).unloaded(),
    Test::new("lifecycle.memory_is_freed", memory_is_freed).unloaded(),
    Test::new("lifecycle.unload_under_file", unload_under_file).on_all_cpus(),
    Test::new("lifecycle.unload_under_sleepers", unload_under_sleepers).on_all_cpus(),
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

/// One line at load, one at unload, and none for what users do between.
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
}

/// Exactly out of tree (bit 12), and unsigned (bit 13) on a kernel that looks at signatures.
/// Nothing worse has happened since boot.
fn taint() {
    let taint = std::fs::read_to_string("/proc/sys/kernel/tainted").expect("tainted");
    let taint: u32 = taint.trim().parse().expect("a number");
    let looks = std::path::Path::new("/sys/module/module/parameters/sig_enforce").exists();
    assert_eq!(taint, (1 << 12) | (u32::from(looks) << 13));
}

fn reload() {
    for round in 0..rounds() / 2 {
        finit_module(if round % 2 == 0 { "" } else { "capacity=8K policy=stop" }).expect("load");
        // What one life of the module wrote, the next has not.
        let file = Umsg::both();
        assert_eq!(file.next(), Err(Errno::EAGAIN));
        file.log("x");
        assert_eq!(file.next().expect("a record").seq, 0);
        drop(file);
        delete_module().expect("unload");
        assert!(!std::path::Path::new(NODE).exists());
    }
}

/// Loaded and unloaded with much of the machine's memory, over and over: none of it may stay.
fn memory_is_freed() {
    for _ in 0..10 {
        finit_module("capacity=134217728").expect("load");
        Umsg::writer().log("x");
        delete_module().expect("unload");
    }
    let areas = std::fs::read_to_string("/proc/vmallocinfo").expect("vmallocinfo");
    assert!(!areas.contains("[umsg]"), "memory of the module is left");
}

fn unload_under_file() {
    let file = Umsg::both();
    assert_eq!(delete_module(), Err(Errno::EWOULDBLOCK));
    let said = rmmod().expect_err("rmmod");
    assert!(said.contains("in use"), "{said}");
    file.log("still there");
    assert_eq!(file.next().expect("a record").text, b"still there");
    // A duplicate keeps it, so does a child's.
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

/// The module comes and goes while processes open, write, read, wait for records, poll, look at its
/// files in /sys, and are killed at random moments.
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
        // This one sleeps until somebody writes, or it is killed.
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
            users[index]();
            // Without a long pause there is always somebody in the way.
            std::thread::sleep(std::time::Duration::from_millis(20));
        })
    };
    let mut running: Vec<_> = (0..users.len()).map(start).collect();
    let (mut refused, mut random) = (0u32, 1u64);
    for round in 0..rounds {
        finit_module("capacity=8192").expect("load");
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        std::thread::sleep(std::time::Duration::from_micros((random >> 33) % 4000));
        // One of them dies, whatever it is doing, and another takes its place.
        let victim = (random >> 40) as usize % users.len();
        std::mem::replace(&mut running[victim], start(victim)).kill();
        // Who waits for a record would hold it for ever.
        loop {
            match delete_module() {
                Ok(()) => break,
                Err(Errno::EWOULDBLOCK) => refused += 1,
                Err(error) => panic!("delete_module: {error}"),
            }
            if let Ok(file) = Umsg::open(libc::O_WRONLY) {
                file.log("for who waits");
            }
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
        assert!(!std::path::Path::new(NODE).exists(), "round {round}");
    }
    assert!(refused > 0, "nobody was ever in the way");
    println!("{rounds} rounds of loading; unloading was refused {refused} times");
    for user in running {
        // Still running: none has met an error that it did not expect.
        let path = format!("/proc/{}/stat", user.pid());
        let stat = std::fs::read_to_string(&path).expect(&path);
        assert!(!stat.contains(") Z "), "a user failed");
        user.kill();
    }
}

/// Opens the device, if it is there, and uses it.
fn use_file(flags: i32, how: impl FnOnce(&Umsg)) {
    match Umsg::open(flags) {
        Ok(file) => how(&file),
        Err(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {}
        Err(error) => panic!("open: {error}"),
    }
}
