// SPDX-License-Identifier: GPL-2.0

//! The module in the running kernel: loading and unloading, kernel messages and memory leaks.

use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

/// The level `KERN_WARNING`.
pub const WARNING: u8 = 4;

/// Runs a command and returns its standard output, or all output if it fails.
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

/// Runs `modprobe umsg PARAMETERS`.
pub fn modprobe(parameters: &str) -> Result<String, String> {
    let mut arguments = vec!["umsg"];
    arguments.extend(parameters.split_whitespace());
    command("modprobe", &arguments)
}

/// Runs `rmmod umsg`.
pub fn rmmod() -> Result<String, String> {
    command("rmmod", &["umsg"])
}

/// Loads `umsg.ko` by a system call, because a process for insmod is slow under emulation. Used by
/// tests that do not test kmod.
pub fn finit_module(parameters: &str) -> Result<(), Errno> {
    let module = File::open("umsg.ko").map_err(|_| Errno::last())?;
    let parameters = std::ffi::CString::new(parameters).expect("no zero byte");
    nix::kmod::finit_module(&module, &parameters, nix::kmod::ModuleInitFlags::empty())
}

/// Unloads the module by a system call.
pub fn delete_module() -> Result<(), Errno> {
    nix::kmod::delete_module(c"umsg", nix::kmod::DeleteModuleFlags::O_NONBLOCK)
}

/// Returns whether the module is in `/proc/modules`.
pub fn is_loaded() -> bool {
    std::fs::read_to_string("/proc/modules")
        .expect("/proc/modules")
        .lines()
        .any(|line| line.starts_with("umsg "))
}

/// Returns whether a message is one of the two that the kernel prints when it loads an unsigned or
/// out-of-tree module.
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

/// The messages that the kernel logs after [`Messages::from_now`].
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

    /// Returns the kernel's messages since the last call.
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
                    // Only messages of the kernel have facility 0; writes to /dev/kmsg do not.
                    if priority < 8 {
                        let text = text.lines().next().unwrap_or_default().to_string();
                        messages.push(Message { level: priority as u8, text });
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => messages.push(Message {
                    level: WARNING,
                    text: "(messages were overwritten before they were read)".into(),
                }),
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return messages,
                Err(error) => panic!("/dev/kmsg: {error}"),
            }
        }
    }

    /// Returns the module's messages since the last call, without their prefix.
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

/// Returns whether the kernel has kmemleak.
pub fn finds_leaks() -> bool {
    std::path::Path::new(KMEMLEAK).exists()
}

/// Returns the report of kmemleak. It reports memory that is at least 5 seconds old and
/// unreferenced in two scans.
pub fn leaks() -> String {
    std::thread::sleep(std::time::Duration::from_secs(6));
    for _ in 0..2 {
        std::fs::write(KMEMLEAK, "scan").expect("a scan");
    }
    std::fs::read_to_string(KMEMLEAK).expect(KMEMLEAK)
}
