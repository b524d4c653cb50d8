//! A walk: what a source said becomes changes of the outbox. Its cost is in proportion to what changed.
//!
//! Every session has a digest of its record. Only sessions that are new, changed or missing are planned; when the policy or the zone data
//! changed, or the source was silent for too long, all of them. The result is applied whole or not at all; if all of it is new, each session is
//! ([`apply`]).
//!
//! What a source lists no more is *absent*: nothing is sent for it. Absent in [`ABSENCES`] snapshots in a row over at least [`ABSENT_FOR`],
//! before its start, it counts as cancelled. What aged out after its start is left as it was, but for the nudge of whoever has not connected.
//! Too much at once waits for an operator ([`guard`]).
//! What stands in a part of the source that cannot be read is *unheard*: it counts as it was, as long as a silent source is believed.

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::known::{KnownMap, by_session};
use crate::outbox::{self, Applied, NotedSession, Outbox, ReplaysAfterRestore, Rest, Walk, WalkedSession};
use crate::plan::{self, NotJoined, Policy, Suppressions};
use crate::session::stored::StoredSession;
use crate::session::{Participant, Presence, Session, SessionId, Snapshot};
use crate::source::{ambiguity, stored};

mod absence;
mod adoption;
mod apply;
mod changed;
mod differ;
mod elsewhere;
mod guard;
mod held;
mod lately;
mod occupied;
mod parts;
mod restored;
mod scope;
mod session;
mod slips;
mod together;
mod upon;
mod work;

pub use self::absence::{ABSENCES, ABSENT_FOR};
pub use self::apply::{FIRST_PART, WalkProgress};
pub use self::elsewhere::Elsewhere;

use self::absence::begin_anew;
use self::apply::Planned;
use self::changed::digest;
use self::guard::Ruling;
use self::scope::{Scope, decided_with};
use self::slips::Left;
use self::work::Work;

/// A session that is touched while it is planned is planned again at once, so often. Each round takes a few milliseconds, and what is touched in
/// all of them waits for the next walk.
const ROUNDS: u32 = 20;

/// That a source says the same is noted so often: a source is believed for hours.
const NOTED_EVERY: TimeDelta = TimeDelta::seconds(30);

/// What a walk saw and did.
#[derive(Debug, Clone, Default)]
pub struct WalkSummary {
    /// Sessions in the snapshot.
    pub sessions: usize,
    /// Of them: new, changed or planned again.
    pub planned: usize,
    /// Records that could not be used.
    pub faults: usize,
    /// Sessions that wait for an operator.
    pub guarded: usize,
    /// Nothing is planned yet: the source has not given a whole list with a session in it.
    pub waits: bool,
    /// What changed in the outbox.
    pub applied: Applied,
    /// Upon how many walks it was planned ([`outbox::Nodes::walks`]).
    pub after: i64,
    /// Which walk it was ([`outbox::Rest::walks`]).
    pub walks: i64,
}

impl WalkSummary {
    /// Another node has walked the source since it was read.
    pub fn overtaken() -> Self {
        Self { applied: Applied { overtaken: true, ..Applied::default() }, ..Self::default() }
    }
}

/// All that one walk decides upon.
struct Walker<'a> {
    source: &'a str,
    policy: &'a Policy,
    suppressed: Suppressions,
    /// Whoever is in this snapshot was announced by somebody else.
    first_fill: bool,
    /// Sessions that were at fault in the first fill: whoever is in them was there.
    adopting: HashSet<SessionId>,
    /// What was told before a restore is found again: new invites and corrections wait for a person.
    replays_after_restore: ReplaysAfterRestore,
    now: DateTime<Utc>,
    /// Where sessions stand that are not this source's own, or move to it.
    places: HashMap<SessionId, String>,
    /// Sessions of which another source has a record that cannot be read.
    unread_elsewhere: HashSet<SessionId>,
    /// The sessions to plan, as they were.
    before: HashMap<SessionId, (StoredSession, Session)>,
    known: HashMap<SessionId, KnownMap>,
    ruling: Ruling,
    /// What people left in this list, or lately.
    left: Left,
    /// What was noted of that, over all sources.
    lately: HashMap<SessionId, NotedSession>,
    /// Sessions of other sources that it is noted of.
    noted_elsewhere: HashMap<SessionId, String>,
    /// What the new ones of this list got is noted.
    comes_singly: bool,
    /// When another source, or a part of this one that cannot be read now, and which is believed, last said all that it lists; of several, the one that
    /// was silent for the longest.
    unheard: Option<DateTime<Utc>>,
    /// The configuration asks the source for something else than before: what is not listed may just not be asked for.
    asked_anew: bool,
}

