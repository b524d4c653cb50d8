//! Remind now: what staff ask for, and the answer for each participant. The rules are the planner's (`plan::asked`).

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Desk, DeskSession, Unanswered, words};
use crate::feedback::said;
use crate::notice::{Notice, Reason};
use crate::outbox::StoreError;
use crate::outcome::redacted;
use crate::plan::Suppressions;
use crate::plan::asked::{NotNow, ask};
use crate::session::{ParticipationId, Role, SessionId};

#[derive(Debug, Clone)]
pub struct RemindRequest {
    pub session: SessionId,
    /// This one; `None`: everybody but the host.
    pub participation: Option<ParticipationId>,
    /// Also in quiet hours.
    pub at_night: bool,
    /// Who asks, for the ledger: a user's or a token's name.
    pub who: Option<String>,
    /// Why, in their words; empty: they do not say.
    pub why: String,
}

/// What becomes of one participant's.
#[derive(Debug)]
pub struct RemindResult {
    pub participation: ParticipationId,
    /// The notice that goes now, or why none does.
    pub result: Result<Notice, NotNow>,
}

/// The same, for programs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReminderLine)]
pub struct Line {
    /// SessionId.
    pub session_id: i64,
    /// ParticipationId.
    pub participation_id: i64,
    /// The notice that goes now, in 32 hexadecimal digits; null: none does.
    pub key: Option<String>,
    /// Why not: a reason of notices, or `under_way`, `just_told`, `too_often`.
    pub reason: Option<&'static str>,
    /// The same in words.
    pub detail: Option<String>,
}

impl Line {
    /// What became of one participant's.
    pub fn of(session: i64, answer: &RemindResult) -> Self {
        let refusal = answer.result.as_ref().err();
        Self {
            session_id: session,
            participation_id: answer.participation.0,
            key: answer.result.as_ref().ok().map(|notice| notice.key.to_string()),
            reason: refusal.map(NotNow::as_str),
            detail: refusal.map(NotNow::in_words),
        }
    }
}

impl RemindRequest {
    /// The ledger's detail: `by jane, in quiet hours too: she found no mail`. What looks like an address, a number or a code is hidden.
    fn in_words(&self) -> String {
        let who = self.who.as_ref().map_or_else(|| "on the command line".to_owned(), |who| format!("by {who}"));
        let night = if self.at_night { ", in quiet hours too" } else { "" };
        let why = redacted(&said::kept(&self.why, &[]));
        if why.is_empty() { format!("{who}{night}") } else { format!("{who}{night}: {why}") }
    }
}

impl NotNow {
    /// The word in JSON.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Against(reason, _) => reason.as_str(),
            Self::UnderWay(_) => "under_way",
            Self::JustSent(_) => "just_told",
            Self::TooOften => "too_often",
        }
    }

    /// In words for a front desk, without a period.
    pub fn in_words(&self) -> String {
        match self {
            Self::Against(Reason::QuietHours, _) => "It is in quiet hours where they are".to_owned(),
            Self::Against(Reason::Started, _) => "The session is over, or has run for too long".to_owned(),
            Self::Against(reason, None) => words::reason(*reason).to_owned(),
            Self::Against(reason, Some(detail)) => format!("{} ({detail})", words::reason(*reason)),
            Self::UnderWay(_) => "A message that tells them is on its way".to_owned(),
            Self::JustSent(_) => "They were told a moment ago".to_owned(),
            Self::TooOften => "They were reminded by hand too often".to_owned(),
        }
    }

    /// It would go if it may go in quiet hours.
    pub fn is_night(&self) -> bool {
        matches!(self, Self::Against(Reason::QuietHours, _))
    }
}

/// What would become of it. Empty: the store knows no such participant.
pub async fn would(desk: &Desk, wish: &RemindRequest, now: DateTime<Utc>) -> Result<Vec<RemindResult>, Unanswered> {
    let suppressed = desk.suppressions().await?;
    Ok(desk.session(wish.session, now).await?.iter().flat_map(|seen| answers(desk, seen, wish, (&suppressed, now))).collect())
}

pub async fn remind(desk: &Desk, wish: &RemindRequest, now: DateTime<Utc>) -> Result<Vec<RemindResult>, Unanswered> {
    let suppressed = desk.suppressions().await?;
    let mut done = Vec::new();
    for seen in desk.session(wish.session, now).await? {
        for RemindResult { participation, result } in answers(desk, &seen, wish, (&suppressed, now)) {
            let result = match result {
                Ok(notice) => enqueue(desk, &seen.source, notice, wish, now).await?,
                refused => refused,
            };
            done.push(RemindResult { participation, result });
        }
    }
    Ok(done)
}

async fn enqueue(
    desk: &Desk,
    source: &str,
    notice: Notice,
    wish: &RemindRequest,
    now: DateTime<Utc>,
) -> Result<Result<Notice, NotNow>, StoreError> {
    // Somebody else may have asked in the same moment.
    let new = desk.outbox.ask(now, source, notice.clone(), &wish.in_words()).await?;
    Ok(if new { Ok(notice) } else { Err(NotNow::UnderWay(notice.due_at)) })
}

fn answers(desk: &Desk, seen: &DeskSession, wish: &RemindRequest, (suppressed, now): (&Suppressions, DateTime<Utc>)) -> Vec<RemindResult> {
    let meant = |id: ParticipationId, role: Option<Role>| wish.participation.map_or(role != Some(Role::Host), |wanted| wanted == id);
    let people = seen.session.participants.iter().filter(|p| meant(p.id, Some(p.role)));
    let mut answers: Vec<RemindResult> = people
        .filter_map(|person| {
            let known = seen.known(person.id)?;
            let result = ask(&seen.session, person, known, (&desk.policy, suppressed), (now, wish.at_night));
            Some(RemindResult { participation: person.id, result })
        })
        .collect();
    // Whose record cannot be read is nobody that a message could be made for.
    let unread = seen.session.faults.iter().filter(|fault| !fault.is_word()).filter_map(|fault| fault.participation);
    for participation in unread.filter(|id| meant(*id, None)) {
        if answers.iter().all(|one| one.participation != participation) {
            answers.push(RemindResult { participation, result: Err(NotNow::Against(Reason::Quarantined, None)) });
        }
    }
    answers
}
