//! What a practice decides about its notices, and what staff and recipients decided about single people.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::frequency::Frequency;
use super::quiet::QuietHours;
use super::rule::Rule;
use crate::contact::{Address, EmailAddress, PhoneNumber};
use crate::session::{Participant, Session};
use crate::suppression::{Suppression, suppression_key};
use crate::zone::{Zone, Zones};

/// The planner's part of the configuration.
#[derive(Clone)]
pub struct Policy {
    /// The practice's id: part of every notice's key, so it never changes (the name may).
    pub practice: String,
    /// Whether hosts (participant 0) get messages.
    pub hosts: bool,
    /// For numbers without a country code: ISO 3166-1 alpha-2.
    pub region: String,
    pub rules: Vec<Rule>,
    /// How long an invite waits for corrections.
    pub settle: TimeDelta,
    /// No reminder nearer than this to the invite.
    pub min_gap: TimeDelta,
    /// When no automatic message may go.
    pub quiet: Option<QuietHours>,
    /// How many reminder texts a number gets.
    pub frequency: Frequency,
    /// Sessions that were there at the first start are invited too.
    pub adopt_invites: bool,
    /// Whoever has not connected is told again while the session runs; `None`: nobody is.
    pub not_joined: Option<NotJoined>,
    /// A snapshot older than this is not believed any more.
    pub max_stale: TimeDelta,
    /// Per participant.
    pub overrides: Overrides,
    pub zones: Arc<Zones>,
    /// The practice's own clock, if it is configured: by it whoever was told, and of whose session nobody's clock is known any more, is told that it is
    /// cancelled.
    pub own_zone: Option<Zone>,
}

/// Clocks differ by so much, and no more.
const DRIFT: TimeDelta = TimeDelta::seconds(60);

impl Policy {
    /// Whether a snapshot of then can still be relied on: not an old one, and not one of a time to come, which was taken by a clock that was wrong.
    pub fn believes(&self, snapshot_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let age = now - snapshot_at;
        age <= self.max_stale && age >= -DRIFT
    }

    /// A digest of all that decisions depend on: when it changes, everything is planned again.
    pub fn digest(&self) -> String {
        self.digest_with(self.zones.digest())
    }

    /// Likewise, whatever zone data the host has.
    pub fn digest_of_rules(&self) -> String {
        self.digest_with("")
    }

    fn digest_with(&self, zones: &str) -> String {
        let text = format!(
            "{}|{}|{}|{:?}|{}|{}|{:?}|{:?}|{}|{:?}|{:?}|{}",
            self.practice,
            self.hosts,
            self.region,
            self.rules,
            self.settle,
            self.min_gap,
            self.quiet,
            self.frequency,
            self.adopt_invites,
            self.not_joined,
            self.overrides.entries.iter().map(Override::fingerprint).collect::<Vec<_>>(),
            zones,
        );
        let text = self.own_zone.as_ref().map_or_else(|| text.clone(), |zone| format!("{text}|{}", zone.name()));
        data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..16])
    }
}

/// The nudge of whoever has not connected to a session that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJoined {
    /// So long after the start.
    pub after: TimeDelta,
    /// No longer than so long after the start; `None`: the session's planned length, or [`NotJoined::UNPLANNED`].
    pub until: Option<TimeDelta>,
}

impl NotJoined {
    /// How long a nudge is useful when nobody says how long the session is.
    pub const UNPLANNED: TimeDelta = TimeDelta::minutes(15);
    /// The longest that a nudge is ever useful: after that nobody waits any more, however long the session was planned.
    pub const LONGEST: TimeDelta = TimeDelta::hours(4);

    /// The end of its use.
    pub fn useful_until(&self, session: &Session) -> DateTime<Utc> {
        session.start + self.until.or(session.duration).unwrap_or(Self::UNPLANNED).min(Self::LONGEST)
    }
}

/// An entry of the overrides file: a practice's wishes for one person.
#[derive(Clone, Default)]
pub struct Override {
    /// ParticipantExternalId.
    pub external_id: Option<String>,
    /// E-mail address or number.
    pub address: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
    /// A Windows id or IANA name.
    pub time_zone: Option<String>,
    /// No message, ever.
    pub do_not_contact: bool,
}

impl Override {
    /// Digest of the wish: the digest of a policy holds no address.
    fn fingerprint(&self) -> String {
        let text = format!("{:?}|{:?}|{:?}|{:?}|{}", self.external_id, self.address, self.locale, self.time_zone, self.do_not_contact);
        data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..16])
    }
}

/// What the practice wishes for a participant: of all entries that name them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Any of them says so.
    pub do_not_contact: bool,
    /// Of the first that has one.
    pub locale: Option<&'a str>,
    pub time_zone: Option<&'a str>,
}

