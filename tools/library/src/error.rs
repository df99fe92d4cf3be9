// SPDX-License-Identifier: GPL-2.0

//! Errors, with messages for users.

use nix::errno::Errno;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::Log;

/// The result of a call of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call. Its message has the reason and the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The module is not loaded.
    NoModule,
    /// There is no log with this device node.
    NoLog {
        /// The path of the node.
        path: PathBuf,
        /// The names of the logs that there are.
        logs: Vec<String>,
    },
    /// There is such a log, but the path has no node, or that of a device that is gone.
    NoNode {
        /// The path of the node.
        path: PathBuf,
        /// Major and minor number of the device, with a colon in between.
        device: String,
    },
    /// The file at the path of the node is not a log.
    NotALog {
        /// The path.
        path: PathBuf,
        /// The kind of the file.
        kind: &'static str,
    },
    /// The permissions of the node do not allow it.
    Denied {
        /// The path of the node.
        path: PathBuf,
        /// Permission bits, owner and group of the node; `None` if they cannot be read.
        owner: Option<Owner>,
    },
    /// Only root, by a capability, can do it.
    NotRoot {
        /// The action, as a verb.
        action: &'static str,
        /// The path of the node.
        path: PathBuf,
        /// The capability.
        capability: &'static str,
    },
    /// The default log exists as long as the module is loaded.
    DefaultLog,
    /// The loaded module is older than this library and lacks a function.
    OldModule {
        /// The ioctl that it lacks.
        ioctl: &'static str,
        /// The version of the module, if `/sys` shows it.
        version: Option<String>,
    },
    /// The log is full, and its policy is to stop.
    Full {
        /// The path of the node.
        path: PathBuf,
    },
    /// A text is longer than the log's limit.
    TooLong {
        /// Length of the text in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The module rejected a change of the logs.
    Rejected {
        /// The change, as it was written to the parameter `logs`.
        change: String,
        /// The error of the write.
        source: io::Error,
    },
    /// Another failed system call.
    Io {
        /// The action, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the call.
        source: io::Error,
    },
}

