//! What staff hand over again says what holds, or they hear at once that it does not.

use punctual::contact::Address;
use punctual::desk::resend::{ResendRequest, ResendResult, resend};
use punctual::known::resend::Resent;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_no_more_is_refused_at_once() {
    let code = |code: u32| changed(|s| s["Participants"][0]["ConnectCode"] = json!(code));
    let cases: [(&str, Value, Option<Reason>); 5] = [
        ("as it was", one(START), None),
        ("another code", code(444_555_666), Some(Reason::Outdated)),
        ("another hour", changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00")), Some(Reason::Outdated)),
        ("cancelled", changed(|s| s["ScheduleType"] = json!("Cancelled")), Some(Reason::Cancelled)),
        ("no code", changed(|s| s["Participants"][0]["ConnectCode"] = Value::Null), Some(Reason::NoConnectCode)),
    ];
    for (what, then, reason) in cases {
        let world = invited().await;
        let invite = world.entries().await.into_iter().find(|e| e.notice.occasion == Occasion::Invite).unwrap().notice.key;
        for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:03:00Z"] {
            world.set(now);
            world.walk(&then).await;
            world.once().await;
        }
        let (before, rows) = (world.sent(), world.entries().await.len());
        let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
        let wish = ResendRequest { keys: vec![invite], ..ResendRequest::default() };
        let answers = resend(&desk, &wish, world.clock_now()).await.unwrap();
        let answer = answers[0].1;
        match reason {
            Some(reason) => {
                assert_eq!(answer, ResendResult::Against(reason), "{what}");
                assert!(answer.refusal().is_some() && answer.in_words().is_some(), "{what}");
                assert_eq!(world.entries().await.len(), rows, "{what}: nothing is added");
            }
            None => assert!(matches!(answer, ResendResult::Store(Resent::As(_))), "{what}: {answer:?}"),
        }
        world.once().await;
        assert_eq!(world.sent() - before, usize::from(reason.is_none()), "{what}");
    }
}

/// "I have lost it": also when a reminder went since.
#[tokio::test(flavor = "multi_thread")]
async fn an_invite_goes_again_after_a_reminder() {
    let world = invited().await;
    let invite = world.entries().await.into_iter().find(|e| e.notice.occasion == Occasion::Invite).unwrap().notice.key;
    world.set("2026-11-25T15:00:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    assert_eq!(world.sent(), 2, "invite and reminder");
    world.set("2026-11-25T16:00:00Z");
    let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
    let answers = resend(&desk, &ResendRequest { keys: vec![invite], ..ResendRequest::default() }, world.clock_now()).await.unwrap();
    assert!(matches!(answers[0].1, ResendResult::Store(Resent::As(_))), "{:?}", answers[0].1);
    world.once().await;
    assert_eq!(world.sent(), 3, "{:?}", world.states().await);
}

/// The copy at the other address says what holds by then, and so it is the last thing that was told. The first reader does not know it.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_it_goes_elsewhere_is_told_where_it_was_told_first() {
    let world = invited().await;
    let invite = world.entries().await.into_iter().find(|e| e.notice.occasion == Occasion::Invite).unwrap().notice.key;
    world.set("2026-11-24T10:00:00Z");
    let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
    let to = Address::restore(Channel::Email, "mother@example.org");
    let wish = ResendRequest { keys: vec![invite], to: Some(to), ..ResendRequest::default() };
    let answer = resend(&desk, &wish, world.clock_now()).await.unwrap()[0].1;
    assert!(matches!(answer, ResendResult::Store(Resent::As(_))), "{answer:?}");
    let then = changed(|s| s["Participants"][0]["ConnectCode"] = json!(444_555_666));
    for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:03:00Z", "2026-11-24T10:06:00Z"] {
        world.set(now);
        world.walk(&then).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 3, "{:?}", world.states().await);
    assert!(world.last_mail().contains("p11@example.com") && world.last_mail().contains("444555666"), "{}", world.last_mail());
    for (now, sent) in [("2026-11-25T15:00:00Z", 4), ("2026-11-26T14:00:00Z", 5)] {
        world.set(now);
        world.walk(&then).await;
        world.once().await;
        assert_eq!(world.sent(), sent, "they are reminded: {:?}", world.states().await);
    }
}

/// Who has a correction already is not woken for a second copy of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_arrived_does_not_go_again_by_night() {
    let quiet =
        CONFIGURATION.replace("[quiet_hours]\nchannels = []", "[quiet_hours]\nfrom = \"21:00\"\nto = \"08:00\"\nchannels = [\"sms\"]");
    for (moved, what) in [("2026-11-28T20:00:00", "days later"), ("2026-11-26T12:00:00", "to the end of that night")] {
        goes_by_night(&quiet, moved, what).await;
    }
}

async fn goes_by_night(quiet: &str, moved: &str, what: &str) {
    let world = World::with("2026-11-25T21:00:00Z", quiet);
    let starts = |start: &str| by_text(|s| s["ScheduleTs"] = json!(start));
    // For one o'clock at night in New York.
    world.walk(&starts("2026-11-26T06:00:00")).await;
    world.set("2026-11-25T21:03:00Z");
    world.once().await;
    // At nine in the evening it moves: they would sit and wait before the morning comes.
    for now in ["2026-11-26T02:05:00Z", "2026-11-26T02:08:00Z"] {
        world.set(now);
        world.walk(&starts(moved)).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 2, "{what}: {:?}", world.states().await);
    let told = world.entries().await.into_iter().find(|e| e.notice.occasion == Occasion::Rescheduled).unwrap().notice.key;
    let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
    let answer = resend(&desk, &ResendRequest { keys: vec![told], ..ResendRequest::default() }, world.clock_now()).await.unwrap()[0].1;
    assert_eq!(answer, ResendResult::Against(Reason::QuietHours), "{what}");
    assert!(answer.in_words().is_some());
    world.once().await;
    assert_eq!(world.sent(), 2, "{what}: {:?}", world.states().await);
}
