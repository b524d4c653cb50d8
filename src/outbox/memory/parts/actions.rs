//! What people do.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::MemoryOutbox;
use crate::contact::Address;
use crate::known::resend::Resent;
use crate::ledger::{Event, LedgerRow};
use crate::notice::{Notice, NoticeKey};
use crate::outbox::words::by;
use crate::outbox::{Action, Actions, Result};
use crate::session::{ParticipationId, SessionId};

#[async_trait]
impl Actions for MemoryOutbox {
    async fn ask(&self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> Result<bool> {
        Ok(self.tables().ask(now, source, notice, detail))
    }

    async fn act_by(&self, who: Option<&str>, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> Result<usize> {
        let mut tables = self.tables();
        Ok(keys.iter().filter(|key| tables.act(**key, (act, who.map(by)), now)).count())
    }

    async fn resend(&self, who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Result<Vec<Resent>> {
        let mut tables = self.tables();
        Ok(keys.iter().map(|key| tables.resend(who, *key, to, now)).collect())
    }

    async fn record_event(&self, at: DateTime<Utc>, event: Event, detail: &str) -> Result<()> {
        self.tables().append(LedgerRow::new(at, event, detail));
        Ok(())
    }

    async fn record_event_about(
        &self,
        at: DateTime<Utc>,
        event: Event,
        detail: &str,
        about: Option<(SessionId, ParticipationId)>,
    ) -> Result<()> {
        self.tables().append(LedgerRow::about(at, event, detail, about));
        Ok(())
    }
}
