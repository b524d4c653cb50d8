//! The steps of attempts: begin, doubt, settle. Those that arrive together are taken together: the rows are locked, each step is asked of the rules in
//! turn, and what they made of the rows is written in one statement of each kind.
//!
//! Invariants: begin and doubt pass only for the claim's epoch and the session's latest revision. The point of no return is asked of the rules over the
//! locked row: by this server's clock, read after the lock, enough of the lease must be left, and the daemon that asks is the one that owns the practice. A delivery that was begun is written down even when its claim was lost.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::columns::{get, keys, ms, phase_word};
use super::db::Tx;
use super::error::Res;
use super::notices::{COLUMN_COUNT, COLUMNS, Numbered, THESE_KEYS, row, save};
use super::suppression;
use crate::entry::{AttemptEnd, Phase, State};
use crate::ledger::{Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::outbox::frozen::Packed;
use crate::outbox::{Begin, Lease, Outgoing, Settlement, outgoing};
use crate::suppression::SaidBy;

/// One step of one attempt.
pub(super) enum AttemptStep {
    Begin(Begin, Packed<'static>),
    Take(Begin, Packed<'static>, TimeDelta),
    Doubt(Lease, i64, TimeDelta),
    Reroute(Lease, String),
    Settle(Lease, Settlement, DateTime<Utc>),
}

impl AttemptStep {
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Begin(..) => "begin",
            Self::Take(..) => "take",
            Self::Doubt(..) => "doubt",
            Self::Reroute(..) => "reroute",
            Self::Settle(..) => "settle",
        }
    }

    /// Of what is no notice.
    fn alone(&self) -> outgoing::AloneStep<'_> {
        match self {
            Self::Begin(begin, _) => outgoing::AloneStep::Begin(begin),
            Self::Take(begin, _, margin) => outgoing::AloneStep::Take(begin, *margin),
            Self::Doubt(_, _, margin) => outgoing::AloneStep::Doubt(*margin),
            Self::Reroute(_, transport) => outgoing::AloneStep::Reroute(transport),
            Self::Settle(_, end, at) => outgoing::AloneStep::Settle(end, *at),
        }
    }

    /// Not of a letter or an answer.
    pub(super) fn is_of_a_notice(&self) -> bool {
        self.lease().kind == Outgoing::Notice
    }

    fn lease(&self) -> Lease {
        match self {
            Self::Begin(begin, _) | Self::Take(begin, ..) => begin.lease,
            Self::Doubt(lease, ..) | Self::Reroute(lease, _) | Self::Settle(lease, ..) => *lease,
        }
    }

    /// What passes a point of no return is decided before what an end makes of an address.
    fn rank(&self) -> u8 {
        u8::from(matches!(self, Self::Settle(..)))
    }
}

/// Takes them. For each: whether it was possible.
pub(super) async fn take(tx: &Tx<'_>, steps: &[&AttemptStep]) -> Res<Vec<bool>> {
    let mut answers = vec![false; steps.len()];
    let (mut order, alone): (Vec<usize>, Vec<usize>) = (0..steps.len()).partition(|n| steps[*n].lease().kind == Outgoing::Notice);
    order.sort_by_key(|number| steps[*number].rank());
    if !order.is_empty() {
        let notices: Vec<&AttemptStep> = order.iter().map(|number| steps[*number]).collect();
        let mut batch = AttemptBatch::of(tx, &notices).await?;
        for number in order {
            answers[number] = batch.step(steps[number]).await?;
        }
        batch.write().await?;
    }
    for number in alone {
        answers[number] = super::outgoing::step(tx, steps[number].lease(), steps[number].alone()).await?;
    }
    Ok(answers)
}

/// A delivery that begins.
struct Started {
    id: i64,
    epoch: i64,
    at: DateTime<Utc>,
    transport: String,
    phase: Phase,
}

