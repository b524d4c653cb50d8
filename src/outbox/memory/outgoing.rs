//! Letters to the practice, and answers to texts.

use chrono::{DateTime, Utc};

use super::tables::Tables;
use crate::contact::PhoneNumber;
use crate::feedback::answer::Answer;
use crate::feedback::reply::{PendingAnswer, since};
use crate::notice::NoticeKey;
use crate::outbox::attempted::Row;
use crate::outbox::outgoing::{Alone, AloneEnd, AloneStep};
use crate::outbox::standing::Recovery;
use crate::outbox::{ClaimAlone, DigestDelivery, Lease};

impl Tables {
    pub(super) fn claim_alone(&mut self, request: &ClaimAlone) -> Option<Lease> {
        let lease_until = self.clock + request.lease;
        let row = self.alone.get_mut(&request.key).filter(|row| row.entry.what.kind() == request.kind)?;
        let claimed = row.claim_alone(&request.owner, lease_until, request.now);
        claimed.then_some(Lease { kind: request.kind, key: request.key, epoch: row.epoch })
    }

    pub(super) fn step(&mut self, lease: Lease, step: AloneStep<'_>) -> bool {
        let Some(Ok(told)) = self.alone.get_mut(&lease.key).map(|row| row.step(lease, step, self.clock)) else { return false };
        told.into_iter().for_each(|told| self.append(told));
        true
    }

    /// How many had not left.
    pub(super) fn recover_alone(&mut self, owner: &str, now: DateTime<Utc>, everything: bool) -> usize {
        let clock = self.clock;
        let rows = self.alone.values_mut();
        let recovered = rows.filter_map(|row| row.recover_alone(|held| held.is_gone(owner, clock, everything), now));
        recovered.filter(|recovery| *recovery == Recovery::Returned).count()
    }

    pub(super) fn add_alone(&mut self, row: Row<Alone>) {
        self.alone.entry(row.entry.key).or_insert(row);
    }

    /// Unless that number had one of its kind lately.
    pub(super) fn add_answer(&mut self, key: NoticeKey, to: &PhoneNumber, (answer, locale): (Answer, &str), now: DateTime<Utc>) {
        let after = since(answer, now);
        // (What the gateway did not take is no answer.)
        let reached = |key| self.alone.get(key).is_none_or(|row| row.entry.outcome != Some(AloneEnd::NotTaken));
        if !self.answered.iter().any(|(whom, what, at, key)| whom == to && *what == answer && *at >= after && reached(key)) {
            self.answered.push((to.clone(), answer, now, key));
            self.add_alone(Row::answer(key, to.clone(), (answer, locale), now));
        }
    }

    pub(super) fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Vec<DigestDelivery> {
        let letters = self.alone.values().filter(|row| row.entry.due_at == scheduled_at).filter_map(Row::as_letter);
        let mut letters: Vec<DigestDelivery> = letters.collect();
        letters.sort_by(|one, other| one.recipient.cmp(&other.recipient));
        letters
    }

    pub(super) fn waiting_answers(&self) -> Vec<PendingAnswer> {
        let mut rows: Vec<&Row<Alone>> = self.alone.values().collect();
        rows.sort_by_key(|row| (row.entry.due_at, row.entry.key));
        rows.into_iter().filter_map(Row::as_waiting).collect()
    }
}
