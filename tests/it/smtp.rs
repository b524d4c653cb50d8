//! SMTP, phase by phase, against a server that follows a script: every way to end has its outcome.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use punctual::contact::EmailAddress;
use punctual::deliver::smtp::{Settings, Smtp, Timeouts, Tls};
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::message::{Content, Message};
use punctual::notice::NoticeKey;
use punctual::outcome::Outcome;
use punctual::suppression::Suppression;
use tokio_rustls::TlsAcceptor;

use crate::servers::smtp::{At, Server, Step};
mod behind;
mod dead;
mod impatient;

/// Short enough for a test, long enough for a busy machine that has something to say.
const SHORT: Duration = Duration::from_millis(700);

fn settings(port: u16) -> Settings {
    Settings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: Tls::None,
        ca_file: None,
        connections: 4,
        helo: None,
        username: None,
        password: None,
        timeouts: Timeouts { connect: SHORT, command: SHORT, data: SHORT, block: SHORT, dot: SHORT, idle: Duration::from_secs(60) },
    }
}

pub(crate) fn message(n: u8) -> Message {
    Message {
        key: NoticeKey([n; 16]),
        reference: format!("reference{n}"),
        content: Content::Email {
            from: EmailAddress::parse("sessions@lakeside.example").unwrap(),
            to: EmailAddress::parse("trevor@example.com").unwrap(),
            bytes: format!("Subject: {n}\r\n\r\nfirst\r\n.second\r\n..third\r\n").into_bytes().into(),
        },
    }
}

