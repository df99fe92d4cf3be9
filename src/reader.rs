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
    alloc::flags::__GFP_NOWARN,
    fs::File,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        poll::PollTable,
        Arc,
        SpinLock, //
    }, //
};

use crate::{
    buffer::{
        uninit,
        Buffer, //
    },
    log::{
        Handle,
        Log,
        Place, //
    },
    record::{
        frame_size,
        Header,
        HEADER_SIZE, //
    },
    ring::{
        Position,
        Stored, //
    },
    text::TextForm,
    transfer::Dest,
    uapi,
    writer, //
};

/// Room on the stack for the copy of one record, or of a few small ones.
const STACK: usize = 320;

/// How many bytes of small records are copied into or out of the log at once: a bound on the time
/// that its lock is held.
pub(crate) const CHUNK: usize = 8192;

/// What an open file is asked to do differently: a set of `UMSG_OPTION_*` of `uapi/umsg.h`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options(u32);

impl Options {
    /// Takes a set as a program gave it; `None` when there are bits in it that mean nothing.
    pub(crate) fn new(bits: u32) -> Option<Self> {
        (bits & !uapi::UMSG_OPTIONS == 0).then_some(Self(bits))
    }

    /// The set.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    fn has(self, option: u32) -> bool {
        self.0 & option != 0
    }
}

/// An open file of a log.
#[pin_data]
pub(crate) struct Reader {
    log: Handle,
    options: Atomic<u32>,
    #[pin]
    cursor: SpinLock<Cursor>,
    /// [`CHUNK`] bytes of memory for the next call that needs as many, once one did: the kernel
    /// fills what it allocates with zeros, which costs as much as the copy of the records.
    #[pin]
    spare: SpinLock<Option<KVVec<u8>>>,
}

/// Where a reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cursor {
    position: Position,
    /// Records it was told it had lost, in all.
    lost: u64,
}

/// How a read was asked for: what it goes by until its end, whatever the file's options become.
#[derive(Clone, Copy)]
struct How {
    options: Options,
    /// It must not wait.
    nonblocking: bool,
}

/// Why a read with the memory that it was given has no result.
enum Stopped {
    /// The read has failed.
    Failed(Error),
    /// The record has so many bytes.
    Needs(usize),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a reader has seen of a record under the lock.
#[derive(Clone, Copy)]
struct Found {
    at: Position,
    after: Position,
    lost: u64,
}

impl From<&Stored<'_>> for Found {
    fn from(stored: &Stored<'_>) -> Self {
        Self {
            at: stored.at,
            after: stored.after,
            lost: stored.lost,
        }
    }
}

/// The header and the text of a record as it is stored.
fn split(stored: &[u8]) -> Result<(Header, &[u8])> {
    let (header, text) = stored.split_first_chunk::<HEADER_SIZE>().ok_or(EIO)?;
    Ok((Header::decode(header), text))
}

impl Reader {
    /// A reader of `log` that stands before its oldest record.
    pub(crate) fn new(log: Arc<Log>) -> impl PinInit<Self, Error> {
        let cursor = Cursor {
            position: log.position(Place::Oldest),
            lost: 0,
        };
        try_pin_init!(Self {
            log: Handle::new(log),
            options: Atomic::new(0),
            cursor <- new_spinlock!(cursor, "umsg::cursor"),
            spare <- new_spinlock!(None, "umsg::spare"),
        })
    }

    /// The log this reader reads.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// What this file is asked to do differently.
    pub(crate) fn options(&self) -> Options {
        Options(self.options.load(Relaxed))
    }

    /// Changes that, for the calls that begin from now on.
    pub(crate) fn set_options(&self, options: Options) {
        self.options.store(options.0, Relaxed);
    }

    /// Whether what is written is in binary form.
    pub(crate) fn writes_binary(&self) -> bool {
        self.options().has(uapi::UMSG_OPTION_BINARY_WRITE)
    }

