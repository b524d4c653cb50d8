//! `kind = "twilio"`: Twilio's Messages API (POST /2010-04-01/Accounts/{sid}/Messages.json).
//!
//! The API knows no idempotency key: after a 500 the text may have been sent (<https://www.twilio.com/docs/errors/20500>). Error codes:
//! <https://www.twilio.com/docs/api/errors>.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};

use super::answer::{GatewayAnswer, Private};
use super::{ask, build, classify, typed};
use crate::deliver::{PointOfNoReturn, Transport};
use crate::http_client::{client, place};
use crate::message::{Content, Message};
use crate::outcome::Outcome;
use crate::suppression::Suppression;

/// The provider's own address.
pub const URL: &str = "https://api.twilio.com";

#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://api.twilio.com`, or a stand-in.
    pub url: String,
    /// AC...
    pub account_sid: String,
    /// How requests are signed in.
    pub login: Login,
    /// The sender's number; or `messaging_service_sid`.
    pub from: Option<String>,
    /// MG...
    pub messaging_service_sid: Option<String>,
    /// Where receipts are sent; the client reference is added as `ref`.
    pub callback_url: Option<String>,
    /// PEM certificates that are trusted besides those of the host.
    pub ca_file: Option<PathBuf>,
    /// Requests at once.
    pub connections: usize,
    /// The longest that one attempt takes.
    pub timeout: Duration,
}

/// Basic authentication, in one of Twilio's two ways (<https://www.twilio.com/docs/iam/api-keys>).
#[derive(Debug, Clone)]
pub enum Login {
    /// The account's id and its token.
    Token(SecretString),
    /// An API key: it can be withdrawn without changing the account's token. A restricted one must be allowed to create messages.
    Key {
        /// SK...
        sid: String,
        secret: SecretString,
    },
}

pub struct Twilio {
    name: String,
    settings: Settings,
    client: Client,
}

/// What one of Twilio's error codes says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorMeaning {
    /// The number takes no texts.
    Number,
    /// The person answered STOP.
    Stopped,
    /// This number cannot be reached as the account is set up; others can, so the channel does not pause. It goes out once staff has mended that.
    Route,
    /// This text is at fault, and no other one.
    Text,
    /// Every text would fare so.
    Account,
}

/// Error codes whose meaning is more than their status. Of those of one message only the ones whose words
/// speak of limits are here: 400 covers the others. Twilio adds codes all
/// the time: what is not here is read by its words (<https://www.twilio.com/docs/api/errors>).
const FAULTS: [(ErrorMeaning, &[u64]); 9] = [
    (ErrorMeaning::Stopped, &[21610]),
    // Not a number; not reachable; not a number; a short code; a premium number; not a mobile; a landline where those take no texts.
    (ErrorMeaning::Number, &[21211, 21214, 21217, 21265, 21268, 21614, 21635]),
    // No text; too long; too long in all its parts.
    (ErrorMeaning::Text, &[21602, 21605, 21617]),
    // The region is not enabled; no connection between this sender and this receiver; no sender for this country.
    (ErrorMeaning::Route, &[21408, 21612, 21706]),
    // Not active; not for trial accounts; log-in; method; not active; access; test credentials; rate; today's limit; rate of sending.
    (ErrorMeaning::Account, &[10001, 10002, 20003, 20004, 20005, 20006, 20008, 20403, 20429, 63038, 14107]),
    // The sender: not valid, of a trial account, not ours, missing, not for texts, its queue full, not Twilio's, another account's, not for texts.
    (ErrorMeaning::Account, &[21212, 21213, 21267, 21601, 21603, 21606, 21607, 21611, 21659, 21660, 21661]),
    // A trial account sends to verified numbers only: the same, each with its own code.
    (ErrorMeaning::Account, &[14111, 21216, 21219, 21608, 572_002, 572_005]),
    // The address for receipts; the messaging service: none, without a number to send from, without numbers, not valid.
    (ErrorMeaning::Account, &[21609, 21701, 21703, 21704, 21705]),
    // The queue is full; suspended; the sender's limits of the minute and the day; not registered with the carriers; not set up; sending disabled.
    (ErrorMeaning::Account, &[30001, 30002, 30022, 30023, 30027, 30032, 30034, 30035, 30037]),
];

fn fault(code: u64) -> Option<ErrorMeaning> {
    FAULTS.iter().find(|(_, codes)| codes.contains(&code)).map(|(fault, _)| *fault)
}

