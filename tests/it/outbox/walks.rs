//! Walks: what a snapshot changes.

use chrono::TimeDelta;
use punctual::entry::{Change, State};
use punctual::guard::{GuardChange, GuardKind, GuardSet, GuardStanding, Member, Passed, Verdict};
use punctual::known::Known;
use punctual::ledger::Event;
use punctual::notice::{Occasion, Omission, Reason};
use punctual::outbox::{Action, Applied, Filter, Retention, Returned, SeenSession, Walk, WalkedSession};
use punctual::receipt::{DeliveryStatus, Receipt, ReceiptTarget, Received};
use punctual::session::stored::{Also, Departed, Touch};
use punctual::session::{Fault, ParticipationId, Presence, Role, SessionId, SourceRecord, TakenFor};

use super::fixture::{START, Store, accepted, addressed, begin, known, lease, mail, minute, notice, request, walk, walked};

pub(crate) async fn a_new_store_knows_nothing(store: Store) {
    let outbox = &store.outbox;
    assert_eq!(outbox.seen("clinic").await.unwrap(), None);
    assert!(outbox.sessions("clinic", None).await.unwrap().is_empty());
    assert!(outbox.known("clinic", &[SessionId(1)]).await.unwrap().is_empty());
    assert!(store.all().await.is_empty() && store.claim(0).await.is_empty());
    let status = outbox.status().await.unwrap();
    assert!(status.by_state.is_empty() && status.sources.is_empty() && status.next_due.is_none() && status.suppressed == 0);
    assert_eq!(outbox.reference_key().await.unwrap(), outbox.reference_key().await.unwrap());
}

