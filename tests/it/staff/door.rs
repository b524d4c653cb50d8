//! Log-in: rotation, ends, roles, forms of other sites, and guessing.

use std::time::{Duration, Instant};

use punctual::access::{self, User, UserRole, file, password, totp};
use punctual::clock::{Clock, WallClock};
use punctual::entry::State;
use punctual::ledger::Event;
use punctual::outbox::Actions;
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Office, PASSWORD, token_of};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_in_there_is_nothing() {
    let office = Office::open().await;
    let key = office.hold().await;
    let mut browser = office.browser();
    for path in ["/", "/attention", "/unreachable", "/search?q=1", "/sessions/1", "/sessions/1/11", &format!("/notices/{key}")] {
        let page = browser.get(path).await;
        assert_eq!((page.status().as_u16(), page.headers()["location"].to_str().unwrap()), (303, "/login"), "{path}");
    }
    for path in
        [format!("/notices/{key}/release"), "/guard/accept".to_owned(), "/guard/reject".to_owned(), "/sessions/1/11/reveal".to_owned()]
    {
        let posted = browser.post(&path, &[("token", "x")]).await;
        assert_eq!((posted.status().as_u16(), posted.headers()["location"].to_str().unwrap()), (303, "/login"), "{path}");
    }
    assert_eq!(office.state(key).await, State::Held);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_rotates_and_log_out_ends_it() {
    let office = Office::open().await;
    let mut browser = office.browser();
    browser.get("/login").await;
    let before = browser.cookie.clone();
    let answer = browser.log_in("jane", PASSWORD).await;
    let set = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{set}");
    assert_ne!(browser.cookie, before);
    assert_eq!(browser.page("/").await.0, 200);
    let inside = browser.cookie.clone();
    browser.cookie = before;
    assert_eq!(browser.page("/").await.0, 303, "what was known before is worth nothing");
    browser.cookie = inside.clone();
    assert_eq!(browser.submit("/", "/logout", &[]).await, 303);
    browser.cookie = inside;
    assert_eq!(browser.page("/").await.0, 303, "the id is worth nothing any more");
    office.close().await;
}

/// The cookie goes by the scheme of the public name, also where a proxy asks by the machine's own.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_passes_no_name_the_cookie_is_secure() {
    for (public_url, secure) in [("https://punctual.practice.example", true), ("http://punctual.practice.example", false)] {
        let text = crate::push::Practice::text("").replace("users_file", &format!("public_url = \"{public_url}\"\nusers_file"));
        let office = Office { practice: crate::push::Practice::of(tempfile::tempdir().unwrap(), &text).await };
        office.users(|_| {});
        let page = office.browser().get("/login").await;
        let set = page.headers()["set-cookie"].to_str().unwrap();
        assert_eq!((set.starts_with("__Host-punctual="), set.contains("; Secure")), (secure, secure), "{public_url}: {set}");
        assert!(!page.headers().contains_key("strict-transport-security"), "that is told under the public name alone");
        office.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_or_visit_does_nothing() {
    let office = Office::open().await;
    let key = office.hold().await;
    let mut jane = office.logged_in("jane").await;
    let mut other = office.logged_in("jane").await;
    let (release, others) = (format!("/notices/{key}/release"), token_of(&other.page("/").await.1));
    for token in ["", "x", &others] {
        assert_eq!(jane.post(&release, &[("token", token)]).await.status(), 403, "{token}");
    }
    let token = token_of(&jane.page("/").await.1);
    let cross = jane.client.post(office.address(&release)).header("cookie", &jane.cookie).header("sec-fetch-site", "same-site");
    assert_eq!(cross.form(&[("token", &token)]).send().await.unwrap().status(), 403);
    assert_eq!(jane.get(&release).await.status(), 200, "a link asks, and does nothing");
    assert_eq!(office.state(key).await, State::Held);
    assert_eq!(jane.post(&release, &[("token", &token)]).await.status(), 303);
    assert_eq!(office.state(key).await, State::Waiting);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_does_not_act() {
    let office = Office::open().await;
    let key = office.hold().await;
    let mut victor = office.logged_in("victor").await;
    for page in ["/attention", &format!("/notices/{key}"), "/sessions/1/11"] {
        let (status, text) = victor.page(page).await;
        assert!(status == 200 && text.contains("victor (viewer)"), "{page}");
        assert_eq!(text.matches("<form").count(), 2, "to find, and to log out: {page}");
    }
    for path in
        [format!("/notices/{key}/release"), "/guard/accept".to_owned(), "/guard/reject".to_owned(), "/sessions/1/11/reveal".to_owned()]
    {
        assert_eq!(victor.submit("/", &path, &[]).await, 403, "{path}");
    }
    assert_eq!(office.state(key).await, State::Held);
    assert!(office.ledger().await.iter().all(|row| row.event != "reveal"));
    office.users(|access| access.user[1].role = UserRole::Operator);
    assert_eq!(victor.page("/").await.0, 303, "the file has another hash of theirs: they log in anew");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_out_is_out() {
    let office = Office::open().await;
    let mut jane = office.logged_in("jane").await;
    office.users(|access| access.user.clear());
    assert_eq!(jane.page("/").await.0, 303);
    assert_eq!(jane.log_in("jane", PASSWORD).await.status(), 401);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_ends_soon_and_keeps_nobody_waiting() {
    let office = Office::open().await;
    let mut jane = office.logged_in("jane").await;
    let mut guesser = office.browser();
    let mut statuses = Vec::new();
    for n in 0..14 {
        statuses.push(guesser.log_in("victor", &format!("guess number {n}")).await.status().as_u16());
    }
    assert_eq!(statuses.iter().filter(|s| **s == 401).count(), 10, "{statuses:?}");
    let locked = guesser.log_in("victor", PASSWORD).await;
    assert_eq!((locked.status().as_u16(), locked.headers().contains_key("retry-after")), (429, true), "not even with the password");
    let flood = async {
        let mut flood = office.browser();
        for n in 0..40 {
            flood.log_in(&format!("nobody{n}"), "a guess of a password").await;
        }
        flood.log_in("nobody", "a guess of a password").await.status().as_u16()
    };
    let beside = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(jane.page("/attention").await.0, 200);
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let (flooded, slowest) = tokio::join!(flood, beside);
    assert_eq!(flooded, 429, "thirty from one address");
    println!("slowest page beside the flood: {slowest:?}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    office.close().await;
}

/// With the code of the next step, which is taken too: that of this one may be older than the daemon.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_and_taken_once() {
    let office = Office::open().await;
    let mut before = office.logged_in("jane").await;
    assert!(!before.page("/login").await.1.contains("name=\"code\""), "nobody has one");
    let secret = totp::new_secret().unwrap();
    office.users(|access| access.user[0].totp = Some(secret.clone()));
    assert_eq!(before.page("/").await.0, 303, "who gets one logs in anew");
    let mut jane = office.browser();
    assert!(jane.page("/login").await.1.contains("name=\"code\""));
    let opened = totp::step(WallClock.now());
    let code = |ahead: i64| totp::shown(&secret, opened + ahead).unwrap();
    let next = code(1);
    for (password, code, why) in [
        (PASSWORD, "", "none"),
        (PASSWORD, "123", "a wrong one"),
        (PASSWORD, &code(9), "one of another time"),
        (PASSWORD, &code(0), "it may have been used before the daemon began anew"),
        ("not the password", &next, "the code alone is not enough, and is not used up by that"),
    ] {
        assert_eq!(jane.log_in_by_code("jane", password, code).await, 401, "{why}");
    }
    assert_eq!(jane.log_in_by_code("jane", PASSWORD, &next).await, 303);
    assert_eq!(jane.page("/").await.0, 200);
    let mut other = office.browser();
    assert_eq!(other.log_in_by_code("jane", PASSWORD, &next).await, 401, "it was used");
    assert_eq!(other.log_in_by_code("victor", PASSWORD, "").await, 303, "he has none");
    for _ in 0..9 {
        assert_eq!(other.log_in_by_code("jane", PASSWORD, "000").await, 401);
    }
    assert_eq!(other.log_in_by_code("jane", PASSWORD, &code(1)).await, 429, "codes are guessed as seldom as passwords");
    office.close().await;
}

/// More connections than there are places, each with half a request, or with nothing at all; a monitor is answered within a second all the same.
#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_keep_nobody_out() {
    let office = Office::open().await;
    let mut jane = office.logged_in("jane").await;
    let address = office.practice.address.strip_prefix("http://").unwrap().to_owned();
    let mut slow = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let part: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost: x\r\nX-",
            _ => b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na",
        };
        stream.write_all(part).await.unwrap();
        slow.push(stream);
        // From the first to the one that takes the last place, and beyond.
        if n % 25 == 0 {
            let began = Instant::now();
            assert_eq!(jane.page("/healthz").await.0, 200);
            assert!(began.elapsed() < Duration::from_secs(1), "/healthz beside {n} slow connections: {:?}", began.elapsed());
        }
    }
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(jane.page("/").await.0, 200);
    }
    let took = began.elapsed();
    println!("five pages beside 300 slow connections: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}: the head of a slow one is waited for 10 s");
    drop(slow);
    office.close().await;
}

/// Ten guesses from anywhere keep a browser out that never logged in, and not the one that did.
#[tokio::test(flavor = "multi_thread")]
async fn the_guesses_of_others_keep_nobody_out_who_was_in() {
    let office = Office::open().await;
    let mut victor = office.browser();
    let answer = victor.log_in("victor", PASSWORD).await;
    let known: Vec<String> = answer.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap().to_owned()).collect();
    let known = known.iter().find(|set| set.starts_with("punctual-browser=")).unwrap();
    assert!(known.contains("HttpOnly; SameSite=Strict") && known.contains("Max-Age="), "{known}");
    let known = known.split(';').next().unwrap().to_owned();
    let mut guesser = office.browser();
    for n in 0..11 {
        guesser.log_in("victor", &format!("guess number {n}")).await;
    }
    assert_eq!(guesser.log_in("victor", PASSWORD).await.status(), 429);
    let token = token_of(&victor.page("/login").await.1);
    let cookies = format!("{}; {known}", victor.cookie);
    let form = [("token", token.as_str()), ("name", "victor"), ("password", PASSWORD)];
    let again = victor.client.post(office.address("/login")).header("cookie", &cookies).form(&form).send().await.unwrap();
    assert_eq!(again.status(), 303, "{cookies}");
    // It is known by that name alone.
    let mut other = office.browser();
    other.page("/login").await;
    let cookies = format!("{}; {}", other.cookie, known.replace('.', ".0"));
    let token = token_of(&other.page("/login").await.1);
    let form = [("token", token.as_str()), ("name", "victor"), ("password", PASSWORD)];
    let made_up = other.client.post(office.address("/login")).header("cookie", cookies).form(&form).send().await.unwrap();
    assert_eq!(made_up.status(), 429);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_who_went_and_who_was_refused_is_in_the_ledger() {
    let office = Office::open().await;
    let mut jane = office.logged_in("jane").await;
    assert_eq!(jane.log_in("jane", "a guess of a password").await.status(), 401);
    assert_eq!(office.browser().log_in("my-password-typed-as-a-name", "x").await.status(), 401);
    assert_eq!(office.browser().log_in("jane", &"x".repeat(1100)).await.status(), 401);
    let mut victor = office.logged_in("victor").await;
    assert_eq!(victor.submit("/", "/logout", &[]).await, 303);
    let rows: Vec<(String, String)> =
        office.ledger().await.into_iter().map(|row| (row.event.to_string(), row.detail.unwrap_or_default())).collect();
    let row = |event: &str, detail: &str| (event.to_owned(), detail.to_owned());
    for wanted in [
        row("log_in", "jane"),
        row("log_in_refused", "jane, from 127.0.0.1"),
        row("log_in_refused", "an unknown name, from 127.0.0.1"),
        row("log_out", "victor"),
    ] {
        assert!(rows.contains(&wanted), "{wanted:?} in {rows:?}");
    }
    assert!(rows.iter().all(|(_, detail)| !detail.contains("typed-as-a-name")));
    office.close().await;
}

/// A code that was used before a reload is used after it, and so is what was guessed.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_forgets_neither_codes_nor_guesses() {
    let office = Office::open().await;
    let secret = totp::new_secret().unwrap();
    office.users(|access| access.user[0].totp = Some(secret.clone()));
    let next = totp::shown(&secret, totp::step(WallClock.now()) + 1).unwrap();
    assert_eq!(office.browser().log_in_by_code("jane", PASSWORD, &next).await, 303);
    for _ in 0..10 {
        office.browser().log_in("victor", "a guess of a password").await;
    }
    let office = office.reload().await;
    assert_eq!(office.browser().log_in_by_code("jane", PASSWORD, &next).await, 401);
    assert_eq!(office.browser().log_in("victor", PASSWORD).await.status(), 429);
    office.close().await;
}

