// SPDX-License-Identifier: GPL-2.0

//! The end of a round: accounts of the named logs, changes while no other thread is running, and
//! changes while the module is unloaded.

use super::change::change;
use super::{node_name, Log, Logs, NAMES};
use crate::account::account;
use crate::draw::Draw;
use crate::module::Parameters;
use crate::shared::Shared;
use crate::sockets::receive_file;
use crate::target::info_of;
use crate::worker::socket_pair;
use fastrand::Rng;
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The number of logs that keep a reader until the end of a round. It is limited because each log
/// may use a megabyte.
const KEPT: usize = 16;

/// Readers of named logs that read nothing until the end of a round, also of logs that are removed
/// in the meantime.
pub struct Observers {
    /// A pair of sockets. The thread that adds a log sends a reader of it through the first one.
    pub sockets: [i32; 2],
    files: Vec<(u16, File)>,
}

impl Observers {
    pub fn new() -> Self {
        Self { sockets: socket_pair(), files: Vec::new() }
    }

    /// Receives the readers that were sent.
    pub fn receive(&mut self) {
        while let Ok((tag, fd)) = receive_file(self.sockets[1]) {
            // SAFETY: The descriptor is new.
            let file = unsafe { File::from_raw_fd(fd) };
            if self.files.len() < KEPT {
                self.files.push((tag, file));
            }
        }
    }

    /// Receives the last readers, and closes the sockets.
    pub fn close(&mut self) {
        self.receive();
        // SAFETY: The descriptors belong to this process.
        self.sockets.iter().for_each(|fd| unsafe { assert_eq!(libc::close(*fd), 0) });
    }

    pub fn count(&self) -> u32 {
        self.files.len() as u32
    }

    fn logs<'a>(&'a self, logs: &'a Logs) -> impl Iterator<Item = (u16, Log, i32)> + 'a {
        self.files.iter().map(|(tag, file)| (*tag, *logs.lock().log(*tag), file.as_raw_fd()))
    }

    /// Compares the counters of each log with the account of all writes to the log. No other file
    /// of the logs may be open.
    pub fn account(&self, parameters: &Parameters, shared: &Shared, seed: u64) {
        for (tag, log, fd) in self.logs(&shared.logs) {
            assert_eq!(info_of(fd).log_id, log.id, "{log:?}");
            let writes = &shared.logs.writes[usize::from(tag)];
            account(tag, &log.parameters(parameters), shared, (writes, (0, 0)), fd, seed);
        }
    }

    /// Changes the logs and `record_max` while no other thread is running, and checks the
    /// `record_max` of each log. `observer`: a reader of the default log.
    pub fn change(&mut self, shared: &Shared, draw: &mut Draw, observer: i32) {
        let logs = &shared.logs;
        for _ in 0..24 {
            let (next, writing) = draw.last_change();
            let mut new = None;
            change(logs, next, &writing, |tag, file| {
                new = file.try_clone().ok().map(|it| (tag, it))
            });
            self.files.extend(new);
            let record_max = logs.lock().record_max();
            assert_eq!(info_of(observer).record_max as usize, record_max, "the default log");
            for (_, log, fd) in self.logs(logs) {
                // A removed log may be too small for a record that the other logs can hold.
                let longest = record_max.min(log.capacity - 56);
                assert_eq!(info_of(fd).record_max as usize, longest, "record_max of {log:?}");
            }
        }
    }
}

/// A process that changes and opens logs while the module is unloaded.
pub struct Racer(i32);

impl Racer {
    pub fn start(shared: &'static Shared, lane: usize, seed: u64) -> Self {
        let before = shared.logs.racers.load(Relaxed);
        // SAFETY: This process has one thread.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork: {}", Errno::last());
        if pid == 0 {
            crate::LANE.set(lane);
            race(&shared.logs, &mut Rng::with_seed(seed));
            // SAFETY: The call only ends the process.
            unsafe { libc::_exit(0) }
        }
        while shared.logs.racers.load(Relaxed) == before && shared.failure().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self(pid)
    }

    /// Waits for the end of the process, which follows the unload.
    pub fn join(self) {
        let mut status = 0;
        for _ in 0..4000 {
            // SAFETY: The call writes to `status`.
            if unsafe { libc::waitpid(self.0, &mut status, libc::WNOHANG) } == self.0 {
                assert_eq!(status, 0, "a process that changed logs during the unload");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("a process still changes the logs of an unloaded module");
    }
}

/// Changes and opens logs until the module is unloaded.
fn race(logs: &Logs, rng: &mut Rng) {
    const PARAMETER: &str = "/sys/module/umsg/parameters/logs";
    let file = OpenOptions::new().write(true).open(PARAMETER).expect(PARAMETER);
    let mut gone = 0;
    let mut count = 0;
    while gone < 30 {
        let name = rng.usize(..NAMES.len());
        let sign = if rng.bool() { '+' } else { '-' };
        let text = format!("{sign}{}", NAMES[name]);
        logs.complaints_open.fetch_add(1, Relaxed);
        let done = file.write_at(text.as_bytes(), 0);
        let error = done.as_ref().err().and_then(|error| error.raw_os_error());
        // EINVAL: the name to be added exists, or the name to be removed does not. ENODEV: the
        // module has removed its logs.
        match (done, error) {
            (Ok(len), _) => assert_eq!(len, text.len()),
            (_, Some(libc::EINVAL)) => {
                logs.complaints.fetch_add(1, Relaxed);
            }
            (_, Some(libc::ENODEV)) => gone += 1,
            (done, _) => panic!("{text} during the unload: {done:?}"),
        }
        logs.complaints_open.fetch_sub(1, Relaxed);
        assert!(gone == 0 || error == Some(libc::ENODEV), "{text} after the unload: {error:?}");
        match std::fs::read_to_string(PARAMETER) {
            Ok(list) => assert!(list.ends_with('\n'), "{list:?}"),
            Err(error) => {
                let good = error.kind() == ErrorKind::NotFound
                    || error.raw_os_error() == Some(libc::ENODEV);
                assert!(good, "{PARAMETER}: {error}");
            }
        }
        let node = format!("/dev/{}", node_name(name as u8));
        if let Err(error) = File::open(&node) {
            let good = [Some(libc::ENOENT), Some(libc::ENODEV)].contains(&error.raw_os_error());
            assert!(good, "{node} during the unload: {error}");
        }
        count += 1;
        if count == 3 {
            logs.racers.fetch_add(1, Relaxed);
        }
        // The unload succeeds only while no node is open.
        std::thread::sleep(Duration::from_micros(rng.u64(..400)));
    }
}
