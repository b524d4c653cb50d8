//! Answers questions about time zones, one a line, so that another program can check the answers.
//!
//! ```text
//! $ printf 'Eastern Standard Time\t2026-11-01T06:30:00Z\nAmerica/New_York\t2026-11-01T01:30:00\n' | cargo run --example zone_at
//! America/New_York  2026-11-01T01:30:00  -18000  std  2026-11-01T06:30:00Z  exact
//! America/New_York  2026-11-01T01:30:00  -14400  dst  2026-11-01T05:30:00Z  doubtful
//! ```
//!
//! - Input: an id, a tab, and an instant (RFC 3339) or a civil time (without an offset).
//! - Output, with tabs: the zone, its local time then, seconds east of UTC, `std` or `dst`, the instant, and `doubtful`
//!   for a civil time that was skipped or happens twice (else `exact`). `error` and the reason for a line that has no answer.
//! - `--version` prints the release of the zone data and where it came from.
//! - Environment: `ZONEINFO` names the only zoneinfo folder looked into, in place of the host's.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use chrono::{DateTime, NaiveDateTime, Utc};
use punctual::zone::{Settings, Zones};

fn main() -> std::io::Result<()> {
    let zones = match std::env::var_os("ZONEINFO") {
        Some(folder) => Zones::load_from(&Settings::default(), &[PathBuf::from(folder)]),
        None => Zones::load(&Settings::default()),
    }
    .expect("without settings there is nothing to refuse");
    if std::env::args().any(|arg| arg == "--version") {
        println!("{}\t{}", zones.data().version, zones.data().origin);
        return Ok(());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&zones, &line?).unwrap_or_else(|why| format!("error\t{why}"));
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(zones: &Zones, line: &str) -> Result<String, String> {
    let (id, time) = line.split_once('\t').ok_or("expected an id, a tab and a time")?;
    let zone = zones.lookup(id)?;
    let (at, doubtful) = if let Ok(instant) = DateTime::parse_from_rfc3339(time) {
        (instant.with_timezone(&Utc), false)
    } else {
        let civil: NaiveDateTime = time.parse().map_err(|e| format!("{time}: {e}"))?;
        (zone.instant(civil), zone.is_ambiguous(civil))
    };
    let local = zone.local(at);
    let fields = [
        zone.name().to_owned(),
        local.civil.format("%Y-%m-%dT%H:%M:%S").to_string(),
        local.offset_seconds.to_string(),
        if local.dst { "dst" } else { "std" }.to_owned(),
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        if doubtful { "doubtful" } else { "exact" }.to_owned(),
    ];
    Ok(fields.join("\t"))
}
