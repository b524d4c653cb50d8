//! Rehearsals over the real engine: what a script breaks or changes shows in the timeline as it would in a live run.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use punctual::config;
use punctual::render::{Renderer, Settings};
use punctual::simulate::{Happened, Rehearsal, TimelineEntry, script, simulate};
use serde_json::{Value, json};

const CONFIGURATION: &str = "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[quiet_hours]\nchannels = []\n";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A session with one participant, who is its tenfold plus one.
fn session(id: i64, start: &str, channel: &str) -> Value {
    json!({ "SessionId": id, "ScheduleTs": start, "Participants": [{
        "ParticipationId": id * 10 + 1, "ParticipantFullName": "Trevor", "ShouldAutoDeliverCode": channel,
        "ParticipantEmailAddress": format!("p{id}@example.com"), "ParticipantSmsNumber": "+12025550147",
        "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ConnectCode": 200_000_000 + id }] })
}

/// Plays 24 to 30 November 2026, from 09:00 UTC.
async fn play(sessions: Vec<Value>, events: &str) -> Vec<TimelineEntry> {
    play_with(CONFIGURATION, sessions, events).await
}

async fn play_with(configured: &str, sessions: Vec<Value>, events: &str) -> Vec<TimelineEntry> {
    let config = config::parse(configured, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let request = Rehearsal {
        sessions,
        policy: Arc::new(config.policy),
        renderer: Arc::new(Renderer::new(Settings { reference_key: [7; 32], ..config.render }).unwrap()),
        from: at("2026-11-24T09:00:00Z"),
        until: at("2026-11-30T00:00:00Z"),
        script: script::parse(events).unwrap(),
        doubt: (config.email_in_doubt, config.sms_in_doubt),
    };
    // The dispatcher renders on a worker thread.
    tokio::spawn(simulate(request)).await.unwrap().unwrap()
}

/// What was done or left, but for the script's own lines: `participation what outcome(reason)@time`.
fn told(timeline: &[TimelineEntry]) -> Vec<String> {
    let lines = timeline.iter().filter(|m| m.outcome != Happened::Event).map(|m| {
        let what = m.rule.clone().or(m.occasion.map(|o| o.to_string())).unwrap_or_default();
        let reason = m.reason.map_or_else(String::new, |r| format!("({r})"));
        let at = m.at.as_deref().map_or_else(String::new, |t| format!("@{}", &t[8..16]));
        format!("{} {what} {}{reason}{at}", m.participation_id.map_or(0, |p| p.0), m.outcome.as_str())
    });
    lines.collect()
}

fn script_of(events: &[(&str, &str)]) -> String {
    let blocks: Vec<String> = events.iter().map(|(at, act)| format!("[[event]]\nat = \"2026-11-{at}:00Z\"\n{act}\n")).collect();
    blocks.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_week_goes_as_planned_and_the_same_each_time() {
    let sessions = vec![session(1, "2026-11-26T15:00:00", "E"), session(2, "2026-11-26T16:00:00", "S")];
    let timeline = play(sessions.clone(), "").await;
    let wanted = [
        "11 invite accepted@24T09:02",
        "21 invite accepted@24T09:02",
        "11 24h accepted@25T15:00",
        "21 24h accepted@25T16:00",
        "11 1h accepted@26T14:00",
        "21 1h accepted@26T15:00",
    ];
    assert_eq!(told(&timeline), wanted);
    assert_eq!(timeline[2].local.as_deref(), Some("2026-11-25T10:00:00-05:00"));
    let says = |n: usize| timeline[n].detail.as_deref().unwrap_or_default();
    assert!(says(0).starts_with("Your video session: Thu, Nov 26, 10:00 AM") && matches!(says(1), "1 part" | "2 parts"), "{timeline:?}");
    assert_eq!(told(&play(sessions, "").await), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_is_believed_for_six_hours_from_its_last_answer() {
    // The 24h rule is due at 15:00, the 1h rule on the next day. Nothing at all happens between the invite and the failure, and yet the
    // source was heard until then: a daemon polls.
    let fails = script_of(&[("25T14:00", "source = \"fails\"")]);
    let timeline = play(vec![session(1, "2026-11-26T15:00:00", "E")], &fails).await;
    let said = told(&timeline);
    assert_eq!(said[..2], ["11 invite accepted@24T09:02", "11 24h accepted@25T15:00"]);
    assert!(said[2].starts_with("11 1h held(source_stale)@26T14:00"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_answers_again_is_believed_again() {
    let events = script_of(&[("25T06:00", "source = \"fails\""), ("25T16:00", "source = \"ok\"")]);
    let said = told(&play(vec![session(1, "2026-11-26T15:00:00", "E")], &events).await);
    assert_eq!(
        said,
        ["11 invite accepted@24T09:02", "11 24h held(source_stale)@25T15:00", "11 24h accepted@25T16:00", "11 1h accepted@26T14:00"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_listed_no_more_counts_as_cancelled_after_ten_minutes() {
    // The 24h rule falls due five minutes after it vanished: nothing is sent for what is absent.
    let events = script_of(&[("25T14:55", "remove = 1")]);
    let sessions = vec![session(1, "2026-11-26T15:00:00", "E"), session(9, "2026-12-20T15:00:00", "E")];
    let said: Vec<String> = told(&play(sessions, &events).await).into_iter().filter(|line| line.starts_with("11 ")).collect();
    let accepted: Vec<&String> = said.iter().filter(|line| line.contains("accepted")).collect();
    assert_eq!(accepted[0], "11 invite accepted@24T09:02");
    assert!(accepted.len() == 2 && accepted[1].starts_with("11 cancelled accepted@25T15:0"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_source_cancels_nobody_and_is_noted_once() {
    let sessions = (1..=5).map(|id| session(id, "2026-11-27T15:00:00", "E")).collect();
    let events = script_of(&[("24T12:00", "source = \"empty\""), ("25T12:00", "source = \"ok\"")]);
    let timeline = play(sessions, &events).await;
    let said = told(&timeline);
    assert_eq!(said.iter().filter(|line| line.contains(" cancelled ")).count(), 0, "{said:?}");
    assert_eq!(said.iter().filter(|line| line.contains("accepted")).count(), 15, "{said:?}");
    let guards = timeline.iter().filter(|m| m.detail.as_deref().is_some_and(|d| d.starts_with("guard: 5 "))).count();
    assert_eq!(guards, 1, "{timeline:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_are_counted_and_told_twice_at_most() {
    let events = script_of(&[("25T14:59", "relay = \"lose_answers\""), ("25T15:01", "relay = \"up\"")]);
    let said = told(&play(vec![session(1, "2026-11-26T15:00:00", "E")], &events).await);
    let day: Vec<&String> = said.iter().filter(|line| line.contains(" 24h ")).collect();
    assert_eq!(day.len(), 2, "{said:?}");
    assert_eq!(day[0], "11 24h unknown@25T15:00");
    assert!(day[1].starts_with("11 24h accepted@25T15:1"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_down_keeps_no_mail_back() {
    let events = script_of(&[("25T14:00", "gateway = \"down\""), ("25T17:00", "gateway = \"up\"")]);
    let sessions = vec![session(1, "2026-11-26T15:00:00", "E"), session(2, "2026-11-26T15:00:00", "S")];
    let said = told(&play(sessions, &events).await);
    let day: Vec<&String> = said.iter().filter(|line| line.contains(" 24h accepted")).collect();
    assert_eq!(day.len(), 2, "{said:?}");
    assert_eq!(day[0], "11 24h accepted@25T15:00");
    assert!(day[1].starts_with("21 24h accepted@25T17:"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_downtime_only_the_reminder_closest_to_the_start_goes() {
    let events = script_of(&[("25T10:00", "daemon = \"down\""), ("26T14:10", "daemon = \"up\"")]);
    let said = told(&play(vec![session(1, "2026-11-26T15:00:00", "E")], &events).await);
    let accepted: Vec<&String> = said.iter().filter(|line| line.contains("accepted")).collect();
    assert_eq!(accepted, ["11 invite accepted@24T09:02", "11 1h accepted@26T14:10"], "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("11 24h ") && line.contains("superseded")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_code_and_a_decline_take_effect_at_once() {
    let set = |what: &str| format!("participant = {{ session = 1, participation = 11, set = {{ {what} }} }}");
    let (code, declined) = (set("ConnectCode = 299999999"), set("RSVP = \"Declined\""));
    let events = script_of(&[("24T12:00", code.as_str()), ("25T18:00", declined.as_str())]);
    let said = told(&play(vec![session(1, "2026-11-26T15:00:00", "E")], &events).await);
    let accepted: Vec<&String> = said.iter().filter(|line| line.contains("accepted")).collect();
    assert_eq!(accepted, ["11 invite accepted@24T09:02", "11 updated accepted@24T12:02", "11 24h accepted@25T15:00"], "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("11 1h ") && line.contains("declined")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_not_joined_is_told_after_a_look_at_the_source() {
    let nudged = format!("{CONFIGURATION}[not_joined]\nafter = \"5m\"\n");
    let hosted = |id, start, channel| {
        let mut session = session(id, start, channel);
        session["Participants"].as_array_mut().unwrap().insert(0, json!({ "ParticipationId": id * 10, "ShouldAutoDeliverCode": "N" }));
        session
    };
    let sessions = || vec![hosted(1, "2026-11-26T15:00:00", "E"), hosted(2, "2026-11-26T16:00:00", "S")];
    let joins = [("26T15:59", "participant = { session = 2, participation = 21, set = { ConnectionTs = \"2026-11-26T15:59:00\" } }")];
    let said = told(&play_with(&nudged, sessions(), &script_of(&joins)).await);
    assert!(said.contains(&"11 not_joined accepted@26T15:05".to_owned()), "{said:?}");
    assert!(said.contains(&"21 not_joined cancelled(already_connected)@26T15:59".to_owned()), "{said:?}");
    // Nobody can look: nobody is told, and it says why.
    let said = told(&play_with(&nudged, sessions(), &script_of(&[("26T14:30", "source = \"fails\"")])).await);
    assert!(said.iter().any(|s| s.starts_with("11 not_joined held(source_stale)@26T15:1")), "{said:?}");
    assert!(!said.iter().any(|s| s.contains("not_joined accepted")), "{said:?}");
}
