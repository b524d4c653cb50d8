//! The reason table, row by row; the two kinds of rules; quiet hours; catching up. Every expectation is written out.

use std::sync::Arc;

use chrono::{NaiveTime, TimeDelta};

use super::quiet::QuietHours;
use super::rule::{Rule, When};
use super::*;
use crate::contact::{Channel, ConnectCode, PersonName};
use crate::entry::State;
use crate::known::KnownNotice;
use crate::notice::{Notice, Occasion};
use crate::session::{AutoDeliver, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, SessionId, SourceRecord, Standing};
use crate::suppression::Suppression;
use crate::zone::{Settings, Zones};

mod asked;
mod corrections;
mod not_joined;
mod spelling;
mod words;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| format!("{text}Z").parse().expect(text))
}

fn zones() -> Arc<Zones> {
    use std::sync::OnceLock;
    static ZONES: OnceLock<Arc<Zones>> = OnceLock::new();
    Arc::clone(ZONES.get_or_init(|| Arc::new(Zones::load(&Settings::default()).expect("the shipped data"))))
}

fn before(name: &str, hours: i64) -> Rule {
    Rule { name: name.to_owned(), when: When::Before(TimeDelta::hours(hours)) }
}

fn clock_rule(name: &str, days_before: u32, hour: u32, minute: u32) -> Rule {
    Rule { name: name.to_owned(), when: When::LocalClock { days_before, at: NaiveTime::from_hms_opt(hour, minute, 0).unwrap() } }
}

pub(super) fn policy() -> Policy {
    Policy {
        practice: "practice".to_owned(),
        hosts: true,
        region: "US".to_owned(),
        rules: vec![before("24h", 24), before("1h", 1)],
        settle: TimeDelta::minutes(2),
        min_gap: TimeDelta::minutes(30),
        quiet: None,
        frequency: frequency::Frequency::default(),
        adopt_invites: false,
        not_joined: None,
        max_stale: TimeDelta::hours(6),
        overrides: Overrides::default(),
        zones: zones(),
    }
}

fn night() -> QuietHours {
    let hour = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap();
    QuietHours { from: hour(21), to: hour(8), channels: vec![Channel::Email, Channel::Sms], min_lead: TimeDelta::minutes(15) }
}

fn person() -> Participant {
    Participant {
        id: ParticipationId(2),
        role: Role::Participant,
        path: "[0].Participants[1]".to_owned(),
        name: PersonName::clean("Trevor"),
        auto_deliver: AutoDeliver::Email,
        email: RawContact("trevor@example.com".to_owned()),
        sms_number: RawContact("4045550133".to_owned()),
        time_zone: "Eastern Standard Time".to_owned(),
        locale: None,
        external_id: "EMR1".to_owned(),
        code: ConnectCode::parse("378174671"),
        passkey: None,
        connected_at: None,
        expires_at: None,
        has_account: false,
        rsvp: Rsvp::Unknown,
        rsvp_unknown: false,
        deposit: None,
        ambiguous: None,
        presence: Presence::Listed,
    }
}

/// Starts on 2026-11-26 at 15:00 UTC, 10:00 in New York.
fn session() -> Session {
    Session {
        id: SessionId(1),
        start: at("2026-11-26T15:00:00"),
        cancelled: false,
        standing: Standing::Live,
        presence: Presence::Listed,
        code: None,
        duration: None,
        topic: String::new(),
        participants: vec![person()],
        faults: Vec::new(),
        unread: Vec::new(),
        twice: String::new(),
        held_until: None,
        record: SourceRecord::default(),
    }
}

/// First seen on the morning of the 24th.
const SEEN: &str = "2026-11-24T09:00:00";

struct World {
    session: Session,
    policy: Policy,
    suppressed: Suppressions,
    known: KnownMap,
    now: DateTime<Utc>,
}

impl World {
    fn new() -> Self {
        let session = session();
        let known = observe(&session, KnownMap::new(), &policy(), false, at(SEEN));
        Self { session, policy: policy(), suppressed: Suppressions::default(), known, now: at(SEEN) }
    }

    fn person(&mut self) -> &mut Participant {
        &mut self.session.participants[0]
    }

    fn known(&mut self) -> &mut crate::known::Known {
        self.known.values_mut().next().unwrap()
    }

    fn decide(&self) -> Vec<Decision> {
        plan_session(&self.session, &self.known, &self.policy, &self.suppressed, self.now).into_decisions().collect()
    }

