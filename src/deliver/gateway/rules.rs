//! What a gateway's answer says beyond its status: ordered rules, the first that fits decides.
//!
//! Many gateways answer 200 to whatever was asked, and say in the body what became of it. In: rules that were checked at the start, and an
//! answer. Out: what it means, or nothing. Of a body that broke off, or was too long, nobody can say what it did not hold: it fits no rule.

use serde_json::Value;

use super::answer::{GatewayAnswer, Private};
use crate::json_pointer::{At, pointer_mistake};
use crate::outcome::Outcome;
use crate::suppression::Suppression;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The gateway has the text.
    Accepted,
    /// It refused this text for good.
    Rejected,
    /// It refused it because of its number, which is remembered as bounced.
    InvalidNumber,
    /// The person wants no more texts, which is remembered.
    OptedOut,
    /// It did not take the text, for now.
    Retry,
    /// It takes no text at all, for now: the channel pauses.
    ChannelFault,
    /// Nobody can know whether it has the text.
    Unknown,
}

/// One rule. Its conditions hold together; there is one at least ([`ResponseRule::check`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRule {
    /// One of these; empty: any.
    pub status: Vec<u16>,
    /// A place in a JSON body.
    pub at: Option<At>,
    /// The body has this somewhere, in any case of letters.
    pub contains: Option<String>,
    /// What it means then.
    pub means: Meaning,
}

impl ResponseRule {
    /// What is wrong with it, and with which of its keys.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(status) = self.status.iter().find(|status| !(100..=599).contains(*status)) {
            return Err(("status", format!("{status} is no status; expected 100 to 599")));
        }
        if let Some(why) = self.at.as_ref().and_then(|at| pointer_mistake(&at.pointer)) {
            return Err(("pointer", why.to_owned()));
        }
        if self.contains.as_deref().is_some_and(|words| words.trim().is_empty()) {
            return Err(("contains", "is empty, and so is in every answer".to_owned()));
        }
        if self.status.is_empty() && self.at.is_none() && self.contains.is_none() {
            return Err(("", "has no condition; expected status, pointer or contains".to_owned()));
        }
        Ok(())
    }

    fn reads_the_body(&self) -> bool {
        self.at.is_some() || self.contains.is_some()
    }

    fn fits(&self, read: &ReadAnswer) -> bool {
        (self.status.is_empty() || self.status.contains(&read.status))
            && self.at.as_ref().is_none_or(|at| at.fits(read.json.as_ref()))
            && self.contains.as_ref().is_none_or(|words| read.lowercase.contains(&words.to_lowercase()))
    }
}

/// An answer, ready for every rule.
struct ReadAnswer {
    status: u16,
    json: Option<Value>,
    lowercase: String,
}

/// What they would look at is missing in part.
pub(super) fn cannot_be_asked(rules: &[ResponseRule], answer: &GatewayAnswer) -> bool {
    !answer.whole && rules.iter().any(ResponseRule::reads_the_body)
}

/// What the first rule that fits says. `None`: none does, or they cannot be asked.
pub(super) fn meaning(rules: &[ResponseRule], answer: &GatewayAnswer) -> Option<Meaning> {
    if rules.is_empty() || cannot_be_asked(rules, answer) {
        return None;
    }
    let read = ReadAnswer {
        status: answer.status,
        json: serde_json::from_slice(&answer.body).ok(),
        lowercase: String::from_utf8_lossy(&answer.body).to_lowercase(),
    };
    rules.iter().find(|rule| rule.fits(&read)).map(|rule| rule.means)
}

