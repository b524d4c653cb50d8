//! Turns and pauses outlive the process, and hold for all that hand over beside it.

use punctual::outbox::postgres::PostgresOutbox;
use punctual::outbox::sqlite::SqliteOutbox;
use punctual::outbox::{Access, Outbox};

use super::*;
use crate::outbox::cluster::cluster;

fn store(folder: &tempfile::TempDir) -> Arc<dyn Outbox> {
    let url = format!("sqlite://{}", folder.path().join("punctual.db").display());
    Arc::new(SqliteOutbox::open(&url, Access::Daemon).unwrap())
}

/// As a process begins with it.
async fn begun(store: &Arc<dyn Outbox>, relay: &Arc<ScriptedTransport>, rate: Option<&str>, owner: &str) -> Arc<Lane> {
    let lane = rated(&[(relay, rate)]).kept_in(Arc::clone(store), owner);
    lane.load_transports(punctual::clock::WallClock.now()).await.unwrap();
    Arc::new(lane)
}

/// One handed over over that lane; whether it was accepted.
async fn one_goes(lane: &Arc<Lane>) -> bool {
    let practice = Practice::new(None);
    practice.walk(&due(1, "E", practice.clock.now())).await;
    practice.once(lane).await.accepted == 1
}

/// One in three seconds: the last one went over just before the restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_no_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (store, relay) = (store(&folder), ScriptedTransport::new("first", 4, Answer::Accept));
    assert!(one_goes(&begun(&store, &relay, Some("20/min"), "before").await).await);
    let lane = begun(&store, &relay, Some("20/min"), "after").await;
    let practice = Practice::new(None);
    practice.walk(&due(5, "E", practice.clock.now())).await;
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(Arc::clone(&practice.dispatcher).run(lane, Span::Until(stopped), Arc::new(Notify::new())));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(relay.asked().len(), 1);
    stop.send(true).unwrap();
    run.await.unwrap().unwrap();
}

/// Real time: 30 messages at 20 a second, in three processes one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (store, relay) = (store(&folder), ScriptedTransport::new("first", 8, Answer::Accept));
    let began = Instant::now();
    for owner in ["one", "two", "three"] {
        let practice = Practice::new(None);
        practice.walk(&due(10, "E", practice.clock.now())).await;
        let lane = begun(&store, &relay, Some("20/s"), owner).await;
        assert_eq!(practice.once(&lane).await.accepted, 10);
    }
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
    let times: Vec<Instant> = relay.asked().iter().map(|asked| asked.at).collect();
    for (n, first) in times.iter().enumerate() {
        let within = times[n..].iter().take_while(|t| **t - *first < Duration::from_millis(900)).count();
        assert!(within <= 20, "{within} in less than a second");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_keeps_the_pause_that_a_provider_asked_for_and_no_other() {
    for (seconds, is_kept) in [(Some(600), true), (None, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (store, relay) = (store(&folder), ScriptedTransport::new("first", 4, Answer::Fault(seconds)));
        assert!(!one_goes(&begun(&store, &relay, None, "before").await).await);
        let lane = begun(&store, &relay, None, "after").await;
        let now = punctual::clock::WallClock.now();
        assert_eq!(lane.is_closed(now), is_kept, "{seconds:?}");
        let until = lane.pauses(now).next().unwrap().1;
        assert_eq!(until.is_some_and(|until| until > now + TimeDelta::minutes(9)), is_kept, "{until:?}");
        relay.answers(Answer::Accept);
        assert_eq!(one_goes(&lane).await, !is_kept, "{seconds:?}");
        // Somebody has it tried now.
        lane.try_now().await;
        assert!(one_goes(&begun(&store, &relay, None, "last").await).await, "{seconds:?}");
        assert!(store.transports().await.unwrap().iter().all(|known| known.faults == 0), "{seconds:?}: it is well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_for_all_and_one_asks_for_all() {
    let Some(cluster) = cluster() else { return };
    cluster.create("shared_pauses");
    let server = cluster.server("shared_pauses");
    PostgresOutbox::migrate(&server).unwrap();
    let open = |name: &str| -> Arc<dyn Outbox> {
        let server = server.clone().as_node(Some(name));
        Arc::new(PostgresOutbox::open(&server, "clinic", Access::Daemon, None).unwrap())
    };
    let relays = [ScriptedTransport::new("first", 4, Answer::Fault(Some(600))), ScriptedTransport::new("first", 4, Answer::Accept)];
    let lanes = [begun(&open("a"), &relays[0], None, "one").await, begun(&open("b"), &relays[1], None, "two").await];
    assert!(!one_goes(&lanes[0]).await);
    assert!(!one_goes(&lanes[1]).await, "it has heard of it");
    assert_eq!((relays[0].asked().len(), relays[1].asked().len()), (1, 0));
    let now = punctual::clock::WallClock.now();
    assert!(lanes[1].pauses(now).all(|(_, until)| until.is_some_and(|until| until > now + TimeDelta::minutes(9))), "it is shown");
    // Somebody has it tried now: the first one asks, and has no answer yet.
    lanes[0].try_now().await;
    relays[0].answers(Answer::Hang);
    let practice = Practice::new(None);
    practice.walk(&due(1, "E", practice.clock.now())).await;
    let span = Span::Once(practice.clock.now());
    let asking = tokio::spawn(Arc::clone(&practice.dispatcher).run(Arc::clone(&lanes[0]), span, Arc::new(Notify::new())));
    while relays[0].asked().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!one_goes(&lanes[1]).await, "another one asks");
    assert_eq!(relays[1].asked().len(), 0);
    asking.abort();
    // A third one finds that it is well, and all of them know.
    open("c").ask_transport(&of("first"), punctual::outbox::TransportAsk::Recovery).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(one_goes(&lanes[1]).await, "it is well");
}

fn of(name: &str) -> punctual::outbox::TransportName {
    punctual::outbox::TransportName { channel: Channel::Email, name: name.to_owned() }
}

/// Without a rate and without a fault nothing is written of a transport.
#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_is_well_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, relay) = (store(&folder), ScriptedTransport::new("first", 4, Answer::Accept));
    assert!(one_goes(&begun(&store, &relay, None, "one").await).await);
    assert_eq!(store.transports().await.unwrap(), []);
}
