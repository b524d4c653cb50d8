//! Random histories of two sessions: edits, absences, restarts, lost answers, clocks that jump. At every hand-over and at the end the promises
//! hold: nothing told twice but what was in doubt, nothing told that is no longer true, nobody reminded before they were told where and when,
//! every final state reached and explained.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use punctual::clock::Clock;
use punctual::contact::Channel;
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::dispatch::{Dispatcher, Lane, Span};
use punctual::entry::{Entry, State};
use punctual::message::Message;
use punctual::notice::{NoticeKey, Occasion};
use punctual::outbox::memory::MemoryOutbox;
use punctual::outbox::{Attempts, ClaimRequest, Filter, Outbox, Queries};
use punctual::outcome::Outcome;
use punctual::plan::Policy;
use punctual::render::{Renderer, Settings};
use punctual::retry::DoubtPolicy;
use punctual::source::just_read::JustRead;
use punctual::source::{ambiguity, json};
use punctual::{config, walk};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::clock::ManualClock;

/// Histories in the usual run, the same ones each time; PUNCTUAL_HISTORIES asks for so many others.
const HISTORIES: u32 = 10_000;
/// They run side by side in so many tests.
const SHARES: u32 = 4;

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// The clock goes on, or back a little.
    Minutes(i64),
    Move(usize, usize),
    Cancel(usize, bool),
    List(usize, bool),
    ListPerson(usize, usize, bool),
    Code(usize, usize, u32),
    Email(usize, usize, u32),
    Rsvp(usize, usize, bool),
    Connect(usize, usize),
    Broken(usize, usize, bool),
    /// The next hand-over ends so.
    Answer(Answer),
    /// The source says nothing at all.
    Empty,
    /// The source cannot be read.
    Silent,
    /// A process claims and dies.
    Dies,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Lost,
    Later,
    Fault,
    Never,
}

/// The starts that a session moves between, in hours after the beginning.
const STARTS: [i64; 4] = [30, 31, 54, 3];

#[derive(Debug, Clone)]
struct Person {
    listed: bool,
    code: u32,
    email: u32,
    declined: bool,
    /// The start that they declined.
    declined_over: usize,
    /// Their first attempt to connect, as the source says.
    connected: Option<DateTime<Utc>>,
    /// It was to this start.
    connected_to_this: bool,
    broken: bool,
}

#[derive(Debug, Clone)]
struct Truth {
    sessions: Vec<(bool, bool, usize, Vec<Person>)>,
}

fn beginning() -> DateTime<Utc> {
    "2026-11-24T09:00:00Z".parse().unwrap()
}

fn start_of(which: usize) -> DateTime<Utc> {
    beginning() + TimeDelta::hours(STARTS[which])
}

fn id(session: usize, person: usize) -> i64 {
    (session as i64 + 1) * 10 + person as i64 + 1
}

fn address(session: usize, person: usize, version: u32) -> String {
    format!("p{}v{version}@example.com", id(session, person))
}

fn code(session: usize, person: usize, version: u32) -> u32 {
    200_000_000 + id(session, person) as u32 * 1000 + version
}

impl Truth {
    fn new() -> Self {
        let person = Person {
            listed: true,
            code: 0,
            email: 0,
            declined: false,
            declined_over: 0,
            connected: None,
            connected_to_this: false,
            broken: false,
        };
        Self { sessions: vec![(true, false, 0, vec![person.clone(), person.clone()]), (true, false, 2, vec![person.clone(), person])] }
    }

