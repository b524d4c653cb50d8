//! Refusals, as problem details (RFC 9457): a status, what is wrong, and for records the fields at fault. They repeat nothing of the request.

use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Declined;
use crate::access::Scope;
use crate::desk::Unanswered;
use crate::outbox::StoreError;
use crate::session::Fault;
use crate::source::push::PushRefused;

/// Seconds until it may be tried again.
pub(super) const AGAIN_AFTER: &str = "10";

#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    faults: Vec<Fault>,
    header: Option<(HeaderName, &'static str)>,
}

/// A refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Details<'a> {
    /// What is wrong, in words.
    detail: &'a str,
    /// Of records: the fields at fault.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
    /// The status of the answer.
    status: u16,
    title: &'static str,
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), faults: Vec::new(), header: None }
    }

    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(super) fn code(&self) -> StatusCode {
        self.status
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// RFC 6750 3.
    pub(super) fn unauthorized() -> Self {
        let header = Some((WWW_AUTHENTICATE, "Bearer"));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, "expected \"Authorization: Bearer\" with the token of a push source") }
    }

    /// RFC 6750 3.
    pub(super) fn no_token() -> Self {
        let header = Some((WWW_AUTHENTICATE, "Bearer"));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, "expected \"Authorization: Bearer\" with a token of `punctual token add`") }
    }

    /// RFC 6750 3.1: insufficient_scope.
    pub(super) fn scope(scope: Scope) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("this token lacks the scope {scope}"))
    }

    /// Whoever asks again later may be answered.
    fn later(detail: impl Into<String>) -> Self {
        Self { header: Some((RETRY_AFTER, AGAIN_AFTER)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    pub(super) fn away() -> Self {
        Self::later("the database is away: nothing was done; send it again")
    }

    pub(super) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that method")
    }

    pub(super) fn ours(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl From<Declined> for Problem {
    fn from(why: Declined) -> Self {
        match why {
            Declined::Refused(refused) => {
                let status = match refused {
                    PushRefused::Unusable(_) | PushRefused::Record(_) => StatusCode::UNPROCESSABLE_ENTITY,
                    PushRefused::Unknown(_) => StatusCode::NOT_FOUND,
                    PushRefused::Conflict(_) => StatusCode::CONFLICT,
                };
                let detail = refused.to_string();
                let faults = if let PushRefused::Record(fault) = refused { vec![fault] } else { Vec::new() };
                Self { faults, ..Self::new(status, detail) }
            }
            Declined::Store => Self::later("the store failed: send it again"),
            Declined::Idle(why) => Self::later(format!("this node takes nothing now ({why}): send it again")),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::later("the store failed")
    }
}

impl From<Unanswered> for Problem {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Store(error) => error.into(),
            record @ Unanswered::Record(_) => Self::ours(&record.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Details {
            detail: &self.detail,
            faults: &self.faults,
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or("Refused"),
            kind: "about:blank",
        };
        let body = serde_json::to_string(&body).expect("numbers and texts");
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
