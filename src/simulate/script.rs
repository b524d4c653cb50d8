//! The script of a rehearsal, in TOML: at a time, one thing happens.
//!
//! ```toml
//! [[event]]
//! at = "2026-11-24T14:00:00Z"
//! relay = "down"              # up | down | slow | lose_answers; gateway likewise
//!
//! [[event]]
//! at = "2026-11-24T16:00:00Z"
//! move = { session = 1, to = "2026-11-26T15:00:00" }
//! ```
//!
//! The others: `add = { SessionId = …, … }` (Session JSON), `cancel = 1`, `remove = 1`, `participant = { session = 1, participation = 11, set = { RSVP =
//! "Declined" } }`, `daemon = "down" | "up"`, `source = "empty" | "fails" | "ok"`.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

/// A script, in the order of its times.
#[derive(Debug, Default)]
pub struct Script {
    pub events: Vec<ScriptEvent>,
}

/// One thing that happens.
#[derive(Debug)]
pub struct ScriptEvent {
    pub at: DateTime<Utc>,
    pub act: ScriptAct,
}

#[derive(Debug)]
pub enum ScriptAct {
    /// The relay's line changes.
    Relay(ServerState),
    Gateway(ServerState),
    /// The daemon stops or starts.
    Daemon(bool),
    /// What the source says changes.
    Source(ScriptSource),
    Sessions(Edit),
}

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// As it should.
    Up,
    /// Not at all: the channel is at fault.
    Down,
    /// Twenty seconds a message.
    Slow,
    /// It takes everything, and its answers are lost.
    LoseAnswers,
}

/// What a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptSource {
    Ok,
    Empty,
    Fails,
}

/// What happens to the sessions.
#[derive(Debug)]
pub enum Edit {
    /// One more.
    Add(Value),
    Move(i64, String),
    /// ScheduleType "Cancelled".
    Cancel(i64),
    /// Not listed any more.
    Remove(i64),
    /// Fields of a participant.
    Participant(i64, i64, serde_json::Map<String, Value>),
}

impl Edit {
    /// Changes the sessions. What names no session changes nothing.
    pub fn apply(self, sessions: &mut Vec<Value>) {
        let is = |s: &Value, id: i64| s["SessionId"] == json!(id) || s["SessionId"] == json!(id.to_string());
        match self {
            Self::Add(session) => sessions.push(session),
            Self::Remove(id) => sessions.retain(|s| !is(s, id)),
            Self::Move(id, to) => sessions.iter_mut().filter(|s| is(s, id)).for_each(|s| s["ScheduleTs"] = json!(to)),
            Self::Cancel(id) => sessions.iter_mut().filter(|s| is(s, id)).for_each(|s| s["ScheduleType"] = json!("Cancelled")),
            Self::Participant(id, person, set) => {
                let people = sessions.iter_mut().filter(|s| is(s, id)).filter_map(|s| s["Participants"].as_array_mut()).flatten();
                for person in people.filter(|p| p["ParticipationId"] == json!(person)) {
                    if let Some(fields) = person.as_object_mut() {
                        fields.extend(set.clone());
                    }
                }
            }
        }
    }
}

