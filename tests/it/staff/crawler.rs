//! A crawler: it visits every route, and every link of every page, as nobody, as a viewer, as an operator, and with each kind of token. Templates,
//! names, topics and servers' answers are hostile. It looks through each answer, header, line of log, figure, row of the ledger and byte of the store
//! for what must not stand there. And it posts each form ([`super::deeds`]).

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use punctual::clock::{Clock, WallClock};
use punctual::contact::Address;
use punctual::entry::State;
use punctual::outbox::Retention;
use punctual::suppression::suppression_key;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::roles::TABLE;
use super::{Browser, Office, PASSWORD, PUSH, READ, WRITE};
use crate::push::{Practice, TOKEN, session};
use crate::servers::smtp::{Server, Step};

/// What nobody sees without a reveal, whoever they are: codes, passkeys, topics, the contact of somebody who is well, secrets of ours.
const NEVER: [&str; 20] = [
    "817263549",
    "817-263-549",
    "817 263 549",
    "726354981",
    "726-354-981",
    "726 354 981",
    "635498172",
    "635-498-172",
    "635 498 172",
    "4f9a-77-passkey",
    "Grief counseling",
    "Topic{{",
    "xanthippe.rare",
    "XANTHIPPE.RARE",
    READ,
    WRITE,
    PUSH,
    TOKEN,
    PASSWORD,
    "argon2id",
];
/// What staff see, and nobody else: names. And the contacts of those who must be called. None is short: bytes of a sealed store that spell
/// four letters by chance were seen.
const NAMES: [&str; 6] = ["Zebulon", "Quuxington", "Wilhelmina", "Oddname", "Xanthippe", "Hortensia"];
const CONTACTS: [&str; 2] = ["zebulon.quuxington@", "wilhelmina.oddname@"];

/// A template that writes what it gets in forms that no search for it would know.
const HOSTILE: &str = "{{ recipient.code }} {{ recipient.code | replace(from=\"-\", to=\" \") }} {{ recipient.name }} {{ recipient.join_url }} \
                       {{ session.topic }} {{ session.topic | upper }} {{ session.host_name }}";
/// The pages of one crawl: there are fewer.
const PAGES: usize = 400;

/// What of these a text holds, in whatever letters.
fn found(text: &str, secrets: &[&[&str]]) -> Vec<String> {
    let text = text.to_lowercase();
    secrets.iter().flat_map(|some| some.iter()).filter(|secret| text.contains(&secret.to_lowercase())).map(|s| (*s).to_owned()).collect()
}

pub(super) fn of_headers(headers: &HeaderMap) -> String {
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
    lines.join("\n")
}

/// Sessions of three people: two will be refused by the server, each in another phase; one is well.
fn hostile_sessions() -> Vec<Value> {
    let people = [
        (1, "<script>Zebulon</script> Quuxington", "zebulon.quuxington@example.com", 817_263_549_i64),
        (2, "Wilhelmina Oddname", "wilhelmina.oddname@example.org", 726_354_981),
        (3, "Xanthippe Rare\"><img src=x>", "xanthippe.rare@example.net", 635_498_172),
    ];
    let made = people.into_iter().map(|(id, name, address, code)| {
        let mut made = session(id, code);
        made["Topic"] = json!("Grief counseling Topic{{ 7 * 7 }}");
        made["Participants"][0]["ParticipantFullName"] = json!("Dr. Hortensia Host");
        made["Participants"][1]["ParticipantFullName"] = json!(name);
        made["Participants"][1]["ParticipantEmailAddress"] = json!(address);
        made["Participants"][1]["Passkey"] = json!("4f9a-77-passkey");
        made
    });
    let mut all: Vec<Value> = made.collect();
    // A record at fault, whose field holds somebody's address.
    let mut bad = session(4, 544_981_726);
    bad["Participants"][1]["ParticipantTimeZoneWindowsId"] = json!("Grief counseling 817263549");
    all.push(bad);
    all
}

