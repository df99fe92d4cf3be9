// SPDX-License-Identifier: GPL-2.0

//! Calls through io_uring. A call submits a few operations at once, waits a short time, and cancels
//! the operations that have not ended.

use crate::calls::{Ring, Slot};
use crate::outcome::Found;
use crate::seal::{Author, AT_ONCE};
use crate::tally::{self, Open, Tally, Written};
use crate::worker::Thread;
use io_uring::{cqueue, opcode, squeue, types, IoUring};
use libc::*;
use std::os::fd::AsRawFd;

/// The number and the size of the buffers that each operation provides, in a group of its own.
const PROVIDED: usize = 4;
const PROVIDED_SIZE: usize = 4096;
/// User data of operations that provide buffers.
const PROVIDE: u64 = 100;
/// User data of operations that remove buffers.
const REMOVE: u64 = 101;

pub struct Uring {
    ring: IoUring,
    buffers: [Vec<u8>; 2],
    provided: Vec<u8>,
    /// The accounts of the writes that have not ended.
    open: [Option<Open>; 2],
}

impl Uring {
    fn new(room: usize) -> Option<Self> {
        let ring = IoUring::new(8).ok()?;
        assert!(ring.as_raw_fd() < 180, "a descriptor leaks");
        let buffers = [vec![0; room], vec![0; room]];
        Some(Self {
            ring,
            buffers,
            provided: vec![0; 2 * PROVIDED * PROVIDED_SIZE],
            open: [None, None],
        })
    }
}

impl Thread {
    /// Submits `operations` on one file, and returns when all of them have ended.
    pub fn uring(&mut self, slot: Slot, operations: &[Ring; 2]) -> i64 {
        if self.child {
            return 0;
        }
        let Some(mut uring) = self.uring.take().or_else(|| Uring::new(1 << 20)) else {
            return -i64::from(ENOMEM);
        };
        let fd = types::Fd(self.files.fd(slot));
        let mut open = 0;
        for (index, operation) in operations.iter().enumerate() {
            let buffer = &mut uring.buffers[index];
            let entry = match *operation {
                Ring::Read { room } => {
                    opcode::Read::new(fd, buffer.as_mut_ptr(), room).offset(u64::MAX).build()
                }
                Ring::Write { len, content } => {
                    let author = Author { tid: 0, ..self.author(slot) };
                    let data = &mut buffer[..len.into()];
                    self.fill(data, slot, content, author, true);
                    let most =
                        tally::most(data, false, self.write_format(slot), &self.target.parameters);
                    let open = self.target.writes.begin(most, Tally::default());
                    uring.open[index] = Some(open);
                    opcode::Write::new(fd, buffer.as_ptr(), len.into()).offset(u64::MAX).build()
                }
                Ring::Poll { events, multi } => {
                    opcode::PollAdd::new(fd, events).multi(multi).build()
                }
                Ring::ReadMulti => {
                    let (group, count) = (index as u16, PROVIDED as u16);
                    // Remove the buffers that an earlier call left.
                    let remove = opcode::RemoveBuffers::new(count, group).build();
                    let provide = opcode::ProvideBuffers::new(
                        uring.provided[index * PROVIDED * PROVIDED_SIZE..].as_mut_ptr(),
                        PROVIDED_SIZE as i32,
                        count,
                        group,
                        0,
                    );
                    push(&mut uring.ring, remove.user_data(REMOVE));
                    push(&mut uring.ring, provide.build().user_data(PROVIDE));
                    open += 2;
                    opcode::ReadMulti::new(fd, 0, group).offset(u64::MAX).build()
                }
            };
            push(&mut uring.ring, entry.user_data(index as u64));
            open += 1;
        }
        let wait = types::Timespec::new().nsec(500_000);
        let arguments = types::SubmitArgs::new().timespec(&wait);
        let _ = uring.ring.submitter().submit_with_args(open, &arguments);
        let mut done = 0;
        loop {
            loop {
                let Some(entry) = uring.ring.completion().next() else { break };
                open -= usize::from(!cqueue::more(entry.flags()));
                done += 1;
                self.completed(&mut uring, slot, operations, &entry);
            }
            if open == 0 {
                break;
            }
            let all = types::CancelBuilder::any();
            let _ = uring.ring.submitter().register_sync_cancel(Some(wait), all);
            let _ = uring.ring.submitter().submit_with_args(1, &arguments);
        }
        self.uring = Some(uring);
        done
    }

    fn completed(
        &mut self,
        uring: &mut Uring,
        slot: Slot,
        operations: &[Ring; 2],
        entry: &cqueue::Entry,
    ) {
        let result = entry.result();
        if entry.user_data() == REMOVE {
            assert!(result >= 0 || result == -ENOENT, "remove buffers: {result}");
            return;
        }
        if entry.user_data() == PROVIDE {
            assert!(result >= 0, "provide buffers: {result}");
            return;
        }
        let index = entry.user_data() as usize;
        let operation = operations[index];
        let common = [-EBADF, -ECANCELED, -EINTR, -EAGAIN];
        let good = match operation {
            Ring::Read { room } => {
                if result > 0 {
                    self.seen(&uring.buffers[index][..result as usize], room as usize);
                }
                result > 0 || common.contains(&result) || [-EINVAL, -EPIPE].contains(&result)
            }
            Ring::ReadMulti => {
                if let (Some(id), true) = (cqueue::buffer_select(entry.flags()), result > 0) {
                    let at = (index * PROVIDED + usize::from(id)) * PROVIDED_SIZE;
                    self.seen(&uring.provided[at..][..result as usize], PROVIDED_SIZE);
                }
                result > 0
                    || common.contains(&result)
                    || [-EINVAL, -EPIPE, -ENOBUFS].contains(&result)
            }
            Ring::Write { len, content } => {
                let total = usize::from(len);
                let data = Some(&uring.buffers[index][..total]);
                let written = Written { done: result.into(), data, all: true, total };
                // The log is not searched for the records of the write.
                let tally = Tally::of(
                    &written,
                    self.write_format(slot),
                    &self.target.parameters,
                    Found::nothing,
                );
                let open = uring.open[index].take().expect("an open account");
                self.target.writes.end(open, tally);
                self.count_entries(content, &tally);
                let stop = self.target.parameters.policy == 1;
                let refused = [-EMSGSIZE, -EINVAL].contains(&result) || stop && result == -ENOSPC;
                let parts = result > 0 && (stop || total > AT_ONCE);
                result == i32::from(len)
                    || parts
                    || result > 0 && self.write_format(slot).may_be_entries()
                    || common.contains(&result)
                    || refused
            }
            Ring::Poll { events, .. } => {
                let always = libc::EPOLLERR as u32 | libc::EPOLLHUP as u32;
                (result >= 0 && result as u32 & !events & !always == 0) || common.contains(&result)
            }
        };
        assert!(good, "io_uring {operation:?} returned {result}");
    }
}

fn push(ring: &mut IoUring, entry: squeue::Entry) {
    // SAFETY: The buffers of the operation live as long as the ring, and the caller waits for the
    // end of the operation.
    unsafe { ring.submission().push(&entry) }.expect("room in the queue");
}
