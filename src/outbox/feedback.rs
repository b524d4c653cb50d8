//! What comes back, and who gets no messages.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;
use crate::contact::{Address, PhoneNumber};
use crate::feedback::reply::{AcceptedReply, OpenSession, PendingAnswer, Written};
use crate::notice::{Notice, NoticeKey};
use crate::receipt::{Receipt, ReceiptTarget, Received, Undelivered};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, suppression_key};

/// An address for the suppression list.
pub(crate) struct NewSuppression<'a> {
    pub(crate) address: &'a Address,
    pub(crate) kind: Suppression,
    pub(crate) since: DateTime<Utc>,
    pub(crate) said_by: SaidBy,
    /// The notice whose rejection or receipt says so; `None`: a person does.
    pub(crate) notice: Option<NoticeKey>,
}

impl<'a> NewSuppression<'a> {
    /// What a refusal, or a receipt, of this notice says of its address.
    pub(crate) fn of(notice: &'a Notice, kind: Suppression, said_by: SaidBy, since: DateTime<Utc>) -> Self {
        Self { address: &notice.address, kind, since, said_by, notice: Some(notice.key) }
    }

    /// As it stands on the list.
    pub(crate) fn listed(&self) -> SuppressedAddress {
        let Self { address, kind, since, said_by, notice } = *self;
        let notice = notice.map(|key| key.to_string());
        SuppressedAddress { key: suppression_key(address), kind, since, shown: address.to_string(), said_by, notice }
    }
}

/// What comes back, and who gets no messages.
#[async_trait]
pub trait Feedback: Send + Sync {
    /// Addresses that get no messages, as [`crate::suppression::suppression_key`]s.
    async fn suppressions(&self) -> Result<HashMap<String, Suppression>>;

    /// The suppression list, the newest first.
    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>>;

    /// A person puts an address on the list. `false`: it is there already. (An opt-out is never weakened to a bounce.) `deed`: what
    /// the ledger says, in the same transaction, of who did so; `None`: nobody is named.
    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression, deed: Option<&str>) -> Result<bool>;

    /// A person takes an address off the list, by its [`crate::suppression::suppression_key`]. `false`: it was not there.
    /// `deed`: as above.
    async fn unsuppress(&self, now: DateTime<Utc>, key: &str, deed: Option<&str>) -> Result<bool>;

    /// The notice that a receipt is about; `None`: there is none that is known.
    async fn whose(&self, about: &ReceiptTarget) -> Result<Option<NoticeKey>>;

    /// Takes a receipt: beside the delivery that it speaks of, into the ledger, and onto the suppression list if it says so. A notice in doubt is
    /// accepted by it, whatever the receipt says: the provider has it. The same receipt again, and one that goes back, change nothing.
    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received>;

    /// Keys of all notices that were due in this span, the latest first: our own references are computed from them, and so found again.
    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>>;

    /// What did not arrive, of sessions that start after `now`, and was not mended since: by start. Mended: a later message of the same
    /// participant arrived, or one to another address was accepted.
    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>>;

    /// Takes a reply: what it changes, and its answer, if there was none of its kind to that number lately. `false`: it was taken before.
    async fn reply(&self, now: DateTime<Utc>, taken: AcceptedReply) -> Result<bool>;

    /// The sessions that this number was told of: the coming ones, and those of the last day that it got a text about lately.
    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<OpenSession>>;

    /// What people wrote and somebody at the practice should read, the oldest first, `limit` at most; not what was marked as read.
    async fn unread(&self, limit: usize) -> Result<Vec<Written>>;

    /// Somebody at the practice read it; the ledger names who. `false`: it was read before, or is not there.
    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool>;

    /// Answers that wait, the oldest first.
    async fn waiting_answers(&self) -> Result<Vec<PendingAnswer>>;
}
