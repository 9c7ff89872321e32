//! Settings in memory.

use async_trait::async_trait;
use majordomo_application::ports::settings_repository::{
    Resealed, SettingChange, StoredSetting, StoredValue,
};
use majordomo_application::ports::{RepositoryError, SettingsRepository};
use majordomo_domain::{AuditRecord, Timestamp, UserId};

use super::{InMemoryStore, count};

#[async_trait]
impl SettingsRepository for InMemoryStore {
    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<StoredSetting>, RepositoryError> {
        let state = self.state();
        let found = state.settings.values().filter(|s| s.owner == *owner);
        Ok(found.take(count(limit)).cloned().collect())
    }

    async fn named(&self, name: &str, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError> {
        let state = self.state();
        let found = state.settings.values().filter(|s| s.name == name);
        Ok(found.take(count(limit)).cloned().collect())
    }

    async fn change(
        &self,
        changes: &[SettingChange],
        at: Timestamp,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        for SettingChange { owner, name, value } in changes {
            let key = (owner.clone(), name.clone());
            match value {
                None => state.settings.remove(&key),
                Some(value) => state.settings.insert(
                    key,
                    StoredSetting {
                        owner: owner.clone(),
                        name: name.clone(),
                        value: value.clone(),
                        updated_at: at,
                    },
                ),
            };
        }
        state.append_audit(audit);
        Ok(())
    }

    async fn insert(
        &self,
        setting: &StoredSetting,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let key = (setting.owner.clone(), setting.name.clone());
        if state.settings.contains_key(&key) {
            return Err(RepositoryError::Conflict);
        }
        state.settings.insert(key, setting.clone());
        state.append_audit(audit);
        Ok(())
    }

    async fn sealed(&self, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError> {
        let state = self.state();
        let found = state
            .settings
            .values()
            .filter(|setting| matches!(setting.value, StoredValue::Sealed(_)));
        Ok(found.take(count(limit)).cloned().collect())
    }

    async fn reseal(
        &self,
        changes: &[Resealed],
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let key = |change: &Resealed| (change.owner.clone(), change.name.clone());
        let as_it_was = changes.iter().all(|change| {
            let stored = state
                .settings
                .get(&key(change))
                .map(|setting| &setting.value);
            stored == Some(&StoredValue::Sealed(change.from.clone()))
        });
        if !as_it_was {
            return Err(RepositoryError::Conflict);
        }
        for change in changes {
            if let Some(setting) = state.settings.get_mut(&key(change)) {
                setting.value = StoredValue::Sealed(change.to.clone());
            }
        }
        state.append_audit(audit);
        Ok(())
    }
}
