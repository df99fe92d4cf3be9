// SPDX-License-Identifier: GPL-2.0

//! The values of each parameter: valid values and their effects, and the message for invalid ones.

use super::{assert_nothing_left, assert_refused, load_and_show, shown, INVALID, NAMES};
use crate::client::{Umsg, NODE};
use crate::kmod::{delete_module, finit_module, is_loaded, modprobe, rmmod, Messages};
use crate::{rounds, Test};
use nix::errno::Errno;
use std::os::unix::fs::PermissionsExt;

pub const TESTS: &[Test] = &[
    Test::new("parameters.sizes", sizes).unloaded().module_may_warn(),
    Test::new("parameters.modes", modes).unloaded().module_may_warn(),
    Test::new("parameters.booleans", booleans).unloaded().module_may_warn(),
    Test::new("parameters.policies", policies).unloaded().module_may_warn(),
    Test::new("parameters.styles", styles).unloaded().module_may_warn(),
    Test::new("parameters.random", random).unloaded().module_may_warn(),
    Test::new("parameters.minors", minors).unloaded().module_may_warn(),
];

fn sizes() {
    for (given, want) in [
        ("4K", "4K"),
        ("4k", "4K"),
        ("4096", "4K"),
        ("0x1000", "4K"),
        ("4097", "4097"),
        ("64K", "64K"),
        ("1M", "1M"),
        ("1024K", "1M"),
        ("1025K", "1025K"),
        ("0x10K", "16K"),
        ("0128K", "128K"),
    ] {
        assert_eq!(load_and_show(&format!("capacity={given}"), "capacity"), want, "{given}");
    }
    for bad in [
        "",
        "4095",
        "3K",
        "0",
        "1025G",
        "2T",
        "-1",
        "+4096",
        "4 K",
        "K",
        "KK",
        "4KB",
        "4KiB",
        "1.5M",
        "0x",
        "0xK",
        "four",
        "18446744073709551616",
        "18014398509481984K",
        "16777216T",
        "99999999999999999999T",
    ] {
        assert_refused(
            &[&format!("capacity={bad}")],
            INVALID,
            &format!("capacity={bad}: must be from 4K to 1T, in bytes or with K, M, G or T"),
        );
    }
    // White space around a value is ignored. Quotes keep it in the argument.
    assert_eq!(load_and_show("capacity=\" 8K \"", "capacity"), "8K");
    for (given, want) in [("1", "1"), ("64K", "64K"), ("65536", "64K"), ("1000", "1000")] {
        assert_eq!(load_and_show(&format!("record_max={given}"), "record_max"), want, "{given}");
    }
    for bad in ["0", "65537", "65K", ""] {
        assert_refused(&[&format!("record_max={bad}")], INVALID, "must be from 1 to 64K");
    }
    // A parameter without a value.
    assert_refused(&["capacity"], INVALID, "capacity=: must be from 4K to 1T");
}

fn modes() {
    for (given, want) in
        [("0600", 0o600), ("640", 0o640), ("1", 0o001), ("0777", 0o777), ("000644", 0o644)]
    {
        modprobe(&format!("mode={given}")).expect(given);
        assert_eq!(shown("mode"), format!("{want:04o}"));
        let mode = std::fs::metadata(NODE).expect(NODE).permissions().mode() & 0o7777;
        assert_eq!(mode, want, "{given}");
        rmmod().expect("rmmod");
    }
    for bad in ["0", "01000", "0800", "0x1ff", "-1", "rw", "177777777777777", "", "0o644"] {
        assert_refused(
            &[&format!("mode={bad}")],
            INVALID,
            &format!("mode={bad}: must be from 0001 to 0777"),
        );
    }
}

fn booleans() {
    for (given, want) in [
        ("quiet", "Y"),
        ("quiet=1", "Y"),
        ("quiet=y", "Y"),
        ("quiet=YES", "Y"),
        ("quiet=on", "Y"),
        ("quiet=True", "Y"),
        ("quiet=0", "N"),
        ("quiet=n", "N"),
        ("quiet=No", "N"),
        ("quiet=off", "N"),
        ("quiet=FALSE", "N"),
    ] {
        assert_eq!(load_and_show(given, "quiet"), want, "{given}");
    }
    for bad in ["", "2", "yess", "oui", "yn", "-1", "o"] {
        assert_refused(
            &[&format!("quiet={bad}")],
            INVALID,
            &format!("quiet={bad}: must be y or n"),
        );
    }
}

fn policies() {
    for good in ["overwrite", "stop"] {
        assert_eq!(load_and_show(&format!("policy={good}"), "policy"), good);
    }
    for bad in ["", "0", "Stop", "sto", "stopp", "overwrite,stop", "drop"] {
        assert_refused(
            &[&format!("policy={bad}")],
            INVALID,
            &format!("policy={bad}: must be overwrite or stop"),
        );
    }
    assert_refused(&["policy"], INVALID, "policy=: must be overwrite or stop");
}

