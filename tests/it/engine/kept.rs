//! Who is kept as they were, while others are not: nobody gets what is still theirs, and nothing is told of what is cancelled.

use punctual::guard::Verdict;

use super::sources::{TWO_DAYS, of_two, session};
use super::*;

/// The codes of four sessions have slipped by one row.
fn slipped() -> Vec<Value> {
    let code = |id: i64| 100_000_000 + id;
    (1..=4).map(|id| session(id, TWO_DAYS, code(id % 4 + 1))).collect()
}

/// What was rejected stays in force: an acceptance of what another one got then gives nobody their code.
#[tokio::test]
async fn what_an_operator_lets_pass_is_no_code_of_somebody_who_is_kept() {
    let world = World::new("2026-11-24T09:00:00Z");
    let list: Vec<Value> = (1..=4).map(|id| if id == 1 { of_two(1) } else { session(id, TWO_DAYS, 100_000_000 + id) }).collect();
    let mut slip = slipped();
    slip[0] = of_two(1);
    slip[0]["Participants"][1]["ConnectCode"] = list[1]["Participants"][1]["ConnectCode"].clone();
    world.walk_of("a", &list).await;
    world.go("2026-11-24T09:05:00Z").await;
    let told = world.sent();
    world.walk_of("a", &slip).await;
    assert!(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock.now()).await.unwrap() > 0);
    world.set("2026-11-24T09:10:00Z");
    world.walk_of("a", &slip).await;
    // The second person of the first session gets another code, which makes it another change; that is let pass.
    let mut again = slip;
    again[0]["Participants"][2]["ConnectCode"] = json!(300_000_001);
    world.set("2026-11-24T09:12:00Z");
    world.walk_of("a", &again).await;
    assert_eq!(world.outbox.guards().await.unwrap().iter().map(|row| row.session_id.0).collect::<Vec<_>>(), [1]);
    world.outbox.accept_guard(None, world.clock.now()).await.unwrap();
    for now in ["2026-11-24T09:13:00Z", "2026-11-24T09:16:00Z", "2026-11-24T09:30:00Z"] {
        world.set(now);
        world.walk_of("a", &again).await;
        world.once().await;
    }
    assert_eq!(world.sent(), told + 1, "only that person is told, for another one has the first one's code: {:?}", world.told(1).await);
    assert!(world.told(1).await.contains(&"reminder 1h held ambiguous".to_owned()), "{:?}", world.told(1).await);
    // The list is mended: nobody is in anybody's way any more.
    for now in ["2026-11-24T09:40:00Z", "2026-11-24T09:43:00Z"] {
        world.set(now);
        world.walk_of("a", &list).await;
        world.once().await;
    }
    let states = world.told(1).await;
    assert!(!states.iter().any(|state| state.contains("ambiguous")), "{states:?}");
}

/// A session whose people changed too much goes to another source, where it is cancelled: it is, and nobody is invited to it.
#[tokio::test]
async fn what_is_cancelled_where_it_goes_to_is_cancelled_whatever_waits_of_it() {
    for told_before in [false, true] {
        let world = World::new("2026-11-24T09:00:00Z");
        let list: Vec<Value> = (1..=4).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
        world.walk_of("a", &[session(9, TWO_DAYS, 100_000_009)]).await;
        world.walk_of("b", &list).await;
        if told_before {
            world.go("2026-11-24T09:05:00Z").await;
        }
        let mut there = slipped()[0].clone();
        there["ScheduleType"] = json!("Cancelled");
        for now in ["2026-11-24T09:05:30Z", "2026-11-24T09:06:00Z", "2026-11-24T09:20:00Z"] {
            world.set(now);
            world.walk_of("a", &[session(9, TWO_DAYS, 100_000_009), there.clone()]).await;
            world.walk_of("b", &slipped()[1..]).await;
            world.once().await;
        }
        let states = world.told(1).await;
        assert!(!states.iter().any(|state| state == "reminder 1h waiting"), "{states:?}");
        assert_eq!(states.contains(&"invite accepted".to_owned()), told_before, "{states:?}");
        assert_eq!(states.contains(&"cancelled accepted".to_owned()), told_before, "{states:?}");
    }
}

