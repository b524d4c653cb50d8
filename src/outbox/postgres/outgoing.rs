//! Rows of the table `outgoing`: letters to the practice, and answers to texts. They are few: each step locks its row, asks the rules
//! ([`crate::outbox::outgoing`]), and writes it back.

use chrono::{DateTime, Utc};
use tokio_postgres::Row as Read;

use super::columns::{at, get, ms, number, opt_at, opt_ms, opt_phase, phase_word, word};
use super::db::{Db, Tx, Values};
use super::error::{Failure, Res, refused};
use crate::contact::{Address, Channel, PhoneNumber};
use crate::entry::State;
use crate::feedback::reply::PendingAnswer;
use crate::notice::NoticeKey;
use crate::outbox::attempted::Row;
use crate::outbox::outgoing::{Alone, AloneEnd, AloneMessage, AloneStep};
use crate::outbox::standing::{ClaimHolder, Recovery};
use crate::outbox::{ClaimAlone, DigestDelivery, Lease, Scheduled};

const SELECT: &str = "SELECT key, recipient, address, answer, locale, due_at, useful_until, state, phase, next_attempt_at, attempts, changed_at, epoch, owner,
     lease_until, transport, outcome FROM outgoing WHERE practice = $1 AND";

async fn all(db: &Db, which: &str, values: Values<'_>) -> Res<Vec<Row<Alone>>> {
    db.query(&format!("{SELECT} {which}"), values).await?.iter().map(|read| row(db, read)).collect()
}

fn row(db: &Db, read: &Read) -> Res<Row<Alone>> {
    let what = match get(read, 1)? {
        Some(recipient) => AloneMessage::Letter { recipient },
        None => AloneMessage::Answer { to: to(db, read)?, answer: word(read, 3)?, locale: get(read, 4)? },
    };
    let owner: Option<String> = get(read, 13)?;
    let entry = Alone {
        key: word(read, 0)?,
        what,
        due_at: at(read, 5)?,
        useful_until: at(read, 6)?,
        state: word(read, 7)?,
        phase: opt_phase(read, 8)?,
        next_attempt_at: opt_at(read, 9)?,
        attempts: number(read, 10)?,
        changed_at: at(read, 11)?,
        transport: get(read, 15)?,
        outcome: get::<Option<&str>>(read, 16)?.map(AloneEnd::from),
    };
    let held = |owner| Ok::<_, Failure>(ClaimHolder { owner, lease_until: get(read, 14)?, from: State::Waiting });
    Ok(Row { entry, epoch: get(read, 12)?, claim: owner.map(held).transpose()?, doubt: None })
}

fn to(db: &Db, read: &Read) -> Res<Option<PhoneNumber>> {
    match db.sealer.open("answer", get::<&str>(read, 0)?, get(read, 2)?)?.as_str() {
        "" => Ok(None),
        text => match Address::restore(Channel::Sms, text) {
            Address::Sms(to) => Ok(Some(to)),
            Address::Email(_) => Err(refused("an answer goes to no number")),
        },
    }
}

async fn find(tx: &Tx<'_>, key: NoticeKey) -> Res<Option<Row<Alone>>> {
    Ok(all(tx, "key = $2 FOR UPDATE", &[&tx.practice, &key.to_string()]).await?.pop())
}

/// Adds one. One that is there stays as it is. `who`: the digest of an answer's number, sealed.
pub(super) async fn add(tx: &Tx<'_>, new: &Row<Alone>, who: &str) -> Res<()> {
    let (entry, key) = (&new.entry, new.entry.key.to_string());
    let (recipient, address, answer, locale) = match &entry.what {
        AloneMessage::Letter { recipient } => (Some(recipient), "", None, None),
        AloneMessage::Answer { to, answer, locale } => {
            (None, to.as_ref().map_or("", |to| to.expose()), Some(answer.as_str()), Some(locale))
        }
    };
    let sql =
        "INSERT INTO outgoing (practice, key, kind, recipient, address, address_key, answer, locale, due_at, useful_until, state, next_attempt_at, attempts,
                               changed_at, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (practice, key) DO NOTHING";
    let values: Values<'_> = &[
        &tx.practice,
        &key,
        &entry.what.kind().as_str(),
        &recipient,
        &tx.sealer.seal("answer", &key, address)?,
        &who,
        &answer,
        &locale,
        &ms(entry.due_at),
        &ms(entry.useful_until),
        &entry.state.as_str(),
        &opt_ms(entry.next_attempt_at),
        &i64::from(entry.attempts),
        &ms(entry.changed_at),
        &new.epoch,
    ];
    tx.execute(sql, values).await.map(drop)
}

