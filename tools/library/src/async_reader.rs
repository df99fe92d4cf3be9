// SPDX-License-Identifier: GPL-2.0

//! A reader for tasks of tokio.

use futures_core::Stream;
use std::future::Future;
use std::pin::{pin, Pin};
use std::task::{ready, Context, Poll};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

use crate::{Error, Info, Position, Reader, Record, Result};

/// A [`Reader`] whose waits are those of a task. It is a [`Stream`] of records that never ends, but
/// for an error.
#[derive(Debug)]
pub struct AsyncReader {
    reader: AsyncFd<Reader>,
}

impl AsyncReader {
    /// Returns an asynchronous reader with the position of `reader`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be added to the runtime's epoll instance.
    ///
    /// # Panics
    ///
    /// Outside a runtime of tokio that has I/O enabled.
    pub fn new(reader: Reader) -> Result<Self> {
        let path = reader.log().path().to_owned();
        // SAFETY: The reader owns its file and keeps it open. This type does not give access to the
        // reader inside, so that it is not replaced.
        #[allow(unsafe_code)]
        let reader = unsafe { AsyncFd::register_with_interest(reader, Interest::READABLE) };
        let reader = reader.map_err(|error| Error::Io {
            action: "wait for",
            path,
            source: error.into_parts().1,
        })?;
        Ok(Self { reader })
    }

    /// Returns the next record, after waiting for it if there is none. Cancel safe: no record is
    /// lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// As [`Reader::peek`].
    pub async fn next(&mut self) -> Result<Record> {
        std::future::poll_fn(|context| self.poll_record(context)).await
    }

    /// Moves the read position.
    ///
    /// # Errors
    ///
    /// As [`Reader::seek`].
    pub fn seek(&mut self, position: Position) -> Result<()> {
        self.reader.get_mut().seek(position)
    }

    /// Returns the state and the counters of the log.
    ///
    /// # Errors
    ///
    /// As [`Reader::info`].
    pub fn info(&self) -> Result<Info> {
        self.reader.get_ref().info()
    }

    fn poll_record(&mut self, context: &mut Context<'_>) -> Poll<Result<Record>> {
        // A task that reads a flood lets other tasks run now and then.
        ready!(pin!(tokio::task::consume_budget()).poll(context));
        loop {
            // The log is asked first, because a reader can have records in its buffer.
            if let Some(record) = self.reader.get_mut().try_next()? {
                return Poll::Ready(Ok(record));
            }
            let path = self.reader.get_ref().log().path().to_owned();
            let mut guard = ready!(self.reader.poll_read_ready_mut(context))
                .map_err(|source| Error::Io { action: "wait for", path, source })?;
            // Checked again before the readiness is cleared, so that a record that came in between
            // is not waited for.
            if guard.get_inner_mut().peek()?.is_none() {
                guard.clear_ready();
            }
        }
    }
}

impl Stream for AsyncReader {
    type Item = Result<Record>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_record(context).map(Some)
    }
}
