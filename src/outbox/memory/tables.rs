//! The tables of the store in memory, and what each write does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::rows::{MemorySource, SessionRow};
use crate::contact::{Address, Channel, PhoneNumber};
use crate::entry::{Change, Delivery, Entry, State};
use crate::feedback::answer::Answer;
use crate::feedback::reply::Written;
use crate::guard::{GuardKind, GuardStanding, Member, Noted};
use crate::known::Known;
use crate::known::resend::{Resent, again};
use crate::ledger::{Anchor, Event, LedgerRow};
use crate::notice::{Notice, NoticeKey, Omission, Reason};
use crate::outbox::feedback::NewSuppression;
use crate::outbox::outgoing::Alone;
use crate::outbox::transition::Row;
use crate::outbox::words::resent;
use crate::outbox::{Action, Alert, Applied, Rest, Walk, WalkedSession};
use crate::session::stored::{Also, StoredSession, Touch};
use crate::session::{ParticipationId, Presence, SessionId};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, keyed_name, suppression_key};

#[derive(Default)]
pub(super) struct Tables {
    pub(super) clock: DateTime<Utc>,
    pub(super) sources: BTreeMap<String, MemorySource>,
    /// Those that are configured, and since when.
    pub(super) expected: BTreeMap<String, DateTime<Utc>>,
    pub(super) sessions: BTreeMap<(String, SessionId), SessionRow>,
    /// What sources say of sessions that stand under another one, by id.
    pub(super) also: BTreeMap<String, Vec<Also>>,
    pub(super) participants: BTreeMap<(String, SessionId, ParticipationId), Known>,
    pub(super) rows: BTreeMap<NoticeKey, Row>,
    /// In which order they were added.
    pub(super) numbers: HashMap<NoticeKey, u64>,
    pub(super) last_number: u64,
    /// What may be claimed: kept in step with `rows` by [`Tables::put`].
    pub(super) due: BTreeSet<(Channel, DateTime<Utc>, NoticeKey)>,
    /// The keys of each participant's notices.
    pub(super) keys: HashMap<(SessionId, ParticipationId), Vec<NoticeKey>>,
    /// The keys of each number's texts.
    pub(super) by_number: HashMap<String, Vec<NoticeKey>>,
    pub(super) content: HashMap<NoticeKey, Vec<u8>>,
    pub(super) deliveries: HashMap<NoticeKey, Vec<(i64, Delivery)>>,
    pub(super) omissions: BTreeMap<(String, SessionId), Vec<Omission>>,
    pub(super) suppressions: BTreeMap<String, SuppressedAddress>,
    /// Numbers that somebody answered from, and when last.
    pub(super) heard: HashMap<PhoneNumber, DateTime<Utc>>,
    /// When each reply was taken.
    pub(super) replies: HashMap<NoticeKey, DateTime<Utc>>,
    /// Which numbers were answered what, and when.
    pub(super) answered: Vec<(PhoneNumber, Answer, DateTime<Utc>, NoticeKey)>,
    /// What people wrote, in the order in which it came; and whether somebody read it.
    pub(super) said: Vec<(Written, bool)>,
    /// Letters to the practice, and answers to texts.
    pub(super) alone: BTreeMap<NoticeKey, Row<Alone>>,
    /// By key.
    pub(super) alerts: BTreeMap<String, Alert>,
    pub(super) ledger: Vec<LedgerRow>,
    /// The last row about each session.
    pub(super) last_rows: HashMap<SessionId, i64>,
    /// What people had until lately, or got lately.
    pub(super) lately: BTreeMap<(String, SessionId), Vec<Noted>>,
    /// The ledger's last row.
    pub(super) head: Anchor,
    /// The last row that a purge took.
    pub(super) checkpoint: Option<Anchor>,
}

impl Tables {
    pub(super) fn put(&mut self, row: Row) {
        let key = row.entry.notice.key;
        if let Some(old) = self.rows.get(&key).and_then(due_entry) {
            self.due.remove(&old);
        }
        self.due.extend(due_entry(&row));
        self.rows.insert(key, row);
    }

    pub(super) fn append(&mut self, mut row: LedgerRow) {
        (row.seq, row.place) = (self.head.seq + 1, self.head.seq + 1);
        let link = self.head.link.next(&row);
        row.chain = Some(link);
        self.head = Anchor { seq: row.seq, link };
        if let Some(session) = row.session_id {
            self.last_rows.insert(session, row.seq);
        }
        self.ledger.push(row);
    }