    /// The session changes; what that changes becomes known now.
    fn change(&mut self, now: &str, change: impl FnOnce(&mut Session)) {
        change(&mut self.session);
        self.now = at(now);
        self.known = observe(&self.session, std::mem::take(&mut self.known), &self.policy, false, self.now);
    }

    /// Plans, and takes what was decided for handed over at its due time.
    fn told(&mut self, occasion: Occasion, rule: Option<&str>, state: State) {
        let notice = self.sent(occasion, rule).expect("was to be sent");
        let changed_at = notice.due_at;
        let facts = facts(&self.session, &self.session.participants[0], &self.policy);
        self.known().notices.push(KnownNotice {
            notice,
            state,
            reason: None,
            changed_at,
            facts: Some(facts),
            doubted: false,
            undelivered: false,
        });
    }

    fn sent(&self, occasion: Occasion, rule: Option<&str>) -> Option<Notice> {
        self.decide().into_iter().find_map(|d| match d {
            Decision::Send(n) if n.occasion == occasion && n.rule.as_deref() == rule => Some(n),
            _ => None,
        })
    }

    /// `invite@2026-11-24T09:02:00Z`, `24h!booked_late`, one for each decision.
    fn said(&self) -> Vec<String> {
        self.decide()
            .iter()
            .map(|d| match d {
                Decision::Send(n) => format!("{}@{}", n.rule.as_deref().unwrap_or(n.occasion.as_str()), crate::zone::rfc3339(n.due_at)),
                Decision::Omit(o) => {
                    format!("{}!{}", o.rule.as_deref().unwrap_or_else(|| o.occasion.map_or("all", Occasion::as_str)), o.reason)
                }
            })
            .collect()
    }
}

#[test]
fn a_session_booked_in_time_gets_an_invite_and_its_reminders() {
    assert_eq!(World::new().said(), ["invite@2026-11-24T09:02:00Z", "24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"]);
}

/// What is changed, and what is then said of invite, 24h and 1h.
type Row = (&'static str, fn(&mut World), [&'static str; 3]);

#[test]
fn every_reason_has_its_row() {
    let rows: Vec<Row> = vec![
        ("N", |w| w.person().auto_deliver = AutoDeliver::Nobody, ["invite!host_delivers", "24h!host_delivers", "1h!host_delivers"]),
        ("ambiguous", |w| w.person().ambiguous = Some("x".into()), ["invite!ambiguous", "24h!ambiguous", "1h!ambiguous"]),
        (
            "hosts off",
            |w| {
                w.person().role = Role::Host;
                w.policy.hosts = false;
            },
            ["invite!hosts_off", "24h!hosts_off", "1h!hosts_off"],
        ),
        ("no address", |w| w.person().email = RawContact(" ".into()), ["invite!no_email", "24h!no_email", "1h!no_email"]),
        (
            "bad address",
            |w| w.person().email = RawContact("trevor".into()),
            ["invite!invalid_email", "24h!invalid_email", "1h!invalid_email"],
        ),
        (
            "no number",
            |w| {
                w.person().auto_deliver = AutoDeliver::Sms;
                w.person().sms_number = RawContact::default();
            },
            ["invite!no_number", "24h!no_number", "1h!no_number"],
        ),
        (
            "bad number",
            |w| {
                w.person().auto_deliver = AutoDeliver::Sms;
                w.person().sms_number = RawContact("911".into());
            },
            ["invite!invalid_number", "24h!invalid_number", "1h!invalid_number"],
        ),
        (
            "override",
            |w| {
                let wish = policy::Override { external_id: Some("EMR1".into()), do_not_contact: true, ..policy::Override::default() };
                w.policy.overrides = Overrides::new(vec![wish], "US");
            },
            ["invite!do_not_contact", "24h!do_not_contact", "1h!do_not_contact"],
        ),
        ("opt-out", |w| suppress(w, Suppression::OptedOut), ["invite!opted_out", "24h!opted_out", "1h!opted_out"]),
        ("bounce", |w| suppress(w, Suppression::Bounced), ["invite!bounced", "24h!bounced", "1h!bounced"]),
        ("no code", |w| w.person().code = None, ["invite!no_connect_code", "24h!no_connect_code", "1h!no_connect_code"]),
        ("declined", |w| w.person().rsvp = Rsvp::Declined, ["invite@2026-11-24T09:02:00Z", "24h!declined", "1h!declined"]),
        (
            "connected",
            |w| w.person().connected_at = Some(at("2026-11-26T13:00:00")),
            ["invite@2026-11-24T09:02:00Z", "24h!already_connected", "1h!already_connected"],
        ),
        (
            "pass ends before the last reminder",
            |w| w.person().expires_at = Some(at("2026-11-26T14:00:00")),
            ["invite@2026-11-24T09:02:00Z", "24h@2026-11-25T15:00:00Z", "1h!pass_expired"],
        ),
        ("over", |w| w.now = at("2026-11-26T15:00:00"), ["invite!started", "24h!started", "1h!started"]),
        (
            "booked late",
            |w| {
                w.now = at("2026-11-25T15:00:00");
                w.known = observe(&w.session, KnownMap::new(), &w.policy, false, w.now);
            },
            ["invite@2026-11-25T15:02:00Z", "24h!booked_late", "1h@2026-11-26T14:00:00Z"],
        ),
        (
            "too close",
            |w| {
                w.now = at("2026-11-26T13:40:00");
                w.known = observe(&w.session, KnownMap::new(), &w.policy, false, w.now);
            },
            ["invite@2026-11-26T13:42:00Z", "24h!booked_late", "1h!too_close"],
        ),
        ("adopted", |w| w.known().adopted = true, ["invite!adopted", "24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"]),
        (
            "adopted and invited",
            |w| {
                w.known().adopted = true;
                w.policy.adopt_invites = true;
            },
            ["invite@2026-11-24T09:02:00Z", "24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"],
        ),
    ];
    check(rows);
}

