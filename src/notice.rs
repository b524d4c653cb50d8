//! A notice: one thing to tell one participant. And the reason when there is none.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contact::{Address, Channel};
use crate::session::{ParticipationId, Presence, Role, SessionId};

/// What a notice tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A participant first seen.
    Invite,
    /// A configured rule before the start.
    Reminder,
    /// The start changed after the participant had been told.
    Rescheduled,
    /// The code, passkey or zone changed after the participant had been told.
    Updated,
    /// The session will not take place, or not with this participant.
    Cancelled,
    /// The session runs, and the participant has not connected.
    NotJoined,
}

impl Occasion {
    /// It tells again what was told before, and adds nothing to a calendar.
    pub fn repeats(self) -> bool {
        matches!(self, Self::Reminder | Self::NotJoined)
    }

    /// All of them, in the order in which a session meets them.
    pub const ALL: [Self; 6] = [Self::Invite, Self::Reminder, Self::Rescheduled, Self::Updated, Self::Cancelled, Self::NotJoined];

    /// The word used in the outbox, in JSON and in template folders.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Reminder => "reminder",
            Self::Rescheduled => "rescheduled",
            Self::Updated => "updated",
            Self::Cancelled => "cancelled",
            Self::NotJoined => "not_joined",
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Occasion {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|o| o.as_str() == s)
            .ok_or_else(|| format!("{s:?} is no occasion; expected invite, reminder, rescheduled, updated, cancelled or not_joined"))
    }
}

/// A notice's identity: computed from what it tells to whom, never drawn. The outbox holds a key once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeKey(pub [u8; 16]);

/// What makes a notice another one. Two notices with the same identity are the same notice, whatever restarts or re-exports.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The practice's id in the configuration (not its name, which may change).
    pub practice: &'a str,
    pub session: SessionId,
    /// The person in it.
    pub participation: ParticipationId,
    pub occasion: Occasion,
    /// The reminder rule's name.
    pub rule: Option<&'a str>,
    /// The start that it speaks of.
    pub start: DateTime<Utc>,
    /// Channel and address: by its meaning (see [`NoticeKey::of`]).
    pub address: &'a Address,
    /// For `updated`: what changed to (code and passkey); empty otherwise.
    pub content: &'a str,
}

impl NoticeKey {
    /// SHA-256 over the length-prefixed fields, the first 128 bits. Two spellings of one address make one key.
    pub fn of(id: &Identity<'_>) -> Self {
        Self::digest(id, &id.address.canonical())
    }

    /// The key that this spelling of the address had before addresses were compared by meaning: rows of such stores keep it.
    pub fn of_spelling(id: &Identity<'_>) -> Self {
        Self::digest(id, id.address.expose())
    }

