// SPDX-License-Identifier: GPL-2.0

//! Reads in text format.

use kernel::prelude::*;

use crate::{
    pure::{
        kmsg_format::TextForm,
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
        faster,
        How,
        Next,
        STACK, //
    },
    Reader, //
};

impl Reader {
    /// Reads one record in text format.
    pub(super) fn read_text(&self, how: How, dest: &mut Dest<'_, '_>) -> Result<usize> {
        let view = View::of_current();
        let mut stack = uninit::<STACK>();
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
                    self.wait(start, how)?;
                    continue;
                }
            };
            if found.lost > 0 && !self.tell_of_loss(start, &found, how)? {
                continue;
            }
            let (mut header, text) = Header::split(copy.as_slice()).ok_or(EIO)?;
            header.writer.ids = view.ids(header.writer.ids);
            let mut form = TextForm::new(&header, text, how.keys(&found));
            if !form.fit(dest.room()) {
                self.skip(start, &found, how)?;
                continue;
            }
            if !form.write(|chunk| dest.write(chunk)) {
                dest.rewind(0);
                return Err(EFAULT);
            }
            if self.advance(start, start.moved(found.after, found.lost)) {
                return Ok(dest.written());
            }
            dest.rewind(0);
            faster()?;
        }
    }
}
