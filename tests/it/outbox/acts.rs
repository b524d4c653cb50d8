//! What a person does, what is listed, and what the ledger tells of it.

use punctual::contact::{Address, Channel};
use punctual::entry::{Change, State};
use punctual::guard::Verdict;
use punctual::known::resend::{Resent, original};
use punctual::ledger::Event;
use punctual::notice::{Notice, NoticeKey, Occasion, Reason};
use punctual::outbox::{Action, Filter, Returned, Settlement, WalkedSession};
use punctual::session::{ParticipationId, SessionId};

use super::fixture::{START, Store, accepted, addressed, begin, mail, minute, notice, retry, returned, text, unknown, walk, walked};
use super::walks::{bring, omission};

pub(crate) async fn every_act_in_every_state(store: Store) {
    // Where it leads; nowhere: nothing changes.
    let leads = |act, state| match (act, state) {
        (Action::Retry | Action::Release, State::Held) | (Action::Retry, State::Unknown) => Some((State::Waiting, None)),
        (Action::Hold, State::Waiting) => Some((State::Held, Some(Reason::Operator))),
        (Action::Cancel, State::Waiting | State::Held | State::Unknown) => Some((State::Cancelled, Some(Reason::Operator))),
        (Action::CancelTold, State::Waiting | State::Held | State::Unknown) => Some((State::Cancelled, Some(Reason::Told))),
        _ => None,
    };
    let mut session = 0;
    for act in [Action::Retry, Action::Hold, Action::Release, Action::Cancel, Action::CancelTold, Action::Restore] {
        for state in State::ALL {
            session += 1;
            let one = notice(session, Occasion::Invite, 0);
            store.add(session, std::slice::from_ref(&one)).await;
            bring(&store, one.key, state).await;
            let before = format!("{:?}", store.entry(one.key).await);
            let changed = store.outbox.act(&[one.key], act, minute(7)).await.unwrap();
            let entry = store.entry(one.key).await;
            match leads(act, state) {
                None => assert_eq!((changed, format!("{entry:?}")), (0, before), "{act:?} of {state}"),
                Some((to, reason)) => {
                    assert_eq!((changed, entry.state, entry.reason, entry.changed_at), (1, to, reason, minute(7)), "{act:?} of {state}");
                    let next = match (act, to) {
                        (Action::Release, _) => Some(minute(0)),
                        (_, State::Waiting) => Some(minute(7)),
                        _ => None,
                    };
                    assert_eq!(entry.next_attempt_at, next, "{act:?} of {state}");
                }
            }
            // Out of the way of the next.
            store.outbox.act(&[one.key], Action::Cancel, minute(8)).await.unwrap();
        }
    }
    let nobody = notice(session + 1, Occasion::Invite, 0).key;
    assert_eq!(store.outbox.act(&[nobody], Action::Hold, minute(9)).await.unwrap(), 0);
}

/// Of what a person cancelled, and as long as it is of use; what a plan cancelled is the planner's.
pub(crate) async fn a_cancel_is_taken_back(store: Store) {
    let invite = store.one().await;
    for (act, reason) in [(Action::Cancel, Reason::Operator), (Action::CancelTold, Reason::Told)] {
        assert_eq!(store.outbox.act(&[invite.key], act, minute(1)).await.unwrap(), 1);
        assert_eq!(store.entry(invite.key).await.reason, Some(reason));
        assert_eq!(store.outbox.act(&[invite.key], Action::Restore, minute(600)).await.unwrap(), 0, "it is of no use any more");
        assert_eq!(store.outbox.act(&[invite.key], Action::Restore, minute(2)).await.unwrap(), 1);
        let entry = store.entry(invite.key).await;
        assert_eq!((entry.state, entry.reason, entry.next_attempt_at), (State::Waiting, None, Some(minute(0))));
    }
    let claim = store.doubt_one(3).await;
    assert!(store.settle(4, &claim, unknown(None)).await);
    store.outbox.act(&[invite.key], Action::Cancel, minute(5)).await.unwrap();
    assert_eq!(store.outbox.act(&[invite.key], Action::Restore, minute(6)).await.unwrap(), 1);
    let entry = store.entry(invite.key).await;
    assert_eq!((entry.state, entry.next_attempt_at), (State::Unknown, None), "what was in doubt is so again");
}

