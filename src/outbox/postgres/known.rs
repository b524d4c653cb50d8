//! What is known of participants: of many at once, in a few statements; more only where somebody has texts, or left an hour.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, ms, number, opt_at, opt_rsvp};
use super::db::{Db, Values};
use super::error::Res;
use super::notices::{self, COLUMN_COUNT, COLUMNS};
use super::{query, receipt};
use crate::contact::{Address, Channel, Number, PhoneNumber};
use crate::known::{Expected, Known, KnownMap, KnownNotice, REMINDED_MAX, Reminded, RsvpOverride, SHARED_MAX, SourceRsvp};
use crate::session::{ParticipantRef, SessionId};
use crate::suppression::suppression_key;

/// All people of these sessions.
pub(super) async fn known(db: &Db, source: &str, sessions: &[SessionId]) -> Res<KnownMap> {
    let these = ("t.source, session_id, participation_id", "participant", "session_id");
    let rows = query::of_sessions(db, these, "", (source, Some(sessions))).await?;
    let places: Vec<ParticipantRef> = rows.iter().map(|row| ParticipantRef::read(row, 0)).collect::<Res<_>>()?;
    let found = of(db, &places).await?;
    Ok(found.into_iter().map(|(place, known)| ((place.session, place.participation), known)).collect())
}

/// These people, with all their notices. Who is not there is not named.
pub(super) async fn of(db: &Db, places: &[ParticipantRef]) -> Res<HashMap<ParticipantRef, Known>> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let mut notices = told(db, places).await?;
    let mut found = HashMap::with_capacity(places.len());
    for (place, known) in people(db, places).await? {
        let theirs = notices.remove(&place).unwrap_or_default();
        let known = whole(db, &place, known, theirs).await?;
        found.insert(place, known);
    }
    Ok(found)
}

pub(super) async fn participant(db: &Db, place: &ParticipantRef) -> Res<Known> {
    let found = of(db, std::slice::from_ref(place)).await?.remove(place);
    super::columns::required(found, "a participant of each notice")
}

/// Somebody's notices, in due order.
#[derive(Default)]
struct KnownNotices {
    all: Vec<KnownNotice>,
    /// Something is said of one of them that did not arrive.
    some_lost: bool,
}

/// The places that a statement is about, as a table `w`.
const THESE: &str = "(SELECT $1::integer AS practice, * FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS u (source, session_id, participation_id) OFFSET 0) AS w";

async fn of_these(db: &Db, sql: &str, places: &[ParticipantRef]) -> Res<Vec<Row>> {
    let sources: Vec<&str> = places.iter().map(|p| p.source.as_str()).collect();
    let sessions: Vec<i64> = places.iter().map(|p| p.session.0).collect();
    let people: Vec<i64> = places.iter().map(|p| p.participation.0).collect();
    db.query(sql, &[&db.practice, &sources, &sessions, &people]).await
}

async fn told(db: &Db, places: &[ParticipantRef]) -> Res<HashMap<ParticipantRef, KnownNotices>> {
    let sql = format!(
        "SELECT {COLUMNS},
             (SELECT true FROM delivery AS d WHERE d.practice = $1 AND d.notice_id = n.id AND d.receipt IN ('undelivered', 'failed') LIMIT 1) IS NOT NULL
         FROM {THESE} JOIN notice AS n ON n.practice = w.practice AND n.session_id = w.session_id AND n.participation_id = w.participation_id AND n.source = w.source
         ORDER BY n.due_at, n.key"
    );
    let mut found: HashMap<ParticipantRef, KnownNotices> = HashMap::new();
    for row in of_these(db, &sql, places).await? {
        let numbered = notices::row(&db.sealer, &row)?;
        let theirs = found.entry(ParticipantRef::of(&numbered.row.entry)).or_default();
        theirs.all.push((&numbered.row).into());
        theirs.some_lost |= get::<bool>(&row, COLUMN_COUNT)?;
    }
    Ok(found)
}

/// What stands in the table of participants, and what they answered.
async fn people(db: &Db, places: &[ParticipantRef]) -> Res<Vec<(ParticipantRef, Known)>> {
    let sql = format!(
        "SELECT p.source, p.session_id, p.participation_id, first_seen, session_seen, p.start_at, start_known_at, adopted, facts, facts_known_at, cancelled,
                absent_since, absences, said, said_of, person, says, over, r.start_at
         FROM {THESE} JOIN participant AS p
             ON p.practice = w.practice AND p.source = w.source AND p.session_id = w.session_id AND p.participation_id = w.participation_id
         LEFT JOIN rsvp AS r ON r.practice = p.practice AND r.source = p.source AND r.session_id = p.session_id AND r.participation_id = p.participation_id"
    );
    let rows = of_these(db, &sql, places).await?;
    rows.iter().map(|row| one(db, row)).collect()
}

