//! What was told last decides what is told next: to whom, where, of which start, and until when.

use super::*;
use crate::contact::Address;
use crate::notice::NoticeKey;

fn mail(to: &str) -> RawContact {
    RawContact(to.to_owned())
}

/// Told by e-mail for the 26th, 10:00 in New York; planned for texts, too, at night.
fn told() -> World {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world
}

/// To whom, of which start, due when, until when.
type Cancellation = (String, DateTime<Utc>, DateTime<Utc>, DateTime<Utc>);

fn cancellation(world: &World) -> Option<Cancellation> {
    world.sent(Occasion::Cancelled, None).map(|n| (n.address.expose().to_owned(), n.start, n.due_at, n.useful_until))
}

const TOLD: &str = "2026-11-26T15:00:00";

#[test]
fn a_cancellation_names_the_start_that_was_told() {
    let expected = |due| Some(("trevor@example.com".to_owned(), at(TOLD), at(due), at("2026-11-26T15:05:00")));
    let mut world = told();
    world.change("2026-11-24T16:00:00", |s| (s.start, s.cancelled) = (at("2026-12-03T20:00:00"), true));
    assert_eq!(cancellation(&world), expected("2026-11-24T16:02:00"), "moved and cancelled at once");
    let mut world = told();
    world.change("2026-11-24T16:00:00", |s| s.start = at("2026-12-03T20:00:00"));
    world.change("2026-11-25T16:00:00", |s| s.cancelled = true);
    assert_eq!(cancellation(&world), expected("2026-11-25T16:02:00"), "moved, not told, and cancelled");
    let mut world = told();
    world.change("2026-11-26T12:00:00", |s| (s.start, s.cancelled) = (at("2026-11-26T11:00:00"), true));
    assert_eq!(cancellation(&world), expected("2026-11-26T12:02:00"), "the start that it was moved to is over, the told one is not");
    let mut world = told();
    world.change("2026-11-26T15:01:00", |s| (s.start, s.cancelled) = (at("2026-12-03T20:00:00"), true));
    assert_eq!(cancellation(&world), None, "the told start is over, and the new one was never told");
}

#[test]
fn a_cancellation_goes_where_it_was_heard() {
    let old = "trevor@example.com";
    let new = |world: &mut World, when: &str| world.change(when, |s| s.participants[0].email = mail("trevor@example.org"));
    let off = |world: &mut World| world.change("2026-11-24T13:00:00", |s| s.cancelled = true);
    let goes_to = |world: &World| cancellation(world).map(|(to, ..)| to);

    let mut world = told();
    new(&mut world, "2026-11-24T12:59:00");
    off(&mut world);
    assert_eq!(goes_to(&world).as_deref(), Some(old), "the new address was told nothing yet");

    let mut world = told();
    new(&mut world, "2026-11-24T12:00:00");
    world.told(Occasion::Invite, None, State::Accepted);
    off(&mut world);
    assert_eq!(goes_to(&world).as_deref(), Some("trevor@example.org"), "the old address gets nothing more");
    world.told(Occasion::Cancelled, None, State::Accepted);
    world.person().email = mail(old);
    assert_eq!(goes_to(&world), None, "told once");

    let mut world = told();
    world.person().email = RawContact::default();
    off(&mut world);
    assert_eq!(goes_to(&world).as_deref(), Some(old), "there is no address any more");
    assert_eq!(world.said()[0], "24h!no_email");

    let mut world = told();
    suppress(&mut world, Suppression::OptedOut);
    off(&mut world);
    assert_eq!(world.said().last().unwrap(), "cancelled!opted_out");
    new(&mut world, "2026-11-24T13:00:00");
    assert_eq!(world.said().last().unwrap(), "cancelled!opted_out", "nor at another address, which was told nothing");

    let mut world = told();
    world.person().auto_deliver = AutoDeliver::Nobody;
    off(&mut world);
    assert_eq!(goes_to(&world), None, "the host tells them");
}

