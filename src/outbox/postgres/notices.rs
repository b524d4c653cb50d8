//! Rows of the table `notice`: read, added, written back.
//!
//! The rules of the states are in `transition`; a transaction locks the rows that it names, in the order of their numbers, asks there, and writes
//! back what changed, all of it in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::columns::{
    get, key, keys, ms, number, opt_at, opt_ms, opt_phase, opt_role, opt_word, parsed, person, phase_word, required, role_word, session,
    word,
};
use super::db::{Db, Tx};
use super::error::{Res, refused};
use super::sealed::Sealer;
use crate::contact::{Address, Channel};
use crate::entry::{Entry, Phase, State};
use crate::ledger::Event;
use crate::notice::{Notice, NoticeKey, Reason};
use crate::outbox::standing::{ClaimHolder, Doubt};
use crate::outbox::transition::Row;

/// All columns, in the order in which [`row`] reads them.
pub(super) const COLUMNS: &str = "n.key, n.source, n.session_id, n.participation_id, n.role, n.occasion, n.rule, n.channel, n.address, n.start_at, n.due_at, \
     n.useful_until, n.state, n.reason, n.phase, n.next_attempt_at, n.attempts, n.accepted_at, n.server_reply, n.reference, n.changed_at, n.epoch, n.owner, \
     n.lease_until, n.claimed_from, n.doubt, n.facts, n.id";

/// How many they are: what a statement selects after them stands at this place.
pub(super) const COLUMN_COUNT: usize = 28;

/// Claimed, or sending: one word in the table, so that a step of an attempt changes no index.
const FLYING: &str = "flying";

/// The word of a state in the table.
pub(super) fn state_word(state: State) -> &'static str {
    match state {
        State::Claimed | State::Sending => FLYING,
        other => other.as_str(),
    }
}

/// The state of a row.
pub(super) fn state_of(text: &str, phase: Option<Phase>) -> Res<State> {
    match (text, phase) {
        (FLYING, None) => Ok(State::Claimed),
        (FLYING, Some(_)) => Ok(State::Sending),
        (text, _) => parsed(text),
    }
}

/// A row, and its number: what hangs on it is kept by that.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) id: i64,
    pub(super) row: Row,
}

/// Reads [`COLUMNS`].
pub(super) fn row(sealer: &Sealer, row: &tokio_postgres::Row) -> Res<Numbered> {
    let notice = notice(sealer, row)?;
    let phase = opt_phase(row, 14)?;
    let entry = Entry {
        source: get(row, 1)?,
        state: state_of(get(row, 12)?, phase)?,
        reason: opt_word(row, 13)?,
        phase,
        next_attempt_at: opt_at(row, 15)?,
        attempts: number(row, 16)?,
        accepted_at: opt_at(row, 17)?,
        server_reply: get(row, 18)?,
        reference: get(row, 19)?,
        changed_at: super::columns::at(row, 20)?,
        facts: sealer.open_some("told", notice.key.0, get(row, 26)?)?,
        notice,
    };
    Ok(Numbered { id: get(row, 27)?, row: Row { entry, epoch: get(row, 21)?, claim: held(row)?, doubt: doubt(row)? } })
}

/// The part of [`COLUMNS`] that the planner made.
fn notice(sealer: &Sealer, row: &tokio_postgres::Row) -> Res<Notice> {
    use super::columns::at;
    let channel: Channel = word(row, 7)?;
    Ok(Notice {
        key: key(row, 0)?,
        session: session(row, 2)?,
        participation: person(row, 3)?,
        role: required(opt_role(row, 4)?, "a role")?,
        occasion: word(row, 5)?,
        rule: get(row, 6)?,
        address: Address::restore(channel, &sealer.open("address", "", get(row, 8)?)?),
        start: at(row, 9)?,
        due_at: at(row, 10)?,
        useful_until: at(row, 11)?,
    })
}

fn held(row: &tokio_postgres::Row) -> Res<Option<ClaimHolder>> {
    let owner: Option<String> = get(row, 22)?;
    owner.map(|owner| Ok(ClaimHolder { owner, lease_until: get(row, 23)?, from: word(row, 24)? })).transpose()
}

fn doubt(row: &tokio_postgres::Row) -> Res<Option<Doubt>> {
    match get::<Option<&str>>(row, 25)? {
        None => Ok(None),
        Some("undecided") => Ok(Some(Doubt::Undecided)),
        Some("decided") => Ok(Some(Doubt::Decided)),
        Some(other) => Err(refused(format!("{other:?} is no doubt"))),
    }
}

