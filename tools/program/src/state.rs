// SPDX-License-Identifier: GPL-2.0

//! The position in each log, kept in a file from one call to the next.

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::Result;

/// The position in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The identity of the log ([`umsg::Info::log_id`]).
    pub log_id: u64,
    /// Records before this sequence number have been read by the reader of the output.
    pub taken: u64,
    /// Records before this sequence number may have been read by it.
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
    pub fn set(&mut self, log: &str, position: Position) {
        self.contents.logs.insert(log.to_owned(), position);
    }

    /// Writes the file. It has its old or its new contents at any time.
    pub fn save(&self) -> io::Result<()> {
        let new = with_suffix(&self.path, ".new");
        fs::write(&new, serde_json::to_vec(&self.contents)?)?;
        fs::rename(new, &self.path)
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
