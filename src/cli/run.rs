//! `run` and `run --once`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use sha2::{Digest, Sha256};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{oneshot, watch};

use super::logging::Log;
use super::signals::{Hearing, Signals};
use super::{Command, Exit, arrival, runtime};
use crate::clock::{Clock, WallClock, monotonic_usec};
use crate::config::{Config, StoreUrl};
use crate::daemon::{Ending, Engine, OnceReport, can_begin};
use crate::desk::status::{is_anybody_left_out, needs_attention};
use crate::entry::State;
use crate::notice::{Occasion, Reason};
use crate::outbox::sqlite::is_served;
use crate::outbox::{Filter, Outbox, Status};
use crate::plan::compare::is_much;
use crate::render::Renderer;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Walk each source once, hand over all that is due (one attempt each), and end.
    #[arg(long)]
    pub(super) once: bool,
}

/// How long a stop waits for what was left to close.
const CLOSES_WITHIN: Duration = Duration::from_secs(2);
/// How long an end waits for a start that is under way.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// How long a new configuration waits until the old one has let go of the store.
const FREE_WITHIN: Duration = Duration::from_secs(10);

/// `once`: it ends by itself. `load` reads the configuration again, for SIGHUP or new zone data: one without a mistake takes the place of the old one, one with a mistake is
/// told and changes nothing. What was looked at is what takes over, whatever is in the file by then.
pub(super) fn run(
    config: Config,
    heard: Option<Hearing>,
    once: bool,
    log: &Log,
    load: impl Fn() -> Result<Config, String>,
) -> anyhow::Result<Exit> {
    if config.sources.is_empty() {
        anyhow::bail!("there is no source to walk: name one in the configuration ([[source]])");
    }
    let Hearing { hearing, mut signals } = heard.context("it hears no signals")?;
    if once {
        return run_once(config, &hearing, &mut signals);
    }
    let mut config = config;
    loop {
        // Nothing of an old configuration is left over: all that it began ends with what it ran on.
        let runtime = runtime()?;
        let ended = hearing.block_on(serve(runtime.handle(), config, &mut signals, &load));
        // An attempt that hangs on a dead server must not outlive the stop; the store, which the last of them closes, leaves nothing in its log.
        runtime.shutdown_timeout(CLOSES_WITHIN);
        let Some(next) = ended? else { return Ok(Exit::Done) };
        config = next;
        if let Err(why) = log.change(&config.raw.log) {
            tracing::warn!(%why, "the log stays as it was");
        }
        tracing::info!("the new configuration is taken");
        wait_until_free(&config);
    }
}

/// `--once`, until it is done or told to end.
fn run_once(config: Config, hearing: &Runtime, signals: &mut Signals) -> anyhow::Result<Exit> {
    let runtime = runtime()?;
    let (end, told) = oneshot::channel();
    let left_out = leaves_out(&config);
    let mut running = runtime.spawn(async move {
        let engine = Engine::start(config, Arc::new(WallClock)).await?;
        let begun = WallClock.now();
        match engine.once_until(async { drop(told.await) }).await? {
            Some(report) => match exit_of(&engine, &report, begun).await? {
                Exit::Done if left_out => Ok(Exit::Attention),
                exit => Ok(exit),
            },
            None => Ok(Exit::Done),
        }
    });
    hearing.block_on(async {
        tokio::select! {
            ended = &mut running => return ended?,
            () = signals.end() => {}
        }
        end.send(()).ok();
        running.await?
    })
}

/// Whether there are sources that another node reads; says which.
fn leaves_out(config: &Config) -> bool {
    let node = config.raw.node.name.as_deref();
    let left_out = config.sources.iter().filter_map(|source| source.left_out(node).map(|why| (&source.name, why)));
    left_out.inspect(|(source, why)| tracing::warn!(%source, "{why}")).count() > 0
}

/// What is known of a configuration that has become an engine.
struct Started {
    has_pages: bool,
    store: Option<StoreUrl>,
    listens: Option<SocketAddr>,
}

