//! What a start finds, and what a person does.

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::attempt::{Close, close_delivery};
use super::columns::{key, store_now};
use super::notices::{NoticeBefore, find, insert, number, record};
use super::tx::Tx;
use super::{history, known, outgoing, receipt, suppression};
use crate::contact::Address;
use crate::entry::{AttemptEnd, Change};
use crate::known::resend::{Resent, again};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::standing::Recovery;
use crate::outbox::transition::Row;
use crate::outbox::words::{by, resent, rfc3339};
use crate::outbox::{Action, Recovered};

pub(super) const HELD: &str = "SELECT key FROM notice WHERE state IN ('claimed', 'sending') ORDER BY key";
/// What no start has decided about.
pub(super) const UNDECIDED: &str = "SELECT key FROM notice WHERE doubt = 'undecided' ORDER BY key";

/// Takes claims back whose owner is gone.
pub(super) fn recover(connection: &Tx<'_>, owner: &str, now: DateTime<Utc>, everything: bool) -> rusqlite::Result<Recovered> {
    let store_now = store_now(connection)?;
    let mut statement = connection.prepare_cached(HELD)?;
    let held: Vec<NoticeKey> = statement.query_map([], |row| key(row, 0))?.collect::<rusqlite::Result<_>>()?;
    let mut returned = 0;
    for key in held {
        let Some(mut row) = find(connection, key)? else { continue };
        let (before, phase) = (NoticeBefore::of(&row), row.entry.phase);
        let Some(recovery) = row.recover(|held| held.is_gone(owner, store_now, everything), now) else { continue };
        returned += usize::from(recovery == Recovery::Returned);
        if recovery == Recovery::InDoubt && receipt::came(connection, key)? {
            row.receive(now);
        }
        record(connection, &row, before, (Event::Recovered, None), now)?;
        close_delivery(
            connection,
            &Close { number: number(connection, key)?, epoch: row.epoch, phase },
            now,
            (&AttemptEnd::Crashed, None),
        )?;
    }
    returned += outgoing::recover(connection, owner, now, everything)?;
    Ok(Recovered { returned, in_doubt: undecided(connection)? })
}

/// Includes what a start before this one found, if it ended before it decided.
fn undecided(connection: &Connection) -> rusqlite::Result<Vec<NoticeKey>> {
    connection.prepare_cached(UNDECIDED)?.query_map([], |row| key(row, 0))?.collect()
}

pub(super) fn resolve_doubt(
    connection: &Tx<'_>,
    now: DateTime<Utc>,
    resends: &[(NoticeKey, Option<DateTime<Utc>>)],
) -> rusqlite::Result<()> {
    for (key, resend_at) in resends {
        let Some(mut row) = find(connection, *key)? else { continue };
        let before = NoticeBefore::of(&row);
        if row.resolve(*resend_at) {
            let detail = resend_at.map_or("a person decides".to_owned(), |at| format!("again at {}", rfc3339(at)));
            record(connection, &row, before, (Event::Resolved, Some(detail)), now)?;
        }
    }
    Ok(())
}

/// A person asks for a new one. `false`: it is there already.
pub(super) fn ask(connection: &Tx<'_>, row: &Row, detail: &str, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let added = insert(connection, row)?;
    if added {
        history::append(connection, &row.event(Event::Asked, None, now, Some(detail.to_owned())))?;
    }
    Ok(added)
}

/// A person's deed, on each of these notices that is in a state for it.
pub(super) fn act(connection: &Tx<'_>, who: Option<&str>, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> rusqlite::Result<usize> {
    let mut changed = 0;
    for key in keys {
        let Some(mut row) = find(connection, *key)? else { continue };
        let before = NoticeBefore::of(&row);
        if row.act(act, now) {
            changed += 1;
            let (source, session) = (row.entry.source.clone(), row.entry.notice.session);
            if act == Action::CancelTold {
                // They know what holds now.
                let known = known::participant(connection, &source, session, row.entry.notice.participation)?;
                row.entry.facts = Some(known.facts_now().to_owned());
            }
            suppression::plan_again(connection, &source, session, now)?;
            record(connection, &row, before, (act.into(), who.map(by)), now)?;
        }
    }
    Ok(changed)
}

/// A person hands over again what is over: a new notice for each.
pub(super) fn resend(
    connection: &Tx<'_>,
    who: Option<&str>,
    keys: &[NoticeKey],
    to: Option<&Address>,
    now: DateTime<Utc>,
) -> rusqlite::Result<Vec<Resent>> {
    keys.iter().map(|key| resend_one(connection, who, *key, to, now)).collect()
}

fn resend_one(
    connection: &Tx<'_>,
    who: Option<&str>,
    key: NoticeKey,
    to: Option<&Address>,
    now: DateTime<Utc>,
) -> rusqlite::Result<Resent> {
    let Some(row) = find(connection, key)? else { return Ok(Resent::Missing) };
    let (notice, state) = (&row.entry.notice, row.entry.state);
    let known = known::participant(connection, &row.entry.source, notice.session, notice.participation)?;
    let new = match again(notice, state, &known.notices, to, now) {
        Ok(new) => Row::added(new, &row.entry.source, now),
        Err(refusal) => return Ok(refusal),
    };
    let key = new.entry.notice.key;
    insert(connection, &new)?;
    history::append(connection, &row.event(Event::Resend, Some(state), now, Some(resent(key, who))))?;
    let (event, detail) = Change::Add(new.entry.notice.clone()).in_words();
    history::append(connection, &new.event(event, None, now, detail))?;
    Ok(Resent::As(key))
}
