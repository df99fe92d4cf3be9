// SPDX-License-Identifier: GPL-2.0

//! The logs of the loaded module, each behind its device node, and how they come and go while it is
//! loaded.
//!
//! # Locking
//!
//! [`LOGS`] is a mutex. It is held while nodes are registered and unregistered, so before the
//! kernel's `misc_mtx`. Changes come from a write to the parameter `logs`, with the parameter lock
//! held. The unloading takes only the mutex: a change that comes after it finds no logs.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    config::{
        self,
        Config,
        LOGS_MAX, //
    },
    file::LogFile,
    log::Log,
    log_config::{
        LogConfig,
        LogConfigError, //
    },
    pure::value::{
        AsciiStr,
        ParamValue, //
    },
    sys::{
        global_mutex::global_mutex,
        memory,
        miscdevice::MiscDevice, //
    }, //
};

/// The logs: the default one first, then the named ones.
pub(crate) struct Logs(KVec<Node>);

global_mutex! {
    /// The logs of the loaded module; `None` before the end of `init` and after the unloading.
    ///
    /// A static, because a write to a parameter gets no pointer to the module's own data.
    static LOGS: Option<Logs> = None;
}

/// Initialises the lock of the logs. The module's `init` calls this first. A write to a parameter
/// that comes before it fails with `ENODEV`.
pub(crate) fn init() {
    LOGS.init();
}

/// Lets writes to the parameter `logs` change these logs.
///
/// # Errors
///
/// `ENODEV`: [`init`] was not called.
pub(crate) fn set(logs: Logs) -> Result {
    *LOGS.lock().ok_or(ENODEV)? = Some(logs);
    Ok(())
}

/// Takes the logs, for the unloading; `None` if they were not set.
pub(crate) fn take() -> Option<Logs> {
    LOGS.lock()?.take()
}

/// A log and its device node.
struct Node {
    config: LogConfig,
    device: Pin<KBox<MiscDevice<LogFile>>>,
}

impl Node {
    /// Registers the node of a log.
    fn new(config: LogConfig, log: Arc<Log>) -> Result<Self> {
        let device = MiscDevice::register(&config.node, config.minor, config.mode, log);
        let device = KBox::pin_init(device, GFP_KERNEL)?;
        Ok(Self { config, device })
    }
}

impl Logs {
    /// Makes the logs of `config`, and registers a node for each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: there is no memory for all of them. `EBUSY`: a minor number is taken.
    pub(crate) fn new(config: Config) -> Result<Self> {
        let configs = config.into_logs();
        // All memory first: registering comes last, because a node can be seen at once.
        let mut ready = KVec::with_capacity(configs.len(), GFP_KERNEL)?;
        for config in &configs {
            ready.push(Arc::pin_init(Log::new(config)?, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let mut logs = KVec::with_capacity(configs.len(), GFP_KERNEL)?;
        for (config, log) in configs.into_iter().zip(ready) {
            let minor = config.minor;
            let node = Node::new(config, log).inspect_err(|error| {
                if let (Some(minor), true) = (minor, *error == EBUSY) {
                    pr_err!("minor={minor}: another device has this number\n");
                }
            })?;
            logs.push(node, GFP_KERNEL)?;
        }
        Ok(Self(logs))
    }

    /// Returns how many records were written to the logs, and how many of them were overwritten.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(written, dropped), log| {
            let info = log.device.node().info();
            (
                written + info.records_written,
                dropped + info.records_dropped,
            )
        })
    }

