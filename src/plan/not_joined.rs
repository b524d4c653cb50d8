//! The session runs, and this participant has not connected: they are told once more, with their code.
//!
//! Planned with the invite, like a reminder, for a time after the start; useful until the session's end. Not for hosts, not for whoever declined
//! or was never told this start. Quiet hours do not apply: the session runs. The dispatcher sends it only after a look at the source since the
//! start (see `dispatch::prepare`).

use chrono::{DateTime, Utc};

use super::occasion::Case;
use super::recipient::Recipient;
use crate::contact::Address;
use crate::known::KnownNotice;
use crate::notice::{Decision, Notice, Occasion, Omission, Reason};
use crate::session::Role;

impl Case<'_> {
    /// The nudge, or the first reason against it. `None`: the practice wants none.
    pub(super) fn not_joined(&self, to: &Recipient<'_>, announcements: &[Decision]) -> Option<Decision> {
        let rule = self.policy.not_joined?;
        let told_at = self.heard_this_start(&to.address);
        let will_be = announcements.iter().any(|d| matches!(d, Decision::Send(_)));
        // Whoever is told only when it runs has as long to join.
        let planned = announcements.iter().find_map(|d| if let Decision::Send(n) = d { Some(n.due_at.max(self.now)) } else { None });
        let due_at = told_at.or(planned).map_or(self.session.start, |at| at.max(self.session.start)) + rule.after;
        let useful_until = rule.useful_until(self.session);
        let never = || (told_at.is_none() && !will_be).then_some(Reason::NeverInvited);
        if let Some(reason) = self.against_nudge(due_at.max(self.now), useful_until).or_else(never) {
            let detail = (reason == Reason::HostsOff).then(|| "whoever hosts is not told to join".to_owned());
            return Some(Decision::Omit(Omission { due_at: Some(due_at), ..self.omission(Occasion::NotJoined, None, reason, detail) }));
        }
        let key = self.key(Occasion::NotJoined, None, to, "");
        Some(Decision::Send(Notice { useful_until, ..self.notice(Occasion::NotJoined, None, key, due_at, &to.address) }))
    }

    /// Omitted with all other occasions. `None`: the practice wants none.
    pub(super) fn nudge_refused(&self, reason: Reason, detail: Option<&str>) -> Option<Decision> {
        let omission = || self.omission(Occasion::NotJoined, None, reason, detail.map(str::to_owned));
        self.policy.not_joined.map(|_| Decision::Omit(omission()))
    }

    fn against_nudge(&self, at: DateTime<Utc>, useful_until: DateTime<Utc>) -> Option<Reason> {
        if self.participant.role == Role::Host {
            return Some(Reason::HostsOff);
        }
        if self.declined() {
            return Some(Reason::Declined);
        }
        if self.participant.rsvp_unknown {
            return Some(Reason::UnknownStatus);
        }
        self.needless(at).or((at >= useful_until).then_some(Reason::Started))
    }

    /// When this address was last told the start that holds, by whomever. `None`: it was not, or was told something else since.
    fn heard_this_start(&self, address: &Address) -> Option<DateTime<Utc>> {
        let of_this_start = |n: &&KnownNotice| n.notice.start == self.session.start && n.notice.occasion != Occasion::Cancelled;
        self.heard_here(address).filter(of_this_start)?;
        let before_it_ran = |n: &&KnownNotice| n.notice.address == *address && n.notice.occasion != Occasion::NotJoined;
        self.known.notices.iter().filter(of_this_start).filter(|n| n.heard()).filter(before_it_ran).map(KnownNotice::heard_at).max()
    }
}
