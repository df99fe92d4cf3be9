// SPDX-License-Identifier: GPL-2.0

//! One open file: its read position in the log, and the records that it has lost.
//!
//! # Which reader gets a record
//!
//! Threads and processes that share an open file description share its cursor, and each record goes
//! to one of them. No lock is held while a record is copied to the user. So a reader copies first,
//! and then moves the cursor if it is still at the same position. If not, another reader of the
//! file was faster or has sought, and this one starts again at the new position. (The user's buffer
//! may then have bytes of the first try beyond the returned length.) A copy that fails moves
//! nothing: the next read gets the record.
//!
//! Lock order: the log's lock, then the cursor's.

#![deny(unsafe_code)]

use kernel::{
    alloc::flags::__GFP_NOWARN,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};

use crate::{
    log::{
        Log,
        Place,
        LOCKED_MAX, //
    },
    pure::{
        kmsg_format::{
            Keys,
            TextForm, //
        },
        record::{
            frame_size,
            Header,
            FRAME_HEADER_SIZE,
            HEADER_SIZE, //
        },
        ring::{
            Position,
            Stored, //
        },
        style::Style, //
    },
    stream::Stream,
    sys::{
        buffer::{
            uninit,
            Buffer, //
        },
        task::View,
        user_buf::Dest,
        wait::{
            Events,
            Relay, //
        }, //
    },
    uapi, //
};

/// Size of the memory on the stack for the copy of one record, or of a few small ones.
const STACK: usize = 320;

/// The options of an open file: a set of `UMSG_OPTION_*` of `uapi/umsg.h`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options(u32);

impl Options {
    /// Returns the options that a program gave; `None` if they have undefined bits.
    pub(crate) fn new(bits: u32) -> Option<Self> {
        (bits & !uapi::UMSG_OPTIONS == 0).then_some(Self(bits))
    }

    /// Returns the bits of the set.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether `option` is in the set.
    pub(crate) fn has(self, option: u32) -> bool {
        self.0 & option != 0
    }
}

/// An open file of a log.
#[pin_data]
pub(crate) struct Reader {
    /// The waiters of this open file; it also holds the log.
    #[pin]
    relay: Relay<Log>,
    /// Effective user id of the task that opened it, as the kernel holds it.
    opener: u32,
    options: Atomic<u32>,
    /// A [`Style`], by its number.
    style: Atomic<u32>,
    #[pin]
    cursor: SpinLock<Cursor>,
    #[pin]
    stream: Stream,
}

/// The read position of an open file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cursor {
    position: Position,
    /// Number of lost records that its reads have reported.
    lost: u64,
}

/// How one read works, from its beginning to its end.
#[derive(Clone, Copy)]
struct How {
    /// The options of the file when the read began.
    options: Options,
    /// Its style then.
    style: Style,
    /// The read must not sleep.
    nonblocking: bool,
}

/// The next record of a reader.
enum Next {
    /// It is in the buffer.
    Copied(Stored<'static>),
    /// It needs a buffer of this size in bytes.
    Needs(usize),
    /// There is none yet.
    None,
}

/// Returns the events that a file of this style reports when there is something to read.
fn events(style: Style) -> Events {
    Events::READABLE | Events::PRIORITY | Events::ERROR.when(style != Style::Lines)
}

/// Allocates `size` bytes, charged to the memory cgroup of the caller.
pub(crate) fn memory(size: usize) -> Result<KVVec<u8>> {
    let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
    Ok(KVVec::with_capacity(size, flags)?)
}

impl Reader {
    /// Creates an open file of `log`, before its oldest record, for a task with the effective user
    /// id `opener`, as the kernel holds it.
    pub(crate) fn new(log: Arc<Log>, opener: u32) -> impl PinInit<Self, Error> {
        let cursor = Cursor {
            position: Position::before_gone(log.info().oldest_seq),
            lost: 0,
        };
        let style = log.style();
        try_pin_init!(Self {
            relay <- Relay::new(log, events(style)),
            opener,
            options: Atomic::new(0),
            style: Atomic::new(style.number()),
            cursor <- new_spinlock!(cursor, "umsg::cursor"),
            stream <- Stream::new(),
        })
    }

