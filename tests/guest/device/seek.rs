// SPDX-License-Identifier: GPL-2.0

//! Seeks to a sequence number and to a time, and the size of the next record.

use crate::client::*;
use crate::sharing::wait_until_asleep;
use crate::Test;
use nix::errno::Errno;

pub const TESTS: &[Test] = &[
    Test::new("seek.by_seq", seek_seq).with("capacity=4K"),
    Test::new("seek.by_seq_wakes", seek_seq_wakes),
    Test::new("seek.by_time", seek_time).with("capacity=4K"),
    Test::new("seek.far", seek_far).with("capacity=64M"),
    Test::new("seek.next_size", next_size).with("capacity=8K"),
];

fn seek_seq() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    assert_eq!(reader.seek_seq(0), Ok(()));
    assert_eq!(reader.seek_seq(1), Err(Errno::EINVAL));
    for i in 0..200 {
        writer.log(format!("{i:010}"));
    }
    let info = writer.info();
    assert!(info.oldest_seq > 100 && info.next_seq == 200);
    for target in 0..=200 {
        // Seek from different positions.
        for from in [0, 199, info.oldest_seq, 200] {
            reader.seek_seq(from).expect("seek");
            reader.seek_seq(target).expect("seek");
        }
        match reader.next() {
            Ok(record) if target < info.oldest_seq => {
                assert_eq!(record.seq, info.oldest_seq);
                assert_eq!(record.lost, info.oldest_seq - target);
            }
            Ok(record) => {
                assert_eq!((record.seq, record.lost), (target, 0));
                assert_eq!(record.str(), format!("{target:010}"));
            }
            Err(error) => assert_eq!((error, target), (Errno::EAGAIN, 200)),
        }
    }
    for beyond in [201, 1 << 32, u64::MAX] {
        assert_eq!(reader.seek_seq(beyond), Err(Errno::EINVAL));
    }
    // A failed seek does not move the position.
    reader.seek_seq(199).expect("seek");
    assert_eq!(reader.seek_seq(201), Err(Errno::EINVAL));
    assert_eq!(reader.next().expect("a record").seq, 199);
    // SAFETY: The kernel checks the address.
    let bad = unsafe { ioctl_seek_seq(reader.raw(), BAD.cast()) };
    assert_eq!(bad, Err(Errno::EFAULT));
    // SAFETY: The kernel checks the address.
    let bad = unsafe { ioctl_seek_time(reader.raw(), WILD.cast()) };
    assert_eq!(bad, Err(Errno::EFAULT));
}

/// Checks that a seek by one thread wakes another thread that waits after the newest record.
fn seek_seq_wakes() {
    let writer = Umsg::writer();
    writer.log("first");
    let reader = Umsg::open(libc::O_RDONLY).expect("open");
    assert_eq!(reader.next().expect("a record").seq, 0);
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        let (reader, again) = (&reader, &reader);
        let waiting = scope.spawn(move || {
            send.send(nix::unistd::gettid().as_raw()).expect("send");
            reader.next()
        });
        wait_until_asleep(receive.recv().expect("a thread id"));
        again.seek_seq(0).expect("seek");
        assert_eq!(waiting.join().expect("a thread").expect("a record").str(), "first");
    });
}

