//! What the sources said, as somebody reads it who has the lists before them and a pencil: who is listed, with what, since when somebody is
//! missing, and which changes were too many at once. It knows the promises, and nothing of the walk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use punctual::session::Extent;
use serde_json::Value;

use super::list::{List, Occupied, read};
use super::oracle::{ABSENCES, ABSENT_FOR};
use super::said::{KINDS, Said, Status, differs};

/// More than so many changes of a kind at once wait for an operator (a fifth of lists as short as these is never more).
const AT_ONCE: usize = 3;

/// A person's record, as it stands in a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Listing {
    Good(Said),
    /// It cannot be used.
    Fault,
}

impl Listing {
    fn good(&mut self) -> Option<&mut Said> {
        if let Self::Good(said) = self { Some(said) } else { None }
    }
}

/// What one source's lists came to, for one person.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// As last said; more than one: the list contradicts itself.
    pub(super) listings: Vec<Listing>,
    pub(super) session: i64,
    pub(super) place: Place,
}

/// Where somebody is, as far as the last list of a source tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Listed,
    /// A part of the list cannot be read: they may stand in it.
    Unheard,
    /// Not listed, in so many lists, since then.
    Absent(usize, DateTime<Utc>),
}

/// What holds for somebody now.
#[derive(Debug, Clone)]
pub(super) enum Holds {
    /// One word.
    Said(Said),
    /// The last word, of a list that cannot be read in part.
    Unheard(Said),
    /// Two records say two things, or one code is two people's.
    Ambiguous,
    Fault,
    /// Not listed, since then, in so many lists; with the last good word.
    Absent(usize, DateTime<Utc>, Option<Said>),
    Never,
}

/// A change that waits for an operator: what held before it.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) before: Said,
    pub(super) what: &'static str,
    /// An operator said that it is wrong: this, which was said then.
    rejected: Option<Vec<Listing>>,
    /// And then let pass what else had changed of them, or of their session, since: with it or without, nobody can say.
    pub(super) either: bool,
}

impl Waiting {
    /// What is none of its kind counts all the same, if it is said: where and whether the session takes place.
    pub(super) fn in_session_of(&self, said: &Said) -> Self {
        Self { before: Said { start: said.start, status: said.status, ..self.before.clone() }, ..self.clone() }
    }

    /// What was said to be wrong is said no more. What else is said of them counts: what was before goes on in the rest alone.
    fn says_another(&mut self, is: &[Listing]) -> bool {
        let Some(rejected) = &mut self.rejected else { return false };
        let ([Listing::Good(wrong)], [Listing::Good(is)]) = (&rejected[..], is) else { return is != rejected.as_slice() };
        if differs(self.what, wrong, is) {
            return true;
        }
        // If that is too much as well, an operator who lets it pass lets all of it pass.
        self.either |= KINDS.into_iter().any(|what| differs(what, wrong, is));
        self.before = self.before.with_what_changed(wrong, is);
        *rejected = vec![Listing::Good(is.clone())];
        false
    }
}

