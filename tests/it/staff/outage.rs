//! What keeps messages from going out stands on every page, and is told by a second way.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual::clock::{Clock, Fixed, WallClock};
use punctual::config;
use punctual::daemon::Engine;
use punctual::entry::State;
use punctual::outbox::Filter;
use serde_json::{Value, json};

use super::{Office, token_of};
use crate::push::Practice;
use crate::servers::http::{Server, answer};
use crate::servers::smtp;

/// Nobody listens there.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A mail server that refuses connections.
fn dead() -> String {
    format!("host = \"127.0.0.1\"\nport = {}\ntls = \"none\"", closed_port())
}

fn configuration(relay: &str, more: &str) -> String {
    format!(
        "[practice]\nname = \"Lakeside Telehealth\"\nhosts = false\ntime_zone = \"America/New_York\"\n[adopt]\ninvites = true\n\
         [invite]\nsettle = \"0s\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"Lakeside <sessions@example.org>\"\n\
         [[email.relay]]\n{relay}\n[server]\nlisten = \"127.0.0.1:0\"\nusers_file = \"users.toml\"\n\
         [[source]]\nname = \"calendar\"\nkind = \"file\"\npath = \"sessions.json\"\npoll = \"0 0 0 1 1 *\"\n{more}"
    )
}

fn session(id: i64, start: DateTime<Utc>) -> Value {
    json!({ "SessionId": id, "ScheduleTs": start.format("%Y-%m-%dT%H:%M:00").to_string(), "Participants": [
        { "ParticipationId": id * 10, "ParticipantFullName": "A. MacGuffin", "ShouldAutoDeliverCode": "N" },
        { "ParticipationId": id * 10 + 1, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": "trevor@example.com",
          "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ConnectCode": 111_111_000 + id, "ShouldAutoDeliverCode": "E" },
    ]})
}

/// The practice ten minutes after its sessions were read first.
async fn ten_minutes_later(relay: &str, more: &str) -> Office {
    let (folder, text, now) = (tempfile::tempdir().unwrap(), configuration(relay, more), WallClock.now());
    let sessions = json!([session(1, now + TimeDelta::minutes(40)), session(2, now + TimeDelta::days(3))]);
    std::fs::write(folder.path().join("sessions.json"), sessions.to_string()).unwrap();
    let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
    Engine::start(config, Arc::new(Fixed(now - TimeDelta::minutes(10)))).await.unwrap().once().await.unwrap();
    let office = Office { practice: Practice::of(folder, &text).await };
    office.users(|_| {});
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mail_server_stands_on_every_page() {
    let office = ten_minutes_later(&dead(), "").await;
    let mut victor = office.logged_in("victor").await;
    for path in ["/", "/attention", "/unreachable", "/sessions/1", "/sessions/1/11", "/search?q=nobody"] {
        let (_, page) = victor.page(path).await;
        for says in [
            "E-mail has not gone out since ",
            "the server refuses connections",
            "2 messages wait",
            "The most urgent is for session 1",
            "Sessions of &ldquo;calendar&rdquo; read ",
        ] {
            assert!(page.contains(says), "{path} does not say {says:?}: {page}");
        }
    }
    assert!(victor.page("/sessions/1").await.1.contains("<strong>Overdue</strong>"));
    let (_, called) = victor.page("/unreachable").await;
    assert!(called.contains("A message is overdue") && called.contains("/sessions/1/11"), "within the hour somebody calls: {called}");
    assert!(!called.contains("/sessions/2/21"), "three days are time enough: {called}");
    office.close().await;
}

/// Whoever mended the server need not wait until its pause is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_mended_is_asked_when_somebody_tries_now() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&mended);
    let server = smtp::Server::start(move |at| {
        let refuses = at.verb == "banner" && !is_well.load(Ordering::SeqCst);
        refuses.then(|| smtp::Step::Say("421 4.3.2 closing for maintenance".to_owned()))
    })
    .await;
    let office = ten_minutes_later(&format!("host = \"127.0.0.1\"\nport = {}\ntls = \"none\"", server.port), "").await;
    let mut jane = office.logged_in("jane").await;
    while !jane.page("/servers").await.1.contains("At fault: tried again at") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    mended.store(true, Ordering::SeqCst);
    let waits = Filter { states: vec![State::Waiting], ..Filter::default() };
    let tried = office
        .practice
        .engine
        .outbox()
        .list(&waits)
        .await
        .unwrap()
        .into_iter()
        .find(|entry| entry.notice.due_at <= WallClock.now())
        .unwrap();
    let token = token_of(&jane.page("/").await.1);
    let path = format!("/notices/{}/retry", tried.notice.key);
    assert_eq!(jane.post(&path, &[("token", &token)]).await.status().as_u16(), 303);
    // A pause is half a minute and more.
    tokio::time::timeout(Duration::from_secs(20), server.heard("DATA")).await.expect("it is handed over at once");
    office.close().await;
}

