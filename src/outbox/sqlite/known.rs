//! What is known of a participant.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, Params, Row, params};

use super::columns::{OF_THESE, at, json_ids, ms, opt_at};
use super::notices::{self, COLUMN_COUNT, COLUMNS};
use super::receipt;
use super::sealed::by_either_key;
use crate::contact::{Address, Channel, Number, PhoneNumber};
use crate::known::{Expected, Known, KnownMap, KnownNotice, REMINDED_MAX, Reminded, SHARED_MAX, SourceRsvp};
use crate::session::{ParticipantKey, ParticipationId, SessionId};
use crate::suppression::suppression_key;

/// Sessions whose people are read by one statement.
const TOGETHER: usize = 250;

pub(super) fn known(connection: &Connection, source: &str, sessions: &[SessionId]) -> rusqlite::Result<KnownMap> {
    let mut map = KnownMap::new();
    for ids in sessions.chunks(TOGETHER).map(json_ids) {
        let values = params![source, ids];
        let mut notices = told(connection, OF_THESE, values)?;
        for (place, person) in people(connection, OF_THESE, values)? {
            let notices = notices.remove(&place).unwrap_or_default();
            map.insert(place, whole(connection, (source, place.0, place.1), person, notices)?);
        }
    }
    Ok(map)
}

/// One participant, with all notices.
pub(super) fn participant(connection: &Connection, source: &str, session: SessionId, id: ParticipationId) -> rusqlite::Result<Known> {
    let (one, values) = ("session_id = ?2 AND participation_id = ?3", params![source, session.0, id.0]);
    let notices = told(connection, one, values)?.remove(&(session, id)).unwrap_or_default();
    let (_, person) = people(connection, one, values)?.pop().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    whole(connection, (source, session, id), person, notices)
}

/// Somebody's notices, in due order.
#[derive(Default)]
struct KnownNotices {
    all: Vec<KnownNotice>,
    /// Something is said of one of them that did not arrive.
    some_lost: bool,
}

pub(super) fn told_sql(whose: &str) -> String {
    format!(
        "SELECT {COLUMNS}, EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_undelivered
                                   WHERE notice_id = notice.id AND receipt IN ('undelivered', 'failed'))
         FROM notice INDEXED BY notice_session WHERE source = ?1 AND {whose} ORDER BY due_at, key"
    )
}

fn told(connection: &Connection, whose: &str, values: impl Params) -> rusqlite::Result<HashMap<ParticipantKey, KnownNotices>> {
    let mut found: HashMap<ParticipantKey, KnownNotices> = HashMap::new();
    let mut statement = connection.prepare_cached(&told_sql(whose))?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        let notice = known_notice(row)?;
        let theirs = found.entry((notice.notice.session, notice.notice.participation)).or_default();
        theirs.all.push(notice);
        theirs.some_lost |= row.get::<_, bool>(COLUMN_COUNT)?;
    }
    Ok(found)
}

pub(super) fn people_sql(who: &str) -> String {
    format!(
        "SELECT first_seen, participant.start_at, start_known_at, adopted,
                unseal('facts', source || '/' || session_id || '/' || participation_id, facts), facts_known_at, cancelled, absent_since, absences, said,
                said_of, unseal('who', '', person), coalesce(session_seen, first_seen), session_id, participation_id, says, over, rsvp.start_at
         FROM participant LEFT JOIN rsvp USING (source, session_id, participation_id) WHERE source = ?1 AND {who}"
    )
}

/// What stands in the table of participants, and what they answered.
fn people(connection: &Connection, who: &str, values: impl Params) -> rusqlite::Result<Vec<(ParticipantKey, Known)>> {
    let person = |row: &Row<'_>| {
        let answered = if row.get_ref(15)?.data_type() == Type::Null { None } else { Some(super::reply::answered(row, 15)?) };
        let (rsvp, answered_start) = answered.unzip();
        let known = Known {
            first_seen: at(row, 0)?,
            session_seen: at(row, 12)?,
            start: at(row, 1)?,
            start_known_at: at(row, 2)?,
            adopted: row.get(3)?,
            facts: row.get(4)?,
            facts_known_at: at(row, 5)?,
            cancelled: row.get(6)?,
            absent_since: opt_at(row, 7)?,
            absences: row.get(8)?,
            rsvp,
            answered_start: answered_start.flatten(),
            said: said(row)?,
            person: row.get(11)?,
            reminded: Vec::new(),
            expected: Vec::new(),
            numbers: Vec::new(),
            notices: Vec::new(),
        };
        Ok(((SessionId(row.get(13)?), ParticipationId(row.get(14)?)), known))
    };
    connection.prepare_cached(&people_sql(who))?.query_map(values, person)?.collect()
}