/// It counts as told, with what holds now; the session is planned again.
pub(crate) async fn what_staff_told_is_remembered(store: Store) {
    let invite = store.one().await;
    let known = |map: punctual::known::KnownMap| map.into_values().find(|k| !k.notices.is_empty()).unwrap();
    let session = [SessionId(1)];
    store.outbox.act(&[invite.key], Action::Cancel, minute(1)).await.unwrap();
    assert!(!known(store.outbox.known("clinic", &session).await.unwrap()).notices[0].heard());
    store.outbox.act(&[invite.key], Action::Restore, minute(1)).await.unwrap();
    store.outbox.act(&[invite.key], Action::CancelTold, minute(1)).await.unwrap();
    let known = known(store.outbox.known("clinic", &session).await.unwrap());
    assert!(known.notices[0].heard() && !known.notices[0].may_have_been_sent());
    assert_eq!(known.notices[0].facts.as_ref(), Some(&known.facts));
}

/// The fixtures' notices are useful until minute 600.
pub(crate) async fn what_is_past_its_use_lapses_and_keeps_its_reason(store: Store) {
    let mut all = Vec::new();
    let mut states = State::ALL;
    // What waits is the last, so that no other claim takes it.
    states.rotate_left(1);
    for (session, state) in (1..).zip(states) {
        let one = notice(session, Occasion::Invite, 0);
        store.add(session, std::slice::from_ref(&one)).await;
        bring(&store, one.key, state).await;
        all.push((one.key, state));
    }
    assert!(store.outbox.lapse(minute(599)).await.unwrap().is_empty());
    let mut lapsed: Vec<_> = store.outbox.lapse(minute(600)).await.unwrap().iter().map(|e| e.notice.key).collect();
    let mut expected = Vec::new();
    for (key, was) in all {
        let entry = store.entry(key).await;
        let reason = match was {
            State::Waiting => Reason::Lapsed,
            State::Held => Reason::Absent,
            State::Unknown => Reason::InDoubt,
            _ => {
                assert_eq!(entry.state, was, "it had ended, or is in somebody's hands");
                continue;
            }
        };
        expected.push(key);
        assert_eq!((entry.state, entry.reason, entry.next_attempt_at), (State::Lapsed, Some(reason), None), "{was}");
        let known = store.outbox.known("clinic", &[entry.notice.session]).await.unwrap();
        let told = known.values().flat_map(|k| &k.notices).any(punctual::known::KnownNotice::may_have_been_sent);
        assert_eq!(told, was == State::Unknown, "{was}: what is in doubt may have been told");
    }
    lapsed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lapsed, expected);
    assert!(store.outbox.lapse(minute(601)).await.unwrap().is_empty(), "once");
    assert_eq!(store.outbox.lapsed(minute(600)).await.unwrap().len(), 3);
    assert_eq!(store.outbox.lapsed(minute(601)).await.unwrap().len(), 0);
}

/// A plan that comes after the end of its use does not end it quietly.
pub(crate) async fn what_a_plan_ends_too_late_has_lapsed(store: Store) {
    for (session, state, reason, becomes) in [
        (1, State::Cancelled, Reason::Outdated, (State::Lapsed, Reason::Lapsed)),
        (2, State::Held, Reason::Absent, (State::Lapsed, Reason::Lapsed)),
        (3, State::Cancelled, Reason::Cancelled, (State::Cancelled, Reason::Cancelled)),
    ] {
        let one = notice(session, Occasion::Invite, 0);
        store.add(session, std::slice::from_ref(&one)).await;
        let end = Change::End { key: one.key, state, reason };
        let late = punctual::outbox::Walk { at: minute(600), ..walk(vec![walked(session, "second", vec![end])]) };
        store.outbox.apply(late).await.unwrap();
        let entry = store.entry(one.key).await;
        assert_eq!((entry.state, entry.reason), (becomes.0, Some(becomes.1)), "{reason}");
    }
}

