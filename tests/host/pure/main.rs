// SPDX-License-Identifier: GPL-2.0

//! The module's pure code, compiled on the host and held against plain models.

#[path = "../model.rs"]
mod model;
#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used")]
mod pure;
#[allow(dead_code, reason = "not all of it is used")]
#[path = "../sys.rs"]
mod sys;

mod value_tests {
    use crate::pure::ring::Policy;
    use crate::pure::style::Style;
    use crate::pure::value::{join, joined_len, AsciiStr, Minor, Mode, ParamValue, Size};
    use proptest::prelude::*;

    fn parse<T: ParamValue>(text: &[u8]) -> Option<T> {
        let mut value = T::INIT;
        value.parse_from(text).then_some(value)
    }

    fn show<T: ParamValue>(value: &T) -> String {
        let mut out = String::new();
        value.show(&mut out).unwrap();
        out
    }

    /// Sizes, written a second time in the plainest way.
    fn plain_size(text: &str) -> Option<usize> {
        let (number, factor) = match text.chars().last()? {
            'k' | 'K' => (&text[..text.len() - 1], 1u128 << 10),
            'm' | 'M' => (&text[..text.len() - 1], 1 << 20),
            'g' | 'G' => (&text[..text.len() - 1], 1 << 30),
            't' | 'T' => (&text[..text.len() - 1], 1 << 40),
            _ => (text, 1),
        };
        let (radix, digits) = match number.strip_prefix("0x").or(number.strip_prefix("0X")) {
            Some(hex) => (16, hex),
            None => (10, number),
        };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        let value = u128::from_str_radix(digits, radix).ok()?.checked_mul(factor)?;
        usize::try_from(value).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn sizes_show_what_parses_to_them(bytes: usize, shift in 0..64u32) {
            let size = Size(bytes >> shift);
            prop_assert_eq!(parse::<Size>(show(&size).as_bytes()), Some(size));
        }

        #[test]
        fn sizes_are_the_plain_ones(text in "(0x|0X)?[0-9a-fA-F]{0,18}[kKmMgGtTxb ]{0,2}") {
            prop_assert_eq!(parse::<Size>(text.as_bytes()).map(|size| size.0), plain_size(&text));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            if let Some(value) = parse::<Size>(&bytes) {
                prop_assert_eq!(parse::<Size>(show(&value).as_bytes()), Some(value));
            }
            if let Some(value) = parse::<Mode>(&bytes) {
                prop_assert_eq!(parse::<Mode>(show(&value).as_bytes()), Some(value));
            }
            if let Some(value) = parse::<bool>(&bytes) {
                prop_assert_eq!(parse::<bool>(show(&value).as_bytes()), Some(value));
            }
            if let Some(value) = parse::<Policy>(&bytes) {
                prop_assert_eq!(show(&value).into_bytes(), bytes.clone());
            }
            if let Some(value) = parse::<Style>(&bytes) {
                prop_assert_eq!(show(&value).into_bytes(), bytes.clone());
            }
            let text = parse::<AsciiStr<16>>(&bytes);
            let fits = bytes.len() <= 16 && bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
            prop_assert_eq!(text.is_some(), fits);
            if let Some(text) = text {
                prop_assert!(text.is_within("", ""));
                prop_assert_eq!(show(&text).into_bytes(), bytes.clone());
            }
            let truncated = AsciiStr::<16>::truncate_from(&bytes);
            prop_assert_eq!(truncated.as_str().len(), bytes.len().min(16));
        }
    }

    #[test]
    fn styles_have_their_names_and_numbers() {
        for (name, number) in [("lines", 0), ("kmsg", 1), ("plain", 2)] {
            let style: Style = parse(name.as_bytes()).unwrap();
            assert_eq!((style.number(), Style::new(number)), (number, Some(style)));
            assert_eq!(show(&style), name);
        }
        assert_eq!(Style::new(3), None);
        assert_eq!(parse::<Style>(b"Lines"), None);
    }

    #[test]
    fn strings_are_joined() {
        const PARTS: &[&str] = &["parm=", "", "name:", "\0"];
        assert_eq!(joined_len(PARTS), 11);
        assert_eq!(&join::<11>(PARTS), b"parm=name:\0");
    }

