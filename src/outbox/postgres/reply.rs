//! Replies and their answers. What a reply changes, its row, its answer and its ledger row are one transaction.

use chrono::{DateTime, Utc};
use tokio_postgres::Row as Read;

use super::columns::{at, get, json, limit, ms, person, session, word};
use super::db::{Db, Tx, Values};
use super::error::Res;
use super::{outgoing, suppression};
use crate::contact::Address;
use crate::feedback::answer::Answer;
use crate::feedback::reply::{AcceptedReply, Changes, ForStaff, LATELY, OpenSession, Written, rsvp_word, since};
use crate::known::RsvpOverride;
use crate::ledger::{Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outbox::attempted::Row;
use crate::outbox::outgoing::NOT_TAKEN;
use crate::outbox::words::by;
use crate::session::{ParticipantRef, ParticipationId, SessionId};
use crate::suppression::{SaidBy, Suppression, suppression_key};

/// Takes a reply. `false`: it was taken before, and nothing is changed.
pub(super) async fn take(tx: &Tx<'_>, now: DateTime<Utc>, taken: &AcceptedReply) -> Res<bool> {
    let id = taken.key.to_string();
    let sql = "INSERT INTO reply (practice, id, at, word) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    if tx.execute(sql, &[&tx.practice, &id, &ms(now), &taken.word.as_str()]).await? == 0 {
        return Ok(false);
    }
    tx.note(now, Event::Reply, taken.word.as_str())?;
    if let Some(said) = &taken.for_staff {
        let about: Vec<(&str, i64, i64)> = said.about.iter().map(|p| (p.source.as_str(), p.session.0, p.participation.0)).collect();
        let about = serde_json::to_string(&about).expect("texts and numbers are JSON");
        let text = tx.sealer.seal("said", &id, &said.text)?;
        let sql = "INSERT INTO said (practice, reply_id, at, shown, text, about) VALUES ($1, $2, $3, $4, $5, $6)";
        tx.execute(sql, &[&tx.practice, &id, &ms(now), &taken.from.to_string(), &text, &about]).await?;
    }
    let address = Address::Sms(taken.from.clone());
    let plain = suppression_key(&address);
    let who = tx.sealer.seal_alike("suppression", &plain)?;
    let sql = "INSERT INTO heard (practice, address_key, at) VALUES ($1, $2, $3) ON CONFLICT (practice, address_key) DO UPDATE SET at = excluded.at";
    tx.execute(sql, &[&tx.practice, &who, &ms(now)]).await?;
    let heard = match &taken.change {
        Changes::Nothing => true,
        Changes::OptOut => suppression::suppress(tx, now, &address, Suppression::OptedOut, SaidBy::Reply).await?,
        Changes::OptIn => {
            let sql = "SELECT 1 FROM suppression WHERE practice = $1 AND address_key = $2 AND kind = 'opted_out' AND said_by <> 'person'";
            tx.exists(sql, &[&tx.practice, &who]).await? && suppression::unsuppress(tx, now, &plain).await?
        }
        Changes::Rsvp(place, answered) => {
            put_rsvp(tx, now, place, *answered).await?;
            true
        }
    };
    if let Some((answer, locale)) = taken.answer.as_ref().filter(|(answer, _)| heard || !matches!(answer, Answer::Stopped)) {
        let sql = "SELECT 1 FROM outgoing WHERE practice = $1 AND kind = 'answer' AND address_key = $2 AND answer = $3 AND due_at >= $4
                   AND outcome IS DISTINCT FROM $5";
        if !tx.exists(sql, &[&tx.practice, &who, &answer.as_str(), &ms(since(*answer, now)), &NOT_TAKEN]).await? {
            outgoing::add(tx, &Row::answer(taken.key, taken.from.clone(), (*answer, locale), now), &who).await?;
        }
    }
    Ok(true)
}

