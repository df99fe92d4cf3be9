// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module and the validated [`Config`] made from them.
//!
//! All values are checked here and in `log_config.rs`, before a log is allocated or a device node
//! registered. An invalid value makes the module load fail and logs one line with the value and the
//! allowed values. To add a parameter, add it to [`parameters!`] below, use it in [`Config`], and
//! document it: `scripts/lint` compares the documentation with `modinfo`.

#![deny(unsafe_code)]

use kernel::{
    fmt,
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
        LogConfigError,
        CAPACITY_UNIT, //
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
            ParamValue,
            Size, //
        }, //
    },
    sys::{
        memory,
        module_param::parameters, //
    }, //
};

/// The parameters, by the names that users give to `modprobe`.
mod params {
    use super::*;

    parameters! {
        capacity: Size {
            description: "memory for the records of a log, including their headers",
            default: "1M",
            range: ("4K", "1T"),
        }
        record_max: Size {
            description: "maximum length of the text of one record",
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
            description: "action of a full log on a new record",
            default: "overwrite",
            words: ("overwrite or stop"),
        }
        style: Style {
            description: "behaviour of the device nodes",
            default: "lines",
            words: ("lines, kmsg or plain"),
        }
        logs: AsciiStr<LOGS_MAX> {
            description: "additional logs, each with the device node /dev/umsg-NAME",
            default: "",
            words: ("a list of NAME[:CAPACITY][:POLICY][:MODE][:STYLE] with commas between"),
            change: logs::change,
        }
        minor: Minor {
            description: "minor number of the first device node; the other nodes get the next free ones",
            default: "dynamic",
            words: ("dynamic or from 243 to 254"),
        }
        quiet: bool {
            description: "do not log a line when the module is loaded or unloaded",
            default: "N",
            words: ("y or n"),
        }
    }
}

/// Maximum length of the parameter `logs` in bytes. Sysfs cannot show more than a page.
pub(crate) const LOGS_MAX: usize = 4000;

/// The configuration of the module, checked as a whole.
///
/// # Invariants
///
/// - The capacity of each log is a multiple of [`CAPACITY_UNIT`].
/// - A record of `record_max` bytes fits each log.
/// - The names of the device nodes are unique.
pub(crate) struct Config {
    /// The default log, then the named logs.
    logs: KVec<LogConfig>,
    quiet: bool,
}

impl Config {
    /// Reads and checks the parameters of the module load.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a value or a combination of values is invalid. One line in the kernel log
    ///   describes it.
    /// - `ENOMEM`: not enough memory for the logs, which one line in the kernel log describes, or a
    ///   small allocation failed.
    pub(crate) fn from_parameters() -> Result<Self> {
        let capacity = params::capacity.value()?;
        let mode = params::mode.value()?;
        let policy = params::policy.value()?;
        let style = params::style.value()?;
        let minor = params::minor.value()?;
        let quiet = params::quiet.value()?;
        // `record_max` is read last. A write to it through sysfs therefore happens before this call
        // or sees the limit that it set.
        params::record_max.value()?;

        let mut logs = KVec::new();
        logs.push(
            LogConfig {
                node: CString::try_from_fmt(fmt!("umsg"))?,
                capacity: capacity.0.next_multiple_of(CAPACITY_UNIT),
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
                    // `printk()` truncates lines of more than about a thousand bytes.
                    let value = AsciiStr::<256>::truncate_from(list.as_bytes());
                    let item = AsciiStr::<64>::truncate_from(item.as_bytes());
                    pr_err!("logs={}: {why} in '{}'\n", value.as_str(), item.as_str());
                };
                let default = logs.first().ok_or(EINVAL)?;
                let mut log = match LogConfig::parse(item, default) {
                    Ok(log) => log,
                    Err(LogConfigError::Memory) => return Err(ENOMEM),
                    Err(LogConfigError::Invalid(why) | LogConfigError::TooLarge(why)) => {
                        log_error(why);
                        return Err(EINVAL);
                    }
                };
                let checked = log
                    .check_name(logs.iter())
                    .and_then(|()| log.assign_minor(logs.iter()));
                if let Err(why) = checked {
                    log_error(why);
                    return Err(EINVAL);
                }
                logs.push(log, GFP_KERNEL)?;
            }
            Ok(())
        })??;
        // INVARIANT: The capacities are multiples of the unit and the names are unique.
        // `check_record_max` checks that the records fit.
        let config = Self { logs, quiet };
        config.check_record_max()?;
        config.check_memory()?;
        Ok(config)
    }

    /// Checks that a record of `record_max` bytes fits each log, and sets `record_max`.
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
                "record_max={}: a record of this size needs {} bytes, /dev/{} has {}\n",
                size.0,
                record::stored_size(size.0),
                smallest.node.to_str().unwrap_or(""),
                smallest.capacity
            );
            Err(EINVAL)
        })?
    }

    /// Checks that enough memory for all logs is available. This comes before any allocation,
    /// because the page allocator would invoke the OOM killer to get the memory.
    fn check_memory(&self) -> Result {
        let needed = self
            .logs
            .iter()
            .fold(0usize, |sum, log| sum.saturating_add(log.capacity));
        let available = memory::available();
        if needed > available {
            pr_err!(
                "capacity: not enough memory: the logs need {needed} bytes, {available} are available\n"
            );
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Returns the configurations of the logs, that of the default log first.
    pub(crate) fn into_logs(self) -> KVec<LogConfig> {
        self.logs
    }

    /// Returns whether loading and unloading log no line in the kernel log.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }
}

/// The summary in the line that the module logs when it is loaded.
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
                let plural = if more.len() == 1 { "" } else { "s" };
                write!(f, ", and {} named log{plural}", more.len())?;
            }
        }
        Ok(())
    }
}

/// The current value of the parameter `record_max` in bytes, at least 1. A record of this size fits
/// a log of `RECORD_MAX_LIMIT` bytes.
///
/// The default, 1 KiB, is the limit of `/dev/kmsg` (`PRINTKRB_RECORD_MAX`). A record of that size
/// in plain ASCII fits the buffer of `dmesg` (`PRINTK_MESSAGE_MAX`, 2 KiB) in text format. The
/// maximum also bounds the time for which a log's spinlock is held to copy one record.
static RECORD_MAX: Atomic<usize> = Atomic::new(0);

/// The capacity in bytes of the smallest log. A record of `record_max` bytes must fit it.
static RECORD_MAX_LIMIT: Atomic<usize> = Atomic::new(usize::MAX);

/// Returns the maximum length of the text of one record in bytes. It can change at any time.
pub(crate) fn record_max() -> usize {
    RECORD_MAX.load(Relaxed)
}

/// Limits `record_max` to records that fit a log of `capacity` bytes. The caller holds the
/// parameter lock.
pub(crate) fn set_record_max_limit(capacity: usize) {
    RECORD_MAX_LIMIT.store(capacity, Relaxed);
}

/// Sets `record_max` to `size`. Returns false and changes nothing if such a record does not fit the
/// smallest log.
fn set_record_max(size: &Size) -> bool {
    let fits = record::stored_size(size.0) <= RECORD_MAX_LIMIT.load(Relaxed);
    if fits {
        RECORD_MAX.store(size.0, Relaxed);
    }
    fits
}

/// Handles a write of `given` to the parameter `record_max` in sysfs.
fn change_record_max(value: &mut Size, given: &[u8]) -> Result {
    let size = parse_value::<Size>(given)
        .filter(|size| size.is_within("1", "64K") && set_record_max(size))
        .ok_or(EINVAL)?;
    *value = size;
    Ok(())
}
