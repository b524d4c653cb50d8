//! What waits: for a connection, for quiet hours, for the first look at its source, for a relay that is at fault. On a clock that goes on while a
//! message is handed over.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use punctual::clock::Clock;
use punctual::config;
use punctual::contact::Channel;
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::dispatch::looks::Looks;
use punctual::dispatch::{Dispatcher, Lane, Span, Tally};
use punctual::entry::{Phase, State};
use punctual::message::{Content, Message};
use punctual::notice::{NoticeKey, Reason};
use punctual::outbox::memory::MemoryOutbox;
use punctual::outbox::{Action, Filter, Outbox};
use punctual::outcome::Outcome;
use punctual::render::{Renderer, Settings};
use punctual::retry::DoubtPolicy;
use punctual::source::json;
use punctual::source::just_read::JustRead;
use punctual::walk;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::clock::{ManualClock, at};

/// Takes its time for each message, one after the other, and then does what it is told for the message of that number.
struct Relay {
    clocks: Arc<ManualClock>,
    takes: TimeDelta,
    down: Mutex<bool>,
    /// It takes the message, and its answer is lost.
    loses: Mutex<bool>,
    /// To whom, when it was begun.
    took: Mutex<Vec<(String, DateTime<Utc>)>>,
    after: Mutex<Option<After>>,
    told: Notify,
}

type After = Box<dyn FnMut(usize) + Send>;

#[async_trait]
impl Transport for Relay {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "relay"
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        if *self.down.lock().unwrap() {
            return Outcome::ChannelFault { why: "down".to_owned(), after: None };
        }
        if !doubt.pass().await {
            return Outcome::Fenced;
        }
        let begun = self.clocks.now();
        self.clocks.go_on(self.takes);
        let number = {
            let mut took = self.took.lock().unwrap();
            let to = match &message.content {
                Content::Email { to, .. } => to.expose().to_owned(),
                Content::Sms { to, .. } => to.expose().to_owned(),
            };
            took.push((to, begun));
            took.len()
        };
        if let Some(after) = self.after.lock().unwrap().as_mut() {
            after(number);
        }
        self.told.notify_one();
        if *self.loses.lock().unwrap() {
            return Outcome::Unknown { why: "the answer was lost".to_owned() };
        }
        Outcome::Accepted { reply: "ok".to_owned(), reference: None }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("ready".to_owned())
    }
}

impl Relay {
    fn new(clocks: &Arc<ManualClock>, takes: i64) -> Arc<Self> {
        Arc::new(Self {
            clocks: Arc::clone(clocks),
            takes: TimeDelta::seconds(takes),
            down: Mutex::new(false),
            loses: Mutex::new(false),
            took: Mutex::default(),
            after: Mutex::default(),
            told: Notify::new(),
        })
    }

    /// To whom, and after how many seconds.
    fn took(&self, since: DateTime<Utc>) -> Vec<(String, i64)> {
        self.took.lock().unwrap().iter().map(|(to, at)| (to.clone(), (*at - since).num_seconds())).collect()
    }

    fn lane(self: &Arc<Self>, channel: Channel) -> Arc<Lane> {
        Arc::new(Lane::new(channel, DoubtPolicy::Resend, vec![(Arc::clone(self) as Arc<dyn Transport>).into()]))
    }

    /// The flag that is raised when it has taken so many.
    fn stops_after(&self, messages: usize) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        *self.after.lock().unwrap() = Some(Box::new(move |number| {
            stop.send_replace(number >= messages);
        }));
        stopped
    }
}

struct Practice {
    dispatcher: Arc<Dispatcher>,
    clocks: Arc<ManualClock>,
}

