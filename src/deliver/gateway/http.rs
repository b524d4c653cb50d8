//! `kind = "http"`: any gateway whose request can be written as a template, so that others are configuration.
//!
//! `url`, `headers` and `body` are Tera templates over `to` (E.164), `text`, `from`, `reference`, `secret`, `segments` and `encoding`. The filters
//! `json_encode` and `urlencode` quote a value for its place:
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
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use tera::{Context, Kwargs, State, Tera};

use super::{Answer, classify, client, place, send};
use crate::deliver::{PointOfNoReturn, Transport};
use crate::message::{Content, Message, SmsEncoding};
use crate::outcome::Outcome;

/// One gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A template.
    pub url: String,
    /// `GET` or `POST`.
    pub method: String,
    /// Names to templates.
    pub headers: BTreeMap<String, String>,
    /// A template; `None`: no body.
    pub body: Option<String>,
    /// `secret` in the templates.
    pub secret: Option<SecretString>,
    /// `from` in the templates.
    pub from: Option<String>,
    /// Statuses that say that the gateway has it.
    pub accepted_status: Vec<u16>,
    /// Where a JSON answer holds the message's id (RFC 6901).
    pub reference_pointer: Option<String>,
    /// Requests at once.
    pub connections: usize,
    /// For one attempt.
    pub timeout: Duration,
}

/// A gateway by templates.
pub struct Http {
    name: String,
    settings: Settings,
    method: Method,
    tera: Tera,
    client: Client,
}

/// Template names: no suffix, so nothing is escaped for HTML.
const URL: &str = "url";
const BODY: &str = "body";

impl Http {
    /// Compiles the templates; nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let method = match settings.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            other => return Err(format!("{other:?} is no method for a message; expected GET, POST or PUT")),
        };
        let mut tera = Tera::default();
        tera.autoescape_on(Vec::<String>::new());
        tera.register_filter("json_encode", |text: &str, _: Kwargs, _: &State<'_>| serde_json::Value::from(text).to_string());
        tera.register_filter("urlencode", |text: &str, _: Kwargs, _: &State<'_>| {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
        });
        let headers = settings.headers.iter().map(|(name, template)| (format!("header {name}"), template.clone()));
        let body = settings.body.iter().map(|template| (BODY.to_owned(), template.clone()));
        for (name, template) in [(URL.to_owned(), settings.url.clone())].into_iter().chain(headers).chain(body) {
            tera.add_raw_template(&name, &template).map_err(|e| format!("the template of {name}: {e}"))?;
        }
        // The templates must work with a sample, so that what is wrong shows at start.
        let this = Self { name: String::new(), method, client: client(settings.timeout)?, tera, settings };
        let sample = this.context("+15550100", "text", "reference", SmsEncoding::Gsm7, 1);
        let url = this.render(URL, &sample)?;
        this.headers(&sample)?;
        if this.settings.body.is_some() {
            this.render(BODY, &sample)?;
        }
        Ok(Self { name: format!("http:{}", place(&url)?), ..this })
    }

    fn context(&self, to: &str, text: &str, reference: &str, encoding: SmsEncoding, segments: u32) -> Context {
        let mut context = Context::new();
        context.insert("to", to);
        context.insert("text", text);
        context.insert("reference", reference);
        context.insert("encoding", &encoding);
        context.insert("segments", &segments);
        context.insert("from", self.settings.from.as_deref().unwrap_or_default());
        context.insert("secret", self.settings.secret.as_ref().map_or("", |s| s.expose_secret()));
        context
    }

    /// The error names the template, and no value.
    fn render(&self, name: &str, context: &Context) -> Result<String, String> {
        self.tera.render(name, context).map_err(|e| format!("the template of {name}: {e}"))
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

    fn request(&self, context: &Context) -> Result<RequestBuilder, String> {
        let mut request = self.client.request(self.method.clone(), self.render(URL, context)?).headers(self.headers(context)?);
        if self.settings.body.is_some() {
            request = request.body(self.render(BODY, context)?);
        }
        Ok(request)
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let reference = self.settings.reference_pointer.as_deref().and_then(|pointer| {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
            match body.pointer(pointer)? {
                serde_json::Value::String(id) => Some(id.clone()),
                serde_json::Value::Number(id) => Some(id.to_string()),
                _ => None,
            }
        });
        if (200..300).contains(&answer.status) && !self.settings.accepted_status.contains(&answer.status) {
            return Outcome::Unknown { why: format!("{}: no status that says that the gateway has it", answer.described()) };
        }
        classify::answered(answer, reference)
    }
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
        let request = match self.request(&context) {
            Ok(request) => request,
            Err(why) => return Outcome::ChannelFault { why, after: None },
        };
        match send(&self.client, request, doubt).await {
            Ok(answer) => self.classify(&answer),
            Err(outcome) => outcome,
        }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("its templates work; whether it answers shows with the first message (punctual send-test)".to_owned())
    }
}
