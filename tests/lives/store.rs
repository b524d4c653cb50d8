//! The store of a life: in memory, or the one file of SQLite or a practice on PostgreSQL, which is closed and opened again with each process.
//!
//! Whatever is asked of it is answered before anything else happens: the clock of a life stands still meanwhile, and the same life is the same each time.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use punctual::contact::{Address, Channel, PhoneNumber};
use punctual::entry::{Delivery, Entry};
use punctual::feedback::reply::{AcceptedReply, OpenSession, PendingAnswer, Written};
use punctual::guard::{GuardRow, Verdict};
use punctual::known::KnownMap;
use punctual::known::resend::Resent;
use punctual::ledger::{Anchor, Event, LedgerRow, Verified};
use punctual::notice::{Notice, NoticeKey, Omission};
use punctual::outbox::memory::MemoryOutbox;
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{
    Action, Actions, Alert, Applied, Attempts, Begin, Claim, ClaimAlone, ClaimRequest, DigestDelivery, Feedback, Filter, Lease, Nodes,
    NotedSession, Outbox, Purged, Queries, ReadFile, RecentEnd, Recovered, ReplaysAfterRestore, Rest, Restored, Result, Retention,
    Scheduled, Seen, SeenSession, Settlement, SourceLook, SourceRow, Status, TransportAnswer, TransportAsk, TransportName, TransportState,
    Transports, UnreadSource, Upkeep, Walk, Walks,
};
use punctual::receipt::{Receipt, ReceiptTarget, Received, Undelivered};
use punctual::session::stored::{Also, StoredSession};
use punctual::session::{Fault, ParticipationId, SessionId};
use punctual::suppression::{SuppressedAddress, Suppression};
use tempfile::TempDir;

/// Where something else may happen first, as it does in life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Between what a walk read and what it writes.
    Apply,
    /// Attempts begin.
    Begin,
    /// An attempt passes its point of no return.
    Doubt,
    /// Claims end.
    Settle,
}

/// What happens first.
type Meanwhile = dyn Fn(Point) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The file's name; its log and its mark stand beside it.
const FILE: &str = "punctual.db";

enum Kind {
    Memory(Arc<MemoryOutbox>),
    File(File),
    Database(Box<Database>),
}

/// A practice of its own on a server.
struct Database {
    server: Server,
    practice: String,
    /// `None`: for a moment, between two processes.
    open: Mutex<Option<Arc<PostgresOutbox>>>,
}

struct File {
    folder: TempDir,
    /// Each file that is put in place has a folder of its own.
    place: Mutex<usize>,
    /// `None`: for a moment, between two processes.
    open: Mutex<Option<Arc<SqliteOutbox>>>,
}

pub(super) struct Store {
    kind: Kind,
    meanwhile: OnceLock<Box<Meanwhile>>,
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self { kind: Kind::Memory(Arc::new(MemoryOutbox::new([7; 32]))), meanwhile: OnceLock::new() }
    }

    /// Without a disk where there is memory that looks like one: what a power cut leaves is another test's.
    pub(super) fn in_a_file() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let file = File { folder, place: Mutex::new(0), open: Mutex::new(None) };
        fs::create_dir(file.place(0)).unwrap();
        file.opens();
        Self { kind: Kind::File(file), meanwhile: OnceLock::new() }
    }

    /// On a server; a life there makes no copy that could be put back.
    pub(super) fn on_a_server(url: &str) -> Self {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let server = Server::parse(url, None, None).unwrap();
        MIGRATED.get_or_init(|| {
            PostgresOutbox::migrate(&server).unwrap();
        });
        let practice = format!("life {} {}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Database { server, practice, open: Mutex::new(None) };
        database.opens();
        Self { kind: Kind::Database(Box::new(database)), meanwhile: OnceLock::new() }
    }

    /// Runs this before each write of these kinds. Once for a store.
    pub(super) fn meanwhile(&self, happens: Box<Meanwhile>) {
        self.meanwhile.set(happens).ok();
    }

    async fn reaches(&self, point: Point) {
        if let Some(happens) = self.meanwhile.get() {
            happens(point).await;
        }
    }

    /// The clock by which leases are measured; a file's and a server's are the machine's.
    pub(super) fn set_clock(&self, now: DateTime<Utc>) {
        if let Kind::Memory(memory) = &self.kind {
            memory.set_clock(now);
        }
    }

    fn store(&self) -> Arc<dyn Outbox> {
        match &self.kind {
            Kind::Memory(memory) => Arc::clone(memory) as Arc<dyn Outbox>,
            Kind::File(file) => file.open.lock().unwrap().clone().expect("a process has it open") as Arc<dyn Outbox>,
            Kind::Database(database) => database.open.lock().unwrap().clone().expect("a process has it open") as Arc<dyn Outbox>,
        }
    }

    /// The process ends, and another one opens it. Of one that is killed, what the disk has stays as it was at that moment.
    pub(super) fn opens_again(&self, killed: bool) {
        match &self.kind {
            Kind::File(file) if killed => file.is_replaced(&file.now(), true),
            Kind::File(file) => file.opens(),
            Kind::Database(database) => database.opens(),
            Kind::Memory(_) => {}
        }
    }

    /// A copy beside it: as `backup` makes one, or of the bare files. `false`: there is nothing to copy.
    pub(super) fn backs_up(&self, bare: bool, now: DateTime<Utc>) -> bool {
        let Kind::File(file) = &self.kind else { return false };
        let to = file.backup();
        drop(fs::remove_dir_all(&to));
        fs::create_dir(&to).unwrap();
        if bare {
            copy(&file.now(), &to, &["", "-wal"]);
        } else {
            let open = file.open.lock().unwrap().clone().expect("a process has it open");
            at_once(open.backup(&to.join(FILE), |_, _| {})).unwrap();
            // By the clock of this life.
            let copy = rusqlite::Connection::open(to.join(FILE)).unwrap();
            copy.execute("UPDATE identity SET copied_at = ?1", [now.timestamp_millis()]).unwrap();
        }
        true
    }

    /// The copy is put back where no process runs; perhaps with the mark of the store that ran last.
    pub(super) fn puts_back(&self, with_mark: bool) {
        let Kind::File(file) = &self.kind else { return };
        file.is_replaced(&file.backup(), with_mark);
    }
}

