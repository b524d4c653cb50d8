//! Sessions that go from one source to another, and sources that take the place of others.

use punctual::guard::Verdict;

use super::sources::{TWO_DAYS, WAITS, session};
use super::*;

/// How a list changes, and what that is called.
type Change<'a> = (&'a dyn Fn(&mut [Value]), &'a str);

/// Everybody has the address of the next one.
fn slip(all: &mut [Value]) {
    let before = all.to_vec();
    for n in 0..all.len() {
        let next = &before[(n + 1) % before.len()]["Participants"][1];
        all[n]["Participants"][1]["ParticipantEmailAddress"] = next["ParticipantEmailAddress"].clone();
    }
}

fn cancel(all: &mut [Value]) {
    all.iter_mut().for_each(|s| s["ScheduleType"] = json!("Cancelled"));
}

fn shift(all: &mut [Value]) {
    all.iter_mut().for_each(|s| s["ScheduleTs"] = json!("2026-11-26T20:00:00"));
}

/// Twenty sessions of source b that leave it, and are listed by source a in that way.
async fn twenty_leave_for(world: &World, change: impl Fn(&mut [Value]), polls: &str) -> (Vec<Value>, Vec<Value>, usize) {
    let people = |from: i64| (from..from + 20).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect::<Vec<Value>>();
    let (mut theirs, own, rest) = (people(100), people(200), vec![session(99, TWO_DAYS, 100_000_099)]);
    world.walk_of("a", &own).await;
    world.walk_of("b", &[theirs.clone(), rest.clone()].concat()).await;
    world.go("2026-11-24T09:05:00Z").await;
    let before = world.sent();
    change(&mut theirs);
    let all = [own, theirs].concat();
    for (minute, source) in (10..).zip(polls.chars()) {
        world.set(&format!("2026-11-24T09:{}:00Z", 10 + (minute - 10) * 3));
        if source == 'a' {
            world.walk_of("a", &all).await;
        } else {
            world.walk_of("b", &rest).await;
        }
        world.once().await;
    }
    (all, rest, before)
}

#[tokio::test]
async fn sessions_that_go_to_another_source_and_change_on_the_way_wait() {
    let changes: [Change<'_>; 3] = [(&slip, "slip"), (&cancel, "cancel"), (&shift, "shift")];
    for polls in ["ab", "abab", "ba", "baba", "abbbb"] {
        for (change, what) in changes {
            let world = World::new("2026-11-24T09:00:00Z");
            let (_, _, before) = twenty_leave_for(&world, change, polls).await;
            assert_eq!(world.sent(), before, "{what} {polls}: {:?}", world.told(101).await);
            assert!(!world.outbox.guards().await.unwrap().is_empty(), "{what} {polls}");
        }
    }
}

/// What was before is in force, whatever the other source says instead, and whichever is read first.
#[tokio::test]
async fn what_was_rejected_of_sessions_that_go_to_another_source_leaves_what_was_before() {
    let codes = |all: &mut [Value]| (0..all.len()).for_each(|n| all[n]["Participants"][1]["ConnectCode"] = json!(200_000_000 + n));
    let changes: [Change<'_>; 4] = [(&slip, "slip"), (&cancel, "cancel"), (&shift, "shift"), (&codes, "codes")];
    for polls in ["ab", "abab", "baba"] {
        for (change, what) in changes {
            let world = World::new("2026-11-24T09:00:00Z");
            let (stay, gone, before) = twenty_leave_for(&world, change, polls).await;
            let told = world.sent();
            assert_eq!(told, before, "{what} {polls}");
            assert!(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock.now()).await.unwrap() > 0);
            for now in ["09:50", "09:51", "09:55"] {
                world.go(&format!("2026-11-24T{now}:00Z")).await;
                for poll in polls.chars() {
                    world.walk_of(&poll.to_string(), if poll == 'a' { &stay } else { &gone }).await;
                }
            }
            assert_eq!(world.sent(), told, "{what} {polls}");
            assert_eq!(world.told(101).await, WAITS, "{what} {polls}: nothing is ambiguous");
            assert!(world.outbox.guards().await.unwrap().is_empty(), "{what} {polls}: one question");
            world.set("2026-11-25T15:00:00Z");
            world.walk_of("a", &stay).await;
            world.walk_of("b", &gone).await;
            world.once().await;
            assert!(world.told(101).await.contains(&"reminder 24h accepted".to_owned()), "{what} {polls}: {:?}", world.told(101).await);
        }
    }
}

/// Twelve sessions of `old`, told of; then `new` is configured in its place, and lists them changed so. What was told before that.
async fn replaced(world: &World, change: &dyn Fn(&mut [Value]), before: &[&str]) -> (Vec<Value>, usize) {
    let mut all: Vec<Value> = (1..=12).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    world.walk_of("old", &all).await;
    world.go("2026-11-24T09:05:00Z").await;
    let told = world.sent();
    let good = all.clone();
    change(&mut all);
    for what in before {
        match *what {
            "slips" => drop(world.walk_of("old", &all).await),
            "rejected" => drop(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock.now()).await.unwrap()),
            other => panic!("{other}"),
        }
    }
    world.outbox.configure(&["new".to_owned()], world.clock.now()).await.unwrap();
    world.set("2026-11-24T09:30:00Z");
    for minute in 30..33 {
        world.go(&format!("2026-11-24T09:{minute}:00Z")).await;
        world.walk_of("new", &all).await;
    }
    world.go("2026-11-24T09:50:00Z").await;
    (good, told)
}

