// SPDX-License-Identifier: GPL-2.0

//! The configuration of one log, as an item of the parameter `logs` describes it.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    str::CString, //
};

use crate::{
    config::record_max,
    pure::{
        record,
        ring::Policy,
        style::Style,
        value::{
            Minor,
            Mode,
            ParamValue,
            Size, //
        }, //
    }, //
};

/// The configuration of one log.
pub(crate) struct LogConfig {
    /// Name of the device node in /dev.
    pub(crate) node: CString,
    /// Size of the memory for records in bytes.
    pub(crate) capacity: usize,
    /// Whether a full log overwrites records or rejects new ones.
    pub(crate) policy: Policy,
    /// Permission bits of the device node.
    pub(crate) mode: u16,
    /// The initial style of files that are opened through the device node.
    pub(crate) style: Style,
    /// Minor number of the device node, or `None` for a dynamic one.
    pub(crate) minor: Option<u8>,
}

/// Capacities are multiples of this number of bytes, the smallest page size, so that a log holds
/// the same records on all kernels.
pub(crate) const CAPACITY_UNIT: usize = 4096;

/// Maximum length of the name of a log in bytes.
const NAME_MAX: usize = 32;

/// The reason why an item of the parameter `logs` is rejected.
pub(crate) enum LogConfigError {
    /// The item is invalid; the text says why.
    Invalid(&'static str),
    /// There is not enough memory for the log; the text says so.
    TooLarge(&'static str),
    /// An allocation failed.
    Memory,
}

impl LogConfig {
    /// Parses `NAME[:CAPACITY][:POLICY][:MODE][:STYLE]`. The fields after the name can be in any
    /// order. A missing field has the value of the `default` log. The minor number is dynamic.
    pub(crate) fn parse(item: &str, default: &Self) -> core::result::Result<Self, LogConfigError> {
        let mut fields = item.split(':');
        let name = fields.next().unwrap_or("");
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(is_allowed) {
            return Err(LogConfigError::Invalid(
                "a name must be 1 to 32 letters, digits, '_', '-' or '.'",
            ));
        }
        // A list that begins with `-` is a change of the logs and not a list of them.
        if name.starts_with('-') {
            return Err(LogConfigError::Invalid("a name must not begin with '-'"));
        }
        let node =
            CString::try_from_fmt(fmt!("umsg-{name}")).map_err(|_| LogConfigError::Memory)?;
        let (mut capacity, mut policy, mut mode, mut style) = (None, None, None, None);
        for text in fields.map(str::as_bytes).filter(|text| !text.is_empty()) {
            let is_first = if let Some(value) = parse_value::<Policy>(text) {
                policy.replace(value).is_none()
            } else if let Some(value) = parse_value::<Style>(text) {
                style.replace(value).is_none()
            } else if let Some(value) = parse_value::<Mode>(text).filter(|_| text[0] == b'0') {
                if !value.is_within("0001", "0777") {
                    return Err(LogConfigError::Invalid(
                        "the mode must be from 0001 to 0777",
                    ));
                }
                mode.replace(value).is_none()
            } else if let Some(value) = parse_value::<Size>(text) {
                if !value.is_within("4K", "1T") {
                    return Err(LogConfigError::Invalid(
                        "the capacity must be from 4K to 1T (a mode begins with 0)",
                    ));
                }
                capacity.replace(value).is_none()
            } else {
                return Err(LogConfigError::Invalid(
                    "expected a capacity, a policy, a mode or a style",
                ));
            };
            if !is_first {
                return Err(LogConfigError::Invalid(
                    "duplicate capacity, policy, mode or style",
                ));
            }
        }
        let capacity = capacity.unwrap_or(Size(default.capacity));
        Ok(Self {
            node,
            capacity: capacity.0.next_multiple_of(CAPACITY_UNIT),
            policy: policy.unwrap_or(default.policy),
            mode: mode.map_or(default.mode, |mode| mode.0),
            style: style.unwrap_or(default.style),
            minor: None,
        })
    }

    /// Returns the name of the log, or `None` for the default log.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        self.node.to_bytes().strip_prefix(b"umsg-")
    }

    /// Fails with the reason if one of the `others` has the same name.
    pub(crate) fn check_name<'a>(
        &self,
        mut others: impl Iterator<Item = &'a Self>,
    ) -> core::result::Result<(), &'static str> {
        if others.any(|other| *other.node == *self.node) {
            return Err("duplicate log name");
        }
        Ok(())
    }

    /// Assigns the next free minor number if the default log, the first of the `others`, has one.
    /// Fails with the reason if no number is free.
    pub(crate) fn assign_minor<'a>(
        &mut self,
        others: impl Iterator<Item = &'a Self> + Clone,
    ) -> core::result::Result<(), &'static str> {
        if let Some(first) = others.clone().next().and_then(|default| default.minor) {
            let is_free = |minor: &u8| others.clone().all(|other| other.minor != Some(*minor));
            let free = (first..=Minor::MAX).find(is_free);
            self.minor = Some(free.ok_or("no free minor number up to 254")?);
        }
        Ok(())
    }

    /// Returns whether a record of `record_max` bytes fits the log.
    pub(crate) fn fits_record_max(&self) -> bool {
        record::stored_size(record_max()) <= self.capacity
    }
}

