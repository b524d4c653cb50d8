//! What Punctual promises, held against each message that leaves (and in `left` against what is left). It knows what the sources said ([`Word`]),
//! what servers, staff and people said, and what left; nothing of plans.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use punctual::notice::NoticeKey;

use super::read::{Kind, Letter};
use super::said::{Said, Status};
use super::staff::Asked;
use super::waits::Waiting;
use super::word::{Holds, Word};

/// A list must miss somebody so often, over so long, before that counts as cancelled.
pub(super) const ABSENCES: usize = 3;
pub(super) const ABSENT_FOR: TimeDelta = TimeDelta::minutes(10);
/// Whoever was begun for when quiet hours or the end came may be on the way so long.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(35);
/// A cancellation is of use so long after the start.
const AFTER_START: TimeDelta = TimeDelta::minutes(5);
/// Whoever has not joined is asked for so long after the start.
const MAY_JOIN: TimeDelta = TimeDelta::minutes(15);

/// What passed the point of no return.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) at: DateTime<Utc>,
    pub(super) person: i64,
    pub(super) key: NoticeKey,
    pub(super) letter: Letter,
    /// The start that it names.
    pub(super) start: Option<DateTime<Utc>>,
    pub(super) zone: Option<Tz>,
    pub(super) fate: Fate,
    /// A store that was put back does not remember it.
    pub(super) lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its answer is awaited.
    Flying,
    Accepted,
    /// Nobody knows.
    Doubt,
    /// Refused after the dot, or never of ours.
    NotTaken,
}

impl Fate {
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Flying | Self::Accepted | Self::Doubt)
    }
}

/// What a practice has decided that the oracle must know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) adopt_invites: bool,
    pub(super) quiet: bool,
    /// Reminder rules, of all configurations so far; and of the one that has most.
    pub(super) rules: usize,
    pub(super) at_once: usize,
}

pub(super) struct Oracle {
    pub(super) terms: Terms,
    pub(super) word: Word,
    pub(super) told: Vec<Told>,
    /// Announced by somebody else: with these words.
    pub(super) adopted: BTreeMap<i64, Said>,
    /// Whom the first list had, and could not be adopted yet.
    pub(super) to_adopt: BTreeSet<i64>,
    pub(super) filled: BTreeSet<usize>,
    /// Addresses of which a server or a person said so.
    pub(super) may_be_suppressed: BTreeSet<String>,
    /// Numbers that said STOP, and nothing since.
    pub(super) stopped: BTreeSet<String>,
    /// Notices that staff acted upon; and of whom something was refused, lost or held by them.
    pub(super) by_staff: BTreeSet<NoticeKey>,
    pub(super) staff_acted_on: BTreeSet<i64>,
    /// What they asked for.
    pub(super) asked: BTreeMap<NoticeKey, Asked>,
    pub(super) refused: BTreeSet<i64>,
    /// Who answered so, by text.
    pub(super) said_no: BTreeSet<i64>,
    pub(super) said_yes: BTreeSet<i64>,
    /// Of which a receipt says that it did not arrive.
    pub(super) not_arrived: BTreeSet<NoticeKey>,
    /// A backup was put back.
    pub(super) restored_at: Option<DateTime<Utc>>,
    /// And since then the clock was set back to this.
    pub(super) set_back_to: Option<DateTime<Utc>>,
    /// What was told and is forgotten counts for nothing.
    pub(super) remembered: bool,
    pub(super) wrong: Vec<String>,
}

