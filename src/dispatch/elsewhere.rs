//! The last look at a cancellation: whoever stands at that very hour in another entry of the list is not told that it is off.
//!
//! An entry that was made anew, or was there twice: if its reader is told of the one that stands after what they heard of the one that is gone, nothing
//! needs to be said. If they were told before, they are told again of the one that stands: the last word must be true. Only if that cannot be, the
//! cancellation goes.

use chrono::{DateTime, TimeDelta, Utc};

use super::Dispatcher;
use crate::known::{Expected, Known};
use crate::notice::{Notice, Occasion, Reason};
use crate::outbox::{self, Settlement};
use crate::plan::asked::{AGAIN_AFTER, NotNow, ask};
use crate::plan::diff::state_after;
use crate::plan::{self, Suppressions};
use crate::session::{Participant, Role};
use crate::source::kept;

/// In the ledger, beside what is told again.
const WHY: &str = "another entry of theirs at that hour is gone, of which they heard later";

/// A cancellation, and who may be expected at that hour all the same.
pub(super) struct Cancelled {
    /// As the record has them.
    person: Participant,
    /// When they last heard of what is gone.
    heard_at: DateTime<Utc>,
    others: Vec<Expected>,
}

impl Cancelled {
    /// `None`: it is no cancellation, or nobody else stands there.
    pub(super) fn of(notice: &Notice, person: &Participant, known: &Known) -> Option<Box<Self>> {
        if notice.occasion != Occasion::Cancelled || person.role == Role::Host || !person.is_named() {
            return None;
        }
        let heard = known.notices.iter().filter(|n| n.heard() && n.notice.start == notice.start);
        let heard_at = heard.map(crate::known::KnownNotice::heard_at).max()?;
        let made_anew = |e: &Expected| e.first_seen > known.first_seen;
        let there = |e: &&Expected| e.start == notice.start && e.address == notice.address && (e.same_person || made_anew(e));
        let others: Vec<Expected> = known.expected.iter().filter(there).cloned().collect();
        (!others.is_empty()).then(|| Box::new(Self { person: person.clone(), heard_at, others }))
    }
}

impl Dispatcher {
    /// What becomes of it; `None`: it goes.
    pub(super) async fn stands_elsewhere(
        &self,
        cancelled: &Cancelled,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> outbox::Result<Option<Settlement>> {
        let superseded = || Settlement::Ended { state: state_after(Reason::Superseded), reason: Reason::Superseded };
        for other in &cancelled.others {
            let stored = self.outbox.sessions(&other.source, Some(&[other.session])).await?.pop();
            let Some(session) = stored.as_ref().and_then(kept::session) else { continue };
            let Some(person) = session.participant(other.participation) else { continue };
            if !other.same_person && !plan::is_corrected(&cancelled.person, person) {
                continue;
            }
            // A name alone may have slipped: who is told elsewhere has that address, too.
            if !other.told_there && !plan::has_contact(person, &notice.address, &self.policy.region) {
                continue;
            }
            if other.comes_after(cancelled.heard_at) {
                return Ok(Some(superseded()));
            }
            let known = self.outbox.known(&other.source, &[session.id]).await?;
            let known = plan::observe(&session, known, &self.policy, false, now);
            let Some(theirs) = known.get(&(session.id, person.id)) else { continue };
            let suppressed = Suppressions(self.outbox.suppressions().await?);
            // A correction that may go now, may go by night.
            match ask(&session, person, theirs, (&self.policy, &suppressed), (now, true)) {
                Ok(asked) => {
                    // Due with what it takes the place of: whoever sends once sends it, too.
                    let asked = Notice { due_at: notice.due_at.min(asked.due_at), ..asked };
                    self.outbox.ask(now, &other.source, asked, WHY).await?;
                    return Ok(Some(superseded()));
                }
                Err(NotNow::UnderWay(_)) => return Ok(Some(superseded())),
                Err(NotNow::JustTold(at)) if at + AGAIN_AFTER + TimeDelta::seconds(1) < notice.useful_until => {
                    return Ok(Some(Settlement::moved(at + AGAIN_AFTER + TimeDelta::seconds(1))));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }
}
