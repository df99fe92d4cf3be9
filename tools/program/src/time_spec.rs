// SPDX-License-Identifier: GPL-2.0

//! Times and durations on the command line, in the forms of journalctl(1).

use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::DateTimeParser;
use jiff::{Span, Timestamp, ToSpan, Zoned};
use std::time::Duration;

/// A point in time, as it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// A time of day.
    Day(Timestamp),
    /// A time of records: seconds since the system was started, without suspend.
    Monotonic(Duration),
}

/// Parses a time: a date, a time of this day, both, `now`, `today`, `yesterday`, `tomorrow`, `@`
/// and seconds since 1970, a time relative to `now`, or a number of seconds since the system was
/// started.
pub fn parse(text: &str, now: &Zoned) -> Result<When, String> {
    let text = text.trim();
    let day = |time: Zoned| When::Day(time.timestamp());
    let bad = || {
        format!(
            "\"{text}\" is not a time, such as 12:30, 2026-11-30, \"2026-11-30 12:30:15\", \
             yesterday, \"1 hour ago\", -5min, @1790000000 or 15.74 (seconds since the start)"
        )
    };
    let in_zone = |time: DateTime| time.to_zoned(now.time_zone().clone()).map_err(|_| bad());
    let midnight = |days: i64| -> Result<When, String> {
        let date = now.date().checked_add(days.days()).map_err(|_| bad())?;
        in_zone(date.to_datetime(Time::midnight())).map(day)
    };
    let shifted = |span: &str, back: bool| -> Result<When, String> {
        let span = duration_span(span)?;
        let time = if back { now.checked_sub(span) } else { now.checked_add(span) };
        time.map(day).map_err(|_| bad())
    };
    match text {
        "now" => return Ok(day(now.clone())),
        "today" => return midnight(0),
        "yesterday" => return midnight(-1),
        "tomorrow" => return midnight(1),
        _ => {}
    }
    if let Some(span) = text.strip_suffix(" ago") {
        return shifted(span, true);
    }
    if let Some(span) = text.strip_prefix('-') {
        return shifted(span, true);
    }
    if let Some(span) = text.strip_prefix('+') {
        return shifted(span, false);
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let (whole, fraction) = decimal(seconds).ok_or_else(bad)?;
        let whole = i64::try_from(whole).map_err(|_| bad())?;
        return Timestamp::new(whole, fraction as i32).map(When::Day).map_err(|_| bad());
    }
    if let Some((whole, fraction)) = decimal(text) {
        return Ok(When::Monotonic(Duration::new(whole, fraction)));
    }
    // With a time zone: an offset or Z.
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(When::Day(time));
    }
    let parser = DateTimeParser::new();
    if let Some(time) = text.strip_suffix(" UTC") {
        let time = parser.parse_datetime(time).map_err(|_| bad())?;
        return time.to_zoned(jiff::tz::TimeZone::UTC).map(day).map_err(|_| bad());
    }
    if let Ok(time) = parser.parse_datetime(text) {
        return in_zone(time).map(day);
    }
    match parser.parse_time(text) {
        Ok(time) => in_zone(now.date().to_datetime(time)).map(day),
        Err(_) => Err(bad()),
    }
}

/// Parses a decimal number with up to nine digits after the point, as a whole part and billionths.
fn decimal(text: &str) -> Option<(u64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    Some((whole.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

fn duration_span(text: &str) -> Result<Span, String> {
    text.trim().parse().map_err(|_| {
        format!("\"{text}\" is not a duration, such as 30s, 5min, 2h, 3 days or 1h 30min")
    })
}

/// Parses a duration; a number without a unit is in seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Some((whole, fraction)) = decimal(text) {
        return Ok(Duration::new(whole, fraction));
    }
    // Days have 24 hours here.
    let now = Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    let bad = || format!("the duration \"{text}\" is negative or too long");
    let end = now.checked_add(duration_span(text)?).map_err(|_| bad())?;
    end.duration_since(&now).try_into().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn now() -> Zoned {
        "2026-11-30T15:04:05.25+01:00[+01:00]".parse().expect("a time")
    }

    /// Returns the parsed time in the zone of [`now`].
    fn at(text: &str) -> String {
        match parse(text, &now()) {
            Ok(When::Day(time)) => {
                let zone = TimeZone::fixed(jiff::tz::offset(1));
                time.to_zoned(zone).strftime("%F %T%.f").to_string()
            }
            Ok(When::Monotonic(time)) => format!("{time:?}"),
            Err(_) => "invalid".to_owned(),
        }
    }

    #[test]
    fn forms_of_times() {
        for (text, time) in [
            ("now", "2026-11-30 15:04:05.25"),
            ("today", "2026-11-30 00:00:00"),
            ("yesterday", "2026-11-29 00:00:00"),
            ("tomorrow", "2026-12-01 00:00:00"),
            ("-5min", "2026-11-30 14:59:05.25"),
            ("- 5 min", "2026-11-30 14:59:05.25"),
            ("+1h", "2026-11-30 16:04:05.25"),
            ("1 hour ago", "2026-11-30 14:04:05.25"),
            ("1h 30min ago", "2026-11-30 13:34:05.25"),
            ("2 days ago", "2026-11-28 15:04:05.25"),
            ("12:30", "2026-11-30 12:30:00"),
            ("12:30:15.5", "2026-11-30 12:30:15.5"),
            ("2026-11-29", "2026-11-29 00:00:00"),
            ("2026-11-29 12:30", "2026-11-29 12:30:00"),
            ("2026-11-29T12:30:15", "2026-11-29 12:30:15"),
            ("2026-11-29 12:30 UTC", "2026-11-29 13:30:00"),
            ("2026-11-29T12:30:15Z", "2026-11-29 13:30:15"),
            ("2026-11-29T12:30:15.123456+02:00", "2026-11-29 11:30:15.123456"),
            ("@0", "1970-01-01 01:00:00"),
            ("@1700000000.5", "2023-11-14 23:13:20.5"),
            ("15.740498", "15.740498s"),
            ("3", "3s"),
        ] {
            assert_eq!(at(text), time, "{text}");
        }
        for text in [
            "",
            " ",
            "noon",
            "25:00",
            "2026-02-30",
            "@",
            "@x",
            "1.",
            ".5",
            "1.0000000001",
            "5 ago",
            "ago",
            "-",
            "+",
            "1 parsec ago",
            "@99999999999999999999",
            "99999999999999 days ago",
        ] {
            assert_eq!(at(text), "invalid", "{text}");
        }
    }

    #[test]
    fn forms_of_durations() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h 30min"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2 days"), Ok(Duration::from_secs(172_800)));
        for bad in ["", "s", "-5", "-5min", "5 ago", "five"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
