// SPDX-License-Identifier: GPL-2.0

//! An open file description of a log ("file" in this folder): its options, its style, its read
//! position, and the partial line that was written to it.

#![deny(unsafe_code)]

mod cursor;
mod read;
mod read_binary;
mod read_text;
mod stream;
mod write;

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
        SeekTarget, //
    },
    pure::{
        record::Priority,
        ring::Position,
        style::Style, //
    },
    sys::wait::{
        PollEvents,
        Relay, //
    },
    uapi, //
};

use self::{
    cursor::Cursor,
    stream::Stream, //
};

/// An open file of a log.
#[pin_data]
pub(crate) struct LogFile {
    /// The waiters of this file, and the reference to the log.
    #[pin]
    relay: Relay<Log>,
    #[pin]
    cursor: SpinLock<Cursor>,
    #[pin]
    stream: Stream,
    /// Effective user id of the task that opened the file, in the initial user namespace.
    opener: u32,
    options: Atomic<u32>,
    /// The number of a [`Style`].
    style: Atomic<u32>,
    /// The value of a [`Priority`].
    priority: Atomic<u32>,
}

impl LogFile {
    /// Creates an open file of `log`, with the read position before the oldest record. `opener` is
    /// the effective user id of the opening task in the initial user namespace.
    pub(crate) fn new(log: Arc<Log>, opener: u32) -> impl PinInit<Self, Error> {
        let cursor = Cursor {
            position: Position::overwritten(log.info().oldest_seq),
            lost: 0,
        };
        let style = log.style();
        try_pin_init!(Self {
            relay <- Relay::new(log, events(style)),
            opener,
            options: Atomic::new(0),
            style: Atomic::new(style.number()),
            priority: Atomic::new(Priority::DEFAULT.value().into()),
            cursor <- new_spinlock!(cursor, "umsg::cursor"),
            stream <- Stream::new(),
        })
    }

    /// Returns the log.
    pub(crate) fn log(&self) -> &Log {
        self.relay.source()
    }

    /// Returns the waiters of this file.
    pub(crate) fn relay(&self) -> &Relay<Log> {
        &self.relay
    }

    /// Returns the option bits of the file.
    pub(crate) fn options(&self) -> Options {
        Options(self.options.load(Relaxed))
    }

    /// Sets the option bits for calls that start afterwards.
    pub(crate) fn set_options(&self, options: Options) {
        self.options.store(options.0, Relaxed);
    }

    /// Returns the effective user id of the task that opened the file, in the initial user
    /// namespace.
    pub(crate) fn opener(&self) -> u32 {
        self.opener
    }

    /// Returns the style of the file.
    pub(crate) fn style(&self) -> Style {
        Style::new(self.style.load(Relaxed)).unwrap_or(Style::Lines)
    }

    /// Sets the style for calls that start afterwards.
    pub(crate) fn set_style(&self, style: Style) {
        self.style.store(style.number(), Relaxed);
        self.relay.set_mask(events(style));
    }

    /// Returns the priority of texts that are written without a prefix.
    #[inline]
    pub(crate) fn priority(&self) -> Priority {
        Priority::from_u32(self.priority.load(Relaxed)).unwrap_or(Priority::DEFAULT)
    }

    /// Sets the priority of texts without a prefix for calls that start afterwards.
    pub(crate) fn set_priority(&self, priority: Priority) {
        self.priority.store(priority.value().into(), Relaxed);
    }

    /// Returns the stream of lines that are written to the file.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Moves the read position to `target`. The records in between do not count as lost.
    ///
    /// # Errors
    ///
    /// `EINVAL`: see [`Log::position`].
    pub(crate) fn seek(&self, target: SeekTarget) -> Result {
        let position = self.log().position(target)?;
        self.cursor.lock().position = position;
        // A reader of this file may sleep until there is a record at the old position.
        self.relay.wake(events(self.style()));
        Ok(())
    }

    /// Returns the sequence number of the read position, and the number of lost records that reads
    /// of this file have reported.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let cursor = *self.cursor.lock();
        (cursor.position.seq(), cursor.lost)
    }
}

/// The option bits of an open file, `UMSG_OPTION_*` of `uapi/umsg.h`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options(u32);

impl Options {
    /// Checks the option bits from user space. Returns `None` if an unknown bit is set.
    pub(crate) fn new(bits: u32) -> Option<Self> {
        (bits & !uapi::UMSG_OPTIONS == 0).then_some(Self(bits))
    }

    /// Returns the option bits.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether the bit `option` is set.
    pub(crate) fn has(self, option: u32) -> bool {
        self.0 & option != 0
    }
}

/// Returns the events that wake the waiters of a file with this style.
fn events(style: Style) -> PollEvents {
    PollEvents::READABLE | PollEvents::PRIORITY | PollEvents::ERROR.when(style != Style::Lines)
}

/// Allocates `size` bytes, charged to the memory cgroup of the caller.
pub(crate) fn alloc_buffer(size: usize) -> Result<KVVec<u8>> {
    let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
    Ok(KVVec::with_capacity(size, flags)?)
}