/// With their notices, and what is known because of them.
fn whole(
    connection: &Connection,
    (source, session, id): (&str, SessionId, ParticipationId),
    person: Known,
    KnownNotices { all: mut notices, some_lost }: KnownNotices,
) -> rusqlite::Result<Known> {
    if some_lost && notices.iter().any(KnownNotice::may_have_been_sent) {
        let lost = receipt::lost(connection, source, session, id)?;
        notices.iter_mut().for_each(|n| n.undelivered = lost.contains(&n.notice.key));
    }
    let reminded = reminded(connection, source, session, &notices)?;
    let numbers = numbers(connection, (source, session, id), &notices)?;
    let known = Known { reminded, numbers, notices, ..person };
    let expected = if known.left_an_hour() { expected(connection, (source, session, id), &known.notices)? } else { Vec::new() };
    Ok(Known { expected, ..known })
}

/// Who stands at that start in another participation: the same person, there or on the other channel, or somebody who is told at that address.
pub(super) const EXPECTED: &str = "SELECT theirs.source, theirs.session_id, theirs.participation_id, unseal('who', '', other.person) IS unseal('who', '', this.person) AND other.person NOTNULL,
         other.first_seen,
         max(iif(theirs.state IN ('accepted', 'unknown') OR theirs.reason IN ('adopted', 'told'), theirs.changed_at, NULL)),
         max(theirs.state IN ('waiting', 'claimed', 'sending', 'held') AND (theirs.occasion <> 'reminder' OR theirs.rule LIKE 'now%')),
         max(theirs.channel = ?6)
     FROM notice AS theirs INDEXED BY notice_start
     JOIN participant AS other ON other.source = theirs.source AND other.session_id = theirs.session_id
         AND other.participation_id = theirs.participation_id
     JOIN participant AS this ON this.source = ?1 AND this.session_id = ?2 AND this.participation_id = ?3
     WHERE theirs.start_at = ?5 AND theirs.occasion <> 'cancelled' AND other.start_at = ?5 AND NOT other.cancelled AND other.absent_since IS NULL
         AND (theirs.address IN (seal_alike('address', ?4), seal_alike_before('address', ?4)) AND theirs.channel = ?6
              OR theirs.channel <> ?6 AND (other.person = this.person OR unseal('who', '', other.person) = unseal('who', '', this.person)))
         AND (other.session_id, other.participation_id) <> (this.session_id, this.participation_id)
     GROUP BY theirs.source, theirs.session_id, theirs.participation_id";

