//! Notices and what became of them, as the pages show them.

use chrono::{DateTime, Utc};

use super::session::{Called, Named, People, Showing};
use super::{Moment, capital, moment, tone};
use crate::contact::Channel;
use crate::desk::notices::OpenedNotice;
use crate::desk::outage::is_overdue;
use crate::desk::why::{NoticeHistory, Said};
use crate::desk::{what, words};
use crate::entry::{Delivery, Entry, State};
use crate::ledger::LedgerRow;
use crate::notice::Reason;
use crate::outbox::Action;
use crate::receipt::DeliveryStatus;
use crate::web::AppState;

/// One notice, and what may be done with it.
pub(in crate::web::pages) struct NoticeRow {
    pub key: String,
    pub session: i64,
    pub participation: i64,
    pub who: Named,
    pub what: String,
    pub channel: &'static str,
    pub to: String,
    pub state: &'static str,
    pub tone: &'static str,
    pub why: Option<&'static str>,
    pub remedy: Option<&'static str>,
    pub decided: Option<Called>,
    pub due: Moment,
    pub start: Moment,
    pub over: bool,
    pub next: Option<Moment>,
    pub accepted: Option<Moment>,
    /// What was said later of what was sent.
    pub became: Option<Became>,
    pub acts: Vec<Button>,
    /// It went, or was refused, and is still of use: it can be sent again.
    pub again: bool,
}

/// What became of a message.
pub(in crate::web::pages) struct Became {
    pub says: &'static str,
    pub at: Option<Moment>,
    /// The provider's words, redacted.
    pub detail: Option<String>,
}

/// A deed that is possible.
pub(in crate::web::pages) struct Button {
    pub act: &'static str,
    pub label: &'static str,
    /// What it does, for whoever is not sure.
    pub help: &'static str,
}

impl NoticeRow {
    pub(in crate::web::pages) fn of(entry: &Entry, people: &People, showing: Showing<'_>) -> Self {
        let Showing { office, now, .. } = showing;
        let notice = &entry.notice;
        let at = |at: DateTime<Utc>| moment(at, &office.zone);
        let in_doubt = (entry.state == State::Unknown).then_some(Reason::InDoubt);
        let reason = entry.reason.or(in_doubt);
        let overdue = is_overdue(entry.state, notice.due_at, notice.useful_until, now);
        Self {
            key: notice.key.to_string(),
            session: notice.session.0,
            participation: notice.participation.0,
            who: Named::of((notice.session, notice.participation), people, showing),
            what: capital(&what(notice.occasion, notice.rule.as_deref())),
            channel: match notice.address.channel() {
                Channel::Email => "e-mail",
                Channel::Sms => "text message",
            },
            to: notice.address.to_string(),
            state: if overdue { words::OVERDUE } else { words::state(entry.state) },
            tone: if overdue { "bad" } else { tone(Some(entry.state)) },
            why: reason.map(words::reason),
            remedy: reason.and_then(words::remedy),
            decided: None,
            due: at(notice.due_at),
            start: at(notice.start),
            over: notice.useful_until <= now,
            next: entry.next_attempt_at.map(at),
            accepted: entry.accepted_at.map(at),
            became: None,
            acts: buttons(entry, now),
            again: matches!(entry.state, State::Accepted | State::Rejected) && notice.useful_until > now,
        }
    }

    /// Of a message about which somebody here decided: when, and `by jane: the host is ill`.
    pub(in crate::web::pages) fn by(mut self, decided: Option<(DateTime<Utc>, String)>, office: &AppState) -> Self {
        self.decided = decided.map(|(at, note)| Called { at: moment(at, &office.zone), note: capital(&note) });
        self
    }

    /// Of a message that was sent: it is headed by what became of it, where somebody said so.
    pub(in crate::web::pages) fn after(mut self, OpenedNotice { entry, shown, .. }: &OpenedNotice, office: &AppState) -> Self {
        let last = shown.deliveries.last().filter(|_| entry.state == State::Accepted);
        let Some((last, status)) = last.and_then(|last| Some((last, last.receipt?))) else { return self };
        let channel = entry.notice.address.channel();
        let says = words::delivery(status, channel);
        if status != DeliveryStatus::Sent {
            self.state = says;
        }
        if status.is_lost() {
            let (why, remedy) = words::lost(channel);
            (self.tone, self.why, self.remedy) = ("bad", Some(why), Some(remedy));
        }
        self.became = Some(Became { says, at: last.receipt_at.map(|at| moment(at, &office.zone)), detail: last.receipt_detail.clone() });
        self
    }
}

