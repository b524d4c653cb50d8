//! What staff ask for: that somebody is reminded now, and that something is sent again. Whether it may leave, and whether a refusal is true.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use punctual::desk::{Desk, remind, resend};
use punctual::entry::{Entry, State};
use punctual::known::resend::Resent;
use punctual::notice::{NoticeKey, Reason};
use punctual::plan::asked::NotNow;
use punctual::session::{ParticipationId, SessionId};

use super::engine;
use super::event::Named;
use super::oracle::{Fate, Oracle, Told, is_quiet, restored};
use super::read::Kind;
use super::said::Status;
use super::source;
use super::word::Holds;
use super::world::World;

/// What is asked for is not asked for again so soon.
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(5);
/// Who asks for a reminder while something is due so soon hears that it is on its way.
const SOON: TimeDelta = TimeDelta::minutes(2);

/// A message that staff asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) person: i64,
    /// To this address instead of their own.
    pub(super) to: Option<String>,
    /// Also in quiet hours.
    pub(super) at_night: bool,
}

impl World {
    /// What stands behind the desk's commands and pages.
    fn desk(&self) -> Desk {
        let sources = self.sources.lock().unwrap().len();
        Desk {
            outbox: self.outbox(),
            policy: Arc::clone(&self.configured().policy),
            sources: (0..sources).map(|n| engine::name(n).to_owned()).collect(),
        }
    }

    /// Remind now.
    pub(super) async fn reminds(&self, n: usize, at_night: bool) {
        let Some((session, person)) = self.nth(n) else { return };
        let (of, whom) = (SessionId(session), ParticipationId(person));
        let wish = remind::RemindRequest { session: of, participation: Some(whom), at_night, who: None, why: String::new() };
        let answers = remind::remind(&self.desk(), &wish, self.now()).await.unwrap();
        let entries = self.entries().await;
        for answer in answers {
            let said = answer.result.as_ref().map_or_else(NotNow::in_words, |_| "it goes".to_owned());
            self.notes(format!("staff: Remind now for {person}{}: {said}", if at_night { ", also by night" } else { "" }));
            let mut oracle = self.oracle.lock().unwrap();
            match answer.result {
                Ok(notice) => oracle.is_asked_for(notice.key, Asked { person, to: None, at_night }),
                Err(why) => oracle.is_not_reminded((person, at_night), &why, &entries, self.now()),
            }
        }
    }

    /// What was accepted or rejected goes out once more.
    pub(super) async fn sends_again(&self, n: usize, named: Named) {
        let over = |e: &Entry| matches!(e.state, State::Accepted | State::Rejected);
        let entries: Vec<Entry> = self.entries().await.into_iter().filter(over).collect();
        let Some(entry) = entries.get(n % entries.len().max(1)) else { return };
        let (key, person) = (entry.notice.key, entry.notice.participation.0);
        let by_text = !entry.notice.address.expose().contains('@');
        let to = match named {
            Named::Own => None,
            Named::Corrected(version) if by_text => Some(source::number(person, version)),
            Named::Corrected(version) => Some(source::email(person, version)),
            Named::Anothers(n) => self.contact_of(n, by_text),
        };
        let wish = resend::ResendRequest { keys: vec![key], to: to.as_deref().map(restored), who: None };
        let answers = resend::resend(&self.desk(), &wish, self.now()).await.unwrap();
        let what = entry.notice.rule.clone().unwrap_or_else(|| entry.notice.occasion.to_string());
        for (_, answer) in answers {
            let said = answer.in_words().unwrap_or("it goes");
            let whither = to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
            self.notes(format!("staff: {what} of {person} is sent again{whither}: {said}"));
            let mut oracle = self.oracle.lock().unwrap();
            match answer {
                resend::ResendResult::Store(Resent::As(new)) => {
                    oracle.is_sent_again(person, to.as_deref());
                    // Once more where it went, be it an address that staff had named.
                    let to = to.clone().or_else(|| oracle.asked.get(&key).and_then(|asked| asked.to.clone()));
                    let at_night = oracle.asked.get(&key).is_some_and(|asked| asked.at_night);
                    oracle.is_asked_for(new, Asked { person, to, at_night });
                }
                refused => oracle.is_not_sent_again(entry, to.as_deref(), refused, self.now()),
            }
        }
    }

    /// A participant, by the session.
    fn nth(&self, n: usize) -> Option<(i64, i64)> {
        let practice = self.practice.lock().unwrap();
        let people: Vec<_> = practice.sessions.iter().flat_map(|s| s.people.iter().skip(1).map(|p| (s.id, p.id))).collect();
        people.get(n % people.len().max(1)).copied()
    }

    fn contact_of(&self, n: usize, by_text: bool) -> Option<String> {
        let practice = self.practice.lock().unwrap();
        let people: Vec<_> = practice.sessions.iter().flat_map(|s| s.people.iter().skip(1)).collect();
        let person = people.get(n % people.len().max(1))?;
        Some(if by_text { person.number.clone() } else { person.email.clone() })
    }
}

impl Oracle {
    fn is_asked_for(&mut self, key: NoticeKey, asked: Asked) {
        // Asked for before, and that is forgotten: it is the same one again.
        if self.told.iter().any(|t| t.key == key && t.lost) {
            self.by_staff.insert(key);
        }
        self.asked.insert(key, asked);
    }

