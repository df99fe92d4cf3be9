// SPDX-License-Identifier: GPL-2.0

//! The ioctls and structures of `src/uapi/umsg.h`, the C header, as safe functions on a file
//! descriptor.

#![allow(unsafe_code)]

use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// `UMSG_OPTION_BINARY_READ`: a read returns records in binary format.
pub const BINARY_READ: u32 = 1 << 0;
/// `UMSG_OPTION_BINARY_WRITE`: a write takes entries in binary format.
pub const BINARY_WRITE: u32 = 1 << 1;

/// `UMSG_STYLE_LINES`: each written line becomes a record.
pub const LINES: u32 = 0;
/// `UMSG_STYLE_KMSG`: as `/dev/kmsg`.
pub const KMSG: u32 = 1;
/// `UMSG_STYLE_PLAIN`: as [`KMSG`], and the text format has no key lines.
pub const PLAIN: u32 = 2;

/// `UMSG_POLICY_OVERWRITE`: a full log drops its oldest records.
pub const OVERWRITE: u32 = 0;
/// `UMSG_POLICY_STOP`: a full log rejects new records.
pub const STOP: u32 = 1;

/// `UMSG_RECORD_CONTINUES`: the record continues the line of an earlier record.
pub const CONTINUES: u8 = 1 << 0;

/// Size of `struct umsg_record` in bytes, without text.
pub const RECORD_SIZE: usize = 64;
/// Size of `struct umsg_entry` in bytes, without text.
pub const ENTRY_SIZE: usize = 8;

/// `struct umsg_info`: state and counters of a log.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Size in bytes of the memory for records, including their headers.
    pub capacity: u64,
    /// Sequence number of the oldest record; `next_seq` if there is no record.
    pub oldest_seq: u64,
    /// Sequence number that the next record will get.
    pub next_seq: u64,
    /// Sequence number of the position after the last clear.
    pub cleared_seq: u64,
    /// Records stored since the log was created.
    pub records_written: u64,
    /// Bytes of text of these records.
    pub bytes_written: u64,
    /// Records overwritten by newer ones.
    pub records_dropped: u64,
    /// Bytes of text of these records.
    pub bytes_dropped: u64,
    /// Records rejected because the log was full.
    pub records_refused: u64,
    /// Random number that identifies the log. Sequence numbers of logs with different numbers are
    /// unrelated.
    pub log_id: u64,
    /// Maximum length of the text of one record in bytes.
    pub record_max: u32,
    /// [`OVERWRITE`] or [`STOP`].
    pub policy: u32,
    /// Initial style of files: [`LINES`], [`KMSG`] or [`PLAIN`].
    pub style: u32,
    /// Zero.
    pub reserved_word: u32,
    /// Zero.
    pub reserved: [u64; 4],
}

/// `UMSG_IOC_MAGIC`: the type of all ioctl numbers.
pub const MAGIC: u8 = 0xe6;

/// The ioctls as unsafe functions, for tests that pass any address.
#[allow(missing_docs)]
pub mod raw {
    use super::{Info, MAGIC};

    nix::ioctl_read!(info, MAGIC, 0, Info);
    nix::ioctl_none!(clear, MAGIC, 1);
    nix::ioctl_read!(get_options, MAGIC, 2, u32);
    nix::ioctl_write_ptr!(set_options, MAGIC, 3, u32);
    nix::ioctl_read!(get_style, MAGIC, 4, u32);
    nix::ioctl_write_ptr!(set_style, MAGIC, 5, u32);
    nix::ioctl_write_ptr!(seek_seq, MAGIC, 6, u64);
    nix::ioctl_write_ptr!(seek_time, MAGIC, 7, u64);
    nix::ioctl_read!(next_size, MAGIC, 8, u32);
    nix::ioctl_read!(get_priority, MAGIC, 9, u32);
    nix::ioctl_write_ptr!(set_priority, MAGIC, 10, u32);
}

macro_rules! get {
    ($(#[$meta:meta])* $name:ident -> $type:ty) => {
        $(#[$meta])*
        pub fn $name(file: impl AsFd) -> Result<$type, Errno> {
            let mut value = <$type>::default();
            // SAFETY: The kernel writes the size of the type, which the number of the ioctl
            // contains, to `value`. Another driver's ioctl with this number takes that size, too.
            unsafe { raw::$name(file.as_fd().as_raw_fd(), &mut value) }?;
            Ok(value)
        }
    };
}

macro_rules! set {
    ($(#[$meta:meta])* $name:ident($type:ty)) => {
        $(#[$meta])*
        pub fn $name(file: impl AsFd, value: $type) -> Result<(), Errno> {
            // SAFETY: The kernel reads `value`.
            unsafe { raw::$name(file.as_fd().as_raw_fd(), &value) }.map(drop)
        }
    };
}

get! {
    /// `UMSG_IOC_INFO`: returns the state and the counters of the log.
    info -> Info
}

/// `UMSG_IOC_CLEAR`: marks all records as cleared.
pub fn clear(file: impl AsFd) -> Result<(), Errno> {
    // SAFETY: The call has no argument.
    unsafe { raw::clear(file.as_fd().as_raw_fd()) }.map(drop)
}

get! {
    /// `UMSG_IOC_GET_OPTIONS`: returns the option bits of the open file.
    get_options -> u32
}
set! {
    /// `UMSG_IOC_SET_OPTIONS`: replaces the option bits of the open file.
    set_options(u32)
}
get! {
    /// `UMSG_IOC_GET_STYLE`: returns the style of the open file.
    get_style -> u32
}
set! {
    /// `UMSG_IOC_SET_STYLE`: sets the style of the open file.
    set_style(u32)
}
set! {
    /// `UMSG_IOC_SEEK_SEQ`: seeks to the position before a sequence number.
    seek_seq(u64)
}
set! {
    /// `UMSG_IOC_SEEK_TIME`: seeks to the position before the first record with a time, in
    /// nanoseconds, or a later one.
    seek_time(u64)
}
get! {
    /// `UMSG_IOC_NEXT_SIZE`: returns the buffer size in bytes that the next read needs.
    next_size -> u32
}
get! {
    /// `UMSG_IOC_GET_PRIORITY`: returns the priority of texts without a prefix.
    get_priority -> u32
}
set! {
    /// `UMSG_IOC_SET_PRIORITY`: sets the priority of texts without a prefix.
    set_priority(u32)
}
