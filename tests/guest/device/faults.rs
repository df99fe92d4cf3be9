// SPDX-License-Identifier: GPL-2.0

//! Fault injection: every allocation and every copy to or from user memory of every operation fails
//! once.
//!
//! An attempt is one allocation or copy. `/proc/self/fail-nth` (the kernel's
//! `Documentation/fault-injection`) makes the N-th attempt of this task fail. Each operation runs
//! with N = 1, 2, 3, ... until it has fewer than N attempts. After each failure the state of the
//! device must be unchanged. Needs a kernel with fault injection: see .config.fragment.

use crate::client::{entry, Frame, Umsg, BINARY_READ, BINARY_WRITE, KMSG, NODE};
use crate::kmod::{delete_module, finit_module, is_loaded, rmmod};
use crate::sharing::child;
use crate::{skip, Test};
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

pub const TESTS: &[Test] = &[
    Test::new("faults.open", open),
    Test::new("faults.write", write).with("record_max=65536"),
    Test::new("faults.read", read).with("record_max=65536"),
    Test::new("faults.binary_read", binary_read).with("capacity=4M"),
    Test::new("faults.binary_write", binary_write).with("capacity=4M"),
    Test::new("faults.wait", wait),
    Test::new("faults.ioctl", ioctl),
    Test::new("faults.load", load).unloaded().kernel_may_warn(),
    Test::new("faults.change_logs", change_logs).kernel_may_warn(),
    Test::new("faults.unload", unload).unloaded().kernel_may_warn(),
];

/// The kinds of faults, by their folders in debugfs.
const KNOBS: [&str; 3] = ["failslab", "fail_page_alloc", "fail_usercopy"];

/// The fault injection of this task.
struct Injector(File);

impl Injector {
    fn new() -> Self {
        let Ok(file) = OpenOptions::new().read(true).write(true).open("/proc/self/fail-nth") else {
            skip("this kernel has no fault injection");
        };
        for knob in KNOBS {
            // Not every knob has every setting.
            let set = |name: &str, value: &str| drop(set(knob, name, value));
            set("ignore-gfp-wait", "N");
            set("ignore-gfp-highmem", "N");
            set("min-order", "0");
            // Do not print a stack trace for each failure.
            set("verbose", "0");
            assert!(std::path::Path::new("/sys/kernel/debug").join(knob).exists(), "no {knob}");
        }
        let injector = Self(file);
        // Another test may have set it.
        injector.anywhere();
        injector
    }

    /// Only counts the attempts in calls of a function of the kernel, and of what it calls.
    fn within(&self, function: &str) {
        let (start, end) = addresses(function);
        for knob in KNOBS {
            set(knob, "require-start", &format!("{start:#x}")).expect(knob);
            set(knob, "require-end", &format!("{end:#x}")).expect(knob);
        }
    }

    /// Counts all attempts.
    fn anywhere(&self) {
        for knob in KNOBS {
            set(knob, "require-start", "0").expect(knob);
            set(knob, "require-end", &format!("{:#x}", u64::MAX)).expect(knob);
        }
    }

    /// Runs `operation` with its `nth` attempt failing. Returns its result, and whether it had
    /// that many attempts.
    fn run<T>(&self, nth: u32, operation: impl FnOnce() -> T) -> (T, bool) {
        self.0.write_at(nth.to_string().as_bytes(), 0).expect("fail-nth");
        let result = operation();
        // The read of fail-nth is also an attempt. If it fails, the operation had fewer attempts.
        let mut left = [0; 16];
        let injected = match self.0.read_at(&mut left, 0) {
            Ok(len) => left[..len].starts_with(b"0"),
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => false,
            Err(error) => panic!("fail-nth: {error}"),
        };
        let _ = self.0.write_at(b"0", 0);
        let _ = self.0.write_at(b"0", 0);
        (result, injected)
    }

    /// Runs `operation` with each of its attempts failing, and then without a failure. Calls
    /// `check` with the result of each run. An error must be `ENOMEM` or `EFAULT`. Returns the
    /// number of attempts.
    fn sweep<T>(
        &self,
        what: &str,
        mut operation: impl FnMut() -> Result<T, Errno>,
        mut check: impl FnMut(&Result<T, Errno>),
    ) -> u32 {
        let mut nth = 1;
        loop {
            let (result, injected) = self.run(nth, &mut operation);
            if let Err(error) = &result {
                assert!(
                    injected && matches!(error, Errno::ENOMEM | Errno::EFAULT),
                    "{what}, attempt {nth}: {error}"
                );
            }
            check(&result);
            if !injected {
                println!("{what}: {} attempts failed, one by one", nth - 1);
                return nth - 1;
            }
            nth += 1;
        }
    }
}

