//! `kind = "http"`: any gateway whose request can be written as a template, so that others are configuration.
//!
//! `url`, `headers` and `body` are Tera templates over `to` (E.164), `text`, `from`, `reference`, `secret`, `callback`, `segments` and `encoding`
//! (`gsm7` or `ucs2`). The filter `json_encode` makes any value a JSON value, quotes included; `urlencode` makes a text fit for a path, a query or a form.
//! All templates are tried with a sample at the start, and an error of theirs never repeats a value. An example:
//!
//! ```toml
//! [[sms.gateway]]
//! kind = "http"
//! url = "https://sms.example.com/v1/messages"
//! headers = { Authorization = "Bearer {{ secret }}", Content-Type = "application/json" }
//! body = '{"to": {{ to | json_encode }}, "text": {{ text | json_encode }}, "ref": {{ reference | json_encode }}}'
//! secret_file = "sms-secret"
//! accepted_status = [200, 201, 202]
//! reference_pointer = "/id"
//! answers = [ { pointer = "/error/code", equals = "105", means = "opted_out" }, { status = [202], pointer = "/id", means = "accepted" } ]
//! ```
//!
//! | the answer | says |
//! |---|---|
//! | fits one of `answers` ([`rules`]) | what the first that it fits means |
//! | fits none, a status of `accepted_status`, and no rule means accepted | that the gateway has the text |
//! | fits none, such a status, and a rule means accepted | nothing clear: in doubt |
//! | broke off, such a status, and a rule looks at the body | nothing clear: in doubt |
//! | accepts, without an id where `reference_pointer` expects one | nothing clear: in doubt |
//! | another 2xx | nothing clear: in doubt |
//! | all others | as for every gateway |
//!
//! Prefer POST: a GET is in doubt from before its connection is made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use tera::{Context, ErrorKind, Kwargs, State, Tera};

use super::answer::{GatewayAnswer, Private};
use super::rules::{self, Meaning, ResponseRule};
use super::{ask, build, classify, typed};
use crate::deliver::{PointOfNoReturn, Transport};
use crate::http_client::{client, place};
use crate::message::{Content, Message, SmsEncoding};
use crate::outcome::Outcome;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A template.
    pub url: String,
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// Header names, and a template for the value of each.
    pub headers: BTreeMap<String, String>,
    /// A template; `None`: no body.
    pub body: Option<String>,
    /// `secret` in the templates.
    pub secret: Option<SecretString>,
    /// `from` in the templates.
    pub from: Option<String>,
    /// `callback` in the templates: where receipts are sent, the token with it.
    pub callback_url: Option<SecretString>,
    /// Statuses that say that the gateway has it.
    pub accepted_status: Vec<u16>,
    /// Where a JSON answer holds the message's id (RFC 6901).
    pub reference_pointer: Option<String>,
    /// What an answer means, in order; what none of them fits is read by its status.
    pub answers: Vec<ResponseRule>,
    /// PEM certificates that are trusted besides those of the host.
    pub ca_file: Option<PathBuf>,
    /// Requests at once.
    pub connections: usize,
    /// The longest that one attempt takes.
    pub timeout: Duration,
}

/// A gateway by templates.
pub struct Http {
    name: String,
    settings: Settings,
    method: Method,
    tera: Tera,
    client: Client,
    /// Secrets that were typed into the templates.
    typed: Vec<String>,
}

/// Template names: no suffix, so nothing is escaped for HTML.
const URL: &str = "url";
const BODY: &str = "body";

impl Settings {
    /// Nothing but the status of an answer is looked at: an error that a gateway tells in the body of a 200 would count as accepted.
    pub fn status_alone_decides(&self) -> bool {
        self.answers.is_empty() && self.reference_pointer.is_none()
    }
}

