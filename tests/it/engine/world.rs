//! The world of these tests: a store in memory, a clock that is set, a transport that follows a script.

use std::sync::{Arc, Weak};

use chrono::{DateTime, Utc};
use punctual::clock::Clock;
use punctual::config::{self, Config};
use punctual::contact::Channel;
use punctual::deliver::Transport;
use punctual::dispatch::{Dispatcher, Lane, Span, Tally};
use punctual::entry::Entry;
use punctual::notice::NoticeKey;
use punctual::outbox::memory::MemoryOutbox;
use punctual::outbox::{Filter, Outbox};
use punctual::outcome::Outcome;
use punctual::plan::Policy;
use punctual::render::{Renderer, Settings};
use punctual::retry::DoubtPolicy;
use punctual::session::SnapshotKind;
use punctual::source::just_read::JustRead;
use punctual::source::{ambiguity, json};
use punctual::walk;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::clock::{ManualClock, at};
use crate::transport::{Answer, ScriptedTransport};

/// What the transport does with the next messages; when the script is over it accepts.
#[derive(Clone)]
pub(in crate::engine) enum Step {
    Answer(Outcome),
    /// Crosses the point of no return, and then the answer is lost.
    LoseAnswer,
    /// Another snapshot arrives while the connection is open.
    Meanwhile(Value),
}

pub(in crate::engine) struct World {
    pub(in crate::engine) me: Weak<World>,
    pub(in crate::engine) outbox: Arc<dyn Outbox>,
    pub(in crate::engine) policy: Arc<Policy>,
    pub(in crate::engine) renderer: Arc<Renderer>,
    pub(in crate::engine) clock: Arc<ManualClock>,
    pub(in crate::engine) transport: Arc<ScriptedTransport>,
    /// A notice asked for a look at its source.
    pub(in crate::engine) refresh_requested: std::sync::atomic::AtomicBool,
}

pub(in crate::engine) const CONFIGURATION: &str = "
[practice]
name = \"Lakeside Telehealth\"
contact = \"+1 555-0100\"
[[reminder]]
name = \"24h\"
before = \"24h\"
[[reminder]]
name = \"1h\"
before = \"1h\"
[adopt]
invites = true
[quiet_hours]
channels = []
";

