//! After a restore: what the lost days may have told counts as told.

use punctual::outbox::sqlite::{Access, SqliteOutbox};

use super::*;

/// A new store in that folder.
fn new_store(folder: &tempfile::TempDir, now: &str) -> Arc<World> {
    over(&folder.path().join("punctual.db"), now)
}

/// A copy beside it, made while it runs.
async fn copied(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let copy = folder.path().join("copy.db");
    let url = format!("sqlite://{}", folder.path().join("punctual.db").display());
    SqliteOutbox::open(&url, Access::Command).unwrap().backup(&copy, |_, _| {}).await.unwrap();
    copy
}

/// The copy is put back.
async fn put_back(copy: &std::path::Path, now: &str) -> Arc<World> {
    let world = over(copy, now);
    let held = world.outbox.hold_restored(&["sessions".to_owned()], &[], world.clock_now()).await.unwrap();
    assert!(held.is_some(), "an older copy");
    world
}

/// At each of these times the source is asked, and what is due goes.
async fn at_times(world: &Arc<World>, sessions: &Value, times: &[&str]) {
    for now in times {
        world.set(now);
        world.walk(sessions).await;
        world.once().await;
    }
}

/// A world whose store is that file.
fn over(path: &std::path::Path, now: &str) -> Arc<World> {
    let store = SqliteOutbox::open(&format!("sqlite://{}", path.display()), Access::Daemon).unwrap();
    let Ok(world) = Arc::try_unwrap(World::new(now)) else { panic!("nobody else has it") };
    Arc::new_cyclic(|me| World { me: me.clone(), outbox: Arc::new(store), ..world })
}

