//! The tables of the store in memory, and what each write does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::guard::Guard;
use crate::contact::{Address, Channel, Number, PhoneNumber};
use crate::entry::{Change, Delivery, Entry, Phase, State};
use crate::feedback::reply::{Waiting, Written};
use crate::guard::{GuardKind, Member, Standing};
use crate::known::resend::{Resent, again};
use crate::known::{Known, KnownNotice, REMINDED_MAX, Reminded, SHARED_MAX};
use crate::ledger::{Anchor, CHECKPOINT, LedgerRow};
use crate::notice::{Notice, NoticeKey, Occasion, Omission, Reason};
use crate::outbox::transition::{Doubt, Recovery, Row};
use crate::outbox::words::resent;
use crate::outbox::{
    Act, Alert, Applied, Begin, Claim, ClaimRequest, Filter, Lease, Purged, Recovered, Rest, Retention, SeenSession, Settlement,
    SourceStatus, StaffLetter, Status, Walk, WalkedSession,
};
use crate::receipt::Fate;
use crate::session::stored::{Also, StoredSession, Touch};
use crate::session::{Fault, ParticipationId, Presence, SessionId};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, keyed_name, suppression_key};

/// An answer, and where it is.
pub(super) struct Kept {
    pub(super) waiting: Waiting,
    pub(super) at: DateTime<Utc>,
    pub(super) is_waiting: bool,
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) clock: DateTime<Utc>,
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) sessions: BTreeMap<(String, SessionId), Session>,
    /// What sources say of sessions that stand under another one, by id.
    pub(super) also: BTreeMap<String, Vec<Also>>,
    pub(super) participants: BTreeMap<(String, SessionId, ParticipationId), Known>,
    pub(super) rows: BTreeMap<NoticeKey, Row>,
    /// In which order they were added.
    numbers: HashMap<NoticeKey, u64>,
    last_number: u64,
    /// What may be claimed: kept in step with `rows` by [`Tables::put`].
    pub(super) due: BTreeSet<(Channel, DateTime<Utc>, NoticeKey)>,
    /// The keys of each participant's notices.
    keys: HashMap<(SessionId, ParticipationId), Vec<NoticeKey>>,
    /// The keys of each number's texts.
    by_number: HashMap<String, Vec<NoticeKey>>,
    pub(super) content: HashMap<NoticeKey, Vec<u8>>,
    pub(super) deliveries: HashMap<NoticeKey, Vec<(i64, Delivery)>>,
    pub(super) omissions: BTreeMap<(String, SessionId), Vec<Omission>>,
    pub(super) suppressions: BTreeMap<String, SuppressedAddress>,
    /// Numbers that somebody answered from, and when last.
    pub(super) heard: HashMap<PhoneNumber, DateTime<Utc>>,
    /// When each reply was taken.
    pub(super) replies: HashMap<NoticeKey, DateTime<Utc>>,
    pub(super) answers: Vec<Kept>,
    /// What people wrote, in the order in which it came; and whether somebody read it.
    pub(super) said: Vec<(Written, bool)>,
    /// By scheduled time and recipient.
    pub(super) letters: BTreeMap<(DateTime<Utc>, String), StaffLetter>,
    /// By key.
    pub(super) alerts: BTreeMap<String, Alert>,
    pub(super) ledger: Vec<LedgerRow>,
    /// The last row about each session.
    last_rows: HashMap<SessionId, i64>,
    /// Its last row.
    pub(super) head: Anchor,
    /// The last row that a purge took.
    pub(super) checkpoint: Option<Anchor>,
}

pub(super) struct Source {
    pub(super) last_snapshot_at: DateTime<Utc>,
    pub(super) whole_at: Option<DateTime<Utc>>,
    pub(super) policy_digest: String,
    faults: Vec<Fault>,
    pub(super) guard: Guard,
    pub(super) filled: bool,
    pub(super) adopting: Vec<SessionId>,
    pub(super) gone: bool,
}