    /// Reads the next record in its text form, or as many as fit in binary form, and returns how
    /// many bytes that are.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: there is no record, and the call must not block;
    /// - `ERESTARTSYS`: a signal came while it waited for one, or tried again because other readers
    ///   of the file were faster;
    /// - `EINVAL`: the record does not fit `dest`;
    /// - `EFAULT`: `dest` cannot be written;
    /// - `EPIPE`: records were lost, and the file has the option to say so in this way; the next
    ///   read gets the oldest one;
    /// - `ENOMEM`: no memory for a copy of a large record;
    /// - `EIO`: the record in the ring has no header, which would be a bug.
    ///
    /// None of them consumes the record.
    #[inline(always)]
    pub(crate) fn read(&self, nonblocking: bool, dest: &mut Dest<'_, '_>) -> Result<usize> {
        if dest.room() == 0 {
            return Err(EINVAL);
        }
        let how = How {
            options: self.options(),
            nonblocking,
        };
        let stopped = if how.options.has(uapi::UMSG_OPTION_BINARY_READ) && dest.room() > STACK {
            Err(Stopped::Needs(dest.room().min(CHUNK)))
        } else {
            let mut stack = uninit::<STACK>();
            self.read_as(how, dest, &mut Buffer::new(&mut stack))
        };
        match stopped {
            Ok(len) => Ok(len),
            Err(Stopped::Failed(error)) => Err(error),
            Err(Stopped::Needs(size)) => self.read_with_memory(how, dest, size),
        }
    }

    /// Reads what the stack has no room for; it needs `size` bytes.
    #[inline(never)]
    fn read_with_memory(
        &self,
        how: How,
        dest: &mut Dest<'_, '_>,
        mut size: usize,
    ) -> Result<usize> {
        loop {
            match self.with_memory(size, |buffer| self.read_as(how, dest, buffer))? {
                Ok(len) => return Ok(len),
                Err(Stopped::Failed(error)) => return Err(error),
                // Meanwhile the record is another, longer one.
                Err(Stopped::Needs(more)) => size = more,
            }
        }
    }

    /// Reads in the binary or the text form.
    #[inline(always)]
    fn read_as(
        &self,
        how: How,
        dest: &mut Dest<'_, '_>,
        buffer: &mut Buffer<'_>,
    ) -> core::result::Result<usize, Stopped> {
        if how.options.has(uapi::UMSG_OPTION_BINARY_READ) {
            self.read_frames(how, dest, buffer)
        } else {
            self.read_text(how, dest, buffer)
        }
    }