    /// What the source says: a session that stays keeps every snapshot from being empty.
    fn said(&self) -> Value {
        let mut all = vec![json!({ "SessionId": 99, "ScheduleTs": "2027-01-01T00:00:00", "Participants": [] })];
        for (s, (listed, cancelled, start, people)) in self.sessions.iter().enumerate() {
            if !listed {
                continue;
            }
            let people: Vec<Value> = people
                .iter()
                .enumerate()
                .filter(|(_, p)| p.listed)
                .map(|(n, p)| {
                    json!({ "ParticipationId": id(s, n), "ParticipantFullName": "Trevor", "ShouldAutoDeliverCode": "E",
                        "ParticipantEmailAddress": address(s, n, p.email), "ParticipantTimeZoneWindowsId": "Eastern Standard Time",
                        "ConnectCode": if p.broken { json!("broken") } else { json!(code(s, n, p.code)) },
                        "RSVP": if p.declined { "Declined" } else { "Unknown" },
                        "ConnectionTs": p.connected.map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string()) })
                })
                .collect();
            let kind = if *cancelled { "Cancelled" } else { "Scheduled" };
            let start = start_of(*start).format("%Y-%m-%dT%H:%M:%S").to_string();
            all.push(json!({ "SessionId": s as i64 + 1, "ScheduleTs": start, "ScheduleType": kind, "Participants": people }));
        }
        Value::Array(all)
    }

    fn apply(&mut self, event: &Event, now: DateTime<Utc>) {
        match *event {
            Event::Move(s, to) => {
                let moves = self.sessions[s].2 != to;
                self.sessions[s].2 = to;
                self.sessions[s].3.iter_mut().for_each(|p| p.connected_to_this &= !moves);
            }
            Event::Cancel(s, is) => self.sessions[s].1 = is,
            Event::List(s, is) => self.sessions[s].0 = is,
            Event::ListPerson(s, p, is) => self.sessions[s].3[p].listed = is,
            Event::Code(s, p, version) => self.sessions[s].3[p].code = version,
            Event::Email(s, p, version) => self.sessions[s].3[p].email = version,
            Event::Rsvp(s, p, is) => {
                let start = self.sessions[s].2;
                let person = &mut self.sessions[s].3[p];
                if is && !person.declined {
                    person.declined_over = start;
                }
                person.declined = is;
            }
            Event::Connect(s, p) => {
                let person = &mut self.sessions[s].3[p];
                if person.connected.is_none() {
                    (person.connected, person.connected_to_this) = (Some(now), true);
                }
            }
            Event::Broken(s, p, is) => self.sessions[s].3[p].broken = is,
            _ => {}
        }
    }

    /// Whether the last snapshot that was applied bears a notice out.
    fn bears_out(&self, notice: &punctual::notice::Notice, text: &str) -> Result<(), String> {
        let (s, n) = ((notice.session.0 - 1) as usize, (notice.participation.0 % 10 - 1) as usize);
        let (listed, cancelled, start, people) = &self.sessions[s];
        let person = &people[n];
        let off = !listed || *cancelled || !person.listed;
        if notice.occasion == Occasion::Cancelled {
            return if off { Ok(()) } else { Err("told as cancelled, and it takes place".to_owned()) };
        }
        let again = matches!(notice.occasion, Occasion::Reminder | Occasion::NotJoined);
        let declined = person.declined && person.declined_over == *start;
        let at_its_time = person.connected.is_some_and(|at| at >= start_of(*start) - TimeDelta::hours(2));
        let wrong = [
            (off, "it does not take place with them"),
            (person.broken, "the record is at fault"),
            (again && at_its_time && person.connected_to_this, "they are connected"),
            (start_of(*start) != notice.start, "it starts at another time"),
            (address(s, n, person.email) != notice.address.expose(), "it is another address"),
            (!text.contains(&code(s, n, person.code).to_string()), "it is another code"),
            (declined && (again || notice.occasion == Occasion::Updated), "they declined"),
        ];
        wrong.iter().find(|(is, _)| *is).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
    }
}

/// Everything shared by the histories: compiled once.
struct Shared {
    runtime: tokio::runtime::Runtime,
    policy: Arc<Policy>,
    renderer: Arc<Renderer>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let text = "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[quiet_hours]\nchannels = []\n[not_joined]\nafter = \"5m\"\nuntil = \"3h\"\n";
    let config = config::parse(text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Shared {
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
        policy: Arc::new(config.policy),
        renderer: Arc::new(Renderer::new(Settings { reference_key: [7; 32], ..config.render }).unwrap()),
    }
});

#[derive(Clone)]
struct Sent {
    notice: punctual::notice::Notice,
    bytes: Vec<u8>,
    lost: bool,
}

