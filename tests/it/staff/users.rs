//! Users by users: an operator adds and removes, everybody changes their own password; and nobody is logged out by a restart.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use punctual::access::file;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use super::{Browser, Office, PASSWORD, token_of};
use crate::push::{Practice, no_trust};

impl Browser<'_> {
    /// What a page answers to a form of it: the status, and the page.
    async fn does(&mut self, page: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let token = token_of(&self.page(page).await.1);
        let all = [&[("token", token.as_str())], fields].concat();
        let answer = self.post(page, &all).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

fn drawn(page: &str) -> String {
    page.split("class=\"drawn\">").nth(1).unwrap_or_else(|| panic!("no password in {page}")).split('<').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_adds_changes_and_removes_users() {
    let office = Office::open().await;
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    let add = |own| [("act", "add"), ("name", "Sam"), ("role", "viewer"), ("own", own)];
    assert_eq!(victor.page("/users").await.0, 403);
    assert_eq!(victor.submit("/", "/users", &add(PASSWORD)).await, 403);
    let (status, page) = jane.does("/users", &add("not my password")).await;
    assert!(status == 409 && page.contains("Your own password is wrong") && !page.contains(">sam<"), "{page}");
    let (status, page) = jane.does("/users", &add(PASSWORD)).await;
    assert!(status == 200 && page.contains("sam may log in as viewer"), "{page}");
    let first = drawn(&page);
    assert!(!jane.page("/users").await.1.contains(&first), "it is shown once");
    assert_eq!(jane.does("/users", &add(PASSWORD)).await.0, 409, "there is a sam");

    let mut sam = office.browser();
    assert_eq!(sam.log_in("sam", &first).await.status(), 303);
    assert_eq!(sam.page("/users").await.0, 403);
    let asks = |act, name| [("act", act), ("name", name), ("role", "operator"), ("own", PASSWORD)];
    assert_eq!(jane.does("/users", &asks("role", "sam")).await.0, 200);
    assert_eq!(sam.page("/users").await.0, 200, "it holds at once");
    for act in ["role", "remove"] {
        let (status, page) = jane.does("/users", &asks(act, "jane")).await;
        assert!(status == 409 && page.contains("This is you"), "{act}: {page}");
    }
    let (_, page) = jane.does("/users", &asks("password", "sam")).await;
    let second = drawn(&page);
    assert_eq!(sam.page("/").await.0, 303, "another password ends the visit");
    assert_eq!(sam.log_in("sam", &first).await.status(), 401);
    assert_eq!(sam.log_in("sam", &second).await.status(), 303);
    assert_eq!(jane.does("/users", &asks("remove", "sam")).await.0, 200);
    assert_eq!(sam.page("/").await.0, 303);
    let told: Vec<String> =
        office.ledger().await.into_iter().filter(|row| row.event.as_str().starts_with("user_")).filter_map(|row| row.detail).collect();
    assert_eq!(told, ["sam, viewer, by jane", "sam, operator, by jane", "sam, by jane", "sam, by jane"]);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_changes_their_own_password() {
    const NEW: &str = "another battery staple";
    let office = Office::open().await;
    let (mut victor, mut elsewhere) = (office.logged_in("victor").await, office.logged_in("victor").await);
    let wish = |own, new, again| [("own", own), ("new", new), ("again", again)];
    for (own, new, again, says) in [
        ("wrong", NEW, NEW, "Your own password is wrong"),
        (PASSWORD, NEW, "another battery", "are not the same"),
        (PASSWORD, "short", "short", "12 characters or more"),
    ] {
        let (status, page) = victor.does("/password", &wish(own, new, again)).await;
        assert!(status == 409 && page.contains(says) && !page.contains(NEW), "{says}: {page}");
    }
    assert_eq!(elsewhere.page("/").await.0, 200);
    assert_eq!(victor.does("/password", &wish(PASSWORD, NEW, NEW)).await.0, 200);
    assert_eq!((victor.page("/").await.0, elsewhere.page("/").await.0), (200, 303), "this browser stays, others log in anew");
    assert_eq!(elsewhere.log_in("victor", PASSWORD).await.status(), 401);
    assert_eq!(elsewhere.log_in("victor", NEW).await.status(), 303);
    office.close().await;
}

/// A daemon in that folder, when it is ready.
fn daemon(folder: &Path, port: u16) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_punctual")).arg("run").current_dir(folder).stderr(Stdio::null()).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// The page that was open before, and its form, still do what they say, also after a kill; who logged out stays out.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_logs_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = Practice::text("").replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(folder.path().join("punctual.toml"), text).unwrap();
    std::fs::set_permissions(folder.path().join("punctual.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    file::write(&folder.path().join("users.toml"), &super::everybody()).unwrap();
    let client = Client::builder().no_proxy().redirect(Policy::none()).tls_backend_preconfigured(no_trust()).build().unwrap();
    let address = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let get = async |path: &str, cookie: &str| client.get(address(path)).header("cookie", cookie).send().await.unwrap();
    let post = async |path: &str, cookie: &str, form: &[(&str, &str)]| {
        client.post(address(path)).header("cookie", cookie).form(form).send().await.unwrap()
    };
    let cookie_of = |answer: &Response| answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let mut child = daemon(folder.path(), port);
    let log_in = async || {
        let form = get("/login", "").await;
        let before = cookie_of(&form);
        let token = token_of(&form.text().await.unwrap());
        let answer = post("/login", &before, &[("token", &token), ("name", "jane"), ("password", PASSWORD)]).await;
        assert_eq!(answer.status(), 303);
        cookie_of(&answer)
    };
    let (jane, gone) = (log_in().await, log_in().await);
    let token = token_of(&get("/password", &jane).await.text().await.unwrap());
    let out = token_of(&get("/", &gone).await.text().await.unwrap());
    assert_eq!(post("/logout", &gone, &[("token", &out)]).await.status(), 303);
    for _ in 0..2 {
        child.kill().unwrap();
        child.wait().unwrap();
        child = daemon(folder.path(), port);
        assert_eq!((get("/", &jane).await.status().as_u16(), get("/", &gone).await.status().as_u16()), (200, 303));
        let form = [("token", token.as_str()), ("own", "wrong"), ("new", "x"), ("again", "x")];
        assert_eq!(post("/password", &jane, &form).await.status(), 409, "the form is good, the password is not");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