    /// Changes a row by a rule of `transition`, and tells the ledger. `None`: there is no such row, or the rule refused.
    pub(super) fn change<T>(
        &mut self,
        key: NoticeKey,
        event: (Event, Option<String>),
        at: DateTime<Utc>,
        rule: impl FnOnce(&mut Row) -> Option<T>,
    ) -> Option<T> {
        let mut row = self.rows.get(&key)?.clone();
        let from = row.entry.state;
        let value = rule(&mut row)?;
        self.append(row.event(event.0, Some(from), at, event.1));
        self.put(row);
        Some(value)
    }

    pub(super) fn apply(&mut self, mut walk: Walk) -> Applied {
        let mut applied = Applied::default();
        if walk.heard {
            self.put_source(&mut walk);
        }
        if let Some(mut also) = walk.also {
            also.sort_unstable_by_key(|also| also.id);
            self.also.insert(walk.source.clone(), also);
        }
        self.lately.retain(|_, items| items.iter().any(|one| one.until > walk.at));
        for session in walk.sessions {
            self.apply_session(&walk.source, walk.at, session, &mut applied);
        }
        applied
    }

    fn put_source(&mut self, walk: &mut Walk) {
        let before = self.sources.remove(&walk.source);
        let whole_before = before.as_ref().and_then(|before| before.whole_at);
        let (mut guard, parts) = before.map(|before| (before.guard, before.parts)).unwrap_or_default();
        let mut parts = walk.parts.take().unwrap_or(parts);
        parts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        guard.change(std::mem::take(&mut walk.guard));
        let (last_snapshot_at, policy_digest) = (walk.at, walk.policy_digest.clone());
        let (filled, adopting) = (walk.filled, std::mem::take(&mut walk.adopting));
        let faults = std::mem::take(&mut walk.faults);
        let whole_at = if walk.whole { Some(walk.at) } else { whole_before };
        let source = MemorySource { last_snapshot_at, whole_at, parts, policy_digest, faults, guard, filled, adopting, gone: false };
        self.sources.insert(walk.source.clone(), source);
    }