/// A text for 7:30 in New York; quiet hours from 21:00 to 8:00.
/// It takes place again, at the old address, and then not after all.
#[test]
fn a_cancellation_goes_to_the_address_that_expects_it() {
    let goes_to = |world: &World| cancellation(world).map(|(to, ..)| to);
    let mut world = told();
    world.change("2026-11-24T12:00:00", |s| s.participants[0].email = mail("trevor@example.org"));
    world.told(Occasion::Invite, None, State::Accepted);
    world.change("2026-11-24T13:00:00", |s| s.cancelled = true);
    world.told(Occasion::Cancelled, None, State::Accepted);
    let off_at = |cancelled, to: &'static str| move |s: &mut Session| (s.cancelled, s.participants[0].email) = (cancelled, mail(to));
    world.change("2026-11-24T14:00:00", off_at(false, "trevor@example.com"));
    world.told(Occasion::Rescheduled, None, State::Accepted);
    world.change("2026-11-24T16:00:00", off_at(true, "trevor@example.org"));
    assert_eq!(goes_to(&world).as_deref(), Some("trevor@example.com"));
}

fn told_by_text() -> World {
    let mut world = World::new();
    world.policy.quiet = Some(night());
    world.policy.rules = vec![before("1h", 1)];
    world.session.start = at("2026-11-26T12:30:00");
    world.person().auto_deliver = AutoDeliver::Sms;
    world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
    world.told(Occasion::Invite, None, State::Accepted);
    world
}

#[test]
fn a_correction_does_not_sleep_until_the_told_start() {
    type Row = (&'static str, fn(&mut Session), Occasion, &'static str);
    let rows: [Row; 4] = [
        ("moved to another week", |s| s.start = at("2026-12-03T12:30:00"), Occasion::Rescheduled, "2026-11-26T03:02:00"),
        ("moved, to be told by e-mail", |s| by_mail(s, "2026-12-03T12:30:00"), Occasion::Invite, "2026-11-26T03:02:00"),
        ("another address only", |s| by_mail(s, "2026-11-26T12:30:00"), Occasion::Invite, "2026-11-26T03:02:00"),
        ("moved and cancelled", |s| (s.start, s.cancelled) = (at("2026-12-03T12:30:00"), true), Occasion::Cancelled, "2026-11-26T03:02:00"),
    ];
    for (name, change, occasion, due) in rows {
        let mut world = told_by_text();
        world.change("2026-11-26T03:00:00", change);
        let notice = world.sent(occasion, None).unwrap_or_else(|| panic!("{name}: {:?}", world.said()));
        assert_eq!(notice.due_at, at(due), "{name}");
    }
    // There is time: it waits for the end of quiet hours.
    let mut world = told_by_text();
    world.session.start = at("2026-11-27T15:00:00");
    world.change("2026-11-25T03:00:00", |s| s.start = at("2026-12-03T12:30:00"));
    assert_eq!(world.sent(Occasion::Rescheduled, None).unwrap().due_at, at("2026-11-25T13:00:00"));
    // There is no time to settle.
    let mut world = told();
    world.change("2026-11-26T14:59:00", |s| s.start = at("2026-12-03T12:30:00"));
    assert_eq!(world.said()[0], "rescheduled@2026-11-26T14:59:00Z");
}

fn by_mail(session: &mut Session, start: &str) {
    session.start = at(start);
    session.participants[0].auto_deliver = AutoDeliver::Email;
}