impl Practice {
    fn new(now: DateTime<Utc>, more: &str) -> Self {
        let text = format!("[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n{more}\n");
        let config = config::parse(&text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let clocks = ManualClock::new(now);
        let renderer = Renderer::new(Settings { reference_key: [7; 32], ..config.render.clone() }).unwrap();
        let dispatcher = Dispatcher {
            outbox: Arc::new(MemoryOutbox::new([7; 32])),
            renderer: Arc::new(renderer),
            policy: Arc::new(config.policy),
            clock: Arc::clone(&clocks) as Arc<dyn Clock>,
            owner: "test".to_owned(),
            just_read: JustRead::default(),
            walks: std::sync::atomic::AtomicI64::new(0),
        };
        Self { dispatcher: Arc::new(dispatcher), clocks }
    }

    async fn walk(&self, sessions: &[Value]) {
        let snapshot = json::parse(Value::from(sessions).to_string().as_bytes()).unwrap();
        walk::walk(&*self.dispatcher.outbox, "sessions", &snapshot, &self.dispatcher.policy, self.clocks.now()).await.unwrap();
    }

    async fn run(&self, lane: &Arc<Lane>, span: Span) -> Tally {
        Arc::clone(&self.dispatcher).run(Arc::clone(lane), span, Arc::new(Notify::new())).await.unwrap()
    }

    async fn once(&self, lane: &Arc<Lane>) -> Tally {
        self.run(lane, Span::Once(self.clocks.now())).await
    }

    /// How many there are in this state, for this reason.
    async fn count(&self, state: State, reason: Option<Reason>) -> usize {
        let all = self.dispatcher.outbox.list(&Filter { states: vec![state], ..Filter::default() }).await.unwrap();
        all.iter().filter(|e| e.reason == reason).count()
    }
}

const NOW: &str = "2026-11-24T12:00:00Z";

fn session(id: i64, start: &str, channel: &str) -> Value {
    json!({ "SessionId": id, "ScheduleTs": start, "Participants": [{
        "ParticipationId": id, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": format!("p{id}@example.com"),
        "ParticipantSmsNumber": format!("+1404555{id:04}"), "ParticipantTimeZoneWindowsId": "Eastern Standard Time",
        "ConnectCode": 300_000_000 + id, "ShouldAutoDeliverCode": channel }] })
}

fn by_mail(ids: std::ops::RangeInclusive<i64>, start: &str) -> Vec<Value> {
    ids.map(|id| session(id, start, "E")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_waits_for_a_slow_relay_leaves_after_the_start() {
    let practice = Practice::new(at(NOW), "");
    practice.walk(&by_mail(1..=8, "2026-11-24T12:01:00")).await;
    let relay = Relay::new(&practice.clocks, 25);
    practice.once(&relay.lane(Channel::Email)).await;
    assert_eq!(relay.took(at(NOW)).iter().map(|(_, after)| *after).collect::<Vec<_>>(), [0, 25, 50]);
    assert_eq!(practice.count(State::Lapsed, Some(Reason::Started)).await + practice.count(State::Lapsed, Some(Reason::Lapsed)).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_begun_ahead_leaves_on_an_old_decision() {
    // Fast at first, so that many are begun; then each takes longer than a decision is in force.
    let practice = Practice::new(at(NOW), "");
    practice.walk(&by_mail(1..=40, "2026-11-24T12:10:00")).await;
    let relay = Relay::new(&practice.clocks, 0);
    let clocks = Arc::clone(&practice.clocks);
    *relay.after.lock().unwrap() = Some(Box::new(move |number| clocks.go_on(TimeDelta::seconds(if number > 3 { 45 } else { 0 }))));
    practice.once(&relay.lane(Channel::Email)).await;
    let late = relay.took(at(NOW)).iter().filter(|(_, after)| *after >= 600).count();
    assert_eq!(late, 0, "{:?}", relay.took(at(NOW)));
    assert_eq!(relay.took(at(NOW)).len(), 17, "three at once, one each 45 seconds");
    assert_eq!(practice.count(State::Waiting, None).await, 0, "the others have lapsed");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_wait_for_a_slow_gateway_are_kept_out_of_quiet_hours() {
    // 20:58 in New York; sessions at noon of the next day.
    let now = at("2026-11-25T01:58:00Z");
    let practice = Practice::new(now, "");
    let sessions: Vec<Value> = (1..=20).map(|id| session(id, "2026-11-25T17:00:00", "S")).collect();
    practice.walk(&sessions).await;
    let gateway = Relay::new(&practice.clocks, 20);
    let lane = gateway.lane(Channel::Sms);
    practice.once(&lane).await;
    assert!(gateway.took(now).iter().all(|(_, after)| *after < 120), "{:?}", gateway.took(now));
    assert_eq!(gateway.took(now).len(), 6);
    practice.clocks.set(at("2026-11-25T13:00:00Z"));
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 14, "the others in the morning");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_due_later_and_is_more_urgent_overtakes() {
    let practice = Practice::new(at(NOW), "");
    let later = by_mail(1..=5, "2026-11-24T18:00:00");
    practice.walk(&later).await;
    // Booked in a quarter of a minute.
    practice.clocks.set(at(NOW) + TimeDelta::seconds(15));
    practice.walk(&[later, vec![session(6, "2026-11-24T12:30:00", "E")]].concat()).await;
    practice.clocks.set(at(NOW));
    let relay = Relay::new(&practice.clocks, 10);
    let stopped = relay.stops_after(6);
    practice.run(&relay.lane(Channel::Email), Span::Until(stopped)).await;
    let took = relay.took(at(NOW));
    assert_eq!((took.len(), took[2].clone()), (6, ("p6@example.com".to_owned(), 20)), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_at_fault_is_asked_again_in_time_for_what_is_urgent() {
    let practice = Practice::new(at(NOW), "");
    let far = session(1, "2026-11-26T12:00:00", "E");
    practice.walk(std::slice::from_ref(&far)).await;
    let relay = Relay::new(&practice.clocks, 1);
    let lane = relay.lane(Channel::Email);
    *relay.down.lock().unwrap() = true;
    // It has been down for long: the pause is the longest.
    for _ in 0..12 {
        practice.once(&lane).await;
        practice.clocks.go_on(TimeDelta::minutes(31));
    }
    practice.once(&lane).await;
    let now = practice.clocks.now();
    let soon = (now + TimeDelta::minutes(24)).format("%Y-%m-%dT%H:%M:00").to_string();
    practice.walk(&[far, session(2, &soon, "E")]).await;
    practice.once(&lane).await;
    *relay.down.lock().unwrap() = false;
    practice.clocks.go_on(TimeDelta::seconds(6 * 60 + 30));
    practice.once(&lane).await;
    assert_eq!(relay.took(now)[0], ("p2@example.com".to_owned(), 390), "a quarter of what was left has passed");
}

/// Paused time passes when nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_the_first_look_at_each_source_has_ended() {
    let practice = Practice::new(at(NOW), "");
    practice.walk(&by_mail(1..=2, "2026-11-24T18:00:00")).await;
    let relay = Relay::new(&practice.clocks, 0);
    let looks = Arc::new(Looks::new(Arc::clone(&practice.clocks) as Arc<dyn Clock>, vec!["a".to_owned(), "b".to_owned()]));
    let stopped = relay.stops_after(4);
    let (lane, span) = (relay.lane(Channel::Email), Span::Looking(stopped, Arc::clone(&looks)));
    let running = tokio::spawn(Arc::clone(&practice.dispatcher).run(lane, span, Arc::new(Notify::new())));
    looks.end_of("a", looks.begin());
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(relay.took(at(NOW)), [], "one of two has been asked");
    looks.end_of("b", looks.begin());
    while relay.took(at(NOW)).len() < 2 {
        relay.told.notified().await;
    }
    // The clock is set: what was asked before it says nothing.
    practice.clocks.set(at("2026-11-24T14:00:00Z"));
    practice.walk(&by_mail(1..=4, "2026-11-24T18:00:00")).await;
    let begun = looks.begin();
    looks.end_of("a", begun);
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(relay.took(at(NOW)).len(), 2);
    // One that hangs is waited for a minute.
    tokio::time::sleep(std::time::Duration::from_secs(31)).await;
    assert_eq!(running.await.unwrap().unwrap().accepted, 4);
}

/// A clock that was ahead by three days: what lapsed by it waits again, and what it had seen is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn what_lapsed_by_a_clock_that_was_wrong_waits_again() {
    let practice = Practice::new(at(NOW), "[[reminder]]\nname = \"1h\"\nbefore = \"1h\"\n");
    let sessions = by_mail(1..=1, "2026-11-26T15:00:00");
    let relay = Relay::new(&practice.clocks, 0);
    let lane = relay.lane(Channel::Email);
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 1, "the invite");
    practice.clocks.set(at("2026-11-27T12:00:00Z"));
    practice.walk(&sessions).await;
    practice.once(&lane).await;
    assert_eq!(practice.count(State::Waiting, None).await, 0, "by that clock the session is over");
    practice.clocks.set(at("2026-11-24T12:05:00Z"));
    practice.dispatcher.outbox.plan_anew().await.unwrap();
    practice.walk(&sessions).await;
    assert_eq!(practice.count(State::Waiting, None).await, 1);
    practice.clocks.set(at("2026-11-26T14:00:00Z"));
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 1, "the reminder");
}

/// An invite that went by a clock that was ahead, just before the reminder by that clock, was not told then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_by_a_clock_that_was_ahead_keeps_no_reminder_away() {
    let practice = Practice::new(at(NOW), "[[reminder]]\nname = \"1h\"\nbefore = \"1h\"\n");
    let sessions = by_mail(1..=1, "2026-11-26T15:00:00");
    let lane = Relay::new(&practice.clocks, 0).lane(Channel::Email);
    practice.clocks.set(at("2026-11-26T13:50:00Z"));
    practice.walk(&sessions).await;
    practice.clocks.set(at("2026-11-26T13:55:00Z"));
    assert_eq!(practice.once(&lane).await.accepted, 1, "the invite");
    practice.clocks.set(at("2026-11-24T12:05:00Z"));
    practice.dispatcher.outbox.plan_anew().await.unwrap();
    practice.walk(&sessions).await;
    practice.clocks.set(at("2026-11-26T14:00:00Z"));
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 1, "the reminder");
}

/// Whoever left a list by a clock that was ahead is told so by the right one, and not at the hour that the wrong one showed.
#[tokio::test(flavor = "multi_thread")]
async fn what_left_a_list_by_a_clock_that_was_ahead_is_called_off_by_the_right_one() {
    let practice = Practice::new(at("2026-11-24T12:00:00Z"), "");
    let lane = Relay::new(&practice.clocks, 0).lane(Channel::Email);
    let (both, one) = (by_mail(1..=2, "2026-11-28T15:00:00"), by_mail(2..=2, "2026-11-28T15:00:00"));
    practice.walk(&both).await;
    assert_eq!(practice.once(&lane).await.accepted, 2, "the invites");
    for minute in [1, 6, 12] {
        practice.clocks.set(at("2026-11-26T12:00:00Z") + TimeDelta::minutes(minute));
        practice.walk(&one).await;
    }
    assert_eq!(practice.count(State::Waiting, None).await, 3, "the cancellation, and the reminders of the other one");
    practice.clocks.set(at("2026-11-24T12:20:00Z"));
    practice.dispatcher.outbox.absences_anew().await.unwrap();
    practice.dispatcher.outbox.plan_anew().await.unwrap();
    practice.walk(&one).await;
    practice.clocks.go_on(TimeDelta::minutes(3));
    assert_eq!(practice.once(&lane).await.accepted, 1, "the cancellation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_time_to_come_is_not_believed() {
    let practice = Practice::new(at(NOW), "");
    let sessions = by_mail(1..=1, "2026-11-26T15:00:00");
    practice.clocks.set(at("2026-11-24T17:00:00Z"));
    practice.walk(&sessions).await;
    practice.clocks.set(at(NOW));
    let lane = Relay::new(&practice.clocks, 0).lane(Channel::Email);
    practice.run(&lane, Span::Once(at("2026-11-24T17:00:00Z"))).await;
    assert_eq!(practice.count(State::Held, Some(Reason::SourceStale)).await, 1);
    // The source answers: all of it is planned by the right clock.
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 1);
}

/// The invite said "tomorrow", and its answer was lost: after midnight there is no second copy of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_does_not_say_tomorrow_on_the_day_itself() {
    // Five to midnight, and twenty to, in New York.
    for (begun, copies) in [("2026-11-26T04:55:00Z", 1), ("2026-11-26T04:40:00Z", 2)] {
        let practice = Practice::new(at(begun), "");
        practice.walk(&by_mail(1..=1, "2026-11-26T15:00:00")).await;
        let relay = Relay::new(&practice.clocks, 1);
        let lane = relay.lane(Channel::Email);
        *relay.loses.lock().unwrap() = true;
        assert_eq!(practice.once(&lane).await.unknown, 1);
        *relay.loses.lock().unwrap() = false;
        practice.clocks.go_on(TimeDelta::minutes(10));
        practice.once(&lane).await;
        assert_eq!(relay.took(at(begun)).len(), copies, "{begun}");
    }
}

/// A relay that makes the program panic while the first message is prepared for it.
struct Defective {
    relay: Arc<Relay>,
    /// How often it was asked for its name.
    asked: AtomicUsize,
}

#[async_trait]
impl Transport for Defective {
    fn name(&self) -> &str {
        assert_ne!(self.asked.fetch_add(1, Ordering::Relaxed), 0, "a defect");
        self.relay.name()
    }

