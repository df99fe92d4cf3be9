// SPDX-License-Identifier: GPL-2.0

//! One log as a thread knows it, with the file of it that the thread audits.

use crate::abi::{ioctl_info, ioctl_set_options, ioctl_set_style, Info, BINARY_READ, LINES};
use crate::audit::{check_info, Audit};
use crate::module::Parameters;
use crate::shared::Writes;
use crate::stream::Stream;
use crate::tally::Tally;
use crate::worker::{Round, Thread};
use nix::errno::Errno;

/// How many records a thread remembers.
pub const SAMPLES: usize = 16;

/// A record that was read: its number, and its time, in whole microseconds if it was read as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub seq: u64,
    pub time_ns: u64,
}

/// The log that a call goes to, and the audited file: the thread's own, which no other thread or
/// process uses.
pub struct Target {
    /// Those of the module, with what is different for this log.
    pub parameters: Parameters,
    /// The account of what is written to the log.
    pub writes: &'static Writes,
    pub audit: Audit,
    /// What is written to the audited file in the style `lines`; `None` if that is not known.
    pub stream: Option<Stream>,
    /// What was counted of the records that the stream has yet to store.
    pub pending: Tally,
    /// The audited file was opened with the effective user id of nobody.
    pub opener_nobody: bool,
    /// A reader of the log in binary format, for what the thread itself has written.
    pub checker: i32,
    /// Some records that the thread has read.
    pub samples: [Sample; SAMPLES],
    /// The last state of the log that the thread has seen.
    info: Info,
}

impl Target {
    /// The default log, of which the audited file is yet to be opened.
    pub fn default_log(round: &Round) -> Self {
        let checker = checker();
        let info = info_of(checker);
        Self {
            parameters: round.parameters,
            writes: &round.shared.writes,
            audit: Audit::opened(&info, &info, true, round.parameters.style),
            stream: Some(Stream::default()),
            pending: Tally::default(),
            opener_nobody: false,
            checker,
            samples: Default::default(),
            info,
        }
    }
}

impl Thread {
    /// Returns the state of the log, checked against the last one.
    pub fn info(&mut self) -> Info {
        let info = info_of(self.target.checker);
        self.check_info(info);
        info
    }

    /// Checks a state of the log that was taken now.
    pub fn check_info(&mut self, info: Info) {
        check_info(&info, &self.target.info, &self.target.parameters);
        self.target.info = info;
    }
}

/// Opens a reader in binary format.
fn checker() -> i32 {
    let (style, options) = (LINES, BINARY_READ);
    // SAFETY: A string and numbers; `style` and `options` are what the commands read.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let fd = libc::open(c"/dev/umsg".as_ptr(), flags);
        assert!(fd >= 0, "open: {}", Errno::last());
        ioctl_set_style(fd, &style).expect("UMSG_IOC_SET_STYLE");
        ioctl_set_options(fd, &options).expect("UMSG_IOC_SET_OPTIONS");
        fd
    }
}

/// The state of the log, by a file of it.
pub fn info_of(fd: i32) -> Info {
    let mut info = Info {
        reserved: [!0; 4],
        reserved_word: !0,
        record_max: !0,
        policy: !0,
        style: !0,
        ..Info::default()
    };
    // SAFETY: `info` is what the command writes.
    unsafe { ioctl_info(fd, &mut info) }.expect("UMSG_IOC_INFO");
    info
}
