// SPDX-License-Identifier: GPL-2.0

//! The memory that the calls of one thread read from and write to, with inaccessible pages around
//! it.

use crate::calls::{Memory, Place};
use std::cell::Cell;
use std::sync::OnceLock;

/// Enough for the text format of the largest record with all bytes escaped.
const READ_PAGES: usize = 72;
/// Enough for the longest write that becomes one record.
const WRITE_PAGES: usize = 20;
/// The value of bytes that a read must not change.
const POISON: u8 = 0xa5;

/// Returns the page size of the kernel in bytes.
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: The call has no pointer arguments.
    *SIZE.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize })
}

/// A part of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// For reads of the audited file. Filled with `POISON` before each read.
    Audited,
    /// For reads of all other files.
    Read,
    /// For writes.
    Write,
}

// The first page and the number of pages of each area. Inaccessible pages separate the areas and
// the single pages after them.
const AREAS: [(usize, usize); 3] =
    [(1, READ_PAGES), (2 + READ_PAGES, READ_PAGES), (3 + 2 * READ_PAGES, WRITE_PAGES)];
const READ_ONLY: usize = 4 + 2 * READ_PAGES + WRITE_PAGES;
const SHIFTY: usize = READ_ONLY + 2;
const STALL: usize = SHIFTY + 2;
const PAGES: usize = STALL + 2;

pub struct Arena {
    start: usize,
    /// The current protection of the shifty page.
    shifty: Cell<i32>,
}

/// The segments of one read or write.
pub struct Segments {
    pub list: Vec<libc::iovec>,
    /// The total length; `None` if it is more than a call accepts.
    pub total: Option<usize>,
    /// The place of the bad segment, if there is one with a length above 0.
    pub bad: Option<Place>,
    /// The number of bytes before the bad segment.
    pub before_bad: usize,
}

impl Arena {
    pub fn new() -> Self {
        // SAFETY: The mapping is new, and only this arena uses it.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGES * page_size(),
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED);
        let write = libc::PROT_READ | libc::PROT_WRITE;
        let arena = Self { start: base as usize, shifty: Cell::new(write) };
        for (first, pages) in AREAS {
            arena.protect(first, pages, write);
        }
        arena.protect(READ_ONLY, 1, libc::PROT_READ);
        arena.protect(SHIFTY, 1, write);
        arena.protect(STALL, 1, write);
        arena.area(Area::Audited).fill(POISON);
        stall_faults_at(arena.page(STALL));
        arena
    }

    fn page(&self, number: usize) -> usize {
        self.start + number * page_size()
    }

    fn protect(&self, first: usize, pages: usize, protection: i32) {
        let at = self.page(first) as *mut libc::c_void;
        // SAFETY: The pages belong to the arena, and there is no reference to them.
        assert_eq!(unsafe { libc::mprotect(at, pages * page_size(), protection) }, 0);
    }

    /// Changes the protection of the shifty page.
    pub fn shift(&self, protection: i32) {
        self.protect(SHIFTY, 1, protection);
        self.shifty.set(protection);
    }

    /// Clears the shifty page. A sealed text that a read has left there would look torn if it were
    /// written as a part of another text.
    fn unseal(&self) {
        self.protect(SHIFTY, 1, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: The page belongs to the arena and has just been made writable, and there is no
        // reference to it.
        unsafe { std::ptr::write_bytes(self.page(SHIFTY) as *mut u8, 0, page_size()) };
        self.protect(SHIFTY, 1, self.shifty.get());
    }

    /// Returns the bytes of an area.
    #[expect(clippy::mut_from_ref, reason = "one thread at a time, and no two at once")]
    pub fn area(&self, area: Area) -> &mut [u8] {
        let (first, pages) = AREAS[area as usize];
        // SAFETY: The area is mapped and writable. Only this thread uses it, and only while it is
        // in no call.
        unsafe { std::slice::from_raw_parts_mut(self.page(first) as *mut u8, pages * page_size()) }
    }

    /// Returns the address of a place. The good place is at `offset` in `area`.
    pub fn address(&self, place: Place, area: Area, offset: usize) -> usize {
        let (first, pages) = AREAS[area as usize];
        match place {
            Place::Good => self.page(first) + offset,
            Place::End(before) => self.page(first + pages) - usize::from(before),
            Place::ReadOnly => self.page(READ_ONLY) + 8,
            Place::Shifty => {
                if area == Area::Write {
                    self.unseal();
                }
                self.page(SHIFTY) + 16
            }
            Place::Stall => {
                let page = self.page(STALL);
                // SAFETY: The page belongs to the arena, and its contents are not used.
                unsafe {
                    libc::madvise(page as *mut libc::c_void, page_size(), libc::MADV_DONTNEED)
                };
                page
            }
            Place::Null => 0,
            Place::Low => 0x1000,
            Place::NonCanonical => 0xdead_0000_0000_0000,
            Place::Kernel => 0xffff_8880_0000_1000,
            Place::TaskEnd(before) => 0x7fff_ffff_f000 - usize::from(before),
            Place::Max => usize::MAX,
        }
    }

    /// Returns the segments of `memory`: all of them if the call takes a vector, otherwise one.
    pub fn segments(&self, memory: &Memory, area: Area, vector: bool) -> Segments {
        let mut list = Vec::with_capacity(5);
        let mut bad = None;
        let mut before_bad = 0;
        let iovec = |base: usize, len: usize| libc::iovec {
            iov_base: base as *mut libc::c_void,
            iov_len: len,
        };
        let good = self.address(Place::Good, area, memory.offset.into());
        if vector {
            let mut at = 0;
            for cut in memory.cuts {
                let len = usize::from(cut).min(memory.len - at);
                list.push(iovec(good + at, len));
                at += len;
            }
            list.push(iovec(good + at, memory.len - at));
            if let Some(piece) = memory.bad {
                let base = self.address(piece.place, area, 0);
                before_bad = list[..piece.at.into()]
                    .iter()
                    .fold(0usize, |sum, piece| sum.saturating_add(piece.iov_len));
                list.insert(piece.at.into(), iovec(base, piece.len));
                bad = (piece.len > 0).then_some(piece.place);
            }
        } else {
            list.push(match memory.bad {
                Some(piece) => {
                    bad = (piece.len > 0).then_some(piece.place);
                    iovec(self.address(piece.place, area, 0), piece.len)
                }
                None => iovec(good, memory.len),
            });
        }
        Segments { total: total(&list), list, bad, before_bad }
    }

    /// Returns the first `len` bytes of `segments`, after a call that transferred them; `None` if
    /// some of them are in the shifty page, which may not be readable.
    pub fn gather(&self, segments: &Segments, len: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        for piece in &segments.list {
            let part = piece.iov_len.min(len - bytes.len());
            if part > 0 && piece.iov_base as usize / page_size() == self.page(SHIFTY) / page_size()
            {
                return None;
            }
            // SAFETY: The kernel has just accessed these bytes, and the protection of their pages
            // does not change.
            bytes.extend(unsafe { std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), part) });
        }
        assert_eq!(bytes.len(), len, "more was read than there is room");
        Some(bytes)
    }

    /// Checks that a read did not change the bytes after the `len` bytes that it returned at
    /// `offset` of the audited area, and poisons the returned bytes again.
    pub fn check_poison(&self, offset: usize, len: usize) {
        let area = self.area(Area::Audited);
        let behind = area[offset + len..].iter().take(64);
        assert!(behind.copied().all(|byte| byte == POISON), "bytes behind a record were written");
        area[offset..offset + len].fill(POISON);
    }

    /// Poisons the whole audited area again, after a read that may have written anywhere.
    pub fn poison(&self) {
        self.area(Area::Audited).fill(POISON);
    }
}

