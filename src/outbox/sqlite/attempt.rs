//! The lower line of the flow: claim, begin, doubt, settle; and what lapses meanwhile.
//!
//! Invariants: a claim raises the epoch; begin and doubt pass only for the claim's epoch and the session's latest revision, doubt only with
//! enough of the lease left by this store's clock; a delivery that was begun is written down even when its claim was lost.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{key, ms, opt_at, opt_phase, phase_word, store_now, word};
use super::frozen;
use super::history::{self, StepOf, Stepped};
use super::notices::{self, COLUMN_COUNT, COLUMNS, NoticeBefore, find, record};
use super::tx::Tx;
use super::{known, query, receipt, suppression};
use crate::entry::{AttemptEnd, Entry, Phase, State};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::outbox::frozen::Packed;
use crate::outbox::standing::ClaimState;
use crate::outbox::transition::Row;
use crate::outbox::{Begin, Claim, ClaimRequest, Lease, Settlement};
use crate::session::SessionId;
use crate::session::stored::StoredSession;
use crate::suppression::SaidBy;

/// Their numbers, from the index alone, the most urgent first.
pub(super) const DUE: &str = "SELECT id FROM notice INDEXED BY notice_due
     WHERE channel = ?1 AND state IN ('waiting', 'unknown') AND next_attempt_at <= ?2 ORDER BY useful_until, due_at, id LIMIT ?3";

pub(super) fn due(connection: &Connection, request: &ClaimRequest) -> rusqlite::Result<Vec<i64>> {
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let values = params![request.channel.as_str(), ms(request.now), limit];
    connection.prepare_cached(DUE)?.query_map(values, |row| row.get(0))?.collect()
}

/// Those of these numbers that are due still.
pub(super) fn claim_sql() -> String {
    format!(
        "SELECT {COLUMNS}, id FROM notice NOT INDEXED WHERE id IN (SELECT value FROM json_each(?3))
         AND channel = ?1 AND state IN ('waiting', 'unknown') AND next_attempt_at <= ?2 ORDER BY useful_until, due_at, id"
    )
}

/// Claims what is due of these, the most urgent first.
pub(super) fn claim(connection: &Tx<'_>, request: &ClaimRequest, numbers: &[i64]) -> rusqlite::Result<Vec<Claim>> {
    let mut statement = connection.prepare_cached(&claim_sql())?;
    let values = params![request.channel.as_str(), ms(request.now), format!("{numbers:?}")];
    let numbered = |row: &rusqlite::Row<'_>| Ok((notices::row(row)?, row.get(COLUMN_COUNT)?));
    let due: Vec<(Row, i64)> = statement.query_map(values, numbered)?.collect::<rusqlite::Result<_>>()?;
    let mut claimer = Claimer { connection, request, lease_until: store_now(connection)? + request.lease, session: None };
    due.into_iter().map(|(row, number)| claimer.claim(row, number)).collect()
}

/// Claims one row after another. The people of one session follow each other, and share what is read of it.
struct Claimer<'a, 'c> {
    connection: &'a Tx<'c>,
    request: &'a ClaimRequest,
    lease_until: DateTime<Utc>,
    session: Option<Latest>,
}

/// A session, as it stands when a notice of it is claimed.
struct Latest {
    source: String,
    stored: StoredSession,
    revision: i64,
    snapshot_at: DateTime<Utc>,
}

