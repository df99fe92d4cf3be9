// SPDX-License-Identifier: GPL-2.0

//! The styles of a log: which programs its device node is made for.
//!
//! Pure Rust without `unsafe` that needs no kernel type: the same file compiles on the host.

use core::fmt;

use crate::pure::value::ParamValue;

/// What a device node does with writes, losses and small buffers, for files that do not say
/// otherwise. The numbers are those of `uapi/umsg.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u32)]
pub(crate) enum Style {
    /// The output of any program: each line is a record.
    Lines = 0,
    /// As `/dev/kmsg`: each write is a record, and a loss is an error.
    Kmsg = 1,
    /// The same, and the text format has no lines of keys.
    Plain = 2,
}

impl Style {
    const ALL: [Self; 3] = [Self::Lines, Self::Kmsg, Self::Plain];

    /// Returns the style with this number in `uapi/umsg.h`, if there is one.
    pub(crate) fn new(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Lines),
            1 => Some(Self::Kmsg),
            2 => Some(Self::Plain),
            _ => None,
        }
    }

    /// Returns its number in `uapi/umsg.h`.
    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Kmsg => "kmsg",
            Self::Plain => "plain",
        }
    }
}

impl ParamValue for Style {
    const TYPE: &'static str = "style";
    const INIT: Self = Self::Lines;

    fn parse_from(&mut self, text: &[u8]) -> bool {
        let named = Self::ALL
            .into_iter()
            .find(|style| style.name().as_bytes() == text);
        named.map(|style| *self = style).is_some()
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(self.name())
    }
}