/// The starts that whoever reads this address may come to: of what they were told last and, where that may not have arrived, of what they were told
/// before it; but for what was called off since.
fn believed(sent: &[Sent], notice: &punctual::notice::Notice) -> Vec<DateTime<Utc>> {
    let (mut believed, mut off) = (Vec::new(), Vec::new());
    let theirs = sent.iter().rev().filter(|s| s.notice.participation == notice.participation && s.notice.address == notice.address);
    for told in theirs.filter(|s| s.notice.key != notice.key) {
        match told.notice.occasion {
            Occasion::Cancelled => off.push(told.notice.start),
            _ if off.contains(&told.notice.start) => {}
            _ => believed.push(told.notice.start),
        }
        if !told.lost && told.notice.occasion != Occasion::Cancelled {
            break;
        }
    }
    believed
}

struct World {
    outbox: Arc<MemoryOutbox>,
    clock: Arc<ManualClock>,
    /// As of the last snapshot that was applied.
    truth: Mutex<Truth>,
    /// When that was.
    walked_at: Mutex<DateTime<Utc>>,
    answers: Mutex<Vec<Answer>>,
    sent: Mutex<Vec<Sent>>,
    wrong: Mutex<Vec<String>>,
}

struct Wire(Arc<World>);

#[async_trait]
impl Transport for Wire {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "wire"
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let next = self.0.answers.lock().unwrap().pop();
        match next {
            Some(Answer::Later) => return Outcome::Retry { why: "450".to_owned(), after: None },
            Some(Answer::Fault) => return Outcome::ChannelFault { why: "421".to_owned(), after: None },
            Some(Answer::Never) => return Outcome::Rejected { reply: "554".to_owned(), remember: None },
            Some(Answer::Lost) | None => {}
        }
        if !doubt.pass().await {
            return Outcome::Fenced;
        }
        let lost = matches!(next, Some(Answer::Lost));
        self.0.handed_over(message.key, message.content.bytes(), lost).await;
        if lost { Outcome::Unknown { why: "lost".to_owned() } } else { Outcome::Accepted { reply: "250".to_owned(), reference: None } }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok(String::new())
    }
}

impl World {
    async fn entry(&self, key: NoticeKey) -> Entry {
        self.outbox.list(&Filter { keys: vec![key], ..Filter::default() }).await.unwrap().remove(0)
    }

    /// Every promise that holds at a hand-over.
    async fn handed_over(&self, key: NoticeKey, bytes: &[u8], lost: bool) {
        let notice = self.entry(key).await.notice;
        let theirs = Filter { participation: Some(notice.participation), ..Filter::default() };
        let refused = self.outbox.list(&theirs).await.unwrap().iter().any(|e| e.state == State::Rejected && !e.notice.occasion.repeats());
        let now = self.clock.now();
        let text = String::from_utf8_lossy(bytes).replace("=\r\n", "").replace("\r\n ", "");
        let mut wrong = self.wrong.lock().unwrap();
        let mut fail = |why: String| wrong.push(format!("{now} {} {:?} {}: {why}", notice.participation, notice.rule, notice.occasion));
        if let Err(why) = self.truth.lock().unwrap().bears_out(&notice, &text) {
            fail(why);
        }
        if now >= notice.useful_until {
            fail("after its useful time".to_owned());
        }
        if notice.occasion == Occasion::NotJoined && *self.walked_at.lock().unwrap() < notice.start {
            fail("told to join, and nobody looked since the start".to_owned());
        }
        let mut sent = self.sent.lock().unwrap();
        let copies: Vec<&Sent> = sent.iter().filter(|s| s.notice.key == key).collect();
        if copies.len() > 1 || copies.iter().any(|c| !c.lost) {
            fail(format!("told {} times before", copies.len()));
        }
        if copies.iter().any(|c| c.bytes != bytes) {
            fail("the copies differ".to_owned());
        }
        let announced = sent
            .iter()
            .any(|s| s.notice.address == notice.address && s.notice.participation == notice.participation && !s.notice.occasion.repeats());
        if notice.occasion.repeats() && !announced && !refused {
            fail("reminded before they were told where and when".to_owned());
        }
        if notice.occasion == Occasion::Cancelled && !believed(&sent, &notice).contains(&notice.start) {
            fail("cancelled at a time that this address does not believe in".to_owned());
        }
        sent.push(Sent { notice, bytes: bytes.to_vec(), lost });
    }

