//! Replies: what somebody's text changes, and our answer to it.
//!
//! In: a text, and what the store holds of its number. Out: an opt-out, an RSVP, or nothing; and an answer, durable with it, which [`Answers`] sends
//! once at most: what became durable as leaving is never tried again, whatever ends. What is not understood, or says more than a word, is kept for
//! staff to read, and nothing pretends that it was understood: it is not answered. Nothing of a text is logged.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, Notify};

use crate::clock::Clock;
use crate::contact::{Address, ConnectCode, PhoneNumber};
use crate::dispatch::{self, AloneRecord, AttemptContext, Lane};
use crate::entry::State;
use crate::feedback::answer::Answer;
use crate::feedback::reply::{AcceptedReply, Changes, ForStaff, OpenSession, PendingAnswer, reply_key};
use crate::feedback::word::{Understood, Word, understand};
use crate::feedback::{Reply, said};
use crate::known::RsvpOverride;
use crate::message::{Content, Message};
use crate::notice::Reason;
use crate::outbox::{Outbox, Outgoing, Result, Returned, Settlement, StoreError};
use crate::outcome::Outcome;
use crate::plan::{self, Policy, Suppressions};
use crate::render::{self, Renderer};
use crate::session::{Participant, ParticipantRef, Presence, Rsvp, Session};
use crate::source::stored;
use crate::suppression::{Suppression, suppression_key};

/// An answer that no gateway took is tried again after this, while it is of use.
const AGAIN: Duration = Duration::from_secs(30);
/// And no sooner than this, if it waits for a turn.
const SOON: Duration = Duration::from_millis(50);
/// So long behind its beginning a turn is left to the reminders.
const BEHIND: Duration = Duration::from_millis(250);

/// What came of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyOutcome {
    /// What it was taken for; `None`: it was taken before, or not at all.
    pub new: Option<Word>,
    /// Sessions are planned again: a participant answered, or wants texts again.
    pub replans: bool,
}

/// Takes a reply: durable when it returns. `locale`: of an answer to a word that tells of no language (BCP 47). A number that is none is told in the log, and changes nothing.
pub async fn take(outbox: &dyn Outbox, reply: &Reply, policy: &Policy, locale: &str, now: DateTime<Utc>) -> Result<ReplyOutcome> {
    let Understood { mut word, language: of_word, more } = understand(&reply.text);
    let Some((from, other)) = whose(outbox, readings(&reply.from, &policy.region), now).await? else {
        if word == Word::Stop {
            tracing::error!(
                gateway = reply.gateway,
                "a STOP from a number that cannot be read: nothing is suppressed; look at the provider's list"
            );
        } else {
            tracing::warn!(gateway = reply.gateway, "a text from no number that could be answered");
        }
        return Ok(ReplyOutcome { new: None, replans: false });
    };
    // To a provider that keeps opt-outs itself, YES is START.
    if word == Word::Yes && reply.answered && opted_out(outbox, &from).await? {
        word = Word::Start;
    }
    let (change, answer) = match word {
        Word::Stop => (Changes::OptOut, Some(Answer::Stopped)),
        Word::Start => (Changes::OptIn, Some(Answer::Started)),
        Word::Help => (Changes::Nothing, Some(Answer::Help)),
        Word::Other => (Changes::Nothing, None),
        Word::Yes | Word::No => rsvp(outbox, &from, word, policy, now).await?,
    };
    let for_staff = if more || answer.is_none() { Some(for_staff(outbox, &from, &reply.text, now).await?) } else { None };
    let theirs = matches!(answer, Some(Answer::Stopped | Answer::Started | Answer::Help));
    let answer = answer.filter(|_| !(reply.answered && theirs) && other.is_none());
    let answer = answer.map(|answer| (answer, of_word.map_or(locale.to_owned(), |word| word.as_str().to_owned())));
    let replans = matches!(change, Changes::Rsvp(..) | Changes::OptIn);
    if let (Word::Stop, Some(from)) = (word, other) {
        let key = reply_key(reply.gateway, &reply.origin, &format!("{} of another number", reply.id));
        outbox.reply(now, AcceptedReply { key, from, word, change: Changes::OptOut, answer: None, for_staff: None }).await?;
    }
    let taken = AcceptedReply { key: reply_key(reply.gateway, &reply.origin, &reply.id), from, word, change, answer, for_staff };
    let new = outbox.reply(now, taken).await?;
    tracing::info!(gateway = reply.gateway, word = word.as_str(), new, "a reply");
    Ok(ReplyOutcome { new: new.then_some(word), replans: new && replans })
}

