// SPDX-License-Identifier: GPL-2.0

//! The module's parameters, and from them one validated [`Config`].
//!
//! Every check stands here, before anything is allocated or registered. What cannot be used refuses
//! the load with one line in the kernel log that says what was given and what is allowed. To add a
//! parameter, add it to [`parameters!`] below, use it in [`Config`] and describe it in umsg(4),
//! which `scripts/lint parameters` compares with `modinfo`.

#![deny(unsafe_code)]

use kernel::{
    fmt,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    log_config::{
        parse_value,
        LogConfig,
        LogConfigError, //
    },
    logs,
    pure::{
        record,
        ring::Policy,
        style::Style,
        value::{
            AsciiStr,
            Minor,
            Mode,
            ParamValue, //
            Size,
        }, //
    },
    sys::{
        memory,
        module_param::parameters, //
    }, //
};

/// The parameters, as users know them.
mod params {
    use super::*;

    parameters! {
        capacity: Size {
            description: "memory for the records of a log, their headers included",
            default: "1M",
            range: ("4K", "1T"),
        }
        record_max: Size {
            description: "longest text of one record",
            default: "1K",
            range: ("1", "64K"),
            change: change_record_max,
        }
        mode: Mode {
            description: "permissions of the device nodes",
            default: "0600",
            range: ("0001", "0777"),
        }
        policy: Policy {
            description: "what a full log does with a new record",
            default: "overwrite",
            words: ("overwrite or stop"),
        }
        style: Style {
            description: "which programs the device nodes are made for",
            default: "lines",
            words: ("lines, kmsg or plain"),
        }
        logs: AsciiStr<LOGS_MAX> {
            description: "further logs, /dev/umsg-NAME each",
            default: "",
            words: ("a list of NAME[:CAPACITY][:POLICY][:MODE][:STYLE] with commas between"),
            change: logs::change,
        }
        minor: Minor {
            description: "minor number of the first device node, further nodes have the next ones",
            default: "dynamic",
            words: ("dynamic or from 243 to 254"),
        }
        quiet: bool {
            description: "no lines in the kernel log about loading and unloading",
            default: "N",
            words: ("y or n"),
        }
    }
}

/// Longest value of the parameter `logs`, in bytes: sysfs shows no more than a page.
pub(crate) const LOGS_MAX: usize = 4000;

/// The parameter `record_max` now, in bytes. At least 1 and at most `RECORD_MAX_LIMIT`.
///
/// 1 KiB by default, which is what `/dev/kmsg` takes (`PRINTKRB_RECORD_MAX`): the text form of such
/// a record of plain ASCII fits the buffer of `dmesg` (`PRINTK_MESSAGE_MAX`, 2 KiB). The upper
/// bound is also one on how long a log's spinlock is held for one copy.
static RECORD_MAX: Atomic<usize> = Atomic::new(0);

/// The largest `record_max` that every log of this load can hold, in bytes.
static RECORD_MAX_LIMIT: Atomic<usize> = Atomic::new(usize::MAX);

/// Longest text of one record, in bytes. It may change at any time.
pub(crate) fn record_max() -> usize {
    RECORD_MAX.load(Relaxed)
}

/// Has `record_max` stay within what a log of `capacity` bytes holds. To be called with the
/// parameter lock held.
pub(crate) fn set_record_max_limit(capacity: usize) {
    RECORD_MAX_LIMIT.store(capacity, Relaxed);
}

/// Makes `size` the `record_max` from now on, if the logs can hold such records.
fn set_record_max(size: &Size) -> bool {
    let good = record::stored_size(size.0) <= RECORD_MAX_LIMIT.load(Relaxed);
    if good {
        RECORD_MAX.store(size.0, Relaxed);
    }
    good
}

/// What a write of `given` to the parameter `record_max` does.
fn change_record_max(value: &mut Size, given: &[u8]) -> Result {
    let size = parse_value::<Size>(given)
        .filter(|size| size.is_within("1", "64K") && set_record_max(size))
        .ok_or(EINVAL)?;
    *value = size;
    Ok(())
}

/// What the module was asked to be, checked as a whole.
///
/// # Invariants
///
/// The capacity of each log is whole pages and holds a record of [`record_max`] bytes; the names of
/// the nodes differ.
pub(crate) struct Config {
    /// The default log first.
    logs: KVec<LogConfig>,
    quiet: bool,
}

