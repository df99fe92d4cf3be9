// SPDX-License-Identifier: GPL-2.0

//! Waits for the first error in a log, for at most ten seconds, in a task of tokio.
//!
//! usage: async [LOG]

use std::time::Duration;
use umsg::{AsyncReader, Level, Log, Position};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut reader = Log::named(name).reader()?;
    reader.seek(Position::Next)?;
    let mut reader = AsyncReader::new(reader)?;
    let error = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let record = reader.next().await?;
            if record.priority.level <= Level::Err {
                return umsg::Result::Ok(record);
            }
        }
    });
    println!("{}", String::from_utf8_lossy(&error.await??.text));
    Ok(())
}
