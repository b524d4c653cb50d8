//! A backup is put back: the store knows nothing of what was told, decided and heard since it was made. What may have gone out waits for staff, who
//! ask the relay's log.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use punctual::entry::{Entry, State};
use punctual::notice::{Notice, Occasion, Reason};
use punctual::outbox::{Action, Actions, Feedback, Upkeep};
use punctual::suppression::Suppression;

use super::oracle::{Oracle, Told, restored};
use super::read::Kind;
use super::said::{Said, Status};
use super::word::{Holds, Word};
use super::world::World;

/// What was so when a copy was made.
#[derive(Clone)]
pub(super) struct Backup {
    word: Word,
    adopted: BTreeMap<i64, Said>,
    to_adopt: BTreeSet<i64>,
    filled: BTreeSet<usize>,
    /// So much had been told.
    told: usize,
}

impl World {
    pub(super) fn backs_up(&self, bare: bool) {
        if self.store.backs_up(bare, self.now()) {
            self.notes(if bare { "the store's files are copied" } else { "the store is backed up" });
            *self.copy.lock().unwrap() = Some(self.oracle.lock().unwrap().backup());
        }
    }

    /// As docs/operations.md says: the daemon ends, the copy is put in place, the daemon starts; who asked for no more messages is entered again.
    pub(super) async fn puts_back(&self, with_mark: bool) {
        let Some(copy) = self.copy.lock().unwrap().clone() else { return };
        self.store.mark().await.unwrap();
        self.process_ends();
        self.store.puts_back(with_mark);
        self.notes("that copy is put back");
        let stopped = {
            let mut oracle = self.oracle.lock().unwrap();
            oracle.is_put_back(copy, self.now());
            self.anew.lock().unwrap().extend(0..self.sources.lock().unwrap().len());
            oracle.stopped.clone()
        };
        self.process().await;
        self.tells_rows().await;
        for number in stopped {
            self.store.suppress(self.now(), &restored(&number), Suppression::OptedOut, None).await.unwrap();
        }
        self.plan_again().await;
    }

    /// Staff go through what is held because it may have gone out: what the relay took, and says what holds, is told; the rest goes.
    pub(super) async fn asks_the_log(&self) {
        let is_held = |e: &Entry| e.state == State::Held && e.reason == Some(Reason::Restored);
        for entry in self.entries().await.into_iter().filter(is_held) {
            let (key, person) = (entry.notice.key, entry.notice.participation.0);
            let went = self.oracle.lock().unwrap().is_known_by(person, &entry.notice);
            let act = if went { Action::CancelTold } else { Action::Release };
            self.notes(format!("staff, of what may have gone out: {act:?} the {} of {person}", entry.notice.occasion));
            {
                let mut oracle = self.oracle.lock().unwrap();
                oracle.by_staff.insert(key);
                oracle.staff_acted_on.insert(person);
            }
            self.store.act(&[key], act, self.now()).await.unwrap();
        }
    }
}

impl Oracle {
    fn backup(&self) -> Backup {
        Backup {
            word: self.word.clone(),
            adopted: self.adopted.clone(),
            to_adopt: self.to_adopt.clone(),
            filled: self.filled.clone(),
            told: self.told.len(),
        }
    }

    fn is_put_back(&mut self, copy: Backup, now: DateTime<Utc>) {
        self.told[copy.told..].iter_mut().for_each(|told| told.lost = true);
        let since = std::mem::replace(&mut self.word, copy.word);
        self.word.was_said_besides(&since);
        (self.adopted, self.to_adopt, self.filled) = (copy.adopted, copy.to_adopt, copy.filled);
        (self.restored_at, self.set_back_to) = (Some(now), None);
    }

    /// The clock is set back: what was told since the restore, by the clock of then, is still to come.
    pub(super) fn is_set_back(&mut self, now: DateTime<Utc>) {
        if self.restored_at.is_some() {
            self.set_back_to = self.set_back_to.into_iter().chain([now]).min();
        }
    }

    /// What they heard there last says what holds.
    fn is_known_by(&self, person: i64, notice: &Notice) -> bool {
        let at_it = |t: &Told| restored(&t.letter.to) == notice.address;
        let there = self.told.iter().rfind(|t| t.person == person && t.fate.counts() && at_it(t));
        let off = |t: &Told| t.letter.kind == Kind::Cancelled;
        let said = match self.word.of(person) {
            Holds::Said(said) => said,
            Holds::Absent(..) => return notice.occasion == Occasion::Cancelled && there.is_some_and(off),
            _ => return false,
        };
        if said.status != Status::Live {
            return there.is_some_and(off);
        }
        there.is_some_and(|t| !off(t) && t.start == Some(said.start) && t.letter.codes == [said.code] && t.zone == Some(said.zone))
    }

    /// A message went out before, and the store that was put back cannot know: a clock was ahead when it went.
    pub(super) fn is_of_another_clock(&self, at: DateTime<Utc>) -> bool {
        self.restored_at.is_some_and(|restored| at > restored + TimeDelta::seconds(1))
    }
}
