//! Attempts: due, claimed, begun, in doubt, settled.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::super::MemoryOutbox;
use crate::contact::Channel;
use crate::entry::Entry;
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::checks::checked;
use crate::outbox::outgoing::AloneStep;
use crate::outbox::words::rfc3339;
use crate::outbox::{Attempts, Begin, Claim, ClaimAlone, ClaimRequest, Lease, Outgoing, RecentEnd, Recovered, Result, Settlement};

#[async_trait]
impl Attempts for MemoryOutbox {
    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        Ok(self.tables().due.iter().find(|(of, _, _)| *of == channel).map(|(_, at, _)| *at))
    }

    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        Ok(self.tables().due_by(channel, now).map(|notice| notice.useful_until).min())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        Ok(self.tables().claim(&request))
    }

    async fn claim_alone(&self, request: ClaimAlone) -> Result<Option<Lease>> {
        Ok(self.tables().claim_alone(&request))
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        let mut tables = self.tables();
        let begin = |attempt: Begin| match attempt.lease.kind {
            Outgoing::Notice => tables.begin(attempt),
            _ => tables.step(attempt.lease, AloneStep::Begin(&attempt)),
        };
        Ok(attempts.into_iter().map(begin).collect())
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        let mut tables = self.tables();
        Ok(match lease.kind {
            Outgoing::Notice => tables.doubt(lease, revision, margin),
            _ => tables.step(lease, AloneStep::Doubt(margin)),
        })
    }

    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool> {
        let mut tables = self.tables();
        Ok(match attempt.lease.kind {
            Outgoing::Notice => tables.take(attempt, margin),
            _ => tables.step(attempt.lease, AloneStep::Take(&attempt, margin)),
        })
    }

    async fn reroute(&self, lease: Lease, transport: &str) -> Result<bool> {
        let mut tables = self.tables();
        Ok(match lease.kind {
            Outgoing::Notice => tables.reroute(lease, transport),
            _ => tables.step(lease, AloneStep::Reroute(transport)),
        })
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        let mut tables = self.tables();
        let settle = |(lease, end): &(Lease, Settlement)| match lease.kind {
            Outgoing::Notice => tables.settle(at, *lease, end),
            _ => tables.step(*lease, AloneStep::Settle(end, at)),
        };
        Ok(ends.iter().map(settle).collect())
    }

    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<RecentEnd>> {
        Ok(self.tables().settled_lately(channel, rows))
    }

    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize> {
        Ok(self.tables().take_back(rejected, now))
    }

    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered> {
        Ok(self.tables().recover(owner, now, everything))
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
            tables.change(key, (Event::Resolved, Some(detail)), now, |row| row.resolve(resend_at).then_some(()));
        }
        Ok(())
    }
}