/// The same with quiet hours for texts, and these reminders instead.
fn with_texts(world: Arc<World>, reminders: &str) -> Arc<World> {
    let base = CONFIGURATION.split("[[reminder]]").next().unwrap();
    let config = configuration(&format!("{base}{reminders}\n[adopt]\ninvites = true\n"));
    let Ok(world) = Arc::try_unwrap(world) else { panic!("nobody else has it") };
    Arc::new_cyclic(|me| World { me: me.clone(), policy: Arc::new(config.policy), ..world })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_of_the_lost_days_is_taken_back() {
    let off = changed(|s| s["ScheduleType"] = json!("Cancelled"));
    for (again, first) in [(one(START), "the same hour"), (changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00")), "another hour")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("punctual.db");
        let store = SqliteOutbox::open(&format!("sqlite://{}", path.display()), Access::Daemon).unwrap();
        drop(store);
        let world = over(&path, "2026-11-24T09:00:00Z");
        world.walk(&one(START)).await;
        world.set("2026-11-24T09:03:00Z");
        world.once().await;
        let copy = folder.path().join("copy.db");
        let store = SqliteOutbox::open(&format!("sqlite://{}", path.display()), Access::Command).unwrap();
        store.backup(&copy, |_, _| {}).await.unwrap();
        drop(store);
        for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:03:00Z"] {
            world.set(now);
            world.walk(&off).await;
            world.once().await;
        }
        assert!(world.last_mail().contains("Cancelled"), "{:?}", world.states().await);
        drop(world);
        // The copy is put back; the cancellation is found again, and may have gone out.
        let world = over(&copy, "2026-11-24T11:00:00Z");
        let held = world.outbox.hold_restored(&["sessions".to_owned()], &[], world.clock_now()).await.unwrap();
        assert!(held.is_some(), "an older copy");
        world.walk(&off).await;
        world.set("2026-11-24T11:04:00Z");
        world.once().await;
        assert!(world.states().await.contains(&"cancelled held restored".to_owned()), "{:?}", world.states().await);
        let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
        let rows = unreachable::unreachable(&desk, world.clock_now()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.reason.as_str()).collect::<Vec<_>>(), ["restored"], "they may not know");
        // It takes place after all.
        for now in ["2026-11-24T11:30:00Z", "2026-11-24T11:33:00Z", "2026-11-24T11:36:00Z"] {
            world.set(now);
            world.walk(&again).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 1, "{first}: {:?}", world.states().await);
        assert!(!world.last_mail().contains("Cancelled") && world.last_mail().contains("300000011"), "{first}: {}", world.last_mail());
        assert!(world.states().await.contains(&"cancelled held restored".to_owned()), "a person says: {:?}", world.states().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_due_earlier_may_have_gone() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    let copy = copied(&folder).await;
    // The clock is set back: what was due at two past nine is due at two past five.
    world.outbox.plan_anew().await.unwrap();
    at_times(&world, &one(START), &["2026-11-24T05:00:00Z", "2026-11-24T05:03:00Z"]).await;
    assert_eq!(world.sent(), 1);
    drop(world);
    let world = put_back(&copy, "2026-11-24T05:10:00Z").await;
    world.outbox.plan_anew().await.unwrap();
    at_times(&world, &one(START), &["2026-11-24T05:10:00Z", "2026-11-24T05:13:00Z", "2026-11-24T09:03:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
    assert!(world.states().await.contains(&"invite held restored".to_owned()), "{:?}", world.states().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_that_counts_late_may_have_been_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    let (both, less) = (some(&[1, 2], START), some(&[2], START));
    at_times(&world, &both, &["2026-11-24T09:00:00Z", "2026-11-24T09:03:00Z"]).await;
    let copy = copied(&folder).await;
    at_times(&world, &less, &["2026-11-24T10:00:00Z", "2026-11-24T10:10:00Z", "2026-11-24T10:20:00Z", "2026-11-24T10:23:00Z"]).await;
    assert!(world.last_mail().contains("Cancelled"), "{:?}", world.states().await);
    drop(world);
    // Asked every ten minutes, the source misses them for the third time after a quarter of an hour.
    let world = put_back(&copy, "2026-11-24T11:00:00Z").await;
    at_times(&world, &less, &["2026-11-24T11:00:00Z", "2026-11-24T11:10:00Z", "2026-11-24T11:20:00Z", "2026-11-24T11:30:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
    assert!(world.states().await.contains(&"cancelled held restored".to_owned()), "{:?}", world.states().await);
    // Then the walks find nothing again any more.
    at_times(&world, &changed(|s| s["SessionId"] = json!(3)), &["2026-11-24T12:00:00Z"]).await;
    let moved = some(&[2], "2026-11-27T15:00:00");
    at_times(&world, &moved, &["2026-11-24T12:10:00Z", "2026-11-24T12:13:00Z"]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_decides_late_may_have_been_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    let ids = [1, 2, 3, 4, 5];
    let (before, after) = (some(&ids, START), some(&ids, "2026-11-27T15:00:00"));
    at_times(&world, &before, &["2026-11-24T09:00:00Z", "2026-11-24T09:03:00Z"]).await;
    let copy = copied(&folder).await;
    at_times(&world, &after, &["2026-11-24T10:00:00Z"]).await;
    assert!(world.outbox.accept_guard(None, world.clock_now()).await.unwrap() > 0);
    at_times(&world, &after, &["2026-11-24T10:03:00Z", "2026-11-24T10:06:00Z"]).await;
    assert_eq!(world.sent(), 10, "they are told the other time: {:?}", world.states().await);
    drop(world);
    let world = put_back(&copy, "2026-11-24T11:00:00Z").await;
    at_times(&world, &after, &["2026-11-24T11:00:00Z", "2026-11-24T11:30:00Z"]).await;
    assert!(world.outbox.accept_guard(None, world.clock_now()).await.unwrap() > 0, "it waits again");
    at_times(&world, &after, &["2026-11-24T11:33:00Z", "2026-11-24T11:36:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
    assert!(world.states().await.contains(&"rescheduled held restored".to_owned()), "{:?}", world.states().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lapsed_while_it_was_held_may_have_gone_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    let copy = copied(&folder).await;
    let later = changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00"));
    at_times(&world, &later, &["2026-11-24T09:01:00Z", "2026-11-24T09:04:00Z"]).await;
    assert_eq!(world.sent(), 1, "the invite, with the other time");
    drop(world);
    let world = put_back(&copy, "2026-11-24T12:00:00Z").await;
    at_times(&world, &later, &["2026-11-24T12:00:00Z", "2026-11-26T15:01:00Z", "2026-11-26T15:04:00Z"]).await;
    assert!(!world.states().await.contains(&"invite accepted".to_owned()), "it goes once: {:?}", world.states().await);
}

/// The clock was a day ahead when the copy was made, and then it was set right: what went out since did so before it was due by the copy.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_by_a_clock_that_was_set_back_may_have_gone() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-25T09:00:00Z");
    world.walk(&one(START)).await;
    let copy = copied(&folder).await;
    at_times(&world, &one(START), &["2026-11-24T09:00:00Z", "2026-11-24T09:03:00Z", "2026-11-24T09:06:00Z"]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    drop(world);
    let world = put_back(&copy, "2026-11-24T12:00:00Z").await;
    at_times(&world, &one(START), &["2026-11-24T12:00:30Z", "2026-11-24T12:20:00Z", "2026-11-25T09:10:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
    assert!(world.states().await.contains(&"invite held restored".to_owned()), "{:?}", world.states().await);
    assert!(world.states().await.contains(&"reminder 1h waiting".to_owned()), "{:?}", world.states().await);
}

/// What the copy held was over when it was put back; then the clock is set back, and it is to come again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_over_may_have_gone_though_the_clock_is_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-26T10:00:00Z");
    world.walk(&one(START)).await;
    let copy = copied(&folder).await;
    at_times(&world, &one(START), &["2026-11-26T10:03:00Z", "2026-11-26T14:01:00Z"]).await;
    assert_eq!(world.sent(), 2, "the invite and a reminder");
    drop(world);
    let world = put_back(&copy, "2026-11-26T18:00:00Z").await;
    world.outbox.plan_anew().await.unwrap();
    at_times(&world, &one(START), &["2026-11-26T10:00:30Z", "2026-11-26T10:04:00Z", "2026-11-26T14:02:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
}

/// It was due in the lost days, though quiet hours would move it to the morning by now.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_that_quiet_hours_move_may_have_gone_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let world = with_texts(over(&folder.path().join("punctual.db"), "2026-11-24T10:00:00Z"), "");
    let texted = by_text(|s| s["ScheduleTs"] = json!("2026-11-26T00:30:00"));
    world.walk(&texted).await;
    let copy = copied(&folder).await;
    let text = "[[reminder]]\nname = \"24h\"\nbefore = \"24h\"";
    let world = with_texts(world, text);
    // 19:30 in New York, the day before.
    world.set("2026-11-25T00:30:30Z");
    world.walk(&texted).await;
    drop(world);
    // 22:00 there.
    let world = with_texts(put_back(&copy, "2026-11-25T03:00:00Z").await, text);
    world.set("2026-11-25T03:00:10Z");
    world.walk(&texted).await;
    assert!(world.states().await.contains(&"reminder 24h held restored".to_owned()), "{:?}", world.states().await);
}

/// Whoever waited for somebody else's absence is released when that is sure, and may have been told so before.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_absence_releases_late_may_have_been_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    let both = some(&[1, 2], START);
    world.walk(&both).await;
    let copy = copied(&folder).await;
    // The first one is off the list, and the second one has their code and another address.
    let mut slipped = some(&[2], START);
    slipped[0]["Participants"][0]["ConnectCode"] = both[0]["Participants"][0]["ConnectCode"].clone();
    slipped[0]["Participants"][0]["ParticipantEmailAddress"] = json!("new@example.com");
    let times = |hour: &str| ["00", "05", "11", "40"].map(|minute| format!("2026-11-24T{hour}:{minute}:00Z"));
    let gone = times("10");
    at_times(&world, &slipped, &gone.each_ref().map(String::as_str)).await;
    assert!(world.states().await.contains(&"invite accepted".to_owned()), "{:?}", world.states().await);
    drop(world);
    let world = put_back(&copy, "2026-11-24T11:00:00Z").await;
    let again = times("11");
    at_times(&world, &slipped, &again.each_ref().map(String::as_str)).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
}

/// What may have gone, and is over by now, went before what was told since.
#[tokio::test(flavor = "multi_thread")]
async fn what_lapses_late_was_not_told_last() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    let copy = copied(&folder).await;
    drop(world);
    let world = put_back(&copy, "2026-11-24T09:03:00Z").await;
    at_times(&world, &one(START), &["2026-11-24T09:03:10Z"]).await;
    let moved = changed(|s| s["ScheduleTs"] = json!("2026-11-28T20:00:00"));
    at_times(&world, &moved, &["2026-11-24T20:00:00Z", "2026-11-24T20:03:00Z"]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    at_times(&world, &moved, &["2026-11-26T15:01:00Z", "2026-11-26T15:04:00Z", "2026-11-26T16:00:00Z"]).await;
    assert_eq!(world.sent(), 1, "the new time is told once: {:?}", world.states().await);
}

/// What nobody could read since the restore is found again when it can be read, however late.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_for_long_may_have_been_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    let both = some(&[1, 2], START);
    at_times(&world, &both, &["2026-11-24T09:00:00Z", "2026-11-24T09:03:00Z"]).await;
    let copy = copied(&folder).await;
    let mut later = both.clone();
    later[0]["ScheduleTs"] = json!("2026-11-28T20:00:00");
    at_times(&world, &later, &["2026-11-24T10:00:00Z", "2026-11-24T10:03:00Z"]).await;
    assert_eq!(world.sent(), 3, "{:?}", world.states().await);
    drop(world);
    let mut at_fault = later.clone();
    at_fault[0]["ScheduleTs"] = json!("soon");
    let mut person_at_fault = later.clone();
    person_at_fault[0]["Participants"][0]["ConnectCode"] = json!(true);
    for (unread, extent) in
        [(json!([later[1]]), SnapshotKind::Partial), (at_fault, SnapshotKind::Full), (person_at_fault, SnapshotKind::Full)]
    {
        let again = folder.path().join("again.db");
        std::fs::copy(&copy, &again).unwrap();
        let world = put_back(&again, "2026-11-24T11:00:00Z").await;
        for now in ["2026-11-24T11:00:00Z", "2026-11-24T11:10:00Z", "2026-11-24T11:40:00Z"] {
            world.set(now);
            world.walk_some(&unread, extent, &world.policy).await;
            world.once().await;
        }
        at_times(&world, &later, &["2026-11-24T12:00:00Z", "2026-11-24T12:03:00Z"]).await;
        assert_eq!(world.sent(), 0, "{unread}: {:?}", world.states().await);
        assert!(world.states().await.contains(&"rescheduled held restored".to_owned()), "{unread}: {:?}", world.states().await);
        // Then nothing is found again any more.
        let moved = some(&[1, 2], "2026-11-29T20:00:00");
        at_times(&world, &moved, &["2026-11-24T13:00:00Z", "2026-11-24T13:03:00Z"]).await;
        assert_eq!(world.sent(), 2, "{unread}: {:?}", world.states().await);
        drop(world);
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("again.db{end}")));
        }
    }
}

/// Nobody knows whether they heard of the other start: both are called off.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_gone_is_called_off_beside_what_they_know() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    at_times(&world, &one(START), &["2026-11-24T09:00:00Z", "2026-11-24T09:03:00Z"]).await;
    let copy = copied(&folder).await;
    drop(world);
    let world = put_back(&copy, "2026-11-24T09:10:00Z").await;
    let moved = |cancelled: bool| {
        changed(|s| {
            s["ScheduleTs"] = json!("2026-11-28T20:00:00");
            if cancelled {
                s["ScheduleType"] = json!("Cancelled");
            }
        })
    };
    at_times(&world, &moved(false), &["2026-11-24T09:11:00Z", "2026-11-24T09:14:00Z"]).await;
    assert!(world.states().await.contains(&"rescheduled held restored".to_owned()), "{:?}", world.states().await);
    at_times(&world, &moved(true), &["2026-11-24T12:00:00Z", "2026-11-24T12:03:00Z"]).await;
    let mut starts: Vec<String> = world
        .entries()
        .await
        .iter()
        .filter(|e| e.notice.occasion == Occasion::Cancelled && e.state == State::Accepted)
        .map(|e| e.notice.start.format("%d").to_string())
        .collect();
    starts.sort();
    assert_eq!(starts, ["26", "28"], "{:?}", world.states().await);
}

/// What a session is that stands twice nobody knows, so what is new of it when it stands once again may have been told before.
#[tokio::test(flavor = "multi_thread")]
async fn what_stood_twice_since_the_restore_may_have_been_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T09:00:00Z");
    at_times(&world, &one(START), &["2026-11-24T09:00:00Z"]).await;
    let copy = copied(&folder).await;
    let moved = changed(|s| s["Participants"][0]["ParticipantEmailAddress"] = json!("new@example.com"));
    at_times(&world, &moved, &["2026-11-24T09:01:00Z", "2026-11-24T09:04:00Z"]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    drop(world);
    let world = put_back(&copy, "2026-11-24T10:00:00Z").await;
    let mut other = moved[0].clone();
    other["ScheduleTs"] = json!("2026-11-29T15:00:00");
    let twice = json!([moved[0], other]);
    at_times(&world, &twice, &["2026-11-24T10:00:00Z", "2026-11-24T10:30:00Z"]).await;
    at_times(&world, &moved, &["2026-11-24T11:00:00Z", "2026-11-24T11:03:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
}

/// The clock was set back just before the copy was made: what waits in it had not been decided anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_anew_just_after_the_copy_may_have_gone() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_store(&folder, "2026-11-24T20:00:00Z");
    world.walk(&one(START)).await;
    // Ten hours back.
    world.set("2026-11-24T10:00:00Z");
    let copy = copied(&folder).await;
    let says = rusqlite::Connection::open(&copy).unwrap();
    says.execute("UPDATE identity SET copied_at = ?1", [world.clock_now().timestamp_millis()]).unwrap();
    drop(says);
    world.outbox.plan_anew().await.unwrap();
    at_times(&world, &one(START), &["2026-11-24T10:00:10Z", "2026-11-24T10:03:00Z"]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    drop(world);
    let world = put_back(&copy, "2026-11-24T19:00:00Z").await;
    at_times(&world, &one(START), &["2026-11-24T19:00:10Z", "2026-11-24T20:03:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
}

/// Their clock is another one since the copy: by that one it was no night, so it may have gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_quiet_hours_keep_may_have_gone_by_another_clock() {
    let folder = tempfile::tempdir().unwrap();
    let lives_in = |zone: &str| by_text(|s| s["Participants"][0]["ParticipantTimeZoneWindowsId"] = json!(zone));
    let (india, london) = (lives_in("India Standard Time"), lives_in("GMT Standard Time"));
    // Half past nine in the evening in Kolkata.
    let world = with_texts(over(&folder.path().join("punctual.db"), "2026-11-24T16:00:00Z"), "");
    at_times(&world, &india, &["2026-11-24T16:00:00Z", "2026-11-24T16:03:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
    let copy = copied(&folder).await;
    at_times(&world, &london, &["2026-11-24T16:04:00Z", "2026-11-24T16:07:00Z"]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    drop(world);
    let world = with_texts(put_back(&copy, "2026-11-25T01:00:00Z").await, "");
    at_times(&world, &london, &["2026-11-25T01:00:10Z", "2026-11-25T08:03:00Z"]).await;
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
}
