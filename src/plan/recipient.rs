//! The person: may they be told at all, and where?

use sha2::{Digest, Sha256};

use super::policy::{Policy, Suppressions};
use crate::contact::{Address, EmailAddress, PhoneNumber};
use crate::notice::Reason;
use crate::session::{AutoDeliver, Participant, Role};
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
pub(super) type Refused = (Reason, Option<String>);

/// Finds a participant's address and zone, or the first reason against them. `to_join`: what is told needs a code to join with.
pub fn recipient<'a>(
    person: &'a Participant,
    policy: &'a Policy,
    suppressed: &Suppressions,
    to_join: bool,
) -> Result<Recipient<'a>, Refused> {
    let wish = policy.overrides.of(person, &policy.region);
    let zone = zone_of(person, policy)
        .map_err(|why| (Reason::Quarantined, Some(format!("{}.ParticipantTimeZoneWindowsId: {why}", person.path))))?;
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
    let locale = wish.locale.or(person.locale.as_deref());
    Ok(Recipient { address, zone, locale })
}

/// Who it is, over all sessions: a digest of ParticipantExternalId, or of the name where there is none.
pub fn person_key(person: &Participant) -> String {
    let text = match person.external_id.trim() {
        "" => format!("name {}", person.name.expose().to_lowercase()),
        id => format!("id {id}"),
    };
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..8])
}

/// Why this address gets nothing.
pub(super) fn silenced(suppressed: &Suppressions, address: &Address) -> Option<Reason> {
    suppressed.of(address).map(|why| match why {
        Suppression::OptedOut => Reason::OptedOut,
        Suppression::Bounced => Reason::Bounced,
    })
}

/// How a participant reads what is sent to that address, be it their present one or not. The error says why their clock is not known.
pub fn reader<'a>(person: &'a Participant, address: &Address, policy: &'a Policy) -> Result<Recipient<'a>, String> {
    let wish = policy.overrides.of(person, &policy.region);
    let locale = wish.locale.or(person.locale.as_deref());
    Ok(Recipient { address: address.clone(), zone: zone_of(person, policy)?, locale })
}

/// The clock of a participant: the practice's override, else what the source says.
pub fn zone_of(person: &Participant, policy: &Policy) -> Result<Resolved, String> {
    let wish = policy.overrides.of(person, &policy.region);
    policy.zones.resolve(wish.time_zone.unwrap_or(&person.time_zone))
}

fn address(person: &Participant, region: &str) -> Result<Address, Refused> {
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
