//! What the planner wants, held against what the outbox has.

use super::*;
use crate::entry::Change;
use crate::plan::diff::{SendDecision, diff, revalidate};

fn held(notice: &Notice, state: State, reason: Option<Reason>) -> KnownNotice {
    KnownNotice { notice: notice.clone(), state, reason, changed_at: at(SEEN), facts: None, doubted: false, undelivered: false }
}

fn refs(decisions: &[Decision]) -> Vec<&Decision> {
    decisions.iter().collect()
}

#[test]
fn new_notices_are_added_once() {
    let world = World::new();
    let decisions = world.decide();
    let changes = diff(&refs(&decisions), &[]);
    assert_eq!(changes.len(), 3);
    let rows: Vec<KnownNotice> = changes
        .iter()
        .map(|c| match c {
            Change::Add(n) => held(n, State::Waiting, None),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(diff(&refs(&decisions), &rows), []);
}

#[test]
fn a_state_and_a_wish_make_a_change() {
    let world = World::new();
    let decisions = world.decide();
    let invite = world.sent(Occasion::Invite, None).unwrap();
    let moved = Notice { due_at: invite.due_at - TimeDelta::minutes(1), ..invite.clone() };
    let again_after_all = Change::Move { key: invite.key, due_at: invite.due_at, useful_until: invite.useful_until };
    let again = Change::Move { key: invite.key, due_at: invite.due_at, useful_until: invite.useful_until };
    for (row, want) in [
        (held(&invite, State::Waiting, None), None),
        (held(&moved, State::Waiting, None), Some(again.clone())),
        (held(&invite, State::Held, Some(Reason::Absent)), Some(again.clone())),
        (held(&invite, State::Held, Some(Reason::Quarantined)), Some(again.clone())),
        (held(&invite, State::Held, Some(Reason::Operator)), None),
        (held(&invite, State::Held, Some(Reason::Leak)), None),
        (held(&invite, State::Cancelled, Some(Reason::Outdated)), Some(again.clone())),
        (held(&invite, State::Cancelled, Some(Reason::Operator)), None),
        (held(&invite, State::Suppressed, Some(Reason::OptedOut)), Some(again)),
        (KnownNotice { doubted: true, ..held(&moved, State::Waiting, None) }, None),
        (held(&moved, State::Accepted, None), None),
        (held(&moved, State::Unknown, None), None),
        (held(&moved, State::Sending, None), None),
        (held(&moved, State::Claimed, None), None),
        (held(&moved, State::Rejected, None), None),
        (held(&invite, State::Lapsed, Some(Reason::Started)), Some(again_after_all)),
    ] {
        let name = format!("{:?} {:?}", row.state, row.reason);
        let changes: Vec<Change> = diff(&refs(&decisions), &[row]).into_iter().filter(|c| !matches!(c, Change::Add(_))).collect();
        assert_eq!(changes, want.into_iter().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn what_is_not_wanted_any_more_ends_with_its_reason() {
    let mut world = World::new();
    let invite = world.sent(Occasion::Invite, None).unwrap();
    let row = [held(&invite, State::Waiting, None)];
    for (change, state, reason) in [
        ((|w| w.session.cancelled = true) as fn(&mut World), State::Cancelled, Reason::Cancelled),
        (|w| w.person().time_zone = "Nowhere".into(), State::Held, Reason::Quarantined),
        (|w| suppress(w, Suppression::OptedOut), State::Suppressed, Reason::OptedOut),
        (|w| w.session.start += TimeDelta::hours(1), State::Cancelled, Reason::Outdated),
        (|w| w.session.presence = Presence::Absent, State::Held, Reason::Absent),
        (|w| w.person().presence = Presence::Guarded, State::Held, Reason::Guard),
        (|w| w.person().presence = Presence::Unreadable, State::Held, Reason::Quarantined),
        (|w| w.session.presence = Presence::Gone, State::Cancelled, Reason::Cancelled),
        (|w| w.person().presence = Presence::Gone, State::Cancelled, Reason::Cancelled),
        (|w| w.now = at("2026-11-27T00:00:00"), State::Lapsed, Reason::Started),
    ] {
        world = World::new();
        change(&mut world);
        let ends: Vec<Change> = diff(&refs(&world.decide()), &row).into_iter().filter(|c| !matches!(c, Change::Add(_))).collect();
        assert_eq!(ends, [Change::End { key: invite.key, state, reason }]);
    }
    // What was handed over is left alone, whatever the session says.
    world.session.cancelled = true;
    for state in [State::Accepted, State::Sending, State::Unknown, State::Claimed, State::Rejected] {
        assert_eq!(diff(&refs(&world.decide()), &[held(&invite, state, None)]), []);
    }
}

#[test]
fn the_last_look_says_go_later_or_no() {
    let mut world = World::new();
    let invite = world.sent(Occasion::Invite, None).unwrap();
    let row = held(&invite, State::Waiting, None);
    let look = |w: &World| revalidate(&row, &refs(&w.decide()), w.now);
    assert_eq!(look(&world), SendDecision::Later(invite.clone()));
    world.now = invite.due_at;
    assert_eq!(look(&world), SendDecision::Go(invite.clone()));
    world.now = invite.useful_until;
    assert_eq!(look(&world), SendDecision::No(Reason::Lapsed));
    world.now = invite.due_at;
    world.session.start += TimeDelta::hours(1);
    assert_eq!(look(&world), SendDecision::No(Reason::Outdated));
    world.session.cancelled = true;
    assert_eq!(look(&world), SendDecision::No(Reason::Cancelled));
}
