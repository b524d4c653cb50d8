//! One JSON object, field by field: each value stays unread until it is asked for, and a fault names its path.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::session::Fault;

/// Longest string that is read, in bytes as written: no field of a session comes near.
const STRING_MAX: usize = 64 << 10;

/// An object's fields, unread.
pub(super) struct Record<'r> {
    path: &'r str,
    fields: Vec<(Cow<'r, str>, &'r RawValue)>,
}

/// A value, unread.
pub(super) struct RawField<'r>(&'r str);

impl<'r> Record<'r> {
    /// Reads the names of an object's fields.
    pub(super) fn read(raw: &'r RawValue, path: &'r str) -> Result<Self, Fault> {
        let wrong = |reason: String| Fault { path: path.to_owned(), reason, session: None, participation: None };
        let kind = RawField(raw.get()).kind();
        if kind != "an object" {
            return Err(wrong(format!("found {kind}; expected an object")));
        }
        let fields: Fields<'r> = serde_json::from_str(raw.get()).map_err(|e| wrong(format!("cannot be read: {}", without_place(&e))))?;
        Ok(Self { path, fields: fields.0 })
    }

    pub(super) fn path(&self) -> &'r str {
        self.path
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }

    pub(super) fn fault(&self, key: &str, reason: &str) -> Fault {
        Fault { path: self.path_of(key), reason: reason.to_owned(), session: None, participation: None }
    }

    /// A field; null is none. A key that stands twice is a fault: nobody can know which one is meant.
    fn get(&self, key: &str) -> Result<Option<RawField<'r>>, Fault> {
        let mut found = self.fields.iter().filter(|(name, _)| name == key);
        let first = found.next();
        if found.next().is_some() {
            return Err(self.fault(key, "stands twice in one record"));
        }
        match first.map(|(_, raw)| raw.get()) {
            None | Some("null") => Ok(None),
            Some(text) if text.len() > STRING_MAX && text.starts_with('"') => {
                Err(self.fault(key, &format!("has {} bytes; expected at most {STRING_MAX}", text.len())))
            }
            Some(text) => Ok(Some(RawField(text))),
        }
    }

    /// A field that may be missing, read by `read`.
    pub(super) fn optional<T>(&self, key: &str, expected: &str, read: impl Fn(&RawField<'r>) -> Option<T>) -> Result<Option<T>, Fault> {
        let Some(found) = self.get(key)? else { return Ok(None) };
        match read(&found) {
            Some(value) => Ok(Some(value)),
            None => Err(self.fault(key, &format!("found {}; expected {expected}", found.described()))),
        }
    }

    /// A field that must be there.
    pub(super) fn required<T>(&self, key: &str, expected: &str, read: impl Fn(&RawField<'r>) -> Option<T>) -> Result<T, Fault> {
        self.optional(key, expected, read)?.ok_or_else(|| self.fault(key, &format!("is missing; expected {expected}")))
    }

    /// An id: an integer, or a string of digits. Zero is what an exporter writes that has none.
    pub(super) fn id(&self, key: &str) -> Result<i64, Fault> {
        self.required(key, "a whole number, or a string of digits", |found| found.as_digits()?.parse().ok().filter(|id| *id > 0))
    }

    /// A string that may be missing.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        self.optional(key, "a string", |found| found.as_text().map(Cow::into_owned))
    }

    /// An array that must be there.
    pub(super) fn list(&self, key: &str) -> Result<Vec<&'r RawValue>, Fault> {
        self.required(key, "an array", |found| if found.0.starts_with('[') { serde_json::from_str(found.0).ok() } else { None })
    }
}

impl<'r> RawField<'r> {
    pub(super) fn kind(&self) -> &'static str {
        match self.0.bytes().next() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// The kind, and for strings whether they can be read at all; never the value.
    fn described(&self) -> &'static str {
        match self.kind() {
            "a string" if self.0 == "\"\"" => "an empty string",
            "a string" if self.as_text().is_none() => "a string with half of a surrogate pair",
            "a string" => "other text",
            "a number" => "another number",
            kind => kind,
        }
    }

    pub(super) fn as_text(&self) -> Option<Cow<'r, str>> {
        #[derive(Deserialize)]
        struct JsonText<'t>(#[serde(borrow)] Cow<'t, str>);
        if self.0.starts_with('"') { serde_json::from_str::<JsonText<'r>>(self.0).ok().map(|t| t.0) } else { None }
    }

    /// A number as written.
    pub(super) fn as_number(&self) -> Option<Cow<'r, str>> {
        (self.kind() == "a number").then_some(Cow::Borrowed(self.0))
    }

    /// The digits of a whole number that is not negative, or of a string of digits.
    pub(super) fn as_digits(&self) -> Option<Cow<'r, str>> {
        self.as_number().or_else(|| self.as_text()).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// An object's fields in their order.
struct Fields<'r>(Vec<(Cow<'r, str>, &'r RawValue)>);

impl<'de: 'r, 'r> Deserialize<'de> for Fields<'r> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        #[derive(Deserialize)]
        struct FieldName<'n>(#[serde(borrow)] Cow<'n, str>);
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(FieldName(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn without_place(e: &serde_json::Error) -> String {
    let said = e.to_string();
    said.split(" at line ").next().unwrap_or_default().to_owned()
}
