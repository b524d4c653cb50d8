//! Zone data or a configuration that moves the hour on people's clocks, while the source says what it said.

use std::sync::Arc;

use punctual::plan::Policy;
use punctual::session::SnapshotKind;

use super::{CONFIGURATION, START, World, configuration, some};

/// The same but for the clocks: as if Ontario's government had moved them.
fn moved() -> Arc<Policy> {
    let mapped = format!("{CONFIGURATION}[time_zones]\n\"Eastern Standard Time\" = \"America/Chicago\"\n");
    Arc::new(configuration(&mapped).policy)
}

async fn invited(ids: &[i64]) -> Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(ids, START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), ids.len());
    world.set("2026-11-24T10:00:00Z");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_are_told_the_new_hour() {
    let ids = [1, 2, 3];
    let (world, policy) = (invited(&ids).await, moved());
    assert_eq!(world.walk_some(&some(&ids, START), SnapshotKind::Full, &policy).await.guarded, 0);
    world.set("2026-11-24T10:02:00Z");
    world.once_by(&policy).await;
    assert_eq!(world.sent(), 6);
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting", "updated accepted"]);
    let mail = world.last_mail();
    assert!(mail.contains("9:00 AM Central Standard Time"), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wait_for_an_operator_and_nobody_is_told_either_hour() {
    let ids: Vec<i64> = (1..=10).collect();
    let (world, policy) = (invited(&ids).await, moved());
    for minute in ["10:00", "10:10", "10:30"] {
        world.set(&format!("2026-11-24T{minute}:00Z"));
        assert_eq!(world.walk_some(&some(&ids, START), SnapshotKind::Full, &policy).await.guarded, 10, "{minute}");
    }
    assert!(world.outbox.guards().await.unwrap().iter().all(|g| g.kind.as_str() == "clocks"));
    world.set("2026-11-25T15:00:00Z");
    world.walk_some(&some(&ids, START), SnapshotKind::Full, &policy).await;
    world.once_by(&policy).await;
    assert_eq!(world.sent(), 10, "the reminder is held, too");
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h held guard", "reminder 24h held guard"]);
    world.outbox.accept_guard(None, "2026-11-25T15:01:00Z".parse().unwrap()).await.unwrap();
    world.set("2026-11-25T15:01:00Z");
    assert_eq!(world.walk_some(&some(&ids, START), SnapshotKind::Full, &policy).await.guarded, 0);
    world.set("2026-11-25T15:04:00Z");
    assert_eq!(world.walk_some(&some(&ids, START), SnapshotKind::Full, &policy).await.guarded, 0);
    world.once_by(&policy).await;
    assert_eq!(world.sent(), 20, "each is told the new hour; the reminder is too close behind it");
    assert!(world.last_mail().contains("9:00 AM Central Standard Time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_clocks_again_clear_it() {
    let ids: Vec<i64> = (1..=10).collect();
    let (world, policy) = (invited(&ids).await, moved());
    assert_eq!(world.walk_some(&some(&ids, START), SnapshotKind::Full, &policy).await.guarded, 10);
    assert_eq!(world.walk(&some(&ids, START)).await.guarded, 0);
    world.set("2026-11-24T12:00:00Z");
    world.once().await;
    assert_eq!(world.sent(), 10);
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"]);
}