pub(crate) async fn a_retry_is_claimed_again(store: Store) {
    let invite = store.one().await;
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, retry(300)).await);
    assert!(store.claim(10).await.is_empty());
    assert_eq!(store.outbox.act(&[invite.key], Action::Retry, minute(10)).await.unwrap(), 1);
    assert_eq!(store.outbox.act(&[invite.key], Action::Retry, minute(11)).await.unwrap(), 0, "it is due already");
    let claim = store.claim_one(10).await;
    assert_eq!((claim.epoch, claim.frozen), (2, None), "nothing is in doubt: it is rendered afresh");
}

pub(crate) async fn a_retry_is_never_before_the_due_time(store: Store) {
    let reminder = notice(1, Occasion::Reminder, 100);
    store.add(1, std::slice::from_ref(&reminder)).await;
    assert_eq!(store.outbox.act(&[reminder.key], Action::Retry, minute(10)).await.unwrap(), 0, "there is no back-off to end");
    store.outbox.act(&[reminder.key], Action::Hold, minute(10)).await.unwrap();
    assert_eq!(store.outbox.act(&[reminder.key], Action::Retry, minute(11)).await.unwrap(), 1);
    assert_eq!(store.entry(reminder.key).await.next_attempt_at, Some(minute(100)));
}

pub(crate) async fn lists_are_filtered_and_in_due_order(store: Store) {
    let invite = notice(1, Occasion::Invite, 5);
    let early = notice(1, Occasion::Reminder, 2);
    let other = addressed(2, Occasion::Invite, 3, text(3));
    store.add(1, &[invite.clone(), early.clone()]).await;
    store.add(2, std::slice::from_ref(&other)).await;
    store.change(Change::End { key: early.key, state: State::Held, reason: Reason::Guard }).await;
    let keys = async |filter: Filter| store.outbox.list(&filter).await.unwrap().iter().map(|e| e.notice.key).collect::<Vec<_>>();
    assert_eq!(keys(Filter::default()).await, [early.key, other.key, invite.key]);
    assert_eq!(keys(Filter { limit: Some(2), ..Filter::default() }).await, [early.key, other.key]);
    assert_eq!(keys(Filter { session: Some(SessionId(1)), ..Filter::default() }).await, [early.key, invite.key]);
    assert_eq!(keys(Filter { participation: Some(ParticipationId(21)), ..Filter::default() }).await, [other.key]);
    assert_eq!(keys(Filter { occasion: Some(Occasion::Invite), ..Filter::default() }).await, [other.key, invite.key]);
    assert_eq!(keys(Filter { states: vec![State::Held], ..Filter::default() }).await, [early.key]);
    assert_eq!(keys(Filter { states: vec![State::Held, State::Waiting], ..Filter::default() }).await.len(), 3);
    assert_eq!(keys(Filter { keys: vec![invite.key, other.key], ..Filter::default() }).await, [other.key, invite.key]);
    let narrow =
        Filter { session: Some(SessionId(1)), states: vec![State::Waiting], keys: vec![invite.key, other.key], ..Filter::default() };
    assert_eq!(keys(narrow).await, [invite.key]);
    let mut many: Vec<_> = (100..40_100).map(|n| punctual::notice::NoticeKey(i128::from(n).to_be_bytes())).collect();
    many.push(other.key);
    assert_eq!(keys(Filter { keys: many, ..Filter::default() }).await, [other.key], "however many keys");
    assert_eq!(store.all().await[1].notice, other, "all of it comes back");
}

pub(crate) async fn lists_come_in_pages(store: Store) {
    // Two are due at the same time: the key decides.
    let all =
        [notice(1, Occasion::Invite, 5), notice(2, Occasion::Invite, 5), notice(3, Occasion::Invite, 2), notice(4, Occasion::Invite, 9)];
    for (n, one) in (1..).zip(&all) {
        store.add(n, std::slice::from_ref(one)).await;
    }
    let (mut after, mut keys) = (None, Vec::new());
    loop {
        let page = store.outbox.list(&Filter { after, limit: Some(1), ..Filter::default() }).await.unwrap();
        let Some(entry) = page.first() else { break };
        assert_eq!(page.len(), 1);
        keys.push(entry.notice.key);
        after = Some((entry.notice.due_at, entry.notice.key));
    }
    assert_eq!(keys, store.all().await.iter().map(|e| e.notice.key).collect::<Vec<_>>());
    let of_one = Filter { after: Some((minute(2), all[2].key)), session: Some(SessionId(4)), ..Filter::default() };
    assert_eq!(store.outbox.list(&of_one).await.unwrap().len(), 1, "with other conditions too");
}

