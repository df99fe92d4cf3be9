// SPDX-License-Identifier: GPL-2.0

//! Performs `poll`, `ppoll` and `select`, and checks their results.

use crate::abi::LINES;
use crate::calls::*;
use crate::files::AUDITED;
use crate::perform::result;
use crate::worker::Thread;
use libc::*;

impl Thread {
    pub fn wait(&mut self, slots: [Slot; 3], events: i16, how: Waiting, timeout_ms: i32) -> i64 {
        let before = slots.contains(&AUDITED).then(|| self.info());
        let mut files = slots.map(|slot| pollfd { fd: self.files.fd(slot), events, revents: 0 });
        let time = timespec { tv_sec: 0, tv_nsec: i64::from(timeout_ms) * 1_000_000 };
        // SAFETY: All addresses are those of local variables.
        let count = unsafe {
            match how {
                Waiting::Poll => result(poll(files.as_mut_ptr(), 3, timeout_ms).into()),
                Waiting::Ppoll => {
                    result(ppoll(files.as_mut_ptr(), 3, &time, std::ptr::null()).into())
                }
                Waiting::Select => {
                    let mut sets: [fd_set; 3] = std::mem::zeroed();
                    for file in &files {
                        sets.iter_mut().for_each(|set| FD_SET(file.fd, set));
                    }
                    let [read, write, except] = &mut sets;
                    let none = std::ptr::null();
                    return result(pselect(400, read, write, except, &time, none).into());
                }
            }
        };
        if count < 0 {
            return count;
        }
        let after = before.map(|_| self.info());
        for (slot, file) in slots.into_iter().zip(files) {
            let got = i32::from(file.revents);
            let asked = i32::from(events);
            let always = i32::from(POLLNVAL) | 8;
            assert_eq!(got & !(asked & 0x147 | always), 0, "poll reports {got:#x}");
            let good = self.files.known(slot).is_file() == Some(true);
            assert!(!good || got & i32::from(POLLNVAL) == 0, "an open file counts as closed");
            if good && got & i32::from(POLLNVAL) == 0 {
                let known = self.files.known(slot);
                if let Some(may) = known.may_write() {
                    let want = if may { asked & 0x104 } else { 0 };
                    assert_eq!(got & 0x104, want, "EPOLLOUT of {known:?}");
                }
                let in_vain = known.may_read() == Some(false) && got & 0x4b != 0;
                assert!(!in_vain, "poll reports {got:#x} of a file that cannot be read");
            }
            if let (AUDITED, Some(before), Some(after)) = (slot, &before, &after) {
                // In the styles `kmsg` and `plain` a loss is an error, and errors are always
                // reported.
                let lost = self.target.audit.style != LINES && got & 2 != 0;
                assert!(!lost || got & 8 != 0, "EPOLLPRI without EPOLLERR: {got:#x}");
                let error = self.target.audit.style == LINES || asked & 2 != 0 && got & 2 == 0;
                assert!(!good || !error || got & 8 == 0, "EPOLLERR: {got:#x} of {asked:#x}");
                // An event that was not requested may be missing from the result.
                if good && asked & 0x43 == 0x43 {
                    self.target.audit.polled(got & 1 != 0, got & 2 != 0, before, after);
                }
            }
        }
        count
    }
}
