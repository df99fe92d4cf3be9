// SPDX-License-Identifier: GPL-2.0

//! Waits for a record.

use std::process::ExitCode;
use std::time::{Duration, Instant};
use umsg::Position;

use crate::clock::Clock;
use crate::filter::Filter;
use crate::format::records;
use crate::merge::{self, Event, CHECK};
use crate::output::Output;
use crate::{cli, Result, NOTHING};

/// Waits for the first record that matches, and shows it. Stored records count, so that a record is
/// found that was written before the call.
pub fn wait(options: &cli::Wait) -> Result {
    let start = Instant::now();
    let logs = cli::named(&options.logs);
    let clock = Clock::now();
    let filter = Filter::new(&options.filter, &clock)?;
    // Later records cannot match.
    let until = filter.until.map(|time| time.saturating_sub(Clock::record_now()));
    // A time limit that has no end in sight is none.
    let deadline =
        options.timeout.into_iter().chain(until).min().and_then(|time| start.checked_add(time));
    let mut sources = merge::open(&logs, filter.since, options.filter.all)?;
    if options.new {
        for source in &mut sources {
            source.reader.seek(Position::Next)?;
        }
    }
    let mut output = Output::new(&options.output, &logs, clock, false)?;
    let mut checked = Instant::now();
    let mut removed = false;
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
        if removed {
            return Err("no log is left in which a record can match".into());
        }
        let left = deadline.map(|time| time.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(ExitCode::from(NOTHING));
        }
        if checked.elapsed() >= CHECK {
            checked = Instant::now();
            // Records that were written before the removal can still be read.
            removed = merge::all_removed(&mut sources);
        }
        let timeout = if removed { Duration::ZERO } else { CHECK.min(left.unwrap_or(CHECK)) };
        if merge::wait(&sources, output.fd(), timeout)? == Event::Closed {
            return Ok(ExitCode::from(NOTHING));
        }
    }
}
