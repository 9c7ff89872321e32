//! Reading, checking and archiving the audit log.

use std::sync::Arc;

use majordomo_domain::{AuditChain, AuditEntry, AuditHash, AuditRecord, Scope, Timestamp, UserId};

use super::archive;
use super::chain::{Anchor, ChainCheck, ChainReport};
use super::error::AuditError;
use super::refusals::Refusals;
use crate::caller::Caller;
use crate::hex::hex;
use crate::ports::{AuditFilter, AuditLog, AuditVault, Clock};

/// Entries read at once where all are.
const PAGE: u32 = 1_000;
/// Most entries that a list holds.
const MAX_LISTED: u32 = 1_000;
/// Where the note of the last entry is, in words.
const NOTE: &str = "the data directory's note of the last entry";

/// Which entries a caller wants. An absent condition holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Only what this user did.
    pub actor: Option<UserId>,
    /// Only this act.
    pub action: Option<String>,
    /// Only from this time on.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
    /// At most this many, and never more than 1000.
    pub limit: u32,
}

/// Entries that were taken out of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Where they are now.
    pub place: String,
    /// How many.
    pub entries: u64,
}

/// Reads, checks and archives the audit log, and writes what [`Refusals`] counted.
pub struct AuditService {
    log: Arc<dyn AuditLog>,
    vault: Arc<dyn AuditVault>,
    clock: Arc<dyn Clock>,
    archiving: tokio::sync::Mutex<()>,
}

impl AuditService {
    /// The log over storage, with its files in `vault`.
    pub fn new(log: Arc<dyn AuditLog>, vault: Arc<dyn AuditVault>, clock: Arc<dyn Clock>) -> Self {
        Self {
            log,
            vault,
            clock,
            archiving: tokio::sync::Mutex::default(),
        }
    }

