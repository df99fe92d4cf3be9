// SPDX-License-Identifier: GPL-2.0

//! Logs, by name.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{abi, Error, Info, Reader, Result, Writer};

/// The parameter that holds the list of named logs. Changes are written to it.
const PARAMETER: &str = "/sys/module/umsg/parameters/logs";

/// A log, by the path of its device node.
///
/// [`Log::default`] is the log that always exists, `/dev/umsg`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    path: PathBuf,
}

impl Default for Log {
    fn default() -> Self {
        Self { path: "/dev/umsg".into() }
    }
}

impl Log {
    /// Returns the named log, `/dev/umsg-NAME`. The name `umsg` is that of the default log, and a
    /// name that contains `/` is the path of a node.
    pub fn named(name: impl AsRef<str>) -> Self {
        match name.as_ref() {
            "" | "umsg" => Self::default(),
            path if path.contains('/') => Self { path: path.into() },
            name => Self { path: format!("/dev/umsg-{name}").into() },
        }
    }

    /// Returns the path of the device node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name with which [`Log::named`] finds the log.
    pub fn name(&self) -> Cow<'_, str> {
        let path = self.path.to_string_lossy();
        match path.strip_prefix("/dev/umsg") {
            Some("") => "umsg".into(),
            Some(name) if name.starts_with('-') && !name.contains('/') && name != "-umsg" => {
                name[1..].to_owned().into()
            }
            _ => path,
        }
    }

    /// Returns whether the module is loaded or built in.
    pub fn is_loaded() -> bool {
        Path::new("/sys/module/umsg").exists() || Path::new("/sys/class/misc/umsg").exists()
    }

    /// Returns all logs: the default one, then the others by name.
    ///
    /// # Errors
    ///
    /// [`Error::NoModule`]: the module is not loaded.
    pub fn list() -> Result<Vec<Self>> {
        if !Self::is_loaded() {
            return Err(Error::NoModule);
        }
        let class = Path::new("/sys/class/misc");
        let failed = |source| Error::Io { action: "list", path: class.to_owned(), source };
        let mut logs = Vec::new();
        for device in fs::read_dir(class).map_err(failed)? {
            let device = device.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if device == "umsg" || device.starts_with("umsg-") {
                logs.push(Self { path: Path::new("/dev").join(device) });
            }
        }
        logs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(logs)
    }

    /// Adds a log while the module is loaded. `log` is a name with options after it, in the form of
    /// the module's parameter `logs`, such as `box:64K:kmsg`.
    ///
    /// # Errors
    ///
    /// - [`Error::Rejected`]: the name or an option is invalid, or the log exists.
    /// - [`Error::NoModule`], and [`Error::Denied`] without root's permissions.
    pub fn add(log: &str) -> Result<()> {
        change('+', log)
    }

    /// Removes a log, by its name or the path of its node. Files that are open stay valid until
    /// they are closed.
    ///
    /// # Errors
    ///
    /// As [`Log::add`]; [`Error::DefaultLog`] for the default log.
    pub fn remove(name: &str) -> Result<()> {
        match name.strip_prefix("/dev/umsg-") {
            Some(name) => change('-', name),
            None if Self::named(name) == Self::default() && Self::is_loaded() => {
                Err(Error::DefaultLog)
            }
            None => change('-', name),
        }
    }

    /// Opens the log for reading. The read position is before the oldest record.
    ///
    /// # Errors
    ///
    /// [`Error::NoModule`], [`Error::NoLog`], [`Error::NoNode`], [`Error::NotALog`],
    /// [`Error::Denied`], [`Error::OldModule`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::new(self, self.open(OpenOptions::new().read(true))?)
    }

    /// Opens the log for writing.
    ///
    /// # Errors
    ///
    /// As [`Log::reader`].
    pub fn writer(&self) -> Result<Writer> {
        Writer::new(self, self.open(OpenOptions::new().write(true))?)
    }

    /// Opens the device node with `options`, non-blocking, after checking that it is one.
    ///
    /// # Errors
    ///
    /// As [`Log::reader`].
    pub fn open(&self, options: &mut OpenOptions) -> Result<File> {
        let path = &self.path;
        // A plain file is recognised before it is opened, because a named pipe blocks a writer.
        let check = |file: &fs::Metadata| match file.file_type().is_char_device() {
            true => Ok(()),
            false => Err(Error::not_a_log(path, file)),
        };
        check(&fs::metadata(path).map_err(|error| Error::open(path, error))?)?;
        let file = options
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path)
            .map_err(|error| Error::open(path, error))?;
        let metadata = file.metadata().map_err(|error| Error::open(path, error))?;
        check(&metadata)?;
        match abi::info(&file) {
            Ok(_) => Ok(file),
            Err(_) => Err(Error::not_a_log(path, &metadata)),
        }
    }

    /// Returns the state and the counters of the log.
    ///
    /// # Errors
    ///
    /// As [`Log::reader`].
    pub fn info(&self) -> Result<Info> {
        // Either permission is enough for the ioctl.
        let file = self
            .open(OpenOptions::new().read(true))
            .or_else(|_| self.open(OpenOptions::new().write(true)))?;
        abi::info(&file).map_err(|errno| Error::ioctl(&self.path, "UMSG_IOC_INFO", errno))
    }

    /// Marks all records as cleared: [`Position::Cleared`](crate::Position::Cleared) is the
    /// position after them, and a log that stops when it is full can overwrite them.
    ///
    /// # Errors
    ///
    /// As [`Log::writer`]; [`Error::NotRoot`] without the capability `CAP_SYSLOG`.
    pub fn clear(&self) -> Result<()> {
        let file = self.open(OpenOptions::new().write(true))?;
        abi::clear(&file).map_err(|errno| match errno {
            Errno::ENOTTY => Error::ioctl(&self.path, "UMSG_IOC_CLEAR", errno),
            Errno::EPERM => Error::NotRoot {
                action: "clear",
                path: self.path.clone(),
                capability: "CAP_SYSLOG",
            },
            errno => Error::Io { action: "clear", path: self.path.clone(), source: errno.into() },
        })
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// Writes a log with the sign `+` or `-` to the parameter.
fn change(sign: char, log: &str) -> Result<()> {
    if !Log::is_loaded() {
        return Err(Error::NoModule);
    }
    let change = format!("{sign}{log}");
    let mut file = OpenOptions::new()
        .write(true)
        .open(PARAMETER)
        .map_err(|error| Error::open(Path::new(PARAMETER), error))?;
    // One write, because each write is a change of its own.
    file.write_all(change.as_bytes()).map_err(|source| match source.raw_os_error() {
        Some(number) if number == Errno::EINVAL as i32 || number == Errno::ENOENT as i32 => {
            Error::Rejected { change: change.clone(), source }
        }
        _ => Error::Io { action: "change", path: PARAMETER.into(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        for (name, path) in [
            ("umsg", "/dev/umsg"),
            ("app", "/dev/umsg-app"),
            ("umsg-app", "/dev/umsg-umsg-app"),
            ("/dev/umsg-umsg", "/dev/umsg-umsg"),
            ("./node", "./node"),
        ] {
            assert_eq!(Log::named(name).path(), Path::new(path));
            assert_eq!(Log::named(name).name(), name);
        }
        assert_eq!(Log::named(""), Log::default());
        assert_eq!(Log::named("/dev/umsg-app").name(), "app");
    }
}