    pub(super) fn rest(&self, name: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Option<Rest> {
        let source = self.sources.get(name)?;
        let again = |session: &SessionRow| session.stored.touch.again > 0;
        let waits = |session: &SessionRow| {
            let absent = session.stored.presence == Presence::Absent && session.start > now;
            session.start > since && (again(session) || absent)
        };
        let decided = |m: &Member| {
            let session = self.sessions.get(&(name.to_owned(), m.session)).filter(|session| again(session));
            m.standing != GuardStanding::Waiting && session.is_some_and(|s| m.kind != GuardKind::Removed || s.start > now)
        };
        let unsettled =
            self.sessions.iter().any(|((of, _), session)| of == name && waits(session)) || source.guard.set().members.iter().any(decided);
        Some(Rest { policy_digest: source.policy_digest.clone(), last_snapshot_at: source.last_snapshot_at, walks: 0, unsettled })
    }

    /// How many people future sessions of a source have.
    pub(super) fn people(&self, source: &str, now: DateTime<Utc>) -> usize {
        let comes = |place: &(String, SessionId)| {
            let session = self.sessions.get(place).filter(|s| s.start > now && s.stored.presence != Presence::Gone);
            session.map(|session| session.stored.departed.iter().filter(|d| d.presence == Presence::Gone).map(|d| d.id).collect())
        };
        let of_source = self.participants.iter().filter(|((of, _, _), known)| of == source && !known.cancelled);
        let come = of_source.filter(|((of, session, person), _)| {
            comes(&(of.clone(), *session)).is_some_and(|gone: Vec<ParticipationId>| !gone.contains(person))
        });
        come.count()
    }

    /// At the next walk, whatever the source says.
    pub(super) fn plan_again(&mut self, place: &(String, SessionId)) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.stored.touch.again += 1;
        }
    }

    /// What a plan of a session is made upon.
    pub(super) fn touch(&self, place: &(String, SessionId)) -> Touch {
        let again = self.sessions.get(place).map_or(0, |session| session.stored.touch.again);
        Touch { last: self.last_rows.get(&place.1).copied().unwrap_or_default(), again }
    }

    /// A session as it stands now.
    pub(super) fn stored(&self, place: &(String, SessionId)) -> Option<StoredSession> {
        let session = self.sessions.get(place)?;
        Some(StoredSession { touch: self.touch(place), ..session.stored.clone() })
    }

    pub(super) fn apply_session(&mut self, source: &str, at: DateTime<Utc>, walked: WalkedSession, applied: &mut Applied) {
        let id = walked.id;
        let source = walked.of.as_deref().unwrap_or(source);
        let (place, stands) = ((source.to_owned(), id), (walked.from.clone().unwrap_or_else(|| source.to_owned()), id));
        if walked.was.is_some_and(|was| was != self.touch(&stands)) {
            if let Some(session) = self.sessions.get_mut(&stands) {
                session.stored.touch.again += 1;
            }
            applied.touched.push(id);
            return;
        }
        if stands != place {
            self.move_session(&stands, &place);
        }
        if walked.lately.is_empty() {
            self.lately.remove(&place);
        } else {
            self.lately.insert(place.clone(), walked.lately);
        }
        let stored = StoredSession {
            id,
            digest: walked.digest,
            presence: walked.presence,
            touch: Touch { last: 0, again: u32::from(walked.replan) },
            record: walked.record,
            departed: walked.departed,
            ambiguous: walked.ambiguous,
        };
        let same = |old: &StoredSession| (&old.digest, old.presence, &old.departed) == (&stored.digest, stored.presence, &stored.departed);
        let revision = self.sessions.get(&place).map_or(1, |old| old.revision + i64::from(!same(&old.stored)));
        self.sessions.insert(place.clone(), SessionRow { stored, start: walked.start, revision });
        for (participation, known) in walked.known {
            let place = (source.to_owned(), id, participation);
            let before = self.participants.get(&place);
            let (rsvp, answered_start) = before.map_or((None, None), |before| (before.rsvp, before.answered_start));
            self.participants.insert(place, Known { notices: Vec::new(), rsvp, answered_start, ..known });
        }
        for (key, then) in &walked.ahead {
            if let Some(entry) = self.rows.get_mut(key).map(|row| &mut row.entry) {
                entry.changed_at = *then;
                entry.accepted_at = entry.accepted_at.map(|at| at.min(*then));
            }
        }
        for change in &walked.changes {
            self.apply_change(source, at, change, applied);
        }
        for (key, facts) in walked.announced {
            self.rows.entry(key).and_modify(|row| row.entry.facts = Some(facts));
        }
        let omissions = walked.omissions.into_iter().map(|o| Omission { session: Some(id), ..o });
        self.omissions.insert(place, omissions.collect());
    }

    /// A new row, and its row in the ledger.
    pub(super) fn add(&mut self, row: Row, event: (Event, Option<String>), at: DateTime<Utc>) {
        let notice = &row.entry.notice;
        self.keys.entry((notice.session, notice.participation)).or_default().push(notice.key);
        if notice.address.channel() == Channel::Sms {
            self.by_number.entry(notice.address.expose().to_owned()).or_default().push(notice.key);
        }
        self.append(row.event(event.0, None, at, event.1));
        self.last_number += 1;
        self.numbers.insert(row.entry.notice.key, self.last_number);
        self.put(row);
    }

    /// A person hands over again what is over: a new notice.
    pub(super) fn resend(&mut self, who: Option<&str>, key: NoticeKey, to: Option<&Address>, now: DateTime<Utc>) -> Resent {
        let Some(row) = self.rows.get(&key).cloned() else { return Resent::Missing };
        let (notice, state) = (&row.entry.notice, row.entry.state);
        let known = self.known(&row.entry.source, notice.session, notice.participation).expect("a notice's participant is known");
        let new = match again(notice, state, &known.notices, to, now) {
            Ok(new) => Row::added(new, &row.entry.source, now),
            Err(refusal) => return refusal,
        };
        let key = new.entry.notice.key;
        self.append(row.event(Event::Resend, Some(state), now, Some(resent(key, who))));
        let event = Change::Add(new.entry.notice.clone()).in_words();
        self.add(new, event, now);
        Resent::As(key)
    }

    /// A person asks for it.
    pub(super) fn ask(&mut self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> bool {
        let new = !self.rows.contains_key(&notice.key);
        if new {
            self.add(Row::added(notice, source, now), (Event::Asked, Some(detail.to_owned())), now);
        }
        new
    }

    fn apply_change(&mut self, source: &str, at: DateTime<Utc>, change: &Change, applied: &mut Applied) {
        let event = change.in_words();
        match change {
            Change::Add(notice) if self.rows.contains_key(&notice.key) => {}
            Change::Add(notice) => {
                applied.added += 1;
                self.add(Row::added(notice.clone(), source, at), event, at);
            }
            Change::Move { key, .. } | Change::End { key, .. } => {
                let count = if matches!(change, Change::Move { .. }) { &mut applied.moved } else { &mut applied.ended };
                *count += usize::from(self.change(*key, event, at, |row| row.change(change, at).then_some(())).is_some());
            }
        }
    }

    /// A person's deed. Whether the notice was in a state for it.
    pub(super) fn act(&mut self, key: NoticeKey, (act, who): (Action, Option<String>), now: DateTime<Utc>) -> bool {
        let Some(entry) = self.change(key, (act.into(), who), now, |row| row.act(act, now).then(|| row.entry.clone())) else {
            return false;
        };
        if act == Action::CancelTold {
            // They know what holds now.
            let place = (entry.source.clone(), entry.notice.session, entry.notice.participation);
            let facts = self.participants.get(&place).map(|known| known.facts_now().to_owned());
            self.rows.entry(key).and_modify(|row| row.entry.facts = facts);
        }
        self.plan_entry_again(&entry, now);
        true
    }

    /// A coming session is planned again at the next walk, although its source says nothing new.
    pub(super) fn plan_entry_again(&mut self, entry: &Entry, now: DateTime<Utc>) {
        let place = (entry.source.clone(), entry.notice.session);
        if let Some(session) = self.sessions.get_mut(&place).filter(|s| s.start > now) {
            session.stored.touch.again += 1;
        }
    }

    /// A person puts an address on the list: somebody at the practice, or its owner.
    pub(super) fn suppress(&mut self, now: DateTime<Utc>, address: &Address, kind: Suppression, said_by: SaidBy) -> bool {
        let put = self.put_suppressed(&NewSuppression { address, kind, since: now, said_by, notice: None });
        if put {
            self.append(LedgerRow::new(now, Event::Suppressed, &format!("{}: {}", kind.as_str(), named(&suppression_key(address)))));
        }
        put
    }

    /// A person takes one off. Sessions that left somebody out are planned again at the next walk.
    pub(super) fn unsuppress(&mut self, now: DateTime<Utc>, key: &str) -> bool {
        let removed = self.suppressions.remove(key).is_some();
        if removed {
            self.plan_left_out(now);
            self.append(LedgerRow::new(now, Event::Unsuppressed, &named(key)));
        }
        removed
    }

    /// Coming sessions that left somebody out because of the list are planned again at the next walk.
    pub(super) fn plan_left_out(&mut self, now: DateTime<Utc>) {
        let listed = |reason: Option<Reason>| matches!(reason, Some(Reason::Bounced | Reason::OptedOut));
        let omitted = self.omissions.iter().filter(|(_, all)| all.iter().any(|o| listed(Some(o.reason)))).map(|(place, _)| place.clone());
        let ended = self.rows.values().filter(|row| row.entry.state == State::Suppressed && listed(row.entry.reason)).map(session_of);
        let left_out: Vec<(String, SessionId)> = omitted.chain(ended).collect();
        for place in left_out {
            if let Some(session) = self.sessions.get_mut(&place).filter(|s| s.start > now) {
                session.stored.touch.again += 1;
            }
        }
    }

    /// The session is planned again at the next walk, and attempts that were decided before are fenced.
    pub(super) fn unsettle(&mut self, place: &(String, SessionId)) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.stored.touch.again += 1;
            session.revision += 1;
        }
    }

    pub(super) fn put_suppressed(&mut self, new: &NewSuppression<'_>) -> bool {
        let listed = new.listed();
        let known = self.suppressions.get(&listed.key).map(|s| s.kind);
        if known.is_some() && (known, new.kind) != (Some(Suppression::Bounced), Suppression::OptedOut) {
            return false;
        }
        self.fence(&listed.key, new.notice);
        self.suppressions.insert(listed.key.clone(), listed);
        true
    }

    /// What is on its way to a suppressed address, and has not passed the point of no return, was decided before. `notice`: whose rejection says so.
    fn fence(&mut self, suppressed: &str, notice: Option<NoticeKey>) {
        let leaves = |row: &&Row| matches!(row.entry.state, State::Claimed | State::Sending) && Some(row.entry.notice.key) != notice;
        let there = self.rows.values().filter(leaves).filter(|row| suppression_key(&row.entry.notice.address) == suppressed);
        let places: Vec<(String, SessionId)> = there.map(session_of).collect();
        places.iter().for_each(|place| self.unsettle(place));
    }
}

pub(super) fn due_entry(row: &Row) -> Option<(Channel, DateTime<Utc>, NoticeKey)> {
    let (entry, notice) = (&row.entry, &row.entry.notice);
    let at = entry.next_attempt_at.filter(|_| matches!(entry.state, State::Waiting | State::Unknown))?;
    Some((notice.address.channel(), at, notice.key))
}

/// Where its session stands.
pub(super) fn session_of(row: &Row) -> (String, SessionId) {
    (row.entry.source.clone(), row.entry.notice.session)
}

/// How the ledger names an address. Nothing of it is kept, so its key is nobody's.
pub(super) fn named(key: &str) -> String {
    keyed_name(&[0; 32], key)
}
