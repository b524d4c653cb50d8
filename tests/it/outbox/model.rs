//! Random histories: both stores must tell the same of each.

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::select;
use punctual::contact::Channel;
use punctual::entry::{Change, State};
use punctual::ledger::{Event, LedgerRow};
use punctual::notice::{Notice, NoticeKey, Occasion, Reason};
use punctual::outbox::{Action, Claim, ClaimRequest, Filter, Retention, Returned, Settlement, Walk, WalkedSession};
use punctual::session::SessionId;
use punctual::session::stored::StoredSession;
use punctual::suppression::Suppression;

use super::fixture::{Store, accepted, addressed, begin, mail, minute, request, retry, returned, text, uncounted, unknown, walk, walked};
use super::walks::omission;

/// One step. A number of a notice, or of a claim made before, counts round what there is.
#[derive(Debug, Clone)]
enum Step {
    Walk { session: i64, digest: u8, changes: Vec<(usize, ChangeKind)>, omissions: usize },
    Claim { now: i64, channel: Channel, limit: usize, expired: bool, owner: bool },
    Begin { claim: usize, at: i64 },
    Take { claim: usize, at: i64 },
    Doubt { claim: usize },
    GoesOver { claim: usize },
    Settle { claim: usize, at: i64, end: Settlement },
    Recover { owner: bool, at: i64, everything: bool },
    Resolve { notice: usize, at: Option<i64> },
    Act { notices: Vec<usize>, act: Action, at: i64 },
    Resend { notice: usize, of_resent: bool, other: bool, at: i64 },
    TransportAsk { session: i64, number: usize, at: i64 },
    Suppress { text: bool, kind: Suppression, at: i64 },
    Purge { content: i64, history: i64 },
    Lapse { at: i64 },
    Note,
}

#[derive(Debug, Clone)]
enum ChangeKind {
    Add,
    Move(i64),
    End(State, Reason),
}

/// Two notices of each of three sessions, one of them by text.
fn notices() -> Vec<Notice> {
    let of = |session| [addressed(session, Occasion::Invite, 0, mail("ray")), addressed(session, Occasion::Reminder, 5 * session, text(9))];
    (1..=3).flat_map(of).collect()
}

fn change() -> impl Strategy<Value = (usize, ChangeKind)> {
    let end = (
        select(vec![State::Held, State::Cancelled, State::Superseded, State::Lapsed, State::Suppressed]),
        select(vec![Reason::Guard, Reason::Absent]),
    );
    let kind = prop_oneof![
        4 => Just(ChangeKind::Add),
        2 => (0_i64..30).prop_map(ChangeKind::Move),
        1 => end.prop_map(|(state, reason)| ChangeKind::End(state, reason)),
    ];
    (0_usize..6, kind)
}

