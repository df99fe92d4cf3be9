// SPDX-License-Identifier: GPL-2.0

//! The binary format: many records in one read or write.

pub mod write;

use crate::client::*;
use crate::random::random;
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] = &[
    Test::new("binary.fields", fields),
    Test::new("binary.as_many_as_fit", as_many_as_fit),
    Test::new("binary.read_size", read_size),
    Test::new("binary.read_bad_address", read_bad_address).with("capacity=4M"),
    Test::new("binary.readv", readv_segments),
    Test::new("binary.loss", loss).with("capacity=8K"),
    Test::new("binary.largest", largest).with("capacity=1M record_max=64K"),
    Test::new("binary.small_after_large", small_after_large).with("capacity=8M record_max=64K"),
    Test::new("binary.against_writers", against_writers).with("capacity=64K"),
    Test::new("binary.shared_by_threads", shared_by_threads).with("capacity=4M"),
];

fn binary_reader() -> Umsg {
    Umsg::reader().with(BINARY_READ)
}

fn binary_writer() -> Umsg {
    Umsg::writer().with(BINARY_WRITE)
}

/// Checks that both formats have the same fields.
fn fields() {
    let (writer, text, binary) = (Umsg::writer(), Umsg::reader(), binary_reader());
    for data in [&b"plain"[..], b"<0>kernel", b"<2047>last", b"\n", b"\x00\xff\\", &[b'x'; 1024]] {
        writer.log(data);
    }
    let records = text.rest();
    let frames = binary.frames(65536).expect("frames");
    assert_eq!(frames.len(), records.len());
    for (frame, record) in frames.iter().zip(&records) {
        assert_eq!(frame.priority, record.priority);
        assert_eq!(frame.seq, record.seq);
        assert_eq!(frame.time_ns / 1000, record.usec);
        assert_eq!(frame.lost, 0);
        assert_eq!((frame.pid as i32, frame.tid as i32), (record.pid, record.tid));
        assert_eq!(frame.pid, std::process::id());
        assert_eq!(frame.uid, record.uid);
        assert_eq!(frame.comm, record.comm);
        assert_eq!(frame.text, record.text);
    }
    assert_eq!(binary.frames(65536), Err(Errno::EAGAIN));
    // The format can be changed between any two records.
    writer.log("one");
    writer.log("two");
    assert_eq!(binary.frames(80).expect("a frame")[0].text, b"one");
    binary.set_options(0).expect("text again");
    assert_eq!(binary.next().expect("a record").text, b"two");
}

