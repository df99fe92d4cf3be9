// SPDX-License-Identifier: GPL-2.0

//! The named logs of a round, which are added and removed while other threads use them.
//!
//! All processes share one table of the logs that were added since the module was loaded. A thread
//! holds the table's lock while it writes to the parameter `logs`. Therefore the result is known
//! before the write, and after it the parameter, the nodes, their minor numbers and their modes are
//! compared with the table. Threads open, read, write, poll and seek without the lock.
//!
//! A thread may be killed at any moment. The lock is a robust mutex: if its owner was killed, the
//! next thread that locks it reads the parameter to learn whether the change of the killed thread
//! was made.

pub mod change;
pub mod fields;
pub mod finish;
pub mod open;

use crate::calls::Name;
use crate::module::{self, Parameters};
use crate::shared::Writes;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The names of the named logs.
pub const NAMES: [&str; 6] = ["a", "b", "umsg", "_x.Y-9", "d", "a-name-of-32-letters-0123456789-"];

/// The maximum number of logs of one round, without the default log.
const MOST: usize = 4000;

/// The longest value of the parameter `logs` (`LOGS_MAX` in `src/config.rs`).
pub const LIST_MAX: usize = 4000;

/// A log that was added in this round.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// An index of [`NAMES`]; `DEFAULT` for the default log.
    pub name: u8,
    pub capacity: usize,
    pub policy: u32,
    pub mode: u32,
    pub style: u32,
    /// The minor number; `None` until it is known, if the module chooses it.
    pub minor: Option<u32>,
    /// The `log_id` of `UMSG_IOC_INFO`; 0 until it is known.
    pub id: u64,
}

/// The name of the default log.
pub const DEFAULT: u8 = u8::MAX;

impl Log {
    /// Returns the default log, whose minor number is not known yet.
    pub fn default_log(parameters: &Parameters) -> Self {
        let Parameters { capacity, policy, mode, style, .. } = *parameters;
        Self { name: DEFAULT, capacity, policy, mode, style, minor: None, id: 0 }
    }

    /// Returns the parameters that the module would have if this were the default log.
    pub fn parameters(&self, parameters: &Parameters) -> Parameters {
        let Self { capacity, policy, mode, style, .. } = *self;
        Parameters { capacity, policy, mode, style, ..*parameters }
    }
}

/// Returns the name of the node in /dev.
pub fn node_name(name: u8) -> String {
    match NAMES.get(usize::from(name)) {
        Some(name) => format!("umsg-{name}"),
        None => "umsg".into(),
    }
}

/// A list of logs, as the parameter shows it.
#[derive(Clone, Copy)]
pub struct List {
    len: usize,
    bytes: [u8; LIST_MAX],
}

impl List {
    fn new(text: &str) -> Self {
        let mut bytes = [0; LIST_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self { len: text.len(), bytes }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("a list is ASCII")
    }
}

/// The effect of a change on the table.
#[derive(Clone, Copy)]
pub enum Effect {
    Nothing,
    Add(Log, List),
    Remove(u8, List),
    RecordMax(usize),
}

/// The logs of the round.
pub struct Table {
    /// The parameter `record_max`.
    record_max: usize,
    /// The parameter `minor`.
    first_minor: Option<u32>,
    list: List,
    /// For each name, the tag of the log that has the name; 0: no log has it.
    there: [u16; NAMES.len()],
    /// All logs, by their tags; the default log has tag 0.
    all: [Log; MOST + 1],
    count: usize,
    /// The effect of the change that a thread is writing.
    begun: Effect,
}

/// The table in shared memory.
pub struct Logs {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    table: UnsafeCell<MaybeUninit<Table>>,
    /// The accounts of the logs, by their tags.
    pub writes: [Writes; MOST + 1],
    /// Lines that the module must have printed because it rejected a change.
    pub complaints: AtomicU64,
    /// Further lines that the module may have printed about changes.
    pub complaints_open: AtomicU64,
    /// Changes of this round whose allocations were made to fail.
    pub failures: AtomicU64,
    /// Logs that were added and removed in all rounds.
    pub added: AtomicU64,
    pub removed: AtomicU64,
    /// Files of named logs that were opened.
    pub opened: AtomicU64,
    /// The number of times that the owner of the lock was killed.
    pub recovered: AtomicU64,
    /// The number of processes that have begun to change logs at the end of a round.
    pub racers: AtomicU64,
}

// SAFETY: The table is used with the mutex locked.
unsafe impl Sync for Logs {}

/// The table, locked.
pub struct Locked<'a> {
    logs: &'a Logs,
}

