//! Two spellings of one address or number are one: nobody is told anything because the source spells it otherwise.

use super::*;
use crate::notice::{Identity, NoticeKey};

/// What the source writes from now on.
fn respell(session: &mut Session, email: &str, number: &str) {
    let person = &mut session.participants[0];
    (person.email, person.sms_number) = (RawContact(email.to_owned()), RawContact(number.to_owned()));
}

fn by_text(mut world: World) -> World {
    world.person().auto_deliver = AutoDeliver::Sms;
    world.change(SEEN, |_| {});
    world
}

#[test]
fn another_spelling_tells_nothing_and_moves_nothing() {
    for (name, mut world) in [("by e-mail", World::new()), ("by text", by_text(World::new()))] {
        let before = world.said();
        let keys = |w: &World| -> Vec<NoticeKey> {
            let sent = w.decide().into_iter().filter_map(|d| if let Decision::Send(n) = d { Some(n.key) } else { None });
            sent.collect()
        };
        let planned = keys(&world);
        world.change("2026-11-24T09:01:00", |s| respell(s, " Trevor@EXAMPLE.com.", "+1 (404) 555-0133 x5"));
        assert_eq!((world.said(), keys(&world)), (before, planned), "{name}, untold");
        world.told(Occasion::Invite, None, State::Accepted);
        world.change("2026-11-24T12:00:00", |s| respell(s, "TREVOR@example.com", "1-404-555-0133"));
        assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"], "{name}, told");
    }
}

#[test]
fn the_message_goes_to_the_address_as_it_is_spelt_now() {
    let mut world = World::new();
    world.change("2026-11-24T09:01:00", |s| respell(s, "Trevor@Example.com", ""));
    assert_eq!(world.sent(Occasion::Invite, None).unwrap().address.expose(), "Trevor@example.com");
}

/// A store of before has rows whose keys are made of a spelling, and remembers a digest of it.
#[test]
fn what_was_told_before_an_upgrade_is_not_told_again() {
    let mut world = World::new();
    world.person().email = RawContact("Trevor@Example.com".to_owned());
    let mut told = world.sent(Occasion::Invite, None).unwrap();
    let identity = |address| Identity {
        practice: "practice",
        session: SessionId(1),
        participation: ParticipationId(2),
        occasion: Occasion::Invite,
        rule: None,
        start: at("2026-11-26T15:00:00"),
        address,
        content: "",
    };
    told.key = NoticeKey::of_spelling(&identity(&told.address));
    assert_ne!(told.key, NoticeKey::of(&identity(&told.address)));
    let held = |state| KnownNotice {
        notice: told.clone(),
        state,
        reason: None,
        changed_at: world.now,
        facts: None,
        doubted: false,
        undelivered: false,
    };
    let rows = [State::Waiting, State::Accepted].map(held);
    for spelling in ["Trevor@Example.com", "trevor@example.com"] {
        world.change("2026-11-24T10:00:00", |s| respell(s, spelling, ""));
        world.known().notices = vec![rows[0].clone()];
        assert_eq!(world.sent(Occasion::Invite, None).map(|n| n.key), Some(told.key), "{spelling}: it waits under its key");
        world.known().notices = vec![rows[1].clone()];
        assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"], "{spelling}: it was told");
    }
    world.change("2026-11-24T12:00:00", |s| s.start = at("2026-11-27T15:00:00"));
    assert!(world.said()[0].starts_with("rescheduled@"), "a change is told as ever: {:?}", world.said());
}

#[test]
fn a_suppressed_address_is_suppressed_in_every_spelling() {
    let mut world = World::new();
    let to = crate::contact::Address::Email(crate::contact::EmailAddress::parse("TREVOR@Example.com").unwrap());
    world.suppressed.0.insert(crate::suppression::suppression_key(&to), crate::suppression::Suppression::Bounced);
    assert_eq!(world.said()[0], "invite!bounced");
}
