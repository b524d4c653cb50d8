//! A ledger of several chains: one for each program that writes, so that none of them waits for another, under the first one, which holds them together.
//!
//! A row `chain` of the first chain opens another one: its detail begins with its number, and the other's first row follows this row's link. A row `seal`
//! names how far the others have got, in its detail: `2 4711:9f86d0..., 3 17:60303a...`. So an anchor of the first chain alone shows what was changed, cut off,
//! taken out or put in, in any chain, up to the last seal.
//!
//! Pure: rows in, in the order of their places; findings out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Anchor, ChainReader, Event, FINDINGS, Finding, KeyedPart, LedgerRow, Link, Verified};

/// The detail of a row that opens a chain.
pub fn opening(id: i32, who: &str) -> String {
    format!("{id}: {who}")
}

/// The detail of a seal.
pub fn seal(heads: &[(i32, Anchor)]) -> String {
    heads.iter().map(|(id, head)| format!("{id} {head}")).collect::<Vec<_>>().join(", ")
}

fn opened(row: &LedgerRow) -> Option<i32> {
    row.detail.as_deref()?.split_once(':')?.0.parse().ok()
}

fn sealed(row: &LedgerRow) -> Option<Vec<(i32, Anchor)>> {
    let one = |text: &str| text.split_once(' ').and_then(|(id, head)| Some((id.parse().ok()?, head.parse().ok()?)));
    row.detail.as_deref()?.split(", ").map(one).collect()
}

/// A chain, as the store keeps it.
pub struct StoredChain {
    /// Which one; 1 is the first.
    pub id: i32,
    /// What its first row follows.
    pub start: Link,
    /// How far it has got.
    pub head: Anchor,
    /// The last row that a prune took, or is about to take.
    pub checkpoint: Option<Anchor>,
    /// What its rows are chained with.
    pub parts: Vec<KeyedPart>,
    /// It has waited for a seal for too long.
    pub overdue: bool,
}

/// The walk over one of the others.
struct Walked {
    walker: ChainReader,
    head: Anchor,
    overdue: bool,
    /// The first chain opened or sealed it.
    named: bool,
    sealed: i64,
    /// A seal found it shorter than it had been.
    short: Option<i64>,
}

/// Walks all of them at once.
pub struct Chains {
    first: ChainReader,
    head: Anchor,
    others: BTreeMap<i32, Walked>,
    /// Named, or with rows, and not kept.
    missing: BTreeSet<i32>,
    strangers: BTreeSet<i32>,
    findings: Vec<Finding>,
}

impl Chains {
    /// `anchor`: an earlier head of the first one.
    pub fn new(kept: Vec<StoredChain>, anchor: Option<Anchor>) -> Self {
        let (mut first, mut head, mut others) = (ChainReader::new(None, anchor), Anchor::default(), BTreeMap::new());
        for StoredChain { id, start, head: its, checkpoint, parts, overdue } in kept {
            if id == 1 {
                (first, head) = (ChainReader::new(checkpoint, anchor).keyed(parts), its);
            } else {
                let walker = ChainReader::new(Some(checkpoint.unwrap_or(Anchor { seq: 0, link: start })), None).keyed(parts);
                others.insert(id, Walked { walker, head: its, overdue, named: false, sealed: 0, short: None });
            }
        }
        Self { first, head, others, missing: BTreeSet::new(), strangers: BTreeSet::new(), findings: Vec::new() }
    }

    pub fn step(&mut self, row: &LedgerRow) {
        let Some(id) = row.chain_id else {
            self.first.step(row);
            match row.event {
                _ if self.first.is_pruned(row.seq) => {}
                Event::Chain => self.open(row),
                Event::Seal => self.hold(row),
                _ => {}
            }
            return;
        };
        let Some(walked) = self.others.get_mut(&id) else {
            self.strangers.insert(id);
            return;
        };
        if let Some(seq) = walked.short.take().filter(|_| row.seq == walked.walker.head().seq + 1) {
            self.findings.push(within(id, Finding::NotAnchored { seq }));
        }
        walked.walker.step(row);
    }

    fn open(&mut self, row: &LedgerRow) {
        let Some(id) = opened(row) else { return };
        let Some(walked) = self.others.get_mut(&id) else {
            self.missing.insert(id);
            return;
        };
        walked.named = true;
        walked.walker.starts(row.chain.unwrap_or_default());
    }

    /// Each chain that a seal names must be where it says.
    fn hold(&mut self, row: &LedgerRow) {
        for (id, anchor) in sealed(row).unwrap_or_default() {
            let Some(walked) = self.others.get_mut(&id) else {
                self.missing.insert(id);
                continue;
            };
            walked.named = true;
            walked.sealed = walked.sealed.max(anchor.seq);
            let head = walked.walker.head();
            if walked.walker.is_pruned(anchor.seq) || head == anchor {
                continue;
            }
            if head.seq < anchor.seq {
                walked.short = Some(anchor.seq);
            } else {
                self.findings.push(within(id, Finding::NotAnchored { seq: anchor.seq }));
            }
        }
    }

    /// After the last row.
    pub fn end(self) -> Verified {
        let ended = |walker: ChainReader, head: Anchor, given: i64| {
            let mut verified = walker.end(given.max(head.seq));
            if verified.head.seq == head.seq && verified.head.link != head.link {
                verified.findings.push(Finding::NotAnchored { seq: head.seq });
            }
            verified
        };
        let mut all = ended(self.first, self.head, 0);
        all.findings.extend(self.findings);
        for (id, walked) in self.others {
            let (named, overdue) = (walked.named, walked.overdue);
            let one = ended(walked.walker, walked.head, walked.sealed);
            all.chains += 1;
            all.rows += one.rows;
            all.findings.extend(one.findings.into_iter().map(|finding| within(id, finding)));
            if !named {
                all.findings.push(Finding::PutIn { chain_id: id });
            }
            if overdue {
                all.findings.push(Finding::Unsealed { chain_id: id });
            }
        }
        let strangers = self.strangers.difference(&self.missing).map(|id| Finding::PutIn { chain_id: *id });
        all.findings.extend(self.missing.iter().map(|id| Finding::Gone { chain_id: *id }).chain(strangers));
        all.findings.truncate(FINDINGS);
        all
    }
}

fn within(chain_id: i32, finding: Finding) -> Finding {
    Finding::InChain { chain_id, finding: Box::new(finding) }
}