impl Claimer<'_, '_> {
    fn claim(&mut self, mut row: Row, number: i64) -> rusqlite::Result<Claim> {
        let (connection, entry) = (self.connection, row.entry.clone());
        row.claim(&self.request.owner, self.lease_until, self.request.now);
        let sql =
            "UPDATE notice SET state = 'claimed', reason = NULL, phase = NULL, changed_at = ?2, epoch = ?3, owner = ?4, lease_until = ?5,
                                     claimed_from = ?6 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute(params![
            number,
            ms(row.entry.changed_at),
            row.epoch,
            self.request.owner,
            ms(self.lease_until),
            entry.state.as_str(),
        ])?;
        let notice = &entry.notice;
        let step = StepOf { key: notice.key, session: notice.session.0, participation: notice.participation.0 };
        history::step(
            connection,
            &step,
            Stepped { event: Event::Claimed, from: entry.state, to: State::Claimed, at: self.request.now, detail: None },
        )?;
        let known = known::participant(connection, &entry.source, notice.session, notice.participation)?;
        let frozen = if row.doubt.is_some() { query::content(connection, notice.key)? } else { None };
        let frozen_at = if frozen.is_some() { query::last_begun(connection, number)? } else { None };
        let Latest { stored, revision, snapshot_at, .. } = self.latest(&entry.source, notice.session)?;
        Ok(Claim {
            epoch: row.epoch,
            session: stored.clone(),
            revision: *revision,
            snapshot_at: *snapshot_at,
            known,
            frozen,
            frozen_at,
            entry,
        })
    }

    fn latest(&mut self, source: &str, id: SessionId) -> rusqlite::Result<&Latest> {
        let same = self.session.take().filter(|s| s.stored.id == id && s.source == source);
        let latest = if let Some(latest) = same {
            latest
        } else {
            let (stored, revision) = query::session(self.connection, source, id)?;
            let snapshot_at = query::last_snapshot_at(self.connection, source)?;
            Latest { source: source.to_owned(), stored, revision, snapshot_at }
        };
        Ok(self.session.insert(latest))
    }
}

/// What ends past its time: due, or held, or in doubt and waiting for a person. Each is a search of an index.
pub(super) const PAST: [&str; 2] = [
    "SELECT key FROM notice INDEXED BY notice_due
     WHERE channel IN ('email', 'sms') AND state IN ('waiting', 'unknown') AND next_attempt_at <= ?1 AND useful_until <= ?1",
    "SELECT key FROM notice INDEXED BY notice_state WHERE state IN ('held', 'unknown') AND useful_until <= ?1",
];

