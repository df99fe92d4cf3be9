// SPDX-License-Identifier: GPL-2.0

//! What is written to an open file in the style `lines`: a stream of bytes.
//!
//! Each newline ends a record. The bytes after the last newline, the tail, stay with the open file
//! until their newline comes, until another process or another user writes to the file, or until
//! the file is released. A line that one write began and another one ended is a record of the last
//! one, if both are of the same process and user. Otherwise the tail becomes a record of its own,
//! with the identity and the time of the last write that added to it, so that nobody can end the
//! line of another. C counterpart: `cont_add()` of older versions of `kernel/printk/printk.c`, and
//! `prb_reserve_in_last()` today.
//!
//! A write is atomic among others to the same open file up to [`LOCKED_MAX`] bytes, as to a pipe.
//!
//! Lock order: the tail's lock, which may sleep, then the log's.

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
use crate::log::LOCKED_MAX;

/// The stream of an open file.
#[pin_data]
pub(crate) struct Stream {
    /// Whether there is a partial line: spares most writes the lock.
    has_partial: Atomic<bool>,
    #[pin]
    partial: Mutex<PartialLine>,
}

/// What was written after the last newline.
struct PartialLine {
    /// The bytes, with the priority in front of them if the line has one. No memory if there are
    /// none.
    bytes: KVVec<u8>,
    /// The priority of the line whose beginning is stored already, if there is one.
    continued: Option<Priority>,
    /// Who left it; `None` if there is no partial line.
    origin: Option<Origin>,
}

/// Who left a tail, and when.
#[derive(Clone, Copy)]
struct Origin {
    writer: Writer,
    process: Process,
    time_ns: u64,
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

    /// Stores the lines of `source` in `log` and keeps what follows the last newline. Copies by way
    /// of `buffer`, in which the first bytes may be already. Returns how many bytes were taken.
    ///
    /// # Errors
    ///
    /// Only if no byte was taken:
    ///
    /// - `EFAULT`: the source cannot be read;
    /// - `ENOSPC`: the log is full and its policy is to stop;
    /// - `ENOMEM`: no memory for what follows the last newline.
    pub(crate) fn write(
        &self,
        log: &Log,
        writer: Writer,
        source: &mut IovIterSource<'_>,
        buffer: &mut Buffer<'_>,
        record_max: usize,
    ) -> Result<usize> {
        let mut taken = 0;
        let error = loop {
            if !user_buf::fill(buffer, source) {
                break EFAULT;
            }
            let (more, result) = self.store(log, writer, buffer.as_slice(), record_max);
            taken += more;
            buffer.clear();
            match result {
                Err(error) => break error,
                Ok(()) if source.is_empty() => return Ok(taken),
                Ok(()) if current!().signal_pending() => break ERESTARTSYS,
                Ok(()) => {}
            }
        };
        if taken > 0 {
            Ok(taken)
        } else {
            Err(error)
        }
    }

