//! One list, as somebody reads it who has it before them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use punctual::session::SnapshotKind;
use serde_json::Value;

use super::said::{Status, said};
use super::source::{CANCELLED, LIVE, OVER};
use super::word::Listing;

/// A code in a record at fault of a session that takes place, with whose it is.
#[derive(Clone)]
pub(super) struct Occupied {
    pub(super) id: Option<i64>,
    pub(super) code: i64,
    pub(super) start: DateTime<Utc>,
}

/// One list, read.
#[derive(Default)]
pub(super) struct List {
    pub(super) people: BTreeMap<i64, (i64, Vec<Listing>)>,
    /// A record has no id: it may be anybody's.
    pub(super) nameless: bool,
    /// Sessions of which something cannot be read.
    pub(super) at_fault: BTreeSet<i64>,
    /// Codes in records at fault, of sessions that take place, with whose they are.
    pub(super) occupied: Vec<Occupied>,
    /// Sessions of which a whole record cannot be read.
    pub(super) unread: BTreeSet<i64>,
    /// What is said of sessions as a whole.
    pub(super) sessions: BTreeMap<i64, (DateTime<Utc>, Status)>,
    pub(super) empty: bool,
}

impl List {
    /// What it does not say of this session may stand in what cannot be read. A record that can be read says who is in its session.
    pub(super) fn may_hold_more_of(&self, session: i64, extent: SnapshotKind) -> bool {
        self.at_fault.contains(&session)
            || self.unread.contains(&session)
            || ((self.nameless || extent == SnapshotKind::Partial) && !self.sessions.contains_key(&session))
    }
}

pub(super) fn read(records: &[Value]) -> List {
    let mut list = List { empty: records.is_empty(), ..List::default() };
    for record in records {
        let Some(session) = record["SessionId"].as_i64() else {
            list.nameless = true;
            continue;
        };
        let Ok(start) = format!("{}Z", record["ScheduleTs"].as_str().unwrap_or_default()).parse() else {
            list.unread.insert(session);
            continue;
        };
        let status = record["ScheduleType"].as_str().unwrap_or_default();
        let status = match status {
            _ if LIVE.contains(&status) => Status::Live,
            _ if CANCELLED.contains(&status) => Status::Cancelled,
            _ if OVER.contains(&status) => Status::Over,
            _ => Status::Unknown,
        };
        list.sessions.insert(session, (start, status));
        for (n, person) in record["Participants"].as_array().into_iter().flatten().enumerate() {
            let id = person["ParticipationId"].as_i64();
            let said = said(session, start, status, n == 0, person).filter(|_| id.is_some());
            if said.is_none() && matches!(status, Status::Live | Status::Unknown) {
                list.occupied.extend(person["ConnectCode"].as_i64().map(|code| Occupied { id, code, start }));
            }
            let Some(id) = id else {
                list.at_fault.insert(session);
                continue;
            };
            let listing = said.map_or(Listing::Fault, Listing::Good);
            list.people.entry(id).or_insert((session, Vec::new())).1.push(listing);
        }
    }
    // Another record of the same session, which nobody can read, may say anything of them.
    for (_, listings) in list.people.values_mut().filter(|(session, _)| list.unread.contains(session)) {
        listings.push(Listing::Fault);
    }
    list
}
