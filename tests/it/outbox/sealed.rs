//! A store with a key: nothing private in its files, nothing moved in them unseen, and no other key for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use punctual::contact::Address;
use punctual::entry::Change;
use punctual::feedback::answer::Answer;
use punctual::feedback::reply::{AcceptedReply, Changes, ForStaff, reply_key};
use punctual::feedback::word::Word;
use punctual::guard::{GuardKind, GuardStanding, Member, Noted};
use punctual::ledger::Event;
use punctual::notice::Occasion;
use punctual::outbox::sqlite::{Access, SqliteOutbox, StoreKey};
use punctual::outbox::{Actions, Attempts, Begin, Feedback, Filter, Outbox, Queries, Upkeep, Walks};
use punctual::session::stored::Departed;
use punctual::session::{ParticipationId, Presence, Role, SessionId};
use punctual::suppression::{Suppression, suppression_key};
use rusqlite::Connection;

use super::fixture::{Store, accepted, addressed, begin, lease, mail, minute, request, text, walk, walked};

/// Of 32 times the same byte.
pub(super) fn key(byte: u8) -> StoreKey {
    StoreKey::parse(&format!("{byte:02x}").repeat(32)).unwrap()
}

fn open(path: &Path, key: Option<&StoreKey>) -> Result<SqliteOutbox, String> {
    SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), Access::Daemon, key).map_err(|e| e.to_string())
}

/// What no byte of the files may show. The record's digest and the facts could be tried with candidates of a code.
const PRIVATE: [&str; 8] =
    ["Zebulon Quux", "zebulon", "817263549", "817-263-549", "4045550142", "digest-of-the-record", "digest-of-facts", "guarded-digest"];

