//! What a message says beside the start: when one of these changes after a participant was told, they are told again.
//!
//! An address counts by its meaning: another spelling is no change. A store of before remembers digests of the spelling. Of whom it remembered
//! one, both are remembered from then on, so that nobody is told again because of an upgrade.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::policy::Policy;
use super::recipient::zone_of;
use crate::contact::{Address, ConnectCode, EmailAddress, PhoneNumber};
use crate::session::{AutoDeliver, Participant, Session};

/// Marks a digest in which the address counts by its meaning.
const BY_MEANING: char = 'm';
/// Stands between a digest and the one that a store of before remembered in its stead.
const ALSO: char = '=';

/// Digest of a participant's code, passkey, address on their channel, and the start on their own clock (which zone data or configuration may move).
pub fn facts(session: &Session, person: &Participant, policy: &Policy) -> String {
    named(person, policy, &clock(session, person, policy))
}

/// Likewise of whom somebody else told it before this program came: what they were told, by what was noted of them then. `noted`: their clock may not
/// have been known; empty: nothing of them was. Then only what changes later can be known.
pub fn facts_elsewhere(noted: &str, session: &Session, person: &Participant, policy: &Policy) -> String {
    let now = facts(session, person, policy);
    let same =
        noted.is_empty() || is_of_before(noted) || noted.split(ALSO).next() == Some(now.as_str()) || noted == named(person, policy, "");
    if same { now } else { noted.to_owned() }
}

fn named(person: &Participant, policy: &Policy, clock: &str) -> String {
    let raw = raw_address(person);
    let address = match person.auto_deliver {
        AutoDeliver::Email => EmailAddress::parse(raw).map(|a| Cow::Owned(a.canonical().into_owned())),
        AutoDeliver::Sms => PhoneNumber::parse(raw, &policy.region).map(|n| Cow::Owned(n.expose().to_owned())),
        AutoDeliver::Nobody => Ok(Cow::Borrowed("")),
    };
    format!("{BY_MEANING}{}", digest(person, &address.unwrap_or(Cow::Borrowed(raw)), clock))
}

/// The digest of before, in which another spelling was another address.
fn spelt(session: &Session, person: &Participant, policy: &Policy) -> String {
    digest(person, raw_address(person), &clock(session, person, policy))
}

fn raw_address(person: &Participant) -> &str {
    match person.auto_deliver {
        AutoDeliver::Email => person.email.0.trim(),
        AutoDeliver::Sms => person.sms_number.0.trim(),
        AutoDeliver::Nobody => "",
    }
}

/// Their zone, and what it shows at the start; empty: it is not known.
fn clock(session: &Session, person: &Participant, policy: &Policy) -> String {
    zone_of(person, policy).map(|z| format!("{} {}", z.zone.name(), z.zone.local(session.start).civil)).unwrap_or_default()
}

fn digest(person: &Participant, address: &str, clock: &str) -> String {
    let fields = [
        person.code.map(ConnectCode::expose).unwrap_or_default(),
        person.passkey.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default(),
        address.to_owned(),
        clock.to_owned(),
    ];
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

/// What the store remembers from now on of a participant of whom it remembered `known`, and whether the facts are other ones.
pub fn remember(known: &str, session: &Session, person: &Participant, policy: &Policy) -> (String, bool) {
    let now = facts(session, person, policy);
    if known.split(ALSO).next() == Some(now.as_str()) {
        return (known.to_owned(), false);
    }
    if is_of_before(known) && known == spelt(session, person, policy) {
        return (format!("{now}{ALSO}{known}"), false);
    }
    (now, true)
}

/// A message that was told with the facts `told` says what the record says. `known`: what the store remembers of the participant.
pub fn hold(told: &str, known: &str, session: &Session, person: &Participant, policy: &Policy) -> bool {
    known.split(ALSO).any(|name| name == told)
        || told == facts(session, person, policy)
        || (is_of_before(told) && told == spelt(session, person, policy))
}

/// A message that went to that address, be it theirs by the record of then or named by staff, says what the record says. Of a digest of before nobody
/// can tell.
pub fn hold_at(address: &Address, told: &str, session: &Session, person: &Participant, policy: &Policy) -> bool {
    let there = match address {
        Address::Email(email) => email.canonical(),
        Address::Sms(number) => Cow::Borrowed(number.expose()),
    };
    is_of_before(told)
        || told == facts(session, person, policy)
        || told == format!("{BY_MEANING}{}", digest(person, &there, &clock(session, person, policy)))
}

fn is_of_before(facts: &str) -> bool {
    !facts.starts_with(BY_MEANING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::policy;

    /// A session whose only participant has that address, or that number, and that code.
    fn session(email: &str, number: &str, code: u32) -> Session {
        let deliver = if email.is_empty() { "S" } else { "E" };
        let text = format!(
            r#"{{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{{"ParticipationId":1,"ConnectCode":{code},"ParticipantEmailAddress":"{email}",
                "ParticipantSmsNumber":"{number}","ShouldAutoDeliverCode":"{deliver}","ParticipantTimeZoneWindowsId":"Eastern Standard Time"}}]}}"#
        );
        crate::source::json::stored_record(&text.into()).expect("a session")
    }

    #[test]
    fn another_spelling_is_no_other_fact() {
        let policy = policy();
        let of = |s: &Session| facts(s, &s.participants[0], &policy);
        for (one, other, same) in [
            (session("Pat@Example.com", "", 1), session(" pat@example.COM", "", 1), true),
            (session("pat@bücher.example", "", 1), session("pat@xn--bcher-kva.example", "", 1), true),
            (session("", "404-555-0123", 1), session("", "+1 (404) 555 0123 ext 5", 1), true),
            (session("pat@example.com", "", 1), session("pat@example.com", "", 2), false),
            (session("pat@example.com", "", 1), session("pat@example.org", "", 1), false),
            (session("", "404-555-0123", 1), session("", "404-555-0124", 1), false),
            (session("not an address", "", 1), session("nor this", "", 1), false),
        ] {
            assert_eq!(of(&one) == of(&other), same, "{:?} {:?}", one.record.text, other.record.text);
        }
    }

    /// A store of before remembers the digest of a spelling, in what it knows and in what was told.
    #[test]
    fn what_a_store_of_before_remembers_is_the_same_in_any_spelling() {
        let policy = policy();
        let (was, respelt, other) =
            (session("Pat@Example.com", "", 1), session("pat@example.com", "", 1), session("pat@example.com", "", 2));
        let person = |s: &Session| s.participants[0].clone();
        let told = spelt(&was, &person(&was), &policy);
        let (known, changed) = remember(&told, &was, &person(&was), &policy);
        assert!(!changed, "an upgrade changes nothing");
        for session in [&was, &respelt] {
            let (again, changed) = remember(&known, session, &person(session), &policy);
            assert!(!changed && hold(&told, &again, session, &person(session), &policy), "nor does a spelling after it");
            let now = facts(session, &person(session), &policy);
            assert!(hold(&now, &again, session, &person(session), &policy) && hold(&now, &told, session, &person(session), &policy));
        }
        let (again, changed) = remember(&known, &other, &person(&other), &policy);
        assert!(changed && !hold(&told, &again, &other, &person(&other), &policy), "another code is another fact");
        let (back, changed) = remember(&again, &was, &person(&was), &policy);
        assert!(changed && hold(&told, &back, &was, &person(&was), &policy), "and back again it is what was told");
    }
}