/// The overrides file. Every entry that names a participant, by any of the three ways, holds for them. Where two say different things, the
/// ParticipantExternalId goes before the e-mail address, that before the number, and what stands earlier in the file before what stands later.
#[derive(Clone, Default)]
pub struct Overrides {
    entries: Vec<Override>,
    /// Places of the entries, in their order.
    by_id: HashMap<String, Vec<usize>>,
    /// Likewise, by the canonical address or number, or by what was written if it is neither.
    by_address: HashMap<String, Vec<usize>>,
}

impl Overrides {
    /// `region`: of numbers without a country code.
    pub fn new(entries: Vec<Override>, region: &str) -> Self {
        let (mut by_id, mut by_address) = (HashMap::<String, Vec<usize>>::new(), HashMap::<String, Vec<usize>>::new());
        for (n, entry) in entries.iter().enumerate() {
            let named = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
            if let Some(id) = named(&entry.external_id) {
                by_id.entry(id).or_default().push(n);
            }
            if let Some(address) = named(&entry.address) {
                let meant = if address.contains('@') { mailbox(&address) } else { number(&address, region) };
                by_address.entry(meant).or_default().push(n);
            }
        }
        Self { entries, by_id, by_address }
    }

    /// What the practice wishes for this participant.
    pub fn of(&self, participant: &Participant, region: &str) -> Wish<'_> {
        if self.entries.is_empty() {
            return Wish::default();
        }
        let by_id = self.by_id.get(participant.external_id.trim());
        let by_address = |key: String| self.by_address.get(&key);
        let found = [by_id, by_address(mailbox(&participant.email.0)), by_address(number(&participant.sms_number.0, region))];
        let mut wish = Wish::default();
        for entry in found.into_iter().flatten().flatten().map(|&n| &self.entries[n]) {
            wish.do_not_contact |= entry.do_not_contact;
            wish.locale = wish.locale.or(entry.locale.as_deref());
            wish.time_zone = wish.time_zone.or(entry.time_zone.as_deref());
        }
        wish
    }
}

fn mailbox(raw: &str) -> String {
    EmailAddress::parse(raw).map_or_else(|_| raw.trim().to_lowercase(), |address| address.canonical().into_owned())
}

fn number(raw: &str, region: &str) -> String {
    PhoneNumber::possible(raw, region).map_or_else(|_| raw.trim().to_lowercase(), |number| number.expose().to_owned())
}

/// Addresses that get no messages: opt-outs and bounces.
#[derive(Debug, Clone, Default)]
pub struct Suppressions(pub HashMap<String, Suppression>);

impl Suppressions {
    /// Why this address gets none.
    pub fn of(&self, address: &Address) -> Option<Suppression> {
        if self.0.is_empty() { None } else { self.0.get(&suppression_key(address)).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an entry says: the person by id or address, and a locale, a zone, or that nobody writes to them.
    fn entry(external_id: &str, address: &str, locale: &str, time_zone: &str, do_not_contact: bool) -> Override {
        let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        Override {
            external_id: some(external_id),
            address: some(address),
            locale: some(locale),
            time_zone: some(time_zone),
            do_not_contact,
        }
    }

    #[test]
    fn every_entry_that_names_a_person_holds() {
        let person = crate::source::json::stored_record(
            &r#"{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{"ParticipationId":1,"ShouldAutoDeliverCode":"E",
                "ParticipantExternalId":"EMR1","ParticipantEmailAddress":"Pat@Example.com","ParticipantSmsNumber":"1 404 555 0123"}]}"#
                .into(),
        )
        .expect("a session")
        .participants
        .remove(0);
        let by_address = |locale: &str| entry("", "pat@example.COM", locale, "", false);
        let wish = |do_not_contact, locale, time_zone| Wish { do_not_contact, locale, time_zone };
        for (name, entries, wanted) in [
            ("nobody is named", vec![entry("EMR2", "", "es-US", "", true), entry("", "x@example.com", "", "", true)], Wish::default()),
            ("an empty id names nobody", vec![entry(" ", "", "", "", true)], Wish::default()),
            ("named twice", vec![by_address("es-US"), entry("EMR1", "", "", "", true)], wish(true, Some("es-US"), None)),
            ("the other way round", vec![entry("EMR1", "", "", "", true), by_address("es-US")], wish(true, Some("es-US"), None)),
            ("by a number in another spelling", vec![entry("", "(404) 555-0123", "", "", true)], wish(true, None, None)),
            (
                "the id goes before the address",
                vec![by_address("es-US"), entry("EMR1", "", "fr-CA", "", false)],
                wish(false, Some("fr-CA"), None),
            ),
            (
                "the address before the number, and each for what it says",
                vec![entry("", "4045550123", "en-US", "UTC", false), by_address("es-US")],
                wish(false, Some("es-US"), Some("UTC")),
            ),
            ("the earlier before the later", vec![by_address("es-US"), by_address("fr-CA")], wish(false, Some("es-US"), None)),
        ] {
            assert_eq!(Overrides::new(entries, "US").of(&person, "US"), wanted, "{name}");
        }
    }
}