    /// Returns the log.
    pub(crate) fn log(&self) -> &Log {
        self.relay.source()
    }

    /// Returns the waiters of this open file.
    pub(crate) fn relay(&self) -> &Relay<Log> {
        &self.relay
    }

    /// Returns the options of the file.
    pub(crate) fn options(&self) -> Options {
        Options(self.options.load(Relaxed))
    }

    /// Sets the options for the calls that begin from now on.
    pub(crate) fn set_options(&self, options: Options) {
        self.options.store(options.0, Relaxed);
    }

    /// Returns the effective user id of the task that opened the file, as the kernel holds it.
    pub(crate) fn opener(&self) -> u32 {
        self.opener
    }

    /// Returns the style of the file.
    pub(crate) fn style(&self) -> Style {
        Style::new(self.style.load(Relaxed)).unwrap_or(Style::Lines)
    }

    /// Sets the style for the calls that begin from now on.
    pub(crate) fn set_style(&self, style: Style) {
        self.style.store(style.number(), Relaxed);
        self.relay.set_mask(events(style));
    }

    /// Returns what is written to the file in the style `lines`.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads the next record in text format, or as many as fit in binary format, and returns the
    /// number of bytes.
    ///
    /// # Errors
    ///
    /// None of these consumes the record, except where it says so.
    ///
    /// - `EAGAIN`: there is no record, and the read must not sleep;
    /// - `ERESTARTSYS`: a signal is pending, and there is no record yet, or other readers of the
    ///   file were faster each time;
    /// - `EINVAL`: the record does not fit `dest`, not even without its text in text format. In the
    ///   styles `kmsg` and `plain` it is consumed then, and counts as lost;
    /// - `EFAULT`: `dest` cannot be written;
    /// - `EPIPE`: records were lost, and the style is `kmsg` or `plain`; the next read gets the
    ///   oldest record;
    /// - `ENOMEM`: no memory for the copy of a large record;
    /// - `EIO`: the record in the ring has no header, which is a bug.
    pub(crate) fn read(&self, nonblocking: bool, dest: &mut Dest<'_, '_>) -> Result<usize> {
        if dest.room() == 0 {
            return Err(EINVAL);
        }
        let how = How {
            options: self.options(),
            style: self.style(),
            nonblocking,
        };
        if how.options.has(uapi::UMSG_OPTION_BINARY_READ) {
            self.read_binary(how, dest)
        } else {
            self.read_text(how, dest)
        }
    }

    /// Reads one record in text format.
    fn read_text(&self, how: How, dest: &mut Dest<'_, '_>) -> Result<usize> {
        let view = View::of_current();
        let mut stack = uninit::<STACK>();
        let mut heap;
        let mut copy = Buffer::new(&mut stack);
        loop {
            let start = *self.cursor.lock();
            let found = match self.copy_next(start, &mut copy) {
                Next::Copied(found) => found,
                Next::Needs(size) => {
                    heap = memory(size)?;
                    copy = Buffer::new(heap.spare_capacity_mut());
                    continue;
                }
                Next::None => {
                    self.wait(start, how)?;
                    continue;
                }
            };
            if found.lost > 0 && !self.tell_of_loss(start, &found, how)? {
                continue;
            }
            let (mut header, text) = Header::split(copy.as_slice()).ok_or(EIO)?;
            header.writer.ids = view.ids(header.writer.ids);
            let mut form = TextForm::new(&header, text, how.keys(&found));
            if !form.fit(dest.room()) {
                self.skip(start, &found, how)?;
                continue;
            }
            if !form.write(|chunk| dest.write(chunk)) {
                dest.rewind(0);
                return Err(EFAULT);
            }
            if self.advance(start, start.moved(found.after, found.lost)) {
                return Ok(dest.written());
            }
            dest.rewind(0);
            faster()?;
        }
    }

