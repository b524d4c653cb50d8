//! The schema's versions: numbered files, each applied once and whole.
//!
//! `user_version` counts those applied; `application_id` marks the file as ours.

use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::columns::misread;
use super::sealed::Sealer;
use super::{embedded, history, outgoing, sources};

/// What a file of SQL cannot do, after it and in its transaction.
type Then = Option<fn(&Connection) -> rusqlite::Result<()>>;

/// The files, in order; file n leads from version n to n + 1. A released one is never edited: the next change is a new file.
const MIGRATIONS: [(&str, Then); 31] = [
    (include_str!("../schema/0001_outbox.sql"), None),
    (include_str!("../schema/0002_ledger.sql"), Some(history::link_all)),
    (include_str!("../schema/0003_by_number.sql"), None),
    (include_str!("../schema/0004_staff_letter.sql"), None),
    (include_str!("../schema/0005_receipts.sql"), None),
    (include_str!("../schema/0006_key.sql"), None),
    (include_str!("../schema/0007_sample.sql"), None),
    (include_str!("../schema/0008_checks.sql"), None),
    (include_str!("../schema/0009_presence.sql"), Some(embedded::take_presence_out)),
    (include_str!("../schema/0010_said.sql"), None),
    (include_str!("../schema/0011_guard.sql"), None),
    (include_str!("../schema/0012_deadline.sql"), None),
    (include_str!("../schema/0013_sources.sql"), Some(sources::stand_once)),
    (include_str!("../schema/0014_told.sql"), None),
    (include_str!("../schema/0015_alert.sql"), None),
    (include_str!("../schema/0016_heard.sql"), None),
    (include_str!("../schema/0017_whole.sql"), None),
    (include_str!("../schema/0018_taken_for.sql"), Some(embedded::take_meaning_out)),
    (include_str!("../schema/0019_expected.sql"), None),
    (include_str!("../schema/0020_sealed_identity.sql"), None),
    (include_str!("../schema/0021_lately.sql"), None),
    (include_str!("../schema/0022_part.sql"), None),
    (include_str!("../schema/0023_visit.sql"), None),
    (include_str!("../schema/0024_moved.sql"), None),
    (include_str!("../schema/0025_fewer_trees.sql"), None),
    (include_str!("../schema/0026_outgoing.sql"), Some(outgoing::name_letters)),
    (include_str!("../schema/0027_transport.sql"), None),
    (include_str!("../schema/0028_look.sql"), None),
    (include_str!("../schema/0029_fewer_trees.sql"), None),
    (include_str!("../schema/0030_read.sql"), None),
    (include_str!("../schema/0031_unread.sql"), None),
];

/// What all of them make of an empty file: a new one is made in one step, not led through every version. (`UPDATE_GOLDEN=1` writes it anew.)
const TODAY: &str = include_str!("../schema/today.sql");

/// "PNCT", in the file's header: another program's database is not taken for ours.
pub(super) const APPLICATION_ID: i32 = 0x504E_4354;

/// The version that this program knows.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The version of the file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies what is missing. Each file and its version number are one transaction: a crash leaves the one before.
///
/// A table that is made anew is dropped while others refer to it: meanwhile references are not enforced, and each file ends with a look at all
/// of them (<https://sqlite.org/lang_altertable.html>, section 7).
pub(super) fn migrate(connection: &mut Connection, reference_key: [u8; 32]) -> rusqlite::Result<()> {
    let applied = version(connection)? as usize;
    if applied >= MIGRATIONS.len() {
        return Ok(());
    }
    if applied == 0 {
        return create(connection, reference_key);
    }
    connection.pragma_update(None, "foreign_keys", false)?;
    for (done, (sql, then)) in (0..VERSION).zip(MIGRATIONS).skip(applied) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        then.map_or(Ok(()), |then| then(&transaction))?;
        check_references(&transaction)?;
        transaction.pragma_update(None, "user_version", done + 1)?;
        transaction.commit()?;
    }
    connection.pragma_update(None, "foreign_keys", true)
}

/// A new file, whole or not at all.
fn create(connection: &mut Connection, reference_key: [u8; 32]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TODAY)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute("INSERT INTO identity (id, reference_key) VALUES (1, ?1)", params![reference_key])?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// An empty file of that version.
pub(super) fn schema(version: u32) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    Sealer::new(None).install(&connection)?;
    if version == VERSION {
        connection.execute_batch(TODAY)?;
        return Ok(connection);
    }
    connection.pragma_update(None, "foreign_keys", false)?;
    MIGRATIONS.iter().take(version as usize).try_for_each(|(sql, _)| connection.execute_batch(sql))?;
    Ok(connection)
}

