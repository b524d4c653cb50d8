//! What waits for an operator because too much changed at once: the set that the store keeps.
//!
//! A member is one kind of change of one session. It enters when a walk finds it, and leaves when the source says again what it said before, or
//! when what an operator decided about it is done. Neither time nor other sessions release it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::session::{ParticipationId, SessionId};

/// What changed too often at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GuardKind {
    /// Left the list, or is cancelled.
    Removed,
    /// Starts at another time.
    Moved,
    /// Lists fewer participants.
    Participants,
    /// A patient is listed as the host, or the host as a patient: their name would go to the others.
    Roles,
    /// Other connect codes or passkeys.
    Codes,
    /// Other e-mail addresses or numbers.
    Addresses,
    /// Other time zones.
    Zones,
    /// Other names.
    Names,
    /// Nobody is told any more, or by another channel: other ShouldAutoDeliverCodes, declined, or connected at a time that is still to come.
    Deliveries,
    /// Another hour on people's clocks, although the source says the same: the zone data or the configuration changed.
    Clocks,
}

impl GuardKind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::Removed,
        Self::Moved,
        Self::Participants,
        Self::Roles,
        Self::Codes,
        Self::Addresses,
        Self::Zones,
        Self::Names,
        Self::Deliveries,
        Self::Clocks,
    ];

    /// The word used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Moved => "moved",
            Self::Participants => "participants",
            Self::Roles => "roles",
            Self::Codes => "codes",
            Self::Addresses => "addresses",
            Self::Zones => "zones",
            Self::Names => "names",
            Self::Deliveries => "deliveries",
            Self::Clocks => "clocks",
        }
    }

    /// It concerns some people of the session, and the others go on; else the whole session.
    pub fn of_people(self) -> bool {
        match self {
            Self::Removed | Self::Moved | Self::Roles | Self::Clocks => false,
            Self::Participants | Self::Codes | Self::Addresses | Self::Zones | Self::Names | Self::Deliveries => true,
        }
    }
}

impl fmt::Display for GuardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GuardKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == s).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("{s:?} is nothing that the guard holds; expected one of {}", all.join(", "))
        })
    }
}

/// Something that one person had until lately, or got lately. Who gets what another one had may have got it by a fault of the list.
#[derive(Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Noted {
    pub id: ParticipationId,
    /// Codes, addresses (of e-mail, and numbers), or names.
    pub kind: GuardKind,
    /// The code, the mailbox, the number or the name, in the spelling in which the guard compares them.
    pub item: String,
    /// Who they were, over all sessions.
    pub who: String,
    /// Mailbox and number that they had beside it.
    pub contacts: Vec<String>,
    /// They got it; else they had it.
    pub got: bool,
    /// It counts until then.
    pub until: DateTime<Utc>,
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, got, until, .. } = self;
        write!(f, "Noted({id}, {kind}, {}, until {until})", if *got { "got" } else { "had" })
    }
}

/// One thing that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GuardRow {
    /// The source.
    pub source: String,
    /// The session.
    pub session_id: SessionId,
    /// What changed.
    pub kind: GuardKind,
    /// Since when it waits.
    pub since: DateTime<Utc>,
    /// Digest of what the source says instead.
    #[serde(skip)]
    pub says: String,
}

/// Sessions of these rows, which stand in the order of their sources and sessions.
pub fn sessions_of<'r>(rows: impl IntoIterator<Item = &'r GuardRow>) -> usize {
    let mut last = None;
    rows.into_iter().filter(|row| last.replace((&row.source, row.session_id)) != Some((&row.source, row.session_id))).count()
}

/// What an operator says to all that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right: the next walk applies it.
    Accept,
    /// It is wrong: what was before stays in force until the source says something else than what was rejected.
    Reject,
}

impl Verdict {
    /// Whether it decides about a member that stands so: a rejection takes back an acceptance that no walk has applied yet.
    pub(crate) fn decides(self, standing: GuardStanding) -> bool {
        standing == GuardStanding::Waiting || (self == Self::Reject && standing == GuardStanding::Accepted)
    }

    /// What becomes of a member. Another hour on people's clocks is nothing that a source said: it cannot be rejected, only mended.
    pub(crate) fn of(self, kind: GuardKind) -> Option<GuardStanding> {
        match self {
            Self::Accept => Some(GuardStanding::Accepted),
            Self::Reject if kind == GuardKind::Clocks => None,
            Self::Reject => Some(GuardStanding::Rejected),
        }
    }
}

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardStanding {
    /// Nobody decided yet: nothing is sent for it.
    Waiting,
    /// An operator accepted it, and no walk has applied it yet.
    Accepted,
    /// An operator rejected it: what was before is in force.
    Rejected,
}

impl GuardStanding {
    const ALL: [Self; 3] = [Self::Waiting, Self::Accepted, Self::Rejected];

    /// The word used in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

impl FromStr for GuardStanding {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|x| x.as_str() == s).ok_or_else(|| format!("{s:?} is no standing of what the guard holds"))
    }
}

/// By what somebody who decides shows which list they saw: another one when a session joins or leaves it, or says another thing.
pub fn seen_as<'a>(rows: impl Iterator<Item = &'a GuardRow>) -> String {
    let mut lines: Vec<String> = rows.map(|row| format!("{} {} {} {}", row.source, row.session_id, row.kind, row.says)).collect();
    lines.sort_unstable();
    data_encoding::HEXLOWER.encode(&Sha256::digest(lines.join("\n"))[..8])
}

/// One kind of change of one session that was too much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The session; what it was before is its record in the store.
    pub session: SessionId,
    pub kind: GuardKind,
    /// How many people of it changed; 1 for the whole session.
    pub people: usize,
    /// Digest of what the source says instead: an operator decides about this, and nothing else.
    pub says: String,
    pub since: DateTime<Utc>,
    pub standing: GuardStanding,
}

/// A change that was let pass, because it was one of few: many of them within minutes are too much, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    pub session: SessionId,
    pub kind: GuardKind,
    pub at: DateTime<Utc>,
}

/// What the store holds of the guard of one source, for the next walk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardSet {
    /// All members, decided ones included, by session and kind.
    pub members: Vec<Member>,
    pub passed: Vec<Passed>,
}

impl GuardSet {
    /// Sessions that the source lists no more, or not with all of their people, and that count as they were.
    pub(crate) fn displaced(&self) -> impl Iterator<Item = SessionId> {
        let kept = |m: &&Member| matches!(m.kind, GuardKind::Removed | GuardKind::Participants) && m.standing != GuardStanding::Accepted;
        self.members.iter().filter(kept).map(|m| m.session)
    }

    /// Sessions of which an operator decided something, and the source says so still, as far as it was heard.
    pub(crate) fn decided(&self) -> impl Iterator<Item = SessionId> {
        self.members.iter().filter(|m| m.standing != GuardStanding::Waiting).map(|m| m.session)
    }
}

/// What a walk changes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardChange {
    /// New members, and those of which the source says another thing now: they wait. One that was decided about meanwhile stays decided, if the
    /// source says the same.
    pub joins: Vec<Member>,
    /// Rejected members of which the source says something else as well: what is kept of them can be neither applied nor left: they wait again.
    pub reopens: Vec<(SessionId, GuardKind)>,
    /// Members that are none any more.
    pub leaves: Vec<(SessionId, GuardKind)>,
    /// What was let pass.
    pub passes: Vec<Passed>,
    /// What passed before this is forgotten.
    pub forgets: Option<DateTime<Utc>>,
}
