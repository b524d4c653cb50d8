//! What staff look up now and then: addresses that get nothing, what happened, how the servers are, and how many messages went out.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::Days;

use super::shown::{Frame, Moment, capital, moment};
use super::{PageContext, Trouble, actions};
use crate::contact::Address;
use crate::desk::{called, outage, words};
use crate::entry::State as NoticeState;
use crate::ledger::{Event, LedgerRow};
use crate::outbox::Filter;
use crate::session::SessionId;
use crate::suppression::{SaidBy, Suppression};
use crate::web::auth::Form;
use crate::web::problem::Problem;
use crate::web::{Shared, page, to_the_end};

/// Addresses on one page.
const ADDRESSES: usize = 200;
/// Rows of the history on one page.
const ROWS: usize = 100;
/// Rows that are looked through for one page.
const LOOKED: i64 = 5000;
/// Days of the chart: before today, and after.
const BEFORE: u64 = 13;
const DAYS: u64 = 17;
/// Errors that are shown.
const ERRORS: usize = 10;

#[derive(Template)]
#[template(path = "web/blocked.html")]
struct Blocked {
    frame: Frame,
    /// One was just put on it.
    added: bool,
    /// Why it was not.
    refusal: Option<String>,
    rows: Vec<BlockedRow>,
    total: usize,
    page: usize,
    pages: usize,
}

struct BlockedRow {
    key: String,
    shown: String,
    why: &'static str,
    by: &'static str,
    since: Moment,
    notice: Option<String>,
}

/// `/blocked?page=2`
pub(super) async fn blocked(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let (context, form) = (shared.context(&headers)?, Form::parse(query.unwrap_or_default().as_bytes()));
    listed(&shared, &context, &form, None).await
}

async fn listed(shared: &Shared, context: &PageContext<'_>, form: &Form, refusal: Option<String>) -> Result<Response, Trouble> {
    let all = context.office.desk.outbox.suppressed().await?;
    let (total, pages) = (all.len(), all.len().div_ceil(ADDRESSES).max(1));
    let page = form.get("page").parse().unwrap_or(1).clamp(1, pages);
    let rows = all.into_iter().skip((page - 1) * ADDRESSES).take(ADDRESSES).map(|one| BlockedRow {
        key: one.key,
        shown: one.shown,
        why: match one.kind {
            Suppression::OptedOut => "Asked for no more messages",
            Suppression::Bounced => "Messages come back",
        },
        by: match one.said_by {
            SaidBy::Refusal => "the server, when it refused a message",
            SaidBy::Receipt => "a receipt, or a mail that came back",
            SaidBy::Reply => "their own text",
            SaidBy::Person => "somebody here",
        },
        since: moment(one.since, &context.office.zone),
        notice: one.notice,
    });
    let (status, added) = (if refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::OK }, form.get("added") == "yes");
    let facts = Blocked { rows: rows.collect(), frame: context.frame(shared, "blocked").await?, added, refusal, total, page, pages };
    Ok(page::render(status, &facts))
}

/// `/blocked/add`: somebody asked for no more messages, by telephone.
pub(super) async fn block(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    let (form, current_user) = actions::from_operator(&shared, &headers, body).await?;
    let context = shared.context(&headers)?;
    let address = match Address::possible(form.get("address").trim(), &context.office.desk.policy.region) {
        Ok(address) => address,
        Err(why) => return listed(&shared, &context, &form, Some(format!("This cannot be an address: {why}"))).await,
    };
    let (outbox, who, now) = (Arc::clone(&context.office.desk.outbox), current_user.name().to_owned(), context.now);
    let adding = to_the_end(async move {
        let deed = format!("{address}, by {who}");
        outbox.suppress(now, &address, Suppression::OptedOut, Some(&deed)).await
    });
    let refusal = (!adding.await??).then(|| "It is on the list already".to_owned());
    shared.intake.ask();
    if refusal.is_some() { listed(&shared, &context, &form, refusal).await } else { Ok(page::see("/blocked?added=yes")) }
}

