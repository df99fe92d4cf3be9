// SPDX-License-Identifier: GPL-2.0

//! One open file: where it stands in its log, and what it has missed.
//!
//! # Who gets which record
//!
//! Threads and processes that share an open file share its cursor, and each record goes to one of
//! them. No lock is held while a record is copied to the user, so a reader copies first and moves
//! the cursor afterwards, if it still is where it was; if not, another reader of the same file was
//! faster or has sought, and this one starts again with what comes next (its buffer may keep bytes
//! of the first try beyond the length it returns). A copy that fails moves nothing: the record is
//! still there for the next read.
//!
//! Lock order: the log's lock, then the cursor's.

#![deny(unsafe_code)]

use kernel::{
    fs::File,
    new_spinlock,
    prelude::*,
    sync::{
        poll::PollTable,
        Arc,
        SpinLock, //
    }, //
};

use crate::{
    chardev::Dest,
    log::{
        Log,
        Place,
        Scratch, //
    },
    record::{
        Header,
        TextForm,
        HEADER_SIZE, //
    },
    ring::Position,
    writer,
};

/// An open file of a log.
#[pin_data]
pub(crate) struct Reader {
    log: Arc<Log>,
    #[pin]
    cursor: SpinLock<Cursor>,
}

/// Where a reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cursor {
    position: Position,
    /// Records it was told it had lost, in all.
    lost: u64,
}

impl Reader {
    /// A reader of `log` that stands before its oldest record.
    pub(crate) fn new(log: Arc<Log>) -> impl PinInit<Self, Error> {
        let cursor = Cursor {
            position: log.position(Place::Oldest),
            lost: 0,
        };
        try_pin_init!(Self {
            log,
            cursor <- new_spinlock!(cursor, "umsg::cursor"),
        })
    }

    /// The log this reader reads.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Reads the next record in its text form and returns its length.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: there is no record, and the call must not block;
    /// - `ERESTARTSYS`: a signal came while it waited for one;
    /// - `EINVAL`: the record does not fit `dest`;
    /// - `EFAULT`: `dest` cannot be written;
    /// - `ENOMEM`: no memory for a copy of a large record;
    /// - `EIO`: the record in the ring has no header, which would be a bug.
    ///
    /// None of them consumes the record.
    pub(crate) fn read(&self, nonblocking: bool, dest: &mut Dest<'_, '_>) -> Result<usize> {
        if dest.room() == 0 {
            return Err(EINVAL);
        }
        let mut scratch = Scratch::new();
        loop {
            let start = *self.cursor.lock();
            let Some(found) = self.log.fetch(start.position, &mut scratch)? else {
                if nonblocking {
                    return Err(EAGAIN);
                }
                self.log
                    .wait(start.position, || *self.cursor.lock() == start)?;
                continue;
            };
            let (stored, text) = scratch
                .bytes()
                .split_first_chunk::<HEADER_SIZE>()
                .ok_or(EIO)?;
            let header = Header::decode(stored);
            let uid = writer::uid_for_reader(header.writer.uid);
            let form = TextForm::new(&header, text, uid, found.lost);
            if form.len() > dest.room() {
                return Err(EINVAL);
            }
            if !form.write(|piece| dest.write(piece)) {
                return Err(EFAULT);
            }
            let after = Cursor {
                position: found.after,
                lost: start.lost.saturating_add(found.lost),
            };
            if self.advance(start, after) {
                return Ok(form.len());
            }
            dest.rewind();
        }
    }

    /// Moves the cursor from `start` to `after`; returns false when it is not at `start` any more.
    fn advance(&self, start: Cursor, after: Cursor) -> bool {
        let mut cursor = self.cursor.lock();
        let unmoved = *cursor == start;
        if unmoved {
            *cursor = after;
        }
        unmoved
    }

    /// Moves to `place`. What lies between is skipped, not lost.
    pub(crate) fn seek(&self, place: Place) {
        let position = self.log.position(place);
        self.cursor.lock().position = position;
        // Another thread may wait in a read of this file, from where it stood before.
        self.log.wake();
    }

    /// Registers the caller of `poll`, then tells whether there is a record to read, and whether
    /// records before it were lost.
    pub(crate) fn poll(&self, file: &File, table: &PollTable<'_>) -> (bool, bool) {
        self.log.poll(file, table, || self.cursor.lock().position)
    }
}