async fn save(tx: &Tx<'_>, row: &Row<Alone>) -> Res<()> {
    let sql = "UPDATE outgoing SET address = CASE WHEN $3 THEN address ELSE '' END, state = $4, phase = $5, next_attempt_at = $6, attempts = $7,
                   changed_at = $8, epoch = $9, owner = $10, lease_until = $11, transport = $12, outcome = $13 WHERE practice = $1 AND key = $2";
    let (entry, claim) = (&row.entry, row.claim.as_ref());
    let values: Values<'_> = &[
        &tx.practice,
        &entry.key.to_string(),
        &matches!(entry.what, AloneMessage::Answer { to: Some(_), .. }),
        &entry.state.as_str(),
        &entry.phase.map(phase_word),
        &opt_ms(entry.next_attempt_at),
        &i64::from(entry.attempts),
        &ms(entry.changed_at),
        &row.epoch,
        &claim.map(|c| c.owner.as_str()),
        &claim.map(|c| c.lease_until),
        &entry.transport,
        &entry.outcome.as_ref().map(AloneEnd::as_str),
    ];
    tx.execute(sql, values).await.map(drop)
}

/// See [`crate::outbox::Attempts::claim_alone`].
pub(super) async fn claim(tx: &Tx<'_>, request: &ClaimAlone) -> Res<Option<Lease>> {
    let Some(mut row) = find(tx, request.key).await?.filter(|row| row.entry.what.kind() == request.kind) else { return Ok(None) };
    if !row.claim_alone(&request.owner, tx.now().await? + request.lease, request.now) {
        return Ok(None);
    }
    save(tx, &row).await?;
    Ok(Some(Lease { kind: request.kind, key: request.key, epoch: row.epoch }))
}

/// A step of an attempt. `false`: it is not possible.
pub(super) async fn step(tx: &Tx<'_>, lease: Lease, step: AloneStep<'_>) -> Res<bool> {
    let Some(mut row) = find(tx, lease.key).await? else { return Ok(false) };
    // Read once it is locked: whoever waited for a lock has less of the lease left.
    let Ok(told) = row.step(lease, step, tx.now().await?) else { return Ok(false) };
    save(tx, &row).await?;
    told.map_or(Ok(()), |told| tx.append(told))?;
    Ok(true)
}

/// Takes claims back whose owner is gone; how many had not left.
pub(super) async fn recover(tx: &Tx<'_>, is_gone: impl Fn(&ClaimHolder) -> bool, now: DateTime<Utc>) -> Res<usize> {
    let held = "kind IN ('letter', 'answer') AND next_attempt_at IS NOT NULL AND owner IS NOT NULL FOR UPDATE";
    let rows = all(tx, held, &[&tx.practice]).await?;
    let mut returned = 0;
    for mut row in rows {
        let Some(recovery) = row.recover_alone(&is_gone, now) else { continue };
        returned += usize::from(recovery == Recovery::Returned);
        save(tx, &row).await?;
    }
    Ok(returned)
}

/// Letters of a scheduled time, one to each of these recipients.
pub(super) async fn add_letters(tx: &Tx<'_>, (at, useful_until): (DateTime<Utc>, DateTime<Utc>), recipients: &[String]) -> Res<()> {
    for to in recipients {
        add(tx, &Row::letter(at, useful_until, to), "").await?;
    }
    Ok(())
}

/// See [`Row::forgo`]: letters that are open, and those of scheduled times that the store knows nothing of. Returns how many.
pub(super) async fn forgo(tx: &Tx<'_>, scheduled: &[Scheduled], now: DateTime<Utc>) -> Res<usize> {
    for Scheduled { at, useful_until, recipients } in scheduled {
        add_letters(tx, (*at, *useful_until), recipients).await?;
    }
    let mut count = 0;
    for mut row in all(tx, "kind = 'letter' AND next_attempt_at IS NOT NULL ORDER BY due_at, key FOR UPDATE", &[&tx.practice]).await? {
        let Some(told) = row.forgo(now) else { continue };
        save(tx, &row).await?;
        tx.append(told)?;
        count += 1;
    }
    Ok(count)
}

/// Letters of a scheduled time, by recipient.
pub(super) async fn letters(db: &Db, scheduled_at: DateTime<Utc>) -> Res<Vec<DigestDelivery>> {
    let rows = all(db, "kind = 'letter' AND due_at = $2 ORDER BY recipient", &[&db.practice, &ms(scheduled_at)]).await?;
    Ok(rows.iter().filter_map(Row::as_letter).collect())
}

/// Answers that wait, the oldest first.
pub(super) async fn waiting(db: &Db) -> Res<Vec<PendingAnswer>> {
    let which = "kind = 'answer' AND next_attempt_at IS NOT NULL AND state = 'waiting' ORDER BY due_at, key";
    Ok(all(db, which, &[&db.practice]).await?.iter().filter_map(Row::as_waiting).collect())
}
