//! What the practice wants for its own staff, and for whoever does not come: `[digest]` and `[not_joined]`.

use chrono::TimeDelta;

use super::key_path::cron;
use super::raw::{self, Raw};
use super::read::Document;
use crate::contact::EmailAddress;
use crate::digest;
use crate::plan::policy::NotJoined;
use crate::zone::Zones;

/// `[not_joined]`; `None`: nobody is nudged.
pub(super) fn not_joined(raw: &raw::NotJoined, document: &mut Document<'_>) -> Option<NotJoined> {
    let until = raw.until.map(|u| u.0);
    let Some(after) = raw.after.map(|a| a.0) else {
        if until.is_some() {
            document.note("not_joined.until", "does nothing without `after`; expected after = \"5m\" too");
        }
        return None;
    };
    if after <= TimeDelta::zero() || after >= NotJoined::LONGEST {
        document.note("not_joined.after", "expected some minutes after the start, less than 4 hours, such as \"5m\"");
    }
    if until.is_some_and(|until| until <= after || until > NotJoined::LONGEST) {
        document.note("not_joined.until", "expected more than `after`, and 4 hours at most");
    }
    if until.is_none() && after >= NotJoined::UNPLANNED {
        document
            .note("not_joined.after", "is 15 minutes or more, when a session of no planned length is over; expected less, or `until` too");
    }
    Some(NotJoined { after, until })
}

/// The letter. The practice's own clock is checked in any case.
pub(super) fn digest(raw: &Raw, zones: &Zones, document: &mut Document<'_>) -> Option<digest::Settings> {
    let (p, d) = (&raw.practice, &raw.digest);
    let own = p.time_zone.as_deref().map(|id| zones.resolve(id).map_err(|why| document.note("practice.time_zone", why)));
    let at = cron(&d.at).map_err(|why| document.note("digest.at", why));
    let to: Vec<EmailAddress> = (0..)
        .zip(&d.to)
        .filter_map(|(n, text): (usize, _)| {
            EmailAddress::parse(text).map_err(|why| document.note(&format!("digest.to[{n}]"), format!("is no address: {why}"))).ok()
        })
        .collect();
    if d.to.is_empty() {
        return None;
    }
    if raw.email.relay.is_empty() {
        document.note("digest.to", "nothing can be sent without an [[email.relay]]");
    }
    let zone = match (own, p.fallback_time_zone.as_deref()) {
        (Some(own), _) => own.ok(),
        (None, Some(id)) => zones.resolve(id).ok(),
        (None, None) => {
            document.note(
                "practice.time_zone",
                "is missing; expected the practice's own time zone, such as \"America/New_York\", for [digest] at",
            );
            None
        }
    };
    Some(digest::Settings { to, at: at.ok()?, zone: zone?.zone, horizon: d.horizon.0, always: d.always })
}
