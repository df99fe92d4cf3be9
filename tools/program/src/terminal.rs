// SPDX-License-Identifier: GPL-2.0

//! The terminal, and the pager on it.

use nix::libc::c_int;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::cli::When;

/// Where the output goes.
pub enum Sink {
    /// Standard output, without a buffer.
    Stdout(File),
    /// The pager and its standard input.
    Pager(Child, ChildStdin),
}

impl Sink {
    /// Starts the pager if `pager` is set and standard output is a terminal, and otherwise returns
    /// standard output. The pager is that of the environment variable `UMSG_PAGER` or `PAGER`, or
    /// else less(1). An empty variable means none.
    pub fn new(pager: bool) -> io::Result<Self> {
        let variable = ["UMSG_PAGER", "PAGER"].into_iter().find_map(|name| env::var(name).ok());
        let command = variable.unwrap_or_else(|| "less".to_owned());
        if pager && io::stdout().is_terminal() && !command.is_empty() && command != "cat" {
            // Without the pager, the output goes to the terminal.
            let script = format!("command -v {command} >/dev/null && exec {command}; exec cat");
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(script).stdin(Stdio::piped());
            if env::var_os("LESS").is_none() {
                // The options of journalctl(1).
                shell.env("LESS", "FRSXMK");
            }
            let mut child = shell.spawn()?;
            if let Some(input) = child.stdin.take() {
                return Ok(Self::Pager(child, input));
            }
        }
        Ok(Self::Stdout(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }

    /// Writes all of `data`.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(file) => file.write_all(data),
            Self::Pager(_, input) => input.write_all(data),
        }
    }

    /// Waits until the reader of a pipe or of a Unix socket has read everything. Other files are
    /// read when they are written.
    ///
    /// # Errors
    ///
    /// `EPIPE`: the reader has closed its end, and perhaps has not read everything.
    pub fn wait_until_read(&self) -> io::Result<()> {
        let fd = self.fd();
        let file_type = File::from(fd.try_clone_to_owned()?).metadata()?.file_type();
        if !file_type.is_fifo() && !file_type.is_socket() {
            return Ok(());
        }
        // No event says that a pipe is empty. The pauses grow up to a hundredth of a second.
        for pause in (0..).map(|round: u32| Duration::from_micros(100 << round.min(7))) {
            let unread = if file_type.is_fifo() {
                rustix::io::ioctl_fionread(fd)? > 0
            } else {
                unread_by_peer(fd)? > 0
            };
            // The data in a socket is freed when its reader ends, but not the data in a pipe.
            let closed = (unread || file_type.is_socket()) && is_closed(fd)?;
            if closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if !unread {
                break;
            }
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Waits for the end of the pager.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::Pager(mut child, input) => {
                drop(input);
                child.wait().map(drop)
            }
        }
    }

    /// Returns the descriptor that is written to.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout(file) => file.as_fd(),
            Self::Pager(_, input) => input.as_fd(),
        }
    }
}

/// Returns whether the other end of a pipe or socket was closed.
fn is_closed(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut files = [PollFd::new(fd, PollFlags::empty())];
    poll(&mut files, PollTimeout::ZERO)?;
    Ok(files[0].any().unwrap_or(false))
}

/// Returns an amount of memory that is 0 if the peer of a Unix socket has read everything.
fn unread_by_peer(socket: BorrowedFd<'_>) -> io::Result<c_int> {
    let mut unread = 0;
    // SAFETY: The ioctl stores an int.
    #[allow(unsafe_code)]
    unsafe { raw::unread(socket.as_raw_fd(), &mut unread) }?;
    Ok(unread)
}

/// The ioctl `SIOCOUTQ`, for which rustix and nix have no function.
#[allow(unsafe_code)]
mod raw {
    nix::ioctl_read_bad!(unread, nix::libc::TIOCOUTQ, nix::libc::c_int);
}

/// Returns whether the output has colours. The environment variable `NO_COLOR` turns them off on a
/// terminal.
pub fn color(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            io::stdout().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && env::var("TERM").is_ok_and(|term| term != "dumb")
        }
    }
}
