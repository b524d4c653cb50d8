//! What is said of the outbox's values: the ledger and the deliveries have one word for each change, and a detail without a contact,
//! a name or a code; in print, what holds a record or a message shows its size instead.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::notice::NoticeKey;

use super::{Action, Begin, Claim, Purged, Returned, Settlement, WalkedSession};
use crate::entry::{AttemptEnd, Change};
use crate::ledger::Event;

impl Change {
    /// Its event in the ledger, and the detail.
    pub(crate) fn in_words(&self) -> (Event, Option<String>) {
        match self {
            Self::Add(notice) => (Event::Added, Some(format!("due {}", rfc3339(notice.due_at)))),
            Self::Move { due_at, .. } => (Event::Moved, Some(format!("due {}", rfc3339(*due_at)))),
            Self::End { .. } => (Event::Ended, None),
        }
    }
}

impl Settlement {
    /// How the delivery ended, and the server's text.
    pub(crate) fn in_words(&self) -> (AttemptEnd, Option<&str>) {
        match self {
            Self::Accepted { reply, .. } => (AttemptEnd::Accepted, Some(reply)),
            Self::Rejected { reply, .. } => (AttemptEnd::Rejected, Some(reply)),
            Self::Retry { why, .. } => (AttemptEnd::Retry, Some(why)),
            Self::Return { outcome: Returned::ChannelFault, why, .. } => (AttemptEnd::ChannelFault, why.as_deref()),
            Self::Return { outcome: Returned::Fenced, why, .. } => (AttemptEnd::Fenced, why.as_deref()),
            Self::Return { outcome: Returned::Moved, why, .. } => (AttemptEnd::Moved, why.as_deref()),
            Self::Return { outcome: Returned::Stopped, why, .. } => (AttemptEnd::Stopped, why.as_deref()),
            Self::Unknown { why, .. } => (AttemptEnd::Unknown, Some(why)),
            Self::Ended { state, .. } => (AttemptEnd::Ended(*state), None),
        }
    }

    /// The ledger's detail: `retry: 451 4.3.0 try again`.
    pub(crate) fn detail(&self) -> String {
        let (end, said) = self.in_words();
        end.detail(said)
    }
}

impl Action {
    const ALL: [Self; 6] = [Self::Retry, Self::Hold, Self::Release, Self::Cancel, Self::CancelTold, Self::Restore];

    /// The act of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == word)
    }

    /// The act that a row of the ledger tells of.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        Self::ALL.into_iter().find(|act| Event::from(*act) == *event)
    }

    /// The word in addresses of pages and of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::CancelTold => "cancel_told",
            Self::Restore => "restore",
        }
    }
}

impl From<Action> for Event {
    fn from(act: Action) -> Self {
        match act {
            Action::Retry => Self::Retry,
            Action::Hold => Self::Hold,
            Action::Release => Self::Release,
            Action::Cancel => Self::Cancel,
            Action::CancelTold => Self::CancelTold,
            Action::Restore => Self::Restore,
        }
    }
}

impl Purged {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn in_words(&self) -> String {
        let Self { contents, records, notices, ledger_rows } = self;
        format!("{contents} messages, {records} session records, {notices} notices, {ledger_rows} ledger rows")
    }
}

/// What the ledger tells of a notice that is handed over again.
pub(crate) fn resent(key: NoticeKey, who: Option<&str>) -> String {
    let who = who.map_or_else(String::new, |who| format!(", {}", by(who)));
    format!("as {key}{who}")
}

/// Who did it, in a detail: `by jane`.
pub(crate) fn by(who: &str) -> String {
    format!("by {who}")
}

/// What the ledger tells of what an operator decided about the guard.
pub(crate) fn decided(waiting: usize, source: Option<&str>, who: Option<&str>) -> String {
    let who = who.map_or_else(String::new, |who| format!(", {}", by(who)));
    format!("{waiting} sessions of {}{who}", source.unwrap_or("every source"))
}

/// A time in a detail.
pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl fmt::Debug for WalkedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, digest, presence, record, departed, changes, omissions, .. } = self;
        write!(f, "WalkedSession({id}, {digest}, {presence:?}, {record:?}, {departed:?}, {changes:?}, {omissions:?})")
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, epoch, revision, session, frozen, .. } = self;
        let frozen = frozen.as_ref().map_or(0, Vec::len);
        write!(f, "Claim({}, epoch {epoch}, revision {revision}, {:?} and {frozen} bytes)", entry.notice.key, session.record)
    }
}

impl fmt::Debug for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, revision, transport, bytes, .. } = self;
        write!(f, "Begin({lease:?}, revision {revision}, {transport}, {} bytes)", bytes.len())
    }
}

/// Stands where a store says where the practice's is, while it is filled itself.
pub(super) const FILLING: &str = "(a copy into this one did not end)";

/// Why a store that was left is refused, or one that is not filled yet.
pub(super) fn refusal(to: &str) -> String {
    if to == FILLING {
        return "a copy of the practice into it did not end: say the same punctual store copy again, before anything starts".to_owned();
    }
    format!("the practice's store was copied to {to}, and that one goes on: set [store] url to it. (Back again: punctual store copy)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Lease;
    use crate::session::stored::{Departed, StoredSession, Touch};
    use crate::session::{ParticipationId, Presence, Role, SessionId, SourceRecord};

    #[test]
    fn what_holds_a_code_prints_without_it() {
        let record: SourceRecord = r#"{"ConnectCode":701678455,"ParticipantFullName":"Trevor"}"#.into();
        let departed = vec![Departed {
            id: ParticipationId(18620),
            role: Role::Participant,
            presence: Presence::Absent,
            record: r#"{"ConnectCode":701678455}"#.to_owned(),
        }];
        let stored = StoredSession {
            id: SessionId(9636),
            digest: "d".to_owned(),
            presence: Presence::Listed,
            touch: Touch::default(),
            record: record.clone(),
            departed: departed.clone(),
            ambiguous: Vec::new(),
        };
        let walked = WalkedSession {
            was: None,
            of: None,
            from: None,
            id: SessionId(9636),
            digest: "d".to_owned(),
            presence: Presence::Listed,
            replan: false,
            record,
            departed,
            ambiguous: Vec::new(),
            lately: Vec::new(),
            start: DateTime::UNIX_EPOCH,
            known: Vec::new(),
            ahead: Vec::new(),
            announced: Vec::new(),
            changes: Vec::new(),
            omissions: Vec::new(),
        };
        let begin = Begin {
            lease: Lease { kind: crate::outbox::Outgoing::Notice, key: NoticeKey([1; 16]), epoch: 1 },
            revision: 1,
            facts: String::new(),
            at: DateTime::UNIX_EPOCH,
            transport: "folder".to_owned(),
            bytes: b"Trevor, your code is 701-678-455".as_slice().into(),
        };
        let printed = format!("{stored:?} {walked:?} {begin:?}");
        for secret in ["Trevor", "701678455", "701-678-455", "84, 114"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("9636") && printed.contains("32 bytes"), "{printed}");
    }
}
