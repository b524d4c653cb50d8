//! What one person leaves and another one gets: people do not hand their mailboxes, codes or names on, so a column of the list has slipped, if
//! only by one row. Often it is a new row that pushed it. Pure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::differ::{number, who, zone};
use super::guard::WITHIN;
use crate::guard::{GuardKind, Noted};
use crate::outbox::NotedSession;
use crate::plan::Policy;
use crate::session::{Participant, ParticipantKey, ParticipationId, Presence, Role, Session, SessionId};

/// What is one person's, and of which kind of change it is told.
pub(super) type Item = (GuardKind, String);

/// Which of somebody's: a mailbox is no number, and a passkey no code.
pub(super) fn form((kind, item): &Item) -> (GuardKind, bool) {
    (*kind, item.contains('@') || item.starts_with("passkey "))
}

pub(super) struct Owner {
    session: SessionId,
    pub(super) id: ParticipationId,
    who: String,
    contacts: Vec<Item>,
    /// Nothing stands in the place of it.
    pub(super) has_nothing: bool,
}

impl Owner {
    fn of(session: SessionId, person: &Participant, theirs: &[Item], has_nothing: bool) -> Self {
        let contacts = theirs.iter().filter(|(kind, _)| *kind == GuardKind::Addresses).cloned().collect();
        Self { session, id: person.id, who: who(person), contacts, has_nothing }
    }

    fn noted(session: SessionId, noted: &Noted, now: DateTime<Utc>) -> Self {
        let contacts = noted.contacts.iter().map(|contact| (GuardKind::Addresses, contact.clone())).collect();
        Self { session, id: noted.id, who: noted.who.clone(), contacts, has_nothing: noted.until > now + WITHIN }
    }

    /// It is somebody else who has it now. Names and zones are many people's: who is told where the owner was told is the owner. `who`: what tells who
    /// they are; `None`: nothing does.
    fn is_another(&self, (id, who): (ParticipationId, Option<&str>), kind: GuardKind, theirs: &[Item]) -> bool {
        let other = match kind {
            GuardKind::Names | GuardKind::Zones => !self.contacts.iter().any(|contact| theirs.contains(contact)),
            _ => who.is_none_or(|who| self.who != who),
        };
        other && self.id != id
    }
}

/// What people had, and have no more by the source's own word; and who got lately what another one has left by now.
#[derive(Default)]
pub(super) struct Left {
    all: HashMap<Item, Vec<Owner>>,
    /// The kind, who left it, and who had got it before.
    handed_on: Vec<(GuardKind, ParticipantKey, ParticipantKey)>,
}

impl Left {
    /// Of sessions as they were, and as the source says them now; and of what was noted lately, of whichever source.
    pub(super) fn of<'s>(
        both: impl Iterator<Item = (&'s Session, &'s Session)>,
        lately: &HashMap<SessionId, NotedSession>,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Self {
        let mut left = Self::default();
        let mut listed: HashMap<SessionId, &Session> = HashMap::new();
        for (was, is) in both {
            listed.insert(is.id, is);
            for before in was.participants.iter().filter(|p| p.presence != Presence::Gone) {
                let Some(person) = is.participant(before.id).filter(|person| !alike(before, person)) else { continue };
                let (then, now) = (theirs(before, policy), theirs(person, policy));
                for item in then.iter().filter(|item| !now.contains(item)) {
                    left.all.entry(item.clone()).or_default().push(Owner::of(
                        was.id,
                        before,
                        &then,
                        !now.iter().any(|other| form(other) == form(item)),
                    ));
                }
            }
        }
        // What they have by this list is neither left nor, if they have it no more, got.
        let has = |said: &NotedSession, one: &Noted| {
            let person = listed.get(&said.session).map(|is| is.participant(one.id));
            person.map(|person| person.is_some_and(|person| theirs(person, policy).contains(&(one.kind, one.item.clone()))))
        };
        let noted = || lately.values().flat_map(|said| said.items.iter().map(move |one| (said, one))).filter(|(_, one)| one.until > now);
        for (said, one) in noted().filter(|(said, one)| !one.got && has(said, one) != Some(true)) {
            left.all.entry((one.kind, one.item.clone())).or_default().push(Owner::noted(said.session, one, now));
        }
        for (said, one) in noted().filter(|(said, one)| one.got && has(said, one) != Some(false)) {
            let (gets, item) = (Owner::noted(said.session, one, now), (one.kind, one.item.clone()));
            let of = left
                .all
                .get(&item)
                .into_iter()
                .flatten()
                .filter(|owner| owner.is_another((gets.id, Some(&gets.who)), one.kind, &gets.contacts));
            let handed_on = of.map(|owner| (one.kind, (owner.session, owner.id), (gets.session, gets.id)));
            left.handed_on.extend(handed_on);
        }
        left
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Sessions of those who got lately what another one has left by now.
    pub(super) fn heirs(&self) -> impl Iterator<Item = SessionId> {
        self.handed_on.iter().map(|(_, _, (session, _))| *session)
    }

    /// They got lately what another one has left by now.
    pub(super) fn is_heir(&self, session: SessionId, person: ParticipationId) -> bool {
        self.handed_on.iter().any(|(_, _, gets)| *gets == (session, person))
    }

    /// What somebody gets of this that they did not have, with whose it was. Whoever is new in the list may live in anybody's zone.
    fn gained<'a>(
        &'a self,
        (person, is_called_so): (&Participant, bool),
        before: Option<&Participant>,
        policy: &Policy,
    ) -> Vec<(Item, &'a Owner)> {
        if self.is_empty() {
            return Vec::new();
        }
        let had = before.map(|before| theirs(before, policy)).unwrap_or_default();
        let has = theirs(person, policy);
        let new = has.iter().filter(|item| !had.contains(item) && (before.is_some() || item.0 != GuardKind::Zones));
        let who = is_called_so.then(|| who(person));
        let of = |item: &Item| {
            let mut owners = self.all.get(item).into_iter().flatten();
            let owner = owners.find(|owner| owner.is_another((person.id, who.as_deref()), item.0, &has))?;
            Some((item.clone(), owner))
        };
        new.filter_map(of).collect()
    }

