//! `prune`: removes now what is past its retention time. The daemon does so by itself, by `[retention] prune`.

use super::progress::Progress;
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::open_store;

pub(super) fn prune(config: Config, json: bool) -> anyhow::Result<Exit> {
    let now = WallClock.now();
    let bar = Progress::new("removing what need not be kept");
    let purged = runtime()?.block_on(async { anyhow::Ok(open_store(&config, false)?.purge(now, config.keep.at(now)).await?) });
    bar.done();
    let purged = purged?;
    if json {
        out!("{}", serde_json::to_string(&purged)?);
    } else {
        out!("Removed: {}", purged.in_words());
    }
    Ok(Exit::Done)
}
