//! Records of what a source lists no more: kept as they last were, with a mark that says so.
//!
//! The mark is part of the stored record, so that whoever reads it later (the last look before a hand-over) decides as the walk did.

use serde_json::Value;

use super::json::{self, MEANING, PRESENCE, ROLE};
use super::words::Meaning;
use crate::session::{ParticipationId, Presence, Role, Session};

/// The session of a kept record, with what other records say of its participants. `None`: it cannot be read.
pub fn session(record: &str, ambiguous: &[(ParticipationId, String)]) -> Option<Session> {
    let mut session = json::kept(record)?;
    for person in &mut session.participants {
        person.ambiguous = ambiguous.iter().find(|(id, _)| *id == person.id).map(|(_, why)| why.clone());
    }
    Some(session)
}

/// The record with that mark on the whole session.
pub fn mark(record: &str, presence: Presence) -> String {
    edit(record, |session| {
        session.insert(PRESENCE.to_owned(), presence.as_str().into());
    })
}

/// The record with what the practice says of its ScheduleType; `None`: nothing, and whatever mark there is goes.
pub(super) fn with_meaning(record: &str, meaning: Option<Meaning>) -> String {
    edit(record, |session| match meaning {
        Some(meaning) => drop(session.insert(MEANING.to_owned(), meaning.as_str().into())),
        None => drop(session.remove(MEANING)),
    })
}

/// The record with participants that only `before` lists, each with its mark.
pub fn with_departed(record: &str, before: &str, departed: &[(ParticipationId, Role, Presence)]) -> String {
    let Ok(old) = serde_json::from_str::<Value>(before) else { return record.to_owned() };
    let listed = old["Participants"].as_array().cloned().unwrap_or_default();
    let kept = departed.iter().filter_map(|(id, role, presence)| {
        let mut person = listed.iter().find(|p| is(p, *id))?.clone();
        let fields = person.as_object_mut()?;
        fields.insert(PRESENCE.to_owned(), presence.as_str().into());
        fields.insert(ROLE.to_owned(), if *role == Role::Host { "host" } else { "participant" }.into());
        Some(person)
    });
    edit(record, |session| {
        if let Some(Value::Array(people)) = session.get_mut("Participants") {
            people.extend(kept);
        }
    })
}

/// Ids are integers, or strings of digits.
fn is(person: &Value, id: ParticipationId) -> bool {
    match &person["ParticipationId"] {
        Value::String(text) => text.parse() == Ok(id.0),
        other => other.as_i64() == Some(id.0),
    }
}

fn edit(record: &str, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    match serde_json::from_str::<Value>(record) {
        Ok(Value::Object(mut session)) => {
            change(&mut session);
            Value::Object(session).to_string()
        }
        _ => record.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{"ParticipationId":1,"ShouldAutoDeliverCode":"N"},{"ParticipationId":"2","ShouldAutoDeliverCode":"E","DepositRequired":20.00}]}"#;

    #[test]
    fn marks_come_back() {
        for presence in [Presence::Absent, Presence::Gone, Presence::Unreadable, Presence::Guarded, Presence::Listed] {
            let marked = mark(&mark(RECORD, Presence::Gone), presence);
            assert_eq!(json::kept(&marked).unwrap().presence, presence);
        }
        assert_eq!(
            json::parse(mark(RECORD, Presence::Gone).as_bytes()).unwrap().sessions[0].presence,
            Presence::Listed,
            "a source cannot say so"
        );
    }

    #[test]
    fn the_departed_stay_as_they_were() {
        let now = r#"{"SessionId":1,"ScheduleTs":"2026-11-27T15:00:00","Participants":[]}"#;
        let departed = [(ParticipationId(1), Role::Host, Presence::Absent), (ParticipationId(2), Role::Participant, Presence::Gone)];
        let session = json::kept(&with_departed(now, RECORD, &departed)).unwrap();
        let people: Vec<_> = session.participants.iter().map(|p| (p.id, p.role, p.presence)).collect();
        assert_eq!(people, departed);
        assert_eq!(session.participants[1].deposit.map(|d| d.to_string()).as_deref(), Some("20.00"));
    }
}
