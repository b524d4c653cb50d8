//! What a store does on this machine's disk. Run: `cargo bench --bench outbox [-- FOLDER [MILLIONS] [--sealed]]`; or, with the URL of a PostgreSQL database
//! that has our schema (`punctual store migrate`) in place of the folder, what that does: as a practice of its own.
//!
//! 1. A walk of 10,000 new sessions with two notices each.
//! 2. The path of those that are due, with 32 attempts at once: claims of 500, then begin, doubt and settle one by one.
//! 3. With a million notices more: the questions that are asked often.
//!
//! `-- URL --nodes=1,2,3 --attempts=32,64,128 [--count=12000]`: the path of those that are due alone, as a daemon takes it (claim, take, settle), by so many
//! nodes with so many attempts at once each. Nothing is planned, rendered or handed over.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use punctual::contact::{Address, Channel, EmailAddress};
use punctual::entry::{Change, State};
use punctual::guard::GuardChange;
use punctual::known::Known;
use punctual::notice::{Identity, Notice, NoticeKey, Occasion};
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::sqlite::SqliteOutbox;
use punctual::outbox::{Access, Begin, Claim, ClaimRequest, Filter, Outbox, Settlement, StoreKey, Walk, WalkedSession};
use punctual::session::{ParticipationId, Role, SessionId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Attempts at once.
const ATTEMPTS: usize = 32;
/// Of one message with a calendar part.
const MESSAGE: usize = 6_000;
/// Of one session's record.
const RECORD: usize = 1_500;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
}

fn notice(session: i64, occasion: Occasion, due: i64) -> Notice {
    let participation = ParticipationId(session * 10 + 1);
    let address = Address::Email(EmailAddress::parse(&format!("p{session}@example.com")).unwrap());
    let rule = (occasion == Occasion::Reminder).then(|| "24h".to_owned());
    let start = at(due + 1440);
    let id = SessionId(session);
    let identity =
        Identity { practice: "bench", session: id, participation, occasion, rule: rule.as_deref(), start, address: &address, content: "" };
    Notice {
        key: NoticeKey::of(&identity),
        session: id,
        participation,
        role: Role::Participant,
        occasion,
        rule,
        address,
        start,
        due_at: at(due),
        useful_until: start,
    }
}

fn walked(session: i64, due: i64) -> WalkedSession {
    let known = Known { facts: "facts".to_owned(), ..Known::new(at(due + 1440), at(0)) };
    let notices = [notice(session, Occasion::Invite, due), notice(session, Occasion::Reminder, due)];
    WalkedSession {
        presence: punctual::session::Presence::Listed,
        replan: false,
        of: None,
        from: None,
        departed: Vec::new(),
        was: None,
        id: SessionId(session),
        digest: format!("{session:064x}"),
        record: "x".repeat(RECORD).into(),
        ambiguous: Vec::new(),
        lately: Vec::new(),
        start: at(due + 1440),
        known: vec![(ParticipationId(session * 10), known.clone()), (ParticipationId(session * 10 + 1), known)],
        ahead: Vec::new(),
        changes: notices.into_iter().map(Change::Add).collect(),
        announced: Vec::new(),
        omissions: Vec::new(),
    }
}

async fn apply(store: &dyn Outbox, sessions: std::ops::Range<i64>, due: impl Fn(i64) -> i64) -> (usize, Duration) {
    let sessions = sessions.map(|n| walked(n, due(n))).collect();
    let walk = Walk {
        source: "bench".to_owned(),
        at: at(0),
        heard: true,
        policy_digest: "policy".to_owned(),
        sessions,
        faults: Vec::new(),
        guard: GuardChange::default(),
        filled: true,
        ..Walk::default()
    };
    let start = Instant::now();
    (store.apply(walk).await.unwrap().added, start.elapsed())
}

async fn hand_over(store: &dyn Outbox, claim: Claim) {
    let lease = claim.lease();
    let begin = Begin {
        lease,
        revision: claim.revision,
        facts: "facts".to_owned(),
        at: at(1),
        transport: "bench".to_owned(),
        bytes: vec![b'x'; MESSAGE].into(),
    };
    assert_eq!(store.begin(vec![begin]).await.unwrap(), [true]);
    assert!(store.doubt(lease, claim.revision, TimeDelta::minutes(1)).await.unwrap());
    let end = Settlement::Accepted { reply: "250 2.0.0 Ok: queued as 4F1A22".to_owned(), reference: None };
    assert_eq!(store.settle(at(1), vec![(lease, end)]).await.unwrap(), [true]);
}

