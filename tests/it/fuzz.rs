//! What strangers say, mangled at random: session files, SMTP replies, gateways' answers, server texts, bounces,
//! replies, names in templates. Nothing
//! panics, and each target's own rule holds. A second each with the other tests; `tests/fuzz SECONDS` gives each its time.
//!
//! Mutations of good examples, by a generator that starts from a seed which a failure prints, with the input: PUNCTUAL_FUZZ_SEED repeats a run.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use punctual::contact::PersonName;
use punctual::deliver::Transport;
use punctual::deliver::gateway::twilio;
use punctual::deliver::smtp::{Settings, Smtp, Timeouts, Tls};
use punctual::feedback::word::{Word, understand};
use punctual::feedback::{bounce, is_reference};
use punctual::message::Content;
use punctual::notice::Occasion;
use punctual::outcome::{Outcome, Unsaid, redacted};
use punctual::receipt::DeliveryStatus;
use punctual::render::{RenderError, Renderer};
use punctual::session::Rsvp;
use punctual::source::json;
use punctual::suppression::Suppression;
use punctual::web::hook::HookEvent;

use crate::servers::http::{self, Reply};
use crate::servers::smtp::{At, Server, Step};
use crate::{gateway, render, smtp};

pub(crate) mod requests;

/// xorshift64*: enough for choosing, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides.max(1)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// One of the examples, changed in up to eight places.
    fn mangled(&mut self, examples: &[&[u8]], words: &[&str]) -> Vec<u8> {
        let mut input = self.pick(examples).to_vec();
        for _ in 0..self.roll(8) {
            let at = self.roll(input.len() + 1);
            let end = (at + 1 + self.roll(12)).min(input.len());
            match self.roll(8) {
                0 if at < input.len() => input[at] ^= 1 << self.roll(8),
                1 if at < input.len() => input[at] = *self.pick(&[0, 0x0d, 0x0a, 0x20, 0x7f, 0x80, 0xc3, 0xff, b'"', b'\\', b'-']),
                2 => drop(input.drain(at.min(end)..end)),
                3 => input.truncate(at),
                4 => drop(input.splice(at..at, self.pick(words).bytes())),
                5 => {
                    let piece = input[at.min(end)..end].to_vec();
                    let to = self.roll(input.len() + 1);
                    drop(input.splice(to..to, piece));
                }
                6 => {
                    let piece = self.pick(words).repeat(self.roll(400));
                    drop(input.splice(at..at, piece.bytes()));
                }
                _ => {
                    let other = self.pick(examples);
                    let from = self.roll(other.len());
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
            }
        }
        input
    }
}

/// Prints what was tried when a test dies of it.
struct Tried<'a>(&'a str, u64, &'a [u8]);

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: PUNCTUAL_FUZZ_SEED={} died of {:?}", self.0, self.1, String::from_utf8_lossy(self.2));
        }
    }
}

