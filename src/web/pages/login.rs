//! Log-in and log-out.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::FORM_MAX;
use crate::access::new_token;
use crate::ledger::Event;
use crate::web::auth::{self, Form, Peer, Refused};
use crate::web::cookie;
use crate::web::page::{self, Trouble};
use crate::web::{Shared, request};

#[derive(Template)]
#[template(path = "web/login.html")]
struct Page {
    token: String,
    name: String,
    /// Somebody has one-time codes.
    codes: bool,
    wrong: Option<String>,
}

/// The form. Its token belongs to a cookie too, by which nobody is logged in yet.
pub(super) async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Trouble> {
    form(&shared, &headers, StatusCode::OK, String::new(), None)
}

fn form(shared: &Shared, headers: &HeaderMap, status: StatusCode, name: String, wrong: Option<String>) -> Result<Response, Trouble> {
    // Several tabs share one cookie.
    let id = match cookie::login(headers).filter(|id| id.len() == 64) {
        Some(id) => id.to_owned(),
        None => new_token().map_err(|_| Trouble::Forbidden("The system gives no random numbers."))?,
    };
    let auth = shared.auth()?;
    let facts = Page { token: auth.form_token(&id), name, codes: auth.asks_codes(), wrong };
    Ok(with_cookie(page::render(status, &facts), headers, &id))
}

fn with_cookie(mut response: Response, headers: &HeaderMap, id: &str) -> Response {
    response.headers_mut().insert(SET_COOKIE, cookie::set_visit(headers, id));
    response
}

/// Name and password, and a code of those who have them.
pub(super) async fn log_in(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let fields = Form::parse(&request::form(&headers, body, FORM_MAX, shared.settings.limits.body).await?);
    let auth = shared.auth()?;
    let before = cookie::login(&headers).unwrap_or_default();
    if auth.is_ours(&headers, before, &fields).is_err() {
        // The daemon began anew since the page was made, or the cookie did not come back.
        let text =
            "Please try once more. (If it fails again: your browser has to accept a cookie, and the address has to begin with https.)";
        return form(&shared, &headers, StatusCode::FORBIDDEN, String::new(), Some(text.to_owned()));
    }
    let now = shared.office.clock.now();
    let from = auth::address(&headers, peer.map(|Extension(peer)| peer), &shared.settings.trusted);
    match auth.log_in(&fields, (from, cookie::browser(&headers)), now).await {
        Ok((id, browser)) => {
            auth.log_out(before);
            shared.office.desk.outbox.record_event(now, Event::LogIn, &auth.current_user_of(&id, now)?).await?;
            shared.keep_logins().await?;
            let mut response = with_cookie(page::see("/"), &headers, &id);
            response.headers_mut().append(SET_COOKIE, cookie::set_browser(&headers, &browser));
            Ok(response)
        }
        Err(refused) => {
            let status = refused.status();
            let name = auth.told_name(&fields);
            tracing::warn!(status = status.as_u16(), name, %from, "a log-in was refused");
            if matches!(refused, Refused::Wrong) {
                // Of those that are not even looked at there may be any number.
                shared.office.desk.outbox.record_event(now, Event::LogInRefused, &format!("{name}, from {from}")).await?;
            }
            let (text, wait) = match refused {
                Refused::Wrong if auth.asks_codes() => ("Name, password or code is wrong. A code can be used once.".to_owned(), None),
                Refused::Wrong => ("Name or password is wrong.".to_owned(), None),
                Refused::Wait(wait) => {
                    (format!("Too many attempts. Try again in {} minutes.", wait.num_minutes() + 1), Some(wait.num_seconds()))
                }
            };
            let name = fields.get("name").chars().take(40).collect();
            let response = form(&shared, &headers, status, name, Some(text))?;
            Ok(match wait {
                Some(seconds) => page::retry_after(response, seconds),
                None => response,
            })
        }
    }
}

pub(super) async fn log_out(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    let fields = Form::parse(&request::form(&headers, body, FORM_MAX, shared.settings.limits.body).await?);
    let auth = shared.auth()?;
    let id = cookie::login(&headers).unwrap_or_default();
    auth.is_ours(&headers, id, &fields)?;
    let now = shared.office.clock.now();
    if let Ok(name) = auth.current_user_of(id, now) {
        shared.office.desk.outbox.record_event(now, Event::LogOut, &name).await?;
    }
    auth.log_out(id);
    shared.keep_logins().await?;
    Ok(with_cookie(page::see("/login"), &headers, ""))
}
