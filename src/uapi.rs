// SPDX-License-Identifier: GPL-2.0

//! The ABI that `uapi/umsg.h` declares for user programs. Names and fields are those of the header.
//!
//! This file also compiles on the host, where `tests/host/abi` compares it with the header. The
//! structures of the binary format are in `pure/record.rs` and `pure/entry.rs`.

use kernel::{
    ioctl::{
        _IO,
        _IOR,
        _IOW, //
    },
    prelude::*, //
};
use zerocopy_derive::Immutable;

/// The type (magic) of all ioctl numbers.
pub(crate) const UMSG_IOC_MAGIC: u32 = 0xe6;

/// Gets the state and counters of the log, a [`umsg_info`].
pub(crate) const UMSG_IOC_INFO: u32 = _IOR::<umsg_info>(UMSG_IOC_MAGIC, 0);
/// Marks all records as cleared.
pub(crate) const UMSG_IOC_CLEAR: u32 = _IO(UMSG_IOC_MAGIC, 1);

/// Gets the option bits of the file, `UMSG_OPTION_*`.
pub(crate) const UMSG_IOC_GET_OPTIONS: u32 = _IOR::<u32>(UMSG_IOC_MAGIC, 2);
/// Sets the option bits of the file.
pub(crate) const UMSG_IOC_SET_OPTIONS: u32 = _IOW::<u32>(UMSG_IOC_MAGIC, 3);
/// Gets the style of the file, `UMSG_STYLE_*`; see [`Style`](crate::pure::style::Style).
pub(crate) const UMSG_IOC_GET_STYLE: u32 = _IOR::<u32>(UMSG_IOC_MAGIC, 4);
/// Sets the style of the file.
pub(crate) const UMSG_IOC_SET_STYLE: u32 = _IOW::<u32>(UMSG_IOC_MAGIC, 5);
/// Seeks to a sequence number.
pub(crate) const UMSG_IOC_SEEK_SEQ: u32 = _IOW::<u64>(UMSG_IOC_MAGIC, 6);
/// Seeks to a time.
pub(crate) const UMSG_IOC_SEEK_TIME: u32 = _IOW::<u64>(UMSG_IOC_MAGIC, 7);
/// Gets the buffer size that the next read needs.
pub(crate) const UMSG_IOC_NEXT_SIZE: u32 = _IOR::<u32>(UMSG_IOC_MAGIC, 8);
/// Gets the priority of texts without a prefix.
pub(crate) const UMSG_IOC_GET_PRIORITY: u32 = _IOR::<u32>(UMSG_IOC_MAGIC, 9);
/// Sets the priority of texts without a prefix.
pub(crate) const UMSG_IOC_SET_PRIORITY: u32 = _IOW::<u32>(UMSG_IOC_MAGIC, 10);

/// Reads use the binary format.
pub(crate) const UMSG_OPTION_BINARY_READ: u32 = 1 << 0;
/// Writes use the binary format.
pub(crate) const UMSG_OPTION_BINARY_WRITE: u32 = 1 << 1;
/// All option bits.
pub(crate) const UMSG_OPTIONS: u32 = UMSG_OPTION_BINARY_READ | UMSG_OPTION_BINARY_WRITE;

/// A full log drops its oldest records.
pub(crate) const UMSG_POLICY_OVERWRITE: u32 = 0;
/// A full log rejects new records.
pub(crate) const UMSG_POLICY_STOP: u32 = 1;

/// `struct umsg_info`. [`IntoBytes`] proves that it has no padding.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
#[allow(
    clippy::missing_docs_in_private_items,
    reason = "the header documents the fields"
)]
pub(crate) struct umsg_info {
    pub(crate) capacity: u64,
    pub(crate) oldest_seq: u64,
    pub(crate) next_seq: u64,
    pub(crate) cleared_seq: u64,
    pub(crate) records_written: u64,
    pub(crate) bytes_written: u64,
    pub(crate) records_dropped: u64,
    pub(crate) bytes_dropped: u64,
    pub(crate) records_refused: u64,
    pub(crate) log_id: u64,
    pub(crate) record_max: u32,
    pub(crate) policy: u32,
    pub(crate) style: u32,
    pub(crate) reserved_word: u32,
    pub(crate) reserved: [u64; 4],
}

const _: () = assert!(size_of::<umsg_info>() == 128);
