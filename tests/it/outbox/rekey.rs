//! Another key for a sealed store: while it is in use, whatever ends it in the middle, and nothing of the old key left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use punctual::contact::Address;
use punctual::entry::Change;
use punctual::guard::{GuardKind, Noted};
use punctual::notice::Occasion;
use punctual::outbox::sqlite::{Access, Reached, Rekeying, SqliteOutbox, StoreKey};
use punctual::outbox::{Feedback, Filter, Queries, Upkeep, Walks};
use punctual::session::{ParticipationId, SessionId};
use punctual::suppression::{Suppression, suppression_key};
use rusqlite::Connection;

use super::fixture::{accepted, addressed, mail, minute, text, walk, walked};
use super::sealed::key;

/// More than one transaction of them.
const SESSIONS: i64 = 260;

fn open(path: &Path, access: Access, key: &StoreKey) -> Result<SqliteOutbox, String> {
    SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), access, Some(key)).map_err(|e| e.to_string())
}

/// One is due at once.
fn due(session: i64) -> i64 {
    if session == 2 { 0 } else { 100 }
}

/// A folder with a store that knows much, and what stands in it.
async fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let store = open(&path, Access::Daemon, &key(7)).unwrap();
    let sessions = (1..=SESSIONS).map(|n| {
        let to = if n % 2 == 0 { mail(&format!("person{n}")) } else { text(42) };
        let mut walked = walked(n, &format!("digest {n}"), vec![Change::Add(addressed(n, Occasion::Invite, due(n), to))]);
        walked.known.iter_mut().for_each(|(id, known)| known.person = Some(format!("somebody {id}")));
        let (item, who) = (format!("somebody{n}@example.com"), format!("somebody {n}"));
        let id = ParticipationId(n * 10 + 1);
        walked.lately = vec![Noted { id, kind: GuardKind::Addresses, item, who, contacts: Vec::new(), got: true, until: minute(900) }];
        walked
    });
    store.apply(walk(sessions.collect())).await.unwrap();
    let store = super::fixture::Store { outbox: std::sync::Arc::new(store), _folder: None };
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, accepted()).await);
    for to in [mail("blocked"), text(43)] {
        store.outbox.suppress(minute(2), &to, Suppression::OptedOut, None).await.unwrap();
    }
    drop(store);
    (folder, path)
}

/// All that a store says, as far as the key may matter.
async fn says(store: &SqliteOutbox) -> String {
    let ids: Vec<SessionId> = (1..=SESSIONS).map(SessionId).collect();
    let mut known: Vec<_> = store.known("clinic", &ids).await.unwrap().into_iter().map(|k| format!("{k:?}")).collect();
    known.sort();
    let Address::Sms(number) = text(42) else { panic!("it is a number") };
    let told = [store.open_sessions(&number, minute(1)).await.unwrap()];
    let first = addressed(1, Occasion::Invite, due(1), text(42)).key;
    let kept = [addressed(2, Occasion::Invite, 0, mail("person2")).key, first];
    let mut deliveries = Vec::new();
    for key in kept {
        deliveries.push(store.deliveries(key).await.unwrap());
    }
    format!(
        "{:?} {:?} {:?} {known:?} {:?} {told:?} {deliveries:?} {:?}",
        store.sessions("clinic", None).await.unwrap(),
        store.lately(minute(0)).await.unwrap().iter().flat_map(|said| &said.items).map(|one| &one.item).collect::<Vec<_>>(),
        store.list(&Filter::default()).await.unwrap(),
        store.suppressions().await.unwrap()[&suppression_key(&mail("blocked"))],
        store.reference_key().await.unwrap(),
    )
}

/// What is sealed in the file now.
fn sealed_values(path: &Path) -> Vec<Vec<u8>> {
    let file = Connection::open(path).unwrap();
    let mut found = Vec::new();
    for sql in [
        "SELECT digest FROM session",
        "SELECT record FROM session WHERE record <> ''",
        "SELECT facts FROM participant",
        "SELECT person FROM participant WHERE person IS NOT NULL",
        "SELECT address FROM notice",
        "SELECT packed FROM content",
        "SELECT address_key FROM suppression",
        "SELECT key FROM ledger_key",
        "SELECT reference_key FROM identity",
        "SELECT key_check FROM identity",
        "SELECT key_next FROM identity WHERE key_next IS NOT NULL",
        "SELECT key_before FROM identity WHERE key_before IS NOT NULL",
    ] {
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            let value = row.get_ref(0)?;
            Ok(value.as_bytes().unwrap().to_vec())
        });
        found.extend(rows.unwrap().map(Result::unwrap));
    }
    found
}

