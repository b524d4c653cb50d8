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

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::entry::{Change, State};
use crate::guard::GuardStanding;
use crate::known::{Known, KnownMap, KnownNotice, by_session};
use crate::notice::{Decision, Notice, NoticeKey, Occasion, Reason};
use crate::outbox::{self, Applied, NotedSession, Outbox, ReplaysAfterRestore, Rest, Seen, SeenSession, Walk, WalkedSession};
use crate::plan::{self, NotJoined, Policy, Suppressions, diff};
use crate::session::stored::{Departed, StoredSession};
use crate::session::{Participant, ParticipationId, Presence, Session, SessionId, Snapshot, SnapshotKind, TakenFor};
use crate::source::{ambiguity, json, stored};

mod apply;
mod differ;
mod elsewhere;
mod guard;
mod held;
mod lately;
mod occupied;
mod parts;
mod slips;
mod together;
mod upon;

pub use self::apply::{FIRST_PART, WalkProgress};
pub use self::elsewhere::Elsewhere;

use self::apply::Planned;
use self::elsewhere::Beside;
use self::guard::{GuardedSession, Kept, Ruling, Scene};
use self::parts::UnreadSessions;
use self::slips::Left;

/// Snapshots in a row that must not list a session before it counts as cancelled.
pub const ABSENCES: u32 = 3;
/// And for how long.
pub const ABSENT_FOR: TimeDelta = TimeDelta::minutes(10);

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

/// Between the digest of the policy and what the source was asked for, as the store remembers them.
const ASKED: &str = "; ";

/// With which policy the last walk decided, and what it had asked for.
fn decided_with(stored: &str) -> (&str, &str) {
    stored.split_once(ASKED).unwrap_or((stored, ""))
}

/// A session to plan.
enum Work<'a> {
    /// It is in the snapshot; with its new digest.
    Listed(Box<Cow<'a, Session>>, String),
    /// It is not, or not legibly.
    Missing(SessionId, Presence),
    /// It is not, and another source lists it: it stands under that one from now on.
    Moves(String, Box<Session>),
    /// It stands under another source, and what this one says makes it ambiguous, or does so no more.
    Marked(Box<Session>),
    /// It is kept under another source, which does not list it, and this one says something new of it: that source is looked at again.
    LooksAgain(SessionId),
}

impl Work<'_> {
    fn id(&self) -> SessionId {
        match self {
            Self::Listed(session, _) => session.id,
            Self::Missing(id, _) | Self::LooksAgain(id) => *id,
            Self::Moves(_, session) | Self::Marked(session) => session.id,
        }
    }
}

