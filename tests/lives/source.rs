//! What is true at the practice, and what its sources say of it: the two are not the same.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// A source's id of a zone, and the zone.
pub(super) const ZONES: [(&str, chrono_tz::Tz); 4] = [
    ("Eastern Standard Time", chrono_tz::America::New_York),
    ("Pacific Standard Time", chrono_tz::America::Los_Angeles),
    ("India Standard Time", chrono_tz::Asia::Kolkata),
    ("GMT Standard Time", chrono_tz::Europe::London),
];

/// Hours from the beginning to the starts that sessions have.
pub(super) const STARTS: [i64; 8] = [49, 26, 50, 73, 98, 60, 5, 27];

/// Words for a session's state.
pub(super) const LIVE: [&str; 3] = ["Scheduled", "Rescheduled", ""];
pub(super) const CANCELLED: [&str; 5] = ["Cancelled", "Canceled", "CANCELLED", "Deleted", "Removed"];
pub(super) const OVER: [&str; 2] = ["Completed", "No Show"];

const FIRST: [&str; 16] =
    ["Nora", "Trevor", "Amina", "Piotr", "Lucia", "Kofi", "Hana", "Jonas", "Mei", "Ravi", "Elif", "Tomas", "Zoe", "Omar", "Freya", "Ilya"];
const LAST: [&str; 4] = ["Quillfeather", "Brambleton", "Ostrowick", "Vandermeer"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PersonFault {
    Code,
    Channel,
    /// The record has no ParticipationId.
    Nameless,
    Number,
    Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionFault {
    /// No SessionId.
    Nameless,
    Start,
    /// No object at all.
    Garbage,
}

/// One person in one session.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: i64,
    pub(super) name: usize,
    pub(super) listed: bool,
    pub(super) channel: char,
    pub(super) email: String,
    pub(super) number: String,
    pub(super) zone: usize,
    pub(super) code: i64,
    pub(super) rsvp: &'static str,
    pub(super) fault: Option<PersonFault>,
    /// How contacts are spelt.
    pub(super) spelling: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: i64,
    /// The source that lists it.
    pub(super) home: usize,
    /// Another one that lists it too, and whether with the same words.
    pub(super) also: Option<(usize, bool)>,
    pub(super) listed: bool,
    pub(super) status: &'static str,
    pub(super) start: DateTime<Utc>,
    /// The host first.
    pub(super) people: Vec<Person>,
    pub(super) fault: Option<SessionFault>,
    /// Its record stands twice, the second time with another start.
    pub(super) twice: bool,
    /// Another source lists it than the first one.
    pub(super) went: bool,
}

/// What is true.
#[derive(Debug, Clone)]
pub(super) struct Practice {
    pub(super) beginning: DateTime<Utc>,
    pub(super) sessions: Vec<Session>,
    /// Raised by each change.
    pub(super) version: usize,
}

/// A column of a list that slips by one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Email,
    Code,
    Name,
    Zone,
}

pub(super) fn name(which: usize) -> String {
    format!("{} {}", FIRST[which % FIRST.len()], LAST[which / FIRST.len() % LAST.len()])
}

pub(super) fn email(person: i64, version: usize) -> String {
    format!("p{person}v{version}@example.com")
}

/// A number of the range that is kept for stories.
pub(super) fn number(person: i64, version: usize) -> String {
    let area = [404, 212, 312, 206][version % 4];
    format!("+1{area}55501{:02}", person % 100)
}

pub(super) fn code(person: i64, version: usize) -> i64 {
    400_000_000 + person * 1_000 + version as i64
}

impl Practice {
    pub(super) fn new(beginning: DateTime<Utc>) -> Self {
        Self { beginning, sessions: Vec::new(), version: 0 }
    }

    /// Books a session of one or two participants; their channels by `channels`.
    pub(super) fn book(&mut self, home: usize, start: DateTime<Utc>, channels: &str) {
        let id = self.sessions.len() as i64 + 1;
        let people = "N".chars().chain(channels.chars()).enumerate().map(|(n, channel)| {
            let person = id * 3 + n as i64;
            let zone = ((id + n as i64) % ZONES.len() as i64) as usize;
            Person {
                id: person,
                name: person as usize,
                listed: true,
                channel,
                email: email(person, 0),
                number: number(person, 0),
                zone,
                code: code(person, 0),
                rsvp: "Unknown",
                fault: None,
                spelling: 0,
            }
        });
        let people = people.collect();
        self.sessions.push(Session {
            id,
            home,
            also: None,
            listed: true,
            status: "Scheduled",
            start,
            people,
            fault: None,
            twice: false,
            went: false,
        });
    }

    pub(super) fn start(&self, which: usize) -> DateTime<Utc> {
        self.beginning + TimeDelta::hours(STARTS[which % STARTS.len()])
    }