    async fn walk(&self, said: &Value, truth: &Truth) {
        let mut snapshot = json::parse(said.to_string().as_bytes()).unwrap();
        ambiguity::mark(&mut snapshot, self.clock.now());
        *self.truth.lock().unwrap() = truth.clone();
        *self.walked_at.lock().unwrap() = self.clock.now();
        walk::walk(&*self.outbox, "sessions", &snapshot, &SHARED.policy, self.clock.now()).await.unwrap();
    }

    /// A process starts, hands over what is due, and ends.
    async fn process(self: &Arc<Self>) {
        let dispatcher = Arc::new(Dispatcher {
            outbox: Arc::clone(&self.outbox) as Arc<dyn Outbox>,
            renderer: Arc::clone(&SHARED.renderer),
            policy: Arc::clone(&SHARED.policy),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            owner: "alive".to_owned(),
            just_read: JustRead::default(),
            walks: std::sync::atomic::AtomicI64::new(0),
        });
        dispatcher.recover(|_| DoubtPolicy::Resend).await.unwrap();
        let wire: Arc<dyn Transport> = Arc::new(Wire(Arc::clone(self)));
        let lane = Arc::new(Lane::new(Channel::Email, DoubtPolicy::Resend, vec![wire.into()]));
        dispatcher.run(lane, Span::Once(self.clock.now()), Arc::new(Notify::new())).await.unwrap();
    }

    async fn dies(&self) {
        let request = ClaimRequest {
            owner: "dead".to_owned(),
            now: self.clock.now(),
            channel: Channel::Email,
            lease: TimeDelta::minutes(30),
            limit: 2,
        };
        self.outbox.claim(request).await.unwrap();
    }

    fn pass(&self, minutes: i64) {
        self.clock.go_on(TimeDelta::minutes(minutes));
        self.outbox.set_clock(self.clock.now());
    }
}

