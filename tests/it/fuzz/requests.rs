//! What comes to the server from anybody, over real sockets; and what stands in files that somebody else may have changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use punctual::access::{file, totp};
use punctual::clock::{Clock, WallClock};
use punctual::contact::{Address, ConnectCode, Passkey};
use punctual::ledger::{Anchor, Event};
use punctual::notice::NoticeKey;
use punctual::outbox::sqlite::{Access, SqliteOutbox, StoreKey};
use punctual::outbox::{Actions, Queries};
use reqwest::Method;
use rusqlite::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{HOSTILE, each, runtime};
use crate::feedback;
use crate::push::{self, session};
use crate::staff::{READ, WRITE};

/// Nobody's: what no answer may hold.
const CODE: i64 = 817_263_549;

/// Its status; `None`: it was not answered. What it says goes into `said`.
async fn ask(address: &str, request: &[u8], said: &mut String) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may close before it has all.
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(ended.is_ok(), "it neither answers nor closes");
    *said = String::from_utf8_lossy(&answer).into_owned();
    (!answer.is_empty()).then(|| said.get(9..12).unwrap_or_default().parse().unwrap_or_else(|_| panic!("no status: {said}")))
}

/// Heads, Host and X-Forwarded-For, cookies, forms, queries and tokens: whatever it is, the server answers with no fault of its own, reveals
/// nothing, repeats no line as a header, and answers the next one.
#[test]
fn requests() {
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n");
    let form = |path: &str, form: &str| {
        let length = form.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nCookie: punctual=ab\r\nContent-Length: {length}\r\n\r\n{form}"
        )
    };
    let examples = [
        get("/sessions/1/11?from=%2F&day=2026-11-30", "Cookie: punctual=0123456789abcdef; punctual-browser=n.0123\r\n"),
        get(
            "/metrics",
            "X-Forwarded-For: 198.51.100.7, 203.0.113.9:80\r\nX-Forwarded-For: [2001:db8::9]:443\r\nForwarded: for=\"[::1]\"\r\n",
        ),
        get("/search?q=Trevor", "X-Forwarded-Proto: https\r\nSec-Fetch-Site: same-origin\r\n"),
        get("/api/v1/notices?limit=5&state=waiting&after=2026-11-30T10:00:00Z%2F00", &format!("Authorization: Bearer {READ}\r\n")),
        get("/api/v1/sessions/1/participants", &format!("Authorization: Bearer {READ}\r\nAccept: application/json\r\n")),
        form("/login", "token=x&name=jane&password=guess&code=123456"),
        form("/sessions/1/11/reveal", "token=x"),
        form("/hooks/twilio?ref=a", "MessageSid=SM1&MessageStatus=delivered"),
        get("/hooks/kannel/guessed-0123456789abcdef?ref=a&type=1&answer=ack", ""),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
    ];
    let examples: Vec<&[u8]> = examples.iter().map(String::as_bytes).collect();
    let words = [
        "\r\n",
        "Host: rebound.example\r\n",
        "Host: [::1]:8080\r\n",
        "X-Forwarded-For: ",
        "Cookie: ",
        "; punctual=",
        "__Host-punctual=",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\n",
        "%00",
        "%f0%9f",
        "%2e%2e%2f",
        "?",
        "&",
        "=",
        "/",
        "99999999999999999999",
        "-1",
        "2026-13-45",
        "HTTP/1.1",
        "Authorization: Bearer ",
        "Expect: 100-continue\r\n",
    ];
    let runtime = runtime();
    let practice = runtime.block_on(async {
        let practice = push::Practice::open().await;
        assert_eq!(practice.list(&[session(1, CODE)]).await.0, 200);
        practice
    });
    crate::staff::write_users(&practice);
    let address = practice.address.strip_prefix("http://").unwrap().to_owned();
    each("requests", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, _| {
        let mut said = String::new();
        let status = runtime.block_on(ask(&address, input, &mut said));
        assert!(status.is_none_or(|status| status < 500 || status == 501), "{said}");
        let head = said.split("\r\n\r\n").next().unwrap_or_default();
        assert!(!head.contains("\r\nBcc:"), "{head}");
        let inside = |line: &str| line.strip_prefix("location: ").is_none_or(|to| to.starts_with('/') && !to.starts_with("//"));
        assert!(head.lines().all(inside), "{head}");
        for secret in ["817263549", "817-263-549", "trevor@example.com"] {
            assert!(!said.contains(secret), "{said}");
        }
    });
    let well = runtime.block_on(practice.ask(Method::GET, "/healthz", "", String::new()));
    assert_eq!(well.status(), 200);
    runtime.block_on(practice.close());
}