impl File {
    fn place(&self, n: usize) -> PathBuf {
        self.folder.path().join(n.to_string())
    }

    fn now(&self) -> PathBuf {
        self.place(*self.place.lock().unwrap())
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    /// The files of that folder are the store from now on, as they stand there now.
    fn is_replaced(&self, by: &Path, with_mark: bool) {
        let before = self.now();
        let n = *self.place.lock().unwrap() + 1;
        let next = self.place(n);
        fs::create_dir(&next).unwrap();
        copy(by, &next, &["", "-wal"]);
        if with_mark {
            copy(&before, &next, &[".mark"]);
        }
        *self.place.lock().unwrap() = n;
        self.opens();
        fs::remove_dir_all(before).unwrap();
    }

    fn opens(&self) {
        let mut open = self.open.lock().unwrap();
        // One that is open yet keeps every other one out.
        *open = None;
        *open = Some(Arc::new(SqliteOutbox::open(&format!("sqlite://{}", self.now().join(FILE).display()), Access::Daemon).unwrap()));
    }
}

impl Database {
    fn opens(&self) {
        let mut open = self.open.lock().unwrap();
        *open = None;
        *open = Some(Arc::new(PostgresOutbox::open(&self.server, &self.practice, Access::Daemon, None).unwrap()));
    }
}

fn copy(from: &Path, to: &Path, endings: &[&str]) {
    for ending in endings {
        let name = format!("{FILE}{ending}");
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The answer, before this thread does anything else.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(tokio::task::unconstrained(answer));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Asks the store that is open; first, something else may happen.
macro_rules! asks {
    ($part:ident { $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty $(, after $point:ident)?;)* }) => {
        #[async_trait]
        impl $part for Store {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer> {
                $(self.reaches(Point::$point).await;)?
                let store = self.store();
                at_once(store.$name($($arg),*))
            })*
        }
    };
}

asks!(Walks {
    seen_from(source: &str, from: DateTime<Utc>) -> Option<Seen>;
    seen_among(source: &str, ids: &[SessionId]) -> HashMap<SessionId, SeenSession>;
    sources() -> Vec<SourceRow>;
    configure(names: &[String], now: DateTime<Utc>) -> usize;
    rename_source(from: &str, to: &str, now: DateTime<Utc>) -> bool;
    lately(now: DateTime<Utc>) -> Vec<NotedSession>;
    also() -> Vec<(String, Also)>;
    sessions(source: &str, ids: Option<&[SessionId]>) -> Vec<StoredSession>;
    starting(from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Vec<(String, SessionId)>;
    guards() -> Vec<GuardRow>;
    decide_guard(verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> usize;
    people(source: &str, now: DateTime<Utc>) -> usize;
    listed(source: &str) -> usize;
    rest(source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Option<Rest>;
    heard(source: &str, at: DateTime<Utc>) -> ();
    known(source: &str, sessions: &[SessionId]) -> KnownMap;
    apply(walk: Walk) -> Applied, after Apply;
    plan_anew() -> ();
    absences_anew() -> ();
    want_look(source: &str) -> i64;
    had_look(source: &str, wanted: i64) -> ();
    leave_alone(source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> ();
    was_read(source: &str, file: ReadFile) -> ();
    last_read(source: &str) -> Option<ReadFile>;
    not_read(source: &str, unread: Option<UnreadSource>) -> ();
    looks() -> Vec<SourceLook>;
    replays_after_restore(source: &str, now: DateTime<Utc>) -> ReplaysAfterRestore;
});

asks!(Attempts {
    next_due(channel: Channel) -> Option<DateTime<Utc>>;
    most_urgent(channel: Channel, now: DateTime<Utc>) -> Option<DateTime<Utc>>;
    claim(request: ClaimRequest) -> Vec<Claim>;
    claim_alone(request: ClaimAlone) -> Option<Lease>;
    begin(attempts: Vec<Begin>) -> Vec<bool>, after Begin;
    doubt(lease: Lease, revision: i64, margin: TimeDelta) -> bool, after Doubt;
    take(attempt: Begin, margin: TimeDelta) -> bool, after Doubt;
    reroute(lease: Lease, transport: &str) -> bool;
    settle(at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Vec<bool>, after Settle;
    settle_with_next(at: DateTime<Utc>, lease: Lease, end: Settlement) -> bool, after Settle;
    settled_lately(channel: Channel, rows: usize) -> Vec<RecentEnd>;
    take_back(rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> usize;
    recover(owner: &str, now: DateTime<Utc>, everything: bool) -> Recovered;
    lapse(now: DateTime<Utc>) -> Vec<Entry>;
    lapsed(since: DateTime<Utc>) -> Vec<Entry>;
    resolve_doubt(now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> ();
});

asks!(Feedback {
    suppressions() -> HashMap<String, Suppression>;
    suppressed() -> Vec<SuppressedAddress>;
    suppress(now: DateTime<Utc>, address: &Address, kind: Suppression, deed: Option<&str>) -> bool;
    unsuppress(now: DateTime<Utc>, key: &str, deed: Option<&str>) -> bool;
    receive(now: DateTime<Utc>, receipt: Receipt) -> Received;
    whose(about: &ReceiptTarget) -> Option<NoticeKey>;
    due_between(from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<NoticeKey>;
    undelivered(now: DateTime<Utc>) -> Vec<Undelivered>;
    reply(now: DateTime<Utc>, taken: AcceptedReply) -> bool;
    open_sessions(number: &PhoneNumber, now: DateTime<Utc>) -> Vec<OpenSession>;
    unread(limit: usize) -> Vec<Written>;
    mark_read(who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> bool;
    waiting_answers() -> Vec<PendingAnswer>;
});

asks!(Actions {
    ask(now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> bool;
    act_by(who: Option<&str>, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> usize;
    resend(who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Vec<Resent>;
    record_event(at: DateTime<Utc>, event: Event, detail: &str) -> ();
    record_event_about(at: DateTime<Utc>, event: Event, detail: &str, about: Option<(SessionId, ParticipationId)>) -> ();
});

asks!(Queries {
    list(filter: &Filter) -> Vec<Entry>;
    deliveries(key: NoticeKey) -> (Vec<Delivery>, Option<Vec<u8>>);
    status() -> Status;
    faults() -> Vec<(String, Fault)>;
    omissions(filter: &Filter) -> Vec<Omission>;
    ledger(session: Option<SessionId>, after: i64, limit: usize) -> Vec<LedgerRow>;
});

asks!(Transports {
    ask_transport(name: &TransportName, ask: TransportAsk) -> TransportAnswer;
    transports() -> Vec<TransportState>;
});

asks!(Upkeep {
    reference_key() -> [u8; 32];
    staff_letters(scheduled_at: DateTime<Utc>) -> Vec<DigestDelivery>;
    add_staff_letters(scheduled_at: DateTime<Utc>, useful_until: DateTime<Utc>, recipients: Vec<String>) -> ();
    alerts() -> Vec<Alert>;
    begin_alert(alert: Alert) -> ();
    end_alert(key: &str, now: DateTime<Utc>) -> ();
    verify_ledger(anchor: Option<Anchor>) -> Verified;
    hold_restored(sources: &[String], letters: &[Scheduled], now: DateTime<Utc>) -> Option<Restored>;
    mark() -> Option<Anchor>;
    purge(now: DateTime<Utc>, retention: Retention) -> Purged;
});

asks!(Nodes {
    walks() -> i64;
    walks_of(source: &str) -> i64;
    walked_since(walks: i64) -> Vec<(String, SessionId)>;
});
