//! What people do with notices.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;
use crate::contact::Address;
use crate::known::resend::Resent;
use crate::ledger::Event;
use crate::notice::{Notice, NoticeKey};
use crate::session::{ParticipationId, SessionId};

/// What a person may do with a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// waiting (back-off), held or unknown: due now, waiting, yet never before its due time. (Of unknown: send the frozen bytes again.)
    Retry,
    /// waiting: held, reason operator.
    Hold,
    /// held: waiting, due at its due time.
    Release,
    /// waiting, held or unknown: cancelled, reason operator.
    Cancel,
    /// The same, reason told: somebody told the participant in another way, and what they were told counts as told.
    CancelTold,
    /// cancelled by a person, and of use yet: waiting, due at its due time; of one in doubt: unknown again.
    Restore,
}

/// What people do with notices.
#[async_trait]
pub trait Actions: Send + Sync {
    /// A person asks for a notice of a session that is known: it waits. `detail`: who asks, and why, for the ledger. `false`: it is there already.
    async fn ask(&self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> Result<bool>;

    /// A person acts. Returns how many notices changed; the others were in no state for it.
    async fn act(&self, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> Result<usize> {
        self.act_by(None, keys, act, now).await
    }

    /// The same, and the ledger names who did it.
    async fn act_by(&self, who: Option<&str>, keys: &[NoticeKey], act: Action, now: DateTime<Utc>) -> Result<usize>;

    /// A person hands over again what was accepted or rejected, to its own address or to that one: a new notice, due now. One answer for each key.
    async fn resend(&self, who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Result<Vec<Resent>>;

    /// Notes an operator's deed in the ledger (`reveal`, `send_test`); `detail` names no contact, name or code.
    async fn record_event(&self, at: DateTime<Utc>, event: Event, detail: &str) -> Result<()>;

    /// Notes what somebody else said of one participation, or of none that is known; `detail` names no contact, name or code.
    async fn record_event_about(
        &self,
        at: DateTime<Utc>,
        event: Event,
        detail: &str,
        about: Option<(SessionId, ParticipationId)>,
    ) -> Result<()>;
}
