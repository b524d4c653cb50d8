//! How long a request waits for a database that is away: not much longer than it takes to know that it is. Whoever asked may ask again, also another node.
//!
//! What was asked and not begun by then is given up, so that nothing old is done later, behind what was asked anew. A receipt or a text that somebody wrote
//! is kept, and taken when the database is back: not every provider says it again, and what is said twice counts once.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

use super::problem::Problem;
use super::{Shared, page};

/// From one look at the database to the next.
const LOOK: Duration = Duration::from_millis(250);

tokio::task_local! {
    /// Nobody waits for the answer any more, since the database is away.
    static GIVEN_UP: Arc<AtomicBool>;
}

/// Answers 503 when the database is away for too long, and gives up what was asked.
pub(super) async fn bounded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (is_page, given_up) = (is_page(request.headers()), Arc::new(AtomicBool::new(false)));
    {
        let mut answer = pin!(GIVEN_UP.scope(Arc::clone(&given_up), next.run(request)));
        loop {
            tokio::select! {
                biased;
                response = &mut answer => return response,
                () = tokio::time::sleep(LOOK) => if shared.intake.is_away() { break },
            }
        }
        given_up.store(true, Ordering::Relaxed);
    }
    tracing::warn!("a request was not answered: the database is away");
    if is_page { page::Trouble::Away.into_response() } else { Problem::away().into_response() }
}

/// It is for a browser.
pub(super) fn is_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// Work that goes on when whoever asked for it hangs up, and ends when it is given up.
struct PatientWork<T> {
    running: JoinHandle<T>,
    given_up: Arc<AtomicBool>,
}

impl<T> Drop for PatientWork<T> {
    fn drop(&mut self) {
        if self.given_up.load(Ordering::Relaxed) {
            self.running.abort();
        }
    }
}

/// Runs to its end, also when whoever asked for it hangs up: half of it must not be left undone without a trace. Only a database that is away ends it.
pub(super) async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
    let given_up = GIVEN_UP.try_with(Arc::clone).unwrap_or_default();
    let mut work = PatientWork { running: tokio::spawn(work), given_up };
    (&mut work.running).await.map_err(|_| Problem::ours("the work ended early"))
}

/// Likewise, however long it takes: nobody may say it again.
pub(super) async fn in_any_case<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
    tokio::spawn(work).await.map_err(|_| Problem::ours("the work ended early"))
}
