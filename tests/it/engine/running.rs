//! Whoever comes to a session that runs.

use punctual::desk::{Desk, unreachable};

use super::*;

const TOLD: &str = "2026-11-26T14:00:00Z";

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut sessions = one(START);
    change(&mut sessions[0]);
    sessions
}

/// A session that was told an hour before, and runs for that many minutes when this list comes.
async fn runs_for(minutes: u32, list: &Value) -> Arc<World> {
    let world = World::new(TOLD);
    world.walk(&one(START)).await;
    world.set("2026-11-26T14:03:00Z");
    assert_eq!(world.once().await.accepted, 1, "the invite");
    world.set(&format!("2026-11-26T15:{minutes:02}:00Z"));
    world.walk(list).await;
    world.once().await;
    world
}

fn with(more: Value) -> Value {
    changed(|s| s["Participants"].as_array_mut().unwrap().push(more))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_added_to_a_session_that_runs_is_told_at_once() {
    for (minutes, goes) in [(0, true), (10, true), (29, true), (31, false)] {
        let world = runs_for(minutes, &with(person(12))).await;
        assert_eq!(world.sent(), 1 + usize::from(goes), "after {minutes} minutes: {:?}", world.states().await);
        if goes {
            assert!(world.last_mail().contains("300000012") && world.last_mail().contains("now"), "{}", world.last_mail());
        }
    }
    let mut there = person(12);
    there["ConnectionTs"] = json!("2026-11-26T15:09:00");
    assert_eq!(runs_for(10, &with(there)).await.sent(), 1, "they have joined already");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_corrected_while_it_runs_is_told_at_once() {
    let world = runs_for(4, &changed(|s| s["Participants"][0]["ParticipantEmailAddress"] = json!("new@example.com"))).await;
    assert_eq!(world.sent(), 2, "{:?}", world.states().await);
    assert!(world.last_mail().contains("new@example.com") && world.last_mail().contains("300000011"), "{}", world.last_mail());
    world.set("2026-11-26T15:06:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    assert_eq!(world.sent(), 2, "what was told once is not told again");
}

/// Who is added and can get nothing is shown while somebody may still call.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_added_to_a_session_that_runs_and_cannot_be_told_is_shown() {
    let shown = async |more: Value| {
        let world = runs_for(5, &with(more)).await;
        let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
        let rows = unreachable::unreachable(&desk, world.clock.now()).await.unwrap();
        rows.into_iter().filter_map(|row| Some((row.participation_id?.0, row.reason))).collect::<Vec<_>>()
    };
    let mut nowhere = person(12);
    nowhere["ParticipantEmailAddress"] = json!("");
    assert_eq!(shown(nowhere).await, [(12, "no_email".to_owned())]);
    let mut no_code = person(12);
    no_code["ConnectCode"] = json!(null);
    assert_eq!(shown(no_code).await, [(12, "no_connect_code".to_owned())]);
    assert_eq!(shown(person(12)).await, []);
    let mut there = person(12);
    (there["ParticipantEmailAddress"], there["ConnectionTs"]) = (json!(""), json!("2026-11-26T15:03:00"));
    assert_eq!(shown(there).await, [], "whoever has joined misses nothing");
}

/// Nobody hands a mailbox on, while it runs no more than before.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_slips_while_sessions_run_reaches_nobody() {
    let two = |first: &str, second: &str| {
        let mut sessions = some(&[1, 2, 3], START);
        for (n, name) in ["Ann", "Bob", "Cleo"].iter().enumerate() {
            sessions[n]["Participants"][0]["ParticipantFullName"] = json!(name);
        }
        (sessions[0]["Participants"][0]["ParticipantEmailAddress"], sessions[1]["Participants"][0]["ParticipantEmailAddress"]) =
            (json!(first), json!(second));
        sessions
    };
    let world = World::new(TOLD);
    world.walk(&two("a@example.com", "b@example.com")).await;
    world.set("2026-11-26T14:03:00Z");
    assert_eq!(world.once().await.accepted, 3);
    world.set("2026-11-26T15:05:00Z");
    let report = world.walk(&two("b@example.com", "a@example.com")).await;
    world.once().await;
    assert_eq!((world.sent(), report.guarded), (3, 2), "{:?}", world.states().await);
    world.walk(&two("a@example.com", "b@example.com")).await;
    world.once().await;
    assert_eq!((world.sent(), world.outbox.guards().await.unwrap()), (3, Vec::new()), "mended");
}

/// Somebody begins a session earlier than planned: whoever was told another time hears of it while they can still join.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_a_later_start_hears_that_it_runs() {
    for (start, goes) in [("2026-11-26T15:01:00", true), ("2026-11-26T14:40:00", true), ("2026-11-26T14:20:00", false)] {
        let world = World::new("2026-11-26T09:00:00Z");
        world.walk(&changed(|s| s["ScheduleTs"] = json!("2026-11-26T20:00:00"))).await;
        world.set("2026-11-26T09:03:00Z");
        assert_eq!(world.once().await.accepted, 1, "the invite");
        world.set("2026-11-26T15:05:00Z");
        let early = changed(|s| s["ScheduleTs"] = json!(start));
        for now in ["2026-11-26T15:05:00Z", "2026-11-26T15:07:00Z"] {
            world.set(now);
            world.walk(&early).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 1 + usize::from(goes), "{start}: {:?}", world.states().await);
    }
}

/// And if it leaves the list before that is told, nobody hears that it runs: it may be over.
#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_list_while_it_runs_is_not_told_to_run() {
    let world = World::new("2026-11-26T09:00:00Z");
    world.walk(&changed(|s| s["ScheduleTs"] = json!("2026-11-26T20:00:00"))).await;
    world.set("2026-11-26T09:03:00Z");
    assert_eq!(world.once().await.accepted, 1, "the invite");
    for (now, list) in [
        ("2026-11-26T15:05:00Z", changed(|s| s["ScheduleTs"] = json!("2026-11-26T15:01:00"))),
        ("2026-11-26T15:06:00Z", some(&[2], "2026-11-28T15:00:00")),
        ("2026-11-26T15:08:00Z", some(&[2], "2026-11-28T15:00:00")),
    ] {
        world.set(now);
        world.walk(&list).await;
        world.once().await;
    }
    let states = world.states_of(1).await;
    assert!(states.contains(&"rescheduled held absent".to_owned()), "{states:?}");
}
