//! In what a session differs from what it was before, as the guard counts it: by meaning. Another spelling of a number, an address, a name or a
//! zone is no change. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::contact::{ConnectCode, PhoneNumber};
use crate::guard::GuardKind;
use crate::plan::Policy;
use crate::session::{AutoDeliver, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, Session};

/// Somebody who begins a session earlier than planned writes a start that is not longer ago.
const LONG_PAST: TimeDelta = TimeDelta::hours(1);

/// One kind of difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) kind: GuardKind,
    /// Of whom; empty: of the session as a whole.
    pub(super) people: Vec<ParticipationId>,
    /// How many of them count: what was not there before is added, and no change.
    pub(super) counts: usize,
    /// Digest of what the source says now.
    pub(super) says: String,
    /// Among them are some who were not in the session: it is kept whole.
    pub(super) arrives: bool,
    /// What was somebody else's until now, or is not asked for any more: one is too many.
    pub(super) slips: bool,
}

impl Difference {
    /// Of the session as a whole.
    pub(super) fn whole(kind: GuardKind, says: &str) -> Self {
        Self { kind, people: Vec::new(), counts: 1, says: digest([says]), arrives: false, slips: false }
    }

    /// How many people, or 1.
    pub(super) fn size(&self) -> usize {
        self.people.len().max(1)
    }
}

/// In what it differs, by kind.
pub(super) fn differences(was: &Session, is: &Session, policy: &Policy, now: DateTime<Utc>) -> Vec<Difference> {
    let mut whats = Vec::new();
    if was.presence == Presence::Gone {
        // Whoever was told that it is cancelled is told anew.
        return whats;
    }
    if was.is_active() && !is.is_active() {
        // Another word than to be missing: who says that the one is wrong has not said it of the other.
        whats.push(Difference::whole(GuardKind::Removed, if is.cancelled { "cancelled" } else { "over" }));
    }
    if is.start != was.start {
        // A date that is mistyped: whoever knows the start of before would come in vain.
        let is_lost = was.start > now && is.start + LONG_PAST < now && is.is_active();
        whats.push(Difference { slips: is_lost, ..Difference::whole(GuardKind::Moved, &is.start.to_rfc3339()) });
    }
    let other_role = |p: &&Participant| was.participant(p.id).is_some_and(|before| before.role != p.role);
    let turned: Vec<String> = is.participants.iter().filter(other_role).map(|p| p.id.to_string()).collect();
    if !turned.is_empty() {
        whats.push(Difference::whole(GuardKind::Roles, &turned.join(" ")));
    }
    whats.extend(lost(was, is));
    whats.extend(changed(was, is, policy, now));
    whats
}

/// Whom the source lists no more, and for whom no record at fault stands.
fn lost(was: &Session, is: &Session) -> Option<Difference> {
    if is.faults.iter().any(|fault| fault.participation.is_none()) {
        return None;
    }
    let there = |id: ParticipationId| is.participant(id).is_some() || is.faults.iter().any(|fault| fault.participation == Some(id));
    let in_force = |p: &&Participant| !matches!(p.presence, Presence::Gone | Presence::Unreadable);
    let people: Vec<ParticipationId> = was.participants.iter().filter(in_force).map(|p| p.id).filter(|id| !there(*id)).collect();
    let says = digest(people.iter().map(ToString::to_string));
    (!people.is_empty()).then_some(Difference {
        kind: GuardKind::Participants,
        counts: people.len(),
        people,
        says,
        arrives: false,
        slips: false,
    })
}

/// Who comes into the session in the place of somebody it lost, or is one of the displaced: that is no addition. (See [`names`].)
pub(super) fn arrivals(was: &Session, is: &Session, displaced: &HashSet<String>, policy: &Policy, whats: &mut Vec<Difference>) {
    let lost = whats.iter().position(|what| what.kind == GuardKind::Participants);
    let new = is.participants.iter().filter(|p| was.participant(p.id).is_none());
    let arrived = new.filter(|p| lost.is_some() || names(p, is, policy).iter().any(|name| displaced.contains(name)));
    let arrived: Vec<ParticipationId> = arrived.map(|p| p.id).collect();
    if arrived.is_empty() {
        return;
    }
    let lost = lost.unwrap_or_else(|| {
        whats.push(Difference { counts: 0, ..Difference::whole(GuardKind::Participants, "") });
        whats.len() - 1
    });
    let what = &mut whats[lost];
    what.says = digest([what.says.clone(), "arrive".to_owned()].into_iter().chain(arrived.iter().map(ToString::to_string)));
    what.people.extend(arrived);
    what.arrives = true;
}

/// What makes somebody hear of a session that they were not told of where they are now; the rest of it counts for nothing. Whether there is any.
pub(super) fn only_who_is_told(whats: &mut [Difference]) -> bool {
    let tells = |what: &Difference| matches!(what.kind, GuardKind::Addresses | GuardKind::Codes) || what.arrives;
    whats.iter_mut().filter(|what| !tells(what)).for_each(|what| what.counts = 0);
    whats.iter().any(tells)
}

