// SPDX-License-Identifier: GPL-2.0

//! The module under the fuzzer: its parameters, loading and unloading.

use crate::abi::LINES;
use fastrand::Rng;
use nix::errno::Errno;
use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// What the module is loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// In whole pages, as the module rounds it.
    pub capacity: usize,
    pub record_max: usize,
    pub mode: u32,
    /// 0: overwrite, 1: stop.
    pub policy: u32,
    /// `UMSG_STYLE_*`
    pub style: u32,
    /// The parameter `logs`.
    pub logs: &'static str,
}

impl Parameters {
    pub const USUAL: Self =
        Self { capacity: 65536, record_max: 1024, mode: 0o600, policy: 0, style: LINES, logs: "" };

    pub fn draw(rng: &mut Rng) -> Self {
        let mut of = |choices: &[usize]| choices[rng.usize(..choices.len())];
        let record_max = of(&[1, 7, 8, 64, 500, 512, 1024, 1024, 3000, 4096, 16384, 65536]);
        let least = (56 + record_max.next_multiple_of(8)).next_multiple_of(4096);
        let capacity = of(&[least, least + 4096, 16384, 65536, 65536, 1 << 20]).max(least);
        let mode = of(&[0o600, 0o600, 0o666, 0o444, 0o222, 0o1]) as u32;
        let policy = of(&[0, 0, 0, 1]) as u32;
        let style = of(&[0, 0, 1, 2]) as u32;
        Self { capacity, record_max, mode, policy, style, logs: LOGS[of(&[0, 1, 2, 3, 4, 5])] }
    }

    fn words(&self) -> String {
        let policy = ["overwrite", "stop"][self.policy as usize];
        let style = STYLES[self.style as usize];
        format!(
            "capacity={} record_max={} mode=0{:o} policy={policy} style={style} logs={}",
            self.capacity, self.record_max, self.mode, self.logs
        )
    }
}

/// The styles by name.
pub const STYLES: [&str; 3] = ["lines", "kmsg", "plain"];

/// Named logs, whose fields are known by their form; each holds the longest record.
const LOGS: [&str; 6] = [
    "",
    "a",
    "a:1M:stop:0666:kmsg",
    "a:plain:stop,b:0640:128K:lines",
    "a::kmsg::,b:overwrite:1M",
    "a:0600,b:132K,c:stop,d:lines",
];

/// Parameters that refuse the load, and with which error.
const REFUSED: [(&str, Errno); 27] = [
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
];

fn insert(words: &str) -> Result<(), Errno> {
    let file = std::fs::File::open("umsg.ko").expect("umsg.ko in the working folder");
    let words = CString::new(words).expect("no zero byte");
    finit_module(&file, &words, ModuleInitFlags::empty())
}

/// Loads it.
pub fn load(parameters: &Parameters) {
    insert(&parameters.words()).unwrap_or_else(|error| panic!("load {parameters:?}: {error}"));
}

/// Tries to load it with parameters it must refuse, and says which.
pub fn load_refused(rng: &mut Rng) -> &'static str {
    let (words, error) = REFUSED[rng.usize(..REFUSED.len())];
    assert_eq!(insert(words), Err(error), "load with {words}");
    words
}

/// Tries to load it a second time.
pub fn load_again() -> Result<(), Errno> {
    insert("")
}

/// Unloads it, unless it is in use.
pub fn unload() -> Result<(), Errno> {
    delete_module(c"umsg", DeleteModuleFlags::O_NONBLOCK)
}

/// Waits until so many open files and others use the module. A worker of the kernel may let go of
/// some files later than their last user ended.
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