    pub(super) fn session(&mut self, which: usize) -> Option<&mut Session> {
        let n = self.sessions.len();
        if n == 0 { None } else { self.sessions.get_mut(which % n) }
    }

    /// Somebody who is no host.
    pub(super) fn person(&mut self, session: usize, which: usize) -> Option<&mut Person> {
        let session = self.session(session)?;
        let guests = session.people.len() - 1;
        session.people.get_mut(1 + which % guests)
    }

    /// A column slips by one row: everybody has the next one's.
    pub(super) fn slip(&mut self, column: Column) {
        let mut people: Vec<&mut Person> = self.sessions.iter_mut().flat_map(|s| s.people.iter_mut().skip(1)).collect();
        if people.len() < 2 {
            return;
        }
        for n in 0..people.len() - 1 {
            let (left, right) = people.split_at_mut(n + 1);
            swap(column, left[n], right[0]);
        }
    }

    /// Two people have each other's.
    pub(super) fn swap(&mut self, column: Column, a: usize, b: usize) {
        let mut people: Vec<&mut Person> = self.sessions.iter_mut().flat_map(|s| s.people.iter_mut().skip(1)).collect();
        let n = people.len();
        let (a, b) = ((a % n).min(b % n), (a % n).max(b % n));
        if a != b {
            let (left, right) = people.split_at_mut(b);
            swap(column, left[a], right[0]);
        }
    }

    /// What a source would say, were nothing in its way.
    pub(super) fn said(&self, source: usize) -> Vec<Value> {
        // A session that stays, without participants: no list is empty for want of patients.
        let mut all = vec![json!({ "SessionId": 9_000 + source, "ScheduleTs": "2028-01-01T00:00:00", "Participants": [] })];
        for session in self.sessions.iter().filter(|s| s.listed) {
            let other = session.also.filter(|(also, _)| *also == source && source != session.home);
            if session.home != source && other.is_none() {
                continue;
            }
            let mut record = session.record();
            if other.is_some_and(|(_, same)| !same) {
                record["ScheduleTs"] = json!(stamp(session.start + TimeDelta::hours(3)));
            }
            if session.twice {
                let mut again = record.clone();
                again["ScheduleTs"] = json!(stamp(session.start + TimeDelta::hours(1)));
                all.push(again);
            }
            all.push(match session.fault {
                Some(SessionFault::Garbage) => json!("##"),
                _ => record,
            });
        }
        all
    }
}

fn swap(column: Column, a: &mut Person, b: &mut Person) {
    match column {
        Column::Email => {
            std::mem::swap(&mut a.email, &mut b.email);
            std::mem::swap(&mut a.number, &mut b.number);
        }
        Column::Code => std::mem::swap(&mut a.code, &mut b.code),
        Column::Name => std::mem::swap(&mut a.name, &mut b.name),
        Column::Zone => std::mem::swap(&mut a.zone, &mut b.zone),
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S").to_string()
}

impl Session {
    fn record(&self) -> Value {
        let people: Vec<Value> = self.people.iter().filter(|p| p.listed).map(Person::record).collect();
        let id = if self.fault == Some(SessionFault::Nameless) { Value::Null } else { json!(self.id) };
        let start = if self.fault == Some(SessionFault::Start) { json!("soon") } else { json!(stamp(self.start)) };
        json!({ "SessionId": id, "ScheduleTs": start, "ScheduleType": self.status, "Participants": people })
    }
}

impl Person {
    fn record(&self) -> Value {
        let id = if self.fault == Some(PersonFault::Nameless) { Value::Null } else { json!(self.id) };
        let code = if self.fault == Some(PersonFault::Code) { json!("oops") } else { json!(self.code) };
        let channel = if self.fault == Some(PersonFault::Channel) { "X".to_owned() } else { self.channel.to_string() };
        let (mut email, mut number) = (self.email.clone(), self.number.clone());
        match self.spelling % 3 {
            1 => (email, number) = (email.to_uppercase(), number[2..].to_owned()),
            2 => number = format!("({}) {}-{}", &number[2..5], &number[5..8], &number[8..]),
            _ => {}
        }
        if self.fault == Some(PersonFault::Number) {
            number = String::from("4.04555012E9");
        }
        if self.fault == Some(PersonFault::Address) {
            email = String::from("nobody");
        }
        json!({ "ParticipationId": id, "ParticipantFullName": name(self.name), "ParticipantEmailAddress": email, "ParticipantSmsNumber": number,
            "ParticipantTimeZoneWindowsId": ZONES[self.zone].0, "ConnectCode": code, "ShouldAutoDeliverCode": channel, "RSVP": self.rsvp })
    }
}
