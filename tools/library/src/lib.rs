// SPDX-License-Identifier: GPL-2.0

//! Reads and writes the logs of the Linux kernel module umsg. The manual page umsg(4) describes the
//! logs themselves.
//!
//! A [`Log`] names a log. [`Log::writer`] opens it for records with any bytes, each with its own
//! priority; a program that writes only lines can open the device node as a file instead.
//! [`Log::reader`] opens it for reading:
//!
//! ```no_run
//! use umsg::{Level, Log, Priority, Facility};
//!
//! # fn main() -> umsg::Result<()> {
//! let log = Log::named("app");
//! log.writer()?.write(Priority::new(Facility::DAEMON, Level::Warning), b"disk nearly full")?;
//!
//! for record in log.reader()?.stored()? {
//!     let record = record?;
//!     if record.lost > 0 {
//!         println!("{} records lost", record.lost);
//!     }
//!     println!("{}: {}", record.comm(), String::from_utf8_lossy(&record.text));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | read the records that are stored now | [`Reader::stored`] |
//! | wait for records | [`Reader::follow`], [`Reader::until`] |
//! | read without waiting, and without a copy | [`Reader::peek`], [`Reader::advance`] |
//! | read in a task of tokio | [`AsyncReader`], with the feature `tokio` |
//! | write many records with one system call | [`Batch`] |
//! | list, add and remove logs | [`Log::list`], [`Log::add`], [`Log::remove`] |
//!
//! The module [`abi`] has the system calls below this interface.

#![deny(missing_docs, unsafe_code)]
#![cfg_attr(not(feature = "tokio"), allow(rustdoc::broken_intra_doc_links))]

pub mod abi;
#[cfg(feature = "tokio")]
mod async_reader;
mod error;
mod log;
mod priority;
mod reader;
mod record;
mod writer;

pub use abi::Info;
#[cfg(feature = "tokio")]
pub use async_reader::AsyncReader;
pub use error::{Error, Result};
pub use log::Log;
pub use priority::{Facility, Level, Priority};
pub use reader::{Position, Reader};
pub use record::Record;
pub use writer::{Batch, Writer};
