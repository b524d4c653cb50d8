//! Bounces from a maildir: each mail in `new` is read, noted, and moved to `cur`: as seen if it was a report, as unseen if a person should look.
//!
//! Noted before it is moved: a crash between the two reads it again, which changes nothing.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::feedback::DeliveryReport;
use crate::feedback::bounce::{self, BOUNCE_MAX};
use crate::outbox::{Outbox, Result};
use crate::receipt::{DeliveryStatus, Received};

use super::receipts;

/// Mails that one poll reads; the next poll reads the next.
const MAILS: usize = 1000;

/// Reads what has come: what became of each message of which it said something new. What cannot be read or moved is told in the log, and tried
/// again at the next poll.
pub async fn poll(maildir: &Path, outbox: &dyn Outbox, clock: &dyn Clock) -> Result<Vec<DeliveryStatus>> {
    let mut noted = Vec::new();
    let new = maildir.join("new");
    let names = match names(&new) {
        Ok(names) => names,
        Err(why) => {
            tracing::error!(maildir = %maildir.display(), %why, "the bounces cannot be read");
            return Ok(noted);
        }
    };
    for name in names {
        let read = match report(&new.join(&name)) {
            Ok(read) => read,
            Err(why) => {
                tracing::warn!(%why, "a bounce cannot be read");
                continue;
            }
        };
        let flags = match read {
            Ok(report) => {
                let status = report.status;
                if let Received::Noted(_) = receipts::take(outbox, report, clock.now()).await? {
                    noted.push(status);
                }
                ":2,S"
            }
            Err(why) => {
                tracing::info!(why, "a mail among the bounces is none");
                ":2,"
            }
        };
        let base = name.to_string_lossy().split(':').next().unwrap_or_default().to_owned();
        if let Err(why) = fs::rename(new.join(&name), maildir.join("cur").join(base + flags)) {
            tracing::error!(%why, "a bounce was noted and cannot be moved: is there a folder cur?");
            return Ok(noted);
        }
    }
    Ok(noted)
}

/// Files, no links and folders, in a stable order.
fn names(new: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(new)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(PathBuf::from(entry.file_name()));
        }
    }
    names.sort();
    names.truncate(MAILS);
    Ok(names)
}

fn report(path: &Path) -> io::Result<std::result::Result<DeliveryReport, &'static str>> {
    let mut mail = Vec::new();
    fs::File::open(path)?.take(BOUNCE_MAX as u64).read_to_end(&mut mail)?;
    Ok(bounce::read(&mail))
}