/// The engine, once its database is there, for as long as it takes to start. `None`: it was told to end meanwhile.
async fn start(
    runtime: &Handle,
    mut config: Config,
    signals: &mut Signals,
    load: &impl Fn() -> Result<Config, String>,
) -> anyhow::Result<Option<(Arc<Engine>, Started)>> {
    let mut lost = None;
    loop {
        let Some(arrived) = arrival::of_the_database(runtime, config, signals, load, lost).await else { return Ok(None) };
        let has_pages = arrived.server.as_ref().is_some_and(|server| server.users.is_some());
        let (started, again) = (Started { has_pages, store: arrived.store.clone(), listens: listens(&arrived) }, arrived.clone());
        let mut starting = runtime.spawn(Engine::start(arrived, Arc::new(WallClock)));
        let engine = tokio::select! {
            engine = &mut starting => engine?,
            () = signals.end() => {
                // What a start has begun is finished, unless it waits for a database.
                drop(tokio::time::timeout(STARTS_WITHIN, starting).await);
                return Ok(None);
            }
        };
        match engine {
            Ok(engine) => return Ok(Some((Arc::new(engine), started))),
            Err(error) => match arrival::lost(&error, again) {
                Some((why, again)) => (config, lost) = (again, Some(why)),
                None => return Err(error),
            },
        }
    }
}

/// One configuration, until it is told to end; what takes its place, if that is meant.
async fn serve(
    runtime: &Handle,
    config: Config,
    signals: &mut Signals,
    load: &impl Fn() -> Result<Config, String>,
) -> anyhow::Result<Option<Config>> {
    let Some((engine, Started { has_pages, store, listens })) = Box::pin(start(runtime, config, signals, load)).await? else {
        return Ok(None);
    };
    if has_pages {
        let engine = Arc::clone(&engine);
        runtime.spawn(async move { tracing::info!("staff pages: http://{}/", engine.address().await) });
    }
    let (ending, told) = watch::channel(Ending::NotYet);
    let serving = runtime.spawn(Arc::clone(&engine).serve(told));
    let in_force = InForce { runtime, engine, ending, store, listens };
    let mut next = None;
    tokio::select! {
        served = serving => served??,
        () = in_force.listen(signals, &mut next, load) => {}
    }
    let InForce { engine, .. } = in_force;
    // Its store may wait for a database: an end does not.
    runtime.spawn_blocking(move || drop(engine));
    Ok(next)
}

fn listens(config: &Config) -> Option<SocketAddr> {
    config.server.as_ref().map(|server| server.listen)
}

