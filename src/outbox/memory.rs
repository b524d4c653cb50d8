//! The outbox in memory: for simulations and tests. The rules are those of every store; nothing outlives the process.
//!
//! Its clock, by which leases are measured, stands still until [`MemoryOutbox::set_clock`] moves it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::transition::checked;
use super::words::{by, decided as in_words, rfc3339};
use super::{
    Act, Alert, Applied, Begin, Claim, ClaimRequest, Filter, Lately, Lease, Outbox, Purged, Recovered, Rest, Result, Retention, Seen,
    SeenSession, Settlement, SourceRow, StaffLetter, Status, Walk,
};
use crate::contact::{Address, Channel, PhoneNumber};
use crate::entry::{Delivery, Entry};
use crate::feedback::reply::{Taken, Told, Waiting, Written};
use crate::guard::{GuardRow, Verdict};
use crate::known::KnownMap;
use crate::known::resend::Resent;
use crate::ledger::{Anchor, LedgerRow, Verified, Walker};
use crate::notice::{Notice, NoticeKey, Omission};
use crate::receipt::{Receipt, Received, Undelivered};
use crate::session::stored::{Also, StoredSession};
use crate::session::{ParticipationId, SessionId};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression};

mod guard;
mod receipt;
mod refused;
mod reply;
mod sources;
mod tables;

use tables::Tables;

/// Where something else may happen first, as it does in life: see [`MemoryOutbox::meanwhile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Between what a walk read and what it writes.
    Apply,
    /// Attempts begin.
    Begin,
    /// An attempt passes its point of no return.
    Doubt,
    /// Claims end.
    Settle,
}

/// What happens first.
pub type Meanwhile = dyn Fn(Point) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The outbox in memory. See the module.
pub struct MemoryOutbox {
    reference_key: [u8; 32],
    tables: Mutex<Tables>,
    meanwhile: OnceLock<Box<Meanwhile>>,
}

impl MemoryOutbox {
    /// An empty store whose Message-IDs are made with this key.
    pub fn new(reference_key: [u8; 32]) -> Self {
        Self { reference_key, tables: Mutex::default(), meanwhile: OnceLock::new() }
    }

    /// Runs this before each write of these kinds, so that a test can let something else happen there. Once for a store.
    pub fn meanwhile(&self, happens: Box<Meanwhile>) {
        self.meanwhile.set(happens).ok();
    }

    async fn reaches(&self, point: Point) {
        if let Some(happens) = self.meanwhile.get() {
            happens(point).await;
        }
    }

