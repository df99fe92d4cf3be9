// SPDX-License-Identifier: GPL-2.0

//! The calls of the fuzzer. A [`Call`] consists of numbers that depend only on the seed.
//!
//! A call names its file by a slot, not by a descriptor, and its memory by a [`Place`], not by an
//! address. Therefore a seed always gives the same calls, whichever descriptors and addresses the
//! kernel returns.

use crate::abi::{Info, MAGIC};

/// An index into the thread's table of files (`files.rs`).
pub type Slot = u8;

/// A place in memory to read from or write to (`arena.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Memory of the arena that is readable and writable.
    Good,
    /// This number of bytes before an inaccessible page.
    End(u16),
    ReadOnly,
    /// A page whose protection another thread may be changing.
    Shifty,
    /// A page that is missing until a helper thread resolves the fault.
    Stall,
    Null,
    /// Below the lowest address that can be mapped.
    Low,
    NonCanonical,
    /// A kernel address.
    Kernel,
    /// This number of bytes before the end of the user address range.
    TaskEnd(u8),
    Max,
}

/// A segment that is inserted among the good ones, or replaces a single good one.
#[derive(Clone, Copy, Debug)]
pub struct Bad {
    pub place: Place,
    pub len: usize,
    /// The number of good segments before it.
    pub at: u8,
}

/// The memory of one read or write: `len` good bytes, in `1 + cuts` segments if the call takes a
/// vector, and perhaps a bad segment.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub len: usize,
    pub offset: u16,
    pub cuts: [u16; 3],
    pub bad: Option<Bad>,
}

/// The content of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text that a reader can check (`seal.rs`), with a priority and a newline or without.
    Sealed { priority: Option<u16>, newline: bool },
    /// Any bytes, after the prefix that this number selects.
    Raw { prefix: u8 },
    /// Lines drawn from this seed (`lines.rs`).
    Lines { seed: u32 },
    /// The binary format: entries drawn from this seed (`entries.rs`).
    Entries { seed: u32 },
}

/// The argument of an ioctl, if it is in good memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Exact(u64),
    /// The sequence number of the oldest record, or the time 0, plus this number.
    Oldest(i32),
    /// The next sequence number, or the current time, plus this number.
    Next(i32),
    /// The sequence number or time of a record that the thread has read, plus this number.
    Seen(u8, i32),
    /// The sequence number or time of a record in the log, plus this number. The record is selected
    /// by its distance from the oldest one.
    Stored(u16, i32),
}

/// The system call of a read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Plain,
    Vector,
    At,
    VectorAt,
    VectorAtFlags,
    /// A vector whose own address is bad.
    VectorFrom(Place),
    /// A vector with this number of segments.
    Count(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Node,
    /// `/proc/self/fd/N` of a slot.
    Link(Slot),
}

/// The name of a log.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    /// This one of `logs::NAMES`.
    Exact(u8),
    /// This one of `logs::NAMES` or the next one that a log has or, if a log is to be added, that
    /// no log has.
    From(u8),
}

/// A write to the parameter `logs`, or to `record_max`.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Adds a log with fields drawn from this seed.
    Add(Name, u32),
    /// Adds the smallest log that holds a record of `record_max`, or one that is a page smaller.
    AddSmall(Name, bool),
    /// Adds a log with empty fields, so that the list is longer than its limit by this many bytes.
    AddLong(Name, i8),
    Remove(Name),
    /// A text that is always rejected.
    Refused(u8, Name),
    /// This number of bytes.
    Endless(u16),
    /// A value of `record_max`, which is valid or invalid with the current logs.
    RecordMax(u8),
}

/// The way in which a named log is opened.
#[derive(Clone, Copy, Debug)]
pub enum Opening {
    /// While logs may be added and removed.
    Racing,
    /// While no log is added or removed.
    Still,
    /// By the minor number that a log of this round has or had, while no log is added or removed.
    Number(u16),
}

