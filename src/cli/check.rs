//! `check`: configuration, templates, zones, sources; with `--online` the relays and gateways too, with `--offline` no source.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::table::{counted, in_lines};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::{Config, Gateway, GatewaySettings, RelaySettings, StoreUrl};
use crate::contact::Channel;
use crate::daemon::{store_exists, store_faults};
use crate::deliver::Transport;
use crate::known::KnownMap;
use crate::notice::{Decision, Occasion, Reason};
use crate::outbox::SourceLook;
use crate::outbox::postgres::PostgresOutbox;
use crate::plan::{self, Suppressions};
use crate::preview;
use crate::render::Renderer;
use crate::session::{AutoDeliver, Role, Session, Snapshot};
use crate::source::{Source, SourceKind, ambiguity, meaning};
use crate::zone::rfc3339;

mod rest;
mod sender;

/// One line of the report.
#[derive(Serialize)]
struct CheckLine {
    /// What was looked at.
    what: String,
    /// `ok`, `note`, `warn` or `error`.
    level: &'static str,
    text: String,
}

#[derive(Default)]
struct CheckReport(Vec<CheckLine>);

impl CheckReport {
    fn add(&mut self, level: &'static str, what: impl Into<String>, text: impl Into<String>) {
        self.0.push(CheckLine { what: what.into(), level, text: text.into() });
    }
}

/// How far a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckDepth {
    /// What stands on this machine.
    Nowhere,
    /// The sources too.
    Sources,
    /// Relays and gateways too, and the DNS.
    Everywhere {
        /// In place of the host's.
        name_server: Option<SocketAddr>,
    },
}

pub(super) fn check(config: Config, reach: CheckDepth, json: bool) -> anyhow::Result<Exit> {
    let mut report = CheckReport::default();
    let file = config.file.as_ref().map_or_else(|| "built-in defaults: can preview, cannot send".to_owned(), |f| f.display().to_string());
    report.add("ok", "configuration", file);
    for advice in &config.advice {
        report.add("warn", "configuration", advice.clone());
    }
    let tz = config.policy.zones.data();
    report.add("ok", "time zone data", format!("{} ({})", tz.version, tz.origin));
    templates(&config, &mut report);
    let runtime = runtime()?;
    if reach != CheckDepth::Nowhere {
        sources(&config, &runtime, &mut report);
    }
    lists_of_nodes(&config, &mut report);
    store(&config, reach, &mut report);
    port(&config, &mut report);
    let transports = transports(&config, &mut report);
    if let CheckDepth::Everywhere { name_server } = reach {
        runtime.block_on(probe(&transports, &mut report));
        if config.relays.iter().any(|relay| matches!(relay.settings, RelaySettings::Smtp(_))) {
            runtime.block_on(sender::check(&config.render.from, config.render.dkim.as_deref(), name_server, &mut report));
        }
    }
    for finding in &report.0 {
        if json {
            out!("{}", serde_json::to_string(finding)?);
        } else {
            let line = format!("{:<5} {}: {}", finding.level, finding.what, finding.text);
            out!("{}", in_lines(&line, 6));
        }
    }
    Ok(if report.0.iter().any(|f| f.level == "error") { Exit::Attention } else { Exit::Done })
}

/// Whether the daemon can listen.
fn port(config: &Config, report: &mut CheckReport) {
    let Some(server) = &config.server else { return };
    if let Err(why) = std::net::TcpListener::bind(server.listen) {
        let text = format!(
            "{} cannot be listened at ({why}): the daemon runs already, or another program does; look with ss -ltnp",
            server.listen
        );
        report.add("note", "server.listen", text);
    }
}

fn templates(config: &Config, report: &mut CheckReport) {
    match Renderer::new(config.render.clone()) {
        Err(mistakes) => mistakes.into_iter().for_each(|m| report.add("error", "templates", m)),
        Ok(renderer) => {
            let problems = renderer.lint();
            if problems.is_empty() {
                report.add("ok", "templates", "each renders in each language with difficult samples");
            }
            problems.into_iter().for_each(|p| report.add("error", "templates", p));
        }
    }
}

