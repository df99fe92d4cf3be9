// SPDX-License-Identifier: GPL-2.0

//! Facilities and levels, as in syslog.

use std::fmt;
use std::str::FromStr;

/// The severity of a record, from the most to the least severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The system is unusable.
    Emerg,
    /// Immediate action is required.
    Alert,
    /// Critical condition.
    Crit,
    /// Error.
    Err,
    /// Warning.
    Warning,
    /// Normal but significant.
    Notice,
    /// Information.
    Info,
    /// Debug message.
    Debug,
}

impl Level {
    /// All levels.
    pub const ALL: [Self; 8] = [
        Self::Emerg,
        Self::Alert,
        Self::Crit,
        Self::Err,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// Returns the name that syslog programs use.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 8] =
            ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        NAMES[self as usize]
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Parses a name or a number. `panic`, `error` and `warn` are other names of levels, as in
/// `syslog.h`.
impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text {
            "panic" => Some(0),
            "error" => Some(3),
            "warn" => Some(4),
            _ => Self::ALL.iter().position(|level| level.name() == text),
        };
        number
            .or_else(|| text.parse().ok())
            .and_then(|number: usize| Self::ALL.get(number).copied())
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("\"{text}\" is not a level: {names}, or 0 to 7")
            })
    }
}

/// The kind of program that wrote a record, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facility(u8);

/// The names of the facilities of syslog, by number. 12 to 15 have none.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

impl Facility {
    /// Messages of the kernel. umsg stores [`Facility::USER`] instead.
    pub const KERN: Self = Self(0);
    /// User programs, the default.
    pub const USER: Self = Self(1);
    /// System daemons.
    pub const DAEMON: Self = Self(3);
    /// The first of eight facilities for local use.
    pub const LOCAL0: Self = Self(16);

    /// Returns the facility with a number.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns the name, if syslog has one.
    pub fn name(self) -> Option<&'static str> {
        FACILITIES.get(usize::from(self.0)).copied().filter(|name| !name.is_empty())
    }

    /// Returns the names of all facilities that have one.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FACILITIES.into_iter().filter(|name| !name.is_empty())
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

/// Parses a name or a number.
impl FromStr for Facility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        FACILITIES
            .iter()
            .position(|name| *name == text && !name.is_empty())
            .and_then(|number| u8::try_from(number).ok())
            .or_else(|| text.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                let names = Self::names().collect::<Vec<_>>().join(", ");
                format!("\"{text}\" is not a facility: {names}, or 0 to 255")
            })
    }
}

/// A facility and a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    /// The kind of program.
    pub facility: Facility,
    /// The severity.
    pub level: Level,
}

impl Priority {
    /// Returns a priority.
    pub const fn new(facility: Facility, level: Level) -> Self {
        Self { facility, level }
    }

    /// Returns the number of the text format: the facility times 8 plus the level.
    pub fn number(self) -> u16 {
        (u16::from(self.facility.0) << 3) | self.level as u16
    }

    /// Returns the priority with a number, 0 to 2047.
    pub fn from_number(number: u16) -> Option<Self> {
        let facility = Facility(u8::try_from(number >> 3).ok()?);
        Some(Self { facility, level: Level::ALL[usize::from(number & 7)] })
    }
}

/// `user.info`, the priority of a text without another one.
impl Default for Priority {
    fn default() -> Self {
        Self::new(Facility::USER, Level::Info)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.facility, self.level)
    }
}

/// Parses `FACILITY.LEVEL` or `LEVEL`, as logger(1), or the number of both.
impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            Some((facility, level)) => Ok(Self::new(facility.parse()?, level.parse()?)),
            None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text
                .parse()
                .ok()
                .and_then(Self::from_number)
                .ok_or_else(|| format!("\"{text}\" is not a priority: 0 to 2047")),
            None => Ok(Self::new(Facility::USER, text.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_have_names_and_numbers() {
        for number in 0..2048 {
            let priority = Priority::from_number(number).expect("a priority");
            assert_eq!(priority.number(), number);
            assert_eq!(priority.to_string().parse(), Ok(priority));
            assert_eq!(number.to_string().parse(), Ok(priority));
        }
        assert_eq!(Priority::from_number(2048), None);
        assert_eq!("err".parse(), Ok(Priority::new(Facility::USER, Level::Err)));
        for bad in ["", ".", "err.", ".err", "user.", "user.err.", "2048", "8.8", "-1", "Err"] {
            assert!(bad.parse::<Priority>().is_err(), "{bad}");
        }
        let error = "999999".parse::<Priority>();
        assert_eq!(error, Err("\"999999\" is not a priority: 0 to 2047".to_owned()));
    }
}
