// SPDX-License-Identifier: GPL-2.0

//! The device node: what its file operations and ioctls do.
//!
//! The contract, errors included, is in the README ("The device"); `/dev/kmsg` is the model
//! (`kmsg_fops` in `kernel/printk/printk.c`, `Documentation/ABI/testing/dev-kmsg`).

#![deny(unsafe_code)]

use kernel::{
    fs::File,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        poll::PollTable,
        Arc, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use crate::{
    buffer::{
        uninit,
        Buffer, //
    },
    chardev::{
        Call,
        Events,
        Operations,
        Whence, //
    },
    config,
    log::{
        Ended,
        Info,
        Log,
        Place, //
    },
    reader::{
        Options,
        Reader,
        CHUNK, //
    },
    record,
    ring::Policy,
    transfer::{
        Dest,
        Source, //
    },
    uapi,
    writer, //
};

/// A write of up to this many bytes is copied to the stack, a longer one to other memory.
const WRITE_STACK: usize = 512;

impl Operations for Reader {
    type Node = Arc<Log>;

    fn open(log: &Arc<Log>) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(Self::new(log.clone()), GFP_KERNEL_ACCOUNT)
    }

    #[inline(always)]
    fn read(&self, call: Call, dest: &mut Dest<'_, '_>) -> Result<usize> {
        Reader::read(self, call.nonblocking, dest)
    }

    /// Takes one record, whole or not at all, or in binary form as many as go in. It waits for
    /// nothing but memory, for the copy of what is long, and in faults on the user's; both happen
    /// before any lock is taken.
    #[inline(always)]
    fn write(&self, _call: Call, source: &mut Source<'_, '_>) -> Result<usize> {
        let given = source.len();
        if given == 0 {
            return Ok(0);
        }
        // The usual record: down to the append, all of it is inlined. Calls would be a twentieth of
        // what it takes.
        if given <= WRITE_STACK && !self.writes_binary() {
            return write_text(self.log(), source, &mut uninit::<WRITE_STACK>()[..given]);
        }
        write_with_memory(self, source)
    }

    fn poll(&self, file: &File, table: &PollTable<'_>) -> Events {
        let (readable, lost) = Reader::poll(self, file, table);
        let mut events = Events::WRITABLE;
        if readable {
            events = events | Events::READABLE;
        }
        if lost {
            events = events | Events::PRIORITY;
        }
        events
    }

    /// As `devkmsg_llseek()`, but every seek that it does not know is `EINVAL`.
    fn seek(&self, offset: i64, whence: Whence) -> Result {
        let place = match (offset, whence) {
            (0, Whence::Set) => Place::Oldest,
            (0, Whence::Data) => Place::Cleared,
            (0, Whence::End) => Place::Next,
            _ => return Err(EINVAL),
        };
        Reader::seek(self, place);
        Ok(())
    }

    fn ioctl(&self, call: Call, command: u32, argument: UserPtr) -> Result {
        match command {
            uapi::UMSG_IOC_VERSION => reply(argument, &uapi::UMSG_ABI_VERSION.to_ne_bytes()),
            uapi::UMSG_IOC_INFO => {
                let info = uapi::umsg_info::from(&self.log().info());
                reply(argument, info.as_bytes())
            }
            uapi::UMSG_IOC_CLEAR => {
                if !call.may_write {
                    return Err(EBADF);
                }
                if !writer::may_administer() {
                    return Err(EPERM);
                }
                self.log().clear();
                Ok(())
            }
            uapi::UMSG_IOC_GET_OPTIONS => reply(argument, &self.options().bits().to_ne_bytes()),
            uapi::UMSG_IOC_SET_OPTIONS => {
                let options = Options::new(ask::<u32>(argument)?).ok_or(EINVAL)?;
                self.set_options(options);
                Ok(())
            }
            // What other records there are is for who may read them.
            uapi::UMSG_IOC_SEEK_SEQ | uapi::UMSG_IOC_SEEK_TIME | uapi::UMSG_IOC_NEXT_SIZE
                if !call.may_read =>
            {
                Err(EBADF)
            }
            uapi::UMSG_IOC_SEEK_SEQ => self.seek_to_seq(ask(argument)?),
            uapi::UMSG_IOC_SEEK_TIME => {
                self.seek_to_time(ask(argument)?);
                Ok(())
            }
            uapi::UMSG_IOC_NEXT_SIZE => {
                let size = self.next_size()?.ok_or(EAGAIN)?;
                reply(argument, &(size as u32).to_ne_bytes())
            }
            _ => Err(ENOTTY),
        }
    }

    fn show_fdinfo(&self, out: &SeqFile) {
        let standing = self.standing();
        let options = self.options();
        let form = |option| {
            if options.bits() & option != 0 {
                "binary"
            } else {
                "text"
            }
        };
        seq_print!(
            out,
            "next-seq:\t{}\nlag:\t{}\nlost:\t{}\nreads:\t{}\nwrites:\t{}\n",
            standing.seq,
            standing.lag,
            standing.lost,
            form(uapi::UMSG_OPTION_BINARY_READ),
            form(uapi::UMSG_OPTION_BINARY_WRITE)
        );
    }
}

