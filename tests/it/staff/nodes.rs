//! Pages over several nodes of one practice: any node behind any balancer.

use punctual::access::totp;
use punctual::clock::{Clock, WallClock};
use punctual::entry::State;
use punctual::outbox::postgres::PostgresOutbox;

use super::*;
use crate::outbox::cluster::cluster;

/// A node with its own copy of the users file.
async fn node(url: &str, name: &str) -> Office {
    let text =
        Practice::text("").replace("sqlite://punctual.db", url).replace("[practice]", &format!("[node]\nname = \"{name}\"\n[practice]"));
    Office { practice: Practice::of(tempfile::tempdir().unwrap(), &text).await }
}

/// The same browser, sent to another node.
fn at<'a>(browser: &Browser<'_>, office: &'a Office) -> Browser<'a> {
    Browser { office, client: browser.client.clone(), cookie: browser.cookie.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_is_at_any_node() {
    let Some(cluster) = cluster() else { return };
    cluster.create("pages");
    PostgresOutbox::migrate(&cluster.server("pages")).unwrap();
    let (a, b) = (node(&cluster.url("pages"), "a").await, node(&cluster.url("pages"), "b").await);
    let secret = totp::new_secret().unwrap();
    // The same file on both.
    let mut access = everybody();
    access.user[0].totp = Some(secret.clone());
    for office in [&a, &b] {
        file::write(&office.practice.folder.path().join("users.toml"), &access).unwrap();
    }
    // What is pushed to one is at the other; and the other way round.
    assert_eq!(a.practice.list(&[session(1, 111_111_111)]).await.0, 200);
    assert_eq!(b.practice.list(&[session(1, 111_111_111), session(2, 222_222_222)]).await.0, 200);
    assert_eq!(a.practice.list(&[session(1, 111_111_111), session(2, 222_222_222), session(3, 333_333_333)]).await.0, 200);
    // Logged in on one, at work on the other, logged out there.
    let victor = a.logged_in("victor").await;
    let mut elsewhere = at(&victor, &b);
    let (status, page) = elsewhere.page("/sessions/3").await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(elsewhere.submit("/", "/logout", &[]).await, 303);
    assert_eq!(at(&victor, &a).get("/").await.status(), 303, "out on all");
    // A one-time code is good once, over all.
    let code = totp::shown(&secret, totp::step(WallClock.now()) + 1).unwrap();
    let mut jane = a.browser();
    assert_eq!(jane.log_in_by_code("jane", PASSWORD, &code).await, 303);
    assert_eq!(b.browser().log_in_by_code("jane", PASSWORD, &code).await, 401, "it was used");
    // What she does on the other node is done.
    let key = a.hold().await;
    let mut jane_there = at(&jane, &b);
    assert_eq!(jane_there.submit(&format!("/notices/{key}"), &format!("/notices/{key}/release"), &[]).await, 303);
    assert_eq!(a.state(key).await, State::Waiting);
    // Ten tries over all, with those that went wrong before.
    for office in [&a, &b, &a, &b, &a, &b, &a, &b, &a] {
        let status = office.browser().log_in("victor", "guess").await.status();
        assert_eq!(status, 401);
    }
    for office in [&b, &a, &b] {
        office.browser().log_in("victor", "guess").await;
    }
    for office in [&a, &b] {
        assert_eq!(office.browser().log_in("victor", PASSWORD).await.status(), 429, "guessed too often");
    }
    a.close().await;
    b.close().await;
}
