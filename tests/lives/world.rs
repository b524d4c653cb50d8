//! One life of a practice: the engine, its clock, its servers and sources, and what happens to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual::clock::Clock;
use punctual::contact::Channel;
use punctual::dispatch::{Span, Tally};
use punctual::entry::Entry;
use punctual::message::Message;
use punctual::notice::Omission;
use punctual::outbox::postgres::Server as Database;
use punctual::outbox::{Attempts, Feedback, Filter, Outbox, Queries, Upkeep, Walks};
use punctual::session::{Snapshot, SnapshotKind};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backup::Backup;
use super::engine::{self, CONFIGURED, Process, Says};
use super::event::{Deed, Setup};
use super::oracle::{Fate, Oracle, kind_word};
use super::read::{self, Letter};
use super::servers::{About, Mood, Server};
use super::source::Practice;
use super::store::{Point, Store};

/// The wall clock: it goes with the time that the test lets pass, and can be set.
pub(super) struct ManualClock {
    origin: Instant,
    wall: Mutex<DateTime<Utc>>,
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.wall.lock().unwrap() + self.uptime().unwrap()
    }

    fn uptime(&self) -> Option<TimeDelta> {
        TimeDelta::from_std(self.origin.elapsed()).ok()
    }
}

/// What a source does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    Good,
    Empty,
    /// Only so many records can be read.
    Part(usize),
    /// It cannot be read at all.
    Silent,
    /// It says what it said so many lists ago.
    Late(usize),
}

pub(super) struct Source {
    pub(super) feed: Feed,
    /// All lists that it gave.
    said: Vec<Arc<List>>,
    /// What it would say, of that version of the practice's list.
    is: Option<(usize, Arc<List>)>,
}

/// A list, and what the program reads in it.
pub(super) struct List {
    records: Vec<Value>,
    pub(super) snapshot: Snapshot,
}

impl List {
    fn of(records: Vec<Value>) -> Arc<Self> {
        Arc::new(Self { snapshot: engine::parse(&records), records })
    }
}

pub(super) struct World {
    pub(super) hands: Arc<ManualClock>,
    pub(super) store: Arc<Store>,
    /// What was so when the store was copied last.
    pub(super) copy: Mutex<Option<Backup>>,
    /// Sources of which the store has forgotten what they said last.
    pub(super) anew: Mutex<BTreeSet<usize>>,
    pub(super) servers: Vec<Arc<Server>>,
    pub(super) practice: Mutex<Practice>,
    pub(super) sources: Mutex<Vec<Source>>,
    pub(super) oracle: Mutex<Oracle>,
    pub(super) configured: AtomicUsize,
    process: Mutex<Option<Process>>,
    starts: AtomicUsize,
    pub(super) armed: Mutex<Vec<(Point, Deed)>>,
    polls: AtomicBool,
    hands_over: AtomicBool,
    /// The sources were asked since the last start, sleep and jump of the clock.
    pub(super) asked: AtomicBool,
    killed: Notify,
    is_killed: AtomicBool,
    /// Accepted messages by the id that the server gave them.
    pub(super) ids: Mutex<BTreeMap<String, usize>>,
    /// In plain words; `None`: nobody reads it.
    pub(super) story: Option<Mutex<Vec<String>>>,
    /// Rows of the outbox, as the story told them last.
    rows: Mutex<HashMap<String, String>>,
}

/// Lowers a flag when whoever raised it is done, or is dropped.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn raise(flag: &AtomicBool) -> Option<Raised<'_>> {
    (!flag.swap(true, Ordering::Relaxed)).then(|| Raised(flag))
}