impl From<&Info> for uapi::umsg_info {
    fn from(info: &Info) -> Self {
        Self {
            capacity: info.capacity as u64,
            oldest_seq: info.oldest,
            next_seq: info.next,
            cleared_seq: info.cleared,
            records_written: info.totals.records_written,
            bytes_written: info.totals.bytes_written,
            records_dropped: info.totals.records_dropped,
            bytes_dropped: info.totals.bytes_dropped,
            records_refused: info.totals.records_refused,
            record_max: info.record_max as u32,
            policy: match info.policy {
                Policy::Overwrite => uapi::UMSG_POLICY_OVERWRITE,
                Policy::Stop => uapi::UMSG_POLICY_STOP,
            },
            reserved: [0; 6],
        }
    }
}

/// Writes what is in binary form, or what the stack has no room for.
#[inline(never)]
fn write_with_memory(file: &Reader, source: &mut Source<'_, '_>) -> Result<usize> {
    if file.writes_binary() {
        return write_entries(file, source);
    }
    let given = source.len();
    if given > config::record_max() + record::DECORATION_MAX {
        return Err(EMSGSIZE);
    }
    file.with_memory(given, |buffer| {
        write_text(file.log(), source, &mut buffer.spare()[..given])
    })?
}

/// Writes one record in its text form; `room` is for all of it.
#[inline(always)]
fn write_text(
    log: &Log,
    source: &mut Source<'_, '_>,
    room: &mut [core::mem::MaybeUninit<u8>],
) -> Result<usize> {
    let given = room.len();
    let data = source.copy(room);
    if data.len() < given {
        return Err(EFAULT);
    }
    let (priority, text) = record::parse(data);
    log.append(priority, writer::current(), text)?;
    Ok(given)
}

/// Writes entries, `struct umsg_entry`, as far as they go. Fails only if the first is not taken.
fn write_entries(file: &Reader, source: &mut Source<'_, '_>) -> Result<usize> {
    // The bound of this call, whatever the parameter becomes meanwhile.
    let record_max = config::record_max();
    let largest = record::ENTRY_HEADER_MAX + record_max.next_multiple_of(8);
    let size = source.len().min(largest.max(CHUNK));
    file.with_memory(size, |buffer| {
        append_entries(file.log(), source, buffer, record_max)
    })?
}

/// Appends the entries of `source`, through `buffer`, which holds the largest one.
fn append_entries(
    log: &Log,
    source: &mut Source<'_, '_>,
    buffer: &mut Buffer<'_>,
    record_max: usize,
) -> Result<usize> {
    let writer = writer::current();
    let mut stored = 0;
    let error = loop {
        let good = source.fill(buffer);
        let mut taken = 0;
        let ended = loop {
            let rest = &buffer.as_slice()[taken..];
            let (more, ended) = log.append_all(writer, rest, record_max, CHUNK);
            taken += more;
            match ended {
                Ended::Paused if !current!().signal_pending() => {}
                ended => break ended,
            }
        };
        stored += taken;
        buffer.remove_front(taken);
        match ended {
            Ended::Refused(error) => break error,
            Ended::Cut if !good => break EFAULT,
            Ended::Cut if source.len() == 0 && buffer.len() == 0 => return Ok(stored),
            // The rest of an entry is not there, or the whole buffer is not enough for it.
            Ended::Cut if source.len() == 0 || buffer.room() == 0 => break EINVAL,
            _ if current!().signal_pending() => break ERESTARTSYS,
            Ended::Cut | Ended::Paused => {}
        }
    };
    if stored > 0 {
        Ok(stored)
    } else {
        Err(error)
    }
}

/// Reads what an ioctl was given by the user.
fn ask<T: kernel::transmute::FromBytes>(argument: UserPtr) -> Result<T> {
    UserSlice::new(argument, size_of::<T>()).reader().read()
}

/// Writes what an ioctl returns to the user.
fn reply(argument: UserPtr, bytes: &[u8]) -> Result {
    UserSlice::new(argument, bytes.len())
        .writer()
        .write_slice(bytes)
}
