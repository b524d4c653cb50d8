//! A reload: what is past its point of no return is waited for, the letter to the practice and an answer to a reply as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use punctual::config;
use punctual::contact::PhoneNumber;
use punctual::daemon::{Ending, Engine};
use punctual::entry::{Entry, State};
use punctual::feedback::answer::Answer;
use punctual::feedback::reply::{AcceptedReply, Changes, reply_key};
use punctual::feedback::word::Word;
use punctual::outbox::Filter;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::push::no_trust;
use crate::servers::{Gate, http, smtp};

/// The daemon of a practice that is pushed to, as it runs.
pub(crate) struct Daemon {
    pub(crate) engine: Arc<Engine>,
    told: watch::Sender<Ending>,
    serving: JoinHandle<anyhow::Result<()>>,
    folder: TempDir,
}

impl Daemon {
    async fn start(more: &str, before: impl AsyncFnOnce(&Engine)) -> Self {
        Self::begin(tempfile::tempdir().unwrap(), more, before).await
    }

    pub(crate) async fn begin(folder: TempDir, more: &str, before: impl AsyncFnOnce(&Engine)) -> Self {
        let text = format!(
            "[practice]\nname = \"Lakeside\"\ntime_zone = \"UTC\"\n[store]\nurl = \"sqlite://punctual.db\"\n[daemon]\nstop_within = \"1s\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\n[[source]]\nname = \"desk\"\nkind = \"push\"\ntoken = \"desk-0123456789abcdef0123456\"\n{more}"
        );
        let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let engine = Arc::new(Engine::start(config, Arc::new(WallClock)).await.unwrap());
        before(&engine).await;
        let (told, telling) = watch::channel(Ending::NotYet);
        let serving = tokio::spawn(Arc::clone(&engine).serve(telling));
        Self { engine, told, serving, folder }
    }

    /// It is told to stop, and stops: its folder is left.
    pub(crate) async fn end(self) -> TempDir {
        self.told.send_replace(Ending::Stop);
        self.serving.await.unwrap().unwrap();
        drop(self.engine);
        self.folder
    }

    async fn is_listed(&self, sessions: &[Value]) {
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(no_trust()).build().unwrap();
        let url = format!("http://{}/api/v1/sources/desk/sessions", self.engine.address().await);
        let put = client.put(url).bearer_auth("desk-0123456789abcdef0123456").header("content-type", "application/json");
        assert!(put.body(json!(sessions).to_string()).send().await.unwrap().status().is_success());
    }

    /// Whether its only transport of that channel pauses, as it shows.
    async fn pauses(&self, channel: &str) -> bool {
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(no_trust()).build().unwrap();
        let shown = client.get(format!("http://{}/metrics", self.engine.address().await)).send().await.unwrap().text().await.unwrap();
        let line = format!("punctual_transport_paused{{channel=\"{channel}\"");
        shown.lines().find(|shown| shown.starts_with(&line)).expect("it is shown").ends_with(" 1")
    }

