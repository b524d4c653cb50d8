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
mod changes;
mod corrections;
mod diffs;
mod not_joined;
mod spelling;
mod times;
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
        own_zone: None,
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