impl World {
    pub(super) fn new(setup: &Setup, telling: bool) -> Arc<Self> {
        let beginning = setup.beginning();
        let hands = Arc::new(ManualClock { origin: Instant::now(), wall: Mutex::new(beginning) });
        let store = Arc::new(match std::env::var("PUNCTUAL_LIVES_STORE") {
            Ok(url) if Database::is_named_by(&url) => Store::on_a_server(&url),
            _ if setup.file => Store::in_a_file(),
            _ => Store::in_memory(),
        });
        let server = |name, channel| Arc::new(Server::new(name, channel, setup.connections));
        let servers = vec![
            server("relay-1", Channel::Email),
            server("relay-2", Channel::Email),
            server("gateway-1", Channel::Sms),
            server("gateway-2", Channel::Sms),
        ];
        let mut practice = Practice::new(beginning);
        for (home, start, channels) in &setup.sessions {
            let start = practice.start(*start);
            practice.book(home % setup.sources, start, channels);
        }
        let sources = (0..setup.sources).map(|_| Source { feed: Feed::Good, said: Vec::new(), is: None });
        let world = Arc::new(Self {
            hands,
            store,
            copy: Mutex::default(),
            anew: Mutex::default(),
            servers,
            practice: Mutex::new(practice),
            sources: Mutex::new(sources.collect()),
            oracle: Mutex::new(Oracle::new(CONFIGURED[setup.configured].terms)),
            configured: AtomicUsize::new(setup.configured),
            process: Mutex::new(None),
            starts: AtomicUsize::new(0),
            armed: Mutex::default(),
            polls: AtomicBool::new(false),
            hands_over: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            killed: Notify::new(),
            is_killed: AtomicBool::new(false),
            ids: Mutex::default(),
            story: telling.then(Mutex::default),
            rows: Mutex::default(),
        });
        let of = Arc::downgrade(&world);
        world.store.meanwhile(Box::new(move |point| {
            let of = of.clone();
            Box::pin(async move {
                if let Some(world) = of.upgrade() {
                    world.reaches(point).await;
                }
            })
        }));
        world.servers.iter().for_each(|s| *s.world.lock().unwrap() = Arc::downgrade(&world));
        world
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.hands.now()
    }

    /// Writes it into the story.
    pub(super) fn notes(&self, what: impl AsRef<str>) {
        if let Some(story) = &self.story {
            story.lock().unwrap().push(format!("{}  {}", self.now().format("%a %-d %b %H:%M:%S"), what.as_ref()));
        }
    }

    /// Writes the rows of the outbox that are others than before into the story, if that is asked for.
    pub(super) async fn tells_rows(&self) {
        if self.story.is_none() || std::env::var_os("PUNCTUAL_LIVES_ROWS").is_none() {
            return;
        }
        let mut lines: Vec<(String, String)> =
            self.entries().await.iter().map(|entry| (entry.notice.key.to_string(), row(entry))).collect();
        let sources = self.sources.lock().unwrap().len();
        for source in (0..sources).map(engine::name) {
            for kept in self.store.sessions(source, None).await.unwrap() {
                let departed: Vec<String> = kept.departed.iter().map(|d| format!("{} {:?}", d.id, d.presence)).collect();
                let line = format!("session {} of {source}: {:?} {departed:?} {:?}", kept.id, kept.presence, kept.ambiguous);
                lines.push((kept.id.to_string(), line));
            }
        }
        for omitted in self.omissions().await {
            let what = omitted.rule.clone().or(omitted.occasion.map(|o| o.to_string())).unwrap_or_default();
            let whose = omitted.participation.map_or_else(String::new, |p| p.to_string());
            lines.push((format!("{whose} {what} omitted"), format!("{whose} {what} omitted: {}", omitted.reason)));
        }
        for (key, line) in lines {
            if self.rows.lock().unwrap().insert(key, line.clone()).is_none_or(|before| before != line) {
                self.notes(format!("     {line}"));
            }
        }
    }

