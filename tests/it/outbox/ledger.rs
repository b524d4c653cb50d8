//! The ledger: chained, append-only, and of a store that was restored.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use punctual::contact::PhoneNumber;
use punctual::entry::{Change, State};
use punctual::feedback::answer::Answer;
use punctual::feedback::reply::{AcceptedReply, Changes, reply_key};
use punctual::feedback::word::Word;
use punctual::ledger::{Event, Finding, Link};
use punctual::notice::{Occasion, Reason};
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Actions, ReplaysAfterRestore, Restored, Retention, Upkeep};
use punctual::session::{ParticipationId, SessionId};
use rusqlite::Connection;

use super::fixture::{Store, accepted, minute, notice, walk, walked};

pub(crate) async fn the_ledger_is_chained(store: Store) {
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap(), punctual::ledger::Verified::default(), "an empty one is sound");
    store.one().await;
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, accepted()).await);
    let rows = store.outbox.ledger(None, 0, usize::MAX).await.unwrap();
    let verified = store.outbox.verify_ledger(None).await.unwrap();
    let mut links = HashMap::from([(None, Link::START)]);
    for row in &rows {
        // (With a key: tests/it/outbox/sealed.rs.)
        let link = links.get_mut(&row.chain_id).expect("it was opened");
        *link = if verified.keyed_from.is_none() { link.next(row) } else { row.chain.unwrap() };
        let link = *link;
        assert_eq!(row.chain, Some(link), "{row:?}");
        if row.event == Event::Chain {
            links.insert(row.detail.as_deref().and_then(|detail| detail.split(':').next()?.parse().ok()), link);
        }
    }
    assert!(rows.is_sorted_by_key(|row| row.place), "{rows:?}");
    let opened = links.len() - 1;
    assert_eq!((verified.rows, verified.chains), (5 + opened as u64, opened as u64));
    assert_eq!((verified.head.link, verified.findings), (links[&None], Vec::new()));
    let other = punctual::ledger::Anchor { seq: 3, link: Link([7; 32]) };
    assert_eq!(store.outbox.verify_ledger(Some(other)).await.unwrap().findings, [Finding::NotAnchored { seq: 3 }]);
}

pub(crate) async fn rows_of_an_event_are_found(store: Store) {
    store.one().await;
    let about = |session, person| Some((SessionId(session), ParticipationId(person)));
    for (event, about, detail) in [
        (Event::Called, about(1, 11), "by jane"),
        (Event::Reveal, about(1, 11), "by victor"),
        (Event::Called, about(2, 21), "by victor"),
        (Event::Called, about(3, 31), "by jane"),
        (Event::Called, None, "by nobody"),
        (Event::Called, about(1, 12), "by jane: again"),
    ] {
        store.outbox.record_event_about(minute(1), event, detail, about).await.unwrap();
    }
    let said = async |sessions: &[i64]| {
        let ids: Vec<SessionId> = sessions.iter().copied().map(SessionId).collect();
        let rows = store.outbox.ledger_of(&Event::Called, &ids).await.unwrap();
        rows.into_iter().map(|row| (row.session_id.unwrap().0, row.detail.unwrap())).collect::<Vec<_>>()
    };
    let [jane, victor, again] = ["by jane", "by victor", "by jane: again"].map(str::to_owned);
    assert_eq!(said(&[2, 1]).await, [(1, jane), (2, victor), (1, again)]);
    assert_eq!(said(&[4]).await, []);
    assert_eq!(said(&[]).await, []);
}

