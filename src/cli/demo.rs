//! `demo`: the real engine on sessions of its own, with SQLite and folders in place of servers. Nothing leaves the machine.
//!
//! Then, on a terminal, it serves its pages ([`serving`]).
//!
//! It lives three moments: when the sessions were booked (26 hours ago), 23 hours ago, and now. At each one it does what `run --once` does.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, gallery, runtime};
use crate::clock::{Clock, Fixed, WallClock};
use crate::config;
use crate::daemon::Engine;
use crate::desk::words;
use crate::entry::{Entry, State};
use crate::known::KnownMap;
use crate::outbox::Filter;
use crate::plan::Suppressions;
use crate::preview::{PreviewLine, PreviewRequest, lines};
use crate::render::Renderer;
use crate::source::ambiguity;
use crate::zone::Zone;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The folder to work in. Default: ./punctual-demo, made anew.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Serves no pages: ends when all is printed. (So it does where its output is no terminal.)
    #[arg(long, conflicts_with = "serve")]
    pub(super) once: bool,
    /// Serves pages also where its output is no terminal.
    #[arg(long)]
    pub(super) serve: bool,
    /// Where. Default: 8080, or another one if that is taken.
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// So many daemons over one PostgreSQL database, one of which is killed at its work. Needs a PostgreSQL server's programs.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["once", "serve", "port", "at"], value_parser = clap::value_parser!(u8).range(2..=8))]
    pub(super) nodes: Option<u8>,
    /// The moment at which it plays. Default: now.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<DateTime<Utc>>,
}

mod database;
mod nodes;
mod serving;

/// Where it works when nothing is said.
const FOLDER: &str = "punctual-demo";
/// Tells a folder that the demo made from one that somebody else did.
const MARKER: &str = ".punctual-demo";
/// The moments, as time before now.
const MOMENTS: [(TimeDelta, &str); 3] =
    [(TimeDelta::hours(26), "The sessions were booked"), (TimeDelta::hours(23), "A day before"), (TimeDelta::zero(), "Now")];

const CONFIGURATION: &str = r#"# A configuration to play with. `punctual init` writes one that explains every key.
[practice]
name = "Lakeside Telehealth"
contact = "+1 555-0100"            # shown in messages
region = "US"                      # for numbers without a country code
locale = "en-US"
time_zone = "America/New_York"     # in which staff read times

[[source]]
name = "sessions"
kind = "file"
path = "sessions.json"             # what SecureVideo's GET /session answers
poll = "*/2 * * * * *"             # a real practice asks every 30 seconds

[[reminder]]
name = "24h"
before = "24h"
[[reminder]]
name = "1h"
before = "1h"

[invite]
settle = "0s"                      # a real practice waits two minutes for corrections
[adopt]
invites = true                     # the sessions of this demo are announced by nobody else
[quiet_hours]
from = "21:00"
to = "08:00"
channels = ["sms"]

[templates]
dir = "templates"                  # your own words for messages: the pages write them here

[store]
url = "sqlite://punctual.db"

[email]
from = "Lakeside Telehealth <sessions@lakeside.example>"
reply_to = "front-desk@lakeside.example"
[[email.relay]]
kind = "folder"                    # writes .eml files; "smtp" sends them
path = "outbox/mail"
[[sms.gateway]]
kind = "folder"
path = "outbox/texts"
"#;

