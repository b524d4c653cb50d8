//! The outbox: durable notices, and what was told. One trait, one conformance suite, several stores. (Its values stand below it: [`crate::entry`]
//! has the states, [`crate::known`] what the planner needs.)
//!
//! Every method that writes is one transaction, durable when it returns (SQLite: WAL, synchronous=FULL). Stores commit in groups:
//! what arrives while a commit runs goes into the next one. After a claim, every write is a compare-and-set on the claim's
//! `epoch`, so that whoever lost a claim can change nothing. A key is held once, for ever (until it is purged).
//!
//! A store decides nothing. What is due, what is retried when, what a failure means: the caller says so.
//! Times are given by the caller (`now`), except leases, which a store measures by its own clock. They are kept to the millisecond.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contact::{Address, Channel, PhoneNumber};
use crate::entry::{Change, Delivery, Entry, State};
use crate::feedback::reply::{Taken, Told, Waiting, Written};
use crate::guard::{GuardChange, GuardRow, GuardSet, Verdict};
use crate::known::resend::Resent;
use crate::known::{Known, KnownMap};
use crate::ledger::{Anchor, LedgerRow, Verified};
use crate::notice::{Notice, NoticeKey, Occasion, Omission, Reason};
use crate::receipt::{Receipt, Received, Undelivered};
pub use crate::session::stored::{Also, StoredSession};
use crate::session::stored::{Departed, Touch};
use crate::session::{Fault, ParticipationId, Presence, SessionId, SourceRecord};
use crate::suppression::{SuppressedAddress, Suppression};

mod alert;
mod letter;
pub mod memory;
pub mod sqlite;
mod transition;
mod words;

pub use alert::Alert;
pub use letter::{LetterState, StaffLetter};

/// A store failed. Hand-overs stop at once: a message could go out that nobody would remember.
#[derive(Debug, thiserror::Error)]
#[error("the store {action} failed: {cause}")]
pub struct StoreError {
    /// What was attempted: `"claim"`, `"open sqlite:///var/lib/punctual/punctual.db"`.
    pub action: String,
    /// What the store said.
    pub cause: String,
}

/// What a store answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What one walk of a source changes. Applied whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// The source's name in the configuration.
    pub source: String,
    /// When the snapshot was taken.
    pub at: DateTime<Utc>,
    /// `false`: there was none. Sessions are planned again as they were last said; the time of the last snapshot, its policy, its faults and what
    /// waits for an operator stay as they are.
    pub heard: bool,
    /// The snapshot says all that the source lists.
    pub whole: bool,
    /// Digest of the policy and the zone data that these decisions were made with.
    pub policy_digest: String,
    /// The sessions that are new, changed or planned again. Others stay as they are.
    pub sessions: Vec<WalkedSession>,
    /// All faults of this snapshot; they replace the ones of the last.
    pub faults: Vec<Fault>,
    /// What changes of what waits for an operator.
    pub guard: GuardChange,
    /// The first fill is over with it: who comes later is new.
    pub filled: bool,
    /// Sessions that were at fault in the first fill, and still are: whoever is in them was there; replaces the last ones.
    pub adopting: Vec<SessionId>,
    /// What the source says of sessions that stand under another one; replaces what it said before. `None`: nothing new.
    pub also: Option<Vec<Also>>,
}

/// A source that was ever walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its name.
    pub name: String,
    /// It is not in the configuration any more.
    pub gone: bool,
    /// When it last said all that it lists; `None`: not known.
    pub whole_at: Option<DateTime<Utc>>,
}

/// What the store holds of a source, for the next walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// See [`Walk::policy_digest`].
    pub policy_digest: String,
    /// When the last snapshot was applied.
    pub last_snapshot_at: DateTime<Utc>,
    /// What waits for an operator, and what was decided.
    pub guard: GuardSet,
    /// See [`Walk::filled`].
    pub filled: bool,
    /// See [`Walk::adopting`].
    pub adopting: Vec<SessionId>,
    /// Each session, as the last walk left it.
    pub sessions: HashMap<SessionId, SeenSession>,
}

/// A session, as the last walk left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSession {
    /// See [`WalkedSession::digest`].
    pub digest: String,
    /// Whether the source still lists it.
    pub presence: Presence,
    /// The next walk plans it again, whatever the source says of it.
    pub replan: bool,
    /// Its start.
    pub start: DateTime<Utc>,
}

