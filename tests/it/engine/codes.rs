//! A code that stands for two people keeps both waiting: until when, and what is said of it.

use punctual::desk::{Desk, agenda, status, unreachable};

use super::sources::{TWO_DAYS, WAITS, session};
use super::*;

const CODE: i64 = 300_087_109;
/// The day after.
const THREE_DAYS: &str = "2026-11-27T15:00:00";

fn desk(world: &World) -> Desk {
    Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["a".to_owned(), "b".to_owned()] }
}

#[tokio::test]
async fn the_code_of_a_session_that_is_over_is_free_though_its_list_still_has_it() {
    let (over, new) = (session(1, TWO_DAYS, CODE), session(2, THREE_DAYS, CODE));
    // As one list, or as two.
    for sources in [["a", "a"], ["a", "b"]] {
        let world = World::new("2026-11-24T09:00:00Z");
        let say = async |new: Option<&Value>| {
            let one = [over.clone()].into_iter().chain(new.filter(|_| sources[1] == "a").cloned()).collect::<Vec<_>>();
            world.walk_of("a", &one).await;
            if sources[1] == "b" {
                world.walk_of("b", new.map(std::slice::from_ref).unwrap_or_default()).await;
            }
        };
        say(None).await;
        world.go("2026-11-24T09:05:00Z").await;
        world.set("2026-11-26T16:30:00Z");
        say(Some(&new)).await;
        world.go("2026-11-26T16:40:00Z").await;
        assert!(world.told(2).await.is_empty(), "{sources:?}: the session may still run");
        // It was to take an hour; an hour later nobody is in it.
        world.set("2026-11-26T17:01:00Z");
        say(Some(&new)).await;
        world.go("2026-11-26T17:05:00Z").await;
        assert_eq!(world.told(2).await[0], "invite accepted", "{sources:?}");
    }
}

#[tokio::test]
async fn a_longer_session_keeps_its_code_for_longer() {
    let mut long = session(1, TWO_DAYS, CODE);
    long["DurationPlannedMinutes"] = json!(180);
    let all = [long, session(2, THREE_DAYS, CODE)];
    let world = World::new("2026-11-24T09:00:00Z");
    for (at, told) in [("2026-11-26T18:59:00Z", false), ("2026-11-26T19:01:00Z", true)] {
        world.set(at);
        world.walk_of("a", &all).await;
        world.go(&at.replace(":01:", ":05:")).await;
        assert_eq!(world.told(2).await.first().is_some_and(|state| state == "invite accepted"), told, "{at}");
    }
}

#[tokio::test]
async fn whoever_waited_for_it_until_their_session_began_is_not_lost_in_silence() {
    // Two new ones have one code: neither is ever told.
    let all = [session(1, TWO_DAYS, CODE), session(2, TWO_DAYS, CODE)];
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk_of("a", &all).await;
    let desk = desk(&world);
    let rows = async || {
        let rows = unreachable::unreachable(&desk, world.clock.now()).await.unwrap();
        let patients = rows.into_iter().filter(|row| row.participation_id.is_some_and(|id| id.0 == row.session_id.0 * 10 + 1));
        patients.map(|row| (row.session_id.0, row.reason)).collect::<Vec<_>>()
    };
    assert_eq!(rows().await, [(1, "ambiguous".to_owned()), (2, "ambiguous".to_owned())]);
    assert!(status::status(&desk, world.clock.now()).await.unwrap().attention);
    world.set("2026-11-26T15:02:00Z");
    for _ in 0..2 {
        world.walk_of("a", &all).await;
    }
    for id in [1, 2] {
        assert_eq!(world.told(id).await, ["invite lapsed ambiguous"]);
    }
    world.set("2026-11-27T14:00:00Z");
    world.walk_of("a", &all).await;
    assert_eq!(rows().await, [(1, "lapsed".to_owned()), (2, "lapsed".to_owned())], "they are shown for a day");
    assert_eq!(world.sent(), 0);
}

