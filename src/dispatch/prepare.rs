//! Claims, prepared: each one looked at once more ([`super::revalidate`]), the people of a session after each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Dispatcher;
use super::lane::Lane;
use super::ready::Ready;
use super::revalidate::{Revalidation, is_doubtful, refusal};
use crate::entry::State;
use crate::notice::Reason;
use crate::outbox::{Claim, Lease, Returned, Settlement};
use crate::outcome::Unsaid;
use crate::plan::Suppressions;
use crate::session::{Session, SessionId};
use crate::source::just_read::JustRead;
use crate::source::stored;

/// The store says that the session or the claim is another one by now: planned anew, tried anew.
pub(super) fn fenced(now: DateTime<Utc>) -> Settlement {
    Settlement::Return { outcome: Returned::Fenced, why: None, next_attempt_at: now + chrono::TimeDelta::seconds(1) }
}

/// What becomes of a claim.
pub(super) enum Prepared {
    Send(Box<Ready>),
    Settle(Lease, Settlement),
}

/// What each claim of a batch is decided by.
#[derive(Clone, Copy)]
struct Basis<'a> {
    lane: &'a Lane,
    suppressed: &'a Suppressions,
    now: DateTime<Utc>,
}

/// The session that was read last: the people of one session follow each other.
#[derive(Default)]
struct LastRead {
    /// Source, session and revision.
    of: Option<(String, SessionId, i64)>,
    /// And the words that are not repeated.
    session: Option<(Session, Arc<Unsaid>)>,
}

impl LastRead {
    /// The session as the source last said it; `None`: the record cannot be read.
    fn session(&mut self, claim: &Claim, just_read: &JustRead) -> Option<&(Session, Arc<Unsaid>)> {
        let (source, id, revision) = (&claim.entry.source, claim.entry.notice.session, claim.revision);
        if self.of.as_ref().is_none_or(|(s, i, r)| (s, *i, *r) != (source, id, revision)) {
            self.session = stored::session_just_read(&claim.session, just_read).map(|session| {
                let unsaid = Arc::new(stored::unsaid(&session));
                (session, unsaid)
            });
            self.of = Some((source.clone(), id, revision));
        }
        self.session.as_ref()
    }
}

impl Dispatcher {
    /// Revalidates and renders claims. Pure but for the log.
    pub(super) fn prepare(&self, claims: Vec<Claim>, lane: &Lane, suppressed: &Suppressions, now: DateTime<Utc>) -> Vec<Prepared> {
        let (mut last, basis) = (LastRead::default(), Basis { lane, suppressed, now });
        claims.into_iter().map(|claim| self.prepare_alone(&claim, &mut last, basis)).collect()
    }

    /// One that cannot be prepared, by a defect of ours, stops no other one.
    fn prepare_alone(&self, claim: &Claim, last: &mut LastRead, basis: Basis<'_>) -> Prepared {
        let lease = claim.lease();
        let prepared = unless_it_panics(is_doubtful(claim), || self.prepare_one(claim, last, basis));
        prepared.unwrap_or_else(|end| {
            // It may be half-read.
            *last = LastRead::default();
            let session = claim.entry.notice.session;
            tracing::error!(key = %lease.key, %session, "held: a defect of this program, while its message was made");
            Prepared::Settle(lease, end)
        })
    }

    fn prepare_one(&self, claim: &Claim, last: &mut LastRead, basis: Basis<'_>) -> Prepared {
        let lease = claim.lease();
        match self.decide(claim, last, basis) {
            Ok(ready) => Prepared::Send(Box::new(ready)),
            Err(end) => {
                if let Settlement::Ended { reason, state: State::Lapsed } = &end {
                    let session = claim.entry.notice.session;
                    tracing::warn!(key = %lease.key, %session, channel = %basis.lane.channel, %reason, "lapsed: it was not sent in time");
                } else if let Settlement::Ended { reason, state } = &end {
                    tracing::info!(key = %lease.key, session = %claim.entry.notice.session, channel = %basis.lane.channel, %reason, %state, "not sent");
                }
                Prepared::Settle(lease, end)
            }
        }
    }

    fn decide(&self, claim: &Claim, last: &mut LastRead, Basis { lane, suppressed, now }: Basis<'_>) -> Result<Ready, Settlement> {
        let (session, unsaid) = last.session(claim, &self.just_read).ok_or_else(|| refusal(is_doubtful(claim), Reason::Quarantined))?;
        Revalidation { dispatcher: self, lane, claim, session, now }.decide(suppressed, unsaid)
    }
}

/// What is made; or, if that meets a defect, the end of its notice: held, so that no start meets it again. The process goes on.
fn unless_it_panics<T>(doubtful: bool, make: impl FnOnce() -> T) -> Result<T, Settlement> {
    catch_unwind(AssertUnwindSafe(make)).map_err(|_| refusal(doubtful, Reason::Template))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_whose_preparation_panics_is_held() {
        let broken = |doubtful| unless_it_panics(doubtful, || -> u8 { panic!("a defect") });
        assert_eq!(broken(false), Err(Settlement::Ended { state: State::Held, reason: Reason::Template }));
        assert!(matches!(broken(true), Err(Settlement::Unknown { resend_at: None, .. })), "one that may have been told stays in doubt");
        assert_eq!(unless_it_panics(false, || 7), Ok(7), "the next one is made");
    }
}
