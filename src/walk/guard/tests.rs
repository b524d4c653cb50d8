use super::*;
use crate::guard::GuardKind::{Addresses, Codes, Moved, Names, Participants, Removed};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn what(kind: GuardKind, says: &str, people: &[i64]) -> Difference {
    let people: Vec<ParticipationId> = people.iter().map(|id| ParticipationId(*id)).collect();
    Difference { kind, counts: people.len().max(1), people, says: says.to_owned(), arrives: false, slips: false }
}

/// A session that differs in these ways; of the people of session 7 one is 71.
fn differs(session: i64, kinds: &[GuardKind]) -> GuardedSession {
    let patient = [session * 10 + 1];
    let of = |kind: &GuardKind| what(*kind, "new", if kind.of_people() { &patient } else { &[] });
    GuardedSession {
        session: SessionId(session),
        counts: true,
        over: false,
        cancelled: false,
        missing: false,
        unread: false,
        whats: kinds.iter().map(of).collect(),
    }
}

fn missing(session: i64) -> GuardedSession {
    GuardedSession { missing: true, ..differs(session, &[Removed]) }
}

fn all(ids: std::ops::RangeInclusive<i64>, kind: GuardKind) -> Vec<GuardedSession> {
    ids.map(|id| differs(id, &[kind])).collect()
}

fn member(session: i64, kind: GuardKind, says: &str, standing: GuardStanding) -> Member {
    Member { session: SessionId(session), kind, people: 1, says: says.to_owned(), since: NOW - TimeDelta::hours(1), standing }
}

fn waits(ids: impl IntoIterator<Item = i64>, kind: GuardKind) -> GuardSet {
    GuardSet { members: ids.into_iter().map(|id| member(id, kind, "new", GuardStanding::Waiting)).collect(), passed: Vec::new() }
}

fn ruled(sessions: usize, looked: &[GuardedSession], set: &GuardSet) -> Ruling {
    judge(&Scene { sessions, people: sessions * 2, empty: false, looked, set, now: NOW })
}

fn waiting(ruling: &Ruling) -> Vec<i64> {
    ruling.waiting.iter().map(|id| id.0).collect()
}