/// Plans what changed since the last walk, and applies it. What other sources say is read from the store.
pub async fn walk(
    outbox: &dyn Outbox,
    source: &str,
    snapshot: &Snapshot,
    policy: &Policy,
    now: DateTime<Utc>,
) -> outbox::Result<WalkSummary> {
    walk_beside(outbox, &mut Elsewhere::default(), (source, snapshot), policy, now).await
}

/// Likewise, for whoever walks again and again: what other sources say is remembered. Walks of several sources must follow each other.
pub async fn walk_beside(
    outbox: &dyn Outbox,
    elsewhere: &mut Elsewhere,
    (source, snapshot): (&str, &Snapshot),
    policy: &Policy,
    now: DateTime<Utc>,
) -> outbox::Result<WalkSummary> {
    walk_with_progress(outbox, elsewhere, (source, snapshot), (policy, now), &|_| {}).await
}

/// Likewise; `told` is called while it goes on.
pub async fn walk_with_progress(
    outbox: &dyn Outbox,
    elsewhere: &mut Elsewhere,
    (source, snapshot): (&str, &Snapshot),
    (policy, now): (&Policy, DateTime<Utc>),
    told: &(dyn Fn(WalkProgress<'_>) + Send + Sync),
) -> outbox::Result<WalkSummary> {
    plan(outbox, elsewhere, (source, snapshot), policy, now).await?.apply(outbox, elsewhere, told).await
}

/// Nothing new that a source says could change anything but that it said so, if it says what it said before. Then [`heard`] is all of a walk.
pub async fn rests(outbox: &dyn Outbox, source: &str, policy: &Policy, now: DateTime<Utc>) -> outbox::Result<Option<Rest>> {
    let since = if policy.not_joined.is_some() { now - NotJoined::LONGEST } else { now };
    let Some(rest) = outbox.rest(source, now, since).await? else { return Ok(None) };
    let fresh = rest.last_snapshot_at <= now && now - rest.last_snapshot_at <= policy.max_stale;
    let rests = fresh && !rest.unsettled && decided_with(&rest.policy_digest).0 == policy.digest();
    Ok(rests.then_some(rest))
}

/// A source said what it said before, and [`rests`]: notes it, unless it was noted just now, and nobody waits for a fresh look.
pub async fn heard(outbox: &dyn Outbox, source: &str, policy: &Policy, last: DateTime<Utc>, now: DateTime<Utc>) -> outbox::Result<()> {
    if policy.not_joined.is_none() && now - last < NOTED_EVERY {
        return Ok(());
    }
    outbox.heard(source, now).await
}

async fn plan<'a>(
    outbox: &dyn Outbox,
    elsewhere: &mut Elsewhere,
    (source, snapshot): (&'a str, &'a Snapshot),
    policy: &'a Policy,
    now: DateTime<Utc>,
) -> outbox::Result<Planned<'a>> {
    let after = elsewhere.now(outbox).await?;
    let mut scope = Scope::read(outbox, elsewhere, (source, snapshot), policy, now).await?;
    let (mut walker, occupied) = scope.walker(outbox).await?;
    scope.judge(outbox, &mut walker, &occupied).await?;
    let (work, later) = apply::in_parts(scope.work(&walker), &walker);
    let sessions = walker.sessions(&work);
    let report = WalkSummary { after, planned: sessions.len(), guarded: walker.ruling.waiting.len(), ..scope.report() };
    let guard = walker.guard_change(scope.judged(), scope.carried(), &sessions);
    let was_filled = scope.was_filled();
    let walk = Walk { sessions, guard, after: Some(after), ..scope.walk() };
    Ok(Planned { walk, work, later, walker, report, was_filled })
}

