//! What the end of a request means, where the gateway's own codes say nothing else.
//!
//! | the whole request was sent, and the answer is | outcome |
//! |---|---|
//! | none: time-out, reset, garbage | unknown |
//! | 2xx | accepted, with the id if there is one; where the gateway gives ids, and there is none: unknown |
//! | 3xx | channel fault: never followed |
//! | 401, 402, 403, 404, 405, 407, 421, 426 | channel fault: log-in, credit, or address |
//! | 408, 425 | retry: the gateway did not take it |
//! | 429, and 503 with Retry-After | channel fault, until then |
//! | other 4xx, in words about our account (suspended, no funds, quota, key, not permitted, the sender, a trial) | channel fault: another text may ask at once |
//! | other 4xx | rejected: this message, which says nothing about its receiver's number |
//! | 500, 502, 504, 503 without Retry-After, and whatever else | unknown: it may have been taken |
//!
//! | it was not sent, because | outcome |
//! |---|---|
//! | there is no connection (DNS, TCP, TLS) | channel fault |
//! | the connection broke, twice, or took all the time | retry |
//! | the gateway answered before it had the text: 3xx, 4xx | as above |
//! | ... anything else, 2xx too | channel fault: that is no answer to a text |

use super::answer::{GatewayAnswer, Private};
use super::deferred_body::RequestEnd;
use crate::http_client::{PAUSE, chain};
use crate::outcome::{ASK_ANOTHER, Outcome, refusal};

/// The gateway has the request, and answered. `reference`: its id of the message, if it could be read.
pub(super) fn answered(answer: &GatewayAnswer, reference: Option<String>, private: &Private) -> Outcome {
    let why = answer.said(private);
    match answer.status {
        200..=299 => Outcome::Accepted { reply: why, reference },
        300..=399 => Outcome::ChannelFault { why: format!("{}: a redirect, which is never followed", answer.status), after: None },
        401..=405 | 407 | 421 | 426 => Outcome::ChannelFault { why, after: answer.pause },
        408 | 425 => Outcome::Retry { why, after: answer.pause },
        429 => Outcome::ChannelFault { why, after: answer.pause.or(Some(PAUSE)) },
        400..=499 if refusal::is_ours(&answer.explanation()) => about_us(answer, private),
        400..=499 => Outcome::Rejected { reply: why, remember: None },
        503 if answer.pause.is_some() => Outcome::ChannelFault { why, after: answer.pause },
        _ => Outcome::Unknown { why },
    }
}

/// It says that our account or our sender is at fault, in the answer to one text.
pub(super) fn about_us(answer: &GatewayAnswer, private: &Private) -> Outcome {
    Outcome::ChannelFault { why: answer.said(private), after: answer.pause.or(Some(ASK_ANOTHER)) }
}

