//! Receipts: what a provider, or a mail server, says later of a message that was handed over.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::contact::Address;
use crate::notice::{NoticeKey, Occasion};
use crate::outcome::without_recipient;
use crate::session::{ParticipationId, RawContact, SessionId};
use crate::suppression::Suppression;

/// What became of a message. In the order in which a later word replaces an earlier one: none goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// It is under way: with the network, or delayed.
    Sent,
    /// It did not reach the device.
    Undelivered,
    /// It never left the provider.
    Failed,
    /// It reached the device, or the mailbox.
    Delivered,
}

impl DeliveryStatus {
    pub const ALL: [Self; 4] = [Self::Sent, Self::Undelivered, Self::Failed, Self::Delivered];

    /// The word used in the store, in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
        }
    }

    /// It did not arrive.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Undelivered | Self::Failed)
    }

    /// It arrived, and what was said before is that it did not: what that said of the address is wrong.
    pub(crate) fn refutes(self, before: Option<Self>) -> bool {
        self == Self::Delivered && before.is_some_and(Self::is_lost)
    }

    /// Whether it replaces what was said before. The same word again says nothing new, and a message that was delivered stays so.
    pub fn replaces(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| self > before && !(before == Self::Undelivered && self == Self::Failed))
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeliveryStatus {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.as_str() == s).ok_or_else(|| format!("{s:?} is no receipt"))
    }
}

/// Which message a receipt is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptTarget {
    /// By the notice that our own reference led to.
    Notice(NoticeKey),
    /// By the provider's id of a text that was due after this: providers use ids again.
    Reference(String, DateTime<Utc>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub about: ReceiptTarget,
    /// What became of it.
    pub status: DeliveryStatus,
    /// The provider's error, redacted.
    pub detail: Option<String>,
    /// What it says about the address, which is remembered in the same transaction.
    pub remember: Option<Suppression>,
    /// See `Report::recipient`: what it says of another mailbox is remembered of none.
    pub recipient: Option<RawContact>,
}

impl Receipt {
    /// As it is kept beside a message to this address: what is remembered of that one, and words without the recipient's name.
    pub(crate) fn about_address(&self, address: &Address) -> Self {
        let theirs = self.recipient.as_ref().is_none_or(|r| r.0.eq_ignore_ascii_case(address.expose()));
        let detail = match address {
            Address::Email(to) => self.detail.as_ref().map(|text| without_recipient(text, to)),
            Address::Sms(_) => self.detail.clone(),
        };
        Self { remember: self.remember.filter(|_| theirs), detail, ..self.clone() }
    }

    /// For the ledger: `undelivered: 30005`.
    pub(crate) fn in_words(&self) -> String {
        self.detail.as_ref().map_or_else(|| self.status.to_string(), |detail| format!("{}: {detail}", self.status))
    }
}

/// What a store made of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It says something new, and is written down.
    Noted(NoticeKey),
    /// It says nothing new: it came again, or came late.
    Known(NoticeKey),
    /// It is about no message that was ever handed over.
    Unmatched,
}

/// A message that did not arrive, of a session that is still to come: somebody may want to call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undelivered {
    #[serde(serialize_with = "as_text")]
    pub key: NoticeKey,
    pub session_id: SessionId,
    pub participation_id: ParticipationId,
    pub occasion: Occasion,
    /// The reminder rule's name.
    pub rule: Option<String>,
    /// When the session starts.
    pub start: DateTime<Utc>,
    /// `undelivered` or `failed`.
    #[serde(rename = "fate")]
    pub status: DeliveryStatus,
    /// The provider's error, redacted.
    pub detail: Option<String>,
    /// When that became known.
    pub at: DateTime<Utc>,
}

fn as_text<S: serde::Serializer>(key: &NoticeKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_word_replaces_an_earlier_one_and_none_goes_back() {
        use DeliveryStatus::{Delivered, Failed, Sent, Undelivered};
        for (before, status, replaces) in [
            (None, Sent, true),
            (None, Delivered, true),
            (Some(Sent), Sent, false),
            (Some(Sent), Undelivered, true),
            (Some(Sent), Failed, true),
            (Some(Undelivered), Failed, false),
            (Some(Undelivered), Sent, false),
            (Some(Failed), Undelivered, false),
            (Some(Undelivered), Delivered, true),
            (Some(Delivered), Undelivered, false),
            (Some(Delivered), Failed, false),
            (Some(Delivered), Delivered, false),
        ] {
            assert_eq!(status.replaces(before), replaces, "{before:?} {status:?}");
        }
        for status in DeliveryStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}