/// Sets a setting of a kind of faults.
fn set(knob: &str, name: &str, value: &str) -> std::io::Result<()> {
    std::fs::write(format!("/sys/kernel/debug/{knob}/{name}"), value)
}

/// Returns the addresses of the beginning and the end of a function of the kernel.
fn addresses(function: &str) -> (u64, u64) {
    let symbols = std::fs::read_to_string("/proc/kallsyms").expect("/proc/kallsyms");
    let parsed = symbols.lines().map(|line| {
        let mut words = line.split_whitespace();
        let address = u64::from_str_radix(words.next().expect("an address"), 16);
        (address.expect("an address"), words.nth(1).expect("a name"))
    });
    let mut all: Vec<_> = parsed.collect();
    all.sort_unstable();
    let (start, _) = *all.iter().find(|symbol| symbol.1 == function).expect(function);
    let (end, _) = *all.iter().find(|symbol| symbol.0 > start).expect("a next symbol");
    (start, end)
}

fn open() {
    let injector = Injector::new();
    for flags in [libc::O_RDONLY, libc::O_RDWR | libc::O_NONBLOCK] {
        injector.sweep("open", || Umsg::open(flags), |_| ());
    }
    // The failed calls hold no reference to the module.
    rmmod().expect("rmmod");
}

fn write() {
    let injector = Injector::new();
    let (file, reader) = (Umsg::writer(), Umsg::reader());
    // The module copies at most 1280 bytes to its stack.
    for len in [1, 1280, 1281, 65536] {
        let text = vec![b'x'; len];
        let before = file.info().next_seq;
        let mut stored = 0;
        injector.sweep(
            &format!("write of {len} bytes"),
            || file.write(&text),
            |result| {
                stored += u64::from(result.is_ok());
                if let Ok(written) = result {
                    assert_eq!(*written, len);
                }
                assert_eq!(file.info().next_seq, before + stored);
            },
        );
        let records = reader.rest();
        assert_eq!(records.len() as u64, stored);
        assert!(records.iter().all(|record| record.text == text));
    }
}

fn read() {
    let injector = Injector::new();
    let (file, reader) = (Umsg::writer(), Umsg::reader());
    let mut seq = 0;
    for text in [vec![b'x'; 1], vec![b'x'; 264], vec![b'x'; 265], vec![1; 65536]] {
        // Write more records than the reads consume.
        for _ in 0..10 {
            file.log(&text);
        }
        let mut buffer = vec![0; 300_000];
        injector.sweep(
            &format!("read of {} bytes of text", text.len()),
            || reader.read(&mut buffer),
            |result| seq += u64::from(result.is_ok()),
        );
        let next = reader.next().expect("a record");
        assert_eq!(next.seq, seq, "a failed read consumed a record");
        assert_eq!(next.text, text);
        reader.seek(0, libc::SEEK_END).expect("seek");
        seq = file.info().next_seq;
    }
}

/// Checks that each record is read once although reads fail.
fn binary_read() {
    let injector = Injector::new();
    let writer = Umsg::writer();
    for _ in 0..2000 {
        writer.log([b'x'; 64]);
    }
    for len in [128, 300, 321, 8192, 30_000] {
        let reader = Umsg::reader().with(BINARY_READ);
        let mut seq = 0;
        let mut buffer = vec![0; len];
        injector.sweep(
            &format!("binary read of {len} bytes"),
            || reader.read(&mut buffer).map(|got| Frame::parse_all(&buffer[..got])),
            |frames| {
                for frame in frames.iter().flatten() {
                    assert_eq!(frame.seq, seq, "a failed read consumed a record");
                    seq += 1;
                }
            },
        );
        assert!(seq > 0);
    }
}

/// Checks that a write stores exactly the entries that its result counts.
fn binary_write() {
    let injector = Injector::new();
    let (writer, reader) = (Umsg::writer().with(BINARY_WRITE), Umsg::reader());
    let one = entry(14, &[b'x'; 64]);
    for count in [1, 16, 1000] {
        let batch = one.repeat(count);
        let mut stored = 0;
        injector.sweep(
            &format!("binary write of {count} records"),
            || writer.write(&batch),
            |result| {
                assert!(result.is_err() || result.is_ok_and(|taken| taken % one.len() == 0));
                stored += result.unwrap_or(0) / one.len();
            },
        );
        assert_eq!(reader.rest().len(), stored);
    }
}

