// SPDX-License-Identifier: GPL-2.0

//! What the two ways of reading an open file, text and binary format, have in common.
//!
//! # Which reader gets a record
//!
//! Threads and processes that share an open file description share its cursor, and each record goes
//! to one of them. No lock is held while a record is copied to the user. So a reader copies first,
//! and then moves the cursor if it is still at the same position. If not, another reader of the
//! file was faster or has sought, and this one starts again at the new position. (The user's buffer
//! may then have bytes of the first try beyond the returned length.) A copy that fails moves
//! nothing: the next read gets the record.
//!
//! Lock order: the log's lock, then the cursor's.

use kernel::prelude::*;

use crate::{
    pure::{
        kmsg_format::{
            Keys,
            KmsgFormat, //
        },
        record::{
            binary_size,
            Header, //
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
    },
    uapi, //
};

use super::{
    alloc_buffer,
    cursor::Cursor,
    LogFile, //
    Options,
};

/// Size of the memory on the stack for the copy of one record, or of a few small ones.
pub(super) const READ_STACK_SIZE: usize = 320;

/// How one read works, from its beginning to its end.
#[derive(Clone, Copy)]
pub(super) struct ReadParams {
    /// The options of the file when the read began.
    pub(super) options: Options,
    /// Its style then.
    pub(super) style: Style,
    /// The read must not sleep.
    pub(super) nonblocking: bool,
}

/// The next record of a reader.
pub(super) enum NextRecord {
    /// It is in the buffer.
    Copied(RecordRef<'static>),
    /// It needs a buffer of this size in bytes.
    BufferTooSmall(usize),
    /// There is none yet.
    None,
}

impl LogFile {
    /// Reads the next record in text format, or as many as fit in binary format, and returns the
    /// number of bytes.
    ///
    /// # Errors
    ///
    /// None of these consumes the record, except where it says so.
    ///
    /// - `EAGAIN`: there is no record, and the read must not sleep;
    /// - `ERESTARTSYS`: a signal is pending, and there is no record yet, or other readers of the
    ///   file were faster each time;
    /// - `EINVAL`: the record does not fit `dest`, not even without its text in text format. In the
    ///   styles `kmsg` and `plain` it is consumed then, and counts as lost;
    /// - `EFAULT`: `dest` cannot be written;
    /// - `EPIPE`: records were lost, and the style is `kmsg` or `plain`; the next read gets the
    ///   oldest record;
    /// - `ENOMEM`: no memory for the copy of a large record;
    /// - `EIO`: the record in the ring has no header, which is a bug.
    pub(crate) fn read(&self, nonblocking: bool, dest: &mut Dest<'_, '_>) -> Result<usize> {
        if dest.remaining() == 0 {
            return Err(EINVAL);
        }
        let params = ReadParams {
            options: self.options(),
            style: self.style(),
            nonblocking,
        };
        if params.options.has(uapi::UMSG_OPTION_BINARY_READ) {
            self.read_binary(params, dest)
        } else {
            self.read_text(params, dest)
        }
    }

    /// Copies the record at `start` into `buffer`, and nothing else.
    #[inline]
    pub(super) fn copy_next(&self, start: Cursor, buffer: &mut Buffer<'_>) -> NextRecord {
        let mut next = NextRecord::None;
        buffer.clear();
        self.log().for_each_from(start.position, |stored| {
            next = if buffer.push(stored.bytes) {
                NextRecord::Copied(stored.detached())
            } else {
                NextRecord::BufferTooSmall(stored.bytes.len())
            };
            false
        });
        next
    }

    /// Sleeps until there is a record at `start`, or the cursor has moved.
    pub(super) fn wait(&self, start: Cursor, params: ReadParams) -> Result {
        if params.nonblocking {
            return Err(EAGAIN);
        }
        self.relay.wait_interruptible(|| {
            self.log().has_record(start.position) || *self.cursor.lock() != start
        })
    }

    /// Fails with `EPIPE` in the styles `kmsg` and `plain`, once for a loss. Returns whether the
    /// read continues with the record; if not, the read starts again.
    pub(super) fn report_loss(
        &self,
        start: Cursor,
        record: &RecordRef<'_>,
        params: ReadParams,
    ) -> Result<bool> {
        if params.style == Style::Lines {
            return Ok(true);
        }
        if self.try_advance(start, start.advanced_to(record.start, record.lost)) {
            return Err(EPIPE);
        }
        check_interrupted()?;
        Ok(false)
    }

    /// Fails with `EINVAL` for a record that does not fit, which is consumed and counts as lost in
    /// the styles `kmsg` and `plain`. If another reader of the file was faster, the read starts
    /// again.
    #[cold]
    pub(super) fn skip(&self, start: Cursor, record: &RecordRef<'_>, params: ReadParams) -> Result {
        let after = start.advanced_to(record.end, record.lost.saturating_add(1));
        if params.style == Style::Lines || self.try_advance(start, after) {
            return Err(EINVAL);
        }
        check_interrupted()
    }

    /// Moves the cursor from `start` to `after`; returns false if it is not at `start` any more.
    pub(super) fn try_advance(&self, start: Cursor, after: Cursor) -> bool {
        let mut cursor = self.cursor.lock();
        let unmoved = *cursor == start;
        if unmoved {
            *cursor = after;
        }
        unmoved
    }

    /// Returns the buffer size in bytes that the next read needs, or `None` if there is no record.
    /// Fails with `ENOMEM` and `EIO` as [`LogFile::read`].
    pub(crate) fn next_size(&self) -> Result<Option<usize>> {
        let params = ReadParams {
            options: self.options(),
            style: self.style(),
            nonblocking: true,
        };
        let start = *self.cursor.lock();
        // Count the escapes in a copy, not under the log's lock.
        let mut stack = uninit::<READ_STACK_SIZE>();
        let mut heap;
        let mut copy = Buffer::new(&mut stack);
        let record = loop {
            match self.copy_next(start, &mut copy) {
                NextRecord::Copied(record) => break record,
                NextRecord::None => return Ok(None),
                NextRecord::BufferTooSmall(size) => {
                    heap = alloc_buffer(size)?;
                    copy = Buffer::new(heap.spare_capacity_mut());
                }
            }
        };
        let (mut header, text) = Header::split(copy.as_slice()).ok_or(EIO)?;
        if params.options.has(uapi::UMSG_OPTION_BINARY_READ) {
            return Ok(Some(binary_size(text.len())));
        }
        header.writer.ids = ReaderNamespaces::current().map_ids(header.writer.ids);
        Ok(Some(
            KmsgFormat::new(&header, text, params.keys(&record)).len(),
        ))
    }
}

/// Called before a read starts again because another reader of the same file was faster. A signal
/// ends a read that is never fast enough.
///
/// # Errors
///
/// `ERESTARTSYS`: a signal is pending.
#[cold]
pub(super) fn check_interrupted() -> Result {
    if current!().signal_pending() {
        return Err(ERESTARTSYS);
    }
    Ok(())
}

impl ReadParams {
    /// Returns the keys of the record `record` in text format. What an error reports is not among
    /// them.
    pub(super) fn keys(self, record: &RecordRef<'_>) -> Keys {
        match self.style {
            Style::Lines => Keys::All(record.lost),
            Style::Kmsg => Keys::All(0),
            Style::Plain => Keys::None,
        }
    }
}