#[test]
fn the_edges_of_connected_and_expired() {
    check(vec![
        (
            "connected after the start",
            |w| w.person().connected_at = Some(at("2026-11-26T15:09:00")),
            ["invite@2026-11-24T09:02:00Z", "24h!already_connected", "1h!already_connected"],
        ),
        (
            "tried long before",
            |w| w.person().connected_at = Some(at("2026-11-26T12:59:59")),
            ["invite@2026-11-24T09:02:00Z", "24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"],
        ),
        (
            "pass ends before the invite",
            |w| w.person().expires_at = Some(at("2026-11-24T09:02:00")),
            ["invite!pass_expired", "24h!pass_expired", "1h!pass_expired"],
        ),
    ]);
}

fn check(rows: Vec<Row>) {
    for (name, change, want) in rows {
        let mut world = World::new();
        change(&mut world);
        assert_eq!(world.said(), want, "{name}");
    }
}

fn suppress(world: &mut World, why: Suppression) {
    let to = crate::contact::Address::Email(crate::contact::EmailAddress::parse("trevor@example.com").unwrap());
    world.suppressed.0.insert(crate::suppression::suppression_key(&to), why);
}

#[test]
fn the_first_reason_of_the_table_wins() {
    let mut world = World::new();
    world.person().time_zone = "Nowhere".to_owned();
    world.person().auto_deliver = AutoDeliver::Nobody;
    world.session.cancelled = true;
    assert_eq!(world.said(), ["all!quarantined"]);
    world.person().time_zone = "Eastern Standard Time".to_owned();
    assert_eq!(world.said()[0], "invite!host_delivers");
    world.person().auto_deliver = AutoDeliver::Email;
    world.person().code = None;
    assert_eq!(world.said()[0], "invite!no_connect_code");
}

#[test]
fn a_quarantined_participant_names_the_path_of_the_field() {
    let mut world = World::new();
    world.person().time_zone = "EST".to_owned();
    let Decision::Omit(omission) = &world.decide()[0] else { panic!("omitted") };
    assert!(omission.detail.as_deref().unwrap().starts_with("[0].Participants[1].ParticipantTimeZoneWindowsId: "));
    assert_eq!(omission.occasion, None);
}

#[test]
fn meet_now_is_invited_at_once_and_never_reminded() {
    let mut world = World::new();
    world.session.start = at("2026-11-24T08:59:47");
    world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
    assert_eq!(world.said(), ["invite@2026-11-24T09:00:00Z", "24h!meet_now", "1h!meet_now"]);
    assert_eq!(world.sent(Occasion::Invite, None).unwrap().useful_until, at("2026-11-24T09:29:47"));
    world.now = at("2026-11-24T09:29:47");
    assert_eq!(world.said()[0], "invite!started");
}