    #[test]
    fn every_minor() {
        for number in 0..1000u32 {
            let minor = parse::<Minor>(number.to_string().as_bytes());
            let want = u8::try_from(number).ok().filter(|number| (243..=254).contains(number));
            assert_eq!(minor, want.map(|number| Minor(Some(number))));
            assert!(minor.is_none_or(|minor| show(&minor) == number.to_string()));
        }
        assert_eq!(parse(b"dynamic"), Some(Minor(None)));
        assert_eq!(show(&Minor(None)), "dynamic");
        for bad in ["", "dynami", "Dynamic", "0xf", "-243", "250 "] {
            assert_eq!(parse::<Minor>(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_mode() {
        for bits in 0..=u16::MAX {
            let mode = Mode(bits);
            assert_eq!(parse::<Mode>(show(&mode).as_bytes()), Some(mode));
            assert_eq!(mode.is_within("0001", "0777"), (1..=0o777).contains(&bits));
        }
        for bad in ["", "8", "200000", "0x1", "-1", " 1", "1 "] {
            assert_eq!(parse::<Mode>(bad.as_bytes()), None, "{bad}");
        }
    }
}

mod record_tests {
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

    fn text_form(header: &Header, text: &[u8], lost: u64) -> Vec<u8> {
        written(&KmsgFormat::new(header, text, Keys::All(lost)))
    }

    fn written(form: &KmsgFormat<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(form.write(|piece| {
            out.extend_from_slice(piece);
            true
        }));
        assert_eq!(out.len(), form.len());
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
        for (data, priority, text) in cases {
            let want = priority.map_or(user_info, |value| Priority::new(value).unwrap());
            assert_eq!(parse_text(data), (want, *text), "{:?}", data.escape_ascii().to_string());
        }
    }

    #[test]
    fn longest_line_fits() {
        // Every field at its widest, the command name all escapes: nothing is cut off.
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
        assert_eq!(text_form(&widest, b"x", u64::MAX), want.as_bytes());
        // So that it is known to fit where it does.
        let mut form = KmsgFormat::new(&widest, b"\n", Keys::All(u64::MAX));
        let len = form.len();
        assert!(form.fit(len));
        assert_eq!(written(&form).len(), len);
    }

    #[test]
    fn failing_sink_ends_it() {
        let header = header(0, 0, 14, [b'c'; 16]);
        let text = vec![b'x'; 5000];
        let form = KmsgFormat::new(&header, &text, Keys::All(0));
        let mut pieces = 0;
        assert!(!form.write(|_| {
            pieces += 1;
            pieces < 2
        }));
        assert_eq!(pieces, 2);
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
        fn text_form_is_the_documented_one(
            seq: u64, time_ns: u64, priority in 0..=Priority::MAX, continues: bool, uid: u32,
            opener in prop_oneof![Just(13), any::<u32>()],
            lost in prop_oneof![Just(0), any::<u64>()],
            text in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let mut header = header(seq, time_ns, priority, *b"some\x01name\0\0\0\0\0\0\0");
            header.continues = continues;
            header.writer.ids = Ids { uid, opener, ..header.writer.ids };
            let number = if priority < 8 { priority + 8 } else { priority };
            let want = model::text_form(number, &header, &text, Some(lost));
            prop_assert_eq!(text_form(&header, &text, lost), want.into_bytes());
            let plain = KmsgFormat::new(&header, &text, Keys::None);
            let want = model::text_form(number, &header, &text, None);
            prop_assert_eq!(written(&plain), want.into_bytes());
        }

        /// In a buffer of any size, there is as much of the text as fits.
        #[test]
        fn text_form_fits_the_buffer(
            text in proptest::collection::vec(
                prop_oneof![Just(b'x'), Just(b'\\'), any::<u8>()], 0..300,
            ),
            lost in prop_oneof![Just(None), Just(Some(0)), Just(Some(1234))],
            room in 0..1500usize,
        ) {
            let header = header(1, 1000, 14, *b"sixteen bytes !!");
            let keys = lost.map_or(Keys::None, Keys::All);
            let mut form = KmsgFormat::new(&header, &text, keys);
            let got = form.fit(room).then(|| String::from_utf8(written(&form)).unwrap());
            if let Some(form) = &got {
                prop_assert!(form.len() <= room);
            }
            prop_assert_eq!(got, model::fitted(14, &header, &text, lost, room));
        }

        /// Text that is plain for long, as most is.
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
            let want = model::text_form(14, &header, &text, Some(0));
            prop_assert_eq!(text_form(&header, &text, 0), want.into_bytes());
        }

        #[test]
        fn entries_are_what_the_header_says(
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
        fn frames_hold_the_header(
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
        fn parse_never_adds_and_loses_only_decoration(
            data in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (priority, text) = parse_text(&data);
            let (number, plain) = parsed(&data);
            prop_assert_eq!((priority, text), (Priority::new(number).unwrap(), plain));
            let mut windows = data.windows(text.len().max(1));
            prop_assert!(windows.any(|window| window == text) || text.is_empty());
            prop_assert!(data.len() - text.len() <= crate::pure::record::DECORATION_MAX);
        }
    }
}

mod line_tests {
    use crate::model::{lines, split_lines};
    use crate::pure::line::{find_newline, is_single_line};
    use proptest::prelude::*;

    /// Bytes of which many mean something.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => Just(b'\n'), 3 => Just(b'<'), 3 => Just(b'>'), 4 => b'0'..=b'9',
            8 => Just(b'x'), 1 => any::<u8>(),
        ];
        proptest::collection::vec(byte, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 5000 }))]

        /// However a stream is cut into writes, its records are the same.
        #[test]
        fn lines_do_not_depend_on_the_writes(
            stream in stream(), record_max in 1..40usize,
            cuts in proptest::collection::vec(0..200usize, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < stream.len()).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            let want = lines(&stream, record_max);
            prop_assert_eq!(split_lines(&pieces, record_max), want.clone());
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(split_lines(&bytes, record_max), want);
        }

        #[test]
        fn first_newline(bytes in proptest::collection::vec(prop_oneof![
            20 => any::<u8>(), 1 => Just(b'\n'),
        ], 0..60)) {
            let first = bytes.iter().position(|&byte| byte == b'\n');
            prop_assert_eq!(find_newline(&bytes), first);
            prop_assert_eq!(is_single_line(&bytes), first.is_some_and(|at| at + 1 == bytes.len()));
        }
    }
}