#[derive(Clone, Copy, Debug)]
pub enum Waiting {
    Poll,
    Ppoll,
    Select,
}

#[derive(Clone, Copy, Debug)]
pub enum Transfer {
    SpliceIn,
    SpliceOut,
    Tee,
    SendfileIn,
    SendfileOut,
    CopyIn,
    CopyOut,
}

#[derive(Clone, Copy, Debug)]
pub enum Attribute {
    Stat,
    Sync,
    DataSync,
    Truncate,
    Allocate,
    ReadAhead,
    Advise,
    SyncRange,
    Flock,
    FdInfo,
}

#[derive(Clone, Copy, Debug)]
pub enum Ring {
    Read { room: u32 },
    Write { len: u16, content: Content },
    Poll { events: u32, multi: bool },
    ReadMulti,
}

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Open { slot: Slot, path: Path, flags: i32 },
    Close { slot: Slot },
    Dup { from: Slot, to: Slot, how: u8 },
    Read { slot: Slot, how: How, memory: Memory, position: i64, flags: i32 },
    Write { slot: Slot, how: How, memory: Memory, content: Content, position: i64, flags: i32 },
    Seek { slot: Slot, offset: i64, whence: i32 },
    Ioctl { slot: Slot, command: u32, argument: Place, value: Value },
    Wait { slots: [Slot; 3], events: i16, how: Waiting, timeout_ms: i32 },
    EpollChange { slot: Slot, operation: i32, events: u32, argument: Place },
    EpollWait { most: i32, timeout_ms: i32 },
    Map { slot: Slot, len: usize, protection: i32, flags: i32, offset: i64 },
    Transfer { slot: Slot, how: Transfer, len: usize, flags: u32 },
    Control { slot: Slot, command: i32, argument: i64 },
    Lock { slot: Slot, command: i32, kind: i16, start: i64, len: i64 },
    Attribute { slot: Slot, what: Attribute, first: i64, second: i64, flags: i32 },
    Send { slot: Slot, across: bool },
    Receive { slot: Slot, across: bool },
    Uring { slot: Slot, operations: [Ring; 2] },
    User { real: bool, effective: bool },
    Protect { protection: i32 },
    Signal { restart: bool },
    Fork { seed: u64, calls: u8, kill_after_us: u16 },
    Load { unload: bool },
    OpenLog { slot: Slot, name: Name, opening: Opening, flags: i32 },
    Change { change: Change, around: u8, address: Place, fail: u8, as_root: bool },
}

/// The names of the operations, in the order of [`Call::operation`].
pub const OPERATIONS: [&str; 25] = [
    "open",
    "close",
    "dup",
    "read",
    "write",
    "lseek",
    "ioctl",
    "poll",
    "epoll_ctl",
    "epoll_wait",
    "mmap",
    "splice",
    "fcntl",
    "lock",
    "attribute",
    "sendmsg",
    "recvmsg",
    "io_uring",
    "setresuid",
    "mprotect",
    "signal",
    "fork",
    "load",
    "open_log",
    "change",
];

impl Call {
    /// Returns the index of the operation in [`OPERATIONS`].
    pub fn operation(&self) -> usize {
        match self {
            Self::Open { .. } => 0,
            Self::Close { .. } => 1,
            Self::Dup { .. } => 2,
            Self::Read { .. } => 3,
            Self::Write { .. } => 4,
            Self::Seek { .. } => 5,
            Self::Ioctl { .. } => 6,
            Self::Wait { .. } => 7,
            Self::EpollChange { .. } => 8,
            Self::EpollWait { .. } => 9,
            Self::Map { .. } => 10,
            Self::Transfer { .. } => 11,
            Self::Control { .. } => 12,
            Self::Lock { .. } => 13,
            Self::Attribute { .. } => 14,
            Self::Send { .. } => 15,
            Self::Receive { .. } => 16,
            Self::Uring { .. } => 17,
            Self::User { .. } => 18,
            Self::Protect { .. } => 19,
            Self::Signal { .. } => 20,
            Self::Fork { .. } => 21,
            Self::Load { .. } => 22,
            Self::OpenLog { .. } => 23,
            Self::Change { .. } => 24,
        }
    }