fn sources(config: &Config, runtime: &tokio::runtime::Runtime, report: &mut CheckReport) {
    if config.sources.is_empty() {
        report.add("note", "sources", "none is configured");
    }
    let mut together = Snapshot::default();
    let noted = runtime.block_on(rest::noted(config));
    for source in &config.sources {
        let what = format!("source {}", source.name);
        if let Some(why) = unread(source, config, &noted) {
            report.add("note", what, why);
            continue;
        }
        let read = runtime.block_on(source.read());
        let mut snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(why) => {
                report.add("error", what, why);
                continue;
            }
        };
        let now = WallClock.now();
        ambiguity::mark(&mut snapshot, now);
        let people = snapshot.sessions.iter().map(|s| s.participants.len()).sum::<usize>();
        report.add(
            "ok",
            what.clone(),
            format!("{}, {}", counted(snapshot.sessions.len(), "session", "sessions"), counted(people, "participant", "participants")),
        );
        for ((word, meaning), count) in meaning::census(&snapshot) {
            let word = if word.is_empty() { "(none)".to_owned() } else { format!("{word:?}") };
            let (level, taken) = meaning.map_or(("error", "unknown: held"), |meaning| ("note", meaning.taken_for().as_str()));
            report.add(level, what.clone(), format!("ScheduleType {word}: {}, taken for {taken}", counted(count, "session", "sessions")));
        }
        for fault in snapshot.told().lines() {
            report.add("error", what.clone(), fault.to_string());
        }
        if config.store.is_some() && !store_exists(config) {
            report.add("note", what.clone(), first_start(&snapshot, config, now));
        }
        for session in &snapshot.sessions {
            let known = plan::observe(session, KnownMap::new(), &config.policy, false, now);
            let plan = plan::plan_session(session, &known, &config.policy, &Suppressions::default(), now);
            plan.decisions().filter_map(unreachable).for_each(|(level, text)| report.add(level, what.clone(), text));
            for person in &session.participants {
                if plan::zone_of(person, &config.policy).is_ok_and(|r| r.fallback) {
                    let why = config.policy.zones.lookup(&person.time_zone).err().unwrap_or_else(|| "its override names none".to_owned());
                    let text = format!("{}: the practice's fallback time zone stands in: {why}", person.path);
                    report.add("note", what.clone(), text);
                }
            }
        }
        would_be_held(&snapshot, config, now).into_iter().for_each(|text| report.add("error", what.clone(), text));
        let texts = snapshot.sessions.iter().flat_map(|s| &s.participants).filter(|p| p.auto_deliver == AutoDeliver::Sms).count();
        if texts > 0 && config.gateways.is_empty() && config.store.is_some() {
            report.add("error", what, format!("{texts} participants want text messages, and no [[sms.gateway]] is configured"));
        }
        together.sessions.extend(snapshot.sessions);
    }
    told_differently(together, report);
}

/// Lists that whichever of several nodes leads reads on its own machine.
fn lists_of_nodes(config: &Config, report: &mut CheckReport) {
    let Some(node) = &config.raw.node.name else { return };
    for source in config.sources.iter().filter(|s| s.node.is_none() && matches!(s.kind, SourceKind::File(_))) {
        let text = format!(
            "the node that leads reads its path, so it must be the same file on each, as in a network folder; if it lies on this machine alone, say node = \"{node}\""
        );
        report.add("note", format!("source {}", source.name), text);
    }
}

/// Why a source is not read here. `None`: it is.
fn unread(source: &Source, config: &Config, noted: &[SourceLook]) -> Option<String> {
    if matches!(source.kind, SourceKind::Push(_)) {
        return Some("sessions are pushed to it: nothing is read".to_owned());
    }
    let rests = rest::until(source, noted, WallClock.now());
    rests
        .map(|until| format!("it asked to be left alone until {}: it is not asked", rfc3339(until)))
        .or_else(|| source.left_out(config.raw.node.name.as_deref()))
}

/// Sessions whose messages are tried: those of different hosts tell the most.
const TRIED: usize = 300;
/// Messages that are named: with more, it is the template.
const NAMED: usize = 20;