/// Ends what is past its useful time.
pub(super) fn lapse(connection: &Tx<'_>, now: DateTime<Utc>) -> rusqlite::Result<Vec<Entry>> {
    let mut past: BTreeSet<NoticeKey> = BTreeSet::new();
    for sql in PAST {
        let mut statement = connection.prepare_cached(sql)?;
        let keys = statement.query_map([ms(now)], |row| key(row, 0))?;
        past.extend(keys.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let mut lapsed = Vec::new();
    for key in past {
        let Some(mut row) = find(connection, key)? else { continue };
        let before = NoticeBefore::of(&row);
        if row.lapse(now) {
            record(connection, &row, before, (Event::Lapsed, None), now)?;
            suppression::plan_again(connection, &row.entry.source, row.entry.notice.session, now)?;
            lapsed.push(row.entry);
        }
    }
    Ok(lapsed)
}

/// A row at one of its steps: what the rules ask about, and what is written beside it.
struct FoundClaim {
    number: i64,
    step: StepOf,
    standing: ClaimState,
    /// Of its session, now.
    revision: i64,
    attempts: i64,
}

fn find_standing(connection: &Connection, lease: Lease) -> rusqlite::Result<Option<FoundClaim>> {
    let sql = "SELECT notice.id, session_id, participation_id, epoch, state, phase, lease_until, revision, attempts
               FROM notice JOIN session ON session.source = notice.source AND session.id = session_id WHERE key = ?1";
    let found = |row: &rusqlite::Row<'_>| {
        Ok(FoundClaim {
            number: row.get(0)?,
            step: StepOf { key: lease.key, session: row.get(1)?, participation: row.get(2)? },
            standing: ClaimState { epoch: row.get(3)?, state: word(row, 4)?, phase: opt_phase(row, 5)?, lease_until: opt_at(row, 6)? },
            revision: row.get(7)?,
            attempts: row.get(8)?,
        })
    };
    connection.prepare_cached(sql)?.query_row([lease.key.0], found).optional()
}

/// Freezes the bytes and opens the delivery.
pub(super) fn begin(connection: &Tx<'_>, begin: &Begin, packed: &Packed<'_>) -> rusqlite::Result<bool> {
    let Some(found) = find_standing(connection, begin.lease)? else { return Ok(false) };
    if found.revision != begin.revision || !found.standing.may_begin(begin.lease) {
        return Ok(false);
    }
    start(connection, &found, (begin, packed), Phase::Pre)?;
    history::step(
        connection,
        &found.step,
        Stepped { event: Event::Begun, from: found.standing.state, to: State::Sending, at: begin.at, detail: Some(&begin.transport) },
    )?;
    Ok(true)
}

/// Likewise, and past the point of no return at once.
pub(super) fn take(connection: &Tx<'_>, begin: &Begin, packed: &Packed<'_>, margin: TimeDelta) -> rusqlite::Result<bool> {
    let Some(found) = find_standing(connection, begin.lease)? else { return Ok(false) };
    let now = store_now(connection)?;
    if found.revision != begin.revision || !found.standing.may_take(begin.lease, now, margin) {
        return Ok(false);
    }
    // A receipt of the copy before: it arrived, and no second one is needed.
    if found.attempts > 0 && receipt::came(connection, begin.lease.key)? {
        return Ok(false);
    }
    start(connection, &found, (begin, packed), Phase::Doubt)?;
    history::step(
        connection,
        &found.step,
        Stepped { event: Event::Doubted, from: found.standing.state, to: State::Sending, at: now, detail: Some(&begin.transport) },
    )?;
    Ok(true)
}

fn start(connection: &Tx<'_>, found: &FoundClaim, (begin, packed): (&Begin, &Packed<'_>), phase: Phase) -> rusqlite::Result<()> {
    let sql = "UPDATE notice SET state = 'sending', phase = ?4, reason = NULL, changed_at = ?2, attempts = attempts + 1, facts = seal('told', key, ?3)
               WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![found.number, ms(begin.at), begin.facts, phase_word(phase)])?;
    frozen::put(packed, connection, found.number)?;
    let sql = "INSERT INTO delivery (notice_id, attempt, epoch, started_at, phase, transport)
               VALUES (?1, (SELECT coalesce(max(attempt), 0) + 1 FROM delivery WHERE notice_id = ?1), ?2, ?3, ?5, ?4)";
    connection.prepare_cached(sql)?.execute(params![found.number, begin.lease.epoch, ms(begin.at), begin.transport, phase_word(phase)])?;
    Ok(())
}

/// The point of no return. Until it ends, the delivery's phase is the notice's: one row less to write.
pub(super) fn doubt(connection: &Tx<'_>, lease: Lease, revision: i64, margin: TimeDelta) -> rusqlite::Result<bool> {
    let Some(found) = find_standing(connection, lease)? else { return Ok(false) };
    let now = store_now(connection)?;
    if found.revision != revision || !found.standing.may_enter_doubt(lease, now, margin) {
        return Ok(false);
    }
    // A receipt of the copy before: it arrived, and no second one is needed.
    if found.attempts > 1 && receipt::came(connection, lease.key)? {
        return Ok(false);
    }
    connection.prepare_cached("UPDATE notice SET phase = 'doubt' WHERE id = ?1")?.execute([found.number])?;
    history::step(
        connection,
        &found.step,
        Stepped { event: Event::Doubted, from: State::Sending, to: State::Sending, at: now, detail: None },
    )?;
    Ok(true)
}

/// Another transport than the delivery was begun for.
pub(super) fn reroute(connection: &Tx<'_>, lease: Lease, transport: &str) -> rusqlite::Result<bool> {
    let Some(found) = find_standing(connection, lease)?.filter(|found| found.standing.can_reroute(lease)) else { return Ok(false) };
    let sql = "UPDATE delivery SET transport = ?3
               WHERE notice_id = ?1 AND attempt = (SELECT attempt FROM delivery WHERE notice_id = ?1 AND epoch = ?2)";
    connection.prepare_cached(sql)?.execute(params![found.number, lease.epoch, transport])?;
    if found.standing.phase == Some(Phase::Doubt) {
        // Refused there: of this one nothing was sent yet.
        connection.prepare_cached("UPDATE notice SET phase = 'pre' WHERE id = ?1")?.execute([found.number])?;
    }
    history::step(
        connection,
        &found.step,
        Stepped { event: Event::Rerouted, from: State::Sending, to: State::Sending, at: store_now(connection)?, detail: Some(transport) },
    )?;
    Ok(true)
}