impl Oracle {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            word: Word::default(),
            told: Vec::new(),
            adopted: BTreeMap::new(),
            to_adopt: BTreeSet::new(),
            filled: BTreeSet::new(),
            may_be_suppressed: BTreeSet::new(),
            stopped: BTreeSet::new(),
            by_staff: BTreeSet::new(),
            staff_acted_on: BTreeSet::new(),
            asked: BTreeMap::new(),
            refused: BTreeSet::new(),
            said_no: BTreeSet::new(),
            said_yes: BTreeSet::new(),
            not_arrived: BTreeSet::new(),
            restored_at: None,
            set_back_to: None,
            remembered: false,
            wrong: Vec::new(),
        }
    }

    /// After a list was heard: whom does it adopt?
    pub(super) fn adopts(&mut self, source: usize, whole: bool, now: DateTime<Utc>) {
        let list = &self.word.lists[&source];
        let anybody = list.values().any(|line| line.place == super::word::Place::Listed);
        if whole && anybody && self.filled.insert(source) && !self.terms.adopt_invites {
            self.to_adopt.extend(list.keys().filter(|id| !self.adopted.contains_key(id)).copied());
        }
        let ready: Vec<(i64, Said)> = self
            .to_adopt
            .iter()
            .filter_map(|id| match self.word.of(*id) {
                Holds::Said(said) if said.start > now => Some((*id, said)),
                _ => None,
            })
            .collect();
        for (id, said) in ready {
            self.to_adopt.remove(&id);
            self.adopted.insert(id, said);
        }
    }

    pub(super) fn fails(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// A server refused a message to that address.
    pub(super) fn refused_at(&mut self, to: &str) {
        let is_theirs = |said: &Said| said.contacts.0 == to || said.contacts.1 == to;
        let theirs = self.word.last.iter().filter(|(_, said)| is_theirs(said)).map(|(person, _)| *person);
        let told_there = self.told.iter().filter(|t| t.letter.to == to).map(|t| t.person);
        let named = self.asked.values().filter(|asked| asked.to.as_deref() == Some(to)).map(|asked| asked.person);
        self.refused.extend(theirs.chain(told_there).chain(named));
    }

    /// What somebody was told last; nothing, if somebody else announced it or nobody did.
    pub(super) fn last_told(&self, person: i64) -> Option<&Told> {
        self.told.iter().rev().find(|told| told.person == person && self.counts(told))
    }

    /// It was told, or may have been, and is not forgotten if that is asked.
    pub(super) fn counts(&self, told: &Told) -> bool {
        told.fate.counts() && !(self.remembered && told.lost)
    }

    /// A message passes its point of no return. Its place in `told`.
    pub(super) fn crosses(&mut self, now: DateTime<Utc>, person: i64, key: NoticeKey, letter: Letter) -> usize {
        let mut faults = self.against(now, person, key, &letter);
        if !faults.is_empty() && self.restored_at.is_some() {
            // What is right by all that the store remembers is as right as can be.
            self.remembered = true;
            if self.against(now, person, key, &letter).is_empty() {
                faults.clear();
            }
            self.remembered = false;
        }
        faults.extend(self.twice(now, person, key, &letter));
        for fault in faults {
            self.fails(format!("{} for {person} ({}): {fault}", kind_word(letter.kind), letter.to));
        }
        let last = self.word.last.get(&person);
        let zones = last.map(|said| said.zone).into_iter().chain(super::source::ZONES.iter().map(|(_, zone)| *zone));
        let starts: Vec<DateTime<Utc>> = last.and_then(|said| self.word.starts.get(&said.session)).into_iter().flatten().copied().collect();
        let named =
            zones.flat_map(|zone| starts.iter().map(move |start| (*start, zone))).find(|(start, zone)| letter.names(*start, *zone, now));
        let (start, zone) = (named.map(|(start, _)| start), named.map(|(_, zone)| zone));
        self.told.push(Told { at: now, person, key, letter, start, zone, fate: Fate::Flying, lost: false });
        self.told.len() - 1
    }

    /// Everything that is wrong with it.
    fn against(&self, now: DateTime<Utc>, person: i64, key: NoticeKey, letter: &Letter) -> Vec<String> {
        let waits = self.word.waiting.get(&person);
        let wrong = self.against_as(now, (person, waits), key, letter);
        let Some(waits) = waits.filter(|waits| waits.either && !wrong.is_empty()) else { return wrong };
        let said = if let Holds::Said(said) = self.word.of(person) { Some(said) } else { None };
        let moved = said.iter().map(|said| waits.in_session_of(said));
        let in_part = said.iter().flat_map(|said| waits.in_part(said));
        let mut others = std::iter::once(None).chain(moved.chain(in_part).map(Some));
        let is_right = others.any(|waits| self.against_as(now, (person, waits.as_ref()), key, letter).is_empty());
        if is_right { Vec::new() } else { wrong }
    }

    /// Likewise, if so much waits of them.
    fn against_as(&self, now: DateTime<Utc>, (person, waits): (i64, Option<&Waiting>), key: NoticeKey, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        let holds = self.word.of(person);
        let said = match (&holds, waits) {
            (_, Some(waits)) => Some(&waits.before),
            (Holds::Said(said) | Holds::Unheard(said), _) => Some(said),
            (Holds::Absent(_, _, said), _) => said.as_ref(),
            _ => None,
        };
        wrong.extend(self.wrong_address((person, key), said, letter));
        wrong.extend(self.wrong_person(person, said, letter));
        wrong.extend(match letter.kind {
            Kind::Cancelled => self.wrongly_cancelled(now, person, &holds, waits, letter),
            _ => Self::wrongly_told(now, &holds, waits.is_some(), said, letter),
        });
        if said.is_some_and(|said| said.declined && !said.once_moved) && letter.kind == Kind::Reminder && !self.said_yes.contains(&person) {
            wrong.push("they declined".to_owned());
        }
        wrong.extend(self.after_its_use(now, person, said, letter));
        if !self.asked.get(&key).is_some_and(|asked| asked.at_night) {
            wrong.extend(self.by_night(now, person, said, letter));
        }
        if self.stopped.contains(&letter.to) {
            wrong.push("this number said STOP".to_owned());
        }
        wrong
    }

    /// (1) Nothing goes to an address that neither the source gives them nor staff named.
    fn wrong_address(&self, (person, key): (i64, NoticeKey), said: Option<&Said>, letter: &Letter) -> Option<String> {
        if let Some(to) = self.asked.get(&key).and_then(|asked| asked.to.as_ref()) {
            return (*to != letter.to).then(|| format!("(1) staff named another address, {to}"));
        }
        let told_there = self.told.iter().any(|t| t.person == person && t.letter.to == letter.to && self.counts(t));
        let adopted_there = self.adopted.get(&person).is_some_and(|a| a.address.as_deref() == Some(&letter.to));
        let theirs = said.is_some_and(|said| said.address.as_deref() == Some(&letter.to));
        // Who was told at an old address may be told there that it is cancelled.
        let is_right = theirs || (letter.kind == Kind::Cancelled && (told_there || adopted_there));
        (!is_right).then(|| "(1) the source gives them another address".to_owned())
    }

    /// (1) A code or a name reaches nobody but whom the source gave them to.
    fn wrong_person(&self, person: i64, said: Option<&Said>, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        let heard_it = |name: &str| {
            let mut theirs = self.told.iter().filter(|t| t.person == person && t.letter.to == letter.to && self.counts(t));
            let announced = self.adopted.get(&person).is_some_and(|said| said.name == name) || self.word.was_ever_called(person, name);
            letter.kind == Kind::Cancelled && (announced || theirs.any(|t| t.letter.holds(name)))
        };
        for code in &self.word.codes {
            if said.is_none_or(|said| said.code != *code) && letter.holds_code(*code) {
                wrong.push(format!("(1) it holds the code {code}, which the source does not give them"));
            }
        }
        let host = said
            .map(|said| said.session)
            .and_then(|session| self.word.last.values().find(|s| s.session == session && s.host).map(|s| s.name.clone()));
        for name in self.word.names.iter().filter(|name| letter.holds(name)) {
            // A cancellation speaks of what they were told last, and to whom.
            if said.is_none_or(|said| said.name != *name) && host.as_ref() != Some(name) && !heard_it(name) {
                wrong.push(format!("(1) it holds the name {name}, which the source does not give them"));
            }
        }
        wrong
    }

    /// (2) Nobody is told that a session is cancelled that stands.
    fn wrongly_cancelled(&self, now: DateTime<Utc>, person: i64, holds: &Holds, waits: Option<&Waiting>, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        // Whatever else waits of them: they are told so as they were told of it.
        if let Some(waits) = waits.filter(|waits| matches!(waits.what, "removed" | "left")) {
            wrong.push(format!("(2) too many {} at once, and no operator let it pass", waits.what));
        }
        match holds {
            Holds::Said(said) | Holds::Unheard(said) if said.status == Status::Cancelled => {}
            // It was cancelled by its own word before it left.
            Holds::Absent(_, _, Some(said)) if said.status == Status::Cancelled => {}
            Holds::Absent(lists, since, _) if *lists >= ABSENCES && now - *since >= ABSENT_FOR => {}
            // An operator let them go, and since then no list has them in a record that can be read.
            Holds::Absent(..) | Holds::Unheard(_) if self.word.let_go.contains(&person) => {}
            Holds::Absent(lists, since, _) => {
                wrong.push(format!("(2) missing from {lists} lists for {} minutes only", (now - *since).num_minutes()));
            }
            // Their record cannot be read, and their session's can.
            Holds::Fault | Holds::Ambiguous if self.word.session_is(person, Status::Cancelled) => {}
            Holds::Said(_) => wrong.push("(2) the session stands in the source's last word".to_owned()),
            _ => wrong.push("(2) nobody can tell that from what the source said".to_owned()),
        }
        match (self.last_told(person), self.adopted.get(&person)) {
            (Some(last), _) => {
                // Or what this address heard last, if it is theirs again.
                let here = self.told.iter().rfind(|t| t.person == person && self.counts(t) && t.letter.to == letter.to);
                // What is in doubt may not have arrived: what they heard before it is called off, too.
                let heard = || self.told.iter().rev().filter(|t| t.person == person && self.counts(t) && t.letter.to == letter.to);
                let heard = || heard().filter(|t| t.letter.kind != Kind::Cancelled);
                let sure = heard().position(|t| t.fate == Fate::Accepted).map_or(usize::MAX, |n| n + 1);
                let believed =
                    heard().take(sure).filter_map(|t| Some((t.start?, t.zone?))).any(|(start, zone)| letter.names(start, zone, now));
                // All that they were told is in doubt: what somebody else announced, too.
                let all_in_doubt = !heard().any(|t| t.fate == Fate::Accepted);
                let announced = self.adopted.get(&person).filter(|_| all_in_doubt);
                let believed = believed || announced.is_some_and(|said| letter.names(said.start, said.zone, now));
                let said_here =
                    believed || here.and_then(|t| Some((t.start?, t.zone?))).is_some_and(|(start, zone)| letter.names(start, zone, now));
                if let (Some(start), Some(zone)) = (last.start, last.zone)
                    && !said_here
                    && !letter.names(start, zone, now)
                    && !self.word.zones.get(&person).into_iter().flatten().any(|zone| letter.names(start, *zone, now))
                    // After a restore of each start that they may have been told.
                    && !(self.restored_at.is_some() && self.starts_named(person, letter, now).next().is_some())
                {
                    wrong.push(format!("it names another start than they were told last ({})", start.format("%-d %b %H:%M")));
                }
            }
            (None, Some(_)) => {}
            // Whether what is held had gone out before, nobody knows.
            (None, None) if self.restored_at.is_some() => {}
            (None, None) => wrong.push("they were never told of it".to_owned()),
        }
        wrong
    }

    fn wrongly_told(now: DateTime<Utc>, holds: &Holds, waits: bool, said: Option<&Said>, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        match holds {
            _ if waits => {}
            Holds::Said(said) | Holds::Unheard(said) if said.status == Status::Live => {}
            Holds::Said(_) | Holds::Unheard(_) => wrong.push("the source says that it does not take place".to_owned()),
            Holds::Ambiguous => wrong.push("(1) the sources contradict each other about them, or another one has their code".to_owned()),
            Holds::Fault => wrong.push("the source's record is at fault".to_owned()),
            Holds::Absent(..) => wrong.push("the source does not list them".to_owned()),
            Holds::Never => wrong.push("(1) no source ever named them".to_owned()),
        }
        let Some(said) = said else { return wrong };
        if letter.codes != [said.code] {
            wrong.push(format!("it holds the codes {:?}; theirs is {}", letter.codes, said.code));
        }
        // Somebody who is first seen when it runs is told that it runs.
        let meets_now = matches!(letter.kind, Kind::Invite | Kind::NotJoined) && now >= said.start;
        if !meets_now && !letter.names(said.start, said.zone, now) {
            wrong.push(format!("it does not say {} in {}", said.start.format("%-d %b %H:%M UTC"), said.zone));
        }
        wrong
    }

    fn was_told_at(&self, person: i64, to: &str) -> bool {
        self.told.iter().any(|told| told.person == person && told.letter.to == to && self.counts(told))
    }

    /// (4) Nothing leaves after its use.
    fn after_its_use(&self, now: DateTime<Utc>, person: i64, said: Option<&Said>, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(said) = said else { return wrong };
        let told = self.last_told(person).map_or_else(|| self.adopted.get(&person).map(|said| said.start), |told| told.start);
        // The start that it names: of several that they may believe in each is called off.
        let named = self.starts_named(person, letter, now).max();
        let end = match letter.kind {
            Kind::Cancelled => named.or(told).unwrap_or(said.start) + AFTER_START,
            // Whoever, or whose address, is first seen when it runs is told at once, for half an hour.
            Kind::Invite if told.is_none() || !self.was_told_at(person, &letter.to) => said.start + TimeDelta::minutes(30),
            // Likewise whoever's session begins earlier than they were told.
            Kind::Rescheduled if self.word.ran_when_it_moved(said) => said.start + TimeDelta::minutes(30),
            Kind::NotJoined => said.start + MAY_JOIN,
            _ => said.start,
        };
        if now >= end + UNDER_WAY {
            wrong.push(format!("(4) {} minutes after its use", (now - end).num_minutes()));
        }
        wrong
    }

    /// (4) No text in quiet hours.
    fn by_night(&self, now: DateTime<Utc>, person: i64, said: Option<&Said>, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(said) = said else { return wrong };
        let told = self.last_told(person).map_or_else(|| self.adopted.get(&person).map(|said| said.start), |told| told.start);
        // A session that runs keeps none.
        if letter.kind == Kind::NotJoined {
            return wrong;
        }
        if letter.by_text && self.terms.quiet {
            let earliest = told.map_or(said.start, |told| told.min(said.start));
            // A cancellation speaks of what they were told last: on that clock, too.
            let heard_in = self.last_told(person).map_or_else(|| self.adopted.get(&person).map(|said| said.zone), |told| told.zone);
            let ever = self.word.zones.get(&person).into_iter().flatten().copied();
            let then = heard_in.into_iter().chain(ever).filter(|_| letter.kind == Kind::Cancelled);
            let clocks: Vec<Tz> = then.chain([said.zone]).collect();
            let quiet = |at: DateTime<Utc>| clocks.iter().all(|zone| is_quiet(at, *zone));
            if quiet(now) && quiet(now - UNDER_WAY) {
                let there = now.with_timezone(&said.zone);
                let days = i64::from(there.hour() >= 21);
                let morning = (there.date_naive() + TimeDelta::days(days)).and_hms_opt(8, 0, 0).expect("a time of day");
                let morning = morning.and_local_timezone(said.zone).latest().map_or(now, |at| at.with_timezone(&Utc));
                let could_wait = morning + TimeDelta::minutes(15) <= earliest;
                if letter.kind == Kind::Reminder || could_wait {
                    wrong.push(format!("(4) a text at {} on their clock", there.format("%H:%M")));
                }
            }
        }
        wrong
    }

    /// (4) Nothing leaves twice but in doubt.
    fn twice(&self, now: DateTime<Utc>, person: i64, key: NoticeKey, letter: &Letter) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.by_staff.contains(&key) {
            return wrong;
        }
        let is_ahead = |at: DateTime<Utc>| self.is_of_another_clock(at) || self.set_back_to.is_some_and(|to| to < at);
        let of_this_time = |t: &&Told| !(t.lost && is_ahead(t.at));
        // Told in the time that is forgotten, and another address of theirs since, or cancelled: that it is as then again is news. So is what staff
        // let go.
        let is_news = |at: DateTime<Utc>| self.word.came_to_have(person, &letter.to) > Some(at) || self.word.was_off_since(person, at);
        let came_back = |t: &&Told| t.lost && (self.staff_acted_on.contains(&person) || self.restored_at.is_some_and(is_news));
        let copies: Vec<&Told> =
            self.told.iter().filter(|t| t.key == key && t.fate.counts()).filter(of_this_time).filter(|t| !came_back(t)).collect();
        if copies.iter().any(|t| t.fate == Fate::Accepted) {
            wrong.push("(4) this very notice was accepted before".to_owned());
        } else if copies.len() > 1 {
            wrong.push("(4) a third copy of what is in doubt".to_owned());
        }
        if self.asked.contains_key(&key) {
            return wrong;
        }
        // What staff asked for besides takes no other one's place.
        let unasked = |t: &&Told| !self.asked.contains_key(&t.key);
        let accepted = self.told.iter().filter(|t| t.person == person && t.fate == Fate::Accepted).filter(unasked).filter(of_this_time);
        let mut theirs = accepted.clone().filter(|t| t.letter.to == letter.to && t.key != key);
        if letter.kind == Kind::Reminder {
            let of_this_start =
                theirs.filter(|t| t.letter.kind == Kind::Reminder && t.start.is_some_and(|s| self.says(letter, s, person, now)));
            // One that staff let go once more stands for one.
            if of_this_start.map(|t| t.key).collect::<BTreeSet<_>>().len() >= self.terms.rules {
                wrong.push("(4) one reminder more than there are rules".to_owned());
            }
        } else if let Some(last) = theirs.next_back()
            && last.letter.kind == letter.kind
            && last.letter.codes == letter.codes
            // Told something else at another address since, they would not know; nor if that is in doubt.
            && accepted.clone().next_back().is_some_and(|t| t.letter.to == letter.to)
            && !self.told.iter().any(|t| t.person == person && t.at > last.at && t.fate == Fate::Doubt && t.letter.kind != letter.kind)
            // A receipt says that it did not arrive; or it was told before a restore, and they may have been told another thing since.
            && !self.not_arrived.contains(&last.key)
            && self.restored_at.is_none_or(|at| at < last.at)
            && last.start.is_some_and(|start| self.says(letter, start, person, now))
            && last.zone == self.word.last.get(&person).map(|said| said.zone)
        {
            wrong.push("(4) they were told just that before".to_owned());
        }
        wrong
    }

    /// The starts that their session ever had and the letter names, on a clock that was ever theirs.
    fn starts_named(&self, person: i64, letter: &Letter, now: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let starts = self.word.last.get(&person).and_then(|said| self.word.starts.get(&said.session)).into_iter().flatten();
        let zones = self.word.zones.get(&person);
        starts.copied().filter(move |start| zones.into_iter().flatten().any(|zone| letter.names(*start, *zone, now)))
    }

    fn says(&self, letter: &Letter, start: DateTime<Utc>, person: i64, now: DateTime<Utc>) -> bool {
        self.word.last.get(&person).is_some_and(|said| letter.names(start, said.zone, now))
    }
}

/// The hours in which no text goes, on that clock.
pub(super) fn is_quiet(at: DateTime<Utc>, zone: Tz) -> bool {
    !(8..21).contains(&at.with_timezone(&zone).hour())
}

pub(super) fn restored(address: &str) -> punctual::contact::Address {
    use punctual::contact::{Address, Channel};
    Address::restore(if address.contains('@') { Channel::Email } else { Channel::Sms }, address)
}

pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Invite => "invite",
        Kind::Reminder => "reminder",
        Kind::Rescheduled => "\"new time\"",
        Kind::Updated => "\"new details\"",
        Kind::Cancelled => "\"cancelled\"",
        Kind::NotJoined => "\"has started\"",
    }
}
