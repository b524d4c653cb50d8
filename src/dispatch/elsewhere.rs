//! A word that takes an hour from its reader, who stands at that very hour in another entry of the list: the last word must be true.
//!
//! A cancellation, at its last look: if its reader is told of the entry that stands after what they heard of the one that is gone, nothing needs to be
//! said. If they were told before, they are told again of the one that stands. Only if that cannot be, the cancellation goes.
//!
//! A new time, once it is handed over: they are told again of the entry that stands at the old one, or they would stay away from it.

use chrono::{DateTime, TimeDelta, Utc};

use super::Dispatcher;
use crate::known::{Expected, Known, KnownNotice};
use crate::notice::{Notice, Occasion, Reason};
use crate::outbox::{self, Settlement};
use crate::plan::asked::{AGAIN_AFTER, NotNow, ask, ask_anew};
use crate::plan::diff::state_after;
use crate::plan::{self, Suppressions};
use crate::session::{Participant, Role, Session};
use crate::source::stored;

/// In the ledger, beside what is told again.
const GONE: &str = "another entry of theirs at that hour is gone, of which they heard later";
const MOVED: &str = "another entry of theirs was moved away from that hour, and they heard of that later";

/// What tells them of the entry that stands is on its way, and may arrive before the new time: they are told again after so long.
const AFTER_IT: TimeDelta = TimeDelta::minutes(1);

/// An hour that is taken from a reader, and who may be expected then all the same.
pub(super) struct FreedHour {
    /// As the record has them.
    person: Participant,
    /// When they last heard of what is gone.
    heard_at: DateTime<Utc>,
    others: Vec<Expected>,
}

impl FreedHour {
    /// `None`: it takes no hour from them, or nobody else stands there. A host may have several sessions.
    pub(super) fn by(notice: &Notice, person: &Participant, known: &Known) -> Option<Box<Self>> {
        if person.role == Role::Host || !person.is_named() {
            return None;
        }
        let before = known.notices.iter().filter(|n| n.heard() && n.notice.key != notice.key);
        let last = match notice.occasion {
            Occasion::Cancelled => before.filter(|n| n.notice.start == notice.start).max_by_key(|n| n.heard_at())?,
            Occasion::Rescheduled => before.max_by_key(|n| n.heard_at()).filter(|n| takes_from(notice, n))?,
            _ => return None,
        };
        let made_anew = |e: &Expected| e.first_seen > known.first_seen || notice.occasion == Occasion::Rescheduled;
        let address = if notice.occasion == Occasion::Cancelled { &notice.address } else { &last.notice.address };
        let there = |e: &&Expected| e.start == last.notice.start && e.address == *address && (e.same_person || made_anew(e));
        let others: Vec<Expected> = known.expected.iter().filter(there).cloned().collect();
        (!others.is_empty()).then(|| Box::new(Self { person: person.clone(), heard_at: last.heard_at(), others }))
    }
}

/// They believed in another hour until now.
fn takes_from(notice: &Notice, last: &KnownNotice) -> bool {
    last.notice.occasion != Occasion::Cancelled && last.notice.start != notice.start
}

impl Dispatcher {
    /// What becomes of a cancellation; `None`: it goes.
    pub(super) async fn stands_elsewhere(
        &self,
        left: &FreedHour,
        notice: &Notice,
        now: DateTime<Utc>,
    ) -> outbox::Result<Option<Settlement>> {
        let superseded = || Settlement::Ended { state: state_after(Reason::Superseded), reason: Reason::Superseded };
        for other in &left.others {
            let Some(session) = self.theirs(left, other).await? else { continue };
            if other.comes_after(left.heard_at) {
                return Ok(Some(superseded()));
            }
            let Some((person, known, suppressed)) = self.known_of(&session, other, now).await? else { continue };
            // A correction that may go now, may go by night.
            match ask(&session, person, &known, (&self.policy, &suppressed), (now, true)) {
                Ok(asked) => {
                    // Due with what it takes the place of: whoever sends once sends it, too.
                    let asked = Notice { due_at: notice.due_at.min(asked.due_at), ..asked };
                    self.outbox.ask(now, &other.source, asked, GONE).await?;
                    return Ok(Some(superseded()));
                }
                Err(NotNow::UnderWay(_)) => return Ok(Some(superseded())),
                Err(NotNow::JustSent(at)) if at + AGAIN_AFTER + TimeDelta::seconds(1) < notice.useful_until => {
                    return Ok(Some(Settlement::moved(at + AGAIN_AFTER + TimeDelta::seconds(1))));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// They are told of another time than the one at which another entry of theirs stands: of that one they are told again, after it.
    pub(super) async fn tell_what_stands(&self, left: &FreedHour, notice: &Notice, now: DateTime<Utc>) -> outbox::Result<()> {
        for other in left.others.iter().filter(|other| notice.occasion == Occasion::Rescheduled && other.start > now) {
            let Some(session) = self.theirs(left, other).await? else { continue };
            let Some((person, known, suppressed)) = self.known_of(&session, other, now).await? else { continue };
            let with = (&*self.policy, &suppressed);
            let at = match ask(&session, person, &known, with, (now, true)) {
                Err(NotNow::UnderWay(due_at)) if due_at > now => return Ok(()),
                Err(NotNow::UnderWay(_)) => now + AFTER_IT,
                Ok(_) | Err(NotNow::JustSent(_)) => now,
                Err(_) => continue,
            };
            let Ok(asked) = ask_anew(&session, person, &known, with, at) else { continue };
            // What goes at once is due with the new time: whoever sends once sends it, too.
            let due_at = if at == now { notice.due_at.min(asked.due_at) } else { asked.due_at };
            self.outbox.ask(now, &other.source, Notice { due_at, ..asked }, MOVED).await?;
            return Ok(());
        }
        Ok(())
    }

    /// The session of the other entry; `None`: it is another person's, or cannot be read.
    async fn theirs(&self, left: &FreedHour, other: &Expected) -> outbox::Result<Option<Session>> {
        let stored = self.outbox.sessions(&other.source, Some(&[other.session])).await?.pop();
        let Some(session) = stored.as_ref().and_then(stored::session) else { return Ok(None) };
        let Some(person) = session.participant(other.participation) else { return Ok(None) };
        let same_person = other.same_person || plan::is_corrected(&left.person, person);
        // A name alone may have slipped: who is told elsewhere has an address or number of theirs, too, in either record.
        let region = &self.policy.region;
        let reached =
            other.told_there || plan::has_contact(person, &other.address, region) || plan::share_a_contact(&left.person, person, region);
        Ok((same_person && reached).then_some(session))
    }

    /// Whoever that entry is, and what is known of them; `None`: nothing is.
    async fn known_of<'s>(
        &self,
        session: &'s Session,
        other: &Expected,
        now: DateTime<Utc>,
    ) -> outbox::Result<Option<(&'s Participant, Known, Suppressions)>> {
        let known = self.outbox.known(&other.source, &[session.id]).await?;
        let theirs = plan::observe(session, known, &self.policy, false, now).remove(&(session.id, other.participation));
        let Some((person, known)) = session.participant(other.participation).zip(theirs) else { return Ok(None) };
        Ok(Some((person, known, Suppressions(self.outbox.suppressions().await?))))
    }
}
