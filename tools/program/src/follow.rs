// SPDX-License-Identifier: GPL-2.0

//! Waits for records and shows them.

use std::time::{Duration, Instant};

use crate::filter::Filter;
use crate::merge::{self, Event, Source, CHECK};
use crate::output::Output;
use crate::Result;

/// The longest time that a record waits for output while others are read.
const LATENCY: Duration = Duration::from_millis(100);

/// Shows records as they are written, until all logs are removed or the output is closed.
pub fn follow(sources: &mut [Source], filter: &Filter<'_>, output: &mut Output) -> Result<()> {
    let mut checked = Instant::now();
    let mut flushed = Instant::now();
    let mut removed = false;
    loop {
        output.clock.update();
        let count = merge::round(sources, |log, record| {
            if record.lost > 0 {
                output.lost(log, record.lost, record.seq);
            }
            output.passed(log, record.seq);
            if filter.matches(record) {
                output.record(log, record)?;
            }
            Ok(true)
        })?;
        // A flood is read before it is written, but a record that matches does not wait for the end
        // of the flood.
        if count > 0 && flushed.elapsed() < LATENCY {
            continue;
        }
        output.flush()?;
        flushed = Instant::now();
        if removed && count == 0 {
            return Ok(());
        }
        if checked.elapsed() >= CHECK {
            checked = Instant::now();
            // Records that were written before the removal can still be read.
            removed = merge::all_removed(sources);
        }
        let timeout = if count > 0 || removed { Duration::ZERO } else { CHECK };
        if merge::wait(sources, output.fd(), timeout)? == Event::Closed {
            return Ok(());
        }
    }
}