/// Parses `text` as a value of type `V`. Returns `None` if it is not valid.
pub(crate) fn parse_value<V: ParamValue>(text: &[u8]) -> Option<V> {
    let mut value = V::INIT;
    value.parse_from(text).then_some(value)
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_log_config)]
mod tests {
    use super::*;

    /// Returns a default log for the tests.
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

    /// Checks that a missing field has the value of the default log, and that the fields can be in
    /// any order.
    #[test]
    fn missing_fields_are_inherited() -> Result {
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
            assert_eq!(log.capacity, 8192);
            assert_eq!(log.policy, Policy::Stop);
            assert_eq!(log.mode, 0o777);
            assert_eq!(log.style, Style::Kmsg);
        }
        Ok(())
    }

    /// Checks the accepted characters and lengths of a name, and that duplicates are rejected.
    #[test]
    fn name_bounds() -> Result {
        let default = default_log()?;
        for (name, is_valid) in [
            ("", false),
            ("a", true),
            ("A.b-c_9", true),
            ("_.-", true),
            ("-", false),
            ("-a", false),
            ("a/b", false),
            ("a b", false),
            ("\u{e9}", false),
            ("12345678901234567890123456789012", true),
            ("123456789012345678901234567890123", false),
        ] {
            assert_eq!(LogConfig::parse(name, &default).is_ok(), is_valid);
        }
        let others = [
            default,
            LogConfig::parse("twice", &default_log()?).map_err(|_| EINVAL)?,
        ];
        for (name, is_valid) in [("twice", false), ("Twice", true)] {
            let mut log = LogConfig::parse(name, &others[0]).map_err(|_| EINVAL)?;
            assert_eq!(log.check_name(others.iter()).is_ok(), is_valid);
            assert!(log.assign_minor(others.iter()).is_ok());
            assert_eq!(log.minor, None);
        }
        Ok(())
    }

    /// Checks that a log gets the lowest free minor number above that of the default log, and is
    /// rejected if there is none.
    #[test]
    fn minor_is_lowest_free() -> Result {
        let mut others = KVec::new();
        for (name, minor) in [("umsg", 252), ("a", 254)] {
            let mut log = default_log()?;
            log.node = CString::try_from_fmt(fmt!("{name}"))?;
            log.minor = Some(minor);
            others.push(log, GFP_KERNEL)?;
        }
        let mut log = LogConfig::parse("b", &others[0]).map_err(|_| EINVAL)?;
        assert!(log.assign_minor(others.iter()).is_ok());
        assert_eq!(log.minor, Some(253));
        others.push(log, GFP_KERNEL)?;
        let mut log = LogConfig::parse("c", &others[0]).map_err(|_| EINVAL)?;
        assert!(log.assign_minor(others.iter()).is_err());
        Ok(())
    }

    /// Checks that fields that are out of bounds, unknown or duplicate are rejected.
    #[test]
    fn invalid_fields() -> Result {
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
