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
#[path = "kernel/random.rs"]
mod random;
#[path = "kernel/registry.rs"]
mod registry;
#[path = "kernel/transfer.rs"]
mod transfer;
#[path = "kernel/wait.rs"]
mod wait;
#[path = "kernel/writer.rs"]
mod writer;

// Data: pure Rust that needs no kernel, and also compiles on the host for its tests.
mod line;
mod record;
mod ring;
mod style;
mod text;
mod value;

// From the data to the device.
mod config;
mod device;
mod log;
mod logs;
mod reader;
mod stream;
mod uapi;

use kernel::{
    prelude::*,
    str::CString, //
};

use crate::{
    config::Config,
    logs::Logs, //
};

module! {
    type: Umsg,
    name: "umsg",
    authors: ["The umsg authors"],
    description: "A record log for user programs, like /dev/kmsg for the kernel",
    license: "GPL v2",
}

/// The loaded module.
struct Umsg {
    /// Say nothing at unload.
    quiet: bool,
}

impl kernel::Module for Umsg {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        registry::init();
        let config = Config::from_parameters()?;
        let quiet = config.quiet();
        let ready = CString::try_from_fmt(fmt!("/dev/umsg is ready: {config}"))?;
        let logs = Logs::new(config)?;
        // Nothing can fail any more.
        *registry::LOGS.lock() = Some(logs);
        chardev::open_for_all();
        if !quiet {
            pr_info!("{}\n", ready.to_str().unwrap_or(""));
        }
        Ok(Self { quiet })
    }
}

impl Drop for Umsg {
    fn drop(&mut self) {
        let Some(logs) = registry::LOGS.lock().take() else {
            return;
        };
        if !self.quiet {
            let (written, dropped) = logs.totals();
            pr_info!(
                "unloading /dev/umsg: {written} records written, {dropped} of them overwritten\n"
            );
        }
    }
}
