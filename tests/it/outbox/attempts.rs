//! Claim, begin, doubt, settle, recover: the fences.

use chrono::TimeDelta;
use punctual::contact::Channel;
use punctual::entry::{AttemptEnd, Change, Phase, State};
use punctual::ledger::Event;
use punctual::notice::{Notice, Occasion, Reason};
use punctual::outbox::{ClaimRequest, Lease, Outgoing, RecentEnd, Recovered, Returned, Settlement, WalkedSession};
use punctual::session::stored::Departed;
use punctual::session::{ParticipationId, Presence, Role, SessionId};
use punctual::suppression::{Suppression, suppression_key};

use super::fixture::{
    Store, accepted, addressed, begin, known, lease, mail, minute, notice, request, retry, returned, text, unknown, walk, walked,
};

const NO_MARGIN: TimeDelta = TimeDelta::zero();

pub(crate) async fn the_most_urgent_is_claimed_first(store: Store) {
    let mut soon = addressed(1, Occasion::Reminder, 30, mail("soon"));
    // Whatever start it speaks of.
    (soon.start, soon.useful_until) = (minute(9000), minute(60));
    let first = addressed(2, Occasion::Reminder, 10, mail("first"));
    let second = addressed(3, Occasion::Reminder, 20, mail("second"));
    for (session, one) in [(3, &second), (1, &soon), (2, &first)] {
        store.add(session, std::slice::from_ref(one)).await;
    }
    assert_eq!(store.outbox.most_urgent(Channel::Email, minute(40)).await.unwrap(), Some(minute(60)));
    assert_eq!(store.outbox.most_urgent(Channel::Email, minute(29)).await.unwrap(), Some(first.useful_until), "of what is due");
    assert_eq!(store.outbox.most_urgent(Channel::Sms, minute(40)).await.unwrap(), None);
    let claims = store.outbox.claim(ClaimRequest { limit: 2, ..request(40) }).await.unwrap();
    assert_eq!(
        claims.iter().map(|c| c.entry.notice.key).collect::<Vec<_>>(),
        [soon.key, first.key],
        "the earliest useful-until, then the earliest due"
    );
    assert_eq!(store.claim_one(40).await.entry.notice.key, second.key);
}

pub(crate) async fn a_claim_is_of_one_channel_and_of_what_is_due(store: Store) {
    let by_text = addressed(1, Occasion::Invite, 0, text(1));
    let due = notice(1, Occasion::Invite, 5);
    store.add(1, &[by_text.clone(), due.clone(), notice(1, Occasion::Reminder, 6)]).await;
    assert!(store.claim(4).await.is_empty());
    assert_eq!(store.claim_one(5).await.entry.notice.key, due.key, "due at that very moment");
    let texts = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(5) }).await.unwrap();
    assert_eq!(texts.iter().map(|c| c.entry.notice.key).collect::<Vec<_>>(), [by_text.key]);
    assert!(store.outbox.claim(ClaimRequest { limit: 0, ..request(9) }).await.unwrap().is_empty());
}

pub(crate) async fn a_claimed_notice_is_not_claimed_again(store: Store) {
    let invite = store.one().await;
    let claim = store.claim_one(0).await;
    assert!(store.claim(100).await.is_empty());
    let entry = store.entry(invite.key).await;
    assert_eq!((entry.state, entry.phase, entry.attempts, entry.changed_at), (State::Claimed, None, 0, minute(0)));
    store.outbox.begin(vec![begin(&claim, 1)]).await.unwrap();
    assert!(store.claim(100).await.is_empty());
    assert_eq!(store.outbox.begin(vec![begin(&claim, 1)]).await.unwrap(), [false], "a claim begins once");
    assert_eq!(store.entry(invite.key).await.attempts, 1);
}

