//! What the gateways' routes have in common: a receipt or a reply, taken to the end, durable before it is answered.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use super::Shared;
use super::patience::in_any_case;
use super::problem::Problem;
use crate::feedback::{DeliveryReport, Reply};

pub(super) async fn receipt(shared: &Arc<Shared>, report: DeliveryReport) -> Result<(), Problem> {
    let intake = Arc::clone(&shared.intake);
    in_any_case(async move { intake.receipt(report).await }).await?.map_err(Problem::from)
}

pub(super) async fn reply(shared: &Arc<Shared>, reply: Reply) -> Result<(), Problem> {
    let intake = Arc::clone(&shared.intake);
    in_any_case(async move { intake.reply(reply).await }).await?.map_err(Problem::from)
}

pub(super) fn refused(gateway: &str, problem: Problem) -> Response {
    tracing::warn!(gateway, status = problem.status(), "what a gateway told was refused");
    problem.into_response()
}