async fn plan<'a>(
    outbox: &dyn Outbox,
    elsewhere: &mut Elsewhere,
    (source, snapshot): (&'a str, &'a Snapshot),
    policy: &'a Policy,
    now: DateTime<Utc>,
) -> outbox::Result<Planned<'a>> {
    let after = elsewhere.now(outbox).await?;
    let mut seen = seen(outbox, source, snapshot, now).await?;
    let policy_digest = policy.digest();
    let (policy_before, asked_before) = seen.as_ref().map(|s| decided_with(&s.policy_digest)).unwrap_or_default();
    let asked_before = asked_before.to_owned();
    let all = seen.as_ref().is_none_or(|s| policy_before != policy_digest || !policy.believes(s.last_snapshot_at, now));
    let fill = Fill::of(snapshot, seen.as_ref());
    let unheard = UnreadSessions::of(snapshot, seen.as_ref());
    let mut missing = missing((snapshot, &unheard), seen.as_ref(), all, now);
    let mut beside = elsewhere.beside(outbox, (source, snapshot), &missing, policy, now).await?;
    let carried = held::carried(outbox, source, &beside.from, now).await?;
    if let Some(seen) = &mut seen {
        seen.guard.members.extend(carried.iter().cloned());
    }
    let mut moves = std::mem::take(&mut beside.moves);
    missing.retain(|(id, _)| !moves.contains_key(id));
    let mut changed = if fill == Fill::Waits { Vec::new() } else { changed(snapshot, &beside, seen.as_ref(), all) };
    let marked: Vec<&Session> = beside.others.iter().filter_map(|(id, (_, stored))| differs(beside.together.get(id)?, stored)).collect();
    let mut places: HashMap<SessionId, String> = beside.from.clone();
    let look_again = held::kept_elsewhere(&beside);
    places.extend(marked.iter().map(|s| s.id).chain(look_again.iter().copied()).map(|id| (id, beside.others[&id].0.clone())));
    let mut ids: Vec<SessionId> = changed.iter().map(|(s, _)| s.id).chain(missing.iter().map(|(id, _)| *id)).collect();
    ids.extend(moves.keys().copied().chain(marked.iter().map(|s| s.id)).chain(look_again.iter().copied()));
    // Whoever comes may be one of those whom the guard keeps elsewhere.
    ids.extend(seen.iter().filter(|_| !changed.is_empty()).flat_map(|s| s.guard.displaced()));
    let occupied = occupied::Occupancy::of((snapshot, &unheard), &changed, seen.as_ref());
    ids.extend(occupied.ids());
    // Of a list that says nothing new nobody gets anything.
    let is_new = !changed.is_empty() || !moves.is_empty() || !missing.is_empty();
    let lately = if is_new { lately::by_session(outbox.lately(now).await?) } else { HashMap::new() };
    ids.extend(lately.keys().filter(|_| !changed.is_empty()));
    ids.sort_unstable();
    ids.dedup();
    let adopting = adopting(snapshot, seen.as_ref(), fill, policy);
    let mut walker = Walker::of(outbox, (source, policy), places, now).await?;
    walker.unread_elsewhere = std::mem::take(&mut beside.unread);
    walker.first_fill = fill == Fill::First && !policy.adopt_invites;
    walker.adopting = seen.iter().flat_map(|s| s.adopting.iter().copied()).collect();
    walker.unheard = beside.unheard.into_iter().chain(parts::unheard_since(snapshot, seen.as_ref(), policy, now)).min();
    walker.asked_anew = !snapshot.asked.is_empty() && !asked_before.is_empty() && asked_before != snapshot.asked;
    walker.noted_elsewhere = lately::places(&lately, source);
    walker.lately = lately;
    walker.read(outbox, &ids).await?;
    let new = changed.iter().filter(|(session, _)| !walker.before.contains_key(&session.id)).count();
    walker.comes_singly = lately::come_singly(new, seen.as_ref().is_some_and(|seen| seen.filled));
    let listed_there: Vec<&Session> = moves.iter().map(|(id, (_, said))| beside.together.get(id).unwrap_or(said)).collect();
    walker.left = walker.left_in(&changed, &occupied, &listed_there);
    walker.occupied(&mut changed, &missing, &occupied);
    // A first list is news, but for what another source said before.
    let first = (seen.is_none() && !beside.from.is_empty()).then(|| held::first(carried.clone(), now));
    let judged = seen.as_ref().or(first.as_ref());
    if let Some(seen) = judged {
        walker.judge(outbox, snapshot, seen, (&changed, &missing, &listed_there)).await?;
        walker.holds_back(&mut changed, &occupied, seen);
        moves.retain(|id, _| {
            let stays = walker.stays(*id);
            missing.extend(stays.then_some((*id, Presence::Absent)));
            !stays
        });
    }
    let looked_at = changed.iter().map(|(session, _)| session.id).chain(missing.iter().map(|(id, _)| *id)).chain(moves.keys().copied());
    let heirs = walker.heirs(looked_at.chain(marked.iter().map(|session| session.id)).chain(look_again.iter().copied()));
    let marked: Vec<Work<'a>> = marked.into_iter().cloned().chain(heirs).map(|session| Work::Marked(Box::new(session))).collect();
    let moves = moves.into_iter().map(|(id, (to, said))| Work::Moves(to, Box::new(beside.together.get(&id).cloned().unwrap_or(said))));
    let listed = changed.into_iter().map(|(session, digest)| Work::Listed(Box::new(session), digest));
    let missing = missing.into_iter().map(|(id, why)| Work::Missing(id, why));
    let look_again = look_again.into_iter().map(Work::LooksAgain);
    let work: Vec<Work<'a>> = listed.chain(missing).chain(moves).chain(marked).chain(look_again).collect();
    let (work, later) = apply::in_parts(work, &walker);
    let sessions = walker.sessions(&work);
    let (told, planned, guarded) = (snapshot.told(), sessions.len(), walker.ruling.waiting.len());
    let guard = walker.guard_change(judged, &carried, &sessions);
    let report = WalkSummary {
        sessions: snapshot.sessions.len(),
        planned,
        faults: told.count,
        guarded,
        waits: fill == Fill::Waits,
        after,
        ..WalkSummary::default()
    };
    // A change is told of by itself, and ends no first fill.
    let filled = fill == Fill::First || seen.as_ref().is_some_and(|seen| seen.filled);
    let (faults, also, whole) = (told.lines(), beside.also, snapshot.is_whole());
    let asked = if whole && !snapshot.asked.is_empty() { &snapshot.asked } else { &asked_before };
    let policy_digest = if asked.is_empty() { policy_digest } else { format!("{policy_digest}{ASKED}{asked}") };
    let walk = Walk {
        source: source.to_owned(),
        at: now,
        heard: true,
        whole,
        policy_digest,
        sessions,
        faults,
        guard,
        filled,
        adopting,
        parts: parts::now(snapshot, seen.as_ref(), now),
        after: Some(after),
        also,
    };
    Ok(Planned { walk, work, later, walker, report, was_filled: seen.is_some_and(|seen| seen.filled) })
}

