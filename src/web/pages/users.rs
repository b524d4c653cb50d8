//! Who may use the pages: operators add, change and remove users, and everybody changes their own password. Each needs one's own password once more,
//! so that a browser that was left open gives nobody an account.
//!
//! A new user, and one who forgot, gets a password that is drawn here and shown once. They are written as `punctual user` writes them.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shown::{Frame, capital};
use super::{FORM_MAX, PageContext, Trouble, actions};
use crate::access::{AccessList, Name, User, UserRole, new_token, password};
use crate::ledger::Event;
use crate::web::auth::{self, CurrentUser, Form, Peer, Refused, Users};
use crate::web::cookie;
use crate::web::{Shared, page, request, to_the_end};

/// Letters of a password that is drawn: 80 bits.
const DRAWN: usize = 20;

#[derive(Template)]
#[template(path = "web/users.html")]
struct Page {
    frame: Frame,
    users: Vec<Row>,
    refusal: Option<String>,
    done: Option<String>,
    /// A password, shown this once.
    drawn: Option<String>,
}

struct Row {
    name: String,
    role: &'static str,
    /// They are asked for a one-time code.
    code: bool,
    /// It is the user who looks.
    own: bool,
}

fn word(role: UserRole) -> &'static str {
    match role {
        UserRole::Viewer => "viewer",
        UserRole::Operator => "operator",
    }
}

/// `/users`
pub(super) async fn all(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = super::confirm::operator(&shared, &headers)?;
    shown(&shared, &context, Ok(None)).await
}

/// With what was done and a drawn password, or why it was not.
async fn shown(shared: &Shared, context: &PageContext<'_>, news: Result<Option<Done>, String>) -> Result<Response, Trouble> {
    let mut users: Vec<User> = shared.auth()?.access().user.clone();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    let own = context.current_user.name();
    let rows = users.iter().map(|user| Row {
        name: user.name.to_string(),
        role: word(user.role),
        code: user.totp.is_some(),
        own: user.name.as_str() == own,
    });
    let status = if news.is_err() { StatusCode::CONFLICT } else { StatusCode::OK };
    let (done, refusal) = match news {
        Ok(done) => (done, None),
        Err(why) => (None, Some(why)),
    };
    let (done, drawn) = done.map_or((None, None), |done| (Some(done.says), done.drawn));
    let facts = Page { users: rows.collect(), frame: context.frame(shared, "users").await?, refusal, done, drawn };
    Ok(page::render(status, &facts))
}

/// What was done with a user.
struct Done {
    says: String,
    drawn: Option<String>,
}

/// A change of the users, and how the ledger and its reader are told.
struct UsersChange {
    event: Event,
    detail: String,
    says: String,
    drawn: Option<String>,
    access: AccessList,
}

/// Adds one, draws another password, changes what they may do, or removes them.
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = actions::from_operator(&shared, &headers, body).await?;
    let context = shared.context(&headers)?;
    if let Err(refusal) = is_theirs(&shared, (&headers, peer), &current_user, form.get("own")).await? {
        return shown(&shared, &context, Err(refusal)).await;
    }
    let (of, who) = (Arc::clone(&shared), current_user.name().to_owned());
    let own = who.clone();
    let done = to_the_end(async move { changed(&of, &who, move |access| change(access, &form, &own)).await }).await??;
    shown(&shared, &context, done.map(Some)).await
}

/// What a form asks for. `Err`: why it cannot be.
fn change(mut access: AccessList, form: &Form, own: &str) -> Result<UsersChange, String> {
    // Somebody else may have been faster.
    if access.user(own).is_none_or(|user| user.role != UserRole::Operator) {
        return Err("You are no operator any more".to_owned());
    }
    let name: Name = form.get("name").trim().to_ascii_lowercase().parse()?;
    let role = if form.get("role") == "operator" { UserRole::Operator } else { UserRole::Viewer };
    let there = access.user.iter_mut().find(|user| user.name == name);
    let is_own = name.as_str() == own;
    let act = form.get("act");
    if act == "add" {
        if there.is_some() || access.token.iter().any(|token| token.name == name) {
            return Err(format!("{name} is there already. Take another name"));
        }
        let (drawn, argon2id) = draw()?;
        access.user.push(User { name: name.clone(), role, argon2id, totp: None });
        let detail = format!("{name}, {}", word(role));
        return Ok(UsersChange {
            event: Event::UserAdded,
            detail,
            says: format!("{name} may log in as {}", word(role)),
            drawn: Some(drawn),
            access,
        });
    }
    let Some(user) = there else { return Err(format!("There is no user {name} any more")) };
    match act {
        "password" => {
            let (drawn, argon2id) = draw()?;
            user.argon2id = argon2id;
            let says = format!("{name} has another password, and was logged out");
            Ok(UsersChange { event: Event::UserPassword, detail: name.to_string(), says, drawn: Some(drawn), access })
        }
        _ if is_own => Err("This is you: somebody else changes what you may do, or removes you".to_owned()),
        "role" => {
            user.role = role;
            let (detail, says) = (format!("{name}, {}", word(role)), format!("{name} is {} now", word(role)));
            Ok(UsersChange { event: Event::UserRole, detail, says, drawn: None, access })
        }
        "remove" => {
            access.user.retain(|user| user.name != name);
            let says = format!("{name} is removed, and was logged out");
            Ok(UsersChange { event: Event::UserRemoved, detail: name.to_string(), says, drawn: None, access })
        }
        _ => Err("Nothing was asked for".to_owned()),
    }
}

