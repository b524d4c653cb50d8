//! What one person leaves and another one gets: people do not hand their mailboxes, codes or names on, so a column of the list has slipped, if
//! only by one row. Often it is a new row that pushed it. Pure.

use std::collections::{HashMap, HashSet};

use super::differ::{number, who, zone};
use crate::guard::GuardKind;
use crate::plan::Policy;
use crate::session::{Participant, ParticipationId, Presence, Role, Session, SessionId};

/// What is one person's, and of which kind of change it is told.
pub(super) type Item = (GuardKind, String);

/// Who left something.
pub(super) struct Owner {
    session: SessionId,
    pub(super) id: ParticipationId,
    who: String,
    contacts: Vec<Item>,
}

impl Owner {
    /// It is somebody else who has it now. Names and zones are many people's: who is told where the owner was told is the owner.
    fn is_another(&self, person: &Participant, kind: GuardKind, theirs: &[Item]) -> bool {
        let other = match kind {
            GuardKind::Names | GuardKind::Zones => !self.contacts.iter().any(|contact| theirs.contains(contact)),
            _ => self.who != who(person),
        };
        other && self.id != person.id
    }
}

/// What people had, and have no more by the source's own word.
#[derive(Default)]
pub(super) struct Left(HashMap<Item, Vec<Owner>>);

impl Left {
    /// Of sessions as they were, and as the source says them now.
    pub(super) fn of<'s>(both: impl Iterator<Item = (&'s Session, &'s Session)>, policy: &Policy) -> Self {
        let mut left: HashMap<Item, Vec<Owner>> = HashMap::new();
        for (was, is) in both {
            for before in was.participants.iter().filter(|p| p.presence != Presence::Gone) {
                let Some(person) = is.participant(before.id).filter(|person| !alike(before, person)) else { continue };
                let (then, now) = (theirs(before, policy), theirs(person, policy));
                for item in then.iter().filter(|item| !now.contains(item)) {
                    let contacts = then.iter().filter(|(kind, _)| *kind == GuardKind::Addresses).cloned().collect();
                    let owner = Owner { session: was.id, id: before.id, who: who(before), contacts };
                    left.entry(item.clone()).or_default().push(owner);
                }
            }
        }
        Self(left)
    }

    /// What somebody gets of this that they did not have, with whose it was. Whoever is new in the list may live in anybody's zone.
    fn gained<'a>(&'a self, person: &Participant, before: Option<&Participant>, policy: &Policy) -> Vec<(Item, &'a Owner)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let had = before.map(|before| theirs(before, policy)).unwrap_or_default();
        let has = theirs(person, policy);
        let new = has.iter().filter(|item| !had.contains(item) && (before.is_some() || item.0 != GuardKind::Zones));
        let of = |item: &Item| {
            let mut owners = self.0.get(item).into_iter().flatten().filter(|owner| owner.is_another(person, item.0, &has));
            owners.next().map(|owner| (item.clone(), owner))
        };
        new.filter_map(of).collect()
    }

    /// What somebody new gets of this.
    pub(super) fn comes_to(&self, person: &Participant, policy: &Policy) -> Option<(Item, &Owner)> {
        self.gained(person, None, policy).into_iter().next()
    }
}

/// Who lost what to somebody else, and who got it.
#[derive(Default)]
pub(super) struct Slips(HashSet<(GuardKind, SessionId, ParticipationId)>);

impl Slips {
    /// Of the sessions of this list, each with what it was if it is not new.
    pub(super) fn of<'s>(left: &Left, all: impl Iterator<Item = (Option<&'s Session>, &'s Session)>, policy: &Policy) -> Self {
        let mut slips = HashSet::new();
        if left.0.is_empty() {
            return Self(slips);
        }
        for (was, is) in all {
            for person in &is.participants {
                let before = was.and_then(|was| was.participant(person.id));
                if before.is_some_and(|before| alike(before, person)) {
                    continue;
                }
                for ((kind, _), owner) in left.gained(person, before, policy) {
                    slips.extend([(kind, is.id, person.id), (kind, owner.session, owner.id)]);
                }
            }
        }
        Self(slips)
    }

    /// Somebody among these.
    pub(super) fn among(&self, kind: GuardKind, session: SessionId, people: &[ParticipationId]) -> bool {
        people.iter().any(|person| self.0.contains(&(kind, session, *person)))
    }
}

/// Nothing of what is theirs is spelt in another way: most who are looked at again, and a number is slow to read.
fn alike(before: &Participant, person: &Participant) -> bool {
    let contacts = (&before.email, &before.sms_number) == (&person.email, &person.sms_number);
    contacts && (before.code, &before.name, &before.time_zone) == (person.code, &person.name, &person.time_zone)
}

/// Code, address and number; and of a patient the name and the zone.
fn theirs(person: &Participant, policy: &Policy) -> Vec<Item> {
    let code = person.code.map(|code| (GuardKind::Codes, code.expose()));
    let contacts = [person.email.mailbox(), number(&person.sms_number, &policy.region)].map(|contact| (GuardKind::Addresses, contact));
    let (name, zone) = match person.role {
        Role::Host => (String::new(), String::new()),
        Role::Participant => (person.name.expose().trim().to_lowercase(), zone(&person.time_zone, policy)),
    };
    let all = code.into_iter().chain(contacts).chain([(GuardKind::Names, name), (GuardKind::Zones, zone)]);
    all.filter(|(_, item)| !item.is_empty()).collect()
}