/// Those of them that stand somewhere in the files of the folder, by their first 40 bytes: nonce, and the beginning of what is sealed.
fn left(folder: &Path, values: &[Vec<u8>]) -> usize {
    let mut bytes = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        bytes.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let wanted: std::collections::HashSet<&[u8]> = values.iter().map(|v| &v[..40.min(v.len())]).collect();
    let windows: std::collections::HashSet<&[u8]> = bytes.windows(40).collect();
    wanted.into_iter().filter(|v| windows.contains(v)).count()
}

async fn all_of_it(store: &SqliteOutbox) {
    let mut next = Some(Reached::default());
    while let Some(reached) = next {
        next = store.rekey_some(reached).await.unwrap();
    }
}

/// The daemon goes on with what it has open, and learns of the new key by itself.
#[tokio::test]
async fn a_store_gets_another_key_while_it_is_in_use() {
    let (folder, path) = filled().await;
    let daemon = open(&path, Access::Daemon, &key(7)).unwrap();
    let (before, new) = (says(&daemon).await, key(7).successor().unwrap());
    let head = daemon.verify_ledger(None).await.unwrap().head;
    let command = open(&path, Access::Command, &key(7)).unwrap();
    assert!(matches!(command.rekeying().await.unwrap(), Rekeying::No));
    command.begin_rekey(&new, minute(3)).await.unwrap().unwrap();
    let of_begin = sealed_values(&path);
    let (mut next, mut steps) = (Some(Reached::default()), 0);
    while let Some(reached) = next {
        assert_eq!(says(&daemon).await, before, "at step {steps}");
        // It writes, and looks for what it wrote.
        daemon.suppress(minute(4), &text(50 + u32::try_from(steps).unwrap()), Suppression::OptedOut, None).await.unwrap();
        next = command.rekey_some(reached).await.unwrap();
        steps += 1;
    }
    assert!(steps > 8, "{steps} transactions");
    assert_eq!(says(&daemon).await, before);
    command.finish_rekey(minute(5)).await.unwrap();
    assert_eq!(says(&daemon).await, before, "also once the old key is nobody's");
    assert!(daemon.unsuppress(minute(6), &suppression_key(&text(51)), None).await.unwrap(), "what it wrote meanwhile is found");
    drop((daemon, command));
    assert!(open(&path, Access::Daemon, &key(7)).err().unwrap().contains("sealed with another key"));
    let store = open(&path, Access::Daemon, &new).unwrap();
    assert_eq!(says(&store).await, before);
    let verified = store.verify_ledger(Some(head)).await.unwrap();
    assert_eq!((verified.keyed_from, verified.findings), (Some(1), Vec::new()), "old rows and new ones, against an anchor of before");
    drop(store);
    assert_eq!(left(folder.path(), &of_begin[of_begin.len() - 3..]), 0, "neither key is there, sealed by the other");
}

#[tokio::test]
async fn nothing_that_the_old_key_sealed_is_left() {
    let (folder, path) = filled().await;
    let of_old = sealed_values(&path);
    assert!(of_old.len() > 1_000 && left(folder.path(), &of_old) == of_old.len() - duplicates(&of_old));
    let new = key(7).successor().unwrap();
    let store = open(&path, Access::Command, &key(7)).unwrap();
    store.begin_rekey(&new, minute(3)).await.unwrap().unwrap();
    let of_begin = sealed_values(&path);
    all_of_it(&store).await;
    store.finish_rekey(minute(4)).await.unwrap();
    assert!(store.has_forgotten());
    assert_eq!((left(folder.path(), &of_old), left(folder.path(), &of_begin[of_begin.len() - 3..])), (0, 0), "while it is open");
    drop(store);
    assert_eq!(left(folder.path(), &of_old), 0, "after it");
    assert_eq!(left(folder.path(), &sealed_values(&path)), {
        let now = sealed_values(&path);
        now.len() - duplicates(&now)
    });
}

/// Values that are the same as another one: `seal_alike` makes them.
fn duplicates(values: &[Vec<u8>]) -> usize {
    values.len() - values.iter().map(|v| &v[..40.min(v.len())]).collect::<std::collections::HashSet<_>>().len()
}

