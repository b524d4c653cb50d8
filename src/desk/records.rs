//! Records at fault, as their source has them: for staff, who must see what is wrong to correct it.
//!
//! The store keeps where a fault is and what was expected, never what stands there. What stands there is kept here, in memory, from the last look at
//! each source; it is shown on pages, and neither logged nor written anywhere.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::people::{Contacts, Who};
use crate::contact::PersonName;
use crate::session::{Fault, ParticipationId, SessionId, Snapshot, SnapshotKind};

/// Letters of a value that are shown.
const VALUE_MAX: usize = 80;

/// What each source's records at fault say, and since when.
#[derive(Default)]
pub struct Records(Mutex<HashMap<String, RecordsOfSource>>);

#[derive(Default)]
struct RecordsOfSource {
    since: HashMap<Key, DateTime<Utc>>,
    /// By session; `None`: it does not say of which it is.
    raw: HashMap<Option<SessionId>, String>,
}

/// A session, a person in it, and a field.
type Key = (Option<SessionId>, Option<ParticipationId>, String);

impl Records {
    /// A source was read.
    pub fn note(&self, source: &str, snapshot: &Snapshot, now: DateTime<Utc>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.remove(source).unwrap_or_default();
        let mut raw: HashMap<Option<SessionId>, String> = HashMap::new();
        if snapshot.kind == SnapshotKind::Delta {
            let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|session| session.id).collect();
            let at_fault: HashSet<Option<SessionId>> = snapshot.faults.iter().map(|fault| fault.session).collect();
            let stays = |id: &Option<SessionId>| at_fault.contains(id) && id.is_none_or(|id| !listed.contains(&id));
            raw.extend(before.raw.into_iter().filter(|(id, _)| stays(id)));
        }
        let unread = snapshot.unread.iter().map(|r| (r.session, r.record.clone()));
        raw.extend(unread);
        for session in snapshot.sessions.iter().filter(|session| !session.faults.is_empty()) {
            raw.insert(Some(session.id), session.record.text.clone());
        }
        let keys = snapshot.told().first.iter().map(key).collect::<Vec<_>>();
        let since = keys.into_iter().map(|key| (before.since.get(&key).copied().unwrap_or(now), key)).map(|(at, key)| (key, at)).collect();
        all.insert(source.to_owned(), RecordsOfSource { since, raw });
    }

    /// Whoever stands in a session's record at fault; whether somebody else tells them.
    pub fn people(&self, session: SessionId, region: &str) -> Vec<(Who, bool)> {
        self.whose(region, |id| id == session)
    }

    /// Whoever stands in records at fault.
    pub fn everybody(&self, region: &str) -> Vec<Who> {
        self.whose(region, |_| true).into_iter().map(|(who, _)| who).collect()
    }

    fn whose(&self, region: &str, wanted: impl Fn(SessionId) -> bool) -> Vec<(Who, bool)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let records = all.values().flat_map(|of| &of.raw).filter_map(|(id, raw)| Some(((*id)?, raw))).filter(|(id, _)| wanted(*id));
        let read = |(id, raw): (SessionId, &String)| Some(people_of(id, &serde_json::from_str(raw).ok()?, region));
        records.filter_map(read).flatten().collect()
    }

    /// What can be told of a fault.
    pub fn of(&self, source: &str, fault: &Fault, region: &str) -> FaultDetails {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.get(source);
        let since = of.and_then(|of| of.since.get(&key(fault)).copied());
        let record = of.and_then(|of| of.raw.get(&fault.session)).and_then(|raw| serde_json::from_str(raw).ok());
        FaultDetails::read(fault, since, record.as_ref(), region)
    }
}

