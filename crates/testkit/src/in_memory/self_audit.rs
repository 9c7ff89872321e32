//! Reports of the server's examination of itself, in memory.

use async_trait::async_trait;
use majordomo_application::ports::{KeyUse, RepositoryError, SelfAuditRepository};
use majordomo_domain::{AuditRecord, SelfAuditReport};

use super::{InMemoryStore, count};

#[async_trait]
impl SelfAuditRepository for InMemoryStore {
    async fn put(
        &self,
        report: &SelfAuditReport,
        oldest: &str,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let reports = &mut state.self_audit;
        reports.insert(report.date(), report.clone());
        reports.retain(|date, _| date.as_str() >= oldest);
        state.append_audit(audit);
        Ok(())
    }

    async fn find(&self, date: &str) -> Result<Option<SelfAuditReport>, RepositoryError> {
        Ok(self.state().self_audit.get(date).cloned())
    }

    async fn list(&self, limit: u32) -> Result<Vec<SelfAuditReport>, RepositoryError> {
        let state = self.state();
        let newest = state.self_audit.values().rev();
        Ok(newest.take(count(limit)).cloned().collect())
    }

    async fn keys_in_use(&self, limit: u32) -> Result<Vec<KeyUse>, RepositoryError> {
        let state = self.state();
        let keys = state.keys.values().filter(|key| key.revoked_at.is_none());
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by_key(|key| (key.created_at, key.id.clone()));
        Ok(keys
            .into_iter()
            .take(count(limit))
            .map(|key| KeyUse {
                name: key.name.clone(),
                created_at: key.created_at,
                expires_at: key.expires_at,
                last_used_at: key.last_used_at,
            })
            .collect())
    }
}
