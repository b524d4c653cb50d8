//! The demonstration, served: pages with a visitor logged in, on a clock that can be moved, with a mail server that can be broken and a record that
//! can be spoiled.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::access::{self, AccessList, User, UserRole, password};
use crate::clock::{Clock, WallClock};
use crate::config;
use crate::daemon::Engine;
use crate::web::{DemoAction, Stage};

/// Who looks at it.
const USER: &str = "demo";
/// Where it is served, if that is free.
const PORT: u16 = 8080;
/// The folder in place of a mail server, and where it is while that is broken.
pub(super) const MAIL: &str = "outbox/mail";
const BROKEN: &str = "outbox/mail.broken";
/// What is spoiled of which session's record, and how.
const SPOILED: (i64, &str, &str) = (4103, "ScheduleTs", "tomorrow at 3");

/// A clock that goes as the machine's does, from a moment of its own, and can be moved.
pub(super) struct Movable {
    ahead: AtomicI64,
}

impl Movable {
    /// It is that time now.
    pub(super) fn at(at: DateTime<Utc>) -> Self {
        Self { ahead: AtomicI64::new((at - WallClock.now()).num_milliseconds()) }
    }

    fn by(&self, span: TimeDelta) {
        self.ahead.fetch_add(span.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for Movable {
    fn now(&self) -> DateTime<Utc> {
        WallClock.now() + TimeDelta::milliseconds(self.ahead.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Option<TimeDelta> {
        WallClock.uptime()
    }

    fn awake(&self) -> Option<TimeDelta> {
        WallClock.awake()
    }
}

/// What the buttons do.
struct DemoScene {
    clock: Arc<Movable>,
    folder: PathBuf,
    key: String,
}

impl DemoScene {
    fn is_broken(&self) -> bool {
        self.folder.join(BROKEN).exists()
    }

    fn sessions(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(self.folder.join("sessions.json"))?)?)
    }

    fn is_spoiled(&self) -> bool {
        self.sessions().is_ok_and(|all| all.as_array().into_iter().flatten().any(|s| s.get("Before").is_some()))
    }

    /// The record's field, spoiled or as it was.
    fn spoil(&self) -> anyhow::Result<()> {
        let (id, field, value) = SPOILED;
        let mut all = self.sessions()?;
        let of = all.as_array_mut().context("no list")?.iter_mut().find(|s| s["SessionId"] == id).context("no such session")?;
        if let Some(before) = of.get("Before").cloned() {
            of[field] = before;
            of.as_object_mut().context("no session")?.remove("Before");
        } else {
            of["Before"] = of[field].clone();
            of[field] = json!(value);
        }
        super::write_sessions(&self.folder, &all)
    }

    fn mend_or_break(&self) -> std::io::Result<()> {
        let (mail, broken) = (self.folder.join(MAIL), self.folder.join(BROKEN));
        if self.is_broken() { std::fs::rename(broken, mail) } else { std::fs::rename(mail, broken) }
    }
}

impl Stage for DemoScene {
    fn key(&self) -> &str {
        &self.key
    }

    fn user(&self) -> &str {
        USER
    }

    fn actions(&self) -> Vec<DemoAction> {
        let deed = |act, label| DemoAction { act, label };
        vec![
            deed("hour", "An hour later"),
            deed("day", "A day later"),
            deed("mail", if self.is_broken() { "Mend the mail server" } else { "Break the mail server" }),
            deed("record", if self.is_spoiled() { "Correct the record" } else { "Spoil a record" }),
        ]
    }

    fn act(&self, act: &str) -> bool {
        match act {
            "hour" => self.clock.by(TimeDelta::hours(1)),
            "day" => self.clock.by(TimeDelta::days(1)),
            "mail" => return self.mend_or_break().is_ok(),
            "record" => return self.spoil().is_ok(),
            _ => return false,
        }
        true
    }
}

/// A port that is free: the one that was asked for, or one that the system gives.
pub(super) fn free_port(asked: Option<u16>) -> anyhow::Result<u16> {
    let bound = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = match asked {
        Some(port) => bound(port).with_context(|| format!("--port {port}"))?,
        None => bound(PORT).or_else(|_| bound(0))?,
    };
    Ok(listener.local_addr()?.port())
}

/// The users file: one visitor, whose password nobody knows.
pub(super) fn write_users(folder: &Path) -> anyhow::Result<()> {
    let secret = access::new_token().map_err(anyhow::Error::msg)?;
    let argon2id = password::hash(&secret).map_err(anyhow::Error::msg)?;
    let name = USER.parse().map_err(|why| anyhow::anyhow!("{why}"))?;
    let user = vec![User { name, role: UserRole::Operator, argon2id, totp: None }];
    access::file::write(&folder.join("users.toml"), &AccessList { user, token: Vec::new() }).map_err(anyhow::Error::msg)
}

/// Serves until Ctrl-C.
pub(super) async fn serve(file: &Path, folder: &Path, at: DateTime<Utc>) -> anyhow::Result<()> {
    let clock = Arc::new(Movable::at(at));
    let key = access::new_token().map_err(anyhow::Error::msg)?;
    let scene = DemoScene { clock: Arc::clone(&clock), folder: folder.to_owned(), key: key.clone() };
    let engine = Arc::new(Engine::start(config::load(Some(file))?, clock).await?.staged(Arc::new(scene)));
    let (stop, stopped) = watch::channel(false);
    let told = Arc::clone(&engine);
    let telling = tokio::spawn(async move {
        let address = told.address().await;
        out!("Open this in a browser; Ctrl-C ends it:\n\n  http://{address}/demo?key={key}\n");
        tokio::signal::ctrl_c().await.ok();
        stop.send_replace(true);
    });
    let served = engine.serve(stopped).await;
    telling.abort();
    served
}
