// SPDX-License-Identifier: GPL-2.0

//! Every error of the device: one test for each call.

pub mod read_write;

use crate::client::{self, Umsg, BAD, KMSG, NODE, WILD};
use crate::Test;
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

pub const TESTS: &[Test] = &[
    Test::new("errors.node", node),
    Test::new("errors.access_mode", access_mode),
    Test::new("errors.lseek", lseek),
    Test::new("errors.ioctl_unknown", ioctl_unknown),
    Test::new("errors.ioctl_bad_address", ioctl_bad_address).loadable_only(),
    Test::new("errors.mmap", mmap),
    Test::new("errors.splice", splice),
    Test::new("errors.sendfile", sendfile),
    Test::new("errors.full", full).with("capacity=4K policy=stop"),
];

fn node() {
    let metadata = std::fs::metadata(NODE).expect(NODE);
    assert!(metadata.file_type().is_char_device());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
}

fn access_mode() {
    let (reader, writer) = (Umsg::reader(), Umsg::writer());
    assert_eq!(reader.write(b"x"), Err(Errno::EBADF));
    assert_eq!(writer.read(&mut [0; 100]), Err(Errno::EBADF));
    assert_eq!(reader.clear(), Err(Errno::EBADF));
    // These ioctls reveal the size and the time of records.
    assert_eq!(writer.seek_seq(0), Err(Errno::EBADF));
    assert_eq!(writer.seek_time(0), Err(Errno::EBADF));
    assert_eq!(writer.next_size(), Err(Errno::EBADF));
    let both = Umsg::both();
    both.log("both");
    assert_eq!(both.next().expect("a record").text, b"both");
    // Access mode 3 allows neither reading nor writing, only ioctls: see open(2).
    let neither = Umsg::open(libc::O_ACCMODE).expect("open for ioctls");
    assert_eq!(neither.write(b"x"), Err(Errno::EBADF));
    assert_eq!(neither.clear(), Err(Errno::EBADF));
    assert_eq!(neither.next_size(), Err(Errno::EBADF));
    assert_eq!(neither.info().next_seq, 1);
    // These flags have no effect.
    let odd = libc::O_WRONLY | libc::O_APPEND | libc::O_TRUNC | libc::O_CREAT;
    Umsg::open(odd).expect("odd flags").log("still there");
    assert_eq!(both.next().expect("a record").seq, 1);
}

fn lseek() {
    let (writer, file) = (Umsg::writer(), Umsg::reader());
    for i in 0..3 {
        writer.log(format!("{i}"));
    }
    file.next().expect("a record");
    let known = [libc::SEEK_SET, libc::SEEK_DATA, libc::SEEK_END];
    // The device does not support these values of `whence`.
    let others = [libc::SEEK_CUR, libc::SEEK_HOLE];
    for whence in others {
        assert_eq!(file.seek(0, whence), Err(Errno::EINVAL), "{whence}");
    }
    for whence in known.into_iter().chain(others) {
        for offset in [1, -1, 4096, i64::MIN, i64::MAX] {
            assert_eq!(file.seek(offset, whence), Err(Errno::ESPIPE), "{whence} {offset}");
        }
    }
    // The kernel itself rejects these values: as unsigned numbers they are greater than SEEK_MAX.
    for whence in [5, 6, 100, -1, i32::MIN, i32::MAX] {
        for offset in [0, 1, -1, i64::MIN, i64::MAX] {
            assert_eq!(file.seek(offset, whence), Err(Errno::EINVAL), "{whence} {offset}");
        }
    }
    // A failed seek does not move the position.
    assert_eq!(file.next().expect("a record").seq, 1);
    assert_eq!(file.seek(0, libc::SEEK_SET), Ok(0));
    assert_eq!(file.next().expect("a record").seq, 0);
    assert_eq!(file.seek(0, libc::SEEK_END), Ok(0));
    assert_eq!(file.next(), Err(Errno::EAGAIN));
    assert_eq!(file.seek(0, libc::SEEK_DATA), Ok(0));
    assert_eq!(file.next().expect("a record").seq, 0);
}

