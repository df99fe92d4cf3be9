// SPDX-License-Identifier: GPL-2.0

//! Page faults that stall in a read or write, which must not block other tasks. The page is missing
//! until the test resolves the fault by userfaultfd.

use crate::client::{page_size, readv, writev, Umsg};
use crate::sharing::wait_until_asleep;
use crate::{skip, Test};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

pub const TESTS: &[Test] = &[
    Test::new("stalls.reader", reader),
    Test::new("stalls.reader_of_shared_file", reader_of_shared_file),
    Test::new("stalls.reader_overwritten", reader_overwritten).with("capacity=4096"),
    Test::new("stalls.writer", writer),
];

/// A page that is missing until [`MissingPage::resolve`].
struct MissingPage {
    fault: OwnedFd,
    /// The address of the page. A number, because threads share it and pointers are not `Sync`.
    start: usize,
}

#[repr(C)]
struct UffdioApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct UffdioRegister {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
struct UffdioCopy {
    dst: u64,
    src: u64,
    len: u64,
    mode: u64,
    copy: i64,
}

nix::ioctl_readwrite!(uffdio_api, 0xaa, 0x3f, UffdioApi);
nix::ioctl_readwrite!(uffdio_register, 0xaa, 0x00, UffdioRegister);
nix::ioctl_readwrite!(uffdio_copy, 0xaa, 0x03, UffdioCopy);

impl MissingPage {
    fn new() -> Self {
        // SAFETY: The descriptor and the mapping are new, and the structures have the kernel's
        // layout.
        unsafe {
            let fd = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC);
            let Ok(fd) = Errno::result(fd) else {
                skip("this kernel has no userfaultfd");
            };
            let fault = OwnedFd::from_raw_fd(fd as i32);
            let mut api = UffdioApi { api: 0xaa, features: 0, ioctls: 0 };
            uffdio_api(fault.as_raw_fd(), &mut api).expect("UFFDIO_API");
            let start = libc::mmap(
                std::ptr::null_mut(),
                page_size(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(start, libc::MAP_FAILED);
            let mut register =
                UffdioRegister { start: start as u64, len: page_size() as u64, mode: 1, ioctls: 0 };
            uffdio_register(fault.as_raw_fd(), &mut register).expect("UFFDIO_REGISTER");
            Self { fault, start: start as usize }
        }
    }

    /// Fills the page with `text` and zeros, which ends the stall.
    fn resolve(&self, text: &[u8]) {
        let mut page = vec![0; page_size()];
        page[..text.len()].copy_from_slice(text);
        let mut copy = UffdioCopy {
            dst: self.start as u64,
            src: page.as_ptr() as u64,
            len: page_size() as u64,
            mode: 0,
            copy: 0,
        };
        // SAFETY: Both pages are valid, and `page` outlives the call.
        unsafe { uffdio_copy(self.fault.as_raw_fd(), &mut copy) }.expect("UFFDIO_COPY");
    }

    /// Returns the record that was read into the page.
    fn record(&self, len: usize) -> crate::client::Record {
        // SAFETY: The page is mapped, and the read that wrote to it has returned.
        crate::client::Record::parse(unsafe {
            std::slice::from_raw_parts(self.start as *const u8, len)
        })
    }
}

/// Runs `stalled` in a thread, waits until it stalls on the page, runs `others`, resolves the page
/// with `text` and returns the result of `stalled`.
fn while_stalled<T: Send>(
    page: &MissingPage,
    stalled: impl FnOnce() -> T + Send,
    others: impl FnOnce(),
    text: &[u8],
) -> T {
    let tid = AtomicI32::new(0);
    std::thread::scope(|scope| {
        let tid = &tid;
        let thread = scope.spawn(move || {
            tid.store(nix::unistd::gettid().as_raw(), Ordering::SeqCst);
            stalled()
        });
        while tid.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        wait_until_asleep(tid.load(Ordering::SeqCst));
        others();
        assert!(!thread.is_finished(), "it did not stall");
        page.resolve(text);
        thread.join().expect("the stalled thread")
    })
}

fn reader() {
    let page = MissingPage::new();
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    writer.log("first");
    let len = while_stalled(
        &page,
        || readv(&reader, &[(page.start as *mut u8, page_size())]),
        || {
            let other = Umsg::reader();
            for i in 0..100 {
                writer.log(format!("{i}"));
            }
            assert_eq!(other.rest().len(), 101);
            assert_eq!(writer.info().next_seq, 101);
        },
        b"",
    );
    assert_eq!(page.record(len.expect("a record")).text, b"first");
    assert_eq!(reader.rest().len(), 100);
}

/// Checks that a second reader of the same file gets the record while the first one stalls, and
/// that the first one gets the next record.
fn reader_of_shared_file() {
    let page = MissingPage::new();
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    writer.log("first");
    writer.log("second");
    let len = while_stalled(
        &page,
        || readv(&reader, &[(page.start as *mut u8, page_size())]),
        || assert_eq!(reader.next().expect("a record").text, b"first"),
        b"",
    );
    assert_eq!(page.record(len.expect("a record")).text, b"second");
    assert_eq!(reader.next(), Err(Errno::EAGAIN));
}

/// Checks that a stalled reader gets its record although the record is overwritten meanwhile.
fn reader_overwritten() {
    let page = MissingPage::new();
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    writer.log("first");
    let len = while_stalled(
        &page,
        || readv(&reader, &[(page.start as *mut u8, page_size())]),
        || (0..1000).for_each(|_| writer.log("x")),
        b"",
    );
    let first = page.record(len.expect("a record"));
    assert_eq!((first.str(), first.lost), ("first", 0));
    let rest = reader.rest();
    assert_eq!(1 + rest[0].lost + rest.len() as u64, 1001);
}

fn writer() {
    let page = MissingPage::new();
    let (writer, reader) = (Umsg::writer(), Umsg::reader());
    let head = b"from the page: ";
    let written = while_stalled(
        &page,
        || writev(&writer, &[(head.as_ptr(), head.len()), (page.start as *const u8, 5)]),
        || {
            let other = Umsg::writer();
            for i in 0..100 {
                other.log(format!("{i}"));
            }
            assert_eq!(reader.rest().len(), 100);
        },
        b"hello",
    );
    assert_eq!(written, Ok(head.len() + 5));
    let record = reader.next().expect("a record");
    assert_eq!((record.seq, record.str()), (100, "from the page: hello"));
}
