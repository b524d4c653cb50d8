//! What a source says: sessions and their participants, checked.
//!
//! A [`Snapshot`] is all that one source said at one moment. What could not be read is in it too, as [`Fault`]s
//! with the path of the field: one bad record never stops another.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::contact::{ConnectCode, Passkey, PersonName};

pub mod live;
mod record;
pub mod stored;

pub use record::{SourceRecord, TakenFor};

/// SecureVideo's SessionId.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct SessionId(pub i64);

/// SecureVideo's ParticipationId: one person in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ParticipationId(pub i64);

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

/// All that a source said at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In the order of the source.
    pub sessions: Vec<Session>,
    /// Sessions that could not be read at all. (A participant's fault is in its [`Session::faults`].)
    pub faults: Vec<Fault>,
    /// Of those beyond the first [`FAULTS_MAX`].
    pub more: MoreFaults,
    /// What stands in those that could not be read, for staff who correct them: never logged, never stored.
    pub unread: Vec<UnreadRecord>,
    /// What it says of the sessions that it does not list.
    pub extent: Extent,
    /// What the source was asked for, where the configuration says only a part of what it has; empty: all.
    pub asked: String,
}

/// The record of a session that could not be read.
#[derive(Clone)]
pub struct UnreadRecord {
    /// Of which session; `None`: that could not be read either.
    pub session: Option<SessionId>,
    /// As its source said it.
    pub record: String,
}

impl fmt::Debug for UnreadRecord {
    /// Not the record: it holds names and codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreadRecord({:?}, {} bytes)", self.session, self.record.len())
    }
}

/// Longest record that is kept for that, in bytes.
const UNREAD_MAX: usize = 64 << 10;

/// So many faults of a snapshot are kept, shown and answered; of more, their number.
pub const FAULTS_MAX: usize = 200;

/// Sessions that could not be read, beyond those that are told one by one.
#[derive(Debug, Clone, Default)]
pub struct MoreFaults {
    /// How many.
    pub count: usize,
    /// Which sessions, as far as that could be read.
    pub sessions: Vec<SessionId>,
    /// That could not be read of all of them.
    pub nameless: bool,
}

/// What could not be used: what is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first [`FAULTS_MAX`].
    pub first: Vec<Fault>,
    /// How many there are.
    pub count: usize,
}

impl Snapshot {
    /// A session that could not be read.
    pub fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.more.count += 1;
            self.more.nameless |= fault.session.is_none();
            self.more.sessions.extend(fault.session.filter(|_| !fault.is_word()));
        }
    }

    /// The record of a session that could not be read.
    pub fn keep_unread(&mut self, session: Option<SessionId>, record: &str) {
        if self.unread.len() < FAULTS_MAX && record.len() <= UNREAD_MAX {
            self.unread.push(UnreadRecord { session, record: record.to_owned() });
        }
    }

    /// Adds another part of the same source.
    pub fn join(&mut self, part: Self) {
        part.unread.iter().for_each(|one| self.keep_unread(one.session, &one.record));
        self.sessions.extend(part.sessions);
        part.faults.into_iter().for_each(|fault| self.fault(fault));
        self.more.count += part.more.count;
        self.more.nameless |= part.more.nameless;
        self.more.sessions.extend(part.more.sessions);
        if part.extent != Extent::Whole {
            self.extent = part.extent;
        }
    }

    /// Sessions whose records could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = SessionId> {
        let at_fault = self.faults.iter().filter(|fault| !fault.is_word());
        at_fault.filter_map(|fault| fault.session).chain(self.more.sessions.iter().copied())
    }

    /// There is a record of which not even the SessionId could be read.
    pub fn is_nameless(&self) -> bool {
        self.more.nameless || self.faults.iter().any(|fault| fault.session.is_none())
    }

    /// What it does not list is there no more: it is whole, and each record in it says which session it is of.
    pub fn is_whole(&self) -> bool {
        self.extent == Extent::Whole && !self.is_nameless()
    }

    /// All that could not be used, of sessions and of their people.
    pub fn told(&self) -> Faults {
        let people = || self.sessions.iter().flat_map(|session| &session.faults);
        let first = self.faults.iter().chain(people()).take(FAULTS_MAX).cloned().collect();
        Faults { first, count: self.faults.len() + self.more.count + people().count() }
    }
}

impl Faults {
    /// One by one, and of the rest how many they are.
    pub fn lines(&self) -> Vec<Fault> {
        let more = self.count - self.first.len();
        let rest = (more > 0).then(|| Fault {
            path: "[...]".to_owned(),
            reason: format!("and {} more records cannot be used", grouped(more)),
            session: None,
            participation: None,
        });
        self.first.iter().cloned().chain(rest).collect()
    }
}

/// `999,800`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// What a snapshot says of the sessions that it does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// They are there no more.
    #[default]
    Whole,
    /// A part of the source could not be read: they may still be there. They count as unchanged, as long as a silent source is believed.
    Part,
    /// They are as they were: it tells of a change only.
    Change,
}

/// One session.
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
    /// Passkey.
    pub passkey: Option<Passkey>,
    /// ParticipantEmailAddress.
    pub email: RawContact,
    /// ParticipantSmsNumber.
    pub sms_number: RawContact,
    /// ParticipantFullName.
    pub name: Option<PersonName>,
}

/// Participant 0 is the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
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

/// RSVP.
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
    /// RSVP.
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
    Unheard,
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
        (Self::Unheard, "unheard"),
        (Self::Guarded, "guarded"),
        (Self::Kept, "kept"),
    ];

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

impl fmt::Debug for RawContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(contact)" })
    }
}

/// A record, or a field of one, that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Fault {
    /// The field's path: `[3].Participants[1].ConnectCode`.
    pub path: String,
    /// What was found and what was expected; repeats no contact, name or code.
    pub reason: String,
    /// Whose record it is, where that could be read.
    pub session: Option<SessionId>,
    /// Likewise.
    pub participation: Option<ParticipationId>,
}

impl Fault {
    /// It is a word that is not known, in a record that can be read otherwise.
    pub fn is_word(&self) -> bool {
        let of_word = self.path.ends_with("ScheduleType") || self.path.ends_with("RSVP");
        // A key that stands twice, or a text without end, is no word.
        of_word && self.reason.starts_with("found ")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}
