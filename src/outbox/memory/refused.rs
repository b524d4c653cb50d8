//! What relays refused lately, and what is taken back of it.

use chrono::{DateTime, Utc};

use super::tables::Tables;
use crate::contact::Channel;
use crate::entry::AttemptEnd;
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::RecentEnd;
use crate::outbox::transition::REFUSED_US;
use crate::suppression::{SaidBy, Suppression, suppression_key};

impl Tables {
    pub(super) fn settled_lately(&self, channel: Channel, rows: usize) -> Vec<RecentEnd> {
        let tail = &self.ledger[self.ledger.len().saturating_sub(rows)..];
        let settled = tail.iter().filter(|row| row.event == Event::Settled).filter_map(|row| {
            let key: NoticeKey = row.key.as_ref()?.parse().ok()?;
            let address = &self.rows.get(&key)?.entry.notice.address;
            let (_, delivery) = self.deliveries.get(&key)?.iter().find(|(_, d)| d.ended_at == Some(row.at))?;
            let (end, said) = AttemptEnd::of_detail(row.detail.as_deref()?);
            let (who, transport) = (suppression_key(address), delivery.transport.clone()?);
            let lately = RecentEnd { key, who, transport, end, said: said.to_owned() };
            (address.channel() == channel).then_some(lately)
        });
        settled.collect()
    }

    pub(super) fn take_back(&mut self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> usize {
        rejected.iter().filter(|(key, next)| self.take_one_back(*key, *next, now)).count()
    }

    fn take_one_back(&mut self, key: NoticeKey, next_attempt_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let event = (Event::TakenBack, Some(REFUSED_US.to_owned()));
        let waits = self.change(key, event, now, |row| row.take_back(next_attempt_at, now).then_some(())).is_some();
        if self.forget_refuted(key, SaidBy::Refusal, now)
            && let Some(row) = self.rows.get(&key).map(|row| row.unsuppressed(REFUSED_US, now))
        {
            self.append(row);
        }
        waits
    }

    /// Takes off the list what this message put there by that word, which was wrong. Whether that was anything.
    pub(super) fn forget_refuted(&mut self, key: NoticeKey, said_by: SaidBy, now: DateTime<Utc>) -> bool {
        let said = Some(key.to_string());
        let before = self.suppressions.len();
        self.suppressions.retain(|_, s| s.notice != said || s.said_by != said_by || s.kind != Suppression::Bounced);
        let removed = self.suppressions.len() < before;
        if removed {
            self.plan_left_out(now);
        }
        removed
    }
}
