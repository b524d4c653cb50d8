//! What people had until lately, or got lately: a column may slip over several lists, in single changes or in several sources. Pure.
//!
//! What somebody has left counts as theirs for [`WITHIN`]; if nothing stands in its place, or the guard keeps them as they were, until a day after
//! their start. What somebody has got counts for [`WITHIN`]: if its owner leaves it then, it was no shared mailbox.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::Walker;
use super::differ::who;
use super::guard::WITHIN;
use super::occupied::is_disputed;
use super::slips::{Item, alike, form, theirs};
use crate::guard::{GuardKind, Noted};
use crate::outbox::NotedSession;
use crate::session::live::HOLDS_FOR;
use crate::session::{Participant, Presence, Session, SessionId};
use crate::source::json;

/// More new sessions in one list than this come from no change of single rows.
const SINGLY: usize = 50;

/// Whether what the new ones of a list got is noted.
pub(super) fn come_singly(new: usize, filled: bool) -> bool {
    filled && new <= SINGLY
}

/// A session stands under one source.
pub(super) fn by_session(lately: Vec<NotedSession>) -> HashMap<SessionId, NotedSession> {
    lately.into_iter().map(|said| (said.session, said)).collect()
}

/// Sessions of other sources in which somebody got something lately, by the source that they stand under.
pub(super) fn places(lately: &HashMap<SessionId, NotedSession>, source: &str) -> HashMap<SessionId, String> {
    lately.values().filter(|said| said.source != source).map(|said| (said.session, said.source.clone())).collect()
}

/// People of one session, as what is noted of them.
struct SessionNotes {
    items: Vec<Noted>,
}

impl SessionNotes {
    fn add(&mut self, person: &Participant, all: &[Item], (item, got): (&Item, bool), until: DateTime<Utc>) {
        // Many live in one zone.
        if item.0 == GuardKind::Zones {
            return;
        }
        let contacts = all.iter().filter(|(kind, _)| *kind == GuardKind::Addresses).map(|(_, contact)| contact.clone()).collect();
        let (kind, text) = item.clone();
        self.items.retain(|one| (one.id, one.kind, &one.item, one.got) != (person.id, kind, &text, got));
        self.items.push(Noted { id: person.id, kind, item: text, who: who(person), contacts, got, until });
    }
}

impl Walker<'_> {
    /// What is noted of a session's people from now on.
    pub(super) fn noted(&self, session: &Session) -> Vec<Noted> {
        let holds_until = session.start + HOLDS_FOR;
        if holds_until <= self.now || !session.is_active() || session.presence == Presence::Gone {
            return Vec::new();
        }
        let soon = self.now + WITHIN;
        let was = self.before.get(&session.id).map(|(_, was)| was);
        let is_kept = |p: &Participant| p.presence.is_kept();
        // What the source says of whoever is kept.
        let said = if session.participants.iter().any(is_kept) { json::stored_record(&session.record) } else { None };
        let mut notes = SessionNotes { items: Vec::new() };
        for person in &session.participants {
            let word = if is_kept(person) { said.as_ref().and_then(|said| said.participant(person.id)) } else { Some(person) };
            let before = was.and_then(|was| was.participant(person.id)).filter(|p| p.presence != Presence::Gone);
            let is_read = matches!(person.presence, Presence::Listed | Presence::Guarded | Presence::Kept);
            self.still_noted(session, person, word.filter(|_| is_read), &mut notes);
            let Some(word) = word.filter(|_| is_read) else { continue };
            match before {
                Some(before) if !alike(before, word) => {
                    let (then, now) = (theirs(before, self.policy), theirs(word, self.policy));
                    for item in then.iter().filter(|item| !now.contains(item)) {
                        let stays = is_kept(person) || is_disputed(person) || !now.iter().any(|other| form(other) == form(item));
                        notes.add(before, &then, (item, false), if stays { holds_until } else { soon });
                    }
                    if !is_kept(person) {
                        let got = now.iter().filter(|item| !then.contains(item) && !self.had_lately(session.id, person, item));
                        got.for_each(|item| notes.add(word, &now, (item, true), soon));
                    }
                }
                None if self.comes_singly => {
                    let now = theirs(word, self.policy);
                    now.iter().for_each(|item| notes.add(word, &now, (item, true), soon));
                }
                _ => {}
            }
        }
        // An operator says that it is right.
        notes.items.retain(|one| !self.ruling.accepted.contains(&(session.id, one.kind)));
        notes.items
    }

    /// It comes back to them.
    pub(super) fn had_lately(&self, session: SessionId, person: &Participant, (kind, item): &Item) -> bool {
        self.lately
            .get(&session)
            .is_some_and(|said| said.items.iter().any(|one| !one.got && (one.id, one.kind, &one.item) == (person.id, *kind, item)))
    }

    /// What was noted before, and counts still. `word`: what the source says of them, if it can be read.
    fn still_noted(&self, session: &Session, person: &Participant, word: Option<&Participant>, notes: &mut SessionNotes) {
        let Some(said) = self.lately.get(&session.id) else { return };
        let holds_until = session.start + HOLDS_FOR;
        let now = word.map(|word| theirs(word, self.policy));
        let theirs = said.items.iter().filter(|one| one.id == person.id && one.until > self.now);
        for one in theirs {
            let item = (one.kind, one.item.clone());
            let has = now.as_ref().map(|now| now.contains(&item));
            if has == Some(!one.got) {
                continue;
            }
            let is_replaced = now.as_ref().is_some_and(|now| now.iter().any(|other| form(other) == form(&item)));
            let until = match one.got {
                // They may come to have it again.
                false if is_disputed(person) => holds_until,
                false if is_replaced => one.until.min(self.now + WITHIN),
                _ => one.until,
            };
            notes.items.push(Noted { until, ..one.clone() });
        }
    }

    /// Sessions that this list does not change, and in which somebody got lately what another one leaves now: they wait.
    pub(super) fn heirs(&self, looked_at: impl Iterator<Item = SessionId>) -> Vec<Session> {
        let mut ids: BTreeSet<SessionId> = self.left.heirs().collect();
        if ids.is_empty() {
            return Vec::new();
        }
        for id in looked_at {
            ids.remove(&id);
        }
        let mark = |id: &SessionId| {
            let (_, was) = self.before.get(id).filter(|(_, was)| was.presence == Presence::Listed && self.may_take_place(was))?;
            let mut session = was.clone();
            let heirs = session.participants.iter_mut().filter(|p| self.left.is_heir(*id, p.id) && p.ambiguous.is_none());
            heirs.for_each(|person| person.ambiguous = self.of_whom(*id, person));
            (session.participants.iter().any(|p| p.ambiguous.is_some())).then_some(session)
        };
        ids.iter().filter_map(mark).collect()
    }

    /// The marks of whoever got what was another one's, as far as it still is.
    pub(super) fn unmarked(&self, session: &mut Session) {
        let id = session.id;
        for person in &mut session.participants {
            if is_disputed(person) && self.of_whom(id, person).is_none() {
                person.ambiguous = None;
            }
        }
    }
}
