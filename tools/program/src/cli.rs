// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use umsg::{Facility, Level, Log, Priority};

/// Show, write and manage the logs of the kernel module umsg
#[derive(Parser)]
#[command(name = "umsg", version, args_conflicts_with_subcommands = true)]
#[command(disable_help_flag = true, disable_help_subcommand = true)]
#[command(
    after_help = "LOG is the name of a log, \"umsg\" (the default) for /dev/umsg, or the path \
    of a device node.\nExit status: 0; 1 if no record matches; 2 after an error. See umsg(1)."
)]
pub struct Cli {
    #[command(flatten)]
    pub show: Show,
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print this help
    #[arg(short, long, action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write lines of standard input, or a text
    Write(Write),
    /// Run a command with its output in a log
    Run(Run),
    /// Wait for a record that matches, and show it
    Wait(Wait),
    /// Show size, use, losses and users of logs
    Info(Info),
    /// Add logs: NAME[:CAPACITY][:POLICY][:MODE][:STYLE]
    Add {
        /// Logs to add, such as box:64K:kmsg
        #[arg(required = true, value_name = "LOG")]
        logs: Vec<String>,
    },
    /// Remove logs
    Remove {
        /// Logs to remove
        #[arg(required = true, value_name = "LOG")]
        logs: Vec<String>,
    },
    /// Hide the records that a log has now
    Clear {
        /// Logs to clear
        #[arg(value_name = "LOG")]
        logs: Vec<String>,
    },
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which records are shown.
#[derive(Args)]
pub struct Filter {
    /// At this time or later: 12:30, yesterday, "1 hour ago", ...
    #[arg(short = 'S', long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// At this time or earlier
    #[arg(short = 'U', long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Of this level or a more severe one, or of a range, such as warning or err..notice
    #[arg(short, long, value_name = "LEVEL", value_parser = levels)]
    pub priority: Option<RangeInclusive<Level>>,
    /// Of these facilities, such as daemon,local0
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub facility: Vec<Facility>,
    /// Written by these processes
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Written by these real users, names or numbers
    #[arg(long, value_name = "USER", value_delimiter = ',', value_parser = user)]
    pub uid: Vec<u32>,
    /// Written by commands that call themselves so
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub comm: Vec<String>,
    /// With a text that matches a regular expression; without capitals, in any case
    #[arg(short, long, value_name = "REGEX")]
    pub grep: Option<String>,
    /// Also the records before the last clear
    #[arg(short, long)]
    pub all: bool,
}

/// How records are shown.
#[derive(Args)]
pub struct Output {
    /// Form of a record
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "short",
        hide_default_value = true
    )]
    pub output: Format,
    /// Form of the time in the format short
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value = "local",
        hide_default_value = true
    )]
    pub time: TimeFormat,
    /// Colours: auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub color: When,
}

#[derive(Args)]
pub struct Show {
    /// Wait for further records; begins with the last 10
    #[arg(short, long, conflicts_with_all = ["reverse", "until"])]
    pub follow: bool,
    /// Only the last N records, or "all"
    #[arg(short = 'n', long, value_name = "N", value_parser = lines)]
    pub lines: Option<Lines>,
    /// The newest record first
    #[arg(short, long)]
    pub reverse: bool,
    /// All logs, merged by time
    #[arg(short, long, conflicts_with = "logs")]
    pub merge: bool,
    #[command(flatten)]
    pub filter: Filter,
    #[command(flatten)]
    pub output: Output,
    /// Do not use a pager on a terminal
    #[arg(long)]
    pub no_pager: bool,
    /// Continue where the last call with this file ended
    #[arg(long, value_name = "FILE", conflicts_with_all = ["lines", "reverse", "since", "until"])]
    pub state: Option<PathBuf>,
    /// With --state: begin N records earlier
    #[arg(
        long,
        value_name = "N",
        requires = "state",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub window: usize,
    /// Logs, merged by time if there are several
    #[arg(value_name = "LOG")]
    pub logs: Vec<String>,
}

#[derive(Args)]
pub struct Write {
    /// Priority of lines without a prefix <N>, such as err or daemon.notice
    #[arg(short, long, default_value_t, hide_default_value = true, value_name = "PRIORITY")]
    pub priority: Priority,
    /// Text before each line, with a colon
    #[arg(short, long, value_name = "TAG")]
    pub tag: Option<String>,
    /// The text to write, instead of standard input
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<OsString>,
    /// The log
    #[arg(value_name = "LOG", default_value = "umsg", hide_default_value = true)]
    pub log: String,
}

