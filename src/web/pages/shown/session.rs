//! Sessions and the people in them: what needs somebody first, what is well in one line.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Moment, NotReached, capital, moment, role, tone, zone_name};
use crate::contact::PersonName;
use crate::desk::people::{Contacts, Who};
use crate::desk::{agenda, unreachable, words};
use crate::entry::State;
use crate::receipt::DeliveryStatus;
use crate::session::{ParticipantKey, ParticipationId, Role, Rsvp, SessionId};
use crate::web::AppState;

/// Names on one line, before the rest is counted.
const NAMED: usize = 3;

/// With what a page is shown: the practice's words and clock, the time, and whether its reader sees names.
#[derive(Clone, Copy)]
pub(in crate::web::pages) struct Showing<'a> {
    pub office: &'a AppState,
    pub now: DateTime<Utc>,
    pub names: bool,
}

impl Showing<'_> {
    fn at(&self, at: DateTime<Utc>) -> Moment {
        moment(at, &self.office.zone)
    }

    /// A name, if it may be seen and there is one.
    fn name(&self, name: &PersonName) -> Option<String> {
        Some(name.expose().to_owned()).filter(|name| self.names && !name.is_empty())
    }
}

/// The sessions of one day of the practice.
pub(in crate::web::pages) struct Day {
    /// `Today`, `Tomorrow`, or nothing.
    pub name: &'static str,
    /// `Tue, Nov 24`
    pub date: String,
    /// Somebody should do something about them.
    pub needing: Vec<SessionCard>,
    /// All is well with them.
    pub well: Vec<SessionCard>,
    /// They began before now.
    pub begun: Vec<SessionCard>,
}

/// Days with their sessions, also those without one.
pub(in crate::web::pages) fn by_day(cards: Vec<SessionCard>, from: NaiveDate, days: u64, today: NaiveDate) -> Vec<Day> {
    let mut all: Vec<(String, Day)> = from
        .iter_days()
        .take(usize::try_from(days).unwrap_or(0))
        .map(|day| {
            let name = match (day - today).num_days() {
                -1 => "Yesterday",
                0 => "Today",
                1 => "Tomorrow",
                _ => "",
            };
            let date = day.format("%a, %b %-d").to_string();
            (day.to_string(), Day { name, date, needing: Vec::new(), well: Vec::new(), begun: Vec::new() })
        })
        .collect();
    for card in cards {
        if let Some((_, day)) = all.iter_mut().find(|(date, _)| *date == card.start.day) {
            let place = if card.needs {
                &mut day.needing
            } else if card.over {
                &mut day.begun
            } else {
                &mut day.well
            };
            place.push(card);
        }
    }
    all.into_iter().map(|(_, day)| day).collect()
}

pub(in crate::web::pages) struct SessionCard {
    pub id: i64,
    /// `Dr. Ada Finch with José Llama`, or `Session 4102`.
    pub title: String,
    pub start: Moment,
    pub over: bool,
    pub cancelled: bool,
    pub meet_now: bool,
    /// Somebody should do something about it.
    pub needs: bool,
    /// `2 of 3 told`
    pub sum: String,
    pub sum_tone: &'static str,
    pub people: Vec<PersonCard>,
    pub faults: Vec<String>,
}

impl SessionCard {
    pub(in crate::web::pages) fn of(entry: &agenda::AgendaEntry, showing: Showing<'_>) -> Self {
        let people: Vec<PersonCard> = entry.people.iter().map(|p| PersonCard::of(p, entry, showing)).collect();
        let needs =
            !entry.faults.is_empty() || people.iter().any(|p| p.trouble.is_some() || p.steps.iter().any(|s| s.tone == "bad" && !p.over));
        let (sum, sum_tone) = match people.iter().flat_map(|p| &p.steps).any(|step| step.state == words::OVERDUE) {
            true => (words::OVERDUE.to_owned(), "bad"),
            false if needs && entry.start > showing.now => ("Look at it".to_owned(), "bad"),
            false => sum(entry),
        };
        Self {
            id: entry.session.0,
            title: title(entry, showing),
            start: showing.at(entry.start),
            over: entry.start <= showing.now,
            cancelled: entry.cancelled,
            meet_now: entry.meet_now,
            needs,
            sum,
            sum_tone,
            people,
            faults: entry.faults.clone(),
        }
    }
}

