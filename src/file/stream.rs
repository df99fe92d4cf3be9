// SPDX-License-Identifier: GPL-2.0

//! Writes in the style `lines`: the bytes that are written to an open file are a stream.
//!
//! Each newline ends a record. The bytes after the last newline are a partial line, which stays
//! with the open file until one of these events:
//!
//! - The same process with the same user id writes the rest of the line. The whole line becomes a
//!   record with the identity, the time and the priority of this last write.
//! - Another process or another user id writes to the file, or the file is released. The partial
//!   line becomes a record with the identity, the time and the priority of the last write that
//!   added to it. So no writer can complete the line of another writer.
//!
//! C counterparts: `cont_add()` of older versions of `kernel/printk/printk.c`, and
//! `prb_reserve_in_last()` today.
//!
//! Within a line that it ends, a write of up to [`LOCKED_MAX`] bytes is not mixed with others to
//! the same open file, like writes to a pipe up to `PIPE_BUF`: the log's lock is held until the
//! line is stored, or at least [`LINE_LOCKED_MAX`] bytes.
//!
//! Lock order: the lock of the partial line, which may sleep, then the log's lock.

use kernel::{
    alloc::flags::__GFP_NOWARN,
    iov::IovIterSource,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Mutex, //
    }, //
};

use crate::{
    log::{
        self,
        BatchEnd,
        Log, //
    },
    pure::{
        entry::EntryParser,
        line::{
            find_newline,
            is_single_line,
            partial_max,
            LineParser, //
        },
        record::{
            self,
            Header,
            Priority,
            Writer, //
        }, //
    },
    sys::{
        buffer::Buffer,
        task::{
            self,
            Process, //
        },
        user_buf, //
    }, //
};

#[cfg(doc)]
use crate::log::{
    LINE_LOCKED_MAX,
    LOCKED_MAX, //
};

/// Initial memory of a partial line in bytes.
const PARTIAL_MIN: usize = 64;

/// The stream of lines that are written to an open file.
#[pin_data]
pub(crate) struct Stream {
    /// Whether there is a partial line. Most writes read this flag instead of taking the lock.
    has_partial: Atomic<bool>,
    #[pin]
    partial: Mutex<PartialLine>,
}

/// The bytes that were written after the last newline.
struct PartialLine {
    /// The bytes, which start with the prefix `<N>` if the line has one. No memory is allocated if
    /// there are none.
    bytes: KVVec<u8>,
    /// The priority of the line, if its beginning was stored as a record before.
    continued: Option<Priority>,
    /// The last write that added to the partial line; `None` if there is no partial line.
    origin: Option<Origin>,
}

/// The writer, the process, the time and the priority of a write.
#[derive(Clone, Copy)]
struct Origin {
    writer: Writer,
    process: Process,
    time_ns: u64,
    /// The priority of a line without a prefix.
    default: Priority,
}

impl Stream {
    /// Creates a stream without a partial line.
    pub(crate) fn new() -> impl PinInit<Self> {
        let partial = PartialLine {
            bytes: KVVec::new(),
            continued: None,
            origin: None,
        };
        pin_init!(Self {
            has_partial: Atomic::new(false),
            partial <- new_mutex!(partial, "umsg::partial"),
        })
    }

    /// Stores the lines of `source` in `log` and keeps the bytes after the last newline. Copies
    /// them through `buffer`, which can already contain the first bytes. `lines` is a parser at the
    /// beginning of a line. Returns the number of bytes that were consumed.
    ///
    /// # Errors
    ///
    /// The write fails only if no byte was consumed:
    ///
    /// - `EFAULT`: the source cannot be read.
    /// - `ENOSPC`: the log is full and its policy is to stop.
    /// - `ENOMEM`: no memory for the partial line.
    /// - `ERESTARTSYS`: a signal is pending.
    pub(crate) fn write(
        &self,
        log: &Log,
        writer: Writer,
        source: &mut IovIterSource<'_>,
        buffer: &mut Buffer<'_>,
        lines: LineParser,
    ) -> Result<usize> {
        let mut consumed = 0;
        let error = loop {
            if !user_buf::fill(buffer, source) {
                break EFAULT;
            }
            let (more, result) = self.store(log, writer, buffer.as_slice(), lines);
            consumed += more;
            buffer.clear();
            match result {
                Err(error) => break error,
                Ok(()) if source.is_empty() => return Ok(consumed),
                Ok(()) if current!().signal_pending() => break ERESTARTSYS,
                Ok(()) => {}
            }
        };
        if consumed > 0 {
            Ok(consumed)
        } else {
            Err(error)
        }
    }

