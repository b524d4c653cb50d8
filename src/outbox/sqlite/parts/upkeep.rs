//! The store itself.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::migrate::VERSION;
use super::super::restore;
use super::super::tx::Tx;
use super::super::{SqliteOutbox, acting, admit, alert, history, outgoing, retention, visit, watermark};
use crate::access::logins::KeptLogin;
use crate::ledger::{Anchor, Event, Verified};
use crate::outbox::attempted::Row;
use crate::outbox::origin::StoreOrigin;
use crate::outbox::{Actions, Alert, DigestDelivery, Purged, Restored, Result, Retention, Scheduled, StoreError, Upkeep};

#[async_trait]
impl Upkeep for SqliteOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        self.readers.read("reference_key", admit::reference_key).await
    }

    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<DigestDelivery>> {
        self.readers.read("staff_letters", move |c| outgoing::letters(c, scheduled_at)).await
    }

    async fn add_staff_letters(&self, scheduled_at: DateTime<Utc>, useful_until: DateTime<Utc>, recipients: Vec<String>) -> Result<()> {
        let add = move |c: &Tx<'_>| recipients.iter().try_for_each(|to| outgoing::add(c, &Row::letter(scheduled_at, useful_until, to), ""));
        self.writer.write("add_staff_letters", add).await
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        self.readers.read("alerts", alert::list).await
    }

    async fn begin_alert(&self, alert: Alert) -> Result<()> {
        self.writer.write("begin_alert", move |c| alert::begin(c, &alert)).await
    }

    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()> {
        let key = key.to_owned();
        self.writer.write("end_alert", move |c| alert::end(c, &key, now)).await
    }

    async fn logins(&self) -> Result<Vec<KeptLogin>> {
        self.readers.read("visits", visit::list).await
    }

    async fn put_login(&self, visit: KeptLogin) -> Result<()> {
        self.writer.write("put_visit", move |c| visit::put(c, &visit)).await
    }

    async fn end_logins(&self, digests: Vec<[u8; 32]>) -> Result<()> {
        self.writer.write("end_visits", move |c| visit::end(c, &digests)).await
    }

    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified> {
        // What a command adds while this runs is seen by neither: the mark is read first.
        let noted = watermark::read(&self.path);
        self.readers
            .read("verify_ledger", move |c| {
                let (against, mark) = match anchor {
                    Some(anchor) => (Some(anchor), None),
                    None => restore::held_against(c, noted)?,
                };
                let mut verified = history::verify(c, against)?;
                verified.copy = against.is_none() && mark.is_none();
                verified.findings.extend(mark);
                verified.findings.extend(acting::differences(c, VERSION)?);
                Ok(verified)
            })
            .await
    }

    async fn hold_restored(&self, sources: &[String], letters: &[Scheduled], now: DateTime<Utc>) -> Result<Option<Restored>> {
        let origin = *self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let StoreOrigin::Copy(since) = origin else { return Ok(None) };
        let (sources, letters) = (sources.to_vec(), letters.to_vec());
        let restored = self.writer.write("hold_restored", move |c| restore::hold(c, since, (&sources, &letters), now)).await?;
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = StoreOrigin::Own;
        self.mark().await?;
        Ok(Some(restored))
    }

    async fn mark(&self) -> Result<Option<Anchor>> {
        if *self.origin.lock().unwrap_or_else(PoisonError::into_inner) != StoreOrigin::Own {
            return Ok(None);
        }
        let (path, last) = (self.path.clone(), Arc::clone(&self.mark));
        let marked = self.readers.read("mark", move |c| {
            let mark = restore::current(c)?;
            let head = mark.head();
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.as_ref() == Some(&mark) {
                return Ok(Ok(head));
            }
            Ok(watermark::write(&path, &mark).map(|()| *last = Some(mark)).map(|()| head))
        });
        marked.await?.map_err(|cause| StoreError { action: "mark".to_owned(), cause })
    }

    async fn probe(&self) -> Result<()> {
        self.writer.write("probe", |_| Ok(())).await?;
        self.readers.read("probe", admit::reference_key).await.map(|_| ())
    }

    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged> {
        let mut total = Purged::default();
        self.writer.write("purge", move |c| history::close_until(c, retention.history_before, now)).await?;
        loop {
            let (purged, more) = self.writer.write("purge", move |c| retention::batch(c, retention)).await?;
            total += purged;
            if purged.is_empty() && !more {
                break;
            }
        }
        if !total.is_empty() {
            self.record_event(now, Event::Purged, &total.in_words()).await?;
        }
        self.forget().await?;
        Ok(total)
    }
}