/// Wherever it ends: either key opens it, all is there, and it goes on.
#[tokio::test]
async fn whatever_ends_it_either_key_opens_the_store_and_it_goes_on() {
    let (_folder, path) = filled().await;
    let before = says(&open(&path, Access::Command, &key(7)).unwrap()).await;
    let new = key(7).successor().unwrap();
    open(&path, Access::Command, &key(7)).unwrap().begin_rekey(&new, minute(3)).await.unwrap().unwrap();
    for steps in [0, 1, 2, 5, 100] {
        for either in [&key(7), &new] {
            let store = open(&path, Access::Daemon, either).unwrap();
            assert!(matches!(store.rekeying().await.unwrap(), Rekeying::Begun { new: n, .. } if n.is(&new)));
            assert_eq!(says(&store).await, before, "after {steps} steps");
            assert_eq!(store.verify_ledger(None).await.unwrap().findings, []);
            let mut next = Some(Reached::default());
            for _ in 0..steps {
                let Some(reached) = next else { break };
                next = store.rekey_some(reached).await.unwrap();
            }
        }
    }
    let again = open(&path, Access::Command, &new).unwrap();
    assert!(again.begin_rekey(&new.successor().unwrap(), minute(4)).await.unwrap().is_err(), "one at a time");
    all_of_it(&again).await;
    again.finish_rekey(minute(5)).await.unwrap();
    assert_eq!(says(&again).await, before);
    // And another one after that.
    let third = new.successor().unwrap();
    again.begin_rekey(&third, minute(6)).await.unwrap().unwrap();
    all_of_it(&again).await;
    again.finish_rekey(minute(7)).await.unwrap();
    drop(again);
    for old in [&key(7), &new] {
        assert!(open(&path, Access::Daemon, old).is_err());
    }
    let store = open(&path, Access::Daemon, &third).unwrap();
    assert_eq!((says(&store).await, store.verify_ledger(None).await.unwrap().findings), (before, Vec::new()));
}

/// A key that was made for no store, or for another one: with it every notice would have another key, and be told again.
#[tokio::test]
async fn a_key_that_would_tell_everybody_again_is_refused() {
    let (_folder, path) = filled().await;
    let store = open(&path, Access::Command, &key(7)).unwrap();
    for wrong in [key(8), key(7), key(8).successor().unwrap()] {
        assert!(store.begin_rekey(&wrong, minute(3)).await.unwrap().is_err());
    }
    let new = key(7).successor().unwrap();
    store.begin_rekey(&new, minute(3)).await.unwrap().unwrap();
    all_of_it(&store).await;
    store.finish_rekey(minute(4)).await.unwrap();
    drop(store);
    let text = new.text().to_string();
    let (first, second) = text.trim().split_once('\n').unwrap();
    assert_eq!(StoreKey::parse(&text).unwrap().keyed("lakeside"), key(7).keyed("lakeside"));
    let first_alone = StoreKey::parse(first).unwrap();
    assert!(open(&path, Access::Daemon, &first_alone).err().unwrap().contains("the second line of [store] key_file is not"));
    for wrong in [format!("{first}\nnotices"), format!("{first}\n{first}"), format!("{text}\n{second}")] {
        assert!(StoreKey::parse(&wrong).is_err(), "{wrong}");
    }
}

/// The variable that tells this binary to be the child: the path of the store.
const CHILD: &str = "PUNCTUAL_TEST_REKEYED";

/// In the child: seals all anew, over and over, until it is killed.
#[test]
#[ignore = "the child of another test"]
fn child_seals_anew() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let path = PathBuf::from(path);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        loop {
            let file = path.with_extension("key");
            let its_own = StoreKey::parse(&fs::read_to_string(&file).unwrap()).unwrap();
            let store = open(&path, Access::Command, &its_own).unwrap();
            if matches!(store.rekeying().await.unwrap(), Rekeying::No) {
                store.begin_rekey(&its_own.successor().unwrap(), minute(3)).await.unwrap().unwrap();
            }
            let Rekeying::Begun { new, .. } = store.rekeying().await.unwrap() else { panic!("it was begun") };
            println!("begun");
            all_of_it(&store).await;
            // As an operator does it: the file is replaced whole, then the old key opens it no more.
            let part = path.with_extension("part");
            fs::write(&part, &*new.text()).unwrap();
            fs::rename(&part, &file).unwrap();
            println!("placed");
            drop(store);
            let store = open(&path, Access::Command, &new).unwrap();
            all_of_it(&store).await;
            store.finish_rekey(minute(4)).await.unwrap();
            println!("finished");
        }
    });
}