/// How a walk left a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// See [`Walk::policy_digest`].
    pub policy_digest: String,
    /// When the last snapshot was applied.
    pub last_snapshot_at: DateTime<Utc>,
    /// The next walk has work, whatever the source says: something is absent, to be planned again, decided by an operator, or found again after a
    /// restore.
    pub unsettled: bool,
}

/// One session of a [`Walk`].
#[derive(Clone)]
pub struct WalkedSession {
    /// SessionId.
    pub id: SessionId,
    /// The source that it stands under; `None`: the walk's own.
    pub of: Option<String>,
    /// The source that it stood under until now: it moves with its history. `None`: it moves not.
    pub from: Option<String>,
    /// Digest of the record and of what other records say about it (ambiguity). A new value raises the session's revision, and so does another
    /// presence, of itself or of somebody in it.
    pub digest: String,
    /// Whether the source still lists it.
    pub presence: Presence,
    /// The next walk plans it again, whatever the source says: something of it is in flight, or somebody's absence is not sure yet.
    pub replan: bool,
    /// What the plan was made upon. If the store has another one by then, the session is not applied, and is named in [`Applied::touched`].
    /// `None`: nothing was there, and nothing is compared.
    pub was: Option<Touch>,
    /// The record as the source said it, and what is said beside it.
    pub record: SourceRecord,
    /// Whom the source lists no more in it; replaces the last ones.
    pub departed: Vec<Departed>,
    /// Participations that are ambiguous, with the reason.
    pub ambiguous: Vec<(ParticipationId, String)>,
    /// The start, for retention.
    pub start: DateTime<Utc>,
    /// To store for each participant. `notices` is not read.
    pub known: Vec<(ParticipationId, Known)>,
    /// Something of it was noted by a clock that was ahead: it has happened by now, and is noted so.
    pub ahead: bool,
    /// What changes in the outbox.
    pub changes: Vec<Change>,
    /// What is not sent and why; replaces the session's last ones.
    pub omissions: Vec<Omission>,
}

/// What a walk did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Notices added.
    pub added: usize,
    /// Notices moved or released.
    pub moved: usize,
    /// Notices held, cancelled, superseded, lapsed or suppressed.
    pub ended: usize,
    /// Sessions that were touched since they were read: they are as they were, and are to be planned again.
    pub touched: Vec<SessionId>,
}

/// Asks for due notices.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Random for each start of a process.
    pub owner: String,
    /// Due means `next_attempt_at <= now`.
    pub now: DateTime<Utc>,
    /// Of this channel.
    pub channel: Channel,
    /// Claims run out after this long, by the store's clock.
    pub lease: TimeDelta,
    /// At most this many; the most urgent (the earliest useful-until, then earliest due, then added first) first.
    pub limit: usize,
}

/// A claimed notice, and what to decide upon.
#[derive(Clone)]
pub struct Claim {
    /// The notice and its history. Its state is what it was before the claim: waiting or unknown.
    pub entry: Entry,
    /// Fences this claim: every later write names it.
    pub epoch: i64,
    /// The session, as its source said it last.
    pub session: StoredSession,
    /// Its revision: `begin` and `doubt` succeed only while it is the latest.
    pub revision: i64,
    /// When its source was last read.
    pub snapshot_at: DateTime<Utc>,
    /// What is known of the participant.
    pub known: Known,
    /// The frozen bytes of an attempt that ended in doubt: what is sent again must be the same. `None`: nothing is in doubt, render afresh.
    pub frozen: Option<Vec<u8>>,
    /// When those bytes were last begun.
    pub frozen_at: Option<DateTime<Utc>>,
}

/// Names a claim in the writes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which notice.
    pub key: NoticeKey,
    /// The claim's epoch.
    pub epoch: i64,
}

/// An attempt begins: state sending, phase pre, the bytes frozen.
#[derive(Clone)]
pub struct Begin {
    /// The claim.
    pub lease: Lease,
    /// The session's revision that was rendered.
    pub revision: i64,
    /// Digest of the facts that were rendered.
    pub facts: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The transport's name.
    pub transport: String,
    /// The final content.
    pub bytes: Arc<[u8]>,
}

