//! What an update of settings asks for, and what came of it.

use std::collections::BTreeMap;

use majordomo_domain::AuditRecord;

use crate::ports::SecretText;
use crate::ports::settings_repository::SettingValue;

/// What becomes of one setting.
#[derive(Debug, Clone)]
pub enum Change {
    /// It gets this value.
    Set(SettingValue),
    /// It gets this secret, which is sealed and never shown again.
    Secret(SecretText),
    /// It is forgotten: what the file or the default says holds again.
    Forget,
}

/// An update: done as a whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct SettingsUpdate {
    /// The installation's settings by key; see [`SettingsService::update`](super::SettingsService::update).
    pub installation: BTreeMap<String, Change>,
    /// What the caller prefers, by key.
    pub personal: BTreeMap<String, Change>,
}

/// What came of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateReport {
    /// What the user should know, in words.
    pub warnings: Vec<String>,
    /// Changed keys that take effect when the server starts again.
    pub after_restart: Vec<String>,
}

/// Longest list of keys in one detail of the audit log.
const MAX_LISTED: usize = 180;
/// Names of the details that list changed keys.
const DETAILS: [&str; 8] = [
    "changed",
    "changed_2",
    "changed_3",
    "changed_4",
    "changed_5",
    "changed_6",
    "changed_7",
    "changed_8",
];

/// Names the changed keys in the audit log; never their values, which may be anything.
pub(super) fn record_keys<'a>(
    mut record: AuditRecord,
    keys: impl Iterator<Item = &'a str>,
) -> AuditRecord {
    let mut lists: Vec<String> = Vec::new();
    for key in keys {
        match lists.last_mut() {
            Some(list) if list.len() + key.len() + 2 <= MAX_LISTED => {
                list.push_str(", ");
                list.push_str(key);
            }
            _ => lists.push(key.to_owned()),
        }
    }
    for (name, list) in DETAILS.into_iter().zip(lists) {
        record = record.with(name, list);
    }
    record
}
