// SPDX-License-Identifier: GPL-2.0

//! The text format of a record: that of `/dev/kmsg`.

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

/// One record in text format, the format of `/dev/kmsg` (`Documentation/ABI/testing/dev-kmsg`;
/// `info_print_ext_header()` and `msg_print_ext_body()` in `kernel/printk/printk.c`):
///
/// ```text
/// prio,seq,usec,flag;text\n
///  PID=..\n TID=..\n UID=..\n COMM=..\n[ OPENER=..\n][ LOST=..\n][ CUT=..\n]
/// ```
///
/// The flag is `c` if the record continues the line of an earlier record, otherwise `-`. Bytes
/// outside printable ASCII and `\` are escaped as `\xNN`.
pub(crate) struct KmsgFormat<'a> {
    header: &'a Header,
    text: &'a [u8],
    keys: Keys,
    /// The number of bytes that were removed from the end of the text.
    cut: usize,
}

/// The key lines that follow the text.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// No key lines.
    None,
    /// The identity of the writer, and LOST with this number of lost records if it is not 0.
    All(u64),
}

/// Maximum length of the head in bytes: `2047,`, two numbers of 20 digits with their commas, the
/// flag and `;`.
const HEAD_MAX: usize = 5 + 21 + 21 + 1 + 1;

/// Maximum length in bytes of the part after the text: a newline; PID, TID, UID and OPENER with
/// numbers of 10 digits; LOST with a number of 20 digits; COMM with a name whose bytes are all
/// escaped.
const TAIL_MAX: usize = 1 + 3 * (5 + 10 + 1) + 8 + 10 + 1 + 6 + 20 + 1 + 6 + 4 * COMM_LEN + 1;

impl<'a> KmsgFormat<'a> {
    /// Creates the text format of a record with this `header`, whose ids are in the reader's
    /// namespaces, and `text`.
    pub(crate) fn new(header: &'a Header, text: &'a [u8], keys: Keys) -> Self {
        Self {
            header,
            text,
            keys,
            cut: 0,
        }
    }

    /// Passes the text format to `sink` in chunks. Stops and returns false if `sink` returns false.
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

    /// Cuts the end of the text so that the length is at most `size` bytes. Returns false if `size`
    /// is too small for the head and the key lines.
    pub(crate) fn fit(&mut self, size: usize) -> bool {
        // True for most records, and cheaper than computing the length.
        if HEAD_MAX + 4 * self.text.len() + TAIL_MAX <= size {
            return true;
        }
        let len = self.len();
        if len <= size {
            return true;
        }
        let escaped_len = |text: &[u8]| text.iter().map(|byte| escape_len(*byte)).sum::<usize>();
        let cut_key = match self.keys {
            Keys::None => 0,
            // The number of cut bytes has at most as many digits as the length of the text.
            Keys::All(_) => b" CUT=\n".len() + self.text.len().max(1).ilog10() as usize + 1,
        };
        let around = len - escaped_len(self.text) + cut_key;
        let Some(mut left) = size.checked_sub(around) else {
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

    /// Returns the length of the text format in bytes.
    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        self.write(|chunk| {
            len += chunk.len();
            true
        });
        len
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

    /// Checks that the chunks contain all bytes if the text ends at any offset in the last chunk.
    #[test]
    fn chunks_are_complete() {
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
