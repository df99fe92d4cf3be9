// SPDX-License-Identifier: GPL-2.0

//! Random arguments of each form that has a grammar: none ends in a panic, and each valid one has
//! the value that it was made from.

use clap::Parser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use proptest::prelude::*;
use std::str::FromStr;
use std::time::Duration;
use umsg::{Level, Priority};

use crate::cli::{levels, lines, priorities, Cli, Lines};
use crate::time_spec::{duration, parse, When};

/// Parts of arguments. Random sequences of them are nearly valid or valid.
const PARTS: &[&str] = &[
    "now",
    "today",
    "ago",
    "@",
    "-",
    "+",
    " ",
    ".",
    "..",
    ",",
    ":",
    "T",
    "Z",
    " UTC",
    "0",
    "1",
    "59",
    "60",
    "007",
    "2026-11-30",
    "9999-12-31",
    "-009999-01-01",
    "12:30",
    "23:59:60",
    "+25:00",
    "s",
    "min",
    "h",
    "days",
    "years",
    "99999999999999999999",
    "0.000000001",
    "err",
    "emerg",
    "user",
    "daemon",
    "all",
    "\u{e4}",
    "\u{0}",
    "\u{202e}",
    "[Europe/Berlin]",
    "P1Y2M3DT4H5M6S",
    "%",
    "=",
];

/// Options that have values, and words.
const WORDS: &[&str] = &[
    "-f",
    "-n",
    "-r",
    "-m",
    "-a",
    "-S",
    "-U",
    "-p",
    "-g",
    "-o",
    "-t",
    "-j",
    "-V",
    "--",
    "--since",
    "--until",
    "--priority=err",
    "--facility",
    "--pid",
    "--uid",
    "--comm",
    "--grep",
    "--output",
    "--time",
    "--color",
    "--no-pager",
    "--state",
    "--window",
    "--new",
    "--timeout",
    "write",
    "run",
    "wait",
    "info",
    "add",
    "remove",
    "clear",
    "completions",
    "bash",
    "app",
    "json",
    "always",
    "10",
];

fn text() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(PARTS), 0..7);
    prop_oneof![3 => parts.prop_map(|parts| parts.concat()), 1 => any::<String>()]
}

fn zone() -> impl Strategy<Value = TimeZone> {
    (-25 * 3600 + 1..25 * 3600).prop_map(|seconds| {
        TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).expect("an offset"))
    })
}

/// A time from 1900 to 2500.
fn zoned() -> impl Strategy<Value = Zoned> {
    (-2_208_988_800_i64..16_725_225_600, 0..1_000_000_000, zone()).prop_map(
        |(seconds, nanoseconds, zone)| {
            Timestamp::new(seconds, nanoseconds).expect("a time").to_zoned(zone)
        },
    )
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(&Level::ALL[..])
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) }
}

proptest! {
    #![proptest_config(config())]

    /// An error names the argument, so that its user sees which one is meant.
    #[test]
    fn any_text_is_parsed_or_refused(text in text(), now in zoned()) {
        let _ = lines(&text);
        let _ = priorities(&text);
        let _ = duration(&text);
        if let Err(error) = parse(&text, &now) {
            prop_assert!(error.contains(' '), "{error}");
        }
        if let Ok(range) = levels(&text) {
            prop_assert!(range.start() <= range.end());
        }
        if let Ok(priority) = Priority::from_str(&text) {
            prop_assert_eq!(Priority::from_number(priority.number()), Some(priority));
        }
    }

    #[test]
    fn any_command_line_is_parsed_or_refused(
        words in prop::collection::vec(
            prop_oneof![prop::sample::select(WORDS).prop_map(str::to_owned), text()], 0..8)
    ) {
        if let Err(error) = Cli::try_parse_from(std::iter::once("umsg".to_owned()).chain(words)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn times_have_the_value_of_their_text(time in zoned(), now in zoned()) {
        let same = |text: String| (parse(&text, &now), text);
        let whole = When::Day(Timestamp::from_second(time.timestamp().as_second()).expect("a time"));
        let exact = When::Day(time.timestamp());
        let local = time.with_time_zone(now.time_zone().clone());
        for (text, value) in [
            (local.strftime("%Y-%m-%d %H:%M:%S%.f").to_string(), &exact),
            (local.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string(), &exact),
            (format!(" {} ", time.timestamp()), &exact),
            (time.timestamp().strftime("%Y-%m-%d %H:%M:%S%.f UTC").to_string(), &exact),
        ] {
            let (parsed, text) = same(text);
            prop_assert_eq!(parsed.as_ref(), Ok(value), "{}", text);
        }
        if time.timestamp().as_second() >= 0 {
            let (parsed, text) = same(format!("@{}", time.timestamp().as_second()));
            prop_assert_eq!(parsed, Ok(whole), "{}", text);
        }
        // A time of day is one of the day of `now`.
        let (parsed, text) = same(local.strftime("%H:%M:%S%.f").to_string());
        let of_day = now.date().to_datetime(local.time());
        let of_day = of_day.to_zoned(now.time_zone().clone()).expect("a time");
        prop_assert_eq!(parsed, Ok(When::Day(of_day.timestamp())), "{}", text);
    }

    #[test]
    fn durations_have_the_value_of_their_text(
        days in 0_u64..10_000, hours in 0_u64..100, minutes in 0_u64..100, seconds in 0_u64..100,
        now in zoned()
    ) {
        let text = format!("{days} days {hours}h {minutes}min {seconds}s");
        let value = Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
        prop_assert_eq!(duration(&text), Ok(value), "{}", &text);
        prop_assert_eq!(duration(&value.as_secs().to_string()), Ok(value));
        let earlier = now.timestamp() - value;
        for text in [format!("{text} ago"), format!("-{text}"), format!("- {text}")] {
            prop_assert_eq!(parse(&text, &now), Ok(When::Day(earlier)), "{}", text);
        }
        let later = now.timestamp() + value;
        prop_assert_eq!(parse(&format!("+{text}"), &now), Ok(When::Day(later)));
        let monotonic = format!("{}.{:09}", value.as_secs(), seconds);
        let value = value + Duration::from_nanos(seconds);
        prop_assert_eq!(parse(&monotonic, &now), Ok(When::Monotonic(value)));
    }

    #[test]
    fn levels_and_priorities_have_the_value_of_their_text(
        one in level(), other in level(), number in 0_u16..2048, count in any::<usize>()
    ) {
        prop_assert_eq!(levels(one.name()), Ok(Level::Emerg..=one));
        prop_assert_eq!(
            levels(&format!("{one}..{}", other as u8)),
            Ok(one.min(other)..=one.max(other))
        );
        let priority = Priority::from_number(number).expect("a priority");
        let both = priorities(&format!("{priority},{number}")).expect("two priorities");
        prop_assert_eq!((both.out, both.err), (priority, priority));
        prop_assert!(lines(&count.to_string()) == Ok(Lines::Last(count)));
    }
}