/// Fills a store with all that is private, through every table that holds it.
pub(super) async fn fill(outbox: impl Outbox + 'static) {
    let outbox: std::sync::Arc<dyn Outbox> = std::sync::Arc::new(outbox);
    let store = Store { outbox: std::sync::Arc::clone(&outbox), _folder: None };
    let (mail, text) = (addressed(1, Occasion::Invite, 0, mail("zebulon")), addressed(2, Occasion::Invite, 0, text(42)));
    let of = |session, notice: &punctual::notice::Notice| {
        let mut walked = walked(session, "digest-of-the-record", vec![Change::Add(notice.clone())]);
        walked.record = format!(r#"{{"SessionId":{session},"Name":"Zebulon Quux","Email":"zebulon@example.com","Code":817263549}}"#).into();
        let record = r#"{"Name":"Zebulon Quux","Code":817263549}"#.to_owned();
        let id = ParticipationId(session * 10 + 2);
        walked.departed = vec![Departed { id, role: Role::Participant, presence: Presence::Absent, record }];
        walked.known.iter_mut().for_each(|(_, known)| "digest-of-facts".clone_into(&mut known.facts));
        let lately = (GuardKind::Addresses, "zebulon@example.com".to_owned(), "zebulon quux".to_owned());
        walked.lately =
            vec![Noted { id, kind: lately.0, item: lately.1, who: lately.2, contacts: Vec::new(), got: false, until: minute(9) }];
        walked
    };
    let mut all = walk(vec![of(1, &mail), of(2, &text)]);
    let says = "guarded-digest".to_owned();
    let member =
        Member { session: SessionId(1), kind: GuardKind::Codes, people: 1, says, since: minute(0), standing: GuardStanding::Waiting };
    all.guard.joins.push(member);
    store.outbox.apply(all).await.unwrap();
    let claim = store.claim_one(0).await;
    let bytes = "Hello Zebulon Quux, your code is 817-263-549.\r\n".repeat(40).into_bytes();
    let begun = Begin { bytes: bytes.clone().into(), facts: "digest-of-facts".to_owned(), ..begin(&claim, 0) };
    assert_eq!(store.outbox.begin(vec![begun]).await.unwrap(), [true]);
    assert!(store.outbox.doubt(lease(&claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
    assert!(store.settle(1, &claim, accepted()).await);
    store.outbox.suppress(minute(2), &mail.address, Suppression::OptedOut, None).await.unwrap();
    store.outbox.suppress(minute(2), &text.address, Suppression::Bounced, None).await.unwrap();
    let Address::Sms(from) = &text.address else { panic!("it is a number") };
    let answer = Some((Answer::Help, "en".to_owned()));
    let for_staff = Some(ForStaff { text: "This is Zebulon Quux, call 4045550142".to_owned(), about: Vec::new() });
    let key = reply_key("twilio", "", "SM1");
    let help = AcceptedReply { key, from: from.clone(), word: Word::Help, change: Changes::Nothing, answer, for_staff };
    assert!(store.outbox.reply(minute(2), help).await.unwrap());
    assert_eq!(store.outbox.waiting_answers().await.unwrap()[0].to, *from);
    assert_eq!(store.outbox.unread(1).await.unwrap()[0].said.text, "This is Zebulon Quux, call 4045550142");
    assert_eq!(store.outbox.deliveries(mail.key).await.unwrap().1.unwrap(), bytes, "it is read as it was written");
    assert_eq!(store.outbox.suppressions().await.unwrap()[&suppression_key(&mail.address)], Suppression::OptedOut);
}

/// All files of a folder, one after another.
fn bytes(folder: &Path) -> Vec<u8> {
    fs::read_dir(folder).unwrap().flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn shown(folder: &Path) -> Vec<String> {
    let (bytes, unsealed) = (bytes(folder), suppression_key(&mail("zebulon")));
    let is_there = |text: &&str| bytes.windows(text.len()).any(|w| w.eq_ignore_ascii_case(text.as_bytes()));
    PRIVATE.into_iter().chain([unsealed.as_str()]).filter(is_there).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_file_of_it_shows_anybody() {
    for (key, shows) in [(None, true), (Some(key(7)), false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        fill(open(&path, key.as_ref()).unwrap()).await;
        // Before the log is copied into the file, and after; and a copy.
        let store = open(&path, key.as_ref()).unwrap();
        store.record_event(minute(3), Event::Reveal, "session 1").await.unwrap();
        assert_eq!(shown(folder.path()).len(), if shows { PRIVATE.len() + 1 } else { 0 }, "{:?}", shown(folder.path()));
        let copies = tempfile::tempdir().unwrap();
        assert!(store.backup(&copies.path().join("copy.db"), |_, _| {}).await.unwrap().findings.is_empty());
        drop(store);
        for folder in [folder.path(), copies.path()] {
            assert_eq!(!shown(folder).is_empty(), shows, "{:?}", shown(folder));
        }
    }
}

/// Sealed or not: what a prune removed is gone from the disk, while the store is in use and after.
#[tokio::test]
async fn what_was_pruned_is_in_no_file() {
    for key in [None, Some(key(7))] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        fill(open(&path, key.as_ref()).unwrap()).await;
        let store = open(&path, key.as_ref()).unwrap();
        // Somebody else has it open, too.
        let command = SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), Access::Command, key.as_ref()).unwrap();
        assert!(!command.list(&Filter::default()).await.unwrap().is_empty());
        let waiting: Vec<_> = store.list(&Filter::default()).await.unwrap().into_iter().map(|e| e.notice.key).collect();
        store.act(&waiting, punctual::outbox::Action::Cancel, minute(3)).await.unwrap();
        let all = punctual::outbox::Retention { content_before: minute(1 << 20), history_before: minute(1 << 20) };
        store.purge(minute(1 << 20), all).await.unwrap();
        let there = |when: &str| {
            let bytes = bytes(folder.path());
            for text in ["Zebulon Quux", "817263549", "817-263-549"] {
                assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{text}, {when}, key {}", key.is_some());
            }
        };
        there("after the prune");
        drop(command);
        drop(store);
        there("after the stop");
    }
}

/// Whoever has the ledger cannot try numbers against it, with or without a key file.
#[tokio::test]
async fn the_ledger_names_an_address_by_a_key() {
    for key in [None, Some(key(7))] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("outbox.db"), key.as_ref()).unwrap();
        let address = text(42);
        assert!(store.suppress(minute(1), &address, Suppression::OptedOut, None).await.unwrap());
        assert!(store.unsuppress(minute(2), &suppression_key(&address), None).await.unwrap());
        let rows = store.ledger(None, 0, 10).await.unwrap();
        let details: Vec<String> = rows.into_iter().filter_map(|row| row.detail).collect();
        assert_eq!(details.len(), 2);
        assert!(details.iter().all(|detail| !detail.contains(&suppression_key(&address)[..8])), "{details:?}");
        assert!(details[0].ends_with(&details[1]), "the same address is named the same: {details:?}");
    }
}

#[tokio::test]
async fn it_opens_with_its_own_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (sealed, plain) = (folder.path().join("sealed.db"), folder.path().join("plain.db"));
    fill(open(&sealed, Some(&key(7))).unwrap()).await;
    fill(open(&plain, None).unwrap()).await;
    for (path, key, says) in [
        (&sealed, Some(key(8)), "another key than that of [store] key_file"),
        (&sealed, None, "it is sealed: set [store] key_file"),
        (&plain, Some(key(7)), "it was made without a key"),
    ] {
        for access in [Access::Daemon, Access::Command] {
            let error = SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), access, key.as_ref()).err().unwrap().to_string();
            assert!(error.contains(says) && error.contains(&path.display().to_string()), "{error}");
        }
    }
    let copy = folder.path().join("copy.db");
    open(&sealed, Some(&key(7))).unwrap().backup(&copy, |_, _| {}).await.unwrap();
    for path in [&sealed, &copy] {
        let store = open(path, Some(&key(7))).unwrap();
        assert!(store.verify_ledger(None).await.unwrap().findings.is_empty());
        assert_eq!(store.list(&Filter::default()).await.unwrap().len(), 2);
    }
}

