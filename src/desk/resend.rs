//! What staff hand over again: what was accepted or rejected, as a new notice, guarded as every other one.

use chrono::{DateTime, Utc};

use super::{Desk, people, words};
use crate::contact::{Address, EmailAddress, PhoneNumber};
use crate::entry::{Entry, State};
use crate::known::resend::{Resent, original, reminds_later};
use crate::notice::{NoticeKey, Reason};
use crate::outbox::{Filter, StoreError};
use crate::plan::diff::{SendDecision, revalidate, state_after};
use crate::plan::{self, Suppressions};
use crate::session::Participant;
use crate::source::stored;
use crate::suppression::{Suppression, suppression_key};

/// People of whom an address is looked for.
const FOUND_MAX: usize = 1000;

/// What is handed over again.
#[derive(Debug, Clone, Default)]
pub struct ResendRequest {
    pub keys: Vec<NoticeKey>,
    /// To this address instead of their own.
    pub to: Option<Address>,
    /// Who wishes it, for the ledger.
    pub who: Option<String>,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResendResult {
    /// As the store says.
    Store(Resent),
    /// Its address gets no messages.
    Suppressed(Suppression),
    /// The address is another participant's, of that session or another one: one person's code in another one's mailbox.
    Anothers,
    /// It holds no more, or may not go: the planner's reason.
    Against(Reason),
}

impl ResendResult {
    /// The same for a front desk, without a period.
    pub fn in_words(self) -> Option<&'static str> {
        Some(match self {
            Self::Store(Resent::As(_)) => return None,
            Self::Store(Resent::Missing) => "There is no such message",
            Self::Store(Resent::NotOver(_)) => "It is in another state by now",
            Self::Store(Resent::Late) => "It is of no more use: its time is over",
            Self::Store(Resent::UnderWay) => "It is being sent again already",
            Self::Store(Resent::TooOften) => "It was sent again too often",
            Self::Store(Resent::OtherChannel) => "A text goes to a telephone number, and an e-mail to an e-mail address",
            Self::Anothers => "This is the address of another participant",
            Self::Against(Reason::Outdated) => "It says what holds no more: use Remind now, which says what holds",
            Self::Against(reason) => words::reason(reason),
            Self::Suppressed(Suppression::OptedOut) => "They asked for no more messages there",
            Self::Suppressed(Suppression::Bounced) => "Messages to this address come back",
        })
    }

    /// Why it is not handed over again; `None`: it is.
    pub fn refusal(self) -> Option<String> {
        Some(match self {
            Self::Store(Resent::As(_)) => return None,
            Self::Store(Resent::Missing) => "there is no such notice".to_owned(),
            Self::Store(Resent::NotOver(state)) => {
                format!("it is {state}: only what was accepted or rejected is handed over again (see retry and release)")
            }
            Self::Store(Resent::Late) => "it is of no more use: its time is over".to_owned(),
            Self::Store(Resent::UnderWay) => "it is being handed over again already".to_owned(),
            Self::Store(Resent::TooOften) => "it was handed over again too often".to_owned(),
            Self::Store(Resent::OtherChannel) => "the address is of another channel than the notice".to_owned(),
            Self::Anothers => "this is the address of another participant: their code is not this one's".to_owned(),
            Self::Against(Reason::Outdated) => "it says what holds no more (outdated): `punctual remind` says what holds".to_owned(),
            Self::Against(reason) => format!("it would not go ({reason})"),
            Self::Suppressed(kind) => {
                format!(
                    "its address is on the suppression list ({}): suppress remove it first, or give another one with --to",
                    kind.as_str()
                )
            }
        })
    }
}

/// Whether its own address gets messages; `None`: it does.
pub async fn silenced(desk: &Desk, address: &Address) -> Result<Option<Suppression>, StoreError> {
    Ok(desk.suppressions().await?.of(address))
}

/// Hands them over again; one answer for each, in their order.
pub async fn resend(desk: &Desk, wish: &ResendRequest, now: DateTime<Utc>) -> Result<Vec<(NoticeKey, ResendResult)>, StoreError> {
    let suppressed = desk.suppressions().await?;
    let entries = desk.outbox.list(&Filter { keys: wish.keys.clone(), ..Filter::default() }).await?;
    let mut answers = Vec::new();
    for key in &wish.keys {
        let entry = entries.iter().find(|entry| entry.notice.key == *key);
        let own = entry.map(|entry| &entry.notice.address);
        let kind = wish.to.as_ref().or(own).and_then(|address| suppressed.of(address));
        let answer = if let Some(kind) = kind {
            ResendResult::Suppressed(kind)
        } else if let (Some(entry), Some(to)) = (entry, &wish.to)
            && is_anothers(desk, entry, to, now).await?
        {
            ResendResult::Anothers
        } else if let Some(entry) = entry
            && let Some(reason) = against(desk, entry, wish.to.as_ref(), &suppressed, now).await?
        {
            ResendResult::Against(reason)
        } else {
            let resent = desk.outbox.resend(wish.who.as_deref(), &[*key], wish.to.as_ref(), now).await?;
            ResendResult::Store(resent.first().copied().unwrap_or(Resent::Missing))
        };
        answers.push((*key, answer));
    }
    Ok(answers)
}