/// `/blocked/{key}/remove`: they get messages again.
pub(super) async fn unblock(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = actions::from_operator(&shared, &headers, body).await?;
    let who = called::with_reason(current_user.name(), form.get("reason"));
    let (outbox, now) = (Arc::clone(&shared.office.desk.outbox), shared.office.clock.now());
    let removing = to_the_end(async move {
        let Some(listed) = outbox.suppressed().await?.into_iter().find(|one| one.key == key) else { return Ok(false) };
        // Masked: its key is a digest that can be tried.
        outbox.unsuppress(now, &key, Some(&format!("{}, by {who}", listed.shown))).await
    });
    if !removing.await?? {
        return Err(Trouble::Conflict("It is not on the list any more."));
    }
    shared.intake.ask();
    Ok(page::see("/blocked"))
}

#[derive(Template)]
#[template(path = "web/history.html")]
struct Past {
    frame: Frame,
    rows: Vec<PastRow>,
    session: String,
    who: String,
    event: String,
    /// The address of the page with earlier rows; `None`: this is the last.
    earlier: Option<String>,
}

struct PastRow {
    number: String,
    at: Moment,
    event: String,
    step: String,
    why: Option<&'static str>,
    detail: String,
    session: Option<i64>,
    participation: Option<i64>,
    key: Option<String>,
}

/// `/history?session=9636&who=jane&event=reveal&before=1200`: the ledger, the newest first.
pub(super) async fn history(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let text = |name: &str| query.get(name).trim().chars().take(40).collect::<String>();
    let (session, who, event) = (text("session"), text("who"), text("event"));
    let before = query.get("before").parse().ok();
    let (rows, before) = past(&context, (&session, &who, &event), before).await?;
    let zone = &context.office.zone;
    let shown = rows.into_iter().map(|row| PastRow {
        number: row.number(),
        at: moment(row.at, zone),
        step: [row.from_state, row.to_state].into_iter().flatten().map(words::state).collect::<Vec<_>>().join(" → "),
        event: capital(words::event(&row.event)),
        why: row.reason.map(words::reason),
        detail: words::clocked(&row.detail.unwrap_or_default(), &|at| words::clock(at, zone, context.now)),
        session: row.session_id.map(|s| s.0),
        participation: row.participation_id.map(|p| p.0),
        key: row.key,
    });
    let rows = shown.collect();
    let earlier = before.map(|before| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("session", &session).append_pair("who", &who).append_pair("event", &event);
        format!("/history?{}", query.append_pair("before", &before.to_string()).finish())
    });
    let facts = Past { rows, frame: context.frame(&shared, "history").await?, session, who, event, earlier };
    Ok(page::render(StatusCode::OK, &facts))
}

/// What stands in the field for a session.
fn session_id(typed: &str) -> Result<SessionId, Trouble> {
    typed.parse().map(SessionId).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "A session is a number, with digits alone.").into())
}

/// The rows of a page, and behind which the next one begins.
async fn past(
    context: &PageContext<'_>,
    (session, who, event): (&str, &str, &str),
    before: Option<i64>,
) -> Result<(Vec<LedgerRow>, Option<i64>), Trouble> {
    let outbox = &context.office.desk.outbox;
    let of = if session.is_empty() { None } else { Some(session_id(session)?) };
    let end = match before {
        Some(before) => before - 1,
        None => outbox.ledger_end().await?,
    };
    // Of one session, all rows are few; of all, those at the end.
    let begin = if of.is_some() { 0 } else { (end - LOOKED).max(0) };
    let is_theirs = |row: &LedgerRow| {
        row.place <= end
            && (who.is_empty() || row.detail.as_ref().is_some_and(|detail| is_by(detail, who)))
            && (event.is_empty() || is_of_kind(&row.event, event))
    };
    let limit = usize::try_from(LOOKED).unwrap_or_default();
    let mut rows: Vec<LedgerRow> = outbox.ledger(of, begin, limit).await?.into_iter().filter(is_theirs).collect();
    rows.reverse();
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let next = if more { rows.last().map(|row| row.place) } else { (begin > 0).then_some(begin + 1) };
    Ok((rows, next))
}

