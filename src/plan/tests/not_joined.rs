//! The nudge of whoever has not connected: when, and every reason against it.

use super::*;

/// What is changed, and what is then said of the nudge.
type Row = (&'static str, fn(&mut World), &'static str);

/// Five minutes after the start, until a quarter past.
const DUE: &str = "not_joined@2026-11-26T15:05:00Z";

/// The invite was told in time; the session has started.
fn running() -> World {
    let mut world = World::new();
    world.policy.not_joined = Some(NotJoined { after: TimeDelta::minutes(5), until: None });
    world.now = at("2026-11-24T09:02:00");
    world.told(Occasion::Invite, None, State::Accepted);
    world.now = at("2026-11-26T15:04:00");
    world
}

fn nudge(world: &World) -> String {
    world.said().into_iter().rfind(|said| said.starts_with("not_joined") || said.starts_with("all")).unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn it_is_planned_with_the_invite_and_off_by_default() {
    let mut world = World::new();
    assert_eq!(nudge(&world), "nothing");
    world.policy.not_joined = Some(NotJoined { after: TimeDelta::minutes(5), until: None });
    assert_eq!(world.said(), ["invite@2026-11-24T09:02:00Z", "24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z", DUE]);
    let with_and_without = [running().policy.digest(), policy().digest()];
    assert_ne!(with_and_without[0], with_and_without[1], "another policy: everything is planned again");
}

#[test]
fn it_is_of_use_until_the_planned_end() {
    for (until, duration, end) in [
        (None, None, "2026-11-26T15:15:00"),
        (None, Some(50), "2026-11-26T15:50:00"),
        (Some(10), Some(50), "2026-11-26T15:10:00"),
        (None, Some(60 * 24), "2026-11-26T19:00:00"),
    ] {
        let mut world = running();
        world.policy.not_joined = Some(NotJoined { after: TimeDelta::minutes(5), until: until.map(TimeDelta::minutes) });
        world.session.duration = duration.map(TimeDelta::minutes);
        assert_eq!(world.sent(Occasion::NotJoined, None).unwrap().useful_until, at(end), "{until:?} {duration:?}");
        world.now = at(end);
        assert_eq!(nudge(&world), "not_joined!started");
        world.now -= TimeDelta::seconds(1);
        assert_eq!(nudge(&world), DUE, "late, and still of use");
    }
}

#[test]
fn every_reason_against_it_has_its_row() {
    let rows: Vec<Row> = vec![
        ("told, and not there", |_| {}, DUE),
        ("told, doubtful", |w| w.known().notices[0].state = State::Unknown, DUE),
        ("N", |w| w.person().auto_deliver = AutoDeliver::Nobody, "not_joined!host_delivers"),
        ("ambiguous", |w| w.person().ambiguous = Some("x".into()), "not_joined!ambiguous"),
        ("the host", |w| w.person().role = Role::Host, "not_joined!hosts_off"),
        ("no address", |w| w.person().email = RawContact::default(), "not_joined!no_email"),
        ("opt-out", |w| suppress(w, Suppression::OptedOut), "not_joined!opted_out"),
        ("no code", |w| w.person().code = None, "not_joined!no_connect_code"),
        ("cancelled", |w| w.session.cancelled = true, "not_joined!cancelled"),
        ("gone", |w| w.session.presence = Presence::Gone, "not_joined!cancelled"),
        ("declined", |w| w.person().rsvp = Rsvp::Declined, "not_joined!declined"),
        ("connected", |w| w.person().connected_at = Some(at("2026-11-26T14:58:00")), "not_joined!already_connected"),
        ("the pass ends before", |w| w.person().expires_at = Some(at("2026-11-26T15:05:00")), "not_joined!pass_expired"),
        ("absent", |w| w.session.presence = Presence::Absent, "all!absent"),
        ("this person is absent", |w| w.person().presence = Presence::Absent, "all!absent"),
        ("guarded", |w| w.session.presence = Presence::Guarded, "all!guard"),
        ("unreadable", |w| w.session.presence = Presence::Unreadable, "all!quarantined"),
        ("never told", |w| w.known().notices.clear(), "not_joined!never_invited"),
        ("refused", |w| w.known().notices[0].state = State::Rejected, "not_joined!never_invited"),
        ("told at another address", |w| w.person().email = RawContact("t@example.org".into()), "not_joined!never_invited"),
        ("told another start", |w| w.session.start = at("2026-11-26T15:01:00"), "not_joined!never_invited"),
        ("told that it is cancelled", |w| w.known().notices[0].notice.occasion = Occasion::Cancelled, "not_joined!never_invited"),
        (
            "announced by somebody else",
            |w| (w.known().notices[0].state, w.known().notices[0].reason) = (State::Cancelled, Some(Reason::Adopted)),
            DUE,
        ),
        ("quiet hours do not apply", |w| w.policy.quiet = Some(QuietHours { from: NaiveTime::MIN, ..night() }), DUE),
    ];
    for (name, change, want) in rows {
        let mut world = running();
        change(&mut world);
        assert_eq!(nudge(&world), want, "{name}");
    }
}

#[test]
fn whoever_was_told_after_the_start_has_time_to_join() {
    let mut world = World::new();
    world.policy.not_joined = Some(NotJoined { after: TimeDelta::minutes(5), until: None });
    world.session.start = at("2026-11-24T08:59:47");
    world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
    assert_eq!(nudge(&world), "not_joined@2026-11-24T09:05:00Z");
    world.told(Occasion::Invite, None, State::Accepted);
    world.known().notices[0].changed_at = at("2026-11-24T09:03:00");
    assert_eq!(nudge(&world), "not_joined@2026-11-24T09:08:00Z");
}

#[test]
fn once_told_it_is_told_no_more() {
    let mut world = running();
    world.now = at("2026-11-26T15:05:00");
    world.told(Occasion::NotJoined, None, State::Accepted);
    let decisions = world.decide();
    let decisions: Vec<&Decision> = decisions.iter().collect();
    assert_eq!(diff::diff(&decisions, &world.known().notices), []);
    world.person().connected_at = Some(at("2026-11-26T15:06:00"));
    assert_eq!(nudge(&world), "nothing", "what was told is not omitted, whatever has happened since");
}
