// SPDX-License-Identifier: GPL-2.0

//! The boundary to the kernel's character devices: a miscdevice whose file operations have an
//! owner, `poll`, `llseek` and a mode.
//!
//! C headers: `include/linux/miscdevice.h`, `include/linux/fs.h`. The kernel crate's own
//! `kernel::miscdevice` has none of these, and in Linux 7.2 does not set the owner, so that a
//! module could be unloaded under an open file. When it offers the same, this file goes.
//!
//! [`FileOperations`] is the safe interface, which `device.rs` implements. All callbacks below have
//! the same shape: a contract, raw pointers to safe references, one safe call, the result to an
//! errno.

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
    user_buf::Dest,
};

/// Whether `init` has gone so far that nothing can fail any more.
///
/// A node can be opened as soon as it is registered, but a module whose `init` fails is freed
/// without regard to open files (`do_init_module()` in `kernel/module/main.c`). So nobody gets one
/// before, and who was refused is waited for.
static INIT_DONE: Atomic<bool> = Atomic::new(false);

/// Lets the registered nodes be opened. To be called when `init` can fail no more.
pub(crate) fn enable_open() {
    INIT_DONE.store(true, Relaxed);
}

/// A registered character device with the node `/dev/NAME`, whose open files are `T`.
///
/// Dropping it unregisters the device. Open files hold a reference to the module, so by then there
/// are none.
///
/// # Invariants
///
/// - `misc` is registered by `misc_register()` until it is dropped.
/// - `misc` is the first field: a pointer to it is a pointer to the whole.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub(crate) struct MiscDevice<T: FileOperations> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    node: T::Node,
    name: CString,
}

// SAFETY: `misc_deregister()` may be called on any thread, and `T::Node` is `Send`.
unsafe impl<T: FileOperations> Send for MiscDevice<T> {}
// SAFETY: A shared reference gives access to `node` alone, and `T::Node` is `Sync`.
unsafe impl<T: FileOperations> Sync for MiscDevice<T> {}

