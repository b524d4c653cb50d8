//! What an answer of a gateway means, where the gateway's own codes say nothing else.
//!
//! | answer | outcome |
//! |---|---|
//! | no connection (DNS, TCP, TLS) | channel fault: nothing was sent |
//! | none: time-out, reset, garbage | unknown |
//! | 2xx | accepted, with the id if there is one |
//! | 3xx | channel fault: never followed |
//! | 401, 402, 403, 404, 405 | channel fault: log-in, credit, or address |
//! | 408 | retry: the gateway did not get it whole |
//! | 429, and 503 with Retry-After | channel fault, until then |
//! | other 4xx | rejected: this message |
//! | 500, 502, 504, and 503 without Retry-After | unknown: it may have been taken |

use super::{Answer, chain};
use crate::outcome::Outcome;

/// There was no answer.
pub(super) fn no_answer(e: &reqwest::Error) -> Outcome {
    if e.is_connect() || e.is_builder() {
        Outcome::ChannelFault { why: format!("no connection: {}", chain(e)), after: None }
    } else if e.is_timeout() {
        Outcome::Unknown { why: "no answer in time".to_owned() }
    } else {
        Outcome::Unknown { why: format!("no answer: {}", chain(e)) }
    }
}

/// There was one. `reference`: the gateway's id, if it could be read.
pub(super) fn answered(answer: &Answer, reference: Option<String>) -> Outcome {
    let why = answer.described();
    match answer.status {
        200..=299 => Outcome::Accepted { reply: why, reference },
        300..=399 => Outcome::ChannelFault { why: format!("{}: a redirect, which is never followed", answer.status), after: None },
        408 => Outcome::Retry { why, after: answer.pause },
        429 => Outcome::ChannelFault { why, after: answer.pause.or(Some(super::PAUSE)) },
        401..=405 => Outcome::ChannelFault { why, after: None },
        400..=499 => Outcome::Rejected { reply: why, remember: None },
        503 if answer.pause.is_some() => Outcome::ChannelFault { why, after: answer.pause },
        _ => Outcome::Unknown { why },
    }
}
