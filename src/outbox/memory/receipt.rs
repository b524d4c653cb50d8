//! Receipts, in memory.

use chrono::{DateTime, Utc};

use super::tables::Tables;
use crate::entry::{Delivery, Entry, Phase, State};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::outbox::transition::ARRIVED;
use crate::receipt::{DeliveryStatus, Receipt, ReceiptTarget, Received, Undelivered};
use crate::suppression::SaidBy;

impl Tables {
    pub(super) fn receive(&mut self, now: DateTime<Utc>, receipt: &Receipt) -> Received {
        let Some(key) = self.about(&receipt.about) else { return Received::Unmatched };
        let receipt = receipt.about_address(&self.rows[&key].entry.notice.address);
        let all = self.deliveries.get_mut(&key).into_iter().flatten();
        let Some((_, delivery)) = all.filter(|(_, d)| d.phase == Phase::Doubt).last() else { return Received::Unmatched };
        if !receipt.status.replaces(delivery.receipt) {
            return Received::Known(key);
        }
        let said = delivery.receipt;
        delivery.receipt = Some(receipt.status);
        delivery.receipt_at = Some(now);
        delivery.receipt_detail.clone_from(&receipt.detail);
        let row = self.change(key, (Event::Receipt, Some(receipt.in_words())), now, |row| {
            row.receive(now);
            Some(row.clone())
        });
        if receipt.status.is_lost() || said.is_some_and(DeliveryStatus::is_lost) {
            let entry = &self.rows[&key].entry;
            self.plan_again(&(entry.source.clone(), entry.notice.session));
        }
        if receipt.status.refutes(said) && self.forget_refuted(key, SaidBy::Receipt, now) {
            let unsuppressed = self.rows[&key].unsuppressed(ARRIVED, now);
            self.append(unsuppressed);
        }
        if let (Some(row), Some(kind)) = (row, receipt.remember)
            && self.put_suppressed(&NewSuppression::of(&row.entry.notice, kind, SaidBy::Receipt, now))
        {
            self.append(row.suppressed(kind, now));
        }
        Received::Noted(key)
    }

    pub(super) fn about(&self, about: &ReceiptTarget) -> Option<NoticeKey> {
        match about {
            ReceiptTarget::Notice(key) => self.rows.contains_key(key).then_some(*key),
            ReceiptTarget::Reference(reference, since) => {
                let texts = self.rows.values().map(|row| &row.entry).filter(|e| e.notice.address.channel() == crate::contact::Channel::Sms);
                let theirs = texts.filter(|e| e.reference.as_ref() == Some(reference) && e.notice.due_at > *since);
                theirs.max_by_key(|e| e.notice.due_at).map(|e| e.notice.key)
            }
        }
    }

    pub(super) fn receipt_came(&self, key: NoticeKey) -> bool {
        self.of(key).any(|d| d.receipt.is_some())
    }

    pub(super) fn undelivered(&self, now: DateTime<Utc>) -> Vec<Undelivered> {
        let mut found: Vec<(DateTime<Utc>, Undelivered)> = Vec::new();
        for row in self.rows.values().filter(|row| row.entry.notice.start > now) {
            let (entry, n) = (&row.entry, &row.entry.notice);
            for d in self.of(n.key).filter(|d| matches!(d.receipt, Some(DeliveryStatus::Undelivered | DeliveryStatus::Failed))) {
                let (Some(status), Some(at)) = (d.receipt, d.receipt_at) else { continue };
                if self.mended(entry, at) {
                    continue;
                }
                let undelivered = Undelivered {
                    key: n.key,
                    session_id: n.session,
                    participation_id: n.participation,
                    occasion: n.occasion,
                    rule: n.rule.clone(),
                    start: n.start,
                    status,
                    detail: d.receipt_detail.clone(),
                    at,
                };
                found.push((n.due_at, undelivered));
            }
        }
        found.sort_by_key(|(due, u)| (u.start, *due, u.key));
        found.into_iter().map(|(_, u)| u).collect()
    }

    fn of(&self, key: NoticeKey) -> impl Iterator<Item = &Delivery> {
        self.deliveries.get(&key).into_iter().flatten().map(|(_, d)| d)
    }

    fn mended(&self, of: &Entry, since: DateTime<Utc>) -> bool {
        let theirs = self.rows.values().map(|row| &row.entry).filter(|e| {
            e.source == of.source && e.notice.session == of.notice.session && e.notice.participation == of.notice.participation
        });
        theirs.into_iter().any(|e| {
            let arrived =
                self.of(e.notice.key).any(|d| d.receipt == Some(DeliveryStatus::Delivered) && d.receipt_at.is_some_and(|at| at >= since));
            let elsewhere = e.notice.address != of.notice.address && e.state == State::Accepted;
            arrived || (elsewhere && e.accepted_at.is_some_and(|at| at >= since))
        })
    }
}