    /// Calls `with` with a buffer for at least `size` bytes, charged to the caller's memory cgroup.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: there is no such memory.
    pub(crate) fn with_memory<R>(
        &self,
        size: usize,
        with: impl FnOnce(&mut Buffer<'_>) -> R,
    ) -> Result<R> {
        let keep = size <= CHUNK;
        let kept = if keep { self.spare.lock().take() } else { None };
        let mut memory = match kept {
            Some(memory) => memory,
            None => KVVec::with_capacity(size.max(CHUNK), GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?,
        };
        let result = with(&mut Buffer::new(memory.spare_capacity_mut()));
        if keep {
            // Another call may have been faster. What is left is freed after the lock.
            let other = self.spare.lock().replace(memory);
            drop(other);
        }
        Ok(result)
    }

    /// Reads one record in its text form; `buffer` is for its copy.
    // Its memory on the stack is its own, and not its callers' too.
    #[inline(never)]
    fn read_text(
        &self,
        how: How,
        dest: &mut Dest<'_, '_>,
        buffer: &mut Buffer<'_>,
    ) -> core::result::Result<usize, Stopped> {
        loop {
            let start = *self.cursor.lock();
            let Some(found) = self.copy_next(start, buffer)? else {
                self.wait(start, how)?;
                continue;
            };
            if found.lost > 0 && !self.tell_of_loss(start, &found, how)? {
                continue;
            }
            let (header, text) = split(buffer.as_slice())?;
            let uid = writer::uid_for_reader(header.writer.uid);
            let form = TextForm::new(&header, text, uid, found.lost);
            if !form.fits(dest.room()) {
                return Err(Stopped::Failed(EINVAL));
            }
            if !form.write(|piece| dest.write(piece)) {
                dest.rewind(0);
                return Err(Stopped::Failed(EFAULT));
            }
            if self.advance(start, start.moved(found.after, found.lost)) {
                return Ok(dest.written());
            }
            dest.rewind(0);
            faster()?;
        }
    }

    /// Copies the next record for who stands at `start` into `buffer`, and nothing else; `None`
    /// when there is none yet.
    #[inline(always)]
    fn copy_next(
        &self,
        start: Cursor,
        buffer: &mut Buffer<'_>,
    ) -> core::result::Result<Option<Found>, Stopped> {
        let mut found = None;
        let mut missing = 0;
        buffer.clear();
        self.log.look(start.position, |stored| {
            if buffer.push(stored.bytes) {
                found = Some(Found::from(stored));
            } else {
                missing = stored.bytes.len();
            }
            false
        });
        if missing > 0 {
            return Err(Stopped::Needs(missing));
        }
        Ok(found)
    }

    /// Reads as many records in their binary form as fit; `buffer` is for the copies of some.
    // Its memory on the stack is its own, and not its callers' too.
    #[inline(never)]
    fn read_frames(
        &self,
        how: How,
        dest: &mut Dest<'_, '_>,
        buffer: &mut Buffer<'_>,
    ) -> core::result::Result<usize, Stopped> {
        let mut uids = Uids::default();
        loop {
            let before = dest.written();
            let start = *self.cursor.lock();
            let mut first = None::<Found>;
            let mut after = start.position;
            // Size of the frame that did not fit, and what is wrong with the record.
            let mut next_size = 0;
            let mut broken = None;
            let mut frames = buffer.limited(dest.room());
            self.log.look(start.position, |stored| {
                let Some((header, text)) = stored.bytes.split_first_chunk::<HEADER_SIZE>() else {
                    broken = Some(EIO);
                    return false;
                };
                first.get_or_insert(Found::from(stored));
                let uid = uids.for_reader(Header::uid_of(header));
                let frame = Header::frame(header, uid, stored.lost);
                if !frames.push_padded(frame, text) {
                    next_size = frame_size(text.len());
                    return false;
                }
                after = stored.after;
                // Memory for one large record may have room for many small ones.
                frames.len() < CHUNK
            });
            if let Some(error) = broken {
                return Err(Stopped::Failed(error));
            }
            let Some(first) = first else {
                if before > 0 {
                    return Ok(before);
                }
                self.wait(start, how)?;
                continue;
            };
            if first.lost > 0 && how.options.has(uapi::UMSG_OPTION_EPIPE) && before > 0 {
                return Ok(before);
            }
            if first.lost > 0 && !self.tell_of_loss(start, &first, how)? {
                continue;
            }
            if frames.len() == 0 {
                return match before {
                    0 if next_size > dest.room() => Err(Stopped::Failed(EINVAL)),
                    0 => Err(Stopped::Needs(next_size)),
                    _ => Ok(before),
                };
            }
            if !dest.write(frames.as_slice()) {
                dest.rewind(before);
                return match before {
                    0 => Err(Stopped::Failed(EFAULT)),
                    _ => Ok(before),
                };
            }
            if !self.advance(start, start.moved(after, first.lost)) {
                dest.rewind(before);
                match faster() {
                    Err(_) if before > 0 => return Ok(before),
                    tried => tried?,
                }
                continue;
            }
            // There may be more: only what does not fit the user's buffer is the end of it.
            let all = next_size == 0 && frames.len() < CHUNK;
            if all || next_size > dest.room() || current!().signal_pending() {
                return Ok(dest.written());
            }
        }
    }

    /// Waits for a record from `start` on, or for another reader of this file to move.
    fn wait(&self, start: Cursor, how: How) -> Result {
        if how.nonblocking {
            return Err(EAGAIN);
        }
        self.log
            .wait(start.position, || *self.cursor.lock() == start)
    }

    /// Fails with `EPIPE` where the file has that option, once for a loss. Returns whether the read
    /// goes on with the record; if not, it has to look again.
    fn tell_of_loss(&self, start: Cursor, found: &Found, how: How) -> Result<bool> {
        if !how.options.has(uapi::UMSG_OPTION_EPIPE) {
            return Ok(true);
        }
        if self.advance(start, start.moved(found.at, found.lost)) {
            return Err(EPIPE);
        }
        faster()?;
        Ok(false)
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

    /// How many bytes the next read needs room for, to get one record; `None` when there is none.
    ///
    /// # Errors
    ///
    /// `ENOMEM` and `EIO` as [`Reader::read`].
    pub(crate) fn next_size(&self) -> Result<Option<usize>> {
        let options = self.options();
        let mut stack = uninit::<STACK>();
        let mut size = self.next_size_by(options, &mut Buffer::new(&mut stack));
        loop {
            match size {
                Ok(size) => return Ok(size),
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Needs(room)) => {
                    size = self.with_memory(room, |buffer| self.next_size_by(options, buffer))?;
                }
            }
        }
    }

    /// The same; `buffer` is for a copy of the record, whose escapes are not to be counted under
    /// the log's lock.
    // Its memory on the stack is its own, and not its callers' too.
    #[inline(never)]
    fn next_size_by(
        &self,
        options: Options,
        buffer: &mut Buffer<'_>,
    ) -> core::result::Result<Option<usize>, Stopped> {
        let start = *self.cursor.lock();
        let Some(found) = self.copy_next(start, buffer)? else {
            return Ok(None);
        };
        let (header, text) = split(buffer.as_slice())?;
        if options.has(uapi::UMSG_OPTION_BINARY_READ) {
            return Ok(Some(frame_size(text.len())));
        }
        let uid = writer::uid_for_reader(header.writer.uid);
        // With that option, the record does not tell of the loss.
        let silent = options.has(uapi::UMSG_OPTION_EPIPE);
        let lost = if silent { 0 } else { found.lost };
        Ok(Some(TextForm::new(&header, text, uid, lost).len()))
    }

    /// Moves to `place`. What lies between is skipped, not lost.
    pub(crate) fn seek(&self, place: Place) {
        self.move_to(self.log.position(place));
    }

    /// Moves before the record `seq`, as [`Log::position_of`].
    pub(crate) fn seek_to_seq(&self, seq: u64) -> Result {
        self.move_to(self.log.position_of(seq)?);
        Ok(())
    }

    /// Moves before the first record of `time_ns` or later, as [`Log::position_at`].
    pub(crate) fn seek_to_time(&self, time_ns: u64) {
        self.move_to(self.log.position_at(time_ns));
    }

    fn move_to(&self, position: Position) {
        self.cursor.lock().position = position;
        // Another thread may wait in a read of this file, from where it stood before.
        self.log.wake();
    }

    /// Registers the caller of `poll`, then tells whether there is a record to read, and whether
    /// records before it were lost.
    pub(crate) fn poll(&self, file: &File, table: &PollTable<'_>) -> (bool, bool) {
        self.log.poll(file, table, || self.cursor.lock().position)
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> Standing {
        let info = self.log.info();
        let cursor = *self.cursor.lock();
        let seq = cursor.position.seq();
        Standing {
            seq,
            lag: info.next.saturating_sub(seq.max(info.oldest)),
            lost: cursor.told_of(info.oldest.saturating_sub(seq)),
        }
    }
}

/// Another reader of the same file was faster, and this one tries again: not without end, where the
/// others do nothing else.
///
/// # Errors
///
/// `ERESTARTSYS`: a signal came.
#[cold]
fn faster() -> Result {
    if current!().signal_pending() {
        return Err(ERESTARTSYS);
    }
    Ok(())
}

/// What [`Reader::standing`] tells.
pub(crate) struct Standing {
    /// Sequence number that the next read looks for.
    pub(crate) seq: u64,
    /// Records that are there from it on.
    pub(crate) lag: u64,
    /// Records lost, those included that the next read tells of.
    pub(crate) lost: u64,
}

impl Cursor {
    /// This cursor at `position`, after it was told of `lost` records more.
    fn moved(self, position: Position, lost: u64) -> Self {
        Self {
            position,
            lost: self.told_of(lost),
        }
    }

    /// Records it was told it had lost, when it will have been told of `more`.
    fn told_of(self, more: u64) -> u64 {
        // Who seeks back is told of the same loss again, as often as he likes.
        self.lost.saturating_add(more)
    }
}

/// User ids as the reader is to see them; mostly the same one again and again.
#[derive(Default)]
struct Uids {
    last: Option<(u32, u32)>,
}

impl Uids {
    fn for_reader(&mut self, uid: u32) -> u32 {
        match self.last {
            Some((recorded, shown)) if recorded == uid => shown,
            _ => {
                let shown = writer::uid_for_reader(uid);
                self.last = Some((uid, shown));
                shown
            }
        }
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_reader)]
mod tests {
    use super::*;

    /// The count of a reader that seeks back to what is lost for ever ends somewhere.
    #[test]
    fn losses_are_counted_to_their_end() {
        let mut cursor = Cursor {
            position: Position::default(),
            lost: 0,
        };
        for (more, lost) in [
            (3, 3),
            (u64::MAX - 5, u64::MAX - 2),
            (2, u64::MAX),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(cursor.told_of(more), lost);
            cursor = cursor.moved(Position::default(), more);
            assert_eq!(cursor.lost, lost);
        }
    }
}
