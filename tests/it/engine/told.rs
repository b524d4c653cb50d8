//! What was told last decides what is told next; and what was not told in time is told to staff.

use chrono::TimeDelta;
use punctual::desk::{Desk, status, unreachable};
use punctual::outbox::{Begin, ClaimRequest, Lease, Settlement};
use punctual::receipt::{DeliveryStatus, Receipt, ReceiptTarget, Received};

use super::*;

mod another_entry;
mod handed_again;
mod last_word;
mod restored;

/// The same for somebody who is told by text.
fn by_text(change: impl FnOnce(&mut Value)) -> Value {
    changed(|s| {
        s["Participants"][0]["ShouldAutoDeliverCode"] = json!("S");
        s["Participants"][0]["ParticipantSmsNumber"] = json!("+1 404 555 0111");
        change(s);
    })
}

/// Another start, ScheduleType or field of the one participant.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut sessions = one(START);
    change(&mut sessions[0]);
    sessions
}

/// The calendar's part of the last message, without folds.
fn last_calendar(world: &World) -> String {
    let mail = world.last_mail();
    let begin = mail.find("BEGIN:VCALENDAR").expect("an e-mail has a calendar");
    mail[begin..].replace("\r\n ", "")
}

async fn invited() -> Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    assert_eq!(world.once().await.accepted, 1);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_and_cancelled_at_once_it_is_cancelled_at_the_told_time() {
    let world = invited().await;
    let both = changed(|s| (s["ScheduleTs"], s["ScheduleType"]) = (json!("2026-12-03T20:00:00"), json!("Cancelled")));
    for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:02:00Z"] {
        world.set(now);
        world.walk(&both).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 2);
    assert!(world.last_mail().contains("November 26") && !world.last_mail().contains("December 3"), "{}", world.last_mail());
    assert!(last_calendar(&world).contains("DTSTART:20261126T150000Z"), "{}", last_calendar(&world));
    assert!(last_calendar(&world).contains("METHOD:CANCEL"));
}

