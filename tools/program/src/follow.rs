// SPDX-License-Identifier: GPL-2.0

//! Waits for records and shows them.

use std::time::{Duration, Instant};

use crate::filter::Filter;
use crate::merge::{self, Event, Source};
use crate::output::Output;
use crate::Result;

/// How often it is checked that the logs still exist.
const CHECK: Duration = Duration::from_secs(1);

/// Shows records as they are written, until all logs are removed or the output is closed.
pub fn follow(sources: &mut [Source], filter: &Filter<'_>, output: &mut Output) -> Result<()> {
    let mut checked = Instant::now();
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
        if count > 0 {
            // Written only once there is nothing to read, so that a flood is read as fast as it
            // can be.
            continue;
        }
        output.flush()?;
        if checked.elapsed() >= CHECK {
            checked = Instant::now();
            for source in &mut *sources {
                if source.was_removed() {
                    eprintln!("umsg: the log {} was removed", source.reader.log());
                }
            }
            if sources.iter().all(|source| source.removed) {
                return Ok(());
            }
        }
        if merge::wait(sources, output.fd(), CHECK)? == Event::Closed {
            return Ok(());
        }
    }
}