/// Whose number that may be: many providers give the country's code without a plus, and some a national number. The likelier one is the first.
fn readings(from: &str, region: &str) -> Vec<PhoneNumber> {
    let from = from.trim();
    let mut found: Vec<PhoneNumber> = PhoneNumber::possible(from, region).into_iter().collect();
    let digits = from.bytes().all(|b| b.is_ascii_digit());
    let with_code = digits.then(|| PhoneNumber::possible(&format!("+{from}"), region).ok()).flatten();
    found.extend(with_code.filter(|number| !found.contains(number)));
    found
}

/// The one of two readings that was told something. Where that does not tell, also the other: a STOP counts for both, and nobody is answered who
/// may have asked nothing. `None`: it is no number.
async fn whose(outbox: &dyn Outbox, readings: Vec<PhoneNumber>, now: DateTime<Utc>) -> Result<Option<(PhoneNumber, Option<PhoneNumber>)>> {
    let mut told = Vec::new();
    if readings.len() > 1 {
        for number in &readings {
            let is_told = !outbox.open_sessions(number, now).await?.is_empty() || opted_out(outbox, number).await?;
            told.extend(is_told.then(|| number.clone()));
        }
    }
    let mut those = if told.len() == 1 { told } else { readings }.into_iter();
    Ok(those.next().map(|first| (first, those.next())))
}

async fn opted_out(outbox: &dyn Outbox, number: &PhoneNumber) -> Result<bool> {
    let kind = outbox.suppressions().await?.remove(&suppression_key(&Address::Sms(number.clone())));
    Ok(kind == Some(Suppression::OptedOut))
}

/// Sessions of one number that staff are told of, of a text that it sent.
const ABOUT_MAX: usize = 10;

/// What staff read of a text: whose it may be, and what it says, without the codes of their sessions.
async fn for_staff(outbox: &dyn Outbox, from: &PhoneNumber, text: &str, now: DateTime<Utc>) -> Result<ForStaff> {
    let told = outbox.open_sessions(from, now).await?;
    let (mut about, mut secrets) = (Vec::new(), Vec::new());
    for OpenSession { place, .. } in told {
        if let Some((_, person)) = participant(outbox, &place).await? {
            secrets.extend(person.code.map(ConnectCode::expose));
            secrets.extend(person.passkey.as_ref().map(|passkey| passkey.expose().to_owned()));
        }
        about.push(place);
    }
    about.truncate(ABOUT_MAX);
    Ok(ForStaff { text: said::kept(text, &secrets), about })
}

