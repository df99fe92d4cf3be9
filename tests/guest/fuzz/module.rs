// SPDX-License-Identifier: GPL-2.0

//! The module under the fuzzer: its parameters, loading and unloading.

use crate::abi::LINES;
use crate::logs::{fields, node_name, Log, DEFAULT, NAMES};
use fastrand::Rng;
use nix::errno::Errno;
use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// The parameters that the module is loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// The capacity in bytes, rounded up to whole pages as in the module.
    pub capacity: usize,
    pub record_max: usize,
    pub mode: u32,
    /// 0: overwrite, 1: stop.
    pub policy: u32,
    /// `UMSG_STYLE_*`
    pub style: u32,
    /// The parameter `logs`.
    pub logs: &'static str,
    /// The logs of that list.
    pub named: &'static [Log],
    /// The parameter `minor`; `None`: not given.
    pub minor: Option<u32>,
}

/// The last minor number for local use (`Documentation/admin-guide/devices.txt`).
pub const MINOR_MAX: u32 = 254;

impl Parameters {
    pub const USUAL: Self = Self {
        capacity: 65536,
        record_max: 1024,
        mode: 0o600,
        policy: 0,
        style: LINES,
        logs: "",
        named: &[],
        minor: None,
    };

    pub fn draw(rng: &mut Rng) -> Self {
        let mut of = |choices: &[usize]| choices[rng.usize(..choices.len())];
        let record_max = of(&[1, 7, 8, 64, 500, 512, 1024, 1024, 3000, 4096, 16384, 65536]);
        let least = (56 + record_max.next_multiple_of(8)).next_multiple_of(4096);
        let capacity = of(&[least, least + 4096, 16384, 65536, 65536, 1 << 20]).max(least);
        let mode = of(&[0o600, 0o600, 0o666, 0o444, 0o222, 0o1]) as u32;
        let policy = of(&[0, 0, 0, 1]) as u32;
        let style = of(&[0, 0, 1, 2]) as u32;
        let minor = of(&[0, 0, 0, 0, 0, 243, 244, 249, 251, 254]) as u32;
        let minor = (minor > 0).then_some(minor);
        let parameters = Self { capacity, record_max, mode, policy, style, minor, ..Self::USUAL };
        parameters.with_logs(rng)
    }

    /// Draws the named logs.
    fn with_logs(self, rng: &mut Rng) -> Self {
        let default = Log::default_log(&self);
        let least = 56 + self.record_max.next_multiple_of(8);
        let mut names: Vec<u8> = (0..NAMES.len() as u8).collect();
        rng.shuffle(&mut names);
        let count = [0, 0, 1, 1, 2, 4][rng.usize(..6)];
        let (mut items, mut logs) = (Vec::new(), Vec::new());
        for name in names.into_iter().take(count) {
            let (item, log) = fields::item(name, rng.u32(..), &default);
            // Each log must be able to hold a record of `record_max`.
            if log.capacity >= least {
                items.push(item);
                logs.push(log);
            }
        }
        // Each log needs a minor number.
        let minor = self.minor.map(|minor| minor.min(MINOR_MAX - logs.len() as u32));
        // The parameters are used until the end of the program.
        let (list, named) = (Box::leak(items.join(",").into()), Box::leak(logs.into()));
        Self { logs: list, named, minor, ..self }
    }

    fn words(&self) -> String {
        let policy = ["overwrite", "stop"][self.policy as usize];
        let style = STYLES[self.style as usize];
        let minor = self.minor.map_or(String::new(), |minor| format!(" minor={minor}"));
        format!(
            "capacity={} record_max={} mode=0{:o} policy={policy} style={style} logs={}{minor}",
            self.capacity, self.record_max, self.mode, self.logs
        )
    }
}

/// The styles by name.
pub const STYLES: [&str; 3] = ["lines", "kmsg", "plain"];