pub(crate) async fn a_claim_holds_all_that_is_decided_upon(store: Store) {
    let (invite, reminder) = (notice(1, Occasion::Invite, 0), notice(1, Occasion::Reminder, 50));
    let mut session = walked(1, "first", vec![invite.clone(), reminder.clone()].into_iter().map(punctual::entry::Change::Add).collect());
    session.ambiguous = vec![(ParticipationId(12), "twice".to_owned())];
    store.outbox.apply(walk(vec![session])).await.unwrap();
    let claim = store.claim_one(0).await;
    assert_eq!((claim.entry.notice.clone(), claim.entry.source.as_str()), (invite.clone(), "clinic"));
    assert_eq!((claim.entry.state, claim.epoch, claim.revision, claim.frozen), (State::Waiting, 1, 1, None));
    assert_eq!(claim.session.record.text, r#"{"SessionId":1,"Digest":"first"}"#);
    assert_eq!(claim.session.ambiguous, [(ParticipationId(12), "twice".to_owned())]);
    assert_eq!(claim.known.first_seen, minute(-10));
    let states: Vec<_> = claim.known.notices.iter().map(|n| (n.notice.key, n.state)).collect();
    assert_eq!(states, [(invite.key, State::Claimed), (reminder.key, State::Waiting)]);
}

pub(crate) async fn claims_of_one_session_each_know_who_departed(store: Store) {
    let mut other = addressed(1, Occasion::Invite, 0, mail("other"));
    other.participation = ParticipationId(12);
    let gone =
        Departed { id: ParticipationId(13), role: Role::Host, presence: Presence::Absent, record: r#"{"ParticipationId":13}"#.to_owned() };
    let changes = [notice(1, Occasion::Invite, 0), other].map(Change::Add).to_vec();
    let mut session = walked(1, "first", changes);
    session.known.push((gone.id, known()));
    store.outbox.apply(walk(vec![WalkedSession { departed: vec![gone.clone()], ..session }])).await.unwrap();
    let claims = store.claim(0).await;
    let departed: Vec<_> = claims.iter().map(|claim| claim.session.departed.as_slice()).collect();
    assert_eq!(departed, [std::slice::from_ref(&gone); 2]);
}

pub(crate) async fn attempts_are_fenced_by_the_epoch(store: Store) {
    store.one().await;
    let old = store.begin_one(0).await;
    assert_eq!(store.outbox.recover("two", minute(1), true).await.unwrap().returned, 1);
    let new = store.claim_one(2).await;
    assert_eq!((old.epoch, new.epoch), (1, 2));
    assert_eq!(store.outbox.begin(vec![begin(&old, 2)]).await.unwrap(), [false]);
    assert!(!store.outbox.doubt(lease(&old), old.revision, NO_MARGIN).await.unwrap());
    assert!(!store.settle(3, &old, accepted()).await);
    assert_eq!(store.entry(old.entry.notice.key).await.state, State::Claimed, "whoever lost a claim changes nothing");

    assert!(!store.outbox.doubt(lease(&new), new.revision, NO_MARGIN).await.unwrap(), "it has not begun");
    let nobody = Lease { kind: Outgoing::Notice, key: notice(9, Occasion::Invite, 0).key, epoch: 1 };
    let mut stranger = begin(&new, 3);
    stranger.lease = nobody;
    assert_eq!(store.outbox.begin(vec![stranger, begin(&new, 3)]).await.unwrap(), [false, true], "each attempt is judged by itself");
    assert!(!store.outbox.doubt(nobody, 1, NO_MARGIN).await.unwrap());
    assert!(store.outbox.doubt(lease(&new), new.revision, NO_MARGIN).await.unwrap());
    assert!(!store.outbox.doubt(lease(&new), new.revision, NO_MARGIN).await.unwrap(), "it is past that point already");
    let ends = vec![(nobody, accepted()), (lease(&new), accepted())];
    assert_eq!(store.outbox.settle(minute(4), ends).await.unwrap(), [false, true]);
    assert!(!store.settle(5, &new, accepted()).await, "it is settled");
}

pub(crate) async fn an_attempt_begins_and_passes_in_one_step(store: Store) {
    let invite = store.one().await;
    let old = store.claim_one(0).await;
    assert_eq!(store.outbox.recover("two", minute(1), true).await.unwrap().returned, 1);
    let claim = store.claim_one(2).await;
    assert!(!store.outbox.take(begin(&old, 3), NO_MARGIN).await.unwrap(), "it is another claim by now");
    assert!(!store.outbox.take(begin(&claim, 3), TimeDelta::days(2)).await.unwrap(), "too little is left of the lease");
    let outdated = punctual::outbox::Begin { revision: claim.revision + 1, ..begin(&claim, 3) };
    assert!(!store.outbox.take(outdated, NO_MARGIN).await.unwrap(), "rendered from what does not hold");
    let (deliveries, bytes) = store.outbox.deliveries(invite.key).await.unwrap();
    assert!(deliveries.is_empty() && bytes.is_none(), "what was refused leaves nothing");
    assert!(store.outbox.take(begin(&claim, 3), NO_MARGIN).await.unwrap());
    assert!(!store.outbox.take(begin(&claim, 4), NO_MARGIN).await.unwrap(), "once");
    assert!(!store.outbox.doubt(lease(&claim), claim.revision, NO_MARGIN).await.unwrap(), "it is past that point already");
    let entry = store.entry(invite.key).await;
    assert_eq!((entry.state, entry.phase, entry.attempts, entry.changed_at), (State::Sending, Some(Phase::Doubt), 1, minute(3)));
    let row = store.ledger().await.pop().unwrap();
    let over = begin(&claim, 3).transport;
    assert_eq!((row.event.as_str(), row.from_state, row.to_state), ("doubted", Some(State::Claimed), Some(State::Sending)));
    assert_eq!(row.detail.as_deref(), Some(over.as_str()));
    let found = store.outbox.recover("three", minute(4), true).await.unwrap();
    assert_eq!((found.returned, found.in_doubt), (0, vec![invite.key]), "a crash leaves it in doubt");
    let (deliveries, bytes) = store.outbox.deliveries(invite.key).await.unwrap();
    assert_eq!(deliveries.iter().map(|d| (d.phase, d.transport.as_deref())).collect::<Vec<_>>(), [(Phase::Doubt, Some(over.as_str()))]);
    assert_eq!(bytes.as_deref(), Some(&*begin(&claim, 3).bytes), "what goes again is what it had");
}

/// Written together, and neither depends on the other.
pub(crate) async fn an_end_and_the_next_beginning_are_guarded_each_by_itself(store: Store) {
    for n in [1, 2] {
        store.add(n, &[notice(n, Occasion::Invite, 0)]).await;
    }
    let claims = store.outbox.claim(request(0)).await.unwrap();
    let (first, next) = (&claims[0], &claims[1]);
    assert!(store.outbox.take(begin(first, 1), NO_MARGIN).await.unwrap());
    let refused = store.outbox.take(begin(next, 2), TimeDelta::days(2));
    let (ended, taken) = tokio::join!(store.outbox.settle_with_next(minute(2), lease(first), accepted()), refused);
    assert_eq!((ended.unwrap(), taken.unwrap()), (true, false), "an end stays when the next one is refused");
    let (ended, taken) =
        tokio::join!(store.outbox.settle_with_next(minute(3), lease(first), accepted()), store.outbox.take(begin(next, 3), NO_MARGIN));
    assert_eq!((ended.unwrap(), taken.unwrap()), (false, true), "and the other way round");
    assert_eq!(
        (store.entry(first.entry.notice.key).await.state, store.entry(next.entry.notice.key).await.state),
        (State::Accepted, State::Sending)
    );
    assert!(
        store.outbox.settle_with_next(minute(4), lease(next), accepted()).await.unwrap(),
        "nothing comes after it: it waits for that no longer"
    );
}

pub(crate) async fn what_goes_over_another_transport_is_on_record(store: Store) {
    const SECOND: &str = "smtp:second.example:25";
    const THIRD: &str = "smtp:third.example:25";
    store.one().await;
    let claim = store.claim_one(0).await;
    let key = claim.entry.notice.key;
    assert!(!store.outbox.reroute(lease(&claim), SECOND).await.unwrap(), "it has not begun");
    assert_eq!(store.outbox.begin(vec![begin(&claim, 1)]).await.unwrap(), [true]);
    assert!(store.outbox.reroute(lease(&claim), SECOND).await.unwrap());
    assert!(store.outbox.doubt(lease(&claim), claim.revision, NO_MARGIN).await.unwrap());
    assert!(store.outbox.reroute(lease(&claim), THIRD).await.unwrap(), "the second one refused it behind that point");
    assert_eq!(store.entry(key).await.phase, Some(Phase::Pre), "of the third one nothing was sent");
    assert!(store.outbox.doubt(lease(&claim), claim.revision, NO_MARGIN).await.unwrap(), "it has a point of no return of its own");
    // Whoever takes it back sees where to ask.
    let found = store.outbox.recover("two", minute(2), true).await.unwrap();
    assert_eq!(found.in_doubt, [key]);
    let (deliveries, _) = store.outbox.deliveries(key).await.unwrap();
    assert_eq!(deliveries.iter().map(|d| (d.transport.as_deref(), d.phase)).collect::<Vec<_>>(), [(Some(THIRD), Phase::Doubt)]);
    assert!(!store.outbox.reroute(lease(&claim), SECOND).await.unwrap(), "the claim is lost");
    let rows = store.outbox.ledger(None, 0, usize::MAX).await.unwrap();
    let rerouted: Vec<_> = rows.iter().filter(|r| r.event == "rerouted").map(|r| (r.from_state, r.to_state, r.detail.as_deref())).collect();
    assert_eq!(rerouted, [SECOND, THIRD].map(|over| (Some(State::Sending), Some(State::Sending), Some(over))));
}

pub(crate) async fn a_refusal_that_was_about_us_is_taken_back(store: Store) {
    let gone = Settlement::Rejected { reply: "550 5.1.1 no such user".to_owned(), remember: Some(Suppression::Bounced) };
    let (kept, back, later, late) = (
        addressed(1, Occasion::Invite, 0, mail("kept")),
        addressed(2, Occasion::Invite, 0, mail("back")),
        addressed(3, Occasion::Invite, 0, mail("later")),
        Notice { useful_until: minute(9), ..addressed(4, Occasion::Invite, 0, mail("late")) },
    );
    for notice in [&kept, &back, &later, &late] {
        store.add(notice.session.0, std::slice::from_ref(notice)).await;
    }
    for claim in store.outbox.claim(request(0)).await.unwrap() {
        store.outbox.begin(vec![begin(&claim, 1)]).await.unwrap();
        assert!(store.settle(2, &claim, gone.clone()).await);
    }
    assert_eq!(store.outbox.suppressed().await.unwrap().len(), 4);
    let rejected = [(back.key, None), (later.key, Some(minute(50))), (late.key, None)];
    assert_eq!(store.outbox.take_back(&rejected, minute(10)).await.unwrap(), 2, "one of them is of no more use");
    for (notice, state, next) in [
        (&kept, State::Rejected, None),
        (&back, State::Waiting, Some(minute(0))),
        (&later, State::Waiting, Some(minute(50))),
        (&late, State::Rejected, None),
    ] {
        let entry = store.entry(notice.key).await;
        assert_eq!((entry.state, entry.next_attempt_at), (state, next), "{}", notice.session);
    }
    let left: Vec<_> = store.outbox.suppressed().await.unwrap().into_iter().filter_map(|s| s.notice).collect();
    assert_eq!(left, [kept.key.to_string()], "of those alone whose refusal was taken back");
    assert_eq!(store.outbox.take_back(&rejected, minute(11)).await.unwrap(), 0, "once");
    let events: Vec<Event> = store.ledger().await.into_iter().rev().take(5).map(|row| row.event).collect();
    assert_eq!(events, ["unsuppressed", "unsuppressed", "taken_back", "unsuppressed", "taken_back"]);
    assert_eq!(store.outbox.claim(request(11)).await.unwrap().len(), 1, "it is due again");
}

pub(crate) async fn what_a_person_wished_is_not_taken_back(store: Store) {
    let stop = Settlement::Rejected { reply: "400 21610".to_owned(), remember: Some(Suppression::OptedOut) };
    let invite = store.one().await;
    let claim = store.begin_one(0).await;
    assert!(store.settle(2, &claim, stop).await);
    store.outbox.take_back(&[(invite.key, None)], minute(3)).await.unwrap();
    assert_eq!(store.outbox.suppressed().await.unwrap().len(), 1);
}

pub(crate) async fn what_was_settled_lately_is_recalled(store: Store) {
    let no = Settlement::Rejected { reply: "550 no".to_owned(), remember: None };
    store.add(1, &[addressed(1, Occasion::Invite, 0, mail("ray")), addressed(1, Occasion::Invite, 0, text(4))]).await;
    let claim = store.begin_one(0).await;
    assert!(store.settle(2, &claim, no).await);
    let lately = store.outbox.settled_lately(Channel::Email, 100).await.unwrap();
    let transport = begin(&claim, 1).transport;
    let who = suppression_key(&mail("ray"));
    assert_eq!(lately, [RecentEnd { key: claim.entry.notice.key, who, transport, end: AttemptEnd::Rejected, said: "550 no".to_owned() }]);
    assert_eq!(store.outbox.settled_lately(Channel::Sms, 100).await.unwrap(), []);
    store.outbox.record_event(minute(3), Event::Reveal, "nothing").await.unwrap();
    assert_eq!(store.outbox.settled_lately(Channel::Email, 1).await.unwrap(), [], "only within the last rows");
}

pub(crate) async fn a_short_lease_lets_nothing_out(store: Store) {
    store.one().await;
    let claim = store.begin_one(0).await;
    assert!(
        !store.outbox.doubt(lease(&claim), claim.revision, TimeDelta::minutes(31)).await.unwrap(),
        "30 minutes are left, 31 are needed"
    );
    assert_eq!(store.entry(claim.entry.notice.key).await.phase, Some(Phase::Pre));
    assert!(store.outbox.doubt(lease(&claim), claim.revision, TimeDelta::minutes(29)).await.unwrap());
}

pub(crate) async fn each_settlement_has_its_row(store: Store) {
    let rejected = Settlement::Rejected { reply: "550 no such user".to_owned(), remember: None };
    let ended = |state| Settlement::Ended { state, reason: Reason::Outdated };
    // end; then: state, reason, next attempt, attempts, accepted at, reply, outcome of the delivery
    type Row = (Settlement, State, Option<Reason>, Option<i64>, u32, Option<i64>, Option<&'static str>, &'static str);
    let rows: [Row; 11] = [
        (accepted(), State::Accepted, None, None, 1, Some(3), Some("250 2.0.0 Ok"), "accepted"),
        (rejected, State::Rejected, None, None, 1, None, Some("550 no such user"), "rejected"),
        (retry(9), State::Waiting, None, Some(9), 1, None, Some("451 later"), "retry"),
        (returned(Returned::ChannelFault, 9), State::Waiting, None, Some(9), 0, None, Some("535 log-in refused"), "channel_fault"),
        (unknown(Some(13)), State::Unknown, None, Some(13), 1, None, Some("the connection ended after the dot"), "unknown"),
        (unknown(None), State::Unknown, None, None, 1, None, Some("the connection ended after the dot"), "unknown"),
        (ended(State::Held), State::Held, Some(Reason::Outdated), None, 1, None, None, "held"),
        (ended(State::Cancelled), State::Cancelled, Some(Reason::Outdated), None, 1, None, None, "cancelled"),
        (ended(State::Superseded), State::Superseded, Some(Reason::Outdated), None, 1, None, None, "superseded"),
        (ended(State::Lapsed), State::Lapsed, Some(Reason::Outdated), None, 1, None, None, "lapsed"),
        (ended(State::Suppressed), State::Suppressed, Some(Reason::Outdated), None, 1, None, None, "suppressed"),
    ];
    for (session, (end, state, reason, next, attempts, accepted_at, reply, outcome)) in (1..).zip(rows) {
        let invite = notice(session, Occasion::Invite, 0);
        store.add(session, std::slice::from_ref(&invite)).await;
        let claim = store.doubt_one(0).await;
        assert!(store.settle(3, &claim, end.clone()).await, "{end:?}");
        let entry = store.entry(invite.key).await;
        assert_eq!((entry.state, entry.reason, entry.phase), (state, reason, None), "{end:?}");
        assert_eq!(
            (entry.next_attempt_at, entry.attempts, entry.accepted_at),
            (next.map(minute), attempts, accepted_at.map(minute)),
            "{end:?}"
        );
        assert_eq!((entry.server_reply.as_deref(), entry.changed_at), (reply, minute(3)), "{end:?}");
        let seen = store.outbox.seen_among("clinic", &[SessionId(session)]).await.unwrap();
        let otherwise = reason == Some(Reason::Outdated) || state == State::Rejected;
        assert_eq!(seen[&SessionId(session)].replan, otherwise, "what a plan counted on came otherwise: {end:?}");
        assert_eq!(entry.reference.as_deref(), (state == State::Accepted).then_some("4F1A22"), "{end:?}");
        let (deliveries, frozen) = store.outbox.deliveries(invite.key).await.unwrap();
        assert_eq!((deliveries.len(), deliveries[0].phase, deliveries[0].ended_at), (1, Phase::Doubt, Some(minute(3))), "{end:?}");
        assert_eq!(
            (deliveries[0].outcome.as_ref().map(AttemptEnd::as_str), deliveries[0].reply.as_deref()),
            (Some(outcome), reply),
            "{end:?}"
        );
        assert_eq!(frozen, Some(begin(&claim, 0).bytes.to_vec()), "content is kept until it is purged");
    }
}

pub(crate) async fn a_lost_claim_settles_nothing_but_its_delivery(store: Store) {
    let invite = store.one().await;
    let claim = store.doubt_one(0).await;
    let found = store.outbox.recover("two", minute(1), true).await.unwrap();
    assert_eq!(found, Recovered { returned: 0, in_doubt: vec![invite.key] });
    let outcome = async || store.outbox.deliveries(invite.key).await.unwrap().0[0].outcome.clone();
    assert_eq!(outcome().await.as_ref().map(AttemptEnd::as_str), Some("crashed"));
    store.outbox.resolve_doubt(minute(1), vec![(invite.key, Some(minute(2)))]).await.unwrap();
    store.claim_one(2).await;
    assert!(!store.settle(2, &claim, accepted()).await);
    assert_eq!(store.entry(invite.key).await.state, State::Claimed);
    assert_eq!(outcome().await.as_ref().map(AttemptEnd::as_str), Some("accepted"), "what is known of the attempt is written down");
    assert!(!store.settle(3, &claim, retry(4)).await);
    assert_eq!(outcome().await.as_ref().map(AttemptEnd::as_str), Some("accepted"), "and only once");
}

/// Whoever was taken for gone has come back with the server's answer, before anybody sent it again.
pub(crate) async fn a_late_answer_ends_a_doubt(store: Store) {
    for (session, end, state) in [
        (1, accepted(), State::Accepted),
        (2, Settlement::Rejected { reply: "550 no".to_owned(), remember: None }, State::Rejected),
        (3, retry(9), State::Waiting),
    ] {
        let invite = notice(session, Occasion::Invite, 0);
        store.add(session, std::slice::from_ref(&invite)).await;
        let claim = store.doubt_one(0).await;
        store.outbox.recover("two", minute(1), true).await.unwrap();
        store.outbox.resolve_doubt(minute(1), vec![(invite.key, Some(minute(11)))]).await.unwrap();
        assert!(store.settle(2, &claim, end).await);
        assert_eq!(store.entry(invite.key).await.state, state);
        let due = store.claim(11).await;
        assert_eq!(due.len(), usize::from(state == State::Waiting), "an answer is an answer");
        for claim in due {
            assert!(store.settle(11, &claim, accepted()).await);
        }
    }
}

pub(crate) async fn a_return_restores_the_state_before(store: Store) {
    let invite = store.one().await;
    let claim = store.claim_one(0).await;
    assert!(store.settle(1, &claim, returned(Returned::Moved, 2)).await);
    let entry = store.entry(invite.key).await;
    assert_eq!((entry.state, entry.attempts, entry.next_attempt_at), (State::Waiting, 0, Some(minute(2))));
    assert!(store.outbox.deliveries(invite.key).await.unwrap().0.is_empty(), "it had not begun");

    let claim = store.doubt_one(2).await;
    assert!(store.settle(3, &claim, unknown(Some(13))).await);
    for (now, begun) in [(13, false), (14, true)] {
        let claim = if begun { store.begin_one(now).await } else { store.claim_one(now).await };
        assert_eq!(claim.entry.state, State::Unknown);
        assert!(store.settle(now, &claim, returned(Returned::Stopped, 14)).await);
        let entry = store.entry(invite.key).await;
        assert_eq!((entry.state, entry.attempts, entry.next_attempt_at), (State::Unknown, 1, Some(minute(14))), "a doubt stays one");
    }
}

pub(crate) async fn an_end_must_be_one(store: Store) {
    let invite = store.one().await;
    let claim = store.begin_one(0).await;
    let before = format!("{:?}", store.entry(invite.key).await);
    for state in [State::Waiting, State::Claimed, State::Sending, State::Accepted, State::Rejected, State::Unknown] {
        let end = Settlement::Ended { state, reason: Reason::Lapsed };
        let error = store.outbox.settle(minute(1), vec![(lease(&claim), end)]).await.unwrap_err();
        assert!(error.to_string().contains(state.as_str()), "{error}");
    }
    assert_eq!(before, format!("{:?}", store.entry(invite.key).await));
}

pub(crate) async fn what_is_in_doubt_is_sent_again_as_it_was(store: Store) {
    store.one().await;
    let first = store.doubt_one(0).await;
    let bytes = begin(&first, 0).bytes;
    assert!(store.settle(1, &first, unknown(Some(13))).await);
    assert!(store.claim(12).await.is_empty());
    let again = store.claim_one(13).await;
    assert_eq!((again.entry.state, again.frozen.as_ref()), (State::Unknown, Some(&bytes.to_vec())));
    // The second attempt ends before its point of no return: the first one's doubt is still there.
    let mut attempt = begin(&again, 13);
    attempt.bytes = bytes.clone();
    assert_eq!(store.outbox.begin(vec![attempt]).await.unwrap(), [true]);
    assert!(store.settle(14, &again, retry(20)).await);
    let third = store.claim_one(20).await;
    assert_eq!((third.entry.state, third.entry.attempts, third.frozen), (State::Waiting, 2, Some(bytes.to_vec())));
}

pub(crate) async fn an_expired_lease_is_taken_back(store: Store) {
    let invite = store.one().await;
    let expired = ClaimRequest { lease: TimeDelta::seconds(-1), ..request(0) };
    let claim = store.outbox.claim(expired).await.unwrap().remove(0);
    assert_eq!(store.outbox.begin(vec![begin(&claim, 0)]).await.unwrap(), [true]);
    assert!(!store.outbox.doubt(lease(&claim), claim.revision, NO_MARGIN).await.unwrap());
    assert_eq!(store.outbox.recover("two", minute(1), false).await.unwrap(), Recovered { returned: 1, in_doubt: vec![] });
    let entry = store.entry(invite.key).await;
    assert_eq!((entry.state, entry.phase, entry.next_attempt_at), (State::Waiting, None, Some(minute(0))));
    assert_eq!(store.outbox.deliveries(invite.key).await.unwrap().0[0].outcome.as_ref().map(AttemptEnd::as_str), Some("crashed"));
    store.claim_one(1).await;
    assert_eq!(store.outbox.recover("two", minute(2), false).await.unwrap(), Recovered::default(), "this one's lease runs");
}

pub(crate) async fn a_start_takes_everything_back(store: Store) {
    let [claimed, pre, doubt, own] = [1, 2, 3, 4].map(|n| notice(n, Occasion::Invite, 0));
    store.add(1, std::slice::from_ref(&claimed)).await;
    store.claim_one(0).await;
    store.add(2, std::slice::from_ref(&pre)).await;
    store.begin_one(0).await;
    store.add(3, std::slice::from_ref(&doubt)).await;
    let lost = store.doubt_one(0).await;
    store.add(4, std::slice::from_ref(&own)).await;
    let mine = store.outbox.claim(ClaimRequest { owner: "two".to_owned(), ..request(0) }).await.unwrap();
    assert_eq!(mine[0].entry.notice.key, own.key);

    assert_eq!(store.outbox.recover("two", minute(5), false).await.unwrap(), Recovered::default(), "all leases run");
    let found = store.outbox.recover("two", minute(5), true).await.unwrap();
    assert_eq!(found, Recovered { returned: 2, in_doubt: vec![doubt.key] });
    let states = [&claimed, &pre, &doubt, &own].map(|n| n.key);
    let expected = [(State::Waiting, 0), (State::Waiting, 1), (State::Unknown, 1), (State::Claimed, 0)];
    for (key, expected) in states.into_iter().zip(expected) {
        let entry = store.entry(key).await;
        assert_eq!((entry.state, entry.attempts), expected);
    }
    assert_eq!(store.entry(doubt.key).await.next_attempt_at, None, "until the caller decides");
    store.outbox.resolve_doubt(minute(5), vec![(doubt.key, Some(minute(15))), (claimed.key, None)]).await.unwrap();
    assert_eq!(store.entry(claimed.key).await.next_attempt_at, Some(minute(0)), "there was no doubt about it");
    assert_eq!(store.claim(14).await.len(), 2);
    assert_eq!(store.claim_one(15).await.frozen, Some(begin(&lost, 0).bytes.to_vec()));
}

pub(crate) async fn a_doubt_left_undecided_is_named_again(store: Store) {
    let invite = store.one().await;
    store.doubt_one(0).await;
    for owner in ["two", "three"] {
        assert_eq!(store.outbox.recover(owner, minute(1), true).await.unwrap().in_doubt, [invite.key]);
    }
    store.outbox.resolve_doubt(minute(2), vec![(invite.key, None)]).await.unwrap();
    assert!(store.outbox.recover("four", minute(3), true).await.unwrap().in_doubt.is_empty());
}

pub(crate) async fn a_rejection_is_remembered(store: Store) {
    let (mail, number) = (addressed(1, Occasion::Invite, 0, mail("Ray.Chalk")), addressed(2, Occasion::Invite, 0, text(7)));
    store.add(1, std::slice::from_ref(&mail)).await;
    let claim = store.doubt_one(0).await;
    let end = |kind| Settlement::Rejected { reply: "550".to_owned(), remember: Some(kind) };
    assert!(store.settle(1, &claim, end(Suppression::Bounced)).await);
    assert!(!store.settle(2, &claim, end(Suppression::OptedOut)).await, "a lost claim suppresses nobody");
    store.add(2, std::slice::from_ref(&number)).await;
    let texts = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(2) }).await.unwrap();
    assert!(store.settle(3, &texts[0], end(Suppression::OptedOut)).await);
    let list = store.outbox.suppressions().await.unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[&suppression_key(&super::fixture::mail("ray.chalk"))], Suppression::Bounced, "whatever the case of the address");
    assert_eq!(list[&suppression_key(&number.address)], Suppression::OptedOut);
    assert_eq!(store.outbox.status().await.unwrap().suppressed, 2);
}