    fn concurrency(&self) -> usize {
        self.relay.concurrency()
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        self.relay.deliver(message, doubt).await
    }

    async fn probe(&self) -> Result<String, String> {
        self.relay.probe().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_made_is_held_and_the_others_go() {
    let practice = Practice::new(at(NOW), "");
    practice.walk(&by_mail(1..=3, "2026-11-24T18:00:00")).await;
    let relay = Relay::new(&practice.clocks, 1);
    let defective: Arc<dyn Transport> = Arc::new(Defective { relay: Arc::clone(&relay), asked: AtomicUsize::new(0) });
    let lane = Arc::new(Lane::new(Channel::Email, DoubtPolicy::Resend, vec![defective.into()]));
    assert_eq!(practice.once(&lane).await.accepted, 2, "the others go, and the process goes on");
    assert_eq!(practice.count(State::Held, Some(Reason::Template)).await, 1);
    assert_eq!(practice.once(&lane).await.accepted, 0, "no start meets it again");
    let held = practice.dispatcher.outbox.list(&Filter { states: vec![State::Held], ..Filter::default() }).await.unwrap();
    practice.dispatcher.outbox.act(&[held[0].notice.key], Action::Release, practice.clocks.now()).await.unwrap();
    assert_eq!(practice.once(&lane).await.accepted, 1, "until somebody releases it");
    assert_eq!(relay.took(at(NOW)).len(), 3);
}

/// How many are past their point of no return, once the ends of others are written: so many, or it is what it is.
async fn in_doubt(outbox: &dyn Outbox, expected: usize) -> usize {
    let mut found = 0;
    for _ in 0..200 {
        let sending = outbox.list(&Filter { states: vec![State::Sending], ..Filter::default() }).await.unwrap();
        found = sending.iter().filter(|e| e.phase == Some(Phase::Doubt)).count();
        if found == expected {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    found
}

/// While a quick relay has a message, the next one passes its point of no return in the store, and that one alone. Where nobody sends the second copy
/// of what is in doubt by himself, none does.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_message_is_taken_ahead_and_given_back_at_a_stop() {
    for (doubt, ahead) in [(DoubtPolicy::Resend, 1), (DoubtPolicy::Hold, 0)] {
        let practice = Practice::new(at(NOW), "");
        practice.walk(&by_mail(1..=9, "2026-11-24T18:00:00")).await;
        let relay = Relay::new(&practice.clocks, 0);
        let (stop, stopped) = watch::channel(false);
        let (outbox, taken) = (Arc::clone(&practice.dispatcher.outbox), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&taken);
        *relay.after.lock().unwrap() = Some(Box::new(move |number| {
            if number < 5 {
                // As long as a relay takes: whoever is next is in the queue by then.
                tokio::task::block_in_place(|| std::thread::sleep(std::time::Duration::from_millis(20)));
            }
            if number == 5 {
                let in_doubt = in_doubt(&*outbox, 1 + ahead);
                seen.store(tokio::task::block_in_place(|| Handle::current().block_on(in_doubt)), Ordering::Relaxed);
                stop.send_replace(true);
            }
        }));
        let lane = Arc::new(Lane::new(Channel::Email, doubt, vec![(Arc::clone(&relay) as Arc<dyn Transport>).into()]));
        let tally = practice.run(&lane, Span::Until(stopped)).await;
        assert_eq!((relay.took(at(NOW)).len(), tally.accepted, tally.unknown), (5, 5, 0));
        assert_eq!(taken.load(Ordering::Relaxed), 1 + ahead, "the one on the connection, and whoever is next");
        assert_eq!(
            practice.count(State::Waiting, None).await,
            4 + 9,
            "of theirs nothing was sent: the invites wait, as each one's reminder does"
        );
    }
}

/// Two connections. It takes each message at once, and keeps its answer to one of them until it is let go on.
#[derive(Default)]
struct Keeps {
    number: usize,
    took: Mutex<Vec<NoticeKey>>,
    /// Who was said to be next, on the connection of whom.
    named: Mutex<Vec<(NoticeKey, NoticeKey)>>,
    go_on: Notify,
}

#[async_trait]
impl Transport for Keeps {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "relay"
    }

    fn concurrency(&self) -> usize {
        2
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        assert!(doubt.pass().await);
        let number = {
            let mut took = self.took.lock().unwrap();
            took.push(message.key);
            took.len()
        };
        if let Some(next) = doubt.next() {
            self.named.lock().unwrap().push((message.key, next.key));
        }
        // As long as a relay takes: whoever waits is in the queue before both connections are free again.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if number == self.number {
            self.go_on.notified().await;
        }
        Outcome::Accepted { reply: "ok".to_owned(), reference: None }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("ready".to_owned())
    }
}

/// Whoever is next on a connection whose server keeps its answer back goes over another one.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_next_behind_a_message_without_an_answer_goes_over_another_connection() {
    let practice = Practice::new(at(NOW), "");
    practice.walk(&by_mail(1..=20, "2026-11-24T18:00:00")).await;
    let relay = Arc::new(Keeps { number: 9, ..Keeps::default() });
    let lane = Arc::new(Lane::new(Channel::Email, DoubtPolicy::Resend, vec![(Arc::clone(&relay) as Arc<dyn Transport>).into()]));
    let all_others = async {
        while relay.took.lock().unwrap().len() < 20 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        relay.go_on.notify_one();
    };
    let all_others = tokio::time::timeout(std::time::Duration::from_secs(30), all_others);
    let (tally, all_others) = tokio::join!(practice.once(&lane), all_others);
    assert!(all_others.is_ok(), "one waits behind it");
    assert_eq!(tally.accepted, 20);
    let took: BTreeSet<NoticeKey> = relay.took.lock().unwrap().iter().copied().collect();
    assert_eq!((took.len(), relay.took.lock().unwrap().len()), (20, 20), "each once");
    let named = relay.named.lock().unwrap();
    assert!(!named.is_empty() && named.iter().all(|(on, next)| on != next && took.contains(next)));
}