/// The time that each target has, and the seed.
fn budget() -> (Duration, u64) {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = asked("PUNCTUAL_FUZZ_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
    (Duration::from_secs(asked("PUNCTUAL_FUZZ_SECONDS").unwrap_or(1)), seed.max(1))
}

/// Goes on until the time is over, and says how far it came.
fn each(target: &str, examples: &[&[u8]], words: &[&str], mut check: impl FnMut(&[u8], &mut Dice)) {
    let (time, seed) = budget();
    let (mut dice, began, mut tries) = (Dice(seed), Instant::now(), 0_u64);
    while began.elapsed() < time {
        let input = dice.mangled(examples, words);
        let tried = Tried(target, seed, &input);
        check(&input, &mut dice);
        drop(tried);
        tries += 1;
    }
    println!("fuzz {target}: {tries} inputs in {:.0} s, seed {seed}", began.elapsed().as_secs_f32());
}

const HOSTILE: [&str; 22] = [
    "\r\nBcc: evil@example.org\r\n",
    "{{ 7*7 }}",
    "{% include \"/etc/passwd\" %}",
    "<script>",
    "\u{202e}",
    "\u{0}",
    "\u{feff}",
    "🎉",
    "é",
    "e\u{301}",
    "=?utf-8?b?4pyT?=",
    "\"",
    "\\",
    "&amp;",
    "]]>",
    "701678455",
    "701-678-455",
    "https://x.example/?passkey=a",
    "%0d%0a",
    "'",
    ";",
    "\n.\r\n",
];

#[test]
fn session_files() {
    let example = include_bytes!("../fixtures/sessions.json");
    let small = br#"[{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{"ParticipationId":"11","ParticipantFullName":"T","ConnectCode":300000007,"ShouldAutoDeliverCode":"E","DepositRequired":20.0}]}]"#;
    let words = [
        "null",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"SessionId\":",
        "1e999",
        "-0",
        "99999999999999999999",
        "\"\\ud800\"",
        "9999-12-31T23:59:60Z",
        "true",
        "[[[[",
        "\"a\":",
    ];
    each("session_files", &[example, small], &[&words[..], &HOSTILE[..]].concat(), |input, _| {
        if let Ok(snapshot) = json::parse(input) {
            for session in &snapshot.sessions {
                // What the store keeps of a record is read back to the same people.
                let kept = json::stored_record(&session.record);
                assert_eq!(kept.map(|k| k.participants.len()), Some(session.participants.len()));
            }
        }
    });
}

#[test]
fn server_texts() {
    let examples: [&[u8]; 4] = [
        b"5.1.1 <trevor@example.com>: no such user",
        b"400 21211, The number +1 (404) 555-0133",
        b"see https://hub.example.com/Pass/Join/701678455?passkey=abcd",
        b"2.0.0 Ok: queued as 4F1A22",
    ];
    let words = ["701678455", "701-678-455", "404 555 0133", "\u{a0}", "/", "_", "@", "https://", "?a=b", "550 5.1.1 ", "\u{200b}"];
    each("server_texts", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, _| {
        let text = String::from_utf8_lossy(input);
        // A name in it is not repeated, wherever it stands as a word of its own.
        let unsaid = Unsaid::of(["Zebulon Quux-Núñez", "Li", "李明"].into_iter());
        let told = unsaid.left_out(&format!("{text} Zebulon, quux; NUNEZ 李明 {text}"));
        assert!(!["zebulon", "quux", "nunez", "李明"].iter().any(|name| told.to_lowercase().contains(name)), "{told}");
        let kept = redacted(&text);
        assert!(kept.chars().count() <= 300 && !kept.contains('@') && !kept.contains(char::is_control), "{kept}");
        let mut longest = kept.split(|c: char| !c.is_ascii_digit()).map(str::len);
        assert!(longest.all(|run| run < 7), "{kept}");
    });
}

#[test]
fn names_in_templates() {
    let renderer = Renderer::new(render::settings()).unwrap();
    let examples: [&[u8]; 4] = ["Trevor".as_bytes(), "José Núñez".as_bytes(), "李雷 🎉".as_bytes(), "Ann \"Nan\" O'Brien".as_bytes()];
    each("names_in_templates", &examples, &HOSTILE, |input, dice| {
        let name = String::from_utf8_lossy(input).into_owned();
        let occasion = *dice.pick(&Occasion::ALL);
        let locale: &'static str = dice.pick::<&'static str>(&["en-US", "es-US", "fr-CA"]);
        let mut case = render::Case::new(occasion, locale);
        for person in &mut case.session.participants {
            person.name = PersonName::clean(&name);
            person.rsvp = Rsvp::Unknown;
        }
        case.session.topic.clone_from(&name);
        case.sms = dice.roll(2) == 0;
        let message = match case.render(&renderer) {
            Ok(rendered) => rendered.message,
            // A name that looks like somebody's code stops the message: that is what the gate is for.
            Err(RenderError::Leak { .. }) => return,
            Err(RenderError::TooLong { .. }) if case.sms => return,
            Err(e) => panic!("{e}"),
        };
        match &message.content {
            Content::Email { bytes, .. } => {
                let text = std::str::from_utf8(bytes).unwrap();
                let (head, _) = text.split_once("\r\n\r\n").unwrap();
                assert!(
                    text.is_ascii() && text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])),
                    "{head}"
                );
                for (header, times) in [("From:", 1), ("To:", 1), ("Subject:", 1), ("Bcc:", 0), ("Message-ID:", 1)] {
                    assert_eq!(head.split("\r\n").filter(|line| line.starts_with(header)).count(), times, "{header} {head}");
                }
            }
            Content::Sms { text, segments, .. } => assert!(*segments <= 2 && !text.contains(char::is_control), "{text}"),
        }
    });
}

