//! What comes back, and who gets no messages.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::tx::Tx;
use super::super::{SqliteOutbox, history, outgoing, query, receipt, reply, suppression};
use crate::contact::{Address, PhoneNumber};
use crate::feedback::reply::{AcceptedReply, OpenSession, PendingAnswer, Written};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::{Feedback, Result};
use crate::receipt::{Receipt, ReceiptTarget, Received, Undelivered};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression};

#[async_trait]
impl Feedback for SqliteOutbox {
    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        self.readers.read("suppressions", query::suppressions).await
    }

    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>> {
        self.readers.read("suppressed", suppression::list).await
    }

    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression, deed: Option<&str>) -> Result<bool> {
        let (address, deed) = (address.clone(), deed.map(str::to_owned));
        let suppress = move |c: &Tx<'_>| {
            deed.iter().try_for_each(|deed| history::note(c, now, Event::Suppress, deed))?;
            suppression::suppress(c, now, &address, kind, SaidBy::Person)
        };
        self.writer.write("suppress", suppress).await
    }

    async fn unsuppress(&self, now: DateTime<Utc>, key: &str, deed: Option<&str>) -> Result<bool> {
        let (key, deed) = (key.to_owned(), deed.map(str::to_owned));
        let unsuppress = move |c: &Tx<'_>| {
            let removed = suppression::unsuppress(c, now, &key)?;
            deed.iter().filter(|_| removed).try_for_each(|deed| history::note(c, now, Event::Unsuppress, deed))?;
            Ok(removed)
        };
        self.writer.write("unsuppress", unsuppress).await
    }

    async fn whose(&self, about: &ReceiptTarget) -> Result<Option<NoticeKey>> {
        let about = about.clone();
        self.readers.read("whose", move |c| receipt::whose(c, &about)).await
    }

    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received> {
        self.writer.write("receive", move |c| receipt::receive(c, now, &receipt)).await
    }

    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>> {
        self.readers.read("due_between", move |c| receipt::due_between(c, from, until)).await
    }

    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>> {
        self.readers.read("undelivered", move |c| receipt::undelivered(c, now)).await
    }

    async fn reply(&self, now: DateTime<Utc>, taken: AcceptedReply) -> Result<bool> {
        self.writer.write("reply", move |c| reply::take(c, now, &taken)).await
    }

    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<OpenSession>> {
        let number = number.clone();
        self.readers.read("open_sessions", move |c| reply::open_sessions(c, number.expose(), now)).await
    }

    async fn waiting_answers(&self) -> Result<Vec<PendingAnswer>> {
        self.readers.read("waiting_answers", outgoing::waiting).await
    }

    async fn unread(&self, limit: usize) -> Result<Vec<Written>> {
        self.readers.read("unread", move |c| reply::unread(c, limit)).await
    }

    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool> {
        let who = who.map(str::to_owned);
        self.writer.write("mark_read", move |c| reply::mark_read(c, now, who.as_deref(), key)).await
    }
}
