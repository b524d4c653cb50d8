//! What gateways tell, over real sockets: a daemon sends texts to a scripted gateway, and hears of them at its own address.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use punctual::clock::{Clock, WallClock};
use punctual::config;
use punctual::daemon::Engine;
use punctual::desk::Desk;
use punctual::entry::{Entry, State};
use punctual::outbox::Filter;
use punctual::plan::Policy;
use punctual::receipt::DeliveryStatus;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::servers::http::{Reply, Server, answer};

mod bounces;
mod receipts;
mod replies;

const DESK: &str = "front-desk-0123456789abcdef";
const HOOK: &str = "gateway-0123456789abcdef0123";
const PUBLIC: &str = "https://punctual.practice.example/hooks/twilio";
const TWILIO_TOKEN: &str = "12345";

/// The daemon of a practice that sends texts.
pub(crate) struct Practice {
    pub(crate) engine: Arc<Engine>,
    pub(crate) gateway: Server,
    policy: Arc<Policy>,
    folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
    address: String,
    client: Client,
}

impl Practice {
    /// With a gateway of that kind, which answers so. `twilio itself`: it answers STOP and the like itself. `twilio slowly`: ten texts a minute.
    pub(crate) async fn with(kind: &str, replies: Vec<Reply>) -> Self {
        Self::configured(kind, replies, "").await
    }

    /// And with that in its configuration.
    pub(crate) async fn configured(kind: &str, replies: Vec<Reply>, more: &str) -> Self {
        let gateway = Server::script(replies).await;
        let url = format!("http://127.0.0.1:{}", gateway.port);
        let (kind, rate) = kind.strip_suffix(" slowly").map_or((kind, ""), |kind| (kind, "rate = \"10/min\"\n"));
        let (kind, itself) = kind.strip_suffix(" itself").map_or((kind, false), |kind| (kind, true));
        let keys = match kind {
            "twilio" => {
                format!(
                    "url = \"{url}\"\naccount_sid = \"AC1\"\nauth_token = \"{TWILIO_TOKEN}\"\nfrom = \"+15550100\"\ncallback_url = \"{PUBLIC}\"\n\
                     provider_answers = {itself}\n"
                )
            }
            "kannel" => {
                format!(
                    "url = \"{url}/cgi-bin/sendsms\"\nusername = \"u\"\npassword = \"p\"\ncallback_token = \"{HOOK}\"\n\
                     callback_url = \"http://127.0.0.1:1/hooks/kannel\"\n"
                )
            }
            _ => format!(
                "url = \"{url}/\"\nbody = \"{{{{ text }}}} {{{{ callback }}}}\"\nreference_pointer = \"/id\"\ncallback_token = \"{HOOK}\"\n\
                 callback_url = \"https://punctual.practice.example/hooks/sms\"\n[sms.gateway.callback]\nmessage = \"/id\"\nstatus = \"/status\"\n\
                 detail = \"/why\"\nstatuses = {{ OK = \"delivered\", DEAD = \"invalid_number\" }}\nreply = \"/id\"\nfrom = \"/from\"\ntext = \"/text\"\n\
                 reply_when = {{ pointer = \"/event\", equals = \"received\" }}\n"
            ),
        };
        let text = format!(
            "[practice]\nname = \"Lakeside Telehealth\"\ncontact = \"404-555-0100\"\nhosts = false\n[adopt]\ninvites = true\n\
             [invite]\nsettle = \"0s\"\n[quiet_hours]\nfrom = \"00:00\"\nto = \"00:00\"\n[store]\nurl = \"sqlite://punctual.db\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\n[[source]]\nname = \"desk\"\nkind = \"push\"\ntoken = \"{DESK}\"\n\
             {more}[[sms.gateway]]\nkind = \"{kind}\"\n{rate}{keys}"
        );
        let folder = tempfile::tempdir().unwrap();
        let policy = Arc::new(config::parse(&text, None, &[]).unwrap_or_else(|m| panic!("{m}")).policy);
        let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
        let engine = Arc::new(Engine::start(config, Arc::new(WallClock)).await.unwrap());
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(Arc::clone(&engine).serve(stopped));
        let address = format!("http://{}", engine.address().await);
        let client = Client::builder().no_proxy().tls_backend_preconfigured(crate::push::no_trust()).build().unwrap();
        Self { engine, gateway, policy, folder, stop, serving, address, client }
    }

    /// What staff ask.
    pub(crate) fn desk(&self) -> Desk {
        Desk { outbox: Arc::clone(self.engine.outbox()), policy: Arc::clone(&self.policy), sources: vec!["desk".to_owned()] }
    }

    /// The front desk pushes its list.
    pub(crate) async fn list(&self, sessions: &[Value]) {
        let request = self.client.put(format!("{}/api/v1/sources/desk/sessions", self.address)).bearer_auth(DESK);
        let pushed = request.header("content-type", "application/json").body(json!(sessions).to_string()).send().await.unwrap();
        assert_eq!(pushed.status(), 200);
    }

