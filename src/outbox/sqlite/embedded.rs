//! What earlier schemas slipped into other values, taken out of them with nothing lost: until schema 8 presence stood in the digest
//! (`absent+in flight`) and in the source's own JSON, until schema 17 what the practice says of ScheduleType stood in that, too.
//!
//! Where the digest was a word of presence, the record's own digest is not known any more: the next walk that finds the session listed takes
//! it for changed, as it did before.

use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::session::{Presence, TakenFor};

/// Stood between a digest and its marks.
const AND: char = '+';
/// Ended the digest of a session that the next walk plans again.
const PLAN_AGAIN: &str = "in flight";
/// Likewise, of a session with somebody whose absence is not sure yet.
const UNSURE: &str = "absent";
/// Every key of ours in a source's JSON began so.
const OURS: &str = "Punctual";

/// What stood there under our key: `Presence` of a session or a participant, `Role` of a participant whom the source lists no more, `Meaning` of a
/// session's ScheduleType.
fn take_ours(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    fields.remove(&format!("{OURS}{name}"))
}

/// Takes presence out of every digest and record.
pub(super) fn take_presence_out(connection: &Connection) -> rusqlite::Result<()> {
    let sql =
        "SELECT source, id, unseal('digest', source || '/' || id, digest), unseal('record', source || '/' || id, record) FROM session";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let rows: Vec<(String, i64, String, String)> = connection.prepare(sql)?.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
    for (source, id, digest, record) in rows {
        let Some(old) = Old::read(&digest, &record) else { continue };
        let sql = "UPDATE session SET digest = seal('digest', source || '/' || id, ?3), presence = ?4, replan = ?5,
                       record = seal('record', source || '/' || id, ?6) WHERE source = ?1 AND id = ?2";
        connection.prepare_cached(sql)?.execute(params![source, id, old.digest, old.presence.as_str(), old.replan, old.record])?;
        for (person, presence, role, record) in old.departed {
            let sql = "UPDATE participant SET presence = ?4, role = ?5,
                           record = seal('person', source || '/' || session_id || '/' || participation_id, ?6)
                       WHERE source = ?1 AND session_id = ?2 AND participation_id = ?3";
            connection.prepare_cached(sql)?.execute(params![source, id, person, presence.as_str(), role, record])?;
        }
    }
    Ok(())
}

/// Takes what the practice says of ScheduleType out of every record.
pub(super) fn take_meaning_out(connection: &Connection) -> rusqlite::Result<()> {
    for (table, id, context) in [("session", "id", "record"), ("also_listed", "session_id", "also")] {
        let sql = format!("SELECT source, {id}, unseal('{context}', source || '/' || {id}, record) FROM {table}");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows: Vec<(String, i64, String)> = connection.prepare(&sql)?.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
        let sql = format!(
            "UPDATE {table} SET taken_for = ?3, record = seal('{context}', source || '/' || {id}, ?4) WHERE source = ?1 AND {id} = ?2"
        );
        for (source, id, record) in rows.iter().filter(|(_, _, record)| record.contains(OURS)) {
            let Ok(Value::Object(mut session)) = serde_json::from_str(record) else { continue };
            let Some(meaning) = take_ours(&mut session, "Meaning") else { continue };
            let taken_for: Option<TakenFor> = meaning.as_str().and_then(|word| word.parse().ok());
            let values = params![source, id, taken_for.map(TakenFor::as_str), Value::Object(session).to_string()];
            connection.prepare_cached(&sql)?.execute(values)?;
        }
    }
    Ok(())
}

/// Participation, presence, role and record of somebody whom the source lists no more.
type MarkedPerson = (i64, Presence, &'static str, String);

/// What a row held.
struct Old {
    digest: String,
    presence: Presence,
    replan: bool,
    record: String,
    departed: Vec<MarkedPerson>,
}

impl Old {
    /// `None`: there is no mark in it.
    fn read(digest: &str, record: &str) -> Option<Self> {
        let mut parts = digest.split(AND);
        let first = parts.next().unwrap_or_default();
        let marks: Vec<&str> = parts.collect();
        let of_digest: Option<Presence> = first.parse().ok();
        let once = first_of(record);
        if of_digest.is_none() && marks.is_empty() && once == record && !record.contains(OURS) {
            return None;
        }
        let (record, of_record, departed) = without_marks(once);
        Some(Self {
            digest: if of_digest.is_some() { String::new() } else { first.to_owned() },
            presence: of_digest.or(of_record).unwrap_or_default(),
            replan: marks.contains(&PLAN_AGAIN) || marks.contains(&UNSURE),
            record,
            departed,
        })
    }
}

/// A session that was said twice was kept as both records, one behind the other.
fn first_of(record: &str) -> &str {
    let mut records = serde_json::Deserializer::from_str(record).into_iter::<&RawValue>();
    match records.next() {
        Some(Ok(first)) => first.get(),
        _ => record,
    }
}

/// The record as the source said it, the session's mark, and those who departed.
fn without_marks(record: &str) -> (String, Option<Presence>, Vec<MarkedPerson>) {
    let Ok(Value::Object(mut session)) = serde_json::from_str(record) else { return (record.to_owned(), None, Vec::new()) };
    let mut departed = Vec::new();
    let presence = mark(&mut session);
    if let Some(Value::Array(people)) = session.get_mut("Participants") {
        people.retain_mut(|person| {
            let Some((fields, presence)) = person.as_object_mut().and_then(|f| mark(f).map(|presence| (f, presence))) else { return true };
            let role = match take_ours(fields, "Role") {
                Some(Value::String(word)) if word == "host" => "host",
                _ => "participant",
            };
            departed.extend(number(&fields["ParticipationId"]).map(|id| (id, presence, role, person.to_string())));
            false
        });
    }
    (Value::Object(session).to_string(), presence, departed)
}

fn mark(fields: &mut Map<String, Value>) -> Option<Presence> {
    take_ours(fields, "Presence")?.as_str()?.parse().ok()
}

/// Ids are integers, or strings of digits.
fn number(id: &Value) -> Option<i64> {
    id.as_str().map_or_else(|| id.as_i64(), |text| text.parse().ok())
}
