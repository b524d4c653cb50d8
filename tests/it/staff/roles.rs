//! Who may ask for what: one row for each route. A route that is not in the table fails the test, and so does a row without its route.

use std::collections::BTreeSet;

use reqwest::Method;

use super::{Office, PUSH, READ, WRITE};
use crate::push::said;

/// Who gets an answer; everybody else is refused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum For {
    /// Everybody: it holds nothing of anybody.
    All,
    /// The machine itself, or a token that may read.
    Inside,
    /// Whoever knows the token in the address, or signs.
    Hook,
    /// Nobody, but of a demonstration.
    Demo,
    /// Staff.
    Viewers,
    /// Staff who may act.
    Operators,
    /// Programs with that scope.
    Readers,
    Writers,
    Pushers,
}
use For::*;

pub(super) const TABLE: &[(&str, &str, For)] = &[
    ("GET", "/healthz", All),
    ("GET", "/readyz", Inside),
    ("GET", "/metrics", Inside),
    ("POST", "/hooks/securevideo/{token}", Hook),
    ("POST", "/hooks/twilio", Hook),
    ("GET", "/hooks/kannel/{token}", Hook),
    ("POST", "/hooks/sms/{token}", Hook),
    ("GET", "/", Viewers),
    ("GET", "/attention", Viewers),
    ("GET", "/unreachable", Viewers),
    ("GET", "/unreachable.csv", Viewers),
    ("GET", "/search", Viewers),
    ("POST", "/search", Viewers),
    ("GET", "/sessions/{id}", Viewers),
    ("GET", "/sessions/{id}/{participation}", Viewers),
    ("POST", "/sessions/{id}/{participation}/reveal", Operators),
    ("GET", "/sessions/{id}/{participation}/called", Operators),
    ("POST", "/sessions/{id}/{participation}/called", Operators),
    ("GET", "/sessions/{id}/{participation}/remind", Viewers),
    ("POST", "/sessions/{id}/{participation}/remind", Operators),
    ("GET", "/notices/{key}/resend", Viewers),
    ("POST", "/notices/{key}/resend", Operators),
    ("GET", "/notices/{key}", Viewers),
    ("GET", "/notices/{key}/message", Viewers),
    ("GET", "/notices/{key}/{act}", Operators),
    ("POST", "/notices/{key}/{act}", Operators),
    ("GET", "/blocked", Viewers),
    ("POST", "/blocked/{key}/remove", Operators),
    ("GET", "/history", Viewers),
    ("GET", "/servers", Viewers),
    ("GET", "/messages", Viewers),
    ("GET", "/templates", Operators),
    ("GET", "/templates/edit", Operators),
    ("POST", "/templates/edit", Operators),
    ("GET", "/templates/message", Operators),
    ("GET", "/users", Operators),
    ("POST", "/users", Operators),
    ("GET", "/password", Viewers),
    ("POST", "/password", Viewers),
    ("GET", "/guard/accept", Operators),
    ("GET", "/guard/reject", Operators),
    ("GET", "/blocked/{key}/remove", Operators),
    ("POST", "/blocked/add", Operators),
    ("POST", "/guard/accept", Operators),
    ("POST", "/guard/reject", Operators),
    ("POST", "/replies/{key}/read", Operators),
    ("GET", "/demo", Demo),
    ("POST", "/demo/{act}", Demo),
    ("GET", "/login", All),
    ("POST", "/login", All),
    ("POST", "/logout", Viewers),
    ("GET", "/punctual.css", All),
    ("GET", "/api/v1/openapi.json", All),
    ("GET", "/api/v1/notices", Readers),
    ("GET", "/api/v1/notices/{key}", Readers),
    ("GET", "/api/v1/notices/{key}/preview", Readers),
    ("POST", "/api/v1/notices/{key}/{act}", Writers),
    ("POST", "/api/v1/notices/{key}/resend", Writers),
    ("GET", "/api/v1/sessions/{session}/participants", Readers),
    ("POST", "/api/v1/sessions/{session}/remind", Writers),
    ("GET", "/api/v1/unreachable", Readers),
    ("GET", "/api/v1/guard", Readers),
    ("POST", "/api/v1/guard/accept", Writers),
    ("POST", "/api/v1/guard/reject", Writers),
    ("GET", "/api/v1/status", Readers),
    ("GET", "/api/v1/suppressions", Readers),
    ("POST", "/api/v1/suppressions", Writers),
    ("DELETE", "/api/v1/suppressions/{suppression}", Writers),
    ("PUT", "/api/v1/sources/{name}/sessions", Pushers),
    ("PUT", "/api/v1/sources/{name}/sessions/{session}", Pushers),
    ("DELETE", "/api/v1/sources/{name}/sessions/{session}", Pushers),
];

