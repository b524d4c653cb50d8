//! `remind`: tells a participant now, with their code.

use anyhow::bail;
use clap::Args;

use super::accounts::account;
use super::{Exit, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::is_served;
use crate::desk::remind::{Line, RemindRequest, remind as ask};
use crate::session::{ParticipationId, SessionId};

#[derive(Debug, Args)]
pub(super) struct RemindArgs {
    /// SessionId.
    #[arg(value_name = "SESSION")]
    pub(super) session: i64,
    /// ParticipationId. Default: everybody in the session but its host.
    #[arg(value_name = "PARTICIPATION")]
    pub(super) participation: Option<i64>,
    /// Also whom it reaches in quiet hours.
    #[arg(long)]
    pub(super) in_quiet_hours: bool,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Fails if nobody is reminded.
pub(super) fn remind(config: Config, args: &RemindArgs, json: bool) -> anyhow::Result<Exit> {
    let wish = RemindRequest {
        session: SessionId(args.session),
        participation: args.participation.map(ParticipationId),
        at_night: args.in_quiet_hours,
        who: Some(account()),
        why: args.reason.clone().unwrap_or_default(),
    };
    let served = is_served(&config);
    let answers = runtime()?.block_on(async { anyhow::Ok(ask(&desk(config)?, &wish, WallClock.now()).await?) })?;
    if answers.is_empty() {
        let whom = args.participation.map_or_else(|| "participant".to_owned(), |id| format!("participant {id}"));
        bail!("the store knows no {whom} of session {}", args.session);
    }
    let reminded = answers.iter().filter(|one| one.result.is_ok()).count();
    for answer in &answers {
        match &answer.result {
            _ if json => out!("{}", serde_json::to_string(&Line::of(args.session, answer))?),
            Ok(notice) => out!("{}: by {} to {}, at once", answer.participation, notice.address.channel(), notice.address),
            Err(why) => {
                let hint = if why.is_night() { ": --in-quiet-hours reminds them all the same" } else { "" };
                eprintln!("{}: not reminded: {}{hint}", answer.participation, why.in_words());
            }
        }
    }
    if !json {
        let when = if served {
            "the daemon hands over within half a minute"
        } else {
            "no daemon runs: it goes when one is started, while it is of use"
        };
        out!("{reminded} of {} reminded ({when})", answers.len());
    }
    Ok(if reminded == 0 { Exit::Failed } else { Exit::Done })
}
