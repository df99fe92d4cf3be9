// SPDX-License-Identifier: GPL-2.0

//! The device node: its file operations and ioctls.
//!
//! The contract, with the errors of each call, is in the manual page umsg(4). The model is
//! `/dev/kmsg`: `kmsg_fops` in `kernel/printk/printk.c` and `Documentation/ABI/testing/dev-kmsg`.

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
    file::{
        LogFile,
        Options, //
    },
    log::{
        Log,
        SeekTarget, //
    },
    pure::{
        record::Priority,
        style::Style, //
    },
    sys::{
        file_operations::{
            self,
            CallFlags,
            FileOperations, //
        },
        task,
        user_buf::Dest,
        wait::{
            PollEvents,
            WaitQueue, //
        }, //
    },
    uapi, //
};

impl FileOperations for LogFile {
    type Node = Arc<Log>;

    fn open(log: &Arc<Log>, opener: u32) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(Self::new(log.clone(), opener), GFP_KERNEL_ACCOUNT)
    }

    fn release(&self) {
        // An error needs no handling: the log counts the records that it rejects.
        let _ = self.stream().flush(self.log(), self.log().record_max());
    }

    fn read(&self, call: CallFlags, dest: &mut Dest<'_, '_>) -> Result<usize> {
        LogFile::read(self, call.nonblocking, dest)
    }

    fn write(&self, _call: CallFlags, source: &mut IovIterSource<'_>) -> Result<usize> {
        LogFile::write(self, source)
    }

    fn poll_queue(&self) -> &WaitQueue {
        self.relay().waiters()
    }

    fn poll(&self, call: CallFlags) -> PollEvents {
        // An append does not wake poll callers of a file that is not open for reading.
        if call.may_read {
            self.relay().join();
        }
        let info = self.log().info();
        let (seq, _) = self.progress();
        let lost = call.may_read && seq < info.oldest_seq;
        PollEvents::READABLE.when(call.may_read && seq < info.next_seq)
            | PollEvents::PRIORITY.when(lost)
            | PollEvents::ERROR.when(lost && self.style() != Style::Lines)
            | PollEvents::WRITABLE.when(call.may_write)
    }

    /// C counterpart: `devkmsg_llseek()` in `kernel/printk/printk.c`.
    fn seek(&self, offset: i64, whence: u32) -> Result {
        let target = match (offset, whence) {
            (1.., _) | (..0, _) => return Err(ESPIPE),
            (0, file_operations::SEEK_SET) => SeekTarget::Oldest,
            (0, file_operations::SEEK_DATA) => SeekTarget::Cleared,
            (0, file_operations::SEEK_END) => SeekTarget::Next,
            (0, _) => return Err(EINVAL),
        };
        LogFile::seek(self, target)
    }

    fn ioctl(&self, call: CallFlags, command: u32, argument: UserPtr) -> Result {
        match command {
            uapi::UMSG_IOC_INFO => write_arg(argument, self.log().info().as_bytes()),
            uapi::UMSG_IOC_CLEAR => {
                if !call.may_write {
                    return Err(EBADF);
                }
                if !task::has_cap_syslog() {
                    return Err(EPERM);
                }
                self.log().clear();
                Ok(())
            }
            uapi::UMSG_IOC_GET_OPTIONS => write_arg(argument, &self.options().bits().to_ne_bytes()),
            uapi::UMSG_IOC_SET_OPTIONS => {
                let options = Options::new(read_arg::<u32>(argument)?).ok_or(EINVAL)?;
                self.set_options(options);
                Ok(())
            }
            uapi::UMSG_IOC_GET_STYLE => write_arg(argument, &self.style().number().to_ne_bytes()),
            uapi::UMSG_IOC_SET_STYLE => {
                self.set_style(Style::new(read_arg::<u32>(argument)?).ok_or(EINVAL)?);
                Ok(())
            }
            uapi::UMSG_IOC_GET_PRIORITY => {
                write_arg(argument, &u32::from(self.priority().value()).to_ne_bytes())
            }
            uapi::UMSG_IOC_SET_PRIORITY => {
                self.set_priority(Priority::from_u32(read_arg(argument)?).ok_or(EINVAL)?);
                Ok(())
            }
            // These commands reveal which records exist, so they require a file that is open for
            // reading.
            uapi::UMSG_IOC_SEEK_SEQ | uapi::UMSG_IOC_SEEK_TIME | uapi::UMSG_IOC_NEXT_SIZE
                if !call.may_read =>
            {
                Err(EBADF)
            }
            uapi::UMSG_IOC_SEEK_SEQ => LogFile::seek(self, SeekTarget::Seq(read_arg(argument)?)),
            uapi::UMSG_IOC_SEEK_TIME => LogFile::seek(self, SeekTarget::Time(read_arg(argument)?)),
            uapi::UMSG_IOC_NEXT_SIZE => {
                let size = self.next_size()?.ok_or(EAGAIN)?;
                write_arg(argument, &(size as u32).to_ne_bytes())
            }
            _ => Err(ENOTTY),
        }
    }

    fn show_fdinfo(&self, out: &SeqFile) {
        let info = self.log().info();
        let (seq, lost) = self.progress();
        let options = self.options();
        let format = |option| {
            if options.has(option) {
                "binary"
            } else {
                "text"
            }
        };
        seq_print!(
            out,
            "next-seq:\t{}\nlag:\t{}\nlost:\t{}\nstyle:\t{}\npriority:\t{}\n\
             read-format:\t{}\nwrite-format:\t{}\n",
            seq,
            info.next_seq.saturating_sub(seq.max(info.oldest_seq)),
            lost.saturating_add(info.oldest_seq.saturating_sub(seq)),
            self.style().name(),
            self.priority().value(),
            format(uapi::UMSG_OPTION_BINARY_READ),
            format(uapi::UMSG_OPTION_BINARY_WRITE)
        );
    }
}

/// Copies the argument of an ioctl from user memory.
fn read_arg<T: kernel::transmute::FromBytes>(argument: UserPtr) -> Result<T> {
    UserSlice::new(argument, size_of::<T>()).reader().read()
}

/// Copies the result of an ioctl to user memory.
fn write_arg(argument: UserPtr, bytes: &[u8]) -> Result {
    UserSlice::new(argument, bytes.len())
        .writer()
        .write_slice(bytes)
}
