// SPDX-License-Identifier: GPL-2.0

//! Tests of records: parsing, the stored header, and both formats.

use crate::model::{self, parsed};
use crate::pure::kmsg_format::{Keys, KmsgFormat};
use crate::pure::record::{parse_text, Header, Ids, Priority, Writer, HEADER_SIZE};
use proptest::prelude::*;

fn header(seq: u64, time_ns: u64, priority: u16, comm: [u8; 16]) -> Header {
    Header {
        seq,
        time_ns,
        text_len: 0,
        priority: Priority::new(priority).unwrap(),
        continues: false,
        writer: Writer { ids: Ids { pid: 11, tid: 12, uid: 13, opener: 13 }, comm },
    }
}

fn text_format(header: &Header, text: &[u8], lost: u64) -> Vec<u8> {
    written(&KmsgFormat::new(header, text, Keys::All(lost)))
}

fn written(format: &KmsgFormat<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(format.write(|chunk| {
        out.extend_from_slice(chunk);
        true
    }));
    assert_eq!(out.len(), format.len());
    out
}

#[test]
fn prefixes() {
    let user_info = Priority::new(14).unwrap();
    let cases: &[(&[u8], Option<u16>, &[u8])] = &[
        (b"plain", None, b"plain"),
        (b"plain\n", None, b"plain"),
        (b"two\nlines\n\n", None, b"two\nlines\n"),
        (b"\n", None, b""),
        (b"<3>error", Some(8 + 3), b"error"),
        (b"<0>kernel's own facility", Some(8), b"kernel's own facility"),
        (b"<7>", Some(8 + 7), b""),
        (b"<8>user.emerg", Some(8), b"user.emerg"),
        (b"<30>daemon.info", Some(30), b"daemon.info"),
        (b"<191>local7.debug\n", Some(191), b"local7.debug"),
        (b"<0014>zeros", Some(14), b"zeros"),
        (b"<2047>last", Some(2047), b"last"),
        (b"<2048>beyond", None, b"<2048>beyond"),
        (b"<9999>beyond", None, b"<9999>beyond"),
        (b"<00014>five digits", None, b"<00014>five digits"),
        (b"<>none", None, b"<>none"),
        (b"<-1>sign", None, b"<-1>sign"),
        (b"< 1>space", None, b"< 1>space"),
        (b"<1", None, b"<1"),
        (b"<", None, b"<"),
        (b"<1 >", None, b"<1 >"),
        (b"", None, b""),
    ];
    assert_eq!(Priority::from_u32(2047), Priority::new(2047));
    assert!([2048, 1 << 16, u32::MAX]
        .into_iter()
        .all(|number| Priority::from_u32(number).is_none()));
    for (data, priority, text) in cases {
        let want = priority.map_or(user_info, |value| Priority::new(value).unwrap());
        assert_eq!(
            parse_text(data, user_info),
            (want, *text),
            "{:?}",
            data.escape_ascii().to_string()
        );
        let other = Priority::from_u32(27).unwrap();
        let want = priority.map_or(other, |value| Priority::new(value).unwrap());
        assert_eq!(parse_text(data, other), (want, *text));
    }
}

#[test]
fn longest_line_fits() {
    // Every field has its largest width, and each byte of the command name is escaped.
    let mut widest = header(u64::MAX, u64::MAX, Priority::MAX, [0xff; 16]);
    let id = u32::MAX;
    widest.writer.ids = Ids { pid: id, tid: id, uid: id, opener: id - 1 };
    let want = format!(
        "2047,{seq},{usec},-;x\n PID={id}\n TID={id}\n UID={id}\n COMM={comm}\n OPENER={opener}\n LOST={lost}\n",
        opener = id - 1,
        seq = u64::MAX,
        usec = u64::MAX / 1000,
        lost = u64::MAX,
        comm = "\\xff".repeat(16),
    );
    assert_eq!(text_format(&widest, b"x", u64::MAX), want.as_bytes());
    // fit() agrees with len().
    let mut format = KmsgFormat::new(&widest, b"\n", Keys::All(u64::MAX));
    let len = format.len();
    assert!(format.fit(len));
    assert_eq!(written(&format).len(), len);
}

#[test]
fn write_stops_at_a_failing_sink() {
    let header = header(0, 0, 14, [b'c'; 16]);
    let text = vec![b'x'; 5000];
    let format = KmsgFormat::new(&header, &text, Keys::All(0));
    let mut chunks = 0;
    assert!(!format.write(|_| {
        chunks += 1;
        chunks < 2
    }));
    assert_eq!(chunks, 2);
}

