//! A rehearsal: the whole engine on a virtual clock, with a store in memory and servers that obey a script.
//!
//! Walk, planner, last look, renderer, gate, dispatcher and retry rule are the live ones; only the clock, the store and the sockets are not.
//! Nothing is slept through: the clock jumps to whatever comes next, a script's event, a notice that is due, or (while something is absent
//! or guarded, which time and further snapshots decide) the next look five minutes later.
//!
//! A running daemon looks at its source every few seconds. Of those looks only the ones that could tell something are taken: before and after
//! each event, while something is absent or guarded, and otherwise often enough that the source counts as fresh.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use script::{Script, ScriptAct, ScriptSource, ServerState};
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::sync::Notify;

use self::scripted::{ManualClock, ScriptedTransport};
use crate::clock::Clock;
use crate::contact::Channel;
use crate::deliver::{Route, Transport};
use crate::dispatch::{Dispatcher, Lane, Span};
use crate::entry::AttemptEnd;
use crate::ledger::Event;
use crate::notice::{Notice, Occasion, Reason};
use crate::outbox::memory::MemoryOutbox;
use crate::outbox::{Attempts, Filter, Outbox, Queries, StoreError};
use crate::plan::{self, Policy};
use crate::render::Renderer;
use crate::retry::DoubtPolicy;
use crate::session::{ParticipationId, SessionId, Snapshot, SnapshotKind};
use crate::source::just_read::JustRead;
use crate::source::{ambiguity, json};
use crate::walk;
use crate::zone::{Zone, rfc3339};

pub mod script;
mod scripted;

/// How often a source is looked at while something is absent from it, or guarded.
const LOOK: TimeDelta = TimeDelta::minutes(5);
/// The clock goes on at least so far from one moment to the next.
const TICK: TimeDelta = TimeDelta::seconds(1);
/// What a message takes on a slow line.
const SLOW: TimeDelta = TimeDelta::seconds(20);
/// The name of the one source.
const SOURCE: &str = "sessions";

pub struct Rehearsal {
    /// Session JSON, record by record.
    pub sessions: Vec<Value>,
    pub policy: Arc<Policy>,
    pub renderer: Arc<Renderer>,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// What happens in between.
    pub script: Script,
    /// What becomes of e-mail and texts in doubt.
    pub doubt: (DoubtPolicy, DoubtPolicy),
}

/// One thing that happened, or that did not and why.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineEntry {
    /// RFC 3339, UTC. Of an omission: when it would have been due.
    pub at: Option<String>,
    /// The same moment on the participant's clock.
    pub local: Option<String>,
    /// SessionId.
    pub session_id: Option<SessionId>,
    /// ParticipationId.
    pub participation_id: Option<ParticipationId>,
    pub occasion: Option<Occasion>,
    pub rule: Option<String>,
    /// How it would have gone.
    pub channel: Option<Channel>,
    /// What came of it.
    pub outcome: Happened,
    pub reason: Option<Reason>,
    /// The server's words, or the script's.
    pub detail: Option<String>,
}

/// What came of a message, or what came between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// An attempt ended, or a message was not sent after all.
    Ended(AttemptEnd),
    /// It was never planned.
    Omitted,
    /// Something of the script.
    Event,
}

impl Happened {
    /// The word in JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ended(end) => end.as_str(),
            Self::Omitted => "omitted",
            Self::Event => "event",
        }
    }
}

impl Serialize for Happened {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The rehearsal as it goes.
struct Simulation {
    request: Rehearsal,
    outbox: Arc<MemoryOutbox>,
    clock: Arc<ManualClock>,
    dispatcher: Arc<Dispatcher>,
    lanes: [Arc<Lane>; 2],
    lines: [Arc<Mutex<ServerState>>; 2],
    sessions: Vec<Value>,
    source: ScriptSource,
    daemon_up: bool,
    /// Something happened since the last look.
    changed: bool,
    /// The last look that had an answer.
    looked_at: Option<DateTime<Utc>>,
    /// Something is not listed, and it is not sure yet that it is gone.
    absent: bool,
    /// Sessions that wait for somebody.
    guarded: usize,
    told: i64,
    zones: HashMap<(SessionId, ParticipationId), Zone>,
    timeline: Vec<TimelineEntry>,
}

/// Plays it: the timeline, in order, and at its end what was omitted.
pub async fn simulate(request: Rehearsal) -> Result<Vec<TimelineEntry>, StoreError> {
    simulate_with_progress(request, |_| {}).await
}

/// Likewise; `progress` is told what time it is there.
pub async fn simulate_with_progress(request: Rehearsal, progress: impl Fn(DateTime<Utc>) + Send) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut simulation = Simulation::new(request);
    let mut events = std::mem::take(&mut simulation.request.script.events).into_iter().peekable();
    simulation.look(true).await?;
    loop {
        let now = simulation.clock.now();
        progress(now);
        if simulation.daemon_up {
            simulation.hand_over().await?;
        }
        let Some(next) = [events.peek().map(|e| e.at), simulation.next().await?].into_iter().flatten().min() else { break };
        if next > simulation.request.until {
            break;
        }
        simulation.go_to(next.max(now + TICK));
        // What the source said until now was heard.
        if events.peek().is_some_and(|e| e.at <= simulation.clock.now()) {
            simulation.look(true).await?;
        }
        while let Some(event) = events.next_if(|e| e.at <= simulation.clock.now()) {
            simulation.happens(event.act);
        }
        simulation.look(false).await?;
    }
    simulation.omissions().await?;
    Ok(simulation.timeline)
}

