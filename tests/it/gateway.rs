//! SMS gateways against a server that answers as the test says.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use punctual::contact::PhoneNumber;
use punctual::deliver::gateway::rules::{Meaning, ResponseRule};
use punctual::deliver::gateway::{http, kannel, twilio};
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::json_pointer::At;
use punctual::message::{Content, Message, SmsEncoding};
use punctual::notice::NoticeKey;
use punctual::outcome::Outcome;
use punctual::suppression::Suppression;

use crate::servers::http::{Reply, Server, answer};

mod hold;
mod trust;

pub(crate) struct Open(pub(crate) bool);

#[async_trait]
impl PointOfNoReturn for Open {
    async fn pass(&self) -> bool {
        self.0
    }
}

pub(crate) fn message(text: &str, encoding: SmsEncoding) -> Message {
    Message {
        key: NoticeKey([1; 16]),
        reference: "abcdefgh".to_owned(),
        content: Content::Sms { to: PhoneNumber::parse("4045550133", "US").unwrap(), text: text.into(), encoding, segments: 1 },
    }
}

fn to_twilio(port: u16) -> twilio::Twilio {
    twilio::Twilio::new(twilio_settings(port)).unwrap()
}

pub(crate) fn twilio_settings(port: u16) -> twilio::Settings {
    twilio::Settings {
        url: format!("http://127.0.0.1:{port}"),
        account_sid: "AC1".to_owned(),
        login: twilio::Login::Token("token".into()),
        from: Some("+15550100".to_owned()),
        messaging_service_sid: None,
        callback_url: Some("https://practice.example/hooks/twilio?a=b".to_owned()),
        ca_file: None,
        connections: 2,
        timeout: Duration::from_millis(800),
    }
}

fn to_kannel(port: u16) -> kannel::Kannel {
    kannel::Kannel::new(kannel_settings(port)).unwrap()
}

fn kannel_settings(port: u16) -> kannel::Settings {
    kannel::Settings {
        url: format!("http://127.0.0.1:{port}/cgi-bin/sendsms"),
        username: "punctual".to_owned(),
        password: "s3cret&x=y".into(),
        from: Some("12345".to_owned()),
        callback_url: Some("http://127.0.0.1:9/dlr".to_owned()),
        ca_file: None,
        connections: 2,
        timeout: Duration::from_millis(800),
    }
}

fn to_any(port: u16, accepted: &[u16]) -> http::Http {
    http::Http::new(any_settings(port, accepted)).unwrap()
}