pub(super) struct Session {
    /// But for the ledger's part of its touch.
    pub(super) stored: StoredSession,
    pub(super) start: DateTime<Utc>,
    revision: i64,
}

impl Session {
    pub(super) fn seen(&self) -> SeenSession {
        let StoredSession { digest, presence, touch, .. } = &self.stored;
        SeenSession { digest: digest.clone(), presence: *presence, replan: touch.again > 0, start: self.start }
    }
}

impl Tables {
    fn put(&mut self, row: Row) {
        let key = row.entry.notice.key;
        if let Some(old) = self.rows.get(&key).and_then(due_entry) {
            self.due.remove(&old);
        }
        self.due.extend(due_entry(&row));
        self.rows.insert(key, row);
    }

    pub(super) fn append(&mut self, mut row: LedgerRow) {
        row.seq = self.head.seq + 1;
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
        event: (&str, Option<String>),
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
        for session in walk.sessions {
            self.apply_session(&walk.source, walk.at, session, &mut applied);
        }
        applied
    }

    fn put_source(&mut self, walk: &mut Walk) {
        let before = self.sources.remove(&walk.source);
        let whole_before = before.as_ref().and_then(|before| before.whole_at);
        let mut guard = before.map(|before| before.guard).unwrap_or_default();
        guard.change(std::mem::take(&mut walk.guard));
        let (last_snapshot_at, policy_digest) = (walk.at, walk.policy_digest.clone());
        let (filled, adopting) = (walk.filled, std::mem::take(&mut walk.adopting));
        let faults = std::mem::take(&mut walk.faults);
        let whole_at = if walk.whole { Some(walk.at) } else { whole_before };
        let source = Source { last_snapshot_at, whole_at, policy_digest, faults, guard, filled, adopting, gone: false };
        self.sources.insert(walk.source.clone(), source);
    }

