// SPDX-License-Identifier: GPL-2.0

//! Shows the records of logs.

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use umsg::{Log, Position, Record};

use crate::cli::{self, Lines};
use crate::clock::Clock;
use crate::filter::Filter;
use crate::format::records;
use crate::merge::{self, Source};
use crate::output::Output;
use crate::state::{self, Kept, State};
use crate::{follow, Result, FAILED, NOTHING};

/// The number of stored records that --follow shows first, as journalctl(1).
const FOLLOW_LINES: usize = 10;

pub fn show(options: &cli::Show) -> Result {
    let all = if options.merge { Log::list()? } else { Vec::new() };
    let logs = if options.merge { readable(&all)? } else { cli::named(&options.logs) };
    let clock = Clock::now();
    let filter = Filter::new(&options.filter, &clock)?;
    let mut sources = merge::open(&logs, filter.since, options.filter.all)?;
    let pager = !options.follow && !options.no_pager;
    let mut output = Output::new(&options.output, &logs, clock, pager)?;
    let limit = match options.lines {
        Some(Lines::Last(lines)) => Some(lines),
        Some(Lines::All) => None,
        None if filter.since.is_some() || options.state.is_some() => None,
        None => options.follow.then_some(FOLLOW_LINES),
    };
    if let Some(path) = &options.state {
        restore(path, options.window, &mut sources, &mut output)?;
    }
    let mut matched = 0;
    if limit.is_some() || options.reverse {
        let limit = limit.unwrap_or(usize::MAX);
        if filter.is_empty() {
            skip(&mut sources, limit)?;
        }
        let last = last(&mut sources, &filter, limit)?;
        matched = last.matched;
        let mut lines: Vec<Line> = last.lines.into();
        if options.reverse {
            lines.reverse();
        }
        for line in lines {
            match line {
                Line::Record(log, record) => output.record(log, &record.as_ref())?,
                Line::Lost(log, lost, seq) => output.lost(log, lost, seq),
            }
        }
    } else {
        merge::round(&mut sources, |log, record| {
            if record.lost > 0 {
                output.lost(log, record.lost, record.seq);
            }
            output.passed(log, record.seq);
            if filter.matches(record) {
                output.record(log, record)?;
                matched += 1;
            }
            Ok(true)
        })?;
    }
    if options.follow {
        follow::follow(&mut sources, &filter, &mut output)?;
    }
    output.finish()?;
    if logs.len() < all.len() {
        return Ok(ExitCode::from(FAILED));
    }
    if matched == 0 && !filter.is_empty() && !options.follow {
        return Ok(ExitCode::from(NOTHING));
    }
    Ok(ExitCode::SUCCESS)
}

/// Names the next records, without the number if there is one only.
fn next(count: u64) -> String {
    match count {
        1 => "next record".to_owned(),
        _ => format!("next {}", records(count)),
    }
}

/// Returns the logs that can be opened, and says why others cannot. Fails if there are only others.
fn readable(all: &[Log]) -> Result<Vec<Log>> {
    let mut logs = Vec::new();
    let mut errors = Vec::new();
    for log in all {
        match log.reader() {
            Ok(_) => logs.push(log.clone()),
            Err(error) => errors.push(error),
        }
    }
    let mut errors = errors.into_iter();
    if logs.is_empty() {
        if let Some(error) = errors.next() {
            return Err(error.into());
        }
    }
    errors.for_each(|error| eprintln!("umsg: {error}"));
    Ok(logs)
}

/// Moves each read position to that of the file `path`, and keeps the positions there from now on.
fn restore(path: &Path, window: usize, sources: &mut [Source], output: &mut Output) -> Result<()> {
    let state = State::open(path)?;
    let mut positions = Vec::new();
    for (index, source) in sources.iter_mut().enumerate() {
        let info = source.reader.info()?;
        // Records that were cleared are not lost.
        source.first = 0;
        let name = source.reader.log().name().into_owned();
        let known = state.get(&name);
        let (start, given) = match known {
            Some(known) if known.log_id == info.log_id => {
                (known.taken.min(info.next_seq), known.given.min(info.next_seq))
            }
            Some(_) => {
                let text = "the log was created anew; records of the former one may be lost";
                output.event(index, text, "created_anew", info.log_id);
                // Those of the new log that were overwritten are counted as lost.
                (0, 0)
            }
            None => (info.oldest_seq, 0),
        };
        // Some of them may have been overwritten meanwhile.
        let repeated = given.saturating_sub(start.max(info.oldest_seq));
        if repeated > 0 {
            let text = format!("the {} may be repeated", next(repeated));
            output.event(index, &text, "repeated", repeated);
        }
        source.reader.seek(Position::Seq(start))?;
        let given = given.max(start);
        positions.push((name, state::Position { log_id: info.log_id, taken: start, given }));
    }
    output.keep(Kept::new(state, positions, window));
    Ok(())
}

/// Moves each read position so that at most `limit` records follow it.
fn skip(sources: &mut [Source], limit: usize) -> Result<()> {
    for source in sources {
        let info = source.reader.info()?;
        let start = info.next_seq.saturating_sub(limit as u64);
        source.reader.seek(Position::Seq(start.max(info.oldest_seq).max(source.first)))?;
    }
    Ok(())
}

/// What is shown of the last records.
enum Line {
    /// A record of the log with an index.
    Record(usize, Record),
    /// How many records of the log are missing before the one with a sequence number.
    Lost(usize, u64, u64),
}

/// The last records that match, and their number.
struct Last {
    lines: VecDeque<Line>,
    matched: usize,
}

/// Returns the last `limit` records that match, the oldest first, with the losses between and after
/// them.
fn last(sources: &mut [Source], filter: &Filter<'_>, limit: usize) -> Result<Last> {
    let mut lines = VecDeque::new();
    let mut matched = 0;
    // Losses since the last record that matches, and the next record after them.
    let mut lost = vec![(0, 0); sources.len()];
    merge::round(sources, |log, record| {
        if record.lost > 0 {
            lost[log] = (lost[log].0 + record.lost, record.seq);
        }
        if filter.matches(record) && limit > 0 {
            let (count, seq) = std::mem::take(&mut lost[log]);
            if count > 0 {
                lines.push_back(Line::Lost(log, count, seq));
            }
            lines.push_back(Line::Record(log, record.to_owned()));
            matched += 1;
            // Losses before the first record that is shown stay, so that they are seen.
            while matched > limit {
                if let Some(Line::Record(..)) = lines.pop_front() {
                    matched -= 1;
                }
            }
        }
        Ok(true)
    })?;
    let rest = lost.into_iter().enumerate().filter(|(_, (count, _))| *count > 0);
    lines.extend(rest.map(|(log, (count, seq))| Line::Lost(log, count, seq)));
    Ok(Last { lines, matched })
}
