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
    let size = read::<Size>(given)
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
    /// What the device node does for files that do not say otherwise.
    pub(crate) style: Style,
    /// Minor number of the device node; `None` for a free one.
    pub(crate) minor: Option<u8>,
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
                let refuse = |why: &str| {
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
                        refuse(why);
                        return Err(EINVAL);
                    }
                };
                if let Err(why) = log.fit_among(logs.iter()) {
                    refuse(why);
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

/// Why there is no [`LogConfig`].
pub(crate) enum LogConfigError {
    /// This is wrong with what was given.
    Invalid(&'static str),
    /// There is no memory for it.
    Memory,
}

impl LogConfig {
    /// Reads `NAME[:CAPACITY][:POLICY][:MODE][:STYLE]`, in any order after the name; what is not
    /// given is as for the `default` log. The node has no minor number of its own yet.
    pub(crate) fn parse(item: &str, default: &Self) -> core::result::Result<Self, LogConfigError> {
        let mut fields = item.split(':');
        let name = fields.next().unwrap_or("");
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(good) {
            return Err(LogConfigError::Invalid(
                "a name must be 1 to 32 letters, digits, '_', '-' or '.'",
            ));
        }
        let node =
            CString::try_from_fmt(fmt!("umsg-{name}")).map_err(|_| LogConfigError::Memory)?;
        let (mut capacity, mut policy, mut mode, mut style) = (None, None, None, None);
        for text in fields.map(str::as_bytes).filter(|text| !text.is_empty()) {
            let is_first = if let Some(given) = read::<Policy>(text) {
                policy.replace(given).is_none()
            } else if let Some(given) = read::<Style>(text) {
                style.replace(given).is_none()
            } else if let Some(given) = read::<Mode>(text).filter(|_| text[0] == b'0') {
                if !given.is_within("0001", "0777") {
                    return Err(LogConfigError::Invalid(
                        "the mode must be from 0001 to 0777",
                    ));
                }
                mode.replace(given).is_none()
            } else if let Some(given) = read::<Size>(text) {
                if !given.is_within("4K", "1T") {
                    return Err(LogConfigError::Invalid(
                        "the capacity must be from 4K to 1T, and a mode begins with 0,",
                    ));
                }
                capacity.replace(given).is_none()
            } else {
                return Err(LogConfigError::Invalid(
                    "there is neither a capacity, a policy, a mode nor a style",
                ));
            };
            if !is_first {
                return Err(LogConfigError::Invalid("there are two values of a kind"));
            }
        }
        let capacity = capacity.unwrap_or(Size(default.capacity));
        Ok(Self {
            node,
            capacity: capacity.0.next_multiple_of(PAGE_SIZE),
            policy: policy.unwrap_or(default.policy),
            mode: mode.map_or(default.mode, |mode| mode.0),
            style: style.unwrap_or(default.style),
            minor: None,
        })
    }

    /// Returns the name of the log, if it is not the default one.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        self.node.to_bytes().strip_prefix(b"umsg-")
    }

    /// Gives the log a minor number of its own, if the `others`, of which the first is the default
    /// log, have one. Fails, and says why, if there is none left or its name is taken.
    pub(crate) fn fit_among<'a>(
        &mut self,
        others: impl Iterator<Item = &'a Self> + Clone,
    ) -> core::result::Result<(), &'static str> {
        if others.clone().any(|other| *other.node == *self.node) {
            return Err("the name is there twice");
        }
        if let Some(first) = others.clone().next().and_then(|default| default.minor) {
            let is_free = |minor: &u8| others.clone().all(|other| other.minor != Some(*minor));
            let free = (first..=Minor::MAX).find(is_free);
            self.minor = Some(free.ok_or("there is no minor number left for it")?);
        }
        Ok(())
    }

    /// Returns whether the log holds a record of `record_max`.
    pub(crate) fn holds_records(&self) -> bool {
        record::stored_size(record_max()) <= self.capacity
    }
}

