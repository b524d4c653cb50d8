//! Where sessions stand, in memory.

use chrono::{DateTime, Utc};

use super::tables::Tables;
use crate::entry::{Change, State};
use crate::ledger::{Event, LedgerRow};
use crate::notice::{NoticeKey, Reason};
use crate::session::{ParticipationId, SessionId};

impl Tables {
    /// A session stands under another source from now on, with all that is known of it.
    pub(super) fn move_session(&mut self, from: &(String, SessionId), to: &(String, SessionId)) {
        if let Some(session) = self.sessions.remove(from) {
            self.sessions.insert(to.clone(), session);
        }
        let first = (from.0.clone(), from.1, ParticipationId(i64::MIN));
        let people: Vec<_> = self.participants.range(first..).map(|(place, _)| place.clone()).collect();
        for (_, session, person) in people.into_iter().take_while(|(source, id, _)| (source, id) == (&from.0, &from.1)) {
            if let Some(known) = self.participants.remove(&(from.0.clone(), session, person)) {
                self.participants.insert((to.0.clone(), session, person), known);
            }
        }
        if let Some(omissions) = self.omissions.remove(from) {
            self.omissions.insert(to.clone(), omissions);
        }
        for row in self.rows.values_mut().filter(|row| row.entry.notice.session == from.1 && row.entry.source == from.0) {
            row.entry.source.clone_from(&to.0);
        }
        if let Some(source) = self.sources.get_mut(&from.0) {
            source.guard.forget(from.1);
        }
        if let Some(items) = self.lately.remove(from) {
            self.lately.insert(to.clone(), items);
        }
        if let Some(also) = self.also.get_mut(&to.0) {
            also.retain(|also| also.id != to.1);
        }
    }

    pub(super) fn rename_source(&mut self, from: &str, to: &str, now: DateTime<Utc>) -> bool {
        if self.sources.contains_key(to) {
            return false;
        }
        let Some(mut source) = self.sources.remove(from) else { return false };
        source.gone = false;
        self.sources.insert(to.to_owned(), source);
        let ids: Vec<SessionId> = self.sessions.keys().filter(|(of, _)| of == from).map(|(_, id)| *id).collect();
        for id in ids {
            self.move_session(&(from.to_owned(), id), &(to.to_owned(), id));
        }
        if let Some(also) = self.also.remove(from) {
            self.also.insert(to.to_owned(), also);
        }
        self.append(LedgerRow::new(now, Event::SourceRenamed, &format!("{from} is {to} now")));
        true
    }

    pub(super) fn configure(&mut self, names: &[String], now: DateTime<Utc>) -> usize {
        let mut held = 0;
        self.expected.retain(|name, _| names.contains(name));
        for name in names {
            self.expected.entry(name.clone()).or_insert(now);
        }
        for name in self.sources.keys().cloned().collect::<Vec<_>>() {
            let configured = names.contains(&name);
            let was_gone = self.sources.get_mut(&name).is_some_and(|source| std::mem::replace(&mut source.gone, !configured));
            if configured && was_gone {
                let theirs = self.sessions.iter_mut().filter(|((of, _), _)| *of == name);
                theirs.for_each(|(_, session)| session.stored.touch.again += 1);
            }
            if configured {
                continue;
            }
            let pending = self.due.iter().map(|(_, _, key)| *key);
            let keys: Vec<NoticeKey> = pending.filter(|key| self.rows[key].entry.source == name).collect();
            for key in keys {
                let change = Change::End { key, state: State::Held, reason: Reason::SourceGone };
                let rule = |row: &mut crate::outbox::transition::Row| {
                    let changed = if row.entry.state == State::Unknown { row.resolve(None) } else { row.change(&change, now) };
                    changed.then_some(())
                };
                held += usize::from(self.change(key, (Event::SourceGone, None), now, rule).is_some());
            }
        }
        held
    }
}
