//! The outbox in memory: for simulations and tests. The rules are those of every store; nothing outlives the process.
//!
//! Its clock, by which leases are measured, stands still until [`MemoryOutbox::set_clock`] moves it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::transition::{Doubt, Recovery, Row, checked, rfc3339};
use super::{
    Act, Applied, Begin, Change, Claim, ClaimRequest, Delivery, Entry, Filter, Known, KnownMap, KnownNotice, Lease, LedgerRow, Outbox,
    Phase, Recovered, Result, Settlement, SourceStatus, State, Status, StoredSession, Walk, WalkedSession, suppression_key,
};
use crate::contact::Channel;
use crate::notice::{NoticeKey, Omission};
use crate::outcome::Suppression;
use crate::session::{Fault, ParticipationId, SessionId};

/// The outbox in memory. See the module.
pub struct MemoryOutbox {
    reference_key: [u8; 32],
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    clock: DateTime<Utc>,
    sources: BTreeMap<String, Source>,
    sessions: BTreeMap<(String, SessionId), Session>,
    participants: BTreeMap<(String, SessionId, ParticipationId), Known>,
    rows: BTreeMap<NoticeKey, Row>,
    /// What may be claimed: kept in step with `rows` by [`Tables::put`].
    due: BTreeSet<(Channel, DateTime<Utc>, NoticeKey)>,
    /// The keys of each participant's notices.
    keys: HashMap<(SessionId, ParticipationId), Vec<NoticeKey>>,
    content: HashMap<NoticeKey, Vec<u8>>,
    deliveries: HashMap<NoticeKey, Vec<(i64, Delivery)>>,
    omissions: BTreeMap<(String, SessionId), Vec<Omission>>,
    suppressions: HashMap<String, Suppression>,
    ledger: Vec<LedgerRow>,
}

struct Source {
    last_snapshot_at: DateTime<Utc>,
    policy_digest: String,
    faults: Vec<Fault>,
}

struct Session {
    stored: StoredSession,
    revision: i64,
}

impl MemoryOutbox {
    /// An empty store whose Message-IDs are made with this key.
    pub fn new(reference_key: [u8; 32]) -> Self {
        Self { reference_key, tables: Mutex::default() }
    }

    /// Moves the clock by which leases are measured.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.tables().clock = now;
    }

    /// The ledger's rows after `seq`, oldest first, `limit` at most.
    pub fn ledger(&self, seq: i64, limit: usize) -> Vec<LedgerRow> {
        self.tables().ledger.iter().filter(|row| row.seq > seq).take(limit).cloned().collect()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds this lock")
    }
}

impl Tables {
    fn put(&mut self, row: Row) {
        let key = row.entry.notice.key;
        if let Some(old) = self.rows.get(&key).and_then(due_entry) {
            self.due.remove(&old);
        }
        self.due.extend(due_entry(&row));
        self.rows.insert(key, row);
    }

    fn append(&mut self, mut row: LedgerRow) {
        row.seq = self.ledger.len() as i64 + 1;
        self.ledger.push(row);
    }

    /// Changes a row by a rule of `transition`, and tells the ledger. `None`: there is no such row, or the rule refused.
    fn change<T>(
        &mut self,
        key: NoticeKey,
        event: (&str, Option<String>),
        at: DateTime<Utc>,
        rule: impl FnOnce(&mut Row) -> Option<T>,
    ) -> Option<T> {
        let mut row = self.rows.get(&key)?.clone();
        let from = row.entry.state;
        let value = rule(&mut row)?;
        self.append(row.event(event.0, Some(from), at, event.1));
        self.put(row);
        Some(value)
    }

    fn apply(&mut self, walk: Walk) -> Applied {
        let mut applied = Applied::default();
        let source = Source { last_snapshot_at: walk.at, policy_digest: walk.policy_digest, faults: walk.faults };
        self.sources.insert(walk.source.clone(), source);
        for session in walk.sessions {
            self.apply_session(&walk.source, walk.at, session, &mut applied);
        }
        applied
    }