    fn digest(id: &Identity<'_>, address: &str) -> Self {
        let mut hash = Sha256::new();
        let start = id.start.timestamp().to_be_bytes();
        let fields: [&[u8]; 9] = [
            id.practice.as_bytes(),
            &id.session.0.to_be_bytes(),
            &id.participation.0.to_be_bytes(),
            id.occasion.as_str().as_bytes(),
            id.rule.unwrap_or("").as_bytes(),
            &start,
            id.address.channel().as_str().as_bytes(),
            address.as_bytes(),
            id.content.as_bytes(),
        ];
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

/// So often at most a notice is handed over again.
pub const RESENDS_MAX: u8 = 20;

impl NoticeKey {
    /// The key of the `n`th time that this one is handed over again, to that address. Computed, too: a row shows by it what it hands over again and
    /// to whom, and nobody who can write into the store sends it elsewhere.
    #[must_use]
    pub fn resent(self, n: u8, to: &Address) -> Self {
        let mut hash = Sha256::new();
        for field in [&b"resend"[..], &self.0, &[n], to.channel().as_str().as_bytes(), to.expose().as_bytes()] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

impl fmt::Display for NoticeKey {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for NoticeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NoticeKey {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(s.as_bytes()).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or_else(|| format!("{s:?} is no notice key; expected 32 hexadecimal digits"))
    }
}

/// One thing to tell one participant, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// See [`Identity`].
    pub key: NoticeKey,
    pub session: SessionId,
    /// The person in it.
    pub participation: ParticipationId,
    pub role: Role,
    pub occasion: Occasion,
    /// The reminder rule's name; `None` for every other occasion.
    pub rule: Option<String>,
    pub address: Address,
    /// The start that it speaks of.
    pub start: DateTime<Utc>,
    /// Not before this.
    pub due_at: DateTime<Utc>,
    /// Not at or after this: then it lapses.
    pub useful_until: DateTime<Utc>,
}

/// Why something was not planned, or did not go. The same word stands in `preview`, `why`, the outbox, the ledger and the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The record is at fault.
    Quarantined,
    /// One id or code stands for two people.
    Ambiguous,
    /// ScheduleType or RSVP has a word that is not known.
    UnknownStatus,
    /// ShouldAutoDeliverCode is N.
    HostDelivers,
    /// Participant 0, and `hosts = false`.
    HostsOff,
    /// E, and no address.
    NoEmail,
    /// E, and an address that does not parse.
    InvalidEmail,
    /// S, and no number.
    NoNumber,
    /// S, and no possible number of its region.
    InvalidNumber,
    /// The practice's overrides say so.
    DoNotContact,
    /// The person asked for no more messages.
    OptedOut,
    /// An earlier message came back.
    Bounced,
    /// There is nothing to join with.
    NoConnectCode,
    /// The session will not take place.
    Cancelled,
    /// RSVP is Declined.
    Declined,
    /// ConnectionTs is set.
    AlreadyConnected,
    /// ExpiresTs is at or before the due time.
    PassExpired,
    /// A Meet Now session has no reminders.
    MeetNow,
    /// The due time is at or after useful-until.
    Started,
    /// The rule's time had passed when the session became known.
    BookedLate,
    /// Too soon after the invite.
    TooClose,
    /// Enough reminder texts went to this number lately.
    Frequency,
    /// A later rule of the same participant is due too.
    Superseded,
    /// No permitted time is left.
    QuietHours,
    /// The session existed before this program did.
    Adopted,
    /// Nothing was told yet, so there is nothing to correct.
    NeverInvited,
    /// The source no longer lists it.
    Absent,
    /// Waits for an operator.
    Guard,
    /// The source has not answered for too long.
    SourceStale,
    /// Its source is not in the configuration any more.
    SourceGone,
    /// Its useful time passed before it could be handed over.
    Lapsed,
    /// The final bytes held something of another person.
    Leak,
    /// The session says something else by now.
    Outdated,
    /// The template could not be rendered.
    Template,
    /// The gateway's or server's answer never came, and the policy is to wait for a person.
    InDoubt,
    /// The store is an older copy of the one that ran last, which may have sent it.
    Restored,
    /// An operator asked for it.
    Operator,
    /// Somebody at the practice told them in another way.
    Told,
}

/// The words of [`Reason`], in one place.
const REASONS: [(Reason, &str); 38] = [
    (Reason::Quarantined, "quarantined"),
    (Reason::Ambiguous, "ambiguous"),
    (Reason::UnknownStatus, "unknown_status"),
    (Reason::HostDelivers, "host_delivers"),
    (Reason::HostsOff, "hosts_off"),
    (Reason::NoEmail, "no_email"),
    (Reason::InvalidEmail, "invalid_email"),
    (Reason::NoNumber, "no_number"),
    (Reason::InvalidNumber, "invalid_number"),
    (Reason::DoNotContact, "do_not_contact"),
    (Reason::OptedOut, "opted_out"),
    (Reason::Bounced, "bounced"),
    (Reason::NoConnectCode, "no_connect_code"),
    (Reason::Cancelled, "cancelled"),
    (Reason::Declined, "declined"),
    (Reason::AlreadyConnected, "already_connected"),
    (Reason::PassExpired, "pass_expired"),
    (Reason::MeetNow, "meet_now"),
    (Reason::Started, "started"),
    (Reason::BookedLate, "booked_late"),
    (Reason::TooClose, "too_close"),
    (Reason::Frequency, "frequency"),
    (Reason::Superseded, "superseded"),
    (Reason::QuietHours, "quiet_hours"),
    (Reason::Adopted, "adopted"),
    (Reason::NeverInvited, "never_invited"),
    (Reason::Absent, "absent"),
    (Reason::Guard, "guard"),
    (Reason::SourceStale, "source_stale"),
    (Reason::SourceGone, "source_gone"),
    (Reason::Lapsed, "lapsed"),
    (Reason::Leak, "leak"),
    (Reason::Outdated, "outdated"),
    (Reason::Template, "template"),
    (Reason::InDoubt, "in_doubt"),
    (Reason::Restored, "restored"),
    (Reason::Operator, "operator"),
    (Reason::Told, "told"),
];

impl Reason {
    pub fn all() -> impl Iterator<Item = Self> {
        REASONS.into_iter().map(|(reason, _)| reason)
    }

    pub fn as_str(self) -> &'static str {
        REASONS.iter().find(|(r, _)| *r == self).map_or("unknown", |(_, word)| word)
    }

    /// Why nothing at all is sent of a session or to a person of this presence.
    pub fn against(presence: Presence) -> Option<Self> {
        match presence {
            Presence::Listed | Presence::Unknown | Presence::Gone | Presence::Kept => None,
            Presence::Absent => Some(Self::Absent),
            Presence::Unreadable => Some(Self::Quarantined),
            Presence::Guarded => Some(Self::Guard),
        }
    }

    /// A person decided so, or must: no plan takes it back.
    pub fn is_a_persons(self) -> bool {
        matches!(self, Self::Operator | Self::Told | Self::Restored | Self::Leak | Self::Template | Self::InDoubt)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        REASONS.iter().find(|(_, word)| *word == s).map(|(r, _)| *r).ok_or_else(|| format!("{s:?} is no reason"))
    }
}

/// What is not told, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// The session, where it could be read.
    pub session: Option<SessionId>,
    /// The person in it, where it could be read.
    pub participation: Option<ParticipationId>,
    /// Host or participant, where known.
    pub role: Option<Role>,
    /// `None` for a quarantined record: it stands for all occasions.
    pub occasion: Option<Occasion>,
    /// The reminder rule's name.
    pub rule: Option<String>,
    /// Where it would have gone; `None` for N and for what could not be read.
    pub channel: Option<Channel>,
    /// When it would have been due.
    pub due_at: Option<DateTime<Utc>>,
    pub reason: Reason,
    /// For people: the path of a bad field, the rule's time; never a contact, a name or a code.
    pub detail: Option<String>,
}

