//! What all processes that hand over know of a transport: whose turn is when, until when it pauses, and who asks it after a fault.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use punctual::contact::Channel;
use punctual::outbox::postgres::PostgresOutbox;
use punctual::outbox::{Access, Outbox, TransportAsk, TransportName, TransportState};
use punctual::rate::Turns;

use super::cluster::cluster;
use super::fixture::Store;

fn relay() -> TransportName {
    TransportName { channel: Channel::Email, name: "relay".to_owned() }
}

fn pause(faults: u32, seconds: i64, said: Option<i64>) -> TransportAsk {
    TransportAsk::Pause {
        faults,
        lasts: TimeDelta::seconds(seconds),
        said: said.map(TimeDelta::seconds),
        why: format!("421 busy {faults}"),
    }
}

fn probe(owner: &str) -> TransportAsk {
    TransportAsk::Probe { owner: owner.to_owned(), lasts: TimeDelta::minutes(1) }
}

async fn turns(outbox: &dyn Outbox, count: usize) -> Turns {
    let ask = TransportAsk::Turns { spacing: TimeDelta::milliseconds(600), count };
    outbox.ask_transport(&relay(), ask).await.unwrap().turns.unwrap()
}

async fn won(outbox: &dyn Outbox, ask: TransportAsk) -> bool {
    outbox.ask_transport(&relay(), ask).await.unwrap().won
}

async fn known(outbox: &dyn Outbox) -> TransportState {
    outbox.transports().await.unwrap().into_iter().find(|known| known.name == relay()).unwrap()
}

async fn told(outbox: &dyn Outbox, ask: TransportAsk) -> TransportState {
    let answer = outbox.ask_transport(&relay(), ask).await.unwrap();
    let known = known(outbox).await;
    assert_eq!(known.version, answer.version);
    known
}

/// About as long: a store's clock goes on.
fn about(lasts: Option<TimeDelta>, seconds: i64) -> bool {
    lasts.is_some_and(|lasts| lasts <= TimeDelta::seconds(seconds) && lasts > TimeDelta::seconds(seconds - 20))
}

/// Each turn that was given, by the store's clock.
fn each(given: Turns) -> impl Iterator<Item = DateTime<Utc>> {
    (0..given.count).map(move |n| given.first + TimeDelta::milliseconds(600) * i32::try_from(n).unwrap())
}

pub(crate) async fn turns_are_given_once(store: Store) {
    assert_eq!(store.outbox.transports().await.unwrap(), []);
    let mut all: Vec<DateTime<Utc>> = Vec::new();
    for count in [1, 3, 100] {
        let given = turns(&*store.outbox, count).await;
        assert!(given.count >= 1 && given.count <= count && given.wait <= TimeDelta::seconds(5), "{given:?}");
        all.extend(each(given));
    }
    assert!(all.len() >= 9, "those of five seconds: {all:?}");
    assert!(all.windows(2).all(|two| two[1] - two[0] >= TimeDelta::milliseconds(600)), "{all:?}");
    let none = turns(&*store.outbox, 1).await;
    assert!(none.count == 0 && none.wait > TimeDelta::zero() || none.first > all[all.len() - 1], "{none:?}");
    assert!(known(&*store.outbox).await.next_turn_in > TimeDelta::seconds(3));
    // Another transport of that name has its own.
    let texts = TransportName { channel: Channel::Sms, ..relay() };
    let ask = TransportAsk::Turns { spacing: TimeDelta::milliseconds(600), count: 1 };
    assert_eq!(store.outbox.ask_transport(&texts, ask).await.unwrap().turns.unwrap().wait, TimeDelta::zero());
    assert_eq!(store.outbox.transports().await.unwrap().len(), 2);
}

