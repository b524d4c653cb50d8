//! The person: may they be told at all, and where?

use sha2::{Digest, Sha256};

use super::policy::{Policy, Suppressions};
use crate::contact::{Address, EmailAddress, PhoneNumber};
use crate::notice::Reason;
use crate::session::{AutoDeliver, Participant, Role, Session};
use crate::suppression::Suppression;
use crate::zone::Resolved;

/// Where and how a participant is told.
pub struct Recipient<'a> {
    /// Their address on the channel that ShouldAutoDeliverCode names.
    pub address: Address,
    /// Their clock.
    pub zone: Resolved,
    /// Their language: the practice's override, else ParticipantLocale.
    pub locale: Option<&'a str>,
}

/// Reason and detail of a refusal.
pub(super) type NotReachable = (Reason, Option<String>);

/// Finds a participant's address and zone, or the first reason against them. `to_join`: what is told needs a code to join with.
pub fn recipient<'a>(
    person: &'a Participant,
    policy: &'a Policy,
    suppressed: &Suppressions,
    to_join: bool,
) -> Result<Recipient<'a>, NotReachable> {
    let zone = zone_of(person, policy)
        .map_err(|why| (Reason::Quarantined, Some(format!("{}.ParticipantTimeZoneWindowsId: {why}", person.path))))?;
    let address = told_at(person, policy, suppressed, to_join)?;
    let wish = policy.overrides.of(person, &policy.region);
    Ok(Recipient { address, zone, locale: wish.locale.or(person.locale.as_deref()) })
}

/// Where a participant is told, be their clock known or not, or the first reason against it.
pub(super) fn told_at(person: &Participant, policy: &Policy, suppressed: &Suppressions, to_join: bool) -> Result<Address, NotReachable> {
    let wish = policy.overrides.of(person, &policy.region);
    if let Some(with) = &person.ambiguous {
        return Err((Reason::Ambiguous, Some(with.clone())));
    }
    if person.auto_deliver == AutoDeliver::Nobody {
        return Err((Reason::HostDelivers, None));
    }
    if person.role == Role::Host && !policy.hosts {
        return Err((Reason::HostsOff, None));
    }
    let address = address(person, &policy.region)?;
    if wish.do_not_contact {
        return Err((Reason::DoNotContact, None));
    }
    if let Some(reason) = silenced(suppressed, &address) {
        return Err((reason, None));
    }
    if to_join && person.code.is_none() {
        return Err((Reason::NoConnectCode, None));
    }
    Ok(address)
}

/// Nobody can tell them anything by the channel that ShouldAutoDeliverCode names: there is no address that can be used, or no code to join with.
pub fn is_told_nowhere(person: &Participant, policy: &Policy) -> bool {
    use Reason::{InvalidEmail, InvalidNumber, NoConnectCode, NoEmail, NoNumber};
    let nothing = Suppressions::default();
    matches!(recipient(person, policy, &nothing, true), Err((NoEmail | InvalidEmail | NoNumber | InvalidNumber | NoConnectCode, _)))
}

/// It is for us to tell them, and somebody can have told them before: they have an address that can be used, and a code.
pub fn is_ours(person: &Participant, policy: &Policy) -> bool {
    let at = told_at(person, policy, &Suppressions::default(), true);
    matches!(at, Ok(_) | Err((Reason::DoNotContact | Reason::Ambiguous, _)))
}

/// Who it is, over all sessions: a digest of ParticipantExternalId, or of the name where there is none.
pub fn person_key(person: &Participant) -> String {
    let text = match person.external() {
        None => format!("name {}", person.name.expose().to_lowercase()),
        Some(id) => format!("id {id}"),
    };
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..8])
}

/// Whether a record that was made anew is of the same person, whose name was corrected: the same external id, the same words, or a first name that
/// differs by one letter, or two that were swapped, beside the same other names. Two children of one family have first names of their own.
pub fn is_corrected(was: &Participant, is: &Participant) -> bool {
    let (ids, words) = ((was.external(), is.external()), |p: &Participant| {
        let name = p.name.expose().to_lowercase();
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect::<Vec<String>>()
    });
    if let (Some(was), Some(is)) = ids {
        return was == is;
    }
    let (mut old, mut new) = (words(was), words(is));
    let same_first = !old.is_empty() && old.first() == new.first();
    let nearly = |(a, b): (&String, &String)| is_a_slip(a, b);
    let typed = old.len() == new.len() && old.get(1..) == new.get(1..) && old.first().zip(new.first()).is_some_and(nearly);
    old.sort_unstable();
    new.sort_unstable();
    same_first || typed || (!old.is_empty() && old == new)
}

/// Whether the record holds this address or number, on whichever channel they are told.
pub fn has_contact(person: &Participant, address: &Address, region: &str) -> bool {
    match address {
        Address::Email(theirs) => EmailAddress::parse(person.email.0.trim()).is_ok_and(|own| own.canonical() == theirs.canonical()),
        Address::Sms(theirs) => PhoneNumber::possible(person.sms_number.0.trim(), region).is_ok_and(|own| own == *theirs),
    }
}