/// What another version wrote is read, found, exported and verified as it stands.
pub(crate) async fn words_of_other_versions_stay_as_they_are(store: Store) {
    store.one().await;
    for event in ["paused", "was_paused", "Settled"] {
        store.outbox.record_event_about(minute(1), event.into(), "by jane", Some((SessionId(1), ParticipationId(11)))).await.unwrap();
    }
    let rows = store.ledger().await;
    let words: Vec<&str> = rows.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(words[words.len() - 3..], ["paused", "was_paused", "Settled"]);
    assert_eq!(store.outbox.ledger_of(&"Settled".into(), &[SessionId(1)]).await.unwrap(), rows[rows.len() - 1..]);
    assert!(serde_json::to_string(&rows[rows.len() - 3]).unwrap().contains(r#""event":"paused""#));
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// Another test of this binary may be about to start a child, which has our lock too until its own program begins: that is waited for.
fn open(path: &Path, access: Access) -> SqliteOutbox {
    let url = format!("sqlite://{}", path.display());
    for _ in 0..200 {
        match SqliteOutbox::open(&url, access) {
            Err(e) if e.to_string().contains("another punctual uses it") => std::thread::sleep(std::time::Duration::from_millis(25)),
            opened => return opened.unwrap(),
        }
    }
    panic!("somebody keeps {url} locked");
}

/// A store with one invite that was accepted, and one reminder that is due at minute 100; open.
async fn worked(path: &Path) -> Store {
    let store = Store { outbox: std::sync::Arc::new(open(path, Access::Daemon)), _folder: None };
    store.add(1, &[notice(1, Occasion::Invite, 0), notice(1, Occasion::Reminder, 100)]).await;
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, accepted()).await);
    store
}

/// Whoever can write the file can do this: it is found, not prevented.
#[tokio::test]
async fn what_somebody_does_to_the_file_is_found() {
    let deeds: [(&str, &str, Finding); 4] = [
        ("changes a row", "UPDATE ledger SET detail = 'accepted: 250 Ok' WHERE seq = 3", Finding::Altered { seq: 3 }),
        ("takes a row out", "DELETE FROM ledger WHERE seq = 3", Finding::Missing { from: 3, to: 3 }),
        ("cuts the end off", "DELETE FROM ledger WHERE seq >= 5", Finding::Missing { from: 5, to: 6 }),
        (
            "cuts the end off, and covers it up",
            "DELETE FROM ledger WHERE seq >= 5; UPDATE sqlite_sequence SET seq = 4 WHERE name = 'ledger'",
            Finding::Missing { from: 5, to: 6 },
        ),
    ];
    for (name, sql, finding) in deeds {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        drop(worked(&path).await);
        open(&path, Access::Daemon);
        let tampered = Connection::open(&path).unwrap();
        tampered.execute_batch(&format!("DROP TRIGGER ledger_keeps_its_rows; DROP TRIGGER ledger_loses_no_row; {sql}")).unwrap();
        drop(tampered);
        let found = open(&path, Access::Look).verify_ledger(None).await.unwrap().findings;
        assert!(found.contains(&finding), "{name}: {found:?}");
    }
}

/// A store without its mark may have been cut off at the end: nobody calls it intact. (A copy says that it is one.)
#[tokio::test]
async fn a_ledger_without_its_mark_is_not_called_intact() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other, copy) = (folder.path().join("outbox.db"), folder.path().join("other.db"), folder.path().join("copy.db"));
    drop(worked(&other).await);
    let store = worked(&path).await;
    store.outbox.mark().await.unwrap();
    let head = store.outbox.verify_ledger(None).await.unwrap().head;
    drop(store);
    open(&path, Access::Command).backup(&copy, |_, _| {}).await.unwrap();
    let mark = beside(&path, ".mark");
    let others = fs::read(beside(&other, ".mark")).unwrap();
    for (is, holds) in [("another store's", Some(others)), ("damaged", Some(b"{}".to_vec())), ("missing", None)] {
        holds.map_or_else(|| fs::remove_file(&mark), |holds| fs::write(&mark, holds)).unwrap();
        assert_eq!(open(&path, Access::Look).verify_ledger(None).await.unwrap().findings, [Finding::NoMark { is }]);
        assert_eq!(open(&path, Access::Look).verify_ledger(Some(head)).await.unwrap().findings, [], "{is}: held against an anchor");
    }
    let verified = open(&copy, Access::Look).verify_ledger(None).await.unwrap();
    assert_eq!((verified.findings, verified.copy), (Vec::new(), true), "a copy has none until it runs");
    assert!(
        open(&path, Access::Daemon).hold_restored(&[], &[], minute(9)).await.unwrap().is_some(),
        "the next start takes it for an older copy"
    );
    assert_eq!(open(&path, Access::Look).verify_ledger(None).await.unwrap().findings, [], "and marks it");
}

#[tokio::test]
async fn only_a_prune_takes_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let store = worked(&path).await;
    let raw = Connection::open(&path).unwrap();
    let refused = |sql: &str| raw.execute(sql, []).unwrap_err().to_string();
    assert!(refused("DELETE FROM ledger WHERE seq = 1").contains("append-only"));
    let retention = Retention { content_before: minute(-9), history_before: minute(1) };
    // (Up to the first row that the store's own clock dates: added, added, claimed, begun.)
    assert_eq!(store.outbox.purge(minute(500), retention).await.unwrap().ledger_rows, 4);
    assert!(refused("DELETE FROM ledger WHERE seq = 5").contains("append-only"));
    let verified = store.outbox.verify_ledger(None).await.unwrap();
    assert_eq!((verified.pruned_to, verified.findings), (4, Vec::new()));
}

