// SPDX-License-Identifier: GPL-2.0

//! Runs a command with its output in a log.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use umsg::Log;

use crate::{cli, write, Result};

/// Replaces this process by the command, whose standard output and standard error are files of the
/// log. No process is in between: the records have the identity of the command, and its exit status
/// is that of this call.
pub fn run(options: &cli::Run) -> Result {
    let log = Log::named(&options.log);
    let (name, arguments) = options.command.split_first().ok_or("no command")?;
    let out = write::open(&log, options.priority.out)?;
    let err = write::open(&log, options.priority.err)?;
    // exec() replaces standard error before it fails.
    let mut terminal = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let error = Command::new(name).args(arguments).stdout(out).stderr(err).exec();
    // There is no other place for an error of this write.
    let _ = writeln!(terminal, "umsg: cannot run {}: {error}", name.to_string_lossy());
    let status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    Ok(ExitCode::from(status))
}
