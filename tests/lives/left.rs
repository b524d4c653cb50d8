//! What is left: at each step nothing past its use, and nobody on the list for nothing; at the end everybody knows, or it is written down, truly, why
//! not.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use punctual::entry::{Entry, State};
use punctual::notice::{NoticeKey, Omission, Reason};
use punctual::suppression::suppression_key;

use super::oracle::{Fate, Oracle, Told, restored};
use super::read::Kind;
use super::said::{Said, Status};
use super::word::Holds;

/// A reminder that would be due so soon after an announcement does not go.
const TOO_CLOSE: TimeDelta = TimeDelta::minutes(30);

impl Oracle {
    /// (5) Nothing is held, unknown or waiting past its use. (6) Nobody is suppressed for nothing.
    pub(super) fn looks_at(&mut self, now: DateTime<Utc>, entries: &[Entry], suppressed: &[String]) {
        for entry in entries {
            let open = matches!(entry.state, State::Waiting | State::Held | State::Unknown | State::Claimed | State::Sending);
            if open && now > entry.notice.useful_until + TimeDelta::minutes(10) {
                let n = &entry.notice;
                let fault = format!("(5) the {} of {} is {} ({:?}) past its use", n.occasion, n.participation, entry.state, entry.reason);
                if !self.wrong.contains(&fault) {
                    self.fails(fault);
                }
            }
        }
        let may: BTreeSet<String> = self.may_be_suppressed.iter().map(|address| suppression_key(&restored(address))).collect();
        if suppressed.iter().any(|key| !may.contains(key)) {
            let fault = "(6) an address is suppressed, and neither a server nor a person said so of it".to_owned();
            if !self.wrong.contains(&fault) {
                self.fails(fault);
            }
        }
    }

    /// (3) At the end everybody knows, or it is written down, truly, why not.
    pub(super) fn everybody_knows(&mut self, now: DateTime<Utc>, entries: &[Entry], omissions: &[Omission]) {
        for person in self.word.people() {
            if self.word.waiting.contains_key(&person) {
                continue;
            }
            let holds = self.word.of(person);
            let mut why = self.is_astray(person, &holds, now);
            if why.is_some() && self.restored_at.is_some() {
                // A store that was put back cannot know what was told since.
                self.remembered = true;
                why = why.filter(|_| self.is_astray(person, &holds, now).is_some());
                self.remembered = false;
            }
            let Some(why) = why else { continue };
            if !self.is_explained(person, now, entries, omissions) {
                self.fails(format!("(3) {person} {why}, and nothing says truly why: {}", said_of(person, entries, omissions)));
            }
        }
    }

    /// What somebody believes who was told what they were told; `None`: what is so, or nobody can tell.
    fn is_astray(&self, person: i64, holds: &Holds, now: DateTime<Utc>) -> Option<String> {
        match holds {
            Holds::Said(said) if said.start <= now + TimeDelta::hours(1) || said.channel == 'N' => None,
            Holds::Said(said) if said.status == Status::Live => self.does_not_know(person, said),
            Holds::Said(said) if said.status == Status::Cancelled => self.still_expects(person, now),
            // What was over by its own word is no news.
            Holds::Absent(_, _, Some(said)) if said.status == Status::Over || self.word.session_is(person, Status::Over) => None,
            // Who leaves a list after the start ages out of it.
            Holds::Absent(..) if self.word.aged.contains(&person) => None,
            // They may stand in what another source did not say.
            Holds::Absent(..) if !self.word.in_part.is_empty() => None,
            Holds::Absent(..) => self.still_expects(person, now),
            _ => None,
        }
    }

