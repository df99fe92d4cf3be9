// SPDX-License-Identifier: GPL-2.0

//! The boundary to the kernel's character devices: a miscdevice whose file operations have an owner,
//! `poll`, `llseek` and a mode.
//!
//! C headers: `include/linux/miscdevice.h`, `include/linux/fs.h`. The kernel crate's own
//! `kernel::miscdevice` has none of these, and in Linux 7.2 does not set the owner, so that a module
//! could be unloaded under an open file. When it offers the same, this file goes.
//!
//! [`Operations`] is the safe side: `device.rs` implements it. All callbacks below have the same
//! shape: a contract, raw pointers to safe references, one safe call, the result to an errno.

use kernel::{
    bindings,
    error::to_result,
    fs::File,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    sync::poll::PollTable,
    types::{
        ForeignOwnable,
        Opaque, //
    },
    uaccess::UserPtr, //
};

// Constants of `include/linux/fs.h` that bindgen cannot show; `kernel/constants.c` checks them.
const IOCB_NOWAIT: c_int = 0x8;
const FMODE_NOWAIT: bindings::fmode_t = 1 << 27;

/// What an open file of a character device does. Every method may be called by many threads at once.
pub(crate) trait Operations: Send + Sync + Sized + 'static {
    /// What the device node holds for those who open it.
    type Node: Send + Sync;

    /// Opens the node.
    fn open(node: &Self::Node) -> Result<Pin<KBox<Self>>>;

    /// Reads into `dest` and returns how many bytes.
    fn read(&self, call: Call<'_>, dest: &mut Dest<'_, '_>) -> Result<usize>;

    /// Writes from `source` and returns how many bytes.
    fn write(&self, call: Call<'_>, source: &mut IovIterSource<'_>) -> Result<usize>;

    /// Registers the caller with `table`, then tells what is possible now.
    fn poll(&self, file: &File, table: &PollTable<'_>) -> Events;

    /// Moves the file's position.
    fn seek(&self, offset: i64, whence: Whence) -> Result;

    /// Handles the ioctl `command`; its third argument is a pointer to user memory.
    fn ioctl(&self, call: Call<'_>, command: u32, argument: UserPtr) -> Result;
}

/// How a file operation was called.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    file: &'a File,
    nowait: bool,
}

impl Call<'_> {
    /// Whether the call must fail with `EAGAIN` where it would block: the file has `O_NONBLOCK`, or
    /// this one operation was asked not to wait (`RWF_NOWAIT`, io_uring).
    pub(crate) fn nonblocking(&self) -> bool {
        self.nowait || self.file.flags() & bindings::O_NONBLOCK != 0
    }

    /// Whether the file was opened for writing.
    pub(crate) fn may_write(&self) -> bool {
        self.file.flags() & bindings::O_ACCMODE != bindings::O_RDONLY
    }
}

/// The third argument of `lseek`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    /// `SEEK_SET`
    Set,
    /// `SEEK_END`
    End,
    /// `SEEK_DATA`
    Data,
    /// Any other value.
    Other,
}

/// What `poll` returns: a set of `EPOLL*` bits (`include/uapi/linux/eventpoll.h`), which
/// `kernel/constants.c` checks.
#[derive(Clone, Copy)]
pub(crate) struct Events(u32);

impl Events {
    /// `EPOLLIN | EPOLLRDNORM`
    pub(crate) const READABLE: Self = Self(0x001 | 0x040);
    /// `EPOLLPRI`
    pub(crate) const PRIORITY: Self = Self(0x002);
    /// `EPOLLOUT | EPOLLWRNORM`
    pub(crate) const WRITABLE: Self = Self(0x004 | 0x100);
}

impl core::ops::BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where a read puts its data. It can go back to the beginning, which the kernel crate's
/// [`IovIterDest`] lets only unsafe code do.
pub(crate) struct Dest<'iov, 'data> {
    iov: &'iov mut IovIterDest<'data>,
    /// Bytes written since the beginning.
    ///
    /// # Invariants
    ///
    /// `iov` stands this many bytes after where it stood when this was made.
    written: usize,
}

impl<'iov, 'data> Dest<'iov, 'data> {
    fn new(iov: &'iov mut IovIterDest<'data>) -> Self {
        // INVARIANT: Nothing was written yet.
        Self { iov, written: 0 }
    }

    /// Bytes that can still be written.
    pub(crate) fn room(&self) -> usize {
        self.iov.len()
    }

    /// Writes all of `bytes`; returns false when the user's memory cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let written = self.iov.copy_to_iter(bytes);
        // INVARIANT: That is how far `copy_to_iter()` advances.
        self.written += written;
        written == bytes.len()
    }

    /// Goes back to the beginning.
    pub(crate) fn rewind(&mut self) {
        // SAFETY: By the invariant, this goes back to where `iov` stood when `self` was made, which
        // is not before its beginning.
        unsafe { self.iov.revert(self.written) };
        // INVARIANT: It stands there again.
        self.written = 0;
    }
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
pub(crate) struct CharDevice<T: Operations> {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
    node: T::Node,
}

// SAFETY: `misc_deregister()` may be called on any thread, and `T::Node` is `Send`.
unsafe impl<T: Operations> Send for CharDevice<T> {}
// SAFETY: A shared reference gives access to `node` alone, and `T::Node` is `Sync`.
unsafe impl<T: Operations> Sync for CharDevice<T> {}