/// Copies of every length up to well above where they change their way, from and to any alignment.
#[test]
fn copies() {
    let from: Vec<u8> = (0..600).map(|i| (i * 7 % 251) as u8).collect();
    for len in 0..300 {
        for shift in 0..9 {
            let mut to = vec![0xee; 620];
            crate::sys::buffer::copy(
                &mut to[shift..shift + len],
                &from[8 - shift..8 - shift + len],
            );
            assert_eq!(to[shift..shift + len], from[8 - shift..8 - shift + len]);
            assert!(to[..shift].iter().chain(&to[shift + len..]).all(|&byte| byte == 0xee));
        }
    }
}

#[test]
fn buffers() {
    let mut memory = crate::sys::buffer::uninit::<20>();
    let mut buffer = crate::sys::buffer::Buffer::new(&mut memory);
    assert!(buffer.push(b"0123456789"));
    assert!(!buffer.push(b"0123456789x"));
    assert_eq!((buffer.as_slice(), buffer.remaining()), (&b"0123456789"[..], 10));
    buffer.spare()[..2].copy_from_slice(&[b'a', b'b'].map(std::mem::MaybeUninit::new));
    // SAFETY: These two bytes were just initialised.
    unsafe { buffer.assume_added(2) };
    assert!(buffer.push_first(*b"cdefghij", 3) && !buffer.push_first(*b"cdefghij", 1));
    buffer.remove_front(11);
    assert_eq!(buffer.as_slice(), b"bcde");
    buffer.remove_front(99);
    assert_eq!((buffer.len(), buffer.remaining()), (0, 20));
    assert!(buffer.push(&[1; 20]) && buffer.push(b"") && !buffer.push(b"x"));
    buffer.clear();
    assert_eq!(buffer.as_slice(), b"");
}

mod ring_tests {
    use crate::model::{Model, Op, READERS};
    use crate::pure::ring::{index_len, IndexEntry, Policy, Ring};
    use crate::pure::value::ParamValue;
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = Policy> {
        prop_oneof![Just(Policy::Overwrite), Just(Policy::Stop)]
    }

    fn op(longest: usize) -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (0..=longest).prop_map(Op::Append),
            1 => Just(Op::Clear),
            6 => (0..READERS).prop_map(Op::Read),
            1 => (0..READERS).prop_map(Op::SeekOldest),
            1 => (0..READERS).prop_map(Op::SeekCleared),
            1 => (0..READERS).prop_map(Op::SeekNext),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 2000 }))]

        #[test]
        fn random_operations(
            capacity in (1..200usize).prop_map(|words| words * 8),
            policy in policy(),
            ops in proptest::collection::vec(op(300), 1..200),
        ) {
            let mut model = Model::new(capacity, policy);
            for op in ops {
                model.step(op);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 300 }))]

        /// In rings of none to some hundreds of records, several times as many appended.
        #[test]
        fn searches(
            capacity in (1..3000usize).prop_map(|words| words * 8),
            lengths in proptest::collection::vec(0..100usize, 1..20),
            count in 0..1500usize,
        ) {
            let mut model = Model::new(capacity, Policy::Overwrite);
            model.search(lengths.into_iter().cycle().take(count));
        }
    }

    #[test]
    fn policies_have_their_names() {
        for (policy, name) in [(Policy::Overwrite, "overwrite"), (Policy::Stop, "stop")] {
            let mut shown = String::new();
            policy.show(&mut shown).unwrap();
            assert_eq!(shown, name);
            let index = vec![IndexEntry::default(); index_len(64)];
            assert_eq!(Ring::new(vec![0; 64], index, policy).policy(), policy);
        }
    }

    /// Every sequence of seven operations on rings of a few records: sizes chosen so that records
    /// end exactly at the end of the memory, one word before it, and one after.
    #[test]
    #[cfg_attr(miri, ignore = "hours in Miri")]
    fn all_short_sequences() {
        const OPS: [Op; 6] =
            [Op::Append(0), Op::Append(8), Op::Append(72), Op::Clear, Op::Read(0), Op::SeekNext(1)];
        let mut sequences = 0u32;
        for policy in [Policy::Overwrite, Policy::Stop] {
            for capacity in [56, 112, 120, 128, 136, 176, 184, 192, 248] {
                for mut code in 0..OPS.len().pow(7) {
                    let mut model = Model::new(capacity, policy);
                    for _ in 0..7 {
                        model.step(OPS[code % OPS.len()]);
                        code /= OPS.len();
                    }
                    model.read(0);
                    model.read(1);
                    model.check();
                    sequences += 1;
                }
            }
        }
        assert_eq!(sequences, 2 * 9 * 6u32.pow(7));
    }
}