fn request(limit: usize) -> ClaimRequest {
    ClaimRequest { owner: "bench".to_owned(), now: at(10), channel: Channel::Email, lease: TimeDelta::hours(1), limit }
}

/// In two steps, as a daemon does it.
async fn hand_over_in_short(store: &dyn Outbox, claim: Claim) {
    let (lease, revision) = (claim.lease(), claim.revision);
    let (facts, transport) = ("facts".to_owned(), "bench".to_owned());
    let begin = Begin { lease, revision, facts, at: at(1), transport, bytes: vec![b'x'; MESSAGE].into() };
    assert!(store.take(begin, TimeDelta::minutes(1)).await.unwrap());
    let end = Settlement::Accepted { reply: "250 2.0.0 Ok: queued as 4F1A22".to_owned(), reference: None };
    assert!(store.settle_with_next(at(1), lease, end).await.unwrap());
}

/// Takes what is due until nothing is, the next batch while the last one is under way.
async fn empty(store: Arc<dyn Outbox>, attempts: usize) -> usize {
    let permits = Arc::new(Semaphore::new(attempts));
    let (mut done, mut under_way) = (0, JoinSet::new());
    loop {
        let claims = store.claim(request(256)).await.unwrap();
        if claims.is_empty() {
            under_way.join_all().await;
            return done;
        }
        done += claims.len();
        for claim in claims {
            let permit = permits.clone().acquire_owned().await.unwrap();
            let store = store.clone();
            under_way.spawn(async move {
                hand_over_in_short(&*store, claim).await;
                drop(permit);
            });
        }
    }
}

/// So many messages a second by several nodes, each with a store of its own to one practice.
async fn side_by_side(url: &str, (nodes, attempts, count): (usize, usize, usize), round: usize) -> f64 {
    let practice = format!("bench {} {round}", std::process::id());
    let server = Server::parse(url, None, None).unwrap();
    let open = |name: &str| PostgresOutbox::open(&server.clone().as_node(Some(name)), &practice, Access::Daemon, None).unwrap();
    let stores: Vec<Arc<dyn Outbox>> = ["a", "b", "c", "d", "e", "f"][..nodes].iter().map(|name| Arc::new(open(name)) as _).collect();
    for store in &stores {
        store.tend("bench", None, at(0)).await.unwrap();
    }
    let sessions = i64::try_from(count / 2).unwrap();
    apply(&*stores[0], 1..sessions + 1, |_| 0).await;
    let start = Instant::now();
    let mut all = JoinSet::new();
    stores.iter().cloned().for_each(|store| drop(all.spawn(empty(store, attempts))));
    assert_eq!(all.join_all().await.into_iter().sum::<usize>(), count);
    count as f64 / start.elapsed().as_secs_f64()
}

/// The numbers behind `--name=`, if it is given.
fn given(name: &str) -> Option<Vec<usize>> {
    let text = std::env::args().find_map(|a| a.strip_prefix(&format!("--{name}=")).map(str::to_owned))?;
    Some(text.split(',').map(|n| n.parse().unwrap()).collect())
}

async fn drain(store: &Arc<dyn Outbox>) -> usize {
    let permits = Arc::new(Semaphore::new(ATTEMPTS));
    let mut done = 0;
    loop {
        let claims = store.claim(request(500)).await.unwrap();
        if claims.is_empty() {
            return done;
        }
        done += claims.len();
        let mut attempts = JoinSet::new();
        for claim in claims {
            let permit = permits.clone().acquire_owned().await.unwrap();
            let store = store.clone();
            attempts.spawn(async move {
                hand_over(&*store, claim).await;
                drop(permit);
            });
        }
        attempts.join_all().await;
    }
}

fn report(what: &str, count: usize, took: Duration) {
    println!("{what:<44} {count:>8} in {took:>10.1?}  {:>9.0} a second", count as f64 / took.as_secs_f64());
}