fn one(db: &Db, row: &Row) -> Res<(ParticipantRef, Known)> {
    let place = ParticipantRef::read(row, 0)?;
    let rsvp = opt_rsvp(row, 16)?.zip(opt_rsvp(row, 17)?).map(|(says, over)| RsvpOverride { says, over });
    let known = Known {
        first_seen: at(row, 3)?,
        session_seen: at(row, 4)?,
        start: at(row, 5)?,
        start_known_at: at(row, 6)?,
        adopted: get(row, 7)?,
        facts: db.sealer.open("facts", place.name(), get(row, 8)?)?,
        facts_known_at: at(row, 9)?,
        cancelled: get(row, 10)?,
        absent_since: opt_at(row, 11)?,
        absences: number(row, 12)?,
        said: opt_rsvp(row, 13)?.zip(opt_at(row, 14)?).map(|(rsvp, start)| SourceRsvp { rsvp, start }),
        person: db.sealer.open_some("who", "", get(row, 15)?)?,
        answered_start: if rsvp.is_some() { opt_at(row, 18)? } else { None },
        rsvp,
        reminded: Vec::new(),
        expected: Vec::new(),
        numbers: Vec::new(),
        notices: Vec::new(),
    };
    Ok((place, known))
}

/// With their notices, and what is known because of them.
async fn whole(db: &Db, place: &ParticipantRef, known: Known, KnownNotices { all: mut notices, some_lost }: KnownNotices) -> Res<Known> {
    if some_lost && notices.iter().any(KnownNotice::may_have_been_sent) {
        let lost = receipt::lost(db, place).await?;
        notices.iter_mut().for_each(|n| n.undelivered = lost.contains(&n.notice.key));
    }
    let reminded = reminded(db, place, &notices, &[]).await?;
    let numbers = numbers(db, place, &notices).await?;
    let known = Known { reminded, numbers, notices, ..known };
    let expected = if known.left_an_hour() { expected(db, place, &known.notices).await? } else { Vec::new() };
    Ok(Known { expected, ..known })
}

/// Who stands at that start in another participation: the same person, there or on the other channel, or somebody who is told at that address.
pub(super) const EXPECTED: &str =
    "SELECT theirs.source, theirs.session_id, theirs.participation_id, coalesce(other.person = this.person, false), other.first_seen,
         max(CASE WHEN theirs.state IN ('accepted', 'unknown') OR theirs.reason IN ('adopted', 'told') THEN theirs.changed_at END),
         coalesce(bool_or(theirs.state IN ('waiting', 'flying', 'held') AND (theirs.occasion <> 'reminder' OR theirs.rule LIKE 'now%')), false),
         bool_or(theirs.channel = $7)
     FROM notice AS theirs
     JOIN participant AS other ON other.practice = $1 AND other.source = theirs.source AND other.session_id = theirs.session_id
         AND other.participation_id = theirs.participation_id
     JOIN participant AS this ON this.practice = $1 AND this.source = $2 AND this.session_id = $3 AND this.participation_id = $4
     WHERE theirs.practice = $1 AND theirs.start_at = $6 AND theirs.occasion <> 'cancelled' AND other.start_at = $6 AND NOT other.cancelled
         AND other.absent_since IS NULL
         AND (theirs.address = $5 AND theirs.channel = $7 OR theirs.channel <> $7 AND other.person = this.person)
         AND (other.session_id, other.participation_id) <> (this.session_id, this.participation_id)
     GROUP BY theirs.source, theirs.session_id, theirs.participation_id, other.person, this.person, other.first_seen
     ORDER BY theirs.source, theirs.session_id, theirs.participation_id";