/// Who comes with the address of somebody who is kept waits with them, in each later list too.
#[tokio::test]
async fn who_comes_with_what_is_kept_waits_as_long_as_that_is() {
    let world = World::new("2026-11-24T09:00:00Z");
    let address = |id: i64| format!("p{id}@example.com");
    let list: Vec<Value> = (1..=4).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    let mut slip = list.clone();
    (1..).zip(&mut slip).for_each(|(id, one)| one["Participants"][1]["ParticipantEmailAddress"] = json!(address(id % 4 + 1)));
    let mut comes = session(5, TWO_DAYS, 100_000_005);
    comes["Participants"][1]["ParticipantEmailAddress"] = json!(address(1));
    world.walk_of("a", &list).await;
    world.go("2026-11-24T09:05:00Z").await;
    let told = world.sent();
    let mut all = [slip, vec![comes]].concat();
    for (minute, id) in [(10, 6), (12, 7), (14, 8)] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &all).await;
        world.once().await;
        let goes = |state: &String| state.contains("waiting") || state.contains("accepted");
        assert!(!world.told(5).await.iter().any(goes), "at {minute}: {:?}", world.told(5).await);
        let left_out = world.outbox.omissions(&Filter::default()).await.unwrap();
        let shown = left_out.iter().any(|o| o.session.is_some_and(|id| id.0 == 5) && o.reason == Reason::Ambiguous);
        assert!(minute == 10 || shown, "at {minute}: {left_out:?}");
        // Something else is new in the next list.
        all.push(session(id, "2026-12-03T15:00:00", 100_000_000 + id));
    }
    world.outbox.accept_guard(None, world.clock.now()).await.unwrap();
    for now in ["2026-11-24T09:20:00Z", "2026-11-24T09:23:00Z"] {
        world.set(now);
        world.walk_of("a", &all).await;
        world.once().await;
    }
    assert!(world.sent() > told && !world.told(5).await.is_empty(), "{:?}", world.told(5).await);
}

/// Another source said of the session what an operator rejected: it is no contradiction once its own source says so, too.
#[tokio::test]
async fn what_was_rejected_contradicts_nothing() {
    let world = World::new("2026-11-24T09:00:00Z");
    let list: Vec<Value> = (1..=4).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    let mut slip = list.clone();
    slip.iter_mut().for_each(|s| s["Participants"][1]["ParticipantTimeZoneWindowsId"] = json!("Pacific Standard Time"));
    let other = session(9, TWO_DAYS, 100_000_009);
    world.walk_of("a", std::slice::from_ref(&other)).await;
    world.walk_of("b", &list).await;
    world.set("2026-11-24T09:01:00Z");
    world.walk_of("a", &[other.clone(), slip[0].clone()]).await;
    world.walk_of("b", &slip).await;
    assert!(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock.now()).await.unwrap() > 0);
    for now in ["2026-11-24T09:04:00Z", "2026-11-24T09:06:00Z"] {
        world.set(now);
        world.walk_of("a", &[other.clone(), slip[0].clone()]).await;
        world.walk_of("b", &slip).await;
        world.once().await;
    }
    assert!(world.told(1).await.contains(&"invite accepted".to_owned()), "{:?}", world.told(1).await);
    assert!(world.last_mail().contains("10:00"), "as they were, in New York: {}", world.last_mail());
}

/// A new session with the code of somebody whom the guard keeps is held, and shown, while that waits and when it was rejected.
#[tokio::test]
async fn a_new_session_with_the_code_of_somebody_who_is_kept_is_shown() {
    let world = World::new("2026-11-24T09:00:00Z");
    let list: Vec<Value> = (1..=3).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    world.walk_of("a", &list).await;
    world.go("2026-11-24T09:05:00Z").await;
    // The new one and the first one have each other's code.
    let mut then = list.clone();
    then[0]["Participants"][1]["ConnectCode"] = json!(100_000_009);
    then.push(session(9, TWO_DAYS, 100_000_001));
    for (minute, what) in [(6, "it waits"), (8, "it is rejected"), (9, "and looked at again")] {
        world.set(&format!("2026-11-24T09:{minute:02}:00Z"));
        world.walk_of("a", &then).await;
        world.once().await;
        let left_out = world.outbox.omissions(&Filter::default()).await.unwrap();
        let shown = left_out.iter().any(|o| o.session.is_some_and(|id| id.0 == 9) && o.reason == Reason::Ambiguous);
        assert!(shown && world.told(9).await.is_empty(), "{what}: {left_out:?}");
        if minute == 6 {
            assert!(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock.now()).await.unwrap() > 0);
        }
    }
    // The list is mended.
    let mut right = list;
    right.push(session(9, TWO_DAYS, 100_000_009));
    for now in ["2026-11-24T09:20:00Z", "2026-11-24T09:23:00Z"] {
        world.set(now);
        world.walk_of("a", &right).await;
        world.once().await;
    }
    assert!(world.told(9).await.contains(&"invite accepted".to_owned()), "{:?}", world.told(9).await);
}
