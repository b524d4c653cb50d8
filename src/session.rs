//! What a source says: sessions and their participants, checked.
//!
//! A [`Snapshot`] is all that one source said at one moment. What could not be read is in it too, as [`Fault`]s
//! with the path of the field: one bad record never stops another.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::contact::{ConnectCode, EmailAddress, Passkey, PersonName};

pub mod live;
mod record;
mod snapshot;
pub mod stored;

pub use record::{SourceRecord, TakenFor};
pub use snapshot::{FAULTS_MAX, Fault, Faults, MoreFaults, Snapshot, SnapshotKind, SnapshotPart, UnreadRecord};

/// SecureVideo's SessionId.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct SessionId(pub i64);

/// SecureVideo's ParticipationId: one person in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct ParticipationId(pub i64);

/// A person in a session of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantRef {
    pub source: String,
    pub session: SessionId,
    /// The person in it.
    pub participation: ParticipationId,
}

/// A session, and one person in it.
pub type ParticipantKey = (SessionId, ParticipationId);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ParticipationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone)]
pub struct Session {
    /// SessionId.
    pub id: SessionId,
    /// ScheduleTs, UTC.
    pub start: DateTime<Utc>,
    /// ScheduleType says that it will not take place.
    pub cancelled: bool,
    /// What else ScheduleType says.
    pub standing: Standing,
    /// Whether the source still lists it.
    pub presence: Presence,
    /// The session-level ConnectCode, which is nobody's: it must never go out.
    pub code: Option<ConnectCode>,
    /// DurationPlannedMinutes, an extension; `None`: not known.
    pub duration: Option<TimeDelta>,
    /// Topic: free text that may hold health information. Never shown unless a template of the practice does.
    pub topic: String,
    /// Those that could be read; the host has [`Role::Host`].
    pub participants: Vec<Participant>,
    /// Those that could not.
    pub faults: Vec<Fault>,
    /// Of these, what could be read.
    pub unread: Vec<Unread>,
    /// What else is said of it, differently: another record of the same SessionId. Empty: nothing.
    pub twice: String,
    /// Until when its codes are in use by that other record; `None`: there is none.
    pub held_until: Option<DateTime<Utc>>,
    /// The record as the source said it: what the store keeps, and what a change is seen by.
    pub record: SourceRecord,
}

impl fmt::Debug for Session {
    /// Neither record nor topic: they hold names and codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {}, {} participants, {:?})", self.id, self.start, self.participants.len(), self.presence)
    }
}

impl Session {
    /// The host's name, which the others may see: it is who they meet. `None` when the host's record is at fault, or the name is empty.
    pub fn host_name(&self) -> Option<&PersonName> {
        self.participants.iter().find(|p| p.role == Role::Host).map(|p| &p.name).filter(|n| !n.expose().is_empty())
    }

    /// It is neither cancelled nor over: its codes open something.
    pub fn is_active(&self) -> bool {
        !self.cancelled && self.standing != Standing::Over
    }

    /// Its codes are in use: it takes place, and its planned end, of an hour at the least, was less than an hour ago.
    pub fn holds_codes(&self, now: DateTime<Utc>) -> bool {
        self.is_active() && now < self.codes_end()
    }

    /// When its codes are in use no more, though it may be listed still.
    pub fn codes_end(&self) -> DateTime<Utc> {
        let hour = TimeDelta::hours(1);
        let end = self.start + self.duration.unwrap_or(hour).max(hour) + hour;
        self.held_until.map_or(end, |until| until.max(end))
    }

    /// The participant of that id.
    pub fn participant(&self, id: ParticipationId) -> Option<&Participant> {
        self.participants.iter().find(|p| p.id == id)
    }
}

/// What ScheduleType says of a session that it does not call cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It takes place.
    #[default]
    Live,
    /// It is over, or counts as such: nobody is told anything any more.
    Over,
    /// A word that nobody taught us: its messages are held until the practice says what it means.
    Unknown,
}

/// Somebody whose record is at fault: what could be read of it is theirs all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unread {
    /// ParticipationId; `None`: that could not be read either.
    pub id: Option<ParticipationId>,
    /// ConnectCode.
    pub code: Option<ConnectCode>,
    pub passkey: Option<Passkey>,
    /// ParticipantEmailAddress.
    pub email: RawContact,
    /// ParticipantSmsNumber.
    pub sms_number: RawContact,
    /// ParticipantFullName.
    pub name: Option<PersonName>,
}

/// Participant 0 is the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Index 0.
    Host,
    /// Everyone else.
    Participant,
}

/// ShouldAutoDeliverCode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoDeliver {
    /// "E"
    Email,
    /// "S"
    Sms,
    /// "N": the host, or another system, tells them.
    Nobody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rsvp {
    /// No answer, or none that is known.
    #[default]
    Unknown,
    /// "Confirmed"
    Confirmed,
    /// "Declined"
    Declined,
}

