//! Replies and their answers. What a reply changes, its row, its answer and its ledger row are one transaction.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::columns::{at, misread, ms, opt_at, word};
use super::sealed::by_either_key;
use super::tx::Tx;
use super::{history, outgoing, suppression};
use crate::contact::Address;
use crate::feedback::answer::Answer;
use crate::feedback::reply::{AcceptedReply, Changes, ForStaff, LATELY, OpenSession, Written, rsvp_word, since};
use crate::known::RsvpOverride;
use crate::ledger::{Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outbox::attempted::Row;
use crate::outbox::outgoing::NOT_TAKEN;
use crate::outbox::words::by;
use crate::session::{ParticipantRef, ParticipationId, Rsvp, SessionId};
use crate::suppression::{SaidBy, Suppression, suppression_key};

pub(super) const OPEN: &str = "SELECT source, session_id, participation_id, MAX(coalesce(accepted_at, due_at)) >= ?3 FROM notice INDEXED BY notice_number
     WHERE channel = 'sms' AND address = seal_alike('address', ?1) AND start_at > ?3 AND (start_at > ?2 OR coalesce(accepted_at, due_at) >= ?3)
     AND (state IN ('accepted', 'unknown', 'sending') OR doubt IS NOT NULL)
     GROUP BY source, session_id, participation_id ORDER BY source, session_id, participation_id";

/// Takes a reply. `false`: it was taken before, and nothing is changed.
pub(super) fn take(connection: &Tx<'_>, now: DateTime<Utc>, taken: &AcceptedReply) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO reply (id, at, word) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
    if connection.prepare_cached(sql)?.execute(params![taken.key.to_string(), ms(now), taken.word.as_str()])? == 0 {
        return Ok(false);
    }
    history::note(connection, now, Event::Reply, taken.word.as_str())?;
    if let Some(said) = &taken.for_staff {
        let about: Vec<(&str, i64, i64)> = said.about.iter().map(|p| (p.source.as_str(), p.session.0, p.participation.0)).collect();
        let about = serde_json::to_string(&about).expect("texts and numbers are JSON");
        let sql = "INSERT INTO said (reply_id, at, shown, text, about) VALUES (?1, ?2, ?3, seal('said', ?1, ?4), ?5)";
        connection.prepare_cached(sql)?.execute(params![taken.key.to_string(), ms(now), taken.from.to_string(), said.text, about])?;
    }
    let address = Address::Sms(taken.from.clone());
    let key = suppression_key(&address);
    let sql = "INSERT INTO heard (address_key, at) VALUES (seal_alike('suppression', ?1), ?2)
               ON CONFLICT (address_key) DO UPDATE SET at = excluded.at";
    connection.prepare_cached(sql)?.execute(params![key, ms(now)])?;
    let heard = match &taken.change {
        Changes::Nothing => true,
        Changes::OptOut => suppression::suppress(connection, now, &address, Suppression::OptedOut, SaidBy::Reply)?,
        Changes::OptIn => {
            let sql = "SELECT 1 FROM suppression WHERE address_key = seal_alike('suppression', ?1) AND kind = 'opted_out'
                       AND said_by <> 'person'";
            connection.prepare_cached(sql)?.exists([&key])? && suppression::unsuppress(connection, now, &key)?
        }
        Changes::Rsvp(place, answered) => {
            put_rsvp(connection, now, place, *answered)?;
            true
        }
    };
    if let Some((answer, locale)) = taken.answer.as_ref().filter(|(answer, _)| heard || !matches!(answer, Answer::Stopped)) {
        let sql =
            "SELECT 1 FROM outgoing WHERE kind = 'answer' AND address_key = seal_alike('suppression', ?1) AND answer = ?2 AND due_at >= ?3
             AND outcome IS NOT ?4";
        if !connection.prepare_cached(sql)?.exists(params![key, answer.as_str(), ms(since(*answer, now)), NOT_TAKEN])? {
            outgoing::add(connection, &Row::answer(taken.key, taken.from.clone(), (*answer, locale), now), &key)?;
        }
    }
    Ok(true)
}

fn put_rsvp(connection: &Tx<'_>, now: DateTime<Utc>, place: &ParticipantRef, answered: RsvpOverride) -> rusqlite::Result<()> {
    let sql = "INSERT INTO rsvp (source, session_id, participation_id, says, over, at, start_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6,
                   (SELECT start_at FROM participant WHERE source = ?1 AND session_id = ?2 AND participation_id = ?3))
               ON CONFLICT (source, session_id, participation_id) DO UPDATE
               SET says = excluded.says, over = excluded.over, at = excluded.at, start_at = excluded.start_at";
    let (says, over) = (rsvp_word(answered.says), rsvp_word(answered.over));
    connection.prepare_cached(sql)?.execute(params![place.source, place.session.0, place.participation.0, says, over, ms(now)])?;
    connection.prepare_cached(suppression::UNSETTLE)?.execute(params![place.source, place.session.0])?;
    let row = LedgerRow {
        session_id: Some(place.session),
        participation_id: Some(place.participation),
        ..LedgerRow::new(now, Event::Rsvp, says)
    };
    history::append(connection, &row)
}

