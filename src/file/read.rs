// SPDX-License-Identifier: GPL-2.0

//! Reads of an open file: the code that text and binary format share.
//!
//! # Concurrent reads
//!
//! Threads and processes that share an open file description share its cursor, and each record goes
//! to one of them. A read copies the record to user memory without a lock, and then advances the
//! cursor only if the cursor has not moved. If another read or a seek moved it, the read retries
//! from the new position. (The user buffer can then contain bytes of the first attempt after the
//! returned length.) A read that fails to copy does not move the cursor, so that the next read gets
//! the record.
//!
//! The log's lock and the cursor's lock are never held at the same time.

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

/// Size in bytes of the buffer on the stack, for one usual record or a few small ones.
pub(super) const READ_STACK_SIZE: usize = 320;

/// The parameters of one read, constant from its start to its end.
#[derive(Clone, Copy)]
pub(super) struct ReadParams {
    /// The option bits of the file at the start of the read.
    pub(super) options: Options,
    /// The style of the file at the start of the read.
    pub(super) style: Style,
    /// Whether the read must fail with `EAGAIN` instead of sleeping.
    pub(super) nonblocking: bool,
}

/// The result of [`LogFile::copy_next`].
pub(super) enum NextRecord {
    /// The record was copied into the buffer.
    Copied(RecordRef<'static>),
    /// The record needs a buffer of this size in bytes.
    BufferTooSmall(usize),
    /// There is no record yet.
    None,
}

impl LogFile {
    /// Reads the next record in text format, or as many records as fit in binary format. Returns
    /// the number of bytes.
    ///
    /// # Errors
    ///
    /// An error does not consume the record, except `EINVAL` as described.
    ///
    /// - `EAGAIN`: there is no record, and the read must not sleep.
    /// - `ERESTARTSYS`: a signal is pending, and either there is no record or other reads of the
    ///   file moved the cursor first.
    /// - `EINVAL`: `dest` is empty, or too small for the record; in text format, too small even if
    ///   the text is cut. If it is not empty, in the styles `kmsg` and `plain` the record is
    ///   consumed and counts as lost.
    /// - `EFAULT`: `dest` cannot be written.
    /// - `EPIPE`: records were lost, and the style is `kmsg` or `plain`. The next read gets the
    ///   oldest record.
    /// - `ENOMEM`: no memory for the copy of a large record.
    /// - `EIO`: the record in the ring has no valid header, which is a bug.
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

    /// Replaces the contents of `buffer` with the first record at or after `start`.
    #[inline]
    pub(super) fn copy_next(&self, start: Cursor, buffer: &mut Buffer<'_>) -> NextRecord {
        buffer.clear();
        let copied = self.log().with_record(start.position, |stored| {
            if buffer.push(stored.bytes) {
                NextRecord::Copied(stored.detached())
            } else {
                NextRecord::BufferTooSmall(stored.bytes.len())
            }
        });
        copied.unwrap_or(NextRecord::None)
    }

    /// Sleeps until a record at or after `start` exists or the cursor is not at `start` any more.
    pub(super) fn wait(&self, start: Cursor, params: ReadParams) -> Result {
        if params.nonblocking {
            return Err(EAGAIN);
        }
        self.relay.wait_interruptible(|| {
            self.log().has_record(start.position) || *self.cursor.lock() != start
        })
    }

    /// Called if records were lost before `record`.
    ///
    /// In the style `lines`, returns true: the read continues with the record, which reports the
    /// loss. In the styles `kmsg` and `plain`, moves the cursor past the lost records and fails
    /// with `EPIPE`, so that each loss is reported once. Returns false if another read or a seek
    /// moved the cursor first: the caller retries.
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

    /// Called if the buffer is too small for `record`.
    ///
    /// Fails with `EINVAL`. In the styles `kmsg` and `plain`, also moves the cursor past the
    /// record, which then counts as lost. Returns `Ok` if another read or a seek moved the cursor
    /// first: the caller retries.
    #[cold]
    pub(super) fn skip(&self, start: Cursor, record: &RecordRef<'_>, params: ReadParams) -> Result {
        let after = start.advanced_to(record.end, record.lost.saturating_add(1));
        if params.style == Style::Lines || self.try_advance(start, after) {
            return Err(EINVAL);
        }
        check_interrupted()
    }

    /// Moves the cursor from `start` to `after`. Returns false if the cursor is not at `start` any
    /// more.
    pub(super) fn try_advance(&self, start: Cursor, after: Cursor) -> bool {
        let mut cursor = self.cursor.lock();
        let unmoved = *cursor == start;
        if unmoved {
            *cursor = after;
        }
        unmoved
    }

    /// Returns the buffer size in bytes that the next read needs for the whole record, or `None` if
    /// there is no record. Fails with `ENOMEM` and `EIO` like [`LogFile::read`].
    pub(crate) fn next_size(&self) -> Result<Option<usize>> {
        let params = ReadParams {
            options: self.options(),
            style: self.style(),
            nonblocking: true,
        };
        let start = *self.cursor.lock();
        // The escapes are counted in a copy, so that the log's lock is not held meanwhile.
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

/// Called before a read retries because another read or a seek moved the cursor first. Lets a
/// signal interrupt a read that always loses this race.
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
    /// Returns the keys that follow the text of `record`. LOST is reported only in the style
    /// `lines`, because the other styles report a loss by `EPIPE`.
    pub(super) fn keys(self, record: &RecordRef<'_>) -> Keys {
        match self.style {
            Style::Lines => Keys::All(record.lost),
            Style::Kmsg => Keys::All(0),
            Style::Plain => Keys::None,
        }
    }
}