fn any_settings(port: u16, accepted: &[u16]) -> http::Settings {
    http::Settings {
        url: format!("http://127.0.0.1:{port}/v1/{{{{ to | urlencode }}}}"),
        method: "POST".to_owned(),
        headers: BTreeMap::from([
            ("Authorization".to_owned(), "Bearer {{ secret }}".to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ]),
        body: Some(r#"{"to": {{ to | json_encode }}, "text": {{ text | json_encode }}, "ref": {{ reference | json_encode }}}"#.to_owned()),
        secret: Some("s3cret".into()),
        from: None,
        callback_url: None,
        accepted_status: accepted.to_vec(),
        reference_pointer: Some("/data/0/id".to_owned()),
        answers: Vec::new(),
        ca_file: None,
        connections: 2,
        timeout: Duration::from_millis(800),
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { reference: Some(_), .. } => "accepted with id",
        Outcome::Accepted { .. } => "accepted",
        Outcome::Rejected { remember: Some(Suppression::OptedOut), .. } => "opted out",
        Outcome::Rejected { remember: Some(Suppression::Bounced), .. } => "bounced",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Retry { .. } => "retry",
        Outcome::ChannelFault { .. } => "channel",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Fenced => "fenced",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_outcome() {
    let raw = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
    for (name, reply, want) in [
        ("created", answer(201, "", r#"{"sid":"SM1"}"#), "accepted with id"),
        ("no sid", answer(201, "", "<html>"), "unknown"),
        ("a body that breaks off", raw("HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"sid\":"), "unknown"),
        ("an endless header", raw(&format!("HTTP/1.1 201 Created\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))), "unknown"),
        ("a redirect", answer(307, "Location: http://127.0.0.1:1/\r\n", ""), "channel"),
        ("opt-out", answer(400, "", r#"{"code":21610}"#), "opted out"),
        ("no such number", answer(400, "", r#"{"code":21211}"#), "rejected"),
        ("region", answer(400, "", r#"{"code":21408}"#), "retry"),
        ("a body that never ends", Reply::Keep(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"sid\":".to_vec()), "unknown"),
        ("a body too long to read", answer(201, "", &format!("{{\"x\":\"{}\",\"sid\":\"SM1\"}}", "x".repeat(1 << 20))), "unknown"),
        ("a head that never ends", Reply::Keep(b"HTTP/1.1 201 Created\r\nX: ".to_vec()), "unknown"),
        ("log-in", answer(401, "", r#"{"code":20003}"#), "channel"),
        ("too many", answer(429, "Retry-After: 30\r\n", ""), "channel"),
        ("busy", answer(503, "Retry-After: 30\r\n", ""), "channel"),
        ("gone wrong", answer(500, "", ""), "unknown"),
        ("unavailable", answer(503, "", ""), "unknown"),
        ("closed", Reply::Close, "unknown"),
        ("silent", Reply::Hang, "unknown"),
        ("nonsense", raw("SSH-2.0\r\n\r\n"), "unknown"),
    ] {
        let server = Server::start(reply).await;
        let outcome = to_twilio(server.port).deliver(&message("Hello", SmsEncoding::Gsm7), &Open(true)).await;
        assert_eq!(kind(&outcome), want, "{name}: {outcome:?}");
        assert_eq!(server.requests().len(), 1, "{name}: one request, and none on its own account");
        assert!(!format!("{outcome:?}").contains("404555"), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_gets_a_form() {
    let server = Server::start(answer(201, "", r#"{"sid":"SM1"}"#)).await;
    to_twilio(server.port).deliver(&message("Hi & bye=1 é", SmsEncoding::Gsm7), &Open(true)).await;
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n"), "{request}");
    let form = request.rsplit("\r\n\r\n").next().unwrap();
    assert_eq!(
        form,
        "To=%2B14045550133&Body=Hi+%26+bye%3D1+%C3%A9&From=%2B15550100&StatusCallback=https%3A%2F%2Fpractice.example%2Fhooks%2Ftwilio%3Fa%3Db%26ref%3Dabcdefgh"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kannel_gets_a_query_and_its_503_is_a_no() {
    let server = Server::start(answer(202, "", "0: Accepted for delivery")).await;
    let outcome = to_kannel(server.port).deliver(&message("李雷", SmsEncoding::Ucs2), &Open(true)).await;
    assert_eq!(outcome, Outcome::Accepted { reply: "202 0: Accepted for delivery".to_owned(), reference: None });
    let request = server.requests()[0].lines().next().unwrap().to_owned();
    for part in [
        "password=s3cret%26x%3Dy",
        "to=%2B14045550133",
        "text=%E6%9D%8E%E9%9B%B7",
        "coding=2",
        "charset=UTF-8",
        "dlr-mask=31",
        "ref%3Dabcdefgh",
    ] {
        assert!(request.contains(part), "{part} not in {request}");
    }
    for (status, body, want) in [
        (202, "3: Queued for later delivery", "accepted"),
        (200, "<html><title>Login required</title></html>", "unknown"),
        (202, "Welcome", "unknown"),
        (403, "Authorization failed", "channel"),
        (503, "try later", "retry"),
        (403, "Not routable. Do not try again.", "rejected"),
        (400, "no", "rejected"),
    ] {
        let server = Server::start(answer(status, "", body)).await;
        assert_eq!(kind(&to_kannel(server.port).deliver(&message("Hi", SmsEncoding::Gsm7), &Open(true)).await), want, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_gateway_is_a_template() {
    let server = Server::start(answer(200, "", r#"{"data":[{"id":77}]}"#)).await;
    let outcome = to_any(server.port, &[200]).deliver(&message("say \"hi\" {{ 7*7 }}\n", SmsEncoding::Gsm7), &Open(true)).await;
    assert!(matches!(&outcome, Outcome::Accepted { reference: Some(id), .. } if id == "77"), "{outcome:?}");
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /v1/%2B14045550133 HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("authorization: bearer s3cret\r\n"), "{request}");
    let body: serde_json::Value = serde_json::from_str(request.rsplit("\r\n\r\n").next().unwrap()).unwrap();
    assert_eq!(body["text"], "say \"hi\" {{ 7*7 }}\n");
    assert_eq!(outcome, Outcome::Accepted { reply: "200".to_owned(), reference: Some("77".to_owned()) });
    let strange = Server::start(answer(204, "", "")).await;
    assert_eq!(kind(&to_any(strange.port, &[200]).deliver(&message("Hi", SmsEncoding::Gsm7), &Open(true)).await), "unknown");
}

/// A gateway as there are many: 200 to everything, and what became of it in the body.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_body_of_a_200_is_no_success() {
    let status = |text: &str| Some(At { pointer: "/status".to_owned(), one_of: vec![text.to_owned()] });
    let rule = |at, contains: Option<&str>, means| ResponseRule { status: vec![200], at, contains: contains.map(str::to_owned), means };
    let rules = vec![
        rule(status("0"), None, Meaning::Accepted),
        rule(status("4"), Some("blacklist"), Meaning::OptedOut),
        rule(None, Some("err 105"), Meaning::InvalidNumber),
        rule(status("7"), None, Meaning::Retry),
        rule(status("9"), None, Meaning::ChannelFault),
        rule(None, Some("err"), Meaning::Rejected),
    ];
    let broken = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":0,".to_vec());
    let endless = format!("{{\"status\":0,\"x\":\"{}\"}}", "x".repeat(1 << 20));
    for (name, reply, want) in [
        ("taken", answer(200, "", r#"{"status":0,"data":[{"id":77}]}"#), "accepted with id"),
        ("taken without an id", answer(200, "", r#"{"status":0}"#), "unknown"),
        ("opted out", answer(200, "", r#"{"status":"4","text":"number on BLACKLIST"}"#), "opted out"),
        ("no number", answer(200, "", "ERR 105: no such subscriber"), "bounced"),
        ("later", answer(200, "", r#"{"status":7}"#), "retry"),
        ("no credit", answer(200, "", r#"{"status":9}"#), "channel"),
        ("refused", answer(200, "", "ERR 1"), "rejected"),
        ("a page", answer(200, "", "<html>welcome</html>"), "unknown"),
        ("another code", answer(200, "", r#"{"status":99}"#), "unknown"),
        ("nothing", answer(200, "", ""), "unknown"),
        ("half an answer", broken, "unknown"),
        ("more than is read", answer(200, "", &endless), "unknown"),
        ("a status of its own", answer(401, "", r#"{"status":0}"#), "channel"),
    ] {
        let server = Server::start(reply).await;
        let settings = http::Settings { answers: rules.clone(), ..any_settings(server.port, &[200]) };
        let outcome = http::Http::new(settings).unwrap().deliver(&message("Hello", SmsEncoding::Gsm7), &Open(true)).await;
        assert_eq!(kind(&outcome), want, "{name}: {outcome:?}");
        assert_eq!(server.requests().len(), 1, "{name}: one request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_takes_an_api_key_in_place_of_the_token() {
    let server = Server::start(answer(200, "", r#"{"sid":"SM1"}"#)).await;
    let login = twilio::Login::Key { sid: "SK1".to_owned(), secret: "s3cret".into() };
    let twilio = twilio::Twilio::new(twilio::Settings { login, ..twilio_settings(server.port) }).unwrap();
    assert_eq!(kind(&twilio.deliver(&message("Hello", SmsEncoding::Gsm7), &Open(true)).await), "accepted with id");
    assert!(twilio.probe().await.is_ok());
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /2010-04-01/Accounts/AC1/Messages.json "), "{requests:?}");
    assert!(requests[1].starts_with("GET /2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?PageSize=1 "), "{requests:?}");
    let basic = data_encoding::BASE64.encode(b"SK1:s3cret");
    assert!(requests.iter().all(|r| r.to_ascii_lowercase().contains(&format!("authorization: basic {basic}\r\n").to_ascii_lowercase())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_echoes_is_not_kept() {
    let text = "Lakeside: Trevor, your visit is at 3:00 PM. https://hello.example/701678455";
    let echo = serde_json::json!({"sid": "SM1", "status": "queued", "body": text, "to": "+14045550133"}).to_string();
    let server = Server::start(answer(201, "", &echo)).await;
    let outcome = to_twilio(server.port).deliver(&message(text, SmsEncoding::Gsm7), &Open(true)).await;
    assert_eq!(outcome, Outcome::Accepted { reply: "201 queued".to_owned(), reference: Some("SM1".to_owned()) });
    let server =
        Server::start(answer(500, "", "no route for /cgi-bin/sendsms?password=s3cret%26x%3Dy&text=Lakeside%3A+Trevor%2C+your")).await;
    for transport in [&to_kannel(server.port) as &dyn Transport, &to_any(server.port, &[200])] {
        let said = format!("{:?}", transport.deliver(&message(text, SmsEncoding::Gsm7), &Open(true)).await);
        assert!(said.contains("500 no route for"), "{said}");
        assert!(!said.contains("s3cret") && !said.contains("Trevor") && !said.contains("Lakeside"), "{said}");
    }
}

/// As `{{ secret }}` is not, what stands in its place is not repeated either.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_are_typed_into_a_template_are_not_kept() {
    const ECHO: &str =
        "no route for me:hunter2@sms.example.com/send?api_key=K3Y-x%21y&account=98765432101&type=sms, K3Y-x!y, Bearer T0KEN, body b0dyk3y9";
    let server = Server::start(answer(500, "", ECHO)).await;
    let port = server.port;
    let any = http::Settings {
        url: format!("http://me:hunter2@127.0.0.1:{port}/send?api_key=K3Y-x%21y&account=98765432101&type=sms"),
        headers: BTreeMap::from([("Authorization".to_owned(), "Bearer T0KEN".to_owned())]),
        body: Some("{{ text }} b0dyk3y9".to_owned()),
        ..any_settings(port, &[200])
    };
    let kannel = kannel::Settings {
        url: format!("http://me:hunter2@127.0.0.1:{port}/send?api_key=K3Y-x%21y&account=98765432101"),
        ..kannel_settings(port)
    };
    let any = http::Http::new(any).unwrap();
    let kannel = kannel::Kannel::new(kannel).unwrap();
    for (transport, more) in [(&any as &dyn Transport, &["T0KEN", "b0dyk3y9"] as &[&str]), (&kannel, &[])] {
        let said = format!("{:?}", transport.deliver(&message("Hello", SmsEncoding::Gsm7), &Open(true)).await);
        assert!(said.contains("500 no route for"), "{said}");
        for secret in ["hunter2", "K3Y", "98765432101"].iter().chain(more) {
            assert!(!said.contains(secret), "{secret}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_say_what_answers_and_what_is_wrong() {
    for (status, twilio, kannel) in
        [(200, Ok(()), Err("expected Kannel")), (401, Err("auth_token"), Err("password")), (400, Err("answers 400"), Ok(()))]
    {
        let server = Server::start(answer(status, "", "")).await;
        for (transport, want) in
            [(&to_twilio(server.port) as &dyn Transport, twilio), (&to_kannel(server.port), kannel), (&to_any(server.port, &[200]), Ok(()))]
        {
            match (transport.probe().await, want) {
                (Ok(_), Ok(())) => {}
                (Err(said), Err(part)) if said.contains(part) && !said.contains("s3cret") => {}
                (said, want) => panic!("{} {status}: {said:?}, expected {want:?}", transport.name()),
            }
        }
        let asked = server.requests();
        assert!(asked[0].starts_with("GET /2010-04-01/Accounts/AC1.json "), "{asked:?}");
        assert!(!asked[1].contains("to=") && !asked[1].contains("text="), "{asked:?}");
        assert!(asked[2].starts_with("HEAD / ") && !asked[2].contains("s3cret"), "{asked:?}");
    }
}