/// What a participant answered, and over which start: the columns `says`, `over`, `start_at` from there on.
pub(super) fn answered(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<(RsvpOverride, Option<DateTime<Utc>>)> {
    Ok((RsvpOverride { says: rsvp_of(row, from)?, over: rsvp_of(row, from + 1)? }, opt_at(row, from + 2)?))
}

/// The RSVP of a word.
pub(super) fn rsvp_of(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Rsvp> {
    let text: String = row.get(column)?;
    let all = [Rsvp::Unknown, Rsvp::Confirmed, Rsvp::Declined];
    all.into_iter().find(|r| rsvp_word(*r) == text).ok_or_else(|| misread(column, Type::Text, format!("{text:?} is no RSVP")))
}

/// See [`crate::outbox::Feedback::open_sessions`].
pub(super) fn open_sessions(connection: &Connection, number: &str, now: DateTime<Utc>) -> rusqlite::Result<Vec<OpenSession>> {
    let told = |r: &rusqlite::Row<'_>| {
        let place = ParticipantRef { source: r.get(0)?, session: SessionId(r.get(1)?), participation: ParticipationId(r.get(2)?) };
        Ok(OpenSession { place, lately: r.get(3)? })
    };
    let mut found: Vec<OpenSession> = Vec::new();
    for sql in by_either_key(OPEN) {
        let mut statement = connection.prepare_cached(&sql)?;
        let rows: Vec<OpenSession> =
            statement.query_map(params![number, ms(now), ms(now - LATELY)], told)?.collect::<rusqlite::Result<_>>()?;
        for row in rows {
            match found.iter_mut().find(|other| other.place == row.place) {
                Some(other) => other.lately |= row.lately,
                None => found.push(row),
            }
        }
    }
    Ok(found)
}

/// What waits for somebody to read it, the oldest first.
pub(super) const UNREAD: &str = "SELECT said.reply_id, said.at, said.shown, reply.word, unseal('said', said.reply_id, said.text), said.about
     FROM said INDEXED BY said_unread JOIN reply ON reply.id = said.reply_id WHERE said.read_at IS NULL ORDER BY said.at, said.reply_id LIMIT ?1";

/// See [`crate::outbox::Feedback::unread`].
pub(super) fn unread(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<Written>> {
    let row = |r: &rusqlite::Row<'_>| {
        let about: Vec<(String, i64, i64)> =
            serde_json::from_str(r.get_ref(5)?.as_str()?).map_err(|e| misread(5, Type::Text, e.to_string()))?;
        let place = |(source, session, participation)| ParticipantRef {
            source,
            session: SessionId(session),
            participation: ParticipationId(participation),
        };
        let said = ForStaff { text: r.get(4)?, about: about.into_iter().map(place).collect() };
        Ok(Written { key: word(r, 0)?, at: at(r, 1)?, shown: r.get(2)?, word: word(r, 3)?, said })
    };
    connection.prepare_cached(UNREAD)?.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], row)?.collect()
}

/// See [`crate::outbox::Feedback::mark_read`].
pub(super) fn mark_read(connection: &Tx<'_>, now: DateTime<Utc>, who: Option<&str>, key: NoticeKey) -> rusqlite::Result<bool> {
    let sql = "UPDATE said SET read_at = ?2 WHERE reply_id = ?1 AND read_at IS NULL";
    let marked = connection.prepare_cached(sql)?.execute(params![key.to_string(), ms(now)])? == 1;
    if marked {
        history::note(connection, now, Event::ReplyRead, &who.map(by).unwrap_or_default())?;
    }
    Ok(marked)
}