fn check_references(connection: &Connection) -> rusqlite::Result<()> {
    let broken = connection.prepare("PRAGMA foreign_key_check")?.query_map([], |row| row.get::<_, String>(0))?.next().transpose()?;
    broken.map_or(Ok(()), |table| Err(misread(0, Type::Text, format!("a row of {table} refers to one that is not there"))))
}

#[cfg(test)]
mod tests {
    use super::super::key::StoreKey;
    use super::super::{known, query};
    use super::*;
    use crate::entry::State;
    use crate::outbox::digest_key;
    use crate::session::{ParticipationId, Presence, Role, Rsvp, SessionId};
    use crate::source::stored;

    /// A file as that version left it.
    fn of_version(version: u32, sealer: &Sealer) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        sealer.install(&connection).unwrap();
        for (sql, then) in MIGRATIONS.into_iter().take(version as usize) {
            connection.execute_batch(sql).unwrap();
            then.map_or(Ok(()), |then| then(&connection)).unwrap();
        }
        connection.pragma_update(None, "user_version", version).unwrap();
        connection
    }

    /// What stands in the schema, word for word, tables first.
    fn texts(connection: &Connection) -> Vec<(String, String, String)> {
        let sql = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'
                   ORDER BY type <> 'table', type, name";
        let mut rows = connection.prepare(sql).unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn a_new_file_is_what_the_migrations_make() {
        let by_steps = texts(&of_version(VERSION, &Sealer::new(None)));
        let heading = "-- What the migrations make of an empty file. Written by a test of src/outbox/sqlite/migrate.rs; a change is a new migration.\n";
        let whole = by_steps.iter().fold(String::new(), |whole, (.., sql)| whole + "\n" + sql + ";\n");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/outbox/schema/today.sql"), format!("{heading}{whole}")).unwrap();
        }
        assert_eq!(TODAY, format!("{heading}{whole}"), "UPDATE_GOLDEN=1 writes it");
        assert_eq!(texts(&schema(VERSION).unwrap()), by_steps);
        let mut new = Connection::open_in_memory().unwrap();
        migrate(&mut new, [7; 32]).unwrap();
        let mut old = of_version(1, &Sealer::new(None));
        old.execute("INSERT INTO identity (id, reference_key) VALUES (1, ?1)", params![[7_u8; 32]]).unwrap();
        migrate(&mut old, [7; 32]).unwrap();
        let identity = |connection: &Connection| {
            let mut rows = connection.prepare("SELECT * FROM identity").unwrap();
            let columns = rows.column_count();
            rows.query_row([], |row| (0..columns).map(|n| row.get::<_, rusqlite::types::Value>(n)).collect::<rusqlite::Result<Vec<_>>>())
                .unwrap()
        };
        assert_eq!((identity(&new), version(&new).unwrap()), (identity(&old), version(&old).unwrap()));
    }

    /// The fourth, with one delivery in it.
    fn fourth_version() -> Connection {
        let connection = of_version(4, &Sealer::new(None));
        connection
            .execute_batch(
                "INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32));
                 INSERT INTO source VALUES ('clinic', 0, '', NULL, NULL, NULL);
                 INSERT INTO session VALUES ('clinic', 1, 1, 'd', 0, '[]', '{}');
                 INSERT INTO notice (id, key, source, session_id, participation_id, role, occasion, channel, address, start_at, due_at, useful_until,
                                     state, attempts, changed_at, epoch)
                     VALUES (7, zeroblob(16), 'clinic', 1, 2, 'participant', 'invite', 'sms', '+15550100', 0, 0, 0, 'accepted', 1, 0, 1);
                 INSERT INTO suppression VALUES ('a', 'bounced', 0, 't*****@example.com', zeroblob(16)), ('b', 'opted_out', 0, '+1*****', NULL);
                 INSERT INTO delivery VALUES (7, 1, 1, 0, 'doubt', 0, 'accepted', 'twilio', '201');",
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_file_of_the_fourth_version_is_brought_up_to_date() {
        let mut connection = fourth_version();
        migrate(&mut connection, [1; 32]).unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
        let kept: (i64, String, Option<String>) = connection
            .query_row("SELECT notice_id, reply, receipt FROM delivery", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        assert_eq!(kept, (7, "201".to_owned(), None), "what was there stays, and nothing was said of it yet");
        connection.execute("UPDATE delivery SET receipt = 'undelivered', receipt_at = 1", []).unwrap();
        connection.execute("UPDATE delivery SET receipt = 'eaten'", []).unwrap_err();
        let said_by: Vec<String> = connection
            .prepare("SELECT said_by FROM suppression ORDER BY address_key")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .unwrap();
        assert_eq!(said_by, ["refusal", "person"]);
        let notice: (i64, String) = connection.query_row("SELECT id, state FROM notice", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(notice, (7, "accepted".to_owned()));
        connection.execute("UPDATE notice SET state = 'eaten'", []).unwrap_err();
        connection.execute("DELETE FROM notice", []).expect_err("a delivery refers to it, and references hold again");
        let key: [u8; 32] = connection.query_row("SELECT reference_key FROM identity", [], |row| row.get(0)).unwrap();
        assert_eq!(key, [0; 32], "the key is drawn once");
        migrate(&mut connection, [1; 32]).unwrap();
    }

    /// Until the twelfth version a session that two sources listed stood there twice, each with a part of its history.
    #[test]
    fn a_session_that_stood_under_two_sources_stands_once_with_all_that_was_told() {
        for key in [None, Some(StoreKey::parse(&"5a".repeat(32)).unwrap())] {
            let sealer = Sealer::new(key.as_ref());
            let mut connection = of_version(12, &sealer);
            connection.execute_batch(TWICE).unwrap();
            migrate(&mut connection, [1; 32]).unwrap();
            let stands: Vec<(String, i64)> = connection
                .prepare("SELECT source || ' ' || id, replan FROM session ORDER BY id")
                .and_then(|mut s| s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
                .unwrap();
            let once = [("desk 1", 1), ("clinic 2", 0), ("clinic 3", 1)].map(|(place, again)| (place.to_owned(), again));
            assert_eq!(stands, once, "under the one that lists it, and was heard last; planned again");
            let known =
                |source: &str, session, id| known::participant(&connection, source, SessionId(session), ParticipationId(id)).unwrap();
            let both = known("desk", 1, 11);
            assert_eq!(
                (both.facts.as_str(), both.rsvp.map(|r| r.says)),
                ("desk's", Some(Rsvp::Declined)),
                "what they answered is not lost"
            );
            let told: Vec<(i64, State)> = both.notices.iter().map(|n| (n.notice.due_at.timestamp_millis(), n.state)).collect();
            assert_eq!(told, [(1, State::Accepted), (2, State::Waiting)], "nor what they were told by either");
            assert_eq!((known("desk", 1, 12).facts.as_str(), known("clinic", 3, 31).facts.as_str()), ("of 12", "of 31"), "they came along");
            connection.execute("INSERT INTO session (source, id, revision, digest, start_at, ambiguous, record) VALUES ('desk', 2, 1, '', 0, '[]', '')", [])
                .expect_err("a session stands once from now on");
        }
    }

    /// Session 1 is listed by both, the desk was heard last; 2 by the clinic alone; 3 has left the desk's list.
    const TWICE: &str = "INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32));
        INSERT INTO source (name, last_snapshot_at, policy_digest) VALUES ('clinic', 10, ''), ('desk', 20, '');
        INSERT INTO session (source, id, revision, digest, start_at, ambiguous, record, presence)
            SELECT column1, column2, 1, seal('digest', column1 || '/' || column2, 'd'), 0, '[]', seal('record', column1 || '/' || column2, '{}'), column3
            FROM (VALUES ('clinic', 1, 'listed'), ('desk', 1, 'listed'), ('clinic', 2, 'listed'), ('clinic', 3, 'listed'), ('desk', 3, 'absent'));
        INSERT INTO participant (source, session_id, participation_id, first_seen, start_at, start_known_at, adopted, facts, facts_known_at, cancelled,
                                 absences)
            SELECT column1, column2, column3, 0, 0, 0, 0, seal('facts', column1 || '/' || column2 || '/' || column3, column4), 0, 0, 0
            FROM (VALUES ('clinic', 1, 11, 'clinic''s'), ('desk', 1, 11, 'desk''s'), ('clinic', 1, 12, 'of 12'), ('desk', 3, 31, 'of 31'));
        INSERT INTO rsvp VALUES ('clinic', 1, 11, 'declined', 'unknown', 5);
        INSERT INTO notice (key, source, session_id, participation_id, role, occasion, channel, address, start_at, due_at, useful_until, state,
                            attempts, changed_at, epoch)
            SELECT column1, column2, 1, 11, 'participant', 'invite', 'email', seal_alike('address', 't@example.com'), 0, column3, 0, column4, 0, 0, 0
            FROM (VALUES (zeroblob(16), 'clinic', 1, 'accepted'), (randomblob(16), 'desk', 2, 'waiting'));";

    /// Who was answered has written: they need not be told again how to stop.
    #[test]
    fn numbers_that_wrote_before_the_sixteenth_version_are_known() {
        for key in [None, Some(StoreKey::parse(&"5a".repeat(32)).unwrap())] {
            let sealer = Sealer::new(key.as_ref());
            let mut connection = of_version(15, &sealer);
            let setup = "INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32));
                         INSERT INTO reply (id, at, word) VALUES ('r', 5, 'help');
                         INSERT INTO answer VALUES ('r', '', seal_alike('suppression', 'wrote'), 'help', 'en', 5, 6, 'accepted', NULL);";
            connection.execute_batch(setup).unwrap();
            migrate(&mut connection, [1; 32]).unwrap();
            let heard = |who: &str| connection.query_row(known::HEARD, [who], |row| row.get::<_, bool>(0)).unwrap();
            assert_eq!((heard("wrote"), heard("did not")), (true, false));
        }
    }

    /// Until the twenty-fifth version letters and answers stood in tables of their own, in states of their own.
    #[test]
    fn letters_and_answers_of_the_twenty_fifth_version_stand_in_one_table() {
        // The answer's state and outcome, or the letter's state; what it is now, its attempts, and the word of its end.
        let answers = [
            ("waiting", None, ("waiting", 0, None)),
            ("sending", None, ("unknown", 1, None)),
            ("accepted", Some("accepted"), ("accepted", 1, Some("accepted"))),
            ("ended", Some("rejected"), ("rejected", 1, Some("rejected"))),
            ("ended", Some("not taken"), ("rejected", 1, Some("not taken"))),
            ("ended", Some("unknown"), ("unknown", 1, Some("unknown"))),
            ("ended", Some("lapsed"), ("lapsed", 0, Some("lapsed"))),
            ("ended", Some("suppressed"), ("suppressed", 0, Some("suppressed"))),
            ("ended", Some("restored"), ("cancelled", 0, Some("restored"))),
            ("ended", Some("not sent: shadow mode"), ("accepted", 0, Some("not sent: shadow mode"))),
        ];
        let letters = [
            ("open", ("waiting", 2, None)),
            ("doubt", ("unknown", 3, None)),
            ("accepted", ("accepted", 3, Some("accepted"))),
            ("rejected", ("rejected", 3, Some("rejected"))),
            ("empty", ("cancelled", 2, Some("empty"))),
        ];
        for key in [None, Some(StoreKey::parse(&"5a".repeat(32)).unwrap())] {
            let sealer = Sealer::new(key.as_ref());
            let mut connection = of_version(25, &sealer);
            connection.execute_batch("INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32))").unwrap();
            let reply = |n: usize| format!("{n:032x}");
            for (n, (state, outcome, _)) in answers.iter().enumerate() {
                connection.execute("INSERT INTO reply VALUES (?1, 5, 'help')", [reply(n)]).unwrap();
                let sql =
                    "INSERT INTO answer VALUES (?1, seal('answer', ?1, ?2), seal_alike('suppression', 'them'), 'help', 'en', 5, 6, ?3, ?4)";
                let number = if *state == "waiting" { "+14045550100" } else { "" };
                connection.execute(sql, params![reply(n), number, state, outcome]).unwrap();
            }
            for (recipient, (state, _)) in letters.iter().enumerate() {
                connection
                    .execute("INSERT INTO staff_letter VALUES (1000, ?1, ?2, 2, 2000)", params![recipient.to_string(), state])
                    .unwrap();
            }
            migrate(&mut connection, [1; 32]).unwrap();
            let is = |key: String| -> (String, i64, Option<String>) {
                let sql = "SELECT state, attempts, outcome FROM outgoing WHERE key = ?1";
                connection.query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
            };
            let owned = |(state, attempts, word): (&str, i64, Option<&str>)| (state.to_owned(), attempts, word.map(str::to_owned));
            for (n, (.., expected)) in answers.into_iter().enumerate() {
                assert_eq!(is(reply(n)), owned(expected), "answer {n}");
            }
            let scheduled_at = chrono::DateTime::from_timestamp_millis(1000).unwrap();
            for (n, (_, expected)) in letters.into_iter().enumerate() {
                assert_eq!(is(digest_key(scheduled_at, &n.to_string()).to_string()), owned(expected), "letter {n}");
            }
            let waiting = outgoing::waiting(&connection).unwrap();
            assert_eq!(waiting.len(), 1);
            assert_eq!((waiting[0].key.to_string(), waiting[0].to.expose()), (reply(0), "+14045550100"), "it goes to whom it was to go");
            assert_eq!(outgoing::letters(&connection, scheduled_at).unwrap().len(), letters.len());
        }
    }

    const PERSON: &str = r#"{"ParticipationId":11,"ShouldAutoDeliverCode":"E","DepositRequired":20.00}"#;

    /// Keys of ours, as they stood behind another field of a source's JSON.
    fn ours(before: &str, marks: &[(&str, &str)]) -> String {
        marks.iter().fold(before.to_owned(), |text, (name, word)| format!(r#"{text},"Punctual{name}":"{word}""#))
    }

    fn record(id: i64, mark: &str, people: &str) -> String {
        format!(r#"{{"SessionId":{id},"ScheduleTs":"2026-11-26T15:00:00"{mark},"Participants":[{people}]}}"#)
    }

    /// Until the eighth version presence stood in the digest and in the source's own record.
    #[test]
    fn presences_of_the_eighth_version_come_back() {
        for key in [None, Some(StoreKey::parse(&"5a".repeat(32)).unwrap())] {
            let sealer = Sealer::new(key.as_ref());
            let mut connection = of_version(8, &sealer);
            let setup = "INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32));
                         INSERT INTO source VALUES ('clinic', 0, '', NULL, NULL, NULL);";
            connection.execute_batch(setup).unwrap();
            let gone = PERSON.replace("20.00", &ours("20.00", &[("Presence", "gone"), ("Role", "host")]));
            let unsure = PERSON.replace("11", &ours(r#""12""#, &[("Presence", "absent"), ("Role", "participant")]));
            let twice = format!("{}{}", record(6, "", PERSON), record(6, "", ""));
            // digest, record; what is to come of them: digest, presence, planned again
            let cases = [
                ("abc", record(1, "", PERSON), ("abc", Presence::Listed, 0)),
                ("abc+in flight", record(2, "", PERSON), ("abc", Presence::Listed, 1)),
                ("absent+in flight", record(3, &ours("", &[("Presence", "absent")]), PERSON), ("", Presence::Absent, 1)),
                ("guarded", record(4, &ours("", &[("Presence", "guarded")]), PERSON), ("", Presence::Guarded, 0)),
                ("abc+absent", record(5, "", &format!("{gone},{unsure}")), ("abc", Presence::Listed, 1)),
                ("abc", twice, ("abc", Presence::Listed, 0)),
                ("gone", String::new(), ("", Presence::Gone, 0)),
            ];
            for (id, (digest, record, _)) in (1..).zip(&cases) {
                let sql = "INSERT INTO session VALUES ('clinic', ?1, 3, seal('digest', 'clinic/' || ?1, ?2), 0, '[]', seal('record', 'clinic/' || ?1, ?3))";
                connection.execute(sql, params![id, digest, record]).unwrap();
                let sql = "INSERT INTO participant VALUES ('clinic', ?1, ?2, 0, 0, 0, 1, seal('facts', 'clinic/' || ?1 || '/' || ?2, 'f'), 0, 0, NULL, 2)";
                for person in [11, 12] {
                    connection.execute(sql, params![id, person]).unwrap();
                }
            }
            migrate(&mut connection, [1; 32]).unwrap();
            let seen = query::seen(&connection, "clinic", chrono::DateTime::UNIX_EPOCH).unwrap().unwrap().sessions;
            for (id, (_, _, (digest, presence, again))) in (1..).zip(&cases) {
                let is = &seen[&SessionId(id)];
                assert_eq!((is.digest.as_str(), is.presence, u8::from(is.replan)), (*digest, *presence, *again), "session {id}");
            }
            let all = query::sessions(&connection, "clinic", None).unwrap();
            assert_eq!(all.len(), cases.len() - 1, "one was purged");
            assert!(all.iter().all(|s| !s.record.text.contains("Punctual")));
            let people = |id: i64| {
                let session = stored::session(all.iter().find(|s| s.id == SessionId(id)).unwrap()).unwrap();
                session.participants.iter().map(|p| (p.id.0, p.role, p.presence)).collect::<Vec<_>>()
            };
            for id in [1, 2, 3, 4, 6] {
                assert_eq!(people(id), [(11, Role::Host, Presence::Listed)], "session {id}");
            }
            assert_eq!(people(5), [(11, Role::Host, Presence::Gone), (12, Role::Participant, Presence::Absent)]);
            let known = known::participant(&connection, "clinic", SessionId(5), ParticipationId(11)).unwrap();
            assert_eq!((known.absences, known.facts.as_str(), known.adopted), (2, "f", true));
        }
    }
}
