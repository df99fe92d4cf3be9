// SPDX-License-Identifier: GPL-2.0

//! The log that a thread's calls use, and the thread's audited file of that log.

use crate::abi::{ioctl_info, ioctl_set_options, ioctl_set_style, Info, BINARY_READ, LINES};
use crate::audit::{check_info, Audit};
use crate::module::Parameters;
use crate::shared::Writes;
use crate::stream::Stream;
use crate::tally::Tally;
use crate::worker::{Round, Thread};
use nix::errno::Errno;
use std::ffi::CString;

/// The number of read records that a thread remembers.
pub const SAMPLES: usize = 16;

/// The sequence number and the time of a record that was read. The time is in whole microseconds if
/// the record was read as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub seq: u64,
    pub time_ns: u64,
}

/// A log, and a file of it that no other thread or process uses: the audited file.
pub struct Target {
    /// The parameters of the module, with the capacity, policy, mode and style of this log.
    pub parameters: Parameters,
    /// The number of the log in `logs::Table`; 0 for the default log.
    pub tag: u16,
    /// The account of all writes to the log.
    pub writes: &'static Writes,
    pub audit: Audit,
    /// The model of the audited file's stream of lines; `None` if its state is not known.
    pub stream: Option<Stream>,
    /// The records that are already counted, but that the stream has not stored yet.
    pub pending: Tally,
    /// The effective user id of the thread that opened the audited file was 65534.
    pub opener_nobody: bool,
    /// A reader of the log in binary format, for checks.
    pub checker: i32,
    /// Some records that the thread has read.
    pub samples: [Sample; SAMPLES],
    /// The last state of the log that the thread has read.
    info: Info,
}

impl Target {
    /// Returns the default log, whose audited file is not open yet.
    pub fn default_log(round: &Round) -> Self {
        Self::new(0, round.parameters, &round.shared.writes, checker("/dev/umsg"))
    }

    /// Returns the log `tag`, whose audited file is not open yet.
    pub fn new(tag: u16, parameters: Parameters, writes: &'static Writes, checker: i32) -> Self {
        let info = info_of(checker);
        Self {
            parameters,
            tag,
            writes,
            audit: Audit::opened(&info, &info, true, parameters.style),
            stream: Some(Stream::default()),
            pending: Tally::default(),
            opener_nobody: false,
            checker,
            samples: Default::default(),
            info,
        }
    }

    /// Records that the audited file was opened after `before` and before `after`. `nobody` is true
    /// if the effective user id of the thread was 65534.
    pub fn opened(&mut self, before: &Info, after: &Info, flags: i32, nobody: bool) {
        let nonblocking = flags & libc::O_NONBLOCK != 0;
        self.audit = Audit::opened(before, after, nonblocking, self.parameters.style);
        self.opener_nobody = nobody;
    }
}

impl Thread {
    /// Returns the state of the log, after a comparison with the last one.
    pub fn info(&mut self) -> Info {
        let info = info_of(self.target.checker);
        self.check_info(info);
        info
    }

    /// Checks a state of the log that has just been read.
    pub fn check_info(&mut self, info: Info) {
        check_info(&info, &self.target.info, &self.target.parameters);
        self.target.info = info;
    }
}

/// Opens a reader in binary format.
pub fn checker(path: &str) -> i32 {
    let path = CString::new(path).expect("no zero byte");
    let (style, options) = (LINES, BINARY_READ);
    // SAFETY: The path is a NUL-terminated string. The commands read `style` and `options`.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let fd = libc::open(path.as_ptr(), flags);
        assert!(fd >= 0, "open {path:?}: {}", Errno::last());
        ioctl_set_style(fd, &style).expect("UMSG_IOC_SET_STYLE");
        ioctl_set_options(fd, &options).expect("UMSG_IOC_SET_OPTIONS");
        fd
    }
}

/// Returns the state of the log of the file `fd`.
pub fn info_of(fd: i32) -> Info {
    let mut info = Info {
        reserved: [!0; 4],
        reserved_word: !0,
        record_max: !0,
        policy: !0,
        style: !0,
        ..Info::default()
    };
    // SAFETY: The command writes to `info`.
    unsafe { ioctl_info(fd, &mut info) }.expect("UMSG_IOC_INFO");
    info
}