/// The planner's answer for one participant and occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send, at [`Notice::due_at`].
    Send(Notice),
    Omit(Omission),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;

    #[test]
    fn a_key_depends_on_every_field() {
        let to = Address::Email(EmailAddress::parse("a@example.com").unwrap());
        let other = Address::Email(EmailAddress::parse("b@example.com").unwrap());
        let base = Identity {
            practice: "p",
            session: SessionId(1),
            participation: ParticipationId(2),
            occasion: Occasion::Reminder,
            rule: Some("24h"),
            start: DateTime::UNIX_EPOCH,
            address: &to,
            content: "",
        };
        let variants = [
            base,
            Identity { practice: "q", ..base },
            Identity { session: SessionId(2), ..base },
            Identity { participation: ParticipationId(3), ..base },
            Identity { occasion: Occasion::Invite, ..base },
            Identity { rule: Some("1h"), ..base },
            Identity { start: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1), ..base },
            Identity { address: &other, ..base },
            Identity { content: "x", ..base },
        ];
        let keys: std::collections::HashSet<_> = variants.iter().map(NoticeKey::of).collect();
        assert_eq!(keys.len(), variants.len());
        let key = NoticeKey::of(&base);
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn every_reason_has_its_word() {
        for (reason, word) in REASONS {
            assert_eq!(serde_json::to_value(reason).unwrap(), word);
            assert_eq!(word.parse(), Ok(reason));
        }
    }
}
