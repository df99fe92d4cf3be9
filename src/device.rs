// SPDX-License-Identifier: GPL-2.0

//! The device node: what its file operations and ioctls do.
//!
//! The contract, errors included, is in the README ("The device"); `/dev/kmsg` is the model
//! (`kmsg_fops` in `kernel/printk/printk.c`, `Documentation/ABI/testing/dev-kmsg`).

#![deny(unsafe_code)]

use kernel::{
    iov::IovIterSource,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use crate::{
    log::{
        Ended,
        Log,
        Place,
        LOCKED_MAX, //
    },
    pure::{
        record::{
            self,
            Binary,
            Entries,
            Writer, //
        },
        style::Style, //
    },
    reader::{
        self,
        Options,
        Reader, //
    },
    sys::{
        buffer::{
            uninit,
            Buffer, //
        },
        miscdevice::{
            self,
            Call,
            Operations, //
        },
        task,
        user_buf::{
            self,
            Dest, //
        },
        wait::{
            Events,
            WaitQueue, //
        }, //
    },
    uapi, //
};

/// A write of up to this many bytes is copied to the stack, a longer one to allocated memory, which
/// the kernel fills with zeros first. Large enough for a small batch of entries.
const WRITE_STACK: usize = 1280;

impl Operations for Reader {
    type Node = Arc<Log>;

    fn open(log: &Arc<Log>, opener: u32) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(Self::new(log.clone(), opener), GFP_KERNEL_ACCOUNT)
    }

    fn release(&self) {
        // What a full log refuses it has counted.
        let _ = self.stream().finish(self.log(), self.log().record_max());
    }

    fn read(&self, call: Call, dest: &mut Dest<'_, '_>) -> Result<usize> {
        Reader::read(self, call.nonblocking, dest)
    }

    /// Stores lines; in the styles `kmsg` and `plain` one record, entirely or not at all; in binary
    /// format as many records as fit. It waits for nothing but memory and page faults, and for page
    /// faults before any lock is taken.
    fn write(&self, _call: Call, source: &mut IovIterSource<'_>) -> Result<usize> {
        let given = source.len();
        if given == 0 {
            return Ok(0);
        }
        let binary = self.options().has(uapi::UMSG_OPTION_BINARY_WRITE);
        let lines = !binary && self.style() == Style::Lines;
        // The limit of this call, also if the parameter changes meanwhile.
        let record_max = self.log().record_max();
        if !binary && !lines && given > record_max + record::DECORATION_MAX {
            return Err(EMSGSIZE);
        }
        let writer = task::current(self.opener());
        let mut stack = uninit::<WRITE_STACK>();
        let mut heap;
        let memory = if given <= WRITE_STACK {
            &mut stack[..]
        } else {
            let largest = record::ENTRY_HEADER_MAX + record_max.next_multiple_of(8);
            let most = if binary {
                largest.max(LOCKED_MAX)
            } else if lines {
                LOCKED_MAX
            } else {
                given
            };
            heap = reader::memory(given.min(most))?;
            heap.spare_capacity_mut()
        };
        let mut buffer = Buffer::new(memory);
        if binary {
            return write_entries(self, writer, source, &mut buffer, record_max);
        }
        if !user_buf::fill(&mut buffer, source) {
            return Err(EFAULT);
        }
        let (priority, text) = if lines {
            match self.stream().whole_line(buffer.as_slice(), record_max) {
                Some(line) => line,
                None => {
                    let stream = self.stream();
                    return stream.write(self.log(), writer, source, &mut buffer, record_max);
                }
            }
        } else {
            let (priority, text) = record::parse(buffer.as_slice());
            if text.len() > record_max {
                return Err(EMSGSIZE);
            }
            // What was written before as lines comes before this.
            self.stream().finish(self.log(), record_max)?;
            (priority, text)
        };
        self.log().append(priority, writer, text)?;
        Ok(given)
    }

    fn poll_queue(&self) -> &WaitQueue {
        self.relay().waiters()
    }

    fn poll(&self, call: Call) -> Events {
        // No append wakes a file that cannot be read.
        if call.may_read {
            self.relay().join();
        }
        let info = self.log().info();
        let (seq, _) = self.progress();
        let lost = call.may_read && seq < info.oldest_seq;
        Events::READABLE.when(call.may_read && seq < info.next_seq)
            | Events::PRIORITY.when(lost)
            | Events::ERROR.when(lost && self.style() != Style::Lines)
            | Events::WRITABLE.when(call.may_write)
    }

    /// As `devkmsg_llseek()`.
    fn seek(&self, offset: i64, whence: u32) -> Result {
        let place = match (offset, whence) {
            (1.., _) | (..0, _) => return Err(ESPIPE),
            (0, miscdevice::SEEK_SET) => Place::Oldest,
            (0, miscdevice::SEEK_DATA) => Place::Cleared,
            (0, miscdevice::SEEK_END) => Place::Next,
            (0, _) => return Err(EINVAL),
        };
        Reader::seek(self, place)
    }

    fn ioctl(&self, call: Call, command: u32, argument: UserPtr) -> Result {
        match command {
            uapi::UMSG_IOC_INFO => reply(argument, self.log().info().as_bytes()),
            uapi::UMSG_IOC_CLEAR => {
                if !call.may_write {
                    return Err(EBADF);
                }
                if !task::may_administer() {
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
            uapi::UMSG_IOC_GET_STYLE => reply(argument, &self.style().number().to_ne_bytes()),
            uapi::UMSG_IOC_SET_STYLE => {
                self.set_style(Style::new(ask::<u32>(argument)?).ok_or(EINVAL)?);
                Ok(())
            }
            // What other records there are is for who may read them.
            uapi::UMSG_IOC_SEEK_SEQ | uapi::UMSG_IOC_SEEK_TIME | uapi::UMSG_IOC_NEXT_SIZE
                if !call.may_read =>
            {
                Err(EBADF)
            }
            uapi::UMSG_IOC_SEEK_SEQ => Reader::seek(self, Place::Seq(ask(argument)?)),
            uapi::UMSG_IOC_SEEK_TIME => Reader::seek(self, Place::Time(ask(argument)?)),
            uapi::UMSG_IOC_NEXT_SIZE => {
                let size = self.next_size()?.ok_or(EAGAIN)?;
                reply(argument, &(size as u32).to_ne_bytes())
            }
            _ => Err(ENOTTY),
        }
    }

    fn show_fdinfo(&self, out: &SeqFile) {
        let info = self.log().info();
        let (seq, lost) = self.progress();
        let options = self.options();
        let form = |option| {
            if options.has(option) {
                "binary"
            } else {
                "text"
            }
        };
        seq_print!(
            out,
            "next-seq:\t{}\nlag:\t{}\nlost:\t{}\nstyle:\t{}\nreads:\t{}\nwrites:\t{}\n",
            seq,
            info.next_seq.saturating_sub(seq.max(info.oldest_seq)),
            lost.saturating_add(info.oldest_seq.saturating_sub(seq)),
            self.style().name(),
            form(uapi::UMSG_OPTION_BINARY_READ),
            form(uapi::UMSG_OPTION_BINARY_WRITE)
        );
    }
}

/// Stores entries (`struct umsg_entry`) up to the first that is rejected, through `buffer`, which
/// has room for the largest one. Fails only if the first of all is rejected.
fn write_entries(
    file: &Reader,
    writer: Writer,
    source: &mut IovIterSource<'_>,
    buffer: &mut Buffer<'_>,
    record_max: usize,
) -> Result<usize> {
    let mut entries = Binary { record_max };
    let mut stored = 0;
    let error = loop {
        let good = user_buf::fill(buffer, source);
        // What was written before as lines comes before this.
        if file.stream().has_tail() && entries.first(buffer.as_slice()).is_ok() {
            if let Err(error) = file.stream().finish(file.log(), record_max) {
                break error;
            }
        }
        let mut taken = 0;
        let ended = loop {
            let rest = &buffer.as_slice()[taken..];
            let (more, ended) = file.log().append_all(writer, rest, &mut entries);
            taken += more;
            match ended {
                // No signal cuts a write of a few KiB short.
                Ended::Paused if taken < LOCKED_MAX || !current!().signal_pending() => {}
                ended => break ended,
            }
        };
        stored += taken;
        buffer.remove_front(taken);
        match ended {
            Ended::Refused(error) => break error,
            Ended::Cut if !good => break EFAULT,
            Ended::Cut if source.is_empty() && buffer.len() == 0 => return Ok(stored),
            // The rest of an entry is missing, or the whole buffer is not enough for it.
            Ended::Cut if source.is_empty() || buffer.room() == 0 => break EINVAL,
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
