//! Places in somebody's JSON (RFC 6901), and what stands there: by these the configuration says how to read a gateway's answers and callbacks.

use serde_json::Value;

/// A place in a JSON body, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// RFC 6901.
    pub pointer: String,
    /// One of these, as text; empty: anything but null.
    pub one_of: Vec<String>,
}

impl At {
    /// Whether it stands there.
    pub fn fits(&self, body: Option<&Value>) -> bool {
        let Some(value) = body.and_then(|body| body.pointer(&self.pointer)) else { return false };
        if self.one_of.is_empty() {
            return !value.is_null();
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(_) | Value::Null => value.to_string(),
            Value::Array(_) | Value::Object(_) => return false,
        };
        self.one_of.contains(&text)
    }
}

/// What is wrong with a JSON pointer (RFC 6901 3), if something is.
pub fn pointer_mistake(pointer: &str) -> Option<&'static str> {
    let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    match pointer {
        "" => None,
        p if !p.starts_with('/') => Some("is no JSON pointer: expected one that begins with /, such as \"/status\""),
        _ if !escapes => Some("is no JSON pointer: ~ is written ~0, and / within a name ~1"),
        _ => None,
    }
}
