//! What sources say, and what a walk of it changes.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::{SqliteOutbox, guard, known, look, query, restore, sources, walk};
use crate::guard::{GuardRow, Verdict};
use crate::known::KnownMap;
use crate::outbox::{
    Applied, NotedSession, ReadFile, ReplaysAfterRestore, Rest, Result, Seen, SeenSession, SourceLook, SourceRow, StoreError, UnreadSource,
    Walk, Walks,
};
use crate::session::SessionId;
use crate::session::stored::{Also, StoredSession};

#[async_trait]
impl Walks for SqliteOutbox {
    async fn seen_from(&self, source: &str, from: DateTime<Utc>) -> Result<Option<Seen>> {
        let source = source.to_owned();
        self.readers.read("seen", move |c| query::seen(c, &source, from)).await
    }

    async fn seen_among(&self, source: &str, ids: &[SessionId]) -> Result<HashMap<SessionId, SeenSession>> {
        let (source, ids) = (source.to_owned(), ids.to_vec());
        self.readers.read("seen", move |c| query::seen_among(c, &source, &ids)).await
    }

    async fn sources(&self) -> Result<Vec<SourceRow>> {
        self.readers.read("sources", sources::all).await
    }

    async fn configure(&self, names: &[String], now: DateTime<Utc>) -> Result<usize> {
        let names = names.to_vec();
        self.writer.write("configure", move |c| sources::configure(c, &names, now)).await
    }

    async fn rename_source(&self, from: &str, to: &str, now: DateTime<Utc>) -> Result<bool> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.writer.write("rename_source", move |c| sources::rename(c, &from, &to, now)).await
    }

    async fn also(&self) -> Result<Vec<(String, Also)>> {
        self.readers.read("also", sources::also).await
    }

    async fn lately(&self, now: DateTime<Utc>) -> Result<Vec<NotedSession>> {
        self.readers.read("lately", move |c| sources::lately(c, now)).await
    }

    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>> {
        let (source, ids) = (source.to_owned(), ids.map(<[SessionId]>::to_vec));
        self.readers.read("sessions", move |c| query::sessions(c, &source, ids.as_deref())).await
    }

    async fn starting(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<(String, SessionId)>> {
        self.readers.read("starting", move |c| query::starting(c, from, until, limit)).await
    }

    async fn guards(&self) -> Result<Vec<GuardRow>> {
        self.readers.read("guards", guard::rows).await
    }

    async fn decide_guard(&self, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        let (who, source) = (who.map(str::to_owned), source.map(str::to_owned));
        self.writer.write("decide_guard", move |c| guard::decide(c, verdict, who.as_deref(), source.as_deref(), now)).await
    }

    async fn listed(&self, source: &str) -> Result<usize> {
        let source = source.to_owned();
        self.readers.read("listed", move |c| query::listed(c, &source)).await
    }

    async fn people(&self, source: &str, now: DateTime<Utc>) -> Result<usize> {
        let source = source.to_owned();
        self.readers.read("people", move |c| query::people(c, &source, now)).await
    }

    async fn rest(&self, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<Option<Rest>> {
        let source = source.to_owned();
        self.readers.read("rest", move |c| query::rest(c, &source, now, since)).await
    }

    async fn heard(&self, source: &str, at: DateTime<Utc>) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("heard", move |c| walk::heard(c, &source, at)).await
    }

    async fn known(&self, source: &str, sessions: &[SessionId]) -> Result<KnownMap> {
        let (source, sessions) = (source.to_owned(), sessions.to_vec());
        self.readers.read("known", move |c| known::known(c, &source, &sessions)).await
    }

    async fn apply(&self, walk: Walk) -> Result<Applied> {
        let applied = self.writer.write("apply", move |c| match walk::check(c, &walk)? {
            Ok(()) => walk::apply(c, &walk).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        });
        applied.await?.map_err(|cause| StoreError { action: "apply".to_owned(), cause })
    }

    async fn plan_anew(&self) -> Result<()> {
        self.writer.write("plan_anew", |c| walk::plan_anew(c)).await
    }

    async fn absences_anew(&self) -> Result<()> {
        self.writer.write("absences_anew", |c| walk::absences_anew(c)).await
    }

    async fn want_look(&self, source: &str) -> Result<i64> {
        let source = source.to_owned();
        self.writer.write("want_look", move |c| look::want(c, &source)).await
    }

    async fn had_look(&self, source: &str, wanted: i64) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("had_look", move |c| look::had(c, &source, wanted)).await
    }

    async fn leave_alone(&self, source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("leave_alone", move |c| look::leave_alone(c, &source, until, refusals)).await
    }

    async fn was_read(&self, source: &str, file: ReadFile) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("was_read", move |c| look::was_read(c, &source, &file)).await
    }

    async fn last_read(&self, source: &str) -> Result<Option<ReadFile>> {
        let source = source.to_owned();
        self.readers.read("last_read", move |c| look::last_read(c, &source)).await
    }

    async fn not_read(&self, source: &str, unread: Option<UnreadSource>) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("not_read", move |c| look::not_read(c, &source, unread.as_ref())).await
    }

    async fn looks(&self) -> Result<Vec<SourceLook>> {
        self.readers.read("looks", look::all).await
    }

    async fn replays_after_restore(&self, source: &str, now: DateTime<Utc>) -> Result<ReplaysAfterRestore> {
        let source = source.to_owned();
        self.readers.read("replays_after_restore", move |c| restore::replays_after_restore(c, &source, now)).await
    }
}
