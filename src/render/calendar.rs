//! The calendar part of an e-mail: one iTIP request or cancellation (RFC 5545, RFC 5546).
//!
//! In: one session as its recipient has it. Out: the text of a VCALENDAR, CRLF, folded at 75 octets. Never fails.
//!
//! Invariants: the METHOD is the one that the MIME part names; the only persons are the sender (ORGANIZER) and the recipient
//! (ATTENDEE); times are UTC, so no VTIMEZONE can disagree with the message; DTSTAMP is `now`. Values are escaped and
//! parameters cleaned here: the crate that folds the lines takes parameters as they come.

use chrono::{DateTime, Utc};
use icalendar::{Calendar, Component, Event, EventLike, Property};

/// What a calendar is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Enter or move the session.
    Request,
    /// Take it out.
    Cancel,
}

impl Method {
    /// As METHOD and the MIME parameter have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// One person on the entry.
pub(super) struct Person<'a> {
    pub(super) name: &'a str,
    pub(super) address: &'a str,
}

/// One calendar entry, for one recipient.
pub(super) struct Entry<'a> {
    pub(super) method: Method,
    /// Stable per participation.
    pub(super) uid: &'a str,
    /// Rises with each revision that was told.
    pub(super) sequence: u32,
    pub(super) stamp: DateTime<Utc>,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) summary: &'a str,
    pub(super) description: &'a str,
    /// The join link; empty: none.
    pub(super) url: &'a str,
    pub(super) organizer: Person<'a>,
    pub(super) attendee: Person<'a>,
}

/// RFC 5545 3.7.3: who made it.
const PRODID: &str = "-//Punctual//Punctual//EN";

/// Writes the calendar.
pub(super) fn write(entry: &Entry<'_>) -> String {
    let mut event = Event::with_uid(entry.uid);
    event.timestamp(entry.stamp).starts(entry.start).ends(entry.end).sequence(entry.sequence);
    event.summary(entry.summary).description(entry.description);
    event.add_property("STATUS", if entry.method == Method::Cancel { "CANCELLED" } else { "CONFIRMED" });
    event.add_property("TRANSP", "OPAQUE");
    event.add_property("CLASS", "PRIVATE");
    if !entry.url.is_empty() {
        event.append_property(uri("URL", entry.url));
    }
    event.append_property(person("ORGANIZER", &entry.organizer, &[]));
    let attendee = [("CUTYPE", "INDIVIDUAL"), ("ROLE", "REQ-PARTICIPANT"), ("PARTSTAT", "NEEDS-ACTION"), ("RSVP", "FALSE")];
    event.append_multi_property(person("ATTENDEE", &entry.attendee, &attendee));
    let mut calendar = Calendar::empty();
    for (key, value) in [("VERSION", "2.0"), ("PRODID", PRODID), ("CALSCALE", "GREGORIAN"), ("METHOD", entry.method.as_str())] {
        calendar.append_property(Property::new(key, value));
    }
    calendar.push(event.done());
    calendar.to_string()
}

fn person(key: &str, person: &Person<'_>, parameters: &[(&str, &str)]) -> Property {
    let mut property = uri(key, &format!("mailto:{}", person.address));
    let name = parameter(person.name);
    if !name.is_empty() {
        property.add_parameter("CN", &name);
    }
    for (key, value) in parameters {
        property.add_parameter(key, value);
    }
    property.done()
}

/// A value that is not text: nothing in it is escaped, and no line can end in it.
fn uri(key: &str, value: &str) -> Property {
    Property::new(key, value.chars().filter(|c| !c.is_control()).collect::<String>())
}

/// A parameter value in quotes (RFC 5545 3.2: no control characters, and no quotes within). Empty stays empty.
fn parameter(value: &str) -> String {
    let clean: String = value.chars().filter(|c| !c.is_control() && *c != '"').collect();
    if clean.is_empty() { clean } else { format!("\"{clean}\"") }
}
