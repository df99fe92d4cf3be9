// SPDX-License-Identifier: GPL-2.0

//! Writes to the parameters `logs` and `record_max`. The result is known before each write.

use super::fields::{self, REFUSED};
use super::{node_name, Effect, List, Log, Logs, Table, LIST_MAX, NAMES};
use crate::arena::page_size;
use crate::calls::Change;
use crate::perform::result;
use crate::seal::NOBODY;
use crate::sockets::send_file;
use crate::target::info_of;
use crate::worker::Thread;
use libc::*;
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::Relaxed;

/// The largest `record_max`.
const RECORD_MAX: usize = 65536;

/// Capacities are multiples of this number of bytes.
const CAPACITY_UNIT: usize = 4096;

/// Returns the size in the ring of a record with `text` bytes of text.
fn stored_size(text: usize) -> usize {
    56 + text.next_multiple_of(8)
}

/// Returns a size as the module shows it.
fn shown_size(bytes: usize) -> String {
    match bytes % 1024 {
        0 => format!("{}K", bytes / 1024),
        _ => bytes.to_string(),
    }
}

/// A write to a parameter and its effect. Without an effect, the write must fail with `EINVAL`, or
/// with `ENOMEM` if it is too large for the memory.
struct Plan {
    parameter: &'static str,
    text: Vec<u8>,
    effect: Option<Effect>,
}

impl Table {
    /// Returns the length of the longest text that all current logs can hold.
    pub fn longest(&self) -> usize {
        ((self.smallest() - 56) & !7).min(RECORD_MAX)
    }

    /// Returns the current `record_max`.
    pub fn record_max(&self) -> usize {
        self.record_max
    }

    /// Compares the parameter `record_max` with the table.
    pub fn check_record_max(&self) {
        let shown = crate::module::shown("record_max");
        assert_eq!(shown, shown_size(self.record_max) + "\n", "record_max");
    }

    /// Plans a change. `last`: no other thread is running, so that `record_max` may change.
    fn plan(&self, change: Change, last: bool) -> Plan {
        let word = |name: u8| NAMES[usize::from(name)];
        let (text, effect) = match change {
            Change::Add(name, fields) => {
                let (item, log) = fields::item(self.name(name, false), fields, &self.all[0]);
                (format!("+{item}").into(), self.plan_add(&item, log))
            }
            Change::AddSmall(name, smaller) => {
                let name = self.name(name, false);
                let least = stored_size(self.record_max).next_multiple_of(CAPACITY_UNIT);
                // A log of less than a page is never valid.
                let capacity =
                    if smaller { (least - CAPACITY_UNIT).max(CAPACITY_UNIT - 1) } else { least };
                let item = format!("{}:{capacity}", word(name));
                let log = Log { name, capacity, minor: None, id: 0, ..self.all[0] };
                let effect = self.plan_add(&item, log).filter(|_| capacity >= CAPACITY_UNIT);
                (format!("+{item}").into(), effect)
            }
            Change::AddLong(name, over) => {
                let name = self.name(name, false);
                let mut item = word(name).to_string();
                let list = self.list.as_str().len();
                // The comma before it is part of the list.
                let others = if list > 0 { list + 1 } else { 0 };
                let len = LIST_MAX.saturating_add_signed(over.into()).saturating_sub(others);
                item += &":".repeat(len.saturating_sub(item.len()));
                let log = Log { name, minor: None, id: 0, ..self.all[0] };
                (format!("+{item}").into(), self.plan_add(&item, log))
            }
            Change::Remove(name) => {
                let name = self.name(name, true);
                let is_other = |item: &&str| item.split(':').next() != Some(word(name));
                let items = self.list.as_str().split(',').filter(is_other);
                let list = List::new(&items.collect::<Vec<_>>().join(","));
                let effect = self.tag(name).map(|_| Effect::Remove(name, list));
                (format!("-{}", word(name)).into(), effect)
            }
            Change::Refused(form, name) => {
                let name = word(self.name(name, true)).as_bytes();
                let mut text = Vec::new();
                for byte in REFUSED[usize::from(form) % REFUSED.len()] {
                    match byte {
                        b'@' => text.extend(name),
                        byte => text.push(*byte),
                    }
                }
                (text, None)
            }
            // An empty write has no effect.
            Change::Endless(0) => (Vec::new(), Some(Effect::Nothing)),
            Change::Endless(len) => (vec![b'+'; len.into()], None),
            Change::RecordMax(form) => {
                let (size, good) = match form % 6 {
                    0 => (self.record_max, true),
                    1 if last => (self.longest(), true),
                    1 | 2 => (self.longest() + 1, false),
                    3 => (RECORD_MAX + 1, false),
                    4 => (0, false),
                    _ => (usize::MAX, false),
                };
                let effect = good.then_some(Effect::RecordMax(size));
                return Plan { parameter: "record_max", text: size.to_string().into(), effect };
            }
        };
        Plan { parameter: "logs", text, effect }
    }

