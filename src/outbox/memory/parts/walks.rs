//! What sources say, and what a walk of it changes.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::MemoryOutbox;
use crate::guard::{GuardRow, Verdict};
use crate::known::KnownMap;
use crate::ledger::LedgerRow;
use crate::outbox::checks::checked;
use crate::outbox::words::decided as in_words;
use crate::outbox::{Applied, NotedSession, ReadFile, Rest, Result, Seen, SeenSession, SourceLook, SourceRow, UnreadSource, Walk, Walks};
use crate::session::stored::{Also, StoredSession};
use crate::session::{ParticipationId, Presence, SessionId};

#[async_trait]
impl Walks for MemoryOutbox {
    async fn seen_from(&self, source: &str, from: DateTime<Utc>) -> Result<Option<Seen>> {
        let tables = self.tables();
        let of_source = tables.sessions.iter().filter(|((of, _), session)| of == source && session.start >= from);
        let sessions = of_source.map(|((_, id), session)| (*id, session.seen())).collect();
        Ok(tables.sources.get(source).map(|s| Seen {
            policy_digest: s.policy_digest.clone(),
            last_snapshot_at: s.last_snapshot_at,
            guard: s.guard.set(),
            filled: s.filled,
            adopting: s.adopting.clone(),
            whole_at: s.whole_at,
            parts: s.parts.clone(),
            sessions,
        }))
    }

    async fn seen_among(&self, source: &str, ids: &[SessionId]) -> Result<HashMap<SessionId, SeenSession>> {
        let tables = self.tables();
        Ok(ids.iter().filter_map(|id| Some((*id, tables.sessions.get(&(source.to_owned(), *id))?.seen()))).collect())
    }

    async fn sources(&self) -> Result<Vec<SourceRow>> {
        let tables = self.tables();
        let since = |name: &String| tables.expected.get(name).copied();
        let read = tables.sources.iter().map(|(name, source)| SourceRow {
            name: name.clone(),
            gone: source.gone,
            heard_at: Some(source.last_snapshot_at),
            whole_at: source.whole_at,
            since: since(name),
        });
        let never_read = tables.expected.keys().filter(|name| !tables.sources.contains_key(*name));
        let never_read =
            never_read.map(|name| SourceRow { name: name.clone(), gone: false, heard_at: None, whole_at: None, since: since(name) });
        let mut all: Vec<SourceRow> = read.chain(never_read).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn configure(&self, names: &[String], now: DateTime<Utc>) -> Result<usize> {
        Ok(self.tables().configure(names, now))
    }

    async fn lately(&self, now: DateTime<Utc>) -> Result<Vec<NotedSession>> {
        let tables = self.tables();
        let all = tables.lately.iter().filter(|(_, items)| items.iter().any(|one| one.until > now));
        Ok(all.map(|((source, session), items)| NotedSession { source: source.clone(), session: *session, items: items.clone() }).collect())
    }

    async fn rename_source(&self, from: &str, to: &str, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.tables().rename_source(from, to, now))
    }

    async fn also(&self) -> Result<Vec<(String, Also)>> {
        Ok(self.tables().also.iter().flat_map(|(source, all)| all.iter().map(|also| (source.clone(), also.clone()))).collect())
    }

    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>> {
        let tables = self.tables();
        let wanted: Option<HashSet<SessionId>> = ids.map(|ids| ids.iter().copied().collect());
        let held = tables.sessions.iter().filter(|((of, id), session)| {
            of == source && wanted.as_ref().is_none_or(|ids| ids.contains(id)) && !session.stored.record.is_empty()
        });
        Ok(held.filter_map(|(place, _)| tables.stored(place)).collect())
    }

