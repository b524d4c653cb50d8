//! Across records: one id or one code that stands for two people. A code must reach one person only, so all of them are held.
//!
//! Identical duplicates (an export that lists a session twice) collapse. What differs is ambiguous: the same SessionId twice, be it that one of its
//! records cannot be read, the same ParticipationId twice, or one ConnectCode for two participations of active sessions, be it one whose record is at
//! fault. The code of a session that is over is free again, although its list may still have it. Linear in the number of participants.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::json::{stored_record, without_layout};
use chrono::{DateTime, Utc};

use crate::contact::{ConnectCode, PhoneNumber};
use crate::session::{Fault, Participant, ParticipationId, Session, SessionId, Snapshot, SourceRecord, Unread};

/// What the reason says when one source tells a SessionId twice, differently or in part.
const TWICE: &str = " stands twice, ";

/// What the reason says of a code, with whose it is between.
const CODE: &str = "its ConnectCode is that of participation ";
const TOO: &str = " too";

/// Why a session that one source tells twice is ambiguous.
pub fn twice(id: SessionId) -> String {
    format!("SessionId {id}{TWICE}with different content")
}

/// It is the session that is told twice, by whomever, and not a person or a code.
pub fn is_of_session(why: &str) -> bool {
    why.starts_with("SessionId ")
}

/// Somebody else is listed with their code, by a reason of [`mark`].
pub fn is_of_code(why: &str) -> bool {
    why.starts_with(CODE) && why.ends_with(TOO)
}

/// One source tells it twice, by a reason of [`mark`].
pub fn is_told_twice(why: &str) -> bool {
    why.contains(TWICE)
}

/// What must be one person's alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exclusive {
    Code(ConnectCode),
    Person(ParticipationId),
}

/// What a session claims: the codes of an active one, those of records at fault too, and its participations.
pub fn claims(session: &Session, now: DateTime<Utc>) -> Vec<Exclusive> {
    let active = session.holds_codes(now);
    let codes = session.participants.iter().filter_map(|p| p.code).chain(session.unread.iter().filter_map(|unread| unread.code));
    let codes = codes.filter(|_| active).map(Exclusive::Code);
    codes.chain(session.participants.iter().map(|p| Exclusive::Person(p.id))).collect()
}

/// A session without what other records said of it, to be marked anew. What its own source says of it twice stays so.
pub fn unmarked(mut session: Session) -> Session {
    if session.twice.is_empty() {
        session.participants.iter_mut().for_each(|p| p.ambiguous = None);
    }
    session
}

/// Two records say the same: the order of their fields does not count.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

/// Likewise by what they mean: another spelling of a time, an address, a number or a name, and fields that nobody reads, do not count. Of what cannot
/// be read nobody knows what it means.
pub(crate) fn mean_the_same(one: &Session, other: &Session) -> bool {
    let is_read = |s: &Session| s.faults.is_empty() && s.unread.is_empty();
    let of_it = |s: &Session| (s.id, s.start, s.cancelled, s.standing, s.record.taken_for, s.code, s.duration, s.topic.trim().to_owned());
    let people = |s: &Session| {
        let mut people: Vec<&Participant> = s.participants.iter().collect();
        people.sort_by_key(|p| p.id);
        people.into_iter().map(meaning).collect::<Vec<_>>()
    };
    is_read(one) && is_read(other) && of_it(one) == of_it(other) && people(one) == people(other)
}

/// A record that the store kept means what is said now.
pub(crate) fn still_says(was: &SourceRecord, is: &Session) -> bool {
    let means_it = || stored_record(was).is_some_and(|was| mean_the_same(&was, is));
    was.taken_for == is.record.taken_for && (same(&was.text, &is.record.text) || means_it())
}

/// All that counts of a participant, in one spelling.
fn meaning(p: &Participant) -> impl PartialEq + use<> {
    let folded = |text: &str| text.trim().to_lowercase();
    let digits = || p.sms_number.0.chars().filter(char::is_ascii_digit).collect::<String>();
    let number = PhoneNumber::possible(&p.sms_number.0, "US").map_or_else(|_| digits(), |number| number.expose().to_owned());
    let contacts = (p.auto_deliver, p.email.mailbox(), number, folded(&p.time_zone), p.locale.as_deref().map(folded));
    let person = (p.id, p.role, folded(p.name.expose()), p.external_id.trim().to_owned(), p.has_account);
    let joins = (p.code, p.passkey.as_ref().map(|key| key.expose().to_owned()), p.connected_at, p.expires_at, p.deposit);
    (person, contacts, joins, p.rsvp, p.rsvp_unknown)
}

