//! A list that is wrong from one end to the other costs no more than a few lines, wherever it comes from and wherever one looks.

use punctual::source::json::BODY_MAX;
use reqwest::Method;

use super::crawler::Log;
use super::{Office, READ};
use crate::push::{Practice, TOKEN, said};
use crate::servers::http::{Server, answer};

/// What an answer, a page, the log or the store may take, in bytes.
const BOUND: usize = 1 << 20;

/// So many records, each of them at fault in another way than the next.
fn list(records: usize, kinds: &[&str]) -> String {
    let all: Vec<&str> = (0..records).map(|n| kinds[n % kinds.len()]).collect();
    format!("[{}]", all.join(","))
}

#[tokio::test]
async fn a_million_records_at_fault_cost_a_few_lines() {
    let log = Log::default();
    let logging = log.begin();
    let folder = tempfile::tempdir().unwrap();
    let crowd = format!("{{\"SessionId\": 7, \"ScheduleTs\": \"2099-01-01T10:00:00\", \"Participants\": {}}}", list(400, &["{}"]));
    let long = format!("{{\"SessionId\": 8, \"ScheduleTs\": \"{}\"}}", "soon ".repeat(2_000));
    std::fs::write(folder.path().join("list.json"), list(200_000, &["{}", "null", "[]", "7", "{\"SessionId\": \"seven\"}"])).unwrap();
    let api = Server::start(answer(200, "Content-Type: application/json\r\n", &list(500, &[&crowd, &long, "{\"SessionId\": 9}"]))).await;
    let more = format!(
        "[[source]]\nname = \"file\"\nkind = \"file\"\npath = \"list.json\"\n[[source]]\nname = \"polled\"\nkind = \"http\"\n\
         identifier = \"i\"\nsecret = \"s\"\nurl = \"http://127.0.0.1:{}\"\n",
        api.port
    );
    let office = Office { practice: Practice::of(folder, &Practice::text(&more)).await };
    office.users(|_| {});
    let pushed = list(1_000_000, &["{}"]);
    assert!(pushed.len() < BODY_MAX, "it is no longer than what is read");
    for _ in 0..2 {
        let path = "/api/v1/sources/front%20desk/sessions";
        let told = office.practice.ask(Method::PUT, path, TOKEN, pushed.clone()).await;
        let told = (told.status(), told.text().await.unwrap());
        assert!(told.0 == 200 && told.1.len() < BOUND && told.1.contains("[0].SessionId"), "{}: {} bytes", told.0, told.1.len());
        assert!(told.1.contains("999,800"), "the rest is counted: {}", &told.1[told.1.len() - 300..]);
    }
    let faults = |log: &Log| log.text().lines().filter(|line| line.contains("quarantined")).map(str::to_owned).collect::<Vec<_>>();
    for look in 0.. {
        if faults(&log).len() >= 3 {
            break;
        }
        assert!(look < 3_000, "all three are walked: {:?}", faults(&log));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (_, status) = said(office.practice.ask(Method::GET, "/api/v1/status", READ, String::new()).await).await;
    assert!((3..=603).contains(&status["quarantined"].as_array().unwrap().len()), "{}", status["quarantined"]);
    let mut jane = office.logged_in("jane").await;
    for page in ["/", "/attention", "/servers", "/unreachable", "/sessions/7"] {
        let shown = jane.page(page).await.1;
        assert!(shown.len() < BOUND, "{page}: {} bytes", shown.len());
    }
    let Office { practice } = office;
    let Practice { folder, engine, stop, serving, .. } = practice;
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
    drop(engine);
    let store: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(Result::unwrap)
        .filter(|f| f.file_name().to_string_lossy().starts_with("punctual.db"))
        .map(|f| f.metadata().unwrap().len())
        .sum();
    assert!(store < BOUND as u64, "the store: {store} bytes");
    let text = log.text();
    drop(logging);
    for source in ["front desk", "file", "polled"] {
        let of = |line: &&String| line.contains(&format!("source=\"{source}\""));
        assert_eq!(faults(&log).iter().filter(of).count(), 1, "one line, though it came twice: {source}");
    }
    assert!(text.len() < BOUND / 10, "the log: {} bytes", text.len());
}
