//! Attempts: due, claimed, begun, in doubt, settled.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::super::tx::Tx;
use super::super::{SqliteOutbox, attempt, outgoing, query, refused, upkeep};
use crate::contact::Channel;
use crate::entry::Entry;
use crate::notice::NoticeKey;
use crate::outbox::checks::checked;
use crate::outbox::frozen::Packed;
use crate::outbox::outgoing::AloneStep;
use crate::outbox::{Attempts, Begin, Claim, ClaimAlone, ClaimRequest, Lease, Outgoing, RecentEnd, Recovered, Result, Settlement};

/// Claimed in one write. The messages that are on a connection by then wait for it.
const CLAIMED_AT_ONCE: usize = 64;

fn settle(connection: &Tx<'_>, lease: Lease, end: &Settlement, at: DateTime<Utc>) -> rusqlite::Result<bool> {
    match lease.kind {
        Outgoing::Notice => attempt::settle(connection, lease, end, at),
        _ => outgoing::step(connection, lease, AloneStep::Settle(end, at)),
    }
}

#[async_trait]
impl Attempts for SqliteOutbox {
    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("next_due", move |c| query::next_due(c, channel)).await
    }

    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("most_urgent", move |c| query::most_urgent(c, channel, now)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        let request = Arc::new(request);
        let asked = Arc::clone(&request);
        let first = move |c: &Tx<'_>| {
            let mut due = attempt::due(c, &asked)?;
            let rest = due.split_off(CLAIMED_AT_ONCE.min(due.len()));
            Ok((attempt::claim(c, &asked, &due)?, rest))
        };
        let (mut claims, rest) = self.writer.write("claim", first).await?;
        for due in rest.chunks(CLAIMED_AT_ONCE) {
            let (asked, due) = (Arc::clone(&request), due.to_vec());
            claims.extend(self.writer.write("claim", move |c| attempt::claim(c, &asked, &due)).await?);
        }
        Ok(claims)
    }

    async fn claim_alone(&self, request: ClaimAlone) -> Result<Option<Lease>> {
        self.writer.write("claim", move |c| outgoing::claim(c, &request)).await
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        // Packed here: the writer has enough to do.
        let packed: Vec<Packed<'static>> = attempts.iter().map(|a| Packed::of(&a.bytes)).collect();
        let begin = |c: &Tx<'_>, a: &Begin, p: &Packed<'_>| match a.lease.kind {
            Outgoing::Notice => attempt::begin(c, a, p),
            _ => outgoing::step(c, a.lease, AloneStep::Begin(a)),
        };
        self.writer.write("begin", move |c| attempts.iter().zip(&packed).map(|(a, p)| begin(c, a, p)).collect()).await
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        let doubt = move |c: &Tx<'_>| match lease.kind {
            Outgoing::Notice => attempt::doubt(c, lease, revision, margin),
            _ => outgoing::step(c, lease, AloneStep::Doubt(margin)),
        };
        self.writer.write("doubt", doubt).await
    }

    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool> {
        if attempt.lease.kind != Outgoing::Notice {
            return self.writer.write("take", move |c| outgoing::step(c, attempt.lease, AloneStep::Take(&attempt, margin))).await;
        }
        let packed = Packed::of(&attempt.bytes);
        self.writer.write_in_company("take", move |c| attempt::take(c, &attempt, &packed, margin)).await
    }

    async fn reroute(&self, lease: Lease, transport: &str) -> Result<bool> {
        let transport = transport.to_owned();
        let reroute = move |c: &Tx<'_>| match lease.kind {
            Outgoing::Notice => attempt::reroute(c, lease, &transport),
            _ => outgoing::step(c, lease, AloneStep::Reroute(&transport)),
        };
        self.writer.write("reroute", reroute).await
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        self.writer.write_in_company("settle", move |c| ends.iter().map(|(lease, end)| settle(c, *lease, end, at)).collect()).await
    }

    async fn settle_with_next(&self, at: DateTime<Utc>, lease: Lease, end: Settlement) -> Result<bool> {
        checked("settle", [end.check()])?;
        self.writer.write_with_next("settle", move |c| settle(c, lease, &end, at)).await
    }

    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<RecentEnd>> {
        self.readers.read("settled_lately", move |c| refused::settled_lately(c, channel, rows)).await
    }

    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize> {
        let rejected = rejected.to_vec();
        self.writer.write("take_back", move |c| refused::take_back(c, &rejected, now)).await
    }

    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered> {
        let owner = owner.to_owned();
        self.writer.write("recover", move |c| upkeep::recover(c, &owner, now, everything)).await
    }

    async fn lapse(&self, now: DateTime<Utc>) -> Result<Vec<Entry>> {
        self.writer.write("lapse", move |c| attempt::lapse(c, now)).await
    }

    async fn lapsed(&self, since: DateTime<Utc>) -> Result<Vec<Entry>> {
        self.readers.read("lapsed", move |c| query::lapsed(c, since)).await
    }

    async fn resolve_doubt(&self, now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> Result<()> {
        self.writer.write("resolve_doubt", move |c| upkeep::resolve_doubt(c, now, &resends)).await
    }
}