/// Permission bits, owner and group of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Permission bits.
    pub mode: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Error {
    /// Returns the error of a failed open of a node.
    pub(crate) fn open(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match errno(&source) {
            Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => Self::absent(path),
            Errno::EACCES | Errno::EPERM => {
                let owner = fs::metadata(&path).ok().map(|node| Owner {
                    mode: node.mode() & 0o777,
                    uid: node.uid(),
                    gid: node.gid(),
                });
                Self::Denied { path, owner }
            }
            errno => Self::Io { action: "open", path, source: errno.into() },
        }
    }

    /// Returns the error for a node that does not exist or has no driver.
    fn absent(path: PathBuf) -> Self {
        if !Log::is_loaded() {
            return Self::NoModule;
        }
        let logs = Log::list().unwrap_or_default();
        if logs.iter().any(|log| log.path() == path) {
            let class = Path::new("/sys/class/misc").join(path.file_name().unwrap_or_default());
            let device = fs::read_to_string(class.join("dev")).unwrap_or_default();
            return Self::NoNode { path, device: device.trim().to_owned() };
        }
        Self::NoLog { path, logs: logs.iter().map(|log| log.name().into_owned()).collect() }
    }

    /// Returns the error for a file that is not a log.
    pub(crate) fn not_a_log(path: &Path, file: &Metadata) -> Self {
        let kind = match file.file_type() {
            kind if kind.is_file() => "a regular file",
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a named pipe",
            kind if kind.is_char_device() => "another device",
            kind if kind.is_block_device() => "a block device",
            _ => "not a device",
        };
        Self::NotALog { path: path.to_owned(), kind }
    }

    /// Returns the error of a failed ioctl on the node `path`. `ENOTTY` means that the module lacks
    /// it.
    pub fn ioctl(path: &Path, ioctl: &'static str, errno: Errno) -> Self {
        if errno == Errno::ENOTTY {
            let version = fs::read_to_string("/sys/module/umsg/version").ok();
            Self::OldModule { ioctl, version: version.map(|text| text.trim().to_owned()) }
        } else {
            Self::Io { action: ioctl, path: path.to_owned(), source: errno.into() }
        }
    }

    /// Returns the error number of the system call, if it is one of the kinds that have one.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } | Self::Rejected { source, .. } => source.raw_os_error(),
            Self::NoModule | Self::NoLog { .. } | Self::NoNode { .. } => Some(Errno::ENOENT as i32),
            Self::NotALog { .. } => Some(Errno::ENODEV as i32),
            Self::Denied { .. } => Some(Errno::EACCES as i32),
            Self::NotRoot { .. } => Some(Errno::EPERM as i32),
            Self::DefaultLog => Some(Errno::EBUSY as i32),
            Self::OldModule { .. } => Some(Errno::ENOTTY as i32),
            Self::Full { .. } => Some(Errno::ENOSPC as i32),
            Self::TooLong { .. } => Some(Errno::EMSGSIZE as i32),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModule => write!(f, "the module umsg is not loaded: modprobe umsg"),
            Self::NoLog { path, logs } => {
                let name = Log::named(path.to_string_lossy());
                write!(f, "there is no log {name}; the logs are: {}", logs.join(", "))
            }
            Self::NoNode { path, device } => write!(
                f,
                "{path} is not the node of the log {} here: bind that into the container, or make \
                 it as root (rm -f {path} && mknod {path} c {})",
                Log::named(path.to_string_lossy()),
                device.replace(':', " "),
                path = path.display(),
            ),
            Self::NotALog { path, kind } => {
                write!(f, "{} is {kind}, not a log", path.display())?;
                // Only a file that has the place of a node is in the way. Other paths are the names
                // of their logs.
                if !Log::named(path.to_string_lossy()).name().contains('/') {
                    write!(
                        f,
                        ": remove it (rm {}) and load the module again \
                         (modprobe -r umsg && modprobe umsg)",
                        path.display()
                    )?;
                }
                Ok(())
            }
            Self::Denied { path, owner: Some(owner) } => {
                write!(f, "no permission for {}, which {owner}", path.display())
            }
            Self::Denied { path, owner: None } => write!(f, "no permission for {}", path.display()),
            Self::NotRoot { action, path, capability } => {
                write!(f, "only root can {action} {} (capability {capability})", path.display())
            }
            Self::DefaultLog => write!(
                f,
                "the default log cannot be removed, it exists as long as the module is loaded"
            ),
            Self::OldModule { ioctl, version } => write!(
                f,
                "the loaded module umsg{} is too old, it lacks {ioctl}: load the installed one \
                 (modprobe -r umsg && modprobe umsg)",
                version.as_ref().map(|version| format!(" {version}")).unwrap_or_default()
            ),
            Self::Full { path } => write!(
                f,
                "the log {0} is full, and its policy is to stop: clear it (umsg clear {0})",
                Log::named(path.to_string_lossy())
            ),
            Self::TooLong { len, max } => write!(
                f,
                "a text of {len} bytes is longer than the limit of the log, {max} bytes \
                 (parameter record_max)"
            ),
            Self::Rejected { change, source } => {
                write!(f, "the module rejected \"{change}\" ({source}); dmesg has the reason")
            }
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Rejected { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = error
            .raw_os_error()
            .map_or(io::ErrorKind::Other, |number| io::Error::from_raw_os_error(number).kind());
        Self::new(kind, error)
    }
}

/// Describes the permissions of each class, such as `root may read and write, group adm may read`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = name_in("/etc/passwd", self.uid);
        let group = format!("the group {}", name_in("/etc/group", self.gid));
        let classes =
            [(user, self.mode >> 6), (group, self.mode >> 3), ("others".into(), self.mode)];
        let mut separator = "";
        for (name, bits) in classes {
            let verbs = match bits & 0o6 {
                0o6 => "read and write",
                0o4 => "read",
                0o2 => "write",
                _ => continue,
            };
            write!(f, "{separator}{name} may {verbs}")?;
            separator = ", and which ";
        }
        if separator.is_empty() {
            write!(f, "no user may read or write")?;
        }
        Ok(())
    }
}

/// Returns the error number of a failed system call.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// Returns the name with the number `id` in a file with the format of passwd(5), or the number.
/// Reads the file instead of calling getpwuid(3), which a static program cannot use.
fn name_in(file: &str, id: u32) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let number = id.to_string();
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&number.as_str()))
        .map_or(number.clone(), |fields| fields[0].to_owned())
}
