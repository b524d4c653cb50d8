//! The server, over real sockets: what is pushed is in the store before it is answered, and whoever may not push changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use punctual::config;
use punctual::daemon::Engine;
use punctual::entry::State;
use punctual::notice::Reason;
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Filter, Queries};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::servers::http::{Meeting, Reply, Server, answer};

mod limits;

pub(crate) const TOKEN: &str = "front-desk-0123456789abcdef";
const OTHER: &str = "back-office-0123456789abcdef";
const HOOK: &str = "hook-0123456789abcdef0123456789";

/// The daemon of a practice whose front desk pushes.
pub(crate) struct Practice {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) engine: Arc<Engine>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) serving: JoinHandle<anyhow::Result<()>>,
    pub(crate) address: String,
    pub(crate) client: Client,
}

impl Practice {
    pub(crate) async fn open() -> Self {
        Self::with("").await
    }

    pub(crate) async fn with(more: &str) -> Self {
        Self::of(tempfile::tempdir().unwrap(), &Self::text(more)).await
    }

    /// The configuration, with more after it.
    pub(crate) fn text(more: &str) -> String {
        format!(
            "[practice]\nname = \"Lakeside Telehealth\"\nhosts = false\n[adopt]\ninvites = true\n[store]\nurl = \"sqlite://punctual.db\"\n\
             [email]\nfrom = \"Lakeside <sessions@example.org>\"\n[[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\nwebhook_token = \"{HOOK}\"\nusers_file = \"users.toml\"\n\
             [[source]]\nname = \"front desk\"\nkind = \"push\"\ntoken = \"{TOKEN}\"\n\
             [[source]]\nname = \"back-office\"\nkind = \"push\"\ntoken = \"{OTHER}\"\n{more}"
        )
    }

    /// Of that configuration, in that folder.
    pub(crate) async fn of(folder: tempfile::TempDir, text: &str) -> Self {
        let config = config::parse(text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let engine = Arc::new(Engine::start(config, Arc::new(WallClock)).await.unwrap());
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(Arc::clone(&engine).serve(stopped));
        let address = format!("http://{}", engine.address().await);
        let client = Client::builder().no_proxy().tls_backend_preconfigured(no_trust()).build().unwrap();
        Self { folder, engine, stop, serving, address, client }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, token: &str, body: String) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.address)).bearer_auth(token);
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    }

    /// The front desk puts its list.
    pub(crate) async fn list(&self, sessions: &[Value]) -> (u16, Value) {
        said(self.ask(Method::PUT, "/api/v1/sources/front%20desk/sessions", TOKEN, json!(sessions).to_string()).await).await
    }

    /// The front desk puts a session.
    async fn put(&self, id: i64, session: &Value) -> (u16, Value) {
        said(self.ask(Method::PUT, &format!("/api/v1/sources/front%20desk/sessions/{id}"), TOKEN, session.to_string()).await).await
    }

    async fn delete(&self, id: &str) -> (u16, Value) {
        said(self.ask(Method::DELETE, &format!("/api/v1/sources/front%20desk/sessions/{id}"), TOKEN, String::new()).await).await
    }

    /// What a command says beside it.
    fn commands(&self) -> impl Fn(&[&str]) -> String + use<> {
        let folder = self.folder.path().to_owned();
        let file = folder.join("punctual.toml");
        std::fs::write(&file, Practice::text("")).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        move |arguments| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
            let done = command.args(arguments).current_dir(&folder).output().unwrap();
            String::from_utf8(done.stdout).unwrap()
        }
    }

    /// Session and state of all notices, as another process reads them from the disk.
    async fn notices(&self) -> Vec<(i64, State)> {
        let url = format!("sqlite://{}", self.database().display());
        let entries = SqliteOutbox::open(&url, Access::Command).unwrap().list(&Filter::default()).await.unwrap();
        let mut all: Vec<_> = entries.iter().map(|e| (e.notice.session.0, e.state)).collect();
        all.sort_unstable();
        all
    }

    /// Sessions with an omission for that reason.
    async fn omitted(&self, reason: Reason) -> Vec<i64> {
        let omissions = self.engine.outbox().omissions(&Filter::default()).await.unwrap();
        let mut ids: Vec<i64> = omissions.iter().filter(|o| o.reason == reason).filter_map(|o| o.session).map(|id| id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("punctual.db")
    }

    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        self.serving.await.unwrap().unwrap();
    }
}

/// No test speaks TLS here.
pub(crate) fn no_trust() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    versions.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