/// What may be done with a notice in its state: see [`Action`].
fn buttons(entry: &Entry, now: DateTime<Utc>) -> Vec<Button> {
    let button = |act: Action, label, help| Button { act: act.as_str(), label, help };
    let cancel = button(Action::Cancel, "Do not send", "It is not sent, and not planned again.");
    let told = button(Action::CancelTold, "Told by phone", "It is not sent, and what it says counts as told.");
    match entry.state {
        State::Held if entry.notice.useful_until <= now => vec![cancel],
        // It would be held again at once.
        State::Held if entry.reason.is_some_and(lasts) => vec![told, cancel],
        State::Held => vec![button(Action::Release, "Release", "It is sent at its time, or at once if that is past."), told, cancel],
        State::Unknown => vec![button(Action::Retry, "Send again", "The same message once more, now."), told, cancel],
        State::Waiting if entry.notice.due_at <= now => vec![
            button(Action::Retry, "Try now", "It waits for nothing: a server that pauses is asked again."),
            button(Action::Hold, "Hold", "It waits until somebody releases it."),
            told,
            cancel,
        ],
        State::Waiting => vec![button(Action::Hold, "Hold", "It waits until somebody releases it."), told, cancel],
        State::Cancelled
            if entry.reason.is_some_and(|why| matches!(why, Reason::Operator | Reason::Told)) && entry.notice.useful_until > now =>
        {
            vec![button(Action::Restore, "Take back", "It is sent after all, at its time.")]
        }
        _ => Vec::new(),
    }
}

/// What holds it does so until somebody corrects that.
fn lasts(reason: Reason) -> bool {
    use Reason::{Absent, Ambiguous, Guard, Quarantined, SourceGone, SourceStale, UnknownStatus};
    matches!(reason, Absent | Ambiguous | Guard | Quarantined | SourceGone | SourceStale | UnknownStatus)
}

pub(in crate::web::pages) struct ShownAttempt {
    pub number: u32,
    pub at: Moment,
    pub outcome: String,
    pub transport: String,
    pub reply: String,
    /// What became of the message: `Did not arrive: 30005`.
    pub receipt: Option<String>,
}

impl ShownAttempt {
    pub(in crate::web::pages) fn of(delivery: &Delivery, channel: Channel, office: &AppState) -> Self {
        let says = |status| words::delivery(status, channel);
        Self {
            number: delivery.attempt,
            at: moment(delivery.started_at, &office.zone),
            outcome: delivery.outcome.as_ref().map_or("under way", words::end).to_owned(),
            transport: delivery.transport.clone().unwrap_or_default(),
            reply: delivery.reply.clone().unwrap_or_default(),
            receipt: delivery.receipt.map(|status| {
                delivery.receipt_detail.as_ref().map_or_else(|| says(status).to_owned(), |d| format!("{}: {d}", says(status)))
            }),
        }
    }
}

/// One decision of the planner.
pub(in crate::web::pages) struct PlannerDecision {
    pub what: String,
    pub verdict: &'static str,
    pub due: Option<Moment>,
    /// The reason, and its own word: `booked_late`.
    pub why: Option<(&'static str, &'static str)>,
    pub detail: Option<String>,
}

impl PlannerDecision {
    pub(in crate::web::pages) fn of(said: &Said, office: &AppState) -> Self {
        let due = said.due_at.as_ref().and_then(|at| at.parse::<DateTime<Utc>>().ok());
        Self {
            what: capital(&said.what),
            verdict: match said.verdict {
                "send" => "Send",
                "done" => "Done",
                _ => "Do not send",
            },
            due: due.map(|at| moment(at, &office.zone)),
            why: said.reason.map(|reason| (words::reason(reason), reason.as_str())),
            detail: said.detail.clone(),
        }
    }
}

/// One row of the ledger.
pub(in crate::web::pages) struct History {
    pub at: Moment,
    pub what: String,
    pub event: String,
    pub step: String,
    pub detail: String,
}

impl History {
    /// Of all notices of a person, the newest first.
    pub(in crate::web::pages) fn of(notices: &[NoticeHistory], office: &AppState) -> Vec<Self> {
        let mut rows: Vec<(&LedgerRow, &str)> =
            notices.iter().flat_map(|n| n.history.iter().map(move |row| (row, n.what.as_str()))).collect();
        rows.sort_by_key(|(row, _)| std::cmp::Reverse(row.place));
        let step = |row: &LedgerRow| {
            let states = [row.from_state, row.to_state].into_iter().flatten().map(words::state);
            states.collect::<Vec<_>>().join(" → ")
        };
        let one = |(row, what): (&LedgerRow, &str)| Self {
            at: moment(row.at, &office.zone),
            what: capital(what),
            event: capital(words::event(&row.event)),
            step: step(row),
            detail: words::clocked(row.detail.as_deref().unwrap_or_default(), &|at| words::clock(at, &office.zone, row.at)),
        };
        rows.into_iter().map(one).collect()
    }
}