#[derive(Clone, Default)]
pub(super) struct Word {
    /// By source.
    /// What each list says of its sessions as a whole.
    sessions: BTreeMap<usize, BTreeMap<i64, (DateTime<Utc>, Status)>>,
    pub(super) lists: BTreeMap<usize, BTreeMap<i64, Line>>,
    pub(super) heard_at: HashMap<usize, DateTime<Utc>>,
    /// Too much at once, by person.
    pub(super) waiting: BTreeMap<i64, Waiting>,
    /// What an operator let pass, until a list is read.
    just_passed: BTreeMap<i64, Waiting>,
    /// Something was too much at once, since an operator last decided.
    pub(super) too_much: bool,
    /// What people had, and have no more, or came to have, whichever list says so: when that was.
    had: BTreeMap<String, BTreeMap<i64, DateTime<Utc>>>,
    got: BTreeMap<String, BTreeMap<i64, DateTime<Utc>>>,
    /// Who came with a list that changed too much of others.
    pub(super) came_with_it: BTreeSet<i64>,
    /// The last good word about each person.
    pub(super) last: BTreeMap<i64, Said>,
    /// Who left a list, and an operator let that pass: they are gone, however few lists miss them.
    pub(super) let_go: BTreeSet<i64>,
    /// A list that is being read just now changes too much.
    pub(super) soon_too_much: bool,
    /// Whose removal ever waited for an operator: by lists alone they do not count as cancelled.
    once_guarded: BTreeSet<i64>,
    /// Codes in records at fault, with whose they are, by source.
    occupied: BTreeMap<usize, Vec<Occupied>>,
    /// Who left a list after the start: they aged out of it, by the clock of that time.
    pub(super) aged: BTreeSet<i64>,
    /// Sources that did not say all that they list.
    pub(super) in_part: BTreeSet<usize>,
    /// When one of them last did not.
    in_part_until: Option<DateTime<Utc>>,
    /// Since when somebody or something in a session cannot be read, in whatever source.
    torn_since: BTreeMap<i64, DateTime<Utc>>,
    /// Sessions in which somebody or something cannot be read, by source.
    torn: BTreeMap<usize, BTreeSet<i64>>,
    /// Every zone that somebody ever had.
    pub(super) zones: BTreeMap<i64, HashSet<Tz>>,
    /// Every start that a session ever had.
    pub(super) starts: BTreeMap<i64, BTreeSet<DateTime<Utc>>>,
    /// Every code that somebody ever had.
    codes_of: BTreeMap<i64, BTreeSet<i64>>,
    /// Every code that anybody ever had.
    pub(super) codes: BTreeSet<i64>,
    pub(super) names: BTreeSet<String>,
}

/// When the source was last heard, they counted as cancelled.
fn is_sure(lists: usize, since: DateTime<Utc>, last_heard: Option<DateTime<Utc>>) -> bool {
    lists >= ABSENCES && last_heard.is_some_and(|at| at - since >= ABSENT_FOR)
}

/// So long after its start a session is over, and its codes are free: none of these says how long it is to be.
const HOLDS: TimeDelta = TimeDelta::hours(2);

/// What one list leaves and another one gives to somebody else may be one fault, for so long.
const SLIPS_WITHIN: TimeDelta = TimeDelta::minutes(11);

impl Word {
    /// They have what another one had until lately, or is kept with, or has nothing in its place.
    pub(super) fn has_what_another_one_had(&self, person: i64, now: DateTime<Utc>) -> bool {
        let Some(said) = self.last.get(&person) else { return false };
        let still_theirs = |other: &i64| {
            let mut lines = self.lists.values().filter_map(|lines| lines.get(other));
            self.waiting.contains_key(other)
                || !lines.any(|line| matches!(&line.listings[..], [Listing::Good(_)]) && line.place == Place::Listed)
        };
        // Many live in one zone.
        let had = said.owns().into_iter().take(4).filter_map(|item| self.had.get(&item)).flatten();
        had.into_iter().any(|(other, at)| *other != person && ((now - *at).abs() <= SLIPS_WITHIN || still_theirs(other)))
    }