/// A program with a right token writes anything into the bodies of the API.
#[test]
fn bodies() {
    let examples: [&[u8]; 5] = [
        br#"{"address":"404-555-0123","kind":"opted_out"}"#,
        br#"{"to":"somebody@example.org"}"#,
        br#"{"participation":11,"in_quiet_hours":true,"reason":"they asked"}"#,
        br#"{"source":"front desk"}"#,
        br#"{"reason":"they asked"}"#,
    ];
    let words = ["null", "[", "{", "}", ",", "1e999", "-1", "\"\\ud800\"", "99999999999999999999", "\"to\":", "\"address\":", "true"];
    let runtime = runtime();
    let (practice, key) = runtime.block_on(async {
        let practice = push::Practice::open().await;
        assert_eq!(practice.list(&[session(1, CODE)]).await.0, 200);
        let key = practice.engine.outbox().list(&punctual::outbox::Filter::default()).await.unwrap()[0].notice.key;
        (practice, key)
    });
    crate::staff::write_users(&practice);
    let paths = [
        "/api/v1/suppressions".to_owned(),
        format!("/api/v1/notices/{key}/resend"),
        format!("/api/v1/notices/{key}/hold"),
        "/api/v1/sessions/1/remind".to_owned(),
        "/api/v1/guard/accept".to_owned(),
    ];
    each("bodies", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, dice| {
        let body = String::from_utf8_lossy(input).into_owned();
        let answer = runtime.block_on(practice.ask(Method::POST, &paths[dice.roll(paths.len())], WRITE, body));
        assert!(answer.status().as_u16() < 500, "{}", answer.status());
        let said = runtime.block_on(answer.text()).unwrap();
        assert!(!said.contains("817-263-549") && !said.contains("817263549"), "{said}");
    });
    runtime.block_on(practice.close());
}

/// A gateway that signs, or knows its token, tells anything of any message: receipts and people's texts.
#[test]
fn callbacks() {
    let examples: [&[u8]; 5] = [
        b"MessageSid=SM00000000000000000000000000000001&MessageStatus=undelivered&ErrorCode=30005&AccountSid=AC1",
        b"MessageSid=SM00000000000000000000000000000002&Body=STOP&From=%2B14045550123&To=%2B15550100&AccountSid=AC1",
        br#"{"id":"M1","status":"DEAD","why":"no such number 404 555 0123 of Trevor"}"#,
        br#"[{"id":"M2","event":"received","from":"+14045550123","text":"please stop"}]"#,
        b"ref=abcdefghijklmnopqrstuvwxyz234567&type=2&answer=Trevor%20is%20gone&from=%2B14045550123&text=Yes&id=7",
    ];
    let words =
        ["&", "=", "%", "%2B", "STOP", "\"status\":", "\"from\":", "DEAD", "null", "[", "{", "+1404555", "type=16", "smsc=", "\u{7f}"];
    let runtime = runtime();
    let practices = ["twilio", "kannel", "http"].map(|kind| runtime.block_on(feedback::Practice::with(kind, vec![feedback::created()])));
    runtime.block_on(async {
        for practice in &practices {
            practice.list(&[feedback::session(1, "404-555-0123")]).await;
        }
    });
    each("callbacks", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, dice| {
        let n = dice.roll(practices.len());
        let status = runtime.block_on(practices[n].callback(["twilio", "kannel", "http"][n], input));
        // (503: come again, the store is busy.)
        assert!(status < 500 || status == 503, "{status}");
    });
    runtime.block_on(async {
        for practice in practices {
            for row in practice.engine.outbox().ledger(None, 0, usize::MAX).await.unwrap() {
                let detail = row.detail.unwrap_or_default();
                let own = row.event == "suppressed" || row.event == "suppress";
                // (As words of their own: what a mangled text runs together is no word.)
                let is_told = detail.split(|c: char| !c.is_alphanumeric()).any(|word| ["Trevor", "4045550123"].contains(&word));
                assert!(own || !is_told, "{}: {detail}", row.event);
            }
            practice.close().await;
        }
    });
}

/// Twilio's signature of a form, whatever it holds.
pub(crate) fn signature(token: &str, address: &str, form: &[(String, String)]) -> String {
    let mut sorted = form.to_vec();
    sorted.sort_unstable();
    let signed = sorted.iter().fold(address.to_owned(), |text, (name, value)| text + name + value);
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    data_encoding::BASE64.encode(&mac.finalize().into_bytes())
}

