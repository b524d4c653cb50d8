//! After a restore: a letter that may have gone in the time that is forgotten does not go again, and the next one does.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use punctual::clock::WallClock;
use punctual::contact::{Address, EmailAddress};
use punctual::daemon::Engine;
use punctual::digest::MADE_UP_WITHIN;
use punctual::outbox::Access;
use punctual::outbox::postgres::PostgresOutbox;
use punctual::outbox::sqlite::SqliteOutbox;
use punctual::suppression::suppression_key;
use tokio::runtime::Runtime;

use super::*;
use crate::outbox::cluster::cluster;
use crate::reload::Daemon;
use crate::servers::smtp;

/// What the copy knows of the letter that went.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Copied {
    /// Nothing: it was not due yet.
    Before,
    /// It was tried, and put off.
    PutOff,
    /// It went.
    Behind,
}

const ALL: [Copied; 3] = [Copied::Before, Copied::PutOff, Copied::Behind];
const DUE: &str = "2026-11-24T12:00:00Z";

/// A letter goes. `copy`: makes the copy, and gives the store back; `put_back`: opens the copy in its place.
async fn loses_a_letter(
    copied: Copied,
    store: Arc<dyn Outbox>,
    copy: impl AsyncFnOnce(Arc<dyn Outbox>) -> Arc<dyn Outbox>,
    put_back: impl FnOnce() -> Arc<dyn Outbox>,
) {
    let mut world = World::over("2026-11-24T09:00:00Z", store);
    world.walk(&sessions()).await;
    if copied != Copied::Before {
        world.answers(if copied == Copied::PutOff { &[Answer::Later] } else { &[] });
        world.tick(DUE).await;
    }
    let World { outbox, clock, relay, configured } = world;
    world = World { outbox: copy(outbox).await, clock, relay, configured };
    assert_eq!(world.tick("2026-11-24T12:10:00Z").await, 1, "{copied:?}: it went");
    drop(world);
    is_restored(copied, put_back()).await;
}

async fn is_restored(copied: Copied, copy: Arc<dyn Outbox>) {
    let world = World::over("2026-11-24T12:30:00Z", copy);
    let letters = world.digest().settings.lately(at("2026-11-24T12:30:00Z"));
    assert_eq!(letters.len(), 7, "those of a week");
    let restored = world.outbox.hold_restored(&[], &letters, at("2026-11-24T12:30:00Z")).await.unwrap().expect("an older copy");
    assert!(restored.letters > 0 || copied == Copied::Behind, "{copied:?}: {restored:?}");
    assert_eq!(world.tick("2026-11-24T12:31:00Z").await, 0, "{copied:?}: it does not go again");
    assert_eq!(world.tick("2026-11-24T12:05:00Z").await, 0, "{copied:?}: nor by a clock that is set back");
    let state = if copied == Copied::Behind { State::Accepted } else { State::Cancelled };
    assert_eq!(world.state(DUE).await.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [state], "{copied:?}");
    let told: Vec<_> = world.outbox.ledger(None, 0, 100).await.unwrap().into_iter().filter_map(|row| row.detail).collect();
    let says = |word: &str| told.iter().any(|detail| detail.contains(word));
    assert_eq!(says("of 2026-11-24T12:00:00Z: restored"), copied != Copied::Behind, "{copied:?}: {told:?}");
    assert_eq!(says("letters to the practice not sent again"), restored.letters > 0, "{copied:?}: {told:?}");
    assert_eq!(world.tick("2026-11-25T12:00:30Z").await, 1, "{copied:?}: the next one goes");
}

fn at_path(path: &Path, access: Access) -> Arc<SqliteOutbox> {
    Arc::new(SqliteOutbox::open(&format!("sqlite://{}", path.display()), access).unwrap())
}

async fn back_up(path: &Path, copy: &Path) {
    at_path(path, Access::Command).backup(copy, |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_the_lost_time_does_not_go_again() {
    for copied in ALL {
        let folder = tempfile::tempdir().unwrap();
        let (path, back) = (folder.path().join("punctual.db"), folder.path().join("copy.db"));
        let copy = async |store| {
            back_up(&path, &back).await;
            store
        };
        loses_a_letter(copied, at_path(&path, Access::Daemon), copy, || at_path(&back, Access::Daemon)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_another_database_may_have_sent_does_not_go_again() {
    let Some(cluster) = cluster() else { return };
    for (n, copied) in ALL.into_iter().enumerate() {
        let (name, back) = (format!("letters{n}"), format!("letters{n}_back"));
        cluster.create(&name);
        PostgresOutbox::migrate(&cluster.server(&name)).unwrap();
        let open = |name: &str| -> Arc<dyn Outbox> {
            Arc::new(PostgresOutbox::open(&cluster.server(name), "clinic", Access::Daemon, None).unwrap())
        };
        let copy = async |store| {
            drop(store);
            cluster.sql("postgres", &format!("CREATE DATABASE {back} TEMPLATE {name}"));
            open(&name)
        };
        loses_a_letter(copied, open(&name), copy, || open(&back)).await;
    }
}

/// The whole daemon, over a mail server: the letter is in the store when its copy is made, or is not yet.
#[test]
fn a_daemon_on_a_backup_sends_no_second_letter() {
    for is_known in [false, true] {
        let servers = runtime();
        let relay = servers.block_on(smtp::Server::start(|_| None));
        let due = (WallClock.now() - TimeDelta::minutes(5)).with_second(0).unwrap().with_nanosecond(0).unwrap();
        let more = format!(
            "[digest]\nto = [\"front-desk@example.org\"]\nat = \"0 {} {} * * *\"\nalways = true\n[email]\nfrom = \"Lakeside <a@example.org>\"\n\
             [[email.relay]]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
            due.minute(),
            due.hour(),
            relay.port
        );
        let folder = tempfile::tempdir().unwrap();
        let (path, back) = (folder.path().join("punctual.db"), folder.path().join("copy.db"));
        let copy = async |engine: &Engine| {
            if is_known {
                let to = suppression_key(&Address::Email(EmailAddress::parse("front-desk@example.org").unwrap()));
                engine.outbox().add_staff_letters(due, due + MADE_UP_WITHIN, vec![to]).await.unwrap();
            }
            back_up(&path, &back).await;
        };
        let folder = runs(async {
            let daemon = Daemon::begin(folder, &more, copy).await;
            assert_eq!(ended(&daemon, due).await, State::Accepted);
            daemon.end().await
        });
        for behind in ["punctual.db-wal", "punctual.db-shm"] {
            drop(std::fs::remove_file(folder.path().join(behind)));
        }
        std::fs::rename(&back, &path).unwrap();
        runs(async {
            let daemon = Daemon::begin(folder, &more, async |_| {}).await;
            assert_eq!(ended(&daemon, due).await, State::Cancelled, "known to the copy: {is_known}");
            daemon.end().await;
        });
        assert_eq!(relay.bodies().len(), 1, "known to the copy: {is_known}");
    }
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// As a process of its own: all that it began ends with it.
fn runs<T>(process: impl Future<Output = T>) -> T {
    let runtime = runtime();
    let done = runtime.block_on(process);
    runtime.shutdown_timeout(Duration::from_secs(20));
    done
}

/// How the letter of that time ended.
async fn ended(daemon: &Daemon, due: DateTime<Utc>) -> State {
    let soon = async {
        loop {
            let letters = daemon.engine.outbox().staff_letters(due).await.unwrap();
            if let Some(letter) = letters.into_iter().find(|letter| letter.next_attempt_at.is_none()) {
                return letter.state;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), soon).await.expect("it ends soon")
}
