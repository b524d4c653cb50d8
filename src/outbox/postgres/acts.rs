//! What a person does with notices.

use chrono::{DateTime, Utc};

use super::db::Tx;
use super::error::Res;
use super::notices::{Numbered, Sheet, find, insert};
use super::{known, suppression};
use crate::contact::Address;
use crate::entry::Change;
use crate::known::resend::{Resent, again};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::Action;
use crate::outbox::transition::{REFUSED_US, Row};
use crate::outbox::words::{by, resent};
use crate::session::ParticipantRef;
use crate::suppression::SaidBy;

/// A person asks for a new one. `false`: it is there already.
pub(super) async fn ask(tx: &Tx<'_>, row: &Row, detail: &str, now: DateTime<Utc>) -> Res<bool> {
    let added = !insert(tx, &[row]).await?.is_empty();
    if added {
        tx.append(row.event(Event::Asked, None, now, Some(detail.to_owned())))?;
    }
    Ok(added)
}

/// A person's deed, on each of these notices that is in a state for it.
pub(super) async fn act(tx: &Tx<'_>, who: Option<&str>, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> Res<usize> {
    let mut sheet = Sheet::of(tx, keys).await?;
    let mut changed = 0;
    for key in keys {
        let Some(Numbered { row, .. }) = sheet.get_mut(*key) else { continue };
        let from = row.entry.state;
        if row.act(act, now) {
            changed += 1;
            let place = ParticipantRef::of(&row.entry);
            if act == Action::CancelTold {
                // They know what holds now.
                row.entry.facts = Some(known::participant(tx, &place).await?.facts_now().to_owned());
            }
            suppression::plan_again(tx, &place.source, place.session, now).await?;
            sheet.record(tx, *key, from, (act.into(), who.map(by)), now)?;
        }
    }
    sheet.save(tx).await?;
    Ok(changed)
}

/// A person hands over again what is over: a new notice for each.
pub(super) async fn resend(
    tx: &Tx<'_>,
    who: Option<&str>,
    keys: &[NoticeKey],
    to: Option<&Address>,
    now: DateTime<Utc>,
) -> Res<Vec<Resent>> {
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        all.push(resend_one(tx, who, *key, to, now).await?);
    }
    Ok(all)
}

async fn resend_one(tx: &Tx<'_>, who: Option<&str>, key: NoticeKey, to: Option<&Address>, now: DateTime<Utc>) -> Res<Resent> {
    let Some(Numbered { row, .. }) = find(tx, key).await? else { return Ok(Resent::Missing) };
    let (notice, state) = (&row.entry.notice, row.entry.state);
    let known = known::participant(tx, &ParticipantRef::of(&row.entry)).await?;
    let new = match again(notice, state, &known.notices, to, now) {
        Ok(new) => Row::added(new, &row.entry.source, now),
        Err(refusal) => return Ok(refusal),
    };
    let key = new.entry.notice.key;
    insert(tx, &[&new]).await?;
    tx.append(row.event(Event::Resend, Some(state), now, Some(resent(key, who))))?;
    let (event, detail) = Change::Add(new.entry.notice.clone()).in_words();
    tx.append(new.event(event, None, now, detail))?;
    Ok(Resent::As(key))
}

/// What was rejected waits again, and what its rejection put on the suppression list leaves it.
pub(super) async fn take_back(tx: &Tx<'_>, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Res<usize> {
    let mut sheet = Sheet::of(tx, &rejected.iter().map(|(key, _)| *key).collect::<Vec<_>>()).await?;
    let mut back = 0;
    for (key, next_attempt_at) in rejected {
        let Some(Numbered { row, .. }) = sheet.get_mut(*key) else { continue };
        let from = row.entry.state;
        let waits = row.take_back(*next_attempt_at, now);
        let row = row.clone();
        if waits {
            back += 1;
            sheet.record(tx, *key, from, (Event::TakenBack, Some(REFUSED_US.to_owned())), now)?;
        }
        if suppression::forget_refuted(tx, *key, SaidBy::Refusal, now).await? {
            tx.append(row.unsuppressed(REFUSED_US, now))?;
        }
    }
    sheet.save(tx).await?;
    Ok(back)
}