/// Marks ambiguous participants of one source, with whom they are confused (never with what).
pub fn mark(snapshot: &mut Snapshot, now: DateTime<Utc>) {
    mark_sessions(snapshot, twice);
    mark_unread(snapshot);
    mark_participations(snapshot);
    mark_codes(snapshot, NOBODY, now);
}

/// Likewise of several sources, each of which is marked by itself. What one cannot say of a session that another one lists is nothing against it.
pub fn mark_together(snapshot: &mut Snapshot, now: DateTime<Utc>) {
    mark_beside(snapshot, NOBODY, now);
}

/// No code is in force beside what is listed.
pub(crate) const NOBODY: Option<fn(SessionId, &Participant) -> Vec<ParticipationId>> = None;

/// Likewise. `in_force`: whose the code is that somebody comes to have in a session, beside those who are listed with it.
pub(crate) fn mark_beside(
    snapshot: &mut Snapshot,
    in_force: Option<impl Fn(SessionId, &Participant) -> Vec<ParticipationId>>,
    now: DateTime<Utc>,
) {
    mark_sessions(snapshot, |id| format!("SessionId {id} stands in two sources, with different content"));
    mark_participations(snapshot);
    mark_codes(snapshot, in_force, now);
}

/// It is known that its own source tells it twice.
pub(crate) fn mark_twice(session: &mut Session) {
    let why = twice(session.id);
    session.participants.iter_mut().for_each(|p| p.ambiguous = Some(why.clone()));
    session.twice.push_str("another record");
}

/// The same SessionId twice: once if identical, else every participant of the one that is kept is ambiguous.
fn mark_sessions(snapshot: &mut Snapshot, differs: impl Fn(SessionId) -> String) {
    let mut places: HashMap<SessionId, usize> = HashMap::with_capacity(snapshot.sessions.len());
    let mut kept = Vec::with_capacity(snapshot.sessions.len());
    for session in std::mem::take(&mut snapshot.sessions) {
        match places.entry(session.id) {
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(session);
            }
            Entry::Occupied(place) => {
                let first = &mut kept[*place.get()];
                let alike = || same(&first.record.text, &session.record.text) || mean_the_same(first, &session);
                if first.twice == session.twice && alike() {
                    continue;
                }
                let by_one = !first.twice.is_empty() || !session.twice.is_empty();
                let why = if by_one { twice(session.id) } else { differs(session.id) };
                if session.is_active() {
                    first.held_until = Some(first.codes_end().max(session.codes_end()));
                }
                // The people of both are held under the one session; the longer record is kept so that a removal is none.
                let mut people = std::mem::take(&mut first.participants);
                for person in session.participants {
                    match people.iter().find(|p| p.id == person.id) {
                        // The other record gives them another code: that one is taken, too.
                        Some(kept) if kept.code != person.code => {
                            first.unread.push(Unread { id: Some(person.id), code: person.code, ..Unread::default() });
                        }
                        Some(_) => {}
                        None => people.push(person),
                    }
                }
                for person in &mut people {
                    // What its own source tells twice stays so until that one is read again.
                    person.ambiguous.get_or_insert_with(|| why.clone());
                }
                first.participants = people;
                first.faults.extend(session.faults);
                first.unread.extend(session.unread);
                // Both contents make the digest: a change in either is a change.
                first.twice.push_str(&without_layout(&session.record.text));
                first.twice.push_str(&session.twice);
            }
        }
    }
    snapshot.sessions = kept;
}

/// A session of which another record cannot be read: nobody knows what that one says of those who are in it, and it may hold whomever the first
/// does not. Its fault is the session's from then on.
fn mark_unread(snapshot: &mut Snapshot) {
    let unreadable: HashSet<SessionId> = snapshot.unreadable().collect();
    for session in snapshot.sessions.iter_mut().filter(|s| unreadable.contains(&s.id)) {
        let why = format!("SessionId {}{TWICE}and one of its records cannot be read", session.id);
        session.participants.iter_mut().for_each(|p| p.ambiguous = Some(why.clone()));
        session.twice.push_str("a record that cannot be read");
        session.faults.extend(snapshot.faults.extract_if(.., |fault| fault.session == Some(session.id) && !fault.is_word()));
        let before = snapshot.more.sessions.len();
        snapshot.more.sessions.retain(|id| *id != session.id);
        let more = before - snapshot.more.sessions.len();
        snapshot.more.count -= more;
        let fault = Fault { path: "[...]".to_owned(), reason: why, session: Some(session.id), participation: None };
        session.faults.extend(std::iter::repeat_n(fault, more));
    }
}