/// A new process has no memory of its own, but its ledger: who logged in within the life of a code used one of that time.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_used_is_used_after_a_restart() {
    let secret = totp::new_secret().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteOutbox::open(&format!("sqlite://{}", folder.path().join("punctual.db").display()), Access::Daemon).unwrap();
    // (As the log-in does: who_came_who_went_and_who_was_refused_is_in_the_ledger.)
    store.record_event(WallClock.now(), Event::LogIn, "jane").await.unwrap();
    drop(store);
    let access = access::AccessList {
        user: [("jane", UserRole::Operator), ("victor", UserRole::Viewer)]
            .map(|(name, role)| User {
                name: name.parse().unwrap(),
                role,
                argon2id: password::hash(PASSWORD).unwrap(),
                totp: Some(secret.clone()),
            })
            .to_vec(),
        token: Vec::new(),
    };
    file::write(&folder.path().join("users.toml"), &access).unwrap();
    let office = Office { practice: crate::push::Practice::of(folder, &crate::push::Practice::text("")).await };
    let next = || totp::shown(&secret, totp::step(WallClock.now()) + 1).unwrap();
    assert_eq!(office.browser().log_in_by_code("jane", PASSWORD, &next()).await, 401, "she may have used it");
    assert_eq!(office.browser().log_in_by_code("victor", PASSWORD, &next()).await, 303, "he did not");
    office.close().await;
}