pub(crate) async fn sessions_and_participants_come_back(store: Store) {
    let mut first = walked(1, "first", vec![Change::Add(notice(1, Occasion::Invite, 0))]);
    first.ambiguous = vec![(ParticipationId(12), "its code is 13's too".to_owned())];
    first.known[1].1 =
        Known { adopted: true, start_known_at: minute(-3), absent_since: Some(minute(-2)), absences: 2, cancelled: true, ..known() };
    store.outbox.apply(walk(vec![first, walked(2, "second", vec![])])).await.unwrap();

    let seen = store.outbox.seen("clinic").await.unwrap().unwrap();
    assert_eq!((seen.policy_digest.as_str(), seen.sessions.len(), seen.last_snapshot_at), ("policy", 2, minute(-10)));
    assert_eq!(
        seen.sessions[&SessionId(2)],
        SeenSession { digest: "second".to_owned(), presence: Presence::Listed, replan: false, start: minute(START) }
    );
    assert_eq!(store.outbox.seen("another").await.unwrap(), None);

    let sessions = store.outbox.sessions("clinic", None).await.unwrap();
    assert_eq!(sessions.iter().map(|s| s.id.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(sessions[0].record.text, r#"{"SessionId":1,"Digest":"first"}"#);
    assert_eq!(sessions[0].ambiguous, [(ParticipationId(12), "its code is 13's too".to_owned())]);

    let map = store.outbox.known("clinic", &[SessionId(1), SessionId(3)]).await.unwrap();
    assert_eq!(map.len(), 2, "session 2 was not asked for, session 3 is not there");
    let (one, two) = (&map[&(SessionId(1), ParticipationId(11))], &map[&(SessionId(1), ParticipationId(12))]);
    assert_eq!((one.adopted, one.first_seen, one.notices.len()), (false, minute(-10), 1));
    assert_eq!(one.notices[0].notice, notice(1, Occasion::Invite, 0));
    assert_eq!((two.adopted, two.start_known_at, two.notices.len()), (true, minute(-3), 0));

    // How a session stands beside its record is kept beside it.
    for taken_for in [Some(TakenFor::Withdrawn), Some(TakenFor::Live), None] {
        let mut beside = walked(2, "second", vec![]);
        beside.record.taken_for = taken_for;
        store.outbox.apply(walk(vec![beside.clone()])).await.unwrap();
        assert_eq!(store.outbox.sessions("clinic", None).await.unwrap()[1].record, beside.record);
    }

    // A participant who is no longer named stays known: what was told to them must not be told again.
    let mut later = walked(1, "later", vec![]);
    later.known.truncate(1);
    later.known[0].1.start = minute(900);
    store.outbox.apply(walk(vec![later])).await.unwrap();
    let map = store.outbox.known("clinic", &[SessionId(1)]).await.unwrap();
    assert_eq!((map.len(), map[&(SessionId(1), ParticipationId(11))].start), (2, minute(900)));
    assert_eq!(store.outbox.sessions("clinic", None).await.unwrap()[1].digest, "second", "a session that is not in a walk stays");
}

pub(crate) async fn a_digest_that_changes_raises_the_revision(store: Store) {
    let invite = store.one().await;
    let revision = |claim: &punctual::outbox::Claim| claim.revision;
    let mut seen = Vec::new();
    for digest in ["first", "second", "second", "first"] {
        store.outbox.apply(walk(vec![walked(1, digest, vec![])])).await.unwrap();
        let claim = store.claim_one(0).await;
        assert!(claim.session.record.text.contains(digest));
        seen.push(revision(&claim));
        assert!(store.settle(0, &claim, super::fixture::returned(Returned::Stopped, 0)).await);
    }
    assert_eq!(seen, [1, 2, 2, 3]);
    assert_eq!(store.entry(invite.key).await.attempts, 0);
}

pub(crate) async fn a_key_is_added_once(store: Store) {
    let invite = store.one().await;
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, super::fixture::accepted()).await);
    let again = punctual::notice::Notice { due_at: minute(50), ..invite.clone() };
    assert_eq!(store.add(1, &[again]).await, Applied::default());
    let entry = store.entry(invite.key).await;
    assert_eq!((entry.state, entry.notice), (State::Accepted, invite));
}

/// Brings a notice into a state, by the ways that lead there.
pub(crate) async fn bring(store: &Store, key: punctual::notice::NoticeKey, state: State) {
    use super::fixture::{accepted, unknown};
    use punctual::outbox::Settlement;
    match state {
        State::Waiting => {}
        State::Claimed => drop(store.claim_one(0).await),
        State::Sending => drop(store.doubt_one(0).await),
        State::Accepted | State::Rejected | State::Unknown => {
            let end = match state {
                State::Accepted => accepted(),
                State::Rejected => Settlement::Rejected { reply: "550 no".to_owned(), remember: None },
                _ => unknown(None),
            };
            let claim = store.doubt_one(0).await;
            assert!(store.settle(1, &claim, end).await);
        }
        end => assert_eq!(store.change(Change::End { key, state: end, reason: Reason::Absent }).await.ended, 1),
    }
    assert_eq!(store.entry(key).await.state, state);
}

pub(crate) async fn moves_and_ends_are_guarded_by_the_state(store: Store) {
    for (number, state) in (1..).zip(State::ALL) {
        let one = notice(number, Occasion::Invite, 0);
        store.add(number, std::slice::from_ref(&one)).await;
        bring(&store, one.key, state).await;
        // What ended untold by the planner's word may be needed again.
        let movable = state.pending() || matches!(state, State::Cancelled | State::Superseded | State::Suppressed | State::Lapsed);
        let before = store.entry(one.key).await;

        let moved = store.change(Change::Move { key: one.key, due_at: minute(30), useful_until: minute(90) }).await;
        let entry = store.entry(one.key).await;
        if movable {
            assert_eq!(moved, Applied { moved: 1, ..Applied::default() }, "{state}");
            assert_eq!((entry.state, entry.reason, entry.next_attempt_at), (State::Waiting, None, Some(minute(30))), "{state}");
            assert_eq!((entry.notice.due_at, entry.notice.useful_until), (minute(30), minute(90)), "{state}");
            let again = store.change(Change::Move { key: one.key, due_at: minute(30), useful_until: minute(90) }).await;
            assert_eq!(again, Applied::default(), "it is there already");
        } else {
            assert_eq!(moved, Applied::default(), "{state}");
            assert_eq!(format!("{before:?}"), format!("{entry:?}"), "{state}");
        }

        let ended = store.change(Change::End { key: one.key, state: State::Held, reason: Reason::Guard }).await;
        let entry = store.entry(one.key).await;
        if movable {
            assert_eq!(ended, Applied { ended: 1, ..Applied::default() }, "{state}");
            assert_eq!((entry.state, entry.reason, entry.next_attempt_at), (State::Held, Some(Reason::Guard), None), "{state}");
            let again = store.change(Change::End { key: one.key, state: State::Held, reason: Reason::Guard }).await;
            assert_eq!(again, Applied::default(), "it is held for that already");
        } else {
            assert_eq!(ended, Applied::default(), "{state}");
            assert_eq!(format!("{before:?}"), format!("{entry:?}"), "{state}");
        }
    }
    let stopped = notice(50, Occasion::Invite, 0);
    store.add(50, std::slice::from_ref(&stopped)).await;
    store.outbox.act(&[stopped.key], Action::Cancel, minute(0)).await.unwrap();
    let moved = store.change(Change::Move { key: stopped.key, due_at: minute(30), useful_until: minute(90) }).await;
    assert_eq!((moved, store.entry(stopped.key).await.state), (Applied::default(), State::Cancelled), "what an operator ended stays so");
    let nobody = notice(99, Occasion::Invite, 0).key;
    assert_eq!(store.change(Change::End { key: nobody, state: State::Held, reason: Reason::Guard }).await, Applied::default());
}

pub(crate) async fn a_walk_is_applied_whole_or_not_at_all(store: Store) {
    let invite = store.one().await;
    let before = (format!("{:?}", store.all().await), store.ledger().await);
    let good = walked(1, "second", vec![Change::Move { key: invite.key, due_at: minute(9), useful_until: minute(10) }]);
    let bad = walked(2, "first", vec![Change::End { key: invite.key, state: State::Waiting, reason: Reason::Guard }]);
    let error = store.outbox.apply(Walk { at: minute(5), ..walk(vec![good, bad]) }).await.unwrap_err();
    assert!(error.to_string().contains("state waiting is no end"), "{error}");
    assert_eq!(before, (format!("{:?}", store.all().await), store.ledger().await));
    assert_eq!(store.outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].digest, "first");
    assert_eq!(store.outbox.status().await.unwrap().sources[0].last_snapshot_at, Some(minute(-10)));
    // And the store goes on.
    assert_eq!(store.add(3, &[notice(3, Occasion::Invite, 0)]).await.added, 1);
}