/// A start that ended between making the file and sealing it leaves one that the next start may seal.
#[tokio::test]
async fn a_store_that_holds_nothing_yet_may_get_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    drop(open(&path, None).unwrap());
    fill(open(&path, Some(&key(7))).unwrap()).await;
    assert!(open(&path, None).is_err());
    assert_eq!(shown(folder.path()), [] as [&str; 0]);
}

#[tokio::test]
async fn what_was_moved_or_changed_does_not_open() {
    for deed in [
        "UPDATE session SET record = (SELECT record FROM session WHERE id = 2) WHERE id = 1",
        "UPDATE session SET record = digest WHERE id = 1",
        "UPDATE session SET record = '{\"SessionId\":1}' WHERE id = 1",
        "UPDATE session SET record = substr(record, 1, length(record) - 4) || 'AAA=' WHERE id = 1",
        "UPDATE participant SET facts = (SELECT facts FROM participant WHERE session_id = 2 LIMIT 1) WHERE session_id = 1",
        "UPDATE notice SET address = (SELECT address_key FROM suppression LIMIT 1)",
        "UPDATE notice SET facts = (SELECT facts FROM participant LIMIT 1)",
        "UPDATE content SET packed = zeroblob(length(packed))",
        "UPDATE content SET packed = x''",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        fill(open(&path, Some(&key(7))).unwrap()).await;
        assert!(Connection::open(&path).unwrap().execute(deed, []).unwrap() > 0, "{deed}");
        let store = open(&path, Some(&key(7))).unwrap();
        let key = super::fixture::addressed(1, Occasion::Invite, 0, mail("zebulon")).key;
        let errors = [
            store.sessions("clinic", None).await.err(),
            store.known("clinic", &[punctual::session::SessionId(1)]).await.err(),
            store.list(&Filter::default()).await.err(),
            store.deliveries(key).await.err(),
        ];
        let said: Vec<String> = errors.into_iter().flatten().map(|e| e.to_string()).collect();
        assert!(!said.is_empty() && said.iter().all(|e| e.contains("does not open")), "{deed}: {said:?}");
    }
}