pub(super) fn demo(args: &DemoArgs, colors: TableStyle) -> anyhow::Result<Exit> {
    let dir = args.dir.as_deref().unwrap_or(Path::new(FOLDER));
    make_folder(dir)?;
    if let Some(count) = args.nodes {
        return nodes::demo(dir, count, colors);
    }
    let begun = WallClock.now();
    let now = args.at.unwrap_or(begun);
    let file = dir.join("punctual.toml");
    let serves = args.serve || (std::io::stdout().is_terminal() && !args.once);
    let port = if serves { serving::free_port(args.port)? } else { 0 };
    let server = format!("\n[server]\nlisten = \"127.0.0.1:{port}\"       # the pages of staff\nusers_file = \"users.toml\"\n");
    std::fs::write(&file, if serves { format!("{CONFIGURATION}{server}") } else { CONFIGURATION.to_owned() })?;
    if serves {
        serving::write_users(dir)?;
    }
    out!("Punctual's demo, in {}: real sessions, the real engine, folders in place of servers.", dir.display());
    let zone = config::load(Some(&file))?.time_zone;
    let mut shown = Vec::new();
    for (ago, title) in MOMENTS {
        let at = now - ago;
        write_sessions(dir, &sessions(now, ago > TimeDelta::zero()))?;
        let entries = runtime()?.block_on(live(&file, at))?;
        let news: Vec<&Entry> = entries.iter().filter(|e| !shown.contains(&e.notice.key) && e.state == State::Accepted).collect();
        shown.extend(news.iter().map(|e| e.notice.key));
        print_sent(title, (at, now), &news, (colors, &zone));
    }
    print_omitted(&file, now, dir, colors)?;
    out!("Look at:");
    out!("  {}   every message as a file: open one in a mail program", dir.join(serving::MAIL).display());
    out!("  {}   what comes next, as a page", dir.join("preview/index.html").display());
    out!("  {}   the configuration: change it, then try", file.display());
    out!("    punctual --config {} preview", file.display());
    out!("    punctual --config {} outbox list", file.display());
    if serves {
        out!();
        runtime()?.block_on(serving::serve(&file, dir, now + (WallClock.now() - begun)))?;
    }
    Ok(Exit::Done)
}

/// The demo's own folder is made anew; any other is left alone.
fn make_folder(dir: &Path) -> anyhow::Result<()> {
    if let Ok(process) = std::fs::read_to_string(dir.join(MARKER)) {
        let is_there = |process: &str| process.parse::<u32>().is_ok_and(|id| Path::new(&format!("/proc/{id}")).exists());
        if is_there(&process) {
            bail!("another demo works in {} (process {process}): end that one first, or name another folder with --dir", dir.display());
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove the last demo in {}", dir.display()))?;
    } else if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} holds files that no demo made; name another folder with --dir", dir.display());
    }
    std::fs::create_dir_all(dir.join("templates")).with_context(|| format!("cannot make {}", dir.display()))?;
    std::fs::write(dir.join(MARKER), std::process::id().to_string())?;
    Ok(())
}

/// What `run --once` does, at that moment.
async fn live(file: &Path, at: DateTime<Utc>) -> anyhow::Result<Vec<Entry>> {
    let engine = Engine::start(config::load(Some(file))?, Arc::new(Fixed(at))).await?;
    engine.once().await?;
    Ok(engine.outbox().list(&Filter::default()).await?)
}

fn print_sent(title: &str, (at, now): (DateTime<Utc>, DateTime<Utc>), entries: &[&Entry], (colors, zone): (TableStyle, &Zone)) {
    out!("\n{title}: {}", words::clock(at, zone, now));
    let mut rows = table(colors, &["Sent", "Person", "To"]);
    for e in entries {
        let n = &e.notice;
        let what = n.rule.as_ref().map_or_else(|| n.occasion.to_string(), |rule| format!("{} {rule}", n.occasion));
        let cells = [what, format!("{}/{}", n.session, n.participation), n.address.to_string()];
        rows.add_row(cells.into_iter().map(|t| cell(t, Tone::Good)));
    }
    out!("{}", text(&rows));
}

