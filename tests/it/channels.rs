//! A channel as a whole: faults and probes, fail-over, a wait that a server asked for, turns, and who goes first. With transports that follow a script.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use punctual::clock::{Clock, WallClock};
use punctual::config;
use punctual::contact::Channel;
use punctual::deliver::{Route, Transport};
use punctual::desk::words;
use punctual::dispatch::{Dispatcher, Lane, Span, Tally};
use punctual::entry::State;
use punctual::notice::NoticeKey;
use punctual::outbox::Filter;
use punctual::outbox::memory::MemoryOutbox;
use punctual::outcome::Outcome;
use punctual::plan::Policy;
use punctual::render::{Renderer, Settings};
use punctual::retry::DoubtPolicy;
use punctual::source::json;
use punctual::source::just_read::JustRead;
use punctual::walk;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::clock::{ManualClock, at};
use crate::transport::{Answer, ScriptedTransport};

mod kept;
mod refusals;

struct Practice {
    dispatcher: Arc<Dispatcher>,
    /// The wall clock, unless the test sets the time.
    clock: Arc<dyn Clock>,
    manual: Option<Arc<ManualClock>>,
}

impl Practice {
    fn new(now: Option<DateTime<Utc>>) -> Self {
        let text = "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n[quiet_hours]\nchannels = []\n";
        let config = config::parse(text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let manual = now.map(ManualClock::new);
        let clock = manual.clone().map_or_else(|| Arc::new(WallClock) as Arc<dyn Clock>, |manual| manual as Arc<dyn Clock>);
        let renderer = Renderer::new(Settings { reference_key: [7; 32], ..config.render.clone() }).unwrap();
        let dispatcher = Dispatcher {
            outbox: Arc::new(MemoryOutbox::new([7; 32])),
            renderer: Arc::new(renderer),
            policy: Arc::new(config.policy),
            clock: Arc::clone(&clock),
            owner: "test".to_owned(),
            just_read: JustRead::default(),
            walks: std::sync::atomic::AtomicI64::new(0),
        };
        Self { dispatcher: Arc::new(dispatcher), clock, manual }
    }

    fn set(&self, now: DateTime<Utc>) {
        self.manual.as_ref().expect("the test sets the time").go_to(now);
    }

    fn policy(&self) -> &Policy {
        &self.dispatcher.policy
    }

    async fn walk(&self, sessions: &Value) {
        let snapshot = json::parse(sessions.to_string().as_bytes()).unwrap();
        walk::walk(&*self.dispatcher.outbox, "sessions", &snapshot, self.policy(), self.clock.now()).await.unwrap();
    }

    async fn once(&self, lane: &Arc<Lane>) -> Tally {
        let span = Span::Once(self.clock.now());
        Arc::clone(&self.dispatcher).run(Arc::clone(lane), span, Arc::new(Notify::new())).await.unwrap()
    }

    async fn ledger(&self, event: &str) -> Vec<String> {
        let rows = self.dispatcher.outbox.ledger(None, 0, usize::MAX).await.unwrap();
        rows.into_iter().filter(|row| row.event == event).filter_map(|row| row.detail).collect()
    }

    async fn count(&self, state: State) -> usize {
        self.dispatcher.outbox.list(&Filter { states: vec![state], ..Filter::default() }).await.unwrap().len()
    }
}

/// One session a participant, the first the last to start.
fn due(count: i64, channel: &str, now: DateTime<Utc>) -> Value {
    (1..=count)
        .map(|n| {
            let start = now + TimeDelta::minutes(20) + TimeDelta::minutes(count - n);
            json!({ "SessionId": n, "ScheduleTs": start.format("%Y-%m-%dT%H:%M:%S").to_string(), "Participants": [{
                "ParticipationId": n, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": format!("p{n}@example.com"),
                "ParticipantSmsNumber": format!("+1404555{n:04}"), "ParticipantTimeZoneWindowsId": "Eastern Standard Time",
                "ConnectCode": 300_000_000 + n, "ShouldAutoDeliverCode": channel }] })
        })
        .collect()
}

fn lane(relays: &[&Arc<ScriptedTransport>]) -> Lane {
    let relays: Vec<_> = relays.iter().map(|relay| (*relay, None)).collect();
    rated(&relays)
}

/// With how often each may be used.
fn rated(relays: &[(&Arc<ScriptedTransport>, Option<&str>)]) -> Lane {
    let route = |(relay, rate): &(&Arc<ScriptedTransport>, Option<&str>)| Route {
        transport: Arc::clone(*relay) as Arc<dyn Transport>,
        rate: rate.map(|rate| rate.parse().unwrap()),
    };
    Lane::new(Channel::Email, DoubtPolicy::Resend, relays.iter().map(route).collect())
}

const NOW: &str = "2026-11-24T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_at_fault_pauses_and_is_probed_by_one_message() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(20, "E", at(NOW))).await;
    let relay = ScriptedTransport::new("first", 4, Answer::Fault(None));
    let lane = Arc::new(lane(&[&relay]));
    practice.once(&lane).await;
    let met = relay.asked().len();
    assert!((1..=4).contains(&met), "those that were under way together: {met}");
    practice.set(at("2026-11-24T12:00:29Z"));
    practice.once(&lane).await;
    assert_eq!(relay.asked().len(), met, "it is not asked while it pauses");
    practice.set(at("2026-11-24T12:00:31Z"));
    practice.once(&lane).await;
    assert_eq!(relay.asked().len(), met + 1, "one message asks for all");
    practice.set(at("2026-11-24T12:01:30Z"));
    practice.once(&lane).await;
    assert_eq!(relay.asked().len(), met + 1, "the second pause is twice as long");
    practice.set(at("2026-11-24T12:01:32Z"));
    relay.answers(Answer::Accept);
    assert_eq!(practice.once(&lane).await.accepted, 20, "it answered: the others follow");
    let attempts: Vec<u32> = practice.dispatcher.outbox.list(&Filter::default()).await.unwrap().iter().map(|e| e.attempts).collect();
    assert!(attempts.iter().all(|&n| n <= 3), "a channel's fault is hardly the message's: {attempts:?}");
}

