// SPDX-License-Identifier: GPL-2.0

//! The kernel under test: loading and unloading by kmod, what it says, and what it finds to have
//! leaked.

use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

/// `KERN_WARNING`
pub const WARNING: u8 = 4;

/// Runs a command and returns its standard output, or all that it said when it fails.
pub fn command(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{program} {arguments:?}: {}{}", text(&output.stdout), text(&output.stderr)))
    }
}

/// `modprobe umsg PARAMETERS`
pub fn modprobe(parameters: &str) -> Result<String, String> {
    let mut arguments = vec!["umsg"];
    arguments.extend(parameters.split_whitespace());
    command("modprobe", &arguments)
}

/// `rmmod umsg`
pub fn rmmod() -> Result<String, String> {
    command("rmmod", &["umsg"])
}

/// What `insmod umsg.ko PARAMETERS` does, without a process for it: that alone takes as long again
/// under emulation. For tests in which kmod is not the point.
pub fn finit_module(parameters: &str) -> Result<(), Errno> {
    let module = File::open("umsg.ko").map_err(|_| Errno::last())?;
    let parameters = std::ffi::CString::new(parameters).expect("no zero byte");
    nix::kmod::finit_module(&module, &parameters, nix::kmod::ModuleInitFlags::empty())
}

/// What `rmmod umsg` does, without a process for it.
pub fn delete_module() -> Result<(), Errno> {
    nix::kmod::delete_module(c"umsg", nix::kmod::DeleteModuleFlags::O_NONBLOCK)
}

/// Whether the module is in `/proc/modules`.
pub fn is_loaded() -> bool {
    std::fs::read_to_string("/proc/modules")
        .expect("/proc/modules")
        .lines()
        .any(|line| line.starts_with("umsg "))
}

/// Whether a message is one of the two that loading an unsigned module from outside the tree
/// prints.
pub fn is_taint_notice(text: &str) -> bool {
    text == "umsg: loading out-of-tree module taints kernel."
        || text.starts_with("umsg: module verification failed:")
}

/// One line of the kernel log.
#[derive(Debug)]
pub struct Message {
    pub level: u8,
    pub text: String,
}

/// The kernel log, from some moment on.
pub struct Messages(File);

impl Messages {
    pub fn from_now() -> Self {
        let mut kmsg = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .expect("/dev/kmsg");
        kmsg.seek(SeekFrom::End(0)).expect("the end of /dev/kmsg");
        Self(kmsg)
    }

    /// What the kernel itself has said since the last call.
    pub fn all(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            match self.0.read(&mut buffer) {
                Ok(len) => {
                    let record = String::from_utf8_lossy(&buffer[..len]);
                    let (head, text) = record.split_once(';').expect("a kmsg record");
                    let priority: u32 = head
                        .split(',')
                        .next()
                        .and_then(|word| word.parse().ok())
                        .expect("a priority");
                    // Facility 0: not what some user program wrote to /dev/kmsg.
                    if priority < 8 {
                        let text = text.lines().next().unwrap_or_default().to_string();
                        messages.push(Message { level: priority as u8, text });
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => messages.push(Message {
                    level: WARNING,
                    text: "(some of its messages, overwritten before they were read)".into(),
                }),
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return messages,
                Err(error) => panic!("/dev/kmsg: {error}"),
            }
        }
    }

    /// What the module has said since the last call, without its prefix.
    pub fn of_umsg(&mut self) -> Vec<String> {
        self.all()
            .iter()
            .filter(|message| !is_taint_notice(&message.text))
            .filter_map(|message| message.text.strip_prefix("umsg: "))
            .map(str::to_string)
            .collect()
    }
}

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// Whether the kernel looks for memory that has leaked.
pub fn finds_leaks() -> bool {
    std::path::Path::new(KMEMLEAK).exists()
}

/// What it finds, in its own words: memory that nothing points to, when it is 5 seconds old and a
/// second scan finds it unchanged.
pub fn leaks() -> String {
    std::thread::sleep(std::time::Duration::from_secs(6));
    for _ in 0..2 {
        std::fs::write(KMEMLEAK, "scan").expect("a scan");
    }
    std::fs::read_to_string(KMEMLEAK).expect(KMEMLEAK)
}
