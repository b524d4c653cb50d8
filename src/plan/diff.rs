//! From decisions to changes: what the outbox must add, move or end so that it holds what was decided.
//!
//! What was handed over (or may have been) is never touched, and what an operator decided stays decided.

use std::collections::HashMap;

use crate::entry::{Change, State};
use crate::known::KnownNotice;
use crate::known::resend::original;
use crate::notice::{Decision, Notice, NoticeKey, Occasion, Omission, Reason};

/// Compares one participant's decisions with what the outbox holds of them.
pub fn diff(decisions: &[&Decision], held: &[KnownNotice]) -> Vec<Change> {
    let by_key: HashMap<NoticeKey, &KnownNotice> = held.iter().map(|n| (n.notice.key, n)).collect();
    let wanted: Vec<&Notice> = decisions.iter().filter_map(|d| if let Decision::Send(n) = d { Some(n) } else { None }).collect();
    let mut changes: Vec<Change> = wanted.iter().filter_map(|n| want(n, by_key.get(&n.key).copied())).collect();
    // What is in doubt is decided about when its turn comes: it was told, or may have been.
    // So is what a person hands over again: the planner has no word for it.
    // What was found again after a restore may have gone, too: a person says.
    let decided_later = |n: &KnownNotice| n.doubted || n.may_have_gone() || original(&n.notice, held).is_some();
    let unwanted = held.iter().filter(|n| n.state.pending() && !wanted.iter().any(|w| w.key == n.notice.key) && !decided_later(n));
    changes.extend(unwanted.filter_map(|n| match reason_against(n, decisions) {
        // It is due: the last look ends it, and says so.
        Reason::Lapsed if n.state == State::Waiting => None,
        reason => end(n, reason),
    }));
    changes
}

/// What a decision to send means for the row that has its key.
fn want(notice: &Notice, held: Option<&KnownNotice>) -> Option<Change> {
    let Some(row) = held else { return Some(Change::Add(notice.clone())) };
    let again = match row.state {
        _ if row.doubted => false,
        State::Waiting => row.notice.due_at != notice.due_at || row.notice.useful_until != notice.useful_until,
        State::Held => row.reason.is_some_and(mends_itself),
        State::Cancelled | State::Superseded | State::Suppressed | State::Lapsed => !row.reason.is_some_and(Reason::is_a_persons),
        _ => false,
    };
    again.then_some(Change::Move { key: notice.key, due_at: notice.due_at, useful_until: notice.useful_until })
}

/// Held for a reason that a later snapshot can take away. The others wait for a person.
pub(super) fn mends_itself(reason: Reason) -> bool {
    use Reason::{Absent, Ambiguous, Guard, Quarantined, SourceGone, SourceStale, UnknownStatus};
    matches!(reason, Quarantined | Ambiguous | UnknownStatus | Absent | Guard | SourceStale | SourceGone)
}

fn end(row: &KnownNotice, reason: Reason) -> Option<Change> {
    let state = state_after(reason);
    let same = row.state == state && row.reason == Some(reason);
    let sticky = row.state == State::Held && !row.reason.is_some_and(mends_itself) && state == State::Held;
    (!same && !sticky).then_some(Change::End { key: row.notice.key, state, reason })
}

/// Somebody held or cancelled all that waited for that reader, and let nothing go since: what takes its place waits for them, too. A reminder of
/// the same start takes no other one's place: it goes because the invite does not.
pub fn is_stopped(notice: &Notice, held: &[KnownNotice]) -> bool {
    let theirs = || held.iter().filter(|n| n.notice.address == notice.address);
    let of_it = |n: &&KnownNotice| notice.occasion != Occasion::Reminder || n.notice.start != notice.start;
    let stopped =
        theirs().filter(|n| !n.may_have_been_sent() && n.reason == Some(Reason::Operator)).filter(of_it).map(|n| n.changed_at).max();
    let goes = |n: &KnownNotice| matches!(n.state, State::Waiting | State::Claimed | State::Sending);
    stopped.is_some_and(|at| !theirs().any(|n| goes(n) || (n.may_have_been_sent() && n.heard_at() > at)))
}

/// The omission that speaks of this row, or: the session says something else by now.
fn reason_against(row: &KnownNotice, decisions: &[&Decision]) -> Reason {
    let speaks_of = |o: &&Omission| o.occasion.is_none() || (o.occasion == Some(row.notice.occasion) && o.rule == row.notice.rule);
    let omissions = || decisions.iter().filter_map(|d| if let Decision::Omit(o) = d { Some(o) } else { None });
    // What is against the person or the address is against this, too, although nothing is said of what they were told before.
    let of_the_person = || omissions().find(|o| state_after(o.reason) == State::Suppressed);
    omissions().find(speaks_of).or_else(of_the_person).map_or(Reason::Outdated, |o| o.reason)
}

/// Where a notice goes that is not sent for this reason.
pub fn state_after(reason: Reason) -> State {
    match reason {
        Reason::Quarantined
        | Reason::Ambiguous
        | Reason::UnknownStatus
        | Reason::Absent
        | Reason::SourceStale
        | Reason::SourceGone
        | Reason::Guard
        | Reason::Leak
        | Reason::Template
        | Reason::InDoubt
        | Reason::Restored => State::Held,
        Reason::DoNotContact | Reason::OptedOut | Reason::Bounced => State::Suppressed,
        Reason::Superseded | Reason::TooClose => State::Superseded,
        Reason::Started | Reason::Lapsed => State::Lapsed,
        _ => State::Cancelled,
    }
}

/// The answer at the moment of sending: what the same planner says of one notice now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendDecision {
    /// It still holds, and it is due.
    Go(Notice),
    /// It holds, but not yet.
    Later(Notice),
    /// Not any more.
    No(Reason),
}

/// Finds what became of a claimed notice among the participant's decisions.
pub fn revalidate(row: &KnownNotice, decisions: &[&Decision], now: chrono::DateTime<chrono::Utc>) -> SendDecision {
    let same = decisions.iter().find_map(|d| match d {
        Decision::Send(n) if n.key == row.notice.key => Some(n),
        _ => None,
    });
    match same {
        Some(n) if n.useful_until <= now => SendDecision::No(Reason::Lapsed),
        Some(n) if n.due_at > now => SendDecision::Later(n.clone()),
        Some(n) => SendDecision::Go(n.clone()),
        None if now >= row.notice.useful_until => SendDecision::No(Reason::Lapsed),
        None => SendDecision::No(reason_against(row, decisions)),
    }
}

/// The order in which `preview` prints.
pub fn due_order(a: &Decision, b: &Decision) -> std::cmp::Ordering {
    let key = |d: &Decision| match d {
        Decision::Send(n) => (Some(n.due_at), Some(n.session), Some(n.participation), Some(n.occasion)),
        Decision::Omit(o) => (o.due_at, o.session, o.participation, o.occasion),
    };
    let (a, b): ((_, _, _, Option<Occasion>), _) = (key(a), key(b));
    // What has no due time comes last.
    (a.0.is_none(), a).cmp(&(b.0.is_none(), b))
}
