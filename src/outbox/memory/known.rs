//! What is known of a participant.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::tables::Tables;
use crate::contact::{Address, Channel, Number, PhoneNumber};
use crate::entry::{Entry, State};
use crate::known::{Expected, Known, KnownNotice, REMINDED_MAX, Reminded, SHARED_MAX};
use crate::notice::{NoticeKey, Occasion, Reason};
use crate::receipt::DeliveryStatus;
use crate::session::{ParticipationId, SessionId};

impl Tables {
    pub(super) fn known(&self, source: &str, session: SessionId, participation: ParticipationId) -> Option<Known> {
        let known = self.participants.get(&(source.to_owned(), session, participation))?;
        let keys = self.keys.get(&(session, participation)).map_or(&[][..], Vec::as_slice);
        let mut notices: Vec<KnownNotice> =
            keys.iter().map(|key| &self.rows[key]).filter(|row| row.entry.source == source).map(Into::into).collect();
        notices.sort_by_key(|n| (n.notice.due_at, n.notice.key));
        let is_lost = |key: &NoticeKey| self.deliveries.get(key)?.last()?.1.receipt.map(DeliveryStatus::is_lost);
        notices.iter_mut().for_each(|n| n.undelivered = is_lost(&n.notice.key).unwrap_or(false));
        let reminded = self.reminded(source, session, &notices);
        let numbers = self.numbers(known.person.as_deref(), &notices);
        let known = Known { reminded, numbers, notices, ..known.clone() };
        let left = known.left_an_hour();
        let expected = if left { self.expected((session, participation), &known, &known.notices) } else { Vec::new() };
        Some(Known { expected, ..known })
    }

    /// Who stands at the starts of these notices: the same person, or somebody who is told at their addresses.
    pub(super) fn expected(&self, this: (SessionId, ParticipationId), known: &Known, notices: &[KnownNotice]) -> Vec<Expected> {
        let told: BTreeSet<(DateTime<Utc>, &str, Channel)> =
            notices.iter().map(|n| (n.notice.start, n.notice.address.expose(), n.notice.address.channel())).collect();
        let mut found: Vec<Expected> = Vec::new();
        for (start, address, channel) in told {
            let address = notices.iter().map(|n| &n.notice.address).find(|a| a.expose() == address && a.channel() == channel);
            let Some(address) = address else { continue };
            let mut theirs: BTreeMap<(&str, SessionId, ParticipationId), Expected> = BTreeMap::new();
            for entry in self.rows.values().map(|row| &row.entry).filter(|e| e.notice.start == start) {
                let place = (entry.source.as_str(), entry.notice.session, entry.notice.participation);
                let Some(other) = self.participants.get(&(entry.source.clone(), place.1, place.2)) else { continue };
                let stands = other.start == start && !other.cancelled && other.absent_since.is_none() && (place.1, place.2) != this;
                let same_person = other.person.is_some() && other.person == known.person;
                let there = entry.notice.address == *address || (same_person && entry.notice.address.channel() != channel);
                if !stands || !there || entry.notice.occasion == Occasion::Cancelled {
                    continue;
                }
                let one = theirs.entry(place).or_insert_with(|| Expected {
                    source: entry.source.clone(),
                    session: place.1,
                    participation: place.2,
                    start,
                    address: address.clone(),
                    same_person,
                    told_there: false,
                    first_seen: other.first_seen,
                    heard_at: None,
                    comes: false,
                });
                one.told_there |= entry.notice.address == *address;
                let heard =
                    matches!(entry.state, State::Accepted | State::Unknown) || matches!(entry.reason, Some(Reason::Adopted | Reason::Told));
                one.heard_at = one.heard_at.max(heard.then_some(entry.changed_at));
                let asked = entry.notice.rule.as_ref().is_some_and(|rule| rule.starts_with("now"));
                let pending = matches!(entry.state, State::Waiting | State::Claimed | State::Sending | State::Held);
                one.comes |= pending && (entry.notice.occasion != Occasion::Reminder || asked);
            }
            found.extend(theirs.into_values().filter(|e| e.comes || e.heard_at.is_some()));
        }
        found
    }

    /// What is known of the numbers of these notices.
    pub(super) fn numbers(&self, person: Option<&str>, notices: &[KnownNotice]) -> Vec<(PhoneNumber, Number)> {
        let mut found: Vec<(PhoneNumber, Number)> = Vec::new();
        for notice in notices {
            let Address::Sms(to) = &notice.notice.address else { continue };
            if found.iter().any(|(number, _)| number == to) {
                continue;
            }
            let mut texts: Vec<&Entry> =
                self.by_number[to.expose()].iter().filter_map(|key| self.rows.get(key)).map(|row| &row.entry).collect();
            texts.sort_by_key(|e| std::cmp::Reverse(e.notice.start));
            let who = |e: &&Entry| self.participants.get(&(e.source.clone(), e.notice.session, e.notice.participation))?.person.as_deref();
            let others = texts.iter().take(SHARED_MAX).filter_map(who);
            let shared = person.is_some_and(|this| others.into_iter().any(|other| other != this));
            found.push((to.clone(), Number { answered: self.heard.contains_key(to), shared }));
        }
        found
    }

    /// Reminders of other sessions, to the numbers of these notices.
    pub(super) fn reminded(&self, source: &str, session: SessionId, notices: &[KnownNotice]) -> Vec<Reminded> {
        let addresses = notices.iter().map(|n| &n.notice.address).filter(|a| a.channel() == Channel::Sms);
        let numbers: BTreeSet<&str> = addresses.map(Address::expose).collect();
        let mut found = Vec::new();
        for number in numbers {
            let keys = self.by_number.get(number).map_or(&[][..], Vec::as_slice);
            let mut theirs: Vec<&Entry> = keys.iter().filter_map(|key| self.rows.get(key)).map(|row| &row.entry).collect();
            theirs.retain(|e| {
                let went = matches!(e.state, State::Claimed | State::Sending | State::Accepted | State::Unknown);
                let other = (e.source.as_str(), e.notice.session) != (source, session);
                went && other && e.notice.occasion == crate::notice::Occasion::Reminder
            });
            theirs.sort_by_key(|e| std::cmp::Reverse(e.notice.start));
            found.extend(theirs.iter().take(REMINDED_MAX).map(|e| Reminded {
                at: e.accepted_at.unwrap_or(e.changed_at),
                underway: matches!(e.state, State::Claimed | State::Sending),
                person: self.participants.get(&(e.source.clone(), e.notice.session, e.notice.participation)).and_then(|k| k.person.clone()),
            }));
        }
        found.sort_unstable();
        found
    }
}