/// A delivery that ends, and how far it got.
pub(super) struct Close {
    pub(super) id: i64,
    pub(super) epoch: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) outcome: AttemptEnd,
    pub(super) reply: Option<String>,
    /// `None`: as it is written down already.
    pub(super) phase: Option<Phase>,
}

/// The rows, and what is to be written.
struct AttemptBatch<'a> {
    tx: &'a Tx<'a>,
    rows: HashMap<NoticeKey, (Numbered, i64)>,
    /// Of which a receipt came.
    received: HashSet<i64>,
    now: DateTime<Utc>,
    changed: Vec<NoticeKey>,
    contents: HashMap<i64, &'a Packed<'static>>,
    started: Vec<Started>,
    rerouted: Vec<(i64, i64, &'a str)>,
    closes: Vec<Close>,
}

impl<'a> AttemptBatch<'a> {
    async fn of(tx: &'a Tx<'a>, steps: &[&AttemptStep]) -> Res<Self> {
        let of: Vec<NoticeKey> = steps.iter().map(|step| step.lease().key).collect();
        let sql = format!(
            "SELECT {COLUMNS}, s.revision,
                 (SELECT true FROM delivery AS d WHERE d.practice = n.practice AND d.notice_id = n.id AND d.receipt IS NOT NULL LIMIT 1) IS NOT NULL
             FROM {THESE_KEYS} JOIN session AS s ON s.practice = n.practice AND s.source = n.source AND s.id = n.session_id
             ORDER BY n.id FOR NO KEY UPDATE OF n"
        );
        let (mut rows, mut received) = (HashMap::new(), HashSet::new());
        let of = keys(&of);
        let values: super::db::Values<'_> = &[&tx.practice, &of];
        // Said at once, done one after the other: the clock is read once they are locked; whoever waited for a lock has less of the lease left.
        let (found, now) = tokio::join!(tx.query(&sql, values), tx.now());
        for found in found? {
            let numbered = row(&tx.sealer, &found)?;
            if get(&found, COLUMN_COUNT + 1)? {
                received.insert(numbered.id);
            }
            rows.insert(numbered.row.entry.notice.key, (numbered, get(&found, COLUMN_COUNT)?));
        }
        let now = now?;
        let (changed, contents, started) = (Vec::new(), HashMap::new(), Vec::new());
        Ok(Self { tx, rows, received, now, changed, contents, started, rerouted: Vec::new(), closes: Vec::new() })
    }

    async fn step(&mut self, step: &'a AttemptStep) -> Res<bool> {
        match step {
            AttemptStep::Begin(begin, packed) => self.begin(begin, packed, None),
            AttemptStep::Take(begin, packed, margin) => self.begin(begin, packed, Some(*margin)),
            AttemptStep::Doubt(lease, revision, margin) => self.doubt(*lease, *revision, *margin),
            AttemptStep::Reroute(lease, transport) => self.reroute(*lease, transport),
            AttemptStep::Settle(lease, end, at) => self.settle(*lease, end, *at).await,
        }
    }

    /// Freezes the bytes and opens the delivery; with a margin, past the point of no return at once.
    fn begin(&mut self, begin: &Begin, packed: &'a Packed<'static>, margin: Option<TimeDelta>) -> Res<bool> {
        let now = self.now;
        let Some((Numbered { id, row }, revision)) = self.rows.get_mut(&begin.lease.key) else { return Ok(false) };
        let came = margin.is_some() && row.entry.attempts > 0 && self.received.contains(id);
        let from = row.entry.state;
        // A receipt of the copy before: it arrived, and no second one is needed.
        let may = *revision == begin.revision && !came;
        let (done, phase, event, at) = match margin {
            None => (may && row.begin(begin.lease, &begin.facts, begin.at), Phase::Pre, Event::Begun, begin.at),
            Some(margin) => (may && row.take(begin.lease, &begin.facts, (begin.at, now), margin), Phase::Doubt, Event::Doubted, now),
        };
        if !done {
            return Ok(false);
        }
        self.tx.append(stepped(&self.rows[&begin.lease.key].0, event, from, at, Some(begin.transport.clone())))?;
        let id = self.rows[&begin.lease.key].0.id;
        self.contents.insert(id, packed);
        self.started.push(Started { id, epoch: begin.lease.epoch, at: begin.at, transport: begin.transport.clone(), phase });
        self.touch(begin.lease.key);
        Ok(true)
    }

