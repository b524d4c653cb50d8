//! What a practice decides about its notices, and what staff and recipients decided about single people.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::frequency::Frequency;
use super::quiet::QuietHours;
use super::rule::Rule;
use crate::contact::Address;
use crate::outbox::suppression_key;
use crate::outcome::Suppression;
use crate::session::{Participant, Session};
use crate::zone::Zones;

/// The planner's part of the configuration.
#[derive(Clone)]
pub struct Policy {
    /// The practice's id: part of every notice's key, so it never changes (the name may).
    pub practice: String,
    /// Whether hosts (participant 0) get messages.
    pub hosts: bool,
    /// For numbers without a country code: ISO 3166-1 alpha-2.
    pub region: String,
    /// The reminder rules.
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
    /// Every zone.
    pub zones: Arc<Zones>,
}

impl Policy {
    /// A digest of all that decisions depend on: when it changes, everything is planned again.
    pub fn digest(&self) -> String {
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
            self.overrides.0.iter().map(Override::fingerprint).collect::<Vec<_>>(),
            self.zones.digest(),
        );
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

/// A practice's wishes for one person, matched by any of the three ways to name them.
#[derive(Clone, Default)]
pub struct Override {
    /// ParticipantExternalId.
    pub external_id: Option<String>,
    /// E-mail address or number, as E.164.
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

    fn names(&self, participant: &Participant, region: &str) -> bool {
        let by_id = self.external_id.as_deref().is_some_and(|id| !id.is_empty() && id == participant.external_id);
        let by_address = self.address.as_deref().is_some_and(|wanted| {
            let email = participant.email.0.trim();
            let number = crate::contact::PhoneNumber::parse(&participant.sms_number.0, region);
            (!email.is_empty() && wanted.eq_ignore_ascii_case(email)) || number.is_ok_and(|n| n.expose() == wanted)
        });
        by_id || by_address
    }
}

/// The overrides file.
#[derive(Clone, Default)]
pub struct Overrides(pub Vec<Override>);

impl Overrides {
    /// What the practice wishes for this participant: the first entry that names them.
    pub fn of(&self, participant: &Participant, region: &str) -> Option<&Override> {
        self.0.iter().find(|o| o.names(participant, region))
    }
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
