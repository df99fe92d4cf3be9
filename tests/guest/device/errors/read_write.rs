// SPDX-License-Identifier: GPL-2.0

//! Errors of reads and writes: sizes and invalid addresses.

use crate::client::{page_size, readv, writev, Record, Umsg, BAD, RECORD_MAX, WILD};
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] = &[
    Test::new("errors.write_size", write_size),
    Test::new("errors.write_size_small", write_size_small).with("record_max=1"),
    Test::new("errors.write_size_largest", write_size_largest).with("record_max=65536"),
    Test::new("errors.write_empty", write_empty),
    Test::new("errors.write_bad_address", write_bad_address).with("record_max=4K"),
    Test::new("errors.writev_bad_address", writev_bad_address),
    Test::new("errors.read_size", read_size),
    Test::new("errors.read_bad_address", read_bad_address),
    Test::new("errors.read_empty_log", read_empty_log),
];

/// Checks that the log is still empty.
fn assert_nothing_stored(file: &Umsg) {
    let info = file.info();
    assert_eq!((info.next_seq, info.bytes_written, info.records_dropped), (0, 0, 0));
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

/// Checks writes of sizes around and far above `limit`, with and without a prefix and newlines.
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
    // The size is checked before the address.
    let huge = writev(&file, &[(BAD.cast::<u8>().cast_const(), 1 << 30)]);
    assert_eq!(huge, Err(Errno::EMSGSIZE));

    // With a limit of 1, add a newline, because an empty write is no record.
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
    // An empty line is stored as a record with an empty text, as in /dev/kmsg.
    file.log("\n");
    file.log("<3>");
    file.log("<3>\n");
    let texts: Vec<_> = Umsg::reader().rest().into_iter().map(|record| record.text).collect();
    assert_eq!(texts, [b"", b"", b""]);
}

fn write_bad_address() {
    let file = Umsg::writer();
    // The module copies at most 1280 bytes to its stack.
    for len in [1, 1279, 1280, 1281, 4096] {
        for address in [BAD, WILD, std::ptr::null_mut()] {
            let got = writev(&file, &[(address.cast::<u8>().cast_const(), len)]);
            assert_eq!(got, Err(Errno::EFAULT), "{len} at {address:?}");
        }
    }
    // Only the last byte is on an inaccessible page.
    let pages = Pages::new();
    for len in [1, 2, 1279, 1280, 1281, 2000] {
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
            let mut segments = vec![(good.as_ptr(), good.len()); count];
            segments[bad] = (BAD.cast::<u8>().cast_const(), good.len());
            assert_eq!(writev(&file, &segments), Err(Errno::EFAULT), "segment {bad} of {count}");
        }
    }
    assert_nothing_stored(&file);
    // With valid addresses, the segments are one record.
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
            Ok(len) if Record::parse(&whole[..len]).text == text.as_bytes() => Some(len),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        });
        let len = len.expect("the record");
        // The buffer must hold the head and the keys, with the key CUT unless the text is empty.
        let none = len - if text.starts_with('\u{1}') { 4 * text.len() } else { text.len() };
        let least = if text.is_empty() { len } else { none + 6 + text.len().to_string().len() };
        for short in [0, 1, least / 2, least - 1] {
            let mut buffer = vec![0x5a; short];
            assert_eq!(reader.read(&mut buffer), Err(Errno::EINVAL), "{short} of {len}");
            assert!(buffer.iter().all(|byte| *byte == 0x5a), "a failed read wrote to the buffer");
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
        let segments = [(good.as_mut_ptr(), 20), (BAD.cast(), 8192)];
        assert_eq!(readv(&reader, &segments), Err(Errno::EFAULT));
        let before = pages.boundary().wrapping_sub(20);
        assert_eq!(readv(&reader, &[(before, 8192)]), Err(Errno::EFAULT));
        // The failed reads did not consume the record.
        assert_eq!(reader.next().expect("the record").text, text.as_bytes());
    }
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

fn read_empty_log() {
    let reader = Umsg::reader();
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
    // A read into a buffer that is too small for any record fails at once, even on a blocking file.
    let blocking = Umsg::open(libc::O_RDONLY).expect("open");
    assert_eq!(blocking.read(&mut []), Err(Errno::EINVAL));
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

/// Two pages, the second of which is inaccessible.
struct Pages(*mut u8);

impl Pages {
    fn new() -> Self {
        // SAFETY: The mapping is new, and its second page is never accessed.
        unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                2 * page_size(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(start, libc::MAP_FAILED);
            let second = start.cast::<u8>().add(page_size());
            assert_eq!(libc::mprotect(second.cast(), page_size(), libc::PROT_NONE), 0);
            Self(start.cast())
        }
    }

    /// Returns the address of the first inaccessible byte.
    fn boundary(&self) -> *mut u8 {
        self.0.wrapping_add(page_size())
    }
}