/// What did not arrive, by a receipt or a bounce.
async fn came_back(world: &World, occasion: Occasion) {
    let entry = world.entries().await.into_iter().find(|e| e.notice.occasion == occasion && e.state == State::Accepted).unwrap();
    let about = ReceiptTarget::Notice(entry.notice.key);
    let receipt = Receipt { about, status: DeliveryStatus::Undelivered, detail: None, remember: None, recipient: None };
    assert!(matches!(world.outbox.receive(world.clock.now(), receipt).await.unwrap(), Received::Noted(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_arrive_was_told_to_nobody() {
    let world = invited().await;
    let later = changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00"));
    let mut off = later.clone();
    off[0]["ScheduleType"] = json!("Cancelled");
    for (now, sessions) in [("2026-11-24T10:00:00Z", &later), ("2026-11-24T10:03:00Z", &later)] {
        world.set(now);
        world.walk(sessions).await;
        world.once().await;
    }
    assert!(world.last_mail().contains("December 3"), "{}", world.last_mail());
    came_back(&world, Occasion::Rescheduled).await;
    for now in ["2026-11-24T11:00:00Z", "2026-11-24T11:03:00Z"] {
        world.set(now);
        world.walk(&off).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 3);
    assert!(world.last_mail().contains("November 26") && !world.last_mail().contains("December 3"), "{}", world.last_mail());
    // Of nothing else they know: whoever may have heard of it after all must not sit and wait.
    let world = invited().await;
    came_back(&world, Occasion::Invite).await;
    world.set("2026-11-24T11:00:00Z");
    world.walk(&changed(|s| s["ScheduleType"] = json!("Cancelled"))).await;
    world.set("2026-11-24T11:03:00Z");
    world.once().await;
    assert!(world.last_mail().contains("Cancelled"), "{}", world.last_mail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_keeps_no_distance_from_what_did_not_arrive() {
    for lost in [false, true] {
        let world = World::new("2026-11-26T13:50:00Z");
        world.walk(&one(START)).await;
        world.set("2026-11-26T13:52:00Z");
        world.once().await;
        assert_eq!(world.sent(), 1);
        if lost {
            came_back(&world, Occasion::Invite).await;
        }
        world.set("2026-11-26T14:00:00Z");
        world.walk(&one(START)).await;
        world.once().await;
        assert_eq!(world.sent(), if lost { 2 } else { 1 }, "{:?}", world.states().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_the_place_of_stopped_messages_is_stopped() {
    for (act, state) in [(Action::Hold, "held"), (Action::Cancel, "cancelled")] {
        let world = invited().await;
        let keys: Vec<NoticeKey> = world.entries().await.iter().filter(|e| e.state == State::Waiting).map(|e| e.notice.key).collect();
        assert_eq!(world.outbox.act(&keys, act, world.clock.now()).await.unwrap(), 2, "{state}");
        let later = changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00"));
        for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:03:00Z"] {
            world.set(now);
            world.walk(&later).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 1, "{state}: {:?}", world.states().await);
        assert!(world.states().await.contains(&"rescheduled held operator".to_owned()), "{state}: {:?}", world.states().await);
        // A corrected address is not what was stopped.
        let other = changed(|s| s["Participants"][0]["ParticipantEmailAddress"] = json!("new@example.com"));
        for now in ["2026-11-24T11:00:00Z", "2026-11-24T11:03:00Z"] {
            world.set(now);
            world.walk(&other).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 2, "{state}: {:?}", world.states().await);
    }
    // One of several: the others go on, and so does what takes their place.
    let world = invited().await;
    let one: Vec<NoticeKey> =
        world.entries().await.iter().filter(|e| e.notice.rule.as_deref() == Some("1h")).map(|e| e.notice.key).collect();
    world.outbox.act(&one, Action::Cancel, world.clock.now()).await.unwrap();
    let later = changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00"));
    for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:03:00Z"] {
        world.set(now);
        world.walk(&later).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 2, "{:?}", world.states().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_untold_at_the_new_address_is_told_at_the_old_one() {
    let world = invited().await;
    let other = changed(|s| s["Participants"][0]["ParticipantEmailAddress"] = json!("new@example.com"));
    let mut off = other.clone();
    off[0]["ScheduleType"] = json!("Cancelled");
    for (now, sessions) in [("2026-11-24T10:00:00Z", &other), ("2026-11-24T10:01:00Z", &off), ("2026-11-24T10:03:00Z", &off)] {
        world.set(now);
        world.walk(sessions).await;
        world.once().await;
    }
    let told = world.entries().await.into_iter().filter(|e| e.state == State::Accepted);
    let told: Vec<String> = told.map(|e| format!("{} {}", e.notice.occasion, e.notice.address.expose())).collect();
    assert_eq!(told, ["invite p11@example.com", "cancelled p11@example.com"]);
}

/// The invite is claimed and begun by hand: its connection is open, and it has not left. With what fences it.
async fn begun() -> (Arc<World>, Lease, i64) {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    let request =
        ClaimRequest { owner: "test".to_owned(), now: world.clock.now(), channel: Channel::Email, lease: TimeDelta::minutes(30), limit: 1 };
    let claim = world.outbox.claim(request).await.unwrap().remove(0);
    let lease = claim.lease();
    let (facts, transport) = (claim.known.facts.clone(), "scripted".to_owned());
    let begin = Begin { lease, revision: claim.revision, facts, at: world.clock.now(), transport, bytes: b"invite".as_slice().into() };
    assert_eq!(world.outbox.begin(vec![begin]).await.unwrap(), [true]);
    (world, lease, claim.revision)
}

/// It waits for its turn, begun; meanwhile the session is cancelled. Nobody hears of either.
#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_is_called_back_is_not_cancelled() {
    let (world, lease, revision) = begun().await;
    let off = changed(|s| s["ScheduleType"] = json!("Cancelled"));
    for now in ["2026-11-24T09:02:10Z", "2026-11-24T09:04:10Z", "2026-11-24T09:06:10Z"] {
        world.set(now);
        world.walk(&off).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 0, "{:?}", world.states().await);
    assert!(!world.outbox.doubt(lease, revision, TimeDelta::minutes(1)).await.unwrap(), "it cannot leave any more");
}

/// The relay takes its time over the invite, and the session is cancelled meanwhile: the last word is the last that arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_does_not_overtake_what_it_corrects() {
    let (world, lease, revision) = begun().await;
    assert!(world.outbox.doubt(lease, revision, TimeDelta::minutes(1)).await.unwrap());
    let dispatcher = world.dispatcher(&world.policy);
    let off = changed(|s| s["ScheduleType"] = json!("Cancelled"));
    for now in ["2026-11-24T09:02:10Z", "2026-11-24T09:04:20Z", "2026-11-24T09:05:00Z"] {
        world.set(now);
        world.walk(&off).await;
        world.hand_over(&dispatcher).await;
        assert_eq!(world.sent(), 0, "{now}: {:?}", world.states().await);
    }
    let accepted = Settlement::Accepted { reply: "250 ok".to_owned(), reference: None };
    assert_eq!(world.outbox.settle(world.clock.now(), vec![(lease, accepted)]).await.unwrap(), [true]);
    // It settles anew, from what they heard now.
    for now in ["2026-11-24T09:05:05Z", "2026-11-24T09:07:05Z"] {
        world.set(now);
        world.hand_over(&dispatcher).await;
    }
    assert_eq!(world.states().await[..2], ["cancelled accepted", "invite accepted"]);
}

/// The reminder falls too close to the invite; then the invite is refused, or somebody cancels it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_goes_when_the_invite_before_it_does_not() {
    for refused in [true, false] {
        let world = World::new("2026-11-26T13:40:00Z");
        world.walk(&one(START)).await;
        let invite = world.entries().await.remove(0);
        assert_eq!(world.states().await, ["invite waiting"]);
        if refused {
            world.set("2026-11-26T13:42:00Z");
            world.script(&[Step::Answer(Outcome::Rejected { reply: "554 5.6.0 content".to_owned(), remember: None })]);
            world.once().await;
        } else {
            assert_eq!(world.outbox.act(&[invite.notice.key], Action::Cancel, world.clock.now()).await.unwrap(), 1);
        }
        world.set("2026-11-26T13:43:00Z");
        world.walk(&one(START)).await;
        world.set("2026-11-26T14:00:00Z");
        assert_eq!(world.once().await.accepted, 1, "{:?}", world.states().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_late_lapses_loudly() {
    let world = invited().await;
    world.set("2026-11-25T15:00:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    world.set("2026-11-26T14:00:00Z");
    world.walk(&one(START)).await;
    world.script(&[Step::Answer(Outcome::ChannelFault { why: "down".to_owned(), after: None })]);
    let tally = world.once().await;
    assert_eq!((tally.lapsed, tally.channel_faults), (0, 1));
    world.set("2026-11-26T15:00:00Z");
    world.walk(&one(START)).await;
    assert_eq!(world.once().await.lapsed, 1);
    assert_eq!(world.states().await, ["invite accepted", "reminder 1h lapsed lapsed", "reminder 24h accepted"]);
    assert_eq!(world.once().await.lapsed, 0, "told once");
    let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
    let day = |now: &str| at(now);
    let rows = unreachable::unreachable(&desk, day("2026-11-27T14:59:00Z")).await.unwrap();
    assert_eq!(rows.iter().map(|r| (r.session_id.0, r.reason.as_str())).collect::<Vec<_>>(), [(1, "lapsed")]);
    let facts = status::status(&desk, day("2026-11-27T14:59:00Z")).await.unwrap();
    assert_eq!((facts.lapsed, facts.attention), (1, true));
    // The source has said something meanwhile, or that would want attention.
    world.set("2026-11-27T15:01:00Z");
    world.walk(&one(START)).await;
    let facts = status::status(&desk, day("2026-11-27T15:01:00Z")).await.unwrap();
    assert_eq!((facts.lapsed, facts.attention), (0, false), "for a day");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_held_for_ever() {
    let world = invited().await;
    let broken = changed(|s| s["Participants"][0]["ConnectCode"] = json!("oops"));
    world.set("2026-11-24T10:00:00Z");
    world.walk(&broken).await;
    world.set("2026-12-03T15:00:00Z");
    let empty = json!([{ "SessionId": 2, "ScheduleTs": "2026-12-10T15:00:00", "Participants": [] }]);
    world.walk(&empty).await;
    world.once().await;
    assert_eq!(world.states().await, ["invite accepted", "reminder 1h lapsed quarantined", "reminder 24h lapsed quarantined"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_not_told_in_time_is_told_late_and_shows() {
    let world = invited().await;
    let moved = changed(|s| s["ScheduleTs"] = json!("2026-12-03T15:00:00"));
    world.set("2026-11-26T14:30:00Z");
    world.walk(&moved).await;
    world.set("2026-11-26T14:32:00Z");
    world.script(&[Step::Answer(Outcome::ChannelFault { why: "down".to_owned(), after: None })]);
    world.once().await;
    world.set("2026-11-26T15:10:00Z");
    assert_eq!(world.once().await.lapsed, 1, "somebody sits and waits");
    world.walk(&moved).await;
    assert_eq!(world.once().await.accepted, 1);
    let corrections: Vec<String> = world.states().await.into_iter().filter(|s| s.starts_with("resch")).collect();
    assert_eq!(corrections, ["rescheduled accepted", "rescheduled lapsed lapsed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_copy_says_tomorrow_on_the_day_itself() {
    for (again, copies) in [("2026-11-26T04:59:00Z", 2), ("2026-11-26T05:00:00Z", 1)] {
        let text = CONFIGURATION.replace("name = \"24h\"\nbefore = \"24h\"", "name = \"10h\"\nbefore = \"10h 15m\"");
        let world = World::with("2026-11-24T09:00:00Z", &text);
        world.walk(&one(START)).await;
        world.set("2026-11-24T09:02:00Z");
        world.once().await;
        // 23:45 in New York, the day before.
        world.set("2026-11-26T04:45:00Z");
        world.walk(&one(START)).await;
        world.script(&[Step::LoseAnswer]);
        world.once().await;
        assert_eq!(world.sent(), 2);
        assert!(world.last_mail().contains("tomorrow"), "{}", world.last_mail());
        world.set(again);
        world.once().await;
        assert_eq!(world.sent(), 1 + copies, "{again}: {:?}", world.states().await);
    }
}

/// A name that was wrong is not said once more: what is in doubt stays so, and staff see it.
#[tokio::test(flavor = "multi_thread")]
async fn no_second_copy_calls_somebody_by_a_name_of_before() {
    for (name, copies) in [("Trevor", 2), ("Teresa", 1)] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk(&one(START)).await;
        world.set("2026-11-24T09:02:00Z");
        world.script(&[Step::LoseAnswer]);
        world.once().await;
        assert!(world.last_mail().contains("Trevor"), "{}", world.last_mail());
        let renamed = changed(|s| s["Participants"][0]["ParticipantFullName"] = json!(name));
        for now in ["2026-11-24T09:05:00Z", "2026-11-24T09:13:00Z"] {
            world.set(now);
            world.walk(&renamed).await;
            world.once().await;
        }
        assert_eq!(world.sent(), copies, "{name}: {:?}", world.states().await);
        if copies == 1 {
            assert!(world.states().await.iter().any(|state| state.starts_with("invite unknown")), "{:?}", world.states().await);
        }
    }
}

/// Whoever knows another start, or nothing of a cancellation, and has no message to come that says so, is somebody to call.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_reached_nobody_shows() {
    let refused = || Step::Answer(Outcome::Rejected { reply: "554 5.6.0 content".to_owned(), remember: None });
    let cancelled = || changed(|s| s["ScheduleType"] = json!("Cancelled"));
    let moved = || changed(|s| s["ScheduleTs"] = json!("2026-11-27T15:00:00"));
    let broken = || changed(|s| (s["ScheduleType"], s["Participants"][0]["ConnectCode"]) = (json!("Cancelled"), json!("oops")));
    let cases: [(&str, Value, bool, bool); 5] = [
        ("a cancellation that is refused", cancelled(), true, true),
        ("a move that is refused", moved(), true, true),
        ("a record at fault that is cancelled", broken(), false, true),
        ("a cancellation that goes", cancelled(), false, false),
        ("a move that goes", moved(), false, false),
    ];
    for (what, list, refuse, shows) in cases {
        let world = invited().await;
        world.set("2026-11-24T10:00:00Z");
        world.walk(&list).await;
        let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
        let rows = || async { unreachable::unreachable(&desk, world.clock.now()).await.unwrap() };
        if !what.contains("fault") {
            assert!(rows().await.is_empty(), "{what}: it is on its way");
        }
        world.set("2026-11-24T10:05:00Z");
        if refuse {
            world.script(&[refused()]);
        }
        world.once().await;
        let rows = rows().await;
        assert_eq!(rows.len(), usize::from(shows), "{what}: {rows:?}");
        assert!(rows.iter().all(|row| row.session_id.0 == 1 && row.participation_id.is_some()), "{what}: {rows:?}");
    }
}

/// Told of Thursday; "New time: December 3" may have arrived, or not. Neither day is to be believed in.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_names_the_day_in_doubt_and_the_day_that_is_known() {
    let world = invited().await;
    let later = changed(|s| s["ScheduleTs"] = json!("2026-12-03T20:00:00"));
    let mut off = later.clone();
    off[0]["ScheduleType"] = json!("Cancelled");
    world.set("2026-11-24T10:00:00Z");
    world.walk(&later).await;
    world.script(&[Step::LoseAnswer]);
    world.set("2026-11-24T10:02:00Z");
    assert_eq!(world.once().await.unknown, 1);
    for now in ["2026-11-24T10:04:00Z", "2026-11-24T10:07:00Z", "2026-11-24T10:20:00Z", "2026-11-24T10:30:00Z"] {
        world.set(now);
        world.walk(&off).await;
        world.once().await;
    }
    let letters: Vec<String> = world.sent_bytes().iter().skip(2).map(|(_, bytes)| visible(bytes)).collect();
    assert_eq!(letters.len(), 2, "{:?}", world.states().await);
    assert!(letters.iter().all(|mail| mail.contains("Cancelled")), "{letters:?}");
    for day in ["November 26", "December 3"] {
        assert_eq!(letters.iter().filter(|mail| mail.contains(day)).count(), 1, "{day}: {letters:?}");
    }
    // What arrived leaves no doubt.
    let world = invited().await;
    for (now, list) in [("10:00", &later), ("10:02", &later), ("10:04", &off), ("10:07", &off), ("10:20", &off)] {
        world.set(&format!("2026-11-24T{now}:00Z"));
        world.walk(list).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 3, "{:?}", world.states().await);
    assert!(world.last_mail().contains("December 3"), "{}", world.last_mail());
}

/// The zone that they were told in is not in the record any more: the clock of whom they meet is named instead.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_at_fault_when_their_session_leaves_the_list_is_told() {
    let two = |zone: &str, code: Value| {
        let mut sessions = json!([
            { "SessionId": 1, "ScheduleTs": START, "Participants": [person(10), person(11)] },
            { "SessionId": 2, "ScheduleTs": START, "Participants": [person(21)] },
        ]);
        sessions[0]["Participants"][0]["ShouldAutoDeliverCode"] = json!("N");
        let theirs = &mut sessions[0]["Participants"][1];
        (theirs["ParticipantTimeZoneWindowsId"], theirs["ConnectCode"]) = (json!(zone), code);
        sessions
    };
    let good = json!(300_000_011);
    for (what, broken) in [("its zone", two("Nowhere", good.clone())), ("its code", two("Eastern Standard Time", json!("oops")))] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk(&two("Eastern Standard Time", good.clone())).await;
        world.set("2026-11-24T09:02:00Z");
        assert_eq!(world.once().await.accepted, 2);
        world.set("2026-11-24T10:00:00Z");
        world.walk(&broken).await;
        let mut without = broken;
        without.as_array_mut().unwrap().remove(0);
        for now in ["10:10", "10:15", "10:20", "10:21", "10:25"] {
            world.set(&format!("2026-11-24T{now}:00Z"));
            world.walk(&without).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 3, "{what}: {:?}", world.states_of(1).await);
        let told = world.last_mail();
        assert!(told.contains("Cancelled") && told.contains("November 26") && told.contains("10:00 AM EST"), "{what}: {told}");
    }
}

/// It was due before quiet hours and did not go: that is no plan that leaves it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_that_an_outage_keeps_into_quiet_hours_lapses_and_shows() {
    let by_text = |start: &str| {
        let mut sessions = one(start);
        let pat = &mut sessions[0]["Participants"][0];
        (pat["ShouldAutoDeliverCode"], pat["ParticipantSmsNumber"]) = (json!("S"), json!("+1 404-555-0123"));
        sessions
    };
    let configured = CONFIGURATION.replace("channels = []", "channels = [\"sms\"]");
    let refuses = Step::Answer(Outcome::ChannelFault { why: "no connection".to_owned(), after: None });
    // At half past seven in the morning, and at half past nine at night: their hour's reminders are due before nine in the evening.
    for (start, eve) in [("2026-11-26T12:30:00", "2026-11-26T01:59:59Z"), ("2026-11-26T02:30:00", "2026-11-26T01:31:00Z")] {
        for the_gateway_is_down in [true, false] {
            let world = World::with("2026-11-24T15:00:00Z", &configured);
            for now in ["2026-11-24T15:00:00Z", "2026-11-24T15:02:00Z", "2026-11-25T13:05:00Z"] {
                world.set(now);
                world.walk(&by_text(start)).await;
                world.once().await;
            }
            let sent = world.sent();
            if the_gateway_is_down {
                world.set(eve);
                world.walk(&by_text(start)).await;
                world.script(std::slice::from_ref(&refuses));
                assert_eq!(world.once().await.channel_faults, 1, "{start}: {:?}", world.states().await);
            }
            world.set("2026-11-26T02:10:00Z");
            world.walk(&by_text(start)).await;
            assert_eq!((world.once().await.lapsed, world.sent()), (1, sent), "{start}: {:?}", world.states().await);
            assert!(world.states().await.contains(&"reminder 1h lapsed lapsed".to_owned()), "{start}: {:?}", world.states().await);
            let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
            let rows = unreachable::unreachable(&desk, world.clock.now()).await.unwrap();
            assert_eq!(rows.iter().map(|r| (r.session_id.0, r.reason.as_str())).collect::<Vec<_>>(), [(1, "lapsed")], "{start}");
            let facts = status::status(&desk, world.clock.now()).await.unwrap();
            assert_eq!((facts.lapsed, facts.attention), (1, true), "{start}");
        }
    }
    // There never was a permitted time: nothing should have gone.
    let world = World::with("2026-11-26T02:20:00Z", &configured);
    for now in ["2026-11-26T02:20:00Z", "2026-11-26T13:00:00Z"] {
        world.set(now);
        world.walk(&by_text("2026-11-26T12:30:00")).await;
        assert_eq!(world.once().await.lapsed, 0, "{:?}", world.states().await);
    }
}

/// Their host tells them, or they are the host: whatever their session waits for, nobody would have told them.
#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_tells_is_not_listed_while_their_session_waits() {
    let hosted = |start: &str| -> Value {
        let mut sessions = some(&(1..=6).collect::<Vec<_>>(), start);
        for session in sessions.as_array_mut().unwrap() {
            let mut host = person(session["SessionId"].as_i64().unwrap() * 10);
            host["ShouldAutoDeliverCode"] = json!("N");
            session["Participants"].as_array_mut().unwrap().insert(0, host);
        }
        sessions
    };
    let world = World::new("2026-11-24T09:00:00Z");
    for (now, start) in [("2026-11-24T09:00:00Z", START), ("2026-11-24T09:02:00Z", START), ("2026-11-24T10:00:00Z", "2026-11-26T16:00:00")]
    {
        world.set(now);
        world.walk(&hosted(start)).await;
        world.once().await;
    }
    let desk = Desk { outbox: Arc::clone(&world.outbox), policy: Arc::clone(&world.policy), sources: vec!["sessions".to_owned()] };
    let rows = unreachable::unreachable(&desk, world.clock.now()).await.unwrap();
    let mut who: Vec<i64> = rows.iter().filter_map(|row| row.participation_id).map(|id| id.0).collect();
    who.sort_unstable();
    assert_eq!(who, [11, 21, 31, 41, 51, 61], "all wait for the guard: {rows:?}");
}