pub(crate) async fn said(response: Response) -> (u16, Value) {
    let (status, body) = (response.status().as_u16(), response.text().await.unwrap());
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// In three days, with a host and one participant.
pub(crate) fn session(id: i64, code: i64) -> Value {
    let start = (WallClock.now() + TimeDelta::days(3)).format("%Y-%m-%dT%H:00:00").to_string();
    json!({ "SessionId": id, "ScheduleTs": start, "Participants": [
        { "ParticipationId": id * 10, "ParticipantFullName": "A. MacGuffin", "ShouldAutoDeliverCode": "N" },
        { "ParticipationId": id * 10 + 1, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": "trevor@example.com",
          "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ConnectCode": code, "ShouldAutoDeliverCode": "E" },
    ]})
}

/// An invite and two reminders.
const EACH: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_durable_before_it_is_answered() {
    let practice = Practice::open().await;
    let (status, receipt) = practice.list(&[session(1, 111_111_111), session(2, 222_222_222)]).await;
    assert_eq!(practice.notices().await.len(), 2 * EACH, "a moment after the answer");
    assert_eq!(status, 200);
    assert_eq!(receipt, json!({ "sessions": 2, "planned": 2, "added": 6, "moved": 0, "ended": 0, "guarded": 0, "faults": [] }));
    let (_, again) = practice.list(&[session(1, 111_111_111), session(2, 222_222_222)]).await;
    assert_eq!((&again["planned"], &again["added"]), (&json!(0), &json!(0)), "it is the same list");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_named_and_stops_no_other() {
    let practice = Practice::open().await;
    let mut bad_code = session(2, 222_222_222);
    bad_code["Participants"][1]["ConnectCode"] = json!("call Ray Chalk");
    let (status, receipt) = practice.list(&[session(1, 111_111_111), bad_code, json!({ "SessionId": 3, "ScheduleTs": "soon" })]).await;
    assert_eq!((status, practice.notices().await.len()), (200, EACH));
    let faults: Vec<(&str, &Value)> =
        receipt["faults"].as_array().unwrap().iter().map(|f| (f["path"].as_str().unwrap(), &f["session"])).collect();
    assert_eq!(faults, [("[2].ScheduleTs", &json!(3)), ("[1].Participants[1].ConnectCode", &json!(2))]);
    assert!(!receipt.to_string().contains("Chalk"), "{receipt}");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_merged_and_the_rest_stands_unchanged() {
    let practice = Practice::open().await;
    let (status, problem) = practice.put(1, &session(1, 111_111_111)).await;
    assert_eq!(status, 409, "there is nothing to merge into: {problem}");
    assert_eq!(practice.list(&[]).await.0, 200);
    for (id, code) in [(1, 111_111_111), (2, 222_222_222)] {
        let (status, receipt) = practice.put(id, &session(id, code)).await;
        assert_eq!((status, &receipt["sessions"], &receipt["planned"], &receipt["added"]), (200, &json!(id), &json!(1), &json!(EACH)));
    }
    assert_eq!(practice.notices().await.len(), 2 * EACH);
    let (_, receipt) = practice.put(3, &session(3, 111_111_111)).await;
    assert_eq!(receipt["planned"], 2, "another has its code: {receipt}");
    assert_eq!(practice.omitted(Reason::Ambiguous).await, [1, 3]);
    let (_, receipt) = practice.put(3, &session(3, 333_333_333)).await;
    assert_eq!((&receipt["planned"], practice.omitted(Reason::Ambiguous).await), (&json!(2), vec![]), "{receipt}");
    assert_eq!(practice.notices().await, [1, 1, 1, 2, 2, 2, 3, 3, 3].map(|id| (id, State::Waiting)));
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_merged_changes_nothing() {
    let practice = Practice::open().await;
    practice.list(&[session(1, 111_111_111)]).await;
    let before = practice.notices().await;
    let mut timeless = session(1, 111_111_111);
    timeless["ScheduleTs"] = json!("Thanksgiving");
    for (body, words) in [
        (json!([session(1, 111_111_111), session(2, 222_222_222)]).to_string(), "expected one session"),
        (session(2, 222_222_222).to_string(), "SessionId: found 2; expected 1"),
        (timeless.to_string(), "ScheduleTs"),
        ("[]".to_owned(), "expected one session"),
        ("{\"SessionId\": 1,".to_owned(), "ends too early"),
        ("<html>".to_owned(), "HTML"),
        (String::new(), "is empty"),
        ("{\"Message\": \"no\"}".to_owned(), "error message"),
    ] {
        let (status, problem) = said(practice.ask(Method::PUT, "/api/v1/sources/front%20desk/sessions/1", TOKEN, body).await).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 422 && detail.contains(words) && !detail.contains("Thanksgiving"), "{words}: {status} {problem}");
    }
    let (status, problem) = practice.put(1, &timeless).await;
    assert_eq!((status, &problem["faults"][0]["path"], &problem["faults"][0]["session"]), (422, &json!("ScheduleTs"), &json!(1)));
    let broken = practice.ask(Method::PUT, "/api/v1/sources/front%20desk/sessions", TOKEN, "[{".to_owned()).await;
    assert_eq!((broken.status().as_u16(), broken.headers()["content-type"].to_str().unwrap()), (422, "application/problem+json"));
    assert_eq!(practice.notices().await, before);
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_cancels_and_a_list_that_tells_it_no_more_does_not_undo_it() {
    let practice = Practice::open().await;
    practice.list(&[session(1, 111_111_111), session(2, 222_222_222)]).await;
    let (status, receipt) = practice.delete("1").await;
    assert_eq!((status, &receipt["planned"], &receipt["ended"]), (200, &json!(1), &json!(EACH)));
    assert_eq!(practice.delete("1").await.1["planned"], 0, "once is enough");
    let cancelled = practice.notices().await;
    assert_eq!(cancelled[..EACH], [(1, State::Cancelled); EACH]);
    let (_, receipt) = practice.list(&[session(2, 222_222_222)]).await;
    assert_eq!((&receipt["sessions"], &receipt["planned"], practice.notices().await), (&json!(2), &json!(0), cancelled));
    let (_, receipt) = practice.list(&[session(1, 111_111_111), session(2, 222_222_222)]).await;
    assert_eq!((&receipt["planned"], practice.notices().await), (&json!(1), [1, 1, 1, 2, 2, 2].map(|id| (id, State::Waiting)).to_vec()));
    for id in ["7", "x", "-"] {
        assert_eq!(practice.delete(id).await.0, 404, "{id}");
    }
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_others_wait_for_an_operator_only_lists_are_taken() {
    let practice = Practice::open().await;
    let all: Vec<Value> = (1..=5).map(|id| session(id, 111_111_110 + id)).collect();
    practice.list(&all).await;
    let (status, receipt) = practice.list(&[]).await;
    assert_eq!((status, &receipt["guarded"]), (200, &json!(5)), "an empty list is a list, and the guard's");
    for (status, problem) in [practice.put(6, &session(6, 666_666_666)).await, practice.delete("1").await] {
        assert!(status == 409 && problem["detail"].as_str().unwrap().contains("5 sessions wait"), "{status} {problem}");
    }
    let (_, receipt) = practice.list(&all).await;
    assert_eq!((&receipt["guarded"], &receipt["sessions"]), (&json!(0), &json!(5)), "{receipt}");
    assert_eq!(practice.put(6, &session(6, 666_666_666)).await.0, 200);
    assert_eq!(practice.notices().await, [1, 2, 3, 4, 5, 6].iter().flat_map(|id| [(*id, State::Waiting); EACH]).collect::<Vec<_>>());
    practice.close().await;
}

/// Nobody puts another list.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_decides_by_a_command_is_done_with_the_list_that_is_there() {
    for (verdict, state) in [("accept", State::Cancelled), ("reject", State::Waiting)] {
        let practice = Practice::open().await;
        let command = practice.commands();
        practice.list(&(1..=5).map(|id| session(id, 111_111_110 + id)).collect::<Vec<_>>()).await;
        assert_eq!(practice.list(&[]).await.1["guarded"], 5);
        let said = command(&["guard", verdict]);
        assert!(
            said.contains("5 sessions") && said.contains("within seconds") && said.contains("front desk: its last list is taken once more"),
            "{said}"
        );
        let done = [1, 2, 3, 4, 5].iter().flat_map(|id| [(*id, state); EACH]).collect::<Vec<_>>();
        let since = Instant::now();
        while practice.notices().await != done {
            assert!(since.elapsed() < Duration::from_secs(60), "{verdict}: {:?}", practice.notices().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(practice.put(6, &session(6, 666_666_666)).await.0, 200, "nothing waits");
        practice.close().await;
    }
}

/// What was decided is done before a single change is taken that comes at the same moment: after that the list would be no more what was said last.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_done_before_a_single_change_that_comes_at_once() {
    let practice = Practice::open().await;
    let command = practice.commands();
    practice.list(&(1..=5).map(|id| session(id, 111_111_110 + id)).collect::<Vec<_>>()).await;
    assert_eq!(practice.list(&[]).await.1["guarded"], 5);
    let said = command(&["guard", "accept"]);
    assert!(said.contains("5 sessions accepted\n") && said.contains("its last list is taken once more, within seconds"), "{said}");
    assert_eq!(practice.put(6, &session(6, 666_666_666)).await.0, 200, "nothing waits");
    let cancelled = [1, 2, 3, 4, 5].iter().flat_map(|id| [(*id, State::Cancelled); EACH]);
    let done = cancelled.chain([(6, State::Waiting); EACH]).collect::<Vec<_>>();
    assert_eq!(practice.notices().await, done);
    practice.close().await;
}

/// Single changes that are too many wait, too. There is no list to take once more: the command says that the next one is needed.
#[tokio::test(flavor = "multi_thread")]
async fn of_single_changes_that_wait_the_command_says_that_a_list_is_needed() {
    let practice = Practice::open().await;
    let command = practice.commands();
    practice.list(&(1..=20).map(|id| session(id, 111_111_100 + id)).collect::<Vec<_>>()).await;
    let mut id = 0;
    while command(&["guard", "show"]).contains("Nothing waits") {
        id += 1;
        assert!(id <= 20, "none of them waits");
        let (status, said) = practice.delete(&id.to_string()).await;
        assert_eq!(status, 200, "{said}");
    }
    let said = command(&["guard", "accept"]);
    assert!(said.contains("this is done with the next list") && !said.contains("within seconds"), "{said}");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_push_changes_nothing_and_learns_nothing() {
    let practice = Practice::open().await;
    let list = json!([session(1, 111_111_111)]).to_string();
    for (path, token, status) in [
        ("/api/v1/sources/front%20desk/sessions", "wrong-0123456789abcdef01234", 401),
        ("/api/v1/sources/front%20desk/sessions", "", 401),
        ("/api/v1/sources/front%20desk/sessions", &TOKEN[..20], 401),
        ("/api/v1/sources/nowhere/sessions", "wrong-0123456789abcdef01234", 401),
        ("/api/v1/sources/front%20desk/sessions", OTHER, 404),
        ("/api/v1/sources/nowhere/sessions", TOKEN, 404),
        ("/api/v1/sources", TOKEN, 404),
        ("/nothing", TOKEN, 404),
    ] {
        let refused = practice.ask(Method::PUT, path, token, list.clone()).await;
        let challenged = refused.headers().get("www-authenticate").is_some_and(|v| v == "Bearer");
        assert_eq!((refused.status().as_u16(), challenged), (status, status == 401), "{path} {token}");
        let (_, problem) = said(refused).await;
        assert!(problem["status"] == status && !problem.to_string().contains("desk"), "{problem}");
    }
    let bare = practice.client.put(format!("{}/api/v1/sources/front%20desk/sessions", practice.address)).body(list.clone());
    assert_eq!(bare.send().await.unwrap().status(), 401);
    let form = practice.client.put(format!("{}/api/v1/sources/front%20desk/sessions", practice.address)).bearer_auth(TOKEN).body(list);
    assert_eq!(form.send().await.unwrap().status(), 415);
    let got = practice.ask(Method::GET, "/api/v1/sources/front%20desk/sessions", TOKEN, String::new()).await;
    assert_eq!(got.status(), 405, "nothing can be read here");
    assert_eq!(practice.notices().await, []);
    practice.close().await;
}

/// Sends the head of a push and a part of its body, and gives the answer's first line; empty: there was none.
async fn cut(practice: &Practice, token: &str, length: u64) -> String {
    let mut stream = TcpStream::connect(practice.address.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "PUT /api/v1/sources/front%20desk/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n["
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_only_of_those_who_may_and_only_whole() {
    let practice = Practice::open().await;
    assert!(cut(&practice, "wrong-0123456789abcdef01234", 1 << 40).await.contains(" 401 "), "before its body is read");
    assert!(cut(&practice, TOKEN, 1 << 40).await.contains(" 413 "), "before its body is read");
    let broken = cut(&practice, TOKEN, 100).await;
    assert!(broken.is_empty() || broken.contains(" 400 "), "{broken}");
    assert!(practice.engine.outbox().seen("front desk").await.unwrap().is_none(), "nothing was taken");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_records_at_fault_are_two_hundred_and_a_number() {
    let practice = Practice::open().await;
    let body = format!("[{}]", vec!["{}"; 1_000_000].join(","));
    let answered = practice.ask(Method::PUT, "/api/v1/sources/front%20desk/sessions", TOKEN, body).await;
    assert_eq!(answered.status(), 200);
    let answered = answered.text().await.unwrap();
    assert!(answered.len() < 100_000, "{}", answered.len());
    let receipt: Value = serde_json::from_str(&answered).unwrap();
    let faults = receipt["faults"].as_array().unwrap();
    assert_eq!((faults.len(), &faults[200]["reason"]), (201, &json!("and 999,800 more records cannot be used")));
    let kept = practice.engine.outbox().status().await.unwrap().faults;
    assert_eq!(kept.len(), 201);
    // And a list that is read.
    let (_, receipt) = practice.list(&[json!({}), session(1, 111_111_111)]).await;
    assert_eq!((&receipt["sessions"], receipt["faults"].as_array().unwrap().len()), (&json!(1), 1));
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_noted_without_names_and_the_sources_are_asked() {
    let api = Server::start(answer(200, "", &json!([session(1, 111_111_111)]).to_string())).await;
    let more = format!(
        "[[source]]\nname = \"api\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{}\"\nidentifier = \"id\"\nsecret = \"s3cret\"\npoll = \"0 0 0 1 1 *\"\n",
        api.port
    );
    let practice = Practice::with(&more).await;
    api.ended().await;
    let event = json!({ "WebhookType": "NOTIFY_PUBLIC_USER", "ID": 183_765, "Status": "Update", "EventTs": "2019-06-11T10:45:12",
        "Attributes": [{ "AttributeName": "RecipientName", "AttributeValue": "Trevor" }] });
    for wrong in ["wrong-0123456789abcdef01234", TOKEN] {
        assert_eq!(practice.ask(Method::POST, &format!("/hooks/securevideo/{wrong}"), "", event.to_string()).await.status(), 404);
    }
    let address = format!("/hooks/securevideo/{HOOK}");
    assert_eq!(practice.ask(Method::POST, &address, "", "[]".to_owned()).await.status(), 422);
    let long = json!({ "WebhookType": "x".repeat(70_000) }).to_string();
    assert_eq!(practice.ask(Method::POST, &address, "", long).await.status(), 413);
    assert_eq!(practice.ask(Method::POST, &address, "", event.to_string()).await.status(), 204);
    let notes: Vec<_> = practice.engine.outbox().ledger(None, 0, 1000).await.unwrap();
    let notes: Vec<_> = notes.iter().filter(|row| row.event == "webhook").map(|row| row.detail.as_deref().unwrap()).collect();
    assert_eq!(notes, ["NOTIFY_PUBLIC_USER Update 183765"]);
    api.ended().await;
    assert_eq!(api.requests().len(), 2, "at the start, and for the event");
    practice.close().await;
}

/// Servers that answer only while the other one is being asked, too.
async fn that_wait_for_each_other(meeting: &Arc<Meeting>) -> String {
    let mut sources = Vec::new();
    for name in ["first", "second"] {
        let Reply::Bytes(list) = answer(200, "", &json!([session(1, 111_111_111)]).to_string()) else { unreachable!() };
        let port = Server::start(Reply::Together(Arc::clone(meeting), list)).await.port;
        sources.push(format!(
            "[[source]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{port}\"\nidentifier = \"id\"\nsecret = \"s3cret\"\n\
             timeout = \"5s\"\npoll = \"0 0 0 1 1 *\"\n"
        ));
    }
    sources.concat()
}

/// At an event, and at one of `run --once`.
#[tokio::test(flavor = "multi_thread")]
async fn sources_are_asked_beside_each_other() {
    let meeting = Meeting::of(2);
    let more = that_wait_for_each_other(&meeting).await;
    let practice = Practice::with(&more).await;
    meeting.have_met(1).await;
    let event =
        json!({ "WebhookType": "NOTIFY_PUBLIC_USER", "ID": 1, "Status": "Update", "EventTs": "2019-06-11T10:45:12", "Attributes": [] });
    assert_eq!(practice.ask(Method::POST, &format!("/hooks/securevideo/{HOOK}"), "", event.to_string()).await.status(), 204);
    meeting.have_met(2).await;
    practice.close().await;

    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[practice]\nname = \"Lakeside\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"Lakeside <a@example.org>\"\n\
         [[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n{}",
        that_wait_for_each_other(&meeting).await
    );
    let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
    let report = Engine::start(config, Arc::new(WallClock)).await.unwrap().once().await.unwrap();
    assert_eq!((report.sources_failed, meeting.met()), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_idle_connection() {
    let practice = Practice::open().await;
    let mut idle = TcpStream::connect(practice.address.trim_start_matches("http://")).await.unwrap();
    let began = tokio::time::Instant::now();
    practice.close().await;
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(began.elapsed() < Duration::from_secs(9), "it was waited for: {:?}", began.elapsed());
}