#[tokio::test]
async fn whoever_knew_of_it_missed_no_invite() {
    let one = session(1, TWO_DAYS, CODE);
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk_of("a", std::slice::from_ref(&one)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let all = [one, session(2, THREE_DAYS, CODE)];
    world.walk_of("a", &all).await;
    assert_eq!(world.told(1).await, ["invite accepted", "reminder 1h held ambiguous", "reminder 24h held ambiguous"]);
    world.set("2026-11-26T15:02:00Z");
    world.walk_of("a", &all).await;
    assert!(world.told(1).await.iter().all(|state| !state.starts_with("invite lapsed")), "{:?}", world.told(1).await);
}

#[tokio::test]
async fn what_waits_of_a_source_that_is_gone_is_listed_before_it_lapses() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk_of("a", &[session(1, TWO_DAYS, CODE)]).await;
    world.walk_of("b", &[session(2, TWO_DAYS, CODE + 1)]).await;
    world.go("2026-11-24T09:05:00Z").await;
    assert_eq!(world.told(1).await, WAITS);
    world.outbox.configure(&["b".to_owned()], world.clock.now()).await.unwrap();
    let desk = Desk { sources: vec!["b".to_owned()], ..desk(&world) };
    let rows = unreachable::unreachable(&desk, world.clock.now()).await.unwrap();
    let held: Vec<_> = rows.iter().filter(|row| row.reason == "held").map(|row| (row.session_id.0, row.detail.clone().unwrap())).collect();
    assert!(matches!(&held[..], [(1, why)] if why.contains("source_gone")), "{rows:?}");
    let days = world.clock.now()..at("2026-12-01T00:00:00Z");
    let page = agenda::unreachable(&desk, days, usize::MAX, world.clock.now()).await.unwrap();
    assert!(page.iter().any(|row| row.session_id.0 == 1 && row.reason == "held"), "the page says it, too: {page:?}");
}

#[tokio::test]
async fn whoever_was_told_the_code_that_both_are_listed_with_keeps_it_when_they_leave_it() {
    let (ann, new) = (session(1, THREE_DAYS, CODE), session(2, THREE_DAYS, CODE));
    let mut without = ann.clone();
    without["Participants"][1]["ConnectCode"] = json!(null);
    for sources in [["a", "a"], ["a", "b"]] {
        let world = World::new("2026-11-24T09:00:00Z");
        let say = async |ann: &Value, new: Option<&Value>| {
            let one = [ann.clone()].into_iter().chain(new.filter(|_| sources[1] == "a").cloned()).collect::<Vec<_>>();
            world.walk_of("a", &one).await;
            if sources[1] == "b" {
                world.walk_of("b", new.map(std::slice::from_ref).unwrap_or_default()).await;
            }
        };
        say(&ann, None).await;
        world.go("2026-11-24T09:05:00Z").await;
        say(&ann, Some(&new)).await;
        world.set("2026-11-24T10:05:00Z");
        for minute in ["10:05", "10:06", "11:30"] {
            say(&without, Some(&new)).await;
            world.go(&format!("2026-11-24T{minute}:00Z")).await;
            assert!(world.told(2).await.is_empty(), "{sources:?} {minute}: {:?}", world.told(2).await);
        }
        // It is corrected: she has another one.
        let other = session(1, THREE_DAYS, CODE + 1);
        for minute in ["11:31", "11:45", "11:50"] {
            say(&other, Some(&new)).await;
            world.go(&format!("2026-11-24T{minute}:00Z")).await;
        }
        assert_eq!(world.told(2).await[0], "invite accepted", "{sources:?}");
        assert!(world.told(1).await.contains(&"updated accepted".to_owned()), "{sources:?}: {:?}", world.told(1).await);
    }
}

#[tokio::test]
async fn whoever_was_told_a_code_keeps_it_though_their_source_is_taken_out() {
    let (ann, new) = (session(1, THREE_DAYS, CODE), session(2, THREE_DAYS, CODE));
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk_of("a", std::slice::from_ref(&ann)).await;
    world.walk_of("b", &[]).await;
    world.go("2026-11-24T09:05:00Z").await;
    world.outbox.configure(&["b".to_owned()], world.clock.now()).await.unwrap();
    let held = ["invite accepted", "reminder 1h held source_gone", "reminder 24h held source_gone"];
    for minute in ["09:06", "09:10", "10:30"] {
        world.walk_of("b", std::slice::from_ref(&new)).await;
        world.go(&format!("2026-11-24T{minute}:00Z")).await;
        assert!(world.told(2).await.is_empty(), "{minute}: {:?}", world.told(2).await);
        assert_eq!(world.told(1).await, held, "{minute}");
    }
}