/// Whoever was next when another one's attempt met the fault is not tried, and says what is wrong all the same.
#[tokio::test]
async fn what_finds_its_channel_paused_says_why() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(20, "E", at(NOW))).await;
    let relay = ScriptedTransport::new("first", 4, Answer::Fault(None));
    practice.once(&Arc::new(lane(&[&relay]))).await;
    let tried = practice.dispatcher.outbox.list(&Filter::default()).await.unwrap();
    let why: Vec<String> = tried.into_iter().filter_map(|e| e.server_reply).collect();
    let (untried, tried): (Vec<_>, Vec<_>) = why.iter().partition(|why| why.starts_with("first pauses: "));
    assert!(!untried.is_empty() && tried.len() == relay.asked().len(), "{why:?}");
    assert!(why.iter().all(|why| words::fault(why) == words::fault(tried[0])), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_the_server_asked_for_holds_for_the_whole_channel() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(20, "E", at(NOW))).await;
    let relay = ScriptedTransport::new("first", 1, Answer::Fault(Some(120)));
    let lane = Arc::new(lane(&[&relay]));
    practice.once(&lane).await;
    relay.answers(Answer::Accept);
    assert_eq!(relay.asked().len(), 1, "429 or 421 to one is an answer to all");
    for (now, asked) in [("2026-11-24T12:01:59Z", 1), ("2026-11-24T12:02:01Z", 21)] {
        practice.set(at(now));
        practice.once(&lane).await;
        assert_eq!(relay.asked().len(), asked, "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_relay_is_used_for_faults_and_never_for_doubts() {
    // (Whoever leaves more than two in doubt is at fault: the others go over the second one.)
    for (answer, all, second, state) in
        [(Answer::Fault(None), 10, 10, State::Accepted), (Answer::Lose, 2, 0, State::Unknown), (Answer::Accept, 10, 0, State::Accepted)]
    {
        let practice = Practice::new(Some(at(NOW)));
        practice.walk(&due(all, "E", at(NOW))).await;
        let relays = (ScriptedTransport::new("first", 2, answer), ScriptedTransport::new("second", 2, Answer::Accept));
        let lane = Arc::new(lane(&[&relays.0, &relays.1]));
        practice.once(&lane).await;
        assert_eq!((relays.1.asked().len(), practice.count(state).await as i64), (second, all));
        // What is on record names the one that has the message.
        for entry in practice.dispatcher.outbox.list(&Filter::default()).await.unwrap() {
            let (deliveries, _) = practice.dispatcher.outbox.deliveries(entry.notice.key).await.unwrap();
            let over: Vec<_> = deliveries.iter().filter_map(|d| d.transport.as_deref()).collect();
            assert_eq!(over, [if second > 0 { "second" } else { "first" }]);
        }
    }
}

/// `connections` is a promise to each server: the wider one of two does not widen the other.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_relays_has_its_own_connections_and_no_more() {
    for (first, second, narrow) in [(2, 8, 2), (8, 2, 8)] {
        let practice = Practice::new(Some(at(NOW)));
        practice.walk(&due(40, "E", at(NOW))).await;
        let relays = (ScriptedTransport::new("first", first, Answer::Slow), ScriptedTransport::new("second", second, Answer::Slow));
        let lane = Arc::new(lane(&[&relays.0, &relays.1]));
        assert_eq!(practice.once(&lane).await.accepted, 40);
        assert_eq!((relays.0.asked().len(), relays.1.asked().len()), (40, 0), "a busy one is not at fault");
        assert!((2..=narrow).contains(&relays.0.most_at_once()), "{}", relays.0.most_at_once());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_puts_everybody_off_is_left_for_the_second() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(10, "E", at(NOW))).await;
    let relays = (ScriptedTransport::new("first", 1, Answer::Later), ScriptedTransport::new("second", 1, Answer::Accept));
    let lane = Arc::new(lane(&[&relays.0, &relays.1]));
    assert_eq!(practice.once(&lane).await.accepted, 9, "the one that was put off first waits for its time");
    practice.set(at("2026-11-24T12:02:00Z"));
    assert_eq!(practice.once(&lane).await.accepted, 1);
    assert!(relays.0.asked().len() <= 4, "{}", relays.0.asked().len());
    // It is alone: each message asks it again in its own time.
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(10, "E", at(NOW))).await;
    let relay = ScriptedTransport::new("first", 1, Answer::Later);
    practice.once(&Arc::new(self::lane(&[&relay]))).await;
    assert_eq!(relay.asked().len(), 10);
}

