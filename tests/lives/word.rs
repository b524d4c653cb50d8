//! What the sources said, as somebody reads it who has the lists before them and a pencil: who is listed, with what, since when somebody is
//! missing, and which changes were too many at once. It knows the promises, and nothing of the walk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use punctual::session::SnapshotKind;
use serde_json::Value;

use super::list::{List, Occupied, read};
use super::oracle::{ABSENCES, ABSENT_FOR};
use super::passes::SLIPS_WITHIN;
use super::said::{KINDS, Said, Status, differs};
use super::waits::{Waiting, wait_with_others};

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
    /// The last list that could say it did not have them.
    missed: bool,
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

#[derive(Clone, Default)]
pub(super) struct Word {
    /// By source.
    /// What each list says of its sessions as a whole.
    pub(super) sessions: BTreeMap<usize, BTreeMap<i64, (DateTime<Utc>, Status)>>,
    pub(super) lists: BTreeMap<usize, BTreeMap<i64, Line>>,
    pub(super) heard_at: HashMap<usize, DateTime<Utc>>,
    /// Too much at once, by person.
    pub(super) waiting: BTreeMap<i64, Waiting>,
    /// What an operator let pass, until a list is read.
    just_passed: BTreeMap<i64, Waiting>,
    /// Something was too much at once, since an operator last decided.
    pub(super) too_much: bool,
    /// What people had, and have no more, or came to have, whichever list says so: when that was.
    pub(super) had: BTreeMap<String, BTreeMap<i64, DateTime<Utc>>>,
    pub(super) got: BTreeMap<String, BTreeMap<i64, DateTime<Utc>>>,
    /// Who came with a list that changed too much of others.
    pub(super) came_with_it: BTreeSet<i64>,
    /// The last good word about each person.
    pub(super) last: BTreeMap<i64, Said>,
    /// Who left a list, and an operator let that pass: they are gone, however few lists miss them.
    pub(super) let_go: BTreeSet<i64>,
    /// Who left a list with too many others, while something else of them waits.
    removed_too: BTreeSet<i64>,
    /// Sessions of which an operator ever let something pass.
    once_passed: BTreeSet<i64>,
    /// Whom their host ever told.
    once_by_host: BTreeSet<i64>,
    /// A list that is being read just now changes too much.
    pub(super) soon_too_much: bool,
    /// For whom, by that list, it takes place no more.
    pub(super) soon_off: BTreeSet<i64>,
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
    /// When a list last said that a session is cancelled.
    pub(super) off_until: BTreeMap<i64, DateTime<Utc>>,
    /// And from when until when last, before.
    once_torn: BTreeMap<i64, (DateTime<Utc>, DateTime<Utc>)>,
    /// Sessions in which somebody or something cannot be read, by source.
    torn: BTreeMap<usize, BTreeSet<i64>>,
    /// Every zone that somebody ever had.
    pub(super) zones: BTreeMap<i64, HashSet<Tz>>,
    /// The start that each session has, and since when the lists say so.
    pub(super) starts_since: BTreeMap<i64, (DateTime<Utc>, DateTime<Utc>)>,
    /// What people were ever called.
    pub(super) called: BTreeMap<i64, BTreeSet<String>>,
    /// Every start that a session ever had.
    pub(super) starts: BTreeMap<i64, BTreeSet<DateTime<Utc>>>,
    /// Every code that somebody ever had.
    pub(super) codes_of: BTreeMap<i64, BTreeSet<i64>>,
    /// Every code that anybody ever had.
    pub(super) codes: BTreeSet<i64>,
    pub(super) names: BTreeSet<String>,
}

/// When the source was last heard, they counted as cancelled.
pub(super) fn is_sure(lists: usize, since: DateTime<Utc>, last_heard: Option<DateTime<Utc>>) -> bool {
    lists >= ABSENCES && last_heard.is_some_and(|at| at - since >= ABSENT_FOR)
}

