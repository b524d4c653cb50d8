//! The outbox: durable notices, and what was told. One trait, one conformance suite, several stores.
//!
//! ```text
//! waiting -> claimed -> sending(pre) -> sending(doubt) -> accepted | rejected | waiting (retry) | unknown
//! waiting -> held | cancelled | superseded | lapsed | suppressed
//! ```
//!
//! Every method that writes is one transaction, durable when it returns (SQLite: WAL, synchronous=FULL). Stores commit in groups:
//! what arrives while a commit runs goes into the next one. After a claim, every write is a compare-and-set on the claim's
//! `epoch`, so that whoever lost a claim can change nothing. A key is held once, for ever (until it is purged).
//!
//! A store decides nothing. What is due, what is retried when, what a failure means: the caller says so.
//! Times are given by the caller (`now`), except leases, which a store measures by its own clock. They are kept to the millisecond.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contact::{Address, Channel, Number, PhoneNumber};
use crate::ledger::{Anchor, Link, Verified};
use crate::notice::{Notice, NoticeKey, Occasion, Omission, Reason};
use crate::outcome::Suppression;
use crate::session::{Fault, ParticipationId, Presence, Role, Rsvp, SessionId};

use self::receipt::{Fate, Receipt, Received, Undelivered};
use self::reply::{Answered, Taken, Told, Waiting, Written};
use self::resend::Resent;

mod alert;
mod guard;
mod letter;
pub mod memory;
pub mod receipt;
pub mod reply;
pub mod resend;
pub mod sqlite;
mod transition;
mod words;

pub use alert::Alert;
pub use guard::{GuardChange, GuardKind, GuardRow, GuardSet, Member, Passed, Standing, Verdict, sessions_of};
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

/// Where a notice is. See the module's drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not due yet, or to be tried again.
    Waiting,
    /// Somebody is about to render it.
    Claimed,
    /// Its bytes are frozen; an attempt runs, or ran when the process ended.
    Sending,
    /// A server said that it has it. Final.
    Accepted,
    /// A server refused it for good. Final.
    Rejected,
    /// It may or may not have been accepted. Resent once at `next_attempt_at`, if that is set.
    Unknown,
    /// Waits for a person, or for a fault to be mended.
    Held,
    /// Its session, participant or facts are gone. Final.
    Cancelled,
    /// Another notice took its place. Final.
    Superseded,
    /// Its time passed. Final.
    Lapsed,
    /// Its address gets no messages. Final.
    Suppressed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Waiting,
        Self::Claimed,
        Self::Sending,
        Self::Accepted,
        Self::Rejected,
        Self::Unknown,
        Self::Held,
        Self::Cancelled,
        Self::Superseded,
        Self::Lapsed,
        Self::Suppressed,
    ];

    /// The word used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Held => "held",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Lapsed => "lapsed",
            Self::Suppressed => "suppressed",
        }
    }

    /// The participant was told, or may have been.
    pub fn told(self) -> bool {
        matches!(self, Self::Accepted | Self::Unknown | Self::Sending)
    }

    /// The planner may still move or cancel it.
    pub fn pending(self) -> bool {
        matches!(self, Self::Waiting | Self::Held)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|x| x.as_str() == s).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|x| x.as_str()).collect();
            format!("{s:?} is no state; expected one of {}", all.join(", "))
        })
    }
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing was sent yet.
    Pre,
    /// The server may have it.
    Doubt,
}

/// One notice in the outbox. (`outbox list` prints it; the address is masked in print.)
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is told to whom, when. `notice.due_at` is the planned time.
    pub notice: Notice,
    /// Where its session came from.
    pub source: String,
    /// Where it is.
    pub state: State,
    /// Why it is there, for held, cancelled, superseded, lapsed, suppressed.
    pub reason: Option<Reason>,
    /// While sending.
    pub phase: Option<Phase>,
    /// When it is tried next: the due time, or later after a failure. `None`: not by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Attempts begun.
    pub attempts: u32,
    /// When a server accepted it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// What the server said last, redacted.
    pub server_reply: Option<String>,
    /// The server's own id of the message.
    pub reference: Option<String>,
    /// When it got into its state.
    pub changed_at: DateTime<Utc>,
    /// Digest of the facts in its frozen bytes; `None`: never begun.
    pub facts: Option<String>,
}