/// Killed at any moment: the key in its file opens the store, and all is there.
#[tokio::test]
async fn a_kill_leaves_a_store_that_the_key_in_its_place_opens() {
    use std::io::{BufRead, BufReader};
    let (_folder, path) = filled().await;
    let before = says(&open(&path, Access::Command, &key(7)).unwrap()).await;
    fs::write(path.with_extension("key"), &*key(7).text()).unwrap();
    let mut places = std::collections::BTreeSet::new();
    for n in 0..8_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "outbox::rekey::child_seals_anew", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let words: Vec<String> =
            lines.by_ref().filter(|l| ["begun", "placed", "finished"].contains(&l.as_str())).take(1 + n as usize % 4).collect();
        // Somewhere in the step that follows.
        std::thread::sleep(std::time::Duration::from_micros(u64::from(getrandom::u32().unwrap() % 60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(words.len(), 1 + n as usize % 4, "the child works");
        let in_place = StoreKey::parse(&fs::read_to_string(path.with_extension("key")).unwrap()).unwrap();
        let store = open(&path, Access::Daemon, &in_place).unwrap();
        places.insert(matches!(store.rekeying().await.unwrap(), Rekeying::No));
        assert_eq!(says(&store).await, before, "kill {n}");
        assert_eq!(store.verify_ledger(None).await.unwrap().findings, [], "kill {n}");
    }
    assert!(places.contains(&false), "kills met it in the middle");
}

/// As an operator does it: the first call writes the new key and seals all anew; once that is in its place, the second takes the old one away.
#[test]
fn the_command_takes_the_old_key_away_once_the_new_one_is_in_its_place() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = "[practice]\nname = \"Lakeside\"\n[store]\nurl = \"sqlite://punctual.db\"\nkey_file = \"key\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\n\
                path = \"list\"\n[email]\nfrom = \"desk@example.org\"\n[[email.relay]]\nkind = \"folder\"\npath = \"out\"\n";
    fs::write(at("punctual.toml"), text).unwrap();
    fs::write(at("key"), "07".repeat(32)).unwrap();
    fs::set_permissions(at("key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(at("list"), serde_json::json!([crate::push::session(1, 111_111_111)]).to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_punctual")).args(arguments).current_dir(folder.path()).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr))
    };
    assert_eq!(run(&["run", "--once"]).0, 0);
    let listed = run(&["--json", "outbox", "list"]).1;
    assert!(listed.contains("\"session_id\":1"), "{listed}");
    assert_eq!(run(&["store", "rekey"]).0, 0, "there is nothing to go on with");
    fs::write(at("other"), "09".repeat(32)).unwrap();
    assert_ne!(run(&["store", "rekey", "--to", "other"]).0, 0, "a key that was not made for it");
    let (code, said) = run(&["store", "rekey", "--to", "new"]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(at("new").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Either key opens it; whoever lost the new file gets it once more.
    assert_eq!(run(&["--json", "outbox", "list"]).1, listed);
    let new = fs::read(at("new")).unwrap();
    fs::remove_file(at("new")).unwrap();
    assert_eq!(run(&["store", "rekey", "--to", "new"]).0, 3);
    assert_eq!(fs::read(at("new")).unwrap(), new);
    let old = fs::read(at("key")).unwrap();
    fs::rename(at("new"), at("key")).unwrap();
    assert_eq!(run(&["--json", "outbox", "list"]).1, listed);
    let (code, said) = run(&["store", "rekey"]);
    assert!(code == 0 && said.contains("the old one opens it no more"), "{said}");
    assert_eq!(run(&["ledger", "verify"]).0, 0);
    assert_eq!(run(&["--json", "outbox", "list"]).1, listed);
    assert_eq!(run(&["run", "--once"]).0, 0);
    assert_eq!(run(&["--json", "outbox", "list"]).1, listed, "and nobody is told anything because of it");
    fs::write(at("key"), old).unwrap();
    let (code, said) = run(&["status"]);
    assert!(code == 74 && said.contains("sealed with another key"), "{code}: {said}");
}