pub(crate) async fn sessions_are_found_by_their_start(store: Store) {
    let starting = |id, start| WalkedSession { start: minute(start), ..walked(id, "first", vec![]) };
    store.outbox.apply(walk(vec![starting(1, 30), starting(2, 10), starting(3, 20), starting(4, 20)])).await.unwrap();
    let found = async |from, until, limit| {
        let found = store.outbox.starting(minute(from), minute(until), limit).await.unwrap();
        assert!(found.iter().all(|(source, _)| source == "clinic"));
        found.into_iter().map(|(_, id)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(found(0, 100, 10).await, [2, 3, 4, 1]);
    assert_eq!(found(10, 20, 10).await, [2], "the end is excluded");
    assert_eq!(found(20, 31, 2).await, [3, 4], "the first ones");
    assert_eq!(found(31, 100, 10).await, [] as [i64; 0]);
}

pub(crate) async fn a_deed_names_who_did_it(store: Store) {
    let invite = store.one().await;
    assert_eq!(store.outbox.act_by(Some("jane"), &[invite.key], Action::Hold, minute(1)).await.unwrap(), 1);
    assert_eq!(store.outbox.act(&[invite.key], Action::Release, minute(2)).await.unwrap(), 1);
    assert_eq!(store.outbox.decide_guard(Verdict::Accept, Some("jane"), Some("clinic"), minute(3)).await.unwrap(), 0);
    let rows = store.ledger().await;
    let last: Vec<_> = rows.iter().rev().take(3).map(|r| (r.event.as_str(), r.detail.as_deref())).collect();
    assert_eq!(last, [("guard_accepted", Some("0 sessions of clinic, by jane")), ("release", None), ("hold", Some("by jane"))]);
}

pub(crate) async fn omissions_are_filtered(store: Store) {
    let omissions = vec![
        omission(11, Some(Occasion::Invite), Some(9), Reason::Adopted),
        omission(12, Some(Occasion::Reminder), Some(4), Reason::HostDelivers),
        omission(12, None, None, Reason::Quarantined),
    ];
    store.outbox.apply(walk(vec![WalkedSession { omissions, ..walked(1, "first", vec![]) }])).await.unwrap();
    let reasons = async |filter: Filter| store.outbox.omissions(&filter).await.unwrap().iter().map(|o| o.reason).collect::<Vec<_>>();
    assert_eq!(reasons(Filter::default()).await, [Reason::Quarantined, Reason::HostDelivers, Reason::Adopted]);
    assert_eq!(reasons(Filter { limit: Some(1), ..Filter::default() }).await, [Reason::Quarantined]);
    assert_eq!(reasons(Filter { session: Some(SessionId(2)), ..Filter::default() }).await, []);
    assert_eq!(reasons(Filter { participation: Some(ParticipationId(11)), ..Filter::default() }).await, [Reason::Adopted]);
    assert_eq!(reasons(Filter { occasion: Some(Occasion::Reminder), ..Filter::default() }).await, [Reason::HostDelivers]);
}

pub(crate) async fn status_counts(store: Store) {
    store.add(1, &[notice(1, Occasion::Invite, 0), notice(1, Occasion::Reminder, 40)]).await;
    let omissions = vec![omission(21, None, None, Reason::Quarantined); 2];
    store.outbox.apply(walk(vec![WalkedSession { omissions, ..walked(2, "first", vec![]) }])).await.unwrap();
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, accepted()).await);
    let status = store.outbox.status().await.unwrap();
    assert_eq!(status.by_state, [(State::Accepted, 1), (State::Waiting, 1)].into());
    assert_eq!(status.by_reason, [(Reason::Quarantined, 2)].into());
    assert_eq!(status.next_due, Some(minute(40)));
    let source = &status.sources[0];
    assert_eq!((status.sources.len(), source.name.as_str(), source.last_snapshot_at, source.sessions), (1, "clinic", Some(minute(-10)), 2));
}

