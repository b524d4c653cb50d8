//! The Session API against a server that answers as the recorded one did, and as it should not.

use std::time::Duration;

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use punctual::outbox::Walks;
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::session::SnapshotKind;
use punctual::source::http::{Api, Settings};

use crate::servers::http::{Reply, Server, answer};

const EXAMPLE: &str = include_str!("../fixtures/sessions.json");

fn api(port: u16, hosts: &[i64]) -> Api {
    let url = format!("http://127.0.0.1:{port}");
    let settings =
        Settings { url, identifier: "id".to_owned(), secret: "s3cret".into(), hosts: hosts.to_vec(), timeout: Duration::from_millis(800) };
    Api::new(settings).unwrap()
}

/// As the API writes it: CRLF, two blanks, its own content type.
fn as_recorded() -> Reply {
    let pretty = EXAMPLE.replace('\n', "\r\n  ");
    answer(200, "Content-Type: application/json; charset=utf-8\r\nCache-Control: no-cache\r\n", &pretty)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_read_as_it_is_written() {
    let server = Server::start(as_recorded()).await;
    let snapshot = api(server.port, &[]).read().await.unwrap();
    assert_eq!((snapshot.sessions.len(), snapshot.faults.len(), snapshot.kind), (3, 0, SnapshotKind::Full));
    let request = server.requests()[0].to_ascii_lowercase();
    assert!(request.starts_with("get /session http/1.1\r\n") && request.contains("authorization: basic awq6cznjcmv0\r\n"), "{request}");
    assert!(!request.contains("accept-encoding"), "no compressed answer is asked for: {request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_is_asked_and_a_failing_one_makes_it_partial() {
    let server = Server::start(as_recorded()).await;
    let snapshot = api(server.port, &[2942, 12]).read().await.unwrap();
    assert_eq!((snapshot.sessions.len(), snapshot.kind), (6, SnapshotKind::Full));
    let paths: Vec<String> = server.requests().iter().map(|r| r.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(paths, ["/session/2942", "/session/12"]);
    let refusing = Server::start(answer(404, "", "{\"Message\": \"User not found\"}")).await;
    assert!(api(refusing.port, &[7]).read().await.unwrap_err().contains("User not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_changed_is_not_sent_again() {
    let server = Server::start(Reply::Tagged("\"v1\"", EXAMPLE.to_owned())).await;
    let api = api(server.port, &[]);
    for _ in 0..3 {
        assert_eq!(api.read().await.unwrap().sessions.len(), 3);
    }
    let conditional = server.requests().iter().filter(|r| r.to_ascii_lowercase().contains("if-none-match: \"v1\"")).count();
    assert_eq!((server.requests().len(), conditional), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_answer_is_an_error_that_says_what_and_where() {
    let raw = |text: String| Reply::Bytes(text.into_bytes());
    for (reply, words) in [
        (
            answer(401, "", "{\"Message\": \"Authorization has been denied for this request.\"}"),
            "answered 401: Authorization has been denied for this request.; check identifier",
        ),
        (
            answer(404, "", "{\"Message\": \"User not found\", \"MessageDetail\": \"trevor@example.com\"}"),
            "answered 404: User not found (address)",
        ),
        (answer(302, "Location: http://127.0.0.1:1/\r\n", ""), "redirects are not followed"),
        (answer(500, "", "<html>"), "answered 500"),
        // Unasked: whoever is in the other part would count as absent.
        (answer(206, "Content-Range: bytes 0-999/5000\r\n", EXAMPLE), "answered 206"),
        (answer(200, "", "<html>log in</html>"), "HTML"),
        (answer(200, "", "{\"Message\": \"An error has occurred.\"}"), "error message"),
        (answer(200, "", &EXAMPLE[..1000]), "ends too early"),
        (raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", 50 << 20, "[".repeat(33 << 20))), "32 MiB"),
        (raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{".to_owned()), "broke off"),
        (Reply::Close, "GET /session"),
        (Reply::Hang, "GET /session"),
    ] {
        let server = Server::start(reply).await;
        let why = api(server.port, &[]).read().await.unwrap_err();
        assert!(why.contains(words) && why.contains("GET /session"), "{words}: {why}");
        assert!(!why.contains("s3cret") && !why.contains("trevor"), "{why}");
        assert_eq!(server.requests().len(), 1, "{words}: one request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_rest_gets_it() {
    let server = Server::start(answer(429, "Retry-After: 30\r\n", "")).await;
    let api = api(server.port, &[]);
    assert!(api.read().await.unwrap_err().contains("answered 429"));
    assert!(api.read().await.unwrap_err().contains("left alone"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_left_alone_also_when_it_does_not_say_so() {
    for (status, rests) in [(429, true), (503, true), (500, false), (404, false)] {
        let server = Server::start(answer(status, "", "")).await;
        let api = api(server.port, &[]);
        assert!(!api.rests());
        assert!(api.read().await.unwrap_err().contains(&format!("answered {status}")));
        assert_eq!(api.rests(), rests, "{status}");
        api.read().await.unwrap_err();
        assert_eq!(server.requests().len(), if rests { 1 } else { 2 }, "{status}");
    }
}

/// By each process that asks it next; for an hour at most, whatever it said, or some clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_rest_gets_it_after_a_restart() {
    let server = Server::start(answer(429, "Retry-After: 99999999\r\n", "")).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret").unwrap();
    std::fs::set_permissions(folder.path().join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!(
        "[practice]\nname = \"Lakeside\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"desk@example.org\"\n\
         [[email.relay]]\nkind = \"folder\"\npath = \"out\"\n[[source]]\nname = \"api\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{}\"\n\
         identifier = \"id\"\nsecret_file = \"secret\"\n",
        server.port
    );
    std::fs::write(folder.path().join("punctual.toml"), text).unwrap();
    let once = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
        command.args(["run", "--once"]).current_dir(folder.path()).output().unwrap()
    };
    let said = String::from_utf8_lossy(&once().stderr).into_owned();
    assert!(server.requests().len() == 1 && said.contains("answered 429"), "{said}");
    let said = String::from_utf8_lossy(&once().stderr).into_owned();
    assert_eq!(server.requests().len(), 1, "it rests");
    assert!(said.contains("it asked to be left alone until 20"), "and that is no secret: {said}");
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
    let checked = String::from_utf8(check.arg("check").current_dir(folder.path()).output().unwrap().stdout).unwrap();
    assert!(checked.contains("source api: it asked to be left alone until 20"), "{checked}");
    assert_eq!(server.requests().len(), 1, "a check asks it neither");
    let store = SqliteOutbox::open(&format!("sqlite://{}", folder.path().join("punctual.db").display()), Access::Command).unwrap();
    let (until, now) = (store.looks().await.unwrap()[0].quiet_until.unwrap(), WallClock.now());
    assert!(until <= now + TimeDelta::hours(1) && until > now + TimeDelta::minutes(50), "{until}");
    store.leave_alone("api", Some(now + TimeDelta::hours(2)), 1).await.unwrap();
    drop(store);
    once();
    assert_eq!(server.requests().len(), 2, "by a clock that was wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_is_a_snapshot() {
    let server = Server::start(answer(200, "", "[]")).await;
    assert_eq!(api(server.port, &[]).read().await.unwrap().sessions.len(), 0);
}
