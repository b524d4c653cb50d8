//! Words of ScheduleType and RSVP: what is held, and what ends without a word.

use super::*;
use crate::plan::diff::diff;

fn told() -> World {
    let mut world = World::new();
    world.told(Occasion::Invite, None, State::Accepted);
    world.now = at("2026-11-24T12:00:00");
    let reminder = world.sent(Occasion::Reminder, Some("24h")).unwrap();
    let row = KnownNotice {
        notice: reminder,
        state: State::Waiting,
        reason: None,
        changed_at: world.now,
        facts: None,
        doubted: false,
        undelivered: false,
    };
    world.known().notices.push(row);
    world
}

/// What becomes of the reminder that waits.
fn reminder(world: &World) -> Option<(State, Reason)> {
    let decisions = world.decide();
    let theirs: Vec<&Decision> = decisions.iter().collect();
    let rows = world.known.values().next().unwrap().notices.clone();
    diff(&theirs, &rows).into_iter().find_map(|change| match change {
        crate::entry::Change::End { state, reason, .. } => Some((state, reason)),
        _ => None,
    })
}

#[test]
fn a_session_whose_word_nobody_knows_is_held() {
    let mut world = told();
    world.change("2026-11-24T12:00:00", |s| s.standing = Standing::Unknown);
    assert_eq!(world.said(), ["all!unknown_status"]);
    assert_eq!(reminder(&world), Some((State::Held, Reason::UnknownStatus)));
    world.change("2026-11-24T12:10:00", |s| s.standing = Standing::Live);
    assert_eq!(world.said(), ["24h@2026-11-25T15:00:00Z", "1h@2026-11-26T14:00:00Z"]);
}

#[test]
fn what_is_over_ends_without_a_word() {
    for presence in [Presence::Listed, Presence::Absent, Presence::Gone] {
        let mut world = told();
        world.change("2026-11-24T12:00:00", |s| (s.standing, s.presence) = (Standing::Over, presence));
        assert_eq!(world.said(), ["24h!outdated", "1h!outdated"], "{presence:?}");
        assert_eq!(reminder(&world), Some((State::Cancelled, Reason::Outdated)), "{presence:?}");
    }
}

#[test]
fn an_answer_that_nobody_knows_holds_reminders_alone() {
    let mut world = World::new();
    world.person().rsvp_unknown = true;
    assert_eq!(world.said(), ["invite@2026-11-24T09:02:00Z", "24h!unknown_status", "1h!unknown_status"]);
    let mut world = told();
    world.person().rsvp_unknown = true;
    assert_eq!(reminder(&world), Some((State::Held, Reason::UnknownStatus)));
}