pub(super) fn expected(
    connection: &Connection,
    (source, session, id): (&str, SessionId, ParticipationId),
    notices: &[KnownNotice],
) -> rusqlite::Result<Vec<Expected>> {
    let told: BTreeSet<(DateTime<Utc>, &str, Channel)> =
        notices.iter().map(|n| (n.notice.start, n.notice.address.expose(), n.notice.address.channel())).collect();
    let mut found = Vec::new();
    for (start, address, channel) in told {
        let Some(of) = notices.iter().map(|n| &n.notice.address).find(|a| a.expose() == address && a.channel() == channel) else {
            continue;
        };
        let mut statement = connection.prepare_cached(EXPECTED)?;
        let rows = statement.query_map(params![source, session.0, id.0, address, ms(start), channel.as_str()], |row| {
            Ok(Expected {
                source: row.get(0)?,
                session: SessionId(row.get(1)?),
                participation: ParticipationId(row.get(2)?),
                start,
                address: of.clone(),
                same_person: row.get(3)?,
                told_there: row.get(7)?,
                first_seen: at(row, 4)?,
                heard_at: opt_at(row, 5)?,
                comes: row.get(6)?,
            })
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        found.extend(rows.into_iter().filter(|e| e.comes || e.heard_at.is_some()));
    }
    Ok(found)
}

pub(super) const HEARD: &str = "SELECT EXISTS (SELECT 1 FROM heard WHERE address_key = seal_alike('suppression', ?1))";

/// Whether somebody else has a text to that number, among those of the latest sessions. Who is not known is nobody else.
pub(super) const SHARED: &str = "SELECT EXISTS (
     SELECT 1 FROM (SELECT source, session_id, participation_id FROM notice INDEXED BY notice_number
                    WHERE channel = 'sms' AND address = seal_alike('address', ?1) ORDER BY start_at DESC LIMIT ?5) AS text
     JOIN participant AS other ON other.source = text.source AND other.session_id = text.session_id AND other.participation_id = text.participation_id
     JOIN participant AS this ON this.source = ?2 AND this.session_id = ?3 AND this.participation_id = ?4
     WHERE other.person <> this.person AND unseal('who', '', other.person) <> unseal('who', '', this.person))";

/// What is known of the numbers of these notices.
pub(super) fn numbers(
    connection: &Connection,
    (source, session, id): (&str, SessionId, ParticipationId),
    notices: &[KnownNotice],
) -> rusqlite::Result<Vec<(PhoneNumber, Number)>> {
    let mut found: Vec<(PhoneNumber, Number)> = Vec::new();
    for address in notices.iter().map(|n| &n.notice.address) {
        let Address::Sms(to) = address else { continue };
        if found.iter().any(|(number, _)| number == to) {
            continue;
        }
        let answered = connection.prepare_cached(HEARD)?.query_row([suppression_key(address)], |row| row.get(0))?;
        let values = params![to.expose(), source, session.0, id.0, SHARED_MAX as i64];
        let mut shared = false;
        for sql in by_either_key(SHARED) {
            shared |= connection.prepare_cached(&sql)?.query_row(values, |row| row.get::<_, bool>(0))?;
        }
        found.push((to.clone(), Number { answered, shared }));
    }
    Ok(found)
}

pub(super) fn said(row: &Row<'_>) -> rusqlite::Result<Option<SourceRsvp>> {
    let rsvp = if row.get_ref(9)?.data_type() == Type::Null { None } else { Some(super::reply::rsvp_of(row, 9)?) };
    Ok(rsvp.zip(opt_at(row, 10)?).map(|(rsvp, start)| SourceRsvp { rsvp, start }))
}

pub(super) const REMINDED: &str = "SELECT coalesce(accepted_at, changed_at), state IN ('claimed', 'sending'),
         (SELECT unseal('who', '', person) FROM participant WHERE participant.source = notice.source
              AND participant.session_id = notice.session_id AND participant.participation_id = notice.participation_id)
     FROM notice INDEXED BY notice_number
     WHERE channel = 'sms' AND address = seal_alike('address', ?1) AND occasion = 'reminder' AND state IN ('claimed', 'sending', 'accepted', 'unknown')
     AND NOT (source = ?2 AND session_id = ?3) ORDER BY start_at DESC LIMIT ?4";

/// Reminders of other sessions, to the numbers of these notices.
pub(super) fn reminded(
    connection: &Connection,
    source: &str,
    session: SessionId,
    notices: &[KnownNotice],
) -> rusqlite::Result<Vec<Reminded>> {
    let numbers: BTreeSet<&str> =
        notices.iter().map(|n| &n.notice.address).filter(|a| a.channel() == Channel::Sms).map(Address::expose).collect();
    let mut found = Vec::new();
    for number in numbers {
        for sql in by_either_key(REMINDED) {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![number, source, session.0, REMINDED_MAX as i64], |row| {
                Ok(Reminded { at: at(row, 0)?, underway: row.get(1)?, person: row.get(2)? })
            })?;
            found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

pub(super) fn known_notice(row: &Row<'_>) -> rusqlite::Result<KnownNotice> {
    Ok((&notices::row(row)?).into())
}
