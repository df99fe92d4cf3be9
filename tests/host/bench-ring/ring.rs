// SPDX-License-Identifier: GPL-2.0

//! Measures an append to the ring, a read from it and the text format of a record, without system
//! calls or copies to user memory, and appends under a spinlock by two threads. criterion reports
//! the confidence interval of each figure.

#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod sys;

use criterion::{criterion_group, criterion_main, Criterion};
use pure::kmsg_format::{Keys, KmsgFormat};
use pure::record::{Header, Ids, Priority, Writer, HEADER_SIZE};
use pure::ring::{index_len, IndexEntry, Policy, Position, Ring};
use spin::Mutex;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

const HEADER: Header = Header {
    seq: 0,
    time_ns: 0,
    text_len: 0,
    priority: Priority::DEFAULT,
    continues: false,
    writer: Writer {
        ids: Ids { pid: 1234, tid: 1234, uid: 1000, opener: 1000 },
        comm: *b"benchmark\0\0\0\0\0\0\0",
    },
};

/// Creates an empty ring of 1 MiB.
fn ring() -> Ring<Vec<u8>, Vec<IndexEntry>> {
    let index = vec![IndexEntry::default(); index_len(1 << 20)];
    Ring::new(vec![0; 1 << 20], index, Policy::Overwrite)
}

fn all(criterion: &mut Criterion) {
    for size in [16, 64, 256, 4096] {
        let text = vec![b'x'; size];
        let mut ring = ring();
        criterion.bench_function(&format!("append of {size} bytes"), |bencher| {
            bencher.iter(|| ring.append(HEADER, black_box(&text)))
        });
        let mut at = Position::default();
        criterion.bench_function(&format!("read of {size} bytes"), |bencher| {
            bencher.iter(|| {
                let stored = ring.read(at).unwrap_or_else(|| ring.read(ring.oldest()).unwrap());
                at = stored.end;
                black_box(stored.bytes[HEADER_SIZE])
            })
        });
        let letters = "é".repeat(size / 2).into_bytes();
        let mut nearly = text.clone();
        nearly[size / 2] = b'\t';
        for (of, text) in [("", text), (" of UTF-8", letters), (" with one escape", nearly)] {
            let name = format!("text format of {size} bytes{of}");
            criterion.bench_function(&name, |bencher| {
                let format = KmsgFormat::new(&HEADER, black_box(&text), Keys::All(0));
                bencher.iter(|| format.write(|chunk| !black_box(chunk).is_empty()))
            });
        }
    }
    for threads in [1, 2] {
        criterion.bench_function(&format!("append of 64 bytes by {threads} threads"), |bencher| {
            let ring = Mutex::new(ring());
            bencher.iter_custom(|count| append_by(threads, &ring, count));
        });
    }
}

/// Returns the time in which each of `threads` threads appends `count` records. The threads acquire
/// the lock for each record.
fn append_by(threads: u32, ring: &Mutex<Ring<Vec<u8>, Vec<IndexEntry>>>, count: u64) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..count {
                    let appended = ring.lock().append(HEADER, black_box(&[b'x'; 64]));
                    assert!(appended.is_ok());
                }
            });
        }
    });
    start.elapsed()
}

criterion_group!(benches, all);
criterion_main!(benches);