    /// A list was read, and what comes of it is in force.
    pub(super) fn heard(&mut self, source: usize, records: &[Value], extent: Extent, now: DateTime<Utc>) {
        let mut list = read(records);
        // An answer may be one to another start: of a session that ever moved nobody can say which it answers.
        for said in list.people.values_mut().flat_map(|(_, listings)| listings).filter_map(Listing::good) {
            said.once_moved = self.starts.get(&said.session).is_some_and(|starts| starts.iter().any(|start| *start != said.start));
        }
        self.just_passed.retain(|id, _| !self.lists.get(&source).is_some_and(|lines| lines.contains_key(id)));
        let before = std::mem::take(&mut self.too_much);
        self.too_much_at_once(source, &list, extent, now);
        if self.too_much {
            let known = self.people();
            self.came_with_it.extend(list.people.keys().filter(|id| !known.contains(id)));
        }
        self.too_much |= before;
        let last_heard = self.heard_at.get(&source).copied();
        if !self.in_part.is_empty() {
            self.in_part_until = Some(now);
        }
        if list.nameless || extent == Extent::Part {
            self.in_part.insert(source);
        } else {
            self.in_part.remove(&source);
        }
        self.occupied.insert(source, list.occupied.clone());
        self.sessions.insert(source, list.sessions.clone());
        self.torn.insert(source, list.at_fault.union(&list.unread).copied().collect());
        let torn: BTreeSet<i64> = self.torn.values().flatten().copied().collect();
        self.torn_since.retain(|session, _| torn.contains(session));
        for session in torn {
            let since = self.torn_since.entry(session).or_insert(now);
            *since = (*since).min(now);
        }
        let lines = self.lists.entry(source).or_default();
        for (id, (session, listings)) in &list.people {
            self.aged.remove(id);
            self.once_guarded.remove(id);
            self.let_go.remove(id);
            lines.insert(*id, Line { listings: listings.clone(), session: *session, place: Place::Listed });
            for listing in listings {
                if let Listing::Good(said) = listing {
                    self.codes.insert(said.code);
                    self.codes_of.entry(*id).or_default().insert(said.code);
                    self.zones.entry(*id).or_default().insert(said.zone);
                    self.names.insert(said.name.clone());
                    self.starts.entry(said.session).or_default().insert(said.start);
                }
            }
            if let [Listing::Good(said)] = &listings[..] {
                self.last.insert(*id, said.clone());
            }
        }
        for (id, line) in lines.iter_mut().filter(|(id, _)| !list.people.contains_key(id)) {
            let is_torn = list.unread.contains(&line.session) && list.sessions.contains_key(&line.session);
            if is_torn && !line.listings.contains(&Listing::Fault) {
                line.listings.push(Listing::Fault);
            }
            // The session is theirs, whatever cannot be read in it.
            if let (Some((start, status)), [Listing::Good(said)]) = (list.sessions.get(&line.session), &mut line.listings[..]) {
                (said.start, said.status) = (*start, *status);
                self.starts.entry(said.session).or_default().insert(said.start);
                self.last.insert(*id, said.clone());
            }
            line.place = match line.place {
                // Who counts as cancelled does so, whatever can be read after that, and by whatever clock.
                Place::Absent(lists, since) if is_sure(lists, since, last_heard) && !self.once_guarded.contains(id) => {
                    Place::Absent(lists + 1, since.min(now - ABSENT_FOR))
                }
                _ if list.may_hold_more_of(line.session, extent) => Place::Unheard,
                // By a clock that was ahead: it has happened by now.
                Place::Absent(lists, since) => Place::Absent(lists + 1, since.min(now)),
                _ => Place::Absent(1, now),
            };
            // As new, if they come back: what waited of them may be over.
            if matches!(line.place, Place::Absent(lists, since) if is_sure(lists, since, Some(now))) {
                self.waiting.entry(*id).and_modify(|waits| waits.either = true);
            }
            if matches!(line.place, Place::Absent(..)) && self.last.get(id).is_some_and(|said| said.start <= now) {
                self.aged.insert(*id);
            }
        }
        self.heard_at.insert(source, now);
    }

    /// The same list once more.
    pub(super) fn heard_again(&mut self, source: usize, now: DateTime<Utc>) {
        self.just_passed.retain(|id, _| !self.lists.get(&source).is_some_and(|lines| lines.contains_key(id)));
        let last_heard = self.heard_at.get(&source).copied();
        for (id, line) in self.lists.entry(source).or_default() {
            if let Place::Absent(lists, since) = &mut line.place {
                let latest = if is_sure(*lists, *since, last_heard) { now - ABSENT_FOR } else { now };
                *lists += 1;
                *since = (*since).min(latest);
                if is_sure(*lists, *since, Some(now)) {
                    self.waiting.entry(*id).and_modify(|waits| waits.either = true);
                }
            }
        }
        self.heard_at.insert(source, now);
    }

