//! A source as the practice configured it: where it is, and how it is asked.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::http::Api;
use super::same::{LastWalked, Print, SourceRead};
use super::words::Dictionary;
use super::{file, meaning, push};
use crate::session::Snapshot;

#[derive(Debug, Clone)]
pub struct Source {
    /// The store remembers its sessions by this.
    pub name: String,
    /// The name that it had before.
    pub was: Option<String>,
    /// What kind, and where.
    pub kind: SourceKind,
    /// What the practice says of its words.
    pub words: Dictionary,
    /// Cron expression with seconds, checked.
    pub poll: String,
    /// The only node that reads it.
    pub node: Option<String>,
    /// What it said when it was last walked.
    pub memory: Arc<LastWalked>,
}

/// A source's kind and its own settings.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// `kind = "file"`
    File(file::Settings),
    /// `kind = "http"`; remembers what it was given last.
    Http(Arc<Api>),
    /// `kind = "push"`: nothing is asked of it.
    Push(push::Settings),
}

impl Source {
    /// Whether the node of that name reads it: each does, unless it names another one.
    pub fn is_read_by(&self, node: Option<&str>) -> bool {
        self.left_out(node).is_none()
    }

    /// Why a node of that name does not read it. `None`: it does.
    pub fn left_out(&self, node: Option<&str>) -> Option<String> {
        let of = self.node.as_deref().filter(|of| Some(*of) != node)?;
        Some(format!("node {of} reads it, and this machine does not: it is left out here"))
    }

    /// Until when a server asked to be left alone, whichever process it said that to: `noted` is what [`Api::recall`] takes. `None`: it may be asked.
    pub fn left_alone(&self, noted: (Option<DateTime<Utc>>, u32), now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let SourceKind::Http(api) = &self.kind else { return None };
        api.recall(noted, now);
        api.left_alone(now).0
    }

    /// What it says now, its words taken for what the practice says that they mean. The error names the file or the address, and the place in it.
    pub async fn read(&self) -> Result<Snapshot, String> {
        let mut snapshot = match &self.kind {
            SourceKind::File(settings) => {
                let settings = settings.clone();
                tokio::task::spawn_blocking(move || file::read(&settings)).await.unwrap_or_else(|e| Err(e.to_string()))
            }
            SourceKind::Http(api) => api.read().await,
            SourceKind::Push(_) => Err(unasked()),
        }?;
        meaning::apply(&mut snapshot, &self.words);
        Ok(snapshot)
    }

    /// The same, unless it is what it was. `early`: what a file said when the start read it.
    pub async fn read_since(
        &self,
        last: Option<Print>,
        early: Option<(Snapshot, Print)>,
        now: DateTime<Utc>,
    ) -> Result<SourceRead, String> {
        let said = match &self.kind {
            SourceKind::File(settings) => {
                let (early, print) = early.filter(|_| last.is_none()).unzip();
                let (settings, last) = (settings.clone(), last.or(print));
                let reading = tokio::task::spawn_blocking(move || file::read_since(&settings, last.as_ref(), now));
                let said = reading.await.unwrap_or_else(|e| Err(e.to_string()));
                match (said, early) {
                    (Ok(SourceRead::Same(print)), Some(early)) => Ok(SourceRead::Now(early, Some(print))),
                    (said, _) => said,
                }
            }
            SourceKind::Http(api) => api.read_since(last.as_ref()).await,
            SourceKind::Push(_) => Err(unasked()),
        }?;
        Ok(match said {
            SourceRead::Now(mut snapshot, print) => {
                meaning::apply(&mut snapshot, &self.words);
                SourceRead::Now(snapshot, print)
            }
            SourceRead::Same(print) => SourceRead::Same(print),
        })
    }
}

fn unasked() -> String {
    "sessions are pushed to it: it cannot be asked".to_owned()
}
