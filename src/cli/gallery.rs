//! `preview --format html`: every message as its reader would see it, in one page that opens in a browser.

use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::private_folder::PrivateFolder;
use crate::config::Config;
use crate::preview::Line;
use crate::zone::rfc3339;

const PAGE: &str = include_str!("../../templates/preview/gallery.html");

#[derive(Serialize)]
struct Card<'a> {
    line: &'a Line,
    what: String,
    why: String,
}

/// Writes `index.html`; says where.
pub(super) fn write(lines: &[Line], config: &Config, now: DateTime<Utc>, out: &Path) -> anyhow::Result<PathBuf> {
    let folder = PrivateFolder::open(out)?;
    let cards: Vec<Card<'_>> = lines.iter().map(|line| Card { line, what: line.what(), why: line.why() }).collect();
    let (sent, omitted): (Vec<_>, Vec<_>) = cards.into_iter().partition(|c| c.line.verdict == "send");
    let mut tera = tera::Tera::default();
    tera.add_raw_template("gallery.html", PAGE).context("the gallery's template")?;
    let mut context = tera::Context::new();
    context.insert("practice", &config.raw.practice.name);
    context.insert("now", &rfc3339(now));
    context.insert("sent", &sent);
    context.insert("omitted", &omitted);
    let page = tera.render("gallery.html", &context).context("the gallery")?;
    folder.write("index.html", page.as_bytes())
}
