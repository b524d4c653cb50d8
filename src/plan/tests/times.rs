//! When reminders fall due: across clock changes, in quiet hours, and after an outage.

use super::*;

#[test]
fn elapsed_and_local_clock_differ_across_a_clock_change() {
    // New York falls back on 2026-11-01: the day before at the same clock time is 25 hours before.
    let mut world = World::new();
    world.session.start = at("2026-11-01T15:00:00");
    world.now = at("2026-10-20T12:00:00");
    world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
    world.policy.rules = vec![before("24h", 24), clock_rule("day-before", 1, 10, 0), clock_rule("morning", 0, 7, 30)];
    assert_eq!(world.said()[1..], ["24h@2026-10-31T15:00:00Z", "day-before@2026-10-31T14:00:00Z", "morning@2026-11-01T12:30:00Z"]);
    // And springs forward on 2026-03-08: 02:30 does not exist, and moves forward by an hour; 01:30 in autumn is the earlier one.
    world.session.start = at("2026-03-08T15:00:00");
    world.now = at("2026-03-01T12:00:00");
    world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
    world.policy.rules = vec![clock_rule("gap", 0, 2, 30)];
    assert_eq!(world.said()[1..], ["gap@2026-03-08T07:30:00Z"]);
    world.session.start = at("2026-11-01T15:00:00");
    world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
    world.policy.rules = vec![clock_rule("overlap", 0, 1, 30)];
    assert_eq!(world.said()[1..], ["overlap@2026-11-01T05:30:00Z"]);
}

#[test]
fn the_local_clock_is_the_participants() {
    let mut world = World::new();
    world.policy.rules = vec![clock_rule("evening-before", 1, 18, 0)];
    for (zone, due) in [
        ("Eastern Standard Time", "2026-11-25T23:00:00Z"),
        ("Nepal Standard Time", "2026-11-25T12:15:00Z"),
        ("Line Islands Standard Time", "2026-11-26T04:00:00Z"),
        ("Samoa Standard Time", "2026-11-26T05:00:00Z"),
        ("Hawaiian Standard Time", "2026-11-26T04:00:00Z"),
    ] {
        world.person().time_zone = zone.to_owned();
        assert_eq!(world.said()[1], format!("evening-before@{due}"), "{zone}");
    }
}

#[test]
fn a_local_clock_rule_after_the_start_is_not_sent() {
    let mut world = World::new();
    world.policy.rules = vec![clock_rule("evening", 0, 18, 0)];
    assert_eq!(world.said()[1], "evening!started");
}

#[test]
fn quiet_hours_move_reminders_and_invites() {
    // (start, first seen and now, invite, 1h); the clock in New York is five hours behind UTC.
    for (name, start, seen, invite, reminder) in [
        (
            "a reminder at night waits for the morning",
            "2026-11-26T13:30:00",
            SEEN,
            "invite@2026-11-24T13:00:00Z",
            "1h@2026-11-26T13:00:00Z",
        ),
        ("or goes the evening before", "2026-11-26T12:00:00", SEEN, "invite@2026-11-24T13:00:00Z", "1h@2026-11-26T01:52:55Z"),
        (
            "an invite by day is not moved",
            "2026-11-26T15:00:00",
            "2026-11-24T15:00:00",
            "invite@2026-11-24T15:02:00Z",
            "1h@2026-11-26T14:00:00Z",
        ),
        ("nor one that would come too late", "2026-11-24T13:10:00", "2026-11-24T10:00:00", "invite@2026-11-24T10:02:00Z", "1h!quiet_hours"),
        ("21:00 is quiet", "2026-11-26T15:00:00", "2026-11-25T01:58:00", "invite@2026-11-25T13:00:00Z", "1h@2026-11-26T14:00:00Z"),
        ("20:59 is not", "2026-11-26T15:00:00", "2026-11-25T01:57:00", "invite@2026-11-25T01:59:00Z", "1h@2026-11-26T14:00:00Z"),
    ] {
        let mut world = World::new();
        world.policy.quiet = Some(night());
        world.policy.rules = vec![before("1h", 1)];
        world.session.start = at(start);
        world.now = at(seen);
        world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
        assert_eq!(world.said(), [invite, reminder], "{name}");
    }
}

#[test]
fn quiet_hours_reign_at_the_moment_of_sending_too() {
    let mut world = World::new();
    world.policy.quiet = Some(night());
    world.policy.rules = vec![before("24h", 24)];
    world.told(Occasion::Invite, None, State::Accepted);
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z"]);
    // The relay was down until 22:00 in New York: not now, but in the morning.
    world.now = at("2026-11-26T03:00:00");
    assert_eq!(world.said(), ["24h@2026-11-26T13:00:00Z"]);
    // By day it goes at once, and shows the time that it was due.
    world.now = at("2026-11-25T18:00:00");
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z"]);
}

#[test]
fn an_invite_that_waited_through_the_night_shows_the_morning() {
    let mut world = World::new();
    world.policy.quiet = Some(night());
    assert_eq!(world.said()[0], "invite@2026-11-24T13:00:00Z");
    world.now = at("2026-11-24T14:00:00");
    assert_eq!(world.said()[0], "invite@2026-11-24T13:00:00Z");
}

#[test]
fn after_downtime_only_the_rule_closest_to_the_start_is_sent() {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world.now = at("2026-11-26T14:05:00");
    assert_eq!(world.said(), ["24h!superseded", "1h@2026-11-26T14:00:00Z"]);
    // One that went is not superseded by one that comes, and nothing is said of it twice.
    world.now = at("2026-11-25T15:00:00");
    world.told(Occasion::Reminder, Some("24h"), State::Accepted);
    world.now = at("2026-11-26T14:05:00");
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"]);
}

#[test]
fn rules_that_fall_together_send_one_message() {
    let mut world = World::new();
    world.policy.rules = vec![before("24h", 24), clock_rule("day-before", 1, 10, 0)];
    world.told(Occasion::Invite, None, State::Accepted);
    world.now = at("2026-11-25T15:00:00");
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "day-before!superseded"]);
}