pub(crate) async fn a_pause_is_known_until_it_is_over(store: Store) {
    let outbox = &*store.outbox;
    let paused = told(outbox, pause(1, 300, Some(120))).await;
    assert!(about(paused.pauses_for, 300) && about(paused.said_for, 120) && paused.faults == 1 && paused.why == "421 busy 1", "{paused:?}");
    let tried = told(outbox, TransportAsk::TryNow).await;
    assert_eq!((tried.pauses_for, tried.said_for, tried.faults), (None, None, 1), "it is still at fault");
    let again = told(outbox, pause(2, 60, None)).await;
    assert!(about(again.pauses_for, 60) && again.said_for.is_none() && again.faults == 2, "{again:?}");
    let well = told(outbox, TransportAsk::Recovery).await;
    assert_eq!((well.pauses_for, well.faults, well.why.as_str()), (None, 0, ""));
    assert!(paused.version < tried.version && tried.version < again.version && again.version < well.version);
    assert_eq!(told(outbox, TransportAsk::Recovery).await.version, well.version, "it is well already");
    assert_eq!(told(outbox, TransportAsk::TryNow).await.version, well.version);
    let taken = turns(outbox, 1).await;
    told(outbox, pause(1, 60, None)).await;
    told(outbox, TransportAsk::Recovery).await;
    assert!(turns(outbox, 1).await.first > taken.first, "its turns are as they were");
}

pub(crate) async fn of_two_pauses_the_longer_one_counts(store: Store) {
    let outbox = &*store.outbox;
    told(outbox, pause(3, 300, Some(200))).await;
    let both = told(outbox, pause(1, 60, Some(0))).await;
    assert!(about(both.pauses_for, 300) && about(both.said_for, 200) && both.faults == 3, "{both:?}");
    let longest = told(outbox, pause(1, 900, Some(900))).await;
    assert!(about(longest.pauses_for, 900) && about(longest.said_for, 900), "{longest:?}");
}

pub(crate) async fn one_asks_for_all(store: Store) {
    let outbox = &*store.outbox;
    assert!(won(outbox, probe("one")).await && won(outbox, probe("two")).await, "it is well: nobody need be asked");
    told(outbox, pause(1, 60, None)).await;
    told(outbox, TransportAsk::TryNow).await;
    assert!(won(outbox, probe("one")).await);
    assert!(won(outbox, probe("one")).await, "it asks already");
    assert!(!won(outbox, probe("two")).await);
    assert_eq!(known(outbox).await.probed_by.as_deref(), Some("one"));
    outbox.ask_transport(&relay(), TransportAsk::Leave { owner: "two".to_owned() }).await.unwrap();
    assert!(!won(outbox, probe("two")).await, "another one's is not left");
    outbox.ask_transport(&relay(), TransportAsk::Leave { owner: "one".to_owned() }).await.unwrap();
    assert!(won(outbox, probe("two")).await);
    told(outbox, pause(2, 60, None)).await;
    assert!(won(outbox, probe("one")).await, "it has its answer: the next one may ask");
}

/// Three processes on one database.
#[tokio::test(flavor = "multi_thread")]
async fn three_processes_share_the_turns_the_pauses_and_the_probe() {
    let Some(cluster) = cluster() else { return };
    cluster.create("shared_turns");
    let server = cluster.server("shared_turns");
    PostgresOutbox::migrate(&server).unwrap();
    drop(PostgresOutbox::open(&server, "clinic", Access::Daemon, None).unwrap());
    let open = || Arc::new(PostgresOutbox::open(&server, "clinic", Access::Command, None).unwrap());
    let processes = [open(), open(), open()];
    // 100 a minute: each takes what it gets, for as long as it gets something.
    let taking = processes.clone().map(|outbox| {
        tokio::spawn(async move {
            let mut all = Vec::new();
            for count in [1, 2, 3, 4, 5, 6, 7, 8] {
                all.extend(each(turns(&*outbox, count).await));
            }
            all
        })
    });
    let mut all = Vec::new();
    for taken in taking {
        all.extend(taken.await.unwrap());
    }
    all.sort();
    assert!(all.len() >= 9, "{all:?}");
    assert!(all.windows(2).all(|two| two[1] - two[0] >= TimeDelta::milliseconds(600)), "100 in any minute, at most: {all:?}");
    told(&*processes[0], pause(1, 300, Some(300))).await;
    for other in &processes {
        assert!(about(known(&**other).await.pauses_for, 300));
    }
    told(&*processes[1], TransportAsk::TryNow).await;
    let asks =
        processes.clone().map(|outbox| tokio::spawn(async move { won(&*outbox, probe(&format!("{:p}", Arc::as_ptr(&outbox)))).await }));
    let mut winners = 0;
    for asked in asks {
        winners += usize::from(asked.await.unwrap());
    }
    assert_eq!(winners, 1);
    told(&*processes[2], TransportAsk::Recovery).await;
    assert_eq!(known(&*processes[0]).await.faults, 0);
}