/// What the last walk left of what is to come, or may still be told of, and of what the snapshot lists: what is over is not read.
async fn seen(outbox: &dyn Outbox, source: &str, snapshot: &Snapshot, now: DateTime<Utc>) -> outbox::Result<Option<Seen>> {
    let Some(mut seen) = outbox.seen_from(source, now - NotJoined::LONGEST).await? else { return Ok(None) };
    let unknown: Vec<SessionId> = snapshot.sessions.iter().map(|s| s.id).filter(|id| !seen.sessions.contains_key(id)).collect();
    if !unknown.is_empty() {
        seen.sessions.extend(outbox.seen_among(source, &unknown).await?);
    }
    Ok(Some(seen))
}

/// How far a source's first fill is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// There was no whole list with a session in it yet, and this is none: nobody is adopted, and nobody is invited.
    Waits,
    /// This is the first one: whoever is in it may have been announced by somebody else.
    First,
    /// It is over: who comes now is new.
    Over,
}

impl Fill {
    fn of(snapshot: &Snapshot, seen: Option<&Seen>) -> Self {
        let filled = seen.is_some_and(|seen| seen.filled);
        match snapshot.kind {
            _ if filled => Self::Over,
            SnapshotKind::Full if !snapshot.sessions.is_empty() => Self::First,
            SnapshotKind::Full | SnapshotKind::Partial => Self::Waits,
            // It is told of by itself: that is news.
            SnapshotKind::Delta => Self::Over,
        }
    }
}

/// Sessions that are at fault since the first fill, so that nobody can know yet who is in them; none, if that fill invites everybody.
fn adopting(snapshot: &Snapshot, seen: Option<&Seen>, fill: Fill, policy: &Policy) -> Vec<SessionId> {
    let inside = snapshot.sessions.iter().flat_map(|s| &s.faults).filter(|f| f.participation.is_none());
    let faults: BTreeSet<SessionId> = inside.filter_map(|f| f.session).chain(snapshot.unreadable()).collect();
    match fill {
        Fill::Waits => Vec::new(),
        Fill::First if policy.adopt_invites => Vec::new(),
        Fill::First => faults.into_iter().collect(),
        Fill::Over => {
            let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
            let still = |id: &SessionId| faults.contains(id) || !listed.contains(id);
            seen.into_iter().flat_map(|s| &s.adopting).copied().filter(still).collect()
        }
    }
}

/// Plans again what waits for it, as it was last said: a participant answered, or wants messages again. The source said nothing, so this counts as
/// no snapshot of it; what is held because of the source (absent, unheard, guarded) stays so.
pub async fn again(outbox: &dyn Outbox, source: &str, policy: &Policy, now: DateTime<Utc>) -> outbox::Result<WalkSummary> {
    let after = Some(outbox.walks().await?);
    let Some(seen) = outbox.seen_from(source, now).await? else { return Ok(WalkSummary::default()) };
    // What an operator decided is done when the source is heard.
    let decided: HashSet<SessionId> =
        seen.guard.members.iter().filter(|m| m.standing != GuardStanding::Waiting).map(|m| m.session).collect();
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

/// Sessions to plan, with their new digests: those of this source, as all sources together tell them.
fn changed<'a>(snapshot: &'a Snapshot, beside: &Beside, seen: Option<&Seen>, all: bool) -> Vec<(Cow<'a, Session>, String)> {
    let listed = |is: Presence| matches!(is, Presence::Listed | Presence::Guarded | Presence::Kept);
    let as_it_was = |last: &SeenSession, digest: &str| last.digest == digest && listed(last.presence) && !last.replan;
    let last = |id: SessionId| seen.and_then(|s| s.sessions.get(&id));
    let own = snapshot.sessions.iter().filter(|s| !beside.second.contains(&s.id));
    let told = own.map(|s| beside.together.get(&s.id).map_or(Cow::Borrowed(s), |together| Cow::Owned(together.clone())));
    let digested = told.map(|s| (digest(&s), s));
    let changed = digested.filter(|(d, s)| all || !last(s.id).is_some_and(|last| as_it_was(last, d)));
    changed.map(|(digest, session)| (session, digest)).collect()
}

