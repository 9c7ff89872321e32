//! Secrets among the stored settings: sealed, opened, and sealed anew under another key.

use std::sync::Arc;

use majordomo_domain::{AuditRecord, UserId};
use thiserror::Error;

use crate::ports::settings_repository::{Resealed, SettingsRepository, StoredSetting, StoredValue};
use crate::ports::{RepositoryError, SecretBox, SecretError, SecretPlace, SecretText, StoredLayer};
use crate::settings::{MAX_SETTINGS, SettingsError};

/// Who owns what the server keeps for itself: nobody can sign in under this name.
const SERVER: &str = "majordomo:server";
/// Most sealed settings of all owners.
const MAX_SEALED: u32 = 100_000;

/// A stored secret cannot be opened. Holds neither the secret nor a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stored secret `{name}` cannot be opened: {source}")]
pub struct UnreadableSecret {
    /// The setting's name.
    pub name: String,
    /// Why not.
    pub source: SecretError,
}

/// Stored settings with their secrets.
#[derive(Clone)]
pub struct SettingsSecrets {
    repository: Arc<dyn SettingsRepository>,
    secrets: Arc<dyn SecretBox>,
}

impl SettingsSecrets {
    /// Settings whose secrets are sealed by `secrets`.
    pub fn new(repository: Arc<dyn SettingsRepository>, secrets: Arc<dyn SecretBox>) -> Self {
        Self {
            repository,
            secrets,
        }
    }

    /// Fails unless every stored secret of every owner can be opened: a server with a wrong key must not start.
    pub async fn check(&self) -> Result<(), SettingsError> {
        for setting in self.repository.sealed(MAX_SEALED).await? {
            self.open(&setting)?;
        }
        Ok(())
    }

    /// The installation's settings, opened.
    pub async fn installation(&self) -> Result<StoredLayer, SettingsError> {
        let stored = self
            .repository
            .list(&UserId::operator(), MAX_SETTINGS)
            .await?;
        self.layer(&stored)
    }

    /// Seals every secret that is not sealed under the current key anew, all of them or none, and counts them. No server
    /// that lacks the key may use the database meanwhile.
    pub async fn reseal(&self, audit: &AuditRecord) -> Result<usize, SettingsError> {
        let mut changes = Vec::new();
        for setting in self.repository.sealed(MAX_SEALED).await? {
            let StoredValue::Sealed(sealed) = &setting.value else {
                continue;
            };
            if self.secrets.is_current(sealed) {
                continue;
            }
            let Some(secret) = self.open(&setting)? else {
                continue;
            };
            changes.push(Resealed {
                to: self.seal(&setting.owner, &setting.name, &secret)?,
                from: sealed.clone(),
                owner: setting.owner,
                name: setting.name,
            });
        }
        // Recorded even where nothing was sealed: the key is another one from now on.
        self.repository.reseal(&changes, audit).await?;
        Ok(changes.len())
    }

    /// A secret that the server keeps for itself under `name`, sealed like all others. Where there is none yet, `fresh`
    /// is kept from now on.
    pub async fn own(
        &self,
        name: &str,
        fresh: SecretText,
        audit: &AuditRecord,
    ) -> Result<SecretText, SettingsError> {
        let owner = UserId::parse(SERVER).map_err(|error| RepositoryError::Other(error.into()))?;
        if let Some(secret) = self.find(&owner, name).await? {
            return Ok(secret);
        }
        let sealed = self.seal(&owner, name, &fresh)?;
        let setting = StoredSetting {
            owner: owner.clone(),
            name: name.to_owned(),
            value: StoredValue::Sealed(sealed),
            updated_at: audit.at,
        };
        match self.repository.insert(&setting, audit).await {
            Ok(()) => Ok(fresh),
            // Another process was faster: its secret is in use already.
            Err(RepositoryError::Conflict) => self
                .find(&owner, name)
                .await?
                .ok_or_else(|| RepositoryError::Conflict.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, owner: &UserId, name: &str) -> Result<Option<SecretText>, SettingsError> {
        let stored = self.repository.list(owner, MAX_SETTINGS).await?;
        match stored.iter().find(|setting| setting.name == name) {
            Some(setting) => Ok(self.open(setting)?),
            None => Ok(None),
        }
    }

    /// Whether any secret is stored.
    pub async fn any(repository: &dyn SettingsRepository) -> Result<bool, RepositoryError> {
        Ok(!repository.sealed(1).await?.is_empty())
    }

    /// Seals a secret for its row.
    pub(super) fn seal(
        &self,
        owner: &UserId,
        name: &str,
        secret: &SecretText,
    ) -> Result<String, UnreadableSecret> {
        let row = [owner.as_str(), name];
        let sealed = self.secrets.seal(place(&row), secret.expose());
        sealed.map_err(|source| UnreadableSecret {
            name: name.to_owned(),
            source,
        })
    }

    /// The secret of a setting, `None` for one that is not sealed.
    fn open(&self, setting: &StoredSetting) -> Result<Option<SecretText>, UnreadableSecret> {
        let StoredValue::Sealed(sealed) = &setting.value else {
            return Ok(None);
        };
        let row = [setting.owner.as_str(), setting.name.as_str()];
        let opened = self.secrets.open(place(&row), sealed);
        let opened = opened.map_err(|source| UnreadableSecret {
            name: setting.name.clone(),
            source,
        })?;
        Ok(Some(SecretText::new(opened)))
    }

    /// Opens settings of one owner.
    pub(super) fn layer(&self, stored: &[StoredSetting]) -> Result<StoredLayer, SettingsError> {
        let mut layer = StoredLayer::default();
        for setting in stored {
            match &setting.value {
                StoredValue::Plain(value) => {
                    layer.values.insert(setting.name.clone(), value.clone());
                }
                StoredValue::Sealed(_) => {
                    if let Some(secret) = self.open(setting)? {
                        layer.secrets.insert(setting.name.clone(), secret);
                    }
                }
            }
        }
        Ok(layer)
    }
}

/// Where the secret of a setting is stored.
const fn place<'a>(row: &'a [&'a str]) -> SecretPlace<'a> {
    SecretPlace {
        table: "settings",
        column: "value",
        row,
    }
}
