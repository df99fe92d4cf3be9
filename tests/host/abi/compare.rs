// SPDX-License-Identifier: GPL-2.0

//! Compares the ABI in the module's source with `src/uapi/umsg.h`.
//!
//! `tests/host/abi/run` lists the contents of the header in the file `UMSG_ABI`, in lines of these
//! forms:
//!
//! ```text
//! constant NAME VALUE
//! struct NAME SIZE
//! field STRUCT NAME OFFSET SIZE
//! size STRUCT TEXT_SIZE UMSG_SIZE
//! ```
//!
//! An item that is only in the header or only in the module is a failure.

use std::collections::BTreeMap;
use std::mem::offset_of;

// `src/uapi.rs` uses the crates `kernel` and `zerocopy_derive`. The items below replace them.
extern crate self as kernel;
extern crate self as zerocopy_derive;

/// ioctl numbers from another implementation than that of the kernel.
#[allow(non_snake_case, reason = "the kernel's names")]
mod ioctl {
    pub(crate) const fn _IO(magic: u32, number: u32) -> u32 {
        nix::request_code_none!(magic, number) as u32
    }

    pub(crate) const fn _IOR<T>(magic: u32, number: u32) -> u32 {
        nix::request_code_read!(magic, number, size_of::<T>()) as u32
    }

    pub(crate) const fn _IOW<T>(magic: u32, number: u32) -> u32 {
        nix::request_code_write!(magic, number, size_of::<T>()) as u32
    }
}

/// Stand-ins for the module's derive macros, because derived traits do not change the layout.
mod prelude {
    pub(crate) use std::fmt::Debug as IntoBytes;
}
use std::clone::Clone as Immutable;

#[path = "../../../src/pure/mod.rs"]
#[allow(dead_code, reason = "the tests need only the binary format and the styles")]
mod pure;
#[allow(dead_code, reason = "the tests need nothing of it")]
#[path = "../sys.rs"]
mod sys;
// A constant that no test uses is dead code, so the compiler finds it.
#[path = "../../../src/uapi.rs"]
#[deny(dead_code)]
mod uapi;

use pure::entry::{self, Entry};
use pure::record::{self, Header, Ids, Priority, Writer};
use pure::style::Style;

/// Offset and size of a field in bytes.
type FieldPosition = (usize, usize);

/// The contents of the header.
#[derive(Default)]
struct Abi {
    constants: BTreeMap<String, u64>,
    structs: BTreeMap<String, usize>,
    /// The fields of each structure.
    fields: BTreeMap<String, BTreeMap<String, FieldPosition>>,
    /// Structure, size of the text, size with the text.
    sizes: Vec<(String, u64, u64)>,
}

impl Abi {
    fn of_header() -> Self {
        let file = std::env::var("UMSG_ABI").expect("UMSG_ABI, which tests/host/abi/run sets");
        let text = std::fs::read_to_string(file).expect("the file in UMSG_ABI");
        let mut abi = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().expect(line);
            let size = |at: usize| number(at) as usize;
            let name = words[1].to_string();
            match words[0] {
                "constant" => drop(abi.constants.insert(name, number(2))),
                "struct" => drop(abi.structs.insert(name, size(2))),
                "field" => {
                    let fields = abi.fields.entry(name).or_default();
                    fields.insert(words[2].to_string(), (size(3), size(4)));
                }
                "size" => abi.sizes.push((name, number(2), number(3))),
                _ => panic!("{line}"),
            }
        }
        abi
    }
}

