// SPDX-License-Identifier: GPL-2.0

//! Writing.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};

use crate::abi::ENTRY_SIZE;
use crate::error::errno;
use crate::{abi, Error, Log, Priority, Result};

/// A writer of a log. Its records have any priority and any bytes: a text is stored unchanged, also
/// if it contains newlines.
#[derive(Debug)]
pub struct Writer {
    file: File,
    log: Log,
    /// Maximum length of a text in bytes when the log was opened.
    record_max: usize,
    buffer: Batch,
}

impl Writer {
    pub(crate) fn new(log: &Log, file: File) -> Result<Self> {
        let failed = |ioctl| move |errno| Error::ioctl(log.path(), ioctl, errno);
        abi::set_options(&file, abi::BINARY_WRITE).map_err(failed("UMSG_IOC_SET_OPTIONS"))?;
        let record_max = abi::info(&file).map_err(failed("UMSG_IOC_INFO"))?.record_max as usize;
        Ok(Self { file, log: log.clone(), record_max, buffer: Batch::new() })
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the maximum length of a text in bytes, as it was when the log was opened.
    pub fn record_max(&self) -> usize {
        self.record_max
    }

    /// Writes one record.
    ///
    /// # Errors
    ///
    /// Nothing is stored if the write fails.
    ///
    /// - [`Error::Full`]: the log is full, and its policy is to stop.
    /// - [`Error::TooLong`]: the text is longer than [`Writer::record_max`].
    pub fn write(&mut self, priority: Priority, text: &[u8]) -> Result<()> {
        let mut batch = std::mem::take(&mut self.buffer);
        batch.clear();
        batch.push(priority, text);
        let result = self.write_batch(&mut batch);
        batch.clear();
        self.buffer = batch;
        result
    }

    /// Writes the records of `batch`, in their order, and removes those that are stored from it.
    /// The batch is empty afterwards unless the write fails.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`]. The records before the one that failed are stored.
    pub fn write_batch(&mut self, batch: &mut Batch) -> Result<()> {
        let result = loop {
            let rest = &batch.bytes[batch.start..];
            if rest.is_empty() {
                break Ok(());
            }
            match self.file.write(rest) {
                Ok(len) => batch.remove_front(len),
                Err(error) => match errno(&error) {
                    Errno::EINTR => {}
                    Errno::EAGAIN => {
                        let mut files = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                        // A failed wait is followed by another write, which reports its error.
                        let _ = poll(&mut files, PollTimeout::NONE);
                    }
                    errno => break Err(self.failed(errno, batch)),
                },
            }
        };
        batch.compact();
        result
    }

    fn failed(&self, errno: Errno, batch: &Batch) -> Error {
        let path = self.log.path().to_owned();
        match errno {
            Errno::ENOSPC => Error::Full { path },
            Errno::EMSGSIZE => {
                let len = batch.first_text().map_or(0, <[u8]>::len);
                Error::TooLong { len, max: self.record_max }
            }
            errno => Error::Io { action: "write", path, source: errno.into() },
        }
    }
}

impl AsFd for Writer {
    /// Returns the descriptor of the open file, which takes entries in binary format.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Records for [`Writer::write_batch`], in the binary format of a write.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Offset of the first record that is not stored.
    start: usize,
    records: usize,
}

impl Batch {
    /// Returns an empty batch.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, records: 0 }
    }

    /// Adds a record. Facility `kern` becomes `user`.
    ///
    /// # Panics
    ///
    /// If the text has 4 GiB or more.
    pub fn push(&mut self, priority: Priority, text: &[u8]) {
        let len = u32::try_from(text.len()).expect("a text of less than 4 GiB");
        self.bytes.extend_from_slice(&[ENTRY_SIZE as u8, 0]);
        self.bytes.extend_from_slice(&priority.number().to_ne_bytes());
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(text);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.records += 1;
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns the size of the records in bytes, in binary format.
    pub fn size(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.start, self.records) = (0, 0);
    }

    /// Returns the text of the first record.
    fn first_text(&self) -> Option<&[u8]> {
        let entry = self.bytes.get(self.start..)?;
        let len = u32::from_ne_bytes(entry.get(4..8)?.try_into().ok()?);
        entry.get(ENTRY_SIZE..ENTRY_SIZE + len as usize)
    }

    /// Removes the records in the first `size` bytes.
    fn remove_front(&mut self, size: usize) {
        let end = self.start + size;
        while self.start < end {
            let Some(text) = self.first_text() else { break };
            self.start += ENTRY_SIZE + text.len().next_multiple_of(8);
            self.records -= 1;
        }
    }

    /// Moves the records to the beginning of the memory.
    fn compact(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_records_are_removed() {
        let mut batch = Batch::new();
        for text in ["", "1", "12345678", "123456789"] {
            batch.push(Priority::default(), text.as_bytes());
        }
        assert_eq!((batch.len(), batch.size()), (4, 8 + 16 + 16 + 24));
        batch.remove_front(8 + 16);
        assert_eq!((batch.len(), batch.first_text()), (2, Some(&b"12345678"[..])));
        batch.compact();
        assert_eq!((batch.len(), batch.size()), (2, 16 + 24));
        batch.push(Priority::default(), b"x");
        batch.remove_front(16 + 24);
        assert_eq!((batch.len(), batch.first_text()), (1, Some(&b"x"[..])));
        batch.clear();
        assert!(batch.is_empty() && batch.size() == 0);
    }
}
