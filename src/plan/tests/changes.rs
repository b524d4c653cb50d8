//! A session that changes: what is told of it, and when.

use super::*;

#[test]
fn a_new_start_is_told_and_arms_the_reminders_again() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world.now = at("2026-11-25T15:00:00");
    world.told(Occasion::Reminder, Some("24h"), State::Accepted);
    let old = world.sent(Occasion::Reminder, Some("24h")).unwrap();
    world.change("2026-11-25T15:00:00", |s| s.start = at("2026-11-30T15:00:00"));
    assert_eq!(world.said(), ["rescheduled@2026-11-25T15:02:00Z", "24h@2026-11-29T15:00:00Z", "1h@2026-11-30T14:00:00Z"]);
    assert_ne!(world.sent(Occasion::Reminder, Some("24h")).unwrap().key, old.key);
}

#[test]
fn an_invite_that_is_late_stands_in_for_the_reminder() {
    // The relay was down: the invite is still waiting when the reminder falls due.
    let mut world = World::new();
    world.now = at("2026-11-25T15:00:00");
    assert_eq!(world.said()[1], "24h!too_close");
}

#[test]
fn another_address_is_invited_anew() {
    let mut world = World::new();
    let first = world.sent(Occasion::Invite, None).unwrap();
    world.told(Occasion::Invite, None, State::Accepted);
    world.person().email = RawContact("trevor@example.org".to_owned());
    let second = world.sent(Occasion::Invite, None).unwrap();
    assert_ne!(first.key, second.key);
    assert_eq!(second.address.expose(), "trevor@example.org");
}

#[test]
fn a_change_is_told_to_whoever_was_told_and_to_nobody_else() {
    let mut world = World::new();
    world.change("2026-11-24T09:01:00", |s| s.start = at("2026-11-27T15:00:00"));
    assert_eq!(world.said()[..2], ["invite@2026-11-24T09:02:00Z", "rescheduled!never_invited"], "a pending invite takes the new facts");
    world.change("2026-11-24T09:01:30", |s| s.cancelled = true);
    assert_eq!(world.said(), ["invite!cancelled", "24h!cancelled", "1h!cancelled", "cancelled!never_invited"]);
}

#[test]
fn a_reschedule_settles_and_follows_the_session() {
    let (a, b, c) = ("2026-11-26T15:00:00", "2026-11-28T15:00:00", "2026-11-29T15:00:00");
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world.change("2026-11-24T12:00:00", |s| s.start = at(b));
    assert_eq!(world.said()[0], "rescheduled@2026-11-24T12:02:00Z");
    world.change("2026-11-24T12:01:00", |s| s.start = at(a));
    assert!(!world.said()[0].starts_with("rescheduled"), "A to B to A tells nothing");
    world.change("2026-11-24T12:01:00", |s| s.start = at(b));
    world.change("2026-11-24T12:01:30", |s| s.start = at(c));
    assert_eq!(world.said()[0], "rescheduled@2026-11-24T12:03:30Z");
    assert_eq!(world.sent(Occasion::Rescheduled, None).unwrap().start, at(c), "A to B to C tells C");
    world.told(Occasion::Rescheduled, None, State::Accepted);
    assert!(world.sent(Occasion::Rescheduled, None).is_none(), "told once");
}

#[test]
fn back_and_forth_is_told_each_time_and_never_twice_the_same() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    let mut keys = std::collections::HashSet::new();
    for (n, start) in ["2026-11-27T15:00:00", "2026-11-26T15:00:00", "2026-11-27T15:00:00", "2026-11-26T15:00:00"].into_iter().enumerate() {
        world.change(&format!("2026-11-24T1{n}:00:00"), |s| s.start = at(start));
        keys.insert(world.sent(Occasion::Rescheduled, None).unwrap().key);
        world.told(Occasion::Rescheduled, None, State::Accepted);
    }
    assert_eq!(keys.len(), 4);
}