/// The same ParticipationId twice.
fn mark_participations(snapshot: &mut Snapshot) {
    let mut count: HashMap<ParticipationId, Vec<SessionId>> = HashMap::new();
    for session in &snapshot.sessions {
        for person in &session.participants {
            count.entry(person.id).or_default().push(session.id);
        }
    }
    count.retain(|_, sessions| sessions.len() > 1);
    if count.is_empty() {
        return;
    }
    count.values_mut().for_each(|sessions| sessions.sort_unstable());
    for session in &mut snapshot.sessions {
        for person in &mut session.participants {
            if let Some(sessions) = count.get(&person.id) {
                let listed: Vec<String> = sessions.iter().map(ToString::to_string).collect();
                person.ambiguous.get_or_insert_with(|| {
                    format!("ParticipationId {} stands {} times, in sessions {}", person.id, sessions.len(), listed.join(", "))
                });
            }
        }
    }
}

/// One ConnectCode for two participations of active sessions: also of one whose record is at fault otherwise.
fn mark_codes(snapshot: &mut Snapshot, in_force: Option<impl Fn(SessionId, &Participant) -> Vec<ParticipationId>>, now: DateTime<Utc>) {
    let mut holders: HashMap<ConnectCode, Vec<Option<ParticipationId>>> = HashMap::new();
    for session in snapshot.sessions.iter().filter(|s| s.holds_codes(now)) {
        let read = session.participants.iter().filter_map(|person| Some((person.code?, Some(person.id))));
        for (code, id) in read.chain(session.unread.iter().filter_map(|unread| Some((unread.code?, unread.id)))) {
            holders.entry(code).or_default().push(id);
        }
    }
    holders.retain(|_, people| people.len() > 1);
    if holders.is_empty() && in_force.is_none() {
        return;
    }
    for session in snapshot.sessions.iter_mut().filter(|s| s.holds_codes(now)) {
        let id = session.id;
        for person in &mut session.participants {
            let Some(code) = person.code else { continue };
            let listed = holders.get(&code).into_iter().flatten().copied();
            let in_force = in_force.iter().flat_map(|in_force| in_force(id, person)).map(Some);
            let mut others: Vec<String> = (listed.chain(in_force))
                .filter(|id| *id != Some(person.id))
                .map(|id| id.map_or_else(|| "unknown (its record is at fault)".to_owned(), |id| id.to_string()))
                .collect();
            others.sort_unstable();
            others.dedup();
            if !others.is_empty() {
                person.ambiguous.get_or_insert_with(|| format!("{CODE}{}{TOO}", others.join(", ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::json::parse;

    fn now() -> DateTime<Utc> {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    fn marked(json: &str) -> Vec<(i64, bool)> {
        let mut snapshot = parse(json.as_bytes()).unwrap();
        mark(&mut snapshot, now());
        snapshot.sessions.iter().flat_map(|s| &s.participants).map(|p| (p.id.0, p.ambiguous.is_some())).collect()
    }

    fn session(id: i64, kind: &str, people: &[(i64, i64)]) -> String {
        let people: Vec<String> = people
            .iter()
            .map(|(id, code)| format!(r#"{{"ParticipationId":{id},"ConnectCode":{code},"ShouldAutoDeliverCode":"E"}}"#))
            .collect();
        format!(r#"{{"SessionId":{id},"ScheduleTs":"2026-11-26T15:00:00","ScheduleType":"{kind}","Participants":[{}]}}"#, people.join(","))
    }

    /// A session whose one participant cannot be read.
    fn at_fault(id: i64, person: &str) -> String {
        format!(r#"{{"SessionId":{id},"ScheduleTs":"2026-11-26T15:00:00","Participants":[{{{person}"ShouldAutoDeliverCode":"maybe"}}]}}"#)
    }

    #[test]
    fn what_is_ambiguous() {
        let s = |id, people: &[(i64, i64)]| session(id, "", people);
        let past = |id, people: &[(i64, i64)]| session(id, "", people).replace("T15:00:00", "T10:00:00");
        for (name, all, want) in [
            ("nothing", vec![s(1, &[(1, 111_111_111), (2, 222_222_222)])], vec![(1, false), (2, false)]),
            ("a code within a session", vec![s(1, &[(1, 111_111_111), (2, 111_111_111)])], vec![(1, true), (2, true)]),
            (
                "a code of one that stands twice, and has begun by one of its records only",
                vec![past(1, &[(1, 111_111_111)]), s(1, &[(1, 111_111_111)]), s(2, &[(2, 111_111_111)])],
                vec![(1, true), (2, true)],
            ),
            (
                "a code across sessions",
                vec![s(1, &[(1, 111_111_111)]), s(2, &[(2, 111_111_111), (3, 333_333_333)])],
                vec![(1, true), (2, true), (3, false)],
            ),
            (
                "a cancelled session's code is free",
                vec![s(1, &[(1, 111_111_111)]), session(2, "Cancelled", &[(2, 111_111_111)])],
                vec![(1, false), (2, false)],
            ),
            (
                "that of a session that is over, too",
                vec![s(1, &[(1, 111_111_111)]), past(2, &[(2, 111_111_111)])],
                vec![(1, false), (2, false)],
            ),
            (
                "both codes of one who is told twice",
                vec![s(1, &[(1, 111_111_111)]), s(1, &[(1, 222_222_222)]), s(2, &[(2, 222_222_222), (3, 333_333_333)])],
                vec![(1, true), (2, true), (3, false)],
            ),
            ("an identical duplicate", vec![s(1, &[(1, 111_111_111)]), s(1, &[(1, 111_111_111)])], vec![(1, false)]),
            ("another content", vec![s(1, &[(1, 111_111_111)]), s(1, &[(1, 222_222_222)])], vec![(1, true)]),
            ("another content, other people", vec![s(1, &[(1, 111_111_111)]), s(1, &[(2, 222_222_222)])], vec![(1, true), (2, true)]),
            (
                "a code of a record at fault",
                vec![s(1, &[(1, 111_111_111), (3, 333_333_333)]), at_fault(2, r#""ParticipationId":2,"ConnectCode":"111-111-111","#)],
                vec![(1, true), (3, false)],
            ),
            (
                "a code of a record without an id",
                vec![s(1, &[(1, 111_111_111)]), at_fault(2, r#""ConnectCode":111111111,"#)],
                vec![(1, true)],
            ),
            (
                "a record at fault of the same participation",
                vec![s(1, &[(1, 111_111_111)]), at_fault(2, r#""ParticipationId":1,"ConnectCode":111111111,"#)],
                vec![(1, false)],
            ),
            ("a participation twice", vec![s(1, &[(1, 111_111_111)]), s(2, &[(1, 222_222_222)])], vec![(1, true), (1, true)]),
            ("a participation twice in one session", vec![s(1, &[(1, 111_111_111), (1, 222_222_222)])], vec![(1, true), (1, true)]),
        ] {
            assert_eq!(marked(&format!("[{}]", all.join(","))), want, "{name}");
        }
    }

    #[test]
    fn a_session_of_which_another_record_cannot_be_read_stands_twice() {
        let torn = |id: i64| format!(r#"{{"SessionId":{id},"ScheduleTs":"soon","Participants":[]}}"#);
        // The record that cannot be read comes first, last, or among more than are told one by one.
        let many = std::iter::repeat_n(torn(9), crate::session::FAULTS_MAX).chain([torn(1), torn(1)]).collect::<Vec<_>>();
        for others in [vec![torn(1)], vec![torn(8), torn(1)], many] {
            for first in [true, false] {
                let mut all = others.clone();
                all.insert(if first { 0 } else { others.len() }, session(1, "", &[(1, 111_111_111)]));
                all.push(session(2, "", &[(2, 222_222_222)]));
                let mut snapshot = parse(format!("[{}]", all.join(",")).as_bytes()).unwrap();
                let told = snapshot.told().count;
                mark(&mut snapshot, now());
                let people = snapshot.sessions.iter().flat_map(|s| &s.participants).map(|p| p.ambiguous.is_some()).collect::<Vec<_>>();
                assert_eq!((people, snapshot.told().count), (vec![true, false], told));
                assert!(snapshot.sessions[0].faults.iter().all(|f| f.participation.is_none()) && !snapshot.sessions[0].faults.is_empty());
                assert!(snapshot.unreadable().all(|id| id != SessionId(1)), "it is no session that cannot be read");
            }
        }
    }

    #[test]
    fn the_mark_names_people_and_never_the_code() {
        let mut snapshot = parse(format!("[{}]", session(1, "", &[(1, 701_678_455), (2, 701_678_455)])).as_bytes()).unwrap();
        mark(&mut snapshot, now());
        let why = snapshot.sessions[0].participants[0].ambiguous.clone().unwrap();
        assert!(why.contains('2') && !why.contains("701678455"), "{why}");
    }
}