impl Simulation {
    fn new(request: Rehearsal) -> Self {
        let outbox = Arc::new(MemoryOutbox::new([0; 32]));
        let clock = Arc::new(ManualClock(Mutex::new(request.from)));
        let lines = [Arc::new(Mutex::new(ServerState::Up)), Arc::new(Mutex::new(ServerState::Up))];
        let scripted = |n: usize, name| {
            let transport = ScriptedTransport { name, line: Arc::clone(&lines[n]), clock: Arc::clone(&clock) };
            Route::from(Arc::new(transport) as Arc<dyn Transport>)
        };
        let lanes = [
            Arc::new(Lane::new(Channel::Email, request.doubt.0, vec![scripted(0, "relay")])),
            Arc::new(Lane::new(Channel::Sms, request.doubt.1, vec![scripted(1, "gateway")])),
        ];
        let dispatcher = Arc::new(Dispatcher {
            outbox: Arc::clone(&outbox) as Arc<dyn Outbox>,
            renderer: Arc::clone(&request.renderer),
            policy: Arc::clone(&request.policy),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            owner: "simulation".to_owned(),
            just_read: JustRead::default(),
            walks: std::sync::atomic::AtomicI64::new(0),
        });
        outbox.set_clock(request.from);
        Self {
            sessions: request.sessions.clone(),
            request,
            outbox,
            clock,
            dispatcher,
            lanes,
            lines,
            source: ScriptSource::Ok,
            daemon_up: true,
            changed: true,
            looked_at: None,
            absent: false,
            guarded: 0,
            told: 0,
            zones: HashMap::new(),
            timeline: Vec::new(),
        }
    }

    fn go_to(&self, at: DateTime<Utc>) {
        self.clock.go_to(at);
        self.outbox.set_clock(at);
    }

    /// What comes next of itself.
    async fn next(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        if !self.daemon_up {
            return Ok(None);
        }
        let look = self.is_unsure().then(|| self.clock.now() + LOOK);
        let due = [self.outbox.next_due(Channel::Email).await?, self.outbox.next_due(Channel::Sms).await?];
        Ok(due.into_iter().chain([look]).flatten().min())
    }

    /// Time and further snapshots decide what becomes of something.
    fn is_unsure(&self) -> bool {
        self.absent || self.guarded > 0
    }

    /// Looks at the source, if the daemon runs and the look could tell something, or in any case.
    async fn look(&mut self, in_any_case: bool) -> Result<(), StoreError> {
        let stale = self.looked_at.is_none_or(|at| self.clock.now() - at >= self.request.policy.max_stale / 2);
        if self.daemon_up && (in_any_case || self.changed || self.is_unsure() || stale) {
            self.walk().await?;
        }
        Ok(())
    }

    async fn walk(&mut self) -> Result<(), StoreError> {
        let body = match self.source {
            ScriptSource::Ok => Value::Array(self.sessions.clone()).to_string(),
            ScriptSource::Empty => "[]".to_owned(),
            ScriptSource::Fails => return Ok(()),
        };
        let mut snapshot = json::parse(body.as_bytes()).unwrap_or_else(|_| Snapshot { kind: SnapshotKind::Delta, ..Snapshot::default() });
        ambiguity::mark(&mut snapshot, self.clock.now());
        for session in &snapshot.sessions {
            for person in &session.participants {
                if let Ok(resolved) = plan::zone_of(person, &self.request.policy) {
                    self.zones.insert((session.id, person.id), resolved.zone);
                }
            }
        }
        self.request.renderer.live_codes().put(SOURCE, &snapshot.sessions, self.clock.now());
        let report = walk::walk(&*self.outbox, SOURCE, &snapshot, &self.request.policy, self.clock.now()).await?;
        (self.changed, self.looked_at) = (false, Some(self.clock.now()));
        if report.guarded > 0 && report.guarded != self.guarded {
            self.note(format!("guard: {} sessions wait for somebody", report.guarded));
        }
        self.guarded = report.guarded;
        self.absent = self.outbox.omissions(&Filter::default()).await?.iter().any(|o| o.reason == Reason::Absent);
        self.tell().await
    }

