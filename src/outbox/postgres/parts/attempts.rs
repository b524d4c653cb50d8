//! Attempts.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::super::attempt::AttemptStep;
use super::super::db::Tx;
use super::super::{PostgresOutbox, acts, claim, list, outgoing, receipt, tend};
use crate::contact::Channel;
use crate::entry::Entry;
use crate::notice::NoticeKey;
use crate::outbox::checks::checked;
use crate::outbox::frozen::Packed;
use crate::outbox::{Attempts, Begin, Claim, ClaimAlone, ClaimRequest, Lease, RecentEnd, Recovered, Result, Settlement};

impl PostgresOutbox {
    /// Whose claims are those of a node, and of a process of it.
    fn owner(&self, process: &str) -> String {
        self.boot().map_or_else(|| process.to_owned(), |boot| format!("{boot} {process}"))
    }

    async fn step(&self, step: AttemptStep) -> Result<bool> {
        Ok(self.writer.take(vec![step]).await?.first().copied().unwrap_or(false))
    }
}

#[async_trait]
impl Attempts for PostgresOutbox {
    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("next_due", async move |db| list::next_due(db, channel).await).await
    }

    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("most_urgent", async move |db| list::most_urgent(db, channel, now).await).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        let request = ClaimRequest { owner: self.owner(&request.owner), ..request };
        self.writer.write("claim", async move |tx| claim::claim(tx, &request).await).await
    }

    async fn claim_alone(&self, request: ClaimAlone) -> Result<Option<Lease>> {
        let request = ClaimAlone { owner: self.owner(&request.owner), ..request };
        self.writer.write("claim", async move |tx| outgoing::claim(tx, &request).await).await
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        // Packed here: the writer has enough to do.
        let step = |attempt: Begin| {
            let packed = Packed::of(&attempt.bytes);
            AttemptStep::Begin(attempt, packed)
        };
        self.writer.take(attempts.into_iter().map(step).collect()).await
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        self.step(AttemptStep::Doubt(lease, revision, margin)).await
    }

    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool> {
        let packed = Packed::of(&attempt.bytes);
        self.step(AttemptStep::Take(attempt, packed, margin)).await
    }

    async fn reroute(&self, lease: Lease, transport: &str) -> Result<bool> {
        self.step(AttemptStep::Reroute(lease, transport.to_owned())).await
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        self.writer.take(ends.into_iter().map(|(lease, end)| AttemptStep::Settle(lease, end, at)).collect()).await
    }

    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<RecentEnd>> {
        self.readers.read("settled_lately", async move |db| receipt::settled_lately(db, channel, rows).await).await
    }

    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize> {
        let rejected = rejected.to_vec();
        self.writer.write("take_back", async move |tx| acts::take_back(tx, &rejected, now).await).await
    }

    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered> {
        let (owner, boot) = (self.owner(owner), self.boot().filter(|_| everything).map(str::to_owned));
        let recover = async move |tx: &Tx<'_>| {
            if let Some(boot) = &boot {
                return tend::recover(tx, (boot, &owner), now).await;
            }
            let store_now = tx.now().await?;
            claim::take_back(tx, |held| held.is_gone(&owner, store_now, everything), now).await
        };
        self.writer.write("recover", recover).await
    }

    async fn lapse(&self, now: DateTime<Utc>) -> Result<Vec<Entry>> {
        self.writer.write("lapse", async move |tx| claim::lapse(tx, now).await).await
    }

    async fn lapsed(&self, since: DateTime<Utc>) -> Result<Vec<Entry>> {
        self.readers.read("lapsed", async move |db| list::lapsed(db, since).await).await
    }

    async fn resolve_doubt(&self, now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> Result<()> {
        self.writer.write("resolve_doubt", async move |tx| claim::resolve_doubt(tx, now, &resends).await).await
    }
}
