//! The guard's set of one source, in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::guard::{GuardChange, GuardKind, GuardRow, GuardSet, GuardStanding, Member, Passed, Verdict};
use crate::session::SessionId;

#[derive(Default)]
pub(super) struct GuardTable {
    members: BTreeMap<(SessionId, GuardKind), Member>,
    passed: BTreeMap<(SessionId, GuardKind), DateTime<Utc>>,
}

impl GuardTable {
    /// A session is another source's from now on.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.members.retain(|(id, _), _| *id != session);
        self.passed.retain(|(id, _), _| *id != session);
    }

    pub(super) fn rows(&self, source: &str) -> Vec<GuardRow> {
        let waiting = self.members.values().filter(|m| m.standing == GuardStanding::Waiting);
        let row = |m: &Member| {
            let (source, says) = (source.to_owned(), m.says.clone());
            GuardRow { source, session_id: m.session, kind: m.kind, since: m.since, says }
        };
        let mut rows: Vec<GuardRow> = waiting.map(row).collect();
        rows.sort_by_key(|row| (row.session_id, row.kind.as_str()));
        rows
    }

    pub(super) fn set(&self) -> GuardSet {
        let mut members: Vec<Member> = self.members.values().cloned().collect();
        members.sort_by_key(|m| (m.session, m.kind.as_str()));
        let mut passed: Vec<Passed> =
            self.passed.iter().map(|((session, kind), at)| Passed { session: *session, kind: *kind, at: *at }).collect();
        passed.sort_by_key(|p| (p.session, p.kind.as_str()));
        GuardSet { members, passed }
    }

    pub(super) fn change(&mut self, change: GuardChange) {
        for place in &change.leaves {
            self.members.remove(place);
        }
        for joins in change.joins {
            // What was decided while the walk was under way was decided about what the source said before.
            let before = self.members.get(&(joins.session, joins.kind)).filter(|m| m.says == joins.says);
            let standing = before.map_or(joins.standing, |m| m.standing);
            self.members.insert((joins.session, joins.kind), Member { standing, ..joins });
        }
        for place in &change.reopens {
            if let Some(member) = self.members.get_mut(place).filter(|m| m.standing == GuardStanding::Rejected) {
                member.standing = GuardStanding::Waiting;
            }
        }
        if let Some(before) = change.forgets {
            self.passed.retain(|_, at| *at >= before);
        }
        self.passed.extend(change.passes.into_iter().map(|p| ((p.session, p.kind), p.at)));
    }

    /// The sessions of which something is decided now.
    pub(super) fn decide(&mut self, verdict: Verdict) -> BTreeSet<SessionId> {
        let mut sessions = BTreeSet::new();
        for member in self.members.values_mut().filter(|m| verdict.decides(m.standing)) {
            let Some(standing) = verdict.of(member.kind) else { continue };
            member.standing = standing;
            sessions.insert(member.session);
        }
        sessions
    }

    /// Of these sessions nothing can be decided any more.
    pub(super) fn purge(&mut self, gone: impl Fn(SessionId) -> bool) {
        self.members.retain(|(session, _), _| !gone(*session));
    }
}
