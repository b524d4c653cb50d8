//! What a walk reads of the store, and what it writes.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::Result;
use crate::entry::Change;
use crate::guard::{GuardChange, GuardRow, GuardSet, Noted, Verdict};
use crate::known::{Known, KnownMap};
use crate::notice::{NoticeKey, Omission};
use crate::session::stored::{Also, Departed, StoredSession, Touch};
use crate::session::{Fault, ParticipationId, Presence, SessionId, SourceRecord};

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
    /// Of a source that is read in parts: what each lists; replaces the last ones. `None`: nothing new.
    pub parts: Option<Vec<SourcePart>>,
    /// How many walks had been applied when it was planned ([`super::Nodes::walks`]); another number by then, and it is not applied. `None`: nothing is compared.
    pub after: Option<i64>,
    /// What the source says of sessions that stand under another one; replaces what it said before. `None`: nothing new.
    pub also: Option<Vec<Also>>,
}

/// A part of a source, as it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePart {
    /// The file's name in its folder; the path that was asked for.
    pub name: String,
    /// When, if the source was not read whole since.
    pub read_at: Option<DateTime<Utc>>,
    pub sessions: Vec<SessionId>,
}

/// A source that was ever walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    pub name: String,
    /// It is not in the configuration any more.
    pub gone: bool,
    /// When it was last heard; `None`: never.
    pub heard_at: Option<DateTime<Utc>>,
    /// When it last said all that it lists; `None`: not known.
    pub whole_at: Option<DateTime<Utc>>,
    /// Since when it is configured; `None`: not known.
    pub since: Option<DateTime<Utc>>,
}

/// What is asked of a source: looks at it that somebody wants, and until when it is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceLook {
    /// Its name.
    pub source: String,
    /// How many looks were wanted of it so far.
    pub wanted: i64,
    /// How many of them it has had: less than that, and it is to be looked at.
    pub had: i64,
    /// It asked to be left alone until then.
    pub quiet_until: Option<DateTime<Utc>>,
    /// How often in a row it was too busy to answer.
    pub refusals: u32,
    /// `None`: it could be read when it was asked last.
    pub unread: Option<UnreadSource>,
}

/// A source that could not be read when it was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadSource {
    pub since: DateTime<Utc>,
    /// What the log says.
    pub why: String,
    /// It cannot be read until somebody does something.
    pub stays: bool,
}

/// A file, or a folder of them, as a node read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// `[node] name`.
    pub by: String,
    /// When it was written last, by the clock of where it lies.
    pub written: DateTime<Utc>,
    /// Whether two of them say the same: a part of a digest of all that it says.
    pub said: String,
}

/// Of whom walks find again what was told in the time that a store which was put back does not remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplaysAfterRestore {
    /// The store is the one that ran last, or all of it was found.
    Nobody,
    /// Of whoever was held as ambiguous since, and of whom nothing new became known after that time; and of whoever could not be read until now.
    WhoeverWaited(DateTime<Utc>),
    Everybody,
}

impl ReplaysAfterRestore {
    /// Of everybody for this long after a source's first walk, and until what waits for an operator is decided and whoever is missed counts as absent.
    pub(crate) const FOR: TimeDelta = TimeDelta::minutes(15);
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
    /// When the source last said all that it lists; `None`: not known.
    pub whole_at: Option<DateTime<Utc>>,
    /// See [`Walk::parts`]; by name.
    pub parts: Vec<SourcePart>,
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
    pub start: DateTime<Utc>,
}

/// How a walk left a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// See [`Walk::policy_digest`].
    pub policy_digest: String,
    /// When the last snapshot was applied.
    pub last_snapshot_at: DateTime<Utc>,
    /// Which walk it was ([`super::Nodes::walks`]).
    pub walks: i64,
    /// The next walk has work, whatever the source says: something is absent, to be planned again, decided by an operator, or found again after a
    /// restore.
    pub unsettled: bool,
}

/// What people of a session had until lately, or got lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedSession {
    /// The source that the session stands under.
    pub source: String,
    /// SessionId.
    pub session: SessionId,
    /// Never empty; some of it may count no more.
    pub items: Vec<Noted>,
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
    /// What its people had until lately, or got lately; replaces the last.
    pub lately: Vec<Noted>,
    /// The start, for retention.
    pub start: DateTime<Utc>,
    /// To store for each participant. `notices` is not read.
    pub known: Vec<(ParticipationId, Known)>,
    /// Notices that a clock noted which was ahead: what happened to them last has happened by now, at these times.
    pub ahead: Vec<(NoticeKey, DateTime<Utc>)>,
    /// What changes in the outbox.
    pub changes: Vec<Change>,
    /// Of what somebody else had told before this program came: the facts that it told.
    pub announced: Vec<(NoticeKey, String)>,
    /// What is not sent and why; replaces the session's last ones.
    pub omissions: Vec<Omission>,
}

/// What a walk did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub added: usize,
    /// Notices moved or released.
    pub moved: usize,
    /// Notices held, cancelled, superseded, lapsed or suppressed.
    pub ended: usize,
    /// Sessions that were touched since they were read: they are as they were, and are to be planned again.
    pub touched: Vec<SessionId>,
    /// Another node walked since: nothing of this walk was applied, and what the source says is to be looked at anew.
    pub overtaken: bool,
    /// With it so many walks are applied.
    pub walks: i64,
}

/// What a walk reads of the store, and what it writes.
#[async_trait]
pub trait Walks: Send + Sync {
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

    /// What people had until lately, or got lately, by source and session: what counts still.
    async fn lately(&self, now: DateTime<Utc>) -> Result<Vec<NotedSession>>;

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

    /// How many sessions this source lists, as far as their records are kept.
    async fn listed(&self, source: &str) -> Result<usize>;

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

    /// The clock was set, or the machine slept: the next list that misses somebody who does not count as gone yet is the first one that does.
    async fn absences_anew(&self) -> Result<()>;

    /// A look at a source is wanted: whichever process may read it takes one within seconds. Returns how many are wanted by now.
    async fn want_look(&self, source: &str) -> Result<i64>;

    /// It was looked at after so many were wanted.
    async fn had_look(&self, source: &str, wanted: i64) -> Result<()>;

    /// The source asked to be left alone until then, after so many refusals in a row. `None`: it may be asked.
    async fn leave_alone(&self, source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> Result<()>;

    /// A node read that of the source, and walked it.
    async fn was_read(&self, source: &str, file: ReadFile) -> Result<()>;

    /// What one of several nodes read of it last. `None`: it is no file, or no node with a name reads it.
    async fn last_read(&self, source: &str) -> Result<Option<ReadFile>>;

    /// The source could not be read, or can be again.
    async fn not_read(&self, source: &str, unread: Option<UnreadSource>) -> Result<()>;

    /// Sources of which anything was ever asked or told, by name.
    async fn looks(&self) -> Result<Vec<SourceLook>>;

    /// Of whom a walk of this source may find again what was told before a restore.
    async fn replays_after_restore(&self, _source: &str, _now: DateTime<Utc>) -> Result<ReplaysAfterRestore> {
        Ok(ReplaysAfterRestore::Nobody)
    }
}