    fn apply_session(&mut self, source: &str, at: DateTime<Utc>, walked: WalkedSession, applied: &mut Applied) {
        let id = walked.id;
        let place = (source.to_owned(), id);
        let revision = self.sessions.get(&place).map_or(1, |old| old.revision + i64::from(old.stored.digest != walked.digest));
        let stored = StoredSession { id, digest: walked.digest, record: walked.record, ambiguous: walked.ambiguous };
        self.sessions.insert(place.clone(), Session { stored, revision });
        for (participation, known) in walked.known {
            self.participants.insert((source.to_owned(), id, participation), Known { notices: Vec::new(), ..known });
        }
        for change in &walked.changes {
            self.apply_change(source, at, change, applied);
        }
        let omissions = walked.omissions.into_iter().map(|o| Omission { session: Some(id), ..o });
        self.omissions.insert(place, omissions.collect());
    }

    fn apply_change(&mut self, source: &str, at: DateTime<Utc>, change: &Change, applied: &mut Applied) {
        let event = change.in_words();
        match change {
            Change::Add(notice) if self.rows.contains_key(&notice.key) => {}
            Change::Add(notice) => {
                applied.added += 1;
                let row = Row::added(notice.clone(), source, at);
                self.keys.entry((notice.session, notice.participation)).or_default().push(notice.key);
                self.append(row.event(event.0, None, at, event.1));
                self.put(row);
            }
            Change::Move { key, .. } | Change::End { key, .. } => {
                let count = if matches!(change, Change::Move { .. }) { &mut applied.moved } else { &mut applied.ended };
                *count += usize::from(self.change(*key, event, at, |row| row.change(change, at).then_some(())).is_some());
            }
        }
    }

    fn known(&self, source: &str, session: SessionId, participation: ParticipationId) -> Option<Known> {
        let known = self.participants.get(&(source.to_owned(), session, participation))?;
        let keys = self.keys.get(&(session, participation)).map_or(&[][..], Vec::as_slice);
        let mut notices: Vec<KnownNotice> =
            keys.iter().map(|key| &self.rows[key].entry).filter(|e| e.source == source).map(known_notice).collect();
        notices.sort_by_key(|n| (n.notice.due_at, n.notice.key));
        Some(Known { notices, ..known.clone() })
    }

    fn claim(&mut self, request: &ClaimRequest) -> Vec<Claim> {
        let due = self
            .due
            .range((request.channel, DateTime::<Utc>::MIN_UTC, NoticeKey([0; 16]))..=(request.channel, request.now, NoticeKey([0xFF; 16])));
        let mut due: Vec<_> = due.map(|(_, _, key)| &self.rows[key].entry.notice).map(|n| (n.start, n.due_at, n.key)).collect();
        due.sort_unstable();
        due.truncate(request.limit);
        due.into_iter().map(|(_, _, key)| self.claim_one(key, request)).collect()
    }

    fn claim_one(&mut self, key: NoticeKey, request: &ClaimRequest) -> Claim {
        let entry = self.rows[&key].entry.clone();
        let lease_until = self.clock + request.lease;
        self.change(key, ("claimed", None), request.now, |row| {
            row.claim(&request.owner, lease_until, request.now);
            Some(())
        });
        let (row, notice) = (&self.rows[&key], &entry.notice);
        let session = &self.sessions[&(entry.source.clone(), notice.session)];
        let known = self.known(&entry.source, notice.session, notice.participation).expect("a notice's participant is known");
        Claim {
            epoch: row.epoch,
            record: session.stored.record.clone(),
            revision: session.revision,
            ambiguous: session.stored.ambiguous.clone(),
            known,
            frozen: row.doubt.and_then(|_| self.content.get(&key).cloned()),
            entry,
        }
    }

    fn is_latest(&self, key: NoticeKey, revision: i64) -> bool {
        let session = self.rows.get(&key).and_then(|row| self.sessions.get(&(row.entry.source.clone(), row.entry.notice.session)));
        session.is_some_and(|s| s.revision == revision)
    }