/// Its pause is over: one message asks for all, and the others do not wait for its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_at_fault_is_asked_by_one_message() {
    let practice = Practice::new(Some(at(NOW)));
    // Who was told stays where they are.
    let people = |count| due(count, "E", at("2026-11-24T17:00:00Z") - TimeDelta::minutes(count));
    practice.walk(&people(1)).await;
    let relays = (ScriptedTransport::new("first", 8, Answer::Fault(None)), ScriptedTransport::new("second", 8, Answer::Accept));
    let lane = Arc::new(lane(&[&relays.0, &relays.1]));
    practice.once(&lane).await;
    for (later, count, asked) in [("2026-11-24T12:00:31Z", 21, 2), ("2026-11-24T12:00:32Z", 41, 2), ("2026-11-24T12:02:00Z", 61, 3)] {
        practice.set(at(later));
        practice.walk(&people(count)).await;
        assert_eq!(practice.once(&lane).await.accepted, 20);
        assert_eq!(relays.0.asked().len(), asked, "{later}");
    }
    let told = Filter { states: vec![State::Accepted], ..Filter::default() };
    for entry in practice.dispatcher.outbox.list(&told).await.unwrap() {
        let (deliveries, _) = practice.dispatcher.outbox.deliveries(entry.notice.key).await.unwrap();
        assert_eq!(deliveries.last().and_then(|d| d.transport.as_deref()), Some("second"), "also of those that asked the first one");
    }
    let rerouted: Vec<String> = practice.ledger("rerouted").await;
    assert!(rerouted.is_empty(), "the first one was at fault before an envelope: nothing was on record for it");
    relays.0.answers(Answer::Accept);
    practice.set(at("2026-11-24T12:10:00Z"));
    practice.walk(&people(81)).await;
    practice.once(&lane).await;
    assert!(relays.0.asked().len() > 4, "it is well again");
    assert_eq!(practice.count(State::Accepted).await, 81);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_relay_is_preferred_again_after_its_pause() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(2, "E", at(NOW))).await;
    let relays = (ScriptedTransport::new("first", 1, Answer::Fault(None)), ScriptedTransport::new("second", 1, Answer::Accept));
    let lane = Arc::new(lane(&[&relays.0, &relays.1]));
    practice.once(&lane).await;
    assert_eq!((relays.0.asked().len(), relays.1.asked().len()), (1, 2), "the second message does not ask the one that pauses");
    relays.0.answers(Answer::Accept);
    practice.set(at("2026-11-24T12:00:31Z"));
    practice.walk(&due(4, "E", at(NOW))).await;
    practice.once(&lane).await;
    assert_eq!((relays.0.asked().len() - 1, relays.1.asked().len()), (practice.count(State::Accepted).await - 2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_first_is_told_first() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(300, "E", at(NOW))).await;
    let relay = ScriptedTransport::new("first", 1, Answer::Accept);
    practice.once(&Arc::new(lane(&[&relay]))).await;
    let starts: HashMap<NoticeKey, DateTime<Utc>> =
        practice.dispatcher.outbox.list(&Filter::default()).await.unwrap().iter().map(|e| (e.notice.key, e.notice.start)).collect();
    let told: Vec<DateTime<Utc>> = relay.asked().iter().map(|asked| starts[&asked.key]).collect();
    // What is claimed together (256) goes out in any order, and the next batch when half of it is out.
    let mut nearest: Vec<DateTime<Utc>> = starts.values().copied().collect();
    nearest.sort();
    assert!(told.len() >= 300 && told[..128].iter().all(|start| *start <= nearest[255]), "nearest to its start first");
    assert!(told[..10].iter().all(|start| *start < nearest[299]), "the last to start, which a source may list first, is not");
}

