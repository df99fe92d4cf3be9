// SPDX-License-Identifier: GPL-2.0

//! The options of an open file description, and its lines in `/proc/PID/fdinfo`.

use crate::client::*;
use crate::sharing::child;
use crate::Test;
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use umsg::abi::raw;

pub const TESTS: &[Test] = &[
    Test::new("options.ioctl", options),
    Test::new("options.priority", priority),
    Test::new("options.priority_of_partial_line", priority_of_partial_line),
    Test::new("options.fdinfo", fdinfo).with("capacity=4K"),
];

fn options() {
    let file = Umsg::both();
    assert_eq!(file.options(), 0);
    for options in 0..4 {
        file.set_options(options).expect("valid options");
        assert_eq!(file.options(), options);
    }
    for bit in 2..32 {
        assert_eq!(file.set_options(1 | (1 << bit)), Err(Errno::EINVAL));
        assert_eq!(file.options(), 3);
    }
    // Options belong to the open file description.
    assert_eq!(Umsg::reader().options(), 0);
    let copy = nix::unistd::dup(&file).expect("dup");
    let mut seen = 0;
    // SAFETY: The command writes `seen`, which is valid.
    unsafe { ioctl_get_options(copy.as_raw_fd(), &mut seen) }.expect("UMSG_IOC_GET_OPTIONS");
    assert_eq!(seen, 3);
    // SAFETY: The kernel checks the address.
    unsafe {
        assert_eq!(ioctl_set_options(file.raw(), BAD.cast()), Err(Errno::EFAULT));
        assert_eq!(ioctl_get_options(file.raw(), WILD.cast()), Err(Errno::EFAULT));
    }
    assert_eq!(file.options(), 3);
}

/// Sets the priority of texts without a prefix.
fn set_priority(file: &Umsg, priority: u32) -> Result<i32, Errno> {
    // SAFETY: The command reads `priority`, which is valid.
    unsafe { raw::set_priority(file.raw(), &priority) }
}

/// Returns the priority of texts without a prefix.
fn get_priority(file: &Umsg) -> u32 {
    let mut priority = !0;
    // SAFETY: The command writes `priority`, which is valid.
    unsafe { raw::get_priority(file.raw(), &mut priority) }.expect("UMSG_IOC_GET_PRIORITY");
    priority
}

fn priority() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    assert_eq!(get_priority(&writer), 14);
    for (given, wanted) in [(0, 8), (7, 15), (8, 8), (2047, 2047), (27, 27)] {
        assert_eq!(set_priority(&writer, given), Ok(0));
        assert_eq!(get_priority(&writer), wanted);
    }
    for bad in [2048, 1 << 16, u32::MAX] {
        assert_eq!(set_priority(&writer, bad), Err(Errno::EINVAL));
    }
    // SAFETY: The kernel checks the address.
    unsafe {
        assert_eq!(raw::set_priority(writer.raw(), BAD.cast()), Err(Errno::EFAULT));
        assert_eq!(raw::get_priority(writer.raw(), WILD.cast()), Err(Errno::EFAULT));
    }
    // The priority belongs to the open file description, and a reader may set it, too.
    assert_eq!(get_priority(&reader), 14);
    assert_eq!(set_priority(&reader, 9), Ok(0));

    writer.log("line\n<11>prefix\nline of two ");
    writer.log("writes\n<3");
    writer.log(">split prefix\n");
    writer.log("a".repeat(RECORD_MAX + 1) + "\n");
    let writer = writer.style(KMSG);
    writer.log("record");
    writer.log("<12>record");
    assert_eq!(set_priority(&writer, 14), Ok(0));
    writer.log("record");
    assert_eq!(set_priority(&writer, 27), Ok(0));
    writer.set_options(BINARY_WRITE).expect("options");
    writer.log(entry(13, b"entry"));
    let got: Vec<_> = reader.rest().iter().map(|it| it.priority).collect();
    assert_eq!(got, [27, 11, 27, 11, 27, 27, 27, 12, 14, 13]);
}

/// Checks that a partial line has the priority of its writer's last write, not one that was set
/// afterwards.
fn priority_of_partial_line() {
    let (writer, reader) = (Umsg::lines(), Umsg::reader());
    set_priority(&writer, 27).expect("UMSG_IOC_SET_PRIORITY");
    writer.log("mine");
    child(|| {
        set_priority(&writer, 28).expect("UMSG_IOC_SET_PRIORITY");
        writer.log("the child's");
    })
    .join();
    set_priority(&writer, 29).expect("UMSG_IOC_SET_PRIORITY");
    writer.log("in two ");
    set_priority(&writer, 30).expect("UMSG_IOC_SET_PRIORITY");
    writer.log("writes\n");
    writer.log("released");
    set_priority(&writer, 31).expect("UMSG_IOC_SET_PRIORITY");
    drop(writer);
    let records = reader.rest();
    let got: Vec<_> = records.iter().map(|it| (it.str(), it.priority)).collect();
    let want = [("mine", 27), ("the child's", 28), ("in two writes", 30), ("released", 30)];
    assert_eq!(got, want);
}

/// Returns the text of `/proc/self/fdinfo/FD`.
pub fn shown(file: &Umsg) -> String {
    let path = format!("/proc/self/fdinfo/{}", file.raw());
    std::fs::read_to_string(&path).expect(&path)
}

fn fdinfo() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let lines = |file: &Umsg, wanted: [u64; 3], reads: &str, writes: &str| {
        let text = shown(file);
        let [next, lag, lost] = wanted;
        let want = format!(
            "next-seq:\t{next}\nlag:\t{lag}\nlost:\t{lost}\nstyle:\tlines\npriority:\t14\n\
             read-format:\t{reads}\nwrite-format:\t{writes}\n"
        );
        assert!(text.ends_with(&want), "{text}\n{want}");
        assert!(text.starts_with("pos:\t"), "{text}");
    };
    lines(&reader, [0, 0, 0], "text", "text");
    for _ in 0..10 {
        writer.log("0123456789");
    }
    lines(&reader, [0, 10, 0], "text", "text");
    reader.next().expect("a record");
    lines(&reader, [1, 9, 0], "text", "text");
    for _ in 0..100 {
        writer.log("0123456789");
    }
    // fdinfo already counts the lost records that the next read reports.
    let oldest = writer.info().oldest_seq;
    lines(&reader, [1, 110 - oldest, oldest - 1], "text", "text");
    let record = reader.next().expect("a record");
    assert_eq!(record.lost, oldest - 1);
    lines(&reader, [oldest + 1, 109 - oldest, oldest - 1], "text", "text");
    reader.set_options(BINARY_READ).expect("options");
    lines(&reader, [oldest + 1, 109 - oldest, oldest - 1], "binary", "text");
    writer.set_options(BINARY_WRITE).expect("options");
    assert!(shown(&writer)
        .ends_with("style:\tkmsg\npriority:\t14\nread-format:\ttext\nwrite-format:\tbinary\n"));
}