/// Returns the value that `text` is, if it is one of its kind.
fn read<V: ParamValue>(text: &[u8]) -> Option<V> {
    let mut value = V::INIT;
    value.parse_from(text).then_some(value)
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

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_config)]
mod tests {
    use super::*;

    /// Returns the default log, from which named ones take what they do not say.
    fn default_log() -> Result<LogConfig> {
        Ok(LogConfig {
            node: CString::try_from_fmt(fmt!("umsg"))?,
            capacity: 1 << 20,
            policy: Policy::Overwrite,
            mode: 0o600,
            style: Style::Lines,
            minor: None,
        })
    }

    #[test]
    fn fields_left_out_are_the_default_logs() -> Result {
        let default = default_log()?;
        for item in ["app", "app:", "app::", "app:::", "app:1M:overwrite:0600"] {
            let log = LogConfig::parse(item, &default).map_err(|_| EINVAL)?;
            assert_eq!(log.node.to_bytes(), b"umsg-app");
            assert_eq!(log.capacity, 1 << 20);
            assert_eq!(log.policy, Policy::Overwrite);
            assert_eq!(log.mode, 0o600);
            assert_eq!(log.style, Style::Lines);
        }
        for item in ["app:4097:stop:0777:kmsg", "app:kmsg:0777:stop:4097"] {
            let log = LogConfig::parse(item, &default).map_err(|_| EINVAL)?;
            assert_eq!(log.capacity, 2 * PAGE_SIZE);
            assert_eq!(log.policy, Policy::Stop);
            assert_eq!(log.mode, 0o777);
            assert_eq!(log.style, Style::Kmsg);
        }
        Ok(())
    }

    #[test]
    fn names_at_their_bounds() -> Result {
        let default = default_log()?;
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
            assert_eq!(LogConfig::parse(name, &default).is_ok(), good);
        }
        let others = [
            default,
            LogConfig::parse("twice", &default_log()?).map_err(|_| EINVAL)?,
        ];
        for (name, good) in [("twice", false), ("Twice", true)] {
            let mut log = LogConfig::parse(name, &others[0]).map_err(|_| EINVAL)?;
            assert_eq!(log.fit_among(others.iter()).is_ok(), good);
            assert_eq!(log.minor, None);
        }
        Ok(())
    }

    /// A log gets the lowest number from that of the default log on that is free.
    #[test]
    fn minors_are_free_ones() -> Result {
        let mut others = KVec::new();
        for (name, minor) in [("umsg", 252), ("a", 254)] {
            let mut log = default_log()?;
            log.node = CString::try_from_fmt(fmt!("{name}"))?;
            log.minor = Some(minor);
            others.push(log, GFP_KERNEL)?;
        }
        let mut log = LogConfig::parse("b", &others[0]).map_err(|_| EINVAL)?;
        assert!(log.fit_among(others.iter()).is_ok());
        assert_eq!(log.minor, Some(253));
        others.push(log, GFP_KERNEL)?;
        let mut log = LogConfig::parse("c", &others[0]).map_err(|_| EINVAL)?;
        assert!(log.fit_among(others.iter()).is_err());
        Ok(())
    }

    #[test]
    fn values_out_of_bounds() -> Result {
        let default = default_log()?;
        for item in [
            "a:4095",
            "a:1025G",
            "a:x",
            "a:1M:drop",
            "a:1M:stop:0",
            "a:1M:stop:1000",
            "a:1M:stop:0600:more",
            "a:1M:2M",
            "a:stop:overwrite",
            "a:0600:0600",
            "a:kmsg:kmsg",
            "a:640",
        ] {
            assert!(LogConfig::parse(item, &default).is_err());
        }
        for item in ["a:4096", "a:1T", "a:::01", "a:0x1000", "a:plain"] {
            assert!(LogConfig::parse(item, &default).is_ok());
        }
        Ok(())
    }
}