pub(in crate::engine) fn configuration(text: &str) -> Config {
    config::parse(text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

impl World {
    pub(in crate::engine) fn new(now: &str) -> Arc<Self> {
        Self::with(now, CONFIGURATION)
    }

    pub(in crate::engine) fn with(now: &str, configured: &str) -> Arc<Self> {
        let config = configuration(configured);
        let outbox = Arc::new(MemoryOutbox::new([7; 32]));
        let renderer = Renderer::new(Settings { reference_key: [7; 32], ..config.render.clone() }).unwrap();
        let transport = ScriptedTransport::new("scripted", 4, Answer::Accept);
        let clock = ManualClock::new(at(now));
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            outbox,
            policy: Arc::new(config.policy),
            renderer: Arc::new(renderer),
            clock,
            transport,
            refresh_requested: false.into(),
        })
    }

    pub(in crate::engine) fn set(&self, now: &str) {
        self.clock.go_to(at(now));
    }

    pub(in crate::engine) fn clock_now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(in crate::engine) async fn walk(&self, sessions: &Value) -> walk::WalkSummary {
        self.walk_some(sessions, SnapshotKind::Full, &self.policy).await
    }

    pub(in crate::engine) async fn walk_some(&self, sessions: &Value, extent: SnapshotKind, policy: &Policy) -> walk::WalkSummary {
        let mut snapshot = json::parse(sessions.to_string().as_bytes()).unwrap();
        ambiguity::mark(&mut snapshot, self.clock.now());
        snapshot.kind = extent;
        walk::walk(&*self.outbox, "sessions", &snapshot, policy, self.clock.now()).await.unwrap()
    }

    /// One `run --once` over both channels, by a process of its own.
    pub(in crate::engine) async fn once(&self) -> Tally {
        self.once_by(&self.policy).await
    }

    pub(in crate::engine) fn dispatcher(&self, policy: &Arc<Policy>) -> Arc<Dispatcher> {
        Arc::new(Dispatcher {
            outbox: Arc::clone(&self.outbox),
            renderer: Arc::clone(&self.renderer),
            policy: Arc::clone(policy),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            owner: "test".to_owned(),
            just_read: JustRead::default(),
            walks: std::sync::atomic::AtomicI64::new(0),
        })
    }

    pub(in crate::engine) async fn once_by(&self, policy: &Arc<Policy>) -> Tally {
        let dispatcher = self.dispatcher(policy);
        dispatcher.recover(|_| DoubtPolicy::Resend).await.unwrap();
        self.hand_over(&dispatcher).await
    }

    /// What is due, by a process that runs already.
    pub(in crate::engine) async fn hand_over(&self, dispatcher: &Arc<Dispatcher>) -> Tally {
        let mut tally = Tally::default();
        for channel in [Channel::Email, Channel::Sms] {
            let transport = Arc::clone(&self.transport) as Arc<dyn Transport>;
            let lane = Arc::new(Lane::new(channel, DoubtPolicy::Resend, vec![transport.into()]));
            let span = Span::Once(self.clock.now());
            tally = tally.plus(Arc::clone(dispatcher).run(Arc::clone(&lane), span, Arc::new(Notify::new())).await.unwrap());
            if lane.take_refresh_request() {
                self.refresh_requested.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        tally
    }

    pub(in crate::engine) fn take_refresh_request(&self) -> bool {
        self.refresh_requested.swap(false, std::sync::atomic::Ordering::Relaxed)
    }

    pub(in crate::engine) fn script(&self, acts: &[Step]) {
        self.transport.script(acts.iter().map(|act| self.answer(act)));
    }

    fn answer(&self, act: &Step) -> Answer {
        match act.clone() {
            Step::Answer(outcome) => Answer::Before(outcome),
            Step::LoseAnswer => Answer::Lose,
            Step::Meanwhile(sessions) => {
                let me = self.me.clone();
                Answer::Meanwhile(Arc::new(move || {
                    let (me, sessions) = (me.upgrade().unwrap(), sessions.clone());
                    Box::pin(async move { drop(me.walk(&sessions).await) })
                }))
            }
        }
    }

    pub(in crate::engine) fn sent(&self) -> usize {
        self.transport.sent().len()
    }

    /// What passed the point of no return: the key and the bytes.
    pub(in crate::engine) fn sent_bytes(&self) -> Vec<(NoticeKey, Vec<u8>)> {
        self.transport.sent().into_iter().map(|sent| (sent.key, sent.bytes)).collect()
    }

    pub(in crate::engine) async fn entries(&self) -> Vec<Entry> {
        self.outbox.list(&Filter::default()).await.unwrap()
    }

    pub(in crate::engine) async fn states_of(&self, session: i64) -> Vec<String> {
        let mut all: Vec<String> = self.entries().await.iter().filter(|e| e.notice.session.0 == session).map(describe).collect();
        all.sort();
        all
    }

    /// The last message that passed the point of no return, decoded.
    pub(in crate::engine) fn last_mail(&self) -> String {
        visible(&self.sent_bytes().last().expect("something was sent").1)
    }

    /// `invite accepted`, `reminder 24h held absent`, sorted.
    pub(in crate::engine) async fn states(&self) -> Vec<String> {
        let mut all: Vec<String> = self.entries().await.iter().map(describe).collect();
        all.sort();
        all
    }
}

pub(in crate::engine) fn describe(e: &Entry) -> String {
    let n = &e.notice;
    let words = [Some(n.occasion.to_string()), n.rule.clone(), Some(e.state.to_string()), e.reason.map(|r| r.to_string())];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One participant and no host: every message is theirs.
pub(in crate::engine) fn one(start: &str) -> Value {
    json!([{ "SessionId": 1, "ScheduleTs": start, "Participants": [person(11)] }])
}

pub(in crate::engine) fn person(id: i64) -> Value {
    json!({ "ParticipationId": id, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": format!("p{id}@example.com"),
        "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ConnectCode": 300_000_000 + id, "ShouldAutoDeliverCode": "E" })
}

pub(in crate::engine) const START: &str = "2026-11-26T15:00:00";

/// A session of one participant, and others that stay.
pub(in crate::engine) fn some(ids: &[i64], start: &str) -> Value {
    ids.iter().map(|id| json!({ "SessionId": id, "ScheduleTs": start, "Participants": [person(id * 10 + 1)] })).collect()
}

/// Everything that a reader of these bytes could see, without the hyphens of grouped codes.
pub(in crate::engine) fn visible(bytes: &[u8]) -> String {
    fn parts(mail: &mailparse::ParsedMail<'_>, out: &mut String) {
        out.push_str(&mail.get_body().unwrap_or_default());
        mail.subparts.iter().for_each(|p| parts(p, out));
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(mail) = mailparse::parse_mail(bytes) {
        parts(&mail, &mut text);
    }
    text.replace("\r\n ", "").replace('-', "")
}
