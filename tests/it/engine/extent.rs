//! A snapshot that is without a part of the source, or tells of a change only: what it does not list is as it was.

use punctual::guard::Verdict;
use punctual::session::SnapshotKind;

use super::{CONFIGURATION, START, World, at, configuration, some};

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_cannot_be_read_is_believed_as_long_as_a_silent_source() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&[1, 2], START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    // Session 1 stands in a part that fails from 08:00 on; its 24h rule is due at 15:00, when 2's part was read a moment ago.
    for minute in ["08:00", "11:00", "13:59", "14:59"] {
        world.set(&format!("2026-11-25T{minute}:00Z"));
        world.walk_some(&some(&[2], START), SnapshotKind::Partial, &world.policy).await;
    }
    world.set("2026-11-25T15:00:00Z");
    world.once().await;
    assert_eq!(world.states_of(2).await, ["invite accepted", "reminder 1h waiting", "reminder 24h accepted"]);
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h held source_stale"]);
    world.walk(&some(&[1, 2], START)).await;
    world.once().await;
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_failure_of_a_part_holds_nothing_and_counts_as_no_absence() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&[1, 2], START)).await;
    world.set("2026-11-24T09:02:00Z");
    for minute in ["09:00", "09:01", "09:20"] {
        world.set(&format!("2026-11-24T{minute}:00Z"));
        world.walk_some(&some(&[2], START), SnapshotKind::Partial, &world.policy).await;
    }
    world.once().await;
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"]);
    // Now it is absent indeed: that counts from here, and not from the failure.
    for minute in ["09:21", "09:22", "09:23", "09:30"] {
        world.set(&format!("2026-11-24T{minute}:00Z"));
        world.walk(&some(&[2], START)).await;
        assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h held absent", "reminder 24h held absent"], "{minute}");
    }
    world.set("2026-11-24T09:31:00Z");
    world.walk(&some(&[2], START)).await;
    assert_eq!(
        world.states_of(1).await,
        ["cancelled waiting", "invite accepted", "reminder 1h cancelled cancelled", "reminder 24h cancelled cancelled"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_holds_for_what_a_snapshot_does_not_list_too() {
    for extent in [SnapshotKind::Partial, SnapshotKind::Delta] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk(&some(&[1, 2], START)).await;
        let other = configuration(&CONFIGURATION.replace("\"24h\"", "\"20h\"")).policy;
        world.walk_some(&some(&[2], START), extent, &other).await;
        for session in [1, 2] {
            let all = world.entries().await;
            let due = |rule: &str| {
                let one = all.iter().find(|e| e.notice.session.0 == session && e.notice.rule.as_deref() == Some(rule));
                one.map(|e| (e.notice.due_at, e.state.to_string()))
            };
            assert_eq!(due("20h"), Some((at("2026-11-25T19:00:00Z"), "waiting".to_owned())), "{session} {extent:?}");
            assert_eq!(due("24h").map(|(_, state)| state).as_deref(), Some("cancelled"), "{session} {extent:?}");
        }
        assert_eq!(world.walk_some(&some(&[2], START), extent, &other).await.planned, 0, "{extent:?}: once is enough");
    }
}

/// A single change comes before the list is put once more: what was decided of the others is done with that list.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_decided_waits_for_the_list_that_it_is_about() {
    for verdict in [Verdict::Accept, Verdict::Reject] {
        let world = World::new("2026-11-24T09:00:00Z");
        let all: Vec<i64> = (1..=12).collect();
        world.walk(&some(&all, START)).await;
        world.set("2026-11-24T09:02:00Z");
        assert_eq!(world.once().await.accepted, 12);
        let mut new_codes = some(&all, START);
        for (session, code) in new_codes.as_array_mut().unwrap().iter_mut().zip(600_000_001..) {
            session["Participants"][0]["ConnectCode"] = code.into();
        }
        assert_eq!(world.walk(&new_codes).await.guarded, 12);
        world.outbox.decide_guard(verdict, None, None, at("2026-11-24T09:02:00Z")).await.unwrap();
        for minute in ["09:03", "09:04"] {
            world.set(&format!("2026-11-24T{minute}:00Z"));
            world.walk_some(&some(&[13], START), SnapshotKind::Delta, &world.policy).await;
        }
        world.walk(&with_one_more(&new_codes)).await;
        world.set("2026-11-24T09:10:00Z");
        let told = if verdict == Verdict::Accept { 13 } else { 1 };
        assert_eq!(world.once().await.accepted, told, "{verdict:?}");
        for session in all {
            let states = world.states_of(session).await;
            assert!(!states.iter().any(|state| state.contains("held")), "{verdict:?} {session}: {states:?}");
        }
    }
}

fn with_one_more(list: &serde_json::Value) -> serde_json::Value {
    let mut all = list.as_array().unwrap().clone();
    all.extend(some(&[13], START).as_array().unwrap().clone());
    all.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_as_cancelled_may_leave_the_list() {
    let world = World::new("2026-11-24T09:00:00Z");
    let all: Vec<i64> = (1..=12).collect();
    world.walk(&some(&all, START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    let called_off = |ids: &[i64]| {
        let mut sessions = some(ids, START);
        for session in sessions.as_array_mut().unwrap() {
            session["ScheduleType"] = "Cancelled".into();
        }
        sessions
    };
    assert_eq!(world.walk(&called_off(&all)).await.guarded, 12);
    world.outbox.accept_guard(None, at("2026-11-24T09:02:00Z")).await.unwrap();
    assert_eq!(world.walk(&called_off(&all)).await.guarded, 0);
    world.set("2026-11-24T09:05:00Z");
    assert_eq!(world.once().await.accepted, 12, "each is told");
    for (minute, listed) in [("09:06", &all[..2]), ("09:20", &all[..0]), ("09:40", &all[..0])] {
        world.set(&format!("2026-11-24T{minute}:00Z"));
        assert_eq!(world.walk(&called_off(listed)).await.guarded, 0, "{minute}");
    }
    assert_eq!(world.once().await.accepted, 0);
}
