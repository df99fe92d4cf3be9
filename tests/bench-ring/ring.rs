// SPDX-License-Identifier: GPL-2.0

//! What one append to the ring and one read from it take, without system call, lock or copy to the
//! user: criterion says how sure it is of each figure.

#[path = "../pure.rs"]
mod pure;

use criterion::{criterion_group, criterion_main, Criterion};
use pure::*;
use record::{Header, Priority, Writer, HEADER_SIZE};
use ring::{index_len, Policy, Position, Ring};
use std::hint::black_box;
use text::TextForm;

const HEADER: Header = Header {
    seq: 0,
    time_ns: 0,
    text_len: 0,
    priority: Priority::DEFAULT,
    writer: Writer { pid: 1234, tid: 1234, uid: 1000, comm: *b"benchmark\0\0\0\0\0\0\0" },
};

fn all(criterion: &mut Criterion) {
    for size in [16, 64, 256, 4096] {
        let text = vec![b'x'; size];
        let mut ring = Ring::new(vec![0; 1 << 20], vec![0; index_len(1 << 20)], Policy::Overwrite);
        criterion.bench_function(&format!("append of {size} bytes"), |bencher| {
            bencher.iter(|| ring.append(HEADER, black_box(&text)))
        });
        let mut at = Position::default();
        criterion.bench_function(&format!("read of {size} bytes"), |bencher| {
            bencher.iter(|| {
                let stored = ring.read(at).unwrap_or_else(|| ring.read(ring.oldest()).unwrap());
                at = stored.after;
                black_box(stored.bytes[HEADER_SIZE])
            })
        });
        criterion.bench_function(&format!("text form of {size} bytes"), |bencher| {
            let form = TextForm::new(&HEADER, black_box(&text), 1000, 0);
            bencher.iter(|| form.write(|piece| !black_box(piece).is_empty()))
        });
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