#[tokio::test]
async fn claims_of_a_sealed_store_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("outbox.db"), Some(&key(7))).unwrap();
    let notice = addressed(1, Occasion::Invite, 0, mail("zebulon"));
    store.apply(walk(vec![walked(1, "first", vec![Change::Add(notice.clone())])])).await.unwrap();
    let claims = store.claim(request(0)).await.unwrap();
    assert_eq!((claims[0].entry.notice.clone(), claims[0].session.record.text.as_str()), (notice, r#"{"SessionId":1,"Digest":"first"}"#));
}

#[test]
fn keys() {
    for text in [
        &"0f".repeat(32),
        &"0F".repeat(32),
        "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=",
        " Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=\n",
    ] {
        assert_eq!(StoreKey::parse(text).unwrap().keyed("lakeside"), key(15).keyed("lakeside"), "{text}");
    }
    for text in ["", "0f", "a password", &"0f".repeat(31), &"0f".repeat(33)] {
        let why = StoreKey::parse(text).err().unwrap();
        assert!(why.contains("expected 32 random bytes") && !why.contains("password"), "{why}");
    }
    assert_ne!(key(15).keyed("lakeside"), key(16).keyed("lakeside"));
    assert_eq!(format!("{:?}", key(15)), "StoreKey(********)");
}

/// Every column that holds text or bytes is sealed, or named here with what it holds instead of people.
#[test]
fn each_column_is_sealed_or_harmless() {
    let sealed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("session", &["digest", "record"][..]),
        ("participant", &["facts", "record", "person"]),
        ("also_listed", &["record"]),
        ("lately", &["items"]),
        ("notice", &["address", "facts"]),
        ("content", &["packed"]),
        ("suppression", &["address_key"]),
        ("outgoing", &["address", "address_key"]),
        ("heard", &["address_key"]),
        ("said", &["text"]),
        ("guard", &["says"]),
        ("ledger_key", &["key"]),
        ("identity", &["reference_key"]),
    ]);
    let harmless: BTreeMap<&str, &[&str]> = BTreeMap::from([
        // Something sealed: a word, and while the store gets another key, each of the two by the other.
        // Where the store is now: a path, or hosts.
        ("identity", &["key_check", "key_next", "key_before", "moved_to"][..]),
        ("lately", &["source"]),
        // Names of files and paths with a host's number, and ids of sessions.
        ("part", &["source", "name", "sessions"]),
        // Names of sources, digests of the configuration (keyed with the practice), words of the program.
        ("source", &["name", "policy_digest", "adopting"]),
        ("also_listed", &["source", "taken_for"]),
        // And what the log says of a source that cannot be read.
        ("look", &["source", "read_by", "said", "unread_why"]),
        ("guard", &["source", "kind", "standing"]),
        ("guard_passed", &["source", "kind"]),
        // Ids of participations and a reason; never a code.
        ("session", &["source", "ambiguous", "presence", "taken_for"]),
        ("participant", &["source", "presence", "role", "said"]),
        // A notice's key is keyed with the practice; a provider's words are without people, its ids are its own.
        (
            "notice",
            &[
                "key",
                "source",
                "role",
                "occasion",
                "rule",
                "channel",
                "state",
                "reason",
                "phase",
                "server_reply",
                "reference",
                "owner",
                "claimed_from",
                "doubt",
            ],
        ),
        ("delivery", &["phase", "outcome", "transport", "reply", "receipt", "receipt_detail"]),
        // What a message was taken for, never its text; digests of ids of the provider.
        ("reply", &["id", "word"]),
        // The recipient of a letter is the practice's own mailbox, which its configuration names: by its digest.
        ("outgoing", &["key", "kind", "recipient", "answer", "locale", "state", "phase", "owner", "transport", "outcome"]),
        ("rsvp", &["source", "says", "over"]),
        // The number is masked; names of sources, and ids.
        ("said", &["reply_id", "shown", "about"]),
        // Reasons: they repeat no value but what looks like an id of a time zone.
        ("omission", &["source", "role", "occasion", "rule", "channel", "reason", "detail"]),
        ("fault", &["source", "path", "reason"]),
        // As it prints: t*****@example.com.
        ("suppression", &["kind", "shown", "notice_key", "said_by"]),
        // Ids, times, reasons, names of staff; addresses masked, or by a keyed name.
        ("ledger", &["notice_key", "event", "from_state", "to_state", "reason", "detail", "chain"]),
        ("restored", &["source"]),
        // Names by the configuration, and what a server said of itself: no contact stands in it.
        ("transport", &["channel", "name", "why", "probed_by"]),
        // Names of staff, and digests: of random ids, and of hashes of passwords.
        ("visit", &["digest", "name", "mark"]),
        ("expected", &["name"]),
        // What was told to staff: no name, contact or code.
        ("alert", &["key", "text"]),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    drop(open(&path, None).unwrap());
    let file = Connection::open(&path).unwrap();
    let sql = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.type <> 'INTEGER'";
    let mut columns = file.prepare(sql).unwrap();
    let columns = columns.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let unknown: Vec<(String, String)> = columns
        .map(Result::unwrap)
        .filter(|(table, column)| {
            let named = |list: &BTreeMap<&str, &[&str]>| list.get(table.as_str()).is_some_and(|all| all.contains(&column.as_str()));
            named(&sealed) == named(&harmless)
        })
        .collect();
    assert_eq!(unknown, [], "seal it (src/outbox/sqlite/sealed.rs), or say here why it need not be");
}

fn urls(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// HMAC-SHA-256 by the key that docs/security.md names: 32 bytes of 7.
fn chain_key() -> [u8; 32] {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(b"punctual store 1: ledger\x01");
    mac.finalize().into_bytes().into()
}

#[tokio::test]
async fn a_sealed_ledger_is_chained_with_the_key_from_its_first_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    fill(open(&path, Some(&key(7))).unwrap()).await;
    let store = open(&path, Some(&key(7))).unwrap();
    let mut link = punctual::ledger::Link::START;
    for row in store.ledger(None, 0, 1000).await.unwrap() {
        link = link.follow(Some(&chain_key()), &row);
        assert_eq!(row.chain, Some(link), "{row:?}");
    }
    let verified = store.verify_ledger(None).await.unwrap();
    assert_eq!((verified.keyed_from, verified.head.link, verified.findings), (Some(1), link, Vec::new()));
}

/// Whoever can write the file, and has no key, changes a row and recomputes all that follows; or cuts the end off, and sets back all that tells of it.
#[tokio::test]
async fn nobody_without_the_key_rewrites_a_sealed_ledger() {
    use punctual::ledger::{Finding, Link};
    for cut in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        fill(open(&path, Some(&key(7))).unwrap()).await;
        let store = open(&path, Some(&key(7))).unwrap();
        let rows = store.ledger(None, 0, 1000).await.unwrap();
        drop(store);
        let file = Connection::open(&path).unwrap();
        file.execute_batch("DROP TRIGGER ledger_keeps_its_rows").unwrap();
        let triggers = "DROP TRIGGER ledger_loses_no_row";
        if cut {
            file.execute_batch(&format!(
                "{triggers}; DELETE FROM ledger WHERE seq > 2; UPDATE sqlite_sequence SET seq = 2 WHERE name = 'ledger'"
            ))
            .unwrap();
            let mark = folder.path().join("outbox.db.mark");
            let mut set_back: serde_json::Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
            set_back["ledger"] = format!("2:{}", rows[1].chain.unwrap()).into();
            fs::write(&mark, set_back.to_string()).unwrap();
        } else {
            let mut link = rows[0].chain.unwrap();
            for row in &rows[1..] {
                let row = punctual::ledger::LedgerRow { detail: Some("forged".to_owned()), chain: None, ..row.clone() };
                link = Link::next(link, &row);
                file.execute("UPDATE ledger SET detail = 'forged', chain = ?2 WHERE seq = ?1", rusqlite::params![row.seq, link.0]).unwrap();
            }
        }
        drop(file);
        let look = SqliteOutbox::open_with(&urls(&path), Access::Look, Some(&key(7))).unwrap();
        let findings = look.verify_ledger(None).await.unwrap().findings;
        assert!(findings.contains(if cut { &Finding::Mark } else { &Finding::Altered { seq: 2 } }), "{findings:?}");
    }
}