pub(crate) async fn a_new_notice_needs_its_session_and_its_participant(store: Store) {
    store.one().await;
    let before = format!("{:?}", store.all().await);
    let stranger = punctual::notice::Notice { participation: ParticipationId(19), ..notice(1, Occasion::Reminder, 5) };
    let foreign = notice(3, Occasion::Invite, 0);
    for (refused, says) in [(stranger, "participation 19, which is not known"), (foreign, "is of session 3, not of 1")] {
        let error = store.outbox.apply(walk(vec![walked(1, "second", vec![Change::Add(refused)])])).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(before, format!("{:?}", store.all().await));
    let mut later = walked(1, "first", vec![Change::Add(notice(1, Occasion::Reminder, 5))]);
    later.known.clear();
    assert_eq!(store.outbox.apply(walk(vec![later])).await.unwrap().added, 1, "a participant known before is known");
}

pub(crate) fn omission(participation: i64, occasion: Option<Occasion>, due: Option<i64>, reason: Reason) -> Omission {
    Omission {
        session: Some(SessionId(participation / 10)),
        participation: Some(ParticipationId(participation)),
        role: None,
        occasion,
        rule: None,
        channel: None,
        due_at: due.map(minute),
        reason,
        detail: Some("1h".to_owned()),
    }
}

pub(crate) async fn omissions_are_replaced_by_session(store: Store) {
    let with = |session: i64, omissions| punctual::outbox::WalkedSession { omissions, ..walked(session, "first", vec![]) };
    let late = omission(11, Some(Occasion::Reminder), Some(5), Reason::BookedLate);
    let fault = omission(21, None, None, Reason::Quarantined);
    store.outbox.apply(walk(vec![with(1, vec![late.clone()]), with(2, vec![fault.clone()])])).await.unwrap();
    assert_eq!(store.outbox.omissions(&Filter::default()).await.unwrap(), [fault.clone(), late]);
    let close = omission(11, Some(Occasion::Reminder), Some(6), Reason::TooClose);
    store.outbox.apply(walk(vec![with(1, vec![close.clone()])])).await.unwrap();
    assert_eq!(store.outbox.omissions(&Filter::default()).await.unwrap(), [fault, close]);
}

pub(crate) async fn faults_are_replaced_by_source(store: Store) {
    let fault = |path: &str| Fault {
        path: path.to_owned(),
        reason: "no number".to_owned(),
        session: None,
        participation: Some(ParticipationId(3)),
    };
    let of = |source: &str, faults| Walk { source: source.to_owned(), faults, ..walk(vec![]) };
    store.outbox.apply(of("clinic", vec![fault("[0]"), fault("[1]")])).await.unwrap();
    store.outbox.apply(of("branch", vec![fault("[7]")])).await.unwrap();
    store.outbox.apply(of("clinic", vec![fault("[2]")])).await.unwrap();
    let found = store.outbox.status().await.unwrap().faults;
    assert_eq!(found, [("branch".to_owned(), fault("[7]")), ("clinic".to_owned(), fault("[2]"))]);
}

pub(crate) async fn attempts_are_fenced_by_the_revision(store: Store) {
    store.one().await;
    let claim = store.claim_one(0).await;
    store.outbox.apply(walk(vec![walked(1, "second", vec![])])).await.unwrap();
    assert_eq!(store.outbox.begin(vec![begin(&claim, 0)]).await.unwrap(), [false], "rendered from what is no longer true");
    assert!(store.settle(1, &claim, super::fixture::returned(Returned::Fenced, 1)).await, "the claim itself still holds");

    let claim = store.begin_one(1).await;
    store.outbox.apply(walk(vec![walked(1, "third", vec![])])).await.unwrap();
    assert!(!store.outbox.doubt(lease(&claim), claim.revision, TimeDelta::zero()).await.unwrap());
    assert!(store.settle(2, &claim, super::fixture::returned(Returned::Fenced, 2)).await);
    let claim = store.doubt_one(2).await;
    assert_eq!(claim.revision, 3);
    let other = addressed(2, Occasion::Invite, 0, mail("ray"));
    store.add(2, &[other]).await;
    assert!(store.settle(3, &claim, super::fixture::accepted()).await, "another session is nobody else's business");
}

pub(crate) async fn what_nobody_said_counts_as_no_snapshot(store: Store) {
    let fault = Fault { path: "[3]".to_owned(), reason: "it is no object".to_owned(), session: None, participation: None };
    let guard = GuardChange { joins: vec![member(2, GuardKind::Moved, "d", 1)], ..GuardChange::default() };
    let said =
        Walk { at: minute(1), faults: vec![fault.clone()], guard, ..walk(vec![walked(1, "first", vec![]), walked(2, "first", vec![])]) };
    store.outbox.apply(said).await.unwrap();
    let add = Change::Add(notice(1, Occasion::Invite, 30));
    let again = Walk { at: minute(20), heard: false, policy_digest: "another".to_owned(), ..walk(vec![walked(1, "second", vec![add])]) };
    assert_eq!(store.outbox.apply(again).await.unwrap().added, 1);
    let seen = store.outbox.seen("clinic").await.unwrap().unwrap();
    assert_eq!((seen.last_snapshot_at, seen.policy_digest.as_str()), (minute(1), "policy"));
    assert_eq!(seen.sessions[&SessionId(1)].digest, "second");
    assert_eq!(store.outbox.status().await.unwrap().faults, [("clinic".to_owned(), fault)]);
    assert_eq!(store.outbox.guards().await.unwrap().len(), 1);
    assert_eq!(store.claim_one(31).await.snapshot_at, minute(1), "and a source that is silent for too long is not believed for it");
}

fn member(session: i64, kind: GuardKind, says: &str, since: i64) -> Member {
    let (session, says, since) = (SessionId(session), says.to_owned(), minute(since));
    Member { session, kind, people: 2, says, since, standing: GuardStanding::Waiting }
}

/// What waits, in short.
async fn waiting(store: &Store) -> Vec<(i64, GuardKind, i64)> {
    let rows = store.outbox.guards().await.unwrap();
    rows.into_iter().map(|r| (r.session_id.0, r.kind, (r.since - minute(0)).num_minutes())).collect()
}

async fn guard(store: &Store, change: GuardChange) {
    store.outbox.apply(Walk { guard: change, ..walk(vec![]) }).await.unwrap();
}

pub(crate) async fn what_is_guarded_waits_for_an_operator(store: Store) {
    let outbox = &store.outbox;
    let set = async || outbox.seen("clinic").await.unwrap().unwrap().guard;
    let joins = |joins: &[Member]| GuardChange { joins: joins.to_vec(), ..GuardChange::default() };
    outbox.apply(walk(vec![walked(1, "first", vec![]), walked(2, "first", vec![])])).await.unwrap();
    assert_eq!((waiting(&store).await, set().await), (vec![], GuardSet::default()));
    let members = [member(2, GuardKind::Codes, "a", 2), member(1, GuardKind::Removed, "", 1), member(1, GuardKind::Clocks, "b", 1)];
    guard(&store, joins(&members)).await;
    let all = [(1, GuardKind::Clocks, 1), (1, GuardKind::Removed, 1), (2, GuardKind::Codes, 2)];
    assert_eq!(waiting(&store).await, all);
    assert_eq!(set().await.members, [members[2].clone(), members[1].clone(), members[0].clone()]);
    guard(&store, GuardChange::default()).await;
    assert_eq!(waiting(&store).await, all, "a walk that says nothing of it leaves it as it is");
    guard(&store, GuardChange { leaves: vec![(SessionId(2), GuardKind::Codes), (SessionId(1), GuardKind::Moved)], ..joins(&[]) }).await;
    assert_eq!(waiting(&store).await, &all[..2]);
    let events: Vec<Event> = store.ledger().await.into_iter().filter(|r| r.key.is_none()).map(|r| r.event).collect();
    assert!(events.is_empty(), "{events:?}");
}

pub(crate) async fn what_an_operator_decides_is_done_by_the_next_walk(store: Store) {
    let outbox = &store.outbox;
    let standings = async || {
        let members = outbox.seen("clinic").await.unwrap().unwrap().guard.members;
        members.into_iter().map(|m| (m.session.0, m.kind, m.standing)).collect::<Vec<_>>()
    };
    let replans = async || {
        let seen = outbox.seen("clinic").await.unwrap().unwrap().sessions;
        [1, 2].map(|id| seen[&SessionId(id)].replan)
    };
    outbox.apply(walk(vec![walked(1, "first", vec![]), walked(2, "first", vec![])])).await.unwrap();
    let members = vec![member(1, GuardKind::Moved, "a", 1), member(1, GuardKind::Codes, "a", 1), member(2, GuardKind::Clocks, "a", 1)];
    guard(&store, GuardChange { joins: members.clone(), ..GuardChange::default() }).await;
    assert_eq!(outbox.decide_guard(Verdict::Reject, None, Some("another"), minute(3)).await.unwrap(), 0);
    assert_eq!(replans().await, [false, false]);
    assert_eq!(outbox.decide_guard(Verdict::Reject, Some("jane"), None, minute(3)).await.unwrap(), 1, "sessions, but for the clocks");
    use GuardStanding::{Accepted, Rejected, Waiting};
    let rejected = [(1, GuardKind::Codes, Rejected), (1, GuardKind::Moved, Rejected), (2, GuardKind::Clocks, Waiting)];
    assert_eq!((standings().await.as_slice(), replans().await), (&rejected[..], [true, false]));
    assert_eq!(waiting(&store).await, [(2, GuardKind::Clocks, 1)]);
    // The same again stays decided, another thing does not; and what is kept may have to wait again.
    let joins = vec![member(1, GuardKind::Moved, "a", 5), member(1, GuardKind::Codes, "b", 5)];
    guard(&store, GuardChange { joins, ..GuardChange::default() }).await;
    assert_eq!(standings().await, [(1, GuardKind::Codes, Waiting), (1, GuardKind::Moved, Rejected), (2, GuardKind::Clocks, Waiting)]);
    guard(&store, GuardChange { reopens: vec![(SessionId(1), GuardKind::Moved)], ..GuardChange::default() }).await;
    assert_eq!(outbox.accept_guard(Some("clinic"), minute(6)).await.unwrap(), 2);
    assert_eq!(standings().await, [(1, GuardKind::Codes, Accepted), (1, GuardKind::Moved, Accepted), (2, GuardKind::Clocks, Accepted)]);
    assert_eq!((replans().await, waiting(&store).await), ([true, true], vec![]));
    // What was accepted in error is taken back as long as no walk has done it.
    assert_eq!(outbox.decide_guard(Verdict::Reject, None, Some("clinic"), minute(7)).await.unwrap(), 1);
    assert_eq!(standings().await, [(1, GuardKind::Codes, Rejected), (1, GuardKind::Moved, Rejected), (2, GuardKind::Clocks, Accepted)]);
    assert_eq!(outbox.decide_guard(Verdict::Reject, None, Some("clinic"), minute(8)).await.unwrap(), 0);
    let notes: Vec<_> =
        store.ledger().await.into_iter().filter(|r| r.key.is_none()).map(|r| (r.event.to_string(), r.detail.unwrap())).collect();
    let told = |event: &str, detail: &str| (event.to_owned(), detail.to_owned());
    let expected = [
        told("guard_rejected", "0 sessions of another"),
        told("guard_rejected", "1 sessions of every source, by jane"),
        told("guard_accepted", "2 sessions of clinic"),
        told("guard_rejected", "1 sessions of clinic"),
        told("guard_rejected", "0 sessions of clinic"),
    ];
    assert_eq!(notes, expected);
}

pub(crate) async fn what_passed_is_remembered_for_a_while(store: Store) {
    let passed = |session: i64, at: i64| Passed { session: SessionId(session), kind: GuardKind::Moved, at: minute(at) };
    let passes = |passes: &[Passed], forgets: Option<i64>| GuardChange {
        passes: passes.to_vec(),
        forgets: forgets.map(minute),
        ..GuardChange::default()
    };
    guard(&store, passes(&[passed(2, 1), passed(1, 2)], None)).await;
    guard(&store, passes(&[passed(2, 5)], None)).await;
    let remembered = async || store.outbox.seen("clinic").await.unwrap().unwrap().guard.passed;
    assert_eq!(remembered().await, [passed(1, 2), passed(2, 5)]);
    guard(&store, passes(&[], Some(3))).await;
    assert_eq!(remembered().await, [passed(2, 5)]);
}

pub(crate) async fn what_is_over_need_not_be_read(store: Store) {
    let at = |id: i64, start: i64| punctual::outbox::WalkedSession { start: minute(start), ..walked(id, "first", vec![]) };
    let mut gone = at(4, 90);
    gone.known[1].1.cancelled = true;
    store.outbox.apply(walk(vec![at(1, -60), at(2, 0), at(3, 60), gone])).await.unwrap();
    store.outbox.apply(Walk { source: "branch".to_owned(), ..walk(vec![at(5, 60)]) }).await.unwrap();
    let seen = store.outbox.seen_from("clinic", minute(0)).await.unwrap().unwrap();
    let mut ids: Vec<i64> = seen.sessions.keys().map(|id| id.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4]);
    let named = store.outbox.seen_among("clinic", &[SessionId(1), SessionId(3), SessionId(5)]).await.unwrap();
    assert_eq!((named.len(), named[&SessionId(1)].start, named.contains_key(&SessionId(3))), (2, minute(-60), true));
    assert_eq!(store.outbox.people("clinic", minute(0)).await.unwrap(), 3, "two of session 3, and who is not cancelled of session 4");
}