    /// Copies the record at `start` into `buffer`, and nothing else.
    #[inline]
    fn copy_next(&self, start: Cursor, buffer: &mut Buffer<'_>) -> Next {
        let mut next = Next::None;
        buffer.clear();
        self.log().look(start.position, |stored| {
            next = if buffer.push(stored.bytes) {
                Next::Copied(stored.detached())
            } else {
                Next::Needs(stored.bytes.len())
            };
            false
        });
        next
    }

    /// Reads as many records in binary format as fit.
    fn read_binary(&self, how: How, dest: &mut Dest<'_, '_>) -> Result<usize> {
        let view = View::of_current();
        let mut stack = uninit::<STACK>();
        let mut heap;
        let mut frames = Buffer::new(&mut stack);
        loop {
            let before = dest.written();
            let start = *self.cursor.lock();
            let mut first = None::<Stored<'static>>;
            let mut after = start.position;
            // Size of the record that did not fit.
            let mut next_size = 0;
            frames.clear();
            let capacity = frames.room();
            let room = capacity.min(dest.room());
            self.log().look(start.position, |stored| {
                // The text with its padding, which is that of the frame.
                let (header, text) = stored.bytes.split_at(HEADER_SIZE);
                first.get_or_insert(stored.detached());
                let size = FRAME_HEADER_SIZE + text.len();
                if frames.len() + size > room {
                    next_size = size;
                    return false;
                }
                frames.push(&Header::frame(header, |ids| view.ids(ids), stored.lost));
                frames.push(text);
                after = stored.after;
                frames.len() < LOCKED_MAX
            });
            let Some(first) = first else {
                if before > 0 {
                    return Ok(before);
                }
                self.wait(start, how)?;
                continue;
            };
            if first.lost > 0 && how.style != Style::Lines && before > 0 {
                return Ok(before);
            }
            if first.lost > 0 && !self.tell_of_loss(start, &first, how)? {
                continue;
            }
            let fits = next_size <= dest.room() - frames.len();
            if frames.len() > 0 {
                if !dest.write(frames.as_slice()) {
                    dest.rewind(before);
                    return if before > 0 { Ok(before) } else { Err(EFAULT) };
                }
                if !self.advance(start, start.moved(after, first.lost)) {
                    dest.rewind(before);
                    match faster() {
                        Err(_) if before > 0 => return Ok(before),
                        tried => tried?,
                    }
                    continue;
                }
                let all = next_size == 0 && frames.len() < LOCKED_MAX;
                // No signal cuts a read of a few KiB short.
                let long = dest.written() >= LOCKED_MAX;
                if all || !fits || long && current!().signal_pending() {
                    return Ok(dest.written());
                }
            } else if !fits {
                if before > 0 {
                    return Ok(before);
                }
                self.skip(start, &first, how)?;
                continue;
            }
            // There are more records than this buffer has room for.
            let wanted = next_size.max(LOCKED_MAX.min(dest.room()));
            if wanted > capacity {
                heap = match memory(wanted) {
                    Err(_) if dest.written() > 0 => return Ok(dest.written()),
                    heap => heap?,
                };
                frames = Buffer::new(heap.spare_capacity_mut());
            }
        }
    }

    /// Sleeps until there is a record at `start`, or the cursor has moved.
    fn wait(&self, start: Cursor, how: How) -> Result {
        if how.nonblocking {
            return Err(EAGAIN);
        }
        self.relay
            .wait_interruptible(|| self.log().has(start.position) || *self.cursor.lock() != start)
    }

    /// Fails with `EPIPE` in the styles `kmsg` and `plain`, once for a loss. Returns whether the
    /// read continues with the record; if not, the read starts again.
    fn tell_of_loss(&self, start: Cursor, found: &Stored<'_>, how: How) -> Result<bool> {
        if how.style == Style::Lines {
            return Ok(true);
        }
        if self.advance(start, start.moved(found.at, found.lost)) {
            return Err(EPIPE);
        }
        faster()?;
        Ok(false)
    }

