// SPDX-License-Identifier: GPL-2.0

//! Several logs, merged by time.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use umsg::{Log, Position, Reader, Record};

use crate::Result;

/// How often it is checked that the logs still exist.
pub const CHECK: Duration = Duration::from_secs(1);

/// A log that is read.
pub struct Source {
    pub reader: Reader,
    /// Records before this sequence number are not shown.
    pub first: u64,
    /// Device and inode of the node.
    node: (u64, u64),
    /// The log was removed.
    removed: bool,
}

/// Opens logs, with the read position before the first record at `since` or later.
pub fn open(logs: &[Log], since: Option<Duration>, all: bool) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for log in logs {
        let mut reader = log.reader()?;
        let info = reader.info()?;
        let first = if all { 0 } else { info.cleared_seq };
        match since {
            Some(time) => reader.seek(Position::Time(time))?,
            None => reader.seek(Position::Seq(first.max(info.oldest_seq)))?,
        }
        let node = node_of(log).unwrap_or_default();
        sources.push(Source { reader, first, node, removed: false });
    }
    Ok(sources)
}

fn node_of(log: &Log) -> Option<(u64, u64)> {
    fs::metadata(log.path()).ok().map(|node| (node.dev(), node.ino()))
}

/// Says which logs were removed since the last call. Their files stay valid, but other programs no
/// longer write to them. Returns whether all logs are removed.
pub fn all_removed(sources: &mut [Source]) -> bool {
    for source in &mut *sources {
        let log = source.reader.log();
        if !source.removed && node_of(log) != Some(source.node) {
            eprintln!("umsg: the log {log} was removed");
            source.removed = true;
        }
    }
    sources.iter().all(|source| source.removed)
}

impl Source {
    /// Returns the time of the next record if it, or one that was lost before it, has a sequence
    /// number below `end`.
    fn next_time(&mut self, end: u64) -> umsg::Result<Option<Duration>> {
        loop {
            let first = self.first;
            match self.reader.peek()? {
                Some(record) if record.seq < first => {}
                Some(record) if record.first_missing() < end => return Ok(Some(record.time)),
                _ => return Ok(None),
            }
            self.reader.advance();
        }
    }
}

/// Passes the records that the logs have at the time of the call to `visit`, in the order of their
/// times, with the index of their log, until `visit` returns false. Returns their number.
///
/// Records that are written meanwhile are left for the next call, so that a log that is written all
/// the time does not keep the call from ending. But if they overwrite records that the log had,
/// then the first of them is visited, because it has the number of those.
pub fn round(
    sources: &mut [Source],
    mut visit: impl FnMut(usize, &Record<&[u8]>) -> Result<bool>,
) -> Result<u64> {
    let mut ends = Vec::with_capacity(sources.len());
    let mut times = Vec::with_capacity(sources.len());
    for source in &mut *sources {
        ends.push(source.reader.info()?.next_seq);
    }
    for (source, end) in sources.iter_mut().zip(&ends) {
        times.push(source.next_time(*end)?);
    }
    let mut count = 0;
    loop {
        let next =
            times.iter().enumerate().filter_map(|(index, time)| Some((time.as_ref()?, index)));
        let Some((_, index)) = next.min() else { break };
        let source = &mut sources[index];
        let go_on = match source.reader.peek()? {
            Some(record) => visit(index, &record)?,
            None => false,
        };
        source.reader.advance();
        count += 1;
        if !go_on {
            break;
        }
        times[index] = source.next_time(ends[index])?;
    }
    Ok(count)
}

/// Why [`wait`] returned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A log has records.
    Records,
    /// The reader of the output has closed it.
    Closed,
    /// The time is over.
    Timeout,
}

/// Waits until one of the logs has records, at most for `timeout`. Also returns if the pipe
/// `output` is closed at its other end.
pub fn wait(sources: &[Source], output: BorrowedFd<'_>, timeout: Duration) -> Result<Event> {
    let mut files: Vec<PollFd<'_>> = sources
        .iter()
        .map(|source| PollFd::new(source.reader.as_fd(), PollFlags::POLLIN))
        .chain([PollFd::new(output, PollFlags::empty())])
        .collect();
    // Rounded up, so that the time has passed after the wait.
    let milliseconds = i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match poll(&mut files, timeout) {
        Ok(0) | Err(Errno::EINTR) => Ok(Event::Timeout),
        Ok(_) => {
            let output = files.last().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
            let closed = output.intersects(PollFlags::POLLERR | PollFlags::POLLHUP);
            Ok(if closed { Event::Closed } else { Event::Records })
        }
        Err(errno) => Err(errno.into()),
    }
}
