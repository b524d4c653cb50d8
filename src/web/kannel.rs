//! `/hooks/kannel/{token}`: Kannel's delivery reports (dlr-url) and people's texts (an sms-service's get-url).
//!
//! Kannel signs nothing: the address itself is the secret. Its dlr-url is made by `deliver::gateway::kannel`; the get-url is Kannel's
//! configuration: `http://127.0.0.1:8080/hooks/kannel/TOKEN?from=%p&text=%b&id=%I&charset=%C`, with `omit-empty = true`, or people get an empty
//! answer to each of their texts. (User guide, "Delivery Reports" and "SMS service group".)

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{Callback, Shared, feedback, request};
use crate::feedback::{DeliveryReport, Reply};
use crate::outcome::redacted;
use crate::receipt::DeliveryStatus;

/// GET of a report or of a text.
pub(super) async fn take(State(shared): State<Arc<Shared>>, Path(token): Path<String>, RawQuery(query): RawQuery) -> Response {
    let taken = async {
        let answered = shared.settings.callbacks.iter().fold(None, |found, callback| match callback {
            Callback::Kannel { token: ours, answered } if request::is(ours, &token) => found.or(Some(*answered)),
            _ => found,
        });
        let Some(answered) = answered else { return Err(Problem::not_found("there is nothing at this address")) };
        let fields = parse(query.as_deref().unwrap_or_default());
        match (report(&fields), reply(&fields, answered)) {
            (Some(report), _) => feedback::receipt(&shared, report).await,
            (None, Some(reply)) => feedback::reply(&shared, reply).await,
            (None, None) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "expected ref and type, or from, text and id")),
        }
    };
    match taken.await {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, "text/plain")], "").into_response(),
        Err(problem) => feedback::refused("kannel", problem),
    }
}

/// Names, and values as bytes: a text may be in another charset.
type Fields = Vec<(String, Vec<u8>)>;

fn parse(query: &str) -> Fields {
    let plain = |text: &str| -> Vec<u8> {
        let spaced = text.replace('+', " ");
        percent(spaced.as_bytes())
    };
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (String::from_utf8_lossy(&plain(name)).into_owned(), plain(value)))
        .collect()
}

/// Percent-decoding (RFC 3986 2.1); what is no escape stands for itself.
fn percent(text: &[u8]) -> Vec<u8> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match tail {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            out.push(high << 4 | low);
            rest = &tail[2..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn field(fields: &Fields, name: &str) -> Option<String> {
    let value = fields.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// What a type says: a mask of bits, as in a dlr-mask, and several may be set (34: undelivered, as it has expired). `None`: nothing that is known.
///
/// | bit | says | status |
/// |---|---|---|
/// | 1 | delivered | delivered |
/// | 2 | not delivered | undelivered |
/// | 4, 8 | buffered by the centre; taken by it | sent |
/// | 16 | refused by the centre | failed |
/// | 32, 64 | expired; its end is not known | undelivered: nobody can say that it arrived |
///
/// Of several the worst counts: what is wrongly listed is looked at, what is wrongly left out is not.
fn status(mask: u32) -> Option<DeliveryStatus> {
    let has = |bits: u32| mask & bits != 0;
    match () {
        () if has(16) => Some(DeliveryStatus::Failed),
        () if has(2 | 32 | 64) => Some(DeliveryStatus::Undelivered),
        () if has(1) => Some(DeliveryStatus::Delivered),
        () if has(4 | 8) => Some(DeliveryStatus::Sent),
        () => None,
    }
}

fn report(fields: &Fields) -> Option<DeliveryReport> {
    let status = status(field(fields, "type")?.trim().parse().ok()?)?;
    let detail = field(fields, "answer")
        .filter(|_| matches!(status, DeliveryStatus::Undelivered | DeliveryStatus::Failed))
        .map(|text| redacted(&text));
    Some(DeliveryReport { reference: None, ours: Some(field(fields, "ref")?), status, detail, remember: None, recipient: None })
}

fn reply(fields: &Fields, answered: bool) -> Option<Reply> {
    let raw = fields.iter().find(|(name, _)| name == "text").map(|(_, value)| value.as_slice())?;
    let charset = field(fields, "charset").unwrap_or_default().to_ascii_uppercase();
    let text = match charset.as_str() {
        "UTF-16BE" | "UTF16-BE" | "UCS-2" => {
            let units: Vec<u16> = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        "ISO-8859-1" | "LATIN1" | "WINDOWS-1252" => raw.iter().map(|&byte| byte as char).collect(),
        _ => String::from_utf8_lossy(raw).into_owned(),
    };
    Some(Reply { gateway: "kannel", origin: String::new(), id: field(fields, "id")?, from: field(fields, "from")?, text, answered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        for (kind, status) in [
            ("1", Some(DeliveryStatus::Delivered)),
            ("2", Some(DeliveryStatus::Undelivered)),
            ("4", Some(DeliveryStatus::Sent)),
            ("8", Some(DeliveryStatus::Sent)),
            ("16", Some(DeliveryStatus::Failed)),
            ("32", Some(DeliveryStatus::Undelivered)),
            ("64", Some(DeliveryStatus::Undelivered)),
            ("34", Some(DeliveryStatus::Undelivered)),
            ("66", Some(DeliveryStatus::Undelivered)),
            ("3", Some(DeliveryStatus::Undelivered)),
            ("9", Some(DeliveryStatus::Delivered)),
            ("12", Some(DeliveryStatus::Sent)),
            ("24", Some(DeliveryStatus::Failed)),
            ("18", Some(DeliveryStatus::Failed)),
            ("0", None),
            ("128", None),
            ("-1", None),
            ("1x", None),
            ("99999999999", None),
            ("", None),
        ] {
            let report = report(&parse(&format!("ref=abc&type={kind}&answer=ERR+no%20route")));
            assert_eq!(report.as_ref().map(|r| r.status), status, "{kind}");
            let shown =
                status.filter(|f| matches!(f, DeliveryStatus::Undelivered | DeliveryStatus::Failed)).map(|_| "ERR no route".to_owned());
            assert_eq!(report.and_then(|r| r.detail), shown);
        }
        assert_eq!(report(&parse("type=1")), None);
    }

    #[test]
    fn texts_in_their_charset() {
        for (query, text) in [
            ("text=S%C3%AD+por%20favor&charset=UTF-8", "Sí por favor"),
            ("text=S%ED&charset=ISO-8859-1", "Sí"),
            ("text=%00S%00%ED&charset=UTF-16BE", "Sí"),
            ("text=STOP", "STOP"),
            ("text=100%&charset=UTF-8", "100%"),
            ("text=%zz%4", "%zz%4"),
            ("text=", ""),
        ] {
            let reply = reply(&parse(&format!("from=%2B15550100&id=7&{query}")), false).unwrap();
            assert_eq!((reply.text.as_str(), reply.from.as_str()), (text, "+15550100"), "{query}");
        }
        assert_eq!(reply(&parse("from=1&text=Y"), false), None, "without an id it might be taken twice");
    }
}
