// SPDX-License-Identifier: GPL-2.0

//! The program `umsg`: shows, writes and manages the logs of the kernel module umsg. See umsg(1).

#[cfg(test)]
mod argument_tests;
mod cli;
mod clock;
mod escape;
mod fields;
mod filter;
mod follow;
mod format;
mod info;
mod kernel_log;
mod merge;
mod output;
mod run;
mod show;
mod state;
mod terminal;
mod time_spec;
mod wait;
mod write;

use clap::error::ContextKind;
use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use umsg::Log;

/// The result of a command: its exit status.
type Result<T = ExitCode> = std::result::Result<T, Box<dyn Error>>;

/// The exit status if no record matches, or a time limit has passed.
const NOTHING: u8 = 1;
/// The exit status after an error.
const FAILED: u8 = 2;

fn run(cli: Cli) -> Result {
    match cli.command {
        None => show::show(&cli.show),
        Some(Command::Write(arguments)) => write::write(&arguments),
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Wait(arguments)) => wait::wait(&arguments),
        Some(Command::Info(arguments)) => info::info(&arguments),
        Some(Command::Add { logs }) => kernel_log::explain(&logs, Log::add),
        Some(Command::Remove { logs }) => kernel_log::explain(&logs, Log::remove),
        Some(Command::Clear { logs }) => {
            // All are opened first, so that a wrong name clears nothing.
            for log in cli::named(&logs) {
                log.writer()?;
            }
            for log in cli::named(&logs) {
                log.clear()?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "umsg", &mut text);
            io::stdout().write_all(&text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn main() -> ExitCode {
    let is_run = env::args_os().nth(1).is_some_and(|command| command == "run");
    // As env(1) and timeout(1): the other numbers are those of the command.
    let failed = if is_run { 125 } else { FAILED };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut error) => {
            // Its tip is "--", after which the names of logs follow.
            error.remove(ContextKind::Suggested);
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { failed } else { 0 });
        }
    };
    let hint = match cli.command {
        None => " (for commands, see umsg --help)",
        Some(Command::Write(_)) => " (a text follows -m)",
        _ => "",
    };
    match run(cli) {
        Ok(status) => status,
        // The reader of the output has seen enough.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            let hint = match error.downcast_ref() {
                Some(umsg::Error::NoLog { .. }) => hint,
                _ => "",
            };
            eprintln!("umsg: {error}{hint}");
            ExitCode::from(failed)
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