    /// (3) Before each start that is still to come at `since`, everybody who expects it is reminded.
    pub(super) fn everybody_was_reminded(&mut self, since: DateTime<Utc>, now: DateTime<Utc>, entries: &[Entry], omissions: &[Omission]) {
        for person in self.word.people() {
            let Holds::Said(said) = self.word.of(person) else { continue };
            if self.word.waiting.contains_key(&person) {
                continue;
            }
            let hour = TimeDelta::hours(1);
            let due = said.start - hour;
            let calm = said.status == Status::Live && said.channel != 'N' && due > since + hour && said.start < now;
            let there = due.with_timezone(&said.zone).hour();
            let quiet = said.channel == 'S' && self.terms.quiet && !(8..21).contains(&there);
            if !calm || quiet || self.to_adopt.contains(&person) {
                continue;
            }
            let is_it = |t: &Told| {
                t.person == person
                    && t.fate.counts()
                    && t.letter.kind == Kind::Reminder
                    && t.start == Some(said.start)
                    && t.at >= due - hour
            };
            // A reminder does not follow at once upon what tells the same.
            let is_heard_anyway = |t: &&Told| {
                let announces = !matches!(t.letter.kind, Kind::Reminder | Kind::Cancelled);
                t.person == person && t.fate.counts() && announces && t.start == Some(said.start) && t.at >= due - TOO_CLOSE
            };
            if self.told.iter().any(|t| is_heard_anyway(&t)) {
                continue;
            }
            // By the clock that was right then, or by the quiet hours of another zone.
            let all = |t: &&Told| t.person == person && t.fate.counts() && t.letter.kind == Kind::Reminder && t.start == Some(said.start);
            let as_often_as_rules = self.told.iter().filter(all).count() >= self.terms.at_once;
            if !self.told.iter().any(is_it) && !as_often_as_rules && !self.is_explained(person, now, entries, omissions) {
                let rows = said_of(person, entries, omissions);
                self.fails(format!(
                    "(3) {person} was not reminded of {}, and nothing says truly why: {rows}",
                    said.start.format("%-d %b %H:%M")
                ));
            }
        }
    }

    fn does_not_know(&self, person: i64, said: &Said) -> Option<String> {
        // Who has no address by now can be told nowhere else.
        let named = |to: &str| self.asked.values().any(|asked| asked.person == person && asked.to.as_deref() == Some(to));
        let is_theirs = |to: &str| said.address.as_deref().is_none_or(|address| address == to) || named(to);
        let knows_it = |start: DateTime<Utc>, code: i64, zone: Tz, to: &str| {
            start == said.start && code == said.code && zone == said.zone && is_theirs(to)
        };
        if let Some(last) = self.last_told(person) {
            if last.letter.kind == Kind::Cancelled {
                return Some("was told that it is cancelled, and it stands".to_owned());
            }
            // Who is told at another address by now may be told again where they heard it before.
            let mut theirs = self.told.iter().filter(|t| t.person == person && self.counts(t));
            let there = theirs.rfind(|t| is_theirs(&t.letter.to));
            let code = |t: &Told| t.letter.codes.first().copied().unwrap_or(0);
            let knows_now = |t: &Told| t.start.is_some_and(|start| knows_it(start, code(t), t.zone.unwrap_or(said.zone), &t.letter.to));
            let announced = |a: &Said| knows_it(a.start, a.code, a.zone, a.address.as_deref().unwrap_or_default());
            let knows = there.map_or_else(|| self.adopted.get(&person).is_some_and(announced), knows_now);
            return (!knows).then(|| "was told something else last".to_owned());
        }
        if let Some(adopted) = self.adopted.get(&person) {
            let knows = knows_it(adopted.start, adopted.code, adopted.zone, adopted.address.as_deref().unwrap_or_default());
            return (!knows).then(|| "was announced by somebody else, with other words".to_owned());
        }
        if self.to_adopt.contains(&person) {
            return None;
        }
        Some("was told nothing".to_owned())
    }

    fn still_expects(&self, person: i64, now: DateTime<Utc>) -> Option<String> {
        let last = self.last_told(person);
        let heard = last.and_then(|last| Some((last.start?, last.letter.to.as_str())));
        if self.word.stands_elsewhere(person, heard) {
            return None;
        }
        let last = last?;
        let awaits = last.letter.kind != Kind::Cancelled && last.start.is_some_and(|start| start > now + TimeDelta::hours(1));
        awaits.then(|| "still expects a session that does not take place".to_owned())
    }

