use super::*;
use crate::contact::{Address, EmailAddress};
use crate::zone::{Settings, Zones};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn night() -> QuietHours {
    let hour = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap();
    QuietHours { from: hour(21), to: hour(8), channels: vec![Channel::Email], min_lead: TimeDelta::minutes(15) }
}

fn somebody() -> Recipient<'static> {
    let zone = Zones::load(&Settings::default()).unwrap().resolve("Eastern Standard Time").unwrap();
    Recipient { address: Address::Email(EmailAddress::parse("a@example.com").unwrap()), zone, locale: None }
}

/// 21:00 in New York, the evening before.
const QUIET: &str = "2026-11-26T02:00:00Z";

/// When the reminder for a session at 7:30 goes, that would be due at 6:30; the session became known at `floor`.
fn eve(who: i64, floor: &str) -> Option<DateTime<Utc>> {
    night().reminder(at("2026-11-26T11:30:00Z"), at("2026-11-26T12:30:00Z"), at(floor), &somebody(), ParticipationId(who))
}

#[test]
fn reminders_before_quiet_hours_are_spread_over_half_an_hour() {
    // Ids that follow each other, ids in steps, and large ones.
    for ids in [(1..=99).collect::<Vec<i64>>(), (1..=99).map(|n| n * 10 + 1).collect(), (1..=99).map(|n| 9_000_000_000 + n).collect()] {
        let before = |who: &i64| (at(QUIET) - eve(*who, "2026-11-20T00:00:00Z").unwrap()).num_seconds();
        let seconds: Vec<i64> = ids.iter().map(before).collect();
        assert!(seconds.iter().all(|s| (1..=1800).contains(s)), "{seconds:?}");
        for tenth in 0..10 {
            let theirs = seconds.iter().filter(|s| (tenth * 180..(tenth + 1) * 180).contains(*s)).count();
            assert!((7..=13).contains(&theirs), "{theirs} of 99 in one tenth of the half hour");
        }
        assert_eq!(seconds, ids.iter().map(before).collect::<Vec<_>>(), "always the same");
    }
}

#[test]
fn whoever_was_booked_within_that_half_hour_is_reminded_after_it_or_not_at_all() {
    for who in 1..=50 {
        let due = eve(who, "2026-11-26T01:55:00Z").unwrap();
        assert!(due > at("2026-11-26T01:55:00Z") && due < at(QUIET), "{due}");
        assert_eq!(eve(who, QUIET), None);
        assert_eq!(eve(who, "2026-11-26T05:00:00Z"), None);
    }
}

#[test]
fn the_next_quiet_period_begins_on_the_participants_clock() {
    let zone = somebody().zone.zone;
    for (now, begin) in [
        ("2026-11-26T01:59:59Z", QUIET),
        (QUIET, "2026-11-27T02:00:00Z"),
        ("2026-11-26T09:00:00Z", "2026-11-27T02:00:00Z"),
        // The clocks go back on the first of November.
        ("2026-11-01T04:00:00Z", "2026-11-02T02:00:00Z"),
    ] {
        assert_eq!(night().begin_after(at(now), Channel::Email, &zone), Some(at(begin)), "{now}");
    }
    assert_eq!(night().begin_after(at(QUIET), Channel::Sms, &zone), None);
    let none = QuietHours { to: night().from, ..night() };
    assert_eq!(none.begin_after(at(QUIET), Channel::Email, &zone), None);
}
