// SPDX-License-Identifier: GPL-2.0

//! umsg: a bounded record log in kernel memory behind a character device.
//!
//! This file is a table of contents: what the crate holds and what the module registers.

// The boundary: what the kernel crate does not offer yet. The only `unsafe` code is here.
#[path = "kernel/buffer.rs"]
mod buffer;
mod chardev;
#[path = "kernel/memory.rs"]
mod memory;
#[path = "kernel/module.rs"]
mod module;
mod param;
#[path = "kernel/poll.rs"]
mod poll;
#[path = "kernel/transfer.rs"]
mod transfer;
#[path = "kernel/writer.rs"]
mod writer;

// Data: pure Rust that needs no kernel, and also compiles on the host for its tests.
mod record;
mod ring;
mod text;
mod value;

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
}

/// The loaded module: the logs, each behind its device node.
struct Umsg {
    /// The default log first, then the named ones, for as long as the module is loaded.
    logs: KVec<Pin<KBox<CharDevice<Reader>>>>,
    /// Say nothing at unload.
    quiet: bool,
}

impl kernel::Module for Umsg {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let config = Config::from_parameters()?;
        // All memory first: registering comes last, because a node can be seen at once.
        let mut ready = KVec::with_capacity(config.logs().len(), GFP_KERNEL)?;
        for log in config.logs() {
            ready.push(Arc::pin_init(Log::new(log)?, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let mut logs = KVec::with_capacity(config.logs().len(), GFP_KERNEL)?;
        for (log, node) in config.logs().iter().zip(ready) {
            let device = CharDevice::register(&log.node, log.mode, node);
            logs.push(KBox::pin_init(device, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        chardev::open_for_all();
        if !config.quiet() {
            pr_info!("/dev/umsg is ready: {config}\n");
        }
        Ok(Self {
            logs,
            quiet: config.quiet(),
        })
    }
}

impl Drop for Umsg {
    fn drop(&mut self) {
        if self.quiet {
            return;
        }
        let (mut written, mut dropped) = (0, 0);
        for log in &self.logs {
            let info = log.node().info();
            written += info.records_written;
            dropped += info.records_dropped;
        }
        pr_info!("unloading /dev/umsg: {written} records written, {dropped} of them overwritten\n");
    }
}
