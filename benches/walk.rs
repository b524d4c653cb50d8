//! What a look at a source costs when little changed in it. Run: `cargo bench --bench walk [-- SESSIONS [--sealed]]`; and, of a store that
//! holds many sessions that are over, or many that wait for an operator: `cargo bench --bench walk -- SESSIONS --over`, `-- SESSIONS --guarded`.
//!
//! One file of 100,000 sessions is parsed, and walked into a store: all new, then unchanged, then with 100 and with 200 of them changed.
//! The bars: a walk of what did not change costs at most three times the parsing; the changes cost in proportion to their number; a walk of 100
//! sessions costs at most 1.2 times as much when 300,000 are over; a guarded list that is as before writes at most 100 kB.
//! Times are the shortest of several, since the machine may do other things too.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::cell::RefCell;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use punctual::config;
use punctual::outbox::sqlite::{Access, SqliteOutbox, StoreKey};
use punctual::plan::Policy;
use punctual::session::Snapshot;
use punctual::source::{ambiguity, json};
use punctual::walk::{Elsewhere, WalkSummary, walk, walk_beside};

/// Repetitions of what leaves no trace.
const TIMES: usize = 5;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

/// The first `changed` sessions have another passkey in each revision.
fn body(sessions: usize, changed: usize, revision: usize) -> String {
    let start = now() + TimeDelta::days(7);
    let one = |n: usize| {
        let at = (start + TimeDelta::minutes(15 * (n % 600) as i64)).format("%Y-%m-%dT%H:%M:%S");
        let passkey = if n <= changed { format!("K{revision}-{n}") } else { String::new() };
        let code = 100_000_000 + n;
        format!(
            r#"{{"SessionId":{n},"ScheduleTs":"{at}","Participants":[{{"ParticipationId":{n},"ParticipantFullName":"Person {n}","ParticipantEmailAddress":"p{n}@example.com","ParticipantTimeZoneWindowsId":"Eastern Standard Time","ConnectCode":{code},"Passkey":"{passkey}","ShouldAutoDeliverCode":"E"}}]}}"#
        )
    };
    format!("[{}]", (1..=sessions).map(one).collect::<Vec<_>>().join(",\n"))
}

fn parse(body: &str) -> Snapshot {
    let mut snapshot = json::parse(body.as_bytes()).unwrap();
    ambiguity::mark(&mut snapshot, now());
    snapshot
}

/// The shortest of several.
fn shortest<T>(mut run: impl FnMut() -> (Duration, T)) -> (Duration, T) {
    (0..TIMES).map(|_| run()).min_by_key(|(took, _)| *took).unwrap()
}

struct Walker {
    store: SqliteOutbox,
    policy: Policy,
    runtime: tokio::runtime::Runtime,
    /// What the walks of a process remember.
    elsewhere: RefCell<Elsewhere>,
}

impl Walker {
    /// One of many walks of a process: how long it took, and what it did.
    fn walk(&self, snapshot: &Snapshot) -> (Duration, WalkSummary) {
        let start = Instant::now();
        let mut elsewhere = self.elsewhere.borrow_mut();
        let walked = walk_beside(&self.store, &mut elsewhere, ("bench", snapshot), &self.policy, now());
        let report = self.runtime.block_on(walked).unwrap();
        (start.elapsed(), report)
    }

    /// As the first walk of a process: it knows nothing of other sources yet.
    fn walk_at(&self, source: &str, snapshot: &Snapshot, at: DateTime<Utc>) -> (Duration, WalkSummary) {
        let start = Instant::now();
        let report = self.runtime.block_on(walk(&self.store, source, snapshot, &self.policy, at)).unwrap();
        (start.elapsed(), report)
    }
}