    /// Returns the slot of the file that the call uses, or the first of several.
    pub fn slot(&self) -> Option<Slot> {
        let mut call = *self;
        call.slot_mut().map(|slot| *slot)
    }

    /// Returns the call with another slot.
    pub fn on(mut self, slot: Slot) -> Self {
        *self.slot_mut().expect("a slot") = slot;
        self
    }

    fn slot_mut(&mut self) -> Option<&mut Slot> {
        match self {
            Self::Open { slot, .. }
            | Self::Close { slot }
            | Self::Dup { from: slot, .. }
            | Self::Read { slot, .. }
            | Self::Write { slot, .. }
            | Self::Seek { slot, .. }
            | Self::Ioctl { slot, .. }
            | Self::Wait { slots: [slot, ..], .. }
            | Self::EpollChange { slot, .. }
            | Self::Map { slot, .. }
            | Self::Transfer { slot, .. }
            | Self::Control { slot, .. }
            | Self::Lock { slot, .. }
            | Self::Attribute { slot, .. }
            | Self::Send { slot, .. }
            | Self::Receive { slot, .. }
            | Self::Uring { slot, .. }
            | Self::OpenLog { slot, .. } => Some(slot),
            _ => None,
        }
    }
}

/// `UMSG_IOC_INFO`
pub const INFO: u32 = nix::request_code_read!(MAGIC, 0, size_of::<Info>()) as u32;
/// `UMSG_IOC_CLEAR`
pub const CLEAR: u32 = nix::request_code_none!(MAGIC, 1) as u32;
/// `UMSG_IOC_GET_OPTIONS`
pub const GET_OPTIONS: u32 = nix::request_code_read!(MAGIC, 2, size_of::<u32>()) as u32;
/// `UMSG_IOC_SET_OPTIONS`
pub const SET_OPTIONS: u32 = nix::request_code_write!(MAGIC, 3, size_of::<u32>()) as u32;
/// `UMSG_IOC_GET_STYLE`
pub const GET_STYLE: u32 = nix::request_code_read!(MAGIC, 4, size_of::<u32>()) as u32;
/// `UMSG_IOC_SET_STYLE`
pub const SET_STYLE: u32 = nix::request_code_write!(MAGIC, 5, size_of::<u32>()) as u32;
/// `UMSG_IOC_SEEK_SEQ`
pub const SEEK_SEQ: u32 = nix::request_code_write!(MAGIC, 6, size_of::<u64>()) as u32;
/// `UMSG_IOC_SEEK_TIME`
pub const SEEK_TIME: u32 = nix::request_code_write!(MAGIC, 7, size_of::<u64>()) as u32;
/// `UMSG_IOC_NEXT_SIZE`
pub const NEXT_SIZE: u32 = nix::request_code_read!(MAGIC, 8, size_of::<u32>()) as u32;
/// `UMSG_IOC_GET_PRIORITY`
pub const GET_PRIORITY: u32 = nix::request_code_read!(MAGIC, 9, size_of::<u32>()) as u32;
/// `UMSG_IOC_SET_PRIORITY`
pub const SET_PRIORITY: u32 = nix::request_code_write!(MAGIC, 10, size_of::<u32>()) as u32;
/// All commands of the device.
pub const COMMANDS: [u32; 11] = [
    INFO,
    CLEAR,
    GET_OPTIONS,
    SET_OPTIONS,
    GET_STYLE,
    SET_STYLE,
    SEEK_SEQ,
    SEEK_TIME,
    NEXT_SIZE,
    GET_PRIORITY,
    SET_PRIORITY,
];
