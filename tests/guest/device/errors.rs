// SPDX-License-Identifier: GPL-2.0

//! Every errno of the contract, one by one.

use crate::abi::{self, readv, writev, Umsg, BAD, KMSG, NODE, RECORD_MAX, WILD};
use crate::Test;
use nix::errno::Errno;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

pub const TESTS: &[Test] = &[
    Test::new("errors.node", node),
    Test::new("errors.write_size", write_size),
    Test::new("errors.write_size_small", write_size_small).with("record_max=1"),
    Test::new("errors.write_size_largest", write_size_largest).with("record_max=65536"),
    Test::new("errors.write_empty", write_empty),
    Test::new("errors.write_bad_address", write_bad_address),
    Test::new("errors.writev_bad_address", writev_bad_address),
    Test::new("errors.read_size", read_size),
    Test::new("errors.read_bad_address", read_bad_address),
    Test::new("errors.read_empty_log", read_empty_log),
    Test::new("errors.access_mode", access_mode),
    Test::new("errors.lseek", lseek),
    Test::new("errors.ioctl_unknown", ioctl_unknown),
    Test::new("errors.ioctl_bad_address", ioctl_bad_address),
    Test::new("errors.mmap", mmap),
    Test::new("errors.splice", splice),
    Test::new("errors.full", full).with("capacity=4K policy=stop"),
];

/// Nothing is stored: the log is still empty.
fn assert_nothing_stored(file: &Umsg) {
    let info = file.info();
    assert_eq!((info.next_seq, info.bytes_written, info.records_dropped), (0, 0, 0));
}

fn node() {
    let metadata = std::fs::metadata(NODE).expect(NODE);
    assert!(metadata.file_type().is_char_device());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
}

fn write_size() {
    sizes(RECORD_MAX);
}

fn write_size_small() {
    sizes(1);
}

fn write_size_largest() {
    sizes(65536);
}

/// At, around and far beyond the limit, with and without what is not part of the text.
fn sizes(limit: usize) {
    let (file, reader) = (Umsg::writer(), Umsg::reader());
    let long = vec![b'x'; limit + 8];
    let with = |prefix: &[u8], len: usize, suffix: &[u8]| [prefix, &long[..len], suffix].concat();

    for data in [
        with(b"", limit + 1, b""),
        with(b"", limit + 1, b"\n"),
        with(b"", limit, b"\n\n"),
        with(b"<14>", limit + 1, b"\n"),
        with(b"<2047>", limit + 1, b"\n"),
        with(b"<2047>", limit + 2, b"\n"),
        vec![b'x'; limit + 100_000],
        vec![b'x'; 8 << 20],
    ] {
        assert_eq!(file.write(&data), Err(Errno::EMSGSIZE), "{} bytes", data.len());
    }
    assert_nothing_stored(&file);
    // Too long by its length alone: not even the address is looked at.
    let huge = writev(&file, &[(BAD.cast::<u8>().cast_const(), 1 << 30)]);
    assert_eq!(huge, Err(Errno::EMSGSIZE));

    // Not a write of no bytes at all, which is no record.
    let taken = [
        with(b"", limit - 1, if limit == 1 { b"\n" } else { b"" }),
        with(b"", limit, b""),
        with(b"", limit, b"\n"),
        with(b"<14>", limit, b""),
        with(b"<2047>", limit, b"\n"),
        with(b"", limit - 1, b"\n\n"),
    ];
    let mut want: Vec<Vec<u8>> = vec![long[..limit].to_vec(); taken.len()];
    want[0].pop();
    *want[5].last_mut().expect("not empty") = b'\n';
    for data in &taken {
        file.log(data);
    }
    let got: Vec<Vec<u8>> = reader.rest().into_iter().map(|record| record.text).collect();
    assert!(got == want, "{:?}", got.iter().map(Vec::len).collect::<Vec<_>>());
}

