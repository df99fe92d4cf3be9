// SPDX-License-Identifier: GPL-2.0

//! The position in each log, kept in a file from one call to the next.

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::terminal::Sink;
use crate::Result;

/// The position in a log, from which the next call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The identity of the log ([`umsg::Info::log_id`]).
    pub log_id: u64,
    /// Records before this sequence number have been taken by the reader of the output.
    pub taken: u64,
    /// Records before this sequence number may have been taken by it.
    pub given: u64,
}

/// The contents of the file, by the name of the log.
#[derive(Default, Serialize, Deserialize)]
struct Contents {
    logs: BTreeMap<String, Position>,
}

/// The file. It is written before records are written to the output, and again after they were read
/// there. So a call that follows a killed one neither skips records nor repeats them unnoticed.
pub struct State {
    path: PathBuf,
    contents: Contents,
    /// Held while this process uses the file.
    _lock: Flock<File>,
}

impl State {
    /// Reads the file. A file that does not exist is empty.
    pub fn open(path: &Path) -> Result<Self> {
        let failed =
            |error: io::Error| format!("cannot use the state file {}: {error}", path.display());
        let lock = File::create(with_suffix(path, ".lock")).map_err(failed)?;
        let lock =
            Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(
                |(_, errno)| match errno {
                    nix::errno::Errno::EWOULDBLOCK => {
                        format!("another umsg uses the state file {}", path.display())
                    }
                    errno => failed(errno.into()),
                },
            )?;
        let contents = match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| {
                format!("{0} is not a state file of umsg; remove it to begin anew", path.display())
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents::default(),
            Err(error) => return Err(failed(error).into()),
        };
        Ok(Self { path: path.to_owned(), contents, _lock: lock })
    }

    /// Returns the position in a log.
    pub fn get(&self, log: &str) -> Option<Position> {
        self.contents.logs.get(log).copied()
    }

    /// Sets the position in a log. [`State::save`] writes it.
    fn set(&mut self, log: &str, position: Position) {
        self.contents.logs.insert(log.to_owned(), position);
    }

    /// Writes the file. It has its old or its new contents at any time.
    fn save(&self) -> io::Result<()> {
        let new = with_suffix(&self.path, ".new");
        fs::write(&new, serde_json::to_vec(&self.contents)?)?;
        fs::rename(new, &self.path)
    }
}

/// The positions of the logs that are shown, and their file. They change with each write to the
/// output.
pub struct Kept {
    state: State,
    logs: Vec<KeptLog>,
    /// The reader of the output may still have so many records that it would lose if it is killed.
    window: usize,
    /// The last records that were added, at least `window` if there are so many: the index of the
    /// log, and the sequence number.
    last: VecDeque<(usize, u64)>,
}

struct KeptLog {
    name: String,
    position: Position,
    /// The sequence number after the records that were added or are not shown.
    next: u64,
}

impl Kept {
    /// Begins at `positions`, which has the name and the position of each log.
    pub fn new(state: State, positions: Vec<(String, Position)>, window: usize) -> Self {
        let logs = positions
            .into_iter()
            .map(|(name, position)| KeptLog { name, position, next: position.taken })
            .collect();
        Self { state, logs, window, last: VecDeque::new() }
    }

    /// Notes that the record `seq` of a log is added next, or is not shown.
    pub fn passed(&mut self, log: usize, seq: u64) {
        self.logs[log].next = seq + 1;
    }

    /// Notes that the record `seq` of a log is added.
    pub fn added(&mut self, log: usize, seq: u64) {
        if self.window > 0 {
            self.last.push_back((log, seq));
        }
    }

    /// Writes `data`, which has the records that were added, between two changes of the file:
    /// before, the records may have been given to the reader of the output; afterwards, it has
    /// taken them, but for the window.
    pub fn write(&mut self, data: &[u8], sink: &mut Sink) -> io::Result<()> {
        for log in &mut self.logs {
            // Records that an earlier call gave may be given once more later.
            log.position.given = log.position.given.max(log.next);
        }
        self.save()?;
        if !data.is_empty() {
            sink.write(data)?;
            sink.wait_until_read()?;
        }
        self.last.drain(..self.last.len().saturating_sub(self.window));
        for log in &mut self.logs {
            log.position.taken = log.next;
        }
        for (log, seq) in self.last.iter().rev() {
            self.logs[*log].position.taken = *seq;
        }
        self.save()
    }

    /// Writes the file if a position has changed.
    fn save(&mut self) -> io::Result<()> {
        let mut changed = false;
        for log in &self.logs {
            if self.state.get(&log.name) != Some(log.position) {
                self.state.set(&log.name, log.position);
                changed = true;
            }
        }
        if changed {
            self.state.save()?;
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_kept() {
        let folder = std::env::temp_dir().join(format!("umsg-state-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("state");
        let position = Position { log_id: u64::MAX, taken: 3, given: 7 };
        {
            let mut state = State::open(&path).expect("an empty state");
            assert_eq!(state.get("app"), None);
            state.set("app", position);
            state.save().expect("saved");
            assert!(State::open(&path).is_err_and(|error| error.to_string().contains("another")));
        }
        let state = State::open(&path).expect("a state");
        assert_eq!(state.get("app"), Some(position));
        drop(state);
        fs::write(&path, "{}x").expect("written");
        assert!(State::open(&path).is_err_and(|error| error.to_string().contains("remove it")));
        fs::remove_dir_all(folder).expect("removed");
    }
}