impl<T: FileOperations> MiscDevice<T> {
    /// Registers the device node `/dev/NAME` with the permissions `mode`, and with the minor number
    /// `minor` or a free one. It can be opened when [`enable_open`] has been called.
    pub(crate) fn register(
        name: &CStr,
        minor: Option<u8>,
        mode: u16,
        node: T::Node,
    ) -> impl PinInit<Self, Error> + '_ {
        try_pin_init!(Self {
            // `misc` is the last: it can be seen as soon as it is registered, and nothing would
            // unregister it if a later field failed.
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
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(misc) };
                // INVARIANT: It is registered when this returns `Ok`.
                //
                // SAFETY:
                // - `slot` holds a miscdevice whose file operations are `'static`, and whose name
                //   lives in the heap for as long as `name` does, which is dropped after `misc`.
                // - It is pinned, and `drop` unregisters it before its memory is used again.
                // - `open` takes it for the first field of a `MiscDevice<T>`, which it is.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
        }? Error)
    }

    /// What the device node holds.
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

    /// # Safety
    ///
    /// `file` must be a file of this device that was opened and is not being released, and stay so
    /// for `'a`.
    unsafe fn file_data<'a>(file: *mut bindings::file) -> &'a T {
        // SAFETY: `open` set the private data, and nothing changes it until `release`.
        let private = unsafe { (*file).private_data };
        // SAFETY: It came from `into_foreign()` on the same type, and `release` alone takes it
        // back.
        unsafe { <Pin<KBox<T>> as ForeignOwnable>::borrow(private) }.get_ref()
    }

    /// # Safety
    ///
    /// `file` must be a file of this device that is being opened.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        if !INIT_DONE.load(Relaxed) {
            return ENODEV.to_errno();
        }
        // SAFETY: `misc_open()` in `drivers/char/misc.c` stored a pointer to the registered
        // miscdevice, and nobody else looks at the file yet.
        let misc = unsafe { (*file).private_data };
        // SAFETY:
        // - By the type's invariants the miscdevice is the first field of a `MiscDevice<T>`.
        // - It stays registered during this call: `misc_open()` holds `misc_mtx`.
        // - Its other fields were written before it was registered, under the same mutex.
        let device = unsafe { &*misc.cast::<Self>() };
        // SAFETY: As above; the file holds a reference to the credentials it was opened with.
        let opener = unsafe { (*(*file).f_cred).euid.val };
        match T::open(&device.node, opener) {
            Ok(opened) => {
                // SAFETY: As above, nobody else looks at the file yet.
                unsafe { (*file).private_data = opened.into_foreign() };
                // SAFETY: As above.
                unsafe { (*file).f_mode |= FMODE_NOWAIT };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `file` must be a file of this device that is being released.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The last user of the file owns its private data.
        let private = unsafe { (*file).private_data };
        // SAFETY: `open` put it there by `into_foreign()`, and no borrow of it is left.
        let opened = unsafe { <Pin<KBox<T>> as ForeignOwnable>::from_foreign(private) };
        opened.release();
        0
    }

    /// # Safety
    ///
    /// `kiocb` must be valid and of an open file of this device, `iter` valid for writing data to.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: `kiocb` is valid and its file open for the duration of this call.
        let (opened, call) = unsafe { Self::from_kiocb(kiocb) };
        // SAFETY: `iter` is valid, a destination, and used by nobody else during this call.
        let iov = unsafe { IovIterDest::from_raw(iter) };
        Self::to_ssize(opened.read(call, &mut Dest::new(iov)))
    }

    /// # Safety
    ///
    /// `kiocb` must be valid and of an open file of this device, `iter` valid for reading data
    /// from.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: `kiocb` is valid and its file open for the duration of this call.
        let (opened, call) = unsafe { Self::from_kiocb(kiocb) };
        // SAFETY: `iter` is valid, a source, and used by nobody else during this call.
        let iov = unsafe { IovIterSource::from_raw(iter) };
        Self::to_ssize(opened.write(call, iov))
    }

    /// What a read or write returns.
    fn to_ssize(result: Result<usize>) -> isize {
        match result {
            Ok(len) => len as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid and of an open file of this device, and stay so for `'a`.
    unsafe fn from_kiocb<'a>(kiocb: *mut bindings::kiocb) -> (&'a T, CallFlags) {
        // SAFETY: `kiocb` is valid.
        let file = unsafe { (*kiocb).ki_filp };
        // SAFETY: `file` is an open file of this device.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: `kiocb` is valid and of an open file.
        let call = unsafe { CallFlags::of_kiocb(kiocb) };
        (opened, call)
    }

    /// # Safety
    ///
    /// `file` must be an open file of this device, `table` null or valid.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: It stays open for the duration of this call.
        let (opened, call) = unsafe { (Self::file_data(file), CallFlags::of_file(file)) };
        // SAFETY:
        // - `file` is open and `table` null or valid for the duration of this call.
        // - The kernel removes a file from wait queues before it calls `release`, which alone frees
        //   `opened`. Until then `opened` is borrowed and valid, and with it the queue.
        unsafe { bindings::poll_wait(file, opened.poll_queue().as_ptr(), table) };
        opened.poll(call).bits()
    }

    /// # Safety
    ///
    /// `file` must be an open file of this device.
    unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        // SAFETY: It stays open for the duration of this call.
        let opened = unsafe { Self::file_data(file) };
        match opened.seek(offset, whence as u32) {
            Ok(()) => 0,
            Err(error) => error.to_errno().into(),
        }
    }

    /// # Safety
    ///
    /// `file` must be an open file of this device.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, command: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: It stays open for the duration of this call.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: As above.
        let call = unsafe { CallFlags::of_file(file) };
        match opened.ioctl(call, command, UserPtr::from_addr(arg)) {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `seq` must be valid and used by nobody else, `file` an open file of this device.
    unsafe extern "C" fn show_fdinfo(seq: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: It stays open for the duration of this call.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: The contract is the same.
        opened.show_fdinfo(unsafe { SeqFile::from_raw(seq) });
    }
}

#[pinned_drop]
impl<T: FileOperations> PinnedDrop for MiscDevice<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type's invariants it is registered, and this is the only time.
        unsafe { bindings::misc_deregister(self.misc.get()) };
        if !INIT_DONE.load(Relaxed) {
            // Who was refused may still be about to give back the module by way of `owner`, which
            // goes with it.
            this_module::wait_for_last_reference();
        }
    }
}