    /// Returns the effect of adding `log` as `item`; `None` if it cannot be added.
    fn plan_add(&self, item: &str, log: Log) -> Option<Effect> {
        let list = self.list.as_str();
        let list = if list.is_empty() { item.to_string() } else { format!("{list},{item}") };
        let minor = self.free_minor();
        let good = list.len() <= LIST_MAX
            && self.tag(log.name).is_none()
            && (self.first_minor.is_none() || minor.is_some())
            && stored_size(self.record_max) <= log.capacity;
        good.then(|| Effect::Add(Log { minor, ..log }, List::new(&list)))
    }

    /// Reads the id of the log `tag` if it is not known yet, and returns a reader of the log;
    /// `None` if this thread lacks the permission to open it.
    pub fn identify(&mut self, tag: u16) -> Option<File> {
        let log = *self.log(tag);
        let path = CString::new(format!("/dev/{}", node_name(log.name))).expect("no zero byte");
        // SAFETY: The path is a NUL-terminated string, and the descriptor is new.
        let file = unsafe {
            let fd = open(path.as_ptr(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
            if fd < 0 {
                assert_eq!(Errno::last(), Errno::EACCES, "open {path:?}");
                return None;
            }
            File::from_raw_fd(fd)
        };
        let info = info_of(file.as_raw_fd());
        let is = (info.capacity, info.policy, info.style);
        assert_eq!(is, (log.capacity as u64, log.policy, log.style), "{info:?} of {log:?}");
        if log.id == 0 {
            self.set_id(tag, info.log_id);
        }
        assert_eq!(info.log_id, self.log(tag).id, "{info:?} of {log:?}");
        Some(file)
    }

    /// Records the id of the log `tag`. No other log may have the same id.
    fn set_id(&mut self, tag: u16, id: u64) {
        let other = self.all[..self.count].iter().find(|log| log.id == id);
        assert!(id != 0 && other.is_none(), "{:?} is the same as {other:?}", self.log(tag));
        self.all[usize::from(tag)].id = id;
    }
}

/// The options of a write of a change.
#[derive(Clone, Copy)]
pub struct Writing {
    /// Selects the bytes before and after the text: white space, or a zero byte and more text.
    pub around: u8,
    /// The write passes this address instead of that of the text.
    pub bad_address: Option<usize>,
    /// The number of the attempt to allocate memory or to copy user memory that fails, on a kernel
    /// with fault injection; 0: none fails.
    pub fail: u8,
    /// The effective user id of the writer is 65534.
    pub nobody: bool,
    /// No other thread is running.
    pub last: bool,
}

impl Writing {
    /// Returns `text` with the bytes before and after it.
    fn bytes(&self, text: &[u8]) -> Vec<u8> {
        if text.is_empty() {
            return Vec::new();
        }
        let (before, after): (&[u8], &[u8]) = match self.around % 8 {
            0..=2 => (b"", b"\n"),
            3 => (b" \t", b" \n"),
            4 => (b"\n\r", b"\x0c\r\n"),
            5 => (b"", b"\0,-a\n"),
            _ => (b"", b""),
        };
        [before, text, after].concat()
    }
}

/// Writes a change, and compares the result, the parameters and the nodes with the table. Calls
/// `keep` with the tag and a reader of a new log. Returns the result of the write, or the error
/// number below zero.
pub fn change(
    logs: &Logs,
    change: Change,
    writing: &Writing,
    keep: impl FnOnce(u16, &File),
) -> i64 {
    let mut table = logs.lock();
    if table.is_full() {
        return 0;
    }
    let Plan { parameter, text, effect } = table.plan(change, writing.last);
    let path = format!("/sys/module/umsg/parameters/{parameter}");
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) => {
            assert!(writing.nobody, "open {parameter}: {error}");
            return -i64::from(error.raw_os_error().unwrap_or(0));
        }
    };
    let has_lines = parameter == "logs";
    let is_good = effect.is_some();
    let bytes = writing.bytes(&text);
    let bad_address = writing.bad_address.filter(|_| !bytes.is_empty());
    if bad_address.is_none() {
        table.begun = effect.unwrap_or(Effect::Nothing);
    }
    logs.complaints_open.fetch_add(has_lines.into(), Relaxed);
    logs.failures.fetch_add((writing.fail > 0).into(), Relaxed);
    let (address, len) = (bad_address.unwrap_or(bytes.as_ptr() as usize), bytes.len());
    let (done, failed) = with_failure(writing.fail, || {
        // SAFETY: The kernel checks a bad address. The other address is that of `bytes`.
        result(unsafe { write(file.as_raw_fd(), address as *const c_void, len) } as i64)
    });
    // If the name is valid, too.
    let too_large = !failed && text.ends_with(b":1T") && done == -i64::from(ENOMEM);
    let refused = done == -i64::from(EINVAL) || too_large;
    logs.complaints.fetch_add((has_lines && refused).into(), Relaxed);
    logs.failures.fetch_sub((writing.fail > 0 && !failed).into(), Relaxed);
    // A change that failed for lack of memory may have printed a line.
    logs.complaints_open.fetch_sub((has_lines && !failed).into(), Relaxed);
    let expected = match (bad_address, is_good) {
        (Some(_), _) => -i64::from(EFAULT),
        // The kernel accepts at most a page in one write to a sysfs file.
        (None, true) => len.min(page_size()) as i64,
        (None, false) if too_large => -i64::from(ENOMEM),
        (None, false) => -i64::from(EINVAL),
    };
    let no_memory = failed && [-i64::from(ENOMEM), -i64::from(EFAULT)].contains(&done);
    let shown = text[..text.len().min(200)].escape_ascii();
    assert!(
        done == expected || no_memory,
        "{parameter}={shown} ({} bytes): {done}, not {expected}",
        text.len()
    );
    if done >= 0 {
        table.make(logs);
    }
    table.begun = Effect::Nothing;
    table.check();
    table.check_record_max();
    let is_added =
        matches!(change, Change::Add(..) | Change::AddSmall(..) | Change::AddLong(..)) && done >= 0;
    if is_added {
        let tag = table.count as u16 - 1;
        if let Some(file) = table.identify(tag) {
            keep(tag, &file);
        }
    }
    done
}

