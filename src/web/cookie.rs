//! Cookies: of a login, and of a browser that somebody logged in with before.

use axum::http::header::{COOKIE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use super::request::{host, is_this_machine};

/// The cookie of a browser that somebody logged in with: it is known again, and is not kept out by the guesses of others.
const BROWSER_COOKIE: &str = "punctual-browser";
/// Likewise, where it goes over TLS.
const SECURE_BROWSER_COOKIE: &str = "__Host-punctual-browser";
/// How long a browser is known.
const KNOWN_FOR: Duration = Duration::days(180);
/// Which scheme the practice's own address has, where the request came by it: set by [`super::guard`], and never taken from outside.
pub(super) const SCHEME: HeaderName = HeaderName::from_static("x-punctual-scheme");
/// The cookie, where it goes over TLS: no other host, and no path, can set it (RFC 6265bis 4.1.3.2).
const SECURE_COOKIE: &str = "__Host-punctual";
/// The cookie on the machine itself.
const LOCAL_COOKIE: &str = "punctual";

/// What the browser's cookie says.
pub(super) fn browser(headers: &HeaderMap) -> Option<&str> {
    named(headers, if is_secure(headers) { SECURE_BROWSER_COOKIE } else { BROWSER_COOKIE })
}

/// Lets a browser be known again.
pub(super) fn set_browser(headers: &HeaderMap, mark: &str) -> HeaderValue {
    let name = if is_secure(headers) { SECURE_BROWSER_COOKIE } else { BROWSER_COOKIE };
    set(headers, name, mark, Some(KNOWN_FOR))
}

/// The id in the cookie, of whichever name.
pub(super) fn login(headers: &HeaderMap) -> Option<&str> {
    named(headers, visit_name(headers))
}

/// Sets the cookie, until the browser is closed. An empty id takes it away.
pub(super) fn set_visit(headers: &HeaderMap, id: &str) -> HeaderValue {
    set(headers, visit_name(headers), id, id.is_empty().then_some(Duration::ZERO))
}

fn visit_name(headers: &HeaderMap) -> &'static str {
    if is_secure(headers) { SECURE_COOKIE } else { LOCAL_COOKIE }
}

fn named<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let texts = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name)?.value_raw()
}

fn set(headers: &HeaderMap, name: &'static str, value: &str, max_age: Option<Duration>) -> HeaderValue {
    let mut cookie = Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Strict).secure(is_secure(headers)).build();
    cookie.set_max_age(max_age);
    cookie.to_string().try_into().expect("hexadecimal digits and constants")
}

/// Whether a cookie may only go over TLS: always, but for plain HTTP on the machine itself. The proxy that ends TLS says so, or at least passes
/// the name on that it was asked by; who lies about it harms themselves alone.
fn is_secure(headers: &HeaderMap) -> bool {
    if let Some(scheme) = headers.get(SCHEME) {
        return scheme == "https";
    }
    if headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https") {
        return true;
    }
    !is_this_machine(host(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_secure_but_on_the_machine_itself() {
        for (pairs, secure) in [
            (vec![("host", "127.0.0.1:8080")], false),
            (vec![("host", "localhost")], false),
            (vec![("host", "[::1]:8080")], false),
            (vec![("host", "punctual.practice.example")], true),
            (vec![("host", "localhost.practice.example:8080")], true),
            (vec![("host", "127.0.0.1:8080"), ("x-forwarded-proto", "https")], true),
            (vec![], true),
        ] {
            let set = set_visit(&headers(&pairs), "ab");
            let want = if secure {
                "__Host-punctual=ab; HttpOnly; SameSite=Strict; Secure; Path=/"
            } else {
                "punctual=ab; HttpOnly; SameSite=Strict; Path=/"
            };
            assert_eq!(set, want, "{pairs:?}");
        }
        let both = headers(&[("host", "practice.example"), ("cookie", "punctual=planted; __Host-punctual=ours")]);
        assert_eq!(login(&both), Some("ours"));
        let pairs = [("host", "practice.example"), ("cookie", "punctual-browser=planted; __Host-punctual-browser=ours")];
        assert_eq!(browser(&headers(&pairs)), Some("ours"));
    }
}