    /// The point of no return. Until it ends, the delivery's phase is the notice's: one row less to write.
    fn doubt(&mut self, lease: Lease, revision: i64, margin: TimeDelta) -> Res<bool> {
        let now = self.now;
        let Some((Numbered { id, row }, latest)) = self.rows.get_mut(&lease.key) else { return Ok(false) };
        // A receipt of the copy before: it arrived, and no second one is needed.
        let came = row.entry.attempts > 1 && self.received.contains(id);
        if *latest != revision || came || !row.enter_doubt(lease, now, margin) {
            return Ok(false);
        }
        self.tx.append(stepped(&self.rows[&lease.key].0, Event::Doubted, State::Sending, now, None))?;
        self.touch(lease.key);
        Ok(true)
    }

    /// Another transport than the delivery was begun for.
    fn reroute(&mut self, lease: Lease, transport: &'a str) -> Res<bool> {
        let now = self.now;
        let Some((Numbered { id, row }, _)) = self.rows.get_mut(&lease.key) else { return Ok(false) };
        if !row.reroute(lease) {
            return Ok(false);
        }
        self.rerouted.push((*id, lease.epoch, transport));
        self.tx.append(stepped(&self.rows[&lease.key].0, Event::Rerouted, State::Sending, now, Some(transport.to_owned())))?;
        self.touch(lease.key);
        Ok(true)
    }

    /// The claim ends; the delivery's end is written in any case.
    async fn settle(&mut self, lease: Lease, end: &Settlement, at: DateTime<Utc>) -> Res<bool> {
        let tx = self.tx;
        let Some((Numbered { id, row }, _)) = self.rows.get_mut(&lease.key) else { return Ok(false) };
        let by_receipt = Settlement::by_receipt();
        let end = if end.is_open() && self.received.contains(id) { &by_receipt } else { end };
        let (outcome, reply) = end.in_words();
        let (from, holds) = (row.entry.state, row.standing().holds(lease));
        // Of a claim that was lost, whoever took it back has written down how far it had got.
        let phase = row.entry.phase.filter(|_| holds);
        let reply = reply.map(str::to_owned);
        if !self.closes.iter().any(|close| (close.id, close.epoch) == (*id, lease.epoch)) {
            self.closes.push(Close { id: *id, epoch: lease.epoch, at, outcome, reply, phase });
        }
        if !row.settle(lease, end, at) {
            return Ok(false);
        }
        let row = &self.rows[&lease.key].0.row;
        tx.append(row.event(Event::Settled, Some(from), at, Some(end.detail())))?;
        if end.unsettles() {
            suppression::plan_again(tx, &row.entry.source, row.entry.notice.session, at).await?;
        }
        if let Settlement::Rejected { remember: Some(kind), .. } = end
            && suppression::put(tx, &NewSuppression::of(&row.entry.notice, *kind, SaidBy::Refusal, at)).await?
        {
            tx.append(row.suppressed(*kind, at))?;
        }
        self.touch(lease.key);
        Ok(true)
    }

    fn touch(&mut self, key: NoticeKey) {
        if !self.changed.contains(&key) {
            self.changed.push(key);
        }
    }