    /// Whoever had something, and has it no more, or came to have it.
    fn note_what_passes(&mut self, source: usize, list: &List, now: DateTime<Utc>) {
        let Some(lines) = self.lists.get(&source) else { return };
        for (id, (_, listings)) in &list.people {
            let before = lines.get(id).map(|line| &line.listings[..]);
            let owns = |listings: &[Listing]| if let [Listing::Good(said)] = listings { said.owns().to_vec() } else { Vec::new() };
            let (was, is) = (before.map(owns).unwrap_or_default(), owns(listings));
            if is.is_empty() {
                continue;
            }
            for item in was.iter().filter(|item| !item.is_empty() && !is.contains(item)) {
                self.had.entry(item.clone()).or_default().insert(*id, now);
            }
            for item in is.iter().filter(|item| !item.is_empty() && !was.contains(item)) {
                self.got.entry(item.clone()).or_default().insert(*id, now);
            }
        }
    }

    /// Who has something that was another one's until now, or lost it to one, and whoever else changes in that way: with what they were before.
    fn slips(&self, lines: &BTreeMap<i64, Line>, list: &List, now: DateTime<Utc>) -> Vec<(i64, Said)> {
        // While something of a kind waits, everything of that kind does: a mailbox and a number are of one.
        let kind = |n: usize| if n == 2 { 1 } else { n };
        let changed = |(id, line): (&i64, &Line)| {
            let ([Listing::Good(was)], Some((_, listings))) = (&line.listings[..], list.people.get(id)) else { return None };
            let [Listing::Good(is)] = &listings[..] else { return None };
            let both = was.owns().into_iter().zip(is.owns()).enumerate().filter(|(_, (was, is))| was != is);
            Some((*id, was.clone(), both.map(|(n, (was, is))| (kind(n), [was, is])).collect::<Vec<_>>()))
        };
        let all: Vec<_> = lines.iter().filter_map(changed).collect();
        let lately = |all: &BTreeMap<String, BTreeMap<i64, DateTime<Utc>>>, item: &String| {
            all.get(item).is_some_and(|people| people.values().any(|at| (now - *at).abs() <= SLIPS_WITHIN))
        };
        let slipped = |item: &String| lately(&self.had, item) && lately(&self.got, item);
        let items = all.iter().flat_map(|(_, _, changed)| changed);
        let kinds: BTreeSet<usize> = items.filter(|(_, items)| items.iter().any(slipped)).map(|(kind, _)| *kind).collect();
        let theirs = all.into_iter().filter(|(_, _, changed)| changed.iter().any(|(kind, _)| kinds.contains(kind)));
        theirs.map(|(id, was, _)| (id, was)).collect()
    }

