//! The store itself: its key, its copies, what staff were told, and what is removed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Result;
use super::alert::Alert;
use super::outgoing::{DigestDelivery, Scheduled};
use crate::access::logins::KeptLogin;
use crate::ledger::{Anchor, Verified};

/// What a start did with a store that was restored from an older copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The copy is complete until then; `None`: it was empty.
    pub since: Option<DateTime<Utc>>,
    /// Notices that wait for a person now.
    pub held: usize,
    /// Letters to the practice that may have gone, and do not go again.
    pub letters: usize,
}

impl Restored {
    /// What the ledger says was done.
    pub(crate) fn in_words(&self) -> String {
        let letters = if self.letters == 0 { String::new() } else { format!(", {} letters to the practice not sent again", self.letters) };
        format!("{} notices held{letters}", self.held)
    }

    /// A clock that was set back since the ledger's last row, or just before the copy was made, decided anew when each thing is due, but for reminders,
    /// which hang on their starts.
    pub(crate) fn was_set_back(last_at: Option<DateTime<Utc>>, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        last_at.is_some_and(|last_at| last_at > now || since.is_some_and(|copied_at| last_at > copied_at))
    }
}

/// What is kept how long.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Of sessions that started before this: no frozen bytes, no record (both hold codes).
    pub content_before: DateTime<Utc>,
    /// Of before this: no ledger; of sessions that started before this: no notices and deliveries either.
    pub history_before: DateTime<Utc>,
}

/// What a purge removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    pub contents: u64,
    pub records: u64,
    /// Notices, with their deliveries.
    pub notices: u64,
    /// Rows of the ledger.
    pub ledger_rows: u64,
}

/// The store itself: its key, its copies, what staff were told, and what is removed.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// The key with which Message-IDs and client references are made: drawn when the store is created, 32 bytes.
    async fn reference_key(&self) -> Result<[u8; 32]>;

    /// What is known of the letters to the practice of that scheduled time, by recipient.
    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<DigestDelivery>>;

    /// Letters of that scheduled time wait from now on, one to each of these recipients. One that is there stays as it is.
    async fn add_staff_letters(&self, scheduled_at: DateTime<Utc>, useful_until: DateTime<Utc>, recipients: Vec<String>) -> Result<()>;

    /// Incidents that staff were told of and that last, by key.
    async fn alerts(&self) -> Result<Vec<Alert>>;

    /// Staff were told of one. One that is there stays as it is.
    async fn begin_alert(&self, alert: Alert) -> Result<()>;

    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()>;

    /// Who is logged in to the pages. (A store that outlives no process has nobody.)
    async fn logins(&self) -> Result<Vec<KeptLogin>> {
        Ok(Vec::new())
    }

    /// Somebody logged in, or was seen again.
    async fn put_login(&self, _visit: KeptLogin) -> Result<()> {
        Ok(())
    }

    /// These logins are over.
    async fn end_logins(&self, _digests: Vec<[u8; 32]>) -> Result<()> {
        Ok(())
    }

    /// Walks the whole ledger, and holds it against an earlier head: the one given, or the one that the store keeps elsewhere.
    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified>;

    /// If the store is an older copy of the one that ran last: holds what that one may have sent, and notes that the first walks of these
    /// sources find it again. Letters to the practice that it has open, and those of these scheduled times that it knows nothing of, are cancelled.
    /// `None`: it is not. Called at a start, after [`super::Attempts::recover`]. (A store that outlives no process has no copies.)
    async fn hold_restored(&self, _sources: &[String], _letters: &[Scheduled], _now: DateTime<Utc>) -> Result<Option<Restored>> {
        Ok(None)
    }

    /// Notes beside the store how far its ledger has got, by which [`Upkeep::hold_restored`] knows an older copy. Returns what it noted.
    async fn mark(&self) -> Result<Option<Anchor>> {
        Ok(None)
    }

    /// It takes writes and answers reads.
    async fn probe(&self) -> Result<()> {
        Ok(())
    }

    /// Removes what need not be kept. What may still be sent stays, with its session. The ledger tells what was removed.
    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged>;
}