    /// Moves the clock by which leases are measured.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.tables().clock = now;
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds this lock")
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        Ok(self.reference_key)
    }

    async fn seen_from(&self, source: &str, from: DateTime<Utc>) -> Result<Option<Seen>> {
        let tables = self.tables();
        let of_source = tables.sessions.iter().filter(|((of, _), session)| of == source && session.start >= from);
        let sessions = of_source.map(|((_, id), session)| (*id, session.seen())).collect();
        Ok(tables.sources.get(source).map(|s| Seen {
            policy_digest: s.policy_digest.clone(),
            last_snapshot_at: s.last_snapshot_at,
            guard: s.guard.set(),
            filled: s.filled,
            adopting: s.adopting.clone(),
            sessions,
        }))
    }

    async fn seen_among(&self, source: &str, ids: &[SessionId]) -> Result<HashMap<SessionId, SeenSession>> {
        let tables = self.tables();
        Ok(ids.iter().filter_map(|id| Some((*id, tables.sessions.get(&(source.to_owned(), *id))?.seen()))).collect())
    }

    async fn sources(&self) -> Result<Vec<SourceRow>> {
        let tables = self.tables();
        Ok(tables
            .sources
            .iter()
            .map(|(name, source)| SourceRow { name: name.clone(), gone: source.gone, whole_at: source.whole_at })
            .collect())
    }

    async fn configure(&self, names: &[String], now: DateTime<Utc>) -> Result<usize> {
        Ok(self.tables().configure(names, now))
    }

    async fn rename_source(&self, from: &str, to: &str, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.tables().rename_source(from, to, now))
    }

    async fn also(&self) -> Result<Vec<(String, Also)>> {
        Ok(self.tables().also.iter().flat_map(|(source, all)| all.iter().map(|also| (source.clone(), also.clone()))).collect())
    }

    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>> {
        let tables = self.tables();
        let wanted: Option<HashSet<SessionId>> = ids.map(|ids| ids.iter().copied().collect());
        let held = tables.sessions.iter().filter(|((of, id), session)| {
            of == source && wanted.as_ref().is_none_or(|ids| ids.contains(id)) && !session.stored.record.is_empty()
        });
        Ok(held.filter_map(|(place, _)| tables.stored(place)).collect())
    }

    async fn starting(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<(String, SessionId)>> {
        let tables = self.tables();
        let kept = tables.sessions.iter().filter(|(_, s)| (from..until).contains(&s.start) && !s.stored.record.is_empty());
        let mut found: Vec<_> = kept.map(|((source, id), s)| (s.start, *id, source.clone())).collect();
        found.sort();
        Ok(found.into_iter().take(limit).map(|(_, id, source)| (source, id)).collect())
    }

    async fn guards(&self) -> Result<Vec<GuardRow>> {
        let tables = self.tables();
        Ok(tables.sources.iter().flat_map(|(name, source)| source.guard.rows(name)).collect())
    }

    async fn decide_guard(&self, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        let mut tables = self.tables();
        let named = |name: &str| source.is_none_or(|named| named == name);
        let decided: Vec<(String, SessionId)> = (tables.sources.iter_mut().filter(|(name, _)| named(name)))
            .flat_map(|(name, held)| held.guard.decide(verdict).into_iter().map(|id| (name.clone(), id)))
            .collect();
        for place in &decided {
            tables.plan_again(place);
        }
        tables.append(LedgerRow::note(now, verdict.event(), &in_words(decided.len(), source, who)));
        Ok(decided.len())
    }

    async fn people(&self, source: &str, now: DateTime<Utc>) -> Result<usize> {
        Ok(self.tables().people(source, now))
    }

    async fn rest(&self, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<Option<Rest>> {
        Ok(self.tables().rest(source, now, since))
    }

    async fn heard(&self, source: &str, at: DateTime<Utc>) -> Result<()> {
        if let Some(source) = self.tables().sources.get_mut(source) {
            if source.whole_at == Some(source.last_snapshot_at) {
                source.whole_at = Some(at);
            }
            source.last_snapshot_at = at;
        }
        Ok(())
    }

    async fn known(&self, source: &str, sessions: &[SessionId]) -> Result<KnownMap> {
        let tables = self.tables();
        let first = ParticipationId(i64::MIN);
        let mut map = KnownMap::new();
        for session in sessions {
            let from = tables.participants.range((source.to_owned(), *session, first)..);
            let ids = from.map(|(place, _)| place).take_while(|(of, id, _)| of == source && id == session).map(|(_, _, p)| *p);
            map.extend(ids.filter_map(|p| Some(((*session, p), tables.known(source, *session, p)?))));
        }
        Ok(map)
    }

    async fn apply(&self, walk: Walk) -> Result<Applied> {
        self.reaches(Point::Apply).await;
        let mut tables = self.tables();
        for session in &walk.sessions {
            let source = session.from.as_ref().or(session.of.as_ref()).unwrap_or(&walk.source);
            let known = |id| Ok::<_, Infallible>(tables.participants.contains_key(&(source.clone(), session.id, id)));
            let Ok(check) = session.check(known);
            checked("apply", [check])?;
        }
        Ok(tables.apply(walk))
    }

    async fn plan_anew(&self) -> Result<()> {
        self.tables().sources.values_mut().for_each(|source| source.policy_digest.clear());
        Ok(())
    }

    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        Ok(self.tables().suppressions.values().map(|s| (s.key.clone(), s.kind)).collect())
    }

    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>> {
        let mut all: Vec<SuppressedAddress> = self.tables().suppressions.values().cloned().collect();
        all.sort_by_key(|s| Reverse(s.since));
        Ok(all)
    }

    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression) -> Result<bool> {
        Ok(self.tables().suppress(now, address, kind, SaidBy::Person))
    }

    async fn unsuppress(&self, now: DateTime<Utc>, key: &str) -> Result<bool> {
        Ok(self.tables().unsuppress(now, key))
    }

    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        Ok(self.tables().due.iter().find(|(of, _, _)| *of == channel).map(|(_, at, _)| *at))
    }

    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        Ok(self.tables().due_by(channel, now).map(|notice| notice.useful_until).min())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        Ok(self.tables().claim(&request))
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        self.reaches(Point::Begin).await;
        let mut tables = self.tables();
        Ok(attempts.into_iter().map(|attempt| tables.begin(attempt)).collect())
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        self.reaches(Point::Doubt).await;
        Ok(self.tables().doubt(lease, revision, margin))
    }

    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool> {
        self.reaches(Point::Doubt).await;
        Ok(self.tables().take(attempt, margin))
    }

    async fn goes_over(&self, lease: Lease, transport: &str) -> Result<bool> {
        Ok(self.tables().goes_over(lease, transport))
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        self.reaches(Point::Settle).await;
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        let mut tables = self.tables();
        Ok(ends.iter().map(|(lease, end)| tables.settle(at, *lease, end)).collect())
    }

    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<Lately>> {
        Ok(self.tables().settled_lately(channel, rows))
    }

    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize> {
        Ok(self.tables().take_back(rejected, now))
    }

    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received> {
        Ok(self.tables().receive(now, &receipt))
    }

    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>> {
        let mut due = self.tables().list(&Filter::default());
        due.retain(|entry| (from..=until).contains(&entry.notice.due_at));
        Ok(due.iter().rev().map(|entry| entry.notice.key).collect())
    }

    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>> {
        Ok(self.tables().undelivered(now))
    }

    async fn reply(&self, now: DateTime<Utc>, taken: Taken) -> Result<bool> {
        Ok(self.tables().take_reply(now, &taken))
    }

    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<Told>> {
        Ok(self.tables().open_sessions(number, now))
    }

    async fn waiting_answers(&self) -> Result<Vec<Waiting>> {
        Ok(self.tables().waiting_answers())
    }

    async fn unread(&self, limit: usize) -> Result<Vec<Written>> {
        Ok(self.tables().unread(limit))
    }

    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.tables().mark_read(who, key, now))
    }

    async fn begin_answer(&self, key: NoticeKey) -> Result<bool> {
        Ok(self.tables().begin_answer(key))
    }

    async fn end_answer(&self, now: DateTime<Utc>, key: NoticeKey, outcome: &str) -> Result<()> {
        self.tables().end_answer(now, key, outcome);
        Ok(())
    }

    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered> {
        Ok(self.tables().recover(owner, now, everything))
    }

    async fn ask(&self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> Result<bool> {
        Ok(self.tables().ask(now, source, notice, detail))
    }

    async fn lapse(&self, now: DateTime<Utc>) -> Result<Vec<Entry>> {
        Ok(self.tables().lapse(now))
    }

    async fn lapsed(&self, since: DateTime<Utc>) -> Result<Vec<Entry>> {
        Ok(self.tables().lapsed(since))
    }

    async fn resolve_doubt(&self, now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> Result<()> {
        let mut tables = self.tables();
        for (key, resend_at) in resends {
            let detail = resend_at.map_or("a person decides".to_owned(), |at| format!("again at {}", rfc3339(at)));
            tables.change(key, ("resolved", Some(detail)), now, |row| row.resolve(resend_at).then_some(()));
        }
        Ok(())
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        Ok(self.tables().list(filter))
    }

    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)> {
        let tables = self.tables();
        let all = tables.deliveries.get(&key).into_iter().flatten().map(|(_, delivery)| delivery.clone()).collect();
        Ok((all, tables.content.get(&key).cloned()))
    }

    async fn act_by(&self, who: Option<&str>, keys: &[NoticeKey], act: Act, now: DateTime<Utc>) -> Result<usize> {
        let mut tables = self.tables();
        Ok(keys.iter().filter(|key| tables.act(**key, (act, who.map(by)), now)).count())
    }

    async fn resend(&self, who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Result<Vec<Resent>> {
        let mut tables = self.tables();
        Ok(keys.iter().map(|key| tables.resend(who, *key, to, now)).collect())
    }

    async fn status(&self) -> Result<Status> {
        Ok(self.tables().status())
    }

    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>> {
        Ok(self.tables().omissions(filter))
    }

    async fn note(&self, at: DateTime<Utc>, event: &str, detail: &str) -> Result<()> {
        self.tables().append(LedgerRow::note(at, event, detail));
        Ok(())
    }

    async fn witness(&self, at: DateTime<Utc>, event: &str, detail: &str, about: Option<(SessionId, ParticipationId)>) -> Result<()> {
        self.tables().append(LedgerRow::witness(at, event, detail, about));
        Ok(())
    }

    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>> {
        let tables = self.tables();
        let rows = tables.ledger.iter().filter(|row| row.seq > after && (session.is_none() || row.session_id == session));
        Ok(rows.take(limit).cloned().collect())
    }

    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<StaffLetter>> {
        Ok(self.tables().letters.values().filter(|l| l.scheduled_at == scheduled_at).cloned().collect())
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        Ok(self.tables().alerts.values().cloned().collect())
    }

    async fn begin_alert(&self, alert: Alert) -> Result<()> {
        let mut tables = self.tables();
        if !tables.alerts.contains_key(&alert.key) {
            tables.append(LedgerRow::note(alert.since, "alert", &alert.key));
            tables.alerts.insert(alert.key.clone(), alert);
        }
        Ok(())
    }

    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()> {
        let mut tables = self.tables();
        if tables.alerts.remove(key).is_some() {
            tables.append(LedgerRow::note(now, "alert_over", key));
        }
        Ok(())
    }

    async fn put_staff_letter(&self, letter: StaffLetter) -> Result<bool> {
        let mut tables = self.tables();
        let key = (letter.scheduled_at, letter.recipient.clone());
        let may = letter.state.may_follow(tables.letters.get(&key).map(|before| before.state));
        if may {
            tables.append(LedgerRow::note(letter.changed_at, "staff_letter", &letter.in_words()));
            tables.letters.insert(key, letter);
        }
        Ok(may)
    }

    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified> {
        let tables = self.tables();
        let mut walker = Walker::new(tables.checkpoint, anchor);
        tables.ledger.iter().for_each(|row| walker.step(row));
        Ok(walker.end(tables.head.seq))
    }

    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged> {
        let mut tables = self.tables();
        let purged = tables.purge(now, retention);
        if !purged.is_empty() {
            tables.append(LedgerRow::note(now, "purged", &purged.in_words()));
        }
        Ok(purged)
    }
}
