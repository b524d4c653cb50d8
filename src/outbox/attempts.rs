//! Attempts to hand messages over: due, claimed, begun, in doubt, settled.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::Result;
use crate::contact::Channel;
use crate::entry::{AttemptEnd, Entry, State};
use crate::known::Known;
use crate::notice::{NoticeKey, Reason};
use crate::session::stored::StoredSession;
use crate::suppression::Suppression;

/// Asks for due notices.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Random for each start of a process.
    pub owner: String,
    /// Due means `next_attempt_at <= now`.
    pub now: DateTime<Utc>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outgoing {
    /// A notice to a participant.
    Notice,
    /// The letter to the practice.
    Letter,
    /// An answer to a text.
    Answer,
}

impl Outgoing {
    /// The word used in the store, of what is no notice.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Letter => "letter",
            Self::Answer => "answer",
        }
    }
}

/// Names a claim in the writes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub kind: Outgoing,
    pub key: NoticeKey,
    /// The claim's epoch.
    pub epoch: i64,
}

impl Claim {
    pub fn lease(&self) -> Lease {
        Lease { kind: Outgoing::Notice, key: self.entry.notice.key, epoch: self.epoch }
    }
}

/// Asks for one message that is no notice.
#[derive(Debug, Clone)]
pub struct ClaimAlone {
    /// Random for each start of a process.
    pub owner: String,
    /// Due means `next_attempt_at <= now`.
    pub now: DateTime<Utc>,
    /// A letter or an answer.
    pub kind: Outgoing,
    pub key: NoticeKey,
    /// It runs out after this long, by the store's clock.
    pub lease: TimeDelta,
}

/// An attempt begins: state sending, phase pre, the bytes frozen.
#[derive(Clone)]
pub struct Begin {
    pub lease: Lease,
    /// The session's revision that was rendered. (Of a notice.)
    pub revision: i64,
    /// Digest of the facts that were rendered. (Likewise.)
    pub facts: String,
    pub at: DateTime<Utc>,
    pub transport: String,
    /// The final content. (Likewise: of nothing else it is kept.)
    pub bytes: Arc<[u8]>,
}

impl Begin {
    /// Of what is no notice.
    pub fn alone(lease: Lease, transport: String, at: DateTime<Utc>) -> Self {
        Self { lease, revision: 0, facts: String::new(), at, transport, bytes: Arc::new([]) }
    }
}

/// Why a claim ends without an attempt that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// The channel itself was at fault: no message would have fared better.
    ChannelFault,
    /// The store did not let it pass: the claim or what was decided upon is another one by now.
    Fenced,
    /// It goes at another time, or is decided again.
    Moved,
    /// The process ends.
    Stopped,
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
        next_attempt_at: DateTime<Utc>,
    },
    /// Waiting again (or unknown again, if it was); the attempt does not count: fenced, channel at fault, moved by the planner, shut down.
    Return {
        outcome: Returned,
        /// Redacted.
        why: Option<String>,
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
    Ended { state: State, reason: Reason },
}

impl Settlement {
    /// It goes later, or is decided again.
    pub fn moved(next_attempt_at: DateTime<Utc>) -> Self {
        Self::Return { outcome: Returned::Moved, why: None, next_attempt_at }
    }

    /// What a plan counted on came otherwise, and its session is planned again: what was left out because of a message that was refused may go after
    /// all, and what the planner does not plan any more it may plan as another notice.
    pub(super) fn unsettles(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Ended { reason: Reason::Outdated, .. })
    }
}

/// How a hand-over ended lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentEnd {
    pub key: NoticeKey,
    /// Its address, as a [`crate::suppression::suppression_key`].
    pub who: String,
    pub transport: String,
    pub end: AttemptEnd,
    /// What was said: `RCPT: 550 no`. Empty: nothing.
    pub said: String,
}

/// What a start found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Claims that had not begun, or were in phase pre: back in the state that they were claimed from, with no new doubt.
    pub returned: usize,
    /// Notices whose attempts were in phase doubt: unknown now. The caller decides about a resend with `resolve_doubt`; what an earlier start left
    /// undecided (it ended in between) is named again. By key.
    pub in_doubt: Vec<NoticeKey>,
}

/// Attempts to hand messages over: due, claimed, begun, in doubt, settled. Notices, and what goes alone, by the same steps.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// When the next attempt of this channel is due: the least `next_attempt_at` of waiting and unknown. `None`: nothing waits.
    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>>;

    /// Until when the most urgent of this channel's due notices is of use. `None`: nothing is due.
    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>>;

    /// Claims due notices: epoch + 1, leased.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>>;

    /// Claims a letter or an answer: epoch + 1, leased. `None`: it waits no more, or is not due.
    async fn claim_alone(&self, request: ClaimAlone) -> Result<Option<Lease>>;

    /// Attempts begin. For each: whether the claim and the revision still hold; `false` changes nothing. A claim begins once.
    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>>;

    /// An attempt passes its point of no return. (The revision is a notice's.) `false`: the claim or the revision holds no more, or less than `margin` is left of the lease: send nothing.
    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool>;

    /// An attempt begins and passes its point of no return in one durable step: [`Attempts::begin`] and [`Attempts::doubt`] at once. `false` changes nothing.
    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool>;

    /// An attempt that has begun goes over another transport than it was begun for: its delivery names that one, of which nothing was sent yet. Also
    /// behind its point of no return, if the server refused it there: that is an answer. `false`: the claim holds no more; changes nothing.
    async fn reroute(&self, lease: Lease, transport: &str) -> Result<bool>;

    /// Claims end. For each: whether the claim still held. A notice's delivery that was begun is written down in any case. A letter or an answer in
    /// doubt never goes again, nor does an answer that left and was not taken.
    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>>;

    /// One claim ends, and the next message on its connection is about to be taken: that one's [`Attempts::take`] may be waited for, for a moment, and
    /// both become durable together. Neither depends on the other. As [`Attempts::settle`].
    async fn settle_with_next(&self, at: DateTime<Utc>, lease: Lease, end: Settlement) -> Result<bool> {
        Ok(self.settle(at, vec![(lease, end)]).await?.contains(&true))
    }

    /// How hand-overs of this channel ended, in order: those that the last `rows` of the ledger tell.
    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<RecentEnd>>;

    /// Refusals turned out to be about us: what is rejected waits again (until the time that stands beside it, or as if it had never been tried), if
    /// it is still of use; and what its rejection put on the suppression list leaves it, in one transaction. Returns how many wait.
    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize>;

    /// Takes back what was left behind: all that other owners hold (`everything`, when nobody else can be alive), and in any case
    /// what has an expired lease. A lease must outlive the longest attempt, or a running one is taken for a dead one.
    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered>;

    /// Ends what waits, is held or is unknown past its useful time: lapsed, with the reason that kept it. Its session is planned again at the
    /// next walk. Returns what this call ended.
    async fn lapse(&self, now: DateTime<Utc>) -> Result<Vec<Entry>>;

    /// What has lapsed since then, by the time of its lapse.
    async fn lapsed(&self, since: DateTime<Utc>) -> Result<Vec<Entry>>;

    /// Decides about notices in state unknown: the same bytes again at that time, or `None`: a person decides.
    async fn resolve_doubt(&self, now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> Result<()>;
}