/// A session of another source is told in another way now. One that is held as absent or guarded is looked at when its own source tells it again.
/// What its own source says twice, or gives to somebody though it is another one's, stays so until that one is read again.
fn differs<'s>(together: &'s Session, stored: &StoredSession) -> Option<&'s Session> {
    let of_its_own = |why: &str| ambiguity::is_told_twice(why) || occupied::is_of_another(why);
    let is_its_own = stored.ambiguous.iter().any(|(_, why)| of_its_own(why));
    let counts = matches!(stored.presence, Presence::Listed | Presence::Unknown) && !is_its_own;
    (counts && digest(together) != stored.digest).then_some(together)
}

/// Digest of a record and of what other records say about it.
fn digest(session: &Session) -> String {
    let mut hash = Sha256::new();
    hash.update(json::without_layout(&session.record.text).as_bytes());
    hash.update(session.record.taken_for.map_or("", TakenFor::as_str));
    hash.update(session.twice.as_bytes());
    for person in session.participants.iter().filter(|p| p.ambiguous.is_some()) {
        hash.update(person.id.0.to_be_bytes());
        hash.update(person.ambiguous.as_deref().unwrap_or_default());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

/// Sessions that were seen before, start in the future, and are not in the snapshot as sessions: absent, unreadable or unheard. An absent one
/// is looked at in every walk until it counts as gone, the others once; likewise those that have started and may still be told of. `all`: what is as it
/// was is looked at, too.
fn missing(
    (snapshot, unheard): (&Snapshot, &UnreadSessions),
    seen: Option<&Seen>,
    all: bool,
    now: DateTime<Utc>,
) -> Vec<(SessionId, Presence)> {
    let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
    let unreadable: HashSet<SessionId> = snapshot.unreadable().collect();
    let runs = |start: DateTime<Utc>| start <= now && now - start < NotJoined::LONGEST;
    let unlisted = seen.into_iter().flat_map(|s| &s.sessions).filter(|(id, s)| !listed.contains(id) && (s.start > now || runs(s.start)));
    let is = |id: &SessionId, was: &SeenSession| {
        let extent = match snapshot.kind {
            SnapshotKind::Delta => SnapshotKind::Delta,
            _ if unheard.may_list(*id) => SnapshotKind::Partial,
            _ => SnapshotKind::Full,
        };
        let again = all || was.replan;
        if runs(was.start) {
            let is = match extent {
                _ if unreadable.contains(id) => Some(Presence::Unreadable),
                SnapshotKind::Full => Some(Presence::Absent),
                SnapshotKind::Partial => Some(Presence::Unknown),
                SnapshotKind::Delta => None,
            };
            return is.filter(|_| was.presence == Presence::Listed || again);
        }
        match (extent, was.presence) {
            _ if unreadable.contains(id) => Some(Presence::Unreadable).filter(|is| was.presence != *is || was.replan),
            (SnapshotKind::Full, Presence::Guarded | Presence::Kept) if was.digest.is_empty() => Some(Presence::Absent).filter(|_| again),
            (SnapshotKind::Full, is) => Some(Presence::Absent).filter(|_| is != Presence::Gone || again),
            (SnapshotKind::Partial, Presence::Listed) => Some(Presence::Unknown),
            (SnapshotKind::Partial, Presence::Unknown) => Some(Presence::Unknown).filter(|_| again),
            // It stays so; but this is no list that misses it, so the next one is the first in a row.
            (SnapshotKind::Partial, Presence::Absent) => Some(Presence::Unknown),
            (SnapshotKind::Delta, Presence::Listed) => Some(Presence::Listed).filter(|_| again),
            // It is held already, or gone.
            (SnapshotKind::Partial | SnapshotKind::Delta, _) => None,
        }
    };
    let mut missing: Vec<(SessionId, Presence)> = unlisted.filter_map(|(id, s)| Some((*id, is(id, s)?))).collect();
    missing.sort_unstable_by_key(|(id, _)| *id);
    missing
}

/// What is new for somebody whose messages staff stopped.
fn stopped(change: &Change, known: &Known) -> Option<Change> {
    let Change::Add(notice) = change else { return None };
    let end = Change::End { key: notice.key, state: State::Held, reason: Reason::Operator };
    diff::is_stopped(notice, &known.notices).then_some(end)
}

/// Whatever misses them next is the first list that does.
fn begin_anew(one: &mut Known) {
    (one.absent_since, one.absences) = (None, 0);
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

    /// Participants that the session had and has no more: absent, and gone when that is sure. After the start nothing happens to them.
    fn departed(&self, session: &Session, was: &Session, known: &mut KnownMap) -> Vec<Participant> {
        let nameless_fault = session.faults.iter().any(|f| f.participation.is_none());
        // Whoever counts as cancelled may wait to be told so, until the start that they know; and so may whoever believes in another one.
        let start = |p: &Participant| {
            let told = known.get(&(session.id, p.id)).and_then(|one| one.knows_another_start(session.start));
            told.map_or(session.start, |told| told.max(session.start))
        };
        let to_come = |p: &&Participant| start(p) > self.now || p.presence == Presence::Gone;
        let gone_from = was.participants.iter().filter(|p| session.participant(p.id).is_none()).filter(to_come);
        let rejected = self.ruling.rejected.contains(&session.id);
        let departed: Vec<(Participant, DateTime<Utc>)> = gone_from.map(|p| (p.clone(), start(p))).collect();
        let mut all = Vec::new();
        for (mut person, start) in departed {
            let was_ambiguous = person.ambiguous.take();
            let unreadable = session.faults.iter().any(|f| f.participation == Some(person.id));
            person.presence = match known.get_mut(&(session.id, person.id)) {
                Some(one) if unreadable => {
                    // A record that may be theirs: it is no list that misses them.
                    if one.absences > 0 && ![was.presence, person.presence].contains(&Presence::Gone) {
                        begin_anew(one);
                    }
                    Presence::Unreadable
                }
                None if unreadable => Presence::Unreadable,
                // As they were: at fault, or kept until an operator decides.
                Some(_) if nameless_fault && person.presence == Presence::Unreadable => Presence::Unreadable,
                // What an operator accepted of them cannot be read: what was before holds no more.
                Some(_) if nameless_fault && person.presence == Presence::Guarded && !rejected => Presence::Guarded,
                Some(one) if nameless_fault && person.presence == Presence::Absent => {
                    begin_anew(one);
                    Presence::Absent
                }
                // The record that does not say whose it is may be theirs: as they were, as long as a silent source is believed.
                Some(one) if nameless_fault && person.presence != Presence::Gone && was.presence != Presence::Gone => {
                    one.absent_since = one.absent_since.or(Some(self.now));
                    person.ambiguous = was_ambiguous;
                    Presence::Unknown
                }
                Some(_) if nameless_fault && was.presence == Presence::Gone => Presence::Gone,
                Some(_) if person.presence == Presence::Gone || self.ruling.confirmed.contains(&session.id) => Presence::Gone,
                Some(one) => self.count_absence(one, start),
                None => Presence::Absent,
            };
            if person.presence == Presence::Unknown && !session.twice.is_empty() {
                let whose = |p: &Participant| p.ambiguous.clone().filter(|why| ambiguity::is_of_session(why));
                person.ambiguous = session.participants.iter().find_map(whose).or_else(|| Some(ambiguity::twice(session.id)));
            }
            all.push(person);
        }
        all
    }

    /// One more snapshot without them.
    fn count_absence(&self, known: &mut Known, start: DateTime<Utc>) -> Presence {
        // While it could not be heard it was not absent.
        let since = known.absent_since.filter(|_| known.absences > 0).unwrap_or(self.now);
        known.absent_since = Some(since);
        known.absences += 1;
        let sure = known.absences >= ABSENCES && self.now - since >= ABSENT_FOR && start > self.now;
        if sure { Presence::Gone } else { Presence::Absent }
    }

    /// One more snapshot without all of them. Whoever had left the session before says nothing of the others.
    fn count_absence_of_all(&self, was: &Session, known: &mut KnownMap) -> Presence {
        let had_left = |id| was.participant(id).is_none_or(|p| matches!(p.presence, Presence::Absent | Presence::Gone));
        // It may stand in what another source could not say since.
        let since = known.values().filter_map(|one| one.absent_since).min().unwrap_or(self.now);
        let may_be_elsewhere = self.unheard.is_some_and(|then| then < since);
        let counted: Vec<(bool, Presence)> =
            known.iter_mut().map(|((_, id), one)| (had_left(*id), self.count_absence(one, was.start))).collect();
        let all_had_left = counted.iter().all(|(left, _)| *left);
        let mut of_it = counted.iter().filter(|(left, _)| all_had_left || !left).peekable();
        let sure = !may_be_elsewhere && of_it.peek().is_some() && of_it.all(|(_, is)| *is == Presence::Gone);
        if sure { Presence::Gone } else { Presence::Absent }
    }

    /// A session that is not in the snapshot, or not legibly.
    fn missing(&self, id: SessionId, why: Presence) -> Option<WalkedSession> {
        let (_, was) = self.before.get(&id)?;
        let mut known = self.known(id);
        if was.start <= self.now {
            return self.left(id, why, known);
        }
        let hold = self.ruling.holds.get(&id).and_then(|hold| hold.whole);
        let presence = match (why, hold) {
            (_, Some(kept)) => return self.held_missing(id, kept, known),
            // Whatever the clock says by now.
            (Presence::Absent, None) if was.presence == Presence::Gone => Presence::Gone,
            (Presence::Absent, None) if self.ruling.confirmed.contains(&id) => Presence::Gone,
            (Presence::Absent, None) if self.unread_elsewhere.contains(&id) => return self.not_counted(id, known),
            (Presence::Absent, None) => self.count_absence_of_all(was, &mut known),
            (Presence::Unknown, None) if was.presence == Presence::Absent => return self.not_counted(id, known),
            (Presence::Unknown | Presence::Unreadable, None) => {
                for ((_, person), one) in &mut known {
                    let missed =
                        was.presence == Presence::Absent || was.participant(*person).is_some_and(|p| p.presence == Presence::Absent);
                    if missed {
                        begin_anew(one);
                    }
                    if why == Presence::Unknown {
                        one.absent_since = one.absent_since.or(Some(self.now));
                    }
                }
                why
            }
            (other, None) => other,
        };
        self.kept(id, presence, known)
    }

    /// An absent session stays so, and this list is none that misses it: it may stand in a record that cannot be read.
    fn not_counted(&self, id: SessionId, mut known: KnownMap) -> Option<WalkedSession> {
        let counted = known.values().any(|one| one.absences > 0);
        let (_, was) = self.before.get(&id)?;
        known.values_mut().for_each(begin_anew);
        self.kept(id, Presence::Absent, known).filter(|_| counted || was.presence != Presence::Absent)
    }

    /// A session that runs, and is not in the snapshot any more: whoever was to be told that it runs is not, and all else stays as it is.
    fn left(&self, id: SessionId, why: Presence, known: KnownMap) -> Option<WalkedSession> {
        let is_open = |n: &&KnownNotice| n.state.pending() || matches!(n.state, State::Claimed | State::Sending);
        let runs = |n: &&KnownNotice| n.notice.occasion != Occasion::Cancelled && n.notice.useful_until > self.now;
        let open: HashSet<NoticeKey> = known.values().flat_map(|k| &k.notices).filter(is_open).filter(runs).map(|n| n.notice.key).collect();
        let mut walked = self.kept(id, why, known).filter(|_| !open.is_empty())?;
        walked.changes.retain(|change| match change {
            Change::Add(_) => false,
            Change::Move { key, .. } | Change::End { key, .. } => open.contains(key),
        });
        Some(walked)
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

    fn plan(&self, session: &Session, digest: String, known: KnownMap) -> WalkedSession {
        let adopts = self.adopts(session);
        let mut known = plan::observe(session, known, self.policy, adopts, self.now);
        self.not_announced(session, &mut known);
        if adopts {
            self.adopt_the_unread(session, &mut known);
        }
        let plan = plan::plan_session(session, &known, self.policy, &self.suppressed, self.now);
        // Nobody can know yet whether what is in flight will have been told: the next walk decides again.
        let in_flight = known.values().flat_map(|k| &k.notices).any(|n| matches!(n.state, State::Claimed | State::Sending));
        // Until somebody's absence is sure it is looked at in every walk.
        let unsure = session.presence == Presence::Listed && session.participants.iter().any(|p| p.presence == Presence::Absent);
        // Another source may end it: then this one says nothing new.
        let ambiguous = session.participants.iter().any(|p| p.ambiguous.is_some());
        let mut people: Vec<(&(SessionId, ParticipationId), &Known)> = known.iter().collect();
        people.sort_unstable_by_key(|(id, _)| **id);
        let mut changes: Vec<Change> = Vec::new();
        // What they were told elsewhere holds no more: the next walk tells them.
        let mut moved_unread = false;
        let mut announced = Vec::new();
        for ((_, id), one) in &people {
            let decided = diff::diff(&plan.of(*id), &one.notices);
            let held: Vec<Change> = decided.iter().filter_map(|change| self.found_again(session, change, one)).collect();
            let stopped: Vec<Change> = decided.iter().filter_map(|change| stopped(change, one)).collect();
            changes.extend(decided.into_iter().chain(held).chain(stopped));
            if let Some(notice) = self.missed(session, *id, one) {
                let end = Change::End { key: notice.key, state: State::Lapsed, reason: Reason::Ambiguous };
                changes.extend([Change::Add(notice), end]);
                continue;
            }
            let was = self.told_elsewhere(session, *id);
            let Some((notice, facts)) = self.adoption(session, &was, *id, one) else { continue };
            moved_unread |= (was.start, was.cancelled) != (session.start, session.cancelled);
            announced.push((notice.key, facts));
            let end = Change::End { key: notice.key, state: State::Cancelled, reason: Reason::Adopted };
            changes.extend([Change::Add(notice), end]);
        }
        WalkedSession {
            ahead: self.ahead(session.id, &known),
            of: None,
            from: None,
            was: self.before.get(&session.id).map(|(stored, _)| stored.touch),
            id: session.id,
            digest,
            presence: session.presence,
            replan: in_flight || unsure || ambiguous || moved_unread,
            record: session.record.clone(),
            departed: self.records_of_departed(session),
            lately: self.noted(session),
            ambiguous: session.participants.iter().filter_map(|p| p.ambiguous.clone().map(|why| (p.id, why))).collect(),
            start: session.start,
            known: people.into_iter().map(|((_, id), one)| (*id, Known { notices: Vec::new(), ..one.clone() })).collect(),
            changes,
            announced,
            omissions: plan.into_decisions().filter_map(|d| if let Decision::Omit(o) = d { Some(o) } else { None }).collect(),
        }
    }

    /// What a clock that was ahead noted, as it is noted by this one.
    fn ahead(&self, id: SessionId, known: &KnownMap) -> Vec<(NoticeKey, DateTime<Utc>)> {
        let read = self.known.get(&id).into_iter().flatten();
        let ahead = read.flat_map(|(person, one)| {
            let by_now = known.get(person).map(|one| &one.notices[..]).unwrap_or_default();
            let theirs = one.notices.iter().filter(|n| n.changed_at > self.now);
            theirs.filter_map(move |n| Some((n.notice.key, by_now.iter().find(|b| b.notice.key == n.notice.key)?.changed_at)))
        });
        let mut ahead: Vec<(NoticeKey, DateTime<Utc>)> = ahead.filter(|(_, at)| *at <= self.now).collect();
        ahead.sort_unstable();
        ahead
    }

    /// The records of those who are not in the session's any more.
    fn records_of_departed(&self, session: &Session) -> Vec<Departed> {
        // Whom only another source lists in it has left this one's record, or stands there in one that cannot be read.
        let unread = |p: &Participant| session.faults.iter().any(|fault| fault.participation == Some(p.id));
        let elsewhere = |p: &Participant| p.ambiguous.is_some() && (unread(p) || json::record_of(&session.record, p.id).is_none());
        let departed = session.participants.iter().filter(|p| p.presence != Presence::Listed || elsewhere(p));
        let presence = |p: &Participant| match p.presence {
            Presence::Listed if unread(p) => Presence::Unreadable,
            Presence::Listed => Presence::Absent,
            other => other,
        };
        let Some((stored, _)) = self.before.get(&session.id) else { return Vec::new() };
        let record = |p: &Participant| {
            let departed_before = stored.departed.iter().find(|d| d.id == p.id).map(|d| d.record.clone());
            departed_before.or_else(|| json::record_of(&stored.record, p.id))
        };
        let mut all: Vec<Departed> =
            departed.filter_map(|p| Some(Departed { id: p.id, role: p.role, presence: presence(p), record: record(p)? })).collect();
        all.sort_unstable_by_key(|d| d.id);
        all
    }

    /// After a restore, what may have been told in the time that the store does not remember: held. Reminders that are still to come are not; one that
    /// only quiet hours keep is.
    fn found_again(&self, session: &Session, change: &Change, known: &Known) -> Option<Change> {
        let (notice, due_at) = match change {
            Change::Add(n) => (n, n.due_at),
            Change::Move { key, due_at, .. } => {
                let row = known.notices.iter().find(|n| n.notice.key == *key)?;
                // What waits for later than now had not gone when it was due. What is due earlier by now may have been so then, too.
                // Nor had what quiet hours kept, unless their clock is another one by now.
                let by_another_clock = row.notice.occasion != Occasion::Reminder && known.facts_known_at == self.now;
                let anew = row.state != State::Waiting || *due_at < row.notice.due_at || by_another_clock;
                anew.then_some((&row.notice, *due_at))?
            }
            Change::End { .. } => return None,
        };
        let was_due = || due_at.min(plan::rule_time(notice, session, self.policy).unwrap_or(due_at)) <= self.now;
        let told_since = self.may_find_again(notice, known) && (notice.occasion != Occasion::Reminder || was_due());
        told_since.then_some(Change::End { key: notice.key, state: State::Held, reason: Reason::Restored })
    }

    /// What is new of somebody may have been told before a restore.
    fn may_find_again(&self, notice: &Notice, known: &Known) -> bool {
        match self.replays_after_restore {
            ReplaysAfterRestore::Nobody => false,
            ReplaysAfterRestore::Everybody => true,
            ReplaysAfterRestore::WhoeverWaited(until) => {
                let Some((stored, was)) = self.before.get(&notice.session) else { return false };
                let mark = stored.ambiguous.iter().find(|(id, _)| *id == notice.participation).map(|(_, why)| why);
                // While a session is told in two ways nobody knows what is new of it.
                let told_twice = mark.is_some_and(|why| ambiguity::is_of_session(why));
                let waited = told_twice || (mark.is_some() && known.start_known_at.max(known.facts_known_at) <= until);
                waited || self.was_unread_since(was, notice.participation, until)
            }
        }
    }

    /// Until now nobody could read what the source says of them, and that began before then.
    fn was_unread_since(&self, was: &Session, id: ParticipationId, then: DateTime<Utc>) -> bool {
        let of_them = was.participant(id).map(|person| person.presence);
        let presences = [Some(was.presence), of_them];
        let unheard_since = self.known.get(&was.id).and_then(|known| known.get(&(was.id, id))?.absent_since);
        let unheard = presences.contains(&Some(Presence::Unknown)) && unheard_since.is_some_and(|since| since <= then);
        unheard || presences.contains(&Some(Presence::Unreadable))
    }

    /// Whoever is in this session for the first time was there before this program came.
    fn adopts(&self, session: &Session) -> bool {
        self.first_fill || self.adopting.contains(&session.id)
    }

    /// Whoever's record is at fault was there, too: they are adopted once it is mended.
    fn adopt_the_unread(&self, session: &Session, known: &mut KnownMap) {
        for id in session.faults.iter().filter_map(|fault| fault.participation) {
            let new = || Known { cancelled: session.cancelled, adopted: true, ..Known::new(session.start, self.now) };
            known.entry((session.id, id)).or_insert_with(new);
        }
    }

    /// The session as somebody else announced it: as it was when they were first noted. A record that was at fault may have moved meanwhile.
    fn told_elsewhere(&self, session: &Session, id: ParticipationId) -> Session {
        let noted = self.known.get(&session.id).and_then(|known| known.get(&(session.id, id)));
        let (start, cancelled) = noted.map_or((session.start, session.cancelled), |one| (one.start, one.cancelled));
        Session { start, cancelled, ..session.clone() }
    }

    /// The invite of whoever was ambiguous until their session began, a short time ago. Of what waits for a person nobody need be lost in silence.
    fn missed(&self, session: &Session, id: ParticipationId, known: &Known) -> Option<Notice> {
        let (stored, _) = self.before.get(&session.id)?;
        let began = session.start <= self.now && self.now - session.start < NotJoined::LONGEST;
        let was_held = stored.ambiguous.iter().any(|(held, _)| *held == id);
        let person = session.participant(id).filter(|p| began && was_held && p.presence == Presence::Listed)?;
        plan::missed_invite((session, person, known), self.policy, &self.suppressed, self.now)
    }

    /// To whoever was there, and whom nobody can have announced it to, because it was cancelled, or they had no address or code: it is news.
    fn not_announced(&self, session: &Session, known: &mut KnownMap) {
        let Some((_, was)) = self.before.get(&session.id) else { return };
        for person in &session.participants {
            let Some(one) = known.get_mut(&(session.id, person.id)).filter(|one| one.adopted) else { continue };
            let takes_place = self.told_elsewhere(session, person.id).cancelled && !one.cancelled;
            let untold = |p: &Participant| plan::is_told_nowhere(p, self.policy);
            let is_reached = was.participant(person.id).is_some_and(untold) && !untold(person);
            if (takes_place || is_reached) && !one.notices.iter().any(KnownNotice::heard) {
                (one.adopted, one.first_seen) = (false, self.now);
            }
        }
    }

    /// Whoever was announced by somebody else counts as told: a row of the outbox remembers the start that they know, and what else they were told, so
    /// that a change of it is told. Of what is over nobody need remember anything, until it is moved.
    fn adoption(&self, session: &Session, was: &Session, id: ParticipationId, known: &Known) -> Option<(Notice, String)> {
        let is_noted = known.notices.iter().any(|n| n.reason == Some(Reason::Adopted) || n.may_have_been_sent());
        if !known.adopted || is_noted || self.policy.adopt_invites || was.start.max(session.start) <= self.now {
            return None;
        }
        let person = session.participant(id)?;
        let notice = plan::adopted_invite((was, person, known), self.policy, &self.suppressed, self.now)?;
        Some((notice, plan::facts(was, person, self.policy)))
    }
}

#[cfg(test)]
mod tests;