/// Yes and No are an RSVP where they can mean one session only. `None`: nobody but a person can say which.
async fn rsvp(
    outbox: &dyn Outbox,
    from: &PhoneNumber,
    word: Word,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<(Changes, Option<Answer>)> {
    let mut told = Vec::new();
    for one in outbox.open_sessions(from, now).await? {
        let over = over(outbox, &one.place, from, policy, now).await?;
        told.push((one, over));
    }
    let (says, answer) = if word == Word::Yes { (Rsvp::Confirmed, Answer::Confirmed) } else { (Rsvp::Declined, Answer::Declined) };
    Ok(match meant(told) {
        Some((place, over)) => (Changes::Rsvp(place, RsvpOverride { says, over }), Some(answer)),
        None => (Changes::Nothing, None),
    })
}

/// Which of the sessions that a number was told of its answer is about, with what the source says there (`None`: it is not open any more). People answer
/// what they were told in the last day, whatever became of it since; if that is nothing, the one that is to come.
fn meant(mut told: Vec<(OpenSession, Option<Rsvp>)>) -> Option<(ParticipantRef, Rsvp)> {
    if told.iter().any(|(one, _)| one.lately) {
        told.retain(|(one, _)| one.lately);
    } else {
        told.retain(|(_, over)| over.is_some());
    }
    let [(one, over)] = <[_; 1]>::try_from(told).ok()?;
    over.map(|over| (one.place, over))
}

/// What the source says of this participant's RSVP; `None`: the session is not open any more, or the number is another's by now.
async fn over(
    outbox: &dyn Outbox,
    place: &ParticipantRef,
    from: &PhoneNumber,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Option<Rsvp>> {
    let Some((session, person)) = participant(outbox, place).await? else { return Ok(None) };
    let gone = session.cancelled || session.presence == Presence::Gone || person.presence == Presence::Gone || session.start <= now;
    let to = plan::recipient(&person, policy, &Suppressions::default(), false);
    let theirs = to.is_ok_and(|to| to.address == Address::Sms(from.clone()));
    Ok((theirs && !gone).then_some(person.rsvp))
}

/// Who that is, in which session, as the source said it last; `None`: it is not kept any more.
async fn participant(outbox: &dyn Outbox, place: &ParticipantRef) -> Result<Option<(Session, Participant)>> {
    let stored = outbox.sessions(&place.source, Some(&[place.session])).await?.pop();
    let session = stored.as_ref().and_then(stored::session);
    Ok(session.and_then(|session| session.participant(place.participation).cloned().map(|person| (session, person))))
}

pub(super) struct Answers {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) renderer: Arc<Renderer>,
    /// The lane of texts.
    pub(super) lane: Arc<Lane>,
    pub(super) reference_key: [u8; 32],
    /// Random for each start of a process.
    pub(super) owner: String,
    /// Told when an answer waits.
    pub(super) wake: Notify,
    /// Held while one is under way; and by an end, so that no other one begins.
    pub(super) turn: Mutex<()>,
}

/// What one look at what waits came to.
#[derive(Default)]
pub(super) struct Round {
    /// An answer was handed over.
    sent: bool,
    /// One waits for a turn.
    waits: bool,
}

impl Answers {
    /// Sends what waits, and what comes. Ends only when the store fails. `works`: this node does not stand idle; while it does, the others send.
    pub(super) async fn run(&self, works: impl Fn() -> bool) -> StoreError {
        loop {
            let round = if works() { self.send_all().await } else { Ok(Round::default()) };
            let Round { sent, waits } = match round {
                Ok(round) => round,
                Err(error) => return error,
            };
            self.lane.keep_turn(waits && !sent);
            let now = self.clock.now();
            match self.lane.next_turn(now).map(|at| (at - now).to_std().unwrap_or_default().clamp(SOON, AGAIN)) {
                // Anybody can ask for an answer: behind one, the next turn is the reminders', if some wait.
                Some(turn) if sent => tokio::time::sleep(turn + BEHIND).await,
                turn => drop(tokio::time::timeout(turn.filter(|_| waits).unwrap_or(AGAIN), self.wake.notified()).await),
            }
        }
    }

    /// One attempt for each answer that waits, and for which there is a turn. A clock that cannot be right sends nothing.
    pub(super) async fn send_all(&self) -> Result<Round> {
        let mut round = Round::default();
        if !self.clock.is_plausible() {
            return Ok(round);
        }
        for answer in self.outbox.waiting_answers().await? {
            let Ok(_turn) = self.turn.try_lock() else { break };
            self.send(&answer, &mut round).await?;
        }
        Ok(round)
    }

    async fn send(&self, answer: &PendingAnswer, round: &mut Round) -> Result<()> {
        let now = self.clock.now();
        let suppressed = plan::silenced(&Suppressions(self.outbox.suppressions().await?), &Address::Sms(answer.to.clone()));
        let refusal = match answer.answer {
            _ if now >= answer.useful_until => Some((State::Lapsed, Reason::Lapsed)),
            Answer::Stopped => None,
            _ => suppressed.map(|reason| (State::Suppressed, reason)),
        };
        let claimed = async || dispatch::claim(&*self.outbox, &self.owner, (Outgoing::Answer, answer.key), now).await;
        if let Some((state, reason)) = refusal {
            tracing::warn!(answer = answer.answer.as_str(), refusal = state.as_str(), "an answer to a text is not sent");
            let Some(lease) = claimed().await? else { return Ok(()) };
            return self.outbox.settle(now, vec![(lease, Settlement::Ended { state, reason })]).await.map(drop);
        }
        if self.lane.is_closed(now) {
            return Ok(());
        }
        if self.lane.next_turn(now).is_some() {
            round.waits = true;
            return Ok(());
        }
        let Some(lease) = claimed().await? else { return Ok(()) };
        let context = AttemptContext::alone(&self.outbox, &self.clock, &self.lane);
        let written_at = answer.useful_until - answer.answer.useful();
        let end = |outcome: &Outcome, left| ended(outcome, left, self.clock.now());
        let outcome = dispatch::hand_over(context, (&self.message(answer), written_at), AloneRecord { lease, attempts: 0 }, end).await?;
        // The store may have no turn for it yet, by its own clock: then the next one is still its own.
        let is_back = matches!(outcome, Outcome::ChannelFault { .. });
        round.sent |= !is_back;
        round.waits |= is_back;
        Ok(())
    }

    fn message(&self, answer: &PendingAnswer) -> Message {
        let text = self.renderer.answer(answer.answer, &answer.locale);
        let (encoding, segments) = render::sms_size(&text);
        Message {
            key: answer.key,
            reference: render::reference(&self.reference_key, answer.key),
            content: Content::Sms { to: answer.to.clone(), text: text.into(), encoding, segments },
        }
    }
}

/// What becomes of an answer. One that is tried again, and left, is not: the store knows that it did.
fn ended(outcome: &Outcome, left: bool, now: DateTime<Utc>) -> Settlement {
    let again = |why: &str| Settlement::Retry { why: why.to_owned(), next_attempt_at: now };
    match outcome {
        Outcome::Accepted { reply, reference } => Settlement::Accepted { reply: reply.clone(), reference: reference.clone() },
        Outcome::Rejected { reply, .. } => Settlement::Rejected { reply: reply.clone(), remember: None },
        Outcome::Unknown { why } => Settlement::Unknown { why: why.clone(), resend_at: None },
        Outcome::Retry { why, .. } | Outcome::ChannelFault { why, .. } => again(why),
        Outcome::Fenced if left => again("fenced"),
        Outcome::Fenced => Settlement::Return { outcome: Returned::Fenced, why: None, next_attempt_at: now },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{ParticipationId, SessionId};

    /// Lately told and open, told before, told lately and not open any more.
    #[test]
    fn an_answer_is_to_what_was_told_lately() {
        let told = |id: i64, lately, open: bool| {
            let place = ParticipantRef { source: "clinic".to_owned(), session: SessionId(id), participation: ParticipationId(id) };
            (OpenSession { place, lately }, open.then_some(Rsvp::Unknown))
        };
        for (all, session) in [
            (vec![told(1, true, true)], Some(1)),
            (vec![told(1, false, true)], Some(1)),
            (vec![told(1, false, true), told(2, true, true)], Some(2)),
            (vec![told(1, false, true), told(2, false, false)], Some(1)),
            (vec![told(1, true, true), told(2, true, true)], None),
            (vec![told(1, false, true), told(2, false, true)], None),
            (vec![told(1, false, true), told(2, true, false)], None),
            (vec![told(1, true, true), told(2, true, false)], None),
            (vec![told(1, true, false)], None),
            (vec![], None),
        ] {
            assert_eq!(meant(all.clone()).map(|(place, _)| place.session.0), session, "{all:?}");
        }
    }

    #[test]
    fn a_number_may_be_read_in_two_ways() {
        for (from, region, read) in [
            ("+14045550123", "US", &["+14045550123"][..]),
            ("(404) 555-0123", "US", &["+14045550123"]),
            ("14045550123", "US", &["+14045550123"]),
            ("525512345678", "US", &["+525512345678"]),
            ("447700900001", "US", &["+447700900001"]),
            ("6581234567", "US", &["+16581234567", "+6581234567"]),
            ("07700900001", "GB", &["+447700900001"]),
            ("447700900001", "GB", &["+447700900001"]),
            ("12345", "US", &[]),
            ("Lakeside", "US", &[]),
        ] {
            let found: Vec<String> = readings(from, region).iter().map(|n| n.expose().to_owned()).collect();
            assert_eq!(found, read, "{from} {region}");
        }
    }
}