pub(crate) async fn an_opt_out_outlives_a_bounce(store: Store) {
    let kinds = [Suppression::Bounced, Suppression::OptedOut, Suppression::Bounced];
    let expected = [Suppression::Bounced, Suppression::OptedOut, Suppression::OptedOut];
    for (session, (kind, expected)) in (1..).zip(kinds.into_iter().zip(expected)) {
        store.add(session, &[notice(session, Occasion::Invite, 0)]).await;
        let claim = store.doubt_one(0).await;
        assert!(store.settle(1, &claim, Settlement::Rejected { reply: "550".to_owned(), remember: Some(kind) }).await);
        assert_eq!(store.outbox.suppressions().await.unwrap().into_values().collect::<Vec<_>>(), [expected]);
    }
}

pub(crate) async fn deliveries_are_numbered(store: Store) {
    let invite = store.one().await;
    for (now, end) in [(0, retry(1)), (1, returned(Returned::ChannelFault, 2)), (2, accepted())] {
        let claim = store.doubt_one(now).await;
        assert!(store.settle(now, &claim, end).await);
    }
    let (all, frozen) = store.outbox.deliveries(invite.key).await.unwrap();
    let seen: Vec<_> = all.iter().map(|d| (d.attempt, d.started_at, d.outcome.as_ref().map_or("", AttemptEnd::as_str))).collect();
    assert_eq!(seen, [(1, minute(0), "retry"), (2, minute(1), "channel_fault"), (3, minute(2), "accepted")]);
    assert!(all.iter().all(|d| d.transport.as_deref() == Some("folder")));
    assert!(String::from_utf8(frozen.unwrap()).unwrap().ends_with("at 2"), "of the last attempt");
    assert_eq!(store.entry(invite.key).await.attempts, 2, "a fault of the channel is no attempt of the notice");
}

pub(crate) async fn a_suppressed_address_fences_what_is_on_its_way_to_it(store: Store) {
    let (theirs, other) = (addressed(1, Occasion::Invite, 0, mail("Trevor")), addressed(2, Occasion::Invite, 0, mail("nora")));
    store.add(1, std::slice::from_ref(&theirs)).await;
    store.add(2, std::slice::from_ref(&other)).await;
    let claims = store.claim(1).await;
    for (claim, goes) in claims.iter().map(|claim| (claim, claim.entry.notice.key == other.key)) {
        if goes {
            assert_eq!(store.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [true]);
        }
    }
    store.outbox.suppress(minute(1), &mail("trevor"), Suppression::OptedOut, None).await.unwrap();
    for claim in &claims {
        let goes = claim.entry.notice.key == other.key;
        if !goes {
            assert_eq!(store.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [false], "it was decided before");
            assert!(!store.outbox.take(begin(claim, 1), TimeDelta::minutes(1)).await.unwrap());
        }
        assert_eq!(store.outbox.doubt(lease(claim), claim.revision, TimeDelta::minutes(1)).await.unwrap(), goes);
    }
}