/// By its own word, or by ours.
fn is_of_kind(event: &Event, asked: &str) -> bool {
    let asked = asked.to_lowercase().replace('_', " ");
    event.as_str().replace('_', " ").contains(&asked) || words::event(event).to_lowercase().contains(&asked)
}

/// That person did it: `by jane: they will come`, or `jane` of a log-in. Not Janet.
fn is_by(detail: &str, who: &str) -> bool {
    let (detail, who) = (detail.to_lowercase(), who.to_lowercase());
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || "-_".contains(c));
    let by = format!("by {who}");
    let named = detail.match_indices(&by).any(|(at, _)| ends(&detail[at + by.len()..]));
    named || detail.strip_prefix(&who).is_some_and(ends)
}

#[derive(Template)]
#[template(path = "web/servers.html")]
struct Servers {
    frame: Frame,
    transports: Vec<TransportRow>,
    sources: Vec<SourceLine>,
    errors: Vec<ErrorRow>,
    version: &'static str,
    zones: String,
}

struct TransportRow {
    channel: &'static str,
    name: String,
    state: String,
    tone: &'static str,
}

struct SourceLine {
    name: String,
    read: Option<String>,
    sessions: u64,
    faults: usize,
}

struct ErrorRow {
    key: String,
    at: Moment,
    what: String,
    state: &'static str,
    tone: &'static str,
    says: String,
}

/// `/servers`
pub(super) async fn servers(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let office = context.office;
    let status = office.desk.outbox.status().await?;
    let source = |name: &String| {
        let of = status.sources.iter().find(|s| s.name == *name);
        SourceLine {
            name: name.clone(),
            read: of.and_then(|s| s.last_snapshot_at).map(|at| words::ago(at, context.now)),
            sessions: of.map_or(0, |s| s.sessions),
            faults: status.faults.iter().filter(|(source, _)| source == name).count(),
        }
    };
    let transports = shared.intake.transports().into_iter().map(|(channel, name, paused)| TransportRow {
        channel: match channel {
            crate::contact::Channel::Email => "E-mail",
            crate::contact::Channel::Sms => "Text messages",
        },
        name,
        state: paused.map_or_else(
            || "Well".to_owned(),
            |until| format!("At fault: tried again at {} at the latest", words::clock(until, &office.zone, context.now)),
        ),
        tone: if paused.is_some() { "bad" } else { "good" },
    });
    let tz = office.desk.policy.zones.data();
    let facts = Servers {
        transports: transports.collect(),
        sources: office.desk.sources.iter().map(source).collect(),
        errors: errors(&context).await?,
        version: env!("CARGO_PKG_VERSION"),
        zones: format!("{} ({})", tz.version, tz.origin),
        frame: context.frame(&shared, "servers").await?,
    };
    Ok(page::render(StatusCode::OK, &facts))
}

/// What servers said last of what did not go.
async fn errors(context: &PageContext<'_>) -> Result<Vec<ErrorRow>, Trouble> {
    let states = vec![NoticeState::Waiting, NoticeState::Rejected, NoticeState::Unknown];
    let mut found = Vec::new();
    for state in states {
        let filter = Filter { states: vec![state], limit: Some(1000), ..Filter::default() };
        found.extend(context.office.desk.outbox.list(&filter).await?.into_iter().filter(|e| e.server_reply.is_some()));
    }
    found.sort_by_key(|e| std::cmp::Reverse(e.changed_at));
    found.truncate(ERRORS);
    let row = |e: crate::entry::Entry| ErrorRow {
        key: e.notice.key.to_string(),
        at: moment(e.changed_at, &context.office.zone),
        what: capital(&crate::desk::what(e.notice.occasion, e.notice.rule.as_deref())),
        state: if outage::is_overdue(e.state, e.notice.due_at, e.notice.useful_until, context.now) {
            words::OVERDUE
        } else {
            words::state(e.state)
        },
        tone: "bad",
        says: e.server_reply.as_deref().map(words::fault).unwrap_or_default(),
    };
    Ok(found.into_iter().map(row).collect())
}

