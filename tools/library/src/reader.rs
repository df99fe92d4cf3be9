// SPDX-License-Identifier: GPL-2.0

//! Reading.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io::{self, Read};
use std::iter::FusedIterator;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use crate::error::errno;
use crate::record::{self, Record};
use crate::{abi, Error, Info, Log, Result};

/// Initial size of the buffer in bytes.
const BUFFER_SIZE: usize = 128 << 10;

/// A position in a log, for [`Reader::seek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the oldest record.
    Oldest,
    /// After the last clear.
    Cleared,
    /// After the newest record.
    Next,
    /// Before the record with a sequence number.
    Seq(u64),
    /// Before the first record with a time, by `CLOCK_MONOTONIC` of the initial time namespace, or
    /// a later one.
    Time(Duration),
}

/// A reader of a log, with its own read position. Reads records in binary format, as many as fit
/// its buffer with one system call.
#[derive(Debug)]
pub struct Reader {
    file: File,
    log: Log,
    buffer: Vec<u8>,
    /// The records in the buffer that were not returned yet.
    start: usize,
    end: usize,
}

impl Reader {
    pub(crate) fn new(log: &Log, file: File) -> Result<Self> {
        // In the other styles a read fails once for each loss.
        abi::set_style(&file, abi::LINES)
            .and_then(|()| abi::set_options(&file, abi::BINARY_READ))
            .map_err(|errno| Error::ioctl(log.path(), "UMSG_IOC_SET_STYLE", errno))?;
        Ok(Self { file, log: log.clone(), buffer: vec![0; BUFFER_SIZE], start: 0, end: 0 })
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the state and the counters of the log.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn info(&self) -> Result<Info> {
        abi::info(&self.file).map_err(|errno| self.failed("UMSG_IOC_INFO", errno))
    }

    /// Moves the read position.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with `EINVAL`: a sequence number after that of the next record.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        let info = self.info()?;
        let result = match position {
            Position::Oldest => abi::seek_seq(&self.file, info.oldest_seq),
            Position::Cleared => abi::seek_seq(&self.file, info.cleared_seq.max(info.oldest_seq)),
            Position::Next => abi::seek_seq(&self.file, info.next_seq),
            Position::Seq(seq) => abi::seek_seq(&self.file, seq),
            Position::Time(time) => {
                let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                abi::seek_time(&self.file, time)
            }
        };
        result.map_err(|errno| self.failed("seek in", errno))?;
        (self.start, self.end) = (0, 0);
        Ok(())
    }

    /// Returns the next record without a copy, or `None` if the log has none now. Does not wait.
    /// The read position is moved by [`Reader::advance`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: the read fails, for example without memory for the buffer.
    pub fn peek(&mut self) -> Result<Option<Record<&[u8]>>> {
        if self.start == self.end && !self.fill()? {
            return Ok(None);
        }
        let (record, _) =
            record::parse(&self.buffer[self.start..self.end]).ok_or_else(|| Error::Io {
                action: "parse a record of",
                path: self.log.path().to_owned(),
                source: io::ErrorKind::InvalidData.into(),
            })?;
        Ok(Some(record))
    }

    /// Moves the read position after the record that [`Reader::peek`] returned. Does nothing if
    /// there is none in the buffer.
    pub fn advance(&mut self) {
        let next = record::parse(&self.buffer[self.start..self.end]).map(|(_, size)| size);
        self.start = next.map_or(self.end, |size| self.end.min(self.start + size));
    }

    /// Returns the next record, or `None` if the log has none now. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Reader::peek`].
    pub fn try_next(&mut self) -> Result<Option<Record>> {
        let record = self.peek()?.map(|record| record.to_owned());
        self.advance();
        Ok(record)
    }