/// A month later: none of the sessions that the store holds is to come but a hundred, one of which changes each time; then likewise those of a second
/// source, while all that are over are the first one's.
fn over(walker: &Walker, sessions: usize) {
    let later = now() + TimeDelta::days(30);
    let live = |first: usize, revision: usize| {
        let ids = first..first + 100;
        let at = (later + TimeDelta::days(2)).format("%Y-%m-%dT%H:%M:%S");
        let one = |n: usize| {
            let name = if n == first { revision } else { 0 };
            format!(
                r#"{{"SessionId":{},"ScheduleTs":"{at}","Participants":[{{"ParticipationId":{},"ParticipantFullName":"Person {name}","ParticipantEmailAddress":"l{n}@example.com","ParticipantTimeZoneWindowsId":"Eastern Standard Time","ConnectCode":{},"ShouldAutoDeliverCode":"E"}}]}}"#,
                10_000_000 + n,
                10_000_000 + n,
                900_000_000 + n
            )
        };
        parse(&format!("[{}]", ids.map(one).collect::<Vec<_>>().join(",")))
    };
    let mut revision = 0;
    let mut measure = |what: &str, source: &str, first: usize| {
        walker.walk_at(source, &live(first, 0), later);
        let (took, report) = shortest(|| {
            revision += 1;
            walker.walk_at(source, &live(first, revision), later)
        });
        println!("{what:<40} {took:>8.1?}, {} planned", report.planned);
        took
    };
    let alone = measure("100 sessions to come", "bench", 1);
    // Read in parts: a body may have 32 MiB.
    let all = body(sessions, 0, 0);
    let records: Vec<&str> = all.trim_matches(['[', ']']).split(",\n").collect();
    let mut list = Snapshot::default();
    for some in records.chunks(50_000) {
        list.sessions.extend(parse(&format!("[{}]", some.join(",\n"))).sessions);
    }
    walker.walk(&list);
    let beside = measure(&format!("the same, and {sessions} that are over"), "bench", 1);
    println!("{:.2} times", beside.as_secs_f64() / alone.as_secs_f64());
    let second = measure("100 of a second source, at its start", "second", 1_001);
    println!("{:.2} times", second.as_secs_f64() / alone.as_secs_f64());
}

/// Each has the next one's address: all of them wait, and the list stays so.
fn guarded(walker: &Walker, sessions: usize) {
    let written = || -> u64 {
        let io = std::fs::read_to_string("/proc/self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
    };
    let list = body(sessions, 0, 0);
    walker.walk(&parse(&list));
    let slips = |(n, record): (usize, &str)| record.replace(&format!("\"p{n}@"), &format!("\"p{}@", n + 1));
    let slipped = parse(&list.split(",\n").enumerate().map(slips).collect::<Vec<_>>().join(",\n"));
    for what in ["the addresses slip", "as before", "as before"] {
        let before = written();
        let (took, report) = walker.walk(&slipped);
        println!("{what:<24} {took:>8.1?}, {} wait, {} kB written", report.guarded, (written() - before) / 1000);
    }
}

fn main() {
    let sessions = std::env::args().skip(1).find(|a| !a.starts_with("--")).map_or(100_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let key = std::env::args().any(|a| a == "--sealed").then(|| StoreKey::parse(&"07".repeat(32)).unwrap());
    let url = format!("sqlite://{}", folder.path().join("outbox.db").display());
    let store = SqliteOutbox::open_with(&url, Access::Daemon, key.as_ref()).unwrap();
    let config = config::parse("[practice]\nname = \"Lakeside\"\n", None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let walker = Walker { store, policy: config.policy, runtime: tokio::runtime::Runtime::new().unwrap(), elsewhere: RefCell::default() };

    if std::env::args().any(|a| a == "--over") {
        return over(&walker, sessions);
    }
    if std::env::args().any(|a| a == "--guarded") {
        return guarded(&walker, sessions);
    }
    let unchanged = body(sessions, 0, 0);
    println!("{sessions} sessions, {:.1} MB", unchanged.len() as f64 / 1e6);
    let (parsing, snapshot) = shortest(|| {
        let start = Instant::now();
        let snapshot = parse(&unchanged);
        (start.elapsed(), snapshot)
    });
    let told = |what: &str, took: Duration, report: &WalkSummary| {
        println!("{what:<24} {:>8.1?}  {:>6.2} x parsing, {} planned", took, took.as_secs_f64() / parsing.as_secs_f64(), report.planned);
    };
    println!("{:<24} {parsing:>8.1?}", "parsing");
    let (took, report) = walker.walk(&snapshot);
    told("a walk, all new", took, &report);
    let (same, report) = shortest(|| walker.walk(&snapshot));
    told("a walk, unchanged", same, &report);
    let mut revision = 0;
    for changed in [100, 200] {
        let (took, report) = shortest(|| {
            revision += 1;
            walker.walk(&parse(&body(sessions, changed, revision)))
        });
        told(&format!("a walk, {changed} changed"), took, &report);
        println!("{:<24} {:>8.1?}", "  more than unchanged", took.saturating_sub(same));
    }
}
