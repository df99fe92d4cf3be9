// SPDX-License-Identifier: GPL-2.0

//! From the raw module parameters to one validated [`Config`].
//!
//! Every check of a parameter stands here, before anything is allocated or registered. A value that
//! cannot be used refuses the load with `EINVAL` and one line in the kernel log that says which
//! parameter it was, what was given and what is allowed.

#![deny(unsafe_code)]

use kernel::{
    fmt,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    module_parameters,
    record,
    ring::Policy, //
};

/// Default of the parameter `capacity`, in bytes.
pub(crate) const DEFAULT_CAPACITY: usize = 1 << 20;

/// Default of the parameter `record_max`, in bytes: what `/dev/kmsg` takes (`PRINTKRB_RECORD_MAX`).
/// The text form of such a record of plain ASCII fits the buffer of `dmesg` (`PRINTK_MESSAGE_MAX`,
/// 2048 bytes).
pub(crate) const DEFAULT_RECORD_MAX: usize = 1024;

/// Default of the parameter `mode`: root alone, until told otherwise.
pub(crate) const DEFAULT_MODE: u16 = 0o600;

/// Default of the parameter `policy`: overwrite.
pub(crate) const DEFAULT_POLICY: u8 = 0;

/// The longest `record_max` in bytes. It bounds how long the log's spinlock is held for one copy.
const RECORD_MAX_LIMIT: usize = 64 << 10;

/// What the module was asked to be, checked as a whole.
///
/// # Invariants
///
/// - `capacity` is a multiple of the page size and holds a record of `record_max` bytes.
/// - `record_max` is in `1..=RECORD_MAX_LIMIT`.
/// - `mode` is in `1..=0o777`.
pub(crate) struct Config {
    capacity: usize,
    record_max: usize,
    mode: u16,
    policy: Policy,
}

impl Config {
    /// Reads and checks the parameters the module was loaded with.
    pub(crate) fn from_parameters() -> Result<Self> {
        Self::new(
            *module_parameters::capacity.value(),
            *module_parameters::record_max.value(),
            *module_parameters::mode.value(),
            *module_parameters::policy.value(),
        )
    }

    /// Checks the parameters, each by itself and all together; `given` is the capacity.
    fn new(given: usize, record_max: usize, mode: u16, policy: u8) -> Result<Self> {
        if !(1..=RECORD_MAX_LIMIT).contains(&record_max) {
            pr_err!("record_max={record_max}: must be from 1 to {RECORD_MAX_LIMIT} bytes\n");
            return Err(EINVAL);
        }
        let least = record::stored_size(record_max);
        if given < least {
            pr_err!(
                "capacity={given}: must be {least} bytes or more to hold one record of record_max={record_max} bytes\n"
            );
            return Err(EINVAL);
        }
        let Some(capacity) = given.checked_next_multiple_of(PAGE_SIZE) else {
            pr_err!("capacity={given}: larger than the address space\n");
            return Err(EINVAL);
        };
        // The C side takes a mode of 0 as none given.
        if !(1..=0o777).contains(&mode) {
            pr_err!("mode=0{mode:o}: must be from 01 to 0777 (octal, with a leading 0)\n");
            return Err(EINVAL);
        }
        let policy = match policy {
            0 => Policy::Overwrite,
            1 => Policy::Stop,
            _ => {
                pr_err!("policy={policy}: must be 0 (overwrite) or 1 (stop)\n");
                return Err(EINVAL);
            }
        };

        // INVARIANT: Each of them was checked above.
        Ok(Self {
            capacity,
            record_max,
            mode,
            policy,
        })
    }

    /// Bytes of memory for the records of the log, their headers included.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Longest text of one record, in bytes.
    pub(crate) fn record_max(&self) -> usize {
        self.record_max
    }

    /// Permission bits of the device node.
    pub(crate) fn mode(&self) -> u16 {
        self.mode
    }

    /// What a full log does with a new record.
    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }
}

/// Shown in the one line that the module prints when it is loaded.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "capacity={} record_max={} mode={:04o} policy={}",
            self.capacity,
            self.record_max,
            self.mode,
            self.policy.name()
        )
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[expect(unsafe_code, reason = "the macro's own")]
#[kunit_tests(umsg_config)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_each_parameter() {
        const PAGE: usize = PAGE_SIZE;
        // One record of 8 bytes takes 64.
        let cases = [
            (PAGE, 0, 0o600, 0, false),
            (PAGE, 1, 0o600, 0, true),
            (1 << 20, RECORD_MAX_LIMIT, 0o600, 0, true),
            (1 << 20, RECORD_MAX_LIMIT + 1, 0o600, 0, false),
            (63, 8, 0o600, 0, false),
            (64, 8, 0o600, 0, true),
            (usize::MAX, 8, 0o600, 0, false),
            (usize::MAX - PAGE, 8, 0o600, 0, true),
            (PAGE, 8, 0, 0, false),
            (PAGE, 8, 1, 0, true),
            (PAGE, 8, 0o777, 1, true),
            (PAGE, 8, 0o1000, 1, false),
            (PAGE, 8, 0o600, 2, false),
        ];
        for (capacity, record_max, mode, policy, good) in cases {
            let config = Config::new(capacity, record_max, mode, policy);
            assert_eq!(config.is_ok(), good);
            if let Err(error) = config {
                assert_eq!(error, EINVAL);
            }
        }
    }

    #[test]
    fn capacity_is_whole_pages() {
        for (given, pages) in [(64, 1), (PAGE_SIZE, 1), (PAGE_SIZE + 1, 2)] {
            let config = Config::new(given, 8, 0o600, 0);
            assert_eq!(
                config.map(|config| config.capacity()),
                Ok(pages * PAGE_SIZE)
            );
        }
    }
}