fn styles() {
    for (number, good) in ["lines", "kmsg", "plain"].into_iter().enumerate() {
        modprobe(&format!("style={good}")).expect(good);
        assert_eq!(shown("style"), good);
        let file = Umsg::reader();
        assert_eq!((file.info().style, file.get_style()), (number as u32, number as u32));
        drop(file);
        rmmod().expect("rmmod");
    }
    for bad in ["", "0", "Lines", "line", "kmsgs", "lines,kmsg"] {
        assert_refused(
            &[&format!("style={bad}")],
            INVALID,
            &format!("style={bad}: must be lines, kmsg or plain"),
        );
    }
}

/// Checks that the nodes have fixed minor numbers if `minor` is set, so that static nodes work.
fn minors() {
    use std::os::unix::fs::MetadataExt;
    let minor = |path: &str| {
        let device = std::fs::metadata(path).expect(path).rdev();
        assert_eq!(nix::sys::stat::major(device), 10, "{path}");
        nix::sys::stat::minor(device)
    };
    modprobe("minor=250 logs=a,b").expect("modprobe");
    assert_eq!(shown("minor"), "250");
    assert_eq!([NODE, "/dev/umsg-a", "/dev/umsg-b"].map(minor), [250, 251, 252]);
    // Logs that are added later get free minor numbers.
    let change = |what: &str| std::fs::write("/sys/module/umsg/parameters/logs", what);
    change("-a").expect("-a");
    for (name, number) in [("c", 251), ("d", 253), ("e", 254)] {
        change(&format!("+{name}")).expect(name);
        assert_eq!(minor(&format!("/dev/umsg-{name}")), number, "{name}");
    }
    let mut log = Messages::from_now();
    assert!(change("+f").is_err());
    assert_eq!(log.of_umsg(), ["logs=+f: no free minor number up to 254"]);
    // A static node opens the log that has its minor number.
    let device = nix::sys::stat::makedev(10, 252);
    let (kind, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRUSR);
    nix::sys::stat::mknod("/tmp/node", kind, mode, device).expect("mknod");
    let log_id = |path: &str| Umsg::open_at(path, libc::O_RDONLY).expect(path).info().log_id;
    assert_eq!(log_id("/tmp/node"), log_id("/dev/umsg-b"));
    rmmod().expect("rmmod");
    for bad in ["", "0", "242", "255", "250x", "-1", "any", "Dynamic"] {
        assert_refused(
            &[&format!("minor={bad}")],
            INVALID,
            &format!("minor={bad}: must be dynamic or from 243 to 254"),
        );
    }
    assert_refused(
        &["minor=254", "logs=a"],
        INVALID,
        "logs=a: no free minor number up to 254 in 'a'",
    );
}

/// Checks that a load with random values either succeeds, and the values in sysfs can be loaded
/// again, or fails and logs one line.
fn random() {
    let mut next = crate::random::random();
    const PIECES: [&str; 26] = [
        "0",
        "1",
        "7",
        "9",
        "64",
        "4096",
        "K",
        "M",
        "G",
        "T",
        "k",
        "x",
        "0x",
        "-",
        "+",
        ":",
        ",",
        "stop",
        "overwrite",
        "lines",
        "kmsg",
        "app",
        "/",
        ".",
        "y",
        "\u{e4}",
    ];
    const GOOD: [&str; 8] = ["64K", "app,box:64K", "dynamic", "0640", "stop", "y", "100", "plain"];
    let (mut good, mut bad) = (0, 0);
    let rounds = rounds();
    for _ in 0..rounds {
        // Add a valid value for each parameter in a quarter of the loads, because hardly any load
        // succeeds otherwise.
        let all_good = next(4) == 0;
        let mut given: Vec<String> = NAMES
            .iter()
            .zip(GOOD)
            .map(|(name, good)| match next(3) {
                0 => format!("{name}={good}"),
                _ => format!(
                    "{name}={}",
                    (0..next(4)).map(|_| PIECES[next(PIECES.len())]).collect::<String>()
                ),
            })
            .collect();
        if all_good {
            // The last value of a parameter counts.
            given.extend(NAMES.iter().zip(GOOD).map(|(name, good)| format!("{name}={good}")));
        }
        let mut log = Messages::from_now();
        match finit_module(&given.join(" ")) {
            Ok(()) => {
                good += 1;
                let shown: Vec<String> =
                    NAMES.iter().map(|name| format!("{name}={}", shown(name))).collect();
                delete_module().expect("unload");
                finit_module(&shown.join(" ")).expect("the values in sysfs");
                for (name, before) in NAMES.iter().zip(&shown) {
                    assert_eq!(&format!("{name}={}", self::shown(name)), before, "{given:?}");
                }
                delete_module().expect("unload");
            }
            Err(error) => {
                bad += 1;
                assert!(matches!(error, Errno::EINVAL | Errno::ENOMEM), "{given:?}: {error}");
                assert_eq!(log.of_umsg().len(), 1, "{given:?}");
                assert!(!is_loaded());
            }
        }
    }
    let strings = rounds as usize * NAMES.len();
    println!("{strings} values in {rounds} loads: {good} loads succeeded, {bad} failed");
    assert!(good > rounds / 10 && bad > rounds / 2);
    assert_nothing_left();
}
