// SPDX-License-Identifier: GPL-2.0

//! Parameters: what they set, and what a bad one is told.

use crate::abi::{Umsg, NODE};
use crate::kernel::{command, is_loaded, modprobe, rmmod, Messages};
use crate::Test;
use std::os::unix::fs::PermissionsExt;

pub const TESTS: &[Test] = &[
    Test::new("parameters.modinfo", modinfo).unloaded(),
    Test::new("parameters.set", set).unloaded(),
    Test::new("parameters.refused", refused).unloaded().complains(),
    Test::new("parameters.too_much_memory", too_much_memory).unloaded().complains(),
];

fn modinfo() {
    let shown = command("modinfo", &["umsg"]).expect("modinfo");
    for name in ["capacity", "record_max", "mode", "policy"] {
        let line = shown
            .lines()
            .find(|line| line.starts_with("parm:") && line.contains(&format!(" {name}:")));
        assert!(line.is_some_and(|line| line.contains("default")), "{name} in {shown}");
    }
    assert!(shown.contains("license:        GPL"), "{shown}");
}

fn set() {
    let page = 4096;
    for (parameters, capacity, record_max, mode, policy) in [
        ("", 1 << 20, 1024, 0o600, 0),
        ("capacity=1080", page, 1024, 0o600, 0),
        ("capacity=4096", page, 1024, 0o600, 0),
        ("capacity=4097", 2 * page, 1024, 0o600, 0),
        ("capacity=0x10000 record_max=1", 1 << 16, 1, 0o600, 0),
        ("capacity=64 record_max=8", page, 8, 0o600, 0),
        ("record_max=65536 mode=0640", 1 << 20, 65536, 0o640, 0),
        ("mode=0400 policy=1", 1 << 20, 1024, 0o400, 1),
        ("mode=0777", 1 << 20, 1024, 0o777, 0),
        ("capacity=134217728", 128 << 20, 1024, 0o600, 0),
    ] {
        let mut log = Messages::from_now();
        modprobe(parameters).expect(parameters);
        let info = Umsg::reader().info();
        assert_eq!(
            (info.capacity, info.record_max, info.policy),
            (capacity, record_max, policy),
            "{parameters}"
        );
        let mode_is = std::fs::metadata(NODE).expect(NODE).permissions().mode() & 0o7777;
        assert_eq!(mode_is, mode, "{parameters}");
        rmmod().expect("rmmod");
        // One line at load, one at unload.
        let said = log.of_umsg();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0]
                .contains(&format!("capacity={capacity} record_max={record_max} mode={mode:04o}")),
            "{said:?}"
        );
    }
}

/// What a load that was refused leaves behind: nothing but one line that says why.
fn assert_refused(parameters: &str, error: &str, line: &str) {
    let mut log = Messages::from_now();
    let said = modprobe(parameters).expect_err(parameters);
    assert!(said.contains(error), "{parameters}: {said}");
    let lines = log.of_umsg();
    assert_eq!(lines.len(), 1, "{parameters}: {lines:?}");
    assert!(lines[0].contains(line), "{parameters}: {lines:?}");
    assert!(!is_loaded());
    assert!(!std::path::Path::new(NODE).exists());
    assert!(!std::path::Path::new("/sys/module/umsg").exists());
    assert!(!std::path::Path::new("/sys/class/misc/umsg").exists());
}

fn refused() {
    for (parameters, line) in [
        ("record_max=0", "record_max=0: must be from 1 to 65536 bytes"),
        ("record_max=65537", "record_max=65537: must be from 1 to 65536 bytes"),
        ("record_max=18446744073709551615", "must be from 1 to 65536 bytes"),
        (
            "capacity=0",
            "capacity=0: must be 1080 bytes or more to hold one record of record_max=1024",
        ),
        ("capacity=1079", "capacity=1079: must be 1080 bytes or more"),
        ("capacity=4096 record_max=4097", "capacity=4096: must be 4160 bytes or more"),
        ("capacity=18446744073709551615", "capacity=18446744073709551615: larger than"),
        ("mode=0", "mode=00: must be from 01 to 0777"),
        ("mode=01000", "mode=01000: must be from 01 to 0777"),
        ("mode=65535", "mode=0177777: must be from 01 to 0777"),
        ("policy=2", "policy=2: must be 0 (overwrite) or 1 (stop)"),
        ("policy=255", "policy=255: must be 0 (overwrite) or 1 (stop)"),
        // What the kernel itself says of a value that is not a number, or not in the type's range.
        ("capacity=", "invalid for parameter"),
        ("capacity=many", "invalid for parameter"),
        ("capacity=-1", "invalid for parameter"),
        ("capacity=1.5", "invalid for parameter"),
        ("capacity=18446744073709551616", "invalid for parameter"),
        ("mode=0888", "invalid for parameter"),
        ("mode=65536", "invalid for parameter"),
        ("policy=-1", "invalid for parameter"),
    ] {
        // kmod's own words for EINVAL and ERANGE.
        assert_refused(parameters, "could not insert 'umsg'", line);
    }
}

fn too_much_memory() {
    for parameters in
        ["capacity=1099511627776", "capacity=9223372036854775808", "capacity=4294967296"]
    {
        assert_refused(parameters, "Cannot allocate memory", "the machine has ");
    }
    // The machine is none the worse for it.
    modprobe("").expect("modprobe");
    rmmod().expect("rmmod");
}
