//! Storage of settings that are changed while the server runs, and of what users prefer.

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, Timestamp, UserId};

use super::RepositoryError;

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    /// On or off.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number, never infinite.
    Number(f64),
    /// Text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl SettingValue {
    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredValue {
    /// In the clear.
    Plain(SettingValue),
    /// What a [`SecretBox`](super::SecretBox) made of a secret.
    Sealed(String),
}

/// A stored setting.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSetting {
    /// Whose it is; the installation's are the operator's.
    pub owner: UserId,
    /// Its name, at most [`MAX_SETTING_NAME`] bytes.
    pub name: String,
    /// Its value.
    pub value: StoredValue,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// A setting to set, or to forget where there is no value.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingChange {
    /// Whose setting it is.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// Its value from now on.
    pub value: Option<StoredValue>,
}

/// A sealed value that is sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// Whose setting it is.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// What is stored now.
    pub from: String,
    /// What is stored from now on.
    pub to: String,
}

/// Longest name of a setting, in bytes.
pub const MAX_SETTING_NAME: usize = 200;

/// Stores settings by owner and name.
#[async_trait]
pub trait SettingsRepository: Send + Sync {
    /// The owner's settings in the order of their names, at most `limit`.
    async fn list(&self, owner: &UserId, limit: u32)
    -> Result<Vec<StoredSetting>, RepositoryError>;

    /// The setting of this name of every owner, in their order, at most `limit`: for what the server itself keeps at
    /// hand.
    async fn named(&self, name: &str, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError>;

    /// Sets and forgets settings and appends `audit`, all of it or nothing. Forgetting what is not there is no error.
    /// MUST have reached the disk when it answers.
    async fn change(
        &self,
        changes: &[SettingChange],
        at: Timestamp,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError>;

    /// Stores a setting that is not there yet and appends `audit`: `Conflict`, and nothing is changed, when it is. MUST
    /// have reached the disk when it answers.
    async fn insert(
        &self,
        setting: &StoredSetting,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError>;

    /// Every sealed setting of every owner, at most `limit`.
    async fn sealed(&self, limit: u32) -> Result<Vec<StoredSetting>, RepositoryError>;

    /// Replaces sealed values and appends `audit`, all of it or nothing: `Conflict` when one is no longer as it was.
    async fn reseal(
        &self,
        changes: &[Resealed],
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError>;
}