#[test]
fn a_move_is_in_time_before_the_told_start_and_is_told_after_it_all_the_same() {
    let new = "2026-12-03T15:00:00";
    let mut world = told();
    world.change("2026-11-25T12:00:00", |s| s.start = at(new));
    let in_time = world.sent(Occasion::Rescheduled, None).unwrap();
    assert_eq!((in_time.start, in_time.useful_until), (at(new), at(TOLD)));
    world.now = at(TOLD);
    let late = world.sent(Occasion::Rescheduled, None).unwrap();
    assert_eq!((late.due_at, late.useful_until), (at(TOLD), at(new)));
    assert_ne!(late.key, in_time.key, "the one that was missed stays missed");
    // What a person decided about the first holds for the second.
    let row = |state, reason| {
        let (notice, changed_at) = (in_time.clone(), at("2026-11-25T12:01:00"));
        KnownNotice { notice, state, reason, changed_at, facts: None, doubted: false, undelivered: false }
    };
    for (held, goes) in [
        (row(State::Lapsed, Some(Reason::Operator)), false),
        (row(State::Cancelled, Some(Reason::Operator)), false),
        (row(State::Lapsed, Some(Reason::Lapsed)), true),
        (row(State::Waiting, None), true),
        (row(State::Accepted, None), false),
    ] {
        world.known().notices.truncate(1);
        world.known().notices.push(held.clone());
        assert_eq!(world.sent(Occasion::Rescheduled, None).is_some(), goes, "{:?} {:?}", held.state, held.reason);
    }
    // Known only after the told start: useful until the new one.
    let mut world = told();
    world.change("2026-11-26T15:12:00", |s| s.start = at(new));
    let notice = world.sent(Occasion::Rescheduled, None).unwrap();
    assert_eq!((notice.due_at, notice.useful_until), (at("2026-11-26T15:14:00"), at(new)));
    // Moved to an earlier time: that is the end.
    let mut world = told();
    world.change("2026-11-25T12:00:00", |s| s.start = at("2026-11-26T13:00:00"));
    assert_eq!(world.sent(Occasion::Rescheduled, None).unwrap().useful_until, at("2026-11-26T13:00:00"));
}

#[test]
fn addresses_that_take_turns_hear_what_changed_meanwhile() {
    let mut world = told();
    world.change("2026-11-24T12:00:00", |s| s.participants[0].email = mail("trevor@example.org"));
    world.told(Occasion::Invite, None, State::Accepted);
    world.change("2026-11-24T13:00:00", |s| s.cancelled = true);
    world.told(Occasion::Cancelled, None, State::Accepted);
    world.change("2026-11-24T14:00:00", |s| (s.cancelled, s.participants[0].email) = (false, mail("trevor@example.com")));
    assert_eq!(world.said()[0], "rescheduled@2026-11-24T14:02:00Z", "the last that they heard is that it is off");
}

/// On its way, and not past its point of no return: it may be called back.
#[test]
fn who_is_being_told_was_not_told() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Sending);
    world.change("2026-11-24T12:00:00", |s| s.cancelled = true);
    assert_eq!(world.said().last().unwrap(), "cancelled!never_invited");
    world.known().notices[0].doubted = true;
    assert_eq!(cancellation(&world).map(|(to, ..)| to).as_deref(), Some("trevor@example.com"));
}

#[test]
fn what_staff_told_counts_as_told() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Cancelled);
    world.known().notices[0].reason = Some(Reason::Told);
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"]);
    world.change("2026-11-24T12:00:00", |s| s.participants[0].code = ConnectCode::parse("111222333"));
    assert_eq!(world.said()[0], "updated@2026-11-24T12:02:00Z");
    world.change("2026-11-24T12:00:00", |s| s.cancelled = true);
    assert!(cancellation(&world).is_some());
    world.known().notices[0].reason = Some(Reason::Operator);
    assert_eq!(world.said().last().unwrap(), "cancelled!never_invited", "one that was only cancelled was not");
}

#[test]
fn an_adopted_address_that_is_corrected_is_invited() {
    let mut world = World::new();
    world.known().adopted = true;
    let known = world.known().clone();
    let person = world.session.participants[0].clone();
    let notice = adopted_invite((&world.session, &person, &known), &world.policy, &world.suppressed, world.now).unwrap();
    let (state, reason) = (State::Cancelled, Some(Reason::Adopted));
    world.known().notices.push(KnownNotice {
        notice,
        state,
        reason,
        changed_at: at(SEEN),
        facts: None,
        doubted: false,
        undelivered: false,
    });
    world.change("2026-11-24T12:00:00", |s| s.participants[0].code = ConnectCode::parse("111222333"));
    assert_eq!(world.said()[0], "updated@2026-11-24T12:02:00Z", "a changed code is told");
    world.change("2026-11-24T13:00:00", |s| s.participants[0].email = mail("right@example.com"));
    assert_eq!(world.said()[0], "invite@2026-11-24T13:02:00Z");
    world.change("2026-11-24T14:00:00", |s| s.cancelled = true);
    assert_eq!(cancellation(&world).map(|(to, ..)| to).as_deref(), Some("trevor@example.com"), "where they were announced");
}

