// SPDX-License-Identifier: GPL-2.0

//! The text form of a record, which a reader gets: numbers, escapes and names.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

use crate::{
    pure::{
        chunks::{
            escape_len,
            Chunks,
            CHUNK_SIZE, //
        },
        record::{
            Header,
            COMM_LEN, //
        }, //
    },
    sys::buffer::{
        uninit,
        Buffer, //
    }, //
};

/// The text form of one record, the format of `/dev/kmsg`
/// (`Documentation/ABI/testing/dev-kmsg`; `info_print_ext_header()` and `msg_print_ext_body()` in
/// `kernel/printk/printk.c`):
///
/// ```text
/// prio,seq,usec,flag;text\n
///  PID=..\n TID=..\n UID=..\n COMM=..\n[ OPENER=..\n][ LOST=..\n][ CUT=..\n]
/// ```
///
/// The flag is `c` where the record continues the line of the one before, otherwise `-`. Bytes
/// outside printable ASCII and `\` are written as `\xNN`.
pub(crate) struct KmsgFormat<'a> {
    header: &'a Header,
    text: &'a [u8],
    keys: Keys,
    /// How many bytes at the end of the text were left out.
    cut: usize,
}

/// Which lines of keys follow the text.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// None.
    None,
    /// Those of the writer, and LOST with this number of records that the reader missed just before
    /// this one, if it is not 0.
    All(u64),
}

/// `2047,` and two numbers of 20 digits with their commas, the flag, `;`.
const HEAD_MAX: usize = 5 + 21 + 21 + 1 + 1;

/// The newline of the text; PID, TID and UID, OPENER and LOST with numbers of 10 and 20 digits; and
/// COMM with a name of which each byte is escaped.
const TAIL_MAX: usize = 1 + 3 * (5 + 10 + 1) + 8 + 10 + 1 + 6 + 20 + 1 + 6 + 4 * COMM_LEN + 1;

impl<'a> KmsgFormat<'a> {
    /// Returns the text form of the record `header`, whose ids are as the reader is to see them,
    /// with its `text`.
    pub(crate) fn new(header: &'a Header, text: &'a [u8], keys: Keys) -> Self {
        Self {
            header,
            text,
            keys,
            cut: 0,
        }
    }

    /// Length of the whole text form in bytes.
    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        self.write(|chunk| {
            len += chunk.len();
            true
        });
        len
    }

    /// Leaves out the end of the text so that the whole has at most `room` bytes. Returns false if
    /// `room` is too small for what is around the text.
    pub(crate) fn fit(&mut self, room: usize) -> bool {
        // Nearly always true, and cheaper than the length.
        if HEAD_MAX + 4 * self.text.len() + TAIL_MAX <= room {
            return true;
        }
        let len = self.len();
        if len <= room {
            return true;
        }
        let escaped_len = |text: &[u8]| text.iter().map(|byte| escape_len(*byte)).sum::<usize>();
        let cut_key = match self.keys {
            Keys::None => 0,
            // The number has at most as many digits as that of all bytes.
            Keys::All(_) => b" CUT=\n".len() + self.text.len().max(1).ilog10() as usize + 1,
        };
        let around = len - escaped_len(self.text) + cut_key;
        let Some(mut left) = room.checked_sub(around) else {
            return false;
        };
        let fits = |byte: &&u8| match left.checked_sub(escape_len(**byte)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let kept = self.text.iter().take_while(fits).count();
        self.cut += self.text.len() - kept;
        self.text = &self.text[..kept];
        true
    }

    /// Hands the text form to `sink` in chunks. Stops and returns false when `sink` returns false.
    pub(crate) fn write(&self, sink: impl FnMut(&[u8]) -> bool) -> bool {
        let mut memory = uninit::<CHUNK_SIZE>();
        let mut out = Chunks {
            chunk: Buffer::new(&mut memory),
            sink,
            is_ok: true,
        };
        let header = self.header;
        out.push_decimal(header.priority.value().into());
        out.push(b",");
        out.push_decimal(header.seq);
        out.push(b",");
        out.push_decimal(header.time_ns / 1000);
        out.push(if header.continues { b",c;" } else { b",-;" });
        out.push_escaped(self.text);
        if let Keys::All(lost) = self.keys {
            let ids = header.writer.ids;
            out.push(b"\n PID=");
            out.push_decimal(ids.pid.into());
            out.push(b"\n TID=");
            out.push_decimal(ids.tid.into());
            out.push(b"\n UID=");
            out.push_decimal(ids.uid.into());
            out.push(b"\n COMM=");
            out.push_comm(&header.writer.comm);
            if ids.opener != ids.uid {
                out.push(b"\n OPENER=");
                out.push_decimal(ids.opener.into());
            }
            if lost > 0 {
                out.push(b"\n LOST=");
                out.push_decimal(lost);
            }
            if self.cut > 0 {
                out.push(b"\n CUT=");
                out.push_decimal(self.cut as u64);
            }
        }
        out.push(b"\n");
        out.flush();
        out.is_ok
    }
}

#[cfg(CONFIG_KUNIT = "y")]
#[kernel::macros::kunit_tests(umsg_kmsg_format)]
mod tests {
    use super::*;
    use crate::pure::record::{
        Ids,
        Priority,
        Writer, //
    };

    /// The chunks of a text form are all of it, wherever the text ends in the last one.
    #[test]
    fn chunks_are_the_whole() {
        let writer = Writer {
            ids: Ids {
                pid: 1,
                tid: 2,
                uid: 3,
                opener: 3,
            },
            comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let header = Header {
            seq: 4,
            time_ns: 5000,
            text_len: 0,
            priority: Priority::DEFAULT,
            continues: false,
            writer,
        };
        let text = [b'x'; CHUNK_SIZE + 1];
        let around = KmsgFormat::new(&header, b"", Keys::All(0)).len();
        for len in CHUNK_SIZE - 250..=text.len() {
            let format = KmsgFormat::new(&header, &text[..len], Keys::All(0));
            let mut written = 0;
            let complete = format.write(|chunk| {
                written += chunk.len();
                true
            });
            assert!(complete);
            assert_eq!(written, around + len);
        }
    }
}