fn write_empty() {
    let file = Umsg::writer();
    assert_eq!(file.write(b""), Ok(0));
    assert_eq!(writev(&file, &[]), Ok(0));
    assert_eq!(writev(&file, &[(BAD.cast::<u8>().cast_const(), 0)]), Ok(0));
    assert_nothing_stored(&file);
    // An empty line is a record with an empty text, as for /dev/kmsg.
    file.log("\n");
    file.log("<3>");
    file.log("<3>\n");
    let texts: Vec<_> = Umsg::reader().rest().into_iter().map(|record| record.text).collect();
    assert_eq!(texts, [b"", b"", b""]);
}

fn write_bad_address() {
    let file = Umsg::writer();
    for len in [1, 511, 512, 513, RECORD_MAX] {
        for address in [BAD, WILD, std::ptr::null_mut()] {
            let got = writev(&file, &[(address.cast::<u8>().cast_const(), len)]);
            assert_eq!(got, Err(Errno::EFAULT), "{len} at {address:?}");
        }
    }
    // The last byte alone is on a page that is not there.
    let pages = Pages::new();
    for len in [1, 2, 512, 513, 1000] {
        let start = pages.boundary().wrapping_sub(len).cast_const();
        assert_eq!(writev(&file, &[(start, len + 1)]), Err(Errno::EFAULT), "{len}");
        assert_eq!(writev(&file, &[(start.wrapping_add(1), len)]), Err(Errno::EFAULT), "{len}");
    }
    assert_nothing_stored(&file);
    let start = pages.boundary().wrapping_sub(100).cast_const();
    assert_eq!(writev(&file, &[(start, 100)]), Ok(100));
}

fn writev_bad_address() {
    let file = Umsg::writer();
    let good = b"0123456789";
    for count in 1..=8 {
        for bad in 0..count {
            let mut pieces = vec![(good.as_ptr(), good.len()); count];
            pieces[bad] = (BAD.cast::<u8>().cast_const(), good.len());
            assert_eq!(writev(&file, &pieces), Err(Errno::EFAULT), "piece {bad} of {count}");
        }
    }
    assert_nothing_stored(&file);
    // The same with good addresses is one record, whole.
    assert_eq!(
        writev(&file, &[(good.as_ptr(), 10), (good.as_ptr(), 0), (good.as_ptr(), 3)]),
        Ok(13)
    );
    assert_eq!(Umsg::reader().next().expect("a record").text, b"0123456789012");
}

fn read_size() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    for text in ["".to_string(), "x".repeat(10), "\u{1}".repeat(300), "x".repeat(RECORD_MAX)] {
        writer.log(text.clone() + "\n");
        let mut whole = vec![0; 8192];
        let peek = Umsg::reader();
        peek.seek(0, libc::SEEK_SET).expect("seek");
        let len = (0..).find_map(|_| match peek.read(&mut whole) {
            Ok(len) if abi::Record::parse(&whole[..len]).text == text.as_bytes() => Some(len),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        });
        let len = len.expect("the record");
        // What is around the text must fit; with " CUT=", unless there is no text.
        let none = len - if text.starts_with('\u{1}') { 4 * text.len() } else { text.len() };
        let least = if text.is_empty() { len } else { none + 6 + text.len().to_string().len() };
        for short in [0, 1, least / 2, least - 1] {
            let mut buffer = vec![0x5a; short];
            assert_eq!(reader.read(&mut buffer), Err(Errno::EINVAL), "{short} of {len}");
            assert!(buffer.iter().all(|byte| *byte == 0x5a), "a refused read wrote to the buffer");
        }
        let mut exact = vec![0x5a; len];
        assert_eq!(reader.read(&mut exact), Ok(len));
        assert_eq!(exact, whole[..len]);
    }
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

