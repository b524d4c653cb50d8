//! `demo --nodes`: several daemons that serve a practice from one PostgreSQL database, all on this machine. One of them is killed at its work.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::super::table::{TableStyle, Tone, cell, table, text};
use super::super::{Exit, runtime};
use super::database::DemoDatabase;
use crate::clock::{Clock, WallClock};
use crate::config;
use crate::entry::State;
use crate::outbox::Outbox;

/// Sessions that are booked before the daemons start, and when one of them is killed.
const BOOKED: [i64; 2] = [60, 60];
/// So many are told when it is killed.
const KILLED_AFTER: usize = 25;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// All of it takes no longer.
const WITHIN: Duration = Duration::from_secs(180);

const CONFIGURATION: &str = r#"[practice]
name = "Lakeside Telehealth"
contact = "+1 555-0100"
region = "US"
locale = "en-US"
time_zone = "America/New_York"

[node]
name = "NAME"                      # all else is the same on each machine

[[source]]
name = "sessions"
kind = "file"
path = "../sessions.json"          # which all of them can read
poll = "*/2 * * * * *"

[[reminder]]
name = "1h"
before = "1h"
[invite]
settle = "0s"
[adopt]
invites = true

[store]
url = "URL"

[email]
from = "Lakeside Telehealth <sessions@lakeside.example>"
[[email.relay]]
kind = "folder"
path = "mail"
rate = "8/s"                       # of all nodes together
"#;

/// A daemon, in a folder of its own.
struct Node {
    name: char,
    folder: PathBuf,
    process: Child,
}

impl Node {
    fn start(dir: &Path, name: char, url: &str) -> anyhow::Result<Self> {
        let folder = dir.join(name.to_string());
        fs::create_dir(&folder)?;
        let file = folder.join("punctual.toml");
        fs::write(&file, CONFIGURATION.replace("NAME", &name.to_string()).replace("URL", url))?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--config").arg(&file).arg("run").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { name, folder, process: command.spawn().context("cannot start a daemon")? })
    }