/// The claim ends; the delivery's end is written in any case.
pub(super) fn settle(connection: &Tx<'_>, lease: Lease, end: &Settlement, at: DateTime<Utc>) -> rusqlite::Result<bool> {
    let by_receipt = Settlement::by_receipt();
    let told = end.is_open() && receipt::came(connection, lease.key)?;
    let end = if told { &by_receipt } else { end };
    let (outcome, reply) = end.in_words();
    let Some(found) = find_standing(connection, lease)? else { return Ok(false) };
    // Of a claim that was lost, whoever took it back has written down how far it had got.
    let phase = found.standing.phase.filter(|_| found.standing.holds(lease));
    close_delivery(connection, &Close { number: found.number, epoch: lease.epoch, phase }, at, (&outcome, reply))?;
    if let Settlement::Accepted { reply, reference } = end
        && found.standing.holds(lease)
    {
        return accept(connection, &found, (reply, reference.as_deref()), end, at);
    }
    let Some(mut row) = find(connection, lease.key)? else { return Ok(false) };
    let before = NoticeBefore::of(&row);
    if !row.settle(lease, end, at) {
        return Ok(false);
    }
    record(connection, &row, before, (Event::Settled, Some(end.detail())), at)?;
    if end.unsettles() {
        suppression::plan_again(connection, &row.entry.source, row.entry.notice.session, at)?;
    }
    remember(connection, &row, end, at)?;
    Ok(true)
}

/// The end of nearly all of them: what [`Row::settle`] makes of it, without reading the rest of the row.
fn accept(
    connection: &Tx<'_>,
    found: &FoundClaim,
    (reply, reference): (&str, Option<&str>),
    end: &Settlement,
    at: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let sql =
        "UPDATE notice SET state = 'accepted', reason = NULL, phase = NULL, next_attempt_at = NULL, accepted_at = ?2, server_reply = ?3,
                                 reference = ?4, changed_at = ?2, owner = NULL, lease_until = NULL, claimed_from = NULL WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![found.number, ms(at), reply, reference])?;
    history::step(
        connection,
        &found.step,
        Stepped { event: Event::Settled, from: found.standing.state, to: State::Accepted, at, detail: Some(&end.detail()) },
    )?;
    Ok(true)
}

/// Which delivery ends, and how far it got.
pub(super) struct Close {
    pub(super) number: i64,
    pub(super) epoch: i64,
    /// `None`: as it is written down already.
    pub(super) phase: Option<Phase>,
}

/// What a recovery wrote of it (`crashed`) is replaced: its own word is the better one.
pub(super) fn close_delivery(
    connection: &Connection,
    close: &Close,
    at: DateTime<Utc>,
    (outcome, reply): (&AttemptEnd, Option<&str>),
) -> rusqlite::Result<()> {
    // By its whole key: SQLite would note down the keys of an unknown number of rows in a table of their own first.
    let sql = "UPDATE delivery SET ended_at = ?3, outcome = ?4, reply = ?5, phase = coalesce(?6, phase)
               WHERE notice_id = ?1 AND attempt = (SELECT attempt FROM delivery WHERE notice_id = ?1 AND epoch = ?2)
               AND (ended_at IS NULL OR outcome = 'crashed')";
    let values = params![close.number, close.epoch, ms(at), outcome.as_str(), reply, close.phase.map(phase_word)];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// What a rejection says about the address, in the same transaction.
fn remember(connection: &Tx<'_>, row: &Row, end: &Settlement, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let Settlement::Rejected { remember: Some(kind), .. } = end else { return Ok(()) };
    if suppression::put(connection, &NewSuppression::of(&row.entry.notice, *kind, SaidBy::Refusal, at))? {
        history::append(connection, &row.suppressed(*kind, at))?;
    }
    Ok(())
}
