//! Whoever has not connected to a session that runs is told once more, after a look at the source since the start; and nobody else is.

use std::sync::Arc;

use punctual::notice::Reason;
use punctual::outbox::Filter;
use punctual::session::SnapshotKind;
use serde_json::{Value, json};

use super::{CONFIGURATION, START, Step, World, person, some};

/// Session 1 with these people besides its host; session 2 stays, so that no list is empty.
fn with(people: &[Value]) -> Value {
    let mut sessions = without();
    let all: Vec<Value> = std::iter::once(host(10)).chain(people.iter().cloned()).collect();
    sessions.as_array_mut().unwrap().push(json!({ "SessionId": 1, "ScheduleTs": START, "Participants": all }));
    sessions
}

/// Tells everybody themselves, and is nobody who does not come.
fn host(id: i64) -> Value {
    let mut host = person(id);
    host["ShouldAutoDeliverCode"] = json!("N");
    host
}

fn without() -> Value {
    some(&[2], "2027-01-01T15:00:00")
}

fn connected() -> Value {
    let mut there = person(11);
    there["ConnectionTs"] = json!("2026-11-26T15:03:00");
    there
}

/// Everything before the start went out: the invite of session 2, and session 1's invite and reminders.
async fn running() -> Arc<World> {
    let world = World::with("2026-11-24T09:00:00Z", &format!("{CONFIGURATION}[not_joined]\nafter = \"5m\"\n"));
    for now in ["2026-11-24T09:00:00Z", "2026-11-24T09:02:00Z", "2026-11-25T15:00:00Z", "2026-11-26T14:00:00Z", "2026-11-26T14:59:59Z"] {
        world.set(now);
        world.walk(&with(&[person(11)])).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 4);
    world
}

