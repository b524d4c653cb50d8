//! Codes of those who are off the list, and do not count as gone yet: they may come back, and their code is theirs until then. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Walker, differ, digest};
use crate::contact::ConnectCode;
use crate::session::{Participant, Presence, Session, SessionId};

/// How the reason ends.
const OFF: &str = "who is off the list and may come back";

impl Walker<'_> {
    /// Marks whoever comes to have such a code. One who had it before, as its other holder did, is not held: their duplicate has vanished.
    pub(super) fn occupied(&self, changed: &mut [(Cow<'_, Session>, String)], missing: &[(SessionId, Presence)]) {
        let absent = missing.iter().filter(|(_, why)| *why == Presence::Absent).filter_map(|(id, _)| Some(&self.before.get(id)?.1));
        let absent = absent.filter(|was| was.is_active() && was.presence != Presence::Gone && was.start > self.now);
        let both = changed.iter().filter_map(|(is, _)| Some((&**is, &self.before.get(&is.id)?.1)));
        let left = both.flat_map(|(is, was)| was.participants.iter().filter(|p| is.participant(p.id).is_none()));
        let off = absent.flat_map(|was| &was.participants).chain(left).filter(|p| p.presence != Presence::Gone);
        let codes: HashMap<ConnectCode, Participant> = off.filter_map(|p| Some((p.code?, p.clone()))).collect();
        if codes.is_empty() {
            return;
        }
        for (session, its_digest) in changed {
            let holder = |p: &Participant| codes.get(&p.code?).filter(|holder| !differ::is_one(holder, p));
            let theirs: Vec<usize> = (0..session.participants.len())
                .filter(|n| self.has_it_newly(session, *n) && holder(&session.participants[*n]).is_some())
                .collect();
            for n in &theirs {
                let Some(of) = holder(&session.participants[*n]).map(|holder| holder.id) else { continue };
                session.to_mut().participants[*n]
                    .ambiguous
                    .get_or_insert_with(|| format!("its ConnectCode is that of participation {of}, {OFF}"));
            }
            if !theirs.is_empty() {
                *its_digest = digest(session);
            }
        }
    }

    /// They did not have it, or have been held for it since.
    fn has_it_newly(&self, session: &Session, n: usize) -> bool {
        let person = &session.participants[n];
        let Some((stored, was)) = self.before.get(&session.id) else { return true };
        was.participant(person.id).is_none_or(|before| before.code != person.code)
            || stored.ambiguous.iter().any(|(id, why)| *id == person.id && why.ends_with(OFF))
    }
}
