// SPDX-License-Identifier: GPL-2.0

//! Writes: lines, single records, and records in binary format.

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

/// A write of up to this many bytes is copied to the stack, a longer one to allocated memory, which
/// the kernel fills with zeros first. Large enough for a small batch of entries.
const WRITE_STACK_SIZE: usize = 1280;

impl LogFile {
    /// Stores lines; in the styles `kmsg` and `plain` one record, entirely or not at all; in binary
    /// format as many records as fit. It waits for nothing but memory and page faults, and for page
    /// faults before any lock is taken.
    pub(crate) fn write(&self, source: &mut IovIterSource<'_>) -> Result<usize> {
        let given = source.len();
        if given == 0 {
            return Ok(0);
        }
        let binary = self.options().has(uapi::UMSG_OPTION_BINARY_WRITE);
        let lines = !binary && self.style() == Style::Lines;
        // The limit of this call, also if the parameter changes meanwhile.
        let record_max = self.log().record_max();
        if !binary && !lines && given > record_max + record::DECORATION_MAX {
            return Err(EMSGSIZE);
        }
        let writer = task::current_writer(self.opener());
        let mut stack = uninit::<WRITE_STACK_SIZE>();
        let mut heap;
        let memory = if given <= WRITE_STACK_SIZE {
            &mut stack[..]
        } else {
            let largest = entry::ENTRY_HEADER_MAX + record_max.next_multiple_of(8);
            let most = if binary {
                largest.max(LOCKED_MAX)
            } else if lines {
                LOCKED_MAX
            } else {
                given
            };
            heap = alloc_buffer(given.min(most))?;
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
            match self.stream().single_line(buffer.as_slice(), record_max) {
                Some(line) => line,
                None => {
                    let stream = self.stream();
                    return stream.write(self.log(), writer, source, &mut buffer, record_max);
                }
            }
        } else {
            let (priority, text) = record::parse_text(buffer.as_slice());
            if text.len() > record_max {
                return Err(EMSGSIZE);
            }
            // What was written before as lines comes before this.
            self.stream().flush(self.log(), record_max)?;
            (priority, text)
        };
        self.log().append(priority, writer, text)?;
        Ok(given)
    }
}

/// Stores entries (`struct umsg_entry`) up to the first that is rejected, through `buffer`, which
/// has room for the largest one. Fails only if the first of all is rejected.
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
        let good = user_buf::fill(buffer, source);
        // What was written before as lines comes before this.
        if file.stream().has_partial() && entries.parse(buffer.as_slice()).is_ok() {
            if let Err(error) = file.stream().flush(file.log(), record_max) {
                break error;
            }
        }
        let mut taken = 0;
        let ended = loop {
            let rest = &buffer.as_slice()[taken..];
            let (more, ended) = file.log().append_entries(writer, rest, &mut entries);
            taken += more;
            match ended {
                // No signal cuts a write of a few KiB short.
                BatchEnd::LimitReached if taken < LOCKED_MAX || !current!().signal_pending() => {}
                ended => break ended,
            }
        };
        stored += taken;
        buffer.remove_front(taken);
        match ended {
            BatchEnd::Rejected(error) => break error,
            BatchEnd::Incomplete if !good => break EFAULT,
            BatchEnd::Incomplete if source.is_empty() && buffer.len() == 0 => return Ok(stored),
            // The rest of an entry is missing, or the whole buffer is not enough for it.
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
