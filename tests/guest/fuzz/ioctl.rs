// SPDX-License-Identifier: GPL-2.0

//! Performs ioctls, and checks their results.

use crate::abi::{Info, BINARY_READ, BINARY_WRITE, PLAIN};
use crate::arena::Area;
use crate::calls::*;
use crate::files::AUDITED;
use crate::perform::result;
use crate::seal;
use crate::worker::Thread;
use libc::*;

/// The commands with an argument that the kernel reads.
const SETTERS: [u32; 5] = [SET_OPTIONS, SET_STYLE, SET_PRIORITY, SEEK_SEQ, SEEK_TIME];

/// Returns the time of `CLOCK_MONOTONIC` in nanoseconds.
pub fn now_ns() -> u64 {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: The call writes to `time`. It is a system call, not a call of the vDSO, so that the
    // clock is that of the records.
    unsafe { syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Thread {
    /// Returns the argument of an ioctl.
    fn value(&self, command: u32, value: Value, info: &Info) -> u64 {
        let time = command == SEEK_TIME;
        let (near, more) = match value {
            Value::Exact(value) => return value,
            Value::Oldest(more) => (if time { 0 } else { info.oldest_seq }, more),
            Value::Next(more) => (if time { now_ns() } else { info.next_seq }, more),
            Value::Seen(which, more) => {
                let sample = &self.target.samples[usize::from(which) % self.target.samples.len()];
                (if time { sample.time_ns } else { sample.seq }, more)
            }
            Value::Stored(which, more) => {
                let count = (info.next_seq - info.oldest_seq).max(1);
                let seq = info.oldest_seq + u64::from(which) % count;
                (if time { self.time_of(seq, info) } else { seq }, more)
            }
        };
        near.wrapping_add_signed(more.into())
    }

    pub fn ioctl(&mut self, slot: Slot, command: u32, argument: Place, value: Value) -> i64 {
        let known = COMMANDS.contains(&command);
        let before = if known { self.info() } else { Info::default() };
        let begun_ns = now_ns();
        let mut room = [0xa5u8; 512];
        if SETTERS.contains(&command) {
            room[..8].copy_from_slice(&self.value(command, value, &before).to_ne_bytes());
        }
        let given = room;
        let address = match argument {
            Place::Good => room.as_mut_ptr() as usize,
            place => self.arena.address(place, Area::Read, 0),
        };
        // SAFETY: No command of the device writes more bytes than `room` has.
        let done =
            result(unsafe { syscall(SYS_ioctl, self.files.fd(slot), command as c_ulong, address) });
        if done == 0 && [SEEK_SEQ, SEEK_TIME, NEXT_SIZE].contains(&command) {
            assert_ne!(self.files.known(slot).may_read(), Some(false), "not open for reading");
        }
        let good = argument == Place::Good;
        let word = || u32::from_ne_bytes(room[..4].try_into().expect("4"));
        let written = match (command, done) {
            (INFO, 0) if good => {
                // SAFETY: `room` is large enough for an `Info`, and any bytes are a valid `Info`.
                self.check_info(unsafe { std::ptr::read_unaligned(room.as_ptr().cast::<Info>()) });
                size_of::<Info>()
            }
            (GET_OPTIONS, 0) if good => {
                let options = word();
                assert_eq!(options & !(BINARY_READ | BINARY_WRITE), 0, "the options");
                let same = slot != AUDITED || options == self.target.audit.options;
                assert!(same, "options {options:#x} of {:?}", self.target.audit);
                4
            }
            (GET_STYLE, 0) if good => {
                let style = word();
                assert!(style <= PLAIN, "style {style}");
                let same = slot != AUDITED || style == self.target.audit.style;
                assert!(same, "style {style} of {:?}", self.target.audit);
                4
            }
            (GET_PRIORITY, 0) if good => {
                let priority = word();
                let same = slot != AUDITED || priority == self.target.audit.priority;
                assert!(same && (8..2048).contains(&priority), "priority {priority}");
                4
            }
            (NEXT_SIZE, 0) => {
                let size = word() as usize;
                let after = self.info();
                let record_max = self.target.parameters.record_max;
                if good {
                    // From the shortest head and a newline to a long text with all bytes escaped,
                    // with a head and keys.
                    let sizes = 10..4 * record_max + 256;
                    assert!(sizes.contains(&size), "the next record needs {size} bytes");
                }
                if good && slot == AUDITED {
                    self.target.audit.said_size(size, &before, &after, record_max);
                }
                if good {
                    4
                } else {
                    0
                }
            }
            (SET_OPTIONS | SET_STYLE | SET_PRIORITY | SEEK_SEQ | SEEK_TIME, 0) => {
                let mut value = [0; 8];
                let len = if [SEEK_SEQ, SEEK_TIME].contains(&command) { 8 } else { 4 };
                // SAFETY: The kernel has just read `len` bytes at this address. Only this thread
                // changes these bytes or the protection of their page.
                let read = unsafe { std::slice::from_raw_parts(address as *const u8, len) };
                value[..len].copy_from_slice(read);
                self.check_set(slot, command, u64::from_ne_bytes(value), &before, begun_ns);
                0
            }
            (INFO | CLEAR | GET_OPTIONS | GET_STYLE | GET_PRIORITY, 0) => 0,
            // FIOASYNC succeeds if it changes nothing.
            (0x5452, 0) => 0,
            // No other command may succeed, and no command returns a positive value.
            (_, 0..) => panic!("ioctl {command:#x} returned {done}"),
            _ => {
                self.check_not_done(slot, command, -done as i32, good.then_some(&given), &before);
                0
            }
        };
        assert_eq!(room[written..], given[written..], "ioctl {command:#x} wrote more");
        done
    }

    /// Checks an ioctl on the file of `slot` that succeeded with the argument `value`.
    fn check_set(&mut self, slot: Slot, command: u32, value: u64, before: &Info, begun_ns: u64) {
        let after = self.info();
        let audited = slot == AUDITED;
        match command {
            SET_OPTIONS => {
                let options = value as u32;
                assert_eq!(options & !(BINARY_READ | BINARY_WRITE), 0, "set {options:#x}");
                if audited {
                    self.target.audit.set_options(options);
                }
            }
            SET_STYLE => {
                assert!(value <= PLAIN.into(), "set style {value}");
                if audited {
                    self.target.audit.set_style(value as u32);
                }
            }
            SET_PRIORITY => {
                assert!(value < 2048, "set priority {value}");
                if audited {
                    self.target.audit.priority = seal::effective(Some(value as u16)).into();
                }
            }
            SEEK_SEQ => {
                assert!(value <= after.next_seq, "a seek to {value}, but {after:?}");
                if audited {
                    self.target.audit.moved(value, value, 0);
                }
            }
            _ if audited => {
                let usec = value.min(begun_ns) / 1000;
                self.sought_time(value, before, &after, usec);
            }
            _ => {}
        }
    }

    /// Checks an ioctl that failed. `given`: its argument, if it was in good memory.
    fn check_not_done(
        &self,
        slot: Slot,
        command: u32,
        error: i32,
        given: Option<&[u8; 512]>,
        before: &Info,
    ) {
        let word = given.map(|given| u64::from_ne_bytes(given[..8].try_into().expect("8")));
        match (command, error, word) {
            (SET_OPTIONS, EINVAL, Some(value)) => {
                assert!(value as u32 > 3, "options {:#x} were refused", value as u32);
            }
            (SET_STYLE, EINVAL, Some(value)) => {
                assert!(value as u32 > PLAIN, "style {} was refused", value as u32);
            }
            (SET_PRIORITY, EINVAL, Some(value)) => {
                assert!(value as u32 >= 2048, "priority {} was refused", value as u32);
            }
            (SEEK_SEQ, EINVAL, Some(value)) => {
                assert!(value > before.next_seq, "a seek to {value} was refused: {before:?}");
            }
            (NEXT_SIZE, EAGAIN, _) if slot == AUDITED => self.target.audit.nothing(Some(before)),
            (_, EFAULT, Some(_)) => panic!("EFAULT for good memory"),
            _ => {}
        }
    }
}