/// One attempt to hand a notice over.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Delivery {
    /// 1 for the first.
    pub attempt: u32,
    /// When its bytes were frozen.
    pub started_at: DateTime<Utc>,
    /// How far it got.
    pub phase: Phase,
    /// When it was settled; `None`: it runs, or the process ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// `accepted`, `rejected`, `retry`, `channel_fault`, `unknown`, `fenced`, `crashed`.
    pub outcome: Option<String>,
    /// The transport's name.
    pub transport: Option<String>,
    /// What the server said, redacted.
    pub reply: Option<String>,
    /// What became of the message, as the provider or a mail server said later; `None`: nothing was said yet.
    pub receipt: Option<Fate>,
    /// When that came.
    pub receipt_at: Option<DateTime<Utc>>,
    /// The provider's error, redacted.
    pub receipt_detail: Option<String>,
}

/// What the store knows of one participant: what the planner needs, and nothing else.
#[derive(Debug, Clone)]
pub struct Known {
    /// When a snapshot first had this person.
    pub first_seen: DateTime<Utc>,
    /// When a snapshot first had the session, whoever was in it.
    pub session_seen: DateTime<Utc>,
    /// The start as last seen.
    pub start: DateTime<Utc>,
    /// When that start became known.
    pub start_known_at: DateTime<Utc>,
    /// Digest of what else a message says: code, passkey, zone (see `plan::facts`).
    pub facts: String,
    /// When those facts, or whether it takes place at all, became known as they are.
    pub facts_known_at: DateTime<Utc>,
    /// It is cancelled, or counts as such.
    pub cancelled: bool,
    /// Since when the source does not list this person; `None`: it does.
    pub absent_since: Option<DateTime<Utc>>,
    /// Snapshots in a row that did not list this person.
    pub absences: u32,
    /// Was there when the store was first filled from this source: may have been announced by somebody else.
    pub adopted: bool,
    /// What the participant answered by text.
    pub rsvp: Option<Answered>,
    /// The start that this answered; `None`: not known, or no answer.
    pub answered_start: Option<DateTime<Utc>>,
    /// What the source says that they answered; `None`: not noted yet.
    pub said: Option<Said>,
    /// Who it is, over all sessions: see `plan::person_key`. `None`: not noted yet.
    pub person: Option<String>,
    /// Reminder texts that went, or are about to go, to the participant's numbers because of other sessions: the latest hundred or so.
    pub reminded: Vec<Reminded>,
    /// The numbers that the participant has texts to, and what is known of each.
    pub numbers: Vec<(PhoneNumber, Number)>,
    /// All of the participant's notices.
    pub notices: Vec<KnownNotice>,
}

/// What a source says that a participant answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Its word.
    pub rsvp: Rsvp,
    /// The start that was in force when the source came to say so: the one that they answered.
    pub start: DateTime<Utc>,
}

/// A reminder of another session, to the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reminded {
    /// When it went.
    pub at: DateTime<Utc>,
    /// It is on its way: nobody knows yet whether it goes.
    pub underway: bool,
    /// Whom it reminded: see [`Known::person`].
    pub person: Option<String>,
}