async fn expected(db: &Db, place: &ParticipantRef, notices: &[KnownNotice]) -> Res<Vec<Expected>> {
    let told: BTreeSet<(DateTime<Utc>, &str, Channel)> =
        notices.iter().map(|n| (n.notice.start, n.notice.address.expose(), n.notice.address.channel())).collect();
    let mut found = Vec::new();
    for (start, address, channel) in told {
        let Some(of) = notices.iter().map(|n| &n.notice.address).find(|a| a.expose() == address && a.channel() == channel) else {
            continue;
        };
        let sealed = db.sealer.seal_alike("address", address)?;
        let values: Values<'_> =
            &[&db.practice, &place.source, &place.session.0, &place.participation.0, &sealed, &ms(start), &channel.as_str()];
        for row in db.query(EXPECTED, values).await? {
            let theirs = ParticipantRef::read(&row, 0)?;
            let expected = Expected {
                source: theirs.source,
                session: theirs.session,
                participation: theirs.participation,
                start,
                address: of.clone(),
                same_person: get(&row, 3)?,
                told_there: get(&row, 7)?,
                first_seen: at(&row, 4)?,
                heard_at: opt_at(&row, 5)?,
                comes: get(&row, 6)?,
            };
            found.extend(Some(expected).filter(|e| e.comes || e.heard_at.is_some()));
        }
    }
    Ok(found)
}

/// Whether somebody else has a text to that number, among those of the latest sessions. Who is not known is nobody else.
pub(super) const SHARED: &str = "SELECT EXISTS (
     SELECT 1 FROM (SELECT source, session_id, participation_id FROM notice
                    WHERE practice = $1 AND channel = 'sms' AND address = $2 ORDER BY start_at DESC LIMIT $6) AS text
     JOIN participant AS other ON other.practice = $1 AND other.source = text.source AND other.session_id = text.session_id
         AND other.participation_id = text.participation_id
     JOIN participant AS this ON this.practice = $1 AND this.source = $3 AND this.session_id = $4 AND this.participation_id = $5
     WHERE other.person <> this.person)";

/// What is known of the numbers of these notices.
async fn numbers(db: &Db, place: &ParticipantRef, notices: &[KnownNotice]) -> Res<Vec<(PhoneNumber, Number)>> {
    let mut found: Vec<(PhoneNumber, Number)> = Vec::new();
    for address in notices.iter().map(|n| &n.notice.address) {
        let Address::Sms(to) = address else { continue };
        if found.iter().any(|(number, _)| number == to) {
            continue;
        }
        let heard = db.sealer.seal_alike("suppression", &suppression_key(address))?;
        let answered = db.exists("SELECT 1 FROM heard WHERE practice = $1 AND address_key = $2", &[&db.practice, &heard]).await?;
        let sealed = db.sealer.seal_alike("address", to.expose())?;
        let values: Values<'_> = &[&db.practice, &sealed, &place.source, &place.session.0, &place.participation.0, &(SHARED_MAX as i64)];
        let shared = get(&db.one(SHARED, values).await?, 0)?;
        found.push((to.clone(), Number { answered, shared }));
    }
    Ok(found)
}

pub(super) const REMINDED: &str = "SELECT coalesce(n.accepted_at, n.changed_at), n.state = 'flying', p.person
     FROM notice AS n LEFT JOIN participant AS p ON p.practice = $1 AND p.source = n.source AND p.session_id = n.session_id
         AND p.participation_id = n.participation_id
     WHERE n.practice = $1 AND n.channel = 'sms' AND n.address = $2 AND n.occasion = 'reminder' AND n.state IN ('flying', 'accepted', 'unknown')
         AND NOT (n.source = $3 AND n.session_id = $4) AND n.id <> ALL ($5) ORDER BY n.start_at DESC LIMIT $6";

/// Reminders of other sessions, to the numbers of these notices; without those of these numbers.
pub(super) async fn reminded(db: &Db, place: &ParticipantRef, notices: &[KnownNotice], without: &[i64]) -> Res<Vec<Reminded>> {
    let numbers: BTreeSet<&str> =
        notices.iter().map(|n| &n.notice.address).filter(|a| a.channel() == Channel::Sms).map(Address::expose).collect();
    let mut found = Vec::new();
    for number in numbers {
        let sealed = db.sealer.seal_alike("address", number)?;
        let values: Values<'_> = &[&db.practice, &sealed, &place.source, &place.session.0, &without, &(REMINDED_MAX as i64)];
        for row in db.query(REMINDED, values).await? {
            found.push(Reminded { at: at(&row, 0)?, underway: get(&row, 1)?, person: db.sealer.open_some("who", "", get(&row, 2)?)? });
        }
    }
    found.sort_unstable();
    Ok(found)
}