    /// Waits until the log has a record after the read position, at most until `deadline`. Returns
    /// whether it has one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if poll(2) fails. A signal does not end the wait.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<bool> {
        loop {
            if self.start < self.end {
                return Ok(true);
            }
            let left = deadline.map(|time| time.saturating_duration_since(Instant::now()));
            // Rounded up, so that the deadline has passed after the wait.
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                let milliseconds = left.as_nanos().div_ceil(1_000_000);
                i32::try_from(milliseconds)
                    .ok()
                    .and_then(|time| PollTimeout::try_from(time).ok())
                    .unwrap_or(PollTimeout::MAX)
            });
            let mut files = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut files, timeout) {
                Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(self.failed("poll", errno)),
            }
        }
    }

    /// Returns the records that the log has at the time of the call, from the read position on. The
    /// iterator ends after the newest of them, also if others are written meanwhile. If the newest
    /// of them are overwritten before they are read, it ends with the next record, which counts
    /// them ([`Record::lost`]).
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn stored(&mut self) -> Result<impl FusedIterator<Item = Result<Record>> + '_> {
        let end = self.info()?.next_seq;
        let next = move |reader: &mut Self| reader.next_before(end);
        Ok(Records { reader: self, next, ended: false })
    }

    /// Returns the records from the read position on, and waits for those that are written later.
    /// The iterator never ends.
    pub fn follow(&mut self) -> impl FusedIterator<Item = Result<Record>> + '_ {
        let next = |reader: &mut Self| loop {
            if let Some(record) = reader.try_next()? {
                return Ok(Some(record));
            }
            reader.wait(None)?;
        };
        Records { reader: self, next, ended: false }
    }

    /// Returns the records from the read position on, and waits for others until `deadline`. The
    /// iterator then ends as that of [`Reader::stored`], also if others are written all the time.
    pub fn until(&mut self, deadline: Instant) -> impl FusedIterator<Item = Result<Record>> + '_ {
        let mut end = None;
        let next = move |reader: &mut Self| loop {
            // The time is looked at only once for each buffer.
            if end.is_none() && reader.start == reader.end && Instant::now() >= deadline {
                end = Some(reader.info()?.next_seq);
            }
            match end {
                Some(end) => return reader.next_before(end),
                None => {
                    if let Some(record) = reader.try_next()? {
                        return Ok(Some(record));
                    }
                    reader.wait(Some(deadline))?;
                }
            }
        };
        Records { reader: self, next, ended: false }
    }

    /// Returns the next record if it, or one that was lost before it, has a sequence number below
    /// `end`.
    fn next_before(&mut self, end: u64) -> Result<Option<Record>> {
        match self.peek()? {
            Some(record) if record.first_missing() < end => self.try_next(),
            _ => Ok(None),
        }
    }

    /// Reads records into the buffer, which is empty. Returns whether there are any.
    fn fill(&mut self) -> Result<bool> {
        loop {
            (self.start, self.end) = (0, 0);
            match (&self.file).read(&mut self.buffer) {
                Ok(len) => {
                    self.end = len;
                    return Ok(len > 0);
                }
                Err(error) => match errno(&error) {
                    Errno::EAGAIN => return Ok(false),
                    Errno::EINTR => {}
                    // The next record is larger than the buffer.
                    Errno::EINVAL => self.grow()?,
                    errno => return Err(self.failed("read", errno)),
                },
            }
        }
    }

    /// Makes the buffer large enough for the next record.
    fn grow(&mut self) -> Result<()> {
        match abi::next_size(&self.file) {
            Ok(size) if size as usize > self.buffer.len() => {
                self.buffer.resize(size as usize, 0);
                Ok(())
            }
            // Another record is the next one now.
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(self.failed("UMSG_IOC_NEXT_SIZE", errno)),
        }
    }

    fn failed(&self, action: &'static str, errno: Errno) -> Error {
        Error::ioctl(self.log.path(), action, errno)
    }
}

impl AsFd for Reader {
    /// Returns the descriptor of the open file, for poll(2). It is non-blocking. A read of it takes
    /// records from this reader.
    ///
    /// Call [`Reader::try_next`] until it returns `None` before each poll: the records in the
    /// reader's buffer do not make the descriptor readable.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Reader {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// An iterator over records, which ends after an error.
struct Records<'a, F> {
    reader: &'a mut Reader,
    next: F,
    ended: bool,
}

impl<F: FnMut(&mut Reader) -> Result<Option<Record>>> Iterator for Records<'_, F> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = (self.next)(self.reader).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<F: FnMut(&mut Reader) -> Result<Option<Record>>> FusedIterator for Records<'_, F> {}