async fn nudge(world: &World) -> Vec<String> {
    let all = world.states_of(1).await;
    all.iter().filter_map(|s| s.strip_prefix("not_joined ").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_not_connected_is_told_once() {
    let world = running().await;
    for (now, sent) in [("15:04:59", 4), ("15:05:00", 5), ("15:05:01", 5), ("15:14:00", 5), ("16:00:00", 5)] {
        world.set(&format!("2026-11-26T{now}Z"));
        world.walk(&with(&[person(11)])).await;
        world.once().await;
        world.once().await;
        assert_eq!(world.sent(), sent, "{now}");
    }
    let mail = world.last_mail();
    assert!(mail.contains("Your video session has started") && mail.contains("Your code: 300000011"), "{mail}");
    assert!(mail.contains("SEQUENCE:0") && mail.contains("METHOD:REQUEST"), "it adds nothing to the calendar: {mail}");
    assert_eq!(nudge(&world).await, ["accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connected_declined_or_left_is_not_told() {
    let declined = json!({ "RSVP": "Declined" });
    let mut no = person(11);
    no.as_object_mut().unwrap().extend(declined.as_object().unwrap().clone());
    let mut cancelled = with(&[person(11)]);
    cancelled[1]["ScheduleType"] = json!("Cancelled");
    for (name, sessions, ends, new) in [
        ("connected", with(&[connected()]), &["cancelled already_connected"][..], 0),
        ("declined", with(&[no]), &["cancelled declined"], 0),
        ("cancelled", cancelled, &["cancelled cancelled"], 0),
        ("taken out of it, and somebody else comes", with(&[person(12)]), &["cancelled outdated", "waiting"], 1),
        ("the session leaves the list", without(), &["held absent"], 0),
        ("nothing is listed", json!([]), &["held absent"], 0),
    ] {
        let world = running().await;
        world.set("2026-11-26T15:04:30Z");
        world.walk(&sessions).await;
        assert_eq!(nudge(&world).await, ends, "{name}");
        world.set("2026-11-26T15:05:00Z");
        world.walk(&sessions).await;
        world.once().await;
        assert_eq!(world.sent(), 4 + new, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_while_the_connection_stands_is_not_told() {
    let world = running().await;
    world.set("2026-11-26T15:05:00Z");
    world.walk(&with(&[person(11)])).await;
    world.script(&[Step::Meanwhile(with(&[connected()]))]);
    world.once().await;
    world.set("2026-11-26T15:06:00Z");
    world.once().await;
    assert_eq!((world.sent(), nudge(&world).await), (4, vec!["cancelled already_connected".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_not_read_since_the_start_is_asked_again_and_not_believed() {
    let world = running().await;
    for now in ["15:05:00", "15:05:15", "15:10:00"] {
        world.set(&format!("2026-11-26T{now}Z"));
        world.once().await;
        assert_eq!((world.sent(), nudge(&world).await), (4, vec!["waiting".to_owned()]), "{now}");
    }
    assert!(world.take_refresh_request(), "it asks for a look");
    // It answers: told.
    world.set("2026-11-26T15:10:30Z");
    world.walk(&with(&[person(11)])).await;
    world.once().await;
    assert_eq!((world.sent(), nudge(&world).await), (5, vec!["accepted".to_owned()]));
    assert!(!world.take_refresh_request());
    // It does not: at the end of its use it is held, with the reason.
    let world = running().await;
    world.set("2026-11-26T15:14:50Z");
    world.once().await;
    assert_eq!((world.sent(), nudge(&world).await), (4, vec!["held source_stale".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_source_that_cannot_be_read_tells_nothing_of_who_is_missing() {
    let world = running().await;
    for now in ["15:01:00", "15:05:00", "15:08:00"] {
        world.set(&format!("2026-11-26T{now}Z"));
        world.walk_some(&without(), SnapshotKind::Partial, &world.policy).await;
        world.once().await;
        assert_eq!((world.sent(), nudge(&world).await), (4, vec!["waiting".to_owned()]), "{now}");
    }
    // A source that says that nothing changed was read.
    world.set("2026-11-26T15:09:00Z");
    world.walk(&with(&[person(11)])).await;
    world.walk_some(&json!([]), SnapshotKind::Delta, &world.policy).await;
    world.once().await;
    assert_eq!(world.sent(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_comes_back_in_time_is_told_of() {
    let world = running().await;
    for (now, sessions, sent) in [("15:04:00", without(), 4), ("15:05:00", without(), 4), ("15:06:00", with(&[person(11)]), 5)] {
        world.set(&format!("2026-11-26T{now}Z"));
        world.walk(&sessions).await;
        world.once().await;
        assert_eq!(world.sent(), sent, "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_never_told_is_not_told_to_join() {
    let world = World::with("2026-11-26T14:00:00Z", &format!("{CONFIGURATION}[not_joined]\nafter = \"5m\"\n"));
    world.walk(&with(&[person(11)])).await;
    world.set("2026-11-26T15:01:00Z");
    world.walk(&with(&[person(11)])).await;
    world.once().await;
    world.set("2026-11-26T15:05:00Z");
    world.once().await;
    assert_eq!(nudge(&world).await, ["cancelled never_invited"]);
    assert_eq!(world.sent(), 1, "session 2's invite");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ages_out_after_its_start_stays_otherwise_as_it_is() {
    // Ten sessions run; all are told, nine are joined. Then all leave the list, as on every evening.
    let ids: Vec<i64> = (1..=10).collect();
    let world = World::with("2026-11-24T09:00:00Z", &format!("{CONFIGURATION}[not_joined]\nafter = \"5m\"\n"));
    let mut sessions = some(&ids, START);
    for (n, id) in ids.iter().enumerate() {
        sessions[n]["Participants"].as_array_mut().unwrap().insert(0, host(id * 10));
    }
    world.walk(&sessions).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    let mut late = sessions.clone();
    for n in 1..10 {
        late[n]["Participants"][1]["ConnectionTs"] = json!("2026-11-26T14:59:00");
    }
    late.as_array_mut().unwrap().push(without()[0].clone());
    late[10]["SessionId"] = json!(99);
    late[10]["Participants"][0] = person(991);
    for now in ["2026-11-26T15:00:30Z", "2026-11-26T15:05:00Z"] {
        world.set(now);
        world.walk(&late).await;
        world.once().await;
    }
    let before = (world.states().await, world.outbox.omissions(&Filter::default()).await.unwrap().len(), world.sent());
    let only_99 = json!([late[10].clone()]);
    for now in ["2026-11-26T15:20:00Z", "2026-11-26T18:00:00Z", "2026-11-26T23:00:00Z"] {
        world.set(now);
        let report = world.walk(&only_99).await;
        assert_eq!((report.planned, report.guarded), (0, 0), "{now}");
        world.once().await;
    }
    let after = (world.states().await, world.outbox.omissions(&Filter::default()).await.unwrap().len(), world.sent());
    assert_eq!(after, before);
    assert!(!before.0.iter().any(|s| s.contains("absent")), "{before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_leaves_the_list_behind_the_start_is_still_told() {
    let world = running().await;
    let mut cancelled = with(&[person(11)]);
    cancelled[1]["ScheduleType"] = json!("Cancelled");
    world.set("2026-11-26T14:59:59Z");
    world.walk(&cancelled).await;
    world.set("2026-11-26T15:00:30Z");
    world.walk(&without()).await;
    world.once().await;
    assert_eq!(world.sent(), 5);
    assert!(world.last_mail().contains("METHOD:CANCEL"));
    assert_eq!(nudge(&world).await, ["cancelled cancelled"]);
    let held = world.entries().await.into_iter().filter(|e| e.reason == Some(Reason::Absent)).count();
    assert_eq!(held, 0);
}