fn ioctl_unknown() {
    let file = Umsg::both();
    file.log("a record");
    let before = file.info();
    let known = [
        nix::request_code_read!(client::MAGIC, 0, 128),
        nix::request_code_none!(client::MAGIC, 1),
        nix::request_code_read!(client::MAGIC, 2, 4),
        nix::request_code_write!(client::MAGIC, 3, 4),
        nix::request_code_read!(client::MAGIC, 4, 4),
        nix::request_code_write!(client::MAGIC, 5, 4),
        nix::request_code_write!(client::MAGIC, 6, 8),
        nix::request_code_write!(client::MAGIC, 7, 8),
        nix::request_code_read!(client::MAGIC, 8, 4),
        nix::request_code_read!(client::MAGIC, 9, 4),
        nix::request_code_write!(client::MAGIC, 10, 4),
    ];
    let mut tried = 0;
    for direction in 0..4 {
        for magic in [client::MAGIC.into(), b'T'.into(), 0, 0xff] {
            for number in 0..256 {
                for size in [0, 4, 8, 16, 128, 129, 16383] {
                    let request: libc::Ioctl =
                        (direction << 30) | (size << 16) | (magic << 8) | number;
                    // The kernel itself handles the ioctls that every file has.
                    let generic = magic == b'T'.into() || known.contains(&request) || request == 0;
                    if generic || magic == 0 {
                        continue;
                    }
                    // SAFETY: An unknown command ignores its argument.
                    let got = unsafe { libc::ioctl(file.raw(), request, BAD) };
                    assert_eq!(Errno::result(got), Err(Errno::ENOTTY), "{request:#x}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000);
    // The device is not a terminal.
    // SAFETY: The call has no pointer arguments.
    assert_eq!(unsafe { libc::isatty(file.raw()) }, 0);
    assert_eq!(file.info(), before);
}

fn ioctl_bad_address() {
    let file = Umsg::reader();
    for request in [
        nix::request_code_read!(client::MAGIC, 0, 128),
        nix::request_code_read!(client::MAGIC, 2, 4),
        nix::request_code_write!(client::MAGIC, 3, 4),
        nix::request_code_read!(client::MAGIC, 4, 4),
        nix::request_code_write!(client::MAGIC, 5, 4),
    ] {
        for address in [BAD, WILD, std::ptr::null_mut()] {
            // SAFETY: The kernel checks the address.
            let got = unsafe { libc::ioctl(file.raw(), request, address) };
            assert_eq!(Errno::result(got), Err(Errno::EFAULT));
        }
    }
    let info = file.info();
    assert_eq!((info.capacity, info.record_max, info.policy), (1 << 20, 1024, 0));
    assert_eq!((info.style, info.reserved_word, info.reserved), (client::LINES, 0, [0; 4]));
    // Each log has its own id, also after the module is loaded again.
    assert_ne!(info.log_id, 0);
    drop(file);
    crate::kmod::rmmod().expect("rmmod");
    crate::kmod::modprobe("logs=other").expect("modprobe");
    let again = Umsg::reader().info().log_id;
    let other = Umsg::open_at("/dev/umsg-other", libc::O_RDONLY).expect("open").info().log_id;
    assert!(again != info.log_id && other != info.log_id && again != other);
}

fn mmap() {
    let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
    for sharing in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
        // SAFETY: The call creates a new mapping, which is not accessed.
        let got = unsafe {
            libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, sharing, file.raw(), 0)
        };
        assert_eq!(got, libc::MAP_FAILED);
        assert_eq!(Errno::last(), Errno::ENODEV);
    }
}

/// Checks that splice() fails and consumes nothing. The kernel drops data that it has read and
/// cannot pass on, without counting the records.
fn splice() {
    let file = Umsg::both();
    file.log("a record");
    let (out, into) = nix::unistd::pipe().expect("a pipe");
    // SAFETY: The pointers are null, which the call allows.
    let got = unsafe {
        libc::splice(
            file.raw(),
            std::ptr::null_mut(),
            into.as_raw_fd(),
            std::ptr::null_mut(),
            4096,
            0,
        )
    };
    assert_eq!(Errno::result(got), Err(Errno::EINVAL));
    drop(out);
    assert_eq!(file.next().expect("the record").text, b"a record");
}

/// Checks that sendfile() fails and consumes nothing, for the reason given at [`splice`].
fn sendfile() {
    let file = Umsg::both();
    file.log("a record");
    let (_out, into) = nix::unistd::pipe().expect("a pipe");
    // SAFETY: The pointer is null, which the call allows.
    let got = unsafe { libc::sendfile(into.as_raw_fd(), file.raw(), std::ptr::null_mut(), 4096) };
    assert_eq!(Errno::result(got), Err(Errno::EINVAL));
    // SAFETY: The pointer is null, which the call allows.
    let got = unsafe { libc::sendfile(file.raw(), file.raw(), std::ptr::null_mut(), 4096) };
    assert!(got < 0);
    assert_eq!(file.next().expect("the record").text, b"a record");
    assert_eq!(file.next(), Err(Errno::EAGAIN));
}

/// Checks that a full log with the policy `stop` keeps its records until it is cleared.
fn full() {
    let file = Umsg::both();
    let mut taken = 0;
    let error = loop {
        match file.write(format!("record {taken:03}").as_bytes()) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::ENOSPC);
    assert_eq!(taken, 4096 / 72);
    assert_eq!(file.write(b"once again"), Err(Errno::ENOSPC));
    let info = file.info();
    assert_eq!(
        (info.policy, info.next_seq, info.oldest_seq, info.records_refused),
        (1, taken, 0, 2)
    );
    let records = file.rest();
    assert_eq!(records.len() as u64, taken);
    assert_eq!(records[0].text, b"record 000");
    // A read frees no space. After a clear, a write overwrites as few records as necessary.
    assert_eq!(file.write(b"once again"), Err(Errno::ENOSPC));
    file.clear().expect("clear");
    file.log("0123456789");
    let info = file.info();
    assert_eq!((info.next_seq, info.oldest_seq, info.cleared_seq), (taken + 1, 1, taken));
    assert_eq!(file.next().expect("a record").text, b"0123456789");
}
