//! A store that an earlier release left is brought up to date, and nobody is told anything because of it.
//!
//! `fixtures/stores/16-*.sql` were written by `punctual run --once` (schema 16), which looked twice at `16.json` and at what stood there before:
//! session 1 lost somebody, session 5 left, two sources list session 1, and the practice says what the words of 2, 3 and 4 mean.

use std::path::Path;

use punctual::config;
use punctual::entry::State;
use punctual::outbox::sqlite::{Access, SqliteOutbox, StoreKey};
use punctual::outbox::{Filter, Queries, Upkeep, Walks};
use punctual::session::{Presence, SessionId, TakenFor};
use punctual::source::{ambiguity, json, meaning, stored};
use punctual::walk;
use rusqlite::Connection;

const KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

const CONFIG: &str = r#"
[practice]
id = "lakeside"
name = "Lakeside Telehealth"
time_zone = "America/New_York"
[[source]]
name = "clinic"
kind = "file"
path = "sessions.json"
[source.status]
"On Hold" = "live"
"Billed" = "over"
"Waitlist" = "cancelled"
[email]
from = "Lakeside <sessions@example.org>"
[[email.relay]]
kind = "folder"
path = "out"
[adopt]
invites = true
"#;

/// The store in a file of that folder, as this release opens it.
fn opened(folder: &Path, sql: &str, key: Option<&StoreKey>) -> SqliteOutbox {
    let path = folder.join("punctual.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), Access::Daemon, key).unwrap()
}

#[tokio::test]
async fn a_store_of_the_release_before_says_the_same_and_tells_nobody_again() {
    let body = include_bytes!("../../fixtures/stores/16.json");
    let key = StoreKey::parse(KEY).unwrap();
    for (sql, key) in
        [(include_str!("../../fixtures/stores/16-plain.sql"), None), (include_str!("../../fixtures/stores/16-sealed.sql"), Some(&key))]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path(), sql, key);
        let sessions = store.sessions("clinic", None).await.unwrap();
        let stands: Vec<_> = sessions.iter().map(|s| (s.id.0, s.presence, s.record.taken_for, s.departed.len())).collect();
        let (live, over, off) = (Some(TakenFor::Live), Some(TakenFor::Over), Some(TakenFor::Cancelled));
        let listed = Presence::Listed;
        assert_eq!(
            stands,
            [(1, listed, None, 1), (2, listed, live, 0), (3, listed, over, 0), (4, listed, off, 0), (5, Presence::Absent, None, 0)]
        );
        assert!(sessions.iter().all(|s| !s.record.text.contains("Punctual") && stored::session(s).is_some()));
        assert_eq!(stored::session(&sessions[0]).unwrap().participants.len(), 3, "whoever left is remembered");
        let also = store.also().await.unwrap();
        assert_eq!((also.len(), also[0].1.record.taken_for), (1, live));

        let before = states(&store).await;
        assert_eq!(before.iter().filter(|(_, state)| *state == State::Accepted).count(), 2);
        let config = config(folder.path(), key);
        let mut snapshot = json::parse(body).unwrap();
        meaning::apply(&mut snapshot, &config.sources[0].words);
        let now = "2027-02-20T12:11:00Z".parse().unwrap();
        ambiguity::mark(&mut snapshot, now);
        let report = walk::walk(&store, "clinic", &snapshot, &config.policy, now).await.unwrap();
        let applied = &report.applied;
        assert_eq!((applied.added, applied.moved, applied.ended), (0, 0, 0), "{report:?}");
        assert_eq!(states(&store).await, before);

        // From now on it is byte for byte what the source said.
        let second = store.sessions("clinic", Some(&[SessionId(2)])).await.unwrap().remove(0);
        assert!(second.record.text.contains("\n      \"SessionId\"") || second.record.text.contains("\n    \"SessionId\""));
        assert!(std::str::from_utf8(body).unwrap().contains(&second.record.text));
        assert_eq!(second.record.taken_for, live);
        store.hold_restored(&[], &[], now).await.unwrap();
        assert_eq!(store.verify_ledger(None).await.unwrap().findings, []);
    }
}

async fn states(store: &SqliteOutbox) -> Vec<(String, State)> {
    store.list(&Filter::default()).await.unwrap().iter().map(|e| (e.notice.key.to_string(), e.state)).collect()
}

/// The configuration of that run.
fn config(folder: &Path, key: Option<&StoreKey>) -> config::Config {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.join("key");
    std::fs::write(&file, KEY).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sealed = if key.is_some() { "[store]\nkey_file = \"key\"\n" } else { "" };
    config::parse(&format!("{CONFIG}{sealed}"), Some(&folder.join("punctual.toml")), &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}
