//! What a source says of one person, as somebody reads it who has the list before them, and in what two words of it differ.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::source::ZONES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Live,
    Cancelled,
    Over,
    Unknown,
}

/// What a source says of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) session: i64,
    pub(super) start: DateTime<Utc>,
    pub(super) status: Status,
    pub(super) channel: char,
    /// By the channel: as its meaning, not as it is spelt. `None`: it is none.
    pub(super) address: Option<String>,
    /// Both contacts, whichever is used; what is none as it is written.
    pub(super) contacts: (String, String),
    pub(super) code: i64,
    pub(super) name: String,
    pub(super) zone: Tz,
    pub(super) declined: bool,
    /// Perhaps it was another start that they declined.
    pub(super) once_moved: bool,
    pub(super) host: bool,
}

impl Said {
    /// It is neither cancelled nor, by its own word, over.
    pub(super) fn may_take_place(&self) -> bool {
        matches!(self.status, Status::Live | Status::Unknown)
    }

    /// Of one patient to the next nothing is alike but the code, which the first one was told.
    pub(super) fn is_another_with_the_code_of(&self, was: &Self) -> bool {
        let no_contact = self.contacts.0 != was.contacts.0 && self.contacts.1 != was.contacts.1;
        self.code == was.code && self.name != was.name && no_contact && !self.host
    }

    /// What is theirs, and what of it is many people's.
    pub(super) fn owns(&self) -> [String; 5] {
        let (mailbox, number) = self.contacts.clone();
        [self.code.to_string(), mailbox, number, self.name.clone(), self.zone.to_string()]
    }

    /// This, with everything that is another thing now than it was then.
    pub(super) fn with_what_changed(&self, then: &Self, now: &Self) -> Self {
        fn newer<T: PartialEq + Clone>(own: &T, then: &T, now: &T) -> T {
            if then == now { own.clone() } else { now.clone() }
        }
        Self {
            session: newer(&self.session, &then.session, &now.session),
            start: newer(&self.start, &then.start, &now.start),
            status: newer(&self.status, &then.status, &now.status),
            channel: newer(&self.channel, &then.channel, &now.channel),
            address: newer(&self.address, &then.address, &now.address),
            contacts: newer(&self.contacts, &then.contacts, &now.contacts),
            code: newer(&self.code, &then.code, &now.code),
            name: newer(&self.name, &then.name, &now.name),
            zone: newer(&self.zone, &then.zone, &now.zone),
            declined: newer(&self.declined, &then.declined, &now.declined),
            once_moved: self.once_moved || now.once_moved,
            host: newer(&self.host, &then.host, &now.host),
        }
    }
}

/// What may change of somebody.
pub(super) const KINDS: [&str; 8] = ["removed", "moved", "roles", "codes", "addresses", "zones", "names", "deliveries"];

pub(super) fn differs(what: &str, was: &Said, is: &Said) -> bool {
    match what {
        "removed" => is.status == Status::Cancelled,
        "moved" => is.start != was.start,
        "roles" => is.host != was.host,
        "codes" => is.code != was.code,
        "addresses" => is.contacts != was.contacts,
        "zones" => is.zone != was.zone,
        "names" => is.name != was.name,
        "slips" => is.owns() != was.owns(),
        "deliveries" => is.channel != was.channel || (is.declined && !was.declined),
        _ => false,
    }
}

/// A person's record, if it can be used.
pub(super) fn said(session: i64, start: DateTime<Utc>, status: Status, host: bool, person: &Value) -> Option<Said> {
    let text = |key: &str| person[key].as_str().unwrap_or_default();
    let channel = text("ShouldAutoDeliverCode").chars().next().filter(|c| "ESN".contains(*c))?;
    let email = Some(text("ParticipantEmailAddress").to_lowercase()).filter(|a| a.contains('@'));
    let number: String = text("ParticipantSmsNumber").chars().filter(char::is_ascii_digit).collect();
    let plain = !text("ParticipantSmsNumber").contains(|c: char| c.is_ascii_alphabetic());
    let number = (plain && number.len() >= 10).then(|| format!("+1{}", &number[number.len() - 10..]));
    let written = number.clone().unwrap_or_else(|| text("ParticipantSmsNumber").to_lowercase());
    let contacts = (text("ParticipantEmailAddress").to_lowercase(), written);
    Some(Said {
        session,
        start,
        status,
        channel,
        address: if channel == 'S' { number } else { email },
        contacts,
        code: person["ConnectCode"].as_i64()?,
        name: text("ParticipantFullName").to_owned(),
        zone: ZONES.iter().find(|(id, _)| *id == text("ParticipantTimeZoneWindowsId"))?.1,
        declined: ["declined", "rejected", "no"].contains(&text("RSVP").to_lowercase().as_str()),
        once_moved: false,
        host,
    })
}
