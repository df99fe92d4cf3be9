// SPDX-License-Identifier: GPL-2.0

//! The device as a program uses it: system calls on a file descriptor.

mod address;
mod record;

#[allow(unused_imports, reason = "the fuzzer compiles this file, too")]
pub use address::*;
pub use record::*;

use nix::errno::Errno;
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The node of the default log.
pub const NODE: &str = "/dev/umsg";

/// The default of `record_max`.
pub const RECORD_MAX: usize = 1024;

pub use umsg::abi::raw::{
    clear as ioctl_clear, get_options as ioctl_get_options, get_style as ioctl_get_style,
    info as ioctl_info, next_size as ioctl_next_size, seek_seq as ioctl_seek_seq,
    seek_time as ioctl_seek_time, set_options as ioctl_set_options, set_style as ioctl_set_style,
};
pub use umsg::abi::{Info, BINARY_READ, BINARY_WRITE, KMSG, LINES, MAGIC, PLAIN};

/// An open file of the device.
pub struct Umsg(OwnedFd);

impl Umsg {
    pub fn open(flags: i32) -> Result<Self, Errno> {
        Self::open_at(NODE, flags)
    }

    /// Opens the node `path`.
    pub fn open_at(path: &str, flags: i32) -> Result<Self, Errno> {
        let path = CString::new(path).expect("no zero byte");
        // SAFETY: `path` is a C string, and this is the only owner of the descriptor.
        Errno::result(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) })
            .map(|fd| Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Opens for reading, non-blocking.
    pub fn reader() -> Self {
        Self::open(libc::O_RDONLY | libc::O_NONBLOCK).expect("a reader")
    }

    /// Opens for writing. Each write is a record.
    pub fn writer() -> Self {
        Self::open(libc::O_WRONLY).expect("a writer").style(KMSG)
    }

    /// Opens for reading and writing, non-blocking. Each write is a record.
    pub fn both() -> Self {
        Self::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open for both").style(KMSG)
    }

    /// Opens for writing in the style `lines`, as programs do by default.
    pub fn lines() -> Self {
        Self::open(libc::O_WRONLY).expect("a writer")
    }

    pub fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, Errno> {
        nix::unistd::write(&self.0, data)
    }

    /// Writes `text`, and panics unless all of it is accepted.
    pub fn log(&self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        assert_eq!(self.write(text), Ok(text.len()), "{}", text.escape_ascii());
    }

    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        nix::unistd::read(&self.0, buffer)
    }

    /// Reads the next record, or returns the error.
    pub fn next(&self) -> Result<Record, Errno> {
        thread_local! {
            // The largest record fits, even if every byte is escaped.
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 512 * 1024]);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let len = self.read(buffer)?;
            Ok(Record::parse(&buffer[..len]))
        })
    }

    /// Reads records until none is left.
    pub fn rest(&self) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            match self.next() {
                Ok(record) => records.push(record),
                Err(Errno::EAGAIN) => return records,
                Err(error) => panic!("read: {error}"),
            }
        }
    }

    pub fn seek(&self, offset: i64, whence: i32) -> Result<i64, Errno> {
        // SAFETY: The call has no pointer arguments.
        Errno::result(unsafe { libc::lseek64(self.raw(), offset, whence) })
    }

    pub fn info(&self) -> Info {
        let mut info = Info { reserved: [!0; 4], reserved_word: !0, style: !0, ..Info::default() };
        // SAFETY: The command writes `info`, which is valid.
        unsafe { ioctl_info(self.raw(), &mut info) }.expect("UMSG_IOC_INFO");
        info
    }

    pub fn options(&self) -> u32 {
        let mut options = !0;
        // SAFETY: The command writes `options`, which is valid.
        unsafe { ioctl_get_options(self.raw(), &mut options) }.expect("UMSG_IOC_GET_OPTIONS");
        options
    }

    pub fn set_options(&self, options: u32) -> Result<(), Errno> {
        // SAFETY: The command reads `options`, which is valid.
        unsafe { ioctl_set_options(self.raw(), &options) }.map(drop)
    }

    pub fn get_style(&self) -> u32 {
        let mut style = !0;
        // SAFETY: The command writes `style`, which is valid.
        unsafe { ioctl_get_style(self.raw(), &mut style) }.expect("UMSG_IOC_GET_STYLE");
        style
    }

    pub fn set_style(&self, style: u32) -> Result<(), Errno> {
        // SAFETY: The command reads `style`, which is valid.
        unsafe { ioctl_set_style(self.raw(), &style) }.map(drop)
    }

    /// Sets the style and returns the file.
    pub fn style(self, style: u32) -> Self {
        self.set_style(style).expect("UMSG_IOC_SET_STYLE");
        self
    }

    /// Sets the options and returns the file.
    pub fn with(self, options: u32) -> Self {
        self.set_options(options).expect("UMSG_IOC_SET_OPTIONS");
        self
    }

    pub fn seek_seq(&self, seq: u64) -> Result<(), Errno> {
        // SAFETY: The command reads `seq`, which is valid.
        unsafe { ioctl_seek_seq(self.raw(), &seq) }.map(drop)
    }

    pub fn seek_time(&self, time_ns: u64) -> Result<(), Errno> {
        // SAFETY: The command reads `time_ns`, which is valid.
        unsafe { ioctl_seek_time(self.raw(), &time_ns) }.map(drop)
    }

    pub fn next_size(&self) -> Result<usize, Errno> {
        let mut size = !0;
        // SAFETY: The command writes `size`, which is valid.
        unsafe { ioctl_next_size(self.raw(), &mut size) }.map(|_| size as usize)
    }

    /// Returns the records of one binary read.
    pub fn frames(&self, len: usize) -> Result<Vec<Frame>, Errno> {
        let mut buffer = vec![0xee; len];
        let got = self.read(&mut buffer)?;
        assert!(
            buffer[got..].iter().all(|byte| *byte == 0xee),
            "bytes written after the returned length"
        );
        Ok(Frame::parse_all(&buffer[..got]))
    }

    pub fn clear(&self) -> Result<(), Errno> {
        // SAFETY: The call has no pointer arguments.
        unsafe { ioctl_clear(self.raw()) }.map(drop)
    }
}

impl AsFd for Umsg {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
