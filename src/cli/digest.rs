//! `digest [--send]`: the daily letter to the practice, as it would be now; and sent now.

use std::sync::{Arc, Mutex};

use anyhow::bail;
use chrono::SubsecRound;

use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::config::raw::Mode;
use crate::contact::Channel;
use crate::daemon::{open_store, owner};
use crate::deliver::Route;
use crate::digest::Digest;
use crate::dispatch::Lane;
use crate::render::{self, Parts, Renderer};

pub(super) fn digest(config: Config, send: bool, json: bool) -> anyhow::Result<Exit> {
    let Some(settings) = config.digest.clone() else { bail!("nobody gets the letter: name somebody in the configuration ([digest] to)") };
    if send && config.raw.run.mode == Mode::Shadow {
        bail!("shadow mode: nothing is sent; [run] mode = \"live\" sends it");
    }
    let always = settings.always;
    runtime()?.block_on(async {
        let outbox = open_store(&config, false)?;
        let settings_of_messages = render::Settings { reference_key: outbox.reference_key().await?, ..config.render.clone() };
        let renderer = Renderer::new(settings_of_messages).map_err(|mistakes| anyhow::anyhow!("{}", mistakes.join("\n")))?;
        let relays = config
            .relays
            .iter()
            .map(|relay| relay.transport().map(Route::from))
            .collect::<Result<Vec<_>, _>>()
            .map_err(anyhow::Error::msg)?;
        let digest = Digest {
            settings,
            outbox,
            sources: config.sources.iter().map(|s| s.name.clone()).collect(),
            policy: Arc::new(config.policy),
            renderer: Arc::new(renderer),
            lane: Arc::new(Lane::new(Channel::Email, config.email_in_doubt, relays)),
            clock: Arc::new(WallClock),
            owner: owner()?,
            done: Mutex::default(),
        };
        let concerns = digest.concerns().await?;
        let attention = if concerns.is_empty() { Exit::Done } else { Exit::Attention };
        if !send {
            let rendered = digest.preview(&concerns).map_err(anyhow::Error::msg)?;
            let Parts::Email { subject, text, html, .. } = rendered.parts else { bail!("the letter is no e-mail") };
            if json {
                out!("{}", serde_json::json!({ "concerns": concerns.len(), "subject": subject, "text": text, "html": html }));
            } else {
                out!("Subject: {subject}\n\n{text}");
            }
            return Ok(attention);
        }
        if concerns.is_empty() && !always {
            out!("There is nothing to tell: no letter is sent. ([digest] always = true sends it all the same.)");
            return Ok(Exit::Done);
        }
        let sent = digest.send(WallClock.now().trunc_subsecs(3)).await?;
        out!("{} accepted, {} not", sent.accepted, sent.failed);
        Ok(if sent.failed == 0 { Exit::Done } else { Exit::Failed })
    })
}