impl<T: Operations> CharDevice<T> {
    /// Registers the device node `/dev/NAME` with the permissions `mode`.
    pub(crate) fn register(
        name: &'static CStr,
        mode: u16,
        node: T::Node,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // Before `misc`: it can be opened as soon as it is registered.
            node,
            misc <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let misc = bindings::miscdevice {
                    minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                    name: name.as_char_ptr(),
                    fops: &Self::FILE_OPERATIONS,
                    mode,
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(misc) };
                // INVARIANT: It is registered when this returns `Ok`.
                //
                // SAFETY:
                // - `slot` holds a miscdevice whose name and file operations live for ever.
                // - It is pinned, and `drop` unregisters it before its memory is used again.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
        }? Error)
    }

    const FILE_OPERATIONS: bindings::file_operations = bindings::file_operations {
        owner: crate::THIS_MODULE.as_ptr(),
        open: Some(Self::open),
        release: Some(Self::release),
        read_iter: Some(Self::read_iter),
        write_iter: Some(Self::write_iter),
        poll: Some(Self::poll),
        llseek: Some(Self::llseek),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: bindings::compat_ptr_ioctl,
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` must be a file of this device that was opened and is not being released, and stay so
    /// for `'a`.
    unsafe fn opened<'a>(file: *mut bindings::file) -> (Pin<&'a T>, &'a File) {
        // SAFETY: `open` set the private data, and nothing changes it until `release`.
        let private = unsafe { (*file).private_data };
        // SAFETY: It came from `into_foreign()` on the same type, and `release` alone takes it back.
        let opened = unsafe { <Pin<KBox<T>> as ForeignOwnable>::borrow(private) };
        // SAFETY: The file is valid for `'a`. A character device has no `FMODE_ATOMIC_POS`, so
        // `fdget_pos()` never has an unlocked user of its position.
        let file = unsafe { File::from_raw_file(file) };
        (opened, file)
    }

    /// # Safety
    ///
    /// `inode` and `file` must be those of a file of this device that is being opened.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: Both are valid, by the contract.
        let ret = unsafe { bindings::generic_file_open(inode, file) };
        if ret != 0 {
            return ret;
        }
        // SAFETY: `misc_open()` in `drivers/char/misc.c` stored a pointer to the registered
        // miscdevice, and nobody else looks at the file yet.
        let misc = unsafe { (*file).private_data };
        // SAFETY: By the type's invariants the miscdevice is the first field of a `CharDevice<T>`.
        // It stays registered during this call: `misc_open()` holds `misc_mtx`.
        let device = unsafe { &*misc.cast::<Self>() };
        match T::open(&device.node) {
            Ok(opened) => {
                // SAFETY: As above, nobody else looks at the file yet.
                unsafe {
                    (*file).private_data = opened.into_foreign();
                    (*file).f_mode |= FMODE_NOWAIT;
                }
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
        drop(unsafe { <Pin<KBox<T>> as ForeignOwnable>::from_foreign(private) });
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
        match opened.get_ref().read(call, &mut Dest::new(iov)) {
            Ok(len) => len as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid and of an open file of this device, `iter` valid for reading data from.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: `kiocb` is valid and its file open for the duration of this call.
        let (opened, call) = unsafe { Self::from_kiocb(kiocb) };
        // SAFETY: `iter` is valid, a source, and used by nobody else during this call.
        let iov = unsafe { IovIterSource::from_raw(iter) };
        match opened.get_ref().write(call, iov) {
            Ok(len) => len as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `kiocb` must be valid and of an open file of this device, and stay so for `'a`.
    unsafe fn from_kiocb<'a>(kiocb: *mut bindings::kiocb) -> (Pin<&'a T>, Call<'a>) {
        // SAFETY: `kiocb` is valid.
        let (file, flags) = unsafe { ((*kiocb).ki_filp, (*kiocb).ki_flags) };
        // SAFETY: It is an open file of this device.
        let (opened, file) = unsafe { Self::opened(file) };
        let nowait = flags & IOCB_NOWAIT != 0;
        (opened, Call { file, nowait })
    }

    /// # Safety
    ///
    /// `file` must be an open file of this device, `table` null or valid.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: It stays open for the duration of this call.
        let (opened, file) = unsafe { Self::opened(file) };
        // SAFETY: The contract is the same.
        let table = unsafe { PollTable::from_raw(table) };
        opened.get_ref().poll(file, &table).0
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
        let (opened, _) = unsafe { Self::opened(file) };
        let whence = match whence as u32 {
            bindings::SEEK_SET => Whence::Set,
            bindings::SEEK_END => Whence::End,
            bindings::SEEK_DATA => Whence::Data,
            _ => Whence::Other,
        };
        match opened.get_ref().seek(offset, whence) {
            Ok(()) => 0,
            Err(error) => error.to_errno().into(),
        }
    }

    /// # Safety
    ///
    /// `file` must be an open file of this device.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, command: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: It stays open for the duration of this call.
        let (opened, file) = unsafe { Self::opened(file) };
        let call = Call {
            file,
            nowait: false,
        };
        match opened
            .get_ref()
            .ioctl(call, command, UserPtr::from_addr(arg))
        {
            Ok(()) => 0,
            Err(error) => error.to_errno() as c_long,
        }
    }
}

#[pinned_drop]
impl<T: Operations> PinnedDrop for CharDevice<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type's invariants it is registered, and this is the only time.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}
