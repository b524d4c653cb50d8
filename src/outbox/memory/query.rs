//! Lists and counts.

use super::tables::Tables;
use crate::entry::Entry;
use crate::notice::{NoticeKey, Omission};
use crate::outbox::{Filter, SourceStatus, Status};

pub(super) fn matches(filter: &Filter, entry: &Entry) -> bool {
    let notice = &entry.notice;
    filter.session.is_none_or(|s| notice.session == s)
        && filter.participation.is_none_or(|p| notice.participation == p)
        && filter.occasion.is_none_or(|o| notice.occasion == o)
        && (filter.states.is_empty() || filter.states.contains(&entry.state))
        && (filter.keys.is_empty() || filter.keys.contains(&notice.key))
}

impl Tables {
    pub(super) fn list(&self, filter: &Filter) -> Vec<Entry> {
        let mut all: Vec<&Entry> = self.rows.values().map(|row| &row.entry).filter(|entry| matches(filter, entry)).collect();
        let number = |key: &NoticeKey| self.numbers.get(key).copied();
        all.retain(|entry| {
            filter.after.is_none_or(|(at, key)| {
                let due = entry.notice.due_at;
                due > at || (due == at && number(&key).is_some_and(|place| number(&entry.notice.key) > Some(place)))
            })
        });
        all.sort_by_key(|entry| (entry.notice.due_at, self.numbers[&entry.notice.key]));
        all.into_iter().take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn omissions(&self, filter: &Filter) -> Vec<Omission> {
        let wanted = |o: &&Omission| {
            filter.session.is_none_or(|s| o.session == Some(s))
                && filter.participation.is_none_or(|p| o.participation == Some(p))
                && filter.occasion.is_none_or(|occasion| o.occasion == Some(occasion))
        };
        let mut all: Vec<&Omission> = self.omissions.values().flatten().filter(wanted).collect();
        all.sort_by_key(|o| o.due_at);
        all.into_iter().take(filter.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn status(&self) -> Status {
        let mut status = Status { suppressed: self.suppressions.len() as u64, ..Status::default() };
        for row in self.rows.values() {
            *status.by_state.entry(row.entry.state).or_default() += 1;
        }
        for omission in self.omissions.values().flatten() {
            *status.by_reason.entry(omission.reason).or_default() += 1;
        }
        status.next_due = self.due.iter().map(|(_, at, _)| *at).min();
        for (name, source) in &self.sources {
            let sessions = self.sessions.keys().filter(|(of, _)| of == name).count() as u64;
            status.sources.push(SourceStatus { name: name.clone(), last_snapshot_at: Some(source.last_snapshot_at), sessions });
            status.faults.extend(source.faults.iter().map(|fault| (name.clone(), fault.clone())));
        }
        status
    }
}