#[test]
fn what_is_too_much() {
    let ids = |n: i64| (1..=n).collect::<Vec<_>>();
    let apart = |n: i64, at: i64| {
        let passed = |session| Passed { session: SessionId(session), kind: Moved, at: NOW - TimeDelta::minutes(at) };
        GuardSet { members: Vec::new(), passed: (101..=100 + n).map(passed).collect() }
    };
    let five = GuardedSession { whats: vec![what(Codes, "new", &[11, 12, 13, 14, 15])], ..differs(1, &[]) };
    let added = |mut looked: Vec<GuardedSession>| {
        looked.iter_mut().flat_map(|l| &mut l.whats).for_each(|w| w.counts = 0);
        looked
    };
    let over = all(1..=9, Moved).into_iter().map(|l| GuardedSession { counts: false, over: true, ..l }).collect();
    let none = GuardSet::default;
    // Name; future sessions; what differs; the set; who waits.
    type Case = (&'static str, usize, Vec<GuardedSession>, GuardSet, Vec<i64>);
    let cases: Vec<Case> = vec![
        ("three of few", 5, all(1..=3, Addresses), none(), vec![]),
        ("four of few", 5, all(1..=4, Addresses), none(), ids(4)),
        ("a fifth", 100, all(1..=20, Moved), none(), vec![]),
        ("more than a fifth", 100, all(1..=21, Moved), none(), ids(21)),
        ("each kind for itself", 5, both(all(1..=3, Addresses), all(4..=6, Names)), none(), vec![]),
        ("people of few sessions", 2, vec![five], none(), vec![1]),
        ("what was not there before", 5, added(all(1..=5, Addresses)), none(), vec![]),
        ("what is over", 5, over, none(), vec![]),
        ("one more of what waits", 100, all(9..=9, Addresses), waits([1], Addresses), vec![1, 9]),
        ("one of another kind", 100, all(9..=9, Names), waits([1], Addresses), vec![1]),
        ("it says the same again", 100, vec![differs(1, &[])], waits([1, 2], Addresses), vec![2]),
        ("all say the same again, and one changed", 100, vec![differs(1, &[]), differs(2, &[Addresses])], waits([1], Addresses), vec![]),
        (
            "it says another thing",
            100,
            all(1..=1, Addresses),
            GuardSet { members: vec![member(1, Addresses, "x", GuardStanding::Waiting)], passed: vec![] },
            vec![1],
        ),
        ("its start passed", 100, vec![GuardedSession { over: true, counts: false, ..differs(1, &[Moved]) }], waits([1], Moved), vec![1]),
        ("two parts within minutes", 60, all(1..=9, Moved), apart(9, 9), ids(9)),
        ("two parts, an hour between them", 60, all(1..=9, Moved), apart(9, 60), vec![]),
        ("by hand", 8, all(1..=3, Moved), apart(7, 5), vec![]),
        ("not listed", 5, (1..=4).map(missing).collect(), none(), ids(4)),
        ("not listed, and waits for something else", 9, vec![missing(1)], waits([1], Moved), vec![1]),
    ];
    for (name, sessions, looked, set, want) in cases {
        assert_eq!(waiting(&ruled(sessions, &looked, &set)), want, "{name}");
    }
}

fn both(first: Vec<GuardedSession>, second: Vec<GuardedSession>) -> Vec<GuardedSession> {
    first.into_iter().chain(second).collect()
}

#[test]
fn nothing_after_something_is_too_much_whatever_it_was() {
    let looked = [missing(1)];
    let ruling = judge(&Scene { sessions: 1, people: 1, empty: true, looked: &looked, set: &GuardSet::default(), now: NOW });
    assert_eq!(waiting(&ruling), [1]);
    assert_eq!(ruling.holds[&SessionId(1)].whole, Some(Kept::Waiting));
}

#[test]
fn the_people_concerned_wait_and_the_others_of_their_session_go_on() {
    let looked = both(all(1..=4, Addresses), vec![differs(5, &[Codes])]);
    let ruling = ruled(10, &looked, &GuardSet::default());
    let hold = &ruling.holds[&SessionId(3)];
    assert_eq!((hold.whole, hold.people.iter().map(|(id, kept)| (id.0, *kept)).collect::<Vec<_>>()), (None, vec![(31, Kept::Waiting)]));
    assert!(!ruling.holds.contains_key(&SessionId(5)), "one code is not too much");
    assert_eq!(ruling.change.joins.len(), 4);
    assert_eq!(ruling.change.passes.iter().map(|p| (p.session.0, p.kind)).collect::<Vec<_>>(), [(5, Codes)]);
}

#[test]
fn whoever_cannot_be_read_waits_on() {
    let set = waits([1], Addresses);
    for (unread, waiting_still) in [(true, vec![1]), (false, vec![])] {
        let ruling = ruled(100, &[GuardedSession { unread, ..differs(1, &[]) }], &set);
        assert_eq!((waiting(&ruling), ruling.change.leaves.is_empty()), (waiting_still, unread));
    }
    let ruling = ruled(100, &[GuardedSession { unread: true, ..differs(1, &[]) }], &waits([1], Moved));
    assert_eq!(waiting(&ruling), Vec::<i64>::new(), "the session's own start can be read");
}

#[test]
fn what_was_decided_is_done_once() {
    let decided = |standing, says: &str| GuardSet { members: vec![member(1, Addresses, says, standing)], passed: vec![] };
    // Standing; what was decided about; how the person is kept; whether it leaves.
    for (standing, says, kept, leaves) in [
        (GuardStanding::Accepted, "new", None, true),
        (GuardStanding::Accepted, "old", None, true),
        (GuardStanding::Rejected, "new", Some(Kept::InForce), false),
        (GuardStanding::Rejected, "old", None, true),
    ] {
        let ruling = ruled(100, &[differs(1, &[Addresses])], &decided(standing, says));
        let hold = ruling.holds.get(&SessionId(1)).and_then(|hold| hold.people.get(&ParticipationId(11)).copied());
        assert_eq!((hold, !ruling.change.leaves.is_empty()), (kept, leaves), "{standing:?} {says}");
        assert!(ruling.waiting.is_empty() && ruling.change.joins.is_empty());
        assert!(ruling.confirmed.is_empty(), "nobody's removal");
    }
    for (looked, kind) in [(missing(1), Removed), (differs(1, &[Participants]), Participants)] {
        let set = GuardSet { members: vec![member(1, kind, "new", GuardStanding::Accepted)], passed: vec![] };
        assert!(ruled(100, &[looked], &set).confirmed.contains(&SessionId(1)), "{kind}: they are gone at once");
    }
}

#[test]
fn what_else_is_new_of_somebody_waits_with_what_was_rejected() {
    let set = GuardSet { members: vec![member(1, Addresses, "new", GuardStanding::Rejected)], passed: vec![] };
    let ruling = ruled(100, &[differs(1, &[Addresses, Codes])], &set);
    assert_eq!(ruling.holds[&SessionId(1)].people[&ParticipationId(11)], Kept::Waiting);
    assert_eq!((waiting(&ruling), ruling.change.reopens), (vec![1], vec![(SessionId(1), Addresses)]));
    let moved = GuardSet { members: vec![member(1, Moved, "new", GuardStanding::Rejected)], passed: vec![] };
    let ruling = ruled(100, &[differs(1, &[Moved, Codes])], &moved);
    assert_eq!((ruling.holds[&SessionId(1)].whole, waiting(&ruling)), (Some(Kept::Waiting), vec![1]));
}

#[test]
fn whoever_is_told_that_it_is_cancelled_is_told_as_they_were_before() {
    let cancelled = |kind| GuardedSession { cancelled: true, ..differs(1, &[Removed, kind]) };
    let ruling = ruled(100, &[cancelled(Addresses)], &waits([1, 2], Addresses));
    assert_eq!(ruling.holds[&SessionId(1)].people[&ParticipationId(11)], Kept::InForce);
    assert_eq!((waiting(&ruling), ruling.change.leaves), (vec![2], vec![(SessionId(1), Addresses)]));
    let ruling = ruled(100, &[cancelled(Moved)], &waits([1, 2], Moved));
    assert_eq!((ruling.holds[&SessionId(1)].whole, waiting(&ruling)), (Some(Kept::InForce), vec![2]));
    let ruling = ruled(100, &[cancelled(Moved)], &waits([1, 2], Removed));
    assert_eq!((ruling.holds[&SessionId(1)].whole, waiting(&ruling)), (Some(Kept::Waiting), vec![1, 2]), "many are cancelled");
}

#[test]
fn what_is_as_it_was_changes_nothing() {
    let ruling = ruled(100, &[], &waits(1..=40, Addresses));
    assert_eq!((waiting(&ruling).len(), ruling.change), (40, GuardChange::default()));
    let ruling = ruled(100, &all(1..=40, Addresses), &waits(1..=40, Addresses));
    assert_eq!((waiting(&ruling).len(), ruling.change), (40, GuardChange::default()), "nor when it is looked at again");
}