impl Http {
    /// Compiles the templates; nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let method = match settings.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            other => return Err(format!("{other:?} is no method for a message; expected GET, POST or PUT")),
        };
        let mut tera = engine();
        let headers = settings.headers.iter().map(|(name, template)| (format!("header {name}"), template.clone()));
        let body = settings.body.iter().map(|template| (BODY.to_owned(), template.clone()));
        for (name, template) in [(URL.to_owned(), settings.url.clone())].into_iter().chain(headers).chain(body) {
            tera.add_raw_template(&name, &template).map_err(|e| explain(&name, &e))?;
        }
        let typed = typed_secrets(&settings);
        // The templates must work with a sample, so that what is wrong shows at start.
        let this =
            Self { name: String::new(), method, client: client(settings.timeout, settings.ca_file.as_deref())?, tera, typed, settings };
        let sample = this.context("+15550100", "text", "reference", SmsEncoding::Gsm7, 1);
        let place = place(&this.render(URL, &sample)?)?;
        this.request(&sample)?;
        Ok(Self { name: format!("http:{place}"), ..this })
    }

    fn context(&self, to: &str, text: &str, reference: &str, encoding: SmsEncoding, segments: u32) -> Context {
        let mut context = Context::new();
        context.insert("to", to);
        context.insert("text", text);
        context.insert("reference", reference);
        context.insert("encoding", &encoding);
        context.insert("segments", &segments);
        context.insert("from", self.settings.from.as_deref().unwrap_or_default());
        context.insert("callback", self.settings.callback_url.as_ref().map_or("", |url| url.expose_secret()));
        context.insert("secret", self.settings.secret.as_ref().map_or("", |s| s.expose_secret()));
        context
    }

    /// The error names the template, and no value.
    fn render(&self, name: &str, context: &Context) -> Result<String, String> {
        self.tera.render(name, context).map_err(|e| explain(name, &e))
    }

    fn headers(&self, context: &Context) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for name in self.settings.headers.keys() {
            let value = self.render(&format!("header {name}"), context)?;
            let wrong = |_| format!("the header {name:?} cannot be written so");
            let mut value = HeaderValue::from_str(&value).map_err(|e| wrong(e.to_string()))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name.as_str()).map_err(|e| wrong(e.to_string()))?, value);
        }
        Ok(headers)
    }

    fn request(&self, context: &Context) -> Result<Request, String> {
        let mut request = self.client.request(self.method.clone(), self.render(URL, context)?).headers(self.headers(context)?);
        if self.settings.body.is_some() {
            request = request.body(self.render(BODY, context)?);
        }
        build(request)
    }

    fn classify(&self, answer: &GatewayAnswer, private: &Private) -> Outcome {
        let said = || answer.said(private);
        let pointer = self.settings.reference_pointer.as_deref();
        let reference = pointer.and_then(|pointer| answer.reference(pointer));
        let unknown = |why: &str| Outcome::Unknown { why: format!("{}: {why}", said()) };
        let by_status = self.settings.accepted_status.contains(&answer.status);
        match rules::meaning(&self.settings.answers, answer) {
            None if by_status && rules::cannot_be_asked(&self.settings.answers, answer) => unknown("the answer is not whole"),
            None if by_status && self.settings.answers.iter().any(|rule| rule.means == Meaning::Accepted) => {
                unknown("no rule of `answers` says what that means")
            }
            None if !by_status && (200..=299).contains(&answer.status) => unknown("not a status that says that the gateway has it"),
            None if !by_status => classify::answered(answer, None, private),
            None | Some(Meaning::Accepted) if pointer.is_some() && reference.is_none() => unknown("no id where one is expected"),
            None => Outcome::Accepted { reply: said(), reference },
            Some(meaning) => rules::outcome(meaning, answer, reference, private),
        }
    }
}

/// What no answer may repeat, beside `secret`.
fn typed_secrets(settings: &Settings) -> Vec<String> {
    let headers = settings.headers.iter().filter_map(|(name, value)| typed::secrets_of_header(name, value));
    let body = settings.body.iter().flat_map(|body| typed::secrets_of_body(body));
    let callback = settings.callback_url.iter().filter_map(|url| typed::secrets_of_callback(url.expose_secret()));
    typed::secrets_of_address(&settings.url).into_iter().chain(headers).chain(body).chain(callback).collect()
}

/// An engine that can reach nothing but the context of a template, and escapes only what a template says.
fn engine() -> Tera {
    let mut tera = Tera::default();
    tera.autoescape_on(Vec::<String>::new());
    tera.register_filter("json_encode", |value: tera::Value, _: Kwargs, _: &State<'_>| {
        serde_json::to_string(&value).map_err(|_| tera::Error::message("no JSON value"))
    });
    // %20 for a space, and not the + of forms, which stands for itself in a path.
    tera.register_filter("urlencode", |text: &str, _: Kwargs, _: &State<'_>| {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    });
    tera
}

/// Where a template is wrong, and how, as far as that can be said without a value or the template's own text, which may hold a secret.
fn explain(name: &str, error: &tera::Error) -> String {
    let (line, said) = match error.kind() {
        ErrorKind::SyntaxError(report) => (Some(report.span().start_line), report.message()),
        ErrorKind::RenderingError(report) if report.message().contains("is not defined") => {
            (Some(report.span().start_line), report.message())
        }
        ErrorKind::Msg(report) => (None, unknown(report).unwrap_or("it cannot be used")),
        _ => (None, "an expression cannot be evaluated"),
    };
    let line = line.map_or_else(String::new, |line| format!(", line {line}"));
    format!("the template of {name}{line}: {said}")
}

/// What a name that the engine does not know is said to be (``Unknown filter `x` ``), without the line of the template that follows.
fn unknown(report: &str) -> Option<&str> {
    let said = &report[report.find("Unknown ")?..];
    let end = said.match_indices('`').nth(1)?.0;
    Some(&said[..=end])
}

