// SPDX-License-Identifier: GPL-2.0

//! The module's parameters, and from them one validated [`Config`].
//!
//! Every check stands here, before anything is allocated or registered. What cannot be used refuses
//! the load with one line in the kernel log that says what was given and what is allowed. To add a
//! parameter, add it to [`parameters!`] below and use it in [`Config`]; the README's table, which a
//! test holds against `modinfo`, wants a row for it.

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
    memory,
    param::parameters,
    record,
    ring::Policy,
    value::{
        Mode,
        Size,
        Text,
        Value, //
    }, //
};

/// The parameters, as users know them.
mod given {
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
            apply: apply_record_max,
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
        logs: Text<LOGS_MAX> {
            description: "further logs, /dev/umsg-NAME each",
            default: "",
            words: ("a list of NAME[:CAPACITY[:POLICY[:MODE]]] with commas between"),
        }
        quiet: bool {
            description: "no lines in the kernel log about loading and unloading",
            default: "N",
            words: ("y or n"),
        }
    }
}

/// Longest value of the parameter `logs`, in bytes: sysfs shows no more than a page.
const LOGS_MAX: usize = 4000;

/// Longest name of a log, in bytes.
const NAME_MAX: usize = 32;

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

/// Makes `size` the `record_max` from now on, if the logs can hold such records.
fn apply_record_max(size: &Size) -> bool {
    let good = record::stored_size(size.0) <= RECORD_MAX_LIMIT.load(Relaxed);
    if good {
        RECORD_MAX.store(size.0, Relaxed);
    }
    good
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

/// One log.
pub(crate) struct LogConfig {
    /// Name of the device node in /dev.
    pub(crate) node: CString,
    /// Memory for records, in bytes.
    pub(crate) capacity: usize,
    /// What a full log does with a new record.
    pub(crate) policy: Policy,
    /// Permission bits of the device node.
    pub(crate) mode: u16,
}

impl Config {
    /// Reads and checks the parameters the module was loaded with.
    ///
    /// # Errors
    ///
    /// `EINVAL` and `ENOMEM`, each with its line in the kernel log.
    pub(crate) fn from_parameters() -> Result<Self> {
        let capacity = given::capacity.value()?;
        let mode = given::mode.value()?;
        let policy = given::policy.value()?;
        let quiet = given::quiet.value()?;
        // The last one, so that a write through sysfs comes before this or sees what it set.
        given::record_max.value()?;

        let mut logs = KVec::new();
        logs.push(
            LogConfig {
                node: CString::try_from_fmt(fmt!("umsg"))?,
                capacity: capacity.0.next_multiple_of(PAGE_SIZE),
                policy,
                mode: mode.0,
            },
            GFP_KERNEL,
        )?;
        given::logs.with(|list| -> Result {
            for item in list.as_str().split(',').filter(|item| !item.is_empty()) {
                let log = match LogConfig::parse(item, &logs) {
                    Ok(log) => log,
                    Err(NoLog::Memory) => return Err(ENOMEM),
                    Err(NoLog::Wrong(why)) => {
                        // A line of printk() has room for about a thousand bytes, the newline
                        // included.
                        let given = Text::<256>::cut(list.as_bytes());
                        let item = Text::<64>::cut(item.as_bytes());
                        pr_err!("logs={}: {why} in '{}'\n", given.as_str(), item.as_str());
                        return Err(EINVAL);
                    }
                };
                logs.push(log, GFP_KERNEL)?;
            }
            Ok(())
        })??;
        // INVARIANT: They are whole pages, and the names differ; `hold_records` sees to the rest.
        let config = Self { logs, quiet };
        config.hold_records()?;
        config.fit_memory()?;
        Ok(config)
    }

    /// Checks that each log holds a record of `record_max`, and puts that in force.
    fn hold_records(&self) -> Result {
        let smallest = self
            .logs
            .iter()
            .min_by_key(|log| log.capacity)
            .ok_or(EINVAL)?;
        RECORD_MAX_LIMIT.store(smallest.capacity, Relaxed);
        given::record_max.with(|size| {
            if apply_record_max(size) {
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
    fn fit_memory(&self) -> Result {
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

    /// The logs, the default one first.
    pub(crate) fn logs(&self) -> &[LogConfig] {
        &self.logs
    }

    /// Whether loading and unloading go without a line in the kernel log.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }
}

/// Why there is no [`LogConfig`].
enum NoLog {
    /// This is wrong with what was given.
    Wrong(&'static str),
    /// There is no memory for it.
    Memory,
}

impl LogConfig {
    /// Reads `NAME[:CAPACITY[:POLICY[:MODE]]]`; what is not given is as for the default log, the
    /// first of `others`.
    fn parse(item: &str, others: &[LogConfig]) -> core::result::Result<Self, NoLog> {
        let default = others.first().ok_or(NoLog::Wrong("no default log"))?;
        let mut fields = item.split(':');
        let name = fields.next().unwrap_or("");
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(good) {
            return Err(NoLog::Wrong(
                "a name must be 1 to 32 letters, digits, '_', '-' or '.'",
            ));
        }
        let node = CString::try_from_fmt(fmt!("umsg-{name}")).map_err(|_| NoLog::Memory)?;
        if others
            .iter()
            .any(|other| other.node.to_bytes() == node.to_bytes())
        {
            return Err(NoLog::Wrong("the name is there twice"));
        }
        let mut capacity = Size(default.capacity);
        let mut policy = default.policy;
        let mut mode = Mode(default.mode);
        let mut field = |slot: &mut dyn FnMut(&[u8]) -> bool| {
            // An empty field is one that is not given.
            fields
                .next()
                .is_none_or(|text| text.is_empty() || slot(text.as_bytes()))
        };
        if !field(&mut |text| capacity.assign(text) && capacity.is_within("4K", "1T")) {
            return Err(NoLog::Wrong("the capacity must be from 4K to 1T"));
        }
        if !field(&mut |text| policy.assign(text)) {
            return Err(NoLog::Wrong("the policy must be overwrite or stop"));
        }
        if !field(&mut |text| mode.assign(text) && mode.is_within("0001", "0777")) {
            return Err(NoLog::Wrong("the mode must be from 0001 to 0777"));
        }
        if fields.next().is_some() {
            return Err(NoLog::Wrong("there is more than NAME:CAPACITY:POLICY:MODE"));
        }
        Ok(Self {
            node,
            capacity: capacity.0.next_multiple_of(PAGE_SIZE),
            policy,
            mode: mode.0,
        })
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
            if !more.is_empty() {
                write!(f, ", and {} named logs", more.len())?;
            }
        }
        Ok(())
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_config)]
mod tests {
    use super::*;

    /// The default log, from which named ones take what they do not say.
    fn default_log() -> Result<KVec<LogConfig>> {
        let mut logs = KVec::new();
        logs.push(
            LogConfig {
                node: CString::try_from_fmt(fmt!("umsg"))?,
                capacity: 1 << 20,
                policy: Policy::Overwrite,
                mode: 0o600,
            },
            GFP_KERNEL,
        )?;
        Ok(logs)
    }

    #[test]
    fn fields_left_out_are_the_default_logs() -> Result {
        let others = default_log()?;
        for item in ["app", "app:", "app::", "app:::", "app:1M:overwrite:0600"] {
            let log = LogConfig::parse(item, &others).map_err(|_| EINVAL)?;
            assert_eq!(log.node.to_bytes(), b"umsg-app");
            assert_eq!(log.capacity, 1 << 20);
            assert_eq!(log.policy, Policy::Overwrite);
            assert_eq!(log.mode, 0o600);
        }
        let log = LogConfig::parse("app:4097:stop:0777", &others).map_err(|_| EINVAL)?;
        assert_eq!(log.capacity, 2 * PAGE_SIZE);
        assert_eq!(log.policy, Policy::Stop);
        assert_eq!(log.mode, 0o777);
        Ok(())
    }

    #[test]
    fn names_at_their_bounds() -> Result {
        let mut others = default_log()?;
        for (name, good) in [
            ("", false),
            ("a", true),
            ("A.b-c_9", true),
            ("a/b", false),
            ("a b", false),
            ("\u{e9}", false),
            ("12345678901234567890123456789012", true),
            ("123456789012345678901234567890123", false),
        ] {
            assert_eq!(LogConfig::parse(name, &others).is_ok(), good);
        }
        let log = LogConfig::parse("twice", &others).map_err(|_| EINVAL)?;
        others.push(log, GFP_KERNEL)?;
        assert!(LogConfig::parse("twice", &others).is_err());
        assert!(LogConfig::parse("Twice", &others).is_ok());
        Ok(())
    }

    #[test]
    fn values_out_of_bounds() -> Result {
        let others = default_log()?;
        for item in [
            "a:4095",
            "a:1025G",
            "a:x",
            "a:1M:drop",
            "a:1M:stop:0",
            "a:1M:stop:1000",
            "a:1M:stop:0600:more",
        ] {
            assert!(LogConfig::parse(item, &others).is_err());
        }
        for item in ["a:4096", "a:1T", "a:::1"] {
            assert!(LogConfig::parse(item, &others).is_ok());
        }
        Ok(())
    }
}
