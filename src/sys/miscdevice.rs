// SPDX-License-Identifier: GPL-2.0

//! Character devices: a miscdevice whose file operations have an owner, `poll`, `llseek` and a
//! mode.
//!
//! C header: `include/linux/miscdevice.h`. The kernel crate's `kernel::miscdevice` has none of
//! these. In Linux 7.2 it does not set the owner either, so that a module could be unloaded while a
//! file is open.
//!
//! `device.rs` implements the safe trait [`FileOperations`]. Each callback below states its
//! contract, converts its raw pointers to safe references, makes one safe call and converts the
//! result to an errno.

use kernel::{
    bindings,
    error::to_result,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    seq_file::SeqFile,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
    uaccess::UserPtr, //
};

use crate::sys::{
    file_operations::{
        CallFlags,
        FileOperations,
        FMODE_NOWAIT, //
    },
    this_module::{
        self,
        THIS_MODULE, //
    },
    user_buf::Dest, //
};

/// Whether `init` of the module can no longer fail.
///
/// `misc_register()` makes the node openable at once, but `do_init_module()` in
/// `kernel/module/main.c` frees a module whose `init` fails even if files are open. Therefore
/// `open` fails with `ENODEV` until `init` has succeeded, and a failing `init` waits for tasks that
/// still hold a module reference.
static INIT_DONE: Atomic<bool> = Atomic::new(false);

/// Allows the registered nodes to be opened. Called when `init` can no longer fail.
pub(crate) fn enable_open() {
    INIT_DONE.store(true, Relaxed);
}

/// A registered character device with the node `/dev/NAME`, whose open files have the type `T`.
///
/// Dropping it unregisters the device. Open files remain usable: they own their data, and hold a
/// reference to the module (`owner`).
///
/// # Invariants
///
/// - `misc` was registered by `misc_register()` and is unregistered only by `drop`.
/// - `misc` is the first field, so that a pointer to `misc` is also a pointer to the device.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub(crate) struct MiscDevice<T: FileOperations> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    node: T::Node,
    name: CString,
}

// SAFETY: `misc_deregister()` can be called by any thread, and `T::Node` is `Send`.
unsafe impl<T: FileOperations> Send for MiscDevice<T> {}
// SAFETY: A shared reference gives access only to `node`, and `T::Node` is `Sync`.
unsafe impl<T: FileOperations> Sync for MiscDevice<T> {}