#[async_trait]
impl Transport for Http {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        self.settings.connections.max(1)
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let Content::Sms { to, text, encoding, segments } = &message.content else {
            return Outcome::Rejected { reply: "an e-mail cannot go by an SMS gateway".to_owned(), remember: None };
        };
        let context = self.context(to.expose(), text, &message.reference, *encoding, *segments);
        let secret = self.settings.secret.as_ref().map_or("", |s| s.expose_secret());
        let told = [to.expose(), text, secret].into_iter().chain(self.typed.iter().map(String::as_str));
        let private = Private::of(&told.collect::<Vec<_>>());
        super::deliver(&self.client, self.request(&context), &private, doubt, |answer| self.classify(answer, &private)).await
    }

    /// Asks for the head of the host's first page: no address of a message, no secret. Any answer of its own will do.
    async fn probe(&self) -> Result<String, String> {
        let sample = self.context("+15550100", "text", "reference", SmsEncoding::Gsm7, 1);
        let parsed = Url::parse(&self.render(URL, &sample)?).and_then(|url| url.join("/"));
        let mut origin = parsed.map_err(|e| format!("the url is none: {e}"))?;
        origin.set_username("").and_then(|()| origin.set_password(None)).map_err(|()| "the url names no host")?;
        let status = ask(&self.client, self.client.head(origin)).await?.status;
        if matches!(status, 502..=504) {
            return Err(format!("answers {status}: what stands before it does not reach it"));
        }
        Ok("it answers; whether it takes the secret and the templates shows with a first message (punctual send-test)".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_pointer::At;

    fn settings(url: &str, body: &str) -> Settings {
        Settings {
            url: url.to_owned(),
            method: "POST".to_owned(),
            headers: BTreeMap::from([("Authorization".to_owned(), "Bearer {{ secret }}".to_owned())]),
            body: Some(body.to_owned()),
            secret: Some("s3cret".into()),
            from: None,
            callback_url: None,
            accepted_status: vec![202],
            reference_pointer: Some("/id".to_owned()),
            answers: Vec::new(),
            ca_file: None,
            connections: 1,
            timeout: Duration::from_secs(1),
        }
    }

    fn wrong(settings: Settings) -> String {
        Http::new(settings).err().expect("it is wrong")
    }

    #[test]
    fn mistakes_show_at_the_start_and_repeat_no_value() {
        let url = "https://sms.example.com/v1";
        for (settings, says) in [
            (settings(url, "{{ txt }}"), "`txt` is not defined"),
            (settings(url, "\n{{ secret | int }}"), "the template of body: an expression cannot be evaluated"),
            (settings(url, "{{ throw(message=secret) }}"), "an expression cannot be evaluated"),
            (settings(url, "s3cret {{ text | nosuch }}"), "nosuch"),
            (settings(url, "s3cret\n{{ text"), "the template of body, line 2"),
            (settings("{{ secret }}", ""), "the url is none"),
            (settings("ftp://sms.example.com", ""), "expected http or https"),
            (Settings { method: "DELETE".to_owned(), ..settings(url, "") }, "expected GET, POST or PUT"),
            (
                Settings { headers: BTreeMap::from([("X".to_owned(), "{{ secret }}\n".to_owned())]), ..settings(url, "") },
                "the header \"X\"",
            ),
            (Settings { headers: BTreeMap::from([("a b".to_owned(), "c".to_owned())]), ..settings(url, "") }, "the header \"a b\""),
        ] {
            let said = wrong(settings);
            assert!(said.contains(says), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn values_are_quoted_for_their_place() {
        let http = Http::new(settings(
            "https://sms.example.com/{{ text | urlencode }}?a={{ to|urlencode() }}",
            "{{ text | json_encode() }},{{ segments | json_encode }}",
        ));
        let http = http.unwrap_or_else(|e| panic!("{e}"));
        let request = http.request(&http.context("+15550100", "a+b \"é\"/\n", "ref", SmsEncoding::Ucs2, 2)).expect("it can be made");
        assert_eq!(request.url().as_str(), "https://sms.example.com/a%2Bb%20%22%C3%A9%22%2F%0A?a=%2B15550100");
        assert_eq!(request.body().and_then(reqwest::Body::as_bytes), Some("\"a+b \\\"é\\\"/\\n\",2".as_bytes()));
        assert!(!format!("{:?}", request.headers()).contains("s3cret"));
    }

    fn read(settings: Settings) -> impl Fn(u16, &str) -> Outcome {
        let http = Http::new(settings).unwrap_or_else(|e| panic!("{e}"));
        move |status, body| {
            let (whole, body) = (!body.ends_with("..."), body.as_bytes().to_vec());
            http.classify(&GatewayAnswer { status, pause: Some(Duration::from_secs(9)), body, whole }, &Private::default())
        }
    }

    #[test]
    fn the_list_of_statuses_decides_where_there_are_no_rules() {
        let id = read(Settings { accepted_status: vec![202, 304], ..settings("https://sms.example.com/", "") });
        assert_eq!(id(202, r#"{"id":7}"#), Outcome::Accepted { reply: "202".to_owned(), reference: Some("7".to_owned()) });
        assert_eq!(id(202, "<html>"), Outcome::Unknown { why: "202: no id where one is expected".to_owned() });
        assert!(matches!(id(304, r#"{"id":7}"#), Outcome::Accepted { .. }));
        assert!(matches!(id(200, r#"{"id":7}"#), Outcome::Unknown { .. }));
        assert!(matches!(id(422, ""), Outcome::Rejected { remember: None, .. }));
        let status = read(Settings { reference_pointer: None, ..settings("https://sms.example.com/", "") });
        assert_eq!(status(202, "<html>"), Outcome::Accepted { reply: "202".to_owned(), reference: None });
        assert!(matches!(status(202, "..."), Outcome::Accepted { .. }), "a status is whole before its body");
    }

    #[test]
    fn rules_decide_before_the_status() {
        let rule = |pointer: Option<&str>, text: &str, means| ResponseRule {
            status: Vec::new(),
            at: pointer.map(|pointer| At { pointer: pointer.to_owned(), one_of: vec![text.to_owned()] }),
            contains: pointer.is_none().then(|| text.to_owned()),
            means,
        };
        let refusals = vec![
            rule(None, "ERR 101", Meaning::InvalidNumber),
            rule(None, "ERR 102", Meaning::OptedOut),
            rule(None, "ERR 103", Meaning::Retry),
            rule(None, "ERR 104", Meaning::ChannelFault),
            rule(None, "ERR 105", Meaning::Unknown),
            rule(None, "ERR", Meaning::Rejected),
        ];
        let all = [refusals.clone(), vec![rule(Some("/status"), "0", Meaning::Accepted)]].concat();
        let by_rules = |answers: &[ResponseRule], reference_pointer: Option<&str>| {
            read(Settings {
                answers: answers.to_vec(),
                reference_pointer: reference_pointer.map(str::to_owned),
                ..settings("https://sms.example.com/", "")
            })
        };
        let after = Some(Duration::from_secs(9));
        let rejected = |said: &str, remember| Outcome::Rejected { reply: said.to_owned(), remember };
        let unknown = |why: &str| Outcome::Unknown { why: why.to_owned() };
        let ask = by_rules(&all, None);
        for (status, body, want) in [
            (202, "err 101", rejected("202 err 101", Some(crate::suppression::Suppression::Bounced))),
            (500, "ERR 102", rejected("500 ERR 102", Some(crate::suppression::Suppression::OptedOut))),
            (202, "ERR 103", Outcome::Retry { why: "202 ERR 103".to_owned(), after }),
            (202, "ERR 104", Outcome::ChannelFault { why: "202 ERR 104".to_owned(), after }),
            (202, "ERR 105", unknown("202 ERR 105")),
            (202, "ERR 199", rejected("202 ERR 199", None)),
            (202, r#"{"status":0}"#, Outcome::Accepted { reply: "202 0".to_owned(), reference: None }),
            (500, r#"{"status":"0"}"#, Outcome::Accepted { reply: "500 0".to_owned(), reference: None }),
            (202, r#"{"status":1}"#, unknown("202 1: no rule of `answers` says what that means")),
            (202, "", unknown("202: no rule of `answers` says what that means")),
            (202, "OK ...", unknown("202 OK ...: the answer is not whole")),
            (204, "", unknown("204: not a status that says that the gateway has it")),
            (401, "", Outcome::ChannelFault { why: "401".to_owned(), after }),
            (401, "ERR ...", Outcome::ChannelFault { why: "401 ERR ...".to_owned(), after }),
        ] {
            assert_eq!(ask(status, body), want, "{status} {body}");
        }
        let refusals_alone = by_rules(&refusals, None);
        assert!(matches!(refusals_alone(202, "OK"), Outcome::Accepted { .. }), "no rule means accepted: the status does");
        assert!(matches!(refusals_alone(202, "OK ..."), Outcome::Unknown { .. }), "a refusal may have been in the rest");
        let with_id = by_rules(&all, Some("/id"));
        assert_eq!(
            with_id(202, r#"{"status":0,"id":7}"#),
            Outcome::Accepted { reply: "202 0".to_owned(), reference: Some("7".to_owned()) }
        );
        assert_eq!(with_id(202, r#"{"status":0}"#), unknown("202 0: no id where one is expected"));
        assert!(matches!(with_id(202, "ERR 103"), Outcome::Retry { .. }));
    }
}