async fn put_rsvp(tx: &Tx<'_>, now: DateTime<Utc>, place: &ParticipantRef, answered: RsvpOverride) -> Res<()> {
    let sql =
        "INSERT INTO rsvp (practice, source, session_id, participation_id, says, over, at, start_at) VALUES ($1, $2, $3, $4, $5, $6, $7,
                   (SELECT start_at FROM participant WHERE practice = $1 AND source = $2 AND session_id = $3 AND participation_id = $4))
               ON CONFLICT (practice, source, session_id, participation_id) DO UPDATE
               SET says = excluded.says, over = excluded.over, at = excluded.at, start_at = excluded.start_at";
    let (says, over) = (rsvp_word(answered.says), rsvp_word(answered.over));
    let values: Values<'_> = &[&tx.practice, &place.source, &place.session.0, &place.participation.0, &says, &over, &ms(now)];
    tx.execute(sql, values).await?;
    tx.execute(suppression::UNSETTLE, &[&tx.practice, &place.source, &place.session.0]).await?;
    let about = (Some(place.session), Some(place.participation));
    tx.append(LedgerRow { session_id: about.0, participation_id: about.1, ..LedgerRow::new(now, Event::Rsvp, says) })
}

pub(super) const OPEN: &str = "SELECT source, session_id, participation_id, max(coalesce(accepted_at, due_at)) >= $4 FROM notice
     WHERE practice = $1 AND channel = 'sms' AND address = $2 AND start_at > $4 AND (start_at > $3 OR coalesce(accepted_at, due_at) >= $4)
     AND (state IN ('accepted', 'unknown') OR phase IS NOT NULL OR doubt IS NOT NULL)
     GROUP BY source, session_id, participation_id ORDER BY source, session_id, participation_id";

/// See [`crate::outbox::Feedback::open_sessions`].
pub(super) async fn open_sessions(db: &Db, number: &str, now: DateTime<Utc>) -> Res<Vec<OpenSession>> {
    let sealed = db.sealer.seal_alike("address", number)?;
    let rows = db.query(OPEN, &[&db.practice, &sealed, &ms(now), &ms(now - LATELY)]).await?;
    let told = |row| {
        let place = ParticipantRef { source: get(row, 0)?, session: session(row, 1)?, participation: person(row, 2)? };
        Ok(OpenSession { place, lately: get(row, 3)? })
    };
    rows.iter().map(told).collect()
}

/// What waits for somebody to read it, the oldest first.
const UNREAD: &str =
    "SELECT s.reply_id, s.at, s.shown, r.word, s.text, s.about FROM said AS s JOIN reply AS r ON r.practice = $1 AND r.id = s.reply_id
     WHERE s.practice = $1 AND s.read_at IS NULL ORDER BY s.at, s.reply_id LIMIT $2";

/// See [`crate::outbox::Feedback::unread`].
pub(super) async fn unread(db: &Db, most: usize) -> Res<Vec<Written>> {
    let rows = db.query(UNREAD, &[&db.practice, &limit(most)]).await?;
    let place = |(source, session, person)| ParticipantRef { source, session: SessionId(session), participation: ParticipationId(person) };
    let one = |row: &Read| {
        let about: Vec<(String, i64, i64)> = json(get(row, 5)?)?;
        let text = db.sealer.open("said", get::<&str>(row, 0)?, get(row, 4)?)?;
        let said = ForStaff { text, about: about.into_iter().map(place).collect() };
        Ok(Written { key: word(row, 0)?, at: at(row, 1)?, shown: get(row, 2)?, word: word(row, 3)?, said })
    };
    rows.iter().map(one).collect()
}

/// See [`crate::outbox::Feedback::mark_read`].
pub(super) async fn mark_read(tx: &Tx<'_>, now: DateTime<Utc>, who: Option<&str>, key: NoticeKey) -> Res<bool> {
    let sql = "UPDATE said SET read_at = $3 WHERE practice = $1 AND reply_id = $2 AND read_at IS NULL";
    let marked = tx.execute(sql, &[&tx.practice, &key.to_string(), &ms(now)]).await? == 1;
    if marked {
        tx.note(now, Event::ReplyRead, &who.map(by).unwrap_or_default())?;
    }
    Ok(marked)
}
