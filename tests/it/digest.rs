//! The daily letter to the practice: when, to whom, what is in it and what never is; once for each scheduled time, whatever ends in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use punctual::clock::Clock;
use punctual::contact::Channel;
use punctual::deliver::Transport;
use punctual::digest::Digest;
use punctual::dispatch::Lane;
use punctual::entry::State;
use punctual::guard::GuardKind;
use punctual::notice::Reason;
use punctual::outbox::Outbox;
use punctual::outbox::memory::MemoryOutbox;
use punctual::outcome::Outcome;
use punctual::render::{Parts, Renderer, Settings};
use punctual::retry::DoubtPolicy;
use punctual::session::{ParticipationId, SessionId};
use punctual::source::{ambiguity, json};
use punctual::staff::{Concern, ConcernKind, Why, words};
use punctual::suppression::Suppression;
use punctual::{config, walk};
use serde_json::{Value, json};

use crate::clock::{ManualClock, at};
use crate::render::golden;
use crate::transport::{Answer, ScriptedTransport};

mod restored;

/// No two have one name.
static STARTS: AtomicUsize = AtomicUsize::new(0);

const CONFIGURATION: &str = r#"
[practice]
name = "Lakeside Telehealth"
time_zone = "America/New_York"
[adopt]
invites = true
[email]
from = "Lakeside Telehealth <sessions@lakeside.example>"
[[email.relay]]
kind = "folder"
path = "unused"
[digest]
to = ["front-desk@lakeside.example"]
"#;

struct World {
    outbox: Arc<dyn Outbox>,
    clock: Arc<ManualClock>,
    relay: Arc<ScriptedTransport>,
    configured: String,
}

impl World {
    async fn new(now: &str) -> Self {
        Self::with(now, CONFIGURATION, &sessions()).await
    }

    async fn with(now: &str, configured: &str, sessions: &Value) -> Self {
        let world = Self { configured: configured.to_owned(), ..Self::over(now, Arc::new(MemoryOutbox::new([7; 32]))) };
        world.walk(sessions).await;
        world
    }

    /// On a store that is there.
    fn over(now: &str, outbox: Arc<dyn Outbox>) -> Self {
        Self {
            outbox,
            clock: ManualClock::new(at(now)),
            relay: ScriptedTransport::new("relay", 1, Answer::Accept),
            configured: CONFIGURATION.to_owned(),
        }
    }

    async fn walk(&self, sessions: &Value) {
        let mut snapshot = json::parse(sessions.to_string().as_bytes()).unwrap();
        ambiguity::mark(&mut snapshot, self.clock.now());
        let policy = self.config().policy;
        walk::walk(&*self.outbox, "sessions", &snapshot, &policy, self.clock.now()).await.unwrap();
    }