/// What becomes of every other end.
pub(super) fn other(end: &RequestEnd, private: &Private) -> Outcome {
    match end {
        RequestEnd::Answered(answer) => answered(answer, None, private),
        RequestEnd::AnsweredEarly(answer) if matches!(answer.status, 300..=499) => answered(answer, None, private),
        RequestEnd::AnsweredEarly(answer) => {
            Outcome::ChannelFault { why: format!("answered before it had the text: {}", answer.said(private)), after: answer.pause }
        }
        RequestEnd::NotSent(e) if e.is_connect() || e.is_builder() => {
            Outcome::ChannelFault { why: format!("no connection: {}", chain(e)), after: None }
        }
        RequestEnd::NotSent(e) => {
            Outcome::Retry { why: format!("the connection broke before the text was sent: {}", chain(e)), after: None }
        }
        RequestEnd::Unanswered(e) if e.is_timeout() => Outcome::Unknown { why: "no answer in time".to_owned() },
        RequestEnd::Unanswered(e) => Outcome::Unknown { why: format!("no answer: {}", chain(e)) },
        RequestEnd::Fenced => Outcome::Fenced,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, pause: Option<u64>) -> GatewayAnswer {
        GatewayAnswer { status, pause: pause.map(Duration::from_secs), body: Vec::new(), whole: true }
    }

    fn kind(outcome: &Outcome) -> (&'static str, Option<u64>) {
        let seconds = |after: &Option<Duration>| after.map(|d| d.as_secs());
        match outcome {
            Outcome::Accepted { .. } => ("accepted", None),
            Outcome::Rejected { remember: None, .. } => ("rejected", None),
            Outcome::Rejected { .. } => ("rejected and remembered", None),
            Outcome::Retry { after, .. } => ("retry", seconds(after)),
            Outcome::ChannelFault { after, .. } => ("channel", seconds(after)),
            Outcome::Unknown { .. } => ("unknown", None),
            Outcome::Fenced => ("fenced", None),
        }
    }

    #[test]
    fn every_status_has_its_outcome() {
        for (statuses, pause, whole, early) in [
            (&[200, 201, 202, 204][..], None, ("accepted", None), ("channel", None)),
            (&[301, 302, 307, 308], None, ("channel", None), ("channel", None)),
            (&[401, 402, 403, 404, 405, 407, 421, 426], None, ("channel", None), ("channel", None)),
            (&[408, 425], None, ("retry", None), ("retry", None)),
            (&[408], Some(5), ("retry", Some(5)), ("retry", Some(5))),
            (&[429], None, ("channel", Some(60)), ("channel", Some(60))),
            (&[429, 503], Some(30), ("channel", Some(30)), ("channel", Some(30))),
            (&[400, 406, 409, 410, 413, 422, 451], None, ("rejected", None), ("rejected", None)),
            (&[500, 501, 502, 503, 504, 599, 999], None, ("unknown", None), ("channel", None)),
            (&[500, 502, 504], Some(30), ("unknown", None), ("channel", Some(30))),
        ] {
            for &status in statuses {
                assert_eq!(kind(&answered(&answer(status, pause), None, &Private::default())), whole, "{status}");
                assert_eq!(kind(&other(&RequestEnd::AnsweredEarly(answer(status, pause)), &Private::default())), early, "{status} early");
            }
        }
        assert_eq!(kind(&other(&RequestEnd::Fenced, &Private::default())), ("fenced", None));
    }

    #[test]
    fn a_refusal_in_words_about_our_account_is_the_channels() {
        for (body, want) in [
            ("Sender missing and no global set, rejected", "channel"),
            (r#"{"error":{"message":"Insufficient balance"}}"#, "channel"),
            (r#"{"message":"Your account has been suspended"}"#, "channel"),
            (r#"{"detail":"The sender id is not allowed"}"#, "channel"),
            (r#"{"error":"Originator is not allowed"}"#, "channel"),
            (r#"{"error":"Invalid originator"}"#, "channel"),
            (r#"{"error":"API key expired"}"#, "channel"),
            (r#"{"error":"Invalid API key"}"#, "channel"),
            (r#"{"error":"The token was revoked"}"#, "channel"),
            (r#"{"error":"Wrong username or password"}"#, "channel"),
            (r#"{"error":"Permission denied"}"#, "channel"),
            (r#"{"error":"quota exceeded"}"#, "channel"),
            (r#"{"error":"You have exceeded your monthly limit"}"#, "channel"),
            (r#"{"errors":[{"title":"Not enough credit"}]}"#, "channel"),
            (r#"{"errors":["Low balance"]}"#, "channel"),
            (r#"{"message":"Your subscription has ended"}"#, "channel"),
            (r#"{"message":"Guthaben nicht ausreichend"}"#, "channel"),
            (r#"{"message":"Solde insuffisant"}"#, "channel"),
            (r#"{"message":"Saldo insuficiente"}"#, "channel"),
            ("Missing receiver number, rejected", "rejected"),
            (r#"{"error":"invalid number"}"#, "rejected"),
            (r#"{"error":"Destination is not a mobile"}"#, "rejected"),
            (r#"{"error":"Message too long"}"#, "rejected"),
            (r#"{"error":"The text is empty"}"#, "rejected"),
            (r#"{"error":"recipient opted out"}"#, "rejected"),
            (r#"{"message":"No such subscriber"}"#, "rejected"),
            ("", "rejected"),
        ] {
            let answer = GatewayAnswer { body: body.as_bytes().to_vec(), ..answer(400, None) };
            assert_eq!(kind(&answered(&answer, None, &Private::default())).0, want, "{body}");
        }
    }
}