fn seek_time() {
    let (writer, reader) = (Umsg::writer(), Umsg::reader().with(BINARY_READ));
    assert_eq!(reader.seek_time(0), Ok(()));
    for i in 0..50 {
        writer.log(format!("{i}"));
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    let frames = reader.frames(65536).expect("frames");
    assert_eq!(frames.len(), 50);
    for (index, frame) in frames.iter().enumerate() {
        let before = index.checked_sub(1).map_or(0, |index| frames[index].time_ns);
        for time in [before + 1, (before + frame.time_ns) / 2 + 1, frame.time_ns] {
            reader.seek_time(time).expect("seek");
            assert_eq!(reader.frames(100).expect("a frame")[0].seq, frame.seq);
        }
    }
    reader.seek_time(0).expect("seek");
    assert_eq!(reader.frames(100).expect("a frame")[0].seq, 0);
    for beyond in [frames[49].time_ns + 1, u64::MAX] {
        reader.seek_time(beyond).expect("seek");
        assert_eq!(reader.frames(100), Err(Errno::EAGAIN));
    }
    // A seek to the time of an overwritten record causes no loss.
    for _ in 0..200 {
        writer.log("0123456789");
    }
    reader.seek_time(frames[0].time_ns).expect("seek");
    assert_eq!(reader.frames(100).expect("a frame")[0].lost, 0);
}

/// Checks seeks in a log of a million records, also while a writer overwrites the records.
fn seek_far() {
    let writer = Umsg::writer().with(BINARY_WRITE);
    let batch = entry(14, b"").repeat(5000);
    while writer.info().oldest_seq == 0 {
        writer.write(&batch).expect("write");
    }
    let info = writer.info();
    let reader = Umsg::reader().with(BINARY_READ);
    let mut seq = info.oldest_seq + 20_000;
    let mut times = Vec::new();
    while seq < info.next_seq {
        reader.seek_seq(seq).expect("seek");
        let frame = &reader.frames(100).expect("a frame")[0];
        assert_eq!((frame.seq, frame.lost), (seq, 0));
        times.push((frame.time_ns, seq));
        seq += 200_000;
    }
    for (time, seq) in times {
        reader.seek_time(time).expect("seek");
        // The records of one batch have the same time.
        let found = reader.frames(100).expect("a frame")[0].seq;
        assert!(found <= seq && seq - found < 5000, "{found} for {seq}");
    }
    println!("{} records", info.next_seq - info.oldest_seq);
    // A target that is overwritten after the seek counts as lost.
    let done = &std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                writer.write(&batch).expect("write");
            }
        });
        for i in 0..20 {
            let target = reader.info().oldest_seq + i * 500;
            reader.seek_seq(target).expect("seek");
            let frame = &reader.frames(100).expect("a frame")[0];
            assert_eq!(frame.seq, target + frame.lost);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Checks that UMSG_IOC_NEXT_SIZE returns exactly the size that a read needs, in both formats.
fn next_size() {
    let writer = Umsg::writer();
    for options in [0, BINARY_READ] {
        let reader = Umsg::reader().with(options);
        reader.seek(0, libc::SEEK_END).expect("seek");
        assert_eq!(reader.next_size(), Err(Errno::EAGAIN));
        for text in [&b""[..], b"\n", b"x", b"\x01\\", &[7; 1000], &[b'x'; 1024]] {
            if text.is_empty() {
                continue;
            }
            writer.log(text);
            let size = reader.next_size().expect("a size");
            check_size(&reader, size, options);
        }
        // The LOST key is part of the size.
        for _ in 0..1500 {
            writer.log("0123456789");
        }
        let size = reader.next_size().expect("a size");
        if options == BINARY_READ {
            assert_eq!(size, frame_size(10));
        } else {
            check_size(&reader, size, options);
        }
    }
    // SAFETY: The kernel checks the address.
    let bad = unsafe { ioctl_next_size(Umsg::reader().raw(), BAD.cast()) };
    assert_eq!(bad, Err(Errno::EFAULT));
}

/// Checks that the next record needs `size` bytes: with one byte less, its text is truncated, or a
/// read in binary format fails.
fn check_size(reader: &Umsg, size: usize, options: u32) {
    if options == BINARY_READ {
        assert_eq!(reader.read(&mut vec![0; size - 1]), Err(Errno::EINVAL));
        assert_eq!(reader.read(&mut vec![0; size]), Ok(size));
        return;
    }
    let mut whole = vec![0; size];
    assert_eq!(reader.read(&mut whole), Ok(size));
    let record = Record::parse(&whole);
    assert_eq!(record.cut, 0);
    if !record.text.is_empty() {
        let again = Umsg::reader();
        again.seek_seq(record.seq - record.lost).expect("seek");
        assert_eq!(again.next_size(), Ok(size));
        if let Ok(len) = again.read(&mut whole[..size - 1]) {
            assert!(Record::parse(&whole[..len]).cut > 0);
        }
    }
}