    /// Returns the priority and the text of `data` if it is exactly one line and there is no
    /// partial line before it.
    #[inline]
    pub(crate) fn single_line<'a>(
        &self,
        data: &'a [u8],
        lines: &LineParser,
    ) -> Option<(Priority, &'a [u8])> {
        let is_whole =
            data.len() <= lines.record_max && is_single_line(data) && !self.has_partial();
        is_whole.then(|| record::parse_text(data, lines.default))
    }

    /// Stores the lines of `data` and keeps the rest. Returns the number of bytes that were
    /// consumed, and the error that stopped it.
    fn store(
        &self,
        log: &Log,
        writer: Writer,
        data: &[u8],
        mut lines: LineParser,
    ) -> (usize, Result) {
        // No partial line before or after `data`, and no line that exceeds `record_max`.
        if data.len() <= lines.record_max && data.ends_with(b"\n") && !self.has_partial() {
            return append_lines(log, writer, data, &mut lines);
        }
        let mut partial = self.partial.lock();
        let result = partial.store(log, writer, data, lines);
        self.has_partial.store(partial.origin.is_some(), Release);
        result
    }

    /// Returns whether there is a partial line.
    pub(crate) fn has_partial(&self) -> bool {
        self.has_partial.load(Acquire)
    }

    /// Stores the partial line, if there is one, as a record of its writer.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: the log is full and its policy is to stop. The partial line is kept.
    #[inline]
    pub(crate) fn flush(&self, log: &Log, record_max: usize) -> Result {
        if self.has_partial() {
            self.flush_partial(log, record_max)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn flush_partial(&self, log: &Log, record_max: usize) -> Result {
        let mut partial = self.partial.lock();
        let result = partial.flush(log, record_max);
        self.has_partial.store(partial.origin.is_some(), Release);
        result
    }
}

impl PartialLine {
    /// Implements [`Stream::store`] with the lock held.
    fn store(
        &mut self,
        log: &Log,
        writer: Writer,
        data: &[u8],
        mut lines: LineParser,
    ) -> (usize, Result) {
        let process = task::current_process();
        let is_other_writer =
            |origin: Origin| origin.process != process || origin.writer.ids.uid != writer.ids.uid;
        if self.origin.is_some_and(is_other_writer) {
            if let Err(error) = self.flush(log, lines.record_max) {
                return (0, Err(error));
            }
        }
        lines.continued = self.continued;
        let mut consumed = 0;
        let mut result = Ok(());
        // The partial line is the beginning of the first line.
        while result.is_ok() && !self.bytes.is_empty() && consumed < data.len() {
            let (more, added) = self.extend_and_store(log, writer, &data[consumed..], &mut lines);
            consumed += more;
            result = added;
        }
        if result.is_ok() && self.bytes.is_empty() {
            let (more, stored) = append_lines(log, writer, &data[consumed..], &mut lines);
            consumed += more;
            result = stored;
        }
        if result.is_ok() && consumed < data.len() {
            result = self.extend(&data[consumed..]);
            if result.is_ok() {
                consumed = data.len();
            }
        }
        self.continued = lines.continued;
        let origin = Origin {
            writer,
            process,
            time_ns: log::now(),
            default: lines.default,
        };
        if self.bytes.is_empty() && self.continued.is_none() {
            self.clear();
        } else if consumed > 0 {
            self.origin = Some(origin);
        }
        (consumed, result)
    }

    /// Adds bytes of `data` to the partial line, up to the first newline or the end of the next
    /// record, and stores the records that are complete then. Returns the number of bytes of `data`
    /// that were consumed, and the error that stopped it.
    fn extend_and_store(
        &mut self,
        log: &Log,
        writer: Writer,
        data: &[u8],
        lines: &mut LineParser,
    ) -> (usize, Result) {
        let before = self.bytes.len();
        let spare = partial_max(lines.record_max).saturating_sub(before);
        let more = &data[..spare.min(data.len())];
        let more = find_newline(more).map_or(more, |end| &more[..=end]);
        if let Err(error) = self.extend(more) {
            return (0, Err(error));
        }
        match append_lines(log, writer, &self.bytes, lines) {
            (stored, Ok(())) => {
                self.remove_front(stored);
                (more.len(), Ok(()))
            }
            (stored, Err(error)) => {
                // Remove the bytes of `more` that were not stored, because they are not consumed.
                let kept = before.max(stored);
                self.bytes.truncate(kept);
                self.remove_front(stored);
                (kept - before, Err(error))
            }
        }
    }

    /// Adds `more` to the partial line. The memory is charged to the memory cgroup of the caller.
    fn extend(&mut self, more: &[u8]) -> Result {
        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        // The capacity doubles, because a line can take many writes, and a user can have many files
        // with a short partial line.
        let capacity = (self.bytes.len() + more.len()).max(PARTIAL_MIN);
        self.bytes.reserve(capacity - self.bytes.len(), flags)?;
        self.bytes.extend_from_slice(more, flags)?;
        Ok(())
    }

    /// Removes the first `count` bytes of the partial line.
    fn remove_front(&mut self, count: usize) {
        self.bytes.copy_within(count.., 0);
        self.bytes.truncate(self.bytes.len() - count);
    }

    /// Implements [`Stream::flush`] with the lock held.
    fn flush(&mut self, log: &Log, record_max: usize) -> Result {
        let Some(origin) = self.origin else {
            return Ok(());
        };
        let mut lines = LineParser {
            record_max,
            default: origin.default,
            continued: self.continued,
        };
        while let Ok(entry) = lines.parse_line(&self.bytes, true) {
            let header = Header {
                seq: 0,
                time_ns: origin.time_ns,
                text_len: 0,
                priority: entry.priority,
                continues: entry.continues,
                writer: origin.writer,
            };
            log.append_with_time(header, entry.text)?;
            lines.entry_stored(&entry);
            self.continued = lines.continued;
            let size = entry.size;
            self.remove_front(size);
        }
        self.clear();
        Ok(())
    }

    /// Removes the partial line and frees its memory.
    fn clear(&mut self) {
        self.bytes = KVVec::new();
        self.continued = None;
        self.origin = None;
    }
}

/// Appends the complete lines in `data`. Returns the number of bytes that were stored, and the
/// error that stopped it.
fn append_lines(log: &Log, writer: Writer, data: &[u8], lines: &mut LineParser) -> (usize, Result) {
    let mut stored = 0;
    loop {
        let (more, end) = log.append_entries(writer, &data[stored..], lines);
        stored += more;
        match end {
            BatchEnd::Incomplete => return (stored, Ok(())),
            BatchEnd::Rejected(error) => return (stored, Err(error)),
            BatchEnd::LimitReached => {}
        }
    }
}