/// The reminder carries the code as well: it goes, unless it follows an announcement that somebody got or will get.
#[test]
fn too_close_to_what_tells_them() {
    let held = |reason| (State::Held, Some(reason));
    for ((state, reason), close) in [
        ((State::Waiting, None), true),
        ((State::Claimed, None), true),
        ((State::Sending, None), true),
        ((State::Accepted, None), true),
        ((State::Unknown, None), true),
        ((State::Rejected, None), false),
        ((State::Cancelled, Some(Reason::Operator)), false),
        ((State::Cancelled, Some(Reason::Told)), false),
        (held(Reason::Operator), false),
        (held(Reason::Restored), false),
        (held(Reason::Leak), false),
        (held(Reason::Template), false),
        // What waits for a later snapshot goes with it.
        (held(Reason::Absent), true),
        ((State::Suppressed, Some(Reason::Bounced)), true),
    ] {
        let mut world = World::new();
        world.now = at("2026-11-26T13:40:00");
        world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
        world.told(Occasion::Invite, None, state);
        world.known().notices[0].reason = reason;
        let expected = if close { "1h!too_close" } else { "1h@2026-11-26T14:00:00Z" };
        assert_eq!(world.said().last().unwrap(), expected, "{state:?} {reason:?}");
    }
}

#[test]
fn a_decline_is_an_answer_to_the_start_of_its_time() {
    use crate::known::RsvpOverride;
    let declines = |s: &mut Session| s.participants[0].rsvp = Rsvp::Declined;
    let moves = |s: &mut Session| s.start = at("2026-11-30T15:00:00");
    let reminders = |world: &World| world.said().into_iter().filter(|s| s.contains('h')).filter(|s| s.contains("!declined")).count();
    let mut world = told();
    world.change("2026-11-24T12:00:00", declines);
    assert_eq!(reminders(&world), 2);
    world.change("2026-11-24T13:00:00", moves);
    assert_eq!((reminders(&world), world.said()[0].as_str()), (0, "rescheduled@2026-11-24T13:02:00Z"), "declined, and moved");
    world.change("2026-11-24T14:00:00", |s| s.start = at(TOLD));
    assert_eq!(reminders(&world), 2, "and moved back");
    let mut world = told();
    world.change("2026-11-24T12:00:00", |s| (declines(s), moves(s)).1);
    assert_eq!(reminders(&world), 0, "both at once: what was declined is the old time");
    let mut world = told();
    world.change("2026-11-24T12:00:00", moves);
    world.change("2026-11-24T13:00:00", declines);
    assert_eq!(reminders(&world), 2, "moved, and declined");
    // By text.
    let mut world = told();
    world.known().rsvp = Some(RsvpOverride { says: Rsvp::Declined, over: Rsvp::Unknown });
    world.known().answered_start = Some(at(TOLD));
    assert_eq!(reminders(&world), 2);
    world.change("2026-11-24T13:00:00", moves);
    assert_eq!(reminders(&world), 0);
}

#[test]
fn who_connected_to_the_old_time_is_reminded_of_the_new_one() {
    let mut world = told();
    world.change("2026-11-26T14:58:00", |s| s.participants[0].connected_at = Some(at("2026-11-26T14:57:50")));
    world.change("2026-11-26T15:12:00", |s| s.start = at("2026-12-03T15:00:00"));
    assert_eq!(world.said(), ["rescheduled@2026-11-26T15:14:00Z", "24h@2026-12-02T15:00:00Z", "1h@2026-12-03T14:00:00Z"]);
    // By an hour and a half: that attempt was of the old time, too.
    world.change("2026-11-26T15:12:00", |s| s.start = at("2026-11-26T16:50:00"));
    assert_eq!(world.said()[2], "1h@2026-11-26T15:50:00Z");
}

