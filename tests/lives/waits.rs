//! What waits for an operator of one person, as somebody reads it who has the lists before them.

use std::collections::{BTreeMap, BTreeSet};

use super::list::List;
use super::said::{KINDS, Said, differs};
use super::word::{Line, Listing};

/// What changes in a session of which something waits, or in the way in which something of the same list waits, may wait with that.
pub(super) fn wait_with_others(
    waiting: &mut BTreeMap<i64, Waiting>,
    lines: &BTreeMap<i64, Line>,
    list: &List,
    changes: Vec<(&'static str, i64, Said)>,
) {
    let (mut sessions, mut kinds): (BTreeSet<i64>, BTreeSet<&str>) = (BTreeSet::new(), BTreeSet::new());
    for (id, waits) in waiting.iter().filter(|(id, _)| lines.contains_key(id)) {
        sessions.insert(waits.before.session);
        let is = list.people.get(id).map(|(_, listings)| &listings[..]);
        let slipped = |what: &&str| matches!(is, Some([Listing::Good(is)]) if differs(what, &waits.before, is));
        kinds.extend(KINDS.into_iter().filter(|what| *what == waits.what || slipped(what)));
    }
    let with_it = |what: &str, before: &Said| !before.host && (sessions.contains(&before.session) || kinds.contains(what));
    for (what, id, before) in changes.into_iter().filter(|(what, _, before)| with_it(what, before)) {
        waiting.entry(id).or_insert(Waiting { before, what, rejected: None, once: None, either: true });
    }
}

/// A change that waits for an operator: what held before it.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) before: Said,
    /// What held before something else changed of them, too: that may wait with it.
    pub(super) once: Option<Said>,
    pub(super) what: &'static str,
    /// An operator said that it is wrong: this, which was said then.
    pub(super) rejected: Option<Vec<Listing>>,
    /// And then let pass what else had changed of them, or of their session, since: with it or without, nobody can say.
    pub(super) either: bool,
}

impl Waiting {
    /// What is none of its kind counts all the same, if it is said: where and whether the session takes place.
    pub(super) fn in_session_of(&self, said: &Said) -> Self {
        Self { before: Said { start: said.start, status: said.status, ..self.before.clone() }, ..self.clone() }
    }

    /// Of two ways in which it differs, one may wait while the other one counts: all that may be in force of what was before and of what is said.
    pub(super) fn in_part(&self, said: &Said) -> Vec<Self> {
        let mixed = |kept: &Said, with: &Said| {
            let (code, zone, name) = (with.code, with.zone, with.name.clone());
            let (address, contacts, channel) = (with.address.clone(), with.contacts.clone(), with.channel);
            [
                Said { code, ..kept.clone() },
                Said { zone, ..kept.clone() },
                Said { name, ..kept.clone() },
                Said { channel, address, contacts, ..kept.clone() },
            ]
        };
        let once = self.once.iter().map(|before| Self { before: before.clone(), ..self.clone() });
        let all = mixed(&self.before, said).into_iter().chain(mixed(said, &self.before));
        let all = all.map(|before| Self { before: Said { start: said.start, status: said.status, ..before }, ..self.clone() });
        all.chain(once).collect()
    }

    /// It differs in more than one way.
    pub(super) fn differs_too(&self, said: &Listing) -> bool {
        matches!(said, Listing::Good(is) if KINDS.into_iter().filter(|what| differs(what, &self.before, is)).count() > 1)
    }

    /// What was said to be wrong is said no more. What else is said of them counts: what was before goes on in the rest alone.
    pub(super) fn says_another(&mut self, is: &[Listing]) -> bool {
        let Some(rejected) = &mut self.rejected else { return false };
        // Of two records one is left.
        if let [Listing::Good(one)] = is
            && rejected.len() > 1
            && rejected.iter().any(|other| matches!(other, Listing::Good(other) if !KINDS.iter().any(|what| differs(what, other, one))))
        {
            *rejected = vec![Listing::Good(one.clone())];
            return false;
        }
        let ([Listing::Good(wrong)], [Listing::Good(is)]) = (&rejected[..], is) else { return is != rejected.as_slice() };
        if differs(self.what, wrong, is) {
            // Another kind of it may be as wrong as it was.
            let other = KINDS.into_iter().find(|what| differs(what, &self.before, wrong) && !differs(what, wrong, is));
            let Some(other) = other else { return true };
            (self.what, self.either) = (other, true);
        }
        // If that is too much as well, an operator who lets it pass lets all of it pass.
        self.either |= KINDS.into_iter().any(|what| differs(what, wrong, is));
        let before = self.before.with_what_changed(wrong, is);
        if before != self.before {
            self.once.get_or_insert_with(|| self.before.clone());
        }
        self.before = before;
        *rejected = vec![Listing::Good(is.clone())];
        false
    }
}