    /// What changes with this list in more than [`AT_ONCE`] places waits, until it is said as before or an operator decides.
    fn too_much_at_once(&mut self, source: usize, list: &List, extent: Extent, now: DateTime<Utc>) {
        self.note_what_passes(source, list, now);
        let Some(lines) = self.lists.get(&source) else { return };
        let mut changes: BTreeMap<&'static str, BTreeMap<i64, Said>> = BTreeMap::new();
        // Another source has them, too: it may be that one's list that counts.
        let is_elsewhere =
            |id: &i64| self.lists.iter().any(|(other, l)| *other != source && l.get(id).is_some_and(|l| l.place == Place::Listed));
        // Nobody is told another code or address of what is cancelled.
        let mut cancelled: BTreeSet<i64> = BTreeSet::new();
        let slips = self.slips(lines, list, now);
        self.too_much |= !slips.is_empty();
        let mut put = |what, id: i64, before: &Said| changes.entry(what).or_default().insert(id, before.clone());
        for (id, line) in lines {
            let [Listing::Good(was)] = &line.listings[..] else { continue };
            // An empty list takes away whoever could not be read before it, too.
            let stood = line.place == Place::Listed || (list.empty && line.place == Place::Unheard);
            if was.start <= now || was.status != Status::Live || !stood {
                continue;
            }
            match list.people.get(id).map(|(_, listings)| &listings[..]) {
                None => {
                    let silent = list.may_hold_more_of(line.session, extent);
                    if !silent && !is_elsewhere(id) {
                        let stays = list.sessions.contains_key(&line.session);
                        put(if stays { "left" } else { "removed" }, *id, was);
                    }
                    if let Some((start, status)) = list.sessions.get(&line.session) {
                        let is = Said { start: *start, status: *status, ..was.clone() };
                        for what in KINDS.into_iter().filter(|what| differs(what, was, &is)) {
                            put(what, *id, was);
                        }
                    }
                }
                Some([Listing::Good(is)]) => {
                    for what in KINDS.into_iter().filter(|what| differs(what, was, is)) {
                        put(what, *id, was);
                    }
                    if is.status == Status::Cancelled {
                        cancelled.insert(*id);
                    }
                }
                Some(_) => {}
            }
        }
        let elsewhere: BTreeSet<i64> = changes.values().flat_map(BTreeMap::keys).copied().filter(is_elsewhere).collect();
        for (what, people) in changes {
            let n = people.len();
            let surely: BTreeMap<i64, Said> =
                people.into_iter().filter(|(id, _)| (what == "removed" || !cancelled.contains(id)) && !elsewhere.contains(id)).collect();
            // Removals and moves are counted by session, all else by person.
            let sessions: BTreeSet<i64> = surely.values().map(|said| said.session).collect();
            // Of those, hosts count as well, and nothing is told to them.
            let counted = if matches!(what, "removed" | "moved") { sessions.len() } else { surely.len() };
            let surely: BTreeMap<i64, Said> = surely.into_iter().filter(|(_, before)| !before.host).collect();
            let all_gone = what == "removed" && list.empty;
            let limit = if what == "roles" { 0 } else { AT_ONCE };
            if counted > limit || all_gone {
                self.too_much = true;
                self.once_guarded.extend(surely.keys().filter(|_| what == "removed"));
                for (id, before) in surely {
                    self.waiting.entry(id).or_insert(Waiting { before, what, rejected: None, either: false });
                }
            } else if n > limit {
                // Which way they are counted, nobody need say: it may wait.
                self.too_much = true;
            }
        }
        for (id, before) in slips {
            self.waiting.entry(id).or_insert(Waiting { before, what: "slips", rejected: None, either: true });
        }
        self.waiting.retain(|id, waits| {
            let is = list.people.get(id).map(|(_, listings)| listings.as_slice());
            // Its session is there again: that this person is not is another matter.
            let session = list.sessions.get(&waits.before.session);
            if waits.what == "removed" && session.is_some_and(|(_, status)| *status != Status::Cancelled) {
                return false;
            }
            // A list that never had them says nothing of them.
            if is.is_none() && !lines.contains_key(id) {
                return true;
            }
            // What cannot be heard says nothing else.
            let silent = is.is_none() && list.may_hold_more_of(waits.before.session, extent);
            let is_another = !silent && waits.says_another(is.unwrap_or_default());
            let as_before = |listing: &Listing| matches!(listing, Listing::Good(said) if !differs(waits.what, &waits.before, said));
            !is_another && !is.is_some_and(|listings| listings.iter().all(as_before))
        });
    }

    /// An operator says of all that waits that it is wrong; also of what was let pass since a list was last read.
    pub(super) fn rejected(&mut self) {
        self.waiting.extend(std::mem::take(&mut self.just_passed));
        for (id, waits) in &mut self.waiting {
            let listed = self.lists.values().filter_map(|list| list.get(id)).filter(|line| line.place == Place::Listed);
            waits.rejected = Some(listed.flat_map(|line| line.listings.clone()).collect());
        }
    }