    /// What somebody new gets of this.
    pub(super) fn comes_to(&self, person: &Participant, is_called_so: bool, policy: &Policy) -> Option<(Item, &Owner)> {
        self.gained((person, is_called_so), None, policy).into_iter().next()
    }
}

/// Who lost what to somebody else, and who got it.
#[derive(Default)]
pub(super) struct Slips(HashSet<(GuardKind, SessionId, ParticipationId)>);

impl Slips {
    /// Of the sessions of this list, each with what it was if it is not new.
    pub(super) fn of<'s>(left: &Left, all: impl Iterator<Item = (Option<&'s Session>, &'s Session)>, policy: &Policy) -> Self {
        let handed_on = left.handed_on.iter().flat_map(|(kind, (from, of), (to, gets))| [(*kind, *from, *of), (*kind, *to, *gets)]);
        let mut slips: HashSet<_> = handed_on.collect();
        for (was, is) in all {
            for person in &is.participants {
                let before = was.and_then(|was| was.participant(person.id));
                if before.is_some_and(|before| is_replaced(before, person, policy)) {
                    slips.extend([(GuardKind::Names, is.id, person.id), (GuardKind::Addresses, is.id, person.id)]);
                }
                if before.is_some_and(|before| alike(before, person)) {
                    continue;
                }
                for ((kind, _), owner) in left.gained((person, true), before, policy) {
                    slips.extend([(kind, is.id, person.id), (kind, owner.session, owner.id)]);
                }
            }
        }
        Self(slips)
    }

    pub(super) fn among(&self, kind: GuardKind, session: SessionId, people: &[ParticipationId]) -> bool {
        people.iter().any(|person| self.0.contains(&(kind, session, *person)))
    }
}

/// One participation is another person's from one list to the next: another name, no contact of theirs left, and the same code, which the first one
/// was told.
fn is_replaced(before: &Participant, person: &Participant, policy: &Policy) -> bool {
    let contacts = |p| theirs(p, policy).into_iter().filter(|(kind, _)| *kind == GuardKind::Addresses).collect::<Vec<_>>();
    let is_named = |p: &Participant| p.role == Role::Participant && p.is_named();
    let is_other = || before.name.expose().to_lowercase() != person.name.expose().to_lowercase() && who(before) != who(person);
    if before.code.is_none() || before.code != person.code || !is_named(before) || !is_named(person) || !is_other() {
        return false;
    }
    let (then, now) = (contacts(before), contacts(person));
    !then.is_empty() && !now.is_empty() && !then.iter().any(|contact| now.contains(contact))
}

/// Nothing of what is theirs is spelt in another way: most who are looked at again, and a number is slow to read.
pub(super) fn alike(before: &Participant, person: &Participant) -> bool {
    let contacts = (&before.email, &before.sms_number) == (&person.email, &person.sms_number);
    contacts
        && (before.code, &before.passkey, &before.name, &before.time_zone)
            == (person.code, &person.passkey, &person.name, &person.time_zone)
}

/// Code, passkey, address and number; and of a patient the name and the zone.
pub(super) fn theirs(person: &Participant, policy: &Policy) -> Vec<Item> {
    let code = person.code.map(|code| (GuardKind::Codes, code.expose()));
    let passkey = person.passkey.as_ref().map(|passkey| (GuardKind::Codes, format!("passkey {}", passkey.expose())));
    let contacts = [person.email.mailbox(), number(&person.sms_number, &policy.region)].map(|contact| (GuardKind::Addresses, contact));
    let (name, zone) = match person.role {
        Role::Host => (String::new(), String::new()),
        Role::Participant => (person.name.expose().trim().to_lowercase(), zone(&person.time_zone, policy)),
    };
    let all = code.into_iter().chain(passkey).chain(contacts).chain([(GuardKind::Names, name), (GuardKind::Zones, zone)]);
    all.filter(|(_, item)| !item.is_empty()).collect()
}
