// SPDX-License-Identifier: GPL-2.0

//! The errors that each call may return. Any other error is a failure.

use crate::abi::LINES;
use crate::calls::*;
use crate::files::AUDITED;
use crate::worker::Thread;
use libc::*;

/// Returns whether `call` may fail with `error`.
pub fn allowed(call: &Call, error: i32, thread: &Thread) -> bool {
    let stop = thread.target.parameters.policy == 1;
    // `EBADF`: the slot may be empty, or its file may be opened with `O_PATH`.
    let known = |slot| thread.files.known(slot);
    let bad_file = |slot| error == EBADF && known(slot).is_file() != Some(true);
    match *call {
        Call::Open { path, .. } => {
            matches!(error, EACCES | ENOTDIR | EEXIST | EINVAL | ELOOP | EPERM)
                || error == ENOENT && matches!(path, Path::Link(_))
        }
        Call::Close { slot } | Call::Dup { from: slot, .. } => {
            error == EBADF && !matches!(known(slot), crate::files::Known::Open(_))
        }
        Call::Read { slot, how, .. } => match error {
            EBADF => known(slot).may_read() != Some(true),
            EINTR => slot != AUDITED || !thread.target.audit.nonblocking,
            EAGAIN => true,
            EINVAL | EFAULT => true,
            EPIPE => slot != AUDITED || thread.target.audit.style != LINES,
            EOPNOTSUPP => how == How::VectorAtFlags,
            _ => false,
        },
        Call::Write { slot, how, .. } => match error {
            EBADF => known(slot).may_write() != Some(true),
            EINVAL | EFAULT | EMSGSIZE => true,
            ENOSPC => stop,
            EOPNOTSUPP => how == How::VectorAtFlags,
            _ => false,
        },
        // The kernel accepts five values of `whence`, and the device three of them.
        Call::Seek { slot, offset, whence } => match error {
            EINVAL if (0..=4).contains(&whence) => {
                offset == 0 && [SEEK_CUR, SEEK_HOLE].contains(&whence)
            }
            EINVAL => true,
            ESPIPE => offset != 0 && (0..=4).contains(&whence),
            _ => bad_file(slot),
        },
        Call::Ioctl { slot, command, .. } => match error {
            ENOTTY => !COMMANDS.contains(&command),
            EFAULT => command != CLEAR,
            EINVAL => [SET_OPTIONS, SET_STYLE, SET_PRIORITY, SEEK_SEQ].contains(&command),
            EAGAIN => command == NEXT_SIZE,
            EPERM => command == CLEAR && thread.nobody,
            EBADF => match command {
                CLEAR => known(slot).may_write() != Some(true),
                SEEK_SEQ | SEEK_TIME | NEXT_SIZE => known(slot).may_read() != Some(true),
                _ => bad_file(slot),
            },
            _ => false,
        },
        Call::Wait { .. } => error == EINTR || error == EBADF,
        Call::EpollChange { slot, .. } => {
            matches!(error, EEXIST | ENOENT | EINVAL | EFAULT) || bad_file(slot)
        }
        Call::EpollWait { .. } => matches!(error, EINTR | EINVAL),
        Call::Map { slot, .. } => {
            matches!(
                error,
                ENODEV | EINVAL | EACCES | ENOMEM | EOVERFLOW | EOPNOTSUPP | EPERM | EAGAIN
            ) || bad_file(slot)
        }
        Call::Transfer { .. } => matches!(error, EINVAL | EBADF | EAGAIN | EOVERFLOW | EFBIG),
        Call::Control { slot, .. } => {
            matches!(error, EINVAL | EPERM | ENOTDIR | EMFILE | EAGAIN | EACCES)
                || bad_file(slot)
                || error == EBADF
        }
        Call::Lock { .. } => {
            matches!(error, EINVAL | EBADF | EAGAIN | EINTR | EDEADLK | EOVERFLOW)
        }
        Call::Attribute { slot, .. } => {
            matches!(error, EINVAL | ENODEV | ESPIPE | EOPNOTSUPP | EAGAIN | EINTR | EFBIG | EPERM)
                || error == EBADF
                || error == ENOENT && known(slot).is_file() != Some(true)
        }
        Call::Send { slot, .. } => matches!(error, EAGAIN | ETOOMANYREFS) || bad_file(slot),
        Call::Receive { .. } => error == EAGAIN,
        Call::Uring { .. } => matches!(error, ENOMEM | EINTR),
        Call::User { .. } | Call::Protect { .. } | Call::Signal { .. } | Call::Fork { .. } => false,
        // The log can be removed before or after the lookup of its node.
        Call::OpenLog { opening: Opening::Racing, .. } => {
            [ENOENT, ENODEV].contains(&error) || error == EACCES && thread.nobody
        }
        // `open_log()` checks the error itself.
        Call::OpenLog { .. } => true,
        Call::Change { .. } => error != EACCES || thread.nobody,
        Call::Load { unload } => match error {
            EPERM => thread.nobody,
            EAGAIN => unload,
            EEXIST => !unload,
            // Another thread is trying to unload the module at the same time.
            EBUSY => true,
            // A signal arrived while the call waited for another load or unload.
            EINTR => true,
            _ => false,
        },
    }
}