/// Whether both records hold the same address, or the same number, on whichever channel each is told.
pub fn share_a_contact(one: &Participant, other: &Participant, region: &str) -> bool {
    let email = EmailAddress::parse(one.email.0.trim()).ok().map(Address::Email);
    let number = PhoneNumber::possible(one.sms_number.0.trim(), region).ok().map(Address::Sms);
    [email, number].into_iter().flatten().any(|contact| has_contact(other, &contact, region))
}

/// One letter more, less or another, or two that were swapped, in a word of four or more.
fn is_a_slip(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    if short.len() < 4 || long.len() - short.len() > 1 {
        return false;
    }
    let begin = short.iter().zip(long.iter()).take_while(|(x, y)| x == y).count();
    let end = short[begin..].iter().rev().zip(long[begin..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (rest_short, rest_long) = (&short[begin..short.len() - end], &long[begin..long.len() - end]);
    let swapped = rest_short.len() == 2 && rest_long.len() == 2 && rest_short[0] == rest_long[1] && rest_short[1] == rest_long[0];
    rest_long.len() <= 1 || swapped
}

/// Why this address gets nothing.
pub fn silenced(suppressed: &Suppressions, address: &Address) -> Option<Reason> {
    suppressed.of(address).map(|why| match why {
        Suppression::OptedOut => Reason::OptedOut,
        Suppression::Bounced => Reason::Bounced,
    })
}

/// How a participant reads what is sent to that address, be it their present one or not. Where their own clock is not known (any more), by the clock
/// of whom they meet, or the practice's, and it is named. The error says why there is none.
pub fn reader<'a>(session: &Session, person: &'a Participant, address: &Address, policy: &'a Policy) -> Result<Recipient<'a>, String> {
    let wish = policy.overrides.of(person, &policy.region);
    let locale = wish.locale.or(person.locale.as_deref());
    let others = || session.participants.iter().find_map(|other| Some(zone_of(other, policy).ok()?.zone));
    let stands_in = || others().or_else(|| policy.own_zone.clone());
    let zone = zone_of(person, policy).or_else(|why| stands_in().map(|zone| Resolved { zone, fallback: true }).ok_or(why))?;
    Ok(Recipient { address: address.clone(), zone, locale })
}

/// The clock of a participant: the practice's override, else what the source says.
pub fn zone_of(person: &Participant, policy: &Policy) -> Result<Resolved, String> {
    let wish = policy.overrides.of(person, &policy.region);
    policy.zones.resolve(wish.time_zone.unwrap_or(&person.time_zone))
}

fn address(person: &Participant, region: &str) -> Result<Address, NotReachable> {
    let (email, number) = (person.email.0.trim(), person.sms_number.0.trim());
    let says = |field: &str, why: &str| Some(format!("{}.{field}: {why}", person.path));
    match person.auto_deliver {
        AutoDeliver::Sms if number.is_empty() => Err((Reason::NoNumber, None)),
        AutoDeliver::Sms => {
            PhoneNumber::parse(number, region).map(Address::Sms).map_err(|why| (Reason::InvalidNumber, says("ParticipantSmsNumber", why)))
        }
        _ if email.is_empty() => Err((Reason::NoEmail, None)),
        _ => EmailAddress::parse(email).map(Address::Email).map_err(|why| (Reason::InvalidEmail, says("ParticipantEmailAddress", why))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::PersonName;

    #[test]
    fn a_name_that_was_corrected_is_the_same_persons() {
        let record = |name: &str, id: &str| {
            let text =
                r#"{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{"ParticipationId":1,"ShouldAutoDeliverCode":"E"}]}"#;
            let mut person = crate::source::json::stored_record(&text.to_owned().into()).expect("a session").participants.remove(0);
            (person.name, person.external_id) = (PersonName::clean(name), id.to_owned());
            person
        };
        for (was, is, same) in [
            (("Pat Exmaple", ""), ("Pat Example", ""), true),
            (("Jhon Smith", ""), ("John Smith", ""), true),
            (("Katherine Bell", ""), ("Catherine Bell", ""), true),
            (("Pat Jones", ""), ("pat smith", ""), true),
            (("Example Pat", ""), ("Pat Example", ""), true),
            (("Pat", "7"), ("Somebody Else", "7"), true),
            (("Pat Example", "7"), ("Pat Example", "8"), false),
            (("Ann Lee", ""), ("Amy Lee", ""), false),
            (("Ann Lee", ""), ("Ben Lee", ""), false),
            (("Anna Lee", ""), ("Emma Lee", ""), false),
            (("", ""), ("", ""), false),
        ] {
            assert_eq!(is_corrected(&record(was.0, was.1), &record(is.0, is.1)), same, "{was:?} {is:?}");
        }
    }
}