pub(crate) async fn presences_and_the_departed_come_back(store: Store) {
    let session = async || store.outbox.sessions("clinic", None).await.unwrap().remove(0);
    let revision = async || {
        let claim = store.claim_one(0).await;
        assert!(store.settle(0, &claim, super::fixture::returned(Returned::Stopped, 0)).await);
        claim.revision
    };
    store.one().await;
    let gone =
        Departed { id: ParticipationId(12), role: Role::Host, presence: Presence::Absent, record: r#"{"ParticipationId":12}"#.to_owned() };
    let with = |presence: Presence, departed: &[Departed]| {
        walk(vec![WalkedSession { presence, departed: departed.to_vec(), ..walked(1, "first", vec![]) }])
    };
    let surely = Departed { presence: Presence::Gone, ..gone.clone() };
    // What is applied, and the revision that it leads to: whatever is other than before fences what was rendered.
    for (presence, departed, expected) in [
        (Presence::Listed, vec![], 1),
        (Presence::Absent, vec![], 2),
        (Presence::Absent, vec![gone.clone()], 3),
        (Presence::Absent, vec![gone.clone()], 3),
        (Presence::Absent, vec![surely.clone()], 4),
        (Presence::Listed, vec![surely.clone()], 5),
        (Presence::Listed, vec![], 6),
    ] {
        store.outbox.apply(with(presence, &departed)).await.unwrap();
        let is = session().await;
        assert_eq!((is.presence, &is.departed, revision().await), (presence, &departed, expected));
        assert_eq!(store.outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].presence, presence);
        let claim = store.claim_one(0).await;
        assert_eq!((claim.session.presence, claim.session.departed.clone()), (presence, departed));
        assert!(store.settle(0, &claim, super::fixture::returned(Returned::Stopped, 0)).await);
    }
    // Their records hold codes.
    store.outbox.apply(with(Presence::Listed, std::slice::from_ref(&surely))).await.unwrap();
    store.outbox.act(&[store.all().await[0].notice.key], Action::Hold, minute(1)).await.unwrap();
    let retention = Retention { content_before: minute(START + 1), history_before: minute(-100) };
    assert_eq!(store.outbox.purge(minute(2), retention).await.unwrap().records, 1);
    store.outbox.apply(with(Presence::Listed, &[])).await.unwrap();
    assert_eq!(session().await.departed, []);
}

