// SPDX-License-Identifier: GPL-2.0

//! Which records are shown.

use jiff::Timestamp;
use regex::bytes::{Regex, RegexBuilder};
use std::time::Duration;
use umsg::Record;

use crate::clock::Clock;
use crate::time_spec::{self, When};
use crate::{cli, Result};

const MICROSECOND: Duration = Duration::from_micros(1);

/// The conditions that a record has to meet.
pub struct Filter<'a> {
    options: &'a cli::Filter,
    pub since: Option<Duration>,
    /// The first time that is too late.
    pub until: Option<Duration>,
    grep: Option<Regex>,
}

impl<'a> Filter<'a> {
    /// Parses the times and the regular expression.
    pub fn new(options: &'a cli::Filter, clock: &Clock) -> Result<Self> {
        let now = Timestamp::now().to_zoned(clock.zone().clone());
        let time = |text: &Option<String>| -> Result<Option<Duration>> {
            let Some(text) = text else { return Ok(None) };
            Ok(Some(match time_spec::parse(text, &now)? {
                When::Day(time) => {
                    clock.warn_if_suspended();
                    clock.record(time)
                }
                When::Monotonic(time) => time,
            }))
        };
        let grep = options.grep.as_ref().map(|pattern| {
            RegexBuilder::new(pattern)
                .case_insensitive(!pattern.chars().any(char::is_uppercase))
                .build()
        });
        // Times are shown in microseconds, and the time of a record that is shown includes it.
        let until = time(&options.until)?.map(|time| time.saturating_add(MICROSECOND));
        Ok(Self { options, since: time(&options.since)?, until, grep: grep.transpose()? })
    }

    /// Returns whether all records meet the conditions, so that none has to be looked at.
    pub fn is_empty(&self) -> bool {
        let Self { options, since, until, grep } = self;
        let lists = [options.facility.is_empty(), options.pid.is_empty(), options.uid.is_empty()];
        since.is_none()
            && until.is_none()
            && grep.is_none()
            && options.priority.is_none()
            && options.comm.is_empty()
            && lists.into_iter().all(|empty| empty)
    }

    /// Returns whether a record meets all conditions.
    pub fn matches(&self, record: &Record<&[u8]>) -> bool {
        fn one_of<T: PartialEq>(list: &[T], value: impl Fn(&T) -> bool) -> bool {
            list.is_empty() || list.iter().any(value)
        }
        let Self { options, since, until, grep } = self;
        let level = record.priority.level;
        options.priority.as_ref().is_none_or(|levels| levels.contains(&level))
            && one_of(&options.facility, |facility| *facility == record.priority.facility)
            && one_of(&options.pid, |pid| Some(*pid) == record.pid)
            && one_of(&options.uid, |uid| *uid == record.uid)
            && one_of(&options.comm, |comm| comm.as_bytes() == record.comm_bytes())
            && since.is_none_or(|time| record.time >= time)
            && until.is_none_or(|time| record.time < time)
            && grep.as_ref().is_none_or(|grep| grep.is_match(record.text))
    }
}
