// SPDX-License-Identifier: GPL-2.0

//! The output of records.

use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use umsg::{Log, Record};

use crate::cli::{self, Format, TimeFormat};
use crate::clock::Clock;
use crate::format::{records, Formatter, Options};
use crate::state::Kept;
use crate::terminal::{self, Sink};

/// Size of the output in bytes that is written at once.
const CHUNK: usize = 64 << 10;

/// Formats records and writes them.
pub struct Output {
    formatter: Formatter,
    pub clock: Clock,
    buffer: Vec<u8>,
    sink: Sink,
    names: Vec<String>,
    /// The positions that are kept in a file.
    kept: Option<Kept>,
}

impl Output {
    /// Returns the output for records of `logs`, in a pager if `pager` is set and standard output
    /// is a terminal.
    pub fn new(options: &cli::Output, logs: &[Log], clock: Clock, pager: bool) -> io::Result<Self> {
        let names: Vec<String> = logs.iter().map(|log| log.name().into_owned()).collect();
        let formatter = Formatter::new(
            Options {
                format: options.output,
                time: options.time,
                color: terminal::color(options.color),
                terminal: io::stdout().is_terminal(),
            },
            names.clone(),
        );
        let sink = Sink::new(pager)?;
        let shows_day = match options.output {
            Format::Short => !matches!(options.time, TimeFormat::Monotonic | TimeFormat::Relative),
            Format::Iso | Format::Json => true,
            Format::Cat | Format::Raw | Format::Kmsg => false,
        };
        if shows_day {
            clock.warn_if_suspended();
        }
        Ok(Self {
            formatter,
            clock,
            buffer: Vec::with_capacity(2 * CHUNK),
            sink,
            names,
            kept: None,
        })
    }

    /// Adds a record of the log with an index. Call [`Output::flush`] before a wait.
    pub fn record(&mut self, log: usize, record: &Record<&[u8]>) -> io::Result<()> {
        if let Some(kept) = &mut self.kept {
            kept.added(log, record.seq);
        }
        self.formatter.record(&mut self.buffer, log, record, &self.clock);
        if self.buffer.len() >= CHUNK {
            self.write()?;
        }
        Ok(())
    }

    /// Says that records of a log are missing before the record `seq`.
    pub fn lost(&mut self, log: usize, lost: u64, seq: u64) {
        if !self.formatter.lost(&mut self.buffer, log, lost, seq) {
            self.say_lost(log, lost);
        }
    }

    fn say_lost(&self, log: usize, lost: u64) {
        eprintln!("umsg: {} of {} lost", records(lost), self.names[log]);
    }

    /// Says that the record `seq` of a log is added next, or is not shown.
    pub fn passed(&mut self, log: usize, seq: u64) {
        if let Some(kept) = &mut self.kept {
            kept.passed(log, seq);
        }
    }

    /// Keeps the positions in a file from now on.
    pub fn keep(&mut self, kept: Kept) {
        self.kept = Some(kept);
    }

    /// Adds a line that is not a record, see [`Formatter::event`].
    pub fn event(&mut self, log: usize, text: &str, key: &str, value: u64) {
        if !self.formatter.event(&mut self.buffer, log, text, key, value) {
            eprintln!("umsg: {}: {text}", self.names[log]);
        }
    }

    /// Writes the records that were added.
    pub fn flush(&mut self) -> io::Result<()> {
        self.formatter.end_line(&mut self.buffer);
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        if let Some(kept) = &mut self.kept {
            kept.write(&self.buffer, &mut self.sink)?;
        } else if !self.buffer.is_empty() {
            self.sink.write(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }

    /// Returns the descriptor that the output is written to.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.sink.fd()
    }

    /// Writes the records that were added, and waits until the user has left the pager.
    pub fn finish(mut self) -> io::Result<()> {
        let written = self.flush();
        for (log, lost) in self.formatter.unreported().into_iter().enumerate() {
            if lost > 0 {
                self.say_lost(log, lost);
            }
        }
        self.sink.finish()?;
        written
    }
}