    async fn hand_over(&mut self) -> Result<(), StoreError> {
        self.dispatcher.lapse().await?;
        for lane in &self.lanes {
            let span = Span::Once(self.clock.now());
            Arc::clone(&self.dispatcher).run(Arc::clone(lane), span, Arc::new(Notify::new())).await?;
        }
        self.tell().await?;
        let wanted = self.lanes.iter().filter(|lane| lane.take_refresh_request()).count();
        if wanted > 0 { self.walk().await } else { Ok(()) }
    }

    /// Writes down what the ledger has that is new: how attempts ended, and what was not sent after all.
    async fn tell(&mut self) -> Result<(), StoreError> {
        let rows = self.outbox.ledger(None, self.told, usize::MAX).await?;
        self.told = rows.last().map_or(self.told, |row| row.place);
        let told: Vec<_> = rows.into_iter().filter(|row| matches!(row.event, Event::Settled | Event::Ended | Event::Lapsed)).collect();
        let keys = told.iter().filter_map(|row| row.key.as_ref()?.parse().ok()).collect::<Vec<_>>();
        if keys.is_empty() {
            return Ok(());
        }
        let notices: HashMap<String, Notice> = self
            .outbox
            .list(&Filter { keys, ..Filter::default() })
            .await?
            .into_iter()
            .map(|e| (e.notice.key.to_string(), e.notice))
            .collect();
        for row in told {
            let Some(notice) = row.key.as_ref().and_then(|key| notices.get(key)) else { continue };
            let (end, said) = AttemptEnd::of_detail(row.detail.as_deref().unwrap_or_default());
            let end = if row.event == Event::Settled { Some(end) } else { row.to_state.map(AttemptEnd::Ended) };
            let Some(end) = end.filter(|end| !matches!(end, AttemptEnd::Moved | AttemptEnd::Fenced)) else { continue };
            self.timeline.push(TimelineEntry {
                at: Some(rfc3339(row.at)),
                local: self.local(notice.session, notice.participation, row.at),
                session_id: Some(notice.session),
                participation_id: Some(notice.participation),
                occasion: Some(notice.occasion),
                rule: notice.rule.clone(),
                channel: Some(notice.address.channel()),
                outcome: Happened::Ended(end),
                reason: row.reason,
                detail: Some(said.to_owned()).filter(|said| !said.is_empty()),
            });
        }
        Ok(())
    }

    fn local(&self, session: SessionId, participation: ParticipationId, at: DateTime<Utc>) -> Option<String> {
        let zone = self.zones.get(&(session, participation))?;
        Some(at.with_timezone(zone).to_rfc3339_opts(SecondsFormat::Secs, false))
    }

    fn happens(&mut self, act: ScriptAct) {
        self.changed = true;
        self.note(act.to_string());
        match act {
            ScriptAct::Relay(line) => *self.lines[0].lock().unwrap_or_else(PoisonError::into_inner) = line,
            ScriptAct::Gateway(line) => *self.lines[1].lock().unwrap_or_else(PoisonError::into_inner) = line,
            ScriptAct::Daemon(up) => self.daemon_up = up,
            ScriptAct::Source(source) => self.source = source,
            ScriptAct::Sessions(edit) => edit.apply(&mut self.sessions),
        }
    }

    fn note(&mut self, detail: String) {
        self.timeline.push(TimelineEntry {
            at: Some(rfc3339(self.clock.now())),
            local: None,
            session_id: None,
            participation_id: None,
            occasion: None,
            rule: None,
            channel: None,
            outcome: Happened::Event,
            reason: None,
            detail: Some(detail),
        });
    }

    /// What was not sent, by the last word of the planner.
    async fn omissions(&mut self) -> Result<(), StoreError> {
        for o in self.outbox.omissions(&Filter::default()).await? {
            let local = match (o.session, o.participation, o.due_at) {
                (Some(session), Some(participation), Some(at)) => self.local(session, participation, at),
                _ => None,
            };
            self.timeline.push(TimelineEntry {
                at: o.due_at.map(rfc3339),
                local,
                session_id: o.session,
                participation_id: o.participation,
                occasion: o.occasion,
                rule: o.rule,
                channel: o.channel,
                outcome: Happened::Omitted,
                reason: Some(o.reason),
                detail: o.detail,
            });
        }
        Ok(())
    }
}