    /// Adds the log `item` (`NAME[:...]`). Fails, and says why.
    fn add(&mut self, item: &str) -> Result<(), LogConfigError> {
        let configs = self.0.iter().map(|log| &log.config);
        let default = configs.clone().next().ok_or(LogConfigError::Memory)?;
        let mut config = LogConfig::parse(item, default)?;
        config.fit_among(configs).map_err(LogConfigError::Invalid)?;
        if config.capacity > memory::available() {
            return Err(LogConfigError::Invalid(
                "the machine has not that much memory to spare",
            ));
        }
        if !config.fits_record_max() {
            return Err(LogConfigError::Invalid(
                "a record of record_max does not fit",
            ));
        }
        let add = || -> Result {
            self.0.reserve(1, GFP_KERNEL)?;
            let log = Arc::pin_init(Log::new(&config)?, GFP_KERNEL)?;
            self.0.push(Node::new(config, log)?, GFP_KERNEL)?;
            Ok(())
        };
        add().map_err(|error| match error {
            EBUSY => LogConfigError::Invalid("another device has its minor number"),
            _ => LogConfigError::Memory,
        })?;
        self.set_record_max_limit();
        Ok(())
    }

    /// Has `record_max` stay within what the smallest log holds.
    fn set_record_max_limit(&self) {
        let capacities = self.0.iter().map(|log| log.config.capacity);
        config::set_record_max_limit(capacities.min().unwrap_or(usize::MAX));
    }

    /// Removes the log `name`. A program that has it open keeps it until it closes it.
    fn remove(&mut self, name: &str) -> Result<(), LogConfigError> {
        let is_it = |log: &Node| log.config.name() == Some(name.as_bytes());
        let at = self.0.iter().position(is_it);
        at.and_then(|at| self.0.remove(at).ok())
            .ok_or(LogConfigError::Invalid("there is no such log"))?;
        self.set_record_max_limit();
        Ok(())
    }
}

/// Changes the logs and the parameter `logs`, which is `list`, as `given` says: `+NAME[:...]` adds
/// a log, `-NAME` removes one. A change that fails has its line in the kernel log, as a load has:
/// only root can make it.
///
/// # Errors
///
/// `EINVAL`: it is neither of them, or the log cannot be as it was asked for. `ENOMEM`: there is no
/// memory for it. `ENODEV`: the module is being unloaded.
pub(crate) fn change(list: &mut AsciiStr<LOGS_MAX>, given: &[u8]) -> Result {
    let mut logs = LOGS.lock().ok_or(ENODEV)?;
    let logs = logs.as_mut().ok_or(ENODEV)?;
    let mut longer = KVVec::with_capacity(LOGS_MAX, GFP_KERNEL)?;
    let changed = match core::str::from_utf8(given) {
        Ok(given) => match given.split_at_checked(1) {
            Some(("+", item)) => {
                let items = list.as_str().split(',').filter(|item| !item.is_empty());
                join(&mut longer, Iterator::chain(items, [item])).and_then(|()| logs.add(item))
            }
            Some(("-", name)) => {
                let is_other = |item: &&str| item.split(':').next() != Some(name);
                let items = list.as_str().split(',').filter(is_other);
                join(&mut longer, items).and_then(|()| logs.remove(name))
            }
            _ => Err(LogConfigError::Invalid("must be +NAME[:...] or -NAME")),
        },
        Err(_) => Err(LogConfigError::Invalid("must be +NAME[:...] or -NAME")),
    };
    match changed {
        Ok(()) => {
            list.parse_from(&longer);
            Ok(())
        }
        Err(LogConfigError::Memory) => Err(ENOMEM),
        Err(LogConfigError::Invalid(why)) => {
            pr_err!(
                "logs={}: {why}\n",
                AsciiStr::<64>::truncate_from(given).as_str()
            );
            Err(EINVAL)
        }
    }
}

/// Writes a list of `items` into `list`, whose memory must be there.
fn join<'a>(
    list: &mut KVVec<u8>,
    items: impl Iterator<Item = &'a str>,
) -> Result<(), LogConfigError> {
    for item in items {
        let comma = if list.is_empty() { "" } else { "," };
        if list.len() + comma.len() + item.len() > LOGS_MAX {
            return Err(LogConfigError::Invalid(
                "the list of logs would be too long",
            ));
        }
        for part in [comma, item] {
            list.extend_from_slice(part.as_bytes(), GFP_KERNEL)
                .map_err(|_| LogConfigError::Memory)?;
        }
    }
    Ok(())
}