impl Deref for Locked<'_> {
    type Target = Table;

    fn deref(&self) -> &Table {
        // SAFETY: The mutex is locked, and `reset` has written the table.
        unsafe { (*self.logs.table.get()).assume_init_ref() }
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Table {
        // SAFETY: The mutex is locked, and `reset` has written the table.
        unsafe { (*self.logs.table.get()).assume_init_mut() }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: This thread has locked the mutex.
        unsafe { libc::pthread_mutex_unlock(self.logs.mutex.get()) };
    }
}

impl Logs {
    /// Initialises the mutex. Called once, before the first process is started.
    pub fn init(&self) {
        // SAFETY: The calls initialise local memory and the mutex, which is not in use yet.
        unsafe {
            let mut attributes = MaybeUninit::zeroed();
            let attributes = attributes.as_mut_ptr();
            assert_eq!(libc::pthread_mutexattr_init(attributes), 0);
            let shared = libc::PTHREAD_PROCESS_SHARED;
            assert_eq!(libc::pthread_mutexattr_setpshared(attributes, shared), 0);
            let robust = libc::PTHREAD_MUTEX_ROBUST;
            assert_eq!(libc::pthread_mutexattr_setrobust(attributes, robust), 0);
            assert_eq!(libc::pthread_mutex_init(self.mutex.get(), attributes), 0);
        }
    }

    /// Begins a round, after the module was loaded with `parameters`.
    pub fn reset(&self, parameters: &Parameters) {
        self.writes.iter().for_each(Writes::reset);
        let mut default = Log::default_log(parameters);
        default.minor = module::node("umsg").map(|node| node.minor);
        let table = Table {
            record_max: parameters.record_max,
            first_minor: parameters.minor,
            list: List::new(parameters.logs),
            there: [0; NAMES.len()],
            all: [default; MOST + 1],
            count: 1,
            begun: Effect::Nothing,
        };
        // SAFETY: No other process runs.
        unsafe { (*self.table.get()).write(table) };
        let mut table = self.lock();
        for log in parameters.named {
            let minor = table.free_minor();
            table.add(Log { minor, ..*log });
        }
        table.check();
        for tag in table.tags().collect::<Vec<_>>() {
            table.identify(tag);
        }
    }

    /// Locks the table. If the owner of the lock was killed, brings the table up to date first.
    pub fn lock(&self) -> Locked<'_> {
        // SAFETY: `init` has initialised the mutex.
        let error = unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        let mut table = Locked { logs: self };
        if error == libc::EOWNERDEAD {
            // SAFETY: This thread has locked the mutex.
            unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
            table.recover();
            self.recovered.fetch_add(1, Relaxed);
        } else {
            assert_eq!(error, 0, "pthread_mutex_lock");
        }
        table
    }

    /// Checks that nothing of the module is left after an unload.
    pub fn leave_nothing() {
        for name in (0..NAMES.len() as u8).chain([DEFAULT]).map(node_name) {
            assert_eq!(module::node(&name), None, "{name} is there after the unload");
        }
        let devices = std::fs::read_to_string("/proc/misc").expect("/proc/misc");
        assert!(!devices.contains("umsg"), "after the unload:\n{devices}");
        assert!(!std::path::Path::new("/sys/module/umsg").exists(), "the module is still there");
    }

    /// Checks how many lines about changes the module printed in this round.
    pub fn check_complaints(&self, count: u64) {
        let sure = self.complaints.swap(0, Relaxed);
        let most = sure + self.complaints_open.swap(0, Relaxed);
        let good = (sure..=most).contains(&count);
        assert!(good, "{count} lines about changes of the logs, not {sure}..={most}");
    }

    /// Checks how many lines the kernel printed about failed allocations in this round: at most one
    /// for each change whose allocations were made to fail.
    pub fn check_failures(&self, count: u64) {
        let most = self.failures.swap(0, Relaxed);
        assert!(count <= most, "{count} failed allocations, {most} changes were made to fail");
    }
}

impl Table {
    /// Returns whether all tags are in use.
    fn is_full(&self) -> bool {
        self.count == self.all.len()
    }

    /// Returns the log `tag`.
    pub fn log(&self, tag: u16) -> &Log {
        &self.all[usize::from(tag)]
    }

    /// Returns the tag of the log that has this name now.
    pub fn tag(&self, name: u8) -> Option<u16> {
        let tag = self.there[usize::from(name)];
        (tag > 0).then_some(tag)
    }

