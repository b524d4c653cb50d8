//! `/api/v1`: scopes, filters, pages, deeds, and a description that is true.

use std::collections::BTreeSet;

use punctual::entry::State;
use punctual::ledger::Event;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Office, PUSH, READ, WRITE};
use crate::push::{TOKEN, said, session};

impl Office {
    async fn api(&self, method: Method, path: &str, token: &str, body: &str) -> Response {
        self.practice.ask(method, &format!("/api/v1{path}"), token, body.to_owned()).await
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = said(self.api(Method::GET, path, READ, "").await).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_its_scope_says() {
    let office = Office::open().await;
    let key = office.hold().await;
    let release = format!("/notices/{key}/release");
    for (method, path, allowed) in [
        (Method::GET, "/notices", [READ, WRITE].as_slice()),
        (Method::GET, "/status", &[READ, WRITE]),
        (Method::POST, release.as_str(), &[WRITE]),
    ] {
        for token in ["", "x", READ, WRITE, PUSH, TOKEN] {
            let (status, problem) = said(office.api(method.clone(), path, token, "").await).await;
            let expected = match token {
                _ if allowed.contains(&token) => 200,
                READ | WRITE | PUSH => 403,
                _ => 401,
            };
            assert_eq!(status, expected, "{path} {token}: {problem}");
            assert!(status == 200 || problem["status"] == expected, "{problem}");
        }
    }
    let pushed = office.api(Method::PUT, "/sources/back-office/sessions", PUSH, "[]").await;
    assert_eq!(said(pushed).await.0, 200, "any source");
    for (token, path, status) in [(READ, "/sources/back-office/sessions", 401), (PUSH, "/sources/nothing/sessions", 404)] {
        assert_eq!(said(office.api(Method::PUT, path, token, "[]").await).await.0, status, "{path}");
    }
    office.users(|access| access.token.clear());
    assert_eq!(office.api(Method::GET, "/notices", READ, "").await.status(), 401, "at once");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_come_in_pages_and_each_once() {
    let all: Vec<Value> = (1..=5).map(|id| session(id, 100_000_000 + id)).collect();
    let office = Office::with(&all).await;
    let (mut path, mut keys) = ("/notices?limit=4".to_owned(), Vec::new());
    loop {
        let page = office.read(&path).await;
        let of_page = page["notices"].as_array().unwrap();
        assert!((1..=4).contains(&of_page.len()), "{page}");
        keys.extend(of_page.iter().map(|n| n["key"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/notices?limit=4&cursor={next}");
    }
    let listed: Vec<String> = office.entries().await.iter().map(|e| e.notice.key.to_string()).collect();
    assert_eq!((keys.len(), keys), (15, listed));
    for (query, count) in
        [("session=2", 3), ("participation=21", 3), ("occasion=invite", 5), ("state=held", 0), ("state=waiting&state=held", 15)]
    {
        assert_eq!(office.read(&format!("/notices?{query}")).await["notices"].as_array().unwrap().len(), count, "{query}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_hold_no_code_and_no_contact() {
    let office = Office::open().await;
    let key = office.hold().await;
    let paths = [
        "/notices".to_owned(),
        format!("/notices/{key}"),
        format!("/notices/{key}/preview"),
        "/sessions/1/participants".to_owned(),
        "/sessions/2/participants?participation=21".to_owned(),
        "/unreachable".to_owned(),
        "/guard".to_owned(),
        "/suppressions".to_owned(),
        "/status".to_owned(),
    ];
    for path in paths {
        let text = office.read(&path).await.to_string();
        for secret in ["111111111", "111-111-111", "222222222", "222-222-222", "trevor@example.com"] {
            assert!(!text.contains(secret), "{path} holds {secret}: {text}");
        }
        assert_eq!(text.contains("MacGuffin"), path.ends_with("/preview"), "{path}: a preview names whom the message names");
    }
    let preview = office.read(&format!("/notices/{key}/preview")).await;
    assert!(preview["text"].as_str().unwrap().contains("***-***-***") && preview["html"].is_string(), "{preview}");
    let people = office.read("/sessions/2/participants?participation=21").await;
    assert_eq!(people["participants"][0]["notices"].as_array().unwrap().len(), 3, "{people}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deeds_name_the_token() {
    let office = Office::open().await;
    let key = office.hold().await;
    let write = async |method, path: &str, body: Value| said(office.api(method, path, WRITE, &body.to_string()).await).await;
    let (status, shown) = write(Method::POST, &format!("/notices/{key}/cancel"), Value::Null).await;
    assert_eq!((status, &shown["state"]), (200, &json!("cancelled")));
    assert_eq!(write(Method::POST, &format!("/notices/{key}/release"), Value::Null).await.0, 409);
    assert_eq!(office.state(key).await, State::Cancelled);
    assert_eq!(write(Method::POST, "/guard/accept", json!({ "source": null })).await.0, 409, "nothing waits");
    assert_eq!(write(Method::POST, "/guard/accept", json!({ "source": "nothing" })).await.0, 404);
    assert_eq!(write(Method::POST, "/guard/reject", json!({ "source": null })).await.0, 409, "nothing waits");
    let address = json!({ "address": "nobody@example.com", "kind": "opted_out" });
    let (status, added) = write(Method::POST, "/suppressions", address.clone()).await;
    assert_eq!((status, write(Method::POST, "/suppressions", address).await.0), (201, 200));
    let listed = office.read("/suppressions").await;
    assert_eq!((&listed["suppressions"][0]["key"], &listed["suppressions"][0]["shown"]), (&added["key"], &json!("n*****@example.com")));
    write(Method::POST, "/suppressions", json!({ "address": "+1 212 555 0100", "kind": "bounced" })).await;
    let first = office.read("/suppressions?limit=1").await;
    let second = office.read(&format!("/suppressions?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_ne!(first["suppressions"][0]["key"], second["suppressions"][0]["key"]);
    assert_eq!(second["next"], Value::Null);
    let path = format!("/suppressions/{}", added["key"].as_str().unwrap());
    assert_eq!((write(Method::DELETE, &path, Value::Null).await.0, write(Method::DELETE, &path, Value::Null).await.0), (204, 404));
    for body in [json!({}), json!({ "address": "x", "kind": "opted_out" }), json!({ "address": "a@example.com", "kind": "x" }), json!([])] {
        let (status, problem) = write(Method::POST, "/suppressions", body).await;
        assert_eq!(status, 422, "{problem}");
    }
    let named: Vec<Event> = office
        .ledger()
        .await
        .into_iter()
        .filter(|r| r.detail.as_ref().is_some_and(|d| d.contains("by token writer")))
        .map(|r| r.event)
        .collect();
    assert_eq!(named, ["cancel", "suppress", "suppress", "suppress", "unsuppress"]);
    office.close().await;
}

/// A list in the place of the object that is described changes nothing, whatever its order says.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_no_object() {
    let office = Office::open().await;
    let refused = office.refused().await;
    let before = office.entries().await.len();
    for (path, body) in [
        ("/suppressions", json!(["nobody@example.com", "opted_out"])),
        ("/suppressions", json!([{ "address": "nobody@example.com", "kind": "opted_out" }])),
        ("/sessions/1/remind", json!([])),
        ("/guard/accept", json!([null])),
        (format!("/notices/{refused}/resend").as_str(), json!(["trevor@example.com"])),
    ] {
        let (status, problem) = said(office.api(Method::POST, path, WRITE, &format!(" {body}")).await).await;
        assert_eq!(status, 422, "{path} {body}: {problem}");
        assert_eq!(problem["detail"], "the body is a list; expected an object, as it is described", "{path}");
    }
    assert_eq!(office.read("/suppressions").await["suppressions"].as_array().unwrap().len(), 1, "the one that was refused before");
    assert_eq!(office.entries().await.len(), before);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_understood_says_what_is_expected() {
    let office = Office::open().await;
    for (query, says) in [
        ("state=a&state=b", "state: expected one of waiting, claimed, sending, "),
        ("state=waiting,held", "state: expected one of waiting, claimed, sending, "),
        ("occasion=birthday", "occasion: expected one of invite, "),
        ("session=1&session=2", "session stands twice"),
        ("state[]=waiting", "expected session, participation, state, occasion, limit, cursor"),
    ] {
        let answer = office.api(Method::GET, &format!("/notices?{query}"), READ, "").await;
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let (status, problem) = said(answer).await;
        assert_eq!(status, 400, "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{query}: {problem}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reminds_and_the_ledger_names_its_token() {
    let office = Office::open().await;
    let ask = async |token, path: &str, body: Value| said(office.api(Method::POST, path, token, &body.to_string()).await).await;
    assert_eq!(ask(READ, "/sessions/1/remind", json!({})).await.0, 403);
    for (path, body, status) in [
        ("/sessions/9/remind", json!({}), 404),
        ("/sessions/1/remind", json!({ "participation_id": 99 }), 404),
        ("/sessions/x/remind", json!({}), 404),
        ("/sessions/1/remind", json!({ "whom": 11 }), 422),
    ] {
        assert_eq!(ask(WRITE, path, body).await.0, status, "{path}");
    }
    office.invited().await;
    let body = json!({ "participation_id": 11, "in_quiet_hours": true, "reason": "called" });
    let (status, reminded) = ask(WRITE, "/sessions/1/remind", body.clone()).await;
    assert_eq!((status, &reminded["participants"][0]["reason"]), (200, &Value::Null), "{reminded}");
    let key = reminded["participants"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(office.read(&format!("/notices/{key}")).await["rule"], "now");
    let (status, problem) = ask(WRITE, "/sessions/1/remind", body).await;
    assert_eq!(status, 409, "{problem}");
    let row = office.ledger().await.into_iter().find(|r| r.event == "asked").unwrap();
    assert_eq!((row.key.as_deref(), row.detail.as_deref()), (Some(&*key), Some("by token writer, in quiet hours too: called")));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_resends_to_the_same_address_and_to_another() {
    let office = Office::open().await;
    let path = format!("/notices/{}/resend", office.refused().await);
    let ask = async |body: &str| said(office.api(Method::POST, &path, WRITE, body).await).await;
    for (body, status) in [("", 409), ("null", 409), ("{\"to\": \"x\"}", 422), ("{\"whom\": 1}", 422), ("{\"to\": \"+14045550133\"}", 409)]
    {
        let (said, problem) = ask(body).await;
        assert_eq!(said, status, "{body}: {problem}");
    }
    let (status, shown) = ask("{\"to\": \"mother@example.org\"}").await;
    assert_eq!((status, &shown["to"]), (200, &json!("m*****@example.org")));
    // It is on its way within a moment.
    assert!(["waiting", "claimed", "sending", "accepted"].contains(&shown["state"].as_str().unwrap()), "{shown}");
    office.close().await;
}

/// Every operation that is described is there, and nothing in the description is left open.
#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_of_what_is_there() {
    let office = Office::open().await;
    let (status, described) = said(office.practice.client.get(office.address("/api/v1/openapi.json")).send().await.unwrap()).await;
    assert_eq!((status, &described["openapi"]), (200, &json!("3.1.0")));
    let mut ids = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{path}");
            let path = path.replace("{key}", &"0".repeat(32)).replace("{act}", "hold").replace("{session}", "1");
            let asked = office.practice.client.request(method.to_uppercase().parse().unwrap(), office.address(&path));
            assert_eq!(asked.send().await.unwrap().status(), 401, "{method} {path}");
        }
    }
    assert_eq!(ids.len(), 18);
    let text = described.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(described["components"]["schemas"].get(reference).is_some(), "{reference}");
    }
    office.close().await;
}