proptest! {
    #[test]
    fn header_survives_storing(
        seq: u64, time_ns: u64, text_len: u32, priority in 8..=Priority::MAX, continues: bool,
        pid: u32, tid: u32, uid: u32, opener: u32, comm: [u8; 16],
    ) {
        let priority = Priority::new(priority).unwrap();
        let writer = Writer { ids: Ids { pid, tid, uid, opener }, comm };
        let header = Header { seq, time_ns, text_len, priority, continues, writer };
        let stored: [u8; HEADER_SIZE] = header.encode();
        prop_assert_eq!(Header::decode(&stored), header);
        prop_assert_eq!(Header::text_len_of(&stored), text_len as usize);
        prop_assert_eq!(Header::time_of(&stored), header.time_ns);
    }

    #[test]
    fn text_format_matches_the_model(
        seq: u64, time_ns: u64, priority in 0..=Priority::MAX, continues: bool, uid: u32,
        opener in prop_oneof![Just(13), any::<u32>()],
        lost in prop_oneof![Just(0), any::<u64>()],
        text in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut header = header(seq, time_ns, priority, *b"some\x01name\0\0\0\0\0\0\0");
        header.continues = continues;
        header.writer.ids = Ids { uid, opener, ..header.writer.ids };
        let number = if priority < 8 { priority + 8 } else { priority };
        let want = model::text_format(number, &header, &text, Some(lost));
        prop_assert_eq!(text_format(&header, &text, lost), want.into_bytes());
        let plain = KmsgFormat::new(&header, &text, Keys::None);
        let want = model::text_format(number, &header, &text, None);
        prop_assert_eq!(written(&plain), want.into_bytes());
    }

    /// Checks that a buffer of any size gets as much of the text as fits.
    #[test]
    fn text_format_fits_the_buffer(
        text in proptest::collection::vec(
            prop_oneof![Just(b'x'), Just(b'\\'), any::<u8>()], 0..300,
        ),
        lost in prop_oneof![Just(None), Just(Some(0)), Just(Some(1234))],
        room in 0..1500usize,
    ) {
        let header = header(1, 1000, 14, *b"sixteen bytes !!");
        let keys = lost.map_or(Keys::None, Keys::All);
        let mut format = KmsgFormat::new(&header, &text, keys);
        let got = format.fit(room).then(|| String::from_utf8(written(&format)).unwrap());
        if let Some(shown) = &got {
            prop_assert!(shown.len() <= room);
        }
        prop_assert_eq!(got, model::fitted(14, &header, &text, lost, room));
    }

    /// Checks texts with long runs of unescaped bytes, which most texts have.
    #[test]
    fn runs_between_escapes(
        runs in proptest::collection::vec((0..100usize, any::<u8>()), 0..20),
        shift in 0..16usize,
    ) {
        let header = header(1, 1000, 14, *b"sixteen bytes !!");
        let mut text = vec![b'x'; shift];
        for (plain, byte) in runs {
            text.extend((0..plain).map(|i| b' ' + (i % 60) as u8));
            text.push(byte);
        }
        let want = model::text_format(14, &header, &text, Some(0));
        prop_assert_eq!(text_format(&header, &text, 0), want.into_bytes());
    }

    #[test]
    fn entries_match_the_model(
        header_size in prop_oneof![Just(8u16), 0..80u16], priority in 0..2100u16,
        text_size in prop_oneof![0..200u32, any::<u32>()],
        rest in proptest::collection::vec(prop_oneof![4 => Just(0), 1 => any::<u8>()], 0..300),
        cut in 0..400usize,
    ) {
        let mut data = [header_size.to_ne_bytes(), priority.to_ne_bytes()].concat();
        data.extend(text_size.to_ne_bytes());
        data.extend(rest);
        model::check_entry(&data, 100);
        data.truncate(cut);
        model::check_entry(&data, 100);
    }

    #[test]
    fn binary_records_contain_the_header(
        seq: u64, time_ns: u64, text_len: u32, continues: bool, lost: u64,
        pid: u32, tid: u32, uid: u32, opener: u32, comm: [u8; 16],
    ) {
        let mut header = header(seq, time_ns, 30, comm);
        header.text_len = text_len;
        header.continues = continues;
        let seen = Ids { pid, tid, uid, opener };
        let mut want = vec![64, u8::from(continues)];
        want.extend(30u16.to_ne_bytes());
        want.extend(text_len.to_ne_bytes());
        [seq, time_ns, lost].iter().for_each(|word| want.extend(word.to_ne_bytes()));
        [pid, tid, uid, opener].iter().for_each(|word| want.extend(word.to_ne_bytes()));
        want.extend(comm);
        let stored = header.encode();
        let seen_ids = |ids| {
            assert_eq!(ids, header.writer.ids);
            seen
        };
        let frame = Header::binary(&stored, seen_ids, lost);
        prop_assert_eq!(frame.to_vec(), want);
    }

    #[test]
    fn parse_removes_only_decoration(
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (priority, text) = parse_text(&data, Priority::DEFAULT);
        let (number, plain) = parsed(&data);
        prop_assert_eq!((priority, text), (Priority::new(number).unwrap(), plain));
        let mut windows = data.windows(text.len().max(1));
        prop_assert!(windows.any(|window| window == text) || text.is_empty());
        prop_assert!(data.len() - text.len() <= crate::pure::record::DECORATION_MAX);
    }
}