/// Messages that would be held because they show what is somebody else's: tried with the people of the source, a session for each host first.
fn would_be_held(snapshot: &Snapshot, config: &Config, now: DateTime<Utc>) -> Vec<String> {
    let Ok(renderer) = Renderer::new(config.render.clone()) else { return Vec::new() };
    renderer.live_codes().put("", &snapshot.sessions, now);
    let mut hosts = HashSet::new();
    let coming = snapshot.sessions.iter().filter(|session| session.start > now);
    let (first, others): (Vec<&Session>, Vec<&Session>) = coming.partition(|session| {
        let host = session.participants.iter().find(|person| person.role == Role::Host);
        host.is_some_and(|host| hosts.insert((host.name.expose().to_owned(), host.email.0.clone(), host.sms_number.0.clone())))
    });
    let sessions = first.into_iter().chain(others).take(TRIED).cloned().collect();
    let tried = Snapshot { sessions, ..Snapshot::default() };
    let request = preview::PreviewRequest {
        snapshot: &tried,
        known: KnownMap::new(),
        policy: &config.policy,
        suppressed: &Suppressions::default(),
        renderer: &renderer,
        now,
        until: None,
        session: None,
        participant: None,
        reveal: false,
    };
    let mut found = Vec::new();
    let ended: Result<(), ()> = preview::each_line(request, |line| {
        if line.reason == Some(Reason::Leak.as_str()) {
            let (session, person) = (line.session_id.unwrap_or_default(), line.participation_id.unwrap_or_default());
            let (occasion, why) = (line.occasion.unwrap_or("message"), line.detail.unwrap_or_default());
            found.push(format!("session {session}, participation {person}: the {occasion} would be held (leak): {why}"));
        }
        if found.len() < NAMED { Ok(()) } else { Err(()) }
    });
    if ended.is_err() {
        found.push("and more of them: a template, or what stands in a record, shows to everybody what is one person's".to_owned());
    }
    found
}

/// What is ambiguous because two sources tell it, each of which is clear by itself.
fn told_differently(mut together: Snapshot, report: &mut CheckReport) {
    let people = |snapshot: &Snapshot| {
        let all = snapshot.sessions.iter().flat_map(|s| s.participants.iter().map(move |p| (s.id, p.id, p.ambiguous.clone())));
        all.collect::<Vec<_>>()
    };
    let before: HashSet<_> =
        people(&together).into_iter().filter(|(.., why)| why.is_some()).map(|(session, id, _)| (session, id)).collect();
    ambiguity::mark_together(&mut together, WallClock.now());
    for (session, id, why) in people(&together) {
        if let Some(why) = why.filter(|_| !before.contains(&(session, id))) {
            report.add("error", "sources together", format!("session {session}, participation {id}: {why}: nothing is sent (ambiguous)"));
        }
    }
}

/// What the first start makes of the sessions that are there already: said before it happens.
fn first_start(snapshot: &Snapshot, config: &Config, now: DateTime<Utc>) -> String {
    let (mut adopted, mut invites, mut reminders) = (0, 0, 0);
    for session in &snapshot.sessions {
        let known = plan::observe(session, KnownMap::new(), &config.policy, true, now);
        for decision in plan::plan_session(session, &known, &config.policy, &Suppressions::default(), now).into_decisions() {
            match decision {
                Decision::Omit(o) if o.reason == Reason::Adopted => adopted += 1,
                Decision::Send(n) if n.occasion == Occasion::Invite => invites += 1,
                Decision::Send(_) => reminders += 1,
                Decision::Omit(_) => {}
            }
        }
    }
    if config.policy.adopt_invites {
        format!(
            "the first start invites {invites} people, whoever may have done so before ([adopt] invites = true), and plans {reminders} reminders"
        )
    } else {
        format!("the first start takes {adopted} people for invited already ([adopt] invites = false), and plans {reminders} reminders")
    }
}