    /// A reason that staff can see, and that is true.
    fn is_explained(&self, person: i64, now: DateTime<Utc>, entries: &[Entry], omissions: &[Omission]) -> bool {
        let rows = entries.iter().filter(|e| e.notice.participation.0 == person).any(|e| match e.state {
            // What has lapsed keeps the reason that kept it.
            State::Held | State::Suppressed | State::Lapsed => {
                e.reason.is_some_and(|reason| self.is_true(person, reason, e.notice.key, now))
            }
            State::Cancelled => e.reason == Some(Reason::Operator) && self.by_staff.contains(&e.notice.key),
            State::Rejected => self.refused.contains(&person),
            // By night a text waits for the morning.
            State::Waiting => {
                self.terms.quiet && !e.notice.address.expose().contains('@') && e.notice.due_at > now && e.notice.rule.is_none()
            }
            State::Unknown => self.told.iter().any(|t| t.key == e.notice.key && t.fate == Fate::Doubt),
            _ => false,
        });
        let theirs = omissions.iter().filter(|o| o.participation.is_some_and(|p| p.0 == person));
        let omitted = theirs.map(|o| o.reason).any(|reason| self.is_true(person, reason, NoticeKey([0; 16]), now));
        rows || omitted
    }

    pub(super) fn is_true(&self, person: i64, reason: Reason, key: NoticeKey, now: DateTime<Utc>) -> bool {
        let holds = self.word.of(person);
        let address = self.word.last.get(&person).and_then(|said| said.address.clone());
        let kept_at = self.word.waiting.get(&person).and_then(|waits| waits.before.address.as_ref());
        let told_at = self.told.iter().filter(|t| t.person == person).map(|t| &t.letter.to);
        let named = self.asked.values().filter(|asked| asked.person == person).filter_map(|asked| asked.to.as_ref());
        match reason {
            Reason::Guard => self.word.too_much,
            Reason::Absent => matches!(holds, Holds::Absent(..)),
            Reason::Ambiguous => {
                matches!(holds, Holds::Ambiguous)
                    || self.word.shares_with_somebody_unread(person)
                    || self.word.is_contradicted_by_what_is_unread(person)
                    || self.word.came_with_it.contains(&person)
                    || self.word.was_shared(person)
                    || self.word.shares_with_somebody_missed(person)
                    || self.word.has_what_another_one_had(person, now)
            }
            Reason::Quarantined => {
                let unread = self.word.is_unread_somewhere(person) || self.word.is_torn(person);
                matches!(holds, Holds::Fault | Holds::Unheard(_)) || unread
            }
            Reason::SourceStale => self.word.silent_for(person, now) > TimeDelta::hours(5),
            // What takes the place of what they stopped waits for them, too.
            Reason::Operator => self.by_staff.contains(&key) || self.staff_acted_on.contains(&person),
            Reason::Restored => self.restored_at.is_some(),
            Reason::Bounced | Reason::OptedOut => {
                address.iter().chain(kept_at).chain(told_at).chain(named).any(|address| self.may_be_suppressed.contains(address))
            }
            Reason::Declined => {
                let last = self.word.last.get(&person);
                self.said_no.contains(&person) || matches!(&holds, Holds::Said(said) | Holds::Unheard(said) if said.declined)
                    // Two records that contradict each other may both say so.
                    || (matches!(holds, Holds::Ambiguous) && last.is_some_and(|said| said.declined))
            }
            Reason::HostDelivers => self.word.is_told_by_the_host(person),
            Reason::NoEmail | Reason::InvalidEmail | Reason::NoNumber | Reason::InvalidNumber => address.is_none(),
            _ => false,
        }
    }
}

/// What the store says of somebody's notices.
fn said_of(person: i64, entries: &[Entry], omissions: &[Omission]) -> String {
    let theirs = entries.iter().filter(|e| e.notice.participation.0 == person);
    let rows = theirs.map(|e| {
        let what = e.notice.rule.clone().unwrap_or_else(|| e.notice.occasion.to_string());
        format!("{what} {}{}", e.state, e.reason.map_or_else(String::new, |r| format!(" ({r})")))
    });
    let omitted = omissions.iter().filter(|o| o.participation.is_some_and(|p| p.0 == person));
    let omitted = omitted.map(|o| {
        let what = o.rule.clone().or(o.occasion.map(|o| o.to_string())).unwrap_or_else(|| "all".to_owned());
        format!("{what} omitted ({})", o.reason)
    });
    rows.chain(omitted).collect::<Vec<_>>().join(", ")
}
