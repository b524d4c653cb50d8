//! What staff hand over again: what was accepted or rejected, as a new notice, guarded as every other one.

use chrono::{DateTime, Utc};

use super::Desk;
use crate::contact::{Address, EmailAddress, PhoneNumber};
use crate::entry::{Entry, State};
use crate::known::resend::Resent;
use crate::notice::NoticeKey;
use crate::outbox::{Filter, StoreError};
use crate::session::Participant;
use crate::source::kept;
use crate::suppression::{Suppression, suppression_key};

/// What is handed over again.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// These.
    pub keys: Vec<NoticeKey>,
    /// To this address instead of their own.
    pub to: Option<Address>,
    /// Who wishes it, for the ledger.
    pub who: Option<String>,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As the store says.
    Store(Resent),
    /// Its address gets no messages.
    Suppressed(Suppression),
    /// The address is another participant's of that session: one person's code in another one's mailbox.
    Anothers,
}

impl Answer {
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
            Self::Anothers => "This is the address of another participant of that session",
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
            Self::Anothers => "this is the address of another participant of that session: their code is not this one's".to_owned(),
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
pub async fn resend(desk: &Desk, wish: &Wish, now: DateTime<Utc>) -> Result<Vec<(NoticeKey, Answer)>, StoreError> {
    let suppressed = desk.suppressions().await?;
    let entries = desk.outbox.list(&Filter { keys: wish.keys.clone(), ..Filter::default() }).await?;
    let mut answers = Vec::new();
    for key in &wish.keys {
        let entry = entries.iter().find(|entry| entry.notice.key == *key);
        let own = entry.map(|entry| &entry.notice.address);
        let kind = wish.to.as_ref().or(own).and_then(|address| suppressed.of(address));
        let answer = if let Some(kind) = kind {
            Answer::Suppressed(kind)
        } else if let (Some(entry), Some(to)) = (entry, &wish.to)
            && is_anothers(desk, entry, to).await?
        {
            Answer::Anothers
        } else {
            let resent = desk.outbox.resend(wish.who.as_deref(), &[*key], wish.to.as_ref(), now).await?;
            Answer::Store(resent.first().copied().unwrap_or(Resent::Missing))
        };
        answers.push((*key, answer));
    }
    Ok(answers)
}

/// Somebody else in that session is told there, and this participant is not.
async fn is_anothers(desk: &Desk, entry: &Entry, to: &Address) -> Result<bool, StoreError> {
    let stored = desk.outbox.sessions(&entry.source, Some(&[entry.notice.session])).await?.pop();
    let Some(session) = stored.as_ref().and_then(kept::session) else { return Ok(false) };
    let key = suppression_key(to);
    let is_theirs = |person: &Participant| {
        let email = EmailAddress::parse(&person.email.0).ok().map(Address::Email);
        let number = PhoneNumber::possible(&person.sms_number.0, &desk.policy.region).ok().map(Address::Sms);
        email.into_iter().chain(number).any(|address| suppression_key(&address) == key)
    };
    let (own, others): (Vec<&Participant>, Vec<&Participant>) =
        session.participants.iter().partition(|person| person.id == entry.notice.participation);
    Ok(others.into_iter().any(is_theirs) && !own.into_iter().any(is_theirs))
}

/// What was refused since then, and is still of use.
pub async fn refused_since(desk: &Desk, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<NoticeKey>, StoreError> {
    let rejected = desk.outbox.list(&Filter { states: vec![State::Rejected], ..Filter::default() }).await?;
    let still = rejected.iter().filter(|entry| entry.changed_at >= since && entry.notice.useful_until > now);
    Ok(still.map(|entry| entry.notice.key).collect())
}
