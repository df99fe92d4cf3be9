// SPDX-License-Identifier: GPL-2.0

//! Writes in the binary format.

use super::{binary_reader, binary_writer};
use crate::client::*;
use crate::random::random;
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] = &[
    Test::new("binary.write", write),
    Test::new("binary.write_refused", write_refused).with("record_max=100"),
    Test::new("binary.write_grown_header", write_grown_header),
    Test::new("binary.write_full", write_full).with("capacity=4K policy=stop"),
    Test::new("binary.write_bad_address", write_bad_address).with("capacity=4M"),
    Test::new("binary.write_long", write_long).with("capacity=8M record_max=64K"),
];

fn write() {
    let (writer, reader) = (binary_writer(), Umsg::reader());
    let texts: [&[u8]; 7] =
        [b"one", b"", b"<3>is text", b"a newline\n", b"\0", &[b'x'; 1024], b"12345678"];
    let all: Vec<u8> =
        texts.iter().enumerate().flat_map(|(i, text)| entry(8 + i as u16, text)).collect();
    assert_eq!(writer.write(&all), Ok(all.len()));
    let records = reader.rest();
    assert_eq!(records.len(), texts.len());
    for (index, (record, text)) in records.iter().zip(texts).enumerate() {
        assert_eq!(record.text, text);
        assert_eq!(record.priority, 8 + index as u16);
        assert_eq!(record.pid as u32, std::process::id());
    }
    // Facility 0 is reserved for the kernel and replaced by 1.
    for (given, stored) in [(0, 8), (7, 15), (8, 8), (2047, 2047)] {
        writer.write(&entry(given, b"x")).expect("write");
        assert_eq!(reader.next().expect("a record").priority, stored);
    }
    assert_eq!(writer.write(b""), Ok(0));
    // The segments end within entries.
    let segments: Vec<_> = all.chunks(3).map(|segment| (segment.as_ptr(), segment.len())).collect();
    assert_eq!(writev(&writer, &segments), Ok(all.len()));
    assert_eq!(reader.rest().len(), texts.len());
}

/// Checks that an invalid entry is rejected, and that the entries before it are stored.
fn write_refused() {
    let (writer, reader) = (binary_writer(), Umsg::reader());
    let mut extended = raw_entry(16, 14, 3, &[0; 11]);
    extended[12] = 1;
    let bad: Vec<(Vec<u8>, Errno)> = vec![
        (vec![8], Errno::EINVAL),
        (entry(14, b"x")[..7].to_vec(), Errno::EINVAL),
        (entry(14, b"x")[..8].to_vec(), Errno::EINVAL),
        (entry(14, b"x")[..9].to_vec(), Errno::EINVAL),
        (entry(14, b"12345678")[..15].to_vec(), Errno::EINVAL),
        (raw_entry(0, 14, 1, b"x"), Errno::EINVAL),
        (raw_entry(7, 14, 1, b"x"), Errno::EINVAL),
        (raw_entry(12, 14, 1, &[0; 20]), Errno::EINVAL),
        (raw_entry(72, 14, 1, &[0; 80]), Errno::EINVAL),
        (raw_entry(0xffff, 14, 1, &[0; 80]), Errno::EINVAL),
        (raw_entry(0x0108, 14, 1, b"x"), Errno::EINVAL),
        (raw_entry(64, 14, 1, &[0; 10]), Errno::EINVAL),
        (extended, Errno::EINVAL),
        (raw_entry(8, 2048, 1, b"x"), Errno::EINVAL),
        (raw_entry(8, 0xffff, 1, b"x"), Errno::EINVAL),
        (raw_entry(8, 14, 101, &[b'x'; 101]), Errno::EMSGSIZE),
        (raw_entry(8, 14, 0x7fff_ffff, b"x"), Errno::EMSGSIZE),
        (raw_entry(8, 14, u32::MAX, b"x"), Errno::EMSGSIZE),
        (raw_entry(8, 14, u32::MAX - 7, b"x"), Errno::EMSGSIZE),
        (raw_entry(8, 14, 100, &[b'x'; 90]), Errno::EINVAL),
        (raw_entry(0xffff, 0xffff, u32::MAX, &[0xff; 64]), Errno::EINVAL),
    ];
    for (data, error) in bad {
        assert_eq!(writer.write(&data), Err(error), "{data:?}");
        assert_eq!(reader.next(), Err(Errno::EAGAIN), "{data:?} left a record");
        let good = [entry(14, b"first"), entry(14, &[b'x'; 100])].concat();
        let all = [good.clone(), data.clone(), entry(14, b"never")].concat();
        // No entry follows `data`, because it can complete an incomplete entry.
        let got = writer.write(&[good.clone(), data.clone()].concat());
        assert_eq!(got, Ok(good.len()), "{data:?} after two good ones");
        assert_eq!(reader.rest().len(), 2);
        if data.len() % 8 == 0 && error == Errno::EINVAL {
            let taken = writer.write(&all).expect("the first ones");
            assert_eq!(reader.rest().len(), if taken == good.len() { 2 } else { 3 });
        }
    }
}

