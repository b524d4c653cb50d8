//! `run` and `run --once`.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Exit, runtime, status::needs_attention};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::{Engine, OnceReport};
use crate::outbox::{Filter, State};

pub(super) fn run(config: Config, once: bool) -> anyhow::Result<Exit> {
    if config.sources.is_empty() {
        anyhow::bail!("there is no source to walk: name one in the configuration ([[source]])");
    }
    let runtime = runtime()?;
    let exit = runtime.block_on(async {
        let engine = Engine::start(config, Arc::new(WallClock)).await?;
        if once {
            let report = engine.once().await?;
            return exit_of(&engine, &report).await;
        }
        let (stop, stopped) = watch::channel(false);
        let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
            stop.send_replace(true);
            // Kept alive: a closed channel would read as a stop.
            std::future::pending::<()>().await;
        });
        Arc::new(engine).serve(stopped).await?;
        anyhow::Ok(Exit::Done)
    });
    // An attempt that hangs on a dead server must not outlive the stop.
    runtime.shutdown_background();
    exit
}

/// 1: something due could not be handed over, or a source could not be read. 3: something needs a person.
async fn exit_of(engine: &Engine, report: &OnceReport) -> anyhow::Result<Exit> {
    let now = WallClock.now();
    let waiting = engine.outbox().list(&Filter { states: vec![State::Waiting], ..Filter::default() }).await?;
    let undone = waiting.iter().filter(|e| e.notice.due_at <= now && e.attempts > 0).count();
    let t = report.tally;
    tracing::info!(accepted = t.accepted, rejected = t.rejected, undone, in_doubt = t.unknown, not_sent = t.ended, "done");
    if undone > 0 || t.retried > 0 || t.channel_faults > 0 || report.sources_failed > 0 {
        return Ok(Exit::Failed);
    }
    let status = engine.outbox().status().await?;
    let guarded = !engine.outbox().guards().await?.is_empty();
    Ok(if needs_attention(&status) || guarded || t.rejected > 0 { Exit::Attention } else { Exit::Done })
}