#[tokio::test]
async fn a_source_in_the_place_of_another_one_is_held_against_what_that_one_said() {
    let changes: [Change<'_>; 3] = [(&slip, "slip"), (&cancel, "cancel"), (&shift, "shift")];
    for (change, what) in changes {
        for before in [&[][..], &["slips"], &["slips", "rejected"]] {
            let world = World::new("2026-11-24T09:00:00Z");
            let (good, told) = replaced(&world, change, before).await;
            assert_eq!(world.sent(), told, "{what} after {before:?}: {:?}", world.told(1).await);
            let waits = !world.outbox.guards().await.unwrap().is_empty();
            assert_eq!(waits, !before.contains(&"rejected"), "{what} after {before:?}");
            // As it was: nothing waits, and nothing was lost.
            world.walk_of("new", &good).await;
            world.go("2026-11-24T10:00:00Z").await;
            assert_eq!(world.sent(), told, "{what} after {before:?}, mended");
            assert!(world.outbox.guards().await.unwrap().is_empty(), "{what} after {before:?}, mended");
        }
    }
    // What an operator accepts is told.
    let world = World::new("2026-11-24T09:00:00Z");
    let (_, told) = replaced(&world, &shift, &[]).await;
    let mut all: Vec<Value> = (1..=12).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    shift(&mut all);
    assert_eq!(world.outbox.accept_guard(None, world.clock.now()).await.unwrap(), 12);
    world.walk_of("new", &all).await;
    world.go("2026-11-24T10:00:00Z").await;
    assert_eq!(world.sent(), told + 12, "each is told the new time");
}

#[tokio::test]
async fn sessions_that_go_to_another_source_unchanged_are_not_held() {
    for polls in ["ab", "ba", "baa", "abab"] {
        let world = World::new("2026-11-24T09:00:00Z");
        let (all, rest, before) = twenty_leave_for(&world, |_| {}, polls).await;
        world.set("2026-11-24T10:00:00Z");
        world.walk_of("a", &all).await;
        world.walk_of("b", &rest).await;
        world.once().await;
        assert_eq!(world.sent(), before, "{polls}");
        assert!(world.outbox.guards().await.unwrap().is_empty(), "{polls}");
        assert_eq!(world.told(101).await, WAITS, "{polls}");
    }
}

#[tokio::test]
async fn a_source_that_is_renamed_takes_over_everything() {
    let world = World::new("2026-11-24T09:00:00Z");
    let one = session(1, TWO_DAYS, 100_000_001);
    world.walk_of("old", std::slice::from_ref(&one)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let now = world.clock.now();
    assert!(world.outbox.rename_source("old", "new", now).await.unwrap());
    assert!(!world.outbox.rename_source("old", "new", now).await.unwrap(), "once");
    assert_eq!(world.outbox.configure(&["new".to_owned()], now).await.unwrap(), 0);
    assert_eq!(world.walk_of("new", std::slice::from_ref(&one)).await.planned, 0);
    assert_eq!((world.told(1).await, world.stands("new").await), (WAITS.map(str::to_owned).to_vec(), vec![1]));
}

#[tokio::test]
async fn a_source_that_is_taken_out_holds_what_waits_until_it_comes_back() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, two) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
    world.walk_of("a", std::slice::from_ref(&one)).await;
    world.walk_of("b", std::slice::from_ref(&two)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let now = world.clock.now();
    assert_eq!(world.outbox.configure(&["a".to_owned()], now).await.unwrap(), 2);
    assert_eq!(world.outbox.configure(&["a".to_owned()], now).await.unwrap(), 0, "they are held");
    assert_eq!(world.told(2).await, ["invite accepted", "reminder 1h held source_gone", "reminder 24h held source_gone"]);
    assert_eq!(world.told(1).await, WAITS);
    world.outbox.configure(&["a".to_owned(), "b".to_owned()], now).await.unwrap();
    world.walk_of("b", std::slice::from_ref(&two)).await;
    assert_eq!(world.told(2).await, WAITS);
    // Or another one lists its sessions.
    world.outbox.configure(&["a".to_owned()], now).await.unwrap();
    world.walk_of("a", &[one, two]).await;
    assert_eq!((world.told(2).await, world.stands("a").await), (WAITS.map(str::to_owned).to_vec(), vec![1, 2]));
}