impl Known {
    /// Somebody who is seen for the first time, in a session that starts then.
    pub fn new(start: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            first_seen: now,
            session_seen: now,
            start,
            start_known_at: now,
            facts: String::new(),
            facts_known_at: now,
            cancelled: false,
            absent_since: None,
            absences: 0,
            adopted: false,
            rsvp: None,
            answered_start: None,
            said: None,
            person: None,
            reminded: Vec::new(),
            numbers: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// What is known of the number, if it is one: of an address nothing is.
    pub fn number(&self, address: &Address) -> Number {
        let Address::Sms(to) = address else { return Number::default() };
        self.numbers.iter().find(|(number, _)| number == to).map(|(_, number)| *number).unwrap_or_default()
    }

    /// The digest of the facts of now. (Beside it, a store of before keeps the one that it remembered.)
    pub fn facts_now(&self) -> &str {
        self.facts.split('=').next().unwrap_or_default()
    }

    /// Reminders of other sessions to this very person: two children at a parent's number are two. Who is not known may be anybody.
    pub fn reminded_themselves(&self) -> Vec<Reminded> {
        let same = |r: &&Reminded| self.person.is_none() || r.person.is_none() || r.person == self.person;
        self.reminded.iter().filter(same).cloned().collect()
    }
}

/// So many texts to a number are looked at, those of the latest sessions, for somebody else who is told at it.
pub(crate) const SHARED_MAX: usize = 100;

/// So many reminders of a number are looked at, those of the latest sessions: far more than any limit.
pub(crate) const REMINDED_MAX: usize = 100;

/// A notice as the planner needs it.
#[derive(Debug, Clone)]
pub struct KnownNotice {
    /// Its key, occasion, address, start and due time.
    pub notice: Notice,
    /// Where it is.
    pub state: State,
    /// Why.
    pub reason: Option<Reason>,
    /// When it got there.
    pub changed_at: DateTime<Utc>,
    /// Digest of the facts that its bytes hold; `None`: never begun.
    pub facts: Option<String>,
    /// An attempt of it passed its point of no return, and its answer is not known.
    pub doubted: bool,
}

impl KnownNotice {
    /// The participant was told, or may have been: also when a doubtful one waits or is claimed to be sent again. What is on its way, and has not
    /// passed its point of no return, was not: it may still be called back.
    pub fn told(&self) -> bool {
        matches!(self.state, State::Accepted | State::Unknown) || self.doubted
    }

    /// The participant knows it: from us, or from somebody else.
    pub fn heard(&self) -> bool {
        self.told() || matches!(self.reason, Some(Reason::Adopted | Reason::Told))
    }

    /// When the participant heard it. What is in doubt went when it was due: it may have been looked at again since.
    pub fn heard_at(&self) -> DateTime<Utc> {
        if self.doubted && !matches!(self.state, State::Accepted | State::Sending) { self.notice.due_at } else { self.changed_at }
    }
}

/// What the store knows of the participants of some sessions.
pub type KnownMap = HashMap<(SessionId, ParticipationId), Known>;

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

/// What a source says of a session that stands under another one.
#[derive(Clone, PartialEq, Eq)]
pub struct Also {
    /// SessionId.
    pub id: SessionId,
    /// Its start, for retention.
    pub start: DateTime<Utc>,
    /// The record as this source said it.
    pub record: String,
}

/// A source that was ever walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its name.
    pub name: String,
    /// It is not in the configuration any more.
    pub gone: bool,
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

/// What a plan was made upon: raised by whatever happens to the session's notices, and by whoever wants it planned again. A plan that was made
/// upon another one is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touch {
    /// The number of the ledger's last row about the session: claims, attempts, ends, receipts, replies, people's deeds and walks each write one.
    pub last: i64,
    /// How often somebody has asked since the last walk that it be planned again.
    pub again: u32,
}

/// Somebody whom the source lists no more in a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Departed {
    /// ParticipationId.
    pub id: ParticipationId,
    /// By position, when last listed.
    pub role: Role,
    /// Absent, gone or unreadable.
    pub presence: Presence,
    /// The person's own record, as the source said it last.
    pub record: String,
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
    /// The record as the source said it.
    pub record: String,
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

/// One change in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new notice, waiting. A key that exists already is left as it is.
    Add(Notice),
    /// Another due time (or useful-until), or needed again: waiting. Only while waiting or held, or when it ended untold as cancelled,
    /// superseded, suppressed or lapsed (and no operator ended it): a session may move away and back.
    Move {
        /// Which.
        key: NoticeKey,
        /// The new due time; the next attempt too.
        due_at: DateTime<Utc>,
        /// The new end.
        useful_until: DateTime<Utc>,
    },
    /// Not any more. Only while waiting or held. `state` is held, cancelled, superseded, lapsed or suppressed.
    End {
        /// Which.
        key: NoticeKey,
        /// Where it goes.
        state: State,
        /// Why.
        reason: Reason,
    },
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

