//! The audit log in memory.

use async_trait::async_trait;
use majordomo_application::audit::chain;
use majordomo_application::ports::{AuditFilter, AuditLog, RepositoryError};
use majordomo_domain::{AuditChain, AuditEntry, AuditHash, AuditRecord, UserId};

use super::{InMemoryStore, State, count};

/// Entries and both ends of their chain.
pub(super) struct Log {
    entries: Vec<AuditEntry>,
    chain: AuditChain,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            chain: AuditChain {
                base_seq: 0,
                base_hash: chain::ORIGIN,
                last_seq: 0,
                last_hash: chain::ORIGIN,
            },
        }
    }
}

impl State {
    /// Appends within the step that does the act.
    pub(super) fn append_audit(&mut self, record: &AuditRecord) {
        let log = &mut self.audit;
        log.chain.last_seq += 1;
        let entry = chain::entry(record, log.chain.last_seq, &log.chain.last_hash);
        log.chain.last_hash = AuditHash::try_from(entry.hash.as_slice()).unwrap_or(chain::ORIGIN);
        log.entries.push(entry);
    }
}

impl InMemoryStore {
    /// What the audit log holds, oldest first.
    pub fn audit_entries(&self) -> Vec<AuditEntry> {
        self.state().audit.entries.clone()
    }

    /// Changes what the audit log holds, as somebody might who gets hold of the database.
    pub fn tamper_with_audit(&self, change: impl FnOnce(&mut Vec<AuditEntry>)) {
        change(&mut self.state().audit.entries);
    }
}

fn fits(filter: &AuditFilter, entry: &AuditEntry) -> bool {
    let is = |wanted: Option<&str>, found: Option<&str>| wanted.is_none() || wanted == found;
    is(
        filter.actor.as_ref().map(UserId::as_str),
        entry.actor.as_deref(),
    ) && is(filter.action.as_deref(), Some(&entry.action))
        && filter.from.is_none_or(|from| entry.at >= from)
        && filter.to.is_none_or(|to| entry.at < to)
        && filter.before.is_none_or(|before| entry.seq < before)
}

#[async_trait]
impl AuditLog for InMemoryStore {
    async fn append(&self, record: &AuditRecord) -> Result<(), RepositoryError> {
        self.state().append_audit(record);
        Ok(())
    }

    async fn list(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, RepositoryError> {
        let state = self.state();
        let entries = state.audit.entries.iter().rev();
        let fitting = entries.filter(|entry| fits(filter, entry));
        Ok(fitting.take(count(filter.limit)).cloned().collect())
    }

    async fn page(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, RepositoryError> {
        let state = self.state();
        let entries = state.audit.entries.iter();
        let later = entries.filter(|entry| entry.seq > after);
        Ok(later.take(count(limit)).cloned().collect())
    }

    async fn chain(&self) -> Result<AuditChain, RepositoryError> {
        Ok(self.state().audit.chain)
    }

    async fn remove_archived(
        &self,
        last: u64,
        hash: &AuditHash,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let log = &mut state.audit;
        let stored = log.entries.iter().find(|entry| entry.seq == last);
        if stored.is_none_or(|entry| entry.hash != hash) {
            return Ok(false);
        }
        log.entries.retain(|entry| entry.seq > last);
        log.chain.base_seq = last;
        log.chain.base_hash = *hash;
        state.append_audit(record);
        Ok(true)
    }
}
