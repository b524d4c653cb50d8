//! What is removed.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::tables::{Tables, session_of};
use crate::ledger::{Anchor, Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outbox::transition::Row;
use crate::outbox::{Purged, Retention};
use crate::session::SessionId;

impl Tables {
    pub(super) fn purge(&mut self, now: DateTime<Utc>, retention: Retention) -> Purged {
        let content_before = retention.content_before.max(retention.history_before);
        let resting =
            |rows: &BTreeMap<NoticeKey, Row>, key: &NoticeKey, before| rows[key].at_rest() && rows[key].entry.notice.start < before;
        let mut purged = Purged::default();
        let contents = self.content.len();
        self.content.retain(|key, _| !resting(&self.rows, key, content_before));
        purged.contents = (contents - self.content.len()) as u64;
        let busy: HashSet<(String, SessionId)> = self.rows.values().filter(|row| !row.at_rest()).map(session_of).collect();
        for (place, session) in &mut self.sessions {
            if session.start < content_before && !session.stored.record.is_empty() && !busy.contains(place) {
                session.stored.record.text.clear();
                session.stored.departed.clear();
                session.stored.ambiguous.clear();
                purged.records += 1;
            }
        }
        let old: Vec<NoticeKey> = self.rows.keys().filter(|key| resting(&self.rows, key, retention.history_before)).copied().collect();
        purged.notices = old.len() as u64;
        for key in old {
            self.forget(key);
        }
        self.purge_replies(content_before, retention.history_before);
        purged.ledger_rows = self.purge_ledger(now, retention.history_before);
        self.also.values_mut().for_each(|all| all.retain(|also| also.start >= retention.content_before));
        let held: HashSet<(String, SessionId)> = self.rows.values().map(session_of).collect();
        self.sessions.retain(|place, session| session.start >= retention.history_before || held.contains(place));
        self.participants.retain(|(source, session, _), _| self.sessions.contains_key(&(source.clone(), *session)));
        self.omissions.retain(|place, _| self.sessions.contains_key(place));
        for (name, source) in &mut self.sources {
            source.guard.purge(|id| self.sessions.get(&(name.clone(), id)).is_none_or(|session| session.stored.record.is_empty()));
        }
        purged
    }

    /// From its beginning up to the first row that stays: a chain has no holes.
    pub(super) fn purge_ledger(&mut self, now: DateTime<Utc>, before: DateTime<Utc>) -> u64 {
        let old = self.ledger.iter().take_while(|row| row.at < before).count();
        let Some(last) = old.checked_sub(1).and_then(|n| self.ledger.get(n)) else { return 0 };
        let checkpoint = Anchor { seq: last.seq, link: last.chain.unwrap_or_default() };
        self.append(LedgerRow::new(now, Event::Checkpoint, &checkpoint.to_string()));
        self.ledger.drain(..old);
        self.last_rows.retain(|_, seq| *seq > checkpoint.seq);
        self.checkpoint = Some(checkpoint);
        old as u64
    }

    pub(super) fn forget(&mut self, key: NoticeKey) {
        let Some(row) = self.rows.remove(&key) else { return };
        let notice = &row.entry.notice;
        self.keys.entry((notice.session, notice.participation)).or_default().retain(|k| *k != key);
        self.numbers.remove(&key);
        if let Some(texts) = self.by_number.get_mut(notice.address.expose()) {
            texts.retain(|k| *k != key);
        }
        self.content.remove(&key);
        self.deliveries.remove(&key);
    }
}