/// One person in one session.
#[derive(Debug, Clone)]
pub struct Participant {
    /// ParticipationId.
    pub id: ParticipationId,
    /// Host or participant, by position.
    pub role: Role,
    /// Where the record stands in the source: `[3].Participants[1]`.
    pub path: String,
    /// ParticipantFullName, cleaned; may be empty.
    pub name: PersonName,
    /// ShouldAutoDeliverCode.
    pub auto_deliver: AutoDeliver,
    /// ParticipantEmailAddress as the source has it (not yet parsed); empty: none.
    pub email: RawContact,
    /// ParticipantSmsNumber as the source has it; empty: none.
    pub sms_number: RawContact,
    /// ParticipantTimeZoneWindowsId as the source has it: a Windows id or an IANA name; may be empty.
    pub time_zone: String,
    /// ParticipantLocale, an extension (BCP 47).
    pub locale: Option<String>,
    /// ParticipantExternalId; empty: none.
    pub external_id: String,
    /// ConnectCode: what the person joins with. Theirs alone.
    pub code: Option<ConnectCode>,
    /// Passkey, where the practice uses them.
    pub passkey: Option<Passkey>,
    /// ConnectionTs: the first attempt to connect.
    pub connected_at: Option<DateTime<Utc>>,
    /// ExpiresTs: when the meeting pass ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// SecureVideoUserId is set, and this is not the host: they join from their own account.
    pub has_account: bool,
    pub rsvp: Rsvp,
    /// RSVP has a word that is not known: reminders are held.
    pub rsvp_unknown: bool,
    /// DepositRequired, in US dollars.
    pub deposit: Option<Decimal>,
    /// The id or the code stands for another person too: see `source::ambiguity`.
    pub ambiguous: Option<String>,
    /// Whether the source still lists this person.
    pub presence: Presence,
}

impl Participant {
    /// The record says who it is, beside its number.
    pub fn is_named(&self) -> bool {
        !self.name.expose().trim().is_empty() || self.external().is_some()
    }

    /// ParticipantExternalId, if it says who they are: zeros, signs, and what stands for nothing do not.
    pub fn external(&self) -> Option<&str> {
        let id = self.external_id.trim();
        let says_something = id.chars().any(|c| c.is_alphanumeric() && c != '0');
        Some(id).filter(|id| says_something && !PLACEHOLDERS.contains(&id.to_lowercase().as_str()))
    }
}

/// What exports write into a column that they do not fill.
const PLACEHOLDERS: [&str; 13] =
    ["n/a", "na", "n.a.", "none", "null", "nil", "nan", "undefined", "unknown", "tbd", "test", "#n/a", "not available"];

/// Whether a source still lists a session or a participant. What it lists no more is kept as it last was, with this mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// It is in the latest snapshot.
    #[default]
    Listed,
    /// It is not, for now: nothing is sent for it.
    Absent,
    /// It was not for long enough: it counts as cancelled.
    Gone,
    /// Its record cannot be read.
    Unreadable,
    /// The part of the source that has it cannot be read: as it was, for a while.
    Unknown,
    /// It is one of too many that changed at once: an operator decides.
    Guarded,
    /// It was, and an operator rejected what the source says of it now: as it was.
    Kept,
}

impl Presence {
    /// The words of the mark.
    const WORDS: [(Self, &'static str); 7] = [
        (Self::Listed, "listed"),
        (Self::Absent, "absent"),
        (Self::Gone, "gone"),
        (Self::Unreadable, "unreadable"),
        (Self::Unknown, "unheard"),
        (Self::Guarded, "guarded"),
        (Self::Kept, "kept"),
    ];

    /// The guard keeps it as it was: it waits for an operator, or one rejected the change.
    pub(crate) fn is_kept(self) -> bool {
        matches!(self, Self::Guarded | Self::Kept)
    }

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(p, _)| *p == self).map_or("listed", |(_, word)| word)
    }
}

impl std::str::FromStr for Presence {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::WORDS.iter().find(|(_, w)| *w == word).map(|(p, _)| *p).ok_or_else(|| format!("{word:?} is no presence"))
    }
}

/// A contact as the source wrote it: not checked yet, and masked in print.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RawContact(pub String);

impl RawContact {
    /// The e-mail address by meaning: one spelling of each. What is none, as it is written.
    pub fn mailbox(&self) -> String {
        EmailAddress::parse(&self.0).map_or_else(|_| self.0.trim().to_lowercase(), |address| address.canonical().into_owned())
    }
}

impl fmt::Debug for RawContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(contact)" })
    }
}