    fn begin(&mut self, begin: Begin) -> bool {
        let Begin { lease, revision, at, transport, bytes } = begin;
        let event = ("begun", Some(transport.clone()));
        if !self.is_latest(lease.key, revision) || self.change(lease.key, event, at, |row| row.begin(lease, at).then_some(())).is_none() {
            return false;
        }
        self.content.insert(lease.key, bytes);
        let all = self.deliveries.entry(lease.key).or_default();
        let delivery = Delivery {
            attempt: all.len() as u32 + 1,
            started_at: at,
            phase: Phase::Pre,
            ended_at: None,
            outcome: None,
            transport: Some(transport),
            reply: None,
        };
        all.push((lease.epoch, delivery));
        true
    }

    fn doubt(&mut self, lease: Lease, revision: i64, margin: TimeDelta) -> bool {
        let now = self.clock;
        let crossed = self.is_latest(lease.key, revision)
            && self.change(lease.key, ("doubted", None), now, |row| row.cross(lease, now, margin).then_some(())).is_some();
        if crossed {
            let all = self.deliveries.entry(lease.key).or_default();
            all.iter_mut().filter(|(epoch, _)| *epoch == lease.epoch).for_each(|(_, d)| d.phase = Phase::Doubt);
        }
        crossed
    }

    fn settle(&mut self, at: DateTime<Utc>, lease: Lease, end: &Settlement) -> bool {
        let (outcome, reply) = end.in_words();
        self.close_delivery(lease, at, outcome, reply);
        let settled = self.change(lease.key, ("settled", Some(end.detail())), at, |row| row.settle(lease, end, at).then(|| row.clone()));
        if let (Some(row), Settlement::Rejected { remember: Some(kind), .. }) = (&settled, end) {
            let known = self.suppressions.entry(suppression_key(&row.entry.notice.address)).or_insert(*kind);
            if *kind == Suppression::OptedOut {
                *known = Suppression::OptedOut;
            }
            let event = row.event("suppressed", None, at, Some(kind.as_str().to_owned()));
            self.append(LedgerRow { to_state: None, ..event });
        }
        settled.is_some()
    }

    fn close_delivery(&mut self, lease: Lease, at: DateTime<Utc>, outcome: &str, reply: Option<&str>) {
        let all = self.deliveries.get_mut(&lease.key).into_iter().flatten();
        for (_, delivery) in
            all.filter(|(epoch, d)| *epoch == lease.epoch && (d.ended_at.is_none() || d.outcome.as_deref() == Some("crashed")))
        {
            delivery.ended_at = Some(at);
            delivery.outcome = Some(outcome.to_owned());
            delivery.reply = reply.map(str::to_owned);
        }
    }

    fn recover(&mut self, owner: &str, now: DateTime<Utc>, everything: bool) -> Recovered {
        let (clock, mut returned) = (self.clock, 0);
        let held: Vec<NoticeKey> = self.rows.iter().filter(|(_, row)| row.claim.is_some()).map(|(key, _)| *key).collect();
        for key in held {
            let epoch = self.rows[&key].epoch;
            let Some(recovery) = self.change(key, ("recovered", None), now, |row| row.recover(owner, clock, everything, now)) else {
                continue;
            };
            returned += usize::from(recovery == Recovery::Returned);
            self.close_delivery(Lease { key, epoch }, now, "crashed", None);
        }
        let undecided = |row: &&Row| row.doubt == Some(Doubt::Undecided);
        Recovered { returned, in_doubt: self.rows.values().filter(undecided).map(|row| row.entry.notice.key).collect() }
    }

