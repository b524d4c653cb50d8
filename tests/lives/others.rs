//! What others have of one person, and who may stand where nobody can read, as somebody reads it who has the lists before them.

use chrono::{DateTime, Utc};

use super::said::{Said, Status};
use super::word::{Holds, Line, Listing, Place, Word, is_sure};

impl Word {
    /// For them it does not take place, or they are not listed.
    pub(super) fn is_off(&self, person: i64) -> bool {
        match self.of(person) {
            Holds::Said(said) | Holds::Unheard(said) => said.status != Status::Live,
            Holds::Absent(..) => true,
            _ => false,
        }
    }

    /// All lists that have their session say so of it.
    pub(super) fn session_is(&self, person: i64, is: Status) -> bool {
        let Some(session) = self.last.get(&person).map(|said| said.session) else { return false };
        let mut of_it = self.sessions.values().filter_map(|sessions| sessions.get(&session)).peekable();
        of_it.peek().is_some() && of_it.all(|(_, status)| *status == is)
    }

    /// Their session was cancelled at that time, or since.
    pub(super) fn was_off_since(&self, person: i64, at: DateTime<Utc>) -> bool {
        self.last.get(&person).and_then(|said| self.off_until.get(&said.session)).is_some_and(|until| *until >= at)
    }

    /// When they last came to have that address, if they did since they were first listed.
    pub(super) fn came_to_have(&self, person: i64, address: &str) -> Option<DateTime<Utc>> {
        let items = [address, address.trim_start_matches('+')];
        self.got.iter().filter(|(item, _)| items.contains(&item.as_str())).filter_map(|(_, people)| people.get(&person)).max().copied()
    }

    /// A source has a record at fault that may be theirs.
    pub(super) fn is_unread_somewhere(&self, person: i64) -> bool {
        let mut lines = self.lists.values().filter_map(|list| list.get(&person));
        lines.any(|line| line.place == Place::Unheard || line.listings.contains(&Listing::Fault))
    }

    /// Nobody can tell which code somebody has who is not read, or said twice: it may be this person's as well, as it was before.
    pub(super) fn shares_with_somebody_unread(&self, person: i64) -> bool {
        let Some(code) = self.last.get(&person).map(|said| said.code) else { return false };
        let unclear = |line: &Line| line.place == Place::Unheard || !matches!(line.listings[..], [Listing::Good(_)]);
        let mut others = self.lists.values().flatten().filter(|(id, line)| **id != person && unclear(line));
        others.any(|(id, _)| self.codes_of.get(id).is_some_and(|codes| codes.contains(&code)))
    }

    /// A source that cannot be read in part said something else of them, or of others in their session, than the one that lists them.
    pub(super) fn is_contradicted_by_what_is_unread(&self, person: i64) -> bool {
        let Some(session) = self.last.get(&person).map(|said| said.session) else { return false };
        let of_it = self.last.iter().filter(|(_, said)| said.session == session).map(|(id, _)| id);
        of_it.into_iter().any(|id| {
            let lines: Vec<&Line> = self.lists.values().filter_map(|list| list.get(id)).collect();
            let (unheard, others): (Vec<&Line>, Vec<&Line>) = lines.into_iter().partition(|line| line.place == Place::Unheard);
            unheard.iter().any(|line| others.iter().any(|other| other.listings != line.listings))
        })
    }

    /// Another person stands at that hour with the name and a contact of this one: they may be made anew. `heard`: the start and where they heard of it,
    /// by which they count as they were called then, too.
    pub(super) fn stands_elsewhere(&self, person: i64, heard: Option<(DateTime<Utc>, &str)>) -> bool {
        let Some(own) = self.last.get(&person) else { return false };
        let shares = |said: &Said| {
            let contact = said.contacts.0 == own.contacts.0 || said.contacts.1 == own.contacts.1;
            said.name == own.name && said.start == own.start && contact
        };
        let once_theirs = |said: &Said| {
            let (start, to) = heard?;
            let is_there = said.start == start && (said.contacts.0 == to || said.contacts.1 == to);
            (is_there && self.called.get(&person)?.contains(&said.name)).then_some(())
        };
        let others = self.last.iter().filter(|(id, _)| **id != person);
        others.into_iter().any(|(id, said)| (shares(said) || once_theirs(said).is_some()) && matches!(self.of(*id), Holds::Said(_)))
    }

    /// Their code was that of somebody who is missed, and may stand in what another source did not say.
    pub(super) fn shares_with_somebody_missed(&self, person: i64) -> bool {
        let Some(code) = self.last.get(&person).map(|said| said.code) else { return false };
        let mut others = self.codes_of.iter().filter(|(id, codes)| **id != person && codes.contains(&code)).map(|(id, _)| *id);
        others.any(|id| match self.of(id) {
            Holds::Unheard(_) => true,
            // Or who may come back: they do not count as cancelled yet.
            Holds::Absent(lists, since, _) => !self.in_part.is_empty() || !is_sure(lists, since, self.last_heard_of(id)),
            _ => false,
        })
    }

    /// When a list that ever had them was last read.
    fn last_heard_of(&self, person: i64) -> Option<DateTime<Utc>> {
        let sources = self.lists.iter().filter(|(_, list)| list.contains_key(&person)).map(|(source, _)| source);
        sources.filter_map(|source| self.heard_at.get(source)).max().copied()
    }

    /// Some record of theirs, be it one that contradicts another, ever called them so.
    pub(super) fn was_ever_called(&self, person: i64, name: &str) -> bool {
        self.called.get(&person).is_some_and(|names| names.contains(name))
    }
}