impl Twilio {
    /// Nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        if settings.from.is_some() == settings.messaging_service_sid.is_some() {
            return Err("expected either `from` or `messaging_service_sid`".to_owned());
        }
        if settings.account_sid.is_empty() || !settings.account_sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("account_sid: expected letters and digits, AC...".to_owned());
        }
        if matches!(&settings.login, Login::Key { sid, .. } if sid.is_empty() || !sid.bytes().all(|b| b.is_ascii_alphanumeric())) {
            return Err("api_key_sid: expected letters and digits, SK...".to_owned());
        }
        Ok(Self {
            name: format!("twilio:{}", place(&settings.url)?),
            client: client(settings.timeout, settings.ca_file.as_deref())?,
            settings,
        })
    }

    fn account(&self) -> String {
        format!("{}/2010-04-01/Accounts/{}", self.settings.url.trim_end_matches('/'), self.settings.account_sid)
    }

    /// The keys of the configuration that may be at fault when it is refused.
    fn login_keys(&self) -> &'static str {
        match self.settings.login {
            Login::Token(_) => "account_sid and auth_token",
            Login::Key { .. } => "account_sid, api_key_sid and api_key_secret, and what the key may do",
        }
    }

    /// User and password of HTTP basic authentication.
    fn login(&self) -> (&str, &str) {
        match &self.settings.login {
            Login::Token(token) => (&self.settings.account_sid, token.expose_secret()),
            Login::Key { sid, secret } => (sid, secret.expose_secret()),
        }
    }

    fn form<'a>(&'a self, to: &'a str, text: &'a str, reference: &str) -> Vec<(&'static str, std::borrow::Cow<'a, str>)> {
        let s = &self.settings;
        let sender =
            s.from.as_deref().map(|from| ("From", from)).or(s.messaging_service_sid.as_deref().map(|sid| ("MessagingServiceSid", sid)));
        let mut form = vec![("To", to.into()), ("Body", text.into())];
        form.extend(sender.map(|(key, value)| (key, value.into())));
        if let Some(url) = &s.callback_url {
            let joint = if url.contains('?') { '&' } else { '?' };
            form.push(("StatusCallback", format!("{url}{joint}ref={reference}").into()));
        }
        form
    }
}

/// What an answer means: Twilio's own codes first.
fn classify_answer(answer: &GatewayAnswer, private: &Private) -> Outcome {
    let sid = answer.reference("/sid");
    let code = answer.reference("/code").and_then(|code| code.parse().ok());
    let why = || answer.said(private);
    match (answer.status, code.and_then(fault)) {
        (400..=499, Some(ErrorMeaning::Stopped)) => Outcome::Rejected { reply: why(), remember: Some(Suppression::OptedOut) },
        // It says what the number is, not that nobody wants texts there: a directory that is mended, or a number that is carried over, takes them.
        (400..=499, Some(ErrorMeaning::Number | ErrorMeaning::Text)) => Outcome::Rejected { reply: why(), remember: None },
        (400..=499, Some(ErrorMeaning::Route)) => Outcome::Retry { why: why(), after: answer.pause },
        (400..=499, Some(ErrorMeaning::Account)) if answer.status != 429 => classify::about_us(answer, private),
        // Twilio gives each text that it takes a sid: whoever gave none may stand before it, or be another.
        (200..=299, _) if sid.is_none() => {
            Outcome::Unknown { why: format!("{}: no sid, which Twilio gives each text that it takes", why()) }
        }
        _ => classify::answered(answer, sid, private),
    }
}