/// Those of given keys (`$2`).
pub(super) const THESE_KEYS: &str = "(SELECT $1::integer AS practice, * FROM unnest($2::bytea[]) AS u (key) OFFSET 0) AS w
             JOIN notice AS n ON n.practice = w.practice AND n.key = w.key";

/// The rows of these keys, locked.
pub(super) async fn locked(tx: &Tx<'_>, of: &[NoticeKey]) -> Res<HashMap<NoticeKey, Numbered>> {
    let sql = format!("SELECT {COLUMNS} FROM {THESE_KEYS} ORDER BY n.id FOR NO KEY UPDATE OF n");
    let rows = tx.query(&sql, &[&tx.practice, &keys(of)]).await?;
    rows.iter().map(|r| row(&tx.sealer, r).map(|numbered| (numbered.row.entry.notice.key, numbered))).collect()
}

/// The row of a key, locked.
pub(super) async fn find(tx: &Tx<'_>, key: NoticeKey) -> Res<Option<Numbered>> {
    Ok(locked(tx, &[key]).await?.remove(&key))
}

/// What a transaction makes of rows: each is asked in turn, and all that changed are written at its end.
#[derive(Default)]
pub(super) struct Sheet {
    rows: HashMap<NoticeKey, Numbered>,
    changed: Vec<NoticeKey>,
}

impl Sheet {
    /// The rows of these keys.
    pub(super) async fn of(tx: &Tx<'_>, keys: &[NoticeKey]) -> Res<Self> {
        Ok(Self { rows: locked(tx, keys).await?, changed: Vec::new() })
    }

    pub(super) fn get_mut(&mut self, key: NoticeKey) -> Option<&mut Numbered> {
        self.rows.get_mut(&key)
    }

    /// That one changed; it was in this state before. Its row in the ledger.
    pub(super) fn record(
        &mut self,
        tx: &Tx<'_>,
        key: NoticeKey,
        from: State,
        event: (Event, Option<String>),
        at: DateTime<Utc>,
    ) -> Res<()> {
        let numbered = self.rows.get(&key).ok_or_else(|| refused("a row is written that was not read"))?;
        tx.append(numbered.row.event(event.0, Some(from), at, event.1))?;
        self.touch(key);
        Ok(())
    }

    /// It is written with the others.
    pub(super) fn touch(&mut self, key: NoticeKey) {
        if !self.changed.contains(&key) {
            self.changed.push(key);
        }
    }

    pub(super) async fn save(&self, tx: &Tx<'_>) -> Res<()> {
        let rows: Vec<&Numbered> = self.changed.iter().filter_map(|key| self.rows.get(key)).collect();
        save(tx, &rows).await
    }
}

/// Writes rows back that this transaction has locked.
pub(super) async fn save(tx: &Tx<'_>, rows: &[&Numbered]) -> Res<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let entries: Vec<&Entry> = rows.iter().map(|n| &n.row.entry).collect();
    let claims: Vec<Option<&ClaimHolder>> = rows.iter().map(|n| n.row.claim.as_ref()).collect();
    let facts = entries.iter().map(|e| e.facts.as_deref().map(|facts| tx.sealer.seal("told", e.notice.key.0, facts)).transpose());
    let sql = "UPDATE notice AS n SET state = d.state, reason = d.reason, phase = d.phase, next_attempt_at = d.next, attempts = d.attempts,
                   accepted_at = d.accepted, server_reply = d.reply, reference = d.reference, changed_at = d.changed, epoch = d.epoch, owner = d.owner,
                   lease_until = d.lease, claimed_from = d.claimed_from, doubt = d.doubt, facts = d.facts, due_at = d.due, useful_until = d.useful
               FROM (SELECT $1::integer AS practice, *
                     FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::bigint[],
                                 $12::bigint[], $13::text[], $14::timestamptz[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::bigint[])
                         AS u (id, state, reason, phase, next, attempts, accepted, reply, reference, changed, epoch, owner, lease, claimed_from, doubt, facts,
                               due, useful) OFFSET 0) AS d
               WHERE n.practice = d.practice AND n.id = d.id";
    let changed = tx
        .execute(
            sql,
            &[
                &tx.practice,
                &rows.iter().map(|n| n.id).collect::<Vec<_>>(),
                &entries.iter().map(|e| state_word(e.state)).collect::<Vec<_>>(),
                &entries.iter().map(|e| e.reason.map(Reason::as_str)).collect::<Vec<_>>(),
                &entries.iter().map(|e| e.phase.map(phase_word)).collect::<Vec<_>>(),
                &entries.iter().map(|e| opt_ms(e.next_attempt_at)).collect::<Vec<_>>(),
                &entries.iter().map(|e| i64::from(e.attempts)).collect::<Vec<_>>(),
                &entries.iter().map(|e| opt_ms(e.accepted_at)).collect::<Vec<_>>(),
                &entries.iter().map(|e| e.server_reply.as_deref()).collect::<Vec<_>>(),
                &entries.iter().map(|e| e.reference.as_deref()).collect::<Vec<_>>(),
                &entries.iter().map(|e| ms(e.changed_at)).collect::<Vec<_>>(),
                &rows.iter().map(|n| n.row.epoch).collect::<Vec<_>>(),
                &claims.iter().map(|c| c.map(|c| c.owner.as_str())).collect::<Vec<_>>(),
                &claims.iter().map(|c| c.map(|c| c.lease_until)).collect::<Vec<_>>(),
                &claims.iter().map(|c| c.map(|c| c.from.as_str())).collect::<Vec<_>>(),
                &rows.iter().map(|n| n.row.doubt.map(Doubt::as_str)).collect::<Vec<_>>(),
                &facts.collect::<Res<Vec<_>>>()?,
                &entries.iter().map(|e| ms(e.notice.due_at)).collect::<Vec<_>>(),
                &entries.iter().map(|e| ms(e.notice.useful_until)).collect::<Vec<_>>(),
            ],
        )
        .await?;
    if changed == rows.len() as u64 { Ok(()) } else { Err(refused("a notice that was locked is not there")) }
}

