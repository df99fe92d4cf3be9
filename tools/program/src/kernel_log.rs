// SPDX-License-Identifier: GPL-2.0

//! The module's own messages, in the kernel log.

use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use umsg::Error;

use crate::Result;

/// Opens the kernel log, after its newest message.
fn open() -> Option<File> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open("/dev/kmsg")
        .ok()?;
    log.seek(SeekFrom::End(0)).ok()?;
    Some(log)
}

/// Returns the last message of the module about its logs.
fn reason(log: &mut File) -> Option<String> {
    let mut message = vec![0; 8192];
    let mut reason = None;
    // A read returns one message, and fails after the last one.
    while let Ok(len @ 1..) = log.read(&mut message) {
        let text = String::from_utf8_lossy(&message[..len]);
        let text = text.split_once(';').map_or("", |(_, text)| text);
        if let Some(text) = text.lines().next().and_then(|line| line.strip_prefix("umsg: logs=")) {
            // The reason follows the change.
            reason = text.split_once(": ").map(|(_, reason)| reason.to_owned());
        }
    }
    reason
}

/// Changes logs, one after the other, up to the first one that the module rejects. The error has
/// the reason that the module logged.
pub fn explain(logs: &[String], change: fn(&str) -> umsg::Result<()>) -> Result {
    for log in logs {
        let kernel_log = open();
        match (change(log), kernel_log) {
            (Ok(()), _) => {}
            (Err(Error::Rejected { change, source }), Some(mut kernel_log)) => {
                return match reason(&mut kernel_log) {
                    Some(reason) => Err(format!("{change}: {reason}").into()),
                    None => Err(Error::Rejected { change, source }.into()),
                };
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}
