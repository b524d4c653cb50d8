//! Attempts: claimed, begun, in doubt, settled.

use chrono::{DateTime, TimeDelta, Utc};

use super::tables::Tables;
use crate::contact::Channel;
use crate::entry::{AttemptEnd, Delivery, Entry, Phase, State};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::outbox::standing::{Doubt, Recovery};
use crate::outbox::transition::Row;
use crate::outbox::{Begin, Claim, ClaimRequest, Lease, Outgoing, Recovered, Settlement};
use crate::suppression::SaidBy;

impl Tables {
    /// What could be claimed at that time.
    pub(super) fn due_by(&self, channel: Channel, now: DateTime<Utc>) -> impl Iterator<Item = &crate::notice::Notice> {
        let due = self.due.range((channel, DateTime::<Utc>::MIN_UTC, NoticeKey([0; 16]))..=(channel, now, NoticeKey([0xFF; 16])));
        due.map(|(_, _, key)| &self.rows[key].entry.notice)
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Vec<Claim> {
        let due = self.due_by(request.channel, request.now);
        let mut due: Vec<_> = due.map(|n| (n.useful_until, n.due_at, self.numbers[&n.key], n.key)).collect();
        due.sort_unstable();
        due.truncate(request.limit);
        due.into_iter().map(|(_, _, _, key)| self.claim_one(key, request)).collect()
    }

    pub(super) fn claim_one(&mut self, key: NoticeKey, request: &ClaimRequest) -> Claim {
        let entry = self.rows[&key].entry.clone();
        let lease_until = self.clock + request.lease;
        self.change(key, (Event::Claimed, None), request.now, |row| {
            row.claim(&request.owner, lease_until, request.now);
            Some(())
        });
        let (row, notice) = (&self.rows[&key], &entry.notice);
        let session = &self.sessions[&(entry.source.clone(), notice.session)];
        let known = self.known(&entry.source, notice.session, notice.participation).expect("a notice's participant is known");
        Claim {
            epoch: row.epoch,
            session: session.stored.clone(),
            revision: session.revision,
            snapshot_at: self.sources[&entry.source].last_snapshot_at,
            known,
            frozen: row.doubt.and_then(|_| self.content.get(&key).cloned()),
            frozen_at: row.doubt.and_then(|_| self.deliveries.get(&key)?.last()).map(|(_, delivery)| delivery.started_at),
            entry,
        }
    }

    /// Ends what is past its useful time.
    pub(super) fn lapse(&mut self, now: DateTime<Utc>) -> Vec<Entry> {
        // What is tried again later is looked at then.
        let due = |entry: &Entry| entry.state != State::Waiting || entry.next_attempt_at.is_some_and(|at| at <= now);
        let past = self.rows.values().filter(|row| due(&row.entry) && row.entry.notice.useful_until <= now);
        let past: Vec<NoticeKey> = past.map(|row| row.entry.notice.key).collect();
        let mut lapsed = Vec::new();
        for key in past {
            if let Some(entry) = self.change(key, (Event::Lapsed, None), now, |row| row.lapse(now).then(|| row.entry.clone())) {
                self.plan_entry_again(&entry, now);
                lapsed.push(entry);
            }
        }
        lapsed
    }

    pub(super) fn lapsed(&self, since: DateTime<Utc>) -> Vec<Entry> {
        let mut all: Vec<&Entry> = self.rows.values().map(|row| &row.entry).collect();
        all.retain(|entry| entry.state == State::Lapsed && entry.changed_at >= since);
        all.sort_by_key(|entry| (entry.changed_at, self.numbers[&entry.notice.key]));
        all.into_iter().cloned().collect()
    }

    pub(super) fn is_latest(&self, key: NoticeKey, revision: i64) -> bool {
        let session = self.rows.get(&key).and_then(|row| self.sessions.get(&(row.entry.source.clone(), row.entry.notice.session)));
        session.is_some_and(|s| s.revision == revision)
    }

    pub(super) fn begin(&mut self, begin: Begin) -> bool {
        let Begin { lease, at, .. } = begin;
        let event = (Event::Begun, Some(begin.transport.clone()));
        let begun = self.is_latest(lease.key, begin.revision)
            && self.change(lease.key, event, at, |row| row.begin(lease, &begin.facts, at).then_some(())).is_some();
        if begun {
            self.freeze(begin, Phase::Pre);
        }
        begun
    }

    pub(super) fn take(&mut self, begin: Begin, margin: TimeDelta) -> bool {
        let Begin { lease, at, .. } = begin;
        let now = self.clock;
        let event = (Event::Doubted, Some(begin.transport.clone()));
        let taken = self.is_latest(lease.key, begin.revision)
            && !self.receipt_came(lease.key)
            && self.change(lease.key, event, now, |row| row.take(lease, &begin.facts, (at, now), margin).then_some(())).is_some();
        if taken {
            self.freeze(begin, Phase::Doubt);
        }
        taken
    }

    /// The bytes of an attempt, and its delivery.
    pub(super) fn freeze(&mut self, Begin { lease, at, transport, bytes, .. }: Begin, phase: Phase) {
        self.content.insert(lease.key, bytes.to_vec());
        let all = self.deliveries.entry(lease.key).or_default();
        let delivery = Delivery {
            attempt: all.len() as u32 + 1,
            started_at: at,
            phase,
            ended_at: None,
            outcome: None,
            transport: Some(transport),
            reply: None,
            receipt: None,
            receipt_at: None,
            receipt_detail: None,
        };
        all.push((lease.epoch, delivery));
    }

    pub(super) fn doubt(&mut self, lease: Lease, revision: i64, margin: TimeDelta) -> bool {
        let now = self.clock;
        let doubted = self.is_latest(lease.key, revision)
            && !self.receipt_came(lease.key)
            && self.change(lease.key, (Event::Doubted, None), now, |row| row.enter_doubt(lease, now, margin).then_some(())).is_some();
        if doubted {
            let all = self.deliveries.entry(lease.key).or_default();
            all.iter_mut().filter(|(epoch, _)| *epoch == lease.epoch).for_each(|(_, d)| d.phase = Phase::Doubt);
        }
        doubted
    }

    pub(super) fn reroute(&mut self, lease: Lease, transport: &str) -> bool {
        let rule = |row: &mut Row| row.reroute(lease).then_some(());
        let over = self.change(lease.key, (Event::Rerouted, Some(transport.to_owned())), self.clock, rule).is_some();
        if over {
            let all = self.deliveries.entry(lease.key).or_default();
            all.iter_mut().filter(|(epoch, _)| *epoch == lease.epoch).for_each(|(_, d)| {
                d.transport = Some(transport.to_owned());
                d.phase = Phase::Pre;
            });
        }
        over
    }

    pub(super) fn settle(&mut self, at: DateTime<Utc>, lease: Lease, end: &Settlement) -> bool {
        let by_receipt = Settlement::by_receipt();
        let told = end.is_open() && self.receipt_came(lease.key);
        let end = if told { &by_receipt } else { end };
        let (outcome, reply) = end.in_words();
        self.close_delivery(lease, at, outcome, reply);
        let settled =
            self.change(lease.key, (Event::Settled, Some(end.detail())), at, |row| row.settle(lease, end, at).then(|| row.clone()));
        if let Some(row) = settled.as_ref().filter(|_| end.unsettles()) {
            self.plan_entry_again(&row.entry, at);
        }
        if let (Some(row), Settlement::Rejected { remember: Some(kind), .. }) = (&settled, end)
            && self.put_suppressed(&NewSuppression::of(&row.entry.notice, *kind, SaidBy::Refusal, at))
        {
            self.append(row.suppressed(*kind, at));
        }
        settled.is_some()
    }

    pub(super) fn close_delivery(&mut self, lease: Lease, at: DateTime<Utc>, outcome: AttemptEnd, reply: Option<&str>) {
        let all = self.deliveries.get_mut(&lease.key).into_iter().flatten();
        for (_, delivery) in
            all.filter(|(epoch, d)| *epoch == lease.epoch && (d.ended_at.is_none() || d.outcome == Some(AttemptEnd::Crashed)))
        {
            delivery.ended_at = Some(at);
            delivery.outcome = Some(outcome.clone());
            delivery.reply = reply.map(str::to_owned);
        }
    }

    pub(super) fn recover(&mut self, owner: &str, now: DateTime<Utc>, everything: bool) -> Recovered {
        let (clock, mut returned) = (self.clock, 0);
        let held: Vec<NoticeKey> = self.rows.iter().filter(|(_, row)| row.claim.is_some()).map(|(key, _)| *key).collect();
        for key in held {
            let epoch = self.rows[&key].epoch;
            let told = self.receipt_came(key);
            let recovered = self.change(key, (Event::Recovered, None), now, |row| {
                let recovery = row.recover(|held| held.is_gone(owner, clock, everything), now)?;
                if recovery == Recovery::InDoubt && told {
                    row.receive(now);
                }
                Some(recovery)
            });
            let Some(recovery) = recovered else { continue };
            returned += usize::from(recovery == Recovery::Returned);
            self.close_delivery(Lease { kind: Outgoing::Notice, key, epoch }, now, AttemptEnd::Crashed, None);
        }
        returned += self.recover_alone(owner, now, everything);
        let undecided = |row: &&Row| row.doubt == Some(Doubt::Undecided);
        Recovered { returned, in_doubt: self.rows.values().filter(undecided).map(|row| row.entry.notice.key).collect() }
    }
}