    /// Waits until the invite of session 1 is in that state.
    pub(crate) async fn invite(&self, state: State) -> Entry {
        for _ in 0..1000 {
            let filter = Filter { occasion: Some(punctual::notice::Occasion::Invite), states: vec![state], ..Filter::default() };
            if let Some(entry) = self.engine.outbox().list(&filter).await.unwrap().pop() {
                return entry;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let all = self.engine.outbox().list(&Filter::default()).await.unwrap();
        panic!("no invite is {state}: {:?}", all.iter().map(|e| (e.state, e.server_reply.clone())).collect::<Vec<_>>());
    }

    pub(crate) async fn delivery_status(&self, entry: &Entry) -> Option<DeliveryStatus> {
        self.engine.outbox().deliveries(entry.notice.key).await.unwrap().0.last().and_then(|d| d.receipt)
    }

    /// Ledger rows of that event: their details.
    pub(crate) async fn ledger(&self, event: &str) -> Vec<String> {
        let rows = self.engine.outbox().ledger(None, 0, usize::MAX).await.unwrap();
        rows.into_iter().filter(|row| row.event == event).map(|row| row.detail.unwrap_or_default()).collect()
    }

    /// Twilio posts a form to the public address, with this query, and signs it with that token.
    ///
    /// Ids are written short here, and the account is ours unless another one is named.
    pub(crate) async fn twilio(&self, token: &str, query: &str, form: &[(&str, &str)]) -> u16 {
        self.twilio_at(PUBLIC, (token, query), form).await
    }

    /// The same, signed for that address.
    pub(crate) async fn twilio_at(&self, address: &str, (token, query): (&str, &str), form: &[(&str, &str)]) -> u16 {
        let value = |name: &str, value: &str| if name == "MessageSid" { sid(value) } else { value.to_owned() };
        let mut form: Vec<(&str, String)> = form.iter().map(|(n, v)| (*n, value(n, v))).collect();
        if !form.iter().any(|(name, _)| *name == "AccountSid") {
            form.push(("AccountSid", "AC1".to_owned()));
        }
        let mut signed = format!("{address}{query}");
        let mut sorted = form.clone();
        sorted.sort_unstable();
        sorted.iter().for_each(|(name, value)| signed.extend([name, value.as_str()]));
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(token.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let signature = data_encoding::BASE64.encode(&mac.finalize().into_bytes());
        let request = self.client.post(format!("{}/hooks/twilio{query}", self.address)).form(&form);
        request.header("X-Twilio-Signature", signature).send().await.unwrap().status().as_u16()
    }

    /// The gateway of that kind calls with anything: signed by Twilio, or with the token in the address.
    pub(crate) async fn callback(&self, kind: &str, body: &[u8]) -> u16 {
        let post = |path: &str, content_type: &str| {
            self.client.post(format!("{}{path}", self.address)).header("content-type", content_type).body(body.to_vec())
        };
        let request = match kind {
            "twilio" => {
                let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
                let signature = crate::fuzz::requests::signature(TWILIO_TOKEN, PUBLIC, &form);
                post("/hooks/twilio", "application/x-www-form-urlencoded").header("X-Twilio-Signature", signature)
            }
            "kannel" => {
                let query: String =
                    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(url::form_urlencoded::parse(body)).finish();
                self.client.get(format!("{}/hooks/kannel/{HOOK}?{query}", self.address))
            }
            _ => post(&format!("/hooks/sms/{HOOK}"), "application/json"),
        };
        request.send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn get(&self, path: &str) -> u16 {
        self.client.get(format!("{}{path}", self.address)).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> u16 {
        let request = self.client.post(format!("{}{path}", self.address)).header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        self.serving.await.unwrap().unwrap();
        drop(self.folder);
    }
}

/// A session in three days, with one participant who is told by text.
pub(crate) fn session(id: i64, number: &str) -> Value {
    let start = (WallClock.now() + TimeDelta::days(3)).format("%Y-%m-%dT%H:00:00").to_string();
    json!({ "SessionId": id, "ScheduleTs": start, "Participants": [
        { "ParticipationId": id * 10, "ParticipantFullName": "A. MacGuffin",
          "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ShouldAutoDeliverCode": "N" },
        { "ParticipationId": id * 10 + 1, "ParticipantFullName": "Trevor", "ParticipantSmsNumber": number,
          "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ConnectCode": 111_111_110 + id, "ShouldAutoDeliverCode": "S" },
    ]})
}

/// `SM1`, in Twilio's form.
pub(crate) fn sid(short: &str) -> String {
    short.strip_prefix("SM").filter(|digits| digits.len() < 32).map_or_else(|| short.to_owned(), |digits| format!("SM{digits:0>32}"))
}

pub(crate) fn created() -> Reply {
    answer(201, "", &format!(r#"{{"sid":"{}","id":"M1"}}"#, sid("SM1")))
}
