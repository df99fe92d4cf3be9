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
        task::View,
        user_buf::Dest, //
    }, //
};

use super::{
    memory,
    read::{
        check_interrupted,
        Next,
        ReadParams,
        READ_STACK_SIZE, //
    },
    LogFile, //
};

impl LogFile {
    /// Reads one record in text format.
    pub(super) fn read_text(&self, params: ReadParams, dest: &mut Dest<'_, '_>) -> Result<usize> {
        let view = View::of_current();
        let mut stack = uninit::<READ_STACK_SIZE>();
        let mut heap;
        let mut copy = Buffer::new(&mut stack);
        loop {
            let start = *self.cursor.lock();
            let found = match self.copy_next(start, &mut copy) {
                Next::Copied(found) => found,
                Next::Needs(size) => {
                    heap = memory(size)?;
                    copy = Buffer::new(heap.spare_capacity_mut());
                    continue;
                }
                Next::None => {
                    self.wait(start, params)?;
                    continue;
                }
            };
            if found.lost > 0 && !self.report_loss(start, &found, params)? {
                continue;
            }
            let (mut header, text) = Header::split(copy.as_slice()).ok_or(EIO)?;
            header.writer.ids = view.ids(header.writer.ids);
            let mut form = KmsgFormat::new(&header, text, params.keys(&found));
            if !form.fit(dest.remaining()) {
                self.skip(start, &found, params)?;
                continue;
            }
            if !form.write(|chunk| dest.write(chunk)) {
                dest.rewind(0);
                return Err(EFAULT);
            }
            if self.try_advance(start, start.advanced_to(found.end, found.lost)) {
                return Ok(dest.written());
            }
            dest.rewind(0);
            check_interrupted()?;
        }
    }
}
