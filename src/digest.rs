//! The daily letter to the practice: who will not be reached, and what else needs somebody ([`crate::staff`]), by the same relays as all mail.
//!
//! In: a cron expression on the practice's clock. Out: one e-mail to each recipient at each scheduled time; none if there is nothing to tell.
//! [`Digest::tick`] is asked every minute and looks back: the last scheduled time is what is due, so that a change of the clocks, a suspended
//! machine and a restart need no case of their own. A time that is missed is made up once, within [`MADE_UP_WITHIN`].
//!
//! Invariants: a letter is in the store before it passes its point of no return, so none of a scheduled time goes out twice, across restarts.
//! What failed before that is tried again, later each time, with what is true by then.
//!
//! Failures: those of relays are told in the log, and retried; those of the store end the process, as everywhere.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use croner::Cron;

use crate::clock::Clock;
use crate::contact::{Address, EmailAddress};
use crate::dispatch::{self, AloneRecord, AttemptContext, Lane};
use crate::entry::State;
use crate::known::by_session;
use crate::notice::Reason;
use crate::outbox::{self, DigestDelivery, Lease, Outbox, Outgoing, Returned, Scheduled, Settlement, digest_key};
use crate::outcome::Outcome;
use crate::plan::{Policy, Suppressions};
use crate::render::{DigestMail, Rendered, Renderer};
use crate::retry;
use crate::session::{Presence, SessionId};
use crate::source::stored;
use crate::staff::{self, Concern, ConcernFinder, ConcernKind, Why};
use crate::suppression::suppression_key;
use crate::zone::Zone;

/// A scheduled time is missed for good after so long: the next one is near.
pub const MADE_UP_WITHIN: TimeDelta = TimeDelta::hours(12);

/// Of how long, and of how many scheduled times at most, it is noted after a restore that they do not go: a clock that is set back reaches no further.
const LATELY: TimeDelta = TimeDelta::days(7);
const LATELY_MAX: usize = 50;

/// Texts that people wrote, of which a letter tells.
const REPLIES_MAX: usize = 200;

/// Sessions of which the store is asked at once.
const BATCH: usize = 200;

/// What a practice decides about its letter.
#[derive(Debug, Clone)]
pub struct Settings {
    pub to: Vec<EmailAddress>,
    /// When, on the practice's clock.
    pub at: Cron,
    /// The practice's clock.
    pub zone: Zone,
    /// Sessions that start later than this are left out.
    pub horizon: TimeDelta,
    /// Also when there is nothing to tell.
    pub always: bool,
}

impl Settings {
    /// The last scheduled time, unless it is too long ago to be made up.
    pub fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.trunc_subsecs(0).with_timezone(&self.zone);
        let last = self.at.find_previous_occurrence(&local, true).ok()?.with_timezone(&Utc);
        (now - last < MADE_UP_WITHIN).then_some(last)
    }

    /// The scheduled times of the last days, the last one first: a store that is restored from an older copy may know nothing of them.
    pub fn lately(&self, now: DateTime<Utc>) -> Vec<Scheduled> {
        let previous = |before: &DateTime<Zone>, inclusive| self.at.find_previous_occurrence(before, inclusive).ok();
        let first = previous(&now.trunc_subsecs(0).with_timezone(&self.zone), true);
        let times = std::iter::successors(first, |time| previous(time, false)).map(|time| time.with_timezone(&Utc));
        let recipients: Vec<String> = self.to.iter().map(recipient).collect();
        let scheduled = |at| Scheduled { at, useful_until: at + MADE_UP_WITHIN, recipients: recipients.clone() };
        times.take_while(|at| now - *at < LATELY).take(LATELY_MAX).map(scheduled).collect()
    }
}

