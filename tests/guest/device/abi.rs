// SPDX-License-Identifier: GPL-2.0

//! The device as a program uses it: system calls on a descriptor, and the text form taken apart.

use nix::errno::Errno;
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The node of the default log.
pub const NODE: &str = "/dev/umsg";

/// `record_max` when it is not given.
pub const RECORD_MAX: usize = 1024;

/// `struct umsg_info` of `src/uapi/umsg.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    pub capacity: u64,
    pub oldest_seq: u64,
    pub next_seq: u64,
    pub cleared_seq: u64,
    pub records_written: u64,
    pub bytes_written: u64,
    pub records_dropped: u64,
    pub bytes_dropped: u64,
    pub records_refused: u64,
    pub log_id: u64,
    pub record_max: u32,
    pub policy: u32,
    pub style: u32,
    pub reserved_word: u32,
    pub reserved: [u64; 4],
}

pub const MAGIC: u8 = 0xe6;
nix::ioctl_read!(ioctl_info, MAGIC, 0, Info);
nix::ioctl_none!(ioctl_clear, MAGIC, 1);
nix::ioctl_read!(ioctl_get_options, MAGIC, 2, u32);
nix::ioctl_write_ptr!(ioctl_set_options, MAGIC, 3, u32);
nix::ioctl_read!(ioctl_get_style, MAGIC, 4, u32);
nix::ioctl_write_ptr!(ioctl_set_style, MAGIC, 5, u32);
nix::ioctl_write_ptr!(ioctl_seek_seq, MAGIC, 6, u64);
nix::ioctl_write_ptr!(ioctl_seek_time, MAGIC, 7, u64);
nix::ioctl_read!(ioctl_next_size, MAGIC, 8, u32);

/// `UMSG_OPTION_*`
pub const BINARY_READ: u32 = 1;
pub const BINARY_WRITE: u32 = 2;

/// `UMSG_STYLE_*`
pub const LINES: u32 = 0;
pub const KMSG: u32 = 1;
pub const PLAIN: u32 = 2;

/// An open file of the device.
pub struct Umsg(OwnedFd);

impl Umsg {
    pub fn open(flags: i32) -> Result<Self, Errno> {
        Self::open_at(NODE, flags)
    }

    /// Open of another node.
    pub fn open_at(path: &str, flags: i32) -> Result<Self, Errno> {
        let path = CString::new(path).expect("no zero byte");
        // SAFETY: `path` is a string; the descriptor is ours alone.
        Errno::result(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) })
            .map(|fd| Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Open for reading, without blocking.
    pub fn reader() -> Self {
        Self::open(libc::O_RDONLY | libc::O_NONBLOCK).expect("a reader")
    }

    /// Open for writing, each write a record.
    pub fn writer() -> Self {
        Self::open(libc::O_WRONLY).expect("a writer").style(KMSG)
    }

    /// Open for both, without blocking, each write a record.
    pub fn both() -> Self {
        Self::open(libc::O_RDWR | libc::O_NONBLOCK).expect("open for both").style(KMSG)
    }

    /// Open for writing lines, as any program opens it.
    pub fn lines() -> Self {
        Self::open(libc::O_WRONLY).expect("a writer")
    }

    pub fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, Errno> {
        nix::unistd::write(&self.0, data)
    }

    /// Writes a record that must be taken.
    pub fn log(&self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        assert_eq!(self.write(text), Ok(text.len()), "{}", text.escape_ascii());
    }

    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        nix::unistd::read(&self.0, buffer)
    }

    /// The next record, or why there is none.
    pub fn next(&self) -> Result<Record, Errno> {
        thread_local! {
            // The largest record, every byte of it escaped, fits.
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 512 * 1024]);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let len = self.read(buffer)?;
            Ok(Record::parse(&buffer[..len]))
        })
    }

    /// All records there are.
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
        // SAFETY: Nothing but numbers.
        Errno::result(unsafe { libc::lseek64(self.raw(), offset, whence) })
    }

    pub fn info(&self) -> Info {
        let mut info = Info { reserved: [!0; 4], reserved_word: !0, style: !0, ..Info::default() };
        // SAFETY: `info` is what the command writes.
        unsafe { ioctl_info(self.raw(), &mut info) }.expect("UMSG_IOC_INFO");
        info
    }

    pub fn options(&self) -> u32 {
        let mut options = !0;
        // SAFETY: `options` is what the command writes.
        unsafe { ioctl_get_options(self.raw(), &mut options) }.expect("UMSG_IOC_GET_OPTIONS");
        options
    }

    pub fn set_options(&self, options: u32) -> Result<(), Errno> {
        // SAFETY: `options` is what the command reads.
        unsafe { ioctl_set_options(self.raw(), &options) }.map(drop)
    }

    pub fn get_style(&self) -> u32 {
        let mut style = !0;
        // SAFETY: `style` is what the command writes.
        unsafe { ioctl_get_style(self.raw(), &mut style) }.expect("UMSG_IOC_GET_STYLE");
        style
    }

    pub fn set_style(&self, style: u32) -> Result<(), Errno> {
        // SAFETY: `style` is what the command reads.
        unsafe { ioctl_set_style(self.raw(), &style) }.map(drop)
    }

    /// This file in another style.
    pub fn style(self, style: u32) -> Self {
        self.set_style(style).expect("UMSG_IOC_SET_STYLE");
        self
    }

    /// This file with other options.
    pub fn with(self, options: u32) -> Self {
        self.set_options(options).expect("UMSG_IOC_SET_OPTIONS");
        self
    }

    pub fn seek_seq(&self, seq: u64) -> Result<(), Errno> {
        // SAFETY: `seq` is what the command reads.
        unsafe { ioctl_seek_seq(self.raw(), &seq) }.map(drop)
    }

    pub fn seek_time(&self, time_ns: u64) -> Result<(), Errno> {
        // SAFETY: `time_ns` is what the command reads.
        unsafe { ioctl_seek_time(self.raw(), &time_ns) }.map(drop)
    }

    pub fn next_size(&self) -> Result<usize, Errno> {
        let mut size = !0;
        // SAFETY: `size` is what the command writes.
        unsafe { ioctl_next_size(self.raw(), &mut size) }.map(|_| size as usize)
    }

    /// The records of one binary read.
    pub fn frames(&self, len: usize) -> Result<Vec<Frame>, Errno> {
        let mut buffer = vec![0xee; len];
        let got = self.read(&mut buffer)?;
        assert!(buffer[got..].iter().all(|byte| *byte == 0xee), "bytes behind what it returned");
        Ok(Frame::parse_all(&buffer[..got]))
    }

    pub fn clear(&self) -> Result<(), Errno> {
        // SAFETY: Nothing but numbers.
        unsafe { ioctl_clear(self.raw()) }.map(drop)
    }
}