/// A server that repeats what it should not.
async fn indiscreet() -> Server {
    let told = Arc::new(Mutex::new(0));
    Server::start(move |at| {
        let mut told = told.lock().unwrap();
        let verb = at.verb.as_str();
        if verb == "DATA" {
            *told += 1;
        }
        let who = "Zebulon Quuxington <zebulon.quuxington@example.com>, patient of Hortensia, Grief counseling, code 817-263-549";
        match (verb, *told) {
            (".", 1) => Some(Step::Say(format!("550 5.1.1 no such user: {who}"))),
            (".", 2) => {
                Some(Step::Say("552 5.2.2 mailbox full: Wilhelmina Oddname, wilhelmina.oddname@example.org, code 726 354 981".to_owned()))
            }
            ("banner", _) => Some(Step::Say(format!("220 mail for {who}"))),
            _ => None,
        }
    })
    .await
}

/// What was logged, at every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Our own lines, as the program logs them; those of this thread.
    pub(crate) fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let ours = tracing_subscriber::filter::filter_fn(|meta| meta.target().split("::").next() == Some("punctual"));
        let log = self.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .with_filter(LevelFilter::TRACE)
            .with_filter(ours);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// The addresses of a page: links and frames of our own.
pub(super) fn links(page: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for attribute in ["href=\"", "src=\"", "action=\""] {
        for rest in page.split(attribute).skip(1) {
            let link = html_escape::decode_html_entities(rest.split('"').next().unwrap());
            if link.starts_with('/') && !link.starts_with("//") {
                all.insert(link.split('#').next().unwrap().to_owned());
            }
        }
    }
    all
}

/// Other days and later pages of the same list are one.
pub(super) fn shape(link: &str) -> String {
    let (path, query) = link.split_once('?').unwrap_or((link, ""));
    format!("{path}?{}", query.replace(|c: char| c.is_ascii_digit(), ""))
}

/// A route with what stands in its place.
pub(super) fn filled(path: &str, key: &str) -> String {
    let path =
        path.replace("{key}", key).replace("{act}", "hold").replace("{id}", "1").replace("{session}", "1").replace("{participation}", "11");
    path.replace("{name}", "front%20desk").replace("{token}", "guessed-0123456789abcdef").replace("{suppression}", &"0".repeat(32))
}

pub(super) struct Crawler<'a> {
    pub(super) office: &'a Office,
    /// What was found, and where.
    wrong: Vec<String>,
    visited: usize,
}

impl Crawler<'_> {
    pub(super) fn look(&mut self, who: &str, at: &str, text: &str, secrets: &[&[&str]]) {
        self.visited += 1;
        for secret in found(text, secrets) {
            self.wrong.push(format!("{who}, {at}: {secret}"));
        }
    }

    /// Every page that has a way to it, from the routes on.
    async fn pages(&mut self, who: &str, browser: &mut Browser<'_>, key: &str, secrets: &[&[&str]]) {
        let routes = TABLE.iter().filter(|(method, path, _)| *method == "GET" && !path.starts_with("/api") && !path.starts_with("/hooks"));
        let mut next: VecDeque<String> = routes.map(|(_, path, _)| filled(path, key)).collect();
        let mut seen: BTreeSet<String> = next.iter().map(|path| shape(path)).collect();
        while let Some(path) = next.pop_front() {
            // (The text of a link that ends the visit stands in a form.)
            let page = browser.get(&path).await;
            let headers = of_headers(page.headers());
            let text = page.text().await.unwrap();
            self.look(who, &path, &format!("{headers}\n{text}"), secrets);
            for link in links(&text) {
                if seen.len() < PAGES && seen.insert(shape(&link)) {
                    next.push_back(link);
                }
            }
        }
        assert!(seen.len() > 30 && seen.len() < PAGES, "{who}: {} pages", seen.len());
    }

    /// Every route, each method of it, with that token, or none.
    async fn routes(&mut self, who: &str, token: &str, key: &str, secrets: &[&[&str]]) {
        for (method, path, _) in TABLE {
            // What is pushed with a right token is taken: the list stays as it is.
            if path.contains("/sources/") && token == PUSH {
                continue;
            }
            let path = filled(path, key);
            let body = if path.contains("/api/") { "{}".to_owned() } else { String::new() };
            let answer = self.office.practice.ask(method.parse::<Method>().unwrap(), &path, token, body).await;
            let headers = of_headers(answer.headers());
            let text = answer.text().await.unwrap();
            self.look(who, &format!("{method} {path}"), &format!("{headers}\n{text}"), secrets);
        }
    }
}

