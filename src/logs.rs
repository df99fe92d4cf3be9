// SPDX-License-Identifier: GPL-2.0

//! The logs of the loaded module, each with its device node. Logs are added and removed at run time
//! through the parameter `logs`.
//!
//! # Locking
//!
//! [`LOGS`] is a mutex. A write to the parameter `logs` holds it while it registers or unregisters
//! a device node. A write before the end of `init` or after the start of the unloading finds no
//! logs and fails.
//!
//! Lock order: the parameter lock, then [`LOGS`], then `misc_mtx` of the kernel.

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

/// The default log, then the named logs.
pub(crate) struct Logs(KVec<Node>);

/// A log and its device node.
struct Node {
    config: LogConfig,
    device: Pin<KBox<MiscDevice<LogFile>>>,
}

global_mutex! {
    /// The logs of the loaded module; `None` before the end of `init` and after the unloading.
    ///
    /// A static, because a write to a parameter gets no pointer to the module's own data.
    static LOGS: Option<Logs> = None;
}

impl Logs {
    /// Creates the logs of `config` and registers a device node for each.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: not enough memory.
    /// - `EBUSY`: a minor number is in use.
    pub(crate) fn new(config: Config) -> Result<Self> {
        let configs = config.into_logs();
        // Allocate all logs before the first device node is registered, because a node is visible
        // at once.
        let mut ready = KVec::with_capacity(configs.len(), GFP_KERNEL)?;
        for config in &configs {
            ready.push(Arc::pin_init(Log::new(config)?, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let mut logs = KVec::with_capacity(configs.len(), GFP_KERNEL)?;
        for (config, log) in configs.into_iter().zip(ready) {
            let minor = config.minor;
            let node = Node::new(config, log).inspect_err(|error| {
                if let (Some(minor), true) = (minor, *error == EBUSY) {
                    pr_err!("minor={minor}: this number is used by another device\n");
                }
            })?;
            logs.push(node, GFP_KERNEL)?;
        }
        Ok(Self(logs))
    }

    /// Returns the number of records that were written to the current logs, and the number of them
    /// that were overwritten.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(written, dropped), log| {
            let info = log.device.node().info();
            (
                written + info.records_written,
                dropped + info.records_dropped,
            )
        })
    }

    /// Adds the log `item` (`NAME[:...]`).
    fn add(&mut self, item: &str) -> Result<(), LogConfigError> {
        let configs = self.0.iter().map(|log| &log.config);
        let default = configs.clone().next().ok_or(LogConfigError::Memory)?;
        let mut config = LogConfig::parse(item, default)?;
        config
            .check_name(configs.clone())
            .and_then(|()| config.assign_minor(configs))
            .map_err(LogConfigError::Invalid)?;
        if config.capacity > memory::available() {
            return Err(LogConfigError::TooLarge(
                "not enough memory for this capacity",
            ));
        }
        if !config.fits_record_max() {
            return Err(LogConfigError::Invalid(
                "the capacity is too small for a record of record_max bytes",
            ));
        }
        let add = || -> Result {
            self.0.reserve(1, GFP_KERNEL)?;
            let log = Arc::pin_init(Log::new(&config)?, GFP_KERNEL)?;
            self.0.push(Node::new(config, log)?, GFP_KERNEL)?;
            Ok(())
        };
        add().map_err(|error| match error {
            EBUSY => LogConfigError::Invalid("its minor number is used by another device"),
            _ => LogConfigError::Memory,
        })?;
        self.set_record_max_limit();
        Ok(())
    }

    /// Limits `record_max` to records that fit the smallest log.
    fn set_record_max_limit(&self) {
        let capacities = self.0.iter().map(|log| log.config.capacity);
        config::set_record_max_limit(capacities.min().unwrap_or(usize::MAX));
    }

    /// Removes the log `name` and its device node. Open files keep the log until they are released.
    fn remove(&mut self, name: &str) -> Result<(), LogConfigError> {
        let is_it = |log: &Node| log.config.name() == Some(name.as_bytes());
        let at = self.0.iter().position(is_it);
        at.and_then(|at| self.0.remove(at).ok())
            .ok_or(LogConfigError::Invalid("no such log"))?;
        self.set_record_max_limit();
        Ok(())
    }
}

/// Initialises the lock of the logs. The module's `init` calls this first; a write to a parameter
/// before that fails with `ENODEV`.
pub(crate) fn init() {
    LOGS.init();
}

/// Stores the logs of the module, so that writes to the parameter `logs` can change them.
///
/// # Errors
///
/// `ENODEV`: [`init`] was not called before.
pub(crate) fn set(logs: Logs) -> Result {
    *LOGS.lock().ok_or(ENODEV)? = Some(logs);
    Ok(())
}

/// Removes and returns the logs when the module is unloaded. Returns `None` if they were not set.
pub(crate) fn take() -> Option<Logs> {
    LOGS.lock()?.take()
}

/// Handles a write of `given` to the parameter `logs`, whose value is `list`: `+NAME[:...]` adds a
/// log, `-NAME` removes one. A rejected change is logged with one line in the kernel log, as a
/// rejected value at load is; only root can write the parameter.
///
/// # Errors
///
/// - `EINVAL`: `given` has another form, or the log is invalid.
/// - `ENOMEM`: not enough memory.
/// - `ENODEV`: the module is being loaded or unloaded.
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
    let (why, error) = match changed {
        Ok(()) => {
            list.parse_from(&longer);
            return Ok(());
        }
        Err(LogConfigError::Memory) => return Err(ENOMEM),
        Err(LogConfigError::TooLarge(why)) => (why, ENOMEM),
        Err(LogConfigError::Invalid(why)) => (why, EINVAL),
    };
    pr_err!(
        "logs={}: {why}\n",
        AsciiStr::<64>::truncate_from(given).as_str()
    );
    Err(error)
}

impl Node {
    /// Registers the device node of `log`.
    fn new(config: LogConfig, log: Arc<Log>) -> Result<Self> {
        let device = MiscDevice::register(&config.node, config.minor, config.mode, log);
        let device = KBox::pin_init(device, GFP_KERNEL)?;
        Ok(Self { config, device })
    }
}

/// Appends `items` to `list`, separated by commas. Does not allocate if `list` has the spare
/// capacity.
fn join<'a>(
    list: &mut KVVec<u8>,
    items: impl Iterator<Item = &'a str>,
) -> Result<(), LogConfigError> {
    for item in items {
        let comma = if list.is_empty() { "" } else { "," };
        if list.len() + comma.len() + item.len() > LOGS_MAX {
            return Err(LogConfigError::Invalid("the list of logs is too long"));
        }
        for part in [comma, item] {
            list.extend_from_slice(part.as_bytes(), GFP_KERNEL)
                .map_err(|_| LogConfigError::Memory)?;
        }
    }
    Ok(())
}