fn settlement() -> impl Strategy<Value = Settlement> {
    let remember = select(vec![None, Some(Suppression::Bounced), Some(Suppression::OptedOut)]);
    prop_oneof![
        Just(accepted()),
        remember.prop_map(|remember| Settlement::Rejected { reply: "550 no".to_owned(), remember }),
        (0_i64..40).prop_map(retry),
        (0_i64..40).prop_map(|next| returned(Returned::Fenced, next)),
        proptest::option::of(0_i64..40).prop_map(unknown),
        select(vec![State::Held, State::Lapsed]).prop_map(|state| Settlement::Ended { state, reason: Reason::Outdated }),
        // What is none is refused by both.
        Just(Settlement::Ended { state: State::Accepted, reason: Reason::Outdated }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let channel = select(vec![Channel::Email, Channel::Sms]);
    let act = select(vec![Action::Retry, Action::Hold, Action::Release, Action::Cancel, Action::CancelTold, Action::Restore]);
    let claim = 0_usize..4;
    prop_oneof![
        4 => (1_i64..=3, 0_u8..3, prop::collection::vec(change(), 0..4), 0_usize..3)
            .prop_map(|(session, digest, changes, omissions)| Step::Walk { session, digest, changes, omissions }),
        5 => (0_i64..60, channel, 0_usize..4, prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(now, channel, limit, expired, owner)| Step::Claim { now, channel, limit, expired, owner }),
        5 => (claim.clone(), 0_i64..60).prop_map(|(claim, at)| Step::Begin { claim, at }),
        4 => claim.clone().prop_map(|claim| Step::Doubt { claim }),
        4 => (claim.clone(), 0_i64..60).prop_map(|(claim, at)| Step::Take { claim, at }),
        2 => claim.clone().prop_map(|claim| Step::GoesOver { claim }),
        5 => (claim, 0_i64..60, settlement()).prop_map(|(claim, at, end)| Step::Settle { claim, at, end }),
        1 => (any::<bool>(), 0_i64..60, any::<bool>()).prop_map(|(owner, at, everything)| Step::Recover { owner, at, everything }),
        1 => (0_usize..6, proptest::option::of(0_i64..60)).prop_map(|(notice, at)| Step::Resolve { notice, at }),
        2 => (prop::collection::vec(0_usize..6, 1..4), act, 0_i64..60).prop_map(|(notices, act, at)| Step::Act { notices, act, at }),
        // Notices are of use until minute 600.
        3 => (0_usize..6, any::<bool>(), any::<bool>(), prop_oneof![9 => 0_i64..60, 1 => Just(600)])
            .prop_map(|(notice, of_resent, other, at)| Step::Resend { notice, of_resent, other, at }),
        2 => (1_i64..=3, 0_usize..2, 0_i64..60).prop_map(|(session, number, at)| Step::TransportAsk { session, number, at }),
        1 => (any::<bool>(), select(vec![Suppression::Bounced, Suppression::OptedOut]), 0_i64..60)
            .prop_map(|(text, kind, at)| Step::Suppress { text, kind, at }),
        // Sessions start at minute 600, and the ledger tells of minutes 0 to 60.
        1 => (599_i64..602, select(vec![-20, 10, 601])).prop_map(|(content, history)| Step::Purge { content, history }),
        1 => select(vec![59, 100, 600]).prop_map(|at| Step::Lapse { at }),
        1 => Just(Step::Note),
    ]
}

fn owner(second: bool) -> String {
    if second { "two" } else { "one" }.to_owned()
}

fn walk_of(session: i64, digest: u8, changes: &[(usize, ChangeKind)], omissions: usize) -> Walk {
    let all = notices();
    let of_session: Vec<&Notice> = all.iter().filter(|n| n.session == SessionId(session)).collect();
    let changes = changes.iter().map(|(number, kind)| {
        let notice = of_session[number % of_session.len()];
        match *kind {
            ChangeKind::Add => Change::Add(notice.clone()),
            ChangeKind::Move(due) => Change::Move { key: notice.key, due_at: minute(due), useful_until: minute(due + 100) },
            ChangeKind::End(state, reason) => Change::End { key: notice.key, state, reason },
        }
    });
    let omissions = vec![omission(session * 10 + 1, Some(Occasion::Reminder), Some(session), Reason::TooClose); omissions];
    walk(vec![WalkedSession { omissions, ..walked(session, &digest.to_string(), changes.collect()) }])
}

/// All of a session.
fn whole(session: &StoredSession) -> String {
    let StoredSession { id, digest, presence, touch, record, departed, ambiguous } = session;
    let departed: Vec<_> = departed.iter().map(|d| (d.id, d.role, d.presence, &d.record)).collect();
    // (Numbers of rows are each store's own; whether they differ: walks.rs.)
    let again = touch.again;
    format!("{id} {digest} {presence:?} {again} {} {:?} {departed:?} {ambiguous:?}", record.text, record.taken_for)
}

/// All of a claim. (In print it shows no record and no bytes.)
fn shown(claim: &Claim) -> String {
    let Claim { entry, epoch, session, revision, snapshot_at, known, frozen, frozen_at } = claim;
    format!("{entry:?} {epoch} {} {revision} {snapshot_at} {known:?} {frozen:?} {frozen_at:?}\n", whole(session))
}

/// Takes a step, and says what the store answered. Claims are kept for the steps after.
async fn take(store: &Store, step: &Step, claims: &mut Vec<Claim>) -> String {
    let outbox = &store.outbox;
    let keys: Vec<NoticeKey> = notices().iter().map(|n| n.key).collect();
    let picked = |number: &usize, claims: &[Claim]| claims.iter().rev().nth(number % claims.len().max(1)).cloned();
    let lease = Claim::lease;
    match step {
        Step::Walk { session, digest, changes, omissions } => {
            format!("{:?}", uncounted(outbox.apply(walk_of(*session, *digest, changes, *omissions)).await.unwrap()))
        }
        Step::Claim { now, channel, limit, expired, owner: second } => {
            let lease = if *expired { TimeDelta::seconds(-1) } else { TimeDelta::days(1) };
            let request = ClaimRequest { channel: *channel, limit: *limit, owner: owner(*second), lease, ..request(*now) };
            let new = outbox.claim(request).await.unwrap();
            claims.extend(new.iter().cloned());
            new.iter().map(shown).collect()
        }
        Step::Begin { claim, at } => match picked(claim, claims) {
            Some(claim) => format!("{:?}", outbox.begin(vec![begin(&claim, *at)]).await.unwrap()),
            None => String::new(),
        },
        Step::Take { claim, at } => match picked(claim, claims) {
            Some(claim) => outbox.take(begin(&claim, *at), TimeDelta::zero()).await.unwrap().to_string(),
            None => String::new(),
        },
        Step::Doubt { claim } => match picked(claim, claims) {
            Some(claim) => outbox.doubt(lease(&claim), claim.revision, TimeDelta::zero()).await.unwrap().to_string(),
            None => String::new(),
        },
        Step::GoesOver { claim } => match picked(claim, claims) {
            Some(claim) => outbox.reroute(lease(&claim), "smtp:second.example:25").await.unwrap().to_string(),
            None => String::new(),
        },
        Step::Settle { claim, at, end } => match picked(claim, claims) {
            Some(claim) => format!("{:?}", outbox.settle(minute(*at), vec![(lease(&claim), end.clone())]).await.map_err(|e| e.cause)),
            None => String::new(),
        },
        Step::Recover { owner: second, at, everything } => {
            format!("{:?}", outbox.recover(&owner(*second), minute(*at), *everything).await.unwrap())
        }
        Step::Resolve { notice, at } => {
            format!("{:?}", outbox.resolve_doubt(minute(50), vec![(keys[*notice], at.map(minute))]).await.unwrap())
        }
        Step::Act { notices, act, at } => {
            let keys: Vec<NoticeKey> = notices.iter().map(|n| keys[*n]).collect();
            outbox.act(&keys, *act, minute(*at)).await.unwrap().to_string()
        }
        Step::Resend { notice, of_resent, other, at } => {
            // What was handed over again before is a notice as every other one.
            let resent = store.all().await.into_iter().map(|e| e.notice.key).filter(|key| *of_resent && !keys.contains(key));
            let key = resent.min().unwrap_or(keys[*notice]);
            let to = other.then(|| mail("chalk"));
            format!("{:?}", outbox.resend(Some("jane"), &[key], to.as_ref(), minute(*at)).await.unwrap())
        }
        Step::TransportAsk { session, number, at } => {
            let asked = addressed(*session, Occasion::Reminder, 1000 + i64::try_from(*number).unwrap(), mail("ray"));
            // Of a session that is not there, none is asked for.
            if outbox.known("clinic", &[SessionId(*session)]).await.unwrap().is_empty() {
                return String::new();
            }
            let asked = Notice { due_at: minute(*at), ..asked };
            outbox.ask(minute(*at), "clinic", asked, "by jane").await.unwrap().to_string()
        }
        Step::Suppress { text: by_text, kind, at } => {
            let address = if *by_text { text(9) } else { mail("ray") };
            outbox.suppress(minute(*at), &address, *kind, None).await.unwrap().to_string()
        }
        Step::Purge { content, history } => {
            let retention = Retention { content_before: minute(*content), history_before: minute(*history) };
            let mut purged = outbox.purge(minute(60), retention).await.unwrap();
            // What was crossed is told by each store's own clock, so that they do not purge the same rows.
            purged.ledger_rows = 0;
            format!("{purged:?}")
        }
        Step::Lapse { at } => {
            let ended = outbox.lapse(minute(*at)).await.unwrap().len();
            format!("{ended} {:?}", outbox.lapsed(minute(0)).await.unwrap())
        }
        Step::Note => format!("{:?}", outbox.record_event(minute(0), Event::Reveal, "nothing").await.unwrap()),
    }
}

/// All that a caller can see of a store.
async fn seen(store: &Store, pruned: i64) -> Vec<String> {
    let outbox = &store.outbox;
    let mut seen = vec![format!("{:?}", store.all().await), format!("{:?}", outbox.omissions(&Filter::default()).await.unwrap())];
    let sessions = outbox.sessions("clinic", None).await.unwrap();
    seen.extend(sessions.iter().map(whole));
    let mut known: Vec<_> = outbox.known("clinic", &[1, 2, 3].map(SessionId)).await.unwrap().into_iter().collect();
    known.sort_by_key(|(who, _)| *who);
    seen.push(format!("{known:?}"));
    let mut suppressed = outbox.suppressed().await.unwrap();
    suppressed.sort_by(|a, b| a.key.cmp(&b.key));
    seen.push(format!("{suppressed:?}"));
    for notice in notices() {
        seen.push(format!("{:?}", outbox.deliveries(notice.key).await.unwrap()));
    }
    for channel in [Channel::Email, Channel::Sms] {
        seen.push(format!("{:?}", outbox.next_due(channel).await.unwrap()));
    }
    let status = outbox.status().await.unwrap();
    let mut counts: Vec<_> = status.by_state.into_iter().collect();
    counts.sort_unstable();
    seen.push(format!("{counts:?} {:?} {:?} {:?} {}", status.by_reason, status.next_due, status.sources, status.suppressed));
    // These two have the store's own time.
    let by_the_caller_s_clock = |row: &LedgerRow| !matches!(row.event.as_str(), "doubted" | "rerouted");
    for mut row in store.ledger().await.into_iter().filter(by_the_caller_s_clock) {
        if row.event.as_str().ends_with("suppressed") {
            row.detail = None; // it names the address by the store's own key
        }
        // A prune goes up to the first row that stays, in each chain: how far it took what may go is each store's own.
        if row.at < minute(pruned) || matches!(row.event.as_str(), "purged" | "checkpoint") {
            continue;
        }
        row.chain = None; // it holds them too
        (row.seq, row.chain_id, row.place) = (0, None, 0); // those of PostgreSQL stand in two chains
        seen.push(format!("{row:?}"));
    }
    seen
}

/// The same steps on both: the same answers, and the same in the end.
async fn tell_the_same(memory: Store, other: Store, steps: &[Step]) {
    let (mut of_memory, mut of_other) = (Vec::new(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        let answers = (take(&memory, step, &mut of_memory).await, take(&other, step, &mut of_other).await);
        assert_eq!(answers.0, answers.1, "step {number}: {step:?}");
    }
    let pruned = steps.iter().filter_map(|step| if let Step::Purge { history, .. } = step { Some(*history) } else { None }).max();
    let pruned = pruned.unwrap_or(i64::from(i32::MIN));
    let (of_memory, of_other) = (seen(&memory, pruned).await, seen(&other, pruned).await);
    for (memory, other) in of_memory.iter().zip(&of_other) {
        assert_eq!(memory, other);
    }
    assert_eq!(of_memory.len(), of_other.len());
}

fn on_one_thread(run: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_tell_the_same(steps in prop::collection::vec(step(), 1..60)) {
        on_one_thread(tell_the_same(super::memory(), super::sqlite(), &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn postgres_tells_the_same(steps in prop::collection::vec(step(), 1..60), sealed in any::<bool>()) {
        if let Some(store) = if sealed { super::sealed_postgres() } else { super::on_postgres() } {
            on_one_thread(tell_the_same(super::memory(), store, &steps));
        }
    }
}