/// Whoever looks where people can be seen is in the ledger, once an hour: staff by page and person, programs by what they read.
#[tokio::test(flavor = "multi_thread")]
async fn looks_are_in_the_ledger() {
    let office = Office::open().await;
    let mut victor = office.logged_in("victor").await;
    let key = office.hold().await;
    for _ in 0..2 {
        for path in ["/", "/attention", "/sessions/1/11", &format!("/notices/{key}")] {
            assert_eq!(victor.page(path).await.0, 200);
        }
        for path in
            ["/api/v1/sessions/1/participants".to_owned(), format!("/api/v1/notices/{key}/preview"), "/api/v1/unreachable".to_owned()]
        {
            office.practice.ask(reqwest::Method::GET, &path, super::READ, String::new()).await;
        }
    }
    let rows: Vec<_> = office.ledger().await.into_iter().filter(|row| row.event == "looked").collect();
    let told: Vec<(&str, Option<i64>)> =
        rows.iter().map(|row| (row.detail.as_deref().unwrap(), row.participation_id.map(|p| p.0))).collect();
    assert!(told.iter().any(|(at, person)| *at == "by victor: a message" && person.is_some()), "{told:?}");
    for wanted in [
        ("by victor: sessions", None),
        ("by victor: attention", None),
        ("by victor: a person", Some(11)),
        ("by token reader: /sessions/1/participants", None),
        ("by token reader: /notices/{key}/preview", None),
        ("by token reader: /unreachable", None),
    ] {
        assert_eq!(told.iter().filter(|row| **row == wanted).count(), 1, "{wanted:?} in {told:?}");
    }
    office.close().await;
}
