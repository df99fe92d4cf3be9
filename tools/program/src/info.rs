// SPDX-License-Identifier: GPL-2.0

//! Size, use, losses and users of logs.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use umsg::{abi, Info, Log};

use crate::{cli, escape, Result, FAILED};

/// Bytes that a record takes in a log beyond its text, on average: its header, and the padding of
/// its text to a multiple of 8.
const RECORD_OVERHEAD: u64 = 60;

/// A process that has a log open.
#[derive(Serialize)]
struct User {
    pid: u32,
    comm: String,
    reads: bool,
    writes: bool,
    /// Number of records that it has not read yet, if it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    /// Number of records that it has lost, if it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

/// The state of a log.
#[derive(Serialize)]
struct Report {
    log: String,
    path: String,
    capacity: u64,
    /// Part of the capacity that is in use, in percent.
    used: u64,
    records: u64,
    next_seq: u64,
    dropped: u64,
    refused: u64,
    record_max: u32,
    policy: &'static str,
    style: &'static str,
    mode: String,
    users: Vec<User>,
}

pub fn info(options: &cli::Info) -> Result {
    let logs = if options.logs.is_empty() { Log::list()? } else { cli::named(&options.logs) };
    let mut users = users();
    let mut reports = Vec::new();
    let mut status = ExitCode::SUCCESS;
    for log in &logs {
        let (info, node) = match (log.info(), fs::metadata(log.path())) {
            (Ok(info), Ok(node)) => (info, node),
            (info, _) => {
                // The others are shown.
                let error =
                    info.err().map_or("the node is gone".to_owned(), |error| error.to_string());
                eprintln!("umsg: {log}: {error}");
                status = ExitCode::from(FAILED);
                continue;
            }
        };
        reports.push(report(
            log,
            &info,
            node.mode(),
            users.remove(&node.rdev()).unwrap_or_default(),
        ));
    }
    let mut text = Vec::new();
    if options.json {
        for report in &reports {
            serde_json::to_writer(&mut text, report)?;
            text.push(b'\n');
        }
    } else if !reports.is_empty() {
        push_table(&mut text, &reports);
    }
    io::stdout().write_all(&text)?;
    Ok(status)
}

fn report(log: &Log, info: &Info, mode: u32, users: Vec<User>) -> Report {
    let records = info.records_written.saturating_sub(info.records_dropped);
    let bytes = info.bytes_written.saturating_sub(info.bytes_dropped);
    let used = (bytes + records * RECORD_OVERHEAD) * 100 / info.capacity.max(1);
    Report {
        log: log.name().into_owned(),
        path: log.path().display().to_string(),
        capacity: info.capacity,
        used: used.min(100),
        records,
        next_seq: info.next_seq,
        dropped: info.records_dropped,
        refused: info.records_refused,
        record_max: info.record_max,
        policy: if info.policy == abi::STOP { "stop" } else { "overwrite" },
        style: match info.style {
            abi::LINES => "lines",
            abi::KMSG => "kmsg",
            abi::PLAIN => "plain",
            _ => "unknown",
        },
        mode: format!("{:04o}", mode & 0o777),
        users,
    }
}

/// Returns the processes that have character devices open, by the number of the device. Processes
/// of other users are seen by root only.
fn users() -> BTreeMap<u64, Vec<User>> {
    let mut users: BTreeMap<u64, Vec<User>> = BTreeMap::new();
    let list = |path: &str| fs::read_dir(path).into_iter().flatten().flatten();
    for process in list("/proc") {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for file in list(&format!("/proc/{pid}/fd")) {
            let Some(number) = file.file_name().to_str().map(str::to_owned) else { continue };
            let Ok(state) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")) else {
                continue;
            };
            let field = |name: &str| {
                state
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                    .map(str::trim)
            };
            // Only files of umsg have this field. Their paths can be any, such as that in a chroot.
            // The others are not asked for their metadata, because a dead server would not answer.
            if field("next-seq").is_none() {
                continue;
            }
            let Ok(node) = fs::metadata(file.path()) else { continue };
            // The log was removed, and another one can have its number.
            if node.nlink() == 0 {
                continue;
            }
            let flags =
                field("flags").and_then(|flags| u32::from_str_radix(flags, 8).ok()).unwrap_or(0);
            let (reads, writes) = (flags & 3 != 1, flags & 3 != 0);
            let number = |name| field(name).and_then(|text| text.parse().ok()).filter(|_| reads);
            let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            let mut name = Vec::new();
            escape::push_word(&mut name, comm.strip_suffix(b"\n").unwrap_or(&comm));
            users.entry(node.rdev()).or_default().push(User {
                pid,
                comm: String::from_utf8_lossy(&name).into_owned(),
                reads,
                writes,
                lag: number("lag"),
                lost: number("lost"),
            });
        }
    }
    for list in users.values_mut() {
        list.sort_by_key(|user| user.pid);
    }
    users
}

/// Returns a size in the largest unit that divides it.
fn size(bytes: u64) -> String {
    [(1_u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit && bytes % unit == 0)
        .map_or(bytes.to_string(), |(unit, letter)| format!("{}{letter}", bytes / unit))
}

/// Appends a table of logs and the processes that use them.
fn push_table(text: &mut Vec<u8>, reports: &[Report]) {
    let mut rows =
        vec![["LOG", "SIZE", "USED", "RECORDS", "DROPPED", "REFUSED", "POLICY", "STYLE", "MODE"]
            .map(str::to_owned)];
    rows.extend(reports.iter().map(|report| {
        [
            report.log.clone(),
            size(report.capacity),
            format!("{}%", report.used),
            report.records.to_string(),
            report.dropped.to_string(),
            report.refused.to_string(),
            report.policy.to_owned(),
            report.style.to_owned(),
            report.mode.clone(),
        ]
    }));
    let widths: Vec<usize> =
        (0..9).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            // Numbers are aligned at their right.
            .map(|(column, (cell, width))| match column {
                1..=5 => format!("{cell:>width$}"),
                _ => format!("{cell:width$}"),
            })
            .collect();
        text.extend_from_slice(cells.join("  ").trim_end().as_bytes());
        text.push(b'\n');
        let Some(report) = number.checked_sub(1).map(|index| &reports[index]) else { continue };
        for user in &report.users {
            let verb = match (user.reads, user.writes) {
                (true, true) => "reads and writes",
                (true, false) => "reads",
                _ => "writes",
            };
            let mut line = format!("  {}[{}] {verb}", user.comm, user.pid);
            if let (Some(lag), Some(lost)) = (user.lag, user.lost) {
                line += &format!(", {lag} to read, {lost} lost");
            }
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
    }
}
