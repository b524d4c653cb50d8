//! Rows of the table `outgoing`: letters to the practice, and answers to texts. They are few: each step reads its row, asks the rules
//! ([`crate::outbox::outgoing`]), and writes it back.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{at, misread, ms, opt_at, opt_ms, opt_phase, phase_word, store_now, word};
use super::history;
use super::tx::Tx;
use crate::contact::{Address, Channel};
use crate::entry::State;
use crate::feedback::reply::PendingAnswer;
use crate::notice::NoticeKey;
use crate::outbox::attempted::Row;
use crate::outbox::outgoing::{Alone, AloneEnd, AloneMessage, AloneStep};
use crate::outbox::standing::{ClaimHolder, Recovery};
use crate::outbox::{ClaimAlone, DigestDelivery, Lease, Scheduled, digest_key};

const SELECT: &str =
    "SELECT key, recipient, unseal('answer', key, address), answer, locale, due_at, useful_until, state, phase, next_attempt_at, attempts,
     changed_at, epoch, owner, lease_until, transport, outcome FROM outgoing";

/// Answers that wait, the oldest first.
pub(super) const WAITING: &str =
    "INDEXED BY outgoing_open WHERE kind = 'answer' AND next_attempt_at IS NOT NULL AND state = 'waiting' ORDER BY due_at, key";
const HELD: &str = "INDEXED BY outgoing_open WHERE kind IN ('letter', 'answer') AND next_attempt_at IS NOT NULL AND owner IS NOT NULL";

