//! What sources say, and what a walk of it changes.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::{PostgresOutbox, guard, known, look, query, restore, sources, walk};
use crate::guard::{GuardRow, Verdict};
use crate::known::KnownMap;
use crate::outbox::{
    Applied, NotedSession, ReadFile, ReplaysAfterRestore, Rest, Result, Seen, SeenSession, SourceLook, SourceRow, StoreError, UnreadSource,
    Walk, Walks,
};
use crate::session::SessionId;
use crate::session::stored::{Also, StoredSession};

#[async_trait]
impl Walks for PostgresOutbox {
    async fn seen_from(&self, source: &str, from: DateTime<Utc>) -> Result<Option<Seen>> {
        let source = source.to_owned();
        self.readers.read("seen", async move |db| query::seen(db, &source, from).await).await
    }

    async fn seen_among(&self, source: &str, ids: &[SessionId]) -> Result<HashMap<SessionId, SeenSession>> {
        let (source, ids) = (source.to_owned(), ids.to_vec());
        self.readers.read("seen", async move |db| query::seen_among(db, &source, &ids).await).await
    }

    async fn sources(&self) -> Result<Vec<SourceRow>> {
        self.readers.read("sources", async |db| sources::all(db).await).await
    }

    async fn configure(&self, names: &[String], now: DateTime<Utc>) -> Result<usize> {
        let names = names.to_vec();
        self.writer.write("configure", async move |tx| sources::configure(tx, &names, now).await).await
    }

    async fn rename_source(&self, from: &str, to: &str, now: DateTime<Utc>) -> Result<bool> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.writer.write("rename_source", async move |tx| sources::rename(tx, &from, &to, now).await).await
    }

    async fn also(&self) -> Result<Vec<(String, Also)>> {
        self.readers.read("also", async |db| sources::also(db).await).await
    }

    async fn lately(&self, now: DateTime<Utc>) -> Result<Vec<NotedSession>> {
        self.readers.read("lately", async move |db| sources::lately(db, now).await).await
    }

    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>> {
        let (source, ids) = (source.to_owned(), ids.map(<[SessionId]>::to_vec));
        self.readers.read_settled("sessions", async move |db| query::sessions(db, &source, ids.as_deref()).await).await
    }

    async fn starting(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<(String, SessionId)>> {
        self.readers.read("starting", async move |db| query::starting(db, from, until, limit).await).await
    }

    async fn guards(&self) -> Result<Vec<GuardRow>> {
        self.readers.read("guards", async |db| guard::rows(db).await).await
    }

    async fn decide_guard(&self, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        let (who, source) = (who.map(str::to_owned), source.map(str::to_owned));
        self.writer.write("decide_guard", async move |tx| guard::decide(tx, verdict, who.as_deref(), source.as_deref(), now).await).await
    }

    async fn listed(&self, source: &str) -> Result<usize> {
        let source = source.to_owned();
        self.readers.read("listed", async move |db| query::listed(db, &source).await).await
    }

    async fn people(&self, source: &str, now: DateTime<Utc>) -> Result<usize> {
        let source = source.to_owned();
        self.readers.read("people", async move |db| query::people(db, &source, now).await).await
    }

    async fn rest(&self, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<Option<Rest>> {
        let source = source.to_owned();
        self.readers.read("rest", async move |db| query::rest(db, &source, now, since).await).await
    }

    async fn heard(&self, source: &str, at: DateTime<Utc>) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("heard", async move |tx| walk::heard(tx, &source, at).await).await
    }

    async fn known(&self, source: &str, sessions: &[SessionId]) -> Result<KnownMap> {
        let (source, sessions) = (source.to_owned(), sessions.to_vec());
        self.readers.read("known", async move |db| known::known(db, &source, &sessions).await).await
    }

    async fn apply(&self, walk: Walk) -> Result<Applied> {
        let applied = self.writer.write("apply", async move |tx| match walk::check(tx, &walk).await? {
            Ok(()) => walk::apply(tx, &walk).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        });
        applied.await?.map_err(|cause| StoreError { action: "apply".to_owned(), cause })
    }

    async fn plan_anew(&self) -> Result<()> {
        self.writer.write("plan_anew", async |tx| walk::plan_anew(tx).await).await
    }

    async fn absences_anew(&self) -> Result<()> {
        self.writer.write("absences_anew", async |tx| walk::absences_anew(tx).await).await
    }

    async fn want_look(&self, source: &str) -> Result<i64> {
        let source = source.to_owned();
        self.writer.write("want_look", async move |tx| look::want(tx, &source).await).await
    }

    async fn had_look(&self, source: &str, wanted: i64) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("had_look", async move |tx| look::had(tx, &source, wanted).await).await
    }

    async fn leave_alone(&self, source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("leave_alone", async move |tx| look::leave_alone(tx, &source, until, refusals).await).await
    }

    async fn was_read(&self, source: &str, file: ReadFile) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("was_read", async move |tx| look::was_read(tx, &source, &file).await).await
    }

    async fn last_read(&self, source: &str) -> Result<Option<ReadFile>> {
        let source = source.to_owned();
        self.readers.read("last_read", async move |db| look::last_read(db, &source).await).await
    }

    async fn not_read(&self, source: &str, unread: Option<UnreadSource>) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("not_read", async move |tx| look::not_read(tx, &source, unread.as_ref()).await).await
    }

    async fn looks(&self) -> Result<Vec<SourceLook>> {
        self.readers.read("looks", async |db| look::all(db).await).await
    }

    async fn replays_after_restore(&self, source: &str, now: DateTime<Utc>) -> Result<ReplaysAfterRestore> {
        let source = source.to_owned();
        self.readers.read("replays_after_restore", async move |db| restore::replays_after_restore(db, &source, now).await).await
    }
}
