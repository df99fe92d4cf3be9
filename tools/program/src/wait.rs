// SPDX-License-Identifier: GPL-2.0

//! Waits for a record.

use std::process::ExitCode;
use std::time::{Duration, Instant};
use umsg::Position;

use crate::clock::Clock;
use crate::filter::Filter;
use crate::format::records;
use crate::merge::{self, Event};
use crate::output::Output;
use crate::{cli, Result, NOTHING};

/// Waits for the first record that matches, and shows it. Stored records count, so that a record is
/// found that was written before the call.
pub fn wait(options: &cli::Wait) -> Result {
    let deadline = options.timeout.map(|time| Instant::now() + time);
    let logs = cli::named(&options.logs);
    let clock = Clock::now();
    let filter = Filter::new(&options.filter, &clock)?;
    let mut sources = merge::open(&logs, filter.since, options.filter.all)?;
    if options.new {
        for source in &mut sources {
            source.reader.seek(Position::Next)?;
        }
    }
    let mut output = Output::new(&options.output, &logs, clock, false)?;
    loop {
        let mut found = false;
        merge::round(&mut sources, |log, record| {
            if record.lost > 0 {
                eprintln!("umsg: {} of {} lost", records(record.lost), logs[log]);
            }
            if filter.matches(record) {
                output.clock.update();
                output.record(log, record)?;
                found = true;
            }
            Ok(!found)
        })?;
        if found {
            output.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        let left = deadline.map(|time| time.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(ExitCode::from(NOTHING));
        }
        let timeout = left.unwrap_or(Duration::from_secs(3600));
        if merge::wait(&sources, output.fd(), timeout)? == Event::Closed {
            return Ok(ExitCode::from(NOTHING));
        }
    }
}
