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

use core::ptr::addr_of;

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
    this_module::{
        self,
        THIS_MODULE, //
    },
    user_buf::Dest,
    wait::{
        PollEvents,
        WaitQueue, //
    }, //
};

pub(crate) use kernel::bindings::{
    SEEK_DATA,
    SEEK_END,
    SEEK_SET, //
};

// Constants of `include/linux/fs.h` that bindgen cannot show; `sys/check_constants.c` checks them.
const IOCB_NOWAIT: c_int = 0x8;
const FMODE_READ: bindings::fmode_t = 1 << 0;
const FMODE_WRITE: bindings::fmode_t = 1 << 1;
const FMODE_NOWAIT: bindings::fmode_t = 1 << 27;

/// What an open file of a character device does. Every method may be called by many threads at
/// once.
pub(crate) trait FileOperations: Send + Sync + Sized + 'static {
    /// What the device node holds for those who open it.
    type Node: Send + Sync;

    /// Opens the node, for a task with the effective user id `opener`, as the kernel holds it.
    fn open(node: &Self::Node, opener: u32) -> Result<Pin<KBox<Self>>>;

    /// Called when the last user of the file is gone, before it is dropped.
    fn release(&self);

    /// Reads into `dest` and returns how many bytes.
    fn read(&self, call: CallFlags, dest: &mut Dest<'_, '_>) -> Result<usize>;

    /// Writes from `source` and returns how many bytes.
    fn write(&self, call: CallFlags, source: &mut IovIterSource<'_>) -> Result<usize>;

    /// Returns the queue for callers of `poll`. `poll` is called after the caller was added.
    fn poll_queue(&self) -> &WaitQueue;

    /// Returns what is possible now. A caller that waits has been added to the queue.
    fn poll(&self, call: CallFlags) -> PollEvents;

    /// Moves the file's position; `whence` is [`SEEK_SET`] or another number.
    fn seek(&self, offset: i64, whence: u32) -> Result;

    /// Handles the ioctl `command`; its third argument is a pointer to user memory.
    fn ioctl(&self, call: CallFlags, command: u32, argument: UserPtr) -> Result;

    /// Adds lines to `/proc/PID/fdinfo/FD`.
    fn show_fdinfo(&self, out: &SeqFile);
}

/// How a file operation was called.
#[derive(Clone, Copy)]
pub(crate) struct CallFlags {
    /// The call must fail with `EAGAIN` where it would wait for a record: the file has
    /// `O_NONBLOCK`, or this one operation was asked not to wait (`RWF_NOWAIT`, io_uring).
    pub(crate) nonblocking: bool,
    /// The file was opened for reading.
    pub(crate) may_read: bool,
    /// The file was opened for writing.
    pub(crate) may_write: bool,
}

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
    /// `file` must be an open file of this device.
    unsafe fn call_flags(file: *mut bindings::file) -> CallFlags {
        // SAFETY: `file` is valid. `fcntl()` may change the flags at any time, hence the volatile
        // read, as `READ_ONCE()`.
        let flags = unsafe { addr_of!((*file).f_flags).read_volatile() };
        // SAFETY: `file` is valid. `posix_fadvise()` may change other bits of the mode at any time,
        // hence the volatile read; those for reading and writing stay as `open()` set them.
        let mode = unsafe { addr_of!((*file).f_mode).read_volatile() };
        CallFlags {
            nonblocking: flags & bindings::O_NONBLOCK != 0,
            may_read: mode & FMODE_READ != 0,
            may_write: mode & FMODE_WRITE != 0,
        }
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
        // SAFETY: As above.
        let flags = unsafe { (*kiocb).ki_flags };
        // SAFETY: It is an open file of this device.
        let opened = unsafe { Self::file_data(file) };
        // SAFETY: As above.
        let mut call = unsafe { Self::call_flags(file) };
        call.nonblocking |= flags & IOCB_NOWAIT != 0;
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
        let (opened, call) = unsafe { (Self::file_data(file), Self::call_flags(file)) };
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
        let call = unsafe { Self::call_flags(file) };
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
