// SPDX-License-Identifier: GPL-2.0

//! Writes lines to a log.

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use umsg::{abi, Error, Log, Priority};

use crate::{cli, Result};

/// Bytes of a line that are read at once.
const CHUNK: u64 = 64 << 10;

/// Opens a log for lines with a priority.
pub fn open(log: &Log, priority: Priority) -> umsg::Result<File> {
    let file = log.open(OpenOptions::new().write(true))?;
    let failed = |action| move |errno| Error::ioctl(log.path(), action, errno);
    abi::set_style(&file, abi::LINES).map_err(failed("UMSG_IOC_SET_STYLE"))?;
    if priority != Priority::default() {
        let number = priority.number().into();
        abi::set_priority(&file, number).map_err(failed("UMSG_IOC_SET_PRIORITY"))?;
    }
    // A command that gets the file expects it to be blocking.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).map_err(failed("set the flags of"))?;
    Ok(file)
}

/// Writes standard input or the text of the arguments.
pub fn write(options: &cli::Write) -> Result {
    let log = Log::named(&options.log);
    let mut file = open(&log, options.priority)?;
    let tag = options.tag.as_deref();
    let result = match &options.message {
        Some(text) => copy(text.as_bytes(), &mut file, tag),
        None => copy(io::stdin().lock(), &mut file, tag),
    };
    let path = log.path().to_owned();
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Failed::Read(error)) => Err(format!("cannot read standard input: {error}").into()),
        Err(Failed::Write(error)) if error.kind() == io::ErrorKind::StorageFull => {
            Err(Error::Full { path }.into())
        }
        Err(Failed::Write(source)) => Err(Error::Io { action: "write to", path, source }.into()),
    }
}

/// The error of a copy.
#[derive(Debug)]
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

/// Copies lines, each with the tag after its prefix. The last line is ended, so that an error of
/// the log is not hidden by the close of the file.
fn copy(
    mut input: impl BufRead,
    output: &mut impl Write,
    tag: Option<&str>,
) -> std::result::Result<(), Failed> {
    let mut chunk = Vec::new();
    let mut in_line = false;
    loop {
        chunk.clear();
        let read = input.by_ref().take(CHUNK).read_until(b'\n', &mut chunk);
        if read.map_err(Failed::Read)? == 0 {
            break;
        }
        if let (Some(tag), false) = (tag, in_line) {
            let at = prefix_len(&chunk);
            chunk.splice(at..at, format!("{tag}: ").into_bytes());
        }
        in_line = !chunk.ends_with(b"\n");
        output.write_all(&chunk).map_err(Failed::Write)?;
    }
    if in_line {
        output.write_all(b"\n").map_err(Failed::Write)?;
    }
    Ok(())
}

/// Returns the length of the prefix `<N>` of a line, with a number that is a priority.
fn prefix_len(line: &[u8]) -> usize {
    let Some(end) = line.iter().take(6).position(|byte| *byte == b'>') else { return 0 };
    let number =
        line.strip_prefix(b"<").and_then(|line| std::str::from_utf8(&line[..end - 1]).ok());
    match number {
        Some(number)
            if number.bytes().all(|digit| digit.is_ascii_digit())
                && number.parse().is_ok_and(|number| Priority::from_number(number).is_some()) =>
        {
            end + 1
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_prefixes() {
        for (line, len) in [
            ("text", 0),
            ("", 0),
            ("<", 0),
            (">", 0),
            ("<>", 0),
            ("<11>text", 4),
            ("<0>", 3),
            ("<2047>x", 6),
            ("<2048>x", 0),
            ("<0011>x", 6),
            ("<00011>x", 0),
            ("<+1>x", 0),
            ("<11", 0),
            ("a<11>", 0),
        ] {
            assert_eq!(prefix_len(line.as_bytes()), len, "{line}");
        }
        let mut out = Vec::new();
        copy(&b"one\n<3>two\n\nlast"[..], &mut out, Some("tag")).expect("memory");
        assert_eq!(out, b"tag: one\n<3>tag: two\ntag: \ntag: last\n");
        let long = vec![b'x'; 3 * CHUNK as usize + 1];
        let mut out = Vec::new();
        copy(&long[..], &mut out, Some("tag")).expect("memory");
        assert_eq!(out.len(), 5 + long.len() + 1);
    }
}