/// What becomes of the text. `reference`: the gateway's id of it.
pub(super) fn outcome(meaning: Meaning, answer: &GatewayAnswer, reference: Option<String>, private: &Private) -> Outcome {
    let said = answer.said(private);
    match meaning {
        Meaning::Accepted => Outcome::Accepted { reply: said, reference },
        Meaning::Rejected => Outcome::Rejected { reply: said, remember: None },
        Meaning::InvalidNumber => Outcome::Rejected { reply: said, remember: Some(Suppression::Bounced) },
        Meaning::OptedOut => Outcome::Rejected { reply: said, remember: Some(Suppression::OptedOut) },
        Meaning::Retry => Outcome::Retry { why: said, after: answer.pause },
        Meaning::ChannelFault => Outcome::ChannelFault { why: said, after: answer.pause },
        Meaning::Unknown => Outcome::Unknown { why: said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(means: Meaning) -> ResponseRule {
        ResponseRule { status: Vec::new(), at: None, contains: None, means }
    }

    fn at(pointer: &str, one_of: &[&str]) -> At {
        At { pointer: pointer.to_owned(), one_of: one_of.iter().map(|&text| text.to_owned()).collect() }
    }

    fn answer(status: u16, body: &str) -> GatewayAnswer {
        GatewayAnswer { status, pause: None, body: body.as_bytes().to_vec(), whole: true }
    }

    #[test]
    fn each_condition_by_itself() {
        let status = ResponseRule { status: vec![200, 202], ..rule(Meaning::Retry) };
        let pointer = |one_of: &[&str]| ResponseRule { at: Some(at("/a/0/st~1at", one_of)), ..rule(Meaning::Retry) };
        let contains = ResponseRule { contains: Some("Err 105: É".to_owned()), ..rule(Meaning::Retry) };
        for (rule, status, body, fits) in [
            (&status, 202, "", true),
            (&status, 201, "", false),
            (&pointer(&[]), 500, r#"{"a":[{"st/at":{}}]}"#, true),
            (&pointer(&[]), 200, r#"{"a":[{"st/at":null}]}"#, false),
            (&pointer(&[]), 200, r#"{"a":[{}]}"#, false),
            (&pointer(&[]), 200, "", false),
            (&pointer(&[]), 200, "<a>", false),
            (&pointer(&["0"]), 200, r#"{"a":[{"st/at":0}]}"#, true),
            (&pointer(&["0"]), 200, r#"{"a":[{"st/at":"0"}]}"#, true),
            (&pointer(&["0"]), 200, r#"{"a":[{"st/at":0.0}]}"#, false),
            (&pointer(&["0"]), 200, r#"{"a":[{"st/at":[0]}]}"#, false),
            (&pointer(&["1", "true"]), 200, r#"{"a":[{"st/at":true}]}"#, true),
            (&pointer(&["null"]), 200, r#"{"a":[{"st/at":null}]}"#, true),
            (&pointer(&["12345678901234567890123"]), 200, r#"{"a":[{"st/at":12345678901234567890123}]}"#, true),
            (&pointer(&["OK"]), 200, r#"{"a":[{"st/at":"ok"}]}"#, false),
            (&contains, 200, "<p>ERR 105: é</p>", true),
            (&contains, 200, "ERR 10", false),
        ] {
            assert_eq!(meaning(std::slice::from_ref(rule), &answer(status, body)).is_some(), fits, "{rule:?} {status} {body}");
        }
    }

    #[test]
    fn conditions_hold_together_and_the_first_rule_that_fits_decides() {
        let rules = [
            ResponseRule {
                status: vec![200],
                at: Some(at("/status", &["0"])),
                contains: Some("queued".to_owned()),
                ..rule(Meaning::Accepted)
            },
            ResponseRule { contains: Some("err 105".to_owned()), ..rule(Meaning::OptedOut) },
            ResponseRule { contains: Some("err".to_owned()), ..rule(Meaning::InvalidNumber) },
            ResponseRule { status: vec![200], ..rule(Meaning::ChannelFault) },
        ];
        for (status, body, means) in [
            (200, r#"{"status":0,"is":"Queued"}"#, Some(Meaning::Accepted)),
            (201, r#"{"status":0,"is":"Queued"}"#, None),
            (200, r#"{"status":1,"is":"Queued"}"#, Some(Meaning::ChannelFault)),
            (200, r#"{"status":0}"#, Some(Meaning::ChannelFault)),
            (500, "ERR 105", Some(Meaning::OptedOut)),
            (500, "ERR 106", Some(Meaning::InvalidNumber)),
            (500, "", None),
        ] {
            assert_eq!(meaning(&rules, &answer(status, body)), means, "{status} {body}");
        }
    }

    #[test]
    fn half_an_answer_fits_no_rule_that_looks_at_it() {
        let accepted = ResponseRule { status: vec![200], ..rule(Meaning::Accepted) };
        let refused = ResponseRule { contains: Some("err".to_owned()), ..rule(Meaning::Rejected) };
        let half = GatewayAnswer { whole: false, ..answer(200, "OK") };
        let both = [refused, accepted.clone()];
        assert_eq!((meaning(&both, &half), cannot_be_asked(&both, &half)), (None, true), "the error may have been in the other half");
        let status_alone = [accepted];
        assert_eq!((meaning(&status_alone, &half), cannot_be_asked(&status_alone, &half)), (Some(Meaning::Accepted), false));
    }

    #[test]
    fn mistakes_name_their_key() {
        for (wrong, key) in [
            (rule(Meaning::Retry), ""),
            (ResponseRule { status: vec![200, 99], ..rule(Meaning::Retry) }, "status"),
            (ResponseRule { at: Some(at("status", &[])), ..rule(Meaning::Retry) }, "pointer"),
            (ResponseRule { at: Some(at("/a~2", &[])), ..rule(Meaning::Retry) }, "pointer"),
            (ResponseRule { at: Some(at("/a~", &[])), ..rule(Meaning::Retry) }, "pointer"),
            (ResponseRule { contains: Some(" ".to_owned()), ..rule(Meaning::Retry) }, "contains"),
        ] {
            assert_eq!(wrong.check().map_err(|(key, _)| key), Err(key), "{wrong:?}");
        }
        for good in ["", "/", "/a~0~1/0", "/a//b"] {
            assert_eq!(ResponseRule { at: Some(at(good, &[])), ..rule(Meaning::Retry) }.check(), Ok(()));
        }
    }
}
