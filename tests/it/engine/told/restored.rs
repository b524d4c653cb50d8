//! After a restore: what the lost days may have told counts as told.

use punctual::outbox::sqlite::{Access, SqliteOutbox};

use super::*;

/// A world whose store is that file.
fn over(path: &std::path::Path, now: &str) -> Arc<World> {
    let store = SqliteOutbox::open(&format!("sqlite://{}", path.display()), Access::Daemon).unwrap();
    let Ok(world) = Arc::try_unwrap(World::new(now)) else { panic!("nobody else has it") };
    let world = Arc::new(World { outbox: Arc::new(store), ..world });
    *world.transport.world.lock().unwrap() = Some(Arc::downgrade(&world));
    world
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
        let held = world.outbox.hold_restored(&["sessions".to_owned()], world.clock_now()).await.unwrap();
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