/// A plan that was made before something happened is no plan.
pub(crate) async fn whatever_happens_to_a_session_touches_it(store: Store) {
    use super::fixture::{retry, unknown};
    let touch = async || store.outbox.sessions("clinic", None).await.unwrap()[0].touch;
    let invite = store.one().await;
    store.outbox.apply(walk(vec![walked(2, "first", vec![])])).await.unwrap();
    let planned = |was: Touch| {
        let ends = Change::End { key: invite.key, state: State::Cancelled, reason: Reason::Cancelled };
        Walk { heard: false, ..walk(vec![WalkedSession { was: Some(was), ..walked(1, "second", vec![ends]) }]) }
    };
    let mut claims = Vec::new();
    for step in ["claim", "begin", "doubt", "settle", "hold", "release", "again"] {
        let was = touch().await;
        match step {
            "claim" => claims.push(store.claim_one(0).await),
            "begin" => assert_eq!(store.outbox.begin(vec![begin(&claims[0], 0)]).await.unwrap(), [true]),
            "doubt" => assert!(store.outbox.doubt(lease(&claims[0]), 1, TimeDelta::zero()).await.unwrap()),
            "settle" => assert!(store.settle(0, &claims[0], retry(0)).await),
            "hold" => assert_eq!(store.outbox.act(&[invite.key], Action::Hold, minute(0)).await.unwrap(), 1),
            "release" => assert_eq!(store.outbox.act(&[invite.key], Action::Release, minute(0)).await.unwrap(), 1),
            _ => {
                let claim = store.doubt_one(0).await;
                assert!(store.settle(1, &claim, unknown(None)).await);
                let about = ReceiptTarget::Notice(invite.key);
                let receipt = Receipt { about, status: DeliveryStatus::Delivered, detail: None, remember: None, recipient: None };
                assert_eq!(store.outbox.receive(minute(2), receipt).await.unwrap(), Received::Noted(invite.key));
            }
        }
        assert_ne!(touch().await, was, "{step}");
        let applied = store.outbox.apply(planned(was)).await.unwrap();
        assert_eq!((applied.touched, applied.ended), (vec![SessionId(1)], 0), "{step}");
        let seen = store.outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].clone();
        assert_eq!((seen.digest.as_str(), seen.replan), ("first", true), "it is as it was, and is not forgotten");
    }
    // Of what was not touched meanwhile, and of another session.
    let other = store.outbox.sessions("clinic", None).await.unwrap()[1].touch;
    let both = Walk {
        sessions: vec![
            WalkedSession { was: Some(touch().await), ..walked(1, "second", vec![]) },
            WalkedSession { was: Some(other), ..walked(2, "second", vec![]) },
        ],
        ..walk(vec![])
    };
    assert_eq!(store.outbox.apply(both).await.unwrap().touched, []);
    assert!(!store.outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].replan);
}