    /// Returns the index of a name. `is_there`: whether a log should have the name, if `name`
    /// leaves a choice.
    pub fn name(&self, name: Name, is_there: bool) -> u8 {
        match name {
            Name::Exact(name) => name,
            Name::From(first) => {
                let mut names = (first..NAMES.len() as u8).chain(0..first);
                let fits = |name: &u8| self.tag(*name).is_some() == is_there;
                names.find(fits).unwrap_or(first)
            }
        }
    }

    /// Returns the tags of the current logs, the default log first.
    fn tags(&self) -> impl Iterator<Item = u16> + '_ {
        std::iter::once(0).chain(self.there.into_iter().filter(|tag| *tag > 0))
    }

    /// Returns the lowest free minor number; `None` if the numbers are dynamic or all in use.
    fn free_minor(&self) -> Option<u32> {
        let is_free = |minor: &u32| self.tags().all(|tag| self.log(tag).minor != Some(*minor));
        (self.first_minor?..=module::MINOR_MAX).find(is_free)
    }

    /// Returns the capacity of the smallest current log.
    fn smallest(&self) -> usize {
        self.tags().map(|tag| self.log(tag).capacity).min().unwrap_or(usize::MAX)
    }

    fn add(&mut self, log: Log) {
        self.there[usize::from(log.name)] = self.count as u16;
        self.all[self.count] = log;
        self.count += 1;
    }

    /// Makes the change that was begun.
    fn make(&mut self, logs: &Logs) {
        match std::mem::replace(&mut self.begun, Effect::Nothing) {
            Effect::Nothing => {}
            Effect::Add(log, list) => {
                self.list = list;
                self.add(log);
                logs.added.fetch_add(1, Relaxed);
            }
            Effect::Remove(name, list) => {
                self.list = list;
                self.there[usize::from(name)] = 0;
                logs.removed.fetch_add(1, Relaxed);
            }
            Effect::RecordMax(size) => self.record_max = size,
        }
    }

    /// Compares the parameter and the nodes with the table, and notes new minor numbers.
    fn check(&mut self) {
        assert_eq!(module::shown("logs").trim_end_matches('\n'), self.list.as_str(), "logs");
        for name in 0..NAMES.len() as u8 {
            let node = module::node(&node_name(name));
            let Some(tag) = self.tag(name) else {
                assert_eq!(node, None, "the node of log {name}, which was removed");
                continue;
            };
            let log = *self.log(tag);
            let node = node.unwrap_or_else(|| panic!("{log:?} has no node"));
            assert_eq!(node.mode, log.mode, "the mode of {log:?}");
            if log.minor.is_none() {
                let is_new = self.tags().all(|tag| self.log(tag).minor != Some(node.minor));
                assert!(is_new, "the number of {log:?} is {}", node.minor);
                self.all[usize::from(tag)].minor = Some(node.minor);
            } else {
                assert_eq!(Some(node.minor), log.minor, "the number of {log:?}");
            }
        }
    }
}

/// Runs `part` with the effective user id of root. The saved user id of every thread is 0.
fn as_root<T>(part: impl FnOnce() -> T) -> T {
    // SAFETY: The system call takes only numbers, and changes the user id of this thread only.
    let effective = |user: u32| unsafe { libc::syscall(libc::SYS_setresuid, -1i64, user, -1i64) };
    // SAFETY: The call has no arguments.
    let user = unsafe { libc::geteuid() };
    assert_eq!(effective(0), 0, "setresuid");
    let done = part();
    assert_eq!(effective(user), 0, "setresuid");
    done
}

impl Locked<'_> {
    /// Finds out whether the change of a killed thread was made, and updates the table.
    fn recover(&mut self) {
        let list = module::shown("logs");
        let list = list.trim_end_matches('\n');
        let is_made = match &self.begun {
            Effect::Nothing => false,
            Effect::Add(_, after) | Effect::Remove(_, after) => list == after.as_str(),
            // While other threads are running, `record_max` is only set to its current value.
            Effect::RecordMax(_) => true,
        };
        let logs = self.logs;
        if is_made {
            self.make(logs);
        }
        self.begun = Effect::Nothing;
        self.check();
        // The thread may have been killed before it read the id of the log that it added.
        for tag in self.tags().collect::<Vec<_>>() {
            if self.log(tag).id == 0 {
                as_root(|| self.identify(tag));
            }
        }
    }
}