async fn live(history: &[Event]) -> Result<(), String> {
    let mut truth = Truth::new();
    let world = Arc::new(World {
        outbox: Arc::new(MemoryOutbox::new([7; 32])),
        clock: ManualClock::new(beginning()),
        truth: Mutex::new(truth.clone()),
        walked_at: Mutex::new(beginning()),
        answers: Mutex::default(),
        sent: Mutex::default(),
        wrong: Mutex::default(),
    });
    world.walk(&truth.said(), &truth).await;
    for event in history {
        truth.apply(event, world.clock.now());
        match event {
            Event::Minutes(m) => world.pass(*m),
            Event::Answer(answer) => world.answers.lock().unwrap().push(*answer),
            Event::Dies => world.dies().await,
            _ => {}
        }
        match event {
            // Its removals wait: what was true is neither told nor untold.
            Event::Empty => {
                let before = world.truth.lock().unwrap().clone();
                let mut nobody = before;
                nobody.sessions.iter_mut().for_each(|s| s.0 = false);
                world.walk(&json!([]), &nobody).await;
            }
            Event::Silent => {}
            _ => world.walk(&truth.said(), &truth).await,
        }
        world.process().await;
    }
    settle(&world, &truth).await;
    let wrong = world.wrong.lock().unwrap().clone();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// The world calms down; then everybody knows what is true, or it is written down why not; and at last everything has ended.
async fn settle(world: &Arc<World>, truth: &Truth) {
    world.answers.lock().unwrap().clear();
    for _ in 0..8 {
        world.pass(7);
        world.walk(&truth.said(), truth).await;
        world.process().await;
    }
    let entries = world.outbox.list(&Filter::default()).await.unwrap();
    let mut explained: HashMap<i64, Vec<String>> = HashMap::new();
    for omission in world.outbox.omissions(&Filter::default()).await.unwrap() {
        explained
            .entry(omission.participation.map_or(0, |p| p.0))
            .or_default()
            .push(format!("{:?} {}", omission.occasion, omission.reason));
    }
    let now = world.clock.now();
    for (s, (listed, cancelled, start, people)) in truth.sessions.iter().enumerate() {
        for (n, person) in people.iter().enumerate() {
            let takes_place = *listed && !cancelled && person.listed && !person.broken && start_of(*start) > now;
            let theirs: Vec<&Entry> = entries.iter().filter(|e| e.notice.participation.0 == id(s, n)).collect();
            let knows = |e: &&Entry| {
                let text = e.notice.address.expose() == address(s, n, person.email) && e.notice.start == start_of(*start);
                text && (e.state.may_have_been_sent() || e.state == State::Rejected)
            };
            if takes_place && !theirs.iter().any(knows) && !explained.contains_key(&id(s, n)) {
                let states: Vec<String> = theirs.iter().map(|e| format!("{} {} {:?}", e.notice.occasion, e.state, e.reason)).collect();
                world.wrong.lock().unwrap().push(format!("{} does not know, and nothing says why: {states:?}", id(s, n)));
            }
        }
    }
    world.pass(60 * 24 * 40);
    world.walk(&truth.said(), truth).await;
    world.process().await;
    world.pass(60);
    world.walk(&truth.said(), truth).await;
    world.process().await;
    let mut open = BTreeMap::new();
    for entry in world.outbox.list(&Filter::default()).await.unwrap() {
        let unended = [State::Waiting, State::Claimed, State::Sending, State::Held, State::Unknown];
        let ended = !unended.contains(&entry.state);
        let explained = entry.state.may_have_been_sent() || entry.state == State::Rejected || entry.reason.is_some();
        if !ended || !explained {
            open.insert(
                entry.notice.key,
                format!("{} {} {:?} {:?}", entry.notice.occasion, entry.state, entry.reason, entry.next_attempt_at),
            );
        }
    }
    if !open.is_empty() {
        world.wrong.lock().unwrap().push(format!("not ended, or without a reason: {open:?}"));
    }
}

fn event() -> impl Strategy<Value = Event> {
    let (s, p) = (0..2_usize, 0..2_usize);
    prop_oneof![
        8 => prop_oneof![Just(1), Just(2), Just(3), Just(12), Just(61), Just(300), Just(1380), Just(1500), Just(-2)].prop_map(Event::Minutes),
        3 => (s.clone(), 0..STARTS.len()).prop_map(|(s, to)| Event::Move(s, to)),
        2 => (s.clone(), any::<bool>()).prop_map(|(s, is)| Event::Cancel(s, is)),
        2 => (s.clone(), any::<bool>()).prop_map(|(s, is)| Event::List(s, is)),
        2 => (s.clone(), p.clone(), any::<bool>()).prop_map(|(s, p, is)| Event::ListPerson(s, p, is)),
        2 => (s.clone(), p.clone(), 0..3_u32).prop_map(|(s, p, v)| Event::Code(s, p, v)),
        2 => (s.clone(), p.clone(), 0..2_u32).prop_map(|(s, p, v)| Event::Email(s, p, v)),
        1 => (s.clone(), p.clone(), any::<bool>()).prop_map(|(s, p, is)| Event::Rsvp(s, p, is)),
        1 => (s.clone(), p.clone()).prop_map(|(s, p)| Event::Connect(s, p)),
        1 => (s, p, any::<bool>()).prop_map(|(s, p, is)| Event::Broken(s, p, is)),
        3 => prop_oneof![Just(Answer::Lost), Just(Answer::Later), Just(Answer::Fault), Just(Answer::Never)].prop_map(Event::Answer),
        1 => Just(Event::Empty),
        1 => Just(Event::Silent),
        1 => Just(Event::Dies),
    ]
}

fn check_share(share: u64) {
    let asked = std::env::var("PUNCTUAL_HISTORIES").ok().and_then(|n| n.parse().ok());
    let rng_seed = if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(share) };
    let cases = asked.unwrap_or(HISTORIES) / SHARES;
    let config = ProptestConfig { cases, rng_seed, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(history in proptest::collection::vec(event(), 1..14))| {
        let told = SHARED.runtime.block_on(async { tokio::spawn(async move { live(&history).await }).await.unwrap() });
        prop_assert!(told.is_ok(), "{}", told.unwrap_err());
    });
}

#[test]
fn a_quarter_of_the_histories_keeps_every_promise() {
    check_share(0);
}

#[test]
fn a_second_quarter_does() {
    check_share(1);
}

#[test]
fn a_third_quarter_does() {
    check_share(2);
}

#[test]
fn the_last_quarter_does() {
    check_share(3);
}
