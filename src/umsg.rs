// SPDX-License-Identifier: GPL-2.0

//! umsg: a bounded record log in kernel memory behind a character device.
//!
//! This file lists the modules of the crate and registers the device nodes.

mod pure;
mod sys;

mod config;
mod device;
mod file;
mod log;
mod log_config;
mod logs;
mod ring_memory;
mod uapi;

use kernel::{
    prelude::*,
    str::CString, //
};

use crate::{
    config::Config,
    logs::Logs,
    sys::miscdevice, //
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
    /// Log no line when the module is unloaded.
    quiet: bool,
}

impl kernel::Module for Umsg {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        logs::init();
        let config = Config::from_parameters()?;
        let quiet = config.quiet();
        let ready = CString::try_from_fmt(fmt!("/dev/umsg is ready: {config}"))?;
        logs::set(Logs::new(config)?)?;
        // From here on, `init` cannot fail.
        miscdevice::enable_open();
        if !quiet {
            pr_info!("{}\n", ready.to_str().unwrap_or(""));
        }
        Ok(Self { quiet })
    }
}

impl Drop for Umsg {
    fn drop(&mut self) {
        let Some(logs) = logs::take() else {
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
