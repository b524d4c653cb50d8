//! A store with a key: nothing private in its files, nothing moved in them unseen, and no other key for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use punctual::contact::Address;
use punctual::entry::Change;
use punctual::feedback::answer::Answer;
use punctual::feedback::reply::{Changes, ForStaff, Taken, reply_key};
use punctual::feedback::word::Word;
use punctual::guard::{GuardKind, Member, Standing};
use punctual::notice::Occasion;
use punctual::outbox::sqlite::{Access, SqliteOutbox, StoreKey};
use punctual::outbox::{Acts, Attempts, Begin, Feedback, Filter, Outbox, Queries, Upkeep, Walks};
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
async fn fill(outbox: SqliteOutbox) {
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
        walked
    };
    let mut all = walk(vec![of(1, &mail), of(2, &text)]);
    let says = "guarded-digest".to_owned();
    let member = Member { session: SessionId(1), kind: GuardKind::Codes, people: 1, says, since: minute(0), standing: Standing::Waiting };
    all.guard.joins.push(member);
    store.outbox.apply(all).await.unwrap();
    let claim = store.claim_one(0).await;
    let bytes = "Hello Zebulon Quux, your code is 817-263-549.\r\n".repeat(40).into_bytes();
    let begun = Begin { bytes: bytes.clone().into(), facts: "digest-of-facts".to_owned(), ..begin(&claim, 0) };
    assert_eq!(store.outbox.begin(vec![begun]).await.unwrap(), [true]);
    assert!(store.outbox.doubt(lease(&claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
    assert!(store.settle(1, &claim, accepted()).await);
    store.outbox.suppress(minute(2), &mail.address, Suppression::OptedOut).await.unwrap();
    store.outbox.suppress(minute(2), &text.address, Suppression::Bounced).await.unwrap();
    let Address::Sms(from) = &text.address else { panic!("it is a number") };
    let answer = Some((Answer::Help, "en".to_owned()));
    let for_staff = Some(ForStaff { text: "This is Zebulon Quux, call 4045550142".to_owned(), about: Vec::new() });
    let key = reply_key("twilio", "", "SM1");
    let help = Taken { key, from: from.clone(), word: Word::Help, change: Changes::Nothing, answer, for_staff };
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
        store.note(minute(3), "reveal", "session 1").await.unwrap();
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
        store.act(&waiting, punctual::outbox::Act::Cancel, minute(3)).await.unwrap();
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
        assert!(store.suppress(minute(1), &address, Suppression::OptedOut).await.unwrap());
        assert!(store.unsuppress(minute(2), &suppression_key(&address)).await.unwrap());
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
        ("notice", &["address", "facts"]),
        ("content", &["packed"]),
        ("suppression", &["address_key"]),
        ("answer", &["address", "address_key"]),
        ("heard", &["address_key"]),
        ("said", &["text"]),
        ("guard", &["says"]),
    ]);
    let harmless: BTreeMap<&str, &[&str]> = BTreeMap::from([
        // Random, drawn for the store; something sealed.
        ("identity", &["reference_key", "key_check"][..]),
        // Names of sources, digests of the configuration (keyed with the practice), words of the program.
        ("source", &["name", "policy_digest", "adopting"]),
        ("also_listed", &["source", "taken_for"]),
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
        ("answer", &["reply_id", "kind", "locale", "state", "outcome"]),
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
        ("expected", &["name"]),
        // What was told to staff: no name, contact or code.
        ("alert", &["key", "text"]),
        // The practice's own mailboxes, which its configuration names.
        ("staff_letter", &["recipient", "state"]),
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