/// Real time: 40 messages at 20 a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_in_every_second() {
    let practice = Practice::new(None);
    practice.walk(&due(40, "E", practice.clock.now())).await;
    let relay = ScriptedTransport::new("first", 8, Answer::Accept);
    let lane = Arc::new(rated(&[(&relay, Some("20/s"))]));
    let began = Instant::now();
    assert_eq!(practice.once(&lane).await.accepted, 40, "`run --once` waits for the turns");
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    let times: Vec<Instant> = relay.asked().iter().map(|asked| asked.at).collect();
    for (n, first) in times.iter().enumerate() {
        // A task that woke late may stand closer to the next one.
        let within = times[n..].iter().take_while(|t| **t - *first < Duration::from_millis(900)).count();
        assert!(within <= 20, "{within} in less than a second");
    }
}

/// Of a slow rate no more is begun than has its turn soon: what waits can still change.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_turn_yet_is_not_begun() {
    let practice = Practice::new(None);
    practice.walk(&due(40, "E", practice.clock.now())).await;
    let relay = ScriptedTransport::new("first", 8, Answer::Accept);
    let lane = Arc::new(rated(&[(&relay, Some("60/min"))]));
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(Arc::clone(&practice.dispatcher).run(lane, Span::Until(stopped), Arc::new(Notify::new())));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waiting = practice.count(State::Waiting).await;
    assert!((1..=2).contains(&relay.asked().len()) && waiting >= 33, "{} asked, {waiting} wait", relay.asked().len());
    stop.send(true).unwrap();
    let tally = run.await.unwrap().unwrap();
    assert_eq!(practice.count(State::Sending).await + practice.count(State::Claimed).await, 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_relay_has_turns_of_its_own() {
    let practice = Practice::new(None);
    practice.walk(&due(10, "E", practice.clock.now())).await;
    let relays = (ScriptedTransport::new("first", 8, Answer::Fault(None)), ScriptedTransport::new("second", 8, Answer::Accept));
    let lane = Arc::new(rated(&[(&relays.0, None), (&relays.1, Some("10/s"))]));
    let began = Instant::now();
    practice.once(&lane).await;
    assert_eq!(relays.1.asked().len(), 10);
    assert!(began.elapsed() >= Duration::from_millis(850), "{:?}", began.elapsed());
}

/// The first relay takes the connection and says nothing: its time-outs are five minutes and ten, and the session may begin sooner.
#[tokio::test(start_paused = true)]
async fn a_relay_that_says_nothing_is_not_waited_for_where_another_is_well() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(10, "E", at(NOW))).await;
    let (first, second) = (ScriptedTransport::new("first", 4, Answer::Hang), ScriptedTransport::new("second", 4, Answer::Accept));
    let began = tokio::time::Instant::now();
    assert_eq!(practice.once(&Arc::new(lane(&[&first, &second]))).await.accepted, 10);
    assert!(began.elapsed() <= Duration::from_secs(35), "{:?}", began.elapsed());
    assert!(first.asked().len() <= 4 && second.asked().len() == 10, "{} {}", first.asked().len(), second.asked().len());
}