/// Version 1 had no links.
#[tokio::test]
async fn an_older_store_is_linked_when_it_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../../src/outbox/schema/0001_outbox.sql")).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x504E4354; PRAGMA user_version = 1; INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32));
         INSERT INTO ledger (seq, at, event, detail) VALUES (3, 1, 'reveal', 'session 1'), (4, 2, 'reveal', 'session 2')",
    )
    .unwrap();
    drop(old);
    let store = open(&path, Access::Daemon);
    assert_eq!(store.hold_restored(&[], &[], minute(0)).await.unwrap(), None, "it is no copy: it had no mark yet");
    store.record_event(minute(0), Event::Reveal, "session 3").await.unwrap();
    let verified = store.verify_ledger(None).await.unwrap();
    assert_eq!((verified.rows, verified.pruned_to, verified.findings), (4, 2, Vec::new()), "what version 1 purged is told as pruned");
    assert_eq!(store.commits(), 1, "only the note");
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{}{suffix}", path.file_name().unwrap().to_str().unwrap()))
}

/// How yesterday's file comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Put {
    /// A copy by `backup`.
    Backup,
    /// A copy by `backup`, on a new machine.
    BackupElsewhere,
    /// The files themselves, copied while nothing ran.
    Raw,
    /// Likewise, on a new machine.
    RawElsewhere,
    /// Not at all: the file is gone.
    Lost,
}

/// What was sent since is not sent again: the invite that the copy knows as told stays told, the reminder that it knows as due is held.
#[tokio::test]
async fn a_restored_store_holds_what_may_have_been_sent() {
    for put in [Put::Backup, Put::BackupElsewhere, Put::Raw, Put::RawElsewhere, Put::Lost] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let copy = folder.path().join("copy.db");
        let store = worked(&path).await;
        if matches!(put, Put::Raw | Put::RawElsewhere) {
            drop(store);
            fs::copy(&path, &copy).unwrap();
        } else {
            drop(store);
            let running = open(&path, Access::Daemon);
            running.backup(&copy, |_, _| {}).await.unwrap();
        }
        // The day goes on: the reminder is sent.
        let store = Store { outbox: std::sync::Arc::new(open(&path, Access::Daemon)), _folder: None };
        assert_eq!(store.outbox.hold_restored(&[], &[], minute(99)).await.unwrap(), None, "{put:?}: it is its own");
        let claim = store.doubt_one(100).await;
        assert!(store.settle(101, &claim, accepted()).await);
        store.outbox.mark().await.unwrap();
        drop(store);
        fs::remove_file(&path).unwrap();
        if put != Put::Lost {
            fs::copy(&copy, &path).unwrap();
        }
        if matches!(put, Put::BackupElsewhere | Put::RawElsewhere) {
            fs::remove_file(beside(&path, ".mark")).unwrap();
        }
        starts_held(&path, put).await;
    }
}

async fn starts_held(path: &Path, put: Put) {
    // A start that ends before it has held anything changes nothing for the next one.
    drop(open(path, Access::Daemon));
    let store = Store { outbox: std::sync::Arc::new(open(path, Access::Daemon)), _folder: None };
    let Restored { since, held, .. } =
        store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(120)).await.unwrap().expect("it is a copy");
    assert_eq!(store.outbox.hold_restored(&[], &[], minute(120)).await.unwrap(), None, "{put:?}: once");
    assert_eq!((since.is_some(), held), if put == Put::Lost { (false, 0) } else { (true, 1) }, "{put:?}");
    assert!(store.claim(130).await.is_empty(), "{put:?}: nothing goes");
    let states: Vec<_> = store.all().await.iter().map(|e| (e.state, e.reason)).collect();
    if put != Put::Lost {
        assert_eq!(states, [(State::Accepted, None), (State::Held, Some(Reason::Restored))], "{put:?}");
    }
    let told = store.ledger().await.into_iter().rfind(|r| r.event == "restored").unwrap();
    assert!(told.detail.is_some_and(|d| d.contains(&format!("{held} notices held"))), "{put:?}");
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, [], "{put:?}");

    let found = store.outbox.replays_after_restore("clinic", minute(120)).await.unwrap();
    assert_eq!(found, ReplaysAfterRestore::Everybody, "{put:?}: its walks find again what was told");
    assert_eq!(store.outbox.replays_after_restore("elsewhere", minute(120)).await.unwrap(), ReplaysAfterRestore::Nobody);
    for (at, again) in [(121, true), (130, true), (136, true), (137, false), (200, false)] {
        let found = store.outbox.replays_after_restore("clinic", minute(at)).await.unwrap();
        assert_eq!(found == ReplaysAfterRestore::Everybody, again, "{put:?}, at {at}");
        let later = punctual::outbox::Walk { at: minute(at), ..walk(vec![walked(2, "first", Vec::<Change>::new())]) };
        store.outbox.apply(later).await.unwrap();
    }
    drop(store);
    let next = open(path, Access::Daemon);
    assert_eq!(next.hold_restored(&[], &[], minute(300)).await.unwrap(), None, "{put:?}: the next start is an ordinary one");
}

