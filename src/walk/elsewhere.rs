//! What the other sources say: which sessions stand under them, and who holds which code and participation.
//!
//! A session belongs to its id. It stands under one source; what another one says of it stands beside it. So a session that leaves one source and
//! is listed by another moves there, and what two sources tell differently is ambiguous, whichever said it first ([`crate::source::ambiguity`]
//! decides, as it does within one source). What may still hold a code is read from the store once, what is over when a source lists it, and both are
//! kept up to date by each walk; a practice with one source pays nothing until a single session is pushed to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::differ;
use crate::contact::ConnectCode;
use crate::outbox::{self, Outbox, SourceRow, WalkedSession};
use crate::plan::Policy;
use crate::session::live::HOLDS_FOR;
use crate::session::stored::{Also, Departed, StoredSession};
use crate::session::{ParticipationId, Presence, Session, SessionId, Snapshot, SourceRecord};
use crate::source::ambiguity::{self, Exclusive};
use crate::source::{json, stored};

/// The sessions of all sources, by what must be somebody's alone.
#[derive(Default)]
pub struct Elsewhere {
    is_read: bool,
    /// As of so many walks: others may have walked since.
    pub(super) walks: i64,
    pub(super) expected: Option<i64>,
    pub(super) held: HashMap<SessionId, StoredElsewhere>,
    /// Sessions that the store was asked for, and does not have.
    unheld: HashSet<SessionId>,
    /// Statements of sources about sessions that stand under another one.
    pub(super) also: HashMap<SessionId, Vec<(String, Session)>>,
    pub(super) holders: HashMap<Exclusive, Vec<SessionId>>,
    /// Sessions that a source's last list has in a record that cannot be read, or in two that differ.
    unread: HashMap<String, HashSet<SessionId>>,
}

/// A session of the store.
pub(super) struct StoredElsewhere {
    pub(super) source: String,
    /// Its source lists it, as far as is known.
    pub(super) listed: bool,
    /// It may: it cannot be heard, or not be read.
    unheard: bool,
    /// Its start, if it can be read.
    start: Option<DateTime<Utc>>,
    /// When its codes are in use no more, likewise.
    pub(super) codes_end: Option<DateTime<Utc>>,
    /// It does not, and the guard keeps it as it was.
    kept: bool,
    pub(super) claims: Vec<Exclusive>,
    /// Codes of people of whom it says another thing than what is in force, or nothing.
    pub(super) in_force: Vec<(ConnectCode, ParticipationId, String)>,
}

/// What the other sources say of what one says now.
#[derive(Default)]
pub(super) struct Beside {
    /// Sessions that stood under another source, which lists them no more: they move to this one.
    pub(super) from: HashMap<SessionId, String>,
    /// Sessions of this source's list that stand under another one.
    pub(super) second: HashSet<SessionId>,
    /// What this source says of them, if that is news.
    pub(super) also: Option<Vec<Also>>,
    /// Sessions that this source lists no more, and another one does: where they move to.
    pub(super) moves: BTreeMap<SessionId, (String, Session)>,
    /// Of these, what this source cannot be heard of: as it said it.
    still_said: BTreeMap<SessionId, Session>,
    /// Sessions of which another source has a record that cannot be read.
    pub(super) unread: HashSet<SessionId>,
    /// Sessions as all sources together tell them: those that share something with another source.
    pub(super) together: HashMap<SessionId, Session>,
    /// When one of them last said all that it lists: the one that was silent for the longest of those that are believed, since ever perhaps.
    pub(super) unheard: Option<DateTime<Utc>>,
    /// Of those that stand under another source, as the store has them.
    pub(super) others: BTreeMap<SessionId, (String, StoredSession)>,
}

