// SPDX-License-Identifier: GPL-2.0

//! Load, unload, and unloading against who uses the device.

use crate::abi::{Umsg, NODE};
use crate::kernel::{is_loaded, modprobe, rmmod, Messages};
use crate::sharing::{child, Child};
use crate::Test;
use nix::errno::Errno;
use std::os::fd::AsFd;

pub const TESTS: &[Test] = &[
    Test::new("lifecycle.insmod", insmod).unloaded(),
    Test::new("lifecycle.messages", messages).unloaded(),
    Test::new("lifecycle.taint", taint),
    Test::new("lifecycle.reload", reload).unloaded(),
    Test::new("lifecycle.memory_is_freed", memory_is_freed).unloaded(),
    Test::new("lifecycle.unload_under_file", unload_under_file),
    Test::new("lifecycle.unload_under_sleepers", unload_under_sleepers),
    Test::new("lifecycle.unload_against_openers", unload_against_openers).unloaded(),
];

/// What `rmmod` does, without its words.
fn delete_module() -> Result<(), Errno> {
    nix::kmod::delete_module(c"umsg", nix::kmod::DeleteModuleFlags::O_NONBLOCK)
}

fn insmod() {
    crate::kernel::command("insmod", &["umsg.ko", "capacity=8192"]).expect("insmod");
    assert_eq!(Umsg::reader().info().capacity, 8192);
    let twice = crate::kernel::command("insmod", &["umsg.ko"]).expect_err("a second insmod");
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
    assert_eq!(
        lines,
        ["/dev/umsg is ready: capacity=4096 record_max=1024 mode=0600 policy=overwrite"]
    );
    let file = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
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

/// Exactly out-of-tree (bit 12) and unsigned (bit 13): nothing worse has happened since boot.
fn taint() {
    let taint = std::fs::read_to_string("/proc/sys/kernel/tainted").expect("tainted");
    assert_eq!(taint.trim(), "12288");
}

fn reload() {
    for round in 0..100 {
        modprobe(if round % 2 == 0 { "" } else { "capacity=8192 policy=1" }).expect("modprobe");
        // What one life of the module wrote, the next has not.
        let file = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
        assert_eq!(file.next(), Err(Errno::EAGAIN));
        file.log("x");
        assert_eq!(file.next().expect("a record").seq, 0);
        drop(file);
        rmmod().expect("rmmod");
        assert!(!std::path::Path::new(NODE).exists());
    }
}

/// Loaded and unloaded with much of the machine's memory, over and over: none of it may stay.
fn memory_is_freed() {
    for _ in 0..10 {
        modprobe("capacity=134217728").expect("modprobe");
        Umsg::writer().log("x");
        rmmod().expect("rmmod");
    }
    let areas = std::fs::read_to_string("/proc/vmallocinfo").expect("vmallocinfo");
    assert!(!areas.contains("[umsg]"), "memory of the module is left");
}

fn unload_under_file() {
    let file = Umsg::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open");
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

/// Processes that open, use and close the device again and again while the module comes and goes.
fn unload_against_openers() {
    let openers: Vec<_> = (0..4)
        .map(|_| {
            child(|| loop {
                match Umsg::open(libc::O_RDWR | libc::O_NONBLOCK) {
                    Ok(file) => {
                        file.log("x");
                        let _ = file.next();
                    }
                    Err(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {}
                    Err(error) => panic!("open: {error}"),
                }
                // Without a pause there is always somebody in the way.
                std::thread::sleep(std::time::Duration::from_micros(700));
            })
        })
        .collect();
    let (mut unloaded, mut refused) = (0, 0);
    while unloaded < 60 {
        modprobe("").expect("modprobe");
        std::thread::sleep(std::time::Duration::from_millis(unloaded % 5));
        loop {
            match delete_module() {
                Ok(()) => break,
                Err(Errno::EWOULDBLOCK) => refused += 1,
                Err(error) => panic!("delete_module: {error}"),
            }
        }
        unloaded += 1;
    }
    assert!(refused > 0, "nobody was ever in the way");
    for opener in openers {
        // Still running: none has met an error that it did not expect.
        let path = format!("/proc/{}/stat", opener.pid());
        let stat = std::fs::read_to_string(&path).expect(&path);
        assert!(!stat.contains(") Z "), "an opener failed");
        opener.kill();
    }
}
