//! SMS gateways over HTTP: `twilio`, `kannel`, and `http` for all others.
//!
//! One request for each text, and none on its own account: no redirects, no proxy from the environment, no retries by the library. [`deferred_body`]
//! makes the attempt's doubt durable once the connection stands and before the text leaves it; from then on only an answer says what became of
//! it. [`classify`] is the table that all gateways share; each gateway reads its own error codes first. [`answer`] says what of an answer
//! staff may see.

use reqwest::{Client, Request, RequestBuilder};

use self::answer::{GatewayAnswer, Private};
use self::deferred_body::RequestEnd;
use super::PointOfNoReturn;
use crate::http_client::chain;
use crate::outcome::Outcome;

mod answer;
mod classify;
mod deferred_body;
pub mod http;
pub mod kannel;
pub mod rules;
pub mod twilio;
pub(crate) mod typed;

/// One attempt: makes the request, and says what its end means. `read` is the gateway's own reading of an answer to the whole request.
async fn deliver(
    client: &Client,
    request: Result<Request, String>,
    private: &Private,
    doubt: &dyn PointOfNoReturn,
    read: impl FnOnce(&GatewayAnswer) -> Outcome,
) -> Outcome {
    match request {
        Ok(request) => match deferred_body::send(client, &request, doubt).await {
            RequestEnd::Answered(answer) => read(&answer),
            end => classify::other(&end, private),
        },
        // It was made of this one message: its templates and addresses were tried at the start.
        Err(why) => Outcome::Rejected { reply: format!("no request can be made of it: {why}"), remember: None },
    }
}

/// An answer to a request that sends nothing, for probes.
async fn ask(client: &Client, request: RequestBuilder) -> Result<GatewayAnswer, String> {
    GatewayAnswer::to(client, build(request)?).await.map_err(|e| chain(&e))
}

fn build(request: RequestBuilder) -> Result<Request, String> {
    request.build().map_err(|e| chain(&e))
}