impl Elsewhere {
    /// What others say beside this snapshot. `missing`: sessions of this source that it does not list, and why.
    pub(super) async fn beside(
        &mut self,
        outbox: &dyn Outbox,
        (source, snapshot): (&str, &Snapshot),
        missing: &[(SessionId, Presence)],
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> outbox::Result<Beside> {
        let sources = outbox.sources().await?;
        if sources.iter().all(|s| s.name == source) {
            return Ok(Beside::default());
        }
        self.know(outbox, &sources, now).await?;
        self.look_up(outbox, &sources, snapshot.sessions.iter().map(|s| s.id), now).await?;
        // One that never said what it lists is yet to say it. What cannot say all of it, be it for days, may list what this one does not.
        let unheard_since = |row: &SourceRow| {
            let in_part = row.whole_at != row.heard_at && row.heard_at.is_some_and(|then| policy.believes(then, now));
            let is_believed = in_part || row.whole_at.or(row.since).is_some_and(|then| policy.believes(then, now));
            is_believed.then(|| row.whole_at.unwrap_or(DateTime::<Utc>::MIN_UTC))
        };
        let unheard = sources.iter().filter(|row| row.name != source && !row.gone).filter_map(unheard_since).min();
        let twice = snapshot.sessions.iter().filter(|s| !s.twice.is_empty()).map(|s| s.id);
        self.unread.insert(source.to_owned(), snapshot.unreadable().chain(twice).collect());
        let unread = self.unread.iter().filter(|(of, _)| *of != source).flat_map(|(_, ids)| ids).copied().collect();
        let mut beside = Beside { unread, unheard, ..Beside::default() };
        self.place(outbox, (source, snapshot), (policy, now), &mut beside).await?;
        self.leave(outbox, (source, snapshot), (missing, now), &mut beside).await?;
        let missing: Vec<SessionId> = missing.iter().filter(|(_, why)| *why == Presence::Absent).map(|(id, _)| *id).collect();
        let yielded = self.second(source, snapshot, &mut beside);
        let involved = self.involved((source, snapshot), &beside, &yielded, now);
        self.tell_together(outbox, (source, snapshot), &missing, &mut beside, (&involved, now)).await?;
        Ok(beside)
    }

    /// Reads what may still hold a code, and what is listed twice, once.
    pub(super) async fn know(&mut self, outbox: &dyn Outbox, sources: &[SourceRow], now: DateTime<Utc>) -> outbox::Result<()> {
        if self.is_read { Ok(()) } else { self.read(outbox, sources, now).await }
    }

    async fn read(&mut self, outbox: &dyn Outbox, sources: &[SourceRow], now: DateTime<Utc>) -> outbox::Result<()> {
        let mut of: BTreeMap<String, Vec<SessionId>> = BTreeMap::new();
        for (source, id) in outbox.starting(now - HOLDS_FOR, DateTime::<Utc>::MAX_UTC, usize::MAX).await? {
            of.entry(source).or_default().push(id);
        }
        for row in sources {
            if let Some(ids) = of.get(&row.name) {
                self.take(row, outbox.sessions(&row.name, Some(ids)).await?, now);
            }
        }
        let also = outbox.also().await?;
        self.look_up(outbox, sources, also.iter().map(|(_, also)| also.id), now).await?;
        also.iter().for_each(|(of, also)| self.put_also(of, also, now));
        let gone: HashSet<&str> = sources.iter().filter(|row| row.gone).map(|row| row.name.as_str()).collect();
        for (of, fault) in outbox.faults().await? {
            if fault.participation.is_none() && !fault.is_word() && !gone.contains(of.as_str()) {
                self.unread.entry(of).or_default().extend(fault.session);
            }
        }
        self.is_read = true;
        Ok(())
    }

    /// Reads those that it did not meet yet: what is over, or new.
    pub(super) async fn look_up(
        &mut self,
        outbox: &dyn Outbox,
        sources: &[SourceRow],
        ids: impl Iterator<Item = SessionId>,
        now: DateTime<Utc>,
    ) -> outbox::Result<()> {
        let mut unmet: Vec<SessionId> = ids.filter(|id| !self.held.contains_key(id) && !self.unheld.contains(id)).collect();
        for row in sources {
            if unmet.is_empty() {
                return Ok(());
            }
            self.take(row, outbox.sessions(&row.name, Some(&unmet)).await?, now);
            unmet.retain(|id| !self.held.contains_key(id));
        }
        self.unheld.extend(unmet);
        Ok(())
    }

    fn take(&mut self, row: &SourceRow, stored: Vec<StoredSession>, now: DateTime<Utc>) {
        for stored in stored {
            // What waits of a source that is gone is held: whoever was told a code has it.
            let presence = if row.gone && stored.presence != Presence::Gone { Presence::Absent } else { stored.presence };
            self.put(&row.name, (stored.id, presence, &stored.digest), (&stored.record, &stored.departed), now);
        }
    }

    /// Where the sessions of this list stand that are another source's: one that it lists as well stays there, and what this list says of it stands
    /// beside; one that it lists no more moves. So does one that it cannot be heard of, if this list says the same. What the guard keeps there moves if
    /// this list says of it what was said before, and else waits where it is.
    async fn place(
        &self,
        outbox: &dyn Outbox,
        (source, snapshot): (&str, &Snapshot),
        (policy, now): (&Policy, DateTime<Utc>),
        beside: &mut Beside,
    ) -> outbox::Result<()> {
        let others = || snapshot.sessions.iter().filter_map(|s| Some((s, self.held.get(&s.id).filter(|held| held.source != source)?)));
        let mut asked: BTreeMap<&str, Vec<SessionId>> = BTreeMap::new();
        for (session, held) in others().filter(|(_, held)| held.unheard || held.kept) {
            asked.entry(&held.source).or_default().push(session.id);
        }
        let mut were = HashMap::new();
        for (name, ids) in asked {
            were.extend(outbox.sessions(name, Some(&ids)).await?.into_iter().map(|stored| (stored.id, stored)));
        }
        for (session, held) in others() {
            let was = were.get(&session.id);
            let as_it_was = || was.and_then(stored::session).is_some_and(|was| differ::differences(&was, session, policy, now).is_empty());
            let moves = match held {
                _ if held.kept => as_it_was(),
                _ if held.unheard => was.is_some_and(|was| says_the_same(was, session)),
                _ => !held.listed,
            };
            if moves {
                beside.from.insert(session.id, held.source.clone());
            } else {
                beside.second.insert(session.id);
            }
        }
        Ok(())
    }

    /// Sessions of this source that another one lists instead: those that it lists no more, be it that their start has passed; and those that it cannot
    /// be heard of, if the other one says the same.
    async fn leave(
        &self,
        outbox: &dyn Outbox,
        (source, snapshot): (&str, &Snapshot),
        (missing, now): (&[(SessionId, Presence)], DateTime<Utc>),
        beside: &mut Beside,
    ) -> outbox::Result<()> {
        let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
        let missing: HashMap<SessionId, Presence> = missing.iter().copied().collect();
        let mut unheard = Vec::new();
        for (id, all) in &self.also {
            let Some(held) = self.held.get(id).filter(|held| held.source == source && !listed.contains(id)) else { continue };
            let Some((to, said)) = all.iter().find(|(of, _)| of != source) else { continue };
            let is_over = snapshot.is_whole() && held.listed && held.start.is_some_and(|start| start <= now);
            match missing.get(id) {
                Some(Presence::Unknown | Presence::Unreadable) => unheard.push(*id),
                Some(Presence::Absent) => drop(beside.moves.insert(*id, (to.clone(), said.clone()))),
                None if is_over => drop(beside.moves.insert(*id, (to.clone(), said.clone()))),
                _ => {}
            }
        }
        for was in outbox.sessions(source, Some(&unheard)).await? {
            let same = |(of, said): &&(String, Session)| of != source && says_the_same(&was, said);
            let to = self.also.get(&was.id).and_then(|all| all.iter().find(same));
            if let Some(((to, said), own)) = to.zip(json::stored_record(&was.record)) {
                beside.moves.insert(was.id, (to.clone(), said.clone()));
                beside.still_said.insert(was.id, own);
            }
        }
        Ok(())
    }

    /// What this source says of sessions that stand under others; and those that it has said something of, and does no more.
    fn second(&self, source: &str, snapshot: &Snapshot, beside: &mut Beside) -> BTreeSet<SessionId> {
        let before: BTreeMap<SessionId, &Session> =
            self.also.iter().filter_map(|(id, all)| all.iter().find(|(of, _)| of == source).map(|(_, session)| (*id, session))).collect();
        let mut now: BTreeMap<SessionId, &Session> =
            snapshot.sessions.iter().filter(|s| beside.second.contains(&s.id)).map(|s| (s.id, s)).collect();
        if !snapshot.is_whole() {
            for (id, said) in before.iter().filter(|(id, _)| !beside.from.contains_key(id)) {
                now.entry(*id).or_insert(said);
            }
        }
        // What it cannot be heard of, and moves to one that says the same, is still said by it.
        now.extend(beside.still_said.iter().map(|(id, said)| (*id, said)));
        let same = |was: &Session, is: &Session| is.record == was.record && is.twice.is_empty() == was.twice.is_empty();
        let same = before.len() == now.len() && before.iter().all(|(id, was)| now.get(id).is_some_and(|is| same(was, is)));
        let yielded = before.keys().filter(|id| !now.contains_key(id)).copied().collect();
        if !same {
            let also = |s: &&Session| Also { id: s.id, start: s.start, record: s.record.clone() };
            beside.also = Some(now.values().map(also).collect());
        }
        yielded
    }

    /// Sessions that share a session, a code or a participation with another source, or did, and whatever shares something with those.
    fn involved(
        &self,
        (source, snapshot): (&str, &Snapshot),
        beside: &Beside,
        yielded: &BTreeSet<SessionId>,
        now: DateTime<Utc>,
    ) -> BTreeSet<SessionId> {
        let mut local: HashMap<Exclusive, Vec<SessionId>> = HashMap::new();
        let mut said: HashMap<SessionId, Vec<Exclusive>> = HashMap::new();
        for session in &snapshot.sessions {
            let claims = ambiguity::claims(session, now);
            claims.iter().for_each(|claim| local.entry(*claim).or_default().push(session.id));
            said.insert(session.id, claims);
        }
        let is_other = |id: &SessionId| self.held.get(id).is_some_and(|held| held.source != source);
        let mine = self.held.values().filter(|held| held.source == source).flat_map(|held| &held.claims);
        let shared = mine.chain(local.keys()).filter_map(|claim| self.holders.get(claim)).flatten();
        let mut queue: Vec<SessionId> = shared.copied().filter(|id| is_other(id)).collect();
        queue.extend(beside.second.iter().chain(beside.moves.keys()).chain(beside.from.keys()).copied());
        queue.extend(yielded.iter().copied());
        queue.extend(self.also.keys().filter(|id| !is_other(id)));
        let mut involved = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if !involved.insert(id) {
                continue;
            }
            let of_store = self.held.get(&id).map(|held| held.claims.as_slice()).unwrap_or_default();
            let of_snapshot = said.get(&id).map(Vec::as_slice).unwrap_or_default();
            for claim in of_store.iter().chain(of_snapshot) {
                queue.extend(self.holders.get(claim).into_iter().chain(local.get(claim)).flatten().filter(|id| !involved.contains(id)));
            }
        }
        involved
    }