    fn list(&self, filter: &Filter) -> Vec<Entry> {
        let mut all: Vec<&Entry> = self.rows.values().map(|row| &row.entry).filter(|entry| matches(filter, entry)).collect();
        all.sort_by_key(|entry| (entry.notice.due_at, entry.notice.key));
        all.into_iter().take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    fn omissions(&self, filter: &Filter) -> Vec<Omission> {
        let wanted = |o: &&Omission| {
            filter.session.is_none_or(|s| o.session == Some(s))
                && filter.participation.is_none_or(|p| o.participation == Some(p))
                && filter.occasion.is_none_or(|occasion| o.occasion == Some(occasion))
        };
        let mut all: Vec<&Omission> = self.omissions.values().flatten().filter(wanted).collect();
        all.sort_by_key(|o| o.due_at);
        all.into_iter().take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    fn status(&self) -> Status {
        let mut status = Status { suppressed: self.suppressions.len() as u64, ..Status::default() };
        for row in self.rows.values() {
            *status.by_state.entry(row.entry.state).or_default() += 1;
        }
        for omission in self.omissions.values().flatten() {
            *status.by_reason.entry(omission.reason).or_default() += 1;
        }
        status.next_due = self.due.iter().map(|(_, at, _)| *at).min();
        for (name, source) in &self.sources {
            let sessions = self.sessions.keys().filter(|(of, _)| of == name).count() as u64;
            status.sources.push(SourceStatus { name: name.clone(), last_snapshot_at: Some(source.last_snapshot_at), sessions });
            status.faults.extend(source.faults.iter().map(|fault| (name.clone(), fault.clone())));
        }
        status
    }
}

fn due_entry(row: &Row) -> Option<(Channel, DateTime<Utc>, NoticeKey)> {
    let (entry, notice) = (&row.entry, &row.entry.notice);
    let at = entry.next_attempt_at.filter(|_| matches!(entry.state, State::Waiting | State::Unknown))?;
    Some((notice.address.channel(), at, notice.key))
}

fn known_notice(entry: &Entry) -> KnownNotice {
    KnownNotice { notice: entry.notice.clone(), state: entry.state, reason: entry.reason, changed_at: entry.changed_at }
}

fn matches(filter: &Filter, entry: &Entry) -> bool {
    let notice = &entry.notice;
    filter.session.is_none_or(|s| notice.session == s)
        && filter.participation.is_none_or(|p| notice.participation == p)
        && filter.occasion.is_none_or(|o| notice.occasion == o)
        && (filter.states.is_empty() || filter.states.contains(&entry.state))
        && (filter.keys.is_empty() || filter.keys.contains(&notice.key))
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        Ok(self.reference_key)
    }

    async fn digests(&self, source: &str) -> Result<Option<(String, HashMap<SessionId, String>)>> {
        let tables = self.tables();
        let of_source = tables.sessions.iter().filter(|((of, _), _)| of == source);
        let digests = of_source.map(|((_, id), session)| (*id, session.stored.digest.clone())).collect();
        Ok(tables.sources.get(source).map(|s| (s.policy_digest.clone(), digests)))
    }

    async fn sessions(&self, source: &str) -> Result<Vec<StoredSession>> {
        let tables = self.tables();
        Ok(tables.sessions.iter().filter(|((of, _), _)| of == source).map(|(_, session)| session.stored.clone()).collect())
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
        let mut tables = self.tables();
        for session in &walk.sessions {
            let known = |id| Ok::<_, Infallible>(tables.participants.contains_key(&(walk.source.clone(), session.id, id)));
            let Ok(check) = session.check(known);
            checked("apply", [check])?;
        }
        Ok(tables.apply(walk))
    }

    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        Ok(self.tables().suppressions.clone())
    }

    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        Ok(self.tables().due.iter().find(|(of, _, _)| *of == channel).map(|(_, at, _)| *at))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        Ok(self.tables().claim(&request))
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        let mut tables = self.tables();
        Ok(attempts.into_iter().map(|attempt| tables.begin(attempt)).collect())
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        Ok(self.tables().doubt(lease, revision, margin))
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        let mut tables = self.tables();
        Ok(ends.iter().map(|(lease, end)| tables.settle(at, *lease, end)).collect())
    }

    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered> {
        Ok(self.tables().recover(owner, now, everything))
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

    async fn act(&self, keys: &[NoticeKey], act: Act, now: DateTime<Utc>) -> Result<usize> {
        let mut tables = self.tables();
        let event = || (act.as_str(), None);
        Ok(keys.iter().filter(|key| tables.change(**key, event(), now, |row| row.act(act, now).then_some(())).is_some()).count())
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
}
