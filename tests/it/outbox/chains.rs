//! Several writers of one practice on PostgreSQL: their hand-overs run side by side, each in a chain of the ledger of its own, and what one of them decided
//! holds for the others. (A command may take steps of attempts as a daemon does; it stands for another node here.)

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use punctual::contact::Address;
use punctual::entry::State;
use punctual::ledger::{Event, LedgerRow};
use punctual::notice::{Notice, Occasion};
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::{Access, Claim, Retention, Settlement, StoreKey};
use punctual::suppression::Suppression;

use super::cluster::{Cluster, cluster};
use super::fixture::{Store, accepted, addressed, begin, lease, mail, minute, walk, walked};
use super::sealed::{key, recompute};

fn database(name: &str) -> Option<(&'static Cluster, Server)> {
    let cluster = cluster()?;
    cluster.create(name);
    PostgresOutbox::migrate(&cluster.server(name)).unwrap();
    Some((cluster, cluster.server(name)))
}

fn opened(server: &Server, access: Access) -> Store {
    Store { outbox: Arc::new(PostgresOutbox::open(server, "clinic", access, None).unwrap()), _folder: None }
}

/// Two writers.
fn both(server: &Server) -> (Store, Store) {
    (opened(server, Access::Daemon), opened(server, Access::Command))
}

fn invite(session: i64, to: Address) -> Notice {
    addressed(session, Occasion::Invite, 0, to)
}

/// One claim of each of these sessions, each to its own address.
async fn claims(store: &Store, sessions: std::ops::Range<i64>) -> Vec<Claim> {
    for session in sessions.clone() {
        store.add(session, &[invite(session, mail(&format!("p{session}")))]).await;
    }
    let claims = store.claim(1).await;
    assert_eq!(claims.len(), sessions.count());
    claims
}