/// Everything that needs somebody, as the store has it now. `horizon`: only sessions that start within it.
pub async fn gather(
    outbox: &dyn Outbox,
    sources: &[String],
    policy: &Policy,
    horizon: Option<TimeDelta>,
    now: DateTime<Utc>,
) -> outbox::Result<Vec<Concern>> {
    let suppressed = Suppressions(outbox.suppressions().await?);
    let undelivered = outbox.undelivered(now).await?;
    let desk = ConcernFinder { policy, suppressed: &suppressed, undelivered: &undelivered, now, horizon };
    let mut found = Vec::new();
    let mut starts: HashMap<(String, SessionId), DateTime<Utc>> = HashMap::new();
    let mut legible: HashSet<(String, SessionId)> = HashSet::new();
    for source in sources {
        let mut minded = Vec::new();
        for stored in outbox.sessions(source, None).await? {
            let Some(session) = stored::session(&stored) else { continue };
            starts.insert((source.clone(), session.id), session.start);
            if session.presence != Presence::Unreadable {
                legible.insert((source.clone(), session.id));
            }
            if desk.minds(&session) {
                minded.push(session);
            }
        }
        for batch in minded.chunks(BATCH) {
            let ids: Vec<SessionId> = batch.iter().map(|session| session.id).collect();
            let mut known = by_session(outbox.known(source, &ids).await?);
            found.extend(batch.iter().flat_map(|session| desk.of_session(session, known.remove(&session.id).unwrap_or_default())));
        }
    }
    let start = |source: &str, id: Option<SessionId>| id.and_then(|id| starts.get(&(source.to_owned(), id)).copied());
    for guard in outbox.guards().await? {
        found.push(Concern { start: start(&guard.source, Some(guard.session_id)), ..staff::of_guard(&guard) });
    }
    for said in outbox.unread(REPLIES_MAX).await? {
        let of = staff::of_reply(&said).into_iter();
        found.extend(of.map(|(source, concern)| Concern { start: source.and_then(|source| start(source, concern.session)), ..concern }));
    }
    // The faults of a session that can be read are its people's.
    let whole = |source: &String, id: Option<SessionId>| id.is_none_or(|id| !legible.contains(&(source.clone(), id)));
    let faults = outbox.faults().await?;
    let unread = faults.iter().filter(|(source, f)| whole(source, f.session));
    found.extend(unread.map(|(source, f)| Concern { start: start(source, f.session), ..staff::of_fault(source, f) }));
    Ok(found)
}

/// How a sending ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// A server has it.
    pub accepted: usize,
    /// Not sent, or nobody can know.
    pub failed: usize,
}

/// Writes and sends the letter.
pub struct Digest {
    pub settings: Settings,
    /// Where notices live, and what was sent.
    pub outbox: Arc<dyn Outbox>,
    /// The names of the sources.
    pub sources: Vec<String>,
    /// Is asked who will be reached.
    pub policy: Arc<Policy>,
    pub renderer: Arc<Renderer>,
    pub lane: Arc<Lane>,
    pub clock: Arc<dyn Clock>,
    /// Random for each start of a process.
    pub owner: String,
    /// The scheduled time that nothing is left to do for.
    pub done: Mutex<Option<DateTime<Utc>>>,
}