fn title(entry: &agenda::AgendaEntry, showing: Showing<'_>) -> String {
    let named = |role: Role| entry.people.iter().filter(move |p| p.role == role).filter_map(|p| showing.name(&p.name));
    let (host, guests): (Option<String>, Vec<String>) = (named(Role::Host).next(), named(Role::Participant).collect());
    let guests = match guests.len() {
        0 => None,
        n if n <= NAMED => Some(guests.join(", ")),
        n => Some(format!("{} and {} more", guests[..NAMED].join(", "), n - NAMED)),
    };
    match (host, guests) {
        (Some(host), Some(guests)) => format!("{host} with {guests}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => format!("Session {}", entry.session),
    }
}

/// How many of those whom we tell were told, and how that is meant.
fn sum(entry: &agenda::AgendaEntry) -> (String, &'static str) {
    if entry.cancelled {
        return ("Cancelled".to_owned(), "quiet");
    }
    let ours: Vec<&agenda::AgendaPerson> = entry.people.iter().filter(|p| !p.told_elsewhere).collect();
    let told = ours.iter().filter(|p| p.steps.iter().any(|s| s.state == Some(State::Accepted) && s.lost.is_none())).count();
    match (told, ours.len()) {
        (_, 0) => ("Told by their host".to_owned(), "quiet"),
        (0, _) => ("Planned".to_owned(), "plain"),
        (told, all) if told == all => ("All told".to_owned(), "good"),
        (told, all) => (format!("{told} of {all} told"), "plain"),
    }
}

pub(in crate::web::pages) struct PersonCard {
    pub id: i64,
    /// Their name, or `Participant 5112`.
    pub title: String,
    pub named: bool,
    pub role: &'static str,
    /// The masked address; or why there is none, where nothing else says so.
    pub to: String,
    /// How to call them, if somebody must.
    pub call: Option<Call>,
    /// `Confirmed`, `Declined`.
    pub rsvp: Option<&'static str>,
    /// When they connected first.
    pub joined: Option<Moment>,
    /// Told by somebody else.
    pub elsewhere: bool,
    pub over: bool,
    /// Their own clock, where it differs from the practice's at that time.
    pub local: Option<Moment>,
    /// `Los Angeles`
    pub zone: String,
    pub trouble: Option<NotReached>,
    pub steps: Vec<Chip>,
}

impl PersonCard {
    pub(in crate::web::pages) fn of(person: &agenda::AgendaPerson, entry: &agenda::AgendaEntry, showing: Showing<'_>) -> Self {
        let zone = person.zone.as_ref();
        let theirs = zone.filter(|z| z.local(entry.start).civil != showing.office.zone.local(entry.start).civil);
        let name = showing.name(&person.name);
        let trouble = person.against.as_ref().map(|(reason, detail)| NotReached::of(reason, detail.as_ref()));
        Self {
            id: person.id.0,
            named: name.is_some(),
            title: name.unwrap_or_else(|| format!("{} {}", role(person.role), person.id)),
            role: role(person.role),
            to: match &person.to {
                Ok(to) => to.clone(),
                Err(_) if person.told_elsewhere || person.against.is_some() => String::new(),
                Err(reason) => words::reason(*reason).to_owned(),
            },
            call: trouble.as_ref().filter(|_| showing.names).map(|_| Call::of(&person.contacts)),
            rsvp: match person.rsvp {
                Rsvp::Unknown => None,
                Rsvp::Confirmed => Some("Confirmed"),
                Rsvp::Declined => Some("Declined"),
            },
            joined: person.joined_at.map(|at| showing.at(at)),
            elsewhere: person.told_elsewhere,
            over: entry.start <= showing.now,
            local: theirs.map(|z| moment(entry.start, z)),
            zone: zone.map(zone_name).unwrap_or_default(),
            trouble,
            steps: person.steps.iter().filter(|s| !is_said(s, person)).map(|s| Chip::of(s, showing)).collect(),
        }
    }
}

/// What is not told for the one reason that stands above it anyway.
fn is_said(step: &agenda::AgendaStep, person: &agenda::AgendaPerson) -> bool {
    let above = person.against.as_ref().map(|(reason, _)| reason.as_str());
    step.key.is_none() && step.reason.is_some_and(|reason| above == Some(reason.as_str()))
}

/// How somebody can be called: as the record has it, whatever is wrong with it.
pub(in crate::web::pages) struct Call {
    /// `+12125550102`; none: it cannot be called.
    pub tel: Option<String>,
    /// `+1 212-555-0102`, or what stands in its place.
    pub number: String,
    pub email: String,
}

impl Call {
    pub(in crate::web::pages) fn of(contacts: &Contacts) -> Self {
        let tel = contacts.phone.as_ref().map(|phone| phone.expose().to_owned());
        Self { number: tel.as_deref().map_or_else(|| contacts.number.0.clone(), grouped), tel, email: contacts.email.0.clone() }
    }
}

/// A number of North America in groups.
fn grouped(e164: &str) -> String {
    match e164.strip_prefix("+1").filter(|rest| rest.len() == 10) {
        Some(rest) => format!("+1 {}-{}-{}", &rest[..3], &rest[3..6], &rest[6..]),
        None => e164.to_owned(),
    }
}

/// One thing that was, will or will not be told.
pub(in crate::web::pages) struct Chip {
    pub what: String,
    pub state: String,
    pub tone: &'static str,
    pub at: Option<Moment>,
    /// It is today, on the practice's clock.
    pub today: bool,
    pub why: Option<&'static str>,
    pub key: Option<String>,
}

impl Chip {
    fn of(step: &agenda::AgendaStep, showing: Showing<'_>) -> Self {
        let at = step.at.map(|at| showing.at(at));
        let lost = step.lost.map(|channel| words::delivery(DeliveryStatus::Undelivered, channel));
        let bad = lost.or(step.overdue.then_some(words::OVERDUE));
        Self {
            what: capital(&step.what),
            state: bad.unwrap_or_else(|| step.state.map_or("Not sent", words::state)).to_owned(),
            tone: if bad.is_some() { "bad" } else { tone(step.state) },
            today: at.as_ref().is_some_and(|at| at.day == showing.at(showing.now).day),
            at,
            why: step.reason.map(words::reason),
            key: step.key.map(|k| k.to_string()),
        }
    }
}

/// Those whom a page names.
pub(in crate::web::pages) type People = HashMap<ParticipantKey, Who>;

/// Somebody on a page: a name with its link.
#[derive(Clone)]
pub(in crate::web::pages) struct Named {
    pub session: i64,
    pub participation: i64,
    /// Their name, or `participant 5112`.
    pub title: String,
    /// `Dr. Ada Finch`; none: the host themselves, or not to be seen.
    pub host: Option<String>,
}

impl Named {
    pub(in crate::web::pages) fn of(place: ParticipantKey, people: &People, showing: Showing<'_>) -> Self {
        let who = people.get(&place);
        let name = who.and_then(|who| showing.name(&who.name));
        Self {
            session: place.0.0,
            participation: place.1.0,
            title: name.unwrap_or_else(|| format!("participant {}", place.1)),
            host: who.and_then(|who| showing.name(who.host.as_ref()?)),
        }
    }
}

/// Somebody who will not be reached.
pub(in crate::web::pages) struct Unreached {
    pub session: i64,
    pub participation: Option<i64>,
    pub who: Option<Named>,
    pub start: Option<Moment>,
    pub call: Option<Call>,
    pub trouble: NotReached,
    /// Somebody called them: who, when, and what they noted.
    pub called: Option<Called>,
}

#[derive(Clone)]
pub(in crate::web::pages) struct Called {
    pub at: Moment,
    /// `by jane: they will come`
    pub note: String,
}

impl Unreached {
    pub(in crate::web::pages) fn of(row: &unreachable::Row, people: &People, showing: Showing<'_>) -> Self {
        let place = row.participation_id.map(|id| (row.session_id, id));
        let who = place.and_then(|place| people.get(&place));
        Self {
            session: row.session_id.0,
            participation: row.participation_id.map(|p| p.0),
            who: place.map(|place| Named::of(place, people, showing)),
            start: row.start.as_ref().and_then(|start| start.parse::<DateTime<Utc>>().ok()).map(|at| showing.at(at)),
            call: who.filter(|_| showing.names).map(|who| Call::of(&who.contacts)),
            trouble: NotReached::of(&row.reason, row.detail.as_ref()),
            called: None,
        }
    }

    /// Whose row it is.
    pub(in crate::web::pages) fn place(&self) -> Option<ParticipantKey> {
        Some((SessionId(self.session), ParticipationId(self.participation?)))
    }

    /// As a line of a table: start, name, host, number, address, why, what to do.
    pub(in crate::web::pages) fn fields(&self) -> [String; 9] {
        let moment = self.start.as_ref().map(|at| format!("{} {}", at.day, at.time)).unwrap_or_default();
        let (name, host) = self.who.as_ref().map_or_else(Default::default, |who| (who.title.clone(), who.host.clone().unwrap_or_default()));
        let (number, email) = self.call.as_ref().map_or_else(Default::default, |call| (call.number.clone(), call.email.clone()));
        let called = self.called.as_ref().map(|called| called.note.clone()).unwrap_or_default();
        let why = self.trouble.text.clone();
        [moment, self.session.to_string(), name, host, number, email, why, self.trouble.remedy.unwrap_or_default().to_owned(), called]
    }
}

/// Somebody who was looked for.
pub(in crate::web::pages) struct Found {
    pub who: Named,
    pub role: &'static str,
    /// None: it cannot be read.
    pub start: Option<Moment>,
    /// It is to come, as far as that can be read.
    pub ahead: bool,
}

impl Found {
    pub(in crate::web::pages) fn of(who: &Who, showing: Showing<'_>) -> Self {
        let place = (who.session, who.participation);
        Self {
            who: Named::of(place, &HashMap::from([(place, who.clone())]), showing),
            role: who.role.map_or("Record at fault", role),
            start: who.start.map(|start| showing.at(start)),
            ahead: who.start.is_none_or(|start| start > showing.now),
        }
    }
}