/// The lanes of `run --once` begin with the first part of a list, and end when the last one is out.
#[tokio::test(start_paused = true)]
async fn what_comes_while_a_walk_goes_on_leaves_in_the_same_run() {
    let practice = Practice::new(Some(at(NOW)));
    let (relay, wake) = (ScriptedTransport::new("first", 4, Answer::Accept), Arc::new(Notify::new()));
    let (walking, walked) = watch::channel(true);
    let span = Span::Beside(at(NOW), walked);
    let run = tokio::spawn(Arc::clone(&practice.dispatcher).run(Arc::new(lane(&[&relay])), span, Arc::clone(&wake)));
    let all = due(10, "E", at(NOW));
    for part in [3, 6, 10] {
        practice.walk(&Value::from(all.as_array().unwrap()[..part].to_vec())).await;
        if part == 10 {
            walking.send_replace(false);
        }
        wake.notify_one();
        while part < 10 && relay.asked().len() < part {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((run.await.unwrap().unwrap().accepted, relay.asked().len()), (10, 10));
}

/// One lane hangs for the whole test; the other one ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_hangs_delays_no_other() {
    let practice = Practice::new(Some(at(NOW)));
    let both = [due(50, "E", at(NOW)), due(50, "S", at(NOW))].map(|v| v.as_array().unwrap().clone());
    let mut sessions = both.concat();
    for (n, session) in sessions.iter_mut().enumerate() {
        session["SessionId"] = json!(n + 1);
        session["Participants"][0]["ParticipationId"] = json!(n + 1);
        session["Participants"][0]["ConnectCode"] = json!(300_000_000 + n);
    }
    practice.walk(&Value::from(sessions)).await;
    let (relay, gateway) = (ScriptedTransport::new("relay", 4, Answer::Hang), ScriptedTransport::new("gateway", 4, Answer::Accept));
    let span = Span::Once(at(NOW));
    let hanging = tokio::spawn(Arc::clone(&practice.dispatcher).run(Arc::new(lane(&[&relay])), span, Arc::new(Notify::new())));
    while relay.asked().len() < 4 {
        tokio::task::yield_now().await;
    }
    let texts = Lane::new(Channel::Sms, DoubtPolicy::Resend, vec![(Arc::clone(&gateway) as Arc<dyn Transport>).into()]);
    let tally = tokio::time::timeout(Duration::from_secs(20), practice.once(&Arc::new(texts))).await.expect("texts are not delayed");
    assert_eq!((tally.accepted, relay.asked().len()), (50, 4));
    hanging.abort();
}

/// What a server repeats of a person stands in no line of the log, and in no row, also where it is about the channel as a whole.
#[tokio::test]
async fn what_a_server_repeats_is_nowhere() {
    let answers: [fn(String) -> Outcome; 5] = [
        |why| Outcome::ChannelFault { why, after: None },
        |why| Outcome::Retry { why, after: None },
        |why| Outcome::Unknown { why },
        |reply| Outcome::Rejected { reply, remember: None },
        |reply| Outcome::Accepted { reply, reference: None },
    ];
    for answer in answers {
        let log = crate::staff::crawler::Log::default();
        let logging = log.begin();
        let practice = Practice::new(Some(at(NOW)));
        practice.walk(&due(6, "E", at(NOW))).await;
        let said = "421 4.7.0 TREVOR (trevor1) is not welcome here";
        let gossip = ScriptedTransport::new("gossip", 1, Answer::Behind(answer(said.to_owned())));
        let lane = Arc::new(Lane::new(Channel::Email, DoubtPolicy::Resend, vec![(gossip as Arc<dyn Transport>).into()]));
        practice.once(&lane).await;
        drop(logging);
        let rows = practice.dispatcher.outbox.ledger(None, 0, usize::MAX).await.unwrap();
        let rows = serde_json::to_string(&rows).unwrap();
        assert!(rows.contains("(...)"), "the test sees what was said: {rows}");
        for text in [log.text(), rows] {
            assert!(!text.to_lowercase().contains("trevor"), "{text}");
        }
    }
}
