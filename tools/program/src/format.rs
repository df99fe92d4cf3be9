// SPDX-License-Identifier: GPL-2.0

//! Records as text.

use jiff::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;
use umsg::{Level, Record};

use crate::cli::{Format, TimeFormat};
use crate::clock::Clock;
use crate::escape;
use crate::fields::{push_json, push_micros, push_number, push_seconds};

/// How records are formatted.
pub struct Options {
    pub format: Format,
    pub time: TimeFormat,
    /// Colours of a terminal.
    pub color: bool,
    /// Control characters are escaped in every format.
    pub terminal: bool,
}

/// Returns a number of records as text.
pub fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

/// Formats records one after the other.
pub struct Formatter {
    options: Options,
    /// The names of the logs. A record has the index of its log.
    names: Vec<String>,
    /// The second of the last record and the text for it, because consecutive records often have
    /// the same.
    second: Option<(i64, String)>,
    /// The time of the last record.
    last: Option<Duration>,
    /// The record whose line is not ended in the formats cat and raw, because the next record can
    /// continue it: the index of its log, its sequence number and its thread.
    open_line: Option<(usize, u64, u32)>,
    /// The losses of each log that the next record of the format kmsg reports.
    lost: Vec<u64>,
}

impl Formatter {
    pub fn new(options: Options, names: Vec<String>) -> Self {
        let lost = vec![0; names.len()];
        Self { options, names, second: None, last: None, open_line: None, lost }
    }

    /// Appends a record of the log with an index to `out`.
    pub fn record(&mut self, out: &mut Vec<u8>, log: usize, record: &Record<&[u8]>, clock: &Clock) {
        match self.options.format {
            Format::Short | Format::Iso => self.short(out, log, record, clock),
            Format::Json => self.json(out, log, record, clock),
            Format::Cat | Format::Raw => self.cat(out, log, record),
            Format::Kmsg => self.kmsg(out, log, record),
        }
    }

    /// Appends a line that says that `lost` records of a log are missing before the record `seq`,
    /// if the format has such lines. Returns whether it has.
    pub fn lost(&mut self, out: &mut Vec<u8>, log: usize, lost: u64, seq: u64) -> bool {
        match self.options.format {
            Format::Short | Format::Iso => {
                self.note(out, log, &format!("{} lost", records(lost)));
            }
            Format::Json => {
                self.begin_json(out, log);
                push_number(out, ",\"lost\":", lost);
                push_number(out, ",\"seq\":", seq);
                out.extend_from_slice(b"}\n");
            }
            Format::Kmsg => self.lost[log] += lost,
            Format::Cat | Format::Raw => return false,
        }
        true
    }

    /// Appends a line about a log that is not a record: `text` for people, `key` and `value` in
    /// JSON. Returns whether the format has such lines.
    pub fn event(&self, out: &mut Vec<u8>, log: usize, text: &str, key: &str, value: u64) -> bool {
        match self.options.format {
            Format::Short | Format::Iso => self.note(out, log, text),
            Format::Json => {
                self.begin_json(out, log);
                out.extend_from_slice(b",\"");
                out.extend_from_slice(key.as_bytes());
                push_number(out, "\":", value);
                out.extend_from_slice(b"}\n");
            }
            Format::Cat | Format::Raw | Format::Kmsg => return false,
        }
        true
    }

    /// Returns the losses of each log that no record has reported, and forgets them.
    pub fn unreported(&mut self) -> Vec<u64> {
        self.lost.iter_mut().map(std::mem::take).collect()
    }

    /// Ends a line that is open.
    pub fn end_line(&mut self, out: &mut Vec<u8>) {
        if self.open_line.take().is_some() {
            out.push(b'\n');
        }
    }