impl<T: FileOperations> MiscDevice<T> {
    /// Registers the device node `/dev/NAME` with the permissions `mode` and the minor number
    /// `minor`, or a dynamic one. `open` fails until [`enable_open`] is called.
    pub(crate) fn register(
        name: &CStr,
        minor: Option<u8>,
        mode: u16,
        node: T::Node,
    ) -> impl PinInit<Self, Error> + '_ {
        try_pin_init!(Self {
            // `misc` is initialised last, because `open` can find it as soon as it is registered,
            // and because nothing would unregister it if the initialisation of a later field
            // failed.
            node,
            name: CString::try_from_fmt(fmt!("{name}"))?,
            misc <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let fops: &'static bindings::file_operations = &Self::FILE_OPERATIONS;
                let misc = bindings::miscdevice {
                    minor: minor.map_or(bindings::MISC_DYNAMIC_MINOR as c_int, c_int::from),
                    name: name.as_char_ptr(),
                    fops,
                    mode,
                    ..pin_init::zeroed()
                };
                // SAFETY: `try_ffi_init()` guarantees that `slot` is valid for writes.
                unsafe { slot.write(misc) };
                // INVARIANT: `misc` is registered if this returns `Ok`.
                //
                // SAFETY:
                // - `slot` holds an initialised miscdevice. Its file operations are `'static`. Its
                //   name is on the heap and owned by `name`, which is dropped after `drop` has
                //   unregistered the device.
                // - The memory is pinned, and `drop` unregisters the device before it is reused.
                // - `misc` is the first field of a `MiscDevice<T>` with initialised fields, as
                //   `open` expects.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
        }? Error)
    }

    /// Returns the data of the device node.
    pub(crate) fn node(&self) -> &T::Node {
        &self.node
    }

    const FILE_OPERATIONS: bindings::file_operations = bindings::file_operations {
        owner: THIS_MODULE,
        open: Some(Self::open),
        release: Some(Self::release),
        read_iter: Some(Self::read_iter),
        write_iter: Some(Self::write_iter),
        poll: Some(Self::poll),
        llseek: Some(Self::llseek),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: bindings::compat_ptr_ioctl,
        show_fdinfo: Some(Self::show_fdinfo),
        ..pin_init::zeroed()
    };

    /// Returns the data of an open file.
    ///
    /// # Safety
    ///
    /// `open` must have succeeded for `file`, a file of this device, and `release` must not be
    /// called during `'a`.
    unsafe fn file_data<'a>(file: *mut bindings::file) -> &'a T {
        // SAFETY: The caller guarantees that `file` is open. `open` set the private data, and
        // nothing changes it before `release`.
        let private = unsafe { (*file).private_data };
        // SAFETY: `open` stored the result of `into_foreign()` of the same type. Only `release`
        // converts it back, which the caller guarantees not to be called during `'a`.
        unsafe { <Pin<KBox<T>> as ForeignOwnable>::borrow(private) }.get_ref()
    }

    /// C counterpart: `file_operations::open`.
    ///
    /// # Safety
    ///
    /// `file` must be a file of this device that `misc_open()` is opening.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        if !INIT_DONE.load(Relaxed) {
            return ENODEV.to_errno();
        }
        // SAFETY: The caller guarantees that `file` is valid, and no other code accesses it before
        // `open` returns. `misc_open()` in `drivers/char/misc.c` stored a pointer to the miscdevice
        // in it.
        let misc = unsafe { (*file).private_data };
        // SAFETY:
        // - By the type invariants, the miscdevice is the first field of a `MiscDevice<T>`.
        // - It stays registered and valid during this call, because `misc_open()` holds `misc_mtx`,
        //   which `misc_deregister()` takes.
        // - The other fields were initialised before `misc_register()` took and released the same
        //   mutex.
        let device = unsafe { &*misc.cast::<Self>() };
        // SAFETY: `file` is valid (see above). It holds a reference to the credentials of its
        // opener, which do not change.
        let opener = unsafe { (*(*file).f_cred).euid.val };
        match T::open(&device.node, opener) {
            Ok(opened) => {
                // SAFETY: `file` is valid, and no other code accesses it before `open` returns.
                unsafe { (*file).private_data = opened.into_foreign() };
                // SAFETY: `file` is valid, and no other code accesses it before `open` returns.
                unsafe { (*file).f_mode |= FMODE_NOWAIT };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// C counterpart: `file_operations::release`.
    ///
    /// # Safety
    ///
    /// `open` must have succeeded for `file`, and this must be the only call of `release` for it.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The caller guarantees that `file` is valid. No other code accesses its private
        // data during `release`.
        let private = unsafe { (*file).private_data };
        // SAFETY: `open` stored the result of `into_foreign()` of the same type. This is the only
        // call of `release`, and no other file operation runs, so that no borrow is left.
        let opened = unsafe { <Pin<KBox<T>> as ForeignOwnable>::from_foreign(private) };
        opened.release();
        0
    }

    /// C counterpart: `file_operations::read_iter`.
    ///
    /// # Safety
    ///
    /// - `kiocb` must be valid, and its file an open file of this device.
    /// - `iter` must be valid, a destination, and not be used by other code during this call.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller guarantees that `kiocb` is valid and its file open during this call.
        let (opened, call) = unsafe { Self::from_kiocb(kiocb) };
        // SAFETY: The caller guarantees that `iter` is a valid destination that no other code uses.
        let iov = unsafe { IovIterDest::from_raw(iter) };
        Self::to_ssize(opened.read(call, &mut Dest::new(iov)))
    }

    /// C counterpart: `file_operations::write_iter`.
    ///
    /// # Safety
    ///
    /// - `kiocb` must be valid, and its file an open file of this device.
    /// - `iter` must be valid, a source, and not be used by other code during this call.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller guarantees that `kiocb` is valid and its file open during this call.
        let (opened, call) = unsafe { Self::from_kiocb(kiocb) };
        // SAFETY: The caller guarantees that `iter` is a valid source that no other code uses.
        let iov = unsafe { IovIterSource::from_raw(iter) };
        Self::to_ssize(opened.write(call, iov))
    }

    /// Converts a result to the return value of a read or write.
    fn to_ssize(result: Result<usize>) -> isize {
        match result {
            Ok(len) => len as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// Returns the data of the open file of `kiocb`, and the flags of the call.
    ///
    /// # Safety
    ///
    /// `kiocb` must be valid, and its file must be an open file of this device during `'a`.
    unsafe fn from_kiocb<'a>(kiocb: *mut bindings::kiocb) -> (&'a T, CallFlags) {
        // SAFETY: The caller guarantees that `kiocb` is valid.
        let file = unsafe { (*kiocb).ki_filp };
        // SAFETY: The caller guarantees that `file` is an open file of this device during `'a`.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: The caller guarantees that `kiocb` is valid and its file open.
        let call = unsafe { CallFlags::of_kiocb(kiocb) };
        (opened, call)
    }

    /// C counterpart: `file_operations::poll`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device, and `table` null or valid, during this call.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: The caller guarantees that `file` is an open file of this device.
        let (opened, call) = unsafe { (Self::file_data(file), CallFlags::of_file(file)) };
        // SAFETY:
        // - The caller guarantees that `file` is open and `table` null or valid.
        // - The wait queue is valid: `opened` owns or keeps it alive until `release`, and the
        //   kernel removes a file from all wait queues before it calls `release`.
        unsafe { bindings::poll_wait(file, opened.poll_queue().as_ptr(), table) };
        opened.poll(call).bits()
    }

    /// C counterpart: `file_operations::llseek`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device during this call.
    unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        // SAFETY: The caller guarantees that `file` is an open file of this device.
        let opened = unsafe { Self::file_data(file) };
        match opened.seek(offset, whence as u32) {
            Ok(()) => 0,
            Err(error) => error.to_errno().into(),
        }
    }

    /// C counterpart: `file_operations::unlocked_ioctl`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device during this call.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, command: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The caller guarantees that `file` is an open file of this device.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: The caller guarantees that `file` is open.
        let call = unsafe { CallFlags::of_file(file) };
        match opened.ioctl(call, command, UserPtr::from_addr(arg)) {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// C counterpart: `file_operations::show_fdinfo`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this device, and `seq` valid and not used by other code,
    /// during this call.
    unsafe extern "C" fn show_fdinfo(seq: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: The caller guarantees that `file` is an open file of this device.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: The caller guarantees that `seq` is valid and not used by other code.
        opened.show_fdinfo(unsafe { SeqFile::from_raw(seq) });
    }
}

#[pinned_drop]
impl<T: FileOperations> PinnedDrop for MiscDevice<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants, `misc` is registered, and only this call unregisters it.
        unsafe { bindings::misc_deregister(self.misc.get()) };
        if !INIT_DONE.load(Relaxed) {
            // A task whose `open()` failed may not have called `fops_put()` yet, which reads
            // `owner` from file operations that are freed with the module.
            this_module::wait_for_last_reference();
        }
    }
}