#[test]
fn a_declined_time_that_moves_is_told_and_a_new_code_is_not() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world.change("2026-11-24T12:00:00", |s| s.participants[0].rsvp = Rsvp::Declined);
    assert_eq!(world.said(), ["24h!declined", "1h!declined"]);
    world.change("2026-11-24T12:00:00", |s| s.participants[0].code = ConnectCode::parse("111222333"));
    assert_eq!(world.said()[0], "updated!declined");
    world.change("2026-11-24T12:00:00", |s| s.start = at("2026-11-27T15:00:00"));
    assert_eq!(world.said()[0], "rescheduled@2026-11-24T12:02:00Z");
}

#[test]
fn what_is_updated() {
    type Row = (&'static str, fn(&mut Session), Option<&'static str>);
    let changes: Vec<Row> = vec![
        ("code", |s| s.participants[0].code = ConnectCode::parse("111222333"), Some("updated")),
        ("passkey", |s| s.participants[0].passkey = crate::contact::Passkey::parse("9bff60df").unwrap(), Some("updated")),
        ("zone", |s| s.participants[0].time_zone = "Pacific Standard Time".into(), Some("updated")),
        ("address", |s| s.participants[0].email = RawContact("trevor@example.org".into()), Some("invite")),
        ("channel", |s| s.participants[0].auto_deliver = AutoDeliver::Sms, Some("invite")),
        ("the other contact", |s| s.participants[0].sms_number = RawContact("2125550100".into()), None),
        ("name", |s| s.participants[0].name = PersonName::clean("T."), None),
        ("topic", |s| s.topic = "other".into(), None),
        ("a zone with the same clock", |s| s.participants[0].time_zone = "America/Detroit".into(), Some("updated")),
    ];
    for (name, change, want) in changes {
        let mut world = World::new();
        world.told(Occasion::Invite, None, State::Accepted);
        world.change("2026-11-24T12:00:00", change);
        let said = want.map(|w| format!("{w}@2026-11-24T12:02:00Z"));
        assert_eq!(world.said().into_iter().find(|s| !s.starts_with("24h") && !s.starts_with("1h")), said, "{name}");
    }
}

#[test]
fn a_cancellation_is_told_once_and_not_after_the_start() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world.change("2026-11-26T14:00:00", |s| s.cancelled = true);
    let notice = world.sent(Occasion::Cancelled, None).unwrap();
    assert_eq!((notice.due_at, notice.useful_until), (at("2026-11-26T14:02:00"), at("2026-11-26T15:05:00")));
    world.now = at("2026-11-26T15:05:00");
    assert_eq!(world.said().last().unwrap(), "cancelled!started");
    world.now = at("2026-11-26T14:02:00");
    world.told(Occasion::Cancelled, None, State::Accepted);
    assert!(world.sent(Occasion::Cancelled, None).is_none());
    // It takes place after all: that is told, and can be cancelled again.
    world.change("2026-11-26T14:10:00", |s| s.cancelled = false);
    assert_eq!(world.said()[0], "rescheduled@2026-11-26T14:12:00Z");
    world.told(Occasion::Rescheduled, None, State::Accepted);
    world.change("2026-11-26T14:20:00", |s| s.cancelled = true);
    assert_ne!(world.sent(Occasion::Cancelled, None).unwrap().key, notice.key);
    let mut late = World::new();
    late.told(Occasion::Invite, None, State::Accepted);
    late.change("2026-11-26T15:01:00", |s| s.cancelled = true);
    assert_eq!(late.said().last().unwrap(), "cancelled!started", "known only after the start");
}

#[test]
fn whoever_was_adopted_is_told_of_changes() {
    let mut world = World::new();
    world.known().adopted = true;
    let known = world.known.values().next().unwrap().clone();
    let notice =
        adopted_invite((&world.session, &world.session.participants[0], &known), &world.policy, &world.suppressed, world.now).unwrap();
    world.known().notices.push(KnownNotice {
        notice,
        state: State::Cancelled,
        reason: Some(Reason::Adopted),
        changed_at: at(SEEN),
        facts: None,
        doubted: false,
        undelivered: false,
    });
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"]);
    world.change("2026-11-24T12:00:00", |s| s.start = at("2026-11-27T15:00:00"));
    assert_eq!(world.said()[0], "rescheduled@2026-11-24T12:02:00Z");
}