fn wait() {
    use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    let injector = Injector::new();
    let (file, reader) = (Umsg::writer(), Umsg::reader());
    file.log("x");
    let mut ready = 0;
    injector.sweep(
        "poll",
        || poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO),
        |result| ready += i32::from(matches!(result, Ok(1))),
    );
    assert!(ready > 0);
    injector.sweep(
        "epoll",
        || {
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
            epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO)
        },
        |_| (),
    );
}

fn ioctl() {
    let injector = Injector::new();
    let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
    // Too long for the buffer on the stack, so that UMSG_IOC_NEXT_SIZE allocates memory.
    file.log([b'x'; 1000]);
    let mut info = crate::client::Info::default();
    injector.sweep(
        "UMSG_IOC_INFO",
        // SAFETY: The command writes `info`, which is valid.
        || unsafe { crate::client::ioctl_info(file.raw(), &mut info) },
        |_| (),
    );
    injector.sweep("UMSG_IOC_CLEAR", || file.clear(), |_| ());
    injector.sweep("UMSG_IOC_SET_OPTIONS", || file.set_options(0), |_| ());
    injector.sweep("UMSG_IOC_SEEK_SEQ", || file.seek_seq(0), |_| ());
    injector.sweep("UMSG_IOC_SEEK_TIME", || file.seek_time(1), |_| ());
    // Twice, so that the call also runs after failed calls.
    for _ in 0..2 {
        injector.sweep("UMSG_IOC_NEXT_SIZE", || file.next_size(), |_| ());
    }
    assert!(file.next_size().expect("a size") > 1000);
    assert_eq!(file.info().cleared_seq, 1);
}

/// Checks that a failed load leaves nothing behind, while another process opens the nodes that the
/// load has registered.
fn load() {
    let injector = Injector::new();
    let opener = child(|| loop {
        let _ = Umsg::open(libc::O_WRONLY);
        std::thread::sleep(std::time::Duration::from_millis(10));
    });
    let load = || finit_module("capacity=16384 logs=second");
    let check = |result: &Result<(), Errno>| {
        assert_eq!(is_loaded(), result.is_ok());
        assert_eq!(std::path::Path::new(NODE).exists(), result.is_ok(), "{NODE}");
        if result.is_ok() {
            Umsg::writer().log("x");
            while delete_module() == Err(Errno::EWOULDBLOCK) {}
        }
    };
    // load_module() in kernel/module/main.c reads the file, calls the module's code for its
    // parameters, makes files in sysfs, and initialises the module. The parameters allocate
    // nothing, so that a failure of the other steps leaves nothing of the module to free, and one
    // of them is enough.
    injector.within("parse_args");
    assert_eq!(injector.sweep("parameters", load, check), 0);
    injector.within("mod_sysfs_setup");
    let (result, injected) = injector.run(1, load);
    assert!(injected && result.is_err());
    check(&result);
    injector.within("do_init_module");
    assert!(injector.sweep("initialisation", load, check) > 100);
    opener.kill();
}

fn unload() {
    let injector = Injector::new();
    finit_module("").expect("finit_module");
    injector.sweep("unload", delete_module, |result| {
        assert_eq!(is_loaded(), result.is_err());
        assert_eq!(std::path::Path::new(NODE).exists(), result.is_err());
        if result.is_ok() {
            finit_module("").expect("finit_module");
        }
    });
    delete_module().expect("delete_module");
}

/// Checks that a failed addition of a log leaves nothing behind, and that a failed removal leaves
/// the log.
fn change_logs() {
    const PARAMETER: &str = "/sys/module/umsg/parameters/logs";
    let injector = Injector::new();
    let node = std::path::Path::new("/dev/umsg-box");
    let exists = || std::fs::read_to_string(PARAMETER).is_ok_and(|list| list == "box:16K\n");
    let file = std::fs::OpenOptions::new().write(true).open(PARAMETER).expect(PARAMETER);
    for what in ["+box:16K", "-box"] {
        injector.sweep(
            what,
            || nix::sys::uio::pwrite(&file, what.as_bytes(), 0),
            |result| {
                let is_there = exists();
                assert_eq!(is_there, result.is_ok() == what.starts_with('+'));
                assert_eq!(node.exists(), is_there);
                if result.is_ok() {
                    let back = if is_there { "-box" } else { "+box:16K" };
                    std::fs::write(PARAMETER, back).expect(back);
                }
            },
        );
        if what.starts_with('+') {
            std::fs::write(PARAMETER, what).expect(what);
        }
    }
}