/// The routes as the source has them: `.route("/path", get(...).post(...))`, and those of the API's description.
async fn routes(office: &Office) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for source in [include_str!("../../../src/web.rs"), include_str!("../../../src/web/pages.rs")] {
        for route in source.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once("\", ").unwrap();
            let handlers = rest.split(".route(").next().unwrap().lines().next().unwrap();
            for (word, method) in
                [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("delete(", "DELETE"), ("any(", "any"), ("patch(", "PATCH")]
            {
                if handlers.match_indices(word).any(|(at, _)| !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
                    all.insert((method.to_owned(), path.to_owned()));
                }
            }
        }
    }
    let (_, described) = said(office.practice.ask(Method::GET, "/api/v1/openapi.json", "", String::new()).await).await;
    for (path, operations) in described["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            all.insert((method.to_uppercase(), if path.starts_with("/api/") { path.clone() } else { format!("/api/v1{path}") }));
        }
    }
    all.insert(("GET".to_owned(), "/api/v1/openapi.json".to_owned()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_says_who_may_ask_for_it() {
    let office = Office::open().await;
    let listed: BTreeSet<(String, String)> = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let there = routes(&office).await;
    assert_eq!(there.difference(&listed).collect::<Vec<_>>(), [] as [&(String, String); 0], "routes that nobody lists here");
    assert_eq!(listed.difference(&there).collect::<Vec<_>>(), [] as [&(String, String); 0], "rows without a route");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_an_answer() {
    let office = Office::open().await;
    let key = office.hold().await.to_string();
    let victor = office.logged_in("victor").await;
    let client = &victor.client;
    for (method, path, who) in TABLE {
        let path = path.replace("{key}", &key).replace("{act}", "release").replace("{id}", "1").replace("{session}", "1");
        let path =
            path.replace("{participation}", "11").replace("{name}", "front%20desk").replace("{token}", "guessed-0123456789abcdef012345");
        let path = path.replace("{suppression}", "0123456789abcdef0123456789abcdef");
        let ask = |cookie: &str, token: &str| {
            let method: Method = method.parse().unwrap();
            let mut request = client.request(method, office.address(&path)).header("cookie", cookie);
            if !token.is_empty() {
                request = request.bearer_auth(token);
            }
            request
        };
        let nobody = ask("", "").send().await.unwrap();
        let to_login = nobody.headers().get("location").is_some_and(|to| to == "/login");
        let refused = matches!(nobody.status().as_u16(), 401 | 403 | 404) || (nobody.status() == 303 && to_login) || nobody.status() == 415;
        assert_eq!(
            refused,
            !matches!(who, All | Inside) || (*path == *"/login" && *method == "POST"),
            "{method} {path}, nobody: {}",
            nobody.status()
        );
        let forwarded = ask("", "").header("x-forwarded-for", "203.0.113.9").send().await.unwrap().status().as_u16();
        assert!(*who != Inside || forwarded == 401, "{method} {path}, through a proxy: {forwarded}");
        let named = ask("", "").header("host", "rebound.example").send().await.unwrap().status().as_u16();
        assert!(*who != Inside || named == 401, "{method} {path}, by another name: {named}");
        let inside = ask("", READ).header("x-forwarded-for", "203.0.113.9").send().await.unwrap().status().as_u16();
        assert!(*who != Inside || inside != 401, "{method} {path}, with a token: {inside}");
        // A form without a token of the page's changes nothing, whoever sends it; so a viewer is refused either way.
        let viewer = ask(&victor.cookie, "").form(&[("token", "x")]).send().await.unwrap();
        let kept_out = matches!(viewer.status().as_u16(), 401 | 403 | 404);
        if *who == Operators {
            assert!(kept_out || viewer.status() == 303, "{method} {path}, a viewer: {}", viewer.status());
            assert!(*method == "GET" || kept_out, "{method} {path}, a viewer: {}", viewer.status());
        }
        for (token, scope) in [(READ, Readers), (WRITE, Writers), (PUSH, Pushers)] {
            if !matches!(who, Readers | Writers | Pushers) {
                continue;
            }
            let status = ask("", token).header("content-type", "application/json").send().await.unwrap().status().as_u16();
            let may = *who == scope || (*who == Readers && scope == Writers);
            assert_eq!(!matches!(status, 401 | 403), may, "{method} {path}, {scope:?}: {status}");
        }
    }
    office.close().await;
}
