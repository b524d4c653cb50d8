//! Keys of a query: what each may hold. Anything else is refused, and so is a key that nobody knows: it was meant to do something.

use axum::http::StatusCode;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

use crate::entry::State;
use crate::notice::{NoticeKey, Occasion};
use crate::web::problem::Problem;

pub(super) struct Key {
    name: &'static str,
    help: &'static str,
    schema: fn() -> Schema,
    /// It may be given several times.
    several: bool,
}

/// Items on a page, when nothing is said, and at most.
const LIMIT_USUAL: usize = 100;
const LIMIT_MAX: usize = 500;
/// Days that are looked at, when nothing is said, and at most.
const DAYS_USUAL: u64 = 7;
const DAYS_MAX: u64 = 31;

fn number(least: i64, most: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

fn id() -> Schema {
    number(i64::MIN, i64::MAX).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).into()
}

fn one_of<const N: usize>(words: [&'static str; N]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

const SESSION: Key = Key { name: "session", help: "Of this session.", schema: id, several: false };
const PARTICIPATION: Key = Key { name: "participation", help: "Of this participation.", schema: id, several: false };
const STATE: Key = Key {
    name: "state",
    help: "In this state. May be given several times.",
    schema: || ArrayBuilder::new().items(one_of(State::ALL.map(State::as_str))).into(),
    several: true,
};
const OCCASION: Key =
    Key { name: "occasion", help: "Of this occasion.", schema: || one_of(Occasion::ALL.map(Occasion::as_str)).into(), several: false };
const LIMIT: Key = Key {
    name: "limit",
    help: "Items on a page.",
    schema: || number(1, LIMIT_MAX as i64).default(Some(LIMIT_USUAL.into())).into(),
    several: false,
};
const CURSOR: Key = Key {
    name: "cursor",
    help: "`next` of the page before.",
    schema: || ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{1,11}-[0-9a-f]{32}$")).into(),
    several: false,
};
const DAYS: Key = Key {
    name: "days",
    help: "Days, today included.",
    schema: || number(1, DAYS_MAX as i64).default(Some(DAYS_USUAL.into())).into(),
    several: false,
};

impl Key {
    fn parameter(&self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(self.help))
            .schema(Some((self.schema)()))
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .build()
    }
}

/// The keys of an operation: what is read by them is described by them.
macro_rules! keys {
    ($($name:ident: $($key:ident),+;)+) => {$(
        pub(super) struct $name;

        impl $name {
            pub(super) const KEYS: &[Key] = &[$($key),+];
        }

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                Self::KEYS.iter().map(Key::parameter).collect()
            }
        }
    )+};
}

keys! {
    OfNotices: SESSION, PARTICIPATION, STATE, OCCASION, LIMIT, CURSOR;
    OfParticipants: PARTICIPATION;
    OfUnreachable: DAYS;
    OfSuppressions: LIMIT, CURSOR;
}

/// A query that was given.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Of these keys, and no others.
    pub(super) fn parse(text: Option<String>, keys: &[Key]) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect();
        for (n, (name, _)) in pairs.iter().enumerate() {
            let Some(key) = keys.iter().find(|k| k.name == name) else {
                let known: Vec<&str> = keys.iter().map(|k| k.name).collect();
                let expected = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(bad(format!("a key of the query is not known; expected {expected}")));
            };
            if !key.several && pairs[..n].iter().any(|(before, _)| before == name) {
                return Err(bad(format!("{name} stands twice")));
            }
        }
        Ok(Self(pairs))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|t| t.parse().map_err(|_| bad(format!("{name}: expected a number")))).transpose()
    }

    pub(super) fn id(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.number(name)
    }

    pub(super) fn states(&self) -> Result<Vec<State>, Problem> {
        let given = self.0.iter().filter(|(name, _)| name == "state");
        given.map(|(_, word)| word.parse().map_err(|_| expected("state", &State::ALL.map(State::as_str)))).collect()
    }

    pub(super) fn occasion(&self) -> Result<Option<Occasion>, Problem> {
        let parsed = self.text("occasion").map(|word| word.parse().map_err(|_| expected("occasion", &Occasion::ALL.map(Occasion::as_str))));
        parsed.transpose()
    }

    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let limit = self.number("limit")?.unwrap_or(LIMIT_USUAL);
        if (1..=LIMIT_MAX).contains(&limit) { Ok(limit) } else { Err(bad(format!("limit: expected 1 to {LIMIT_MAX}"))) }
    }

    pub(super) fn days(&self) -> Result<u64, Problem> {
        let days = self.number("days")?.unwrap_or(DAYS_USUAL);
        if (1..=DAYS_MAX).contains(&days) { Ok(days) } else { Err(bad(format!("days: expected 1 to {DAYS_MAX}"))) }
    }

    /// The place in the order of times and keys where the page before ended.
    pub(super) fn place(&self) -> Result<Option<(chrono::DateTime<chrono::Utc>, NoticeKey)>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let place = text
            .split_once('-')
            .and_then(|(ms, key)| Some((chrono::DateTime::from_timestamp_millis(i64::from_str_radix(ms, 16).ok()?)?, key.parse().ok()?)));
        place.map(Some).ok_or_else(|| bad("cursor: expected `next` of the page before".to_owned()))
    }
}

/// Names a place in an order of times and keys.
pub(super) fn cursor(at: chrono::DateTime<chrono::Utc>, key: impl std::fmt::Display) -> String {
    format!("{:x}-{key}", at.timestamp_millis())
}

fn expected(name: &str, words: &[&str]) -> Problem {
    bad(format!("{name}: expected one of {}", words.join(", ")))
}

pub(super) fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Query, Problem> {
        Query::parse(Some(text.to_owned()), &[SESSION, STATE, LIMIT, CURSOR])
    }

    #[test]
    fn what_is_not_known_or_twice_is_refused() {
        for text in ["colour=blue", "session=1&session=2", "session", "limit=0", "limit=501", "limit=x", "cursor=x", "state=lost"] {
            let read = parse(text).and_then(|q| Ok((q.id("session")?, q.limit()?, q.place()?, q.states()?)));
            assert_eq!(read.map_err(|p| p.status()).err(), Some(400), "{text}");
        }
        assert_eq!(parse("state=held&state=unknown").unwrap().states().unwrap(), [State::Held, State::Unknown]);
        assert_eq!(parse("").unwrap().limit().unwrap(), LIMIT_USUAL);
    }

    #[test]
    fn a_cursor_names_a_place() {
        let place = (chrono::DateTime::from_timestamp_millis(1_764_000_000_123).unwrap(), NoticeKey([7; 16]));
        let query = parse(&format!("cursor={}", cursor(place.0, place.1))).unwrap();
        assert_eq!(query.place().unwrap(), Some(place));
    }
}