/// A daemon takes a mark that its own key did not write for none, and holds what is due.
#[tokio::test]
async fn a_mark_that_somebody_else_wrote_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    fill(open(&path, Some(&key(7))).unwrap()).await;
    let mark = folder.path().join("outbox.db.mark");
    let mut forged: serde_json::Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    assert!(forged["mac"].is_string(), "{forged}");
    assert_eq!(open(&path, Some(&key(7))).unwrap().hold_restored(&[], &[], minute(0)).await.unwrap(), None, "its own");
    forged.as_object_mut().unwrap().remove("mac");
    fs::write(&mark, forged.to_string()).unwrap();
    assert!(open(&path, Some(&key(7))).unwrap().hold_restored(&[], &[], minute(0)).await.unwrap().is_some());
}

/// The key of Message-IDs and return paths is in no file of a sealed store, and is the same as before.
#[tokio::test]
async fn the_reference_key_is_sealed() {
    for (sealed, shows) in [(None, true), (Some(key(7)), false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        fill(open(&path, sealed.as_ref()).unwrap()).await;
        let store = open(&path, sealed.as_ref()).unwrap();
        let reference = store.reference_key().await.unwrap();
        let there = || bytes(folder.path()).windows(32).any(|w| w == reference);
        assert_eq!(there(), shows, "while it is open");
        drop(store);
        assert_eq!(there(), shows, "after it");
        assert_eq!(open(&path, sealed.as_ref()).unwrap().reference_key().await.unwrap(), reference);
    }
}

/// A store that an earlier release sealed: its chain goes on, keyed from a row that says so; its reference key is the same, and no longer in the file.
#[tokio::test]
async fn a_store_of_an_earlier_release_is_keyed_from_a_row_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("punctual.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("../../fixtures/stores/16-sealed.sql")).unwrap();
    let file = Connection::open(&path).unwrap();
    let before: (i64, [u8; 32]) = file
        .query_row("SELECT (SELECT max(seq) FROM ledger), reference_key FROM identity", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    drop(file);
    let its_own = StoreKey::parse(&"5a".repeat(32)).unwrap();
    for start in ["the first", "the next"] {
        let store = SqliteOutbox::open_with(&urls(&path), Access::Daemon, Some(&its_own)).unwrap();
        assert_eq!(store.reference_key().await.unwrap(), before.1, "{start}");
        store.hold_restored(&[], &[], minute(0)).await.unwrap();
        let verified = store.verify_ledger(None).await.unwrap();
        // It had no mark: what is due is held, which has a row.
        assert_eq!((verified.keyed_from, verified.head.seq, verified.findings), (Some(before.0 + 1), before.0 + 2, Vec::new()), "{start}");
        let row = store.ledger(None, before.0, 10).await.unwrap().remove(0);
        assert_eq!(row.event, "keyed");
        drop(store);
        assert!(!bytes(folder.path()).windows(32).any(|w| w == before.1), "{start}: it is sealed");
    }
    // What came before the keyed part is held by its first row.
    let file = Connection::open(&path).unwrap();
    file.execute_batch("DROP TRIGGER ledger_keeps_its_rows").unwrap();
    file.execute("UPDATE ledger SET detail = 'forged', chain = zeroblob(32) WHERE seq = ?1", [before.0]).unwrap();
    drop(file);
    let look = SqliteOutbox::open_with(&urls(&path), Access::Look, Some(&its_own)).unwrap();
    let findings = look.verify_ledger(None).await.unwrap().findings;
    assert!(findings.contains(&punctual::ledger::Finding::Altered { seq: before.0 + 1 }), "{findings:?}");
}

/// Nobody without the key makes a store look as one of an earlier release left it.
#[tokio::test]
async fn a_store_whose_keys_were_taken_out_does_not_open() {
    for deed in ["DELETE FROM ledger_key", "UPDATE identity SET reference_key = zeroblob(32)"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        fill(open(&path, Some(&key(7))).unwrap()).await;
        Connection::open(&path).unwrap().execute_batch(deed).unwrap();
        let why = open(&path, Some(&key(7))).err().unwrap();
        assert!(why.contains("somebody changed the file"), "{deed}: {why}");
    }
}

/// What docs/security.md prints, of an export of these rows, with these keys.
pub(crate) fn recompute(rows: &[punctual::ledger::LedgerRow], keys: &[String]) -> bool {
    use std::io::Write;
    let page = include_str!("../../../docs/security.md");
    let script: String = page.split("    import hashlib, hmac").nth(1).unwrap().split("\n\n").next().unwrap().replace("\n    ", "\n");
    let script = format!("import hashlib, hmac{script}");
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..keys.len()).map(|n| folder.path().join(n.to_string())).collect();
    files.iter().zip(keys).for_each(|(file, key)| fs::write(file, key).unwrap());
    let mut python = std::process::Command::new("python3");
    python.arg("-c").arg(&script).args(&files).stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = python.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for row in rows {
        let text = serde_json::to_string(row).unwrap();
        drop(writeln!(stdin, "{},\"notice\":null}}", text.strip_suffix('}').unwrap()));
    }
    drop(stdin);
    child.wait().unwrap().success()
}

/// It recomputes the chain of each kind of store: without a key, with one, of an earlier release, and after another key. (Of several chains: chains.rs.)
#[tokio::test]
async fn the_page_recomputes_the_chain_of_each_kind_of_store() {
    let (seven, five) = ("07".repeat(32), "5a".repeat(32));
    let folder = tempfile::tempdir().unwrap();
    let (plain, sealed, earlier) = (folder.path().join("plain"), folder.path().join("sealed"), folder.path().join("earlier"));
    fill(open(&plain, None).unwrap()).await;
    fill(open(&sealed, Some(&key(7))).unwrap()).await;
    Connection::open(&earlier).unwrap().execute_batch(include_str!("../../fixtures/stores/16-sealed.sql")).unwrap();
    let next = key(7).successor().unwrap();
    let second = open(&sealed, Some(&key(7))).unwrap();
    let of_one_key = second.ledger(None, 0, 1000).await.unwrap();
    second.begin_rekey(&next, minute(9)).await.unwrap().unwrap();
    second.finish_rekey(minute(9)).await.unwrap();
    let of_two = second.ledger(None, 0, 1000).await.unwrap();
    assert_eq!(of_two.len(), of_one_key.len() + 2);
    let plain = open(&plain, None).unwrap().ledger(None, 0, 1000).await.unwrap();
    let earlier = open(&earlier, Some(&StoreKey::parse(&five).unwrap())).unwrap().ledger(None, 0, 1000).await.unwrap();
    let both = [seven.clone(), next.text().to_string()];
    for (rows, keys) in [(&plain, &[][..]), (&of_one_key, &both[..1]), (&of_two, &both[..]), (&earlier, &[five][..])] {
        assert!(recompute(rows, keys), "{} keys", keys.len());
        let mut forged = rows.clone();
        forged[2].detail = Some("forged".to_owned());
        assert!(!recompute(&forged, keys));
    }
    assert!(!recompute(&of_two, &[seven]), "not without the new key");
}
