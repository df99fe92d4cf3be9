// SPDX-License-Identifier: GPL-2.0

//! Draws the items of the parameter `logs`, each with the log that it describes.

use super::{Log, NAMES};
use crate::module::STYLES;
use fastrand::Rng;

/// The capacities: the text of the field, and the bytes in whole pages. A text with a leading 0 is
/// a mode, unless it is a hexadecimal number.
const CAPACITIES: [(&str, usize); 10] = [
    ("4K", 4096),
    ("4096", 4096),
    ("0x1fff", 8192),
    ("8193", 12288),
    ("16k", 16384),
    ("64K", 65536),
    ("0X10000", 65536),
    ("69633", 73728),
    ("128K", 131072),
    ("1m", 1 << 20),
];

const MODES: [(&str, u32); 8] = [
    ("0600", 0o600),
    ("0640", 0o640),
    ("0666", 0o666),
    ("0444", 0o444),
    ("0222", 0o222),
    ("01", 0o1),
    ("0777", 0o777),
    ("00060", 0o60),
];

const POLICIES: [&str; 2] = ["overwrite", "stop"];

/// Draws the fields of a log from `seed`: the item of the list, and the log. Fields that are left
/// out are those of the `default` log.
pub fn item(name: u8, seed: u32, default: &Log) -> (String, Log) {
    let mut rng = Rng::with_seed(seed.into());
    let mut log = Log { name, minor: None, id: 0, ..*default };
    let mut fields: Vec<&str> = Vec::new();
    if rng.bool() {
        let (text, capacity) = CAPACITIES[rng.usize(..CAPACITIES.len())];
        fields.push(text);
        log.capacity = capacity;
    }
    if rng.bool() {
        let (text, mode) = MODES[rng.usize(..MODES.len())];
        fields.push(text);
        log.mode = mode;
    }
    if rng.bool() {
        log.policy = rng.u32(..2);
        fields.push(POLICIES[log.policy as usize]);
    }
    if rng.bool() {
        log.style = rng.u32(..3);
        fields.push(STYLES[log.style as usize]);
    }
    // An empty field is ignored.
    (0..rng.usize(..3)).for_each(|_| fields.push(""));
    rng.shuffle(&mut fields);
    let mut item = NAMES[usize::from(name)].to_string();
    for field in fields {
        item += ":";
        item += field;
    }
    (item, log)
}

/// Texts that the parameter `logs` rejects, whichever logs exist. `@` is replaced by a name.
pub const REFUSED: [&[u8]; 41] = [
    b"@",
    b"@:64K",
    b"?",
    b"=@",
    b"*@",
    b"+",
    b"-",
    b"++@",
    b"--@",
    b"+-@",
    b"+ @",
    b"- @",
    b"-@:64K",
    b"-@,@",
    b"-/dev/umsg-@",
    b"+:64K",
    b"+@,b",
    b"+@/b",
    b"+../@",
    b"+@ b",
    b"+@ :64K",
    b"+name-of-33-letters-0123456789-abc",
    b"+@:4095",
    b"+@:3K",
    b"+@:1025G",
    b"+@:1T",
    b"+@:18446744073709551616",
    b"+@:640",
    b"+@:0",
    b"+@:01000",
    b"+@:0177777",
    b"+@:x",
    b"+@:Stop",
    b"+@:4K:4K",
    b"+@:0600::0600",
    b"+@:stop:overwrite",
    b"+@:kmsg:64K:kmsg",
    "+@:\u{e4}".as_bytes(),
    "\u{e4}".as_bytes(),
    b"+@\xff",
    b"\x0b+@",
];