fn as_many_as_fit() {
    let writer = Umsg::writer();
    let mut random = random();
    let sizes: Vec<usize> = (0..2000).map(|_| 1 + random(200)).collect();
    for size in &sizes {
        writer.log(vec![b'x'; *size]);
    }
    for len in [264, 265, 319, 320, 321, 1000, 8191, 8192, 8193, 16384, 100_000, 1 << 20] {
        let reader = binary_reader();
        let mut seq = 0;
        loop {
            match reader.frames(len) {
                Ok(frames) => {
                    let used: usize = frames.iter().map(|frame| frame_size(frame.text.len())).sum();
                    for frame in &frames {
                        assert_eq!(frame.seq, seq);
                        assert_eq!(frame.text.len(), sizes[seq as usize]);
                        seq += 1;
                    }
                    // The next record does not fit.
                    if let Some(next) = sizes.get(seq as usize) {
                        assert!(used + frame_size(*next) > len, "{len}: {used} and {next} more");
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(error) => panic!("read of {len}: {error}"),
            }
        }
        assert_eq!(seq as usize, sizes.len(), "with {len}");
    }
}

fn read_size() {
    let (writer, reader) = (Umsg::writer(), binary_reader());
    for len in [1, 8, 9, 256, 257, 1024] {
        writer.log(vec![b'x'; len]);
        for short in [0, 1, 63, 64, frame_size(len) - 1] {
            assert_eq!(reader.frames(short), Err(Errno::EINVAL), "{short} for {len}");
        }
        assert_eq!(reader.next_size(), Ok(frame_size(len)));
        assert_eq!(reader.frames(frame_size(len)).expect("it fits").len(), 1);
    }
}

/// Checks that a read fills the user buffer with small records, also after a large record, for
/// which the module has allocated a larger buffer.
fn small_after_large() {
    let (writer, reader) = (binary_writer(), binary_reader());
    let large = entry(14, &[b'x'; 65536]);
    for first in [&large[..], &[]] {
        let batch = [first, &entry(14, b"").repeat(8192), &entry(14, b"12345678").repeat(5000)];
        let batch = batch.concat();
        assert_eq!(writer.write(&batch), Ok(batch.len()));
        let count = usize::from(!first.is_empty()) + 8192 + 5000;
        for len in [1 << 17, 1 << 20, 1 << 22] {
            reader.seek_seq(writer.info().next_seq - count as u64).expect("seek");
            let mut seen = 0;
            while let Ok(frames) = reader.frames(len) {
                let used: usize = frames.iter().map(|frame| frame_size(frame.text.len())).sum();
                seen += frames.len();
                assert!(seen == count || used + frame_size(8) > len, "{used} of {len}");
            }
            assert_eq!(seen, count, "by {len}");
        }
    }
}

/// Checks that a read consumes only the records that it returns if its buffer has an invalid
/// address.
fn read_bad_address() {
    let (writer, reader) = (Umsg::writer(), binary_reader());
    for _ in 0..1000 {
        writer.log([b'x'; 64]);
    }
    let mut good = vec![0u8; 100_000];
    let mut seq = 0;
    for first in [0, 1, 64, 128, 1000, 8191, 8192, 8193, 20_000, 60_000] {
        let segments = [(good.as_mut_ptr(), first), (BAD.cast(), 100_000)];
        match readv(&reader, &segments) {
            Ok(len) => {
                assert!(len <= first, "{len} of {first}");
                for frame in Frame::parse_all(&good[..len]) {
                    assert_eq!(frame.seq, seq);
                    seq += 1;
                }
            }
            Err(error) => assert_eq!(error, Errno::EFAULT),
        }
        let next = reader.frames(128).expect("the next one");
        assert_eq!(next[0].seq, seq, "after {first} good bytes");
        seq += 1;
    }
    assert!(seq > 400, "{seq}: no read returned the records before the fault");
}

fn readv_segments() {
    let (writer, reader) = (Umsg::writer(), binary_reader());
    for i in 0..50 {
        writer.log(format!("record {i}"));
    }
    let mut memory = vec![0u8; 8000];
    let at = memory.as_mut_ptr();
    let segments: Vec<_> =
        (0..200).map(|i| (at.wrapping_add(i * 40), if i % 3 == 0 { 40 } else { 0 })).collect();
    let len = readv(&reader, &segments).expect("readv");
    let gathered: Vec<u8> =
        (0..200).step_by(3).flat_map(|i| memory[i * 40..(i + 1) * 40].to_vec()).collect();
    let frames = Frame::parse_all(&gathered[..len]);
    // The first ten records have 72 bytes, the others 80.
    assert_eq!(frames.len(), 10 + (67 * 40 - 720) / 80);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(frame.text, format!("record {index}").as_bytes());
    }
}

/// Checks that only the first record after a loss reports it, and that every loss is counted.
fn loss() {
    let (writer, reader) = (Umsg::writer(), binary_reader());
    let (mut received, mut lost) = (0, 0);
    for round in [1, 10, 100, 1000, 3, 200] {
        for _ in 0..round {
            writer.log([b'x'; 40]);
        }
        let frames = reader.frames(65536).expect("frames");
        assert!(frames[1..].iter().all(|frame| frame.lost == 0));
        lost += frames[0].lost;
        received += frames.len() as u64;
        assert_eq!(received + lost, writer.info().next_seq);
    }
    assert!(lost > 500 && received > 200);
}

fn largest() {
    let (writer, reader) = (Umsg::writer(), binary_reader());
    for len in [8000, 8128, 8129, 65536] {
        writer.log(b"small");
        writer.log(vec![0xa5; len]);
        // The read returns one or both records.
        let both = reader.frames(frame_size(5) + frame_size(len)).expect("frames");
        assert_eq!(both[0].text, b"small");
        if both.len() == 1 {
            assert_eq!(reader.frames(frame_size(len) - 1), Err(Errno::EINVAL));
            assert_eq!(reader.frames(frame_size(len)).expect("a frame")[0].text.len(), len);
        } else {
            assert_eq!(both[1].text, vec![0xa5; len]);
        }
        assert_eq!(reader.frames(1 << 20), Err(Errno::EAGAIN));
    }
}

/// Checks that readers get or count every record while writers in both formats overwrite records.
fn against_writers() {
    const EACH: u64 = 4000;
    // Open the files before the first record is written, so that the readers count all records.
    let files = [300, 4096, 65536]
        .map(|len| (len, Umsg::open(libc::O_RDONLY).expect("open").with(BINARY_READ)));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|kind| {
                scope.spawn(move || match kind {
                    0 => {
                        let file = Umsg::writer();
                        (0..EACH).for_each(|i| file.log(format!("{i:04}{}", "x".repeat(60))));
                    }
                    _ => {
                        let file = binary_writer();
                        for i in (0..EACH).step_by(20) {
                            let batch: Vec<u8> = (i..i + 20)
                                .flat_map(|i| entry(14, format!("{i:04}").as_bytes()))
                                .collect();
                            assert_eq!(file.write(&batch), Ok(batch.len()));
                        }
                    }
                })
            })
            .collect();
        let readers: Vec<_> = files
            .into_iter()
            .map(|(len, file)| {
                scope.spawn(move || {
                    let (mut next, mut lost) = (0, 0);
                    while next < 3 * EACH {
                        for frame in file.frames(len).expect("frames") {
                            assert_eq!(frame.seq, next + frame.lost);
                            assert!(frame.text.len() == 4 || frame.text.len() == 64);
                            lost += frame.lost;
                            next = frame.seq + 1;
                        }
                    }
                    lost
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        let lost: Vec<u64> = readers.into_iter().map(|r| r.join().expect("a reader")).collect();
        println!("{} records; the readers lost {lost:?} of them", 3 * EACH);
    });
}

/// Checks that threads that share a file read each record exactly once.
fn shared_by_threads() {
    let writer = binary_writer();
    let all = entry(14, b"0123456789").repeat(5000);
    let mut left = &all[..];
    while !left.is_empty() {
        left = &left[writer.write(left).expect("write")..];
    }
    let reader = binary_reader();
    let reader = &reader;
    let seen: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = [200, 1000, 30_000]
            .into_iter()
            .map(|len| {
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    let mut buffer = vec![0; len];
                    // A read may overwrite bytes after the returned length.
                    while let Ok(got) = reader.read(&mut buffer) {
                        seen.extend(Frame::parse_all(&buffer[..got]).iter().map(|frame| frame.seq));
                    }
                    seen
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    let mut sorted = seen.clone();
    sorted.sort();
    assert!(sorted.iter().copied().eq(0..5000), "{} of 5000", seen.len());
}