/// A session stands under one source, and moves to another one with all that is known of it.
pub(crate) async fn a_session_moves_to_another_source_with_its_history(store: Store) {
    let outbox = &store.outbox;
    let invite = store.one().await;
    let gone = Departed { id: ParticipationId(12), role: Role::Host, presence: Presence::Gone, record: "{}".to_owned() };
    let all = walk(vec![WalkedSession { departed: vec![gone.clone()], ..walked(1, "first", vec![]) }]);
    outbox.apply(all).await.unwrap();
    let claim = store.doubt_one(0).await;
    let also = Also {
        id: SessionId(1),
        start: minute(START),
        record: SourceRecord { taken_for: Some(TakenFor::Over), ..r#"{"SessionId":1,"Topic":"x"}"#.into() },
    };
    let of = |source: &str| Walk { source: source.to_owned(), ..walk(vec![]) };
    outbox.apply(Walk { also: Some(vec![also.clone()]), ..of("branch") }).await.unwrap();
    assert_eq!(outbox.also().await.unwrap(), [("branch".to_owned(), also)]);
    let touch = outbox.sessions("clinic", None).await.unwrap()[0].touch;
    let moves = |was: Touch, changes| WalkedSession {
        from: Some("clinic".to_owned()),
        was: Some(was),
        departed: vec![gone.clone()],
        ..walked(1, "first", changes)
    };
    let touched = outbox.apply(Walk { sessions: vec![moves(Touch::default(), vec![])], ..of("branch") }).await.unwrap().touched;
    assert_eq!(touched, [SessionId(1)], "it stays where it is");
    let touch = Touch { again: touch.again + 1, ..touch };
    let add = Change::Add(notice(1, Occasion::Reminder, 30));
    assert_eq!(outbox.apply(Walk { sessions: vec![moves(touch, vec![add])], ..of("branch") }).await.unwrap().added, 1);
    assert!(outbox.sessions("clinic", None).await.unwrap().is_empty() && outbox.also().await.unwrap().is_empty());
    let stands = outbox.sessions("branch", None).await.unwrap().remove(0);
    assert_eq!((stands.digest.as_str(), &stands.departed), ("first", &vec![gone.clone()]));
    let known = outbox.known("branch", &[SessionId(1)]).await.unwrap();
    assert_eq!(known[&(SessionId(1), ParticipationId(11))].notices.len(), 2);
    assert!(outbox.known("clinic", &[SessionId(1)]).await.unwrap().is_empty());
    assert!(store.settle(1, &claim, super::fixture::accepted()).await, "what was under way ends as ever");
    assert_eq!((store.entry(invite.key).await.source.as_str(), store.entry(invite.key).await.state), ("branch", State::Accepted));
    assert_eq!(store.claim_one(31).await.entry.source, "branch");
    // And one that is of another source than the walk's is changed where it stands.
    let marked = WalkedSession {
        of: Some("branch".to_owned()),
        ambiguous: vec![(ParticipationId(11), "x".to_owned())],
        ..walked(1, "second", vec![])
    };
    outbox.apply(walk(vec![marked])).await.unwrap();
    assert_eq!(outbox.sessions("branch", None).await.unwrap()[0].ambiguous.len(), 1);
    assert!(outbox.rename_source("branch", "annex", minute(40)).await.unwrap());
    assert!(!outbox.rename_source("clinic", "annex", minute(40)).await.unwrap(), "there is one of that name");
    assert_eq!(outbox.known("annex", &[SessionId(1)]).await.unwrap().len(), 2);
    assert_eq!(outbox.sessions("annex", None).await.unwrap()[0].digest, "second");
    let sources: Vec<(String, bool)> = outbox.sources().await.unwrap().into_iter().map(|s| (s.name, s.gone)).collect();
    assert_eq!(sources, [("annex".to_owned(), false), ("clinic".to_owned(), false)]);
}

pub(crate) async fn what_waits_of_a_source_that_is_gone_is_held(store: Store) {
    let outbox = &store.outbox;
    let invite = store.one().await;
    let replan = async || outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].replan;
    for (names, held, state, again) in [
        (&["clinic"][..], 0, (State::Waiting, None), false),
        (&["branch"], 1, (State::Held, Some(Reason::SourceGone)), false),
        (&["branch"], 0, (State::Held, Some(Reason::SourceGone)), false),
        (&["branch", "clinic"], 0, (State::Held, Some(Reason::SourceGone)), true),
    ] {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(outbox.configure(&names, minute(0)).await.unwrap(), held, "{names:?}");
        let entry = store.entry(invite.key).await;
        assert_eq!(((entry.state, entry.reason), replan().await), (state, again), "{names:?}");
    }
}

