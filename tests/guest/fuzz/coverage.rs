// SPDX-License-Identifier: GPL-2.0

//! Which places of the module's code ran, on a kernel that can say so (KCOV, the kernel's
//! `Documentation/dev-tools/kcov.rst`).
//!
//! The compiler puts a call at each edge of the module's code; the kernel notes where it came from,
//! for each thread that asks. `scripts/lib/chroot/kcov` makes files and lines of what
//! [`Covered::print`] prints.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed};

/// Places that one call can reach before the next ones are not noted.
const ENTRIES: usize = 1 << 14;
/// Most bytes of code that the module can have.
const CODE_MAX: usize = 1 << 20;

nix::ioctl_write_int_bad!(kcov_init, nix::request_code_read!(b'c', 1, size_of::<u64>()));
nix::ioctl_write_int_bad!(kcov_enable, nix::request_code_none!(b'c', 100));

/// The places that ran in any thread, in memory that all processes share.
pub struct Covered {
    /// Where the code of the module begins; 0 before the first load.
    code: AtomicU64,
    ran: [AtomicU8; CODE_MAX],
}

impl Covered {
    /// Notes that the module has been loaded.
    pub fn loaded(&self) {
        let code = std::fs::read_to_string("/sys/module/umsg/sections/.text").unwrap_or_default();
        let code = code.trim().trim_start_matches("0x");
        self.code.store(u64::from_str_radix(code, 16).unwrap_or(0), Relaxed);
    }

    /// Prints the places, as offsets into the module's code; nothing on a kernel without KCOV.
    pub fn print(&self) {
        let ran = self.ran.iter().enumerate().filter(|(_, ran)| ran.load(Relaxed) != 0);
        let ran: Vec<String> = ran.map(|(offset, _)| format!("{offset:x}")).collect();
        for some in ran.chunks(16) {
            println!("# ran at {}", some.join(" "));
        }
    }
}

/// What the kernel notes of one thread.
pub struct Trace {
    _file: File,
    /// How many places there are, and the places.
    area: &'static [AtomicU64],
}

impl Trace {
    /// Begins with the thread that calls this; `None` on a kernel without KCOV.
    pub fn start() -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/sys/kernel/debug/kcov").ok()?;
        // SAFETY: The sizes are the same; the mapping is shared with the kernel and never unmapped.
        unsafe {
            kcov_init(file.as_raw_fd(), ENTRIES as i32).expect("KCOV_INIT_TRACE");
            let area = libc::mmap(
                std::ptr::null_mut(),
                ENTRIES * size_of::<u64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            );
            assert_ne!(area, libc::MAP_FAILED);
            const TRACE_PC: i32 = 0;
            kcov_enable(file.as_raw_fd(), TRACE_PC).expect("KCOV_ENABLE");
            Some(Self { _file: file, area: std::slice::from_raw_parts(area.cast(), ENTRIES) })
        }
    }

    /// Forgets what was noted since the last time.
    pub fn forget(&self) {
        self.area[0].store(0, Relaxed);
    }

    /// Adds what was noted since the last time.
    pub fn add_to(&self, covered: &Covered) {
        let (count, places) = self.area.split_first().expect("a count");
        let code = covered.code.load(Relaxed);
        for place in &places[..count.load(Relaxed) as usize] {
            let offset = place.load(Relaxed).wrapping_sub(code) as usize;
            if let Some(ran) = covered.ran.get(offset) {
                ran.store(1, Relaxed);
            }
        }
        self.forget();
    }
}