    /// Staff were told that somebody is not reminded now: is it so?
    fn is_not_reminded(&mut self, (person, at_night): (i64, bool), why: &NotNow, entries: &[Entry], now: DateTime<Utc>) {
        let theirs = || entries.iter().filter(|e| e.notice.participation.0 == person);
        let is_so = match why {
            NotNow::Against(reason, _) => self.is_true_now(person, *reason, now) || (*reason == Reason::QuietHours && !at_night),
            NotNow::UnderWay(_) => theirs().any(|e| match e.state {
                State::Claimed | State::Sending => true,
                State::Waiting => self.asked.contains_key(&e.notice.key) || e.notice.due_at <= now + SOON,
                State::Held | State::Unknown => self.asked.contains_key(&e.notice.key),
                _ => false,
            }),
            NotNow::JustSent(_) => self.told_of(person).any(|t| t.at > now - AGAIN_AFTER * 2),
            NotNow::TooOften => false,
        };
        if !is_so {
            self.fails(format!("Remind now for {person}: it is refused, and that is not so: {why:?}"));
        }
    }

    /// (1) One person's code is not sent to another one of the same session.
    fn is_sent_again(&mut self, person: i64, to: Option<&str>) {
        let Some(to) = to else { return };
        // Of whom a change waits for an operator: as they were.
        let kept = |id: &i64| self.word.waiting.get(id).map(|waits| waits.before.clone());
        let Some(own) = kept(&person).or_else(|| self.word.last.get(&person).cloned()) else { return };
        let has = |contacts: &(String, String)| contacts.0 == to || contacts.1 == to;
        let another = |other: &i64| match kept(other).map_or_else(|| self.word.of(*other), Holds::Said) {
            Holds::Said(said) => *other != person && said.session == own.session && has(&said.contacts),
            _ => false,
        };
        if !has(&own.contacts) && self.word.people().iter().any(another) {
            self.fails(format!("sent again for {person}: (1) {to} is another participant's of that session"));
        }
    }

    /// Staff were told that it is not sent again: is it so?
    fn is_not_sent_again(&mut self, entry: &Entry, to: Option<&str>, why: resend::ResendResult, now: DateTime<Utc>) {
        let (key, person) = (entry.notice.key, entry.notice.participation.0);
        let is_so = match why {
            resend::ResendResult::Store(Resent::Late) => entry.notice.useful_until <= now,
            resend::ResendResult::Store(Resent::UnderWay | Resent::NotOver(_) | Resent::TooOften) => true,
            resend::ResendResult::Store(_) => false,
            resend::ResendResult::Suppressed(_) => self.may_be_suppressed.contains(to.unwrap_or(entry.notice.address.expose())),
            resend::ResendResult::Anothers => to.is_some(),
            resend::ResendResult::Against(Reason::Outdated) => !self.still_holds(person, key, now),
            resend::ResendResult::Against(reason) => self.is_true_now(person, reason, now) || !self.still_holds(person, key, now),
        };
        if !is_so {
            self.fails(format!("sent again for {person}: it is refused, and that is not so: {why:?}"));
        }
    }

    fn told_of(&self, person: i64) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(move |t| t.person == person && t.fate != Fate::NotTaken)
    }

    /// What this message said, if it was taken, is what the source says now.
    fn still_holds(&self, person: i64, key: NoticeKey, now: DateTime<Utc>) -> bool {
        let Holds::Said(said) = self.word.of(person) else { return false };
        let same = |t: &Told| {
            let theirs = said.address.as_deref() == Some(&t.letter.to);
            // A rule that is no more reminds nobody.
            t.letter.kind != Kind::Reminder
                && t.key == key
                && t.start == Some(said.start)
                && t.letter.codes == [said.code]
                && t.zone == Some(said.zone)
                && theirs
        };
        let calm = said.status == Status::Live && said.start > now && !self.word.too_much && !said.declined;
        // Of several reminders the last one is of use.
        let alone = self.told_of(person).all(|t| t.key == key);
        calm && alone && self.told_of(person).any(same)
    }

    /// A reason that is given to staff at their desk.
    fn is_true_now(&self, person: i64, reason: Reason, now: DateTime<Utc>) -> bool {
        let holds = self.word.of(person);
        let last = self.word.last.get(&person);
        match reason {
            Reason::Started | Reason::Lapsed => last.is_some_and(|said| said.start <= now),
            Reason::Cancelled if self.word.soon_off.contains(&person) => true,
            Reason::Cancelled => match &holds {
                Holds::Said(said) | Holds::Unheard(said) => said.status != Status::Live,
                Holds::Absent(..) => true,
                _ => self.word.too_much,
            },
            // Who was told another start would come in vain; and what is being read is not in force yet.
            Reason::Guard if self.word.soon_too_much => true,
            Reason::Guard if last.is_some_and(|said| said.start <= now) => {
                self.last_told(person).is_some_and(|told| told.start.is_some_and(|start| start > now)) || self.word.too_much
            }
            // Of two lists, one may be kept as it was, and the other one not yet.
            Reason::Ambiguous if self.word.waiting.contains_key(&person) || !matches!(holds, Holds::Said(_)) => true,
            Reason::Absent if matches!(holds, Holds::Unheard(_)) => self.word.is_missed(person),
            Reason::Outdated => last.is_some_and(|said| said.status == Status::Over),
            Reason::UnknownStatus => last.is_some_and(|said| said.status == Status::Unknown),
            Reason::QuietHours => self.terms.quiet && last.is_some_and(|said| said.channel == 'S' && is_quiet(now, said.zone)),
            _ => self.is_true(person, reason, NoticeKey([0; 16]), now),
        }
    }
}
