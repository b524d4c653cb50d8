//! Remind now: every reason against it, and what becomes of it while it waits.

use super::*;
use crate::plan::asked::{ASKED_MAX, NotNow, ask};

/// What is changed, and what is then said.
type Row = (&'static str, fn(&mut World), &'static str);

/// Told in time; it is two hours to the start, 8 o'clock where they are.
fn told() -> World {
    let mut world = World::new();
    world.now = at("2026-11-24T09:02:00");
    world.told(Occasion::Invite, None, State::Accepted);
    world.now = at("2026-11-26T13:00:00");
    world
}

impl World {
    fn ask(&self, at_night: bool) -> Result<Notice, NotNow> {
        let (person, known) = (&self.session.participants[0], self.known.values().next().unwrap());
        ask(&self.session, person, known, (&self.policy, &self.suppressed), (self.now, at_night))
    }

    fn asks(&self) -> String {
        match self.ask(false) {
            Ok(n) => format!("{} {}", n.occasion, n.rule.unwrap_or_default()),
            Err(NotNow::Against(reason, _)) => reason.to_string(),
            Err(NotNow::UnderWay(_)) => "under way".to_owned(),
            Err(NotNow::JustSent(_)) => "just told".to_owned(),
            Err(NotNow::TooOften) => "too often".to_owned(),
        }
    }

    /// Somebody asks, and it waits.
    fn asked(&mut self, at_night: bool) {
        let (notice, changed_at) = (self.ask(at_night).expect("it may go"), self.now);
        let row = KnownNotice { notice, state: State::Waiting, reason: None, changed_at, facts: None, doubted: false, undelivered: false };
        self.known().notices.push(row);
    }

    fn last(&mut self) -> &mut KnownNotice {
        self.known().notices.last_mut().unwrap()
    }

    /// What the planner says of what somebody asked for.
    fn of_asked(&self) -> Vec<String> {
        let ours = |said: &String| said.starts_with("now") || said.starts_with("all");
        self.said().into_iter().filter(ours).collect()
    }
}