impl AsFd for Umsg {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A record in its text form, taken apart and unescaped. Panics on anything but the documented
/// form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub priority: u16,
    pub seq: u64,
    pub usec: u64,
    /// It continues the line of the record before.
    pub continues: bool,
    pub text: Vec<u8>,
    pub pid: i32,
    pub tid: i32,
    pub uid: u32,
    pub comm: Vec<u8>,
    /// As UID, where there is no such line.
    pub opener: u32,
    /// 0 where there is no such line.
    pub lost: u64,
    /// 0 where there is no such line.
    pub cut: usize,
}

impl Record {
    pub fn parse(form: &[u8]) -> Self {
        let form = std::str::from_utf8(form).expect("ASCII");
        assert!(form.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')), "{form:?}");
        let (head, rest) = form.split_once(';').expect("a ';' after the header");
        let mut fields = head.split(',');
        let mut number =
            || -> u64 { fields.next().and_then(|field| field.parse().ok()).expect(head) };
        let (priority, seq, usec) = (number() as u16, number(), number());
        let continues = match fields.next() {
            Some("-") => false,
            Some("c") => true,
            _ => panic!("{head}"),
        };
        assert_eq!(fields.next(), None, "{head}");
        assert!(rest.ends_with('\n'), "{form:?}");
        let mut lines = rest[..rest.len() - 1].split('\n').peekable();
        let text = unescape(lines.next().expect("a text"));
        let mut optional = |key: &str| {
            let value = lines.peek()?.strip_prefix(key)?;
            lines.next();
            Some(value)
        };
        let mut value = |key: &str| optional(key).unwrap_or_else(|| panic!("{key} in {form:?}"));
        let pid = value(" PID=").parse().expect("a pid");
        let tid = value(" TID=").parse().expect("a tid");
        let uid = value(" UID=").parse().expect("a uid");
        let comm = unescape(value(" COMM="));
        let opener = optional(" OPENER=").map_or(uid, |opener| {
            let opener = opener.parse().expect("a uid");
            assert_ne!(opener, uid, "{form:?}");
            opener
        });
        let mut count = |key: &str| -> u64 {
            optional(key).map_or(0, |count| {
                assert_ne!(count, "0", "{form:?}");
                count.parse().expect("a number")
            })
        };
        let (lost, cut) = (count(" LOST="), count(" CUT=") as usize);
        assert_eq!(lines.next(), None, "{form:?}");
        Self { priority, seq, usec, continues, text, pid, tid, uid, comm, opener, lost, cut }
    }

    /// A record of the style `plain`, which has no keys.
    pub fn parse_plain(form: &[u8]) -> Self {
        let mut form = form.to_vec();
        assert_eq!(form.iter().filter(|byte| **byte == b'\n').count(), 1, "lines of keys");
        form.extend(b" PID=0\n TID=0\n UID=0\n COMM=\n");
        Self::parse(&form)
    }

    /// The text, which must be UTF-8.
    pub fn str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("UTF-8")
    }
}