/// Invalid parameters, and the error that loading with them returns.
const REFUSED: [(&str, Errno); 39] = [
    ("capacity=0", Errno::EINVAL),
    ("capacity=4095", Errno::EINVAL),
    ("capacity=18446744073709551615", Errno::EINVAL),
    ("capacity=18446744073709551616", Errno::EINVAL),
    ("capacity=1T", Errno::ENOMEM),
    ("capacity=-1", Errno::EINVAL),
    ("capacity=x", Errno::EINVAL),
    ("record_max=0", Errno::EINVAL),
    ("record_max=65537", Errno::EINVAL),
    ("record_max=64K capacity=64K", Errno::EINVAL),
    ("mode=0", Errno::EINVAL),
    ("mode=01000", Errno::EINVAL),
    ("mode=65536", Errno::EINVAL),
    ("policy=1", Errno::EINVAL),
    ("logs=a/b", Errno::EINVAL),
    ("style=0", Errno::EINVAL),
    ("style=Lines", Errno::EINVAL),
    ("style=kmsg,plain", Errno::EINVAL),
    ("style", Errno::EINVAL),
    ("logs=a:kmsg:plain", Errno::EINVAL),
    ("logs=a:64K:kmsg:64K", Errno::EINVAL),
    ("logs=a:kmsg,a:plain", Errno::EINVAL),
    ("logs=a:640", Errno::EINVAL),
    ("logs=a:01000", Errno::EINVAL),
    ("logs=a:kmsgs", Errno::EINVAL),
    ("logs=kmsg:stop:overwrite", Errno::EINVAL),
    ("policy", Errno::EINVAL),
    ("logs=+a", Errno::EINVAL),
    ("logs=-a", Errno::EINVAL),
    ("logs=b,-a", Errno::EINVAL),
    ("minor=242", Errno::EINVAL),
    ("minor=255", Errno::EINVAL),
    ("minor=499", Errno::EINVAL),
    ("minor=-13", Errno::EINVAL),
    ("minor=", Errno::EINVAL),
    ("minor", Errno::EINVAL),
    ("minor=Dynamic", Errno::EINVAL),
    ("minor=254 logs=a", Errno::EINVAL),
    ("logs=a:4K,b,c minor=252", Errno::EINVAL),
];

fn insert(words: &str) -> Result<(), Errno> {
    let file = std::fs::File::open("umsg.ko").expect("umsg.ko in the working folder");
    let words = CString::new(words).expect("no zero byte");
    finit_module(&file, &words, ModuleInitFlags::empty())
}

/// Loads the module, and checks the minor numbers of its nodes.
pub fn load(parameters: &Parameters) {
    insert(&parameters.words()).unwrap_or_else(|error| panic!("load {parameters:?}: {error}"));
    let word = parameters.minor.map_or("dynamic".into(), |minor| minor.to_string());
    assert_eq!(shown("minor"), word + "\n", "the parameter minor");
    let named = parameters.named.iter().map(|log| log.name);
    let names: Vec<String> = std::iter::once(DEFAULT).chain(named).map(node_name).collect();
    let minors: Vec<u32> = names.iter().map(|name| node(name).expect("a node").minor).collect();
    match parameters.minor {
        Some(first) => {
            let all: Vec<u32> = (first..).take(names.len()).collect();
            assert_eq!(minors, all, "the numbers of {names:?}");
        }
        None => {
            let mut different = minors.clone();
            different.sort();
            different.dedup();
            assert_eq!(different.len(), names.len(), "the numbers {minors:?} of {names:?}");
        }
    }
    let devices = std::fs::read_to_string("/proc/misc").expect("/proc/misc");
    for (name, minor) in names.iter().zip(minors) {
        let there = devices.lines().any(|line| line.trim() == format!("{minor} {name}"));
        assert!(there, "{name} with the number {minor} is not in /proc/misc:\n{devices}");
    }
}

/// Returns the value of a parameter of the loaded module, as sysfs shows it.
pub fn shown(parameter: &str) -> String {
    std::fs::read_to_string(format!("/sys/module/umsg/parameters/{parameter}")).expect(parameter)
}

/// A device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub mode: u32,
    pub minor: u32,
}

/// Returns the node `/dev/NAME`, if it exists. It must be a node of a misc device.
pub fn node(name: &str) -> Option<Node> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let found = match std::fs::symlink_metadata(format!("/dev/{name}")) {
        Ok(found) => found,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{name}");
            return None;
        }
    };
    assert!(found.file_type().is_char_device(), "{name} is {found:?}");
    assert_eq!(libc::major(found.rdev()), 10, "the major number of {name}");
    Some(Node { mode: found.mode() & 0o7777, minor: libc::minor(found.rdev()) })
}

/// Tries to load the module with invalid parameters, which must fail, and returns the parameters.
pub fn load_refused(rng: &mut Rng) -> &'static str {
    let (words, error) = REFUSED[rng.usize(..REFUSED.len())];
    assert_eq!(insert(words), Err(error), "load with {words}");
    words
}

/// Tries to load the module a second time.
pub fn load_again() -> Result<(), Errno> {
    insert("")
}

/// Unloads the module, unless it is in use.
pub fn unload() -> Result<(), Errno> {
    delete_module(c"umsg", DeleteModuleFlags::O_NONBLOCK)
}

/// Waits until the reference count of the module is `count`. A kernel worker can release a file
/// after its last user has exited.
pub fn wait_for_users(count: u32) {
    let start = Instant::now();
    loop {
        let users = std::fs::read_to_string("/sys/module/umsg/refcnt").expect("refcnt");
        if users.trim() == count.to_string() {
            return;
        }
        let waited = start.elapsed() < Duration::from_secs(20);
        assert!(waited, "the module has {} users, not {count}", users.trim());
        std::thread::sleep(Duration::from_millis(5));
    }
}
