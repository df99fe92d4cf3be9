// SPDX-License-Identifier: GPL-2.0

//! Writes to an open file: lines, single records, and entries in binary format.

use kernel::{
    iov::IovIterSource,
    prelude::*, //
};

use crate::{
    log::{
        BatchEnd,
        LOCKED_MAX, //
    },
    pure::{
        entry::{
            self,
            BinaryParser,
            EntryParser, //
        },
        line::LineParser,
        record::{
            self,
            Writer, //
        },
        style::Style, //
    },
    sys::{
        buffer::{
            uninit,
            Buffer, //
        },
        task,
        user_buf, //
    },
    uapi, //
};

use super::{
    alloc_buffer,
    LogFile, //
};

/// Size in bytes of the buffer on the stack, large enough for a small batch of entries. Longer
/// writes use allocated memory.
const WRITE_STACK_SIZE: usize = 1280;

impl LogFile {
    /// Stores the data of a write: as a sequence of entries in binary format, otherwise as lines in
    /// the style `lines` and as one record in the styles `kmsg` and `plain`. Returns the number of
    /// bytes that were consumed.
    ///
    /// The data is copied from user memory before any lock is taken, so that a page fault of one
    /// writer does not delay others.
    ///
    /// # Errors
    ///
    /// No data of the call is stored if it fails.
    ///
    /// - `EMSGSIZE`: the text of a record is longer than `record_max`, or the record than the ring.
    /// - `EFAULT`: the data cannot be read.
    /// - `ENOSPC`: the log is full and its policy is to stop.
    /// - `EINVAL`: the first entry is incomplete or has an invalid field.
    /// - `ENOMEM`: no memory for the copy of the data, or for a partial line.
    /// - `ERESTARTSYS`: a signal is pending, and nothing was stored.
    pub(crate) fn write(&self, source: &mut IovIterSource<'_>) -> Result<usize> {
        let len = source.len();
        if len == 0 {
            return Ok(0);
        }
        let binary = self.options().has(uapi::UMSG_OPTION_BINARY_WRITE);
        let lines = !binary && self.style() == Style::Lines;
        // Read once, because another thread can change them during the call.
        let default = self.priority();
        let record_max = self.log().record_max();
        if !binary && !lines && len > record_max + record::DECORATION_MAX {
            return Err(EMSGSIZE);
        }
        let writer = task::current_writer(self.opener());
        let mut stack = uninit::<WRITE_STACK_SIZE>();
        let mut heap;
        let memory = if len <= WRITE_STACK_SIZE {
            &mut stack[..]
        } else {
            let largest = entry::ENTRY_HEADER_MAX + record_max.next_multiple_of(8);
            let buffer_size = if binary {
                largest.max(LOCKED_MAX)
            } else if lines {
                LOCKED_MAX
            } else {
                len
            };
            heap = alloc_buffer(len.min(buffer_size))?;
            heap.spare_capacity_mut()
        };
        let mut buffer = Buffer::new(memory);
        if binary {
            return write_entries(self, writer, source, &mut buffer, record_max);
        }
        if !user_buf::fill(&mut buffer, source) {
            return Err(EFAULT);
        }
        let (priority, text) = if lines {
            let lines = LineParser {
                record_max,
                default,
                continued: None,
            };
            match self.stream().single_line(buffer.as_slice(), &lines) {
                // The buffer has all data of the call.
                Some(line) if source.is_empty() => line,
                _ => {
                    let stream = self.stream();
                    return stream.write(self.log(), writer, source, &mut buffer, lines);
                }
            }
        } else {
            let (priority, text) = record::parse_text(buffer.as_slice(), default);
            if text.len() > record_max {
                return Err(EMSGSIZE);
            }
            // A partial line that was written before is stored first.
            self.stream().flush(self.log(), record_max)?;
            (priority, text)
        };
        self.log().append(priority, writer, text)?;
        Ok(len)
    }
}

/// Stores entries (`struct umsg_entry`) up to the first one that is rejected. Copies them through
/// `buffer`, which must be large enough for the largest entry. Fails only if the first entry is
/// rejected.
fn write_entries(
    file: &LogFile,
    writer: Writer,
    source: &mut IovIterSource<'_>,
    buffer: &mut Buffer<'_>,
    record_max: usize,
) -> Result<usize> {
    let mut entries = BinaryParser { record_max };
    let mut stored = 0;
    let error = loop {
        let copied = user_buf::fill(buffer, source);
        // A partial line that was written before is stored first.
        if file.stream().has_partial() && entries.parse(buffer.as_slice()).is_ok() {
            if let Err(error) = file.stream().flush(file.log(), record_max) {
                break error;
            }
        }
        let mut consumed = 0;
        let end = loop {
            let rest = &buffer.as_slice()[consumed..];
            let (more, end) = file.log().append_entries(writer, rest, &mut entries);
            consumed += more;
            match end {
                // A pending signal does not end a write before it has stored `LOCKED_MAX` bytes.
                BatchEnd::LimitReached if consumed < LOCKED_MAX || !current!().signal_pending() => {
                }
                end => break end,
            }
        };
        stored += consumed;
        buffer.remove_front(consumed);
        match end {
            BatchEnd::Rejected(error) => break error,
            BatchEnd::Incomplete if !copied => break EFAULT,
            BatchEnd::Incomplete if source.is_empty() && buffer.len() == 0 => return Ok(stored),
            // The last entry is incomplete, or larger than the largest valid entry.
            BatchEnd::Incomplete if source.is_empty() || buffer.remaining() == 0 => break EINVAL,
            _ if current!().signal_pending() => break ERESTARTSYS,
            BatchEnd::Incomplete | BatchEnd::LimitReached => {}
        }
    };
    if stored > 0 {
        Ok(stored)
    } else {
        Err(error)
    }
}