    /// Fails with `EINVAL` for a record that does not fit, which is consumed and counts as lost in
    /// the styles `kmsg` and `plain`. If another reader of the file was faster, the read starts
    /// again.
    #[cold]
    fn skip(&self, start: Cursor, found: &Stored<'_>, how: How) -> Result {
        let after = start.moved(found.after, found.lost.saturating_add(1));
        if how.style == Style::Lines || self.advance(start, after) {
            return Err(EINVAL);
        }
        faster()
    }

    /// Moves the cursor from `start` to `after`; returns false if it is not at `start` any more.
    fn advance(&self, start: Cursor, after: Cursor) -> bool {
        let mut cursor = self.cursor.lock();
        let unmoved = *cursor == start;
        if unmoved {
            *cursor = after;
        }
        unmoved
    }

    /// Returns the buffer size in bytes that the next read needs, or `None` if there is no record.
    /// Fails with `ENOMEM` and `EIO` as [`Reader::read`].
    pub(crate) fn next_size(&self) -> Result<Option<usize>> {
        let how = How {
            options: self.options(),
            style: self.style(),
            nonblocking: true,
        };
        let start = *self.cursor.lock();
        // Count the escapes in a copy, not under the log's lock.
        let mut stack = uninit::<STACK>();
        let mut heap;
        let mut copy = Buffer::new(&mut stack);
        let found = loop {
            match self.copy_next(start, &mut copy) {
                Next::Copied(found) => break found,
                Next::None => return Ok(None),
                Next::Needs(size) => {
                    heap = memory(size)?;
                    copy = Buffer::new(heap.spare_capacity_mut());
                }
            }
        };
        let (mut header, text) = Header::split(copy.as_slice()).ok_or(EIO)?;
        if how.options.has(uapi::UMSG_OPTION_BINARY_READ) {
            return Ok(Some(frame_size(text.len())));
        }
        header.writer.ids = View::of_current().ids(header.writer.ids);
        Ok(Some(TextForm::new(&header, text, how.keys(&found)).len()))
    }

    /// Moves to `place`. Records in between are skipped, not lost.
    ///
    /// # Errors
    ///
    /// `EINVAL` as [`Log::position`].
    pub(crate) fn seek(&self, place: Place) -> Result {
        let position = self.log().position(place)?;
        self.cursor.lock().position = position;
        // Another thread may wait for a record at the old position.
        self.relay.wake(events(self.style()));
        Ok(())
    }

    /// Returns the sequence number at the read position, and the number of lost records that reads
    /// of this file have reported.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let cursor = *self.cursor.lock();
        (cursor.position.seq(), cursor.lost)
    }
}

/// Called before a read starts again because another reader of the same file was faster. A signal
/// ends a read that is never fast enough.
///
/// # Errors
///
/// `ERESTARTSYS`: a signal is pending.
#[cold]
fn faster() -> Result {
    if current!().signal_pending() {
        return Err(ERESTARTSYS);
    }
    Ok(())
}

impl How {
    /// Returns the keys of the record `found` in text format. What an error reports is not among
    /// them.
    fn keys(self, found: &Stored<'_>) -> Keys {
        match self.style {
            Style::Lines => Keys::All(found.lost),
            Style::Kmsg => Keys::All(0),
            Style::Plain => Keys::None,
        }
    }
}

impl Cursor {
    /// Returns the cursor at `position`, with `lost` more records reported as lost.
    fn moved(self, position: Position, lost: u64) -> Self {
        Self {
            position,
            // After each seek back, the same loss is reported again.
            lost: self.lost.saturating_add(lost),
        }
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_reader)]
mod tests {
    use super::*;

    /// Checks that the count of a reader that seeks back again and again does not overflow.
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
            cursor = cursor.moved(Position::default(), more);
            assert_eq!(cursor.lost, lost);
        }
    }
}