impl Config {
    /// Reads and checks the parameters the module was loaded with.
    ///
    /// # Errors
    ///
    /// `EINVAL` and `ENOMEM`, each with its line in the kernel log.
    pub(crate) fn from_parameters() -> Result<Self> {
        let capacity = params::capacity.value()?;
        let mode = params::mode.value()?;
        let policy = params::policy.value()?;
        let style = params::style.value()?;
        let minor = params::minor.value()?;
        let quiet = params::quiet.value()?;
        // The last one, so that a write through sysfs comes before this or sees what it set.
        params::record_max.value()?;

        let mut logs = KVec::new();
        logs.push(
            LogConfig {
                node: CString::try_from_fmt(fmt!("umsg"))?,
                capacity: capacity.0.next_multiple_of(PAGE_SIZE),
                policy,
                mode: mode.0,
                style,
                minor: minor.0,
            },
            GFP_KERNEL,
        )?;
        params::logs.with_value(|list| -> Result {
            for item in list.as_str().split(',').filter(|item| !item.is_empty()) {
                let log_error = |why: &str| {
                    // A line of printk() has room for about a thousand bytes, the newline included.
                    let given = AsciiStr::<256>::truncate_from(list.as_bytes());
                    let item = AsciiStr::<64>::truncate_from(item.as_bytes());
                    pr_err!("logs={}: {why} in '{}'\n", given.as_str(), item.as_str());
                };
                let default = logs.first().ok_or(EINVAL)?;
                let mut log = match LogConfig::parse(item, default) {
                    Ok(log) => log,
                    Err(LogConfigError::Memory) => return Err(ENOMEM),
                    Err(LogConfigError::Invalid(why)) => {
                        log_error(why);
                        return Err(EINVAL);
                    }
                };
                if let Err(why) = log.fit_among(logs.iter()) {
                    log_error(why);
                    return Err(EINVAL);
                }
                logs.push(log, GFP_KERNEL)?;
            }
            Ok(())
        })??;
        // INVARIANT: The capacities are whole pages, and the names differ. The rest is checked by
        // `check_record_max`.
        let config = Self { logs, quiet };
        config.check_record_max()?;
        config.check_memory()?;
        Ok(config)
    }

    /// Checks that each log holds a record of `record_max`, and puts that in force.
    fn check_record_max(&self) -> Result {
        let smallest = self
            .logs
            .iter()
            .min_by_key(|log| log.capacity)
            .ok_or(EINVAL)?;
        RECORD_MAX_LIMIT.store(smallest.capacity, Relaxed);
        params::record_max.with_value(|size| {
            if set_record_max(size) {
                return Ok(());
            }
            pr_err!(
                "record_max={}: such a record takes {} bytes, and /dev/{} has {}\n",
                size.0,
                record::stored_size(size.0),
                smallest.node.to_str().unwrap_or(""),
                smallest.capacity
            );
            Err(EINVAL)
        })?
    }

    /// Checks that the machine has the memory for all logs. Asked for before anything is allocated:
    /// the allocator would have the kernel kill processes to find it.
    fn check_memory(&self) -> Result {
        let wanted = self
            .logs
            .iter()
            .fold(0usize, |sum, log| sum.saturating_add(log.capacity));
        let available = memory::available();
        if wanted > available {
            pr_err!(
                "capacity: {wanted} bytes for all logs, the machine has {available} to spare\n"
            );
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Returns the logs, the default one first.
    pub(crate) fn into_logs(self) -> KVec<LogConfig> {
        self.logs
    }

    /// Whether loading and unloading go without a line in the kernel log.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }
}

/// Shown in the one line that the module prints when it is loaded.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((log, more)) = self.logs.split_first() {
            f.write_str("capacity=")?;
            Size(log.capacity).show(f)?;
            f.write_str(" record_max=")?;
            Size(record_max()).show(f)?;
            f.write_str(" mode=")?;
            Mode(log.mode).show(f)?;
            f.write_str(" policy=")?;
            log.policy.show(f)?;
            f.write_str(" style=")?;
            log.style.show(f)?;
            if !more.is_empty() {
                write!(f, ", and {} named logs", more.len())?;
            }
        }
        Ok(())
    }
}