impl fmt::Display for ScriptAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(line) => write!(f, "relay {line:?}"),
            Self::Gateway(line) => write!(f, "gateway {line:?}"),
            Self::Daemon(up) => f.write_str(if *up { "daemon up" } else { "daemon down" }),
            Self::Source(source) => write!(f, "source {source:?}"),
            Self::Sessions(Edit::Add(_)) => f.write_str("a session is added"),
            Self::Sessions(Edit::Move(id, to)) => write!(f, "session {id} moves to {to}"),
            Self::Sessions(Edit::Cancel(id)) => write!(f, "session {id} is cancelled"),
            Self::Sessions(Edit::Remove(id)) => write!(f, "session {id} is listed no more"),
            Self::Sessions(Edit::Participant(id, person, _)) => write!(f, "participation {person} of session {id} changes"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    #[serde(default)]
    event: Vec<RawEvent>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawEvent {
    at: Option<String>,
    add: Option<Value>,
    #[serde(rename = "move")]
    to: Option<Move>,
    cancel: Option<i64>,
    remove: Option<i64>,
    participant: Option<ScriptPerson>,
    relay: Option<ServerState>,
    gateway: Option<ServerState>,
    daemon: Option<Switch>,
    source: Option<ScriptSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    session: i64,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptPerson {
    session: i64,
    participation: i64,
    set: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Switch {
    Up,
    Down,
}

/// Reads a script. The error names the line, or the event.
pub fn parse(text: &str) -> Result<Script, String> {
    let raw: RawScript = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(0, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line}: {}", e.message())
    })?;
    let mut events = raw
        .event
        .into_iter()
        .enumerate()
        .map(|(n, e)| event(e).map_err(|why| format!("event[{n}]: {why}")))
        .collect::<Result<Vec<_>, _>>()?;
    events.sort_by_key(|e| e.at);
    Ok(Script { events })
}

fn event(raw: RawEvent) -> Result<ScriptEvent, String> {
    let at = raw.at.ok_or("`at` is missing; expected a time such as \"2026-11-24T14:00:00Z\"")?;
    let at = DateTime::parse_from_rfc3339(&at).map_err(|_| format!("`at` is {at:?}; expected a time such as \"2026-11-24T14:00:00Z\""))?;
    let acts = [
        raw.add.map(|session| ScriptAct::Sessions(Edit::Add(session))),
        raw.to.map(|m| ScriptAct::Sessions(Edit::Move(m.session, m.to))),
        raw.cancel.map(|id| ScriptAct::Sessions(Edit::Cancel(id))),
        raw.remove.map(|id| ScriptAct::Sessions(Edit::Remove(id))),
        raw.participant.map(|p| ScriptAct::Sessions(Edit::Participant(p.session, p.participation, p.set))),
        raw.relay.map(ScriptAct::Relay),
        raw.gateway.map(ScriptAct::Gateway),
        raw.daemon.map(|s| ScriptAct::Daemon(matches!(s, Switch::Up))),
        raw.source.map(ScriptAct::Source),
    ];
    let mut acts: Vec<ScriptAct> = acts.into_iter().flatten().collect();
    match (acts.pop(), acts.is_empty()) {
        (Some(act), true) => Ok(ScriptEvent { at: at.with_timezone(&Utc), act }),
        _ => Err("expected one of add, move, cancel, remove, participant, relay, gateway, daemon, source".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        let script = parse(
            "[[event]]\nat = \"2026-11-25T00:00:00Z\"\nmove = { session = 1, to = \"2026-11-26T15:00:00\" }\n[[event]]\nat = \"2026-11-24T00:00:00Z\"\nrelay = \"lose_answers\"\n",
        )
        .unwrap();
        assert_eq!(
            script.events.iter().map(|e| e.act.to_string()).collect::<Vec<_>>(),
            ["relay LoseAnswers", "session 1 moves to 2026-11-26T15:00:00"]
        );
        for (text, words) in [
            ("[[event]]\nat = \"2026-11-24T00:00:00Z\"\nrelais = \"down\"\n", "line 3: unknown field"),
            ("[[event]]\nat = \"soon\"\nrelay = \"down\"\n", "event[0]: `at` is \"soon\""),
            ("[[event]]\nat = \"2026-11-24T00:00:00Z\"\n", "event[0]: expected one of"),
            ("[[event]]\nat = \"2026-11-24T00:00:00Z\"\ncancel = 1\nremove = 2\n", "event[0]: expected one of"),
            ("[[event]]\nrelay = \"down\"\n", "event[0]: `at` is missing"),
            ("[[event]]\nat = \"2026-11-24T00:00:00Z\"\nrelay = \"sideways\"\n", "line 3: "),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(words), "{words}: {why}");
        }
    }
}