    fn config(&self) -> config::Config {
        config::parse(&self.configured, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// A process of its own: it remembers nothing but what the store holds.
    fn digest(&self) -> Digest {
        let config = self.config();
        let renderer = Renderer::new(Settings { reference_key: [7; 32], ..config.render }).unwrap();
        Digest {
            settings: config.digest.unwrap(),
            outbox: Arc::clone(&self.outbox),
            sources: vec!["sessions".to_owned()],
            policy: Arc::new(config.policy),
            renderer: Arc::new(renderer),
            lane: Arc::new(Lane::new(Channel::Email, DoubtPolicy::Resend, vec![(Arc::clone(&self.relay) as Arc<dyn Transport>).into()])),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            owner: STARTS.fetch_add(1, Ordering::Relaxed).to_string(),
            done: std::sync::Mutex::default(),
        }
    }

    async fn tick(&self, now: &str) -> usize {
        self.clock.go_to(at(now));
        self.digest().tick().await.unwrap();
        self.relay.sent().len()
    }

    fn answers(&self, answers: &[Answer]) {
        self.relay.script(answers.iter().cloned());
    }

    async fn state(&self, scheduled_at: &str) -> Vec<(State, u32)> {
        self.outbox.staff_letters(at(scheduled_at)).await.unwrap().into_iter().map(|l| (l.state, l.attempts)).collect()
    }
}

fn person(id: i64, deliver: &str, email: &str) -> Value {
    json!({ "ParticipationId": id, "ParticipantFullName": "Trevor Example", "ParticipantEmailAddress": email, "ParticipantSmsNumber": "",
        "ParticipantTimeZoneWindowsId": "Pacific Standard Time", "ConnectCode": 300_000_000 + id, "ShouldAutoDeliverCode": deliver })
}

/// One who will be told, and one of each trouble that a record can be in; a session beyond the horizon, and records that cannot be read.
fn sessions() -> Value {
    json!([
        { "SessionId": 1, "ScheduleTs": "2026-11-26T11:30:00", "Participants": [
            person(10, "N", ""), person(11, "E", "trevor@example.com"), person(12, "E", ""), person(13, "E", "trevor at home"), person(14, "S", ""),
            { "ParticipationId": 15, "ShouldAutoDeliverCode": "X" } ] },
        { "SessionId": 2, "ScheduleTs": "2026-11-25T15:00:00", "Participants": [person(20, "N", ""), person(21, "E", "")] },
        { "SessionId": 3, "ScheduleTs": "2026-12-24T15:00:00", "Participants": [person(30, "N", ""), person(31, "E", "")] },
        { "SessionId": 4, "ScheduleTs": "soon", "Participants": [] },
        { "ScheduleTs": "2026-11-25T15:00:00", "Participants": [] },
    ])
}

/// One participant who will be told.
fn all_well() -> Value {
    json!([{ "SessionId": 1, "ScheduleTs": "2026-11-26T15:00:00", "Participants": [person(10, "N", ""), person(11, "E", "trevor@example.com")] }])
}

#[tokio::test]
async fn a_letter_goes_once_at_its_time_on_the_practices_clock() {
    let world = World::new("2026-11-24T09:00:00Z").await;
    // 07:00 in New York is 12:00 UTC; the one of the day before is more than 12 hours ago.
    for (now, sent) in [
        ("2026-11-24T09:01:00Z", 0),
        ("2026-11-24T11:59:59Z", 0),
        ("2026-11-24T12:00:00Z", 1),
        ("2026-11-24T12:01:00Z", 1),
        ("2026-11-24T23:00:00Z", 1),
        ("2026-11-25T11:59:00Z", 1),
        ("2026-11-25T12:00:30Z", 2),
    ] {
        assert_eq!(world.tick(now).await, sent, "{now}");
    }
    let sent = world.relay.sent();
    assert!(sent.iter().all(|letter| letter.to == "front-desk@lakeside.example"));
    assert_ne!(sent[0].reference, sent[1].reference, "each letter has a Message-ID of its own");
}

#[tokio::test]
async fn a_missed_time_is_made_up_once_within_twelve_hours() {
    let world = World::new("2026-11-24T09:00:00Z").await;
    assert_eq!(world.tick("2026-11-24T23:59:59Z").await, 1, "less than 12 hours late");
    assert_eq!(world.tick("2026-11-25T00:00:30Z").await, 1);
    let world = World::new("2026-11-24T09:00:00Z").await;
    assert_eq!(world.tick("2026-11-25T00:00:00Z").await, 0, "12 hours late");
    // Down for days: the last one only.
    assert_eq!(world.tick("2026-11-28T15:00:00Z").await, 1);
}

#[test]
fn the_practices_clock_changes_and_the_letter_keeps_its_hour() {
    let settings = |text: &str| config::parse(text, None, &[]).unwrap_or_else(|m| panic!("{m}")).digest.unwrap();
    let daily = settings(CONFIGURATION);
    for (now, due) in [
        // Clocks go back on 2026-11-01 and forward on 2027-03-14.
        ("2026-10-31T11:00:00Z", Some("2026-10-31T11:00:00Z")),
        ("2026-11-01T11:59:59Z", None),
        ("2026-11-01T12:00:00.5Z", Some("2026-11-01T12:00:00Z")),
        ("2027-03-13T12:00:00Z", Some("2027-03-13T12:00:00Z")),
        ("2027-03-14T11:00:00Z", Some("2027-03-14T11:00:00Z")),
    ] {
        assert_eq!(daily.due(at(now)), due.map(at), "{now}");
    }
    // 02:30 is skipped in March, and happens twice in November: one letter each.
    let night = settings(&CONFIGURATION.replace("[digest]", "[digest]\nat = \"0 30 2 * * *\""));
    for (from, until) in [("2027-03-14T05:00:00Z", "2027-03-14T15:00:00Z"), ("2026-11-01T04:00:00Z", "2026-11-01T15:00:00Z")] {
        let (mut now, mut times) = (at(from), std::collections::BTreeSet::new());
        while now < at(until) {
            times.extend(night.due(now).filter(|t| *t >= at(from)));
            now += chrono::TimeDelta::minutes(1);
        }
        assert!(times.len() <= 1, "{times:?}");
    }
}

#[tokio::test]
async fn nothing_to_tell_is_no_letter_unless_always() {
    let world = World::with("2026-11-24T09:00:00Z", CONFIGURATION, &all_well()).await;
    assert_eq!(world.tick("2026-11-24T12:00:00Z").await, 0);
    assert_eq!(world.state("2026-11-24T12:00:00Z").await, [(State::Cancelled, 0)]);
    // What comes up later on that day is told the day after.
    world.walk(&sessions()).await;
    assert_eq!(world.tick("2026-11-24T15:00:00Z").await, 0);
    assert_eq!(world.tick("2026-11-25T12:00:00Z").await, 1);
    let always = CONFIGURATION.replace("[digest]", "[digest]\nalways = true");
    assert_eq!(World::with("2026-11-24T09:00:00Z", &always, &all_well()).await.tick("2026-11-24T12:00:00Z").await, 1);
}

#[tokio::test]
async fn each_answer_has_its_state_and_what_failed_is_tried_again_later() {
    const AT: &str = "2026-11-24T12:00:00Z";
    let refused = Outcome::Rejected { reply: "550 no such user".to_owned(), remember: Some(Suppression::Bounced) };
    for (answer, state, again) in [
        (Answer::Later, (State::Waiting, 1), true),
        (Answer::Fault(None), (State::Waiting, 1), true),
        (Answer::Before(refused), (State::Rejected, 1), false),
        (Answer::Lose, (State::Unknown, 1), false),
    ] {
        let world = World::new("2026-11-24T09:00:00Z").await;
        world.answers(&[answer]);
        let first = world.tick(AT).await;
        assert_eq!(world.state(AT).await, [state]);
        assert_eq!(world.tick("2026-11-24T12:00:10Z").await, first, "not at once");
        assert_eq!(world.tick("2026-11-24T12:01:00Z").await, if again { first + 1 } else { first });
        if again {
            assert_eq!(world.state(AT).await, [(State::Accepted, 2)]);
        }
    }
}

/// One that no server took within its time does not wait for ever.
#[tokio::test]
async fn a_letter_that_never_went_lapses() {
    const AT: &str = "2026-11-24T12:00:00Z";
    let world = World::new("2026-11-24T09:00:00Z").await;
    world.answers(&[Answer::Fault(None)]);
    let tried = world.tick(AT).await;
    assert_eq!(world.state(AT).await, [(State::Waiting, 1)]);
    assert_eq!(world.tick("2026-11-25T00:00:30Z").await, tried);
    assert_eq!(world.state(AT).await, [(State::Lapsed, 1)]);
    let ledger = world.outbox.ledger(None, 0, usize::MAX).await.unwrap();
    assert!(ledger.iter().any(|row| row.detail.as_deref().is_some_and(|detail| detail.contains("lapsed"))), "{ledger:?}");
    assert_eq!(world.tick("2026-11-25T12:00:00Z").await, tried + 1, "the next one goes");
}

#[tokio::test]
async fn a_process_that_ends_behind_the_point_of_no_return_sends_no_second_letter() {
    let world = World::new("2026-11-24T09:00:00Z").await;
    world.answers(&[Answer::Die]);
    world.clock.go_to(at("2026-11-24T12:00:00Z"));
    let digest = world.digest();
    tokio::select! {
        biased;
        _ = digest.tick() => panic!("the relay never answers"),
        () = async { while world.relay.sent().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(world.state("2026-11-24T12:00:00Z").await, [(State::Sending, 1)]);
    assert_eq!(world.tick("2026-11-24T12:30:00Z").await, 1, "nobody can know whether it arrived");
    assert_eq!(world.tick("2026-11-25T12:00:00Z").await, 2);
}

#[tokio::test]
async fn each_recipient_gets_one() {
    let two = CONFIGURATION.replace("\"front-desk@lakeside.example\"", "\"a@lakeside.example\", \"b@lakeside.example\"");
    let world = World::with("2026-11-24T09:00:00Z", &two, &sessions()).await;
    world.answers(&[Answer::Later]);
    assert_eq!(world.tick("2026-11-24T12:00:00Z").await, 1, "the second goes when the first does not");
    assert_eq!(world.tick("2026-11-24T12:01:00Z").await, 2);
    assert_eq!(world.tick("2026-11-24T12:02:00Z").await, 2);
    let mut to: Vec<String> = world.relay.sent().into_iter().map(|letter| letter.to).collect();
    to.sort();
    assert_eq!(to, ["a@lakeside.example", "b@lakeside.example"]);
}

#[tokio::test]
async fn it_tells_what_is_wrong_and_shows_no_name_no_contact_and_no_code() {
    let world = World::new("2026-11-24T09:00:00Z").await;
    world.clock.go_to(at("2026-11-24T12:00:00Z"));
    let digest = world.digest();
    let concerns = digest.concerns().await.unwrap();
    let rendered = digest.preview(&concerns).unwrap();
    let Parts::Email { subject, text, html, .. } = &rendered.parts else { panic!("an e-mail") };
    golden("staff/letter.txt", format!("Subject: {subject}\n\n{text}").as_bytes());
    golden("staff/letter.html", html.as_bytes());
    let bytes = String::from_utf8(rendered.message.content.bytes().to_vec()).unwrap().replace("=\r\n", "");
    for private in ["Trevor", "trevor@", "at home", "3000000", "300-000"] {
        assert!(!bytes.contains(private) && !text.contains(private) && !html.contains(private), "{private}");
    }
    assert!(!text.contains("session 3"), "it starts beyond the horizon");
    assert!(!text.contains("participation 11"), "they will be told");
    let none = digest.preview(&[]).unwrap();
    let Parts::Email { subject, text, .. } = &none.parts else { panic!("an e-mail") };
    assert_eq!(subject, "Everybody will be reached (Tue, Nov 24)");
    golden("staff/empty.txt", text.as_bytes());
}

/// One concern of each kind and reason that there is.
fn all_concerns() -> Vec<Concern> {
    let faults = [
        Reason::Quarantined,
        Reason::Ambiguous,
        Reason::NoEmail,
        Reason::InvalidEmail,
        Reason::NoNumber,
        Reason::InvalidNumber,
        Reason::DoNotContact,
        Reason::OptedOut,
        Reason::Bounced,
        Reason::NoConnectCode,
        Reason::PassExpired,
        Reason::Absent,
        Reason::Guard,
    ];
    let people = faults.map(Why::Omitted).into_iter().chain([Why::Held, Why::Rejected, Why::Unknown]).map(|why| (ConcernKind::Person, why));
    let messages = [Why::Held, Why::Rejected, Why::Unknown].map(|why| (ConcernKind::Message, why));
    let changes = GuardKind::ALL.map(|kind| (ConcernKind::Change, Why::Guarded(kind)));
    let record = [(ConcernKind::Record, Why::Omitted(Reason::Quarantined))];
    let concern = |(n, (kind, why)): (i64, (ConcernKind, Why))| Concern {
        kind,
        session: Some(SessionId(n)),
        participation: matches!(kind, ConcernKind::Person | ConcernKind::Message).then_some(ParticipationId(n * 10 + 1)),
        start: (kind != ConcernKind::Change && kind != ConcernKind::Record).then(|| at("2026-11-25T15:00:00Z")),
        contact: (kind == ConcernKind::Message).then(|| "t*****@example.com".to_owned()),
        what: (kind == ConcernKind::Message).then(|| "reminder 24h".to_owned()),
        why,
        detail: (kind == ConcernKind::Record).then(|| "sessions: [3].ScheduleTs: is missing".to_owned()),
    };
    (1..).zip(people.chain(messages).chain(changes).chain(record)).map(concern).collect()
}

#[tokio::test]
async fn every_concern_has_words_of_its_own_and_long_lists_are_cut() {
    let world = World::new("2026-11-24T12:00:00Z").await;
    let concerns = all_concerns();
    for concern in &concerns {
        let said = words::of(concern);
        assert_ne!(said.what, concern.why.as_str(), "a word of the program is no word for staff");
    }
    let rendered = world.digest().preview(&concerns).unwrap();
    let Parts::Email { subject, text, html, .. } = &rendered.parts else { panic!("an e-mail") };
    golden("staff/all.txt", format!("Subject: {subject}\n\n{text}").as_bytes());
    golden("staff/all.html", html.as_bytes());
    let many: Vec<Concern> = std::iter::repeat_n(concerns, 500).flatten().collect();
    let rendered = world.digest().preview(&many).unwrap();
    let Parts::Email { text, html, .. } = &rendered.parts else { panic!("an e-mail") };
    assert!(text.contains("and 460 more: punctual unreachable"), "{text}");
    // Some 23 groups of 40 rows: more than any practice has, and the text is whole where a mail program cuts the page.
    assert!(html.len() < 1024 * 1024 && text.len() < 100 * 1024, "{} {}", html.len(), text.len());
}