/// Who stands in a record, as far as that can be read, the host first.
fn people_of(session: SessionId, record: &Value, region: &str) -> Vec<(Who, bool)> {
    let people = record["Participants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let host = people.first().and_then(|host| text(&host["ParticipantFullName"])).map(|name| PersonName::clean(&name));
    let of = |(place, person): (usize, &Value)| {
        let id = ParticipationId(text(&person["ParticipationId"])?.parse().ok()?);
        let told_elsewhere = person["ShouldAutoDeliverCode"] == "N";
        let host = host.clone().filter(|host| place > 0 && !host.expose().is_empty());
        Some((Who { host, ..Who::of_record((session, id), person, region) }, told_elsewhere))
    };
    people.iter().enumerate().filter_map(of).collect()
}

/// What can be told of a fault.
#[derive(Debug, Clone, Default)]
pub struct FaultDetails {
    /// Since when it was seen; since the last start, at the most.
    pub since: Option<DateTime<Utc>>,
    /// The field's name: `ScheduleTs`.
    pub field: String,
    /// What stands there; `None`: nothing, or it is not known, or nobody may see it.
    pub value: Option<String>,
    /// The person's name, or the host's; may be empty.
    pub name: Option<PersonName>,
    /// The host's name, of somebody else.
    pub host: Option<PersonName>,
    /// How they can be reached.
    pub contacts: Contacts,
    /// The record is at hand.
    pub at_hand: bool,
}

impl FaultDetails {
    fn read(fault: &Fault, since: Option<DateTime<Utc>>, record: Option<&Value>, region: &str) -> Self {
        let field = field(&fault.path).to_owned();
        let Some(record) = record else { return Self { since, field, ..Self::default() } };
        let people = record["Participants"].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = |person: &Value| text(&person["ParticipationId"]).and_then(|id| id.parse().ok());
        let person = fault.participation.and_then(|wanted| people.iter().find(|p| id(p) == Some(wanted.0)));
        let name = |of: &Value| text(&of["ParticipantFullName"]).map(|name| PersonName::clean(&name)).filter(|n| !n.expose().is_empty());
        let host = people.first().and_then(name);
        let contact = |key: &str| person.and_then(|person| text(&person[key])).unwrap_or_default();
        let secret = matches!(field.as_str(), "ConnectCode" | "Passkey");
        Self {
            since,
            value: text(&person.unwrap_or(record)[field.as_str()]).filter(|_| !secret),
            name: person.and_then(name),
            host,
            contacts: Contacts::read(&contact("ParticipantEmailAddress"), &contact("ParticipantSmsNumber"), region),
            at_hand: true,
            field,
        }
    }

    /// `The start time reads “tomorrow at 3”`, without a period.
    pub fn sentence(&self) -> String {
        let what = label(&self.field);
        match &self.value {
            Some(value) if value.is_empty() => format!("{what} is empty"),
            Some(value) => format!("{what} reads \u{201c}{value}\u{201d}"),
            None if self.at_hand && !matches!(self.field.as_str(), "ConnectCode" | "Passkey") => format!("{what} is missing"),
            None => format!("{what} cannot be read"),
        }
    }
}

/// A value on one line. `None`: there is none.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = crate::contact::clean_line(&text);
    let short: String = line.chars().take(VALUE_MAX).collect();
    Some(if short.len() < line.len() { format!("{short}\u{2026}") } else { short })
}

/// `ConnectCode` of `[3].Participants[1].ConnectCode`.
pub fn field(path: &str) -> &str {
    path.rsplit('.').next().filter(|last| !last.ends_with(']')).unwrap_or_default()
}

fn key(fault: &Fault) -> Key {
    (fault.session, fault.participation, field(&fault.path).to_owned())
}

/// What the front desk calls a field.
pub fn label(field: &str) -> String {
    match field {
        "ScheduleTs" => "The start time",
        "ScheduleType" => "The session\u{2019}s status",
        "ShouldAutoDeliverCode" => "The way of delivery",
        "ConnectCode" => "The connect code",
        "Passkey" => "The passkey",
        "ParticipantFullName" => "The name",
        "ParticipantEmailAddress" => "The e-mail address",
        "ParticipantSmsNumber" => "The telephone number",
        "ParticipantTimeZoneWindowsId" => "The time zone",
        "ConnectionTs" => "The time of connection",
        "ExpiresTs" => "The end of the meeting pass",
        "RSVP" => "The answer",
        "SessionId" => "The session\u{2019}s number",
        "ParticipationId" => "The participant\u{2019}s number",
        "Participants" => "The list of participants",
        "DepositRequired" => "The deposit",
        "" => "The record",
        other => return format!("The field {other}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"SessionId": 9006, "ScheduleTs": "tomorrow at 3", "Participants": [
        {"ParticipationId": 1, "ParticipantFullName": "Dr. Ada Finch"},
        {"ParticipationId": 2, "ParticipantFullName": "Sam Reed", "ParticipantSmsNumber": "2125550177", "ConnectCode": "70a", "ShouldAutoDeliverCode": "X"}]}"#;

    fn told(path: &str, person: Option<i64>) -> FaultDetails {
        let fault = Fault {
            path: path.to_owned(),
            reason: "is wrong".to_owned(),
            session: Some(SessionId(9006)),
            participation: person.map(ParticipationId),
        };
        FaultDetails::read(&fault, None, serde_json::from_str(RECORD).ok().as_ref(), "US")
    }

    #[test]
    fn a_fault_is_told_with_what_stands_there() {
        for (path, person, says) in [
            ("[6].ScheduleTs", None, "The start time reads \u{201c}tomorrow at 3\u{201d}"),
            ("[6].Participants[1].ShouldAutoDeliverCode", Some(2), "The way of delivery reads \u{201c}X\u{201d}"),
            ("[6].Participants[1].ConnectCode", Some(2), "The connect code cannot be read"),
            ("[6].Participants[0].ShouldAutoDeliverCode", Some(1), "The way of delivery is missing"),
            ("[6].Participants[1].Other", Some(2), "The field Other is missing"),
        ] {
            assert_eq!(told(path, person).sentence(), says, "{path}");
        }
        let sam = told("[6].Participants[1].ConnectCode", Some(2));
        assert_eq!((sam.name.unwrap().expose(), sam.host.unwrap().expose()), ("Sam Reed", "Dr. Ada Finch"));
        assert_eq!(sam.contacts.phone.unwrap().expose(), "+12125550177");
        assert!(!format!("{:?}", told("[6].Participants[1].ConnectCode", Some(2)).value).contains("70a"), "a code is nobody's to see");
    }
}
