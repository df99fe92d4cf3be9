// SPDX-License-Identifier: GPL-2.0

//! The files in `/sys/module/umsg/parameters`.

use super::{shown, NAMES};
use crate::client::Umsg;
use crate::kmod::{delete_module, finit_module, rmmod, Messages};
use crate::sharing::child;
use crate::{rounds, Test};
use nix::errno::Errno;
use std::os::unix::fs::PermissionsExt;

pub const TESTS: &[Test] = &[
    Test::new("parameters.sysfs", sysfs),
    Test::new("parameters.sysfs_write", sysfs_write),
    Test::new("parameters.sysfs_against_unload", sysfs_against_unload)
        .unloaded()
        .module_may_warn()
        .on_all_cpus(),
];

fn sysfs() {
    let mut names: Vec<String> = std::fs::read_dir("/sys/module/umsg/parameters")
        .expect("parameters")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, NAMES);
    for (name, default) in [
        ("capacity", "1M"),
        ("logs", ""),
        ("minor", "dynamic"),
        ("mode", "0600"),
        ("policy", "overwrite"),
        ("quiet", "N"),
        ("record_max", "1K"),
        ("style", "lines"),
    ] {
        assert_eq!(shown(name), default);
        let path = format!("/sys/module/umsg/parameters/{name}");
        let mode = std::fs::metadata(&path).expect(&path).permissions().mode() & 0o777;
        let can_change = ["logs", "record_max"].contains(&name);
        assert_eq!(mode, if can_change { 0o644 } else { 0o444 }, "{name}");
    }
}

fn sysfs_write() {
    const PATH: &str = "/sys/module/umsg/parameters/record_max";
    let (file, reader) = (Umsg::writer(), Umsg::reader());
    let mut log = Messages::from_now();
    for (given, want) in [("2K", "2K"), ("2K\n", "2K"), ("10\n", "10"), ("64K", "64K"), ("1", "1")]
    {
        std::fs::write(PATH, given).expect(given);
        assert_eq!(shown("record_max"), want);
        let limit = reader.info().record_max as usize;
        file.log(vec![b'x'; limit]);
        assert_eq!(file.write(&vec![b'x'; limit + 1]), Err(Errno::EMSGSIZE));
        assert_eq!(reader.next().expect("a record").text.len(), limit);
    }
    for bad in ["0", "65K", "x", "", "\n", "1 2", "-1"] {
        let error = std::fs::write(PATH, bad);
        // The kernel does not pass an empty write to the module.
        if !bad.is_empty() {
            assert_eq!(error.expect_err(bad).raw_os_error(), Some(libc::EINVAL), "{bad}");
        }
        assert_eq!(shown("record_max"), "1");
    }
    // Invalid writes log nothing.
    assert_eq!(log.of_umsg(), [""; 0]);
    rmmod().expect_err("files are open");
}

/// Checks that nothing breaks if the module is loaded and unloaded while processes read and write
/// its parameters.
fn sysfs_against_unload() {
    let users: Vec<_> = (0..3)
        .map(|index| {
            child(move || loop {
                for name in NAMES {
                    let path = format!("/sys/module/umsg/parameters/{name}");
                    if let Ok(text) = std::fs::read_to_string(&path) {
                        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
                    }
                }
                let size = format!("{}K", 1 + index);
                let _ = std::fs::write("/sys/module/umsg/parameters/record_max", size);
                for change in ["+", "-"] {
                    let change = format!("{change}user{index}");
                    let _ = std::fs::write("/sys/module/umsg/parameters/logs", change);
                }
                // Leave CPU time for the loads.
                std::thread::sleep(std::time::Duration::from_millis(1 + index));
            })
        })
        .collect();
    for _ in 0..rounds() / 4 {
        finit_module("logs=a,b,c").expect("load");
        delete_module().expect("unload");
    }
    for user in users {
        user.kill_running();
    }
}