    pub(super) fn configured(&self) -> &'static engine::Configured {
        &CONFIGURED[self.configured.load(Ordering::Relaxed)]
    }

    pub(super) fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::clone(&self.store) as Arc<dyn Outbox>
    }

    pub(super) async fn entries(&self) -> Vec<Entry> {
        self.store.list(&Filter::default()).await.unwrap()
    }

    pub(super) async fn omissions(&self) -> Vec<Omission> {
        self.store.omissions(&Filter::default()).await.unwrap()
    }

    /// Whether something waits for an operator.
    pub(super) async fn guards(&self) -> bool {
        !self.store.guards().await.unwrap().is_empty()
    }

    /// What of a source waits for an operator, in words.
    async fn what_waits(&self, source: usize) -> String {
        let rows = self.store.guards().await.unwrap();
        let of_it = rows.iter().filter(|row| row.source == engine::name(source));
        let waits: Vec<String> = of_it.map(|row| format!("{} of {}", row.kind, row.session_id)).collect();
        if waits.is_empty() { String::new() } else { format!(": {}", waits.join(", ")) }
    }

    /// (7) What needs nothing costs nothing: asked again at once, the sources change no row.
    pub(super) async fn costs_nothing(&self) {
        self.poll_all().await;
        let rows = self.store.ledger(None, 0, usize::MAX).await.unwrap().len();
        self.poll_all().await;
        let more = self.store.ledger(None, 0, usize::MAX).await.unwrap().len() - rows;
        if more > 0 {
            self.oracle.lock().unwrap().wrong.push(format!("(7) asked twice for nothing, and {more} rows were written"));
        }
    }

    /// The clock is set, and the daemon finds that it was.
    pub(super) async fn set(&self, by: TimeDelta) {
        *self.hands.wall.lock().unwrap() += by;
        if by < TimeDelta::zero() {
            self.oracle.lock().unwrap().is_set_back(self.now());
        }
        self.store.set_clock(self.now());
        self.asked.store(false, Ordering::Relaxed);
        self.process().await.meets_a_set_clock(self.now()).await.unwrap();
        self.tells_rows().await;
    }

    /// The process that lives, or a new one.
    pub(super) async fn process(&self) -> Process {
        if let Some(process) = self.process.lock().unwrap().clone() {
            return process;
        }
        let n = self.starts.fetch_add(1, Ordering::Relaxed);
        let clock = Arc::clone(&self.hands) as Arc<dyn Clock>;
        let process = Process::start(&self.outbox(), &clock, &self.servers, self.configured(), n).await;
        let sources: Vec<String> = (0..self.sources.lock().unwrap().len()).map(|n| engine::name(n).to_owned()).collect();
        if let Some(restored) = self.store.hold_restored(&sources, &[], self.now()).await.unwrap() {
            self.notes(format!("the store is an older copy: {} messages are held", restored.held));
        }
        self.store.mark().await.unwrap();
        *self.process.lock().unwrap() = Some(process.clone());
        process
    }

    /// The process ends, and another one starts when there is something to do.
    pub(super) fn restart(&self, killed: bool) {
        self.process_ends();
        self.store.opens_again(killed);
    }

    pub(super) fn process_ends(&self) {
        self.asked.store(false, Ordering::Relaxed);
        *self.process.lock().unwrap() = None;
    }

    pub(super) fn kill(&self) {
        self.notes("the process is killed");
        self.is_killed.store(true, Ordering::Relaxed);
        self.killed.notify_one();
    }

    /// Asks one source, and walks what it says.
    pub(super) async fn poll(&self, source: usize) {
        let Some(_polls) = raise(&self.polls) else { return };
        let process = self.process().await;
        self.store.set_clock(self.now());
        let now = self.now();
        let Some((feed, said)) = self.list(source) else {
            process.hears(source, Says::Nothing, now).await.unwrap();
            return;
        };
        let extent = if matches!(feed, Feed::Part(_)) { SnapshotKind::Partial } else { SnapshotKind::Full };
        let anew = self.anew.lock().unwrap().remove(&source);
        if !self.armed.lock().unwrap().is_empty() {
            let mut oracle = self.oracle.lock().unwrap();
            let mut soon = oracle.word.clone();
            soon.heard(source, &said.records, extent, now);
            oracle.word.soon_too_much = soon.too_much;
            oracle.word.soon_off = soon.people().into_iter().filter(|id| soon.is_off(*id)).collect();
        }
        let report = process.hears(source, Says::List(Arc::clone(&said), extent), now).await.unwrap();
        let waits = if self.story.is_some() { self.what_waits(source).await } else { String::new() };
        self.tells_rows().await;
        let mut oracle = self.oracle.lock().unwrap();
        oracle.word.soon_too_much = false;
        oracle.word.soon_off.clear();
        let before = self.sources.lock().unwrap()[source].said.last().cloned();
        if !anew && feed == Feed::Good && before.is_some_and(|before| Arc::ptr_eq(&before, &said)) {
            oracle.word.heard_again(source, now);
        } else {
            oracle.word.heard(source, &said.records, extent, now);
        }
        oracle.adopts(source, extent == SnapshotKind::Full, now);
        drop(oracle);
        let mut sources = self.sources.lock().unwrap();
        if !sources[source].said.last().is_some_and(|last| Arc::ptr_eq(last, &said)) {
            self.notes(format!(
                "{} is read: {} records, {} planned, {} guarded{waits}",
                engine::name(source),
                said.records.len(),
                report.planned,
                report.guarded
            ));
            sources[source].said.push(said);
        }
    }

    /// What a source gives when it is asked now; `None`: it cannot be read.
    fn list(&self, source: usize) -> Option<(Feed, Arc<List>)> {
        let mut sources = self.sources.lock().unwrap();
        let practice = self.practice.lock().unwrap();
        let Source { feed, said, is } = &mut sources[source];
        let now_is = match is {
            Some((version, list)) if *version == practice.version => Arc::clone(list),
            _ => List::of(practice.said(source)),
        };
        *is = Some((practice.version, Arc::clone(&now_is)));
        let list = match *feed {
            Feed::Silent => return None,
            Feed::Good => now_is,
            Feed::Empty => List::of(Vec::new()),
            Feed::Part(n) => List::of(now_is.records[..n.min(now_is.records.len())].to_vec()),
            Feed::Late(n) => said.iter().rev().nth(n).cloned().unwrap_or(now_is),
        };
        Some((*feed, list))
    }

    pub(super) async fn poll_all(&self) {
        if self.polls.load(Ordering::Relaxed) {
            return;
        }
        let n = self.sources.lock().unwrap().len();
        for source in 0..n {
            self.poll(source).await;
        }
        self.asked.store(true, Ordering::Relaxed);
    }

    /// One round over both lanes.
    pub(super) async fn hand_over(&self) -> Tally {
        let Some(_hands_over) = raise(&self.hands_over) else { return Tally::default() };
        let process = self.process().await;
        if !self.asked.load(Ordering::Relaxed) {
            if self.polls.load(Ordering::Relaxed) {
                return Tally::default();
            }
            self.poll_all().await;
        }
        self.store.set_clock(self.now());
        let span = Span::Once(self.now());
        let run = |n: usize| Arc::clone(&process.dispatcher).run(Arc::clone(&process.lanes[n]), span.clone(), Arc::new(Notify::new()));
        let (email, sms) = (run(0), run(1));
        tokio::select! {
            biased;
            () = self.killed.notified() => Tally::default(),
            (email, sms) = async { tokio::join!(email, sms) } => email.unwrap().plus(sms.unwrap()),
        }
    }

    /// What a running daemon does at this moment: it asks its sources, and hands over what is due.
    pub(super) async fn round(&self) {
        // After a start the sources are asked first.
        self.process().await;
        self.poll_all().await;
        for _ in 0..4 {
            let due = self.next_due().await.is_some_and(|due| due <= self.now());
            let done = !due || self.hand_over().await == Tally::default();
            if self.is_killed.swap(false, Ordering::Relaxed) {
                self.restart(true);
                self.process().await;
                self.poll_all().await;
            } else if done {
                break;
            }
        }
    }

    async fn next_due(&self) -> Option<DateTime<Utc>> {
        let (email, sms) = (self.store.next_due(Channel::Email).await.unwrap(), self.store.next_due(Channel::Sms).await.unwrap());
        [email, sms].into_iter().flatten().min()
    }

    /// Everything is as it should be, as far as the store tells.
    async fn looks(&self) {
        let (entries, suppressed) = (self.entries().await, self.store.suppressions().await.unwrap());
        let keys: Vec<String> = suppressed.into_keys().collect();
        let now = self.now();
        self.oracle.lock().unwrap().looks_at(now, &entries, &keys);
    }

    /// So long the daemon runs, and nothing else happens. Its sources are asked soon at first, while something may be missing; then seldom, and yet
    /// before they count as stale.
    pub(super) async fn pass(&self, time: TimeDelta) {
        let end = self.now() + time;
        let (mut every, mut stuck) = (TimeDelta::minutes(1), TimeDelta::seconds(30));
        let mut poll = self.now() + every;
        loop {
            let now = self.now();
            if now >= end {
                self.looks().await;
                return;
            }
            let next = match self.next_due().await {
                Some(due) if due <= now => {
                    stuck = (stuck * 2).min(TimeDelta::minutes(30));
                    now + stuck
                }
                Some(due) => due,
                None => end,
            };
            let next = next.min(poll).min(end);
            tokio::time::sleep((next - now).to_std().unwrap_or(Duration::from_secs(1))).await;
            if next >= poll || next >= end {
                every = (every * 3).min(self.configured().policy.max_stale * 2 / 3);
                poll = next + every;
                self.round().await;
            } else {
                self.hand_over().await;
                if self.is_killed.swap(false, Ordering::Relaxed) {
                    self.restart(true);
                    self.round().await;
                }
            }
        }
    }

    /// The store reaches a point at which something else may happen first.
    pub(super) fn reaches(self: &Arc<Self>, point: Point) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let deed = {
            let mut armed = self.armed.lock().unwrap();
            armed.iter().position(|(at, _)| *at == point).map(|n| armed.remove(n).1)
        };
        Box::pin(async move {
            if let Some(deed) = deed {
                self.notes(format!("meanwhile, at {point:?}:"));
                self.does(deed).await;
            }
        })
    }

    /// A message leaves: its place among all that was told.
    pub(super) async fn left(&self, server: &Server, message: &Message) -> usize {
        let filter = Filter { keys: vec![message.key], ..Filter::default() };
        let notice = self.store.list(&filter).await.unwrap().remove(0).notice;
        let letter: Letter = read::read(message);
        let now = self.now();
        let place = self.oracle.lock().unwrap().crosses(now, notice.participation.0, message.key, letter);
        if self.story.is_some() {
            let oracle = self.oracle.lock().unwrap();
            let told = &oracle.told[place];
            let says = told.start.map_or_else(|| "no start that was ever said".to_owned(), |at| at.format("%-d %b %H:%M UTC").to_string());
            let line = format!(
                "{} takes for {} at {}: {}, it says {says}, codes {:?}",
                server.name,
                told.person,
                told.letter.to,
                kind_word(told.letter.kind),
                told.letter.codes
            );
            drop(oracle);
            self.notes(line);
        }
        place
    }

    pub(super) fn ends(&self, place: usize, fate: Fate) {
        self.oracle.lock().unwrap().told[place].fate = fate;
        self.ids.lock().unwrap().insert(format!("id{place}"), place);
    }

    /// A server refuses.
    pub(super) fn refuses(&self, server: &Server, words: usize, to: &str, after_the_dot: bool) {
        let said = server.words(words);
        self.notes(format!("{} says of {to}{}: {said}", server.name, if after_the_dot { " after the dot" } else { "" }));
        let mut oracle = self.oracle.lock().unwrap();
        match server.about(words) {
            About::Mailbox => {
                oracle.refused_at(to);
                oracle.may_be_suppressed.insert(to.to_owned());
            }
            About::Message => oracle.refused_at(to),
            About::Us | About::Later => {}
        }
    }

    pub(super) fn is_address_of(&self, whom: usize, to: &str) -> bool {
        let practice = self.practice.lock().unwrap();
        let people: Vec<_> = practice.sessions.iter().flat_map(|s| s.people.iter().skip(1)).collect();
        people.get(whom % people.len().max(1)).is_some_and(|p| p.email == to || p.number == to)
    }

    pub(super) fn mood(&self, server: usize, mood: Mood) {
        *self.servers[server % self.servers.len()].mood.lock().unwrap() = mood;
    }
}

/// A notice, as the outbox has it.
fn row(entry: &Entry) -> String {
    let n = &entry.notice;
    let (what, at) = (n.rule.clone().unwrap_or_else(|| n.occasion.to_string()), |at: DateTime<Utc>| at.format("%-d %b %H:%M:%S"));
    let why = entry.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    let (start, due) = (at(n.start), at(n.due_at));
    format!("{} {what} at {} for {start}, due {due}: {}{why}", n.participation, n.address.expose(), entry.state)
}