    /// Appends a line that is not a record.
    fn note(&self, out: &mut Vec<u8>, log: usize, text: &str) {
        out.extend_from_slice(b"-- ");
        if self.names.len() > 1 {
            out.extend_from_slice(self.names[log].as_bytes());
            out.extend_from_slice(b": ");
        }
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b" --\n");
    }

    fn short(&mut self, out: &mut Vec<u8>, log: usize, record: &Record<&[u8]>, clock: &Clock) {
        let start = out.len();
        self.time(out, record, clock);
        out.push(b' ');
        if self.names.len() > 1 {
            out.extend_from_slice(self.names[log].as_bytes());
            out.push(b' ');
        }
        escape::push_word(out, record.comm_bytes());
        if let Some(pid) = record.pid {
            push_number(out, "[", pid.into());
            out.push(b']');
        }
        out.extend_from_slice(b": ");
        let color = match record.priority.level {
            _ if !self.options.color => "",
            Level::Emerg | Level::Alert | Level::Crit | Level::Err => "\x1b[1;31m",
            Level::Warning => "\x1b[1;33m",
            Level::Notice => "\x1b[1m",
            Level::Info => "",
            Level::Debug => "\x1b[90m",
        };
        // Further lines of the text begin below its first line.
        let indent = out.len() - start;
        out.extend_from_slice(color.as_bytes());
        escape::push(out, record.text, indent);
        if !color.is_empty() {
            out.extend_from_slice(b"\x1b[0m");
        }
        out.push(b'\n');
    }

    /// Appends the time of a record in the form of the options.
    fn time(&mut self, out: &mut Vec<u8>, record: &Record<&[u8]>, clock: &Clock) {
        let iso = self.options.format == Format::Iso;
        match self.options.time {
            TimeFormat::Monotonic => {
                push_seconds(out, "[", record.time, 5, "]");
            }
            TimeFormat::Relative => {
                let last = self.last.replace(record.time).unwrap_or(record.time);
                match record.time.checked_sub(last) {
                    Some(time) => push_seconds(out, "[+", time, 4, "]"),
                    None => push_seconds(out, "[-", last - record.time, 4, "]"),
                }
            }
            TimeFormat::Utc => {
                let nanoseconds = self.second(out, record, clock, "%Y-%m-%dT%H:%M:%S", true);
                push_micros(out, nanoseconds);
                out.push(b'Z');
            }
            TimeFormat::Local if iso => {
                let nanoseconds = self.second(out, record, clock, "%Y-%m-%dT%H:%M:%S%:z", false);
                // The offset from UTC follows the fraction.
                let offset = out.split_off(out.len() - "+00:00".len());
                push_micros(out, nanoseconds);
                out.extend_from_slice(&offset);
            }
            TimeFormat::Local => {
                let nanoseconds = self.second(out, record, clock, "%b %d %H:%M:%S", false);
                push_micros(out, nanoseconds);
            }
        }
    }

    /// Appends the second of a record's time of day. Returns the nanoseconds after it.
    fn second(
        &mut self,
        out: &mut Vec<u8>,
        record: &Record<&[u8]>,
        clock: &Clock,
        form: &str,
        utc: bool,
    ) -> u32 {
        let (second, nanoseconds) = clock.day(record.time);
        if self.second.as_ref().is_none_or(|(known, _)| *known != second) {
            let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            let zone = if utc { jiff::tz::TimeZone::UTC } else { clock.zone().clone() };
            let mut text = String::new();
            // Writing to a string does not fail.
            let _ = write!(text, "{}", time.to_zoned(zone).strftime(form));
            self.second = Some((second, text));
        }
        if let Some((_, text)) = &self.second {
            out.extend_from_slice(text.as_bytes());
        }
        nanoseconds
    }

    /// Begins an object with the name of a log.
    fn begin_json(&self, out: &mut Vec<u8>, log: usize) {
        out.extend_from_slice(b"{\"log\":");
        push_json(out, self.names[log].as_bytes());
    }

    fn json(&mut self, out: &mut Vec<u8>, log: usize, record: &Record<&[u8]>, clock: &Clock) {
        self.begin_json(out, log);
        push_number(out, ",\"seq\":", record.seq);
        out.extend_from_slice(b",\"time\":\"");
        let nanoseconds = self.second(out, record, clock, "%Y-%m-%dT%H:%M:%S", true);
        push_micros(out, nanoseconds);
        push_number(out, "Z\",\"usec\":", record.time.as_micros() as u64);
        out.extend_from_slice(b",\"facility\":");
        match record.priority.facility.name() {
            Some(name) => push_json(out, name.as_bytes()),
            None => push_number(out, "", record.priority.facility.number().into()),
        }
        out.extend_from_slice(b",\"level\":");
        push_json(out, record.priority.level.name().as_bytes());
        if let (Some(pid), Some(tid)) = (record.pid, record.tid) {
            push_number(out, ",\"pid\":", pid.into());
            push_number(out, ",\"tid\":", tid.into());
        }
        push_number(out, ",\"uid\":", record.uid.into());
        if record.opener != record.uid {
            push_number(out, ",\"opener\":", record.opener.into());
        }
        out.extend_from_slice(b",\"comm\":");
        push_json(out, record.comm_bytes());
        if record.continues {
            out.extend_from_slice(b",\"continues\":true");
        }
        out.extend_from_slice(b",\"text\":");
        push_json(out, record.text);
        out.extend_from_slice(b"}\n");
    }

    fn cat(&mut self, out: &mut Vec<u8>, log: usize, record: &Record<&[u8]>) {
        // Only the next record of the log is surely a part of the same line. In another pid
        // namespace, threads are not known.
        let joined = record.continues
            && record
                .tid
                .is_some_and(|tid| self.open_line == Some((log, record.seq.wrapping_sub(1), tid)));
        if !joined {
            self.end_line(out);
            if self.options.format == Format::Raw {
                push_number(out, "<", record.priority.number().into());
                out.push(b'>');
            }
        }
        if self.options.terminal {
            escape::push(out, record.text, 0);
        } else {
            out.extend_from_slice(record.text);
        }
        self.open_line = Some((log, record.seq, record.tid.unwrap_or(0)));
    }

    fn kmsg(&mut self, out: &mut Vec<u8>, log: usize, record: &Record<&[u8]>) {
        push_number(out, "", record.priority.number().into());
        push_number(out, ",", record.seq);
        push_number(out, ",", record.time.as_micros() as u64);
        out.extend_from_slice(if record.continues { b",c;" } else { b",-;" });
        escape::push_kmsg(out, record.text);
        push_number(out, "\n PID=", record.pid.unwrap_or(0).into());
        push_number(out, "\n TID=", record.tid.unwrap_or(0).into());
        push_number(out, "\n UID=", record.uid.into());
        out.extend_from_slice(b"\n COMM=");
        escape::push_kmsg(out, record.comm_bytes());
        if record.opener != record.uid {
            push_number(out, "\n OPENER=", record.opener.into());
        }
        match std::mem::take(&mut self.lost[log]) {
            0 => {}
            lost => push_number(out, "\n LOST=", lost),
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umsg::Priority;

    fn formatted(
        format: Format,
        time: TimeFormat,
        color: bool,
        records: &[Record<&[u8]>],
    ) -> String {
        let options = Options { format, time, color, terminal: false };
        let mut formatter = Formatter::new(options, vec!["umsg".to_owned()]);
        let mut out = Vec::new();
        let clock = Clock::for_tests(1_700_000_000_000_000_000);
        for record in records {
            if record.lost > 0 {
                formatter.lost(&mut out, 0, record.lost, record.seq);
            }
            formatter.record(&mut out, 0, record, &clock);
        }
        formatter.end_line(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn record(seq: u64, text: &[u8]) -> Record<&[u8]> {
        Record {
            seq,
            time: Duration::from_nanos(1_500_000_999),
            lost: 0,
            priority: Priority::from_number(11).expect("a priority"),
            continues: false,
            pid: Some(12),
            tid: Some(13),
            uid: 1000,
            opener: 1000,
            comm: *b"a-command\0\0\0\0\0\0\0",
            text,
        }
    }

    #[test]
    fn formats_of_a_record() {
        let mut second = record(7, b"two\nlines \xff");
        (second.lost, second.pid, second.tid, second.opener) = (3, None, None, 0);
        let records = [record(3, b"disk \"full\""), second];
        let all = |format, time| formatted(format, time, false, &records);
        assert_eq!(
            all(Format::Short, TimeFormat::Local),
            "Nov 14 22:13:21.500000 a-command[12]: disk \"full\"\n\
             -- 3 records lost --\n\
             Nov 14 22:13:21.500000 a-command: two\n                                  lines \\xff\n"
        );
        assert!(all(Format::Iso, TimeFormat::Local)
            .starts_with("2023-11-14T22:13:21.500000+00:00 a-command[12]: disk"));
        assert!(all(Format::Short, TimeFormat::Utc)
            .starts_with("2023-11-14T22:13:21.500000Z a-command[12]: disk"));
        assert!(all(Format::Short, TimeFormat::Monotonic).starts_with("[    1.500000] a-command"));
        assert!(all(Format::Short, TimeFormat::Relative).starts_with("[+   0.000000] a-command"));
        assert_eq!(
            all(Format::Json, TimeFormat::Local),
            "{\"log\":\"umsg\",\"seq\":3,\"time\":\"2023-11-14T22:13:21.500000Z\",\"usec\":1500000,\
             \"facility\":\"user\",\"level\":\"err\",\"pid\":12,\"tid\":13,\"uid\":1000,\
             \"comm\":\"a-command\",\"text\":\"disk \\\"full\\\"\"}\n\
             {\"log\":\"umsg\",\"lost\":3,\"seq\":7}\n\
             {\"log\":\"umsg\",\"seq\":7,\"time\":\"2023-11-14T22:13:21.500000Z\",\"usec\":1500000,\
             \"facility\":\"user\",\"level\":\"err\",\"uid\":1000,\"opener\":0,\
             \"comm\":\"a-command\",\
             \"text\":[116,119,111,10,108,105,110,101,115,32,255]}\n"
        );
        assert_eq!(
            all(Format::Kmsg, TimeFormat::Local),
            "11,3,1500000,-;disk \"full\"\n PID=12\n TID=13\n UID=1000\n COMM=a-command\n\
             11,7,1500000,-;two\\x0alines \\xff\n PID=0\n TID=0\n UID=1000\n COMM=a-command\n \
             OPENER=0\n LOST=3\n"
        );
        assert_eq!(
            formatted(Format::Short, TimeFormat::Monotonic, true, &records[..1]),
            "[    1.500000] a-command[12]: \x1b[1;31mdisk \"full\"\x1b[0m\n"
        );
    }

    #[test]
    fn continuations_are_joined() {
        let mut more = record(4, b" of a line");
        more.continues = true;
        let mut other = record(5, b" of another");
        (other.continues, other.tid) = (true, Some(14));
        // The record in between was lost or did not match.
        let mut later = record(8, b" of a third");
        later.continues = true;
        let mut unknown = record(9, b" of somebody");
        (unknown.continues, unknown.tid) = (true, None);
        let records = [record(3, b"the rest"), more, other, record(6, b"next"), later, unknown];
        let texts = formatted(Format::Cat, TimeFormat::Local, false, &records);
        let want = "the rest of a line\n of another\nnext\n of a third\n of somebody\n";
        assert_eq!(texts, want);
        let texts = formatted(Format::Raw, TimeFormat::Local, false, &records[..4]);
        assert_eq!(texts, "<11>the rest of a line\n<11> of another\n<11>next\n");
    }
}