    /// Its only message, once it was tried so that this holds.
    async fn message(&self, holds: impl Fn(&Entry) -> bool) -> Entry {
        let found = async {
            loop {
                let all = self.engine.outbox().list(&Filter::default()).await.unwrap();
                if let Some(entry) = all.into_iter().find(|entry| entry.notice.rule.is_none() && holds(entry)) {
                    return entry;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.expect("it comes to that soon")
    }

    /// It is told to reload while a server waits at the gate, and ends once that one is let go on: however long it takes.
    async fn reload_at(mut self, gate: &Gate) -> Arc<Engine> {
        gate.is_reached().await;
        self.told.send_replace(Ending::Reload);
        let longer_than_it_may_stop = Duration::from_millis(1500);
        assert!(tokio::time::timeout(longer_than_it_may_stop, &mut self.serving).await.is_err(), "it waits for the answer");
        gate.open();
        self.serving.await.unwrap().unwrap();
        self.engine
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_under_way_keeps_its_time() {
    let gate = Gate::shut();
    let at_the_dot = Arc::clone(&gate);
    let relay = smtp::Server::start(move |at| (at.verb == ".").then(|| smtp::Step::Gate(Arc::clone(&at_the_dot), "250 2.0.0 Ok"))).await;
    let more = format!(
        "[digest]\nto = [\"front-desk@example.org\"]\nat = \"0 0 * * * *\"\nalways = true\n[email]\nfrom = \"Lakeside <a@example.org>\"\n\
         [[email.relay]]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
        relay.port
    );
    let daemon = Daemon::start(&more, async |_| {}).await;
    let engine = daemon.reload_at(&gate).await;
    let hour = WallClock.now().timestamp() / 3600 * 3600;
    let mut letters = Vec::new();
    for hour in [hour, hour - 3600] {
        letters.extend(engine.outbox().staff_letters(chrono::DateTime::from_timestamp(hour, 0).unwrap()).await.unwrap());
    }
    assert_eq!(letters.iter().map(|letter| letter.state).collect::<Vec<_>>(), [State::Accepted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_keeps_its_time() {
    let gate = Gate::shut();
    let http::Reply::Bytes(taken) = http::answer(200, "", "{\"id\": \"7\"}") else { unreachable!() };
    let gateway = http::Server::start(http::Reply::Gate(Arc::clone(&gate), taken)).await;
    let more = format!(
        "[[sms.gateway]]\nkind = \"http\"\nurl = \"http://127.0.0.1:{}/\"\nbody = \"{{{{ text }}}}\"\nreference_pointer = \"/id\"\n",
        gateway.port
    );
    let said_stop = async |engine: &Engine| {
        let from = PhoneNumber::parse("+14045550133", "US").unwrap();
        let answer = Some((Answer::Stopped, "en-US".to_owned()));
        let key = reply_key("http", "", "1");
        let taken = AcceptedReply { key, from, word: Word::Stop, change: Changes::OptOut, answer, for_staff: None };
        assert!(engine.outbox().reply(WallClock.now(), taken).await.unwrap());
    };
    let daemon = Daemon::start(&more, said_stop).await;
    let engine = daemon.reload_at(&gate).await;
    let rows = engine.outbox().ledger(None, 0, 100).await.unwrap();
    let ended: Vec<_> = rows.iter().filter(|row| row.event == "answer").filter_map(|row| row.detail.clone()).collect();
    assert!(ended.len() == 1 && ended[0].contains("accepted"), "{rows:?}");
}

/// What invites at once, over a mail server at that port.
fn by_mail(port: u16) -> String {
    format!(
        "[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n[quiet_hours]\nchannels = []\n[email]\nfrom = \"Lakeside <a@example.org>\"\n\
         [[email.relay]]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
    )
}

/// In three hours.
fn session(id: i64, way: &str) -> Value {
    let start = (WallClock.now() + TimeDelta::hours(3)).format("%Y-%m-%dT%H:00:00").to_string();
    json!({ "SessionId": id, "ScheduleTs": start, "Participants": [{ "ParticipationId": id * 10, "ConnectCode": 700 + id,
        "ParticipantEmailAddress": "trevor@example.com", "ParticipantSmsNumber": "404-555-0133", "ParticipantTimeZoneWindowsId": "UTC",
        "ShouldAutoDeliverCode": way }] })
}

/// A mail server refused to talk; somebody mended it, and started the service again: nobody waits for a pause that was made for the fault.
#[test]
fn a_mended_server_is_tried_at_the_start() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (world, before, after) = (runtime(), runtime(), runtime());
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let relay = world.block_on(smtp::Server::start(move |at| {
        (at.verb == "banner" && !is_well.load(Ordering::SeqCst)).then(|| smtp::Step::Say("421 4.3.2 no service today".to_owned()))
    }));
    let folder = before.block_on(async {
        let daemon = Daemon::start(&by_mail(relay.port), async |_| {}).await;
        daemon.is_listed(&[session(1, "E")]).await;
        let waits = daemon.message(|entry| entry.next_attempt_at.is_some_and(|at| at > WallClock.now() + TimeDelta::seconds(20))).await;
        assert_eq!(waits.state, State::Waiting);
        daemon.told.send_replace(Ending::Stop);
        daemon.serving.await.unwrap().unwrap();
        daemon.folder
    });
    // All that it began ends with it.
    before.shutdown_timeout(Duration::from_secs(20));
    well.store(true, Ordering::SeqCst);
    after.block_on(async {
        let daemon = Daemon::begin(folder, &by_mail(relay.port), async |_| {}).await;
        daemon.is_listed(&[session(1, "E")]).await;
        daemon.message(|entry| entry.state == State::Accepted).await;
    });
}

/// A gateway answered 429 with `Retry-After`: whoever starts the service has not mended that, and nobody asks it any sooner.
#[test]
fn a_restart_keeps_the_pause_that_a_gateway_asked_for() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (world, before, after) = (runtime(), runtime(), runtime());
    let gateway = world.block_on(http::Server::start(http::answer(429, "Retry-After: 600\r\n", "{}")));
    let more = format!(
        "{}[[sms.gateway]]\nkind = \"http\"\nurl = \"http://127.0.0.1:{}/\"\nbody = \"{{{{ text }}}}\"\nreference_pointer = \"/id\"\n",
        by_mail(9),
        gateway.port
    );
    let folder = before.block_on(async {
        let daemon = Daemon::start(&more, async |_| {}).await;
        daemon.is_listed(&[session(1, "S")]).await;
        daemon.message(|entry| entry.next_attempt_at.is_some_and(|at| at > WallClock.now() + TimeDelta::minutes(9))).await;
        assert!(daemon.pauses("sms").await);
        daemon.end().await
    });
    before.shutdown_timeout(Duration::from_secs(20));
    after.block_on(async {
        let daemon = Daemon::begin(folder, &more, async |_| {}).await;
        assert!(daemon.pauses("sms").await, "as before");
        assert_eq!(gateway.requests().len(), 1);
    });
}

/// Texts, while a mail server owes an answer for as long as ten minutes.
#[tokio::test(flavor = "multi_thread")]
async fn no_channel_waits_for_another_ones_server() {
    waits_for_a_mail_server(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_reload_that_waits() {
    waits_for_a_mail_server(false).await;
}

async fn waits_for_a_mail_server(answers: bool) {
    let gate = Gate::shut();
    let at_the_dot = Arc::clone(&gate);
    let relay = smtp::Server::start(move |at| (at.verb == ".").then(|| smtp::Step::Gate(Arc::clone(&at_the_dot), "250 2.0.0 Ok"))).await;
    let gateway = http::Server::start(http::answer(200, "", "{\"id\": \"7\"}")).await;
    let more = format!(
        "{}\
         [[sms.gateway]]\nkind = \"http\"\nurl = \"http://127.0.0.1:{}/\"\nbody = \"{{{{ text }}}}\"\nreference_pointer = \"/id\"\n",
        by_mail(relay.port),
        gateway.port
    );
    let mut daemon = Daemon::start(&more, async |_| {}).await;
    daemon.is_listed(&[session(1, "E")]).await;
    gate.is_reached().await;
    daemon.told.send_replace(Ending::Reload);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    daemon.is_listed(&[session(1, "E"), session(2, "S")]).await;
    let went = async {
        while gateway.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), went).await.expect("the text does not wait for the mail server");
    assert!(!daemon.serving.is_finished(), "the mail server still owes its answer");
    let mut states = vec![State::Accepted];
    if answers {
        gate.open();
        states.push(State::Accepted);
        (&mut daemon.serving).await.unwrap().unwrap();
    } else {
        daemon.told.send_replace(Ending::Stop);
        // One second, and what it takes to close.
        tokio::time::timeout(Duration::from_secs(20), &mut daemon.serving).await.expect("a stop waits for nobody").unwrap().unwrap();
        states.push(State::Sending);
    }
    let mut found: Vec<State> =
        daemon.engine.outbox().list(&Filter::default()).await.unwrap().into_iter().map(|entry| entry.state).collect();
    gate.open();
    found.retain(|state| matches!(state, State::Accepted | State::Sending));
    found.sort_by_key(|state| *state == State::Sending);
    assert_eq!(found, states);
}