/// Checks that a larger header is accepted if its unknown fields are zero.
fn write_grown_header() {
    let (writer, reader) = (binary_writer(), Umsg::reader());
    for header_size in [16u16, 24, 64] {
        let mut rest = vec![0; usize::from(header_size) - 8];
        rest.extend(b"text");
        let data = raw_entry(header_size, 14, 4, &rest);
        assert_eq!(writer.write(&data), Ok(data.len()));
        assert_eq!(reader.next().expect("a record").text, b"text");
        for at in [0, usize::from(header_size) - 9] {
            rest[at] = 1;
            assert_eq!(writer.write(&raw_entry(header_size, 14, 4, &rest)), Err(Errno::EINVAL));
            rest[at] = 0;
        }
    }
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

/// Checks that a write is short if only some entries fit a log with the policy `stop`, and that the
/// next write fails with ENOSPC.
fn write_full() {
    let (writer, reader) = (binary_writer(), Umsg::reader());
    let one = entry(14, &[b'x'; 64]);
    let fit = 4096 / (56 + 64);
    assert_eq!(writer.write(&one.repeat(100)), Ok(fit * one.len()));
    assert_eq!(writer.write(&one.repeat(100)), Err(Errno::ENOSPC));
    assert_eq!(writer.info().records_refused, 2);
    assert_eq!(reader.rest().len(), fit);
}

fn write_bad_address() {
    let (writer, reader) = (binary_writer(), Umsg::reader());
    let one = entry(14, &[b'x'; 56]);
    let good = one.repeat(500);
    for first in [0, 1, 8, 63, 64, 65, 4095, 4096, 4097, 10_000, 32_000] {
        let got = writev(&writer, &[(good.as_ptr(), first), (BAD.cast::<u8>().cast_const(), 640)]);
        let whole = first / one.len();
        let stored = reader.rest().len();
        match got {
            Ok(len) => assert_eq!((len, stored), (whole * one.len(), whole), "{first}"),
            Err(error) => {
                assert_eq!((error, stored, whole), (Errno::EFAULT, 0, 0), "{first}");
            }
        }
    }
}

/// Checks writes that are larger than the module's buffer, with entries of many sizes.
fn write_long() {
    let (writer, reader) = (binary_writer(), binary_reader());
    let mut random = random();
    for _ in 0..20 {
        let texts: Vec<Vec<u8>> = (0..100)
            .map(|i| {
                let len = if random(20) == 0 { random(65537) } else { random(300) };
                vec![i as u8; len]
            })
            .collect();
        let all: Vec<u8> = texts.iter().flat_map(|text| entry(30, text)).collect();
        assert_eq!(writer.write(&all), Ok(all.len()));
        let mut got = Vec::new();
        while got.len() < texts.len() {
            got.extend(reader.frames(1 << 20).expect("frames"));
        }
        assert!(got.iter().map(|frame| &frame.text).eq(&texts));
        assert!(got.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns));
    }
}