    /// Whether it holds anything that walks must keep up to date.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// A walk was applied.
    pub(super) fn applied(&mut self, source: &str, also: Option<&[Also]>, sessions: &[WalkedSession], now: DateTime<Utc>) {
        if !self.is_read {
            return;
        }
        if let Some(also) = also {
            self.also.values_mut().for_each(|all| all.retain(|(of, _)| of != source));
            also.iter().for_each(|also| self.put_also(source, also, now));
        }
        for walked in sessions {
            let of = walked.of.as_deref().unwrap_or(source);
            if let Some(all) = self.also.get_mut(&walked.id) {
                all.retain(|(said_by, _)| said_by != of);
            }
            self.put(of, (walked.id, walked.presence, &walked.digest), (&walked.record, &walked.departed), now);
        }
        self.also.retain(|_, all| !all.is_empty());
    }

    fn put(
        &mut self,
        source: &str,
        (id, presence, digest): (SessionId, Presence, &str),
        (record, departed): (&SourceRecord, &[Departed]),
        now: DateTime<Utc>,
    ) {
        if let Some(before) = self.held.remove(&id) {
            for claim in before.claims {
                self.holders.entry(claim).or_default().retain(|holder| *holder != id);
            }
        }
        self.unheld.remove(&id);
        let listed = is_listed(presence);
        let session = json::stored_record(record);
        let (start, codes_end) = session.as_ref().map(|s| (s.start, s.codes_end())).unzip();
        let session = session.filter(|s| presence != Presence::Gone && s.start + HOLDS_FOR > now);
        let in_force =
            session.as_ref().filter(|s| s.holds_codes(now)).map(|_| stored::in_force(record, presence, departed)).unwrap_or_default();
        let in_force: Vec<(ConnectCode, ParticipationId, String)> =
            in_force.iter().filter_map(|person| Some((person.code?, person.id, differ::who(person)))).collect();
        let mut claims = session.map(|s| ambiguity::claims(&s, now)).unwrap_or_default();
        claims.extend(in_force.iter().map(|(code, _, _)| Exclusive::Code(*code)));
        claims.iter().for_each(|claim| self.holders.entry(*claim).or_default().push(id));
        let kept = presence.is_kept() && digest.is_empty();
        let unheard = matches!(presence, Presence::Unknown | Presence::Unreadable);
        self.held.insert(id, StoredElsewhere { source: source.to_owned(), listed, unheard, start, codes_end, kept, claims, in_force });
    }

    fn put_also(&mut self, source: &str, also: &Also, now: DateTime<Utc>) {
        let Some(mut session) = json::stored_record(&also.record) else { return };
        if self.unread.get(source).is_some_and(|unclear| unclear.contains(&also.id)) {
            ambiguity::mark_twice(&mut session);
        }
        for claim in ambiguity::claims(&session, now) {
            let holders = self.holders.entry(claim).or_default();
            if !holders.contains(&also.id) {
                holders.push(also.id);
            }
        }
        self.also.entry(also.id).or_default().push((source.to_owned(), session));
    }
}

/// What is said now is what was said before, and neither of them twice.
fn says_the_same(was: &StoredSession, is: &Session) -> bool {
    was.ambiguous.is_empty() && is.twice.is_empty() && ambiguity::still_says(&was.record, is)
}

/// The source lists it, as far as is known.
pub(super) fn is_listed(presence: Presence) -> bool {
    !matches!(presence, Presence::Absent | Presence::Gone)
}