impl Digest {
    /// Sends what is due. Asked every minute; costs nothing when nothing is.
    pub async fn tick(&self) -> outbox::Result<()> {
        let now = self.clock.now();
        let times = self.settings.lately(now);
        let Some(last) = times.first().map(|scheduled| scheduled.at) else { return Ok(()) };
        let is_done = *self.done.lock().unwrap_or_else(PoisonError::into_inner) == Some(last);
        if is_done {
            return Ok(());
        }
        let is_over = self.lapse(&times, now).await?
            && match self.settings.due(now) {
                Some(scheduled_at) => self.send_and_look(scheduled_at).await?,
                None => true,
            };
        if is_over {
            *self.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
        Ok(())
    }

    /// Ends the letters of earlier times that never went: nobody reads yesterday's. Whether none waits any more.
    async fn lapse(&self, times: &[Scheduled], now: DateTime<Utc>) -> outbox::Result<bool> {
        let mut is_over = true;
        for scheduled in times.iter().filter(|scheduled| scheduled.useful_until <= now) {
            let open = self.outbox.staff_letters(scheduled.at).await?.into_iter().filter(|letter| letter.state == State::Waiting);
            for letter in open {
                let Some(lease) = dispatch::claim(&*self.outbox, &self.owner, (Outgoing::Letter, letter.key), now).await? else {
                    is_over = false;
                    continue;
                };
                tracing::warn!(scheduled = %scheduled.at, "the letter to the practice was not sent in time, and goes no more");
                let lapsed = Settlement::Ended { state: State::Lapsed, reason: Reason::Lapsed };
                self.outbox.settle(now, vec![(lease, lapsed)]).await?;
            }
        }
        Ok(is_over)
    }

    /// Sends what is due of that time. Whether nothing is left to do for it.
    async fn send_and_look(&self, scheduled_at: DateTime<Utc>) -> outbox::Result<bool> {
        let (_, waits) = self.send_due(scheduled_at).await?;
        // What waits for it would take each turn as it comes, as long as there is a backlog.
        self.lane.keep_turn(waits);
        let letters = self.outbox.staff_letters(scheduled_at).await?;
        let is_open = |state| matches!(state, State::Waiting | State::Claimed | State::Sending);
        let open = |to| letters.iter().find(|l| l.recipient == recipient(to)).is_none_or(|l| is_open(l.state));
        Ok(!self.settings.to.iter().any(open))
    }

    /// Sends the letter of that time to those for whom it is not over, and whose next attempt is due.
    pub async fn send(&self, scheduled_at: DateTime<Utc>) -> outbox::Result<Sent> {
        self.send_due(scheduled_at).await.map(|(sent, _)| sent)
    }

    /// Likewise; and whether one waits for a turn of its relay.
    async fn send_due(&self, scheduled_at: DateTime<Utc>) -> outbox::Result<(Sent, bool)> {
        let (mut sent, mut waits) = (Sent::default(), false);
        let due = self.due(scheduled_at).await?;
        if due.is_empty() {
            return Ok((sent, waits));
        }
        let concerns = self.concerns().await?;
        let is_empty = concerns.is_empty() && !self.settings.always;
        for (to, letter) in due {
            if !is_empty && self.lane.next_turn(self.clock.now()).is_some() {
                waits = true;
                continue;
            }
            let which = (Outgoing::Letter, letter.key);
            let Some(lease) = dispatch::claim(&*self.outbox, &self.owner, which, self.clock.now()).await? else { continue };
            if is_empty {
                let nothing_to_tell = Settlement::Ended { state: State::Cancelled, reason: Reason::Outdated };
                self.outbox.settle(self.clock.now(), vec![(lease, nothing_to_tell)]).await?;
                continue;
            }
            let accepted = self.hand_over(to, (&letter, lease), &concerns).await?;
            *if accepted { &mut sent.accepted } else { &mut sent.failed } += 1;
        }
        Ok((sent, waits))
    }

    /// To whom it goes now. Those of that time are in the store from then on.
    async fn due(&self, scheduled_at: DateTime<Utc>) -> outbox::Result<Vec<(&EmailAddress, DigestDelivery)>> {
        let mut letters = self.outbox.staff_letters(scheduled_at).await?;
        let new: Vec<String> = self.settings.to.iter().map(recipient).filter(|to| !letters.iter().any(|l| l.recipient == *to)).collect();
        if !new.is_empty() {
            self.outbox.add_staff_letters(scheduled_at, scheduled_at + MADE_UP_WITHIN, new).await?;
            letters = self.outbox.staff_letters(scheduled_at).await?;
        }
        let now = self.clock.now();
        let mut due = Vec::new();
        for to in &self.settings.to {
            let Some(letter) = letters.iter().find(|l| l.recipient == recipient(to)) else { continue };
            if letter.state == State::Unknown {
                tracing::warn!(scheduled = %scheduled_at, "the letter to the practice may or may not have arrived; it is not sent again");
            }
            let is_open = matches!(letter.state, State::Waiting | State::Claimed);
            if is_open && letter.next_attempt_at.is_some_and(|at| at <= now) {
                due.push((to, letter.clone()));
            }
        }
        Ok(due)
    }

    /// What the letter tells. People who wait for a decision are told of by the decision.
    pub async fn concerns(&self) -> outbox::Result<Vec<Concern>> {
        let horizon = Some(self.settings.horizon);
        let mut found = gather(&*self.outbox, &self.sources, &self.policy, horizon, self.clock.now()).await?;
        found.retain(|c| c.kind != ConcernKind::Person || c.why != Why::Omitted(Reason::Guard));
        Ok(found)
    }

    /// The letter as it would go to the first recipient now.
    pub fn preview(&self, concerns: &[Concern]) -> Result<Rendered, String> {
        let now = self.clock.now();
        let to = self.settings.to.first().ok_or("[digest] to: nobody is named")?;
        self.render(now, to, concerns).map_err(|e| e.to_string())
    }

    fn render(&self, scheduled_at: DateTime<Utc>, to: &EmailAddress, concerns: &[Concern]) -> Result<Rendered, crate::render::RenderError> {
        let now = self.clock.now();
        let key = digest_key(scheduled_at, &recipient(to));
        let letter = DigestMail { key, to, concerns, zone: &self.settings.zone, until: now + self.settings.horizon };
        self.renderer.staff_letter(&letter, now)
    }

    /// Whether a server has it now.
    async fn hand_over(&self, to: &EmailAddress, (letter, lease): (&DigestDelivery, Lease), concerns: &[Concern]) -> outbox::Result<bool> {
        let scheduled = letter.scheduled_at;
        let message = match self.render(scheduled, to, concerns) {
            Ok(rendered) => rendered.message,
            Err(why) => {
                tracing::error!(%scheduled, %why, "no letter to the practice could be made");
                let end = Settlement::Rejected { reply: why.to_string(), remember: None };
                self.outbox.settle(self.clock.now(), vec![(lease, end)]).await?;
                return Ok(false);
            }
        };
        let context = AttemptContext::alone(&self.outbox, &self.clock, &self.lane);
        let alone = AloneRecord { lease, attempts: letter.attempts };
        let end = |outcome: &Outcome, _| self.end(letter, outcome, concerns.len());
        let outcome = dispatch::hand_over(context, (&message, scheduled), alone, end).await?;
        Ok(matches!(outcome, Outcome::Accepted { .. }))
    }

    /// What becomes of a letter, which is told.
    fn end(&self, letter: &DigestDelivery, outcome: &Outcome, concerns: usize) -> Settlement {
        let (scheduled, now) = (letter.scheduled_at, self.clock.now());
        match outcome {
            Outcome::Accepted { reply, reference } => {
                tracing::info!(%scheduled, concerns, %reply, "the letter to the practice is accepted");
                Settlement::Accepted { reply: reply.clone(), reference: reference.clone() }
            }
            Outcome::Rejected { reply, .. } => {
                tracing::error!(%scheduled, %reply, "the letter to the practice is refused");
                Settlement::Rejected { reply: reply.clone(), remember: None }
            }
            Outcome::Retry { why, .. } | Outcome::ChannelFault { why, .. } => {
                let attempts = letter.attempts + 1;
                tracing::error!(%scheduled, %why, attempts, "the letter to the practice is not sent yet; it is tried again");
                Settlement::Retry { why: why.clone(), next_attempt_at: now + retry::pause(attempts, letter.key) }
            }
            Outcome::Unknown { why } => {
                tracing::error!(%scheduled, %why, "the letter to the practice may or may not have arrived; it is not sent again");
                Settlement::Unknown { why: why.clone(), resend_at: None }
            }
            Outcome::Fenced => {
                tracing::warn!(%scheduled, "the letter to the practice was sent by somebody else");
                Settlement::Return { outcome: Returned::Fenced, why: None, next_attempt_at: now }
            }
        }
    }
}

/// How the store names a recipient.
fn recipient(to: &EmailAddress) -> String {
    suppression_key(&Address::Email(to.clone()))
}
