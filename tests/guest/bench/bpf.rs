// SPDX-License-Identifier: GPL-2.0

//! A BPF ring buffer (`kernel/bpf/ringbuf.c`) that a user program writes and reads. For each
//! message, `BPF_PROG_RUN` runs a BPF program that copies the message from user memory to the
//! buffer. The user program reads the message through a mapping, without a system call.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Release};

/// The size of the ring in bytes, a power of two.
const CAPACITY: usize = 4 << 20;
const PAGE_SIZE: usize = 4096;
/// The size of a record's header.
const HEADER_SIZE: usize = 8;

// `include/uapi/linux/bpf.h`
const BPF_MAP_CREATE: u32 = 0;
const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_RUN: u32 = 10;
const BPF_MAP_TYPE_RINGBUF: u32 = 27;
const BPF_PROG_TYPE_SYSCALL: u32 = 31;
const BPF_F_SLEEPABLE: u32 = 1 << 4;

/// The part of `union bpf_attr` for a map.
#[repr(C)]
struct MapAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// The part of `union bpf_attr` for a BPF program, up to the flags.
#[repr(C)]
struct ProgramAttributes {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The part of `union bpf_attr` for a run of a BPF program.
#[repr(C)]
#[derive(Default)]
struct RunAttributes {
    prog_fd: u32,
    retval: u32,
    data_sizes: [u32; 2],
    data: [u64; 2],
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
}

pub struct RingBuffer {
    program: OwnedFd,
    /// The page of the consumer's position, that of the producer's, and the data, mapped twice.
    mapping: *mut u8,
    _map: OwnedFd,
}

impl RingBuffer {
    /// Creates a ring buffer for messages of `size` bytes. Returns `None` if the kernel does not
    /// support it.
    pub fn new(size: usize) -> Option<Self> {
        let mut map = MapAttributes {
            map_type: BPF_MAP_TYPE_RINGBUF,
            key_size: 0,
            value_size: 0,
            max_entries: CAPACITY as u32,
        };
        let map = descriptor(BPF_MAP_CREATE, &mut map)?;
        let instructions = instructions(map.as_raw_fd(), size as i32);
        let mut program = ProgramAttributes {
            prog_type: BPF_PROG_TYPE_SYSCALL,
            insn_cnt: instructions.len() as u32,
            insns: instructions.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: BPF_F_SLEEPABLE,
        };
        let program = descriptor(BPF_PROG_LOAD, &mut program)?;
        let (fd, both) = (map.as_raw_fd(), libc::PROT_READ | libc::PROT_WRITE);
        // A user program may write only to the page with the consumer's position.
        //
        // SAFETY: Both mappings are new; the second one replaces the first page of the first one.
        let mapping = unsafe {
            let (len, shared) = (2 * PAGE_SIZE + 2 * CAPACITY, libc::MAP_SHARED);
            let all = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, shared, fd, 0);
            assert_ne!(all, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
            let consumer = libc::mmap(all, PAGE_SIZE, both, shared | libc::MAP_FIXED, fd, 0);
            assert_eq!(consumer, all, "{}", std::io::Error::last_os_error());
            all.cast()
        };
        Some(Self { program, mapping, _map: map })
    }

    pub fn write(&self, data: &[u8]) {
        let context = data.as_ptr() as u64;
        let mut run = RunAttributes {
            prog_fd: self.program.as_raw_fd() as u32,
            ctx_size_in: 8,
            ctx_in: &raw const context as u64,
            ..RunAttributes::default()
        };
        let result = bpf(BPF_PROG_RUN, &mut run);
        assert_eq!((result, run.retval), (0, 0), "{}", std::io::Error::last_os_error());
    }

    /// Copies the next message to `buffer`. Panics if there is none.
    pub fn read(&self, buffer: &mut [u8]) {
        // SAFETY: The mapping is valid as long as `self`. Positions and lengths are accessed
        // atomically. The length of an incomplete record has the busy bit, which the assertion
        // rejects. The data is mapped twice in a row, so that each record is contiguous.
        unsafe {
            let consumer = &*self.mapping.cast::<AtomicU64>();
            let position = consumer.load(Acquire) as usize;
            let record = self.mapping.add(2 * PAGE_SIZE + (position & (CAPACITY - 1)));
            let len = (*record.cast::<AtomicU32>()).load(Acquire) as usize;
            assert!(0 < len && len <= buffer.len(), "no message, or a longer one: {len}");
            buffer.as_mut_ptr().copy_from_nonoverlapping(record.add(HEADER_SIZE), len);
            consumer.store((position + (HEADER_SIZE + len).next_multiple_of(8)) as u64, Release);
        }
    }
}

impl Drop for RingBuffer {
    fn drop(&mut self) {
        // SAFETY: No reference to the mapping exists.
        unsafe { libc::munmap(self.mapping.cast(), 2 * PAGE_SIZE + 2 * CAPACITY) };
    }
}

fn bpf<T>(command: u32, attributes: &mut T) -> i64 {
    let len = size_of::<T>();
    // SAFETY: `attributes` and the memory that it points to are valid for this command.
    unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), len) }
}

fn descriptor<T>(command: u32, attributes: &mut T) -> Option<OwnedFd> {
    let fd = bpf(command, attributes);
    // SAFETY: The descriptor is new, and this is its only owner.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Returns the BPF program. The program reserves `size` bytes in the map, copies the message from
/// the address in its context, and submits it. The program returns 0, or 1 if the map is full.
fn instructions(map: i32, size: i32) -> Vec<u64> {
    const RESERVE: i32 = 131;
    const SUBMIT: i32 = 132;
    const COPY_FROM_USER: i32 = 148;
    let instruction = |code: u8, to: u8, from: u8, offset: i16, value: i32| {
        let [low, high] = offset.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        u64::from_le_bytes([code, to | (from << 4), low, high, a, b, c, d])
    };
    let set = |to, value| instruction(0xb7, to, 0, 0, value);
    let copy = |to, from| instruction(0xbf, to, from, 0, 0);
    let call = |function| instruction(0x85, 0, 0, 0, function);
    let exit = instruction(0x95, 0, 0, 0, 0);
    vec![
        // r6 = *(u64 *)(r1 + 0)
        instruction(0x79, 6, 1, 0, 0),
        // r1 = map
        instruction(0x18, 1, 1, 0, map),
        0,
        set(2, size),
        set(3, 0),
        call(RESERVE),
        // if r0 != 0 goto +2
        instruction(0x55, 0, 0, 2, 0),
        set(0, 1),
        exit,
        copy(7, 0),
        copy(1, 7),
        set(2, size),
        copy(3, 6),
        call(COPY_FROM_USER),
        copy(1, 7),
        set(2, 0),
        call(SUBMIT),
        set(0, 0),
        exit,
    ]
}
