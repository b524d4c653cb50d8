//! What people do.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::{SqliteOutbox, history, upkeep};
use crate::contact::Address;
use crate::known::resend::Resent;
use crate::ledger::{Event, LedgerRow};
use crate::notice::{Notice, NoticeKey};
use crate::outbox::transition::Row;
use crate::outbox::{Action, Actions, Result};
use crate::session::{ParticipationId, SessionId};

#[async_trait]
impl Actions for SqliteOutbox {
    async fn ask(&self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> Result<bool> {
        let (row, detail) = (Row::added(notice, source, now), detail.to_owned());
        self.writer.write("ask", move |c| upkeep::ask(c, &row, &detail, now)).await
    }

    async fn act_by(&self, who: Option<&str>, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> Result<usize> {
        let (who, keys) = (who.map(str::to_owned), keys.to_vec());
        self.writer.write("act", move |c| upkeep::act(c, who.as_deref(), &keys, act, now)).await
    }

    async fn resend(&self, who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Result<Vec<Resent>> {
        let (who, keys, to) = (who.map(str::to_owned), keys.to_vec(), to.cloned());
        self.writer.write("resend", move |c| upkeep::resend(c, who.as_deref(), &keys, to.as_ref(), now)).await
    }

    async fn record_event(&self, at: DateTime<Utc>, event: Event, detail: &str) -> Result<()> {
        let detail = detail.to_owned();
        self.writer.write("note", move |c| history::note(c, at, event.clone(), &detail)).await
    }

    async fn record_event_about(
        &self,
        at: DateTime<Utc>,
        event: Event,
        detail: &str,
        about: Option<(SessionId, ParticipationId)>,
    ) -> Result<()> {
        let row = LedgerRow::about(at, event, detail, about);
        self.writer.write("witness", move |c| history::append(c, &row)).await
    }
}
