//! A session as the store keeps it: what its source said last, who departed from it, and what the walks made of its presence.

use super::json;
use super::just_read::JustRead;
use crate::contact::{Passkey, PersonName};
use crate::outcome::Unsaid;
use crate::session::stored::{Departed, StoredSession};
use crate::session::{Participant, Presence, Session, SourceRecord};

/// The session of a stored record, with those who departed from it, and with what other records say of its participants. `None`: it cannot be
/// read.
pub fn session(stored: &StoredSession) -> Option<Session> {
    json::stored_record(&stored.record).map(|session| as_walked(session, stored))
}

/// Likewise; not read once more if a walk has just done so.
pub fn session_just_read(stored: &StoredSession, just_read: &JustRead) -> Option<Session> {
    let session = just_read.take(stored.id, &stored.record).or_else(|| json::stored_record(&stored.record));
    session.map(|session| as_walked(session, stored))
}

fn as_walked(mut session: Session, stored: &StoredSession) -> Session {
    session.presence = stored.presence;
    // Of whom an older record is in force, the newer one is not.
    session.participants.retain(|p| stored.departed.iter().all(|d| d.id != p.id));
    session.participants.extend(stored.departed.iter().filter_map(person));
    for person in &mut session.participants {
        person.ambiguous = stored.ambiguous.iter().find(|(id, _)| *id == person.id).map(|(_, why)| why.clone());
    }
    session
}

/// Who is as they were although their source says another thing of them by now, or nothing: they wait for an operator, their change was rejected, or
/// they are off the list or cannot be read, and do not count as gone.
pub fn in_force(record: &SourceRecord, presence: Presence, departed: &[Departed]) -> Vec<Participant> {
    let is_in_force = |presence: Presence| !matches!(presence, Presence::Listed | Presence::Gone);
    let people = departed.iter().filter(|d| is_in_force(d.presence)).filter_map(person);
    let whole = Some(record).filter(|_| is_in_force(presence)).and_then(json::stored_record).map(|session| session.participants);
    whole.into_iter().flatten().chain(people).collect()
}

/// What a server that has read a message of a session may repeat, and nobody here shall keep: names, topic and passkeys.
pub fn unsaid(session: &Session) -> Unsaid {
    let people = session.participants.iter().flat_map(|p| [Some(p.name.expose()), p.passkey.as_ref().map(Passkey::expose)]);
    let unread = session.unread.iter().flat_map(|p| [p.name.as_ref().map(PersonName::expose), p.passkey.as_ref().map(Passkey::expose)]);
    Unsaid::of(people.chain(unread).flatten().chain([session.topic.as_str()]))
}

/// Somebody whom the source lists no more, or of whom an older record is in force.
fn person(departed: &Departed) -> Option<Participant> {
    let person = json::kept_person(&departed.record)?;
    Some(Participant { role: departed.role, presence: departed.presence, ..person })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::stored::Touch;
    use crate::session::{ParticipationId, Role, SessionId};

    const BEFORE: &str = r#"{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{"ParticipationId":1,"ShouldAutoDeliverCode":"N"},{"ParticipationId":"2","ShouldAutoDeliverCode":"E","DepositRequired":20.00}]}"#;

    #[test]
    fn the_departed_stay_as_they_were() {
        let departed = [(1, Role::Host, Presence::Absent), (2, Role::Participant, Presence::Gone)].map(|(id, role, presence)| Departed {
            id: ParticipationId(id),
            role,
            presence,
            record: json::record_of(&BEFORE.into(), ParticipationId(id)).unwrap(),
        });
        let stored = StoredSession {
            id: SessionId(1),
            digest: String::new(),
            presence: Presence::Guarded,
            touch: Touch::default(),
            record: r#"{"SessionId":1,"ScheduleTs":"2026-11-27T15:00:00","Participants":[]}"#.into(),
            departed: departed.to_vec(),
            ambiguous: vec![(ParticipationId(2), "its code is 3's too".to_owned())],
        };
        let session = session(&stored).unwrap();
        assert_eq!(session.presence, Presence::Guarded);
        let people: Vec<_> = session.participants.iter().map(|p| (p.id, p.role, p.presence, p.ambiguous.is_some())).collect();
        let expected = departed.map(|d| (d.id, d.role, d.presence, d.id.0 == 2));
        assert_eq!(people, expected);
        assert_eq!(session.participants[1].deposit.map(|d| d.to_string()).as_deref(), Some("20.00"));
        assert_eq!(json::record_of(&BEFORE.into(), ParticipationId(3)), None);
    }
}