/// What waits to be told is held or ended for the same reason as all else.
#[test]
fn a_correction_that_waits_is_refused_for_the_same_reason() {
    let mut world = told();
    world.change("2026-11-24T12:00:00", |s| s.start = at("2026-11-30T15:00:00"));
    world.told(Occasion::Rescheduled, None, State::Waiting);
    world.person().ambiguous = Some("x".into());
    assert!(world.said().contains(&"rescheduled!ambiguous".to_owned()), "{:?}", world.said());
}

/// The clock was ahead when they were told of the move, and is set back to just the moment in which the invite went.
#[test]
fn what_a_clock_that_was_ahead_noted_comes_after_what_this_one_noted() {
    let now = at("2026-11-24T09:02:00");
    let mut world = told();
    let invite = world.known().notices[0].clone();
    let later = |minutes, key| {
        let notice = Notice {
            occasion: Occasion::Rescheduled,
            key: NoticeKey([key; 16]),
            due_at: now + TimeDelta::minutes(minutes),
            ..invite.notice.clone()
        };
        KnownNotice { notice, changed_at: now + TimeDelta::minutes(minutes), ..invite.clone() }
    };
    let (first, second) = (later(2, 1), later(4, 2));
    let known = world.known();
    known.notices = vec![second, KnownNotice { changed_at: now, ..invite.clone() }, first];
    by_this_clock(known, now);
    let last = known.notices.iter().max_by_key(|n| (n.heard_at(), n.notice.due_at)).unwrap();
    assert_eq!(last.notice.key, NoticeKey([2; 16]));
    assert!(known.notices.iter().all(|n| n.changed_at <= now));
}

/// Staff may say of an older message that it was told after a newer one went.
#[test]
fn what_staff_say_was_told_came_when_it_was_due() {
    let mut world = told();
    world.change("2026-11-24T16:00:00", |s| s.start = at("2026-12-03T20:00:00"));
    world.told(Occasion::Rescheduled, None, State::Accepted);
    let invite = &mut world.known().notices[0];
    (invite.state, invite.reason, invite.changed_at) = (State::Cancelled, Some(Reason::Told), at("2026-11-25T12:00:00"));
    world.change("2026-11-25T16:00:00", |s| s.cancelled = true);
    assert_eq!(cancellation(&world).map(|(_, start, ..)| start), Some(at("2026-12-03T20:00:00")));
}

/// A copy at another address said another code: whoever reads both knows the wrong one last.
#[test]
fn what_was_said_last_elsewhere_is_corrected() {
    for (code, said) in [("111222333", "updated@"), ("", "24h@")] {
        let mut world = told();
        let here = world.session.participants[0].code;
        if !code.is_empty() {
            world.change("2026-11-24T12:00:00", |s| s.participants[0].code = ConnectCode::parse(code));
        }
        let mut copy = world.known().notices[0].clone();
        copy.notice.address = Address::restore(Channel::Email, "mother@example.org");
        copy.notice.key = NoticeKey([9; 16]);
        copy.changed_at = at("2026-11-24T12:01:00");
        copy.facts = Some(facts(&world.session, &world.session.participants[0], &world.policy));
        world.known().notices.push(copy);
        world.change("2026-11-24T13:00:00", |s| s.participants[0].code = here);
        assert!(world.said()[0].starts_with(said), "{code}: {:?}", world.said());
    }
}

/// An earlier change was told: that a later one is not, because they declined, is written down all the same.
#[test]
fn a_later_change_that_is_not_told_is_an_omission() {
    let mut world = told();
    world.change("2026-11-24T12:00:00", |s| s.participants[0].code = ConnectCode::parse("111222333"));
    world.told(Occasion::Updated, None, State::Accepted);
    assert!(!world.said().iter().any(|said| said.starts_with("updated")), "{:?}", world.said());
    world.change("2026-11-24T13:00:00", |s| s.participants[0].rsvp = Rsvp::Declined);
    world.change("2026-11-24T13:10:00", |s| s.participants[0].code = ConnectCode::parse("444555666"));
    assert_eq!(world.said()[0], "updated!declined", "{:?}", world.said());
}
