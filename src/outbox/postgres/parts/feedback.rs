//! What comes back, and who gets no messages.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::db::Tx;
use super::super::{PostgresOutbox, outgoing, receipt, reply, suppression};
use crate::contact::{Address, PhoneNumber};
use crate::feedback::reply::{AcceptedReply, OpenSession, PendingAnswer, Written};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::{Feedback, Result};
use crate::receipt::{Receipt, ReceiptTarget, Received, Undelivered};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression};

#[async_trait]
impl Feedback for PostgresOutbox {
    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        self.readers.read("suppressions", async |db| suppression::map(db).await).await
    }

    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>> {
        self.readers.read("suppressed", async |db| suppression::list(db).await).await
    }

    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression, deed: Option<&str>) -> Result<bool> {
        let (address, deed) = (address.clone(), deed.map(str::to_owned));
        let suppress = async move |tx: &Tx<'_>| {
            deed.iter().try_for_each(|deed| tx.note(now, Event::Suppress, deed))?;
            suppression::suppress(tx, now, &address, kind, SaidBy::Person).await
        };
        self.writer.write("suppress", suppress).await
    }

    async fn unsuppress(&self, now: DateTime<Utc>, key: &str, deed: Option<&str>) -> Result<bool> {
        let (key, deed) = (key.to_owned(), deed.map(str::to_owned));
        let unsuppress = async move |tx: &Tx<'_>| {
            let removed = suppression::unsuppress(tx, now, &key).await?;
            deed.iter().filter(|_| removed).try_for_each(|deed| tx.note(now, Event::Unsuppress, deed))?;
            Ok(removed)
        };
        self.writer.write("unsuppress", unsuppress).await
    }

    async fn whose(&self, about: &ReceiptTarget) -> Result<Option<NoticeKey>> {
        let about = about.clone();
        self.readers.read("whose", async move |db| receipt::whose(db, &about).await).await
    }

    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received> {
        self.writer.write("receive", async move |tx| receipt::receive(tx, now, &receipt).await).await
    }

    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>> {
        self.readers.read("due_between", async move |db| receipt::due_between(db, from, until).await).await
    }

    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>> {
        self.readers.read("undelivered", async move |db| receipt::undelivered(db, now).await).await
    }

    async fn reply(&self, now: DateTime<Utc>, taken: AcceptedReply) -> Result<bool> {
        self.writer.write("reply", async move |tx| reply::take(tx, now, &taken).await).await
    }

    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<OpenSession>> {
        let number = number.clone();
        self.readers.read("open_sessions", async move |db| reply::open_sessions(db, number.expose(), now).await).await
    }

    async fn waiting_answers(&self) -> Result<Vec<PendingAnswer>> {
        self.readers.read("waiting_answers", async |db| outgoing::waiting(db).await).await
    }

    async fn unread(&self, limit: usize) -> Result<Vec<Written>> {
        self.readers.read("unread", async move |db| reply::unread(db, limit).await).await
    }

    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool> {
        let who = who.map(str::to_owned);
        self.writer.write("mark_read", async move |tx| reply::mark_read(tx, now, who.as_deref(), key).await).await
    }
}