/// Undoes the escapes of the text form.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'\\' {
            let hex = std::str::from_utf8(&tail[1..3]).expect("two digits");
            assert_eq!(tail[0], b'x', "{text}");
            out.push(u8::from_str_radix(hex, 16).expect("hexadecimal digits"));
            rest = &tail[3..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

/// `struct umsg_record` and the text behind it. Panics on anything but the documented form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub priority: u16,
    pub seq: u64,
    pub time_ns: u64,
    pub lost: u64,
    pub pid: u32,
    pub tid: u32,
    pub uid: u32,
    pub opener: u32,
    pub comm: Vec<u8>,
    pub text: Vec<u8>,
    /// It continues the line of the record before.
    pub continues: bool,
}

/// Bytes of a frame with so many bytes of text.
pub fn frame_size(text_len: usize) -> usize {
    64 + text_len.next_multiple_of(8)
}

impl Frame {
    pub fn parse_all(mut data: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while !data.is_empty() {
            let word = |at: usize| u32::from_ne_bytes(data[at..at + 4].try_into().expect("4"));
            let long = |at: usize| u64::from_ne_bytes(data[at..at + 8].try_into().expect("8"));
            let half = |at: usize| u16::from_ne_bytes(data[at..at + 2].try_into().expect("2"));
            assert_eq!(data[0], 64, "header_size");
            assert!(data[1] <= 1, "flags");
            let end = 64 + word(4) as usize;
            let size = end.next_multiple_of(8);
            assert!(data[end..size].iter().all(|byte| *byte == 0), "padding");
            let name = &data[48..64];
            let len = name.iter().position(|byte| *byte == 0).unwrap_or(16);
            assert!(name[len..].iter().all(|byte| *byte == 0), "behind the name: {name:?}");
            frames.push(Self {
                priority: half(2),
                seq: long(8),
                time_ns: long(16),
                lost: long(24),
                pid: word(32),
                tid: word(36),
                uid: word(40),
                opener: word(44),
                comm: name[..len].to_vec(),
                text: data[64..end].to_vec(),
                continues: data[1] == 1,
            });
            data = &data[size..];
        }
        frames
    }
}

/// `struct umsg_entry` with its text.
pub fn entry(priority: u16, text: &[u8]) -> Vec<u8> {
    raw_entry(8, priority, text.len() as u32, text)
}

/// The same with a header of any kind, and what follows it.
pub fn raw_entry(header_size: u16, priority: u16, text_size: u32, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(header_size.to_ne_bytes());
    out.extend(priority.to_ne_bytes());
    out.extend(text_size.to_ne_bytes());
    out.extend(text);
    out.resize(out.len().next_multiple_of(8), 0xee);
    out
}

/// An address in a program's range where nothing is ever mapped: below `mmap_min_addr`.
pub const BAD: *mut libc::c_void = 0x1000 as *mut libc::c_void;

/// An address that is not in a program's range at all.
pub const WILD: *mut libc::c_void = 0xdead_0000_0000_0000_u64 as *mut libc::c_void;

/// `writev` of pieces given by address and length.
pub fn writev(file: &Umsg, pieces: &[(*const u8, usize)]) -> Result<usize, Errno> {
    let iov: Vec<libc::iovec> = pieces
        .iter()
        .map(|&(base, len)| libc::iovec { iov_base: base as *mut libc::c_void, iov_len: len })
        .collect();
    // SAFETY: The kernel checks the addresses; that is what is tested.
    Errno::result(unsafe { libc::writev(file.raw(), iov.as_ptr(), iov.len() as i32) })
        .map(|len| len as usize)
}

/// `readv` into pieces given by address and length.
pub fn readv(file: &Umsg, pieces: &[(*mut u8, usize)]) -> Result<usize, Errno> {
    let iov: Vec<libc::iovec> = pieces
        .iter()
        .map(|&(base, len)| libc::iovec { iov_base: base.cast(), iov_len: len })
        .collect();
    // SAFETY: The valid ones are exclusively ours, the kernel checks the others.
    Errno::result(unsafe { libc::readv(file.raw(), iov.as_ptr(), iov.len() as i32) })
        .map(|len| len as usize)
}