fn read_bad_address() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let pages = Pages::new();
    for text in ["short".to_string(), "\u{1}".repeat(1000)] {
        writer.log(&text);
        for len in [100, 8192] {
            let short = readv(&reader, &[(BAD.cast(), len)]);
            assert_eq!(short, Err(Errno::EFAULT));
        }
        let mut good = [0u8; 20];
        let pieces = [(good.as_mut_ptr(), 20), (BAD.cast(), 8192)];
        assert_eq!(readv(&reader, &pieces), Err(Errno::EFAULT));
        let before = pages.boundary().wrapping_sub(20);
        assert_eq!(readv(&reader, &[(before, 8192)]), Err(Errno::EFAULT));
        // None of that consumed it.
        assert_eq!(reader.next().expect("the record").text, text.as_bytes());
    }
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

fn read_empty_log() {
    let reader = Umsg::reader();
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
    // A buffer that no record fits is refused at once, even where a read would block.
    let blocking = Umsg::open(libc::O_RDONLY).expect("open");
    assert_eq!(blocking.read(&mut []), Err(Errno::EINVAL));
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

fn access_mode() {
    let (reader, writer) = (Umsg::reader(), Umsg::writer());
    assert_eq!(reader.write(b"x"), Err(Errno::EBADF));
    assert_eq!(writer.read(&mut [0; 100]), Err(Errno::EBADF));
    assert_eq!(reader.clear(), Err(Errno::EBADF));
    // Nor is it told how long a record is, and when it was written.
    assert_eq!(writer.seek_seq(0), Err(Errno::EBADF));
    assert_eq!(writer.seek_time(0), Err(Errno::EBADF));
    assert_eq!(writer.next_size(), Err(Errno::EBADF));
    let both = Umsg::both();
    both.log("both");
    assert_eq!(both.next().expect("a record").text, b"both");
    // Access mode 3 is for ioctls alone (open(2)): neither reading nor writing.
    let neither = Umsg::open(libc::O_ACCMODE).expect("open for ioctls");
    assert_eq!(neither.write(b"x"), Err(Errno::EBADF));
    assert_eq!(neither.clear(), Err(Errno::EBADF));
    assert_eq!(neither.next_size(), Err(Errno::EBADF));
    assert_eq!(neither.info().next_seq, 1);
    // Flags that mean nothing here change nothing.
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
    // The kernel looks at the range of these itself.
    let others = [libc::SEEK_CUR, libc::SEEK_HOLE];
    for whence in others {
        assert_eq!(file.seek(0, whence), Err(Errno::EINVAL), "{whence}");
    }
    for whence in known.into_iter().chain(others) {
        for offset in [1, -1, 4096, i64::MIN, i64::MAX] {
            assert_eq!(file.seek(offset, whence), Err(Errno::ESPIPE), "{whence} {offset}");
        }
    }
    for whence in [5, 6, 100, -1, i32::MIN, i32::MAX] {
        for offset in [0, 1, -1, i64::MIN, i64::MAX] {
            assert_eq!(file.seek(offset, whence), Err(Errno::EINVAL), "{whence} {offset}");
        }
    }
    // A refused seek moved nothing.
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
        nix::request_code_read!(abi::MAGIC, 0, 128),
        nix::request_code_none!(abi::MAGIC, 1),
        nix::request_code_read!(abi::MAGIC, 2, 4),
        nix::request_code_write!(abi::MAGIC, 3, 4),
        nix::request_code_read!(abi::MAGIC, 4, 4),
        nix::request_code_write!(abi::MAGIC, 5, 4),
        nix::request_code_write!(abi::MAGIC, 6, 8),
        nix::request_code_write!(abi::MAGIC, 7, 8),
        nix::request_code_read!(abi::MAGIC, 8, 4),
    ];
    let mut tried = 0;
    for direction in 0..4 {
        for magic in [abi::MAGIC.into(), b'T'.into(), 0, 0xff] {
            for number in 0..256 {
                for size in [0, 4, 8, 16, 128, 129, 16383] {
                    let request: libc::Ioctl =
                        (direction << 30) | (size << 16) | (magic << 8) | number;
                    // The generic ones of every file are handled before the driver is asked.
                    let generic = magic == b'T'.into() || known.contains(&request) || request == 0;
                    if generic || magic == 0 {
                        continue;
                    }
                    // SAFETY: An unknown command does not look at its argument.
                    let got = unsafe { libc::ioctl(file.raw(), request, BAD) };
                    assert_eq!(Errno::result(got), Err(Errno::ENOTTY), "{request:#x}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000);
    // Not a terminal, whatever isatty() asks.
    // SAFETY: Nothing but numbers.
    assert_eq!(unsafe { libc::isatty(file.raw()) }, 0);
    assert_eq!(file.info(), before);
}

fn ioctl_bad_address() {
    let file = Umsg::reader();
    for request in [
        nix::request_code_read!(abi::MAGIC, 0, 128),
        nix::request_code_read!(abi::MAGIC, 2, 4),
        nix::request_code_write!(abi::MAGIC, 3, 4),
        nix::request_code_read!(abi::MAGIC, 4, 4),
        nix::request_code_write!(abi::MAGIC, 5, 4),
    ] {
        for address in [BAD, WILD, std::ptr::null_mut()] {
            // SAFETY: The kernel checks the address; that is what is tested.
            let got = unsafe { libc::ioctl(file.raw(), request, address) };
            assert_eq!(Errno::result(got), Err(Errno::EFAULT));
        }
    }
    let info = file.info();
    assert_eq!((info.capacity, info.record_max, info.policy), (1 << 20, 1024, 0));
    assert_eq!((info.style, info.reserved_word, info.reserved), (abi::LINES, 0, [0; 4]));
    // Another number for each log, and for each load.
    assert_ne!(info.log_id, 0);
    drop(file);
    crate::kernel::rmmod().expect("rmmod");
    crate::kernel::modprobe("logs=other").expect("modprobe");
    let again = Umsg::reader().info().log_id;
    let other = Umsg::open_at("/dev/umsg-other", libc::O_RDONLY).expect("open").info().log_id;
    assert!(again != info.log_id && other != info.log_id && again != other);
}

fn mmap() {
    let file = Umsg::open(libc::O_RDWR).expect("open").style(KMSG);
    for sharing in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
        // SAFETY: A new mapping, which is not used.
        let got = unsafe {
            libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, sharing, file.raw(), 0)
        };
        assert_eq!(got, libc::MAP_FAILED);
        assert_eq!(Errno::last(), Errno::ENODEV);
    }
}

/// What cannot keep records whole is refused, and takes nothing.
fn splice() {
    let file = Umsg::both();
    file.log("a record");
    let (out, into) = nix::unistd::pipe().expect("a pipe");
    use std::os::fd::AsRawFd;
    // SAFETY: Nothing but numbers and null pointers.
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

/// The policy `stop`: the first records stay, until they are cleared.
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
    // Reading frees nothing, clearing does, and the new record overwrites as few as it must.
    assert_eq!(file.write(b"once again"), Err(Errno::ENOSPC));
    file.clear().expect("clear");
    file.log("0123456789");
    let info = file.info();
    assert_eq!((info.next_seq, info.oldest_seq, info.cleared_seq), (taken + 1, 1, taken));
    assert_eq!(file.next().expect("a record").text, b"0123456789");
}

/// Two pages, of which the second cannot be accessed.
struct Pages(*mut u8);

impl Pages {
    fn new() -> Self {
        // SAFETY: A new mapping; its second page is taken out of it.
        unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(start, libc::MAP_FAILED);
            assert_eq!(
                libc::mprotect(start.cast::<u8>().add(4096).cast(), 4096, libc::PROT_NONE),
                0
            );
            Self(start.cast())
        }
    }

    /// The first byte that cannot be accessed.
    fn boundary(&self) -> *mut u8 {
        self.0.wrapping_add(4096)
    }
}
