//! Rows of the table `notice`: read, added, written back.
//!
//! The rules of the states are in `transition`; what is written here is what they made of the row, guarded by what the row was before.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{at, key, misread, ms, opt_at, opt_ms, opt_phase, opt_role, opt_word, phase_word, required, role_word, word};
use super::history;
use super::tx::Tx;
use crate::contact::{Address, Channel};
use crate::entry::{Entry, State};
use crate::ledger::Event;
use crate::notice::{Notice, NoticeKey};
use crate::outbox::standing::{ClaimHolder, Doubt};
use crate::outbox::transition::Row;
use crate::session::{ParticipationId, SessionId};

/// All columns, in the order in which [`row`] reads them.
pub(super) const COLUMNS: &str = "key, source, session_id, participation_id, role, occasion, rule, channel, unseal('address', '', address), start_at, due_at, useful_until, \
     state, reason, phase, next_attempt_at, attempts, accepted_at, server_reply, reference, changed_at, epoch, owner, lease_until, claimed_from, doubt, unseal('told', key, facts)";

/// How many they are: what a statement selects after them stands at this place.
pub(super) const COLUMN_COUNT: usize = 27;

/// Reads [`COLUMNS`].
pub(super) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let entry = Entry {
        notice: notice(row)?,
        source: row.get(1)?,
        state: word(row, 12)?,
        reason: opt_word(row, 13)?,
        phase: opt_phase(row, 14)?,
        next_attempt_at: opt_at(row, 15)?,
        attempts: row.get(16)?,
        accepted_at: opt_at(row, 17)?,
        server_reply: row.get(18)?,
        reference: row.get(19)?,
        changed_at: at(row, 20)?,
        facts: row.get(26)?,
    };
    Ok(Row { entry, epoch: row.get(21)?, claim: held(row)?, doubt: doubt(row)? })
}

/// The part of [`COLUMNS`] that the planner made.
fn notice(row: &rusqlite::Row<'_>) -> rusqlite::Result<Notice> {
    let channel: Channel = word(row, 7)?;
    Ok(Notice {
        key: key(row, 0)?,
        session: SessionId(row.get(2)?),
        participation: ParticipationId(row.get(3)?),
        role: required(opt_role(row, 4)?, 4)?,
        occasion: word(row, 5)?,
        rule: row.get(6)?,
        address: Address::restore(channel, row.get_ref(8)?.as_str()?),
        start: at(row, 9)?,
        due_at: at(row, 10)?,
        useful_until: at(row, 11)?,
    })
}

fn held(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<ClaimHolder>> {
    let owner: Option<String> = row.get(22)?;
    owner.map(|owner| Ok(ClaimHolder { owner, lease_until: at(row, 23)?, from: word(row, 24)? })).transpose()
}

fn doubt(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Doubt>> {
    match row.get_ref(25)?.as_str_or_null()? {
        None => Ok(None),
        Some("undecided") => Ok(Some(Doubt::Undecided)),
        Some("decided") => Ok(Some(Doubt::Decided)),
        Some(other) => Err(misread(25, Type::Text, format!("{other:?} is no doubt"))),
    }
}

/// The number of a row: what hangs on it is kept by that.
pub(super) fn number(connection: &Connection, key: NoticeKey) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT id FROM notice WHERE key = ?1")?.query_row([key.0], |row| row.get(0))
}

/// The row of a key.
pub(super) fn find(connection: &Connection, key: NoticeKey) -> rusqlite::Result<Option<Row>> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} FROM notice WHERE key = ?1"))?.query_row([key.0], row).optional()
}

/// Adds a notice that no attempt has begun yet. `false`: the key is there already.
pub(super) fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO notice (key, source, session_id, participation_id, role, occasion, rule, channel, address, start_at, due_at, useful_until,
                                   state, next_attempt_at, attempts, changed_at, epoch, reason, facts)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, seal_alike('address', ?9), ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, seal('told', ?1, ?19))
               ON CONFLICT (key) DO NOTHING";
    let (entry, notice) = (&row.entry, &row.entry.notice);
    let added = connection.prepare_cached(sql)?.execute(params![
        notice.key.0,
        entry.source,
        notice.session.0,
        notice.participation.0,
        role_word(notice.role),
        notice.occasion.as_str(),
        notice.rule,
        notice.address.channel().as_str(),
        notice.address.expose(),
        ms(notice.start),
        ms(notice.due_at),
        ms(notice.useful_until),
        entry.state.as_str(),
        opt_ms(entry.next_attempt_at),
        entry.attempts,
        ms(entry.changed_at),
        row.epoch,
        entry.reason.map(crate::notice::Reason::as_str),
        entry.facts,
    ])?;
    Ok(added == 1)
}

/// What a row was before a change: the guard of its writing back.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoticeBefore {
    pub(super) state: State,
    epoch: i64,
    due_at: DateTime<Utc>,
    useful_until: DateTime<Utc>,
}

impl NoticeBefore {
    pub(super) fn of(row: &Row) -> Self {
        Self { state: row.entry.state, epoch: row.epoch, due_at: row.entry.notice.due_at, useful_until: row.entry.notice.useful_until }
    }
}

/// Writes a changed row back, and its row in the ledger.
pub(super) fn record(
    connection: &Tx<'_>,
    row: &Row,
    before: NoticeBefore,
    event: (Event, Option<String>),
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    save(connection, row, before)?;
    if (before.due_at, before.useful_until) != (row.entry.notice.due_at, row.entry.notice.useful_until) {
        let sql = "UPDATE notice SET due_at = ?2, useful_until = ?3 WHERE key = ?1";
        let notice = &row.entry.notice;
        connection.prepare_cached(sql)?.execute(params![notice.key.0, ms(notice.due_at), ms(notice.useful_until)])?;
    }
    history::append(connection, &row.event(event.0, Some(before.state), at, event.1))
}

/// A compare-and-set: the row must still be what it was when it was read in this transaction.
fn save(connection: &Connection, row: &Row, before: NoticeBefore) -> rusqlite::Result<()> {
    let sql = "UPDATE notice SET state = ?4, reason = ?5, phase = ?6, next_attempt_at = ?7, attempts = ?8, accepted_at = ?9, server_reply = ?10,
                                 reference = ?11, changed_at = ?12, epoch = ?13, owner = ?14, lease_until = ?15, claimed_from = ?16, doubt = ?17, facts = seal('told', key, ?18)
               WHERE key = ?1 AND epoch = ?2 AND state = ?3";
    let (entry, claim) = (&row.entry, row.claim.as_ref());
    let changed = connection.prepare_cached(sql)?.execute(params![
        entry.notice.key.0,
        before.epoch,
        before.state.as_str(),
        entry.state.as_str(),
        entry.reason.map(crate::notice::Reason::as_str),
        entry.phase.map(phase_word),
        opt_ms(entry.next_attempt_at),
        entry.attempts,
        opt_ms(entry.accepted_at),
        entry.server_reply,
        entry.reference,
        ms(entry.changed_at),
        row.epoch,
        claim.map(|c| &c.owner),
        claim.map(|c| ms(c.lease_until)),
        claim.map(|c| c.from.as_str()),
        row.doubt.map(Doubt::as_str),
        entry.facts,
    ])?;
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
}