    /// The entries that fit, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, AuditError> {
        caller.require(Scope::Admin)?;
        let filter = AuditFilter {
            actor: query.actor,
            action: query.action,
            from: query.from,
            to: query.to,
            before: None,
            limit: query.limit.min(MAX_LISTED),
        };
        Ok(self.log.list(&filter).await?)
    }

    /// The entries after a place, oldest first, 1000 at most.
    pub async fn page(&self, caller: &Caller, after: u64) -> Result<Vec<AuditEntry>, AuditError> {
        caller.require(Scope::Admin)?;
        Ok(self.log.page(after, PAGE).await?)
    }

    /// Both ends of the chain.
    pub async fn chain(&self) -> Result<AuditChain, AuditError> {
        Ok(self.log.chain().await?)
    }

    /// Checks the whole chain against itself, against both noted ends, against the note in the data directory and
    /// against `anchors` noted elsewhere.
    pub async fn verify(
        &self,
        caller: &Caller,
        anchors: &[Anchor],
    ) -> Result<ChainReport, AuditError> {
        caller.require(Scope::Admin)?;
        let _turn = self.archiving.lock().await;
        let noted = self.vault.head().await?;
        let begin = self.log.chain().await?;
        let mut check = ChainCheck::after(begin.base_seq, begin.base_hash);
        if let Some(head) = noted {
            check.expect(head, NOTE);
        }
        for anchor in anchors {
            check.expect(*anchor, "the anchor given");
        }
        let (mut after, mut end) = (begin.base_seq, begin);
        loop {
            after = self.follow(&mut check, after).await?;
            // Entries may have come since: the check goes on until it has seen the end, or nothing comes any more.
            let now = self.log.chain().await?;
            if now.last_seq == after || now == end {
                return Ok(check.finish(Some(&now)));
            }
            end = now;
        }
    }

    /// Checks all entries after a place, and says which was the last.
    async fn follow(&self, check: &mut ChainCheck, mut after: u64) -> Result<u64, AuditError> {
        loop {
            let page = self.log.page(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(after);
            };
            after = last.seq;
            for entry in &page {
                check.follow(entry);
            }
        }
    }

    /// Moves all entries into a file of the data directory; `None` when there are none. The file and what is recorded
    /// afterwards are one chain still.
    pub async fn archive(&self, caller: &Caller) -> Result<Option<Archived>, AuditError> {
        caller.require_change(Scope::Admin)?;
        let _turn = self.archiving.lock().await;
        let now = self.clock.now();
        let chain = self.log.chain().await?;
        let name = format!("audit-{}.jsonl", now.to_utc().format("%Y%m%dT%H%M%S%6fZ"));
        let (mut after, mut last, mut place) = (chain.base_seq, None, String::new());
        while after < chain.last_seq {
            let mut page = self.log.page(after, PAGE).await?;
            page.retain(|entry| entry.seq <= chain.last_seq);
            let Some(entry) = page.last() else { break };
            let lines = page.iter().fold(String::new(), |mut lines, entry| {
                lines.push_str(&archive::line(entry));
                lines.push('\n');
                lines
            });
            (after, last) = (entry.seq, hash_of(entry));
            place = self.vault.append_archive(&name, &lines).await?;
        }
        let Some(hash) = last else {
            return Ok(None);
        };
        let entries = after.saturating_sub(chain.base_seq);
        let record = caller
            .record("audit.archive", now)
            .on("file", &name)
            .with("first", chain.base_seq.saturating_add(1))
            .with("last", after)
            .with("hash", hex(&hash));
        if self.log.remove_archived(after, &hash, &record).await? {
            Ok(Some(Archived { place, entries }))
        } else {
            Err(AuditError::Changed)
        }
    }

    /// Appends a record whose act stores nothing itself.
    pub async fn append(&self, record: &AuditRecord) -> Result<(), AuditError> {
        Ok(self.log.append(record).await?)
    }

    /// Writes the refusals that are due, or all of them when the server stops. What cannot be written is kept.
    pub async fn write_refusals(&self, refusals: &Refusals, stopping: bool) {
        let now = self.clock.now();
        let records = if stopping {
            refusals.rest(now)
        } else {
            refusals.due(now)
        };
        for record in records {
            if let Err(error) = self.log.append(&record).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "refused requests cannot be recorded");
                refusals.put_back(record);
            }
        }
    }

    /// Notes the last entry in the data directory where it is another one than noted. A note that the log does not
    /// continue is left as it is, so that a check finds the difference.
    pub async fn note_head(&self) -> Result<(), AuditError> {
        let chain = self.log.chain().await?;
        let noted = self.vault.head().await?;
        if let Some(noted) = noted {
            if noted.seq >= chain.last_seq || !self.holds(&chain, &noted).await? {
                return Ok(());
            }
        } else if chain.last_seq == 0 {
            return Ok(());
        }
        let head = Anchor {
            seq: chain.last_seq,
            hash: chain.last_hash,
            at: self.clock.now(),
        };
        Ok(self.vault.note_head(&head).await?)
    }

    /// Whether the log has the noted entry, stored or as its base.
    async fn holds(&self, chain: &AuditChain, noted: &Anchor) -> Result<bool, AuditError> {
        if noted.seq < chain.base_seq {
            return Ok(true);
        }
        if noted.seq == chain.base_seq {
            return Ok(noted.hash == chain.base_hash);
        }
        let found = self.log.page(noted.seq.saturating_sub(1), 1).await?;
        Ok(found
            .first()
            .is_some_and(|entry| entry.seq == noted.seq && entry.hash == noted.hash))
    }

    /// When `action` was last recorded.
    pub async fn last(&self, action: &str) -> Result<Option<Timestamp>, AuditError> {
        let filter = AuditFilter {
            action: Some(action.to_owned()),
            limit: 1,
            ..AuditFilter::default()
        };
        Ok(self.log.list(&filter).await?.first().map(|entry| entry.at))
    }
}

fn hash_of(entry: &AuditEntry) -> Option<AuditHash> {
    AuditHash::try_from(entry.hash.as_slice()).ok()
}
