//! The whole path but for the socket: walk, plan, store, last look, render, hand over, settle. In memory, with a transport that follows a script.

use std::collections::HashMap;
use std::sync::Arc;

use punctual::clock::Clock;
use punctual::contact::Channel;
use punctual::dispatch::Tally;
use punctual::entry::{Entry, State};
use punctual::notice::{NoticeKey, Occasion, Reason};
use punctual::outbox::{Action, Filter};
use punctual::outcome::Outcome;
use punctual::session::SnapshotKind;
use punctual::source::{ambiguity, json};
use punctual::suppression::Suppression;
use punctual::walk;
use serde_json::{Value, json};
use world::{CONFIGURATION, START, Step, World, configuration, describe, one, person, some, visible};

use crate::clock::at;

mod changes;
mod clocks;
mod codes;
mod cut_over;
mod extent;
mod guard;
mod kept;
mod lately;
mod nudge;
mod numbers;
mod parts;
mod remind;
mod running;
mod slips;
mod sources;
mod succession;
mod told;
mod unheard;
mod world;

#[tokio::test(flavor = "multi_thread")]
async fn everything_due_goes_once_and_a_restart_repeats_nothing() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    assert_eq!(world.once().await.accepted, 0, "the invite settles for two minutes");
    for (now, sent) in [
        ("2026-11-24T09:02:00Z", 1),
        ("2026-11-24T09:02:30Z", 1),
        ("2026-11-25T14:59:59Z", 1),
        ("2026-11-25T15:00:00Z", 2),
        ("2026-11-26T14:00:00Z", 3),
        ("2026-11-26T16:00:00Z", 3),
    ] {
        world.set(now);
        world.walk(&one(START)).await;
        world.once().await;
        world.once().await;
        assert_eq!(world.sent(), sent, "{now}");
    }
    assert_eq!(world.states().await, ["invite accepted", "reminder 1h accepted", "reminder 24h accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_has_its_state() {
    let suppressed = Outcome::Rejected { reply: "550 5.1.1 no such user".to_owned(), remember: Some(Suppression::Bounced) };
    for (outcome, want, next) in [
        (Outcome::Retry { why: "450 later".to_owned(), after: None }, "invite waiting", true),
        (Outcome::Rejected { reply: "554 no".to_owned(), remember: None }, "invite rejected", false),
        (Outcome::ChannelFault { why: "535 no".to_owned(), after: None }, "invite waiting", true),
        (suppressed, "invite rejected", false),
        (Outcome::Fenced, "invite waiting", true),
    ] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk(&one(START)).await;
        world.set("2026-11-24T09:02:00Z");
        world.script(&[Step::Answer(outcome.clone())]);
        world.once().await;
        assert_eq!(world.states().await[0], want, "{outcome:?}");
        let invite = world.entries().await.into_iter().find(|e| e.notice.occasion == Occasion::Invite).unwrap();
        assert_eq!(invite.next_attempt_at.is_some_and(|t| t > at("2026-11-24T09:02:00Z")), next, "{outcome:?}");
        assert_eq!(world.sent(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_bounced_gets_nothing_more() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.script(&[Step::Answer(Outcome::Rejected { reply: "550 5.1.1".to_owned(), remember: Some(Suppression::Bounced) })]);
    world.once().await;
    world.set("2026-11-25T15:00:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    assert_eq!(world.states().await, ["invite rejected", "reminder 1h suppressed bounced", "reminder 24h suppressed bounced"]);
    assert_eq!(world.sent(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_resent_once_with_the_same_bytes() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.script(&[Step::LoseAnswer, Step::LoseAnswer]);
    assert_eq!(world.once().await.unknown, 1);
    world.set("2026-11-24T09:11:00Z");
    assert_eq!(world.once().await, Tally::default(), "not before ten minutes have passed");
    world.set("2026-11-24T09:12:01Z");
    assert_eq!(world.once().await.unknown, 1);
    world.set("2026-11-25T09:00:00Z");
    assert_eq!(world.once().await, Tally::default(), "and only once");
    let sent: Vec<Vec<u8>> = world.sent_bytes().iter().map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent[0] == sent[1], "the copies differ");
    assert_eq!(world.states().await[0], "invite unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_changes_under_an_open_connection_is_not_told_the_old_way() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.script(&[Step::Meanwhile(one("2026-11-27T15:00:00"))]);
    world.once().await;
    let sent = world.sent_bytes();
    assert!(sent.iter().all(|(_, bytes)| visible(bytes).contains("DTSTART:20261127T150000Z")), "the old time was fenced");
    world.set("2026-11-24T09:03:00Z");
    world.walk(&one("2026-11-27T15:00:00")).await;
    world.once().await;
    world.once().await;
    let sent = world.sent_bytes();
    assert_eq!(sent.len(), 1);
    let text = visible(&sent[0].1);
    assert!(text.contains("DTSTART:20261127T150000Z"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_cannot_be_right_sends_nothing() {
    let world = World::new("1970-01-01T00:10:00Z");
    world.walk(&one("1970-01-02T15:00:00")).await;
    world.set("1970-01-01T00:12:00Z");
    assert_eq!(world.once().await, Tally::default());
    assert_eq!(world.states().await[0], "invite waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_lists_no_more_is_held_at_once_and_comes_back() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&[1, 2], START)).await;
    world.walk(&some(&[2], START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 1);
    assert_eq!(world.states_of(1).await, ["invite held absent", "reminder 1h held absent", "reminder 24h held absent"]);
    world.walk(&some(&[1, 2], START)).await;
    world.once().await;
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_in_three_snapshots_over_ten_minutes_counts_as_cancelled() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&[1, 2], START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    for (now, cancelled) in [("09:10", false), ("09:11", false), ("09:12", false), ("09:20", true), ("09:21", true)] {
        world.set(&format!("2026-11-24T{now}:00Z"));
        world.walk(&some(&[2], START)).await;
        let told = world.states_of(1).await.iter().any(|s| s.starts_with("cancelled"));
        assert_eq!(told, cancelled, "{now}");
    }
    assert_eq!(world.sent(), 2);
    world.set("2026-11-24T09:22:00Z");
    world.once().await;
    assert_eq!(world.sent(), 3);
    let cancelled = world.last_mail();
    assert!(cancelled.contains("METHOD:CANCEL") && cancelled.contains("STATUS:CANCELLED"), "{cancelled}");
    // It comes back: that is told, as the same calendar entry with a higher sequence.
    world.walk(&some(&[1, 2], START)).await;
    world.set("2026-11-24T09:24:00Z");
    world.once().await;
    assert_eq!(world.sent(), 4);
    let again = world.last_mail();
    assert!(again.contains("METHOD:REQUEST"), "{again}");
    let field = |mail: &str, name: &str| mail.lines().find(|l| l.starts_with(name)).map(str::to_owned);
    assert_eq!(field(&again, "UID:"), field(&cancelled, "UID:"));
    assert!(field(&again, "SEQUENCE:") > field(&cancelled, "SEQUENCE:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_and_leaves_the_list_sends_nothing() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&[1, 2], "2026-11-24T15:00:00")).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    for hour in 15..20 {
        world.set(&format!("2026-11-24T{hour}:30:00Z"));
        world.walk(&some(&[2], "2026-11-24T15:00:00")).await;
        world.once().await;
    }
    assert_eq!(world.sent(), 2);
    assert!(world.entries().await.iter().all(|e| e.notice.occasion != Occasion::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_between_two_good_ones_sends_nothing() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&[1, 2], START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    for minute in [10, 20, 30, 40] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        assert_eq!(world.walk(&json!([])).await.guarded, 2);
        world.once().await;
    }
    assert_eq!(world.sent(), 2);
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h held guard", "reminder 24h held guard"]);
    assert_eq!(world.walk(&some(&[1, 2], START)).await.guarded, 0, "the next full snapshot clears it");
    assert_eq!(world.states_of(1).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"]);
    assert_eq!(world.outbox.guards().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sessions_to_sixty_wait_for_an_operator() {
    let all: Vec<i64> = (1..=100).collect();
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&some(&all, START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 100);
    let mut fewer = some(&all[..60], START);
    fewer.as_array_mut().unwrap().push(some(&[101], START)[0].clone());
    world.set("2026-11-24T10:00:00Z");
    assert_eq!(world.walk(&fewer).await.guarded, 40);
    assert_eq!(world.states_of(101).await.len(), 3, "additions pass");
    for minute in [10, 20, 30] {
        world.set(&format!("2026-11-24T10:{minute}:00Z"));
        world.walk(&fewer).await;
    }
    assert!(world.entries().await.iter().all(|e| e.notice.occasion != Occasion::Cancelled));
    assert_eq!(world.outbox.accept_guard(None, world.clock.now()).await.unwrap(), 40);
    for minute in [31, 35, 40, 42] {
        world.set(&format!("2026-11-24T10:{minute}:00Z"));
        assert_eq!(world.walk(&fewer).await.guarded, 0, "{minute}");
    }
    world.set("2026-11-24T10:45:00Z");
    world.once().await;
    let cancelled = world.entries().await.iter().filter(|e| e.notice.occasion == Occasion::Cancelled && e.state == State::Accepted).count();
    assert_eq!(cancelled, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_moved_by_an_hour_and_all_other_codes_wait_for_an_operator() {
    let ids: Vec<i64> = (1..=10).collect();
    let mut recoded = some(&ids, START);
    for session in recoded.as_array_mut().unwrap() {
        let code = session["Participants"][0]["ConnectCode"].as_i64().unwrap();
        session["Participants"][0]["ConnectCode"] = json!(code + 500);
    }
    for (name, changed) in [("moved", some(&ids, "2026-11-26T16:00:00")), ("codes", recoded)] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk(&some(&ids, START)).await;
        world.set("2026-11-24T09:02:00Z");
        world.once().await;
        world.set("2026-11-24T10:00:00Z");
        assert_eq!(world.walk(&changed).await.guarded, 10, "{name}");
        assert!(world.outbox.guards().await.unwrap().iter().all(|g| g.kind.as_str() == name));
        world.set("2026-11-25T15:00:00Z");
        world.walk(&changed).await;
        world.once().await;
        assert_eq!(world.sent(), 10, "{name}: neither the old facts nor the new ones");
        world.outbox.accept_guard(None, world.clock.now()).await.unwrap();
        world.walk(&changed).await;
        world.set("2026-11-25T15:02:00Z");
        world.once().await;
        let corrections = world
            .entries()
            .await
            .iter()
            .filter(|e| matches!(e.notice.occasion, Occasion::Rescheduled | Occasion::Updated) && e.state == State::Accepted)
            .count();
        assert_eq!(corrections, 10, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_participant_is_told_and_reminded_no_more() {
    let two = json!([{ "SessionId": 1, "ScheduleTs": START, "Participants": [person(11), person(12)] }]);
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&two).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    for minute in [3, 8, 14, 17] {
        world.set(&format!("2026-11-24T09:{minute:02}:00Z"));
        world.walk(&one(START)).await;
        world.once().await;
    }
    let theirs: Vec<String> = world.entries().await.iter().filter(|e| e.notice.participation.0 == 12).map(describe).collect();
    assert!(theirs.contains(&"cancelled accepted".to_owned()), "{theirs:?}");
    world.set("2026-11-25T15:00:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    let told: Vec<i64> = world
        .entries()
        .await
        .iter()
        .filter(|e| e.notice.occasion == Occasion::Reminder && e.state == State::Accepted)
        .map(|e| e.notice.participation.0)
        .collect();
    assert_eq!(told, [11]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_participation_with_another_address_is_a_new_person() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    let mut other = one(START);
    other[0]["Participants"][0]["ParticipantFullName"] = json!("Ray Chalk");
    other[0]["Participants"][0]["ParticipantEmailAddress"] = json!("ray@example.org");
    world.set("2026-11-24T10:00:00Z");
    world.walk(&other).await;
    world.set("2026-11-24T10:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 2);
    assert!(world.last_mail().contains("Hello Ray Chalk"));
    world.set("2026-11-25T15:00:00Z");
    world.walk(&other).await;
    world.once().await;
    let to: Vec<String> =
        world.entries().await.iter().filter(|e| e.state == State::Accepted).map(|e| e.notice.address.expose().to_owned()).collect();
    assert_eq!(to.iter().filter(|a| *a == "p11@example.com").count(), 1, "the old address gets nothing more: {to:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_silent_for_too_long_is_not_believed() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    world.set("2026-11-25T15:00:00Z");
    world.once().await;
    assert_eq!(world.states().await, ["invite accepted", "reminder 1h waiting", "reminder 24h held source_stale"]);
    world.set("2026-11-25T15:30:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    assert_eq!(world.states().await, ["invite accepted", "reminder 1h waiting", "reminder 24h accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn adopted_sessions_are_reminded_and_their_changes_told() {
    let world = World::with("2026-11-24T09:00:00Z", &CONFIGURATION.replace("invites = true", "invites = false"));
    world.walk(&one(START)).await;
    world.set("2026-11-24T09:10:00Z");
    world.once().await;
    assert_eq!(world.sent(), 0);
    world.walk(&one("2026-11-27T15:00:00")).await;
    world.set("2026-11-24T09:12:00Z");
    world.once().await;
    assert_eq!(world.states().await[0], "invite cancelled adopted");
    assert_eq!(world.sent(), 1);
    let text = visible(&world.sent_bytes()[0].1);
    assert!(text.contains("Earlier time, which no longer applies: Thursday, November 26, 2026"), "{text}");
    world.set("2026-11-26T15:00:00Z");
    world.walk(&one("2026-11-27T15:00:00")).await;
    world.once().await;
    assert_eq!(world.sent(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_participant_and_a_record_at_fault_are_held() {
    let two = json!([{ "SessionId": 1, "ScheduleTs": START, "Participants": [person(11), person(12)] }]);
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&two).await;
    world.walk(&one(START)).await;
    let held: Vec<String> = world.entries().await.iter().filter(|e| e.notice.participation.0 == 12).map(describe).collect();
    assert!(held.len() == 3 && held.iter().all(|h| h.ends_with("held absent")), "{held:?}");
    let mut broken = two.clone();
    broken[0]["Participants"][1]["ConnectCode"] = json!("not a code");
    world.walk(&broken).await;
    let held: Vec<String> = world.entries().await.iter().filter(|e| e.notice.participation.0 == 12).map(describe).collect();
    assert!(held.iter().all(|h| h.ends_with("held quarantined")), "{held:?}");
    world.walk(&two).await;
    assert!(world.entries().await.iter().all(|e| e.state == State::Waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_for_two_people_holds_both() {
    let mut two = json!([{ "SessionId": 1, "ScheduleTs": START, "Participants": [person(11), person(12)] }]);
    two[0]["Participants"][1]["ConnectCode"] = two[0]["Participants"][0]["ConnectCode"].clone();
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&two).await;
    world.set("2026-11-24T09:10:00Z");
    world.once().await;
    assert_eq!(world.sent(), 0);
    let omissions = world.outbox.omissions(&Filter::default()).await.unwrap();
    assert!(omissions.len() == 6 && omissions.iter().all(|o| o.reason == Reason::Ambiguous), "{omissions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn down_for_three_days_sends_at_most_one_message_and_nothing_about_the_past() {
    let sessions = json!([
        { "SessionId": 1, "ScheduleTs": "2026-11-25T15:00:00", "Participants": [person(11)] },
        { "SessionId": 2, "ScheduleTs": "2026-11-27T09:40:00", "Participants": [person(21)] },
        { "SessionId": 3, "ScheduleTs": "2026-11-28T15:00:00", "Participants": [person(31)] },
    ]);
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&sessions).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 3);
    world.set("2026-11-27T09:02:00Z");
    world.walk(&sessions).await;
    world.once().await;
    let by_session: HashMap<i64, usize> =
        world.entries().await.iter().filter(|e| e.state == State::Accepted).fold(HashMap::new(), |mut n, e| {
            *n.entry(e.notice.session.0).or_default() += 1;
            n
        });
    assert_eq!(by_session, HashMap::from([(1, 1), (2, 2), (3, 1)]));
    let states = world.entries().await.iter().filter(|e| e.notice.session.0 == 1).map(describe).collect::<Vec<_>>();
    assert!(states.iter().filter(|s| s.contains("lapsed")).count() == 2, "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_and_releases_and_nothing_else_does() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&one(START)).await;
    let keys: Vec<NoticeKey> = world.entries().await.iter().map(|e| e.notice.key).collect();
    assert_eq!(world.outbox.act(&keys, Action::Hold, world.clock.now()).await.unwrap(), 3);
    let mut moved = one(START);
    moved[0]["Topic"] = json!("changed");
    world.walk(&moved).await;
    world.set("2026-11-24T09:30:00Z");
    world.once().await;
    assert_eq!(world.sent(), 0);
    assert_eq!(world.outbox.act(&keys, Action::Release, world.clock.now()).await.unwrap(), 3);
    world.once().await;
    assert_eq!(world.sent(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_snapshot_plans_nothing() {
    let world = World::new("2026-11-24T09:00:00Z");
    assert_eq!(world.walk(&one(START)).await.planned, 1);
    assert_eq!(world.walk(&one(START)).await.planned, 0);
    let pretty: Value = serde_json::from_str(&serde_json::to_string_pretty(&one(START)).unwrap()).unwrap();
    assert_eq!(world.walk(&pretty).await.planned, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_mails_never_hold_anothers_code() {
    let mut sessions: Value = serde_json::from_str(include_str!("../fixtures/sessions.json")).unwrap();
    let codes: Vec<String> = sessions
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|s| {
            s["Participants"].as_array().unwrap().iter().map(|p| p["ConnectCode"].to_string()).chain([s["ConnectCode"].to_string()])
        })
        .filter(|c| c != "null")
        .collect();
    for session in sessions.as_array_mut().unwrap() {
        session["ScheduleTs"] = json!(START);
    }
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&sessions).await;
    world.set("2026-11-24T15:00:00Z");
    let tally = world.once().await;
    assert_eq!((tally.accepted, tally.ended), (8, 0));
    for e in world.entries().await.iter().filter(|e| e.state == State::Accepted) {
        let (_, content) = world.outbox.deliveries(e.notice.key).await.unwrap();
        let text = visible(&content.unwrap());
        let seen: Vec<&String> = codes.iter().filter(|c| text.contains(c.as_str())).collect();
        assert_eq!(seen.len(), 1, "{}: {} codes", e.notice.participation, seen.len());
    }
}