/// What names a person whichever session they stand in: participation and code; and a contact at that hour, but for a host, who may have several.
pub(super) fn names(person: &Participant, session: &Session, policy: &Policy) -> Vec<String> {
    let code = person.code.map(|code| format!("code {}", code.expose()));
    let contacts = [person.email.mailbox(), number(&person.sms_number, &policy.region)];
    let theirs = contacts.into_iter().filter(|contact| !contact.is_empty() && person.role != Role::Host);
    let contacts = theirs.map(|contact| format!("{} {contact}", session.start));
    [format!("participation {}", person.id)].into_iter().chain(code).chain(contacts).collect()
}

/// Who it is, over all sessions: by name and ParticipantExternalId together, for either column may slip, and an export may write the same id into each
/// record. Who has neither is only themselves.
pub(super) fn who(person: &Participant) -> String {
    let name = person.name.expose().trim().to_lowercase();
    if person.is_named() { format!("{name}; {}", person.external().unwrap_or_default()) } else { person.id.to_string() }
}

/// The two are one person, as far as the records tell: of one name, and called at one place. All may be named alike.
pub(super) fn is_one(one: &Participant, other: &Participant, policy: &Policy) -> bool {
    let contacts = |p: &Participant| [p.email.mailbox(), number(&p.sms_number, &policy.region)];
    let is_empty = |all: &[String; 2]| all.iter().all(String::is_empty);
    let (ones, others) = (contacts(one), contacts(other));
    let meet = || is_empty(&ones) || is_empty(&others) || ones.iter().zip(&others).any(|(one, other)| !one.is_empty() && one == other);
    one.id == other.id || (who(one) == who(other) && meet())
}

/// What is said of the same people.
fn changed(was: &Session, is: &Session, policy: &Policy, now: DateTime<Utc>) -> Vec<Difference> {
    let mut kinds: BTreeMap<GuardKind, Difference> = BTreeMap::new();
    for person in &is.participants {
        let Some(before) = was.participant(person.id).filter(|p| p.presence != Presence::Gone) else { continue };
        let theirs: Vec<(GuardKind, String, String)> =
            told(before, person, policy, now).into_iter().filter(|(_, then, now)| then != now).collect();
        for kind in theirs.iter().map(|(kind, _, _)| *kind).collect::<BTreeSet<_>>() {
            let of_kind = || theirs.iter().filter(|(of, _, _)| *of == kind);
            let what = kinds.entry(kind).or_insert(Difference {
                kind,
                people: Vec::new(),
                counts: 0,
                says: String::new(),
                arrives: false,
                slips: false,
            });
            what.people.push(person.id);
            what.counts += usize::from(of_kind().any(|(_, then, _)| !then.is_empty()));
            let says = [what.says.clone(), person.id.to_string()].into_iter().chain(of_kind().map(|(_, _, now)| now.clone()));
            what.says = digest(says);
        }
    }
    kinds.into_values().collect()
}

/// What the two records say of one person, as far as they are not alike to the letter: the kind, then, and now. Empty: nothing.
fn told(before: &Participant, person: &Participant, policy: &Policy, now: DateTime<Utc>) -> Vec<(GuardKind, String, String)> {
    let mut told = Vec::new();
    let mut both = |kind, same: bool, of: &dyn Fn(&Participant) -> String| {
        if !same {
            told.push((kind, of(before), of(person)));
        }
    };
    both(GuardKind::Codes, before.code == person.code, &|p| p.code.map(ConnectCode::expose).unwrap_or_default());
    both(GuardKind::Codes, before.passkey == person.passkey, &|p| p.passkey.as_ref().map(|k| k.expose().to_owned()).unwrap_or_default());
    both(GuardKind::Addresses, before.email == person.email, &|p| p.email.mailbox());
    both(GuardKind::Addresses, before.sms_number == person.sms_number, &|p| number(&p.sms_number, &policy.region));
    both(GuardKind::Zones, before.time_zone == person.time_zone, &|p| zone(&p.time_zone, policy));
    both(GuardKind::Names, before.name == person.name, &|p| p.name.expose().to_lowercase());
    both(GuardKind::Deliveries, false, &|p| channel(p, now).to_owned());
    told
}

/// How they are told; empty: not, or no more. Nobody has connected at a time that is still to come: a whole column may hold the start.
fn channel(person: &Participant, now: DateTime<Utc>) -> &'static str {
    match person.auto_deliver {
        _ if person.rsvp == Rsvp::Declined || person.connected_at.is_some_and(|at| at > now) => "",
        AutoDeliver::Nobody => "",
        AutoDeliver::Email => "email",
        AutoDeliver::Sms => "sms",
    }
}

pub(super) fn number(raw: &RawContact, region: &str) -> String {
    PhoneNumber::possible(&raw.0, region).map_or_else(|_| raw.0.trim().to_lowercase(), |number| number.expose().to_owned())
}

pub(super) fn zone(id: &str, policy: &Policy) -> String {
    if id.trim().is_empty() {
        return String::new();
    }
    policy.zones.resolve(id).map_or_else(|_| id.trim().to_lowercase(), |resolved| resolved.zone.name().to_owned())
}

fn digest<T: AsRef<str>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_be_bytes());
        hash.update(part.as_ref());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..12])
}