/// Plans again what waits for it, as it was last said: a participant answered, or wants messages again. The source said nothing, so this counts as
/// no snapshot of it; what is held because of the source (absent, unheard, guarded) stays so.
pub async fn again(outbox: &dyn Outbox, source: &str, policy: &Policy, now: DateTime<Utc>) -> outbox::Result<WalkSummary> {
    let after = Some(outbox.walks().await?);
    let Some(seen) = outbox.seen_from(source, now).await? else { return Ok(WalkSummary::default()) };
    // What an operator decided is done when the source is heard.
    let decided: HashSet<SessionId> = seen.guard.decided().collect();
    let all = seen.policy_digest.is_empty();
    let waits = seen
        .sessions
        .iter()
        .filter(|(id, s)| s.start > now && (all || s.replan) && s.presence == Presence::Listed && !decided.contains(id));
    let mut ids: Vec<SessionId> = waits.map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(WalkSummary::default());
    }
    ids.sort_unstable();
    let mut walker = Walker::of(outbox, (source, policy), HashMap::new(), now).await?;
    walker.lately = lately::by_session(outbox.lately(now).await?);
    walker.left = Left::of(std::iter::empty(), &walker.lately, policy, now);
    walker.read(outbox, &ids).await?;
    let work: Vec<Work<'_>> = ids.into_iter().map(|id| Work::Missing(id, Presence::Listed)).collect();
    let sessions = walker.sessions(&work);
    if sessions.is_empty() {
        return Ok(WalkSummary::default());
    }
    let report = WalkSummary { planned: sessions.len(), ..WalkSummary::default() };
    let walk = Walk { source: source.to_owned(), at: now, sessions, after, ..Walk::default() };
    let planned = Planned { walk, work, later: VecDeque::new(), walker, report, was_filled: true };
    planned.apply(outbox, &mut Elsewhere::default(), &|_| {}).await
}

fn before(stored: Vec<StoredSession>) -> HashMap<SessionId, (StoredSession, Session)> {
    stored.into_iter().filter_map(|s| stored::session(&s).map(|session| (s.id, (s, session)))).collect()
}

impl<'a> Walker<'a> {
    /// One that has read nothing yet.
    async fn of(
        outbox: &dyn Outbox,
        (source, policy): (&'a str, &'a Policy),
        places: HashMap<SessionId, String>,
        now: DateTime<Utc>,
    ) -> outbox::Result<Self> {
        Ok(Self {
            source,
            policy,
            suppressed: Suppressions::default(),
            first_fill: false,
            adopting: HashSet::new(),
            replays_after_restore: outbox.replays_after_restore(source, now).await?,
            now,
            places,
            unread_elsewhere: HashSet::new(),
            before: HashMap::new(),
            known: HashMap::new(),
            ruling: Ruling::default(),
            left: Left::default(),
            lately: HashMap::new(),
            noted_elsewhere: HashMap::new(),
            comes_singly: false,
            unheard: None,
            asked_anew: false,
        })
    }

    /// Where a session stands.
    fn place(&self, id: SessionId) -> &str {
        self.places.get(&id).or_else(|| self.noted_elsewhere.get(&id)).map_or(self.source, String::as_str)
    }

    /// Reads what the store holds of these sessions now. What they are planned upon comes first: what happens from then on is another touch.
    async fn read(&mut self, outbox: &dyn Outbox, ids: &[SessionId]) -> outbox::Result<()> {
        let mut by_place: HashMap<&str, Vec<SessionId>> = HashMap::from([(self.source, Vec::new())]);
        ids.iter().for_each(|id| by_place.entry(self.place(*id)).or_default().push(*id));
        let (mut stored, mut known) = (Vec::new(), KnownMap::new());
        for (place, ids) in by_place {
            stored.extend(outbox.sessions(place, Some(&ids)).await?);
            known.extend(outbox.known(place, &ids).await?);
        }
        (self.before, self.known) = (before(stored), by_session(known));
        self.suppressed = Suppressions(outbox.suppressions().await?);
        Ok(())
    }