#[derive(Args)]
pub struct Run {
    /// Priorities of lines on standard output and on standard error
    #[arg(short, long, value_name = "OUT,ERR", value_parser = priorities, default_value = "info,err")]
    pub priority: Priorities,
    /// The log
    #[arg(value_name = "LOG")]
    pub log: String,
    /// The command
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Args)]
pub struct Wait {
    /// Time limit, such as 30s or 5min (default: none)
    #[arg(
        short,
        long,
        value_name = "DURATION",
        value_parser = crate::time_spec::duration,
        allow_hyphen_values = true
    )]
    pub timeout: Option<std::time::Duration>,
    /// Only records that are written from now on
    #[arg(long, conflicts_with_all = ["since", "all"])]
    pub new: bool,
    #[command(flatten)]
    pub filter: Filter,
    #[command(flatten)]
    pub output: Output,
    /// Logs
    #[arg(value_name = "LOG")]
    pub logs: Vec<String>,
}

#[derive(Args)]
pub struct Info {
    /// Print a line of JSON for each log
    #[arg(short, long)]
    pub json: bool,
    /// Logs (default: all)
    #[arg(value_name = "LOG")]
    pub logs: Vec<String>,
}

/// Returns the logs with these names, or the default log.
pub fn named(names: &[String]) -> Vec<Log> {
    let mut logs: Vec<Log> = names.iter().map(Log::named).collect();
    if logs.is_empty() {
        logs.push(Log::default());
    }
    // A log that is named twice is shown once.
    let mut seen = std::collections::HashSet::new();
    logs.retain(|log| seen.insert(log.clone()));
    logs
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Time, command and text, for people
    Short,
    /// The same with the time in ISO 8601
    Iso,
    /// An object for each line
    Json,
    /// Only the text
    Cat,
    /// The text after its priority, <N>
    Raw,
    /// The text format of the device
    Kmsg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimeFormat {
    /// Local time
    Local,
    /// Universal time, in ISO 8601
    Utc,
    /// Seconds since the system was started, without suspend
    Monotonic,
    /// Seconds since the record before
    Relative,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A number of records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    All,
    Last(usize),
}

pub fn lines(text: &str) -> Result<Lines, String> {
    match text {
        "all" => Ok(Lines::All),
        _ => {
            let bad = |_| "must be a number of records, or \"all\"".to_owned();
            text.parse().map(Lines::Last).map_err(bad)
        }
    }
}

pub fn levels(text: &str) -> Result<RangeInclusive<Level>, String> {
    match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (first.parse()?, last.parse()?);
            Ok(Level::min(first, last)..=Level::max(first, last))
        }
        None => Ok(Level::Emerg..=text.parse()?),
    }
}

/// Parses a user name or number. Reads the file instead of calling getpwnam(3), which a static
/// program cannot use.
fn user(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    users
        .lines()
        .filter_map(|line| line.strip_prefix(text)?.strip_prefix(':'))
        .find_map(|rest| rest.split(':').nth(1)?.parse().ok())
        .ok_or_else(|| format!("/etc/passwd has no user \"{text}\"; give the number"))
}

/// The priorities of the two outputs of a command.
#[derive(Clone, Copy)]
pub struct Priorities {
    pub out: Priority,
    pub err: Priority,
}

pub fn priorities(text: &str) -> Result<Priorities, String> {
    let (out, err) = text.split_once(',').unwrap_or((text, text));
    Ok(Priorities { out: Priority::from_str(out)?, err: Priority::from_str(err)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_screen() {
        let help = Cli::command().render_help().to_string();
        assert!(help.lines().count() <= 45, "{} lines:\n{help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }

    #[test]
    fn manual_page_has_all_options() {
        let page = include_str!("../../../dist/man/umsg.1");
        let command = Cli::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            assert!(
                page.contains(&format!("Cm {}", command.get_name()))
                    || command.get_name() == "umsg"
                    || page.contains(&format!(", {}", command.get_name())),
                "{}",
                command.get_name()
            );
            for option in command.get_arguments().filter_map(|option| option.get_long()) {
                assert!(page.contains(&format!("Fl -{option}")), "umsg.1 has no --{option}");
            }
        }
    }

    #[test]
    fn levels_and_ranges() {
        assert_eq!(levels("err"), Ok(Level::Emerg..=Level::Err));
        assert_eq!(levels("err..notice"), Ok(Level::Err..=Level::Notice));
        assert_eq!(levels("6..4"), Ok(Level::Warning..=Level::Info));
        assert!(["", "..", "err..", "8", "user.err"].into_iter().all(|bad| levels(bad).is_err()));
    }
}