/// What people write into fields of a few letters: codes, passkeys, addresses, keys, anchors, one-time codes. What is taken is written as it is read.
#[test]
fn short_texts() {
    let link = format!("7:{}", "ab".repeat(32));
    let examples: [&[u8]; 6] =
        [b"817-263-549", b"9bff60df-2fe6-4e0c", b"+1 (404) 555-0123", b"Jos\xc3\xa9@b\xc3\xbccher.example", link.as_bytes(), b"123 456"];
    let secret = totp::new_secret().unwrap();
    each("short_texts", &examples, &HOSTILE, |input, _| {
        let text = String::from_utf8_lossy(input);
        if let Some(code) = ConnectCode::parse(&text) {
            assert_eq!((ConnectCode::parse(&code.expose()), code.expose_grouped().len()), (Some(code), 11));
        }
        if let Ok(Some(passkey)) = Passkey::parse(&text) {
            assert!(passkey.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{text}");
        }
        for region in ["US", "DE", "GB"] {
            for address in [Address::parse(&text, region), Address::possible(&text, region)].into_iter().flatten() {
                assert!(Address::possible(address.expose(), region).is_ok(), "{text}");
                assert!(!address.expose().contains(char::is_control), "{text}");
                let shown = format!("{address} {address:?}");
                assert!(!shown.contains(address.expose()), "{shown}");
            }
        }
        if let Ok(anchor) = text.parse::<Anchor>() {
            assert_eq!(anchor.to_string().parse::<Anchor>().unwrap(), anchor);
        }
        if let Ok(key) = text.parse::<NoticeKey>() {
            assert_eq!(key.to_string().parse::<NoticeKey>().unwrap(), key);
        }
        let step = totp::step(WallClock.now());
        let taken = totp::matching(&secret, &text, WallClock.now(), step - 2);
        assert!(taken.is_none() || totp::shown(&secret, taken.unwrap()).unwrap() == text.replace(' ', ""), "{text}");
    });
}

/// The files of a sealed store, in the midst of getting another key, and those beside it: whoever changed one of them is told, or what they changed is
/// of no account. Nothing panics, no other key opens it, and a changed ledger does not verify.
#[test]
fn files_beside_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let url = format!("sqlite://{}", path.display());
    let key = StoreKey::parse(&"07".repeat(32)).unwrap();
    let new = key.successor().unwrap();
    let runtime = runtime();
    let rows = runtime.block_on(async {
        let store = SqliteOutbox::open_with(&url, Access::Daemon, Some(&key)).unwrap();
        for n in 0..3 {
            store.record_event(WallClock.now(), Event::Reveal, &format!("session {n}")).await.unwrap();
        }
        store.begin_rekey(&new, WallClock.now()).await.unwrap().unwrap();
        store.ledger(None, 0, 10).await.unwrap()
    });
    let (mark, users) = (folder.path().join("outbox.db.mark"), folder.path().join("users.toml"));
    let said: (String, String) = {
        let connection = Connection::open(&path).unwrap();
        connection.query_row("SELECT key_next, key_before FROM identity", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let access = "[[user]]\nname = \"jane\"\nrole = \"viewer\"\nargon2id = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g\"\n\
                  [[token]]\nname = \"ehr\"\nscopes = [\"read\"]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";
    let key_text = new.text();
    let written = fs::read(&mark).unwrap_or_else(|_| br#"{"store":"0123456789abcdef","ledger":"3:ab","mac":"00"}"#.to_vec());
    let examples: [&[u8]; 5] = [&written, key_text.as_bytes(), access.as_bytes(), said.0.as_bytes(), said.1.as_bytes()];
    let words = ["{", "}", "\"", "\"mac\":", "notices ", "\n", "[[user]]", "[[token]]", "null", "0", "ff", "=", "9223372036854775808:"];
    each("files_beside_the_store", &examples, &[&words[..], &HOSTILE[..]].concat(), |input, dice| {
        let text = String::from_utf8_lossy(input).into_owned();
        if let Ok(other) = StoreKey::parse(&text) {
            assert!(StoreKey::parse(&other.text()).unwrap().is(&other));
        }
        fs::write(&users, input).unwrap();
        fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).unwrap();
        if let Ok(access) = file::read(&users) {
            assert!(access.user.len() + access.token.len() <= text.matches("[[").count(), "{text}");
        }
        // One try in sixteen with the store itself: it is slow to open.
        if dice.roll(16) != 0 {
            return;
        }
        fs::write(&mark, input).unwrap();
        let column = ["key_next", "key_before", "key_check"][dice.roll(3)];
        let connection = Connection::open(&path).unwrap();
        let before: String = connection.query_row(&format!("SELECT {column} FROM identity"), [], |row| row.get(0)).unwrap();
        connection.execute(&format!("UPDATE identity SET {column} = ?1"), [&text]).unwrap();
        for with in [Some(&key), Some(&new), None] {
            let store = SqliteOutbox::open_with(&url, Access::Command, with);
            if with.is_none() {
                assert!(store.is_err(), "it opens without a key");
            }
            if let Ok(store) = store {
                let _ = runtime.block_on(store.ledger(None, 0, 10));
                let _ = runtime.block_on(store.rekeying());
            }
        }
        connection.execute(&format!("UPDATE identity SET {column} = ?1"), [&before]).unwrap();
        fs::remove_file(&mark).unwrap();
    });
    let whole = SqliteOutbox::open_with(&url, Access::Command, Some(&new)).unwrap();
    assert_eq!(runtime.block_on(whole.ledger(None, 0, 10)).unwrap().len(), rows.len());
}
