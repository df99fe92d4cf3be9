// SPDX-License-Identifier: GPL-2.0

//! The device node: what its file operations and ioctls do.
//!
//! The contract, errors included, is in the README ("The device"); `/dev/kmsg` is the model
//! (`kmsg_fops` in `kernel/printk/printk.c`, `Documentation/ABI/testing/dev-kmsg`).

#![deny(unsafe_code)]

use core::mem::MaybeUninit;

use kernel::{
    alloc::flags::__GFP_NOWARN,
    fs::File,
    iov::IovIterSource,
    prelude::*,
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
    chardev::{
        Call,
        Dest,
        Events,
        Operations,
        Whence, //
    },
    config,
    log::{
        Log,
        Place, //
    },
    reader::Reader,
    record,
    uapi,
    writer, //
};

/// A write of up to this many bytes is copied to the stack, a longer one to memory allocated for
/// it.
const WRITE_STACK: usize = 512;

impl Operations for Reader {
    type Node = Arc<Log>;

    fn open(log: &Arc<Log>) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(Self::new(log.clone()), GFP_KERNEL_ACCOUNT)
    }

    fn read(&self, call: Call, dest: &mut Dest<'_, '_>) -> Result<usize> {
        Reader::read(self, call.nonblocking, dest)
    }

    /// Takes one record, whole or not at all. It waits for nothing but memory, for the copy of a
    /// long record and in faults on the user's; both happen before any lock is taken.
    fn write(&self, _call: Call, source: &mut IovIterSource<'_>) -> Result<usize> {
        let given = source.len();
        if given == 0 {
            return Ok(0);
        }
        if given > config::record_max() + record::DECORATION_MAX {
            return Err(EMSGSIZE);
        }
        let mut stack = [MaybeUninit::uninit(); WRITE_STACK];
        let mut heap = KVVec::new();
        let room = match stack.get_mut(..given) {
            Some(room) => room,
            None => {
                heap.reserve(given, GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?;
                &mut heap.spare_capacity_mut()[..given]
            }
        };
        let data = source.copy_from_iter_raw(room);
        if data.len() < given {
            return Err(EFAULT);
        }
        let (priority, text) = record::parse(data);
        self.log().append(priority, writer::current(), text)?;
        Ok(given)
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
            _ => Err(ENOTTY),
        }
    }
}

/// Writes what an ioctl returns to the user.
fn reply(argument: UserPtr, bytes: &[u8]) -> Result {
    UserSlice::new(argument, bytes.len())
        .writer()
        .write_slice(bytes)
}
