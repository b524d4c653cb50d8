//! What several sources say of the sessions that they share something of, told together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::differ;
use super::elsewhere::{Beside, Elsewhere, is_listed};
use crate::contact::ConnectCode;
use crate::outbox::{self, Outbox};
use crate::session::stored::StoredSession;
use crate::session::{Participant, ParticipationId, Session, SessionId, Snapshot};
use crate::source::ambiguity::Exclusive;
use crate::source::{ambiguity, json};

impl Elsewhere {
    /// Sessions of a source that a change of one may concern: that one, and whatever shares a code or a participation with it by what is said now, with
    /// what shares something with those.
    pub async fn related(
        &mut self,
        outbox: &dyn Outbox,
        source: &str,
        (id, said): (SessionId, &[Exclusive]),
        now: DateTime<Utc>,
    ) -> outbox::Result<Vec<SessionId>> {
        let sources = outbox.sources().await?;
        self.know(outbox, &sources, now).await?;
        self.look_up(outbox, &sources, std::iter::once(id), now).await?;
        let mut queue = vec![id];
        queue.extend(said.iter().filter_map(|claim| self.holders.get(claim)).flatten());
        let mut related = BTreeSet::new();
        while let Some(id) = queue.pop() {
            let Some(held) = self.held.get(&id).filter(|held| held.source == source && !related.contains(&id)) else { continue };
            related.insert(id);
            queue.extend(held.claims.iter().filter_map(|claim| self.holders.get(claim)).flatten());
        }
        Ok(related.into_iter().collect())
    }

    /// Reads what is involved, and lets all sources tell it together: whose a session is speaks first.
    pub(super) async fn tell_together(
        &self,
        outbox: &dyn Outbox,
        (source, snapshot): (&str, &Snapshot),
        missing: &[SessionId],
        beside: &mut Beside,
        (involved, now): (&BTreeSet<SessionId>, DateTime<Utc>),
    ) -> outbox::Result<()> {
        if involved.is_empty() {
            return Ok(());
        }
        let mut of: BTreeMap<&str, Vec<SessionId>> = BTreeMap::new();
        for id in involved.iter().filter(|id| !beside.from.contains_key(id)) {
            if let Some(held) = self.held.get(id).filter(|held| held.source != source) {
                of.entry(&held.source).or_default().push(*id);
            }
        }
        for (name, ids) in of {
            let stored = outbox.sessions(name, Some(&ids)).await?;
            beside.others.extend(stored.into_iter().map(|stored| (stored.id, (name.to_owned(), stored))));
        }
        let said: HashMap<SessionId, &Session> = snapshot.sessions.iter().map(|s| (s.id, s)).collect();
        // What it cannot be heard of, or not be read of, is as it was.
        let is_own = |id: &SessionId| self.held.get(id).is_some_and(|held| held.source == source && held.listed);
        let quiet = |id: &&SessionId| {
            let leaves = missing.contains(id) || beside.moves.contains_key(id);
            is_own(id) && !said.contains_key(id) && !leaves
        };
        let quiet: Vec<SessionId> = involved.iter().filter(quiet).copied().collect();
        let quiet: HashMap<SessionId, StoredSession> =
            outbox.sessions(source, Some(&quiet)).await?.into_iter().map(|stored| (stored.id, stored)).collect();
        let mut union = Snapshot::default();
        for id in involved {
            let other = beside.others.get(id).map(|(_, stored)| stored).or_else(|| quiet.get(id));
            let is_said = self.held.get(id).is_some_and(|held| held.listed);
            let other = other.filter(|stored| is_said && is_listed(stored.presence)).and_then(|stored| json::stored_record(&stored.record));
            let also = self.also.get(id).into_iter().flatten().filter(|(of, _)| of != source).map(|(_, session)| session);
            let all = other.into_iter().chain(said.get(id).map(|s| (*s).clone())).chain(also.cloned());
            union.sessions.extend(all.map(ambiguity::unmarked));
        }
        let stands = |id: SessionId| {
            let held = self.held.get(&id).filter(|_| !beside.from.contains_key(&id));
            held.map_or(source, |held| held.source.as_str())
        };
        let of_others = self.in_force(involved, stands, now);
        ambiguity::mark_beside(&mut union, Some(of_others), now);
        beside.together = union.sessions.into_iter().map(|session| (session.id, session)).collect();
        Ok(())
    }

    /// Whose a code is that is in force in another source, beside those who are listed with it. Who else of a source's own list may have it is judged by
    /// its own walk.
    fn in_force<'s>(
        &'s self,
        involved: &'s BTreeSet<SessionId>,
        stands: impl Fn(SessionId) -> &'s str,
        now: DateTime<Utc>,
    ) -> impl Fn(SessionId, &Participant) -> Vec<ParticipationId> {
        let mut in_force: HashMap<ConnectCode, Vec<(&str, ParticipationId, &str)>> = HashMap::new();
        for (id, held) in involved.iter().filter_map(|id| Some((id, self.held.get(id)?))) {
            if held.codes_end.is_some_and(|end| end > now) {
                for (code, person, who) in &held.in_force {
                    in_force.entry(*code).or_default().push((stands(*id), *person, who));
                }
            }
        }
        move |session, person| {
            let all = person.code.and_then(|code| in_force.get(&code)).into_iter().flatten();
            let is_anothers =
                |(of, id, who): &&(&str, ParticipationId, &str)| *of != stands(session) && *id != person.id && *who != differ::who(person);
            all.filter(is_anothers).map(|(_, id, _)| *id).collect()
        }
    }
}