pub(crate) async fn the_next_due_time_is_the_least(store: Store) {
    let due = async |channel| store.outbox.next_due(channel).await.unwrap();
    store.add(1, &[notice(1, Occasion::Invite, 3), notice(1, Occasion::Reminder, 40), addressed(1, Occasion::Invite, 1, text(4))]).await;
    assert_eq!((due(Channel::Email).await, due(Channel::Sms).await), (Some(minute(3)), Some(minute(1))));
    let claim = store.doubt_one(3).await;
    assert_eq!(due(Channel::Email).await, Some(minute(40)), "what is claimed is not due");
    store.settle(4, &claim, unknown(Some(14))).await;
    assert_eq!(due(Channel::Email).await, Some(minute(14)), "what is in doubt is, if it is sent again");
    store.outbox.resolve_doubt(minute(5), vec![(claim.entry.notice.key, None)]).await.unwrap();
    assert_eq!(due(Channel::Email).await, Some(minute(40)));
}

pub(crate) async fn the_ledger_tells_each_step(store: Store) {
    let ray = addressed(1, Occasion::Invite, 0, mail("ray.chalk"));
    store.add(1, std::slice::from_ref(&ray)).await;
    store.change(Change::Move { key: ray.key, due_at: minute(1), useful_until: minute(START_OF_OTHER) }).await;
    store.outbox.act(&[ray.key], Action::Hold, minute(1)).await.unwrap();
    store.outbox.act(&[ray.key], Action::Release, minute(1)).await.unwrap();
    let fenced = store.claim_one(1).await;
    store.settle(1, &fenced, returned(Returned::Fenced, 1)).await;
    let claim = store.doubt_one(1).await;
    store.outbox.begin(vec![begin(&fenced, 2)]).await.unwrap();
    store.settle(2, &claim, accepted()).await;
    store.outbox.record_event(minute(3), Event::Reveal, "preview of session 1").await.unwrap();

    let rows = store.ledger().await;
    let told: Vec<_> = rows.iter().map(|r| (r.event.as_str(), r.from_state, r.to_state)).collect();
    use State::{Accepted, Claimed, Held, Sending, Waiting};
    let expected = [
        ("added", None, Some(Waiting)),
        ("moved", Some(Waiting), Some(Waiting)),
        ("hold", Some(Waiting), Some(Held)),
        ("release", Some(Held), Some(Waiting)),
        ("claimed", Some(Waiting), Some(Claimed)),
        ("settled", Some(Claimed), Some(Waiting)),
        ("claimed", Some(Waiting), Some(Claimed)),
        ("begun", Some(Claimed), Some(Sending)),
        ("doubted", Some(Sending), Some(Sending)),
        ("settled", Some(Sending), Some(Accepted)),
        ("reveal", None, None),
    ];
    assert_eq!(told, expected, "what was refused leaves no row");
    assert!(rows.windows(2).all(|two| two[0].place < two[1].place), "each stands behind the one before it");
    assert_eq!(rows[2].reason, Some(Reason::Operator));
    assert_eq!(rows[9].detail.as_deref(), Some("accepted: 250 2.0.0 Ok"));
    assert!(rows[..10].iter().all(|r| r.key == Some(ray.key.to_string())
        && r.session_id == Some(SessionId(1))
        && r.participation_id == Some(ParticipationId(11))));
    assert_eq!((rows[10].key.clone(), rows[10].detail.as_deref()), (None, Some("preview of session 1")));
    assert!(!format!("{rows:?}").contains("ray.chalk"));
}

const START_OF_OTHER: i64 = 700;