    async fn starting(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<(String, SessionId)>> {
        let tables = self.tables();
        let kept = tables.sessions.iter().filter(|(_, s)| (from..until).contains(&s.start) && !s.stored.record.is_empty());
        let mut found: Vec<_> = kept.map(|((source, id), s)| (s.start, *id, source.clone())).collect();
        found.sort();
        Ok(found.into_iter().take(limit).map(|(_, id, source)| (source, id)).collect())
    }

    async fn guards(&self) -> Result<Vec<GuardRow>> {
        let tables = self.tables();
        Ok(tables.sources.iter().flat_map(|(name, source)| source.guard.rows(name)).collect())
    }

    async fn decide_guard(&self, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        let mut tables = self.tables();
        let named = |name: &str| source.is_none_or(|named| named == name);
        let decided: Vec<(String, SessionId)> = (tables.sources.iter_mut().filter(|(name, _)| named(name)))
            .flat_map(|(name, held)| held.guard.decide(verdict).into_iter().map(|id| (name.clone(), id)))
            .collect();
        for place in &decided {
            tables.plan_again(place);
        }
        tables.append(LedgerRow::new(now, verdict.into(), &in_words(decided.len(), source, who)));
        Ok(decided.len())
    }

    async fn listed(&self, source: &str) -> Result<usize> {
        let tables = self.tables();
        let of_source = tables.sessions.iter().filter(|((of, _), _)| of == source).map(|(_, session)| &session.stored);
        Ok(of_source.filter(|stored| stored.presence == Presence::Listed && !stored.record.text.is_empty()).count())
    }

    async fn people(&self, source: &str, now: DateTime<Utc>) -> Result<usize> {
        Ok(self.tables().people(source, now))
    }

    async fn rest(&self, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<Option<Rest>> {
        Ok(self.tables().rest(source, now, since))
    }

    async fn heard(&self, source: &str, at: DateTime<Utc>) -> Result<()> {
        if let Some(source) = self.tables().sources.get_mut(source) {
            if source.whole_at == Some(source.last_snapshot_at) {
                source.whole_at = Some(at);
            }
            source.last_snapshot_at = at;
        }
        Ok(())
    }

    async fn known(&self, source: &str, sessions: &[SessionId]) -> Result<KnownMap> {
        let tables = self.tables();
        let first = ParticipationId(i64::MIN);
        let mut map = KnownMap::new();
        for session in sessions {
            let from = tables.participants.range((source.to_owned(), *session, first)..);
            let ids = from.map(|(place, _)| place).take_while(|(of, id, _)| of == source && id == session).map(|(_, _, p)| *p);
            map.extend(ids.filter_map(|p| Some(((*session, p), tables.known(source, *session, p)?))));
        }
        Ok(map)
    }

    async fn apply(&self, walk: Walk) -> Result<Applied> {
        let mut tables = self.tables();
        for session in &walk.sessions {
            let source = session.from.as_ref().or(session.of.as_ref()).unwrap_or(&walk.source);
            let known = |id| Ok::<_, Infallible>(tables.participants.contains_key(&(source.clone(), session.id, id)));
            let Ok(check) = session.check(known);
            checked("apply", [check])?;
        }
        Ok(tables.apply(walk))
    }

    async fn plan_anew(&self) -> Result<()> {
        self.tables().sources.values_mut().for_each(|source| source.policy_digest.clear());
        Ok(())
    }

    async fn absences_anew(&self) -> Result<()> {
        let mut tables = self.tables();
        let missed = tables.participants.values_mut().filter(|known| known.absences > 0 && !known.cancelled);
        missed.for_each(|known| (known.absent_since, known.absences) = (None, 0));
        Ok(())
    }

    async fn want_look(&self, source: &str) -> Result<i64> {
        let mut looks = self.rows_of_looks();
        let look = looks.entry(source.to_owned()).or_default();
        look.wanted += 1;
        Ok(look.wanted)
    }

    async fn had_look(&self, source: &str, wanted: i64) -> Result<()> {
        if let Some(look) = self.rows_of_looks().get_mut(source) {
            look.had = look.had.max(wanted.min(look.wanted));
        }
        Ok(())
    }

    async fn leave_alone(&self, source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> Result<()> {
        let mut looks = self.rows_of_looks();
        let look = looks.entry(source.to_owned()).or_default();
        (look.quiet_until, look.refusals) = (until, refusals);
        Ok(())
    }

    async fn was_read(&self, source: &str, file: ReadFile) -> Result<()> {
        self.rows_of_looks().entry(source.to_owned()).or_default();
        self.rows_of_reads().insert(source.to_owned(), file);
        Ok(())
    }

    async fn last_read(&self, source: &str) -> Result<Option<ReadFile>> {
        Ok(self.rows_of_reads().get(source).cloned())
    }

    async fn not_read(&self, source: &str, unread: Option<UnreadSource>) -> Result<()> {
        self.rows_of_looks().entry(source.to_owned()).or_default().unread = unread;
        Ok(())
    }

    async fn looks(&self) -> Result<Vec<SourceLook>> {
        let looks = self.rows_of_looks();
        Ok(looks.iter().map(|(source, look)| SourceLook { source: source.clone(), ..look.clone() }).collect())
    }
}
