//! The last word that a person has is true, or staff see that it is not.

use punctual::desk::{Desk, unreachable};
use punctual::receipt::{DeliveryStatus, Receipt, ReceiptTarget};

use super::*;

/// How a message ends that reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fails {
    Refused,
    ComesBack,
    TakenOut,
}

const FAILS: [Fails; 3] = [Fails::Refused, Fails::ComesBack, Fails::TakenOut];

fn listed(change: impl FnOnce(&mut Value)) -> Value {
    let mut sessions = one(START);
    change(&mut sessions[0]);
    sessions
}

fn with_code(code: u32) -> Value {
    listed(|s| s["Participants"][0]["ConnectCode"] = json!(code))
}

fn moved(start: &str) -> Value {
    listed(|s| s["ScheduleTs"] = json!(start))
}

fn off() -> Value {
    listed(|s| s["ScheduleType"] = json!("Cancelled"))
}

/// Minutes after the time at which the lives of these tests begin.
fn minutes(n: i64) -> String {
    (at("2026-11-24T09:00:00Z") + chrono::TimeDelta::minutes(n)).to_rfc3339()
}

async fn invited() -> Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    goes(&world, &one(START), 0).await;
    assert_eq!(world.sent(), 1);
    world
}

/// The list says so at that minute; it settles, and what is due goes.
async fn goes(world: &World, sessions: &Value, minute: i64) {
    for n in [minute, minute + 3] {
        world.set(&minutes(n));
        world.walk(sessions).await;
        world.once().await;
    }
}

/// Likewise, and the message reaches nobody.
async fn fails(world: &World, sessions: &Value, minute: i64, how: Fails) {
    world.set(&minutes(minute));
    world.walk(sessions).await;
    let correction = |e: &&Entry| !matches!(e.notice.occasion, Occasion::Invite | Occasion::Reminder) && e.state == State::Waiting;
    let key = world.entries().await.iter().find(correction).expect("something is to be told").notice.key;
    match how {
        Fails::Refused => world.script(&[Step::Answer(Outcome::Rejected { reply: "554 5.7.1 spam".to_owned(), remember: None })]),
        Fails::ComesBack => {}
        Fails::TakenOut => assert_eq!(world.outbox.act(&[key], Action::Cancel, world.clock_now()).await.unwrap(), 1),
    }
    world.set(&minutes(minute + 3));
    world.once().await;
    if how == Fails::ComesBack {
        let receipt = Receipt {
            about: ReceiptTarget::Notice(key),
            status: DeliveryStatus::Undelivered,
            detail: None,
            remember: None,
            recipient: None,
        };
        world.outbox.receive(world.clock_now(), receipt).await.unwrap();
    }
}

async fn missed(world: &World) -> Vec<unreachable::Row> {
    let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
    unreachable::unreachable(&desk, world.clock_now()).await.unwrap()
}