    /// An operator lets pass all that waits. What was said to be wrong before is no part of that.
    pub(super) fn decided(&mut self) {
        let (rejected, passes): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, waits)| waits.rejected.is_some());
        let sessions: BTreeSet<i64> = passes.values().map(|waits| waits.before.session).collect();
        self.let_go.extend(passes.iter().filter(|(_, waits)| matches!(waits.what, "removed" | "left")).map(|(id, _)| *id));
        self.just_passed = passes.iter().map(|(id, waits)| (*id, Waiting { either: true, ..waits.clone() })).collect();
        for (id, mut waits) in rejected {
            let differs_too = |said: &Listing| matches!(said, Listing::Good(is) if KINDS.into_iter().filter(|what| differs(what, &waits.before, is)).count() > 1);
            waits.either |= sessions.contains(&waits.before.session) || waits.rejected.iter().flatten().any(differs_too);
            self.waiting.insert(id, waits);
        }
        for (id, waits) in passes {
            // Whoever cannot be read is as they were, and not as they were said once.
            let unread = self.lists.values_mut().filter_map(|list| list.get_mut(&id)).filter(|line| line.place == Place::Unheard);
            for line in unread {
                // The session's own record can be read.
                let (start, status) = match &line.listings[..] {
                    [Listing::Good(said)] => (said.start, said.status),
                    _ => (waits.before.start, waits.before.status),
                };
                let was = Said { start, status, ..waits.before.clone() };
                line.listings = vec![Listing::Good(was.clone())];
                self.last.insert(id, was);
            }
            if self.lists.values().filter_map(|list| list.get(&id)).any(|line| line.listings.contains(&Listing::Fault)) {
                self.last.insert(id, waits.before);
            }
        }
    }

    /// Whatever was said besides, in a time that the store does not remember, was said all the same.
    pub(super) fn was_said_besides(&mut self, since: &Self) {
        self.codes.extend(&since.codes);
        self.names.extend(since.names.iter().cloned());
        since.codes_of.iter().for_each(|(id, all)| self.codes_of.entry(*id).or_default().extend(all));
        since.zones.iter().for_each(|(id, all)| self.zones.entry(*id).or_default().extend(all));
        since.starts.iter().for_each(|(id, all)| self.starts.entry(*id).or_default().extend(all));
    }

    /// A source has a record at fault that may be theirs.
    pub(super) fn is_unread_somewhere(&self, person: i64) -> bool {
        let mut lines = self.lists.values().filter_map(|list| list.get(&person));
        lines.any(|line| line.place == Place::Unheard || line.listings.contains(&Listing::Fault))
    }

    /// Nobody can tell which code somebody has who is not read, or said twice: it may be this person's as well, as it was before.
    pub(super) fn shares_with_somebody_unread(&self, person: i64) -> bool {
        let Some(code) = self.last.get(&person).map(|said| said.code) else { return false };
        let unclear = |line: &Line| line.place == Place::Unheard || !matches!(line.listings[..], [Listing::Good(_)]);
        let mut others = self.lists.values().flatten().filter(|(id, line)| **id != person && unclear(line));
        others.any(|(id, _)| self.codes_of.get(id).is_some_and(|codes| codes.contains(&code)))
    }

    /// A source that cannot be read in part said something else of them last than the one that lists them.
    pub(super) fn is_contradicted_by_what_is_unread(&self, person: i64) -> bool {
        let lines: Vec<&Line> = self.lists.values().filter_map(|list| list.get(&person)).collect();
        let (unheard, others): (Vec<&Line>, Vec<&Line>) = lines.into_iter().partition(|line| line.place == Place::Unheard);
        unheard.iter().any(|line| others.iter().any(|other| other.listings != line.listings))
    }

    /// Another person stands at that hour with the name and a contact of this one: they may be made anew.
    pub(super) fn stands_elsewhere(&self, person: i64) -> bool {
        let Some(own) = self.last.get(&person) else { return false };
        let shares = |said: &Said| {
            let contact = said.contacts.0 == own.contacts.0 || said.contacts.1 == own.contacts.1;
            said.name == own.name && said.start == own.start && contact
        };
        self.last.iter().any(|(id, said)| *id != person && shares(said) && matches!(self.of(*id), Holds::Said(_)))
    }

    /// Something in the session that somebody was in cannot be read.
    pub(super) fn is_torn(&self, person: i64) -> bool {
        self.last.get(&person).is_some_and(|said| self.torn_since.contains_key(&said.session))
    }

    /// What holds for somebody.
    pub(super) fn of(&self, person: i64) -> Holds {
        let lines: Vec<&Line> = self.lists.values().filter_map(|list| list.get(&person)).collect();
        if lines.is_empty() {
            return Holds::Never;
        }
        let listed: Vec<&Line> = lines.iter().filter(|line| line.place == Place::Listed).copied().collect();
        if listed.is_empty() {
            let unheard = lines.iter().find(|line| line.place == Place::Unheard);
            if let Some(line) = unheard {
                return match &line.listings[..] {
                    [Listing::Good(said)] => Holds::Unheard(said.clone()),
                    [Listing::Fault] => Holds::Fault,
                    _ => Holds::Ambiguous,
                };
            }
            // The last to miss them: until then another one had them.
            let absent = lines.iter().filter_map(|line| if let Place::Absent(n, since) = line.place { Some((since, n)) } else { None });
            let (since, n) = absent.max().expect("all of them are absent");
            // A list that has the session may have them in a record that cannot be read; unless they counted as cancelled before. Nobody did while a
            // list was not read whole.
            let heard_since = self.in_part_until.map_or(since, |until| since.max(until));
            let may_stand = |said: &&Said| self.torn_since.get(&said.session).is_some_and(|torn| !is_sure(n, heard_since, Some(*torn)));
            if let Some(said) = self.last.get(&person).filter(may_stand) {
                // What its record says of the session can be read.
                let of_it = self.sessions.values().find_map(|sessions| sessions.get(&said.session));
                let (start, status) = of_it.copied().unwrap_or((said.start, said.status));
                return Holds::Unheard(Said { start, status, ..said.clone() });
            }
            return Holds::Absent(n, since, self.last.get(&person).cloned());
        }
        let listings: Vec<&Listing> = listed.iter().flat_map(|line| &line.listings).collect();
        if listings.windows(2).any(|two| two[0] != two[1]) {
            return Holds::Ambiguous;
        }
        match listings[0] {
            Listing::Fault => Holds::Fault,
            Listing::Good(said) if said.status != Status::Cancelled && self.is_shared(person, said.code, self.last_heard()) => {
                Holds::Ambiguous
            }
            Listing::Good(said) => Holds::Said(said.clone()),
        }
    }

    fn last_heard(&self) -> DateTime<Utc> {
        self.heard_at.values().max().copied().unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Their code was another one's, whose session is over: until their own list is read again nobody need know that.
    pub(super) fn was_shared(&self, person: i64) -> bool {
        self.last.get(&person).is_some_and(|said| self.is_shared(person, said.code, DateTime::<Utc>::MIN_UTC))
    }

    /// One code, two people of sessions that take place, or are not over by then.
    fn is_shared(&self, person: i64, code: i64, then: DateTime<Utc>) -> bool {
        let holds = |start: DateTime<Utc>| then < start + HOLDS;
        let others = self.lists.values().flatten().filter(|(id, line)| **id != person && line.place == Place::Listed);
        // A record at fault still occupies its code.
        let at_fault = self.occupied.values().flatten().any(|of| of.id != Some(person) && of.code == code && holds(of.start));
        at_fault
            || others
                .flat_map(|(_, line)| &line.listings)
                .any(|l| matches!(l, Listing::Good(said) if said.code == code && said.status != Status::Cancelled && holds(said.start)))
    }

    /// What somebody is called in the records that were read last, be it that they contradict each other.
    pub(super) fn names_of(&self, person: i64) -> impl Iterator<Item = &str> {
        let lines = self.lists.values().filter_map(move |list| list.get(&person)).flat_map(|line| &line.listings);
        lines.filter_map(|listing| if let Listing::Good(said) = listing { Some(said.name.as_str()) } else { None })
    }

    /// Everybody who was ever listed.
    pub(super) fn people(&self) -> BTreeSet<i64> {
        self.lists.values().flat_map(|list| list.keys().copied()).collect()
    }

    /// How long the source that knows somebody has been silent.
    pub(super) fn silent_for(&self, person: i64, now: DateTime<Utc>) -> TimeDelta {
        let sources = self.lists.iter().filter(|(_, list)| list.contains_key(&person)).map(|(source, _)| self.heard_at[source]);
        sources.max().map_or(TimeDelta::MAX, |at| now - at)
    }
}