    pub(super) fn rest(&self, name: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Option<Rest> {
        let source = self.sources.get(name)?;
        let again = |session: &Session| session.stored.touch.again > 0;
        let waits = |session: &Session| {
            let absent = session.stored.presence == Presence::Absent && session.start > now;
            session.start > since && (again(session) || absent)
        };
        let decided = |m: &Member| {
            let session = self.sessions.get(&(name.to_owned(), m.session)).filter(|session| again(session));
            m.standing != Standing::Waiting && session.is_some_and(|s| m.kind != GuardKind::Removed || s.start > now)
        };
        let unsettled =
            self.sessions.iter().any(|((of, _), session)| of == name && waits(session)) || source.guard.set().members.iter().any(decided);
        Some(Rest { policy_digest: source.policy_digest.clone(), last_snapshot_at: source.last_snapshot_at, unsettled })
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
    fn touch(&self, place: &(String, SessionId)) -> Touch {
        let again = self.sessions.get(place).map_or(0, |session| session.stored.touch.again);
        Touch { last: self.last_rows.get(&place.1).copied().unwrap_or_default(), again }
    }

    /// A session as it stands now.
    pub(super) fn stored(&self, place: &(String, SessionId)) -> Option<StoredSession> {
        let session = self.sessions.get(place)?;
        Some(StoredSession { touch: self.touch(place), ..session.stored.clone() })
    }

    fn apply_session(&mut self, source: &str, at: DateTime<Utc>, walked: WalkedSession, applied: &mut Applied) {
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
        self.sessions.insert(place.clone(), Session { stored, start: walked.start, revision });
        for (participation, known) in walked.known {
            let place = (source.to_owned(), id, participation);
            let before = self.participants.get(&place);
            let (rsvp, answered_start) = before.map_or((None, None), |before| (before.rsvp, before.answered_start));
            self.participants.insert(place, Known { notices: Vec::new(), rsvp, answered_start, ..known });
        }
        if walked.ahead {
            let of_it = self.rows.values_mut().map(|row| &mut row.entry).filter(|e| e.source == source && e.notice.session == id);
            for entry in of_it {
                entry.changed_at = entry.changed_at.min(at);
                entry.accepted_at = entry.accepted_at.map(|then| then.min(at));
            }
        }
        for change in &walked.changes {
            self.apply_change(source, at, change, applied);
        }
        let omissions = walked.omissions.into_iter().map(|o| Omission { session: Some(id), ..o });
        self.omissions.insert(place, omissions.collect());
    }

    /// A new row, and its row in the ledger.
    fn add(&mut self, row: Row, event: (&str, Option<String>), at: DateTime<Utc>) {
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
        self.append(row.event("resend", Some(state), now, Some(resent(key, who))));
        let event = Change::Add(new.entry.notice.clone()).in_words();
        self.add(new, event, now);
        Resent::As(key)
    }

    /// A person asks for it.
    pub(super) fn ask(&mut self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> bool {
        let new = !self.rows.contains_key(&notice.key);
        if new {
            self.add(Row::added(notice, source, now), ("asked", Some(detail.to_owned())), now);
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

    pub(super) fn known(&self, source: &str, session: SessionId, participation: ParticipationId) -> Option<Known> {
        let known = self.participants.get(&(source.to_owned(), session, participation))?;
        let keys = self.keys.get(&(session, participation)).map_or(&[][..], Vec::as_slice);
        let mut notices: Vec<KnownNotice> =
            keys.iter().map(|key| &self.rows[key]).filter(|row| row.entry.source == source).map(Into::into).collect();
        notices.sort_by_key(|n| (n.notice.due_at, n.notice.key));
        let is_lost = |key: &NoticeKey| self.deliveries.get(key)?.last()?.1.receipt.map(Fate::is_lost);
        notices.iter_mut().for_each(|n| n.undelivered = is_lost(&n.notice.key).unwrap_or(false));
        let reminded = self.reminded(source, session, &notices);
        let numbers = self.numbers(known.person.as_deref(), &notices);
        let is_off = known.cancelled || known.absent_since.is_some();
        let expected = if is_off { self.expected((session, participation), known, &notices) } else { Vec::new() };
        Some(Known { reminded, expected, numbers, notices, ..known.clone() })
    }

    /// Where the same person is told of another participation that stands, for the starts of these notices.
    fn expected(&self, this: (SessionId, ParticipationId), known: &Known, notices: &[KnownNotice]) -> Vec<(Address, DateTime<Utc>)> {
        let told: HashSet<(&Address, DateTime<Utc>)> = notices.iter().map(|n| (&n.notice.address, n.notice.start)).collect();
        let stands = |at: &(&Address, DateTime<Utc>)| {
            self.rows.values().map(|row| &row.entry).any(|e| {
                let pending =
                    matches!(e.state, State::Waiting | State::Claimed | State::Sending | State::Accepted | State::Unknown | State::Held);
                let told = pending || e.reason == Some(Reason::Adopted);
                let other = self.participants.get(&(e.source.clone(), e.notice.session, e.notice.participation));
                (&e.notice.address, e.notice.start) == *at
                    && told
                    && e.notice.occasion != Occasion::Cancelled
                    && (e.notice.session, e.notice.participation) != this
                    && other.is_some_and(|o| {
                        o.person.is_some() && o.person == known.person && o.start == at.1 && !o.cancelled && o.absent_since.is_none()
                    })
            })
        };
        told.into_iter().filter(stands).map(|(address, start)| (address.clone(), start)).collect()
    }

    /// What is known of the numbers of these notices.
    fn numbers(&self, person: Option<&str>, notices: &[KnownNotice]) -> Vec<(PhoneNumber, Number)> {
        let mut found: Vec<(PhoneNumber, Number)> = Vec::new();
        for notice in notices {
            let Address::Sms(to) = &notice.notice.address else { continue };
            if found.iter().any(|(number, _)| number == to) {
                continue;
            }
            let mut texts: Vec<&Entry> =
                self.by_number[to.expose()].iter().filter_map(|key| self.rows.get(key)).map(|row| &row.entry).collect();
            texts.sort_by_key(|e| std::cmp::Reverse(e.notice.start));
            let who = |e: &&Entry| self.participants.get(&(e.source.clone(), e.notice.session, e.notice.participation))?.person.as_deref();
            let others = texts.iter().take(SHARED_MAX).filter_map(who);
            let shared = person.is_some_and(|this| others.into_iter().any(|other| other != this));
            found.push((to.clone(), Number { answered: self.heard.contains_key(to), shared }));
        }
        found
    }

    /// Reminders of other sessions, to the numbers of these notices.
    fn reminded(&self, source: &str, session: SessionId, notices: &[KnownNotice]) -> Vec<Reminded> {
        let addresses = notices.iter().map(|n| &n.notice.address).filter(|a| a.channel() == Channel::Sms);
        let numbers: BTreeSet<&str> = addresses.map(Address::expose).collect();
        let mut found = Vec::new();
        for number in numbers {
            let keys = self.by_number.get(number).map_or(&[][..], Vec::as_slice);
            let mut theirs: Vec<&Entry> = keys.iter().filter_map(|key| self.rows.get(key)).map(|row| &row.entry).collect();
            theirs.retain(|e| {
                let went = matches!(e.state, State::Claimed | State::Sending | State::Accepted | State::Unknown);
                let other = (e.source.as_str(), e.notice.session) != (source, session);
                went && other && e.notice.occasion == crate::notice::Occasion::Reminder
            });
            theirs.sort_by_key(|e| std::cmp::Reverse(e.notice.start));
            found.extend(theirs.iter().take(REMINDED_MAX).map(|e| Reminded {
                at: e.accepted_at.unwrap_or(e.changed_at),
                underway: matches!(e.state, State::Claimed | State::Sending),
                person: self.participants.get(&(e.source.clone(), e.notice.session, e.notice.participation)).and_then(|k| k.person.clone()),
            }));
        }
        found.sort_unstable();
        found
    }

    /// What could be claimed at that time.
    pub(super) fn due_by(&self, channel: Channel, now: DateTime<Utc>) -> impl Iterator<Item = &crate::notice::Notice> {
        let due = self.due.range((channel, DateTime::<Utc>::MIN_UTC, NoticeKey([0; 16]))..=(channel, now, NoticeKey([0xFF; 16])));
        due.map(|(_, _, key)| &self.rows[key].entry.notice)
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Vec<Claim> {
        let due = self.due_by(request.channel, request.now);
        let mut due: Vec<_> = due.map(|n| (n.useful_until, n.due_at, self.numbers[&n.key], n.key)).collect();
        due.sort_unstable();
        due.truncate(request.limit);
        due.into_iter().map(|(_, _, _, key)| self.claim_one(key, request)).collect()
    }

    fn claim_one(&mut self, key: NoticeKey, request: &ClaimRequest) -> Claim {
        let entry = self.rows[&key].entry.clone();
        let lease_until = self.clock + request.lease;
        self.change(key, ("claimed", None), request.now, |row| {
            row.claim(&request.owner, lease_until, request.now);
            Some(())
        });
        let (row, notice) = (&self.rows[&key], &entry.notice);
        let session = &self.sessions[&(entry.source.clone(), notice.session)];
        let known = self.known(&entry.source, notice.session, notice.participation).expect("a notice's participant is known");
        Claim {
            epoch: row.epoch,
            session: session.stored.clone(),
            revision: session.revision,
            snapshot_at: self.sources[&entry.source].last_snapshot_at,
            known,
            frozen: row.doubt.and_then(|_| self.content.get(&key).cloned()),
            frozen_at: row.doubt.and_then(|_| self.deliveries.get(&key)?.last()).map(|(_, delivery)| delivery.started_at),
            entry,
        }
    }

    /// Ends what is past its useful time.
    pub(super) fn lapse(&mut self, now: DateTime<Utc>) -> Vec<Entry> {
        // What is tried again later is looked at then.
        let due = |entry: &Entry| entry.state != State::Waiting || entry.next_attempt_at.is_some_and(|at| at <= now);
        let past = self.rows.values().filter(|row| due(&row.entry) && row.entry.notice.useful_until <= now);
        let past: Vec<NoticeKey> = past.map(|row| row.entry.notice.key).collect();
        let mut lapsed = Vec::new();
        for key in past {
            if let Some(entry) = self.change(key, ("lapsed", None), now, |row| row.lapse(now).then(|| row.entry.clone())) {
                self.plan_entry_again(&entry, now);
                lapsed.push(entry);
            }
        }
        lapsed
    }

    pub(super) fn lapsed(&self, since: DateTime<Utc>) -> Vec<Entry> {
        let mut all: Vec<&Entry> = self.rows.values().map(|row| &row.entry).collect();
        all.retain(|entry| entry.state == State::Lapsed && entry.changed_at >= since);
        all.sort_by_key(|entry| (entry.changed_at, self.numbers[&entry.notice.key]));
        all.into_iter().cloned().collect()
    }

    /// A person's deed. Whether the notice was in a state for it.
    pub(super) fn act(&mut self, key: NoticeKey, (act, who): (Act, Option<String>), now: DateTime<Utc>) -> bool {
        let Some(entry) = self.change(key, (act.as_str(), who), now, |row| row.act(act, now).then(|| row.entry.clone())) else {
            return false;
        };
        if act == Act::CancelTold {
            // They know what holds now.
            let place = (entry.source.clone(), entry.notice.session, entry.notice.participation);
            let facts = self.participants.get(&place).map(|known| known.facts_now().to_owned());
            self.rows.entry(key).and_modify(|row| row.entry.facts = facts);
        }
        self.plan_entry_again(&entry, now);
        true
    }

    /// A coming session is planned again at the next walk, although its source says nothing new.
    fn plan_entry_again(&mut self, entry: &Entry, now: DateTime<Utc>) {
        let place = (entry.source.clone(), entry.notice.session);
        if let Some(session) = self.sessions.get_mut(&place).filter(|s| s.start > now) {
            session.stored.touch.again += 1;
        }
    }

    fn is_latest(&self, key: NoticeKey, revision: i64) -> bool {
        let session = self.rows.get(&key).and_then(|row| self.sessions.get(&(row.entry.source.clone(), row.entry.notice.session)));
        session.is_some_and(|s| s.revision == revision)
    }

    pub(super) fn begin(&mut self, begin: Begin) -> bool {
        let Begin { lease, at, .. } = begin;
        let event = ("begun", Some(begin.transport.clone()));
        let begun = self.is_latest(lease.key, begin.revision)
            && self.change(lease.key, event, at, |row| row.begin(lease, &begin.facts, at).then_some(())).is_some();
        if begun {
            self.freeze(begin, Phase::Pre);
        }
        begun
    }

    pub(super) fn take(&mut self, begin: Begin, margin: TimeDelta) -> bool {
        let Begin { lease, at, .. } = begin;
        let now = self.clock;
        let event = ("doubted", Some(begin.transport.clone()));
        let taken = self.is_latest(lease.key, begin.revision)
            && !self.receipt_came(lease.key)
            && self.change(lease.key, event, now, |row| row.take(lease, &begin.facts, (at, now), margin).then_some(())).is_some();
        if taken {
            self.freeze(begin, Phase::Doubt);
        }
        taken
    }

    /// The bytes of an attempt, and its delivery.
    fn freeze(&mut self, Begin { lease, at, transport, bytes, .. }: Begin, phase: Phase) {
        self.content.insert(lease.key, bytes.to_vec());
        let all = self.deliveries.entry(lease.key).or_default();
        let delivery = Delivery {
            attempt: all.len() as u32 + 1,
            started_at: at,
            phase,
            ended_at: None,
            outcome: None,
            transport: Some(transport),
            reply: None,
            receipt: None,
            receipt_at: None,
            receipt_detail: None,
        };
        all.push((lease.epoch, delivery));
    }

    pub(super) fn doubt(&mut self, lease: Lease, revision: i64, margin: TimeDelta) -> bool {
        let now = self.clock;
        let crossed = self.is_latest(lease.key, revision)
            && !self.receipt_came(lease.key)
            && self.change(lease.key, ("doubted", None), now, |row| row.cross(lease, now, margin).then_some(())).is_some();
        if crossed {
            let all = self.deliveries.entry(lease.key).or_default();
            all.iter_mut().filter(|(epoch, _)| *epoch == lease.epoch).for_each(|(_, d)| d.phase = Phase::Doubt);
        }
        crossed
    }

    pub(super) fn goes_over(&mut self, lease: Lease, transport: &str) -> bool {
        let rule = |row: &mut Row| row.go_over(lease).then_some(());
        let over = self.change(lease.key, ("rerouted", Some(transport.to_owned())), self.clock, rule).is_some();
        if over {
            let all = self.deliveries.entry(lease.key).or_default();
            all.iter_mut().filter(|(epoch, _)| *epoch == lease.epoch).for_each(|(_, d)| {
                d.transport = Some(transport.to_owned());
                d.phase = Phase::Pre;
            });
        }
        over
    }

    pub(super) fn settle(&mut self, at: DateTime<Utc>, lease: Lease, end: &Settlement) -> bool {
        let by_receipt = Settlement::by_receipt();
        let told = end.is_open() && self.receipt_came(lease.key);
        let end = if told { &by_receipt } else { end };
        let (outcome, reply) = end.in_words();
        self.close_delivery(lease, at, outcome, reply);
        let settled = self.change(lease.key, ("settled", Some(end.detail())), at, |row| row.settle(lease, end, at).then(|| row.clone()));
        if let (Some(row), Settlement::Rejected { .. }) = (&settled, end) {
            // What was left out because of it may go after all.
            self.plan_entry_again(&row.entry, at);
        }
        if let (Some(row), Settlement::Rejected { remember: Some(kind), .. }) = (&settled, end)
            && self.put_suppressed(&row.entry.notice.address, *kind, at, (SaidBy::Refusal, Some(lease.key)))
        {
            self.append(row.suppressed(*kind, at));
        }
        settled.is_some()
    }

    /// A person puts an address on the list: somebody at the practice, or its owner.
    pub(super) fn suppress(&mut self, now: DateTime<Utc>, address: &Address, kind: Suppression, said_by: SaidBy) -> bool {
        let put = self.put_suppressed(address, kind, now, (said_by, None));
        if put {
            self.append(LedgerRow::note(now, "suppressed", &format!("{}: {}", kind.as_str(), named(&suppression_key(address)))));
        }
        put
    }

    /// A person takes one off. Sessions that left somebody out are planned again at the next walk.
    pub(super) fn unsuppress(&mut self, now: DateTime<Utc>, key: &str) -> bool {
        let removed = self.suppressions.remove(key).is_some();
        if removed {
            self.plan_left_out(now);
            self.append(LedgerRow::note(now, "unsuppressed", &named(key)));
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

    pub(super) fn put_suppressed(
        &mut self,
        address: &Address,
        kind: Suppression,
        since: DateTime<Utc>,
        from: (SaidBy, Option<NoticeKey>),
    ) -> bool {
        let key = suppression_key(address);
        let known = self.suppressions.get(&key).map(|s| s.kind);
        if known.is_some() && (known, kind) != (Some(Suppression::Bounced), Suppression::OptedOut) {
            return false;
        }
        self.suppressions.insert(
            key.clone(),
            SuppressedAddress { key, kind, since, shown: address.to_string(), said_by: from.0, notice: from.1.map(|key| key.to_string()) },
        );
        true
    }

    pub(super) fn purge(&mut self, now: DateTime<Utc>, retention: Retention) -> Purged {
        let content_before = retention.content_before.max(retention.history_before);
        let resting =
            |rows: &BTreeMap<NoticeKey, Row>, key: &NoticeKey, before| rows[key].at_rest() && rows[key].entry.notice.start < before;
        let mut purged = Purged::default();
        self.letters.retain(|(scheduled_at, _), _| *scheduled_at >= retention.history_before);
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
    fn purge_ledger(&mut self, now: DateTime<Utc>, before: DateTime<Utc>) -> u64 {
        let old = self.ledger.iter().take_while(|row| row.at < before).count();
        let Some(last) = old.checked_sub(1).and_then(|n| self.ledger.get(n)) else { return 0 };
        let checkpoint = Anchor { seq: last.seq, link: last.chain.unwrap_or_default() };
        self.append(LedgerRow::note(now, CHECKPOINT, &checkpoint.to_string()));
        self.ledger.drain(..old);
        self.last_rows.retain(|_, seq| *seq > checkpoint.seq);
        self.checkpoint = Some(checkpoint);
        old as u64
    }

    fn forget(&mut self, key: NoticeKey) {
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

    fn close_delivery(&mut self, lease: Lease, at: DateTime<Utc>, outcome: &str, reply: Option<&str>) {
        let all = self.deliveries.get_mut(&lease.key).into_iter().flatten();
        for (_, delivery) in
            all.filter(|(epoch, d)| *epoch == lease.epoch && (d.ended_at.is_none() || d.outcome.as_deref() == Some("crashed")))
        {
            delivery.ended_at = Some(at);
            delivery.outcome = Some(outcome.to_owned());
            delivery.reply = reply.map(str::to_owned);
        }
    }

    pub(super) fn recover(&mut self, owner: &str, now: DateTime<Utc>, everything: bool) -> Recovered {
        let (clock, mut returned) = (self.clock, 0);
        let held: Vec<NoticeKey> = self.rows.iter().filter(|(_, row)| row.claim.is_some()).map(|(key, _)| *key).collect();
        for key in held {
            let epoch = self.rows[&key].epoch;
            let told = self.receipt_came(key);
            let recovered = self.change(key, ("recovered", None), now, |row| {
                let recovery = row.recover(owner, clock, everything, now)?;
                if recovery == Recovery::InDoubt && told {
                    row.receive(now);
                }
                Some(recovery)
            });
            let Some(recovery) = recovered else { continue };
            returned += usize::from(recovery == Recovery::Returned);
            self.close_delivery(Lease { key, epoch }, now, "crashed", None);
        }
        let undecided = |row: &&Row| row.doubt == Some(Doubt::Undecided);
        Recovered { returned, in_doubt: self.rows.values().filter(undecided).map(|row| row.entry.notice.key).collect() }
    }

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

fn due_entry(row: &Row) -> Option<(Channel, DateTime<Utc>, NoticeKey)> {
    let (entry, notice) = (&row.entry, &row.entry.notice);
    let at = entry.next_attempt_at.filter(|_| matches!(entry.state, State::Waiting | State::Unknown))?;
    Some((notice.address.channel(), at, notice.key))
}

/// Where its session stands.
fn session_of(row: &Row) -> (String, SessionId) {
    (row.entry.source.clone(), row.entry.notice.session)
}

fn matches(filter: &Filter, entry: &Entry) -> bool {
    let notice = &entry.notice;
    filter.session.is_none_or(|s| notice.session == s)
        && filter.participation.is_none_or(|p| notice.participation == p)
        && filter.occasion.is_none_or(|o| notice.occasion == o)
        && (filter.states.is_empty() || filter.states.contains(&entry.state))
        && (filter.keys.is_empty() || filter.keys.contains(&notice.key))
}

/// How the ledger names an address. Nothing of it is kept, so its key is nobody's.
fn named(key: &str) -> String {
    keyed_name(&[0; 32], key)
}
