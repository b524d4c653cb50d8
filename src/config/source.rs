//! `[[source]]`: which keys go with which kind, and what is made of them.

use std::sync::Arc;

use secrecy::SecretString;

use super::key_path::{Base, KeyPath, POLL, TIMEOUT, cron};
use super::raw::{self, Raw};
use super::read::Document;
use crate::source::http::{self, Api};
use crate::source::words::Dictionary;
use crate::source::{Source, SourceKind, file, push};

pub(super) fn sources(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (n, source) in raw.source.iter().enumerate() {
        let key = |field: &str| format!("source[{n}].{field}");
        let name = source.name.clone().unwrap_or_else(|| "sessions".to_owned());
        if sources.iter().any(|s| s.name == name) {
            document.note(&key("name"), format!("{name:?} stands twice; expected a name of its own"));
        }
        let poll = source.poll.clone().unwrap_or_else(|| POLL.to_owned());
        if let Err(why) = cron(&poll) {
            document.note(&key("poll"), why);
        }
        let kind = match source.kind {
            None => {
                document.note(&key("kind"), "is missing; expected \"file\", \"http\" or \"push\"");
                None
            }
            Some(raw::SourceKind::File) => file_source(source, &key("path"), base, document),
            Some(raw::SourceKind::Http) => api(source, &format!("source[{n}]"), base, document).map(|api| SourceKind::Http(Arc::new(api))),
            Some(raw::SourceKind::Push) => {
                pushed(source, &format!("source[{n}]"), base, document).map(|token| SourceKind::Push(push::Settings { token }))
            }
        };
        let words = Dictionary::new(&source.status).map_err(|why| document.note(&key("status"), why)).unwrap_or_default();
        let (was, node) = (source.was.clone(), source.node.clone());
        if node.is_some() && source.kind != Some(raw::SourceKind::File) {
            document.note(&key("node"), "is of a file, which lies on one machine; expected kind = \"file\"");
        }
        if node.is_some() && raw.node.name.is_none() {
            document.note(&key("node"), "names one of several machines, and this one has no name; expected [node] name");
        }
        sources.extend(kind.map(|kind| Source { name, was, kind, words, poll, node, memory: Arc::default() }));
    }
    sources
}

fn file_source(source: &raw::Source, key: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<SourceKind> {
    if source.path.is_none() {
        document.note(key, "is missing; expected a JSON file or a folder of them");
    }
    source.path.as_ref().map(|path| SourceKind::File(file::Settings { path: base.resolve(path) }))
}

/// The checked API of a source. `None`: a mistake that was noted.
fn api(source: &raw::Source, key: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<Api> {
    let mut place = KeyPath { key: key.to_owned(), base, document };
    place.foreign(
        "http",
        &[("path", source.path.is_some()), ("token", source.token.is_some()), ("token_file", source.token_file.is_some())],
    );
    let secret = place.secret("secret", source.secret.as_ref(), source.secret_file.as_ref());
    if source.secret.is_none() && source.secret_file.is_none() {
        place.note("secret_file", "is missing; expected a file with the API secret key");
    }
    let identifier = place.needed("identifier", source.identifier.as_ref(), "the API identifier");
    let settings = http::Settings {
        url: source.url.clone().unwrap_or_else(|| http::URL.to_owned()),
        identifier: identifier?,
        secret: secret?,
        hosts: source.hosts.clone(),
        timeout: source.timeout.and_then(|t| t.0.to_std().ok()).unwrap_or(TIMEOUT),
    };
    Api::new(settings).map_err(|why| place.note("url", why)).ok()
}

/// The checked token of a source that is pushed to. `None`: a mistake that was noted.
fn pushed(source: &raw::Source, key: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<SecretString> {
    let mut place = KeyPath { key: key.to_owned(), base, document };
    let others = [
        ("path", source.path.is_some()),
        ("url", source.url.is_some()),
        ("identifier", source.identifier.is_some()),
        ("secret", source.secret.is_some()),
        ("secret_file", source.secret_file.is_some()),
        ("hosts", !source.hosts.is_empty()),
        ("timeout", source.timeout.is_some()),
        ("poll", source.poll.is_some()),
    ];
    place.foreign("push", &others);
    if source.token.is_none() && source.token_file.is_none() {
        place.note("token_file", "is missing; expected a file with the token that whoever pushes has to name");
    }
    place.token("token", source.token.as_ref(), source.token_file.as_ref())
}
