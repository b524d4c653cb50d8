//! What people leave and others get, as somebody reads it who has the lists before them: a column may have slipped.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::list::List;
use super::said::Said;
use super::word::{Line, Listing, Word};

/// What one list leaves and another one gives to somebody else may be one fault, for so long.
pub(super) const SLIPS_WITHIN: TimeDelta = TimeDelta::minutes(11);

impl Word {
    /// Whoever had something, and has it no more, or came to have it.
    pub(super) fn note_what_passes(&mut self, source: usize, list: &List, now: DateTime<Utc>) {
        let Some(lines) = self.lists.get(&source) else { return };
        for (id, (_, listings)) in &list.people {
            let before = lines.get(id).map(|line| &line.listings[..]);
            // What stands twice may say the same of them.
            let owns = |listings: &[Listing]| {
                let all: Option<Vec<[String; 5]>> =
                    listings.iter().map(|listing| if let Listing::Good(said) = listing { Some(said.owns()) } else { None }).collect();
                all.filter(|all| all.windows(2).all(|two| two[0] == two[1]))
                    .and_then(|all| all.into_iter().next())
                    .map(Vec::from)
                    .unwrap_or_default()
            };
            let is = owns(listings);
            let was = match before {
                // Told in two ways, or not readably: as they were before that.
                Some(before) if owns(before).is_empty() => self.last.get(id).map(|said| said.owns().to_vec()).unwrap_or_default(),
                Some(before) => owns(before),
                // They stood in another list until now.
                None => self.last.get(id).map(|said| said.owns().to_vec()).unwrap_or_default(),
            };
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
    pub(super) fn slips(&self, lines: &BTreeMap<i64, Line>, list: &List, now: DateTime<Utc>) -> Vec<(i64, Said)> {
        // While something of a kind waits, everything of that kind does: a mailbox and a number are of one.
        let kind = |n: usize| if n == 2 { 1 } else { n };
        let changed = |(id, was): (&i64, &Said)| {
            // What stands twice may say the same of them.
            let listings = &list.people.get(id)?.1;
            let Some(Listing::Good(is)) = listings.first() else { return None };
            let same = |other: &Listing| matches!(other, Listing::Good(other) if other.owns() == is.owns());
            if !listings.iter().all(same) {
                return None;
            }
            let both = was.owns().into_iter().zip(is.owns()).enumerate().filter(|(_, (was, is))| was != is);
            Some((*id, was.clone(), both.map(|(n, (was, is))| (kind(n), [was, is])).collect::<Vec<_>>()))
        };
        let was = |line: &Line| if let [Listing::Good(was)] = &line.listings[..] { Some(was.clone()) } else { None };
        let here = lines.iter().filter_map(|(id, line)| Some((*id, was(line)?)));
        let elsewhere = self.last.iter().filter(|(id, _)| !lines.contains_key(id)).map(|(id, said)| (*id, said.clone()));
        let all: Vec<_> = here.chain(elsewhere).filter_map(|(id, was)| changed((&id, &was))).collect();
        let lately = |all: &BTreeMap<String, BTreeMap<i64, DateTime<Utc>>>, item: &String| {
            all.get(item).is_some_and(|people| people.values().any(|at| (now - *at).abs() <= SLIPS_WITHIN))
        };
        let slipped = |item: &String| lately(&self.had, item) && lately(&self.got, item);
        let items = all.iter().flat_map(|(_, _, changed)| changed);
        let mut kinds: BTreeSet<usize> = items.filter(|(_, items)| items.iter().any(slipped)).map(|(kind, _)| *kind).collect();
        // Another name and other contacts, and the code of before: it is somebody else.
        let is_replaced = |(id, was, _): &(i64, Said, _)| {
            let Some((_, listings)) = list.people.get(id) else { return false };
            matches!(&listings[..], [Listing::Good(is)] if is.is_another_with_the_code_of(was))
        };
        if all.iter().any(is_replaced) {
            kinds.extend([1, 3]);
        }
        let theirs = all.into_iter().filter(|(_, _, changed)| changed.iter().any(|(kind, _)| kinds.contains(kind)));
        theirs.map(|(id, was, _)| (id, was)).collect()
    }
}
