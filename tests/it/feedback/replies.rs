//! Replies: taken once, acted upon, and answered once at most.

use std::time::Duration;

use punctual::clock::{Clock, WallClock};
use punctual::desk::status::status;
use punctual::digest::gather;
use punctual::entry::State;
use punctual::notice::{Occasion, Reason};
use punctual::outbox::Filter;
use punctual::staff::{ConcernKind, Why, words};
use serde_json::json;

use super::{HOOK, Practice, TWILIO_TOKEN, created, session};
use crate::servers::http::answer;

const NUMBER: &str = "404-555-0123";
const FROM: &str = "+14045550123";

impl Practice {
    /// Somebody sends a text to Twilio's number.
    async fn text(&self, id: &str, text: &str) {
        let form = [("MessageSid", id), ("From", FROM), ("To", "+15550100"), ("Body", text), ("SmsStatus", "received")];
        assert_eq!(self.twilio(TWILIO_TOKEN, "", &form).await, 200);
    }

    /// Waits until that many answers ended.
    async fn answers(&self, number: usize) -> Vec<String> {
        self.rows("answer", number).await
    }

    /// Waits until the ledger has that many rows of that event: their details.
    async fn rows(&self, event: &str, number: usize) -> Vec<String> {
        for _ in 0..1000 {
            let rows = self.ledger(event).await;
            if rows.len() >= number {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{number} rows of {event} were expected: {:?}", self.ledger(event).await);
    }

    /// The text of the last message that went out.
    fn last_text(&self) -> String {
        let request = self.gateway.requests().pop().unwrap();
        let form = request.rsplit("\r\n\r\n").next().unwrap().to_owned();
        url::form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "Body").unwrap().1.into_owned()
    }

    /// What waits for staff, and the participations that it may be of.
    async fn written(&self) -> Vec<(String, Vec<i64>)> {
        let all = self.engine.outbox().unread(100).await.unwrap();
        all.into_iter().map(|said| (said.said.text, said.said.about.iter().map(|place| place.participation.0).collect())).collect()
    }

    /// The states of the reminders, and why.
    async fn reminders(&self) -> Vec<(State, Option<Reason>)> {
        let filter = Filter { occasion: Some(Occasion::Reminder), ..Filter::default() };
        self.engine.outbox().list(&filter).await.unwrap().iter().map(|e| (e.state, e.reason)).collect()
    }

    async fn walked(&self, sessions: &[serde_json::Value]) {
        self.list(sessions).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_is_remembered_confirmed_once_and_taken_back_by_start() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.text("SM11", "Stop.").await;
    assert_eq!(practice.answers(1).await, ["stopped: accepted"]);
    assert!(practice.last_text().starts_with("Lakeside Telehealth: You will get no more texts"), "{}", practice.last_text());
    practice.text("SM11", "Stop.").await;
    practice.text("SM12", "ARRÊT").await;
    practice.text("SM13", "help").await;
    assert_eq!(practice.answers(2).await[1], "help: suppressed", "nobody who opted out is answered");
    practice.walked(&[session(1, NUMBER), session(2, NUMBER)]).await;
    assert_eq!(practice.ledger("added").await.len(), 3, "another session of this number plans nothing");
    practice.text("SM14", "start").await;
    assert_eq!(practice.answers(3).await[2], "started: accepted");
    let pushed = practice.engine.outbox().seen("desk").await.unwrap().unwrap().last_snapshot_at;
    practice.rows("added", 6).await;
    let seen = practice.engine.outbox().seen("desk").await.unwrap().unwrap();
    assert_eq!(seen.last_snapshot_at, pushed, "it is planned for again at once, and nobody takes that for a list that came");
    practice.text("SM15", "info").await;
    assert_eq!(practice.engine.outbox().suppressions().await.unwrap().len(), 0);
    assert_eq!(practice.ledger("reply").await, ["stop", "stop", "help", "start", "help"], "a replay is no reply");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_is_a_declined_invitation_and_yes_takes_it_back() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.text("SM21", "n").await;
    assert_eq!(practice.answers(1).await, ["declined: accepted"]);
    practice.walked(&[session(1, NUMBER)]).await;
    assert_eq!(practice.reminders().await, [(State::Cancelled, Some(Reason::Declined)); 2]);
    practice.text("SM22", "Sí").await;
    assert_eq!(practice.answers(2).await[1], "confirmed: accepted");
    assert!(practice.last_text().contains("asistencia"), "in the language of the word: {}", practice.last_text());
    practice.walked(&[session(1, NUMBER)]).await;
    assert_eq!(practice.reminders().await, [(State::Waiting, None); 2]);
    let mut changed = session(1, NUMBER);
    changed["Participants"][1]["RSVP"] = json!("Declined");
    practice.walked(&[changed]).await;
    assert_eq!(practice.reminders().await, [(State::Cancelled, Some(Reason::Declined)); 2], "the source's later change wins");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yes_to_two_sessions_is_for_staff_to_read_and_nobody_answers_it() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.walked(&[session(1, NUMBER), session(2, NUMBER)]).await;
    while practice.gateway.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    practice.text("SM31", "yes").await;
    practice.text("SM32", "I will be late").await;
    practice.text("SM33", "help").await;
    assert_eq!(practice.answers(1).await, ["help: accepted"], "a machine that answers what it does not understand says that it does");
    assert!(practice.last_text().contains("404-555-0100"), "{}", practice.last_text());
    assert_eq!(practice.ledger("rsvp").await, [] as [&str; 0]);
    let mut written = practice.written().await;
    written.sort();
    assert_eq!(written, [("I will be late".to_owned(), vec![11, 21]), ("yes".to_owned(), vec![11, 21])]);
    practice.close().await;
}

/// On the command line, in the pages, in the API, and in the daily letter.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_shown_to_staff_until_somebody_has_read_it() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    let (desk, now) = (practice.desk(), WallClock.now());
    assert_eq!((status(&desk, now).await.unwrap().unread, practice.written().await), (0, vec![]));
    practice.text("SM91", "Your code 111-111-111 does not work,\ncan I come later?").await;
    practice.text("SM92", "No, I can't make it. Can we do Friday?").await;
    practice.text("SM93", "wrong number").await;
    practice.text("SM94", "yes").await;
    let stranger = [("MessageSid", "SM95"), ("From", "+14045550199"), ("To", "+15550100"), ("Body", "Who dis")];
    assert_eq!(practice.twilio(TWILIO_TOKEN, "", &stranger).await, 200);
    let ours = |text: &str| (text.to_owned(), vec![11]);
    let all = [
        ours("Your code ***-***-*** does not work, can I come later?"),
        ours("No, I can't make it. Can we do Friday?"),
        ours("wrong number"),
        ("Who dis".to_owned(), vec![]),
    ];
    let (mut written, mut expected) = (practice.written().await, all.to_vec());
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
    assert_eq!(practice.ledger("reply").await, ["other", "no", "stop", "yes", "other"]);
    assert_eq!(practice.ledger("rsvp").await, ["declined", "confirmed"], "what can be understood of it is heeded");
    let facts = status(&desk, now).await.unwrap();
    assert_eq!((facts.unread, facts.attention), (4, true));
    let concerns = gather(&*desk.outbox, &desk.sources, &desk.policy, None, now).await.unwrap();
    let wrote: Vec<_> = concerns.iter().filter(|c| c.kind == ConcernKind::Reply).collect();
    let mut whose: Vec<_> = wrote.iter().map(|c| (c.participation.map(|p| p.0), c.contact.clone().unwrap())).collect();
    whose.sort();
    let of = |person| (Some(person), "+1*****0123".to_owned());
    assert_eq!(whose, [(None, "+1*****0199".to_owned()), of(11), of(11), of(11)]);
    assert!(
        wrote.iter().all(|c| c.detail.is_none() && c.why == Why::Wrote),
        "the letter goes by e-mail: it does not repeat what people wrote"
    );
    assert_eq!(words::of(wrote[0]).what, "They wrote, and the service did not answer");
    for said in desk.outbox.unread(10).await.unwrap() {
        assert!(desk.outbox.mark_read(Some("jane"), said.key, now).await.unwrap());
    }
    assert_eq!(status(&desk, now).await.unwrap().unread, 0);
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yes_and_no_are_heeded_in_peoples_own_words() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.text("SM96", "yep, see you then").await;
    practice.text("SM97", "sorry, can't make it").await;
    assert_eq!(practice.answers(2).await, ["confirmed: accepted", "declined: accepted"]);
    practice.close().await;
}

/// What was told lately may be what they answer, whatever became of it since.
#[tokio::test(flavor = "multi_thread")]
async fn no_is_not_taken_for_another_session_than_the_one_that_was_told_lately() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.walked(&[session(1, NUMBER), session(2, NUMBER)]).await;
    while practice.gateway.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut moved = session(1, NUMBER);
    moved["Participants"][1]["ShouldAutoDeliverCode"] = json!("N");
    practice.walked(&[moved, session(2, NUMBER)]).await;
    practice.text("SM71", "n").await;
    practice.rows("reply", 1).await;
    assert_eq!(practice.ledger("answer").await, [] as [&str; 0]);
    assert_eq!(practice.written().await.len(), 1);
    assert_eq!(practice.ledger("rsvp").await, [] as [&str; 0]);
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_did_not_take_is_tried_once() {
    let practice = Practice::with("twilio", vec![created(), answer(500, "", "")]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.text("SM41", "help").await;
    assert_eq!(practice.answers(1).await, ["help: unknown"]);
    practice.text("SM42", "n").await;
    assert_eq!(practice.answers(2).await[1], "declined: unknown");
    assert_eq!(practice.gateway.requests().len(), 3, "one request for each");
    practice.close().await;
}

/// What a gateway asked of us counts for answers as it does for reminders: one pause, one rate, one meter.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_while_its_gateway_pauses() {
    let busy = answer(429, "Retry-After: 600\r\n", "");
    let practice = Practice::with("twilio", vec![created(), busy, created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.text("SM91", "help").await;
    assert_eq!(practice.answers(1).await, ["help: not taken"], "it left, and does not go again");
    practice.text("SM92", "n").await;
    practice.rows("reply", 2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(practice.gateway.requests().len(), 2, "nothing is said to a gateway that asked for a pause");
    let waiting = practice.engine.outbox().waiting_answers().await.unwrap();
    assert_eq!(waiting.len(), 1, "and the answer waits");
    let shown = practice.client.get(format!("{}/metrics", practice.address)).send().await.unwrap().text().await.unwrap();
    for counted in ["accepted\"} 1", "channel_fault\"} 1"] {
        let row = format!("punctual_attempts_total{{channel=\"sms\",outcome=\"{counted}");
        assert!(shown.lines().any(|line| line == row), "{row}: {shown}");
    }
    practice.close().await;
}

/// A gateway that takes few texts, and more wait than it takes for long: whoever answers is answered meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_gets_a_turn_while_others_wait_for_theirs() {
    let practice = Practice::with("twilio slowly", vec![created()]).await;
    let sessions: Vec<_> = (1..=9).map(|id| session(id, &format!("404-555-01{id:02}"))).collect();
    practice.walked(&sessions).await;
    practice.invite(State::Accepted).await;
    practice.text("SM95", "help").await;
    assert_eq!(practice.answers(1).await, ["help: accepted"]);
    let filter = Filter { states: vec![State::Accepted], ..Filter::default() };
    let told = practice.engine.outbox().list(&filter).await.unwrap().len();
    assert!((1..4).contains(&told), "{told} of nine: the others wait");
    practice.close().await;
}

/// Anybody may send a text to the practice's number: what their own numbers are refused for keeps no patient from theirs.
#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_are_refused_for_pauses_nothing() {
    let refused = || answer(400, "", r#"{"code": 21614, "message": "'To' number is not a valid mobile number"}"#);
    let practice = Practice::with("twilio", vec![created(), refused(), refused(), refused(), created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    for (n, from) in ["+14045550161", "+14045550162", "+14045550163"].into_iter().enumerate() {
        let id = format!("SM8{n}");
        let form = [("MessageSid", id.as_str()), ("From", from), ("To", "+15550100"), ("Body", "help"), ("SmsStatus", "received")];
        assert_eq!(practice.twilio(TWILIO_TOKEN, "", &form).await, 200);
        assert_eq!(practice.answers(n + 1).await[n], "help: rejected");
    }
    assert_eq!(practice.get("/readyz").await, 200);
    practice.walked(&[session(1, NUMBER), session(2, "404-555-0124")]).await;
    for _ in 0..500 {
        if practice.gateway.requests().len() == 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(practice.gateway.requests().len(), 5, "the next patient's text goes at once");
    practice.close().await;
}

/// A rehearsal beside the vendor's own texts: what people answer is heeded, and nobody hears of us.
#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_mode_replies_are_heeded_and_nothing_is_answered() {
    let practice = Practice::configured("twilio", vec![created()], "[run]\nmode = \"shadow\"\n").await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    practice.text("SM61", "help").await;
    practice.answers(1).await;
    practice.text("SM62", "stop").await;
    assert_eq!(practice.answers(2).await, ["help: not sent: shadow mode", "stopped: not sent: shadow mode"]);
    assert_eq!(practice.engine.outbox().suppressions().await.unwrap().len(), 1);
    assert_eq!(practice.gateway.requests(), [] as [&str; 0]);
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kannel_and_any_gateway_hand_replies_on_too() {
    let practice = Practice::with("kannel", vec![answer(202, "", "0: Accepted for delivery")]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    let path = format!("/hooks/kannel/{HOOK}?from=%2B14045550123&text=%00S%00T%00O%00P&id=7&charset=UTF-16BE");
    assert_eq!((practice.get(&path).await, practice.get(&path).await), (200, 200));
    assert_eq!(practice.answers(1).await, ["stopped: accepted"]);
    assert_eq!(practice.engine.outbox().suppressions().await.unwrap().len(), 1);
    practice.close().await;

    let practice = Practice::with("http", vec![created()]).await;
    practice.walked(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    let reply = json!({"event": "received", "id": "R1", "status": "received", "from": "(404) 555-0123", "text": "alto"});
    assert_eq!(practice.post(&format!("/hooks/sms/{HOOK}"), &reply).await, 204);
    assert_eq!(practice.answers(1).await, ["stopped: accepted"]);
    assert!(practice.gateway.requests()[1].contains("recibir"), "{:?}", practice.gateway.requests());
    practice.close().await;
}

/// `6581234567` is a number of Singapore, and could be one of region US: only the one that was told something is meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_its_plus_is_the_one_that_was_told_something() {
    let stop = |id: &str, from: &str| json!({"event": "received", "id": id, "status": "received", "from": from, "text": "STOP"});
    let path = format!("/hooks/sms/{HOOK}");
    let practice = Practice::with("http", vec![created()]).await;
    practice.walked(&[session(1, "+65 8123 4567")]).await;
    practice.invite(State::Accepted).await;
    assert_eq!(practice.post(&path, &stop("R1", "6581234567")).await, 204);
    assert_eq!(practice.answers(1).await, ["stopped: accepted"]);
    let shown = async || practice.engine.outbox().suppressed().await.unwrap().into_iter().map(|s| s.shown).collect::<Vec<_>>();
    assert_eq!(shown().await, ["+6*****4567"]);
    // Nobody was told anything: both, and neither gets a text.
    assert_eq!(practice.post(&path, &stop("R2", "4512345678")).await, 204);
    assert_eq!(practice.post(&path, &stop("R2", "4512345678")).await, 204);
    let mut all = shown().await;
    all.sort();
    assert_eq!(all, ["+1*****5678", "+4*****5678", "+6*****4567"]);
    assert_eq!(practice.ledger("answer").await.len(), 1);
    practice.close().await;
}

/// Twilio takes YES for START once somebody has said STOP.
#[tokio::test(flavor = "multi_thread")]
async fn yes_after_stop_is_start_where_the_provider_takes_it_for_that() {
    for (kind, words, left) in [("twilio itself", ["stop", "start", "stop"], 1), ("twilio", ["stop", "yes", "stop"], 1)] {
        let practice = Practice::with(kind, vec![created()]).await;
        practice.walked(&[session(1, NUMBER)]).await;
        practice.invite(State::Accepted).await;
        practice.text("SM81", "STOP").await;
        practice.text("SM82", "YES").await;
        let still_out = usize::from(kind == "twilio");
        assert_eq!(practice.engine.outbox().suppressed().await.unwrap().len(), still_out, "{kind}");
        practice.text("SM83", "ALTO").await;
        assert_eq!(practice.engine.outbox().suppressed().await.unwrap().len(), left, "{kind}");
        assert_eq!(practice.ledger("reply").await, words, "{kind}");
        if kind == "twilio itself" {
            assert_eq!(practice.answers(1).await, ["stopped: accepted"], "Twilio does not know ALTO, so nobody else would answer it");
        }
        practice.close().await;
    }
}