/// What staff should mend, once for each person: told by the invite's line.
fn unreachable(decision: &Decision) -> Option<(&'static str, String)> {
    let Decision::Omit(o) = decision else { return None };
    let level = match o.reason {
        Reason::Quarantined if o.detail.is_some() && o.participation.is_some() && o.occasion.is_none() && o.role.is_some() => "error",
        Reason::Ambiguous | Reason::NoEmail | Reason::InvalidEmail | Reason::NoNumber | Reason::InvalidNumber | Reason::NoConnectCode => {
            "error"
        }
        _ => return None,
    };
    if o.rule.is_some() {
        return None;
    }
    let who = o.participation.map_or_else(String::new, |p| format!("participation {p}: "));
    Some((level, format!("{who}{}{}", o.reason, o.detail.as_ref().map_or_else(String::new, |d| format!(" ({d})")))))
}

fn store(config: &Config, reach: CheckDepth, report: &mut CheckReport) {
    if reach == CheckDepth::Nowhere
        && let Some(StoreUrl::Postgres(server)) = &config.store
        && let Some(why) = PostgresOutbox::away(server)
    {
        // A start had better not fail for that: a node waits.
        return report.add("note", "store", format!("{}: {why}; it is not looked at", server.shown()));
    }
    let faults = store_faults(config);
    if !faults.is_empty() {
        faults.into_iter().for_each(|fault| report.add("error", "store", fault));
        return;
    }
    match (&config.store, store_exists(config)) {
        (None, _) => report.add("note", "store", "none is configured: nothing can be sent"),
        (Some(StoreUrl::Sqlite(_)), false) => report.add("ok", "store", "will be made at the first run"),
        (Some(StoreUrl::Postgres(_)), false) => {
            report.add("ok", "store", "its schema is there, and holds nothing of this practice yet: the first run begins it");
        }
        (Some(_), true) => match crate::daemon::open_store(config, false) {
            Ok(_) => report.add("ok", "store", "opens"),
            Err(e) => report.add("error", "store", format!("{e:#}")),
        },
    }
}

fn transports(config: &Config, report: &mut CheckReport) -> Vec<(Channel, Arc<dyn Transport>)> {
    let email = config.relays.iter().map(|r| (Channel::Email, r.transport()));
    let sms = config.gateways.iter().map(|g| (Channel::Sms, g.transport()));
    status_alone(&config.gateways, report);
    what_comes_back(config, report);
    let mut fit = Vec::new();
    for (channel, transport) in email.chain(sms) {
        match transport {
            Ok(t) => {
                if t.name().starts_with("folder:") {
                    report.add("note", format!("{channel}"), format!("{}: it writes files, and sends nothing", t.name()));
                } else {
                    report.add("ok", format!("{channel}"), t.name().to_owned());
                }
                fit.push((channel, t));
            }
            Err(why) => report.add("error", format!("{channel}"), why),
        }
    }
    fit
}

/// A gateway that answers 200 to everything, and says what went wrong in the body, would be taken at its status.
fn status_alone(gateways: &[Gateway], report: &mut CheckReport) {
    for (n, gateway) in gateways.iter().enumerate() {
        if matches!(&gateway.settings, GatewaySettings::Http(settings) if settings.status_alone_decides()) {
            let text = "its status alone decides whether a text was taken: an error in the body of a 200 counts as accepted; \
                        set `answers` or `reference_pointer`";
            report.add("warn", format!("sms.gateway[{n}]"), text);
        }
    }
}

/// What is missing to know of mail that comes back.
fn what_comes_back(config: &Config, report: &mut CheckReport) {
    if !config.relays.iter().any(|relay| matches!(relay.settings, RelaySettings::Smtp(_))) {
        return;
    }
    let missing = [
        (
            "email.return_path",
            config.render.return_path.is_none(),
            "bounces go to `from`, and their address does not name the message: one that quotes neither its Message-ID nor its X-Punctual-Ref is matched to nobody",
        ),
        ("email.bounce_maildir", config.bounces.is_none(), "nobody reads what comes back: staff do not hear of mail that did not arrive"),
    ];
    for (key, is_missing, means) in missing {
        if is_missing {
            report.add("note", "bounces", format!("{key} is not set: {means}"));
        }
    }
}