/// The same facts, as another process reads them from the store.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_of_status_says_it_too() {
    let office = ten_minutes_later(&dead(), "").await;
    let desk = punctual::desk::Desk {
        outbox: Arc::clone(office.practice.engine.outbox()),
        policy: Arc::new(config::parse("", None, &[]).unwrap_or_else(|m| panic!("{m}")).policy),
        sources: vec!["calendar".to_owned()],
    };
    let now = WallClock.now();
    let facts = punctual::desk::status::status(&desk, now).await.unwrap();
    assert!(facts.attention);
    let outage = serde_json::to_value(&facts.outages[0]).unwrap();
    assert_eq!((&outage["what"], &outage["waiting"], &outage["most_urgent"]["session_id"]), (&json!("email"), &json!(2), &json!(1)));
    assert_eq!(outage["why"], "the server refuses connections");
    let late = punctual::desk::status::status(&desk, now + TimeDelta::hours(7)).await.unwrap();
    assert_eq!(late.outages.last().unwrap().what, punctual::desk::outage::What::Source("calendar".to_owned()));
    office.close().await;
}

/// So a source that cannot be read is told of, whether the daemon listens or not: after a minute, for it may be written just then.
#[tokio::test(flavor = "multi_thread")]
async fn status_says_of_a_source_that_it_cannot_be_read_where_no_daemon_listens() {
    let (folder, start) = (tempfile::tempdir().unwrap(), WallClock.now());
    let text = configuration("kind = \"folder\"\npath = \"outbox\"", "");
    let (text, list) = (
        text.split("[server]").next().unwrap().to_owned() + &text[text.find("[[source]]").unwrap()..],
        folder.path().join("sessions.json"),
    );
    let good = json!([session(1, start + TimeDelta::minutes(40))]).to_string();
    // A minute, what the list says then, and what is told half a minute later and two minutes later.
    for (minute, says, told) in
        [(0, good.as_str(), [false, false]), (1, "[{", [false, true]), (2, "[{", [true, true]), (9, good.as_str(), [false, false])]
    {
        std::fs::write(&list, says).unwrap();
        let at = start + TimeDelta::minutes(minute);
        let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let policy = Arc::new(config.policy.clone());
        let engine = Engine::start(config, Arc::new(Fixed(at))).await.unwrap();
        engine.once().await.unwrap();
        let desk = punctual::desk::Desk { outbox: Arc::clone(engine.outbox()), policy, sources: vec!["calendar".to_owned()] };
        for (seconds, told) in [30, 120].into_iter().zip(told) {
            let facts = punctual::desk::status::status(&desk, at + TimeDelta::seconds(seconds)).await.unwrap();
            let of_source = |outage: &&punctual::desk::outage::Outage| matches!(outage.what, punctual::desk::outage::What::Source(_));
            let why = facts.outages.iter().find(of_source).map(|outage| outage.why.clone().unwrap());
            assert_eq!(why.as_deref().map(|why| why.contains("sessions.json: ")), told.then_some(true), "{minute} {seconds}: {why:?}");
            assert!(!told || facts.attention);
        }
    }
}

/// By mail over a server of its own and by a webhook: once, across a restart, and again when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn staff_are_told_once_and_when_it_is_over() {
    let server = Server::start(answer(200, "", "ok")).await;
    let more = format!(
        "[alerts]\nto = [\"desk@example.org\"]\n[alerts.relay]\nkind = \"folder\"\npath = \"alerts\"\n\
         [[alerts.webhook]]\nkind = \"slack\"\nurl = \"http://127.0.0.1:{}/hook\"\n",
        server.port
    );
    let folder = tempfile::tempdir().unwrap();
    let now = WallClock.now();
    std::fs::write(folder.path().join("sessions.json"), json!([session(1, now + TimeDelta::minutes(40))]).to_string()).unwrap();
    let dead = configuration(&dead(), &more);
    let well = configuration("kind = \"folder\"\npath = \"outbox\"", &more);
    for (text, minutes, alerts) in [(&dead, 0, 0), (&dead, 1, 0), (&dead, 3, 1), (&dead, 4, 1), (&well, 30, 2), (&well, 31, 2)] {
        let config = config::parse(text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let engine = Engine::start(config, Arc::new(Fixed(now + TimeDelta::minutes(minutes)))).await.unwrap();
        engine.once().await.unwrap();
        let letters = std::fs::read_dir(folder.path().join("alerts")).map_or(0, Iterator::count);
        assert_eq!(letters, alerts, "minute {minutes}");
    }
    let [first, over] = <[String; 2]>::try_from(server.requests()).unwrap();
    assert!(first.contains("E-mail has not gone out since ") && first.contains("1 message waits"), "{first}");
    assert!(over.contains("It is over, at "), "{over}");
    for text in [&first, &over] {
        assert!(!text.contains("trevor") && !text.contains("Trevor") && !text.contains("111"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_day_has_no_banner() {
    let office = ten_minutes_later("kind = \"folder\"\npath = \"outbox\"", "").await;
    let mut victor = office.logged_in("victor").await;
    let (_, page) = victor.page("/").await;
    assert!(!page.contains("class=\"banner\"") && page.contains("Sessions of &ldquo;calendar&rdquo; read "), "{page}");
    office.close().await;
}