/// The office, with all that is hostile, once the server has refused two and taken one.
async fn hostile(sealed: bool, show_names: &str) -> (Office, Server) {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("templates/en-US/invite");
    std::fs::create_dir_all(&below).unwrap();
    for file in ["subject.txt", "body.txt", "body.html"] {
        std::fs::write(below.join(file), HOSTILE).unwrap();
    }
    let key = folder.path().join("store-key");
    std::fs::write(&key, "07".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = indiscreet().await;
    let relay = format!("kind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 1\n", server.port);
    let mut text = Practice::text("[invite]\nsettle = \"0s\"\n[templates]\ndir = \"templates\"\n")
        .replace("kind = \"folder\"\npath = \"outbox\"\n", &relay);
    text = text.replace("users_file", &format!("show_names = \"{show_names}\"\nusers_file"));
    if sealed {
        text = text.replace("[store]\n", "[store]\nkey_file = \"store-key\"\n");
    }
    let office = Office { practice: Practice::of(folder, &text).await };
    office.users(|_| {});
    assert_eq!(office.practice.list(&hostile_sessions()).await.0, 200);
    let decided = |state| matches!(state, State::Accepted | State::Rejected | State::Held | State::Unknown);
    for look in 0.. {
        let entries = office.entries().await;
        if entries.iter().filter(|e| e.notice.rule.is_none() && decided(e.state)).count() == 3 {
            break;
        }
        let states: Vec<_> = entries.iter().map(|e| (e.notice.session, e.state, e.server_reply.as_deref())).collect();
        assert!(look < 3_000, "they are not handed over: {states:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (office, server)
}

fn bytes_of(folder: &std::path::Path) -> String {
    let files =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.to_string_lossy().contains("punctual.db"));
    files.map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()).collect()
}

/// Everybody's looks, the ledger and the log; then the store, before a prune and after, and after a stop.
async fn crawl(sealed: bool, show_names: &str) {
    let log = Log::default();
    let logging = log.begin();
    let (office, _server) = hostile(sealed, show_names).await;
    let entries = office.entries().await;
    let refused = entries.iter().filter(|e| e.state == State::Rejected).count();
    assert!(refused >= 1, "{:?}", entries.iter().map(|e| (e.notice.session, e.state, e.server_reply.clone())).collect::<Vec<_>>());
    let names: &[&[&str]] = if show_names == "never" { &[&NEVER, &NAMES] } else { &[&NEVER] };
    let all: &[&[&str]] = &[&NEVER, &NAMES, &CONTACTS];
    let mut crawler = Crawler { office: &office, wrong: Vec::new(), visited: 0 };
    let (mut victor, mut jane) = (office.logged_in("victor").await, office.logged_in("jane").await);
    // Each person's invite, which went or was refused, and one message that waits.
    let looked_at = |e: &&punctual::entry::Entry| e.notice.rule.is_none() || (e.notice.session.0 == 3 && e.state == State::Waiting);
    for entry in entries.iter().filter(looked_at) {
        crawler.pages("jane", &mut jane, &entry.notice.key.to_string(), names).await;
    }
    // What an operator reveals, a viewer does not see.
    assert_eq!(jane.submit("/sessions/3/31", "/sessions/3/31/reveal", &[]).await, 303);
    let revealed = jane.page("/sessions/3/31").await.1;
    assert!(!found(&revealed, &[&["635-498-172"]]).is_empty(), "the test looks for what is there");
    for entry in entries.iter().filter(looked_at) {
        crawler.pages("victor", &mut victor, &entry.notice.key.to_string(), names).await;
    }
    // Last: what a writer does makes people whom somebody must call.
    for entry in entries.iter().filter(looked_at) {
        let key = entry.notice.key.to_string();
        for (who, token) in [("nobody", ""), ("a reader", READ), ("a writer", WRITE), ("a pusher", PUSH)] {
            // A message shows its reader whom they meet; a program that may read sees that, unless nobody is to see names.
            let hidden: &[&[&str]] =
                if show_names == "all" && !token.is_empty() && token != PUSH { &[&NEVER, &NAMES[..5], &CONTACTS] } else { all };
            crawler.routes(who, token, &key, hidden).await;
        }
    }
    let first = entries.iter().find(looked_at).unwrap().notice.key.to_string();
    crawler.deeds(&hostile_sessions(), &first, names).await;
    let mut after = office.logged_in("victor").await;
    crawler.pages("victor, afterwards", &mut after, &first, names).await;
    // Nor a digest of somebody's address that can be tried.
    let sessions = hostile_sessions();
    let digests = sessions[..3].iter().map(|session| {
        let address = session["Participants"][1]["ParticipantEmailAddress"].as_str().unwrap();
        suppression_key(&Address::parse(address, "US").unwrap())
    });
    let digests: Vec<String> = digests.collect();
    let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
    let all: &[&[&str]] = &[&NEVER, &NAMES, &CONTACTS, &digests];
    for row in office.ledger().await {
        crawler.look("the ledger", row.event.as_str(), &serde_json::to_string(&row).unwrap(), all);
    }
    let (visited, mut wrong) = (crawler.visited, crawler.wrong);
    let logged = log.text();
    assert!(logged.lines().count() > 10, "{logged}");
    wrong.extend(found(&logged, all).into_iter().map(|secret| format!("the log: {secret}")));
    let folder = office.practice.folder.path().to_owned();
    let before = found(&bytes_of(&folder), all);
    assert_eq!(before.is_empty(), sealed, "before a prune: {before:?}");
    let waiting: Vec<_> = office.entries().await.into_iter().filter(|e| e.state == State::Waiting).map(|e| e.notice.key).collect();
    office.practice.engine.outbox().act(&waiting, punctual::outbox::Action::Cancel, WallClock.now()).await.unwrap();
    let keep = WallClock.now() + chrono::TimeDelta::days(30);
    office
        .practice
        .engine
        .outbox()
        .purge(WallClock.now(), Retention { content_before: keep, history_before: chrono::DateTime::UNIX_EPOCH })
        .await
        .unwrap();
    // (The address of a notice stays for [retention] ledger, as docs/security.md says; in a sealed store sealed.)
    let kept: &[&[&str]] = if sealed { all } else { &[&NEVER[..12], &["</script> Quuxington", "Wilhelmina Oddname", "Hortensia"]] };
    let after_prune = found(&bytes_of(&folder), kept);
    let Office { practice: Practice { folder: kept_folder, engine, stop, serving, .. } } = office;
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    drop(engine);
    let after_stop = found(&bytes_of(&folder), kept);
    drop((logging, kept_folder));
    println!("{visited} answers and rows");
    wrong.sort();
    wrong.dedup();
    assert_eq!((wrong, after_prune, after_stop), (Vec::new(), Vec::new(), Vec::new()), "sealed: {sealed}, show_names = {show_names}");
}

#[tokio::test]
async fn nothing_private_stands_anywhere_in_a_sealed_store() {
    crawl(true, "all").await;
}

#[tokio::test]
async fn nothing_private_stands_where_names_are_shown_to_nobody() {
    crawl(false, "never").await;
}