/// Returns the total length of the segments, unless the kernel rejects it.
fn total(list: &[libc::iovec]) -> Option<usize> {
    list.iter()
        .try_fold(0usize, |sum, piece| sum.checked_add(piece.iov_len))
        .filter(|sum| isize::try_from(*sum).is_ok())
}

#[repr(C)]
struct UffdioApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct UffdioRegister {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
struct UffdioZeropage {
    start: u64,
    len: u64,
    mode: u64,
    zeropage: i64,
}

nix::ioctl_readwrite!(uffdio_api, 0xaa, 0x3f, UffdioApi);
nix::ioctl_readwrite!(uffdio_register, 0xaa, 0x00, UffdioRegister);
nix::ioctl_readwrite!(uffdio_zeropage, 0xaa, 0x04, UffdioZeropage);

/// Registers the page at `start` with userfaultfd. From then on, a thread of this process resolves
/// each fault of the page after a delay. Without userfaultfd there is no delay.
fn stall_faults_at(start: usize) {
    static FAULTS: OnceLock<i32> = OnceLock::new();
    let fd = *FAULTS.get_or_init(|| {
        let mut api = UffdioApi { api: 0xaa, features: 0, ioctls: 0 };
        // SAFETY: The descriptor is new, and `api` has the documented layout.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) as i32;
            if fd < 0 || uffdio_api(fd, &mut api).is_err() {
                return -1;
            }
            fd
        };
        std::thread::spawn(move || resolve_faults(fd));
        fd
    });
    let mut register =
        UffdioRegister { start: start as u64, len: page_size() as u64, mode: 1, ioctls: 0 };
    if fd >= 0 {
        // SAFETY: `register` has the documented layout, and the page belongs to the caller.
        unsafe { uffdio_register(fd, &mut register) }.expect("UFFDIO_REGISTER");
    }
}

fn resolve_faults(fd: i32) {
    nix::sys::signal::SigSet::all().thread_block().expect("to block signals");
    loop {
        // `struct uffd_msg`: the address is the third word.
        let mut message = [0u64; 4];
        // SAFETY: The call writes at most the size of `message` to `message`.
        let len = unsafe { libc::read(fd, message.as_mut_ptr().cast(), size_of_val(&message)) };
        if len != size_of_val(&message) as isize {
            continue;
        }
        std::thread::sleep(std::time::Duration::from_micros(300));
        let start = message[2] & !(page_size() as u64 - 1);
        let mut zero = UffdioZeropage { start, len: page_size() as u64, mode: 0, zeropage: 0 };
        // SAFETY: `zero` has the documented layout. The call fails if the page is present by now.
        let _ = unsafe { uffdio_zeropage(fd, &mut zero) };
    }
}