/// What is left: not sent and why, and what comes next.
fn print_omitted(file: &Path, now: DateTime<Utc>, dir: &Path, colors: TableStyle) -> anyhow::Result<()> {
    let config = config::load(Some(file))?;
    let (snapshot, known) = runtime()?.block_on(async {
        let store = crate::daemon::open_store(&config, false)?;
        let mut snapshot = config.sources[0].read().await.map_err(anyhow::Error::msg)?;
        ambiguity::mark(&mut snapshot, now);
        let ids: Vec<_> = snapshot.sessions.iter().map(|s| s.id).collect();
        let known: KnownMap = store.known(&config.sources[0].name, &ids).await?;
        anyhow::Ok((snapshot, known))
    })?;
    let renderer = Renderer::new(config.render.clone()).map_err(|m| anyhow::anyhow!("{}", m.join("\n")))?;
    let lines = lines(PreviewRequest {
        snapshot: &snapshot,
        known,
        policy: &config.policy,
        suppressed: &Suppressions::default(),
        renderer: &renderer,
        now,
        until: None,
        session: None,
        participant: None,
        reveal: true,
    });
    let mut rows = table(colors, &["Not sent", "Person", "Because"]);
    for ((session, person, why), occasions) in by_person(&lines) {
        let tone = if why.contains("[quarantined]") { Tone::Bad } else { Tone::Quiet };
        let cells = [occasions.join(", "), format!("{session}/{person}"), why];
        rows.add_row(cells.into_iter().map(|t| cell(t, tone)));
    }
    out!("\nNot sent, and why:\n{}", text(&rows));
    let next = lines.iter().filter(|l| l.verdict == "send").count();
    out!("{next} messages are planned for later.\n");
    gallery::write(&lines, &config, now, &dir.join("preview"))?;
    Ok(())
}

/// Session, participation and reason, with the occasions that it holds for.
fn by_person(lines: &[PreviewLine]) -> BTreeMap<(i64, i64, String), Vec<String>> {
    let mut people: BTreeMap<(i64, i64, String), Vec<String>> = BTreeMap::new();
    for line in lines.iter().filter(|l| l.verdict == "omit") {
        let why = words::with_code(line.reason.unwrap_or_default(), line.detail.as_deref());
        let who = (line.session_id.unwrap_or_default(), line.participation_id.unwrap_or_default(), why);
        people.entry(who).or_default().push(line.what());
    }
    people
}

/// Replaced as a source should be: never half-written.
fn write_sessions(dir: &Path, sessions: &Value) -> anyhow::Result<()> {
    let (part, whole) = (dir.join("sessions.json.part"), dir.join("sessions.json"));
    std::fs::write(&part, serde_json::to_vec_pretty(sessions)?)?;
    Ok(std::fs::rename(part, whole)?)
}

/// Those of them that have no mistake: a sample.
pub(super) fn good_sessions(now: DateTime<Utc>) -> Value {
    let all = sessions(now, false);
    Value::Array(all.as_array().into_iter().flatten().filter(|s| s["SessionId"] != 4103).cloned().collect())
}