    async fn write(self) -> Res<()> {
        let rows: Vec<&Numbered> = self.changed.iter().map(|key| &self.rows[key].0).collect();
        save(self.tx, &rows).await?;
        keep(self.tx, &self.contents).await?;
        start(self.tx, &self.started).await?;
        for (id, epoch, transport) in &self.rerouted {
            let sql = "UPDATE delivery SET transport = $4 WHERE practice = $1 AND notice_id = $2 AND epoch = $3";
            self.tx.execute(sql, &[&self.tx.practice, id, epoch, transport]).await?;
        }
        close(self.tx, &self.closes).await
    }
}

/// The ledger's row of a step that has no reason, as all steps of an attempt are.
fn stepped(numbered: &Numbered, event: Event, from: State, at: DateTime<Utc>, detail: Option<String>) -> LedgerRow {
    numbered.row.event(event, Some(from), at, detail)
}

/// Keeps frozen bytes as those of the notices' latest attempts.
async fn keep(tx: &Tx<'_>, contents: &HashMap<i64, &Packed<'static>>) -> Res<()> {
    if contents.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = contents.keys().copied().collect();
    let packed: Vec<&Packed<'static>> = ids.iter().map(|id| contents[id]).collect();
    let bytes = ids.iter().zip(&packed).map(|(id, packed)| tx.sealer.seal_bytes("message", id.to_string(), &packed.bytes));
    let sql = "INSERT INTO content (practice, notice_id, packed, size, sample)
               SELECT $1, d.* FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[]) AS d
               ON CONFLICT (practice, notice_id) DO UPDATE SET packed = excluded.packed, size = excluded.size, sample = excluded.sample";
    let (sizes, samples): (Vec<_>, Vec<_>) = packed.iter().map(|packed| (packed.size, packed.sample)).unzip();
    tx.execute(sql, &[&tx.practice, &ids, &bytes.collect::<Res<Vec<_>>>()?, &sizes, &samples]).await?;
    Ok(())
}

async fn start(tx: &Tx<'_>, started: &[Started]) -> Res<()> {
    if started.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO delivery (practice, notice_id, attempt, epoch, started_at, transport, phase)
               SELECT $1, d.id, 1 + coalesce((SELECT max(attempt) FROM delivery AS o WHERE o.practice = $1 AND o.notice_id = d.id), 0), d.epoch, d.at, d.transport, d.phase
               FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS d (id, epoch, at, transport, phase)";
    let values: super::db::Values<'_> = &[
        &tx.practice,
        &started.iter().map(|s| s.id).collect::<Vec<_>>(),
        &started.iter().map(|s| s.epoch).collect::<Vec<_>>(),
        &started.iter().map(|s| ms(s.at)).collect::<Vec<_>>(),
        &started.iter().map(|s| s.transport.as_str()).collect::<Vec<_>>(),
        &started.iter().map(|s| phase_word(s.phase)).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// What a recovery wrote of them (`crashed`) is replaced: an attempt's own word is the better one.
pub(super) async fn close(tx: &Tx<'_>, closes: &[Close]) -> Res<()> {
    if closes.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE delivery AS o SET ended_at = d.at, outcome = d.outcome, reply = d.reply, phase = coalesce(d.phase, o.phase)
               FROM (SELECT $1::integer AS practice, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
                         AS u (id, epoch, at, outcome, reply, phase) OFFSET 0) AS d
               WHERE o.practice = d.practice AND o.notice_id = d.id AND o.epoch = d.epoch AND (o.ended_at IS NULL OR o.outcome = 'crashed')";
    let values: super::db::Values<'_> = &[
        &tx.practice,
        &closes.iter().map(|c| c.id).collect::<Vec<_>>(),
        &closes.iter().map(|c| c.epoch).collect::<Vec<_>>(),
        &closes.iter().map(|c| ms(c.at)).collect::<Vec<_>>(),
        &closes.iter().map(|c| c.outcome.as_str()).collect::<Vec<_>>(),
        &closes.iter().map(|c| c.reply.as_deref()).collect::<Vec<_>>(),
        &closes.iter().map(|c| c.phase.map(phase_word)).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}