async fn timed<T>(what: &str, question: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let answer = question.await;
    println!("{what:<44} {:>10.2?}", start.elapsed());
    answer
}

async fn ask(store: &dyn Outbox) {
    timed("next_due", store.next_due(Channel::Email)).await.unwrap();
    timed("next_due again", store.next_due(Channel::Email)).await.unwrap();
    timed("claim, nothing due", store.claim(request(500))).await.unwrap();
    timed("list of a session", store.list(&Filter { session: Some(SessionId(5_000)), ..Filter::default() })).await.unwrap();
    let held = Filter { states: vec![State::Held], ..Filter::default() };
    timed("list of held, none", store.list(&held)).await.unwrap();
    timed("list, the first 100", store.list(&Filter { limit: Some(100), ..Filter::default() })).await.unwrap();
    let both = Filter { states: vec![State::Waiting, State::Accepted], limit: Some(100), ..Filter::default() };
    timed("list of two states, the first 100", store.list(&both)).await.unwrap();
    timed("known of 1,000 sessions", store.known("bench", &(1..=1_000).map(SessionId).collect::<Vec<_>>())).await.unwrap();
    timed("status", store.status()).await.unwrap();
    let start = Instant::now();
    let (added, took) = apply(store, 9_000_000..9_000_500, |_| 1).await;
    assert!(start.elapsed() >= took);
    report("apply beside them", added, took);
    timed("claim 500 of 1,000 due", store.claim(request(500))).await.unwrap();
}

/// The database that the first argument names, as a practice of its own.
fn database(url: &str, key: Option<&StoreKey>) -> PostgresOutbox {
    let practice = format!("bench {}", std::process::id());
    PostgresOutbox::open(&Server::parse(url, None, None).unwrap(), &practice, Access::Daemon, key).unwrap()
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let place = arguments.next().unwrap_or_else(|| ".".to_owned());
    let millions: f64 = arguments.next().map_or(1.0, |n| n.parse().unwrap());
    let key = std::env::args().any(|a| a == "--sealed").then(|| StoreKey::parse(&"07".repeat(32)).unwrap());
    if let Some(nodes) = given("nodes") {
        let count = given("count").map_or(12_000, |count| count[0]);
        let mut round = 0;
        for attempts in given("attempts").unwrap_or_else(|| vec![32, 64, 128]) {
            let mut one = None;
            for &nodes in &nodes {
                round += 1;
                let each = side_by_side(&place, (nodes, attempts, count), round).await;
                println!("{attempts:>3} at once each, {nodes} nodes: {each:6.0} messages/s, {:.2} x", each / *one.get_or_insert(each));
            }
        }
        return;
    }
    if Server::is_named_by(&place) {
        let store: Arc<dyn Outbox> = Arc::new(database(&place, key.as_ref()));
        return measure(&store, millions).await;
    }
    let folder = tempfile::tempdir_in(Path::new(&place)).unwrap();
    let path = folder.path().join("outbox.db");
    let url = format!("sqlite://{}", path.display());
    let open = || SqliteOutbox::open_with(&url, Access::Daemon, key.as_ref()).unwrap();
    let file = Arc::new(open());
    let store: Arc<dyn Outbox> = file.clone();
    measure(&store, millions).await;
    println!("{:<44} {:>8}", "commits", file.commits());
    drop((file, store));
    let bytes = path.metadata().unwrap().len();
    let start = Instant::now();
    drop(open());
    println!("{:<44} {:>10.2?}, {} MB", "open", start.elapsed(), bytes / 1_000_000);
}

async fn measure(store: &Arc<dyn Outbox>, millions: f64) {
    let (added, took) = apply(&**store, 1..10_001, |_| 0).await;
    report("apply 10,000 sessions, notices", added, took);
    let start = Instant::now();
    let done = drain(store).await;
    report("claim, begin, doubt, settle; 32 at once", done, start.elapsed());
    let start = Instant::now();
    for chunk in 0..(millions * 50.0) as i64 {
        let first = 1_000_000 + chunk * 10_000;
        apply(&**store, first..first + 10_000, |n| 100 + n % 500_000).await;
    }
    report("notices more, in walks of 10,000 sessions", (millions * 1e6) as usize, start.elapsed());
    ask(&**store).await;
}
