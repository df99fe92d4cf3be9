// SPDX-License-Identifier: GPL-2.0

//! The options of an open file description, and its lines in `/proc/PID/fdinfo`.

use crate::client::*;
use crate::Test;
use nix::errno::Errno;
use std::os::fd::AsRawFd;

pub const TESTS: &[Test] =
    &[Test::new("options.ioctl", options), Test::new("options.fdinfo", fdinfo).with("capacity=4K")];

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
            "next-seq:\t{next}\nlag:\t{lag}\nlost:\t{lost}\nstyle:\tlines\n\
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
    assert!(shown(&writer).ends_with("style:\tkmsg\nread-format:\ttext\nwrite-format:\tbinary\n"));
}