#[derive(Template)]
#[template(path = "web/messages.html")]
struct Messages {
    frame: Frame,
    days: Vec<DayOfMessages>,
    /// The chart's width, in pixels.
    width: usize,
    most: u64,
    /// Half of the most.
    half: u64,
}

/// How the messages of one day ended, and the bars of the chart.
struct DayOfMessages {
    date: String,
    /// The day of the month.
    number: String,
    today: bool,
    x: usize,
    sent: u64,
    failed: u64,
    planned: u64,
    ended: u64,
    total: u64,
    bars: Vec<ChartBar>,
}

struct ChartBar {
    tone: &'static str,
    y: u64,
    height: u64,
}

/// The chart, in its own units.
const HEIGHT: u64 = 160;
const STEP: usize = 40;

/// `/messages`: by the day on which they were or are due, on the practice's clock.
pub(super) async fn messages(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let first = context.today().checked_sub_days(Days::new(BEFORE)).unwrap_or(context.today());
    let dates: Vec<_> = (0..=DAYS).filter_map(|n| first.checked_add_days(Days::new(n))).collect();
    let edges: Vec<_> = dates.iter().map(|day| context.span(*day, 0).start).collect();
    let counts = context.office.desk.outbox.count_between(&edges).await?;
    let sum = |of: &HashMap<NoticeState, u64>, states: &[NoticeState]| states.iter().filter_map(|s| of.get(s)).sum::<u64>();
    // An even number: half of it stands at the axis.
    let most = counts.iter().map(|of| of.values().sum::<u64>()).max().unwrap_or(0).max(1).next_multiple_of(2);
    use NoticeState::{Accepted, Cancelled, Claimed, Held, Lapsed, Rejected, Sending, Superseded, Suppressed, Unknown, Waiting};
    let late = outage::overdue(&*context.office.desk.outbox, context.now).await?;
    let late: Vec<_> = late.iter().map(|entry| context.office.zone.local(entry.notice.due_at).civil.date()).collect();
    let days = dates.iter().zip(&counts).enumerate().map(|(n, (date, of))| {
        let waits = sum(of, &[Waiting, Claimed, Sending]);
        let late = (late.iter().filter(|day| *day == date).count() as u64).min(waits);
        let (sent, failed) = (sum(of, &[Accepted]), late + sum(of, &[Rejected, Unknown, Held, Lapsed]));
        let (planned, ended) = (waits - late, sum(of, &[Cancelled, Superseded, Suppressed]));
        let mut y = HEIGHT;
        let bars =
            [("good", sent), ("bad", failed), ("plain", planned), ("quiet", ended)].into_iter().filter(|(_, n)| *n > 0).map(|(tone, n)| {
                let height = (n * HEIGHT).div_ceil(most).min(y);
                y -= height;
                ChartBar { tone, y, height }
            });
        let bars = bars.collect();
        let (today, number, date) = (*date == context.today(), date.format("%-d").to_string(), date.format("%a, %b %-d").to_string());
        DayOfMessages { date, number, today, x: n * STEP, sent, failed, planned, ended, total: sent + failed + planned + ended, bars }
    });
    let days: Vec<DayOfMessages> = days.collect();
    let facts = Messages { width: days.len() * STEP, days, most, half: most / 2, frame: context.frame(&shared, "messages").await? };
    Ok(page::render(StatusCode::OK, &facts))
}
