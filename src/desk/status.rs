//! Counts, times, and what needs attention.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::outage::{self, Outage};
use super::reading::{SessionRead, SourceSession};
use super::{Desk, Notes};
use crate::entry::State;
use crate::guard::sessions_of;
use crate::notice::{Omission, Reason};
use crate::outbox::{Filter, NodeRow, SourceStatus, Status, StoreError};
use crate::session::{AutoDeliver, Participant, ParticipationId, SessionId};
use crate::staff::ConcernFinder;
use crate::staff::misled::BEGUN;
use crate::zone::rfc3339;

/// Texts that are counted: somebody who reads them has no use for a larger number.
const UNREAD_MAX: usize = 1000;

/// Why a change of what somebody was told may reach nobody.
const LEAVES_UNTOLD: [Reason; 9] = [
    Reason::Quarantined,
    Reason::NoEmail,
    Reason::InvalidEmail,
    Reason::NoNumber,
    Reason::InvalidNumber,
    Reason::OptedOut,
    Reason::Bounced,
    Reason::DoNotContact,
    Reason::NoConnectCode,
];

/// What `status` tells.
#[derive(Debug, Serialize, ToSchema)]
pub struct Facts {
    /// What keeps messages from going out now, the most urgent first.
    pub outages: Vec<Outage>,
    /// Notices by state.
    pub states: BTreeMap<&'static str, u64>,
    /// Omissions by reason.
    pub omissions: BTreeMap<&'static str, u64>,
    /// RFC 3339, UTC; `None`: nothing waits.
    pub next_due: Option<String>,
    /// Each source.
    pub sources: Vec<SourceStatus>,
    /// Records at fault: `source: path: reason`.
    pub quarantined: Vec<String>,
    /// Sessions that wait for an operator.
    pub guarded: usize,
    /// Messages of coming sessions that a provider or a mail server says did not arrive.
    pub undelivered: usize,
    /// Texts that people wrote and somebody should read: a thousand are counted.
    pub unread: usize,
    /// Messages that passed their time in the last day: they should have gone, and did not.
    pub lapsed: usize,
    /// Addresses on the suppression list.
    pub suppressed: u64,
    /// The nodes that have names, if several serve the practice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeRow>,
    /// Something waits for a person.
    #[serde(skip)]
    pub attention: bool,
}

pub async fn status(desk: &Desk, now: DateTime<Utc>) -> Result<Facts, StoreError> {
    let (status, guards, undelivered) = (desk.outbox.status().await?, desk.outbox.guards().await?, desk.outbox.undelivered(now).await?);
    let unread = desk.outbox.unread(UNREAD_MAX).await?.len();
    let lapsed = desk.lapsed(now).await?;
    let outages = outage::find(desk, &status.sources, now).await?;
    let nodes = desk.outbox.nodes().await?;
    let left_out = is_anybody_left_out(desk, &status, now).await?;
    Ok(Facts {
        states: status.by_state.iter().map(|(s, n)| (s.as_str(), *n)).collect(),
        omissions: status.by_reason.iter().map(|(r, n)| (r.as_str(), *n)).collect(),
        next_due: status.next_due.map(rfc3339),
        quarantined: status.faults.iter().map(|(source, fault)| format!("{source}: {fault}")).collect(),
        guarded: sessions_of(&guards),
        undelivered: undelivered.len(),
        unread,
        lapsed: lapsed.len(),
        suppressed: status.suppressed,
        attention: !outages.is_empty()
            || left_out
            || nodes.iter().any(|node| node.idle.is_some())
            || needs_attention(&status)
            || !lapsed.is_empty()
            || !guards.is_empty()
            || !undelivered.is_empty()
            || unread > 0,
        sources: status.sources,
        outages,
        nodes,
    })
}

/// Somebody waits for a person: nothing is planned for them, or what they know holds no more.
pub async fn is_anybody_left_out(desk: &Desk, status: &Status, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let some = |reason: &Reason| status.by_reason.get(reason).is_some_and(|n| *n > 0);
    let omissions = if some(&Reason::Ambiguous) || LEAVES_UNTOLD.iter().any(some) {
        desk.outbox.omissions(&Filter::default()).await?
    } else {
        Vec::new()
    };
    Ok(is_anybody_ambiguous(desk, &omissions, now).await?
        || is_anybody_quarantined(desk, &omissions, now).await?
        || is_anybody_misled(desk, (&omissions, status), now).await?)
}