/// How a claim ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Final.
    Accepted {
        /// Redacted.
        reply: String,
        /// The server's own id.
        reference: Option<String>,
    },
    /// Final.
    Rejected {
        /// Redacted.
        reply: String,
        /// Remember this of the address, in the same transaction.
        remember: Option<Suppression>,
    },
    /// Waiting again; the attempt counts.
    Retry {
        /// Redacted.
        why: String,
        /// When.
        next_attempt_at: DateTime<Utc>,
    },
    /// Waiting again (or unknown again, if it was); the attempt does not count: fenced, channel at fault, moved by the planner, shut down.
    Return {
        /// The outcome word for the delivery row: `channel_fault`, `fenced`, `moved`, `stopped`.
        outcome: &'static str,
        /// Redacted.
        why: Option<String>,
        /// When.
        next_attempt_at: DateTime<Utc>,
    },
    /// In doubt.
    Unknown {
        /// Redacted.
        why: String,
        /// Send the same bytes again then; `None`: only if a person says so.
        resend_at: Option<DateTime<Utc>>,
    },
    /// Not sent after all: held, cancelled, superseded, lapsed or suppressed.
    Ended {
        /// Where it goes.
        state: State,
        /// Why.
        reason: Reason,
    },
}

/// How a hand-over ended lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lately {
    /// Which notice.
    pub key: NoticeKey,
    /// Its address, as a [`suppression_key`].
    pub who: String,
    /// Over which transport.
    pub transport: String,
    /// The ledger's words: `rejected: RCPT: 550 no`.
    pub end: String,
}

/// What a start found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Claims that had not begun, or were in phase pre: back in the state that they were claimed from, with no new doubt.
    pub returned: usize,
    /// Attempts in phase doubt: unknown now. The caller decides about a resend with `resolve_doubt`; what an earlier start left
    /// undecided (it ended in between) is named again. By key.
    pub in_doubt: Vec<NoticeKey>,
}

/// Which notices a command means.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this participation.
    pub participation: Option<ParticipationId>,
    /// In one of these states; empty: all.
    pub states: Vec<State>,
    /// Of this occasion.
    pub occasion: Option<Occasion>,
    /// These keys; empty: all.
    pub keys: Vec<NoticeKey>,
    /// Only what stands behind this one in due order: its due time and key. (Notices; omissions do not look at it.)
    pub after: Option<(DateTime<Utc>, NoticeKey)>,
    /// At most this many; `None`: all.
    pub limit: Option<usize>,
}

/// What a person may do with a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// waiting (back-off), held or unknown: due now, waiting, yet never before its due time. (Of unknown: send the frozen bytes again.)
    Retry,
    /// waiting: held, reason operator.
    Hold,
    /// held: waiting, due at its due time.
    Release,
    /// waiting, held or unknown: cancelled, reason operator.
    Cancel,
    /// The same, reason told: somebody told the participant in another way, and what they were told counts as told.
    CancelTold,
    /// cancelled by a person, and of use yet: waiting, due at its due time; of one in doubt: unknown again.
    Restore,
}

/// A source, as the store last heard of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// When the last snapshot was applied.
    pub last_snapshot_at: Option<DateTime<Utc>>,
    /// Sessions held.
    pub sessions: u64,
}

/// Counts and times for `status`.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Notices by state.
    pub by_state: HashMap<State, u64>,
    /// Omissions by reason.
    pub by_reason: HashMap<Reason, u64>,
    /// When the next notice is due.
    pub next_due: Option<DateTime<Utc>>,
    /// Each source.
    pub sources: Vec<SourceStatus>,
    /// Quarantined records of the last snapshots.
    pub faults: Vec<(String, Fault)>,
    /// Suppressed addresses.
    pub suppressed: u64,
}

/// What a start did with a store that was restored from an older copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The copy is complete until then; `None`: it was empty.
    pub since: Option<DateTime<Utc>>,
    /// Notices that wait for a person now.
    pub held: usize,
}

/// What is kept how long.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Of sessions that started before this: no frozen bytes, no record (both hold codes).
    pub content_before: DateTime<Utc>,
    /// Of before this: no ledger; of sessions that started before this: no notices and deliveries either.
    pub history_before: DateTime<Utc>,
}

