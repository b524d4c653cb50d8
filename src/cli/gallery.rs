//! `preview --format html`: every message as its reader would see it, in one page that opens in a browser.

use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::private_folder::PrivateFolder;
use crate::config::Config;
use crate::desk::words;
use crate::preview::PreviewLine;

const PAGE: &str = include_str!("../../templates/preview/gallery.html");

#[derive(Serialize)]
struct GalleryCard<'a> {
    line: &'a PreviewLine,
    what: String,
    why: String,
    /// On the practice's clock.
    due: String,
    /// On the participant's clock.
    starts: String,
}

/// Writes `index.html`; says where.
pub(super) fn write(lines: &[PreviewLine], config: &Config, now: DateTime<Utc>, out: &Path) -> anyhow::Result<PathBuf> {
    let folder = PrivateFolder::open(out)?;
    let local = |line: &PreviewLine| line.local_start.as_ref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    let cards: Vec<GalleryCard<'_>> = (lines.iter())
        .map(|line| GalleryCard {
            line,
            what: line.what(),
            why: words::with_code(line.reason.unwrap_or_default(), line.detail.as_deref()),
            due: line.due_at.as_deref().map(|at| words::clocked(at, &|at| words::clock(at, &config.time_zone, now))).unwrap_or_default(),
            starts: local(line).map(|at| at.format("%a, %b %-d, %-I:%M %p").to_string()).unwrap_or_default(),
        })
        .collect();
    let (sent, omitted): (Vec<_>, Vec<_>) = cards.into_iter().partition(|c| c.line.verdict == "send");
    let mut tera = tera::Tera::default();
    tera.add_raw_template("gallery.html", PAGE).context("the gallery's template")?;
    let mut context = tera::Context::new();
    context.insert("practice", &config.raw.practice.name);
    context.insert("now", &words::clock(now, &config.time_zone, DateTime::UNIX_EPOCH));
    context.insert("sent", &sent);
    context.insert("omitted", &omitted);
    let page = tera.render("gallery.html", &context).context("the gallery")?;
    folder.write("index.html", page.as_bytes())
}