async fn probe(transports: &[(Channel, Arc<dyn Transport>)], report: &mut CheckReport) {
    for (_, transport) in transports {
        match transport.probe().await {
            Ok(said) => report.add("ok", transport.name().to_owned(), said),
            Err(why) => report.add("error", transport.name().to_owned(), why),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config;

    #[test]
    fn a_message_that_would_be_held_is_named() {
        let said = |template: &str| {
            let folder = tempfile::tempdir().unwrap();
            let below = folder.path().join("templates/en-US/invite");
            std::fs::create_dir_all(&below).unwrap();
            std::fs::write(below.join("body.txt"), template).unwrap();
            let person = |id: i64, name: &str, mail: &str, code: i64| {
                json!({ "ParticipationId": id, "ParticipantFullName": name, "ParticipantEmailAddress": mail, "ConnectCode": code,
                        "ShouldAutoDeliverCode": "E", "ParticipantTimeZoneWindowsId": "UTC" })
            };
            let people = [
                person(10, "Dr. Host", "host@example.org", 701_000_001),
                person(11, "Alice Patient", "alice@example.com", 701_000_002),
                person(12, "Bob Other", "bob@example.com", 701_000_003),
            ];
            let session = json!([{ "SessionId": 1, "ScheduleTs": "2999-01-01T15:00:00", "Participants": people }]);
            std::fs::write(folder.path().join("list"), session.to_string()).unwrap();
            let text = "[templates]\ndir = \"templates\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\n";
            let config = config::parse(text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
            let mut report = CheckReport::default();
            sources(&config, &runtime().unwrap(), &mut report);
            report.0.into_iter().map(|f| f.text).filter(|text| text.contains("(leak)")).collect::<Vec<_>>()
        };
        assert_eq!(said("Your code: {{ recipient.code }}. Questions? host@example.org"), [] as [&str; 0]);
        let leaks = said("Your code: {{ recipient.code }}, or 701000002.");
        assert_eq!(leaks.len(), 2, "the host's, and Bob's: {leaks:?}");
        assert!(
            leaks.iter().all(|text| text.starts_with("session 1, participation 1") && !text.contains("701") && !text.contains("alice"))
        );
    }

    fn session(id: i64, participation: i64, code: i64) -> Value {
        json!({ "SessionId": id, "ScheduleTs": "2999-01-01T15:00:00", "Participants": [{
            "ParticipationId": participation, "ConnectCode": code, "ShouldAutoDeliverCode": "N", "ParticipantTimeZoneWindowsId": "UTC" }] })
    }

    /// What `check` says of the two sources together.
    fn together(first: &Value, second: &Value) -> Vec<(&'static str, String)> {
        let folder = tempfile::tempdir().unwrap();
        let source = |name: &str, said: &Value| {
            std::fs::write(folder.path().join(name), json!([said]).to_string()).unwrap();
            format!("[[source]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{name}\"\n")
        };
        let text = source("first", first) + &source("second", second);
        let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let mut report = CheckReport::default();
        sources(&config, &runtime().unwrap(), &mut report);
        report.0.into_iter().filter(|f| f.what == "sources together").map(|f| (f.level, f.text)).collect()
    }

    #[test]
    fn what_two_sources_tell_differently_is_named() {
        assert_eq!(together(&session(1, 11, 701), &session(2, 21, 702)), []);
        assert_eq!(together(&session(1, 11, 701), &session(1, 11, 701)), [], "the same is one session");
        for (second, people) in [
            (session(1, 11, 702), &["session 1, participation 11"][..]),
            (session(2, 21, 701), &["session 1, participation 11", "session 2, participation 21"]),
        ] {
            let said = together(&session(1, 11, 701), &second);
            assert_eq!(said.len(), people.len(), "{said:?}");
            for ((level, text), who) in said.iter().zip(people) {
                assert!(*level == "error" && text.starts_with(who) && text.ends_with("nothing is sent (ambiguous)"), "{text}");
                assert!(!text.contains("70"), "no code: {text}");
            }
        }
    }
}