pub(crate) async fn what_is_over_is_handed_over_again_as_a_new_notice(store: Store) {
    let invite = store.one().await;
    let resend = async |key, to: Option<&Address>, at| store.outbox.resend(Some("jane"), &[key], to, minute(at)).await.unwrap()[0];
    assert_eq!(resend(invite.key, None, 1).await, Resent::NotOver(State::Waiting));
    assert_eq!(resend(NoticeKey([9; 16]), None, 1).await, Resent::Missing);
    let claim = store.doubt_one(0).await;
    assert!(store.settle(2, &claim, accepted()).await);
    assert_eq!(resend(invite.key, None, START).await, Resent::Late);
    assert_eq!(resend(invite.key, Some(&text(4)), 3).await, Resent::OtherChannel);
    let Resent::As(first) = resend(invite.key, None, 3).await else { panic!("it is over, and of use") };
    let entry = store.entry(first).await;
    assert_eq!((entry.state, entry.next_attempt_at, entry.attempts), (State::Waiting, Some(minute(3)), 0));
    assert_eq!(entry.notice, Notice { key: first, due_at: minute(3), ..invite.clone() });
    assert_eq!(resend(invite.key, None, 4).await, Resent::UnderWay);
    let known = store.outbox.known("clinic", &[SessionId(1)]).await.unwrap();
    let notices = &known[&(SessionId(1), invite.participation)].notices;
    assert_eq!(original(&entry.notice, notices).map(|n| n.notice.key), Some(invite.key));
    assert!(original(&invite, notices).is_none());
    let redirected = Notice { address: mail("mallory"), ..entry.notice.clone() };
    assert!(original(&redirected, notices).is_none(), "its key tells to whom it goes");

    let claim = store.doubt_one(5).await;
    assert_eq!(claim.entry.notice.key, first);
    assert!(store.settle(6, &claim, Settlement::Rejected { reply: "554 no".to_owned(), remember: None }).await);
    let Resent::As(second) = resend(first, Some(&mail("other")), 7).await else { panic!("a resend is handed over again, too") };
    let entry = store.entry(second).await;
    assert_eq!(entry.notice.address, mail("other"));
    assert_eq!(resend(invite.key, None, 8).await, Resent::UnderWay);
    let rows = store.ledger().await;
    let told: Vec<_> =
        rows.iter().rev().take(2).map(|r| (r.event.to_string(), r.key.clone(), r.detail.clone().unwrap_or_default())).collect();
    assert_eq!(
        (told[1].0.as_str(), told[1].1.as_ref(), told[1].2.as_str()),
        ("resend", Some(&first.to_string()), &*format!("as {second}, by jane"))
    );
    assert_eq!((told[0].0.as_str(), told[0].1.as_ref()), ("added", Some(&second.to_string())));
}

pub(crate) async fn what_somebody_asks_for_waits_once(store: Store) {
    store.one().await;
    let touch = async || store.outbox.sessions("clinic", Some(&[SessionId(1)])).await.unwrap()[0].touch;
    let (asked, before) = (notice(1, Occasion::Reminder, 5), touch().await);
    let ask = async |at| store.outbox.ask(minute(at), "clinic", asked.clone(), "by jane: no mail").await.unwrap();
    assert!(ask(5).await && !ask(6).await, "once");
    let entry = store.entry(asked.key).await;
    assert_eq!((entry.state, entry.next_attempt_at, entry.source.as_str()), (State::Waiting, Some(minute(5)), "clinic"));
    assert_eq!(entry.notice, asked);
    assert_ne!(touch().await, before, "a plan that was made without it is none");
    let known = store.outbox.known("clinic", &[SessionId(1)]).await.unwrap();
    assert!(known[&(SessionId(1), asked.participation)].notices.iter().any(|n| n.notice == asked), "the planner sees it");
    let rows = store.ledger().await;
    let told: Vec<_> = rows.iter().filter(|r| r.event == "asked").map(|r| (r.key.clone(), r.to_state, r.detail.as_deref())).collect();
    assert_eq!(told, [(Some(asked.key.to_string()), Some(State::Waiting), Some("by jane: no mail"))]);
    assert_eq!(store.claim(5).await.len(), 2, "it is claimed as every other one");
}