/// First seen at 09:00.
#[test]
fn meet_now_is_what_begins_when_it_is_made() {
    for (start, is) in [
        ("2026-11-24T09:00:30", true),
        ("2026-11-24T09:05:00", false),
        ("2026-11-24T09:04:59", true),
        ("2026-11-24T09:05:01", false),
        ("2026-11-24T09:00:00", true),
        ("2026-11-24T08:30:00", true),
        ("2026-11-24T08:29:00", false),
        ("2026-11-27T15:00:30", false),
    ] {
        let mut world = World::new();
        world.session.start = at(start);
        world.known = observe(&world.session, KnownMap::new(), &world.policy, false, world.now);
        let session = world.session.clone();
        assert_eq!(is_meet_now(&session, world.known()), is, "{start}");
    }
    // It was booked, and moves to a time with seconds that is near: no Meet Now.
    let mut world = World::new();
    world.change("2026-11-25T09:00:00", |s| s.start = at("2026-11-25T09:01:30"));
    assert!(!is_meet_now(&world.session.clone(), world.known()));
}

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

mod diffs {
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
}

/// Those of one session never keep each other back; another session's do, of the same person, and only texts. Off, unless the practice wants it.
#[test]
fn a_number_gets_no_flood_of_reminders() {
    use crate::known::Reminded;
    let now = at("2026-11-24T12:00:00");
    let limited = || Policy { frequency: frequency::Frequency { per_day: 1, per_week: 3 }, ..policy() };
    let trevor = person_key(&person());
    let at_that_time = |time, who: Option<&str>| Reminded { at: at(time), underway: false, person: who.map(str::to_owned) };
    // 10:00 on the 25th in New York, when the rule of 24 hours is due; and on the 26th, an hour before the session.
    let both = |who| vec![at_that_time("2026-11-25T13:00:00", who), at_that_time("2026-11-26T13:00:00", who)];
    for (sms, policy, others, reasons) in [
        (true, limited(), vec![], [None, None]),
        (true, limited(), both(None)[..1].to_vec(), [Some(Reason::Frequency), None]),
        (true, limited(), both(None), [Some(Reason::Frequency); 2]),
        (true, limited(), both(Some(&trevor)), [Some(Reason::Frequency); 2]),
        (true, limited(), both(Some("a sibling")), [None, None]),
        (false, limited(), both(Some(&trevor)), [None, None]),
        (true, policy(), both(Some(&trevor)), [None, None]),
    ] {
        let mut session = session();
        if sms {
            session.participants[0].auto_deliver = AutoDeliver::Sms;
        }
        let mut known = observe(&session, KnownMap::new(), &policy, false, now);
        known.values_mut().for_each(|known| known.reminded.clone_from(&others));
        let decisions: Vec<Decision> = plan_session(&session, &known, &policy, &Suppressions::default(), now).into_decisions().collect();
        let of = |name: &str| {
            decisions.iter().find_map(|d| match d {
                Decision::Omit(o) if o.rule.as_deref() == Some(name) => Some(o.reason),
                _ => None,
            })
        };
        assert_eq!([of("24h"), of("1h")], reasons, "{others:?}");
        assert!(matches!(&decisions[0], Decision::Send(n) if n.occasion == Occasion::Invite), "invites are exempt");
    }
}

/// By the id of the practice's own records; where there is none, by the name.
#[test]
fn who_it_is() {
    let key = |id: &str, name: &str| person_key(&Participant { external_id: id.to_owned(), name: PersonName::clean(name), ..person() });
    assert_eq!(key("EMR1", "Ana"), key("EMR1", "Anna"));
    assert_eq!(key("", "Ana Gil"), key(" ", "ANA GIL"));
    assert_ne!(key("", "Ana Gil"), key("", "Eva Gil"));
    assert_ne!(key("EMR1", "Ana"), key("EMR2", "Ana"));
}

#[test]
fn what_a_clock_that_was_ahead_noted_keeps_its_order() {
    let now: DateTime<Utc> = "2026-11-24T14:00:00Z".parse().unwrap();
    let hours = |n: i64| now + TimeDelta::hours(n);
    let mut known = Known { start_known_at: hours(50), facts_known_at: hours(51), ..Known::new(hours(60), hours(-1)) };
    by_this_clock(&mut known, now);
    assert!(known.first_seen == hours(-1) && known.start_known_at < known.facts_known_at && known.facts_known_at < now);
    let once = (known.start_known_at, known.facts_known_at);
    by_this_clock(&mut known, now);
    assert_eq!((known.start_known_at, known.facts_known_at), once, "what is not ahead stays as it is");
}