    /// Returns the priority and the text of `data` if it is one whole line, and nothing was left
    /// before it.
    #[inline]
    pub(crate) fn single_line<'a>(
        &self,
        data: &'a [u8],
        record_max: usize,
    ) -> Option<(Priority, &'a [u8])> {
        let is_whole = data.len() <= record_max && is_single_line(data) && !self.has_partial();
        is_whole.then(|| record::parse_text(data))
    }

    /// Takes `data`. Returns how many bytes of it were taken, and why no more.
    fn store(&self, log: &Log, writer: Writer, data: &[u8], record_max: usize) -> (usize, Result) {
        // No line of it can be too long, and nothing is left after the last one.
        if data.len() <= record_max && data.ends_with(b"\n") && !self.has_partial() {
            let mut lines = LineParser {
                record_max,
                continued: None,
            };
            return append_lines(log, writer, data, &mut lines);
        }
        let mut partial = self.partial.lock();
        let result = partial.store(log, writer, data, record_max);
        self.has_partial.store(partial.origin.is_some(), Release);
        result
    }

    /// Returns whether there is a partial line.
    pub(crate) fn has_partial(&self) -> bool {
        self.has_partial.load(Acquire)
    }

    /// Stores the tail as a record of who left it, if there is one.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: the log is full and its policy is to stop. The tail stays.
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
    /// As [`Stream::store`].
    fn store(
        &mut self,
        log: &Log,
        writer: Writer,
        data: &[u8],
        record_max: usize,
    ) -> (usize, Result) {
        let process = task::current_process();
        let is_other_writer =
            |origin: Origin| origin.process != process || origin.writer.ids.uid != writer.ids.uid;
        if self.origin.is_some_and(is_other_writer) {
            if let Err(error) = self.flush(log, record_max) {
                return (0, Err(error));
            }
        }
        let mut lines = LineParser {
            record_max,
            continued: self.continued,
        };
        let mut taken = 0;
        let mut result = Ok(());
        // The tail is the beginning of the first line.
        while result.is_ok() && !self.bytes.is_empty() && taken < data.len() {
            let (more, added) = self.extend_and_store(log, writer, &data[taken..], &mut lines);
            taken += more;
            result = added;
        }
        if result.is_ok() && self.bytes.is_empty() {
            let (more, stored) = append_lines(log, writer, &data[taken..], &mut lines);
            taken += more;
            result = stored;
        }
        if result.is_ok() && taken < data.len() {
            result = self.extend(&data[taken..], record_max);
            if result.is_ok() {
                taken = data.len();
            }
        }
        self.continued = lines.continued;
        let origin = Origin {
            writer,
            process,
            time_ns: log::now(),
        };
        if self.bytes.is_empty() && self.continued.is_none() {
            self.clear();
        } else if taken > 0 {
            self.origin = Some(origin);
        }
        (taken, result)
    }

    /// Adds the beginning of `data` to the tail, and stores what becomes a whole record by that.
    /// Returns how many bytes of `data` were taken: if none, the tail is as it was.
    fn extend_and_store(
        &mut self,
        log: &Log,
        writer: Writer,
        data: &[u8],
        lines: &mut LineParser,
    ) -> (usize, Result) {
        let before = self.bytes.len();
        let room = partial_max(lines.record_max).saturating_sub(before);
        let more = &data[..room.min(data.len())];
        let more = find_newline(more).map_or(more, |end| &more[..=end]);
        if let Err(error) = self.extend(more, lines.record_max) {
            return (0, Err(error));
        }
        match append_lines(log, writer, &self.bytes, lines) {
            (stored, Ok(())) => {
                self.remove_front(stored);
                (more.len(), Ok(()))
            }
            (stored, Err(error)) => {
                // What was not stored of `more` is not taken.
                let kept = before.max(stored);
                self.bytes.truncate(kept);
                self.remove_front(stored);
                (kept - before, Err(error))
            }
        }
    }

    /// Adds `more` to the tail, in memory that is charged to the caller's memory cgroup.
    fn extend(&mut self, more: &[u8], record_max: usize) -> Result {
        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        // Once for a line, however many writes it takes.
        let most = partial_max(record_max).max(self.bytes.len() + more.len());
        self.bytes.reserve(most - self.bytes.len(), flags)?;
        self.bytes.extend_from_slice(more, flags)?;
        Ok(())
    }

    /// Removes the first `count` bytes.
    fn remove_front(&mut self, count: usize) {
        self.bytes.copy_within(count.., 0);
        self.bytes.truncate(self.bytes.len() - count);
    }

    /// As [`Stream::flush`].
    fn flush(&mut self, log: &Log, record_max: usize) -> Result {
        let Some(origin) = self.origin else {
            return Ok(());
        };
        let mut lines = LineParser {
            record_max,
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

    /// Forgets the tail, and frees its memory.
    fn clear(&mut self) {
        self.bytes = KVVec::new();
        self.continued = None;
        self.origin = None;
    }
}

/// Appends the whole lines in `data`. Returns how many bytes of it were stored, and why no more if
/// there are more.
fn append_lines(log: &Log, writer: Writer, data: &[u8], lines: &mut LineParser) -> (usize, Result) {
    let mut stored = 0;
    loop {
        let (more, ended) = log.append_entries(writer, &data[stored..], lines);
        stored += more;
        match ended {
            BatchEnd::Incomplete => return (stored, Ok(())),
            BatchEnd::Rejected(error) => return (stored, Err(error)),
            BatchEnd::LimitReached => {}
        }
    }
}