/// A crash leaves the mark behind the store, never ahead.
#[tokio::test]
async fn a_store_that_got_further_than_its_mark_is_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let store = worked(&path).await;
    store.outbox.mark().await.unwrap();
    let mark = fs::read(beside(&path, ".mark")).unwrap();
    store.outbox.record_event(minute(2), Event::Reveal, "session 1").await.unwrap();
    drop(store);
    let store = open(&path, Access::Daemon);
    let retention = Retention { content_before: minute(-9), history_before: minute(10_000_000) + TimeDelta::days(36_500) };
    store.purge(minute(500), retention).await.unwrap();
    drop(store);
    fs::write(beside(&path, ".mark"), mark).unwrap();
    let store = open(&path, Access::Daemon);
    assert_eq!(store.hold_restored(&[], &[], minute(3)).await.unwrap(), None, "also when the row that it names was pruned");
}

/// A copy made in the middle of the work: what was in hand then may have gone out since.
#[tokio::test]
async fn what_was_in_hand_or_in_doubt_when_it_was_copied_is_not_sent_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("outbox.db"), folder.path().join("copy.db"));
    let first = open(&path, Access::Daemon);
    let busy = Store { outbox: std::sync::Arc::new(open(&path, Access::Command)), _folder: None };
    busy.add(1, &[notice(1, Occasion::Invite, 0)]).await;
    busy.add(2, &[notice(2, Occasion::Invite, 1)]).await;
    busy.add(3, &[notice(3, Occasion::Reminder, 400)]).await;
    let doubtful = busy.doubt_one(0).await;
    assert!(busy.settle(0, &doubtful, super::fixture::unknown(Some(300))).await, "to be sent again at minute 300");
    let in_hand = busy.begin_one(1).await;
    let help = AcceptedReply {
        key: reply_key("twilio", "", "SM1"),
        from: PhoneNumber::parse("404-555-0123", "US").unwrap(),
        word: Word::Help,
        change: Changes::Nothing,
        answer: Some((Answer::Help, "en".to_owned())),
        for_staff: None,
    };
    assert!(busy.outbox.reply(minute(199), help).await.unwrap());
    first.backup(&copy, |_, _| {}).await.unwrap();
    drop((first, busy));
    fs::remove_file(&path).unwrap();
    fs::rename(&copy, &path).unwrap();

    let store = Store { outbox: std::sync::Arc::new(open(&path, Access::Daemon)), _folder: None };
    store.outbox.recover("after", minute(200), true).await.unwrap();
    let restored = store.outbox.hold_restored(&[], &[], minute(200)).await.unwrap().expect("it is a copy");
    assert_eq!(restored.held, 2);
    assert_eq!(store.outbox.waiting_answers().await.unwrap(), [], "somebody may have been answered already");
    assert!(store.claim(350).await.is_empty(), "neither at once nor when the resend would have been");
    let doubtful = store.entry(doubtful.entry.notice.key).await;
    assert_eq!((doubtful.state, doubtful.next_attempt_at), (State::Unknown, None));
    let in_hand = store.entry(in_hand.entry.notice.key).await;
    assert_eq!((in_hand.state, in_hand.reason), (State::Held, Some(Reason::Restored)));
    assert_eq!(store.claim(400).await.len(), 1, "what is due later goes");
}