pub(crate) async fn what_was_noted_by_a_clock_that_was_ahead_is_noted_anew(store: Store) {
    let (told, other) = (store.one().await, notice(2, Occasion::Invite, 0));
    store.add(2, std::slice::from_ref(&other)).await;
    for claim in store.claim(100).await {
        assert_eq!(store.outbox.begin(vec![begin(&claim, 100)]).await.unwrap(), [true]);
        assert!(store.settle(100, &claim, accepted()).await);
    }
    let walked = |ahead| Walk { at: minute(7), ..walk(vec![WalkedSession { ahead, ..walked(1, "first", vec![]) }]) };
    store.outbox.apply(walked(vec![])).await.unwrap();
    assert_eq!(store.entry(told.key).await.changed_at, minute(100));
    store.outbox.apply(walked(vec![(told.key, minute(6))])).await.unwrap();
    let entry = store.entry(told.key).await;
    assert_eq!((entry.changed_at, entry.accepted_at), (minute(6), Some(minute(6))));
    assert_eq!(store.entry(other.key).await.changed_at, minute(100), "another notice");
}

/// A machine that slept, or a clock that was set, makes nobody's absence longer.
pub(super) async fn whoever_is_missed_is_so_since_the_clock_was_set(store: Store) {
    let missed = |absences, cancelled| Known { absent_since: Some(minute(-8)), absences, cancelled, ..known() };
    let mut session = walked(1, "first", Vec::new());
    session.known = vec![(ParticipationId(11), missed(2, false)), (ParticipationId(12), missed(3, true))];
    let mut unheard = walked(2, "second", Vec::new());
    unheard.known = vec![(ParticipationId(21), missed(0, false))];
    store.outbox.apply(walk(vec![session, unheard])).await.unwrap();
    store.outbox.absences_anew().await.unwrap();
    let known = store.outbox.known("clinic", &[SessionId(1), SessionId(2)]).await.unwrap();
    let of = |session: i64, id: i64| {
        let one = &known[&(SessionId(session), ParticipationId(id))];
        (one.absences, one.absent_since)
    };
    assert_eq!(of(1, 11), (0, None));
    assert_eq!(of(1, 12), (3, Some(minute(-8))), "who counts as gone stays gone");
    assert_eq!(of(2, 21), (0, Some(minute(-8))), "what cannot be heard is silent for as long as it was");
}