/// The provider's webhook.
#[test]
fn webhooks() {
    let examples: [&[u8]; 2] =
        [br#"{"WebhookType":"SESSION_STATUS","Status":"STARTED","ID":"9636"}"#, br#"{"WebhookType":"NOTIFY","ID":9636}"#];
    let words = ["null", "[", "{", "\"ID\":", "99999999999999999999", "\"Status\":", "[[[["];
    each("webhooks", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, _| {
        if let Some(event) = HookEvent::read(input) {
            let detail = event.detail();
            assert!(detail.len() <= 200 && !detail.contains(char::is_control), "{detail}");
        }
    });
}

/// Anybody may text anything. It is read in no time; what is not understood is for a person, and a stop stays one whatever is added to it.
#[test]
fn replies() {
    let examples: [&[u8]; 8] = [
        b"STOP",
        b"Stop. Thanks",
        b"please stop texting me at night",
        "No me escriban más, por favor".as_bytes(),
        "Arrêtez de m’envoyer des messages".as_bytes(),
        b"Yes, see you then\n\nSent from my iPhone",
        "Liked “Lakeside: your session is tomorrow. Reply STOP to opt out.”".as_bytes(),
        b"no I can't make it, can we do Friday?",
    ];
    let words = [
        "stop ",
        "don't ",
        "\n",
        ". ",
        ", ",
        "?",
        "“",
        "\"",
        "> ",
        "please ",
        "no ",
        "yes ",
        "text me ",
        "👍",
        "\u{200b}",
        "-- ",
        "on x wrote:",
        "aaaa",
    ];
    each("replies", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, _| {
        let text = String::from_utf8_lossy(input);
        let began = Instant::now();
        let read = understand(&text);
        assert!(began.elapsed() < Duration::from_secs(1), "it takes {:?} for {} bytes", began.elapsed(), input.len());
        assert!(read.word != Word::Other || read.more, "{text}");
        assert_eq!(understand(&format!("STOP\n{text}")).word, Word::Stop, "{text}");
    });
}

/// Anybody may send a mail that looks like a bounce: Postfix's with a return path of VERP, Exim's with the mail that came back, one of three
/// recipients, and qmail's letter. Whatever it says, it names one of our references, is no longer than what is shown, and suppresses only what failed.
#[test]
fn bounces() {
    let examples: [&[u8]; 4] = [
        include_bytes!("../fixtures/bounces/postfix.eml"),
        include_bytes!("../fixtures/bounces/exim.eml"),
        include_bytes!("../fixtures/bounces/several.eml"),
        include_bytes!("../fixtures/bounces/qmail.eml"),
    ];
    let fates = examples.map(|example| bounce::read(example).map(|report| (report.status, report.remember)));
    let gone = Ok((DeliveryStatus::Undelivered, Some(Suppression::Bounced)));
    let letter = Ok((DeliveryStatus::Undelivered, None));
    // Of the second one only the code speaks of a mailbox, beside words that nobody knows.
    assert_eq!(fates, [gone, letter, Ok((DeliveryStatus::Delivered, None)), letter], "the examples themselves");
    let words = [
        "Action: failed\r\n",
        "Action: delivered\r\n",
        "Status: 5.1.1\r\n",
        "\r\n\r\n",
        "--b\r\n",
        "--b--",
        "boundary=\"\"",
        "boundary=b",
        "multipart/report",
        "message/rfc822",
        "message/delivery-status",
        "Content-Type: ",
        "Diagnostic-Code: smtp; 550 no\r\n ",
        "Message-ID: <abcdefghijklmnopqrstuvwxyz234567@x>\r\n",
        "bounces+abcdefghijklmnopqrstuvwxyz234567@x",
        "Subject: failure notice\r\n",
        "From: MAILER-DAEMON@x\r\n",
        "X-Punctual-Ref: abcdefghijklmnopqrstuvwxyz234567\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "multipart/mixed",
        "=?utf-8?q?=40?=",
        "=?utf-8?b?NzAxNjc4NDU1?=",
        "Content-Transfer-Encoding: base64\r\n",
        " (",
        ";",
    ];
    each("bounces", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, _| {
        let began = Instant::now();
        let read = bounce::read(input);
        assert!(began.elapsed() < Duration::from_secs(1), "it takes {:?} for {} bytes", began.elapsed(), input.len());
        let Ok(report) = read else { return };
        assert!(report.ours.as_deref().is_some_and(is_reference) && report.reference.is_none(), "{report:?}");
        assert!(
            report.remember.is_none() || (report.status, report.remember) == (DeliveryStatus::Undelivered, Some(Suppression::Bounced)),
            "{report:?}"
        );
        let detail = report.detail.unwrap_or_default();
        assert!(detail.chars().count() <= 300 && !detail.contains('@') && !detail.contains(char::is_control), "{detail}");
        assert!(detail.split(|c: char| !c.is_ascii_digit()).all(|run| run.len() < 7), "{detail}");
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// An SMTP server says anything, at any phase, and closes: before the dot nothing counts as sent, after it only a 2yz as accepted.
#[test]
fn smtp_replies() {
    let examples: [&[u8]; 6] = [
        b"250 2.0.0 Ok: queued as 4F1A22\r\n",
        b"250-test\r\n250-AUTH PLAIN\r\n250-SIZE 1000\r\n250 PIPELINING\r\n",
        b"354 go\r\n",
        b"550 5.1.1 no\r\n",
        b"220 test ESMTP\r\n",
        b"250 Ok\r\n250 Ok\r\n354 go\r\n",
    ];
    let words = ["250", "250-", "354 ", "421 ", "550 ", "\r\n", "\n", " ", "SIZE 0", "999 ", "25", "\0"];
    let runtime = runtime();
    each("smtp_replies", &examples, &words, |input, dice| {
        let phase = *dice.pick(&["banner", "EHLO", "MAIL", "RCPT", "DATA", "."]);
        let pipelining = dice.roll(2) == 0;
        let (said, limit) = (input.to_vec(), Duration::from_secs(10));
        let (outcome, bodies) = runtime.block_on(async {
            let server = Server::start(move |at: &At| match at.verb.as_str() {
                verb if verb == phase => Some(Step::Bytes(said.clone())),
                "EHLO" if !pipelining => Some(Step::Say("250 test".to_owned())),
                _ => None,
            })
            .await;
            let timeouts = Timeouts { connect: limit, command: limit, data: limit, block: limit, dot: limit, idle: limit };
            let settings = Settings {
                host: "127.0.0.1".to_owned(),
                port: server.port,
                tls: Tls::None,
                ca_file: None,
                connections: 1,
                helo: None,
                username: None,
                password: None,
                timeouts,
            };
            let outcome = Smtp::new(settings).unwrap().deliver(&smtp::message(1), &smtp::Gate::new(true)).await;
            (outcome, server.bodies().len())
        });
        let mut shown = format!("{phase} {outcome:?}");
        let _ = write!(shown, " after {bodies} bodies");
        // A 354 lets the body out, whatever else was said with it; what becomes of it is then the server's word, or nobody knows.
        let let_out = matches!(phase, "MAIL" | "RCPT" | "DATA") && input.windows(3).any(|w| w == b"354");
        match outcome {
            Outcome::Accepted { .. } => assert!((bodies == 1 && phase == "." && input.starts_with(b"2")) || let_out, "{shown}"),
            Outcome::Unknown { .. } => assert!(bodies == 1 || let_out, "{shown}"),
            Outcome::Retry { .. } | Outcome::Rejected { .. } => {
                assert!(bodies == 0 || input.starts_with(b"4") || input.starts_with(b"5") || let_out, "{shown}");
            }
            Outcome::ChannelFault { .. } => assert_eq!(bodies, 0, "{shown}"),
            Outcome::Fenced => panic!("{shown}"),
        }
        assert!(!shown.contains("trevor"));
    });
}

/// A gateway says anything to a text that it has: only a 2xx is accepted, and no answer says that it was not sent, unless it is an HTTP refusal.
#[test]
fn gateway_answers() {
    let examples: [&[u8]; 4] = [
        b"HTTP/1.1 201 Created\r\nContent-Length: 36\r\n\r\n{\"sid\":\"SM00000000000000000000000001\"}",
        b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"code\":21211,\"message\":\"The number +14045550133 is not valid\",\"status\":400}",
        b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
    ];
    let words = [
        "HTTP/1.1 ",
        "200",
        "\r\n",
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Retry-After: ",
        "99999999999999999999",
        "-1",
        "Wed, 21 Oct 2026 07:28:00 GMT",
        "{",
        "}",
        "\"sid\":",
        "21610",
        "FFFFFFFFFFFFFFFF\r\n",
    ];
    let runtime = runtime();
    each("gateway_answers", &examples, &words, |input, _| {
        let outcome = runtime.block_on(async {
            let server = http::Server::start(Reply::Bytes(input.to_vec())).await;
            let settings = twilio::Settings { timeout: Duration::from_secs(10), ..gateway::twilio_settings(server.port) };
            let gateway = twilio::Twilio::new(settings).unwrap();
            gateway.deliver(&gateway::message("Hi José, 701-678-455", punctual::message::SmsEncoding::Gsm7), &gateway::Open(true)).await
        });
        let shown = format!("{outcome:?}");
        assert!(!shown.contains("José") && !shown.contains("4045550133") && !shown.contains("678"), "{shown}");
        let head = String::from_utf8_lossy(&input[..input.len().min(16)]).into_owned();
        if matches!(outcome, Outcome::Accepted { .. }) {
            assert!(String::from_utf8_lossy(input).contains(" 2"), "{head} {shown}");
        }
        assert_ne!(outcome, Outcome::Fenced);
    });
}
