// SPDX-License-Identifier: GPL-2.0

//! umsg: a bounded record log in kernel memory behind a character device.
//!
//! This file is a table of contents: what the crate holds and what the module registers. Each
//! module below uses only those above it.

// What the kernel crate does not offer yet. The only `unsafe` code is here.
mod chardev;
#[path = "kernel/memory.rs"]
mod memory;
#[path = "kernel/writer.rs"]
mod writer;

// Data: pure Rust that needs no kernel, and also compiles on the host for its tests.
mod record;
mod ring;

// From the data to the device.
mod config;
mod device;
mod log;
mod reader;
mod uapi;

use kernel::{
    prelude::*,
    sync::Arc, //
};
use pin_init::pin_init_scope;

use crate::{
    chardev::CharDevice,
    config::Config,
    log::Log,
    reader::Reader, //
};

module! {
    type: Umsg,
    name: "umsg",
    authors: ["The umsg authors"],
    description: "A record log for user programs, like /dev/kmsg for the kernel",
    license: "GPL v2",
    params: {
        capacity: usize {
            default: crate::config::DEFAULT_CAPACITY,
            description: "Size of the log in bytes, headers of the records included (default 1048576)",
        },
        record_max: usize {
            default: crate::config::DEFAULT_RECORD_MAX,
            description: "Longest text of one record in bytes, 1 to 65536 (default 1024)",
        },
        mode: u16 {
            default: crate::config::DEFAULT_MODE,
            description: "Permissions of /dev/umsg, an octal number with a leading 0 (default 0600)",
        },
        policy: u8 {
            default: crate::config::DEFAULT_POLICY,
            description: "When the log is full: 0 drops the oldest records, 1 refuses new ones (default 0)",
        },
    },
}

/// The loaded module: one log and its device node.
#[pin_data(PinnedDrop)]
struct Umsg {
    /// `/dev/umsg`, for as long as the module is loaded.
    #[pin]
    _device: CharDevice<Reader>,
    /// For the totals in the line at unload.
    log: Arc<Log>,
}

impl kernel::InPlaceModule for Umsg {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init_scope(|| {
            let config = Config::from_parameters()?;
            let node = Arc::pin_init(Log::new(&config)?, GFP_KERNEL)?;
            Ok(try_pin_init!(Self {
                log: node.clone(),
                _device <- CharDevice::register(c"umsg", config.mode(), node),
                _: { pr_info!("/dev/umsg is ready: {config}\n") },
            }? Error))
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Umsg {
    fn drop(self: Pin<&mut Self>) {
        let totals = self.log.info().totals;
        pr_info!(
            "unloading /dev/umsg: {} records written, {} of them overwritten\n",
            totals.records_written,
            totals.records_dropped
        );
    }
}
