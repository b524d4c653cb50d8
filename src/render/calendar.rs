//! The calendar part of an e-mail: one iTIP request or cancellation (RFC 5545, RFC 5546).
//!
//! In: one session as its recipient has it. Out: the text of a VCALENDAR, CRLF, folded at 75 octets. Never fails.
//!
//! Invariants: the METHOD is the one that the MIME part names; the only persons are the sender (ORGANIZER) and the recipient
//! (ATTENDEE); times are UTC, so no VTIMEZONE can disagree with the message; DTSTAMP is `now`. Written in one pass, and what a
//! library makes of the same entry (see the tests).

use chrono::{DateTime, Datelike, Timelike, Utc};

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
pub(super) struct Invited<'a> {
    pub(super) name: &'a str,
    pub(super) address: &'a str,
}

/// One calendar entry, for one recipient.
pub(super) struct CalendarEvent<'a> {
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
    pub(super) organizer: Invited<'a>,
    pub(super) attendee: Invited<'a>,
}

/// RFC 5545 3.7.3: who made it.
const PRODID: &str = "-//Punctual//Punctual//EN";

/// Octets of a line, its CRLF not counted (RFC 5545 3.1).
const LINE: usize = 75;

pub(super) fn write(entry: &CalendarEvent<'_>) -> String {
    let mut out = Lines(String::with_capacity(1536));
    for [key, value] in [["BEGIN", "VCALENDAR"], ["VERSION", "2.0"], ["PRODID", PRODID], ["CALSCALE", "GREGORIAN"]] {
        out.put(&[key, ":", value]);
    }
    out.put(&["METHOD:", entry.method.as_str()]);
    out.put(&["BEGIN:VEVENT"]);
    out.put(&["CLASS:PRIVATE"]);
    out.put(&["DESCRIPTION:", &escaped(entry.description)]);
    for (key, at) in [("DTEND", entry.end), ("DTSTAMP", entry.stamp), ("DTSTART", entry.start)] {
        out.put(&[key, ":", &stamp(at)]);
    }
    out.person("ORGANIZER", &entry.organizer, "");
    out.put(&["SEQUENCE:", &entry.sequence.to_string()]);
    out.put(&["STATUS:", if entry.method == Method::Cancel { "CANCELLED" } else { "CONFIRMED" }]);
    out.put(&["SUMMARY:", &escaped(entry.summary)]);
    out.put(&["TRANSP:OPAQUE"]);
    out.put(&["UID:", entry.uid]);
    if !entry.url.is_empty() {
        out.put(&["URL:", &without_controls(entry.url)]);
    }
    out.person("ATTENDEE", &entry.attendee, ";CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=FALSE");
    out.put(&["END:VEVENT"]);
    out.put(&["END:VCALENDAR"]);
    out.0
}

/// Content lines, folded.
struct Lines(String);

impl Lines {
    fn put(&mut self, pieces: &[&str]) {
        let start = self.0.len();
        self.0.extend(pieces.iter().copied());
        if self.0.len() - start > LINE {
            let line = self.0.split_off(start);
            self.fold(&line);
        }
        self.0.push_str("\r\n");
    }

    /// No piece begins with a blank: readers that unfold one blank too many lose none of the text.
    fn fold(&mut self, line: &str) {
        let (mut rest, mut room) = (line, LINE);
        while rest.len() > room {
            let whole = |at: &usize| rest.is_char_boundary(*at);
            let fits = |at: &usize| whole(at) && !rest[*at..].starts_with(char::is_whitespace);
            // A run of blanks as long as a line is cut somewhere.
            let end = (1..=room).rev().find(fits).or_else(|| (1..=room).rev().find(whole)).unwrap_or(rest.len());
            let (piece, left) = rest.split_at(end);
            self.0.extend([piece, "\r\n "]);
            // The blank before a piece is part of its line.
            (rest, room) = (left, LINE - 1);
        }
        self.0.push_str(rest);
    }

    fn person(&mut self, key: &str, person: &Invited<'_>, parameters: &str) {
        let (name, address) = (parameter(person.name), without_controls(person.address));
        let called = if name.is_empty() { ["", "", ""] } else { [";CN=\"", &name, "\""] };
        let [begin, name, end] = called;
        self.put(&[key, begin, name, end, parameters, ":mailto:", &address]);
    }
}

/// `20140416T150000Z`
fn stamp(at: DateTime<Utc>) -> String {
    let (day, clock) = (at.date_naive(), at.time());
    format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", day.year(), day.month(), day.day(), clock.hour(), clock.minute(), clock.second())
}

/// RFC 5545 3.3.11. A CR is none of the text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\\' | ',' | ';' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => {}
            _ => out.push(c),
        }
    }
    out
}

/// Nothing in it is escaped, and no line can end in it.
fn without_controls(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).collect()
}

/// What stands in quotes (RFC 5545 3.2): no control characters, and no quotes within.
fn parameter(value: &str) -> String {
    value.chars().filter(|c| !c.is_control() && *c != '"').collect()
}

#[cfg(test)]
mod tests {
    use icalendar::{Calendar, Component, Event, EventLike, Property};
    use proptest::prelude::*;

    use super::*;

    /// The same by a library.
    fn by_the_library(entry: &CalendarEvent<'_>) -> String {
        let uri = |key: &str, value: &str| Property::new(key, without_controls(value));
        let person = |key: &str, person: &Invited<'_>, parameters: &[(&str, &str)]| {
            let mut property = uri(key, &format!("mailto:{}", person.address));
            let name = parameter(person.name);
            if !name.is_empty() {
                property.add_parameter("CN", &format!("\"{name}\""));
            }
            for (key, value) in parameters {
                property.add_parameter(key, value);
            }
            property.done()
        };
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

    fn entry(said: &[String; 4], seconds: i64, method: Method) -> CalendarEvent<'_> {
        let [name, address, summary, description] = said;
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        CalendarEvent {
            method,
            uid: "n6okwcckbid7rfzfsmlbeak3g7z64x6u@example.com",
            sequence: seconds as u32 % 7,
            stamp: at(seconds),
            start: at(seconds + 100_000),
            end: at(seconds + 103_000),
            summary,
            description,
            url: if seconds % 2 == 0 { "https://example.com/Join/378174671?a=b,c;d" } else { "" },
            organizer: Invited { name: "Lakeside, \"the\" practice", address: "desk@example.com" },
            attendee: Invited { name, address },
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(said in proptest::array::uniform4("([!-~]{1,12} ?){0,16}"), seconds in 0..4_000_000_000_i64, cancel: bool) {
            let entry = entry(&said, seconds, if cancel { Method::Cancel } else { Method::Request });
            // (Its last lines may have an octet too many.)
            let unfolded = |calendar: String| calendar.replace("\r\n ", "");
            prop_assert_eq!(unfolded(write(&entry)), unfolded(by_the_library(&entry)));
        }

        #[test]
        fn folded_lines_are_short_and_whole(said in proptest::array::uniform4("([a-z]{0,30}|[é😀 \t\u{2003}]{0,80}|\\PC{0,9}){0,9}")) {
            let entry = entry(&said, 0, Method::Request);
            let written = write(&entry);
            for line in written.split("\r\n") {
                prop_assert!(line.len() <= LINE, "{line:?}");
            }
            let unfolded = written.replace("\r\n ", "");
            let description = format!("DESCRIPTION:{}", escaped(entry.description));
            prop_assert!(unfolded.split("\r\n").any(|line| line == description), "{unfolded:?}");
        }
    }
}
