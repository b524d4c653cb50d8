//! The envelope of the next message, behind the body of the one before.

use std::sync::Mutex;

use async_trait::async_trait;
use punctual::deliver::smtp::Smtp;
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::message::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Gate, kind, message, say, settings};
use crate::servers::smtp::{At, Server, Step};

/// Behind this message another one follows.
struct Followed(Mutex<Option<Message>>);

fn followed_by(next: Message) -> Followed {
    Followed(Mutex::new(Some(next)))
}

#[async_trait]
impl PointOfNoReturn for Followed {
    async fn pass(&self) -> bool {
        true
    }

    fn next(&self) -> Option<Message> {
        self.0.lock().unwrap().take()
    }
}

/// Reads on until what came ends so.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).await.unwrap();
        assert!(read > 0, "it closed before it said {end:?}");
        heard.extend_from_slice(&some[..read]);
    }
    String::from_utf8(heard).unwrap()
}

/// A server that answers a body only when it has the next envelope, and all of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_envelope_leaves_before_the_answer_to_the_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 test\r\n").await.unwrap();
        until(&mut stream, "\r\n").await;
        stream.write_all(b"250-test\r\n250 PIPELINING\r\n").await.unwrap();
        until(&mut stream, "DATA\r\n").await;
        stream.write_all(b"250 ok\r\n250 ok\r\n354 go\r\n").await.unwrap();
        let first = until(&mut stream, "DATA\r\n").await;
        stream.write_all(b"250-2.0.0 Ok:\r\n250 queued as 4F1A22\r\n250 ok\r\n250 ok\r\n354 go\r\n").await.unwrap();
        let second = until(&mut stream, "\r\n.\r\n").await;
        stream.write_all(b"250 2.0.0 Ok: queued as 4F1A23\r\n").await.unwrap();
        (first, second)
    });
    let smtp = Smtp::new(settings(port)).unwrap();
    let first = smtp.deliver(&message(1), &followed_by(message(2))).await;
    let second = smtp.deliver(&message(2), &Gate::new(true)).await;
    assert_eq!([kind(&first), kind(&second)], ["accepted"; 2], "{first:?} {second:?}");
    let said = serving.await.unwrap();
    let body = |n: u8| format!("Subject: {n}\r\n\r\nfirst\r\n..second\r\n...third\r\n.\r\n");
    let envelope = "MAIL FROM:<sessions@lakeside.example>\r\nRCPT TO:<trevor@example.com>\r\nDATA\r\n";
    assert_eq!(said, (body(1) + envelope, body(2)));
}

/// What a server has against the second message, or says to the first one, and what becomes of both, and of a third one; and over how many connections.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_server_says_each_message_has_its_own_outcome() {
    type Row = (&'static str, &'static str, usize, Step, [&'static str; 3], usize);
    let rows: [Row; 13] = [
        ("nothing", "", 9, Step::Close, ["accepted"; 3], 1),
        ("the first is refused", ".", 1, say("550 5.1.1 no such user"), ["bounced", "accepted", "accepted"], 1),
        ("the first may come later", ".", 1, say("451 4.3.0 later"), ["retry", "accepted", "accepted"], 1),
        ("the last word to the first", ".", 1, Step::Last("250 2.0.0 Ok\r\n"), ["accepted"; 3], 2),
        ("half a word to the first", ".", 1, Step::Last("250 2.0"), ["accepted"; 3], 2),
        ("421 to the first", ".", 1, say("421 4.3.2 bye"), ["retry", "accepted", "accepted"], 2),
        ("no word to the first", ".", 1, Step::Hang, ["unknown", "accepted", "accepted"], 2),
        ("no SMTP to the first", ".", 1, say("999 what"), ["unknown", "accepted", "accepted"], 2),
        ("enough for one connection", "MAIL", 1, say("452 4.5.3 enough"), ["accepted"; 3], 2),
        ("it closes", "MAIL", 1, Step::Close, ["accepted"; 3], 2),
        ("no such user", "RCPT", 1, say("550 5.1.1 no such user"), ["accepted", "bounced", "accepted"], 2),
        ("no DATA", "DATA", 1, say("451 4.3.0 later"), ["accepted", "retry", "accepted"], 2),
        ("a word too many", ".", 1, say("250 ok\r\n250 ok"), ["accepted"; 3], 2),
    ];
    for (what, verb, taken, step, wanted, connections) in rows {
        let server = Server::start(move |at: &At| {
            let here = at.verb == verb && at.taken == taken && at.connection == 1;
            here.then(|| step.clone())
        })
        .await;
        let smtp = Smtp::new(settings(server.port)).unwrap();
        let mut outcomes = Vec::new();
        for (n, doubt) in [(1, &followed_by(message(2)) as &dyn PointOfNoReturn), (2, &Gate::new(true)), (3, &Gate::new(true))] {
            outcomes.push(smtp.deliver(&message(n), doubt).await);
        }
        assert_eq!(outcomes.iter().map(kind).collect::<Vec<_>>(), wanted, "{what}: {outcomes:?}");
        assert_eq!(server.connections(), connections, "{what}");
        for (n, outcome) in (1..).zip(&outcomes) {
            let bodies = server.bodies().iter().filter(|body| body.starts_with(&format!("Subject: {n}"))).count();
            let sent = matches!(kind(outcome), "accepted" | "unknown") || (n == 1 && verb == ".");
            assert_eq!(bodies, usize::from(sent), "{what}: {n}");
        }
    }
}

/// Whose envelope was said, and who does not come: nothing is sent of it, and no connection waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_follow_is_not_sent() {
    for fenced in [false, true] {
        let server = Server::start(|_| None).await;
        let smtp = Smtp::new(settings(server.port)).unwrap();
        assert_eq!(kind(&smtp.deliver(&message(1), &followed_by(message(2))).await), "accepted");
        if fenced {
            assert_eq!(kind(&smtp.deliver(&message(2), &Gate::new(false)).await), "fenced");
        } else {
            smtp.let_go(&message(2).reference);
        }
        assert_eq!(kind(&smtp.deliver(&message(3), &Gate::new(true)).await), "accepted");
        assert_eq!((server.connections(), server.bodies().len()), (2, 2), "{fenced}");
        assert!(server.bodies().iter().all(|body| !body.starts_with("Subject: 2")));
    }
}

/// To a server that takes one command at a time, each is said in its turn; and what it would not take is not announced.
#[tokio::test(flavor = "multi_thread")]
async fn only_where_the_server_takes_it() {
    for offers in ["250 test", "250-test\r\n250-SIZE 40\r\n250 PIPELINING"] {
        let server = Server::start(move |at: &At| (at.verb == "EHLO").then(|| say(offers))).await;
        let smtp = Smtp::new(settings(server.port)).unwrap();
        let large = offers.contains("SIZE");
        let mut first = message(1);
        if let punctual::message::Content::Email { bytes, .. } = &mut first.content {
            *bytes = b"Subject: 1\r\n\r\n".to_vec().into();
        }
        assert_eq!(kind(&smtp.deliver(&first, &followed_by(message(2))).await), "accepted");
        let mails = server.verbs().iter().filter(|verb| *verb == "MAIL").count();
        assert_eq!(mails, 1, "{offers}");
        assert_eq!(kind(&smtp.deliver(&message(2), &Gate::new(true)).await), if large { "rejected" } else { "accepted" });
        assert_eq!(server.connections(), 1 + usize::from(large));
    }
}