/// What a purge removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Frozen messages.
    pub contents: u64,
    /// Records of sessions.
    pub records: u64,
    /// Notices, with their deliveries.
    pub notices: u64,
    /// Rows of the ledger.
    pub ledger_rows: u64,
}

/// A durable store of notices.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The key with which Message-IDs and client references are made: drawn when the store is created, 32 bytes.
    async fn reference_key(&self) -> Result<[u8; 32]>;

    /// What the last walk of this source left. `None`: never filled (first start).
    async fn seen(&self, source: &str) -> Result<Option<Seen>> {
        self.seen_from(source, DateTime::UNIX_EPOCH).await
    }

    /// The same, of the sessions that start at that time or later: what is over need not be read.
    async fn seen_from(&self, source: &str, from: DateTime<Utc>) -> Result<Option<Seen>>;

    /// Of these sessions alone, whenever they start.
    async fn seen_among(&self, source: &str, ids: &[SessionId]) -> Result<HashMap<SessionId, SeenSession>>;

    /// The sources that were ever walked, by name.
    async fn sources(&self) -> Result<Vec<SourceRow>>;

    /// These are the sources from now on: what waits of others is held, `source_gone`; what comes back is planned again. Returns how many notices
    /// are held by that.
    async fn configure(&self, names: &[String], now: DateTime<Utc>) -> Result<usize>;

    /// A source has another name from now on: all that was of it is of that. `false`: there is none of the old name, or one of the new already.
    async fn rename_source(&self, from: &str, to: &str, now: DateTime<Utc>) -> Result<bool>;

    /// What sources say of sessions that stand under another one, with their names.
    async fn also(&self) -> Result<Vec<(String, Also)>>;

    /// Sessions held of this source, of the last good snapshot: these, or all, by id. Those whose record was purged are over, and are not
    /// named.
    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>>;

    /// Source and id of the sessions that start in that time (the end excluded), in the order of their starts. Those whose record was purged
    /// are not named.
    async fn starting(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<(String, SessionId)>>;

    /// What waits for an operator, by source, session and kind.
    async fn guards(&self) -> Result<Vec<GuardRow>>;

    /// An operator lets pass what waits now (of one source, or of all): the next walk applies it. Returns how many sessions that are.
    async fn accept_guard(&self, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        self.decide_guard(Verdict::Accept, None, source, now).await
    }

    /// An operator decides about what waits now, and the ledger names who did it. Returns about how many sessions; what cannot be decided so
    /// ([`Verdict`]) waits on.
    async fn decide_guard(&self, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Result<usize>;

    /// How many people future sessions of this source have: what the guard's share is reckoned from.
    async fn people(&self, source: &str, now: DateTime<Utc>) -> Result<usize>;

    /// How the last walk of this source left it: whether one that says nothing new could change anything. `since`: sessions that started before
    /// that are over. `None`: never filled.
    async fn rest(&self, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<Option<Rest>>;

    /// The source said what it said before: that is as good as a walk of it.
    async fn heard(&self, source: &str, at: DateTime<Utc>) -> Result<()>;

    /// What is known of the participants of these sessions, removed ones included.
    async fn known(&self, source: &str, sessions: &[SessionId]) -> Result<KnownMap>;

    /// Applies a walk, whole or not at all, but for sessions that were touched since they were read: those stay as they are, wait to be planned
    /// again, and are named. A change that would change nothing is not counted, and leaves no trace.
    async fn apply(&self, walk: Walk) -> Result<Applied>;

    /// The next walk of each source plans all of its sessions again, whatever the source says: what was decided by a clock that was wrong.
    async fn plan_anew(&self) -> Result<()>;

    /// Addresses that get no messages, as [`suppression_key`]s.
    async fn suppressions(&self) -> Result<HashMap<String, Suppression>>;

    /// The suppression list, the newest first.
    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>>;

    /// A person puts an address on the list. `false`: it is there already. (An opt-out is never weakened to a bounce.)
    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression) -> Result<bool>;

    /// A person takes an address off the list, by its [`suppression_key`]. `false`: it was not there.
    async fn unsuppress(&self, now: DateTime<Utc>, key: &str) -> Result<bool>;

    /// When the next attempt of this channel is due: the least `next_attempt_at` of waiting and unknown. `None`: nothing waits.
    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>>;

    /// Until when the most urgent of this channel's due notices is of use. `None`: nothing is due.
    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>>;

    /// Claims due notices: epoch + 1, leased.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>>;

    /// Attempts begin. For each: whether the claim and the revision still hold; `false` changes nothing. A claim begins once.
    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>>;

    /// An attempt passes its point of no return. `false`: the claim or the revision holds no more, or less than `margin` is left of the lease: send nothing.
    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool>;

    /// An attempt begins and passes its point of no return in one durable step: [`Outbox::begin`] and [`Outbox::doubt`] at once. `false` changes nothing.
    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool>;

    /// An attempt that has begun goes over another transport than it was begun for: its delivery names that one, of which nothing was sent yet. Also
    /// behind its point of no return, if the server refused it there: that is an answer. `false`: the claim holds no more; changes nothing.
    async fn goes_over(&self, lease: Lease, transport: &str) -> Result<bool>;

    /// Claims end. For each: whether the claim still held. A delivery that was begun is written down in any case.
    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>>;

    /// How hand-overs of this channel ended, in order: those that the last `rows` of the ledger tell.
    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<Lately>>;

    /// Refusals turned out to be about us: what is rejected waits again (until the time that stands beside it, or as if it had never been tried), if
    /// it is still of use; and what its rejection put on the suppression list leaves it, in one transaction. Returns how many wait.
    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize>;

    /// Takes a receipt: beside the delivery that it speaks of, into the ledger, and onto the suppression list if it says so. A notice in doubt is
    /// accepted by it, whatever the receipt says: the provider has it. The same receipt again, and one that goes back, change nothing.
    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received>;

    /// Keys of all notices that were due in this span, the latest first: our own references are computed from them, and so found again.
    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>>;

    /// What did not arrive, of sessions that start after `now`, and was not mended since: by start. Mended: a later message of the same
    /// participant arrived, or one to another address was accepted.
    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>>;

    /// Takes a reply: what it changes, and its answer, if there was none of its kind to that number lately. `false`: it was taken before.
    async fn reply(&self, now: DateTime<Utc>, taken: Taken) -> Result<bool>;

    /// The sessions that this number was told of: the coming ones, and those of the last day that it got a text about lately.
    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<Told>>;

    /// What people wrote and somebody at the practice should read, the oldest first, `limit` at most; not what was marked as read.
    async fn unread(&self, limit: usize) -> Result<Vec<Written>>;

    /// Somebody at the practice read it; the ledger names who. `false`: it was read before, or is not there.
    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool>;

    /// Answers that wait, the oldest first.
    async fn waiting_answers(&self) -> Result<Vec<Waiting>>;

    /// An answer is about to leave: it is never tried again. `false`: it waits no more, send nothing.
    async fn begin_answer(&self, key: NoticeKey) -> Result<bool>;

    /// What became of an answer: `accepted`, or why not.
    async fn end_answer(&self, now: DateTime<Utc>, key: NoticeKey, outcome: &str) -> Result<()>;

    /// Takes back what was left behind: all that other owners hold (`everything`, when nobody else can be alive), and in any case
    /// what has an expired lease. A lease must outlive the longest attempt, or a running one is taken for a dead one.
    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered>;

    /// A person asks for a notice of a session that is known: it waits. `detail`: who asks, and why, for the ledger. `false`: it is there already.
    async fn ask(&self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> Result<bool>;

    /// Ends what waits, is held or is unknown past its useful time: lapsed, with the reason that kept it. Its session is planned again at the
    /// next walk. Returns what this call ended.
    async fn lapse(&self, now: DateTime<Utc>) -> Result<Vec<Entry>>;

    /// What has lapsed since then, by the time of its lapse.
    async fn lapsed(&self, since: DateTime<Utc>) -> Result<Vec<Entry>>;

    /// Decides about notices in state unknown: the same bytes again at that time, or `None`: a person decides.
    async fn resolve_doubt(&self, now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> Result<()>;

    /// Notices, in due order; those due at once in the order in which they were added.
    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>>;

    /// The attempts of one notice, and the frozen content if it is still kept.
    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)>;

    /// A person acts. Returns how many notices changed; the others were in no state for it.
    async fn act(&self, keys: &[NoticeKey], act: Act, now: DateTime<Utc>) -> Result<usize> {
        self.act_by(None, keys, act, now).await
    }

    /// The same, and the ledger names who did it.
    async fn act_by(&self, who: Option<&str>, keys: &[NoticeKey], act: Act, now: DateTime<Utc>) -> Result<usize>;

    /// A person hands over again what was accepted or rejected, to its own address or to that one: a new notice, due now. One answer for each key.
    async fn resend(&self, who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Result<Vec<Resent>>;

    /// Counts and times.
    async fn status(&self) -> Result<Status>;

    /// Omissions of the last plan, with their source, in due order.
    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>>;

    /// Notes an operator's deed in the ledger (`reveal`, `send_test`); `detail` names no contact, name or code.
    async fn note(&self, at: DateTime<Utc>, event: &str, detail: &str) -> Result<()>;

    /// Notes what somebody else said of one participation, or of none that is known; `detail` names no contact, name or code.
    async fn witness(&self, at: DateTime<Utc>, event: &str, detail: &str, about: Option<(SessionId, ParticipationId)>) -> Result<()>;

    /// The ledger's rows after this number, oldest first, of one session or of all, `limit` at most.
    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>>;

    /// What is known of the letters to the practice of that scheduled time, by recipient.
    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<StaffLetter>>;

    /// Writes a letter's state down, and in the ledger. `false`, and nothing changes: it passed its point of no return before, or is over.
    async fn put_staff_letter(&self, letter: StaffLetter) -> Result<bool>;

    /// Incidents that staff were told of and that last, by key.
    async fn alerts(&self) -> Result<Vec<Alert>>;

    /// Staff were told of one. One that is there stays as it is.
    async fn begin_alert(&self, alert: Alert) -> Result<()>;

    /// One is over.
    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()>;

    /// Walks the whole ledger, and holds it against an earlier head: the one given, or the one that the store keeps elsewhere.
    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified>;

    /// If the store is an older copy of the one that ran last: holds what that one may have sent, and notes that the first walks of these
    /// sources find it again. `None`: it is not. Called at a start, after [`Outbox::recover`]. (A store that outlives no process has no copies.)
    async fn hold_restored(&self, _sources: &[String], _now: DateTime<Utc>) -> Result<Option<Restored>> {
        Ok(None)
    }

    /// A walk of this source may find again what was told before a restore.
    async fn finds_again(&self, _source: &str, _now: DateTime<Utc>) -> Result<bool> {
        Ok(false)
    }

    /// Notes beside the store how far its ledger has got, by which [`Outbox::hold_restored`] knows an older copy. Returns what it noted.
    async fn mark(&self) -> Result<Option<Anchor>> {
        Ok(None)
    }

    /// It takes writes and answers reads.
    async fn probe(&self) -> Result<()> {
        Ok(())
    }

    /// How many notices are tried by themselves before that time.
    async fn due_before(&self, until: DateTime<Utc>) -> Result<u64> {
        let waiting = Filter { states: vec![State::Waiting, State::Unknown], ..Filter::default() };
        Ok(self.list(&waiting).await?.iter().filter(|e| e.next_attempt_at.is_some_and(|at| at < until)).count() as u64)
    }

    /// How many notices fell or fall due between each of these times and the next one, by their state.
    async fn count_between(&self, edges: &[DateTime<Utc>]) -> Result<Vec<HashMap<State, u64>>> {
        let all = self.list(&Filter::default()).await?;
        let between = |pair: &[DateTime<Utc>]| {
            let mut counts = HashMap::new();
            for entry in all.iter().filter(|e| (pair[0]..pair[1]).contains(&e.notice.due_at)) {
                *counts.entry(entry.state).or_default() += 1;
            }
            counts
        };
        Ok(edges.windows(2).map(between).collect())
    }

    /// How many notices are in that state.
    async fn count(&self, state: State) -> Result<u64> {
        Ok(self.list(&Filter { states: vec![state], ..Filter::default() }).await?.len() as u64)
    }

    /// How many notices are held, for each reason.
    async fn held_by_reason(&self) -> Result<Vec<(Reason, u64)>> {
        let mut counts = std::collections::BTreeMap::new();
        for entry in self.list(&Filter { states: vec![State::Held], ..Filter::default() }).await? {
            *counts.entry(entry.reason.unwrap_or(Reason::Operator)).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    /// Removes what need not be kept. What may still be sent stays, with its session. The ledger tells what was removed.
    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged>;
}
