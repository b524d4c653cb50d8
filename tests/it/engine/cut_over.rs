//! Who was there before this program came: what they were told counts, and what nobody can have told them is told.

use super::*;

const CUT_OVER: &str =
    "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = false\n[quiet_hours]\nchannels = []\n[invite]\nsettle = \"0s\"\n";

/// The one session, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut sessions = one(START);
    change(&mut sessions[0]);
    sessions
}

/// After these lists, five minutes apart.
async fn after(lists: &[Value]) -> Arc<World> {
    let world = World::with("2026-11-24T09:00:00Z", CUT_OVER);
    for (n, list) in lists.iter().enumerate() {
        for minutes in [10 * n, 10 * n + 5] {
            world.set(&format!("2026-11-24T09:{minutes:02}:00Z"));
            world.walk(list).await;
            world.once().await;
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_mended_to_what_it_was_is_no_news() {
    for (field, bad) in [
        ("ParticipantEmailAddress", json!("a@")),
        ("ParticipantEmailAddress", json!("")),
        ("ParticipantTimeZoneWindowsId", json!("Nowhere")),
        ("ConnectCode", json!(null)),
        ("ConnectCode", json!("oops")),
    ] {
        let broken = changed(|s| s["Participants"][0][field] = bad.clone());
        let world = after(&[one(START), broken.clone(), one(START), broken, one(START)]).await;
        assert_eq!(world.sent(), 0, "{field} {bad}: {:?}", world.states().await);
    }
    let other = changed(|s| s["Participants"][0]["ConnectCode"] = json!(444_555_666));
    let world = after(&[one(START), other]).await;
    assert_eq!(world.sent(), 1, "another code is news");
    assert!(world.last_mail().contains("444555666"), "{}", world.last_mail());
}

/// They know the day that is over.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_of_a_session_that_is_over_hears_of_its_new_day() {
    let world = after(&[one("2026-11-20T15:00:00"), one(START)]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    assert!(world.last_mail().contains("November 26"), "{}", world.last_mail());
    assert!(world.states().await.contains(&"rescheduled accepted".to_owned()), "{:?}", world.states().await);
    let world = after(&[one("2026-11-20T15:00:00"), one("2026-11-20T16:00:00")]).await;
    assert_eq!(world.states().await, [] as [&str; 0], "of what is over nothing is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_have_announced_is_told() {
    let cancelled = |start: &str| {
        let mut sessions = one(start);
        sessions[0]["ScheduleType"] = json!("Cancelled");
        sessions
    };
    let without = |field: &str, value: Value| changed(|s| s["Participants"][0][field] = value);
    for (first, why) in [
        (cancelled(START), "it was cancelled"),
        (cancelled("2026-12-01T15:00:00"), "it was cancelled, and is moved"),
        (without("ParticipantEmailAddress", json!("")), "there was no address"),
        (without("ParticipantEmailAddress", json!("nonsense")), "there was no address that can be used"),
        (without("ConnectCode", json!(null)), "there was no code"),
    ] {
        let world = after(&[first, one(START), one(START)]).await;
        assert_eq!(world.sent(), 1, "{why}: {:?}", world.states().await);
        assert!(world.last_mail().contains("300000011"), "{why}: {}", world.last_mail());
    }
    let host_told = without("ShouldAutoDeliverCode", json!("N"));
    assert_eq!(after(&[host_told, one(START)]).await.sent(), 0, "their host told them");
}