    fn sessions(&self, work: &[Work<'_>]) -> Vec<WalkedSession> {
        let plan = |work: &Work<'_>| match work {
            Work::Listed(session, digest) => {
                let from = self.places.get(&session.id).cloned();
                self.listed(session, digest.clone()).map(|walked| WalkedSession { from, ..walked })
            }
            Work::Missing(id, why) => self.missing(*id, *why),
            Work::Moves(to, session) => {
                let (of, from) = (Some(to.clone()), Some(self.source.to_owned()));
                // What else its new source says of it is looked at when that one is read.
                self.listed(session, digest(session)).map(|walked| WalkedSession { of, from, replan: true, ..walked })
            }
            Work::Marked(session) => {
                let of = Some(self.place(session.id).to_owned());
                // What was asked of its own source's next walk is still to be done there: an operator's answer, too.
                let asked = self.before.get(&session.id).is_some_and(|(stored, _)| stored.touch.again > 0);
                self.marked(session).map(|walked| WalkedSession { of, replan: walked.replan || asked, ..walked })
            }
            Work::LooksAgain(id) => {
                let of = Some(self.place(*id).to_owned());
                let presence = self.before.get(id)?.1.presence;
                self.kept(*id, presence, self.known(*id)).map(|walked| WalkedSession { of, replan: true, ..walked })
            }
        };
        work.iter().filter_map(plan).collect()
    }
}

impl Walker<'_> {
    fn known(&self, id: SessionId) -> KnownMap {
        let mut known = self.known.get(&id).cloned().unwrap_or_default();
        if let Some((_, was)) = self.before.get(&id) {
            plan::named_by_meaning(was, &mut known, self.policy);
        }
        known
    }

    /// A session that is in the snapshot. `None`: it is guarded, and was so before.
    fn listed(&self, session: &Session, digest: String) -> Option<WalkedSession> {
        if let Some((kept, cancels)) = self.ruling.holds.get(&session.id).and_then(|hold| Some((hold.whole?, hold.cancels))) {
            return self.held(session, (kept, cancels), digest);
        }
        let mut known = self.known(session.id);
        let before = self.before.get(&session.id);
        let mut whole = self.with_held(session);
        let departed: Vec<Participant> = before.map(|(_, was)| self.departed(&whole, was, &mut known)).unwrap_or_default();
        for person in &session.participants {
            if let Some(one) = known.get_mut(&(session.id, person.id)) {
                begin_anew(one);
            }
        }
        whole.participants.extend(departed);
        Some(self.plan(&whole, digest, known))
    }

    /// A session as it was, with what the sources together say of the people in it.
    fn marked(&self, together: &Session) -> Option<WalkedSession> {
        let (_, was) = self.before.get(&together.id)?;
        let mut session = Session { record: together.record.clone(), twice: together.twice.clone(), ..was.clone() };
        // Of whoever left it nobody says anything else.
        session.participants.iter_mut().filter(|p| p.presence != Presence::Listed).for_each(|p| p.ambiguous = None);
        for person in &together.participants {
            let left = || self.still_of_another(together.id, person);
            match session.participants.iter_mut().find(|p| p.id == person.id) {
                Some(theirs) => theirs.ambiguous = person.ambiguous.clone().or_else(left),
                None => session.participants.push(person.clone()),
            }
        }
        Some(self.plan(&session, digest(together), self.known(together.id)))
    }

    /// The session as it was, with a mark.
    fn kept(&self, id: SessionId, presence: Presence, known: KnownMap) -> Option<WalkedSession> {
        let (stored, was) = self.before.get(&id)?;
        let mut session = Session { presence, record: stored.record.clone(), ..was.clone() };
        if presence == Presence::Listed {
            self.unmarked(&mut session);
        }
        if presence == Presence::Kept {
            // It was decided: what another source says of it instead is what was rejected.
            let stays = |why: &String| !ambiguity::is_of_session(why) || ambiguity::is_told_twice(why);
            session.participants.iter_mut().for_each(|p| p.ambiguous = p.ambiguous.take().filter(stays));
        }
        if presence == Presence::Gone {
            // Nobody says anything else of it any more.
            session.faults.clear();
            session.participants.iter_mut().for_each(|p| p.ambiguous = None);
            held::in_force(&mut session);
            let held = |p: &&mut Participant| matches!(p.presence, Presence::Absent | Presence::Unreadable | Presence::Unknown);
            session.participants.iter_mut().filter(held).for_each(|p| p.presence = Presence::Gone);
        }
        Some(self.plan(&session, stored.digest.clone(), known))
    }
}

#[cfg(test)]
mod tests;
