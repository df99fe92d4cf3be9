// SPDX-License-Identifier: GPL-2.0

//! The memory of one thread that its calls read from and write to, with what surrounds it.

use crate::calls::{Memory, Place};
use std::cell::Cell;
use std::sync::OnceLock;

const PAGE: usize = 4096;
/// The text form of the largest record, all of it escaped, with room around it.
const READ_PAGES: usize = 72;
/// The largest record and what else a write may hold, with room around it.
const WRITE_PAGES: usize = 20;
/// What a read must not touch holds this.
const POISON: u8 = 0xa5;

/// Which part of the arena a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// For the audited file: poison, but for what a read has returned.
    Audited,
    /// For reads of all other files.
    Read,
    /// For writes.
    Write,
}

// In pages. Between the areas and the single pages lie pages that nobody can use.
const AREAS: [(usize, usize); 3] =
    [(1, READ_PAGES), (2 + READ_PAGES, READ_PAGES), (3 + 2 * READ_PAGES, WRITE_PAGES)];
const READ_ONLY: usize = 4 + 2 * READ_PAGES + WRITE_PAGES;
const SHIFTY: usize = READ_ONLY + 2;
const STALL: usize = SHIFTY + 2;
const PAGES: usize = STALL + 2;

pub struct Arena {
    start: usize,
    /// The protection of the shifty page.
    shifty: Cell<i32>,
}

/// The pieces of one read or write.
pub struct Pieces {
    pub list: Vec<libc::iovec>,
    /// Their lengths together; `None` when that is more than a call can take.
    pub total: Option<usize>,
    /// The bad piece is among them and not empty.
    pub bad: Option<Place>,
    /// Bytes before that one.
    pub before_bad: usize,
}

impl Arena {
    pub fn new() -> Self {
        // SAFETY: A new mapping, which only this arena uses.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGES * PAGE,
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
        self.start + number * PAGE
    }

    fn protect(&self, first: usize, pages: usize, protection: i32) {
        let at = self.page(first) as *mut libc::c_void;
        // SAFETY: Pages of the arena, of which nobody holds a reference.
        assert_eq!(unsafe { libc::mprotect(at, pages * PAGE, protection) }, 0);
    }

    /// Changes the protection of the shifty page.
    pub fn shift(&self, protection: i32) {
        self.protect(SHIFTY, 1, protection);
        self.shifty.set(protection);
    }

    /// Makes sure that the shifty page holds no sealed text that a read has left there: written as
    /// a part of other text, it would be taken for a torn one.
    fn unseal(&self) {
        self.protect(SHIFTY, 1, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: A page of the arena, just made writable, of which nobody holds a reference.
        unsafe { std::ptr::write_bytes(self.page(SHIFTY) as *mut u8, 0, PAGE) };
        self.protect(SHIFTY, 1, self.shifty.get());
    }

    /// The bytes of an area.
    #[expect(clippy::mut_from_ref, reason = "one thread at a time, and no two at once")]
    pub fn area(&self, area: Area) -> &mut [u8] {
        let (first, pages) = AREAS[area as usize];
        // SAFETY: Mapped, writable, and used by this thread alone while it is in no call.
        unsafe { std::slice::from_raw_parts_mut(self.page(first) as *mut u8, pages * PAGE) }
    }

    /// The address of a place; the good one is that of `area` and `offset`.
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
                // SAFETY: The page is the arena's; its contents may go.
                unsafe { libc::madvise(page as *mut libc::c_void, PAGE, libc::MADV_DONTNEED) };
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

    /// The pieces of `memory`: one, or as many as it has where the call takes a vector.
    pub fn pieces(&self, memory: &Memory, area: Area, vector: bool) -> Pieces {
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
        Pieces { total: total(&list), list, bad, before_bad }
    }

    /// The first `len` bytes that a read has put into `pieces`; `None` where they cannot be read.
    pub fn gather(&self, pieces: &Pieces, len: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        for piece in &pieces.list {
            let part = piece.iov_len.min(len - bytes.len());
            if part > 0 && piece.iov_base as usize / PAGE == self.page(SHIFTY) / PAGE {
                return None;
            }
            // SAFETY: The kernel has just written these bytes, and their pages stay as they are.
            bytes.extend(unsafe { std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), part) });
        }
        assert_eq!(bytes.len(), len, "more was read than there is room");
        Some(bytes)
    }

    /// Checks that a read has left alone what is behind the `len` bytes that it returned at
    /// `offset` of the audited area, and poisons those again.
    pub fn check_poison(&self, offset: usize, len: usize) {
        let area = self.area(Area::Audited);
        let behind = area[offset + len..].iter().take(64);
        assert!(behind.copied().all(|byte| byte == POISON), "bytes behind a record were written");
        area[offset..offset + len].fill(POISON);
    }

    /// Poisons all of the audited area again, after a read that may have written anywhere.
    pub fn poison(&self) {
        self.area(Area::Audited).fill(POISON);
    }
}

/// The length of all pieces together, unless the kernel refuses it.
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

/// From now on a missing page at `start` stays missing for a while: its faults are resolved by a
/// thread of this process. Without userfaultfd it is a page like any other.
fn stall_faults_at(start: usize) {
    static FAULTS: OnceLock<i32> = OnceLock::new();
    let fd = *FAULTS.get_or_init(|| {
        let mut api = UffdioApi { api: 0xaa, features: 0, ioctls: 0 };
        // SAFETY: A new descriptor, and a structure of the documented layout.
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
    let mut register = UffdioRegister { start: start as u64, len: PAGE as u64, mode: 1, ioctls: 0 };
    if fd >= 0 {
        // SAFETY: A structure of the documented layout; the page is the caller's.
        unsafe { uffdio_register(fd, &mut register) }.expect("UFFDIO_REGISTER");
    }
}

fn resolve_faults(fd: i32) {
    nix::sys::signal::SigSet::all().thread_block().expect("to block signals");
    loop {
        // `struct uffd_msg`: the address is the third word.
        let mut message = [0u64; 4];
        // SAFETY: Into what is ours.
        let len = unsafe { libc::read(fd, message.as_mut_ptr().cast(), size_of_val(&message)) };
        if len != size_of_val(&message) as isize {
            continue;
        }
        std::thread::sleep(std::time::Duration::from_micros(300));
        let start = message[2] & !(PAGE as u64 - 1);
        let mut zero = UffdioZeropage { start, len: PAGE as u64, mode: 0, zeropage: 0 };
        // SAFETY: A structure of the documented layout. It may fail: the page may be there by now.
        let _ = unsafe { uffdio_zeropage(fd, &mut zero) };
    }
}
