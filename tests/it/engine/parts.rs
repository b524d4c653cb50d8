//! A source that is read in parts: the files of a folder, the lists of hosts. One that cannot be read says nothing of what the others list.

use std::sync::Arc;

use punctual::clock::Clock;
use punctual::session::Snapshot;
use punctual::source::{ambiguity, json};
use punctual::walk;
use serde_json::Value;

use super::{START, World, some};

/// What a host's path answers; `None`: 500.
type Host<'v> = (&'v str, Option<&'v Value>);

impl World {
    async fn walk_hosts(&self, hosts: &[Host<'_>]) {
        let mut snapshot = Snapshot::default();
        for (path, says) in hosts {
            match says {
                Some(list) => snapshot.join((*path).to_owned(), json::parse(list.to_string().as_bytes()).unwrap()),
                None => snapshot.lost((*path).to_owned(), "answered 500".to_owned()),
            }
        }
        ambiguity::mark(&mut snapshot, self.clock.now());
        walk::walk(&*self.outbox, "sessions", &snapshot, &self.policy, self.clock.now()).await.unwrap();
    }
}

const TOLD: [&str; 3] = ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"];
const HELD: [&str; 3] = ["invite accepted", "reminder 1h held absent", "reminder 24h held absent"];
const OFF: [&str; 4] = ["cancelled waiting", "invite accepted", "reminder 1h cancelled cancelled", "reminder 24h cancelled cancelled"];

/// Sessions 1 and 2 of the first host, 3 of the second: told.
async fn told() -> Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk_hosts(&[("/session/1", Some(&some(&[1, 2], START))), ("/session/2", Some(&some(&[3], START)))]).await;
    world.set("2026-11-24T09:02:00Z");
    assert_eq!(world.once().await.accepted, 3);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_a_part_that_was_read_is_held_at_once_though_another_one_fails() {
    let world = told().await;
    let (one, second) = (some(&[1], START), some(&[3], START));
    for minute in ["09:05", "09:10", "09:20", "12:00"] {
        world.set(&format!("2026-11-24T{minute}:00Z"));
        world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", None)]).await;
        assert_eq!([world.states_of(1).await, world.states_of(2).await, world.states_of(3).await].map(|s| s.join(", ")), {
            [TOLD, HELD, TOLD].map(|states| states.join(", "))
        });
    }
    // It may have gone to the second one, which is read again: and lists it not.
    world.set("2026-11-24T12:01:00Z");
    world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", Some(&second))]).await;
    assert_eq!(world.states_of(2).await, OFF);
    assert_eq!(world.states_of(3).await, TOLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_stand_in_the_part_that_fails() {
    let world = told().await;
    let (one, second) = (some(&[1], START), some(&[2, 3], START));
    for minute in ["09:05", "09:10", "09:20"] {
        world.set(&format!("2026-11-24T{minute}:00Z"));
        world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", None)]).await;
        assert_eq!(world.states_of(2).await, HELD);
    }
    world.set("2026-11-24T09:21:00Z");
    world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", Some(&second))]).await;
    assert_eq!(world.states_of(2).await, TOLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_for_good_keeps_nobody_from_being_told() {
    let world = told().await;
    let one = some(&[1], START);
    for hour in ["10:00", "12:00", "14:59"] {
        world.set(&format!("2026-11-24T{hour}:00Z"));
        world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", None)]).await;
        assert_eq!(world.states_of(2).await, HELD, "{hour}");
    }
    // For six hours nobody has heard of it: it is not believed any more.
    world.set("2026-11-24T15:10:00Z");
    world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", None)]).await;
    assert_eq!(world.states_of(2).await, OFF);
    world.set("2026-11-25T15:00:00Z");
    world.once().await;
    assert_eq!(world.states_of(3).await, ["invite accepted", "reminder 1h waiting", "reminder 24h held source_stale"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_its_id_is_of_its_own_part() {
    let world = told().await;
    let nameless = serde_json::json!([{ "SessionId": "?", "ScheduleTs": START, "Participants": [] }]);
    let one = some(&[1], START);
    world.set("2026-11-24T09:05:00Z");
    world.walk_hosts(&[("/session/1", Some(&one)), ("/session/2", Some(&nameless))]).await;
    assert_eq!((world.states_of(2).await, world.states_of(3).await), (HELD.map(str::to_owned).to_vec(), TOLD.map(str::to_owned).to_vec()));
    // A part that is there no more has nothing left that could be read.
    world.set("2026-11-24T09:06:00Z");
    world.walk_hosts(&[("/session/1", Some(&one)), ("/session/4", None)]).await;
    assert_eq!(world.states_of(3).await, HELD);
}