/// What the old configuration left to close holds the store for a moment.
fn wait_until_free(config: &Config) {
    // (A database knows its own process by itself: outbox/postgres/node.rs.)
    let Some(StoreUrl::Sqlite(path)) = &config.store else { return };
    let since = Instant::now();
    while is_served(path) && since.elapsed() < FREE_WITHIN {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// If the command is one that finishes what it has begun.
pub(super) fn hear(command: &Command) -> std::io::Result<Option<Hearing>> {
    matches!(command, Command::Run(_)).then(Hearing::begin).transpose()
}

/// A daemon waits for a database that says nothing; what ends by itself gives up on it.
pub(super) fn patient(config: Config, command: &Command) -> Config {
    if matches!(command, Command::Run(args) if !args.once) { config } else { config.for_a_command() }
}

/// The configuration that is in force.
struct InForce<'r> {
    runtime: &'r Handle,
    engine: Arc<Engine>,
    ending: watch::Sender<Ending>,
    store: Option<StoreUrl>,
    listens: Option<SocketAddr>,
}

impl InForce<'_> {
    /// Ends the engine when it is asked to: for good, or for a configuration that can take over, which is `next` then.
    async fn listen(&self, signals: &mut Signals, next: &mut Option<Config>, load: &impl Fn() -> Result<Config, String>) {
        let notifier = self.engine.notifier();
        loop {
            let asked = tokio::select! {
                _ = signals.terminate.recv() => false,
                _ = signals.interrupt.recv() => false,
                _ = signals.hangup.recv() => true,
                release = self.engine.zone_data_changed(), if next.is_none() => {
                    tracing::info!(%release, "the host's zone data is another one now: taken by a reload");
                    true
                }
            };
            if !asked {
                notifier.stopping();
                *next = None;
                self.ending.send_replace(Ending::Stop);
                // Goes on while the engine stops; whatever comes then changes nothing.
                return std::future::pending::<()>().await;
            }
            notifier.reloading(monotonic_usec());
            match self.taken(load).await {
                Ok(config) => {
                    *next = Some(config);
                    // A stop that comes meanwhile is one, and so is another reload: what was looked at last takes over.
                    self.ending.send_replace(Ending::Reload);
                }
                Err(why) if next.is_some() => {
                    tracing::error!(%why, "the new configuration is not taken; the one that was taken before it takes over");
                }
                Err(why) => {
                    tracing::error!(%why, "the new configuration is not taken; the old one stays in force");
                    notifier.ready();
                    notifier.status("the new configuration is not taken (see the log); the old one stays in force");
                }
            }
        }
    }

    /// A configuration that can take over.
    async fn taken(&self, load: &impl Fn() -> Result<Config, String>) -> Result<Config, String> {
        let (config, engine) = (load()?, Arc::clone(&self.engine));
        if config.store != self.store {
            return Err("[store] url is another one: a reload goes on with the same store; restart the service if that is meant".to_owned());
        }
        if let Some(at) = listens(&config).filter(|at| Some(*at) != self.listens) {
            TcpListener::bind(at).map_err(|e| format!("[server] listen = \"{at}\": {e}"))?;
        }
        let looked = self.runtime.spawn(async move { usable(&config, &engine).await.map(|()| config) });
        looked.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// Whether a configuration can take over: its templates too, and what it changes.
async fn usable(config: &Config, engine: &Engine) -> Result<(), String> {
    if config.sources.is_empty() {
        return Err("there is no source to walk".to_owned());
    }
    Renderer::new(config.render.clone()).map_err(|mistakes| mistakes.join("\n"))?;
    can_begin(config).map_err(|why| format!("{why:#}"))?;
    if engine.would_join(config) {
        return Ok(());
    }
    let (changes, planned) = engine.would_change(&config.policy).await.map_err(|e| e.to_string())?;
    let word = config.policy.digest();
    let (lost, waiting) = engine.would_lose(&config.sources).await.map_err(|e| e.to_string())?;
    // A word that was said for something else says nothing of these sources.
    let of_the_lost = if lost.is_empty() { word.clone() } else { word_for(&word, &lost) };
    let accepted = |word: &String| config.raw.run.accept_change.as_ref() == Some(word);
    if waiting > 0 && !accepted(&of_the_lost) {
        return Err(format!(
            "it has no source {} any more, and {waiting} messages of it wait: if it has another name now, say was = \"{}\"; if they are to be held, set accept_change = \"{of_the_lost}\" in [run]",
            lost.join(", "),
            lost.first().map_or("", String::as_str)
        ));
    }
    if is_much(changes, planned) && !accepted(&word) && !accepted(&of_the_lost) {
        return Err(format!(
            "it changes {changes} messages where {planned} are planned: look at `punctual diff OLD NEW`; if that is what you want, set accept_change = \"{word}\" in [run]"
        ));
    }
    Ok(())
}

/// What names a change that takes out these sources.
fn word_for(policy: &str, lost: &[String]) -> String {
    let digest = lost.iter().fold(Sha256::new_with_prefix(policy), |digest, name| digest.chain_update([0]).chain_update(name));
    data_encoding::HEXLOWER.encode(&digest.finalize()[..8])
}

/// What a newcomer might look for: what waits for its time, and what is not sent because it was there before.
fn tell_what_is_left(status: &Status) {
    let waiting = status.by_state.get(&State::Waiting).copied().unwrap_or(0);
    if let Some(first) = status.next_due.filter(|_| waiting > 0) {
        tracing::info!(messages = waiting, first = first.to_rfc3339_opts(SecondsFormat::Secs, true), "left for later");
    }
    let adopted = status.by_reason.get(&Reason::Adopted).copied().unwrap_or(0);
    if adopted > 0 {
        tracing::info!(invites = adopted, "not invited: these sessions existed before Punctual started ([adopt] invites)");
    }
}

/// How many wait that were due by then.
async fn undone(outbox: &dyn Outbox, by: DateTime<Utc>) -> crate::outbox::Result<usize> {
    const PAGE: usize = 1000;
    let mut page = Filter { states: vec![State::Waiting], limit: Some(PAGE), ..Filter::default() };
    let mut undone = 0;
    loop {
        let waiting = outbox.list(&page).await?;
        let due = waiting.iter().filter(|e| e.notice.due_at <= by).count();
        undone += due;
        match waiting.last() {
            Some(last) if due == PAGE => page.after = Some((last.notice.due_at, last.notice.key)),
            _ => return Ok(undone),
        }
    }
}

/// 1: something due could not be handed over (or only waits for a pause of its channel to end), or was not in time, or a source could not be read.
/// 3: something needs a person.
async fn exit_of(engine: &Engine, report: &OnceReport, begun: DateTime<Utc>) -> anyhow::Result<Exit> {
    let status = engine.outbox().status().await?;
    let undone = undone(&**engine.outbox(), begun).await?;
    tell_what_is_left(&status);
    let t = report.tally;
    tracing::info!(
        accepted = t.accepted,
        rejected = t.rejected,
        undone,
        in_doubt = t.unknown,
        not_sent = t.ended,
        lapsed = t.lapsed,
        "done"
    );
    // What the walks found too late is as bad as what a lane did.
    let lapsed = t.lapsed > 0 || engine.outbox().lapsed(begun).await?.iter().any(|e| e.notice.occasion != Occasion::NotJoined);
    if undone > 0 || lapsed || t.retried > 0 || t.channel_faults > 0 || report.sources_failed > 0 {
        return Ok(Exit::Failed);
    }
    let guarded = !engine.outbox().guards().await?.is_empty();
    let left_out = is_anybody_left_out(&engine.desk(), &status, begun).await?;
    Ok(if needs_attention(&status) || guarded || left_out || t.rejected > 0 { Exit::Attention } else { Exit::Done })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config;

    #[tokio::test]
    async fn what_only_waits_for_a_pause_to_end_is_left_undone() {
        let folder = tempfile::tempdir().unwrap();
        let start = (WallClock.now() + chrono::TimeDelta::hours(2)).to_rfc3339();
        let person = json!({ "ParticipationId": 10, "ConnectCode": 700, "ShouldAutoDeliverCode": "E",
            "ParticipantEmailAddress": "trevor@example.com", "ParticipantTimeZoneWindowsId": "UTC" });
        let list = json!([{ "SessionId": 1, "ScheduleTs": start, "Participants": [person] }]);
        std::fs::write(folder.path().join("list"), list.to_string()).unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let once = async |relay: &str| {
            let text = format!(
                "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n[store]\nurl = \"sqlite://punctual.db\"\n\
                 [email]\nfrom = \"Lakeside <a@example.org>\"\n[[email.relay]]\n{relay}\n[[source]]\nname = \"list\"\nkind = \"file\"\npath = \"list\"\n"
            );
            let config = config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).map_err(|mistakes| mistakes.to_string());
            let engine = Engine::start(config.unwrap(), Arc::new(WallClock)).await.unwrap();
            let begun = WallClock.now();
            let report = engine.once().await.unwrap();
            (exit_of(&engine, &report, begun).await.unwrap(), report.tally.channel_faults)
        };
        let dead = format!("kind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {closed}\ntls = \"none\"");
        assert_eq!(once(&dead).await, (Exit::Failed, 1), "nobody is there");
        assert_eq!(once(&dead).await, (Exit::Failed, 0), "it waits for its turn, and is overdue");
    }

    #[tokio::test]
    async fn a_source_that_is_taken_out_wants_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let source = |name: &str, more: &str| format!("[[source]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{name}\"\n{more}");
        for (name, id) in [("first", 1), ("second", 2)] {
            let person = json!({ "ParticipationId": id * 10, "ConnectCode": 700 + id, "ShouldAutoDeliverCode": "E",
                "ParticipantEmailAddress": "trevor@example.com", "ParticipantTimeZoneWindowsId": "UTC" });
            let list = json!([{ "SessionId": id, "ScheduleTs": "2999-01-01T15:00:00", "Participants": [person] }]);
            std::fs::write(folder.path().join(name), list.to_string()).unwrap();
        }
        let configured = |sources: &str, run: &str| {
            let text = format!(
                "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[run]\n{run}\n[store]\nurl = \"sqlite://punctual.db\"\n\
                 [email]\nfrom = \"Lakeside <a@example.org>\"\n[[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n{sources}"
            );
            config::parse(&text, Some(&folder.path().join("punctual.toml")), &[]).map_err(|mistakes| mistakes.to_string())
        };
        let (first, second) = (source("first", ""), source("second", ""));
        let engine = Engine::start(configured(&format!("{first}{second}"), "").unwrap(), Arc::new(WallClock)).await.unwrap();
        assert_eq!(engine.once().await.unwrap().sources_failed, 0);
        assert_eq!(usable(&configured(&format!("{second}{first}"), "").unwrap(), &engine).await, Ok(()), "none is missing");
        let refusal = usable(&configured(&first, "").unwrap(), &engine).await.unwrap_err();
        assert!(refusal.contains("no source second any more, and 3 messages") && refusal.contains("was = \"second\""), "{refusal}");
        let renamed = source("second", "was = \"gone\"\n").replace("name = \"second\"", "name = \"desk\"").replace("gone", "second");
        assert_eq!(usable(&configured(&format!("{first}{renamed}"), "").unwrap(), &engine).await, Ok(()), "it has another name");
        let word = refusal.split("accept_change = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(
            usable(&configured(&first, &format!("accept_change = \"{word}\"")).unwrap(), &engine).await,
            Ok(()),
            "they are to be held"
        );
        assert!(usable(&configured(&first, "accept_change = \"another word\"").unwrap(), &engine).await.is_err());
    }
}