fn by_text(w: &mut World) {
    w.person().auto_deliver = AutoDeliver::Sms;
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn every_reason_against_it_has_its_row() {
    let rows: Vec<Row> = vec![
        ("told, and coming", |_| {}, "reminder now"),
        ("told nothing yet, by whatever reason", |w| w.known().notices.clear(), "reminder now"),
        ("a session that somebody else announced", |w| w.known().adopted = true, "reminder now"),
        (
            "booked a minute ago, without a rule that still applies",
            |w| {
                w.known = observe(&w.session, KnownMap::new(), &w.policy, false, at("2026-11-26T12:50:00"));
                w.policy.settle = TimeDelta::zero();
                w.told(Occasion::Invite, None, State::Accepted);
            },
            "reminder now",
        ),
        ("it begins in a second", |w| w.now = at("2026-11-26T14:59:59"), "reminder now"),
        ("it has begun", |w| w.now = at("2026-11-26T15:00:00"), "not_joined now"),
        ("it has run for long", |w| w.now = at("2026-11-26T15:15:00"), "started"),
        ("N", |w| w.person().auto_deliver = AutoDeliver::Nobody, "host_delivers"),
        ("ambiguous", |w| w.person().ambiguous = Some("x".into()), "ambiguous"),
        ("a bad address", |w| w.person().email = RawContact("trevor".into()), "invalid_email"),
        ("opted out", |w| suppress(w, Suppression::OptedOut), "opted_out"),
        ("bounced", |w| suppress(w, Suppression::Bounced), "bounced"),
        ("no code", |w| w.person().code = None, "no_connect_code"),
        ("cancelled", |w| w.change("2026-11-26T13:00:00", |s| s.cancelled = true), "cancelled"),
        ("not listed", |w| w.session.presence = Presence::Absent, "absent"),
        ("guarded", |w| w.session.presence = Presence::Guarded, "guard"),
        ("over", |w| w.session.standing = Standing::Over, "outdated"),
        ("a word that nobody knows", |w| w.session.standing = Standing::Unknown, "unknown_status"),
        ("declined", |w| w.person().rsvp = Rsvp::Declined, "declined"),
        ("an answer that nobody knows", |w| w.person().rsvp_unknown = true, "unknown_status"),
        ("connected", |w| w.person().connected_at = Some(at("2026-11-26T13:00:00")), "already_connected"),
        ("a pass that has ended", |w| w.person().expires_at = Some(at("2026-11-26T13:00:00")), "pass_expired"),
        (
            "quiet hours",
            |w| {
                w.policy.quiet = Some(night());
                w.now = at("2026-11-26T12:59:59");
            },
            "quiet_hours",
        ),
        ("no quiet hours any more", |w| w.policy.quiet = Some(night()), "reminder now"),
        (
            "they run, and it does",
            |w| {
                let hour = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap();
                w.policy.quiet = Some(QuietHours { from: hour(9), to: hour(12), ..night() });
                w.now = at("2026-11-26T15:05:00");
            },
            "not_joined now",
        ),
        (
            "a rule's reminder is about to go",
            |w| {
                w.now = at("2026-11-26T13:59:00");
                let notice = w.sent(Occasion::Reminder, Some("1h")).unwrap();
                let changed_at = at(SEEN);
                w.known().notices.push(KnownNotice {
                    notice,
                    state: State::Waiting,
                    reason: None,
                    changed_at,
                    facts: None,
                    doubted: false,
                    undelivered: false,
                });
            },
            "under way",
        ),
        (
            "they were told four minutes ago",
            |w| {
                w.now = at("2026-11-26T14:00:00");
                w.told(Occasion::Reminder, Some("1h"), State::Accepted);
                w.now = at("2026-11-26T14:04:59");
            },
            "just told",
        ),
        (
            "and after five",
            |w| {
                w.now = at("2026-11-26T14:00:00");
                w.told(Occasion::Reminder, Some("1h"), State::Accepted);
                w.now = at("2026-11-26T14:05:00");
            },
            "reminder now",
        ),
        ("somebody asked already", |w| w.asked(false), "under way"),
        (
            "and it is in doubt",
            |w| {
                w.asked(false);
                w.last().state = State::Unknown;
                w.now += TimeDelta::minutes(30);
            },
            "under way",
        ),
        (
            "a second time, later",
            |w| {
                w.asked(false);
                w.last().state = State::Accepted;
                w.now += TimeDelta::minutes(30);
            },
            "reminder now 2",
        ),
        (
            "enough texts of other sessions today",
            |w| {
                by_text(w);
                w.policy.frequency.per_day = 1;
                w.known().reminded.push(crate::known::Reminded { at: at("2026-11-26T12:00:00"), underway: false, person: None });
            },
            "frequency",
        ),
    ];
    for (name, change, expected) in rows {
        let mut world = told();
        change(&mut world);
        assert_eq!(world.asks(), expected, "{name}");
    }
}

#[test]
fn whoever_hosts_is_reminded_and_not_told_to_join() {
    let mut world = told();
    world.person().role = Role::Host;
    assert_eq!(world.asks(), "reminder now");
    world.policy.hosts = false;
    assert_eq!(world.asks(), "hosts_off");
    (world.policy.hosts, world.now) = (true, at("2026-11-26T15:01:00"));
    assert_eq!(world.asks(), "hosts_off");
}

#[test]
fn it_goes_in_quiet_hours_only_if_somebody_says_so() {
    let mut world = told();
    world.policy.quiet = Some(night());
    world.now = at("2026-11-26T12:30:00");
    assert_eq!(world.ask(false), Err(NotNow::Against(Reason::QuietHours, None)));
    world.asked(true);
    assert_eq!(world.of_asked(), ["now@2026-11-26T12:30:00Z"], "and it stands at the last look");
    let mut world = told();
    world.policy.quiet = Some(night());
    world.now = at("2026-11-26T01:59:00");
    world.asked(false);
    world.now = at("2026-11-26T02:00:00");
    assert_eq!(world.of_asked(), ["now@2026-11-26T13:00:00Z"], "what did not go in time waits for their end");
}

/// It waits for a relay, and meanwhile something changes.
#[test]
fn what_was_asked_for_stands_as_long_as_it_holds() {
    let rows: Vec<Row> = vec![
        ("nothing", |_| {}, "now@2026-11-26T13:00:00Z"),
        ("another spelling", |w| w.person().email = RawContact("Trevor@EXAMPLE.com".into()), "now@2026-11-26T13:00:00Z"),
        ("the rules change", |w| w.policy.rules.clear(), "now@2026-11-26T13:00:00Z"),
        ("they decline", |w| w.person().rsvp = Rsvp::Declined, "now!declined"),
        ("they connect", |w| w.person().connected_at = Some(at("2026-11-26T13:01:00")), "now!already_connected"),
        ("they opt out", |w| suppress(w, Suppression::OptedOut), "now!opted_out"),
        ("it is cancelled", |w| w.session.cancelled = true, "now!cancelled"),
        ("it leaves the list", |w| w.session.presence = Presence::Absent, "all!absent"),
        ("its time passes", |w| w.now = at("2026-11-26T15:00:00"), "now!started"),
    ];
    for (name, change, expected) in rows {
        let mut world = told();
        world.asked(false);
        change(&mut world);
        assert_eq!(world.of_asked(), [expected], "{name}");
    }
    // Of what holds no more there is no word: it ends as outdated, and what holds is told by itself.
    for change in [
        |s: &mut Session| s.start += TimeDelta::hours(1),
        |s: &mut Session| s.participants[0].email = RawContact("other@example.com".into()),
    ] {
        let mut world = told();
        world.asked(false);
        world.change("2026-11-26T13:01:00", change);
        assert_eq!(world.of_asked(), [] as [&str; 0]);
    }
    // What has ended is over: nothing revives it.
    let mut world = told();
    world.asked(false);
    world.last().state = State::Suppressed;
    assert_eq!(world.of_asked(), [] as [&str; 0]);
}

#[test]
fn a_rule_of_that_name_is_a_rule() {
    let mut world = told();
    world.policy.rules = vec![before("now", 1)];
    assert_eq!(world.of_asked(), ["now@2026-11-26T14:00:00Z"]);
    world.asked(false);
    assert_eq!(world.of_asked(), ["now@2026-11-26T14:00:00Z", "now@2026-11-26T13:00:00Z"]);
}

#[test]
fn so_often_and_no_more() {
    let mut world = told();
    world.session.start = at("2026-11-28T15:00:00");
    world.policy.rules.clear();
    for _ in 0..ASKED_MAX {
        world.asked(false);
        (world.last().state, world.last().changed_at) = (State::Accepted, at(SEEN));
    }
    assert_eq!(world.ask(false), Err(NotNow::TooOften));
}