/// The last message, its transfer encoding undone as far as these tests need it.
fn last(world: &World) -> String {
    world.last_mail().replace("=\r\n", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reached_nobody_decides_nothing_over_a_later_change() {
    for how in FAILS {
        // A code, and another one.
        let world = invited().await;
        fails(&world, &with_code(111_222_333), 10, how).await;
        let before = world.sent();
        goes(&world, &with_code(111_222_333), 20).await;
        assert_eq!(world.sent(), before, "{how:?}: what failed is not tried again by itself");
        goes(&world, &with_code(444_555_666), 30).await;
        assert_eq!(world.sent(), before + 1, "{how:?}: {:?}", world.states().await);
        assert!(last(&world).contains("444555666"), "{how:?}");
        goes(&world, &with_code(444_555_666), 40).await;
        goes(&world, &one(START), 50).await;
        assert_eq!(world.sent(), before + 2, "{how:?}: each once");
        // The code that failed, once more.
        goes(&world, &with_code(111_222_333), 60).await;
        assert!(last(&world).contains("111222333"), "{how:?}: {:?}", world.states().await);
        // Cancelled, live again, and cancelled after all.
        let world = invited().await;
        fails(&world, &off(), 10, how).await;
        goes(&world, &one(START), 30).await;
        let before = world.sent();
        goes(&world, &off(), 60).await;
        assert_eq!(world.sent(), before + 1, "{how:?}: {:?}", world.states().await);
        assert!(last(&world).contains("METHOD:CANCEL"), "{how:?}");
        // Moved, back again, and moved after all.
        let world = invited().await;
        fails(&world, &moved("2026-12-03T20:00:00"), 10, how).await;
        goes(&world, &one(START), 30).await;
        let before = world.sent();
        goes(&world, &moved("2026-12-03T20:00:00"), 60).await;
        assert_eq!(world.sent(), before + 1, "{how:?}: {:?}", world.states().await);
        assert!(last(&world).contains("December 3"), "{how:?}");
        // Moved, and another code for the hour that they were not told.
        let world = invited().await;
        fails(&world, &moved("2026-12-03T20:00:00"), 10, how).await;
        let before = world.sent();
        let both = listed(|s| (s["ScheduleTs"], s["Participants"][0]["ConnectCode"]) = (json!("2026-12-03T20:00:00"), json!(444_555_666)));
        goes(&world, &both, 30).await;
        assert_eq!(world.sent(), before + 1, "{how:?}: {:?}", world.states().await);
        assert!(last(&world).contains("December 3") && last(&world).contains("444555666"), "{how:?}");
    }
}

/// What staff took out was false; what is true later goes, and whatever failed once is not tried twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_was_refused_goes_with_another_code() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set(&minutes(3));
    world.script(&[Step::Answer(Outcome::Rejected { reply: "554 5.7.1 spam".to_owned(), remember: None })]);
    world.once().await;
    goes(&world, &one(START), 10).await;
    assert_eq!(world.sent(), 0);
    goes(&world, &with_code(444_555_666), 20).await;
    goes(&world, &with_code(444_555_666), 30).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    assert!(last(&world).contains("444555666"));
}

/// Whatever it is that they know wrongly, with no reminder to come.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_knows_a_dead_code_is_shown() {
    let of_person = |field: &'static str, to: Value| listed(|s| s["Participants"][0][field] = to);
    let cases = [
        ("a code", of_person("ConnectCode", json!(111_222_333))),
        ("a passkey", of_person("Passkey", json!("swordfish"))),
        ("a zone", of_person("ParticipantTimeZoneWindowsId", json!("Pacific Standard Time"))),
        ("an address", of_person("ParticipantEmailAddress", json!("right@example.com"))),
    ];
    for (what, changed) in cases {
        for goes_through in [false, true] {
            let world = invited().await;
            for now in ["2026-11-25T15:00:00Z", "2026-11-26T14:00:00Z"] {
                world.set(now);
                world.walk(&one(START)).await;
                world.once().await;
            }
            assert_eq!(world.sent(), 3, "{what}: both reminders went");
            world.set("2026-11-26T14:10:00Z");
            world.walk(&changed).await;
            assert!(missed(&world).await.is_empty(), "{what}: it is on its way");
            world.set("2026-11-26T14:13:00Z");
            if !goes_through {
                world.script(&[Step::Answer(Outcome::Rejected { reply: "552 5.2.2 mailbox full".to_owned(), remember: None })]);
            }
            world.once().await;
            assert_eq!(world.sent(), 3 + usize::from(goes_through), "{what}: {:?}", world.states().await);
            for now in ["2026-11-26T14:20:00Z", "2026-11-26T15:10:00Z"] {
                world.set(now);
                world.walk(&changed).await;
                let rows = missed(&world).await;
                let reasons: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
                assert_eq!(reasons, if goes_through { vec![] } else { vec!["rejected"] }, "{what} at {now}");
            }
        }
    }
    // A reminder is to come, and has the new code.
    let world = invited().await;
    fails(&world, &with_code(111_222_333), 10, Fails::Refused).await;
    assert!(missed(&world).await.is_empty());
    // Whoever declined needs no code.
    let world = invited().await;
    goes(&world, &listed(|s| s["Participants"][0]["RSVP"] = json!("Declined")), 10).await;
    let declined =
        listed(|s| (s["Participants"][0]["RSVP"], s["Participants"][0]["ConnectCode"]) = (json!("Declined"), json!(111_222_333)));
    goes(&world, &declined, 20).await;
    assert_eq!((world.sent(), missed(&world).await.len()), (1, 0), "{:?}", world.states().await);
}
