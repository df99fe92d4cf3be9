// SPDX-License-Identifier: GPL-2.0

//! Reads in text format.

use kernel::prelude::*;

use crate::{
    pure::{
        kmsg_format::KmsgFormat,
        record::Header, //
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
        NextRecord,
        ReadParams,
        READ_STACK_SIZE, //
    },
    LogFile, //
};

impl LogFile {
    /// Reads one record in text format. Waits if there is none.
    pub(super) fn read_text(&self, params: ReadParams, dest: &mut Dest<'_, '_>) -> Result<usize> {
        let namespaces = ReaderNamespaces::current();
        let mut stack = uninit::<READ_STACK_SIZE>();
        let mut heap;
        let mut copy = Buffer::new(&mut stack);
        loop {
            let start = *self.cursor.lock();
            let record = match self.copy_next(start, &mut copy) {
                NextRecord::Copied(record) => record,
                NextRecord::BufferTooSmall(size) => {
                    heap = alloc_buffer(size)?;
                    copy = Buffer::new(heap.spare_capacity_mut());
                    continue;
                }
                NextRecord::None => {
                    self.wait(start, params)?;
                    continue;
                }
            };
            if record.lost > 0 && !self.report_loss(start, &record, params)? {
                continue;
            }
            let (mut header, text) = Header::split(copy.as_slice()).ok_or(EIO)?;
            header.writer.ids = namespaces.map_ids(header.writer.ids);
            let mut text_format = KmsgFormat::new(&header, text, params.keys(&record));
            if !text_format.fit(dest.remaining()) {
                self.skip(start, &record, params)?;
                continue;
            }
            if !text_format.write(|chunk| dest.write(chunk)) {
                dest.rewind(0);
                return Err(EFAULT);
            }
            if self.try_advance(start, start.advanced_to(record.end, record.lost)) {
                return Ok(dest.written());
            }
            dest.rewind(0);
            check_interrupted()?;
        }
    }
}
