//! What one user prefers, kept for the clients of one dialect.

use majordomo_domain::Scope;

use crate::caller::Caller;
use crate::error::FieldError;
use crate::ports::settings_repository::{SettingChange, SettingValue, StoredValue};
use crate::settings::{
    MAX_SETTINGS, MAX_VALUE_BYTES, PREFERENCE_PREFIX, SettingsError, SettingsService,
};

impl SettingsService {
    /// The text that a dialect keeps for the caller under this name.
    pub async fn preference(
        &self,
        caller: &Caller,
        name: &'static str,
    ) -> Result<Option<String>, SettingsError> {
        caller.require(Scope::SettingsRead)?;
        let key = format!("{PREFERENCE_PREFIX}{name}");
        let stored = self.repository().list(&caller.user, MAX_SETTINGS).await?;
        let found = stored.into_iter().find(|setting| setting.name == key);
        Ok(found.and_then(|setting| match setting.value {
            StoredValue::Plain(SettingValue::Text(text)) => Some(text),
            _ => None,
        }))
    }

    /// Keeps a text for the caller under this name.
    pub async fn set_preference(
        &self,
        caller: &Caller,
        name: &'static str,
        text: String,
    ) -> Result<(), SettingsError> {
        caller.require_change(Scope::SettingsWrite)?;
        if text.len() > MAX_VALUE_BYTES {
            let words = format!("must not be longer than {MAX_VALUE_BYTES} bytes");
            return Err(FieldError::new(name, words).into());
        }
        let now = self.clock().now();
        let change = SettingChange {
            owner: caller.user.clone(),
            name: format!("{PREFERENCE_PREFIX}{name}"),
            value: Some(StoredValue::Plain(SettingValue::Text(text))),
        };
        let record = caller.record("settings.update", now).with("changed", name);
        self.repository().change(&[change], now, &record).await?;
        Ok(())
    }
}
