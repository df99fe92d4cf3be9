// SPDX-License-Identifier: GPL-2.0

//! The coverage of the module's code, on a kernel with KCOV (the kernel's
//! `Documentation/dev-tools/kcov.rst`).
//!
//! The compiler inserts a call at each edge of the module's code. The kernel records the addresses
//! of these calls for each thread that enables KCOV. `scripts/lib/chroot/kcov` summarises the
//! output of [`Covered::print`] by file and line.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed};

/// The number of words in a trace: a count, and the addresses. Further addresses of a call are not
/// recorded.
const ENTRIES: usize = 1 << 14;
/// The maximum size of the module's code in bytes.
const CODE_MAX: usize = 1 << 20;

nix::ioctl_write_int_bad!(kcov_init, nix::request_code_read!(b'c', 1, size_of::<u64>()));
nix::ioctl_write_int_bad!(kcov_enable, nix::request_code_none!(b'c', 100));

/// The addresses that any thread has executed, in memory that all processes share.
pub struct Covered {
    /// The address of the module's code; 0 before the first load.
    code: AtomicU64,
    ran: [AtomicU8; CODE_MAX],
}

impl Covered {
    /// Reads the address of the code after the module was loaded.
    pub fn loaded(&self) {
        let code = std::fs::read_to_string("/sys/module/umsg/sections/.text").unwrap_or_default();
        let code = code.trim().trim_start_matches("0x");
        self.code.store(u64::from_str_radix(code, 16).unwrap_or(0), Relaxed);
    }

    /// Prints the executed addresses, as offsets into the module's code. Prints nothing on a kernel
    /// without KCOV.
    pub fn print(&self) {
        let ran = self.ran.iter().enumerate().filter(|(_, ran)| ran.load(Relaxed) != 0);
        let ran: Vec<String> = ran.map(|(offset, _)| format!("{offset:x}")).collect();
        for some in ran.chunks(16) {
            println!("# ran at {}", some.join(" "));
        }
    }
}

/// The KCOV trace of one thread.
pub struct Trace {
    _file: File,
    /// The number of recorded addresses, and the addresses.
    area: &'static [AtomicU64],
}

impl Trace {
    /// Starts the trace of the calling thread; `None` on a kernel without KCOV.
    pub fn start() -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/sys/kernel/debug/kcov").ok()?;
        // SAFETY: KCOV and the mapping have the same size. The mapping is shared with the kernel
        // and never unmapped.
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

    /// Removes the recorded addresses from the trace.
    pub fn forget(&self) {
        self.area[0].store(0, Relaxed);
    }

    /// Moves the recorded addresses to `covered`.
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