    /// The messages that it handed over, by their Message-ID.
    fn copies(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.join("mail")).into_iter().flatten().flatten();
        let id = |text: String| text.lines().find_map(|line| line.strip_prefix("Message-ID:").map(|id| id.trim().to_owned()));
        files
            .filter(|file| file.path().extension().is_some_and(|e| e == "eml"))
            .filter_map(|file| id(fs::read_to_string(file.path()).ok()?))
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What is played, and where.
struct Play {
    dir: PathBuf,
    /// Dropped before the database.
    nodes: Vec<Node>,
    store: Arc<dyn Outbox>,
    begun: Instant,
    /// By the clock on the wall.
    at: DateTime<Utc>,
    _database: DemoDatabase,
}

pub(super) fn demo(dir: &Path, count: u8, colors: TableStyle) -> anyhow::Result<Exit> {
    out!(
        "Punctual's demo of several nodes, in {}: {count} daemons over one PostgreSQL database, folders in place of a mail server.\n",
        dir.display()
    );
    runtime()?.block_on(async {
        let played = async {
            let mut play = Play::open(dir, count)?;
            play.runs().await?;
            play.tells(colors).await
        };
        // Whatever ends it but kill -9: the daemons and the database end with it.
        let (mut terminated, mut hung_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
        tokio::select! {
            played = played => played.map(|()| Exit::Done),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
            _ = terminated.recv() => Ok(Exit::Done),
            _ = hung_up.recv() => Ok(Exit::Done),
        }
    })
}

impl Play {
    fn open(dir: &Path, count: u8) -> anyhow::Result<Self> {
        let database = DemoDatabase::start()?;
        let at = WallClock.now();
        super::write_sessions(dir, &sessions(at, BOOKED[0]))?;
        let begun = Instant::now();
        let nodes: Vec<Node> =
            ('a'..='z').take(count.into()).map(|name| Node::start(dir, name, &database.url())).collect::<anyhow::Result<_>>()?;
        let file = nodes[0].folder.join("punctual.toml");
        // The first of them makes the practice.
        let config = config::load(Some(&file))?;
        while !crate::daemon::store_exists(&config) {
            ensure!(begun.elapsed() < WITHIN, "no daemon came up: {}", nodes[0].folder.join("log").display());
            std::thread::sleep(LOOK);
        }
        let store = crate::daemon::open_store(&config, false)?;
        Ok(Self { dir: dir.to_owned(), nodes, store, begun, at, _database: database })
    }

    fn says(&self, what: &str) {
        out!("{:>4} s  {what}", self.begun.elapsed().as_secs());
    }

    async fn runs(&mut self) -> anyhow::Result<()> {
        self.says(&format!(
            "{} sessions are booked, and the daemons start. The relay takes 8 messages a second from all of them together.",
            BOOKED[0]
        ));
        let count = self.nodes.len();
        let leader = self.until("all live and one leads", async |play| {
            let nodes = play.store.nodes().await?;
            let lives = nodes.iter().filter(|node| node.lives).count() == count;
            Ok(nodes.into_iter().find(|node| node.leads).filter(|_| lives).map(|node| node.name))
        });
        let leader = leader.await?;
        self.says(&format!("Node {leader} leads: it reads the list. Each of them claims messages, and hands over what it claimed."));
        self.until("the first ones are told", async |play| Ok((play.copies().len() >= KILLED_AFTER).then_some(()))).await?;
        let killed = self.nodes.iter_mut().find(|node| leader.starts_with(node.name)).context("it is one of them")?;
        killed.process.kill()?;
        killed.process.wait()?;
        super::write_sessions(&self.dir, &sessions(self.at, BOOKED.iter().sum()))?;
        self.says(&format!("Node {leader} is killed (kill -9) at its work; {} more sessions are booked. {}", BOOKED[1], self.shares()));
        let next = self.until("another one leads", async |play| {
            let nodes = play.store.nodes().await?;
            Ok(nodes.into_iter().find(|node| node.leads && node.lives && node.name != leader).map(|node| node.name))
        });
        let next = next.await?;
        self.says(&format!("Node {next} leads, and what {leader} had claimed is taken back. {}", self.shares()));
        let total: u64 = BOOKED.iter().sum::<i64>().unsigned_abs();
        self.until("all are told", async |play| {
            let states = play.store.status().await?.by_state;
            let of = |state| states.get(&state).copied().unwrap_or_default();
            Ok((of(State::Accepted) + of(State::Unknown) >= total).then_some(()))
        })
        .await?;
        self.says(&format!("All {total} invites are told. {}", self.shares()));
        Ok(())
    }

    /// Looks until that is so.
    async fn until<T>(&self, what: &str, is_so: impl AsyncFn(&Self) -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
        loop {
            if let Some(found) = is_so(self).await? {
                return Ok(found);
            }
            ensure!(
                self.begun.elapsed() < WITHIN,
                "not so after {} seconds: {what}. The daemons' logs are in {}",
                WITHIN.as_secs(),
                self.dir.display()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    fn copies(&self) -> Vec<String> {
        self.nodes.iter().flat_map(Node::copies).collect()
    }

    fn shares(&self) -> String {
        let each: Vec<String> = self.nodes.iter().map(|node| format!("{} {}", node.name, node.copies().len())).collect();
        format!("Handed over so far: {}.", each.join(", "))
    }

    async fn tells(&self, colors: TableStyle) -> anyhow::Result<()> {
        let rows = self.store.nodes().await?;
        let mut shown = table(colors, &["Node", "Handed over", ""]);
        for node in &self.nodes {
            let row = rows.iter().find(|row| row.name.starts_with(node.name));
            let is = match row {
                Some(row) if row.lives && row.leads => ("leads", Tone::Good),
                Some(row) if row.lives => ("", Tone::Plain),
                _ => ("killed", Tone::Bad),
            };
            shown.add_row([
                cell(node.name.to_string(), Tone::Plain),
                cell(node.copies().len().to_string(), Tone::Plain),
                cell(is.0.to_owned(), is.1),
            ]);
        }
        out!("\n{}", text(&shown));
        let (copies, states) = (self.copies(), self.store.status().await?.by_state);
        let once: BTreeSet<&String> = copies.iter().collect();
        let doubtful = states.get(&State::Unknown).copied().unwrap_or_default();
        out!("{} messages were handed over; {} of them twice.", copies.len(), copies.len() - once.len());
        if doubtful > 0 {
            out!(
                "{doubtful} are in doubt: they were being handed over when the node was killed, and nobody can know. They go again after ten minutes."
            );
        }
        let verified = self.store.verify_ledger(None).await?;
        ensure!(verified.findings.is_empty(), "the ledger is not as it was written: {:?}", verified.findings);
        out!("The ledger is as it was written, over all nodes.\n\nLook at:\n  {}/*/log    what each of them did", self.dir.display());
        out!("  {}/*/mail   every message as a file", self.dir.display());
        Ok(())
    }
}

/// One person each.
fn sessions(now: DateTime<Utc>, count: i64) -> Value {
    let session = |n: i64| {
        let at = (now + TimeDelta::hours(3) + TimeDelta::minutes(n)).format("%Y-%m-%dT%H:%M:00").to_string();
        let (name, email) = (format!("Guest {n}"), format!("guest.{n}@example.com"));
        let guest = super::person((7000 + n, &name), "E", (&email, ""), "Eastern Standard Time", 400_000_000 + n * 1_234_577);
        json!({ "SessionId": 6000 + n, "ScheduleTs": at, "Participants": [guest] })
    };
    Value::Array((1..=count).map(session).collect())
}