#[async_trait]
impl Transport for Twilio {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        self.settings.connections.max(1)
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let Content::Sms { to, text, .. } = &message.content else {
            return Outcome::Rejected { reply: "an e-mail cannot go by Twilio".to_owned(), remember: None };
        };
        let (user, password) = self.login();
        let request = self.client.post(format!("{}/Messages.json", self.account())).basic_auth(user, Some(password)).form(&self.form(
            to.expose(),
            text,
            &message.reference,
        ));
        let typed = typed::secrets_of_address(&self.settings.url);
        let told = [to.expose(), text, password].into_iter().chain(typed.iter().map(String::as_str));
        let private = Private::of(&told.collect::<Vec<_>>());
        super::deliver(&self.client, build(request), &private, doubt, |answer| classify_answer(answer, &private)).await
    }

    async fn probe(&self) -> Result<String, String> {
        let (user, password) = self.login();
        // What a key may ask that may not see the account: a list that holds nothing of anybody.
        let resource = match self.settings.login {
            Login::Token(_) => ".json",
            Login::Key { .. } => "/IncomingPhoneNumbers.json?PageSize=1",
        };
        let request = self.client.get(format!("{}{resource}", self.account())).basic_auth(user, Some(password));
        let answer = ask(&self.client, request).await?;
        match answer.status {
            200 => Ok("the account answers".to_owned()),
            401 | 403 => Err(format!("log-in refused ({}): check {}", answer.status, self.login_keys())),
            _ => Err(format!("answers {}", answer.said(&Private::of(&[password])))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        for (status, code, want) in [
            (201, None, "accepted"),
            (400, Some(21610), "opted_out"),
            (400, Some(21211), "rejected"),
            (400, Some(21614), "rejected"),
            (400, Some(21635), "rejected"),
            (400, Some(21608), "channel"),
            (400, Some(21703), "channel"),
            (400, Some(21704), "channel"),
            (400, Some(21660), "channel"),
            (400, Some(30002), "channel"),
            (403, Some(20005), "channel"),
            (400, Some(63038), "channel"),
            (400, Some(21408), "retry"),
            (400, Some(21612), "retry"),
            (400, Some(21212), "channel"),
            (400, Some(30034), "channel"),
            (400, Some(21421), "rejected"),
            (400, Some(21606), "channel"),
            (400, Some(21602), "rejected"),
            (400, None, "rejected"),
            (401, Some(20003), "channel"),
            (400, Some(10001), "channel"),
            (403, None, "channel"),
            (404, None, "channel"),
            (408, None, "retry"),
            (429, Some(20429), "channel"),
            (307, None, "channel"),
            (500, None, "unknown"),
            (502, None, "unknown"),
            (503, None, "unknown"),
            (504, None, "unknown"),
        ] {
            let body = code
                .map_or_else(|| r#"{"sid":"SM1"}"#.to_owned(), |c| format!(r#"{{"code":{c},"message":"The number +14045550133 is not"}}"#));
            let outcome =
                classify_answer(&GatewayAnswer { status, pause: None, body: body.into_bytes(), whole: true }, &Private::default());
            let said = match &outcome {
                Outcome::Accepted { reference: Some(sid), .. } if sid == "SM1" => "accepted",
                Outcome::Rejected { remember: Some(s), .. } => s.as_str(),
                Outcome::Rejected { .. } => "rejected",
                Outcome::ChannelFault { .. } => "channel",
                Outcome::Retry { .. } => "retry",
                Outcome::Unknown { .. } => "unknown",
                _ => "other",
            };
            assert_eq!(said, want, "{status} {code:?}");
            assert!(!format!("{outcome:?}").contains("404555"), "{outcome:?}");
        }
        for body in
            ["", "<html>log in</html>", r#"{"status":"queued"}"#, r#"{"sid":null}"#, r#"{"sid":""}"#, r#"{"id":"SM1"}"#, r#"{"sid":"SM1"#]
        {
            for status in [200, 201, 202, 204] {
                let answer = GatewayAnswer { status, pause: None, body: body.as_bytes().to_vec(), whole: true };
                let outcome = classify_answer(&answer, &Private::default());
                assert!(matches!(outcome, Outcome::Unknown { .. }), "{status} {body}: {outcome:?}");
            }
        }
        let unlisted = |message: &str| {
            let body = format!(r#"{{"code":99999,"message":"{message}"}}"#).into_bytes();
            classify_answer(&GatewayAnswer { status: 400, pause: None, body, whole: true }, &Private::default())
        };
        for (message, ours) in [
            ("The From phone number is not a valid, SMS-capable number", true),
            ("Account is not active", true),
            ("Account suspended", true),
            ("Trial accounts cannot send messages to unverified numbers", true),
            ("There are insufficient funds in the balance", true),
            ("The messaging service has no sender for it", true),
            ("Your account is not authorized to send to this region", true),
            ("The campaign of this sender is not registered", true),
            ("The 'To' number is not a valid phone number", false),
            ("The text is too long", false),
            ("Unreachable destination handset", false),
        ] {
            assert_eq!(matches!(unlisted(message), Outcome::ChannelFault { .. }), ours, "{message}");
        }
        let body = br#"{"code":21617,"message":"The concatenated message body exceeds the 1600 character limit"}"#.to_vec();
        let too_long = classify_answer(&GatewayAnswer { status: 400, pause: None, body, whole: true }, &Private::default());
        assert!(matches!(too_long, Outcome::Rejected { remember: None, .. }), "{too_long:?}");
        let busy = classify_answer(
            &GatewayAnswer { status: 503, pause: Some(Duration::from_secs(9)), body: Vec::new(), whole: true },
            &Private::default(),
        );
        assert_eq!(busy, Outcome::ChannelFault { why: "503".to_owned(), after: Some(Duration::from_secs(9)) });
    }
}