/// A session that the store holds.
#[derive(Clone)]
pub struct StoredSession {
    /// SessionId.
    pub id: SessionId,
    /// See [`WalkedSession::digest`].
    pub digest: String,
    /// See [`WalkedSession::presence`].
    pub presence: Presence,
    /// What a plan is made upon; not read for a claim.
    pub touch: Touch,
    /// See [`WalkedSession::record`].
    pub record: String,
    /// See [`WalkedSession::departed`].
    pub departed: Vec<Departed>,
    /// See [`WalkedSession::ambiguous`].
    pub ambiguous: Vec<(ParticipationId, String)>,
}

/// One row of the append-only ledger: a notice's transition, or an operator's deed. Written in the transaction of what it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LedgerRow {
    /// Rises by one with each row.
    pub seq: i64,
    /// When, by the caller's clock; `doubted` and `rerouted`: by the store's, which measures the lease.
    pub at: DateTime<Utc>,
    /// Which notice, in 32 hexadecimal digits; `None`: not about one.
    pub key: Option<String>,
    /// Its session.
    pub session_id: Option<SessionId>,
    /// Its participation.
    pub participation_id: Option<ParticipationId>,
    /// `added`, `moved`, `ended`, `claimed`, `begun`, `rerouted`, `doubted`, `settled`, `taken_back`, `recovered`, `resolved`, `receipt`, `reply`, `answer`,
    /// `rsvp`, `suppressed`, `unsuppressed`, `purged`, `staff_letter`, `checkpoint` (see [`crate::ledger`]), `restored`, an [`Act`]'s word, `resend`, or the
    /// caller's.
    pub event: String,
    /// The state before.
    pub from_state: Option<State>,
    /// The state after.
    pub to_state: Option<State>,
    /// Why it is there.
    pub reason: Option<Reason>,
    /// Redacted: the outcome, the server's text, a new due time, a transport.
    pub detail: Option<String>,
    /// Its link to the row before it, the store's; `None`: not stored yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Link>,
}

/// An address that gets no messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SuppressedAddress {
    /// See [`suppression_key`].
    pub key: String,
    /// Why.
    pub kind: Suppression,
    /// When that became known.
    pub since: DateTime<Utc>,
    /// The address as it prints, masked: for staff who know whom they look for.
    pub shown: String,
    /// Who said so.
    pub said_by: SaidBy,
    /// The notice whose rejection or receipt said so, in 32 hexadecimal digits; `None`: a person did.
    pub notice: Option<String>,
}

/// Who said that an address gets no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SaidBy {
    /// A server or gateway, when it refused a message.
    Refusal,
    /// A gateway's receipt, or a mail that came back, of a message that had been taken.
    Receipt,
    /// Its owner, by text.
    Reply,
    /// Somebody at the practice.
    Person,
}

impl SaidBy {
    const ALL: [Self; 4] = [Self::Refusal, Self::Receipt, Self::Reply, Self::Person];

    /// The word used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Receipt => "receipt",
            Self::Reply => "reply",
            Self::Person => "person",
        }
    }
}

impl FromStr for SaidBy {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|who| who.as_str() == s).ok_or_else(|| format!("{s:?} is nobody who says so"))
    }
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

/// How the ledger names an address of the suppression list: 32 hexadecimal digits that nobody without the store's own key can try.
pub fn keyed_name(reference_key: &[u8; 32], suppression_key: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(reference_key).expect("HMAC takes keys of any length");
    mac.update(b"suppression ");
    mac.update(suppression_key.as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
}

/// What an address is remembered by in the suppression list: a digest, so that the list itself tells nobody's address.
pub fn suppression_key(address: &Address) -> String {
    use sha2::{Digest, Sha256};
    let text = format!("{}:{}", address.channel(), address.canonical());
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..16])
}
