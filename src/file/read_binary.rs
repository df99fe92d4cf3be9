// SPDX-License-Identifier: GPL-2.0

//! Reads in binary format.

use kernel::prelude::*;

use crate::{
    log::LOCKED_MAX,
    pure::{
        record::{
            Header,
            BINARY_HEADER_SIZE,
            HEADER_SIZE, //
        },
        ring::RecordRef,
        style::Style, //
    },
    sys::{
        buffer::{
            uninit,
            Buffer, //
        },
        task::ReaderNamespaces,
        user_buf::Dest, //
    }, //
};

use super::{
    alloc_buffer,
    read::{
        check_interrupted,
        ReadParams,
        READ_STACK_SIZE, //
    },
    LogFile, //
};

impl LogFile {
    /// Reads as many records in binary format as fit `dest`. Waits if there is none.
    pub(super) fn read_binary(&self, params: ReadParams, dest: &mut Dest<'_, '_>) -> Result<usize> {
        let namespaces = ReaderNamespaces::current();
        let mut stack = uninit::<READ_STACK_SIZE>();
        let mut heap;
        let mut records = Buffer::new(&mut stack);
        loop {
            let before = dest.written();
            let start = *self.cursor.lock();
            let mut first = None::<RecordRef<'static>>;
            let mut after = start.position;
            // Size in bytes of the first record that does not fit; 0 if all records fit.
            let mut next_size = 0;
            records.clear();
            let capacity = records.remaining();
            let limit = capacity.min(dest.remaining());
            self.log().for_each_from(start.position, |stored| {
                // The padding of the stored text is also that of the binary record.
                let (header, text) = stored.bytes.split_at(HEADER_SIZE);
                first.get_or_insert(stored.detached());
                let size = BINARY_HEADER_SIZE + text.len();
                if records.len() + size > limit {
                    next_size = size;
                    return false;
                }
                records.push(&Header::binary(
                    header,
                    |ids| namespaces.map_ids(ids),
                    stored.lost,
                ));
                records.push(text);
                after = stored.end;
                records.len() < LOCKED_MAX
            });
            let Some(first) = first else {
                if before > 0 {
                    return Ok(before);
                }
                self.wait(start, params)?;
                continue;
            };
            if first.lost > 0 && params.style != Style::Lines && before > 0 {
                return Ok(before);
            }
            if first.lost > 0 && !self.report_loss(start, &first, params)? {
                continue;
            }
            let fits = next_size <= dest.remaining() - records.len();
            if records.len() > 0 {
                if !dest.write(records.as_slice()) {
                    dest.rewind(before);
                    return if before > 0 { Ok(before) } else { Err(EFAULT) };
                }
                if !self.try_advance(start, start.advanced_to(after, first.lost)) {
                    dest.rewind(before);
                    match check_interrupted() {
                        Err(_) if before > 0 => return Ok(before),
                        result => result?,
                    }
                    continue;
                }
                let is_last = next_size == 0 && records.len() < LOCKED_MAX;
                // A pending signal does not end a read before it has `LOCKED_MAX` bytes.
                let is_long = dest.written() >= LOCKED_MAX;
                if is_last || !fits || is_long && current!().signal_pending() {
                    return Ok(dest.written());
                }
            } else if !fits {
                if before > 0 {
                    return Ok(before);
                }
                self.skip(start, &first, params)?;
                continue;
            }
            // The buffer is too small for the remaining records. Continue with a larger one.
            let new_size = next_size.max(LOCKED_MAX.min(dest.remaining()));
            if new_size > capacity {
                heap = match alloc_buffer(new_size) {
                    Err(_) if dest.written() > 0 => return Ok(dest.written()),
                    heap => heap?,
                };
                records = Buffer::new(heap.spare_capacity_mut());
            }
        }
    }
}