/// Somebody who begins earlier than planned writes a start that is not longer ago.
const LONG_PAST: TimeDelta = TimeDelta::hours(1);

/// So long after its start a session is over, and its codes are free: none of these says how long it is to be.
const HOLDS: TimeDelta = TimeDelta::hours(2);

impl Word {
    /// They have what another one had until lately, or is kept with, or has nothing in its place.
    pub(super) fn has_what_another_one_had(&self, person: i64, now: DateTime<Utc>) -> bool {
        let Some(said) = self.last.get(&person) else { return false };
        let still_theirs = |other: &i64| {
            let mut lines = self.lists.values().filter_map(|lines| lines.get(other));
            let has_one = |line: &Line| matches!(&line.listings[..], [Listing::Good(said)] if said.address.is_some());
            self.waiting.contains_key(other) || !lines.any(|line| has_one(line) && line.place == Place::Listed)
        };
        // Many live in one zone.
        let had = said.owns().into_iter().take(4).filter_map(|item| self.had.get(&item)).flatten();
        had.into_iter().any(|(other, at)| *other != person && ((now - *at).abs() <= SLIPS_WITHIN || still_theirs(other)))
    }

    /// A list was read, and what comes of it is in force.
    pub(super) fn heard(&mut self, source: usize, records: &[Value], extent: SnapshotKind, now: DateTime<Utc>) {
        let mut list = read(records);
        // An answer may be one to another start: of a session that ever moved nobody can say which it answers.
        for said in list.people.values_mut().flat_map(|(_, listings)| listings).filter_map(Listing::good) {
            said.once_moved = self.starts.get(&said.session).is_some_and(|starts| starts.iter().any(|start| *start != said.start));
        }
        self.just_passed.retain(|id, _| !self.lists.get(&source).is_some_and(|lines| lines.contains_key(id)));
        let before = std::mem::take(&mut self.too_much);
        self.too_much_at_once(source, &list, extent, now);
        if self.too_much || before {
            let known = self.people();
            self.came_with_it.extend(list.people.keys().filter(|id| !known.contains(id)));
        }
        self.too_much |= before;
        let last_heard = self.heard_at.get(&source).copied();
        if !self.in_part.is_empty() {
            self.in_part_until = Some(now);
        }
        if list.nameless || extent == SnapshotKind::Partial {
            self.in_part.insert(source);
        } else {
            self.in_part.remove(&source);
        }
        self.occupied.insert(source, list.occupied.clone());
        self.sessions.insert(source, list.sessions.clone());
        let off = list.sessions.iter().filter(|(_, (_, status))| *status == Status::Cancelled);
        self.off_until.extend(off.map(|(id, _)| (*id, now)));
        self.torn.insert(source, list.at_fault.union(&list.unread).copied().collect());
        let torn: BTreeSet<i64> = self.torn.values().flatten().copied().collect();
        let (still, over): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.torn_since).into_iter().partition(|(session, _)| torn.contains(session));
        self.torn_since = still;
        self.once_torn.extend(over.into_iter().map(|(session, since)| (session, (since, now))));
        for session in torn {
            // It goes from one list to another, and these are read one after the other.
            let moves = self.once_torn.get(&session).filter(|(_, until)| *until == now).map(|(since, _)| *since);
            let since = self.torn_since.entry(session).or_insert(moves.unwrap_or(now));
            *since = (*since).min(now);
        }
        let lines = self.lists.entry(source).or_default();
        for (id, (session, listings)) in &list.people {
            self.aged.remove(id);
            self.once_guarded.remove(id);
            self.let_go.remove(id);
            self.removed_too.remove(id);
            lines.insert(*id, Line { listings: listings.clone(), session: *session, place: Place::Listed, missed: false });
            for listing in listings {
                if let Listing::Good(said) = listing {
                    self.codes.insert(said.code);
                    self.codes_of.entry(*id).or_default().insert(said.code);
                    self.zones.entry(*id).or_default().insert(said.zone);
                    self.names.insert(said.name.clone());
                    self.called.entry(*id).or_default().insert(said.name.clone());
                    self.starts.entry(said.session).or_default().insert(said.start);
                }
            }
            if let [Listing::Good(said)] = &listings[..] {
                self.once_by_host.extend((said.channel == 'N').then_some(*id));
                let since = self.starts_since.entry(said.session).or_insert((said.start, now));
                *since = if since.0 == said.start { *since } else { (said.start, now) };
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
                Place::Absent(lists, since)
                    if is_sure(lists, since, last_heard)
                        && !self.once_guarded.contains(id)
                        // Unless another list may have had them meanwhile.
                        && self.torn_since.get(&line.session).is_none_or(|torn| is_sure(lists, since, Some(*torn))) =>
                {
                    Place::Absent(lists + 1, since.min(now - ABSENT_FOR))
                }
                _ if list.may_hold_more_of(line.session, extent) => Place::Unheard,
                // By a clock that was ahead: it has happened by now.
                Place::Absent(lists, since) => Place::Absent(lists + 1, since.min(now)),
                _ => Place::Absent(1, now),
            };
            line.missed |= matches!(line.place, Place::Absent(..));
            // Their session is back, without them.
            if list.sessions.contains_key(&line.session) {
                self.once_guarded.remove(id);
            }
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

    /// What changes with this list in more than [`AT_ONCE`] places waits, until it is said as before or an operator decides.
    fn too_much_at_once(&mut self, source: usize, list: &List, extent: SnapshotKind, now: DateTime<Utc>) {
        self.note_what_passes(source, list, now);
        // Their session is there again: that they are not is another matter, and so is what else it says.
        let back = |session: i64| list.sessions.get(&session).is_some_and(|(_, status)| *status != Status::Cancelled);
        self.waiting.retain(|_, waits| waits.what != "removed" || !back(waits.before.session));
        let Some(lines) = self.lists.get(&source) else { return };
        let mut changes: BTreeMap<&'static str, BTreeMap<i64, Said>> = BTreeMap::new();
        // Another source has them, too: it may be that one's list that counts.
        let is_elsewhere =
            |id: &i64| self.lists.iter().any(|(other, l)| *other != source && l.get(id).is_some_and(|l| l.place == Place::Listed));
        // Nobody is told another code or address of what is cancelled.
        let mut cancelled: BTreeSet<i64> = BTreeSet::new();
        // Of starts that were long ago one is too much: whoever knows the one of before would come in vain.
        let mut is_lost = false;
        let slips = self.slips(lines, list, now);
        self.too_much |= !slips.is_empty();
        let mut put = |what, id: i64, before: &Said| changes.entry(what).or_default().insert(id, before.clone());
        for (id, line) in lines {
            let [Listing::Good(was)] = &line.listings[..] else { continue };
            // An empty list takes away whoever could not be read before it, or was missed, too.
            let is_gone = matches!(line.place, Place::Absent(lists, since) if is_sure(lists, since, self.heard_at.get(&source).copied()));
            let stood = line.place == Place::Listed
                || (self.once_guarded.contains(id) && !self.let_go.contains(id))
                || (list.empty && !is_gone && !self.let_go.contains(id));
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
                    is_lost |= is.start + LONG_PAST < now && is.status == Status::Live;
                }
                Some(_) => {}
            }
        }
        let all: Vec<(&'static str, i64, Said)> =
            changes.iter().flat_map(|(what, people)| people.iter().map(|(id, before)| (*what, *id, before.clone()))).collect();
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
            let limit = if what == "roles" || (what == "moved" && is_lost) { 0 } else { AT_ONCE };
            if counted > limit || all_gone {
                self.too_much = true;
                self.once_guarded.extend(surely.keys().filter(|_| what == "removed"));
                for (id, before) in surely {
                    if matches!(what, "removed" | "left") && self.waiting.contains_key(&id) {
                        self.removed_too.insert(id);
                    }
                    // Of several kinds, each waits until that one is as before.
                    let of_another_kind = |waits: &mut Waiting| waits.either |= waits.what != what;
                    let waits = Waiting { before, what, rejected: None, once: None, either: false };
                    self.waiting.entry(id).and_modify(of_another_kind).or_insert(waits);
                }
            } else if n > limit {
                // Which way they are counted, nobody need say: it may wait.
                self.too_much = true;
            }
        }
        wait_with_others(&mut self.waiting, lines, list, all);
        for (id, before) in slips {
            self.waiting.entry(id).or_insert(Waiting { before, what: "slips", rejected: None, once: None, either: true });
        }
        let waited: BTreeMap<i64, i64> = self.waiting.iter().map(|(id, waits)| (*id, waits.before.session)).collect();
        self.waiting.retain(|id, waits| {
            let is = list.people.get(id).map(|(_, listings)| listings.as_slice());
            // A list that never had them says nothing of them.
            let mut others = self.lists.iter().filter(|(other, _)| **other != source).filter_map(|(_, l)| l.get(id));
            let may_stand_elsewhere = others.any(|line| !matches!(line.place, Place::Absent(..)));
            if is.is_none() && (!lines.contains_key(id) || may_stand_elsewhere) {
                return true;
            }
            // What cannot be heard says nothing else, nor does a list that they leave: another one may take them as they are.
            let leaves = !matches!(waits.what, "removed" | "left");
            let silent = is.is_none() && (leaves || list.may_hold_more_of(waits.before.session, extent));
            let is_another = !silent && waits.says_another(is.unwrap_or_default());
            // What else changed of them meanwhile may wait with it.
            let also = if waits.either { &KINDS[..] } else { &[] };
            let still = |said: &Said| also.iter().chain([&waits.what]).any(|what| differs(what, &waits.before, said));
            let as_before = |listing: &Listing| matches!(listing, Listing::Good(said) if !still(said));
            !is_another && !is.is_some_and(|listings| listings.iter().all(as_before))
        });
        // What was rejected of a session is another thing once something else of it is mended: it may wait anew.
        let over: BTreeSet<i64> = waited.into_iter().filter(|(id, _)| !self.waiting.contains_key(id)).map(|(_, session)| session).collect();
        self.waiting.values_mut().filter(|waits| over.contains(&waits.before.session)).for_each(|waits| waits.either = true);
    }

    /// An operator says of all that waits that it is wrong; also of what was let pass since a list was last read. What else is said of them besides counts.
    pub(super) fn rejected(&mut self) {
        self.waiting.extend(std::mem::take(&mut self.just_passed));
        for (id, waits) in &mut self.waiting {
            // What cannot be heard just now was said all the same.
            let said = self.lists.values().filter_map(|list| list.get(id)).filter(|line| !matches!(line.place, Place::Absent(..)));
            let mut listings: Vec<Listing> = said.flat_map(|line| line.listings.clone()).collect();
            listings.dedup();
            waits.either |= listings.iter().any(|said| waits.differs_too(said));
            waits.rejected = Some(listings);
        }
    }

    /// An operator lets pass all that waits. What was said to be wrong before is no part of that.
    pub(super) fn decided(&mut self) {
        let (rejected, passes): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, waits)| waits.rejected.is_some());
        // Where more was said than what was rejected, that waits again, and passes now.
        let more = rejected.values().filter(|waits| waits.either || waits.rejected.iter().flatten().any(|said| waits.differs_too(said)));
        let sessions: BTreeSet<i64> = passes.values().chain(more).map(|waits| waits.before.session).collect();
        self.once_passed.extend(passes.values().map(|waits| waits.before.session));
        self.let_go.extend(passes.iter().filter(|(_, waits)| matches!(waits.what, "removed" | "left")).map(|(id, _)| *id));
        self.let_go.extend(std::mem::take(&mut self.removed_too));
        self.just_passed = passes.iter().map(|(id, waits)| (*id, Waiting { either: true, ..waits.clone() })).collect();
        for (id, mut waits) in rejected {
            waits.either |= sessions.contains(&waits.before.session);
            self.waiting.insert(id, waits);
        }
        for (id, waits) in passes {
            // Whoever cannot be read is as they were, and not as they were said once.
            let unread = self.lists.values_mut().filter_map(|list| list.get_mut(&id)).filter(|line| line.place == Place::Unheard);
            for line in unread {
                if self.heard_at.len() > 1 || waits.either {
                    // Or as another list last said, which was let pass.
                    let rejected = Some(line.listings.clone());
                    self.waiting.insert(id, Waiting { either: true, rejected, ..waits.clone() });
                    continue;
                }
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
            // A list that has their session says who is in it.
            let session = lines[0].session;
            let is_left_out = self.sessions.iter().any(|(source, sessions)| {
                let has_them = self.lists.get(source).and_then(|list| list.get(&person));
                let is_torn = self.torn.get(source).is_some_and(|torn| torn.contains(&session));
                sessions.contains_key(&session) && has_them.map_or(!is_torn, |line| matches!(line.place, Place::Absent(..)))
            });
            if let Some(line) = unheard.filter(|_| !is_left_out) {
                return match &line.listings[..] {
                    [Listing::Good(said)] => Holds::Unheard(said.clone()),
                    [Listing::Fault] => Holds::Fault,
                    _ => Holds::Ambiguous,
                };
            }
            // The last to miss them: until then another one had them.
            let absent = lines.iter().filter_map(|line| if let Place::Absent(n, since) = line.place { Some((since, n)) } else { None });
            // Or the list that has their session never had them.
            let (since, n) = absent.max().unwrap_or((DateTime::<Utc>::MIN_UTC, ABSENCES));
            // A list that has the session may have them in a record that cannot be read; unless they counted as cancelled before. Nobody did while a
            // list was not read whole.
            let heard_since = self.in_part_until.map_or(since, |until| since.max(until));
            let may_stand = |said: &&Said| {
                // Of a session that is read in a part of a list, that part says who is not in it.
                let is_read = self.sessions.values().any(|sessions| sessions.contains_key(&said.session));
                let since = if is_read { since } else { heard_since };
                self.torn_since.get(&said.session).is_some_and(|torn| !is_sure(n, since, Some(*torn)))
            };
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
            Listing::Good(said) if said.may_take_place() && self.is_shared(person, said.code, self.last_heard()) => Holds::Ambiguous,
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
                .any(|l| matches!(l, Listing::Good(said) if said.code == code && said.may_take_place() && holds(said.start)))
    }

    /// It had begun, not long ago, when the lists first said that start, or an operator let pass what waited of it.
    pub(super) fn ran_when_it_moved(&self, said: &Said) -> bool {
        if self.once_passed.contains(&said.session) {
            return true;
        }
        let since = self.starts_since.get(&said.session).filter(|(start, _)| *start == said.start);
        since.is_some_and(|(start, since)| (*start..=*start + TimeDelta::minutes(30)).contains(since))
    }

    /// They are not listed, as far as lists could say since they were.
    pub(super) fn is_missed(&self, person: i64) -> bool {
        self.lists.values().filter_map(|list| list.get(&person)).all(|line| line.missed)
    }

    /// By some record of theirs the host tells them.
    pub(super) fn is_told_by_the_host(&self, person: i64) -> bool {
        let lines = self.lists.values().filter_map(|list| list.get(&person)).flat_map(|line| &line.listings);
        let mut said = lines.filter_map(|listing| if let Listing::Good(said) = listing { Some(said) } else { None });
        let last = self.last.get(&person);
        // Of what is cancelled, what slipped since counts for nothing: it may be told as it stood before.
        let once = || last.is_some_and(|last| last.status == Status::Cancelled) && self.once_by_host.contains(&person);
        said.any(|said| said.channel == 'N') || last.is_some_and(|said| said.channel == 'N') || once()
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
