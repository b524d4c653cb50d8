//! Sessions as a walk has just read them, for the last look at their messages: a record that is as it was is not read once more.
//!
//! Whoever asks has the record, and gets only what was read of the same bytes. Each is given once, and the next walk forgets the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::session::{Presence, Session, SessionId, SourceRecord};

/// So many are kept: those whose messages leave first.
const MOST: usize = 4096;

#[derive(Default)]
pub struct JustRead(Mutex<HashMap<SessionId, Session>>);

impl JustRead {
    /// A walk begins: what the last one read is old.
    pub fn forget(&self) {
        self.sessions().clear();
    }

    /// A walk has read it, and it is new, or is told in another way.
    pub fn put(&self, session: &Session) {
        let mut all = self.sessions();
        if all.len() < MOST && says_all(session) {
            all.insert(session.id, as_kept(session.clone()));
        }
    }

    /// What reading this record gives.
    pub(super) fn take(&self, id: SessionId, record: &SourceRecord) -> Option<Session> {
        self.sessions().remove(&id).filter(|session| session.record == *record)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of it can be read, and nothing was made of it but what its own record says.
fn says_all(session: &Session) -> bool {
    let Session { presence, faults, unread, twice, held_until, record, participants, .. } = session;
    let of_itself = *presence == Presence::Listed && twice.is_empty() && held_until.is_none() && record.taken_for.is_none();
    let is_read = |p: &crate::session::Participant| p.presence == Presence::Listed && p.ambiguous.is_none();
    of_itself && faults.is_empty() && unread.is_empty() && participants.iter().all(is_read)
}

/// In the store a record stands alone, and not in a list.
fn as_kept(mut session: Session) -> Session {
    for person in &mut session.participants {
        let within = person.path.rfind("Participants[").unwrap_or_default();
        person.path.drain(..within);
    }
    session
}

#[cfg(test)]
mod tests {
    use super::super::{json, meaning, stored, words};
    use super::*;
    use crate::contact::ConnectCode;
    use crate::session::stored::{StoredSession, Touch};
    use crate::session::{Participant, Snapshot};

    const FULL: &str = r#"{"SessionId":7,"ScheduleTs":"2026-11-26T15:00:00","ConnectCode":900000007,"Topic":"  Grief\tgroup ","DurationPlannedMinutes":50,"Participants":[
        {"ParticipationId":70,"ShouldAutoDeliverCode":"N","ParticipantFullName":"Dr. Zoë Müller"},
        {"ParticipationId":"71","ShouldAutoDeliverCode":"E","ParticipantFullName":" Łukasz  O'Brien","ParticipantEmailAddress":"l@example.com","ParticipantSmsNumber":"+1 404 555 0171",
         "ParticipantTimeZoneWindowsId":"Nepal Standard Time","ParticipantLocale":"fr-CA","ParticipantExternalId":12,"ConnectCode":"000000071","Passkey":"4f9a-77",
         "ConnectionTs":"2026-11-25T15:00:00Z","ExpiresTs":"2026-12-26T15:00:00","RSVP":"Declined","DepositRequired":20.00,"SecureVideoUserId":5}]}"#;

    fn list(records: &[&str]) -> Snapshot {
        json::parse(format!("[{}]", records.join(",")).as_bytes()).unwrap()
    }

    fn stored(session: &Session) -> StoredSession {
        let (id, record) = (session.id, session.record.clone());
        let (digest, departed, ambiguous) = (String::new(), Vec::new(), Vec::new());
        StoredSession { id, digest, presence: Presence::Listed, touch: Touch::default(), record, departed, ambiguous }
    }

    /// All that a session says, to be compared.
    fn told(session: &Session) -> String {
        let Session {
            id,
            start,
            cancelled,
            standing,
            presence,
            code,
            duration,
            topic,
            participants,
            faults,
            unread,
            twice,
            held_until,
            record,
        } = session;
        let code = code.map(ConnectCode::expose);
        let people: Vec<String> = participants.iter().map(told_of).collect();
        let (text, taken_for) = (&record.text, record.taken_for);
        format!(
            "{id} {start} {cancelled} {standing:?} {presence:?} {code:?} {duration:?} {topic} {people:?} {faults:?} {} {twice} {held_until:?} {text} {taken_for:?}",
            unread.len()
        )
    }

    fn told_of(person: &Participant) -> String {
        let Participant { code, passkey, name, email, sms_number, .. } = person;
        let hidden = [name.expose(), &email.0, &sms_number.0, passkey.as_ref().map_or("", |p| p.expose())];
        format!("{person:?} {hidden:?} {:?}", code.map(ConnectCode::expose))
    }

    #[test]
    fn what_is_given_is_what_reading_the_record_gives() {
        let minimal =
            r#"{"SessionId":8,"ScheduleTs":"2026-11-26T15:00:31Z","Participants":[{"ParticipationId":80,"ShouldAutoDeliverCode":"S"}]}"#;
        let snapshot = list(&[minimal, FULL, r#"{"SessionId":9,"ScheduleTs":"2026-11-26T15:00:00","Participants":[]}"#]);
        let just_read = JustRead::default();
        snapshot.sessions.iter().for_each(|session| just_read.put(session));
        for session in &snapshot.sessions {
            let stored = stored(session);
            let given = just_read.take(stored.id, &stored.record).expect("it was just read");
            assert_eq!(told(&given), told(&json::stored_record(&stored.record).unwrap()));
            assert!(just_read.take(stored.id, &stored.record).is_none(), "once");
            just_read.put(session);
            let whole = stored::session_just_read(&stored, &just_read).unwrap();
            assert_eq!(told(&whole), told(&stored::session(&stored).unwrap()));
        }
    }

    #[test]
    fn another_record_is_read() {
        let (before, after) = (list(&[FULL]), list(&[&FULL.replace("000000071", "000000072")]));
        let just_read = JustRead::default();
        just_read.put(&before.sessions[0]);
        let read = stored::session_just_read(&stored(&after.sessions[0]), &just_read).unwrap();
        assert_eq!(read.participants[1].code.map(ConnectCode::expose).as_deref(), Some("000000072"));
        just_read.put(&before.sessions[0]);
        just_read.forget();
        assert!(just_read.take(before.sessions[0].id, &before.sessions[0].record).is_none());
    }

    #[test]
    fn what_says_more_than_its_record_is_read() {
        let just_read = JustRead::default();
        let mut held = list(&[FULL]).sessions.remove(0);
        held.participants[1].ambiguous = Some("its code is another's too".to_owned());
        let half_read = list(&[&FULL.replace("\"E\"", "\"X\"")]).sessions.remove(0);
        let mut taken = list(&[&FULL.replace("\"Topic\"", "\"ScheduleType\":\"Billed\",\"Topic\"")]);
        let said = std::collections::BTreeMap::from([("Billed".to_owned(), words::Meaning::Over)]);
        meaning::apply(&mut taken, &words::Dictionary::new(&said).unwrap());
        for session in [&held, &half_read, &taken.sessions[0]] {
            just_read.put(session);
            assert!(just_read.take(session.id, &session.record).is_none());
        }
    }
}