/// Lets pass, or not, and counts.
pub(crate) struct Gate {
    open: bool,
    asked: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(open: bool) -> Self {
        Self { open, asked: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl PointOfNoReturn for Gate {
    async fn pass(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Rejected { remember: Some(Suppression::Bounced), .. } => "bounced",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Retry { .. } => "retry",
        Outcome::ChannelFault { .. } => "channel",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Fenced => "fenced",
    }
}

fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_it_was() {
    let server = Server::start(|_| None).await;
    let smtp = Smtp::new(settings(server.port)).unwrap();
    let outcome = smtp.deliver(&message(1), &Gate::new(true)).await;
    assert_eq!(outcome, Outcome::Accepted { reply: "250 2.0.0 Ok: queued as 4F1A22".to_owned(), reference: Some("4F1A22".to_owned()) });
    assert_eq!(server.bodies(), ["Subject: 1\r\n\r\nfirst\r\n.second\r\n..third\r\n"]);
    assert!(smtp.probe().await.unwrap().contains("pipelining"));
}

/// What a server can do at any phase, and the outcome at each: a row for each phase, in the order of [`PHASES`].
const PHASES: [&str; 8] = ["banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "."];

fn faults() -> Vec<(&'static str, Step, [&'static str; 8])> {
    let before = |mail, rcpt, data, dot| ["channel", "channel", "channel", "channel", mail, rcpt, data, dot];
    let nothing = before("retry", "retry", "retry", "unknown");
    vec![
        ("4yz", say("451 4.3.0 later"), before("channel", "retry", "retry", "retry")),
        ("5yz", say("550 5.1.1 <trevor@example.com> no"), before("channel", "bounced", "bounced", "bounced")),
        ("421", say("421 4.3.2 bye"), before("channel", "channel", "channel", "retry")),
        ("drop", Step::Close, nothing),
        ("hang", Step::Hang, nothing),
        ("garbage", say("<html>what</html>"), nothing),
        ("no SMTP code", say("999 what"), nothing),
        ("endless line", Step::Flood(1 << 20), nothing),
        // Nothing after its first three digits changes what a reply means.
        ("endless lines", Step::Lines(20_000), before("retry", "retry", "retry", "accepted")),
        ("a byte a moment", Step::Drip, nothing),
    ]
}

/// Every phase and every fault, with and without pipelining: `cargo test --test it each_fault -- --nocapture` prints the table.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_at_each_phase_has_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    // Few at once: a busy machine must not be what runs out of time.
    let turns = Arc::new(tokio::sync::Semaphore::new(8));
    let mut running = tokio::task::JoinSet::new();
    let (ca, acceptor) = certificate("localhost", folder.path());
    for (fault, step, wanted) in faults() {
        for (p, (phase, want)) in PHASES.into_iter().zip(wanted).enumerate() {
            // Before MAIL nothing is pipelined.
            for pipelining in [true, false].into_iter().take(1 + usize::from(p >= 4)) {
                let (step, turns, ca, acceptor) = (step.clone(), Arc::clone(&turns), ca.clone(), acceptor.clone());
                running.spawn(async move {
                    let _turn = turns.acquire().await;
                    let began = Instant::now();
                    let (outcome, server) = at_phase(phase, step, pipelining, (ca, acceptor)).await;
                    (p, fault, phase, pipelining, want, kind(&outcome), began.elapsed(), outcome, server)
                });
            }
        }
    }
    let mut rows = running.join_all().await;
    rows.sort_by_key(|r| (r.0, r.1, !r.3));
    println!("| phase | fault | pipelining | expected | seen | seconds |\n|---|---|---|---|---|---|");
    for (_, fault, phase, pipelining, want, seen, taken, ..) in &rows {
        println!("| {phase} | {fault} | {pipelining} | {want} | {seen} | {:.1} |", taken.as_secs_f32());
    }
    for (_, fault, phase, pipelining, want, seen, taken, outcome, server) in rows {
        let shown = format!("{phase} {fault} pipelining {pipelining}");
        assert_eq!(seen, want, "{shown}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains("trevor"), "{outcome:?}");
        assert_eq!(server.bodies().is_empty(), phase != ".", "{shown}");
        assert!(taken < Duration::from_secs(20), "{shown}: the attempt ends by its timer: {taken:?}");
    }
}

/// One message to a server with this fault; TLS and a log-in where the phase is theirs.
async fn at_phase(phase: &'static str, step: Step, pipelining: bool, tls: (PathBuf, TlsAcceptor)) -> (Outcome, Server) {
    let script = move |at: &At| match at.verb.as_str() {
        v if v == phase => Some(step.clone()),
        "EHLO" if !pipelining && phase != "STARTTLS" => Some(say("250-test\r\n250 AUTH PLAIN")),
        _ => None,
    };
    let log_in = phase == "AUTH";
    let (server, encrypted) =
        if phase == "STARTTLS" { (Server::with_tls(Some(tls.1), script).await, Some(tls.0)) } else { (Server::start(script).await, None) };
    let patient = Duration::from_secs(3);
    let timeouts = Timeouts { connect: patient, command: patient, data: patient, block: patient, dot: patient, idle: patient };
    let mut settings = Settings { timeouts, ..settings(server.port) };
    if let Some(ca) = encrypted {
        settings = Settings { host: "localhost".to_owned(), tls: Tls::Starttls, ca_file: Some(ca), ..settings };
    }
    if log_in {
        settings = Settings { username: Some("punctual".to_owned()), password: Some("secret".into()), ..settings };
    }
    let outcome = Smtp::new(settings).unwrap().deliver(&message(1), &Gate::new(true)).await;
    (outcome, server)
}

/// What one phase alone can do. With and without pipelining.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_one_phase_have_their_outcome() {
    let rows: Vec<(&'static str, Step, &'static str)> = vec![
        ("banner", say("SSH-2.0-nonsense"), "channel"),
        ("MAIL", say("530 log in first"), "channel"),
        ("MAIL", say("552 5.3.4 too large"), "rejected"),
        ("RCPT", say("550 5.7.1 no"), "rejected"),
        ("RCPT", say("550 5.7.1 refused by policy"), "channel"),
        ("RCPT", say("550-Could not verify <sessions@lakeside.example>\r\n550-No Such User Here\r\n550 Sender verify failed"), "channel"),
        ("DATA", say("550 5.7.1 <DATA>: command rejected: 10 messages a day"), "channel"),
        (".", say("554 5.2.252 SendAsDenied; not allowed to send as sessions@lakeside.example"), "channel"),
        (".", say("550 5.6.0 content rejected"), "rejected"),
        ("RCPT", say("550 relay not permitted"), "channel"),
        ("DATA", say("354 go\r\n250 2.0.0 taken before it was sent"), "retry"),
        (".", Step::Last("250"), "accepted"),
        (".", Step::Last("250 2.0.0 Ok: que"), "accepted"),
        (".", Step::Last("25"), "unknown"),
        (".", Step::Last("451"), "unknown"),
        (".", say("250-first line only"), "accepted"),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (verb, step, want) in rows {
        for pipelining in [true, false] {
            let step = step.clone();
            running.spawn(async move {
                let shown = format!("{verb} {step:?} pipelining {pipelining}");
                let (outcome, server, taken) = faulty(verb, step, pipelining).await;
                assert_eq!(kind(&outcome), want, "{shown}: {outcome:?}");
                assert_eq!(server.bodies().is_empty(), verb != ".", "{shown}");
                assert!(taken < Duration::from_secs(6), "{shown}: the attempt ends by its timer: {taken:?}");
            });
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

/// Replies by no letter of the standard that every sender bears with: Latin-1, line ends of LF alone, a code alone, several lines.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_a_dialect_are_understood() {
    let rows: [(&str, &[u8]); 9] = [
        ("banner", b"220 mx.example Gr\xfc\xdfe\r\n"),
        ("banner", b"220\r\n"),
        ("banner", b"220\n"),
        ("banner", b"220-mx.example\r\n220-No spam\r\n220\r\n"),
        ("EHLO", b"250-mx.example\n250-PIPELINING\n250 8BITMIME\n"),
        ("EHLO", b"250\r\n"),
        ("MAIL", b"250\n"),
        ("RCPT", b"250-re\xe7u\n250\n"),
        (".", b"250\n"),
    ];
    for (verb, bytes) in rows {
        let server = Server::start(move |at: &At| (at.verb == verb).then(|| Step::Raw(bytes.to_vec()))).await;
        let outcome = Smtp::new(settings(server.port)).unwrap().deliver(&message(1), &Gate::new(true)).await;
        assert_eq!(kind(&outcome), "accepted", "{verb} {}: {outcome:?}", String::from_utf8_lossy(bytes));
    }
    let refuses = Server::start(|at: &At| (at.verb == "RCPT").then(|| Step::Raw(b"552 bo\xeete pleine\n".to_vec()))).await;
    let outcome = Smtp::new(settings(refuses.port)).unwrap().deliver(&message(1), &Gate::new(true)).await;
    assert_eq!(outcome, Outcome::Rejected { reply: "RCPT: 552 bo\u{ee}te pleine".to_owned(), remember: None });
}

/// A server that is older than EHLO gets HELO, on a connection of its own; never where that would mean clear text or no log-in.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_ehlo_is_greeted_by_helo() {
    for (said, log_in, want) in [("500 what", false, "accepted"), ("502 5.5.1 what", false, "accepted"), ("502 what", true, "channel")] {
        let server = Server::start(move |at: &At| (at.verb == "EHLO").then(|| say(said))).await;
        let mut settings = Settings { helo: Some("punctual.example".to_owned()), ..settings(server.port) };
        if log_in {
            settings = Settings { username: Some("punctual".to_owned()), password: Some("secret".into()), ..settings };
        }
        let smtp = Smtp::new(settings).unwrap();
        assert_eq!(kind(&smtp.deliver(&message(1), &Gate::new(true)).await), want, "{said}");
        let greeted = server.commands().into_iter().filter(|c| c != "QUIT" && !c.starts_with("RCPT")).collect::<Vec<_>>();
        if want == "accepted" {
            let ours = ["EHLO punctual.example", "HELO punctual.example", "MAIL FROM:<sessions@lakeside.example>", "DATA"];
            assert_eq!((greeted, server.bodies().len()), (ours.map(str::to_owned).to_vec(), 1));
        } else {
            assert_eq!(greeted, ["EHLO punctual.example"]);
        }
    }
}

/// SIZE (RFC 1870): said where it is offered; a message that is too large is not even begun.
#[tokio::test(flavor = "multi_thread")]
async fn the_size_is_said_and_heeded() {
    for (offered, want) in [("SIZE 1000", "accepted"), ("SIZE", "accepted"), ("SIZE 0", "accepted"), ("SIZE 20", "rejected")] {
        for pipelining in ["\r\n250 PIPELINING", ""] {
            let said = format!("250-test\r\n250{}{offered}{pipelining}", if pipelining.is_empty() { ' ' } else { '-' });
            let server = Server::start(move |at: &At| (at.verb == "EHLO").then(|| say(&said))).await;
            let smtp = Smtp::new(settings(server.port)).unwrap();
            let gate = Gate::new(true);
            let outcome = smtp.deliver(&message(1), &gate).await;
            assert_eq!(kind(&outcome), want, "{offered}: {outcome:?}");
            let mail = server.commands().into_iter().find(|c| c.starts_with("MAIL"));
            let size = server.bodies().first().map_or(0, |body| body.replace("\r\n.", "\r\n..").len());
            let begun = (want == "accepted").then(|| format!("MAIL FROM:<sessions@lakeside.example> SIZE={size}"));
            assert_eq!((mail, gate.asked.load(Ordering::SeqCst)), (begun, usize::from(want == "accepted")), "{offered}");
        }
    }
}

async fn faulty(verb: &'static str, step: Step, pipelining: bool) -> (Outcome, Server, Duration) {
    let server = Server::start(move |at: &At| match at.verb.as_str() {
        v if v == verb => Some(step.clone()),
        "EHLO" if !pipelining => Some(say("250 test")),
        _ => None,
    })
    .await;
    let smtp = Smtp::new(settings(server.port)).unwrap();
    let began = Instant::now();
    let outcome = smtp.deliver(&message(1), &Gate::new(true)).await;
    (outcome, server, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_greeting_is_told_in_the_servers_words() {
    for (verb, text) in [("banner", "554 5.3.2 not today"), ("EHLO", "550 5.5.1 what")] {
        let (outcome, _, _) = faulty(verb, say(text), true).await;
        assert_eq!(outcome, Outcome::ChannelFault { why: format!("greeting: {text}"), after: None });
    }
}

/// What is kept of an answer says what was wrong, and not who was to have the message.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_explains_and_names_nobody() {
    for (verb, said, shown) in [
        ("RCPT", "550 5.1.1 trevor: no such user", "RCPT: 550 5.1.1 (recipient): no such user"),
        ("RCPT", "450 4.2.1 Trevor is busy", "RCPT: 450 4.2.1 (recipient) is busy"),
        ("DATA", "554 5.7.1 nothing for 'trevor'", "DATA: 554 5.7.1 nothing for '(recipient)'"),
        (".", "250 2.0.0 delivered to trevor", "250 2.0.0 delivered to (recipient)"),
        (".", "554 5.7.1 trevor wants no such thing", "after the body: 554 5.7.1 (recipient) wants no such thing"),
        ("EHLO", "550 5.5.1 not from your address", "greeting: 550 5.5.1 not from your address"),
        ("EHLO", "what?", "greeting: the server's answer is no SMTP reply"),
        ("banner", "554 5.3.2 closed for today", "greeting: 554 5.3.2 closed for today"),
    ] {
        for pipelining in [true, false] {
            let (outcome, _server, _taken) = faulty(verb, say(said), pipelining).await;
            let (Outcome::Accepted { reply: kept, .. }
            | Outcome::Rejected { reply: kept, .. }
            | Outcome::Retry { why: kept, .. }
            | Outcome::ChannelFault { why: kept, .. }) = outcome
            else {
                panic!("{verb} {said}: {outcome:?}")
            };
            assert_eq!(kept, shown, "{verb} {said} pipelining {pipelining}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let outcome = Smtp::new(settings(port)).unwrap().deliver(&message(1), &Gate::new(true)).await;
    assert_eq!(kind(&outcome), "channel");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_lets_no_body_out() {
    for verb in ["", "RCPT"] {
        let server = Server::start(move |at: &At| (at.verb == verb).then(|| say("550 5.1.1 no such user"))).await;
        let smtp = Smtp::new(settings(server.port)).unwrap();
        let gate = Gate::new(false);
        let outcome = smtp.deliver(&message(1), &gate).await;
        let asked = gate.asked.load(Ordering::SeqCst);
        assert_eq!((kind(&outcome), asked), if verb.is_empty() { ("fenced", 1) } else { ("bounced", 0) });
        assert!(server.bodies().is_empty());
        // The relay works on, on whatever connection.
        assert_eq!(kind(&smtp.deliver(&message(2), &Gate::new(true)).await), if verb.is_empty() { "accepted" } else { "bounced" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_used_again() {
    let server = Server::start(|_| None).await;
    let smtp = Smtp::new(settings(server.port)).unwrap();
    for n in 0..5 {
        assert_eq!(kind(&smtp.deliver(&message(n), &Gate::new(true)).await), "accepted");
    }
    assert_eq!((server.connections(), server.bodies().len()), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_between_two_messages_costs_nothing() {
    for last_word in [Step::Close, say("421 4.4.2 idle too long"), say("452 4.5.3 enough for one connection")] {
        let server = Server::start(move |at: &At| (at.verb == "MAIL" && at.taken == 1).then(|| last_word.clone())).await;
        let smtp = Smtp::new(settings(server.port)).unwrap();
        for n in 0..4 {
            assert_eq!(kind(&smtp.deliver(&message(n), &Gate::new(true)).await), "accepted");
        }
        assert_eq!((server.connections(), server.bodies().len()), (4, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_idle_for_too_long_is_closed() {
    let server = Server::start(|_| None).await;
    let at_once = Timeouts { idle: Duration::ZERO, ..settings(server.port).timeouts };
    let smtp = Smtp::new(Settings { timeouts: at_once, ..settings(server.port) }).unwrap();
    for n in 0..3 {
        assert_eq!(kind(&smtp.deliver(&message(n), &Gate::new(true)).await), "accepted");
    }
    assert_eq!((server.connections(), server.bodies().len()), (3, 3));
    server.heard("QUIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_read_differently_is_never_offered() {
    let server = Server::start(|_| None).await;
    let smtp = Smtp::new(settings(server.port)).unwrap();
    let (mut smuggler, gate) = (message(1), Gate::new(true));
    if let Content::Email { bytes, .. } = &mut smuggler.content {
        *bytes = b"Subject: 1\r\n\r\none\n.\nMAIL FROM:<x@example.com>\r\n".to_vec().into();
    }
    assert_eq!(kind(&smtp.deliver(&smuggler, &gate).await), "rejected");
    assert_eq!((server.connections(), gate.asked.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_five_a_connection_gets_fifty_once_each() {
    let server = Server::start(|at: &At| (at.verb == "MAIL" && at.taken == 5).then(|| say("421 4.7.0 too many"))).await;
    let smtp = Arc::new(Smtp::new(settings(server.port)).unwrap());
    let mut running = tokio::task::JoinSet::new();
    for n in 0..50 {
        let smtp = Arc::clone(&smtp);
        running.spawn(async move { kind(&smtp.deliver(&message(n), &Gate::new(true)).await) });
    }
    while let Some(outcome) = running.join_next().await {
        assert_eq!(outcome.unwrap(), "accepted");
    }
    let mut subjects: Vec<String> = server.bodies().iter().map(|b| b.lines().next().unwrap().to_owned()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!((subjects.len(), server.bodies().len()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_connections_than_allowed() {
    let server = Server::start(|_| None).await;
    let smtp = Arc::new(Smtp::new(Settings { connections: 2, ..settings(server.port) }).unwrap());
    let mut running = tokio::task::JoinSet::new();
    for n in 0..20 {
        let smtp = Arc::clone(&smtp);
        running.spawn(async move { smtp.deliver(&message(n), &Gate::new(true)).await });
    }
    while running.join_next().await.is_some() {}
    assert_eq!((server.connections() <= 2, server.bodies().len()), (true, 20));
}

/// A certificate of our own for this name, and the server's side of it.
fn certificate(name: &str, folder: &std::path::Path) -> (PathBuf, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (ca, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_is_required_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    for (name, trusted, offered, step, want) in [
        ("localhost", true, true, None, "accepted"),
        ("localhost", false, true, None, "channel"),
        ("other.example", true, true, None, "channel"),
        ("localhost", true, false, None, "channel"),
        ("localhost", true, true, Some(say("454 not now")), "channel"),
        ("localhost", true, true, Some(Step::Close), "channel"),
        ("localhost", true, true, Some(Step::Hang), "channel"),
        ("localhost", true, true, Some(say("220 go\r\n250 injected")), "channel"),
    ] {
        let shown = format!("{name} trusted {trusted} offered {offered} {step:?}");
        let (ca, acceptor) = certificate(name, folder.path());
        let server =
            Server::with_tls(offered.then_some(acceptor), move |at: &At| (at.verb == "STARTTLS").then(|| step.clone()).flatten()).await;
        let tls = Settings {
            host: "localhost".to_owned(),
            tls: Tls::Starttls,
            ca_file: trusted.then_some(ca),
            username: Some("punctual".to_owned()),
            password: Some("secret".into()),
            ..settings(server.port)
        };
        let outcome = Smtp::new(tls).unwrap().deliver(&message(1), &Gate::new(true)).await;
        assert_eq!(kind(&outcome), want, "{shown}: {outcome:?}");
        let verbs = server.verbs();
        if want == "channel" {
            assert!(!verbs.iter().any(|v| v == "AUTH" || v == "MAIL"), "{shown}: nothing in clear text: {verbs:?}");
        } else {
            assert_eq!(verbs, ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"], "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_first_byte_is_checked_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for (name, trusted, want) in [("localhost", true, "accepted"), ("localhost", false, "channel"), ("other.example", true, "channel")] {
        let (ca, acceptor) = certificate(name, folder.path());
        let server = Server::implicit(acceptor, |_| None).await;
        let ca_file = trusted.then_some(ca);
        let tls = Settings { host: "localhost".to_owned(), tls: Tls::Implicit, ca_file, ..settings(server.port) };
        let smtp = Smtp::new(tls).unwrap();
        for n in 0..2 {
            let outcome = smtp.deliver(&message(n), &Gate::new(true)).await;
            assert_eq!(kind(&outcome), want, "{name} trusted {trusted}: {outcome:?}");
        }
        assert_eq!(server.verbs().is_empty(), want == "channel", "{name} trusted {trusted}");
    }
    let clear = Server::start(|_| None).await;
    let tls = Settings { host: "localhost".to_owned(), tls: Tls::Implicit, ..settings(clear.port) };
    assert_eq!(kind(&Smtp::new(tls).unwrap().deliver(&message(1), &Gate::new(true)).await), "channel");
}

/// The words of AUTH LOGIN are lines of their own: `punctual` and `secret` in base64, which the server shows in capitals.
#[tokio::test(flavor = "multi_thread")]
async fn log_in_by_questions() {
    for (questions, want) in [(2, "accepted"), (9, "channel")] {
        let asked = AtomicUsize::new(0);
        let server = Server::start(move |at: &At| match at.verb.as_str() {
            "EHLO" => Some(say("250-test\r\n250 AUTH LOGIN")),
            "AUTH" | "CHVUY3R1YWW=" | "C2VJCMV0" => Some(match asked.fetch_add(1, Ordering::SeqCst) {
                n if n >= questions => say("235 welcome"),
                n if n % 2 == 0 => say("334 VXNlcm5hbWU6"),
                _ => say("334 UGFzc3dvcmQ6"),
            }),
            _ => None,
        })
        .await;
        let logged_in = Settings { username: Some("punctual".to_owned()), password: Some("secret".into()), ..settings(server.port) };
        let outcome = Smtp::new(logged_in).unwrap().deliver(&message(1), &Gate::new(true)).await;
        assert_eq!(kind(&outcome), want, "{questions} questions: {outcome:?}");
        assert_eq!(server.verbs()[1..4], ["AUTH", "CHVUY3R1YWW=", "C2VJCMV0"]);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = || settings(25);
    for (wrong, said) in [
        (Settings { username: Some("punctual".to_owned()), ..good() }, "go together"),
        (Settings { password: Some("secret".into()), ..good() }, "go together"),
        (Settings { helo: Some("mail.example.org\r\nRSET".to_owned()), ..good() }, "helo"),
        (Settings { helo: Some(String::new()), ..good() }, "helo"),
        (Settings { host: String::new(), ..good() }, "host"),
        (Settings { port: 0, ..good() }, "port"),
        (Settings { tls: Tls::Implicit, ca_file: Some(PathBuf::from("/nowhere/ca.pem")), ..good() }, "ca_file"),
    ] {
        let shown = format!("{wrong:?}");
        let refused = Smtp::new(wrong).err().unwrap_or_default();
        assert!(refused.contains(said), "{shown}: {refused:?}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}

/// `probe` counts: with its one connection idle, and with it in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_stays_within_the_limit() {
    let server = Server::start(|_| None).await;
    let smtp = Smtp::new(Settings { connections: 1, ..settings(server.port) }).unwrap();
    assert_eq!(kind(&smtp.deliver(&message(1), &Gate::new(true)).await), "accepted");
    assert!(smtp.probe().await.is_ok());
    assert_eq!(kind(&smtp.deliver(&message(2), &Gate::new(true)).await), "accepted");
    assert_eq!(server.connections(), 3, "the idle one made room for the probe's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_log_in_is_the_channels_fault() {
    let server = Server::start(|at: &At| (at.verb == "AUTH").then(|| say("535 5.7.8 bad credentials"))).await;
    let logged_in = Settings { username: Some("punctual".to_owned()), password: Some("secret".into()), ..settings(server.port) };
    let smtp = Smtp::new(logged_in).unwrap();
    assert_eq!(kind(&smtp.deliver(&message(1), &Gate::new(true)).await), "channel");
    assert!(smtp.probe().await.unwrap_err().contains("535"));
    assert!(!server.verbs().contains(&"MAIL".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_the_server_repeats_is_not_told() {
    let server = Server::start(|at: &At| match at.verb.as_str() {
        "EHLO" => Some(say("250-test\r\n250 AUTH PLAIN")),
        "AUTH" => Some(say("535 5.7.8 refused: AUTH PLAIN AHB1bmN0dWFsAHNlY3JldA==, which is punctual, secret")),
        _ => None,
    })
    .await;
    let logged_in = Settings { username: Some("punctual".to_owned()), password: Some("secret".into()), ..settings(server.port) };
    let told = Smtp::new(logged_in).unwrap().probe().await.unwrap_err();
    assert_eq!(told, "log-in: 535 5.7.8 refused: AUTH PLAIN (log-in), which is punctual, (log-in)");
}
