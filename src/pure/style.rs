// SPDX-License-Identifier: GPL-2.0

//! The styles of a log.

use core::fmt;

use crate::pure::value::ParamValue;

/// How a file handles writes, losses and small buffers. The numbers are those of `uapi/umsg.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u32)]
pub(crate) enum Style {
    /// For the output of any program: each line is a record.
    Lines = 0,
    /// As `/dev/kmsg`: each write is a record, and a loss is reported by `EPIPE`.
    Kmsg = 1,
    /// As `Kmsg`, and the text format has no key lines.
    Plain = 2,
}

impl Style {
    const ALL: [Self; 3] = [Self::Lines, Self::Kmsg, Self::Plain];

    /// Returns the style with this number in `uapi/umsg.h`, or `None` if there is none.
    pub(crate) fn new(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Lines),
            1 => Some(Self::Kmsg),
            2 => Some(Self::Plain),
            _ => None,
        }
    }

    /// Returns the number of the style in `uapi/umsg.h`.
    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    /// Returns the name of the style.
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