pub(super) async fn what_was_announced_is_known_with_its_facts(store: Store) {
    let invite = notice(1, Occasion::Invite, 0);
    let end = Change::End { key: invite.key, state: State::Cancelled, reason: Reason::Adopted };
    let session = WalkedSession { announced: vec![(invite.key, "then".to_owned())], ..walked(1, "first", vec![Change::Add(invite), end]) };
    store.outbox.apply(walk(vec![session])).await.unwrap();
    let known = store.outbox.known("clinic", &[SessionId(1)]).await.unwrap();
    let told: Vec<_> = known.values().flat_map(|one| &one.notices).map(|n| n.facts.clone()).collect();
    assert_eq!(told, [Some("then".to_owned())]);
}

/// Whoever was told an hour that holds no more may be expected then in another entry; whose hour holds need not be looked for.
pub(super) async fn who_left_an_hour_is_looked_for_at_it(store: Store) {
    for session in [1, 2] {
        store.add(session, &[notice(session, Occasion::Invite, 0)]).await;
    }
    let known_of = async |session: i64| {
        let id = SessionId(session);
        store.outbox.known("clinic", &[id]).await.unwrap()[&(id, ParticipationId(session * 10 + 1))].expected.clone()
    };
    for claim in store.outbox.claim(request(1)).await.unwrap() {
        store.settle(2, &claim, accepted()).await;
    }
    assert_eq!(known_of(1).await, [], "it holds");
    let mut moved = walked(1, "second", Vec::new());
    moved.start = minute(START + 60);
    moved.was = Some(store.outbox.sessions("clinic", None).await.unwrap().iter().find(|s| s.id == SessionId(1)).unwrap().touch);
    moved.known.iter_mut().for_each(|(_, known)| known.start = minute(START + 60));
    assert_eq!(store.outbox.apply(walk(vec![moved])).await.unwrap().touched, []);
    let expected = known_of(1).await;
    assert_eq!(expected.iter().map(|e| (e.session.0, e.start, e.told_there)).collect::<Vec<_>>(), [(2, minute(START), true)]);
    assert_eq!(known_of(2).await, [], "it holds");
}