/// A statement that reads rows.
pub(super) fn sql(which: &str) -> String {
    format!("{SELECT} {which}")
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row<Alone>> {
    let what = match row.get(1)? {
        Some(recipient) => AloneMessage::Letter { recipient },
        None => AloneMessage::Answer { to: number(row)?, answer: word(row, 3)?, locale: row.get(4)? },
    };
    let owner: Option<String> = row.get(13)?;
    let entry = Alone {
        key: word(row, 0)?,
        what,
        due_at: at(row, 5)?,
        useful_until: at(row, 6)?,
        state: word(row, 7)?,
        phase: opt_phase(row, 8)?,
        next_attempt_at: opt_at(row, 9)?,
        attempts: row.get(10)?,
        changed_at: at(row, 11)?,
        transport: row.get(15)?,
        outcome: row.get_ref(16)?.as_str_or_null()?.map(AloneEnd::from),
    };
    let held = |owner| Ok::<_, rusqlite::Error>(ClaimHolder { owner, lease_until: at(row, 14)?, from: State::Waiting });
    Ok(Row { entry, epoch: row.get(12)?, claim: owner.map(held).transpose()?, doubt: None })
}

fn number(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<crate::contact::PhoneNumber>> {
    match row.get_ref(2)?.as_str()? {
        "" => Ok(None),
        text => match Address::restore(Channel::Sms, text) {
            Address::Sms(to) => Ok(Some(to)),
            Address::Email(_) => Err(misread(2, Type::Text, "it is no number".to_owned())),
        },
    }
}

fn all(connection: &Connection, which: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<Row<Alone>>> {
    connection.prepare_cached(&sql(which))?.query_map(values, row)?.collect()
}

fn find(connection: &Connection, key: NoticeKey) -> rusqlite::Result<Option<Row<Alone>>> {
    connection.prepare_cached(&sql("WHERE key = ?1"))?.query_row([key.to_string()], row).optional()
}

/// Adds one. One that is there stays as it is. `who`: the digest of an answer's number.
pub(super) fn add(connection: &Connection, new: &Row<Alone>, who: &str) -> rusqlite::Result<()> {
    let entry = &new.entry;
    let (recipient, address, answer, locale) = match &entry.what {
        AloneMessage::Letter { recipient } => (Some(recipient), "", None, None),
        AloneMessage::Answer { to, answer, locale } => {
            (None, to.as_ref().map_or("", |to| to.expose()), Some(answer.as_str()), Some(locale))
        }
    };
    let sql = "INSERT INTO outgoing (key, kind, recipient, address, address_key, answer, locale, due_at, useful_until, state, next_attempt_at, attempts,
                                     changed_at, epoch)
               VALUES (?1, ?2, ?3, seal('answer', ?1, ?4), seal_alike('suppression', ?5), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
               ON CONFLICT (key) DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![
        entry.key.to_string(),
        entry.what.kind().as_str(),
        recipient,
        address,
        who,
        answer,
        locale,
        ms(entry.due_at),
        ms(entry.useful_until),
        entry.state.as_str(),
        opt_ms(entry.next_attempt_at),
        entry.attempts,
        ms(entry.changed_at),
        new.epoch,
    ])?;
    Ok(())
}

fn save(connection: &Connection, row: &Row<Alone>) -> rusqlite::Result<()> {
    let sql = "UPDATE outgoing SET address = iif(?2, address, ''), state = ?3, phase = ?4, next_attempt_at = ?5, attempts = ?6, changed_at = ?7, epoch = ?8,
                                   owner = ?9, lease_until = ?10, transport = ?11, outcome = ?12 WHERE key = ?1";
    let (entry, claim) = (&row.entry, row.claim.as_ref());
    connection.prepare_cached(sql)?.execute(params![
        entry.key.to_string(),
        matches!(entry.what, AloneMessage::Answer { to: Some(_), .. }),
        entry.state.as_str(),
        entry.phase.map(phase_word),
        opt_ms(entry.next_attempt_at),
        entry.attempts,
        ms(entry.changed_at),
        row.epoch,
        claim.map(|c| &c.owner),
        claim.map(|c| ms(c.lease_until)),
        entry.transport,
        entry.outcome.as_ref().map(AloneEnd::as_str),
    ])?;
    Ok(())
}

/// See [`crate::outbox::Attempts::claim_alone`].
pub(super) fn claim(connection: &Tx<'_>, request: &ClaimAlone) -> rusqlite::Result<Option<Lease>> {
    let lease_until = store_now(connection)? + request.lease;
    let Some(mut row) = find(connection, request.key)?.filter(|row| row.entry.what.kind() == request.kind) else { return Ok(None) };
    if !row.claim_alone(&request.owner, lease_until, request.now) {
        return Ok(None);
    }
    save(connection, &row)?;
    Ok(Some(Lease { kind: request.kind, key: request.key, epoch: row.epoch }))
}

/// A step of an attempt. `false`: it is not possible.
pub(super) fn step(connection: &Tx<'_>, lease: Lease, step: AloneStep<'_>) -> rusqlite::Result<bool> {
    let Some(mut row) = find(connection, lease.key)? else { return Ok(false) };
    let Ok(told) = row.step(lease, step, store_now(connection)?) else { return Ok(false) };
    save(connection, &row)?;
    told.map_or(Ok(()), |told| history::append(connection, &told))?;
    Ok(true)
}

/// Takes claims back whose owner is gone; how many had not left.
pub(super) fn recover(connection: &Tx<'_>, owner: &str, now: DateTime<Utc>, everything: bool) -> rusqlite::Result<usize> {
    let (store_now, mut returned) = (store_now(connection)?, 0);
    for mut row in all(connection, HELD, [])? {
        let Some(recovery) = row.recover_alone(|held| held.is_gone(owner, store_now, everything), now) else { continue };
        returned += usize::from(recovery == Recovery::Returned);
        save(connection, &row)?;
    }
    Ok(returned)
}

/// See [`Row::forgo`]: letters that are open, and those of scheduled times that the store knows nothing of. Returns how many.
pub(super) fn forgo(connection: &Tx<'_>, scheduled: &[Scheduled], now: DateTime<Utc>) -> rusqlite::Result<usize> {
    for Scheduled { at, useful_until, recipients } in scheduled {
        recipients.iter().try_for_each(|to| add(connection, &Row::letter(*at, *useful_until, to), ""))?;
    }
    let mut count = 0;
    for mut row in all(connection, "INDEXED BY outgoing_open WHERE kind = 'letter' AND next_attempt_at IS NOT NULL", [])? {
        let Some(told) = row.forgo(now) else { continue };
        save(connection, &row)?;
        history::append(connection, &told)?;
        count += 1;
    }
    Ok(count)
}

/// Letters of a scheduled time, by recipient.
pub(super) fn letters(connection: &Connection, scheduled_at: DateTime<Utc>) -> rusqlite::Result<Vec<DigestDelivery>> {
    let which = "INDEXED BY outgoing_due WHERE kind = 'letter' AND due_at = ?1 ORDER BY recipient";
    Ok(all(connection, which, [ms(scheduled_at)])?.iter().filter_map(Row::as_letter).collect())
}

/// See [`crate::outbox::Feedback::waiting_answers`].
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<PendingAnswer>> {
    Ok(all(connection, WAITING, [])?.iter().filter_map(Row::as_waiting).collect())
}

/// Letters of an earlier version get their keys.
pub(super) fn name_letters(connection: &Connection) -> rusqlite::Result<()> {
    let mut letters = connection.prepare("SELECT key, due_at, recipient FROM outgoing WHERE kind = 'letter'")?;
    let letters: Vec<(String, NoticeKey)> = letters
        .query_map([], |row| Ok((row.get(0)?, digest_key(at(row, 1)?, row.get_ref(2)?.as_str()?))))?
        .collect::<rusqlite::Result<_>>()?;
    let mut name = connection.prepare("UPDATE outgoing SET key = ?2 WHERE key = ?1")?;
    letters.iter().try_for_each(|(before, key)| name.execute(params![before, key.to_string()]).map(drop))
}