/// A password, and its hash.
fn draw() -> Result<(String, String), String> {
    let drawn = new_token()?[..DRAWN].to_owned();
    let argon2id = password::hash(&drawn)?;
    Ok((drawn, argon2id))
}

/// Tells the ledger, then writes them: what cannot be told is not done.
async fn changed(
    shared: &Shared,
    who: &str,
    change: impl FnOnce(AccessList) -> Result<UsersChange, String> + Send + 'static,
) -> Result<Result<Done, String>, Trouble> {
    let auth = shared.auth()?;
    let _turn = auth.turn().await;
    let (version, access) = match auth.users().read().await {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    // A password's hash takes its time.
    let made = tokio::task::spawn_blocking(move || change(access)).await;
    let UsersChange { event, detail, says, drawn, access } = match made.map_err(|_| Trouble::Conflict("It could not be done."))? {
        Ok(change) => change,
        Err(why) => return Ok(Err(why)),
    };
    if access.user.iter().all(|user| user.role != UserRole::Operator) {
        return Ok(Err("One operator must stay: nobody could decide anything any more".to_owned()));
    }
    shared.office.desk.outbox.record_event(shared.office.clock.now(), event, &format!("{detail}, by {who}")).await?;
    match auth.users().write(version, access).await {
        Ok(()) => Ok(Ok(Done { says, drawn })),
        Err(why) => {
            tracing::error!(%why, "the users were not written");
            if matches!(auth.users(), Users::Store(..)) {
                return Ok(Err(capital(&why)));
            }
            let by_hand = "The service may not write the users file: your administrator does this, by `punctual user` on the command line";
            Ok(Err(by_hand.to_owned()))
        }
    }
}

/// Whether it is the password of whoever asks; `Err`: what to tell them.
async fn is_theirs(
    shared: &Shared,
    (headers, peer): (&HeaderMap, Option<Extension<Peer>>),
    current_user: &CurrentUser,
    given: &str,
) -> Result<Result<(), String>, Trouble> {
    let (auth, now) = (shared.auth()?, shared.office.clock.now());
    let from = auth::address(headers, peer.map(|Extension(peer)| peer), &shared.settings.trusted);
    Ok(match auth.is_theirs(&current_user.login.user, given, (from, cookie::browser(headers)), now).await {
        Ok(()) => Ok(()),
        Err(Refused::Wrong) => Err("Your own password is wrong".to_owned()),
        Err(Refused::Wait(wait)) => Err(format!("Too many attempts. Try again in {} minutes", wait.num_minutes() + 1)),
    })
}

#[derive(Template)]
#[template(path = "web/password.html")]
struct OwnPassword {
    frame: Frame,
    refusal: Option<String>,
    done: bool,
    least: usize,
}

/// `/password`: one's own.
pub(super) async fn own(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let facts = OwnPassword { frame: context.frame(&shared, "password").await?, refusal: None, done: false, least: password::MIN };
    Ok(page::render(StatusCode::OK, &facts))
}

/// Gives oneself another password; every other login of this name is over.
pub(super) async fn change_own(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let form = Form::parse(&request::form(&headers, body, FORM_MAX, shared.settings.limits.body).await?);
    let (auth, context) = (shared.auth()?, shared.context(&headers)?);
    auth.is_ours(&headers, &context.current_user.id, &form)?;
    let name = context.current_user.login.user.name.clone();
    let wanted = form.get("new").to_owned();
    let refusal = if wanted == form.get("again") {
        is_theirs(&shared, (&headers, peer), &context.current_user, form.get("own")).await?.err()
    } else {
        Some("The two new passwords are not the same".to_owned())
    };
    let refusal = if refusal.is_some() {
        refusal
    } else {
        let (of, user) = (Arc::clone(&shared), name.clone());
        let change = move |access| with_password(access, &user, &wanted);
        to_the_end(async move { changed(&of, name.as_str(), change).await }).await??.err()
    };
    let (status, done) = if refusal.is_some() { (StatusCode::CONFLICT, false) } else { (StatusCode::OK, true) };
    let facts = OwnPassword {
        frame: context.frame(&shared, "password").await?,
        refusal: refusal.as_deref().map(capital),
        done,
        least: password::MIN,
    };
    let mut response = page::render(status, &facts);
    if done && let Some(id) = auth.let_in(context.current_user.name(), context.now) {
        auth.log_out(&context.current_user.id);
        shared.keep_logins().await?;
        response.headers_mut().insert(SET_COOKIE, cookie::set_visit(&headers, &id));
    }
    Ok(response)
}

fn with_password(mut access: AccessList, name: &Name, wanted: &str) -> Result<UsersChange, String> {
    let argon2id = password::hash(wanted)?;
    let Some(user) = access.user.iter_mut().find(|user| user.name == *name) else {
        return Err(format!("There is no user {name} any more"));
    };
    user.argon2id = argon2id;
    Ok(UsersChange { event: Event::UserPassword, detail: name.to_string(), says: String::new(), drawn: None, access })
}