/// Checks that header and module have equal names with equal values. Reports all differences.
fn assert_same<T: Copy + PartialEq + std::fmt::Debug>(
    header: &BTreeMap<String, T>,
    module: impl IntoIterator<Item = (&'static str, T)>,
) {
    let module: BTreeMap<String, T> =
        module.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let mut wrong = Vec::new();
    for name in header.keys().chain(module.keys().filter(|name| !header.contains_key(*name))) {
        let (theirs, ours) = (header.get(name), module.get(name));
        if theirs != ours {
            wrong.push(format!("{name}: {theirs:?} in the header, {ours:?} in the module"));
        }
    }
    assert!(wrong.is_empty() && !header.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "run by tests/host/abi/run"]
fn constants() {
    macro_rules! named {
        ($($name:ident)*) => { vec![$((stringify!($name), u64::from(uapi::$name))),*] };
    }
    let mut module = named! {
        UMSG_IOC_MAGIC
        UMSG_POLICY_OVERWRITE
        UMSG_POLICY_STOP
        UMSG_IOC_INFO
        UMSG_IOC_CLEAR
        UMSG_IOC_GET_OPTIONS
        UMSG_IOC_SET_OPTIONS
        UMSG_OPTION_BINARY_READ
        UMSG_OPTION_BINARY_WRITE
        UMSG_OPTIONS
        UMSG_IOC_GET_STYLE
        UMSG_IOC_SET_STYLE
        UMSG_IOC_SEEK_SEQ
        UMSG_IOC_SEEK_TIME
        UMSG_IOC_NEXT_SIZE
        UMSG_IOC_GET_PRIORITY
        UMSG_IOC_SET_PRIORITY
    };
    module.extend([
        ("UMSG_STYLE_LINES", Style::Lines.number().into()),
        ("UMSG_STYLE_KMSG", Style::Kmsg.number().into()),
        ("UMSG_STYLE_PLAIN", Style::Plain.number().into()),
        ("UMSG_PRIORITY_DEFAULT", Priority::DEFAULT.value().into()),
        ("UMSG_RECORD_CONTINUES", record::FLAG_CONTINUES.into()),
    ]);
    assert_same(&Abi::of_header().constants, module);
}

#[test]
#[ignore = "run by tests/host/abi/run"]
fn structures() {
    let abi = Abi::of_header();
    assert_same(
        &abi.structs,
        [
            ("umsg_info", size_of::<uapi::umsg_info>()),
            ("umsg_record", record::BINARY_HEADER_SIZE),
            ("umsg_entry", entry::ENTRY_HEADER_SIZE),
        ],
    );
    // A structure must have no implicit padding, which could leak kernel memory.
    for (name, size) in &abi.structs {
        let mut positions: Vec<FieldPosition> = abi.fields[name].values().copied().collect();
        positions.sort();
        let end = positions.iter().fold(0, |end, &(offset, size)| {
            assert_eq!(offset, end, "a hole in {name}");
            offset + size
        });
        assert_eq!(end, *size, "a hole at the end of {name}");
    }
}

#[test]
#[ignore = "run by tests/host/abi/run"]
fn info() {
    fn size_of_field<S, T>(_: fn(&S) -> &T) -> usize {
        size_of::<T>()
    }
    macro_rules! placed {
        ($($name:ident)*) => {
            [$((stringify!($name), (
                offset_of!(uapi::umsg_info, $name),
                size_of_field(|info: &uapi::umsg_info| &info.$name),
            ))),*]
        };
    }
    assert_same(
        &Abi::of_header().fields["umsg_info"],
        placed! {
            capacity
            oldest_seq
            next_seq
            cleared_seq
            records_written
            bytes_written
            records_dropped
            bytes_dropped
            records_refused
            log_id
            record_max
            policy
            style
            reserved_word
            reserved
        },
    );
}

/// Checks that the library for user programs declares what the module does. Its ioctls are compared
/// by the tests of the device, which use them.
#[test]
fn library() {
    use umsg::abi;
    macro_rules! same {
        ($($field:ident)*) => {
            $(assert_eq!(
                offset_of!(abi::Info, $field),
                offset_of!(uapi::umsg_info, $field),
                "umsg_info.{}",
                stringify!($field)
            );)*
        };
    }
    same! {
        capacity oldest_seq next_seq cleared_seq records_written bytes_written records_dropped
        bytes_dropped records_refused log_id record_max policy style reserved_word reserved
    }
    assert_eq!(size_of::<abi::Info>(), size_of::<uapi::umsg_info>());
    assert_eq!(abi::RECORD_SIZE, record::BINARY_HEADER_SIZE);
    assert_eq!(abi::ENTRY_SIZE, entry::ENTRY_HEADER_SIZE);
    assert_eq!(u32::from(abi::MAGIC), uapi::UMSG_IOC_MAGIC);
    assert_eq!(abi::BINARY_READ, uapi::UMSG_OPTION_BINARY_READ);
    assert_eq!(abi::BINARY_WRITE, uapi::UMSG_OPTION_BINARY_WRITE);
    assert_eq!(abi::OVERWRITE, uapi::UMSG_POLICY_OVERWRITE);
    assert_eq!(abi::STOP, uapi::UMSG_POLICY_STOP);
    let styles = [Style::Lines, Style::Kmsg, Style::Plain].map(Style::number);
    assert_eq!([abi::LINES, abi::KMSG, abi::PLAIN], styles);
    assert_eq!(abi::CONTINUES, record::FLAG_CONTINUES);
    assert_eq!(umsg::Priority::default().number(), Priority::DEFAULT.value());
}

/// Converts `bytes` to a number.
fn number(bytes: &[u8]) -> u64 {
    match bytes.len() {
        1 => bytes[0].into(),
        2 => u16::from_ne_bytes(bytes.try_into().unwrap()).into(),
        4 => u32::from_ne_bytes(bytes.try_into().unwrap()).into(),
        8 => u64::from_ne_bytes(bytes.try_into().unwrap()),
        len => panic!("no number has {len} bytes"),
    }
}

/// Checks that the module puts each field of a binary record where the header declares it.
#[test]
#[ignore = "run by tests/host/abi/run"]
fn records() {
    let comm = *b"0123456789abcde\0";
    let header = Header {
        seq: 0x1112_1314_1516_1718,
        time_ns: 0x2122_2324_2526_2728,
        text_len: 0x3132_3334,
        priority: Priority::new(0x0742).expect("a priority"),
        continues: true,
        writer: Writer { ids: Ids { pid: 1, tid: 2, uid: 3, opener: 4 }, comm },
    };
    let ids = Ids { pid: 0x4142_4344, tid: 0x5152_5354, uid: 0x6162_6364, opener: 0x6566_6768 };
    let frame = Header::binary(&header.encode(), |_| ids, 0x7172_7374_7576_7778);
    for (name, &(offset, size)) in &Abi::of_header().fields["umsg_record"] {
        let bytes = &frame[offset..offset + size];
        let value = match name.as_str() {
            "comm" => {
                assert_eq!(bytes, comm);
                continue;
            }
            "header_size" => frame.len() as u64,
            "flags" => record::FLAG_CONTINUES.into(),
            "priority" => 0x0742,
            "text_size" => header.text_len.into(),
            "seq" => header.seq,
            "time_ns" => header.time_ns,
            "lost" => 0x7172_7374_7576_7778,
            "pid" => ids.pid.into(),
            "tid" => ids.tid.into(),
            "uid" => ids.uid.into(),
            "opener" => ids.opener.into(),
            _ => panic!("unknown field umsg_record.{name} in the header"),
        };
        assert_eq!(number(bytes), value, "umsg_record.{name}: {frame:02x?}");
    }
}

/// Checks that the module reads each field of an entry where the header declares it.
#[test]
#[ignore = "run by tests/host/abi/run"]
fn entries() {
    let abi = Abi::of_header();
    let size = abi.structs["umsg_entry"];
    // The entry is invalid if these values are in other fields.
    let (priority, text_size) = (0x0742_u16, 0x0123_u32);
    let mut data = vec![b'x'; size + text_size.next_multiple_of(8) as usize];
    for (name, &(offset, len)) in &abi.fields["umsg_entry"] {
        let value = match name.as_str() {
            "header_size" => size as u64,
            "reserved" => 0,
            "priority" => priority.into(),
            "text_size" => text_size.into(),
            _ => panic!("unknown field umsg_entry.{name} in the header"),
        };
        let field = &mut data[offset..offset + len];
        field.copy_from_slice(&value.to_le_bytes()[..len]);
        assert_eq!(number(field), value, "umsg_entry.{name} on a little-endian machine");
    }
    let text = &data[size..][..text_size as usize];
    let priority = Priority::new(priority).expect("a priority");
    let entry = Entry { priority, continues: false, is_continued: false, text, size: data.len() };
    assert_eq!(Entry::parse(&data, 4096), Ok(entry));
}

/// Checks that `UMSG_SIZE()` returns the sizes that the module uses.
#[test]
#[ignore = "run by tests/host/abi/run"]
fn sizes() {
    let sizes = Abi::of_header().sizes;
    for (name, text_size, size) in &sizes {
        let ours = match name.as_str() {
            "umsg_record" => record::binary_size(*text_size as usize),
            "umsg_entry" => {
                let mut data = vec![0; 4096];
                data[0] = entry::ENTRY_HEADER_SIZE as u8;
                data[4] = *text_size as u8;
                Entry::parse(&data, 4096).expect("an entry").size
            }
            _ => panic!("{name}"),
        };
        assert_eq!(ours as u64, *size, "{name} with {text_size} bytes of text");
    }
    assert!(!sizes.is_empty());
}
