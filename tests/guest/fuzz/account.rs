// SPDX-License-Identifier: GPL-2.0

//! The accounts at the end of a round: the effect of all calls on a log is compared with the log.

use crate::abi::{
    ioctl_set_options, ioctl_set_style, Frame, Record, BINARY_READ, KMSG, LINES, PLAIN,
};
use crate::audit::{check_info, FdInfo};
use crate::module::Parameters;
use crate::seal::{self, Form};
use crate::shared::{Shared, Writes};
use crate::target::info_of;
use nix::errno::Errno;
use std::sync::atomic::Ordering::Relaxed;

/// Compares the effect of all calls on the log `tag` with its counters, and reads the records that
/// are left through `observer`. `observer` is the only open file of the log, so that no more
/// records are stored, and has not been read from yet. `writes`: the account, and its counts before
/// this round.
pub fn account(
    tag: u16,
    parameters: &Parameters,
    shared: &Shared,
    (writes, before): (&Writes, (u64, u64)),
    observer: i32,
    seed: u64,
) {
    let info = info_of(observer);
    check_info(&info, &Default::default(), parameters);
    let check = |what: &str, counted: u64, open: u64, logged: u64| {
        assert!(
            (counted..=counted + open).contains(&logged),
            "{counted} records were {what}, {open} may be; the log says {info:?}"
        );
    };
    let (stored, unsure) = (writes.stored.load(Relaxed) - before.0, writes.open.load(Relaxed));
    check("stored", stored, unsure, info.records_written);
    let refused = writes.refused.load(Relaxed) - before.1;
    check("refused", refused, writes.open_refused.load(Relaxed), info.records_refused);
    shared.unsure.fetch_add(unsure, Relaxed);

    let mut buffer = vec![0; 4 * parameters.record_max + 4096];
    let mut next = 0;
    let mut first = info.next_seq;
    let (mut bytes, mut lost) = (0, 0);
    // Read in all styles and in both formats in turn.
    for turn in seed % 6.. {
        let (style, binary) = ([LINES, KMSG, PLAIN][turn as usize % 3], turn % 2 == 1);
        let options = if binary { BINARY_READ } else { 0 };
        // SAFETY: The command reads `options`.
        unsafe { ioctl_set_options(observer, &options) }.expect("UMSG_IOC_SET_OPTIONS");
        // SAFETY: The command reads `style`.
        unsafe { ioctl_set_style(observer, &style) }.expect("UMSG_IOC_SET_STYLE");
        // SAFETY: The call writes at most `buffer.len()` bytes to `buffer`.
        let len = unsafe { libc::read(observer, buffer.as_mut_ptr().cast(), buffer.len()) };
        if len < 0 && Errno::last() == Errno::EPIPE {
            let gap = next == 0 && info.oldest_seq > 0 && style != LINES;
            assert!(gap, "EPIPE in style {style}, before record {next}: {info:?}");
            (next, lost) = (info.oldest_seq, info.oldest_seq);
            continue;
        }
        if len < 0 {
            assert_eq!(Errno::last(), Errno::EAGAIN, "the last reads");
            break;
        }
        let bytes_read = &buffer[..len as usize];
        let (records, form): (Vec<Record>, _) = if binary {
            (Frame::parse_all(bytes_read).into_iter().map(seal::of_frame).collect(), Form::Keys)
        } else if style == PLAIN {
            (vec![Record::parse_plain(bytes_read)], Form::Plain)
        } else {
            (vec![Record::parse(bytes_read)], Form::Keys)
        };
        for record in records {
            seal::check(&record, form, parameters.record_max, tag);
            assert_eq!(record.seq, next + record.lost, "received + lost");
            assert_eq!(record.cut, 0, "cut although the buffer is large enough");
            let may_lose = next == 0 && style == LINES;
            assert!(record.lost == 0 || may_lose, "an unexpected loss in style {style}");
            first = first.min(record.seq);
            next = record.seq + 1;
            lost += record.lost;
            bytes += record.text.len() as u64;
        }
    }
    let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{observer}"));
    let fdinfo = FdInfo::parse(&fdinfo.expect("fdinfo")).expect("lines of the device");
    assert_eq!((fdinfo.seq, fdinfo.lag, fdinfo.lost), (next, 0, lost), "{fdinfo:?}");
    assert_eq!(next, info.next_seq, "received + lost = written");
    assert_eq!(first, info.oldest_seq, "the oldest record");
    assert_eq!(bytes, info.bytes_written - info.bytes_dropped, "bytes of the records there are");
}