impl Thread {
    /// Writes a change. `as_root`: with the effective user id of root.
    pub fn change_logs(&mut self, next: Change, mut writing: Writing, as_root: bool) -> i64 {
        let round = self.round;
        // The saved user id is 0.
        // SAFETY: The system call takes only numbers, and changes the user id of this thread only.
        let effective = |user: u32| unsafe { syscall(SYS_setresuid, -1i64, user, -1i64) };
        let switch = self.nobody && as_root;
        writing.nobody = self.nobody && !as_root;
        if switch {
            assert_eq!(effective(0), 0, "setresuid");
        }
        let done = change(&round.shared.logs, next, &writing, |tag, file| {
            // Every second log has a reader until the end of the round, unless the socket is full.
            if tag % 2 == 0 {
                send_file(round.observers[0], file.as_raw_fd(), tag);
            }
        });
        if switch {
            assert_eq!(effective(NOBODY), 0, "setresuid");
        }
        done
    }
}

/// Sets up fault injection, on a kernel that has it: any allocation can fail, without a line in the
/// kernel log.
pub fn prepare_failures() {
    for knob in ["failslab", "fail_page_alloc", "fail_usercopy"] {
        for (name, value) in [
            ("ignore-gfp-wait", "N"),
            ("ignore-gfp-highmem", "N"),
            ("min-order", "0"),
            ("verbose", "0"),
        ] {
            // A kernel may lack some of the settings, or all of them.
            let _ = std::fs::write(format!("/sys/kernel/debug/{knob}/{name}"), value);
        }
    }
}

/// Runs `operation` so that its `nth` attempt to allocate memory or to copy user memory fails; 0:
/// none fails. Returns its result, and whether an attempt failed.
fn with_failure(nth: u8, operation: impl FnOnce() -> i64) -> (i64, bool) {
    let path = "/proc/thread-self/fail-nth";
    let file = OpenOptions::new().read(true).write(true).open(path).ok().filter(|_| nth > 0);
    let Some(file) = file else {
        return (operation(), false);
    };
    // Block signals, so that the frame of a signal handler cannot be the copy that fails.
    let signals = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
    file.write_at(nth.to_string().as_bytes(), 0).expect("fail-nth");
    let done = operation();
    let mut left = [0; 16];
    // The read is an attempt too: if the read fails, the operation had fewer attempts.
    let failed = file.read_at(&mut left, 0).is_ok_and(|len| left[..len].starts_with(b"0"));
    let _ = file.write_at(b"0", 0);
    let _ = file.write_at(b"0", 0);
    signals.expect("the signals before").thread_set_mask().expect("signals");
    (done, failed)
}