/// Sessions that start soon. Those that are booked at the last moment are not there `before`.
fn sessions(now: DateTime<Utc>, before: bool) -> Value {
    let quarter = TimeDelta::minutes(15);
    let in_about = |span: TimeDelta| (now + span).duration_trunc(quarter).unwrap_or(now).format("%Y-%m-%dT%H:%M:%S").to_string();
    let meet_now = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now) + TimeDelta::seconds(37);
    let host = |id: i64, code: i64| {
        person((id, "Dr. Ada Finch"), "E", ("ada.finch@lakeside.example", "(202) 555-0100"), "Eastern Standard Time", code)
    };
    let with = |mut person: Value, extra: Value| {
        if let (Some(person), Value::Object(extra)) = (person.as_object_mut(), extra) {
            person.extend(extra);
        }
        person
    };
    let mut all = vec![
        json!({ "SessionId": 4101, "ScheduleTs": in_about(TimeDelta::minutes(59)), "ConnectCode": 640_213_377, "Participants": [
            host(5101, 318_442_906),
            person((5102, "Trevor"), "E", ("trevor@example.com", "(202) 555-0151"), "Pacific Standard Time", 724_905_113),
            person((5103, "Ray Chalk"), "S", ("", "(212) 555-0102"), "Central Standard Time", 285_617_440),
            person((5104, "Sidney Gondor"), "N", ("", ""), "Eastern Standard Time", 907_331_528),
        ] }),
        json!({ "SessionId": 4102, "ScheduleTs": in_about(TimeDelta::minutes(23 * 60 + 45)), "Participants": [
            host(5111, 459_028_617),
            with(person((5112, "José Llama"), "E", ("jose@example.org", ""), "Mountain Standard Time", 163_880_295),
                json!({ "ParticipantLocale": "es-US", "SvcId": 1037, "DepositRequired": 20.00 })),
            person((5113, "Maya Gurung"), "E", ("maya@example.net", ""), "Nepal Standard Time", 538_746_021),
        ] }),
        json!({ "SessionId": 4103, "ScheduleTs": in_about(TimeDelta::hours(50)), "Participants": [
            host(5121, 872_510_364),
            with(person((5122, "Zoë Tremblay"), "E", ("zoe@example.org", ""), "Eastern Standard Time", 691_274_850), json!({ "ParticipantLocale": "fr-CA" })),
            with(person((5123, "Lee Park"), "E", ("lee@example.com", ""), "Pacific Standard Time", 240_953_718), json!({ "RSVP": "Declined" })),
            person((5124, "Sam Reed"), "E", ("sam at example.com", "(212) 555-0177"), "Eastern Standard Time", 385_162_904),
            person((5125, "Kim Ito"), "E", ("kim@example.com", "(212) 555-0119"), "Lakeside Time", 512_607_339),
        ] }),
    ];
    all.extend(OTHERS.iter().zip(4110..).map(|((minutes, doctor, name, deliver, code), id)| {
        let number = if *deliver == "S" { "(202) 555-0143" } else { "(202) 555-0148" };
        let email = format!("{}@example.com", name.split(' ').next().unwrap_or_default().to_lowercase());
        let guest = person((id * 10 + 1, name), deliver, (&email, number), "Eastern Standard Time", *code);
        let guest = if *minutes == 420 { with(guest, json!({ "RSVP": "Confirmed" })) } else { guest };
        let doctor_email = if doctor.contains("Moss") { "g.moss@lakeside.example" } else { "ada.finch@lakeside.example" };
        json!({ "SessionId": id, "ScheduleTs": in_about(TimeDelta::minutes(*minutes)), "Participants": [
            person((id * 10, doctor), "E", (doctor_email, "(202) 555-0101"), "Eastern Standard Time", code + 1_111), guest,
        ] })
    }));
    if !before {
        all.push(json!({ "SessionId": 4104, "ScheduleTs": in_about(TimeDelta::minutes(200)), "Participants": [
            host(5131, 726_341_985),
            person((5132, "Noor Haddad"), "E", ("noor@example.org", ""), "Central Standard Time", 194_830_567),
        ] }));
        all.push(json!({ "SessionId": 4105, "ScheduleTs": meet_now.format("%Y-%m-%dT%H:%M:%S").to_string(), "Participants": [
            host(5141, 603_948_712),
            person((5142, "Trevor"), "E", ("trevor@example.com", ""), "Pacific Standard Time", 851_427_036),
        ] }));
    }
    Value::Array(all)
}

/// The rest of the day: minutes from now, the host, who comes, how they are told, and their code.
const OTHERS: [(i64, &str, &str, &str, i64); 6] = [
    (105, "Dr. Ada Finch", "Bea Lindqvist", "E", 402_118_377),
    (150, "Dr. Gil Moss", "Omar Said", "S", 517_220_946),
    (240, "Dr. Gil Moss", "Wen Zhao", "E", 288_904_613),
    (330, "Dr. Ada Finch", "Ruth Abel", "E", 630_771_285),
    (420, "Dr. Gil Moss", "Priya Nair", "E", 745_016_992),
    (465, "Dr. Ada Finch", "Tom Keller", "S", 196_553_840),
];

fn person((id, name): (i64, &str), deliver: &str, (email, number): (&str, &str), zone: &str, code: i64) -> Value {
    json!({
        "ParticipationId": id,
        "ParticipantFullName": name,
        "SecureVideoUserId": null,
        "ParticipantEmailAddress": email,
        "ParticipantSmsNumber": number,
        "ParticipantDefaultResolution": "high",
        "ParticipantTimeZoneWindowsId": zone,
        "ConnectCode": code,
        "Passkey": "",
        "ShouldAutoDeliverCode": deliver,
        "ConnectionTs": null,
        "ExpiresTs": null,
        "RSVP": "Unknown",
        "SvcId": null,
        "DepositRequired": null,
    })
}
