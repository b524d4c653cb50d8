//! `bounce`: reads one mail from standard input, as a mail server pipes it, and notes what it tells of a message of ours.
//!
//! Exit codes are those of sysexits.h, which mail servers understand: 0 read (also if it is about no message that was sent), 65 it is no report,
//! 75 the store cannot be used now and the mail should come again, 78 a bad configuration.

use std::io::Read;

use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::{open_store, receipts};
use crate::feedback::bounce::{self, BOUNCE_MAX};
use crate::receipt::Received;

/// EX_DATAERR
const NO_REPORT: u8 = 65;
/// EX_TEMPFAIL
const AGAIN: u8 = 75;

pub(super) fn bounce(config: Config) -> anyhow::Result<Exit> {
    let mut mail = Vec::new();
    std::io::stdin().lock().take(BOUNCE_MAX as u64).read_to_end(&mut mail)?;
    // The rest is taken and not looked at: a mail server that cannot write it all would send it again.
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    let report = match bounce::read(&mail) {
        Ok(report) => report,
        Err(why) => {
            eprintln!("punctual: no bounce: {why}");
            return Ok(Exit::Code(NO_REPORT));
        }
    };
    let status = report.status;
    let taken = runtime()?.block_on(async {
        let store = open_store(&config, false)?;
        anyhow::Ok(receipts::take(&*store, report, WallClock.now()).await?)
    });
    match taken {
        Ok(Received::Noted(key)) => out!("{key}: {status}"),
        Ok(Received::Known(key)) => out!("{key}: {status}, which says nothing new"),
        Ok(Received::Unmatched) => out!("about no message that was sent lately"),
        Err(error) => {
            eprintln!("punctual: {error:#}");
            return Ok(Exit::Code(AGAIN));
        }
    }
    Ok(Exit::Done)
}