/// Somebody who is to be told waits because one id or code stands for two people, so that nothing is planned for them; their session is to come.
async fn is_anybody_ambiguous(desk: &Desk, omissions: &[Omission], now: DateTime<Utc>) -> Result<bool, StoreError> {
    let held = omissions.iter().filter(|o| o.reason == Reason::Ambiguous).filter_map(|o| o.session).collect();
    Ok(!to_come(desk, &held, now).await?.is_empty())
}

/// Those of them that are to come, and stand under one of the sources.
async fn to_come(desk: &Desk, sessions: &HashSet<SessionId>, now: DateTime<Utc>) -> Result<Vec<SourceSession>, StoreError> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let mut to_come = desk.outbox.starting(now, DateTime::<Utc>::MAX_UTC, usize::MAX).await?;
    to_come.retain(|(source, id)| desk.sources.contains(source) && sessions.contains(id));
    Ok(to_come)
}

/// Somebody whom we are to tell is told nothing, for something in their record cannot be used; that need be no fault of the last list. (Whom their
/// host tells gets nothing from us anyway.)
async fn is_anybody_quarantined(desk: &Desk, omissions: &[Omission], now: DateTime<Utc>) -> Result<bool, StoreError> {
    let quarantined = omissions.iter().filter(|o| o.reason == Reason::Quarantined);
    let people: HashSet<(SessionId, ParticipationId)> = quarantined.filter_map(|o| Some((o.session?, o.participation?))).collect();
    let sessions: HashSet<SessionId> = people.iter().map(|(session, _)| *session).collect();
    let to_come = to_come(desk, &sessions, now).await?;
    let is_ours = move |desk: &Desk, read: Vec<SessionRead>| {
        // What cannot be read of the store is told of nobody.
        let mut seen = read.into_iter().filter_map(|read| desk.see_one(read, now).ok()).filter(|seen| seen.session.is_active());
        seen.any(|seen| {
            let ours = |p: &Participant| p.auto_deliver != AutoDeliver::Nobody && people.contains(&(seen.session.id, p.id));
            seen.session.participants.iter().any(ours)
        })
    };
    Ok(desk.look(&to_come, is_ours).await?.contains(&true))
}

/// Somebody knows what holds no more, and nothing that is to come says so; nor was it staff who ended what should have.
async fn is_anybody_misled(desk: &Desk, (omissions, status): (&[Omission], &Status), now: DateTime<Utc>) -> Result<bool, StoreError> {
    let left_untold = omissions.iter().filter(|o| LEAVES_UNTOLD.contains(&o.reason));
    let mut sessions: HashSet<SessionId> = left_untold.filter_map(|o| o.session).collect();
    if status.by_state.get(&State::Rejected).is_some_and(|n| *n > 0) {
        let rejected = desk.outbox.list(&Filter { states: vec![State::Rejected], ..Filter::default() }).await?;
        sessions.extend(rejected.iter().map(|entry| entry.notice.session));
    }
    if sessions.is_empty() {
        return Ok(false);
    }
    let to_come = to_come(desk, &sessions, now - BEGUN).await?;
    let notes = Arc::new(desk.notes(now).await?);
    let is_misled = move |desk: &Desk, read: Vec<SessionRead>| {
        let Notes { suppressed, undelivered } = &*notes;
        let staff = ConcernFinder { policy: &desk.policy, suppressed, undelivered, now, horizon: None };
        // What cannot be read of the store is told of nobody.
        let mut seen = read.into_iter().filter_map(|read| desk.see_one(read, now).ok());
        seen.any(|seen| staff.misled(&seen.session, &seen.known).iter().any(|concern| !concern.is_a_persons()))
    };
    Ok(desk.look(&to_come, is_misled).await?.contains(&true))
}

/// Something waits for a person.
pub fn needs_attention(status: &Status) -> bool {
    let some = |state| status.by_state.get(&state).is_some_and(|n| *n > 0);
    some(State::Held) || some(State::Unknown) || !status.faults.is_empty()
}