/// Why it would not go, by what its source says now, as the last look will find. What is held for now is held as every other one, and shows.
async fn against(
    desk: &Desk,
    entry: &Entry,
    to: Option<&Address>,
    suppressed: &Suppressions,
    now: DateTime<Utc>,
) -> Result<Option<Reason>, StoreError> {
    let notice = &entry.notice;
    let over = matches!(entry.state, State::Accepted | State::Rejected) && notice.useful_until > now;
    let stored = desk.outbox.sessions(&entry.source, Some(&[notice.session])).await?.pop();
    let Some(session) = stored.as_ref().and_then(stored::session).filter(|_| over) else { return Ok(None) };
    let known = desk.outbox.known(&entry.source, &[notice.session]).await?;
    let mut known = plan::observe(&session, known, &desk.policy, false, now);
    let Some(one) = known.get_mut(&(session.id, notice.participation)) else { return Ok(None) };
    let first = original(notice, &one.notices).map_or(notice.key, |first| first.notice.key);
    let of_it: Vec<NoticeKey> = one
        .notices
        .iter()
        .filter(|n| original(&n.notice, &one.notices).is_some_and(|root| root.notice.key == first))
        .map(|n| n.notice.key)
        .collect();
    let Some(first_due) = one.notices.iter().find(|n| n.notice.key == first).map(|n| n.notice.due_at) else { return Ok(None) };
    one.notices.retain(|n| n.notice.key == first || (!of_it.contains(&n.notice.key) && !reminds_later(&n.notice, first_due)));
    let Some(row) = one.notices.iter_mut().find(|n| n.notice.key == first) else { return Ok(None) };
    let first = row.clone();
    // As if it had not been told.
    (row.state, row.reason, row.doubted, row.undelivered) = (State::Waiting, None, false, false);
    let row = row.clone();
    let (nobody, other) = (Suppressions::default(), to.is_some_and(|to| *to != row.notice.address));
    let plan = plan::plan_session(&session, &known, &desk.policy, if other { &nobody } else { suppressed }, now);
    Ok(match revalidate(&row, &plan.of(notice.participation), now) {
        SendDecision::No(reason) if state_after(reason) != State::Held => Some(reason),
        SendDecision::Go(decided) => {
            let zone =
                session.participant(notice.participation).and_then(|p| plan::reader(&session, p, &notice.address, &desk.policy).ok());
            let at = zone.map(|to| plan::asked::handed_again_at((&decided, Some(&first)), &desk.policy, &to.zone.zone, now));
            at.filter(|at| *at > now && *at >= decided.useful_until).map(|_| Reason::QuietHours)
        }
        _ => None,
    })
}

/// Somebody else in that session, or of another name in any session that the store knows, is told there, and this participant is not.
async fn is_anothers(desk: &Desk, entry: &Entry, to: &Address, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let stored = desk.outbox.sessions(&entry.source, Some(&[entry.notice.session])).await?.pop();
    let Some(session) = stored.as_ref().and_then(stored::session) else { return Ok(false) };
    let key = suppression_key(to);
    let is_theirs = |email: &str, number: &str| {
        let email = EmailAddress::parse(email).ok().map(Address::Email);
        let number = PhoneNumber::possible(number, &desk.policy.region).ok().map(Address::Sms);
        email.into_iter().chain(number).any(|address| suppression_key(&address) == key)
    };
    let told_there = |person: &Participant| is_theirs(&person.email.0, &person.sms_number.0);
    let (own, others): (Vec<&Participant>, Vec<&Participant>) =
        session.participants.iter().partition(|person| person.id == entry.notice.participation);
    if own.iter().any(|person| told_there(person)) {
        return Ok(false);
    }
    if others.into_iter().any(told_there) {
        return Ok(true);
    }
    let name = own.first().map(|person| person.name.expose().to_lowercase()).unwrap_or_default();
    // However a record writes the number, these of its digits stand in it.
    let asked = match to {
        Address::Email(email) => email.expose().to_owned(),
        Address::Sms(number) => number.national(),
    };
    let found = people::find(desk, &asked, true, (now, FOUND_MAX)).await?;
    let elsewhere =
        |who: &people::Who| who.name.expose().to_lowercase() != name && is_theirs(&who.contacts.email.0, &who.contacts.number.0);
    Ok(found.iter().any(elsewhere))
}

/// What was refused since then, and is still of use.
pub async fn refused_since(desk: &Desk, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<NoticeKey>, StoreError> {
    let rejected = desk.outbox.list(&Filter { states: vec![State::Rejected], ..Filter::default() }).await?;
    let still = rejected.iter().filter(|entry| entry.changed_at >= since && entry.notice.useful_until > now);
    Ok(still.map(|entry| entry.notice.key).collect())
}