/// Adds notices. Those that are there already are not added; the keys of those that were.
pub(super) async fn insert(tx: &Tx<'_>, rows: &[&Row]) -> Res<Vec<NoticeKey>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<&Entry> = rows.iter().map(|row| &row.entry).collect();
    let notices: Vec<&Notice> = entries.iter().map(|e| &e.notice).collect();
    let addresses = notices.iter().map(|n| tx.sealer.seal_alike("address", n.address.expose())).collect::<Res<Vec<_>>>()?;
    let sql = "INSERT INTO notice (practice, key, source, session_id, participation_id, role, occasion, rule, channel, address, start_at, due_at, useful_until,
                                   state, next_attempt_at, attempts, changed_at, epoch)
               SELECT $1, d.* FROM unnest($2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                   $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[]) AS d
               ON CONFLICT (practice, key) DO NOTHING RETURNING key";
    let added = tx
        .query(
            sql,
            &[
                &tx.practice,
                &notices.iter().map(|n| &n.key.0[..]).collect::<Vec<_>>(),
                &entries.iter().map(|e| e.source.as_str()).collect::<Vec<_>>(),
                &notices.iter().map(|n| n.session.0).collect::<Vec<_>>(),
                &notices.iter().map(|n| n.participation.0).collect::<Vec<_>>(),
                &notices.iter().map(|n| role_word(n.role)).collect::<Vec<_>>(),
                &notices.iter().map(|n| n.occasion.as_str()).collect::<Vec<_>>(),
                &notices.iter().map(|n| n.rule.as_deref()).collect::<Vec<_>>(),
                &notices.iter().map(|n| n.address.channel().as_str()).collect::<Vec<_>>(),
                &addresses,
                &notices.iter().map(|n| ms(n.start)).collect::<Vec<_>>(),
                &notices.iter().map(|n| ms(n.due_at)).collect::<Vec<_>>(),
                &notices.iter().map(|n| ms(n.useful_until)).collect::<Vec<_>>(),
                &entries.iter().map(|e| state_word(e.state)).collect::<Vec<_>>(),
                &entries.iter().map(|e| opt_ms(e.next_attempt_at)).collect::<Vec<_>>(),
                &entries.iter().map(|e| i64::from(e.attempts)).collect::<Vec<_>>(),
                &entries.iter().map(|e| ms(e.changed_at)).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.epoch).collect::<Vec<_>>(),
            ],
        )
        .await?;
    added.iter().map(|row| key(row, 0)).collect()
}

/// The rows of these statements' first column, as keys.
pub(super) async fn keys_of(db: &Db, sql: &str, values: super::db::Values<'_>) -> Res<Vec<NoticeKey>> {
    db.query(sql, values).await?.iter().map(|row| key(row, 0)).collect()
}
