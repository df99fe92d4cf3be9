// SPDX-License-Identifier: GPL-2.0

//! The time of a record as a time of day.

use jiff::tz::TimeZone;
use jiff::Timestamp;
use nix::time::{clock_gettime, ClockId};
use std::sync::Once;
use std::time::Duration;

/// The relation of the clock of the records to the time of day.
///
/// Records have the time of `CLOCK_MONOTONIC` of the initial time namespace, which stops while the
/// system is suspended. The relation is measured at one moment, so it is right for records that
/// were written after the last resume and after the last change of the time of day.
pub struct Clock {
    /// Time of day minus time of the records, in nanoseconds.
    offset: i128,
    /// Total time that the system was suspended.
    suspended: Duration,
    zone: TimeZone,
}

fn nanoseconds(clock: ClockId) -> i128 {
    let time = clock_gettime(clock).expect("the kernel has the clock");
    i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec())
}

/// Returns the offset of a clock in the time namespace of this process, in nanoseconds
/// (time_namespaces(7)).
fn namespace_offset(clock: &str) -> i128 {
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    offsets
        .lines()
        .find_map(|line| {
            let mut fields = line.strip_prefix(clock)?.split_whitespace();
            let seconds: i128 = fields.next()?.parse().ok()?;
            let nanoseconds: i128 = fields.next()?.parse().ok()?;
            Some(seconds * 1_000_000_000 + nanoseconds)
        })
        .unwrap_or(0)
}

/// Returns the time of the clock of the records, in nanoseconds.
fn record_clock() -> i128 {
    nanoseconds(ClockId::CLOCK_MONOTONIC) - namespace_offset("monotonic")
}

impl Clock {
    /// Measures the relation.
    pub fn now() -> Self {
        let mut clock = Self { offset: 0, suspended: Duration::ZERO, zone: TimeZone::system() };
        clock.update();
        clock
    }

    /// Returns a clock with an offset in nanoseconds, in universal time.
    #[cfg(test)]
    pub fn for_tests(offset: i128) -> Self {
        Self { offset, suspended: Duration::ZERO, zone: TimeZone::UTC }
    }

    /// Measures the relation anew, for records that were written since the last call.
    pub fn update(&mut self) {
        // The process can be interrupted between two clocks. The shortest attempt is the best one.
        let attempts = (0..5).map(|_| {
            let before = nanoseconds(ClockId::CLOCK_MONOTONIC);
            let day = nanoseconds(ClockId::CLOCK_REALTIME);
            let after = nanoseconds(ClockId::CLOCK_MONOTONIC);
            (after - before, day - (before + after) / 2)
        });
        let (_, offset) = attempts.min().unwrap_or_default();
        self.offset = offset + namespace_offset("monotonic");
        let monotonic = record_clock();
        let boot = nanoseconds(ClockId::CLOCK_BOOTTIME) - namespace_offset("boottime");
        self.suspended = Duration::from_nanos(u64::try_from(boot - monotonic).unwrap_or(0));
    }

    /// Says once on standard error that times of day of old records can be wrong, if the system was
    /// suspended for long enough to be seen.
    pub fn warn_if_suspended(&self) {
        static ONCE: Once = Once::new();
        let seconds = self.suspended.as_secs();
        if seconds > 0 {
            ONCE.call_once(|| {
                eprintln!(
                    "umsg: the system was suspended for {seconds}s in all; times of records from \
                     before a suspend are up to that much too late"
                );
            });
        }
    }

    /// Returns the time that a record would have that was written now.
    pub fn record_now() -> Duration {
        Duration::from_nanos(u64::try_from(record_clock()).unwrap_or(0))
    }

    /// Returns the local time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the time of day of a time of a record, as seconds since 1970 and nanoseconds.
    pub fn day(&self, record: Duration) -> (i64, u32) {
        let time = record.as_nanos() as i128 + self.offset;
        (time.div_euclid(1_000_000_000) as i64, time.rem_euclid(1_000_000_000) as u32)
    }

    /// Returns the time of records at a time of day. It is zero for the time before the system was
    /// started.
    pub fn record(&self, day: Timestamp) -> Duration {
        let time = (day.as_nanosecond() - self.offset).clamp(0, u64::MAX.into());
        Duration::from_nanos(time as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_both_ways() {
        let clock = Clock::for_tests(1_700_000_000_123_456_789);
        let record = Duration::from_nanos(15_740_498_001);
        let (seconds, nanoseconds) = clock.day(record);
        assert_eq!((seconds, nanoseconds), (1_700_000_015, 863_954_790));
        let day = Timestamp::new(seconds, nanoseconds as i32).expect("a time");
        assert_eq!(clock.record(day), record);
        assert_eq!(clock.record(Timestamp::UNIX_EPOCH), Duration::ZERO);
    }
}