async fn hand_over(store: &Store, claim: &Claim) {
    assert_eq!(store.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [true]);
    assert!(store.outbox.doubt(lease(claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
    assert!(store.settle(2, claim, accepted()).await);
}

fn rejected() -> Settlement {
    Settlement::Rejected { reply: "550 5.1.1 no such user".to_owned(), remember: Some(Suppression::Bounced) }
}

/// What one of them is held up by holds nobody else up.
#[tokio::test]
async fn writers_hand_over_side_by_side() {
    let Some((cluster, server)) = database("side_by_side") else { return };
    let (a, b) = both(&server);
    let claims = claims(&a, 1..4).await;
    assert_eq!(b.outbox.begin(vec![begin(&claims[1], 1)]).await.unwrap(), [true]);
    hand_over(&a, &claims[2]).await;
    let mut somebody = cluster.session("side_by_side");
    somebody.say("SELECT 1 FROM notice WHERE session_id = 2 FOR UPDATE");
    let held_up = b.settle(2, &claims[1], accepted());
    let goes_on = async {
        hand_over(&a, &claims[0]).await;
        somebody.say("COMMIT");
    };
    let (settled, ()) = tokio::join!(held_up, goes_on);
    assert!(settled);
    let rows = a.outbox.ledger(None, 0, 100).await.unwrap();
    let of =
        |chain: i32| rows.iter().filter(|row| row.chain_id == Some(chain)).map(|row| (row.seq, row.event.as_str())).collect::<Vec<_>>();
    assert_eq!(of(2), [(1, "begun"), (2, "settled")]);
    let each = ["begun", "doubted", "settled"];
    assert_eq!(of(3), (1..).zip([each, each].concat()).collect::<Vec<_>>());
    let place = |chain, event: &str| rows.iter().rfind(|row| row.chain_id == Some(chain) && row.event == event).unwrap().place;
    assert!(place(3, "settled") < place(2, "settled"), "in the order of writing");
    let verified = a.outbox.verify_ledger(None).await.unwrap();
    assert_eq!((verified.rows, verified.chains, verified.findings), (rows.len() as u64, 2, Vec::new()));
}

/// Somebody is told nothing any more from the moment on in which anybody wrote down that they want nothing.
#[tokio::test]
async fn a_stop_at_one_wins_over_the_point_of_no_return_at_another() {
    let Some((_, server)) = database("stopped") else { return };
    let (a, b) = both(&server);
    let claims = claims(&a, 1..5).await;
    let is_to = |claim: &Claim, name: &str| claim.entry.notice.address == mail(name);
    for claim in &claims {
        // Half of them are prepared already.
        if claim.entry.notice.session.0 % 2 == 0 {
            assert_eq!(a.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [true]);
        }
    }
    b.outbox.suppress(minute(1), &mail("p1"), Suppression::OptedOut, None).await.unwrap();
    b.outbox.suppress(minute(1), &mail("p2"), Suppression::OptedOut, None).await.unwrap();
    for claim in &claims {
        let passed = if claim.entry.notice.session.0 % 2 == 0 {
            a.outbox.doubt(lease(claim), claim.revision, TimeDelta::minutes(1)).await.unwrap()
        } else {
            a.outbox.take(begin(claim, 1), TimeDelta::minutes(1)).await.unwrap()
        };
        assert_eq!(passed, !is_to(claim, "p1") && !is_to(claim, "p2"), "{:?}", claim.entry.notice.session);
    }
}

/// Likewise of what a walk found elsewhere, and of an address that refused a message of somebody else's.
#[tokio::test]
async fn what_another_writer_learnt_holds() {
    let Some((_, server)) = database("learnt") else { return };
    let (a, b) = both(&server);
    for session in 1..4 {
        let to = if session == 3 { mail("other") } else { mail("same") };
        a.add(session, &[invite(session, to)]).await;
    }
    let claims = a.claim(1).await;
    let of = |session: i64| claims.iter().find(|claim| claim.entry.notice.session.0 == session).unwrap();
    for claim in &claims {
        assert_eq!(a.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [true]);
    }
    assert!(b.outbox.doubt(lease(of(1)), of(1).revision, TimeDelta::minutes(1)).await.unwrap());
    assert!(b.settle(2, of(1), rejected()).await);
    assert!(!a.outbox.doubt(lease(of(2)), of(2).revision, TimeDelta::minutes(1)).await.unwrap(), "the address is blocked");
    b.outbox.apply(walk(vec![walked(3, "another", Vec::new())])).await.unwrap();
    assert!(!a.outbox.doubt(lease(of(3)), of(3).revision, TimeDelta::minutes(1)).await.unwrap(), "the session is another");
}

/// Both learn of the same address, and of the same sessions, at once: each end is written once, and so is what came of it.
#[tokio::test]
async fn ends_at_once_of_one_address_are_all_written() {
    let Some((cluster, server)) = database("at_once") else { return };
    let (a, b) = both(&server);
    for round in 0..12_i64 {
        let sessions: Vec<i64> = (1..5).map(|n| round * 10 + n).collect();
        for session in &sessions {
            a.add(*session, &[invite(*session, mail(&format!("all-of-{round}")))]).await;
        }
        let claims = a.claim(1).await;
        assert_eq!(claims.len(), 4);
        for claim in &claims {
            assert_eq!(a.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [true]);
            assert!(a.outbox.doubt(lease(claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
        }
        // In opposite orders, so that they meet.
        let ends = |of: [usize; 2]| of.map(|n| (lease(&claims[n]), rejected())).to_vec();
        let (one, other) = tokio::join!(a.outbox.settle(minute(2), ends([0, 3])), b.outbox.settle(minute(2), ends([2, 1])));
        assert_eq!((one.unwrap(), other.unwrap()), (vec![true; 2], vec![true; 2]));
    }
    let entries = a.all().await;
    assert_eq!(entries.iter().filter(|entry| entry.state == State::Rejected).count(), 48);
    assert_eq!(a.outbox.suppressed().await.unwrap().len(), 12, "each address once");
    assert_eq!(cluster.sql("at_once", "SELECT count(*) FROM delivery WHERE outcome IS NULL"), "0");
    let rows = a.outbox.ledger(None, 0, 10_000).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.event == "settled").count(), 48);
    assert_eq!(rows.iter().filter(|row| row.event == "suppressed").count(), 12);
    assert_eq!(a.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// Whoever reads on from a row misses none, however late it was committed.
#[tokio::test]
async fn a_row_that_is_committed_late_is_read_all_the_same() {
    let Some((cluster, server)) = database("late") else { return };
    let (a, b) = both(&server);
    let claims = claims(&a, 1..3).await;
    for (store, claim) in [(&a, &claims[0]), (&b, &claims[1])] {
        assert_eq!(store.outbox.begin(vec![begin(claim, 1)]).await.unwrap(), [true]);
    }
    let before = a.outbox.ledger_end().await.unwrap();
    // A writer stands between the drawing of its places and its commit.
    let mut late = cluster.session("late");
    let row = "INSERT INTO ledger (practice, chain, seq, at, event, link) VALUES (1, 9, 1, 0, 'late', sha256(''))";
    late.say(&format!("SELECT pg_advisory_xact_lock_shared({}, 1); {row}", 0x5075_6e02));
    assert!(b.settle(2, &claims[1], accepted()).await, "another writer goes on");
    let read = async { a.outbox.ledger(None, before, 100).await.unwrap() };
    let end = async { late.say("COMMIT") };
    let (rows, ()) = tokio::join!(read, end);
    let events: Vec<&str> = rows.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(events, ["late", "settled"]);
    let pages = async |size| {
        let (mut all, mut after) = (Vec::new(), 0);
        while let Some(last) = {
            let page = a.outbox.ledger(None, after, size).await.unwrap();
            all.extend(page.iter().map(|row| row.place));
            page.into_iter().next_back()
        } {
            after = last.place;
        }
        all
    };
    assert_eq!(pages(1).await, pages(100).await);
}

/// Whoever was taken for gone takes part again, with what nobody took from it.
#[tokio::test]
async fn a_node_that_was_taken_for_gone_goes_on_in_its_chain() {
    let Some((cluster, server)) = database("apart") else { return };
    let a = opened(&server, Access::Daemon);
    let claims = claims(&a, 1..3).await;
    hand_over(&a, &claims[0]).await;
    cluster.sql("apart", "DELETE FROM node");
    hand_over(&a, &claims[1]).await;
    assert_eq!(cluster.sql("apart", "SELECT count(*) FROM node"), "1");
    let rows = a.outbox.ledger(None, 0, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.chain_id == Some(2)).count(), 6);
}

/// A daemon's mark seals what moved; so does the end of a writer. Nothing is written where nothing moved, and no chain is opened for a command without a step.
#[tokio::test]
async fn chains_are_opened_late_and_sealed_soon() {
    let Some((cluster, server)) = database("sealing") else { return };
    let (a, b) = both(&server);
    b.outbox.record_event(minute(0), Event::Reveal, "session 1").await.unwrap();
    let count = |event: Event| cluster.sql("sealing", &format!("SELECT count(*) FROM ledger WHERE event = '{event}'"));
    assert_eq!((count(Event::Chain), count(Event::Seal)), ("0".to_owned(), "0".to_owned()));
    let claims = claims(&a, 1..3).await;
    hand_over(&a, &claims[0]).await;
    hand_over(&b, &claims[1]).await;
    let before = a.outbox.mark().await.unwrap().unwrap();
    assert_eq!((count(Event::Chain), count(Event::Seal)), ("2".to_owned(), "0".to_owned()), "some seconds later");
    cluster.sql("sealing", "UPDATE chain SET unsealed_since = unsealed_since - interval '5 s'");
    let sealed = a.outbox.mark().await.unwrap().unwrap();
    assert_eq!(sealed.seq, before.seq + 1);
    for _ in 0..3 {
        assert_eq!(a.outbox.mark().await.unwrap(), Some(sealed), "nothing moved");
    }
    drop((a, b));
    assert_eq!(count(Event::Seal), "1", "likewise at an end");
    let (a, b) = both(&server);
    let claims = self::claims(&a, 3..4).await;
    hand_over(&b, &claims[0]).await;
    drop(b);
    assert_eq!(count(Event::Seal), "2");
    let rows = a.outbox.ledger(None, 0, 100).await.unwrap();
    let heads = rows.iter().rfind(|row| row.event == Event::Seal).unwrap().detail.clone().unwrap();
    assert!(heads.starts_with("4 3:") && !heads.contains(", "), "{heads}");
    // An anchor of the first chain shows what became of any.
    let anchor = a.outbox.mark().await.unwrap();
    assert_eq!(a.outbox.verify_ledger(anchor).await.unwrap().findings, []);
}

/// A prune takes the beginning of each chain, and what is left is still held together.
#[tokio::test]
async fn each_chain_is_pruned_from_its_beginning() {
    let Some((_, server)) = database("pruned_chains") else { return };
    for round in 0..3 {
        let (a, b) = both(&server);
        let claims = claims(&a, round * 10 + 1..round * 10 + 3).await;
        hand_over(&a, &claims[0]).await;
        hand_over(&b, &claims[1]).await;
    }
    let store = opened(&server, Access::Daemon);
    let rows = async || store.outbox.ledger(None, 0, 1000).await.unwrap();
    assert_eq!(rows().await.len(), 3 * (2 * 2 + 2 * 4 + 1), "each seal was of both");
    // The rows of the store's own clock are later than all this.
    let later = rows().await.iter().map(|row| row.at).max().unwrap() + TimeDelta::days(1);
    for time in [minute(100), later, later + TimeDelta::days(9)] {
        let retention = Retention { content_before: minute(0), history_before: time };
        let before = rows().await.len() as u64;
        let purged = store.outbox.purge(time, retention).await.unwrap();
        assert!(purged.ledger_rows > 0 && purged.ledger_rows < before + 20, "{purged:?}");
        let verified = store.outbox.verify_ledger(None).await.unwrap();
        assert_eq!((verified.chains, verified.findings), (6, Vec::new()), "{time}");
    }
    let chains: BTreeSet<_> = rows().await.iter().map(|row| row.chain_id).collect();
    assert_eq!(chains.len(), 7, "each keeps where it ended");
}

/// Sealed or not, and after another key: what is printed for auditors recomputes an export, and no other.
#[tokio::test]
async fn the_page_recomputes_several_chains() {
    let Some((_, server)) = database("recomputed") else { return };
    for (practice, old) in [("plain", None), ("sealed", Some(key(7)))] {
        let open = |access, key: Option<&StoreKey>| Store {
            outbox: Arc::new(PostgresOutbox::open(&server, practice, access, key).unwrap()),
            _folder: None,
        };
        let mut keys: Vec<StoreKey> = old.into_iter().collect();
        for round in 0..2 {
            let (a, b) = (open(Access::Daemon, keys.last()), open(Access::Command, keys.last()));
            let claims = claims(&a, round * 10 + 1..round * 10 + 3).await;
            hand_over(&a, &claims[0]).await;
            hand_over(&b, &claims[1]).await;
            drop((a, b));
            if let Some(key) = keys.last().filter(|_| round == 0) {
                let new = key.successor().unwrap();
                PostgresOutbox::rekey((&server, practice), (key, &new), minute(9), |_| {}).unwrap();
                keys.push(new);
            }
        }
        let store = open(Access::Look, keys.last());
        assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
        let rows = store.outbox.ledger(None, 0, 1000).await.unwrap();
        let texts: Vec<String> = keys.iter().map(|key| key.text().to_string()).collect();
        assert!(recompute(&rows, &texts), "{practice}");
        for forged in [3, rows.len() / 2] {
            let mut rows = rows.clone();
            rows[forged].detail = Some("forged".to_owned());
            assert!(!recompute(&rows, &texts), "{practice}");
        }
        let cut: Vec<LedgerRow> = rows.iter().filter(|row| row.chain_id != Some(3) || row.event != "settled").cloned().collect();
        assert!(!recompute(&cut, &texts), "{practice}: the end of a chain");
    }
}
